"""Which of the statuses that webhooks report of a lead a reading of it confirms. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

from jobs.rules.model import StatusEntered, StatusTimeOrigin
from jobs.rules.webhook_history import StatusEntryWebhook

_DAY = timedelta(days=1)


class ReportVerdict(Enum):
    """What a reading of a lead says about a status that was reported of it."""

    CONFIRMED = auto()
    """The lead was in it."""
    REFUTED = auto()
    """The lead is still where it was before."""
    HELD = auto()
    """It may have been: a later reading tells."""


@dataclass(frozen=True, slots=True)
class StageOrder:
    """Which reported statuses the status of a lead proves to be passed."""

    places: Mapping[str, int] = field(default_factory=dict)
    """By label, the place of its stage among the stages as they are written."""
    proven_below: Mapping[str, int] = field(default_factory=dict)
    """By label, the place below which a lead in it has passed every stage: that of its own stage if a conversion counts
    it, since any other, such as a loss, may follow any stage."""

    def has_passed(self, shown: str | None, reported: str) -> bool:
        """Return whether a lead that shows one label has passed the stage of another."""
        place = self.places.get(reported)
        return place is not None and shown is not None and place < self.proven_below.get(shown, 0)


@dataclass(frozen=True, slots=True)
class WebhookRules:
    """What webhooks may say of a lead beside its readings."""

    order: StageOrder = StageOrder()
    confirm_within: timedelta = timedelta(days=30)
    """How long a status that no reading confirms is held."""
    trusts_appointments: bool = False
    """Whether a human wrote that an appointment counts as soon as an event reports it."""
    reads_appointments: bool = False
    """Whether a reading of a lead shows whether it has one."""


def judge_report(reported: str, shown: str | None, *, was_in: str | None, order: StageOrder) -> ReportVerdict:
    """Return what a reading that began after a report came says about the status reported, if no history dates it.

    `shown` is the label that the reading shows; `was_in` is the one that the lead had before the report's time, as far
    as is known.
    """
    if reported == shown:
        return ReportVerdict.CONFIRMED
    if shown is not None and shown == was_in:
        return ReportVerdict.REFUTED
    return ReportVerdict.CONFIRMED if order.has_passed(shown, reported) else ReportVerdict.HELD


def latest_change_label(changes: Sequence[StatusEntered], *, until: datetime | None = None) -> str | None:
    """Return the label of the latest change, or of the latest up to a time; among simultaneous ones, the last known."""
    happened = (change for change in reversed(changes) if until is None or change.at <= until)
    latest = max(happened, key=lambda change: change.at, default=None)
    return latest.label if latest else None


def earlier_reading_since(
    event: StatusEntryWebhook, known: Sequence[StatusEntered], previously: datetime | None
) -> str | None:
    """Return what the first reading since an event's time newly showed, if that was an earlier one; None if it is this.

    Empty if it found nothing new, so that it confirms nothing. `previously` is when the lead was last read; of the
    readings before, only those that found a change are on record.
    """
    at = event.time.at
    if previously is None or at > previously:
        return None
    seen_at = min((change.seen_at for change in known if change.seen_at >= at), default=None)
    if seen_at is None:
        return ""
    first = min((change for change in known if change.seen_at == seen_at), key=lambda change: change.at)
    is_first_sight = all(change.seen_at >= seen_at for change in known)
    if not is_first_sight and _was_read_between(event, first, previously):
        return ""
    return latest_change_label([change for change in known if change.seen_at <= seen_at])


def _was_read_between(event: StatusEntryWebhook, change: StatusEntered, previously: datetime) -> bool:
    """Whether a reading that found nothing new lies between an event's time and the next change on record.

    Only a change without a time of its own says when that was; before any other, there is one each night, and it knew
    what had come.
    """
    if change.origin is StatusTimeOrigin.BOUNDED and change.after is not None:
        return change.after >= event.time.at
    return event.received_at <= previously or change.at - event.time.at > _DAY


def refuting_reading(
    event: StatusEntryWebhook, changes: Sequence[StatusEntered], previously: datetime | None
) -> datetime | None:
    """Return when a reading up to `previously`, and after the event came, showed the status from before; None if none.

    Whether the lead stayed there or came back to it. `changes` are those on record after that reading.
    """
    heard = max(event.time.at, event.received_at)
    was_in = latest_change_label(changes, until=event.time.at)
    for seen_at in sorted({change.seen_at for change in changes if change.seen_at >= heard}):
        if latest_change_label([change for change in changes if change.seen_at <= seen_at]) == was_in:
            return seen_at
    left = min((change for change in changes if change.at > event.time.at), key=lambda change: change.at, default=None)
    if left is None:
        return previously if was_in is not None and previously is not None and previously >= heard else None
    return left.after if left.origin is StatusTimeOrigin.BOUNDED and left.after and left.after >= heard else None
