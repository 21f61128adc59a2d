"""What a run did, in numbers, what a human is needed for, and the exit code that says so."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from jobs.deliver.receipt import Delivered
from jobs.deliver.resolve import Resolved
from jobs.plan.planner import Planned
from jobs.plan.volume_guard import ExcessVolume
from jobs.pull.sync import Pulled
from jobs.rules.reasons import Anomaly, Cause, Message, MessageId, Scope, Stop

Labels = list[tuple[str, int, int]]
"""Labels as Oplead writes them, how many leads have each, and how many of those a click id."""


@dataclass(slots=True)
class Review:
    """What is told tonight, and what was told before and still stands."""

    renames: list[Message] = field(default_factory=list)
    """Statuses found tonight to have another name now."""
    anomalies: list[Message] = field(default_factory=list)
    """What keeps conversions from being sent, one for each cause; told as long as it lasts."""
    alarms: list[Anomaly] = field(default_factory=list)
    """The same with the cause of each."""
    unreadable: int = 0
    """Leads that cannot be read, told of for the first time."""
    unreadable_before: int = 0
    labels: Labels = field(default_factory=list)
    """Labels no setting names, new on leads with a click id, or on more of them than when last told."""
    labels_before: Labels = field(default_factory=list)

    @property
    def attention(self) -> list[Message]:
        """What a human should look at."""
        clicks = sum(clicks for _, _, clicks in self.labels)
        return [
            *self.renames,
            *self.anomalies,
            *_counted(MessageId.UNREADABLE, self.unreadable),
            *_counted(MessageId.UNKNOWN_STATUSES, clicks),
        ]

    @property
    def standing(self) -> list[Message]:
        """What was told on a night before and still is so."""
        names = tuple(repr(label) for label, _, clicks in self.labels_before if clicks)
        still = [Message(MessageId.STILL_UNKNOWN_STATUSES, {"labels": names})] if names else []
        return [*_counted(MessageId.STILL_UNREADABLE, self.unreadable_before), *still]


def _counted(told: MessageId, count: int, **values: object) -> list[Message]:
    """A message about so many; none where there are none."""
    return [Message(told, {"count": count, **values})] if count else []


@dataclass(slots=True)
class RunSummary:
    """What a night did, in numbers, and what a human is needed for."""

    account: str
    run: int
    started_at: datetime
    recovered: int = 0
    pulled: Pulled = field(default_factory=Pulled)
    planned: Planned = field(default_factory=Planned)
    delivered: Delivered = field(default_factory=Delivered)
    corrected: Delivered = field(default_factory=Delivered)
    """What sending corrections changed."""
    resolved: Resolved = field(default_factory=Resolved)
    review: Review = field(default_factory=Review)
    """What could not be made sense of, new tonight or not."""
    held: dict[Scope, ExcessVolume] = field(default_factory=dict)
    """Where nothing new goes until a human agrees."""
    source_stopped: Stop | None = None
    unknown_labels: list[tuple[str, int, int]] = field(default_factory=list)
    """Labels no stage and no `ignored_statuses` names: how many leads have them, how many with a click id."""
    in_doubt: int = 0
    waiting_for_a_human: int = 0
    """How many of those are not sent again until someone decides it (`in_doubt: ask`)."""
    unconfirmed: int = 0
    """Deliveries given up tonight."""
    rejected: list[tuple[str, str, Scope, str]] = field(default_factory=list)
    """Lead, conversion, destination (or its corrections) and the platform's code of each rejection nobody expected."""
    put_off: list[str] = field(default_factory=list)
    """The lead of each delivery that its platform put off tonight, and in a run before."""
    only_outcomes: bool = False
    """Whether no lead was read: outcomes were asked for, and what had come due was sent."""
    only_validated: bool = False
    """Whether platforms were only asked, so that nothing is kept of what they said."""
    not_checked: Counter[tuple[str, str, str, Scope]] = field(default_factory=Counter)
    """Conversion, destination, state, and what stopped: what was due for a check and had none."""
    standing: Counter[tuple[str, str, str, Cause]] = field(default_factory=Counter)
    """Conversion, destination, state, reason: where everything stands after the night."""

    @property
    def stopped(self) -> dict[Scope, Stop]:
        """What waits for a human, and why."""
        return {**self.resolved.stopped, **self.delivered.stopped, **self.corrected.stopped}

    @property
    def rejections(self) -> list[Message]:
        """What was rejected though nobody expected it."""
        unexpected = self.delivered.unexpected + self.corrected.unexpected + self.resolved.unexpected
        told = MessageId.WOULD_BE_REJECTED if self.only_validated else MessageId.REJECTED
        return _counted(told, unexpected, leads=tuple(dict.fromkeys(lead for lead, *_ in self.rejected)))

    @property
    def excess_volumes(self) -> list[Message]:
        """What is held as far more than usual."""
        return [
            Message(MessageId.HELD_THERE, {"scope": scope, "excess": excess.message})
            for scope, excess in self.held.items()
        ]

    @property
    def attention(self) -> list[Message]:
        """What a human should look at."""
        requests = tuple(
            Message(
                MessageId.UNRESOLVED_REQUEST,
                {"destination": one.destination, "ticket": one.ticket, "cause": one.cause, "detail": one.detail},
            )
            for one in self.resolved.unconfirmed
        )
        asked = self.waiting_for_a_human
        return [
            *self.rejections,
            *self.excess_volumes,
            *_counted(MessageId.UNCONFIRMED, self.unconfirmed, requests=requests),
            *_counted(MessageId.IN_DOUBT, self.in_doubt - asked),
            *_counted(MessageId.PUT_OFF, len(self.put_off), leads=tuple(dict.fromkeys(self.put_off))),
            *_counted(MessageId.IN_DOUBT_ASKS, asked),
            *self.pulled.attention,
            *self.review.attention,
        ]

    @property
    def exit_code(self) -> int:
        """0 done; 1 done, and a human is needed; 3 the source or a destination stopped."""
        if self.source_stopped or self.stopped:
            return 3
        return 1 if self.attention else 0
