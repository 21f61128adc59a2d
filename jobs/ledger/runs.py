"""Runs of an account: one writer at a time, each transaction asserting its lease, each night done once."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import IO

import structlog
from sqlalchemy import Engine
from sqlmodel import Session, col, func, select

from jobs.ledger.database import LedgerError, create_state, explained, has_state, missing, open_engine, open_privately
from jobs.ledger.schema import Lease, Request, Run

RESOLVING = "resolve"
"""The command of a run that only asks for outcomes and sends what has come due: it belongs to the night before it."""

NIGHTLY = "run"
"""The command of a run that does a whole night's work, called by hand or by a schedule."""
STOPPED_BY_SIGNAL = 128
"""Exit codes from here on are a signal's."""
_log = structlog.stdlib.get_logger()


class NightDoneError(Exception):
    """There is nothing to do for a night that was due."""

    def __init__(self, run: int | None, next_pass: datetime | None) -> None:
        """Keep which run was that night, where one was, and when outcomes are asked for next."""
        super().__init__("there is nothing to do for this night")
        self.run = run
        self.next_pass = next_pass


def done_since(session: Session, account: str, night: date, *, today: date) -> Run | None:
    """The run that was the night of this date or of a later one, which did this one's work; None where none was.

    A night later than today is none: a clock that was once set ahead must not cost the nights until then.
    """
    ahead = session.exec(select(func.max(Run.night)).where(Run.account == account, col(Run.night) > today)).one()
    if ahead is not None:
        _log.warning(
            "a night on record lies ahead of today and does not count; see that this machine's clock is right",
            night=ahead.isoformat(),
            today=today.isoformat(),
        )
    return _first_between(session, account, night, today)


def is_missed(session: Session, account: str, night: date, *, today: date) -> bool:
    """Whether a night that was due has not been done; before an account's first run nothing is missed."""
    has_run = session.exec(select(Run.id).where(Run.account == account).limit(1)).first() is not None
    return has_run and _first_between(session, account, night, today) is None


def expect_undone(
    session: Session, account: str, night: date, *, today: date, if_missed: bool, passes: Sequence[timedelta]
) -> None:
    """Return where a night is to be done that is due, or, with `if_missed`, was.

    Raises:
        NightDoneError: it is not; the error says when outcomes are asked for next, by these spans after a night.
    """
    done = done_since(session, account, night, today=today)
    if done is not None or (if_missed and not is_missed(session, account, night, today=today)):
        raise NightDoneError(None if done is None else done.id, next_pass(session, account, passes))


def end(session: Session, run: int, exit_code: int, *, night: date | None, now: datetime) -> None:
    """Write down that a run has ended and how, and whose night it was where that date has none yet."""
    ended = session.get(Run, run)
    if ended is None:
        return
    ended.ended_at, ended.exit_code = now, exit_code
    if night is not None and _first_between(session, ended.account, night, night) is None:
        ended.night = night
    session.add(ended)


def next_pass(session: Session, account: str, after: Sequence[timedelta]) -> datetime | None:
    """When outcomes of the last night are to be asked for next, by how long after its end; None where that is over.

    A pass that is late does the work of those that were due before it.
    """
    last = session.exec(
        select(Run).where(Run.account == account, col(Run.night).is_not(None)).order_by(col(Run.id).desc()).limit(1)
    ).first()
    if last is None or last.ended_at is None:
        return None
    # A pass or a run by hand asked as well; a backfill perhaps not, nor what died or was stopped.
    asked = session.exec(
        select(Run.started_at).where(
            Run.account == account,
            col(Run.id) > last.id,
            col(Run.command).in_((NIGHTLY, RESOLVING)),
            col(Run.exit_code) < STOPPED_BY_SIGNAL,
        )
    ).all()
    latest = max(asked, default=last.ended_at)
    return next((due for span in sorted(after) if (due := last.ended_at + span) > latest), None)


def _first_between(session: Session, account: str, first: date, last: date) -> Run | None:
    nights = select(Run).where(Run.account == account, col(Run.night).between(first, last))
    return session.exec(nights.order_by(col(Run.night)).limit(1)).first()


