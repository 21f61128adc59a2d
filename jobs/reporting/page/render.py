"""Shows the records as one HTML page that stands alone: it loads nothing, runs no script, prints, and is read aloud.

`page.html.j2` has its order and structure; here its sections are made of words and formatted numbers.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import TypeVar
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from connectors import language
from connectors.language import (
    NO_NUMBER,
    _,
    _n,
    current_language,
    format_count,
    format_day,
    format_decimal,
    format_lapse,
    format_round_money,
    format_share,
    format_time,
    translated,
)
from connectors.text import strip_control_characters
from jobs.reporting.page import charts
from jobs.reporting.page.attribution import window_runs_from_click
from jobs.reporting.page.brief import Sold, change_since_before, total_from_ads
from jobs.reporting.page.facts import (
    MATURES_AFTER,
    TIMING_DAYS,
    TREND_NIGHTS,
    AdPlatform,
    AgencyRow,
    CampaignRow,
    CoverageRow,
    LastNight,
    Level,
    Outcome,
    ReportFacts,
    Sales,
    Standing,
)
from jobs.reporting.page.words import (
    FITNESS,
    GAPS,
    LEVELS,
    OUTCOMES,
    PLATFORMS,
    RESPONSIBLE,
    URGENCY,
    ending,
    explain_outcome,
)

MOST_ROWS = 25
"""Of a table on the page; the CSV files have them all."""
MOST_TRENDS = 8
"""Charts of nights; the table has the others."""
MOST_SOURCES = 6
RECENT_NIGHTS = 30

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column."""

    head: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Explained:
    """A cell with a sentence below its words."""

    words: str
    note: str


@dataclass(frozen=True, slots=True)
class Grid:
    """A table ready to be shown; the first cell of a row names it."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple["str | Explained", ...], ...]
    more: int = 0
    """How many rows are left out."""
    flagged: frozenset[int] = frozenset()
    """The places of rows that stand out; their words say why."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with what it says in words and its numbers."""

    title: str
    text: str
    """What somebody learns who does not see it."""
    svg: str
    grid: Grid


@dataclass(frozen=True, slots=True)
class Tile:
    """One number."""

    name: str
    number: str
    note: str = ""


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
    sales = total_from_ads(facts.headline.sales)
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
            tasks=_shown(facts.tasks),
            more_tasks=max(len(facts.tasks) - MOST_ROWS, 0),
            sales=_sales(facts),
            counted=_counted(facts),
            recoverable=_recoverable(facts),
            night=_night(facts, names),
            trend=_trend(facts, names),
            funnel=_funnel(facts),
            timing=_timing(facts),
            agencies=_agencies(facts),
            coverage=_coverage(facts),
            platforms=_platforms(facts),
        )
    )


def render_index(rows: Iterable[IndexRow]) -> str:
    """Return the page that links to each account's, the most urgent first."""
    order = list(reversed(Level))
    listed = sorted(rows, key=lambda row: (order.index(row.level), row.account))
    return _environment().get_template("index.html.j2").render(lang=current_language(), rows=listed)


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


def _shown(rows: Sequence[_Row]) -> Sequence[_Row]:
    return rows[:MOST_ROWS]


def _grid(
    caption: str,
    columns: Sequence[Column],
    records: Sequence[_Row],
    cells: Callable[[_Row], tuple[str | Explained, ...]],
    *,
    flag: Callable[[_Row], bool] = lambda _row: False,
    most: int = MOST_ROWS,
) -> Grid:
    shown = records[:most]
    flagged = frozenset(place for place, record in enumerate(shown) if flag(record))
    return Grid(caption, tuple(columns), tuple(map(cells, shown)), len(records) - len(shown), flagged)


# ── three numbers ────────────────────────────────────────────────────────────────────────────────


