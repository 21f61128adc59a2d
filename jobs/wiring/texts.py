"""How Oplead's connector reads ids, click ids, titles and CSV files, for commands that take them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.records import ClickId, LeadId
from jobs.settings.load import OpleadSection
from jobs.wiring.oplead import build_oplead_options

if TYPE_CHECKING:
    from connectors.oplead.files.options import Delimiter, Encoding


def parse_lead_id(text: str) -> LeadId | None:
    """Return a text as a lead's id; None if it can be none."""
    from connectors.oplead.parsing.lead_parser import as_lead_id  # noqa: PLC0415

    return as_lead_id(text)


def oplead_click_id_text(ids: Iterable[ClickId]) -> str:
    """Return click ids as the text in which Oplead keeps them."""
    from connectors.oplead.parsing.click_ids import format_labelled_click_ids  # noqa: PLC0415

    return format_labelled_click_ids(ids)


def click_ids_in(look: OpleadSection, text: str, utm_source: str | None) -> tuple[ClickId, ...]:
    """Return the click ids that Oplead's field would be read as if it held this text."""
    from connectors.oplead.parsing.click_ids import read_click_ids  # noqa: PLC0415

    rules = build_oplead_options(look).click_ids
    return read_click_ids(text, utm_source=utm_source, rules=rules, zone=look.zone)[0]


def usual_column_titles() -> Mapping[str, Sequence[str]]:
    """Return the usual titles, normalised, of each field of a lead."""
    from connectors.oplead.parsing.field_tree import NAMES  # noqa: PLC0415

    return NAMES


def normalised_title(title: str) -> str:
    """Return a column's title for comparison."""
    from connectors.oplead.parsing.field_tree import normalise  # noqa: PLC0415

    return normalise(title)


def read_csv_rows(
    path: Path, *, encoding: "Encoding | None", delimiter: "Delimiter | None"
) -> tuple[Sequence[str], Iterator[tuple[int, Sequence[str]]]]:
    """Return a CSV file's titles, and its rows with their line numbers as they are read.

    Raises:
        Misconfigured: it is damaged, or its encoding or delimiter cannot be told; rows raise it too.
    """
    from connectors.oplead.files.csv_table import OPTIONS, CsvTable  # noqa: PLC0415

    table = CsvTable(path, encoding=encoding, delimiter=delimiter, hints=OPTIONS, fewest=1)
    return table.titles, ((row.number, tuple(map(str, row.cells))) for row in table.rows())