_OURS = "oplead-sync"
_LONGEST = 4_096  # characters


class LeaseHeldError(Exception):
    """Another run holds the account; the message says which."""


@dataclass(frozen=True, slots=True)
class Lock:
    """An account's lock, held; its file remembers how far the ledger was, so that an older copy of it is noticed."""

    path: Path
    since: datetime
    epoch: int
    """The ledger's at the last run that held this lock; 0 where none has."""
    request: int
    """The last request that was written down; 0 where none was."""
    file: IO[str]

    def remember(self, epoch: int, request: int) -> None:
        """Put on record, for good, how far the ledger has come."""
        told = {
            "program": _OURS,
            "pid": os.getpid(),
            "since": self.since.isoformat(timespec="seconds"),
            "epoch": epoch,
            "request": request,
        }
        # Written over and cut off then: whoever dies in between leaves no empty file.
        self.file.seek(0)
        self.file.write(json.dumps(told))
        self.file.truncate()
        self.file.flush()
        os.fsync(self.file.fileno())


def lock_of(state: Path) -> Path:
    """Where a state's lock lies."""
    return state.with_name(f"{state.name}.{_OURS}.lock")


@contextmanager
def exclusive(state: Path, *, now: datetime) -> Iterator[Lock]:
    """Hold the account's lock while the block runs; the system lets go of it should the process die.

    Raises:
        LeaseHeldError: another process holds it.
        LedgerError: somebody else's file lies where it should.
    """
    path = lock_of(state)
    open_privately(path, "a").close()
    # Opened without wiping what the holder wrote about itself.
    with open_privately(path, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LeaseHeldError(f"{state}: {_holder(_told(file))}") from None
        lock = Lock(path, now, *_come_to(path, file), file)
        lock.remember(lock.epoch, lock.request)
        yield lock


def _told(file: IO[str]) -> Mapping[str, object] | None:
    """What its last holder wrote; nothing where it is empty, None where it is not ours."""
    try:
        # A power cut may leave a file's length without its contents.
        text = file.read(_LONGEST).strip("\0 \n")
        # The first object only: whoever died while writing may have left the end of a longer one behind it.
        told = json.JSONDecoder().raw_decode(text)[0] if text else {"program": _OURS}
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) and told.get("program") == _OURS else None


def _come_to(path: Path, file: IO[str]) -> tuple[int, int]:
    """The epoch and the request that the ledger had come to."""
    told = _told(file)
    if told is None:
        raise LedgerError(
            f"{path}: this is no lock file of oplead-sync, and was left as it is; move it, or check `state:`"
        )
    epoch, request = (told.get(name, 0) for name in ("epoch", "request"))
    return epoch if isinstance(epoch, int) else 0, request if isinstance(request, int) else 0


def _holder(told: Mapping[str, object] | None) -> str:
    if not told or "pid" not in told:
        return "another run holds this account"
    return f"another run holds this account (process {told['pid']}, since {told.get('since')})"


class LeaseLostError(LedgerError):
    """Another run took over while this one still believed it held the account."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """An account's state, held for writing by one run."""

    engine: Engine
    path: Path
    account: str
    epoch: int
    run: int
    lock: Lock

    def remember(self, request: int) -> None:
        """Have an older copy of the state be noticed: it knows nothing of this request, which is about to be made."""
        self.lock.remember(self.epoch, request)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that commits when the block ends, and nothing when it raises.

        Raises:
            LeaseLostError: another run has taken the account.
            LedgerError: the state cannot be written.
        """
        with explained(self.path), Session(self.engine, expire_on_commit=False) as session, session.begin():
            lease = session.get(Lease, self.account)
            if lease is None or lease.epoch != self.epoch:
                raise LeaseLostError(f"{self.path}: another run has taken this account over; this one stops")
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A consistent view of the state."""
        with reading(self.engine, self.path) as session:
            yield session


