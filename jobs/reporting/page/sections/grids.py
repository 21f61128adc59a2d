"""What a section is made of: tables, charts with their numbers, and how names and money are shown in them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from connectors.language import (
    NO_NUMBER,
    _,
    format_round_money,
)
from jobs.reporting.page.facts import (
    ReportFacts,
)
from jobs.reporting.page.words import DESTINATIONS

MOST_ROWS = 25
"""Of a table on the page; the CSV files have them all."""

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column."""

    head: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class CellWithNote:
    """A cell with a sentence below its words."""

    words: str
    note: str


@dataclass(frozen=True, slots=True)
class Grid:
    """A table ready to be shown; the first cell of a row names it."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple["str | CellWithNote", ...], ...]
    more: int = 0
    """How many rows are left out."""
    flagged: frozenset[int] = frozenset()
    """The places of rows that stand out; their words say why."""


@dataclass(frozen=True, slots=True)
class ChartWithTable:
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


def rows_shown_on_page(rows: Sequence[_Row]) -> Sequence[_Row]:
    """Return the rows of a table or list that the page shows."""
    return rows[:MOST_ROWS]


def grid_of(
    caption: str,
    columns: Sequence[Column],
    records: Sequence[_Row],
    cells: Callable[[_Row], tuple[str | CellWithNote, ...]],
    *,
    flag: Callable[[_Row], bool] = lambda _row: False,
    most: int = MOST_ROWS,
) -> Grid:
    """Return the first of the records as a table; `flag` says which stand out."""
    shown = records[:most]
    flagged = frozenset(place for place, record in enumerate(shown) if flag(record))
    return Grid(caption, tuple(columns), tuple(map(cells, shown)), len(records) - len(shown), flagged)


def money_formatter(facts: ReportFacts) -> Callable[[Decimal], str]:
    """Format money in the account's currency."""
    return lambda amount: format_round_money(amount, facts.currency)


def money_or_unknown_formatter(facts: ReportFacts) -> Callable[[Decimal], str]:
    """Format money where nothing means that nobody knows."""
    return lambda amount: money_formatter(facts)(amount) if amount else NO_NUMBER


def capital(text: str) -> str:
    """Return a text that begins with a capital."""
    return text[:1].upper() + text[1:]


def destination_name(destination: str) -> str:
    """Return what everybody calls a destination; its id if it has no other name."""
    known = DESTINATIONS.get(destination)
    return _(known) if known else destination
