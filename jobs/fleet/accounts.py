"""The fleet's accounts: their settings, version by version, and which of them are run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from connectors.language import _
from jobs.exit_codes import UsageError
from jobs.fleet.database import Connection


@dataclass(frozen=True, slots=True)
class StoredSettings:
    """One version of an account's settings."""

    account: str
    version: int
    text: str
    first_run: bool
    """Whether the account has never run, so that its state may be created."""
    added_at: datetime
    """When the account was added."""
    asked_at: datetime | None
    """When somebody asked for a run at once."""


def add_account(connection: Connection, name: str, text: str, *, first_run: bool) -> int | None:
    """Store an account's settings, and have it looked at now; return their version, or None if nothing changed.

    An account that was removed comes back; one that is paused stays paused.
    """
    digest = sha256(text.encode()).hexdigest()
    connection.execute(
        """
        INSERT INTO fleet_account AS known (name, first_run) VALUES (%(name)s, %(first_run)s)
        ON CONFLICT (name) DO UPDATE SET
            removed_at = NULL,
            added_at = CASE WHEN known.removed_at IS NULL THEN known.added_at ELSE now() END,
            first_run = known.first_run OR excluded.first_run
        """,
        {"name": name, "first_run": first_run},
    )
    # The row of the account, which is locked by now, lets one writer at a time count versions.
    last = connection.execute(
        "SELECT version, digest FROM fleet_settings WHERE account = %s ORDER BY version DESC LIMIT 1", [name]
    ).fetchone()
    if last is not None and last["digest"] == digest:
        return None
    version = 1 if last is None else int(last["version"]) + 1
    connection.execute(
        "INSERT INTO fleet_settings (account, version, text, digest) VALUES (%s, %s, %s, %s)",
        [name, version, text, digest],
    )
    connection.execute("UPDATE fleet_account SET due_at = now(), failures = 0 WHERE name = %s", [name])
    return version


def latest_settings(connection: Connection, name: str) -> StoredSettings | None:
    """Return an account's current settings; None if it is paused, removed or unknown."""
    row = connection.execute(
        """
        SELECT s.account, s.version, s.text, a.first_run, a.added_at, a.asked_at
        FROM fleet_account a JOIN fleet_settings s ON s.account = a.name
        WHERE a.name = %s AND a.removed_at IS NULL AND NOT a.paused
        ORDER BY s.version DESC LIMIT 1
        """,
        [name],
    ).fetchone()
    return None if row is None else StoredSettings(**row)


def pause_account(connection: Connection, name: str) -> None:
    """Have an account run no more until it is resumed; a run under way ends by itself."""
    _update(connection, name, "UPDATE fleet_account SET paused = true WHERE name = %s AND removed_at IS NULL")


def resume_account(connection: Connection, name: str) -> None:
    """Have a paused account run again, and look at once whether a night was missed."""
    _update(
        connection,
        name,
        """
        UPDATE fleet_account SET paused = false, due_at = now(), failures = 0 WHERE name = %s AND removed_at IS NULL
        """,
    )


def remove_account(connection: Connection, name: str) -> None:
    """Take an account out of the fleet; its settings and runs stay on record, and its state is not touched."""
    _update(
        connection,
        name,
        "UPDATE fleet_account SET removed_at = now(), asked_at = NULL WHERE name = %s AND removed_at IS NULL",
    )


def ask_for_run(connection: Connection, name: str) -> None:
    """Have an account's night run now, whether or not it is due.

    Raises:
        UsageError: the account is paused, or unknown.
    """
    _update(
        connection,
        name,
        """
        UPDATE fleet_account SET asked_at = now(), due_at = now() WHERE name = %s AND removed_at IS NULL AND NOT paused
        """,
    )


def _update(connection: Connection, name: str, statement: str) -> None:
    if connection.execute(statement.encode(), [name]).rowcount == 0:
        row = connection.execute("SELECT paused, removed_at FROM fleet_account WHERE name = %s", [name]).fetchone()
        if row is not None and row["removed_at"] is None:
            raise UsageError(_("{name} is paused: resume it first", name=name))
        raise UsageError(_("the fleet has no account {name}; `fleet accounts list` shows them", name=name))


@dataclass(frozen=True, slots=True)
class ListedAccount:
    """An account, as a list shows it."""

    name: str
    version: int
    paused: bool
    added_at: datetime
    due_at: datetime


def list_accounts(connection: Connection) -> Sequence[ListedAccount]:
    """Return the accounts that were not removed, by name."""
    rows = connection.execute(
        """
        SELECT a.name, max(s.version) AS version, a.paused, a.added_at, a.due_at
        FROM fleet_account a JOIN fleet_settings s ON s.account = a.name
        WHERE a.removed_at IS NULL GROUP BY a.name ORDER BY a.name
        """
    )
    return [ListedAccount(**row) for row in rows]
