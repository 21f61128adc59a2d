"""What a person reads of reasons, states, stops, anomalies and incidents, in a marketer's words."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from string import Formatter
from types import MappingProxyType
from zoneinfo import ZoneInfo

from connectors.text import counted, number
from jobs.ledger.incidents import Incident, IncidentKind, Notice
from jobs.ledger.schema import IncidentRow
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import Cause, Message, MessageId, Reason, Scope, Stop, StopKind

NOTHING = "Nothing to do."


@dataclass(frozen=True, slots=True)
class Words:
    """How something is said."""

    short: str
    """A few words, for a table."""
    means: str
    """A sentence."""
    todo: str = NOTHING
    """What to do; empty where that depends on the reason."""

    @property
    def asks_for_nothing(self) -> bool:
        """Whether nobody has to do anything, at least as things stand."""
        return self.todo.startswith(NOTHING.rstrip("."))


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
        ),
        Reason.MAY_COME_BACK: Words(
            "may come back",
            "The lead is lost, and may be won again: after `undo_after` the conversion is undone, or cancelled if it "
            "was not sent yet.",
        ),
        Reason.STANDS_AGAIN: Words(
            "stands again",
            "No correction is needed any more: all is as it was reported, or the settings no longer ask for one.",
        ),
        # ── it waits ─────────────────────────────────────────────────────────────────────────────
        Reason.DUE: Words("goes out next", "It is ready and goes out with the next run."),
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
        Reason.RETRY: Words("to be sent again", "`oplead-sync retry` put it back in the queue."),
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
        Reason.SENDING: Words("request begun", "The request that carries it was about to be made."),
        Reason.RECEIVED: Words("received", "The platform took the request in."),
        Reason.ANSWER_LOST: Words("answer lost", "The request was made and no answer came."),
        Reason.RUN_DIED: Words("run died", "The run died before it had an answer."),
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
        Reason.MISCOUNTED: Words("miscounted", "The platform counted another number than it was sent.", _LOOK_IT_UP),
    }
)

STATES: Mapping[DeliveryState, Words] = MappingProxyType(
    {
        DeliveryState.SKIPPED: Words("not counted", "It is on record and does not count."),
        DeliveryState.PENDING: Words("waiting", "It will be sent."),
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
        DeliveryState.ACCEPTED: Words("accepted", "The platform has taken it."),
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
        return Words("to be tried again", f"The last attempt did not get through ({reason}).")
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


# ── messages, stops and incidents ────────────────────────────────────────────────────────────────

_NAMED = 5
"""Leads that a sentence names."""


class _Sentence(Formatter):
    """Fills in a sentence's values; what follows a value's name says how it stands there.

    `{n:lead}` is `2 leads`, `{n:is|are}` one of the two words, `{yes:this|that}` likewise, and `{x: (%s)}` is left out
    where there is no x.
    """

    def format_field(self, value: object, spec: str) -> str:
        """One value as it is said."""
        if "%s" in spec:
            return spec.replace("%s", in_words(value, most=_NAMED)) if value else ""
        if isinstance(value, int):
            one, _, other = spec.partition("|")
            if other:
                return one if value == 1 else other
            return counted(value, spec) if spec else number(value)
        return format(value, spec) if spec else in_words(value)


def in_words(value: object, *, most: int | None = None) -> str:
    """A value in words; of a long list `most` items at most."""
    match value:
        case Message():
            return sentence(value)
        case Stop():
            return stop_sentence(value)
        case Reason():
            return REASONS[value].short
        case Fraction():
            return f"{round(100 * value)} %"
        case tuple():
            return ", ".join([in_words(each) for each in value[:most]] + (["…"] if most and len(value) > most else []))
    return str(value)


_fill = _Sentence().vformat


def sentence(message: Message) -> str:
    """A message in words; it begins small, as what follows a name does."""
    return _fill(_MESSAGES[message.id], (), message.values)


def stop_sentence(stop: Stop) -> str:
    """Why nothing more is read or sent."""
    values = {"answers": "; ".join(stop.answers), "wait": stop.wait, "times": stop.times}
    return _fill(_STOPS[stop.kind], (), values)


def stop_lines(source: Stop | None, stopped: Mapping[Scope, Stop]) -> list[str]:
    """What stopped in a run, a sentence each."""
    reading = [f"reading stopped: {stop_sentence(source)}"] if source else []
    return [*reading, *(f"{scope} stopped: {stop_sentence(why)}" for scope, why in stopped.items())]


def anomaly_title(message: Message) -> str:
    """What a notice of an anomaly is headed by."""
    return _ANOMALY_TITLES.get(message.id, "Conversions may be missing")


def incident_words(incident: Incident) -> Notice:
    """The notice of an incident."""
    about, anomaly = incident.id.about, incident.values.get("anomaly")
    values = {"about": about, **incident.values}
    if isinstance(about, Scope):
        what = "correction" if about.corrections else "conversion"
        values |= {"where": about.destination, "corrections": about.corrections, "what": what}
    title, text = (_fill(template, (), values) for template in _INCIDENTS[incident.id.kind])
    if isinstance(anomaly, Message):
        return Notice(anomaly_title(anomaly), f"{text[0].upper()}{text[1:]}")
    return Notice(title, text)


def notice_text(row: IncidentRow, zone: ZoneInfo) -> str:
    """A notice's text: where it is over by now, also when it was found."""
    over = f"\nFound on {row.first_seen_at.astimezone(zone):%Y-%m-%d}; it is over by now."
    return row.text if row.cleared_at is None else row.text + over


