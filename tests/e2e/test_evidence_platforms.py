"""What `evidence` asks Google and Meta: what validates or reads, and at Meta only a dataset that was made for tests."""

import json
from dataclasses import replace

import pytest

from connectors.evidence import ExchangeRecorder, Shown
from connectors.sandbox.meta.wire import TOKENS
from connectors.sandbox.platform import FaultKind
from jobs.claims import ClaimId
from jobs.cli.progress import open_clock_showing_waits
from jobs.cli.setup import evidence
from jobs.evidence import google, meta
from jobs.evidence.folder import Evidence
from jobs.evidence.session import Session
from jobs.settings import ValidSettings
from jobs.settings.load import PartialSettings, load, load_partial
from tests.e2e.support.company import DATASET
from tests.e2e.support.evidence import WRITE, serve_pages
from tests.e2e.support.terminal import terminal
from tests.e2e.support.typed import type_in

CHECKS = {**google.CHECKS, **meta.CHECKS}
OTHER = next(one for one in TOKENS if one != DATASET)


@pytest.fixture(scope="module")
def shared(companies):
    """One company that sends to Google and Meta."""
    company = companies()
    company.use_meta()
    return company


@pytest.fixture
def company(shared):
    """It, with settings, secrets and platforms restored afterwards."""
    with shared.restored(
        ("data_manager", "violation_index", True),
        ("meta", "meta_quality_readable", True),
        ("meta", "meta_received", "all"),
    ):
        yield shared


def check(company, name, *, answer=True, dataset=None, kept=None, asked=None):
    """One check's verdict, and why."""
    heard = [] if asked is None else asked
    file = company.config
    known, loaded = load_partial(file, company.environ), load(file, company.environ)
    assert isinstance(known, PartialSettings), known
    assert isinstance(loaded, ValidSettings), loaded
    with open_clock_showing_waits(known.settings) as clock:
        session = Session(
            known=known,
            settings=loaded.settings,
            clock=clock,
            recorder=kept or ExchangeRecorder(),
            agrees=lambda question: heard.append(question) or answer,
            evidence=Evidence(clock.now().date(), "1.0", "0f"),
            save=lambda: None,
            test_dataset=dataset,
        )
        finding = CHECKS[ClaimId(name)](session)
    assert {"en", "fr"} == set(finding.why)
    return finding.verdict.value, finding.why["en"]


def use_test_token(company):
    """Have a token that may send to the other dataset."""
    company.environ["META_ACCESS_TOKEN"] = TOKENS[OTHER]


def posts(company):
    """What Meta was sent."""
    return [one for one in company.asked("meta") if one["method"] != "GET"]


# ── Google ───────────────────────────────────────────────────────────────────────────────────────


def test_google_is_asked_to_validate_and_nothing_else(company):
    """Each request to the Data Manager API says so, and the Google Ads API is only read."""
    before = len(company.ingests)
    said = {name: check(company, name)[0] for name in google.CHECKS}

    assert said == {
        "google.click_window": "confirmed",
        "google.field_violations": "confirmed",
        "google.refusals": "unclear",
        "google.consent_unspecified": "unclear",
    }
    sent = [body for body, _status in company.ingests[before:]]
    assert len(sent) > len(google.CHECKS)
    assert {True} == {one.get("validateOnly") for one in sent}
    assert [] == company.calls
    assert 0 == company.sandbox.data_manager.counts["taken"]


def test_rows_that_are_not_named_by_number_refute_the_claim(company):
    """As in the sandbox's other position."""
    company.sandbox.data_manager.set_switch("violation_index", False)

    assert "refuted" == check(company, "google.field_violations")[0]


def refuse_at_google(company, code, field="events.events[0].conversion_value", *, status="INVALID_ARGUMENT", after=1):
    """Have Google take its first requests and then refuse each with this reason."""
    details = [
        {"@type": "x.ErrorInfo", "reason": code},
        {"@type": "x.BadRequest", "fieldViolations": [{"field": field}]},
    ]
    body = json.dumps({"error": {"status": status, "details": details}})
    http = 403 if status == "PERMISSION_DENIED" else 400
    company.fail("data_manager", "status", path="/v1/events:ingest", after=after, count=9, status=http, body=body)


def test_another_code_refutes_and_a_closed_account_leaves_all_unclear(company):
    """A refusal of the whole account says nothing of a row."""
    refuse_at_google(company, "INVALID_EVENT")
    assert "refuted" == check(company, "google.refusals")[0]

    company.settings["google_ads"]["login_customer_id"] = "9998887777"
    assert {"unclear"} == {check(company, name)[0] for name in google.CHECKS if name != "google.click_window"}


