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


def check(company, name, *, answer=True, dataset=None, kept=None):
    """One check's verdict, and why."""
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
            agrees=lambda _question: answer,
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
        "google.refusals": "confirmed",
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


def test_another_code_refutes_and_a_closed_account_leaves_all_unclear(company):
    """A refusal of the whole account says nothing of a row."""
    error = {"error": {"status": "INVALID_ARGUMENT", "details": [{"@type": "x/ErrorInfo", "reason": "INVALID_EVENT"}]}}
    company.fail(
        "data_manager", FaultKind.STATUS, path="/v1/events:ingest", after=1, status=400, body=json.dumps(error)
    )
    assert "refuted" == check(company, "google.refusals")[0]

    company.settings["google_ads"]["login_customer_id"] = "9998887777"
    assert {"unclear"} == {check(company, name)[0] for name in google.CHECKS if name != "google.click_window"}


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


@pytest.mark.parametrize("dataset", [None, DATASET, "not-a-number"])
def test_meta_is_only_read_without_a_dataset_made_for_tests(company, dataset):
    """One that nights send to is none."""
    before = posts(company)

    assert {"unclear"} == {check(company, name, dataset=dataset)[0] for name in meta.CHECKS}
    assert before == posts(company)


def test_nothing_goes_to_a_test_dataset_without_a_yes(company):
    """Each asks."""
    use_test_token(company)
    before = posts(company)

    assert {"unclear"} == {check(company, name, dataset=OTHER, answer=False)[0] for name in meta.CHECKS}
    assert before == posts(company)


def test_a_test_dataset_alone_hears_of_the_events(company):
    """Refused together, and one that is just in time."""
    use_test_token(company)
    before = len(posts(company))

    assert "confirmed" == check(company, "meta.refusals", dataset=OTHER)[0]
    assert "confirmed" == check(company, "meta.seven_days", dataset=OTHER)[0]
    assert 2 == len(posts(company)) - before
    assert not [one for one in posts(company)[before:] if f"/{OTHER}/" not in one["path"]]


@pytest.mark.parametrize(
    ("name", "error", "verdict"),
    [
        ("meta.refusals", {"code": 100, "error_subcode": 2804019}, "refuted"),
        ("meta.refusals", {"code": 190}, "unclear"),
        ("meta.seven_days", {"code": 100, "error_subcode": 2804003}, "refuted"),
        ("meta.seven_days", {"code": 4}, "unclear"),
    ],
)
def test_an_error_of_metas_refutes_only_what_it_speaks_of(company, name, error, verdict):
    """Of an event, and not of the token or the pace."""
    use_test_token(company)
    company.fail("meta", FaultKind.STATUS, status=400, body=json.dumps({"error": error}))

    assert verdict == check(company, name, dataset=OTHER)[0]


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ({"web": [{"event_name": "Lead", "event_match_quality": {"composite_score": 6.1}}]}, "unclear"),
        ({"web": [{"event_name": "Lead", "score": 6.1}]}, "refuted"),
        ({"web": []}, "unclear"),
        ({"error": {"code": 200}}, "unclear"),
    ],
)
def test_ratings_in_another_form_refute_the_claim(company, answer, verdict):
    """One token shows only one side of it."""
    status = 403 if "error" in answer else 200
    company.fail("meta", FaultKind.STATUS, status=status, body=json.dumps(answer))

    assert verdict == check(company, "meta.dataset_quality")[0]


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
