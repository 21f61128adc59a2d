"""A database in which many accounts have their rows, opened by whichever of them needs it first."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine

from jobs.ledger.storage.postgresql import SharedDatabase
from jobs.ledger.storage.state_file import StateAwayError

ACCOUNTS = 8
PATIENCE = 30


@pytest.fixture
def opening(monkeypatch):
    """Opens the database for whoever asks, and notes each attempt."""

    class Opening:
        def __init__(self):
            self.attempts = 0
            self.is_away = False
            self.has_all_asked = threading.Event()

        def __call__(self, *_, **__):
            self.attempts += 1
            assert self.has_all_asked.wait(PATIENCE)
            if self.is_away:
                raise StateAwayError("dropped")
            return create_engine("sqlite://")

    made = Opening()
    monkeypatch.setattr("jobs.ledger.storage.postgresql.open_postgresql", made)
    return made


class Turns:
    """A lock that says when every account has asked for it."""

    def __init__(self, has_all_asked):
        self._lock = threading.Lock()
        self._asking = threading.Semaphore(ACCOUNTS - 1)
        self._has_all_asked = has_all_asked

    def __enter__(self):
        if not self._asking.acquire(blocking=False):
            self._has_all_asked.set()
        self._lock.acquire()

    def __exit__(self, *_):
        self._lock.release()


def ask_at_once(shared, opening):
    """What became of each account's request, made while the first one's was under way."""
    shared._opening = Turns(opening.has_all_asked)

    def ask(number):
        try:
            return shared.engine_for_account(f"account-{number}", for_writing=True).pool
        except StateAwayError as error:
            return str(error)

    with ThreadPoolExecutor(ACCOUNTS) as threads:
        return list(threads.map(ask, range(ACCOUNTS), timeout=PATIENCE))


def test_accounts_that_need_a_database_at_once_open_it_once(opening):
    """Each has the same connections, under its own name."""
    found = ask_at_once(SharedDatabase("postgresql://"), opening)

    assert 1 == opening.attempts
    assert [found[0]] * ACCOUNTS == found


def test_database_that_is_away_is_tried_once_for_all_accounts_and_again_soon(opening, monkeypatch):
    """A server that drops what is sent to it would hold each of them for as long as connecting may take."""
    opening.is_away = True
    shared = SharedDatabase("postgresql://")
    monkeypatch.setattr("jobs.ledger.storage.postgresql._AWAY_SECONDS", PATIENCE)
    found = ask_at_once(shared, opening)
    attempts = opening.attempts
    shared._try_at = opening.is_away = 0
    shared.engine_for_account("one", for_writing=True)

    assert ["dropped"] * ACCOUNTS == found
    assert [1, 2] == [attempts, opening.attempts]
