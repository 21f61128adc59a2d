"""How the ledger's columns are stored where that differs between SQLite and PostgreSQL."""

from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, MetaData, String
from sqlalchemy.types import TypeEngine
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from jobs.ledger.times import StoredTime


class StoredText(AutoString):
    """Text that compares and sorts by its bytes, as SQLite's does, whatever language a server speaks."""

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        """Return the database's own type."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(String(collation="C"))
        return super().load_dialect_impl(dialect)


WHOLE = Integer().with_variant(BigInteger(), "postgresql")
"""Whole numbers of 64 bits, as SQLite's are."""


def unify_column_types(metadata: MetaData) -> None:
    """Have the columns of these tables stored alike in both databases.

    Integers have 64 bits, as SQLite's have: ids are unique among all accounts of a database.
    """
    stored: dict[type, TypeEngine[Any]] = {UTCDateTime: StoredTime(), AutoString: StoredText(), Integer: WHOLE}
    for table in metadata.tables.values():
        for column in table.columns:
            column.type = stored.get(type(column.type), column.type)
