"""`explain` shows each answer about consent, where and when it was read, and what was sent on it."""

from datetime import timedelta

import pytest

from tests.e2e.support.typed import type_in

DAY = timedelta(days=1)
BECAUSE = "Consent is a condition of the form"


@pytest.fixture
def company(company):
    """A company that takes a missing answer as yes; one lead has answered, and refuses later, and one never has."""
    company.settings["consent"] |= {"missing": "assume_granted", "because": BECAUSE}
    won = ("Gagné", company.START - DAY)
    silent = company.lead(2, won)
    silent["leadData"].pop("consent")
    company.serve(company.lead(1, won), silent)
    company.night()
    refused = company.lead(1, won)
    refused["leadData"]["consent"] = "non"
    company.serve(refused)
    company.later(2 * DAY)
    return company


def test_an_answer_stays_with_what_was_sent_on_it(company):
    """Although the lead refuses since."""
    (told,) = type_in(company, "explain", "L-1", "--json").objects
    sale = next(each for each in told["verdicts"] if each["conversion"] == "sale")
    granted = {"signal": "ad_user_data", "answer": "granted", "field": "leadData.consent", "value": "oui"}

    assert ["granted", "refused"] == [each["answer"] for each in told["consent_answers"]]
    assert {"answers": [granted | {"read_at": "2026-09-10T03:30:00+00:00"}], "assumed": None} == sale["sent_on"]
    assert 3 <= type_in(company, "explain", "L-1").lines.count("Thu 10 Sep 2026 05:30 use of its data: yes")


def test_an_assumed_consent_is_shown_with_its_reason_and_date(company):
    """It is what the conversion was sent on."""
    (told,) = type_in(company, "explain", "L-2", "--json").objects
    sale = next(each for each in told["verdicts"] if each["conversion"] == "sale")

    assert ["missing"] == [each["answer"] for each in sale["sent_on"]["answers"]]
    assert {"because": BECAUSE, "since": "2026-09-10T03:30:00+00:00"} == sale["sent_on"]["assumed"]
    assert f"no answer taken as yes since Thu 10 Sep 2026 05:30: {BECAUSE}" in type_in(company, "explain", "L-2").lines


def test_it_is_shown_in_french(company):
    """As the account's language has it."""
    company.settings["language"] = "fr"
    said = type_in(company, "explain", "L-2").lines

    assert "consentement retenu" in said
    assert f"absence de réponse prise pour un oui depuis le jeu. 10 sept. 2026 05:30 : {BECAUSE}" in said
