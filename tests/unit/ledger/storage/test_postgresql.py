"""One PostgreSQL database holds many accounts' ledgers, and each sees and writes its own rows only."""

import json
import shutil
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, timedelta, timezone

import psycopg
import pytest
import sqlalchemy
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, SQLModel, col, func, select

from jobs.exit_codes import Exit
from jobs.ledger import bulk
from jobs.ledger.outbox import outbox
from jobs.ledger.outbox.consents import _RECORD
from jobs.ledger.outbox.outbox import DeliveryMove
from jobs.ledger.report.queries import sum_of_cents
from jobs.ledger.runs import LeaseLostError, Ledger, _begin, open_snapshot
from jobs.ledger.schema import STREAMED, Delivery, Lease, Run, StatusChange, StatusLabel, Transition
from jobs.ledger.storage import database as files
from jobs.ledger.storage import postgresql as storage
from jobs.ledger.storage.lock import LeaseHeldError, LockRecord
from jobs.ledger.storage.postgresql import create_or_upgrade_ledger_tables, open_postgresql
from jobs.ledger.storage.postgresql_state import PostgresqlState
from jobs.ledger.storage.postgresql_tables import postgresql_tables
from jobs.ledger.storage.revisions import MIGRATIONS, REVISIONS, revisions_in
from jobs.ledger.storage.state_file import LedgerError, OtherSchemaError, StateAwayError
from jobs.plan.planner import new_delivery
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import Reason
from jobs.wiring.state import deploy_database
from tests import postgresql
from tests.builders import ACCOUNT, route
from tests.fakes import NIGHT
from tests.unit.ledger.retention.test_erasure import value

OTHER = "autre-compte"
TABLES = SQLModel.metadata.sorted_tables


@pytest.fixture
def server():
    """A server of the tests' own."""
    postgresql.needed()
    return postgresql.server()


@pytest.fixture
def database(server):
    """A new database on it, already deployed."""
    name = server.create()
    yield name
    server.drop(name)


@pytest.fixture
def empty(server):
    """A new database on it without anything."""
    name = server.create(like="template0")
    yield name
    server.drop(name)


@pytest.fixture
def opened(server, database):
    """How to open an account's ledger in it."""
    engines = []

    def opening(account=ACCOUNT, *, for_writing=True):
        engines.append(open_postgresql(server.url(database), account, for_writing=for_writing))
        return engines[-1]

    yield opening
    for engine in engines:
        engine.dispose()


@pytest.fixture
def begin(opened, server, database):
    """How to begin an account's run, whether or not another one is at it."""
    url = SecretStr(server.url(database))

    def beginning(account=ACCOUNT):
        return _begin(opened(account), PostgresqlState(url, account), account, "run", LockRecord(), now=NIGHT)

    return beginning


def whole_row(table, account, number):
    """A row with everything that its table needs."""
    columns = {
        column.name: value(table, column, "L-1")
        for column in table.columns
        if column.primary_key or not (column.nullable or column.server_default)
    }
    ids = {name: number for name in ("id", "run", "request", "delivery") if isinstance(columns.get(name), int)}
    return columns | ids | ({"account": account} if "account" in columns else {})


def fill(engine, account, number):
    """Put a row of an account into every table."""
    with engine.begin() as connection:
        for table in TABLES:
            connection.execute(sqlalchemy.insert(table).values(whole_row(table, account, number)))


def counts(run, tables=TABLES):
    """How many rows of each table a query without any condition finds."""
    return {table.name: run(f'TABLE "{table.name}"') for table in tables}


# ── accounts are kept apart ──────────────────────────────────────────────────────────────────────


@pytest.fixture
def filled(opened):
    """Two accounts with a row in every table."""
    engines = {ACCOUNT: opened(), OTHER: opened(OTHER)}
    for number, (account, engine) in enumerate(engines.items(), start=101):
        fill(engine, account, number)
    return engines


@pytest.mark.parametrize("account", [ACCOUNT, OTHER])
def test_a_query_without_an_account_sees_its_own_rows_only(filled, account):
    """In every table, also those whose rows do not name one."""
    with filled[account].begin() as connection:
        assert dict.fromkeys((table.name for table in TABLES), 1) == counts(
            lambda statement: len(connection.exec_driver_sql(statement).all())
        )


def test_the_owner_of_the_tables_sees_no_more(filled, server, database):
    """Whoever comes past the job, by the address in its settings; without an account, there is nothing."""
    assert filled
    with server.connect(database, user=postgresql.OWNER) as connection:
        for account, rows in ((ACCOUNT, 1), ("", 0), (None, 0), ("no-such-account", 0)):
            if account is not None:
                connection.execute("SELECT set_config('oplead.account', %s, false)", (account,))
            found = counts(lambda statement: len(connection.execute(statement).fetchall()))
            assert {rows} == set(found.values()) or account is None
    with server.connect(database, user=postgresql.OWNER) as connection:
        assert {0} == set(counts(lambda statement: len(connection.execute(statement).fetchall())).values())


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_no_row_of_another_account_is_written(filled, table):
    """Neither added, nor changed, nor taken over, nor erased."""
    row = whole_row(table, OTHER, 102)
    with filled[ACCOUNT].connect() as connection, pytest.raises(DBAPIError) as caught, connection.begin():
        connection.execute(sqlalchemy.insert(table).values(row))
    # An attempt is of the transaction's account, which has no such request.
    assert ("23503" if table.name == "attempt" else "42501") == caught.value.orig.sqlstate
    with filled[ACCOUNT].begin() as connection:
        if table.name == "attempt":  # nothing refers to it
            connection.execute(sqlalchemy.delete(table))
    with filled[OTHER].begin() as connection:
        assert 1 == connection.scalar(select(func.count()).select_from(table))


