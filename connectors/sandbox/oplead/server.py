"""Oplead's reading side: who may read, how often, one lead, and the list of them."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from threading import Lock
from typing import Any, assert_never
from urllib.parse import unquote

from connectors.sandbox.faults import parsed
from connectors.sandbox.oplead.accidents import Accident, applied, as_document
from connectors.sandbox.oplead.leads import in_list, on_wire, wire_id
from connectors.sandbox.oplead.pages import BadQueryError, PastEndError, envelope, known_parameters, page_of, parameters
from connectors.sandbox.oplead.shape import AXES, Position, Shape, positions_of, shape_of
from connectors.sandbox.platform import require_position
from connectors.sandbox.server import WireRequest, WireResponse, json_response

LeadsAt = Callable[[datetime], Mapping[str, object]]
"""The population: every lead as Oplead would serve it at an instant, by id, in the list's order."""

ADMIN_KEY = "sandbox-admin-key"
"""The client admin's key, which sees every lead."""
SUPPLIER_KEY = "sandbox-supplier-key"
"""A narrow key: it may send leads, not read them."""
RATE = 100
RATE_WINDOW = timedelta(seconds=60)

SWITCHES: Mapping[str, tuple[Position, ...]] = {**AXES, "retry_after": (True, False)}
"""What Oplead documents nowhere and could change what is sent: the positions, the default first."""


