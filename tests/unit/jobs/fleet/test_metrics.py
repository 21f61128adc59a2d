"""The fleet's metrics: what they count, and that accounts add no series."""

import re

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from jobs.exit_codes import Exit
from jobs.fleet import queue
from jobs.fleet.accounts import add_account
from jobs.fleet.database import FleetDatabase
from jobs.fleet.deploy import create_or_upgrade_fleet_tables
from jobs.fleet.metrics import FleetMetrics, collect_fleet_metrics
from jobs.fleet.work import DidTask, WorkResult
from jobs.metrics import write_metrics
from tests.fleet_facts import fine_fleet, fleet
from tests.postgresql import server


def exposed(metrics):
    """What Prometheus reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    return generate_latest(registry).decode()


def values(text):
    """Each series and its value."""
    families = text_string_to_metric_families(text)
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_metrics_count_the_fleet():
    """By state and severity, with 0 where nothing is."""
    found = values(exposed(FleetMetrics(*fleet(), {"todo": 4}, {"0": 7})))

    assert {
        ("oplead_sync_fleet_workers",): 3,
        ("oplead_sync_fleet_nights_late",): 2,
        ("oplead_sync_fleet_oldest_due_age_seconds",): 2520,
        ("oplead_sync_fleet_causes",): 2,
        ("oplead_sync_fleet_accounts", "needs_a_human"): 8,
        ("oplead_sync_fleet_accounts", "late"): 1,
        ("oplead_sync_fleet_accounts", "running"): 1,
        ("oplead_sync_fleet_accounts", "waiting"): 1,
        ("oplead_sync_fleet_accounts", "paused"): 1,
        ("oplead_sync_fleet_accounts", "never_ran"): 1,
        ("oplead_sync_fleet_accounts", "ok"): 7,
        ("oplead_sync_fleet_jobs", "todo"): 4,
        ("oplead_sync_fleet_runs_last_day", "0"): 7,
        ("oplead_sync_fleet_open_incidents", "urgent"): 8,
        ("oplead_sync_fleet_open_incidents", "soon"): 1,
    } == found


def test_accounts_add_no_series():
    """Ten times the accounts are the same series; each has its help and its type."""
    small, large = (exposed(FleetMetrics(*fleet(size), {"todo": 1}, {"0": 1})) for size in (20, 200))

    assert values(small).keys() == values(large).keys()
    names = {name for name, *_ in values(small)}
    assert names == set(re.findall(r"^# TYPE (\S+) gauge$", small, re.MULTILINE))
    assert names == set(re.findall(r"^# HELP (\S+) ", small, re.MULTILINE))


def test_a_file_takes_the_place_of_the_last_one(tmp_path):
    """As a whole; something else is left as it is."""
    file, other = tmp_path / "fleet.prom", tmp_path / "other.prom"
    other.write_text("# HELP node_load1 1m load average.\n")
    for facts in (fleet(), fine_fleet()):
        write_metrics(FleetMetrics(*facts, {}, {}), file)

    assert "oplead_sync_fleet_workers 1.0" in file.read_text()
    assert {file, other} == set(tmp_path.iterdir())
    with pytest.raises(FileExistsError):
        write_metrics(FleetMetrics(*fleet(), {}, {}), other)


@pytest.mark.xdist_group("postgresql")
def test_jobs_and_runs_are_counted_in_the_database():
    """Every state and exit code that can be is there; codes that nobody foresaw make no series of their own."""
    with server().database() as url:
        database = FleetDatabase(url)
        create_or_upgrade_fleet_tables(database)
        with database.connect() as connection:
            for name in ("one", "two"):
                add_account(connection, name, "", first_run=True)
            queue.enqueue_due_accounts(connection)
            for code in (0, 0, 2, 143, 137, 9, None):
                run = queue.begin_run(connection, "one", job=1, machine="machine", version=1)
                connection.execute(
                    "UPDATE fleet_run SET ended_at = now(), exit_code = %s WHERE id = %s", [code, run.id]
                )
            connection.execute("UPDATE fleet_run SET ended_at = now() - interval '25 hours' WHERE id = 1")
            connection.execute("UPDATE fleet_run SET task = 'nothing' WHERE exit_code > 0")
            run = queue.begin_run(connection, "two", job=1, machine="machine", version=1)
            queue.end_run(connection, run, WorkResult(DidTask.NOTHING, Exit.DONE))
            found = collect_fleet_metrics(connection, *fine_fleet())

    assert {"todo": 2, "doing": 0} == {state: found.jobs[state] for state in ("todo", "doing")}
    by_code = {str(int(code)): 0 for code in Exit}
    assert by_code | {"0": 1, "2": 1, "signal": 2, "other": 1, "lost": 1} == found.runs
