"""What makes two leads one: their key, their content, and the mark by which Oplead's copy is recognised. Pure.

Each is a SHA-256, so that none of them holds what somebody wrote; a mark also says of which parts it was made.
"""

import json
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import IntFlag, auto
from functools import reduce
from hashlib import sha256
from operator import or_

from connectors.contact import clean_emails, clean_phones, tidy
from connectors.crm import LeadData
from connectors.records import ClickId, Contact


class Parts(IntFlag):
    """What a mark is made of."""

    REFERENCE = auto()
    CLICK_ID = auto()
    EMAIL = auto()
    PHONE = auto()
    NAME = auto()


@dataclass(frozen=True, slots=True)
class Mark:
    """By what a lead is recognised in Oplead."""

    digest: str
    parts: Parts
    """None at all where an earlier version did not keep them."""

    def proves(self, other: "Mark") -> bool:
        """Whether a lead that is recognised by this mark proves that one with the other would be."""
        return bool(other.parts) and other.parts in self.parts


def content_of(lead: LeadData) -> str:
    """Return the hash of everything that would be written."""
    return _hash("content", _filled(asdict(lead)))


def key_of(reference: str | None, content: str) -> str:
    """Return the key of a lead: by its own reference if it has one, else by its content."""
    return content if reference is None else _hash("reference", reference)


def mark_of(ids: Iterable[ClickId], contact: Contact) -> Mark | None:
    """Return the mark of a lead by its click ids, e-mail address, phone number and last name, however spelled.

    None if it has only a name, or nothing: that is no one person's.
    """
    name = unicodedata.normalize("NFKD", tidy(contact.last_name or "")).casefold()
    by_part = {
        Parts.CLICK_ID: sorted({f"{one.kind}={one.value}" for one in ids}),
        Parts.EMAIL: sorted(email.casefold() for email in clean_emails(contact.emails)),
        Parts.PHONE: sorted(clean_phones(contact.phones, country=contact.country)),
        Parts.NAME: "".join(letter for letter in name if not unicodedata.combining(letter)),
    }
    parts = reduce(or_, (part for part, value in by_part.items() if value), Parts(0))
    return Mark(_hash("mark", list(by_part.values())), parts) if parts & ~Parts.NAME else None


def reference_mark(reference: str) -> Mark:
    """Return the mark of a lead by its own reference, where Oplead keeps it."""
    return Mark(_hash("reference mark", reference), Parts.REFERENCE)


def _hash(kind: str, value: object) -> str:
    text = json.dumps([kind, value], sort_keys=True, default=str, ensure_ascii=False, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _filled(value: object) -> object:
    """Leave out what is empty, so that a new kind of value changes no hash of before."""
    match value:
        case dict():
            return {name: _filled(inner) for name, inner in value.items() if inner}
        case tuple() | list():
            return [_filled(inner) for inner in value]
    return value
