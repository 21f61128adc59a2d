"""User-facing texts: for states, reasons, platform codes, messages, stops, anomalies and incidents.

`sentences` fills in their values; it also describes the format after a value's name.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.rules.delivery_state import DeliveryState
from jobs.rules.incident import IncidentKind, Notice
from jobs.rules.reasons import MessageId, Reason, StopKind

NOTHING = "Nothing to do."


@dataclass(frozen=True, slots=True)
class StateAndReasonTexts:
    """The texts for a state, a reason or a platform code."""

    short: str
    """A few words, for a table."""
    means: str
    """A sentence."""
    todo: str = NOTHING
    """What to do; empty if that depends on the reason."""

    @property
    def asks_for_nothing(self) -> bool:
        """Return whether there is nothing to do, at least for now."""
        return self.todo.startswith(NOTHING.rstrip("."))


ZERO_MAY_BE_FINAL = "Google's help calls a value of 0 final: check in Google Ads whether this one rose again."
"""For a value that was set to 0 and then restored: https://support.google.com/google-ads/answer/7686447."""

_LOOK_IT_UP = "Look the request up in the platform's diagnostics; it is not sent again."

REASONS: Mapping[Reason, StateAndReasonTexts] = {
    # ── there is no such conversion ──────────────────────────────────────────────────────────────
    Reason.STAGE_NOT_REACHED: StateAndReasonTexts(
        "stage not reached",
        "The lead has not reached this conversion's stage yet.",
        "Nothing to do; it goes out once Oplead shows the lead there.",
    ),
    Reason.WHERE_DOES_NOT_MATCH: StateAndReasonTexts(
        "where does not match",
        "The lead does not match the `where` of this conversion or destination.",
        "Nothing to do, unless the `where` in the settings is too narrow.",
    ),
    Reason.ANOTHER_WAY: StateAndReasonTexts(
        "sent by another route", "Leads from Meta's own forms go through `meta.funnel`; all others go as conversions."
    ),
    Reason.ANOTHER_PLATFORM: StateAndReasonTexts(
        "another platform's ad",
        "The lead came from another platform's ad.",
        "Nothing to do; if a click id of this platform turns up, it counts here too.",
    ),
    Reason.SENT_ELSEWHERE: StateAndReasonTexts(
        "sent elsewhere",
        "The platform already has it: by another route, or from another destination before the lead was moved.",
        "Nothing to do: it must not count twice.",
    ),
    # ── it happened before its start ─────────────────────────────────────────────────────────────
    Reason.BEFORE_SINCE: StateAndReasonTexts(
        "before its start",
        "It happened before this conversion began to count.",
        "Nothing to do; `oplead-sync backfill` sends older changes once, an earlier `since` makes them count.",
    ),
    Reason.BASELINE: StateAndReasonTexts(
        "already in this stage",
        "The lead was already in this stage when it was first read, and Oplead does not say since when.",
        "Nothing to do; if Oplead dates its statuses, name the field in `oplead.fields.status_at`.",
    ),
    Reason.ALREADY_SENT: StateAndReasonTexts(
        "sent by other means",
        "`backfill --already-sent` says that the platform has it by other means.",
        "Nothing to do: it must not count twice.",
    ),
    Reason.UNDONE: StateAndReasonTexts(
        "lost before it was sent",
        "The lead moved to a stage that undoes the conversion, and stayed there for `undo_after`.",
        "Nothing to do: it goes out only if the lead enters the stage again.",
    ),
    # ── it is corrected ──────────────────────────────────────────────────────────────────────────
    Reason.NOT_UNDOABLE: StateAndReasonTexts(
        "cannot be undone",
        "The lead is lost again, and the API this conversion went through does not support retraction.",
        "Nothing to do; if it went to Google, `undo_via: google_ads_api` may be able to retract it.",
    ),
    Reason.TOO_LATE_TO_CORRECT: StateAndReasonTexts(
        "too late to correct", "It happened so long ago that the platform no longer accepts corrections."
    ),
    Reason.MAY_COME_BACK: StateAndReasonTexts(
        "may come back",
        "The lead is lost but may be won again: after `undo_after` the conversion is undone, or cancelled if it has "
        "not been sent.",
    ),
    Reason.STANDS_AGAIN: StateAndReasonTexts(
        "no correction needed",
        "Everything is as it was reported, or the settings no longer ask for a correction.",
    ),
    # ── it waits ─────────────────────────────────────────────────────────────────────────────────
    Reason.DUE: StateAndReasonTexts("goes out next", "It is ready and goes out with the next run."),
    Reason.EXCESS_VOLUME: StateAndReasonTexts(
        "held: far more than usual",
        "Far more conversions are due for this destination than a night usually sends, so nothing new goes there.",
        "Check them with `run --dry-run`; if they are right, run `oplead-sync run --accept-volume`.",
    ),
    Reason.CLICK_TOO_RECENT: StateAndReasonTexts(
        "click too recent",
        "The platform does not know clicks of the last few hours yet.",
        "Nothing to do; it goes out by itself once the click is old enough.",
    ),
    Reason.NOON_AWAITED: StateAndReasonTexts(
        "waiting for noon",
        "Oplead gives the day of the change but no time; it is reported as noon of that day, still to come.",
        "Nothing to do; it goes out by itself.",
    ),
    Reason.VALUE_AWAITED: StateAndReasonTexts(
        "waiting for its amount",
        "The amount is not in Oplead yet.",
        "Enter the amount in Oplead; otherwise it goes out with `value.otherwise` when the wait is over.",
    ),
    Reason.NOT_SENT: StateAndReasonTexts(
        "will be retried", "The last attempt did not get through.", "Nothing to do; the next run tries again."
    ),
    Reason.RETRY: StateAndReasonTexts("will be sent again", "`oplead-sync retry` put it back in the queue."),
    # ── it is held back until its cause is fixed ─────────────────────────────────────────────────
    Reason.CONSENT_MISSING: StateAndReasonTexts(
        "consent not asked",
        "The lead's consent field is empty, so its data may not be used for advertising.",
        "Have the form ask for consent and write the answer to the field that `consent` names.",
    ),
    Reason.CONSENT_REFUSED: StateAndReasonTexts(
        "consent refused",
        "The lead refused the use of its data for advertising.",
        "Nothing to do: it must not be sent.",
    ),
    Reason.CONSENT_UNKNOWN: StateAndReasonTexts(
        "consent unclear",
        "The answer in the consent field is neither in `granted` nor in `refused`.",
        "Read the answer in Oplead and add it to `granted` or `refused` under `consent`, or correct it there.",
    ),
    Reason.NO_CLICK_ID: StateAndReasonTexts(
        "no usable click id",
        "Oplead holds no click id of this platform for the lead, so the ad cannot be found.",
        "Have the form store the click id (gclid, fbclid) in leadData.externalID. "
        "Leads that came without an ad stay here, as they should.",
    ),
    Reason.NO_IDENTIFIER: StateAndReasonTexts(
        "nothing to identify it by",
        "The lead has neither a click id of this platform nor a usable e-mail or phone, "
        "nor, for Meta, first and last name with a postcode or town.",
        "Have the form store the click id (gclid, fbclid) and a valid e-mail address or phone.",
    ),
    Reason.VALUE_MISSING: StateAndReasonTexts(
        "no amount",
        "The amount stayed empty and the conversion has no value to use instead.",
        "Enter the amount in Oplead, or write `value.otherwise` under the conversion.",
    ),
    Reason.VALUE_NEVER_SEEN: StateAndReasonTexts(
        "no lead has an amount",
        "No lead has an amount at the path in `value.field`, so that path is probably wrong.",
        "Write the amount's path as `value.field` (`oplead-sync probe` shows it), or a number as `value`.",
    ),
    Reason.VALUE_NOT_ESTIMATED: StateAndReasonTexts(
        "no expected value yet",
        "Leads and sales on record are too few to estimate what a lead in this stage is worth.",
        "Wait for more sales (`oplead-sync values suggest` tells how many), or write `value.otherwise`.",
    ),
    Reason.VALUE_UNREADABLE: StateAndReasonTexts(
        "amount unreadable",
        "The amount in Oplead cannot be read as one number; `value.otherwise` only replaces a missing amount.",
        "Correct it in Oplead: 12 500,00 can be read, words cannot.",
    ),
    Reason.TIME: StateAndReasonTexts(
        "implausible date",
        "Oplead dates the change before the lead's creation or in the future.",
        "Correct the status date in Oplead.",
    ),
    Reason.TO_BE_READ_AGAIN: StateAndReasonTexts(
        "will be read again",
        "The settings now need other fields of the lead, which has not been read again yet.",
        "Nothing to do; the next full read of Oplead settles it.",
    ),
    Reason.COUNTED_ALREADY: StateAndReasonTexts(
        "already counted",
        "The same click or person already counts through another lead (`count_once_per`).",
        "Nothing to do; if the other never goes out, this one will.",
    ),
    Reason.EXCLUDED: StateAndReasonTexts(
        "test lead",
        "The lead matches `exclude` in the settings, so nothing is sent for it.",
        "Nothing to do; if it is a real lead, narrow `exclude` and it goes out.",
    ),
    Reason.NOT_CONFIGURED: StateAndReasonTexts(
        "no longer in the settings",
        "The settings no longer have this conversion for this destination; it is held back, not forgotten.",
        "If that was a mistake, put the conversion back and it goes out; otherwise nothing.",
    ),
    # ── it is with the platform ──────────────────────────────────────────────────────────────────
    Reason.SENDING: StateAndReasonTexts("request started", "The request was about to be sent."),
    Reason.RECEIVED: StateAndReasonTexts("received", "The platform received the request."),
    Reason.ANSWER_LOST: StateAndReasonTexts("answer lost", "The request was sent and no answer came."),
    Reason.RUN_DIED: StateAndReasonTexts("run died", "The run died before it had an answer."),
    # ── it was sent more than once ───────────────────────────────────────────────────────────────
    Reason.MAY_COUNT_TWICE: StateAndReasonTexts(
        "may count twice",
        "Its answer was lost, so it was sent again and accepted; the platform does not guarantee to count it once.",
        "Nothing to do; if you would rather lose one than count it twice, write `in_doubt: ask` under `meta`.",
    ),
    # ── it will not go out ───────────────────────────────────────────────────────────────────────
    Reason.WINDOW_CLOSED: StateAndReasonTexts(
        "too late",
        "The click, or the event itself, is older than the platform accepts.",
        "Nothing to do for this lead; if something held it until then, fix that for the next ones.",
    ),
    Reason.LEAD_DELETED: StateAndReasonTexts(
        "lead deleted",
        "Oplead did not have this lead on two nights: it was deleted, or merged with another.",
        "Nothing to do; if the lead reappears, this carries on while it is still in time.",
    ),
    Reason.CONSENT_WITHDRAWN: StateAndReasonTexts(
        "consent withdrawn",
        "The lead withdrew its consent before the conversion was sent.",
        "Nothing to do: it must not be sent.",
    ),
    # ── its outcome stays unknown ────────────────────────────────────────────────────────────────
    Reason.NO_ANSWER: StateAndReasonTexts("no answer", "No answer came, however often it was sent.", _LOOK_IT_UP),
    Reason.REPLAY_COUNTS_TWICE: StateAndReasonTexts(
        "no answer in time", "No answer came; sent again now, it would count twice.", _LOOK_IT_UP
    ),
    Reason.TOO_OLD_TO_REPLAY: StateAndReasonTexts(
        "too old to be sent again", "No answer came, and the platform would now refuse it as too old.", _LOOK_IT_UP
    ),
    Reason.DAMAGED: StateAndReasonTexts(
        "damaged in the state",
        "The record of what was sent is damaged, and a new request may count twice.",
        _LOOK_IT_UP,
    ),
    Reason.NO_OUTCOME: StateAndReasonTexts("no outcome", "The platform never reported the outcome.", _LOOK_IT_UP),
    Reason.PARTLY_REFUSED: StateAndReasonTexts(
        "partly refused", "The platform refused part of the request without saying which.", _LOOK_IT_UP
    ),
    Reason.MISCOUNTED: StateAndReasonTexts(
        "miscounted", "The platform's count differs from what it was sent.", _LOOK_IT_UP
    ),
}

