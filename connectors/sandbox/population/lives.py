"""How leads move through the funnel, and how often each kind occurs."""

import random
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from connectors.sandbox.rules import read_sandbox_csv

Item = TypeVar("Item")


class Dice:
    """A random source with the same sequence for the same seed, on any Python version and platform.

    Only `random()` keeps its sequence across Python versions, so every method derives from it:
    https://docs.python.org/3/library/random.html#notes-on-reproducibility
    """

    __slots__ = ("_random",)

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random  # noqa: S311 - repeatable, not secret

    def random_below(self, bound: int) -> int:
        """Return an integer from 0 to `bound`, exclusive."""
        return int(self._random() * bound)

    def random_between(self, low: int, high: int) -> int:
        """Return an integer from `low` to `high`, inclusive."""
        return low + self.random_below(high - low + 1)

    def pick(self, options: Sequence[Item]) -> Item:
        """Return one of the options, uniformly."""
        return options[self.random_below(len(options))]

    def random_text(self, alphabet: str, length: int) -> str:
        """Return `length` random characters of the alphabet."""
        return "".join(self.pick(alphabet) for _ in range(length))

    def weighted_index(self, cumulative: Sequence[int]) -> int:
        """Return an index, weighted by cumulative weights (`itertools.accumulate`)."""
        return bisect_right(cumulative, self.random_below(cumulative[-1]))

    def shuffled(self, items: Iterable[Item]) -> list[Item]:
        """Return the items in random order."""
        deck = list(items)
        for last in range(len(deck) - 1, 0, -1):
            other = self.random_below(last + 1)
            deck[last], deck[other] = deck[other], deck[last]
        return deck

    def deal_by_shares(self, shares: Mapping[str, int], count: int) -> list[str]:
        """Return `count` names in random order, each as often as its share says, to within one."""
        return self.shuffled(name for name, times in apportion(shares, count).items() for _ in range(times))


