"""What whoever watches gets: messages through apprise, pings of a dead man's switch, and a service's heartbeat."""

import logging
import os
import socket
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import httpx

from connectors.http import bounded, is_loopback

if TYPE_CHECKING:
    from apprise import NotifyBase

LONGEST = 10.0  # seconds that one message to one address may take
_HEALTH_BEAT = timedelta(minutes=1)
"""How often a health file is touched at least."""
_log = logging.getLogger(__name__)


def is_address(url: str) -> bool:
    """Whether apprise knows what to do with an address; nothing is sent."""
    return _service(url) is not None


class AppriseNotifier:
    """The `Notifies` of one address."""

    def __init__(self, url: str) -> None:
        """Keep the address, a secret: most hold a token or a password."""
        self._url = url

    def send(self, title: str, text: str) -> bool:
        """Send one message; whether it was taken."""
        try:
            return bounded(lambda: self._send(title, text), LONGEST)
        except Exception:  # noqa: BLE001 - a hundred services' code: whatever breaks there, the night goes on
            return False

    def _send(self, title: str, text: str) -> bool:
        service = _service(self._url)
        if service is None:
            return False
        from apprise import Apprise, NotifyFormat, NotifyType  # noqa: PLC0415

        apprise = Apprise(asset=service.asset)
        return apprise.add(service) and bool(
            apprise.notify(title=title, body=text, notify_type=NotifyType.WARNING, body_format=NotifyFormat.TEXT)
        )


def _service(url: str) -> "NotifyBase | None":
    # What it logs names addresses, and at DEBUG holds bodies; it logs as soon as it is loaded.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    # Loaded only where somebody is notified: it brings a hundred services with it.
    from apprise import Apprise, AppriseAsset, PersistentStoreMode  # noqa: PLC0415

    asset = AppriseAsset(
        async_mode=False,
        # No limit of its own: it would leave a thread behind that the process waits for at its end.
        service_timeout=0,
        storage_mode=PersistentStoreMode.MEMORY,
        pgp_autogen=False,
        pem_autogen=False,
    )
    return Apprise.instantiate(url, asset=asset)


class DeadMansSwitch:
    """The `Pings` of one address."""

    def __init__(self, url: str) -> None:
        """Keep the address, a secret: whoever knows it can say that all is well."""
        self._url = url

    def ping(self, *, failed: bool) -> bool:
        """Ask for the address once, or for its `/fail`; whether that was taken."""
        parts = urlsplit(self._url)
        path = f"{parts.path.rstrip('/')}/fail" if failed else parts.path
        try:
            return bounded(lambda: _is_taken(urlunsplit(parts._replace(path=path))), LONGEST)
        except Exception:  # noqa: BLE001 - whatever breaks here, the night has ended as it has
            return False


def _is_taken(url: str) -> bool:
    # What is answered is not read: only whether it was.
    with (
        httpx.Client(timeout=LONGEST, trust_env=not is_loopback(httpx.URL(url).host)) as client,
        client.stream("GET", url) as response,
    ):
        return response.is_success


class Liveness:
    """A service's signs of life, where anybody asks for them.

    Nothing here can fail the service: what cannot be sent is logged once.
    """

    def __init__(self, health: Path | None = None, environ: Mapping[str, str] = os.environ) -> None:
        """Send nothing yet.

        Args:
            health: a file whose age says when the service was last alive; made where it is missing, never written to.
            environ: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, as
                https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html has them.
        """
        self._health = health
        self._socket = environ.get("NOTIFY_SOCKET")
        self._watchdog = _watchdog(environ) if self._socket else None
        self._has_failed = False

    @property
    def every(self) -> timedelta | None:
        """How often somebody wants to hear of it; None where nobody does."""
        asked = [self._watchdog / 2] if self._watchdog else []
        return min([*asked, _HEALTH_BEAT] if self._health else asked, default=None)

    def ready(self) -> None:
        """The service has begun."""
        self._notify("READY=1")

    def beat(self) -> None:
        """The service lives."""
        if self._watchdog:
            self._notify("WATCHDOG=1")
        if self._health is not None:
            try:
                self._health.touch(mode=0o600)
            except OSError as error:
                self._warn(str(self._health), error)

    def stopping(self) -> None:
        """The service is about to end."""
        self._notify("STOPPING=1")

    def _notify(self, state: str) -> None:
        if not self._socket:
            return
        # An address of the abstract kind begins with @ in the environment, and with a zero byte on the wire.
        address = "\0" + self._socket[1:] if self._socket.startswith("@") else self._socket
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(state.encode(), address)
        except OSError as error:
            self._warn("NOTIFY_SOCKET", error)

    def _warn(self, what: str, error: OSError) -> None:
        if not self._has_failed:
            self._has_failed = True
            _log.warning("%s: no sign of life can be given there (%s)", what, error.strerror or error)


def _watchdog(environ: Mapping[str, str]) -> timedelta | None:
    """Within which time systemd wants a sign of this very process; None where it wants none."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    asked = environ.get("WATCHDOG_USEC", "")
    return timedelta(microseconds=int(asked)) if asked.isdecimal() and int(asked) > 0 else None
