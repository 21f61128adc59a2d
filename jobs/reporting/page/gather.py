"""Gather what one account's page says from its ledger, without changing anything."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Row
from sqlmodel import Session

from jobs.alerts.review import unknown_labels
from jobs.ledger.leads import status_labels
from jobs.ledger.outbox.outbox import reason_or_code
from jobs.ledger.report import deliveries as report_deliveries
from jobs.ledger.report import leads as report_leads
from jobs.ledger.report import queries
from jobs.ledger.report.queries import StateCount
from jobs.plan.expected_values import with_latest_estimates
from jobs.reporting.details import strip_shape_from_detail
from jobs.reporting.page.attribution import SENT_TO, names_of_actions, platforms_of_destinations
from jobs.reporting.page.brief import Brief
from jobs.reporting.page.counting_rules import ReportCountingRules
from jobs.reporting.page.facts import (
    EXPIRES_WITHIN,
    OUTCOMES,
    SHOWN_IDS,
    TREND_NIGHTS,
    AgencyLeads,
    ConversionOutcome,
    CoverageGap,
    Headline,
    LastNight,
    NightCount,
    OutcomeCount,
    Period,
    RecoverableConversions,
    ReportFacts,
    ResponsibleParty,
    SendingObstacle,
)
from jobs.reporting.page.leads.agencies import leads_by_agency
from jobs.reporting.page.leads.archive import load_archived_period
from jobs.reporting.page.leads.campaigns import count_leads_in_period, sales_by_campaign
from jobs.reporting.page.leads.counted_sales import count_sales_sent
from jobs.reporting.page.leads.sales import sales_by_platform, signed_sales
from jobs.reporting.page.leads.spellings import merge_campaign_case_variants
from jobs.reporting.page.leads.stage_timing import stage_durations
from jobs.reporting.page.platform_figures import platform_figures
from jobs.reporting.page.responsible import RESPONSIBLE, who_can_unblock_conversion
from jobs.reporting.page.tasks import tasks_for_humans
from jobs.rules.labels import normalise_label
from jobs.rules.reasons import Anomaly, Cause, Reason
from jobs.rules.reported_statuses import HeldReport
from jobs.settings import Settings
from jobs.settings.compile import Rulebook

_GAPS = {
    Reason.VALUE_UNREADABLE: SendingObstacle.UNREADABLE_AMOUNT,
    Reason.VALUE_MISSING: SendingObstacle.MISSING_AMOUNT,
    Reason.VALUE_NEVER_SEEN: SendingObstacle.MISSING_AMOUNT,
    Reason.BARE_CLICK_ID: SendingObstacle.AMBIGUOUS_CLICK_ID,
    Reason.NO_CLICK_ID: SendingObstacle.UNUSABLE_CLICK_ID,
    Reason.NO_IDENTIFIER: SendingObstacle.UNUSABLE_CLICK_ID,
    Reason.CONSENT_MISSING: SendingObstacle.CONSENT_MISSING,
    Reason.CONSENT_UNKNOWN: SendingObstacle.CONSENT_UNCLEAR,
}
_NOT_READ = (SendingObstacle.AMBIGUOUS_CLICK_ID, SendingObstacle.UNUSABLE_CLICK_ID)
"""Gaps of a lead whose ad is known by a click id that was not read as one."""
_WITH_DETAIL = (SendingObstacle.UNREADABLE_AMOUNT, SendingObstacle.UNUSABLE_CLICK_ID)
"""Gaps whose reason has a detail that tells leads apart."""

Place = tuple[str, str, Cause]
"""A conversion, its destination, and why it stands where it stands."""


def gather(
    session: Session,
    settings: Settings,
    book: Rulebook,
    period: Period,
    now: datetime,
    *,
    held_reports: tuple[HeldReport, ...] = (),
    refusal: str | None = None,
) -> ReportFacts:
    """Return everything the page of a period says.

    Whoever reads the webhooks' inbox knows what is held, and whoever sees the state why the next run would refuse it.
    """
    account, book = settings.account, with_latest_estimates(session, book)
    renamed = {row.before: row.after for row in status_labels.renames_found(session, account)}
    first_run = report_leads.first_run_started(session, account)
    rules = ReportCountingRules(settings, book, renamed, period, now, first_run)
    sales, sales_before = signed_sales(session, rules)
    created = count_leads_in_period(session, rules)
    archived = load_archived_period(session, rules)
    held, currency = _hold(session, book, now), settings.currency
    recoverable = held.recoverable_conversions()
    return ReportFacts(
        account=account,
        now=now,
        zone=book.zone,
        currency=currency,
        period=period,
        conversion_names=settings.conversion_names,
        sale=rules.sale_conversion.id,
        consent_assumed_because=settings.consent.because,
        tasks=tasks_for_humans(
            session,
            book,
            run=queries.last_run(session, account),
            now=now,
            recoverable=recoverable,
            currency=currency,
            refusal=refusal,
        ),
        headline=Headline(
            sales=archived.sales_with_archive(sales_by_platform(rules, sales), archived.now),
            sales_before=archived.sales_with_archive(sales_by_platform(rules, sales_before), archived.before),
            counted=archived.sales_known_to_platforms(count_sales_sent(session, rules, sales)),
            recoverable=recoverable,
        ),
        last_night=_last_night(session, book, now, held.worth),
        trend=tuple(_trend(session, rules)),
        funnel=merge_campaign_case_variants(archived.funnel(replace(created.funnel, sales=sales_by_campaign(sales)))),
        timing=stage_durations(
            session, rules, [each for each in SENT_TO if each in platforms_of_destinations(settings).values()]
        ),
        agencies=_agencies(session, rules, created.unpriced),
        agency_field=settings.report.by,
        coverage=tuple(sorted(_coverage(session, rules, held), key=_cost)),
        platforms=platform_figures(session, account, now, book.zone, names_of_actions(settings)),
        held_reports=held_reports,
        whole_months_before=archived.only_whole_months_before(period, book.zone),
    )


def gather_brief(
    session: Session,
    book: Rulebook,
    *,
    currency: str,
    now: datetime,
    anomalies: Sequence[Anomaly] | None = None,
    refusal: str | None = None,
) -> Brief:
    """Return what of the page is cheap to say: sales, which take a look at every change of status, are left out.

    Args:
        session: reads the ledger.
        book: the account's rules.
        currency: the currency of all values.
        now: the current time.
        anomalies: those on record now, from a caller that knows them; None looks for them.
        refusal: why the next run would refuse the state, if it would.
    """
    run = queries.last_run(session, book.account)
    recoverable = _hold(session, book, now, expiring_only=True).recoverable_conversions()
    found = tasks_for_humans(
        session,
        book,
        run=run,
        now=now,
        recoverable=recoverable,
        currency=currency,
        anomalies=anomalies,
        refusal=refusal,
    )
    return Brief(found, recoverable, currency)


# ── leads ────────────────────────────────────────────────────────────────────────────────────────


def _agencies(
    session: Session, rules: ReportCountingRules, unpriced: Mapping[str, int]
) -> tuple[AgencyLeads, ...] | None:
    if rules.settings.report.by is None:
        return None
    lost = defaultdict[str, Decimal](Decimal)
    for row in report_deliveries.lost_conversions(session, rules.settings.account, rules.span):
        if row.known_late or (row.held_for and RESPONSIBLE[Reason(row.held_for)] is ResponsibleParty.OPLEAD_USERS):
            agency = report_leads.amounts_and_agency(row.facts)[1]
            lost[agency or ""] += _worth(rules.book, row.conversion, row.destination, row.facts)
    return leads_by_agency(session, rules, unpriced=unpriced, lost=lost)


def _worth(book: Rulebook, conversion: str, destination: str, facts: str) -> Decimal:
    """Return what a conversion is worth by its lead's facts: one that was never to be sent has no value on record."""
    route = book.find_conversion_route(conversion, destination)
    if route is None:
        return Decimal()
    if route.expected_value is not None:
        return route.expected_value.value or route.expected_value.otherwise or Decimal()
    if route.field_value is None:
        return route.fixed_value or Decimal()
    return report_leads.amounts_and_agency(facts)[0].get(route.field_value.path, Decimal())