def test_the_account_is_forgotten_with_its_transaction(opened):
    """A pooler may give the connection to another account's next."""
    with opened().connect() as connection:
        with connection.begin():
            assert ACCOUNT == connection.exec_driver_sql("SELECT current_setting('oplead.account')").scalar()
        driver = connection.connection.driver_connection
        shown = driver.execute("SELECT current_setting('oplead.account', true), current_setting('lock_timeout')")
        assert ("", "0") == shown.fetchone()
        driver.rollback()


def test_a_user_who_sees_every_row_is_refused(server, database):
    """PostgreSQL applies no policy to superusers."""
    url = server.url(database, user="postgres")
    for use in (create_or_upgrade_ledger_tables, lambda url: open_postgresql(url, ACCOUNT, for_writing=False)):
        with pytest.raises(LedgerError, match="sees the rows of every account") as caught:
            use(url)
        assert postgresql.PASSWORD not in str(caught.value)


# ── connections kept for the next account ────────────────────────────────────────────────────────


@pytest.fixture
def keeping(monkeypatch):
    """Make this process one that keeps its connections."""
    monkeypatch.setattr(storage, "_kept", None)
    storage.keep_database_connections()
    yield storage._kept
    if storage._kept._engine is not None:
        storage._kept._engine.pool.close()


def test_a_kept_connection_shows_the_next_account_its_own_rows_only(filled, keeping, server, database):
    """Each is disposed of by whoever is done with it, and goes on."""
    assert filled
    assert keeping
    connections = set()
    for account in (ACCOUNT, OTHER, ACCOUNT):
        engine = open_postgresql(server.url(database), account, for_writing=True)
        with engine.begin() as connection:
            connections.add(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar())
            assert account == connection.exec_driver_sql("SELECT current_setting('oplead.account')").scalar()
            assert {1} == set(counts(lambda text: len(connection.exec_driver_sql(text).all())).values())
        engine.dispose()
    assert 1 == len(connections)


@pytest.fixture
def idle(keeping):
    """How to see the one connection that is kept, as its next user gets it."""

    def seen():
        pool = keeping._engine.pool
        assert (1, 0) == (pool.checkedin(), pool.checkedout())
        driver = pool.connect()
        try:
            # PostgreSQL takes what was set for a transaction for set, though it is over and has its old value again.
            session = "SELECT name, setting FROM pg_settings WHERE source = 'session' AND setting <> reset_val"
            shown = (session, "TABLE run", "SELECT pg_backend_pid()")
            return driver.info.copy(), *(driver.cursor().execute(text).fetchall() for text in shown)
        finally:
            driver.close()

    return seen


def done(engine):
    """All goes well."""
    with engine.begin() as connection:
        connection.exec_driver_sql("TABLE run")


def failed(engine):
    """A statement fails in the middle of a transaction."""
    with pytest.raises(DBAPIError), engine.begin() as connection:
        connection.exec_driver_sql("SELECT 1 / 0")


def abandoned(engine):
    """Nobody reads on in what is streamed."""
    with engine.connect() as connection:
        rows = connection.scalars(select(func.generate_series(1, 10_000)), execution_options=STREAMED)
        assert 1 == next(rows)


@pytest.mark.parametrize("leave", [done, failed, abandoned])
@pytest.mark.parametrize("for_writing", [True, False])
def test_a_kept_connection_is_as_new_however_its_last_user_left_it(idle, server, database, leave, for_writing):
    """Nothing is set, nothing is seen, and nothing of its transaction goes on."""
    open_postgresql(server.url(database), ACCOUNT, for_writing=for_writing).dispose()
    *_more, process = idle()
    leave(open_postgresql(server.url(database), ACCOUNT, for_writing=for_writing))

    assert ({}, [], [], process) == idle()


def test_a_lease_whose_connection_died_leaves_nothing_behind(keeping, server, database):
    """The account can be held again, and only by one."""
    state = PostgresqlState(SecretStr(server.url(database)), ACCOUNT)
    with state.lock_account(now=NIGHT):
        end_all(server, database)
    with state.lock_account(now=NIGHT), pytest.raises(LeaseHeldError), state.lock_account(now=NIGHT):
        pass
    assert 0 == keeping._engine.pool.checkedout()


def end_all(server, database):
    """End each connection to a database."""
    with server.connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", (database,)
        )


