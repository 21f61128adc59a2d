"""What a lead in a stage is worth, by the account's own history: how many become won, times the average sale. Pure.

The share that wins is a Kaplan-Meier estimate of the time from entering the stage to winning, so a young lead counts
for as long as it has been watched, and for nothing it has not had the time for. Losing needs no place in it: a lost
lead is watched on, as it may come back, and has simply not won so far; that is the cumulative incidence of winning with
losing as a competing event, since every lead's watch ends on the same day, whatever became of it.

How far the curve is read depends on how long leads were watched, never on what became of them: a horizon chosen by the
outcomes would flatter them. Nothing is extrapolated beyond it.

The average sale weighs each sale by its step of that curve: where large projects take longer to win, the young leads'
quick and small sales would otherwise pull it down. Expected value, rate and average are functions of the same sums over
the sales, so one linearisation gives all three intervals. They are taken on the scale on which they are nearly
symmetric: logit for the rate, logarithm for amounts, whose few large ones skew them. Student's quantile makes up for
how few the sales are. Intervals by Wilson's method over old cohorts alone would discard half of a growing company.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from statistics import NormalDist

FEWEST_SALES = 30
"""Fewer sales with a known amount support no average: one large one would decide it."""
FEWEST_WATCHED = 20
"""How many leads must have been watched for as long as the curve is read."""
LONGEST = timedelta(days=365)
"""What takes longer to win comes too late for any platform's bidding."""
STILL_RISING = 0.1
"""Leads are too young if more than this share of all sales fell into the last quarter of the time watched."""
WIDEST = 1.2
"""An interval wider than this, as a multiple of the value, says too little to bid by."""
_CONFIDENCE = 0.95
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class LeadOutcome:
    """What became of one lead that entered a stage."""

    entered_at: datetime
    won_at: datetime | None = None
    amount: Decimal | None = None
    """What it was won for; None if it was not, or nobody has entered the amount."""
    campaign: str | None = None


@dataclass(frozen=True, slots=True)
class ConfidenceInterval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def relative_width(self) -> float:
        """The interval's width as a multiple of the estimate."""
        return (self.high - self.low) / self.value


@dataclass(frozen=True, slots=True)
class MoneyInterval:
    """An estimated amount with its 95 % interval, in cents."""

    value: Decimal
    low: Decimal
    high: Decimal

    @property
    def relative_width(self) -> float:
        """The interval's width as a multiple of the estimate."""
        return float((self.high - self.low) / self.value)


@dataclass(frozen=True, slots=True)
class StageValueEstimate:
    """What a lead in a stage is worth."""

    rate: ConfidenceInterval
    """The share of leads that are won within `horizon`."""
    mean: MoneyInterval
    """The average sale."""
    expected: MoneyInterval
    """The rate times the average sale."""
    leads: int
    won: int
    """How many of them were won within `horizon`."""
    priced: int
    """How many of those have a known amount."""
    horizon: timedelta
    """How long after entering the stage winning counts."""
    first: datetime
    """When the first of the leads entered the stage."""
    until: datetime
    """Until when they were watched."""


@dataclass(frozen=True, slots=True)
class TooThin:
    """Why nothing is estimated, and how much is missing."""

    leads: int
    won: int
    priced: int
    missing_sales: int = 0
    """How many more sales with a known amount it takes, about."""
    missing_leads: int = 0
    """How many more leads must have been watched for long enough."""
    still_rising: bool = False
    """Whether leads are too young: too many sales came late in the time watched."""


@dataclass(frozen=True, slots=True)
class _Sale:
    """One sale on the curve."""

    after: timedelta
    amount: float | None
    survival: float
    """The share not won just before it."""
    at_risk: int
    """How many leads could have been won then."""

    @property
    def weight(self) -> float:
        """Its step of the curve."""
        return self.survival / self.at_risk


def estimate(histories: Sequence[LeadOutcome], *, until: datetime) -> StageValueEstimate | TooThin:
    """Estimate what a lead in a stage is worth from the leads that entered it and were watched `until` then.

    The same histories, in any order, give the same estimate.
    """
    watched = sorted((until - each.entered_at for each in histories if each.entered_at <= until), reverse=True)
    if len(watched) < FEWEST_WATCHED:
        won = [each for each in histories if each.won_at is not None and each.won_at <= until]
        priced = sum(each.amount is not None for each in won)
        return TooThin(len(watched), len(won), priced, missing_leads=FEWEST_WATCHED - len(watched))
    horizon = min(watched[FEWEST_WATCHED - 1], LONGEST)
    sales = _sales(histories, until=until, horizon=horizon)
    prices = [each.amount for each in sales if each.amount is not None]
    thin = TooThin(len(watched), len(sales), len(prices))
    if len(prices) < FEWEST_SALES:
        return _thin(thin, missing_sales=FEWEST_SALES - len(prices))
    rate = sum(each.weight for each in sales)
    late = sum(each.weight for each in sales if each.after > 0.75 * horizon)
    if late > STILL_RISING * rate:
        return _thin(thin, still_rising=True)
    found = _estimated(sales)
    if found is None:
        # Every lead was won: of those that will not be, nothing is known.
        return _thin(thin, missing_leads=FEWEST_WATCHED)
    by_rate, by_mean, expected = found
    if expected.relative_width > WIDEST:
        needed = math.ceil(len(prices) * (expected.relative_width / WIDEST) ** 2)
        return _thin(thin, missing_sales=max(1, needed - len(prices)))
    first = min(each.entered_at for each in histories)
    return StageValueEstimate(
        by_rate, _in_cents(by_mean), _in_cents(expected), len(watched), len(sales), len(prices), horizon, first, until
    )


