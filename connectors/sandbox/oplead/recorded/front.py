"""Oplead's API as an account was seen to answer: its requests put into the sandbox's own words, its answers back."""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import ceil
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode

from connectors.sandbox.oplead.documentation.page import FOLDER as DOCUMENTATION
from connectors.sandbox.oplead.gate import ADMIN_KEY
from connectors.sandbox.oplead.leads.rendering import ZONE
from connectors.sandbox.oplead.recorded.dialect import (
    LEADS,
    RecordedDialect,
    RecordedManner,
    Tree,
    kinds_of,
    loosely,
    names_in,
)
from connectors.sandbox.oplead.recorded.forms import SOME_TIME, absent, invented
from connectors.sandbox.oplead.recorded.leads import RecordedLeads
from connectors.sandbox.oplead.shape import ApiShape
from connectors.sandbox.server import WireRequest, WireResponse, json_response

Ask = Callable[[WireRequest, ApiShape], WireResponse]
"""The sandbox's own Oplead, in a shape."""
_Style = Literal["none", "page", "offset", "after_id", "cursor"]
_PAGED: Final[Mapping[str, tuple[_Style, str]]] = {
    "none": ("none", ""),
    "page": ("page", "page"),
    "offset": ("offset", "offset"),
    "last_id": ("after_id", "after_id"),
}
"""How the sandbox's own list is paged where it is not by a cursor, and the parameter that it takes."""
_CURSOR: Final[tuple[_Style, str]] = ("cursor", "cursor")
_LONGEST_PAGE: Final = 100
_ERROR: Final = 400
_TOTALS: Final = ("total", "totalcount", "totalelements", "totalitems", "totalresults", "totalrecords", "nombretotal")
_PAGES: Final = ("totalpages", "pages", "pagecount", "lastpage", "nombrepages")
_NUMBERS: Final = ("page", "currentpage", "pagenumber", "pageindex", "number", "numero")
_SIZES: Final = ("size", "pagesize", "limit", "perpage", "nombre", "take")
_COUNTS: Final = ("count", "numberofelements", "itemcount")
_OFFSETS: Final = ("offset", "skip", "start", "debut", "decalage")
_MORE: Final = ("hasmore", "hasnext", "hasnextpage", "more", "moreresults")
_NEXT: Final = re.compile("next|suivant|cursor|curseur|continuation|token")
_TOKEN: Final = re.compile("cursor|curseur|token|after|continuation")
_DONE: Final = ("success", "succes", "ok")


@dataclass(frozen=True, slots=True)
class _ListPage:
    """What the body of a page says beside its leads."""

    leads: list[object]
    total: int
    size: int
    offset: int
    number: int
    cursor: str | None
    address: str | None