def test_the_lease_ends_while_its_connection_is_kept(keeping, server, database):
    """Else nobody could work on the account until this process ends."""
    assert keeping
    state = PostgresqlState(SecretStr(server.url(database)), ACCOUNT)
    with state.lock_account(now=NIGHT), pytest.raises(LeaseHeldError), state.lock_account(now=NIGHT):
        pass
    with server.connect(database) as connection:
        assert 0 == connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()[0]
        kept = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'oplead-sync' AND datname = %s"
        assert 2 == connection.execute(kept, (database,)).fetchone()[0]


def test_connections_to_a_database_that_was_left_are_closed(keeping, server, database):
    """An account may have a database of its own, and its password is for no other account's time."""
    left = server.create()
    for name in (left, database):
        open_postgresql(server.url(name), ACCOUNT, for_writing=True).dispose()

    server.execute(f"DROP DATABASE {left}")  # refused while anybody is connected
    assert database == keeping._engine.url.database


def test_a_kept_database_is_checked_for_each_account(keeping, server, database):
    """Somebody may deploy a newer version between two accounts; this one knows nothing of what it stores."""
    assert keeping
    open_postgresql(server.url(database), ACCOUNT, for_writing=True)
    with server.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(LedgerError, match="a newer oplead-sync set up this database"):
        open_postgresql(server.url(database), OTHER, for_writing=True)


def test_a_kept_database_is_checked_once_for_each_turn_of_an_account(keeping, server, database, monkeypatch):
    """A night opens it several times; the account's next one comes later."""
    checked = []
    monkeypatch.setattr(storage, "_check", checked.append)
    for account in (ACCOUNT, "", ACCOUNT, OTHER, ACCOUNT):
        open_postgresql(server.url(database), account, for_writing=True)
    assert 3 == len(checked)

    keeping._check_at = 0.0
    open_postgresql(server.url(database), ACCOUNT, for_writing=True)
    assert 4 == len(checked)


def test_few_databases_are_remembered(keeping, server, database):
    """Each account may have an address of its own, with its password."""
    assert keeping
    for number in range(storage._DIALECTS + 1):
        url = f"{server.url(database)}&application_name=n{number}"
        open_postgresql(url, ACCOUNT, for_writing=True).dispose()

    assert storage._DIALECTS == storage._dialect.cache_info().currsize


def test_a_kept_connection_that_was_cut_is_replaced(keeping, server, database):
    """A restart of the server between two accounts costs neither of them anything."""
    assert keeping
    for _ in range(2):
        with open_postgresql(server.url(database), ACCOUNT, for_writing=True).begin() as connection:
            assert 0 == connection.scalar(select(func.count()).select_from(Run))
        end_all(server, database)


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────


def plan(ledger, *leads):
    """Add a delivery of each lead; return their ids."""
    with ledger.write_transaction() as session:
        for lead in leads:
            row = {column.name: value(column.table, column, lead) for column in LEADS.columns if not column.nullable}
            session.connection().execute(sqlalchemy.insert(LEADS).values(row | {"account": ledger.account}))
        rows = [new_delivery(route(account=ledger.account), lead) for lead in leads]
        for row in rows:
            row.key = f"{ledger.account} {row.key}"
        outbox.change_delivery_states(
            session, ledger, [DeliveryMove(row, DeliveryState.PENDING, Reason.DUE) for row in rows], now=NIGHT
        )
        return [row.id for row in rows]


LEADS = SQLModel.metadata.tables["lead"]


def test_each_account_counts_its_own_ids(begin):
    """As in a file of its own, so that a ledger can be moved as it is."""
    one, other = begin(), begin(OTHER)
    ids = [plan(ledger, f"{name}-1", f"{name}-2") for name in "AB" for ledger in (one, other)]

    assert [[1, 2], [1, 2], [3, 4], [3, 4]] == ids
    assert one.run == other.run == 1


def test_rows_of_one_statement_get_different_ids(begin):
    """Also where other ids were given to many rows at once before."""
    ledger = begin()
    plan(ledger, "A-1", "A-2", "A-3")
    with ledger.write_transaction() as session:
        columns = new_delivery(route("other"), "A-1").model_dump(exclude={"id"}) | {"state": "pending"}
        session.add_all(rows := [Delivery(**columns | {"occurrence": number, "key": number}) for number in "123"])
        session.flush()

        assert {4, 5, 6} == {row.id for row in rows}
        run = Run.__table__
        values = [whole_row(run, ACCOUNT, 0) | {"night": None} for _ in range(3)]
        session.connection().execute(
            run.insert().values([{k: v for k, v in row.items() if k != "id"} for row in values])
        )
        assert [1, 2, 3, 4] == sorted(session.exec(select(Run.id)))


AWKWARD = (None, "", "NULL", "null", "{}", '{"a,b"}', "a,b", '"', "'", "\\", "\\N", "%s", "\n\t ", "é", "\U0001f642")


def test_rows_of_one_statement_are_stored_as_they_are(begin):
    """A list of values has a notation of its own; an enum stands beside plain text."""
    ledger = begin()
    plan(ledger, "A-1")
    states = (DeliveryState.PENDING, "pending")
    events = (None, b"", b"\x00\\x00", b'{"NULL"}')
    rows = [
        vars(new_delivery(route("other"), "A-1", occurrence=number))
        | {"id": 10 + number, "detail": text, "state": states[number % 2], "event": events[number % 4]}
        for number, text in enumerate(AWKWARD)
    ]
    with ledger.write_transaction() as session:
        bulk.add_rows(session, Delivery, rows)
        columns = select(Delivery.detail, Delivery.state, Delivery.event)
        found = session.exec(columns.where(Delivery.id >= 10).order_by(Delivery.id)).all()

    assert [(row["detail"], row["state"], row["event"]) for row in rows] == found
    assert {len(AWKWARD)} == {len(found)}


