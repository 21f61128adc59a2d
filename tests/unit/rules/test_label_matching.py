"""Labels that people read as the same compare as equal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.rules.labels import normalise_label


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("Gagné", "gagne"),
        ("GAGNÉ ", "gagne"),
        ("Gagne\u0301", "gagne"),
        ("Rendez-vous", "rendez vous"),
        ("rendez\u2011vous", "rendez vous"),
        ("Devis  à\u00a0relancer", "devis a relancer"),
        ("À l’étude", "a l etude"),
        ("A l'étude", "a l etude"),
        ("sans_suite", "sans suite"),
        ("Straße", "strasse"),
        ("–", ""),
    ],
)
def test_normalises_spelling_variants_to_one_label(typed, known):
    """Accents, case, apostrophes, hyphens and spaces do not matter."""
    assert known == normalise_label(typed)


def test_labels_sharing_a_prefix_stay_distinct():
    """`Devis à faire` is not `Devis à relancer`, nor is `Devis` either of them."""
    labels = {normalise_label(label) for label in ("Devis", "Devis à faire", "Devis à relancer", "Devisa faire")}

    assert 4 == len(labels)


@given(st.text())
def test_normalising_a_label_is_idempotent(text):
    """A normalised label is its own normal form, so stored and typed labels can be compared."""
    once = normalise_label(text)

    assert once == normalise_label(once)
