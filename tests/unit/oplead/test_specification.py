"""What is taken from an OpenAPI specification, however it is written, and what is left open."""

from copy import deepcopy
from decimal import Decimal
from time import process_time
from zoneinfo import ZoneInfo

import pytest

from connectors.oplead.options import ApiAuthScheme, OpleadOptions, PaginationOptions, SinceQueryParameters
from connectors.oplead.probe.guided import apply_specification_to_options
from connectors.oplead.probe.specification.examples import example_of
from connectors.oplead.probe.specification.loading import NotASpecificationError
from connectors.oplead.probe.specification.openapi import parse_openapi_document
from connectors.oplead.probe.specification.reading import (
    read_specification,
    read_specifications,
    status_list_paths,
)
from connectors.oplead.probe.specification.written import specified_subscription_settings, specified_write_settings

OPTIONS = OpleadOptions(token="t", zone=ZoneInfo("Europe/Paris"))
TEXT, TIME, WHOLE = {"type": "string"}, {"type": "string", "format": "date-time"}, {"type": "integer"}
LEAD = {
    "type": "object",
    "properties": {
        "id": TEXT,
        "creeLe": TIME,
        "dateCreation": TIME,
        "statut": {"type": "string", "enum": ["Nouveau", "Gagné"]},
        "historique": {"type": "array", "items": {"type": "object", "properties": {"statut": TEXT, "date": TIME}}},
        "suivi": {"type": "object", "properties": {"identifiantClic": TEXT, "utm_source": TEXT}},
        "client": {"type": "object", "properties": {"courriel": TEXT, "portable": TEXT}},
    },
}


def answering(schema, **more):
    """An operation that answers so."""
    return {"responses": {"200": {"description": "", "content": {"application/json": {"schema": schema}}, **more}}}


def taking(schema, media="application/json"):
    """An operation that takes such a body."""
    return {**answering({}), "requestBody": {"content": {media: {"schema": schema}}}}


def query(name, schema=TEXT, description=""):
    """A parameter of the query."""
    return {"name": name, "in": "query", "schema": schema, "description": description}


def listing(*parameters, around=None, **more):
    """The list of leads, with these parameters, and these things beside the leads."""
    leads = {"type": "array", "items": {"$ref": "#/components/schemas/Lead"}}
    body = {"type": "object", "properties": {"data": leads, **(around or {})}}
    return {**answering(body, **more), "parameters": list(parameters)}


