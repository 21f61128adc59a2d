"""Every reason and state in a marketer's words: what it means, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import Cause, Reason


@dataclass(frozen=True, slots=True)
class Words:
    """How something is said."""

    short: str
    """A few words, for a table."""
    means: str
    """A sentence."""
    todo: str
    """What to do, or that there is nothing to do."""


NOTHING = "Nothing to do."
ZERO_MAY_BE_FINAL = "Google's help calls a value of 0 final: see in Google Ads whether this one rose again."
"""Of a value that was taken away and is given back: https://support.google.com/google-ads/answer/7686447."""

_LOOK_IT_UP = "Look the request up in the platform's diagnostics; it is not sent again."

REASONS: Mapping[Reason, Words] = MappingProxyType(
    {
        # ── there is no such conversion ──────────────────────────────────────────────────────────
        Reason.STAGE_NOT_REACHED: Words(
            "stage not reached",
            "The lead has not reached this conversion's stage yet.",
            "Nothing to do; it goes out once Oplead shows the lead there.",
        ),
        Reason.WHERE_DOES_NOT_MATCH: Words(
            "where does not match",
            "The lead does not meet the `where` of this conversion or destination.",
            "Nothing to do, unless the `where` in the settings is too narrow.",
        ),
        Reason.ANOTHER_WAY: Words(
            "goes another way",
            "A lead from one of Meta's own forms goes through `meta.funnel`, any other goes as a conversion.",
            "Nothing to do.",
        ),
        Reason.ANOTHER_PLATFORM: Words(
            "another platform's ad",
            "The lead came by another platform's ad.",
            "Nothing to do; if a click id of this platform turns up, it counts here too.",
        ),
        Reason.SENT_ELSEWHERE: Words(
            "sent elsewhere",
            "The platform has it already: by another route, or at another destination before the lead was moved.",
            "Nothing to do: it must not count twice.",
        ),
        # ── it happened before its start ─────────────────────────────────────────────────────────
        Reason.BEFORE_SINCE: Words(
            "before its start",
            "It happened before this conversion began to count.",
            "Nothing to do; `oplead-sync backfill` sends older changes once, an earlier `since` makes them count.",
        ),
        Reason.BASELINE: Words(
            "already so at first sight",
            "The lead was in this stage when it was first read, and Oplead does not say since when.",
            "Nothing to do; if Oplead does date its statuses, name the field in `oplead.fields.status_at`.",
        ),
        Reason.ALREADY_SENT: Words(
            "told by other means",
            "`backfill --already-sent` says that the platform has it by other means.",
            "Nothing to do: it must not count twice.",
        ),
        Reason.UNDONE: Words(
            "lost before it was sent",
            "The lead moved to a stage that undoes the conversion, and stayed there for `undo_after`.",
            "Nothing to do: it goes out only if the lead enters the stage again.",
        ),
        # ── it is corrected ──────────────────────────────────────────────────────────────────────
        Reason.NOT_UNDOABLE: Words(
            "cannot be taken back",
            "The lead is lost again, and the interface this conversion went through does not support retraction.",
            "Nothing to do; if it went to Google, `undo_via: google_ads_api` may be able to retract it.",
        ),
        Reason.TOO_LATE_TO_CORRECT: Words(
            "too late to correct",
            "It happened so long ago that the platform no longer accepts corrections.",
            "Nothing to do.",
        ),
        Reason.MAY_COME_BACK: Words(
            "may come back",
            "The lead is lost, and may be won again: after `undo_after` the conversion is undone, or cancelled if it "
            "was not sent yet.",
            NOTHING,
        ),
        Reason.STANDS_AGAIN: Words(
            "stands again",
            "No correction is needed any more: all is as it was reported, or the settings no longer ask for one.",
            NOTHING,
        ),
        # ── it waits ─────────────────────────────────────────────────────────────────────────────
        Reason.DUE: Words("goes out next", "It is ready and goes out with the next run.", NOTHING),
        Reason.EXCESS_VOLUME: Words(
            "held: far more than usual",
            "Far more conversions are due for this destination than a night usually sends, so nothing new goes there.",
            "Look at them with `run --dry-run`; if they are right, run `oplead-sync run --accept-volume`.",
        ),
        Reason.CLICK_TOO_RECENT: Words(
            "click too recent",
            "The platform does not know clicks of the last few hours yet.",
            "Nothing to do; it goes out by itself once the click is old enough.",
        ),
        Reason.NOON_AWAITED: Words(
            "waits for noon",
            "Oplead gives the day of the change but no time; it is reported as noon of that day, still to come.",
            "Nothing to do; it goes out by itself.",
        ),
        Reason.VALUE_AWAITED: Words(
            "waits for its amount",
            "The amount is not in Oplead yet; the conversion waits for it.",
            "Enter the amount in Oplead; otherwise it goes out with `value.otherwise` when the wait is over.",
        ),
        Reason.NOT_SENT: Words(
            "to be tried again", "The last attempt did not get through.", "Nothing to do; the next run tries again."
        ),
        Reason.RETRY: Words("to be sent again", "`oplead-sync retry` put it back in the queue.", NOTHING),
        # ── it is held back and may mend ─────────────────────────────────────────────────────────
        Reason.CONSENT_MISSING: Words(
            "consent not asked",
            "The lead has no answer in its consent field, so its data may not be used for advertising.",
            "Have the form ask for consent and write the answer to the field that `consent` names.",
        ),
        Reason.CONSENT_REFUSED: Words(
            "consent refused",
            "The lead said no to the use of its data for advertising.",
            "Nothing to do: it must not be sent.",
        ),
        Reason.CONSENT_UNKNOWN: Words(
            "consent unclear",
            "The consent field holds an answer that the settings list neither as yes nor as no.",
            "Read the answer in Oplead and add it to `granted` or `refused` under `consent`, or correct it there.",
        ),
        Reason.NO_CLICK_ID: Words(
            "no usable click id",
            "Oplead holds no click id of this platform for the lead, so the ad cannot be found.",
            "Have the form store the click id (gclid, fbclid) in leadData.externalID. "
            "Leads that came without an ad stay here, and that is right.",
        ),
        Reason.NO_IDENTIFIER: Words(
            "nothing to identify it by",
            "The lead has neither a click id of this platform nor an e-mail or phone that can be used, "
            "nor, for Meta, first and last name with a postcode or town.",
            "Have the form store the click id (gclid, fbclid) and a valid e-mail address or phone.",
        ),
        Reason.VALUE_MISSING: Words(
            "no amount",
            "The amount stayed empty and the conversion has no value to use instead.",
            "Enter the amount in Oplead, or write `value.otherwise` under the conversion.",
        ),
        Reason.VALUE_NEVER_SEEN: Words(
            "no lead has an amount",
            "No lead has an amount where `value.field` looks for it, so that path is likely to be wrong.",
            "Write the amount's path as `value.field` (`oplead-sync probe` shows it), or a number as `value`.",
        ),
        Reason.VALUE_UNREADABLE: Words(
            "amount unreadable",
            "The amount in Oplead cannot be read as one number; `value.otherwise` replaces a missing amount only.",
            "Correct it in Oplead: 12 500,00 is read, words are not.",
        ),
        Reason.TIME: Words(
            "time not believable",
            "Oplead dates the change before the lead's creation or in the future.",
            "Correct the status date in Oplead.",
        ),
        Reason.TO_BE_READ_AGAIN: Words(
            "to be read again",
            "The settings now need other fields of the lead, which has not been read again yet.",
            "Nothing to do; the next full read of Oplead settles it.",
        ),
        Reason.COUNTED_ALREADY: Words(
            "counted already",
            "The same click or person already counts through another lead (`count_once_per`).",
            "Nothing to do; if the other never goes out, this one will.",
        ),
        Reason.EXCLUDED: Words(
            "test lead",
            "By the settings' `exclude` this is a test lead, so nothing is sent for it.",
            "Nothing to do; if it is a real lead, narrow `exclude` and it goes out.",
        ),
        Reason.NOT_CONFIGURED: Words(
            "no longer in the settings",
            "The settings no longer have this conversion for this destination; it is held back, not forgotten.",
            "If that was a slip, put the conversion back and it goes out; otherwise nothing.",
        ),
        # ── it is with the platform ──────────────────────────────────────────────────────────────
        Reason.SENDING: Words("request begun", "The request that carries it was about to be made.", NOTHING),
        Reason.RECEIVED: Words("received", "The platform took the request in.", NOTHING),
        Reason.ANSWER_LOST: Words("answer lost", "The request was made and no answer came.", NOTHING),
        Reason.RUN_DIED: Words("run died", "The run died before it had an answer.", NOTHING),
        # ── it was sent more than once ───────────────────────────────────────────────────────────
        Reason.MAY_COUNT_TWICE: Words(
            "may count twice",
            "Its answer was lost, so it was sent again and accepted; the platform does not promise to count it once.",
            "Nothing to do; if that is worse than losing one, write `in_doubt: ask` under `meta`.",
        ),
        # ── it will not go out ───────────────────────────────────────────────────────────────────
        Reason.WINDOW_CLOSED: Words(
            "too late",
            "The click, or the event itself, is older than the platform accepts.",
            "Nothing to do for this lead; if it was held for something until then, fix that for the next ones.",
        ),
        Reason.LEAD_DELETED: Words(
            "lead deleted",
            "Oplead has not had this lead on two nights: it was deleted, or merged with another.",
            "Nothing to do; if the lead reappears, this carries on while it is still in time.",
        ),
        Reason.CONSENT_WITHDRAWN: Words(
            "consent withdrawn",
            "The lead withdrew its consent before the conversion was sent.",
            "Nothing to do: it must not be sent.",
        ),
        # ── nobody will know ─────────────────────────────────────────────────────────────────────
        Reason.NO_ANSWER: Words("no answer", "No answer ever came, however often it was asked for.", _LOOK_IT_UP),
        Reason.REPLAY_COUNTS_TWICE: Words(
            "no answer in time", "No answer came, and by now the platform would count it twice.", _LOOK_IT_UP
        ),
        Reason.TOO_OLD_TO_REPLAY: Words(
            "too old to be sent again", "No answer came, and the platform would refuse it as too old.", _LOOK_IT_UP
        ),
        Reason.DAMAGED: Words(
            "damaged in the state",
            "What was sent is damaged in the state, and other bytes may count twice.",
            _LOOK_IT_UP,
        ),
        Reason.NO_OUTCOME: Words("no outcome", "The platform never told the outcome.", _LOOK_IT_UP),
        Reason.PARTLY_REFUSED: Words(
            "some of it refused", "The platform refused part of the request and does not say which.", _LOOK_IT_UP
        ),
        Reason.MISCOUNTED: Words(
            "miscounted", "The platform counted fewer than it was sent, and does not say which.", _LOOK_IT_UP
        ),
    }
)

