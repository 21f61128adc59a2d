"""Opens an account's state to look at it, without keeping a run from writing it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from connectors.errors import Misconfigured
from jobs.cli.accounts import state_of
from jobs.ledger import starts, views
from jobs.ledger.engine import LedgerError, open_engine
from jobs.ledger.ledger import reading
from jobs.settings import Settings
from jobs.wiring import open_clock


@dataclass(frozen=True, slots=True)
class Look:
    """A consistent view of an account's state, and the instant it is looked at."""

    session: Session
    now: datetime


@contextmanager
def looking(settings: Settings) -> Iterator[Look]:
    """The account's state as it is now.

    Raises:
        LedgerError: there is none, or it cannot be read.
    """
    with _opened(settings) as session:
        yield Look(session, _present(settings, session))


def starts_of(settings: Settings) -> Mapping[tuple[str, str], datetime]:
    """Since when each conversion counts at each destination, as runs have settled it; empty where none has."""
    # Without a state none has, and of one that cannot be read a run tells.
    with suppress(LedgerError), _opened(settings) as session:
        return {route: start.conversion for route, start in starts.load(session, settings.account).items()}
    return {}


@contextmanager
def _opened(settings: Settings) -> Iterator[Session]:
    path = state_of(settings)
    engine = open_engine(path, for_writing=False)
    try:
        with reading(engine, path) as session:
            yield session
    finally:
        engine.dispose()


def _present(settings: Settings, session: Session) -> datetime:
    """The account's present; where its clock was a sandbox's that has ended, the end of the last run."""
    try:
        with open_clock(settings) as clock:
            return clock.now()
    except Misconfigured:
        run = views.last_run(session, settings.account)
        if run is None:
            raise
        return run.ended_at or run.started_at
