"""Reports what one run did, as text and as JSON; several accounts take a line each."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape

from connectors.language import (
    N_,
    Plural,
    _,
    _n,
    format_day,
    format_integer,
    in_english,
    join_with_semicolons,
    translated,
)
from connectors.records import UnreadableLead
from jobs.deliver.transactions import SendingResult
from jobs.exit_codes import Exit
from jobs.ledger.report.queries import StateCount
from jobs.pull.ingest import PullResult, WebhooksTaken
from jobs.reporting.console import bulleted, console_table, day_and_time, duration, facts_grid, print_section
from jobs.reporting.details import strip_shape_from_detail
from jobs.reporting.page.brief import Brief, print_brief, task_with_text
from jobs.reporting.page.facts import ActionItem
from jobs.reporting.presentation import AccountPresentation, fields_as_dict
from jobs.reporting.sentences import (
    explain_state,
    incident_notice,
    message_in_words,
    scope_in_words,
    short_code,
    stop_lines,
    stop_sentence,
    value_in_words,
)
from jobs.reporting.status_report import print_future_starts, print_states
from jobs.reporting.wording.reasons import STATES
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.incident import OpenIncident
from jobs.rules.reasons import Cause, MessageKind, Reason
from jobs.run_context import RunReadingScope
from jobs.run_summary import RunSummary

_READING = {
    RunReadingScope.EVERYTHING: N_("run {run}"),
    RunReadingScope.WEBHOOKS: N_("run {run}, webhooks only"),
    RunReadingScope.NOTHING: N_("run {run}, outcomes only"),
}
_VALID = {
    "VALIDATED": N_("valid, says the platform"),
    "CHECKED_LOCALLY": N_("valid, checked on this machine only"),
}

_OPEN = (DeliveryState.PENDING, DeliveryState.IN_DOUBT)


def print_conversion_verdicts(console: Console, account: AccountPresentation, summary: RunSummary) -> None:
    """Print one line for conversions with the same verdict."""
    console.print(_("[bold]What would be sent, checked[/bold]"))
    # What waits in a stopped scope has no verdict, whatever its request returned.
    left = {place[:2] for place in summary.not_checked}
    moved = [
        (place, count)
        for place, count in sorted(summary.delivered.moved.items())
        if count > 0 and (place[:2] not in left or DeliveryState(place[2]) not in _OPEN)
    ]
    if not moved and not summary.not_checked:
        console.print(_("Nothing is due, so nothing was checked."))
        return
    how_many = _("How many")
    made = console_table(_("Conversion"), _("Destination"), how_many, _("Verdict"), numbers=(how_many,))
    for (conversion, destination, state, code), count in moved:
        made.add_row(
            account.conversion(conversion), destination, format_integer(count), _verdict(DeliveryState(state), code)
        )
    for (conversion, destination, _state, stop), count in sorted(summary.not_checked.items()):
        why = _(
            "not checked: {scope} stopped: {why}",
            scope=scope_in_words(stop),
            why=stop_sentence(summary.stopped_scopes[stop]),
        )
        made.add_row(account.conversion(conversion), destination, format_integer(count), why)
    console.print(made)


def _verdict(state: DeliveryState, code: Cause) -> str:
    """Return a verdict in words, with the platform's own code for a refusal."""
    if state is DeliveryState.ACCEPTED:
        return _(_VALID[code]) if code in _VALID else _("valid")
    words = explain_state(state, code)
    if words.short in code:
        return _("{state}: {reason}", state=STATES[state].short, reason=words.short)
    return _("{state}: {reason} ({code})", state=STATES[state].short, reason=words.short, code=short_code(code))


class Mode(StrEnum):
    """The kinds of night."""

    RUN = "run"
    REHEARSAL = "rehearsal"
    """Nothing was sent or changed."""
    VALIDATION = "validation"
    """Platforms validated what would be sent; nothing counted or changed."""


_TRIED = {
    Mode.REHEARSAL: N_("rehearsal, nothing was sent or changed"),
    Mode.VALIDATION: N_("validation, nothing counts or changes"),
}
MOVED = N_("What moved tonight: new, sent now, or sent before and heard of now")
"""Heading for rows that cover more than what was sent: they include other nights' outcomes, received in this one."""
_BEFORE = (Reason.BEFORE_SINCE, Reason.BASELINE)
"""Reasons for changes that precede their conversion's start."""
_SHOWN = 10
"""Maximum number of reasons listed, and of unreadable leads for each."""