def test_the_codes_of_some_malformed_rows_do_not_speak_for_all(company):
    """The sandbox's other assumed codes, and the Google Ads API, were not seen."""
    verdict, why = check(company, "google.refusals")

    assert ("unclear", True) == (verdict, "3" in why)


@pytest.mark.parametrize(
    ("code", "field", "status"),
    [
        ("PERMISSION_DENIED", "destinations[0]", "PERMISSION_DENIED"),
        ("DESTINATION_ACCOUNT_TYPE_MISMATCH", "destinations[0]", "INVALID_ARGUMENT"),
        ("INVALID_CONVERSION_ACTION_ID", "destinations[0].product_destination_id", "NOT_FOUND"),
        ("RESOURCE_EXHAUSTED", "events.events[0]", "RESOURCE_EXHAUSTED"),
    ],
)
@pytest.mark.parametrize("name", ["google.refusals", "google.field_violations", "google.consent_unspecified"])
def test_only_a_refusal_about_a_row_says_how_google_refuses_rows(company, name, code, field, status):
    """Not one of the account, of its permission, of the action or of the pace."""
    refuse_at_google(company, code, field, status=status)

    assert "unclear" == check(company, name)[0]


def test_rows_that_google_takes_from_nobody_say_nothing_of_bad_ones(company):
    """If it refuses good ones together, a bad one among them is not what it refuses."""
    refuse_at_google(company, "INVALID_EVENT", "events.events[2]", after=0)

    assert ("unclear", True) == tuple(
        said if said == "unclear" else "INVALID_EVENT" in said for said in check(company, "google.field_violations")
    )


@pytest.mark.parametrize(
    ("code", "verdict"),
    [("PROCESSING_ERROR_REASON_UNKNOWN_CONSENT", "confirmed"), ("REQUIRED_FIELD_MISSING", "refuted")],
)
def test_a_row_that_is_refused_without_consent_shows_the_code(company, code, verdict):
    """Nothing else about it was different."""
    refuse_at_google(company, code, "events.events[0].consent")

    assert verdict == check(company, "google.consent_unspecified")[0]


def google_shows(company, windows):
    """Have Google Ads show the actions of the settings with these click windows, and none that has None."""
    actions = company.sandbox.data_manager.google.accounts[company.CUSTOMER].actions
    for one, days in zip(company.settings["conversions"], windows, strict=True):
        number = str(one["google_ads"]["conversion_action"])
        usual = actions.pop(number)
        if days:
            actions[number] = replace(usual, click_window_days=days)


@pytest.mark.parametrize(
    ("windows", "verdict", "said"),
    [
        ((90, 90), "confirmed", "(2)"),
        ((90, None), "unclear", "1 of the 2"),
        ((None, None), "unclear", "0 of the 2"),
        ((30, None), "refuted", "another"),
        ((90, 30), "refuted", "another"),
    ],
)
def test_ninety_days_hold_only_where_every_window_was_read(company, windows, verdict, said):
    """One that was not read may be any; one that differs is enough."""
    actions = company.sandbox.data_manager.google.accounts[company.CUSTOMER].actions
    usual = dict(actions)
    try:
        google_shows(company, windows)
        found, why = check(company, "google.click_window")
    finally:
        actions.clear()
        actions.update(usual)

    assert (verdict, True) == (found, said in why), why


def test_a_window_that_the_settings_do_not_name_refutes_ninety_days(company):
    """One that they name says nothing."""
    named = [one["google_ads"] for one in company.settings["conversions"]]
    actions = company.sandbox.data_manager.google.accounts[company.CUSTOMER].actions
    number = str(named[0]["conversion_action"])
    usual, actions[number] = actions[number], replace(actions[number], click_window_days=30)
    verdict = check(company, "google.click_window")[0]
    actions[number] = usual
    for one in named:
        one["conversion_action"] = {"id": one["conversion_action"], "click_window_days": 90}

    assert ("refuted", "unclear") == (verdict, check(company, "google.click_window")[0])


def test_exchanges_with_google_hold_names_and_codes_alone(company):
    """No value, no account."""
    kept = ExchangeRecorder()
    for name in google.CHECKS:
        check(company, name, kept=kept)
    shown = [str(one) for one in kept.taken(Shown())]

    assert any("events.events[1]" in one for one in shown)
    assert not [one for one in shown if company.CUSTOMER in one or "oplead-sync-evidence" in one]


# ── Meta ─────────────────────────────────────────────────────────────────────────────────────────


