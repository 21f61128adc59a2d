"""A PostgreSQL database's address, in which all who read it must find the same password, and how to connect to it."""

from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from connectors.language import _

CONNECT_OPTIONS: Mapping[str, str | int] = {
    "connect_timeout": 10,
    # A server that is gone is noticed within a minute, whether it owes an answer or not; firewalls see some traffic.
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
    "application_name": "oplead-sync",
}
"""What each connection adds to the address."""
_SECRET_OPTIONS = {"password", "sslpassword"}


def split_database_address(url: str) -> SplitResult:
    """Return the parts of an address.

    Raises:
        ValueError: not everybody would see its password as one; the message shows nothing of it.
    """
    try:
        parts = urlsplit(url)
        options = {name.lower() for name, _value in parse_qsl(parts.query, keep_blank_values=True)}
    except ValueError:
        raise ValueError(_unclear()) from None
    if url.count("@") > parts.netloc.count("@") or parts.netloc.count("@") > 1 or parts.fragment:
        raise ValueError(_unclear())
    if options & _SECRET_OPTIONS:
        raise ValueError(
            _("its password must stand before the host, as postgresql://USER:PASSWORD@HOST/DATABASE, not in an option")
        )
    return parts


def passwords_in_address(url: str) -> set[str]:
    """Return an address's password, as it is written there and as it is meant; raises as `split_database_address`."""
    written = split_database_address(url).password
    return {written, unquote(written)} if written else set()


def _unclear() -> str:
    return _(
        "its user or password holds `@`, `/`, `?`, `#`, `[` or `]`: write them as `%40`, `%2F`, `%3F`, `%23`, `%5B` or "
        "`%5D`"
    )