def apportion(shares: Mapping[str, int], count: int) -> dict[str, int]:
    """Split `count` by share, so that the parts add up to it: the largest remainders round up."""
    total = sum(shares.values())
    seats = {name: share * count // total for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: -(shares[name] * count % total))
    for name in by_remainder[: count - sum(seats.values())]:
        seats[name] += 1
    return seats


PARIS: Final = ZoneInfo("Europe/Paris")
HOUR: Final = timedelta(hours=1)
SATURDAY: Final = 5


@dataclass(frozen=True, slots=True)
class SimulatedLeadChange:
    """One dated change of a lead; a field that is None stays unchanged."""

    at: datetime
    status: str | None = None
    amount: str | int | None = field(default=None, repr=False)
    consent: str | None = None
    agency: str | None = None


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """One step in the funnel: its possible labels, and how many weekdays after the previous step it comes."""

    labels: tuple[str, ...]
    soonest: int
    latest: int


CALL: Final = FunnelStep(("En cours",), 0, 2)
MEET: Final = FunnelStep(("Rendez-vous", "RDV pris"), 1, 6)
QUOTE: Final = FunnelStep(("Devis à relancer",), 2, 10)
SIGN: Final = FunnelStep(("Gagné",), 3, 15)
LOSE: Final = FunnelStep(("Perdu",), 3, 18)
DROP: Final = FunnelStep(("Sans suite",), 2, 15)
NURSE: Final = FunnelStep(("Nurserie",), 1, 10)
STRAY: Final = FunnelStep(("À requalifier",), 1, 10)

JOURNEYS: Final[Mapping[str, tuple[FunnelStep, ...]]] = {
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
"""The steps after Nouveau, with which every lead starts."""

_WEB_HOURS: Final = (2, 1, 1, 1, 1, 2, 4, 8, 12, 16, 16, 14, 16, 15, 12, 12, 12, 13, 16, 18, 20, 18, 12, 6)
"""The relative web form traffic of each hour of the day, in Paris."""


_OFFICE_HOURS: Final = ((time(9), 210), (time(14), 270))
"""When people change a status: opening time and duration in minutes."""


def hourly_arrival_weights(channel: str, start: datetime, hours: int) -> list[int]:
    """Return the channel's cumulative weights of a lead arriving in each hour after `start`."""
    busyness = [_arrival_weight(channel, (start + hour * HOUR).astimezone(PARIS)) for hour in range(hours)]
    return list(accumulate(busyness if any(busyness) else [1] * hours))


def _arrival_weight(channel: str, local: datetime) -> int:
    if channel == "Téléphone":
        return int(local.weekday() < SATURDAY and local.hour in range(9, 18) and local.hour not in (12, 13))
    if channel == "Salon":
        return int(local.weekday() >= SATURDAY - 1 and local.hour in range(10, 18))
    return _WEB_HOURS[local.hour] * (2 if local.weekday() >= SATURDAY else 3)


def draw_creation_time(dice: Dice, start: datetime, totals: Sequence[int]) -> datetime:
    """Draw a creation time, to the second, weighted by the `totals` that `hourly_arrival_weights` returns."""
    return start + dice.weighted_index(totals) * HOUR + timedelta(seconds=dice.random_below(3600))


def draw_status_changes(dice: Dice, created: datetime, journey: str) -> list[SimulatedLeadChange]:
    """Draw the lead's status changes, oldest first, all but the first in office hours."""
    changes = [SimulatedLeadChange(created, status="Nouveau")]
    for step in JOURNEYS[journey]:
        at = office_time(dice, changes[-1].at, dice.random_between(step.soonest, step.latest))
        changes.append(SimulatedLeadChange(at, status=dice.pick(step.labels)))
    return changes


def office_time(dice: Dice, after: datetime, days: int) -> datetime:
    """Draw a time in office hours (9:00-12:30 or 14:00-18:30 in Paris), `days` weekdays after `after`."""
    day = _weekdays_later(after.astimezone(PARIS).date(), days)
    while True:
        opens, minutes = dice.pick(_OFFICE_HOURS)
        opening = datetime.combine(day, opens, PARIS)
        moment = (opening + timedelta(seconds=dice.random_below(minutes * 60))).astimezone(UTC)
        if moment > after:
            return moment
        day = _weekdays_later(day, 1)


def _weekdays_later(day: date, days: int) -> date:
    while days > 0 or day.weekday() >= SATURDAY:
        day += timedelta(days=1)
        days -= day.weekday() < SATURDAY
    return day


LATE: Final = timedelta(days=2)
"""How long after the sale a late amount is entered."""


def draw_sale(dice: Dice, kind: str, won: datetime) -> tuple[SimulatedLeadChange | None, Decimal | None]:
    """Draw how and when a sale's amount is entered in the CRM, and the euros it means; each None if missing."""
    if kind == "absent":
        return None, None
    euros = Decimal(dice.random_between(40, 600) * 50)
    thousands = f"{euros:,}".replace(",", " ")
    amounts: Mapping[str, tuple[str | int, Decimal | None]] = {
        "euros": (f"{thousands},00 €", euros),
        "late": (f"{thousands},00 €", euros),
        "typeset": (f"{thousands},00\u00a0€".replace(" ", "\u202f"), euros),
        "plain": (f"{euros}", euros),
        "cents": (f"{euros},50", euros + Decimal("0.50")),
        "number": (int(euros), euros),
        "ambiguous": (thousands.replace(" ", "."), None),
        "on_quote": ("sur devis", None),
    }
    typed, meant = amounts[kind]
    return SimulatedLeadChange(won + LATE if kind == "late" else won, amount=typed), meant


REPEATED: Final = 10
"""How many of 1,000 leads repeat an earlier one: the same person and click id, another lead id, days later."""


_SHARES: Final = read_sandbox_csv("population/shares.csv")
SHARES: Final[Mapping[str, Mapping[str, int]]] = {
    name: {row["kind"]: int(row["weight"]) for row in _SHARES if row["property"] == name}
    for name in dict.fromkeys(row["property"] for row in _SHARES)
}
"""The weight of each kind, by property; `shares.csv` also explains the kinds."""
