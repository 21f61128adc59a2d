"""`check --live` reports item by item what the platforms know, and counts or changes nothing."""

import json
import shutil
from datetime import timedelta

import pytest

from connectors.sandbox.meta.wire import APP_SECRETS, TOKENS
from connectors.sandbox.oplead.gate import SUPPLIER_KEY
from tests import suite
from tests.e2e.support.company import START, fbclid, gclid, lead
from tests.e2e.support.typed import type_in

WON = START - timedelta(days=2)

DATA_MANAGER, ADS_API = "data_manager", "google_ads_api"
GAQL = "/google.ads.googleads.v26.services.GoogleAdsService/"
CANNOT_READ = "says nothing against sending"


@pytest.fixture(scope="module")
def shared(companies):
    """One company that sends to Google and Meta; a test proves that a check leaves it unchanged."""
    company = companies()
    company.use_meta()
    clicks = [f"gclid={gclid(number)}&fbclid={fbclid(number)}" for number in (1, 2)]
    company.serve(lead(1, ("Gagné", WON), clicks=clicks[0]), lead(2, ("Rendez-vous", WON), clicks=clicks[1]))
    return company


@pytest.fixture
def company(shared):
    """The shared company, with settings, secrets and platforms restored afterwards."""
    with shared.restored(
        ("google_ads", "ads_api_allowlisted", True),
        ("google_ads", "ads_api_enhanced", "on"),
        ("oauth", "refuse_tokens", False),
        ("meta", "meta_readable", True),
    ):
        yield shared


def without_google(company):
    """A settings file beside the company's own, for the same account on Meta alone."""
    told = json.loads(company.config.read_text(encoding="utf-8"))
    del told["google_ads"]
    for conversion in told["conversions"]:
        del conversion["google_ads"]
    return _beside(company, "meta-only.yaml", told)


def without_meta(company):
    """A settings file beside the company's own, for the same account on Google alone."""
    told = json.loads(company.config.read_text(encoding="utf-8"))
    del told["meta"]
    for conversion in told["conversions"]:
        del conversion["meta"]
    return _beside(company, "google-only.yaml", told)


def _beside(company, name, told):
    file = company.config.with_name(name)
    file.write_text(json.dumps(told), encoding="utf-8")
    return file


def checked(company, file=None):
    """The exit code of `check --live --json`, and (verdict, finding, advice) by destination and subject."""
    done = type_in(company, "check", "--live", "--json", file=file)
    (told,) = done.objects
    assert "" == done.err
    assert done.code == told["exit_code"]
    found = {}
    for destination, findings in told["findings"].items():
        for each in findings:
            found.setdefault((destination, each["subject"]), []).append(
                (each["verdict"], each["found"], each["advice"])
            )
    return done.code, found


def files(company):
    """The files beside the settings, except the rate limiter's."""
    return {file for file in company.config.parent.iterdir() if file.suffix != ".pace"}


def failed(found):
    """The subjects that failed, each with its finding and advice as one text."""
    return {
        subject: f"{said} | {advice}"
        for (_, subject), told in found.items()
        for verdict, said, advice in told
        if verdict == "failed"
    }


def verdicts(found, destination):
    """The verdicts on a destination's subjects."""
    return {subject: {each[0] for each in told} for (where, subject), told in found.items() if where == destination}


# ── correct settings──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("transport", [DATA_MANAGER, ADS_API])
def test_verifies_a_correct_google_setup(company, transport):
    """Key, account, currency, each action and both transports are verified, and the exit code is 0."""
    company.settings["google_ads"]["transport"] = transport
    code, found = checked(company, without_meta(company))
    google = verdicts(found, "google_ads")

    assert 0 == code
    assert {} == failed(found)
    for subject in (
        "service account key",
        "Google Ads account 1234567890",
        "owner of the conversion actions of 1234567890",
        "conversion tracking",
        "auto-tagging",
        "currency",
        "customer data terms",
        "enhanced conversions for leads",
        "transport data_manager",
        "transport google_ads_api",
    ):
        assert {"verified"} == google[subject], subject
    for action in ("987654321", "987654322"):
        told = found["google_ads", f"conversion action {action}"]
        assert any("click window is 90 days" in said and not advice for _, said, advice in told)
        assert "it is enabled, and takes imported clicks" in [said for _, said, _ in told]


