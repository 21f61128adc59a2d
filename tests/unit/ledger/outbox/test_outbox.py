"""The outbox records every move of a delivery and finds those that are due."""

from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from jobs.ledger.outbox import outbox
from jobs.ledger.schema import Delivery, Transition
from jobs.plan.planner import new_delivery
from jobs.rules.delivery_state import DeliveryState, IllegalMoveError
from jobs.rules.reasons import PlatformCode, Reason
from jobs.run_context import Deps, RunContext
from tests.builders import ACCOUNT, GOOGLE, REACH, delivery, lead, read, route, rulebook
from tests.fakes import NIGHT, FakeSink, FakeSource

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _leads(ledger, clock):
    """Put three leads on record."""
    source = FakeSource(lead("L-1"), lead("L-2"), lead("L-3"))
    read(RunContext(ledger, rulebook(), Deps(source, {GOOGLE: FakeSink()}, clock, lambda: 0.5, REACH)))


def moved(ledger, *states, name="L-1", **columns):
    """The number of a delivery after these moves, an hour apart."""
    row = new_delivery(route(), name)
    for hours, state in enumerate(states):
        with ledger.write_transaction() as session:
            kept = row if row.id is None else session.get(Delivery, row.id)
            at, detail = NIGHT + hours * HOUR, f"cause {hours}"
            outbox.change_delivery_states(
                session, ledger, [outbox.DeliveryMove(kept, state, Reason.NO_CLICK_ID, detail)], now=at
            )
            row = kept
    with ledger.write_transaction() as session:
        session.exec(update(Delivery).where(col(Delivery.id) == row.id).values(**{"lead": name} | columns))
    return row.id


def history(ledger, number):
    """The moves of a delivery: from, to, cause, when."""
    with ledger.read_transaction() as session:
        rows = session.exec(select(Transition).where(Transition.delivery == number).order_by(col(Transition.id))).all()
    return [(row.from_state, row.to_state, row.detail, (row.at - NIGHT) / HOUR) for row in rows]


def test_every_move_is_recorded(ledger):
    """The record has from, to, why and when; the first move has no origin."""
    number = moved(
        ledger,
        DeliveryState.WITHHELD,
        DeliveryState.PENDING,
        DeliveryState.IN_FLIGHT,
        DeliveryState.ACCEPTED,
        name="L-1",
    )

    assert [
        (None, "withheld", "cause 0", 0),
        ("withheld", "pending", "cause 1", 1),
        ("pending", "in_flight", "cause 2", 2),
        ("in_flight", "accepted", "cause 3", 3),
    ] == history(ledger, number)


def test_staying_in_a_state_updates_only_the_detail(ledger):
    """A withheld delivery that is planned again every night does not fill the history."""
    number = moved(ledger, DeliveryState.WITHHELD, DeliveryState.WITHHELD)
    with ledger.read_transaction() as session:
        reason = session.get(Delivery, number).detail

    assert [(None, "withheld", "cause 0", 0)] == history(ledger, number)
    assert "cause 1" == reason


def test_an_illegal_move_changes_nothing(ledger):
    """Neither the state nor the history changes."""
    number = moved(ledger, DeliveryState.PENDING, DeliveryState.IN_FLIGHT, DeliveryState.ACCEPTED)
    with pytest.raises(IllegalMoveError), ledger.write_transaction() as session:
        outbox.change_delivery_states(
            session,
            ledger,
            [outbox.DeliveryMove(session.get(Delivery, number), DeliveryState.PENDING, Reason.RETRY)],
            now=NIGHT,
        )
    with ledger.read_transaction() as session:
        assert DeliveryState.ACCEPTED == session.get(Delivery, number).state
    assert 3 == len(history(ledger, number))


