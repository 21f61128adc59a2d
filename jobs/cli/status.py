"""`status`: where every delivery of an account stands."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from jobs.alarms import standing_silences, unknown_labels
from jobs.cli.accounts import load_account, told
from jobs.cli.exits import Exit, Failure
from jobs.cli.guarded import report
from jobs.cli.state import Look, looking
from jobs.ledger import labels, views
from jobs.ledger.fates import Fate
from jobs.ledger.tables import Run
from jobs.reporting import as_json
from jobs.reporting.reasons import FATES, REASONS, code_of, names_of
from jobs.reporting.status import LastRun, Status, print_status, status_json
from jobs.reporting.terminal import results
from jobs.reporting.which import Which, print_which
from jobs.rules.labels import normalise_label
from jobs.rules.relabel import Relabel
from jobs.settings import Settings
from jobs.wiring import rules_alone


def show_status(file: Path, *, json_wanted: bool) -> int:
    """Print where everything stands, what comes next, and what a human should look at."""
    settings = load_account(file, secrets=False).settings
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


def show_leads(file: Path, called: str, *, json_wanted: bool) -> int:
    """Print which leads stand at a fate, or for a reason; one that there is not ends with exit code 2."""
    settings = load_account(file, secrets=False).settings
    with looking(settings) as look:
        there = _kinds(settings, look)
        meant = {kind for kind in there if called.strip().casefold() in names_of(*kind)}
        if not meant and not _is_known(called):
            codes = ", ".join(sorted(set(_codes(there))))
            said = f"no lead stands at {called!r}; the reasons and fates there are: {codes or 'none yet'}"
            return report(Failure(said, Exit.CONFIGURATION))
        found = views.stands(look.session, settings.account, {fate for fate, _, _ in meant}, now=look.now)
        which = Which(
            settings.account,
            look.now,
            called,
            tuple(each for each in found if (each.fate, each.reason, each.held_for) in meant),
        )
    if json_wanted:
        results().out(as_json.line(which), highlight=False)
    else:
        print_which(results(), told(settings), which)
    return Exit.DONE


_Kind = tuple[Fate, str, str | None]
"""A fate, its reason, and what something was held for until it expired."""


def _kinds(settings: Settings, look: Look) -> set[_Kind]:
    """Every fate and reason at which a delivery or a correction stands."""
    tallies = views.tallies(look.session, settings.account, now=look.now)
    corrections = views.corrections(look.session, settings.account)
    return {(tally.fate, tally.reason, tally.held_for) for tally in tallies} | {
        (Fate(row.fate), views.reason_told(row, look.now), None) for row in corrections
    }


def _codes(kinds: Iterable[_Kind]) -> Iterator[str]:
    """Everything that may be asked for, each once or more often."""
    for fate, reason, held_for in kinds:
        yield from (fate, code_of(fate, reason))
        if held_for is not None:
            yield held_for


def _is_known(called: str) -> bool:
    """Whether something may stand so, though nothing does."""
    return any(called.strip().casefold() in names for names in (*(names_of(fate, "") for fate in FATES), REASONS))


def _told_run(run: Run) -> LastRun:
    return LastRun(run.id or 0, run.command, run.started_at, run.ended_at, run.exit_code)


def _known(settings: Settings) -> frozenset[str]:
    stages = (*settings.stages.values(), settings.ignored_statuses)
    return frozenset(normalise_label(label) for listed in stages for label in listed)