def _thin(thin: TooThin, *, missing_sales: int = 0, missing_leads: int = 0, still_rising: bool = False) -> TooThin:
    return TooThin(thin.leads, thin.won, thin.priced, missing_sales, missing_leads, still_rising)


def _sales(histories: Iterable[LeadOutcome], *, until: datetime, horizon: timedelta) -> list[_Sale]:
    """Return the sales within the horizon, by the time they took; leads won later were not won within it."""
    ends: list[tuple[timedelta, bool, float | None]] = []
    for each in histories:
        if each.entered_at > until:
            continue
        won = each.won_at is not None and each.won_at <= until
        end = each.won_at if won and each.won_at is not None else until
        amount = float(each.amount) if won and each.amount is not None else None
        ends.append((end - each.entered_at, won, amount))
    # A lead whose watch ends at the very time of a sale could still have been won then.
    ends.sort(key=lambda end: (end[0], not end[1], end[2] is None, end[2] or 0))
    sales, survival, at_risk = [], 1.0, len(ends)
    for after, group in groupby(ends, key=lambda end: end[0]):
        if after > horizon:
            break
        together = list(group)
        won_now = [amount for _, won, amount in together if won]
        # As if one after the other: sales of one day are as many draws.
        for number, amount in enumerate(won_now):
            sales.append(_Sale(after, amount, survival, at_risk - number))
            survival *= 1 - 1 / (at_risk - number)
        at_risk -= len(together)
    return sales


def _estimated(sales: Sequence[_Sale]) -> tuple[ConfidenceInterval, ConfidenceInterval, ConfidenceInterval] | None:
    """Return rate, average sale and expected value; None if the rate is 1."""
    if any(sale.at_risk == 1 for sale in sales):
        return None
    rate, by_rate = _sum_with_steps(sales, lambda _: 1.0)
    total, by_total = _sum_with_steps(sales, lambda sale: sale.amount or 0.0)
    priced, by_priced = _sum_with_steps(sales, lambda sale: 0.0 if sale.amount is None else 1.0)
    # A sale of unknown amount counts in the rate, and not in the average.
    mean = total / priced
    of_mean = [a / total - b / priced for a, b in zip(by_total, by_priced, strict=True)]
    of_expected = [a / rate + b for a, b in zip(by_rate, of_mean, strict=True)]
    count = sum(sale.amount is not None for sale in sales)
    wide = student_quantile((1 + _CONFIDENCE) / 2, count - 1)
    return (
        _by_logit(rate, wide * _norm(by_rate)),
        _by_logarithm(mean, wide * _norm(of_mean)),
        _by_logarithm(rate * mean, wide * _norm(of_expected)),
    )


def _sum_with_steps(sales: Sequence[_Sale], mark: Callable[[_Sale], float]) -> tuple[float, list[float]]:
    """Return the sum of a mark over the curve's steps, and how much each sale alone moved it.

    A sale adds its mark, and takes away what its lead would otherwise have been expected to add later. The squares of
    these steps add up to the variance; with a mark of 1, nearly to Greenwood's.
    """
    later = 0.0
    steps = []
    for _, group in groupby(reversed(sales), key=lambda sale: sale.after):
        together = list(group)
        # Nothing tells in which order those of one time happened.
        average = sum(map(mark, together)) / len(together)
        for sale in together:
            steps.append((sale.survival * mark(sale) - later) / sale.at_risk)
            later += sale.weight * average
    return later, steps[::-1]


def _norm(steps: Iterable[float]) -> float:
    return math.sqrt(math.fsum(step * step for step in steps))


def _by_logit(share: float, deviation: float) -> ConfidenceInterval:
    odds, width = share / (1 - share), deviation / (share * (1 - share))
    low, high = odds * math.exp(-width), odds * math.exp(width)
    return ConfidenceInterval(share, low / (1 + low), high / (1 + high))


def _by_logarithm(amount: float, deviation: float) -> ConfidenceInterval:
    return ConfidenceInterval(amount, amount * math.exp(-deviation), amount * math.exp(deviation))


def _in_cents(amount: ConfidenceInterval) -> MoneyInterval:
    return MoneyInterval(*(Decimal(repr(each)).quantize(_CENT) for each in (amount.value, amount.low, amount.high)))


def student_quantile(share: float, freedom: int) -> float:
    """Return Student's quantile, by its expansion in the normal one: exact to 0.001 for ten degrees of freedom."""
    z = NormalDist().inv_cdf(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, 1))


def by_campaign(histories: Iterable[LeadOutcome]) -> dict[str, list[LeadOutcome]]:
    """Return the histories of each campaign, the one with the most leads first."""
    groups: dict[str, list[LeadOutcome]] = {}
    for each in histories:
        if each.campaign is not None:
            groups.setdefault(each.campaign, []).append(each)
    sizes = Counter({name: len(each) for name, each in groups.items()})
    return {name: groups[name] for name, _ in sizes.most_common()}
