"""What the columns of a file of leads mean: by their titles, or by a mapping file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from connectors.language import _, format_list, join_with_newlines
from connectors.text import one_line
from jobs.exit_codes import UsageError
from jobs.oplead_commands.creation.value_names import VALUES
from jobs.settings.document import did_you_mean, read_file
from jobs.settings.types import WrittenPath, parse_as_type
from jobs.wiring.texts import normalised_title, usual_column_titles

REFERENCE = "reference"
"""Your own reference of a lead, by which it is known again."""
IGNORED = "ignore"
_LEFT_OUT = ("id", "created_at", "updated_at", "status", "status_at", "history")
"""What Oplead itself gives a new lead."""
_REFUSED_IF_FILLED = ("other_emails", "other_phones")
NAMES: Mapping[str, str] = {
    REFERENCE: "Your own reference of the lead, by which it is known again",
    **VALUES,
    "click_id": "Click ids as `leads export` writes them: gclid=…&fbclid=…",
}
"""Every column by name, with what it is."""
ALIASES: Mapping[str, tuple[str, ...]] = {
    REFERENCE: ("ref", "referenceclient", "referenceexterne", "externalreference", "votrereference"),
    "provider_name": ("provider", "fournisseur", "nomfournisseur", "nomdufournisseur"),
    "provider_url": ("urlfournisseur", "urlderetour", "callback", "callbackurl"),
    "clicked_at": ("dateduclic", "dateclic", "clickdate"),
    "click_id": ("identifiantdeclic", "idclic", "clickids", "externalid"),
    "meta_lead_id": ("leadgenid", "idleadmeta"),
}
"""Titles, normalised, that mean a column, besides its own name and those of an export of Oplead's."""
_SHARED = ("email", "phone", "first_name", "last_name", "postcode", "city", "country", *_LEFT_OUT)
"""Fields whose usual titles are those by which exported files are read."""
_LIKE_DATA = re.compile(r"@|\d{5}")
_LONGEST_TITLE = 40


@dataclass(frozen=True, slots=True)
class Column:
    """One column that is written."""

    number: int
    """Its place, from 0."""
    title: str
    name: str | None
    """One of `NAMES`; None for another place in a lead."""
    path: str = ""
    """That place."""
    is_refused_if_filled: bool = False
    """Whether it holds what cannot be written."""


def imported_columns(titles: Sequence[str], mapping: Mapping[str, str]) -> list[Column]:
    """Return the columns that are written.

    Raises:
        UsageError: a title is not known, or two mean the same; it names every one.
    """
    if any(_LIKE_DATA.search(title) for title in titles):
        raise UsageError(_("line 1 holds no titles but somebody's data: write the columns' titles above it"))
    known, columns, problems = _by_title(), [], []
    for number, title in enumerate(titles):
        try:
            column = _column(number, title, mapping, known)
        except ValueError as error:
            problems.append(
                _("column {number}, {title}: {error}", number=number + 1, title=quoted_column_title(title), error=error)
            )
        else:
            columns += [column] if column else []
    for place, group in groupby(sorted(columns, key=_column_name_or_path), key=_column_name_or_path):
        same = [quoted_column_title(one.title) for one in group]
        if len(same) > 1:
            problems.append(
                _(
                    "{titles} both mean {place}: have the --columns file ignore one",
                    titles=format_list(same),
                    place=place,
                )
            )
    problems += [
        _("there is no column {title}, which --columns names", title=quoted_column_title(title))
        for title in mapping
        if title not in titles
    ]
    if problems:
        raise UsageError(join_with_newlines(problems))
    return columns


def _column_name_or_path(column: Column) -> str:
    return column.name or column.path


def _column(number: int, title: str, mapping: Mapping[str, str], known: Mapping[str, str]) -> Column | None:
    means = mapping.get(title)
    if means is not None:
        if means == IGNORED:
            return None
        return Column(number, title, means) if means in NAMES else Column(number, title, None, means)
    name = known.get(normalised_title(title))
    if name in _LEFT_OUT:
        return None
    if name in _REFUSED_IF_FILLED:
        return Column(number, title, None, name, is_refused_if_filled=True)
    if name is not None:
        return Column(number, title, name)
    if "." in title:
        return Column(number, title, None, parse_as_type(WrittenPath, title))
    hint = did_you_mean(title, known, loosely=normalised_title)
    raise ValueError(
        _(
            "this title is not known{hint}; say what it means in a --columns file, as its name, the path of a custom "
            "field, or {ignored}",
            hint=hint,
            ignored=IGNORED,
        )
    )


def _by_title() -> Mapping[str, str]:
    """Return the name of each normalised title; a column's own name wins."""
    usual = usual_column_titles()
    aliases = {alias: name for name in _SHARED for alias in usual[name]}
    aliases |= {alias: name for name, titles in ALIASES.items() for alias in titles}
    own = (*NAMES, *_LEFT_OUT, *_REFUSED_IF_FILLED)
    return {**aliases, **{normalised_title(name): name for name in own}}


def read_column_mapping(file: Path) -> Mapping[str, str]:
    """Return what a mapping file says of each title: a column's name, the path of another place, or `ignore`.

    Raises:
        UsageError: it cannot be used; it names every line and why.
    """
    if not file.exists():
        raise UsageError(_("{file}: there is no such file", file=file))
    document = read_file(file)
    tree = document.tree
    problems = [str(each) for each in document.problems(document.findings, file)]
    mapping: dict[str, str] = {}
    if not problems and not isinstance(tree, dict):
        problems.append(_("{file}: write each column as `Title: name`", file=file))
    for title, means in (tree if isinstance(tree, dict) else {}).items():
        try:
            mapping[title] = _parse_column_meaning(means)
        except ValueError as error:
            mark = document.marks.get((title,))
            problems.append(
                _(
                    "{file}:{line}: {title}: {error}",
                    file=file,
                    line=mark.line if mark else 1,
                    title=quoted_column_title(title),
                    error=error,
                )
            )
    if problems:
        raise UsageError(join_with_newlines(problems))
    return mapping


def _parse_column_meaning(means: object) -> str:
    match means:
        case str() if means in NAMES or means == IGNORED:
            return means
        case str() if "." in means:
            return parse_as_type(WrittenPath, means)
        case {"field": str(path)}:
            return parse_as_type(WrittenPath, path)
        case str():
            hint = did_you_mean(means, NAMES)
            raise ValueError(
                _("this is no column{hint}; for a custom field write its path, as leadData.budget", hint=hint)
            )
    raise ValueError(_("write a column's name, the path of a custom field, or ignore"))


def quoted_column_title(title: str) -> str:
    """Return a title for a message."""
    text = one_line(title)
    return f'"{text if len(text) <= _LONGEST_TITLE else text[:_LONGEST_TITLE] + "…"}"'
