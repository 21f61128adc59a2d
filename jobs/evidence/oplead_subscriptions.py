"""What subscriptions to Oplead's events say of the assumptions: made for an address that cannot exist, and ended."""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.crm import CrmEventKind, Subscription, WriteAccepted, WriteReceipt, WriteRefusalReason, WriteRefused
from connectors.language import _
from connectors.records import RequestNotSent
from jobs.evidence import own_lead
from jobs.evidence.folder import LeftBehind
from jobs.evidence.session import Session
from jobs.evidence.taken import not_agreed, otherwise_written, refusal
from jobs.evidence.verdicts import Finding, confirmed, refuted, unclear
from jobs.oplead_commands.context import OpleadWriteAccess
from jobs.rules.extraction import TEST_DOMAIN
from jobs.settings.oplead_schema import SubscriptionSettings

_URL = f"https://{TEST_DOMAIN}/evidence"


def judge_subscriptions(session: Session) -> Finding:
    """Subscribe an address that cannot exist to each event, after a yes, and end what the list then shows of it."""
    if not session.agrees(
        _("Subscribe {url}, an address that cannot exist, to Oplead's events, then unsubscribe it?", url=_URL)
    ):
        return not_agreed()
    noted = LeftBehind("subscription", "", _URL)
    with own_lead.open_writer(session) as writer:
        earlier = _end_own(writer)
        if earlier.left or earlier.gap:
            return unclear(
                lambda: _("none was made: the list was not read in full, or still shows those of an earlier walk")
            )
        if noted not in session.evidence.left_behind:
            own_lead.note(session, noted)
        receipts = [writer.subscribe(kind, _URL) for kind in CrmEventKind]
        # What an answer calls an id may be another's: only the list tells which are ours.
        ended = _end_own(writer)
    made = sum(not isinstance(one, WriteRefused | RequestNotSent) for one in receipts)
    are_gone = not (ended.left or ended.gap) and len(ended.receipts) >= made
    if are_gone:
        own_lead.change_note(session, noted, None)
    return _judge(session, receipts, ended, are_gone=are_gone)


@dataclass(frozen=True, slots=True)
class _Ended:
    """What became of the subscriptions of our address, as the list shows it."""

    receipts: Sequence[WriteReceipt]
    """One for each that was listed."""
    left: int
    gap: str | None
    """Why more may be left."""


def _end_own(writer: OpleadWriteAccess) -> _Ended:
    """End the subscriptions of our address, also those of a walk that was cut off."""
    receipts = [writer.unsubscribe(one.id) for one in writer.subscriptions().entries if _is_ours(one)]
    after = writer.subscriptions()
    return _Ended(receipts, sum(map(_is_ours, after.entries)), after.gap)


def _is_ours(one: Subscription) -> bool:
    return one.url.startswith(_URL)


def subscription_settings(session: Session) -> SubscriptionSettings:
    """Return how the settings subscribe to events."""
    webhooks = session.known.settings.webhooks
    return webhooks.subscriptions if webhooks else SubscriptionSettings()


def _judge(session: Session, receipts: list[WriteReceipt], ended: _Ended, *, are_gone: bool) -> Finding:
    is_usual = subscription_settings(session) == SubscriptionSettings()
    refusals = [one for one in receipts if not isinstance(one, WriteAccepted)]
    if len(refusals) == len(receipts):
        return refusal(refusals[0], is_usual=is_usual)
    if kept := [one for one in ended.receipts if not isinstance(one, WriteAccepted)]:
        # Oplead may itself have ended what leads to an address that cannot exist.
        return refusal(kept[0], is_usual=is_usual and not _is(kept[0], WriteRefusalReason.MISSING))
    if not are_gone:
        return unclear(lambda: _("some were not listed, or still were once they had been ended"))
    if refusals:
        # After the last that was taken, what is refused may be one too many.
        until = max(number for number, one in enumerate(receipts) if isinstance(one, WriteAccepted))
        before = [one for one in receipts[:until] if not isinstance(one, WriteAccepted)]
        if is_usual and before and all(_is(one, WriteRefusalReason.DATA) for one in refusals):
            return refuted(lambda: _("some events are not called as assumed: Oplead refuses them, and takes others"))
        return refusal(refusals[0], is_usual=False)
    if not is_usual:
        return otherwise_written()
    return confirmed(lambda: _("all three were made, listed and ended"))


def _is(receipt: WriteReceipt, reason: WriteRefusalReason) -> bool:
    return isinstance(receipt, WriteRefused) and receipt.fault is reason
