"""Read an account's state as it stands; loads nothing that changes it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from connectors.errors import Misconfigured
from jobs.ledger.report import queries
from jobs.ledger.runs import open_for_reading
from jobs.settings import Settings
from jobs.wiring.account import open_clock
from jobs.wiring.state import account_state


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


def open_state_read_only(settings: Settings) -> AbstractContextManager[Session]:
    """Open the account's state read-only.

    Raises:
        LedgerError: the state is missing or unreadable.
    """
    return open_for_reading(account_state(settings))
