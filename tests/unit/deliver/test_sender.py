"""Sending: intent first, receipt after; what is in doubt is asked for again by the same bytes."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.records import (
    Answered,
    ClickId,
    ClickIdKind,
    Moment,
    NotSent,
    Outcome,
    OutcomeClass,
    Received,
    Refused,
    StatusEntry,
)
from jobs.ledger.schema import Attempt, Request
from jobs.rules.reasons import Scope
from tests import fakes
from tests.builders import CREATED, GOOGLE, TARGET, WON, changed, from_field, lead, read, route, rulebook, stops
from tests.fakes import DONE, NIGHT, Crash, FakeSink

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
OTHER = replace(TARGET, action="5")


def ready(account, count=1, **limits):
    """Sales that are due, planned and not sent."""
    account.sink.limits = replace(account.sink.limits, **limits)
    account.book = rulebook(route(limits=account.sink.limits, field_value=from_field()))
    account.put(*(lead(f"L-{number}") for number in range(1, count + 1)))
    account.prepare()


def two_actions(account):
    """The same leads are due for two actions of one destination."""
    account.book = rulebook(route("appointment", target=OTHER), route())
    account.put(lead())
    account.prepare()


def actions(account):
    """The action of every request, in order."""
    return [call.target.action for call in account.sink.calls]


def bodies(account):
    """The bodies of every request, in order."""
    return [[event.body for event in call.events] for call in account.sink.calls]


# ── the plain way ────────────────────────────────────────────────────────────────────────────────


def test_a_received_request_waits_for_its_outcome(account):
    """Its rows are submitted, its ticket kept; nothing is called accepted yet."""
    ready(account, 2)
    account.deliver()
    request = account.rows(Request)[0]

    assert {"L-1": "submitted", "L-2": "submitted"} == account.states
    assert ("received", "request-1", NIGHT + timedelta(minutes=30)) == (
        request.state,
        request.ticket,
        request.resolve_after,
    )


def test_the_intent_is_committed_before_the_call(account):
    """A process that dies in the call leaves the request, its rows and their bytes behind."""
    ready(account)
    account.sink.script.append(fakes.crash_before)
    with pytest.raises(Crash):
        account.deliver()
    row = account.rows()[0]

    assert ("in_flight", ["open"]) == (row.state, account.requests)
    assert bodies(account) == [[row.event]]
    assert 1 == len(account.rows(Attempt))


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_a_batch_is_never_larger_than_the_platform_takes(account, size):
    """And never smaller than it need be: ⌈n/max⌉ requests."""
    ready(account, 7, batch=size)
    account.deliver()

    assert -(-7 // size) == len(account.sink.calls)
    assert max(len(call.events) for call in account.sink.calls) <= size
    assert {"submitted"} == set(account.states.values())


ONE_CLICK = (ClickId(ClickIdKind.GCLID, "gclid-of-both"),)


def won(name, *, after=timedelta()):
    """A lead won so long after the others, by a click that is another one's as well."""
    history = (StatusEntry("Nouveau", Moment(CREATED)), StatusEntry("Gagné", Moment(WON + after)))
    return lead(name, click_ids=ONE_CLICK, history=history)


@pytest.mark.parametrize(
    ("after", "sizes"),
    [(timedelta(), [2, 1]), (timedelta(milliseconds=999), [2, 1]), (timedelta(seconds=1), [3])],
)
def test_two_rows_of_one_click_and_second_go_in_requests_of_their_own(account, after, sizes):
    """A platform that tells conversions apart by these may refuse both where they meet."""
    account.put(won("L-1"), won("L-2", after=after), lead("L-3"))
    account.prepare()
    account.deliver()

    assert sizes == [len(call.events) for call in account.sink.calls]
    assert {"submitted"} == set(account.states.values())


def test_two_conversions_of_one_lead_at_once_go_in_requests_of_their_own(account):
    """They have one click and one second, and may share an action."""
    account.book = rulebook(route("appointment"), route())
    account.put(lead())
    account.prepare()
    account.deliver()

    assert [1, 1] == [len(call.events) for call in account.sink.calls]


def test_they_are_asked_for_again_in_requests_of_their_own_too(account):
    """In the same run, each by its own bytes."""
    account.put(won("L-1"), won("L-2"))
    account.prepare()
    account.sink.script.extend([fakes.answer(Outcome(OutcomeClass.UNKNOWN, "NEW"))] * 2)
    account.deliver()
    doubtful = set(account.states.values())
    account.sink.calls.clear()
    account.deliver()

    assert ({"in_doubt"}, {"submitted"}) == (doubtful, set(account.states.values()))
    assert [1, 1] == [len(call.events) for call in account.sink.calls]


