"""Sending records the intent first and the receipt after; a delivery in doubt is replayed with the same bytes."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.records import (
    ClickId,
    ClickIdKind,
    Moment,
    Outcome,
    OutcomeClass,
    ReceivedForProcessing,
    Refused,
    RequestNotSent,
    RowOutcomes,
    StatusEntry,
)
from jobs.ledger.report import queries
from jobs.ledger.schema import Attempt, Request
from jobs.privacy.person_export import ledger_data_of_lead
from jobs.rules.reasons import DestinationScope
from tests import fakes
from tests.builders import CREATED, GOOGLE, TARGET, WON, changed, from_field, lead, read, route, rulebook, stops
from tests.fakes import DONE, NIGHT, Crash, FakeSink

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
OTHER = replace(TARGET, action="5")


def ready(account, count=1, **limits):
    """Plan sales that are due, and send none of them."""
    account.sink.limits = replace(account.sink.limits, **limits)
    account.book = rulebook(route(limits=account.sink.limits, field_value=from_field()))
    account.put(*(lead(f"L-{number}") for number in range(1, count + 1)))
    account.prepare()


def two_actions(account):
    """Make the same leads due for two actions of one destination."""
    account.book = rulebook(route("appointment", target=OTHER), route())
    account.put(lead())
    account.prepare()


def actions(account):
    """Return the action of every request, in order."""
    return [call.target.action for call in account.sink.calls]


def bodies(account):
    """Return the bodies of every request, in order."""
    return [[event.body for event in call.events] for call in account.sink.calls]


# ── the normal case ──────────────────────────────────────────────────────────────────────────────


def test_received_request_is_submitted_until_its_outcome_is_known(account):
    """Its rows are submitted and its ticket is stored, but nothing is accepted yet."""
    ready(account, 2)
    account.deliver()
    request = account.rows(Request)[0]

    assert {"L-1": "submitted", "L-2": "submitted"} == account.states
    assert ("received", "request-1", NIGHT + timedelta(minutes=30)) == (
        request.state,
        request.ticket,
        request.resolve_after,
    )


def test_library_is_loaded_outside_of_the_transaction(account):
    """Others may write meanwhile, however long it takes; the rows are encoded with it."""
    ready(account)
    loaded = []

    def load(target):
        with closing(sqlite3.connect(account.state.path, timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")
        loaded.append(target)

    account.sink.load_library = load
    account.deliver()

    assert [TARGET] == loaded
    assert {"L-1": "submitted"} == account.states


def test_request_is_committed_before_the_call(account):
    """A process that dies during the call leaves the request, its rows and their bytes on record."""
    ready(account)
    account.sink.script.append(fakes.crash_before)
    with pytest.raises(Crash):
        account.deliver()
    row = account.rows()[0]

    assert ("in_flight", ["open"]) == (row.state, account.requests)
    assert bodies(account) == [[row.event]]
    assert 1 == len(account.rows(Attempt))


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_batches_respect_the_platform_limit(account, size):
    """No batch is smaller than necessary either: n rows take ⌈n/max⌉ requests."""
    ready(account, 7, batch=size)
    account.deliver()

    assert -(-7 // size) == len(account.sink.calls)
    assert max(len(call.events) for call in account.sink.calls) <= size
    assert {"submitted"} == set(account.states.values())


ONE_CLICK = (ClickId(ClickIdKind.GCLID, "gclid-of-both"),)


def won(name, *, after=timedelta()):
    """Return a lead won this long after the others, with a click id that other leads share."""
    history = (StatusEntry("Nouveau", Moment(CREATED)), StatusEntry("Gagné", Moment(WON + after)))
    return lead(name, click_ids=ONE_CLICK, history=history)


@pytest.mark.parametrize(
    ("after", "sizes"),
    [(timedelta(), [2, 1]), (timedelta(milliseconds=999), [2, 1]), (timedelta(seconds=1), [3])],
)
def test_rows_sharing_click_and_second_go_in_separate_requests(account, after, sizes):
    """A platform that identifies conversions by click and second may refuse both rows of one request."""
    account.put(won("L-1"), won("L-2", after=after), lead("L-3"))
    account.prepare()
    account.deliver()

    assert sizes == [len(call.events) for call in account.sink.calls]
    assert {"submitted"} == set(account.states.values())


def test_simultaneous_conversions_of_one_lead_go_in_separate_requests(account):
    """They share a click and a second, and may share an action."""
    account.book = rulebook(route("appointment"), route())
    account.put(lead())
    account.prepare()
    account.deliver()

    assert [1, 1] == [len(call.events) for call in account.sink.calls]


def test_replays_with_the_same_click_go_in_separate_requests(account):
    """They are replayed in the same run, each with its own bytes."""
    account.put(won("L-1"), won("L-2"))
    account.prepare()
    account.sink.script.extend([fakes.answer(Outcome(OutcomeClass.UNKNOWN, "NEW"))] * 2)
    account.deliver()
    doubtful = set(account.states.values())
    account.sink.calls.clear()
    account.deliver()

    assert ({"in_doubt"}, {"submitted"}) == (doubtful, set(account.states.values()))
    assert [1, 1] == [len(call.events) for call in account.sink.calls]


def test_outcomes_are_matched_to_rows_by_order(account):
    """Each delivery gets its own state and code."""
    ready(account, 3)
    bad = Outcome(OutcomeClass.DROP, "NO_SUCH_CLICK")
    old = Outcome(OutcomeClass.EXPIRED, "TOO_OLD")
    account.sink.script.append(fakes.answer(DONE, bad, old))
    account.deliver()

    assert [("L-1", "accepted", "OK"), ("L-2", "rejected", "NO_SUCH_CLICK"), ("L-3", "expired", "TOO_OLD")] == [
        (row.lead, row.state, row.code) for row in account.rows()
    ]


@pytest.mark.parametrize(("kind", "unexpected"), [(OutcomeClass.DROP, 1), (OutcomeClass.DROP_EXPECTED, 0)])
def test_expected_rejections_are_not_reported_as_unexpected(account, kind, unexpected):
    """An unknown click is no surprise for a row sent by contact data."""
    ready(account)
    account.sink.script.append(fakes.answer(Outcome(kind, "X")))

    assert unexpected == account.deliver().unexpected


def test_duplicate_that_we_never_sent_is_rejected(account):
    """The platform already has the conversion, but not from us."""
    ready(account)
    account.sink.script.append(fakes.answer(Outcome(OutcomeClass.DUPLICATE, "ALREADY_EXISTS")))
    account.deliver()

    assert {"L-1": "rejected"} == account.states


def test_pending_delivery_is_sent_with_the_latest_lead_data(account):
    """A pending delivery follows the lead up to the moment of sending."""
    ready(account)
    account.put(changed(lead(), fields={"consent": "oui", "amount": Decimal(1500)}))
    account.prepare()
    account.deliver()

    assert b'"value": "1500.00"' in bodies(account)[0][0]


def test_consent_is_checked_again_when_sending(account):
    """The plan may be older than the last reading."""
    ready(account)
    account.put(changed(lead(), fields={"consent": "non"}))
    with account.hold() as ledger:
        read(account.run(ledger))
    account.deliver()

    assert ([], {"L-1": "cancelled"}) == (account.sink.calls, account.states)


def test_delivery_expires_if_its_window_closes_after_planning(account):
    """It is never re-dated and never sent too late."""
    ready(account)
    account.clock.time = CREATED + 90 * DAY + HOUR
    account.deliver()

    assert ([], {"L-1": "expired"}) == (account.sink.calls, account.states)


def test_missing_value_is_detected_when_sending(account):
    """Without a default, the conversion is withheld instead of being sent without a value."""
    account.book = rulebook(route(field_value=from_field()))
    account.put(lead(fields={"consent": "oui"}))
    account.prepare()
    before = account.reasons
    account.clock.time = WON + 3 * DAY
    account.deliver()

    assert ({"L-1": "value_awaited"}, {"L-1": "value_missing"}) == (before, account.reasons)


# ── refused for some rows ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("named", "most"), [(True, 3), (False, 13)])
def test_bad_rows_are_isolated_and_the_rest_is_sent(account, named, most):
    """Isolating k named rows takes k + 1 requests; by halving it takes at most 2k⌈log₂ n⌉ + 1."""
    ready(account, 8)
    bad = {b"L-3", b"L-6"}
    account.sink.verdict = lambda event: (
        Outcome(OutcomeClass.FIX_DATA, "BAD") if any(b"gclid-of-" + name in event.body for name in bad) else DONE
    )
    account.sink.script.extend([fakes.refuse_bad(named=named)] * 20)
    done = account.deliver()

    assert {"L-3", "L-6"} == {name for name, state in account.states.items() if state == "rejected"}
    assert {"submitted", "rejected"} == set(account.states.values())
    assert done.requests <= most


def test_rows_refused_with_others_return_to_pending(account):
    """Nothing was processed, and the blamed row is at fault only once another row has passed."""
    ready(account, 2)
    account.sink.script.extend([fakes.refuse(OutcomeClass.FIX_DATA, "BAD", rows=(0,)), fakes.crash_before])
    with pytest.raises(Crash):
        account.deliver()

    assert ["pending", "in_flight", "pending", "in_flight"] == [state for state, _ in account.causes("L-2")]
    assert {"L-1": "pending", "L-2": "in_flight"} == account.states


# ── deferred ─────────────────────────────────────────────────────────────────────────────────────


def test_connection_failure_stops_the_destination_after_five_attempts(account):
    """Nothing was transmitted, so the row stays pending."""
    ready(account)
    account.sink.script.extend([fakes.not_sent] * 9)
    done = account.deliver()

    assert (5, ["not_sent"] * 5, {"L-1": "pending"}) == (len(account.sink.calls), account.requests, account.states)
    assert "no connection, 5 times" == stops(done)[GOOGLE]


def test_retry_delays_grow_exponentially(account):
    """The delay starts at one second and doubles, with jitter; none follows the last attempt."""
    ready(account)
    account.sink.script.extend([fakes.not_sent] * 9)
    account.deliver()

    assert [0.75, 1.5, 3.0, 6.0] == [wait.total_seconds() for wait in account.clock.slept]


def test_sending_resumes_when_the_connection_returns(account):
    """The rest of the night goes as planned."""
    ready(account)
    account.sink.script.extend([fakes.not_sent] * 4)
    done = account.deliver()

    assert ({}, {"L-1": "submitted"}) == (stops(done), account.states)


def test_short_retry_after_is_waited_for(account):
    """The limit is five minutes."""
    ready(account)
    account.sink.script.append(fakes.refuse(OutcomeClass.RETRY, "QUOTA", retry_after=timedelta(minutes=5)))
    account.deliver()

    assert ([timedelta(minutes=5)], {"L-1": "submitted"}) == (account.clock.slept, account.states)


def test_long_retry_after_defers_deliveries_to_a_later_run(account):
    """The deliveries become due when the delay ends, and planning does not shorten it."""
    ready(account)
    account.sink.script.append(fakes.refuse(OutcomeClass.RETRY, "QUOTA", retry_after=HOUR))
    done = account.deliver()
    deferred = account.rows()[0].deferred_until
    account.put(changed(lead(), updated_at=NIGHT))
    account.prepare()
    account.deliver()
    early = len(account.sink.calls)
    account.clock.time = NIGHT + HOUR
    account.deliver()

    assert (NIGHT + HOUR, [], 1, 2) == (deferred, account.clock.slept, early, len(account.sink.calls))
    assert GOOGLE in stops(done)


@pytest.mark.parametrize(("named", "expected"), [(None, 6 * HOUR), (2 * HOUR, 2 * HOUR)])
def test_too_recent_row_is_deferred(account, named, expected):
    """It waits as long as the platform says, or six hours; the other rows are done."""
    ready(account, 2)
    account.sink.script.append(fakes.answer(Outcome(OutcomeClass.DEFER, "TOO_RECENT", retry_after=named), DONE))
    account.deliver()

    assert {"L-1": "pending", "L-2": "accepted"} == account.states
    assert NIGHT + expected == account.rows()[0].deferred_until


def test_only_retryable_rows_are_retried(account):
    """The others already have their outcome."""
    ready(account, 2)
    account.sink.script.extend([fakes.answer(Outcome(OutcomeClass.RETRY, "BUSY"), DONE), fakes.answer(DONE)])
    account.deliver()

    assert [2, 1] == [len(call.events) for call in account.sink.calls]
    assert {"accepted"} == set(account.states.values())


def test_unknown_host_stops_its_destination_at_once(account):
    """Waiting cannot fix the name: one attempt is made, nothing is lost, and the next run starts afresh."""
    ready(account, 2)
    account.sink.script.append(
        lambda _sink, _batch: RequestNotSent("the host name in X does not exist", is_unknown_host=True)
    )
    before = account.clock.now()
    done = account.deliver()

    assert {GOOGLE: "the host name in X does not exist"} == stops(done)
    assert ({"pending"}, before) == (set(account.states.values()), account.clock.now())
    assert 1 == len(account.sink.calls)

    account.deliver()

    assert {"submitted"} == set(account.states.values())


# ── stopped ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [OutcomeClass.FIX_CONFIG, OutcomeClass.BUG])
def test_configuration_error_stops_the_whole_destination(account, kind):
    """Its deliveries stay pending, and the summary carries the platform's message."""
    two_actions(account)
    account.sink.script.append(fakes.refuse(kind, "NO_ACCESS", message="not yours"))
    done = account.deliver()

    assert ({GOOGLE: "NO_ACCESS: not yours"}, 1) == (stops(done), len(account.sink.calls))
    assert {"pending"} == {row.state for row in account.rows()}


