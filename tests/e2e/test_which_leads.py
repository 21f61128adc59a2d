"""`status --reason` names the leads behind a count, without personal data."""

from datetime import timedelta

import pytest

from jobs.reporting import status_report
from tests.e2e.support.typed import type_in

UNSURE = {"consent": "OK tél", "utm_source": "google"}


@pytest.fixture
def night(company):
    """A company after a run: two leads with unlisted consent, one without a click id, and one sale that is sent."""
    company.conversion("appointment").pop("implied_by")
    at = company.START - timedelta(hours=20)
    told = [
        company.lead(number, ("Gagné", at), leadData=UNSURE | {"externalID": f"gclid=x{number}"}) for number in (1, 2)
    ]
    told += [company.lead(3, ("Gagné", at), leadData={"consent": "oui"}), company.lead(4, ("Gagné", at))]
    company.serve(*told)
    return company, type_in(company, "run")


@pytest.mark.parametrize("called", ["consent_unknown", "Consent unclear"])
def test_status_reason_lists_its_leads(night, called):
    """The reason is a code or the table's wording; each lead has its conversion, state and time."""
    company, _ = night
    told = type_in(company, "status", "--reason", called)
    rows = [line.split() for line in told.out.splitlines() if line.startswith("L-")]

    assert 0 == told.code
    assert told.out.splitlines()[0] in {
        "maison-test · consent_unknown (consent unclear): 2 leads",
        f"maison-test · {called}: 2 leads",
    }
    assert {"L-1", "L-2"} == {row[0] for row in rows}
    assert "sale held back Thu 10 Sep 2026 05:30 consent unclear" in told.lines
    assert "OK tél" not in told.out


def test_status_reason_accepts_a_state_name(night):
    """It covers every reason of that state, and the JSON has states and reasons as codes."""
    company, _ = night
    (told,) = type_in(company, "status", "--reason", "withheld", "--json").objects
    first = told["stands"][0]

    assert {("L-1", "consent_unknown"), ("L-2", "consent_unknown"), ("L-3", "no_click_id")} == {
        (each["lead"], each["reason"]) for each in told["stands"]
    }
    assert ("sale", "google_ads", "withheld", False) == tuple(
        first[name] for name in ("conversion", "destination", "state", "is_correction")
    )
    assert first["since"].startswith("2026-09-10T03:30:")


def test_status_reason_truncates_long_lists(night, monkeypatch):
    """The rest is counted, and `--json` has all of it."""
    monkeypatch.setattr(status_report, "SHOWN", 2)
    company, _ = night
    told = type_in(company, "status", "--reason", "withheld")

    assert 2 == sum(line.startswith("L-") for line in told.out.splitlines())
    assert "and 1 more (see --json)" in told.out
    assert "3 leads" in told.out


def test_unknown_reason_names_the_codes_in_use(night):
    """It is wrong usage, whereas a valid reason without leads is an answer."""
    company, _ = night
    wrong, empty = (type_in(company, "status", "--reason", code) for code in ("consent_unkown", "value_missing"))

    assert 2 == wrong.code
    for code in ("consent_unknown", "no_click_id", "withheld", "submitted"):
        assert code in wrong.err
    assert "value_missing" not in wrong.err
    assert (0, "maison-test · value_missing (no amount): 0 leads") == (empty.code, empty.out.strip())


def test_run_and_status_mention_status_reason(night):
    """A dry run does not, as it leaves no state to query."""
    company, run = night
    said = f"Which leads: `oplead-sync status --reason CODE --config {company.config}`"

    assert f"{said} CODE is one of consent_unknown, no_click_id" in run.lines
    assert said in type_in(company, "status").lines
    assert said not in type_in(company, "run", "--dry-run").lines


def test_correction_is_listed_separately(night):
    """A conversion and its correction each have a line, and count as one lead."""
    company, _ = night
    company.later()
    sold = company.lead(4, ("Gagné", company.START - timedelta(hours=20)), amount="14 000,00 €")
    company.serve(sold | {"updatedAt": "2026-09-11T01:00:00"})
    company.night(company.clock.now() + timedelta(days=1))
    company.later()
    told = type_in(company, "status", "--reason", "accepted")

    assert ["sale", "sale (correction)"] == [
        " ".join(line.split()[1:-6]) for line in told.out.splitlines() if line.startswith("L-4")
    ]
    assert "accepted: 1 lead\n" in told.out