@pytest.mark.parametrize(
    ("states", "kept"),
    [
        ((DeliveryState.PENDING, DeliveryState.IN_FLIGHT), True),
        ((DeliveryState.PENDING, DeliveryState.IN_FLIGHT, DeliveryState.SUBMITTED), True),
        ((DeliveryState.PENDING, DeliveryState.IN_FLIGHT, DeliveryState.IN_DOUBT), True),
        ((DeliveryState.PENDING, DeliveryState.IN_FLIGHT, DeliveryState.IN_DOUBT, DeliveryState.IN_FLIGHT), True),
        ((DeliveryState.PENDING, DeliveryState.IN_FLIGHT, DeliveryState.PENDING), False),
        ((DeliveryState.PENDING, DeliveryState.IN_FLIGHT, DeliveryState.ACCEPTED), False),
        ((DeliveryState.PENDING, DeliveryState.IN_FLIGHT, DeliveryState.REJECTED), False),
        ((DeliveryState.PENDING, DeliveryState.IN_FLIGHT, DeliveryState.EXPIRED), False),
        ((DeliveryState.PENDING, DeliveryState.IN_FLIGHT, DeliveryState.SUBMITTED, DeliveryState.UNCONFIRMED), False),
    ],
)
def test_event_bytes_are_kept_only_while_frozen(ledger, states, kept):
    """The move that settles or thaws a delivery erases them; their digest stays."""
    number = moved(ledger, *states[:1])
    with ledger.write_transaction() as session:
        row = session.get(Delivery, number)
        row.event, row.event_sha256 = b"bytes", "digest"
    for state in states[1:]:
        with ledger.write_transaction() as session:
            move = outbox.DeliveryMove(session.get(Delivery, number), state, PlatformCode("so"))
            outbox.change_delivery_states(session, ledger, [move], now=NIGHT)
    with ledger.read_transaction() as session:
        row = session.get(Delivery, number)

    assert (b"bytes" if kept else None, "digest") == (row.event, row.event_sha256)


def test_a_row_of_another_session_is_refused(ledger):
    """Its transition would be recorded, and the row itself left as it is."""
    number = moved(ledger, DeliveryState.PENDING)
    with ledger.read_transaction() as session:
        row = session.get(Delivery, number)
    with pytest.raises(RuntimeError, match="another session"), ledger.write_transaction() as session:
        outbox.change_delivery_states(
            session, ledger, [outbox.DeliveryMove(row, DeliveryState.WITHHELD, Reason.NO_CLICK_ID)], now=NIGHT
        )


@pytest.mark.parametrize("state", [DeliveryState.UNCONFIRMED, DeliveryState.IN_FLIGHT])
def test_a_doubt_ends_with_its_bytes(ledger, state):
    """Nothing of a lost answer stays on a delivery that is given up; a replay keeps when it was lost."""
    number = moved(ledger, DeliveryState.PENDING, DeliveryState.IN_FLIGHT, DeliveryState.IN_DOUBT)
    with ledger.write_transaction() as session:
        session.get(Delivery, number).in_doubt_since = NIGHT
    with ledger.write_transaction() as session:
        move = outbox.DeliveryMove(session.get(Delivery, number), state, Reason.NO_ANSWER)
        outbox.change_delivery_states(session, ledger, [move], now=NIGHT)
    with ledger.read_transaction() as session:
        row = session.get(Delivery, number)

    assert (None if state is DeliveryState.UNCONFIRMED else NIGHT) == row.in_doubt_since


def test_conversion_exists_once_per_lead_and_destination(ledger):
    """The database itself refuses the second."""
    first = delivery("L-1")
    second = delivery("L-1")
    second.key = "another key"
    first.state = second.state = DeliveryState.PENDING
    with pytest.raises(IntegrityError), Session(ledger.engine) as session, session.begin():
        session.add_all([first, second])


def corrected(ledger, number):
    """Add a pending correction to the conversion of L-1."""
    with Session(ledger.engine) as session, session.begin():
        sent = session.exec(select(Delivery).where(Delivery.lead == "L-1", Delivery.number == 0)).one()
        of_it = {"kind": "restatement", "original": sent.id, "number": number, "state": "pending"}
        session.add(Delivery(**sent.model_dump(exclude={"id"}) | of_it))


def test_corrections_of_a_conversion_share_its_key_and_have_a_number_each(ledger):
    """The database itself refuses a number that is taken."""
    moved(ledger, DeliveryState.PENDING)
    corrected(ledger, 1)
    corrected(ledger, 2)
    with pytest.raises(IntegrityError):
        corrected(ledger, 2)