@dataclass(frozen=True, slots=True)
class Night:
    """A night that has ended, or was only tried."""

    summary: RunSummary
    ended_at: datetime
    tallies: tuple[StateCount, ...]
    """Deliveries that moved in it; for a rehearsal, those that wait, are held back or would go out."""
    mode: Mode = Mode.RUN
    notices: tuple[OpenIncident, ...] | None = None
    """The open incidents; None if nobody looked. Each is sent as a notice once, but listed here as long as it lasts."""
    brief: Brief | None = None
    """What the report's page says first; None where nobody reads it."""


def print_night(console: Console, account: AccountPresentation, night: Night) -> None:
    """Print what was done, the state of tonight's deliveries, and what needs a human."""
    summary = night.summary
    what = _(_TRIED.get(night.mode, _READING[summary.reading]), run=summary.run)
    began = day_and_time(summary.started_at, account.zone)
    took = night.ended_at - summary.started_at
    heading = [f"[bold]{account.name}[/bold]", f"{began} ({account.zone.key})", what]
    if took >= timedelta(seconds=1):
        heading.append(_("took {time}", time=duration(took)))
    console.print(" · ".join(heading))
    console.print(facts_grid(report_lines(account, night)))
    console.print()
    if night.mode is Mode.VALIDATION:
        print_conversion_verdicts(console, account, summary)
    elif night.tallies:
        title = _(MOVED) if night.mode is Mode.RUN else _("What the next run would do")
        console.print(f"[bold]{title}[/bold]")
        is_run = night.mode is Mode.RUN
        print_states(console, account, night.tallies, on_record=is_run, explained=_reasons_told_before(night))
    else:
        console.print(_nothing_moved_sentence(night))
    print_future_starts(console, account, night.tallies, night.ended_at)
    if night.mode is not Mode.RUN:
        still = summary.review.still_valid_messages
        print_section(console, "", [(_("still open"), message_in_words(each)) for each in still])
    print_section(console, _heading_of_needs(night), what_needs_somebody(night, account.zone))
    if night.brief is not None:
        console.print()
        print_brief(console, account, night.brief)


def _reasons_told_before(night: Night) -> Collection[Cause]:
    """Return the reasons of deliveries that did not move tonight: a former night's report explained them."""
    moved: Counter[Cause] = Counter()
    for tally in night.tallies:
        moved[tally.reason] += tally.count
    standing: Counter[Cause] = Counter()
    for standing_as, count in night.summary.standing.items():
        standing[standing_as[-1]] += count
    return frozenset((standing - moved).keys() if night.mode is Mode.RUN else ())


def _heading_of_needs(night: Night) -> str:
    """Return what stands above the list: an alarm only after a run that ends with one."""
    is_alarm = night.mode is not Mode.RUN or night.summary.exit_code != Exit.DONE
    return _(NEEDS_A_HUMAN) if is_alarm else _("[bold]What needs doing[/bold]")


def what_needs_somebody(night: Night, zone: ZoneInfo) -> list[tuple[str, str]]:
    """Return what needs somebody, the worst first: since when, and what; after a run, the tasks of page and `status`.

    A night that was only tried has its own findings.
    """
    if night.mode is not Mode.RUN:
        return bulleted(_findings_of_trial(night.summary))
    if night.brief is None or (night.summary.exit_code != Exit.DONE and not night.brief.tasks):
        return bulleted(what_needs_a_human(night.summary))
    return [(_since_when(task, night.summary, zone), task_with_text(task)) for task in night.brief.tasks]


def _since_when(task: ActionItem, summary: RunSummary, zone: ZoneInfo) -> str:
    if task.since >= summary.started_at:
        return _("new")
    return _("since {day}", day=format_day(task.since.astimezone(zone).date()))


def _nothing_moved_sentence(night: Night) -> str:
    """Return the sentence for when no delivery moved; a first rehearsal should not look broken."""
    if night.mode is Mode.RUN:
        return _("No delivery moved.")
    standing = night.summary.standing
    before = sum(
        count
        for (_, _, state, reason), count in standing.items()
        if state == DeliveryState.SKIPPED and reason in _BEFORE
    )
    if not before:
        return _("Nothing would be sent.")
    return _n(
        "Nothing would be sent: {count} change from before a conversion's start (see `since`).",
        "Nothing would be sent: {count} changes from before a conversion's start (see `since`).",
        before,
    )