def _worth_of(book: Rulebook, alike: Row[Any]) -> Decimal:
    """Return what conversions that are alike are worth together."""
    each = Decimal(alike.value) if alike.value else _worth(book, alike.conversion, alike.destination, alike.facts)
    return each * int(alike.conversions)


# ── conversions ──────────────────────────────────────────────────────────────────────────────────


def _last_night(session: Session, book: Rulebook, now: datetime, held: Mapping[Place, Decimal]) -> LastNight | None:
    run = report_deliveries.last_night(session, book.account)
    if run is None or run.id is None:
        return None
    moved = _fold(report_deliveries.state_counts_after_runs(session, [run.id]), _worth_of_unsent(session, book, run.id))
    worth = {ConversionOutcome.HELD: held, ConversionOutcome.EXPIRED: _worth_of_expired(session, book)}
    standing = _fold(queries.count_by_state_and_reason(session, book.account, now=now), worth)
    sent = Counter[ConversionOutcome]()
    for state, count in report_deliveries.count_sent(session, run.id).items():
        sent[OUTCOMES[state]] += count
    of_sent = tuple((outcome, sent[outcome]) for outcome in ConversionOutcome if sent[outcome])
    return LastNight(run.id, run.started_at, run.ended_at, run.exit_code, moved, standing, sent.total(), of_sent)