@pytest.mark.parametrize(
    ("module", "place", "others"),
    [
        ("connectors.google_ads.preflight", "GoogleInspector.preflight", {"meta", "oplead"}),
        ("jobs.cli.setup.check_live", "rehearse_with_leads", {"google_ads", "meta"}),
    ],
)
def test_fault_in_one_look_up_costs_the_others_nothing(company, module, place, others):
    """All else is looked up, and the end is 70 with the place in the code."""
    prelude = f"import {module} as module\nmodule.{place} = lambda *_: {{}}['jean@example.com']"
    code, said, err = company.command("check", "--live", "--json", prelude=prelude)
    found = json.loads(said)

    assert (70, 70) == (code, found["exit_code"])
    assert others == {name for name, told in {**found["findings"], "oplead": found.get("oplead")}.items() if told}
    assert ".py:" in err
    assert "jean" not in err + said


def test_verifies_a_meta_dataset_and_its_token(company):
    """The report includes Meta's event counts, and nothing about Google for an account without it."""
    code, found = checked(company, without_google(company))

    assert 0 == code
    assert {
        "Meta dataset 1234567890": {"verified"},
        "Meta access token": {"verified"},
        "events of Meta dataset 1234567890": {"verified"},
        "contact data of Meta dataset 1234567890": {"verified"},
    } == verdicts(found, "meta")
    assert {"meta"} == {destination for destination, _ in found}


def test_meta_is_asked_by_the_version_in_the_settings(companies):
    """Every call of `check --live`, and of a night with its statements."""
    company = companies()
    company.use_meta()
    company.settings["meta"]["api_version"] = "v27.0"
    before = len(company.asked("meta"))
    company.serve(lead("L-v27", field=f"fbclid={fbclid(27)}"))
    assert 0 == checked(company, without_google(company))[0]
    company.command("run", "--first-run", "--yes")
    asked = [entry["path"] for entry in company.asked("meta")[before:]]

    assert len(asked) >= 4
    assert {"v27.0"} == {path.split("/")[1] for path in asked}


def test_text_output_lists_failures_first_with_advice(company):
    """Verified items are only counted, and `--verbose` lists them."""
    company.settings["currency"] = "USD"
    code, out, err = company.command("check", "--live")
    told = " ".join(out.split())

    assert (1, "") == (code, err)
    assert "may run" not in told
    assert "looked at: the file, Oplead, google_ads, meta" in told
    assert "needs a human first (1 failed: fix what is named above, then check again)" in out.splitlines()[-1]
    assert told.index("write currency: EUR") < told.index("Statuses found in the latest") < told.index("needs a human")
    assert "google_ads: currency: " in told
    assert "A lead is in no row of a destination if only another platform's ad brought it" in told
    assert "(--verbose lists them)" in told
    assert "amounts are sent in USD and the account is in EUR" in told
    assert "write currency: EUR" in told
    assert told.index("failed") < told.index("not readable") < told.index("verified")
    assert CANNOT_READ in told


# ── wrong settings ───────────────────────────────────────────────────────────────────────────────


def _action(name, action):
    return lambda company: company.conversion(name)["google_ads"].update(conversion_action=action)


def _google(**changed):
    return lambda company: company.settings["google_ads"].update(changed)


def _switch(platform, name, position):
    return lambda company: getattr(company.sandbox, platform).set_switch(name, position)


