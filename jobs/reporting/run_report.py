"""Reports what one run did, as text and as JSON; several accounts take a line each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from connectors.text import format_number, plural
from jobs.alerts.notify import OpenIncident
from jobs.deliver.transactions import SendingResult
from jobs.ledger.queries import StateCount
from jobs.pull.ingest import WebhooksTaken
from jobs.reporting.console import (
    AccountPresentation,
    bulleted,
    day_and_time,
    duration,
    facts_grid,
    fields_as_dict,
    print_section,
    table,
)
from jobs.reporting.sentences import explain_state, sentence, stop_lines, stop_sentence
from jobs.reporting.status_report import print_states
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import Cause, Reason
from jobs.run_context import RunReadingScope
from jobs.run_summary import RunSummary

_READING = {
    RunReadingScope.EVERYTHING: "",
    RunReadingScope.WEBHOOKS: ", webhooks only",
    RunReadingScope.NOTHING: ", outcomes only",
}
_VALID = {
    "VALIDATED": "valid, says the platform",
    "CHECKED_LOCALLY": "valid, checked on this machine only",
}

_OPEN = (DeliveryState.PENDING, DeliveryState.IN_DOUBT)


def print_verdicts(console: Console, account: AccountPresentation, summary: RunSummary) -> None:
    """Print one line for conversions with the same verdict."""
    console.print("[bold]What would be sent, checked[/bold]")
    # What waits in a stopped scope has no verdict, whatever its request returned.
    left = {place[:2] for place in summary.not_checked}
    moved = [
        (place, count)
        for place, count in sorted(summary.delivered.moved.items())
        if count > 0 and (place[:2] not in left or DeliveryState(place[2]) not in _OPEN)
    ]
    if not moved and not summary.not_checked:
        console.print("Nothing is due, so nothing was checked.")
        return
    made = table("Conversion", "Destination", "How many", "Verdict", numbers=("How many",))
    for (conversion, destination, state, code), count in moved:
        made.add_row(
            account.conversion(conversion), destination, format_number(count), _verdict(DeliveryState(state), code)
        )
    for (conversion, destination, _, stop), count in sorted(summary.not_checked.items()):
        why = f"not checked: {stop} stopped: {stop_sentence(summary.stopped[stop])}"
        made.add_row(account.conversion(conversion), destination, format_number(count), why)
    console.print(made)


def _verdict(state: DeliveryState, code: Cause) -> str:
    """Return a verdict in words, with the platform's own code for a refusal."""
    if state is DeliveryState.ACCEPTED:
        return _VALID.get(code, "valid")
    words = explain_state(state, code)
    return f"{state.value.replace('_', ' ')}: {words.short}" + (f" ({code})" if words.short not in code else "")


class Mode(StrEnum):
    """The kinds of night."""

    RUN = "run"
    REHEARSAL = "rehearsal"
    """Nothing was sent or changed."""
    VALIDATION = "validation"
    """Platforms validated what would be sent; nothing counted or changed."""


_TRIED = {
    Mode.REHEARSAL: "rehearsal, nothing was sent or changed",
    Mode.VALIDATION: "validation, nothing counts or changes",
}
MOVED = "What moved tonight: new, sent now, or sent before and heard of now"
"""Heading for rows that cover more than what was sent: they include other nights' outcomes, received in this one."""
_BEFORE = (Reason.BEFORE_SINCE, Reason.BASELINE)
"""Reasons for changes that precede their conversion's start."""
_SHOWN = 10
"""Maximum number of unreadable leads listed."""


@dataclass(frozen=True, slots=True)
class Night:
    """A night that has ended, or was only tried."""

    summary: RunSummary
    ended_at: datetime
    tallies: tuple[StateCount, ...]
    """Deliveries that moved in it; for a rehearsal, those that wait, are held back or would go out."""
    mode: Mode = Mode.RUN
    notices: tuple[OpenIncident, ...] = ()
    """The open incidents. Each is sent as a notice once, but listed here as long as it lasts."""