def _worth_of_unsent(session: Session, book: Rulebook, run: int) -> Mapping[ConversionOutcome, Mapping[Place, Decimal]]:
    found = defaultdict[ConversionOutcome, defaultdict[Place, Decimal]](lambda: defaultdict(Decimal))
    for state, cause, row in report_deliveries.unsent_after_run(session, run):
        found[OUTCOMES[state]][row.conversion, row.destination, cause] += _worth_of(book, row)
    return found


def _worth_of_expired(session: Session, book: Rulebook) -> Mapping[Place, Decimal]:
    found = defaultdict[Place, Decimal](Decimal)
    for row in report_deliveries.count_expired_conversions(session, book.account):
        found[row.conversion, row.destination, reason_or_code(row.reason, row.code)] += _worth_of(book, row)
    return found


def _fold(
    counts: Iterable[StateCount], worth: Mapping[ConversionOutcome, Mapping[Place, Decimal]]
) -> tuple[OutcomeCount, ...]:
    """Add up what has the same outcome for the same reason."""
    found: dict[tuple[str, str, ConversionOutcome, Cause], list[tuple[int, Decimal]]] = defaultdict(list)
    for one in counts:
        found[one.conversion, one.destination, OUTCOMES[one.state], one.reason].append((one.count, one.value))
    order = list(ConversionOutcome)
    standing = [
        OutcomeCount(
            *(conversion, destination, outcome, cause),
            sum(count for count, _ in each),
            sum((value for _, value in each), Decimal()),
            worth=worth.get(outcome, {}).get((conversion, destination, cause)),
        )
        for (conversion, destination, outcome, cause), each in found.items()
    ]
    standing.sort(key=lambda one: (one.conversion, one.destination, order.index(one.outcome), -one.count, one.cause))
    return tuple(standing)


def _trend(session: Session, rules: ReportCountingRules) -> Iterator[NightCount]:
    zone, last = rules.book.zone, rules.now.astimezone(rules.book.zone).date()
    nights = report_deliveries.runs_by_night(
        session, rules.settings.account, zone, first=last - timedelta(days=TREND_NIGHTS - 1), last=last
    )
    order = list(ConversionOutcome)
    for night, runs in sorted(nights.items()):
        found: dict[tuple[str, str, ConversionOutcome], tuple[int, Decimal]] = {}
        for one in report_deliveries.state_counts_after_runs(session, runs):
            place = (one.conversion, one.destination, OUTCOMES[one.state])
            count, value = found.get(place, (0, Decimal()))
            found[place] = count + one.count, value + one.value
        for place in sorted(found, key=lambda each: (*each[:2], order.index(each[2]))):
            yield NightCount(night, *place, *found[place])


