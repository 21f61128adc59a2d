"""What became of the leads of each stage, read for estimates; and the estimates on record."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby

import sqlalchemy
from sqlalchemy import and_, func
from sqlmodel import Session, col, select

from jobs.ledger.leads.leads import stored_amount
from jobs.ledger.leads.starts import current_names_by_old_label
from jobs.ledger.schema import STREAMED, ExpectedValue, LeadRow, StatusChange
from jobs.rules.expected_value import LeadOutcome, StageValueEstimate
from jobs.rules.model import Cohort, SaleTerms, StatusEntered, StatusTimeOrigin
from jobs.rules.stage_history import LeadPast, lead_outcome_since_stage


def lead_histories_since_stages(
    session: Session, account: str, cohorts: Sequence[Cohort], sale: SaleTerms, *, since: datetime
) -> list[list[LeadOutcome]]:
    """Return what became of each cohort's leads that entered its stage `since` then; test leads are left out."""
    renamed = current_names_by_old_label(session, account)
    cohorts = [replace(each, labels=_with_old_names(each.labels, renamed)) for each in cohorts]
    sale = replace(
        sale, labels=_with_old_names(sale.labels, renamed), undone_by=_with_old_names(sale.undone_by, renamed)
    )
    found: list[list[LeadOutcome]] = [[] for _ in cohorts]
    for lead in _leads(session, account):
        for cohort, histories in zip(cohorts, found, strict=True):
            history = lead_outcome_since_stage(lead, cohort, sale)
            if history is not None and history.entered_at >= since:
                histories.append(history)
    return found


def has_enough_sold_leads(session: Session, account: str, sale: SaleTerms, *, at_least: int) -> bool:
    """Return whether at least so many leads ever had a status of a sale; no lead's history is read for it."""
    labels = _with_old_names(sale.labels, current_names_by_old_label(session, account))
    # Most rows are the account's: looking each one up by its account takes far longer than reading them all in order.
    is_mine = func.coalesce(col(StatusChange.account), "") == account
    sold = select(StatusChange.lead).where(is_mine, col(StatusChange.label).in_(labels)).distinct().limit(at_least)
    return len(session.exec(sold).all()) == at_least


def _with_old_names(labels: frozenset[str], renamed: Mapping[str, str]) -> frozenset[str]:
    return labels | {old for old, new in renamed.items() if new in labels}


def _leads(session: Session, account: str) -> Iterator[LeadPast]:
    change = StatusChange
    rows = session.connection().execute(
        sqlalchemy.select(
            *(col(LeadRow.id), col(LeadRow.created_at), col(LeadRow.facts), col(LeadRow.utm_campaign)),
            *(col(change.label), col(change.at), col(change.date_only), col(change.origin), col(change.seen_at)),
            col(change.after),
        )
        .join_from(
            LeadRow,
            change,
            and_(col(change.account) == col(LeadRow.account), col(change.lead) == col(LeadRow.id)),
            isouter=True,
        )
        .where(col(LeadRow.account) == account, ~col(LeadRow.excluded))
        .order_by(col(LeadRow.id), col(change.id)),
        execution_options=STREAMED,
    )
    for _, group in groupby(rows, key=lambda row: row.id):
        of_lead = list(group)
        first, kept = of_lead[0], json.loads(of_lead[0].facts)
        yield LeadPast(
            created_at=first.created_at,
            changes=tuple(
                StatusEntered(row.label, row.at, row.date_only, StatusTimeOrigin(row.origin), row.seen_at, row.after)
                for row in of_lead
                if row.label is not None
            ),
            where=kept["where"],
            amounts={path: stored_amount(text) for path, text in kept["amounts"].items()},
            campaign=first.utm_campaign or None,
        )


# ── estimates ────────────────────────────────────────────────────────────────────────────────────


def latest_estimates(session: Session, account: str) -> dict[tuple[str, str], ExpectedValue]:
    """Return the latest estimate of each conversion and basis."""
    newest = (
        select(func.max(ExpectedValue.id))
        .where(ExpectedValue.account == account)
        .group_by(col(ExpectedValue.conversion), col(ExpectedValue.basis))
    )
    rows = session.exec(select(ExpectedValue).where(col(ExpectedValue.id).in_(newest)))
    return {(row.conversion, row.basis): row for row in rows}


def record_estimate(
    session: Session, account: str, conversion: str, basis: str, found: StageValueEstimate, *, now: datetime
) -> None:
    """Add an estimate to the record."""
    session.add(
        ExpectedValue(
            account=account,
            conversion=conversion,
            basis=basis,
            value=str(found.expected.value),
            low=str(found.expected.low),
            high=str(found.expected.high),
            rate=found.rate.value,
            mean=str(found.mean.value),
            leads=found.leads,
            won=found.won,
            horizon_days=found.horizon.days,
            first=found.first,
            until=found.until,
            computed_at=now,
        )
    )
