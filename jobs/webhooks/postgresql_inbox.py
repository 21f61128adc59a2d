"""An inbox in a PostgreSQL database, beside the accounts' ledgers: any number of receivers write to it at once.

Readers keep their place as one number, so an event's id must be larger than every id committed before it. A sequence
would not do: a transaction that took its number first may commit last, and a reader would have passed it over. So one
transaction at a time writes to an account's inbox, and takes the number after the last.
"""

import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.types import BigInteger

from connectors.language import _
from connectors.records import LeadId
from jobs.exit_codes import CommandError
from jobs.webhooks.inbox import APPEND, LATEST_ID, Dialect, Inbox, InboxContents, StatementResult, Values

_ACCOUNT = text("current_setting('oplead.account', true)")
_WRITERS = 0x4F504C49  # "OPLI"
"""The seed of the keys of our locks, which are others than those of runs."""
# A writer that is paused must not keep the account's other receivers waiting for long.
_HOLD = text("""
SELECT set_config('idle_in_transaction_session_timeout', '5s', true),
pg_advisory_xact_lock(hashtextextended(current_setting('oplead.account'), :seed))
""")
_MAKE = "INSERT INTO webhook_inbox (identity, salt) VALUES (:identity, :salt) ON CONFLICT (account) DO NOTHING"
_ADOPT = "UPDATE webhook_inbox SET identity = :identity, salt = :salt"
_TAKEN = """
INSERT INTO webhook_move (taken_to) VALUES (:to) ON CONFLICT (account) DO UPDATE SET taken_to = excluded.taken_to
"""
_COPY = """
INSERT INTO webhook_event (id, received_at, kind, lead, label, at, appointment_at, structure, digest, is_unique)
VALUES (:id, :received_at, :kind, :lead, :label, :at, :appointment_at, :structure, :digest, :is_unique)
"""


class InboxDatabase(Protocol):
    """A database in which accounts have their inboxes; as text, what messages call it."""

    def engine_for_account(self, account: str, *, for_writing: bool) -> Engine:
        """Return an engine whose transactions see this account's rows only; raises `CommandError` if it has none."""

    def explaining_errors(self) -> AbstractContextManager[None]:
        """Raise the database's errors within the block as `CommandError`."""

    def close(self) -> None:
        """Close its connections."""


def inbox_tables() -> MetaData:
    """Return the tables to create, with the account first in every key, as the ledgers' tables have it."""
    tables, plain = MetaData(), Text(collation="C")  # times are compared as text
    Table(
        "webhook_inbox",
        tables,
        Column("account", plain, primary_key=True, server_default=_ACCOUNT),
        Column("identity", plain, nullable=False),
        Column("salt", LargeBinary, nullable=False),
    )
    Table(
        "webhook_move",
        tables,
        Column("account", plain, primary_key=True, server_default=_ACCOUNT),
        # the id, in the inbox that was moved here, of the last event that was taken over
        Column("taken_to", BigInteger, nullable=False),
    )
    event = Table(
        "webhook_event",
        tables,
        Column("account", plain, server_default=_ACCOUNT),
        Column("id", BigInteger, autoincrement=False),
        Column("received_at", plain, nullable=False),
        *(Column(name, plain) for name in ("kind", "lead", "label", "at", "appointment_at")),
        Column("structure", plain, nullable=False),
        Column("digest", plain, nullable=False),
        Column("is_unique", Boolean, nullable=False),
        PrimaryKeyConstraint("account", "id"),
    )
    unique, unknown = event.c.is_unique, event.c.kind.is_(None)
    Index("ix_webhook_event_digest", event.c.account, event.c.digest, unique=True, postgresql_where=unique)
    Index("ix_webhook_event_lead", event.c.account, event.c.lead, event.c.id)
    Index("ix_webhook_event_received_at", event.c.account, event.c.received_at)
    Index("ix_webhook_event_not_understood", event.c.account, event.c.id, postgresql_where=unknown)
    return tables


@dataclass(frozen=True, slots=True)
class _DatabaseTransaction:
    connection: Connection

    def run(self, statement: str, values: Values | Sequence[Values]) -> StatementResult:
        """Run a statement."""
        many = [dict(each) for each in values] if isinstance(values, Sequence) else dict(values)
        return self.connection.execute(text(statement), many, execution_options={"preserve_rowcount": True})

    def leads_parameter(self, leads: Collection[LeadId]) -> list[str]:
        """Return leads as one value."""
        return list(leads)

    def identity(self) -> str:
        """Return the identity of the account's inbox; empty before it is made."""
        return str(self.connection.execute(text("SELECT identity FROM webhook_inbox")).scalar() or "")

    def salt(self) -> bytes:
        """Return the account's salt."""
        return bytes(self.connection.execute(text("SELECT salt FROM webhook_inbox")).scalar_one())

    def taken_to(self) -> int | None:
        """Return the last event taken over from the inbox that was moved here; None if none was moved."""
        return self.connection.execute(text("SELECT taken_to FROM webhook_move")).scalar()


