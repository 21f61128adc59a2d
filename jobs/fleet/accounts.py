"""The fleet's accounts: their settings, version by version, and which of them are run."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from psycopg.sql import SQL, Identifier

from connectors.language import _
from jobs.exit_codes import UsageError
from jobs.fleet.database import Connection

_LOCK = 0x6F70_6C65_6164_04
"""Key of the advisory lock under which one account at a time is compared with all others and stored."""
_LOCK_WAIT = "60s"
_ROWS_AT_ONCE = 100


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
    others: Sequence[str] | None = ()
    """The accounts that a human has told apart from it; None if a human says that it is no other under a new name."""


@dataclass(frozen=True, slots=True)
class AddedAccount:
    """What adding an account has changed."""

    version: int | None
    """The number of its settings, if they are new."""
    revived: bool = False
    """Whether it had been removed."""
    allowed_first_run: bool = False
    """Whether a worker may create its state, and might not before."""

    @property
    def changed(self) -> bool:
        """Whether anything has changed."""
        return self.version is not None or self.revived or self.allowed_first_run


def wait_for_other_additions(connection: Connection) -> None:
    """Hold up all others who add accounts until this transaction ends: what it compares with stays as it is.

    Raises:
        psycopg.errors.LockNotAvailable: others took too long.
    """
    connection.execute("SELECT set_config('lock_timeout', %s, true)", [_LOCK_WAIT])
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def add_account(
    connection: Connection,
    name: str,
    text: str,
    *,
    first_run: bool,
    sends_to: Collection[str] = (),
    told_apart: Collection[str] = (),
    not_renamed: bool = False,
) -> AddedAccount:
    """Store an account's settings, and have it looked at now if anything changes.

    An account that was removed comes back; one that is paused stays paused.

    Args:
        connection: a transaction.
        name: the account's name.
        text: its settings.
        first_run: whether it has never run.
        sends_to: the Google customers and Meta datasets in the settings; those of earlier ones stay on record.
        told_apart: the accounts that a human tells apart from it; those of before stay on record.
        not_renamed: whether a human says that it is no other account under a new name; until it sends elsewhere.
    """
    digest = sha256(text.encode()).hexdigest()
    # The row of the account, which is locked from here on, lets one writer at a time count versions.
    created = connection.execute(
        "INSERT INTO fleet_account (name, first_run) VALUES (%s, %s) ON CONFLICT DO NOTHING", [name, first_run]
    ).rowcount
    known = connection.execute(
        "SELECT removed_at, first_run, not_renamed FROM fleet_account WHERE name = %s FOR UPDATE", [name]
    ).fetchone()
    last = connection.execute(
        "SELECT version, digest FROM fleet_settings WHERE account = %s ORDER BY version DESC LIMIT 1", [name]
    ).fetchone()
    version = 1 if last is None else int(last["version"]) + 1
    added = AddedAccount(
        version if last is None or last["digest"] != digest else None,
        revived=not created and known is not None and known["removed_at"] is not None,
        allowed_first_run=not created
        and known is not None
        and (first_run or known["first_run"])
        and (not known["first_run"] or bool(told_apart) or (not_renamed and not known["not_renamed"])),
    )
    # That it is no other account was said of where it sent then.
    connection.execute(
        """
        UPDATE fleet_account SET
            not_renamed = %(not_renamed)s OR (not_renamed AND sends_to @> %(sends_to)s::text[]),
            sends_to = ARRAY(SELECT DISTINCT unnest(sends_to || %(sends_to)s::text[]) ORDER BY 1),
            told_apart = ARRAY(SELECT DISTINCT unnest(told_apart || %(told_apart)s::text[]) ORDER BY 1)
        WHERE name = %(name)s
        """,
        {"not_renamed": not_renamed, "sends_to": list(sends_to), "told_apart": list(told_apart), "name": name},
    )
    if added.version is not None:
        connection.execute(
            "INSERT INTO fleet_settings (account, version, text, digest) VALUES (%s, %s, %s, %s)",
            [name, version, text, digest],
        )
    if added.changed:
        connection.execute(
            """
            UPDATE fleet_account SET
                added_at = CASE WHEN removed_at IS NULL THEN added_at ELSE now() END,
                night_at = CASE WHEN removed_at IS NULL THEN night_at END,
                removed_at = NULL, first_run = first_run OR %s, due_at = now(),
                failures = 0, held = 0, lost = 0
            WHERE name = %s
            """,
            [first_run, name],
        )
    return added


# ── the others ───────────────────────────────────────────────────────────────────────────────────


def accounts_sending_to(connection: Connection, name: str, owners: Collection[str]) -> dict[str, frozenset[str]]:
    """Return each other account that sends or has sent to one of these owners, and to which; removed ones too."""
    rows = connection.execute(
        "SELECT name, sends_to FROM fleet_account WHERE name <> %s AND sends_to && %s::text[] ORDER BY name",
        [name, list(owners)],
    )
    return {row["name"]: frozenset(owners) & frozenset(row["sends_to"]) for row in rows}


def accounts_told_apart(connection: Connection, name: str) -> frozenset[str]:
    """Return those that a human has told apart from this one, by adding either; the fleet may not have them."""
    rows = connection.execute(
        """
        SELECT unnest(told_apart) AS name FROM fleet_account WHERE name = %(name)s
        UNION SELECT name FROM fleet_account WHERE %(name)s = ANY (told_apart)
        """,
        {"name": name},
    )
    return frozenset(row["name"] for row in rows)


def is_told_apart_from_all(connection: Connection, name: str, owners: Collection[str]) -> bool:
    """Return whether a human has said that an account that may have its first run is no other one that sends there."""
    return (
        connection.execute(
            "SELECT FROM fleet_account WHERE name = %s AND first_run AND not_renamed AND sends_to @> %s::text[]",
            [name, list(owners)],
        ).rowcount
        == 1
    )


def may_create_state(connection: Connection, name: str) -> bool | None:
    """Return whether a worker may create the account's state, as somebody has allowed before; None for a new name."""
    row = connection.execute("SELECT first_run FROM fleet_account WHERE name = %s", [name]).fetchone()
    return None if row is None else bool(row["first_run"])


