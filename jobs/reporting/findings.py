"""What was looked up with the platforms: failed, to look at, not to be seen with this access, or well."""

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from connectors.records import Finding, Verdict
from jobs.reporting.terminal import number

_STYLES = {
    Verdict.FAILED: "bold red",
    Verdict.DOUBTFUL: "yellow",
    Verdict.UNREADABLE: "yellow",
    Verdict.VERIFIED: "green",
}
"""What needs a human stands first."""
_COUNTED = {Verdict.DOUBTFUL: "to look at"}
"""How several are called, where that is not the verdict itself."""


def print_findings(console: Console, found: Mapping[str, Sequence[Finding]], *, verbose: bool = False) -> None:
    """Print what was found by destination: all failed ones first, each with what to do about it, what is well last.

    What is well, and asks for nothing, is one line unless all is wanted.
    """
    every = [(destination, finding) for destination, findings in found.items() for finding in findings]
    counted = Counter(finding.verdict for _, finding in every)
    summary = ", ".join(
        f"{counted[verdict]} {_COUNTED.get(verdict, verdict)}" for verdict in _STYLES if counted[verdict]
    )
    console.print(f"\n[bold]As the platforms have it[/bold]: {summary or 'nothing to look up'}")
    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for verdict, style in _STYLES.items():
        for destination, finding in every:
            if finding.verdict is verdict and (verbose or not _is_well(finding)):
                made.add_row(f"  [{style}]{verdict}[/]", escape(_told(destination, finding)))
    well = Counter(destination for destination, finding in every if _is_well(finding))
    if well and not verbose:
        said = ", ".join(f"{destination} {number(count)}" for destination, count in well.items())
        made.add_row(f"  [{_STYLES[Verdict.VERIFIED]}]{Verdict.VERIFIED}[/]", escape(f"{said} (--verbose lists them)"))
    console.print(made)
    if counted[Verdict.UNREADABLE]:
        console.print("  [dim]What this access cannot read says nothing against sending.[/dim]")


def _is_well(finding: Finding) -> bool:
    return finding.verdict is Verdict.VERIFIED and not finding.advice and not finding.is_notable


def _told(destination: str, finding: Finding) -> str:
    """What was found, and below it what to do."""
    told = f"{destination}: {finding.subject}: {finding.said}"
    return f"{told}\n→ {finding.advice}" if finding.advice else told
