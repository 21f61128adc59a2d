"""User-facing texts: for states, reasons, platform codes, messages, stops, anomalies and incidents.

Those of states, reasons and codes are in the language of the moment when they are looked up; `sentences` translates
the others and fills in their values.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from connectors.language import N_, Plural, _
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.incident import IncidentKind
from jobs.rules.reasons import MessageId, Reason, StopKind

NOTHING = N_("Nothing to do.")


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
        return self.todo.startswith(_(NOTHING).rstrip("."))


Key = TypeVar("Key")


class _Translated(Mapping[Key, StateAndReasonTexts]):
    """Texts by key, translated whenever one is looked up."""

    def __init__(self, texts: Mapping[Key, StateAndReasonTexts]) -> None:
        self._texts = texts

    def __getitem__(self, key: Key) -> StateAndReasonTexts:
        texts = self._texts[key]
        return StateAndReasonTexts(_(texts.short), _(texts.means), texts.todo and _(texts.todo))

    def __iter__(self) -> Iterator[Key]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


@dataclass(frozen=True, slots=True)
class Part:
    """A whole message of a text, usually its only one."""

    message: str | Plural
    counts: str = "count"
    """The value that decides between the forms of a plural, which show it as `{count}`."""
    given: str = ""
    """A value without which the part is left out."""
    lacking: str = ""
    """A value with which it is left out."""


NEW_LINE = Part("\n")
"""Parts are separated by this, or by a space."""


@dataclass(frozen=True, slots=True)
class IncidentTexts:
    """A notice about an incident."""

    title: tuple[Part, ...]
    text: tuple[Part, ...]


ZERO_MAY_BE_FINAL = N_("Google's help calls a value of 0 final: check in Google Ads whether this one rose again.")
"""For a value that was set to 0 and then restored: https://support.google.com/google-ads/answer/7686447."""

_LOOK_IT_UP = N_("Look the request up in the platform's diagnostics; it is not sent again.")