class PostgresqlInbox(Inbox):
    """One account's inbox in a database; use each instance from one thread at a time."""

    _dialect: ClassVar[Dialect] = Dialect(
        table="webhook_event",
        new_id="(SELECT coalesce(max(id), 0) + 1 FROM webhook_event)",
        same_lead="(lead = :lead OR lead IS NULL AND :lead IS NULL)",
        among="lead = ANY(:leads)",
        unique="account, digest",
    )

    def __init__(self, database: InboxDatabase, account: str, *, for_writing: bool) -> None:
        """Use a database that has the tables."""
        super().__init__()
        self._database = database
        self._engine = database.engine_for_account(account, for_writing=for_writing)

    def create_if_missing(self) -> None:
        """Make the inbox, unless it is there."""
        with self._writing() as transaction:
            transaction.run(_MAKE, {"identity": secrets.token_hex(16), "salt": secrets.token_bytes(32)})

    def import_inbox_contents(self, identity: str, events: InboxContents) -> None:
        """Store an inbox's events as they are, in place of an empty one.

        Repeated, it adds what has come since, under ids after all that receivers have stored here meanwhile. What was
        taken over before is told by its id there, which no other event ever has: what was erased here since stays so.

        Raises:
            CommandError: this account has other events here.
        """
        rows = [{**row, "is_unique": bool(row["is_unique"])} for row in events.rows]
        with self._writing() as transaction:
            taken_to = transaction.taken_to()
            ((latest,),) = transaction.run(self._dialect.adapt_sql_statement(LATEST_ID), {}).fetchall()
            is_repeated = taken_to is not None and transaction.identity() == identity
            if not is_repeated and (latest or taken_to):
                raise CommandError(
                    _("{place}: webhooks of this account have arrived here already", place=self._database)
                )
            if not is_repeated:
                transaction.run(_ADOPT, {"identity": identity, "salt": events.salt})
            if new := [row for row in rows if row["id"] > (taken_to or 0)]:
                transaction.run(self._dialect.adapt_sql_statement(APPEND) if is_repeated else _COPY, new)
            transaction.run(_TAKEN, {"to": rows[-1]["id"] if rows else 0})

    def close(self) -> None:
        """Close the database's connections, also for the other accounts that share them."""
        self._database.close()

    def identity(self) -> str:
        """Return what tells this inbox from another that was made in its place; empty before it is made."""
        with self._reading() as transaction:
            return transaction.identity()

    @contextmanager
    def _reading(self) -> Iterator[_DatabaseTransaction]:
        with self._database.explaining_errors(), self._engine.begin() as connection:
            yield _DatabaseTransaction(connection)

    @contextmanager
    def _writing(self) -> Iterator[_DatabaseTransaction]:
        with self._database.explaining_errors(), self._engine.begin() as connection:
            # What was committed before the lock was had is seen by every statement after this one.
            connection.execute(_HOLD, {"seed": _WRITERS})
            yield _DatabaseTransaction(connection)


@dataclass(frozen=True, slots=True)
class WebhookInboxTable:
    """An inbox's place: rows of a table."""

    database: InboxDatabase
    account: str

    def __str__(self) -> str:
        return str(self.database)

    def exists(self) -> bool:
        """Return whether a receiver has ever made the inbox."""
        inbox = self.open_inbox_for_reading()
        if inbox is None:
            return False
        inbox.close()
        return True

    def open_inbox_for_writing(self) -> PostgresqlInbox:
        """Open the inbox, making it if it is missing."""
        inbox = PostgresqlInbox(self.database, self.account, for_writing=True)
        inbox.create_if_missing()
        return inbox

    def open_inbox_for_reading(self) -> PostgresqlInbox | None:
        """Open the inbox; None if no receiver has ever made one."""
        inbox = PostgresqlInbox(self.database, self.account, for_writing=False)
        if inbox.identity():
            return inbox
        inbox.close()
        return None

    @property
    def storage_files(self) -> tuple[Path, ...]:
        """None: the server reuses the space of what was erased."""
        return ()
