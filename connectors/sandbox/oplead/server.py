"""Oplead's read API: authorization, rate limit, lead detail and lead list."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from math import ceil
from threading import Lock
from typing import Any
from urllib.parse import unquote

from connectors.sandbox.oplead.leads import (
    Accident,
    accident_json,
    apply_accidents,
    render_lead,
    render_list_entry,
    wire_id,
)
from connectors.sandbox.oplead.pages import BadQueryError, envelope, known_parameters, page_of, parameters
from connectors.sandbox.oplead.shape import AXES, Position, Shape, shape_of
from connectors.sandbox.platform import from_json, require_position
from connectors.sandbox.server import WireRequest, WireResponse, json_response

LeadsAt = Callable[[datetime], Mapping[str, object]]
"""The population: every lead at an instant, by id, in list order; None for a deleted one."""

ADMIN_KEY = "sandbox-admin-key"
"""The client admin's key, which may read every lead."""
SUPPLIER_KEY = "sandbox-supplier-key"
"""A restricted key, which may send leads but not read them."""
RATE = 100
RATE_WINDOW = timedelta(seconds=60)

SWITCHES: Mapping[str, tuple[Position, ...]] = {**AXES, "retry_after": (True, False)}
"""Positions of undocumented behaviour that could change what the pipeline sends, the default first."""


class OpleadPlatform:
    """One Oplead platform: a population, overlaid with leads put or deleted by hand."""

    def __init__(self, now: Callable[[], datetime], leads_at: LeadsAt = lambda _: {}) -> None:
        """Serve `leads_at(now())`."""
        self._lock = Lock()
        self._now = now
        self._leads_at = leads_at
        self._put: dict[str, object] = {}
        """Leads put by hand, by id; None for a deleted one."""
        self._answered: deque[datetime] = deque()
        """When each request in the current rate window was answered."""
        self._retry_after = True
        self.shape = Shape()
        """The shape of its API; may be replaced at any time."""
        self.shows_shape = True
        """Whether the control server may show the shape."""
        self.accidents: list[Accident] = []
        """The accidents applied to its leads, in order."""

    @property
    def switches(self) -> dict[str, Position]:
        """The position of each switch."""
        return {**asdict(self.shape), "retry_after": self._retry_after}

    def switch(self, name: str, value: object) -> None:
        """Set one switch; raise ValueError if it has no such position."""
        if name == "retry_after":
            require_position(SWITCHES, name, value)
            self._retry_after = bool(value)
        else:
            self.shape = shape_of({**asdict(self.shape), name: value})

    def put(self, lead_id: str, lead: Mapping[str, object]) -> None:
        """Serve this lead from now on; raise ValueError if it has another `id` (it may have none)."""
        if str(lead.get("id", lead_id)) != lead_id:
            raise ValueError("the lead's own id must be the one in the path")
        with self._lock:
            self._put[lead_id] = lead

    def delete(self, lead_id: str) -> None:
        """Answer 410 for this lead from now on."""
        with self._lock:
            self._put[lead_id] = None

    def leads(self) -> dict[str, object]:
        """Return every current lead by id, untranslated and in list order; None for a deleted one."""
        now = self._now()
        with self._lock:
            leads = {**self._leads_at(now), **self._put}
        return {lead_id: apply_accidents(self.accidents, lead, now) for lead_id, lead in leads.items()}

    def handle(self, request: WireRequest) -> WireResponse:
        """Answer one API request."""
        return self._gate(request) or self._route(request)

    def dump(self) -> dict[str, object]:
        """Return the state as JSON."""
        with self._lock:
            return {
                "put": dict(self._put),
                "taken": [moment.isoformat() for moment in self._answered],
                "switches": dict(self.switches),
                "accidents": [accident_json(accident) for accident in self.accidents],
            }

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore what `dump` returned."""
        with self._lock:
            self._put = dict(state["put"])
            self._answered = deque(map(datetime.fromisoformat, state["taken"]))
        self.accidents = from_json(list[Accident], state.get("accidents", []))
        for name, value in state["switches"].items():
            self.switch(name, value)

    def _gate(self, request: WireRequest) -> WireResponse | None:
        """Return the refusal of a request that may not reach a route; None if it may."""
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
        """Take a slot and return 0, or return the seconds until one is free, rounded up."""
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
            return _error(refusal.status, str(refusal))
        return _error(404, "no such page")

    def _detail(self, asked_id: str, shape: Shape) -> WireResponse:
        leads = self.leads()
        lead_id = next((each for each in leads if str(wire_id(each, shape.ids)) == asked_id), None)
        if lead_id is None:
            return _error(404, "no such lead")
        if leads[lead_id] is None:
            return _error(410, "this lead was deleted")
        return json_response(200, render_lead(leads[lead_id], shape))

    def _list(self, request: WireRequest, asked: Mapping[str, str], shape: Shape) -> WireResponse:
        page = page_of(self.leads(), asked, shape)
        page = replace(page, leads=[render_list_entry(lead, shape) for lead in page.leads])
        body, headers = envelope(page, asked, shape, f"http://{request.headers.get('host', '')}{request.path}")
        return json_response(200, body, headers)


_KEY_PARAMETERS = {"query_token": "token", "query_api_key": "api_key"}
"""The query parameter with the key, by position of the `auth` axis."""


def _key(request: WireRequest, shape: Shape) -> str:
    """Return the key that a request presents in the shape's way; empty if there is none."""
    bearer, _, borne = request.headers.get("authorization", "").partition(" ")
    scheme, _, token = request.headers.get("x-oplead-auth", "").partition(" ")
    keys = request.query.get(_KEY_PARAMETERS.get(shape.auth, ""), ())
    presented = {
        "bearer": borne if bearer == "Bearer" else "",
        "authorization": request.headers.get("authorization", ""),
        "x_api_key": request.headers.get("x-api-key", ""),
        "token_header": token if scheme == "Token" else "",
    }
    return presented.get(shape.auth, keys[0] if len(keys) == 1 else "")


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> WireResponse:
    return json_response(status, {"error": message}, headers)
