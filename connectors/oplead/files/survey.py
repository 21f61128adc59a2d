"""Survey an exported file as `probe` surveys the API: which column is which, and what the leads hold."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace

from connectors.errors import Misconfigured
from connectors.language import _, _n
from connectors.oplead.files.columns import (
    DamagedLeadIdError,
    ExpectedExportColumns,
    LeadColumns,
    places_of_known_columns,
    require_any_known_title,
)
from connectors.oplead.files.newest import newest_file, open_export_table
from connectors.oplead.files.options import ExportFileOptions
from connectors.oplead.files.table import ExportFileTable, StampedFile
from connectors.oplead.options import CANDIDATES, FieldPaths, OpleadOptions
from connectors.oplead.parsing.click_ids import is_click_id_label
from connectors.oplead.parsing.field_tree import (
    AMOUNT_PARTS,
    CONSENT_PARTS,
    common_lead_field_paths,
    last_path_part,
    normalise,
    normalise_field_path,
)
from connectors.oplead.parsing.fields import loosely_normalised_name
from connectors.oplead.survey.places import FieldLocations, locate_configured_fields
from connectors.oplead.survey.summary import ReadLeads, summarise_leads
from connectors.oplead.survey.values import Fold, Readable, fields_with_few_values, possible_amount_fields
from connectors.survey import Suggestion, Survey

CONSENT, AMOUNT = "leadData.consent", "amount"
"""Where an export's consent and amount are put if the settings name no place yet."""
Item = dict[str, object]


