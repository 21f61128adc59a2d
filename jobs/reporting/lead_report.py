"""Reports everything known about one lead, and why each of its conversions was sent or not."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from connectors.language import N_, _, format_day, format_integer, format_rate, translated
from jobs.ledger.outbox.consents import RecordedConsentAnswer
from jobs.ledger.outbox.requests import RequestState
from jobs.ledger.report.queries import RequestOfDelivery
from jobs.reporting.console import console_table, day_and_time, facts_grid, money, shown_value
from jobs.reporting.presentation import AccountPresentation
from jobs.reporting.sentences import reused_sentences, rough_age, short_code
from jobs.reporting.standings import (
    CorrectionStateReport,
    DeliveryStateReport,
    Explanation,
    LeadConversionStanding,
    SeenClickId,
    StateChange,
    StatusEntryReport,
)
from jobs.reporting.wording.reasons import NOTHING, REASONS, STATES, ZERO_MAY_BE_FINAL
from jobs.rules.adjustment import AdjustmentCause
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.model import ConsentAnswer, ConsentSignalName, ValueOrigin
from jobs.rules.reasons import Reason
from jobs.rules.reported_statuses import ReportStanding, UnconfirmedReport

ORIGINS: Mapping[str, str] = {
    "reported": N_("dated by Oplead"),
    "webhook": N_("reported by webhook"),
    "bounded": N_("not dated by Oplead: taken from between our two readings of it"),
    "relabel": N_("no change of the lead: the status was renamed in Oplead"),
    "baseline": N_("not dated by Oplead, and already so when first read"),
    "assumed": N_("not dated by Oplead: its last update was taken for it (`oplead-sync backfill --assume-time`)"),
}
"""How the time of a change is known."""
REPORTS: Mapping[ReportStanding, str] = {
    ReportStanding.HELD: N_(
        "{status}: reported by a webhook {age} ago; waits for a reading of Oplead to show it; lapses on {time}"
    ),
    ReportStanding.REFUTED: N_(
        "{status}: reported by a webhook {age} ago; refuted by the reading of {time}, which showed the lead without it"
    ),
    ReportStanding.LAPSED: N_(
        "{status}: reported by a webhook {age} ago; lapsed on {time}, as no reading of Oplead had shown it"
    ),
}
"""What became of a status that only a webhook reported."""
CONSENTS: Mapping[str, str] = {
    "granted": N_("yes"),
    "refused": N_("no"),
    "missing": N_("no answer"),
    "unknown": N_("an answer the settings do not list"),
    "not_asked": N_("not asked: the settings name no field"),
}
_SIGNALS: Mapping[ConsentSignalName, str] = {
    ConsentSignalName.AD_USER_DATA: N_("use of its data: {answer}"),
    ConsentSignalName.AD_PERSONALIZATION: N_("personal ads: {answer}"),
}
CAUSES: Mapping[str, str] = {
    "undone": N_("the lead went to a stage that takes it back on {time}"),
    "value_changed": N_("another amount was read on {time}"),
    "won_again": N_("the lead is back, which was read on {time}"),
}
"""Why a conversion is corrected, and since when."""
_REQUESTS: Mapping[RequestState, str] = {
    RequestState.OPEN: N_("under way"),
    RequestState.RECEIVED: N_("received"),
    RequestState.SETTLED: N_("settled"),
    RequestState.REFUSED: N_("refused"),
    RequestState.NOT_SENT: N_("not sent"),
    RequestState.LOST: N_("answer lost"),
    RequestState.FAULTY: N_("answer lost in a fault of this program"),
    RequestState.UNRESOLVED: N_("unresolved"),
}
_KINDS: Mapping[str, str] = {
    "email": N_("e-mail"),
    "phone": N_("phone"),
    "first_name": N_("first name"),
    "last_name": N_("last name"),
    "postcode": N_("postcode"),
    "city": N_("town"),
    "country": N_("country"),
}
"""Kinds of hashed contact data."""
_TAXES: Mapping[str, str] = {
    "included": N_("{value}, tax included"),
    "excluded": N_("{value}, tax excluded"),
}
VALUE_ORIGINS: Mapping[ValueOrigin, str] = {
    ValueOrigin.FIXED: N_("the settings: a fixed value"),
    ValueOrigin.FIELD: N_("the lead's own amount"),
    ValueOrigin.OTHERWISE: N_("the settings: `value.otherwise`"),
    ValueOrigin.EXPECTED: N_("an estimate from earlier leads"),
}
_SAYS_NO_MORE = (Reason.DUE, Reason.SENDING, Reason.RECEIVED, "SUCCESS")


def print_explanation(console: Console, account: AccountPresentation, lead: Explanation) -> None:
    """Print the explanation, ending with the verdicts, which users look for first."""
    console.print(
        _(
            "[bold]Lead {lead}[/bold] · {account} · times in {zone}",
            lead=escape(lead.lead),
            account=account.name,
            zone=account.zone.key,
        )
    )
    console.print(facts_grid(_lead_fact_lines(lead, account.zone)))
    console.print()
    console.print(_changes(lead.changes, account.zone))
    for report in lead.reports:
        console.print(_report_text(report, lead.now, account.zone), markup=False, soft_wrap=True)
    for alike in _grouped(lead.verdicts):
        console.print()
        _print_verdict(console, account, alike)


def _grouped(verdicts: Sequence[LeadConversionStanding]) -> list[list[LeadConversionStanding]]:
    """Return each delivery alone, then the conversions without a delivery, grouped by reason."""
    by_reason: dict[str, list[LeadConversionStanding]] = {}
    for verdict in verdicts:
        if verdict.state is None:
            by_reason.setdefault(verdict.reason, []).append(verdict)
    return [*([verdict] for verdict in verdicts if verdict.state is not None), *by_reason.values()]


def _lead_fact_lines(lead: Explanation, zone: ZoneInfo) -> list[tuple[str, str]]:
    clicks = [_click(click, zone) for click in lead.click_ids] or [_("none")]
    if lead.click_id_problem:
        clicks.append(_("found, and not usable: {problem}", problem=translated(lead.click_id_problem)))
    known = [
        (_("created"), day_and_time(lead.created_at, zone)),
        (_("status"), lead.label or _("none")),
        (_("last read"), day_and_time(lead.seen_at, zone)),
        *_missing_lead_line(lead, zone),
        *((_("id"), each) for each in reused_sentences([lead.lead] if lead.reused else [])),
        (_("consent"), _("use of its data: {answer}", answer=_consent(lead.ad_user_data, lead.consent_fields[0]))),
        ("", _("personal ads: {answer}", answer=_consent(lead.ad_personalization, lead.consent_fields[1]))),
        *_lines_under_name(_("answers read"), [_answer_line(each, zone) for each in lead.consent_answers]),
        *_lines_under_name(_("click id"), clicks),
        *lead.amounts.items(),
        *((path, shown_value(value)) for path, value in lead.where.items()),
    ]
    kept = [
        _(
            "{kinds} kept for {destination} while it may be sent",
            kinds=", ".join(_(_KINDS[kind]) for kind in kinds),
            destination=destination,
        )
        for destination, kinds in lead.hashes.items()
    ]
    return [*known, *_lines_under_name(_("hashes"), kept)]


def _lines_under_name(name: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    """Return lines under one name."""
    return [(name if position == 0 else "", text) for position, text in enumerate(texts)]


def _missing_lead_line(lead: Explanation, zone: ZoneInfo) -> list[tuple[str, str]]:
    """Return a line if Oplead no longer has the lead."""
    missing = lead.missing_since or lead.deleted_at
    if missing is None:
        return []
    since = day_and_time(missing, zone)
    if lead.deleted_at is not None:
        lines = [(_("deleted"), _("no longer in Oplead since {time}", time=since))]
    else:
        why = _("in Oplead on {time}; a second night without it, and it counts as gone", time=since)
        lines = [(_("not found"), why)]
    if lead.merged_into is not None:
        lines.append(("", _("Oplead shows lead {lead} instead, as after a merge", lead=lead.merged_into)))
    return lines


def _consent(answer: str, field: str) -> str:
    """Return an answer in words; for an unlisted one, also which field to read in Oplead, as its text isn't stored."""
    words = _(CONSENTS[answer])
    if answer != ConsentAnswer.UNKNOWN:
        return words
    return _("{answer}: read {field} of this lead in Oplead", answer=words, field=field)