def test_every_table_with_ids_counts_its_own(opened, begin):
    """The database knows each of them by name."""
    plan(begin(), "A-1", "A-2")
    counting = (
        "SELECT table_name, column_default FROM information_schema.columns "
        "WHERE starts_with(column_default, 'oplead_next_id')"
    )
    with opened().begin() as connection:
        defaults = dict(connection.exec_driver_sql(counting).all())
        following = {
            name: connection.exec_driver_sql(f"SELECT {default}").scalar() for name, default in defaults.items()
        }
        kept = {name: connection.exec_driver_sql(f"TABLE {name}").rowcount for name in defaults}

    assert {name: count + 1 for name, count in kept.items()} == following
    assert {"run": 2, "delivery": 3, "transition": 3, "status_change": 1}.items() <= following.items()


def test_ids_are_counted_without_reading_what_has_come_since(opened, server, database):
    """A session keeps its first plan, also one made for a table that was empty."""
    table = Run.__table__
    with server.connect(database) as connection:
        connection.execute("VACUUM ANALYZE run")
    rows = [{k: v for k, v in whole_row(table, ACCOUNT, 0).items() if k != "id"} for _ in range(300)]
    with opened().begin() as connection:
        connection.execute(table.insert(), [row | {"night": None} for row in rows])
        scans = connection.exec_driver_sql("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'run'")

        assert 0 == scans.scalar()


READ = "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = %s"


def rows_read(session, name):
    """How many rows of a table this transaction has read."""
    return session.connection().exec_driver_sql(READ, (name,)).scalar()


def test_few_are_found_without_reading_what_else_an_account_has(begin, server, database):
    """However long its history is: a small account's night changes a lead or two."""
    ledger, leads = begin(), [f"A-{number}" for number in range(40)]
    plan(ledger, *leads)
    table = StatusChange.__table__
    row = {k: v for k, v in whole_row(table, ACCOUNT, 0).items() if k != "id"}
    with ledger.write_transaction() as session:
        bulk.add_rows(session, StatusChange, [row | {"id": n, "lead": leads[n % 40]} for n in range(1, 4001)])
    with server.connect(database) as connection:
        connection.execute("ANALYZE")
    with ledger.write_transaction() as session:
        of_leads = select(table.c.id).where(bulk.has_lead_among(table.c.account, table.c.lead))
        by_id = select(table.c.id).where(bulk.column_in_ids(table.c.id, [7, 8]))

        assert 100 == len(list(bulk.select_rows(session, of_leads, ACCOUNT, ["A-1"])))
        assert 100 == rows_read(session, "status_change")
        assert [7, 8] == sorted(session.connection().scalars(by_id))
        assert 102 == rows_read(session, "status_change")


def test_foreign_keys_are_checked_without_reading_an_account_s_other_rows(begin):
    """PostgreSQL keeps how it checks them, as it was planned for empty tables, until the rows are counted."""
    ledger, leads = begin(), [f"A-{number}" for number in range(300)]
    row = whole_row(Transition.__table__, ACCOUNT, 0) | {"run": ledger.run}
    for ever_more in (leads[:1], leads[1:120], leads[120:]):
        ids = plan(ledger, *ever_more)
        with ledger.write_transaction() as session:
            before = rows_read(session, "delivery")
            bulk.add_rows(session, Transition, [row | {"id": -one, "delivery": one} for one in ids])
            read = rows_read(session, "delivery") - before

    assert read <= 3 * len(ids)


def test_an_account_that_joins_later_is_not_taken_to_be_empty(opened, server, database):
    """Else its rows are joined as if there were one: each with all."""
    rows = [{k: v for k, v in whole_row(Run.__table__, ACCOUNT, 0).items() if k != "id"} for _ in range(500)]
    with opened().begin() as connection:
        connection.execute(Run.__table__.insert(), [row | {"night": None} for row in rows])
    with server.connect(database) as connection:
        connection.execute("ANALYZE")
    with opened(OTHER).begin() as connection:
        (plan,) = connection.exec_driver_sql("EXPLAIN (FORMAT JSON) TABLE run").scalar()

        assert 500 == plan["Plan"]["Plan Rows"]


def test_an_answer_is_compared_with_the_same_leads_only(begin):
    """Not with every answer of the account."""
    ledger, leads = begin(), [f"A-{number}" for number in range(100)]
    plan(ledger, *leads)
    given = {
        "of_account": ACCOUNT,
        "at": NIGHT,
        "answers": json.dumps([(lead, "s", "yes", "f", "1") for lead in leads]),
    }
    with ledger.write_transaction() as session:
        connection = session.connection()
        connection.execute(_RECORD, given)
        before = rows_read(session, "consent_answer")
        connection.execute(_RECORD, given)

        assert len(leads) == rows_read(session, "consent_answer") - before
        assert len(leads) == connection.exec_driver_sql("TABLE consent_answer").rowcount