@pytest.mark.parametrize("answered", [True, False])
def test_configuration_error_of_one_action_stops_only_that_action(account, answered):
    """The destination's other actions go on, whether the error came as a refusal or as an outcome."""
    two_actions(account)
    wrong = Outcome(OutcomeClass.FIX_CONFIG, "NO_SUCH_ACTION", of_target=True)
    step = fakes.answer(wrong) if answered else fakes.refuse(wrong.kind, wrong.code, of_target=True)
    account.sink.script.append(step)
    done = account.deliver()

    assert {f"{GOOGLE}/5": "NO_SUCH_ACTION"} == stops(done)
    assert ["5", "987654321"] == actions(account)
    assert ["pending", "submitted"] == [row.state for row in account.rows()]


def test_endlessly_deferred_row_blocks_nothing_else(account):
    """Other rows of its request are accepted, the other action is sent, and it waits for the next night."""
    two_actions(account)
    account.put(lead("L-2"))
    account.prepare()
    account.sink.asynchronous = False
    again = Outcome(OutcomeClass.RETRY, "TRANSIENT_ERROR")
    account.sink.verdict = lambda event: again if b"L-1" in event.body and b'"action": "5"' in event.body else DONE
    done = account.deliver()
    states = {(row.lead, row.conversion): row.state for row in account.rows()}

    assert {} == stops(done)
    assert "pending" == states.pop(("L-1", "appointment"))
    assert {"accepted"} == set(states.values())
    assert account.rows()[0].deferred_until == account.clock.now() + 6 * HOUR


