"""Refusals of the Google Ads API as plain values; `google_ads_wire` writes them as Google does."""

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.sandbox.google.ads_api.rules import FAILING, AdsApiRule

Place = tuple[tuple[str, int | None], ...]
"""A path from the request to a field: names, each with its index where the field is a list."""
CODES: Mapping[str, int] = {
    "OK": 200,
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "UNKNOWN": 520,
}
"""gRPC's codes with the HTTP status of the same sense.

https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto (UNKNOWN has none of its own)
"""


@dataclass(frozen=True, slots=True)
class RowError:
    """One error: its family (a field of `ErrorCode`), its name or bare number there, and the field it is about."""

    family: str
    code: str | int
    message: str
    place: Place = ()
    retry_seconds: int | None = None

    @classmethod
    def of(cls, rule: AdsApiRule, *place: tuple[str, int | None] | str) -> "RowError":
        """The breach of a rule; it never quotes the value, which may be personal data."""
        path = tuple((each, None) if isinstance(each, str) else each for each in place)
        return cls(rule.family, rule.answer, rule.rule, path)

    @property
    def name(self) -> str:
        """Its name, or its number as text."""
        return str(self.code)


@dataclass(frozen=True, slots=True)
class CallRefusal:
    """A call that fails as a whole: a status, and the errors of its GoogleAdsFailure, where it has one."""

    status: str
    message: str
    problems: tuple[RowError, ...] = ()

    @classmethod
    def of(cls, rule: AdsApiRule, *place: tuple[str, int | None] | str) -> "CallRefusal":
        """The refusal of a request that breaks this rule."""
        problem = RowError.of(rule, *place)
        return cls(rule.status, rule.rule, (problem,) if rule.family else ())


def failed(number: int | None) -> CallRefusal:
    """The failure of a call that may have been recorded before, by the HTTP-like number it stands for."""
    return CallRefusal(planted(500 if number is None else number, None).status, FAILING.rule, (RowError.of(FAILING),))


def planted(number: int | None, retry_after: int | None) -> CallRefusal:
    """The refusal that a planted HTTP-like number stands for; only a quota's has a GoogleAdsFailure.

    https://developers.google.com/google-ads/api/docs/best-practices/quotas
    """
    number = 503 if number is None else number
    status = next((name for name, code in CODES.items() if code == number and name != "OK"), "UNKNOWN")
    if number == 502:  # noqa: PLR2004 - a gateway's, which gRPC takes for UNAVAILABLE
        status = "UNAVAILABLE"
    if status != "RESOURCE_EXHAUSTED":
        return CallRefusal(status, f"Planted by hand: {number}.")
    problem = RowError("quota_error", "RESOURCE_TEMPORARILY_EXHAUSTED", "Too many requests.", (), retry_after)
    return CallRefusal(status, "Resource has been exhausted (e.g. check quota).", (problem,))
