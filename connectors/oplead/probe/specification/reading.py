"""What a specification says of how leads are read: the key, the paths, the pages, the filter and a lead's fields. Pure.

Paths are matched tolerantly, by what they end with; what is not said stays None.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from connectors.errors import Misconfigured
from connectors.language import _
from connectors.oplead.answers import TOTAL_HEADERS
from connectors.oplead.options import ApiAuthScheme, PaginationOptions, SinceQueryParameters
from connectors.oplead.pagination import CURSORS, NEXT_URLS
from connectors.oplead.parsing.field_tree import normalise
from connectors.oplead.parsing.lead_parser import candidate_lead_objects
from connectors.oplead.parsing.synonyms import with_french
from connectors.oplead.probe.envelope import (
    count_typical_lead_fields,
    envelope_values,
    is_next_page_path,
    lists_and_surrounding_values,
    locate_lead_array,
)
from connectors.oplead.probe.specification.examples import SchemaExample, example_of
from connectors.oplead.probe.specification.loading import NotASpecificationError
from connectors.oplead.probe.specification.openapi import (
    ApiDescription,
    ApiOperation,
    Parameter,
    SecurityScheme,
    mapping_or_empty,
    parse_openapi_document,
    server_addresses,
    type_of_schema,
)

_SETTINGS = frozenset({"settings", "setting", "config", "configuration", "parametres", "parametrage", "reglages"})
"""What a part of the path of the configuration's lists may be."""
LEADS = ("leads", "lead", "prospects", "prospect")
"""What the last part of the list's path may be, likeliest first."""


@dataclass(frozen=True, slots=True)
class LeadEndpointPaths:
    """Where leads are, as settings write it."""

    path_prefix: str
    leads_path: str
    lead_path: str | None
    """None if no page of one lead is described."""

    def path_after_prefix(self, path: str) -> str | None:
        """Return a path as it is written after the prefix, with `{id}` for its parameter; None if it is elsewhere."""
        if not path.startswith(f"{self.path_prefix}/"):
            return None
        return re.sub(r"\{[^{}]*\}", "{id}", path.removeprefix(self.path_prefix))


@dataclass(frozen=True, slots=True)
class Specification:
    """What a specification says of reading leads."""

    api: ApiDescription = field(repr=False)
    paths: LeadEndpointPaths
    auth: ApiAuthScheme | None
    pagination: PaginationOptions
    """Style `auto` if the answers say where the next page is, or if nothing is said of pages."""
    says_pages: bool
    """Whether it says how pages are reached."""
    since_filter: SinceQueryParameters | None
    listed: Mapping[str, object]
    """A made-up entry of the list; empty if none is described."""
    lead: Mapping[str, object]
    """A made-up lead with all that its own page adds."""
    enums: Mapping[str, tuple[str, ...]]
    """The values that a lead may have, by path, where they are listed."""

    @property
    def has_more_in_details(self) -> bool:
        """Whether a lead's own page has something that the list has not."""
        return bool(set(self.lead) - set(self.listed))


def read_specifications(document: Mapping[str, object], base_url: str) -> tuple[Specification, ...]:
    """Read a specification as of each of its servers under whose address leads lie elsewhere, the host's own first.

    Raises:
        NotASpecificationError: it describes no list of leads.
    """
    there = urlsplit(base_url)
    servers: Sequence[str | None] = server_addresses(document, there.hostname) or [None]
    read = (read_specification(document, there.path, server) for server in servers)
    found: dict[LeadEndpointPaths, Specification] = {}
    for one in read:
        found.setdefault(one.paths, one)
    return tuple(found.values())


def read_specification(document: Mapping[str, object], base_path: str, server: str | None = None) -> Specification:
    """Read a specification; `base_path` is the path of `base_url`, which precedes every path there.

    Raises:
        NotASpecificationError: it describes no list of leads.
    """
    api = parse_openapi_document(document, server)
    api = replace(api, operations=tuple(_operations_below_base_path(api.operations, base_path.rstrip("/"))))
    operation = _list_of_leads(api)
    if operation is None:
        raise NotASpecificationError(_("it describes no list of leads"))
    prefix = operation.path.rpartition("/")[0]
    detail = _own_page(api, prefix)
    paths = LeadEndpointPaths(prefix, operation.path.removeprefix(prefix), None)
    paths = replace(paths, lead_path=paths.path_after_prefix(detail.path) if detail else None)
    body = example_of(api, operation.answer or {})
    path, listed = _entry(body)
    own = _lead_on_detail_page(example_of(api, detail.answer or {})) if detail else SchemaExample({}, {})
    whole = own.value if isinstance(own.value, Mapping) else {}
    pages = _pages(operation, body)
    return Specification(
        api=api,
        paths=paths,
        auth=_auth(api, operation),
        pagination=replace(pages or PaginationOptions(), items=path, total_header=_total_header(operation)),
        says_pages=pages is not None,
        since_filter=_since_filter(operation),
        listed=listed.value if isinstance(listed.value, Mapping) else {},
        lead={**(listed.value if isinstance(listed.value, Mapping) else {}), **whole},
        enums={**listed.enums, **own.enums},
    )


