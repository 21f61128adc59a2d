"""Oplead's reading side: who may read, how often, one lead, and the list of them."""

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from math import ceil
from threading import Lock
from urllib.parse import unquote

from connectors.sandbox.http import Request, Response, json_response
from connectors.sandbox.oplead_list import BadQueryError, Style, page_of, parameters
from connectors.sandbox.rules import Rule

LeadsAt = Callable[[datetime], Mapping[str, object]]
"""The population: every lead as Oplead would serve it at an instant, by id, in the list's order."""

ADMIN_KEY = "sandbox-admin-key"
"""The client admin's key, which sees every lead."""
SUPPLIER_KEY = "sandbox-supplier-key"
"""A narrow key: it may send leads, not read them."""
PREFIX = "/v1"
RATE = 100
RATE_WINDOW = timedelta(seconds=60)

SWITCHES: Mapping[str, tuple[object, ...]] = {
    "pagination": ("next_url", "cursor", "page"),
    "page_total": (False, True),
    "filters": (False, True),
    "list_has_details": (True, False),
    "status_dates": ("history", "status_date", "none"),
    "retry_after": (True, False),
}
"""What no page of Oplead's says and could change what is sent: the positions, the default first."""

_GUIDE = "https://aide.eldo.com/fr/knowledge/comment-utiliser-lapi-oplead"
_CHANNELS = (
    "https://aide.eldo.com/en/knowledge/-how-to-differentiate-between-active-and-passive-marketing-channels-in-oplead"
)
RULES: tuple[Rule, ...] = (
    Rule("oplead", "a request without a known key is answered 401", "inferred", _GUIDE),
    Rule("oplead", "the key goes as Authorization: Bearer", "assumed", "assumed"),
    Rule("oplead", "a supplier's key reads no leads: 403", "inferred", _GUIDE),
    Rule("oplead", "at most 100 requests are answered in a minute", "documented", _GUIDE),
    Rule("oplead", "that minute is any 60 seconds, and refused requests do not count", "assumed", "assumed"),
    Rule("oplead", "over the limit the answer is 429, with Retry-After by switch", "assumed", "assumed"),
    Rule("oplead", "paths begin with /v1", "documented", _CHANNELS),
    Rule("oplead", "one lead is read at /v1/leads/{id}", "documented", _CHANNELS),
    Rule("oplead", "an id never seen is answered 404, a deleted one 410", "assumed", "assumed"),
    Rule("oplead", "this side only reads: anything but GET is answered 405", "assumed", "assumed"),
    Rule("oplead", "an unknown or repeated query parameter is answered 400", "assumed", "assumed"),
    Rule("oplead", "the list goes on by next URL, cursor or page, by switch", "assumed", "assumed"),
    Rule("oplead", "a page holds at most 100 leads, oldest first", "assumed", "assumed"),
    Rule("oplead", "updated_since filters the list, by switch", "assumed", "assumed"),
    Rule("oplead", "the list leaves out leadData, by switch", "assumed", "assumed"),
    Rule("oplead", "status dates and history are served or not, by switch", "assumed", "assumed"),
)

_HIDDEN: Mapping[object, frozenset[str]] = {
    "history": frozenset(),
    "status_date": frozenset({"statusHistory"}),
    "none": frozenset({"statusHistory", "statusDate"}),
}


