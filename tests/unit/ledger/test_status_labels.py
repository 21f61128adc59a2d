"""A state from before labels were remembered knows them all once it is brought up to date."""

import sqlite3
from contextlib import closing

from alembic import command
from alembic.config import Config
from sqlmodel import Session, select

from jobs.ledger import database as engines
from jobs.ledger.database import open_engine
from jobs.ledger.schema import StatusLabel
from tests.builders import hold, lead, read, rulebook
from tests.fakes import FakeSink, FakeSource


def test_labels_of_an_older_state_are_no_new_names(path, clock):
    """A status that leads go on to is no rename only because the version before did not remember it."""
    with hold(path, clock) as ledger:
        read(ledger, FakeSource(lead()), rulebook(), {"google_ads": FakeSink()}, clock)
    _go_back(path, to="0002")
    engine = open_engine(path, for_writing=True)
    with Session(engine) as session:
        labels = session.exec(select(StatusLabel)).all()
        known = {row.label: row.settled for row in labels}
    engine.dispose()

    assert {"nouveau": True, "gagne": True} == known


def _go_back(path, to):
    """Make the state what an older version left."""
    engine = engines._engine(path)
    config = Config()
    config.set_main_option("script_location", str(engines.Path(engines.__file__).parent / "migrations"))
    with engine.connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.downgrade(config, to)
    engine.dispose()
    with closing(sqlite3.connect(path)) as connection:
        assert [] == connection.execute("SELECT name FROM sqlite_master WHERE name = 'label'").fetchall()
