"""Whether an account's state may be used for a run, and holding the account for one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

import structlog
from sqlmodel import Session

from connectors.errors import ConnectorError
from connectors.language import _
from connectors.ports import Clock
from jobs.account.failures import failure_from_error
from jobs.account.renamed import accounts_sending_too, owners_of, why_same_account
from jobs.ledger.runs import (
    Ledger,
    finish_run,
    open_locked_ledger,
)
from jobs.ledger.storage.forgotten_place import read_forgotten_place
from jobs.ledger.storage.state import State
from jobs.ledger.storage.state_file import LedgerError, NoStateError
from jobs.privacy.compaction import compact
from jobs.privacy.forget import forget_again
from jobs.privacy.webhook_events import erase_webhook_events, leads_with_events
from jobs.reporting.page.leads.archive import monthly_lead_counter
from jobs.settings import Settings
from jobs.wiring.account import account_inbox, compile_rules_only
from jobs.wiring.state import account_state

_log = structlog.stdlib.get_logger()


def expect_state_exists(
    settings: Settings, *, first_run: bool = False, others: frozenset[str] | None = frozenset()
) -> None:
    """Check that the account's state exists, or with `first_run` that it may be created.

    Args:
        settings: the account.
        first_run: whether a human states that the account has never run.
        others: names of other accounts, whose states are not mistaken for this one's; None if none is to be.

    Raises:
        LedgerError: the state is missing, has another name, or exists despite `first_run`; the message says what to do.
    """
    state = account_state(settings)
    if state.exists():
        if first_run:
            raise LedgerError(_("{path}: this account has its state already; leave --first-run out", path=state))
        return
    expect_no_other_state(settings, others)
    if not first_run:
        raise NoStateError(state)


def expect_no_other_state(settings: Settings, others: frozenset[str] | None) -> None:
    """Check that no other state in the missing one's folder or database is probably this account's.

    Raises:
        LedgerError: one probably is; the message says what to do.
    """
    state = account_state(settings)
    found = accounts_sending_too(state.neighbouring_ledgers(owners_of(settings)), settings, state)
    if others is not None and (sending := {name: shared for name, shared in found.items() if name not in others}):
        raise LedgerError(why_same_account(state, sending))


@contextmanager
def hold_account_for_run(
    settings: Settings,
    state: State,
    command: str,
    clock: Clock,
    unless: Callable[[Session], None] | None = None,
    *,
    first_run: bool = False,
    restored: bool = False,
) -> Iterator[Ledger]:
    """Hold the account for one run; if the block raises, record the run's exit code."""
    now, place = clock.now(), None
    if settings.forgotten is not None:
        is_copy = state != account_state(settings)
        place = read_forgotten_place(settings.forgotten, settings.account, is_rehearsal=is_copy)
    with open_locked_ledger(
        state, settings.account, command, now=now, first_run=first_run, restored=restored, place=place, unless=unless
    ) as ledger:
        try:
            _erase_whom_place_names(settings, ledger, now)
            yield ledger
        except BaseException as error:
            # If even that fails, still raise the original error.
            with suppress(LedgerError, ConnectorError):
                finish_run(ledger, failure_from_error(error).exit_code, now=clock.now())
            raise


def _erase_whom_place_names(settings: Settings, ledger: Ledger, now: datetime) -> None:
    """Erase, before anything is read, whom a backup has brought back, or a `forget` that died left."""
    if (place := ledger.place) is None:
        return
    inbox = account_inbox(settings)
    count = monthly_lead_counter(settings, compile_rules_only(settings), now)
    found = forget_again(ledger, leads_with_events(inbox), now=now, count_by_month=count)
    if not found:
        return
    _log.warning(_("leads that were forgotten are erased again"), leads=len(found), known_by=str(place.path))
    if place.is_rehearsal:
        return
    erase_webhook_events(inbox, found)
    for file in (*ledger.state.storage_files, *inbox.storage_files):
        if file.exists() and file.stat().st_size:
            compact(file)
