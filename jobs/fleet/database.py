"""The fleet's database: its address, and connections to it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row

from connectors.language import _
from jobs.database_address import split_address
from jobs.exit_codes import CommandError, UsageError
from jobs.settings.references import ReferenceResolver, read_env_file

SCHEMA = "oplead_fleet"
"""The schema with the fleet's tables and procrastinate's."""
VARIABLE = "OPLEAD_SYNC_DATABASE"
VARIABLE_OF_FILE = f"{VARIABLE}_FILE"
_CONNECT_SECONDS = 10
Connection = psycopg.Connection[DictRow]


class FleetDatabaseError(CommandError):
    """The database cannot be used; the message never holds its password."""


@dataclass(frozen=True, slots=True)
class FleetDatabase:
    """A PostgreSQL database and how to connect to it."""

    url: str = field(repr=False)

    @property
    def secrets(self) -> Iterator[str]:
        """What logs must not show."""
        yield self.url
        if password := conninfo_to_dict(self.url).get("password"):
            yield str(password)

    @property
    def connect_options(self) -> dict[str, Any]:
        """What each connection adds to the address."""
        return {
            "options": f"-c search_path={SCHEMA}",
            "application_name": "oplead-sync",
            "connect_timeout": _CONNECT_SECONDS,
        }

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Yield a connection; the block is one transaction.

        Raises:
            FleetDatabaseError: the database cannot be reached, or a statement failed.
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
    except psycopg.errors.UndefinedTable:
        raise FleetDatabaseError(_("the database holds no fleet yet: run `oplead-sync fleet deploy` once")) from None
    except psycopg.Error as error:
        # Not the whole text: a statement's error quotes values.
        said = error.diag.message_primary or str(error).partition("\n")[0]
        raise FleetDatabaseError(_("the fleet's database: {why}", why=said)) from None


def find_database(written: str | None, environ: Mapping[str, str], folder: Path) -> FleetDatabase:
    """Return the database named by `--database` or else by the environment.

    Args:
        written: `${VARIABLE}`, `file:/path`, or an address without a password.
        environ: where variables are looked up first, before the `.env` in `folder`.
        folder: where relative paths start.

    Raises:
        UsageError: no database is named, or the address cannot be used.
    """
    references = ReferenceResolver(environ, folder, read_env_file(folder))
    try:
        url = _address(written, references, environ)
        parts = conninfo_to_dict(url)
        split_address(url)
    except psycopg.Error:
        raise UsageError(_("this is no address of a database; write postgresql://user@host/name")) from None
    except ValueError as error:
        raise UsageError(_("the fleet's database: {why}", why=error)) from None
    if written == url and "password" in parts:
        raise UsageError(
            _(
                "everyone on this machine can read a password that is typed: put the address into {variable}, or write "
                "--database file:/path",
                variable=VARIABLE,
            )
        )
    return FleetDatabase(url)


def _address(written: str | None, references: ReferenceResolver, environ: Mapping[str, str]) -> str:
    if written is not None:
        return written if written.startswith("postgres") else references.secret(written)
    if path := environ.get(VARIABLE_OF_FILE):
        return references.secret(f"file:{path}")
    return references.secret(f"${{{VARIABLE}}}")
