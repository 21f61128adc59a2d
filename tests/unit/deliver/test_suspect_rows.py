"""When everything is refused it is no matter of single rows: a human is told, and nothing is lost."""

from collections import Counter
from dataclasses import replace

import pytest

from connectors.records import Answered, Outcome, OutcomeClass, Refused
from jobs.deliver.resolve import recover
from tests import fakes
from tests.builders import lead, route, rulebook, stops

BAD = Outcome(OutcomeClass.FIX_DATA, "BAD")
WORSE = Outcome(OutcomeClass.DROP, "WORSE")


def ready(account, count):
    """Sales that are due, planned and not sent, on a platform that answers at once."""
    account.sink.limits = replace(account.sink.limits, batch=1000)
    account.sink.asynchronous = False
    account.book = rulebook(route(limits=account.sink.limits))
    account.put(*(lead(f"L-{number}") for number in range(count)))
    account.prepare()


def by_turns(event):
    """One verdict for every other lead, another one for the rest."""
    return WORSE if event.body.split(b"gclid-of-L-")[1].split(b'"')[0][-1:] in b"02468" else BAD


def refuse_by_turns(*, named):
    """Refuse a request for its first row, whatever is wrong with that."""
    return lambda sink, batch: Refused(sink.verdict(batch[0]), (0,) if named else ())


def answer_by_turns(sink, batch):
    """Refuse requests whole, but for those that begin with a lead of the second kind: they are answered by row."""
    first = sink.verdict(batch[0])
    return Refused(first, ()) if first is BAD else Answered(tuple(map(sink.verdict, batch)))


@pytest.mark.parametrize(
    ("count", "named"),
    [
        (150, False),
        (150, True),
        pytest.param(1_000, False, marks=pytest.mark.exhaustive),
        pytest.param(1_000, True, marks=pytest.mark.exhaustive),
    ],
)
def test_many_bad_alike_stop_within_fifteen_requests(account, count, named):
    """Blamed rows are taken back: what is wrong is not theirs. A human is told."""
    ready(account, count)
    account.sink.verdict = lambda _event: BAD
    account.sink.script.extend([fakes.refuse_bad(named=named)] * 100)
    done = account.deliver()

    assert len(account.sink.calls) <= 15
    assert {"pending"} == set(account.states.values())
    assert "nothing passes" in stops(done)["google_ads/987654321"]
    assert (0, 0) == (
        done.unexpected,
        sum(count for (_, _, state, _), count in done.moved.items() if state == "rejected"),
    )


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(refuse_by_turns(named=True), id="each answer names one", marks=pytest.mark.exhaustive),
        pytest.param(refuse_by_turns(named=False), id="none named", marks=pytest.mark.exhaustive),
        pytest.param(answer_by_turns, id="some by row"),
    ],
)
def test_hundreds_bad_for_two_reasons_stop_within_fifteen_requests(account, step):
    """That they are two tells nothing: while nothing passes nobody is at fault, and both reasons are told."""
    ready(account, 200)
    account.sink.verdict = by_turns
    account.sink.script.extend([step] * 2000)
    done = account.deliver()

    assert len(account.sink.calls) <= 15
    assert {"pending"} == set(account.states.values())
    assert ["BAD", "WORSE"] == [code for code in ("BAD", "WORSE") if code in stops(done)["google_ads/987654321"]]
    assert 0 == done.unexpected


@pytest.mark.parametrize("count", [1, 4])
def test_few_rows_of_one_answer_are_rejected_with_their_own_codes(account, count):
    """Each keeps what was said of it."""
    ready(account, count)
    account.sink.verdict = by_turns
    account.sink.script.append(answer_by_turns)
    done = account.deliver()

    assert count == done.unexpected
    assert ["WORSE", "BAD", "WORSE", "BAD"][:count] == [row.code for row in account.rows()]
    assert {"rejected"} == set(account.states.values())


def test_a_row_that_was_answered_bad_while_nothing_passed_is_not_ours_when_it_is_there_later(account):
    """The platform did not take it then: a duplicate of it is somebody else's."""
    ready(account, 5)
    account.sink.script.append(fakes.answer(*[BAD] * 5))
    account.deliver()
    account.sink.script.append(fakes.answer(*[Outcome(OutcomeClass.DUPLICATE, "ALREADY_EXISTS")] * 5))
    account.deliver()

    assert {"rejected"} == set(account.states.values())


def test_bad_rows_after_good_ones_of_their_batch_are_at_fault(account):
    """Something had passed: the settings are not to blame, however many are bad."""
    ready(account, 40)
    bad = [f'gclid-of-L-{number}"'.encode() for number in range(34, 40)]
    account.sink.verdict = lambda event: BAD if any(each in event.body for each in bad) else fakes.DONE
    account.sink.script.extend([fakes.refuse_bad(named=False)] * 100)

    assert {} == stops(account.deliver())
    assert {"rejected": 6, "accepted": 34} == Counter(account.states.values())


def test_the_night_after_everything_was_refused_goes_on_as_usual(account):
    """Once the cause is mended all of it goes out, each once."""
    ready(account, 40)
    account.sink.verdict = lambda _event: BAD
    account.sink.script.extend([fakes.refuse_bad(named=False)] * 100)
    account.deliver()
    account.sink.verdict = lambda _event: fakes.DONE
    account.sink.script.clear()
    account.deliver()

    assert {"accepted"} == set(account.states.values())
    assert {1} == set(account.sink.counted.values())


