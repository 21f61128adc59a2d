"""Which transport this Cloud project may use, told by one invented conversion that is only validated.

`UploadClickConversions` is closed to callers that did not use it before June 2026:
https://developers.google.com/ads/blog/posts/2026/05/changes-to-offline-click-conversion
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from connectors.ports import ConversionSink
from connectors.records import (
    Answered,
    ClickId,
    ClickIdKind,
    Consent,
    DeliveryKey,
    EncodedEvent,
    Event,
    Finding,
    Lost,
    NotSent,
    Outcome,
    OutcomeClass,
    Receipt,
    Received,
    Refused,
    Target,
    Verdict,
)

NAMES = {"data_manager": "Data Manager API", "google_ads_api": "Google Ads API"}
"""The transports, as a human knows them."""

_ENDPOINTS = {"data_manager": "google_ads.endpoint", "google_ads_api": "google_ads.ads_api_endpoint"}
"""The setting that holds each one's address."""

OF_ACCESS = frozenset({"PERMISSION_DENIED", "USER_PERMISSION_DENIED", "CUSTOMER_NOT_FOUND"})
"""What Google answers about an account that it does not know, or that this service account may not use."""
ACCESS = (
    "see that google_ads.customer_id is the account that owns the conversion actions, that login_customer_id beside it "
    "is the manager by which the service account has access (left out where it has access itself), and that the "
    "service account's e-mail is a user there"
)

_KEY = DeliveryKey("oplead-sync-check")
_CLOSED = {"CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE", "NOT_ALLOWLISTED"}
_OF_THE_ROW = {
    OutcomeClass.DONE,
    OutcomeClass.DUPLICATE,
    OutcomeClass.DEFER,
    OutcomeClass.EXPIRED,
    OutcomeClass.FIX_DATA,
    OutcomeClass.DROP,
    OutcomeClass.DROP_EXPECTED,
}
"""What may be said of an invented conversion by an API that takes real ones."""


def try_transport(sink: ConversionSink, target: Target, *, in_use: bool) -> Iterator[Finding]:
    """Validate one invented conversion by a sink that only validates.

    What an API says of a transport that is not `in_use` never fails.
    """
    # Only an action of the account can be named; nothing else of the conversion exists.
    event = Event(
        key=_KEY,
        target=replace(target, source="WEB"),
        at=datetime.now(UTC) - timedelta(days=1),
        click_id=ClickId(ClickIdKind.GCLID, "oplead-sync-check"),
        identifiers=(),
        value=None,
        consent=Consent(None, None),
    )
    receipt = sink.submit(event.target, [EncodedEvent(_KEY, sink.encode(event))])
    yield from transport_findings(receipt, target.transport, in_use=in_use)


def transport_findings(receipt: Receipt, transport: str, *, in_use: bool) -> Iterator[Finding]:
    """What the answer says of the transport, and of what else would keep conversions out."""
    subject = f"transport {transport}"
    match receipt:
        case NotSent(unreachable=address) if address and in_use:
            said = f"no connection to {address}, the address of the {NAMES[transport]}"
            advice = f"see {_ENDPOINTS[transport]}, and that this machine may reach it"
            yield Finding(subject, Verdict.FAILED, said, advice)
        case NotSent(reason) | Lost(reason):
            yield Finding(subject, Verdict.UNREADABLE, f"the {NAMES[transport]} gives no answer: {reason}")
        case Received():
            yield _open(subject, transport)
        case Answered((outcome,)) | Refused(outcome):
            yield from _judged(outcome, subject, transport, in_use=in_use)
        case Answered():
            yield Finding(subject, Verdict.UNREADABLE, "the answer is not about the one conversion that was sent")


def _judged(outcome: Outcome, subject: str, transport: str, *, in_use: bool) -> Iterator[Finding]:
    told = f"{outcome.code} ({outcome.message})" if outcome.message else outcome.code
    if outcome.code in _CLOSED:
        yield _closed(subject, transport, in_use=in_use)
    elif outcome.kind in _OF_THE_ROW or outcome.of_target:
        yield _open(subject, transport)
    elif outcome.kind is OutcomeClass.FIX_CONFIG and in_use:
        said = f"the {NAMES[transport]} would refuse every conversion: {told}"
        advice = ACCESS if outcome.code in OF_ACCESS else "mend what it names, then check again"
        yield Finding(subject, Verdict.FAILED, said, advice)
    else:
        yield Finding(subject, Verdict.UNREADABLE, f"the {NAMES[transport]} answers {told}")


def _open(subject: str, transport: str) -> Finding:
    return Finding(subject, Verdict.VERIFIED, f"open: this Cloud project may send by the {NAMES[transport]}")


def _closed(subject: str, transport: str, *, in_use: bool) -> Finding:
    said = f"closed: this Cloud project may not send by the {NAMES[transport]}"
    if not in_use:
        return Finding(subject, Verdict.VERIFIED, f"{said}, and does not")
    other = next(name for name in NAMES if name != transport)
    return Finding(subject, Verdict.FAILED, said, f"write transport: {other}")
