"""`status` and `explain`: show delivery states and the reasons for them."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from connectors.language import N_, _, format_amount
from connectors.records import LeadId
from jobs.alerts.review import standing_anomalies, unknown_labels
from jobs.cli.accounts import answering, open_account, presentation_of_account
from jobs.cli.state import StateView, open_view
from jobs.exit_codes import Exit, UsageError
from jobs.ledger import leads, outbox, queries, starts, status_labels
from jobs.ledger.schema import Delivery, ExpectedValue, LeadRow
from jobs.plan.planner import judge, was_sent, withhold_missing_amounts
from jobs.reporting.console import print_json, results_console
from jobs.reporting.details import say_detail
from jobs.reporting.lead_report import (
    AdjustmentReport,
    EstimateReport,
    Explanation,
    LeadConversionStanding,
    SeenClickId,
    StateChange,
    StatusEntryReport,
    print_explanation,
)
from jobs.reporting.sentences import explain_state, reason_or_state_code, state_and_reason_names
from jobs.reporting.status_report import (
    DeliveryList,
    DetectedRename,
    LastRun,
    StatusReport,
    print_delivery_list,
    print_status,
)
from jobs.reporting.wording import REASONS, STATES
from jobs.rules.decision import Decision, NoSuchConversion
from jobs.rules.delivery_state import OPEN, DeliveryState
from jobs.rules.extraction import ERASED
from jobs.rules.model import (
    ConversionRoute,
    CountingStarts,
    KnownClickId,
    LeadFacts,
    UnreadableAmount,
    normalise_listed_label,
)
from jobs.rules.reasons import Cause, PlatformCode, Reason
from jobs.settings import Settings
from jobs.settings.compile import Rulebook
from jobs.wiring.account import compile_rules_only, inbox_of


def show_status(file: Path, *, json_wanted: bool) -> int:
    """Print delivery states, what comes next, and what needs a human's attention."""
    account = open_account(file, secrets=False)
    with answering(account, json_wanted=json_wanted):
        return _show_status(account.settings, file, json_wanted=json_wanted)


def _show_status(settings: Settings, file: Path, *, json_wanted: bool) -> int:
    account = settings.account
    with open_view(settings) as view, closing(inbox_of(settings)) as inbox:
        session, run, book = view.session, queries.last_run(view.session, account), compile_rules_only(settings)
        anomalies = run and standing_anomalies(session, book, run=run.id or 0, now=run.started_at)
        status = StatusReport(
            account=account,
            now=view.now,
            run=LastRun(run.id or 0, run.command, run.started_at, run.ended_at, run.exit_code) if run else None,
            tallies=queries.count_by_state_and_reason(session, account, now=view.now),
            awaited=queries.awaited_outcomes(session, account),
            unreadable={row.id: row.reason for row in queries.unreadable_leads(session, account)},
            unknown_labels=unknown_labels(session, account, book.meanings.keys()),
            anomalies=tuple(anomalies or ()),
            webhooks=inbox.count_waiting_events(after=leads.last_read_inbox_event(session, account, inbox.identity())),
            renamed=tuple(
                DetectedRename(
                    status_labels.oplead_spelling(session, account, row.before),
                    status_labels.oplead_spelling(session, account, row.after),
                    row.leads,
                )
                for row in status_labels.renames_found(session, account)
                if row.after not in book.meanings
            ),
        )
    if json_wanted:
        print_json(status)
    else:
        print_status(results_console(), presentation_of_account(settings, file), status)
    return Exit.DONE


def show_leads(file: Path, name: str, *, json_wanted: bool) -> int:
    """Print the leads with a given state or reason.

    Raises:
        UsageError: there is no such state or reason.
    """
    account = open_account(file, secrets=False)
    with answering(account, json_wanted=json_wanted):
        return _show_leads(account.settings, file, name, json_wanted=json_wanted)


def _show_leads(settings: Settings, file: Path, name: str, *, json_wanted: bool) -> int:
    with open_view(settings) as view:
        kinds = _current_states_and_reasons(settings, view)
        meant = {kind for kind in kinds if name.strip().casefold() in state_and_reason_names(*kind)}
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
        which = DeliveryList(settings.account, view.now, name, deliveries)
    if json_wanted:
        print_json(which)
    else:
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
        name.strip().casefold() in names
        for names in (*(state_and_reason_names(state, PlatformCode("")) for state in STATES), REASONS)
    )


