"""How many of a period's signed sales from ads each platform knows of."""

from collections.abc import Sequence

from sqlmodel import Session

from jobs.ledger.report import deliveries as report_deliveries
from jobs.reporting.page.attribution import SENT_TO, platforms_of_destinations
from jobs.reporting.page.counting_rules import ReportCountingRules
from jobs.reporting.page.facts import SalesKnownToPlatform
from jobs.reporting.page.leads.sales import Sale


def count_sales_sent(
    session: Session, rules: ReportCountingRules, sales: Sequence[Sale]
) -> tuple[SalesKnownToPlatform, ...]:
    """Return how far the conversions of these sales got at each platform that has a destination."""
    sale, platforms = rules.sale_conversion, platforms_of_destinations(rules.settings)
    conversions = {sale.id} | {
        route.conversion for route in rules.book.routes if route.only_with and route.stage == sale.stage
    }
    came_from = {one.lead: one.platform for one in sales if one.platform in SENT_TO}
    # A lead counts once, however many destinations of the platform have it.
    got: dict[str, set[str]] = {step: set() for step in ("sent", "received", "accepted", "not_to_be_sent")}
    for row in report_deliveries.conversion_progress(session, rules.settings.account, list(came_from)):
        if row.conversion in conversions and platforms.get(row.destination) is came_from[row.lead]:
            for step, leads in got.items():
                if getattr(row, step):
                    leads.add(row.lead)
    got["not_to_be_sent"] -= got["sent"]
    return tuple(
        SalesKnownToPlatform(platform, len(mine), *(len(mine & leads) for leads in got.values()))
        for platform in SENT_TO
        if platform in platforms.values()
        for mine in ({lead for lead, its in came_from.items() if its is platform},)
    )