@pytest.fixture
def state(server, database):
    """The account's state there."""
    return PostgresqlState(SecretStr(server.url(database)), ACCOUNT)


def taken_over(begin, done):
    """Take the account over as soon as the database allows; tell by `done`."""
    begin()
    done.set()


def test_nobody_takes_over_in_the_middle_of_a_transaction(begin):
    """What it writes is committed under its lease; the next one is lost."""
    ledger, done = begin(), threading.Event()
    other = threading.Thread(target=taken_over, args=(begin, done))
    with ledger.write_transaction() as session:
        other.start()
        assert not done.wait(1)
        session.get(Run, ledger.run).exit_code = 0
    other.join(30)

    assert done.is_set()
    with pytest.raises(LeaseLostError), ledger.write_transaction():
        pass


def test_what_is_committed_is_on_disk(server, database, begin):
    """Before a request is sent, its intent is; whatever the server, the database or the user is set to."""
    server.execute(f"ALTER ROLE {postgresql.OWNER} IN DATABASE {database} SET synchronous_commit = off")
    with begin().write_transaction() as session:
        assert "on" == session.connection().exec_driver_sql("SHOW synchronous_commit").scalar()


def test_views_are_consistent_and_change_nothing(opened, state):
    """Whatever is committed meanwhile."""
    engine = opened()
    with open_snapshot(engine, state) as session:
        assert [] == session.exec(select(Run)).all()
        with engine.begin() as connection:
            connection.execute(sqlalchemy.insert(Run.__table__).values(**whole_row(Run.__table__, ACCOUNT, 1)))
        assert [] == session.exec(select(Run)).all()
    with pytest.raises(LedgerError, match="25006"), open_snapshot(engine, state) as session:
        session.connection().execute(sqlalchemy.delete(Run.__table__))


def test_streamed_rows_may_be_left_unread(opened, begin, state):
    """Their cursor ends with the transaction."""
    plan(begin(), *(f"L-{number:04}" for number in range(1500)))
    with open_snapshot(opened(), state) as session:
        rows = iter(session.exec(select(Delivery.lead).order_by(Delivery.lead), execution_options=STREAMED))
        assert "L-0000" == next(rows)


# ── what is stored ───────────────────────────────────────────────────────────────────────────────


def test_text_is_ordered_by_its_bytes(opened):
    """Upper case before lower case, accents last, as SQLite does; the server's own language would mix them."""
    labels = ["a", "B", "é", "Z", "e", "É", "z", "œ", "A b", "Ab"]
    with Session(opened()) as session, session.begin():
        session.add_all(StatusLabel(account=ACCOUNT, label=label, seen_at=NIGHT) for label in labels)
        session.flush()
        in_order = session.exec(select(StatusLabel.label).order_by(StatusLabel.label)).all()

        assert sorted(labels) == in_order
        assert ["É", "é", "œ"] == [label for label in in_order if label > "z"]
        above = select(StatusLabel.label).where(col(StatusLabel.label) > "z").order_by(StatusLabel.label)
        assert ["É", "é", "œ"] == session.exec(above).all()
        assert ("A b", "œ") == session.exec(select(func.min(StatusLabel.label), func.max(StatusLabel.label))).one()


def test_times_come_back_in_utc_to_the_microsecond(opened):
    """Whatever zone they came in; one without a zone is refused."""
    at = NIGHT.replace(microsecond=123456).astimezone(timezone(timedelta(hours=5)))
    with Session(opened()) as session, session.begin():
        session.add(StatusLabel(account=ACCOUNT, label="x", seen_at=at))
        session.flush()
        session.expire_all()
        (found,) = session.exec(select(StatusLabel.seen_at))

        assert (at, UTC) == (found, found.tzinfo)


def test_numbers_have_64_bits(begin):
    """Ids of all accounts together, and sums of values."""
    large, ledger = 2**40, begin()
    plan(ledger, "L-1", "L-2")
    with ledger.write_transaction() as session:
        session.add(Run(**whole_row(Run.__table__, ACCOUNT, large)))
        session.exec(sqlalchemy.update(Delivery).values(value="90000000.25"))
        session.flush()

        assert large in session.exec(select(Run.id)).all()
        assert 18000000050 == session.connection().scalar(select(sum_of_cents()))


# ── the schema ───────────────────────────────────────────────────────────────────────────────────