def report_lines(account: AccountPresentation, night: Night) -> list[tuple[str, str]]:
    """Return what was read, decided, sent and answered, one line each."""
    summary = night.summary
    lines = [(_("read"), _read(summary))] if summary.reading is RunReadingScope.EVERYTHING else []
    if summary.reading is RunReadingScope.WEBHOOKS or summary.pulled.webhooks.leads:
        lines.append((_("webhooks"), _webhooks(summary.pulled.webhooks)))
    lines += [(_("judged"), _n("{count} lead", "{count} leads", summary.planned.leads))]
    if summary.planned.same_click:
        shared = [
            _n(
                "{conversion}: {count} lead shares its click with another, and both count (see `count_once_per`)",
                "{conversion}: {count} leads share their click with others, and each counts (see `count_once_per`)",
                count,
                conversion=account.conversion(name),
            )
            for name, count in sorted(summary.planned.same_click.items())
        ]
        lines += zip((_("same click"), *[""] * len(shared)), shared, strict=False)
    if night.mode is not Mode.RUN:
        return lines
    if summary.recovered:
        recovered = _n(
            "{count} delivery of a run that died: asked again",
            "{count} deliveries of a run that died: asked again",
            summary.recovered,
        )
        lines.append((_("recovered"), recovered))
    lines.append((_("sent"), requests_sent_sentence(summary.delivered)))
    if summary.corrected.requests:
        corrected = requests_sent_sentence(summary.corrected)
        lines.append((_("corrected"), _("{corrected}: `explain` shows each", corrected=corrected)))
    lines.append((_("heard"), answers_line(summary)))
    if summary.delivered.warnings:
        warnings = sorted(summary.delivered.warnings.items())
        lines.append((_("warned"), ", ".join(f"{code} × {format_integer(count)}" for code, count in warnings)))
    if summary.erased.leads:
        erased = _n(
            "{count} lead to which nothing has happened for long (see `retention`)",
            "{count} leads to which nothing has happened for long (see `retention`)",
            summary.erased.leads,
        )
        lines.append((_("erased"), erased))
    return lines


def night_json(night: Night, currency: str) -> dict[str, object]:
    """Return the whole summary, to be printed as one JSON object."""
    summary = night.summary
    fields = fields_as_dict(summary)
    for told_elsewhere in ("to_correct", "doubtful", "doubtful_ids", "opened", "created_leads_unusable"):
        del fields[told_elsewhere]
    return fields | {
        "mode": night.mode,
        "rehearsed": night.mode is not Mode.RUN,
        "ended_at": night.ended_at,
        "currency": currency,
        "stopped": summary.stopped_scopes,
        "attention": summary.attention,
        "deliveries": night.tallies,
        "notices": night.notices or (),
        "exit_code": summary.exit_code,
    }


def count_deliveries_moved_to(summary: RunSummary, state: DeliveryState) -> int:
    """Return how many deliveries reached a state through sending or asking for outcomes."""
    return sum(
        count
        for moves in (summary.delivered.moved, summary.corrected.moved, summary.resolved.moved)
        for (_, _, to, _), count in moves.items()
        if to == state
    )


def leads_on_pages_text(pulled: PullResult) -> str:
    """Return how many leads were listed, and on how many pages."""
    leads = _n("{count} lead", "{count} leads", pulled.seen)
    return _n("{leads} on {count} page", "{leads} on {count} pages", pulled.pages, leads=leads)


def _read(summary: RunSummary) -> str:
    pulled = summary.pulled
    text = [leads_on_pages_text(pulled), _n("{count} new or changed", "{count} new or changed", pulled.changed)]
    if pulled.detail_pages:
        text.append(_n("{count} read one by one", "{count} read one by one", pulled.detail_pages))
    if pulled.deleted:
        text.append(_n("{count} gone", "{count} gone", pulled.deleted))
    if pulled.back:
        text.append(_n("{count} there again", "{count} there again", pulled.back))
    text += _left_out(pulled)
    remarks = [", ".join(text)]
    if pulled.missing:
        remarks.append(
            _n(
                "Oplead says that there is {count} more, and does not list it",
                "Oplead says that there are {count} more, and does not list them",
                pulled.missing,
            )
        )
    if pulled.moved:
        remarks.append(_("the list moved meanwhile, so that some may have been passed over until it is read again"))
    if pulled.undated:
        remarks.append(_("Oplead tells no time (no `Date`), so nothing could show that this machine's clock is wrong"))
    if summary.source_stopped:
        remarks.append(_("then it stopped"))
    elif not pulled.complete:
        remarks.append(_("time or requests are used up, the next run goes on there"))
    return join_with_semicolons(remarks)


