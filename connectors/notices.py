"""Messages to a human, by any of the services that apprise knows.

apprise neither raises where a message does not arrive nor where an address is wrong: it returns something falsy.
"""

import logging
from typing import TYPE_CHECKING

from connectors.bounded import bounded

if TYPE_CHECKING:
    from apprise import NotifyBase

LONGEST = 10.0  # seconds that one message to one address may take


def is_address(url: str) -> bool:
    """Whether apprise knows what to do with an address; nothing is sent."""
    return _service(url) is not None


class Notices:
    """The `Notifies` of one address."""

    def __init__(self, url: str) -> None:
        """Keep the address, a secret: most hold a token or a password."""
        self._url = url

    def tell(self, title: str, text: str) -> bool:
        """Send one message; whether it was taken."""
        try:
            return bounded(lambda: self._tell(title, text), LONGEST)
        except Exception:  # noqa: BLE001 - a hundred services' code: whatever breaks there, the night goes on
            return False

    def _tell(self, title: str, text: str) -> bool:
        from apprise import Apprise, NotifyFormat, NotifyType  # noqa: PLC0415

        service = _service(self._url)
        if service is None:
            return False
        apprise = Apprise(asset=service.asset)
        return apprise.add(service) and bool(
            apprise.notify(title=title, body=text, notify_type=NotifyType.WARNING, body_format=NotifyFormat.TEXT)
        )


def _service(url: str) -> "NotifyBase | None":
    # Loaded only where somebody is to be told: it brings a hundred services with it.
    from apprise import Apprise, AppriseAsset, PersistentStoreMode  # noqa: PLC0415

    # What it logs names addresses, and at DEBUG holds bodies; whether a message arrived is told by us.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    asset = AppriseAsset(
        async_mode=False,
        # No limit of its own: it would leave a thread behind that the process waits for at its end.
        service_timeout=0,
        storage_mode=PersistentStoreMode.MEMORY,
        pgp_autogen=False,
        pem_autogen=False,
    )
    return Apprise.instantiate(url, asset=asset)
