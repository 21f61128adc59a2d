"""What a human has sent though it stands before its start: once, in time, and without moving what the nights go by."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.errors import Misconfigured, Transient
from connectors.records import Moment, Outcome, OutcomeClass, StatusEntry
from jobs import requeue
from jobs.ledger import requeue as ledger_requeue
from jobs.ledger.requeue import BackfillRequest
from jobs.ledger.schema import BackfillPlace, ContactHash, Cursor, Start
from jobs.nightly import begin, run_night
from jobs.requeue import AgeGroup, AlreadySent
from jobs.run_context import SyncMode
from tests import fakes
from tests.builders import CREATED, GOOGLE, REACH, changed, from_field, lead, route, rulebook
from tests.fakes import LIMITS, NIGHT, Crash, FakeSink

DAY = timedelta(days=1)
FROM, TO = NIGHT - 20 * DAY, NIGHT - 5 * DAY
RANGE = BackfillRequest(FROM, TO)
OLD = NIGHT - 10 * DAY
"""In the time asked for."""


def won(name="L-1", when=OLD, created=CREATED, **over):
    """A lead that was won then, by Oplead's word."""
    history = (StatusEntry("Nouveau", Moment(created)), StatusEntry("Gagné", Moment(when)))
    return lead(name, **({"created_at": created, "updated_at": when, "history": history} | over))


def undated(name="L-1", updated=OLD, created=CREATED, **over):
    """A lead that is won, and nobody says since when."""
    return lead(name, **({"created_at": created, "updated_at": updated, "history": ()} | over))


@pytest.fixture
def old(account):
    """An account whose conversion counts from the first night on, which has been."""
    account.book = rulebook(since={})

    def serve(*leads):
        account.put(*leads)
        account.night()
        return account

    return serve


def run(account, asked=RANGE, *, told=()):
    """One backfill, agreed to; what it picked."""
    account.source.made = 0
    with account.hold() as ledger:
        context = account.run(ledger)
        summary = begin(context)
        requeue.read(context, asked, summary)
        assert summary.pulled.complete, summary.source_stopped
        requeue.settle_already_sent(context, told, conversion=None, destination=None)
        picked = requeue.pick(context, asked)
        found = requeue.groups(context)
        requeue.send(context, summary)
        return picked, found, summary


def later(account, span=timedelta(minutes=31)):
    """A night after a while."""
    account.clock.time += span
    return account.night()


def origins(account):
    """Lead → how the time of its conversion is known, and that time."""
    return {row.lead: (row.origin, row.at) for row in account.rows()}


# ── what goes out ────────────────────────────────────────────────────────────────────────────────


def test_what_lies_in_the_time_asked_for_goes_out_once(old):
    """Its first day included, the instant after its last one not; by the same key however often it is asked for."""
    account = old(
        won("before", FROM - timedelta(seconds=1)),
        won("first", FROM),
        won("in"),
        won("after", TO),
        won("last", TO - DAY),
    )
    run(account)
    run(account)
    later(account)
    run(account)

    assert {"before": "skipped", "first": "accepted", "in": "accepted", "after": "skipped", "last": "accepted"} == (
        account.states
    )
    assert [1, 1, 1] == list(account.sink.counted.values())


def test_nothing_of_the_nights_moves(old):
    """Neither the place in the leads, nor from when the conversion counts."""
    account = old(won())
    before = [[row.model_dump() for row in account.rows(table)] for table in (Cursor, Start)]
    account.clock.time += DAY
    run(account)

    assert before == [[row.model_dump() for row in account.rows(table)] for table in (Cursor, Start)]
    assert [] == account.rows(BackfillPlace)


def test_leads_that_no_night_has_read_are_found(account):
    """A backfill may be the first to see them."""
    account.book = rulebook(since={"sale": NIGHT})
    account.put(won())
    run(account)
    later(account)

    assert {"L-1": "accepted"} == account.states


