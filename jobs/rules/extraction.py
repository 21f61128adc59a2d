"""What to keep of a lead: the fields the settings name, amounts parsed exactly or not at all, other values by shape."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from connectors.records import ClickIdKind, Contact, DestinationId, Identifier, Lead, Utm
from connectors.text import holds_contact, is_contact, strip_control_characters, tidy_text
from jobs.rules.labels import describe_text_shape, normalise_text
from jobs.rules.model import (
    Amount,
    ConsentAnswer,
    ConsentSignalName,
    ConversionRoute,
    KnownClickId,
    LeadFacts,
    StatusEntered,
    UnreadableAmount,
    ValueOrigin,
)
from jobs.rules.reasons import Reason

_CURRENCY = r"(?:€|eur(?:os?)?)(?:\s*(?:ttc|ht))?|ttc|ht"
_AROUND = re.compile(rf"^(?:{_CURRENCY})\s*|\s*(?:{_CURRENCY})$", re.IGNORECASE)
"""Only at the ends: removed from the middle, `12€50` would become 1250."""
_TAX_WORDS = {"ttc": "included", "ht": "excluded"}
"""Tax words next to an amount, mapped to the settings' terms."""
_PLAIN = re.compile(r"\d+", re.ASCII)
_GROUPED = re.compile(r"\d{1,3}(?:(?P<group>[ .,'])\d{3})(?:(?P=group)\d{3})*", re.ASCII)
_DECIMALS = re.compile(r"(.*\d)([.,])(\d{1,2})", re.ASCII)
"""The part before the decimal mark, the mark, and the one or two digits after it."""
_BETWEEN_THOUSANDS = re.compile("[ \u00a0\u2007\u2009\u202f]+")
"""Only spaces: a line break or a tab separates two amounts or table cells."""
_LARGEST = Decimal("9999999.99")
"""No renovation costs ten million; a phone number in the wrong field can look like it."""

ERASED = "sha256:"
"""What the values of erased click ids start with."""

SETTLED_BEFORE_END = timedelta(hours=24)
"""A missing value is never awaited into the last day of a conversion's window."""


@dataclass(frozen=True, slots=True)
class NoValueToSend:
    """No value can be sent, and why."""

    reason: Reason
    detail: str | None = None
    until: datetime | None = None
    """How long to wait for it; None if there is nothing to wait for."""


def read_amount(raw: str | Decimal, declared: frozenset[str] = frozenset()) -> Amount | None:
    """Parse an amount; return `UnreadableAmount` if it is ambiguous, None if it is empty or zero.

    `12 500,00 €`, `8900`, `12.500,00` and `1250.5` are parsed. `1.250` may mean 1250 or 1.25, so it is unreadable, as
    are negative and implausibly large amounts, and amounts whose tax wording (`900 € HT`) contradicts the `declared`
    tax, `included` or `excluded`. JSON numbers are taken as they are.
    """
    amount = raw if isinstance(raw, Decimal) else _parse(raw, declared)
    if amount is None or not amount.is_finite() or amount < 0 or amount > _LARGEST:
        return UnreadableAmount(describe_text_shape(str(raw)))
    return amount.quantize(Decimal("0.01")) or None


def value_to_send(
    route: ConversionRoute, lead: LeadFacts, at: datetime, expires_at: datetime, now: datetime
) -> Decimal | NoValueToSend | None:
    """Return the amount to send with a conversion; None if the conversion carries none."""
    if route.expected_value is not None:
        expected = route.expected_value.value or route.expected_value.otherwise
        return NoValueToSend(Reason.VALUE_NOT_ESTIMATED) if expected is None else expected
    if route.field_value is None:
        return route.fixed_value
    amount = lead.amounts.get(route.field_value.path)
    if isinstance(amount, UnreadableAmount):
        return NoValueToSend(Reason.VALUE_UNREADABLE, amount.shape)
    if amount is not None:
        return amount
    until = min(at + route.field_value.wait, expires_at - SETTLED_BEFORE_END)
    if now < until:
        return NoValueToSend(Reason.VALUE_AWAITED, until=until)
    if route.field_value.never_seen:
        return NoValueToSend(Reason.VALUE_NEVER_SEEN)
    if route.field_value.otherwise is None:
        return NoValueToSend(Reason.VALUE_MISSING)
    return route.field_value.otherwise