GOOGLE_WRONG = {
    "an action of the wrong type": (
        _action("sale", "987654399"),
        "conversion action 987654399",
        ("WEBPAGE", "takes no imported clicks", "import, from clicks"),
    ),
    "an action that does not exist": (
        _action("sale", "987650000"),
        "conversion action 987650000",
        ("account 1234567890 has no such conversion action", "ctId"),
    ),
    "an account nobody gave us": (
        _google(customer_id="5556667777"),
        "transport data_manager",
        ("would refuse every conversion", "PERMISSION_DENIED", "customer_id", "login_customer_id"),
    ),
    "an account without its manager": (
        lambda company: company.settings["google_ads"].pop("login_customer_id"),
        "transport data_manager",
        ("would refuse every conversion", "PERMISSION_DENIED"),
    ),
    "another currency": (
        lambda company: company.settings.update(currency="USD"),
        "currency",
        ("sent in USD", "account is in EUR", "write currency: EUR"),
    ),
    "another click window": (
        _action("sale", {"id": "987654322", "click_window_days": 30}),
        "conversion action 987654322",
        ("its click window is 90 days, and 30 in the settings", "write click_window_days: 90"),
    ),
    "a revoked key": (
        _switch("oauth", "refuse_tokens", True),
        "service account key",
        ("Google refuses the key", "create a new key"),
    ),
    "contact data not allowed": (
        _switch("google_ads", "ads_api_enhanced", "off"),
        "enhanced conversions for leads",
        ("are off", "contact_data: none"),
    ),
    "terms not accepted": (
        _switch("google_ads", "ads_api_enhanced", "terms_not_accepted"),
        "customer data terms",
        ("not accepted", "contact_data: none"),
    ),
}


@pytest.mark.parametrize(
    "case",
    suite.mostly_exhaustive(
        GOOGLE_WRONG,
        "an action that does not exist",
        "another currency",
        "an account without its manager",
        "a revoked key",
    ),
)
def test_google_mistake_fails_one_item_with_advice(company, case):
    """The item states what was found and what to write or do; the exit code is 1."""
    spoil, subject, words = GOOGLE_WRONG[case]
    spoil(company)
    code, found = checked(company, without_meta(company))

    assert 1 == code
    assert [subject] == list(failed(found))
    for word in words:
        assert word in failed(found)[subject]


def test_closed_google_ads_api_in_use_fails(company):
    """Google closed the API to new projects; the advice is to write `transport: data_manager`."""
    company.use_ads_api()
    company.sandbox.google_ads.set_switch("ads_api_allowlisted", value=False)
    code, found = checked(company, without_meta(company))

    assert 1 == code
    assert ["transport google_ads_api"] == list(failed(found))
    assert failed(found)["transport google_ads_api"].endswith("| write transport: data_manager")
    assert {"verified"} == verdicts(found, "google_ads")["transport data_manager"]


def test_closed_google_ads_api_not_in_use_passes(company):
    """The report mentions it, and the exit code stays 0."""
    company.sandbox.google_ads.set_switch("ads_api_allowlisted", value=False)
    code, found = checked(company, without_meta(company))
    ((verdict, said, _),) = found["google_ads", "transport google_ads_api"]

    assert (0, "verified") == (code, verdict)
    assert said.startswith("closed: ")


def test_unreadable_google_key_fails_alone(company, tmp_path):
    """Meta is still checked."""
    key = {"type": "service_account", "client_email": "job@project.example", "private_key": "no key at all"}
    file = tmp_path / "key.json"
    file.write_text(json.dumps(key | {"token_uri": company.sandbox.sandbox_server_urls["oauth"] + "/token"}))
    company.environ["GOOGLE_ADS_KEY_FILE"] = str(file)
    code, found = checked(company)

    assert 1 == code
    assert 1 == len(failed(found))
    assert "is not the JSON key file of a Google service account" in str(failed(found))
    assert {"verified"} == set().union(*verdicts(found, "meta").values())