def test_outcomes_belong_to_rows_by_their_order(account):
    """Each delivery has its own state and code."""
    ready(account, 3)
    bad = Outcome(OutcomeClass.DROP, "NO_SUCH_CLICK")
    old = Outcome(OutcomeClass.EXPIRED, "TOO_OLD")
    account.sink.script.append(fakes.answer(DONE, bad, old))
    account.deliver()

    assert [("L-1", "accepted", "OK"), ("L-2", "rejected", "NO_SUCH_CLICK"), ("L-3", "expired", "TOO_OLD")] == [
        (row.lead, row.state, row.code) for row in account.rows()
    ]


@pytest.mark.parametrize(("kind", "unexpected"), [(OutcomeClass.DROP, 1), (OutcomeClass.DROP_EXPECTED, 0)])
def test_only_rejections_nobody_expected_need_a_look(account, kind, unexpected):
    """No such click, for a row sent by contact data, is no surprise."""
    ready(account)
    account.sink.script.append(fakes.answer(Outcome(kind, "X")))

    assert unexpected == account.deliver().unexpected


def test_a_duplicate_nobody_sent_is_not_accepted(account):
    """Already there, and not by us."""
    ready(account)
    account.sink.script.append(fakes.answer(Outcome(OutcomeClass.DUPLICATE, "ALREADY_EXISTS")))
    account.deliver()

    assert {"L-1": "rejected"} == account.states


def test_what_is_sent_is_what_the_lead_says_now(account):
    """Pending follows the latest data, up to the moment of sending."""
    ready(account)
    account.put(changed(lead(), fields={"consent": "oui", "amount": Decimal(1500)}))
    account.prepare()
    account.deliver()

    assert b'"value": "1500.00"' in bodies(account)[0][0]


def test_consent_is_asked_again_at_the_moment_of_sending(account):
    """The plan may be older than the last reading."""
    ready(account)
    account.put(changed(lead(), fields={"consent": "non"}))
    with account.hold() as ledger:
        read(account.run(ledger))
    account.deliver()

    assert ([], {"L-1": "cancelled"}) == (account.sink.calls, account.states)


def test_a_window_that_closed_since_the_plan_is_respected(account):
    """Never re-dated, never sent too late."""
    ready(account)
    account.clock.time = CREATED + 90 * DAY + HOUR
    account.deliver()

    assert ([], {"L-1": "expired"}) == (account.sink.calls, account.states)


def test_a_value_that_did_not_come_in_time_is_noticed_at_sending(account):
    """Without a default the conversion is withheld, not sent without."""
    account.book = rulebook(route(field_value=from_field()))
    account.put(lead(fields={"consent": "oui"}))
    account.prepare()
    before = account.reasons
    account.clock.time = WON + 3 * DAY
    account.deliver()

    assert ({"L-1": "value_awaited"}, {"L-1": "value_missing"}) == (before, account.reasons)


# ── refused for some rows ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("named", "most"), [(True, 3), (False, 13)])
def test_bad_rows_are_found_and_the_rest_goes_out(account, named, most):
    """Blamed, removed, sent again; or halved: k + 1 requests, or 2k⌈log₂ n⌉ + 1."""
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


def test_rows_that_were_refused_with_others_are_pending_in_between(account):
    """Nothing of the request was processed; the blamed one is at fault only once another has passed."""
    ready(account, 2)
    account.sink.script.extend([fakes.refuse(OutcomeClass.FIX_DATA, "BAD", rows=(0,)), fakes.crash_before])
    with pytest.raises(Crash):
        account.deliver()

    assert ["pending", "in_flight", "pending", "in_flight"] == [state for state, _ in account.causes("L-2")]
    assert {"L-1": "pending", "L-2": "in_flight"} == account.states


# ── not now ──────────────────────────────────────────────────────────────────────────────────────


def test_no_connection_is_tried_five_times(account):
    """Nothing left the machine: pending, and the destination stops."""
    ready(account)
    account.sink.script.extend([fakes.not_sent] * 9)
    done = account.deliver()

    assert (5, ["not_sent"] * 5, {"L-1": "pending"}) == (len(account.sink.calls), account.requests, account.states)
    assert "no connection, 5 times" == stops(done)[GOOGLE]