REASONS: Mapping[Reason, StateAndReasonTexts] = _Translated(
    {
        # ── there is no such conversion ──────────────────────────────────────────────────────────────
        Reason.STAGE_NOT_REACHED: StateAndReasonTexts(
            N_("stage not reached"),
            N_("The lead has not reached this conversion's stage yet."),
            N_("Nothing to do; it goes out once Oplead shows the lead there."),
        ),
        Reason.WHERE_DOES_NOT_MATCH: StateAndReasonTexts(
            N_("where does not match"),
            N_("The lead does not match the `where` of this conversion or destination."),
            N_("Nothing to do, unless the `where` in the settings is too narrow."),
        ),
        Reason.ANOTHER_WAY: StateAndReasonTexts(
            N_("sent by another route"),
            N_("Leads from Meta's own forms go through `meta.funnel`; all others go as conversions."),
        ),
        Reason.ANOTHER_PLATFORM: StateAndReasonTexts(
            N_("another platform's ad"),
            N_("The lead came from another platform's ad."),
            N_("Nothing to do; if a click id of this platform turns up, it counts here too."),
        ),
        Reason.SENT_ELSEWHERE: StateAndReasonTexts(
            N_("sent elsewhere"),
            N_("The platform already has it: by another route, or from another destination before the lead was moved."),
            N_("Nothing to do: it must not count twice."),
        ),
        # ── it happened before its start ─────────────────────────────────────────────────────────────
        Reason.BEFORE_SINCE: StateAndReasonTexts(
            N_("before its start"),
            N_("It happened before this conversion began to count."),
            N_("Nothing to do; `oplead-sync backfill` sends older changes once, an earlier `since` makes them count."),
        ),
        Reason.BASELINE: StateAndReasonTexts(
            N_("already in this stage"),
            N_("The lead was already in this stage when it was first read, and Oplead does not say since when."),
            N_("Nothing to do; if Oplead dates its statuses, name the field in `oplead.fields.status_at`."),
        ),
        Reason.ALREADY_SENT: StateAndReasonTexts(
            N_("sent by other means"),
            N_("`backfill --already-sent` says that the platform has it by other means."),
            N_("Nothing to do: it must not count twice."),
        ),
        Reason.UNDONE: StateAndReasonTexts(
            N_("lost before it was sent"),
            N_("The lead moved to a stage that undoes the conversion, and stayed there for `undo_after`."),
            N_("Nothing to do: it goes out only if the lead enters the stage again."),
        ),
        # ── it is corrected ──────────────────────────────────────────────────────────────────────────
        Reason.NOT_UNDOABLE: StateAndReasonTexts(
            N_("cannot be undone"),
            N_("The lead is lost again, and the API this conversion went through does not support retraction."),
            N_("Nothing to do; if it went to Google, `undo_via: google_ads_api` may be able to retract it."),
        ),
        Reason.TOO_LATE_TO_CORRECT: StateAndReasonTexts(
            N_("too late to correct"), N_("It happened so long ago that the platform no longer accepts corrections.")
        ),
        Reason.MAY_COME_BACK: StateAndReasonTexts(
            N_("may come back"),
            N_(
                "The lead is lost but may be won again: after `undo_after` the conversion is undone, or cancelled if "
                "it has not been sent."
            ),
        ),
        Reason.STANDS_AGAIN: StateAndReasonTexts(
            N_("no correction needed"),
            N_("Everything is as it was reported, or the settings no longer ask for a correction."),
        ),
        # ── it waits ─────────────────────────────────────────────────────────────────────────────────
        Reason.DUE: StateAndReasonTexts(N_("goes out next"), N_("It is ready and goes out with the next run.")),
        Reason.EXCESS_VOLUME: StateAndReasonTexts(
            N_("held: far more than usual"),
            N_(
                "Far more conversions are due for this destination than a night usually sends, so nothing new goes "
                "there."
            ),
            N_("Check them with `run --dry-run`; if they are right, run `oplead-sync run --accept-volume`."),
        ),
        Reason.CLICK_TOO_RECENT: StateAndReasonTexts(
            N_("click too recent"),
            N_("The platform does not know clicks of the last few hours yet."),
            N_("Nothing to do; it goes out by itself once the click is old enough."),
        ),
        Reason.NOON_AWAITED: StateAndReasonTexts(
            N_("waiting for noon"),
            N_("Oplead gives the day of the change but no time; it is reported as noon of that day, still to come."),
            N_("Nothing to do; it goes out by itself."),
        ),
        Reason.VALUE_AWAITED: StateAndReasonTexts(
            N_("waiting for its amount"),
            N_("The amount is not in Oplead yet."),
            N_("Enter the amount in Oplead; otherwise it goes out with `value.otherwise` when the wait is over."),
        ),
        Reason.NOT_SENT: StateAndReasonTexts(
            N_("will be retried"),
            N_("The last attempt did not get through."),
            N_("Nothing to do; the next run tries again."),
        ),
        Reason.RETRY: StateAndReasonTexts(
            N_("will be sent again"), N_("`oplead-sync retry` put it back in the queue.")
        ),
        # ── it is held back until its cause is fixed ─────────────────────────────────────────────────
        Reason.CONSENT_MISSING: StateAndReasonTexts(
            N_("consent not asked"),
            N_("The lead's consent field is empty, so its data may not be used for advertising."),
            N_("Have the form ask for consent and write the answer to the field that `consent` names."),
        ),
        Reason.CONSENT_REFUSED: StateAndReasonTexts(
            N_("consent refused"),
            N_("The lead refused the use of its data for advertising."),
            N_("Nothing to do: it must not be sent."),
        ),
        Reason.CONSENT_UNKNOWN: StateAndReasonTexts(
            N_("consent unclear"),
            N_("The answer in the consent field is neither in `granted` nor in `refused`."),
            N_("Read the answer in Oplead and add it to `granted` or `refused` under `consent`, or correct it there."),
        ),
        Reason.NO_CLICK_ID: StateAndReasonTexts(
            N_("no usable click id"),
            N_("Oplead holds no click id of this platform for the lead, so the ad cannot be found."),
            N_(
                "Have the form store the click id (gclid, fbclid) in leadData.externalID. "
                "Leads that came without an ad stay here, as they should."
            ),
        ),
        Reason.NO_IDENTIFIER: StateAndReasonTexts(
            N_("nothing to identify it by"),
            N_(
                "The lead has neither a click id of this platform nor a usable e-mail or phone, "
                "nor, for Meta, first and last name with a postcode or town."
            ),
            N_("Have the form store the click id (gclid, fbclid) and a valid e-mail address or phone."),
        ),
        Reason.VALUE_MISSING: StateAndReasonTexts(
            N_("no amount"),
            N_("The amount stayed empty and the conversion has no value to use instead."),
            N_("Enter the amount in Oplead, or write `value.otherwise` under the conversion."),
        ),
        Reason.VALUE_NEVER_SEEN: StateAndReasonTexts(
            N_("no lead has an amount"),
            N_("No lead has an amount at the path in `value.field`, so that path is probably wrong."),
            N_("Write the amount's path as `value.field` (`oplead-sync probe` shows it), or a number as `value`."),
        ),
        Reason.VALUE_NOT_ESTIMATED: StateAndReasonTexts(
            N_("no expected value yet"),
            N_("Leads and sales on record are too few to estimate what a lead in this stage is worth."),
            N_("Wait for more sales (`oplead-sync values suggest` tells how many), or write `value.otherwise`."),
        ),
        Reason.VALUE_UNREADABLE: StateAndReasonTexts(
            N_("amount unreadable"),
            N_("The amount in Oplead cannot be read as one number; `value.otherwise` only replaces a missing amount."),
            N_("Correct it in Oplead: 12 500,00 can be read, words cannot."),
        ),
        Reason.TIME: StateAndReasonTexts(
            N_("implausible date"),
            N_("Oplead dates the change before the lead's creation or in the future."),
            N_("Correct the status date in Oplead."),
        ),
        Reason.TO_BE_READ_AGAIN: StateAndReasonTexts(
            N_("will be read again"),
            N_("The settings now need other fields of the lead, which has not been read again yet."),
            N_("Nothing to do; the next full read of Oplead settles it."),
        ),
        Reason.COUNTED_ALREADY: StateAndReasonTexts(
            N_("already counted"),
            N_("The same click or person already counts through another lead (`count_once_per`)."),
            N_("Nothing to do; if the other never goes out, this one will."),
        ),
        Reason.EXCLUDED: StateAndReasonTexts(
            N_("test lead"),
            N_("The lead matches `exclude` in the settings, so nothing is sent for it."),
            N_("Nothing to do; if it is a real lead, narrow `exclude` and it goes out."),
        ),
        Reason.NOT_CONFIGURED: StateAndReasonTexts(
            N_("no longer in the settings"),
            N_("The settings no longer have this conversion for this destination; it is held back, not forgotten."),
            N_("If that was a mistake, put the conversion back and it goes out; otherwise nothing."),
        ),
        # ── it is with the platform ──────────────────────────────────────────────────────────────────
        Reason.SENDING: StateAndReasonTexts(N_("request started"), N_("The request was about to be sent.")),
        Reason.RECEIVED: StateAndReasonTexts(N_("received"), N_("The platform received the request.")),
        Reason.ANSWER_LOST: StateAndReasonTexts(N_("answer lost"), N_("The request was sent and no answer came.")),
        Reason.RUN_DIED: StateAndReasonTexts(N_("run died"), N_("The run died before it had an answer.")),
        # ── it was sent more than once ───────────────────────────────────────────────────────────────
        Reason.MAY_COUNT_TWICE: StateAndReasonTexts(
            N_("may count twice"),
            N_(
                "Its answer was lost, so it was sent again and accepted; the platform does not guarantee to count it "
                "once."
            ),
            N_("Nothing to do; if you would rather lose one than count it twice, write `in_doubt: ask` under `meta`."),
        ),
        # ── it will not go out ───────────────────────────────────────────────────────────────────────
        Reason.WINDOW_CLOSED: StateAndReasonTexts(
            N_("too late"),
            N_("The click, or the event itself, is older than the platform accepts."),
            N_("Nothing to do for this lead; if something held it until then, fix that for the next ones."),
        ),
        Reason.LEAD_DELETED: StateAndReasonTexts(
            N_("lead deleted"),
            N_("Oplead did not have this lead on two nights: it was deleted, or merged with another."),
            N_("Nothing to do; if the lead reappears, this carries on while it is still in time."),
        ),
        Reason.CONSENT_WITHDRAWN: StateAndReasonTexts(
            N_("consent withdrawn"),
            N_("The lead withdrew its consent before the conversion was sent."),
            N_("Nothing to do: it must not be sent."),
        ),
        Reason.FORGOTTEN: StateAndReasonTexts(
            N_("forgotten"),
            N_("Its person asked to be forgotten: nothing more is sent, and no answer is asked for."),
            N_("Nothing to do."),
        ),
        # ── its outcome stays unknown ────────────────────────────────────────────────────────────────
        Reason.NO_ANSWER: StateAndReasonTexts(
            N_("no answer"), N_("No answer came, however often it was sent."), _LOOK_IT_UP
        ),
        Reason.REPLAY_COUNTS_TWICE: StateAndReasonTexts(
            N_("no answer in time"), N_("No answer came; sent again now, it would count twice."), _LOOK_IT_UP
        ),
        Reason.TOO_OLD_TO_REPLAY: StateAndReasonTexts(
            N_("too old to be sent again"),
            N_("No answer came, and the platform would now refuse it as too old."),
            _LOOK_IT_UP,
        ),
        Reason.DAMAGED: StateAndReasonTexts(
            N_("damaged in the state"),
            N_("The record of what was sent is damaged, and a new request may count twice."),
            _LOOK_IT_UP,
        ),
        Reason.NO_OUTCOME: StateAndReasonTexts(
            N_("no outcome"), N_("The platform never reported the outcome."), _LOOK_IT_UP
        ),
        Reason.PARTLY_REFUSED: StateAndReasonTexts(
            N_("partly refused"), N_("The platform refused part of the request without saying which."), _LOOK_IT_UP
        ),
        Reason.MISCOUNTED: StateAndReasonTexts(
            N_("miscounted"), N_("The platform's count differs from what it was sent."), _LOOK_IT_UP
        ),
    }
)

