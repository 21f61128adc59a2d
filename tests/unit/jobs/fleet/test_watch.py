"""What a worker is asked to show and tell, and that nights do not depend on it."""

import pytest
from structlog.testing import capture_logs

from jobs.exit_codes import UsageError
from jobs.fleet import watch
from jobs.fleet.database import FleetDatabase
from jobs.fleet.deploy import create_or_upgrade_fleet_tables
from jobs.fleet.watch import METRICS, NOTIFY, NOTIFY_FILE, PAGE, FleetWatch, fleet_watch_from_environment
from tests.postgresql import server

NOWHERE = FleetDatabase("postgresql://127.0.0.1:9/none")
ONE, OTHER = "json://127.0.0.1/one", "json://127.0.0.1/other"


def test_nothing_is_shown_or_told_by_default(tmp_path):
    """And no database is asked."""
    found = fleet_watch_from_environment(NOWHERE, {}, tmp_path)
    found.write_files_and_notify(lambda: False)

    assert FleetWatch(NOWHERE) == found


def test_environment_names_files_and_addresses(tmp_path):
    """Relative to the folder; several addresses stand apart by spaces or lines."""
    given = {PAGE: "fleet.html", METRICS: "/var/lib/fleet.prom", NOTIFY: f"{ONE}\n  {OTHER}"}

    found = fleet_watch_from_environment(NOWHERE, given, tmp_path)

    assert (ONE, OTHER) == found.addresses
    assert [tmp_path / "fleet.html", tmp_path / "/var/lib/fleet.prom"] == [found.page, found.metrics]


def test_addresses_may_lie_in_a_file(tmp_path):
    """As other secrets of a container do; the `.env` is read too."""
    (tmp_path / "notify").write_text(f"{ONE}\n")
    (tmp_path / ".env").write_text(f"{NOTIFY_FILE}=notify\n")

    assert (ONE,) == fleet_watch_from_environment(NOWHERE, {}, tmp_path).addresses


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({NOTIFY: f"{ONE} https://s3cret.example"}, f"{NOTIFY}: address 2"),
        ({NOTIFY_FILE: "missing"}, f"{NOTIFY_FILE}: missing cannot be read"),
    ],
)
def test_wrong_address_is_refused_without_being_shown(tmp_path, given, said):
    """It may hold a password."""
    with pytest.raises(UsageError, match=said) as refused:
        fleet_watch_from_environment(NOWHERE, given, tmp_path)

    assert "s3cret" not in str(refused.value)


@pytest.mark.xdist_group("postgresql")
def test_what_cannot_be_shown_keeps_nothing_else_from_being_told(tmp_path, monkeypatch):
    """It is logged, and tried again at the next look."""
    told = []
    monkeypatch.setattr(watch, "send_due_notices", lambda *_: told.append(1))
    (tmp_path / "file").touch()
    with server().database() as url, capture_logs() as logged:
        database = FleetDatabase(url)
        create_or_upgrade_fleet_tables(database)
        found = FleetWatch(database, tmp_path / "file" / "page.html", tmp_path / "fleet.prom", (ONE,))
        found.write_files_and_notify(lambda: False)

    assert ["page"] == [line["what"] for line in logged]
    assert ([1], True) == (told, (tmp_path / "fleet.prom").exists())


def test_a_database_that_is_away_ends_no_worker(tmp_path):
    """Each part says so, and nothing is raised."""
    with capture_logs() as logged:
        FleetWatch(NOWHERE, tmp_path / "page.html", tmp_path / "fleet.prom", (ONE,)).write_files_and_notify(
            lambda: False
        )

    assert ["page", "metrics", "notices"] == [line["what"] for line in logged]