def test_the_first_entry_decides(old):
    """A lead won before the time asked for, lost, and won again in it reached the stage before."""
    history = [("Nouveau", CREATED), ("Gagné", FROM - DAY), ("Perdu", FROM), ("Gagné", OLD)]
    account = old(won(history=tuple(StatusEntry(label, Moment(at)) for label, at in history)))
    run(account)

    assert {"L-1": "skipped"} == account.states


def test_what_is_too_old_expires_truthfully(old):
    """Its click is from 100 days ago, and Google remembers 90."""
    account = old(won(created=NIGHT - 100 * DAY))
    _, (group,), _ = run(account)

    assert {"L-1": "expired"} == account.states
    assert {"L-1": "window_closed"} == account.reasons
    assert AgeGroup("sale", GOOGLE, "8-30", sent=0, waits=0, withheld=0, expired=1, left=0) == group


@pytest.mark.parametrize(("days", "age"), [(7, "0-7"), (8, "8-30"), (30, "8-30"), (31, "31-60"), (61, "61-90")])
def test_what_is_told_by_age(old, days, age):
    """Whole days since the change."""
    account = old(won(when=NIGHT - days * DAY, created=NIGHT - 80 * DAY))
    _, (group,), _ = run(account, BackfillRequest(NIGHT - 75 * DAY, NIGHT))

    assert age == group.age


def test_what_is_held_back_is_released_by_a_later_night(old):
    """Though it stands before the start."""
    account = old(won(fields={}))
    run(account)

    assert {"L-1": "withheld"} == account.states

    account.put(won())
    later(account, DAY)
    later(account)

    assert {"L-1": "accepted"} == account.states


def test_what_waits_goes_out_by_itself(old, account):
    """An amount is awaited until three days after the change; the nights send what is taken instead."""
    account.book = rulebook(route(field_value=from_field(otherwise=Decimal(900))), since={})
    old(won(when=NIGHT - DAY, fields={"consent": "oui"}))
    _, (group,), _ = run(account, BackfillRequest(FROM, NIGHT))

    assert (0, 1) == (group.sent, group.waits)
    assert {"L-1": "pending"} == account.states

    later(account, 3 * DAY)
    later(account)

    assert {"L-1": "accepted"} == account.states


def test_only_what_is_asked_for_goes_out(account):
    """One conversion, or one destination."""
    other = FakeSink()
    account.sinks = {GOOGLE: account.sink, "other": other}
    account.book = rulebook(route(), route("lead", on_creation=True), route(destination="other"), since={})
    account.put(won())
    account.night()
    run(account, replace(RANGE, conversion="sale", destination="other"))

    assert {("sale", "other")} == {
        (row.conversion, row.destination) for row in account.rows() if row.state != "skipped"
    }


def test_what_a_night_is_to_send_is_left_to_it(old):
    """Only what was agreed to goes out, and the surge guard still counts the rest."""
    account = old(won("old"))
    account.put(won("new", account.clock.now() + timedelta(hours=1), created=NIGHT))
    account.clock.time += DAY
    run(account)

    assert {"old": "submitted", "new": "pending"} == account.states


# ── undated changes ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("created", [CREATED, OLD - DAY])
def test_an_undated_change_stays_where_it_is(old, created):
    """Also of a lead that was created in the time asked for."""
    account = old(undated(created=created))
    skipped, _, _ = run(account)

    assert {"L-1": "skipped"} == account.states
    assert {("sale", GOOGLE): 1} == skipped


def test_an_undated_change_may_be_taken_at_the_last_update(old):
    """By the explicit choice alone, and nothing later moves it again."""
    account = old(undated())
    account.put(changed(undated(), updated_at=NIGHT + DAY, fields={"consent": "oui", "note": "called"}))
    account.clock.time += 2 * DAY
    run(account, replace(RANGE, assume_time=True))
    later(account)

    assert {"L-1": "accepted"} == account.states
    assert {"L-1": ("assumed", OLD)} == origins(account)


def test_an_update_outside_the_time_asked_for_is_none(old):
    """As a change that is dated there."""
    account = old(undated(updated=TO))
    run(account, replace(RANGE, assume_time=True))

    assert {"L-1": "skipped"} == account.states


