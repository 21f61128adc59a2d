"""Amounts as French people type them, read exactly or not at all."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from jobs.rules.model import Amount, LeadFacts, Route, UnreadableAmount, shape
from jobs.rules.reasons import Reason

_CURRENCY = r"(?:€|eur(?:os?)?)(?:\s*(?:ttc|ht))?|ttc|ht"
_AROUND = re.compile(rf"^(?:{_CURRENCY})\s*|\s*(?:{_CURRENCY})$", re.IGNORECASE)
"""Only at the ends: taken out of the middle, `12€50` would become 1250."""
_SAID = {"ttc": "included", "ht": "excluded"}
"""What the words beside an amount say of tax, as settings declare it."""
_PLAIN = re.compile(r"\d+", re.ASCII)
_GROUPED = re.compile(r"\d{1,3}(?:(?P<group>[ .,'])\d{3})(?:(?P=group)\d{3})*", re.ASCII)
_BETWEEN_THOUSANDS = re.compile("[ \u00a0\u2007\u2009\u202f]+")
"""Only spaces: a line break or a tab parts two amounts, or two cells of a table."""
_LARGEST = Decimal("9999999.99")
"""Nobody renovates a house for ten million; a phone number typed into the wrong field looks like that."""

SETTLED_BEFORE_END = timedelta(hours=24)
"""A value is not waited for into the last day of a conversion's window."""


@dataclass(frozen=True, slots=True)
class AwaitValue:
    """The amount is not there yet; it is waited for until then."""

    until: datetime


@dataclass(frozen=True, slots=True)
class NoValue:
    """No value can be sent, and why."""

    reason: Reason
    detail: str | None = None


def read_amount(raw: str | Decimal, declared: frozenset[str] = frozenset()) -> Amount | None:
    """The amount a text says, `UnreadableAmount` where it may mean two, None where there is none (empty or zero).

    `12 500,00 €`, `8900`, `12.500,00`, `1250.5` are read. `1.250` may be one thousand or one: it is not. A JSON
    number is taken as it is. Negative and absurdly large amounts are unreadable, and so is one that says of its tax
    (`900 € HT`) what the settings do not.

    Args:
        raw: what stands in the field.
        declared: how the settings say that tax goes, `included` or `excluded`.
    """
    amount = raw if isinstance(raw, Decimal) else _parse(raw, declared)
    if amount is None:
        return None
    if isinstance(amount, UnreadableAmount):
        return amount
    if not amount.is_finite() or amount < 0 or amount > _LARGEST:
        return UnreadableAmount(shape(str(raw)))
    return amount.quantize(Decimal("0.01")) or None


def value_to_send(
    route: Route, lead: LeadFacts, at: datetime, expires_at: datetime, now: datetime
) -> Decimal | AwaitValue | NoValue | None:
    """The amount to send with a conversion; None where the conversion carries none."""
    if route.field_value is None:
        return route.fixed_value
    amount = lead.amounts.get(route.field_value.path)
    if isinstance(amount, UnreadableAmount):
        return NoValue(Reason.VALUE_UNREADABLE, amount.shape)
    if amount is not None:
        return amount
    until = min(at + route.field_value.wait, expires_at - SETTLED_BEFORE_END)
    if now < until:
        return AwaitValue(until)
    if route.field_value.never_seen:
        return NoValue(Reason.VALUE_NEVER_SEEN)
    if route.field_value.otherwise is None:
        return NoValue(Reason.VALUE_MISSING)
    return route.field_value.otherwise


def _parse(raw: str, declared: frozenset[str]) -> Amount | None:
    whole_text = _BETWEEN_THOUSANDS.sub(" ", raw.strip()).replace("’", "'")
    text = _AROUND.sub("", whole_text)
    words = "".join(found.group().casefold() for found in _AROUND.finditer(whole_text))
    if len(declared | {tax for word, tax in _SAID.items() if word in words}) > 1:
        return UnreadableAmount(shape(raw))
    if not text:
        return None if not raw.strip() else UnreadableAmount(shape(raw))
    whole, mark, decimals = _split_decimals(text)
    if mark and not _PLAIN.fullmatch(decimals):
        return UnreadableAmount(shape(raw))
    if _PLAIN.fullmatch(whole):
        if len(whole) > 1 and whole.startswith("0"):
            # A reference or a phone number: no amount is written so.
            return UnreadableAmount(shape(raw))
        return Decimal(f"{whole}.{decimals or 0}")
    grouped = _GROUPED.fullmatch(whole)
    if grouped is None or grouped["group"] == mark:
        return UnreadableAmount(shape(raw))
    if not mark and grouped["group"] in ".," and whole.count(grouped["group"]) == 1:
        # "1.250", "1,250": a thousand to some, one and a quarter to others.
        return UnreadableAmount(shape(raw))
    return Decimal(f"{re.sub(r'[^0-9]', '', whole)}.{decimals or 0}")


def _split_decimals(text: str) -> tuple[str, str, str]:
    """The part before the decimal mark, the mark, and the one or two digits after it."""
    match = re.fullmatch(r"(?P<whole>.*\d)(?P<mark>[.,])(?P<decimals>\d{1,2})", text, re.ASCII)
    return (match["whole"], match["mark"], match["decimals"]) if match else (text, "", "")
