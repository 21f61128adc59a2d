"""Read an account's state as it stands; loads nothing that changes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from connectors.errors import Misconfigured
from jobs.cli.accounts import account_state_path
from jobs.ledger.report import queries
from jobs.ledger.runs import open_snapshot
from jobs.ledger.storage.database import open_engine
from jobs.settings import Settings
from jobs.wiring.account import open_clock


@dataclass(frozen=True, slots=True)
class StateView:
    """A consistent view of an account's state at one instant."""

    session: Session
    now: datetime


@contextmanager
def open_view(settings: Settings) -> Iterator[StateView]:
    """Open a view of the account's state as of now, or as of the last run's end if its sandbox clock is closed.

    Raises:
        LedgerError: the state is missing or unreadable.
        Misconfigured: the sandbox's clock is closed and there is no run on record.
    """
    with open_state_read_only(settings) as session:
        try:
            with open_clock(settings) as clock:
                now = clock.now()
        except Misconfigured:
            run = queries.last_run(session, settings.account)
            if run is None:
                raise
            now = run.ended_at or run.started_at
        yield StateView(session, now)


@contextmanager
def open_state_read_only(settings: Settings) -> Iterator[Session]:
    """Open the account's state read-only.

    Raises:
        LedgerError: the state is missing or unreadable.
    """
    path = account_state_path(settings)
    engine = open_engine(path, for_writing=False)
    try:
        with open_snapshot(engine, path) as session:
            yield session
    finally:
        engine.dispose()
