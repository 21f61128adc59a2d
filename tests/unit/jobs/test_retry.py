"""Rejected deliveries are retried on request: with fresh data and the same key, while there is time."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlmodel import select

from connectors.errors import Transient
from connectors.records import Moment, Outcome, OutcomeClass, StatusEntry
from jobs import backfill_and_retry
from jobs.backfill_and_retry import RowsToResend
from jobs.ledger.outbox.backfill_and_retry import RejectionFilter
from jobs.ledger.schema import Delivery, is_correction
from jobs.nightly import begin_run
from jobs.rules.model import UndoRule
from tests.builders import CREATED, TARGET, WON, changed, from_field, lead, route, rulebook
from tests.fakes import DONE, NIGHT, Crash

DAY = timedelta(days=1)
ALL = RejectionFilter()


def refuse_all(code="INVALID_GCLID", kind=OutcomeClass.DROP):
    """Return a verdict that refuses every row."""
    return lambda _: Outcome(kind, code)


@pytest.fixture
def refused(account):
    """Return an account with three rejected sales, at a platform that would accept them now."""
    account.book = rulebook(route(field_value=from_field()))
    account.put(*(lead(f"L-{number}") for number in range(3)))
    account.sink.verdict = refuse_all()
    account.night()
    account.clock.time += timedelta(minutes=31)
    account.night()

    assert {"rejected"} == set(account.states.values())

    account.sink.verdict = lambda _: DONE
    return account


def again(account, wanted=ALL):
    """Run one approved retry and return its summary."""
    account.source.asked.clear()
    with account.hold() as ledger:
        run = account.run(ledger)
        summary = begin_run(run)
        backfill_and_retry.requeue_rejected(run, backfill_and_retry.find_rejected(run, wanted), summary)
        backfill_and_retry.send_requeued(run, summary)
        return summary


def look(account, wanted=ALL):
    """Return what a retry would send."""
    with account.hold() as ledger:
        return backfill_and_retry.find_rejected(account.run(ledger), wanted)


def test_retry_uses_the_same_key(refused):
    """The conversion counts once."""
    keys = {row.lead: row.key for row in refused.rows()}
    again(refused)
    refused.clock.time += timedelta(minutes=31)
    refused.night()

    assert {"accepted"} == set(refused.states.values())
    assert keys == {row.lead: row.key for row in refused.rows()}
    assert dict.fromkeys(keys.values(), 1) == dict(refused.sink.counted)


def test_retry_reads_each_lead_first(refused):
    """It sends what has been corrected in Oplead since."""
    refused.put(changed(lead("L-1"), fields={"consent": "oui", "amount": Decimal(2345)}))
    again(refused)

    assert ["L-0", "L-1", "L-2"] == refused.source.asked
    assert [b"1000", b"2345", b"1000"] == [
        next(amount for amount in (b"1000", b"2345") if amount in event.body) for event in refused.sink.calls[-1].events
    ]


def test_retry_outside_the_window_expires(refused):
    """The platform no longer knows the click, so nothing is sent."""
    refused.clock.time = CREATED + 91 * DAY
    (group,) = look(refused).alike
    calls = len(refused.sink.calls)
    again(refused)

    assert (3, 3) == (group.count, group.too_late)
    assert {"expired"} == set(refused.states.values())
    assert calls == len(refused.sink.calls)


def test_retry_respects_withdrawn_consent(refused):
    """Every send checks consent."""
    refused.put(changed(lead("L-1"), fields={"consent": "non"}))
    again(refused)

    assert {"L-0": "submitted", "L-1": "cancelled", "L-2": "submitted"} == refused.states


def test_unreadable_lead_stays_rejected(refused):
    """This covers a deleted lead, and a failure of Oplead."""
    refused.source.delete("L-1")
    again(refused)

    assert {"L-0": "submitted", "L-1": "rejected", "L-2": "submitted"} == refused.states

    refused.put(lead("L-1"))
    refused.source.fails = {"L-1": Transient("503")}

    assert ("503",) == again(refused).source_stopped.answers
    assert "rejected" == refused.states["L-1"]


@pytest.mark.parametrize("state", ["accepted", "expired", "unconfirmed", "submitted", "pending"])
def test_retry_takes_only_rejected_deliveries(account, state):
    """In any other state the platform has or may have the delivery, or it is due or too late."""
    account.put(lead())
    account.night()
    with account.hold() as ledger, ledger.write_transaction() as session:
        session.connection().exec_driver_sql("UPDATE delivery SET state = ?", (state,))

    assert RowsToResend() == look(account)


def test_retry_filters_by_code_conversion_and_destination(account):
    """A conversion that is no longer in the settings is never retried."""
    account.book = rulebook(route(), route("lead", on_creation=True))
    account.put(lead())
    account.sink.verdict = lambda event: Outcome(OutcomeClass.DROP, "A" if b"2026-09" in event.body else "B")
    account.night()
    account.clock.time += timedelta(minutes=31)
    account.night()

    assert 2 == len(look(account).rows)
    assert ["A"] == [group.code for group in look(account, RejectionFilter(codes=["A"])).alike]
    assert ["lead"] == [group.conversion for group in look(account, RejectionFilter(conversion="lead")).alike]
    assert RowsToResend() == look(account, RejectionFilter(destination="meta"))

    account.book = rulebook(route())

    assert ["sale"] == [group.conversion for group in look(account).alike]


def test_retry_is_bounded_and_starts_with_the_longest_rejected(refused, monkeypatch):
    """The next retry takes the following ones, even if the first were rejected again."""
    monkeypatch.setattr(backfill_and_retry, "MAX_RETRIED", 2)
    refused.sink.verdict = refuse_all()

    assert 1 == look(refused).left

    seen = []
    for _ in range(2):
        again(refused)
        seen.append(list(refused.source.asked))
        refused.clock.time += timedelta(minutes=31)
        refused.resolve()

    assert [["L-0", "L-1"], ["L-0", "L-2"]] == [sorted(each) for each in seen]


def test_night_sends_an_interrupted_retry(refused, monkeypatch):
    """The crash comes between reopening and sending; the approval still holds."""
    monkeypatch.setattr(backfill_and_retry, "plan", lambda *_, **__: (_ for _ in ()).throw(Crash))
    with pytest.raises(Crash):
        again(refused)

    assert {"pending"} == set(refused.states.values())

    refused.night()
    refused.clock.time += timedelta(minutes=31)
    refused.night()

    assert {"accepted"} == set(refused.states.values())
    assert [1] * 3 == list(refused.sink.counted.values())


def test_retry_reads_contact_data_again(account):
    """It was erased after the rejection, and these leads have no click id."""
    account.book = rulebook(route(contact_only=True, attach_contact=True))
    account.put(lead(click_ids=()))
    account.sink.verdict = refuse_all()
    account.night()
    account.clock.time += timedelta(minutes=31)
    account.night()

    assert set() == account.hashed

    account.sink.verdict = lambda _: DONE
    again(account)

    assert {"L-1": "submitted"} == account.states


@pytest.fixture
def not_taken_back(account):
    """Return an account with a lost sale and a rejected retraction that the Google Ads API would accept now."""
    account.book = rulebook(
        route(
            field_value=from_field(),
            undo=UndoRule(frozenset({"perdu"}), timedelta()),
            target=replace(TARGET, transport="google_ads_api"),
        )
    )
    account.sink.asynchronous = False
    account.put(lead())
    account.night()
    account.put(lost())
    account.sink.verdict = refuse_all("CONVERSION_NOT_FOUND")
    next_night(account)

    assert [("retraction", "rejected")] == corrections(account)

    account.sink.verdict = lambda _: DONE
    return account


def lost(**over):
    """Return the lead, lost after it was won."""
    entries = (StatusEntry("Gagné", Moment(WON)), StatusEntry("Perdu", Moment(NIGHT + DAY / 2)))
    return changed(lead(), history=entries, label="Perdu", **over)


def next_night(account):
    """Run a night a day later."""
    account.clock.time += DAY
    account.night()


def corrections(account):
    """Return kind and state of each correction."""
    return [(row.kind, row.state) for row in account.corrections()]


def test_rejected_correction_is_retried_by_the_next_night(not_taken_back):
    """It is sent only after the request, once, and unchanged."""
    next_night(not_taken_back)

    assert [("retraction", "rejected")] == corrections(not_taken_back)

    (group,) = look(not_taken_back, RejectionFilter(codes=["CONVERSION_NOT_FOUND"])).alike
    again(not_taken_back)

    assert (True, 1) == (group.corrections, group.count)
    assert [("retraction", "pending")] == corrections(not_taken_back)

    next_night(not_taken_back)
    next_night(not_taken_back)

    assert [("retraction", "accepted")] == corrections(not_taken_back)
    assert {row.key for row in not_taken_back.rows()} == not_taken_back.sink.retracted
    assert 2 == len(not_taken_back.sink.corrections)


def test_obsolete_correction_is_cancelled_by_a_retry(not_taken_back):
    """The lead has been won again, as its detail page shows."""
    back = StatusEntry("Gagné", Moment(NIGHT + DAY))
    not_taken_back.put(changed(lost(), history=(*lost().history, back), label="Gagné"))
    again(not_taken_back)
    next_night(not_taken_back)

    assert [("retraction", "cancelled")] == corrections(not_taken_back)
    assert 1 == len(not_taken_back.sink.corrections)


def test_superseded_correction_is_not_retried(not_taken_back):
    """Each is settled before the next is made, so the later one describes the current state."""
    with not_taken_back.hold() as ledger, ledger.write_transaction() as session:
        first = session.exec(select(Delivery).where(is_correction())).one()
        later = first.model_dump(exclude={"id"}) | {"number": 2, "state": "expired"}
        session.add(Delivery(**later))

    assert RowsToResend() == look(not_taken_back)
