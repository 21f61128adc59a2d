"""The sections about conversions: three numbers, the last night, trend."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from connectors.language import (
    _,
    _n,
    format_day,
    format_integer,
    format_list,
    format_rough_duration,
    format_share,
    format_time,
)
from jobs.reporting.page import charts
from jobs.reporting.page.brief import (
    SalesSummary,
    accepted_of_due_text,
    awaited_text,
    change_since_before,
    sales_awaited,
    total_counted,
    total_sales_from_ads,
)
from jobs.reporting.page.facts import (
    MATURES_AFTER,
    TREND_NIGHTS,
    AdPlatform,
    ConversionOutcome,
    LastNight,
    OutcomeCount,
    ReportFacts,
    Sales,
)
from jobs.reporting.page.sections.grids import (
    CellWithNote,
    ChartWithTable,
    Column,
    Grid,
    Tile,
    capital,
    destination_name,
    grid_of,
    money_formatter,
    money_or_unknown_formatter,
)
from jobs.reporting.page.words import (
    OUTCOMES,
    PLATFORMS,
    RESPONSIBLE,
    explain_exit_code,
    explain_outcome,
    why_held_back,
)
from jobs.reporting.presentation import conversion_in_words

MOST_TRENDS = 8
"""Charts of nights; the table has the others."""
RECENT_NIGHTS = 30


# ── three numbers ────────────────────────────────────────────────────────────────────────────────


def sales_section(facts: ReportFacts) -> Mapping[str, object]:
    """Return what came of ads, against the period before."""
    now = total_sales_from_ads(facts.headline.sales)
    earlier = {each.platform: each for each in facts.headline.sales_before}
    money = money_formatter(facts)
    none_yet = Sales(AdPlatform.NONE, 0, Decimal(0), 0, Decimal(0))

    def cells(each: Sales) -> tuple[str, ...]:
        then = earlier.get(each.platform, none_yet)
        return (
            _(PLATFORMS[each.platform]),
            format_integer(each.count),
            money(each.value),
            format_integer(each.matured),
            money(each.matured_value),
            format_integer(then.count),
            money(then.value),
        )

    grid = grid_of(
        _("Signed sales by platform"),
        (
            Column(_("From")),
            Column(_("Sales"), True),
            Column(_("Value"), True),
            Column(_("Matured"), True),
            Column(_("Matured value"), True),
            Column(_("Sales before"), True),
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
        "not_matured": _n(
            "{count} not yet ({value})",
            "{count} not yet ({value})",
            now.count - now.matured,
            value=money(now.value - now.matured_value),
        ),
        "change": change_since_before(SalesSummary(facts.headline, facts.period.days), facts.currency),
        "days": MATURES_AFTER.days,
        "grid": grid,
    }


def sales_known_section(facts: ReportFacts) -> Mapping[str, object]:
    """Return how many of the sales the platforms know."""
    accepted, due = total_counted(facts.headline.counted)
    sent, awaited = sum(each.sent for each in facts.headline.counted), sales_awaited(facts)
    grid = grid_of(
        _("Signed sales that the platforms know of"),
        (
            Column(_("Platform")),
            Column(_("Sales"), True),
            Column(_("Sent"), True),
            Column(_("Received"), True),
            Column(_("Accepted"), True),
            Column(_("Not sent"), True),
            Column(_("of which not to be"), True),
        ),
        facts.headline.counted,
        lambda each: (
            _(PLATFORMS[each.platform]),
            *map(format_integer, (each.sales, each.sent, each.received, each.accepted)),
            *map(format_integer, (each.sales - each.sent, each.not_to_be_sent)),
        ),
    )
    return {
        "share": format_share(accepted, due) if due and (accepted or not awaited or awaited < sent) else "",
        "awaited": awaited_text(awaited) if due and awaited else "",
        "in_words": accepted_of_due_text(accepted, due),
        "unsent": due - sent,
        "not_to_be_sent": sum(each.not_to_be_sent for each in facts.headline.counted),
        "grid": grid,
    }


def recoverable_conversions(facts: ReportFacts) -> Mapping[str, object]:
    """Return what can still be saved."""
    rows = facts.headline.recoverable
    grid = grid_of(
        _("What expires within seven days unless its cause is fixed"),
        (
            Column(_("Why it is held back")),
            Column(_("Who can do it")),
            Column(_("Conversions"), True),
            Column(_("Value"), True),
            Column(_("First expires")),
        ),
        rows,
        lambda each: (
            capital(why_held_back(each.reason).short),
            capital(_(RESPONSIBLE[each.who])),
            format_integer(each.count),
            money_or_unknown_formatter(facts)(each.value),
            format_time(each.first_expiry.astimezone(facts.zone)),
        ),
    )
    return {
        "count": sum(each.count for each in rows),
        "value": money_formatter(facts)(sum((each.value for each in rows), Decimal(0))),
        "first": format_time(min(each.first_expiry for each in rows).astimezone(facts.zone)) if rows else "",
        "grid": grid,
    }


# ── tonight ──────────────────────────────────────────────────────────────────────────────────────


def last_night_section(facts: ReportFacts, names: Mapping[str, str]) -> Mapping[str, object] | None:
    """Return the last night; None before the first."""
    night = facts.last_night
    if night is None:
        return None
    started = night.started_at.astimezone(facts.zone)
    lasted = night.ended_at - night.started_at if night.ended_at else timedelta()
    return {
        "started": format_time(started),
        "lasted": format_rough_duration(lasted) if lasted >= timedelta(minutes=1) else "",
        "ending": explain_exit_code(night.exit_code if night.ended_at else None),
        "tiles": _tiles(facts, night),
        "of_sent": _of_sent(night),
        "moved": _by_outcome(_("What the last night moved"), night.moved, names),
        "standing": _by_outcome(_("Where all conversions stand now"), night.standing, names),
        "reasons": _reasons(facts, night),
    }


def _tiles(facts: ReportFacts, night: LastNight) -> Sequence[Tile]:
    count, value = Counter[ConversionOutcome](), defaultdict[ConversionOutcome, Decimal](Decimal)
    for each in night.moved:
        count[each.outcome] += each.count
        value[each.outcome] += _worth(each)
    tiles = [
        Tile(_(name), format_integer(count[outcome]), money_formatter(facts)(value[outcome]) if value[outcome] else "")
        for outcome, name in OUTCOMES.items()
        if outcome not in _RARE or count[outcome]
    ]
    matched = [each.matched for each in night.moved if each.matched is not None]
    if matched:
        after = [tile.name for tile in tiles].index(_(OUTCOMES[ConversionOutcome.ACCEPTED])) + 1
        tiles.insert(after, Tile(_("Matched"), format_integer(sum(matched)), _("where the platform says so")))
    return [Tile(_("Sent"), format_integer(night.sent)), *tiles]


def _worth(standing: OutcomeCount) -> Decimal:
    """Return what conversions are worth; those that were not sent, by their leads."""
    return standing.value if standing.worth is None else standing.worth


def _of_sent(night: LastNight) -> str:
    """Return what became of those it sent; empty if that is unknown or the same for all."""
    if len(night.of_sent) <= 1:
        return ""
    counts = [f"{_(OUTCOMES[outcome]).lower()} {format_integer(count)}" for outcome, count in night.of_sent]
    return _("Of the {count} sent: {outcomes}.", count=format_integer(night.sent), outcomes=", ".join(counts))


_RARE = frozenset({ConversionOutcome.SENT, ConversionOutcome.NOT_SENT})
"""Outcomes without a tile where a night has none of them."""


def _by_outcome(caption: str, standings: Iterable[OutcomeCount], names: Mapping[str, str]) -> Grid:
    rows: dict[tuple[str, str], Counter[ConversionOutcome]] = defaultdict(Counter)
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
        numbers = [format_integer(rows[key][outcome]) for outcome in shown]
        if matched:
            numbers.append(format_integer(matched[key]) if key in matched else _("not told"))
        name = conversion_in_words(names, key[0]) if key[0] else _("All together")
        return (name, destination_name(key[1]), *numbers)

    biggest = sorted(rows, key=lambda key: (-rows[key].total(), key))
    # A platform's sum comes first: it stays where a long table is cut.
    for destination in sorted({key[1] for key in biggest}, reverse=True):
        its = [key for key in biggest if key[1] == destination]
        if len(its) > 1:
            together = ("", destination)
            rows[together] = sum((rows[key] for key in its), Counter[ConversionOutcome]())
            if known := [matched[key] for key in its if key in matched]:
                matched[together] = sum(known)
            biggest.insert(0, together)
    return grid_of(caption, (Column(_("Conversion")), Column(_("Destination")), *heads), biggest, cells)


_NEEDS_NO_REASON = frozenset({ConversionOutcome.ACCEPTED, ConversionOutcome.SENT, ConversionOutcome.RECEIVED})


def _reasons(facts: ReportFacts, night: LastNight) -> Grid:
    count, value = (
        Counter[tuple[ConversionOutcome, str, str, str]](),
        defaultdict[tuple[ConversionOutcome, str, str, str], Decimal](Decimal),
    )
    for each in night.standing:
        if each.outcome not in _NEEDS_NO_REASON:
            words = explain_outcome(each.outcome, each.cause)
            key = (each.outcome, words.short, words.means, words.todo)
            count[key] += each.count
            value[key] += _worth(each)
    return grid_of(
        _("Why conversions did not get through, and what that costs"),
        (Column(_("Reason")), Column(_("Where they stand")), Column(_("Conversions"), True), Column(_("Value"), True)),
        # What is not to be sent comes last: it is much at first, and nothing is wrong with it.
        sorted(count, key=lambda key: (key[0] is ConversionOutcome.NOT_SENT, -value[key], -count[key], key)),
        lambda key: (
            CellWithNote(capital(key[1]), f"{key[2]} {key[3]}"),
            _(OUTCOMES[key[0]]),
            format_integer(count[key]),
            money_or_unknown_formatter(facts)(value[key]),
        ),
    )


# ── trend ────────────────────────────────────────────────────────────────────────────────────────

_LOST = frozenset({ConversionOutcome.REJECTED, ConversionOutcome.EXPIRED})


@dataclass(frozen=True, slots=True)
class _Trend:
    """The figures of one conversion and destination, by night."""

    conversion: str
    destination: str
    nights: Mapping[date, Counter[ConversionOutcome]]

    def total(self, first: date, last: date) -> Counter[ConversionOutcome]:
        """Count the outcomes of some nights."""
        found = Counter[ConversionOutcome]()
        for night, counts in self.nights.items():
            if first <= night <= last:
                found += counts
        return found

    def bar(self, first: date, last: date) -> charts.Bar:
        """Return the bar of some nights."""
        total = self.total(first, last)
        return charts.Bar(
            first,
            total[ConversionOutcome.ACCEPTED],
            total[ConversionOutcome.RECEIVED],
            sum(total[one] for one in _LOST),
        )


def nights_section(facts: ReportFacts, names: Mapping[str, str]) -> Mapping[str, object] | None:
    """Return the nights; None before the first."""
    if not facts.trend:
        return None
    nights: dict[tuple[str, str], dict[date, Counter[ConversionOutcome]]] = defaultdict(lambda: defaultdict(Counter))
    for each in facts.trend:
        nights[each.conversion, each.destination][each.night][each.outcome] += each.count
    last = max(facts.now.astimezone(facts.zone).date(), *(each.night for each in facts.trend))
    trends = [
        _Trend(conversion_in_words(names, key[0]), destination_name(key[1]), found) for key, found in nights.items()
    ]
    trends.sort(key=lambda trend: -trend.total(date.min, last).total())
    return {
        "charts": [_trend_charts(trend, last) for trend in trends[:MOST_TRENDS]],
        "grid": _trend_totals(trends, last),
        "others": format_list([f"{trend.conversion} ({trend.destination})" for trend in trends[MOST_TRENDS:]]),
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


def _bars(trend: _Trend, title: str, unit: str, bars: Sequence[charts.Bar]) -> ChartWithTable:
    accepted, received, lost = (sum(getattr(bar, part) for bar in bars) for part in ("accepted", "received", "lost"))
    text = _(
        "{conversion}, {destination}: {accepted} accepted, {received} received, {lost} rejected or expired.",
        conversion=trend.conversion,
        destination=trend.destination,
        accepted=format_integer(accepted),
        received=format_integer(received),
        lost=format_integer(lost),
    )
    grid = grid_of(
        f"{title} ({trend.conversion}, {trend.destination})",
        (
            Column(unit),
            Column(_("Accepted"), True),
            Column(_("Received"), True),
            Column(_("Rejected or expired"), True),
        ),
        bars,
        lambda bar: (format_day(bar.day), *map(format_integer, (bar.accepted, bar.received, bar.lost))),
        most=RECENT_NIGHTS,
    )
    return ChartWithTable(title, text, charts.render_svg(charts.outcomes_over_time_chart(bars)), grid)


def _trend_totals(trends: Sequence[_Trend], last: date) -> Grid:
    outcomes = (
        ConversionOutcome.ACCEPTED,
        ConversionOutcome.RECEIVED,
        ConversionOutcome.REJECTED,
        ConversionOutcome.EXPIRED,
        ConversionOutcome.IN_DOUBT,
    )

    def cells(row: tuple[_Trend, int]) -> tuple[str, ...]:
        trend, nights = row
        total = trend.total(last - timedelta(days=nights - 1), last)
        return (
            trend.conversion,
            trend.destination,
            format_integer(nights),
            *(format_integer(total[one]) for one in outcomes),
        )

    heads = [Column(_(OUTCOMES[one]), True) for one in outcomes]
    columns = (Column(_("Conversion")), Column(_("Destination")), Column(_("Nights"), True), *heads)
    rows = [(trend, nights) for trend in trends for nights in (RECENT_NIGHTS, TREND_NIGHTS)]
    return grid_of(_("In the last 30 nights, and in the last 90"), columns, rows, cells)
