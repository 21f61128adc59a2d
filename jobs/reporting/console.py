"""How results look: at a terminal, in a file or mail, and as JSON."""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from connectors.text import number, plain
from jobs.reporting.wording import anomaly_title, in_words, sentence
from jobs.rules.reasons import Anomaly, Message, Scope, Stop

PLAIN_WIDTH = 120
"""Columns where nobody's terminal says how many there are."""


class _PlainConsole(Console):
    """A console that writes no control character but its own: platforms' words may hold some."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """What is printed, in pieces."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else Segment(plain(piece.text, keep="\n"), piece.style)


def results() -> Console:
    """Where results are printed: stdout, and nothing else goes there."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    return _PlainConsole(width=width, highlight=False)


def table(*columns: str, numbers: tuple[str, ...] = (), rows: Iterable[Sequence[str]] = ()) -> Table:
    """A table; the columns named in `numbers` are set flush right and never wrapped."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for column in columns:
        is_number = column in numbers
        made.add_column(column, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def keep_whole(made: Table, name: str) -> None:
    """Break no cell of a column, whatever the others need: ids are there to be copied and searched for.

    The table may become wider than a narrow terminal, which it must be printed for without cropping.
    """
    column = next(each for each in made.columns if each.header == name)
    column.no_wrap = True
    column.min_width = max((Text.from_markup(str(cell)).cell_len for cell in column.cells), default=0)


def facts(rows: Sequence[tuple[str, str]]) -> Table:
    """Names and what is to be said of each, a line of its own or more; an empty name goes on with the one above."""
    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True, style="dim")
    made.add_column(overflow="fold")
    for name, text in rows:
        made.add_row(f"  {escape(name)}", escape(text))
    return made


def money(amount: Decimal, currency: str) -> str:
    """12,500.00 EUR; nothing where there is nothing."""
    return f"{amount:,.2f} {currency}" if amount else ""


def day_and_time(moment: datetime, zone: ZoneInfo) -> str:
    """Tue 1 Sep 2026 05:30, in the account's zone."""
    local = moment.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %Y %H:%M}"


def times(value: str, count: int) -> str:
    """`"oui" ×47`; an empty value is no answer, and the shape of a text that is not shown stands as it is."""
    shown = value if value.startswith("<") else f'"{value}"'
    return f"{shown if value else 'no answer'} ×{number(count)}"


def duration(span: timedelta) -> str:
    """42 s, 3 min 20 s, 1 h 5 min."""
    seconds = round(span.total_seconds())
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


_PLACE = ("conversion", "destination", "state", "reason")


def line(value: object) -> str:
    """One JSON object on one line."""
    # JSON escapes neither C1 nor bidi characters, and this may be read at a terminal.
    return plain(json.dumps(as_plain(value), ensure_ascii=False))


def as_plain(value: object) -> object:
    """Records as objects, counts by place as lists of objects, what has words in words, the rest as JSON has it."""
    match value:
        case Anomaly():
            title = anomaly_title(value.message)
            return {"cause": as_plain(value.cause), "sentence": sentence(value.message), "title": title}
        case Message() | Stop() | Scope():
            return in_words(value)
        case Counter():
            return [_count(key, count) for key, count in sorted(value.items())]
        case Mapping():
            return {str(key): as_plain(each) for key, each in value.items()}
        case list() | tuple():
            return [as_plain(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_plain(getattr(value, field.name)) for field in fields(value)}
    return _scalar(value)


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
        case None | bool() | int() | float() | str():
            return value
    raise TypeError(f"no JSON for a {type(value).__name__}")


def _count(key: object, count: int) -> dict[str, object]:
    """`{"conversion": …, "destination": …, "state": …, "reason": …, "count": 3}`."""
    named = dict(zip(_PLACE, map(as_plain, key), strict=False)) if isinstance(key, tuple) else {"what": as_plain(key)}
    return {**named, "count": count}


@dataclass(frozen=True, slots=True)
class AccountHeading:
    """How one account wants its results told."""

    name: str
    zone: ZoneInfo
    currency: str
    conversions: Mapping[str, str]
    """What marketing calls each conversion, by its id."""

    def conversion(self, conversion: str) -> str:
        """A conversion's name; its id where the settings have none, or no longer have it.

        A funnel's stage (`funnel:sale`) is told as Meta has it: sale (funnel).
        """
        kind, of_a_kind, name = conversion.partition(":")
        return f"{name} ({kind})" if of_a_kind else self.conversions.get(conversion, conversion)
