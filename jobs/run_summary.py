"""What a run did, in numbers and sentences, and the exit code that says so."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from connectors.records import DestinationId
from connectors.text import counted, number
from jobs.deliver.receipt import Delivered
from jobs.deliver.resolve import Resolved
from jobs.plan.planner import Planned
from jobs.plan.volume_guard import ExcessVolume
from jobs.pull.sync import Pulled
from jobs.rules.model import Anomaly

NAMED = 5
"""How many leads a sentence names."""
_ASKED = (
    "`in_doubt: ask` leaves it to you. To send them again, which may count twice, write `in_doubt: resend` within "
    "48 h; else they become unconfirmed"
)
_PUT_OFF = "they go out while they are still in time; `explain` says what it answers"


def _named(leads_concerned: Iterable[str]) -> str:
    """The first few leads of a sentence, in brackets; nothing where there are none."""
    named = list(dict.fromkeys(leads_concerned))
    more = ", …" if len(named) > NAMED else ""
    return f" (lead {', '.join(named[:NAMED])}{more})" if named else ""


Labels = list[tuple[str, int, int]]
"""Labels as Oplead writes them, how many leads have each, and how many of those a click id."""


@dataclass(slots=True)
class Review:
    """What is new tonight, and what was reported before and still stands."""

    renames: list[str] = field(default_factory=list)
    """Statuses found tonight to have another name now, a sentence each."""
    anomalies: list[str] = field(default_factory=list)
    """What keeps conversions from being sent, a sentence for each cause, as long as it lasts."""
    alarms: list[Anomaly] = field(default_factory=list)
    """The same with the cause of each."""
    unreadable: int = 0
    """Leads that cannot be read, reported for the first time."""
    unreadable_before: int = 0
    labels: Labels = field(default_factory=list)
    """Labels no setting names, new on leads with a click id, or on more of them than when last reported."""
    labels_before: Labels = field(default_factory=list)

    @property
    def attention(self) -> list[str]:
        """What a human should look at, a sentence each."""
        sentences = [*self.renames, *self.anomalies]
        if self.unreadable:
            them = "it" if self.unreadable == 1 else "them"
            sentences.append(f"{counted(self.unreadable, 'lead')} could not be read: `status` lists {them}")
        with_click = sum(clicks for _, _, clicks in self.labels)
        if with_click:
            which = "lead with a click id has" if with_click == 1 else "leads with a click id have"
            sentences.append(f"{number(with_click)} {which} a status in neither `stages` nor `ignored_statuses`")
        return sentences

    @property
    def standing(self) -> list[str]:
        """What an earlier night reported and still stands, a sentence each."""
        sentences = []
        if before := self.unreadable_before:
            them = "it" if before == 1 else "them"
            sentences.append(f"{counted(before, 'lead')} still cannot be read: `status` names {them}")
        names = ", ".join(f"{label!r}" for label, _, clicks in self.labels_before if clicks)
        if names:
            sentences.append(f"still in neither `stages` nor `ignored_statuses`: {names}")
        return sentences


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
    held: dict[DestinationId, ExcessVolume] = field(default_factory=dict)
    """Destinations to which nothing new goes until a human agrees."""
    source_stopped: str | None = None
    unknown_labels: list[tuple[str, int, int]] = field(default_factory=list)
    """Labels no stage and no `ignored_statuses` names: how many leads have them, how many with a click id."""
    in_doubt: int = 0
    waiting_for_a_human: int = 0
    """How many of those are not sent again until someone decides it (`in_doubt: ask`)."""
    unconfirmed: int = 0
    """Deliveries given up tonight."""
    rejected: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Lead, conversion, destination and the platform's code of each rejection nobody expected.

    Those of corrections stand under the destination's `corrections_of`.
    """
    put_off: list[str] = field(default_factory=list)
    """The lead of each delivery that its platform put off tonight, and in a run before."""
    only_outcomes: bool = False
    """Whether no lead was read: outcomes were asked for, and what had come due was sent."""
    only_validated: bool = False
    """Whether platforms only validated, so that nothing of their answers is kept."""
    not_checked: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """Conversion, destination, state, and what stopped: what was due for a check and had none."""
    standing: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """Conversion, destination, state, reason: where everything stands after the night."""

    @property
    def stopped(self) -> dict[str, str]:
        """Destinations, or actions of one, that wait for a human, and why."""
        return {**self.resolved.stopped, **self.delivered.stopped, **self.corrected.stopped}

    @property
    def rejections(self) -> list[str]:
        """What was rejected though nobody expected it, in a sentence that names some leads."""
        unexpected = self.delivered.unexpected + self.corrected.unexpected + self.resolved.unexpected
        if not unexpected:
            return []
        leads = _named(lead for lead, *_ in self.rejected)
        if self.only_validated:
            return [f"{unexpected} would be rejected{leads}"]
        return [f"{unexpected} rejected{leads}: `explain` says why"]

    @property
    def excess_volumes(self) -> list[str]:
        """What is held as far more than usual, a sentence for each destination."""
        return [f"{destination}: {excess.sentence}" for destination, excess in self.held.items()]

    @property
    def attention(self) -> list[str]:
        """What a human should look at, a sentence each."""
        sentences = [*self.rejections, *self.excess_volumes]
        if self.unconfirmed:
            why = f": {'; '.join(self.resolved.unconfirmed)}" if self.resolved.unconfirmed else ""
            sentences.append(f"{self.unconfirmed} unconfirmed: nobody will know whether they count{why}")
        if replayed := self.in_doubt - self.waiting_for_a_human:
            sentences.append(f"{replayed} in doubt: an answer was lost; the next night sends the same bytes again")
        if self.put_off:
            sentences.append(f"{len(self.put_off)} put off by the platform again{_named(self.put_off)}: {_PUT_OFF}")
        if self.waiting_for_a_human:
            sentences.append(f"{self.waiting_for_a_human} in doubt: an answer was lost, and {_ASKED}")
        return [*sentences, *self.pulled.attention, *self.review.attention]

    @property
    def exit_code(self) -> int:
        """0 done; 1 done, and a human is needed; 3 the source or a destination stopped."""
        if self.source_stopped or self.stopped:
            return 3
        return 1 if self.attention else 0
