"""Signs of life of a service: to systemd, and through a health file."""

import logging
import os
import socket
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

_HEALTH_BEAT = timedelta(minutes=1)
"""Longest interval between touches of the health file."""
_log = logging.getLogger(__name__)


class LivenessReporter:
    """Reports that the service is alive to systemd and through a health file.

    Never raises: the first failure is logged, later ones are ignored.
    """

    def __init__(self, health: Path | None = None, environ: Mapping[str, str] = os.environ) -> None:
        """Send nothing yet.

        Args:
            health: file whose mtime shows when the service was last alive; created if missing, never written to.
            environ: source of NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; see
                https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html.
        """
        self._health = health
        self._socket = environ.get("NOTIFY_SOCKET")
        self._watchdog = _watchdog(environ) if self._socket else None
        self._has_failed = False

    @property
    def heartbeat_interval(self) -> timedelta | None:
        """Interval at which to call `beat`; None if nothing is listening."""
        asked = [self._watchdog / 2] if self._watchdog else []
        return min([*asked, _HEALTH_BEAT] if self._health else asked, default=None)

    def report_ready(self) -> None:
        """Report that the service has started."""
        self._notify("READY=1")

    def beat(self) -> None:
        """Report that the service is alive."""
        if self._watchdog:
            self._notify("WATCHDOG=1")
        if self._health is not None:
            try:
                self._health.touch(mode=0o600)
            except OSError as error:
                self._warn(str(self._health), error)

    def report_stopping(self) -> None:
        """Report that the service is shutting down."""
        self._notify("STOPPING=1")

    def _notify(self, state: str) -> None:
        if not self._socket:
            return
        # Abstract socket addresses start with @ in the environment and with a NUL byte in the socket API.
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
    """Return systemd's watchdog timeout for this process; None if it has none."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    asked = environ.get("WATCHDOG_USEC", "")
    return timedelta(microseconds=int(asked)) if asked.isdecimal() and int(asked) > 0 else None
