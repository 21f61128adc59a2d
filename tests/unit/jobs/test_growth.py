"""No part of a night grows faster than its work, by the steps SQLite takes: seconds would depend on the machine."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.records import ClickId, ClickIdKind, Outcome, OutcomeClass
from jobs import correct as correcting
from jobs import plan as planning
from jobs.adjust import adjust
from jobs.alarms import standing_silences, unknown_labels
from jobs.correct import correct
from jobs.deliver import deliver
from jobs.hold import hold_surges
from jobs.ledger import views
from jobs.ledger.fates import Fate
from jobs.metrics import measure
from jobs.nightly import Deps, _conclude, _pull, begin, run_night
from jobs.notify import take_note
from jobs.plan import adopt_settings, erase_idle, plan
from jobs.pull import Style
from jobs.resolve import resolve
from jobs.rules.facts import Once, OncePer
from jobs.rules.notices import When
from tests.builders import ACCOUNT, REACH, TARGET, changed, from_field, hold, lead, route, rulebook
from tests.fakes import DONE, LIMITS, NIGHT
from tests.large_ledger import PUT_OFF, Past, Some
from tests.steps import counted_steps

FEW = 60
"""Leads of each kind; the batches are as much smaller, so that there are as many of them as on large nights."""
AT_ONCE = 10
NIGHTS = 100
STATISTICS = ("absent", "present", "of an empty ledger")


@pytest.fixture
def account(account, monkeypatch):
    """An account in which everything happens that a night may bring."""
    monkeypatch.setattr(planning, "LEADS_AT_ONCE", AT_ONCE)
    monkeypatch.setattr(correcting, "LEADS_AT_ONCE", AT_ONCE)
    account.sink.limits = replace(LIMITS, batch=AT_ONCE)
    limits, once = account.sink.limits, Once(OncePer.CLICK, timedelta(days=30))
    account.book = rulebook(
        route(field_value=from_field(), attach_contact=True, limits=limits),
        route("quote", target=replace(TARGET, action="quote"), limits=limits, once=once),
    )
    account.reach = replace(REACH, style=Style.SINCE)
    account.source.filters = True
    # As a command opens it.
    account.hold = lambda: hold(account.path, account.clock)
    account.sink.verdict = lambda event: Outcome(OutcomeClass.DEFER, PUT_OFF) if b"of-put" in event.body else DONE
    return account


@pytest.mark.parametrize("statistics", STATISTICS)
def test_twice_the_leads_are_twice_the_work(account, statistics):
    """Every step of a night, what is told of it and `status`, whatever SQLite takes the ledger to be like."""
    few, many = (_nights(account, leads, statistics) for leads in (FEW, 2 * FEW))

    assert few.keys() == many.keys()
    assert {step: (few[step], many[step]) for step in few if many[step] > 2.2 * few[step]} == {}


@pytest.mark.parametrize("statistics", STATISTICS)
def test_a_night_costs_what_changed(account, statistics):
    """Years of accepted conversions behind it change nothing, except that where they stand is counted."""
    small, large = (_nights(account, AT_ONCE, statistics, behind=leads) for leads in (1_000, 3_000))
    counted = {"where everything stands", "status", "the whole night"}
    more = {step: (small[step], large[step]) for step in small.keys() - counted if large[step] > 1.1 * small[step]}

    assert more == {}
    assert {step: large[step] - small[step] for step in counted if large[step] - small[step] > 40 * 2_000} == {}


def _nights(account, leads, statistics, *, behind=0):
    """How many steps each part of a night takes, and the whole night after it."""
    account.state.clear()
    account.clock.time = NIGHT
    past = Past(account.state.engine, nights=NIGHTS)
    if statistics == "of an empty ledger":
        past.add(Some(3, named="first", ago=range(60, 61)))
        _analyze(account)
    past.add(Some(behind or leads, ago=range(40, NIGHTS)))
    past.add(Some(leads, named="lately", ago=range(1, 30)))
    past.add(Some(leads, conversion="quote", named="quoted", ago=range(1, 30), marked=True))
    past.add(Some(leads, Fate.PENDING, named="pending", ago=range(1, 30), hashed=True))
    past.add(Some(leads, Fate.PENDING, named="put", ago=range(5, 30), put_off=(3, 2), hashed=True))
    past.add(Some(leads, Fate.WITHHELD, named="withheld", ago=range(1, 30), reason="no_click_id", hashed=True))
    past.add(Some(leads, Fate.SKIPPED, named="skipped", ago=range(1, 30), reason="before_start"))
    if statistics == "present":
        _analyze(account)
    account.state.engine.dispose()
    # Settings that are new are compared with everything, once.
    with account.hold() as ledger, ledger.writing() as session:
        adopt_settings(session, account.book, now=NIGHT)
    account.put(*(_new(number) for number in range(leads)))
    steps = _parts(account)
    account.clock.time = NIGHT + timedelta(days=1)
    account.put(*(_corrected(account, number) for number in range(0, leads, 2)))
    with counted_steps() as made:
        _night(account)
    account.source.leads.clear()
    return steps | {"the whole night": made.count}


def _analyze(account):
    account.state.engine.dispose()
    with closing(sqlite3.connect(account.path)) as connection:
        connection.execute("ANALYZE")
    account.state.engine.dispose()


def _new(number):
    """A lead that is new tonight; two come by each click."""
    click = ClickId(ClickIdKind.GCLID, f"gclid-of-new-{number // 2}")
    return lead(f"new-{number:04}", click_ids=(click,), updated_at=NIGHT - timedelta(hours=2))


def _corrected(account, number):
    """The same with another amount."""
    old = account.source.leads[f"new-{number:04}"]
    return changed(old, updated_at=account.clock.now(), fields={**old.fields, "amount": Decimal(2000)})


def _parts(account):
    """The first night, step by step."""
    clock, sinks, book = account.clock, account.sinks, account.book
    deps = Deps(account.source, sinks, clock, lambda: 0.5, account.reach, accept_surge=True)
    found = {}
    with counted_steps() as made, account.hold() as ledger:

        def count(step, what):
            before = made.count
            result = what()
            found[step] = made.count - before
            return result

        summary = count("begin", lambda: begin(ledger, book, deps))
        count("pull", lambda: _pull(ledger, book, deps, summary))
        summary.planned = count("plan", lambda: plan(ledger, book, sinks, now=clock.now()))
        count("correct", lambda: correct(ledger, book, now=clock.now()))
        count("erase", lambda: erase_idle(ledger, sinks, now=clock.now()))
        count("hold", lambda: hold_surges(ledger, book, sinks, accepted=False, now=clock.now()))
        sending = {"jitter": lambda: 0.5, "due_by": clock.now()}
        summary.delivered = count("deliver", lambda: deliver(ledger, book, sinks, clock, **sending))
        count("adjust", lambda: adjust(ledger, book, sinks, clock, **sending))
        clock.time += timedelta(hours=1)
        count("resolve", lambda: resolve(ledger, book, sinks, clock, summary.resolved))
        count("where everything stands", lambda: _conclude(ledger, book, summary))
        count("what moved", lambda: _tallies(ledger, clock, run=ledger.run))
        count("notices", lambda: take_note(ledger, book, sinks, summary, When(), now=clock.now()))
        count("metrics", lambda: measure(ledger, (), exit_code=0, now=clock.now()))
        count("status", lambda: _status(ledger, book, clock))
    assert len(summary.put_off) == summary.planned.same_click["sale"] == len(account.source.leads)
    return found


def _tallies(ledger, clock, *, run=None):
    with ledger.reading() as session:
        return views.tallies(session, ACCOUNT, now=clock.now(), run=run)


def _status(ledger, book, clock):
    """All that the command asks for."""
    _tallies(ledger, clock)
    with ledger.reading() as session:
        views.awaited(session, ACCOUNT)
        unknown_labels(session, ACCOUNT, book.known_labels)
        standing_silences(session, book, run=ledger.run, now=clock.now())


def _night(account):
    deps = Deps(account.source, account.sinks, account.clock, lambda: 0.5, account.reach, accept_surge=True)
    with account.hold() as ledger:
        summary = run_night(ledger, account.book, deps)
        take_note(ledger, account.book, account.sinks, summary, When(), now=account.clock.now())
        _tallies(ledger, account.clock, run=ledger.run)
