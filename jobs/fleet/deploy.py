"""Creates the fleet's tables and procrastinate's, and brings both up to date."""

from contextlib import suppress
from functools import cache
from importlib.resources import files

from psycopg.errors import DeadlockDetected
from psycopg.sql import SQL, Identifier

from connectors.language import _
from jobs.fleet.database import (
    SCHEMA,
    Connection,
    FleetDatabase,
    FleetDatabaseError,
    OtherVersionError,
    refuse_omnipotent_user,
)
from jobs.ledger.storage.revisions import REVISIONS, SchemaChange

_OLDEST_SERVER = 150_000
_LOCK = 0x6F70_6C65_6164_01
"""Key of the advisory lock that lets one deployment at a time through."""
_MOST_DEADLOCKS = 3
"""How many deadlocks a deployment survives; each takes the server a second to find."""

_TABLES = """
CREATE TABLE fleet_account (
    name text PRIMARY KEY,
    paused boolean NOT NULL DEFAULT false,
    -- whether a worker may create the account's state, since the account has never run
    first_run boolean NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz,
    -- when to work on it next
    due_at timestamptz NOT NULL DEFAULT now(),
    -- when its first night that is not done was or will be due
    night_at timestamptz,
    -- how often in a row the work on it failed
    failures integer NOT NULL DEFAULT 0,
    -- when somebody asked for a run at once
    asked_at timestamptz
);
CREATE INDEX fleet_account_due ON fleet_account (due_at) WHERE removed_at IS NULL AND NOT paused;

CREATE TABLE fleet_settings (
    account text NOT NULL REFERENCES fleet_account,
    version integer NOT NULL,
    text text NOT NULL,
    digest text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, version)
);

CREATE TABLE fleet_run (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account text NOT NULL REFERENCES fleet_account,
    job bigint NOT NULL,
    worker text NOT NULL,
    settings_version integer NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    -- night, outcomes, inbox, nothing, or unable: its machine lacks something
    task text,
    -- null while it runs, and for good if its worker died
    exit_code smallint,
    -- the run's number in the account's ledger
    ledger_run bigint,
    -- a sentence in English without personal data
    why text
);
CREATE INDEX fleet_run_of_account ON fleet_run (account, id DESC);
CREATE INDEX fleet_run_open ON fleet_run (job) WHERE ended_at IS NULL;
"""
_PROBLEMS = """
CREATE TABLE fleet_problem (
    account text NOT NULL REFERENCES fleet_account,
    -- tells it from the account's other problems
    cause text NOT NULL,
    -- equal for all accounts that have the same problem
    same_as text NOT NULL,
    -- in English, and translated where it is shown; empty where the account's run says it
    title text NOT NULL,
    -- what its words are made of: ids and counts, never personal data
    details text NOT NULL,
    since timestamptz NOT NULL,
    -- when it was last found
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account, cause)
);

CREATE TABLE fleet_notice (
    same_as text NOT NULL,
    -- a fingerprint: addresses are secrets
    address text NOT NULL,
    -- what the last message that was taken said; null if none was
    title text,
    accounts integer,
    told_at timestamptz,
    -- until then, a worker that claimed it sends it, or it waits for another try
    next_try_at timestamptz NOT NULL,
    failures integer NOT NULL DEFAULT 0,
    PRIMARY KEY (same_as, address)
);
"""
_BY_START = "CREATE INDEX fleet_run_started ON fleet_run (started_at);"
"""Old runs are deleted by when they started."""
_ASKED = "ALTER TABLE fleet_run ADD asked boolean NOT NULL DEFAULT false;"
"""Whether somebody asked for the night, beside those that the schedule names."""
_LOST_RUNS = """
ALTER TABLE fleet_account
    -- how often in a row it was held
    ADD held integer NOT NULL DEFAULT 0,
    -- how often in a row its worker died
    ADD lost integer NOT NULL DEFAULT 0;
-- a job's run is begun once
UPDATE fleet_run SET ended_at = now() WHERE ended_at IS NULL AND EXISTS (
    SELECT 1 FROM fleet_run later WHERE later.job = fleet_run.job AND later.ended_at IS NULL AND later.id > fleet_run.id
);
DROP INDEX fleet_run_open;
CREATE UNIQUE INDEX fleet_run_open ON fleet_run (job) WHERE ended_at IS NULL;
"""
_RENAMED = """
ALTER TABLE fleet_account
    -- the ad accounts and datasets that it ever sent to
    ADD sends_to text[] NOT NULL DEFAULT '{}',
    -- accounts that send there too, and that a human has told apart from it; one of the two rows says so
    ADD told_apart text[] NOT NULL DEFAULT '{}',
    -- whether a human says that it is no other account under a new name
    ADD not_renamed boolean NOT NULL DEFAULT false;
"""
_MESSAGES = """
ALTER TABLE fleet_notice
    -- when an address was told that the cause is over; null if it was not, or was told of the cause since
    ADD over_at timestamptz;

CREATE TABLE fleet_message (
    -- a fingerprint, as in fleet_notice
    address text NOT NULL,
    -- when it took a message; deleted after an hour
    sent_at timestamptz NOT NULL DEFAULT now()
);
"""
_MACHINES = """
ALTER TABLE fleet_run RENAME worker TO machine;
-- where the process was named too: of the runs by which machines are compared, not of all those of 90 days
UPDATE fleet_run SET machine = regexp_replace(machine, ':[0-9]+$', '')
WHERE machine ~ ':[0-9]+$' AND (task = 'unable' OR started_at > now() - interval '1 hour');

CREATE TABLE fleet_worker (
    id bigint PRIMARY KEY REFERENCES procrastinate_workers ON DELETE CASCADE,
    machine text NOT NULL
);
"""
_TOLD_OVER = """
ALTER TABLE fleet_notice
    -- how often an address did not take that the cause is over
    ADD over_failures integer NOT NULL DEFAULT 0;
"""
_KEEPALIVES = {"tcp_keepalives_idle": 30, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}
"""What the server asks of silent connections: a vanished machine leaves them all, and would fill it within hours.

They are the user's, since a pooler refuses settings that come with a connection.
"""
_OWN_REVISIONS = {
    "fleet-1": _TABLES,
    "fleet-2": _BY_START,
    "fleet-3": _ASKED,
    "fleet-4": _PROBLEMS,
    "fleet-5": _LOST_RUNS,
    "fleet-6": _RENAMED,
    "fleet-7": _MESSAGES,
    "fleet-8": _MACHINES,
    "fleet-9": _TOLD_OVER,
}
"""Each revision of our own tables, in order, with its statements."""
_LEDGERS_REVISIONS = tuple(f"ledgers-{revision}" for revision in REVISIONS)
"""Those of the accounts' ledgers, on record here so that one look shows whether all tables are of this version."""


