"""Formats results: for a terminal, a file or mail, and as JSON."""

import json
import os
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from connectors.language import (
    Language,
    _,
    format_count,
    format_duration,
    format_money,
    format_time,
    in_english,
    speaking,
    translated,
)
from connectors.text import strip_control_characters
from jobs.reporting.sentences import sentence, value_in_words
from jobs.reporting.wording.messages import ANOMALY_TITLES
from jobs.rules.reasons import Anomaly, DestinationScope, Message, Stop

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


def table(*columns: str, numbers: tuple[str, ...] = (), rows: Iterable[Sequence[str]] = ()) -> Table:
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
    made = table(*columns, rows=[list(map(escape, row)) for row in rows])
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
    return f"{shown if value else _('no answer')} ×{format_count(count)}"


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
    console = results_console()
    for each in lines:
        if not console.is_terminal:
            say(f"  {each}")
            continue
        text = console.render_str(each, markup=False, highlight=False)
        first, *rest = text.wrap(console, console.width - _HANGING)
        for indent, line in ((2, first), *((_HANGING, line) for line in rest)):
            line.rstrip()
            console.print(Text.assemble(" " * indent, line), soft_wrap=True)


_HANGING = 4
"""Columns before the lines that follow the first."""


def print_json(document: object) -> None:
    """Print results to stdout as JSON on one line."""
    results_console().out(json_line(document), highlight=False)


_PLACE = ("conversion", "destination", "state", "reason")


def json_line(value: object) -> str:
    """Return one JSON object on one line."""
    # JSON escapes neither C1 nor bidi characters, and the line may be read at a terminal.
    return strip_control_characters(json.dumps(as_json_value(value), ensure_ascii=False))


def as_json_value(value: object) -> object:
    """Convert to JSON types: records to objects, counters to lists of objects, messages, stops and scopes to text.

    Programs read it, so its texts are English, whatever language people are addressed in.
    """
    with speaking(Language.ENGLISH):
        return _json(value)


def _json(value: object) -> object:
    match value:
        case Anomaly():
            title = _(ANOMALY_TITLES[value.message.id])
            return {"cause": _json(value.cause), "sentence": sentence(value.message), "title": title}
        case Message() | Stop() | DestinationScope():
            return value_in_words(value)
        case Counter():
            return [_count(key, count) for key, count in sorted(value.items())]
        case Mapping():
            return {str(key): _json(each) for key, each in value.items()}
        case tuple() if hasattr(value, "_asdict"):
            return _json(value._asdict())
        case list() | tuple():
            return [_json(each) for each in value]
    is_record = is_dataclass(value) and not isinstance(value, type)
    return _json(fields_as_dict(value)) if is_record else _scalar(value)


def fields_as_dict(record: Any) -> dict[str, object]:
    """Return a record's fields by name."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _scalar(value: object) -> object:
    match value:
        case Enum():
            return value.value
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return str(value)
        case str():
            return in_english(value)
        case None | bool() | int() | float():
            return value
    raise TypeError(f"no JSON for a {type(value).__name__}")


def _count(key: object, count: int) -> dict[str, object]:
    """Return e.g. `{"conversion": …, "destination": …, "state": …, "reason": …, "count": 3}`."""
    named = dict(zip(_PLACE, map(as_json_value, key), strict=False)) if isinstance(key, tuple) else {"what": _json(key)}
    return {**named, "count": count}


def command_line(words: str, file: Path) -> str:
    """Return a command line for an account's settings file, ready to be pasted into a shell."""
    return f"oplead-sync {words} --config {shlex.quote(str(file))}"


@dataclass(frozen=True, slots=True)
class AccountPresentation:
    """How to present one account's results."""

    name: str
    zone: ZoneInfo
    currency: str
    conversions: Mapping[str, str]
    """Display names of the conversions, by id."""
    file: Path
    """The settings file, as the user named it."""
    language: Language | None = None
    """The language to address people in; None for the terminal's."""

    def command(self, words: str) -> str:
        """Return a command line for this account: `status` becomes a whole command."""
        return command_line(words, self.file)

    def conversion(self, conversion: str) -> str:
        """Return a conversion's display name; its id if the settings have none, or no longer have it.

        A funnel stage (`funnel:sale`) is shown with Meta's name for it: `sale (funnel)`.
        """
        kind, of_a_kind, name = conversion.partition(":")
        return f"{name} ({kind})" if of_a_kind else self.conversions.get(conversion, conversion)
