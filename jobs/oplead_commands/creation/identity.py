"""What makes two leads one: their key, their content, and the mark by which Oplead's copy is recognised. Pure.

Each is a hash with the outbox's own salt, which can be compared with nothing outside that file. A mark also says of
which parts it was made.
"""

import hmac
import json
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import IntFlag, auto
from functools import reduce
from operator import or_

from connectors.contact import clean_emails, clean_phones, tidy
from connectors.crm import LeadToWrite
from connectors.records import ClickId, Contact


class MarkParts(IntFlag):
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
    parts: MarkParts

    def proves(self, other: "Mark") -> bool:
        """Whether a lead that is recognised by this mark proves that one with the other would be."""
        return other.parts in self.parts


def content_hash(lead: LeadToWrite, salt: bytes) -> str:
    """Return the hash of everything that would be written."""
    return _hash(salt, "content", _filled(asdict(lead)))


def creation_key_of(reference: str | None, content: str, salt: bytes) -> str:
    """Return the key of a lead: by its own reference if it has one, else by its content."""
    return content if reference is None else _hash(salt, "reference", reference)


def mark_of(ids: Iterable[ClickId], contact: Contact, salt: bytes) -> Mark | None:
    """Return the mark of a lead by its click ids, e-mail address, phone number and last name, however spelled.

    None if it has only a name, which many share, or nothing.
    """
    name = unicodedata.normalize("NFKD", tidy(contact.last_name or "")).casefold()
    by_part = {
        MarkParts.CLICK_ID: sorted({f"{one.kind}={one.value}" for one in ids}),
        MarkParts.EMAIL: sorted(email.casefold() for email in clean_emails(contact.emails)),
        MarkParts.PHONE: sorted(clean_phones(contact.phones, country=contact.country)),
        MarkParts.NAME: "".join(letter for letter in name if not unicodedata.combining(letter)),
    }
    parts = reduce(or_, (part for part, value in by_part.items() if value), MarkParts(0))
    return Mark(_hash(salt, "mark", list(by_part.values())), parts) if parts & ~MarkParts.NAME else None


def reference_mark(reference: str, salt: bytes) -> Mark:
    """Return the mark of a lead by its own reference, where Oplead keeps it."""
    return Mark(_hash(salt, "reference mark", reference), MarkParts.REFERENCE)


def _hash(salt: bytes, kind: str, value: object) -> str:
    text = json.dumps([kind, value], sort_keys=True, default=str, ensure_ascii=False, separators=(",", ":"))
    return hmac.digest(salt, text.encode(), "sha256").hex()


def _filled(value: object) -> object:
    """Leave out what is empty, so that a new kind of value changes no hash of before."""
    match value:
        case dict():
            return {name: _filled(inner) for name, inner in value.items() if inner}
        case tuple() | list():
            return [_filled(inner) for inner in value]
    return value
