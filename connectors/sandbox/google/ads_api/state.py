"""The Google Ads API's state between calls."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from connectors.sandbox.faults import STRICT, dumped, parsed
from connectors.sandbox.google.ads_api.wire import CallRefusal, GrpcCall, RowError, error_number
from connectors.sandbox.google.platform import GoogleAccount, GoogleApi, GooglePlatform
from connectors.sandbox.platform import Positions
from connectors.sandbox.rules import ads_api_rules as rules

SWITCHES: Positions = {
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
"""Positions of the account's settings, and of uncertain behaviour that could change a state; the default first."""
ROW_LISTS = {"submit": "conversions", "adjust": "conversion_adjustments"}
"""The request field with the rows, by the upload's name in rulings."""

_FAMILIES = {"submit": "conversion_upload_error", "adjust": "conversion_adjustment_upload_error"}
_CUSTOMER_ID = re.compile(r"\d{10}", re.ASCII)


@pydantic_dataclass(frozen=True, slots=True, config=STRICT)
class AdsApiRuling:
    """Errors planted on conversions (submit) or adjustments (adjust)."""

    when: Literal["submit", "adjust"] = "submit"
    family: str | None = None
    """The field of `ErrorCode`; by default that of the upload."""
    reason: str | list[str] = ""
    """One or more names in the family."""
    number: int | None = Field(default=None, gt=0)
    """An error number unknown to the family, in place of a name."""
    index: bool = True
    """Whether the errors identify their row."""

    def __post_init__(self) -> None:
        """Raise ValueError unless it identifies an existing error."""
        if bool(self.reason) == bool(self.number):
            raise ValueError("a ruling has either a reason or a number")
        for each in self.errors(0):
            error_number(each.family, each.code)

    def errors(self, row: int) -> list[RowError]:
        """Return the errors of the row at this index."""
        codes = [self.reason] if isinstance(self.reason, str) else self.reason
        family = self.family or _FAMILIES[self.when]
        place = ((ROW_LISTS[self.when], row),) if self.index else ()
        return [RowError(family, self.number or code, "Planted by hand.", place) for code in codes or [""]]


_Rulings = Annotated[list[AdsApiRuling], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Job:
    """One upload to one action: row counts by error (`family.NAME` or `family.number`), empty for successes."""

    id: int
    at: datetime
    customer: str
    action: str
    rows: Mapping[str, int]


class AdsApiState(GoogleApi):
    """The Google Ads API's switches, planted rulings, jobs, refusals and access control."""

    def __init__(self, now: Callable[[], datetime], google: GooglePlatform | None) -> None:
        super().__init__(now, google, SWITCHES)
        self.jobs: list[Job] = []
        self.rulings: dict[str, list[AdsApiRuling]] = {}
        """By order id or click id."""

    def plant_rulings(self, rulings: Mapping[str, object]) -> None:
        """Plant errors on rows, by order id or click id: one `AdsApiRuling` each, or a list.

        Raise ValueError, and plant none, if one has another shape or its error doesn't exist.
        """
        listed = {key: each if isinstance(each, list) else [each] for key, each in rulings.items()}
        planted: dict[str, list[AdsApiRuling]] = parsed(dict[str, _Rulings], listed)
        with self.lock:
            self.rulings.update(planted)

    def planted_errors(self, names: Iterable[str], when: str, row: int) -> list[RowError]:
        """Return the errors planted on a row under the first of its names that has any: order id, then click ids."""
        for name in names:
            rulings = [each for each in self.rulings.get(name, ()) if each.when == when]
            if rulings:
                return [error for each in rulings for error in each.errors(row)]
        return []

    def switch(self, name: str, value: object) -> None:
        """Set one switch; raise ValueError if it has no such position."""
        super().switch(name, value)
        self.google.across_apis = bool(self.switches["ads_api_cross_dedup"])

    def enhanced_conversions(self, account: GoogleAccount) -> str:
        """Return the account's setting of enhanced conversions for leads, as a position of `ads_api_enhanced`."""
        return str(self.switches["ads_api_enhanced"]) if account.enhanced_conversions else "off"

    def access_refusal(self, call: GrpcCall, customer: str) -> CallRefusal | None:
        """Return the refusal of a caller without access to this customer; None if it has access.

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
        """Record errors for the control page."""
        for each in errors:
            field = ".".join(name for name, _ in each.place if name not in ROW_LISTS.values())
            self.note(at, when="submit", reason=str(each.code), field=field, **where)

    def dump(self) -> dict[str, Any]:
        """Return the API's own state as JSON; the Data Manager dumps clicks and book."""
        with self.lock:
            return {**super().dump(), "rulings": dumped(self.rulings), "jobs": dumped(self.jobs)}

    def load(self, saved: Mapping[str, Any]) -> None:
        """Restore what `dump` returned."""
        with self.lock:
            super().load(saved)
            self.plant_rulings(saved["rulings"])
            self.jobs = parsed(list[Job], saved["jobs"])
