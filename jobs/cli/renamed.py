"""Whether an account without a state is one that has run under another name, and would send everything again."""

from collections.abc import Iterable

from connectors.language import _
from jobs.ledger.storage.plain_reads import NeighbouringLedger
from jobs.ledger.storage.state_file import LedgerError
from jobs.logs import Log
from jobs.settings import Settings
from jobs.wiring.account import compile_rules_only

_log = Log(__name__)


def owners_of(settings: Settings) -> frozenset[str]:
    """Return the Google customers and Meta datasets that an account sends to."""
    return frozenset(route.target.owner for route in compile_rules_only(settings).routes)


def why_same_account(
    found: Iterable[NeighbouringLedger | LedgerError], settings: Settings, place: object, others: frozenset[str] | None
) -> str | None:
    """Return why another state is probably this account's, or None; warn of those that cannot be read.

    Args:
        found: other states.
        settings: the account.
        place: where its own state is missing.
        others: names of other accounts; None if a human says that no other is this one.
    """
    owners = owners_of(settings)
    for one in found:
        if isinstance(one, LedgerError):
            # Don't refuse to run: the file may be unrelated, and unreadable for good.
            _log.warning(
                _(
                    "a file beside the state cannot be read: if it is this account's, what it has on record goes out "
                    "again"
                ),
                why=str(one),
            )
        elif why := _why_same_account(one, settings.account, owners, place, others):
            return why
    return None


def _why_same_account(
    one: NeighbouringLedger, account: str, owners: frozenset[str], place: object, others: frozenset[str] | None
) -> str | None:
    if one.path is not None and one.account == account:
        return _(
            "{path}: there is no state here, but {name} beside it is one of this account. Name it under `state:`, or "
            "move it here; a backup that is not to be used belongs in another folder",
            path=place,
            name=one.path.name,
        )
    if others is None or one.account in others:
        return None
    shared = one.owners & owners
    if not shared:
        return None
    if one.path is None:
        return why_same_account_of_database(place, one.account, shared)
    return _(
        "{path}: there is no state here, but {name} beside it is that of account '{account}', which sends to {owners} "
        "too. Renamed? The account's name is part of every key, and everything would go out again: write "
        "`account: {account}`. Are they two accounts? Then name the settings of both in one command for the first run; "
        "in a fleet, add this one by `fleet accounts add --first-run --not-renamed`",
        path=place,
        name=one.path.name,
        account=one.account,
        owners=", ".join(sorted(shared)),
    )


def why_same_account_of_database(place: object, account: str, shared: frozenset[str]) -> str:
    """Return the sentence on another account of the database, or of the fleet, that sends to the same owners."""
    return _(
        "{path}: there is no state of this account, but account '{account}' sends to {owners} too. Renamed? The "
        "account's name is part of every key, and everything would go out again: write `account: {account}`. Are they "
        "two accounts? Then name the settings of both in one command for the first run; in a fleet, add this one by "
        "`fleet accounts add --first-run --not-renamed`",
        path=place,
        account=account,
        owners=", ".join(sorted(shared)),
    )


def why_both_send(place: object, account: str, shared: frozenset[str]) -> str:
    """Return the sentence on an account of the fleet that sends where one does that joins it with a state."""
    return _(
        "{path}: account '{account}', which is or was in the fleet, sends to {owners} too. Renamed? The account's name "
        "is part of every key, and everything would go out twice: run only one of the two. Are they two accounts? "
        "Then name the settings of both in one command, or add this one by `fleet accounts add --not-renamed`",
        path=place,
        account=account,
        owners=", ".join(sorted(shared)),
    )