STATES: Mapping[DeliveryState, StateAndReasonTexts] = _Translated(
    {
        DeliveryState.SKIPPED: StateAndReasonTexts(N_("not counted"), N_("It is on record and does not count.")),
        DeliveryState.PENDING: StateAndReasonTexts(N_("waiting"), N_("It will be sent.")),
        DeliveryState.WITHHELD: StateAndReasonTexts(
            N_("held back"), N_("It is not sent as things stand, and goes out by itself once the cause is fixed."), ""
        ),
        DeliveryState.IN_FLIGHT: StateAndReasonTexts(
            N_("being sent"),
            N_("It was being sent when the last run ended."),
            N_("Nothing to do; the next run sends the same bytes again."),
        ),
        DeliveryState.SUBMITTED: StateAndReasonTexts(
            N_("received, outcome awaited"),
            N_("The platform has received it but not reported the outcome yet."),
            N_("Nothing to do; the next run asks."),
        ),
        DeliveryState.IN_DOUBT: StateAndReasonTexts(
            N_("in doubt"),
            N_("It was sent and the answer was lost, so nobody knows yet whether it arrived."),
            N_("Nothing to do: the next night sends the same bytes again; with `in_doubt: ask` you decide."),
        ),
        DeliveryState.ACCEPTED: StateAndReasonTexts(N_("accepted"), N_("The platform accepted it.")),
        DeliveryState.REJECTED: StateAndReasonTexts(N_("rejected"), N_("The platform refused it."), ""),
        DeliveryState.EXPIRED: StateAndReasonTexts(N_("expired"), N_("Its time ran out before it could be sent."), ""),
        DeliveryState.CANCELLED: StateAndReasonTexts(N_("cancelled"), N_("It was cancelled before it was sent."), ""),
        DeliveryState.UNCONFIRMED: StateAndReasonTexts(
            N_("unconfirmed"),
            N_("It was sent, but the platform will not say whether it counted this one."),
            _LOOK_IT_UP,
        ),
    }
)

