"""A backfill sends conversions from before the start: once, in time, and without changing what nights rely on."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.errors import Misconfigured, Transient
from connectors.records import Moment, Outcome, OutcomeClass, StatusEntry
from jobs import backfill_and_retry
from jobs.backfill_and_retry import AgeGroupOutcomeCounts, AlreadySent
from jobs.ledger.outbox import backfill_and_retry as in_ledger
from jobs.ledger.outbox.backfill_and_retry import BackfillRequest
from jobs.ledger.schema import BackfillPlace, ContactHash, Cursor, Start
from jobs.nightly import begin_run, run_night
from jobs.run_context import SyncMode
from tests import fakes
from tests.builders import CREATED, GOOGLE, REACH, changed, from_field, lead, route, rulebook
from tests.fakes import LIMITS, NIGHT, Crash, FakeSink

DAY = timedelta(days=1)
FROM, TO = NIGHT - 20 * DAY, NIGHT - 5 * DAY
RANGE = BackfillRequest(FROM, TO)
OLD = NIGHT - 10 * DAY
"""A time inside the requested range."""


def won(name="L-1", when=OLD, created=CREATED, **over):
    """Return a lead won at this time, according to Oplead."""
    history = (StatusEntry("Nouveau", Moment(created)), StatusEntry("Gagné", Moment(when)))
    return lead(name, **({"created_at": created, "updated_at": when, "history": history} | over))


def undated(name="L-1", updated=OLD, created=CREATED, **over):
    """Return a won lead without a status date."""
    return lead(name, **({"created_at": created, "updated_at": updated, "history": ()} | over))


@pytest.fixture
def old(account):
    """Return a function that serves leads and runs the first night, from which the conversion counts."""
    account.book = rulebook(since={})

    def serve(*leads):
        account.put(*leads)
        account.night()
        return account

    return serve


def run(account, asked=RANGE, *, told=()):
    """Run one approved backfill; return the undated changes left out, the groups and the summary."""
    account.source.made = 0
    with account.hold() as ledger:
        context = account.run(ledger)
        summary = begin_run(context)
        backfill_and_retry.read_requested(context, asked, summary)
        assert summary.pulled.complete, summary.source_stopped
        backfill_and_retry.mark_listed_as_already_sent(context, told, conversion=None, destination=None)
        picked = backfill_and_retry.plan_requested_backfill(context, asked)
        found = backfill_and_retry.count_backfill_by_age(context)
        backfill_and_retry.send_requeued(context, summary)
        return picked, found, summary


def later(account, span=timedelta(minutes=31)):
    """Run a night after this time."""
    account.clock.time += span
    return account.night()


def origins(account):
    """Map each lead to the origin of its conversion time and that time."""
    return {row.lead: (row.origin, row.at) for row in account.rows()}


# ── selection ────────────────────────────────────────────────────────────────────────────────────


def test_conversions_in_the_range_are_sent_once(old):
    """The range includes its start but not its end, and repeated backfills reuse the key."""
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


def test_backfill_does_not_move_the_cursor_or_the_start(old):
    """It leaves no resume point of its own either."""
    account = old(won())
    before = [[row.model_dump() for row in account.rows(table)] for table in (Cursor, Start)]
    account.clock.time += DAY
    run(account)

    assert before == [[row.model_dump() for row in account.rows(table)] for table in (Cursor, Start)]
    assert [] == account.rows(BackfillPlace)


def test_backfill_finds_leads_that_no_night_has_read(account):
    """It may be the first run to read them."""
    account.book = rulebook(since={"sale": NIGHT})
    account.put(won())
    run(account)
    later(account)

    assert {"L-1": "accepted"} == account.states


def test_first_entry_of_a_stage_decides(old):
    """A lead won before the range, lost, and won again in it does not count."""
    history = [("Nouveau", CREATED), ("Gagné", FROM - DAY), ("Perdu", FROM), ("Gagné", OLD)]
    account = old(won(history=tuple(StatusEntry(label, Moment(at)) for label, at in history)))
    run(account)

    assert {"L-1": "skipped"} == account.states


def test_backfilled_conversion_outside_its_window_expires(old):
    """Its click is 100 days old, and Google keeps click ids for 90."""
    account = old(won(created=NIGHT - 100 * DAY))
    _, (group,), _ = run(account)

    assert {"L-1": "expired"} == account.states
    assert {"L-1": "window_closed"} == account.reasons
    assert AgeGroupOutcomeCounts("sale", GOOGLE, "8-30", sent=0, waits=0, withheld=0, expired=1, left=0) == group


@pytest.mark.parametrize(("days", "age"), [(7, "0-7"), (8, "8-30"), (30, "8-30"), (31, "31-60"), (61, "61-90")])
def test_age_group_is_given_in_whole_days(old, days, age):
    """The age counts from the status change."""
    account = old(won(when=NIGHT - days * DAY, created=NIGHT - 80 * DAY))
    _, (group,), _ = run(account, BackfillRequest(NIGHT - 75 * DAY, NIGHT))

    assert age == group.age


def test_withheld_backfill_is_released_by_a_later_night(old):
    """It is sent although it lies before the start."""
    account = old(won(fields={}))
    run(account)

    assert {"L-1": "withheld"} == account.states

    account.put(won())
    later(account, DAY)
    later(account)

    assert {"L-1": "accepted"} == account.states


def test_pending_backfill_is_sent_by_a_later_night(old, account):
    """A value is awaited for three days after the change; the default is sent after that."""
    account.book = rulebook(route(field_value=from_field(otherwise=Decimal(900))), since={})
    old(won(when=NIGHT - DAY, fields={"consent": "oui"}))
    _, (group,), _ = run(account, BackfillRequest(FROM, NIGHT))

    assert (0, 1) == (group.sent, group.waits)
    assert {"L-1": "pending"} == account.states

    later(account, 3 * DAY)
    later(account)

    assert {"L-1": "accepted"} == account.states


def test_backfill_is_limited_to_a_conversion_and_destination(account):
    """All others stay skipped."""
    other = FakeSink()
    account.sinks = {GOOGLE: account.sink, "other": other}
    account.book = rulebook(route(), route("lead", on_creation=True), route(destination="other"), since={})
    account.put(won())
    account.night()
    run(account, replace(RANGE, conversion="sale", destination="other"))

    assert {("sale", "other")} == {
        (row.conversion, row.destination) for row in account.rows() if row.state != "skipped"
    }


def test_backfill_leaves_new_conversions_to_the_night(old):
    """Only approved conversions are sent, and the volume guard still counts the others."""
    account = old(won("old"))
    account.put(won("new", account.clock.now() + timedelta(hours=1), created=NIGHT))
    account.clock.time += DAY
    run(account)

    assert {"old": "submitted", "new": "pending"} == account.states


# ── undated changes ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("created", [CREATED, OLD - DAY])
def test_undated_change_stays_skipped(old, created):
    """This holds even for a lead created in the range."""
    account = old(undated(created=created))
    skipped, _, _ = run(account)

    assert {"L-1": "skipped"} == account.states
    assert {("sale", GOOGLE): 1} == skipped


def test_assume_time_dates_a_change_at_the_last_update(old):
    """It has to be chosen explicitly, and nothing moves the date afterwards."""
    account = old(undated())
    account.put(changed(undated(), updated_at=NIGHT + DAY, fields={"consent": "oui", "note": "called"}))
    account.clock.time += 2 * DAY
    run(account, replace(RANGE, assume_time=True))
    later(account)

    assert {"L-1": "accepted"} == account.states
    assert {"L-1": ("assumed", OLD)} == origins(account)


def test_assumed_time_outside_the_range_is_not_picked(old):
    """It is treated like a dated change."""
    account = old(undated(updated=TO))
    run(account, replace(RANGE, assume_time=True))

    assert {"L-1": "skipped"} == account.states


@pytest.mark.parametrize("updated", [None, CREATED])
def test_lead_never_updated_has_no_assumed_time(old, updated):
    """The time of reading is no substitute."""
    account = old(undated(updated=updated))
    skipped, _, _ = run(account, BackfillRequest(CREATED - DAY, NIGHT + DAY, assume_time=True))

    assert {"L-1": "skipped"} == account.states
    assert {("sale", GOOGLE): 1} == skipped


def test_no_time_is_assumed_for_a_platform_that_forbids_it(account):
    """Meta may discard all events with changed dates."""
    limits = replace(LIMITS, takes_assumed_times=False)
    account.sinks[GOOGLE] = account.sink = FakeSink(limits=limits)
    account.book = rulebook(route(limits=limits), since={})
    account.put(undated())
    account.night()
    skipped, _, _ = run(account, replace(RANGE, assume_time=True))

    assert {"L-1": "skipped"} == account.states
    assert {("sale", GOOGLE): 1} == skipped


# ── the volume guard ─────────────────────────────────────────────────────────────────────────────


def test_volume_guard_ignores_backfilled_conversions(old):
    """Later sends of the backfill are exempt as well, and do not raise the limit of a night."""
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


# ── sent by other means ──────────────────────────────────────────────────────────────────────────


def settle(account, *listed, **only):
    """Settle the listed leads and return the result."""
    with account.hold() as ledger:
        plain = {"conversion": None, "destination": None}
        return backfill_and_retry.mark_listed_as_already_sent(account.run(ledger), listed, **(plain | only))


def test_conversions_sent_by_other_means_are_never_sent(old, account):
    """No backfill, earlier start or change of the lead revives them."""
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
def test_unsent_delivery_is_settled_in_any_state(account, fields, sends, state, left):
    """A delivery the platform may have received from us stays as it is."""
    account.sink.script.extend(sends)
    account.put(won(fields=fields))
    account.night()
    done = settle(account, AlreadySent("L-1"))

    assert ({"L-1": state}, left) == (account.states, dict(done.ours))


def test_file_or_command_may_name_the_conversion(account):
    """A lead without that conversion is reported."""
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


# ── interruptions ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("step", [fakes.crash_before, fakes.crash_after])
def test_backfill_interrupted_while_sending_is_completed_by_the_next(old, step):
    """It replays the same bytes and sends the rest, and each conversion counts once."""
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
def test_backfill_interrupted_while_picking_is_completed_later(old, monkeypatch, nth, goes_on):
    """The next run of any kind sends what was already picked, and a repeated backfill picks the rest."""
    account = old(*(won(f"L-{number}") for number in range(5)))
    monkeypatch.setattr(backfill_and_retry, "AT_ONCE", 2)
    calls = iter(range(1, 100))
    reopen = in_ledger.approve_for_backfill

    def dying(*args):
        if next(calls) == nth:
            raise Crash
        reopen(*args)

    monkeypatch.setattr(in_ledger, "approve_for_backfill", dying)
    with pytest.raises(Crash):
        run(account)
    if goes_on == "night":
        later(account)
    run(account)
    later(account)

    assert {"accepted"} == set(account.states.values())
    assert [1] * 5 == list(account.sink.counted.values())


def test_next_backfill_sends_what_was_already_picked(old):
    """Nothing is left to pick by then."""
    account = old(won())
    with account.hold() as ledger:
        backfill_and_retry.plan_requested_backfill(account.run(ledger), RANGE)

    assert {"L-1": "pending"} == account.states

    run(account)

    assert {"L-1": "submitted"} == account.states


def read(account, asked=RANGE):
    """Run only the reading of a backfill and return the summary."""
    with account.hold() as ledger:
        summary = begin_run(account.run(ledger))
        backfill_and_retry.read_requested(account.run(ledger), asked, summary)
        return summary


@pytest.mark.parametrize("night_between", [False, True])
def test_interrupted_reading_resumes_at_its_page(account, night_between):
    """A night in between does not matter, as it has its own resume point."""
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


def test_refused_reading_starts_over(account):
    """The resume token may be what the source refuses."""
    account.source.page = 1
    account.put(*(won(f"L-{number}") for number in range(4)))
    account.source.fails = {2: Misconfigured("400")}
    read(account)
    account.source.calls.clear()
    read(account)

    assert [(None, None)] == account.source.calls


def test_reading_of_another_range_starts_over(account):
    """A resume token belongs to one range."""
    account.source.page = 1
    account.put(*(won(f"L-{number}") for number in range(4)))
    account.source.fails = {2: Transient("503")}
    read(account)
    account.source.calls.clear()
    read(account, BackfillRequest(FROM - DAY, TO))

    assert [(None, None)] == account.source.calls


def test_reading_starts_over_after_an_extraction_change(account):
    """The pages already read lack what the new settings need."""
    account.source.page = 1
    account.put(*(won(f"L-{number}") for number in range(4)))
    account.source.fails = {2: Transient("503")}
    read(account)
    account.source.calls.clear()
    account.book = rulebook(extraction_digest="e2")
    read(account)

    assert [(None, None)] == account.source.calls


def test_filter_starts_ninety_days_before_the_range(account):
    """Leads created up to then may have changed in the range."""
    account.sync_window = replace(REACH, style=SyncMode.SINCE)
    account.source.filters = True
    read(account)

    assert [(FROM - 90 * DAY, None)] == account.source.calls


# ── contact data ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def by_contact(old, account):
    """Return an account of leads matched by contact data alone, which a night without sends has erased."""
    account.book = rulebook(route(contact_only=True, attach_contact=True), since={})
    old(*(won(f"L-{number}", click_ids=()) for number in range(3)))

    assert [] == account.rows(ContactHash)

    return account


def test_backfill_reads_contact_data_again(by_contact):
    """The leads have not changed; the hashes are erased again after the last outcome."""
    run(by_contact)
    later(by_contact)

    assert {"accepted"} == set(by_contact.states.values())

    by_contact.night()

    assert [] == by_contact.rows(ContactHash)


@pytest.mark.parametrize(("night_between", "resume"), [(False, "2"), (True, None)])
def test_contact_data_erased_by_a_night_is_read_again(by_contact, night_between, resume):
    """An interrupted reading then starts over."""
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
def test_pages_read_without_needed_contact_data_are_read_again(by_contact, before):
    """The interrupted reading was for click ids alone, or for leads created before an earlier day."""
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


def test_backfill_reads_contact_data_again_in_detail_mode(account):
    """The detail pages themselves have not changed."""
    account.sync_window = replace(REACH, style=SyncMode.DETAILS)
    account.book = rulebook(route(contact_only=True, attach_contact=True), since={})
    account.put(won(click_ids=()))
    account.night()
    account.clock.time += DAY
    run(account)
    later(account)

    assert {"L-1": "accepted"} == account.states


def test_backfill_works_in_detail_mode(account):
    """The list then gives only the ids."""
    account.sync_window = replace(REACH, style=SyncMode.DETAILS)
    account.book = rulebook(since={})
    account.put(won("old"), lead("new", label="Nouveau", history=()))
    account.night()
    account.put(won("new"))
    account.clock.time += DAY
    run(account)
    later(account)

    assert {"old": "accepted", "new": "accepted"} == account.states


def test_night_leaves_conversions_before_the_start_alone(old):
    """Only a backfill sends them."""
    account = old(won())
    with account.hold() as ledger:
        run_night(account.run(ledger))

    assert {"L-1": "skipped"} == account.states


def test_range_excludes_its_last_instant():
    """Two adjacent backfills then share no instant."""
    assert (True, True, False) == tuple(RANGE.covers(at) for at in (FROM, TO - timedelta(microseconds=1), TO))
    assert not RANGE.covers(None)
