"""What subscriptions to Oplead's events say of the assumptions: made for an address that cannot exist, and ended."""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.crm import CrmEventKind, WriteAccepted, WriteReceipt, WriteRefusalReason, WriteRefused
from connectors.errors import ConnectorError
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


def judge_subscriptions(session: Session) -> Finding:
    """Subscribe an address that cannot exist to each event, after a yes, and end that; nothing stays that is listed."""
    url = f"https://{TEST_DOMAIN}/evidence"
    if not session.agrees(
        _("Subscribe {url}, an address that cannot exist, to Oplead's events, and end that?", url=url)
    ):
        return not_agreed()
    noted = LeftBehind("subscription", "", url)
    with own_lead.open_writer(session) as writer:
        earlier = _end_own(writer, url)
        if earlier.left or earlier.gap:
            return unclear(lambda: _("the list of subscriptions could not be read whole, so none was made"))
        if noted not in session.evidence.left_behind:
            own_lead.note(session, noted)
        receipts = [writer.subscribe(kind, url) for kind in CrmEventKind]
        try:
            ended = _end_own(writer, url)
        except ConnectorError:
            # Without the list, nothing but its answer tells which subscription is ours.
            for one in receipts:
                if isinstance(one, WriteAccepted) and one.id:
                    writer.unsubscribe(one.id)
            raise
    made = sum(not isinstance(one, WriteRefused | RequestNotSent) for one in receipts)
    if not ended.left and ended.gap is None and len(ended.receipts) >= made:
        own_lead.change_note(session, noted, None)
    return _judge(session, receipts, ended)


@dataclass(frozen=True, slots=True)
class _Ended:
    """What became of the subscriptions of our address, as the list shows it."""

    receipts: Sequence[WriteReceipt]
    """One for each that was listed."""
    left: int
    gap: str | None
    """Why more may be left."""


def _end_own(writer: OpleadWriteAccess, url: str) -> _Ended:
    """End the subscriptions of our address, also those of a walk that was cut off."""
    receipts = [writer.unsubscribe(one.id) for one in writer.subscriptions().entries if one.url == url]
    after = writer.subscriptions()
    return _Ended(receipts, sum(one.url == url for one in after.entries), after.gap)


def subscription_settings(session: Session) -> SubscriptionSettings:
    """Return how the settings subscribe to events."""
    webhooks = session.known.settings.webhooks
    return webhooks.subscriptions if webhooks else SubscriptionSettings()


def _judge(session: Session, receipts: list[WriteReceipt], ended: _Ended) -> Finding:
    is_usual = subscription_settings(session) == SubscriptionSettings()
    refusals = [one for one in receipts if not isinstance(one, WriteAccepted)]
    if len(refusals) == len(receipts):
        return refusal(refusals[0], is_usual=is_usual)
    if refusals:
        if is_usual and all(isinstance(one, WriteRefused) and one.fault is WriteRefusalReason.DATA for one in refusals):
            return refuted(lambda: _("some events are not called as assumed: Oplead refuses them, and takes others"))
        return refusal(refusals[0], is_usual=False)
    if len(ended.receipts) < len(receipts) or ended.gap:
        return unclear(lambda: _("not all that were made are listed"))
    if kept := [one for one in ended.receipts if not isinstance(one, WriteAccepted)]:
        return refusal(kept[0], is_usual=is_usual)
    if not is_usual:
        return otherwise_written()
    if ended.left:
        return refuted(lambda: _("the end of a subscription was taken, and it is still listed"))
    return confirmed(lambda: _("all three were made, listed and ended"))
