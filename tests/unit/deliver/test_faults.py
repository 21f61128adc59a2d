"""A failure that nobody foresaw ends one platform's part of a night, and nothing else's."""

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.errors import NothingSent
from jobs.cli.output import start_logging
from jobs.deliver import resolve
from jobs.deliver.transactions import ReceiptRecorder
from jobs.faults import ContainedFault
from jobs.ledger.runs import LeaseLostError
from jobs.ledger.schema import Request
from jobs.ledger.storage.state_file import LedgerError
from jobs.rules.reasons import StopKind
from tests import fakes
from tests.builders import GOOGLE, lead, route, rulebook
from tests.fakes import LIMITS, FakeSink

DAY = timedelta(days=1)


def fails(_sink, _batch):
    """Fail as no sink promised."""
    raise KeyError("a value that must not be shown")


def fails_first(_sink, _batch):
    """Fail before anything was sent."""
    raise NothingSent from KeyError("a value that must not be shown")


def kinds(summary):
    """Why each scope stopped."""
    return {str(scope): stop.kind for scope, stop in summary.stopped_scopes.items()}


@pytest.fixture
def two(account):
    """An account with two destinations, of which the first fails."""
    account.sinks["second"] = FakeSink()
    account.book = rulebook(route(), route(destination="second"))
    account.put(lead("L-1"))
    return account


def states(account):
    """The state of each delivery, by destination."""
    return {row.destination: row.state for row in account.rows()}


@pytest.mark.parametrize(
    ("fault", "left", "request_is"), [(fails, "in_doubt", "faulty"), (fails_first, "pending", "not_sent")]
)
def test_an_unforeseen_exception_in_an_upload_stops_its_destination_alone(two, fault, left, request_is):
    """Its rows are in doubt, or wait if nothing was sent; the other destination has its turn, and the end is 70."""
    two.sink.script.append(fault)
    summary = two.night()

    assert {GOOGLE: left, "second": "submitted"} == states(two)
    assert ({GOOGLE: StopKind.FAULT}, 70) == (kinds(summary), summary.exit_code)
    assert [request_is, "received"] == [row.state for row in two.rows(Request)]

    two.clock.time += DAY
    summary = two.night()

    assert ({GOOGLE: "submitted", "second": "accepted"}, 0) == (states(two), summary.exit_code)
    assert {1} == set(two.sink.counted.values())


def test_replays_that_failed_here_use_none_up(account):
    """After five faulty nights, the platform that answers again is still sent the same bytes."""
    account.put(lead())
    account.sink.script.extend([fails] * 5)
    for _night in range(5):
        account.night()
        account.clock.time += DAY

    assert ["in_doubt"] == list(account.states.values())
    account.night()

    assert ["submitted"] == list(account.states.values())
    assert 1 == len({call.events[0].body for call in account.sink.calls})


def test_replays_after_a_fault_keep_their_distance(account):
    """Each may count twice: of a night's further runs, an hour apart, only the first replays."""
    account.sink.limits = replace(LIMITS, replay_within=timedelta(hours=48))
    account.put(lead())
    account.sink.script.extend([fails] * 9)
    for _run in range(9):
        account.night()
        account.clock.time += timedelta(hours=1)

    assert 2 == len(account.sink.calls)


def test_an_event_that_cannot_be_encoded_leaves_its_rows_waiting(two, monkeypatch):
    """Nothing was about to be sent yet."""
    monkeypatch.setattr(two.sink, "encode", lambda _event: {}["missing"])
    summary = two.night()

    assert ({GOOGLE: "pending", "second": "submitted"}, 70) == (states(two), summary.exit_code)


def test_an_unforeseen_exception_while_waiting_for_a_quota_stops_its_destination_alone(two, monkeypatch):
    """No request is on record, since none was about to be made."""
    monkeypatch.setattr(two.sink, "wait_for_quota", lambda _target: {}["missing"], raising=False)
    summary = two.night()

    assert {GOOGLE: "pending", "second": "submitted"} == states(two)
    assert ({GOOGLE: StopKind.FAULT}, 70) == (kinds(summary), summary.exit_code)
    assert ["received"] == [row.state for row in two.rows(Request)]