META_WRONG = {
    "a token Meta does not know": (
        {"META_ACCESS_TOKEN": "EAAinventedandwrong"},
        ("Meta's code 190", "Make a new one in Events Manager"),
    ),
    "another app's secret": (
        {"META_APP_SECRET": APP_SECRETS["2345678901"]},
        ("the app secret is not that of the access token's app", "Take app_secret from the app"),
    ),
}


@pytest.mark.parametrize("case", META_WRONG)
def test_meta_mistake_fails_with_advice(company, case):
    """Nothing else is asked of Meta, the exit code is 1, and no secret is printed."""
    secrets, words = META_WRONG[case]
    company.environ |= secrets
    if "META_APP_SECRET" in secrets:
        company.settings["meta"]["app_secret"] = "${META_APP_SECRET}"
    code, found = checked(company, without_google(company))

    assert 1 == code
    assert 1 == len(failed(found)) == len(verdicts(found, "meta"))
    for said in failed(found).values():
        for word in words:
            assert word in said
    assert not [value for value in secrets.values() if value in str(found)]


def test_dataset_unknown_to_the_token_is_flagged_for_review(company):
    """Meta answers the same for a missing dataset and for a token that may send but not read, so a person compares."""
    company.environ["META_ACCESS_TOKEN"] = TOKENS["2345678901"]
    file = without_google(company)
    _, found = checked(company, file)

    assert {"Meta dataset 1234567890": {"look at"}} == verdicts(found, "meta")
    ((_, _, advice),) = found["meta", "Meta dataset 1234567890"]
    assert "ompare meta.dataset_id with Events Manager" in advice


def test_wrong_customer_id_is_reported_once(company):
    """Questions that could only fail for the same reason are not asked."""
    company.settings["google_ads"]["customer_id"] = "5556667777"
    _, found = checked(company, without_meta(company))
    advised = [advice for told in found.values() for *_, advice in told if "login_customer_id" in advice]

    assert 1 == len(advised)
    assert not [subject for _, subject in found if subject.startswith(("uploads", "conversion actions"))]


NOBODY = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("spoil", "setting"),
    [
        pytest.param(
            lambda company: company.settings.update(oplead={"base_url": NOBODY}),
            "oplead.base_url",
            marks=pytest.mark.exhaustive,
        ),
        (lambda company: company.settings["google_ads"].update(endpoint=NOBODY), "google_ads.endpoint"),
        pytest.param(
            lambda company: company.settings["meta"].update(graph_url=NOBODY),
            "meta.graph_url",
            marks=pytest.mark.exhaustive,
        ),
    ],
)
def test_unreachable_address_fails_once(company, spoil, setting):
    """A typo is the likeliest cause, so the report names the address and its setting."""
    spoil(company)
    done = type_in(company, "check", "--live", "--json")
    (told,) = done.objects
    every = [*told["oplead"]["findings"], *(each for found in told["findings"].values() for each in found)]
    wrong = [each for each in every if each["verdict"] == "failed" and NOBODY in each["found"]]

    assert 1 == done.code == len(wrong)
    assert setting in wrong[0]["found"] + wrong[0]["advice"]


def test_run_names_the_unreachable_oplead_address(company):
    """The run's output alone is enough to fix the setting."""
    company.settings["oplead"] = {"base_url": NOBODY}
    run = type_in(company, "run", "--dry-run", file=without_meta(company))

    assert 3 == run.code
    assert f"nobody answers at {NOBODY} (ConnectError): see oplead.base_url" in run.lines