@pytest.mark.parametrize("updated", [None, CREATED])
def test_a_lead_that_was_never_updated_tells_no_time(old, updated):
    """Its reading is not the time of anything."""
    account = old(undated(updated=updated))
    skipped, _, _ = run(account, BackfillRequest(CREATED - DAY, NIGHT + DAY, assume_time=True))

    assert {"L-1": "skipped"} == account.states
    assert {("sale", GOOGLE): 1} == skipped


def test_no_time_is_assumed_towards_a_platform_that_forbids_it(account):
    """Meta may discard everything that is dated anew."""
    limits = replace(LIMITS, takes_assumed_times=False)
    account.sinks[GOOGLE] = account.sink = FakeSink(limits=limits)
    account.book = rulebook(route(limits=limits), since={})
    account.put(undated())
    account.night()
    skipped, _, _ = run(account, replace(RANGE, assume_time=True))

    assert {"L-1": "skipped"} == account.states
    assert {("sale", GOOGLE): 1} == skipped


# ── the surge guard ──────────────────────────────────────────────────────────────────────────────


def test_the_surge_guard_does_not_hold_what_was_agreed_to(old):
    """Nor what of it waits until a later night; and it is not taken for what a night usually sends."""
    account = old(*(won(f"L-{number}") for number in range(60)))
    account.sink.verdict = lambda _: Outcome(OutcomeClass.DEFER, "TOO_RECENT", retry_after=DAY)
    run(account)
    account.clock.time += timedelta(minutes=31)
    assert 0 == account.night().exit_code
    account.sink.verdict = lambda _: fakes.DONE
    account.clock.time += 2 * DAY
    summary = account.night()
    later(account)

    assert {} == summary.held
    assert {"accepted"} == set(account.states.values())

    account.put(*(won(f"N-{number}", account.clock.now() + timedelta(hours=1), created=NIGHT) for number in range(51)))
    account.clock.time += DAY

    assert {GOOGLE} == set(map(str, account.night().held))


# ── told by other means ──────────────────────────────────────────────────────────────────────────


def settle(account, *listed, **only):
    """Settle what a file lists; what became of it."""
    with account.hold() as ledger:
        plain = {"conversion": None, "destination": None}
        return requeue.settle_already_sent(account.run(ledger), listed, **(plain | only))


def test_what_was_sent_by_other_means_never_goes_out(old, account):
    """Neither by a backfill, nor by an earlier start, nor once the lead changes."""
    old(won("listed"), won("other"))
    done = settle(account, AlreadySent("listed"), AlreadySent("listed"), AlreadySent("nobody"))
    run(account)
    account.book = rulebook(rules_digest="r2")
    account.put(changed(won("listed"), updated_at=NIGHT))
    later(account, DAY)
    later(account)

    assert (1, 1, ["nobody"]) == (done.settled, done.before, done.unknown)
    assert {"listed": "skipped", "other": "accepted"} == account.states
    assert "already_sent" == account.reasons["listed"]


@pytest.mark.parametrize(
    ("fields", "sends", "state", "left"),
    [
        ({}, [], "skipped", {}),
        ({"consent": "oui"}, [fakes.not_sent] * 5, "skipped", {}),
        ({"consent": "oui"}, [fakes.refuse(OutcomeClass.FIX_DATA, "BAD", rows=(0,))], "skipped", {}),
        ({"consent": "oui"}, [], "submitted", {"submitted": 1}),
    ],
    ids=["withheld", "pending", "rejected", "submitted"],
)
def test_what_has_not_gone_out_is_settled_wherever_it_stands(account, fields, sends, state, left):
    """What the platform may have by us stays as it is."""
    account.sink.script.extend(sends)
    account.put(won(fields=fields))
    account.night()
    done = settle(account, AlreadySent("L-1"))

    assert ({"L-1": state}, left) == (account.states, dict(done.ours))


