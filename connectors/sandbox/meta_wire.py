"""What comes over the wire, read as the Graph API reads it: a node, parameters from wherever they stand, a token."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from connectors.sandbox import meta_rules as rules
from connectors.sandbox.http import Request
from connectors.sandbox.meta_accounts import APP_SECRETS, TOKENS
from connectors.sandbox.meta_errors import Refusal, RefusedError, refused

OLDEST, NEWEST = 23, 26
"""The versions of the Graph API that answer."""
_VERSIONS = frozenset(f"v{number}.0" for number in range(OLDEST, NEWEST + 1))
_DATASETS = {token: dataset for dataset, token in TOKENS.items()}


@dataclass(frozen=True, slots=True)
class Call:
    """One request that a known token came with; `path` is what follows the version, cut at its slashes."""

    method: str
    path: tuple[str, ...]
    parameters: Mapping[str, object] = field(repr=False)
    dataset: str
    """The one that the token opens."""


@dataclass(frozen=True, slots=True)
class Event:
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


def read(request: Request) -> Call:
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
    return Call(request.method, tuple(path), parameters, dataset)


def events(data: object) -> tuple[Event, ...]:
    """The events of a `data` parameter, in any of its forms; RefusedError where it has none of them."""
    rows = _json(data) if isinstance(data, str) else data
    if not isinstance(rows, list):
        raise refused(rules.DATA, "data")
    return tuple(_event(row, index) for index, row in enumerate(rows))


def _event(row: object, index: int) -> Event:
    fields = _json(row) if isinstance(row, str) else row
    if not isinstance(fields, dict):
        raise RefusedError(Refusal(rules.SHAPE, index, "", "The parameter {path} must be an object."))
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        return Event(fields, hashlib.sha256(text.encode()).hexdigest())
    except UnicodeEncodeError:  # half of a surrogate pair is no text
        raise refused(rules.DATA, "data") from None


def _ended(version: str) -> bool:
    number = version.removeprefix("v").removesuffix(".0")
    return version == f"v{number}.0" and number.isdecimal() and int(number) < OLDEST


def _body(request: Request) -> dict[str, object]:
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


def _token(request: Request, *places: dict[str, object]) -> str:
    """The one token of the request, taken out of its parameters; it may stand in several places."""
    named = [place.pop("access_token") for place in places if "access_token" in place]
    if bearer := _bearer(request):
        named.append(bearer)
    texts = {each for each in named if isinstance(each, str)}
    if len(texts) != 1 or len(named) > named.count(min(texts)):
        raise refused(rules.TOKEN_NAMED)
    return texts.pop()


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "oauth") else ""


def _proof(secret: str, token: str) -> str:
    """What `appsecret_proof` has to be.

    https://developers.facebook.com/docs/graph-api/guides/secure-requests
    """
    return hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()


def _json(text: str | bytes, rule: rules.Answered = rules.DATA) -> object:
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
