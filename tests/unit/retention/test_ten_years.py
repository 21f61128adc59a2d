"""Ten years of nights: once leads begin to leave, nothing grows any more, and every report still adds up."""

import gc
import tracemalloc
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from connectors.records import Moment, StatusEntry, Utm
from jobs.ledger.schema import (
    Attempt,
    ClickIdRow,
    Delivery,
    LeadRow,
    MonthlyCampaign,
    MonthlyClickIds,
    MonthlySales,
    Request,
    RetentionMark,
    Run,
    StatusChange,
    Transition,
)
from tests.builders import lead
from tests.fakes import NIGHT
from tests.steps import counted_steps

EVERY = timedelta(days=14)
"""How much time passes from one night to the next."""
YEARS = 10
KEPT = (LeadRow, StatusChange, ClickIdRow, Delivery, Transition, Attempt, Request, Run)
SUMS = (MonthlyCampaign, MonthlyClickIds, MonthlySales)
BYTES_OF_A_SUM = 150
"""With its part of an index."""
STEPS_OF_ONE_LISTED = 40
"""SQLite's steps to find that a listed lead is not on record."""
CAMPAIGNS = (Utm("google", "cpc", "spring"), Utm("facebook", "paid", "forms"), Utm())


def leads_of_night(number, created):
    """Three leads: one is won and paid for, one is won without a click, one stays as it is."""
    for each in range(3):
        history = [StatusEntry("Nouveau", Moment(created))]
        won = created + timedelta(days=4)
        if each < 2:
            history.append(StatusEntry("Gagné", Moment(won)))
        plain = {"created_at": created, "updated_at": won, "history": tuple(history), "utm": CAMPAIGNS[each]}
        plain |= {"label": history[-1].label, "fields": {"consent": "oui", "amount": Decimal(100 + number % 7)}}
        yield lead(f"L-{number:04}-{each}", **plain | ({} if each == 0 else {"click_ids": ()}))


def sums(facts):
    """What a page adds up."""
    # Sales by campaign, of which platforms know some, are shown while their leads are held.
    return facts.headline.sales, facts.headline.counted, replace(facts.funnel, sales=())


class Decade:
    """What was measured, year by year."""

    def __init__(self, account):
        self.account = account
        self.sizes, self.steps, self.memory, self.rows, self.third_year = [], [], [], [], None

    def live(self):
        """Let ten years pass."""
        account, number = self.account, 0
        for year in range(YEARS):
            until = NIGHT + timedelta(days=365 * (year + 1))
            while account.clock.now() + EVERY < until:
                account.clock.time += EVERY
                account.put(*leads_of_night(number, account.clock.now() - timedelta(days=5)))
                account.night()
                number += 1
            self._measure()
            if year == 3:
                self.third_year = sums(account.report(date(2029, 1, 1), date(2029, 12, 31)))

    def _measure(self):
        account = self.account
        # Oplead deletes nobody: leads that left are listed to the end.
        account.clock.time += EVERY
        gc.collect()
        tracemalloc.start()
        with counted_steps() as steps:
            account.night()
        self.memory.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        self.steps.append(steps.count)
        self.sizes.append(account.path.stat().st_size)
        self.rows.append({table.__name__: len(account.rows(table)) for table in (*KEPT, *SUMS)})


@pytest.mark.exhaustive
@pytest.mark.timeout(600)
@pytest.mark.parametrize("database", ["sqlite"])
def test_ten_years_of_nights_are_flat_and_add_up(account):
    """The third year's report says the same in the fourth year and in the tenth."""
    account.source.page = 10_000
    decade = Decade(account)
    decade.live()
    in_the_end = sums(account.report(date(2029, 1, 1), date(2029, 12, 31)))
    figures = f"{decade.sizes=} {decade.steps=} {decade.memory=} {decade.rows=}"

    assert decade.third_year == in_the_end, figures
    assert 3 * 25 <= sum(row.leads for row in in_the_end[2].campaigns) <= 3 * 27
    (mark,) = account.rows(RetentionMark)
    assert mark.leads > 3 * 26 * 8
    # Whatever a lead, a run or a request is made of is as much in the third year as in the tenth; only sums are added.
    for name in (table.__name__ for table in KEPT):
        assert all(each[name] <= 1.05 * decade.rows[2][name] for each in decade.rows[3:]), figures
    sums_added = sum(decade.rows[-1][table.__name__] - decade.rows[2][table.__name__] for table in SUMS)
    assert decade.sizes[-1] - decade.sizes[2] <= sums_added * BYTES_OF_A_SUM, figures
    # Oplead lists all leads for ever: each that left costs a look at its entry, and no more.
    assert all(after - before <= 3 * 26 * STEPS_OF_ONE_LISTED for before, after in pairwise(decade.steps[2:])), figures
    assert all(each <= 1.25 * decade.memory[2] for each in decade.memory[3:]), figures