# ── paths ────────────────────────────────────────────────────────────────────────────────────────


def _operations_below_base_path(operations: Sequence[ApiOperation], base_path: str) -> Iterator[ApiOperation]:
    """Yield the operations with their paths after `base_path`; it may be left out of a specification."""
    is_written = any(one.path.startswith(f"{base_path}/") for one in operations)
    for one in operations:
        if one.path.startswith(f"{base_path}/"):
            yield replace(one, path=one.path.removeprefix(base_path))
        elif not is_written:
            yield one


def path_segments(path: str) -> list[str]:
    """Return a path's parts, in lower case, with `{}` for a parameter."""
    return [re.sub(r"\{[^{}]*\}", "{}", part.casefold()) for part in path.strip("/").split("/")]


def _list_of_leads(api: ApiDescription) -> ApiOperation | None:
    def rank(one: ApiOperation) -> tuple[int, int]:
        return LEADS.index(path_segments(one.path)[-1]), len(one.path)

    found = [
        one
        for one in api.operations
        if one.verb == "GET" and path_segments(one.path)[-1] in LEADS and "{}" not in path_segments(one.path)
    ]
    return min(found, key=rank, default=None)


def _own_page(api: ApiDescription, prefix: str) -> ApiOperation | None:
    found = [one for one in api.operations if one.verb == "GET" and is_single_lead_path(one.path, prefix, [])]
    return min(found, key=lambda one: LEADS.index(path_segments(one.path)[-2]), default=None)


def is_single_lead_path(path: str, prefix: str, rest: Sequence[str]) -> bool:
    """Return whether a path is that of one lead, with `rest` behind it."""
    parts = path_segments(path.removeprefix(prefix)) if path.startswith(f"{prefix}/") else []
    return len(parts) == len(rest) + 2 and parts[0] in LEADS and parts[1:] == ["{}", *rest]


def status_list_paths(specification: Specification) -> Iterator[str]:
    """Yield the paths of the configuration's lists of statuses, after the prefix."""
    for one in specification.api.operations:
        *parents, name = path_segments(one.path)
        path = specification.paths.path_after_prefix(one.path)
        if path and one.verb == "GET" and "statu" in name and not _SETTINGS.isdisjoint(parents) and "{}" not in parents:
            yield path


# ── the key ──────────────────────────────────────────────────────────────────────────────────────

_PREFIXED = re.compile(
    r"""\b(?P<prefix>[A-Za-z][\w-]{1,20}) ["'`]?[<{\[(]?\s*(?:your[ _-]?)?(?:api[ _-]?)?(?:key|token|clé)\b"""
)
_NO_PREFIXES = frozenset(
    {"the", "a", "an", "your", "api", "la", "le", "une", "un", "votre", "client", "admin", "oplead", "access", "of"}
    | {"this", "with", "de", "auth", "authentication", "and", "as", "is", "or", "cette", "ce"}
)


def _auth(api: ApiDescription, operation: ApiOperation) -> ApiAuthScheme | None:
    """Return how the key is shown; where there are several ways, the one that the list wants, else the safest."""
    names = [name for name in operation.security if name in api.schemes] or list(api.schemes)
    ways = [way for name in names if (way := _auth_of_scheme(api.schemes[name])) is not None]
    return min(ways, key=lambda way: ("header", "bearer", "query").index(way.style), default=None)


def _auth_of_scheme(scheme: SecurityScheme) -> ApiAuthScheme | None:
    if scheme.kind == "http" and scheme.scheme == "bearer":
        return ApiAuthScheme()
    if scheme.kind != "apiKey" or not re.fullmatch(r"[!-~]{1,100}", scheme.name):
        return None
    if scheme.place == "query":
        return ApiAuthScheme(style="query", name=scheme.name)
    if scheme.place != "header":
        return None
    words = (match["prefix"] for match in _PREFIXED.finditer(scheme.description))
    prefix = next((word for word in words if word.casefold() not in _NO_PREFIXES), None)
    if scheme.name.casefold() == "authorization" and prefix == "Bearer":
        return ApiAuthScheme()
    return ApiAuthScheme(style="header", name=scheme.name, prefix=f"{prefix} " if prefix else "")


