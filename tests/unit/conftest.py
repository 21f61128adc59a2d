"""One account with an in-memory source and platform, night after night."""

from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from sqlmodel import col, select

from jobs.deliver.agenda import SendingOptions
from jobs.deliver.resolve import ResolvingResult, mark_interrupted_in_doubt, settle_received_requests
from jobs.deliver.sender import deliver
from jobs.ledger.report import queries
from jobs.ledger.schema import ContactHash, Delivery, Request, Transition, matches_delivery_kind
from jobs.nightly import run_night
from jobs.plan.adjustments import plan_adjustments
from jobs.plan.new_settings import apply_settings_to_ledger
from jobs.plan.planner import erase_unusable_personal_data, plan, with_missing_value_guard
from jobs.run_context import Deps, RunContext, RunReadingScope
from jobs.webhooks.file_inbox import WebhookInboxFile
from jobs.webhooks.inbox_reader import InboxReader
from tests import postgresql
from tests.builders import GOOGLE, REACH, ReusedState, read, rulebook
from tests.fakes import FakeClock, FakeSink, FakeSource

ON_POSTGRESQL = {Path(__file__).with_name(name) for name in ("alerts", "plan", "privacy", "reporting", "retention")}
"""Folders whose tests `make test-all` runs on PostgreSQL as well; the ledger's own always do."""


def pytest_generate_tests(metafunc):
    """Run a test of an account on both databases, unless it names one."""
    named = any(mark.args[0] == "database" for mark in metafunc.definition.iter_markers("parametrize"))
    if "database" in metafunc.fixturenames and metafunc.definition.path.parent in ON_POSTGRESQL and not named:
        metafunc.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.exhaustive)])


class Account:
    """What a night needs and leaves behind; each step can also be run alone."""

    def __init__(self, state):
        self.state = state
        self.path = getattr(state, "path", None)
        self.clock = FakeClock()
        self.source = FakeSource(clock=self.clock)
        self.sink = FakeSink()
        self.sinks = {GOOGLE: self.sink}
        self.book = rulebook()
        self.sync_window = REACH
        self.inbox = None
        """The file of the webhooks' inbox; None without webhooks."""
        self.place = None
        """The second place that remembers who was forgotten; None without one."""
        self._opened = ExitStack()

    @contextmanager
    def hold(self, command="test", **more):
        """Hold the ledger for one run; at its end the inbox closes too."""
        with self.state.hold(self.clock, command, place=self.place, **more) as ledger, self._opened:
            yield ledger

    def run(self, ledger, **more):
        """The run that holds the ledger."""
        more = {
            "inbox": self._opened.enter_context(closing(InboxReader(self.inbox and WebhookInboxFile(self.inbox))))
        } | more
        deps = Deps(self.source, self.sinks, self.clock, lambda: 0.5, self.sync_window, **more)
        return RunContext(ledger, self.book, deps)

    def put(self, *leads):
        """Make the source serve these leads."""
        for lead in leads:
            self.source.put(lead)

    def night(self, *, reading=RunReadingScope.EVERYTHING):
        """Run the whole job, or what is done between nights; return its summary."""
        self.source.made = 0
        with self.hold() as ledger:
            return run_night(self.run(ledger), reading=reading)

    def prepare(self):
        """Read and plan without sending; return what was planned."""
        with self.hold() as ledger:
            with ledger.write_transaction() as session:
                run = self.run(ledger)
                apply_settings_to_ledger(session, self.book, now=self.clock.now())
                mark_interrupted_in_doubt(session, ledger, now=run.now())
            read(run)
            planned = plan(with_missing_value_guard(run), shown_since=run.now())
            plan_adjustments(run)
            erase_unusable_personal_data(run)
            return planned

    def deliver(self, stopped=()):
        """Send what is due; return what changed."""
        with self.hold() as ledger:
            return deliver(
                SendingOptions(with_missing_value_guard(self.run(ledger)), self.clock.now(), stopped=stopped)
            )

    def resolve(self):
        """Ask for outcomes; return what changed."""
        done = ResolvingResult()
        with self.hold() as ledger:
            settle_received_requests(self.run(ledger), done)
        return done

    def rows(self, table=Delivery):
        """Every row of a table; of deliveries, only conversions."""
        wanted = select(table).order_by(*table.__table__.primary_key.columns)
        if table is Delivery:
            wanted = wanted.where(matches_delivery_kind(corrections=False))
        with self.hold() as ledger, ledger.read_transaction() as session:
            return list(session.exec(wanted))

    def corrections(self):
        """Every correction."""
        with self.hold() as ledger, ledger.read_transaction() as session:
            return list(queries.corrections(session, ledger.account))

    @property
    def states(self):
        """Lead → state, for accounts with one conversion."""
        return {row.lead: row.state for row in self.rows()}

    @property
    def reasons(self):
        """Lead → reason, for accounts with one conversion."""
        return {row.lead: row.reason for row in self.rows()}

    @property
    def requests(self):
        """The state of every request, in order."""
        return [row.state for row in self.rows(Request)]

    @property
    def hashed(self):
        """The leads with contact hashes on disk."""
        return {row.lead for row in self.rows(ContactHash)}

    def causes(self, lead):
        """The transitions of a lead's conversion: state and cause."""
        with self.hold() as ledger, ledger.read_transaction() as session:
            statement = (
                select(Transition)
                .join(Delivery, col(Delivery.id) == col(Transition.delivery))
                .where(Delivery.lead == lead, matches_delivery_kind(corrections=False))
                .order_by(col(Transition.id))
            )
            return [(row.to_state, row.reason or row.code) for row in session.exec(statement)]


@pytest.fixture(scope="session")
def reused_state(tmp_path_factory):
    """One state shared by all tests."""
    return ReusedState(tmp_path_factory.mktemp("jobs"))


@pytest.fixture(scope="session")
def reused_database():
    """One state on PostgreSQL shared by all tests."""
    state = postgresql.State()
    yield state
    state.remove()


@pytest.fixture
def database():
    """Where the state lies, unless a test is run on both."""
    return "sqlite"


@pytest.fixture
def empty_state(database, request):
    """An empty state in that database."""
    found = request.getfixturevalue("reused_state" if database == "sqlite" else "reused_database")
    found.clear()
    return found


@pytest.fixture
def account(empty_state):
    """An account whose one conversion is a sale, sent by click id; nothing has happened yet."""
    return Account(empty_state)
