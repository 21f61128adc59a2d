"""Answers to `init` given as options, and how dates, durations and choices are typed."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

import typer
from pydantic import TypeAdapter, ValidationError

from jobs.rules.extraction import read_amount
from jobs.rules.model import normalise_label
from jobs.settings.scaffold import PUBLIC_ADDRESS
from jobs.settings.types import Span

STAGES: Mapping[str, str] = {
    "appointment": "an appointment is made",
    "quote_sent": "a quote is sent",
    "won": "the sale is signed",
    "lost": "the lead is lost",
}
Tax = Literal["included", "excluded"]
ContactData = Literal["attach", "none"]
_FRENCH_DAY = re.compile(r"([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]([0-9]{4})")
_MASK = re.compile(r"<.*\d+ characters?>")
"""What `probe` shows in place of a text that may be somebody's data."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What was said on the command line; None where it is asked for, and empty where there is none of it."""

    account: str | None = None
    timezone: str = "Europe/Paris"
    currency: str = "EUR"
    base_url: str = PUBLIC_ADDRESS
    path_prefix: str | None = None
    clock: str | None = None
    auth: Mapping[str, str] | None = None
    """As `oplead.auth` says it."""
    stages: Mapping[str, tuple[str, ...]] | None = None
    consent_field: str | None = None
    consent_granted: tuple[str, ...] = ()
    consent_refused: tuple[str, ...] = ()
    personalization_field: str | None = None
    personalization_granted: tuple[str, ...] = ()
    personalization_refused: tuple[str, ...] = ()
    amount_field: str | None = None
    amount_tax: Tax | None = None
    otherwise: str | None = None
    google_customer_id: str | None = None
    google_login_customer_id: str | None = None
    actions: Mapping[str, str] | None = None
    google_addresses: Mapping[str, str] = field(default_factory=dict)
    """A local stand-in's, by their keys in the file."""
    meta_dataset_id: str | None = None
    graph_url: str | None = None
    contact_data: ContactData | None = None
    imported_until: str | None = None
    """A day as 2026-11-30."""

    def __post_init__(self) -> None:
        """Refuse what could not be written as it was said.

        Raises:
            ValueError: an option cannot be read; the message names it.
        """
        checks: tuple[tuple[str, str | None, Callable[[str], object]], ...] = (
            ("--google-customer-id", self.google_customer_id, digits_of(10, 10)),
            ("--google-login-customer-id", self.google_login_customer_id, digits_of(10, 10)),
            ("--otherwise", self.otherwise, amount_of),
            ("--meta-dataset-id", self.meta_dataset_id, dataset_of),
            ("--imported-until", self.imported_until, day_of),
        )
        for option, said, check in checks:
            try:
                if said:
                    check(said)
            except ValueError as error:
                raise ValueError(f"{option}: {error}") from None
        taken: dict[str, str] = {}
        for stage, action in (self.actions or {}).items():
            try:
                if action:
                    taken[stage] = action_apart_from(taken)(action)
            except ValueError as error:
                raise ValueError(f"--action {stage}={action}: {error}") from None


def labels_of(text: str) -> tuple[str, ...]:
    """`Gagné, Vendu` as its labels.

    Raises:
        ValueError: one is only the shape that `probe` shows of a text.
    """
    labels = tuple(label.strip() for label in text.split(",") if label.strip())
    if _MASK.search(text):
        raise ValueError(f"{text} is only how long a text is: write the text itself, as Oplead shows it")
    return labels


def some_labels_of(text: str) -> tuple[str, ...]:
    """The same, and at least one.

    Raises:
        ValueError: there is none.
    """
    labels = labels_of(text)
    if not labels:
        raise ValueError("write at least one, with commas between")
    return labels


