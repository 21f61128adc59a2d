"""Oplead's documentation: a Swagger page, and the OpenAPI specification of the platform's present shape."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from ruamel.yaml import YAML

from connectors.sandbox.oplead.documentation.schemas import (
    EXEMPLARS,
    LISTED_LEAD,
    Schema,
    infer_schema,
    openapi_schema_reference,
)
from connectors.sandbox.oplead.documentation.swagger2 import as_swagger_2
from connectors.sandbox.oplead.gate import KEY_PARAMETERS
from connectors.sandbox.oplead.lead_parts import writable_lead_parts
from connectors.sandbox.oplead.leads.rendering import Fields, render_lead, render_lead_in_list
from connectors.sandbox.oplead.options import UndocumentedBehaviour
from connectors.sandbox.oplead.pages import LONGEST_PAGE, UNTIL, filter_parameter_name, list_body
from connectors.sandbox.oplead.settings import SETTINGS
from connectors.sandbox.oplead.shape import NUMBERED, ApiShape
from connectors.sandbox.oplead.subscriptions import EVENTS
from connectors.sandbox.server import WireResponse

FOLDER: Final = "/documentation/"
PAGE: Final = f"{FOLDER}index.html"
INITIALISER: Final = f"{FOLDER}swagger-initializer.js"
ELSEWHERE: Final = "https://specifications.example.com/oplead.json"
"""An address on another host, which nobody should ask."""


def page(path: str, shape: ApiShape, options: UndocumentedBehaviour, *, has_key: bool) -> WireResponse:
    """Answer a request for a page of the documentation."""
    position = options.documentation
    if position == "with_key" and not has_key:
        return WireResponse(401, b"", {"WWW-Authenticate": "Bearer"})
    address = _specification_file_url(position)
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
        pages = {**pages, f"{FOLDER}{address}": _specification_response(build_specification(shape, options), position)}
    return pages.get(path, WireResponse(404))


def _specification_file_url(position: str) -> str:
    if position == "elsewhere":
        return ELSEWHERE
    return "openapi.yaml" if position.endswith("yaml") else "openapi.json"


def _html(body: str) -> WireResponse:
    text = f"<!DOCTYPE html><html><head><title>Oplead API</title></head><body>{body}</body></html>"
    return WireResponse(200, text.encode(), {"Content-Type": "text/html; charset=UTF-8"})


def _specification_response(document: Schema, position: str) -> WireResponse:
    if not position.endswith("yaml"):
        text = json.dumps(document, ensure_ascii=False)
        return WireResponse(200, text.encode(), {"Content-Type": "application/json"})
    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump(document, stream)
    return WireResponse(200, stream.getvalue().encode(), {"Content-Type": "application/yaml"})


# ── the specification ────────────────────────────────────────────────────────────────────────────


def build_specification(shape: ApiShape, options: UndocumentedBehaviour) -> Schema:
    """Return the specification of a platform of this shape, in the version that the switch says."""
    document = _openapi_3(shape, options)
    if options.documentation == "external_ref":
        document["components"]["schemas"]["Contact"] = {"$ref": "contact.json#/Contact"}  # type: ignore[index]
    return as_swagger_2(document) if options.documentation.startswith("swagger2") else document


def _openapi_3(shape: ApiShape, options: UndocumentedBehaviour) -> Schema:
    name, scheme = _security(shape)
    listed, whole = (
        infer_schema([render_lead_in_list(one, shape) for one in EXEMPLARS]),
        infer_schema([render_lead(one, shape) for one in EXEMPLARS]),
    )
    lead: Schema = openapi_schema_reference("ListedLead")
    if whole != listed:
        lead = {"allOf": [openapi_schema_reference("ListedLead"), whole]}
    writable = writable_lead_parts(render_lead(EXEMPLARS[0], shape), shape)
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
                "NewLead": infer_schema([writable]),
                "Subscription": infer_schema(
                    [{"event": one, "url": "https://hooks.example.org/oplead"} for one in EVENTS]
                ),
            },
        },
    }


def _security(shape: ApiShape) -> tuple[str, Schema]:
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


def _paths(shape: ApiShape, options: UndocumentedBehaviour) -> Iterator[tuple[str, Schema]]:
    lead = openapi_schema_reference("Lead")
    status: Schema = {"type": "object", "properties": {"status": _status(options)}}
    yield (
        "/leads",
        {
            "get": _operation(
                "The leads.",
                _list_page_schema(shape),
                parameters=[*_list_parameters(shape)],
                headers=_list_response_headers(shape),
            ),
            "post": _operation("Create a lead.", lead, body=openapi_schema_reference("NewLead")),
        },
    )
    yield (
        f"{shape.lead_path}/{{leadIdentifier}}",
        {
            "parameters": [_path_parameter("leadIdentifier")],
            "get": _operation("One lead.", lead),
            options.update_verb.lower(): _operation("Change a lead.", lead, body=openapi_schema_reference("NewLead")),
        },
    )
    yield (
        "/leads/{leadIdentifier}/status",
        {
            "parameters": [_path_parameter("leadIdentifier")],
            options.status_verb.lower(): _operation("Set a lead's status.", lead, body=status),
        },
    )
    for path in ("document/add", "attachments") if options.document_path == "both" else (options.document_path,):
        file: Schema = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
        added = infer_schema([{"name": "devis.pdf", "type": "pdf", "size": 1, "sha256": "0"}])
        yield (
            f"/leads/{{leadId}}/{path}",
            {
                "parameters": [_path_parameter("leadId")],
                "post": _operation("Add a document.", added, body=file, media="multipart/form-data"),
            },
        )
    subscription = openapi_schema_reference("Subscription")
    yield (
        "/subscriptions",
        {
            "get": _operation("The subscriptions.", {"type": "array", "items": subscription}),
            "post": _operation("Subscribe an address to an event.", subscription, body=subscription),
        },
    )
    yield (
        "/subscriptions/{subscriptionId}",
        {"parameters": [_path_parameter("subscriptionId")], "delete": _operation("End a subscription.", None)},
    )
    for name, values in SETTINGS.items():
        yield (
            f"/settings/{name}",
            {"get": _operation("A setting of the platform.", infer_schema([list_body(values, {}, shape)]))},
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


def _path_parameter(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _status(options: UndocumentedBehaviour) -> Schema:
    documented = {"enum": ["En cours", "Nurserie", "Devis à relancer"]}
    return {"type": "string", **(documented if options.settable_statuses == "documented" else {})}


# ── the list ─────────────────────────────────────────────────────────────────────────────────────


def _query(name: str, description: str, **schema: object) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _list_parameters(shape: ApiShape) -> Iterator[Schema]:
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
        True: [_query(filter_parameter_name(shape), f"{changed} time.", type="string", format="date-time")],
        "updatedAfter": [_query("updatedAfter", f"{changed} day.", type="string", format="date")],
        "modified_since": [_query("modified_since", f"{changed} time, in seconds since 1970.", type="integer")],
        "created_since": [_query("created_since", "Only leads created since.", type="string", format="date-time")],
        "date_from": [
            _query("date_from", f"{changed} time; together with {UNTIL}.", type="string", format="date-time"),
            _query(UNTIL, "Only leads changed until this time.", type="string", format="date-time"),
        ],
    }
    yield from filters.get(shape.filters, ())


def _list_page_schema(shape: ApiShape) -> Schema:
    """Return the schema of a page of the list, with the leads' by reference."""
    around: Mapping[str, Fields] = {
        "next_url": {"next": "https://api.example.org/v1/leads?cursor=TA"},
        "next_path": {"next": "/v1/leads?cursor=TA"},
        "links_next": {"links": {"next": "https://api.example.org/v1/leads?cursor=TA"}},
        "cursor": {"nextCursor": "TA"},
    }
    fields = {**around.get(shape.pagination, {}), **({"total": 137} if shape.page_total is True else {})}
    return infer_schema([list_body([LISTED_LEAD], fields, shape)])


def _list_response_headers(shape: ApiShape) -> Schema:
    names = ["X-Total-Count"] if shape.page_total == "header" else []
    names += ["Link"] if shape.pagination == "link_header" else []
    described = {name: {"description": "See the list.", "schema": {"type": "string"}} for name in names}
    return {"headers": described} if names else {}