def value_origin(route: ConversionRoute, lead: LeadFacts) -> ValueOrigin | None:
    """Return where the amount that `value_to_send` returns comes from; None if the conversion carries none."""
    if route.expected_value is not None:
        return ValueOrigin.OTHERWISE if route.expected_value.value is None else ValueOrigin.EXPECTED
    if route.field_value is not None:
        return ValueOrigin.FIELD if route.field_value.path in lead.amounts else ValueOrigin.OTHERWISE
    return None if route.fixed_value is None else ValueOrigin.FIXED


def _parse(raw: str, declared: frozenset[str]) -> Decimal | None:
    """Return the amount, 0 if there is none, or None if it is unreadable."""
    whole_text = _BETWEEN_THOUSANDS.sub(" ", raw.strip()).replace("’", "'")
    text = _AROUND.sub("", whole_text)
    words = "".join(found.group().casefold() for found in _AROUND.finditer(whole_text))
    if len(declared | {tax for word, tax in _TAX_WORDS.items() if word in words}) > 1:
        return None
    if not text:
        return None if raw.strip() else Decimal(0)
    split = _DECIMALS.fullmatch(text)
    whole, mark, decimals = split.groups() if split else (text, "", "0")
    if _PLAIN.fullmatch(whole):
        # With a leading zero it is a reference or a phone number.
        return None if len(whole) > 1 and whole.startswith("0") else Decimal(f"{whole}.{decimals}")
    grouped = _GROUPED.fullmatch(whole)
    if grouped is None or grouped["group"] == mark:
        return None
    if not mark and grouped["group"] in ".," and whole.count(grouped["group"]) == 1:
        # "1.250" and "1,250" are ambiguous: 1250 to some, one and a quarter to others.
        return None
    return Decimal(f"{re.sub(r'[^0-9]', '', whole)}.{decimals}")


_DOMAIN = re.compile(r"@([^\s@;,|/<>()\"]+)")
"""Matches what follows an @, even in an invalid address: test addresses often are."""


TEST_DOMAIN = "oplead-sync.invalid"
"""The domain of every address that this program invents; a lead that has one is a test lead, whatever the settings say.

RFC 2606 keeps it from existing.
"""