def test_the_deployed_schema_is_that_of_the_models(opened):
    """With the account in every key, alembic finds nothing to change."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415
    from alembic.migration import MigrationContext  # noqa: PLC0415

    tables = postgresql_tables()
    with opened().begin() as connection:
        # Beside the policy that needs it, there is an index that a file has no use for.
        ours = {
            "include_name": lambda name, kind, _parents: (
                name in tables.tables if kind == "table" else name != "start_owner"
            )
        }
        assert [] == compare_metadata(MigrationContext.configure(connection, opts=ours), tables)


CATALOGUES = ("pg_class", "pg_attribute", "pg_attrdef", "pg_constraint", "pg_index", "pg_policy", "pg_proc")


def written(connection):
    """The transactions that wrote what the database says of itself, and its revision."""
    return {
        name: connection.execute(f"SELECT xmin::text, ctid::text FROM {name} ORDER BY 2").fetchall()  # noqa: S608
        for name in (*CATALOGUES, "alembic_version")
    }


def test_deploying_again_changes_nothing(server, database):
    """Not even anything that is as it was."""
    with server.connect(database) as connection:
        before = written(connection)
        deploy_database(server.url(database))

        assert before == written(connection)


@pytest.fixture
def guest(server):
    """A user who may read and write every database's tables, and create nothing."""
    server.execute("CREATE ROLE guest LOGIN IN ROLE pg_read_all_data, pg_write_all_data")
    yield "guest"
    server.execute("DROP ROLE guest")


def test_deploying_again_takes_no_right_to_create(server, guest, database):
    """The tables may belong to somebody else, who deployed them."""
    deploy_database(server.url(database, user=guest))

    with server.connect(database, user=guest) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE something (id integer)")


