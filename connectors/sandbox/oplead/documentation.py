"""Oplead's documentation: a Swagger page, and the OpenAPI specification of the platform's present shape."""

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from ruamel.yaml import YAML

from connectors.sandbox.oplead.bodies import only_writable
from connectors.sandbox.oplead.gate import KEY_PARAMETERS
from connectors.sandbox.oplead.leads import CODES, PAIRS, Fields, render_lead, render_list_entry
from connectors.sandbox.oplead.options import Options
from connectors.sandbox.oplead.pages import LONGEST_PAGE, UNTIL, enveloped, filter_of
from connectors.sandbox.oplead.settings import SETTINGS
from connectors.sandbox.oplead.shape import NUMBERED, Shape
from connectors.sandbox.oplead.subscriptions import EVENTS
from connectors.sandbox.server import WireResponse

FOLDER: Final = "/documentation/"
PAGE: Final = f"{FOLDER}index.html"
INITIALISER: Final = f"{FOLDER}swagger-initializer.js"
ELSEWHERE: Final = "https://specifications.example.com/oplead.json"
"""An address on another host, which nobody should ask."""

Schema = dict[str, object]


def page(path: str, shape: Shape, options: Options, *, has_key: bool) -> WireResponse:
    """Answer a request for a page of the documentation."""
    position = options.documentation
    if position == "with_key" and not has_key:
        return WireResponse(401, b"", {"WWW-Authenticate": "Bearer"})
    address = _address(position)
    pages: Mapping[str, WireResponse] = {}
    match position:
        case "none":
            pass
        case "login":
            pages = {PAGE: _html('<form action="/login"><input name="user"><input type="password" name="key"></form>')}
        case "bare_page":
            pages = {PAGE: _html("<p>The documentation has moved.</p>")}
        case "elsewhere" | "with_key":
            pages = {PAGE: _html(f'<script>SwaggerUIBundle({{ url: "{address}", dom_id: "#ui" }})</script>')}
        case _:
            script = f'window.onload = function() {{\n  window.ui = SwaggerUIBundle({{ url: "{address}" }});\n}};\n'
            pages = {
                PAGE: _html('<script src="./swagger-ui-bundle.js"></script><script src="./swagger-initializer.js">'),
                INITIALISER: WireResponse(200, script.encode(), {"Content-Type": "text/javascript"}),
            }
    if position not in ("none", "login", "bare_page", "elsewhere"):
        pages = {**pages, f"{FOLDER}{address}": _written(specification(shape, options), position)}
    return pages.get(path, WireResponse(404))


def _address(position: str) -> str:
    if position == "elsewhere":
        return ELSEWHERE
    return "openapi.yaml" if position.endswith("yaml") else "openapi.json"


def _html(body: str) -> WireResponse:
    text = f"<!DOCTYPE html><html><head><title>Oplead API</title></head><body>{body}</body></html>"
    return WireResponse(200, text.encode(), {"Content-Type": "text/html; charset=UTF-8"})


def _written(document: Schema, position: str) -> WireResponse:
    if not position.endswith("yaml"):
        text = json.dumps(document, ensure_ascii=False)
        return WireResponse(200, text.encode(), {"Content-Type": "application/json"})
    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump(document, stream)
    return WireResponse(200, stream.getvalue().encode(), {"Content-Type": "application/yaml"})


# ── the specification ────────────────────────────────────────────────────────────────────────────


def specification(shape: Shape, options: Options) -> Schema:
    """Return the specification of a platform of this shape, in the version that the switch says."""
    document = _openapi_3(shape, options)
    if options.documentation == "external_ref":
        document["components"]["schemas"]["Contact"] = {"$ref": "contact.json#/Contact"}  # type: ignore[index]
    return _swagger_2(document) if options.documentation.startswith("swagger2") else document


def _openapi_3(shape: Shape, options: Options) -> Schema:
    name, scheme = _security(shape)
    listed, whole = _schema([render_list_entry(one, shape) for one in _EXEMPLARS]), _schema(_whole(shape))
    lead: Schema = _reference("ListedLead")
    if whole != listed:
        lead = {"allOf": [_reference("ListedLead"), whole]}
    writable = only_writable(render_lead(_EXEMPLARS[0], shape), shape)
    return {
        "openapi": "3.0.3",
        "info": {"title": "Oplead", "version": "1", "description": "Leads, their statuses and documents."},
        "servers": [{"url": shape.path_prefix or "/"}],
        "security": [{name: []}],
        "paths": dict(_paths(shape, options)),
        "components": {
            "securitySchemes": {name: scheme},
            "schemas": {
                "ListedLead": listed,
                "Lead": lead,
                "NewLead": _schema([writable]),
                "Subscription": _schema([{"event": one, "url": "https://hooks.example.org/oplead"} for one in EVENTS]),
            },
        },
    }


