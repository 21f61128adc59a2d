"""The receiver: checks who sends and how much, and acknowledges an event only once it is durable."""

import hmac
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Literal

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router

from connectors.crm import ReceivedEvent
from jobs.rules.webhook_structures import settings_line, shown_fields
from jobs.webhooks.group_commit import CommitQueueFullError, GroupCommit
from jobs.webhooks.inbox import INBOX_ERRORS

_A_MINUTE = 60
_MEMORY = 64 * 1024 * 1024  # bytes, for all bodies being read at once
_LARGE = 16 * 1024  # bytes of a body that is parsed on another thread
_MOST_STRUCTURES = 200  # logged, each once
_HEADERS = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Secret"},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": str(_A_MINUTE)},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "10"},
}
_log = structlog.stdlib.get_logger()


@dataclass(frozen=True, slots=True)
class SignatureScheme:
    """How a sender signs: an HMAC over the raw body."""

    header: str
    key: bytes = field(repr=False)
    algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""

    def is_valid_signature(self, body: bytes | bytearray, given: str) -> bool:
        """Whether a header's value is this body's signature."""
        made = hmac.new(self.key, body, self.algorithm)
        if self.encoding == "hex":
            expected, given = f"{self.prefix}{made.hexdigest()}".lower(), given.lower()
        else:
            expected = f"{self.prefix}{b64encode(made.digest()).decode()}"
        return hmac.compare_digest(expected.encode(), given.encode())


class HashedSecret:
    """A secret, kept as its SHA-256, so that comparing it reveals neither its content nor its length."""

    def __init__(self, text: str) -> None:
        """Keep the text's hash."""
        self._digest = sha256(text.encode()).digest()

    def is_same_secret(self, given: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self._digest, sha256(given.encode()).digest())


@dataclass(frozen=True, slots=True)
class AddressSecret:
    """A secret beside the subscriptions' own, in addresses that leads were created with."""

    secret: HashedSecret
    until: date = date.max
    """The last day on which it is accepted, by UTC."""

    def is_accepted(self, given: str, today: date) -> bool:
        """Compare in constant time, whatever the day."""
        return self.secret.is_same_secret(given) and today <= self.until


