"""Requests that never get an answer block nothing else, and a platform that never answers gets few requests."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.records import AnswerLost, Outcome, OutcomeClass, Refused, RowOutcomes
from tests import fakes, suite
from tests.builders import GOOGLE, TARGET, lead, route, rulebook, stops
from tests.fakes import NIGHT

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
TRIES = 5
IN_VAIN = TRIES + 2
"""Requests to a platform that never answers: all attempts of the first part, then two parts of one row each."""
FOREVER = 1_000
OTHER = replace(TARGET, action="5")


def ready(account, count, first=1, **limits):
    """Plan sales that are due, and send none of them."""
    account.sink.limits = replace(account.sink.limits, **limits)
    account.sink.asynchronous = False
    account.book = rulebook(route(limits=account.sink.limits))
    account.put(*(lead(f"L-{number:03}") for number in range(first, first + count)))
    account.prepare()


def never_answer(account, *poison):
    """Lose the answer to every request that carries one of these leads, or to every request if none is named."""
    marks = [f"gclid-of-{name}".encode() for name in poison]

    def step(sink, batch):
        is_hit = not marks or any(mark in event.body for mark in marks for event in batch)
        return AnswerLost("HTTP 500") if is_hit else fakes.take(sink, batch)

    account.sink.script.extend([step] * FOREVER)


def heal(account):
    """Answer every request again."""
    account.sink.script.clear()


def standing(account):
    """Return the number of deliveries in each state."""
    return dict(Counter(row.state for row in account.rows()))


def sizes(account):
    """Return the number of rows of every request, in order."""
    return [len(call.events) for call in account.sink.calls]


@pytest.mark.parametrize("place", suite.mostly_exhaustive([1, 2, 20, 39, 40], 39))
def test_single_unanswered_row_is_isolated_in_doubt(account, place):
    """Its batch is bisected; the other rows and the next batches are accepted, and nothing stops."""
    ready(account, 100, batch=40)
    never_answer(account, f"L-{place:03}")
    done = account.deliver()

    assert {"accepted": 99, "in_doubt": 1} == standing(account)
    assert "in_doubt" == account.states[f"L-{place:03}"]
    assert {} == stops(done)
    assert len(account.sink.calls) <= TRIES + 3 * 7 + 2


def test_two_unanswered_rows_are_isolated(account):
    """There is one in each half of the batch."""
    ready(account, 40)
    never_answer(account, "L-010", "L-030")
    account.deliver()

    assert {"accepted": 38, "in_doubt": 2} == standing(account)


def test_silent_platform_stops_after_few_requests(account):
    """The requests of a night are bounded, and only the first batch and two more rows end in doubt."""
    ready(account, 100, batch=40)
    never_answer(account)
    done = account.deliver()

    assert IN_VAIN == len(account.sink.calls)
    assert {GOOGLE: "HTTP 500, at every try"} == stops(done)
    assert {"in_doubt": 42, "pending": 58} == standing(account)


def test_silent_platform_gets_few_requests_every_night(account):
    """Only two more rows a night end in doubt, and everything is accepted once it answers again."""
    ready(account, 100, batch=40)
    never_answer(account)
    account.deliver()
    for night in (1, 2):
        account.clock.time = NIGHT + night * DAY
        account.sink.calls.clear()
        assert [GOOGLE] == list(stops(account.deliver()))
        assert IN_VAIN == len(account.sink.calls)

    assert {"in_doubt": 46, "pending": 54} == standing(account)

    heal(account)
    account.clock.time = NIGHT + 3 * DAY
    account.deliver()

    assert {"accepted": 100} == standing(account)


def test_lost_batch_is_replayed_whole(account):
    """A batch with one lost answer is replayed in a single request."""
    ready(account, 40)
    account.sink.script.append(fakes.crash_after)
    with pytest.raises(fakes.Crash):
        account.deliver()
    account.put(*(lead(f"L-{number:03}") for number in range(41, 61)))
    account.prepare()
    account.sink.calls.clear()
    account.deliver()

    assert [40, 20] == sizes(account)


def test_bisected_batch_stays_bisected(account):
    """The next night resumes where this one stopped, and replays the longest waiting part first."""
    ready(account, 40)
    never_answer(account)
    account.deliver()
    first = sizes(account)
    account.sink.calls.clear()
    heal(account)
    account.clock.time = NIGHT + DAY
    account.deliver()

    assert [40] * TRIES + [1, 1] == first
    assert [38, 1, 1] == sizes(account)
    assert {"accepted": 40} == standing(account)


def test_unanswered_rows_do_not_block_new_deliveries(account):
    """There are more of them than it takes to consider a platform silent, and new rows still go out."""
    poison = [f"L-{number:03}" for number in range(1, 7)]
    ready(account, 6, batch=1)
    never_answer(account, *poison)
    for night in range(3):
        account.clock.time = NIGHT + night * DAY
        account.deliver()
        ready(account, 3, first=10 * (night + 1), batch=1)
    account.clock.time = NIGHT + 3 * DAY
    account.deliver()
    states = account.states

    assert {"in_doubt", "unconfirmed", "pending"} >= {states.pop(name) for name in poison}
    assert (9, {"accepted"}) == (len(states), set(states.values()))


def test_parts_are_replayed_in_turn(account):
    """Those replayed last night come last tonight, so that unanswered parts never starve the others."""
    poison = [f"L-{number:03}" for number in range(1, 7)]
    ready(account, 12, batch=1)
    never_answer(account, *poison)
    for night in range(4):
        account.clock.time = NIGHT + night * DAY
        account.deliver()
    states = account.states

    assert {"accepted"} == {state for name, state in states.items() if name not in poison}


def test_unanswered_lead_is_isolated_in_each_action(account):
    """The other leads of both actions are accepted."""
    account.book = rulebook(route("appointment", target=OTHER), route())
    account.put(*(lead(f"L-{number}") for number in range(1, 5)))
    account.prepare()
    account.sink.asynchronous = False
    never_answer(account, "L-1")
    account.deliver()
    by_conversion = Counter((row.conversion, row.state) for row in account.rows())

    assert {
        ("appointment", "accepted"): 3,
        ("appointment", "in_doubt"): 1,
        ("sale", "accepted"): 3,
        ("sale", "in_doubt"): 1,
    } == by_conversion


def test_refusal_ends_a_silence(account):
    """A refusal is an answer, and the rest of the batch goes on."""
    ready(account, 8)
    account.sink.script.extend([fakes.lost_before] * TRIES)
    account.sink.script.append(fakes.refuse(OutcomeClass.FIX_DATA, "BAD", rows=(0,)))
    done = account.deliver()

    assert {} == stops(done)
    assert {"accepted": 7, "rejected": 1} == standing(account)


@pytest.mark.parametrize(("wait", "waits"), [(timedelta(minutes=5), True), (timedelta(minutes=5, seconds=1), False)])
def test_retry_after_of_a_lost_answer_is_respected(account, wait, waits):
    """A short delay is waited for; a longer one outlives the run, and no replay is sent before it ends."""
    ready(account, 2)
    account.sink.script.append(lambda _sink, _batch: AnswerLost("HTTP 503", wait))
    done = account.deliver()
    after = standing(account)
    account.clock.time = NIGHT + wait - timedelta(seconds=1)
    account.deliver()
    early = len(account.sink.calls)
    account.clock.time = NIGHT + wait
    account.deliver()

    assert waits == (stops(done) == {})
    assert ({"accepted": 2} if waits else {"in_doubt": 2}) == after
    assert (2 if waits else 1) == early
    assert ({"accepted": 2}, 2) == (standing(account), len(account.sink.calls))


def test_silent_platform_gets_few_requests_with_ask_when_lost(account):
    """At most one part of each action is sent, of one row after the first, and no more than three in all."""
    actions = [replace(TARGET, action=str(number)) for number in range(5)]
    book = rulebook(*(route(f"c{number}", target=action) for number, action in enumerate(actions)))
    account.book = replace(book, ask_when_lost=frozenset({GOOGLE}))
    account.put(*(lead(f"L-{number}") for number in range(1, 5)))
    account.prepare()
    never_answer(account)
    done = account.deliver()

    assert [4, 1, 1] == sizes(account)
    assert {} == stops(done)
    assert {"in_doubt": 6, "pending": 14} == standing(account)


def never_say(account, *poison):
    """Answer every request that carries one of these leads without an outcome for any row."""
    marks = [f"gclid-of-{name}".encode() for name in poison]

    def step(sink, batch):
        is_hit = any(mark in event.body for mark in marks for event in batch)
        mismatch = Outcome(OutcomeClass.UNKNOWN, "EVENTS_RECEIVED_MISMATCH")
        return RowOutcomes((mismatch,) * len(batch)) if is_hit else fakes.take(sink, batch)

    account.sink.script.extend([step] * FOREVER)


def refuse_by_a_new_code(account, *poison):
    """Refuse every request that carries one of these leads, with an unknown code."""
    marks = [f"gclid-of-{name}".encode() for name in poison]

    def step(sink, batch):
        is_hit = any(mark in event.body for mark in marks for event in batch)
        return Refused(Outcome(OutcomeClass.UNKNOWN, "NEW_CODE")) if is_hit else fakes.take(sink, batch)

    account.sink.script.extend([step] * FOREVER)


@pytest.mark.parametrize("stuck", [1, 6])
def test_replays_refused_with_an_unknown_code_block_nothing_new(account, stuck):
    """New deliveries go out each night, and rows refused alongside are found not to be at fault."""
    poison = [f"L-{number:03}" for number in range(1, stuck + 1)]
    ready(account, 8)
    refuse_by_a_new_code(account, *poison)
    stopped = [list(stops(account.deliver()))]
    for night in (1, 2, 3):
        account.clock.time = NIGHT + night * DAY
        ready(account, 3, first=10 * night)
        stopped.append(list(stops(account.deliver())))

        assert {"accepted"} == {state for name, state in account.states.items() if name > "L-009"}
    account.clock.time = NIGHT + 4 * DAY
    account.deliver()
    states = account.states

    assert [[f"{GOOGLE}/{TARGET.action}"], [], [], []] == stopped
    assert {"in_doubt", "unconfirmed"} >= {states.pop(name) for name in poison}
    assert {"accepted"} == set(states.values())
    assert {1} == set(account.sink.counted.values())


def test_platform_that_refuses_everything_with_an_unknown_code_stops(account):
    """Two requests of a later night show it: the first replay, and one row of the new deliveries."""
    ready(account, 8)
    refuse_by_a_new_code(account, "")
    account.deliver()
    ready(account, 8, first=11)
    account.sink.calls.clear()
    account.clock.time = NIGHT + DAY
    done = account.deliver()

    assert [8, 1] == sizes(account)
    assert {f"{GOOGLE}/{TARGET.action}": "NEW_CODE"} == stops(done)
    assert {"in_doubt": 9, "pending": 7} == standing(account)


def test_replays_refused_with_an_unknown_code_are_bounded(account):
    """There are no more of them than of unanswered ones, and they stop nothing by themselves."""
    ready(account, 30)
    refuse_by_a_new_code(account, "")
    account.deliver()
    account.sink.calls.clear()
    account.clock.time = NIGHT + DAY
    done = account.deliver()

    assert [30, 1, 1] == sizes(account)
    assert ({}, {"in_doubt": 30}) == (stops(done), standing(account))


def test_refused_replays_of_one_action_do_not_affect_others(account):
    """Deliveries due at another action go out, whether they were in doubt before or not."""
    account.book = rulebook(route("appointment", target=OTHER), route())
    account.sink.asynchronous = False
    account.put(*(lead(f"L-{number}") for number in range(1, 4)))
    account.prepare()

    def step(sink, batch):
        is_hit = account.sink.calls[-1].target == OTHER
        return Refused(Outcome(OutcomeClass.UNKNOWN, "NEW_CODE")) if is_hit else fakes.take(sink, batch)

    account.sink.script.extend([step] * FOREVER)
    account.deliver()
    account.put(*(lead(f"L-{number}") for number in range(4, 6)))
    account.prepare()
    account.clock.time = NIGHT + DAY
    done = account.deliver()
    by_conversion = Counter((row.conversion, row.state) for row in account.rows())

    assert {f"{GOOGLE}/5": "NEW_CODE"} == stops(done)
    assert {("appointment", "in_doubt"): 4, ("appointment", "pending"): 1, ("sale", "accepted"): 5} == by_conversion


def forgets(account, count, **limits):
    """Plan sales for a platform where each copy of an event may count."""
    account.sink.idempotent = False
    ready(account, count, replay_within=48 * HOUR, **limits)


def copies(account):
    """Return how often each event was sent."""
    return Counter(event.key for call in account.sink.calls for event in call.events)


@pytest.mark.parametrize(("within", "stuck"), [(48 * HOUR, 1), (None, 6)])
def test_rows_with_inconclusive_answers_block_nothing_new(account, within, stuck):
    """They are replayed night after night, and new deliveries go out each night."""
    poison = [f"L-{number:03}" for number in range(1, stuck + 1)]
    ready(account, stuck, replay_within=within)
    never_say(account, *poison)
    for night in range(3):
        account.clock.time = NIGHT + night * DAY
        if night:
            ready(account, 3, first=10 * night)
        stopped = stops(account.deliver())
        states = account.states

        assert {"in_doubt"} == {states.pop(name) for name in poison}
        assert {"accepted"} >= set(states.values())
        assert ([GOOGLE] if night == 0 else []) == list(stopped)


def test_row_with_an_inconclusive_answer_is_isolated(account):
    """Its batch is bisected like one that gets no answer."""
    forgets(account, 40)
    never_say(account, "L-017")
    done = account.deliver()

    assert {"accepted": 39, "in_doubt": 1} == standing(account)
    assert {} == stops(done)


def test_platform_with_only_inconclusive_answers_stops(account):
    """The answers to one batch and to two single rows are enough, however many rows are due."""
    ready(account, 60, batch=60)
    never_say(account, "")
    done = account.deliver()

    assert [60, 1, 1] == sizes(account)
    assert {GOOGLE: "EVENTS_RECEIVED_MISMATCH, at every try"} == stops(done)


def test_few_unknown_outcomes_do_not_stop_the_platform(account):
    """Where a key counts once they are in doubt, which proves nothing about the platform."""
    ready(account, 2)
    never_say(account, "")
    done = account.deliver()

    assert [2] == sizes(account)
    assert ({"in_doubt": 2}, {}) == (standing(account), stops(done))


def test_silent_platform_gets_few_copies_if_each_may_count(account):
    """An event is sent at most twice a night until its 48 hours end, even if each copy is accepted."""
    forgets(account, 40)
    account.sink.script.extend([fakes.lost_after] * FOREVER)
    for night in range(4):
        before = copies(account)
        requests = len(account.sink.calls)
        account.clock.time = NIGHT + night * DAY
        account.deliver()

        assert max((copies(account) - before).values(), default=0) <= 2
        assert len(account.sink.calls) - requests <= 3

    assert max(copies(account).values()) <= 2 * 3
    assert account.sink.counted == copies(account)


@pytest.mark.parametrize("place", suite.mostly_exhaustive([1, 50, 100], 50))
def test_row_is_isolated_with_few_copies_if_each_may_count(account, place):
    """No event is sent more than ⌈log₂ n⌉ + 2 times, and most are sent two or three times."""
    forgets(account, 100)
    never_answer(account, f"L-{place:03}")
    account.deliver()
    often = sorted(copies(account).values())

    assert {"accepted": 99, "in_doubt": 1} == standing(account)
    assert often[-1] <= 7 + 2
    assert often[50] <= 3


def test_replays_are_delayed_if_each_copy_may_count(account):
    """The delay doubles from one second, so that a brief cut is no silence, unless the platform names one."""
    forgets(account, 10)
    account.sink.script.extend([fakes.lost_before, lambda _sink, _batch: AnswerLost("HTTP 503", timedelta(minutes=1))])
    done = account.deliver()

    assert [0.75, 60] == [wait.total_seconds() for wait in account.clock.slept]
    assert ({"accepted": 9, "in_doubt": 1}, {}) == (standing(account), stops(done))


@pytest.mark.parametrize(
    "poison", suite.mostly_exhaustive([(1, 2, 3), (1, 51, 52), (98, 99, 100), (1, 2, 3, 4, 5, 6)], (1, 51, 52))
)
def test_adjacent_unanswered_rows_stop_nothing(account, poison):
    """The next batch goes out the same night, and all other rows are accepted within two nights."""
    ready(account, 150, batch=100)
    never_answer(account, *(f"L-{number:03}" for number in poison))
    stopped = [stops(account.deliver())]
    next_batch = {state for name, state in account.states.items() if name > "L-100"}
    account.clock.time = NIGHT + DAY
    stopped.append(stops(account.deliver()))

    assert {"accepted"} == next_batch
    assert [{}, {}] == stopped
    assert {"accepted": 150 - len(poison), "in_doubt": len(poison)} == standing(account)


def test_platform_is_not_stopped_by_deliveries_already_in_doubt(account):
    """Nothing is waiting behind them, and they are already reported as in doubt."""
    ready(account, 30)
    never_answer(account, "L-001", "L-002", "L-003")
    account.deliver()
    for night in (1, 2, 3):
        account.clock.time = NIGHT + night * DAY

        assert {} == stops(account.deliver())
        assert {"accepted": 27, "in_doubt": 3} == standing(account)


def test_local_refusal_is_not_an_answer(account):
    """It proves nothing about a platform that was never called."""
    ready(account, 12)

    def step(_sink, batch):
        local = Refused(Outcome(OutcomeClass.FIX_DATA, "LOCAL"), (0,), unasked=True)
        return local if any(b"gclid-of-L-007" in event.body for event in batch[:1]) else AnswerLost("HTTP 500")

    account.sink.script.extend([step] * FOREVER)
    done = account.deliver()

    assert [12] * TRIES + [1, 1, 1] == sizes(account)
    assert {GOOGLE: "HTTP 500, at every try"} == stops(done)


SIX_NIGHTS, A_NIGHT = 6, 50
OUTAGES = {(1, 9), (2, 0), (4, 12)}
"""Before which call of which night a platform falls silent for three calls."""


def fall_silent(account, *calls):
    """Lose the answers to three calls in a row, from each of these on, and answer all others."""
    lost = {first + more for first in calls for more in range(3)}
    account.sink.script.clear()
    account.sink.script.extend(fakes.lost_before if number in lost else fakes.take for number in range(FOREVER))


def may_be_tried(row, now):
    """Whether a row is in doubt and its time has not ended."""
    return row.state == "in_doubt" and now - row.in_doubt_since <= 48 * HOUR


def test_every_row_in_doubt_is_tried_on_each_night_until_its_time_ends(account):
    """Some three hundred are sent over six nights, and short outages cost a few percent of the calls."""
    untried = {}
    calls = 0
    for night in range(SIX_NIGHTS):
        account.clock.time = NIGHT + night * (DAY + timedelta(minutes=1))
        forgets(account, A_NIGHT, first=1 + night * A_NIGHT, batch=3)
        in_doubt = {row.key for row in account.rows() if may_be_tried(row, account.clock.now())}
        account.sink.calls.clear()
        fall_silent(account, *(call for at, call in OUTAGES if at == night))
        account.deliver()
        untried[night] = in_doubt - set(copies(account))
        calls += len(account.sink.calls)

    assert set() == set().union(*untried.values())
    assert 3 * len(OUTAGES) < calls / 10
    assert {"accepted", "unconfirmed"} == set(standing(account))
    assert standing(account)["unconfirmed"] <= 5  # those of the second night, as the third began with an outage


def test_row_in_doubt_is_tried_twice_in_its_last_night(account):
    """A single lost answer does not use up the one night that is left to it."""
    forgets(account, 1)
    fall_silent(account, 0)
    account.deliver()
    account.clock.time = NIGHT + DAY
    account.sink.script.clear()
    account.sink.script.append(fakes.lost_before)
    account.deliver()

    assert {"accepted": 1} == standing(account)


@pytest.mark.parametrize("silences", [1, 2])
def test_no_row_in_doubt_waits_behind_what_got_no_answer(account, silences):
    """Rows that got no answer from two actions are tried before anything new, and the new is sent."""
    routes = (route("appointment", target=OTHER), route())
    account.sink.asynchronous = False
    account.sink.limits = replace(account.sink.limits, replay_within=48 * HOUR)
    account.book = rulebook(*(replace(each, limits=account.sink.limits) for each in routes))
    account.put(*(lead(f"L-{number}") for number in range(1, 9)))
    account.prepare()
    fall_silent(account, 0)
    account.deliver()
    in_doubt = {row.key for row in account.rows() if row.state == "in_doubt"}
    account.clock.time = NIGHT + DAY
    account.sink.calls.clear()
    account.sink.script.clear()
    account.sink.script.extend([fakes.lost_before] * silences)
    account.deliver()

    tried = {event.key for call in account.sink.calls[:2] for event in call.events}
    assert in_doubt <= tried
    assert {"accepted": 16} == standing(account)
