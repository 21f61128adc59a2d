"""What the Google Ads API remembers between calls."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from connectors.sandbox.google.accounts import GoogleAccount, GoogleApi, GooglePlatform
from connectors.sandbox.google.ads_api.wire import CallRefusal, GrpcCall, RowError, error_number
from connectors.sandbox.google.rules import ads_api_rules as rules

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
"""Positions of the account's settings, and of what is uncertain and could change a state; default first."""
ROW_LISTS = {"submit": "conversions", "adjust": "conversion_adjustments"}
"""The field with an upload's rows, by what rulings call the upload."""

_FAMILIES = {"submit": "conversion_upload_error", "adjust": "conversion_adjustment_upload_error"}
_CUSTOMER_ID = re.compile(r"\d{10}", re.ASCII)


@dataclass(frozen=True, slots=True)
class AdsApiRuling:
    """One planted error, on conversions (submit) or adjustments (adjust)."""

    when: str
    family: str
    code: str | int
    indexed: bool

    def error(self, row: int) -> RowError:
        """The error of the row at this index."""
        place = ((ROW_LISTS[self.when], row),) if self.indexed else ()
        return RowError(self.family, self.code, "Planted by hand.", place)


RULING_SHAPE = (
    'a ruling is {"when": "submit" or "adjust", "family": a field of ErrorCode (default conversion_upload_error, '
    "or conversion_adjustment_upload_error), "
    '"reason": a name or names in it, or "number": one it does not know yet, "index": false for an error '
    "that names no row}, or a list of such"
)


def read_rulings(document: object) -> tuple[AdsApiRuling, ...]:
    """The rulings on one row from their JSON; ValueError if it is not of `RULING_SHAPE`."""
    documents = document if isinstance(document, list) else [document]
    rulings = tuple(ruling for each in documents for ruling in _read_ruling(each))
    if not rulings:
        raise ValueError(RULING_SHAPE)
    return rulings


def _read_ruling(document: object) -> Iterator[AdsApiRuling]:
    if not isinstance(document, dict) or document.keys() - {"when", "family", "reason", "number", "index"}:
        raise ValueError(RULING_SHAPE)
    when, indexed = document.get("when", "submit"), document.get("index", True)
    codes = _codes(document)
    if when not in _FAMILIES or not isinstance(indexed, bool):
        raise ValueError(RULING_SHAPE)
    family = document.get("family", _FAMILIES[when])
    if not isinstance(family, str):
        raise ValueError(RULING_SHAPE)  # noqa: TRY004 - one answer for every bad body
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
    raise ValueError(RULING_SHAPE)


@dataclass(frozen=True, slots=True)
class Job:
    """One upload to one action: rows by error, `family.NAME` or `family.number`; the empty one counts successes."""

    id: int
    at: datetime
    customer: str
    action: str
    rows: Mapping[str, int]


class AdsApiState(GoogleApi):
    """Switches, planted rulings, jobs and refusals of the Google Ads API, and who has access to its customers."""

    def __init__(self, now: Callable[[], datetime], google: GooglePlatform | None) -> None:
        super().__init__(now, google, SWITCHES)
        self.jobs: list[Job] = []
        self.rulings: dict[str, object] = {}
        """As JSON, by order id or click id."""

    def plant_rulings(self, rulings: Mapping[str, object]) -> None:
        """Plant errors on rows, by order id or click id; ValueError if one is not of `RULING_SHAPE`.

        None is planted then.
        """
        for each in rulings.values():
            read_rulings(each)
        with self.google.lock:
            self.rulings.update(rulings)

    def planted_errors(self, names: Iterable[str], when: str, row: int) -> list[RowError]:
        """The errors planted on a row under the first of its names that has any: order id, then click ids."""
        for name in names:
            rulings = read_rulings(self.rulings[name]) if name in self.rulings else ()
            if errors := [each.error(row) for each in rulings if each.when == when]:
                return errors
        return []

    def switch(self, name: str, value: object) -> None:
        """Turn one switch; ValueError if it has no such position."""
        super().switch(name, value)
        self.google.across_apis = bool(self.switches["ads_api_cross_dedup"])

    def enhanced_conversions(self, account: GoogleAccount) -> str:
        """The account's enhanced conversions for leads, as the switch names them."""
        return str(self.switches["ads_api_enhanced"]) if account.enhanced_conversions else "off"

    def access_refusal(self, call: GrpcCall, customer: str) -> CallRefusal | None:
        """The refusal of a caller without access to this customer.

        https://developers.google.com/google-ads/api/docs/concepts/call-structure
        """
        accounts = self.google.accounts
        account = accounts.get(customer)
        login = call.metadata.get("login-customer-id", "")
        if login and not _CUSTOMER_ID.fullmatch(login):
            return CallRefusal.of(rules.LOGIN_NUMBER)
        if not _CUSTOMER_ID.fullmatch(customer):
            return CallRefusal.of(rules.CUSTOMER_NUMBER, "customer_id")
        if account is None and not any(customer in each.managers for each in accounts.values()):
            return CallRefusal.of(rules.CUSTOMER_KNOWN)
        if login in accounts and login != customer:
            return CallRefusal.of(rules.LOGIN_IS_MANAGER)
        if login not in (account.managers if account else ("", customer)):
            return CallRefusal.of(rules.ACCESS)
        return CallRefusal.of(rules.CUSTOMER_ENABLED) if account and not account.enabled else None

    def note_errors(self, errors: Sequence[RowError], at: datetime, **where: str) -> None:
        """Remember errors, for the control page."""
        for each in errors:
            field = ".".join(name for name, _ in each.place if name not in ROW_LISTS.values())
            self.note(at, "submit", str(each.code), field=field, **where)

    def dump(self) -> dict[str, Any]:
        """Its own state, as JSON; clicks and book are with the Data Manager."""
        with self.google.lock:
            jobs = [{**asdict(job), "at": job.at.isoformat()} for job in self.jobs]
            return {**super().dump(), "rulings": dict(self.rulings), "jobs": jobs}

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Restore what `dump` returned."""
        with self.google.lock:
            super().load(dumped)
            self.plant_rulings(dumped["rulings"])
            self.jobs = [Job(**{**each, "at": datetime.fromisoformat(each["at"])}) for each in dumped["jobs"]]
