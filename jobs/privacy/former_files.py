"""What the files still hold that an account's state was moved from: no run uses them, and only `forget` writes to them.

The old state stays closed, and keeps the mark of where it was moved.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from connectors.crm import ReceivedEvent
from connectors.language import N_, _
from connectors.records import LeadId
from jobs.exit_codes import CommandError
from jobs.ledger.retention import erasure
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import FormerFile
from jobs.ledger.storage.database import opened_for_erasure
from jobs.ledger.storage.state_file import LedgerError, LedgerFileKind, open_read_only, read_state_move, state_file_kind
from jobs.logs import Log
from jobs.privacy.compaction import compact
from jobs.privacy.forget import DataHeldOnLead, data_held_on_leads
from jobs.privacy.person_export import ledger_data_of_lead
from jobs.webhooks.file_inbox import FileInbox, WebhookInboxFile, has_journal, is_moved_inbox_file

_log = Log(__name__)


class FormerFileError(CommandError):
    """Why nothing could be read or erased in a former file, which it names, and what to do."""


@dataclass(frozen=True, slots=True)
class FormerFileContents:
    """What a former file holds, or held, on forgotten leads."""

    path: str
    is_there: bool
    """Whether it is on this machine; if not, it was deleted, or is on another one."""
    is_needed: bool = False
    """Whether it waits for its events to be moved too, since the move ended before."""
    leads: int = 0
    events: int = 0
    """Webhook events."""


def former_files(session: Session, account: str) -> list[FormerFile]:
    """Return the files that an account's state was moved from, the state's first; none if it was not moved."""
    wanted = select(FormerFile).where(FormerFile.account == account)
    return list(session.exec(wanted.order_by(col(FormerFile.is_state).desc(), col(FormerFile.path))))


def visit_former_files(ledger: Ledger) -> None:
    """Erase late events of forgotten leads in the files that the state was moved from, and say which are still there.

    Nothing else is erased in them for its age.
    """
    with ledger.read_transaction() as session:
        files = former_files(session, ledger.account)
        forgotten = erasure.forgotten_among(
            session, ledger.account, erasure.all_forgotten_leads(session, ledger.account) if files else ()
        )
    for file in files:
        try:
            events = None if file.is_state else count_in_former_file(file, forgotten)
            if events and events.events:
                erase_in_former_file(file, forgotten)
            if events and events.is_needed:
                _log.warning(
                    _("webhooks' events are still in this file: repeat `oplead-sync state move`"), path=file.path
                )
            elif events or (file.is_state and is_there(file)):
                _log.warning(
                    _("the state was moved from this file, which still holds personal data: delete it"), path=file.path
                )
        except FormerFileError as error:
            _log.warning(_("a file that the state was moved from may still hold personal data"), why=str(error))


def held_in_former_file(
    file: FormerFile, find: Callable[[Session], Sequence[LeadId]], known: Collection[LeadId]
) -> list[DataHeldOnLead]:
    """Return what an old state holds on leads, as it was when it was moved; nothing if it is gone, or of events.

    Args:
        file: the former file.
        find: finds more leads in it.
        known: leads that are looked up there.

    Raises:
        FormerFileError: it cannot be recognised, or not be read.
    """
    if not file.is_state or not is_there(file):
        return []
    with _session(file, on_copy=True) as session:
        ids = list(dict.fromkeys([*known, *find(session)]))
        held = filter(_is_held, data_held_on_leads(session, file.account, ids))
        # What was still to be sent then has been sent since, or is in today's state.
        return [replace(each, cancelled=()) for each in held]


def is_there(file: FormerFile) -> bool:
    """Return whether the old file is still at its path; another one that has taken its place is not it.

    Raises:
        FormerFileError: what is there cannot be recognised, or the state's move has not ended.
    """
    path = Path(file.path)
    with _explaining(path, _UNRECOGNISED):
        _refuse_lone_journal(path)
        return _is_state(path, file.account) if file.is_state else _is_inbox(path, file.identity)


def _refuse_lone_journal(path: Path) -> None:
    """Refuse to take a file for gone whose journal, left without it, holds what was written last."""
    if has_journal(path) and not path.exists():
        raise FormerFileError(
            _(
                "{path}-wal: this journal of a file that the state was moved from was left without it, and may hold "
                "what the file did. Nothing can be erased in it, and no run needs it: delete it",
                path=path,
            )
        )


def _is_state(path: Path, account: str) -> bool:
    kind = state_file_kind(path)
    if kind is LedgerFileKind.FOREIGN:
        raise LedgerError
    if kind is not LedgerFileKind.SEALED:
        return False
    with closing(open_read_only(path)) as connection:
        if connection.execute("SELECT account FROM lease").fetchall() != [(account,)]:
            return False
    if not read_state_move(path).is_moved:
        raise FormerFileError(
            _(
                "{path}: the move of this state has not ended, so nobody was looked for or erased in it: repeat "
                "`oplead-sync state move`, then forget once more",
                path=path,
            )
        )
    return True


def _is_inbox(path: Path, identity: str | None) -> bool:
    if not WebhookInboxFile(path).exists():
        return False
    with closing(open_read_only(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {"event", "identity"} <= tables:
            return False
        (found,) = connection.execute("SELECT id FROM identity").fetchone()
        return identity in (None, found)


def export_from_former_file(file: FormerFile, lead: LeadId) -> dict[str, Any]:
    """Return what `ledger_data_of_lead` finds in an old state; nothing if it has none, is gone, or holds events.

    Raises:
        FormerFileError: it cannot be recognised, or not be read.
    """
    if not file.is_state or not is_there(file):
        return {}
    with _session(file, on_copy=True) as session:
        found = ledger_data_of_lead(session, file.account, lead)
    # Today's state says that too.
    del found["forgotten_on"]
    return found if any(found.values()) else {}


def events_in_former_file(file: FormerFile, lead: LeadId) -> Sequence[ReceivedEvent]:
    """Return the events on a lead in a file that webhooks' events were moved from.

    Raises:
        FormerFileError: it cannot be recognised, or not be read.
    """
    return [] if file.is_state or not is_there(file) else _events_of(file, [lead]).get(lead, [])


def _events_of(file: FormerFile, leads: Collection[LeadId]) -> Mapping[LeadId, Sequence[ReceivedEvent]]:
    path = Path(file.path)
    with _explaining(path, _UNREAD), closing(FileInbox(open_read_only(path), path)) as inbox:
        return inbox.webhook_events_of(leads)


def count_in_former_file(file: FormerFile, leads: Collection[LeadId]) -> FormerFileContents | None:
    """Return how much a former file holds on these leads; None if it is gone, and of events. Nothing is written to it.

    Raises:
        FormerFileError: it cannot be recognised, or not be read.
    """
    if not is_there(file):
        return _gone(file)
    if not file.is_state:
        return _inbox(file, sum(map(len, _events_of(file, leads).values())))
    with _session(file, on_copy=True) as session:
        return FormerFileContents(file.path, is_there=True, leads=_count(session, file, leads))


def erase_in_former_file(file: FormerFile, forgotten: Mapping[LeadId, date]) -> FormerFileContents | None:
    """Erase forgotten leads in a former file, rewrite it, and return what it held; None if it is gone, and of events.

    Raises:
        FormerFileError: it cannot be recognised, or could not be erased, or not be rewritten.
    """
    if not is_there(file):
        return _gone(file)
    if not file.is_state:
        held = _inbox(file, _erase_events(Path(file.path), forgotten))
    else:
        with _session(file, on_copy=False) as session:
            held = FormerFileContents(file.path, is_there=True, leads=_erase_leads(session, file, forgotten))
    _rewrite(Path(file.path))
    return held


def _gone(file: FormerFile) -> FormerFileContents | None:
    return FormerFileContents(file.path, is_there=False) if file.is_state else None


def _erase_leads(session: Session, file: FormerFile, forgotten: Mapping[LeadId, date]) -> int:
    held = _count(session, file, forgotten)
    erasure.erase_leads(session, file.account, forgotten)
    erasure.erase_mentions(session, file.account, forgotten)
    for day in sorted(set(forgotten.values())):
        leads = [lead for lead, on in forgotten.items() if on == day]
        erasure.remember_forgotten(session, file.account, leads, on=day)
    return held


def _count(session: Session, file: FormerFile, leads: Collection[LeadId]) -> int:
    return sum(map(_is_held, data_held_on_leads(session, file.account, list(leads))))


def _erase_events(path: Path, forgotten: Collection[LeadId]) -> int:
    # Not opened as by a receiver, which makes an inbox of whatever is there.
    address = f"{path.resolve().as_uri()}?mode=rw"
    with (
        _explaining(path, _UNERASED),
        closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE, isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA secure_delete = ON")
        return FileInbox(connection, path).erase(forgotten)


def _inbox(file: FormerFile, events: int) -> FormerFileContents:
    return FormerFileContents(
        file.path, is_there=True, is_needed=not is_moved_inbox_file(Path(file.path)), events=events
    )


def _rewrite(path: Path) -> None:
    with _explaining(path, _UNERASED):
        if not compact(path):
            raise FormerFileError(
                _("{path}: another program is reading it, so its journal still has old pages", path=path)
            )


def _is_held(held: DataHeldOnLead) -> bool:
    return bool(held.is_known or held.sent or held.cancelled)


@contextmanager
def _session(file: FormerFile, *, on_copy: bool) -> Iterator[Session]:
    path = Path(file.path)
    with (
        _explaining(path, _UNREAD if on_copy else _UNERASED),
        opened_for_erasure(path, on_copy=on_copy) as engine,
        Session(engine) as session,
    ):
        yield session
        session.commit()


_PATIENCE = 5.0  # seconds
_UNRECOGNISED = N_(
    "{path}: what is there cannot be recognised ({why}), and was left alone. If it is what was left when the state was "
    "moved, no run needs it any more: delete it, and what lies beside it under the same name"
)
_UNREAD = N_(
    "{path}: this file was left when the state was moved, and could not be read ({why}), so nobody knows whom it "
    "holds. No run needs it any more: delete it, and what lies beside it under the same name"
)
_UNERASED = N_(
    "{path}: this file was left when the state was moved, and whoever is forgotten could not be erased in it ({why}), "
    "so it still holds what it held of them. No run needs it any more: delete it, and what lies beside it under the "
    "same name"
)
_UNKNOWN = N_("not a state that this version knows")


@contextmanager
def _explaining(path: Path, sentence: str) -> Iterator[None]:
    """Say of any error what was not done: nobody needs the file, so it need not be mended."""
    try:
        yield
    except FormerFileError:
        raise
    except (CommandError, SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise FormerFileError(_(sentence, path=path, why=_why(error))) from None


def _why(error: Exception) -> str:
    """Return a code for an error, whose message may quote a row, or advise to mend what nobody needs."""
    cause = error.__context__ if isinstance(error, CommandError) else error
    cause = getattr(cause, "orig", None) or cause
    if cause is None:
        return _(_UNKNOWN)
    return getattr(cause, "sqlite_errorname", None) or getattr(cause, "strerror", None) or type(cause).__name__