# ── unreadable answers ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(_switch("meta", "meta_readable", False), id="a token that may only send"),
        pytest.param(
            lambda company: company.fail("meta", "status", status=503, count=9),
            id="Meta is down",
            marks=pytest.mark.exhaustive,
        ),
        pytest.param(
            lambda company: company.fail("meta", "html", count=9),
            id="a proxy answers for Meta",
            marks=pytest.mark.exhaustive,
        ),
        pytest.param(
            lambda company: company.fail("meta", "cut_before", count=9), id="Meta cuts", marks=pytest.mark.exhaustive
        ),
    ],
)
def test_unreadable_meta_is_not_a_failure(company, spoil):
    """The exit code is 0, and the report says that this does not rule out sending."""
    spoil(company)
    file = without_google(company)
    code, found = checked(company, file)
    people = type_in(company, "check", "--live", file=file)

    assert (0, 0) == (code, people.code)
    assert {} == failed(found)
    assert {"not readable"} == verdicts(found, "meta")["Meta dataset 1234567890"]
    assert CANNOT_READ in people.lines
    assert "may run (nothing failed; nobody could confirm Meta dataset 1234567890)" in people.lines


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(
            lambda company: company.fail("google_ads", "status", status=403, path=GAQL, count=9), id="refused"
        ),
        pytest.param(
            lambda company: company.fail("google_ads", "html", count=9),
            id="a proxy answers",
            marks=pytest.mark.exhaustive,
        ),
        pytest.param(
            lambda company: company.fail("google_ads", "cut_before", count=9), id="cut", marks=pytest.mark.exhaustive
        ),
    ],
)
def test_unreadable_google_ads_is_not_a_failure(company, spoil):
    """Queries are refused or unanswered: the other transport is still verified, and the exit code is 0."""
    spoil(company)
    code, found = checked(company, without_meta(company))
    google = verdicts(found, "google_ads")

    assert 0 == code
    assert {} == failed(found)
    assert {"not readable"} == google["Google Ads account 1234567890"] == google["conversion actions"]
    assert "nobody could confirm Google Ads customer 1234567890" in (
        type_in(company, "check", "--live", file=without_meta(company)).lines
    )
    assert {"verified"} == google["transport data_manager"] == google["service account key"]


def test_token_server_down_is_not_a_failure(company):
    """A key that could not be tested is not called wrong."""
    company.fail("oauth", "status", status=503, count=20)
    code, found = checked(company, without_meta(company))

    assert 0 == code
    assert {"not readable"} == set().union(*verdicts(found, "google_ads").values())


# ── files and exit codes ─────────────────────────────────────────────────────────────────────────


def test_reports_each_file_and_exits_with_the_worst_code(company):
    """An invalid file gives 2, and the other is still checked, whichever comes first."""
    wrong = company.config.with_name("wrong.yaml")
    wrong.write_text("account: [\n")
    company.environ["META_ACCESS_TOKEN"] = "EAAinventedandwrong"
    file = without_google(company)
    for first, second in ((wrong, file), (file, wrong)):
        done = type_in(company, "check", "--live", "--json", "--config", str(first), file=second)
        told = {one["config"]: one for one in done.objects}

        assert 2 == done.code
        assert (2, 1) == (told[str(wrong)]["exit_code"], told[str(file)]["exit_code"])
        assert told[str(wrong)]["problems"]
        assert {"meta"} == told[str(file)]["findings"].keys()


def test_two_files_of_one_account_are_refused(company):
    """Neither is checked; a third account in the folder is."""
    folder = company.config.with_name("accounts")
    folder.mkdir()
    told = json.loads(company.config.read_text(encoding="utf-8"))
    for name, account in (("a", "paris"), ("b", "paris"), ("c", "lyon")):
        text = json.dumps(told | {"account": account, "state": f"sqlite:///{name}.db"})
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    done = type_in(company, "check", file=folder)
    machine = type_in(company, "check", "--live", "--json", file=folder)
    run = type_in(company, "run", "--dry-run", file=folder)
    clash = f"{folder / 'a.yaml'} and {folder / 'b.yaml'} both have account 'paris', which needs a name of its own"
    shutil.rmtree(folder)

    assert 2 == done.code == machine.code == run.code
    assert clash in done.out
    assert clash in run.err
    assert "3 files: 2 must not run, 1 may run" == done.out.splitlines()[-1]
    assert [2, 2, 0] == [one["exit_code"] for one in machine.objects]
    assert ["findings" in one for one in machine.objects] == [False, False, True]