DATA_MANAGER = "PROCESSING_ERROR_REASON_"
"""Prefix of the Data Manager API's codes."""
LOCAL = "LOCAL_"
"""Prefix of the codes of our own refusals, made before anything was sent."""

PLATFORM_CODES: Mapping[tuple[str, ...], StateAndReasonTexts] = _Translated(
    {
        (f"{DATA_MANAGER}CLICK_NOT_FOUND", "EVENT_NOT_FOUND"): StateAndReasonTexts(
            N_("click not found"),
            N_("The platform does not know this click id."),
            N_(
                "If it happens often, the click id is cut or changed on its way into Oplead: compare one with its form."
            ),
        ),
        (
            *("INVALID_GCLID", "INVALID_GBRAID", "INVALID_WBRAID"),
            *("UNPARSEABLE_GCLID", "UNPARSEABLE_GBRAID", "UNPARSEABLE_WBRAID", "100/2804001"),
        ): StateAndReasonTexts(
            N_("click id not readable"),
            N_("The platform cannot read this click id."),
            N_("Check that the form and Oplead store the click id whole, with its capitals."),
        ),
        (
            "INVALID_OPERATING_ACCOUNT_FOR_CLICK",
            "INVALID_CUSTOMER_FOR_CLICK",
            "UNAUTHORIZED_CUSTOMER",
        ): StateAndReasonTexts(
            N_("another account's click"),
            N_("The click was on an ad of another Google Ads account."),
            N_("Check `customer_id`; the click belongs to the account that ran the ad."),
        ),
        ("CONVERSION_PRECEDES_CLICK", "CONVERSION_PRECEDES_EVENT"): StateAndReasonTexts(
            N_("before its click"),
            N_("Oplead dates the change before the click it is attributed to."),
            N_("Correct the status date in Oplead."),
        ),
        ("EVENT_TOO_OLD", "EXPIRED_EVENT"): StateAndReasonTexts(
            N_("too old for Google"),
            N_("Google answered that it is too old, though it was in time by your settings."),
            N_(
                "Nothing to do for this lead. Check the action's click window (`click_window_days`); a click whose "
                "time is not known, and taken from the lead's creation, may be older."
            ),
        ),
        ("DENIED_CONSENT",): StateAndReasonTexts(
            N_("consent denied at Google"),
            N_(
                "Google treats consent for this lead's data as denied, because of what was sent or of an account "
                "default."
            ),
            N_("Compare `consent` with the consent defaults of the Google Ads account: they decide if none was sent."),
        ),
        ("UNKNOWN_CONSENT",): StateAndReasonTexts(
            N_("consent unclear to Google"),
            N_(
                "From what was sent and the account's settings, Google cannot tell whether this lead's data may be "
                "used."
            ),
            N_("Give `consent.ad_user_data` a field, or set the consent defaults of the Google Ads account."),
        ),
        ("DUPLICATE_TRANSACTION_ID", "ORDER_ID_ALREADY_IN_USE"): StateAndReasonTexts(
            N_("already there, not by us"),
            N_("The platform already has this conversion, and not from this ledger."),
            N_(
                "Find out what else sends conversions to this action. If the state was restored from a backup, this "
                "may be one of ours: it counts, and there is nothing to do."
            ),
        ),
        ("CLICK_NOT_FOUND",): StateAndReasonTexts(
            N_("no ad click found"),
            N_("The platform finds no ad click from what was sent about the lead."),
            N_("Nothing to do: this is usual for leads that are sent by contact data and came without an ad."),
        ),
        ("CLICK_CONVERSION_ALREADY_EXISTS",): StateAndReasonTexts(
            N_("click counted already"),
            N_("The platform already has a conversion of this click at this very second, and accepts only one."),
            N_("Nothing to do if it is a duplicate lead; otherwise find out what else sends to this action."),
        ),
        ("CONVERSION_NOT_FOUND",): StateAndReasonTexts(
            N_("nothing to correct"),
            N_("The platform does not find the conversion to correct, so it keeps counting as reported."),
            N_(
                "Correct it in Google Ads. If it went through the Data Manager API and this happens to all of them, "
                "remove `undo_via`: their value then becomes 0 instead."
            ),
        ),
        ("100/2804003",): StateAndReasonTexts(
            N_("too old for Meta"),
            N_("Meta answered that it is too old, though it was in time by your settings."),
            N_("Nothing to do for this lead. Compare the date that Oplead gives its status with when it happened."),
        ),
        ("100/2804036",): StateAndReasonTexts(
            N_("lead_id not known"),
            N_("Meta does not know this lead_id."),
            N_("Check that Oplead stores the id of the form's lead whole: 15 to 17 digits, no rounding."),
        ),
        ("100/2804050",): StateAndReasonTexts(
            N_("too little about the person"),
            N_("Meta cannot identify a person from what was sent."),
            N_("Have the form ask for an e-mail address or a phone."),
        ),
    }
)
"""Keyed by the platforms' codes. Meta doesn't document its subcodes; these come from others' reports.

https://developers.google.com/data-manager/api/reference/rest/v1/ProcessingErrorReason
https://developers.google.com/google-ads/api/reference/rpc/v26/ConversionUploadErrorEnum.ConversionUploadError
https://developers.google.com/google-ads/api/reference/rpc/v26/ConversionAdjustmentUploadErrorEnum.ConversionAdjustmentUploadError
"""
SETTINGS_CODES: Mapping[str, StateAndReasonTexts] = _Translated(
    {
        "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE": StateAndReasonTexts(
            N_("closed to your project"),
            N_("The Google Ads API accepts uploads only from Google Cloud projects that used it before June 2026."),
            N_("Write `transport: data_manager` under `google_ads`, then run `check --live`."),
        ),
        f"{DATA_MANAGER}NO_CONSENT": StateAndReasonTexts(
            N_("advertiser's consent"),
            N_("The advertiser has not consented to Google's core platform services: a setting of the account."),
            N_("Have the Google Ads account's manager give that consent in its settings; then it goes out by itself."),
        ),
    }
)
"""Codes of waiting deliveries that no retry can change: they go out once the settings are fixed."""

