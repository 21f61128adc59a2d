"""What a file's columns mean: each title's place in a lead, and rows as leads like the API's JSON."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path

from connectors.errors import Misconfigured
from connectors.language import N_, _, join_with_semicolons
from connectors.oplead.files.table import Cell
from connectors.oplead.options import FieldPaths
from connectors.oplead.parsing.click_ids import is_click_id_label
from connectors.oplead.parsing.field_tree import NAMES, last_path_part, normalise
from connectors.oplead.parsing.fields import loosely_normalised_name
from connectors.oplead.parsing.synonyms import with_french

ALSO_CALLED: Mapping[str, tuple[str, ...]] = {
    "amount": ("montant", "montantdevente", "montantvente"),
    "channel": ("canal", "canalmarketing", "marketingchannel"),
    "consent": ("consentement", "consentementpublicitaire", "consentementpub"),
    "agency": ("agence",),
}
"""Titles, normalised, of what the settings name by their own paths, by the last name of such a path."""
MEANINGS: Mapping[str, str] = {
    "id": N_("the lead's id"),
    "created_at": N_("when the lead was created"),
    "status": N_("the status"),
    "click_id": N_("the click id"),
}
"""What the fields are, without which nothing can be sent."""
_SEVERAL = frozenset({"phone", "email"})
"""Fields of which a lead may have several, each in a column of its own."""
_VAGUE = frozenset({"id", "date", "type", "code", *with_french("name", "label", "value", "title")})
"""Last names of paths that, as titles, may mean anything."""
_DAMAGED_ID = re.compile(r"\d+[.,]\d+[eE]\+?\d+|\d+[eE]\+\d+|\d{1,3}(?:[ \u00a0\u2009\u202f]\d{3})+", re.ASCII)
"""A number that a spreadsheet has rounded or grouped; `12e5` may well be an id."""
_EXACT_DIGITS = 15
"""A spreadsheet keeps this many digits of a number."""
_SHOWN_TITLES, _LONGEST_TITLE = 40, 60
_LIKE_DATA = re.compile(r"@|\d{5}")


class DamagedLeadIdError(Exception):
    """A lead's id is no longer the one Oplead gave it."""


@dataclass(frozen=True, slots=True)
class LeadColumns:
    """The columns that matter, each with its place in a lead."""

    places: Mapping[int, str]
    """The dotted place of each column's values, by the column's number from 0."""
    ids: frozenset[int]
    """The numbers of the columns that hold the lead's id."""

    def lead_from_row(self, cells: Sequence[Cell]) -> dict[str, object]:
        """Return a row as the API would show the lead, without what is empty; several values of one place are a list.

        Raises:
            DamagedLeadIdError: a spreadsheet has rounded or grouped the id.
        """
        made: dict[str, object] = {}
        for number, place in self.places.items():
            cell = cells[number]
            if cell is None or (isinstance(cell, str) and not cell.strip()):
                continue
            if number in self.ids and _is_damaged(cell):
                raise DamagedLeadIdError
            _put(made, place, cell)
        return made


def _is_damaged(cell: Cell) -> bool:
    if isinstance(cell, Decimal):
        return cell != cell.to_integral_value() or cell.adjusted() >= _EXACT_DIGITS
    return isinstance(cell, str) and _DAMAGED_ID.fullmatch(cell.strip()) is not None


def _put(lead: dict[str, object], place: str, cell: Cell) -> None:
    *parents, name = place.split(".")
    inside = lead
    for parent in parents:
        below = inside.setdefault(parent, {})
        assert isinstance(below, dict)  # noqa: S101 - `_check_paths_not_nested` refuses a place below another one's values
        inside = below
    before = inside.get(name)
    if before is None:
        inside[name] = cell
    elif isinstance(before, list):
        before.append(cell)
    else:
        inside[name] = [before, cell]


@dataclass(frozen=True, slots=True)
class ExpectedExportColumns:
    """What the settings say about columns and need from them."""

    written: Mapping[str, str]
    """`source.columns`."""
    paths: FieldPaths
    """Where the fields are in a lead."""
    wanted: frozenset[str] = frozenset()
    """The other paths that the settings name."""
    needed: tuple[str, ...] = ()
    """The fields without which nothing can be sent."""


def interpret_columns(path: Path, titles: Sequence[str], expected: ExpectedExportColumns) -> LeadColumns:
    """Return what the columns mean.

    Raises:
        Misconfigured: two columns mean the same, one that the settings name is missing, or no column gives what the
            settings need; the message says what to write.
    """
    places = places_of_known_columns(path, titles, expected)
    _check_paths_not_nested(path, titles, places)
    _expect_needed(path, titles, places.values(), expected)
    ids = {loosely_normalised_name(one) for one in expected.paths.id}
    return LeadColumns(
        places, frozenset(number for number, place in places.items() if loosely_normalised_name(place) in ids)
    )


