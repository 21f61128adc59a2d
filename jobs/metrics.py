"""Exports metrics for Prometheus, a run's and others', as a textfile for the node exporter."""

import errno
import os
import stat
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.language import _
from jobs.ledger import nights
from jobs.ledger.outbox import outbox
from jobs.ledger.report.queries import StateCount
from jobs.ledger.runs import Ledger

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.registry import Collector

_PREFIX = "oplead_sync"
_FILE_START = f"# HELP {_PREFIX}_".encode()


@dataclass(frozen=True, slots=True, eq=False)
class AccountMetrics:
    """One account's metrics after a run."""

    account: str
    ended_at: datetime
    exit_code: int
    last_success: datetime | None
    deliveries: Counter[tuple[str, str, str]]
    """Deliveries that moved in the run, by conversion, destination and state."""
    open: int
    """Deliveries that will still move without human action."""
    oldest_due: datetime | None
    """When the oldest due delivery became due."""

    def collect(self) -> Iterator["GaugeMetricFamily"]:
        """Yield each metric, as a collector does; prometheus_client's own gauges depend on environment variables."""
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

        age = 0.0 if self.oldest_due is None else (self.ended_at - self.oldest_due).total_seconds()
        plain = {
            "last_run_timestamp_seconds": ("When the last run ended.", self.ended_at.timestamp()),
            "exit_code": ("What the last run ended with.", float(self.exit_code)),
            "open_deliveries": ("Deliveries that will still move by themselves.", float(self.open)),
            "oldest_due_age_seconds": ("For how long the oldest delivery that is due has been.", age),
        }
        if self.last_success is not None:
            meaning = "When the last night ended in which nothing stopped (exit code 0 or 1)."
            plain["last_success_timestamp_seconds"] = (meaning, self.last_success.timestamp())
        for name, (meaning, value) in plain.items():
            one = GaugeMetricFamily(f"{_PREFIX}_{name}", meaning, labels=["account"])
            one.add_metric([self.account], value)
            yield one
        moved = GaugeMetricFamily(
            f"{_PREFIX}_night_deliveries",
            "Deliveries that moved in the last run, by where they stand after it.",
            labels=["account", "conversion", "destination", "state"],
        )
        for where, count in sorted(self.deliveries.items()):
            moved.add_metric([self.account, *where], float(count))
        yield moved


def run_metrics(ledger: Ledger, tallies: Iterable[StateCount], *, exit_code: int, now: datetime) -> AccountMetrics:
    """Return the metrics of a run whose end is on record."""
    moved: Counter[tuple[str, str, str]] = Counter()
    for tally in tallies:
        moved[tally.conversion, tally.destination, tally.state] += tally.count
    with ledger.read_transaction() as session:
        return AccountMetrics(
            ledger.account,
            now,
            exit_code,
            nights.last_success(session, ledger.account),
            moved,
            outbox.count_unfinished_deliveries(session, ledger.account, corrections=False),
            nights.oldest_due_conversion_time(session, ledger.account, now=now),
        )


def write_metrics(measured: "Collector", path: Path) -> None:
    """Replace the previous metrics atomically.

    A new file is readable by its owner only; permissions set on an existing file are kept.

    Raises:
        OSError: the file cannot be written, or holds something other than these metrics.
    """
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - only for those who want it

    registry = CollectorRegistry(auto_describe=False)
    registry.register(measured)
    permissions = _permissions_of(path)
    descriptor, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(generate_latest(registry))
            _set_permissions(file.fileno(), permissions)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _set_permissions(descriptor: int, permissions: os.stat_result | None) -> None:
    """Copy permissions and group to a file; without any, restrict it to its owner. An unassignable group loses access.

    We cannot assign a group that we aren't in, and our own group must not get the access meant for that one.
    """
    if permissions is None:
        os.fchmod(descriptor, 0o600)
        return
    mode = stat.S_IMODE(permissions.st_mode)
    if permissions.st_gid != os.getegid():
        try:
            os.fchown(descriptor, -1, permissions.st_gid)
        except PermissionError:
            mode &= ~stat.S_IRWXG
    os.fchmod(descriptor, mode)


def _permissions_of(path: Path) -> os.stat_result | None:
    """Return the existing file's stat result; None if there is no file."""
    try:
        with path.open("rb") as file:
            if file.read(len(_FILE_START)) not in (_FILE_START, b""):
                why = _("it holds something else, and was left as it is")
                raise FileExistsError(errno.EEXIST, why, str(path))
            return os.fstat(file.fileno())
    except FileNotFoundError:
        return None
