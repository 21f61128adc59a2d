"""The whole sandbox: every server on its own port, one clock, and one state that can be saved and resumed."""

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from string import Template
from typing import Any, Self

from connectors.sandbox.clock import VirtualClock
from connectors.sandbox.control import Control
from connectors.sandbox.google import oauth
from connectors.sandbox.google.ads_api.server import GoogleAdsApi, GoogleAdsServer, self_signed
from connectors.sandbox.google.data_manager import wire as data_manager_wire
from connectors.sandbox.google.data_manager.server import DataManager
from connectors.sandbox.google.oauth import OAuth
from connectors.sandbox.google.platform import GooglePlatform
from connectors.sandbox.meta import wire
from connectors.sandbox.meta.server import MetaPlatform
from connectors.sandbox.oplead import server as oplead_server
from connectors.sandbox.oplead.server import OpleadPlatform
from connectors.sandbox.platform import Faults
from connectors.sandbox.population.company import FIRST_NIGHT, Population
from connectors.sandbox.server import Server, generic_failure, own_page_only

STATE_FILE = "sandbox.json"
KEY_FILE = "service-account.json"
CERTIFICATE_FILE = "google-ads-certificate.pem"
DATASET = "1234567890"
"""The Meta dataset in the demo settings."""
_SETTINGS = Path(__file__).with_name("demo.yaml")
"""The demo settings: one invented company, with `$`-placeholders for this sandbox's addresses."""


_PARTS = ("clock", "oplead", "oauth", "data_manager", "google_ads", "meta")
"""The stateful parts, in load order; the Data Manager's state includes what both Google APIs share."""


class Sandbox:
    """Oplead, Google's token endpoint and both its APIs, Meta, a clock and a control page, on loopback.

    with Sandbox(directory) as sandbox:
        sandbox.addresses["oplead"]
    """

    def __init__(self, directory: Path, population: Population | None = None, start: datetime = FIRST_NIGHT) -> None:
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
        self.oauth = OAuth(_key(self.directory / KEY_FILE))
        self.oplead = OpleadPlatform(self.clock.now, population.records_at if population else lambda _: {})
        google = GooglePlatform()
        self.data_manager = DataManager(self.clock.now, self.oauth.authorised, google)
        self.google_ads = GoogleAdsApi(self.clock.now, self.oauth.scopes, google)
        self.meta = MetaPlatform(self.clock.now)
        self.control = Control(
            self.clock.now,
            self.faults,
            oplead=self.oplead,
            oauth=self.oauth,
            data_manager=self.data_manager,
            google_ads=self.google_ads,
            meta=self.meta,
        )
        self._certificate = self_signed()
        ports = self._resume()
        if population:
            self.data_manager.register_clicks(population.clicks())
        self._servers = self._bind(ports)
        self.control.servers = self._servers

    @property
    def addresses(self) -> dict[str, str]:
        """The URL of each server: clock, oplead, oauth, data_manager, google_ads(_tls) over gRPC, meta, control."""
        return {name: server.url for name, server in self._servers.items()}

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
        _write(self.key_file, self.oauth.key_file(f"{self.addresses['oauth']}/token"))
        for server in self._servers.values():
            server.start()

    def stop(self) -> None:
        """Stop every server and save the state; idempotent."""
        for server in self._servers.values():
            server.stop()
        self.save()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def save(self) -> None:
        """Write the state atomically."""
        state = {name: getattr(self, name).dump() for name in _PARTS}
        ports = {name: server.port for name, server in self._servers.items()}
        _write(self.directory / STATE_FILE, json.dumps({**state, "ports": ports}, ensure_ascii=False))

    def settings(self, google_transport: str = "data_manager") -> str:
        """Return the demo settings for this sandbox; `google_transport` is data_manager or google_ads_api."""
        template = Template(_SETTINGS.read_text(encoding="utf-8"))
        return template.substitute(self.addresses, dataset=DATASET, google_transport=google_transport)

    def write_settings(self, directory: Path | None = None, *, google_transport: str = "data_manager") -> Path:
        """Write `pipeline.yaml` and `sandbox.env`, by default next to the state; return the path of `pipeline.yaml`."""
        directory = directory or self.directory
        directory.mkdir(parents=True, exist_ok=True)
        settings = directory / "pipeline.yaml"
        _write(settings, self.settings(google_transport))
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
            "clock": own_page_only(self.clock.handle),
            "oplead": self.oplead.handle,
            "oauth": self.oauth.handle,
            "data_manager": self.data_manager.handle,
            "meta": self.meta.handle,
            "control": own_page_only(self.control.handle),
        }
        failures = {"data_manager": data_manager_wire.failed, "meta": wire.failed_response}
        certificates = {"google_ads": None, "google_ads_tls": self._certificate}
        served = {
            name: Server(
                name,
                handler,
                self.faults,
                self.clock.now,
                closed=self.clock.closed,
                failed=failures.get(name, generic_failure),
                port=ports.get(name, 0),
            )
            for name, handler in handlers.items()
        }
        called = {
            name: GoogleAdsServer(
                self.google_ads.handle, self.faults, self.clock.now, certificate=certificate, port=ports.get(name, 0)
            )
            for name, certificate in certificates.items()
        }
        return {**served, **called}


def _key(file: Path) -> oauth.Key:
    """Return the saved key, or a new one."""
    return oauth.read_key(file.read_text()) if file.exists() else oauth.new_key()


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
