"""`status`: where every delivery of an account stands."""

from pathlib import Path

from jobs.alarms import standing_silences, unknown_labels
from jobs.cli.accounts import load_account, told
from jobs.cli.exits import Exit
from jobs.cli.state import looking
from jobs.ledger import labels, views
from jobs.ledger.tables import Run
from jobs.reporting import as_json
from jobs.reporting.status import LastRun, Status, print_status, status_json
from jobs.reporting.terminal import results
from jobs.rules.labels import normalise_label
from jobs.rules.relabel import Relabel
from jobs.settings import Settings
from jobs.wiring import rules_alone


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
            unknown_labels=tuple(unknown_labels(look.session, settings.account, _known(settings))),
            silences=()
            if run is None
            else tuple(standing_silences(look.session, rules_alone(settings), run=run.id or 0, now=run.started_at)),
            renamed=tuple(
                Relabel(
                    labels.written(look.session, settings.account, row.before),
                    labels.written(look.session, settings.account, row.after),
                    row.leads,
                )
                for row in labels.relabels(look.session, settings.account)
                if row.after not in _known(settings)
            ),
        )
    if json_wanted:
        results().out(as_json.line(status_json(status)), highlight=False)
    else:
        print_status(results(), told(settings), status)
    return Exit.DONE


def _told_run(run: Run) -> LastRun:
    return LastRun(run.id or 0, run.command, run.started_at, run.ended_at, run.exit_code)


def _known(settings: Settings) -> frozenset[str]:
    stages = (*settings.stages.values(), settings.ignored_statuses)
    return frozenset(normalise_label(label) for listed in stages for label in listed)
