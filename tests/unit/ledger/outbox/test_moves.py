"""Moves of many deliveries at once leave what they would leave one by one."""

from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from jobs.ledger.outbox import outbox
from jobs.ledger.outbox.outbox import DeliveryMove
from jobs.ledger.schema import Delivery, LeadRow, Transition
from jobs.plan.planner import new_delivery
from jobs.rules.delivery_state import ENTRY, MOVES, DeliveryState, IllegalMoveError
from jobs.rules.reasons import PlatformCode, Reason
from tests import suite
from tests.builders import lead, read, route
from tests.fakes import NIGHT

LEADS = 8


def any_move(random, row):
    """A legal move of a row, or a move to the state that it has."""
    before = DeliveryState(row.state) if row.state else None
    to = random.choice(sorted(MOVES[before] | {before}) if before else sorted(ENTRY))
    cause = random.choice([Reason.DUE, Reason.NO_CLICK_ID, PlatformCode("so")])
    always, detail = before == to and random.random() < 0.5, random.choice([None, "detail"])
    return DeliveryMove(row, to, cause, detail, always_record=True) if always else DeliveryMove(row, to, cause, detail)


def rows_after(account, seed, *, at_once):
    """Every delivery, transition and flag of a lead after some nights of random moves."""
    random = Random(seed)
    account.state.clear()
    account.source.leads.clear()
    account.put(*(lead(f"L-{number}") for number in range(LEADS)))
    with account.hold() as ledger:
        read(account.run(ledger))
        with ledger.write_transaction() as session:
            session.exec(update(LeadRow).values(to_plan=False, to_correct=False))
        for night in range(6):
            with ledger.write_transaction() as session:
                rows = [*session.exec(select(Delivery).order_by(col(Delivery.id)))]
                rows = rows or [new_delivery(route(), f"L-{number}") for number in range(LEADS)]
                moves = [any_move(random, row) for row in rows if not row.state or random.random() < 0.7]
                for some in [moves] if at_once else [[move] for move in moves]:
                    outbox.change_delivery_states(session, ledger, some, now=NIGHT + timedelta(days=night))
        with ledger.read_transaction() as session:
            return {
                table.__name__: [row.model_dump() for row in session.exec(select(table).order_by(*keys(table)))]
                for table in (Delivery, Transition, LeadRow)
            }


def move_to(account, *states):
    """Move the deliveries, in order of creation, to these states at once."""
    with account.hold() as ledger, ledger.write_transaction() as session:
        rows = session.exec(select(Delivery).order_by(col(Delivery.id)))
        moves = [DeliveryMove(row, state, Reason.DUE) for row, state in zip(rows, states, strict=True)]
        outbox.change_delivery_states(session, ledger, moves, now=NIGHT)


def keys(table):
    """A table's primary key."""
    return table.__table__.primary_key.columns


@pytest.mark.parametrize("seed", range(suite.examples(4, 40)))
def test_moves_at_once_leave_what_they_would_one_by_one(account, seed):
    """Rows, their history, and which leads are due for a correction check."""
    one_by_one, at_once = (rows_after(account, seed, at_once=each) for each in (False, True))

    assert one_by_one == at_once
    assert len(one_by_one["Transition"]) > LEADS


def test_one_illegal_move_among_many_changes_nothing(account):
    """Not even what is moved with it."""
    account.put(lead("L-1"), lead("L-2"))
    account.prepare()
    with pytest.raises(IllegalMoveError):
        move_to(account, DeliveryState.WITHHELD, DeliveryState.ACCEPTED)

    assert {"L-1": "pending", "L-2": "pending"} == account.states