def _sales(facts: ReportFacts) -> Mapping[str, object]:
    now = total_from_ads(facts.headline.sales)
    earlier = {each.platform: each for each in facts.headline.sales_before}
    money = _money(facts)
    none_yet = Sales(AdPlatform.NONE, 0, Decimal(0), 0, Decimal(0))

    def cells(each: Sales) -> tuple[str, ...]:
        then = earlier.get(each.platform, none_yet)
        return (
            _(PLATFORMS[each.platform]),
            format_count(each.count),
            money(each.value),
            format_count(each.matured),
            money(each.matured_value),
            format_count(then.count),
            money(then.value),
        )

    grid = _grid(
        _("Signed sales by platform"),
        (
            Column(_("From")),
            Column(_("Sales"), True),
            Column(_("Value"), True),
            Column(_("Matured"), True),
            Column(_("Their value"), True),
            Column(_("Before"), True),
            Column(_("Value before"), True),
        ),
        [each for each in facts.headline.sales if each.count or each.platform in earlier],
        cells,
    )
    return {
        "count": now.count,
        "value": money(now.value),
        "matured": _n("{count} of them matured", "{count} of them matured", now.matured)
        + f" ({money(now.matured_value)})",
        "not_matured": _(
            "{count} not yet ({value})",
            count=format_count(now.count - now.matured),
            value=money(now.value - now.matured_value),
        ),
        "change": change_since_before(Sold(facts.headline, facts.period.days), facts.currency),
        "days": MATURES_AFTER.days,
        "grid": grid,
    }


def _counted(facts: ReportFacts) -> Mapping[str, object]:
    counted = facts.headline.counted
    sales, accepted = sum(each.sales for each in counted), sum(each.accepted for each in counted)
    grid = _grid(
        _("Signed sales that the platforms know of"),
        (
            Column(_("Platform")),
            Column(_("Sales"), True),
            Column(_("Sent"), True),
            Column(_("Received"), True),
            Column(_("Accepted"), True),
        ),
        counted,
        lambda each: (
            _(PLATFORMS[each.platform]),
            *map(format_count, (each.sales, each.sent, each.received, each.accepted)),
        ),
    )
    return {"share": format_share(accepted, sales) if sales else "", "accepted": accepted, "sales": sales, "grid": grid}


def _recoverable(facts: ReportFacts) -> Mapping[str, object]:
    rows = sorted(facts.headline.recoverable, key=lambda each: (-each.value, each.first_expiry))
    grid = _grid(
        _("What expires within seven days unless its cause is mended"),
        (
            Column(_("Why it is held back")),
            Column(_("Who can do it")),
            Column(_("Conversions"), True),
            Column(_("Value"), True),
            Column(_("First expires")),
        ),
        rows,
        lambda each: (
            _capital(explain_outcome(Outcome.HELD, each.reason).short),
            _(RESPONSIBLE[each.who]),
            format_count(each.count),
            _known_money(facts)(each.value),
            format_time(each.first_expiry.astimezone(facts.zone)),
        ),
    )
    return {
        "count": sum(each.count for each in rows),
        "value": _money(facts)(sum((each.value for each in rows), Decimal(0))),
        "grid": grid,
    }


def _money(facts: ReportFacts) -> Callable[[Decimal], str]:
    return lambda amount: format_round_money(amount, facts.currency)


def _known_money(facts: ReportFacts) -> Callable[[Decimal], str]:
    """Format money where nothing means that nobody knows."""
    return lambda amount: _money(facts)(amount) if amount else NO_NUMBER


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# ── tonight ──────────────────────────────────────────────────────────────────────────────────────


def _night(facts: ReportFacts, names: Mapping[str, str]) -> Mapping[str, object] | None:
    night = facts.last_night
    if night is None:
        return None
    started = night.started_at.astimezone(facts.zone)
    return {
        "started": format_time(started),
        "lasted": format_lapse(night.ended_at - night.started_at) if night.ended_at else "",
        "ending": ending(night.exit_code if night.ended_at else None),
        "tiles": _tiles(facts, night),
        "moved": _by_outcome(_("What the last night moved"), night.moved, names),
        "standing": _by_outcome(_("Where all conversions stand now"), night.standing, names),
        "reasons": _reasons(facts, night),
    }