STATES: Mapping[DeliveryState, StateAndReasonTexts] = {
    DeliveryState.SKIPPED: StateAndReasonTexts("not counted", "It is on record and does not count."),
    DeliveryState.PENDING: StateAndReasonTexts("waiting", "It will be sent."),
    DeliveryState.WITHHELD: StateAndReasonTexts(
        "held back", "It is not sent as things stand, and goes out by itself once the cause is fixed.", ""
    ),
    DeliveryState.IN_FLIGHT: StateAndReasonTexts(
        "being sent",
        "It was being sent when the last run ended.",
        "Nothing to do; the next run sends the same bytes again.",
    ),
    DeliveryState.SUBMITTED: StateAndReasonTexts(
        "received, outcome awaited",
        "The platform has received it but not reported the outcome yet.",
        "Nothing to do; the next run asks.",
    ),
    DeliveryState.IN_DOUBT: StateAndReasonTexts(
        "in doubt",
        "It was sent and the answer was lost, so nobody knows yet whether it arrived.",
        "Nothing to do: the next night sends the same bytes again; with `in_doubt: ask` you decide.",
    ),
    DeliveryState.ACCEPTED: StateAndReasonTexts("accepted", "The platform accepted it."),
    DeliveryState.REJECTED: StateAndReasonTexts("rejected", "The platform refused it.", ""),
    DeliveryState.EXPIRED: StateAndReasonTexts("expired", "Its time ran out before it could be sent.", ""),
    DeliveryState.CANCELLED: StateAndReasonTexts("cancelled", "It was cancelled before it was sent.", ""),
    DeliveryState.UNCONFIRMED: StateAndReasonTexts(
        "unconfirmed", "It was sent, but the platform will not say whether it counted this one.", _LOOK_IT_UP
    ),
}

