"""`oplead webhooks serve`: receives the webhooks of one or more accounts into their inboxes until asked to stop."""

import errno
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

import structlog

from connectors.crm import ReceivedEvent
from connectors.errors import Misconfigured
from connectors.language import N_, _
from jobs.exit_codes import CommandError, Exit
from jobs.settings.load import OpleadSection
from jobs.settings.oplead_schema import WebhookSettings
from jobs.webhooks.group_commit import GroupCommit
from jobs.webhooks.inbox import INBOX_ERRORS, Inbox, InboxLocation
from jobs.webhooks.receiver import (
    AddressSecret,
    HashedSecret,
    IncomingRateLimit,
    Receiver,
    SignatureScheme,
    WebhookEndpoint,
)
from jobs.webhooks.server import ServerLimits, serve
from jobs.wiring.oplead import webhook_body_parser

_A_MINUTE = 60.0
_LOOK_SECONDS = 5.0
"""Between two looks whether a database that was away at the start is back."""
_MOST_THREADS = 32  # a locked inbox must not hold up the others
_log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class WebhookAccount:
    """One account whose webhooks are received."""

    account: str
    settings: OpleadSection
    webhooks: WebhookSettings
    inbox: InboxLocation


class SignsOfLife(Protocol):
    """Tells a service manager how the receiver is doing."""

    def report_ready(self) -> None:
        """Report that webhooks are being received."""

    def beat(self) -> None:
        """Report that the receiver is alive."""

    def report_stopping(self) -> None:
        """Report that it is stopping."""


def receive_webhooks(
    accounts: Sequence[WebhookAccount],
    *,
    should_stop: Callable[[], bool],
    liveness: SignsOfLife,
    listening: Callable[[str], None],
) -> Mapping[str, object]:
    """Receive until `should_stop`, then return how many requests were taken and refused.

    Args:
        accounts: whose webhooks to receive; they share one address.
        should_stop: asked ten times a second.
        liveness: told that the receiver is ready, alive and stopping.
        listening: called with the address once webhooks are being received.

    Raises:
        CommandError: an inbox's database must be mended first, at the start or, within seconds, when it is back after
            it was away then; one that is only away is waited for.
        Misconfigured: the address or an inbox cannot be opened.
    """
    shared = accounts[0].webhooks
    limits = ServerLimits(shared.connections, shared.seconds)
    with ExitStack() as stack:
        listener = stack.enter_context(_listener(shared))
        # Closed after the threads that write to them.
        inboxes = [stack.enter_context(closing(_LateInbox(one))) for one in accounts]
        _open_inboxes(inboxes)
        threads = stack.enter_context(ThreadPoolExecutor(min(len(accounts), _MOST_THREADS) + 1, "inbox"))
        hooks = [
            _hook(one, GroupCommit(inbox.append_events, threads)) for one, inbox in zip(accounts, inboxes, strict=True)
        ]
        receiver = Receiver(hooks)
        pulse = _Pulse(receiver, limits, hooks, liveness)
        lookout = _Lookout(inboxes, threads)

        def started() -> None:
            listening(_address_of(listener))
            liveness.report_ready()

        def is_over() -> bool:
            lookout.look()
            return pulse.beat() or should_stop() or any(inbox.unusable for inbox in inboxes)

        serve(receiver.app, listener, limits, started=started, tick=is_over)
        lookout.end()
        liveness.report_stopping()
    pulse.log_counts()
    for inbox in inboxes:
        if inbox.unusable is not None:
            raise inbox.unusable
    return pulse.total


def _hook(one: WebhookAccount, inbox: GroupCommit) -> WebhookEndpoint:
    webhooks, signs = one.webhooks, one.webhooks.signature
    signature = None
    if signs is not None:
        key = signs.secret.get_secret_value().encode()
        signature = SignatureScheme(signs.header, key, signs.algorithm, signs.encoding, signs.prefix)
    return WebhookEndpoint(
        account=one.account,
        secret=HashedSecret(webhooks.secret.get_secret_value()),
        header=webhooks.secret_header,
        signature=signature,
        largest=webhooks.largest_kb * 1024,
        rate=IncomingRateLimit(webhooks.per_minute),
        parse=webhook_body_parser(one.settings, webhooks),
        inbox=inbox,
        others=tuple(_other_secrets(webhooks)),
    )


def _other_secrets(webhooks: WebhookSettings) -> Iterator[AddressSecret]:
    if webhooks.provider_secret is not None:
        yield AddressSecret(HashedSecret(webhooks.provider_secret.get_secret_value()))
    for former in webhooks.accept_former:
        yield AddressSecret(HashedSecret(former.secret.get_secret_value()), former.until)


