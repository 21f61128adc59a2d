"""Looking for leads in doubt: what keeps it from looking is no answer that there are none."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from jobs.account import lead_search
from jobs.account.lead_search import next_lead_search, search_leads_in_doubt
from jobs.oplead_commands.creation import looking
from jobs.oplead_commands.creation.looking import Search
from jobs.oplead_commands.creation.outbox import (
    LeadToCreate,
    lead_creation_outbox_path,
    lock_lead_creation_outbox,
    open_outbox,
)

NOW = datetime(2026, 9, 1, 8, tzinfo=UTC)


@pytest.fixture
def account(tmp_path, monkeypatch):
    """The settings of an account with three leads in doubt that nobody found, and the file that remembers them."""
    path = lead_creation_outbox_path(tmp_path, "maison-durand")
    with lock_lead_creation_outbox(path, now=lambda: NOW) as outbox:
        for key in "abc":
            outbox.record_request_in_flight(LeadToCreate(key, "content", None, has_provider_url=False), now=NOW)
    execute(path, "UPDATE creation SET state = 'in_doubt', looked_at = '2026-09-04T08:00:00+00:00'")
    monkeypatch.setattr(lead_search, "search_outbox", lambda _path, doubtful, *_, **__: Search(still_in_doubt=doubtful))
    monkeypatch.setattr(lead_search, "reference_path", lambda _settings: None)
    return SimpleNamespace(state=SimpleNamespace(folder=tmp_path), account="maison-durand", path=path)


def execute(path, statement):
    """Change the outbox."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def search(account, faults):
    """Look for all that is in doubt; return how many are undecided, whether it was done, and why the file was not."""
    clock = SimpleNamespace(now=lambda: NOW)
    done = search_leads_in_doubt(account, clock, lambda: None, faults, every=True)
    return done.undecided, done.is_done, done.damage and done.damage.values["why"]


def test_counts_those_on_which_somebody_must_decide(account):
    """Each night does."""
    faults = []

    assert ((3, True, None), []) == (search(account, faults), faults)
    assert next_lead_search(account) is not None


def test_damaged_value_is_damage_and_not_none_in_doubt(account):
    """`schedule` goes on without it; the night tells."""
    execute(account.path, "UPDATE creation SET sent_at = 'garbage' WHERE key = 'a'")
    faults = []

    assert ((0, False, "SQLITE_CORRUPT"), []) == (search(account, faults), faults)
    assert next_lead_search(account) is None


def test_file_that_is_no_outbox_is_not_none_in_doubt(account):
    """Commands that create leads say what to do about it."""
    account.path.write_bytes(b"garbage" * 1000)

    assert (0, False, "SQLITE_NOTADB") == search(account, [])


def test_the_outbox_is_read_once_for_a_search(account, monkeypatch):
    """It is opened again only to write, where a look is due."""
    opened = []
    monkeypatch.setattr(looking, "open_outbox", lambda path: opened.append(path) or open_outbox(path))

    search(account, [])

    assert [account.path] == opened