def test_a_file_may_name_the_conversion(account):
    """And the command too; a lead without it is told."""
    account.book = rulebook(route(), route("lead", on_creation=True), since={})
    account.put(won("a"), won("b"), lead("c", label="Nouveau", history=()))
    account.night()
    done = settle(
        account,
        AlreadySent("a", "sale"),
        AlreadySent("b"),
        AlreadySent("c", "sale"),
        AlreadySent("b", "lead"),
        conversion="sale",
    )

    assert (2, 1) == (done.settled, done.nothing)
    assert {("a", "sale"), ("b", "sale")} == {
        (row.lead, row.conversion) for row in account.rows() if row.reason == "already_sent"
    }


# ── interrupted ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("step", [fakes.crash_before, fakes.crash_after])
def test_interrupted_while_it_sends(old, step):
    """The next one asks again with the same bytes, and sends the rest; each counts once."""
    account = old(*(won(f"L-{number}") for number in range(3)))
    account.sink.script.append(step)
    with pytest.raises(Crash):
        run(account)
    run(account)
    later(account)

    assert {"accepted"} == set(account.states.values())
    assert [1] * 3 == list(account.sink.counted.values())


@pytest.mark.parametrize("goes_on", ["backfill", "night"])
@pytest.mark.parametrize("nth", [1, 2, 4])
def test_interrupted_while_it_picks(old, monkeypatch, nth, goes_on):
    """What was agreed to by then goes out with whatever comes next, and a repetition picks the rest."""
    account = old(*(won(f"L-{number}") for number in range(5)))
    monkeypatch.setattr(requeue, "AT_ONCE", 2)
    calls = iter(range(1, 100))
    reopen = ledger_requeue.reopen

    def dying(*args):
        if next(calls) == nth:
            raise Crash
        reopen(*args)

    monkeypatch.setattr(ledger_requeue, "reopen", dying)
    with pytest.raises(Crash):
        run(account)
    if goes_on == "night":
        later(account)
    run(account)
    later(account)

    assert {"accepted"} == set(account.states.values())
    assert [1] * 5 == list(account.sink.counted.values())


def test_interrupted_between_picking_and_sending(old):
    """What is pending goes out by the next backfill, though nothing is left to pick."""
    account = old(won())
    with account.hold() as ledger:
        requeue.pick(account.run(ledger), RANGE)

    assert {"L-1": "pending"} == account.states

    run(account)

    assert {"L-1": "submitted"} == account.states


def read(account, asked=RANGE):
    """Only read; the summary."""
    with account.hold() as ledger:
        summary = begin(account.run(ledger))
        requeue.read(account.run(ledger), asked, summary)
        return summary


@pytest.mark.parametrize("night_between", [False, True])
def test_interrupted_while_it_reads(account, night_between):
    """It goes on at its page, whether or not a night has read meanwhile; that one's place is its own."""
    account.source.page = 1
    account.book = rulebook(since={})
    account.put(*(won(f"L-{number}") for number in range(4)))
    account.source.fails = {2: Transient("503")}

    assert ("503",) == read(account).source_stopped.answers

    if night_between:
        account.night()
    account.source.calls.clear()

    assert read(account).pulled.complete
    assert [(None, "2")] == account.source.calls


def test_it_starts_over_where_it_is_refused(account):
    """The place may be the very thing that is."""
    account.source.page = 1
    account.put(*(won(f"L-{number}") for number in range(4)))
    account.source.fails = {2: Misconfigured("400")}
    read(account)
    account.source.calls.clear()
    read(account)

    assert [(None, None)] == account.source.calls


def test_it_starts_over_for_other_leads(account):
    """A place belongs to what is read from there."""
    account.source.page = 1
    account.put(*(won(f"L-{number}") for number in range(4)))
    account.source.fails = {2: Transient("503")}
    read(account)
    account.source.calls.clear()
    read(account, BackfillRequest(FROM - DAY, TO))

    assert [(None, None)] == account.source.calls


def test_it_starts_over_once_the_settings_want_other_things_of_leads(account):
    """What was read before tells nothing of them."""
    account.source.page = 1
    account.put(*(won(f"L-{number}") for number in range(4)))
    account.source.fails = {2: Transient("503")}
    read(account)
    account.source.calls.clear()
    account.book = rulebook(extraction_digest="e2")
    read(account)

    assert [(None, None)] == account.source.calls