class _LateInbox:
    """An account's inbox, which is opened later if its database was away; events come in one thread at a time."""

    def __init__(self, one: WebhookAccount) -> None:
        self.location = one.inbox
        self._opening = threading.Lock()
        self._inbox: Inbox | None = None
        self.unusable: CommandError | None = None
        """Why it cannot be opened until somebody mends its database."""

    @property
    def is_open(self) -> bool:
        """Whether it has been opened."""
        return self._inbox is not None

    def open(self) -> Inbox:
        """Open the inbox, unless it is open."""
        with self._opening:
            if self._inbox is None:
                try:
                    self._inbox = self.location.open_inbox_for_writing()
                except CommandError as error:
                    if error.exit_code is not Exit.HELD:
                        self.unusable = error
                    raise
            return self._inbox

    def append_events(self, events: Sequence[ReceivedEvent]) -> int:
        """Add events as an open inbox does."""
        return self.open().append_events(events)

    def close(self) -> None:
        """Close the inbox if it is open."""
        if self._inbox is not None:
            self._inbox.close()


def _open_inboxes(inboxes: Sequence[_LateInbox]) -> None:
    """Open what can be opened now; what is in a database that is away is refused until that answers.

    Raises:
        CommandError: a database must be mended first.
        Misconfigured: a file cannot be written.
    """
    away: set[str] = set()
    for inbox in inboxes:
        place = str(inbox.location)
        if place in away:  # each of its accounts would wait for it as long
            continue
        try:
            inbox.open()
        except CommandError as error:
            if error.exit_code is not Exit.HELD:
                raise
            away.add(place)
            _log.warning("the inbox's database is away; senders are told to try again until it answers", why=str(error))
        except INBOX_ERRORS as error:
            raise Misconfigured(
                _("webhooks.inbox: {file} cannot be written ({error})", file=place, error=error)
            ) from None


class _Lookout:
    """Looks now and then for the databases that were away at the start: no event may come for a long time."""

    def __init__(self, inboxes: Sequence[_LateInbox], threads: Executor) -> None:
        self._inboxes = inboxes
        self._threads = threads
        self._look_at = time.monotonic() + _LOOK_SECONDS
        self._under_way: Future[None] | None = None
        self._is_over = threading.Event()

    def end(self) -> None:
        """Have a look that is under way try no further database."""
        self._is_over.set()

    def look(self) -> None:
        """Start a look if one is due; waits for nothing."""
        if time.monotonic() < self._look_at or (self._under_way is not None and not self._under_way.done()):
            return
        self._look_at = time.monotonic() + _LOOK_SECONDS
        if late := [inbox for inbox in self._inboxes if not inbox.is_open]:
            self._under_way = self._threads.submit(_try_to_open, late, self._is_over)


def _try_to_open(late: Sequence[_LateInbox], is_over: threading.Event) -> None:
    for inbox in late:
        with suppress(CommandError, *INBOX_ERRORS):
            inbox.open()
        if is_over.is_set() or inbox.unusable:
            return


def _listener(shared: WebhookSettings) -> socket.socket:
    host, _colon, port = shared.listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=shared.connections)
    except (OSError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            said = N_("webhooks.listen: {address} is in use already: is another receiver running?")
        else:
            said = N_("webhooks.listen: cannot listen at {address} ({error})")
        raise Misconfigured(_(said, address=shared.listen, error=error)) from None


def _address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Pulse:
    """Gives signs of life while the receiver runs, and logs a line of counts every minute."""

    def __init__(
        self, receiver: Receiver, limits: ServerLimits, hooks: Sequence[WebhookEndpoint], liveness: SignsOfLife
    ) -> None:
        self._receiver = receiver
        self._limits = limits
        self._hooks = hooks
        self._liveness = liveness
        self._beat_at = self._logged_at = time.monotonic()
        self._logged: Counter[HTTPStatus] = Counter()

    def beat(self) -> bool:
        """Do what is due; return False, as none of it is a reason to stop."""
        now = time.monotonic()
        if now - self._beat_at >= 1:
            self._beat_at = now
            self._liveness.beat()
        if now - self._logged_at >= _A_MINUTE:
            self._logged_at = now
            self.log_counts()
        return False

    def log_counts(self) -> None:
        """Log what was answered since the last time, if anything was."""
        answered = self._answered
        if since := answered - self._logged:
            self._logged = answered
            _log.info("webhooks answered", **_counts(since))

    @property
    def total(self) -> Mapping[str, object]:
        """What was answered in all, and how many events were new."""
        return {**_counts(self._answered), "new_events": sum(hook.inbox.new for hook in self._hooks)}

    @property
    def _answered(self) -> Counter[HTTPStatus]:
        return self._receiver.answered + self._limits.refused


def _counts(answered: Counter[HTTPStatus]) -> dict[str, object]:
    refused = {str(int(status)): count for status, count in sorted(answered.items()) if status != HTTPStatus.NO_CONTENT}
    return {"taken": answered[HTTPStatus.NO_CONTENT], "refused": refused}