def test_endlessly_deferred_single_row_stops_only_its_action(account):
    """With no other row to compare, the fault may lie with the row or with the action."""
    two_actions(account)
    account.sink.asynchronous = False
    again = Outcome(OutcomeClass.RETRY, "TRANSIENT_ERROR")
    account.sink.verdict = lambda event: again if b'"action": "5"' in event.body else DONE
    done = account.deliver()

    assert ["google_ads/5"] == list(stops(done))
    assert ["accepted", "pending"] == sorted(row.state for row in account.rows())


@pytest.mark.parametrize("order", [1, -1])
def test_broadest_of_two_stops_applies(account, order):
    """Unaccepted terms affect every action, whatever else is wrong with this one."""
    ready(account, 2)
    account.sink.asynchronous = False
    narrow = Outcome(OutcomeClass.FIX_CONFIG, "WRONG_ACTION", of_target=True)
    wide = Outcome(OutcomeClass.FIX_CONFIG, "TERMS")
    account.sink.script.append(fakes.answer(*[narrow, wide][::order]))

    assert {"google_ads": "TERMS"} == stops(account.deliver())


def test_stopped_destination_does_not_affect_others(account):
    """Another destination still receives its deliveries."""
    second = FakeSink()
    account.sinks["second"] = second
    account.book = rulebook(route(), route(destination="second"))
    account.put(lead())
    account.prepare()
    account.sink.script.append(fakes.refuse(OutcomeClass.FIX_CONFIG))
    account.deliver()

    assert ["pending", "submitted"] == [row.state for row in account.rows()]


