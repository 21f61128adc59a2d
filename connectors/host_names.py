"""Whether a failure is that of a host name which does not exist: asking again in a minute cannot help."""

import socket

_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
"""Name servers that do not answer are EAI_AGAIN (https://man7.org/linux/man-pages/man3/getaddrinfo.3.html)."""


def is_unknown_host(error: BaseException) -> bool:
    """Whether a name server has said that there is no such host, however libraries have wrapped that."""
    found: list[BaseException] = [error]
    for one in found:
        if isinstance(one, socket.gaierror) and one.errno in _NO_SUCH_NAME:
            return True
        wrapped = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        found += [each for each in wrapped if isinstance(each, BaseException) and all(each is not old for old in found)]
    return False
