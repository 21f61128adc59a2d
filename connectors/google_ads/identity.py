"""Normalise and hash contact data by Google's matching rules.

https://developers.google.com/data-manager/api/devguides/concepts/formatting
"""

from connectors.contact import clean_emails, clean_phones
from connectors.records import Contact, Identifier, IdentifierKind

MOST_IDENTIFIERS = 10
"""Maximum per event: https://developers.google.com/data-manager/api/devguides/limits"""

# Addresses (names, postcode, country) are deliberately not sent. The Data Manager API accepts them, and its guide shows
# one: https://developers.google.com/data-manager/api/devguides/events/send-events. But no page says that click
# conversions match on them, the Google Ads API refuses them there, and postcode and country go unhashed: they would be
# readable in the ledger and in frozen bytes, which otherwise hold only hashes of contact data. Revisit if Google
# documents that offline conversions match on addresses and the owner accepts readable postcodes on disk.
_DOTLESS = {"gmail.com", "googlemail.com"}


def identify(contact: Contact) -> tuple[Identifier, ...]:
    """Return up to ten distinct identifiers: e-mail addresses, then phone numbers, normalised for Google."""
    emails = (normalize_email(address) for address in clean_emails(contact.emails))
    phones = clean_phones(contact.phones, country=contact.country)
    found = [Identifier.of(IdentifierKind.EMAIL, address) for address in emails if address]
    found += [Identifier.of(IdentifierKind.PHONE, number) for number in phones]
    return tuple(dict.fromkeys(found))[:MOST_IDENTIFIERS]


def normalize_email(address: str) -> str | None:
    """Lower-case an address and strip spaces, and for Gmail also dots and `+suffix`, which Gmail ignores.

    Returns None if the local part ends up empty.
    """
    local, _, domain = "".join(address.lower().split()).rpartition("@")
    if domain in _DOTLESS:
        local = local.partition("+")[0].replace(".", "")
    return f"{local}@{domain}" if local else None
