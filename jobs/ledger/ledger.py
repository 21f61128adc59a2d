"""The state of one account as the jobs hold it: short transactions, each asserting that we still may write."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from sqlalchemy import Engine
from sqlmodel import Session, func, select

from jobs.ledger import runs
from jobs.ledger.engine import LedgerError, create_state, explained, has_state, missing, open_engine
from jobs.ledger.lease import Lock, exclusive
from jobs.ledger.tables import Lease, Request, Run


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
        runs.end(session, ledger.run, exit_code, night=night, now=now)