_STOPS: Mapping[StopKind, str] = MappingProxyType(
    {
        StopKind.REFUSED: "{answers}",
        StopKind.UNAVAILABLE: "{answers}",
        StopKind.NOTHING_PASSES: "nothing passes, everything is refused: {answers}",
        StopKind.NO_ANSWER: "{answers}, at every try",
        StopKind.ASKED_TO_WAIT: "{answers}; it asks for {wait}",
        StopKind.KEPT_FAILING: "{answers}, {times} times",
    }
)
_RENAMED = "status {before!r} seems to be called {after!r} now on {leads:lead}"
_STILL_STORED = "does the form still store it?"
_MESSAGES: Mapping[MessageId, str] = MappingProxyType(
    {
        MessageId.NONE_CAN_BE_SENT: "conversions qualify tonight and none of them can be sent: {reason} ({there})",
        MessageId.HALF_STOPPED: "one reason stops at least half of tonight's conversions: {reason} ({there})",
        MessageId.STOPPED_THERE: "{stopped} of {count} for {destination}",
        MessageId.WHERE_EXCLUDES_ALL: (
            "{count:lead} reached the stage of {conversion!r} and `where` let none of them through to {destination}: "
            "compare its values with Oplead's"
        ),
        MessageId.CONSENT_EMPTY: (
            "the consent field {path} is empty on each of the last {count:lead}: is the path right?"
        ),
        MessageId.WHERE_EMPTY: (
            "{path}, which a `where` looks at, is empty on each of the last {count:lead}: is the path right?"
        ),
        MessageId.WHERE_UNLISTED: (
            "none of the last {count:lead} has a value at {path} that a `where` lists: compare its values with Oplead's"
        ),
        MessageId.AMOUNT_NEVER_SEEN: (
            "no lead has an amount at {path}, the value field: conversions without one are held back, whatever "
            "`otherwise` says; mend the path, or write a number as `value`"
        ),
        MessageId.AMOUNT_EMPTY: (
            "the value field {path} is empty on each of the last {count} that reached its stage: is the path right?"
        ),
        MessageId.CLICK_SHARE_COLLAPSED: (
            "{now} % of the leads of the last {days} days have a click id, {then} % of those before had: "
            + _STILL_STORED
        ),
        MessageId.CLICK_IDS_STOPPED: (
            "none of the last {count:lead} has a click id, {share} % of those before had: " + _STILL_STORED
        ),
        MessageId.CLICK_IDS_CUT: (
            "{damaged} of the last {count} click ids ({kind}) are {length} characters long and none of them is longer: "
            "they look cut off on their way into Oplead"
        ),
        MessageId.CLICK_IDS_LOWERED: (
            "{damaged} of the last {count} click ids ({kind}) have no capital letter: something on their way into "
            "Oplead writes them small"
        ),
        MessageId.RENAMED_WITHIN_STAGE: _RENAMED + ": both names stand in one place, so nothing is to be done",
        MessageId.RENAMED_TO_KNOWN: (
            _RENAMED + ": nothing is sent for them. Did they truly go on to another status? Then write {before!r} "
            "under its own stage or `ignored_statuses`"
        ),
        MessageId.RENAMED_TO_UNKNOWN: (
            _RENAMED + ": write {after!r} where {before!r} stands. Is it another status, to which they truly went on? "
            "Then write it under its own stage or `ignored_statuses`"
        ),
        MessageId.RENAMED_BETWEEN_UNKNOWN: _RENAMED + ": write {after!r} under a stage or `ignored_statuses`",
        MessageId.REJECTED: "{count} rejected{leads: (lead %s)}: `explain` says why",
        MessageId.WOULD_BE_REJECTED: "{count} would be rejected{leads: (lead %s)}",
        MessageId.EXCESS_VOLUME: (
            "{due} {what} are due and one night may send {allowed} (the largest of the last {nights} nights sent "
            "{largest}): they are held until someone agrees by `run --accept-volume`"
        ),
        MessageId.HELD_THERE: "{scope}: {excess}",
        MessageId.UNCONFIRMED: "{count} unconfirmed: nobody will know whether they count{requests:: %s}",
        MessageId.UNRESOLVED_REQUEST: "request {ticket} at {destination}, {cause}{detail: (%s)}",
        MessageId.IN_DOUBT: "{count} in doubt: an answer was lost; the next night sends the same bytes again",
        MessageId.IN_DOUBT_ASKS: (
            "{count} in doubt: an answer was lost, and `in_doubt: ask` leaves it to you. To send them again, which may "
            "count twice, write `in_doubt: resend` within 48 h; else they become unconfirmed"
        ),
        MessageId.PUT_OFF: (
            "{count} put off by the platform again{leads: (lead %s)}: they go out while they are still in time; "
            "`explain` says what it answers"
        ),
        MessageId.UNREADABLE: "{count:lead} could not be read: `status` lists {count:it|them}",
        MessageId.STILL_UNREADABLE: "{count:lead} still cannot be read: `status` names {count:it|them}",
        MessageId.UNKNOWN_STATUSES: (
            "{count:lead with a click id has|leads with a click id have} a status in neither `stages` nor "
            "`ignored_statuses`"
        ),
        MessageId.STILL_UNKNOWN_STATUSES: "still in neither `stages` nor `ignored_statuses`: {labels}",
        MessageId.SUSPICIOUSLY_MISSING: (
            "{count:lead} {count:is|are} not there any more: does the key still see every lead?"
        ),
        MessageId.UNREAD: (
            "{count:lead} {count:was|were} not read: the list alone used up `oplead.budget` or `oplead.max_requests`, "
            "so no change was seen"
        ),
        MessageId.NO_DETAIL_PAGES: "leads that are listed have no page of their own: see oplead.lead_path",
    }
)
_ANOMALY_TITLES: Mapping[MessageId, str] = MappingProxyType(
    {
        MessageId.AMOUNT_NEVER_SEEN: "Conversions are held back",
        MessageId.AMOUNT_EMPTY: "Amounts may be missing",
    }
)
_INCIDENTS: Mapping[IncidentKind, tuple[str, str]] = MappingProxyType(
    {
        IncidentKind.SOURCE: (
            "Oplead cannot be read",
            (
                "{why}\nWhat was read before is still sent; nothing new is found until this is mended. "
                "`oplead-sync check --live` says what Oplead answers."
            ),
        ),
        IncidentKind.STOPPED: (
            "{about} stopped",
            (
                "{why}\n"
                "Nothing goes there; what is due waits, and goes out by itself once this is mended and it is still in "
                "time. `oplead-sync check --live` says what the platform knows."
            ),
        ),
        IncidentKind.EXPIRING: (
            "{about}: {soon:conversion} will expire",
            (
                "{soon:conversion} at {about} {soon:expires|expire} by {last:%Y-%m-%d} unless {held:someone agrees by "
                "`oplead-sync run --accept-volume`|it is mended}; the first at {first:%Y-%m-%d %H:%M}.{later: %s more "
                "wait there and expire later.} An expired conversion cannot be sent any more.\n"
                "Why nothing goes there: {why}"
            ),
        ),
        IncidentKind.HELD: (
            "{about}: far more than usual is held",
            "{why}.\nLook at it with `oplead-sync run --dry-run`. If it is wrong, mend the settings.",
        ),
        IncidentKind.IN_DOUBT: (
            "{where}: {count:{what}} in doubt",
            (
                "{count:{what}} sent to {where}, and the answer was lost. {asks:`in_doubt: ask` leaves them to you: "
                "look one up in the platform's diagnostics; to send them again, which may count twice, write "
                "`in_doubt: resend` within 48 h.|Nothing to do yet: the next nights send the same bytes again, three "
                "times at most.}"
            ),
        ),
        IncidentKind.UNCONFIRMED: (
            "{where}: {count:{what}} unconfirmed",
            (
                "{count:{what}} sent to {where}, and nobody will know whether {count:it counts|they count}. They are "
                "not sent again: look at the platform's own diagnostics; {corrections:`oplead-sync explain` of its "
                "lead|`oplead-sync status`} shows why."
            ),
        ),
        IncidentKind.REJECTED: (
            "{where} rejects {share} of {corrections:the corrections|what} it settles",
            (
                "{rejected} of {settled:{what}} settled tonight were rejected{codes: (%s)}.\n"
                "`oplead-sync explain LEAD` says why{leads:, for lead %s}."
            ),
        ),
        IncidentKind.ACCEPTANCE: (
            "{about} accepts fewer than usual",
            (
                "{accepted} of {settled:conversion} settled tonight were accepted, {share}; usual is {usual}, the "
                "median of the last nights.\n"
                "`oplead-sync status` shows the reasons."
            ),
        ),
        IncidentKind.NOTHING_SENT: (
            "{about}: nothing was sent tonight",
            (
                "Half of the last {nights} nights sent {usual:g} conversions or more to {about}; tonight sent none, "
                "and nothing has stopped.\n"
                "Did anyone enter statuses in Oplead? `oplead-sync status` shows what is held back, and why."
            ),
        ),
        IncidentKind.ANOMALY: ("", "{anomaly}\n`oplead-sync status` shows where everything stands."),
        IncidentKind.ENDS: (
            "{about} is near its end",
            (
                "{about} {is_estimate:may end from {on} on (no day is named yet; this is the earliest)|ends {on}}: "
                "{page}\n"
                "Install a newer oplead-sync before that; afterwards every call is refused, and conversions wait until "
                "it is done."
            ),
        ),
    }
)
"""Title and text."""
