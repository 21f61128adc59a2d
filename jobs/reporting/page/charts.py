"""The page's charts: Vega-Lite specifications as plain data, drawn as SVG that takes its colours from the page.

https://vega.github.io/vega-lite/docs/
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from connectors.language import format_integer, format_share, format_short_day
from connectors.text import strip_control_characters

Spec = dict[str, Any]

INK, MUTED, LINE = "var(--ink)", "var(--muted)", "var(--line)"
STRONG, SOFT, LOST = "var(--strong)", "var(--soft)", "var(--lost)"
"""The page's style defines them, for a light and a dark screen and for paper."""
WIDTH = 320
"""Of all charts: they stay readable on a phone, and wider screens show several side by side."""

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_OPENING = re.compile(r'<svg [^>]*viewBox="([^"]+)"[^>]*>')
_HIDDEN = re.compile(r'<path [^>]*display="none"/>|<path class="background"[^>]*/>')
_IDLE = re.compile(r' (?:role|class|pointer-events|font-family|aria-[a-z]+)="[^"]*"| opacity="1"')
"""Attributes that change nothing here, or that would tell a screen reader about each bar."""
_SHAPES = re.compile(r' (?:d|transform)="[^"]*"')
_DECIMALS = re.compile(r"(\.\d)\d+")


def render_svg(spec: Spec) -> str:
    """Return the SVG element of a specification, without roles: whoever shows it says what it shows."""
    import vl_convert  # noqa: PLC0415 - it starts a JavaScript engine, which only this needs

    svg: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    smaller = _SHAPES.sub(lambda shape: _DECIMALS.sub(r"\1", shape[0]), _IDLE.sub("", _HIDDEN.sub("", svg)))
    return strip_control_characters(_OPENING.sub(r'<svg viewBox="\1" aria-hidden="true">', smaller, count=1))


def _chart(height: int, values: Sequence[Mapping[str, object]], **parts: object) -> Spec:
    return {
        "$schema": _SCHEMA,
        "width": WIDTH,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "background": None,
        "padding": {"left": 2, "top": 4, "right": 14, "bottom": 2},
        "data": {"values": list(values)},
        "config": {
            # The library brings this font, so that texts are measured alike everywhere; the page shows its own.
            "font": "Liberation Sans",
            "view": {"stroke": None},
            "axis": {
                "labelColor": MUTED,
                "labelFontSize": 11,
                "title": None,
                "domain": False,
                "ticks": False,
                "gridColor": LINE,
                "labelPadding": 6,
            },
        },
        **parts,
    }


_NAMES: Spec = {
    "type": "ordinal",
    "sort": None,
    # Flush left: the page's font may be a fifth wider than the one that was measured.
    "axis": {
        "labelColor": INK,
        "labelFontSize": 12,
        "labelAlign": "left",
        "labelPadding": 124,
        "labelLimit": 102,
        "minExtent": 124,
    },
}
"""Names down the left side, each once, in the order given."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What became of the conversions of a night or a week."""

    day: date
    accepted: int
    received: int
    lost: int