def survey_file(
    options: OpleadOptions,
    files: ExportFileOptions,
    *,
    leads: int,
    named: frozenset[str],
    readable: Readable,
    fold: Fold,
) -> Survey:
    """Survey roughly `leads` rows, spread over the newest file.

    Args:
        options: where the settings expect fields in a lead.
        files: which files there are, and what the settings say about their columns.
        leads: how many leads to look at.
        named: the paths that the settings name, filled or not.
        readable: whether an amount can be read.
        fold: folds labels and answers for comparison.

    Raises:
        Misconfigured: the file is damaged, or its first line names no column that is known.
    """
    file = newest_file(files)
    table = open_export_table(file, files)
    rows = sum(1 for _ in table.rows())
    guess = _ColumnGuess.from_column_titles(file, table, options, files, named)
    step = max(1, rows // leads)
    cells = [row.cells for position, row in enumerate(table.rows()) if position % step == 0][:leads]
    file.expect_file_unchanged()
    items = [item for row in cells if (item := _item(guess.columns, row))]
    places = locate_configured_fields(items, options)
    guess.place_columns_by_content(places, items, readable, fold)
    items = [item for row in cells if (item := _item(guess.columns, row))]
    places = locate_configured_fields(items, options)
    how = _(
        "File: {path}, written {modified_at:%Y-%m-%d %H:%M} UTC, with {leads} in {columns}.",
        path=file.path,
        modified_at=file.modified_at,
        leads=_n("{count} lead", "{count} leads", rows),
        columns=_n("{count} column", "{count} columns", len(table.titles)),
    )
    read = ReadLeads.parse_surveyed_leads(items, replace(options, fields=places.fields))
    lacking = (
        _(
            "source.columns: no column was found that holds {what}; write its title, as Title: {place}",
            what=_(what),
            place=getattr(CANDIDATES, name)[0],
        )
        for name, what in places.undecided.items()
    )
    return replace(
        summarise_leads(read, read, places, zone=options.zone, named=named, readable=readable, fold=fold),
        total=rows,
        suspicions=(*filter(None, [read.problem]), *read.suspicions(places, options.fields)),
        how=(how,),
        undecided=(*guess.undecided, *lacking),
        columns=guess.suggested_columns,
        suggestion=_suggested_fields(places.fields, options.fields),
    )


def _item(columns: LeadColumns, cells: Sequence[object]) -> Item:
    try:
        return columns.lead_from_row(cells)  # type: ignore[arg-type]  # cells of a row
    except DamagedLeadIdError:
        return {}


def _suggested_fields(found: FieldPaths, before: FieldPaths) -> Suggestion:
    """Return the fields whose places differ from the defaults; one found at its default stays as it was written."""
    suggested = {}
    for name, usual in asdict(CANDIDATES).items():
        paths = getattr(found, name) if getattr(found, name) != usual else getattr(before, name)
        if paths != usual:
            suggested[name] = paths[0] if len(paths) == 1 else list(paths)
    return {"fields": suggested} if suggested else {}


@dataclass(slots=True)
class _ColumnGuess:
    """The place of every column: known, or made from its title until what it holds shows more."""

    titles: tuple[str, ...]
    places: dict[int, str]
    """By the column's number."""
    made: set[int]
    """The columns whose place was made from their title."""
    written: Mapping[str, str]
    """The columns that the settings name and the file has."""
    options: OpleadOptions
    named: frozenset[str]
    undecided: tuple[str, ...]
    chosen: dict[int, str] = field(default_factory=dict)
    """The places to suggest."""

    @classmethod
    def from_column_titles(
        cls,
        file: StampedFile,
        table: ExportFileTable,
        options: OpleadOptions,
        files: ExportFileOptions,
        named: frozenset[str],
    ) -> "_ColumnGuess":
        """Place the columns by their titles."""
        titles = table.titles
        by_name = {normalise(title) for title in titles}
        written = {title: place for title, place in files.columns.items() if normalise(title) in by_name}
        lost = [title for title in files.columns if title not in written]
        undecided = tuple(
            _('source.columns: no column is called "{title}"; correct it, or take it out', title=title)
            for title in lost
        )
        expected = ExpectedExportColumns(written, options.fields, named)
        try:
            known = places_of_known_columns(file.path, titles, expected)
        except Misconfigured:  # two titles may mean the same: what they hold decides
            known = places_of_known_columns(file.path, titles, replace(expected, paths=_no_paths(), wanted=frozenset()))
        else:
            require_any_known_title(file.path, known)
        taken = {loosely_normalised_name(place) for place in known.values()}
        places, made = dict(known), set()
        for column, title in enumerate(titles):
            if title and column not in places:
                place = _field_name_from_title(title, column)
                if loosely_normalised_name(place) in taken:
                    place = f"column{column + 1}"
                places[column] = place
                taken.add(loosely_normalised_name(place))
                made.add(column)
        return cls(titles, places, made, written, options, named, undecided)

    @property
    def columns(self) -> LeadColumns:
        """Every column at its place."""
        return LeadColumns(self.places, frozenset(one for one in self.places if self._is_id(one)))

    def _is_id(self, column: int) -> bool:
        return loosely_normalised_name(self.places[column]) in map(loosely_normalised_name, self.options.fields.id)

    @property
    def suggested_columns(self) -> Mapping[str, str]:
        """What to write under `source.columns`."""
        return {**self.written, **{self.titles[column]: place for column, place in sorted(self.chosen.items())}}

    def place_columns_by_content(
        self, places: FieldLocations, items: Sequence[Item], readable: Readable, fold: Fold
    ) -> None:
        """Give columns the places that what they hold calls for."""
        by_place = {place: column for column, place in self.places.items() if column in self.made}
        for one in fields(FieldPaths):
            found: tuple[str, ...] = getattr(places.fields, one.name)
            if found == getattr(self.options.fields, one.name):
                continue
            for path in found:
                if path not in by_place:
                    continue
                column = by_place.pop(path)
                usual = getattr(self.options.fields, one.name)
                is_a_label = one.name == "click_id" and is_click_id_label(path)
                self._choose(column, path if is_a_label or not usual else usual[0])
        tree = common_lead_field_paths(items)
        skipped = frozenset(
            normalise_field_path(place) for column, place in self.places.items() if column not in self.made
        )
        amounts = [seen.path for seen in possible_amount_fields(tree, items, readable, skipped) if seen.readable]
        few = fields_with_few_values(tree, items, skipped, fold)
        # A second question, about personalized ads, has a place of its own.
        asked = (seen.path for seen in few if seen.consent and not seen.is_for_messages)
        consents = sorted(asked, key=lambda path: "perso" in last_path_part(path))
        consents = [path for path in consents if "perso" not in last_path_part(path)] or consents
        self._place_only_column(by_place, consents, CONSENT_PARTS, CONSENT)
        self._place_only_column(by_place, amounts, AMOUNT_PARTS, AMOUNT)
        for path in (seen.path for seen in few):
            if path in by_place:
                self._choose(by_place.pop(path), path)

    def _place_only_column(
        self, by_place: dict[str, int], found: Sequence[str], parts: Sequence[str], usual: str
    ) -> None:
        """Give the only column of a kind the place that the settings name for it, else the usual one."""
        columns = [path for path in found if path in by_place]
        wanted = [path for path in sorted(self.named) if any(part in last_path_part(path) for part in parts)]
        given = {loosely_normalised_name(place) for place in self.places.values()}
        lacking = [path for path in wanted if loosely_normalised_name(path) not in given] or ([] if wanted else [usual])
        if len(columns) == 1 and len(lacking) == 1 and loosely_normalised_name(lacking[0]) not in given:
            self._choose(by_place.pop(columns[0]), lacking[0])
            return
        for path in columns:
            self._choose(by_place.pop(path), path)

    def _choose(self, column: int, place: str) -> None:
        self.places[column] = self.chosen[column] = place


def _no_paths() -> FieldPaths:
    return FieldPaths(**{one.name: () for one in fields(FieldPaths)})


def _field_name_from_title(title: str, column: int) -> str:
    """Return a name like those in Oplead's JSON, made from a title: `Montant TTC` becomes `montantTtc`."""
    decomposed = unicodedata.normalize("NFKD", title)
    plain = (letter for letter in decomposed if not unicodedata.combining(letter))
    letters = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in plain)
    first, *rest = letters.lower().split() or [""]
    name = first + "".join(map(str.capitalize, rest))
    return name[:60] if name[:1].isalpha() else f"column{column + 1}"
