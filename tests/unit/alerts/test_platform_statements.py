"""What the platforms say they received: read once a day after the night, which it costs nothing."""

import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlmodel import select

from connectors.records import CountedRowsFilter, DestinationId, PlatformStatement, StatementSubject
from jobs.alerts.platform_statements import LONGEST, SETTLES_AFTER, read_platform_statements
from jobs.cancellation import StoppedBySignal
from jobs.exit_codes import Exit
from jobs.ledger.outbox.platform_statements import statements_since
from jobs.ledger.schema import PlatformStatementRow
from jobs.nightly import rehearse, run_night, run_validation_night
from jobs.run_context import RunReadingScope
from tests.builders import GOOGLE, lead, route, rulebook
from tests.fakes import NIGHT, FakeSink

DAY = timedelta(days=1)
OTHER, THIRD = DestinationId("other"), DestinationId("third")
SAID = PlatformStatement(StatementSubject.MATCH_KEYS, "em", "12", NIGHT)
COUNTED = PlatformStatement(
    StatementSubject.EVENT_COUNT,
    "sale",
    3,
    None,
    CountedRowsFilter(
        "data_manager", "1234567890", "987654321", NIGHT - DAY, NIGHT, 2, corrections=True, is_shared=True
    ),
)


class FakeReader:
    """A platform that says the same whenever it is asked, or does what a test wants."""

    def __init__(self, *said, does=lambda: None):
        self.said = said
        self.does = does
        self.asked = []

    def read_statements(self, since, until, sent):
        """Note the question and answer."""
        self.asked.append((since, until, sent))
        self.does()
        return self.said


@pytest.fixture
def reader():
    """A platform with two things to say."""
    return FakeReader(SAID, COUNTED)


@pytest.fixture
def night(account, reader):
    """Play a night in which this platform, or others, can be asked."""

    def play(readers=None, play=run_night, **more):
        with account.hold() as ledger:
            return play(account.run(ledger, statement_readers=readers or {GOOGLE: reader}), **more)

    return play


@pytest.fixture
def sent(account, night):
    """The account a day after its first conversion was sent."""
    account.put(lead())
    night()
    account.clock.time += DAY
    return account


def stated(account):
    """What is on record: destination, place, name and value."""
    return [(row.destination, row.position, row.name, row.value) for row in account.rows(PlatformStatementRow)]


def test_night_records_what_a_platform_says(sent, night, reader):
    """Of a week that ends early enough for the platform to have counted."""
    night()
    ((since, until, (request,)),) = reader.asked

    assert [(GOOGLE, 0, "em", "12"), (GOOGLE, 1, "sale", "3")] == stated(sent)
    assert (NIGHT + DAY - SETTLES_AFTER, timedelta(days=7)) == (until, until - since)
    assert ("data_manager", NIGHT, 1, "request-1") == (
        request.target.transport,
        request.sent_at,
        request.rows,
        request.ticket,
    )


def test_platform_is_asked_once_a_day(sent, night, reader):
    """By the account's calendar: neither a second run nor one just before midnight asks again."""
    for hours in (0, 1, 15):
        night()
        sent.clock.time = NIGHT + DAY + timedelta(hours=hours)
    night()

    assert 1 == len(reader.asked)

    sent.clock.time = NIGHT + DAY + timedelta(hours=19)  # past midnight in Paris
    night()

    assert 2 == len(reader.asked)


def test_next_reading_replaces_the_last_one_of_its_destination(sent, night, reader):
    """What a platform no longer says is gone."""
    night()
    sent.clock.time += DAY
    reader.said = (SAID,)
    night()

    assert [(GOOGLE, 0, "em", "12")] == stated(sent)


def test_platform_that_received_nothing_lately_is_not_asked(account, night, reader):
    """Neither before the first conversion, nor right after it, nor when all is long ago."""
    night()
    account.put(lead())
    night()

    assert [] == reader.asked

    account.clock.time += timedelta(days=8)
    night()

    assert [] == reader.asked


@pytest.mark.parametrize("play", [rehearse, run_validation_night])
@pytest.mark.usefixtures("sent")
def test_trying_a_night_asks_no_platform(night, reader, play):
    """It leaves no trace anywhere."""
    night(play=play)

    assert [] == reader.asked


