"""When a worker takes others for dead."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from structlog.testing import capture_logs

from jobs.fleet.database import FleetDatabase
from jobs.fleet.deploy import deploy
from jobs.fleet.worker import FleetWorker, WorkerPace
from tests.postgresql import server

pytestmark = pytest.mark.xdist_group("postgresql")
DEAD_AFTER = 0.2


class Manager:
    """The library's, as far as a worker asks it who is dead."""

    def __init__(self):
        self.asked = 0

    async def get_stalled_jobs(self, **_):
        """None is."""
        self.asked += 1
        return []

    async def prune_stalled_workers(self, _):
        """None is there."""

    async def list_jobs_async(self, **_):
        """None is under way."""
        return []


@pytest.fixture
def worker():
    """A worker that has registered, in a database of its own."""
    with server().database() as url, ThreadPoolExecutor(1) as threads:
        database = FleetDatabase(url)
        deploy(database)
        with database.connect() as connection:
            connection.execute("SELECT procrastinate_register_worker_v1()")
        made = FleetWorker(database, None, None, 1, WorkerPace(dead_after=DEAD_AFTER))
        made._manager, made._threads, made._id = Manager(), threads, 1
        yield made


def test_log_says_once_that_the_database_is_away_and_once_that_it_is_back(worker):
    """However often it was tried; and what is wrong."""
    with capture_logs() as logged:
        for _ in range(3):
            asyncio.run(worker._keep_alive())
            for _ in range(2):
                worker._note_silence(psycopg.OperationalError("connection refused"))

    away, back = (
        "the fleet's database does not answer, and is tried until it does",
        "the fleet's database answers again",
    )
    assert {away: 3, back: 2} == Counter(each["event"] for each in logged)
    assert "(connection refused)" in logged[0]["why"]


def test_nobody_is_taken_for_dead_until_all_could_be_heard(worker):
    """Neither at the start nor after the database was away: nobody's heart could beat."""
    asked = asyncio.run(_play(worker, worker._manager))

    assert [0, 0, 1, 1, 1, 2] == asked


async def _play(worker, manager):
    """How often the dead were asked for: before and after a heartbeat, and the same after a silence."""
    asked = []

    async def look():
        await worker._look_after_the_queue()
        asked.append(manager.asked)

    for _ in range(2):
        await look()
        await worker._keep_alive()
        await look()
        await asyncio.sleep(DEAD_AFTER)
        await look()
        worker._note_silence(psycopg.OperationalError())
    return asked