def _left_out(pulled: PullResult) -> Iterator[str]:
    if pulled.forgotten:
        yield _n("{count} forgotten lead not read in", "{count} forgotten leads not read in", pulled.forgotten)
    if pulled.excluded:
        yield _n("{count} test lead left out", "{count} test leads left out", pulled.excluded)
    if pulled.too_old:
        yield _n("{count} too old to be new", "{count} too old to be new", pulled.too_old)


def _webhooks(taken: WebhooksTaken) -> str:
    text = _n("{count} lead with news", "{count} leads with news", taken.leads) if taken.leads else _("no news")
    if taken.forgotten:
        unread = _n("{count} forgotten lead not read", "{count} forgotten leads not read", taken.forgotten)
        text = f"{text}, {unread}"
    if taken.left:
        left = _n("{count} left for the next run", "{count} left for the next run", taken.left)
        text = f"{text}, {left}"
    if taken.known_unknown:
        again = _n(
            "{count} webhook again of a kind that is not understood",
            "{count} webhooks again of a kind that is not understood",
            taken.known_unknown,
        )
        text = join_with_semicolons((text, again))
    return text


def requests_sent_sentence(done: SendingResult) -> str:
    """Return how many went out, in how many requests."""
    if not done.requests:
        return _("nothing")
    sent = _n("{count} conversion", "{count} conversions", done.sent)
    return _n("{conversions} in {count} request", "{conversions} in {count} requests", done.requests, conversions=sent)


def answers_line(summary: RunSummary) -> str:
    """Return what platforms answered."""
    text = [
        _rejected(summary, count) if state is DeliveryState.REJECTED else format_state_count(state, count)
        for state in (DeliveryState.ACCEPTED, DeliveryState.REJECTED, DeliveryState.EXPIRED, DeliveryState.UNCONFIRMED)
        if (count := count_deliveries_moved_to(summary, state))
    ]
    if summary.in_doubt:
        text.append(_n("{count} still in doubt", "{count} still in doubt", summary.in_doubt))
    elif count_deliveries_moved_to(summary, DeliveryState.IN_DOUBT):
        # No number here: a delivery whose answer was lost twice has moved twice.
        text.append(_("some in doubt for a while, all settled since"))
    pending = summary.resolved.pending
    if pending:
        text.append(_n("{count} request not answered yet", "{count} requests not answered yet", pending))
    return ", ".join(text) or _("nothing was waiting for an answer")


_IN_STATE: Mapping[DeliveryState, Plural] = {
    DeliveryState.SKIPPED: N_("{count} not counted", "{count} not counted"),
    DeliveryState.PENDING: N_("{count} waiting", "{count} waiting"),
    DeliveryState.WITHHELD: N_("{count} held back", "{count} held back"),
    DeliveryState.IN_FLIGHT: N_("{count} being sent", "{count} being sent"),
    DeliveryState.SUBMITTED: N_("{count} received", "{count} received"),
    DeliveryState.IN_DOUBT: N_("{count} in doubt", "{count} in doubt"),
    DeliveryState.ACCEPTED: N_("{count} accepted", "{count} accepted"),
    DeliveryState.REJECTED: N_("{count} rejected", "{count} rejected"),
    DeliveryState.EXPIRED: N_("{count} expired", "{count} expired"),
    DeliveryState.CANCELLED: N_("{count} cancelled", "{count} cancelled"),
    DeliveryState.UNCONFIRMED: N_("{count} unconfirmed", "{count} unconfirmed"),
}


def format_state_count(state: DeliveryState, count: int) -> str:
    """Return how many deliveries are in a state."""
    return _n(*_IN_STATE[state], count)


def _rejected(summary: RunSummary, rejected: int) -> str:
    """Return how many were rejected, and how many of them as expected if any were."""
    text = format_state_count(DeliveryState.REJECTED, rejected)
    unexpected = summary.delivered.unexpected + summary.corrected.unexpected + summary.resolved.unexpected
    if unexpected >= rejected:
        return text
    if not unexpected:
        return _("{rejected} (to be expected: no such click)", rejected=text)
    return _(
        "{rejected} ({expected} of them to be expected: no such click)",
        rejected=text,
        expected=format_integer(rejected - unexpected),
    )


