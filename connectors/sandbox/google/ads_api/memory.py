"""What the Google Ads API knows: who may call, jobs, uploads, and rulings made by hand."""

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from connectors.sandbox.google.accounts import GoogleAccount, GooglePlatform
from connectors.sandbox.google.ads_api import rules
from connectors.sandbox.google.ads_api.refusals import CallRefusal, RowError
from connectors.sandbox.google.oauth import ADWORDS

Scopes = Callable[[str], frozenset[str] | None]
"""The scopes behind an Authorization header; None where its token is unknown, expired or revoked."""
_NUMBER = re.compile(r"\d{10}", re.ASCII)


def unidentified(metadata: Mapping[str, str], scopes: Scopes) -> CallRefusal | None:
    """The refusal of a call whose token does not hold for this API."""
    authorization = metadata.get("authorization", "")
    if not authorization.startswith("Bearer "):
        return CallRefusal.of(rules.TOKEN_SENT)
    granted = scopes(authorization)
    if granted is None:
        return CallRefusal.of(rules.TOKEN_LIVES)
    return None if ADWORDS in granted else CallRefusal.of(rules.SCOPE)


def barred(metadata: Mapping[str, str], customer: str, accounts: Mapping[str, GoogleAccount]) -> CallRefusal | None:
    """The refusal of a caller who does not get at this customer.

    https://developers.google.com/google-ads/api/docs/concepts/call-structure
    """
    login = metadata.get("login-customer-id", "")
    managers = {each for account in accounts.values() for each in account.managers}
    account = accounts.get(customer)
    if login and not _NUMBER.fullmatch(login):
        return CallRefusal.of(rules.LOGIN_NUMBER)
    if not _NUMBER.fullmatch(customer):
        return CallRefusal.of(rules.CUSTOMER_NUMBER, "customer_id")
    if account is None and customer not in managers:
        return CallRefusal.of(rules.CUSTOMER_KNOWN)
    if login in accounts and login != customer:
        return CallRefusal.of(rules.LOGIN_IS_MANAGER)
    if (account is None and login not in ("", customer)) or (account and login not in account.managers):
        return CallRefusal.of(rules.ACCESS)
    return CallRefusal.of(rules.CUSTOMER_ENABLED) if account and not account.enabled else None


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
class JobTally:
    """One line of a summary; `label` is a date or a job id."""

    label: str
    successful: int
    failed: int


@dataclass(frozen=True, slots=True)
class JobSummary:
    """What a summary says of some jobs."""

    status: str
    total: int
    successful: int
    last: str
    """The latest upload, in the account's time zone, without its offset."""
    days: Sequence[JobTally]
    jobs: Sequence[JobTally]
    alerts: Mapping[str, float]
    """The share of rows by error, on the latest day with uploads."""