TOO_OLD = {"code": 100, "error_subcode": 2804003}


def refuse_at_meta(company, error, *, after=1):
    """Have Meta take its first requests and then refuse each with this error."""
    company.fail("meta", "status", after=after, count=9, status=400, body=json.dumps({"error": error}))


@pytest.mark.parametrize("dataset", [None, DATASET, f"0{DATASET}"])
def test_meta_is_only_read_without_a_dataset_made_for_tests(company, dataset):
    """One that nights send to is none."""
    before = posts(company)

    assert {"unclear"} == {check(company, name, dataset=dataset)[0] for name in meta.CHECKS}
    assert before == posts(company)


def test_nothing_goes_to_a_test_dataset_without_a_yes(company):
    """Each asks, and names the dataset."""
    use_test_token(company)
    before, asked = posts(company), []

    said = {check(company, name, dataset=OTHER, answer=False, asked=asked)[0] for name in meta.CHECKS}
    assert {"unclear"} == said
    assert before == posts(company)
    assert [True, True] == [OTHER in one for one in asked]


def test_a_test_dataset_alone_hears_of_the_events(company):
    """One that is surely good, and then one that is too old among others, or on either side of the limit."""
    use_test_token(company)
    before = len(posts(company))

    assert "unclear" == check(company, "meta.refusals", dataset=OTHER)[0]
    assert "confirmed" == check(company, "meta.seven_days", dataset=OTHER)[0]
    assert 5 == len(posts(company)) - before
    assert not [one for one in posts(company)[before:] if f"/{OTHER}/" not in one["path"]]


def test_one_refused_request_does_not_speak_for_all_refusals(company):
    """Whether an event is named, and every other code, remain to be seen."""
    use_test_token(company)
    verdict, why = check(company, "meta.refusals", dataset=OTHER)

    assert ("unclear", True) == (verdict, "three events were refused together" in why)


@pytest.mark.parametrize(
    ("name", "error", "verdict"),
    [
        ("meta.refusals", {"code": 100, "error_subcode": 2804019}, "refuted"),
        ("meta.refusals", {"code": 190}, "unclear"),
        ("meta.refusals", {"code": 200}, "unclear"),
        ("meta.refusals", {"code": 4}, "unclear"),
        ("meta.refusals", {"code": 100, "error_subcode": 33}, "unclear"),
        ("meta.refusals", {"code": 100, "error_subcode": 2804016}, "unclear"),
        ("meta.seven_days", TOO_OLD, "refuted"),
        ("meta.seven_days", {"code": 4}, "unclear"),
        ("meta.seven_days", {"code": 200}, "unclear"),
    ],
)
def test_an_error_of_metas_refutes_only_what_it_speaks_of(company, name, error, verdict):
    """Of an event, and not of the token, the dataset, the pace or a fault of ours."""
    use_test_token(company)
    refuse_at_meta(company, error)

    assert verdict == check(company, name, dataset=OTHER)[0]


@pytest.mark.parametrize("name", ["meta.refusals", "meta.seven_days"])
@pytest.mark.parametrize("error", [{"code": 100, "error_subcode": 2804050}, TOO_OLD])
def test_a_test_dataset_that_takes_no_good_event_shows_nothing(company, name, error):
    """What is refused for something else is not refused for its age."""
    use_test_token(company)
    refuse_at_meta(company, error, after=0)
    before = len(posts(company))
    verdict, why = check(company, name, dataset=OTHER)

    assert ("unclear", True) == (verdict, f"100/{error['error_subcode']}" in why)
    assert 1 == len(posts(company)) - before


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, {"events_received": 1}, "refuted"),
        (400, {"error": {"code": 200}}, "unclear"),
        (400, {"error": TOO_OLD}, "confirmed"),
    ],
)
def test_seven_days_are_the_limit_only_where_older_events_are_refused(company, status, body, verdict):
    """That one of six days and 23 hours is taken says nothing of the next day."""
    use_test_token(company)
    company.fail("meta", "status", after=2, status=status, body=json.dumps(body))

    assert verdict == check(company, "meta.seven_days", dataset=OTHER)[0]