def pairs_of(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """`won=Gagné,Vendu` as what stands before and after the sign.

    Raises:
        ValueError: one has no sign, or an unknown stage before it.
    """
    for text in texts:
        name, sign, rest = text.partition("=")
        if not sign or name.strip() not in STAGES:
            raise ValueError(f"write {'|'.join(STAGES)}=…, as won=Gagné: {text}")
        yield name.strip(), rest.strip()


def day_of(text: str) -> date:
    """A day as 2026-11-30, or as the French write it, 30/11/2026.

    Raises:
        ValueError: it is none; the message says how to write one.
    """
    french = _FRENCH_DAY.fullmatch(text)
    try:
        return date(int(french[3]), int(french[2]), int(french[1])) if french else date.fromisoformat(text)
    except ValueError:
        raise ValueError("write a day as 2026-11-30 or 30/11/2026") from None


def refuse_shared_labels(stages: Mapping[str, Sequence[str]]) -> None:
    """See that no label stands in two stages.

    Raises:
        ValueError: one does; the message names both.
    """
    taken: dict[str, str] = {}
    for stage, labels in stages.items():
        for label in labels:
            if taken.setdefault(normalise_label(label), stage) != stage:
                raise ValueError(f"{label} is under {taken[normalise_label(label)]} already: a lead has one stage")


def each_once(labels: Iterable[str]) -> tuple[str, ...]:
    """The labels in their first spelling, those without letters or digits left out."""
    first: dict[str, str] = {}
    for label in labels:
        first.setdefault(normalise_label(label), label)
    return tuple(label for normal, label in first.items() if normal)


def slug_of(text: str) -> str:
    """An account's name.

    Raises:
        ValueError: it cannot be one.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", text):
        raise ValueError("lowercase letters without accents, digits, - and _, 40 at most")
    return text


def digits_of(least: int, most: int) -> Callable[[str], str]:
    """A check for an id of so many digits, which people write with hyphens."""

    def check(text: str) -> str:
        digits = text.replace("-", "").replace(" ", "")
        if not digits.isascii() or not digits.isdecimal() or not least <= len(digits) <= most:
            raise ValueError(f"write {least} digits" if least == most else "write digits only")
        return digits

    return check


def dataset_of(text: str) -> str:
    """Meta's id of a dataset, which it shows as digits.

    Raises:
        ValueError: there is anything else in it.
    """
    if not re.fullmatch(r"[0-9]{1,20}", text):
        raise ValueError("write digits only")
    return text


def action_apart_from(taken: Mapping[str, str]) -> Callable[[str], str]:
    """A check for the id of a conversion action: none stands for two stages."""
    digits = digits_of(1, 20)

    def check(text: str) -> str:
        action = digits(text)
        for stage, other in taken.items():
            if other == action:
                raise ValueError(f"{action} is the action for {stage} already: each stage needs one of its own")
        return action

    return check


def tax_of(text: str) -> Tax:
    """Whether tax is in an amount.

    Raises:
        ValueError: it says neither.
    """
    match text.casefold():
        case "included" | "ttc":
            return "included"
        case "excluded" | "ht":
            return "excluded"
    raise ValueError("write included (TTC) or excluded (HT)")


def contact_data_of(text: str) -> ContactData:
    """Whether contact data goes along.

    Raises:
        ValueError: it says neither.
    """
    match text:
        case "attach" | "none":
            return text
    raise ValueError("write attach or none")


def amount_of(text: str) -> Decimal:
    """An amount as leads have it, `3 780,00 €`.

    Raises:
        ValueError: it is none above 0, or may mean two.
    """
    match read_amount(text):
        case Decimal() as amount:
            return amount if amount % 1 else amount.to_integral_value()
    raise ValueError("write an amount above 0, as 900 or 3 780,00")


def span(text: str) -> timedelta:
    """45m, 4h, 30 s.

    Raises:
        typer.BadParameter: it is no length of time.
    """
    try:
        return TypeAdapter(Span).validate_python(text)
    except ValidationError:
        raise typer.BadParameter("write a length of time as 4h, 45m or 30s") from None


def day(text: str, option: str) -> date:
    """2026-09-01.

    Raises:
        typer.BadParameter: it is no day.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("write a day as 2026-09-01", param_hint=option) from None
