"""What the files still hold that an account's state was moved from: no run uses them, and only `forget` writes to them.

The old state stays closed, and keeps the mark of where it was moved.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from connectors.language import N_, _
from connectors.records import LeadId
from jobs.exit_codes import CommandError
from jobs.ledger.retention import erasure
from jobs.ledger.schema import FormerFile
from jobs.ledger.storage.database import opened_for_erasure
from jobs.ledger.storage.state_file import FileKind, LedgerError, file_kind
from jobs.privacy.compaction import compact
from jobs.privacy.forget import HeldOnLead, held_on_leads
from jobs.privacy.webhook_events import erase_events
from jobs.webhooks.file_inbox import InboxFile, has_journal, was_set_aside


class FormerFileError(CommandError):
    """Why nothing could be erased in a former file, which it names, and what to do."""


@dataclass(frozen=True, slots=True)
class HeldInFile:
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


def held_in_former_file(
    file: FormerFile,
    account: str,
    find: Callable[[Session], Sequence[LeadId]],
    known: Collection[LeadId],
    *,
    on_copy: bool,
) -> list[HeldOnLead]:
    """Return what an old state holds on leads, as it was when it was moved; nothing if it is gone.

    Args:
        file: the former file; one of webhooks' events holds nothing here.
        account: the account's name.
        find: finds more leads in it.
        known: leads that are looked up there.
        on_copy: whether nothing may be written to it, not even to bring it up to date.

    Raises:
        FormerFileError: it cannot be used.
    """
    path = Path(file.path)
    if not file.is_state or not _is_sealed(path):
        return []
    with _session(path, on_copy=on_copy) as session:
        ids = list(dict.fromkeys([*known, *find(session)]))
        held = filter(_is_held, held_on_leads(session, account, ids))
        # What was still to be sent then has been sent since, or is in today's state.
        return [replace(each, cancelled=()) for each in held]


def is_there(file: FormerFile) -> bool:
    """Return whether the old state is still at its path.

    Raises:
        FormerFileError: what is there cannot be recognised.
    """
    return _is_sealed(Path(file.path))


def former_files_with(files: Collection[FormerFile], account: str, lead: LeadId) -> list[str]:
    """Return the paths of those that hold a lead, or that cannot be read; nothing is written to them."""
    return [each.path for each in files if _holds(each, account, lead)]


def _holds(file: FormerFile, account: str, lead: LeadId) -> bool:
    try:
        if file.is_state:
            return bool(held_in_former_file(file, account, lambda _session: (), [lead], on_copy=True))
        return bool((held := events_in_former_file(file, [lead])) and held.events)
    except FormerFileError:
        return True


def events_in_former_file(file: FormerFile, leads: Collection[LeadId]) -> HeldInFile | None:
    """Return how many events on these leads a file has that webhooks' events were moved from; None if it is gone.

    Raises:
        FormerFileError: it cannot be read.
    """
    path = Path(file.path)
    if file.is_state:
        return None
    _refuse_lone_journal(path)
    with _explaining(path):
        inbox = InboxFile(path).open_for_reading()
        if inbox is None:
            return None
        with closing(inbox):
            return _inbox(path, sum(map(len, inbox.events_of(leads).values())))


def erase_in_former_file(file: FormerFile, account: str, forgotten: Mapping[LeadId, date]) -> HeldInFile | None:
    """Erase forgotten leads in a former file, rewrite it, and return what it held; None if it never was there.

    Raises:
        FormerFileError: it could not be erased, or not be rewritten.
    """
    path = Path(file.path)
    if not file.is_state:
        return _erase_events(path, forgotten)
    if not _is_sealed(path):
        return HeldInFile(file.path, is_there=False)
    with _session(path, on_copy=False) as session:
        held = _erase_leads(session, account, forgotten)
    _rewrite(path)
    return HeldInFile(file.path, is_there=True, leads=held)


def _erase_leads(session: Session, account: str, forgotten: Mapping[LeadId, date]) -> int:
    held = sum(map(_is_held, held_on_leads(session, account, list(forgotten))))
    erasure.erase_leads(session, account, forgotten)
    for day in sorted(set(forgotten.values())):
        erasure.remember_forgotten(session, account, [lead for lead, on in forgotten.items() if on == day], on=day)
    return held


def _erase_events(path: Path, forgotten: Collection[LeadId]) -> HeldInFile | None:
    _refuse_lone_journal(path)
    with _explaining(path):
        if not InboxFile(path).exists():
            return None
        erased = erase_events(InboxFile(path), forgotten)
    _rewrite(path)
    return _inbox(path, erased)


def _inbox(path: Path, events: int) -> HeldInFile:
    return HeldInFile(str(path), is_there=True, is_needed=not was_set_aside(path), events=events)


def _rewrite(path: Path) -> None:
    with _explaining(path):
        if not compact(path):
            raise FormerFileError(
                _("{path}: another program is reading it, so its journal still has old pages", path=path)
            )


def _is_held(held: HeldOnLead) -> bool:
    return bool(held.is_known or held.sent or held.cancelled)


def _is_sealed(path: Path) -> bool:
    """Return whether the old state is at its path; another one that has taken its place is left alone.

    Raises:
        FormerFileError: what is there cannot be recognised.
    """
    _refuse_lone_journal(path)
    with _explaining(path):
        kind = file_kind(path)
        if kind is FileKind.FOREIGN:
            raise LedgerError
        return kind is FileKind.SEALED


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


@contextmanager
def _session(path: Path, *, on_copy: bool) -> Iterator[Session]:
    with _explaining(path), opened_for_erasure(path, on_copy=on_copy) as engine, Session(engine) as session:
        yield session
        session.commit()


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    """Say of any error that the file still holds what it did: nobody needs it, so it need not be mended."""
    try:
        yield
    except FormerFileError:
        raise
    except (CommandError, SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise FormerFileError(
            _(
                "{path}: this file was left when the state was moved, and whoever is forgotten could not be erased in "
                "it ({why}), so it still holds what it held of them. No run needs it any more: delete it, and what "
                "lies beside it under the same name",
                path=path,
                why=_why(error),
            )
        ) from None


_UNKNOWN = N_("not a state that this version knows")


def _why(error: Exception) -> str:
    """Return a code for an error, whose message may quote a row, or advise to mend what nobody needs."""
    cause = error.__context__ if isinstance(error, CommandError) else error
    cause = getattr(cause, "orig", None) or cause
    if cause is None:
        return _(_UNKNOWN)
    return getattr(cause, "sqlite_errorname", None) or getattr(cause, "strerror", None) or type(cause).__name__
