"""The sections about leads and platforms: stages, agencies, coverage, what the platforms say."""

from collections.abc import Mapping

from connectors.language import (
    NO_NUMBER,
    _,
    format_decimal,
    format_integer,
    format_rough_duration,
    format_share,
    format_time,
    join_with_semicolons,
    translated,
)
from connectors.stage_words import stage_in_words
from jobs.reporting.page import charts
from jobs.reporting.page.attribution import FEWEST_ADVISED, window_runs_from_click
from jobs.reporting.page.facts import (
    TIMING_DAYS,
    AdPlatform,
    AgencyLeads,
    CoverageGap,
    ReportFacts,
)
from jobs.reporting.page.sections.grids import (
    ChartWithTable,
    Column,
    Grid,
    capital,
    destination_name,
    grid_of,
    money_formatter,
    money_or_unknown_formatter,
    rows_shown_on_page,
)
from jobs.reporting.page.words import (
    FITNESS,
    GAPS,
    PLATFORMS,
)
from jobs.reporting.sentences import rough_age

# ── stages ───────────────────────────────────────────────────────────────────────────────────────


def stage_timing_section(facts: ReportFacts) -> Mapping[str, object] | None:
    """Return how long each stage takes; None where nothing is sent."""
    if not facts.timing:
        return None
    grid = grid_of(
        _("How long after the click each stage is reached"),
        (
            Column(_("Stage")),
            Column(_("Ads of")),
            Column(_("Verdict")),
            Column(_("Reached"), True),
            Column(_("Per 30 days"), True),
            Column(_("Half within"), True),
            Column(_("Nine in ten within"), True),
            Column(_("Window")),
            Column(_("In the window"), True),
        ),
        facts.timing,
        lambda each: (
            capital(stage_in_words(each.stage)),
            _(PLATFORMS[each.platform]),
            _(FITNESS[each.fitness]),
            format_integer(each.count),
            format_decimal(each.per_30_days),
            NO_NUMBER if each.median is None else format_rough_duration(each.median),
            NO_NUMBER if each.nine_in_ten is None else format_rough_duration(each.nine_in_ten),
            _("{span} from the click", span=format_rough_duration(each.window))
            if window_runs_from_click(each.platform)
            else _("{span} from the stage", span=format_rough_duration(each.window)),
            format_share(each.within_window, each.count),
        ),
    )
    figures = [figure for platform in AdPlatform if (figure := _times(facts, platform))]
    return {
        "grid": grid,
        "figures": figures,
        "days": TIMING_DAYS,
        "fewest": FEWEST_ADVISED,
    }


def _times(facts: ReportFacts, platform: AdPlatform) -> ChartWithTable | None:
    from_click = window_runs_from_click(platform)
    spans = [
        charts.TimeToStage(
            capital(stage_in_words(each.stage)), each.median, each.nine_in_ten, each.window if from_click else None
        )
        for each in facts.timing
        if each.platform is platform
        if each.median is not None and each.nine_in_ten is not None
    ]
    if not spans:
        return None
    name = _(PLATFORMS[platform])
    text = join_with_semicolons(
        _("{name}: {text}", name=span.name, text=format_rough_duration(span.median)) for span in spans
    )
    own = grid_of(
        _("Days from a click on an ad of {platform} to each stage", platform=name),
        (
            Column(_("Stage")),
            Column(_("Half within"), True),
            Column(_("Nine in ten within"), True),
        ),
        spans,
        lambda span: (span.name, *map(format_rough_duration, (span.median, span.nine_in_ten))),
    )
    title = _("Days from the click, {platform}", platform=name)
    return ChartWithTable(title, text, charts.render_svg(charts.times_to_stages_chart(spans)), own)


# ── agencies, coverage, platforms ────────────────────────────────────────────────────────────────


def agency_leads_grid(facts: ReportFacts) -> Grid | None:
    """Return the agencies; None without any."""
    if not facts.agencies:
        return None

    def cells(row: AgencyLeads) -> tuple[str, ...]:
        days = row.days_until_read
        return (
            row.name or _("Others together"),
            format_integer(row.leads),
            format_integer(row.untouched),
            format_share(row.untouched, row.leads),
            NO_NUMBER if days is None else format_decimal(days),
            format_integer(row.missing_amounts),
            money_formatter(facts)(row.lost),
        )

    return grid_of(
        _("The period’s leads by agency, those with most first"),
        (
            Column(_("Agency")),
            Column(_("Leads"), True),
            Column(_("Untouched"), True),
            Column(_("Share"), True),
            Column(_("Days until known"), True),
            Column(_("Sales without amount"), True),
            Column(_("Value lost"), True),
        ),
        facts.agencies,
        cells,
    )


def gaps_blocking_conversions(facts: ReportFacts) -> Mapping[str, object] | None:
    """Return what keeps conversions from being sent; None if nothing does."""
    if not facts.coverage:
        return None
    rows = facts.coverage

    def name(row: CoverageGap) -> str:
        gap = _(GAPS[row.gap])
        return _("{gap}: “{detail}”", gap=gap, detail=translated(row.detail)) if row.detail else gap

    grid = grid_of(
        _("What keeps conversions of leads from ads from being sent; the most valuable first"),
        (Column(_("Gap")), Column(_("Leads"), True), Column(_("Conversions"), True), Column(_("Value"), True)),
        rows,
        lambda row: (
            name(row),
            format_integer(row.leads),
            format_integer(row.conversions),
            money_or_unknown_formatter(facts)(row.value),
        ),
    )
    listed = [
        (name(row), row.lead_ids, max(row.leads - len(row.lead_ids), 0))
        for row in rows_shown_on_page(rows)
        if row.lead_ids
    ]
    return {"grid": grid, "leads": listed}


def held_reports_grid(facts: ReportFacts) -> Grid | None:
    """Return what waits for a reading of Oplead; None if nothing does."""
    if not facts.held_reports:
        return None
    return grid_of(
        _("Statuses that only webhooks reported, the oldest first"),
        (Column(_("Lead")), Column(_("Status")), Column(_("Reported")), Column(_("Lapses"))),
        facts.held_reports,
        lambda each: (
            each.lead,
            each.label,
            _("{age} ago", age=rough_age(each.received_at, facts.now)),
            format_time(each.lapses_at.astimezone(facts.zone)),
        ),
    )


def platform_figures_grid(facts: ReportFacts) -> Grid | None:
    """Return what the platforms say; None where they say nothing."""
    if not facts.platforms:
        return None
    return grid_of(
        _("The platforms’ numbers beside ours"),
        (
            Column(_("What")),
            Column(_("Destination")),
            Column(_("Theirs")),
            Column(_("Ours")),
            Column(_("Compared")),
            Column(_("Read on")),
        ),
        sorted(facts.platforms, key=lambda each: not each.differs),
        lambda each: (
            each.name,
            destination_name(each.destination),
            each.theirs,
            NO_NUMBER if each.ours is None else each.ours,
            _("▲ differs") if each.differs else _("the same") if each.ours == each.theirs else NO_NUMBER,
            format_time(each.read_at.astimezone(facts.zone)),
        ),
        flag=lambda each: each.differs,
    )