def of_lead(**quality):
    """The ratings of one event, as `/dataset_quality` gives them."""
    return {"web": [{"event_name": "Lead", **quality}]}


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (of_lead(event_match_quality={"composite_score": 6.1}), "unclear"),
        (of_lead(), "unclear"),
        (of_lead(event_match_quality={}), "unclear"),
        (of_lead(event_match_quality=None), "unclear"),
        (of_lead(event_match_quality={"composite_score": None}), "unclear"),
        (of_lead(event_match_quality=6.1), "refuted"),
        (of_lead(event_match_quality={"composite_score": "good"}), "refuted"),
        ({"web": {"event_name": "Lead"}}, "refuted"),
        ({"web": []}, "unclear"),
        ({"blocked": "by your company"}, "unclear"),
        ({"error": {"code": 200}}, "unclear"),
        ({"error": {"code": 190}}, "unclear"),
        ("no object", "unclear"),
    ],
)
def test_ratings_in_another_form_refute_the_claim(company, answer, verdict):
    """One token shows only one side of it; an event that is not rated yet is no other form."""
    status = 403 if "error" in answer else 200
    company.fail("meta", FaultKind.STATUS, status=status, body=json.dumps(answer))

    assert verdict == check(company, "meta.dataset_quality")[0]


def test_ratings_are_confirmed_where_one_token_reads_them_and_another_may_not(company):
    """Both halves of the claim were seen."""
    company.settings["meta"] = [{**company.settings["meta"], "id": name} for name in ("meta", "other")]
    company.settings["meta"][1]["dataset_id"] = OTHER
    seen = of_lead(event_match_quality={"composite_score": 6.1})
    company.fail("meta", "status", status=200, body=json.dumps(seen))
    company.fail("meta", "status", status=403, body=json.dumps({"error": {"code": 200}}))

    assert "confirmed" == check(company, "meta.dataset_quality")[0]


def test_a_page_of_a_proxy_is_no_form_of_ratings(company):
    """Even one with status 200."""
    company.fail("meta", "html")

    assert "unclear" == check(company, "meta.dataset_quality")[0]


# ── --test-dataset ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dataset", [DATASET, f"0{DATASET}"])
def test_a_dataset_that_nights_send_to_is_refused_before_anything_is_asked(company, dataset, tmp_path):
    """With what to name instead."""
    servers = ("oplead", "meta", "data_manager")
    before = [len(company.asked(server)) for server in servers]
    done = type_in(company, "evidence", "--out", str(tmp_path / "out"), "--test-dataset", dataset)

    assert 2 == done.code, done.out
    assert "--test-dataset" in done.err
    assert "nights send to" in done.err
    assert before == [len(company.asked(server)) for server in servers]
    assert not (tmp_path / "out").exists()


# ── the whole walk ───────────────────────────────────────────────────────────────────────────────

UNSHOWN = ("first_name", "last_name", "postcode", "city")
"""What the company's leads lack."""


def test_a_second_walk_goes_on_with_the_test_lead_of_the_first(company, monkeypatch, tmp_path):
    """Its own address in the list is nobody's personal data; nothing that is settled is asked again.

    Where its address is written, no setting says: the leads that were read do.
    """
    serve_pages(company)
    company.settings["oplead"] = {"write": {"fields": {name: WRITE["fields"][name] for name in UNSHOWN}}}
    asked = []
    monkeypatch.setattr(evidence, "is_interactive", lambda: True)
    monkeypatch.setattr(
        evidence, "is_answered_with_yes", lambda question, _stop: asked.append(question) or "Delete" not in question
    )
    codes, counts = [], []
    for _walk in range(2):
        codes.append(evidence.gather_evidence(company.config, tmp_path / "out", environ=company.environ))
        counts.append(len(asked))

    assert [0, 0] == codes
    written = [one for one in company.asked("oplead") if (one["method"], one["path"]) == ("POST", "/v1/leads")]
    assert 1 == len(written)
    assert counts[1] - counts[0] < counts[0]
    folder = json.loads((tmp_path / "out" / "evidence.json").read_text())
    verdicts = {one["claim"]: one["verdict"] for one in folder["verdicts"]}
    assert "confirmed" == verdicts["oplead.create_and_change"]
    assert {"confirmed", "unclear"} >= {verdicts[name] for name in CHECKS}
    assert ["lead", "document"] == [one["kind"] for one in folder["left_behind"]]


def test_what_is_typed_before_a_question_is_no_answer_to_it(company, tmp_path):
    """Neither while Oplead is read, nor together with the answer to the question before."""
    serve_pages(company)
    company.settings["oplead"] = {"write": WRITE}
    told = ("evidence", "--out", str(tmp_path / "out"), "--config", str(company.config))
    with terminal(*told, environ=company.environ) as screen:
        screen.type_ahead("o")
        code, asked = screen.answer_all("non\no")

    assert 0 == code, screen.screen
    assert len(asked) > 1
    assert {"GET"} == {one["method"] for one in company.asked("oplead")}