@pytest.mark.parametrize("odd", [{"kind": "retraction"}, {"number": 1}, {"original": 1}])
def test_a_delivery_is_a_conversion_or_a_correction_by_every_sign(ledger, odd):
    """The database itself refuses one that its kind, its original and its number tell apart differently."""
    moved(ledger, DeliveryState.PENDING)
    other = delivery("L-1", occurrence=2)
    other.state = DeliveryState.PENDING
    for name, value in odd.items():
        setattr(other, name, value)
    with pytest.raises(IntegrityError), Session(ledger.engine) as session, session.begin():
        session.add(other)


def test_no_two_conversions_have_one_key(ledger):
    """The database itself refuses the second."""
    first, second = delivery("L-1"), delivery("L-2")
    first.state = second.state = DeliveryState.PENDING
    second.key = first.key
    with pytest.raises(IntegrityError), Session(ledger.engine) as session, session.begin():
        session.add_all([first, second])


def test_correction_is_due_as_a_correction_only(ledger):
    """A conversion and its correction, both due, are found apart."""
    moved(ledger, DeliveryState.PENDING)
    corrected(ledger, 1)

    assert [["L-1"], ["L-1"]] == [due(ledger), due(ledger, conversions=None)]


def due(ledger, *, now=NIGHT, conversions=("sale",), limit=10):
    """The leads with a delivery that is due."""
    wanted = outbox.DueFilter(account=ACCOUNT, destination=GOOGLE, now=now, conversions=conversions)
    with ledger.read_transaction() as session:
        found = outbox.due_deliveries(session, wanted, new_by=now, limit=limit)
        return [session.get(Delivery, number).lead for _, number in found]


@pytest.mark.parametrize("column", ["not_before", "deferred_until"])
def test_delivery_is_due_exactly_at_its_time(ledger, column):
    """It is not due a moment before."""
    moved(ledger, DeliveryState.PENDING, **{column: NIGHT})

    assert [[], ["L-1"]] == [due(ledger, now=NIGHT - timedelta(microseconds=1)), due(ledger, now=NIGHT)]


def test_delivery_waits_for_both_the_plan_and_the_platform(ledger):
    """A platform's delay is not shortened by a plan, nor the other way round."""
    moved(ledger, DeliveryState.PENDING, not_before=NIGHT, deferred_until=NIGHT + HOUR)
    moved(ledger, DeliveryState.PENDING, name="L-2", not_before=NIGHT + HOUR, deferred_until=NIGHT)

    assert [] == due(ledger)


def test_oldest_conversion_is_due_first(ledger):
    """Its window closes first, and a batch takes no more than its limit."""
    for name, hours in (("L-1", 2), ("L-2", 1), ("L-3", 3)):
        moved(ledger, DeliveryState.PENDING, name=name, at=NIGHT - 9 * HOUR + hours * HOUR)

    assert ["L-2", "L-1"] == due(ledger, limit=2)


@pytest.mark.parametrize(
    "states",
    [
        (DeliveryState.WITHHELD,),
        (DeliveryState.SKIPPED,),
        (DeliveryState.PENDING, DeliveryState.CANCELLED),
        (DeliveryState.PENDING, DeliveryState.IN_FLIGHT),
    ],
)
def test_only_pending_deliveries_are_due(ledger, states):
    """Nothing else is sent."""
    moved(ledger, *states)

    assert [] == due(ledger)


def test_only_requested_conversions_are_due(ledger):
    """Each target is sent on its own."""
    moved(ledger, DeliveryState.PENDING)

    assert [] == due(ledger, conversions=("quote",))


def test_standing_counts_deliveries_by_state_and_reason(ledger):
    """For rejections the platform's code takes the place of the reason."""
    moved(ledger, DeliveryState.WITHHELD)
    moved(ledger, DeliveryState.PENDING, DeliveryState.IN_FLIGHT, DeliveryState.REJECTED, name="L-2", code="BAD_CLICK")
    moved(ledger, DeliveryState.PENDING, DeliveryState.IN_FLIGHT, DeliveryState.ACCEPTED, name="L-3", code="OK")
    with ledger.read_transaction() as session:
        found = outbox.count_by_state(session, ACCOUNT)

    assert {
        ("sale", GOOGLE, "withheld", Reason.NO_CLICK_ID): 1,
        ("sale", GOOGLE, "rejected", "BAD_CLICK"): 1,
        ("sale", GOOGLE, "accepted", ""): 1,
    } == found
