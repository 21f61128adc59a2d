"""A run's numbers for Prometheus, as a textfile for its node exporter."""

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

from jobs.ledger import incidents, outbox
from jobs.ledger.queries import StateCount
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import Delivery

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

_PREFIX = "oplead_sync"
_FIRST_WORDS = f"# HELP {_PREFIX}_".encode()


@dataclass(frozen=True, slots=True)
class Measured:
    """What is told of an account after a run."""

    account: str
    ended_at: datetime
    exit_code: int
    last_success: datetime | None
    deliveries: Counter[tuple[str, str, str]]
    """Conversion, destination, state of what moved in it."""
    open: int
    """Deliveries that will still move by themselves."""
    oldest_due: datetime | None
    """Since when the oldest one that is due could have gone out."""


def measure(ledger: Ledger, tallies: Iterable[StateCount], *, exit_code: int, now: datetime) -> Measured:
    """The numbers of a run that is on record with its end."""
    moved: Counter[tuple[str, str, str]] = Counter()
    for tally in tallies:
        moved[tally.conversion, tally.destination, tally.state] += tally.count
    with ledger.reading() as session:
        return Measured(
            ledger.account,
            now,
            exit_code,
            incidents.last_success(session, ledger.account),
            moved,
            outbox.open_or_awaited(session, ledger.account, Delivery),
            incidents.oldest_due(session, ledger.account, now=now),
        )


def write_metrics(measured: Measured, path: Path) -> None:
    """Put the numbers in place of those of the run before, at once or not at all.

    The file is its owner's alone until somebody gives it other rights, which it then keeps.

    Raises OSError where the file cannot be written, or is not one of these.
    """
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - only for those who want it

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(measured))
    rights = _rights_of(path)
    descriptor, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(generate_latest(registry))
            _give(file.fileno(), rights)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _give(descriptor: int, rights: os.stat_result | None) -> None:
    """Give a file these rights, its group included; its owner's alone where nobody gave any, or the group is not ours.

    A group that we are not in is none that we may give, and ours must not get what was meant for it.
    """
    if rights is None:
        os.fchmod(descriptor, 0o600)
        return
    mode = stat.S_IMODE(rights.st_mode)
    if rights.st_gid != os.getegid():
        try:
            os.fchown(descriptor, -1, rights.st_gid)
        except PermissionError:
            mode &= ~stat.S_IRWXG
    os.fchmod(descriptor, mode)


def _rights_of(path: Path) -> os.stat_result | None:
    """Those of the file that is there; None where none is."""
    try:
        with path.open("rb") as file:
            begins = file.read(len(_FIRST_WORDS))
            if begins not in (_FIRST_WORDS, b""):
                raise FileExistsError(errno.EEXIST, "it holds something else, and was left as it is", str(path))
            return os.fstat(file.fileno())
    except FileNotFoundError:
        return None


@dataclass(frozen=True, slots=True, eq=False)
class _Collected:
    """What prometheus_client asks for the numbers; gauges of its own would mind the environment's settings."""

    measured: Measured

    def collect(self) -> Iterator["GaugeMetricFamily"]:
        """Each number under its name."""
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

        told = self.measured
        age = 0.0 if told.oldest_due is None else (told.ended_at - told.oldest_due).total_seconds()
        plain = {
            "last_run_timestamp_seconds": ("When the last run ended.", told.ended_at.timestamp()),
            "exit_code": ("What the last run ended with.", float(told.exit_code)),
            "open_deliveries": ("Deliveries that will still move by themselves.", float(told.open)),
            "oldest_due_age_seconds": ("For how long the oldest delivery that is due has been.", age),
        }
        if told.last_success is not None:
            said = "When the last night ended in which nothing stopped (exit code 0 or 1)."
            plain["last_success_timestamp_seconds"] = (said, told.last_success.timestamp())
        for name, (said, value) in plain.items():
            one = GaugeMetricFamily(f"{_PREFIX}_{name}", said, labels=["account"])
            one.add_metric([told.account], value)
            yield one
        moved = GaugeMetricFamily(
            f"{_PREFIX}_night_deliveries",
            "Deliveries that moved in the last run, by where they stand after it.",
            labels=["account", "conversion", "destination", "state"],
        )
        for (conversion, destination, state), count in sorted(told.deliveries.items()):
            moved.add_metric([told.account, conversion, destination, state], float(count))
        yield moved
