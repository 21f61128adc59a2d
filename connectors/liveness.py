"""A service's heartbeat, for systemd by one datagram a beat, for anybody else by a file's age."""

import logging
import os
import socket
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

_log = logging.getLogger(__name__)
_SECOND_BEAT = timedelta(minutes=1)
"""How often a file is touched at least."""


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
        return min([*asked, _SECOND_BEAT] if self._health else asked, default=None)

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