def test_explain_names_the_field_of_an_unlisted_answer(night):
    """The answer itself is not stored, so the user reads it in Oplead."""
    company, _ = night
    told = type_in(company, "explain", "L-1")

    assert "an answer the settings do not list: read leadData.consent of this lead in Oplead" in told.lines
    assert "personal ads: not asked: the settings name no field " in told.lines
    assert "OK tél" not in told.out


# ── expired conversions ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def late(company):
    """A run at Meta alone: a refusal and a late lead, both too old, and a recent refusal."""
    company.use_meta_alone()
    company.settings["conversions"] = [company.conversion("appointment")]
    for number, days, consent in ((1, 8, "non"), (2, 8, "oui"), (3, 1, "non")):
        made = company.START - timedelta(days=days)
        click = {"externalID": f"fbclid={company.fbclid(number)}", "consent": consent}
        company.serve(company.lead(number, ("RDV pris", made), created=made - timedelta(hours=1), leadData=click))
    return company, type_in(company, "run")


def test_status_reason_finds_expired_by_their_earlier_reason(late):
    """They are listed beside leads still withheld for it; a lead that was only late is not."""
    company, _ = late
    (told,) = type_in(company, "status", "--reason", "consent_refused", "--json").objects
    shown = type_in(company, "status", "--reason", "Consent refused")

    assert {
        ("L-1", "expired", "window_closed", "consent_refused"),
        ("L-3", "withheld", "consent_refused", None),
    } == {tuple(each[name] for name in ("lead", "state", "reason", "held_for")) for each in told["stands"]}
    assert "too late, held for: consent refused" in shown.lines
    assert 2 == len(type_in(company, "status", "--reason", "window_closed", "--json").objects[0]["stands"])


def test_expired_conversions_are_counted_by_earlier_reason(late):
    """The run's report and `status` agree, and name the codes that find them."""
    company, run = late
    (status,) = type_in(company, "status", "--json").objects
    told = {(each["reason"], each["held_for"], each["count"]) for each in status["tallies"]}

    assert {("window_closed", "consent_refused", 1), ("window_closed", None, 1), ("consent_refused", None, 1)} == told
    for shown in (run, type_in(company, "status")):
        assert "too late, held for: consent refused" in shown.lines
        assert "CODE is one of consent_refused, window_closed" in shown.lines


def test_explain_shows_why_an_expired_conversion_was_withheld(late):
    """The heading has the reason in words, and the JSON its code."""
    company, _ = late
    held, came_late = (type_in(company, "explain", lead) for lead in ("L-1", "L-2"))
    (told,) = type_in(company, "explain", "L-1", "--json").objects

    assert "meta: expired, held for: consent refused" in held.lines
    assert "The lead refused the use of its data for advertising." in held.lines
    assert "meta: expired " in came_late.lines
    assert ["consent_refused"] == [each["held_for"] for each in told["verdicts"] if each["state"] == "expired"]


def test_status_and_explain_need_no_secret(night, monkeypatch, tmp_path):
    """The person who answers questions about a lead holds no key; `check` and `run` still insist on it."""
    company, _ = night
    for name in list(company.environ):
        monkeypatch.delenv(name, raising=False)
    company.environ.clear()
    company.settings["google_ads"]["credentials"] = str(tmp_path / "not-here.json")
    company.settings["notify"] = ["${NOTIFY_URL}"]
    company.settings["ping"] = "${PING_URL}"

    looked = [
        type_in(company, *command)
        for command in (("status",), ("status", "--json"), ("status", "--reason", "withheld"), ("explain", "L-1"))
    ]
    refused = [type_in(company, *command) for command in (("check",), ("run", "--dry-run"))]

    assert [0, 0, 0, 0] == [told.code for told in looked]
    assert {""} == {told.err for told in looked}
    assert [2, 2] == [told.code for told in refused]
