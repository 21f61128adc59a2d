"""An answer takes the same statements however many rows it is about, and rows end as if they were sent one by one."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from itertools import cycle, islice

import pytest
from sqlalchemy import event

from connectors.records import Outcome, OutcomeClass, RowOutcomes
from jobs.deliver.agenda import Agenda
from jobs.deliver.resolve import _Settling
from jobs.deliver.sender import Sender
from jobs.deliver.transactions import ReceiptRecorder
from tests import fakes
from tests.builders import lead, route, rulebook
from tests.fakes import LIMITS

FEW, MANY = 10, 50
DAY = timedelta(days=1)
BAD = Outcome(OutcomeClass.FIX_DATA, "BAD")


@pytest.fixture
def statements(reused_state):
    """A list that grows with each statement."""
    made = []

    def record(*_):
        made.append(1)

    event.listen(reused_state.engine, "before_cursor_execute", record)
    yield made
    event.remove(reused_state.engine, "before_cursor_execute", record)


@pytest.fixture
def counts(statements, monkeypatch):
    """How many statements each call made, by the name of the method."""
    made = {}
    for owner, name in (
        (ReceiptRecorder, "record_receipt"),
        (_Settling, "settle_request"),
        (Agenda, "_replays"),
        (Sender, "_split_colliding"),
        (Sender, "_defer"),
    ):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name), made.setdefault(name, []), statements))
    return made


def counted(method, made, statements):
    """Return the method, which also records how many statements it made."""

    def call(*args):
        before = len(statements)
        try:
            return method(*args)
        finally:
            made.append(len(statements) - before)

    return call


def ready(account, count, *, batch=MANY):
    """Plan sales that are due, and send none of them."""
    account.state.clear()
    account.source.leads.clear()
    account.clock.time = fakes.NIGHT
    account.sink.limits = replace(LIMITS, batch=batch)
    account.book = rulebook(route(limits=account.sink.limits))
    account.put(*(lead(f"L-{number:02}") for number in range(count)))
    account.prepare()


def mixed(_sink, batch):
    """Answer everything that settles a row, in turn."""
    kinds = (OutcomeClass.DONE, OutcomeClass.DUPLICATE, OutcomeClass.DEFER, OutcomeClass.DROP_EXPECTED)
    return RowOutcomes(tuple(islice(cycle(Outcome(kind, kind.name) for kind in kinds), len(batch))))


def all_bad(_sink, batch):
    """Answer that each row is bad, in words of its own."""
    return RowOutcomes(tuple(replace(BAD, message=f"row {row}") for row in range(len(batch))))


RECEIPTS = {
    "received": (fakes.take, 4),
    "some of each": (mixed, 19),
    "every row bad": (all_bad, 5),
    "refused for a row": (fakes.refuse(OutcomeClass.FIX_DATA), 4),
    "duplicate": (fakes.refuse(OutcomeClass.DUPLICATE, rows=(0, 1, 2)), 10),
    "refused for the settings": (fakes.refuse(OutcomeClass.FIX_CONFIG), 5),
    "to be tried again": (fakes.refuse(OutcomeClass.RETRY), 5),
    "not sent": (fakes.not_sent, 4),
    "lost": (fakes.lost_before, 4),
}
"""Each kind of receipt, and the statements that it takes."""


@pytest.mark.parametrize("rows", [FEW, MANY])
@pytest.mark.parametrize("receipt", RECEIPTS)
def test_receipt_takes_as_many_statements_whatever_its_rows(account, counts, receipt, rows):
    """A handful for each set of rows that are settled alike."""
    ready(account, rows)
    step, expected = RECEIPTS[receipt]
    account.sink.script.append(step)
    account.deliver()

    assert expected == counts["record_receipt"][0]
    assert counts["_split_colliding"][0] == 2


@pytest.mark.parametrize("rows", [FEW, MANY])
def test_outcome_takes_as_many_statements_whatever_its_rows(account, counts, rows):
    """As does a receipt with the same outcomes."""
    ready(account, rows)
    account.sink.verdict = lambda sent: BAD if sum(sent.body) % 2 else fakes.DONE
    account.deliver()
    account.clock.time += DAY
    account.resolve()

    assert counts["settle_request"] == [11]


@pytest.mark.parametrize("rows", [FEW, MANY])
def test_replays_take_as_many_statements_whatever_is_in_doubt(account, counts, rows):
    """One asks for the rows in doubt, and one for all their requests."""
    ready(account, rows)
    account.sink.script.extend([fakes.lost_before] * 3)
    account.deliver()
    account.clock.time += DAY
    account.deliver()

    assert counts["_replays"][1] == 4


@pytest.mark.parametrize("rows", [FEW, MANY])
def test_rows_are_deferred_by_one_statement(account, counts, rows):
    """Whatever their number, besides those that begin the transaction."""
    ready(account, rows)
    account.sink.script.append(fakes.refuse(OutcomeClass.RETRY, retry_after=DAY))
    account.deliver()

    assert counts["_defer"] == [3]


VERDICTS = (OutcomeClass.DONE, OutcomeClass.DUPLICATE, OutcomeClass.DEFER, OutcomeClass.DROP_EXPECTED)


@pytest.mark.parametrize("asynchronous", [True, False])
def test_batch_of_many_ends_as_many_batches_of_one(account, asynchronous):
    """Over some nights, every delivery has the same columns and the same history."""
    ended = []
    for batch in (1, MANY):
        ready(account, 12, batch=batch)
        account.sink.asynchronous = asynchronous
        account.sink.counted.clear()
        account.sink.bodies.clear()
        account.sink.verdict = lambda sent: Outcome(VERDICTS[sum(sent.body) % 4], "CODE")
        for _ in range(3):
            account.deliver()
            account.clock.time += DAY
            account.resolve()
        rows = [row.model_dump(exclude={"in_doubt_request"}) for row in account.rows()]
        ended.append((rows, [account.causes(row["lead"]) for row in rows]))

    assert ended[0] == ended[1]


def test_rows_that_the_same_answer_puts_elsewhere_are_not_settled_as_one(account):
    """One of which an earlier answer was lost stays in doubt where others wait; it comes between two of them."""
    ready(account, 3)

    def have_lost_one(_sink, batch):
        with closing(sqlite3.connect(account.state.path)) as ledger, ledger:
            ledger.execute("UPDATE delivery SET in_doubt_since = at WHERE lead = 'L-01'")
        return RowOutcomes((Outcome(OutcomeClass.DEFER, "LATER"),) * len(batch))

    account.sink.script.append(have_lost_one)
    account.deliver()

    assert {"L-00": "pending", "L-01": "in_doubt", "L-02": "pending"} == account.states