@dataclass(frozen=True, slots=True)
class ExclusionCriteria:
    """How to recognise test leads; every value is in the form it is compared in."""

    email_domains: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    """In E.164."""
    names: frozenset[str] = frozenset()
    fields: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Normalised values by path."""

    def is_test_lead(self, lead: Lead) -> bool:
        """Return whether the lead matches any of the criteria."""
        contact = lead.contact
        return (
            (bool(self.email_domains) and not self.email_domains.isdisjoint(_domains(contact)))
            or self._has_excluded_phone(contact)
            or (bool(self.names) and not self.names.isdisjoint(_names(contact)))
            or any(
                normalise_text(str(lead.fields[path])) in values
                for path, values in self.fields.items()
                if path in lead.fields
            )
        )

    def _has_excluded_phone(self, contact: Contact) -> bool:
        if not self.phones:
            return False
        from connectors.contact import clean_phones  # noqa: PLC0415 - the numbering plans of the world are slow to load

        return not self.phones.isdisjoint(clean_phones(contact.phones, country=contact.country))


def _domains(contact: Contact) -> Iterator[str]:
    return (domain(each) for email in contact.emails for each in _DOMAIN.findall(tidy_text(email)))


def domain(text: str) -> str:
    """Return an e-mail domain in the form it is compared in: exact except for case."""
    return tidy_text(text).casefold().strip(" .")


def _names(contact: Contact) -> Iterator[str]:
    """The full name, in either order; a first or last name alone only if the lead has no other."""
    names = [name for name in (contact.first_name, contact.last_name) if name and normalise_text(name)]
    yield normalise_text(" ".join(names))
    yield normalise_text(" ".join(reversed(names)))


@dataclass(frozen=True, slots=True)
class ConsentField:
    """The path of a consent signal and the normalised values for each answer."""

    path: str
    granted: frozenset[str]
    refused: frozenset[str]


@dataclass(frozen=True, slots=True)
class RequiredLeadData:
    """What the settings require from a lead."""

    ad_user_data: ConsentField
    ad_personalization: ConsentField | None
    where: Mapping[str, frozenset[str]]
    """Normalised values by `where` path, merged from all conditions."""
    amounts: Mapping[str, frozenset[str]]
    """Declared tax treatments by amount path, merged from all conversions."""
    exclude: ExclusionCriteria = field(default_factory=ExclusionCriteria)
    report_by: str | None = None
    """The path of the field that the report tells leads apart by."""

    @property
    def paths(self) -> frozenset[str]:
        """Every path to read besides the fixed fields."""
        signals = [self.ad_user_data] + ([self.ad_personalization] if self.ad_personalization else [])
        paths = {signal.path for signal in signals} | ({self.report_by} if self.report_by else set())
        return frozenset(paths | self.where.keys() | self.amounts.keys() | self.exclude.fields.keys())


class ConsentReading(NamedTuple):
    """What one reading of a lead shows of one consent signal."""

    signal: ConsentSignalName
    answer: ConsentAnswer
    field: str
    """The path of the field; empty if the settings name none."""
    value: str | None
    """The answer as Oplead shows it if the settings list it, otherwise `<shape>`; None if there is none."""


@dataclass(frozen=True, slots=True)
class StorableLead:
    """A lead read by a pull, reduced to what may be stored."""

    lead: Lead
    label: str | None
    ad_user_data: ConsentReading
    ad_personalization: ConsentReading
    where: Mapping[str, str]
    amounts: Mapping[str, Amount]
    changes: Sequence[StatusEntered]
    click_ids: Sequence[KnownClickId]
    identifiers: Mapping[DestinationId, tuple[Identifier, ...]]
    utm: Utm
    """As reports show it."""
    excluded: bool = False
    """Whether the settings classify it as a test lead."""
    reported_by: str | None = None
    """The tidied value at `report.by`."""
    contact_mark: bytes | None = None
    """By which it is known again under another id if it has no click."""


def read_consent(signal: ConsentSignalName, field: ConsentField | None, lead: Lead) -> ConsentReading:
    """Return the lead's answer to one consent question, and what it was read from."""
    if field is None:
        return ConsentReading(signal, ConsentAnswer.NOT_ASKED, "", None)
    raw = str(lead.fields.get(field.path, ""))
    value = normalise_text(raw)
    if not value:
        return ConsentReading(signal, ConsentAnswer.MISSING, field.path, None)
    if value in field.refused:
        return ConsentReading(signal, ConsentAnswer.REFUSED, field.path, text_to_show(raw))
    if value in field.granted:
        return ConsentReading(signal, ConsentAnswer.GRANTED, field.path, text_to_show(raw))
    return ConsentReading(signal, ConsentAnswer.UNKNOWN, field.path, f"<{describe_text_shape(raw)}>")


def consent_answer(field: ConsentField, lead: Lead) -> ConsentAnswer:
    """Return the lead's answer to the question of a field."""
    return read_consent(ConsentSignalName.AD_USER_DATA, field, lead).answer