def test_two_machines_may_deploy_at_once(server, empty):
    """One waits for the other."""
    url = server.url(empty)
    both = [threading.Thread(target=create_or_upgrade_ledger_tables, args=(url,)) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join(60)

    open_postgresql(url, ACCOUNT, for_writing=False).dispose()


OLDER = """
CREATE OR REPLACE FUNCTION oplead_next_id(called text) RETURNS bigint LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off AS $$
BEGIN RETURN 1; END $$
"""
COUNTING = "SELECT prosrc, provolatile, proconfig FROM pg_proc WHERE proname = 'oplead_next_id'"


@pytest.mark.parametrize(
    "change", [OLDER, "ALTER FUNCTION oplead_next_id STABLE", "ALTER FUNCTION oplead_next_id RESET ALL"]
)
def test_deploying_again_renews_how_ids_are_counted(server, begin, database, change):
    """A database gets what a later version counts ids by, also where no migration runs."""
    with server.connect(database, user=postgresql.OWNER) as connection:
        before = connection.execute(COUNTING).fetchall()
        connection.execute(change)
        assert before != connection.execute(COUNTING).fetchall()
        create_or_upgrade_ledger_tables(server.url(database))

        assert before == connection.execute(COUNTING).fetchall()
    assert [1, 2] == [begin().run for _ in range(2)]


FIRST = """
DROP TABLE reported_lead;
ALTER TABLE delivery DROP COLUMN happened_after;
ALTER TABLE lease DROP COLUMN forgotten_place;
ALTER TABLE lease DROP COLUMN restored_at;
ALTER TABLE cursor DROP COLUMN listed_whole;
ALTER TABLE cursor DROP COLUMN listed;
DROP TABLE lead_told_apart;
ALTER TABLE lead DROP COLUMN contact_mark;
ALTER TABLE lead DROP COLUMN reused_in;
ALTER TABLE unreadable_lead DROP COLUMN there;
DROP TABLE former_file;
ALTER TABLE retention_mark DROP COLUMN conversions;
CREATE TABLE monthly_conversions (account text, count integer);
DROP INDEX ix_lead_account_missing_since;
UPDATE alembic_version SET version_num = '0009';
"""
"""Makes a database what the first version that knew PostgreSQL made."""
COLUMNS = """
SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2
"""
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"


def test_an_upgraded_database_is_as_a_new_one(server, database):
    """Its text sorts alike, and its numbers are as large."""
    with server.connect(database, user=postgresql.OWNER) as connection:
        new = [connection.execute(text).fetchall() for text in (COLUMNS, INDEXES)]
        connection.execute(FIRST)
        deploy_database(server.url(database))

        assert new == [connection.execute(text).fetchall() for text in (COLUMNS, INDEXES)]


LATER = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "9000", "{before}"
branch_labels = depends_on = None


def upgrade():
    with op.batch_alter_table("run") as batch:
        batch.add_column(sa.Column("note", sa.Text(), nullable=True))
    op.execute("UPDATE run SET note = account")
    op.drop_table("retired")
"""


RETIRED = """
CREATE TABLE retired (account text);
ALTER TABLE retired ENABLE ROW LEVEL SECURITY;
ALTER TABLE retired FORCE ROW LEVEL SECURITY;
CREATE POLICY own_account ON retired USING (account = current_setting('oplead.account', true))
    WITH CHECK (account = current_setting('oplead.account', true));
"""


@pytest.fixture
def replaced(tmp_path, monkeypatch, server, database):
    """A later version's migrations in the place of this one's: the last changes rows and drops a table."""
    with server.connect(database, user=postgresql.OWNER) as connection:
        connection.execute(RETIRED)
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "9000_later.py").write_text(LATER.format(before=REVISIONS[-1]))
    monkeypatch.setattr("jobs.ledger.storage.revisions.MIGRATIONS", folder)
    return folder


@pytest.fixture
def later(replaced, monkeypatch):
    """A later version, which runs."""
    for module in (files, storage):
        monkeypatch.setattr(module, "REVISIONS", revisions_in(replaced))


@pytest.mark.usefixtures("replaced")
def test_process_whose_installation_is_replaced_refuses_what_the_new_version_deployed(server, opened, database):
    """Its code is the old one, whatever lies in its folder by now."""
    with server.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9000'")

    for use in (opened, lambda: create_or_upgrade_ledger_tables(server.url(database))):
        with pytest.raises(LedgerError, match="a newer oplead-sync set up this database"):
            use()


@pytest.mark.parametrize(
    "change", ["ALTER TABLE run RENAME exit_code TO ended_with", "ALTER TABLE run RENAME TO night"]
)
def test_a_run_that_is_under_way_during_an_upgrade_knows_that_it_met_another_version(begin, server, database, change):
    """It has opened the ledger before; a fleet tries its night again."""
    ledger = begin()
    with server.connect(database, user=postgresql.OWNER) as connection:
        connection.execute(change)

    with (
        pytest.raises(OtherSchemaError, match="run `oplead-sync fleet deploy` first"),
        ledger.write_transaction() as session,
    ):
        session.exec(select(Run)).all()


@pytest.mark.usefixtures("later")
def test_an_older_database_is_refused_until_it_is_deployed(server, opened, database):
    """Migrations run on PostgreSQL as on SQLite, and keep accounts apart."""
    with pytest.raises(LedgerError, match="run `oplead-sync fleet deploy` first"):
        opened()
    create_or_upgrade_ledger_tables(server.url(database))

    with opened().begin() as connection:
        assert "9000" == connection.exec_driver_sql("SELECT * FROM alembic_version").scalar()
        assert [] == connection.exec_driver_sql("SELECT note FROM run").all()
    assert not unguarded(server, database)


def test_a_migration_reaches_the_rows_of_every_account(server, opened, database, request):
    """The owner, who deploys, otherwise sees none; afterwards each account sees its own again."""
    for number, account in enumerate((ACCOUNT, OTHER), start=101):
        fill(opened(account), account, number)
    request.getfixturevalue("later")
    create_or_upgrade_ledger_tables(server.url(database))

    for account in (ACCOUNT, OTHER):
        with opened(account).begin() as connection:
            assert [account] == connection.exec_driver_sql("SELECT note FROM run").scalars().all()
    assert not unguarded(server, database)


def unguarded(server, database):
    """The tables of which the owner sees every row, but for those that are of no account."""
    with server.connect(database) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
            "AND NOT (relforcerowsecurity AND relrowsecurity)"
        )
        return {name for (name,) in rows} - {"alembic_version", "pace"}


def test_deploying_what_is_deployed_waits_for_no_run(server, opened, database, monkeypatch):
    """Nor does a run wait for it: one that reads holds its tables for as long as it reads."""
    monkeypatch.setattr(storage, "_STATEMENT_SECONDS", 1)
    with opened().begin() as connection:
        for table in TABLES:
            connection.exec_driver_sql(f'TABLE "{table.name}"')
        deploy_database(server.url(database))


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE lead NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE lead DISABLE ROW LEVEL SECURITY",
        "DROP POLICY own_account ON lead",
        "ALTER POLICY own_account ON lead USING (true)",
        "ALTER POLICY own_account ON lead WITH CHECK (true)",
    ],
)
def test_a_table_that_shows_too_much_is_isolated_again(server, database, change):
    """By the next deployment."""
    with server.connect(database) as connection:
        found = "SELECT qual, with_check, relforcerowsecurity, relrowsecurity FROM pg_policies, pg_class"
        shown = f"{found} WHERE tablename = relname AND relname = 'lead'"
        before = connection.execute(shown).fetchall()
        connection.execute(change)
        assert before != connection.execute(shown).fetchall()
        create_or_upgrade_ledger_tables(server.url(database))

        assert before == connection.execute(shown).fetchall()


def test_a_database_of_a_newer_version_is_refused(server, opened, database):
    """Also by `fleet deploy`."""
    with opened().begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for use in (create_or_upgrade_ledger_tables, lambda url: open_postgresql(url, ACCOUNT, for_writing=False)):
        with pytest.raises(LedgerError, match="a newer oplead-sync set up this database"):
            use(server.url(database))


def test_a_database_with_tables_of_something_else_is_left_alone(server, empty):
    """Their names are common words."""
    with closing(psycopg.connect(server.url(empty), autocommit=True)) as connection:
        connection.execute("CREATE TABLE lead (id integer)")
    with pytest.raises(LedgerError, match=r"tables of something else \(lead\)"):
        create_or_upgrade_ledger_tables(server.url(empty))


# ── errors ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda url: url.replace("oplead:", "nobody:"), "does not let this user into this database"),
        (lambda url: url.replace("host=/", "host=/no/such/place/"), "the server cannot be reached"),
        (lambda url: url.replace("/test_", "/no_such_"), "does not let this user into this database"),
        (lambda _url: "mysql://u:s3cret-word@h/d", "this is no address of a PostgreSQL database"),
        (lambda _url: "postgresql://u:s3cret-word@h:port/d", "this is no address of a PostgreSQL database"),
        (lambda _url: "postgresql://u@h/d?password=s3cret-word", "its password must stand before the host"),
        (lambda _url: "postgresql://u:x@s3cret-word@h/d", "its user or password holds `@`"),
    ],
)
def test_what_cannot_be_opened_is_told_without_its_password(server, database, change, said):
    """Nor is the user named."""
    with pytest.raises(LedgerError, match=said) as caught:
        open_postgresql(change(server.url(database)), ACCOUNT, for_writing=True)

    assert postgresql.PASSWORD not in str(caught.value)
    assert "nobody" not in str(caught.value)


@pytest.mark.parametrize(
    "change", [lambda url: url.replace("oplead:", "nobody:"), lambda url: url.replace("/test_", "/no_such_")]
)
def test_a_server_that_lets_nobody_in_is_not_away(server, database, change):
    """Nobody who tries again later will get in."""
    with pytest.raises(LedgerError, match="the server runs, and does not let this user into this database") as caught:
        open_postgresql(change(server.url(database)), ACCOUNT, for_writing=True)

    assert Exit.CONFIGURATION == caught.value.exit_code


def test_a_server_without_a_connection_left_may_be_tried_again(server, database):
    """It says so in words only."""
    server.execute(f"ALTER DATABASE {database} CONNECTION LIMIT 0")
    with pytest.raises(StateAwayError, match="the server has no room or no connection left"):
        open_postgresql(server.url(database), ACCOUNT, for_writing=True)


STARTING = """
import itertools, socket, socketserver, sys

COMES_UP_AFTER, ATTEMPTS = float(sys.argv[1]), itertools.count()
UP = b"R\\0\\0\\0\\x08\\0\\0\\0\\0" b"S\\0\\0\\0\\x19client_encoding\\0UTF8\\0" b"Z\\0\\0\\0\\x05I"
SAID = b"SFATAL\\0C57P03\\0Mthe database system is starting up\\0\\0"


class Starting(socketserver.BaseRequestHandler):
    def handle(self):
        if 8 == int.from_bytes(self.request.recv(4, socket.MSG_PEEK), "big"):  # the length of a request for TLS
            self.request.recv(8)
            self.request.sendall(b"N")
        self.request.recv(4096)
        if next(ATTEMPTS) < COMES_UP_AFTER:
            self.request.sendall(b"E" + (len(SAID) + 4).to_bytes(4, "big") + SAID)
        else:
            self.request.sendall(UP)
            self.request.recv(4096)  # until the client leaves


with socketserver.TCPServer(("127.0.0.1", 0), Starting) as serving:
    print(serving.server_address[1], flush=True)
    serving.serve_forever()
"""


@pytest.fixture(params=["inf", "1", "2"])
def starting(request):
    """The port of a server that starts up, and is up after so many attempts.

    A process of its own, since the driver lets no thread run meanwhile.
    """
    command = [sys.executable, "-c", STARTING, request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield int(process.stdout.readline())
        process.kill()


def test_a_server_that_starts_may_be_tried_again(starting):
    """As one that is not there, also if it is up by the time it is asked why."""
    with pytest.raises(StateAwayError, match="the server cannot be reached, or takes no connections now"):
        open_postgresql(f"postgresql://u:p@127.0.0.1:{starting}/d", ACCOUNT, for_writing=True)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-host.invalid"])
def test_a_server_that_is_not_there_may_be_tried_again(host):
    """It may come back, also under its name."""
    with pytest.raises(StateAwayError, match="the server cannot be reached, or takes no connections now"):
        open_postgresql(f"postgresql://u:p@{host}/d", ACCOUNT, for_writing=True)


def test_a_database_that_was_never_deployed_says_what_to_run(server, empty):
    """Opening creates nothing."""
    with pytest.raises(LedgerError, match="run `oplead-sync fleet deploy` first"):
        open_postgresql(server.url(empty), ACCOUNT, for_writing=True)


def test_a_row_is_never_quoted(begin):
    """The server's message would name its values."""
    ledger = begin()
    row = {"account": ACCOUNT, "label": "jane@example.org", "seen_at": NIGHT, "settled": False, "reported": 0}
    with pytest.raises(LedgerError, match="23505") as caught, ledger.write_transaction() as session:
        session.connection().execute(sqlalchemy.insert(StatusLabel.__table__), [row, row])

    assert "jane" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_waiting_for_a_lock_ends(opened, begin, monkeypatch):
    """As for SQLite's."""
    monkeypatch.setattr(storage, "_LOCK_SECONDS", 1)
    ledger = begin()
    with opened().begin() as connection:
        connection.execute(sqlalchemy.update(Lease.__table__).values(pid=1))
        with pytest.raises(LedgerError, match="another program holds what this one needs"), ledger.write_transaction():
            pass


def cut(server, database, session):
    """Have the server end every connection, and notice it."""
    with server.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,))
    session.exec(select(Run)).all()


def test_a_connection_that_was_cut_is_replaced(server, database, begin):
    """A restart of the server costs the transaction it cut, and no other."""
    ledger = begin()
    with pytest.raises(LedgerError, match="ended the connection"), ledger.write_transaction() as session:
        cut(server, database, session)
    with ledger.write_transaction() as session:
        assert 1 == len(session.exec(select(Run)).all())
    assert isinstance(ledger, Ledger)
