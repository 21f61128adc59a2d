"""What became of a lead since it entered a stage, as its status changes tell it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from jobs.rules.expected_value import LeadOutcome
from jobs.rules.model import Amount, Cohort, SaleTerms, StatusEntered, StatusTimeOrigin, UnreadableAmount

_DAY = timedelta(days=1)
_VAGUE = timedelta(days=7)
"""A status without a date is known too vaguely if the lead was not seen for longer than this before."""


@dataclass(frozen=True, slots=True)
class LeadPast:
    """A lead with all its status changes."""

    created_at: datetime
    changes: tuple[StatusEntered, ...]
    where: Mapping[str, str]
    """Normalised value by `where` path."""
    amounts: Mapping[str, Amount]
    campaign: str | None = None


def lead_outcome_since_stage(lead: LeadPast, cohort: Cohort, sale: SaleTerms) -> LeadOutcome | None:
    """Return what became of a lead since it first entered the cohort's stage.

    None if it did not, if nothing tells when, or if it had been won before. None, too, if nothing tells what became of
    it for a long time after: whether it was won or not then must not decide if it counts. A sale that was taken back
    is none.
    """
    if not all(lead.where.get(path) in values for path, values in cohort.where.items()):
        return None
    changes = sorted(_dated(lead.changes), key=lambda change: change.at)
    entries = (change for change in changes if change.label in cohort.labels)
    entered = None if (first := next(entries, None)) is None else first.at
    if cohort.on_creation:
        entered = lead.created_at
    if entered is None or any(_is_vague(change) for change in changes if change.at >= entered):
        return None
    won = _standing_sale(changes, sale)
    if won is not None and _latest(won) < entered:
        return None
    # A mere day is its midnight, which may lie before the entry of the same day.
    won_at = None if won is None else max(won.at, entered)
    return LeadOutcome(entered, won_at, None if won is None else _amount(lead, sale), lead.campaign)


def _dated(changes: Iterable[StatusEntered]) -> Iterable[StatusEntered]:
    return (change for change in changes if change.origin is not StatusTimeOrigin.RELABEL)


def _is_vague(change: StatusEntered) -> bool:
    is_undated = change.origin is StatusTimeOrigin.BASELINE
    return is_undated and (change.after is None or change.at - change.after > _VAGUE)


def _latest(change: StatusEntered) -> datetime:
    return change.at + _DAY if change.date_only else change.at


def _standing_sale(changes: Iterable[StatusEntered], sale: SaleTerms) -> StatusEntered | None:
    """Return when the lead was won; None if it was not, or the sale was taken back since."""
    won: StatusEntered | None = None
    for change in changes:
        if change.label in sale.undone_by:
            won = None
        elif won is None and change.label in sale.labels:
            won = change
    return won


def _amount(lead: LeadPast, sale: SaleTerms) -> Decimal | None:
    if sale.path is None:
        return sale.price
    amount = lead.amounts.get(sale.path)
    return None if isinstance(amount, UnreadableAmount) else amount