STATES: Mapping[DeliveryState, Words] = MappingProxyType(
    {
        DeliveryState.SKIPPED: Words("not counted", "It is on record and does not count.", NOTHING),
        DeliveryState.PENDING: Words("waiting", "It will be sent.", NOTHING),
        DeliveryState.WITHHELD: Words(
            "held back", "It is not sent as things stand, and goes out by itself once the cause is fixed.", ""
        ),
        DeliveryState.IN_FLIGHT: Words(
            "being sent",
            "It was being sent when the last run ended.",
            "Nothing to do; the next run sends the same bytes again.",
        ),
        DeliveryState.SUBMITTED: Words(
            "received, outcome awaited",
            "The platform has it and has not said yet what became of it.",
            "Nothing to do; the next run asks.",
        ),
        DeliveryState.IN_DOUBT: Words(
            "in doubt",
            "It was sent and the answer was lost, so nobody knows yet whether it arrived.",
            "Nothing to do: the next night sends the same bytes again; with `in_doubt: ask` you decide.",
        ),
        DeliveryState.ACCEPTED: Words("accepted", "The platform has taken it.", NOTHING),
        DeliveryState.REJECTED: Words("rejected", "The platform has refused it.", ""),
        DeliveryState.EXPIRED: Words("expired", "Its time ran out before it could be sent.", ""),
        DeliveryState.CANCELLED: Words("cancelled", "It was cancelled before it was sent.", ""),
        DeliveryState.UNCONFIRMED: Words(
            "unconfirmed",
            "It was sent and the platform will not say whether it counted this one.",
            _LOOK_IT_UP,
        ),
    }
)

