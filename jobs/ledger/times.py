"""How the ledger's times are stored: as SQLModel stores them, but written and read by one call for each."""

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Dialect
from sqlmodel.sql.sqltypes import UTCDateTime


class StoredTime(UTCDateTime):
    """SQLModel's type for aware times in UTC; what it does in three calls for each value took a tenth of a night."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], object] | None:
        """Return what makes SQLite's text of a time; raises ValueError for a naive one."""
        return _to_text if dialect.name == "sqlite" else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], datetime | None] | None:
        """Return what makes a time of SQLite's text."""
        return _from_text if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def _to_text(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError("a time needs a zone")
    return moment.astimezone(UTC).isoformat(" ", "microseconds")[:-6]


def _from_text(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text + "+00:00")
