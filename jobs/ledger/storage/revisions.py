"""The revisions of the ledgers' schema, and what bringing tables to the newest came to."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # slow to load, and few runs upgrade anything
    from alembic.config import Config
    from sqlalchemy import Connection

MIGRATIONS = Path(__file__).parent / "migrations"


def revisions_in(migrations: Path) -> tuple[str, ...]:
    """Return every revision in order, read from the migrations' file-name prefixes."""
    return tuple(sorted(file.name.partition("_")[0] for file in (migrations / "versions").glob("*.py")))


REVISIONS = revisions_in(MIGRATIONS)
"""Those of the code that runs: read once, since a process outlives the files of its version if others replace them."""


def alembic_config(connection: "Connection") -> "Config":
    """Return what Alembic needs to run the migrations on a connection."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """What creating tables, or bringing them up to date, came to."""

    before: str | None
    """The revision that was found; None if there were no tables."""
    after: str
    steps: int
    """How many revisions were applied; 0 if nothing was to be done."""
