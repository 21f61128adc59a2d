"""How many phones give no number that a platform could match, and to what they are lost: counts only. Pure."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from connectors.contact import clean_phones, tidy
from connectors.countries import region_of
from connectors.records import Contact

_FEWEST_DIGITS = 4
"""Fewer are a remark, not a phone."""
_SHARED = 3
"""Leads that must share a country's spelling before it is shown: one that stands alone may be anything."""
_MAY_BE_SHOWN = re.compile(r"[^\W\d_][^\W\d_ '.-]{0,29}")


def lost_phones(contacts: Sequence[Contact]) -> str | None:
    """A sentence on the leads with a phone field that gives no number, by reason; None where there is none."""
    lost = [(contact, text) for contact in contacts if (text := _lost(contact)) is not None]
    if not lost:
        return None
    reasons = Counter(_reasons(lost))
    told = "; ".join(f"{count}: {reason}" for reason, count in reasons.most_common())
    have = "has" if len(lost) == 1 else "have"
    return f"{len(lost)} of {len(contacts)} leads {have} a phone that cannot be read: {told}"


def _lost(contact: Contact) -> str | None:
    """The first of a lead's phone fields that gives no number; None where each gives one, or holds no phone."""
    return next((text for text in contact.phones if _is_phone(text) and not _numbers(text, contact)), None)


def _is_phone(text: str) -> bool:
    return sum(character.isdigit() for character in text) >= _FEWEST_DIGITS


def _numbers(text: str, contact: Contact) -> tuple[str, ...]:
    return clean_phones([text], country=contact.country)


def _reasons(lost: Sequence[tuple[Contact, str]]) -> Iterator[str]:
    unknown = [tidy(contact.country or "") for contact, text in lost if _needs_country(contact, text)]
    leads = Counter(unknown)
    for country in unknown:
        shown = leads[country] >= _SHARED and _MAY_BE_SHOWN.fullmatch(country)
        yield f"country {country!r} unknown" if shown else "country unknown, in a spelling of its own"
    yield from ["not a valid personal number"] * (len(lost) - len(unknown))


def _needs_country(contact: Contact, text: str) -> bool:
    """Whether it is for want of a country that the number is lost: no country code stands before it either."""
    return region_of(contact.country) is None and not text.strip().startswith(("+", "00"))