def _security(shape: Shape) -> tuple[str, Schema]:
    key: Mapping[str, Schema] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "authorization": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "The key alone."},
        "x_api_key": {"type": "apiKey", "in": "header", "name": "X-API-KEY"},
        "token_header": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Oplead-Auth",
            "description": "The word Token, a space and the key: `Token <key>`",
        },
    }
    parameter = KEY_PARAMETERS.get(shape.auth)
    return "key", {"type": "apiKey", "in": "query", "name": parameter} if parameter else key[shape.auth]


def _paths(shape: Shape, options: Options) -> Iterator[tuple[str, Schema]]:
    lead = _reference("Lead")
    status: Schema = {"type": "object", "properties": {"status": _status(options)}}
    yield (
        "/leads",
        {
            "get": _operation(
                "The leads.", _listed(shape), parameters=[*_list_parameters(shape)], headers=_total(shape)
            ),
            "post": _operation("Create a lead.", lead, body=_reference("NewLead")),
        },
    )
    yield (
        f"{shape.lead_path}/{{leadIdentifier}}",
        {
            "parameters": [_identifier("leadIdentifier")],
            "get": _operation("One lead.", lead),
            options.update_verb.lower(): _operation("Change a lead.", lead, body=_reference("NewLead")),
        },
    )
    yield (
        "/leads/{leadIdentifier}/status",
        {
            "parameters": [_identifier("leadIdentifier")],
            options.status_verb.lower(): _operation("Set a lead's status.", lead, body=status),
        },
    )
    for path in ("document/add", "attachments") if options.document_path == "both" else (options.document_path,):
        file: Schema = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
        added = _schema([{"name": "devis.pdf", "type": "pdf", "size": 1, "sha256": "0"}])
        yield (
            f"/leads/{{leadId}}/{path}",
            {
                "parameters": [_identifier("leadId")],
                "post": _operation("Add a document.", added, body=file, media="multipart/form-data"),
            },
        )
    subscription = _reference("Subscription")
    yield (
        "/subscriptions",
        {
            "get": _operation("The subscriptions.", {"type": "array", "items": subscription}),
            "post": _operation("Subscribe an address to an event.", subscription, body=subscription),
        },
    )
    yield (
        "/subscriptions/{subscriptionId}",
        {"parameters": [_identifier("subscriptionId")], "delete": _operation("End a subscription.", None)},
    )
    for name, values in SETTINGS.items():
        yield (
            f"/settings/{name}",
            {"get": _operation("A setting of the platform.", _schema([enveloped(values, {}, shape)]))},
        )