@pytest.mark.parametrize("reading", [RunReadingScope.NOTHING, RunReadingScope.WEBHOOKS])
@pytest.mark.usefixtures("sent")
def test_work_between_nights_asks_no_platform(night, reader, reading):
    """The night does that."""
    night(reading=reading)

    assert [] == reader.asked


def test_failing_platform_costs_the_night_nothing_else(sent, night):
    """It is on record that it did not answer, so that no other run of the day waits for it; the exit code tells."""

    def fail():
        raise RuntimeError

    reader = FakeReader(does=fail)

    assert Exit.BUG == night({GOOGLE: reader}).exit_code
    assert [(GOOGLE, 0, "", "no answer in time")] == stated(sent)

    night({GOOGLE: reader})

    assert 1 == len(reader.asked)


def test_hanging_platform_leaves_time_for_the_others(account, night):
    """The time is shared out, and the night's clock stands still meanwhile."""
    account.book = rulebook(route(), route(destination=OTHER))
    account.sinks[OTHER] = FakeSink()
    account.put(lead())
    night({GOOGLE: FakeReader(), OTHER: FakeReader()})
    account.clock.time += DAY
    over = threading.Event()
    readers = {GOOGLE: FakeReader(does=over.wait), OTHER: FakeReader(SAID)}
    with account.hold() as ledger:
        read_platform_statements(account.run(ledger, statement_readers=readers), [], longest=0.5)
    over.set()

    assert [(GOOGLE, 0, "", "no answer in time"), (OTHER, 0, "em", "12")] == stated(account)
    assert NIGHT + DAY == account.clock.now()


def test_platforms_share_out_less_than_half_a_minute(account, night, monkeypatch):
    """Each waits for as long as it may, and is cut off; what one leaves over, the next may use."""
    account.book = rulebook(route(), route(destination=OTHER), route(destination=THIRD))
    account.sinks |= {OTHER: FakeSink(), THIRD: FakeSink()}
    account.put(lead())
    night()
    account.clock.time += DAY
    passed, granted = [0.0], []

    def cut_off(_call, seconds, **_more):
        granted.append(seconds)
        passed[0] += 1 if len(granted) == 1 else seconds
        raise TimeoutError

    monkeypatch.setattr("jobs.alerts.platform_statements.run_with_timeout", cut_off)
    monkeypatch.setattr("jobs.alerts.platform_statements.time", SimpleNamespace(monotonic=lambda: passed[0]))
    night({GOOGLE: FakeReader(), OTHER: FakeReader(), THIRD: FakeReader()})

    assert [LONGEST / 3, (LONGEST - 1) / 2, (LONGEST - 1) / 2] == granted
    assert LONGEST == passed[0]
    assert LONGEST < 30  # seconds


def test_stop_ends_the_reading_and_not_the_night(sent):
    """Everything else is done by then; what was not read is read by the next run."""
    reader = FakeReader(SAID)
    stops = []

    def stop():
        if reader.asked:
            stops.append(1)
            raise StoppedBySignal(15)

    with sent.hold() as ledger:
        read_platform_statements(sent.run(ledger, statement_readers={GOOGLE: reader}, cancel_token=stop), [])

    assert stops
    assert [] == stated(sent)


def test_silent_platform_is_on_record_too(sent, night):
    """So that it is not asked again on the same day."""
    night({GOOGLE: FakeReader()})

    assert [(GOOGLE, 0, "", "nothing yet")] == stated(sent)


def test_full_disk_costs_the_night_nothing(sent, monkeypatch):
    """What was read is dropped."""

    def full(*_args, **_more):
        raise OSError

    monkeypatch.setattr("jobs.ledger.outbox.platform_statements.replace_platform_statements", full)
    with sent.hold() as ledger:
        summary = run_night(sent.run(ledger, statement_readers={GOOGLE: FakeReader(SAID)}))

    assert Exit.DONE == summary.exit_code
    assert [] == stated(sent)


def test_statement_is_read_back_as_it_was_made(sent, night):
    """Times, counts and flags included."""
    night()
    with sent.hold() as ledger, ledger.read_transaction() as session:
        found = list(statements_since(session, ledger.account, NIGHT))
        later = list(statements_since(session, ledger.account, NIGHT + 2 * DAY))
        rows = session.exec(select(PlatformStatementRow)).all()

    assert [SAID, COUNTED] == [each.statement for each in found]
    assert {NIGHT + DAY} == {each.read_at for each in found}
    assert (2, []) == (len(rows), later)
