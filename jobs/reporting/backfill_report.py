"""Reports what a backfill or retry would send, and what it did: as text and as JSON."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import groupby

from rich.console import Console

from connectors.language import N_, _, _n, format_integer
from jobs.backfill_and_retry import AgeGroupOutcomeCounts, AlreadySentListResult, RowsToResend
from jobs.ledger.report.queries import StateCount
from jobs.reporting.console import bulleted, console_table, facts_grid, print_section
from jobs.reporting.presentation import AccountPresentation
from jobs.reporting.run_report import (
    answers_line,
    format_state_count,
    leads_on_pages_text,
    print_what_needs_humans,
    requests_sent_sentence,
    what_needs_a_human,
)
from jobs.reporting.sentences import explain_state, short_code, value_in_words
from jobs.reporting.status_report import counted_reasons_table, print_states
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import PlatformCode
from jobs.run_summary import RunSummary

_NAMED = 10
"""Maximum number of unknown ids listed."""


@dataclass(frozen=True, slots=True)
class BackfillPreview:
    """The expected effect of a backfill."""

    groups: tuple[AgeGroupOutcomeCounts, ...] = ()
    tallies: tuple[StateCount, ...] = ()
    undated: Counter[tuple[str, str]] | None = None
    already_sent: AlreadySentListResult | None = None
    """Result of applying a file of conversions sent by other means, if one was given."""

    def column_total(self, stand: str) -> int:
        """Return the total of one column: sent, waits, withheld, expired or left."""
        return sum(int(getattr(group, stand)) for group in self.groups)

    @property
    def question(self) -> str | None:
        """Return the question to confirm; None if nothing would be done."""
        now, later = self.column_total("sent"), self.column_total("waits") + self.column_total("withheld")
        parts = []
        if now:
            parts.append(_n("send {count} conversion now", "send {count} conversions now", now))
        if later:
            parts.append(_n("send {count} once it may go out", "send {count} once they may go out", later))
        if self.already_sent and self.already_sent.settled:
            parts.append(
                _n(
                    "never send {count} that was sent by other means",
                    "never send {count} that were sent by other means",
                    self.already_sent.settled,
                )
            )
        if not parts:
            return None
        asked = reduce(lambda first, second: _("{first} and {second}", first=first, second=second), parts)
        asked = asked[0].upper() + asked[1:]
        return _("{actions}?", actions=asked)


def leads_read_sentence(summary: RunSummary) -> str:
    """Return what was read."""
    pulled = summary.pulled
    text = [leads_on_pages_text(pulled), _n("{count} read anew", "{count} read anew", pulled.changed)]
    if pulled.detail_pages:
        text.append(_n("{count} read one by one", "{count} read one by one", pulled.detail_pages))
    return ", ".join(text)


def print_preview(console: Console, account: AccountPresentation, preview: BackfillPreview) -> None:
    """Print what would be sent, wait, be held back or be too late, by conversion, destination and age."""
    if preview.groups:
        numbers = tuple(map(_, _COLUMNS))
        made = console_table(_("Conversion"), _("Days since"), *numbers, numbers=numbers)
        for (conversion, destination), found in groupby(preview.groups, lambda one: (one.conversion, one.destination)):
            made.add_section()
            ages = list(found)
            names = [account.conversion(conversion), f"→ {destination}"]
            shown = [*names, *[""] * len(ages)] if len(ages) > 1 else ["\n".join(names)]
            for name, group in zip(shown, ages, strict=False):
                counts = (group.sent, group.waits, group.withheld, group.expired, group.left)
                made.add_row(name, group.age, *(format_integer(count) if count else "" for count in counts))
        console.print(made)
        reasons = counted_reasons_table(preview.tallies)
        if reasons.row_count:
            console.print()
            console.print(reasons)
    elif preview.undated is not None:
        console.print(_("Nothing of that time is left to be sent by a backfill."))
    print_section(console, "", bulleted(_remarks(account, preview)))


_COLUMNS = (N_("To send"), N_("Waits"), N_("Held back"), N_("Expired"), N_("Left as is"))


def _remarks(account: AccountPresentation, preview: BackfillPreview) -> Iterator[str]:
    if late := preview.column_total("expired"):
        yield _n(
            "{count} conversion can no longer be sent: the platform takes nothing that old",
            "{count} conversions can no longer be sent: the platform takes nothing that old",
            late,
        )
    if left := preview.column_total("left"):
        yield _n(
            "{count} conversion left as is: it cannot be decided yet, or the platform was told of it another way; "
            "nothing is sent for it",
            "{count} conversions left as is: they cannot be decided yet, or the platform was told of them another way; "
            "nothing is sent for them",
            left,
        )
    for (conversion, destination), count in sorted((preview.undated or {}).items()):
        yield _n(
            "{conversion} → {destination}: {count} change that Oplead does not date stays where it is; `--assume-time "
            "updated_at` takes the lead's last update for it, but never where a platform judges events by their own "
            "age",
            "{conversion} → {destination}: {count} changes that Oplead does not date stay where they are; "
            "`--assume-time updated_at` takes the lead's last update for it, but never where a platform judges events "
            "by their own age",
            count,
            conversion=account.conversion(conversion),
            destination=destination,
        )
    if preview.already_sent is not None:
        yield from _already_sent(preview.already_sent)


def _already_sent(result: AlreadySentListResult) -> Iterator[str]:
    yield _n(
        "sent by other means: {count} conversion never goes out from now on",
        "sent by other means: {count} conversions never go out from now on",
        result.settled,
    )
    if result.before:
        yield _n("{count} was settled before", "{count} were settled before", result.before)
    if result.ours:
        stands = ", ".join(
            format_state_count(DeliveryState(state), count) for state, count in sorted(result.ours.items())
        )
        yield _("stay as they are, for they went out by us or are over: {states}", states=stands)
    if result.nothing:
        yield _n(
            "{count} line: the lead has no such conversion",
            "{count} lines: the lead has no such conversion",
            result.nothing,
        )
    if result.unknown:
        yield _n(
            "{count} lead never read: {leads}",
            "{count} leads never read: {leads}",
            len(result.unknown),
            leads=value_in_words(tuple(result.unknown), most=_NAMED),
        )


def print_rejections_to_retry(console: Console, account: AccountPresentation, chosen: RowsToResend) -> None:
    """Print what would be sent again, by conversion, destination and platform code."""
    if not chosen.rows:
        console.print(_("Nothing was rejected that fits."))
        return
    numbers = (_("How many"), _("Too late"))
    made = console_table(_("Conversion"), _("Destination"), _("Code"), _("Why"), *numbers, numbers=numbers)
    for each in chosen.alike:
        why = explain_state(DeliveryState.REJECTED, PlatformCode(each.code)).short
        late = format_integer(each.too_late) if each.too_late else ""
        conversion = account.conversion(each.conversion)
        name = _("{conversion} (corrections)", conversion=conversion) if each.corrections else conversion
        made.add_row(name, each.destination, short_code(each.code), why, format_integer(each.count), late)
    console.print(made)
    if chosen.left:
        console.print(
            _n(
                "{count} more is left for another time: type the same again after this.",
                "{count} more are left for another time: type the same again after this.",
                chosen.left,
            )
        )


def print_sent(
    console: Console, account: AccountPresentation, summary: RunSummary, tallies: Sequence[StateCount]
) -> None:
    """Print what was sent, its state, and what needs a human."""
    console.print()
    console.print(
        facts_grid([(_("sent"), requests_sent_sentence(summary.delivered)), (_("heard"), answers_line(summary))])
    )
    if tallies:
        console.print()
        print_states(console, account, tallies)
    print_what_needs_humans(console, what_needs_a_human(summary))


def run_outcome_json(summary: RunSummary, tallies: Sequence[StateCount], exit_code: int) -> dict[str, object]:
    """Return what was read, sent and answered, to be printed as part of one JSON object."""
    return {
        "account": summary.account,
        "run": summary.run,
        "pulled": summary.pulled,
        "source_stopped": summary.source_stopped,
        "delivered": summary.delivered,
        "resolved": summary.resolved,
        "stopped": summary.stopped_scopes,
        "attention": summary.attention,
        "deliveries": tallies,
        "exit_code": exit_code,
    }
