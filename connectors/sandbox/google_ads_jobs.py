"""Uploads to the Google Ads API as its upload summaries tell of them.

https://developers.google.com/google-ads/api/docs/conversions/upload-summaries
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

KEPT = 7
"""How many days and jobs a summary tells of."""
RECENT = timedelta(days=28)
EXCELLENT, GOOD = 0.9, 0.5
"""From which share of successes on a status is so called; the thresholds are not documented."""


@dataclass(frozen=True, slots=True)
class Job:
    """One upload to one action: rows by error, `family.NAME` or `family.number`; the empty one counts successes."""

    id: int
    at: datetime
    customer: str
    action: str
    rows: Mapping[str, int]

    def json(self) -> dict[str, Any]:
        """The JSON that `read_job` reads."""
        return {**asdict(self), "at": self.at.isoformat()}


def read_job(document: Mapping[str, Any]) -> Job:
    """The job that `Job.json` told of."""
    return Job(**{**document, "at": datetime.fromisoformat(document["at"])})


@dataclass(frozen=True, slots=True)
class Tally:
    """One line of a summary; `label` is a date or a job id."""

    label: str
    successful: int
    failed: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What a summary says of some jobs."""

    status: str
    total: int
    successful: int
    last: str
    """The latest upload, in the account's time zone, without its offset."""
    days: Sequence[Tally]
    jobs: Sequence[Tally]
    alerts: Mapping[str, float]
    """The share of rows by error, on the latest day with uploads."""


def summary(jobs: Sequence[Job], zone: ZoneInfo, now: datetime) -> Summary:
    """The summary of at least one job, oldest first; days are the account's."""
    by_day = _grouped(jobs, lambda job: job.at.astimezone(zone).date().isoformat())
    by_id = _grouped(jobs, lambda job: str(job.id))
    rows, latest = _rows(jobs), _rows(list(by_day.values())[-1])
    return Summary(
        status=_status(latest, jobs[-1].at, now),
        total=rows.total(),
        successful=rows[""],
        last=jobs[-1].at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"),
        days=[_tally(day, group) for day, group in by_day.items()][-KEPT:],
        jobs=[_tally(number, group) for number, group in by_id.items()][-KEPT:],
        alerts={error: count / latest.total() for error, count in latest.items() if error and count},
    )


def _grouped(jobs: Iterable[Job], label: Callable[[Job], str]) -> dict[str, list[Job]]:
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(label(job), []).append(job)
    return groups


def _status(rows: Counter[str], last: datetime, now: datetime) -> str:
    if now - last > RECENT:
        return "NO_RECENT_UPLOAD"
    share = rows[""] / rows.total()
    return "EXCELLENT" if share >= EXCELLENT else "GOOD" if share >= GOOD else "NEEDS_ATTENTION"


def _rows(jobs: Iterable[Job]) -> Counter[str]:
    rows: Counter[str] = Counter()
    for job in jobs:
        rows.update(job.rows)
    return rows


def _tally(label: str, jobs: Iterable[Job]) -> Tally:
    rows = _rows(jobs)
    return Tally(label, rows[""], rows.total() - rows[""])
