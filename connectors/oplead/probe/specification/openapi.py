"""An OpenAPI specification, 2.0 or 3.x, as operations with schemas. Pure, tolerant, and bounded.

Whatever is malformed is as if it were absent. The document is already bounded in size and depth; here references,
which may lead in circles, are followed only so far.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from urllib.parse import urlsplit

Schema = Mapping[str, object]

VERBS = ("get", "post", "put", "patch", "delete")
_PLAIN = re.compile(r"[!-~]{1,100}")
_PATH = re.compile(r"(?!.*[?#])[!-~]{1,500}")
"""Paths and names of printable ASCII; anything else cannot be written in the settings."""
_HOPS = 20
_MOST_PARTS = 200
"""Schemas that one may be composed of."""
_MOST_OPERATIONS = 2_000
_MOST_SERVERS = 4
_MOST_PARAMETERS = 100
"""Parameters of one operation, and those that its path shares."""
_MEDIA = ("application/json", "multipart/form-data", "application/x-www-form-urlencoded")
"""The kinds of bodies, best first."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a request."""

    name: str
    place: str
    """`query`, `header`, `path` or `cookie`."""
    description: str
    schema: Schema


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body."""

    media: str
    schema: Schema


@dataclass(frozen=True, slots=True)
class ApiOperation:
    """One verb of one path."""

    verb: str
    """In capitals."""
    path: str
    """With what precedes every path, and the names of its parameters in braces."""
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    answer: Schema | None = None
    """The schema of the answer to a request that succeeds."""
    headers: tuple[str, ...] = ()
    """The headers of that answer."""
    successes: Mapping[str, Schema] = field(default_factory=dict)
    """Each answer to a request that succeeds, as it is written, by status."""
    security: tuple[str, ...] = ()
    """The names of the schemes, one of which it wants."""


@dataclass(frozen=True, slots=True)
class SecurityScheme:
    """How a key is shown."""

    kind: str
    """`apiKey`, `http`, `oauth2`, …"""
    place: str
    """`header` or `query`, for `apiKey`."""
    name: str
    """The header's or parameter's name, for `apiKey`."""
    scheme: str
    """`bearer`, `basic`, …, for `http`."""
    description: str


@dataclass(frozen=True, slots=True)
class ApiDescription:
    """What a specification describes."""

    document: Mapping[str, object] = field(repr=False)
    host: str | None
    """The host it says the API is on, if it says so."""
    operations: tuple[ApiOperation, ...]
    schemes: Mapping[str, SecurityScheme]

    def resolve_schema(self, schema: object) -> Schema:
        """Return a schema with its reference followed, `allOf` merged, and the first real choice of `anyOf` taken."""
        return _Flattener(self.document).flatten_within_budget(schema)


def parse_openapi_document(document: Mapping[str, object], server: str | None = None) -> ApiDescription:
    """Read a specification, as of one of its servers; without one, of the first."""
    return _Reader(document, server).read()


def server_addresses(document: Mapping[str, object], host: str | None) -> list[str]:
    """Return the addresses of the servers that a specification lists, few of them, those of a host first."""
    servers = document.get("servers")
    listed = map(_server_address, islice(servers, _MOST_SERVERS) if isinstance(servers, list) else ())
    return sorted(dict.fromkeys(listed), key=lambda url: _Server.parse_server_url(url).hostname != host)


def _server_address(written: object) -> str:
    url = text_or_empty(mapping_or_empty(written).get("url"))
    for name, variable in _items(mapping_or_empty(written).get("variables")):
        url = url.replace(f"{{{name}}}", text_or_empty(variable.get("default")))
    return url


class _Reader:
    def __init__(self, document: Mapping[str, object], server: str | None) -> None:
        self._document = document
        self._address = server
        self._is_2 = "swagger" in document and "openapi" not in document
        self._made: dict[int, Parameter] = {}
        """Parameters by the identity of what they were made of: a part of the document, or empty."""
        self._flat: dict[int, Schema] = {}
        """Flat schemas in the same way."""

    def read(self) -> ApiDescription:
        """Return what the document describes."""
        server = self._server()
        paths = islice(_items(self._document.get("paths")), _MOST_OPERATIONS)
        usable = ((path, item) for path, item in paths if _PATH.fullmatch(server.path + path))
        every = islice(
            (one for path, item in usable for one in self._operations_at_path(server, path, item)), _MOST_OPERATIONS
        )
        host = server.hostname or (
            text_or_empty(self._document.get("host")).partition(":")[0] or None if self._is_2 else None
        )
        return ApiDescription(self._document, host, tuple(every), dict(self._schemes()))

    def _server(self) -> "_Server":
        if self._is_2:
            return _Server.parse_server_url(text_or_empty(self._document.get("basePath")))
        servers = self._document.get("servers")
        first = _server_address(servers[0]) if isinstance(servers, list) and servers else ""
        return _Server.parse_server_url(first if self._address is None else self._address)

    def _schemes(self) -> Iterator[tuple[str, SecurityScheme]]:
        place = self._document if self._is_2 else mapping_or_empty(self._document.get("components"))
        for name, written in _items(place.get("securityDefinitions" if self._is_2 else "securitySchemes")):
            one = resolve_local_reference(self._document, written)
            said = (text_or_empty(one.get(key)) for key in ("type", "in", "name", "scheme", "description"))
            kind, where, called, scheme, description = said
            yield name, SecurityScheme(kind, where, called, scheme.casefold(), description)

    def _operations_at_path(self, server: "_Server", path: str, written: Schema) -> Iterator[ApiOperation]:
        item = resolve_local_reference(self._document, written)
        shared = self._parameters(item)
        for verb in VERBS:
            operation = mapping_or_empty(item.get(verb))
            if not operation:
                continue
            parameters = [*shared, *self._parameters(operation)]
            answer = self._answer(operation)
            yield ApiOperation(
                verb=verb.upper(),
                path=server.path + "/" + path.lstrip("/"),
                parameters=tuple(map(self._parameter, filter(_is_usable, parameters))),
                body=self._body(operation, parameters),
                answer=self._content(answer).schema if answer else None,
                headers=tuple(name for name, _ in _items((answer or {}).get("headers"))),
                successes=self._successes(operation),
                security=tuple(self._security(operation)),
            )

    def _parameters(self, item: Schema) -> list[Schema]:
        written = item.get("parameters")
        few = islice(written, _MOST_PARAMETERS) if isinstance(written, list) else ()
        return [resolve_local_reference(self._document, one) for one in few]

    def _parameter(self, written: Schema) -> Parameter:
        if id(written) not in self._made:
            self._made[id(written)] = self._made_of(written)
        return self._made[id(written)]

    def _made_of(self, written: Schema) -> Parameter:
        schema = written if self._is_2 else mapping_or_empty(written.get("schema"))
        name, place, description = (text_or_empty(written.get(key)) for key in ("name", "in", "description"))
        found = resolve_local_reference(self._document, schema)
        if id(found) not in self._flat:
            self._flat[id(found)] = _Flattener(self._document).flatten_within_budget(found)
        flat = self._flat[id(found)]
        return Parameter(name, place, f"{description} {text_or_empty(flat.get('description'))}".strip(), flat)

    def _body(self, operation: Schema, parameters: Sequence[Schema]) -> Body | None:
        if not self._is_2:
            body = resolve_local_reference(self._document, operation.get("requestBody"))
            return self._content(body) if body else None
        whole = next((one for one in parameters if one.get("in") == "body"), None)
        if whole is not None:
            return Body("application/json", mapping_or_empty(whole.get("schema")))
        form = {text_or_empty(one.get("name")): one for one in parameters if one.get("in") == "formData"}
        return Body("multipart/form-data", {"type": "object", "properties": form}) if form else None

    def _answer(self, operation: Schema) -> Schema | None:
        answers = {str(status): one for status, one in _items(operation.get("responses"))}
        status = next((one for one in sorted(answers) if one[:1] == "2"), "default")
        return resolve_local_reference(self._document, answers.get(status)) or None

    def _successes(self, operation: Schema) -> Mapping[str, Schema]:
        answers = mapping_or_empty(operation.get("responses"))
        return {
            str(status): resolve_local_reference(self._document, one)
            for status, one in answers.items()
            if str(status)[:1] == "2"
        }

    def _content(self, written: Schema) -> Body:
        """Return the media type and schema of a request's or answer's content."""
        if self._is_2:
            return Body("application/json", mapping_or_empty(written.get("schema")))
        content = {name.partition(";")[0].strip(): one for name, one in _items(written.get("content"))}
        media = next((name for name in (*_MEDIA, *content) if name in content), "")
        return Body(media, mapping_or_empty(mapping_or_empty(content.get(media)).get("schema")))

    def _security(self, operation: Schema) -> Iterator[str]:
        wanted = operation.get("security", self._document.get("security"))
        for one in wanted if isinstance(wanted, list) else []:
            yield from map(str, mapping_or_empty(one))


@dataclass(frozen=True, slots=True)
class _Server:
    hostname: str | None
    path: str

    @classmethod
    def parse_server_url(cls, url: str) -> "_Server":
        try:
            there = urlsplit(url)
            return cls(there.hostname, there.path.rstrip("/"))
        except ValueError:
            return cls(None, "")


def _is_usable(parameter: Schema) -> bool:
    """Whether a parameter is outside the body, with a name that settings can hold."""
    is_plain = _PLAIN.fullmatch(text_or_empty(parameter.get("name"))) is not None
    return is_plain and parameter.get("in") not in ("body", "formData")


# ── schemas ──────────────────────────────────────────────────────────────────────────────────────


def resolve_local_reference(document: Mapping[str, object], written: object) -> Schema:
    """Return what a local reference leads to; a mapping without one is returned as it is, anything else empty."""
    found = mapping_or_empty(written)
    for _ in range(_HOPS):
        reference = found.get("$ref")
        if not isinstance(reference, str):
            return found
        found = mapping_or_empty(_follow_json_pointer(document, reference))
    return {}


def _follow_json_pointer(document: object, reference: str) -> object:
    value = document
    for part in reference.removeprefix("#").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        value = mapping_or_empty(value).get(name)
    return value


@dataclass(slots=True)
class _Flattener:
    """Merges what a schema is composed of, within a budget of parts: parts may lead in circles, and branch."""

    document: Mapping[str, object]
    left: int = _MOST_PARTS

    def flatten_within_budget(self, schema: object) -> Schema:
        found = resolve_local_reference(self.document, schema)
        self.left -= 1
        if self.left < 0:
            return {}
        if isinstance(parts := found.get("allOf"), list):
            return self._merged([*parts, {name: value for name, value in found.items() if name != "allOf"}])
        for choice in ("anyOf", "oneOf"):
            options = found.get(choice)
            real = (
                [one for one in options if mapping_or_empty(one).get("type") != "null"]
                if isinstance(options, list)
                else []
            )
            if len(real) == 1 or (real and "properties" not in found and choice == "anyOf"):
                own = {name: value for name, value in found.items() if name != choice}
                return {**own, **self.flatten_within_budget(real[0])}
        return found

    def _merged(self, parts: Sequence[object]) -> Schema:
        merged: dict[str, object] = {}
        for part in parts:
            flat = self.flatten_within_budget(part) if self.left > 0 else {}
            properties = {**mapping_or_empty(merged.get("properties")), **mapping_or_empty(flat.get("properties"))}
            merged |= {**flat, **({"properties": properties} if properties else {})}
        return merged


def type_of_schema(schema: Schema) -> str:
    """Return a flat schema's type, guessed from its other keys if it has none; null is no type."""
    written = schema.get("type")
    if isinstance(written, list):
        written = next((one for one in written if one != "null"), None)
    if isinstance(written, str):
        return written
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema else ""


def mapping_or_empty(value: object) -> Schema:
    """Return a value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def text_or_empty(value: object) -> str:
    """Return a value if it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def _items(value: object) -> Iterator[tuple[str, Schema]]:
    for name, one in mapping_or_empty(value).items():
        if isinstance(one, Mapping):
            yield str(name), one
