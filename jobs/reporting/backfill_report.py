"""Reports what a backfill or retry would send, and what it did: as text and as JSON."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console

from connectors.text import format_number, plural
from jobs.ledger.queries import StateCount
from jobs.reporting.console import AccountPresentation, bulleted, facts_grid, print_section, table
from jobs.reporting.run_report import answers_line, print_what_needs_humans, requests_sent_sentence, what_needs_a_human
from jobs.reporting.sentences import explain_state, value_in_words
from jobs.reporting.status_report import counted_reasons_table, print_states
from jobs.requeue import AgeGroupOutcomeCounts, AlreadySentResult, RowsToResend
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import PlatformCode
from jobs.run_summary import RunSummary

_NAMED = 10
"""Maximum number of unknown ids listed."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The expected effect of a backfill."""

    groups: tuple[AgeGroupOutcomeCounts, ...] = ()
    tallies: tuple[StateCount, ...] = ()
    undated: Counter[tuple[str, str]] | None = None
    already_sent: AlreadySentResult | None = None
    """Result of applying a file of conversions sent by other means, if one was given."""

    def column_total(self, stand: str) -> int:
        """Return the total of one column: sent, waits, withheld, expired or left."""
        return sum(int(getattr(group, stand)) for group in self.groups)

    @property
    def question(self) -> str | None:
        """Return the question to confirm; None if nothing would be done."""
        now, later = self.column_total("sent"), self.column_total("waits") + self.column_total("withheld")
        parts = [f"send {plural(now, 'conversion')} now"] if now else []
        if later:
            parts.append(
                f"{format_number(later)} later, once they may go out"
                if now
                else f"send {format_number(later)} once they may"
            )
        if self.already_sent and self.already_sent.settled:
            parts.append(f"never send {format_number(self.already_sent.settled)} that were sent by other means")
        asked = " and ".join(parts)
        return f"{asked[0].upper()}{asked[1:]}?" if asked else None


def leads_read_sentence(summary: RunSummary) -> str:
    """Return what was read."""
    pulled = summary.pulled
    text = f"{plural(pulled.seen, 'lead')} on {plural(pulled.pages, 'page')}, {format_number(pulled.changed)} read anew"
    if pulled.detail_pages:
        text += f", {format_number(pulled.detail_pages)} one by one"
    return text


def print_preview(console: Console, account: AccountPresentation, preview: Preview) -> None:
    """Print what would be sent, wait, be held back or be too late, by conversion, destination and age."""
    if preview.groups:
        made = table("Conversion", "Destination", "Days since", *_COLUMNS, numbers=tuple(_COLUMNS))
        for group in preview.groups:
            counts = (group.sent, group.waits, group.withheld, group.expired, group.left)
            shown = (format_number(count) if count else "" for count in counts)
            made.add_row(account.conversion(group.conversion), group.destination, group.age, *shown)
        console.print(made)
        reasons = counted_reasons_table(preview.tallies)
        if reasons.row_count:
            console.print()
            console.print(reasons)
    elif preview.undated is not None:
        console.print("Nothing of that time is left to be sent by a backfill.")
    print_section(console, "", bulleted(_remarks(account, preview)))


_COLUMNS = ("Would be sent", "Waits", "Held back", "Too late", "Left as is")


def _remarks(account: AccountPresentation, preview: Preview) -> Iterator[str]:
    if late := preview.column_total("expired"):
        yield f"{plural(late, 'conversion')} can no longer be sent: the platform takes nothing that old"
    if left := preview.column_total("left"):
        why = "it cannot be decided yet, or the platform was told of it another way; nothing is sent for it"
        yield f"{plural(left, 'conversion')} left as is: {why}"
    for (conversion, destination), count in sorted((preview.undated or {}).items()):
        yield (
            f"{account.conversion(conversion)} → {destination}: {plural(count, 'change')} that Oplead does not date "
            "stay where they are; `--assume-time updated_at` takes the lead's last update for it, but never where a "
            "platform judges events by their own age"
        )
    if preview.already_sent is not None:
        yield from _already_sent(preview.already_sent)


def _already_sent(result: AlreadySentResult) -> Iterator[str]:
    yield f"sent by other means: {plural(result.settled, 'conversion')} never go out from now on"
    if result.before:
        yield f"{format_number(result.before)} were settled before"
    if result.ours:
        stands = ", ".join(
            f"{format_number(count)} {state.replace('_', ' ')}" for state, count in sorted(result.ours.items())
        )
        yield f"stay as they are, for they went out by us or are over: {stands}"
    if result.nothing:
        yield f"{plural(result.nothing, 'line')}: the lead has no such conversion"
    if result.unknown:
        yield f"{plural(len(result.unknown), 'lead')} never read: {value_in_words(tuple(result.unknown), most=_NAMED)}"


def print_rejections_to_retry(console: Console, account: AccountPresentation, chosen: RowsToResend) -> None:
    """Print what would be sent again, by conversion, destination and platform code."""
    if not chosen.rows:
        console.print("Nothing was rejected that fits.")
        return
    made = table("Conversion", "Destination", "Code", "Why", "How many", "Too late", numbers=("How many", "Too late"))
    for each in chosen.alike:
        why = explain_state(DeliveryState.REJECTED, PlatformCode(each.code)).short
        late = format_number(each.too_late) if each.too_late else ""
        conversion = account.conversion(each.conversion)
        name = f"{conversion} (corrections)" if each.corrections else conversion
        made.add_row(name, each.destination, each.code, why, format_number(each.count), late)
    console.print(made)
    if chosen.left:
        console.print(f"{format_number(chosen.left)} more are left for another time: type the same again after this.")


def print_sent(
    console: Console, account: AccountPresentation, summary: RunSummary, tallies: Sequence[StateCount]
) -> None:
    """Print what was sent, its state, and what needs a human."""
    console.print()
    console.print(facts_grid([("sent", requests_sent_sentence(summary.delivered)), ("heard", answers_line(summary))]))
    if tallies:
        console.print()
        print_states(console, account, tallies)
    print_what_needs_humans(console, what_needs_a_human(summary))


def sending_json(summary: RunSummary, tallies: Sequence[StateCount], exit_code: int) -> dict[str, object]:
    """Return what was read, sent and answered, to be printed as part of one JSON object."""
    return {
        "account": summary.account,
        "run": summary.run,
        "pulled": summary.pulled,
        "source_stopped": summary.source_stopped,
        "delivered": summary.delivered,
        "resolved": summary.resolved,
        "stopped": summary.stopped,
        "attention": summary.attention,
        "deliveries": tallies,
        "exit_code": exit_code,
    }
