"""Oplead's API: its routes, from the lead list to subscriptions, and the state behind them."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from threading import Lock, RLock
from typing import Any, Final
from urllib.parse import unquote

from connectors.sandbox.oplead import webhooks, writes
from connectors.sandbox.oplead.documentation.page import FOLDER as DOCUMENTATION
from connectors.sandbox.oplead.documentation.page import page as documentation_page
from connectors.sandbox.oplead.gate import (
    ADMIN_KEY,
    KEY_PARAMETERS,
    SUPPLIER_KEY,
    USER_KEY,
    CallerRole,
    RateLimit,
    RefusedError,
    caller_of,
    refusal,
)
from connectors.sandbox.oplead.leads.accidents import SimulatedLeadAccident, accident_json, apply_accidents
from connectors.sandbox.oplead.leads.book import LeadsAt, SandboxLeadStore
from connectors.sandbox.oplead.leads.rendering import Fields, render_lead, render_lead_in_list, wire_lead_id
from connectors.sandbox.oplead.options import OPTIONS, UndocumentedBehaviour
from connectors.sandbox.oplead.pages import Page, known_parameters, page_body_and_headers, page_of, parameters
from connectors.sandbox.oplead.recorded.front import RecordedOplead
from connectors.sandbox.oplead.settings import SETTINGS
from connectors.sandbox.oplead.shape import AXES, ApiShape, Position, shape_from_axis_positions
from connectors.sandbox.oplead.subscriptions import Subscriptions
from connectors.sandbox.platform import from_json
from connectors.sandbox.server import WireRequest, WireResponse, json_response

__all__ = ["ADMIN_KEY", "SUPPLIER_KEY", "SWITCHES", "USER_KEY", "OpleadPlatform"]

SWITCHES: Final[Mapping[str, tuple[Position, ...]]] = {**AXES, **OPTIONS}
"""Positions of undocumented behaviour that could change what the pipeline sends, the default first."""


@dataclass(frozen=True, slots=True)
class AdmittedRequest:
    """One request that may reach its route."""

    request: WireRequest
    caller: CallerRole
    query: Mapping[str, str]
    shape: ApiShape
    options: UndocumentedBehaviour
    subject: str
    """The lead's or subscription's id, or the name of a settings page; empty for a list."""


Route = Callable[[AdmittedRequest], WireResponse]


class OpleadPlatform:
    """One Oplead platform: a population, overlaid with what was put or deleted by hand and written by requests."""

    def __init__(self, now: Callable[[], datetime], leads_at: LeadsAt = lambda _: {}) -> None:
        """Serve `leads_at(now())`."""
        self._now = now
        self._rate = RateLimit()
        self._lock = RLock()
        """Held while something is written or collected, so that each write is one step."""
        self._delivering = Lock()
        self.book = SandboxLeadStore(now, leads_at)
        """The leads on record."""
        self.subscriptions = Subscriptions()
        self.webhook_outcomes: Counter[str] = Counter(dict.fromkeys(webhooks.OUTCOMES, 0))
        """What has become of the webhooks so far."""
        self.options = UndocumentedBehaviour()
        self.shape = ApiShape()
        """The shape of its API; may be replaced at any time."""
        self.recorded: RecordedOplead | None = None
        """The account as which it answers, in place of a shape."""
        self.shows_shape = True
        """Whether the control server may show the shape."""
        self.accidents: list[SimulatedLeadAccident] = []
        """The accidents apply_accidents to its leads, in order."""

    @property
    def switches(self) -> dict[str, Position]:
        """The position of each switch."""
        return {**({} if self.recorded else asdict(self.shape)), **self.options.option_positions}

    def set_switch(self, name: str, value: object) -> None:
        """Set one switch; raise ValueError if it has no such position."""
        if name in self.options.option_positions:
            with self._lock:  # what has happened by now happened under the old position
                self._collect()
                self.options = self.options.with_option_changed(name, value)
                self.subscriptions.mark_leads_as_known(self._all_stored_leads)
        else:
            self.shape = shape_from_axis_positions({**asdict(self.shape), name: value})

    def put(self, lead_id: str, lead: Mapping[str, object]) -> None:
        """Serve this lead from now on; raise ValueError if it has another `id` (it may have none)."""
        if str(lead.get("id", lead_id)) != lead_id:
            raise ValueError("the lead's own id must be the one in the path")
        self.book.put(lead_id, lead)

    def delete_lead(self, lead_id: str) -> None:
        """Answer 410 for this lead from now on."""
        self.book.put(lead_id, None)

    def create(self, fields: Fields, creator: str) -> Fields:
        """Add a new lead, and return it."""
        with self._lock:
            self._start_watching_leads()
            return self.book.create(fields, creator)

    def leads(self) -> dict[str, object]:
        """Return every current lead by id, untranslated and in list order; None for a deleted one."""
        now = self._now()
        return {
            lead_id: apply_accidents(self.accidents, lead, now) for lead_id, lead in self._all_stored_leads().items()
        }

    def play(self, recorded: RecordedOplead) -> None:
        """Answer as an account was seen to from now on."""
        self.recorded, self.shape = recorded, recorded.shape

    def handle(self, request: WireRequest) -> WireResponse:
        """Answer one API request."""
        return self.recorded.answer(request, self._answer) if self.recorded else self._answer(request, self.shape)

    def _answer(self, request: WireRequest, shape: ApiShape) -> WireResponse:
        options = self.options
        caller = caller_of(request, shape)
        if caller is None and not request.path.startswith(DOCUMENTATION):
            return refusal(401, "unknown key", {"WWW-Authenticate": "Bearer"} if shape.auth == "bearer" else {})
        if wait := self._rate.reserve_request_slot(self._now()):
            later = {"Retry-After": str(wait)} if options.retry_after else {}
            return refusal(429, "more than 100 requests in a minute", later)
        if caller is None or request.path.startswith(DOCUMENTATION):
            return documentation_page(request.path, shape, options, has_key=caller is not None)
        try:
            return self._route(request, caller, shape, options)
        except RefusedError as refused:
            quoted = f": {request.body.decode('utf-8', 'replace')}" if options.errors_quote and request.body else ""
            return refusal(refused.status, f"{refused}{quoted}", refused.headers)

    def deliver_webhooks(self) -> dict[str, int]:
        """Deliver every webhook due by now, and return how many were taken, failed, given up, outside and wait."""
        told: Counter[str] = Counter(dict.fromkeys(webhooks.OUTCOMES, 0))
        now = self._now()
        with self._delivering:
            with self._lock:
                self._collect()
                waiting, options = self.subscriptions.waiting, self.options
                due = {number: each for number, each in waiting.items() if webhooks.is_due(each, now, options)}
            for number, each in sorted(due.items(), key=lambda item: (item[1].at, item[0])):
                lead = self._rendered(apply_accidents(self.accidents, each.lead, now))
                body = webhooks.wire_body(each, lead, self.shape, options)
                again, happened = webhooks.attempt(each, body, now, options)
                with self._lock:  # what is interrupted here waits, and is delivered again
                    told.update(happened)
                    self.webhook_outcomes.update(happened)
                    del waiting[number]
                    waiting |= {number: again} if again else {}
            return {**told, "waiting": len(waiting)}

    def state(self) -> dict[str, object]:
        """Return what the control page shows, as JSON."""
        with self._lock:
            return {
                "leads": sum(lead is not None for lead in self.leads().values()),
                "accidents": [accident_json(accident) for accident in self.accidents],
                "created": self.book.created_lead_records(),
                "documents": self.book.documents(),
                "subscriptions": [
                    {**each.subscription_json, "by": each.owner} for each in self.subscriptions.all.values()
                ],
                "webhooks": {**self.webhook_outcomes, "waiting": len(self.subscriptions.waiting)},
            }

    def dump(self) -> dict[str, object]:
        """Return the state as JSON."""
        with self._lock:
            return {
                **self.book.dump(),
                "taken": self._rate.dump(),
                "switches": dict(self.switches),
                "accidents": [accident_json(accident) for accident in self.accidents],
                "webhooks": {**self.subscriptions.dump(), "told": dict(self.webhook_outcomes)},
            }

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore what `dump` returned."""
        for name, value in state["switches"].items():
            self.set_switch(name, value)
        self.book.load(state)
        self._rate.load(state["taken"])
        self.accidents = from_json(list[SimulatedLeadAccident], state.get("accidents", []))
        if "webhooks" in state:  # a state from before there were any lacks them
            self.subscriptions.load(state["webhooks"])
            self.webhook_outcomes = Counter(state["webhooks"]["told"])

    # ── routes ───────────────────────────────────────────────────────────────────────────────────

    def _route(
        self, request: WireRequest, caller: CallerRole, shape: ApiShape, options: UndocumentedBehaviour
    ) -> WireResponse:
        if not request.path.startswith(f"{shape.path_prefix}/"):
            raise RefusedError(404, "no such page")
        routes, subject = self._endpoint(request.path.removeprefix(f"{shape.path_prefix}/"), shape, options)
        route = routes.get(request.method)
        if route is None:
            raise RefusedError(405, "this page has other methods", {"Allow": ", ".join(routes)})
        if not self._is_route_allowed(caller, route, options):
            raise RefusedError(403, "this key may not do that")
        query = {name: values for name, values in request.query.items() if name != KEY_PARAMETERS.get(shape.auth)}
        known = frozenset[str]()
        if route == self._list:
            known = known_parameters(shape)
        elif route in (self._subscribed, self._settings):
            shape = replace(shape, filters=False, ids="prefixed")
            known = known_parameters(shape)
        return route(AdmittedRequest(request, caller, parameters(query, known, shape), shape, options, subject))

    def _endpoint(self, path: str, shape: ApiShape, options: UndocumentedBehaviour) -> tuple[Mapping[str, Route], str]:
        """Return the routes of a path by method, and the id in it."""
        documents = ("document/add", "attachments") if options.document_path == "both" else (options.document_path,)
        match [unquote(part) for part in path.split("/")]:
            case ["leads"]:
                return {"GET": self._list, "POST": self._create}, ""
            case [folder, lead_id] if f"/{folder}" == shape.lead_path and lead_id:
                return {"GET": self._detail, options.update_verb: self._update}, lead_id
            case ["leads", lead_id, "status"] if lead_id:
                return {options.status_verb: self._set_status}, lead_id
            case ["leads", lead_id, *rest] if lead_id and "/".join(rest) in documents:
                return {"POST": self._attach}, lead_id
            case ["subscriptions"]:
                return {"GET": self._subscribed, "POST": self._subscribe}, ""
            case ["subscriptions", subscription_id] if subscription_id:
                return {"DELETE": self._unsubscribe}, subscription_id
            case ["settings", name] if name in SETTINGS:
                return {"GET": self._settings}, name
        raise RefusedError(404, "no such page")

    def _is_route_allowed(self, caller: CallerRole, route: Route, options: UndocumentedBehaviour) -> bool:
        """Return whether a caller may use a route; whether suppliers read their own leads is a switch."""
        sending = (self._create, self._subscribed, self._subscribe, self._unsubscribe, self._settings)
        reading = (self._list, self._detail) if options.supplier_reads == "own" else ()
        return caller is not CallerRole.SUPPLIER or route in (*sending, *reading)

    def _list(self, asked: AdmittedRequest) -> WireResponse:
        shape = asked.shape
        visible = {
            lead_id: lead
            for lead_id, lead in self.leads().items()
            if self._is_lead_visible(lead_id, lead, asked.caller)
        }
        page = page_of(visible, asked.query, shape)
        return _page(asked, replace(page, leads=[render_lead_in_list(lead, shape) for lead in page.leads]))

    def _detail(self, asked: AdmittedRequest) -> WireResponse:
        return json_response(200, render_lead(self._lead(asked)[1], asked.shape))

    def _create(self, asked: AdmittedRequest) -> WireResponse:
        parts = writes.requested_new_lead_fields(asked.request, asked.caller, asked.shape, asked.options)
        lead = self.create(parts, asked.caller)
        return json_response(201, render_lead(apply_accidents(self.accidents, lead, self._now()), asked.shape))

    def _update(self, asked: AdmittedRequest) -> WireResponse:
        with self._lock:
            lead_id, _ = self._find_editable_lead(asked)
            self._start_watching_leads()
            writes.update(self.book, lead_id, asked.request, asked.shape, asked.options)
        return self._detail(asked)

    def _set_status(self, asked: AdmittedRequest) -> WireResponse:
        with self._lock:
            lead_id, lead = self._find_editable_lead(asked)
            writes.set_status(self.book, lead_id, lead, asked.request, asked.options)
        return self._detail(asked)

    def _attach(self, asked: AdmittedRequest) -> WireResponse:
        lead_id, _ = self._find_editable_lead(asked)
        return json_response(201, writes.attach_document(self.book, lead_id, asked.request, asked.options))

    def _subscribed(self, asked: AdmittedRequest) -> WireResponse:
        with self._lock:
            listed = {
                each.id: each.subscription_json for each in self.subscriptions.subscriptions_of_caller(asked.caller)
            }
        return _page(asked, page_of(listed, asked.query, asked.shape))

    def _subscribe(self, asked: AdmittedRequest) -> WireResponse:
        with self._lock:
            self._start_watching_leads()
            self._collect()
            added = writes.subscribe(self.subscriptions, asked.request, asked.caller, asked.options)
        return json_response(201, added.subscription_json)

    def _unsubscribe(self, asked: AdmittedRequest) -> WireResponse:
        with self._lock:
            self._collect()
            writes.unsubscribe(self.subscriptions, asked.subject, asked.caller)
        return WireResponse(204)

    def _settings(self, asked: AdmittedRequest) -> WireResponse:
        listed = {str(each["identifier"]): each for each in SETTINGS[asked.subject]}
        return _page(asked, page_of(listed, asked.query, asked.shape))

    # ── leads ────────────────────────────────────────────────────────────────────────────────────

    def _rendered(self, lead: object) -> object:
        """Return a lead as a webhook shows it."""
        shown = render_lead(lead, self.shape)
        return self.recorded.leads.as_page(shown) if self.recorded else shown

    def _find_editable_lead(self, asked: AdmittedRequest) -> tuple[str, Fields]:
        """Return the id on record and the lead that a path names, if it can be changed."""
        lead_id, lead = self._lead(asked)
        if not isinstance(lead, Mapping):
            raise RefusedError(409, "this lead can no longer be changed")
        return lead_id, lead

    def _lead(self, asked: AdmittedRequest) -> tuple[str, object]:
        """Return the id on record and the lead that a path names."""
        created = self.book.get_created_lead(asked.subject) if asked.shape.ids == "prefixed" else None
        leads = {asked.subject: apply_accidents(self.accidents, created, self._now())} if created else self.leads()
        lead_id = _recorded_id(asked.subject, leads, asked.shape)
        lead = leads.get(lead_id) if lead_id else None
        if lead_id is None or not self._is_lead_visible(lead_id, lead, asked.caller):
            raise RefusedError(404, "no such lead")
        if lead is None:
            raise RefusedError(410, "this lead was deleted")
        return lead_id, lead

    def _is_lead_visible(self, lead_id: str, lead: object, caller: CallerRole) -> bool:
        return caller is CallerRole.ADMIN or caller.sees(lead, self.book.creator_of_lead(lead_id))

    def _all_stored_leads(self) -> dict[str, object]:
        return self.book.leads(with_appointments=self.options.appointments)

    def _start_watching_leads(self) -> None:
        """Begin to watch the leads, if nobody did."""
        self.subscriptions.start_watching_leads(self._all_stored_leads)

    def _collect(self) -> None:
        """Queue the webhooks of what has happened so far."""
        self.subscriptions.queue_new_webhook_events(self._all_stored_leads, self.book.creator_of_lead, self._now())


def _page(asked: AdmittedRequest, page: Page) -> WireResponse:
    """Return a page of a list as its answer."""
    url = f"http://{asked.request.headers.get('host', '')}{asked.request.path}"
    body, headers = page_body_and_headers(page, asked.query, asked.shape, url)
    return json_response(200, body, headers)


def _recorded_id(asked_id: str, leads: Mapping[str, object], shape: ApiShape) -> str | None:
    """Return the id on record that is served as this one."""
    if shape.ids == "prefixed":
        return asked_id if asked_id in leads else None
    return next((each for each in leads if str(wire_lead_id(each, shape.ids)) == asked_id), None)
