"""Estimates what conversions with `value: expected` are worth, and hands the latest estimates to the rules."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from sqlmodel import Session

from jobs.ledger import reading_progress
from jobs.ledger.leads.stage_histories import (
    has_enough_sold_leads,
    latest_estimates,
    lead_histories_since_stages,
    record_estimate,
)
from jobs.ledger.retention import retention
from jobs.ledger.schema import ExpectedValue
from jobs.rules.expected_value import FEWEST_SALES, StageValueEstimate, estimate
from jobs.rules.model import ConversionRoute
from jobs.run_context import RunContext
from jobs.settings.compile import Rulebook

LOOKS_BACK = timedelta(days=730)
"""How old an entry into a stage may be: prices and sales teams change."""
_NIGHT_VARIES = timedelta(hours=12)
"""A night begins a little earlier or later than the one a week before."""


def with_latest_estimates(session: Session, book: Rulebook) -> Rulebook:
    """Return rules that know the latest estimate of each expected value, if there is one."""
    if all(route.expected_value is None for route in book.routes):
        return book
    known = latest_estimates(session, book.account)

    def with_estimate(route: ConversionRoute) -> ConversionRoute:
        rule = route.expected_value
        row = None if rule is None else known.get((route.conversion, rule.basis_digest))
        if rule is None or row is None:
            return route
        return replace(route, expected_value=replace(rule, value=Decimal(row.value), estimate=row.id))

    return replace(book, routes=tuple(map(with_estimate, book.routes)))


def update_estimates(run: RunContext) -> None:
    """Estimate anew every expected value whose latest estimate has become too old, or that has none.

    Where data are too thin, the latest estimate stays; if there is none, every night tries again. It reads no history
    before as many leads were sold as an estimate needs.
    """
    rules = {route.conversion: route.expected_value for route in run.book.routes if route.expected_value is not None}
    if not rules:
        return
    account, now = run.ledger.account, run.now()
    with run.ledger.read_transaction() as session:
        known = latest_estimates(session, account)
        due = {
            conversion: rule
            for conversion, rule in rules.items()
            if _is_due(known.get((conversion, rule.basis_digest)), run.book.recompute_after, now)
        }
        if not due:
            return
        # All have the same sale.
        sale = next(iter(due.values())).sale
        if not has_enough_sold_leads(session, account, sale, at_least=FEWEST_SALES):
            return
        until = lead_outcomes_known_until(session, account, now=now)
        cohorts = [rule.cohort for rule in due.values()]
        found = lead_histories_since_stages(
            session, account, cohorts, sale, since=all_leads_known_since(session, account, until - LOOKS_BACK)
        )
    with run.ledger.write_transaction() as session:
        for (conversion, rule), histories in zip(due.items(), found, strict=True):
            value = estimate(histories, until=until)
            if isinstance(value, StageValueEstimate) and value.expected.value > 0:
                record_estimate(session, account, conversion, rule.basis_digest, value, now=now)


def all_leads_known_since(session: Session, account: str, since: datetime) -> datetime:
    """Return the time, `since` or later, from which all leads are on record: of older ones, those that got on are."""
    return max(since, retention.retention_cutoff(session, account) or since)


def lead_outcomes_known_until(session: Session, account: str, *, now: datetime) -> datetime:
    """Return until when it is known what became of leads: when they were last read."""
    return min(reading_progress.last_read(session, account) or now, now)


def _is_due(latest: ExpectedValue | None, after: timedelta | None, now: datetime) -> bool:
    if latest is None:
        return True
    return after is not None and now >= latest.computed_at + after - _NIGHT_VARIES
