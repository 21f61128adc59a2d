"""The control API, with which a person or a test inspects and changes the sandbox, and its web page."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

from connectors.sandbox.google.ads_api.server import GoogleAdsApi, GoogleAdsServer
from connectors.sandbox.google.data_manager.server import DataManager
from connectors.sandbox.google.oauth import OAuth
from connectors.sandbox.meta.server import MetaPlatform
from connectors.sandbox.oplead.accidents import Accident, as_document
from connectors.sandbox.oplead.server import OpleadPlatform
from connectors.sandbox.oplead.shape import AXES
from connectors.sandbox.platform import Faults, PlannedFault, Platform, parsed
from connectors.sandbox.server import Server, WireRequest, WireResponse, dispatch

FAULTY = frozenset({"oplead", "oauth", "data_manager", "google_ads", "meta"})
"""The servers that accept planted faults, `google_ads` on both its ports; clock and control never fail."""
_PAGE = Path(__file__).with_name("page.html")


@dataclass(slots=True)
class Control:
    """The control API and its web page."""

    now: Callable[[], datetime]
    faults: Faults
    oplead: OpleadPlatform
    oauth: OAuth
    data_manager: DataManager
    google_ads: GoogleAdsApi
    meta: MetaPlatform
    servers: Mapping[str, Server | GoogleAdsServer] = field(default_factory=dict)
    """Every server of the sandbox by name; set once they are bound."""

    @property
    def _switched(self) -> tuple[OpleadPlatform | OAuth | Platform, ...]:
        return self.oplead, self.oauth, self.data_manager, self.google_ads, self.meta

    def handle(self, request: WireRequest) -> WireResponse:
        """Answer one request to the control server."""
        routes = {
            ("GET", ""): lambda _: WireResponse(200, _PAGE.read_bytes(), {"Content-Type": "text/html; charset=UTF-8"}),
            ("GET", "page.json"): lambda _: self._page(),
            ("GET", "state.json"): lambda _: self.state(),
            ("GET", "requests.json"): lambda _: {name: server.log.dump() for name, server in self.servers.items()},
            ("POST", "faults"): lambda request: self._plant_fault(parsed(PlannedFault, _object(request))),
            ("DELETE", "faults"): lambda _: self.faults.clear(),
            ("POST", "switches"): lambda request: self._switch(_object(request)),
            ("POST", "accidents"): lambda request: self.oplead.accidents.append(parsed(Accident, _object(request))),
            ("DELETE", "accidents"): lambda _: self.oplead.accidents.clear(),
            ("PUT", "leads"): lambda request: self.oplead.put(_lead_id(request), _object(request)),
            ("DELETE", "leads"): lambda request: self.oplead.delete(_lead_id(request)),
            ("POST", "clicks"): lambda request: self.data_manager.register_clicks(_object(request)),
            ("POST", "rulings"): lambda request: self._plant_rulings(_object(request)),
        }
        return dispatch(routes, request, request.path.removeprefix("/").partition("/")[0])

    def state(self) -> dict[str, object]:
        """Return the state of the whole sandbox as JSON."""
        hidden = frozenset() if self.oplead.shows_shape else AXES.keys()
        switches = {name: value for each in self._switched for name, value in each.switches.items()}
        return {
            "now": self.now().isoformat(),
            "addresses": {name: server.url for name, server in self.servers.items()},
            "requests": {name: server.log.count for name, server in self.servers.items()},
            "faults": self.faults.dump(),
            "switches": {name: value for name, value in switches.items() if name not in hidden},
            "oplead": {
                "leads": sum(lead is not None for lead in self.oplead.leads().values()),
                "accidents": [as_document(accident) for accident in self.oplead.accidents],
            },
            "data_manager": self.data_manager.state(),
            "google_ads": self.google_ads.state(),
            "meta": self.meta.state(),
        }

    def _page(self) -> dict[str, object]:
        """Return the state, the lead behind each conversion by conversion id, and the names of Google's actions."""
        known_by = {**self.data_manager.known_by(), **self.meta.known_by()}
        leads = leads_behind(known_by, self.oplead.leads())
        return {**self.state(), "leads": leads, "names": self.data_manager.names()}

    def _plant_fault(self, fault: PlannedFault) -> None:
        if fault.server not in FAULTY:
            raise ValueError(f"server is one of {', '.join(sorted(FAULTY))}")
        self.faults.plant(fault)

    def _switch(self, positions: Mapping[str, object]) -> None:
        for name, value in positions.items():
            owner = next((each for each in self._switched if name in each.switches), None)
            if owner is None:
                raise ValueError(f"there is no switch {name!r}")
            owner.switch(name, value)

    def _plant_rulings(self, document: Mapping[str, object]) -> None:
        """Plant verdicts by key; those nested under a platform's name go to it, all others to the Data Manager.

        `{"sale-1": {…}, "google_ads": {"sale-2": {…}}, "meta": {"sale-3": {…}}}`; each platform takes all or none.
        """
        named = {
            "data_manager": self.data_manager.plant_rulings,
            "google_ads": self.google_ads.plant_rulings,
            "meta": self.meta.plant_rulings,
        }
        self.data_manager.plant_rulings({key: each for key, each in document.items() if key not in named})
        for name, plant in named.items():
            rulings = document.get(name, {})
            if not isinstance(rulings, dict):
                raise ValueError(f"{name} holds rulings by key")  # noqa: TRY004 - one answer for every bad body
            plant(rulings)


def _lead_id(request: WireRequest) -> str:
    lead_id = request.path.removeprefix("/leads").removeprefix("/")
    if not lead_id or "/" in lead_id:
        raise ValueError("name the lead: /leads/{id}")
    return unquote(lead_id)


def _object(request: WireRequest) -> dict[str, object]:
    document = request.json()
    if not isinstance(document, dict):
        raise ValueError("the body is a JSON object")  # noqa: TRY004 - one answer for every bad body
    return document


def leads_behind(known_by: Mapping[str, Iterable[str]], leads: Mapping[str, object]) -> dict[str, str]:
    """Map each conversion id to the lead that shares a click id or hash with it; omit conversions without one."""
    by_mark = {mark: lead_id for lead_id, lead in leads.items() for mark in _marks(lead)}
    behind = {}
    for key, ids in known_by.items():
        marks = (mark for each in ids for mark in (each, each.rpartition(".")[2]))  # for Meta's fb.1.TIME.CLICK
        if lead_id := next((by_mark[mark] for mark in marks if mark in by_mark), ""):
            behind[key] = lead_id
    return behind


def _marks(document: object) -> Iterator[str]:
    """Yield what identifies a lead: every word in its text fields, and its e-mail addresses hashed."""
    match document:
        case str() if "@" in document:
            yield hashlib.sha256(document.strip().lower().encode()).hexdigest()
        case str() | int():
            yield from filter(None, re.split(r"[^A-Za-z0-9_-]+", str(document)))
        case dict():
            for value in document.values():
                yield from _marks(value)
        case list():
            for value in document:
                yield from _marks(value)