def test_unlisted_consent_answers_are_flagged_for_review(company):
    """One of three leads answers with a word that is in neither list."""
    company.serve(lead(3, ("Nouveau", WON), leadData={"consent": "Peut-être"}))
    _, found, _ = looked(company)
    company.sandbox.oplead.delete_lead("L-3")
    verdict, said, advice = found["consent at leadData.consent"]

    assert ("look at", "1 of 3 answers is in neither list: <text, 9 characters> 1") == (verdict, said)
    assert "probe" in advice


def test_notes_a_start_date_in_the_future(company):
    """It is judged by the sandbox's clock and reported at its place in the file."""
    company.conversion("sale")["since"] = "2031-01-01"
    done = type_in(company, "check")

    assert 0 == done.code
    assert "conversions.1.since: Wed 1 Jan 2031 lies in the future" in done.out


def test_one_failed_account_of_two_exits_with_1(company):
    """The correct account does not hide it."""
    company.settings["meta"]["app_secret"] = "${META_APP_SECRET}"
    company.environ["META_APP_SECRET"] = APP_SECRETS["2345678901"]
    told = json.loads(without_google(company).read_text(encoding="utf-8"))
    bad = _beside(company, "bad.yaml", told | {"account": "maison-other", "state": "sqlite:///other.db"})
    del company.settings["meta"]["app_secret"]
    good = without_google(company)
    done = type_in(company, "check", "--live", "--json", "--config", str(bad), file=good)

    assert [1, 0] == [one["exit_code"] for one in done.objects]
    assert 1 == done.code


def test_plain_check_contacts_no_platform(company):
    """Without `--live` it reads only the file, and the clock if the file has a date; its JSON has no findings."""
    platforms = company.sandbox.sandbox_server_urls.keys() - {"clock"}
    before = {name: len(company.asked(name)) for name in platforms}
    done = type_in(company, "check", "--json")
    (told,) = done.objects

    assert (0, 0) == (done.code, told["exit_code"])
    assert "findings" not in told
    assert before == {name: len(company.asked(name)) for name in platforms}
    assert ["the file"] == told["checked"]
    assert ["Oplead", "google_ads", "meta"] == told["unchecked"]


# ── side effects ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("transport", suite.mostly_exhaustive([DATA_MANAGER, ADS_API], DATA_MANAGER))
def test_check_counts_and_changes_nothing(company, transport):
    """No platform records a conversion, no state is created, and Meta and Oplead receive only GET requests."""
    company.settings["google_ads"]["transport"] = transport
    company.state.unlink(missing_ok=True)
    written = files(company)
    code, found = checked(company)

    assert 0 == code
    assert {"google_ads", "meta"} == {destination for destination, _ in found}
    assert [] == company.sandbox.data_manager.conversions_json()
    assert [] == company.sandbox.google_ads.conversions_json()
    assert [] == company.sandbox.meta.conversions_json()
    assert {"GET"} == {entry["method"] for entry in company.asked("meta")}
    assert {True} == {body["validateOnly"] for body, _ in company.ingests}
    assert {"GET"} == {entry["method"] for entry in company.asked("oplead")}
    assert not company.state.exists()
    assert written == files(company)


# ── Oplead ───────────────────────────────────────────────────────────────────────────────────────


def looked(company):
    """The exit code, the findings on Oplead by subject, and the forecast for its latest leads."""
    done = type_in(company, "check", "--live", "--json")
    (told,) = done.objects
    found = {each["subject"]: (each["verdict"], each["found"], each["advice"]) for each in told["oplead"]["findings"]}
    tallies = (told["oplead"]["forecast"] or {}).get("tallies", ())
    return (
        done.code,
        found,
        {(each["conversion"], each["destination"], each["state"]): each["count"] for each in tallies},
    )