STOPS: Mapping[StopKind, str] = {
    StopKind.REFUSED: "{answers}",
    StopKind.UNAVAILABLE: "{answers}",
    StopKind.NOTHING_PASSES: N_("nothing passes, everything is refused: {answers}"),
    StopKind.NO_ANSWER: N_("{answers}, at every try"),
    StopKind.ASKED_TO_WAIT: N_("{answers}; it asks for {wait}"),
    StopKind.KEPT_FAILING: N_("{answers}, {times} times"),
}

MESSAGES: Mapping[MessageId, tuple[Part, ...]] = {
    MessageId.NONE_CAN_BE_SENT: (
        Part(N_("conversions qualify tonight and none of them can be sent: {reason} ({there})")),
    ),
    MessageId.HALF_STOPPED: (Part(N_("one reason stops at least half of tonight's conversions: {reason} ({there})")),),
    MessageId.WHERE_EXCLUDES_ALL: (
        Part(
            N_(
                "{count} lead reached the stage of '{conversion}' and `where` let none through to {destination}: "
                "compare its values with Oplead's",
                "{count} leads reached the stage of '{conversion}' and `where` let none of them through to "
                "{destination}: compare its values with Oplead's",
            )
        ),
    ),
    MessageId.CONSENT_EMPTY: (
        Part(
            N_(
                "the consent field {path} is empty on the last lead: is the path right?",
                "the consent field {path} is empty on each of the last {count} leads: is the path right?",
            )
        ),
    ),
    MessageId.WHERE_EMPTY: (
        Part(
            N_(
                "{path}, which a `where` looks at, is empty on the last lead: is the path right?",
                "{path}, which a `where` looks at, is empty on each of the last {count} leads: is the path right?",
            )
        ),
    ),
    MessageId.WHERE_UNLISTED: (
        Part(
            N_(
                "the last lead has no value at {path} that a `where` lists: compare its values with Oplead's",
                "none of the last {count} leads has a value at {path} that a `where` lists: compare its values with "
                "Oplead's",
            )
        ),
    ),
    MessageId.AMOUNT_NEVER_SEEN: (
        Part(
            N_(
                "no lead has an amount at {path}, the value field: conversions without one are held back, whatever "
                "`otherwise` says; fix the path, or write a number as `value`"
            )
        ),
    ),
    MessageId.AMOUNT_EMPTY: (
        Part(
            N_("the value field {path} is empty on each of the last {count} that reached its stage: is the path right?")
        ),
    ),
    MessageId.CLICK_SHARE_COLLAPSED: (
        Part(
            N_(
                "{now} % of the leads of the last {days} days have a click id, {then} % of those before had: does the "
                "form still store it?"
            )
        ),
    ),
    MessageId.CLICK_IDS_STOPPED: (
        Part(
            N_(
                "the last lead has no click id, {then} % of those before had: does the form still store it?",
                "none of the last {count} leads has a click id, {then} % of those before had: does the form still "
                "store it?",
            )
        ),
    ),
    MessageId.CLICK_IDS_CUT: (
        Part(
            N_(
                "{damaged} of the last {count} click ids ({kind}) are {length} characters long and none is longer: "
                "they look cut off on their way into Oplead"
            )
        ),
    ),
    MessageId.CLICK_IDS_LOWERED: (
        Part(
            N_(
                "{damaged} of the last {count} click ids ({kind}) have no capital letter: something puts them in "
                "lowercase on their way into Oplead"
            )
        ),
    ),
    MessageId.STOPPED_THERE: (Part(N_("{stopped} of {count} for {destination}")),),
    MessageId.RENAMED_WITHIN_STAGE: (
        Part(
            N_(
                "status '{before}' seems to be called '{after}' now on {count} lead: both names are listed in one "
                "place, so there is nothing to do",
                "status '{before}' seems to be called '{after}' now on {count} leads: both names are listed in one "
                "place, so there is nothing to do",
            ),
            counts="leads",
        ),
    ),
    MessageId.RENAMED_TO_KNOWN: (
        Part(
            N_(
                "status '{before}' seems to be called '{after}' now on {count} lead: nothing is sent for it. Did it "
                "really move to another status? Then write '{before}' under its own stage or `ignored_statuses`",
                "status '{before}' seems to be called '{after}' now on {count} leads: nothing is sent for them. Did "
                "they really move to another status? Then write '{before}' under its own stage or `ignored_statuses`",
            ),
            counts="leads",
        ),
    ),
    MessageId.RENAMED_TO_UNKNOWN: (
        Part(
            N_(
                "status '{before}' seems to be called '{after}' now on {count} lead: write '{after}' where '{before}' "
                "stands. Did it really move to another status? Then write it under its own stage or "
                "`ignored_statuses`",
                "status '{before}' seems to be called '{after}' now on {count} leads: write '{after}' where "
                "'{before}' stands. Did they really move to another status? Then write it under its own stage or "
                "`ignored_statuses`",
            ),
            counts="leads",
        ),
    ),
    MessageId.RENAMED_BETWEEN_UNKNOWN: (
        Part(
            N_(
                "status '{before}' seems to be called '{after}' now on {count} lead: write '{after}' under a stage or "
                "`ignored_statuses`",
                "status '{before}' seems to be called '{after}' now on {count} leads: write '{after}' under a stage "
                "or `ignored_statuses`",
            ),
            counts="leads",
        ),
    ),
    MessageId.REJECTED: (
        Part(
            N_(
                "{count} rejected (lead {leads}): `explain` says why",
                "{count} rejected (lead {leads}): `explain` says why",
            ),
            given="leads",
        ),
        Part(N_("{count} rejected: `explain` says why", "{count} rejected: `explain` says why"), lacking="leads"),
    ),
    MessageId.WOULD_BE_REJECTED: (
        Part(N_("{count} would be rejected (lead {leads})", "{count} would be rejected (lead {leads})"), given="leads"),
        Part(N_("{count} would be rejected", "{count} would be rejected"), lacking="leads"),
    ),
    MessageId.EXCESS_VOLUME: (
        Part(
            N_(
                "{due} conversions are due and one night may send {allowed} (the largest of the last "
                "{nights} nights sent {largest}): they are held until someone approves them with `run --accept-volume`"
            ),
            given="conversions",
        ),
        Part(
            N_(
                "{due} corrections are due and one night may send {allowed} (the largest of the last "
                "{nights} nights sent {largest}): they are held until someone approves them with `run --accept-volume`"
            ),
            given="corrections",
        ),
        Part(
            N_(
                "{due} conversions since the last night are due and one night may send {allowed} (the largest of the "
                "last {nights} nights sent {largest}): they are held until someone approves them with `run "
                "--accept-volume`"
            ),
            given="conversions since the last night",
        ),
        Part(
            N_(
                "{due} corrections since the last night are due and one night may send {allowed} (the largest of the "
                "last {nights} nights sent {largest}): they are held until someone approves them with `run "
                "--accept-volume`"
            ),
            given="corrections since the last night",
        ),
    ),
    MessageId.HELD_THERE: (Part(N_("{scope}: {excess}")),),
    MessageId.UNCONFIRMED: (
        Part(
            N_(
                "{count} unconfirmed: the platform will not say whether it counted: {requests}",
                "{count} unconfirmed: the platform will not say whether they counted: {requests}",
            ),
            given="requests",
        ),
        Part(
            N_(
                "{count} unconfirmed: the platform will not say whether it counted",
                "{count} unconfirmed: the platform will not say whether they counted",
            ),
            lacking="requests",
        ),
    ),
    MessageId.UNRESOLVED_REQUEST: (
        Part(N_("request {ticket} at {destination}, {cause} ({detail})"), given="detail"),
        Part(N_("request {ticket} at {destination}, {cause}"), lacking="detail"),
    ),
    MessageId.IN_DOUBT: (
        Part(
            N_(
                "{count} in doubt: an answer was lost; the next night sends the same bytes again",
                "{count} in doubt: an answer was lost; the next night sends the same bytes again",
            )
        ),
    ),
    MessageId.IN_DOUBT_ASKS: (
        Part(
            N_(
                "{count} in doubt: an answer was lost, and `in_doubt: ask` leaves it to you. To send it again, which "
                "may count twice, write `in_doubt: resend` within 48 h; otherwise it becomes unconfirmed",
                "{count} in doubt: an answer was lost, and `in_doubt: ask` leaves it to you. To send them again, "
                "which may count twice, write `in_doubt: resend` within 48 h; otherwise they become unconfirmed",
            )
        ),
    ),
    MessageId.PUT_OFF: (
        Part(
            N_(
                "{count} put off by the platform again (lead {leads}): it goes out while it is still in time; "
                "`explain` shows its answer",
                "{count} put off by the platform again (lead {leads}): they go out while they are still in time; "
                "`explain` shows its answer",
            )
        ),
    ),
    MessageId.UNREADABLE: (
        Part(
            N_(
                "{count} lead could not be read: `status` lists it",
                "{count} leads could not be read: `status` lists them",
            )
        ),
    ),
    MessageId.STILL_UNREADABLE: (
        Part(
            N_(
                "{count} lead still cannot be read: `status` lists it",
                "{count} leads still cannot be read: `status` lists them",
            )
        ),
    ),
    MessageId.UNKNOWN_STATUSES: (
        Part(
            N_(
                "{count} lead with a click id has a status in neither `stages` nor `ignored_statuses`",
                "{count} leads with a click id have a status in neither `stages` nor `ignored_statuses`",
            )
        ),
    ),
    MessageId.STILL_UNKNOWN_STATUSES: (Part(N_("still in neither `stages` nor `ignored_statuses`: {labels}")),),
    MessageId.SUSPICIOUSLY_MISSING: (
        Part(
            N_(
                "{count} lead is no longer there: does the key still see every lead?",
                "{count} leads are no longer there: does the key still see every lead?",
            )
        ),
    ),
    MessageId.UNREAD: (
        Part(
            N_(
                "{count} lead was not read: the list alone used up `oplead.budget` or `oplead.max_requests`, so no "
                "change was seen",
                "{count} leads were not read: the list alone used up `oplead.budget` or `oplead.max_requests`, so no "
                "change was seen",
            )
        ),
    ),
    MessageId.NO_DETAIL_PAGES: (Part(N_("leads that are listed have no page of their own: see oplead.lead_path")),),
    MessageId.INBOX_UNREADABLE: (
        Part(
            N_(
                "the webhooks' inbox cannot be read, so changes are found and dated without it ({why}): restore it, or "
                "move it away and restart the receiver"
            )
        ),
    ),
    MessageId.REPORTED_UNREAD: (
        Part(
            N_(
                "{count} lead that webhooks reported could not be read ({why}); the next run reads what is left",
                "{count} leads that webhooks reported could not be read ({why}); the next run reads what is left",
            )
        ),
    ),
    MessageId.INBOX_DAMAGED: (
        Part(
            N_(
                "{count} event in the webhooks' inbox is damaged and left out, so a change may be dated without it: "
                "restore the inbox from a backup",
                "{count} events in the webhooks' inbox are damaged and left out, so a change may be dated without "
                "them: restore the inbox from a backup",
            )
        ),
    ),
    MessageId.UNKNOWN_WEBHOOKS: (
        Part(
            N_(
                "{count} webhook not understood, nothing was read from it: name under `webhooks.fields` what "
                "{structures} holds",
                "{count} webhooks not understood, nothing was read from them: name under `webhooks.fields` what "
                "{structures} holds",
            )
        ),
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
        N_("Conversions may be missing"),
    ),
    MessageId.AMOUNT_NEVER_SEEN: N_("Conversions are held back"),
    MessageId.AMOUNT_EMPTY: N_("Amounts may be missing"),
}
INCIDENTS: Mapping[IncidentKind, IncidentTexts] = {
    IncidentKind.SOURCE: IncidentTexts(
        (Part(N_("Oplead cannot be read")),),
        (
            Part("{why}"),
            NEW_LINE,
            Part(N_("What was read before is still sent; nothing new is found until this is fixed.")),
            Part(N_("`oplead-sync check --live` shows what Oplead answers.")),
        ),
    ),
    IncidentKind.STOPPED: IncidentTexts(
        (Part(N_("{about} stopped")),),
        (
            Part("{why}"),
            NEW_LINE,
            Part(
                N_(
                    "Nothing goes there. What is due waits, and goes out by itself once this is fixed if it is still "
                    "in time."
                )
            ),
            Part(N_("`oplead-sync check --live` shows what the platform answers.")),
        ),
    ),
    IncidentKind.EXPIRING: IncidentTexts(
        (
            Part(
                N_("{about}: {count} conversion will expire", "{about}: {count} conversions will expire"),
                counts="soon",
            ),
        ),
        (
            Part(
                N_(
                    "{count} conversion at {about} expires at {first} unless someone approves it with `oplead-sync run "
                    "--accept-volume`.",
                    "{count} conversions at {about} expire by {last} unless someone approves them with `oplead-sync "
                    "run --accept-volume`; the first at {first}.",
                ),
                counts="soon",
                given="held",
            ),
            Part(
                N_(
                    "{count} conversion at {about} expires at {first} unless this is fixed.",
                    "{count} conversions at {about} expire by {last} unless this is fixed; the first at {first}.",
                ),
                counts="soon",
                lacking="held",
            ),
            Part(
                N_(
                    "{count} more waits there and expires later.",
                    "{count} more wait there and expire later.",
                ),
                counts="later",
                given="later",
            ),
            Part(N_("An expired conversion cannot be sent any more.")),
            NEW_LINE,
            Part(N_("Why nothing goes there: {why}")),
        ),
    ),
    IncidentKind.HELD: IncidentTexts(
        (Part(N_("{about}: far more than usual is held")),),
        (
            Part("{why}."),
            NEW_LINE,
            Part(N_("Check it with `oplead-sync run --dry-run`. If it is wrong, fix the settings.")),
        ),
    ),
    IncidentKind.IN_DOUBT: IncidentTexts(
        (
            Part(
                N_("{where}: {count} correction in doubt", "{where}: {count} corrections in doubt"),
                given="corrections",
            ),
            Part(
                N_("{where}: {count} conversion in doubt", "{where}: {count} conversions in doubt"),
                lacking="corrections",
            ),
        ),
        (
            Part(
                N_(
                    "{count} correction was sent to {where}, and the answer was lost.",
                    "{count} corrections were sent to {where}, and the answer was lost.",
                ),
                given="corrections",
            ),
            Part(
                N_(
                    "{count} conversion was sent to {where}, and the answer was lost.",
                    "{count} conversions were sent to {where}, and the answer was lost.",
                ),
                lacking="corrections",
            ),
            Part(
                N_(
                    "`in_doubt: ask` leaves them to you: look one up in the platform's diagnostics; to send them "
                    "again, which may count twice, write `in_doubt: resend` within 48 h."
                ),
                given="asks",
            ),
            Part(
                N_("Nothing to do yet: the next nights send the same bytes again, three times at most."),
                lacking="asks",
            ),
        ),
    ),
    IncidentKind.UNCONFIRMED: IncidentTexts(
        (
            Part(
                N_("{where}: {count} correction unconfirmed", "{where}: {count} corrections unconfirmed"),
                given="corrections",
            ),
            Part(
                N_("{where}: {count} conversion unconfirmed", "{where}: {count} conversions unconfirmed"),
                lacking="corrections",
            ),
        ),
        (
            Part(
                N_(
                    "{count} correction was sent to {where}, but the platform will not say whether it counted. It is "
                    "not sent again: look in the platform's own diagnostics; `oplead-sync explain` of its lead shows "
                    "why.",
                    "{count} corrections were sent to {where}, but the platform will not say whether they counted. "
                    "They are not sent again: look in the platform's own diagnostics; `oplead-sync explain` of its "
                    "lead shows why.",
                ),
                given="corrections",
            ),
            Part(
                N_(
                    "{count} conversion was sent to {where}, but the platform will not say whether it counted. It is "
                    "not sent again: look in the platform's own diagnostics; `oplead-sync status` shows why.",
                    "{count} conversions were sent to {where}, but the platform will not say whether they counted. "
                    "They are not sent again: look in the platform's own diagnostics; `oplead-sync status` shows why.",
                ),
                lacking="corrections",
            ),
        ),
    ),
    IncidentKind.REJECTED: IncidentTexts(
        (
            Part(N_("{where} rejects {share} of the corrections it settles"), given="corrections"),
            Part(N_("{where} rejects {share} of what it settles"), lacking="corrections"),
        ),
        (
            Part(
                N_(
                    "{rejected} of {count} correction settled tonight was rejected.",
                    "{rejected} of {count} corrections settled tonight were rejected.",
                ),
                counts="settled",
                given="corrections",
            ),
            Part(
                N_(
                    "{rejected} of {count} conversion settled tonight was rejected.",
                    "{rejected} of {count} conversions settled tonight were rejected.",
                ),
                counts="settled",
                lacking="corrections",
            ),
            Part(N_("The codes: {codes}."), given="codes"),
            NEW_LINE,
            Part(N_("`oplead-sync explain LEAD` says why, for lead {leads}."), given="leads"),
            Part(N_("`oplead-sync explain LEAD` says why."), lacking="leads"),
        ),
    ),
    IncidentKind.ACCEPTANCE: IncidentTexts(
        (Part(N_("{about} accepts fewer than usual")),),
        (
            Part(
                N_(
                    "{accepted} of {count} conversion settled tonight was accepted, {share}; usual is {usual}, the "
                    "median of the last nights.",
                    "{accepted} of {count} conversions settled tonight were accepted, {share}; usual is {usual}, the "
                    "median of the last nights.",
                ),
                counts="settled",
            ),
            NEW_LINE,
            Part(N_("`oplead-sync status` shows the reasons.")),
        ),
    ),
    IncidentKind.NOTHING_SENT: IncidentTexts(
        (Part(N_("{about}: nothing was sent tonight")),),
        (
            Part(
                N_(
                    "Half of the last {nights} nights sent {sends} conversions or more to {about}; tonight sent none, "
                    "and nothing has stopped."
                )
            ),
            NEW_LINE,
            Part(N_("Did anyone enter statuses in Oplead? `oplead-sync status` shows what is held back, and why.")),
        ),
    ),
    IncidentKind.ANOMALY: IncidentTexts(
        (Part("{title}"),),
        (Part("{anomaly}"), NEW_LINE, Part(N_("`oplead-sync status` shows where everything stands."))),
    ),
    IncidentKind.ENDS: IncidentTexts(
        (Part(N_("{about} is near its end")),),
        (
            Part(
                N_("{about} may end from {on} on (no day is named yet; this is the earliest): {page}"),
                given="is_estimate",
            ),
            Part(N_("{about} ends {on}: {page}"), lacking="is_estimate"),
            NEW_LINE,
            Part(
                N_(
                    "Install a newer oplead-sync before that; afterwards every call is refused, and conversions wait "
                    "until it is done."
                )
            ),
        ),
    ),
}