def summary(jobs: Sequence[Job], zone: ZoneInfo, now: datetime) -> JobSummary:
    """The summary of at least one job, oldest first; days are the account's."""
    by_day = _grouped(jobs, lambda job: job.at.astimezone(zone).date().isoformat())
    by_id = _grouped(jobs, lambda job: str(job.id))
    rows, latest = _rows(jobs), _rows(list(by_day.values())[-1])
    return JobSummary(
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


def _tally(label: str, jobs: Iterable[Job]) -> JobTally:
    rows = _rows(jobs)
    return JobTally(label, rows[""], rows.total() - rows[""])


SHAPE = (
    'a ruling is {"when": "submit" or "adjust", "family": a field of ErrorCode (default conversion_upload_error, '
    "or conversion_adjustment_upload_error), "
    '"reason": a name or names in it, or "number": one it does not know yet, "index": false for an error '
    "that names no row}, or a list of such"
)

_FAMILIES = {"submit": "conversion_upload_error", "adjust": "conversion_adjustment_upload_error"}
_LIST_OF = {"submit": "conversions", "adjust": "conversion_adjustments"}


@dataclass(frozen=True, slots=True)
class AdsApiRuling:
    """One planted error, on uploads (submit) or adjustments (adjust)."""

    when: str
    family: str
    code: str | int
    indexed: bool

    def problem(self, row: int) -> RowError:
        """The error as the row's answer tells it."""
        place = ((_LIST_OF[self.when], row),) if self.indexed else ()
        return RowError(self.family, self.code, "Planted by hand.", place)


def read_rulings(document: object) -> tuple[AdsApiRuling, ...]:
    """The rulings on one row from their JSON, of the shape that `SHAPE` tells; ValueError where it is another."""
    documents = document if isinstance(document, list) else [document]
    rulings = tuple(ruling for each in documents for ruling in _read(each))
    if not rulings:
        raise ValueError(SHAPE)
    return rulings


def planted(
    rulings: Mapping[str, tuple[AdsApiRuling, ...]], names: Iterable[str], when: str
) -> tuple[AdsApiRuling, ...]:
    """What was planted for a row of this kind by the first of its names: order id, then click ids."""
    meant = (tuple(each for each in rulings.get(name, ()) if each.when == when) for name in names)
    return next((each for each in meant if each), ())


def _read(document: object) -> Iterator[AdsApiRuling]:
    from connectors.sandbox.google.ads_api.wire import error_number  # noqa: PLC0415 - the vendor's messages load slowly

    match document:
        case dict() if not document.keys() - {"when", "family", "reason", "number", "index"}:
            when, indexed = document.get("when", "submit"), document.get("index", True)
        case _:
            raise ValueError(SHAPE)
    codes = _codes(document)
    if when not in _FAMILIES or not isinstance(indexed, bool):
        raise ValueError(SHAPE)
    family = document.get("family", _FAMILIES[when])
    if not isinstance(family, str):
        raise ValueError(SHAPE)  # noqa: TRY004 - one answer for every bad body
    for code in codes:
        error_number(family, code)
        yield AdsApiRuling(when, family, code, indexed)


def _codes(document: Mapping[object, object]) -> list[str | int]:
    match document.get("reason"), document.get("number"):
        case str(reason), None:
            return [reason]
        case [*reasons], None if all(isinstance(each, str) for each in reasons):
            return [str(each) for each in reasons]
        case None, int(number) if number > 0 and number is not True:
            return [number]
    raise ValueError(SHAPE)


SWITCHES: Mapping[str, tuple[object, ...]] = {
    "ads_api_allowlisted": (True, False),
    "ads_api_enhanced": ("on", "off", "terms_not_accepted", "prohibited"),
    "ads_api_cross_dedup": (False, True),
    "ads_api_click_dedup": ("without_order_id", "always"),
    "ads_api_duplicates": ("later", "all"),
    "ads_api_echo": (False, True),
    "adjustments_allowlisted": (True, False),
    "adjustments_unknown": ("never", "unreadable", "internal"),
    "cross_api_adjustments": (True, False),
}
"""Settings of the account, and what could change a state and is not certain: the positions, default first."""
REFUSALS_KEPT = 1_000
_LISTS = ("conversions", "conversion_adjustments")


class Memory:
    """Switches, planted rulings, uploads and refusals. Not thread-safe: its owner holds Google's lock."""

    def __init__(self, google: GooglePlatform) -> None:
        self.google = google
        self.switches: dict[str, object] = {name: positions[0] for name, positions in SWITCHES.items()}
        self.rulings: dict[str, tuple[AdsApiRuling, ...]] = {}
        self.jobs: list[Job] = []
        self.refused: deque[dict[str, str]] = deque(maxlen=REFUSALS_KEPT)
        self.counts: Counter[str] = Counter()
        self._documents: dict[str, object] = {}
        """The rulings as they were planted."""

    def switch(self, name: str, value: object) -> None:
        """Turn one switch; ValueError where it has no such position."""
        positions = SWITCHES.get(name, ())
        if not any(type(value) is type(each) and value == each for each in positions):
            raise ValueError(f"{name} is one of {', '.join(map(str, positions))}")
        self.switches[name] = value
        self.google.across_apis = bool(self.switches["ads_api_cross_dedup"])

    def setting(self, name: str) -> str:
        """Where a switch with named positions stands."""
        return str(self.switches[name])

    def plant(self, rulings: Mapping[str, object]) -> None:
        """Keep rulings; ValueError where one has another shape, and none is kept then."""
        self.rulings.update({key: read_rulings(each) for key, each in rulings.items()})
        self._documents.update(rulings)

    def refuse(self, refusal: CallRefusal, at: datetime) -> None:
        """Remember that a whole call was refused."""
        self.counts["refused"] += 1
        self.note(refusal.problems or (RowError("", refusal.status, refusal.message),), at)

    def note(self, problems: Sequence[RowError], at: datetime, **where: str) -> None:
        """Remember errors, for those who look at the page."""
        for each in problems:
            field = ".".join(name for name, _ in each.place if name not in _LISTS)
            self.refused.append(
                {"at": at.isoformat(), "when": "submit", "reason": str(each.code), "field": field, **where}
            )

    def dump(self) -> dict[str, Any]:
        """All of it, as JSON; clicks and book are with the Data Manager."""
        return {
            "switches": dict(self.switches),
            "rulings": dict(self._documents),
            "jobs": [job.json() for job in self.jobs],
            "refused": list(self.refused),
            "counts": dict(self.counts),
        }

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Become what `dump` told of."""
        for name, value in dumped["switches"].items():
            self.switch(name, value)
        self.plant(dumped["rulings"])
        self.jobs = [read_job(each) for each in dumped["jobs"]]
        self.refused = deque(dumped["refused"], maxlen=REFUSALS_KEPT)
        self.counts = Counter(dumped["counts"])
