"""Meta's requests, error bodies, tokens and apps."""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn
from urllib.parse import parse_qs

from connectors.sandbox.rules import MetaRule
from connectors.sandbox.rules import meta_rules as rules
from connectors.sandbox.server import WireRequest, WireResponse, json_response

TOKENS: Mapping[str, str] = {
    "1234567890": "EAAsandboxmaisondemo7c1f0b94de25a86370bd4ce1f98a2065d3b7e41c90fa",
    "2345678901": "EAAsandboxother52d90ea7b6c3184fa09e7d25c16b8f3340a7d91e6c58bb02f",
}
"""Dataset id → its only access token. Invented."""

APP_SECRETS: Mapping[str, str] = {
    "1234567890": "0c6d1e5fa8b24973a1d0e7c5b9f38264",
    "2345678901": "9b3f7a20c4d85e16f0a92b7d63c1e845",
}
"""Dataset id → the secret of its token's app, which must sign an `appsecret_proof` if one is sent."""

NAMES: Mapping[str, str] = {"1234567890": "Maison Démo", "2345678901": "Autre Maison"}
"""Dataset id → its name in Events Manager."""


_BUSINESS = "900100200300400"
_VENDOR_WORDS = {
    rules.TOKEN_KNOWN: "Invalid OAuth access token - Cannot parse access token",
    rules.PROOF: "Invalid appsecret_proof provided in the API argument",
    rules.OWN_DATASET: "Unsupported request. Object does not exist, cannot be loaded due to missing permissions, "
    "or does not support this operation",
}
"""Meta's own messages, as published by others, where a caller might parse them."""
_FRENCH_ADVICE = "Corrigez l’évènement puis renvoyez toute la requête."


@dataclass(eq=False)
class MetaRefusal(Exception):
    """A broken rule and where it was broken; it never quotes the value, which may be personal data."""

    rule: MetaRule
    field: str = ""
    """A path inside the event, `['user_data']['em']`; the parameter's name if `row` is None."""
    row: int | None = None
    """The event's index in the request; None if the request itself is at fault."""
    complaint: str = ""
    """Meta's message about a wrong shape, with {path} for the place."""

    @property
    def path(self) -> str:
        """The place as Meta writes it."""
        return self.field if self.row is None else f"$['data'][{self.row}]{self.field}"


def refusal_response(refusal: MetaRefusal, trace: str, *, language: object, indexed: object) -> WireResponse:
    """Return the response to a refused request, its user-facing text in this language, "en" or "fr".

    With `indexed`, every refusal with user-facing text names the event; otherwise only subcode 2804019 does.
    """
    rule = refusal.rule
    details: dict[str, object] = {"error_subcode": rule.subcode} if rule.subcode else {}
    if rule.title:
        details |= {"is_transient": False, **_user_facing_message(refusal, language=language, indexed=indexed)}
    return _error(rule, _message(refusal), trace, details)


def throttled_response(minutes: int, trace: str) -> WireResponse:
    """Return the response to a throttled request, with the delay in a header, in minutes.

    https://developers.facebook.com/documentation/ads-commerce/marketing-api/overview/rate-limiting
    """
    usage = {"call_count": 100, "total_cputime": 25, "total_time": 25}
    row = {"type": "ads_management", **usage, "estimated_time_to_regain_access": minutes}
    headers = {"X-Business-Use-Case-Usage": json.dumps({_BUSINESS: [row]}), "X-App-Usage": json.dumps(usage)}
    throttled = _error(rules.THROTTLED, _message(MetaRefusal(rules.THROTTLED)), trace)
    return replace(throttled, headers={**throttled.headers, **headers})


def with_deprecation_header(response: WireResponse) -> WireResponse:
    """Add the header that warns of a deprecated API version.

    https://developers.facebook.com/docs/marketing-api/overview/versioning
    """
    warning = "The call has been auto-upgraded to v27.0 as v26.0 will be deprecated."
    return replace(response, headers={**response.headers, "X-Ad-Api-Version-Warning": warning})


def failed_response(status: int) -> WireResponse:
    """Return the response of an API that failed, perhaps after it counted the events."""
    return _error(replace(rules.FAILING, status=status), rules.FAILING.title, "Asandboxfailed", {"is_transient": True})


def _error(rule: MetaRule, message: str, trace: str, details: Mapping[str, object] | None = None) -> WireResponse:
    error = {"message": message, "type": rule.kind, "code": rule.code, **(details or {}), "fbtrace_id": trace}
    return json_response(rule.status, {"error": error})


def _message(refusal: MetaRefusal) -> str:
    rule = refusal.rule
    if rule.title:
        return "Invalid parameter"
    where = f" ({refusal.field})" if refusal.field else ""
    return _VENDOR_WORDS.get(rule, f"(#{rule.code}) {rule.rule}{where}")


def _user_facing_message(refusal: MetaRefusal, *, language: object, indexed: object) -> dict[str, str]:
    rule, english = refusal.rule, language == "en"
    if rule.subcode == rules.SHAPE.subcode:
        template = refusal.complaint if english and refusal.complaint else "{path}"
        message = template.replace("{path}", refusal.path)
    else:
        message = rule.rule if english else _FRENCH_ADVICE
        message = f"{message} ({refusal.path})" if indexed else message
    return {"error_user_title": rule.title if english else rule.french, "error_user_msg": message}