DATA_MANAGER = "PROCESSING_ERROR_REASON_"
"""Prefix of the Data Manager API's codes."""
LOCAL = "LOCAL_"
"""Prefix of the codes of our own refusals, made before anything was sent."""
_IN_TIME = "though it was in time by your settings."
"""We send nothing that is too late by our own windows, so a platform that says so has a narrower one."""

PLATFORM_CODES: Mapping[tuple[str, ...], StateAndReasonTexts] = {
    (f"{DATA_MANAGER}CLICK_NOT_FOUND", "EVENT_NOT_FOUND"): StateAndReasonTexts(
        "click not found",
        "The platform does not know this click id.",
        "If it happens often, the click id is cut or changed on its way into Oplead: compare one with its form.",
    ),
    (
        *("INVALID_GCLID", "INVALID_GBRAID", "INVALID_WBRAID"),
        *("UNPARSEABLE_GCLID", "UNPARSEABLE_GBRAID", "UNPARSEABLE_WBRAID", "100/2804001"),
    ): StateAndReasonTexts(
        "click id not readable",
        "The platform cannot read this click id.",
        "Check that the form and Oplead store the click id whole, with its capitals.",
    ),
    ("INVALID_OPERATING_ACCOUNT_FOR_CLICK", "INVALID_CUSTOMER_FOR_CLICK", "UNAUTHORIZED_CUSTOMER"): StateAndReasonTexts(
        "another account's click",
        "The click was on an ad of another Google Ads account.",
        "Check `customer_id`; the click belongs to the account that ran the ad.",
    ),
    ("CONVERSION_PRECEDES_CLICK", "CONVERSION_PRECEDES_EVENT"): StateAndReasonTexts(
        "before its click",
        "Oplead dates the change before the click it is attributed to.",
        "Correct the status date in Oplead.",
    ),
    ("EVENT_TOO_OLD", "EXPIRED_EVENT"): StateAndReasonTexts(
        "too old for Google",
        f"Google answered that it is too old, {_IN_TIME}",
        "Nothing to do for this lead. Check the action's click window (`click_window_days`); a click whose time is "
        "not known, and taken from the lead's creation, may be older.",
    ),
    ("DENIED_CONSENT",): StateAndReasonTexts(
        "consent denied at Google",
        "Google treats consent for this lead's data as denied, because of what was sent or of an account default.",
        "Compare `consent` with the consent defaults of the Google Ads account: they decide if none was sent.",
    ),
    ("UNKNOWN_CONSENT",): StateAndReasonTexts(
        "consent unclear to Google",
        "From what was sent and the account's settings, Google cannot tell whether this lead's data may be used.",
        "Give `consent.ad_user_data` a field, or set the consent defaults of the Google Ads account.",
    ),
    ("DUPLICATE_TRANSACTION_ID", "ORDER_ID_ALREADY_IN_USE"): StateAndReasonTexts(
        "already there, not by us",
        "The platform already has this conversion, and not from this ledger.",
        "Find out what else sends conversions to this action. If the state was restored from a backup, this may be "
        "one of ours: it counts, and there is nothing to do.",
    ),
    ("CLICK_NOT_FOUND",): StateAndReasonTexts(
        "no ad click found",
        "The platform finds no ad click from what was sent about the lead.",
        "Nothing to do: this is usual for leads that are sent by contact data and came without an ad.",
    ),
    ("CLICK_CONVERSION_ALREADY_EXISTS",): StateAndReasonTexts(
        "click counted already",
        "The platform already has a conversion of this click at this very second, and accepts only one.",
        "Nothing to do if it is a duplicate lead; otherwise find out what else sends to this action.",
    ),
    ("CONVERSION_NOT_FOUND",): StateAndReasonTexts(
        "nothing to correct",
        "The platform does not find the conversion to correct, so it keeps counting as reported.",
        "Correct it in Google Ads. If it went through the Data Manager API and this happens to all of them, remove "
        "`undo_via`: their value then becomes 0 instead.",
    ),
    ("100/2804003",): StateAndReasonTexts(
        "too old for Meta",
        f"Meta answered that it is too old, {_IN_TIME}",
        "Nothing to do for this lead. Compare the date that Oplead gives its status with when it happened.",
    ),
    ("100/2804036",): StateAndReasonTexts(
        "lead_id not known",
        "Meta does not know this lead_id.",
        "Check that Oplead stores the id of the form's lead whole: 15 to 17 digits, no rounding.",
    ),
    ("100/2804050",): StateAndReasonTexts(
        "too little about the person",
        "Meta cannot identify a person from what was sent.",
        "Have the form ask for an e-mail address or a phone.",
    ),
}
"""Keyed by the platforms' codes. Meta doesn't document its subcodes; these come from others' reports.

https://developers.google.com/data-manager/api/reference/rest/v1/ProcessingErrorReason
https://developers.google.com/google-ads/api/reference/rpc/v26/ConversionUploadErrorEnum.ConversionUploadError
https://developers.google.com/google-ads/api/reference/rpc/v26/ConversionAdjustmentUploadErrorEnum.ConversionAdjustmentUploadError
"""
SETTINGS_CODES: Mapping[str, StateAndReasonTexts] = {
    "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE": StateAndReasonTexts(
        "closed to your project",
        "The Google Ads API accepts uploads only from Google Cloud projects that used it before June 2026.",
        "Write `transport: data_manager` under `google_ads`, then run `check --live`.",
    ),
    f"{DATA_MANAGER}NO_CONSENT": StateAndReasonTexts(
        "advertiser's consent",
        "The advertiser has not consented to Google's core platform services: a setting of the account.",
        "Have the Google Ads account's manager give that consent in its settings; then it goes out by itself.",
    ),
}
"""Codes of waiting deliveries that no retry can change: they go out once the settings are fixed."""