def document(paths=None, *, schemes=None, server="https://api.example.org/v2", **more):
    """A specification with a list of leads, or these paths."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "t", "version": "1"},
        "servers": [{"url": server}],
        "paths": paths or {"/leads": {"get": listing()}},
        "components": {"schemas": {"Lead": LEAD}, "securitySchemes": schemes or {}},
        **more,
    }


def read(*given, base_path="", **more):
    """What is taken from a specification."""
    return read_specification(document(*given, **more), base_path)


# ── the key ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("scheme", "auth"),
    [
        ({"type": "http", "scheme": "Bearer"}, ApiAuthScheme()),
        ({"type": "apiKey", "in": "header", "name": "X-Key"}, ApiAuthScheme("header", "X-Key")),
        ({"type": "apiKey", "in": "query", "name": "cle"}, ApiAuthScheme("query", "cle")),
        (
            {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Write `Bearer {token}` here"},
            ApiAuthScheme(),
        ),
        (
            {"type": "apiKey", "in": "header", "name": "Authorization", "description": 'Enter "Token <your api key>"'},
            ApiAuthScheme("header", "Authorization", "Token "),
        ),
        (
            {"type": "apiKey", "in": "header", "name": "X-K", "description": "The API key."},
            ApiAuthScheme("header", "X-K"),
        ),
        (
            {"type": "apiKey", "in": "header", "name": "X-K", "description": "Your token"},
            ApiAuthScheme("header", "X-K"),
        ),
        ({"type": "apiKey", "in": "header", "name": "X-Bad\r\nName: x"}, None),
        ({"type": "apiKey", "in": "cookie", "name": "session"}, None),
        ({"type": "http", "scheme": "basic"}, None),
        ({"type": "oauth2", "flows": {}}, None),
    ],
)
def test_how_the_key_is_shown(scheme, auth):
    """A prefix is taken from the description; what cannot be set is left open."""
    assert auth == read(schemes={"one": scheme}).auth


def test_of_several_ways_the_one_that_the_list_wants_is_taken():
    """A way that is described but not wanted is none; else a header comes before the query."""
    schemes = {
        "q": {"type": "apiKey", "in": "query", "name": "k"},
        "h": {"type": "apiKey", "in": "header", "name": "X-K"},
    }

    assert ApiAuthScheme("header", "X-K") == read(schemes=schemes).auth
    assert (
        ApiAuthScheme("query", "k")
        == read({"/leads": {"get": {**listing(), "security": [{"q": []}]}}}, schemes=schemes).auth
    )


# ── paths ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("server", "path", "base_path", "found"),
    [
        ("https://api.example.org/v2", "/leads", "", ("/v2", "/leads")),
        ("/v2/", "/leads", "", ("/v2", "/leads")),
        ("", "/api/v3/leads", "", ("/api/v3", "/leads")),
        ("/", "/leads", "", ("", "/leads")),
        ("/crm/v2", "/leads", "/crm", ("/v2", "/leads")),
        ("/v2", "/Leads", "/crm", ("/v2", "/Leads")),
    ],
)
def test_where_the_list_is(server, path, base_path, found):
    """The prefix is what precedes the last part, without the path of base_url."""
    paths = read(
        {path: {"get": listing()}, f"{path}/{{uid}}": {"get": answering(LEAD)}}, server=server, base_path=base_path
    ).paths

    assert found == (paths.path_prefix, paths.leads_path)
    assert f"{paths.leads_path}/{{id}}" == paths.lead_path


def test_another_products_specification_is_none():
    """It describes no list of leads; one lead alone is no list."""
    for paths in (
        {"/pets": {"get": listing()}},
        {"/leads/{id}": {"get": answering(LEAD)}},
        {"/leads": {"post": taking(LEAD)}},
    ):
        with pytest.raises(NotASpecificationError):
            read(paths)


# ── pages ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("parameters", "around", "found"),
    [
        ([query("page", {"type": "integer", "minimum": 0})], {}, PaginationOptions("page", first_page=0)),
        (
            [query("pageNumber"), query("per_page", {"type": "integer", "maximum": 50})],
            {},
            PaginationOptions("page", page_param="pageNumber", size_param="per_page", size=50),
        ),
        (
            [query("skip"), query("take", WHOLE)],
            {},
            PaginationOptions("offset", offset_param="skip", size_param="take", size=100),
        ),
        ([query("after_id")], {}, PaginationOptions("last_id", cursor_param="after_id")),
        ([query("cursor")], {"nextCursor": TEXT}, PaginationOptions()),
        ([query("pageToken")], {"meta": {"properties": {"nextPageToken": TEXT}}}, None),
        (
            [query("apres", description="Le curseur reçu")],
            {
                "avant": {**TEXT, "description": "Curseur de la page précédente"},
                "suite": {**TEXT, "description": "Curseur de la page suivante"},
            },
            PaginationOptions("cursor", cursor_param="apres", next="suite"),
        ),
        ([query("page")], {"next": {**TEXT, "example": "https://api.example.org/leads?page=2"}}, PaginationOptions()),
        ([], {"suivant": {**TEXT, "example": "/leads?p=2"}}, PaginationOptions("next_url", next="suivant")),
    ],
)
def test_how_pages_are_reached(parameters, around, found):
    """What an answer says of the next page comes first, then what can be asked for."""
    specification = read({"/leads": {"get": listing(*parameters, around=around)}})

    assert specification.says_pages
    expected = found or PaginationOptions("cursor", cursor_param="pageToken", next="meta.nextPageToken")
    assert expected == specification.pagination


def test_a_list_without_pages_is_told_apart():
    """Whether it is whole is then for the answers to show."""
    assert not read({"/leads": {"get": listing(query("sort"))}}).says_pages


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/parametres/statuts-leads", ["/parametres/statuts-leads"]),
        ("/settings/lead-statuses", ["/settings/lead-statuses"]),
        ("/settings/{kind}/statuses", []),
        ("/leads/{id}/status", []),
        ("/settings/channels", []),
    ],
)
def test_the_configurations_list_of_statuses_is_looked_for_where_it_is_specified(path, found):
    """It says what codes mean; what is about one lead does not."""
    listed = {path: {"get": answering({"type": "array", "items": TEXT})}}

    assert found == list(status_list_paths(read({"/leads": {"get": listing()}, **listed})))


# ── the filter ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ([query("updated_since", TIME)], SinceQueryParameters("updated_since")),
        ([query("modifiedAfter", {"type": "string", "format": "date"})], SinceQueryParameters("modifiedAfter", "date")),
        ([query("since", WHOLE, "changed since, in milliseconds")], SinceQueryParameters("since", "epoch_ms")),
        ([query("since", WHOLE, "Leads modified since")], SinceQueryParameters("since", "epoch_s")),
        (
            [query("date_from", TIME, "changed since; needs date_to"), query("date_to", TIME, "changed until")],
            SinceQueryParameters("date_from", "iso", "date_to"),
        ),
        ([query("created_since", TIME)], None),
        ([query("from", TIME, "Created from this day")], None),
        ([query("from", TIME)], None),
        ([query("updated_before", TIME)], None),
        ([query("status")], None),
    ],
)
def test_only_a_filter_by_change_is_taken(parameters, found):
    """By its name or its description; one by creation would miss old leads that change."""
    assert found == read({"/leads": {"get": listing(*parameters)}}).since_filter


# ── a lead ───────────────────────────────────────────────────────────────────────────────────────


def test_fields_are_found_by_schema():
    """As in real leads: references followed, lists entered, by name."""
    fields = apply_specification_to_options(OPTIONS, read()).fields

    assert ("suivi.identifiantClic",) == fields.click_id
    assert (("statut",), ("historique",), ("client.courriel",)) == (fields.status, fields.history, fields.email)


def test_what_is_configured_is_kept():
    """The specification takes the place of defaults only."""
    mine = OpleadOptions(
        token="t",
        zone=OPTIONS.zone,
        auth=ApiAuthScheme("header", "X-Mine"),
        path_prefix="/mine",
        pagination=PaginationOptions("offset"),
        since_filter=SinceQueryParameters("mine"),
    )
    said = read(
        {"/leads": {"get": listing(query("page"), query("updated_since", TIME))}},
        schemes={"k": {"type": "http", "scheme": "bearer"}},
    )

    kept = apply_specification_to_options(mine, said)

    assert (mine.auth, "/mine", "offset", "mine") == (
        kept.auth,
        kept.path_prefix,
        kept.pagination.style,
        kept.since_filter and kept.since_filter.param,
    )


def test_all_of_and_nullable_choices_are_merged():
    """In the ways of 3.0 and 3.1."""
    more = {"type": ["object", "null"], "properties": {"montant": {"anyOf": [{"type": "null"}, {"type": "number"}]}}}
    whole = {"allOf": [{"$ref": "#/components/schemas/Lead"}, more]}
    one = read({"/leads": {"get": listing()}, "/leads/{x}": {"get": answering({"properties": {"data": whole}})}})

    assert Decimal(1) == one.lead["montant"]
    assert "montant" not in one.listed
    assert one.has_more_in_details
    assert ("Nouveau", "Gagné") == one.enums["statut"]


def test_name_and_value_pairs_are_entered():
    """By the names that the schema lists."""
    pairs = {
        "type": "array",
        "items": {
            "oneOf": [
                {"properties": {"name": {"const": "consent"}, "value": {"type": "string", "enum": ["oui", "non"]}}}
            ]
        },
    }
    told = example_of(parse_openapi_document(document()), {"properties": {"leadData": pairs}})

    assert {"leadData": [{"name": "consent", "value": "oui"}]} == told.value
    assert ("oui", "non") == told.enums["leadData.consent"]


def test_answers_by_type_are_entered():
    """`[{type, granted}]` has one answer for each type that the schema lists; with more in it, it is no pair."""
    answer = {"type": {"enum": ["ads", "mail"]}, "granted": {"type": "boolean"}}
    more = {**answer, "price": {"type": "integer"}}
    api = parse_openapi_document(document())
    told, priced = (
        example_of(api, {"properties": {"consents": {"type": "array", "items": {"properties": one}}}}).value["consents"]
        for one in (answer, more)
    )

    assert [{"type": "ads", "granted": True}, {"type": "mail", "granted": True}] == told
    assert [{"type": "ads", "granted": True, "price": 1}] == priced


def test_circles_end():
    """A lead whose parent is a lead, a reference to itself, and one that branches at every level."""
    wide = {f"p{number}": {"$ref": "#/components/schemas/Wide"} for number in range(50)}
    circular = document()
    circular["components"]["schemas"] |= {
        "Self": {"$ref": "#/components/schemas/Self"},
        "Wide": {"type": "object", "properties": wide},
        "All": {"allOf": [{"$ref": "#/components/schemas/All"}] * 20},
        "Lead": {**LEAD, "properties": {**LEAD["properties"], "parent": {"$ref": "#/components/schemas/Lead"}}},
    }
    api = parse_openapi_document(circular)

    assert "statut" in read_specification(circular, "").listed
    for name in ("Self", "Wide", "All"):
        example_of(api, {"$ref": f"#/components/schemas/{name}"})


def test_what_is_referred_to_again_and_again_is_built_once():
    """Three thousand paths that share an operation with a thousand parameters, each of a schema of two hundred."""
    part = {"allOf": [{"type": "object", "properties": {f"p{number}": TEXT}} for number in range(190)]}
    schema = {"$ref": "#/components/schemas/Part"}
    item = {
        "parameters": [{"name": f"a{number}", "in": "query", "schema": schema} for number in range(1000)],
        **{verb: answering({}) for verb in ("get", "post", "put", "patch", "delete")},
    }
    large = {
        "openapi": "3.0.3",
        "paths": {f"/p{number}": {"$ref": "#/components/pathItems/One"} for number in range(3000)},
        "components": {"schemas": {"Part": part}, "pathItems": {"One": item}},
    }
    start = process_time()
    api = parse_openapi_document(large)

    assert 3 > process_time() - start
    assert 2000 == len(api.operations)
    assert {100} == {len(one.parameters) for one in api.operations}


@pytest.mark.parametrize("value", [None, 1, "x", [], [1], {"a": 1}, {"$ref": "#/nowhere"}, {"$ref": 1}])
@pytest.mark.parametrize("key", ["paths", "components", "servers", "security", "get", "parameters", "responses"])
def test_what_is_malformed_is_as_if_it_were_absent(key, value):
    """Nothing but the one error is raised, whatever stands there."""
    broken = deepcopy(document())
    place = (
        broken["paths"]["/leads"]
        if key == "get"
        else broken["paths"]["/leads"]["get"]
        if key in ("parameters", "responses")
        else broken
    )
    place[key] = value

    try:
        read = read_specification(broken, "")
    except NotASpecificationError:
        return
    specified_write_settings(read, OPTIONS)
    specified_subscription_settings(read)


def test_what_settings_cannot_hold_is_left_out():
    """Paths, parameters and events with spaces, control characters or a query."""
    events = ["lead.created\x1b[2J", "lead status"]
    said = read(
        {
            "/leads": {"get": listing(query("page number"), query("updated\nsince", TIME))},
            "/subscriptions": {"post": taking({"properties": {"event": {"type": "string", "enum": events}}})},
            "/leads/{x}/status\x1b": {"put": taking({})},
            "/leads/{x}?a=1": {"put": taking({})},
        }
    )

    assert (False, None, {}) == (said.says_pages, said.since_filter, specified_write_settings(said, OPTIONS))
    assert {"path": "/subscriptions", "event_field": "event"} == specified_subscription_settings(said)


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def test_what_is_said_of_writing():
    """Verbs and paths with {id}, and where things go in the bodies."""
    said = read(
        {
            "/leads": {
                "get": listing(),
                "post": taking(
                    {
                        "properties": {
                            "tracking": {"properties": {"externalID": TEXT}},
                            "provider": {"properties": {"name": TEXT, "url": TEXT}},
                        }
                    }
                ),
            },
            "/leads/{uid}": {"get": answering(LEAD), "patch": taking(LEAD), "put": taking(LEAD)},
            "/leads/{uid}/status": {
                "post": taking({"properties": {"newStatus": {"properties": {"label": TEXT}}, "comment": TEXT}})
            },
            "/leads/{uid}/attachments": {
                "post": taking(
                    {"properties": {"note": TEXT, "upload": {"type": "string", "format": "binary"}}},
                    "multipart/form-data",
                )
            },
            "/settings/channels": {"get": answering({})},
        }
    )

    assert {
        "create": "POST /leads",
        "update": "PATCH /leads/{id}",
        "status": "POST /leads/{id}/status",
        "status_field": "newStatus.label",
        "document": "POST /leads/{id}/attachments",
        "document_field": "upload",
        "channels": "/settings/channels",
        "fields.click_id": "tracking.externalID",
        "fields.provider_name": "provider.name",
        "fields.provider_url": "provider.url",
    } == specified_write_settings(said, OPTIONS)


FLAG = {"type": "boolean"}
CLOSED = {"properties": {"succes": FLAG, "message": TEXT, "erreurs": {"type": "array", "items": TEXT}}}
"""What a body may hold that tells whether a lead was made, and not which."""
EMPTY = {"responses": {"204": {"description": "Created."}}}


def made_as(responses, *, swagger=False, **others):
    """What is taken from a specification whose creation is answered by these responses."""
    paths = {"/leads": {"get": listing(), "post": {"responses": responses}}, **others}
    if not swagger:
        return specified_write_settings(read(paths), OPTIONS)
    lists = {"responses": {"200": {"schema": {"type": "array", "items": {"$ref": "#/definitions/Lead"}}}}}
    paths = {"/leads": {"get": lists, "post": {"responses": responses}}}
    told = {"swagger": "2.0", "basePath": "/v2", "paths": paths, "definitions": {"Lead": LEAD}}
    return specified_write_settings(read_specification(told, ""), OPTIONS)


@pytest.mark.parametrize(
    "responses",
    [
        EMPTY["responses"],
        {**EMPTY["responses"], "400": {"description": "", "headers": {"Location": {}}}, "default": {}},
        answering(CLOSED)["responses"],
        answering({"type": "object", "additionalProperties": False})["responses"],
        answering({"properties": {"resultat": {"type": ["object", "null"], **CLOSED}}})["responses"],
    ],
)
def test_a_creation_that_is_described_without_an_id_is_said(responses):
    """Whatever its errors hold; in Swagger 2 too."""
    assert made_as(responses)["created_without_id"] is True
    assert made_as({"201": {"schema": CLOSED}}, swagger=True)["created_without_id"] is True


@pytest.mark.parametrize(
    "responses",
    [
        {},
        {"default": {"description": ""}},
        {"200": {"description": "generated, and left out"}},
        {"201": {"description": "", "content": {}}},
        {"204": {"$ref": "#/components/responses/Nowhere"}, "201": {"$ref": "#/components/responses/Nowhere"}},
        {"204": {"description": "", "headers": {"location": {"schema": TEXT}}}},
        {**EMPTY["responses"], "201": answering(LEAD)["responses"]["200"]},
        answering({"type": "object"})["responses"],
        answering({})["responses"],
        answering(TEXT | {"type": ["string", "object"]})["responses"],
        answering({"properties": {"data": {"type": "object"}}})["responses"],
        answering({"properties": {"prospect": {"properties": {"numeroLead": TEXT}}}})["responses"],
        answering({**CLOSED, "additionalProperties": {}})["responses"],
        answering({**CLOSED, "oneOf": [CLOSED, LEAD]})["responses"],
        answering({"properties": {"erreurs": {"type": "array"}}})["responses"],
        answering({"$ref": "#/components/schemas/Lead"})["responses"],
        {"200": {"description": "", "content": {"application/json": {"schema": CLOSED}, "text/html": {}}}},
    ],
)
def test_a_creation_that_may_name_an_id_is_not_called_one_without(responses):
    """What is left open, a choice, or any other success that is described."""
    assert "created_without_id" not in made_as(responses)
    assert "created_without_id" not in made_as({"201": {"description": ""}}, swagger=True)


@pytest.mark.parametrize("path", ["/leads/{id}/documents", "/subscriptions"])
def test_what_else_is_made_with_an_id_keeps_a_creation_from_being_called_one_without(path):
    """The setting speaks of leads, documents and subscriptions."""
    said = made_as(EMPTY["responses"], **{path: {"post": answering(LEAD)}})

    assert "created_without_id" not in said
    assert "created_without_id" in made_as(EMPTY["responses"], **{path: {"post": EMPTY}})


def test_what_is_said_of_subscriptions():
    """The event names are told by what they mean."""
    events = ["lead.new", "lead.statusChanged", "lead.rdvUpdated", "user.deleted"]
    body = {
        "properties": {"topic": {"type": "string", "enum": events}, "callbackUrl": {"type": "string", "format": "uri"}}
    }

    assert {
        "path": "/subscriptions",
        "event_field": "topic",
        "url_field": "callbackUrl",
        "new_lead": "lead.new",
        "status_change": "lead.statusChanged",
        "appointment": "lead.rdvUpdated",
    } == specified_subscription_settings(read({"/leads": {"get": listing()}, "/subscriptions": {"post": taking(body)}}))


def test_a_list_in_a_body_is_written_as_one():
    """The names of its entries are those of the events."""
    events = {"type": "array", "items": {"type": "string", "enum": ["lead.created", "status.updated"]}}
    body = {"properties": {"events": events, "callback": {"type": "string", "format": "uri"}}}
    said = read({"/leads": {"get": listing()}, "/subscriptions": {"post": taking(body)}})

    assert {
        "path": "/subscriptions",
        "event_field": "events[]",
        "url_field": "callback",
        "new_lead": "lead.created",
        "status_change": "status.updated",
    } == specified_subscription_settings(said)


def test_swagger_2_says_the_same():
    """Definitions, basePath, body and form parameters."""
    told = read_specification(
        {
            "swagger": "2.0",
            "host": "api.example.org:443",
            "basePath": "/v2",
            "securityDefinitions": {"k": {"type": "apiKey", "in": "header", "name": "X-K"}},
            "paths": {
                "/leads": {
                    "get": {
                        "parameters": [{"name": "page", "in": "query", "type": "integer", "default": 0}],
                        "responses": {
                            200: {
                                "schema": {"type": "array", "items": {"$ref": "#/definitions/Lead"}},
                                "headers": {"X-Total-Count": {"type": "integer"}},
                            }
                        },
                    }
                },
                "/leads/{id}/status": {
                    "put": {"parameters": [{"in": "body", "name": "b", "schema": {"properties": {"etat": TEXT}}}]}
                },
                "/leads/{id}/document/add": {
                    "post": {"parameters": [{"in": "formData", "name": "piece", "type": "file"}]}
                },
            },
            "definitions": {"Lead": LEAD},
        },
        "",
    )

    assert (ApiAuthScheme("header", "X-K"), "/v2", "api.example.org") == (
        told.auth,
        told.paths.path_prefix,
        told.api.host,
    )
    assert PaginationOptions("page", first_page=0, total_header="X-Total-Count") == told.pagination
    assert "statut" in told.listed
    assert {"status_field": "etat", "document_field": "piece"}.items() <= specified_write_settings(
        told, OPTIONS
    ).items()


# ── what a French specification says ─────────────────────────────────────────────────────────────


def test_every_server_is_read_and_the_given_host_first():
    """Another host's paths are tried only after."""
    servers = [{"url": "https://sandbox.example.org/v9"}, {"url": "https://api.example.org/v2"}, {"url": "/v2"}]
    found = read_specifications(document(servers=servers), "https://api.example.org")

    assert ["/v2", "/v9"] == [one.paths.path_prefix for one in found]


@pytest.mark.parametrize(
    ("description", "style"),
    [
        ("Décalage depuis le premier lead", "offset"),
        ("Numéro de page, à partir de 1", "page"),
    ],
)
def test_parameter_of_an_unusual_name_is_what_its_description_says(description, style):
    """Only where its name says nothing."""
    told = read({"/leads": {"get": listing(query("x", {"type": "integer"}, description))}})

    assert (style, "x") == (told.pagination.style, getattr(told.pagination, f"{style}_param"))


@pytest.mark.parametrize(
    ("said", "form"), [("epoch ms", "epoch_ms"), ("en millisecondes", "epoch_ms"), ("s", "epoch_s")]
)
def test_milliseconds_are_told_from_seconds(said, form):
    """In any of the usual words."""
    changed = query("modifie_depuis", {"type": "integer"}, f"Leads modifiés depuis ({said})")

    assert form == read({"/leads": {"get": listing(changed)}}).since_filter.format