def create_or_upgrade_fleet_tables(database: FleetDatabase) -> SchemaChange:
    """Create or upgrade all tables but the ledgers', and return what was done, the library's revisions included.

    Call it once the ledgers' tables are of this version: this closes the deployment.

    Raises:
        FleetDatabaseError: the server is too old, or refuses, or shows the user every account's rows.
        OtherVersionError: the tables are newer.
    """
    with database.connect() as connection:
        refuse_unfit_server(connection)
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        connection.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(SCHEMA)))
        connection.execute("CREATE TABLE IF NOT EXISTS fleet_revision (name text PRIMARY KEY, at timestamptz NOT NULL)")
        known = _applied(connection)
        _refuse_newer(known)
        steps = _apply_despite_deadlocks(connection, known)
        _record(connection, [name for name in _LEDGERS_REVISIONS if name not in known])
        for setting, value in _KEEPALIVES.items():
            statement = SQL("ALTER ROLE CURRENT_USER IN DATABASE {} SET {} = {}")
            connection.execute(statement.format(Identifier(connection.info.dbname), Identifier(setting), value))
    own = list(_OWN_REVISIONS)
    before = [name for name in own if name in known]
    return SchemaChange(before[-1] if before else None, own[-1], steps)


def refuse_unfit_server(connection: Connection) -> None:
    """Return if the fleet can live on this server.

    Raises:
        FleetDatabaseError: it is too old, or shows the user every account's rows.
    """
    refuse_omnipotent_user(connection)
    if connection.info.server_version < _OLDEST_SERVER:
        raise FleetDatabaseError(_("the fleet needs PostgreSQL 15 or later"))


def _apply_despite_deadlocks(connection: Connection, known: set[str]) -> int:
    """Apply the revisions that are not known, and return how many there were; anew where the server breaks a deadlock.

    Workers and commands of the version before may still run, and take the tables in any order: one may hold what this
    needs, and need what this holds. So do they: what a deadlock ends is done again.
    """
    for _number in range(_MOST_DEADLOCKS):
        with suppress(DeadlockDetected), connection.transaction():
            return _apply(connection, known)
    return _apply(connection, known)


def _apply(connection: Connection, known: set[str]) -> int:
    """Apply the revisions that are not known, and return how many there were."""
    if any(name in known for name in _library_revisions()):
        pending = {name: text for name, text in _library_revisions().items() if name not in known}
    else:
        # The library's schema as a whole stands for all of its revisions.
        schema = (files("procrastinate.sql") / "schema.sql").read_text(encoding="utf-8")
        connection.execute(schema.encode())
        _record(connection, list(_library_revisions()))
        pending = {}
    pending |= {name: text for name, text in _OWN_REVISIONS.items() if name not in known}
    for statements in pending.values():
        connection.execute(statements.encode())
    _record(connection, list(pending))
    return len({*_library_revisions(), *_OWN_REVISIONS} - known)


def require_deployed(connection: Connection) -> None:
    """Return if all tables are those of this version, the fleet's and those of the ledgers beside them.

    Raises:
        OtherVersionError: they are older or newer.
        FleetDatabaseError: they are missing.
    """
    known = _applied(connection)
    if _all_revisions() - known:
        raise OtherVersionError(_("the fleet's tables are older than this version: run `oplead-sync fleet deploy`"))
    _refuse_newer(known)


def _refuse_newer(known: set[str]) -> None:
    if known - _all_revisions():
        raise OtherVersionError(_("the fleet's tables are newer than this version: upgrade this machine too"))


def _all_revisions() -> set[str]:
    return {*_library_revisions(), *_OWN_REVISIONS, *_LEDGERS_REVISIONS}


def _applied(connection: Connection) -> set[str]:
    return {row["name"] for row in connection.execute("SELECT name FROM fleet_revision")}


def _record(connection: Connection, names: list[str]) -> None:
    connection.execute("INSERT INTO fleet_revision SELECT name, now() FROM unnest(%s::text[]) AS name", [names])


@cache
def _library_revisions() -> dict[str, str]:
    """Return procrastinate's migrations, in order, by their file's name; as for ours, those that were there first."""
    folder = files("procrastinate.sql") / "migrations"
    found = sorted((each for each in folder.iterdir() if each.name.endswith(".sql")), key=lambda each: each.name)
    return {each.name.removesuffix(".sql"): each.read_text(encoding="utf-8") for each in found}
