"""What became of several accounts, a line each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from jobs.ledger.fates import Fate
from jobs.reporting.account import Account
from jobs.reporting.night import Night, moved
from jobs.reporting.terminal import number, table

_COUNTS = ("Read", "Changed", "Sent", "Accepted", "Rejected", "Expired")


@dataclass(frozen=True, slots=True)
class Ended:
    """How one account's night ended."""

    name: str
    """The account's, or its file's where that cannot be read."""
    exit_code: int
    night: Night | None = None
    """What it did; None where there was none."""
    account: Account | None = None
    why: str = ""
    """Why there was none, in a sentence."""


def print_accounts(console: Console, ended: Sequence[Ended]) -> None:
    """Print one line an account, by name: its exit code, its numbers, and what is first to be looked at."""
    made = table("Account", "Exit", *_COUNTS, "Look at", numbers=("Exit", *_COUNTS))
    for one in sorted(ended, key=lambda each: each.name):
        made.add_row(escape(Path(one.name).name), str(int(one.exit_code)), *_counts(one.night), escape(_look_at(one)))
    console.print("\n[bold]All accounts[/bold]")
    console.print(made)


def _counts(night: Night | None) -> list[str]:
    if night is None:
        return ["" for _ in _COUNTS]
    summary = night.summary
    counts = (
        summary.pulled.seen,
        summary.pulled.changed,
        summary.delivered.sent,
        moved(summary, Fate.ACCEPTED),
        moved(summary, Fate.REJECTED),
        moved(summary, Fate.EXPIRED),
    )
    return [number(count) for count in counts]


def _look_at(one: Ended) -> str:
    if one.night is None:
        return one.why.partition("\n")[0]
    summary = one.night.summary
    stops = [f"{where} stopped: {why}" for where, why in summary.stopped.items()]
    said = [f"reading stopped: {summary.source_stopped}"] if summary.source_stopped else []
    return next(iter([*said, *stops, *summary.attention]), "")
