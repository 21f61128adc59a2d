"""Refusals as Google words them: `google.rpc.Status` in JSON.

https://developers.google.com/data-manager/api/devguides/concepts/understand-errors
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from connectors.sandbox.data_manager_rules import FAILING, LOGIN_ACCOUNT, Answered
from connectors.sandbox.http import Response, json_response

_TYPE = "type.googleapis.com/google.rpc"
_DOMAIN = "datamanager.googleapis.com"
_INDEX = re.compile(r"\[\d+\]")


class Code(NamedTuple):
    """A canonical code and its HTTP status."""

    http: int
    name: str


INVALID_ARGUMENT = Code(400, "INVALID_ARGUMENT")
UNAUTHENTICATED = Code(401, "UNAUTHENTICATED")
PERMISSION_DENIED = Code(403, "PERMISSION_DENIED")
NOT_FOUND = Code(404, "NOT_FOUND")
RESOURCE_EXHAUSTED = Code(429, "RESOURCE_EXHAUSTED")
INTERNAL = Code(500, "INTERNAL")
DEADLINE_EXCEEDED = Code(504, "DEADLINE_EXCEEDED")

_CODES = {
    LOGIN_ACCOUNT.answer: PERMISSION_DENIED,
    "NOT_ALLOWLISTED": PERMISSION_DENIED,
    "NOT_FOUND": NOT_FOUND,
    "REQUEST_TOO_OLD": NOT_FOUND,
    "RESOURCE_EXHAUSTED": RESOURCE_EXHAUSTED,
    "INTERNAL_ERROR": INTERNAL,
    "DEADLINE_EXCEEDED": DEADLINE_EXCEEDED,
}


def code_of(reason: str) -> Code:
    """The canonical code that an `ErrorReason` comes with; only some pairs are documented."""
    return _CODES.get(reason, INVALID_ARGUMENT)


@dataclass(frozen=True, slots=True)
class Violation:
    """A field that breaks a rule; `field` is a path from the request, or from the event that `row` counts."""

    reason: str
    description: str
    field: str
    row: int | None = None

    @classmethod
    def of(cls, rule: Answered, field: str, row: int | None = None) -> "Violation":
        """A violation of this rule; it never quotes the value, which may be personal data."""
        return cls(rule.answer, rule.rule, field, row)

    @property
    def path(self) -> str:
        """The path as the vendor writes it: events are listed as `events.events[3]`, all else plainly."""
        return self.field if self.row is None else f"events.events[{self.row}].{self.field}".rstrip(".")


def refusal(
    code: Code,
    reason: str,
    message: str,
    request_id: str,
    violations: Sequence[Violation] = (),
    *,
    indexed: bool = True,
    quota: str = "",
) -> Response:
    """The answer to a refused request; `indexed` says whether paths tell which row of a list is meant."""
    info = {
        "@type": f"{_TYPE}.ErrorInfo",
        "reason": reason,
        "domain": _DOMAIN,
        "metadata": {"requestId": request_id, **({"quota_limit": quota} if quota else {})},
    }
    details: list[object] = [info, {"@type": f"{_TYPE}.RequestInfo", "requestId": request_id}]
    if violations:
        named = [_field_violation(each, indexed=indexed) for each in violations]
        details.append({"@type": f"{_TYPE}.BadRequest", "fieldViolations": named})
    error = {"code": code.http, "message": message, "status": code.name, "details": details}
    return json_response(code.http, {"error": error})


_FAILING = {503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED", 499: "CANCELLED", 409: "ABORTED"}


def failed(status: int) -> Response:
    """The answer of an API that failed, whatever it had taken before."""
    code = Code(status, _FAILING.get(status, "INTERNAL"))
    reason = code.name if code == DEADLINE_EXCEEDED else FAILING.answer
    return refusal(code, reason, "Internal error encountered.", "t-failed")


def unreadable(path: str, *, indexed: bool) -> Response:
    """The answer to a body that is not the request's message: it comes before the platform sees it.

    Google's front end words it, so that there is neither reason nor request id.
    """
    description = f"Invalid JSON payload received: cannot be read at '{path}'."
    field = path if indexed else _INDEX.sub("", path)
    violation = {"field": field, "description": description if indexed else "Invalid JSON payload received."}
    details = [{"@type": f"{_TYPE}.BadRequest", "fieldViolations": [violation]}]
    error = {
        "code": 400,
        "message": violation["description"],
        "status": "INVALID_ARGUMENT",
        "details": details,
    }
    return json_response(400, {"error": error})


def _field_violation(violation: Violation, *, indexed: bool) -> dict[str, str]:
    path = violation.path if indexed else _INDEX.sub("", violation.path)
    return {"field": path, "description": violation.description, "reason": violation.reason}
