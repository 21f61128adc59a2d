"""The whole sandbox: every server on its own port, one clock, one state that can be saved, and its control API."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from string import Template
from threading import Event, Thread
from typing import Any, Self
from urllib.parse import unquote

from connectors.sandbox.clock import VirtualClock
from connectors.sandbox.google import oauth
from connectors.sandbox.google.ads_api.server import GoogleAdsServer, SandboxGoogleAdsApi, self_signed_certificate
from connectors.sandbox.google.data_manager import wire as data_manager_wire
from connectors.sandbox.google.data_manager.server import SandboxDataManager
from connectors.sandbox.google.oauth import OAuthServer
from connectors.sandbox.google.platform import SandboxGoogleState
from connectors.sandbox.meta import wire
from connectors.sandbox.meta.server import SandboxMetaApi
from connectors.sandbox.oplead import server as oplead_server
from connectors.sandbox.oplead.form import SandboxFormImport
from connectors.sandbox.oplead.leads.accidents import SimulatedLeadAccident
from connectors.sandbox.oplead.recorded.settings import settings_of_account
from connectors.sandbox.oplead.server import OpleadPlatform
from connectors.sandbox.oplead.shape import AXES
from connectors.sandbox.oplead.webhooks import PATIENCE_SECONDS
from connectors.sandbox.platform import Faults, PlannedFault, from_json
from connectors.sandbox.population.company import FIRST_NIGHT, InventedLeads
from connectors.sandbox.server import (
    Server,
    WireRequest,
    WireResponse,
    dispatch,
    generic_failure,
    refuse_cross_origin_requests,
)

STATE_FILE = "sandbox.json"
KEY_FILE = "service-account.json"
CERTIFICATE_FILE = "google-ads-certificate.pem"
DATASET = "1234567890"
"""The Meta dataset in the demo settings."""
_SETTINGS = Path(__file__).with_name("demo.yaml")
"""The demo settings: one invented company, with `$`-placeholders for this sandbox's addresses."""


_WRITE = """\
  write:
    fields:   # where a new lead's values go: where the leads there hold theirs
      email: contact.email
      phone: contact.phone
      first_name: contact.firstname
      last_name: contact.lastname
      postcode: address.postcode
      city: address.city
      country: address.country
"""
"""What the settings say of an Oplead whose leads nest their contact, unless its shape is to be found out."""
_PARTS = ("clock", "oplead", "oauth", "data_manager", "google_ads", "meta")
"""The stateful parts, in load order; the Data Manager's state includes what both Google APIs share."""