def _tiles(facts: ReportFacts, night: LastNight) -> Sequence[Tile]:
    count, value = Counter[Outcome](), defaultdict[Outcome, Decimal](Decimal)
    for each in night.moved:
        count[each.outcome] += each.count
        value[each.outcome] += each.value
    tiles = [
        Tile(_(name), format_count(count[outcome]), _money(facts)(value[outcome]) if value[outcome] else "")
        for outcome, name in OUTCOMES.items()
        if outcome is not Outcome.NOT_SENT or count[outcome]
    ]
    matched = [each.matched for each in night.moved if each.matched is not None]
    if matched:
        after = list(OUTCOMES).index(Outcome.ACCEPTED) + 1
        tiles.insert(after, Tile(_("Matched"), format_count(sum(matched)), _("where the platform says so")))
    return tiles


def _by_outcome(caption: str, standings: Iterable[Standing], names: Mapping[str, str]) -> Grid:
    rows: dict[tuple[str, str], Counter[Outcome]] = defaultdict(Counter)
    matched: dict[tuple[str, str], int] = defaultdict(int)
    for each in standings:
        rows[each.conversion, each.destination][each.outcome] += each.count
        if each.matched is not None:
            matched[each.conversion, each.destination] += each.matched
    shown = [outcome for outcome in OUTCOMES if any(row[outcome] for row in rows.values())]
    heads = [Column(_(OUTCOMES[outcome]), True) for outcome in shown]
    if matched:
        heads.append(Column(_("Matched"), True))

    def cells(key: tuple[str, str]) -> tuple[str, ...]:
        numbers = [format_count(rows[key][outcome]) for outcome in shown]
        if matched:
            numbers.append(format_count(matched[key]) if key in matched else _("not told"))
        return (_conversion(names, key[0]), key[1], *numbers)

    biggest = sorted(rows, key=lambda key: (-rows[key].total(), key))
    return _grid(caption, (Column(_("Conversion")), Column(_("Destination")), *heads), biggest, cells)


def _conversion(names: Mapping[str, str], conversion: str) -> str:
    """Return a conversion's name; a stage of Meta's funnel has the one that Meta knows."""
    kind, of_a_kind, name = conversion.partition(":")
    return f"{name} ({kind})" if of_a_kind else names.get(conversion, conversion)


_NEEDS_NO_REASON = frozenset({Outcome.ACCEPTED, Outcome.SENT, Outcome.RECEIVED, Outcome.NOT_SENT})


def _reasons(facts: ReportFacts, night: LastNight) -> Grid:
    count, value = (
        Counter[tuple[Outcome, str, str, str]](),
        defaultdict[tuple[Outcome, str, str, str], Decimal](Decimal),
    )
    for each in night.standing:
        if each.outcome not in _NEEDS_NO_REASON:
            words = explain_outcome(each.outcome, each.cause)
            key = (each.outcome, words.short, words.means, words.todo)
            count[key] += each.count
            value[key] += each.value if each.worth is None else each.worth
    return _grid(
        _("Why conversions did not get through, and what that costs"),
        (Column(_("Reason")), Column(_("Where they stand")), Column(_("Conversions"), True), Column(_("Value"), True)),
        sorted(count, key=lambda key: (-value[key], -count[key], key)),
        lambda key: (
            Explained(_capital(key[1]), f"{key[2]} {key[3]}"),
            _(OUTCOMES[key[0]]),
            format_count(count[key]),
            _known_money(facts)(value[key]),
        ),
    )


# ── trend ────────────────────────────────────────────────────────────────────────────────────────

_LOST = frozenset({Outcome.REJECTED, Outcome.EXPIRED})


@dataclass(frozen=True, slots=True)
class _Trend:
    """The figures of one conversion and destination, by night."""

    conversion: str
    destination: str
    nights: Mapping[date, Counter[Outcome]]

    def total(self, first: date, last: date) -> Counter[Outcome]:
        """Count the outcomes of some nights."""
        found = Counter[Outcome]()
        for night, counts in self.nights.items():
            if first <= night <= last:
                found += counts
        return found

    def bar(self, first: date, last: date) -> charts.Bar:
        """Return the bar of some nights."""
        total = self.total(first, last)
        return charts.Bar(first, total[Outcome.ACCEPTED], total[Outcome.RECEIVED], sum(total[one] for one in _LOST))


