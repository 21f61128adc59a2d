"""The hand on the sandbox: what a person or a test may look at, plant and change."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from urllib.parse import unquote

from connectors.sandbox.faults import Faults, parse_fault
from connectors.sandbox.google.ads_api.server import GoogleAdsApi
from connectors.sandbox.google.data_manager.server import DataManager
from connectors.sandbox.google.oauth import OAuth
from connectors.sandbox.meta.server import MetaPlatform
from connectors.sandbox.oplead.accidents import as_document, parse_accident
from connectors.sandbox.oplead.server import OpleadPlatform
from connectors.sandbox.oplead.shape import AXES
from connectors.sandbox.page import leads_behind, render
from connectors.sandbox.server import Log, WireRequest, WireResponse, json_response, no_page

_EVERY = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
"""Seconds after which the page may ask to be loaded again."""
FAULTY = frozenset({"oplead", "oauth", "data_manager", "google_ads", "meta"})
"""The servers that may fail, `google_ads` by both its ports; clock and control never do."""


class Switched(Protocol):
    """A platform with switches."""

    @property
    def switches(self) -> Mapping[str, object]:
        """Where each stands."""

    def switch(self, name: str, value: object) -> None:
        """Turn one; ValueError where it has no such position."""


class Serving(Protocol):
    """A server that can be looked at."""

    log: Log

    @property
    def url(self) -> str:
        """Its address."""


@dataclass(frozen=True, slots=True)
class Platforms:
    """Whatever the sandbox plays."""

    oplead: OpleadPlatform
    oauth: OAuth
    data_manager: DataManager
    google_ads: GoogleAdsApi
    meta: MetaPlatform


class Control:
    """The control API and the page over it."""

    def __init__(self, now: Callable[[], datetime], platforms: Platforms, faults: Faults) -> None:
        self.servers: Mapping[str, Serving] = {}
        """Every server of the sandbox by name, once they are bound."""
        self._now = now
        self._platforms = platforms
        self._faults = faults

    def handle(self, request: WireRequest) -> WireResponse:
        """Answer one request to the control server."""
        pages: dict[tuple[str, str], Callable[[WireRequest], WireResponse]] = {
            ("GET", ""): self._page,
            ("GET", "state.json"): lambda _: json_response(200, self.state()),
            ("GET", "requests.json"): self._requests,
            ("POST", "faults"): self._plant,
            ("DELETE", "faults"): self._clear,
            ("POST", "switches"): self._switch,
            ("POST", "accidents"): self._befall,
            ("DELETE", "accidents"): self._undo_accidents,
            ("PUT", "leads"): self._put_lead,
            ("DELETE", "leads"): self._delete_lead,
            ("POST", "clicks"): self._clicks,
            ("POST", "rulings"): self._rulings,
        }
        first = request.path.removeprefix("/").partition("/")[0]
        page = pages.get((request.method, first))
        if page is None:
            return no_page(pages, first)
        try:
            return page(request)
        except ValueError as error:
            return json_response(400, {"error": str(error)})

    def state(self) -> dict[str, object]:
        """Where the whole sandbox stands, as JSON."""
        leads = self._platforms.oplead.leads()
        return {
            "now": self._now().isoformat(),
            "addresses": {name: server.url for name, server in self.servers.items()},
            "requests": {name: server.log.count for name, server in self.servers.items()},
            "faults": self._faults.dump(),
            "switches": self._switches(),
            "oplead": {
                "leads": sum(lead is not None for lead in leads.values()),
                "accidents": [as_document(accident) for accident in self._platforms.oplead.accidents],
            },
            "data_manager": self._platforms.data_manager.state(),
            "google_ads": self._platforms.google_ads.state(),
            "meta": self._platforms.meta.state(),
        }

    def _switched(self) -> tuple[Switched, ...]:
        each = self._platforms
        return each.oplead, each.oauth, each.data_manager, each.google_ads, each.meta

    def _switches(self) -> dict[str, object]:
        """Where every switch stands that may be told."""
        untold = frozenset() if self._platforms.oplead.tells_shape else AXES.keys()
        told = {name: value for each in self._switched() for name, value in each.switches.items()}
        return {name: value for name, value in told.items() if name not in untold}

    def _page(self, request: WireRequest) -> WireResponse:
        each = self._platforms
        known_by = {**each.data_manager.known_by(), **each.meta.known_by()}
        every = request.query.get("every", ("",))[0]
        told = {
            **self.state(),
            "behind": leads_behind(known_by, each.oplead.leads()),
            "names": each.data_manager.names(),
            "every": int(every) if _EVERY.fullmatch(every) else 0,
        }
        return WireResponse(200, render(told).encode(), {"Content-Type": "text/html; charset=UTF-8"})

    def _requests(self, _: WireRequest) -> WireResponse:
        return json_response(200, {name: server.log.dump() for name, server in self.servers.items()})

    def _plant(self, request: WireRequest) -> WireResponse:
        self._faults.plant(parse_fault(_object(request), FAULTY))
        return WireResponse(204)

    def _clear(self, _: WireRequest) -> WireResponse:
        self._faults.clear()
        return WireResponse(204)

    def _switch(self, request: WireRequest) -> WireResponse:
        for name, value in _object(request).items():
            owner = next((each for each in self._switched() if name in each.switches), None)
            if owner is None:
                raise ValueError(f"there is no switch {name!r}")
            owner.switch(name, value)
        return WireResponse(204)

    def _befall(self, request: WireRequest) -> WireResponse:
        self._platforms.oplead.accidents += (parse_accident(_object(request)),)
        return WireResponse(204)

    def _undo_accidents(self, _: WireRequest) -> WireResponse:
        self._platforms.oplead.accidents = ()
        return WireResponse(204)

    def _put_lead(self, request: WireRequest) -> WireResponse:
        self._platforms.oplead.put(_lead_id(request), _object(request))
        return WireResponse(204)

    def _delete_lead(self, request: WireRequest) -> WireResponse:
        self._platforms.oplead.delete(_lead_id(request))
        return WireResponse(204)

    def _clicks(self, request: WireRequest) -> WireResponse:
        self._platforms.data_manager.register_clicks(_object(request))
        return WireResponse(204)

    def _rulings(self, request: WireRequest) -> WireResponse:
        """Plant verdicts by key; those under a platform's name are for it, all others for the Data Manager.

        `{"sale-1": {…}, "google_ads": {"sale-2": {…}}, "meta": {"sale-3": {…}}}`; each platform takes all or none.
        """
        named = {
            "data_manager": self._platforms.data_manager.plant_rulings,
            "google_ads": self._platforms.google_ads.plant_rulings,
            "meta": self._platforms.meta.plant_rulings,
        }
        document = _object(request)
        unnamed = {key: each for key, each in document.items() if key not in named}
        self._platforms.data_manager.plant_rulings(unnamed)
        for platform, plant in named.items():
            rulings = document.get(platform, {})
            if not isinstance(rulings, dict):
                raise ValueError(f"{platform} holds rulings by key")  # noqa: TRY004 - one answer for every bad body
            plant(rulings)
        return WireResponse(204)


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