class Sandbox:
    """Oplead, Google's token endpoint and both its APIs, Meta, a clock and a control page, on loopback.

    with Sandbox(directory) as sandbox:
        sandbox.addresses["oplead"]
    """

    def __init__(self, directory: Path, population: InventedLeads | None = None, start: datetime = FIRST_NIGHT) -> None:
        """Bind every port, without serving yet.

        Args:
            directory: where the state and the throw-away service account key live; created if missing.
                A state found there is resumed, on the same ports if they are free.
            population: the invented leads and clicks; a resumed state needs the population it had.
            start: the clock's initial time, aware; a resumed state has its own.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory.resolve()
        self.clock = VirtualClock(start)
        self.faults = Faults()
        self.oauth = OAuthServer(
            oauth.read_key(self.key_file.read_text())
            if self.key_file.exists()
            else oauth.generate_service_account_key()
        )
        self.oplead = OpleadPlatform(self.clock.now, population.leads_including_deleted if population else lambda _: {})
        google = SandboxGoogleState()
        self.data_manager = SandboxDataManager(self.clock.now, self.oauth.authorised, google)
        self.google_ads = SandboxGoogleAdsApi(self.clock.now, self.oauth.scopes_of_token, google)
        self.oplead_form = SandboxFormImport(self.oplead)
        self.meta = SandboxMetaApi(self.clock.now)
        self.control = SandboxControlApi(self)
        self._certificate = self_signed_certificate()
        ports = self._resume()
        if population:
            self.data_manager.register_clicks(population.google_ad_clicks())
        self.servers = self._bind(ports)

    @property
    def sandbox_server_urls(self) -> dict[str, str]:
        """The URL of each server: clock, oplead(_form), oauth, data_manager, google_ads(_tls), meta, control."""
        return {name: server.url for name, server in self.servers.items()}

    @property
    def key_file(self) -> Path:
        """The path of the service account key that the token endpoint accepts."""
        return self.directory / KEY_FILE

    @property
    def certificate(self) -> Path:
        """The path of `google_ads_tls`'s CA certificate, for GRPC_DEFAULT_SSL_ROOTS_FILE_PATH; new at every start."""
        return self.directory / CERTIFICATE_FILE

    def start(self) -> None:
        """Write the key file and the certificate, and start every server."""
        _write(self.certificate, self._certificate.certificate.decode())
        _write(self.key_file, self.oauth.key_file_json(f"{self.sandbox_server_urls['oauth']}/token"))
        for server in self.servers.values():
            server.start()

    def stop(self) -> None:
        """Stop every server and save the state; idempotent."""
        for server in self.servers.values():
            server.stop()
        self.save_state()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @contextmanager
    def deliver_webhooks_periodically(self, every: float = 1.0) -> Iterator[None]:
        """Deliver webhooks as they fall due, looking every so many real seconds, while the block runs."""
        over = Event()

        def deliver() -> None:
            while not over.wait(every):
                self.oplead.deliver_webhooks()

        thread = Thread(target=deliver, name="sandbox-webhooks", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(PATIENCE_SECONDS)

    def save_state(self) -> None:
        """Write the state atomically."""
        state = {name: getattr(self, name).dump() for name in _PARTS}
        ports = {name: server.port for name, server in self.servers.items()}
        _write(self.directory / STATE_FILE, json.dumps({**state, "ports": ports}, ensure_ascii=False))

    def demo_settings(self, google_transport: str = "data_manager") -> str:
        """Return the demo settings for this sandbox; `google_transport` is data_manager or google_ads_api."""
        template = Template(_SETTINGS.read_text(encoding="utf-8"))
        write = _WRITE if self.oplead.shows_shape and self.oplead.shape.contact == "nested" else ""
        text = template.substitute(
            self.sandbox_server_urls, dataset=DATASET, google_transport=google_transport, write=write
        )
        return settings_of_account(text, self.oplead.recorded) if self.oplead.recorded else text

    def write_settings(self, directory: Path | None = None, *, google_transport: str = "data_manager") -> Path:
        """Write `pipeline.yaml` and `sandbox.env`, by default next to the state; return the path of `pipeline.yaml`."""
        directory = directory or self.directory
        directory.mkdir(parents=True, exist_ok=True)
        settings = directory / "pipeline.yaml"
        _write(settings, self.demo_settings(google_transport))
        variables = {
            "OPLEAD_TOKEN": oplead_server.ADMIN_KEY,
            "GOOGLE_ADS_KEY_FILE": self.key_file,
            "META_ACCESS_TOKEN": wire.TOKENS[DATASET],
        }
        _write(directory / "sandbox.env", "".join(f"{name}={value}\n" for name, value in variables.items()))
        return settings

    def _resume(self) -> Mapping[str, int]:
        """Load the saved state, if any, and return its ports."""
        file = self.directory / STATE_FILE
        if not file.exists():
            return {}
        state: dict[str, Any] = json.loads(file.read_text())
        for name in _PARTS:
            if name in state:  # a state saved before a platform was added lacks it
                getattr(self, name).load(state[name])
        ports: dict[str, int] = state["ports"]
        return ports

    def _bind(self, ports: Mapping[str, int]) -> dict[str, Server | GoogleAdsServer]:
        handlers = {
            "clock": (refuse_cross_origin_requests(self.clock.handle), generic_failure),
            "oplead": (self.oplead.handle, generic_failure),
            "oplead_form": (self.oplead_form.handle, generic_failure),
            "oauth": (self.oauth.handle, generic_failure),
            "data_manager": (self.data_manager.handle, data_manager_wire.server_failure_response),
            "meta": (self.meta.handle, wire.failed_response),
            "control": (refuse_cross_origin_requests(self.control.handle), generic_failure),
        }
        faults, now, closed = self.faults, self.clock.now, self.clock.unregister_client_connection
        served = {
            name: Server(name, handler, faults, now, closed=closed, failed=failed, port=ports.get(name, 0))
            for name, (handler, failed) in handlers.items()
        }
        called = {
            name: GoogleAdsServer(self.google_ads.handle, faults, now, certificate=certificate, port=ports.get(name, 0))
            for name, certificate in {"google_ads": None, "google_ads_tls": self._certificate}.items()
        }
        return {**served, **called}


def _write(file: Path, text: str) -> None:
    """Replace a file atomically, readable only by its owner."""
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)


