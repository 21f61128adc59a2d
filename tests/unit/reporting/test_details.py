"""What was found behind a reason, told as one gap however many leads have it."""

import pytest

from connectors.language import Language, translated, using_language
from jobs.reporting.details import strip_shape_from_detail


@pytest.mark.parametrize(
    ("detail", "plain", "french"),
    [
        ("text, 9 characters", "", ""),
        (
            "no id that can be used (nothing): see oplead.fields.id",
            "no id that can be used: see oplead.fields.id",
            "identifiant inutilisable\xa0: voir oplead.fields.id",
        ),
        ("an e-mail address", "an e-mail address", "une adresse e-mail"),
        ("what a platform said", "what a platform said", "what a platform said"),
    ],
)
def test_the_length_of_a_value_makes_no_gap_of_its_own(detail, plain, french):
    """Eight leads with eight unlabelled click ids are one gap, in any language."""
    assert plain == strip_shape_from_detail(detail)
    with using_language(Language.FRENCH):
        assert french == translated(plain)
