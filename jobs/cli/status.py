"""`status`: where every delivery of an account stands."""

from pathlib import Path

from jobs.cli.accounts import load_account, told
from jobs.cli.exits import Exit
from jobs.cli.state import looking
from jobs.ledger import leads, views
from jobs.ledger.tables import Run
from jobs.reporting import as_json
from jobs.reporting.status import LastRun, Status, print_status, status_json
from jobs.reporting.terminal import results
from jobs.rules.labels import normalise_label
from jobs.settings import Settings


def show_status(file: Path, *, json_wanted: bool) -> int:
    """Print where everything stands, what comes next, and what a human should look at."""
    settings = load_account(file).settings
    with looking(settings) as look:
        run = views.last_run(look.session, settings.account)
        status = Status(
            account=settings.account,
            now=look.now,
            run=None if run is None else _told_run(run),
            tallies=views.tallies(look.session, settings.account, now=look.now),
            awaited=views.awaited(look.session, settings.account),
            unreadable={row.id: row.reason for row in views.unreadable(look.session, settings.account)},
            unknown_labels=_unknown(settings, leads.labels(look.session, settings.account)),
        )
    if json_wanted:
        results().out(as_json.line(status_json(status)), highlight=False)
    else:
        print_status(results(), told(settings), status)
    return Exit.DONE


def _told_run(run: Run) -> LastRun:
    return LastRun(run.id or 0, run.command, run.started_at, run.ended_at, run.exit_code)


def _unknown(settings: Settings, labels: list[tuple[str, int, int]]) -> tuple[tuple[str, int, int], ...]:
    known = {
        normalise_label(label) for listed in (*settings.stages.values(), settings.ignored_statuses) for label in listed
    }
    return tuple(each for each in labels if each[0] not in known)
