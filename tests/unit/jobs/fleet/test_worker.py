"""When a worker takes others for dead."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

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


def test_nobody_is_taken_for_dead_until_all_could_be_heard():
    """Neither at the start nor after the database was away: nobody's heart could beat."""
    with server().database() as url, ThreadPoolExecutor(1) as threads:
        database = FleetDatabase(url)
        deploy(database)
        with database.connect() as connection:
            connection.execute("SELECT procrastinate_register_worker_v1()")
        worker = FleetWorker(database, None, None, 1, WorkerPace(dead_after=DEAD_AFTER))
        manager = Manager()
        worker._manager, worker._threads, worker._id = manager, threads, 1

        asked = asyncio.run(_play(worker, manager))

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
        worker._log_silence(OSError())
    return asked
