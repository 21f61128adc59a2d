"""A dead man's switch: an address that raises the alarm when nobody asks for it any more.

https://healthchecks.io/docs/http_api/: the address itself says that all is well, `/fail` behind it that it is not.
"""

from urllib.parse import urlsplit, urlunsplit

import httpx

from connectors.bounded import bounded
from connectors.host_names import is_loopback

LONGEST = 10.0  # seconds


class Ping:
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
