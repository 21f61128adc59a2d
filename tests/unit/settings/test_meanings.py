"""What each key means is read from the docstring below it, only when it is asked for."""

import pytest

from jobs.settings.load import models_in
from jobs.settings.meanings import meaning_of_setting
from jobs.settings.schema import DestinationSettings, GoogleAdsSettings, Settings


def _sections(model=Settings):
    yield model
    for field in model.model_fields.values():
        for below in models_in(field.annotation):
            yield from _sections(below)


SECTIONS = sorted(set(_sections()), key=lambda section: section.__name__)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_key_has_a_meaning(section):
    """The schema, the docs and the errors about missing keys show it."""
    assert [] == [key for key in section.model_fields if not meaning_of_setting(section, key)]


def test_an_inherited_key_means_the_same():
    """Destinations of each platform share some."""
    inherited = DestinationSettings.model_fields.keys() - GoogleAdsSettings.__annotations__.keys()

    assert inherited
    for key in inherited:
        assert meaning_of_setting(DestinationSettings, key) == meaning_of_setting(GoogleAdsSettings, key)