@pytest.mark.parametrize(
    ("stopped", "expected"),
    [
        ({DestinationScope(GOOGLE)}, []),
        ({DestinationScope(GOOGLE, action="5")}, ["987654321"]),
        ({DestinationScope("other")}, ["5", "987654321"]),
    ],
)
def test_already_stopped_scopes_are_skipped(account, stopped, expected):
    """Resolving outcomes may have found the stop already."""
    two_actions(account)
    account.deliver(stopped=stopped)

    assert expected == actions(account)


def test_stopped_destination_is_tried_again_in_the_next_run(account):
    """Once it is fixed, everything is sent."""
    ready(account, 3, batch=1)
    account.sink.script.append(fakes.refuse(OutcomeClass.FIX_CONFIG))
    account.deliver()
    first = len(account.sink.calls)
    account.deliver()

    assert (1, {"submitted"}) == (first, set(account.states.values()))


# ── in doubt ─────────────────────────────────────────────────────────────────────────────────────


def lose(account, step=fakes.lost_before):
    """Lose the answer to every attempt of this run."""
    account.sink.script.extend([step] * 5)
    account.deliver()


def test_lost_answer_is_replayed_with_the_same_bytes(account):
    """The replay comes in the same run, even though the lead's data could have changed."""
    ready(account)
    account.sink.script.append(fakes.lost_after)
    account.deliver()

    assert bodies(account)[0] == bodies(account)[1]
    assert ({"L-1": "submitted"}, ["lost", "received"]) == (account.states, account.requests)


