"""What a run did, in numbers; what needs a human; and the matching exit code."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from jobs.deliver.resolve import ResolvingResult
from jobs.deliver.transactions import SendingResult
from jobs.exit_codes import Exit
from jobs.ledger.retention.retention import ErasedByAge
from jobs.plan.planner import PlanningResult
from jobs.plan.twin_guard import ChangedIds, DoubtfulIds, ReusedIds
from jobs.plan.volume_guard import ExcessVolume
from jobs.pull.ingest import PullResult
from jobs.rules.incident import Incident
from jobs.rules.reasons import Cause, DestinationScope, Message, MessageKind, StopCause, StopKind
from jobs.run_context import RunReadingScope
from jobs.run_findings import LabelCount, RunFindings, count_message


@dataclass(slots=True)
class RunSummary:
    """What a night did, in numbers, and what needs a human."""

    account: str
    run: int
    started_at: datetime
    recovered: int = 0
    pulled: PullResult = field(default_factory=PullResult)
    planned: PlanningResult = field(default_factory=PlanningResult)
    delivered: SendingResult = field(default_factory=SendingResult)
    corrected: SendingResult = field(default_factory=SendingResult)
    """Results of sending corrections."""
    resolved: ResolvingResult = field(default_factory=ResolvingResult)
    review: RunFindings = field(default_factory=RunFindings)
    held: dict[DestinationScope, ExcessVolume | ChangedIds | ReusedIds] = field(default_factory=dict)
    """Scopes that are held until a human approves, or says which leads are the same."""
    doubtful_ids: DoubtfulIds = field(default_factory=DoubtfulIds)
    """Leads that may be others than their ids say."""
    source_stopped: StopCause | None = None
    unknown_labels: list[LabelCount] = field(default_factory=list)
    """Labels in no stage and not in `ignored_statuses`."""
    in_doubt: int = 0
    waiting_for_a_human: int = 0
    """How many of those are not replayed until a human decides (`in_doubt: ask`)."""
    doubtful: list[Message] = field(default_factory=list)
    """What is said of them, by where they were sent."""
    held_after_restore: int = 0
    """How many may have been sent before the state was restored, and wait for a human (`in_doubt: ask`)."""
    undecided_leads: int = 0
    """How many leads created by commands were never answered for and not found, so that somebody must decide."""
    created_leads_unusable: Message | None = None
    """What is to be said where the record of those leads cannot be used."""
    unconfirmed: int = 0
    """Deliveries and corrections given up tonight."""
    rejected: list[tuple[str, str, DestinationScope, str]] = field(default_factory=list)
    """Lead, conversion, destination (or its corrections) and platform code of each unexpected rejection."""
    to_correct: dict[DestinationScope, list[str]] = field(default_factory=dict)
    """The lead of each of those that a human can change, by destination (or its corrections)."""
    put_off: list[str] = field(default_factory=list)
    """The lead of each delivery that its platform put off tonight and in an earlier run."""
    erased: ErasedByAge = field(default_factory=ErasedByAge)
    """What was erased because it had grown old."""
    other_faults: list[str] = field(default_factory=list)
    """Failures that nobody foresaw beside sending and resolving, by kind of error."""
    reading: RunReadingScope = RunReadingScope.EVERYTHING
    """What the run read."""
    only_validated: bool = False
    """Whether platforms only validated, so that no answer is recorded."""
    not_checked: Counter[tuple[str, str, str, DestinationScope]] = field(default_factory=Counter)
    """Deliveries due for a check but not checked, by conversion, destination, state and stopped scope."""
    standing: Counter[tuple[str, str, str, Cause]] = field(default_factory=Counter)
    """All deliveries after the night, by conversion, destination, state and reason."""
    opened: tuple[Incident, ...] = ()
    """The incidents that this run opened."""

    @property
    def stopped_scopes(self) -> dict[DestinationScope, StopCause]:
        """Return the stopped scopes, and why each stopped."""
        return {**self.resolved.stopped, **self.delivered.stopped, **self.corrected.stopped}

    @property
    def faults(self) -> list[str]:
        """Return what failed for a reason that nobody foresaw, while the rest went on, by kind of error."""
        sending = (*self.delivered.faults, *self.corrected.faults, *self.resolved.faults)
        return [*self.pulled.faults, *self.planned.faults, *sending, *self.other_faults]

    @property
    def rejection_messages(self) -> list[Message]:
        """Return a message about the rejections that a human can mend; about every unexpected one if only validated."""
        if self.only_validated:
            leads = tuple(dict.fromkeys(lead for lead, *_ in self.rejected))
            return count_message(MessageKind.WOULD_BE_REJECTED, self.delivered.unexpected, leads=leads)
        rejected = [lead for leads in self.to_correct.values() for lead in leads]
        return count_message(MessageKind.REJECTED, len(rejected), leads=tuple(dict.fromkeys(rejected)))

    @property
    def excess_volumes(self) -> list[Message]:
        """Return a message for each volume-guard hold."""
        return [
            Message(MessageKind.HELD_THERE, {"scope": scope, "excess": excess.message})
            for scope, excess in self.held.items()
        ]

    @property
    def missing_statuses(self) -> dict[DestinationScope, dict[str, object]]:
        """Return, by where they were sent, what is known of requests whose status is missing; the oldest first."""
        found: dict[DestinationScope, dict[str, object]] = {}
        for scope in dict.fromkeys(each.scope for each in self.resolved.missing):
            missing = [each for each in self.resolved.missing if each.scope == scope]
            found[scope] = {
                "count": len(missing),
                "requests": tuple(each.ticket for each in missing),
                "age": self.started_at - min(each.due_at for each in missing),
                "answer": missing[-1].answer,
            }
        return found

    @property
    def findings(self) -> list[Message]:
        """Return what no other kind of incident tells, as long as it lasts."""
        told = sum(stop.kind is StopKind.FAULT for stop in self.stopped_scopes.values())
        return [
            *self.doubtful_ids.told,
            *self._put_off,
            *self._held_after_restore,
            *count_message(MessageKind.UNDECIDED_LEADS, self.undecided_leads),
            *self._created_leads_unusable,
            *self.pulled.attention,
            *self.pulled.webhooks.standing,
            *self.review.standing,
            *(self._faults if len(self.faults) > told else ()),
        ]

    @property
    def _faults(self) -> list[Message]:
        return count_message(MessageKind.FAULTS, len(self.faults), errors=tuple(dict.fromkeys(self.faults)))

    @property
    def _put_off(self) -> list[Message]:
        return count_message(MessageKind.PUT_OFF, len(self.put_off), leads=tuple(dict.fromkeys(self.put_off)))

    @property
    def _held_after_restore(self) -> list[Message]:
        return count_message(MessageKind.HELD_AFTER_RESTORE, self.held_after_restore)

    @property
    def _created_leads_unusable(self) -> list[Message]:
        return [self.created_leads_unusable] if self.created_leads_unusable else []

    @property
    def attention(self) -> list[Message]:
        """Return what needs a human's attention."""
        requests = tuple(
            Message(
                MessageKind.UNRESOLVED_REQUEST,
                {"destination": one.destination, "ticket": one.ticket, "cause": one.cause, "detail": one.detail},
            )
            for one in self.resolved.unconfirmed
        )
        return [
            *self.rejection_messages,
            *self.excess_volumes,
            *self.doubtful_ids.told,
            *count_message(MessageKind.UNCONFIRMED, self.unconfirmed, requests=requests),
            *(
                Message(MessageKind.STATUS_MISSING, {"scope": scope, **known})
                for scope, known in self.missing_statuses.items()
            ),
            *self.doubtful,
            *self._put_off,
            *self._held_after_restore,
            *self._created_leads_unusable,
            *self.pulled.attention,
            *self.review.attention,
            *([self.erased.problem] if self.erased.problem else []),
            *self._faults,
        ]

    @property
    def exit_code(self) -> int:
        """Return 0 if done, 1 if a human is needed, 3 if the source or a destination stopped, 70 after a fault."""
        if self.faults:
            return Exit.BUG
        if self.source_stopped or self.stopped_scopes:
            return 3
        return 1 if self.attention or self.opened else 0
