"""What a run must not go on from: a state that is lost, older than what was done, or another account's."""

from pathlib import Path

from connectors.language import _
from jobs.ledger.storage.forgotten_place import ForgottenPlace, refuse_other_place
from jobs.ledger.storage.plain_reads import LedgerProgress
from jobs.ledger.storage.state import Lock, State
from jobs.ledger.storage.state_file import LedgerError, how_to_begin_anew


def refuse_unusable_ledger(
    found: LedgerProgress, account: str, lock: Lock, state: State | Path, place: ForgottenPlace | None
) -> None:
    """Refuse what no run goes on from, by what the lock, to which the place belongs if there is one, remembers.

    Raises:
        LedgerError: the ledger is another account's, or older than what was done, or the place is another.
    """
    refuse_other_account(found, account, state)
    refuse_outdated_state(found, lock, state)
    if place is not None:
        refuse_other_place(place, found.forgotten_place)


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


def refuse_outdated_state(found: LedgerProgress, lock: Lock, state: State | Path) -> None:
    """Refuse a copy older than the last recorded run or request: what was sent since would be sent again."""
    if found.epoch < lock.epoch or found.last_request_id < lock.last_request_id:
        raise LedgerError(
            _(
                "{path}: this state is older than what was done here: it ends with run {epoch} and request "
                "{last}, and there were run {newer_epoch} and request {newer}. Is it a restored backup, or did "
                "it lose its -wal file? Bring the newer one back if there is one. Else declare it by "
                "`oplead-sync state restored`: what may have been sent since is then sent again only where that "
                "does no harm, or flagged, or held for you.",
                path=state,
                epoch=found.epoch,
                last=found.last_request_id,
                newer_epoch=lock.epoch,
                newer=lock.last_request_id,
            )
        )


def refuse_other_account(found: LedgerProgress, account: str, state: State | Path) -> None:
    """Refuse a state that was made for an account of another name, which is part of every key."""
    if found.accounts and account not in found.accounts:
        raise LedgerError(
            _(
                "{path}: this state holds account {other!r}, not {account!r}. Renamed? The account's name "
                "is part of every key: write the old one again. A new account needs a `state:` of its own.",
                path=state,
                other=min(found.accounts),
                account=account,
            )
        )