_NOTHING = (
    Reason.STAGE_NOT_REACHED,
    Reason.WHERE_DOES_NOT_MATCH,
    Reason.ANOTHER_WAY,
    Reason.SENT_ELSEWHERE,
    Reason.EXCLUDED,
    Reason.LEAD_DELETED,
)
_NO_DELIVERY = {**dict.fromkeys(_NOTHING, N_("nothing to send")), Reason.ANOTHER_PLATFORM: N_("not applicable")}
"""What to show for reasons that leave a lead without a delivery."""
_ENDS = 6
_SHORTEST = 16
"""Click ids with fewer characters show only their beginning."""


def explain_lead(lead_id: str, file: Path, *, json_wanted: bool) -> int:
    """Print everything known about a lead.

    Raises:
        UsageError: no such lead has been read.
    """
    account = open_account(file, secrets=False)
    with answering(account, json_wanted=json_wanted):
        return _explain_lead(account.settings, file, lead_id, json_wanted=json_wanted)


def _explain_lead(settings: Settings, file: Path, lead_id: str, *, json_wanted: bool) -> int:
    with open_view(settings) as view:
        row = view.session.get(LeadRow, (settings.account, lead_id))
        if row is None:
            raise UsageError(_not_found(settings, view, lead_id))
        explanation = explain(settings, view, row)
    if json_wanted:
        print_json(explanation)
    else:
        print_explanation(results_console(), presentation_of_account(settings, file), explanation)
    return Exit.DONE


def explain(settings: Settings, view: StateView, row: LeadRow) -> Explanation:
    """Collect what is known about a lead, and the verdict on each of its conversions."""
    lead, listed = LeadId(row.id), (settings.ignored_statuses, *settings.stages.values())
    in_settings = {normalise_listed_label(label): label for labels in listed for label in labels}

    def label_in_oplead_spelling(label: str) -> str:
        return status_labels.oplead_spelling(view.session, settings.account, label, else_as=in_settings.get(label))

    facts = leads.load_lead_facts(view.session, settings.account, [lead])[lead]
    return Explanation(
        account=settings.account,
        lead=row.id,
        now=view.now,
        created_at=row.created_at,
        label=row.label and label_in_oplead_spelling(row.label),
        seen_at=row.seen_at,
        missing_since=row.missing_since,
        deleted_at=row.deleted_at,
        merged_into=row.merged_into,
        ad_user_data=facts.ad_user_data.value,
        ad_personalization=facts.ad_personalization.value,
        consent_fields=(
            settings.consent.ad_user_data.field,
            settings.consent.ad_personalization.field if settings.consent.ad_personalization else "",
        ),
        click_ids=tuple(_click(click) for click in facts.click_ids),
        click_id_problem=facts.click_id_problem,
        where=dict(facts.where),
        amounts={
            path: _("unreadable ({shape})", shape=say_detail(amount.shape))
            if isinstance(amount, UnreadableAmount)
            else format_amount(amount)
            for path, amount in facts.amounts.items()
        },
        hashes={
            destination: tuple(sorted({identifier.kind.value for identifier in found}))
            for destination, found in facts.identifiers.items()
        },
        changes=tuple(
            StatusEntryReport(label_in_oplead_spelling(change.label), change.at, change.date_only, change.origin.value)
            for change in sorted(facts.changes, key=lambda change: (change.at, change.seen_at))
        ),
        verdicts=tuple(_verdicts(view, withhold_missing_amounts(view.session, compile_rules_only(settings)), facts)),
    )


def _verdicts(view: StateView, book: Rulebook, lead: LeadFacts) -> Iterator[LeadConversionStanding]:
    known = outbox.deliveries_of_leads(view.session, book.account, [lead.id])
    existing = known.conversions.get(lead.id, [])
    begun = starts.load_starts(view.session, book.account)
    on_record = {(row.conversion, row.destination) for row in existing}
    for row in existing:
        yield _report_recorded_delivery(view, row, known.corrections_of(row))
    for route in book.routes:
        if (route.conversion, route.destination) not in on_record:
            # A route that no run has seen yet would start with the next run.
            start = begun.get((route.conversion, route.destination), CountingStarts(view.now))
            sent_elsewhere = was_sent(route, lead, existing, book.routes)
            decision = judge(route, lead, start, None, now=view.now)
            yield _report_current_verdict(
                route, NoSuchConversion(Reason.SENT_ELSEWHERE) if sent_elsewhere else decision
            )


