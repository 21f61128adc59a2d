"""`status`: shows where deliveries stand, and the reasons."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.language import _
from jobs.account.files import presentation_of_account, reading_settings
from jobs.account.state import StateView, open_view
from jobs.alerts.review import current_anomalies, unknown_labels
from jobs.exit_codes import Exit, UsageError
from jobs.ledger import reading_progress
from jobs.ledger.incidents import open_incidents
from jobs.ledger.leads import leads, status_labels
from jobs.ledger.report import queries
from jobs.ledger.retention import retention
from jobs.privacy.retention import lead_retention_period
from jobs.reporting.presentation import print_json
from jobs.reporting.sentences import reason_or_state_code, state_and_reason_names, typed_name
from jobs.reporting.standings import DetectedRename, HeldReportCount, LastRun, MatchingDeliveries, StatusReport
from jobs.reporting.wording.reasons import REASONS, STATES
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import Anomaly, Cause, PlatformCode, Reason
from jobs.settings import Settings
from jobs.settings.compile import Rulebook
from jobs.wiring.account import compile_rules_only, inbox_of
from jobs.wiring.held_reports import held_reports
from jobs.wiring.state import why_refused

if TYPE_CHECKING:
    from jobs.reporting.page.brief import Brief

# What prints for people is imported where it prints: loading what draws tables takes a command as long as its queries.


def show_status(file: Path, *, json_wanted: bool) -> int:
    """Print delivery states, what comes next, and what needs a human's attention."""
    with reading_settings(file, json_wanted=json_wanted) as settings:
        account = settings.account
        with open_view(settings) as view, closing(inbox_of(settings)) as inbox:
            session, run, book = view.session, queries.last_run(view.session, account), compile_rules_only(settings)
            anomalies = current_anomalies(session, book, run=run.id or 0, now=run.started_at) if run else []
            held = held_reports(session, book, inbox, view.now)
            status = StatusReport(
                account=account,
                now=view.now,
                run=LastRun(run.id or 0, run.command, run.started_at, run.ended_at, run.exit_code) if run else None,
                tallies=queries.count_by_state_and_reason(session, account, now=view.now),
                awaited=queries.awaited_outcomes(session, account),
                unreadable={row.id: row.reason for row in queries.unreadable_leads(session, account)},
                unknown_labels=unknown_labels(session, account, book.meanings.keys()),
                anomalies=tuple(each.message for each in anomalies),
                webhooks=inbox.count_waiting_events(
                    after=reading_progress.last_read_inbox_event(session, account, inbox.identity())
                ),
                held=HeldReportCount(len(held), held[0].received_at) if held else None,
                renamed=tuple(
                    DetectedRename(
                        status_labels.oplead_spelling(session, account, row.before),
                        status_labels.oplead_spelling(session, account, row.after),
                        row.leads,
                    )
                    for row in status_labels.renames_found(session, account)
                    if row.after not in book.meanings
                ),
                left=retention.retention_totals(session, account),
                notices=open_incidents(session, account),
                overdue=retention.has_lead_overdue_for_erasure(
                    session, account, before=view.now - lead_retention_period(settings.retention, book), now=view.now
                ),
                reused=tuple(leads.first_reused(session, account)),
                refused=why_refused(settings),
            )
            brief = None if json_wanted else _brief(settings, view, book, anomalies, status.refused)
        if brief is None:
            print_json(status)
        else:
            from jobs.reporting.console import results_console  # noqa: PLC0415
            from jobs.reporting.status_report import print_status  # noqa: PLC0415

            print_status(results_console(), presentation_of_account(settings, file), status, brief)
        return Exit.DONE


def _brief(
    settings: Settings, view: StateView, book: Rulebook, anomalies: Sequence[Anomaly], refusal: str | None
) -> "Brief":
    """Return what the report's page says first, and where the page is that nights write, if there is one."""
    # Only people are told, and it takes as long to load as the counts take to read.
    from jobs.reporting.page.gather import gather_brief  # noqa: PLC0415
    from jobs.reporting.page.writing import page_name  # noqa: PLC0415

    folder = settings.report.folder
    page = None if folder is None else folder / page_name(settings.account)
    brief = gather_brief(
        view.session, book, currency=settings.currency, now=view.now, anomalies=anomalies, refusal=refusal
    )
    return replace(brief, page=page if page is not None and page.exists() else None)


def show_leads_in_state(file: Path, name: str, *, json_wanted: bool) -> int:
    """Print the leads with a given state or reason.

    Raises:
        UsageError: there is no such state or reason.
    """
    with reading_settings(file, json_wanted=json_wanted) as settings:
        with open_view(settings) as view:
            kinds = _current_states_and_reasons(settings, view)
            meant = {kind for kind in kinds if typed_name(name) in state_and_reason_names(*kind)}
            if not meant and not _is_state_or_reason(name):
                found_codes = {
                    code
                    for state, reason, held_for in kinds
                    for code in (state, reason_or_state_code(state, reason), held_for)
                }
                codes = ", ".join(sorted(code for code in found_codes if code)) or _("none yet")
                raise UsageError(
                    _(
                        "no lead stands at '{name}'; the reasons and states there are: {codes}",
                        name=name,
                        codes=codes,
                    )
                )
            found = queries.deliveries_in_states(
                view.session, settings.account, {state for state, _, _ in meant}, now=view.now
            )
            deliveries = tuple(each for each in found if (each.state, each.reason, each.held_for) in meant)
            which = MatchingDeliveries(settings.account, view.now, name, deliveries)
        if json_wanted:
            print_json(which)
        else:
            from jobs.reporting.console import results_console  # noqa: PLC0415
            from jobs.reporting.status_report import print_delivery_list  # noqa: PLC0415

            print_delivery_list(results_console(), presentation_of_account(settings, file), which)
        return Exit.DONE


_Kind = tuple[DeliveryState, Cause, Reason | None]
"""A state, its reason, and for an expired delivery the reason it was, or would have been, withheld."""


def _current_states_and_reasons(settings: Settings, view: StateView) -> set[_Kind]:
    """Return every combination of state and reason that a delivery or correction has now."""
    tallies = queries.count_by_state_and_reason(view.session, settings.account, now=view.now)
    corrections = queries.corrections(view.session, settings.account)
    return {(tally.state, tally.reason, tally.held_for) for tally in tallies} | {
        (DeliveryState(row.state), queries.current_reason(row, view.now), None) for row in corrections
    }


def _is_state_or_reason(name: str) -> bool:
    """Whether a name is a possible state or reason, even if nothing has it now."""
    return any(
        typed_name(name) in names
        for names in (*(state_and_reason_names(state, PlatformCode("")) for state in STATES), REASONS)
    )
