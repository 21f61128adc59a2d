"""What a run must not go on from: a state that is lost, older than what was done, or another account's."""

from sqlmodel import Session, func, select

from connectors.language import _
from jobs.ledger.schema import Lease, Request
from jobs.ledger.storage.state import Lock, State
from jobs.ledger.storage.state_file import LedgerError, how_to_begin_anew


def refuse_lost_state(lock: Lock, state: State) -> None:
    """Refuse to create a state where earlier runs have left traces."""
    if lock.epoch and not state.exists():
        raise LedgerError(
            _(
                "{path}: the state is gone, and this account has run here before (run {epoch} was the last): "
                "restore it from a backup, and declare that by `oplead-sync state restored`. Only if there is none, "
                "delete {name} beside it while nothing runs. {anew}",
                path=state,
                epoch=lock.epoch,
                name=lock.name,
                anew=how_to_begin_anew(),
            )
        )


def refuse_outdated_state(session: Session, lease: Lease, lock: Lock, state: State) -> None:
    """Refuse a copy older than the last recorded run or request: what was sent since would be sent again."""
    last = session.exec(select(func.max(Request.id))).one() or 0
    if lease.epoch < lock.epoch or last < lock.last_request_id:
        raise LedgerError(
            _(
                "{path}: this state is older than what was done here: it ends with run {epoch} and request "
                "{last}, and there were run {newer_epoch} and request {newer}. Is it a restored backup, or did "
                "it lose its -wal file? Bring the newer one back if there is one. Else declare it by "
                "`oplead-sync state restored`: what may have been sent since is then sent again only where that "
                "does no harm, or flagged, or held for you.",
                path=state,
                epoch=lease.epoch,
                last=last,
                newer_epoch=lock.epoch,
                newer=lock.last_request_id,
            )
        )


def refuse_other_account(session: Session, account: str, state: State) -> None:
    """Refuse a state that was made for an account of another name, which is part of every key."""
    names = session.exec(select(Lease.account)).all()
    if names and account not in names:
        raise LedgerError(
            _(
                "{path}: this state holds account {other!r}, not {account!r}. Renamed? The account's name "
                "is part of every key: write the old one again. A new account needs a `state:` of its own.",
                path=state,
                other=names[0],
                account=account,
            )
        )
