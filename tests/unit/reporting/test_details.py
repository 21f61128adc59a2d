"""What the ledger keeps in English, in the reader's language."""

import pytest

from connectors.language import Language, speaking
from jobs.reporting.details import say_detail, without_shape


@pytest.mark.parametrize(
    ("detail", "french"),
    [
        ("only gclid, fbclid", "seulement gclid, fbclid"),
        ("text, 9 characters", "texte de 9 caractères"),
        ("1 of 9: CLICK_NOT_FOUND", "1 sur 9\xa0: CLICK_NOT_FOUND"),
        ("labelled gclid, but a placeholder", "présenté comme gclid, mais c’est un texte de remplissage"),
        (
            "a value without a label, of unknown kind (text, 91 characters): see click_ids.bare",
            "une valeur sans libellé, de nature inconnue (texte de 91 caractères)\xa0: voir click_ids.bare",
        ),
        ("what a platform said", "what a platform said"),
    ],
)
def test_a_detail_is_said_in_french(detail, french):
    """With what it holds; English and a platform's own words stay as they are."""
    with speaking(Language.FRENCH):
        assert french == say_detail(detail)
    with speaking(Language.ENGLISH):
        assert detail == say_detail(detail)


@pytest.mark.parametrize(
    ("detail", "plain"),
    [
        ("text, 9 characters", ""),
        ("no id that can be used (nothing): see oplead.fields.id", "no id that can be used: see oplead.fields.id"),
        ("an e-mail address", "an e-mail address"),
    ],
)
def test_the_length_of_a_value_makes_no_gap_of_its_own(detail, plain):
    """Eight leads with eight unlabelled click ids are one gap."""
    assert plain == without_shape(detail)
