"""The period's leads by agency: how they are worked on, and what is lost there."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from sqlmodel import Session

from jobs.ledger.report.leads import count_changes_by_delay, count_leads_by_agency
from jobs.reporting.page.counting_rules import ReportCountingRules
from jobs.reporting.page.facts import FEWEST_AT_AN_AGENCY, AgencyLeads


@dataclass(slots=True)
class _Agency:
    leads: int = 0
    untouched: int = 0
    delays: Counter[int] = field(default_factory=Counter)
    """Changes by the tenths of a day until they were read."""
    missing_amounts: int = 0
    lost: Decimal = Decimal()

    def add(self, other: "_Agency") -> None:
        self.leads += other.leads
        self.untouched += other.untouched
        self.delays += other.delays
        self.missing_amounts += other.missing_amounts
        self.lost += other.lost


def leads_by_agency(
    session: Session, rules: ReportCountingRules, *, unpriced: Mapping[str, int], lost: Mapping[str, Decimal]
) -> tuple[AgencyLeads, ...]:
    """Return the agencies, the largest first; the small ones and leads without one come last, as one.

    Args:
        session: reads the ledger.
        rules: what counts.
        unpriced: sales without an amount, by agency.
        lost: the value of conversions that someone there could have saved, by agency.
    """
    found, account = defaultdict[str, _Agency](_Agency), rules.settings.account
    for row in count_leads_by_agency(session, account, rules.span):
        agency = found[row.agency or ""]
        agency.leads += row.leads
        agency.untouched += row.untouched
    for row in count_changes_by_delay(session, account, rules.span, rules.first_run or rules.now):
        found[row.agency or ""].delays[row.tenths] += row.changes
    for name, sales in unpriced.items():
        found[name].missing_amounts = sales
    for name, value in lost.items():
        found[name].lost = value
    return tuple(_rows(found))


def _rows(found: Mapping[str, _Agency]) -> Iterator[AgencyLeads]:
    others, named = _Agency(), list[tuple[str, _Agency]]()
    for name, agency in found.items():
        if name and agency.leads >= FEWEST_AT_AN_AGENCY:
            named.append((name, agency))
        else:
            others.add(agency)
    for name, agency in sorted(named, key=lambda pair: (-pair[1].leads, pair[0])):
        yield _row(name, agency)
    if others.leads:
        yield _row("", others)


def _row(name: str, agency: _Agency) -> AgencyLeads:
    days = _median(agency.delays) if agency.leads >= FEWEST_AT_AN_AGENCY and agency.delays else None
    return AgencyLeads(name, agency.leads, agency.untouched, days, agency.missing_amounts, agency.lost)


def _median(delays: Counter[int]) -> Decimal:
    """Return the smallest number of days that at least half of the changes do not exceed."""
    rest = -(-delays.total() // 2)
    for tenths, count in sorted(delays.items()):
        rest -= count
        if rest <= 0:
            return Decimal(tenths) / 10
    raise ValueError("there are none")
