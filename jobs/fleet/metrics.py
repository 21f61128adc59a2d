"""The fleet's metrics for Prometheus: of the fleet as a whole, so that their number does not grow with its accounts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from procrastinate.jobs import Status

from jobs.exit_codes import Exit
from jobs.fleet.database import Connection
from jobs.fleet.problems import FleetCause
from jobs.fleet.status import AccountState, FleetStatus
from jobs.fleet.work import STOPPED_BY_SIGNAL
from jobs.reporting.page.facts import Level

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

_PREFIX = "oplead_sync_fleet"
_SEVERITIES = {Level.RED: "urgent", Level.AMBER: "soon"}


@dataclass(frozen=True, slots=True, eq=False)
class FleetMetrics:
    """The fleet's metrics now."""

    status: FleetStatus
    causes: Sequence[FleetCause]
    jobs: Mapping[str, int]
    """Jobs in each state of the queue."""
    runs: Mapping[str, int]
    """Runs that ended within a day, by what they ended with; without those for which nothing was due."""

    def collect(self) -> Iterator["GaugeMetricFamily"]:
        """Yield each metric, as a collector does; a value that can be is there even where it is 0."""
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

        nights = sum(each.nights_late for each in self.status.accounts)
        plain = {
            "workers": ("Workers that are alive.", self.status.workers),
            "nights_late": ("Nights that were not done an hour after they were due.", nights),
            "oldest_due_age_seconds": (
                "For how long the account that has waited longest has been due.",
                self.status.queue_age.total_seconds(),
            ),
            "causes": ("Different things for which accounts need a human.", len(self.causes)),
        }
        for name, (meaning, value) in plain.items():
            yield GaugeMetricFamily(f"{_PREFIX}_{name}", meaning, value=float(value))
        states = Counter(each.state for each in self.status.accounts)
        incidents = Counter[Level]()
        for cause in self.causes:
            incidents[cause.level] += len(cause.accounts)
        by_label = {
            "accounts": ("Accounts by state.", "state", {each.value: states[each] for each in AccountState}),
            "jobs": ("Jobs in the queue by state.", "state", self.jobs),
            "runs_last_day": (
                "Runs that ended within the last day, by exit code, except those that found nothing due.",
                "exit_code",
                self.runs,
            ),
            "open_incidents": (
                "What accounts need a human for, counted once for each of them, by severity.",
                "severity",
                {name: incidents[level] for level, name in _SEVERITIES.items()},
            ),
        }
        for name, (meaning, label, values) in by_label.items():
            family = GaugeMetricFamily(f"{_PREFIX}_{name}", meaning, labels=[label])
            for each, count in values.items():
                family.add_metric([each], float(count))
            yield family


def collect_fleet_metrics(connection: Connection, status: FleetStatus, causes: Sequence[FleetCause]) -> FleetMetrics:
    """Return the fleet's metrics now."""
    jobs = connection.execute("SELECT status::text AS name, count(*) AS count FROM procrastinate_jobs GROUP BY status")
    runs = connection.execute(
        """
        SELECT exit_code, count(*) AS count FROM fleet_run
        WHERE ended_at > now() - interval '1 day' AND started_at > now() - interval '2 days'
            -- most of these are deleted sooner
            AND NOT (coalesce(task, '') = 'nothing' AND exit_code = 0)
        GROUP BY exit_code
        """
    )
    by_code = Counter({str(int(code)): 0 for code in Exit} | {"signal": 0, "lost": 0, "other": 0})
    for row in runs:
        by_code[_code_name(row["exit_code"])] += row["count"]
    return FleetMetrics(
        status, causes, {each.value: 0 for each in Status} | {row["name"]: row["count"] for row in jobs}, by_code
    )


def _code_name(code: int | None) -> str:
    """Return what a run ended with, as one of a few values."""
    if code is None:
        return "lost"
    if code in set(Exit):
        return str(code)
    return "signal" if code >= STOPPED_BY_SIGNAL else "other"