@dataclass(eq=False, repr=False)
class RecordedOplead:
    """One account's Oplead, played by the sandbox's own."""

    dialect: RecordedDialect
    manner: RecordedManner
    leads: RecordedLeads = field(init=False)

    def __post_init__(self) -> None:
        self.leads = RecordedLeads(self.dialect, self.manner.fields)

    @property
    def shape(self) -> ApiShape:
        """The shape of the sandbox's own Oplead behind this one: the default, but for the form of ids."""
        return ApiShape(ids=self.leads.ids, unknown_parameters="ignored")

    def answer(self, request: WireRequest, ask: Ask) -> WireResponse:
        """Answer a request as the account was seen to."""
        path, is_list = self._own_path(request), self._is_list(request)
        own = replace(
            request, path=path, headers=self._own_headers(request), query={}, body=self._own_body(request, path)
        )
        if is_list:
            return self._list(request, own, ask)
        answer = ask(
            own if path.startswith("/v1/leads") else replace(own, query=self._other_query(request)), self.shape
        )
        if answer.status >= _ERROR:
            return self._refusal(answer)
        is_lead = re.fullmatch(r"/v1/leads(/[^/]+(/status)?)?", path)
        return _with_body(answer, self.leads.page_of(_body(answer))) if is_lead else answer

    # ── requests ────────────────────────────────────────────────────────────────────────────────

    def _is_list(self, request: WireRequest) -> bool:
        return request.method == "GET" and request.path == self.manner.path_prefix + self.manner.leads_path

    def _own_path(self, request: WireRequest) -> str:
        """Return a path in the sandbox's own Oplead; one that the account lacks leads nowhere."""
        manner, path = self.manner, request.path
        if path.startswith(DOCUMENTATION):
            return path
        if not path.startswith(f"{manner.path_prefix}/"):
            return "/"
        rest = path.removeprefix(manner.path_prefix)
        before, _, behind = manner.lead_path.partition("{id}")
        if found := re.fullmatch(f"{re.escape(before)}([^/]+){re.escape(behind)}", rest):
            return f"/v1/leads/{found[1]}"
        if rest == manner.leads_path or rest.startswith(f"{manner.leads_path}/"):
            return f"/v1/leads{rest.removeprefix(manner.leads_path)}"
        is_read_elsewhere = request.method == "GET" and rest.startswith("/leads")
        return "/" if is_read_elsewhere else f"/v1{rest}"

    def _own_headers(self, request: WireRequest) -> Mapping[str, str]:
        rest = {name: value for name, value in request.headers.items() if name != "authorization"}
        key = self._key(request)
        return {**rest, "authorization": f"Bearer {key}"} if key else rest

    def _key(self, request: WireRequest) -> str:
        """Return the key that a request presents as the account takes it."""
        auth = self.manner.auth
        match auth.style:
            case "query":
                keys = request.query.get(auth.name or "", ())
                return keys[0] if len(keys) == 1 else ""
            case "none":
                return ADMIN_KEY
        name, prefix = ("authorization", "Bearer ") if auth.style == "bearer" else (auth.name or "", auth.prefix)
        said = request.headers.get(name.lower(), "")
        return said.removeprefix(prefix) if said.startswith(prefix) else ""

    def _own_body(self, request: WireRequest, path: str) -> bytes:
        """Return the body of a write in the sandbox's own words."""
        try:
            body = json.loads(request.body) if request.body else None
        except ValueError:
            return request.body
        if not isinstance(body, dict) or not path.startswith("/v1/leads"):
            return request.body
        own = self.leads.asked_status(body) if path.endswith("/status") else self.leads.parts(body)
        return json.dumps(own).encode()

    def _other_query(self, request: WireRequest) -> Mapping[str, tuple[str, ...]]:
        return {name: values for name, values in request.query.items() if name != self._secret_parameter}

    @property
    def _secret_parameter(self) -> str | None:
        return self.manner.auth.name if self.manner.auth.style == "query" else None

    # ── the list ────────────────────────────────────────────────────────────────────────────────

    def _list(self, request: WireRequest, own: WireRequest, ask: Ask) -> WireResponse:
        asked = {name: values[-1] for name, values in self._other_query(request).items()}
        pages = self.manner.pagination
        style, parameter = _PAGED.get(pages.style, _CURSOR)
        size = self._size(asked)
        theirs = {"page": pages.page_param, "offset": pages.offset_param}.get(parameter, pages.cursor_param)
        query = {parameter: asked[theirs]} if theirs in asked else {}
        if parameter == "page" and "page" in query and query["page"].isdecimal():
            query["page"] = str(int(query["page"]) + 1 - pages.first_page)
        if self.dialect.page_size is None and style == "cursor":
            style, query = "none", {}
        shape = replace(
            self.shape,
            pagination=style,
            page_size=size,  # type: ignore[arg-type]  # any size will do
            envelope="data",
            page_total=True,
            filters=True,
        )
        answer = ask(
            replace(own, query={name: (value,) for name, value in (query | self._since(asked)).items()}), shape
        )
        if answer.status >= _ERROR:
            return self._refusal(answer)
        body = _body(answer)
        number = int(query.get("page", "1"))
        offset = int(query["offset"]) if "offset" in query else (number - 1) * size
        cursor = body.get("nextCursor")
        url = f"http://{request.headers.get('host', '')}{request.path}"
        address = f"{url}?{urlencode({**asked, pages.cursor_param: cursor}, quote_via=quote)}" if cursor else None
        shown = [self.leads.as_listed(lead) for lead in body["data"]]
        page = _ListPage(shown, body["total"], size, offset, number - 1 + pages.first_page, cursor, address)
        headers = {pages.total_header: str(page.total)} if pages.total_header else {}
        if pages.style == "link_header":
            headers["Link"] = f'<{url}>; rel="first"' + (f', <{address}>; rel="next"' if address else "")
        return json_response(200, self._around(self.dialect.list, "", page), headers)

    def _size(self, asked: Mapping[str, str]) -> int:
        """Return how many leads a page has: as many as were seen, or as are asked for."""
        pages = self.manner.pagination
        usual = self.dialect.page_size or pages.size or _LONGEST_PAGE
        wanted = asked.get(pages.size_param, "") if pages.size_param else ""
        return min(int(wanted), pages.size or _LONGEST_PAGE) if wanted.isdecimal() and int(wanted) else usual

    def _since(self, asked: Mapping[str, str]) -> dict[str, str]:
        """Return the filter by change in the sandbox's own words; what cannot be read is refused there."""
        chosen = self.manner.since_filter
        if chosen is None or chosen.param not in asked:
            return {}
        text = asked[chosen.param]
        if chosen.format in ("epoch_s", "epoch_ms") and text.isdecimal():
            seconds = int(text) // (1000 if chosen.format == "epoch_ms" else 1)
            return {"updated_since": datetime.fromtimestamp(seconds, UTC).isoformat()}
        with suppress(ValueError):
            text = datetime.strptime(text, chosen.format).replace(tzinfo=ZONE).isoformat()
        return {"updated_since": text}

    def _around(self, tree: Tree, path: str, page: _ListPage) -> object:
        """Return the body of a page."""
        match tree:
            case str() if tree == LEADS:
                return page.leads
            case str():
                return self._beside_leads(tree, path, page)
            case list():
                return [self._around(inner, path, page) for inner in tree]
        return {
            name: self._around(inner, f"{path}.{name}" if path else name, page)
            for name, inner in names_in(tree).items()
        }

    def _beside_leads(self, leaf: str, path: str, page: _ListPage) -> object:
        """Return what a value beside the leads says of them, by its name."""
        pages, name = self.manner.pagination, loosely(path.rpartition(".")[2])
        goes_on = page.offset + len(page.leads) < page.total if page.cursor is None else True
        facts: dict[tuple[str, ...], object] = {
            _TOTALS: page.total,
            _PAGES: ceil(page.total / page.size),
            _NUMBERS: page.number,
            _SIZES: page.size,
            _COUNTS: len(page.leads),
            _OFFSETS: page.offset,
            _MORE: goes_on,
            ("last", "islast"): not goes_on,
            ("first", "isfirst"): page.offset == 0,
            _DONE: True,
        }
        if path == pages.total:
            return page.total
        if path == pages.next or (name not in _MORE and _NEXT.search(name)):
            return self._next(leaf, path, page)
        known = next((value for names, value in facts.items() if name in names), None)
        return known if known is not None and _may_be(known, leaf) else invented(leaf, SOME_TIME)

    def _next(self, leaf: str, path: str, page: _ListPage) -> object:
        """Return how to go on, as an address or a cursor."""
        if page.cursor is None or page.address is None:
            return absent(leaf) if {"null", "empty"} & {*kinds_of(leaf)} else None
        style = self.manner.pagination.style
        if "URL" in kinds_of(leaf):
            return page.address
        is_token = style == "cursor" or (style == "auto" and _TOKEN.search(loosely(path)))
        return page.cursor if is_token else f"/{page.address.split('/', 3)[3]}"

    # ── answers ─────────────────────────────────────────────────────────────────────────────────

    def _refusal(self, answer: WireResponse) -> WireResponse:
        """Return a refusal with the body that the account had for its status, if it was seen."""
        tree = self.dialect.refusals.get(str(answer.status))
        if tree is None:
            return answer
        return _with_body(answer, _refused(tree, "", answer.status, str(_body(answer).get("error", ""))))


def _refused(tree: Tree, name: str, status: int, message: str) -> object:
    match tree:
        case dict():
            return {inner: _refused(each, inner, status, message) for inner, each in names_in(tree).items()}
        case list():
            return [_refused(each, name, status, message) for each in tree]
    kinds = kinds_of(tree)
    if kinds[0] == "integer":
        return status
    return message if kinds[0] == "text" else invented(tree, SOME_TIME)


def _may_be(value: object, leaf: str) -> bool:
    return "boolean" in kinds_of(leaf) if isinstance(value, bool) else "integer" in kinds_of(leaf)


def _body(answer: WireResponse) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(answer.body or b"{}")
    return body


def _with_body(answer: WireResponse, body: object) -> WireResponse:
    return replace(answer, body=json_response(answer.status, body).body)