def test_replay_ignores_edits_and_new_rules(account):
    """It sends the same bytes even runs later."""
    ready(account)
    lose(account)
    account.clock.time += DAY
    account.put(changed(lead(), fields={"consent": "oui", "amount": Decimal(7)}))
    account.book = rulebook(route(fixed_value=Decimal(1)), rules_digest="r2")
    account.prepare()
    account.deliver()

    assert 1 == len({body for each in bodies(account) for body in each})
    assert {"L-1": "submitted"} == account.states


def test_replays_go_out_before_new_deliveries(account):
    """The delivery in doubt is sent first."""
    ready(account)
    lose(account)
    account.put(lead("L-0"))
    account.prepare()
    account.sink.calls.clear()
    account.deliver()

    assert [b"gclid-of-L-1" in each[0] for each in bodies(account)] == [True, False]


def test_crash_after_acceptance_counts_the_conversion_once(account):
    """The next run replays the same bytes and learns that the platform already has them."""
    ready(account)
    account.sink.asynchronous = False
    account.sink.script.append(fakes.crash_after)
    with pytest.raises(Crash):
        account.deliver()
    account.prepare()
    doubt = account.states
    account.deliver()

    assert ({"L-1": "in_doubt"}, {"L-1": "accepted"}) == (doubt, account.states)
    assert [1] == list(account.sink.counted.values())


def test_delivery_becomes_unconfirmed_after_three_lost_replays(account):
    """It is never reported as a success and never sent again."""
    ready(account)
    states = []
    for _ in range(6):
        account.sink.script.clear()
        lose(account)
        states.append(account.states["L-1"])
        account.clock.time += DAY
    sent = len(account.sink.calls)
    account.deliver()

    assert ["in_doubt"] * 4 + ["unconfirmed"] * 2 == states
    assert (20, 20) == (sent, len(account.sink.calls))
    assert ("unconfirmed", "no_answer") == account.causes("L-1")[-1]


def test_replays_after_the_first_are_limited_to_one_a_night(account):
    """The first may come at once, as it is most likely to be answered, however often a night is retried."""
    ready(account)
    sent = []
    for _ in range(4):
        for minutes in (0, 5, 10, 20, 40):
            account.clock.time += timedelta(minutes=minutes)
            account.sink.script.clear()
            lose(account)
            sent.append(len(account.sink.calls))
        account.clock.time += DAY - timedelta(minutes=75)

    assert [5, 10, 10, 10, 10, *[15] * 5, *[20] * 5, *[20] * 5] == sent
    assert ("unconfirmed", "no_answer") == account.causes("L-1")[-1]