FAULTY = frozenset({"oplead", "oplead_form", "oauth", "data_manager", "google_ads", "meta"})
"""The servers that accept planted faults, `google_ads` on both its ports; clock and control never fail."""
_PAGE = Path(__file__).with_name("page.html")


class SandboxControlApi:
    """The control API, with which a person or a test inspects and changes the sandbox, and its web page."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._switched = sandbox.oplead, sandbox.oauth, sandbox.data_manager, sandbox.google_ads, sandbox.meta

    def handle(self, request: WireRequest) -> WireResponse:
        """Answer one request to the control server."""
        sandbox = self._sandbox
        routes = {
            ("GET", ""): lambda _: WireResponse(200, _PAGE.read_bytes(), {"Content-Type": "text/html; charset=UTF-8"}),
            ("GET", "page.json"): lambda _: self._page(),
            ("GET", "state.json"): lambda _: self.state(),
            ("GET", "requests.json"): lambda _: {name: server.log.dump() for name, server in sandbox.servers.items()},
            ("POST", "faults"): lambda request: self._plant_fault(
                from_json(PlannedFault, _require_json_object(request))
            ),
            ("DELETE", "faults"): lambda _: sandbox.faults.clear(),
            ("POST", "switches"): lambda request: self._switch(_require_json_object(request)),
            ("POST", "accidents"): lambda request: sandbox.oplead.accidents.append(
                from_json(SimulatedLeadAccident, _require_json_object(request))
            ),
            ("DELETE", "accidents"): lambda _: sandbox.oplead.accidents.clear(),
            ("PUT", "leads"): lambda request: sandbox.oplead.put(_lead_id(request), _require_json_object(request)),
            ("DELETE", "leads"): lambda request: sandbox.oplead.delete_lead(_lead_id(request)),
            ("POST", "webhooks"): self._deliver,
            ("POST", "clicks"): lambda request: sandbox.data_manager.register_clicks(_require_json_object(request)),
            ("POST", "rulings"): lambda request: self._plant_rulings(_require_json_object(request)),
        }
        return dispatch(routes, request, request.path.removeprefix("/").partition("/")[0])

    def state(self) -> dict[str, object]:
        """Return the state of the whole sandbox as JSON."""
        sandbox = self._sandbox
        hidden = frozenset() if sandbox.oplead.shows_shape else AXES.keys()
        switches = {name: value for each in self._switched for name, value in each.switches.items()}
        return {
            "now": sandbox.clock.now().isoformat(),
            "addresses": sandbox.sandbox_server_urls,
            "requests": {name: server.log.count for name, server in sandbox.servers.items()},
            "faults": sandbox.faults.dump(),
            "switches": {name: value for name, value in switches.items() if name not in hidden},
            "oplead": sandbox.oplead.state(),
            "data_manager": sandbox.data_manager.state(),
            "google_ads": sandbox.google_ads.state(),
            "meta": sandbox.meta.state(),
        }

    def _page(self) -> dict[str, object]:
        """Return the state, the lead behind each conversion by conversion id, and the names of Google's actions."""
        sandbox = self._sandbox
        known_by = {
            **sandbox.data_manager.identifiers_by_conversion_id(),
            **sandbox.meta.identifiers_by_conversion_id(),
        }
        leads = lead_by_conversion_id(known_by, sandbox.oplead.leads())
        return {**self.state(), "leads": leads, "names": sandbox.data_manager.conversion_action_names()}

    def _deliver(self, request: WireRequest) -> object:
        if request.path != "/webhooks/deliver":
            raise ValueError("say what to do with the webhooks: /webhooks/deliver")
        return self._sandbox.oplead.deliver_webhooks()

    def _plant_fault(self, fault: PlannedFault) -> None:
        if fault.server not in FAULTY:
            raise ValueError(f"server is one of {', '.join(sorted(FAULTY))}")
        self._sandbox.faults.plant(fault)

    def _switch(self, positions: Mapping[str, object]) -> None:
        for name, value in positions.items():
            owner = next((each for each in self._switched if name in each.switches), None)
            if owner is None:
                raise ValueError(f"there is no switch {name!r}")
            owner.set_switch(name, value)

    def _plant_rulings(self, document: Mapping[str, object]) -> None:
        """Plant verdicts by key; those nested under a platform's name go to it, all others to the Data Manager.

        `{"sale-1": {…}, "google_ads": {"sale-2": {…}}, "meta": {"sale-3": {…}}}`; each platform takes all or none.
        """
        named = ("data_manager", "google_ads", "meta")
        self._sandbox.data_manager.plant_event_rulings(
            {key: each for key, each in document.items() if key not in named}
        )
        for name in named:
            rulings = document.get(name, {})
            if not isinstance(rulings, dict):
                raise ValueError(f"{name} holds rulings by key")  # noqa: TRY004 - one answer for every bad body
            getattr(self._sandbox, name).plant_event_rulings(rulings)