def print_night(console: Console, account: AccountPresentation, night: Night) -> None:
    """Print what was done, the state of tonight's deliveries, and what needs a human."""
    summary = night.summary
    what = _TRIED.get(night.mode, f"run {summary.run}{_READING[summary.reading]}")
    began = day_and_time(summary.started_at, account.zone)
    took = night.ended_at - summary.started_at
    lasted = f" · took {duration(took)}" if took >= timedelta(seconds=1) else ""
    console.print(f"[bold]{account.name}[/bold] · {began} ({account.zone.key}) · {what}{lasted}")
    console.print(facts_grid(report_lines(night)))
    console.print()
    if night.mode is Mode.VALIDATION:
        print_verdicts(console, account, summary)
    elif night.tallies:
        title = MOVED if night.mode is Mode.RUN else "What the next run would do"
        console.print(f"[bold]{title}[/bold]")
        print_states(console, account, night.tallies, on_record=night.mode is Mode.RUN)
    else:
        console.print(_nothing_moved_sentence(night))
    print_section(console, "", [("still open", sentence(each)) for each in summary.review.still_valid_messages])
    print_what_needs_humans(console, _night_needs_human_lines(night))
    notices = [
        ("new" if one.is_new else f"since {one.since.astimezone(account.zone):%Y-%m-%d}", one.title)
        for one in night.notices
    ]
    print_section(console, "[bold]Notices[/bold]", notices)


def _nothing_moved_sentence(night: Night) -> str:
    """Return the sentence for when no delivery moved; a first rehearsal should not look broken."""
    if night.mode is Mode.RUN:
        return "No delivery moved."
    standing = night.summary.standing
    before = sum(
        count
        for (_, _, state, reason), count in standing.items()
        if state == DeliveryState.SKIPPED and reason in _BEFORE
    )
    why = f": {plural(before, 'change')} from before a conversion's start (see `since`)" if before else ""
    return f"Nothing would be sent{why}."


def report_lines(night: Night) -> list[tuple[str, str]]:
    """Return what was read, decided, sent and answered, one line each."""
    summary = night.summary
    lines = [("read", _read(summary))] if summary.reading is RunReadingScope.EVERYTHING else []
    if summary.reading is RunReadingScope.WEBHOOKS or summary.pulled.webhooks.leads:
        lines.append(("webhooks", _webhooks(summary.pulled.webhooks)))
    lines += [("judged", plural(summary.planned.leads, "lead"))]
    if summary.planned.same_click:
        shared = ", ".join(
            f"{name} × {format_number(count)}" for name, count in sorted(summary.planned.same_click.items())
        )
        lines.append(("same click", f"{shared}: another lead's counts too (see `count_once_per`)"))
    if night.mode is not Mode.RUN:
        return lines
    if summary.recovered:
        recovered = plural(summary.recovered, "delivery", "deliveries")
        lines.append(("recovered", f"{recovered} of a run that died: asked again"))
    lines.append(("sent", requests_sent_sentence(summary.delivered)))
    if summary.corrected.requests:
        lines.append(("corrected", f"{requests_sent_sentence(summary.corrected)}: `explain` shows each"))
    lines.append(("heard", answers_line(summary)))
    if summary.delivered.warnings:
        warnings = sorted(summary.delivered.warnings.items())
        lines.append(("warned", ", ".join(f"{code} × {format_number(count)}" for code, count in warnings)))
    return lines


def night_json(night: Night, currency: str) -> dict[str, object]:
    """Return the whole summary, to be printed as one JSON object."""
    summary = night.summary
    return fields_as_dict(summary) | {
        "mode": night.mode,
        "rehearsed": night.mode is not Mode.RUN,
        "ended_at": night.ended_at,
        "currency": currency,
        "stopped": summary.stopped,
        "attention": summary.attention,
        "deliveries": night.tallies,
        "notices": night.notices,
        "exit_code": summary.exit_code,
    }


def count_moved(summary: RunSummary, state: DeliveryState) -> int:
    """Return how many deliveries reached a state through sending or asking for outcomes."""
    return sum(
        count
        for moves in (summary.delivered.moved, summary.corrected.moved, summary.resolved.moved)
        for (_, _, to, _), count in moves.items()
        if to == state
    )


def _read(summary: RunSummary) -> str:
    pulled = summary.pulled
    changed = format_number(pulled.changed)
    text = f"{plural(pulled.seen, 'lead')} on {plural(pulled.pages, 'page')}, {changed} new or changed"
    if pulled.detail_pages:
        text += f", {format_number(pulled.detail_pages)} read one by one"
    if pulled.deleted:
        text += f", {format_number(pulled.deleted)} gone"
    if pulled.back:
        text += f", {format_number(pulled.back)} there again"
    if pulled.excluded:
        text += f", {plural(pulled.excluded, 'test lead')} left out"
    if pulled.missing:
        text = f"{text}; Oplead says that there are {format_number(pulled.missing)} more, and does not list them"
    if pulled.moved:
        text = f"{text}; the list moved meanwhile, so that some may have been passed over until it is read again"
    if pulled.undated:
        text = f"{text}; Oplead tells no time (no `Date`), so nothing could show that this machine's clock is wrong"
    if summary.source_stopped:
        return f"{text}, then stopped"
    return text if pulled.complete else f"{text}; time or requests are used up, the next run goes on there"


