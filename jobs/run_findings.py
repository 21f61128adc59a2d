"""What a run reports to people beside its numbers."""

from dataclasses import dataclass, field
from typing import NamedTuple

from jobs.rules.reasons import Anomaly, Message, MessageKind


class LabelCount(NamedTuple):
    """How many leads have a label, as Oplead writes it, and how many of those have a click id."""

    label: str
    leads: int
    with_click_id: int


@dataclass(slots=True)
class RunFindings:
    """What this run reports, and what was reported before and still holds."""

    renames: list[Message] = field(default_factory=list)
    """Status renames detected tonight."""
    renames_before: list[Message] = field(default_factory=list)
    """Earlier ones whose new name no setting has."""
    anomalies: list[Anomaly] = field(default_factory=list)
    """What keeps conversions from being sent, one per cause; repeated for as long as it lasts."""
    unreadable: int = 0
    """Unreadable leads reported for the first time."""
    unreadable_before: int = 0
    labels: list[LabelCount] = field(default_factory=list)
    """Labels no setting names that are new on leads with a click id, or on more of them than last reported."""
    labels_before: list[LabelCount] = field(default_factory=list)

    @property
    def attention(self) -> list[Message]:
        """Return what needs a human's attention."""
        clicks = sum(clicks for _, _, clicks in self.labels)
        return [
            *self.renames,
            *(each.message for each in self.anomalies),
            *count_message(MessageKind.UNREADABLE, self.unreadable),
            *count_message(MessageKind.UNKNOWN_STATUSES, clicks),
        ]

    @property
    def standing(self) -> list[Message]:
        """Return what needs a human as long as it lasts, whenever it was reported, except anomalies."""
        clicks = sum(clicks for _, _, clicks in (*self.labels, *self.labels_before))
        return [
            *self.renames,
            *self.renames_before,
            *count_message(MessageKind.UNREADABLE, self.unreadable + self.unreadable_before),
            *count_message(MessageKind.UNKNOWN_STATUSES, clicks),
        ]

    @property
    def still_valid_messages(self) -> list[Message]:
        """Return what was reported on an earlier night and still holds."""
        names = tuple(repr(label) for label, _, clicks in self.labels_before if clicks)
        still = [Message(MessageKind.STILL_UNKNOWN_STATUSES, {"labels": names})] if names else []
        return [*count_message(MessageKind.STILL_UNREADABLE, self.unreadable_before), *still]


def count_message(message: MessageKind, count: int, **values: object) -> list[Message]:
    """Return a message with a count; empty if the count is zero."""
    return [Message(message, {"count": count, **values})] if count else []
