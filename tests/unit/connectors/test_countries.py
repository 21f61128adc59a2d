"""Countries as forms, exports and people spell them."""

import importlib.util
from pathlib import Path

import phonenumbers
import pytest

from connectors.contact import COUNTRIES, HOME, is_blank_country, iso_country_code_of

MEANS_ANOTHER_THING = {"NA", "DOM", "dom"}
"""To French exports: not available, and the overseas departments."""


def _names_of_countries():
    """The phone library's names, without the package around them: an installation sheds its data of places."""
    file = Path(phonenumbers.__file__).parent / "geodata" / "locale.py"
    spec = importlib.util.spec_from_file_location("phonenumbers.geodata.locale", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.LOCALE_DATA


LOCALE_DATA = _names_of_countries()


@pytest.mark.parametrize(
    ("typed", "region"),
    [
        *((spelling, "FR") for spelling in ("FR", "fr", " Fr ", "FRA", "fra", "250", "F", "France", "FRANCE", "+33")),
        *((spelling, "FR") for spelling in ("0033", "33", "fr-FR", "fr_FR", "fr_FR.UTF-8", "fr-fr", "en-FR")),
        *((spelling, "FR") for spelling in ("France métropolitaine", "FRANCE METROPOLITAINE", "République française")),
        *((spelling, "FR") for spelling in ("France (FR)", "FR - France", "FR/France", "\u200bFrance\u00a0", "Corse")),
        *((spelling, "RE") for spelling in ("Réunion", "REUNION", "La Réunion", "Île de la Réunion", "REU", "638")),
        *((spelling, "GF") for spelling in ("Guyane", "Guyane française", "French Guiana")),
        ("Martinique", "MQ"),
        ("Guadeloupe", "GP"),
        ("Mayotte", "YT"),
        ("Saint-Martin", "MF"),
        ("St Barthélemy", "BL"),
        ("Nouvelle-Calédonie", "NC"),
        *((spelling, "BE") for spelling in ("Belgique", "Belgium", "België", "BEL", "056", "B", "fr-BE", "fr_BE")),
        *((spelling, "CH") for spelling in ("Suisse", "Switzerland", "Schweiz", "CHE", "de-CH")),
        *((spelling, "LU") for spelling in ("Luxembourg", "Grand-Duché de Luxembourg", "L")),
        *((spelling, "GB") for spelling in ("Royaume-Uni", "UK", "U.K.", "GBR", "Angleterre", "United Kingdom")),
        *((spelling, "US") for spelling in ("États-Unis", "Etats Unis", "USA", "U.S.A.", "en-US", "United States")),
        *((spelling, "DE") for spelling in ("Allemagne", "L'Allemagne", "Deutschland", "D")),
        ("Côte d’Ivoire", "CI"),
        ("Maroc", "MA"),
        ("Namibie", "NA"),
        ("Kosovo", "XK"),
    ],
)
def test_recognises_a_country_in_any_spelling(typed, region):
    """Codes of ISO and of cars, names in French and English, locales and dialling codes are known."""
    assert region == iso_country_code_of(typed)
    assert not is_blank_country(typed)


@pytest.mark.parametrize(
    "typed",
    [
        *(None, "", " ", "-", "--", "?", ".", "/", "0", "n/a", "N/A", "#N/A", "NA", "n.a.", "N.C.", "null", "<null>"),
        *("None", "NaN", "undefined", "inconnu", "Inconnue", "néant", "vide", "(vide)", "aucun"),
        *("non renseigné", "Non communiquée", "\u200b", "\u00a0"),
    ],
)
def test_a_placeholder_means_the_accounts_country(typed):
    """A dash is no foreign country."""
    assert HOME == iso_country_code_of(typed)
    assert is_blank_country(typed)


@pytest.mark.parametrize(
    "typed",
    [
        *("XYZ", "XX", "ZZ", "Syldavie", "étranger", "autre", "Europe", "999", "+999", "+1", "32", "75015"),
        *("fr-be", "BE_FR", "France / Belgique", "Paris", "d'", "le", "x" * 10_000, "- " * 60),
    ],
)
def test_an_unknown_or_ambiguous_country_is_not_guessed(typed):
    """`+1` is America's and Canada's, `fr-be` a language's or a country's."""
    assert iso_country_code_of(typed) is None


def test_every_country_is_known_by_its_iso_codes():
    """The list of ISO 3166 is another library's."""
    pycountry = pytest.importorskip("pycountry", reason="comes with Meta's library")
    for country in pycountry.countries:
        if country.alpha_2 in phonenumbers.SUPPORTED_REGIONS:
            codes = {country.alpha_2, country.alpha_3, country.numeric, country.alpha_3.lower()} - MEANS_ANOTHER_THING
            assert {country.alpha_2} == {iso_country_code_of(code) for code in codes}


@pytest.mark.parametrize("language", ["fr", "en"])
def test_every_country_is_known_by_its_name(language):
    """Each name in the phone library's own list belongs to that country and no other."""
    for region in LOCALE_DATA.keys() & phonenumbers.SUPPORTED_REGIONS:
        name = LOCALE_DATA[region][language]
        while name.startswith("*"):  # the same as in another language
            name = LOCALE_DATA[region][name[1:]]
        assert region == iso_country_code_of(name) == iso_country_code_of(name.upper())


def test_no_name_or_code_means_two_countries():
    """A later entry would take over the earlier one's phones."""
    spellings = [spelling for row in COUNTRIES for spelling in (*row[:3], *row[3].split(", ")) if spelling != "-"]

    assert len(spellings) == len(set(spellings))
    assert {"AC", "TA"} == phonenumbers.SUPPORTED_REGIONS - {row[0] for row in COUNTRIES}


@pytest.mark.timeout(10)
def test_a_very_long_text_is_not_searched_for_a_country():
    """It may be a whole letter."""
    assert iso_country_code_of("Île de " * 1_000_000) is None
    assert not is_blank_country("-" * 10_000_000)