# ── pages ────────────────────────────────────────────────────────────────────────────────────────

_NUMBERS = frozenset({"page", "p", "pagenumber", "pageno", "pageindex", "numpage", "numeropage"})
_OFFSETS = frozenset({*with_french("offset", "skip", "start"), "startindex", "pageoffset"})
_SIZES = frozenset(
    {"limit", "size", "perpage", "pagesize", *with_french("count", "take"), "itemsperpage", "pagelimit", "nbparpage"}
)
_CURSORS = frozenset(
    {"cursor", "nextcursor", "pagetoken", "nextpagetoken", "continuationtoken", "curseur", "pagecursor"}
)
_LAST_IDS = frozenset({"afterid", "lastid", "sinceid", "fromid", "startingafter", "minid"})
_DESCRIBED: tuple[tuple[frozenset[str], tuple[str, ...]], ...] = (
    (_CURSORS, ("cursor", "curseur", "continuationtoken")),
    (_OFFSETS, ("decalage", "offset", "numberofleadstoskip", "leadsapasser")),
    (_SIZES, ("perpage", "parpage", "pagesize", "tailledepage", "tailledelapage", "leadsaretourner")),
    (_NUMBERS, ("pagenumber", "numerodepage", "numerodelapage")),
)
"""Words, normalised, of what a parameter of an unusual name is; the first kind found counts."""
_LARGEST_PAGE = 100


def _pages(operation: ApiOperation, body: SchemaExample) -> PaginationOptions | None:
    """Return how pages are reached; None if nothing is said of it."""
    query = {normalise(one.name): one for one in operation.parameters if one.place == "query"}

    def query_parameter_named(names: frozenset[str]) -> Parameter | None:
        named = next((query[name] for name in query if name in names), None)
        return named or next((one for one in query.values() if _described_as(one, names)), None)

    around = envelope_values(body.value)
    following = [(path, value) for path, value in around if is_next_page_path(path)] or [
        (path, value) for path, value in around if _is_described_as_next_cursor(body.descriptions.get(path, ""))
    ]
    size = query_parameter_named(_SIZES)
    if any(name.casefold() == "link" for name in operation.headers):
        return PaginationOptions()
    for path, value in following:
        if is_next_page_path(path) and not _is_cursor(path):
            is_known = path in NEXT_URLS or not str(value).startswith(("http", "/", "?"))
            return PaginationOptions() if is_known else PaginationOptions(style="next_url", next=path)
    if (cursor := query_parameter_named(_CURSORS)) and following:
        path = following[0][0]
        if cursor.name == "cursor" and path in CURSORS:
            return _with_page_size(PaginationOptions(), size)
        return _with_page_size(PaginationOptions(style="cursor", cursor_param=cursor.name, next=path), size)
    if page := query_parameter_named(_NUMBERS):
        found = PaginationOptions(style="page", page_param=page.name, first_page=_first_page(page))
        return _with_page_size(found, size)
    if offset := query_parameter_named(_OFFSETS):
        return _with_page_size(PaginationOptions(style="offset", offset_param=offset.name), size)
    if last := query_parameter_named(_LAST_IDS):
        return _with_page_size(PaginationOptions(style="last_id", cursor_param=last.name), size)
    return None


def _described_as(parameter: Parameter, names: frozenset[str]) -> bool:
    """Whether a parameter that no name explains is described by one of a few words, and by no other's."""
    if names != _CURSORS and type_of_schema(parameter.schema) not in ("integer", "number"):
        return False
    said = normalise(parameter.description)
    found = [kind for kind, words in _DESCRIBED if any(word in said for word in words)]
    return found[:1] == [names]


def _is_cursor(said: str) -> bool:
    return any(word in normalise(said) for word in ("cursor", "curseur", "token", "continuation"))


def _is_described_as_next_cursor(said: str) -> bool:
    return _is_cursor(said) and not any(
        word in normalise(said) for word in ("preced", "previous", "courant", "current")
    )


def _first_page(page: Parameter) -> int:
    said = (page.schema.get(key) for key in ("minimum", "default"))
    return next((number for number in said if number in (0, 1) and isinstance(number, int)), 1)


