"""What a lead in a stage is worth: small examples by hand, refusals, and coverage on seeded populations."""

import math
import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from statistics import median

import pytest

from jobs.rules import expected_value
from jobs.rules.expected_value import LeadOutcome, StageValueEstimate, TooThin, by_campaign, estimate, student_quantile
from tests.builders import at

TODAY = at("2026-09-01 00:00")
DAY = timedelta(days=1)


def watched(days, won_after=None, amount=None, campaign=None):
    """A lead that entered its stage so many days ago, perhaps won later."""
    entered = TODAY - timedelta(days=days)
    won_at = None if won_after is None else entered + timedelta(days=won_after)
    return LeadOutcome(entered, won_at, None if amount is None else Decimal(amount), campaign)


def plenty(*, leads=400, share=4, amounts=(1000, 1400), oldest=300):
    """Leads of which every `share`-th is won after a week; the amounts take turns."""
    return [
        watched(20 + (oldest - 20) * number / leads, 7, amounts[number // share % len(amounts)])
        if number % share == 0
        else watched(20 + (oldest - 20) * number / leads)
        for number in range(leads)
    ]


@pytest.fixture
def few_suffice(monkeypatch):
    """Estimate from a handful of leads, as one can by hand."""
    for name, value in (("FEWEST_SALES", 2), ("FEWEST_WATCHED", 1), ("STILL_RISING", 1), ("WIDEST", math.inf)):
        monkeypatch.setattr(expected_value, name, value)


@pytest.mark.usefixtures("few_suffice")
def test_a_young_lead_counts_for_as_long_as_it_was_watched():
    """By hand: 1/5 are won by day 5; one of the other four leaves at day 10, so day 20 adds 4/5 · 1/3."""
    found = estimate(
        [watched(100, 5, 100), watched(100, 20, 400), watched(100), watched(100), watched(10)], until=TODAY
    )

    assert (7 / 15, 5, 2) == (pytest.approx(found.rate.value), found.leads, found.won)
    # The late sale stands for the one that the young lead may still become.
    assert (1 / 5 * 100 + 4 / 15 * 400) / (7 / 15) == pytest.approx(float(found.mean.value), abs=0.005)
    assert Decimal("126.67") == found.expected.value


@pytest.mark.usefixtures("few_suffice")
def test_without_young_leads_it_is_the_plain_share_and_average():
    """Two of eight, 300 on average: 75 a lead; the interval is near the binomial one."""
    found = estimate([watched(90, 3, 200), watched(90, 9, 400), *[watched(90)] * 6], until=TODAY)

    assert (0.25, 300, 75) == (pytest.approx(found.rate.value), found.mean.value, found.expected.value)


def test_intervals_are_near_those_of_the_textbook():
    """Of 400 leads 100 are won: by logit the rate is 21.0 % to 29.5 %, the average's deviation is 200 / 10."""
    found = estimate(plenty(), until=TODAY)

    assert (0.25, 0.210, 0.295) == (
        pytest.approx(found.rate.value, abs=0.002),
        pytest.approx(found.rate.low, abs=0.003),
        pytest.approx(found.rate.high, abs=0.003),
    )
    assert (1200, 1160.9, 1240.4) == (
        pytest.approx(float(found.mean.value), abs=2),
        pytest.approx(float(found.mean.low), abs=2),
        pytest.approx(float(found.mean.high), abs=2),
    )


def test_sales_on_the_very_day_have_the_binomial_interval():
    """Many durations are 0 where only days are known."""
    at_once = [replace(each, won_at=each.won_at and each.entered_at) for each in plenty()]

    found = estimate(at_once, until=TODAY)

    assert (0.25, 0.210, 0.295) == (
        pytest.approx(found.rate.value, abs=0.001),
        pytest.approx(found.rate.low, abs=0.002),
        pytest.approx(found.rate.high, abs=0.002),
    )


def test_a_sale_without_an_amount_counts_in_the_rate_alone():
    """A missing amount is not zero."""
    histories = plenty(amounts=(1000, 1400, None))

    found = estimate(histories, until=TODAY)

    assert (0.25, 1200) == (pytest.approx(found.rate.value, abs=0.002), pytest.approx(float(found.mean.value), abs=20))
    assert found.won == sum(each.won_at is not None for each in histories) > found.priced


def test_nothing_is_read_beyond_what_twenty_leads_were_watched_for():
    """A sale later than that does not count: too few could have been it."""
    late = watched(299, 298, 90_000)

    found = estimate([*plenty(), late], until=TODAY)

    assert found.horizon < 298 * DAY
    assert (100, 401) == (found.won, found.leads)


def test_what_happens_after_the_watch_is_unknown():
    """A sale, or a lead, of a later day than the leads were read does not count."""
    histories = plenty()
    ahead = [LeadOutcome(TODAY + DAY, TODAY + DAY, Decimal(9)), LeadOutcome(TODAY - DAY, TODAY + DAY, Decimal(9))]

    found = estimate([*histories, *ahead], until=TODAY)

    assert (100, 401) == (found.won, found.leads)


def test_the_order_of_leads_does_not_matter():
    """The same data give the same value, to the last digit."""
    histories = plenty(amounts=(500, 900, 2000, None))
    shuffled = random.Random(1).sample(histories, len(histories))

    assert estimate(histories, until=TODAY) == estimate(shuffled, until=TODAY)


@pytest.mark.parametrize(
    ("histories", "missing"),
    [
        ([], {"missing_leads": 20}),
        (plenty(leads=80), {"missing_sales": 10}),
        (plenty(amounts=(1000, None, None, None, None)), {"missing_sales": 10}),
        ([watched(100 + number / 100, 90, 1000 + number) for number in range(40)], {"still_rising": True}),
        ([watched(100 + number / 100, 9, 1000 + number) for number in range(40)], {"missing_leads": 20}),
    ],
    ids=["no lead", "few sales", "few amounts", "late sales", "all won"],
)
def test_thin_data_are_refused_with_what_is_missing(histories, missing):
    """Nothing is guessed."""
    found = estimate(histories, until=TODAY)

    assert isinstance(found, TooThin)
    assert {"missing_sales": 0, "missing_leads": 0, "still_rising": False} | missing == {
        "missing_sales": found.missing_sales,
        "missing_leads": found.missing_leads,
        "still_rising": found.still_rising,
    }


def test_an_interval_that_says_nothing_is_refused():
    """One sale of a hundred times the usual amount decides the average; it says how many more sales would help."""
    found = estimate(plenty(leads=160, amounts=(*[100] * 38, 20_000)), until=TODAY)

    assert isinstance(found, TooThin)
    assert found.missing_sales > 0


def test_campaigns_are_told_apart():
    """Leads without a campaign are in no group; the largest group comes first."""
    one, two, none = watched(1, campaign="one"), watched(2, campaign="two"), watched(3)

    groups = by_campaign([one, none, two, two])

    assert [("two", [two, two]), ("one", [one])] == list(groups.items())


@pytest.mark.parametrize(("freedom", "expected"), [(10, 2.22814), (29, 2.04523), (100, 1.98397)])
def test_students_quantile_is_that_of_the_tables(freedom, expected):
    """The two-sided 95 % values of the usual tables."""
    assert expected == pytest.approx(student_quantile(0.975, freedom), abs=0.001)


# ── coverage ─────────────────────────────────────────────────────────────────────────────────────


def population(seed, *, young, leads=1000):
    """Leads of a planted rate and log-normal amounts, larger where winning took longer; half of them young if asked.

    Some sales have no amount on record. Returns them with the planted rate and expected value.
    """
    rng = random.Random(seed)
    rate, mean, slow = rng.uniform(0.08, 0.45), rng.uniform(2_000, 15_000), rng.uniform(10, 35)
    spread, unpriced = rng.uniform(0.3, 0.8), rng.uniform(0, 0.2)
    histories = []
    for number in range(leads):
        age = rng.uniform(0, 45 if young and number % 2 else 365)
        size = rng.gauss(0, 1)
        pace = 0.3 * size + math.sqrt(1 - 0.3**2) * rng.gauss(0, 1)
        after = slow * math.exp(0.7 * pace - 0.7**2 / 2)
        amount = mean * math.exp(spread * size - spread**2 / 2)
        is_won = rng.random() < rate and after <= age
        known = is_won and rng.random() >= unpriced
        histories.append(watched(age, after if is_won else None, f"{amount:.2f}" if known else None))
    return histories, rate, rate * mean


@pytest.mark.parametrize("seeds", [200, pytest.param(1000, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("young", [False, True], ids=["old cohorts", "half young"])
def test_intervals_cover_what_was_planted(young, seeds, record_property):
    """The planted rate and value lie in their intervals in 93 % of populations, and the intervals are narrow."""
    covered = {"rate": 0, "expected": 0}
    widths = []
    for seed in range(seeds):
        histories, rate, value = population(seed, young=young)
        found = estimate(histories, until=TODAY)
        if isinstance(found, StageValueEstimate):
            covered["rate"] += found.rate.low <= rate <= found.rate.high
            covered["expected"] += found.expected.low <= value <= found.expected.high
            widths.append((found.rate.relative_width, found.expected.relative_width))
    rates, values = (median(each) for each in zip(*widths, strict=True))
    record_property("widths", (rates, values))

    # A refusal covers nothing.
    assert min(covered.values()) >= 0.93 * seeds
    assert rates < 0.3
    assert values < 0.4
