"""What becomes of an invented lead: when it arrives, the statuses it takes and what it sells for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Final
from zoneinfo import ZoneInfo

from connectors.sandbox.population_dice import Dice

PARIS: Final = ZoneInfo("Europe/Paris")
HOUR: Final = timedelta(hours=1)
SATURDAY: Final = 5


@dataclass(frozen=True, slots=True)
class Change:
    """One dated change of a lead; what is None stays as it was."""

    at: datetime
    status: str | None = None
    amount: str | int | None = field(default=None, repr=False)
    consent: str | None = None
    agency: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One move in the funnel: the labels in use for it, and how many weekdays after the last one."""

    labels: tuple[str, ...]
    soonest: int
    latest: int


CALL: Final = Step(("En cours",), 0, 2)
MEET: Final = Step(("Rendez-vous", "RDV pris"), 1, 6)
QUOTE: Final = Step(("Devis à relancer",), 2, 10)
SIGN: Final = Step(("Gagné",), 3, 15)
LOSE: Final = Step(("Perdu",), 3, 18)
DROP: Final = Step(("Sans suite",), 2, 15)
NURSE: Final = Step(("Nurserie",), 1, 10)
STRAY: Final = Step(("À requalifier",), 1, 10)

JOURNEYS: Final[Mapping[str, tuple[Step, ...]]] = {
    "new": (),
    "working": (CALL,),
    "appointment": (CALL, MEET),
    "quote": (CALL, MEET, QUOTE),
    "won": (CALL, MEET, QUOTE, SIGN),
    "won_directly": (SIGN,),
    "lost": (CALL, MEET, QUOTE, LOSE),
    "no_follow_up": (CALL, DROP),
    "nursery": (CALL, NURSE),
    "regressed": (CALL, MEET, QUOTE, CALL, QUOTE, SIGN),
    "reopened": (CALL, LOSE, CALL, MEET, QUOTE, SIGN),
    "won_then_lost": (CALL, MEET, QUOTE, SIGN, LOSE),
    "won_again": (CALL, MEET, QUOTE, SIGN, LOSE, SIGN),
    "unknown_label": (CALL, STRAY),
}
"""The steps after Nouveau, which every lead starts with."""

_WEB_HOURS: Final = (2, 1, 1, 1, 1, 2, 4, 8, 12, 16, 16, 14, 16, 15, 12, 12, 12, 13, 16, 18, 20, 18, 12, 6)
"""How busy each hour of the day is for a web form, in Paris."""


_OFFICE_HOURS: Final = ((time(9), 210), (time(14), 270))
"""When people change a status: opening time and minutes."""


def arrivals(channel: str, start: datetime, hours: int) -> list[int]:
    """Running totals of how likely a lead of the channel arrives in each hour after `start`."""
    busyness = [_busy(channel, (start + hour * HOUR).astimezone(PARIS)) for hour in range(hours)]
    return list(accumulate(busyness if any(busyness) else [1] * hours))


def _busy(channel: str, local: datetime) -> int:
    if channel == "Téléphone":
        return int(local.weekday() < SATURDAY and local.hour in range(9, 18) and local.hour not in (12, 13))
    if channel == "Salon":
        return int(local.weekday() >= SATURDAY - 1 and local.hour in range(10, 18))
    return _WEB_HOURS[local.hour] * (2 if local.weekday() >= SATURDAY else 3)


def arrive(dice: Dice, start: datetime, totals: Sequence[int]) -> datetime:
    """A creation time, to the second, by the running totals of `arrivals`."""
    return start + dice.weighted(totals) * HOUR + timedelta(seconds=dice.below(3600))


def walk(dice: Dice, created: datetime, journey: str) -> list[Change]:
    """The lead's status changes, oldest first, all in office hours but the first."""
    changes = [Change(created, status="Nouveau")]
    for step in JOURNEYS[journey]:
        at = office_time(dice, changes[-1].at, dice.between(step.soonest, step.latest))
        changes.append(Change(at, status=dice.pick(step.labels)))
    return changes


def office_time(dice: Dice, after: datetime, days: int) -> datetime:
    """A moment on a weekday, 9:00-12:30 or 14:00-18:30 in Paris, that many weekdays later."""
    day = _weekdays_later(after.astimezone(PARIS).date(), days)
    while True:
        opens, minutes = dice.pick(_OFFICE_HOURS)
        opening = datetime.combine(day, opens, PARIS)
        moment = (opening + timedelta(seconds=dice.below(minutes * 60))).astimezone(UTC)
        if moment > after:
            return moment
        day = _weekdays_later(day, 1)


def _weekdays_later(day: date, days: int) -> date:
    while days > 0 or day.weekday() >= SATURDAY:
        day += timedelta(days=1)
        days -= day.weekday() < SATURDAY
    return day


def sale(dice: Dice, kind: str, won: datetime) -> tuple[Change | None, Decimal | None]:
    """How and when the amount of a sale shows in the CRM, and the euros it means."""
    if kind == "absent":
        return None, None
    euros = Decimal(dice.between(40, 600) * 50)
    thousands = f"{euros:,}".replace(",", " ")
    written: dict[str, str | int] = {
        "euros": f"{thousands},00 €",
        "late": f"{thousands},00 €",
        "typeset": f"{thousands},00 €".replace(" €", "\u00a0€").replace(" ", "\u202f"),
        "plain": f"{euros}",
        "cents": f"{euros},50",
        "number": int(euros),
        "ambiguous": thousands.replace(" ", "."),
        "on_quote": "sur devis",
    }
    at = won + timedelta(days=2) if kind == "late" else won
    return Change(at, amount=written[kind]), _meant(kind, euros)


def _meant(kind: str, euros: Decimal) -> Decimal | None:
    if kind in ("ambiguous", "on_quote"):
        return None
    return euros + Decimal("0.50") if kind == "cents" else euros
