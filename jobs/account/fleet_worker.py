"""`fleet worker`: runs accounts when they are due, until it is told to stop."""

import asyncio
import gc
import logging
import os
from importlib.metadata import version
from pathlib import Path

import structlog

from connectors.signals.liveness import LivenessReporter
from jobs.account.work_order import WorkOrderExecutor
from jobs.cancellation import StopSignal
from jobs.exit_codes import Exit
from jobs.fleet.children import ChildNursery
from jobs.fleet.database import FleetDatabase, refuse_omnipotent_user
from jobs.fleet.deploy import require_deployed
from jobs.fleet.watch import fleet_watch_from_environment
from jobs.fleet.worker import FleetWorker
from jobs.privacy.redaction import Redaction
from jobs.wiring.night import prepare_for_forked_nights

_log = structlog.stdlib.get_logger()
_SILENCED = ("psycopg", "procrastinate")
"""Of what they say, only where they said it would be shown; the worker says itself when the database is away."""


def run_worker(
    database: FleetDatabase,
    stop: StopSignal,
    redaction: Redaction,
    *,
    concurrency: int,
    folder: Path,
    health: Path | None,
) -> int:
    """Work until a stop is requested, then return 0.

    Raises:
        FleetAwayError: the database is away.
        FleetDatabaseError: it cannot be used, or shows its user every account's rows.
        OtherVersionError: it is of another version.
        UpgradedError: it is so since the worker has started.
    """
    redaction.register_secrets(database.secrets)
    for library in _SILENCED:
        logging.getLogger(library).setLevel(logging.CRITICAL)
    watch = fleet_watch_from_environment(database, os.environ, folder.absolute())
    redaction.register_secrets(iter(watch.addresses))
    work = WorkOrderExecutor(folder.absolute(), stop, redaction, os.environ, frozenset(watch.addresses))
    # So that this process and the nursery share memory for longer: a collection would write to all of it.
    gc.collect()
    gc.freeze()
    # First of all: a fork copies threads and connections, broken.
    nursery = ChildNursery(prepare_for_forked_nights, work.execute_work_order)
    liveness = LivenessReporter(health)
    try:
        with database.connect() as connection:
            refuse_omnipotent_user(connection)
            require_deployed(connection)
        liveness.report_ready()
        worker = FleetWorker(
            database, nursery, stop, concurrency, beat=liveness.beat, watch=watch.write_files_and_notify
        )
        _log.info(
            "the worker has started",
            database=database.shown_database_address,
            concurrency=concurrency,
            version=version("oplead-sync"),
        )
        asyncio.run(worker.run())
    finally:
        liveness.report_stopping()
        nursery.close()
    _log.info("stopped, as asked; what was sent is on record")
    return Exit.DONE