class IncomingRateLimit:
    """A limit on how many events an account takes per minute; a request counts as one until its events are known."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Allow `per_minute` events in each minute of `clock`, which counts seconds."""
        self._per_minute = per_minute
        self._clock = clock
        self._minute = -1
        self._count = 0

    def allows_one_more(self) -> bool:
        """Count one, and return whether it is still within the limit."""
        minute = int(self._clock() // _A_MINUTE)
        if minute != self._minute:
            self._minute, self._count = minute, 0
        self._count += 1
        return self._count <= self._per_minute

    def count_more(self, count: int) -> None:
        """Count events that came with one that was allowed; the next request meets the limit, if there are too many."""
        self._count += count


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """One account's webhook endpoint."""

    account: str
    secret: HashedSecret
    header: str | None
    """The header that carries the secret; if None, the path ends in it."""
    signature: SignatureScheme | None
    largest: int
    """The largest body to take, in bytes."""
    rate: IncomingRateLimit
    parse: Callable[[bytes], Sequence[ReceivedEvent]]
    """Parses a body received just now; raises ValueError if it is not a webhook."""
    inbox: GroupCommit
    others: tuple[AddressSecret, ...] = ()
    """What an address may end in instead, whatever carries the secret; a former secret may also stand in the header."""

    def has_matching_secret(self, request: Request) -> bool:
        """Whether a request carries this account's secret."""
        in_address = request.path_params.get("secret", "")
        given = in_address if self.header is None else request.headers.get(self.header, "")
        today = datetime.now(UTC).date()
        # Always all of them: the time taken must not reveal which one matched.
        return any(
            [self.secret.is_same_secret(given), *(one.is_accepted(in_address or given, today) for one in self.others)]
        )


class Receiver:
    """The ASGI application for all accounts; it counts its answers by status."""

    def __init__(self, hooks: Iterable[WebhookEndpoint]) -> None:
        """Receive the webhooks of these accounts."""
        self._hooks = tuple(hooks)
        self._bytes_held = 0
        self._structures: set[str] = set()
        self._failures = IncomingRateLimit(1)
        self.answered: Counter[HTTPStatus] = Counter()
        self.app = Router(
            [
                Route("/hooks", self._answer, methods=["POST"]),
                Route("/hooks/{secret}", self._answer, methods=["POST"]),
                Route("/health", _health, methods=["GET"]),
            ],
            redirect_slashes=False,  # a redirect would repeat the secret
        )

    async def _answer(self, request: Request) -> Response:
        body = bytearray()
        try:
            status = await self._process_webhook(request, body)
        except ClientDisconnect:
            status = HTTPStatus.REQUEST_TIMEOUT  # only counted: the sender is gone
        finally:
            self._bytes_held -= len(body)
        self.answered[status] += 1
        return Response(status_code=status, headers=_HEADERS.get(status))

    async def _process_webhook(self, request: Request, body: bytearray) -> HTTPStatus:
        hook = self._hook_for(request)
        if hook is None:
            return HTTPStatus.UNAUTHORIZED
        if not hook.rate.allows_one_more():
            return HTTPStatus.TOO_MANY_REQUESTS
        if request.headers.get("content-encoding", "identity") != "identity":
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        if problem := await self._read(request, hook.largest, body):
            return problem
        if hook.signature and not hook.signature.is_valid_signature(
            body, request.headers.get(hook.signature.header, "")
        ):
            return HTTPStatus.UNAUTHORIZED
        try:
            events = await _parsed(hook, bytes(body))
        except ValueError:
            return HTTPStatus.BAD_REQUEST
        hook.rate.count_more(len(events) - 1)
        return await self._store(hook, events)

    def _hook_for(self, request: Request) -> WebhookEndpoint | None:
        found = None
        for hook in self._hooks:  # always all of them: the time taken must not reveal which one matched
            if hook.has_matching_secret(request):
                found = hook
        return found

    async def _read(self, request: Request, largest: int, body: bytearray) -> HTTPStatus | None:
        """Read the body; return the status to refuse it with, or None if it can be taken."""
        if "content-length" in request.headers and "transfer-encoding" in request.headers:
            return HTTPStatus.BAD_REQUEST  # a proxy may read another end of the body than we do
        declared = request.headers.get("content-length", "0")
        if not declared.isdecimal() or int(declared) > largest:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        async for chunk in request.stream():
            if len(body) + len(chunk) > largest:
                return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            if self._bytes_held + len(chunk) > _MEMORY:
                return HTTPStatus.SERVICE_UNAVAILABLE
            self._bytes_held += len(chunk)
            body += chunk
        return None

    async def _store(self, hook: WebhookEndpoint, events: Sequence[ReceivedEvent]) -> HTTPStatus:
        try:
            await hook.inbox.add(events)
        except (CommitQueueFullError, *INBOX_ERRORS) as error:
            if self._failures.allows_one_more():  # once a minute, or each request would repeat it
                why = str(error) or "too many events are waiting for the disk"
                _log.error("events cannot be stored; the sender is told to try again", account=hook.account, why=why)
            return HTTPStatus.SERVICE_UNAVAILABLE
        except Exception as error:  # noqa: BLE001 - a bug must neither lose the event nor reveal its content
            if self._failures.allows_one_more():
                _log.error(
                    "events cannot be stored because of a bug; the sender is told to try again",
                    account=hook.account,
                    why=type(error).__name__,
                )
            return HTTPStatus.SERVICE_UNAVAILABLE
        for each in events:
            self._log_unknown(hook.account, each)
        return HTTPStatus.NO_CONTENT

    def _log_unknown(self, account: str, received: ReceivedEvent) -> None:
        structure = received.event.structure
        is_known = received.event.kind is not None or structure in self._structures
        if not is_known and len(self._structures) < _MOST_STRUCTURES:
            self._structures.add(structure)
            _log.warning(
                "an event was not understood; below `webhooks:` in the settings, name its fields"
                if (line := settings_line([structure]))
                else "an event was not understood: no setting can read a lead in a list within another object",
                account=account,
                holds=", ".join(shown_fields([structure])),
                settings=line,
            )


async def _parsed(hook: WebhookEndpoint, body: bytes) -> Sequence[ReceivedEvent]:
    """Parse a body; a large one on another thread, so that no other request waits for it."""
    return await run_in_threadpool(hook.parse, body) if len(body) > _LARGE else hook.parse(body)


async def _health(_request: Request) -> Response:
    return Response("ok", media_type="text/plain")
