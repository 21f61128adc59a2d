"""What a status of some name usually means, as people write them."""

import pytest

from connectors.language import Language, using_language
from connectors.stage_words import stage_in_words, stage_meant


@pytest.mark.parametrize(
    ("stage", "labels"),
    [
        (
            "appointment",
            ["RDV fixé", "Rdv pris le", "R.D.V. pris", "Rendez-vous", "RENDEZVOUS OK", "Visite planifiée", "RV pris"],
        ),
        ("quote", ["Offre envoyée", "Estimation envoyée"]),
        ("won", ["Bon pour accord", "BPA", "CDE", "Acompte versé", "Acomptes reçus", "Offre acceptée"]),
        ("lost", ["KO", "RDV KO", "Vente KO"]),
        (
            None,
            ["En attente BPA", "BPA en attente", "En attente acompte versé", "Vente en attente", "Devis en attente"],
        ),
        (None, ["Commande à passer", "CDE à passer", "Commande à valider"]),
        (None, ["Appel d'offres", "Appels d’offres", "Estimation en ligne", "Devis en ligne"]),
        ("won", ["Appel d'offres gagné", "Devis en ligne accepté"]),
        (None, ["Commande", "commandes", "NRP", "RDV NRP2", "Acompte", "Acompte à verser", "Acompte demandé"]),
        ("quote", ["Devis env.", "devis_envoyé", "Devis à relancer", "devis relancer", "Proposition transmise"]),
        ("won", ["Gagné", "Vente", "Devis signé", "Affaire conclue", "VENDU", "Commande passée", "Gagnées"]),
        ("lost", ["Perdu", "RDV annulé", "Devis refusé", "Sans suite", "Vente perdue", "Abandonné"]),
        (None, ["RDV à prendre", "Devis à faire", "Devis demandé", "RDV pas pris", "Nouveau", "RDV devis", "14", ""]),
    ],
)
def test_a_status_means_the_stage_that_its_lead_has_reached(stage, labels):
    """Not one that is still to come, nor one of two."""
    assert dict.fromkeys(labels, stage) == {label: stage_meant(label) for label in labels}


def test_the_stages_that_init_writes_mean_themselves():
    """Statuses are proposed for the stage that means the same."""
    assert ["appointment", "quote", "won", "lost"] == [
        stage_meant(stage) for stage in ("appointment", "quote_sent", "won", "lost")
    ]


def test_a_stage_has_its_name_in_the_readers_language():
    """Marketing's own words stay as they are, even if they are a message of ours."""
    with using_language(Language.FRENCH):
        assert ["rendez-vous", "devis envoyé", "vente", "perdu", "chantier", "added"] == [
            stage_in_words(stage) for stage in ("appointment", "quote_sent", "won", "lost", "chantier", "added")
        ]
    with using_language(Language.ENGLISH):
        assert "quote_sent" == stage_in_words("quote_sent")
