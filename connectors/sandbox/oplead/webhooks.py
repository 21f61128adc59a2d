"""Delivering webhooks: their bodies, their signature, and one POST after another to addresses on this machine."""

import base64
import hmac
import http.client
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from connectors.sandbox.oplead.bodies import LOOPBACK
from connectors.sandbox.oplead.leads.rendering import paris_wall_time, wire_date
from connectors.sandbox.oplead.options import UndocumentedBehaviour
from connectors.sandbox.oplead.shape import ApiShape
from connectors.sandbox.oplead.subscriptions import WebhookDelivery

OUTCOMES: Final = ("delivered", "failed", "given_up", "outside")
"""What is counted: answers with 2xx, all others, events given up, and those for other machines."""
SIGNATURE_HEADER: Final = "X-Oplead-Signature"
PATIENCE_SECONDS: Final = 10
ATTEMPTS: Final = 5
"""How often an event is tried until it is answered with 2xx."""
_FIRST_WAIT: Final = timedelta(minutes=1)
"""Before the second attempt; each further wait is twice as long."""


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int | None:
    """POST to an address, without following where it redirects to; return None if there was no answer."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("POST", parts.path + (f"?{parts.query}" if parts.query else "") or "/", body, dict(headers))
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def is_due(delivery: WebhookDelivery, now: datetime, options: UndocumentedBehaviour) -> bool:
    """Return whether it is time for the next attempt."""
    if delivery.tried_at is None:
        return datetime.fromisoformat(delivery.at) + timedelta(seconds=options.webhook_lag) <= now
    wait: timedelta = _FIRST_WAIT * 2 ** (delivery.attempts - 1)
    return datetime.fromisoformat(delivery.tried_at) + wait <= now


def attempt(
    delivery: WebhookDelivery, body: bytes, now: datetime, options: UndocumentedBehaviour
) -> tuple[WebhookDelivery | None, Counter[str]]:
    """Deliver one event; return it again if it is to be tried later, and what happened by name."""
    if urlsplit(delivery.url).hostname not in LOOPBACK:
        return None, Counter(outside=1)
    headers = {"Content-Type": "application/json; charset=UTF-8", **signature(body, options)}
    times = 2 if options.webhook_redelivery == "twice" else 1
    answers = [post(delivery.url, body, headers) for _ in range(times)]
    taken = sum(status is not None and status // 100 == 2 for status in answers)  # noqa: PLR2004 - 2xx
    outcome = Counter(delivered=taken, failed=times - taken)
    tried = replace(delivery, attempts=delivery.attempts + 1, tried_at=now.isoformat())
    if taken or options.webhook_redelivery != "until_2xx":
        return None, outcome
    return (tried, outcome) if tried.attempts < ATTEMPTS else (None, outcome + Counter(given_up=1))


def wire_body(delivery: WebhookDelivery, lead: object, shape: ApiShape, options: UndocumentedBehaviour) -> bytes:
    """Return the JSON of one event, with its lead in the shape."""
    event: dict[str, object] = {"event": delivery.event}
    if options.webhook_event_id:
        event["eventId"] = delivery.event_id
    if options.webhook_occurred_at:
        event["occurredAt"] = wire_date(paris_wall_time(datetime.fromisoformat(delivery.at)), shape)
    return json.dumps(lead if options.webhook_body == "lead" else event | {"lead": lead}, ensure_ascii=False).encode()


def signature(body: bytes, options: UndocumentedBehaviour) -> dict[str, str]:
    """Return the header with the HMAC-SHA256 of a body, if bodies are signed."""
    digest = hmac.digest(options.webhook_secret.encode(), body, "sha256")
    forms = {"hex": digest.hex(), "prefixed": f"sha256={digest.hex()}", "base64": base64.b64encode(digest).decode()}
    written = forms.get(options.webhook_signature)
    return {SIGNATURE_HEADER: written} if written else {}