def _webhooks(taken: WebhooksTaken) -> str:
    text = f"{plural(taken.leads, 'lead')} with news" if taken.leads else "no news"
    if taken.left:
        text += f", {format_number(taken.left)} left for the next run"
    if taken.known_unknown:
        text += f"; {plural(taken.known_unknown, 'webhook')} again of a kind that is not understood"
    return text


def requests_sent_sentence(done: SendingResult) -> str:
    """Return how many went out, in how many requests."""
    return f"{plural(done.sent, 'conversion')} in {plural(done.requests, 'request')}" if done.requests else "nothing"


def answers_line(summary: RunSummary) -> str:
    """Return what platforms answered."""
    text = [
        f"{format_number(count)} {state.replace('_', ' ')}"
        + (_expected(summary, count) if state is DeliveryState.REJECTED else "")
        for state in (DeliveryState.ACCEPTED, DeliveryState.REJECTED, DeliveryState.EXPIRED, DeliveryState.UNCONFIRMED)
        if (count := count_moved(summary, state))
    ]
    if summary.in_doubt:
        text.append(f"{format_number(summary.in_doubt)} still in doubt")
    elif count_moved(summary, DeliveryState.IN_DOUBT):
        # No number here: a delivery whose answer was lost twice has moved twice.
        text.append("some in doubt for a while, all settled since")
    pending = summary.resolved.pending
    if pending:
        text.append(f"{plural(pending, 'request')} not answered yet")
    return ", ".join(text) or "nothing was waiting for an answer"


def _expected(summary: RunSummary, rejected: int) -> str:
    """Return how many of these rejections were expected; an empty string if none were."""
    unexpected = summary.delivered.unexpected + summary.corrected.unexpected + summary.resolved.unexpected
    if unexpected >= rejected:
        return ""
    part = f"{format_number(rejected - unexpected)} of them " if unexpected else ""
    return f" ({part}to be expected: no such click)"


def _unreadable(summary: RunSummary) -> list[str]:
    """Return unreadable leads by name if any is new: a night only tried leaves nothing for `status` to list."""
    # A night that reads the list twice meets each of them twice.
    found = list(dict.fromkeys(summary.pulled.unreadable)) if summary.review.unreadable else []
    text = [f"lead {lead.id or 'without an id'} could not be read: {lead.reason}" for lead in found[:_SHOWN]]
    return text + ([f"and {plural(len(found) - _SHOWN, 'lead')} more"] if len(found) > _SHOWN else [])


def what_needs_a_human(summary: RunSummary) -> list[str]:
    """Return what needs a human, one sentence each, starting with what stopped."""
    return [*stop_lines(summary.source_stopped, summary.stopped), *map(sentence, summary.attention)]


def print_what_needs_humans(console: Console, lines: Sequence[str]) -> None:
    """Print what needs a human."""
    print_section(console, "[bold yellow]A human is needed[/bold yellow]", bulleted(lines))


def _night_needs_human_lines(night: Night) -> list[str]:
    """Return the same for a night, plus unknown statuses; a night that was only tried reports only its own findings."""
    summary, review = night.summary, night.summary.review
    lines = what_needs_a_human(summary)
    if night.mode is not Mode.RUN:
        messages = (
            *summary.rejections,
            *summary.excess_volumes,
            *review.renames,
            *(each.message for each in review.anomalies),
        )
        stopped = stop_lines(summary.source_stopped, summary.stopped)
        lines = [*stopped, *map(sentence, messages), *_unreadable(summary)]
    if lines:
        lines += [
            f"status {label!r}: {plural(leads, 'lead')}, {with_click} of them with a click id"
            for label, leads, with_click in review.labels
            if with_click
        ]
    return lines


_COUNTS = ("Read", "Changed", "Sent", "Accepted", "Rejected", "Expired")


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
    made = table("Account", "Exit", *_COUNTS, "Look at", numbers=("Exit", *_COUNTS))
    for one in sorted(ended, key=lambda each: each.name):
        counts, look_at = [""] * len(_COUNTS), one.why.partition("\n")[0]
        if one.night is not None:
            summary = one.night.summary
            states = (DeliveryState.ACCEPTED, DeliveryState.REJECTED, DeliveryState.EXPIRED)
            moved = (count_moved(summary, state) for state in states)
            counts = [
                *map(format_number, (summary.pulled.seen, summary.pulled.changed, summary.delivered.sent, *moved))
            ]
            look_at = next(iter(what_needs_a_human(summary)), "")
        made.add_row(escape(Path(one.name).name), str(int(one.exit_code)), *counts, escape(look_at))
    console.print("\n[bold]All accounts[/bold]")
    console.print(made)
