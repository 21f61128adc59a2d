"""Where an account's state lies, by its settings."""

from datetime import datetime
from pathlib import Path
from typing import assert_never

from connectors.language import _
from jobs.ledger.storage.forgotten_place import LockWithPlace, read_forgotten_place
from jobs.ledger.storage.lock import LockRecord, read_lock
from jobs.ledger.storage.plain_reads import LedgerProgress, read_counting_starts, read_ledger_progress
from jobs.ledger.storage.refusals import refuse_unusable_ledger
from jobs.ledger.storage.revisions import SchemaChange
from jobs.ledger.storage.state import Lock, State
from jobs.ledger.storage.state_file import LedgerError, NoStateError
from jobs.settings.references import is_secret_reference
from jobs.settings.schema import Settings
from jobs.settings.types import StateDatabaseAddress, StateFile


def account_state(settings: Settings) -> State:
    """Return the account's state, whether or not it exists yet."""
    return state_at_address(settings.state, settings.account)


def state_at_address(address: StateFile | StateDatabaseAddress | None, account: str) -> State:
    """Return an account's state at an address, whether or not it exists yet."""
    match address:
        case None:
            raise ValueError("settings read from a file always name their state")
        case StateFile(path):
            from jobs.ledger.storage.sqlite_state import SqliteState  # noqa: PLC0415 - `check` needs no SQLAlchemy

            return SqliteState(path)
        case StateDatabaseAddress(url):
            if is_secret_reference(reference := url.get_secret_value()):
                raise LedgerError(_("state: {reference} is not set on this machine", reference=reference))
            from jobs.ledger.storage.postgresql_state import PostgresqlState  # noqa: PLC0415 - few need its driver

            return PostgresqlState(url, account)
        case never:
            assert_never(never)


def why_refused(settings: Settings) -> str | None:
    """Return why a run would refuse the account's state as it lies, as the run itself says it; None if it would not.

    Nothing is held, and nothing changes. That there is no state yet is said by whoever needs one.
    """
    account, place = settings.account, None
    try:
        found, lock, where = _ledger_progress(settings)
        if settings.forgotten is not None:
            place = read_forgotten_place(settings.forgotten, account, is_rehearsal=True)
            lock = LockWithPlace(lock, place)
        refuse_unusable_ledger(found, account, lock, where, place)
    except NoStateError:
        return None
    except LedgerError as error:
        return str(error)
    return None


def _ledger_progress(settings: Settings) -> tuple[LedgerProgress, Lock, State | Path]:
    """Return how far the ledger has come, what its lock remembers, and where it lies."""
    if isinstance(settings.state, StateFile):
        path = settings.state.path
        return read_ledger_progress(path, settings.account), read_lock(path), path
    from jobs.ledger.runs import open_for_reading  # noqa: PLC0415 - a file is read without SQLAlchemy
    from jobs.ledger.storage.progress import ledger_progress  # noqa: PLC0415

    state = account_state(settings)
    with open_for_reading(state) as session:
        return ledger_progress(session, settings.account), LockRecord(), state


def deploy_database(url: str) -> SchemaChange:
    """Create what accounts keep in a database, ledgers, inboxes and paces, or bring it up to date.

    Returns what became of the ledgers; the others have no revisions.

    Raises:
        LedgerError: the database cannot be used, holds something else, or is of a newer version.
    """
    from jobs.ledger.storage.postgresql import create_or_upgrade_ledger_tables  # noqa: PLC0415 - few need its driver
    from jobs.webhooks.postgresql_inbox import inbox_tables  # noqa: PLC0415
    from jobs.wiring.pace import pace_tables  # noqa: PLC0415

    return create_or_upgrade_ledger_tables(url, inbox_tables(), pace_tables())


def recorded_conversion_starts(settings: Settings) -> dict[tuple[str, str], datetime]:
    """Return when each conversion starts to count, by conversion and destination, as earlier runs settled it.

    Raises:
        LedgerError: there is no state, or it cannot be read.
    """
    if isinstance(settings.state, StateFile):
        return read_counting_starts(settings.state.path, settings.account)
    from jobs.ledger.leads.starts import load_counting_starts  # noqa: PLC0415 - a file is read without SQLAlchemy
    from jobs.ledger.runs import open_for_reading  # noqa: PLC0415

    with open_for_reading(account_state(settings)) as session:
        return {place: starts.conversion for place, starts in load_counting_starts(session, settings.account).items()}


def folder_beside_state(settings: Settings) -> Path:
    """Return the folder of what an account keeps beside its state."""
    if settings.state is None:
        raise ValueError("settings read from a file always name their state")
    return settings.state.folder
