"""What ends a run's sending early: a platform's silence, and the stops that are on record for its targets."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from connectors.records import Target
from jobs.deliver.transactions import SendingResult, SendingStop
from jobs.rules.reasons import DestinationScope, StopCause, StopKind
from jobs.settings.compile import Rulebook

UNANSWERED_IN_A_ROW = 3
"""Consecutive unanswered parts after which a platform is left alone for the run."""


@dataclass(slots=True)
class Silence:
    """The parts that a platform has left unanswered since it last answered, or since another target began."""

    parts: int = 0
    last: str = ""
    """What came back instead of the last missing answer."""
    has_new: bool = False
    """Whether one of those parts had never been in doubt before."""
    is_broken: bool = False
    """Whether anything was answered in this run."""

    @classmethod
    def of_a_silent_platform(cls) -> "Silence":
        """Return the silence in which a single part shows whether the platform answers again."""
        return cls(parts=UNANSWERED_IN_A_ROW - 1)

    def hear_answer(self) -> None:
        """Record a meaningful answer."""
        self.parts, self.has_new, self.is_broken = 0, False, True

    def miss_answer(self, instead: str, *, is_new: bool) -> None:
        """Record a part that got none, which may have been in doubt before, and what came back `instead`."""
        self.parts, self.last, self.has_new = self.parts + 1, instead, self.has_new or is_new

    def begin_target(self) -> None:
        """Forget what one target left unanswered: it does not predict how the others respond."""
        self.parts, self.has_new = 0, False

    @property
    def is_long(self) -> bool:
        """Whether the platform is to be left alone."""
        return self.parts >= UNANSWERED_IN_A_ROW

    def stop(self, *, asks_a_human: bool) -> SendingStop:
        """Return the stop for missing answers: of the whole destination if they are many, or all there was.

        It raises an alarm if something new went unanswered. A few rows already in doubt say nothing about the platform,
        hold up nothing and are reported as in doubt. So are those a human decides on; for them only the target stops.
        """
        return SendingStop(
            StopCause(StopKind.NO_ANSWER, (self.last,)),
            whole_destination=self.is_long or not asks_a_human,
            alarm=self.has_new and not asks_a_human,
        )


@dataclass(slots=True)
class Stops:
    """Which targets of one scope are sent nothing more in this run."""

    scope: DestinationScope
    """Covers everything sent, conversions or corrections."""
    book: Rulebook
    done: SendingResult
    """Is told of the stops that a human should know."""
    earlier: Collection[DestinationScope]
    """Scopes already waiting for a human."""
    _scopes: set[DestinationScope] = field(default_factory=set)
    _transports: set[tuple[str, str]] = field(default_factory=set)
    """Transports and owners whose corrections stopped."""

    def cover(self, target: Target) -> bool:
        """Whether a target is sent nothing more."""
        scope = self._scope(target)
        return (target.transport, target.owner) in self._transports or scope in self._scopes or scope in self.earlier

    def add(self, stop: SendingStop, target: Target) -> bool:
        """Record a stop that a target met; return whether nothing more is to be sent anywhere."""
        way = self._transport_scope(target)
        self._scopes.add(self._scope(target))
        if stop.alarm:
            scope = way if stop.whole_destination else self._scope(target)
            self.done.stopped[scope] = stop.why
            if stop.why.kind is StopKind.NO_ANSWER:
                self.done.silent.append(scope)
        if stop.whole_destination and self.scope.corrections:
            # A stop of one transport's corrections doesn't affect another's.
            self._transports.add((target.transport, target.owner))
            return False
        # A stop of a former transport or owner doesn't affect the current one.
        return stop.whole_destination and way == self.scope

    def _scope(self, target: Target) -> DestinationScope:
        """Return the scope of a stop of this target alone."""
        return replace(self._transport_scope(target), action=target.action)

    def _transport_scope(self, target: Target) -> DestinationScope:
        """Return the scope of a stop of everything sent by the target's transport and owner."""
        if self.scope.corrections:
            return self.scope
        return self.book.scope_marked_if_former(self.scope.destination, target.transport, target.owner)