def test_clock_set_back_does_not_block_a_replay(account):
    """The previous attempt then seems to lie in the future."""
    ready(account)
    account.clock.time += 20 * DAY
    for _ in range(2):
        lose(account)
    account.clock.time -= 15 * DAY
    account.deliver()

    assert {"L-1": "submitted"} == account.states


@pytest.mark.parametrize("whole", [False, True])
def test_expired_outcome_of_a_replay_uses_up_that_replay(account, whole):
    """It reveals nothing about the first attempt, and a fourth replay would reveal nothing either."""
    old = Outcome(OutcomeClass.EXPIRED, "TOO_OLD")
    ready(account)
    lose(account)
    states = []
    for _ in range(5):
        account.clock.time += DAY
        account.sink.script.append(fakes.refuse(old.kind, old.code, rows=(0,)) if whole else fakes.answer(old))
        account.deliver()
        states.append(account.states["L-1"])

    assert (["in_doubt"] * 3 + ["unconfirmed"] * 2, 5 + 3) == (states, len(account.sink.calls))


def test_connection_failure_does_not_use_up_a_replay(account):
    """Nights offline leave the remaining replays untouched."""
    ready(account)
    lose(account)
    for _ in range(6):
        account.sink.script.clear()
        account.sink.script.extend([fakes.not_sent] * 5)
        account.deliver()

    assert {"L-1": "in_doubt"} == account.states


def test_refusals_before_a_lost_answer_do_not_count_as_replays(account):
    """Nothing was in doubt on three busy nights; the answer of the fourth is the one that is lost."""
    ready(account)
    for _ in range(3):
        account.sink.script.extend([fakes.refuse(OutcomeClass.RETRY)] * 5)
        account.deliver()
    lose(account)
    account.deliver()

    assert {"L-1": "submitted"} == account.states


def test_consent_withdrawn_while_in_doubt_stops_replays(account):
    """The bytes hold personal data, so they are not sent again and the delivery becomes unconfirmed."""
    ready(account)
    lose(account)
    sent = len(account.sink.calls)
    account.put(changed(lead(), fields={"consent": "non"}))
    account.prepare()
    account.deliver()

    assert ({"L-1": "unconfirmed"}, sent) == (account.states, len(account.sink.calls))
    assert [None] == [row.event for row in account.rows()]


def test_conversion_cancelled_for_consent_keeps_no_code(account):
    """What put it off before says nothing of why it was cancelled."""
    ready(account)
    account.sink.script.extend([fakes.refuse(OutcomeClass.RETRY, "BUSY")] * 5)
    account.deliver()
    assert "BUSY" == account.rows()[0].code
    account.put(changed(lead(), fields={"consent": "non"}))
    account.prepare()
    row = account.rows()[0]

    assert ("cancelled", "consent_withdrawn", None) == (row.state, row.reason, row.code)


def test_conversion_cancelled_for_consent_does_not_show_what_its_batch_was_refused_for(account):
    """The request was refused for another row, which says nothing of this one, on screen and in an export."""
    ready(account, 2)
    account.sink.script.extend([fakes.refuse(OutcomeClass.FIX_DATA, "OF_ANOTHER"), *[fakes.not_sent] * 20])
    account.deliver()
    account.put(changed(lead("L-1"), fields={"consent": "non"}))
    account.prepare()
    row = account.rows()[0]
    with account.state.hold(account.clock) as ledger, ledger.read_transaction() as session:
        shown = [request.code for request in queries.requests_containing(session, row)]
        (exported,) = ledger_data_of_lead(session, ledger.account, row.lead)["deliveries"]

    assert ("cancelled", "consent_withdrawn", None) == (row.state, row.reason, row.code)
    assert [None] == list({*shown, *(attempt["code"] for attempt in exported["attempts"])})
    assert None is exported["code"]


@pytest.mark.parametrize("meanwhile", ["window closed", "not configured"])
def test_withdrawn_consent_stops_replays_even_if_another_reason_applies(account, meanwhile):
    """It does not matter that the conversion would no longer be sent for another reason."""
    account.clock.time = CREATED + 89 * DAY
    ready(account)
    lose(account)
    sent = len(account.sink.calls)
    account.put(changed(lead(), fields={"consent": "non"}))
    if meanwhile == "window closed":
        account.clock.time += 2 * DAY
    else:
        account.book = rulebook(route("quote", target=OTHER, labels=frozenset({"devis"})), rules_digest="r2")
    account.prepare()
    account.deliver()

    assert ({"L-1": "unconfirmed"}, sent) == (account.states, len(account.sink.calls))


