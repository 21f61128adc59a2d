"""Meta's requests, error bodies, tokens and apps."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs

from connectors.sandbox.meta import rules
from connectors.sandbox.meta.rules import FAILING, OWN_DATASET, PROOF, SHAPE, THROTTLED, TOKEN_KNOWN, MetaRule
from connectors.sandbox.server import WireRequest, WireResponse, json_response

TOKENS: Mapping[str, str] = {
    "1234567890": "EAAsandboxmaisondemo7c1f0b94de25a86370bd4ce1f98a2065d3b7e41c90fa",
    "2345678901": "EAAsandboxother52d90ea7b6c3184fa09e7d25c16b8f3340a7d91e6c58bb02f",
}
"""Dataset id → the one access token that opens it. Invented."""

APP_SECRETS: Mapping[str, str] = {
    "1234567890": "0c6d1e5fa8b24973a1d0e7c5b9f38264",
    "2345678901": "9b3f7a20c4d85e16f0a92b7d63c1e845",
}
"""Dataset id → the secret of the app its token belongs to: a proof, where one is sent, must be made with it."""

NAMES: Mapping[str, str] = {"1234567890": "Maison Démo", "2345678901": "Autre Maison"}
"""Dataset id → what Events Manager calls it."""


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
class MetaRefusal:
    """A broken rule and where it was broken; never a value, which may be personal data."""

    rule: MetaRule
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

    def __init__(self, refusal: MetaRefusal) -> None:
        super().__init__(refusal.rule.rule)
        self.refusal = refusal


def refused(rule: MetaRule, field: str = "") -> RefusedError:
    """The refusal of a request as a whole."""
    return RefusedError(MetaRefusal(rule, field=field))


def refusal_response(refusal: MetaRefusal, trace: str, *, language: object, indexed: object) -> WireResponse:
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


def throttled_response(minutes: int, trace: str) -> WireResponse:
    """The answer to a throttled request: the delay stands in a header, in minutes.

    https://developers.facebook.com/documentation/ads-commerce/marketing-api/overview/rate-limiting
    """
    usage = {"call_count": 100, "total_cputime": 25, "total_time": 25}
    row = {"type": "ads_management", **usage, "estimated_time_to_regain_access": minutes}
    headers = {"X-Business-Use-Case-Usage": json.dumps({_BUSINESS: [row]}), "X-App-Usage": json.dumps(usage)}
    message = _message(MetaRefusal(THROTTLED))
    error = {"message": message, "type": THROTTLED.kind, "code": THROTTLED.code, "fbtrace_id": trace}
    return json_response(THROTTLED.status, {"error": error}, headers)


def warned(response: WireResponse) -> WireResponse:
    """The same answer with the warning that its version of the API is near its end, or over.

    https://developers.facebook.com/docs/marketing-api/overview/versioning
    """
    warning = "The call has been auto-upgraded to v27.0 as v26.0 will be deprecated."
    return replace(response, headers={**response.headers, "X-Ad-Api-Version-Warning": warning})


def failed_response(status: int) -> WireResponse:
    """The answer of a Meta that failed, whatever it had taken before."""
    error = {"message": FAILING.title, "type": FAILING.kind, "is_transient": True, "code": FAILING.code}
    return json_response(status, {"error": {**error, "fbtrace_id": "Asandboxfailed"}})


def _message(refusal: MetaRefusal) -> str:
    rule = refusal.rule
    if rule.title:
        return "Invalid parameter"
    where = f" ({refusal.field})" if refusal.field else ""
    return _VENDOR_WORDS.get(rule, f"(#{rule.code}) {rule.rule}{where}")


def _for_people(refusal: MetaRefusal, *, language: object, indexed: object) -> dict[str, str]:
    rule = refusal.rule
    if rule.subcode == SHAPE.subcode:
        said = refusal.complaint if language == "en" and refusal.complaint else "{path}"
        told = said.replace("{path}", refusal.path)
    else:
        told = rule.rule if language == "en" else _MEND
        told = f"{told} ({refusal.path})" if indexed else told
    return {"error_user_title": rule.title if language == "en" else rule.french, "error_user_msg": told}


OLDEST, NEWEST = 23, 26
"""The versions of the Graph API that answer."""
_VERSIONS = frozenset(f"v{number}.0" for number in range(OLDEST, NEWEST + 1))
_DATASETS = {token: dataset for dataset, token in TOKENS.items()}


@dataclass(frozen=True, slots=True)
class GraphCall:
    """One request that a known token came with; `path` is what follows the version, cut at its slashes."""

    method: str
    path: tuple[str, ...]
    parameters: Mapping[str, object] = field(repr=False)
    dataset: str
    """The one that the token opens."""


@dataclass(frozen=True, slots=True)
class MetaEvent:
    """One event as parsed; `digest` is the SHA-256 of its JSON with sorted keys and no spaces."""

    fields: Mapping[str, object] = field(repr=False)
    digest: str

    def part(self, name: str) -> Mapping[str, object]:
        """The object of this name; empty where there is none."""
        match self.fields.get(name):
            case dict(found):
                return found
            case _:
                return {}


def read(request: WireRequest) -> GraphCall:
    """The call that a request makes; RefusedError where it does not even reach its endpoint."""
    version, *path = request.path.removeprefix("/").removesuffix("/").split("/")  # the library ends a node with one
    if version not in _VERSIONS:
        raise refused(rules.VERSION if _ended(version) else rules.KNOWN_PATH)
    query, body = _single(request.query), _body(request)
    token = _token(request, query, body)
    dataset = _DATASETS.get(token)
    if dataset is None:
        raise refused(rules.TOKEN_KNOWN)
    if twice := query.keys() & body.keys():
        raise refused(rules.KNOWN_PARAMETERS, min(twice))
    parameters = query | body
    proof = parameters.pop("appsecret_proof", None)
    if proof is not None and proof != _proof(APP_SECRETS[dataset], token):
        raise refused(rules.PROOF)
    return GraphCall(request.method, tuple(path), parameters, dataset)


def events(data: object) -> tuple[MetaEvent, ...]:
    """The events of a `data` parameter, in any of its forms; RefusedError where it has none of them."""
    rows = _json(data) if isinstance(data, str) else data
    if not isinstance(rows, list):
        raise refused(rules.DATA, "data")
    return tuple(_event(row, index) for index, row in enumerate(rows))


def _event(row: object, index: int) -> MetaEvent:
    fields = _json(row) if isinstance(row, str) else row
    if not isinstance(fields, dict):
        raise RefusedError(MetaRefusal(rules.SHAPE, index, "", "The parameter {path} must be an object."))
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        return MetaEvent(fields, hashlib.sha256(text.encode()).hexdigest())
    except UnicodeEncodeError:  # half of a surrogate pair is no text
        raise refused(rules.DATA, "data") from None


def _ended(version: str) -> bool:
    number = version.removeprefix("v").removesuffix(".0")
    return version == f"v{number}.0" and number.isdecimal() and int(number) < OLDEST


def _body(request: WireRequest) -> dict[str, object]:
    """The parameters in the body; RefusedError where it cannot be read."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not request.body:
        return {}
    if kind == "application/x-www-form-urlencoded":
        return _form(request.body)
    body = _json(request.body, rules.BODY) if kind == "application/json" else None
    if not isinstance(body, dict):
        raise refused(rules.BODY)
    return body


