"""Brings a state up to this version's tables; one that already has them is only asked for its revision."""

from pathlib import Path
from threading import Lock

from sqlalchemy import Connection, column, inspect, select, table

MIGRATIONS = Path(__file__).parent / "migrations"
_ALEMBIC = Lock()
"""It keeps what it works on in variables of the whole process, and accounts are opened side by side."""
_VERSION = table("alembic_version", column("version_num"))


class CannotUpgradeError(Exception):
    """The state stays as it is; the message says why, and what to do."""


def head() -> str:
    """The newest revision: the files of the migrations begin with theirs, in order."""
    return max(file.name for file in (MIGRATIONS / "versions").glob("*.py")).partition("_")[0]


def bring_up_to_date(connection: Connection, *, may_change: bool) -> None:
    """Upgrade the state where it is older and may be changed.

    Raises:
        CannotUpgradeError: it is older and may not be changed, from a newer version, or an upgrade failed.
    """
    with connection.execution_options(read_only=True).begin():
        found = _stored(connection)
    # Nearly every opening ends here: alembic takes longer to load than all else it takes to open a state.
    if found != [head()]:
        _upgrade(connection, found, may_change=may_change)


def _stored(connection: Connection) -> list[str]:
    if not inspect(connection).has_table(_VERSION.name):
        return []
    return list(connection.scalars(select(_VERSION.c.version_num)))


def _upgrade(connection: Connection, found: list[str], *, may_change: bool) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415
    from alembic.util.exc import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    for revision in found:
        if revision not in known:
            raise CannotUpgradeError(
                f"this state was written by a newer oplead-sync (revision {revision}); nothing was changed. "
                "Run the version that wrote it, or upgrade this one."
            )
    if not may_change:
        raise CannotUpgradeError("this state is from an older version; the next `oplead-sync run` brings it up to date")
    connection = connection.execution_options(read_only=False)
    config.attributes["connection"] = connection
    try:
        with _ALEMBIC, connection.begin():
            command.upgrade(config, "head")
    except CommandError as error:
        raise CannotUpgradeError(f"the state could not be brought up to date: {error}") from None
