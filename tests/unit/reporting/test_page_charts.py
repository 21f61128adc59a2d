"""Charts are plain data, and become SVG that takes its colours from the page and says nothing of its own."""

import re
from datetime import date, timedelta

import pytest

from connectors.language import Language, using_language
from jobs.reporting.page.charts import (
    WIDTH,
    Bar,
    TimeToStage,
    funnel_chart,
    outcomes_over_time_chart,
    render_svg,
    share_by_week_chart,
    times_to_stages_chart,
)

DAY = date(2026, 11, 1)
HOSTILE = "<script>alert(1)</script>"
SPECS = {
    "outcomes": lambda: outcomes_over_time_chart([Bar(DAY, 5, 2, 1), Bar(DAY + timedelta(days=1), 0, 0, 0)]),
    "nothing": lambda: outcomes_over_time_chart([Bar(DAY, 0, 0, 0)]),
    "share": lambda: share_by_week_chart([(DAY, 10, 9), (DAY + timedelta(weeks=1), 0, 0)]),
    "funnel": lambda: funnel_chart([(HOSTILE, 10), ("Gagné", 1)]),
    "no leads": lambda: funnel_chart([("Leads", 0)]),
    "times": lambda: times_to_stages_chart(
        [TimeToStage(HOSTILE, timedelta(hours=30), timedelta(days=9), timedelta(days=90))]
    ),
}


@pytest.mark.parametrize("name", SPECS)
def test_a_chart_is_svg_in_the_colours_of_the_page(name):
    """It loads nothing, says nothing to a screen reader, fits a phone, and has no colour of its own."""
    with using_language(Language.FRENCH):
        svg = render_svg(SPECS[name]())

    assert re.match(rf'<svg viewBox="0 0 {WIDTH} [\d.]+" aria-hidden="true">', svg)
    assert not re.search(r"<script|href|url\(|role=|<style|<image|\son\w+=", svg)
    colours = set(re.findall(r'(?:fill|stroke)="([^"]+)"', svg))
    assert colours <= {"none", *(f"var(--{name})" for name in ("ink", "muted", "line", "strong", "soft", "lost"))}


def test_lost_conversions_hang_below_the_line():
    """What is in a chart can be told by its place; nothing takes no room."""
    spec = outcomes_over_time_chart([Bar(DAY, 5, 0, 2)])

    assert [("accepted", 5), ("lost", -2)] == [(value["part"], value["count"]) for value in spec["data"]["values"]]


@pytest.mark.parametrize(
    ("bar", "ticks"),
    [
        (Bar(DAY, 0, 0, 0), [0]),
        (Bar(DAY, 1, 0, 1), [-1, 0, 1]),
        (Bar(DAY, 3, 0, 0), [0, 1, 2, 3]),
        (Bar(DAY, 3, 1, 1), [0, 2, 4]),
        (Bar(DAY, 2, 0, 3), [-2, 0, 2]),
        (Bar(DAY, 34, 0, 3), [0, 10, 20, 30]),
        (Bar(DAY, 2, 0, 120), [-100, -50, 0]),
        (Bar(DAY, 99_999, 0, 0), [0, 20_000, 40_000, 60_000, 80_000]),
    ],
)
def test_only_whole_conversions_are_marked(bar, ticks):
    """Half a conversion does not exist, and too many lines would hide the bars."""
    spec = outcomes_over_time_chart([bar])

    assert ticks == spec["layer"][0]["encoding"]["y"]["axis"]["values"]


def test_a_week_without_leads_has_no_share():
    """It is a gap, not zero."""
    spec = share_by_week_chart([(DAY, 10, 5), (DAY + timedelta(weeks=1), 0, 0)])

    assert [0.5, None] == [value["share"] for value in spec["data"]["values"]]


def test_days_are_named_in_the_language_of_the_page():
    """By CLDR, not by the chart's library."""
    for language, name in ((Language.ENGLISH, "Nov 1"), (Language.FRENCH, "1 nov.")):
        with using_language(language):
            assert f">{name}</text>" in render_svg(outcomes_over_time_chart([Bar(DAY, 1, 0, 0)]))


@pytest.mark.parametrize(
    ("language", "count", "half"), [(Language.ENGLISH, "1,464", "50%"), (Language.FRENCH, "1\u202f464", "50\u202f%")]
)
def test_numbers_are_written_as_in_the_tables(language, count, half):
    """The same number reads alike on one page."""
    with using_language(language):
        bars, line = render_svg(funnel_chart([("Leads", 1464)])), render_svg(share_by_week_chart([(DAY, 10, 9)]))

    assert f">{count}<" in bars
    assert f">{half}<" in line


def test_times_are_drawn_in_days():
    """A dot, a line and a mark share one scale."""
    spec = times_to_stages_chart([TimeToStage("Devis", timedelta(hours=36), timedelta(days=9), timedelta(days=90))])

    assert spec["data"]["values"] == [{"name": "Devis", "median": 1.5, "most": 9.0, "window": 90.0}]


def test_all_marks_are_drawn():
    """The library leaves out some of the values it is given where it takes them for too many."""
    bars = [Bar(DAY, 2, 0, 1), Bar(DAY + timedelta(days=1), 1, 0, 5)]

    assert ["4", "2", "0", "2"] == [
        text for text in re.findall(r">([^<>]+)</text>", render_svg(outcomes_over_time_chart(bars))) if text.isdigit()
    ]