def _answer_line(answer: RecordedConsentAnswer, zone: ZoneInfo) -> str:
    """Return an answer, where it was read, and since when it was there."""
    about = _(_SIGNALS[ConsentSignalName(answer.signal)], answer=_(CONSENTS[answer.answer]))
    value = "" if answer.value is None else f": {shown_value(answer.value)}"
    return f"{day_and_time(answer.read_at, zone)}  {about}" + (f" ({answer.field}{value})" if answer.field else "")


def _consent_lines(report: DeliveryStateReport, zone: ZoneInfo) -> list[tuple[str, str]]:
    """Return the consent that a delivery was last sent on; nothing if it never was."""
    if report.sent_on is None:
        return []
    lines = [_answer_line(each, zone) for each in report.sent_on.answers]
    if assumed := report.sent_on.assumed:
        since = day_and_time(assumed.since, zone)
        why = assumed.because or _("the settings give no reason")
        lines.append(_("no answer taken as yes since {time}: {why}", time=since, why=why))
    return _lines_under_name(_("consent relied on"), lines)


def _click(click: SeenClickId, zone: ZoneInfo) -> str:
    message = (
        N_("{kind} {id}, clicked {time} (estimated: the id came without the time of its click)")
        if click.estimated
        else N_("{kind} {id}, clicked {time} (captured with the id)")
    )
    return _(message, kind=click.kind, id=click.shown, time=day_and_time(click.clicked_at, zone))