def test_waits_between_attempts_grow(account):
    """A second, doubling, with jitter; none after the last."""
    ready(account)
    account.sink.script.extend([fakes.not_sent] * 9)
    account.deliver()

    assert [0.75, 1.5, 3.0, 6.0] == [wait.total_seconds() for wait in account.clock.slept]


def test_a_connection_that_comes_back_goes_on(account):
    """The rest of the night is as planned."""
    ready(account)
    account.sink.script.extend([fakes.not_sent] * 4)
    done = account.deliver()

    assert ({}, {"L-1": "submitted"}) == (stops(done), account.states)


def test_a_short_delay_of_the_platform_is_waited_for(account):
    """Up to five minutes."""
    ready(account)
    account.sink.script.append(fakes.refuse(OutcomeClass.RETRY, "QUOTA", retry_after=timedelta(minutes=5)))
    account.deliver()

    assert ([timedelta(minutes=5)], {"L-1": "submitted"}) == (account.clock.slept, account.states)


def test_a_long_delay_of_the_platform_outlives_the_run(account):
    """Its deliveries become due after it; planning does not shorten it."""
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
def test_a_row_that_is_too_recent_waits(account, named, expected):
    """As long as the platform says, else six hours; the others are done."""
    ready(account, 2)
    account.sink.script.append(fakes.answer(Outcome(OutcomeClass.DEFER, "TOO_RECENT", retry_after=named), DONE))
    account.deliver()

    assert {"L-1": "pending", "L-2": "accepted"} == account.states
    assert NIGHT + expected == account.rows()[0].deferred_until


def test_only_rows_that_should_be_retried_are(account):
    """The others have their answer."""
    ready(account, 2)
    account.sink.script.extend([fakes.answer(Outcome(OutcomeClass.RETRY, "BUSY"), DONE), fakes.answer(DONE)])
    account.deliver()

    assert [2, 1] == [len(call.events) for call in account.sink.calls]
    assert {"accepted"} == set(account.states.values())


def test_a_host_that_does_not_exist_stops_its_destination_at_once(account):
    """No wait makes its name right: one try, nothing lost, and the next run begins anew."""
    ready(account, 2)
    account.sink.script.append(lambda _sink, _batch: NotSent("the host name in X does not exist", is_unknown_host=True))
    before = account.clock.now()
    done = account.deliver()

    assert {GOOGLE: "the host name in X does not exist"} == stops(done)
    assert ({"pending"}, before) == (set(account.states.values()), account.clock.now())
    assert 1 == len(account.sink.calls)

    account.deliver()

    assert {"submitted"} == set(account.states.values())


# ── stopped ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [OutcomeClass.FIX_CONFIG, OutcomeClass.BUG])
def test_a_wrong_destination_stops_whole(account, kind):
    """Its deliveries stay pending; a human is told what it said."""
    two_actions(account)
    account.sink.script.append(fakes.refuse(kind, "NO_ACCESS", message="not yours"))
    done = account.deliver()

    assert ({GOOGLE: "NO_ACCESS: not yours"}, 1) == (stops(done), len(account.sink.calls))
    assert {"pending"} == {row.state for row in account.rows()}


@pytest.mark.parametrize("answered", [True, False])
def test_a_wrong_action_stops_alone(account, answered):
    """The destination's others go on, whichever way it is said."""
    two_actions(account)
    wrong = Outcome(OutcomeClass.FIX_CONFIG, "NO_SUCH_ACTION", of_target=True)
    step = fakes.answer(wrong) if answered else fakes.refuse(wrong.kind, wrong.code, of_target=True)
    account.sink.script.append(step)
    done = account.deliver()

    assert {f"{GOOGLE}/5": "NO_SUCH_ACTION"} == stops(done)
    assert ["5", "987654321"] == actions(account)
    assert ["pending", "submitted"] == [row.state for row in account.rows()]


def test_a_row_that_is_put_off_for_ever_holds_up_nothing(account):
    """The others of its request are taken, the other action goes out, and it waits until the next night."""
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


def test_a_row_alone_that_is_put_off_for_ever_stops_its_action_only(account):
    """There is nothing beside it to tell whether it is the row or the action."""
    two_actions(account)
    account.sink.asynchronous = False
    again = Outcome(OutcomeClass.RETRY, "TRANSIENT_ERROR")
    account.sink.verdict = lambda event: again if b'"action": "5"' in event.body else DONE
    done = account.deliver()

    assert ["google_ads/5"] == list(stops(done))
    assert ["accepted", "pending"] == sorted(row.state for row in account.rows())


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_stops_in_one_answer_the_wider_counts(account, order):
    """Terms nobody accepted concern every action, whatever is wrong with this one too."""
    ready(account, 2)
    account.sink.asynchronous = False
    narrow = Outcome(OutcomeClass.FIX_CONFIG, "WRONG_ACTION", of_target=True)
    wide = Outcome(OutcomeClass.FIX_CONFIG, "TERMS")
    account.sink.script.append(fakes.answer(*[narrow, wide][::order]))

    assert {"google_ads": "TERMS"} == stops(account.deliver())


