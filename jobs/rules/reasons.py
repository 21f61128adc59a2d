"""Why things stand as they do, as values: reasons, stops, anomalies, and what a person is told; no words here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum, auto
from typing import NewType

from connectors.records import DestinationId


class Reason(StrEnum):
    """A reason of ours. Its detail, where it has one, stands in a field of its own."""

    STAGE_NOT_REACHED = "stage_not_reached"
    WHERE_DOES_NOT_MATCH = "where_does_not_match"
    ANOTHER_WAY = "another_way"
    """It goes to the same destination by another route."""
    ANOTHER_PLATFORM = "another_platform"
    """Its lead came by another platform's ad."""
    SENT_ELSEWHERE = "sent_elsewhere"
    BEFORE_SINCE = "before_since"
    BASELINE = "baseline"
    ALREADY_SENT = "already_sent"
    """A human says that the platform has it by other means."""
    UNDONE = "undone"
    """Its lead went to a stage that undoes the conversion, and stayed there."""
    NOT_UNDOABLE = "not_undoable"
    TOO_LATE_TO_CORRECT = "too_late_to_correct"
    MAY_COME_BACK = "may_come_back"
    """It waits until its lead has been lost for long enough."""
    STANDS_AGAIN = "stands_again"
    """A correction is no longer needed."""
    DUE = "due"
    EXCESS_VOLUME = "excess_volume"
    """The volume guard holds it."""
    CLICK_TOO_RECENT = "click_too_recent"
    NOON_AWAITED = "noon_awaited"
    VALUE_AWAITED = "value_awaited"
    RETRY = "retry"
    """The command put it back in the queue."""
    NOT_SENT = "not_sent"
    """The request did not leave this machine."""
    CONSENT_MISSING = "consent_missing"
    CONSENT_REFUSED = "consent_refused"
    CONSENT_UNKNOWN = "consent_unknown"
    NO_CLICK_ID = "no_click_id"
    NO_IDENTIFIER = "no_identifier"
    VALUE_MISSING = "value_missing"
    VALUE_NEVER_SEEN = "value_never_seen"
    VALUE_UNREADABLE = "value_unreadable"
    TIME = "time"
    """The reported time cannot be true."""
    TO_BE_READ_AGAIN = "to_be_read_again"
    COUNTED_ALREADY = "counted_already"
    EXCLUDED = "excluded"
    NOT_CONFIGURED = "not_configured"
    SENDING = "sending"
    RECEIVED = "received"
    MAY_COUNT_TWICE = "may_count_twice"
    ANSWER_LOST = "answer_lost"
    RUN_DIED = "run_died"
    """The run ended between a request and its receipt."""
    WINDOW_CLOSED = "window_closed"
    LEAD_DELETED = "lead_deleted"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    NO_ANSWER = "no_answer"
    """No replay got an answer."""
    REPLAY_COUNTS_TWICE = "replay_counts_twice"
    """A replay by now would count a second time."""
    TOO_OLD_TO_REPLAY = "too_old_to_replay"
    DAMAGED = "damaged"
    """The bytes that were sent are damaged in the state, and others may count twice."""
    NO_OUTCOME = "no_outcome"
    PARTLY_REFUSED = "partly_refused"
    MISCOUNTED = "miscounted"


PlatformCode = NewType("PlatformCode", str)
"""A platform's own word, as it writes it; empty where a state says it all."""

Cause = Reason | PlatformCode


# ── stops ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """What a stop, a hold or a number covers: a destination's conversions or its corrections, or one action's."""

    destination: DestinationId
    corrections: bool = False
    former: tuple[str, ...] = ()
    """Owner and transport of a way to it that the settings no longer take; empty for the present one."""
    action: str = ""
    """Empty covers every action."""

    def __str__(self) -> str:
        name = f"{self.destination} corrections" if self.corrections else self.destination
        if self.former:
            name = f"{name} (before: {self.former[0]} by {self.former[1]})"
        return f"{name}/{self.action}" if self.action else name


class StopKind(StrEnum):
    """Why nothing more is read or sent."""

    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    NOTHING_PASSES = "nothing_passes"
    """Everything is refused, for one reason or several."""
    NO_ANSWER = "no_answer"
    ASKED_TO_WAIT = "asked_to_wait"
    """The platform asks for a longer delay than a run waits."""
    KEPT_FAILING = "kept_failing"


@dataclass(frozen=True, slots=True)
class Stop:
    """Why nothing more is read from the source, or sent within a scope, in this run."""

    kind: StopKind
    answers: tuple[str, ...]
    """What was answered, or came instead of an answer, in the words it came in."""
    wait: timedelta | None = None
    """The delay that was asked for."""
    times: int = 0
    """How often it was tried."""


# ── messages ─────────────────────────────────────────────────────────────────────────────────────


class MessageId(StrEnum):
    """What a person is told; `reporting.texts` has its words."""

    # anomalies
    NONE_CAN_BE_SENT = auto()
    HALF_STOPPED = auto()
    STOPPED_THERE = auto()
    WHERE_EXCLUDES_ALL = auto()
    CONSENT_EMPTY = auto()
    WHERE_EMPTY = auto()
    WHERE_UNLISTED = auto()
    AMOUNT_NEVER_SEEN = auto()
    AMOUNT_EMPTY = auto()
    CLICK_SHARE_COLLAPSED = auto()
    CLICK_IDS_STOPPED = auto()
    CLICK_IDS_CUT = auto()
    CLICK_IDS_LOWERED = auto()
    # statuses that were renamed
    RENAMED_WITHIN_STAGE = auto()
    RENAMED_TO_KNOWN = auto()
    RENAMED_TO_UNKNOWN = auto()
    RENAMED_BETWEEN_UNKNOWN = auto()
    # what a run needs a human for
    REJECTED = auto()
    WOULD_BE_REJECTED = auto()
    EXCESS_VOLUME = auto()
    HELD_THERE = auto()
    UNCONFIRMED = auto()
    UNRESOLVED_REQUEST = auto()
    IN_DOUBT = auto()
    IN_DOUBT_ASKS = auto()
    PUT_OFF = auto()
    UNREADABLE = auto()
    STILL_UNREADABLE = auto()
    UNKNOWN_STATUSES = auto()
    STILL_UNKNOWN_STATUSES = auto()
    SUSPICIOUSLY_MISSING = auto()
    UNREAD = auto()
    NO_DETAIL_PAGES = auto()


@dataclass(frozen=True, slots=True)
class Message:
    """What a person is told, with the values in it; without anyone's data."""

    id: MessageId
    values: Mapping[str, object] = field(default_factory=dict)


class AnomalyKind(StrEnum):
    """What keeps conversions from being sent though nothing fails."""

    STOPPED = "stopped"
    """About a reason."""
    WHERE = "where"
    """About a conversion and a destination."""
    FIELD = "field"
    """About a path."""
    CLICK_SHARE = "click_share"
    CLICK_IDS_CUT = "click_ids_cut"
    """About a kind of click id; so is the next."""
    CLICK_IDS_LOWERED = "click_ids_lowered"


@dataclass(frozen=True, slots=True)
class AnomalyCause:
    """What tells an anomaly from others; told once however often it is found, until it clears."""

    kind: AnomalyKind
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One cause that keeps conversions from being sent, and what is told of it."""

    cause: AnomalyCause
    message: Message