def accounts_with_runs(connection: Connection, names: Collection[str]) -> frozenset[str]:
    """Return which of these accounts have a run on record that wrote to a state, which `delete_old_runs` keeps.

    One that is open may have, and one whose worker died.
    """
    rows = connection.execute(
        """
        SELECT name FROM unnest(%s::text[]) AS name WHERE (
            SELECT true FROM fleet_run WHERE account = name AND (ledger_run IS NOT NULL OR exit_code IS NULL) LIMIT 1
        )
        """,
        [list(names)],
    )
    return frozenset(row["name"] for row in rows)


def similar_names(connection: Connection, name: str) -> Sequence[str]:
    """Return the names of other accounts, removed ones too, that differ from a name by - and _ alone."""
    rows = connection.execute(
        """
        SELECT name FROM fleet_account
        WHERE name <> %(name)s AND translate(name, '-_', '') = translate(%(name)s, '-_', '') ORDER BY name
        """,
        {"name": name},
    )
    return [row["name"] for row in rows]


def settings_of_others(connection: Connection, name: str, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the name and current settings of each other account whose settings hold one of the words, by name.

    So that one of thousands can be checked against all others without reading their settings; paused ones count too.
    """
    if not words:
        return
    # A few at a time: the server would end a transaction that leaves it idle while all of them are loaded.
    with connection.cursor("others") as rows:
        rows.itersize = _ROWS_AT_ONCE
        rows.execute(
            """
            SELECT a.name, s.text FROM fleet_account a JOIN LATERAL (
                SELECT text FROM fleet_settings WHERE account = a.name ORDER BY version DESC LIMIT 1
            ) s ON true
            WHERE a.removed_at IS NULL AND a.name <> %s
                AND EXISTS (SELECT 1 FROM unnest(%s::text[]) AS word WHERE strpos(s.text, word) > 0)
            ORDER BY a.name
            """,
            [name, words],
        )
        for row in rows:
            yield row["name"], row["text"]


# ── one of them ──────────────────────────────────────────────────────────────────────────────────


def latest_settings(connection: Connection, name: str) -> StoredSettings | None:
    """Return an account's current settings; None if it is paused, removed or unknown.

    Until the transaction ends, `erase_account` waits, so that it sees a run that this one begins.
    """
    # A statement of its own: one that waits for a row reads that row as it is then, but all others as they were before,
    # so that old settings would run by what a human has just said of new ones.
    connection.execute("SELECT FROM fleet_account WHERE name = %s FOR KEY SHARE", [name])
    row = connection.execute(
        """
        SELECT s.account, s.version, s.text, a.first_run, a.added_at, a.asked_at, CASE
            WHEN a.not_renamed THEN NULL
            WHEN a.first_run THEN
                a.told_apart || ARRAY(SELECT name FROM fleet_account AS other WHERE a.name = ANY (other.told_apart))
            ELSE '{}'
        END AS others
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
    """Have a paused account run again, and look at once whether a night was missed.

    Its nights of before are not late: nothing was expected of it.
    """
    _update(
        connection,
        name,
        """
        UPDATE fleet_account SET
            night_at = CASE WHEN NOT paused THEN night_at END, paused = false, due_at = now(),
            failures = 0, held = 0, lost = 0
        WHERE name = %s AND removed_at IS NULL
        """,
    )


def remove_account(connection: Connection, name: str) -> None:
    """Take an account out of the fleet; its settings and runs stay on record, and its state is not touched."""
    _update(
        connection,
        name,
        "UPDATE fleet_account SET removed_at = now(), asked_at = NULL WHERE name = %s AND removed_at IS NULL",
    )


def erase_account(connection: Connection, name: str) -> None:
    """Delete what the fleet has of an account, which is removed unless it was before; its state is not touched.

    Its name stays, and where it has sent, so that it is recognised if it comes back under another name.

    Raises:
        UsageError: a worker is at it, or the fleet has never had it.
    """
    if connection.execute("SELECT FROM fleet_account WHERE name = %s FOR UPDATE", [name]).rowcount == 0:
        raise _unknown(name)
    if connection.execute("SELECT FROM fleet_run WHERE account = %s AND ended_at IS NULL", [name]).rowcount:
        raise UsageError(
            _(
                "{name}: a worker is running this account; take it out with `fleet accounts remove`, and repeat this "
                "with --erase once that run has ended",
                name=name,
            )
        )
    connection.execute(
        "UPDATE fleet_account SET removed_at = coalesce(removed_at, now()), asked_at = NULL WHERE name = %s", [name]
    )
    for table in ("fleet_problem", "fleet_run", "fleet_settings"):
        connection.execute(SQL("DELETE FROM {} WHERE account = %s").format(Identifier(table)), [name])


def request_immediate_run(connection: Connection, name: str) -> None:
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
        raise _unknown(name)


def _unknown(name: str) -> UsageError:
    return UsageError(_("the fleet has no account {name}; `fleet accounts list` shows them", name=name))


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