_PREFIX = "PROCESSING_ERROR_REASON_"
_LOCAL = "LOCAL_"
"""Begins the code of a refusal of our own, made before anything was sent."""
_UNKNOWN_CLICK = Words(
    "click not found",
    "The platform does not know this click id.",
    "If it happens often, the click id is cut or changed on its way into Oplead: compare one with its form.",
)
_UNREADABLE_CLICK = Words(
    "click id not readable",
    "The platform cannot read this click id.",
    "Check that the form and Oplead store the click id whole, with its capitals.",
)
_FOREIGN_CLICK = Words(
    "another account's click",
    "The click was on an ad of another Google Ads account.",
    "Check `customer_id`; the click belongs to the account that ran the ad.",
)
_BEFORE_CLICK = Words(
    "before its click",
    "Oplead dates the change before the click it is attributed to.",
    "Correct the status date in Oplead.",
)
_IN_TIME = "though it was in time by your settings."
"""Our own windows call nothing too late that was sent, so a platform that does knows of a narrower one."""
_TOO_OLD_FOR_GOOGLE = Words(
    "too old for Google",
    f"Google answered that it is too old, {_IN_TIME}",
    "Nothing to do for this lead. Check the action's click window (`click_window_days`); a click whose time is "
    "not known, and taken from the lead's creation, may be older.",
)
_THERE_ALREADY = Words(
    "already there, not by us",
    "The platform has this conversion already, and not from this ledger.",
    "Find out what else sends conversions to this action; where the state was restored from a backup, this may well be "
    "one of ours: it counts, and nothing is to be done.",
)
_PLATFORM: Mapping[str, Words] = MappingProxyType(
    {
        # https://developers.google.com/data-manager/api/reference/rest/v1/ProcessingErrorReason
        f"{_PREFIX}CLICK_NOT_FOUND": _UNKNOWN_CLICK,
        "INVALID_GCLID": _UNREADABLE_CLICK,
        "INVALID_GBRAID": _UNREADABLE_CLICK,
        "INVALID_WBRAID": _UNREADABLE_CLICK,
        "INVALID_OPERATING_ACCOUNT_FOR_CLICK": _FOREIGN_CLICK,
        "CONVERSION_PRECEDES_CLICK": _BEFORE_CLICK,
        "EVENT_TOO_OLD": _TOO_OLD_FOR_GOOGLE,
        "DENIED_CONSENT": Words(
            "consent denied at Google",
            "Google treats consent for this lead's data as denied, because of what was sent or of an account default.",
            "Compare `consent` with the consent defaults of the Google Ads account: they decide if none was sent.",
        ),
        "UNKNOWN_CONSENT": Words(
            "consent unclear to Google",
            "Google cannot tell whether this lead's data may be used, by what was sent and by the account's settings.",
            "Give `consent.ad_user_data` a field, or set the consent defaults of the Google Ads account.",
        ),
        "DUPLICATE_TRANSACTION_ID": _THERE_ALREADY,
        # https://developers.google.com/google-ads/api/reference/rpc/v26/ConversionUploadErrorEnum.ConversionUploadError
        "EVENT_NOT_FOUND": _UNKNOWN_CLICK,
        "CLICK_NOT_FOUND": Words(
            "no ad click found",
            "The platform finds no ad click from what was sent about the lead.",
            "Nothing to do: it is usual for leads that go by contact data and came without an ad.",
        ),
        "UNPARSEABLE_GCLID": _UNREADABLE_CLICK,
        "UNPARSEABLE_GBRAID": _UNREADABLE_CLICK,
        "UNPARSEABLE_WBRAID": _UNREADABLE_CLICK,
        "INVALID_CUSTOMER_FOR_CLICK": _FOREIGN_CLICK,
        "UNAUTHORIZED_CUSTOMER": _FOREIGN_CLICK,
        "CONVERSION_PRECEDES_EVENT": _BEFORE_CLICK,
        "EXPIRED_EVENT": _TOO_OLD_FOR_GOOGLE,
        "ORDER_ID_ALREADY_IN_USE": _THERE_ALREADY,
        "CLICK_CONVERSION_ALREADY_EXISTS": Words(
            "click counted already",
            "The platform already has a conversion of this click at this very second, and takes no second one.",
            "Nothing to do if it is a duplicate lead; otherwise find out what else sends to this action.",
        ),
        # https://developers.google.com/google-ads/api/reference/rpc/v26/ConversionAdjustmentUploadErrorEnum.ConversionAdjustmentUploadError
        "CONVERSION_NOT_FOUND": Words(
            "nothing to correct",
            "The platform does not find the conversion to correct, so it keeps counting as reported.",
            "Correct it in Google Ads. If it went through the Data Manager API and this happens to all of them, remove "
            "`undo_via`: their value then becomes 0 instead.",
        ),
        # Meta's, whose subcodes are listed nowhere: as others have met them.
        "100/2804001": _UNREADABLE_CLICK,
        "100/2804003": Words(
            "too old for Meta",
            f"Meta answered that it is too old, {_IN_TIME}",
            "Nothing to do for this lead. Compare the date that Oplead gives its status with when it happened.",
        ),
        "100/2804036": Words(
            "lead_id not known",
            "Meta does not take this lead_id.",
            "Check that Oplead stores the id of the form's lead whole: 15 to 17 digits, no rounding.",
        ),
        "100/2804050": Words(
            "too little about the person",
            "Meta cannot identify a person from what was sent.",
            "Have the form ask for an e-mail address or a phone.",
        ),
    }
)
"""By the platform's own code."""
_CLOSED: Mapping[str, Words] = MappingProxyType(
    {
        "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE": Words(
            "closed to your project",
            "The Google Ads API takes uploads only of Google Cloud projects that used it before June 2026.",
            "Write `transport: data_manager` under `google_ads`, then ask `check --live`.",
        ),
        f"{_PREFIX}NO_CONSENT": Words(
            "advertiser's consent",
            "The advertiser has not consented to Google's core platform services: a setting of the account.",
            "Whoever manages the Google Ads account gives that consent in its settings; then it goes out by itself.",
        ),
    }
)
"""Codes that no later attempt changes, of what waits: it goes out once the settings are mended."""