def places_of_known_columns(path: Path, titles: Sequence[str], expected: ExpectedExportColumns) -> dict[int, str]:
    """Return the places of the columns that are known: those written in the settings, and those with usual titles.

    Raises:
        Misconfigured: the settings name a title that no column has, or two columns may mean the same.
    """
    by_title = {normalise(title): number for number, title in enumerate(titles) if title}
    places: dict[int, str] = {}
    for title, place in expected.written.items():
        written = titles.index(title) if title in titles else by_title.get(normalise(title))
        if written is None:
            raise Misconfigured(
                _(
                    '{path}: no column is called "{title}", as source.columns says{hint}',
                    path=path,
                    title=title,
                    hint=_hint(title, titles),
                )
            )
        places[written] = place
    usual = _UsualTitles(expected)
    taken = {usual.field_of_path(place) for place in places.values()}
    found: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for number, title in enumerate(titles):
        usually = usual.path_of_title(title) if title and number not in places else None
        if usually is not None:
            found[usual.field_of_path(usually)].append((number, usually))
    for meaning, several in found.items():
        if meaning in taken and meaning not in _SEVERAL:
            continue
        if len(several) > 1 and meaning not in _SEVERAL:
            names = " and ".join(f'"{titles[number]}"' for number, _ in several)
            first, place = several[0]
            raise Misconfigured(
                _(
                    "{path}: the columns {names} may both be {meaning}; write which one is under source.columns, "
                    'as "{title}": {place}',
                    path=path,
                    names=names,
                    meaning=_(MEANINGS.get(meaning, meaning)),
                    title=titles[first],
                    place=place,
                )
            )
        places.update(several)
    return dict(sorted(places.items()))


class _UsualTitles:
    """The places of usual titles."""

    def __init__(self, expected: ExpectedExportColumns) -> None:
        self._paths: dict[str, tuple[str, ...]] = {
            one.name: getattr(expected.paths, one.name) for one in fields(FieldPaths)
        }
        every = [path for paths in self._paths.values() for path in paths] + sorted(expected.wanted)
        self._by_path = {normalise(path): path for path in reversed(every)}
        leaves = [
            (last_path_part(path), path)
            for name, paths in self._paths.items()
            for path in paths
            if last_path_part(path) in NAMES.get(name, ())
        ]
        leaves += [
            (last_path_part(path), path) for path in sorted(expected.wanted) if last_path_part(path) not in _VAGUE
        ]
        self._by_leaf = dict(reversed(leaves))
        for path in sorted(expected.wanted):
            for title in ALSO_CALLED.get(last_path_part(path), ()):
                self._by_leaf.setdefault(title, path)
        self._by_alias = {
            alias: paths[0]
            for name, paths in self._paths.items()
            if paths
            for alias in NAMES.get(name, ())
            if not is_click_id_label(alias)  # the field's own name says which kind it is
        }

    def path_of_title(self, title: str) -> str | None:
        """Return the place that a title usually means: a path, its last name, or a known name of a field."""
        name = normalise(title)
        return self._by_path.get(name) or self._by_leaf.get(name) or self._by_alias.get(name)

    def field_of_path(self, place: str) -> str:
        """Return the field whose place it is, else the place itself, spelt alike."""
        return next(
            (name for name, paths in self._paths.items() if _is_listed_path(place, paths)),
            loosely_normalised_name(place),
        )


def _is_listed_path(place: str, paths: Collection[str]) -> bool:
    return loosely_normalised_name(place) in map(loosely_normalised_name, paths)


def _check_paths_not_nested(path: Path, titles: Sequence[str], places: Mapping[int, str]) -> None:
    """Check that no place lies below another one, whose values are no objects."""
    for number, place in places.items():
        for other, above in places.items():
            if place.startswith(f"{above}."):
                raise Misconfigured(
                    _(
                        '{path}: source.columns has "{title}" at {place}, inside {above}, which is the values of '
                        '"{other}"; write another place for one of them',
                        path=path,
                        title=titles[number],
                        place=place,
                        above=above,
                        other=titles[other],
                    )
                )


def _expect_needed(path: Path, titles: Sequence[str], places: Collection[str], expected: ExpectedExportColumns) -> None:
    lacking = {
        MEANINGS[name]: paths[0]
        for name in expected.needed
        if (paths := getattr(expected.paths, name)) and not any(_is_listed_path(one, paths) for one in places)
    }
    lacking |= {one: one for one in sorted(expected.wanted) if not _is_listed_path(one, places)}
    if not lacking:
        return
    what = join_with_semicolons(
        _("{meaning}, as Title: {place}", meaning=_(meaning), place=place) if meaning != place else f"Title: {place}"
        for meaning, place in lacking.items()
    )
    raise Misconfigured(
        _(
            "{path}: no column gives what the settings need. Write under source.columns the title of the "
            "column with {what}. {titles}",
            path=path,
            what=what,
            titles=_titles_for_message(titles, len(places)),
        )
    )


def require_any_known_title(path: Path, places: Collection[object]) -> None:
    """Check that the first line has a known title.

    Raises:
        Misconfigured: it has none, so it may be somebody's data.
    """
    if not places:
        raise Misconfigured(
            _("{path}: its first line has no title that is known; see that it names the columns", path=path)
        )


def _titles_for_message(titles: Sequence[str], known: int) -> str:
    """List the titles, unless the first line seems to be no line of titles: then it is somebody's data."""
    if known == 0:
        return _("Its first line has no title that is known; see that it names the columns")
    shown = [
        f'"{title}"' for title in titles if title and len(title) <= _LONGEST_TITLE and not _LIKE_DATA.search(title)
    ]
    return _("Its titles: {titles}", titles=", ".join(shown[:_SHOWN_TITLES]))


def _hint(title: str, titles: Sequence[str]) -> str:
    by_name = {normalise(one): one for one in titles if one}
    close = get_close_matches(normalise(title)[:100], by_name, n=1, cutoff=0.7)
    return (
        _('; did you mean "{name}"?', name=by_name[close[0]])
        if close
        else _("; correct it there, or export that column")
    )