def _operation(
    summary: str,
    answer: Schema | None,
    *,
    parameters: Sequence[Schema] = (),
    headers: Schema | None = None,
    body: Schema | None = None,
    media: str = "application/json",
) -> Schema:
    """Return an operation as OpenAPI 3 writes it."""
    said: Schema = {"description": "Done."}
    if answer is not None:
        said["content"] = {"application/json": {"schema": answer}}
    operation: Schema = {"summary": summary, "responses": {"200" if answer else "204": said | (headers or {})}}
    if parameters:
        operation["parameters"] = list(parameters)
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {media: {"schema": body}}}
    return operation


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _identifier(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _status(options: Options) -> Schema:
    documented = {"enum": ["En cours", "Nurserie", "Devis à relancer"]}
    return {"type": "string", **(documented if options.settable_statuses == "documented" else {})}


# ── the list ─────────────────────────────────────────────────────────────────────────────────────


def _query(name: str, description: str, **schema: object) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _list_parameters(shape: Shape) -> Iterator[Schema]:
    size = {"type": "integer", "minimum": 1, "maximum": LONGEST_PAGE, "default": shape.page_size}
    match shape.pagination:
        case "page" | "page_from_0":
            least = int(shape.pagination == "page")
            yield _query(shape.page_parameter, "The page's number.", type="integer", minimum=least, default=least)
        case "offset":
            yield _query(shape.offset_parameter, "How many leads to pass over.", type="integer", minimum=0)
        case "after_id":
            yield _query("after_id", "The id of the last lead of the page before.", type="string")
        case "none":
            pass
        case _:
            yield _query("cursor", "Where the next page begins, as the page before says.", type="string")
    if shape.pagination in NUMBERED:
        yield _query(shape.size_parameter, "How many leads on a page.", **size)
    changed = "Only leads changed since this"
    filters: Mapping[object, Sequence[Schema]] = {
        True: [_query(filter_of(shape), f"{changed} time.", type="string", format="date-time")],
        "updatedAfter": [_query("updatedAfter", f"{changed} day.", type="string", format="date")],
        "modified_since": [_query("modified_since", f"{changed} time, in seconds since 1970.", type="integer")],
        "created_since": [_query("created_since", "Only leads created since.", type="string", format="date-time")],
        "date_from": [
            _query("date_from", f"{changed} time; together with {UNTIL}.", type="string", format="date-time"),
            _query(UNTIL, "Only leads changed until this time.", type="string", format="date-time"),
        ],
    }
    yield from filters.get(shape.filters, ())


def _listed(shape: Shape) -> Schema:
    """Return the schema of a page of the list, with the leads' by reference."""
    around: Mapping[str, Fields] = {
        "next_url": {"next": "https://api.example.org/v1/leads?cursor=TA"},
        "next_path": {"next": "/v1/leads?cursor=TA"},
        "links_next": {"links": {"next": "https://api.example.org/v1/leads?cursor=TA"}},
        "cursor": {"nextCursor": "TA"},
    }
    fields = {**around.get(shape.pagination, {}), **({"total": 137} if shape.page_total is True else {})}
    return _schema([enveloped([_LEAD], fields, shape)])


def _total(shape: Shape) -> Schema:
    names = ["X-Total-Count"] if shape.page_total == "header" else []
    names += ["Link"] if shape.pagination == "link_header" else []
    described = {name: {"description": "See the list.", "schema": {"type": "string"}} for name in names}
    return {"headers": described} if names else {}


# ── schemas, from leads as examples ──────────────────────────────────────────────────────────────

_LEAD: Final = object()
"""Stands for a lead of the list."""
_AT: Final = "2026-07-06 20:02:10"


def _exemplar(label: str, answer: str) -> Fields:
    """Return an untranslated lead that has everything a lead can have."""
    return {
        "id": "L-10005",
        "createdAt": _AT,
        "updatedAt": _AT,
        "status": label,
        "statusDate": _AT,
        "statusHistory": [{"status": label, "date": _AT}],
        "leadData": {
            "externalID": "gclid=CjwKCAjwLHJGZ03vcEbOEV1USvUOo3EHm1EV1HLDpZ6c",
            "utm_source": "google",
            "utm_medium": "cpc",
            "utm_campaign": "fenetres-pvc",
            "consent": answer,
            "adPersonalization": answer,
        },
        "contact": {
            "firstname": "Jeanne",
            "lastname": "Exemple",
            "email": "jeanne.exemple@example.org",
            "phone": "01 99 00 12 34",
            "mobile": "06 39 98 12 34",
        },
        "address": {"postcode": "44000", "city": "Nantes", "country": "FR"},
        "channel": "Site web",
        "agency": "Nantes",
        "amount": "1 250,00",
        "provider": {"name": "Fournisseur", "url": "https://supplier.example.org/leads"},
        "appointment": {"date": _AT, "updatedAt": _AT},
    }


_EXEMPLARS: Final = [
    _exemplar(label, answer) for label, answer in zip(CODES, ("oui", "non") * len(CODES), strict=False)
]
"""They differ in what has few possible values only."""


def _whole(shape: Shape) -> list[object]:
    return [render_lead(one, shape) for one in _EXEMPLARS]


def _schema(examples: Sequence[object]) -> Schema:
    """Return the schema of these values; what differs among them is enumerated."""
    first = examples[0]
    if first is _LEAD:
        return _reference("ListedLead")
    if isinstance(first, Mapping):
        names = dict.fromkeys(name for one in examples if isinstance(one, Mapping) for name in one)
        return {"type": "object", "properties": {name: _schema(list(_under(examples, name))) for name in names}}
    if isinstance(first, list | tuple):
        return {"type": "array", "items": _entry([entry for one in examples for entry in _entries(one)])}
    kind = {bool: "boolean", int: "integer", float: "number"}.get(type(first), "string")
    different = list(dict.fromkeys(examples))
    scalar: Schema = {"type": kind, "enum": different} if len(different) > 1 else {"type": kind, "example": first}
    return scalar | ({"format": "date-time"} if isinstance(first, str) and "T" in first and "+" in first else {})


def _under(examples: Iterable[object], name: str) -> Iterator[object]:
    return (one[name] for one in examples if isinstance(one, Mapping) and name in one)


def _entries(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _entry(entries: Sequence[object]) -> Schema:
    """Return the schema of a list's entries; pairs of a name and a value have one for each name."""
    key = next((key for key in PAIRS.values() if _are_pairs(entries, key)), None)
    if key is None:
        return _schema(entries) if entries else {}
    by_name: dict[object, list[object]] = {}
    for entry in entries:
        if isinstance(entry, Mapping):
            by_name.setdefault(entry[key], []).append(entry["value"])
    return {
        "oneOf": [
            {"type": "object", "properties": {key: {"type": "string", "enum": [name]}, "value": _schema(values)}}
            for name, values in by_name.items()
        ]
    }


def _are_pairs(entries: Sequence[object], key: str) -> bool:
    return bool(entries) and all(isinstance(one, Mapping) and one.keys() == {key, "value"} for one in entries)


# ── the same in Swagger 2 ────────────────────────────────────────────────────────────────────────


def _swagger_2(document: Schema) -> Schema:
    """Return a specification as Swagger 2.0 writes it; it cannot tell the entries of a list apart."""
    components: Fields = document["components"]  # type: ignore[assignment]  # written above
    schemes: Mapping[str, Schema] = components["securitySchemes"]  # type: ignore[assignment]
    bearer = {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Bearer <key>"}
    servers: list[Schema] = document["servers"]  # type: ignore[assignment]
    paths: Mapping[str, Mapping[str, object]] = document["paths"]  # type: ignore[assignment]
    return {
        "swagger": "2.0",
        "info": document["info"],
        "basePath": servers[0]["url"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "security": document["security"],
        "securityDefinitions": {name: bearer if one["type"] == "http" else one for name, one in schemes.items()},
        "paths": {
            path: {key: _part_2(key, _converted(value)) for key, value in item.items()} for path, item in paths.items()
        },
        "definitions": _converted(components["schemas"]),
    }


def _converted(value: object) -> object:
    """Return a value with its references and choices as Swagger 2.0 has them."""
    if isinstance(value, list):
        return [_converted(one) for one in value]
    if not isinstance(value, dict):
        return value
    if isinstance(reference := value.get("$ref"), str):
        return {"$ref": reference.replace("#/components/schemas/", "#/definitions/")}
    if isinstance(choices := value.get("oneOf"), list):
        names = [name for one in choices for name in one["properties"]]
        key = next(name for name in names if name != "value")
        enum = [known for one in choices for known in one["properties"][key]["enum"]]
        properties = {key: {"type": "string", "enum": enum}, "value": {"type": "string"}}
        return {"type": "object", "properties": properties}
    return {name: _converted(one) for name, one in value.items()}


def _part_2(key: str, part: object) -> object:
    """Return the parameters or an operation of a path."""
    if key == "parameters" and isinstance(part, list):
        return [_parameter_2(one) for one in part]
    operation: Schema = part  # type: ignore[assignment]  # anything else is an operation
    body: Schema = operation.pop("requestBody", {})  # type: ignore[assignment]
    parameters: list[Schema] = [_parameter_2(one) for one in operation.pop("parameters", [])]  # type: ignore[attr-defined]
    for media, said in body.get("content", {}).items():  # type: ignore[attr-defined]
        if media == "multipart/form-data":
            operation["consumes"] = [media]
            parameters += [{"name": name, "in": "formData", "type": "file"} for name in said["schema"]["properties"]]
        else:
            parameters.append({"name": "body", "in": "body", "required": True, "schema": said["schema"]})
    answers: Mapping[str, Schema] = operation["responses"]  # type: ignore[assignment]
    operation["responses"] = {status: _answer_2(one) for status, one in answers.items()}
    return {**operation, **({"parameters": parameters} if parameters else {})}


def _parameter_2(parameter: Schema) -> Schema:
    schema: Schema = parameter.pop("schema")  # type: ignore[assignment]
    return {**parameter, **schema}


def _answer_2(answer: Schema) -> Schema:
    content: Mapping[str, Schema] = answer.pop("content", {})  # type: ignore[assignment]
    headers: Mapping[str, Schema] = answer.pop("headers", {})  # type: ignore[assignment]
    schema = next(({"schema": one["schema"]} for one in content.values()), {})
    flat = {name: {"type": "string", "description": one["description"]} for name, one in headers.items()}
    return {**answer, **schema, **({"headers": flat} if flat else {})}
