"""`fleet status`: how the accounts fare, the worst first."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.language import _, _n, format_integer, format_time, translated
from jobs.exit_codes import Exit, UsageError
from jobs.fleet.database import FleetDatabase
from jobs.fleet.deploy import require_deployed
from jobs.fleet.status import AccountState, AccountStatus, FleetStatus, account_state_name
from jobs.fleet.watch import read_fleet_status, write_files
from jobs.reporting.console import duration, facts_grid, print_section, results_console, say
from jobs.reporting.presentation import print_json

if TYPE_CHECKING:
    from rich.console import Console

_MOST_CAUSES = 20


@dataclass(frozen=True, slots=True)
class FleetStatusFiles:
    """What `fleet status` writes beside what it prints."""

    page: Path | None = None
    metrics: Path | None = None
    opens: bool = False


def show_fleet(database: FleetDatabase, output: FleetStatusFiles, *, json_wanted: bool) -> int:
    """Print how the accounts fare; return 1 if a human is needed or nights are late.

    Raises:
        UsageError: there is no page to open, or a file cannot be written.
    """
    if output.opens and output.page is None:
        raise UsageError(_("--open shows the page: name its file with --out"))
    with database.connect() as connection:
        require_deployed(connection)
        status = read_fleet_status(connection)
        write_files(connection, status, output.page, output.metrics)
    if output.page is not None:
        if not json_wanted:
            say(_("The page is in {page}", page=output.page))
        if output.opens:
            from jobs.cli.reporting.report import open_pages_in_browser  # noqa: PLC0415 - only for those who want it

            open_pages_in_browser([output.page])
    if json_wanted:
        counts = Counter(each.state for each in status.accounts)
        head = {"now": status.now, "workers": status.workers, "queue_seconds": round(status.queue_age.total_seconds())}
        print_json({**head, "states": {state: counts[state] for state in AccountState}})
        for each in status.accounts:
            print_json(each)
    else:
        _print(status)
    return status.exit_code


def _print(status: FleetStatus) -> None:
    console = results_console()
    heading = _n("{count} account", "{count} accounts", len(status.accounts))
    console.print(f"[bold]{heading}[/bold] · {format_time(status.now.astimezone(UTC))} (UTC)")
    counts = Counter(each.state for each in status.accounts)
    rows = [(account_state_name(state), format_integer(counts[state])) for state in AccountState if counts[state]]
    if nights := sum(each.nights_late for each in status.accounts):
        rows.append((_("nights late"), format_integer(nights)))
    rows.append((_("workers"), format_integer(status.workers)))
    if counts[AccountState.WAITING] or counts[AccountState.LATE]:
        rows.append((_("longest wait"), duration(status.queue_age)))
    console.print(facts_grid(rows))
    needed = [each for each in status.accounts if each.state is AccountState.NEEDS_A_HUMAN]
    _print_causes(console, _("[bold yellow]These need a human[/bold yellow]"), needed)
    late = [each for each in status.accounts if each.nights_late and each.state is AccountState.LATE]
    rows = [(each.account, _n("{count} night late", "{count} nights late", each.nights_late)) for each in late]
    print_section(console, _("[bold]These are late[/bold]"), rows[:_MOST_CAUSES])
    again = [each for each in status.accounts if each.exit_code == Exit.HELD and each not in needed]
    _print_causes(console, _("[bold]Being retried[/bold]"), again)


def _print_causes(console: "Console", title: str, accounts: Sequence[AccountStatus]) -> None:
    causes = _causes(accounts)
    print_section(console, title, causes[:_MOST_CAUSES])
    if len(causes) > _MOST_CAUSES:
        more = len(causes) - _MOST_CAUSES
        console.print(_n("… and {count} more (see --json)", "… and {count} more (see --json)", more))


def _causes(accounts: Sequence[AccountStatus]) -> list[tuple[str, str]]:
    """Return the accounts of each cause, and the cause: what hits many is said once; the most frequent first."""
    by_cause = defaultdict[str, list[str]](list)
    for each in accounts:
        why = in_reader_s_language(each.why) if each.why else _("its last run ended with {code}", code=each.exit_code)
        by_cause[why].append(each.account)
    found = sorted(by_cause.items(), key=lambda item: -len(item[1]))
    return [(_names(names), why) for why, names in found]


def in_reader_s_language(why: str) -> str:
    """Return a reason, which is stored in English, in the language that is spoken, line by line.

    A line may begin with what it is about, as a setting's path, which stays.
    """
    return "\n".join(map(_line_in_words, why.splitlines()))


def _line_in_words(line: str) -> str:
    said = translated(line)
    about, colon, rest = line.partition(": ")
    return f"{about}{colon}{_line_in_words(rest)}" if said == line and rest else said


def _names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else _n("{count} account", "{count} accounts", len(names))
