"""An account whose history has grown beyond all measure, on PostgreSQL: a night reads none of what did not change."""

from contextlib import closing
from datetime import timedelta

import pytest

from tests import postgresql
from tests.builders import lead

pytestmark = [pytest.mark.parametrize("database", ["postgresql"]), pytest.mark.xdist_group("postgresql")]

LEADS = 20
HISTORY = 100_000
"""Rows of each table, beside the few that nights have written."""
FEW = 20 * LEADS
"""Rows that a night may read: some for each lead."""
DAY = timedelta(days=1)
OLD_RUN = """
INSERT INTO run (account, id, command, epoch, started_at, ended_at, exit_code)
SELECT account, 0, command, epoch, started_at - interval '400 days', ended_at - interval '400 days', exit_code
FROM run WHERE id = 1
"""
CHANGES = """
INSERT INTO status_change (account, id, lead, label, at, date_only, origin, seen_at)
SELECT account, 1000000 * id + nth, lead, 'nouveau', at - nth * interval '1 second', date_only, origin, seen_at
FROM status_change, generate_series(1, %s) AS nth WHERE label = 'gagne'
"""
TRANSITIONS = """
INSERT INTO transition (account, id, delivery, run, at, from_state, to_state, reason)
SELECT account, 1000000 * id + nth, delivery, 0, at - interval '400 days', 'pending', 'pending', 'due'
FROM transition, generate_series(1, %s) AS nth WHERE from_state IS NULL
"""
READ = """
SELECT t.relname, t.seq_tup_read + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes i WHERE i.relid = t.relid)
FROM pg_stat_user_tables t WHERE t.relname IN ('status_change', 'transition')
"""
OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def poison(account):
    """Give each lead and its delivery a history, as one of years that nobody ever cut short."""
    with closing(postgresql.server().connect(account.state.database)) as connection:
        connection.execute(OLD_RUN)
        for statement in (CHANGES, TRANSITIONS):
            connection.execute(statement, [HISTORY // LEADS])
        connection.execute("ANALYZE")
        tables = ("status_change", "transition")
        return [connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables]  # noqa: S608


def read_so_far(account):
    """How many rows of each history were read, once every process of the server has said so."""
    account.state.engine.dispose()
    with closing(postgresql.server().connect(account.state.database)) as connection:
        postgresql.wait_until(lambda: connection.execute(OTHERS).fetchone() == (0,))
        return dict(connection.execute(READ).fetchall())


def test_night_reads_no_history_of_what_did_not_change(account):
    """Its duration is that of its news, however much is on record."""
    account.put(*(lead(f"L-{number}") for number in range(LEADS)))
    for _ in range(3):
        account.night()
        account.clock.time += DAY
    assert {"accepted"} == set(account.states.values())
    stored = poison(account)
    before = read_so_far(account)

    account.night()
    after = read_so_far(account)

    assert min(stored) > HISTORY
    assert {} == {name: after[name] - before[name] for name in after if after[name] - before[name] > FEW}