def outcomes_over_time_chart(bars: Sequence[Bar]) -> Spec:
    """Bars in the order of days: upwards what was accepted and, above it, received; downwards what was lost."""
    names = [format_short_day(bar.day) for bar in bars]
    values = [
        {"day": name, "part": part, "count": count}
        for name, bar in zip(names, bars, strict=True)
        for part, count in (("accepted", bar.accepted), ("received", bar.received), ("lost", -bar.lost))
        if count
    ]
    encoding = {
        "x": {
            "field": "day",
            "type": "ordinal",
            "sort": None,
            "scale": {"domain": names, "paddingInner": 0.25, "paddingOuter": 0},
            "axis": {
                "values": [names[0], names[len(names) // 2], names[-1]],
                "labelAngle": 0,
                "grid": False,
                "offset": 8,
            },
        },
        "y": {
            "field": "count",
            "type": "quantitative",
            "axis": {
                "values": _ticks(bars),
                "labelExpr": "format(abs(datum.value), '~s')",
                "tickCount": 2 * _MOST_TICKS,  # of fewer than it would choose, it leaves out values, 0 among them
            },
        },
        "order": {"field": "order"},
        "color": {
            "field": "part",
            "type": "nominal",
            "scale": {"domain": ["accepted", "received", "lost"], "range": [STRONG, SOFT, LOST]},
            "legend": None,
        },
    }
    order = {"calculate": "indexof(['accepted', 'received', 'lost'], datum.part)", "as": "order"}
    bar = {"mark": "bar", "encoding": encoding}
    zero = {"mark": {"type": "rule", "color": MUTED}, "encoding": {"y": {"datum": 0}}}
    return _chart(112, values, transform=[order], layer=[bar, zero])


def _ticks(bars: Sequence[Bar]) -> list[int]:
    """Return a few round and whole numbers to mark, from what was lost to what was not."""
    top = max(bar.accepted + bar.received for bar in bars)
    bottom = max(bar.lost for bar in bars)
    size = 10 ** (len(str(max(top, bottom))) - 1)
    steps = (max(size * each // 10, 1) for each in (2, 5, 10, 20, 50))
    step = next(step for step in steps if top // step + bottom // step <= _MOST_TICKS)
    return list(range(-(bottom // step) * step, top + 1, step))


_MOST_TICKS = 4
"""Beside 0; more would run into each other."""


def share_by_week_chart(weeks: Sequence[tuple[date, int, int]]) -> Spec:
    """A line of the share that the third number is of the second, from 0 to 100 %, by week."""
    names = [format_short_day(week) for week, _whole, _part in weeks]
    values = [
        {"week": name, "share": part / whole if whole else None}
        for name, (_week, whole, part) in zip(names, weeks, strict=True)
    ]
    shown = list(dict.fromkeys((names[0], names[-1])))
    percent = format_share(0, 1).removeprefix("0")
    encoding = {
        "x": {
            "field": "week",
            "type": "ordinal",
            "sort": None,
            "scale": {"type": "point", "padding": 0.5},
            "axis": {"values": shown, "labelAngle": 0, "grid": False},
        },
        "y": {
            "field": "share",
            "type": "quantitative",
            "scale": {"domain": [0, 1]},
            "axis": {"values": [0, 0.5, 1], "labelExpr": f"format(100 * datum.value, '.0f') + '{percent}'"},
        },
    }
    mark = {"type": "line", "color": STRONG, "strokeWidth": 2, "point": {"color": STRONG, "size": 28, "filled": True}}
    return _chart(110, values, mark=mark, encoding=encoding)


def funnel_chart(stages: Sequence[tuple[str, int]]) -> Spec:
    """A bar for each stage, from the top, with its count at its end."""
    values = [{"name": name, "count": count, "label": format_integer(count)} for name, count in stages]
    most = max(1, *(count for _name, count in stages))  # and room for its number behind it
    y = {"field": "name", **_NAMES, "scale": {"paddingInner": 0.35}}
    x = {
        "field": "count",
        "type": "quantitative",
        "stack": None,
        "axis": None,
        "scale": {"domain": [0, 1.25 * most], "nice": False},
    }
    bars = {"mark": {"type": "bar", "color": STRONG, "cornerRadiusEnd": 3}, "encoding": {"y": y, "x": x}}
    text = {"type": "text", "align": "left", "dx": 5, "color": INK, "fontSize": 12, "clip": False}
    counts = {"mark": text, "encoding": {"y": y, "x": x, "text": {"field": "label"}}}
    return _chart(34 * len(stages) + 8, values, layer=[bars, counts])


@dataclass(frozen=True, slots=True)
class TimeToStage:
    """How long it takes from the click to a stage, and how long the platform looks back."""

    name: str
    median: timedelta
    nine_in_ten: timedelta
    window: timedelta | None
    """None if it does not run from the click."""


def times_to_stages_chart(spans: Sequence[TimeToStage]) -> Spec:
    """A dot at each stage's median, a line to where nine in ten are there, and a mark at the end of the window."""
    day = timedelta(days=1)
    values = [
        {"name": span.name, "median": span.median / day, "most": span.nine_in_ten / day}
        | ({} if span.window is None else {"window": span.window / day})
        for span in spans
    ]
    y = {"field": "name", **_NAMES}
    axis = {"tickCount": 4, "labelExpr": "format(datum.value, '~r')"}
    x = {"field": "median", "type": "quantitative", "axis": axis, "scale": {"domainMin": 0}}
    end_of_window = {
        "mark": {"type": "tick", "color": LOST, "thickness": 3, "size": 20, "opacity": 1},
        "encoding": {"y": y, "x": {"field": "window", "type": "quantitative"}},
    }
    layers = [
        {
            "mark": {"type": "rule", "color": SOFT, "strokeWidth": 7, "strokeCap": "round"},
            "encoding": {"y": y, "x": x, "x2": {"field": "most"}},
        },
        {
            "mark": {"type": "point", "filled": True, "color": STRONG, "size": 90, "opacity": 1},
            "encoding": {"y": y, "x": x},
        },
        *([end_of_window] if any(span.window is not None for span in spans) else []),
    ]
    return _chart(36 * len(spans) + 34, values, layer=layers)