def test_a_stopped_destination_stops_alone(account):
    """Another one still goes out."""
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
    [({Scope(GOOGLE)}, []), ({Scope(GOOGLE, action="5")}, ["987654321"]), ({Scope("other")}, ["5", "987654321"])],
)
def test_what_stopped_before_is_not_tried(account, stopped, expected):
    """Asking for outcomes may have found it already."""
    two_actions(account)
    account.deliver(stopped=stopped)

    assert expected == actions(account)


def test_a_stopped_destination_begins_the_next_run_with_one_request(account):
    """Mended meanwhile, everything goes out."""
    ready(account, 3, batch=1)
    account.sink.script.append(fakes.refuse(OutcomeClass.FIX_CONFIG))
    account.deliver()
    first = len(account.sink.calls)
    account.deliver()

    assert (1, {"submitted"}) == (first, set(account.states.values()))


# ── in doubt ─────────────────────────────────────────────────────────────────────────────────────


def lose(account, step=fakes.lost_before):
    """Have the answer lost in every attempt of this run."""
    account.sink.script.extend([step] * 5)
    account.deliver()


def test_a_lost_answer_is_asked_for_again_by_the_same_bytes(account):
    """Within the run, though the lead's data could have changed."""
    ready(account)
    account.sink.script.append(fakes.lost_after)
    account.deliver()

    assert bodies(account)[0] == bodies(account)[1]
    assert ({"L-1": "submitted"}, ["lost", "received"]) == (account.states, account.requests)


def test_a_replay_sends_the_same_bytes_whatever_the_lead_says_now(account):
    """Runs later, after an edit and under other rules."""
    ready(account)
    lose(account)
    account.clock.time += DAY
    account.put(changed(lead(), fields={"consent": "oui", "amount": Decimal(7)}))
    account.book = rulebook(route(fixed_value=Decimal(1)), rules_digest="r2")
    account.prepare()
    account.deliver()

    assert 1 == len({body for each in bodies(account) for body in each})
    assert {"L-1": "submitted"} == account.states


def test_what_is_in_doubt_goes_first(account):
    """Before anything new."""
    ready(account)
    lose(account)
    account.put(lead("L-0"))
    account.prepare()
    account.sink.calls.clear()
    account.deliver()

    assert [b"gclid-of-L-1" in each[0] for each in bodies(account)] == [True, False]


def test_a_crash_after_the_platform_took_it_counts_once(account):
    """The next run asks with the same bytes, and hears it is there."""
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


def test_three_replays_over_three_runs_and_nobody_will_know(account):
    """Then it is unconfirmed: never called a success, never sent again."""
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


def test_three_replays_are_over_three_nights_however_often_a_night_is_tried_again(account):
    """The first may come at once, for it is most likely to be answered; of the others one night has one."""
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


def test_a_clock_that_was_set_back_keeps_no_replay_from_going_out(account):
    """The one before seems to lie months ahead."""
    ready(account)
    account.clock.time += 20 * DAY
    for _ in range(2):
        lose(account)
    account.clock.time -= 15 * DAY
    account.deliver()

    assert {"L-1": "submitted"} == account.states


@pytest.mark.parametrize("whole", [False, True])
def test_replays_that_are_too_old_are_replays(account, whole):
    """They say nothing of the first time, and the fourth would say nothing either."""
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


def test_no_connection_is_no_replay(account):
    """Nights offline do not use up the questions."""
    ready(account)
    lose(account)
    for _ in range(6):
        account.sink.script.clear()
        account.sink.script.extend([fakes.not_sent] * 5)
        account.deliver()

    assert {"L-1": "in_doubt"} == account.states


def test_refusals_before_the_answer_was_lost_are_no_replays(account):
    """Nothing was in doubt then: three busy nights, and the fourth night's answer is lost."""
    ready(account)
    for _ in range(3):
        account.sink.script.extend([fakes.refuse(OutcomeClass.RETRY)] * 5)
        account.deliver()
    lose(account)
    account.deliver()

    assert {"L-1": "submitted"} == account.states