def names_of(state: DeliveryState, reason: Cause, held_for: Reason | None = None) -> frozenset[str]:
    """Everything a person may call a state and its reason by, in lowercase: the codes, and the words of a table.

    What expired is called by what it was held for, too.
    """
    words = words_for(state, reason)
    names = {state, STATES[state].short, reason, reason.removeprefix(_PREFIX), words.short}
    if held_for is not None:
        names |= {held_for, REASONS[held_for].short}
    return frozenset(name.casefold() for name in names if name)


def code_of(state: DeliveryState, reason: Cause) -> str:
    """The shortest of them that says both: the reason's code, or the state's where it has none."""
    return reason.removeprefix(_PREFIX) or state


def words_for(state: DeliveryState, reason: Cause, detail: str | None = None) -> Words:
    """How a state and its reason are said, perhaps with what the reason was found in."""
    if isinstance(reason, Reason):
        words, found = REASONS[reason], f" Found: {detail}." if detail else ""
        if state is DeliveryState.UNCONFIRMED:
            unconfirmed = STATES[state]
            return Words(words.short, f"{unconfirmed.means} Why: {words.short}.{found}", unconfirmed.todo)
        return Words(words.short, words.means + found, words.todo) if found else words
    if not reason:
        return STATES[state]
    if state is DeliveryState.PENDING:
        if reason in _CLOSED:
            return _CLOSED[reason]
        return Words("to be tried again", f"The last attempt did not get through ({reason}).", NOTHING)
    return _by_platform(state, reason)


def stands_why(state: DeliveryState, reason: Cause, held_for: Reason | None = None) -> str:
    """Why something stands where it does, in a few words; nothing where its state says it all."""
    words = words_for(state, reason)
    short = "" if words is STATES[state] else words.short
    return short if held_for is None else f"{short}, held for: {REASONS[held_for].short}"


def _by_platform(state: DeliveryState, code: str) -> Words:
    if code.startswith(_LOCAL):
        short = code.removeprefix(_LOCAL).replace("_", " ").lower()
        return Words(
            f"not fit to send: {short}",
            "It was not sent: the platform is known to refuse such an event, and others with it.",
            "Correct the lead in Oplead; it goes out with the next run.",
        )
    known = _PLATFORM.get(code) or _PLATFORM.get(code.removeprefix(_PREFIX))
    if known is not None:
        return known
    todo = STATES[state].todo or "Look the code up in the platform's documentation; `explain` shows the lead."
    return Words(code.removeprefix(_PREFIX), f"{STATES[state].means} It says: {code}.", todo)
