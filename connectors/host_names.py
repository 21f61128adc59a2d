"""What a host's name tells: whether it is this machine, and whether there is no such host at all."""

import socket
from ipaddress import ip_address

from connectors.causes import causes

_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
"""Name servers that do not answer are EAI_AGAIN (https://man7.org/linux/man-pages/man3/getaddrinfo.3.html)."""


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: `localhost`, 127.0.0.0/8 or ::1, with or without brackets."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def is_unknown_host(error: BaseException) -> bool:
    """Whether a name server has said that there is no such host: asking again in a minute cannot help."""
    return any(isinstance(cause, socket.gaierror) and cause.errno in _NO_SUCH_NAME for cause in causes(error))