@contextmanager
def reading(engine: Engine, path: Path) -> Iterator[Session]:
    """A consistent view of a state, without keeping anyone from writing it."""
    view = engine.execution_options(read_only=True)
    with explained(path), Session(view, expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def held(
    path: Path,
    account: str,
    command: str,
    *,
    pid: int,
    now: datetime,
    first_run: bool = False,
    unless: Callable[[Session], None] | None = None,
) -> Iterator[Ledger]:
    """Take the account for one run and let go of it at the end.

    With `first_run` its state is made, and must not be there; else it must. `unless` is asked before the run is
    recorded; where it raises there was no run.

    Raises:
        LeaseHeldError: another run holds it.
        NoStateError: there is no state, and none is to be made.
        LedgerError: the state cannot be used, or is older than the one that was last used here.
    """
    with ExitStack() as stack:
        # Only what concerns the state is explained as such: the block's own failures pass through as they are.
        with explained(path):
            # Before anything is written: what is missing may be a volume.
            if not first_run and not has_state(path):
                raise missing(path)
            lock = stack.enter_context(exclusive(path, now=now))
            if first_run:
                _expect_none_before(lock, path)
                create_state(path)
            engine = open_engine(path, for_writing=True)
            stack.callback(engine.dispose)
            ledger = _begin(engine, path, account, command, lock, pid=pid, now=now, unless=unless)
            ledger.remember(lock.request)
        yield ledger


def _expect_none_before(lock: Lock, path: Path) -> None:
    """Refuse to begin anew beside the traces of runs that were made here."""
    if lock.epoch and not has_state(path):
        raise LedgerError(
            f"{path}: the state is gone, and this account has run here before (run {lock.epoch} was the last): restore "
            f"it from a backup. To begin anew all the same, delete {lock.path.name} beside it while nothing runs; what "
            "was sent is then not known."
        )


def _expect_not_restored(session: Session, lease: Lease, lock: Lock, path: Path) -> None:
    """Refuse a copy from before the last request: what was sent since is not in it, and would go again."""
    last = session.exec(select(func.max(Request.id))).one() or 0
    if lease.epoch < lock.epoch or last < lock.request:
        raise LedgerError(
            f"{path}: this state is older than what was done here: it ends with run {lease.epoch} and request {last}, "
            f"and there were run {lock.epoch} and request {lock.request}. Is it a restored backup, or did it lose its "
            "-wal file? Bring the newer one back if there is one. Else what was sent since goes again, and a platform "
            f"may count it twice. To go on with this one, delete {lock.path.name} beside it while nothing runs."
        )


def _begin(
    engine: Engine,
    path: Path,
    account: str,
    command: str,
    lock: Lock,
    *,
    pid: int,
    now: datetime,
    unless: Callable[[Session], None] | None = None,
) -> Ledger:
    """Raise the account's epoch, so that whoever held it before can no longer write, and record the run."""
    with Session(engine, expire_on_commit=False) as session, session.begin():
        others = [name for name in session.exec(select(Lease.account)) if name != account]
        if others and session.get(Lease, account) is None:
            raise LedgerError(
                f"{path}: this state holds account {others[0]!r}, not {account!r}. Renamed? The account's name is part "
                "of every key: write the old one again. A new account needs a `state:` of its own."
            )
        lease = session.get(Lease, account) or Lease(account=account, epoch=0, pid=pid, started_at=now)
        _expect_not_restored(session, lease, lock, path)
        if unless is not None:
            unless(session)
        lease.epoch, lease.pid, lease.started_at = lease.epoch + 1, pid, now
        run = Run(account=account, command=command, epoch=lease.epoch, started_at=now)
        session.add_all((lease, run))
        session.flush()
        if run.id is None:
            raise LedgerError(f"{path}: the run could not be recorded")
        return Ledger(engine, path, account, lease.epoch, run.id, lock)


def finish(ledger: Ledger, exit_code: int, *, now: datetime, night: date | None = None) -> None:
    """Write down that the run has ended, and how; and that it was a date's night, where it was and is the first."""
    with ledger.writing() as session:
        end(session, ledger.run, exit_code, night=night, now=now)