def test_a_filter_is_asked_from_ninety_days_before(account):
    """Leads created up to then may have changed in the time asked for."""
    account.sync_window = replace(REACH, style=SyncMode.SINCE)
    account.source.filters = True
    read(account)

    assert [(FROM - 90 * DAY, None)] == account.source.calls


# ── contact data ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def by_contact(old, account):
    """Leads without a click id, told by contact data; the night has erased it, for nothing was to be sent."""
    account.book = rulebook(route(contact_only=True, attach_contact=True), since={})
    old(*(won(f"L-{number}", click_ids=()) for number in range(3)))

    assert [] == account.rows(ContactHash)

    return account


def test_contact_data_is_read_anew(by_contact):
    """Though the leads have not changed; it is gone again with the last answer."""
    run(by_contact)
    later(by_contact)

    assert {"accepted"} == set(by_contact.states.values())

    by_contact.night()

    assert [] == by_contact.rows(ContactHash)


@pytest.mark.parametrize(("night_between", "resume"), [(False, "2"), (True, None)])
def test_contact_data_that_a_night_erased_meanwhile_is_read_again(by_contact, night_between, resume):
    """An interrupted reading starts over then."""
    by_contact.source.page = 1
    by_contact.source.fails = {2: Transient("503")}
    read(by_contact)
    if night_between:
        by_contact.night()
    by_contact.source.calls.clear()
    run(by_contact)
    later(by_contact)

    assert (None, resume) == by_contact.source.calls[0]
    assert {"accepted"} == set(by_contact.states.values())


@pytest.mark.parametrize("before", ["without", "to an earlier day", "without in between"])
def test_pages_read_without_the_contact_data_that_is_wanted_now_are_read_again(by_contact, before):
    """An interrupted reading starts over: of conversions told by click id alone, or of leads created up to a day."""
    with_contact, without = by_contact.book, rulebook(since={})
    by_contact.source.page = 1
    for book, end in {
        "without": [(without, TO)],
        "to an earlier day": [(with_contact, CREATED)],
        "without in between": [(with_contact, TO), (without, TO)],
    }[before]:
        by_contact.book = book
        by_contact.source.fails = {2: Transient("503")}
        by_contact.source.made = 0
        read(by_contact, BackfillRequest(FROM, end))
    by_contact.book = with_contact
    by_contact.source.calls.clear()
    run(by_contact)
    later(by_contact)

    assert (None, None) == by_contact.source.calls[0]
    assert {"accepted"} == set(by_contact.states.values())


def test_contact_data_is_read_anew_where_leads_are_read_one_by_one(account):
    """By their own pages, though those have not changed."""
    account.sync_window = replace(REACH, style=SyncMode.DETAILS)
    account.book = rulebook(route(contact_only=True, attach_contact=True), since={})
    account.put(won(click_ids=()))
    account.night()
    account.clock.time += DAY
    run(account)
    later(account)

    assert {"L-1": "accepted"} == account.states


def test_leads_read_one_by_one(account):
    """Where the list only says which leads there are."""
    account.sync_window = replace(REACH, style=SyncMode.DETAILS)
    account.book = rulebook(since={})
    account.put(won("old"), lead("new", label="Nouveau", history=()))
    account.night()
    account.put(won("new"))
    account.clock.time += DAY
    run(account)
    later(account)

    assert {"old": "accepted", "new": "accepted"} == account.states


def test_a_night_may_come_first(old):
    """It leaves what stands before its start alone."""
    account = old(won())
    with account.hold() as ledger:
        run_night(account.run(ledger))

    assert {"L-1": "skipped"} == account.states


def test_the_time_asked_for_ends_before_its_last_instant():
    """So that two backfills of neighbouring times share none."""
    assert (True, True, False) == tuple(RANGE.covers(at) for at in (FROM, TO - timedelta(microseconds=1), TO))
    assert not RANGE.covers(None)