def _trend(facts: ReportFacts, names: Mapping[str, str]) -> Mapping[str, object] | None:
    if not facts.trend:
        return None
    nights: dict[tuple[str, str], dict[date, Counter[Outcome]]] = defaultdict(lambda: defaultdict(Counter))
    for each in facts.trend:
        nights[each.conversion, each.destination][each.night][each.outcome] += each.count
    last = max(facts.now.astimezone(facts.zone).date(), *(each.night for each in facts.trend))
    trends = [_Trend(_conversion(names, key[0]), key[1], found) for key, found in nights.items()]
    trends.sort(key=lambda trend: -trend.total(date.min, last).total())
    return {
        "charts": [_trend_charts(trend, last) for trend in trends[:MOST_TRENDS]],
        "grid": _trend_totals(trends, last),
        "more": max(len(trends) - MOST_TRENDS, 0),
    }


def _trend_charts(trend: _Trend, last: date) -> Mapping[str, object]:
    day, week = timedelta(days=1), timedelta(days=7)
    recent = [trend.bar(last - n * day, last - n * day) for n in reversed(range(RECENT_NIGHTS))]
    # The last of the weeks ends tonight; the first may reach a day past the nights on record.
    starts = [last - (n + 1) * week + day for n in reversed(range(-(-TREND_NIGHTS // 7)))]
    weeks = [trend.bar(start, start + week - day) for start in starts]
    return {
        "conversion": trend.conversion,
        "destination": trend.destination,
        "figures": [
            _bars(trend, _("The last 30 nights, by night"), _("Night"), recent),
            _bars(trend, _("The last 90 nights, by week"), _("Week from"), weeks),
        ],
    }


def _bars(trend: _Trend, title: str, unit: str, bars: Sequence[charts.Bar]) -> Figure:
    accepted, received, lost = (sum(getattr(bar, part) for bar in bars) for part in ("accepted", "received", "lost"))
    text = _(
        "{conversion}, {destination}: {accepted} accepted, {received} received, {lost} rejected or expired.",
        conversion=trend.conversion,
        destination=trend.destination,
        accepted=format_count(accepted),
        received=format_count(received),
        lost=format_count(lost),
    )
    grid = _grid(
        f"{title} ({trend.conversion}, {trend.destination})",
        (
            Column(unit),
            Column(_("Accepted"), True),
            Column(_("Received"), True),
            Column(_("Rejected or expired"), True),
        ),
        bars,
        lambda bar: (format_day(bar.day), *map(format_count, (bar.accepted, bar.received, bar.lost))),
        most=RECENT_NIGHTS,
    )
    return Figure(title, text, charts.draw(charts.outcomes_over_time(bars)), grid)


def _trend_totals(trends: Sequence[_Trend], last: date) -> Grid:
    spans = [timedelta(days=days - 1) for days in (RECENT_NIGHTS, TREND_NIGHTS)]
    outcomes = (Outcome.ACCEPTED, Outcome.RECEIVED, Outcome.REJECTED, Outcome.EXPIRED, Outcome.IN_DOUBT)

    def cells(trend: _Trend) -> tuple[str, ...]:
        recent, all_nights = (trend.total(last - span, last) for span in spans)
        pairs = (f"{format_count(recent[one])} / {format_count(all_nights[one])}" for one in outcomes)
        return (trend.conversion, trend.destination, *pairs)

    heads = [Column(_(OUTCOMES[one]), True) for one in outcomes]
    columns = (Column(_("Conversion")), Column(_("Destination")), *heads)
    return _grid(_("In the last 30 / 90 nights"), columns, trends, cells)


# ── campaigns ────────────────────────────────────────────────────────────────────────────────────


def _funnel(facts: ReportFacts) -> Mapping[str, object] | None:
    campaigns = facts.funnel.campaigns
    weeks = _shares(facts)
    if not campaigns and not weeks:
        return None
    return {"figure": _all_campaigns(facts), "grid": _campaigns(facts), "shares": weeks}


def _all_campaigns(facts: ReportFacts) -> Figure | None:
    campaigns = facts.funnel.campaigns
    if not campaigns:
        return None
    reached = [sum(each) for each in zip(*(campaign.reached for campaign in campaigns), strict=True)]
    leads = sum(campaign.leads for campaign in campaigns)
    steps = [(_("Leads"), leads), *zip((_stage(facts, each) for each in facts.funnel.stages), reached, strict=True)]
    grid = _grid(
        _("All campaigns together"),
        (Column(_("Stage")), Column(_("Leads"), True), Column(_("Share of all"), True)),
        steps,
        lambda step: (step[0], format_count(step[1]), format_share(step[1], leads)),
        most=len(steps),
    )
    text = "; ".join(f"{name}: {format_count(count)}" for name, count in steps)
    return Figure(_("From lead to sale, all campaigns"), text, charts.draw(charts.funnel(steps)), grid)


def _stage(facts: ReportFacts, stage: str) -> str:
    """Return what Oplead calls a stage."""
    return facts.stage_names.get(stage, stage)


def _campaigns(facts: ReportFacts) -> Grid:
    stages = [Column(_stage(facts, stage), True) for stage in facts.funnel.stages]

    def cells(row: CampaignRow) -> tuple[str, ...]:
        return (
            row.campaign or _("(no campaign)"),
            " / ".join(filter(None, (row.source, row.medium))) or NO_NUMBER,
            format_count(row.leads),
            *map(format_count, row.reached),
            format_count(row.won),
            format_share(row.won, row.leads),
            _money(facts)(row.value),
        )

    return _grid(
        _("Leads of the period by campaign, and how far they have come; the most valuable first"),
        (
            Column(_("Campaign")),
            Column(_("Source / medium")),
            Column(_("Leads"), True),
            *stages,
            Column(_("Sales"), True),
            Column(_("Sales per lead"), True),
            Column(_("Value"), True),
        ),
        facts.funnel.campaigns,
        cells,
    )


def _shares(facts: ReportFacts) -> Sequence[Figure]:
    sources: dict[str, dict[date, tuple[int, int]]] = defaultdict(dict)
    for each in facts.funnel.weeks:
        sources[each.source][each.week] = (each.leads, each.with_click_id)
    biggest = sorted(sources, key=lambda source: (-sum(leads for leads, _with in sources[source].values()), source))
    return [_share(source, sources[source]) for source in biggest[:MOST_SOURCES]]


def _share(source: str, found: Mapping[date, tuple[int, int]]) -> Figure:
    name = source or _("(no source)")
    first, last = min(found), max(found)
    # A week without leads is a gap in the line.
    steps = [first + timedelta(weeks=n) for n in range((last - first).days // 7 + 1)]
    weeks = [(week, *found.get(week, (0, 0))) for week in steps]
    with_leads = [each for each in weeks if each[1]] or weeks
    text = _(
        "Leads of {source} with a click id: {first} in the first week, {last} in the last.",
        source=name,
        first=format_share(with_leads[0][2], with_leads[0][1]),
        last=format_share(with_leads[-1][2], with_leads[-1][1]),
    )
    grid = _grid(
        _("Leads of {source} with a click id, by week", source=name),
        (
            Column(_("Week from")),
            Column(_("Leads"), True),
            Column(_("With a click id"), True),
            Column(_("Share"), True),
        ),
        weeks,
        lambda week: (
            format_day(week[0]),
            format_count(week[1]),
            format_count(week[2]),
            format_share(week[2], week[1]),
        ),
        most=len(weeks),
    )
    return Figure(name, text, charts.draw(charts.share_by_week(weeks)), grid)


# ── stages ───────────────────────────────────────────────────────────────────────────────────────


def _timing(facts: ReportFacts) -> Mapping[str, object] | None:
    if not facts.timing:
        return None
    grid = _grid(
        _("How long after the click each stage is reached"),
        (
            Column(_("Stage")),
            Column(_("Ads of")),
            Column(_("Verdict")),
            Column(_("Reached"), True),
            Column(_("Per 30 days"), True),
            Column(_("Half within"), True),
            Column(_("Nine in ten within"), True),
            Column(_("Window"), True),
            Column(_("In the window"), True),
        ),
        facts.timing,
        lambda each: (
            _stage(facts, each.stage),
            _(PLATFORMS[each.platform]),
            _(FITNESS[each.fitness]),
            format_count(each.count),
            format_decimal(each.per_30_days),
            NO_NUMBER if each.median is None else format_lapse(each.median),
            NO_NUMBER if each.nine_in_ten is None else format_lapse(each.nine_in_ten),
            format_lapse(each.window),
            format_share(each.within_window, each.count),
        ),
    )
    figures = [figure for platform in AdPlatform if (figure := _times(facts, platform))]
    return {"grid": grid, "figures": figures, "days": TIMING_DAYS}


def _times(facts: ReportFacts, platform: AdPlatform) -> Figure | None:
    from_click = window_runs_from_click(platform)
    spans = [
        charts.Span(_stage(facts, each.stage), each.median, each.nine_in_ten, each.window if from_click else None)
        for each in facts.timing
        if each.platform is platform
        if each.median is not None and each.nine_in_ten is not None
    ]
    if not spans:
        return None
    name = _(PLATFORMS[platform])
    text = "; ".join(f"{span.name}: {format_lapse(span.median)}" for span in spans)
    own = _grid(
        _("Days from a click on an ad of {platform} to each stage", platform=name),
        (
            Column(_("Stage")),
            Column(_("Half within"), True),
            Column(_("Nine in ten within"), True),
        ),
        spans,
        lambda span: (span.name, *map(format_lapse, (span.median, span.nine_in_ten))),
    )
    title = _("Days from the click, {platform}", platform=name)
    return Figure(title, text, charts.draw(charts.times_to_stages(spans)), own)


# ── agencies, coverage, platforms ────────────────────────────────────────────────────────────────


def _agencies(facts: ReportFacts) -> Grid | None:
    if not facts.agencies:
        return None

    def cells(row: AgencyRow) -> tuple[str, ...]:
        told = row.days_to_be_told
        return (
            row.name or _("Others together"),
            format_count(row.leads),
            format_count(row.untouched),
            format_share(row.untouched, row.leads),
            NO_NUMBER if told is None else format_decimal(told),
            format_count(row.missing_amounts),
            _money(facts)(row.lost),
        )

    return _grid(
        _("By {field}, those with most leads first", field=facts.agency_field or ""),
        (
            Column(facts.agency_field or _("Agency")),
            Column(_("Leads"), True),
            Column(_("Untouched"), True),
            Column(_("Share"), True),
            Column(_("Days until known"), True),
            Column(_("Sales without amount"), True),
            Column(_("Value lost"), True),
        ),
        sorted(facts.agencies, key=lambda row: (not row.name, -row.leads, row.name)),
        cells,
    )


def _coverage(facts: ReportFacts) -> Mapping[str, object] | None:
    if not facts.coverage:
        return None
    rows = sorted(facts.coverage, key=lambda row: (-row.value, -row.leads, row.gap, row.detail))

    def name(row: CoverageRow) -> str:
        gap = _(GAPS[row.gap])
        return _("{gap}: “{detail}”", gap=gap, detail=translated(row.detail)) if row.detail else gap

    grid = _grid(
        _("What keeps conversions of leads from ads from being sent; the most valuable first"),
        (Column(_("Gap")), Column(_("Leads"), True), Column(_("Conversions"), True), Column(_("Value"), True)),
        rows,
        lambda row: (name(row), format_count(row.leads), format_count(row.conversions), _known_money(facts)(row.value)),
    )
    listed = [(name(row), row.lead_ids, max(row.leads - len(row.lead_ids), 0)) for row in _shown(rows) if row.lead_ids]
    return {"grid": grid, "leads": listed}


def _platforms(facts: ReportFacts) -> Grid | None:
    if not facts.platforms:
        return None
    return _grid(
        _("The platforms’ numbers beside ours"),
        (
            Column(_("What")),
            Column(_("Destination")),
            Column(_("Theirs")),
            Column(_("Ours")),
            Column(_("Compared")),
            Column(_("Read")),
        ),
        sorted(facts.platforms, key=lambda each: not each.differs),
        lambda each: (
            each.name,
            each.destination,
            each.theirs,
            NO_NUMBER if each.ours is None else each.ours,
            _("▲ differs") if each.differs else _("the same") if each.ours == each.theirs else NO_NUMBER,
            format_time(each.read_at.astimezone(facts.zone)),
        ),
        flag=lambda each: each.differs,
    )