def _recorded_standing_fields(view: StateView, row: Delivery) -> dict[str, Any]:
    """Return the recorded fields that conversions and corrections share, as arguments of a `StandingReport`."""
    state, reason = DeliveryState(row.state), queries.current_reason(row, view.now)
    due_at = queries.due_time(row) if state is DeliveryState.PENDING else None
    return {
        "state": state.value,
        "stands": STATES[state].short,
        "reason": reason,
        "detail": row.detail,
        "words": explain_state(state, reason, row.detail),
        "value": row.value,
        "currency": row.currency,
        "due_at": due_at if due_at and due_at > view.now else None,
        "closes_at": row.expires_at if state in OPEN else None,
        "history": tuple(
            StateChange(move.at, move.to_state, outbox.cause_of(move.reason, move.code), move.detail)
            for move in queries.state_history(view.session, row)
        ),
        "requests": tuple(queries.requests_containing(view.session, row)),
    }


def _report_recorded_delivery(
    view: StateView, row: Delivery, corrections: Sequence[Delivery]
) -> LeadConversionStanding:
    """Build the report of a recorded delivery and its corrections."""
    return LeadConversionStanding(
        **_recorded_standing_fields(view, row),
        conversion=row.conversion,
        destination=row.destination,
        happened_at=row.at,
        origin=row.origin,
        click_id_kind=row.click_id_kind,
        click_estimated=row.click_estimated,
        tax=row.tax,
        value_from=row.value_from,
        estimate=None if row.estimate is None else _report_estimate(view, row.estimate),
        key=row.key,
        target=_("{owner}, {action}, by {transport}", owner=row.owner, action=row.action, transport=row.transport)
        if row.transport
        else None,
        corrections=tuple(
            AdjustmentReport(
                **_recorded_standing_fields(view, each),
                kind=each.kind,
                cause=each.cause or "",
                at=each.known_time,
                by=each.transport or "",
            )
            for each in corrections
        ),
        held_for=Reason(row.held_for) if row.held_for else None,
    )


def _report_estimate(view: StateView, number: int) -> EstimateReport | None:
    row = view.session.get(ExpectedValue, number)
    if row is None:
        return None
    return EstimateReport(
        *(row.low, row.high, row.rate, row.mean, row.leads, row.won, row.horizon_days),
        *(row.first, row.until, row.computed_at),
    )


def _report_current_verdict(route: ConversionRoute, decision: Decision | NoSuchConversion) -> LeadConversionStanding:
    """Build the report of the rules' current verdict for a route without a delivery."""
    reason, detail = decision.reason, decision.detail
    return LeadConversionStanding(
        conversion=route.conversion,
        destination=route.destination,
        state=None,
        stands=_(_NO_DELIVERY[reason]) if reason in _NO_DELIVERY else REASONS[reason].short,
        reason=reason,
        detail=detail,
        words=explain_state(DeliveryState.WITHHELD, reason, detail),
        held_for=None if isinstance(decision, NoSuchConversion) else decision.held_for,
    )


def _click(click: KnownClickId) -> SeenClickId:
    value = click.value
    if value.startswith(ERASED):
        shown = _("(erased: its window has closed)")
    elif len(value) < _SHORTEST:
        shown = f"{value[: len(value) // 3]}…"
    else:
        shown = f"{value[:_ENDS]}…{value[-_ENDS // 2 :]}"
    shown = _("{id} ({length} characters)", id=shown, length=len(value))
    return SeenClickId(click.kind.value, shown, click.clicked_at, click.estimated)


def _not_found(settings: Settings, view: StateView, lead_id: str) -> str:
    for row in queries.unreadable_leads(view.session, settings.account):
        if row.id == lead_id:
            return _(
                "lead {lead} could not be read: {reason}; correct it in Oplead and run again",
                lead=lead_id,
                reason=row.reason,
            )
    near = queries.similar_lead_ids(view.session, settings.account, lead_id)
    if not near:
        return _("no lead {lead} has been read for {account}", lead=lead_id, account=settings.account)
    return _(
        "no lead {lead} has been read for {account}; did you mean {others}?",
        lead=lead_id,
        account=settings.account,
        others=", ".join(near),
    )
