"""Requests that never get an answer: they hold up nothing else, and a platform that never answers is left alone."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.records import Lost, Outcome, OutcomeClass
from tests import fakes
from tests.builders import GOOGLE, TARGET, lead, route, rulebook
from tests.fakes import DONE, NIGHT

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
TRIES = 5
IN_VAIN = TRIES + 2
"""Requests to a platform that answers none: all tries of the first part, and one row each of two others."""
FOREVER = 1_000
OTHER = replace(TARGET, action="5")


def ready(account, count, first=1, **limits):
    """Sales that are due, planned and not sent."""
    account.sink.limits = replace(account.sink.limits, **limits)
    account.sink.asynchronous = False
    account.book = rulebook(route(limits=account.sink.limits))
    account.put(*(lead(f"L-{number:03}") for number in range(first, first + count)))
    account.prepare()


def never_answer(account, *poison):
    """Lose the answer to every request that carries one of these leads; to every one at all where none is named."""
    marks = [f"gclid-of-{name}".encode() for name in poison]

    def step(sink, batch):
        is_hit = not marks or any(mark in event.body for mark in marks for event in batch)
        return Lost("HTTP 500") if is_hit else fakes.take(sink, batch)

    account.sink.script.extend([step] * FOREVER)


def heal(account):
    """Have every request answered again."""
    account.sink.script.clear()


def standing(account):
    """How many deliveries stand where."""
    return dict(Counter(row.fate for row in account.rows()))


def sizes(account):
    """The number of rows of every request, in order."""
    return [len(call.events) for call in account.sink.calls]


@pytest.mark.parametrize("place", [1, 2, 50, 99, 100])
def test_one_row_that_never_gets_an_answer_is_all_that_stays_in_doubt(account, place):
    """Its batch is taken apart: the others are accepted, the next batches too, and nothing is called stopped."""
    ready(account, 250, batch=100)
    never_answer(account, f"L-{place:03}")
    done = account.deliver()

    assert {"accepted": 249, "in_doubt": 1} == standing(account)
    assert "in_doubt" == account.fates[f"L-{place:03}"]
    assert {} == done.stopped
    assert len(account.sink.calls) <= TRIES + 3 * 7 + 2


def test_two_rows_that_never_get_an_answer(account):
    """Both halves of their batch have one."""
    ready(account, 100)
    never_answer(account, "L-020", "L-080")
    account.deliver()

    assert {"accepted": 98, "in_doubt": 2} == standing(account)


def test_a_platform_that_never_answers_is_left_alone(account):
    """A bounded number of requests a night, and no more in doubt than the first of them and a row or two."""
    ready(account, 250, batch=100)
    never_answer(account)
    done = account.deliver()

    assert IN_VAIN == len(account.sink.calls)
    assert {GOOGLE: "HTTP 500, at every try"} == done.stopped
    assert {"in_doubt": 100, "pending": 150} == standing(account)


def test_a_platform_that_never_answers_is_left_alone_night_after_night(account):
    """What was never sent stays so but for a row or two, and everything is taken once it answers again."""
    ready(account, 250, batch=100)
    never_answer(account)
    account.deliver()
    for night in (1, 2):
        account.clock.time = NIGHT + night * DAY
        account.sink.calls.clear()
        assert [GOOGLE] == list(account.deliver().stopped)
        assert IN_VAIN == len(account.sink.calls)

    assert {"in_doubt": 102, "pending": 148} == standing(account)

    heal(account)
    account.clock.time = NIGHT + 3 * DAY
    account.deliver()

    assert {"accepted": 250} == standing(account)


def test_what_was_sent_together_goes_together_again(account):
    """A batch whose answer was lost once is replayed whole, in one request."""
    ready(account, 40)
    account.sink.script.append(fakes.crash_after)
    with pytest.raises(fakes.Crash):
        account.deliver()
    account.put(*(lead(f"L-{number:03}") for number in range(41, 61)))
    account.prepare()
    account.sink.calls.clear()
    account.deliver()

    assert [40, 20] == sizes(account)


def test_what_was_taken_apart_stays_apart(account):
    """The next night goes on where this one stopped, and asks for the longest waiting part first."""
    ready(account, 100)
    never_answer(account)
    account.deliver()
    first = sizes(account)
    account.sink.calls.clear()
    heal(account)
    account.clock.time = NIGHT + DAY
    account.deliver()

    assert [100] * TRIES + [1, 1] == first
    assert [98, 1, 1] == sizes(account)
    assert {"accepted": 100} == standing(account)


def test_rows_that_never_get_an_answer_hold_up_nothing_new(account):
    """More of them than are needed to take a platform for silent: everything else goes out all the same."""
    poison = [f"L-{number:03}" for number in range(1, 7)]
    ready(account, 6, batch=1)
    never_answer(account, *poison)
    for night in range(3):
        account.clock.time = NIGHT + night * DAY
        account.deliver()
        ready(account, 3, first=10 * (night + 1), batch=1)
    account.clock.time = NIGHT + 3 * DAY
    account.deliver()
    fates = account.fates

    assert {"in_doubt", "unconfirmed", "pending"} >= {fates.pop(name) for name in poison}
    assert (9, {"accepted"}) == (len(fates), set(fates.values()))


def test_every_part_has_its_turn(account):
    """Those that were asked for last night come last tonight, so that silent ones never hide the others."""
    poison = [f"L-{number:03}" for number in range(1, 7)]
    ready(account, 12, batch=1)
    never_answer(account, *poison)
    for night in range(4):
        account.clock.time = NIGHT + night * DAY
        account.deliver()
    fates = account.fates

    assert {"accepted"} == {fate for name, fate in fates.items() if name not in poison}


def test_a_lead_that_never_gets_an_answer_is_alone_in_doubt_at_each_action(account):
    """The other leads of either action are accepted."""
    account.book = rulebook(route("appointment", target=OTHER), route())
    account.put(*(lead(f"L-{number}") for number in range(1, 5)))
    account.prepare()
    account.sink.asynchronous = False
    never_answer(account, "L-1")
    account.deliver()
    by_conversion = Counter((row.conversion, row.fate) for row in account.rows())

    assert {
        ("appointment", "accepted"): 3,
        ("appointment", "in_doubt"): 1,
        ("sale", "accepted"): 3,
        ("sale", "in_doubt"): 1,
    } == by_conversion


def test_a_silent_platform_that_refuses_something_answers(account):
    """A refusal is an answer: it is no silence, and the rest of the batch goes on."""
    ready(account, 8)
    account.sink.script.extend([fakes.lost_before] * TRIES)
    account.sink.script.append(fakes.refuse(OutcomeClass.FIX_DATA, "BAD", rows=(0,)))
    done = account.deliver()

    assert {} == done.stopped
    assert {"accepted": 7, "rejected": 1} == standing(account)


@pytest.mark.parametrize(("wait", "waits"), [(timedelta(minutes=5), True), (timedelta(minutes=5, seconds=1), False)])
def test_a_lost_answers_own_delay_is_kept_to(account, wait, waits):
    """A short one is waited for; a longer one outlives the run, and nothing in doubt goes out before it is over."""
    ready(account, 2)
    account.sink.script.append(lambda _sink, _batch: Lost("HTTP 503", wait))
    done = account.deliver()
    after = standing(account)
    account.clock.time = NIGHT + wait - timedelta(seconds=1)
    account.deliver()
    early = len(account.sink.calls)
    account.clock.time = NIGHT + wait
    account.deliver()

    assert waits == (done.stopped == {})
    assert ({"accepted": 2} if waits else {"in_doubt": 2}) == after
    assert (2 if waits else 1) == early
    assert ({"accepted": 2}, 2) == (standing(account), len(account.sink.calls))


def test_where_a_human_is_asked_a_silent_platform_is_left_alone_too(account):
    """One part of each action at most, by one row after the first, and no more than three of them."""
    actions = [replace(TARGET, action=str(number)) for number in range(5)]
    book = rulebook(*(route(f"c{number}", target=action) for number, action in enumerate(actions)))
    account.book = replace(book, ask_when_lost=frozenset({GOOGLE}))
    account.put(*(lead(f"L-{number}") for number in range(1, 5)))
    account.prepare()
    never_answer(account)
    done = account.deliver()

    assert [4, 1, 1] == sizes(account)
    assert {} == done.stopped
    assert {"in_doubt": 6, "pending": 14} == standing(account)


def test_an_unknown_outcome_is_no_silence(account):
    """It is read, and means what it did: it stops the action."""
    ready(account, 2)
    account.sink.script.append(fakes.answer(*[Outcome(OutcomeClass.UNKNOWN, "NEW")] * 2))
    account.sink.verdict = lambda _event: DONE
    account.deliver()

    assert 1 == len(account.sink.calls)