def _with_page_size(options: PaginationOptions, parameter: Parameter | None) -> PaginationOptions:
    """Return the options that ask for long pages, if there is a parameter for it and they are not long anyway."""
    if parameter is None:
        return options
    largest, usual = (parameter.schema.get(key) for key in ("maximum", "default"))
    size = min(largest, _LARGEST_PAGE) if isinstance(largest, int) and largest > 0 else _LARGEST_PAGE
    is_usual = isinstance(usual, int) and usual >= size
    return options if is_usual else replace(options, size_param=parameter.name, size=size)


def _total_header(operation: ApiOperation) -> str | None:
    usual = {name.casefold() for name in TOTAL_HEADERS}
    return next((name for name in operation.headers if name.casefold() in usual), None)


# ── the filter ───────────────────────────────────────────────────────────────────────────────────

_CHANGED = ("updated", "modified", "changed", "lastmodif", "modifie", "misajour", "miseajour", "maj", "change")
_CREATED = ("created", "creation", "cree", "ajoute", "received", "recu")
_SINCE = ("since", "after", "from", "depuis", "gte", "min", "start", "apartirde", "apres")
_UNTIL = ("until", "before", "to", "jusqua", "jusque", "lte", "max", "end", "avant")
_MILLISECONDS = re.compile(r"milli|\bms\b", re.IGNORECASE)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")


def _since_filter(operation: ApiOperation) -> SinceQueryParameters | None:
    """Return the parameter that lists what has changed since a time; one that may filter by creation is not taken."""
    query = [one for one in operation.parameters if one.place == "query"]
    for one in query:
        words = [word.casefold() for word in _WORD.findall(one.name)]
        if not any(word in _SINCE for word in words) and not any(word in normalise(one.name) for word in _SINCE[:4]):
            continue
        if words[-1] in _UNTIL or not _is_by_change(one):
            continue
        if (form := _time_format(one)) is not None:
            ends = (other.name for other in query if other is not one and _is_period_end(other, words))
            until = next((name for name in ends if name in one.description), None)
            return SinceQueryParameters(one.name, form, until)
    return None


def _is_by_change(parameter: Parameter) -> bool:
    for said in (normalise(parameter.name), normalise(parameter.description)):
        if any(word in said for word in _CREATED):
            return False
        if any(word in said for word in _CHANGED):
            return True
    return False


def _is_period_end(parameter: Parameter, words: Sequence[str]) -> bool:
    """Return whether a parameter is the other end of the period that one of these words begins."""
    own = [word.casefold() for word in _WORD.findall(parameter.name)]
    return any(word in _UNTIL for word in own) and bool({*own} & {*words})


def _time_format(parameter: Parameter) -> str | None:
    kind, form = type_of_schema(parameter.schema), parameter.schema.get("format")
    if kind in ("integer", "number"):
        return "epoch_ms" if _MILLISECONDS.search(parameter.description) else "epoch_s"
    if kind not in ("string", ""):
        return None
    is_day = form == "date" or (
        form is None and re.search(r"YYYY-MM-DD(?!.{0,3}H)", parameter.description, re.IGNORECASE)
    )
    return "date" if is_day else "iso"


# ── a lead ───────────────────────────────────────────────────────────────────────────────────────


def _entry(body: SchemaExample) -> tuple[str | None, SchemaExample]:
    """Return the path of the array of leads, None if it can stay unset, and an entry of it."""
    try:
        path, items = locate_lead_array(body.value, None)
    except Misconfigured:
        return None, SchemaExample({}, {})
    place = next((path for path, value in lists_and_surrounding_values(body.value) if value is items), "")
    return path, SchemaExample(items[0] if items else {}, _enums_below_path(body.enums, place))


def _lead_on_detail_page(body: SchemaExample) -> SchemaExample:
    """Return the lead in the answer of its own page: the object with the most names typical of one."""
    lead = max(candidate_lead_objects(body.value), key=count_typical_lead_fields, default=None)
    if lead is None:
        return SchemaExample({}, {})
    place = next((name for name, one in mapping_or_empty(body.value).items() if one is lead), "")
    return SchemaExample(lead, _enums_below_path(body.enums, place))


def _enums_below_path(enums: Mapping[str, tuple[str, ...]], place: str) -> dict[str, tuple[str, ...]]:
    start = f"{place}." if place else ""
    return {path.removeprefix(start): values for path, values in enums.items() if path.startswith(start)}