@pytest.mark.parametrize(
    "others",
    [
        [Outcome(OutcomeClass.DROP, "INVALID_CUSTOMER_FOR_CLICK")],
        [Outcome(OutcomeClass.DROP, "EVENT_NOT_FOUND")],
        [Outcome(OutcomeClass.FIX_DATA, "UNPARSEABLE_GCLID")],
        [Outcome(OutcomeClass.DROP, "X"), Outcome(OutcomeClass.DEFER, "TOO_RECENT")],
    ],
)
def test_five_rows_of_one_answer_all_refused_stop_the_action(account, others):
    """A click of another account on every row is a wrong `customer_id`, not five wrong leads."""
    ready(account, 4 + len(others))
    account.sink.script.append(fakes.answer(*[Outcome(OutcomeClass.DROP, "INVALID_CUSTOMER_FOR_CLICK")] * 4, *others))
    done = account.deliver()

    assert {"pending"} == set(account.states.values())
    assert ["google_ads/987654321"] == list(stops(done))


@pytest.mark.parametrize(
    "outcomes",
    [
        [Outcome(OutcomeClass.DROP, "X")] * 4,
        [Outcome(OutcomeClass.DROP, "X")] * 4 + [Outcome(OutcomeClass.DROP_EXPECTED, "Y")],
        [Outcome(OutcomeClass.DROP_EXPECTED, "X")] * 5,
        [Outcome(OutcomeClass.DUPLICATE, "X")] * 5,
    ],
)
def test_few_rows_or_expected_ones_are_the_rows_own_fault(account, outcomes):
    """And what is expected of many rows is no fault at all."""
    ready(account, len(outcomes))
    account.sink.script.append(fakes.answer(*outcomes))

    assert {} == stops(account.deliver())
    assert {"rejected"} == set(account.states.values())


def test_an_answer_that_speaks_for_no_row_stops_the_destination(account):
    """Five rows received, none confirmed: in doubt, nothing more is sent tonight, a human is told."""
    ready(account, 5)
    account.sink.verdict = lambda _event: Outcome(OutcomeClass.UNKNOWN, "EVENTS_RECEIVED_MISMATCH")
    done = account.deliver()

    assert {"in_doubt"} == set(account.states.values())
    assert ["google_ads"] == list(stops(done))


def test_a_run_that_dies_while_nothing_has_passed_has_rejected_nothing(account):
    """The blamed rows are as they were, and the next run finds the bad one again."""
    ready(account, 8)
    account.sink.verdict = lambda event: BAD if b"gclid-of-L-0" in event.body else fakes.DONE
    account.sink.script.extend([fakes.refuse_bad(named=True), fakes.crash_before])
    with pytest.raises(fakes.Crash):
        account.deliver()
    in_between = set(account.states.values())
    with account.hold() as ledger:
        recover(account.run(ledger))
    account.sink.script.extend([fakes.refuse_bad(named=False)] * 20)
    account.deliver()

    assert {"pending", "in_flight"} == in_between
    assert {"rejected": 1, "accepted": 7} == Counter(account.states.values())


def test_too_old_alike_is_given_up_too(account):
    """A clock that is wrong expires nothing."""
    ready(account, 12)
    old = Outcome(OutcomeClass.EXPIRED, "TOO_OLD")
    account.sink.verdict = lambda _event: old
    account.sink.script.extend([fakes.refuse_bad(named=False, kind=OutcomeClass.EXPIRED)] * 40)
    done = account.deliver()

    assert {"pending"} == set(account.states.values())
    assert list(stops(done)) == ["google_ads/987654321"]


def test_rows_in_doubt_that_everything_is_refused_with_stay_in_doubt(account):
    """Blame taken back must not make a fresh row of one that may have been counted."""
    ready(account, 12)
    account.sink.script.extend([fakes.lost_after] + [fakes.lost_before] * 6)
    account.deliver()
    since = {row.in_doubt_since for row in account.rows()}
    account.sink.verdict = lambda _event: BAD
    account.sink.script.extend([fakes.refuse_bad(named=False)] * 40)
    account.deliver()

    assert {"in_doubt"} == set(account.states.values())
    assert since == {row.in_doubt_since for row in account.rows()}


@pytest.mark.parametrize("count", [1, 4])
def test_few_refused_alike_are_at_fault_themselves(account, count):
    """Four leads with broken click ids are no broken settings."""
    ready(account, count)
    account.sink.verdict = lambda _event: BAD
    account.sink.script.extend([fakes.refuse_bad(named=False)] * 20)

    assert {} == stops(account.deliver())
    assert {"rejected"} == set(account.states.values())


def test_an_answer_that_blames_every_row_stops_the_action(account):
    """Whatever their number."""
    ready(account, 30)
    account.sink.script.append(fakes.refuse(OutcomeClass.FIX_DATA, "BAD", rows=tuple(range(30))))
    done = account.deliver()

    assert {"pending"} == set(account.states.values())
    assert ["google_ads/987654321"] == list(stops(done))
