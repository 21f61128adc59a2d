"""Whether an account may run: its state is there, or it never ran before and is told to begin."""

import structlog

from jobs.cli.accounts import state_of
from jobs.ledger.engine import LedgerError, has_state, missing
from jobs.ledger.neighbours import Neighbour, Unreadable, neighbours
from jobs.settings import Settings
from jobs.wiring import rules_alone

_PASSED_OVER = "a file beside the state cannot be read: if it is this account's, what it tells of goes out again"
_log = structlog.stdlib.get_logger()


def expect_state(settings: Settings, *, first_run: bool = False, others: frozenset[str] = frozenset()) -> None:
    """Return where the account's state is there, or with `first_run` where it is to be made and may be.

    Args:
        settings: the account.
        first_run: whether a human says that it never ran before.
        others: accounts that are known to be others, so that their states are not taken for this one's.

    Raises:
        LedgerError: it is lost, or lies beside under another name; the message says what to do.
    """
    path = state_of(settings)
    if has_state(path):
        if first_run:
            raise LedgerError(f"{path}: this account has its state already; leave --first-run out")
        return
    expect_no_other(settings, others)
    if not first_run:
        raise missing(path)


def expect_no_other(settings: Settings, others: frozenset[str]) -> None:
    """Return where no other state in the folder of the account's own, which is not there, is probably this account's.

    Raises:
        LedgerError: one is; the message says what to do.
    """
    path = state_of(settings)
    for one in neighbours(path):
        if isinstance(one, Unreadable):
            # No reason to refuse: it may be anybody's, and stay as it is for good.
            _log.warning(_PASSED_OVER, why=one.why)
            continue
        said = _kinship(one, settings, others)
        if said:
            raise LedgerError(f"{path}: there is no state here, but {one.path.name} beside it is {said}")


def _kinship(one: Neighbour, settings: Settings, others: frozenset[str]) -> str | None:
    """Why another state is probably this account's; None where it is not."""
    if one.account == settings.account:
        return (
            "one of this account. Name it under `state:`, or move it here; a backup that is not to be used belongs "
            "in another folder"
        )
    shared = one.owners & owners_of(settings)
    if not shared or one.account in others:
        return None
    return (
        f"that of account {one.account!r}, which sends to {', '.join(sorted(shared))} too. Renamed? The account's name "
        f"is part of every key, and everything would go out again: write `account: {one.account}`. Are they two "
        "accounts? Then name the settings of both in one command for the first run"
    )


def owners_of(settings: Settings) -> frozenset[str]:
    """The platforms' accounts that this one sends to."""
    return frozenset(route.target.owner for route in rules_alone(settings).routes)
