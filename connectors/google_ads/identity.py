"""How Google recognises people: contact data normalised by its rules, then hashed.

https://developers.google.com/data-manager/api/devguides/concepts/formatting
"""

from connectors.contact import clean_emails, clean_phones
from connectors.records import Contact, Identifier, IdentifierKind

MOST_IDENTIFIERS = 10
"""Per event. https://developers.google.com/data-manager/api/devguides/limits"""

# No address (names, postcode, country). The Data Manager API's messages have one, and its guide shows it in an event:
# https://developers.google.com/data-manager/api/devguides/events/send-events. But no page says that a click conversion
# is matched by it, the Google Ads API refuses it for one, and postcode and country travel unhashed: they would stand in
# the ledger and in frozen bytes, where only hashes of contact data do. Would change it: Google's word that matching of
# offline conversions uses it, and an owner who takes a readable postcode on disk for it.
_DOTLESS = {"gmail.com", "googlemail.com"}


def identify(contact: Contact) -> tuple[Identifier, ...]:
    """The contact's e-mail addresses, then phone numbers, as Google matches them; each once, ten at most."""
    emails = (normalize_email(address) for address in clean_emails(contact.emails))
    phones = clean_phones(contact.phones, country=contact.country)
    found = [Identifier.of(IdentifierKind.EMAIL, address) for address in emails if address]
    found += [Identifier.of(IdentifierKind.PHONE, number) for number in phones]
    return tuple(dict.fromkeys(found))[:MOST_IDENTIFIERS]


def normalize_email(address: str) -> str | None:
    """The address in lower case, without spaces; Gmail's also without dots and `+suffix`, which it ignores.

    None where nothing is left before the @.
    """
    local, _, domain = "".join(address.lower().split()).rpartition("@")
    if domain in _DOTLESS:
        local = local.partition("+")[0].replace(".", "")
    return f"{local}@{domain}" if local else None
