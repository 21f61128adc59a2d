"""Refusals as Meta words them.

https://developers.facebook.com/docs/graph-api/guides/error-handling
"""

import json
from dataclasses import dataclass, replace

from connectors.sandbox.http import Response, json_response
from connectors.sandbox.meta_rules import FAILING, OWN_DATASET, PROOF, SHAPE, THROTTLED, TOKEN_KNOWN, Answered

_BUSINESS = "900100200300400"
_VENDOR_WORDS = {
    TOKEN_KNOWN: "Invalid OAuth access token - Cannot parse access token",
    PROOF: "Invalid appsecret_proof provided in the API argument",
    OWN_DATASET: "Unsupported request. Object does not exist, cannot be loaded due to missing permissions, "
    "or does not support this operation",
}
"""What others saw Meta say, where a caller might read it."""
_MEND = "Corrigez l’évènement puis renvoyez toute la requête."


@dataclass(frozen=True, slots=True)
class Refusal:
    """A broken rule and where it was broken; never a value, which may be personal data."""

    rule: Answered
    row: int | None = None
    """The event's place in the request; None where the request itself is at fault."""
    field: str = ""
    """Keys inside the event as a path, `['user_data']['em']`; a parameter's name where `row` is None."""
    complaint: str = ""
    """What Meta says of a broken shape, with {path} for the place."""

    @property
    def path(self) -> str:
        """The place as Meta writes it."""
        return self.field if self.row is None else f"$['data'][{self.row}]{self.field}"


class RefusedError(Exception):
    """A request that is answered by a refusal; its text is the rule."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.rule.rule)
        self.refusal = refusal


def refused(rule: Answered, field: str = "") -> RefusedError:
    """The refusal of a request as a whole."""
    return RefusedError(Refusal(rule, field=field))


def refusal_response(refusal: Refusal, trace: str, *, language: object, indexed: object) -> Response:
    """The answer to a refused request.

    Args:
        refusal: what was broken.
        trace: the answer's `fbtrace_id`.
        language: "en" or "fr", of the words for people; words for developers are English always.
        indexed: whether every refusal of an event tells which one; else only 2804019 does.
    """
    rule = refusal.rule
    error: dict[str, object] = {"message": _message(refusal), "type": rule.kind, "code": rule.code}
    if rule.subcode:
        error["error_subcode"] = rule.subcode
    if rule.title:
        error |= {"is_transient": False, **_for_people(refusal, language=language, indexed=indexed)}
    return json_response(rule.status, {"error": {**error, "fbtrace_id": trace}})


def throttled_response(minutes: int, trace: str) -> Response:
    """The answer to a throttled request: the delay stands in a header, in minutes.

    https://developers.facebook.com/documentation/ads-commerce/marketing-api/overview/rate-limiting
    """
    usage = {"call_count": 100, "total_cputime": 25, "total_time": 25}
    row = {"type": "ads_management", **usage, "estimated_time_to_regain_access": minutes}
    headers = {"X-Business-Use-Case-Usage": json.dumps({_BUSINESS: [row]}), "X-App-Usage": json.dumps(usage)}
    message = _message(Refusal(THROTTLED))
    error = {"message": message, "type": THROTTLED.kind, "code": THROTTLED.code, "fbtrace_id": trace}
    return json_response(THROTTLED.status, {"error": error}, headers)


def warned(response: Response) -> Response:
    """The same answer with the warning that its version of the API is near its end, or over.

    https://developers.facebook.com/docs/marketing-api/overview/versioning
    """
    warning = "The call has been auto-upgraded to v27.0 as v26.0 will be deprecated."
    return replace(response, headers={**response.headers, "X-Ad-Api-Version-Warning": warning})


def failed_response(status: int) -> Response:
    """The answer of a Meta that failed, whatever it had taken before."""
    error = {"message": FAILING.title, "type": FAILING.kind, "is_transient": True, "code": FAILING.code}
    return json_response(status, {"error": {**error, "fbtrace_id": "Asandboxfailed"}})


def _message(refusal: Refusal) -> str:
    rule = refusal.rule
    if rule.title:
        return "Invalid parameter"
    where = f" ({refusal.field})" if refusal.field else ""
    return _VENDOR_WORDS.get(rule, f"(#{rule.code}) {rule.rule}{where}")


def _for_people(refusal: Refusal, *, language: object, indexed: object) -> dict[str, str]:
    rule = refusal.rule
    if rule.subcode == SHAPE.subcode:
        said = refusal.complaint if language == "en" and refusal.complaint else "{path}"
        told = said.replace("{path}", refusal.path)
    else:
        told = rule.rule if language == "en" else _MEND
        told = f"{told} ({refusal.path})" if indexed else told
    return {"error_user_title": rule.title if language == "en" else rule.french, "error_user_msg": told}
