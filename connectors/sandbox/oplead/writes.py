"""The requests that change something in Oplead: leads, their statuses and documents, and subscriptions."""

from typing import Final

from connectors.sandbox.oplead.bodies import json_object, parse_multipart, reject_unknown_fields
from connectors.sandbox.oplead.documents import parse_uploaded_document
from connectors.sandbox.oplead.gate import USER_AGENCY, CallerRole, RefusedError
from connectors.sandbox.oplead.lead_parts import lead_fields_from_body, require_email_or_phone
from connectors.sandbox.oplead.leads.book import SandboxLeadStore
from connectors.sandbox.oplead.leads.rendering import CODES, Fields
from connectors.sandbox.oplead.options import UndocumentedBehaviour
from connectors.sandbox.oplead.shape import ApiShape
from connectors.sandbox.oplead.subscriptions import Subscription, Subscriptions
from connectors.sandbox.population.lives import JOURNEYS
from connectors.sandbox.server import WireRequest

QUOTE: Final = "Devis à relancer"
DOCUMENTED: Final = ("En cours", "Nurserie", QUOTE)
"""The statuses that the guide says may be set."""
_LABELS: Final = {
    label.casefold(): label
    for label in (*CODES, *(label for steps in JOURNEYS.values() for step in steps for label in step.labels))
} | {"devis relancer": QUOTE}


def requested_new_lead_fields(
    request: WireRequest, caller: CallerRole, shape: ApiShape, options: UndocumentedBehaviour
) -> Fields:
    """Return the parts of the lead that a request creates."""
    parts = lead_fields_from_body(json_object(request), shape, options)
    require_email_or_phone(parts)
    return {"agency": USER_AGENCY, **parts} if caller is CallerRole.USER else parts


def update(
    book: SandboxLeadStore, lead_id: str, request: WireRequest, shape: ApiShape, options: UndocumentedBehaviour
) -> None:
    """Change some parts of a lead."""
    if parts := lead_fields_from_body(json_object(request), shape, options):
        book.edit_lead(lead_id, parts)


def set_status(
    book: SandboxLeadStore, lead_id: str, lead: Fields, request: WireRequest, options: UndocumentedBehaviour
) -> None:
    """Set a lead's status; one that it has already is not set again."""
    label = requested_status_label(
        reject_unknown_fields(json_object(request), ("status",), options).get("status"), options
    )
    if lead.get("status") != label:
        book.edit_lead(lead_id, status=label)


def requested_status_label(asked: object, options: UndocumentedBehaviour) -> str:
    """Return the label that a request asks for, in either of the guide's spellings."""
    label = _LABELS.get(asked.strip().casefold()) if isinstance(asked, str) else None
    if label is None or (options.settable_statuses == "documented" and label not in DOCUMENTED):
        raise RefusedError(422, "status is no status of this platform, or not one that may be set")
    return label


def attach_document(
    book: SandboxLeadStore, lead_id: str, request: WireRequest, options: UndocumentedBehaviour
) -> Fields:
    """Add a document to a lead, and return what is kept of it."""
    return book.attach_document(lead_id, parse_uploaded_document(parse_multipart(request), options.document_mb))


def subscribe(
    subscriptions: Subscriptions, request: WireRequest, caller: CallerRole, options: UndocumentedBehaviour
) -> Subscription:
    """Add a subscription of the caller's."""
    asked = reject_unknown_fields(json_object(request), ("event", "url"), options)
    return subscriptions.add(asked.get("event"), asked.get("url"), caller)


def unsubscribe(subscriptions: Subscriptions, subscription_id: str, caller: CallerRole) -> None:
    """End a subscription of the caller's."""
    if subscription_id not in [each.id for each in subscriptions.subscriptions_of_caller(caller)]:
        raise RefusedError(404, "no such subscription")
    del subscriptions.all[subscription_id]
