"""Opens an account's state to look at it, without keeping a run from writing it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from connectors.errors import Misconfigured
from jobs.cli.accounts import state_of
from jobs.ledger import views
from jobs.ledger.engine import open_engine
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
    path = state_of(settings)
    engine = open_engine(path, for_writing=False)
    try:
        with reading(engine, path) as session:
            yield Look(session, _present(settings, session))
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