class OpleadPlatform:
    """One Oplead platform: a population, overlaid by leads put or deleted by hand."""

    def __init__(self, now: Callable[[], datetime], leads_at: LeadsAt = lambda _: {}) -> None:
        """Serve `leads_at(now())`."""
        self._lock = Lock()
        self._now = now
        self._leads_at = leads_at
        self._put: dict[str, object] = {}
        """Leads put by hand; None for a deleted one."""
        self._answered: deque[datetime] = deque()
        """When the requests of the last minute were answered."""
        self._retry_after = True
        self.shape = Shape()
        """How it speaks; may be replaced at any time."""
        self.shows_shape = True
        """Whether the control server may show that."""
        self.accidents: list[Accident] = []
        """What goes wrong with its leads, in this order."""

    @property
    def switches(self) -> dict[str, Position]:
        """Where each switch stands."""
        return {**positions_of(self.shape), "retry_after": self._retry_after}

    def switch(self, name: str, value: object) -> None:
        """Turn one switch; ValueError where it has no such position."""
        if name == "retry_after":
            require_position(SWITCHES, name, value)
            self._retry_after = bool(value)
        else:
            self.shape = shape_of({**positions_of(self.shape), name: value})

    def put(self, lead_id: str, lead: Mapping[str, object]) -> None:
        """Serve this lead as it stands from now on, also one without an id; ValueError where its `id` is another."""
        if str(lead.get("id", lead_id)) != lead_id:
            raise ValueError("the lead's own id must be the one in the path")
        with self._lock:
            self._put[lead_id] = lead

    def delete(self, lead_id: str) -> None:
        """Answer 410 for this lead from now on."""
        with self._lock:
            self._put[lead_id] = None

    def leads(self) -> dict[str, object]:
        """Every lead of this moment, in the list's order, before it takes a shape; None where deleted."""
        now = self._now()
        with self._lock:
            leads = {**self._leads_at(now), **self._put}
        return {lead_id: applied(self.accidents, lead, now) for lead_id, lead in leads.items()}

    def handle(self, request: WireRequest) -> WireResponse:
        """Answer one request to the API."""
        return self._gate(request) or self._route(request)

    def dump(self) -> dict[str, object]:
        """Its state as JSON."""
        with self._lock:
            return {
                "put": dict(self._put),
                "taken": [moment.isoformat() for moment in self._answered],
                "switches": dict(self.switches),
                "accidents": [as_document(accident) for accident in self.accidents],
            }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a dumped state."""
        with self._lock:
            self._put = dict(state["put"])
            self._answered = deque(map(datetime.fromisoformat, state["taken"]))
        self.accidents = parsed(list[Accident], state.get("accidents", []))
        for name, value in state["switches"].items():
            self.switch(name, value)

    def _gate(self, request: WireRequest) -> WireResponse | None:
        """The refusals that come before any page is looked at."""
        key = _key(request, self.shape)
        if key not in (ADMIN_KEY, SUPPLIER_KEY):
            asked = {"WWW-Authenticate": "Bearer"} if self.shape.auth == "bearer" else {}
            return _error(401, "unknown key", asked)
        if wait := self._wait_for_slot():
            later = {"Retry-After": str(wait)} if self._retry_after else {}
            return _error(429, "more than 100 requests in a minute", later)
        if key == SUPPLIER_KEY:
            return _error(403, "this key may not read leads")
        if request.method != "GET":
            return _error(405, "this sandbox only reads", {"Allow": "GET"})
        return None

    def _wait_for_slot(self) -> int:
        """Take a slot and return 0, or the whole seconds until one is free."""
        now = self._now()
        with self._lock:
            while self._answered and self._answered[0] <= now - RATE_WINDOW:
                self._answered.popleft()
            if len(self._answered) < RATE:
                self._answered.append(now)
                return 0
            return ceil((self._answered[0] + RATE_WINDOW - now).total_seconds())

    def _route(self, request: WireRequest) -> WireResponse:
        shape = self.shape
        query = {name: values for name, values in request.query.items() if name != _KEY_PARAMETERS.get(shape.auth)}
        try:
            if request.path == f"{shape.path_prefix}/leads":
                return self._list(request, parameters(query, known_parameters(shape), shape), shape)
            folder, _, lead_id = request.path.rpartition("/")
            if folder == shape.path_prefix + shape.lead_path and lead_id:
                parameters(query, frozenset(), shape)
                return self._detail(unquote(lead_id), shape)
        except BadQueryError as refusal:
            return _error(400, str(refusal))
        except PastEndError:
            return _error(404, "there are no more leads")
        return _error(404, "no such page")

    def _detail(self, asked_id: str, shape: Shape) -> WireResponse:
        leads = self.leads()
        lead_id = next((each for each in leads if str(wire_id(each, shape.ids)) == asked_id), None)
        if lead_id is None:
            return _error(404, "no such lead")
        if leads[lead_id] is None:
            return _error(410, "this lead was deleted")
        return json_response(200, on_wire(leads[lead_id], shape))

    def _list(self, request: WireRequest, asked: Mapping[str, str], shape: Shape) -> WireResponse:
        page = page_of(self.leads(), asked, shape)
        page = replace(page, leads=[in_list(lead, shape) for lead in page.leads])
        body, headers = envelope(page, asked, shape, f"http://{request.headers.get('host', '')}{request.path}")
        return json_response(200, body, headers)


_KEY_PARAMETERS = {"query_token": "token", "query_api_key": "api_key"}
"""The query parameter that the key goes in, by the way that it is shown."""


def _key(request: WireRequest, shape: Shape) -> str:
    """The key a request shows in the one way that counts; empty where it shows none."""
    bearer, _, borne = request.headers.get("authorization", "").partition(" ")
    scheme, _, token = request.headers.get("x-oplead-auth", "").partition(" ")
    match shape.auth:
        case "bearer":
            return borne if bearer == "Bearer" else ""
        case "authorization":
            return request.headers.get("authorization", "")
        case "x_api_key":
            return request.headers.get("x-api-key", "")
        case "token_header":
            return token if scheme == "Token" else ""
        case "query_token" | "query_api_key":
            (key, *more) = request.query.get(_KEY_PARAMETERS[shape.auth], ("",))
            return "" if more else key
    assert_never(shape.auth)


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> WireResponse:
    return json_response(status, {"error": message}, headers or {})
