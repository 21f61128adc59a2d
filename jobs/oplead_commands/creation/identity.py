"""What makes two leads one: their key, their content, and the mark by which Oplead's copy is recognised. Pure.

Each is made of hashes with the outbox's own salt, which can be compared with nothing outside that file. A mark has one
for each value, since Oplead may show some of them in another form.
"""

import hmac
import json
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import IntFlag, auto
from functools import reduce
from operator import or_

from connectors.contact import clean_emails, clean_phones
from connectors.crm import LeadToWrite
from connectors.records import ClickId, Contact

_LAST_DIGITS = 8
"""Of a phone number, as many as follow any country code and leading zero: Belgian landlines have no more."""


class RecognitionMarkParts(IntFlag):
    """What a mark is made of."""

    REFERENCE = auto()
    CLICK_ID = auto()
    EMAIL = auto()
    PHONE = auto()
    NAME = auto()


@dataclass(frozen=True, slots=True)
class LeadFingerprint:
    """By what a lead is recognised in Oplead."""

    hashes: frozenset[str]
    """Of each value, after the name of its part."""

    @property
    def recognition_parts(self) -> RecognitionMarkParts:
        """What it is recognised by: its reference if it has one, else all the rest."""
        parts = reduce(or_, (RecognitionMarkParts[_part(each)] for each in self.hashes), RecognitionMarkParts(0))
        return RecognitionMarkParts.REFERENCE if RecognitionMarkParts.REFERENCE in parts else parts

    @property
    def distinctive_hashes(self) -> frozenset[str]:
        """The hashes that few share: all but the name's."""
        return frozenset(each for each in self.hashes if _part(each) != RecognitionMarkParts.NAME.name)

    def matches_fingerprint(self, other: "LeadFingerprint") -> bool:
        """Whether a lead in Oplead with the other mark is the one."""
        return self._hashes_to_match(self.hashes) == self._hashes_to_match(other.hashes)

    def _hashes_to_match(self, hashes: frozenset[str]) -> frozenset[str]:
        is_by_reference = self.recognition_parts is RecognitionMarkParts.REFERENCE
        return frozenset(
            each for each in hashes if is_by_reference == (_part(each) == RecognitionMarkParts.REFERENCE.name)
        )


def _part(hashed: str) -> str:
    return hashed.partition(":")[0]


def lead_content_hash(lead: LeadToWrite, salt: bytes) -> str:
    """Return the hash of everything that would be written."""
    return _hash(salt, "content", _without_empty_values(asdict(lead)))


def creation_key_of(reference: str | None, content: str, salt: bytes) -> str:
    """Return the key of a lead: by its own reference if it has one, else by its content."""
    return content if reference is None else _hash(salt, "reference", reference)


def lead_fingerprint(
    ids: Iterable[ClickId], contact: Contact, salt: bytes, *, reference: str | None = None
) -> LeadFingerprint | None:
    """Return the mark of a lead by its reference, click ids, e-mail address, phone number and last name.

    However spelled: a reference has no leading zeros, a phone number its last digits, and a name no accents or
    apostrophes. None if it has only a name, which many share, or nothing.
    """
    phones = clean_phones(contact.phones, country=contact.country) or contact.phones
    name = unicodedata.normalize("NFKD", contact.last_name or "").casefold()
    values = {
        RecognitionMarkParts.REFERENCE: [(reference or "").strip().lstrip("0")],
        RecognitionMarkParts.CLICK_ID: [f"{one.kind}={one.value}" for one in ids],
        RecognitionMarkParts.EMAIL: [email.casefold() for email in clean_emails(contact.emails)],
        RecognitionMarkParts.PHONE: ["".join(filter(str.isdecimal, phone))[-_LAST_DIGITS:] for phone in phones],
        RecognitionMarkParts.NAME: ["".join(filter(str.isalpha, name))],
    }
    hashes = {
        f"{part.name}:{_hash(salt, str(part.name), value)}"
        for part, found in values.items()
        for value in found
        if value
    }
    mark = LeadFingerprint(frozenset(hashes))
    return mark if mark.distinctive_hashes else None


def _hash(salt: bytes, kind: str, value: object) -> str:
    text = json.dumps([kind, value], sort_keys=True, default=str, ensure_ascii=False, separators=(",", ":"))
    return hmac.digest(salt, text.encode(), "sha256").hex()


def _without_empty_values(value: object) -> object:
    """Leave out what is empty, so that a new kind of value changes no hash of before."""
    match value:
        case dict():
            return {name: _without_empty_values(inner) for name, inner in value.items() if inner}
        case tuple() | list():
            return [_without_empty_values(inner) for inner in value]
    return value
