"""What follows a run: notices, metrics, the page, the week's summary, the dead man's switch and the log."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from functools import partial

import structlog

from connectors.language import Language, _, using_language
from jobs.account.failures import failure_from_error
from jobs.alerts.notify import send_undelivered_notices, update_incidents
from jobs.alerts.weekly import WeeklySummaryMessage, day_due, send_summary
from jobs.exit_codes import Exit
from jobs.faults import ContainedFault
from jobs.ledger.runs import (
    Ledger,
    NightDoneError,
)
from jobs.metrics import run_metrics, write_metrics
from jobs.reporting.page.brief import Brief
from jobs.reporting.run_report import Night
from jobs.reporting.sentences import incident_notice, message_in_words, recorded_notice, stop_sentence
from jobs.rules.incident import OpenIncident
from jobs.run_context import Deps, RunReadingScope
from jobs.run_summary import RunSummary
from jobs.settings import Settings
from jobs.settings.compile import Rulebook
from jobs.wiring.night import configured_dead_mans_switch, notice_recipients

_log = structlog.stdlib.get_logger()


def find_incidents(
    ledger: Ledger, book: Rulebook, deps: Deps, settings: Settings, summary: RunSummary
) -> tuple[OpenIncident, ...] | None:
    """Open and clear incidents, and add those opened to the summary: they decide its exit code; return the open ones.

    Whatever fails, the night's outcome is recorded and told.
    """
    standing = None
    with ContainedFault(summary.other_faults, _("the incidents could not be brought up to date")):
        now, when = deps.clock.now(), settings.notify_when
        standing = update_incidents(ledger, book, deps.sinks, summary, when, now=now)
        summary.opened = tuple(one.incident for one in standing if one.is_new)
    return standing


def notify(ledger: Ledger, book: Rulebook, deps: Deps, settings: Settings, night: Night) -> Night:
    """Notify people and write metrics about a recorded night, and return it.

    A failed notification does not end what comes after it.
    """
    faults = night.summary.other_faults
    with ContainedFault(faults, _("nobody could be notified of the incidents")):
        now = deps.clock.now()
        notice_of, recipients = partial(recorded_notice, zone=book.zone), notice_recipients(settings)
        for address, title in send_undelivered_notices(ledger, recipients, notice_of=notice_of, now=now):
            _log.warning(_("a notice was not taken, and is tried again by the next run"), address=address, notice=title)
    if settings.metrics is not None:
        file, said = settings.metrics, _("the metrics could not be written")
        with ContainedFault(faults, said, foreseen=(OSError,), file=str(file)):
            code = night.summary.exit_code
            write_metrics(run_metrics(ledger, night.tallies, exit_code=code, now=night.ended_at), file)
    return night


def write_report(
    ledger: Ledger, book: Rulebook, settings: Settings, *, now: datetime, faults: list[str]
) -> Brief | None:
    """Write the page about a night that is over, if the settings name its folder, and return what it says first.

    A failed page does not end what comes after it.
    """
    folder = settings.report.folder
    if folder is None:
        return None
    said = _("the report could not be written")
    with ContainedFault(faults, said, folder=str(folder)):
        from jobs.account.pages import write_page_of_usual_period  # noqa: PLC0415 - only for those who want it

        with ledger.read_transaction() as session:
            try:
                return write_page_of_usual_period(session, settings, book, folder, now=now)
            except OSError as error:  # the page's, which outside would be taken for the state's
                _log.warning(said, folder=str(folder), why=error.strerror)
    return None


def send_weekly_summary(
    ledger: Ledger, book: Rulebook, settings: Settings, *, night: date, now: datetime, faults: list[str]
) -> None:
    """Send the summary of the week to each address that has not taken it, if one is due after this night.

    A failed summary does not end what comes after it.
    """
    if settings.notify_weekly is None:
        return
    with ContainedFault(faults, _("the summary of the week could not be sent")):
        from jobs.account.pages import making_weekly_summary  # noqa: PLC0415 - only for those who want it

        due = day_due(settings.notify_weekly, night)
        with ExitStack() as until_sent:

            def summary() -> WeeklySummaryMessage:
                with ledger.read_transaction() as session:
                    return until_sent.enter_context(making_weekly_summary(session, settings, book, due, now=now))

            for address in send_summary(ledger, notice_recipients(settings), due, summary):
                _log.warning(
                    _("the summary of the week was not taken, and is tried again after the next night"), address=address
                )


@contextmanager
def ping_with_outcome(settings: Settings) -> Iterator[Callable[[int], None]]:
    """Yield a function that pings the dead man's switch with the block's exit code, as soon as it is known.

    If the block raises before, it is pinged as failed.
    """
    is_known = False

    def ping(code: int) -> None:
        nonlocal is_known
        is_known = True
        # Another run pings for the account that it holds.
        switch = configured_dead_mans_switch(settings)
        if switch and code != Exit.HELD and not switch.ping(failed=code not in (Exit.DONE, Exit.ATTENTION)):
            _log.warning(_("the address under `ping` did not answer, so its monitor may raise the alarm"))

    try:
        yield ping
    except NightDoneError:  # the run that did that night has pinged for it
        raise
    except Exception as error:
        if not is_known:
            ping(failure_from_error(error).exit_code)
        raise


def why_human_is_needed(summary: RunSummary) -> str | None:
    """Return the first sentence on why a human is needed, if one is; it names no lead, which may be forgotten later."""
    if summary.source_stopped:
        return stop_sentence(summary.source_stopped)
    stops = [f"{where}: {stop_sentence(why)}" for where, why in summary.stopped_scopes.items()]
    messages = [message_in_words(each.without_leads) for each in summary.attention]
    return next(iter([*stops, *messages, *(incident_notice(each).title for each in summary.opened)]), None)


_ENDED = {
    RunReadingScope.EVERYTHING: "night ended",
    RunReadingScope.WEBHOOKS: "webhooks taken up",
    RunReadingScope.NOTHING: "outcomes asked for",
}


def log_night(night: Night) -> None:
    """Log a summary line for a night, and a line for each stop and each reason a human is needed."""
    with using_language(Language.ENGLISH):
        _log_night(night.summary)


def _log_night(summary: RunSummary) -> None:
    if summary.source_stopped:
        _log.error("reading stopped", why=stop_sentence(summary.source_stopped))
    for where, why in summary.stopped_scopes.items():
        _log.error("destination stopped", destination=str(where), why=stop_sentence(why))
    for message in summary.attention:
        _log.warning("a human is needed", why=message_in_words(message))
    for incident in summary.opened:
        _log.warning("an incident was opened", title=incident_notice(incident).title)
    _log.info(
        _ENDED[summary.reading],
        run=summary.run,
        seen=summary.pulled.seen,
        changed=summary.pulled.changed,
        uploads=summary.delivered.requests + summary.corrected.requests,
        exit_code=summary.exit_code,
    )