STOPS: Mapping[StopKind, str] = {
    StopKind.REFUSED: "{answers}",
    StopKind.UNAVAILABLE: "{answers}",
    StopKind.NOTHING_PASSES: "nothing passes, everything is refused: {answers}",
    StopKind.NO_ANSWER: "{answers}, at every try",
    StopKind.ASKED_TO_WAIT: "{answers}; it asks for {wait}",
    StopKind.KEPT_FAILING: "{answers}, {times} times",
}

_STILL_STORED = "does the form still store it?"
_RENAMED = "status {before!r} seems to be called {after!r} now on {leads:lead}"
MESSAGES: Mapping[MessageId, str] = {
    MessageId.NONE_CAN_BE_SENT: "conversions qualify tonight and none of them can be sent: {reason} ({there})",
    MessageId.HALF_STOPPED: "one reason stops at least half of tonight's conversions: {reason} ({there})",
    MessageId.WHERE_EXCLUDES_ALL: (
        "{count:lead} reached the stage of {conversion!r} and `where` let none of them through to {destination}: "
        "compare its values with Oplead's"
    ),
    MessageId.CONSENT_EMPTY: "the consent field {path} is empty on each of the last {count:lead}: is the path right?",
    MessageId.WHERE_EMPTY: (
        "{path}, which a `where` looks at, is empty on each of the last {count:lead}: is the path right?"
    ),
    MessageId.WHERE_UNLISTED: (
        "none of the last {count:lead} has a value at {path} that a `where` lists: compare its values with Oplead's"
    ),
    MessageId.AMOUNT_NEVER_SEEN: (
        "no lead has an amount at {path}, the value field: conversions without one are held back, whatever "
        "`otherwise` says; fix the path, or write a number as `value`"
    ),
    MessageId.AMOUNT_EMPTY: (
        "the value field {path} is empty on each of the last {count} that reached its stage: is the path right?"
    ),
    MessageId.CLICK_SHARE_COLLAPSED: (
        "{now} % of the leads of the last {days} days have a click id, {then} % of those before had: " + _STILL_STORED
    ),
    MessageId.CLICK_IDS_STOPPED: (
        "none of the last {count:lead} has a click id, {then} % of those before had: " + _STILL_STORED
    ),
    MessageId.CLICK_IDS_CUT: (
        "{damaged} of the last {count} click ids ({kind}) are {length} characters long and none is longer: "
        "they look cut off on their way into Oplead"
    ),
    MessageId.CLICK_IDS_LOWERED: (
        "{damaged} of the last {count} click ids ({kind}) have no capital letter: something puts them in lowercase on "
        "their way into Oplead"
    ),
    MessageId.STOPPED_THERE: "{stopped} of {count} for {destination}",
    MessageId.RENAMED_WITHIN_STAGE: _RENAMED + ": both names are listed in one place, so there is nothing to do",
    MessageId.RENAMED_TO_KNOWN: (
        _RENAMED + ": nothing is sent for them. Did they really move to another status? Then write {before!r} "
        "under its own stage or `ignored_statuses`"
    ),
    MessageId.RENAMED_TO_UNKNOWN: (
        _RENAMED + ": write {after!r} where {before!r} stands. Did they really move to another status? Then write it "
        "under its own stage or `ignored_statuses`"
    ),
    MessageId.RENAMED_BETWEEN_UNKNOWN: _RENAMED + ": write {after!r} under a stage or `ignored_statuses`",
    MessageId.REJECTED: "{count} rejected{leads: (lead %s)}: `explain` says why",
    MessageId.WOULD_BE_REJECTED: "{count} would be rejected{leads: (lead %s)}",
    MessageId.EXCESS_VOLUME: (
        "{due} {what} are due and one night may send {allowed} (the largest of the last {nights} nights sent "
        "{largest}): they are held until someone approves them with `run --accept-volume`"
    ),
    MessageId.HELD_THERE: "{scope}: {excess}",
    MessageId.UNCONFIRMED: (
        "{count} unconfirmed: the platform will not say whether {count:it|they} counted{requests:: %s}"
    ),
    MessageId.UNRESOLVED_REQUEST: "request {ticket} at {destination}, {cause}{detail: (%s)}",
    MessageId.IN_DOUBT: "{count} in doubt: an answer was lost; the next night sends the same bytes again",
    MessageId.IN_DOUBT_ASKS: (
        "{count} in doubt: an answer was lost, and `in_doubt: ask` leaves it to you. To send them again, which may "
        "count twice, write `in_doubt: resend` within 48 h; otherwise they become unconfirmed"
    ),
    MessageId.PUT_OFF: (
        "{count} put off by the platform again{leads: (lead %s)}: they go out while they are still in time; "
        "`explain` shows its answer"
    ),
    MessageId.UNREADABLE: "{count:lead} could not be read: `status` lists {count:it|them}",
    MessageId.STILL_UNREADABLE: "{count:lead} still cannot be read: `status` lists {count:it|them}",
    MessageId.UNKNOWN_STATUSES: (
        "{count:lead with a click id has|leads with a click id have} a status in neither `stages` nor "
        "`ignored_statuses`"
    ),
    MessageId.STILL_UNKNOWN_STATUSES: "still in neither `stages` nor `ignored_statuses`: {labels}",
    MessageId.SUSPICIOUSLY_MISSING: "{count:lead} {count:is|are} no longer there: does the key still see every lead?",
    MessageId.UNREAD: (
        "{count:lead} {count:was|were} not read: the list alone used up `oplead.budget` or `oplead.max_requests`, "
        "so no change was seen"
    ),
    MessageId.NO_DETAIL_PAGES: "leads that are listed have no page of their own: see oplead.lead_path",
    MessageId.INBOX_UNREADABLE: (
        "the webhooks' inbox cannot be read, so changes are found and dated without it ({why}): restore it, or move it "
        "away and restart the receiver"
    ),
    MessageId.REPORTED_UNREAD: (
        "{count:lead} that webhooks reported could not be read ({why}); the next run reads what is left"
    ),
    MessageId.INBOX_DAMAGED: (
        "{count:event} in the webhooks' inbox {count:is|are} damaged and left out, so a change may be dated without "
        "{count:it|them}: restore the inbox from a backup"
    ),
    MessageId.UNKNOWN_WEBHOOKS: (
        "{count:webhook} not understood, nothing was read from {count:it|them}: name under `webhooks.fields` what "
        "{structures} holds"
    ),
}