# ── what is held ─────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Saved:
    who: ResponsibleParty
    count: int = 0
    value: Decimal = Decimal()
    first_expiry: datetime | None = None


@dataclass(slots=True)
class _Missed:
    leads: dict[str, None] = field(default_factory=dict)
    conversions: int = 0
    value: Decimal = Decimal()


@dataclass(slots=True)
class _Held:
    """What is held for a reason that someone can mend."""

    expiring: dict[Reason, _Saved] = field(default_factory=dict)
    gaps: defaultdict[tuple[SendingObstacle, str], _Missed] = field(default_factory=lambda: defaultdict(_Missed))
    worth: defaultdict[Place, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def recoverable_conversions(self) -> tuple[RecoverableConversions, ...]:
        """Return what expires soon, the most valuable first."""
        found = [
            RecoverableConversions(reason, it.who, it.count, it.value, it.first_expiry)
            for reason, it in self.expiring.items()
            if it.first_expiry is not None
        ]
        return tuple(sorted(found, key=lambda one: (-one.value, -one.count, one.reason)))


def _hold(session: Session, book: Rulebook, now: datetime, *, expiring_only: bool = False) -> _Held:
    held, until = _Held(), now + EXPIRES_WITHIN
    mendable = [reason for reason, who in RESPONSIBLE.items() if who is not None]
    expiring = (now, until) if expiring_only else None
    for row in report_deliveries.held_conversions(session, book.account, mendable, expiring=expiring):
        reason, value = Reason(row.reason), _worth(book, row.conversion, row.destination, row.facts)
        held.worth[row.conversion, row.destination, reason] += value
        who = who_can_unblock_conversion(reason)
        if who is not None and row.expires_at is not None and now <= row.expires_at <= until:
            saved = held.expiring.setdefault(reason, _Saved(who))
            saved.count += 1
            saved.value += value
            saved.first_expiry = min(row.expires_at, saved.first_expiry or row.expires_at)
        gap = _GAPS.get(reason)
        if gap is not None and (row.has_click or gap in _NOT_READ):
            missed = held.gaps[gap, strip_shape_from_detail(row.detail or "") if gap in _WITH_DETAIL else ""]
            missed.leads[row.lead] = None
            missed.conversions += 1
            missed.value += value
    return held


def _coverage(session: Session, rules: ReportCountingRules, held: _Held) -> Iterator[CoverageGap]:
    account = rules.settings.account
    for (gap, detail), missed in held.gaps.items():
        shown = tuple(missed.leads)[:SHOWN_IDS]
        yield CoverageGap(gap, detail, len(missed.leads), missed.conversions, missed.value, shown)
    for label in unknown_labels(session, account, rules.book.meanings.keys()):
        if label.with_click_id:
            leads = report_leads.leads_with_label(session, account, normalise_label(label.label), limit=SHOWN_IDS)
            yield CoverageGap(
                SendingObstacle.UNKNOWN_STATUS, label.label, label.with_click_id, 0, Decimal(), tuple(leads)
            )
    unreadable = defaultdict[str, list[str]](list)
    for problem, unread in report_leads.unreadable_leads(session, account).items():
        # A lead without an id is on record under its problem.
        unreadable[strip_shape_from_detail(problem)] += ["" if lead.endswith(problem) else lead for lead in unread]
    for problem, leads in unreadable.items():
        shown = tuple(filter(None, leads))[:SHOWN_IDS]
        yield CoverageGap(SendingObstacle.UNREADABLE_LEAD, problem, len(leads), 0, Decimal(), shown)


def _cost(row: CoverageGap) -> tuple[Decimal, int, int, Sequence[str]]:
    """Sort by what a gap costs, the dearest first."""
    return -row.value, -row.conversions, -row.leads, (row.gap, row.detail)
