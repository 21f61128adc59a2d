"""Sends messages to people through apprise, and pings a dead man's switch."""

import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import httpx

from connectors.http import bounded, is_loopback

if TYPE_CHECKING:
    from apprise import NotifyBase

LONGEST = 10.0  # seconds that one message to one address may take


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