def test_forecasts_the_latest_leads_as_a_run_would(company):
    """Their whole history counts; nothing is sent and no state is created."""
    company.state.unlink(missing_ok=True)
    code, found, forecast = looked(company)

    assert (0, ("verified", "the latest 2 leads can be read", "")) == (code, found["leads"])
    assert {"verified", "look at"} == {verdict for verdict, *_ in found.values()}
    assert {2, 1} == {forecast["appointment", "google_ads", "pending"], forecast["sale", "google_ads", "pending"]}
    assert not company.state.exists()


def test_reports_configured_names_that_no_lead_has(company):
    """An unknown consent field fails at its line; a status that no lead has may still be right."""
    company.settings["consent"]["ad_user_data"]["field"] = "leaddata.concent"
    code, found, _ = looked(company)
    told = {subject.rpartition(": ")[2]: (verdict, said) for subject, (verdict, said, _) in found.items()}

    assert 1 == code
    assert ("failed", '"leaddata.concent" is in none of 2 leads; did you mean "leadData.consent"?') == told[
        "consent.ad_user_data.field"
    ]
    assert all(f"{company.config}:1: " in subject for subject in found if "consent.ad" in subject)
    assert ("look at", 'no lead has the status "Perdu" (2 looked at)') in told.values()


LOOKS_LIKE_ONE = "jalons looks like a list of past statuses with their times"


@pytest.mark.parametrize(
    ("named", "dated", "said"),
    [
        ({}, True, LOOKS_LIKE_ONE),
        ({"history": "jalons"}, True, LOOKS_LIKE_ONE),
        ({"history": "jalons"}, False, "nothing is read at jalons on any of 20 leads"),
        ({"history": "etapes"}, True, None),  # said with its line, as of any path that no lead has
    ],
)
def test_a_list_of_past_statuses_that_is_not_read_fails(companies, named, dated, said):
    """Changes would have the time of the night that sees them, and nobody would know."""
    company = companies()
    company.settings["oplead"] = {"fields": named}
    company.serve(*(_with_unusual_history(number, dated=dated) for number in range(20)))
    done = type_in(company, "check", "--live", "--json")
    (told,) = done.objects
    found = {each["subject"]: (each["verdict"], each["found"]) for each in told["oplead"]["findings"]}

    assert found.get("oplead.fields.history") == (("failed", said) if said else None)
    assert 1 == sum("oplead.fields.history" in subject for subject in found)
    assert (1 if said else 0) == done.code


@pytest.mark.parametrize("shown", [str, lambda label: {"id": f"S-{label[:2]}", "label": label}])
def test_past_statuses_that_nothing_explains_fail(companies, shown):
    """Codes alone, beside a text: what leads have reached would have the night's time."""
    company = companies()
    steps = ("Nouveau", WON - timedelta(days=2)), ("Gagné", WON)
    leads = [lead(number, *steps[: number % 2 + 1]) for number in range(20)]
    for one in leads:
        for entry in one["statusHistory"]:
            entry["status"] = f"S-{entry['status'][:2]}"
        one["status"] = shown(one["status"])
        one.pop("statusDate")
    company.serve(*leads)
    done = type_in(company, "check", "--live", "--json")
    (told,) = done.objects
    found = [each for each in told["oplead"]["findings"] if each["subject"] == "oplead.fields.history"]

    assert ["S-No, S-Ga"] == [each["advice"].rpartition(": ")[2] for each in found]
    assert all(each["verdict"] == "failed" for each in found)
    assert 1 == done.code


def _with_unusual_history(number, *, dated):
    one = lead(number, (("Gagné", "Perdu")[number % 2], WON))
    past = [{"mot": each["status"], "quand": each["date"] if dated else "hier"} for each in one.pop("statusHistory")]
    return {**one, "jalons": past}