def test_consent_withdrawn_while_in_doubt_ends_the_asking(account):
    """The bytes hold a person's data: they are not sent again, and nobody will know."""
    ready(account)
    lose(account)
    sent = len(account.sink.calls)
    account.put(changed(lead(), fields={"consent": "non"}))
    account.prepare()
    account.deliver()

    assert ({"L-1": "unconfirmed"}, sent) == (account.states, len(account.sink.calls))
    assert [None] == [row.event for row in account.rows()]


@pytest.mark.parametrize("meanwhile", ["window closed", "not configured"])
def test_consent_withdrawn_ends_the_asking_whatever_else_holds(account, meanwhile):
    """Nor does it matter that the conversion would no longer be sent for another reason."""
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


def test_consent_that_is_only_missing_now_does_not_end_the_asking(account):
    """It was there when the event was sent, and was not taken back."""
    ready(account)
    lose(account)
    account.put(changed(lead(), fields={"consent": ""}))
    account.prepare()
    account.deliver()

    assert {"L-1": "submitted"} == account.states


@pytest.mark.parametrize("kind", [OutcomeClass.RETRY, OutcomeClass.FIX_CONFIG, OutcomeClass.BUG, OutcomeClass.DEFER])
def test_an_answer_that_is_no_verdict_leaves_the_doubt(account, kind):
    """The first sending may still have been taken: the bytes stay as they are."""
    ready(account)
    account.sink.script.append(fakes.lost_after)
    account.sink.script.extend([fakes.refuse(kind)] * 5)
    account.deliver()

    assert ({"L-1": "in_doubt"}, True) == (account.states, account.rows()[0].event is not None)


def test_rows_in_doubt_that_are_refused_with_others_stay_in_doubt(account):
    """Until the platform has spoken about themselves."""
    ready(account, 2)
    account.sink.script.extend([fakes.lost_before, fakes.refuse(OutcomeClass.FIX_DATA, rows=(0,)), fakes.crash_before])
    with pytest.raises(Crash):
        account.deliver()

    assert ["pending", "in_flight", "in_doubt", "in_flight", "in_doubt", "in_flight"] == [
        state for state, _ in account.causes("L-2")
    ]


def test_an_unknown_answer_is_doubt_not_success(account):
    """And a human is told."""
    ready(account)
    account.sink.script.append(fakes.refuse(OutcomeClass.UNKNOWN, "HTML"))
    done = account.deliver()

    assert ({"L-1": "in_doubt"}, {f"{GOOGLE}/{TARGET.action}": "HTML"}) == (account.states, stops(done))


@pytest.mark.parametrize(
    "receipt",
    [
        Received("t-9", ("OLD",)),
        Answered((DONE,), ("OLD",)),
        Refused(Outcome(OutcomeClass.FIX_CONFIG, "OFF"), warnings=("OLD",)),
    ],
)
def test_what_an_answer_warns_of_is_kept(account, receipt):
    """A refusal's too."""
    ready(account)
    account.sink.script.append(lambda _sink, _batch: receipt)

    assert {"OLD": 1} == account.deliver().warnings


def test_replays_keep_to_the_batch_limit(account):
    """Also where the platform takes fewer rows than it did."""
    ready(account, 5)
    account.sink.script.append(fakes.crash_after)
    with pytest.raises(Crash):
        account.deliver()
    account.prepare()
    account.sink.limits = replace(account.sink.limits, batch=2)
    account.sink.calls.clear()
    account.deliver()

    assert [2, 2, 1] == [len(call.events) for call in account.sink.calls]


def test_a_replay_goes_where_the_first_sending_went(account):
    """Under another action it would count twice."""
    ready(account)
    lose(account)
    account.book = rulebook(route(target=OTHER), rules_digest="r2")
    account.prepare()
    account.sink.calls.clear()
    account.deliver()

    assert [TARGET] == [call.target for call in account.sink.calls]


def test_an_action_that_stops_in_a_replay_is_left_alone(account):
    """One request is enough to hear it."""
    ready(account, 3, batch=1)
    lose(account)
    account.sink.calls.clear()
    account.sink.script.extend([fakes.refuse(OutcomeClass.FIX_CONFIG, of_target=True)] * 9)
    account.deliver()

    assert 1 == len(account.sink.calls)


def test_an_action_that_stopped_before_is_not_asked_again(account):
    """It waits for a human."""
    ready(account)
    lose(account)
    account.sink.calls.clear()
    account.deliver(stopped={Scope(GOOGLE, action=TARGET.action)})

    assert [] == account.sink.calls
