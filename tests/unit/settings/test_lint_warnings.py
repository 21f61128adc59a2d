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


@pytest.mark.parametrize(
    ("event", "hint"),
    [
        ("Achat", '; did you mean "Purchase"?'),
        ("rendez_vous", '; did you mean "Schedule"?'),
        ("Devis envoye", '; did you mean "SubmitApplication"?'),
        ("chantier_ouvert", ""),
    ],
)
def test_a_custom_event_name_is_noted_with_the_standard_one_of_its_stage(loaded, event, hint):
    """Meta optimises for the standard ones; a custom one may be meant."""
    (said,) = notes(loaded, meta=META, conversions=CONVERSION % event)

    assert (
        said == f"conversions.0.meta.event: this is none of Meta's standard events, so it counts as a custom one{hint}"
    )


@pytest.mark.parametrize("event", ["Schedule", "Purchase"])
def test_standard_event_names_are_not_noted(loaded, event):
    """They are what Meta optimises for."""
    assert [] == notes(loaded, meta=META, conversions=CONVERSION % event)


def test_a_list_written_as_a_sentence_is_noted(loaded):
    """`granted: oui, 1, true` is one text, which no lead's answer equals; a comma within brackets is meant."""
    (said,) = notes(loaded, consent=CONSENT % ('"oui, 1, true"', '["non, merci"]'))

    assert said.startswith("consent.ad_user_data.granted: this is one text with a comma in it")
    assert said.endswith("[oui, 1, true]")


def test_a_label_that_reads_as_another_stage_is_noted(loaded):
    """A sale lost and a lead won would be reported the wrong way round."""
    assert [
        "stages.won.0: “PERDU” reads as another stage than “won”",
        "stages.lost.0: “gagné” reads as another stage than “lost”",
    ] == notes(
        loaded, stages="{ won: [PERDU], lost: [gagné], chantier: [Vendu], appointment: [RDV pris, Devis ou RDV] }"
    )


def test_usual_labels_of_a_loss_and_of_a_sale_read_as_no_other_stage(loaded):
    """A loss names what was lost, and a sale what was accepted."""
    lost = "RDV annulé, Devis refusé, Devis sans réponse, RDV non honoré"

    assert [] == notes(loaded, stages=f"{{ won: [Devis accepté, Commande acceptée], lost: [{lost}] }}")


def test_words_that_older_yaml_reads_as_booleans_are_noted(loaded):
    """They are read as text here, whatever a spreadsheet or an older YAML makes of them."""
    assert [
        "consent.ad_user_data.granted.0: this is the word yes, as a lead may hold it; for true or false write those",
        "consent.ad_user_data.refused: this is the word Off, as a lead may hold it; for true or false write those",
    ] == notes(loaded, consent=CONSENT % ("[yes, oui, true]", "Off"))
