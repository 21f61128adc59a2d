"""What the settings name and no lead has is told at its line, with what may have been meant."""

import pytest

from connectors.survey import SeenInLeads
from jobs.settings.unmatched import unmatched

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
    """What is told of a file, and whether it stops something, by line."""

    def read(text=FILE, have=HAVE, labels=("Gagné", "Nouveau", "Vendu", "Perdu"), leads=30):
        file = tmp_path / "pipeline.yaml"
        file.write_text(text, encoding="utf-8")
        seen = SeenInLeads(leads, list(have), labels, lambda path: FOUND.get(path, 0))
        return [(one.problem.line, one.problem.message, one.stops) for one in unmatched(file, seen)]

    return read


@pytest.fixture
def advised(tmp_path):
    """What is told of a file, whether it stops something, and what to do."""

    def read(text):
        file = tmp_path / "pipeline.yaml"
        file.write_text(text, encoding="utf-8")
        seen = SeenInLeads(30, list(HAVE), ("Gagné", "Nouveau"), lambda path: FOUND.get(path, 0))
        return [(one.problem.message, one.stops, one.advice) for one in unmatched(file, seen)]

    return read


def test_a_path_that_no_lead_has_is_named_with_its_line(told):
    """Found by the reader's own comparison; what nothing rests on may only be rare, and an amount decides money."""
    paths = [(line, said, stops) for line, said, stops in told() if "is in none of 30 leads" in said]

    assert [
        (7, '"perso" is in none of 30 leads', True),
        (11, '"canal" is in none of 30 leads; did you mean "channel"?', True),
        (12, '"montant" is in none of 30 leads; did you mean "amount"?', True),
        (14, '"status.date" is in none of 30 leads; did you mean "statusDate"?', False),
        (15, '"kind" is in none of 30 leads', False),
    ] == paths


def test_what_stops_is_never_said_to_be_nothing(advised):
    """An amount on no lead though one was sold, and a status date on none, say what to write."""
    text = FILE.replace("[statusDate, status.date]", "statutDate")

    assert [
        "Write the path of the amount there, or a number as `value`; `oplead-sync probe` shows what leads have."
    ] == [advice for said, stops, advice in advised(text) if '"montant"' in said and stops]
    assert ["Fix it there; `oplead-sync probe` shows what leads have."] == [
        advice for said, stops, advice in advised(text) if '"statutDate"' in said and stops
    ]
    assert not [said for said, _, advice in advised(text) if "is in none" in said and "Nothing to do" in advice]


def test_an_amount_says_nothing_while_none_reached_its_stage(told):
    """Leads that are new have none yet: the path may well be right."""
    found = [(said, stops) for _, said, stops in told(labels=("Nouveau", "Perdu")) if '"montant"' in said]

    assert [
        ('"montant" is in none of 30 leads, and none of those has reached its stage; did you mean "amount"?', False)
    ] == found


def test_an_amount_is_looked_for_where_the_conversion_is_implied_or_stands_alone(told):
    """A later stage implies it; one conversion needs no list."""
    text = "stages: {quote: [Devis], won: [Gagné]}\nconversions:\n  {id: a, stage: quote, implied_by: won, "
    text += "value: {field: montant, tax: included}}\n"

    assert [True] == [stops for _, said, stops in told(text) if '"montant"' in said]


def test_the_nearest_path_is_told_whatever_its_capitals_and_underscores(told):
    """The same last name elsewhere comes before a like spelling."""
    text = "consent: { ad_user_data: { field: tracking.CONSENTPUB, granted: [oui], refused: [non] } }"

    ((_, said, _),) = told(text)

    assert said.endswith('; did you mean "lead_data.consent_pub"?')


def test_a_status_that_no_lead_has_is_named(told):
    """With the one that was meant, if that stands nowhere yet; accents and capitals do not matter."""
    labels = [(line, said) for line, said, stops in told() if 'status "' in said and not stops]

    assert [(2, 'no lead has the status "Vendue" (30 looked at); did you mean "Vendu"?')] == labels


def test_a_status_that_means_nothing_is_named_only_where_it_is_misspelt(told):
    """So few leads may well lack it; a stage's is named whatever is near."""
    text = "stages: { won: [Vendu, Signé] }\nignored_statuses: [Nouveau, Nurserie, Refusée]\n"
    labels = [(line, said) for line, said, _ in told(text, labels=("Vendu", "Nouveau", "Refusé"))]

    assert [
        (1, 'no lead has the status "Signé" (30 looked at)'),
        (2, 'no lead has the status "Refusée" (30 looked at); did you mean "Refusé"?'),
    ] == labels


@pytest.mark.parametrize("text", ["", "stages: [", "stages: {won: }", "consent: oui", "oplead: { fields: 3 }"])
def test_a_file_in_any_state_is_taken(told, text):
    """What is wrong with it is told elsewhere."""
    told(text)


def test_without_leads_nothing_is_told(told):
    """An empty Oplead says nothing of the settings."""
    assert [] == told(leads=0)