def _form(body: bytes) -> dict[str, object]:
    try:
        return _single(parse_qs(body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict"))
    except ValueError:
        raise refused(rules.BODY) from None


def _single(values: Mapping[str, Iterable[str]]) -> dict[str, object]:
    single: dict[str, object] = {}
    for name, (value, *others) in values.items():
        if others:
            raise refused(rules.KNOWN_PARAMETERS, name)
        single[name] = value
    return single


def _token(request: WireRequest, *places: dict[str, object]) -> str:
    """The one token of the request, taken out of its parameters; it may stand in several places."""
    named = [place.pop("access_token") for place in places if "access_token" in place]
    if bearer := _bearer(request):
        named.append(bearer)
    texts = {each for each in named if isinstance(each, str)}
    if len(texts) != 1 or len(named) > named.count(min(texts)):
        raise refused(rules.TOKEN_NAMED)
    return texts.pop()


def _bearer(request: WireRequest) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "oauth") else ""


def _proof(secret: str, token: str) -> str:
    """What `appsecret_proof` has to be.

    https://developers.facebook.com/docs/graph-api/guides/secure-requests
    """
    return hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()


def _json(text: str | bytes, rule: rules.MetaRule = rules.DATA) -> object:
    """Strict JSON: no NaN, no key twice."""
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_repeats)
    except ValueError:
        raise refused(rule, "data" if rule is rules.DATA else "") from None


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _no_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found