@pytest.mark.parametrize(
    ("since", "dated", "has_run", "is_said"),
    [
        ("2026-08-20", False, False, True),
        ("2026-08-20", True, False, False),
        ("2026-09-09", False, False, False),
        ("2026-08-20", False, True, False),
    ],
)
def test_undated_statuses_that_count_from_long_before_the_first_night_are_doubted(
    companies, since, dated, has_run, is_said
):
    """The first night dates what they show, and sends it; later ones know what was there before."""
    company = companies()
    for conversion in company.settings["conversions"]:
        conversion["since"] = since
    undated = {} if dated else {"statusDate": None, "statusHistory": []}
    company.serve(*(lead(number, ("Gagné", WON), **undated) for number in range(10)))
    if has_run:
        company.night()
    _, found, _ = looked(company)

    assert is_said == ("times" in found)
    if is_said:
        assert ("look at", True) == (found["times"][0], "created since Thu 20 Aug 2026" in found["times"][1])


def test_missing_amount_or_status_date_field_fails_with_advice(company):
    """The sale would be sent with the `otherwise` value, dated by when the run saw it."""
    company.conversion("sale")["value"]["field"] = "montant"
    company.settings["oplead"] = {"fields": {"status_at": "statutDate"}}
    code, found, _ = looked(company)
    told = {subject.rpartition(": ")[2]: rest for subject, rest in found.items()}
    verdict, said, advice = told["conversions.1.value.field"]

    assert (1, "failed") == (code, verdict)
    assert '"montant" is in none of 2 leads; did you mean "amount"?' == said
    assert advice.startswith("Write the path of the amount there")
    assert ("failed", '"statutDate" is in none of 2 leads; did you mean "statusDate"?') == told[
        "oplead.fields.status_at"
    ][:2]
    assert not [subject for subject, (*_, advice) in found.items() if "only few leads" in advice]


def test_refused_oplead_key_fails_with_advice(company):
    """The advice names `probe`."""
    company.environ["OPLEAD_TOKEN"] = "another"
    code, found, forecast = looked(company)

    assert (1, {}) == (code, forecast)
    assert "failed" == found["leads"][0]
    assert "probe" in found["leads"][2]


def test_unmapped_status_with_click_ids_fails(company):
    """The first run would report it."""
    company.serve(lead(3, ("Chaud", WON)))
    code, found, _ = looked(company)
    company.sandbox.oplead.delete_lead("L-3")

    assert (1, "failed") == (code, found["statuses"][0])
    assert "chaud (1)" in found["statuses"][1].casefold()


def test_reports_unreadable_phone_numbers(company):
    """Contact data is sent and one lead's phone lacks a digit; without such a lead there is no finding."""
    company.serve(lead(4, contact={"email": "lead.4@example.com", "phone": "06 12 34 56"}))
    code, found, _ = looked(company)
    company.sandbox.oplead.delete_lead("L-4")
    verdict, said, advice = found["phones"]

    assert (0, "look at") == (code, verdict)
    assert "1 of 3 leads has a phone that cannot be read: not a valid personal number" == said
    assert "oplead.fields.country" in advice
    assert "phones" not in looked(company)[1]


@pytest.mark.parametrize(("agencies", "verdict"), [(1, "look at"), (3, "verified")])
def test_says_whether_the_key_may_be_one_users(companies, agencies, verdict):
    """A user's key shows one user's leads, and a night by it would never send the others'."""
    company = companies()
    company.serve(*(lead(number, agency=f"Agence {number % agencies}") for number in range(25)))
    _, found, _ = looked(company)

    assert verdict == found["key"][0]
    assert ("client admin's" in found["key"][1]) == (agencies > 1)


def test_a_suppliers_key_fails_as_what_it_is(company):
    """It reads settings and no leads."""
    company.environ["OPLEAD_TOKEN"] = SUPPLIER_KEY
    code, found, _ = looked(company)

    assert (1, "failed") == (code, found["key"][0])
    assert "seems to be a supplier's" in found["key"][1]
