"""Shows the records as one HTML page that stands alone: it loads nothing, runs no script, prints, and is read aloud.

`page.html.j2` has its order and structure; `sections` has what is in it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from connectors import language
from connectors.language import (
    _,
    _n,
    current_language,
    format_time,
)
from connectors.text import strip_control_characters
from jobs.reporting.page.brief import total_sales_from_ads
from jobs.reporting.page.facts import (
    Level,
    ReportFacts,
)
from jobs.reporting.page.sections import campaigns, conversions, leads
from jobs.reporting.page.sections.grids import MOST_ROWS, rows_shown_on_page
from jobs.reporting.page.words import (
    LEVELS,
    RESPONSIBLE,
    URGENCY,
    assumptions_confirmed,
)


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One account's line of the index."""

    account: str
    page: str
    """The file of its page, beside the index."""
    level: Level
    tasks: int
    sales: int
    """Signed sales from ads in its period, and their value."""
    value: Decimal
    currency: str
    now: datetime
    """When its page was made, in the account's zone."""


def index_row(facts: ReportFacts, page: str) -> IndexRow:
    """Return an account's line of the index."""
    sales = total_sales_from_ads(facts.headline.sales)
    return IndexRow(
        facts.account,
        page,
        facts.level,
        len(facts.tasks),
        sales.count,
        sales.value,
        facts.currency,
        facts.now.astimezone(facts.zone),
    )


def render(facts: ReportFacts) -> str:
    """Return an account's page in the current language."""
    names = facts.conversion_names
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            lang=current_language(),
            facts=facts,
            made=format_time(facts.now.astimezone(facts.zone)),
            tasks=rows_shown_on_page(facts.tasks),
            more_tasks=max(len(facts.tasks) - MOST_ROWS, 0),
            sales=conversions.sales_section(facts),
            counted=conversions.sales_known_section(facts),
            recoverable=conversions.recoverable_conversions(facts),
            night=conversions.last_night_section(facts, names),
            trend=conversions.nights_section(facts, names),
            funnel=campaigns.funnel(facts),
            timing=leads.stage_timing_section(facts),
            agencies=leads.agency_leads_grid(facts),
            coverage=leads.gaps_blocking_conversions(facts),
            held_reports=leads.held_reports_grid(facts),
            platforms=leads.platform_figures_grid(facts),
            assumed=assumptions_confirmed(),
        )
    )


def render_index(rows: Iterable[IndexRow]) -> str:
    """Return the page that links to each account's, the most urgent first."""
    order = list(reversed(Level))
    listed = sorted(rows, key=lambda row: (order.index(row.level), row.account))
    return _environment().get_template("index.html.j2").render(lang=current_language(), rows=listed)


def render_page(template: str, **values: object) -> str:
    """Return another page with this one's style and parts, in the current language."""
    return _environment().get_template(template).render(lang=current_language(), **values)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("jobs.reporting.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_tidy,
    )
    made.globals |= {name: getattr(language, name) for name in dir(language) if name.startswith("format_")}
    made.globals |= {"_": _, "_n": _n}
    made.globals |= {"LEVELS": LEVELS, "URGENCY": URGENCY, "RESPONSIBLE": RESPONSIBLE}
    made.filters |= {"address": quote, "pieces": _pieces}
    return made


def _tidy(value: object) -> object:
    """Return what a template shows: text without control characters, which could hide or reorder other text."""
    return strip_control_characters(value, keep="\n") if type(value) is str else value


def _pieces(text: str) -> Sequence[tuple[str, bool]]:
    """Return the pieces of a text, and of each whether it is code, which stands between backticks."""
    pieces = text.split("`")
    closed = len(pieces) % 2 == 1
    return [(piece, n % 2 == 1) for n, piece in enumerate(pieces)] if closed else [(text, False)]
