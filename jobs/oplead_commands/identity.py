"""What makes two leads one: their key, their content, and the mark by which Oplead's copy is recognised. Pure.

Each is a SHA-256, so that none of them holds what somebody wrote.
"""

import json
import unicodedata
from collections.abc import Iterable
from dataclasses import asdict
from hashlib import sha256

from connectors.contact import clean_emails, clean_phones, tidy
from connectors.crm import LeadData
from connectors.records import ClickId, Contact


def content_of(lead: LeadData) -> str:
    """Return the hash of everything that would be written."""
    return _hash("content", _filled(asdict(lead)))


def key_of(reference: str | None, content: str) -> str:
    """Return the key of a lead: by its own reference if it has one, else by its content."""
    return content if reference is None else _hash("reference", reference)


def mark_of(ids: Iterable[ClickId], contact: Contact) -> str:
    """Return the mark of a lead by its click ids, e-mail address, phone number and last name, however spelled."""
    name = unicodedata.normalize("NFKD", tidy(contact.last_name or "")).casefold()
    return _hash(
        "mark",
        [
            sorted({f"{one.kind}={one.value}" for one in ids}),
            sorted(email.casefold() for email in clean_emails(contact.emails)),
            sorted(clean_phones(contact.phones, country=contact.country)),
            "".join(letter for letter in name if not unicodedata.combining(letter)),
        ],
    )


def reference_mark(reference: str) -> str:
    """Return the mark of a lead by its own reference, where Oplead keeps it."""
    return _hash("reference mark", reference)


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
