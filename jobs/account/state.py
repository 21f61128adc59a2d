"""Read an account's state as it stands; loads nothing that changes it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from connectors.errors import Misconfigured
from jobs.ledger.leads import status_labels
from jobs.ledger.report import queries
from jobs.ledger.runs import open_for_reading
from jobs.rules.labels import normalise_listed_label
from jobs.rules.reported_statuses import HeldReport
from jobs.settings import Settings
from jobs.settings.compile import Rulebook
from jobs.wiring.account import inbox_of, open_clock
from jobs.wiring.held_reports import held_reports
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


def label_spelling(session: Session, settings: Settings) -> Callable[[str], str]:
    """Return a function that spells a normalised label as Oplead does, or else as the settings do."""
    listed = (settings.ignored_statuses, *settings.stages.values())
    in_settings = {normalise_listed_label(label): label for labels in listed for label in labels}
    return lambda label: status_labels.oplead_spelling(session, settings.account, label, else_as=in_settings.get(label))


def held_reports_as_spelled(
    session: Session, settings: Settings, book: Rulebook, now: datetime
) -> tuple[HeldReport, ...]:
    """Return what webhooks have reported and no reading has shown yet, the oldest first, as people read it."""
    spelled = label_spelling(session, settings)
    with closing(inbox_of(settings)) as inbox:
        return tuple(one._replace(label=spelled(one.label)) for one in held_reports(session, book, inbox, now))