OLDEST, NEWEST = 23, 27
"""The oldest and newest Graph API versions served."""
_VERSIONS = frozenset(f"v{number}.0" for number in range(OLDEST, NEWEST + 1))
_DATASETS = {token: dataset for dataset, token in TOKENS.items()}


@dataclass(frozen=True, slots=True)
class GraphCall:
    """One request with a known token; `path` has the segments after the version."""

    method: str
    path: tuple[str, ...]
    parameters: Mapping[str, object] = field(repr=False)
    dataset: str
    """The dataset that the token opens."""


@dataclass(frozen=True, slots=True)
class MetaEvent:
    """One parsed event; `digest` is the SHA-256 of its JSON with sorted keys and no whitespace."""

    fields: Mapping[str, object] = field(repr=False)
    digest: str

    def get_nested_object(self, name: str) -> Mapping[str, object]:
        """Return the object with this name; empty if there is none."""
        found = self.fields.get(name)
        return found if isinstance(found, dict) else {}


def parse_graph_call(request: WireRequest) -> GraphCall:
    """Parse a request; raise `MetaRefusal` if it can't reach an endpoint: version, token, parameters or proof."""
    version, *path = request.path.removeprefix("/").removesuffix("/").split("/")  # Meta's library ends node URLs in "/"
    number = re.fullmatch(r"v([0-9]+)\.0", version)
    if version not in _VERSIONS:
        raise MetaRefusal(rules.VERSION if number and int(number[1]) < OLDEST else rules.KNOWN_PATH)
    query, body = _reject_repeated_values(request.query), _body(request)
    token = _token(request, query, body)
    dataset = _DATASETS.get(token)
    if dataset is None:
        raise MetaRefusal(rules.TOKEN_KNOWN)
    if twice := query.keys() & body.keys():
        raise MetaRefusal(rules.KNOWN_PARAMETERS, min(twice))
    parameters = query | body
    proof = parameters.pop("appsecret_proof", None)
    # https://developers.facebook.com/docs/graph-api/guides/secure-requests
    if proof not in (None, hmac.digest(APP_SECRETS[dataset].encode(), token.encode(), "sha256").hex()):
        raise MetaRefusal(rules.PROOF)
    return GraphCall(request.method, tuple(path), parameters, dataset)


def parse_events(data: object) -> tuple[MetaEvent, ...]:
    """Parse the events of a `data` parameter, in any of its forms; raise `MetaRefusal` if it is unreadable."""
    rows = _json(data) if isinstance(data, str) else data
    if not isinstance(rows, list):
        raise MetaRefusal(rules.DATA, "data")
    return tuple(_event(row, index) for index, row in enumerate(rows))


def _event(row: object, index: int) -> MetaEvent:
    fields = _json(row) if isinstance(row, str) else row
    if not isinstance(fields, dict):
        raise MetaRefusal(rules.SHAPE, "", index, "The parameter {path} must be an object.")
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        return MetaEvent(fields, hashlib.sha256(text.encode()).hexdigest())
    except UnicodeEncodeError:  # a lone surrogate
        raise MetaRefusal(rules.DATA, "data") from None


def _body(request: WireRequest) -> dict[str, object]:
    """Return the body's parameters; raise `MetaRefusal` if it can't be read."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not request.body:
        return {}
    if kind == "application/x-www-form-urlencoded":
        try:
            text = request.body.decode()
            return _reject_repeated_values(parse_qs(text, keep_blank_values=True, strict_parsing=True, errors="strict"))
        except ValueError:
            raise MetaRefusal(rules.BODY) from None
    body = _json(request.body, rules.BODY) if kind == "application/json" else None
    if not isinstance(body, dict):
        raise MetaRefusal(rules.BODY)
    return body


def _reject_repeated_values(values: Mapping[str, Iterable[str]]) -> dict[str, object]:
    single: dict[str, object] = {}
    for name, (value, *others) in values.items():
        if others:
            raise MetaRefusal(rules.KNOWN_PARAMETERS, name)
        single[name] = value
    return single


def _token(request: WireRequest, *places: dict[str, object]) -> str:
    """Remove the request's token from its parameters and return it; every place that has one must agree."""
    named = [place.pop("access_token") for place in places if "access_token" in place]
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() in ("bearer", "oauth") and bearer.strip():
        named.append(bearer.strip())
    texts = {each for each in named if isinstance(each, str)}
    if len(texts) != 1 or len(named) > named.count(min(texts)):
        raise MetaRefusal(rules.TOKEN_NAMED)
    return texts.pop()


def _json(text: str | bytes, rule: MetaRule = rules.DATA) -> object:
    """Parse strict JSON: no NaN, no duplicate keys."""
    try:
        return json.loads(text, parse_constant=_refuse, object_pairs_hook=_without_repeats)
    except ValueError:
        raise MetaRefusal(rule, "data" if rule is rules.DATA else "") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _refuse("a key stands twice")