def test_an_unforeseen_exception_in_a_status_request_stops_only_the_asking(two):
    """The request stays received and is named; the others' outcomes are known, and what is due goes out."""
    two.night()
    two.clock.time += DAY
    two.put(lead("L-2"))
    two.sink.tickets["request-1"].answers.extend([KeyError("x")] * 2)
    summary = two.night()

    assert [(GOOGLE, "submitted"), ("second", "accepted"), (GOOGLE, "submitted"), ("second", "submitted")] == [
        (row.destination, row.state) for row in two.rows()
    ]
    assert ({}, 70) == (kinds(summary), summary.exit_code)
    assert ["KeyError"] == [known["answer"] for known in summary.missing_statuses.values()]


def test_an_outcome_that_cannot_be_settled_ends_nothing_else(two):
    """An answer for too many rows, for one: it is asked for again the next night."""
    two.night()
    two.clock.time += DAY
    two.sink.tickets["request-1"].answers.append(fakes.RowOutcomes((fakes.DONE, fakes.DONE)))
    summary = two.night()

    assert ({GOOGLE: "accepted", "second": "accepted"}, 70) == (states(two), summary.exit_code)


def fails_after(monkeypatch, of, name):
    """Have a transaction's step do its work, then fail."""
    step = getattr(of, name)

    def works_and_fails(*values):
        step(*values)
        raise KeyError("x")

    monkeypatch.setattr(of, name, works_and_fails)


def test_what_is_rolled_back_is_not_counted(account, monkeypatch):
    """The summary says of a request that failed here what the ledger says: neither sent nor accepted."""
    account.put(lead("L-1"), lead("L-2"))
    with monkeypatch.context() as broken:
        fails_after(broken, ReceiptRecorder, "_record_received_request")
        summary = account.night()

    assert {"in_doubt": 2} == Counter(row.state for row in account.rows())
    assert (0, {"in_doubt": 2}) == (summary.delivered.sent, counted(summary.delivered))

    account.clock.time += DAY
    account.night()
    account.clock.time += DAY
    fails_after(monkeypatch, resolve._Settling, "settle_request")
    summary = account.night()

    assert {"submitted": 2} == Counter(row.state for row in account.rows())
    assert {} == counted(summary.resolved)


def counted(changes):
    """How many rows entered each state."""
    found = Counter()
    for (_conversion, _destination, state, _cause), number in changes.moved.items():
        found[state] += number
    return found


@pytest.mark.parametrize("passes", [LeaseLostError("another run took over"), KeyboardInterrupt()])
def test_a_stop_and_a_ledger_that_cannot_be_used_pass(account, passes):
    """Nothing can go on after them."""

    def fails(_sink, _batch):
        raise passes

    account.put(lead())
    account.sink.script.append(fails)
    with pytest.raises(type(passes)):
        account.night()


def test_a_fault_is_logged_with_its_places_and_none_of_its_words(capsys):
    """Its text may hold what was sent."""
    faults = []
    start_logging(as_json=True)
    with ContainedFault(faults, "a part failed", part="one") as fault:
        raise KeyError("jean@example.com")
    said = json.loads(capsys.readouterr().err)

    assert (["KeyError"], "KeyError") == (faults, fault.name)
    assert ("a part failed", "one", "KeyError") == (said["event"], said["part"], said["error"])
    assert "test_faults.py" in said["trace"][-1]
    assert "jean" not in str(said)


@pytest.mark.parametrize(
    ("error", "why"), [(OSError(28, "No space left", "/secret"), "No space left"), (LedgerError("away"), "away")]
)
def test_what_is_foreseen_is_said_and_is_no_fault(capsys, error, why):
    """Nothing has to be reported, and what comes next goes on."""
    faults = []
    start_logging(as_json=True)
    with ContainedFault(faults, "a part failed", foreseen=(OSError, LedgerError), part="one"):
        raise error
    said = json.loads(capsys.readouterr().err)

    assert ([], "warning", why) == (faults, said["level"], said["why"])
    assert "trace" not in said
