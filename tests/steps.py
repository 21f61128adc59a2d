"""Counts the steps of SQLite's machine, which say how work grows and are the same on every machine."""

import sqlite3
from contextlib import contextmanager

import pytest

EVERY = 10
"""A step in so many is seen; a statement that is run again goes on counting where it stood."""


class Steps:
    """How many steps were made."""

    def __init__(self):
        self.count = 0

    def _seen(self):
        self.count += EVERY
        return 0


@contextmanager
def counted_steps():
    """Count what every connection does that is opened meanwhile."""
    steps = Steps()
    connect = sqlite3.connect

    def opening(*args, **options):
        connection = connect(*args, **options)
        connection.set_progress_handler(steps._seen, EVERY)
        return connection

    with pytest.MonkeyPatch.context() as patch:
        # SQLAlchemy looks it up in one place, our own code in the other.
        patch.setattr(sqlite3, "connect", opening)
        patch.setattr(sqlite3.dbapi2, "connect", opening)
        yield steps
