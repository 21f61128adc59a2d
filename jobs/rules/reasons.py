"""Reasons, stops, anomalies and messages as values; the wording is in `jobs.reporting`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum, auto
from typing import NewType

from connectors.records import DestinationId


class Reason(StrEnum):
    """One of our own reasons; any detail is stored in a separate field."""

    STAGE_NOT_REACHED = "stage_not_reached"
    WHERE_DOES_NOT_MATCH = "where_does_not_match"
    ANOTHER_WAY = "another_way"
    """Another route sends it to the same destination."""
    ANOTHER_PLATFORM = "another_platform"
    """Its lead came from another platform's ad."""
    SENT_ELSEWHERE = "sent_elsewhere"
    BEFORE_SINCE = "before_since"
    BASELINE = "baseline"
    ALREADY_SENT = "already_sent"
    """A human said the platform already has it by other means."""
    UNDONE = "undone"
    """Its lead entered a stage that undoes the conversion, and stayed there."""
    NOT_UNDOABLE = "not_undoable"
    TOO_LATE_TO_CORRECT = "too_late_to_correct"
    MAY_COME_BACK = "may_come_back"
    """The lead is lost but may return; waits out the undo delay."""
    STANDS_AGAIN = "stands_again"
    """The correction is no longer needed."""
    DUE = "due"
    EXCESS_VOLUME = "excess_volume"
    """Held by the volume guard."""
    AFTER_RESTORE = "after_restore"
    """It may have been sent before the state was restored from a backup."""
    SENT_BEFORE_RESTORE = "sent_before_restore"
    """It may have been sent before the state was restored from a backup, and is too late to be sent now."""
    IDS_CHANGED = "ids_changed"
    """Held with its destination, because ids of leads seem to have changed."""
    CLICK_TOO_RECENT = "click_too_recent"
    NOON_AWAITED = "noon_awaited"
    VALUE_AWAITED = "value_awaited"
    RETRY = "retry"
    """Requeued by the command."""
    NOT_SENT = "not_sent"
    """The request never left this machine."""
    NOT_ENCODED = "not_encoded"
    """This program failed to encode it, for a reason that nobody foresaw."""
    CONSENT_MISSING = "consent_missing"
    CONSENT_REFUSED = "consent_refused"
    CONSENT_UNKNOWN = "consent_unknown"
    NO_CLICK_ID = "no_click_id"
    BARE_CLICK_ID = "bare_click_id"
    """Nothing tells whose its click id is."""
    NO_IDENTIFIER = "no_identifier"
    VALUE_MISSING = "value_missing"
    VALUE_NEVER_SEEN = "value_never_seen"
    VALUE_NOT_ESTIMATED = "value_not_estimated"
    VALUE_UNREADABLE = "value_unreadable"
    TIME = "time"
    """The reported time is impossible."""
    TO_BE_READ_AGAIN = "to_be_read_again"
    COUNTED_ALREADY = "counted_already"
    POSSIBLE_TWIN = "possible_twin"
    """Its lead looks like another that it counted for, and whose id has vanished."""
    REUSED_ID = "reused_id"
    """Its lead's id was given to another one."""
    EXCLUDED = "excluded"
    NOT_CONFIGURED = "not_configured"
    SENDING = "sending"
    RECEIVED = "received"
    MAY_COUNT_TWICE = "may_count_twice"
    ANSWER_LOST = "answer_lost"
    RUN_DIED = "run_died"
    """The run died between a request and its receipt."""
    WINDOW_CLOSED = "window_closed"
    LEAD_DELETED = "lead_deleted"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    FORGOTTEN = "forgotten"
    """Its person asked to be forgotten."""
    NO_ANSWER = "no_answer"
    """No replay was answered."""
    REPLAY_COUNTS_TWICE = "replay_counts_twice"
    """A replay this late could be counted twice."""
    TOO_OLD_TO_REPLAY = "too_old_to_replay"
    DAMAGED = "damaged"
    """The stored bytes are corrupted, and re-encoded ones might be counted twice."""
    NO_OUTCOME = "no_outcome"
    PARTLY_REFUSED = "partly_refused"
    MISCOUNTED = "miscounted"


NAMING_ANOTHER_LEAD = frozenset({Reason.COUNTED_ALREADY, Reason.POSSIBLE_TWIN})
"""Reasons whose detail is the id of the lead that counts instead."""
HELD_FOR_A_HUMAN = frozenset({Reason.EXCESS_VOLUME, Reason.IDS_CHANGED, Reason.AFTER_RESTORE})
"""Why what is pending and due does not go out until a human says so."""

PlatformCode = NewType("PlatformCode", str)
"""A platform's own code, verbatim; empty where the state is enough."""

Cause = Reason | PlatformCode


# ── stops ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, order=True)
class DestinationScope:
    """What a stop, hold or count covers: a destination's conversions or corrections, or a single action's."""

    destination: DestinationId
    corrections: bool = False
    former: tuple[str, ...] = ()
    """Owner and transport of a path to it that the settings no longer use; empty for the current one."""
    action: str = ""
    """Empty covers every action."""

    def __str__(self) -> str:
        name = f"{self.destination} corrections" if self.corrections else self.destination
        if self.former:
            name = f"{name} (before: {self.former[0]} by {self.former[1]})"
        return f"{name}/{self.action}" if self.action else name


