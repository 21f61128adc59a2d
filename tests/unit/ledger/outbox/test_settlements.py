"""Rows are settled by sets: many at once as each alone."""

from datetime import timedelta
from functools import partial

import pytest
from sqlmodel import select

from connectors.records import OutcomeClass
from jobs.ledger.outbox import settlements
from jobs.ledger.outbox.settlements import Settlement
from jobs.ledger.schema import Attempt, Delivery, LeadRow, Request, Transition
from jobs.rules.delivery_state import FROZEN, MOVES, DeliveryKind, DeliveryState, IllegalMoveError
from jobs.rules.reasons import PlatformCode, Reason
from jobs.run_context import Deps, RunContext
from tests import fakes
from tests.builders import ACCOUNT, GOOGLE, REACH, delivery, lead, read, rulebook
from tests.fakes import NIGHT

HOUR = timedelta(hours=1)
NAMES = ("L-1", "L-2", "L-3", "L-4")
SENT = FROZEN | {DeliveryState.PENDING}
"""States of rows that a request may settle; a suspect is pending meanwhile."""
SETTLEMENTS = [
    Settlement(to, cause, detail, outcome, until)
    for to in sorted({to for before in FROZEN for to in MOVES[before]})
    for cause, detail, outcome, until in (
        (PlatformCode("CODE"), None, OutcomeClass.RETRY, NIGHT + HOUR),
        (PlatformCode("CODE"), None, OutcomeClass.DROP, None),
        (Reason.NO_ANSWER, "45 days", None, None),
    )
]


def begin(state):
    """Have a state with four leads on record, and nothing else; return how to hold it."""
    state.clear()
    clock = fakes.FakeClock()
    with state.hold(clock) as ledger:
        source = fakes.FakeSource(*map(lead, NAMES))
        read(RunContext(ledger, rulebook(), Deps(source, {GOOGLE: fakes.FakeSink()}, clock, lambda: 0.5, REACH)))
    return partial(state.hold, clock)


@pytest.fixture
def hold(empty_state):
    """How to hold a state with four leads on record, and nothing else."""
    return begin(empty_state)


def sent(session, ledger, states):
    """Record a request of rows in these states: the second was in doubt before, and the last is a correction."""
    request = Request(
        account=ACCOUNT,
        run=ledger.run,
        destination=GOOGLE,
        transport="t",
        owner="o",
        action="a",
        sent_at=NIGHT,
        rows=len(states),
        state="open",
    )
    rows = [delivery(name) for name in NAMES]
    session.add_all((request, *rows, *session.exec(select(LeadRow))))
    for each in session.exec(select(LeadRow)):
        each.to_plan = each.to_correct = False
    for row, now in zip(rows, states, strict=True):
        row.state, row.event, row.at, row.detail = now, b"frozen", NIGHT, "before"
    rows[1].in_doubt_since = NIGHT - HOUR
    session.flush()
    rows[1].in_doubt_request = request.id
    rows[3].original, rows[3].number, rows[3].kind = rows[0].id, 1, DeliveryKind.RETRACTION
    session.add_all(Attempt(request=request.id, position=place, delivery=row.id) for place, row in enumerate(rows))
    return request


def settled(hold, states, to, *, together):
    """Return what settling leaves in every table, all rows together or one by one."""
    with hold() as ledger:
        with ledger.write_transaction() as session:
            request = sent(session, ledger, states)
        with ledger.write_transaction() as session:
            rows = settlements.sent_rows(session, request.id)
            for part in [rows] if together else [[row] for row in rows]:
                settlements.settle_rows(session, ledger, part, to, now=NIGHT + HOUR, request=request)
                settlements.record_outcomes(session, request.id, part, OutcomeClass.DROP, "CODE")
        with ledger.read_transaction() as session:
            tables = {
                table.__name__: [
                    row.model_dump() for row in session.exec(select(table).order_by(*table.__table__.primary_key))
                ]
                for table in (Delivery, Attempt, LeadRow)
            }
            moves = [row.model_dump(exclude={"id"}) for row in session.exec(select(Transition).order_by(Transition.id))]
    return tables | {"Transition": sorted(moves, key=lambda row: row["delivery"])}


def may_settle(before, to):
    """Whether a row may be moved, or only get another cause."""
    return to in MOVES[before] or to == before


@pytest.mark.parametrize("to", SETTLEMENTS, ids=lambda to: f"{to.state}, {to.cause}, {to.outcome}")
def test_rows_are_settled_together_as_one_by_one(empty_state, to):
    """Whatever they are moved to, from every state that allows it, in one statement for all of them."""
    allowed = [before for before in sorted(SENT) if may_settle(before, to.state)]
    together = settled(begin(empty_state), (allowed * 4)[:4], to, together=True)

    assert together == settled(begin(empty_state), (allowed * 4)[:4], to, together=False)


def test_illegal_move_is_refused_and_nothing_is_written(hold):
    """The state table is asked for each state that a row is in."""
    to = Settlement(DeliveryState.ACCEPTED, PlatformCode("OK"))
    with hold() as ledger, ledger.write_transaction() as session:
        request = sent(session, ledger, [DeliveryState.IN_FLIGHT] * 3 + [DeliveryState.PENDING])
        session.flush()
        rows = settlements.sent_rows(session, request.id)
        with pytest.raises(IllegalMoveError):
            settlements.settle_rows(session, ledger, rows, to, now=NIGHT, request=request)

        assert rows == settlements.sent_rows(session, request.id)


def test_settled_rows_have_their_leads_checked(hold):
    """The lead of a correction is planned too, as it may convert again; the bytes are gone."""
    to = Settlement(DeliveryState.ACCEPTED, PlatformCode("OK"), outcome=OutcomeClass.DONE)
    left = settled(hold, [DeliveryState.IN_FLIGHT] * 4, to, together=True)

    assert [(True, False)] * 3 + [(True, True)] == [(row["to_correct"], row["to_plan"]) for row in left["LeadRow"]]
    assert {("accepted", "OK", "done", None, None)} == {
        (row["state"], row["code"], row["outcome"], row["event"], row["in_doubt_since"]) for row in left["Delivery"]
    }
    assert [("in_flight", "accepted", "OK")] * 4 == [
        (row["from_state"], row["to_state"], row["code"]) for row in left["Transition"]
    ]


def test_doubt_keeps_the_first_lost_answer(hold):
    """A row already in doubt keeps the time and request of the first; the bytes stay frozen."""
    to = Settlement(DeliveryState.IN_DOUBT, Reason.ANSWER_LOST, "cut")
    left = settled(hold, [DeliveryState.IN_FLIGHT] * 4, to, together=True)

    assert [NIGHT, NIGHT - HOUR, NIGHT, NIGHT] == [row["in_doubt_since"] for row in left["Delivery"]]
    assert {b"frozen"} == {row["event"] for row in left["Delivery"]}
