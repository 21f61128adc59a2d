"""Whether an account without a state is one that has run under another name, and would send everything again."""

from collections.abc import Iterable, Mapping

from connectors.language import _, format_list
from jobs.ledger.storage.plain_reads import NeighbouringLedger
from jobs.ledger.storage.state_file import LedgerError
from jobs.logs import Log
from jobs.settings import Settings
from jobs.wiring.account import compile_rules_only

_log = Log(__name__)


def owners_of(settings: Settings) -> frozenset[str]:
    """Return the Google customers and Meta datasets that an account sends to."""
    return frozenset(route.target.owner for route in compile_rules_only(settings).routes)


def accounts_sending_too(
    found: Iterable[NeighbouringLedger | LedgerError], settings: Settings, place: object
) -> dict[str, frozenset[str]]:
    """Return the other accounts whose states show that they send where this one does; warn of those not readable.

    Args:
        found: other states.
        settings: the account.
        place: where its own state is missing.

    Returns:
        The Google customers and Meta datasets that each of them shares with it, by name.

    Raises:
        LedgerError: a state in another file is the account's own.
    """
    owners = owners_of(settings)
    sending: dict[str, frozenset[str]] = {}
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
        elif one.path is not None and one.account == settings.account:
            raise LedgerError(
                _(
                    "{path}: there is no state here, but {name} beside it is one of this account. Name it under "
                    "`state:`, or move it here; a backup that is not to be used belongs in another folder",
                    path=place,
                    name=one.path.name,
                )
            )
        elif shared := one.owners & owners:
            sending[one.account] = sending.get(one.account, frozenset()) | shared
    return sending


def why_same_account(place: object, sending: Mapping[str, frozenset[str]]) -> str:
    """Return the sentence on all other accounts that one without a state may be, by the owners that they share."""
    accounts, owners = _accounts_and_owners(sending)
    if len(sending) > 1:
        return _(
            "{path}: there is no state of this account, but {accounts} send to {owners} too. Is it one of them, "
            "renamed? The account's name is part of every key, and everything would go out again: write the old name "
            "under `account:`. Is it none of them? Then name the settings of all in one command for the first run; in "
            "a fleet, add this one by `fleet accounts add --first-run --not-renamed`",
            path=place,
            accounts=accounts,
            owners=owners,
        )
    return _(
        "{path}: there is no state of this account, but account '{account}' sends to {owners} too. Renamed? The "
        "account's name is part of every key, and everything would go out again: write `account: {account}`. Are they "
        "two accounts? Then name the settings of both in one command for the first run; in a fleet, add this one by "
        "`fleet accounts add --first-run --not-renamed`",
        path=place,
        account=accounts,
        owners=owners,
    )


def why_both_send(place: object, sending: Mapping[str, frozenset[str]]) -> str:
    """Return the sentence on accounts of the fleet that send where one does that joins it with a state."""
    accounts, owners = _accounts_and_owners(sending)
    if len(sending) > 1:
        return _(
            "{path}: {accounts}, which are or were in the fleet, send to {owners} too. Is it one of them, renamed? The "
            "account's name is part of every key, and everything would go out twice: run only one of the two. Is it "
            "none of them? Then name the settings of all in one command, or add this one by `fleet accounts add "
            "--not-renamed`",
            path=place,
            accounts=accounts,
            owners=owners,
        )
    return _(
        "{path}: account '{account}', which is or was in the fleet, sends to {owners} too. Renamed? The account's name "
        "is part of every key, and everything would go out twice: run only one of the two. Are they two accounts? "
        "Then name the settings of both in one command, or add this one by `fleet accounts add --not-renamed`",
        path=place,
        account=accounts,
        owners=owners,
    )


def _accounts_and_owners(sending: Mapping[str, frozenset[str]]) -> tuple[str, str]:
    return format_list(sorted(sending)), ", ".join(sorted(frozenset[str]().union(*sending.values())))
