"""The end of the demonstration: where everything stands, and that both books say the same."""

from collections import Counter

from rich.console import Console

from jobs.cli.accounts import told
from jobs.cli.demo.books import Comparison, compare, google_book, meta_book
from jobs.cli.demo.stage import Stage
from jobs.cli.explain import explain
from jobs.cli.sandbox import next_command, typed
from jobs.cli.state import Look, looking
from jobs.ledger import views
from jobs.ledger.fates import Fate
from jobs.ledger.tables import LeadRow
from jobs.reporting.explanation import print_explanation
from jobs.reporting.standing import print_standing
from jobs.reporting.terminal import number
from jobs.settings import Settings


def prove(console: Console, stage: Stage, settings: Settings, *, kept: bool) -> bool:
    """Print where everything stands, the comparison, one lead's story and what to type next; whether books agree."""
    account = told(settings)
    with looking(settings) as look:
        console.print("\n[bold]Where every delivery stands[/bold]")
        print_standing(console, account, views.tallies(look.session, settings.account, now=look.now))
        counted = [*google_book(stage.sandbox.data_manager.book()), *meta_book(stage.sandbox.meta.book())]
        corrections = list(views.corrections(look.session, settings.account))
        comparison = compare(counted, views.sent(look.session, settings.account), corrections)
        _print_comparison(console, comparison)
        lead = _interesting(look, settings)
        if lead is not None:
            console.print("\n[bold]One lead's story[/bold], as `oplead-sync explain` tells it")
            print_explanation(console, account, explain(settings, look, lead))
    _print_next(console, stage, kept=kept, lead=lead.id if lead else "LEAD")
    return comparison.agree


def _print_comparison(console: Console, found: Comparison) -> None:
    console.print("\n[bold]The platforms' books against the ledger[/bold], delivery by delivery")
    console.print(
        f"  {number(found.alike)} counted by both, alike in key, target, time, value, currency, "
        "click id and the SHA-256 of the event"
    )
    if found.corrected:
        console.print(f"  {number(found.corrected)} of them corrected since: taken back, or told another value")
    if found.at_zero:
        console.print(
            f"  {number(found.at_zero)} made worth nothing and worth something again here; there they stay at nothing, "
            "as Google's help says"
        )
    for why, count in found.undecided.items():
        said = f"{number(count)} counted there and `unconfirmed` here, where the ledger does not claim to know: {why}"
        console.print(f"  {said}", markup=False)
    if found.flagged:
        console.print(
            f"  {number(found.flagged)} counted twice by Meta, and the ledger says of each that it may be: an answer "
            "was lost and it was sent again (`in_doubt: resend`)"
        )
    for count, what in (
        (len(found.differing), "differ"),
        (len(found.missing_there), "are accepted here and unknown there"),
        (len(found.missing_here), "were counted there and are not accepted here"),
        (found.twice, "were counted twice without a word of it here"),
    ):
        console.print(f"  {number(count)} {what}", style="bold red" if count else None)
    verdict = "[bold green]The books agree.[/bold green]" if found.agree else "[bold red]The books differ.[/bold red]"
    console.print(verdict)


def _interesting(look: Look, settings: Settings) -> LeadRow | None:
    """A lead with something accepted, whose deliveries went the longest way."""
    ways: Counter[str] = Counter()
    accepted = set()
    for row in views.sent(look.session, settings.account):
        ways[row.lead] += len(views.history(look.session, row.id or 0))
        if row.fate == Fate.ACCEPTED:
            accepted.add(row.lead)
    longest = max(sorted(accepted), key=lambda lead: ways[lead], default=None)
    return None if longest is None else views.lead(look.session, settings.account, longest)


def _print_next(console: Console, stage: Stage, *, kept: bool, lead: str) -> None:
    console.print("\n[bold]What to type next[/bold]")
    if not kept:
        console.print(f"  {typed()} demo --keep demo        the same again, and it stays in ./demo", soft_wrap=True)
        return
    folder = stage.sandbox.directory
    console.print(f"  {typed()} sandbox --out {folder}", soft_wrap=True, markup=False)
    console.print("and, while that is open, in another terminal:")
    for command in ("run", "status", f"explain {lead}"):
        console.print(f"  {next_command(stage.settings, command)}", soft_wrap=True, markup=False)
