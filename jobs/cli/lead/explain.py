"""`explain`: shows what is known about one lead, and the verdict on each of its conversions."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

from connectors.language import N_, _, format_amount, translated
from connectors.records import LeadId
from jobs.account.files import presentation_of_account, reading_settings
from jobs.account.state import StateView, label_spelling, open_view
from jobs.exit_codes import Exit, UsageError
from jobs.ledger.leads import leads, starts
from jobs.ledger.outbox import consents, outbox
from jobs.ledger.outbox.consents import ConsentEvidence
from jobs.ledger.report import queries
from jobs.ledger.retention import retention
from jobs.ledger.retention.erasure import forgotten_among
from jobs.ledger.schema import Delivery, ExcludedTestLead, ExpectedValue, LeadRow, stored_row_id
from jobs.plan.planner import decide_route, new_delivery, was_sent, withhold_missing_amounts
from jobs.reporting.presentation import print_json
from jobs.reporting.sentences import explain_state, forgotten_sentence
from jobs.reporting.standings import (
    CorrectionStateReport,
    EstimateReport,
    Explanation,
    LeadConversionStanding,
    SeenClickId,
    StateChange,
    StatusEntryReport,
)
from jobs.reporting.wording.reasons import REASONS, STATES
from jobs.rules.decision import Decision, NoSuchConversion
from jobs.rules.delivery_state import OPEN, DeliveryState
from jobs.rules.extraction import ERASED
from jobs.rules.model import ConversionRoute, CountingStarts, KnownClickId, LeadFacts, UnreadableAmount
from jobs.rules.reasons import Reason
from jobs.settings import Settings
from jobs.settings.compile import Rulebook
from jobs.wiring.account import compile_rules_only, inbox_of
from jobs.wiring.held_reports import reports_of_lead

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
    with reading_settings(file, json_wanted=json_wanted) as settings:
        with open_view(settings) as view:
            row = view.session.get(LeadRow, (settings.account, lead_id))
            if row is None:
                forgotten = forgotten_among(view.session, settings.account, [lead_id])
                if not forgotten:
                    raise UsageError(_not_found(settings, view, lead_id))
                return _explain_forgotten(
                    settings, LeadId(lead_id), forgotten[LeadId(lead_id)], json_wanted=json_wanted
                )
            explanation = explain(settings, view, row)
        if json_wanted:
            print_json(explanation)
        else:
            # Loading what draws tables takes as long as all queries.
            from jobs.reporting.console import results_console  # noqa: PLC0415
            from jobs.reporting.lead_report import print_explanation  # noqa: PLC0415

            print_explanation(results_console(), presentation_of_account(settings, file), explanation)
        return Exit.DONE


def _explain_forgotten(settings: Settings, lead: LeadId, on: date, *, json_wanted: bool) -> int:
    """Say only that a lead was forgotten, and when."""
    if json_wanted:
        print_json({"account": settings.account, "lead": lead, "forgotten_on": on})
    else:
        from jobs.reporting.console import results_console  # noqa: PLC0415

        results_console().print(forgotten_sentence(lead, on), markup=False, soft_wrap=True)
    return Exit.DONE


def explain(settings: Settings, view: StateView, row: LeadRow) -> Explanation:
    """Collect what is known about a lead, and the verdict on each of its conversions."""
    lead, spelled = LeadId(row.id), label_spelling(view.session, settings)
    facts = leads.load_lead_facts(view.session, settings.account, [lead])[lead]
    evidence = consents.consent_evidence(view.session, settings.account, lead)
    book = withhold_missing_amounts(view.session, compile_rules_only(settings))
    with closing(inbox_of(settings)) as inbox:
        reports = reports_of_lead(facts, book, inbox, view.now)
    return Explanation(
        account=settings.account,
        lead=row.id,
        now=view.now,
        created_at=row.created_at,
        label=row.label and spelled(row.label),
        seen_at=row.seen_at,
        missing_since=row.missing_since,
        deleted_at=row.deleted_at,
        merged_into=row.merged_into,
        reused=bool(row.reused_in),  # 0 once somebody has answered
        ad_user_data=facts.ad_user_data.value,
        ad_personalization=facts.ad_personalization.value,
        consent_fields=(
            settings.consent.ad_user_data.field,
            settings.consent.ad_personalization.field if settings.consent.ad_personalization else "",
        ),
        consent_answers=evidence.answers,
        click_ids=tuple(_click(click) for click in facts.click_ids),
        click_id_problem=facts.click_id_problem,
        where=dict(facts.where),
        amounts={
            path: _("unreadable ({shape})", shape=translated(amount.shape))
            if isinstance(amount, UnreadableAmount)
            else format_amount(amount)
            for path, amount in facts.amounts.items()
        },
        hashes={
            destination: tuple(sorted({identifier.kind.value for identifier in found}))
            for destination, found in facts.identifiers.items()
        },
        changes=tuple(
            StatusEntryReport(spelled(change.label), change.at, change.date_only, change.origin.value)
            for change in sorted(facts.changes, key=lambda change: (change.at, change.seen_at))
        ),
        reports=tuple(one._replace(label=spelled(one.label)) for one in reports),
        verdicts=tuple(_verdicts(view, book, facts, evidence)),
    )


def _verdicts(
    view: StateView, book: Rulebook, lead: LeadFacts, evidence: ConsentEvidence
) -> Iterator[LeadConversionStanding]:
    known = outbox.deliveries_of_leads(view.session, book.account, [lead.id])
    existing = known.conversions.get(lead.id, [])
    begun = starts.load_counting_starts(view.session, book.account)
    on_record = {(row.conversion, row.destination) for row in existing}
    for row in existing:
        yield _report_recorded_delivery(view, row, known.corrections_of(row), evidence)
    for route in book.routes:
        if (route.conversion, route.destination) not in on_record:
            # A route that no run has seen yet would start with the next run.
            start = begun.get((route.conversion, route.destination), CountingStarts(view.now))
            sent_elsewhere = was_sent(route, lead, existing, book.routes)
            decision = decide_route(route, lead, start, new_delivery(route, lead.id), now=view.now)
            yield _report_current_verdict(
                route, NoSuchConversion(Reason.SENT_ELSEWHERE) if sent_elsewhere else decision
            )


def _recorded_standing_fields(view: StateView, row: Delivery, evidence: ConsentEvidence) -> dict[str, Any]:
    """Return the recorded fields that conversions and corrections share, as arguments of a `DeliveryStateReport`."""
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
            StateChange(move.at, move.to_state, outbox.reason_or_code(move.reason, move.code), move.detail)
            for move in queries.state_history(view.session, row)
        ),
        "requests": tuple(queries.requests_containing(view.session, row)),
        "sent_on": evidence.sent_on.get(stored_row_id(row)),
    }


def _report_recorded_delivery(
    view: StateView, row: Delivery, corrections: Sequence[Delivery], evidence: ConsentEvidence
) -> LeadConversionStanding:
    """Build the report of a recorded delivery and its corrections."""
    return LeadConversionStanding(
        **_recorded_standing_fields(view, row, evidence),
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
            CorrectionStateReport(
                **_recorded_standing_fields(view, each, evidence),
                kind=each.kind,
                cause=each.cause or "",
                at=each.required_time,
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
    left_out = view.session.get(ExcludedTestLead, (settings.account, lead_id))
    if left_out and not left_out.too_old:
        return _("lead {lead} is a test lead. {meaning}", lead=lead_id, meaning=REASONS[Reason.EXCLUDED].means)
    for row in queries.unreadable_leads(view.session, settings.account):
        if row.id == lead_id:
            return _(
                "lead {lead} could not be read: {reason}; correct it in Oplead and run again",
                lead=lead_id,
                reason=row.reason,
            )
    near = queries.similar_lead_ids(view.session, settings.account, lead_id)
    before = retention.retention_cutoff(view.session, settings.account)
    if not near and before is not None:
        return _(
            "no lead {lead} is on record for {account}; it may have left, if it was created before {day} and nothing "
            "happened to it for long (see `retention`)",
            lead=lead_id,
            account=settings.account,
            day=before.astimezone(settings.zone).date(),
        )
    if not near:
        return _("no lead {lead} has been read for {account}", lead=lead_id, account=settings.account)
    return _(
        "no lead {lead} has been read for {account}; did you mean {others}?",
        lead=lead_id,
        account=settings.account,
        others=", ".join(near),
    )
