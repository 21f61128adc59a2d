"""Renders reasons, states, stops, anomalies and incidents with the texts in `wording`."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, assert_never
from zoneinfo import ZoneInfo

from connectors.language import (
    _,
    _n,
    format_day,
    format_duration,
    format_integer,
    format_number,
    format_rough_duration,
    format_time,
    join_with_semicolons,
    translated,
)
from jobs.reporting.wording.incidents import INCIDENTS, IncidentTexts
from jobs.reporting.wording.messages import ANOMALY_TITLES, FINDING_TITLES, MESSAGES, STOPS, MessagePart
from jobs.reporting.wording.platform_codes import DATA_MANAGER, LOCAL, PLATFORM_CODES, SETTINGS_CODES
from jobs.reporting.wording.reasons import NOTHING, REASONS, STATES, StateAndReasonTexts
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.incident import Incident, IncidentKind, Notice
from jobs.rules.reasons import Cause, DestinationScope, Message, MessageKind, PlatformCode, Reason, StopCause

if TYPE_CHECKING:
    from jobs.ledger.schema import IncidentRow

_BY_CODE = {code: codes for codes in PLATFORM_CODES for code in codes}


def short_code(code: str) -> str:
    """Return a platform's code as people read and type it: the Google APIs spell the same ones in two ways."""
    return code.removeprefix(DATA_MANAGER)


def typed_name(name: str) -> str:
    """Return a name that someone typed as `state_and_reason_names` and `code_names` spell it."""
    return short_code(name.strip().upper()).casefold()


def code_names(code: str) -> frozenset[str]:
    """Return every name for a code that something was rejected with, in lowercase."""
    return frozenset(
        {short_code(code).casefold(), explain_state(DeliveryState.REJECTED, PlatformCode(code)).short.casefold()}
    )


def state_and_reason_names(state: DeliveryState, reason: Cause, held_for: Reason | None = None) -> frozenset[str]:
    """Return every name for a state and its reason, in lowercase: the codes, and the words shown in tables.

    What expired also goes by what it was held for.
    """
    words = explain_state(state, reason)
    names = {state, STATES[state].short, short_code(reason), words.short}
    if held_for is not None:
        names |= {held_for, REASONS[held_for].short}
    return frozenset(name.casefold() for name in names if name)


def reason_or_state_code(state: DeliveryState, reason: Cause) -> str:
    """Return the shortest name that identifies both: the reason's code, or the state if there is no reason."""
    return short_code(reason) or state


def explain_state(state: DeliveryState, reason: Cause, detail: str | None = None) -> StateAndReasonTexts:
    """Return the words for a state and its reason, with the detail behind the reason if given."""
    if isinstance(reason, Reason):
        return _reason_texts(state, reason, detail)
    if not reason:
        return STATES[state]
    if state is DeliveryState.PENDING:
        if reason in SETTINGS_CODES:
            return SETTINGS_CODES[reason]
        means = _("The last attempt did not get through ({code}).", code=short_code(reason))
        return StateAndReasonTexts(REASONS[Reason.NOT_SENT].short, means, _(NOTHING))
    return _platform_reason_texts(state, reason)


def _reason_texts(state: DeliveryState, reason: Reason, detail: str | None) -> StateAndReasonTexts:
    words = REASONS[reason]
    if state is DeliveryState.UNCONFIRMED and reason is not Reason.SENT_BEFORE_RESTORE:
        sent = STATES[state]
        means = _("{meaning} Why: {reason}.", meaning=sent.means, reason=words.short)
        words = StateAndReasonTexts(words.short, means, sent.todo)
    if not detail:
        return words
    means = _("{meaning} Found: {detail}.", meaning=words.means, detail=_detail_in_words(detail))
    return StateAndReasonTexts(words.short, means, words.todo)


def _detail_in_words(detail: str) -> str:
    kinds = detail.removeprefix("only ")
    # Too short a message for `translated` to find its words in texts of others.
    return translated(detail) if kinds == detail else _("only {kinds}", kinds=kinds)


def short_reason_for_state(state: DeliveryState, reason: Cause, held_for: Reason | None = None) -> str:
    """Return a few words on why it has this state; empty if the state says it all."""
    words = explain_state(state, reason)
    short = "" if words == STATES[state] else words.short
    return short if held_for is None else _("{reason}, held for: {held}", reason=short, held=REASONS[held_for].short)


def _platform_reason_texts(state: DeliveryState, code: str) -> StateAndReasonTexts:
    if code.startswith(LOCAL):
        short = code.removeprefix(LOCAL).replace("_", " ").lower()
        return StateAndReasonTexts(
            _("not fit to send: {code}", code=short),
            _("It was not sent: the platform is known to refuse such an event, and others with it."),
            _("Correct the lead in Oplead; it goes out with the next run."),
        )
    known = _BY_CODE.get(code) or _BY_CODE.get(short_code(code))
    if known is not None:
        return PLATFORM_CODES[known]
    todo = STATES[state].todo or _("Look the code up in the platform's documentation; `explain` shows the lead.")
    means = _("{meaning} It says: {code}.", meaning=STATES[state].means, code=code)
    return StateAndReasonTexts(short_code(code), means, todo)


# ── messages, stops and incidents ────────────────────────────────────────────────────────────────

_NAMED = 5
"""Maximum number of items named of what may be many."""
_MAY_BE_MANY = frozenset({"leads", "requests", "codes"})


