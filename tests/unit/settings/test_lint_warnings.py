"""A likely slip is noted at its place, and the run goes on."""

import pytest

from jobs.settings import ValidSettings

META = "{ dataset_id: 1, access_token: '${META_ACCESS_TOKEN}' }"
CONVERSION = "[{ id: sale, stage: won, value: 9, meta: { event: %s } }]"
CONSENT = "{ ad_user_data: { field: leadData.consent, granted: %s, refused: %s } }"


def notes(loaded, **changes):
    """The notes on a file that may run anyway."""
    answer = loaded(**changes)
    assert isinstance(answer, ValidSettings), answer.problems
    return [f"{note.path}: {note.message}" for note in answer.notes]


@pytest.mark.parametrize(
    ("event", "meant"),
    [("Shedule", "Schedule"), ("purchase", "Purchase"), ("Leads", "Lead"), ("Schedule ", "Schedule")],
)
def test_an_event_name_close_to_a_standard_one_is_noted(loaded, event, meant):
    """Meta would take it for a custom event, which it does not optimise for."""
    (said,) = notes(loaded, meta=META, conversions=CONVERSION % f'"{event}"')

    assert said.startswith("conversions.0.meta.event: ")
    assert said.endswith(f'did you mean "{meant}"?')


@pytest.mark.parametrize("event", ["Schedule", "Purchase", "rendez_vous", "Devis signe"])
def test_standard_and_custom_event_names_are_not_noted(loaded, event):
    """A name unlike any standard event is deliberate."""
    assert [] == notes(loaded, meta=META, conversions=CONVERSION % f'"{event}"')


def test_words_that_older_yaml_reads_as_booleans_are_noted(loaded):
    """They are read as text here, whatever a spreadsheet or an older YAML makes of them."""
    assert [
        "consent.ad_user_data.granted.0: this is the word yes, as a lead may hold it; for true or false write those",
        "consent.ad_user_data.refused: this is the word Off, as a lead may hold it; for true or false write those",
    ] == notes(loaded, consent=CONSENT % ("[yes, oui, true]", "Off"))