def _changes(changes: Sequence[StatusEntryReport], zone: ZoneInfo) -> Table:
    made = console_table(_("Status"), _("Since"), _("How the time is known"))
    for change in changes:
        at, known = day_and_time(change.at, zone), _(ORIGINS[change.origin])
        if change.date_only:
            at, known = format_day(change.at.astimezone(zone).date()), _("{origin}, the day only", origin=known)
        made.add_row(escape(change.label), at, known)
    return made


def _report_text(report: UnconfirmedReport, now: datetime, zone: ZoneInfo) -> str:
    """Return what became of a status that only a webhook reported."""
    return _(
        REPORTS[report.standing],
        status=report.label,
        age=rough_age(report.received_at, now),
        time=day_and_time(report.at, zone),
    )


def _print_verdict(console: Console, account: AccountPresentation, alike: Sequence[LeadConversionStanding]) -> None:
    """Print one conversion's verdict, or that of several conversions with the same reason."""
    verdict = alike[0]
    places = ", ".join(f"{account.conversion(each.conversion)} → {each.destination}" for each in alike)
    held_for = None if verdict.held_for is None else REASONS[verdict.held_for]
    stands = verdict.stands
    if held_for is not None:
        stands = _("{reason}, held for: {held}", reason=stands, held=held_for.short)
    console.print(_("[bold]{places}: {stands}[/bold]", places=escape(places), stands=stands))
    words = verdict.words
    texts = [words.means, *([] if held_for is None else [held_for.means])]
    if words.todo and words.todo != _(NOTHING):
        texts.append(words.todo if words.needs_no_action else _("What to do: {todo}", todo=words.todo))
    _print_indented(console, texts, _details(verdict, account.zone), indent=0)
    for correction in verdict.corrections:
        _print_correction(console, correction, account.zone)


def _print_correction(console: Console, correction: CorrectionStateReport, zone: ZoneInfo) -> None:
    why = _(CAUSES[correction.cause], time=day_and_time(correction.at, zone))
    if correction.value is None:
        heading = _("correction: taken back, as {why}: {stands}", why=why, stands=correction.stands)
    else:
        value = _conversion_value_text(correction)
        heading = _("correction: worth {value}, as {why}: {stands}", value=value, why=why, stands=correction.stands)
    console.print(f"  [bold]{heading}[/bold]")
    words = correction.words
    texts = [words.means]
    if words.todo and not words.needs_no_action:
        texts.append(_("What to do: {todo}", todo=words.todo))
    if correction.cause == AdjustmentCause.WON_AGAIN and correction.state == DeliveryState.ACCEPTED:
        texts.append(_(ZERO_MAY_BE_FINAL))
    details = [
        (_("by"), correction.by),
        *_sending_window_lines(correction, zone),
        *_consent_lines(correction, zone),
        *_delivery_history_lines(correction, zone),
    ]
    _print_indented(console, texts, details, indent=2)