def where_condition_values(wanted: Mapping[str, frozenset[str]], lead: Lead) -> dict[str, str]:
    """Return the values of `where` paths: normalised if the settings list them, otherwise only their shape."""
    found = {path: str(raw) for path in wanted if (raw := lead.fields.get(path)) is not None}
    return {
        path: value if (value := normalise_text(raw)) in wanted[path] else f"<{describe_text_shape(raw)}>"
        for path, raw in found.items()
    }


_LONGEST_SHOWN = 200
"""Characters of a text from Oplead that reports show."""


def text_to_show(raw: object) -> str | None:
    """Return a value as reports show it: one line, without control characters, not too long; None if it is empty."""
    if raw is None:
        return None
    return strip_control_characters(str(raw)).strip()[:_LONGEST_SHOWN].rstrip() or None


def id_to_show(named: str) -> str:
    """Return what somebody else wrote as a lead's id as reports show it; contact data by its shape."""
    return f"<{describe_text_shape(named)}>" if "@" in named or is_contact(named) else text_to_show(named) or ""


def utm_to_show(lead: Lead) -> Utm:
    """Return the UTM fields as reports show them; one with contact data, as some websites make them, by its shape."""
    shown = (text_to_show(text) for text in (lead.utm.source, lead.utm.medium, lead.utm.campaign))
    return Utm(*(f"<{describe_text_shape(text)}>" if text and _shows(lead.contact, text) else text for text in shown))


_WORD = re.compile(r"[^\W\d_]+")
_NO_DIGIT = re.compile(r"\D")
_FEWEST_DIGITS = 9
"""Of a phone number without its country code."""


def _shows(contact: Contact, text: str) -> bool:
    """Whether a text holds an e-mail address, a phone number, or this contact's full name."""
    if "@" in text or holds_contact(text):
        return True
    digits = _NO_DIGIT.sub("", text)
    if len(digits) >= _FEWEST_DIGITS:
        phones = [_NO_DIGIT.sub("", phone)[-_FEWEST_DIGITS:] for phone in contact.phones]
        if any(phone in digits for phone in phones if len(phone) == _FEWEST_DIGITS):
            return True
    words = set(_WORD.findall(normalise_text(text)))
    names = (_WORD.findall(normalise_text(part or "")) for part in (contact.first_name, contact.last_name))
    return all(name and words.issuperset(name) for name in names)


def amounts(wanted: Mapping[str, frozenset[str]], lead: Lead) -> dict[str, Amount]:
    """Return a lead's nonzero amounts by path; one that contradicts the declared tax is unreadable."""
    found = {path: read_amount(lead.fields[path], wanted[path]) for path in sorted(wanted) if path in lead.fields}
    return {path: amount for path, amount in found.items() if amount is not None}


def newly_seen_click_ids(
    known: Sequence[KnownClickId], lead: Lead, *, previously: datetime | None
) -> list[KnownClickId]:
    """Return the click ids that a fresh reading adds to those known.

    Unless the time of the click was captured with it, an id present at first sight counts from the lead's creation, a
    later one from the pull before it appeared. An id erased when its window closed is still known, so that it can't
    come back as a fresh click.
    """
    seen = {(click.kind, click.value) for click in known}
    added: list[KnownClickId] = []
    for click in lead.click_ids:
        is_erased = bool(known) and (click.kind, erased_click_id_hash(click.value)) in seen
        if not is_erased and (click.kind, click.value) not in seen:
            seen.add((click.kind, click.value))
            # A form's lead id dates from the lead's creation, however late it is copied into Oplead.
            since = lead.created_at if click.kind is ClickIdKind.LEAD_ID else previously or lead.created_at
            clicked_at, estimated = click.clicked_at or since, click.clicked_at is None
            added.append(KnownClickId(click.kind, click.value, clicked_at, estimated))
    return added


def erased_click_id_hash(value: str) -> str:
    """Return what is kept of a click id that is no longer useful: a hash, enough to recognise it."""
    return ERASED + hashlib.sha256(value.encode()).hexdigest()
