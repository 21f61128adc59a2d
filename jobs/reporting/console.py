"""Formats results for people: for a terminal, a file or mail."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from connectors.language import (
    _,
    format_duration,
    format_integer,
    format_money,
    format_time,
    translated,
)
from connectors.text import strip_control_characters

_ANY_WIDTH = 100_000
PLAIN_WIDTH = 120
"""Width in columns when there is no terminal."""


_GLUE = str.maketrans({"\xa0": "\ue000", "\u202f": "\ue001"})
_UNGLUE = str.maketrans({"\ue000": "\xa0", "\ue001": "\u202f"})
"""Characters in place of no-break spaces while lines are wrapped: rich breaks at any space."""


class _PlainConsole(Console):
    """A console that never breaks a line at a no-break space, and strips control characters from text.

    These may be in platforms' messages; its own are emitted.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text to wrap."""
        return super().render_str(text.translate(_GLUE), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the output's segments."""
        for piece in super().render(renderable, options):
            if piece.control:
                yield piece
            else:
                text = strip_control_characters(piece.text.translate(_UNGLUE), keep="\n")
                yield Segment(text, piece.style)


def print_title(text: str) -> None:
    """Print what follows is about, after an empty line."""
    results_console().print(f"\n{text}", style="bold", markup=False)


def results_console() -> Console:
    """Return the console for results: stdout, which receives nothing else."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    return _PlainConsole(width=width, highlight=False)


def console_table(*columns: str, numbers: tuple[str, ...] = (), rows: Iterable[Sequence[str]] = ()) -> Table:
    """Return a table; columns named in `numbers` are right-aligned and never wrapped."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for column in columns:
        is_number = column in numbers
        made.add_column(column, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def never_wrap_column(made: Table, name: str) -> None:
    """Never wrap a column, whatever space the others need: ids must stay easy to copy and search for.

    The table may become wider than a narrow terminal, so print it without cropping.
    """
    column = next(each for each in made.columns if each.header == name)
    column.no_wrap = True
    column.min_width = max((Text.from_markup(str(cell)).cell_len for cell in column.cells), default=0)


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows to stdout as a table or, where that is too wide to break no cell, each as a block of its own."""
    console, rows = results_console(), list(rows)
    made = console_table(*columns, rows=[list(map(escape, row)) for row in rows])
    if console.measure(made, options=console.options.update(max_width=_ANY_WIDTH)).maximum <= console.width:
        console.print(made)
        return
    for row in rows:
        print_section(console, "", tuple(zip(columns, row, strict=True)))


def facts_grid(rows: Sequence[tuple[str, str]]) -> Table:
    """Return a grid of names and texts, a row each; an empty name continues the one above."""
    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True, style="dim")
    made.add_column(overflow="fold")
    for name, text in rows:
        made.add_row(f"  {escape(name)}", escape(text))
    return made


def print_section(console: Console, heading: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print a blank line, a heading if there is one, and the facts; nothing without rows."""
    if rows:
        console.print()
        if heading:
            console.print(heading)
        console.print(facts_grid(rows))


def bulleted(lines: Iterable[str]) -> list[tuple[str, str]]:
    """Return a row of facts for each line."""
    return [("•", line) for line in lines]


def money(amount: Decimal, currency: str) -> str:
    """Return e.g. `€12,500.00`; an empty string for zero."""
    return format_money(amount, currency) if amount else ""


def day_and_time(moment: datetime, zone: ZoneInfo) -> str:
    """Return e.g. `Tue 1 Sep 2026 05:30`, in the account's zone."""
    return format_time(moment.astimezone(zone))


def value_with_count(value: str, count: int) -> str:
    """Return e.g. `"oui" ×47`; an empty value shows as no answer, and the shape of a hidden text is left unquoted."""
    shown = shown_value(value) if value.startswith("<") else f'"{value}"'
    return f"{shown if value else _('no answer')} ×{format_integer(count)}"


def shown_value(value: str) -> str:
    """Return a lead's value as it is, but the shape of a hidden text in the language that is spoken."""
    return f"<{translated(value[1:-1])}>" if value.startswith("<") else value


def duration(span: timedelta) -> str:
    """Return e.g. `42 s`, `3 min 20 s` or `1 h 5 min`."""
    return format_duration(span)


def say(*lines: str) -> None:
    """Print each line to stdout as is, without markup or wrapping."""
    for each in lines:
        results_console().print(each, markup=False, soft_wrap=True)


def say_below(*lines: str) -> None:
    """Print each line indented: wrapped at a terminal; elsewhere whole, for whoever searches it."""
    say_wrapped(*(f"  {each}" for each in lines))


def say_wrapped(*lines: str, column: int | None = None) -> None:
    """Print each line: at a terminal, broken between words as `wrapped` breaks it; elsewhere whole."""
    for each in lines:
        say(*wrapped(each, column))


def wrapped(line: str, column: int | None = None) -> list[str]:
    """Return a line as it fits the terminal, if there is one.

    What does not fit begins in `column`, or a little further in than the line.
    """
    console = results_console()
    text = line.lstrip(" ")
    indent = len(line) - len(text)
    column = indent + _HANGING if column is None else column
    if not console.is_terminal or cell_len(line) <= console.width:
        return [line]
    # Whatever stands before the column stays there: the first line has no less room than those below it.
    first, *rest = console.render_str(text, markup=False, highlight=False).wrap(console, max(1, console.width - column))
    broken = [" " * indent + first.plain, *(" " * column + each.plain for each in rest)]
    return [each.translate(_UNGLUE).rstrip(" ") for each in broken]


_HANGING = 2
"""Columns by which the lines that follow the first are further in."""
