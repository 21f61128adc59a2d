"""The fleet's database: its address, and connections to it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row

from connectors.language import _
from jobs.database_address import CONNECT_OPTIONS, passwords_in_address, split_database_address
from jobs.exit_codes import CommandError, Exit, UsageError
from jobs.ledger.storage.postgresql_errors import SEES_EVERY_ACCOUNT, diagnose_error
from jobs.settings.references import SecretReferenceResolver, read_env_file
from jobs.settings.secrets_command import SecretsCommandFailedError

SCHEMA = "oplead_fleet"
"""The schema with the fleet's tables and procrastinate's."""
VARIABLE = "OPLEAD_SYNC_DATABASE"
VARIABLE_OF_FILE = f"{VARIABLE}_FILE"
OPTION = "--database"
_IDLE_SECONDS = 20
"""How long a transaction may leave the server without work: a paused worker must not keep the others from looking."""
Connection = psycopg.Connection[DictRow]


class FleetDatabaseError(CommandError):
    """The database cannot be used; the message says what to do, and never holds its password."""


class FleetAwayError(FleetDatabaseError):
    """The database is away, full or busy, and may be tried again."""

    exit_code = Exit.HELD


class OtherVersionError(CommandError):
    """The database's tables are of another version than this program; the message says what to do."""


class UpgradedError(OtherVersionError):
    """The tables were upgraded under a worker, which may be of their version once it is started again."""

    exit_code = Exit.HELD


@dataclass(frozen=True, slots=True)
class FleetDatabase:
    """A PostgreSQL database and how to connect to it."""

    url: str = field(repr=False)

    @property
    def secrets(self) -> Iterator[str]:
        """What logs must not show."""
        yield self.url
        yield from passwords_in_address(self.url)

    @property
    def shown_database_address(self) -> str:
        """Where it is, without user, password and options."""
        parts = conninfo_to_dict(self.url)
        host, port = parts.get("host") or "localhost", parts.get("port")
        return f"postgresql://{host}{f':{port}' if port else ''}/{parts.get('dbname', '')}"

    @property
    def connect_options(self) -> dict[str, Any]:
        """What each connection adds to the address."""
        return {
            **CONNECT_OPTIONS,
            "options": f"-c search_path={SCHEMA} -c idle_in_transaction_session_timeout={_IDLE_SECONDS}s",
        }

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Yield a connection; the block is one transaction.

        Raises:
            FleetAwayError: the database is away; it may be tried again.
            FleetDatabaseError: it cannot be used until somebody mends it, or a statement failed.
        """
        with explaining_database_errors():
            connection = psycopg.Connection.connect(self.url, row_factory=dict_row, **self.connect_options)
            with connection:
                yield connection


@contextmanager
def explaining_database_errors() -> Iterator[None]:
    """Raise `FleetDatabaseError` for an error of the database."""
    try:
        yield
    except psycopg.Error as error:
        raise explained(error) from None


def explained(error: BaseException) -> FleetDatabaseError:
    """Return what to do about an error of the database, which one of a library's may have caused."""
    cause = error.__cause__ or error
    if isinstance(cause, FleetDatabaseError):
        return cause
    if isinstance(cause, psycopg.errors.UndefinedTable):
        return FleetDatabaseError(_("the database holds no fleet yet: run `oplead-sync fleet deploy` once"))
    if type(cause).__name__ == "PoolTimeout":  # the library's, of its own pool, which could not connect
        cause = psycopg.OperationalError(str(cause))
    found = diagnose_error(cause)
    # Not the whole text: a statement's error quotes values.
    said = cause.diag.message_primary if isinstance(cause, psycopg.Error) else None
    said = said or str(cause).partition("\n")[0] or found.name
    message = _("the fleet's database: {advice} ({why})", advice=_(found.advice), why=said)
    return FleetAwayError(message) if found.is_away else FleetDatabaseError(message)


def clock_error(connection: Connection) -> timedelta:
    """Return how far this machine's clock is ahead of the server's; negative if it is behind.

    The server looked at its own between the question and the answer: however long that took, it is no error.
    """
    asked_at = datetime.now(UTC)
    row = connection.execute("SELECT clock_timestamp() AS now").fetchone()
    answered_at = datetime.now(UTC)
    if row is None:
        raise AssertionError("SELECT without FROM returns a row")
    now: datetime = row["now"]
    return max(asked_at - now, timedelta()) + min(answered_at - now, timedelta())


def refuse_omnipotent_user(connection: Connection) -> None:
    """Return if PostgreSQL keeps accounts apart for this user.

    Raises:
        FleetDatabaseError: it shows the user every account's rows, and so does every state that lies here.
    """
    row = connection.execute(SEES_EVERY_ACCOUNT).fetchone()
    if row is not None and row["sees_all"]:
        raise FleetDatabaseError(
            _(
                "the fleet's database: this user sees the rows of every account; use one without SUPERUSER and "
                "BYPASSRLS, to whom the database belongs"
            )
        )


def find_fleet_database(written: str | None, environ: Mapping[str, str], folder: Path) -> FleetDatabase:
    """Return the database named by `--database` or else by the environment.

    Args:
        written: `${VARIABLE}`, `file:/path`, or an address without a password.
        environ: where variables are looked up first, before the `.env` in `folder`.
        folder: where relative paths start.

    Raises:
        FleetAwayError: the secrets command failed; it may be asked again.
        UsageError: no database is named, or the address cannot be used.
    """
    references = SecretReferenceResolver(environ, folder, read_env_file(folder), reads_own=True)
    source, reference = _reference(written, environ)
    is_typed = source == OPTION and reference.startswith("postgres")
    try:
        url = reference if is_typed else references.secret(reference)
        parts = conninfo_to_dict(url)
        split_database_address(url)
    except psycopg.Error:
        raise UsageError(
            _("{source}: this is no address of a database; write postgresql://user@host/name", source=source)
        ) from None
    except ValueError as error:
        message = _("the fleet's database, by {source}: {why}", source=source, why=error)
        raise (FleetAwayError if isinstance(error, SecretsCommandFailedError) else UsageError)(message) from None
    if is_typed and "password" in parts:
        raise UsageError(
            _(
                "everyone on this machine can read a password that is typed: put the address into {variable}, or write "
                "--database file:/path",
                variable=VARIABLE,
            )
        )
    return FleetDatabase(url)


def _reference(written: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return what names the database, and the reference that it holds."""
    if written is not None:
        return OPTION, written
    if path := environ.get(VARIABLE_OF_FILE):
        return VARIABLE_OF_FILE, f"file:{path}"
    return VARIABLE, f"${{{VARIABLE}}}"