def test_missing_consent_does_not_stop_replays(account):
    """It was given when the event was sent, and was never withdrawn."""
    ready(account)
    lose(account)
    account.put(changed(lead(), fields={"consent": ""}))
    account.prepare()
    account.deliver()

    assert {"L-1": "submitted"} == account.states


@pytest.mark.parametrize("kind", [OutcomeClass.RETRY, OutcomeClass.FIX_CONFIG, OutcomeClass.BUG, OutcomeClass.DEFER])
def test_inconclusive_answer_to_a_replay_leaves_the_delivery_in_doubt(account, kind):
    """The first attempt may still have been accepted, so the bytes are kept."""
    ready(account)
    account.sink.script.append(fakes.lost_after)
    account.sink.script.extend([fakes.refuse(kind)] * 5)
    account.deliver()

    assert ({"L-1": "in_doubt"}, True) == (account.states, account.rows()[0].event is not None)


def test_rows_in_doubt_refused_with_others_stay_in_doubt(account):
    """They stay so until the platform answers for those rows themselves."""
    ready(account, 2)
    account.sink.script.extend([fakes.lost_before, fakes.refuse(OutcomeClass.FIX_DATA, rows=(0,)), fakes.crash_before])
    with pytest.raises(Crash):
        account.deliver()

    assert ["pending", "in_flight", "in_doubt", "in_flight", "in_doubt", "in_flight"] == [
        state for state, _ in account.causes("L-2")
    ]


def test_unknown_outcome_leaves_the_delivery_in_doubt(account):
    """The action stops and is reported."""
    ready(account)
    account.sink.script.append(fakes.refuse(OutcomeClass.UNKNOWN, "HTML"))
    done = account.deliver()

    assert ({"L-1": "in_doubt"}, {f"{GOOGLE}/{TARGET.action}": "HTML"}) == (account.states, stops(done))


@pytest.mark.parametrize(
    "receipt",
    [
        ReceivedForProcessing("t-9", ("OLD",)),
        RowOutcomes((DONE,), ("OLD",)),
        Refused(Outcome(OutcomeClass.FIX_CONFIG, "OFF"), warnings=("OLD",)),
    ],
)
def test_warnings_of_every_kind_of_answer_are_kept(account, receipt):
    """A refusal may carry warnings as well."""
    ready(account)
    account.sink.script.append(lambda _sink, _batch: receipt)

    assert {"OLD": 1} == account.deliver().warnings


def test_replays_respect_the_batch_limit(account):
    """The limit may have been lowered since the first attempt."""
    ready(account, 5)
    account.sink.script.append(fakes.crash_after)
    with pytest.raises(Crash):
        account.deliver()
    account.prepare()
    account.sink.limits = replace(account.sink.limits, batch=2)
    account.sink.calls.clear()
    account.deliver()

    assert [2, 2, 1] == [len(call.events) for call in account.sink.calls]


def test_replay_goes_to_the_original_target(account):
    """Under another action it would count twice."""
    ready(account)
    lose(account)
    account.book = rulebook(route(target=OTHER), rules_digest="r2")
    account.prepare()
    account.sink.calls.clear()
    account.deliver()

    assert [TARGET] == [call.target for call in account.sink.calls]


def test_action_stopped_by_a_replay_gets_no_more_requests(account):
    """One request is enough to learn of it."""
    ready(account, 3, batch=1)
    lose(account)
    account.sink.calls.clear()
    account.sink.script.extend([fakes.refuse(OutcomeClass.FIX_CONFIG, of_target=True)] * 9)
    account.deliver()

    assert 1 == len(account.sink.calls)


def test_already_stopped_action_gets_no_replays(account):
    """It waits for someone to fix it."""
    ready(account)
    lose(account)
    account.sink.calls.clear()
    account.deliver(stopped={DestinationScope(GOOGLE, action=TARGET.action)})

    assert [] == account.sink.calls
