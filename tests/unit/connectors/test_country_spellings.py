"""Every spelling of a country with every spelling of a phone gives the right hash on both platforms or a reported loss.

Expected numbers are written by hand from the countries' numbering plans, and hashed here.
"""

from hashlib import sha256

import pytest

from connectors.contact import summarise_unusable_phones
from connectors.google_ads import platform as google
from connectors.meta import identity as meta
from connectors.records import Contact, ContactIdentifierKind

FRENCH, BELGIAN, SWISS, UNKNOWN = "French", "Belgian", "Swiss", "unknown"

COUNTRIES = {
    **dict.fromkeys((None, "", "FR", "fr ", "France", "FRA", "fr-FR", "fr_FR", "250", "F"), FRENCH),
    **dict.fromkeys(("France métropolitaine", "Réunion", "Martinique", "-", "n/a", "null", "Inconnu"), FRENCH),
    **dict.fromkeys(("Belgique", "BEL", "fr-BE"), BELGIAN),
    "Suisse": SWISS,
    **dict.fromkeys(("XYZ", "Atlantide", "fr-be"), UNKNOWN),
}
"""The numbering plan for a number in national form; the French overseas departments share the mainland's."""

MOBILE, OVERSEAS, BOX = "+33612345678", "+590690001234", "+590976012345"
BY_PLAN = {FRENCH: MOBILE, SWISS: "+41612345678"}  # 061 is Basel, and no Belgian town
PHONES = {
    "06 12 34 56 78": BY_PLAN,
    "0612345678.0": BY_PLAN,
    "Tél. : 06.12.34.56.78": BY_PLAN,
    "06 12 34 56 78 (bureau)": BY_PLAN,
    "+33 (0)6 12 34 56 78": dict.fromkeys((FRENCH, BELGIAN, SWISS, UNKNOWN), MOBILE),
    "0033612345678": dict.fromkeys((FRENCH, BELGIAN, SWISS, UNKNOWN), MOBILE),
    "0690 00 12 34": {FRENCH: OVERSEAS, SWISS: "+41690001234"},
    "590690001234": dict.fromkeys((FRENCH, BELGIAN, SWISS, UNKNOWN), OVERSEAS),
    "0976 01 23 45": {FRENCH: BOX},
    "0470 12 34 56": {FRENCH: "+33470123456", BELGIAN: "+32470123456"},
    "079 123 45 67": {FRENCH: "+33791234567", SWISS: "+41791234567"},
    "06 12 34 56 78 poste 12": {},
}


def test_the_tables_cover_24_countries_and_12_phones():
    """A spelling listed twice would lower the count."""
    assert (24, 12) == (len(COUNTRIES), len(PHONES))


def hashes(identifiers):
    """The hashes of phones only."""
    return [each.sha256 for each in identifiers if each.kind is ContactIdentifierKind.PHONE]


@pytest.mark.parametrize("phone", PHONES)
@pytest.mark.parametrize("country", COUNTRIES)
def test_each_phone_is_hashed_correctly_or_reported_lost(country, phone):
    """Google hashes the E.164 number, Meta its digits; no phone is lost silently."""
    plan = COUNTRIES[country]
    number = PHONES[phone].get(plan)
    contact = Contact(phones=(phone,), country=country)
    told = summarise_unusable_phones([contact])

    assert ([sha256(number.encode()).hexdigest()] if number else []) == hashes(google.hash_contact(contact))
    assert ([sha256(number[1:].encode()).hexdigest()] if number else []) == hashes(meta.hash_contact(contact))
    if number:
        assert told is None
    else:
        reason = "country unknown" if plan is UNKNOWN else "not a valid personal number"
        assert told.startswith("1 of 1 lead has a phone that cannot be read: ")
        assert reason in told
