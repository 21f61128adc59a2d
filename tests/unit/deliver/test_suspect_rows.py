"""When every row is refused, no single row is to blame: the circuit breaker stops the action and nothing is lost."""

from collections import Counter
from dataclasses import replace

import pytest

from connectors.records import Outcome, OutcomeClass, Refused, RowOutcomes
from jobs.deliver.resolve import mark_interrupted_in_doubt
from tests import fakes
from tests.builders import lead, route, rulebook, stops

BAD = Outcome(OutcomeClass.FIX_DATA, "BAD")
WORSE = Outcome(OutcomeClass.DROP, "WORSE")


def ready(account, count):
    """Plan sales that are due at a platform that answers at once, and send none of them."""
    account.sink.limits = replace(account.sink.limits, batch=1000)
    account.sink.asynchronous = False
    account.book = rulebook(route(limits=account.sink.limits))
    account.put(*(lead(f"L-{number}") for number in range(count)))
    account.prepare()


def by_turns(event):
    """Return one verdict for every other lead, and another for the rest."""
    return WORSE if event.body.split(b"gclid-of-L-")[1].split(b'"')[0][-1:] in b"02468" else BAD


def refuse_by_turns(*, named):
    """Refuse a request with the verdict of its first row."""
    return lambda sink, batch: Refused(sink.verdict(batch[0]), (0,) if named else ())


def answer_by_turns(sink, batch):
    """Refuse requests that begin with a `BAD` row as a whole, and answer all others row by row."""
    first = sink.verdict(batch[0])
    return Refused(first, ()) if first is BAD else RowOutcomes(tuple(map(sink.verdict, batch)))


@pytest.mark.parametrize(
    ("count", "named"),
    [
        (150, False),
        (150, True),
        pytest.param(1_000, False, marks=pytest.mark.exhaustive),
        pytest.param(1_000, True, marks=pytest.mark.exhaustive),
    ],
)
def test_identical_refusals_stop_within_fifteen_requests(account, count, named):
    """The suspect rows are cleared, as the fault is not theirs, and the stop is reported."""
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
def test_refusals_for_two_reasons_stop_within_fifteen_requests(account, step):
    """While nothing passes no row is at fault, even if reasons differ, and both reasons are reported."""
    ready(account, 200)
    account.sink.verdict = by_turns
    account.sink.script.extend([step] * 2000)
    done = account.deliver()

    assert len(account.sink.calls) <= 15
    assert {"pending"} == set(account.states.values())
    assert ["BAD", "WORSE"] == [code for code in ("BAD", "WORSE") if code in stops(done)["google_ads/987654321"]]
    assert 0 == done.unexpected


@pytest.mark.parametrize("count", [1, 4])
def test_few_refused_rows_are_rejected_with_their_own_codes(account, count):
    """Each row keeps the code of its own outcome."""
    ready(account, count)
    account.sink.verdict = by_turns
    account.sink.script.append(answer_by_turns)
    done = account.deliver()

    assert count == done.unexpected
    assert ["WORSE", "BAD", "WORSE", "BAD"][:count] == [row.code for row in account.rows()]
    assert {"rejected"} == set(account.states.values())


def test_later_duplicate_of_a_cleared_suspect_row_is_rejected(account):
    """The platform refused it before, so what it has now came from someone else."""
    ready(account, 5)
    account.sink.script.append(fakes.answer(*[BAD] * 5))
    account.deliver()
    account.sink.script.append(fakes.answer(*[Outcome(OutcomeClass.DUPLICATE, "ALREADY_EXISTS")] * 5))
    account.deliver()

    assert {"rejected"} == set(account.states.values())


def test_bad_rows_after_accepted_ones_are_at_fault(account):
    """An accepted row clears the settings, however many rows are bad."""
    ready(account, 40)
    bad = [f'gclid-of-L-{number}"'.encode() for number in range(34, 40)]
    account.sink.verdict = lambda event: BAD if any(each in event.body for each in bad) else fakes.DONE
    account.sink.script.extend([fakes.refuse_bad(named=False)] * 100)

    assert {} == stops(account.deliver())
    assert {"rejected": 6, "accepted": 34} == Counter(account.states.values())


def test_everything_is_sent_the_night_after_the_cause_is_fixed(account):
    """Each conversion counts once."""
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
def test_five_rows_all_refused_in_one_answer_stop_the_action(account, others):
    """Foreign click ids on every row mean a wrong `customer_id`, not five wrong leads."""
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
def test_few_or_expected_rejections_do_not_stop_the_action(account, outcomes):
    """A rejection that is expected of many rows is no fault of the settings."""
    ready(account, len(outcomes))
    account.sink.script.append(fakes.answer(*outcomes))

    assert {} == stops(account.deliver())
    assert {"rejected"} == set(account.states.values())


def test_answer_without_any_outcome_stops_the_destination(account):
    """Five rows were received and none confirmed, so they are in doubt and nothing more is sent that night."""
    ready(account, 5)
    account.sink.verdict = lambda _event: Outcome(OutcomeClass.UNKNOWN, "EVENTS_RECEIVED_MISMATCH")
    done = account.deliver()

    assert {"in_doubt"} == set(account.states.values())
    assert ["google_ads"] == list(stops(done))


def test_crash_before_any_row_passes_rejects_nothing(account):
    """The suspect rows keep their state, and the next run isolates the bad one again."""
    ready(account, 8)
    account.sink.verdict = lambda event: BAD if b"gclid-of-L-0" in event.body else fakes.DONE
    account.sink.script.extend([fakes.refuse_bad(named=True), fakes.crash_before])
    with pytest.raises(fakes.Crash):
        account.deliver()
    in_between = set(account.states.values())
    with account.hold() as ledger, ledger.write_transaction() as session:
        mark_interrupted_in_doubt(session, ledger, now=account.clock.now())
    account.sink.script.extend([fakes.refuse_bad(named=False)] * 20)
    account.deliver()

    assert {"pending", "in_flight"} == in_between
    assert {"rejected": 1, "accepted": 7} == Counter(account.states.values())


def test_identical_expired_outcomes_stop_the_action(account):
    """A wrong clock must not expire anything."""
    ready(account, 12)
    old = Outcome(OutcomeClass.EXPIRED, "TOO_OLD")
    account.sink.verdict = lambda _event: old
    account.sink.script.extend([fakes.refuse_bad(named=False, kind=OutcomeClass.EXPIRED)] * 40)
    done = account.deliver()

    assert {"pending"} == set(account.states.values())
    assert list(stops(done)) == ["google_ads/987654321"]


def test_rows_in_doubt_stay_in_doubt_when_everything_is_refused(account):
    """Clearing a suspect must not turn a row that may have counted into a fresh one."""
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
def test_few_identical_refusals_reject_their_rows(account, count):
    """Four leads with broken click ids do not mean broken settings."""
    ready(account, count)
    account.sink.verdict = lambda _event: BAD
    account.sink.script.extend([fakes.refuse_bad(named=False)] * 20)

    assert {} == stops(account.deliver())
    assert {"rejected"} == set(account.states.values())


def test_answer_that_blames_every_row_stops_the_action(account):
    """The number of rows does not matter."""
    ready(account, 30)
    account.sink.script.append(fakes.refuse(OutcomeClass.FIX_DATA, "BAD", rows=tuple(range(30))))
    done = account.deliver()

    assert {"pending"} == set(account.states.values())
    assert ["google_ads/987654321"] == list(stops(done))
