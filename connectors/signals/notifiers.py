"""Notices through apprise, and pings to a dead man's switch."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import httpx

from connectors.http import is_loopback, run_with_timeout
from connectors.records import NoticeOutcome, NoticeResult

if TYPE_CHECKING:
    from apprise import Apprise

LONGEST = 10.0  # seconds per message or ping


def is_notification_address(url: str) -> bool:
    """Return whether apprise recognises an address, without sending anything."""
    return bool(_apprise(url))


class AppriseNotifier:
    """`Notifies` for one apprise address."""

    def __init__(self, url: str) -> None:
        """Keep the address, which is a secret: most contain a token or password."""
        self._url = url

    def send_message(self, title: str, text: str, *, urgent: bool = True, page: Path | None = None) -> bool:
        """Send one message, with a page attached if given, and return whether it was accepted."""
        try:
            return run_with_timeout(lambda: _send(_apprise(self._url), title, text, urgent=urgent, page=page), LONGEST)
        except Exception:  # noqa: BLE001 - runs the code of a hundred services; no failure there may end the night
            return False

    def try_to_send(self, title: str, text: str, *, page: Path | None = None) -> NoticeResult:
        """Do the same as `send` for a message that is not urgent, and return what happened; one at a time."""
        try:
            return run_with_timeout(lambda: self._try_to_send(title, text, page), LONGEST)
        except TimeoutError:
            return NoticeResult(NoticeOutcome.NO_ANSWER)
        except Exception:  # noqa: BLE001 - as above
            return NoticeResult(NoticeOutcome.REFUSED)

    def _try_to_send(self, title: str, text: str, page: Path | None) -> NoticeResult:
        sender = _apprise(self._url)
        with _overheard() as lines:
            if _send(sender, title, text, urgent=False, page=page):
                return NoticeResult(NoticeOutcome.ACCEPTED)
        statuses = [found.group(1) for line in lines if (found := _STATUS.search(line))]
        if statuses:
            return NoticeResult(NoticeOutcome.REFUSED, int(statuses[-1]))
        failed = any("onnection error" in line for line in lines)
        return NoticeResult(NoticeOutcome.UNREACHABLE if failed else NoticeOutcome.REFUSED)


def _send(sender: "Apprise", title: str, text: str, *, urgent: bool, page: Path | None) -> bool:
    # The values of NotifyType and NotifyFormat.TEXT.
    kind = "warning" if urgent else "info"
    attached = None if page is None else str(page)
    return bool(sender.notify(title=title, body=text, notify_type=kind, body_format="text", attach=attached))


def is_mailbox(url: str) -> bool:
    """Return whether an address is a mailbox, which can hold a file."""
    return urlsplit(url).scheme.lower() in ("mailto", "mailtos")


def service_name(url: str) -> str:
    """Return the name of the service at an address, which reveals nothing of the address."""
    return ", ".join(str(service.service_name) for service in _apprise(url))


_STATUS = re.compile(r"\berror=(\d{3})\b")
_SILENT = logging.CRITICAL + 1


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """Collect what apprise logs in the block, for its causes alone: the lines hold addresses and are shown nowhere."""
    lines: list[str] = []

    class Keep(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            lines.append(record.getMessage())
            return False

    logger, keep = logging.getLogger("apprise"), Keep()
    logger.addFilter(keep)
    logger.setLevel(logging.WARNING)
    try:
        yield lines
    finally:
        logger.setLevel(_SILENT)
        logger.removeFilter(keep)


def _apprise(url: str) -> "Apprise":
    """Return apprise with the service at an address, or with none if it does not recognise the address."""
    # apprise logs addresses, and bodies at DEBUG, from the moment it is imported.
    logging.getLogger("apprise").setLevel(_SILENT)
    # Imported only when needed: it loads a hundred services.
    from apprise import Apprise, AppriseAsset, PersistentStoreMode  # noqa: PLC0415

    asset = AppriseAsset(
        async_mode=False,
        # apprise's own timeout would leave behind a thread that the process waits for on exit.
        service_timeout=0,
        storage_mode=PersistentStoreMode.MEMORY,
        pgp_autogen=False,
        pem_autogen=False,
    )
    return Apprise([url], asset=asset)


class HttpDeadMansSwitch:
    """`DeadMansSwitchPinger` for one address."""

    def __init__(self, url: str) -> None:
        """Keep the address, which is a secret: anyone who has it can report success."""
        self._url = url

    def ping(self, *, failed: bool) -> bool:
        """GET the address once, or its `/fail` path, and return whether the ping was accepted."""
        parts = urlsplit(self._url)
        path = f"{parts.path.rstrip('/')}/fail" if failed else parts.path
        try:
            return run_with_timeout(lambda: _is_ping_accepted(urlunsplit(parts._replace(path=path))), LONGEST)
        except Exception:  # noqa: BLE001 - a failed ping must not change the night's result
            return False


def _is_ping_accepted(url: str) -> bool:
    # Stream, so that the body is never read.
    with (
        httpx.Client(timeout=LONGEST, trust_env=not is_loopback(httpx.URL(url).host)) as client,
        client.stream("GET", url) as response,
    ):
        return response.is_success