ANOMALY_TITLES: Mapping[MessageId, str] = {
    **dict.fromkeys(
        (
            *(MessageId.NONE_CAN_BE_SENT, MessageId.HALF_STOPPED, MessageId.WHERE_EXCLUDES_ALL),
            *(MessageId.CONSENT_EMPTY, MessageId.WHERE_EMPTY, MessageId.WHERE_UNLISTED),
            *(MessageId.CLICK_SHARE_COLLAPSED, MessageId.CLICK_IDS_STOPPED),
            *(MessageId.CLICK_IDS_CUT, MessageId.CLICK_IDS_LOWERED),
        ),
        "Conversions may be missing",
    ),
    MessageId.AMOUNT_NEVER_SEEN: "Conversions are held back",
    MessageId.AMOUNT_EMPTY: "Amounts may be missing",
}
INCIDENTS: Mapping[IncidentKind, Notice] = {
    IncidentKind.SOURCE: Notice(
        "Oplead cannot be read",
        "{why}\nWhat was read before is still sent; nothing new is found until this is fixed. "
        "`oplead-sync check --live` shows what Oplead answers.",
    ),
    IncidentKind.STOPPED: Notice(
        "{about} stopped",
        "{why}\nNothing goes there. What is due waits, and goes out by itself once this is fixed if it is still in "
        "time. `oplead-sync check --live` shows what the platform answers.",
    ),
    IncidentKind.EXPIRING: Notice(
        "{about}: {soon:conversion} will expire",
        "{soon:conversion} at {about} {soon:expires|expire} by {last:%Y-%m-%d} unless {held:someone approves "
        "{soon:it|them} with `oplead-sync run --accept-volume`|this is fixed}; the first at {first:%Y-%m-%d %H:%M}."
        "{later: %s more wait there and expire later.} An expired conversion cannot be sent any more.\n"
        "Why nothing goes there: {why}",
    ),
    IncidentKind.HELD: Notice(
        "{about}: far more than usual is held",
        "{why}.\nCheck it with `oplead-sync run --dry-run`. If it is wrong, fix the settings.",
    ),
    IncidentKind.IN_DOUBT: Notice(
        "{where}: {count:{what}} in doubt",
        "{count:{what}} {count:was|were} sent to {where}, and the answer was lost. {asks:`in_doubt: ask` leaves them "
        "to you: look one up in the platform's diagnostics; to send them again, which may count twice, write "
        "`in_doubt: resend` within 48 h.|Nothing to do yet: the next nights send the same bytes again, "
        "three times at most.}",
    ),
    IncidentKind.UNCONFIRMED: Notice(
        "{where}: {count:{what}} unconfirmed",
        "{count:{what}} {count:was|were} sent to {where}, but the platform will not say whether {count:it|they} "
        "counted. {count:It is|They are} not sent again: look in the platform's own diagnostics; "
        "{corrections:`oplead-sync explain` of its lead|`oplead-sync status`} shows why.",
    ),
    IncidentKind.REJECTED: Notice(
        "{where} rejects {share} of {corrections:the corrections|what} it settles",
        "{rejected} of {settled:{what}} settled tonight were rejected{codes: (%s)}.\n"
        "`oplead-sync explain LEAD` says why{leads:, for lead %s}.",
    ),
    IncidentKind.ACCEPTANCE: Notice(
        "{about} accepts fewer than usual",
        "{accepted} of {settled:conversion} settled tonight were accepted, {share}; usual is {usual}, the median of "
        "the last nights.\n`oplead-sync status` shows the reasons.",
    ),
    IncidentKind.NOTHING_SENT: Notice(
        "{about}: nothing was sent tonight",
        "Half of the last {nights} nights sent {sends:g} conversions or more to {about}; tonight sent none, and "
        "nothing has stopped.\nDid anyone enter statuses in Oplead? `oplead-sync status` shows what is held back, and "
        "why.",
    ),
    IncidentKind.ANOMALY: Notice("{title}", "{anomaly}\n`oplead-sync status` shows where everything stands."),
    IncidentKind.ENDS: Notice(
        "{about} is near its end",
        "{about} {is_estimate:may end from {on} on (no day is named yet; this is the earliest)|ends {on}}: {page}\n"
        "Install a newer oplead-sync before that; afterwards every call is refused, and conversions wait until it is "
        "done.",
    ),
}
