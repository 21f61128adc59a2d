"""`fleet worker`: runs accounts when they are due, until it is told to stop."""

import asyncio
import os
from pathlib import Path

import structlog

from connectors.notifiers import Liveness
from jobs.cli.fleet.account_work import work_on_this_machine
from jobs.cli.fleet.watch import find_watch
from jobs.cli.output import signals_and_logging
from jobs.exit_codes import Exit
from jobs.fleet.children import ChildNursery
from jobs.fleet.database import FleetDatabase
from jobs.fleet.deploy import require_deployed
from jobs.fleet.worker import FleetWorker
from jobs.wiring.night import load_all_connectors

_log = structlog.stdlib.get_logger()


def run_worker(database: FleetDatabase, *, concurrency: int, folder: Path, health: Path | None) -> int:
    """Work until a signal requests a stop, then return 0."""
    with signals_and_logging() as (stop, redaction):
        redaction.redact_secrets(database.secrets)
        watch = find_watch(database, os.environ, folder.absolute())
        redaction.redact_secrets(iter(watch.addresses))
        work = work_on_this_machine(folder.absolute(), stop, redaction, told_by_fleet=frozenset(watch.addresses))
        # First of all: a fork copies threads and connections, broken.
        nursery = ChildNursery(load_all_connectors, work.do)
        liveness = Liveness(health)
        try:
            with database.connect() as connection:
                require_deployed(connection)
            liveness.report_ready()
            worker = FleetWorker(database, nursery, stop, concurrency, beat=liveness.beat, watch=watch.look)
            asyncio.run(worker.run())
        finally:
            liveness.report_stopping()
            nursery.close()
    _log.info("stopped, as asked; what was sent is on record")
    return Exit.DONE