class Oplead:
    """One Oplead platform: a population, overlaid by leads put or deleted by hand."""

    def __init__(self, now: Callable[[], datetime], leads_at: LeadsAt = lambda _: {}) -> None:
        """Serve `leads_at(now())`."""
        self._lock = Lock()
        self._now = now
        self._leads_at = leads_at
        self._put: dict[str, object] = {}
        """Leads put by hand; None stands where one was deleted."""
        self._taken: deque[datetime] = deque()
        """When the requests of the last minute came."""
        self.switches: dict[str, object] = {name: positions[0] for name, positions in SWITCHES.items()}

    def switch(self, name: str, value: object) -> None:
        """Turn one switch; ValueError where it has no such position."""
        positions = SWITCHES.get(name, ())
        if not any(value is position or value == position for position in positions if type(value) is type(position)):
            raise ValueError(f"{name} is one of {', '.join(map(str, positions))}")
        self.switches[name] = value

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
        """Every lead there is now, in the list's order, before any switch strips it; None where deleted."""
        with self._lock:
            return {**self._leads_at(self._now()), **self._put}

    def handle(self, request: Request) -> Response:
        """Answer one request to the API."""
        return self._gate(request) or self._route(request)

    def dump(self) -> dict[str, object]:
        """Its state as JSON."""
        with self._lock:
            return {
                "put": dict(self._put),
                "taken": [moment.isoformat() for moment in self._taken],
                "switches": dict(self.switches),
            }

    def load(self, state: Mapping[str, object]) -> None:
        """Go on from a dumped state."""
        match state:
            case {"put": dict(put), "taken": list(taken), "switches": dict(switches)}:
                with self._lock:
                    self._put = dict(put)
                    self._taken = deque(datetime.fromisoformat(moment) for moment in taken)
                for name, value in switches.items():
                    self.switch(name, value)
            case _:
                raise ValueError("this is no state of Oplead")

    def _gate(self, request: Request) -> Response | None:
        """The refusals that come before any page is looked at."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or key not in (ADMIN_KEY, SUPPLIER_KEY):
            return _error(401, "unknown key", {"WWW-Authenticate": "Bearer"})
        if wait := self._wait_for_slot():
            later = {"Retry-After": str(wait)} if self.switches["retry_after"] else {}
            return _error(429, "more than 100 requests in a minute", later)
        if key == SUPPLIER_KEY:
            return _error(403, "this key may not read leads")
        if request.method != "GET":
            return _error(405, "this sandbox only reads", {"Allow": "GET"})
        return None

    def _wait_for_slot(self) -> int:
        """Take a slot and say 0, or the whole seconds until one is free."""
        now = self._now()
        with self._lock:
            while self._taken and self._taken[0] <= now - RATE_WINDOW:
                self._taken.popleft()
            if len(self._taken) < RATE:
                self._taken.append(now)
                return 0
            return ceil((self._taken[0] + RATE_WINDOW - now).total_seconds())

    def _route(self, request: Request) -> Response:
        if not request.path.startswith(f"{PREFIX}/leads"):
            return _error(404, "no such page")
        try:
            match request.path.removeprefix(f"{PREFIX}/leads").split("/"):
                case [""]:
                    return self._list(request)
                case ["", lead_id] if lead_id:
                    parameters(request.query, frozenset())
                    return self._detail(unquote(lead_id))
        except BadQueryError as refusal:
            return _error(400, str(refusal))
        return _error(404, "no such page")

    def _detail(self, lead_id: str) -> Response:
        leads = self.leads()
        if lead_id not in leads:
            return _error(404, "no such lead")
        if leads[lead_id] is None:
            return _error(410, "this lead was deleted")
        return json_response(200, _without(leads[lead_id], _HIDDEN[self.switches["status_dates"]]))

    def _list(self, request: Request) -> Response:
        style = Style(
            pagination=str(self.switches["pagination"]),
            filters=bool(self.switches["filters"]),
            total=bool(self.switches["page_total"]),
            url=f"http://{request.headers.get('host', '')}{request.path}",
        )
        body = page_of(self.leads(), request.query, style)
        hidden = _HIDDEN[self.switches["status_dates"]]
        if not self.switches["list_has_details"]:
            hidden |= {"leadData"}
        return json_response(200, {**body, "data": [_without(lead, hidden) for lead in body["data"]]})


def _without(lead: object, hidden: frozenset[str]) -> object:
    """The lead without some fields, where it is an object at all."""
    if not isinstance(lead, Mapping):
        return lead
    return {name: value for name, value in lead.items() if name not in hidden}


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return json_response(status, {"error": message}, headers or {})