def _unreadable(summary: RunSummary) -> list[str]:
    """Return unreadable leads by name if any is new: a night only tried leaves nothing for `status` to list."""
    # The list may show one twice, and a webhook name it once more.
    met = {one.id or place: one for place, one in enumerate(summary.pulled.unreadable)}
    alike = defaultdict[tuple[str, bool], list[UnreadableLead]](list)
    for lead in met.values() if summary.review.unreadable else ():
        alike[strip_shape_from_detail(in_english(lead.reason)), lead.id is None].append(lead)
    groups = list(alike.values())
    more = sum(map(len, groups[_SHOWN:]))
    return [
        *map(_unreadable_alike, groups[:_SHOWN]),
        *([_n("and {count} lead more", "and {count} leads more", more)] if more else []),
    ]


def _unreadable_alike(leads: Sequence[UnreadableLead]) -> str:
    """Return why these could not be read, which is the same for all of them, and which they are."""
    reason, ids = leads[0].reason, tuple(lead.id for lead in leads if lead.id)
    if len(leads) > 1:
        reason = translated(strip_shape_from_detail(in_english(reason)))
    if not ids:
        one = N_(
            "lead without an id could not be read: {reason}", "{count} leads without an id could not be read: {reason}"
        )
        return _n(*one, len(leads), reason=reason)
    several = N_("lead {leads} could not be read: {reason}", "{count} leads could not be read: {reason} ({leads})")
    return _n(*several, len(leads), leads=value_in_words(ids, most=_SHOWN), reason=reason)


def what_needs_a_human(summary: RunSummary, by_name: Mapping[MessageKind, list[str]] | None = None) -> list[str]:
    """Return what needs a human, one sentence each, starting with what stopped; `by_name` says some of it by name."""
    found = stop_lines(summary.source_stopped, summary.stopped_scopes)
    for each in summary.attention:
        found += (by_name or {}).get(each.id) or [message_in_words(each)]
    return found or [incident_notice(each).title for each in summary.opened]


NEEDS_A_HUMAN = N_("[bold yellow]A human is needed[/bold yellow]")


def print_what_needs_humans(console: Console, lines: Sequence[str]) -> None:
    """Print what needs a human."""
    print_section(console, _(NEEDS_A_HUMAN), bulleted(lines))


def _findings_of_trial(summary: RunSummary) -> list[str]:
    """Return what needs a human after a night that was only tried, which leaves nothing for `status` to list."""
    by_name = {MessageKind.UNREADABLE: _unreadable(summary), MessageKind.UNKNOWN_STATUSES: _unknown_statuses(summary)}
    return what_needs_a_human(summary, by_name)


def _unknown_statuses(summary: RunSummary) -> list[str]:
    return [
        _n(
            "status '{label}', in neither `stages` nor `ignored_statuses`: {count} lead, {with_click} with a click id",
            "status '{label}', in neither `stages` nor `ignored_statuses`: {count} leads, {with_click} with a click id",
            leads,
            label=label,
            with_click=format_integer(with_click),
        )
        for label, leads, with_click in summary.review.labels
        if with_click
    ]


_COUNTS = (N_("Read"), N_("Changed"), N_("Sent"), N_("Accepted"), N_("Rejected"), N_("Expired"))


@dataclass(frozen=True, slots=True)
class NightResult:
    """How one account's night ended."""

    name: str
    """The account's name, or its file's if that cannot be read."""
    exit_code: int
    night: Night | None = None
    """None if there was no night."""
    account: AccountPresentation | None = None
    why: str = ""
    """Why there was no night, in a sentence."""


def print_accounts(console: Console, ended: Sequence[NightResult]) -> None:
    """Print one line per account, sorted by name: exit code, numbers, and the first thing to look at."""
    numbers = (_("Exit"), *map(_, _COUNTS))
    made = console_table(_("Account"), *numbers, _("Look at"), numbers=numbers)
    for one in sorted(ended, key=lambda each: each.name):
        counts, look_at = [""] * len(_COUNTS), one.why.partition("\n")[0]
        if one.night is not None:
            summary = one.night.summary
            states = (DeliveryState.ACCEPTED, DeliveryState.REJECTED, DeliveryState.EXPIRED)
            moved = (count_deliveries_moved_to(summary, state) for state in states)
            counts = [
                *map(format_integer, (summary.pulled.seen, summary.pulled.changed, summary.delivered.sent, *moved))
            ]
            needs = what_needs_somebody(one.night, one.account.zone) if one.account else []
            look_at = needs[0][1].partition("\n")[0] if needs else ""
        made.add_row(escape(Path(one.name).name), str(int(one.exit_code)), *counts, escape(look_at))
    console.print()
    console.print(_("[bold]All accounts[/bold]"))
    console.print(made)