def _lead_id(request: WireRequest) -> str:
    lead_id = request.path.removeprefix("/leads").removeprefix("/")
    if not lead_id or "/" in lead_id:
        raise ValueError("name the lead: /leads/{id}")
    return unquote(lead_id)


def _require_json_object(request: WireRequest) -> dict[str, object]:
    document = request.json()
    if not isinstance(document, dict):
        raise ValueError("the body is a JSON object")  # noqa: TRY004 - one answer for every bad body
    return document


def lead_by_conversion_id(known_by: Mapping[str, Iterable[str]], leads: Mapping[str, object]) -> dict[str, str]:
    """Map each conversion id to the lead that shares a click id or hash with it; omit conversions without one."""
    by_mark = {mark: lead_id for lead_id, lead in leads.items() for mark in _lead_identifiers(lead)}
    behind = {}
    for key, ids in known_by.items():
        marks = (mark for each in ids for mark in (each, each.rpartition(".")[2]))  # for Meta's fb.1.TIME.CLICK
        if lead_id := next((by_mark[mark] for mark in marks if mark in by_mark), ""):
            behind[key] = lead_id
    return behind


def _lead_identifiers(document: object) -> Iterator[str]:
    """Yield what identifies a lead: every word in its text fields, and its e-mail addresses hashed."""
    match document:
        case str() if "@" in document:
            yield hashlib.sha256(document.strip().lower().encode()).hexdigest()
        case str() | int():
            yield from filter(None, re.split(r"[^A-Za-z0-9_-]+", str(document)))
        case dict():
            for value in document.values():
                yield from _lead_identifiers(value)
        case list():
            for value in document:
                yield from _lead_identifiers(value)