def value_in_words(value: object, *, most: int | None = None) -> str:
    """Return a value in words; a tuple is cut off after `most` items."""
    match value:
        case Message() | StopCause() | DestinationScope():
            return _rule_value_in_words(value)
        case Reason():
            return REASONS[value].short
        case Fraction():
            return _("{number} %", number=round(100 * value))
        case bool() | str():
            return value if isinstance(value, str) else str(value)
        case int():
            return format_integer(value)
        case tuple():
            shown = [value_in_words(each) for each in value[:most]]
            return ", ".join([*shown, "…"] if most and len(value) > most else shown)
        case float() | timedelta() | date():
            return _measure_in_words(value)
    return str(value)


def _measure_in_words(value: float | timedelta | date) -> str:
    match value:
        case timedelta():
            return format_duration(value)
        case datetime():
            return format_time(value)
        case date():
            return format_day(value)
    return format_number(value)


def _rule_value_in_words(value: Message | StopCause | DestinationScope) -> str:
    match value:
        case Message():
            return message_in_words(value)
        case StopCause():
            return stop_sentence(value)
        case DestinationScope():
            return scope_in_words(value)
    assert_never(value)


def scope_in_words(scope: DestinationScope) -> str:
    """Return a scope as its text does."""
    name: str = scope.destination
    if scope.corrections:
        name = _("{destination} corrections", destination=name)
    if scope.former:
        owner, transport = scope.former
        name = _("{destination} (before: {owner} by {transport})", destination=name, owner=owner, transport=transport)
    return f"{name}/{scope.action}" if scope.action else name


def _fill(parts: Sequence[MessagePart], values: Mapping[str, object]) -> str:
    shown = {
        name: value_in_words(value, most=_NAMED if name in _MAY_BE_MANY else None) for name, value in values.items()
    }
    said = [_say(part, values, shown) for part in parts if _applies(part, values)]
    return said[0] if len(said) == 1 else " ".join(said).replace(" \n ", "\n")


def _applies(part: MessagePart, values: Mapping[str, object]) -> bool:
    return bool((not part.given or values.get(part.given)) and not (part.lacking and values.get(part.lacking)))


def _say(part: MessagePart, values: Mapping[str, object], shown: Mapping[str, str]) -> str:
    if isinstance(part.message, str):
        return _(part.message, **shown)
    count = values[part.counts]
    if not isinstance(count, int):
        raise TypeError(f"{part.counts} is no count")
    return _n(*part.message, count, **{name: text for name, text in shown.items() if name != "count"})


def message_in_words(message: Message) -> str:
    """Return a message in words; it starts in lowercase, as after a name."""
    return _fill(MESSAGES[message.id], message.values)


def reused_sentences(leads: Sequence[str]) -> list[str]:
    """Say which leads' ids others have now, and how to answer; nothing if there are none."""
    message = Message(MessageKind.REUSED_IDS, {"count": len(leads), "leads": tuple(leads)})
    return [message_in_words(message)] if leads else []


def stop_sentence(stop: StopCause) -> str:
    """Return why nothing more is read or sent."""
    values = {"answers": join_with_semicolons(map(translated, stop.answers)), "wait": stop.wait, "times": stop.times}
    return _fill((MessagePart(STOPS[stop.kind]),), values)


def stop_lines(source: StopCause | None, stopped: Mapping[DestinationScope, StopCause]) -> list[str]:
    """Return what stopped in a run, one sentence each."""
    reading = [_("reading stopped: {why}", why=stop_sentence(source))] if source else []
    return [
        *reading,
        *(
            _("{scope} stopped: {why}", scope=scope_in_words(scope), why=stop_sentence(why))
            for scope, why in stopped.items()
        ),
    ]


def incident_notice(incident: Incident) -> Notice:
    """Return the notice of an incident; one whose values do not fit the texts of this version says so."""
    if "unreadable" not in incident.values:
        with suppress(ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            return _notice(incident, INCIDENTS[incident.id.kind])
        incident = Incident(incident.id, {"unreadable": incident.id.kind.value})
    return _notice(incident, INCIDENTS[IncidentKind.UNREADABLE])


def _notice(incident: Incident, texts: IncidentTexts) -> Notice:
    about, anomaly, finding = incident.id.about, incident.values.get("anomaly"), incident.values.get("finding")
    values = {"about": about, **incident.values}
    if isinstance(anomaly, Message):
        text = message_in_words(anomaly)
        values |= {"title": _(ANOMALY_TITLES[anomaly.id]), "anomaly": f"{text[0].upper()}{text[1:]}"}
    if isinstance(finding, Message):
        leads = {name: incident.values[name] for name in ("leads",) if name in incident.values}
        text = message_in_words(Message(finding.id, {**finding.values, **leads}))
        values |= {"title": _(FINDING_TITLES[finding.id]), "finding": f"{text[0].upper()}{text[1:]}"}
    if isinstance(codes := incident.values.get("codes"), tuple):
        values |= {"codes": tuple(dict.fromkeys(map(short_code, codes)))}
    if isinstance(about, DestinationScope):
        values |= {"where": about.destination, "corrections": about.corrections}
    return Notice(_fill(texts.title, values), _fill(texts.text, values))


def recorded_notice(incident: Incident, row: "IncidentRow", zone: ZoneInfo) -> Notice:
    """Return the notice of an incident on record; if it is over by now, also when it was found."""
    notice = incident_notice(incident)
    if row.cleared_at is None:
        return notice
    day = row.first_seen_at.astimezone(zone).date()
    over = _("Found on {day}; it is over by now.", day=format_day(day))
    return Notice(notice.title, f"{notice.text}\n{over}")


def forgotten_sentence(lead: str, on: date) -> str:
    """Return that a lead was forgotten, and when."""
    return _("Lead {lead} was forgotten on {day}.", lead=lead, day=format_day(on))


def rough_age(since: datetime, now: datetime) -> str:
    """Format how long ago something was; what another clock puts ahead of ours was just now."""
    return format_rough_duration(max(now - since, timedelta()))
