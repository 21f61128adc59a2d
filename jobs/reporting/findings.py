"""What was looked up with a platform: verified, failed, or not to be seen with this access."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from connectors.records import Finding, Verdict
from jobs.reporting.terminal import table

_STYLES = {Verdict.VERIFIED: "green", Verdict.FAILED: "bold red", Verdict.UNREADABLE: "yellow"}


def print_findings(console: Console, destination: str, findings: Sequence[Finding]) -> None:
    """Print one destination's findings, failed ones first, each with what to do about it."""
    console.print(f"\n[bold]{escape(destination)}[/bold], as the platform has it")
    made = table("What", "Verdict", "Found", "What to do")
    order = (Verdict.FAILED, Verdict.UNREADABLE, Verdict.VERIFIED)
    for finding in sorted(findings, key=lambda each: order.index(each.verdict)):
        verdict = f"[{_STYLES[finding.verdict]}]{finding.verdict}[/]"
        made.add_row(escape(finding.subject), verdict, escape(finding.said), escape(finding.advice))
    console.print(made)
    if any(finding.verdict is Verdict.UNREADABLE for finding in findings):
        console.print("[dim]What this access cannot read says nothing against sending.[/dim]")
