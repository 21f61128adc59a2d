"""How the ledger stores times."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import UTCDateTime

from jobs.ledger import schema
from jobs.ledger.times import StoredTime

SQLITE = SQLiteDialect()
BIND, RESULT = StoredTime().bind_processor(SQLITE), StoredTime().result_processor(SQLITE, None)
ZONES = st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours)))


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=ZONES))  # noqa: DTZ001 - zoned by `timezones`
def test_a_time_is_stored_and_read_as_sqlmodel_does_it(moment):
    """Whatever its zone, and to the microsecond."""
    theirs = UTCDateTime().dialect_impl(SQLITE)

    text = BIND(moment)

    assert theirs.bind_processor(SQLITE)(moment) == text
    assert theirs.result_processor(SQLITE, None)(text) == RESULT(text) == moment
    assert UTC is RESULT(text).tzinfo


def test_no_time_stays_none():
    """A column without a time has none."""
    assert BIND(None) is RESULT(None) is None


def test_a_naive_time_is_refused():
    """It could be any instant of a day."""
    with pytest.raises(ValueError, match="zone"):
        BIND(datetime(2026, 9, 1))  # noqa: DTZ001 - what is tested


def test_every_time_of_the_ledger_is_stored_so():
    """A table that is added later, too."""
    types = {type(column.type) for table in SQLModel.metadata.tables.values() for column in table.columns}

    assert schema.Delivery.__table__.name in SQLModel.metadata.tables
    assert StoredTime in types
    assert UTCDateTime not in types


def test_another_database_stores_times_in_its_own_way():
    """Only SQLite has them as text."""
    other, moment = PGDialect(), datetime(2026, 9, 1, tzinfo=UTC)

    assert UTCDateTime().bind_processor(other)(moment) == StoredTime().bind_processor(other)(moment)