class StopKind(StrEnum):
    """Why reading or sending stopped."""

    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    NOTHING_PASSES = "nothing_passes"
    """Every row is refused, for one or more reasons."""
    NO_ANSWER = "no_answer"
    ASKED_TO_WAIT = "asked_to_wait"
    """The platform asked for a longer delay than a run waits."""
    QUOTA_FULL = "quota_full"
    """By our own count, a quota that accounts share has no room for longer than a run waits."""
    KEPT_FAILING = "kept_failing"
    FAULT = "fault"
    """This program failed, for a reason that nobody foresaw."""


@dataclass(frozen=True, slots=True)
class StopCause:
    """Why a run stopped reading from the source or sending within a scope."""

    kind: StopKind
    answers: tuple[str, ...]
    """The answers, or the errors received instead, verbatim."""
    wait: timedelta | None = None
    """The requested delay."""
    times: int = 0
    """Number of attempts."""


# ── messages ─────────────────────────────────────────────────────────────────────────────────────


class MessageKind(StrEnum):
    """Messages for people; the wording is in `reporting.wording`."""

    # anomalies
    NONE_CAN_BE_SENT = auto()
    HALF_STOPPED = auto()
    STOPPED_THERE = auto()
    WHERE_EXCLUDES_ALL = auto()
    CONSENT_EMPTY = auto()
    WHERE_EMPTY = auto()
    WHERE_UNLISTED = auto()
    PAST_UNEXPLAINED = auto()
    AMOUNT_NEVER_SEEN = auto()
    AMOUNT_EMPTY = auto()
    CLICK_SHARE_COLLAPSED = auto()
    SOURCE_CLICK_SHARE_FELL = auto()
    CLICK_IDS_STOPPED = auto()
    CLICK_IDS_CUT = auto()
    CLICK_IDS_LOWERED = auto()
    # renamed statuses
    RENAMED_WITHIN_STAGE = auto()
    RENAMED_TO_KNOWN = auto()
    RENAMED_TO_UNKNOWN = auto()
    RENAMED_BETWEEN_UNKNOWN = auto()
    # needs a human
    REJECTED = auto()
    WOULD_BE_REJECTED = auto()
    EXCESS_VOLUME = auto()
    HELD_THERE = auto()
    IDS_CHANGED = auto()
    POSSIBLE_TWINS = auto()
    REUSED_IDS = auto()
    REUSED_HELD = auto()
    UNCONFIRMED = auto()
    UNRESOLVED_REQUEST = auto()
    STATUS_MISSING = auto()
    FAULTS = auto()
    IN_DOUBT = auto()
    IN_DOUBT_ASKS = auto()
    HELD_AFTER_RESTORE = auto()
    UNDECIDED_LEADS = auto()
    CREATED_LEADS_UNUSABLE = auto()
    PUT_OFF = auto()
    UNREADABLE = auto()
    STILL_UNREADABLE = auto()
    UNKNOWN_STATUSES = auto()
    STILL_UNKNOWN_STATUSES = auto()
    SUSPICIOUSLY_MISSING = auto()
    FEWER_LEADS = auto()
    UNREAD = auto()
    NO_DETAIL_PAGES = auto()
    INBOX_UNREADABLE = auto()
    REPORTED_UNREAD = auto()
    REPORTED_MISSING = auto()
    INBOX_DAMAGED = auto()
    UNKNOWN_WEBHOOKS = auto()
    NOT_ERASED = auto()
    ERASURE_OVERDUE = auto()
    CLOCK_JUMPED = auto()


@dataclass(frozen=True, slots=True)
class Message:
    """A message for people and its values; contains no personal data."""

    id: MessageKind
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def without_leads(self) -> "Message":
        """The message without the leads that it names, which may be forgotten later."""
        # Where leads are counted only, that is a number.
        named = "leads" if isinstance(self.values.get("leads"), tuple) else None
        return Message(self.id, {name: value for name, value in self.values.items() if name != named})


class AnomalyKind(StrEnum):
    """What keeps conversions from being sent without an error."""

    STOPPED = "stopped"
    """`about` is a reason."""
    WHERE = "where"
    """`about` is a conversion and a destination."""
    FIELD = "field"
    """`about` is a path."""
    CLICK_SHARE = "click_share"
    """`about` is a UTM source, or empty for all leads together."""
    CLICK_IDS_CUT = "click_ids_cut"
    """`about` is a click id kind, here and below."""
    CLICK_IDS_LOWERED = "click_ids_lowered"


@dataclass(frozen=True, slots=True)
class AnomalyIdentity:
    """An anomaly's identity: reported once until it clears, however often it is found."""

    kind: AnomalyKind
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A cause that keeps conversions from being sent, and its message."""

    cause: AnomalyIdentity
    message: Message
