"""What is kept of a lead that was read: the fields the settings ask for, the rest by shape; test leads left out."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from connectors.contact import clean_phones, tidy
from connectors.records import ClickId, ClickIdKind, Contact, Lead
from jobs.rules.conversion_value import read_amount
from jobs.rules.model import Amount, ConsentAnswer, KnownClickId, normalise_label, shape

_DOMAIN = re.compile(r"@([^\s@;,|/<>()\"]+)")
"""What follows an @, whether or not it is an address somebody could have: a test's often is none."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """What test leads look like, each in the spelling it is compared in."""

    email_domains: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    """In E.164."""
    names: frozenset[str] = frozenset()
    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """A path and its normalised values."""

    def covers(self, lead: Lead) -> bool:
        """Whether any of it is the lead's."""
        contact = lead.contact
        return (
            not self.email_domains.isdisjoint(_domains(contact))
            or not self.phones.isdisjoint(_phones(contact) if self.phones else ())
            or not self.names.isdisjoint(_names(contact))
            or any(
                normalise_label(str(lead.fields[path])) in values
                for path, values in self.fields.items()
                if path in lead.fields
            )
        )


def domain(text: str) -> str:
    """An e-mail domain as it is compared: exactly, but for case."""
    return tidy(text).casefold().strip(" .")


def _domains(contact: Contact) -> Iterator[str]:
    yield from (domain(found) for email in contact.emails for found in _DOMAIN.findall(tidy(email)))


def _phones(contact: Contact) -> tuple[str, ...]:
    return clean_phones(contact.phones, country=contact.country)


def _names(contact: Contact) -> Iterator[str]:
    """The whole name, in either order; a first or last name alone only where the lead has no other."""
    names = [name for name in (contact.first_name, contact.last_name) if name and normalise_label(name)]
    yield normalise_label(" ".join(names))
    yield normalise_label(" ".join(reversed(names)))


@dataclass(frozen=True, slots=True)
class ConsentField:
    """Where a consent signal stands and what its values mean, normalised."""

    path: str
    granted: frozenset[str]
    refused: frozenset[str]


@dataclass(frozen=True, slots=True)
class Extraction:
    """What the settings want to know of a lead."""

    ad_user_data: ConsentField
    ad_personalization: ConsentField | None
    where: Mapping[str, frozenset[str]]
    """Every path of a `where`, and all normalised values listed for it anywhere."""
    amounts: Mapping[str, frozenset[str]]
    """Every path of an amount, and how tax is declared for it anywhere."""
    exclude: Exclusion = field(default_factory=Exclusion)

    @property
    def paths(self) -> frozenset[str]:
        """Every path to be read beside the fixed fields."""
        signals = [self.ad_user_data] + ([self.ad_personalization] if self.ad_personalization else [])
        paths = {signal.path for signal in signals}
        return frozenset(paths | self.where.keys() | self.amounts.keys() | self.exclude.fields.keys())


def answer(field: ConsentField | None, lead: Lead) -> ConsentAnswer:
    """What the lead says to one consent question."""
    if field is None:
        return ConsentAnswer.NOT_ASKED
    value = normalise_label(str(lead.fields.get(field.path, "")))
    if not value:
        return ConsentAnswer.MISSING
    if value in field.refused:
        return ConsentAnswer.REFUSED
    return ConsentAnswer.GRANTED if value in field.granted else ConsentAnswer.UNKNOWN


def where_facts(wanted: Mapping[str, frozenset[str]], lead: Lead) -> dict[str, str]:
    """The values of `where` paths: normalised where the settings list them, else only their shape."""
    facts: dict[str, str] = {}
    for path, listed in wanted.items():
        raw = lead.fields.get(path)
        if raw is None:
            continue
        value = normalise_label(str(raw))
        facts[path] = value if value in listed else f"<{shape(str(raw))}>"
    return facts


def amounts(wanted: Mapping[str, frozenset[str]], lead: Lead) -> dict[str, Amount]:
    """The amounts of a lead, absent and zero ones left out; one that contradicts the declared tax is unreadable."""
    found: dict[str, Amount] = {}
    for path in sorted(wanted):
        raw: str | Decimal | None = lead.fields.get(path)
        amount = None if raw is None else read_amount(raw, wanted[path])
        if amount is not None:
            found[path] = amount
    return found


def new_click_ids(known: Sequence[KnownClickId], lead: Lead, *, previously: datetime | None) -> list[KnownClickId]:
    """The click ids a fresh reading adds; ids accumulate.

    One present at first sight counts from the lead's creation, a later one from the pull before it appeared, unless
    the time of the click was captured with it. One that was erased when its window closed is still known: it must
    not come back as a fresh click.
    """
    seen = {(click.kind, click.value) for click in known}
    added: list[KnownClickId] = []
    for click in lead.click_ids:
        if seen.isdisjoint({(click.kind, click.value), (click.kind, erased(click.value))}):
            seen.add((click.kind, click.value))
            # A form's lead id is the lead's own, however late it is copied into Oplead.
            since = lead.created_at if click.kind is ClickIdKind.LEAD_ID else previously or lead.created_at
            added.append(_known(click, since))
    return added


def erased(value: str) -> str:
    """What stays of a click id once it is of no more use: enough to know it again."""
    return ERASED + hashlib.sha256(value.encode()).hexdigest()


ERASED = "sha256:"


def _known(click: ClickId, bound: datetime) -> KnownClickId:
    return KnownClickId(click.kind, click.value, click.clicked_at or bound, estimated=click.clicked_at is None)
