"""Renders reasons, states, stops, anomalies and incidents with the texts in `wording`."""

from collections.abc import Mapping
from fractions import Fraction
from string import Formatter
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from connectors.text import format_number, plural
from jobs.reporting import wording
from jobs.reporting.wording import REASONS, STATES, StateAndReasonTexts
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.incident import Incident, Notice
from jobs.rules.reasons import Cause, DestinationScope, Message, Reason, Stop

if TYPE_CHECKING:
    from jobs.ledger.schema import IncidentRow

_BY_CODE = {code: words for codes, words in wording.PLATFORM_CODES.items() for code in codes}


def state_and_reason_names(state: DeliveryState, reason: Cause, held_for: Reason | None = None) -> frozenset[str]:
    """Return every name for a state and its reason, in lowercase: the codes, and the words shown in tables.

    What expired also goes by what it was held for.
    """
    words = explain_state(state, reason)
    names = {state, STATES[state].short, reason, reason.removeprefix(wording.DATA_MANAGER), words.short}
    if held_for is not None:
        names |= {held_for, REASONS[held_for].short}
    return frozenset(name.casefold() for name in names if name)


def reason_or_state_code(state: DeliveryState, reason: Cause) -> str:
    """Return the shortest name that identifies both: the reason's code, or the state if there is no reason."""
    return reason.removeprefix(wording.DATA_MANAGER) or state


def explain_state(state: DeliveryState, reason: Cause, detail: str | None = None) -> StateAndReasonTexts:
    """Return the words for a state and its reason, with the detail behind the reason if given."""
    if isinstance(reason, Reason):
        words, found = REASONS[reason], f" Found: {detail}." if detail else ""
        if state is DeliveryState.UNCONFIRMED:
            unconfirmed = STATES[state]
            return StateAndReasonTexts(words.short, f"{unconfirmed.means} Why: {words.short}.{found}", unconfirmed.todo)
        return StateAndReasonTexts(words.short, words.means + found, words.todo) if found else words
    if not reason:
        return STATES[state]
    if state is DeliveryState.PENDING:
        if reason in wording.SETTINGS_CODES:
            return wording.SETTINGS_CODES[reason]
        return StateAndReasonTexts(REASONS[Reason.NOT_SENT].short, f"The last attempt did not get through ({reason}).")
    return _platform_reason_texts(state, reason)


def short_reason_for_state(state: DeliveryState, reason: Cause, held_for: Reason | None = None) -> str:
    """Return a few words on why it has this state; empty if the state says it all."""
    words = explain_state(state, reason)
    short = "" if words is STATES[state] else words.short
    return short if held_for is None else f"{short}, held for: {REASONS[held_for].short}"


def _platform_reason_texts(state: DeliveryState, code: str) -> StateAndReasonTexts:
    if code.startswith(wording.LOCAL):
        short = code.removeprefix(wording.LOCAL).replace("_", " ").lower()
        return StateAndReasonTexts(
            f"not fit to send: {short}",
            "It was not sent: the platform is known to refuse such an event, and others with it.",
            "Correct the lead in Oplead; it goes out with the next run.",
        )
    known = _BY_CODE.get(code) or _BY_CODE.get(code.removeprefix(wording.DATA_MANAGER))
    if known is not None:
        return known
    todo = STATES[state].todo or "Look the code up in the platform's documentation; `explain` shows the lead."
    return StateAndReasonTexts(code.removeprefix(wording.DATA_MANAGER), f"{STATES[state].means} It says: {code}.", todo)


# ── messages, stops and incidents ────────────────────────────────────────────────────────────────

_NAMED = 5
"""Maximum number of leads named in a sentence."""


class _Sentence(Formatter):
    """Fills in a sentence's values; the spec after a value's name says how to render it.

    `{n:lead}` becomes `2 leads`; `{n:is|are}` and `{yes:this|that}` become one of the two; `{x: (%s)}` is omitted if x
    is empty.
    """

    def format_field(self, value: object, spec: str) -> str:
        """Return a value rendered by its spec."""
        if "%s" in spec:
            return spec.replace("%s", value_in_words(value, most=_NAMED)) if value else ""
        if isinstance(value, int):
            one, _, other = spec.partition("|")
            if other:
                return one if value == 1 else other
            return plural(value, spec) if spec else format_number(value)
        return format(value, spec) if spec else value_in_words(value)


def value_in_words(value: object, *, most: int | None = None) -> str:
    """Return a value in words; a tuple is cut off after `most` items."""
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
            return ", ".join(
                [value_in_words(each) for each in value[:most]] + (["…"] if most and len(value) > most else [])
            )
    return str(value)


_fill = _Sentence().vformat


def sentence(message: Message) -> str:
    """Return a message in words; it starts in lowercase, as after a name."""
    return _fill(wording.MESSAGES[message.id], (), message.values)


def stop_sentence(stop: Stop) -> str:
    """Return why nothing more is read or sent."""
    values = {"answers": "; ".join(stop.answers), "wait": stop.wait, "times": stop.times}
    return _fill(wording.STOPS[stop.kind], (), values)


def stop_lines(source: Stop | None, stopped: Mapping[DestinationScope, Stop]) -> list[str]:
    """Return what stopped in a run, one sentence each."""
    reading = [f"reading stopped: {stop_sentence(source)}"] if source else []
    return [*reading, *(f"{scope} stopped: {stop_sentence(why)}" for scope, why in stopped.items())]


def incident_notice(incident: Incident) -> Notice:
    """Return the notice of an incident."""
    about, anomaly = incident.id.about, incident.values.get("anomaly")
    values = {"about": about, **incident.values}
    if isinstance(anomaly, Message):
        text = sentence(anomaly)
        values |= {"title": wording.ANOMALY_TITLES[anomaly.id], "anomaly": f"{text[0].upper()}{text[1:]}"}
    if isinstance(about, DestinationScope):
        what = "correction" if about.corrections else "conversion"
        values |= {"where": about.destination, "corrections": about.corrections, "what": what}
    template = wording.INCIDENTS[incident.id.kind]
    return Notice(_fill(template.title, (), values), _fill(template.text, (), values))


def notice_text(row: "IncidentRow", zone: ZoneInfo) -> str:
    """Return a notice's text; if the incident is over by now, also when it was found."""
    over = f"\nFound on {row.first_seen_at.astimezone(zone):%Y-%m-%d}; it is over by now."
    return row.text if row.cleared_at is None else row.text + over
