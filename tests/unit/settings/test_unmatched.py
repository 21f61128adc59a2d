"""Paths and labels in the settings that no lead has are reported at their line, with the likely intended one."""

import pytest

from connectors.survey import SeenInLeads
from jobs.settings.unmatched import unmatched_settings_references

FILE = """\
stages:
  won: [Gagné, Vendue]
  lost: perdu
ignored_statuses: [Nouveau, Nurserie]
consent:
  ad_user_data: { field: leadData.Consent_pub, granted: [oui], refused: [non] }
  ad_personalization: { field: perso, granted: [oui], refused: [non] }
conversions:
  - id: sale
    stage: won
    where: { Channel: [Site web], canal: [Web] }
    value: { field: montant, tax: included }
oplead:
  fields: { status_at: [statusDate, status.date] }
exclude: { fields: { kind: [Test] } }
"""
HAVE = {"lead_data.consent_pub": 9, "channel": 30, "amount": 2, "statusDate": 30, "statut": 30, "user_data": 1} | {
    "contact": 30,
    "contact.mail": 30,
}
FOUND = {"leadData.Consent_pub": 9, "Channel": 30, "statusDate": 30}


@pytest.fixture
def told(tmp_path):
    """The message for each finding in a file, and whether it stops something, by line."""

    def read(text=FILE, have=HAVE, labels=("Gagné", "Nouveau", "Vendu", "Perdu"), leads=30):
        file = tmp_path / "pipeline.yaml"
        file.write_text(text, encoding="utf-8")
        seen = SeenInLeads(leads, list(have), labels, lambda path: FOUND.get(path, 0))
        return [(one.problem.line, one.problem.message, one.stops) for one in unmatched_settings_references(file, seen)]

    return read


@pytest.fixture
def advised(tmp_path):
    """The message for each finding in a file, whether it stops something, and the advice."""

    def read(text):
        file = tmp_path / "pipeline.yaml"
        file.write_text(text, encoding="utf-8")
        seen = SeenInLeads(30, list(HAVE), ("Gagné", "Nouveau"), lambda path: FOUND.get(path, 0))
        return [(one.problem.message, one.stops, one.advice) for one in unmatched_settings_references(file, seen)]

    return read


def test_a_path_that_no_lead_has_is_reported_at_its_line(told):
    """It uses the reader's own comparison; an optional path may just be rare, but an amount decides money and stops."""
    paths = [(line, said, stops) for line, said, stops in told() if "is in none of 30 leads" in said]

    assert [
        (7, '"perso" is in none of 30 leads', True),
        (11, '"canal" is in none of 30 leads; did you mean "channel"?', True),
        (12, '"montant" is in none of 30 leads; did you mean "amount"?', True),
        (14, '"status.date" is in none of 30 leads; did you mean "statusDate"?', False),
        (15, '"kind" is in none of 30 leads', False),
    ] == paths


def test_a_finding_that_stops_always_says_what_to_write(advised):
    """Examples are an amount on no lead although one was sold, and a status date on none."""
    text = FILE.replace("[statusDate, status.date]", "statutDate")

    assert [
        "Write the path of the amount there, or a number as `value`; `oplead-sync probe` shows what leads have."
    ] == [advice for said, stops, advice in advised(text) if '"montant"' in said and stops]
    assert ["Fix it there; `oplead-sync probe` shows what leads have."] == [
        advice for said, stops, advice in advised(text) if '"statutDate"' in said and stops
    ]
    assert not [said for said, _, advice in advised(text) if "is in none" in said and "Nothing to do" in advice]


def test_a_missing_amount_does_not_stop_before_its_stage_is_reached(told):
    """New leads have no amount yet, so the path may well be right."""
    found = [(said, stops) for _, said, stops in told(labels=("Nouveau", "Perdu")) if '"montant"' in said]

    assert [
        ('"montant" is in none of 30 leads, and none of those has reached its stage; did you mean "amount"?', False)
    ] == found


def test_a_missing_amount_stops_once_a_lead_reaches_an_implying_stage(told):
    """The case also has a single conversion written without a list."""
    text = "stages: {quote: [Devis], won: [Gagné]}\nconversions:\n  {id: a, stage: quote, implied_by: won, "
    text += "value: {field: montant, tax: included}}\n"

    assert [True] == [stops for _, said, stops in told(text) if '"montant"' in said]


def test_suggests_the_nearest_path_ignoring_case_and_underscores(told):
    """The same last name under another parent comes before a similar spelling."""
    text = "consent: { ad_user_data: { field: tracking.CONSENTPUB, granted: [oui], refused: [non] } }"

    ((_, said, _),) = told(text)

    assert said.endswith('; did you mean "lead_data.consent_pub"?')


def test_a_status_that_no_lead_has_is_reported(told):
    """It suggests a similar label that the settings do not use yet; accents and case do not matter."""
    labels = [(line, said) for line, said, stops in told() if 'status "' in said and not stops]

    assert [(2, 'no lead has the status "Vendue" (30 looked at); did you mean "Vendu"?')] == labels


def test_an_ignored_status_is_reported_only_if_misspelt(told):
    """So few leads may well lack it; a stage's label is reported even with nothing similar."""
    text = "stages: { won: [Vendu, Signé] }\nignored_statuses: [Nouveau, Nurserie, Refusée]\n"
    labels = [(line, said) for line, said, _ in told(text, labels=("Vendu", "Nouveau", "Refusé"))]

    assert [
        (1, 'no lead has the status "Signé" (30 looked at)'),
        (2, 'no lead has the status "Refusée" (30 looked at); did you mean "Refusé"?'),
    ] == labels


@pytest.mark.parametrize("text", ["", "stages: [", "stages: {won: }", "consent: oui", "oplead: { fields: 3 }"])
def test_a_broken_settings_file_does_not_raise(told, text):
    """Its problems are reported elsewhere."""
    told(text)


def test_reports_nothing_without_leads(told):
    """An empty Oplead says nothing about the settings."""
    assert [] == told(leads=0)


def test_keys_within_the_history_are_no_paths_of_leads(told):
    """`init` writes them; no lead has them at its top."""
    keys = "oplead:\n  fields: { history: [statuses], history_status: [mot], history_at: [startDate], status: etat }\n"

    assert ["statuses", "etat"] == [said.split('"')[1] for _, said, _ in told(keys)]
