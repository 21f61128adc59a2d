"""Where an account's webhooks arrive, by its settings."""

from collections.abc import Callable
from typing import TYPE_CHECKING, assert_never

from pydantic import SecretStr

from jobs.settings.oplead_schema import WebhookSettings
from jobs.settings.types import StateDatabaseAddress, StateFile
from jobs.webhooks.file_inbox import WebhookInboxFile
from jobs.webhooks.inbox import InboxLocation

if TYPE_CHECKING:  # few need its driver
    from jobs.ledger.storage.postgresql import SharedDatabase


def shared_database(url: SecretStr) -> "SharedDatabase":
    """Return a database in which accounts have their inboxes; nothing is opened yet."""
    from jobs.ledger.storage.postgresql import SharedDatabase  # noqa: PLC0415

    return SharedDatabase(url.get_secret_value())


def inbox_location(
    state: StateFile | StateDatabaseAddress | None,
    account: str,
    webhooks: WebhookSettings | None,
    *,
    database_at: "Callable[[SecretStr], SharedDatabase]" = shared_database,
) -> InboxLocation:
    """Return where an account's webhooks arrive: beside its state, whether that is a file or a database.

    Args:
        state: where the account's state lies.
        account: its name.
        webhooks: its settings for webhooks, which may name another file.
        database_at: returns the database at an address, the same one to accounts that share its connections.
    """
    match state:
        case None:
            raise ValueError("settings read from a file always name their state")
        case StateFile():
            own = f"{account}.inbox.db"
            return WebhookInboxFile((webhooks and webhooks.inbox) or state.folder / own)
        case StateDatabaseAddress(url):
            from jobs.webhooks.postgresql_inbox import WebhookInboxTable  # noqa: PLC0415 - few need its driver

            return WebhookInboxTable(database_at(url), account)
        case never:
            assert_never(never)
