"""What was looked up with a platform: verified, failed, or not to be seen with this access."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connectors.records import Finding, Verdict

_STYLES = {Verdict.FAILED: "bold red", Verdict.UNREADABLE: "yellow", Verdict.VERIFIED: "green"}
"""What needs a human stands first."""


def print_findings(console: Console, destination: str, findings: Sequence[Finding]) -> None:
    """Print one destination's findings, failed ones first, each with what to do about it."""
    counted = Counter(finding.verdict for finding in findings)
    summary = ", ".join(f"{counted[verdict]} {verdict}" for verdict in _STYLES if counted[verdict])
    console.print(f"\n[bold]{escape(destination)}[/bold], as the platform has it: {summary or 'nothing to look up'}")
    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for verdict, style in _STYLES.items():
        for finding in findings:
            if finding.verdict is verdict:
                made.add_row(f"  [{style}]{verdict}[/]", escape(_told(finding)))
    console.print(made)
    if counted[Verdict.UNREADABLE]:
        console.print("  [dim]What this access cannot read says nothing against sending.[/dim]")


def _told(finding: Finding) -> str:
    """What was found, and below it what to do."""
    told = f"{finding.subject}: {finding.said}"
    return f"{told}\n→ {finding.advice}" if finding.advice else told