def _print_indented(console: Console, texts: Sequence[str], details: Sequence[tuple[str, str]], *, indent: int) -> None:
    console.print(Padding(escape("\n".join(texts)), (0, 0, 0, indent + 2)))
    if details:
        console.print(Padding(facts_grid(details), (0, 0, 0, indent)))


def _conversion_value_text(report: DeliveryStateReport) -> str:
    return money(Decimal(report.value or 0), report.currency or "")


def _details(verdict: LeadConversionStanding, zone: ZoneInfo) -> list[tuple[str, str]]:
    happened = None if verdict.happened_at is None else day_and_time(verdict.happened_at, zone)
    if happened and verdict.origin:
        happened = _("{time} ({origin})", time=happened, origin=_(ORIGINS[verdict.origin]))
    click = verdict.click_id_kind
    if click and verdict.click_estimated:
        click = _("{click}, its click's time estimated", click=click)
    worth = verdict.value and _conversion_value_text(verdict)
    if worth and verdict.tax:
        worth = _(_TAXES[verdict.tax], value=worth)
    details = [
        (_("happened"), happened),
        *_sending_window_lines(verdict, zone),
        (_("by"), click),
        (_("worth"), worth),
        (_("value from"), _value_origin_text(verdict, zone)),
        (_("sent to"), verdict.target),
        (_("key"), verdict.key),
    ]
    stated = [(name, text) for name, text in details if text is not None]
    return stated + _consent_lines(verdict, zone) + _delivery_history_lines(verdict, zone)


def _value_origin_text(verdict: LeadConversionStanding, zone: ZoneInfo) -> str | None:
    """Return where the value comes from; an estimate with what it rests on."""
    found = verdict.estimate
    if found is None:
        return None if verdict.value_from is None else _(VALUE_ORIGINS[ValueOrigin(verdict.value_from)])
    return _(
        "the estimate of {day}: {won} of {leads} leads were won, a rate of {rate}, for {mean} {currency} on average; "
        "it lies between {low} and {high}",
        day=format_day(found.computed_at.astimezone(zone).date()),
        won=format_integer(found.won),
        leads=format_integer(found.leads),
        rate=format_rate(found.rate),
        mean=found.mean,
        currency=verdict.currency,
        low=found.low,
        high=found.high,
    )


def _sending_window_lines(report: DeliveryStateReport, zone: ZoneInfo) -> list[tuple[str, str]]:
    """Return from when, and until when, it can be sent."""
    due = (
        []
        if report.due_at is None
        else [(_("goes out"), _("not before {time}", time=day_and_time(report.due_at, zone)))]
    )
    closes = (
        []
        if report.closes_at is None
        else [(_("in time"), _("until {time}", time=day_and_time(report.closes_at, zone)))]
    )
    return due + closes


def _delivery_history_lines(report: DeliveryStateReport, zone: ZoneInfo) -> list[tuple[str, str]]:
    """Return its transitions, and the requests it was part of."""
    moves = [f"{day_and_time(move.at, zone)}  {_state_change_text(move)}" for move in report.history]
    return _lines_under_name(_("history"), moves) + [
        (_("request"), _request(request, zone)) for request in report.requests
    ]


def _state_change_text(move: StateChange) -> str:
    """Return e.g. `held back: no usable click id`; the state alone if the cause adds nothing."""
    state = STATES[DeliveryState(move.state)].short
    if move.cause in _SAYS_NO_MORE:
        return state
    cause = REASONS[move.cause].short if isinstance(move.cause, Reason) else move.cause
    text = _("{state}: {cause}", state=state, cause=cause)
    return f"{text} ({translated(move.detail)})" if move.detail else text


def _request(request: RequestOfDelivery, zone: ZoneInfo) -> str:
    ticket = f" {request.ticket}" if request.ticket else ""
    code = f" ({short_code(request.code)})" if request.code else ""
    state = _(_REQUESTS[RequestState(request.state)])
    return f"{day_and_time(request.sent_at, zone)}  {state}{ticket}{code}"
