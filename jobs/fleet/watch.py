"""What tells people how the fleet fares: a page and metrics as files, and notices to the fleet's own addresses."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import structlog

from connectors.language import _
from jobs.alerts.notify import Recipients
from jobs.exit_codes import CommandError, UsageError
from jobs.faults import ContainedFault
from jobs.fleet.database import Connection, FleetDatabase
from jobs.fleet.metrics import collect_fleet_metrics
from jobs.fleet.notices import send_due_notices
from jobs.fleet.problems import read_fleet_problems
from jobs.fleet.status import FleetStatus, load_fleet_status
from jobs.fleet.worker import WorkerIntervals
from jobs.metrics import write_metrics
from jobs.settings.references import read_env_file
from jobs.wiring.night import recipients_by_fingerprint, unsupported_notification_addresses

PAGE = "OPLEAD_SYNC_FLEET_PAGE"
METRICS = "OPLEAD_SYNC_FLEET_METRICS"
NOTIFY = "OPLEAD_SYNC_FLEET_NOTIFY"
NOTIFY_FILE = f"{NOTIFY}_FILE"
_log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class FleetWatch:
    """What a worker does now and then for those who look after the fleet; nothing by default."""

    database: FleetDatabase
    page: Path | None = None
    metrics: Path | None = None
    addresses: tuple[str, ...] = field(default=(), repr=False)
    """Secrets: most hold a password."""

    def write_files_and_notify(self, should_stop: Callable[[], bool]) -> None:
        """Write the files and send what is due; never raises, since nights do not depend on it."""
        for name, do in self._tasks(should_stop):
            with ContainedFault([], _("the fleet could not be shown"), foreseen=(OSError, CommandError), what=name):
                do()

    def _tasks(self, should_stop: Callable[[], bool]) -> Iterator[tuple[str, Callable[[], None]]]:
        if self.page is not None:
            yield "page", lambda: self._write(self.page, None)
        if self.metrics is not None:
            yield "metrics", lambda: self._write(None, self.metrics)
        if self.addresses:
            yield "notices", lambda: send_due_notices(self.database, self.recipients, should_stop)

    @property
    def recipients(self) -> Recipients:
        """Who is at the addresses."""
        return recipients_by_fingerprint(self.addresses, NOTIFY)

    def _write(self, page: Path | None, metrics: Path | None) -> None:
        with self.database.connect() as connection:
            write_files(connection, read_fleet_status(connection), page, metrics)


def read_fleet_status(connection: Connection) -> FleetStatus:
    """Return how all accounts fare now."""
    return load_fleet_status(connection, silent_for=timedelta(seconds=WorkerIntervals().dead_after))


def write_files(connection: Connection, status: FleetStatus, page: Path | None, metrics: Path | None) -> None:
    """Write the page and the metrics to the files that are named, each at once.

    Raises:
        OSError: one cannot be written.
    """
    if page is None and metrics is None:
        return
    causes = read_fleet_problems(connection)
    if page is not None:
        from jobs.fleet.page import render_fleet  # noqa: PLC0415 - templates are slow to load, and few want them
        from jobs.reporting.page.writing import write_text_at_once  # noqa: PLC0415

        write_text_at_once(render_fleet(status, causes), page)
    if metrics is not None:
        write_metrics(collect_fleet_metrics(connection, status, causes), metrics)


def fleet_watch_from_environment(database: FleetDatabase, environ: Mapping[str, str], folder: Path) -> FleetWatch:
    """Return what the environment asks for.

    Args:
        database: the fleet's.
        environ: where variables are looked up first, before the `.env` in `folder`.
        folder: where relative paths start.

    Raises:
        UsageError: an address is not valid, or its file cannot be read.
    """
    known = {**read_env_file(folder).values, **environ}
    addresses = tuple(_addresses(known, folder).split())
    if unknown := unsupported_notification_addresses(addresses):
        raise UsageError(
            _(
                "{variable}: address {number} is of no known service; write it as under `notify:`, and put spaces or "
                "new lines between several",
                variable=NOTIFY,
                number=unknown[0] + 1,
            )
        )
    page, metrics = (folder / known[name] if known.get(name) else None for name in (PAGE, METRICS))
    return FleetWatch(database, page, metrics, addresses)


def _addresses(known: Mapping[str, str], folder: Path) -> str:
    if not (file := known.get(NOTIFY_FILE)):
        return known.get(NOTIFY, "")
    try:
        return (folder / file).read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise UsageError(_("{variable}: {file} cannot be read", variable=NOTIFY_FILE, file=file)) from None
