"""How an account was seen to answer: the part `dialect` of an evidence folder, checked strictly."""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from connectors.sandbox.platform import STRICT

Tree = Any
"""An object by name, a list of one tree or none, or what kinds a value has, commonest first, joined by ` | `."""
Path = tuple[str, ...]
LEADS: Final = "‹leads›"
"""What stands in the body of a list where its leads were."""
PAIRS: Final = "‹pairs›"
"""The key of an object that was a list of names and values: what the two are called."""
OTHER: Final = "‹other›"
"""A name that was not written down, as it might be somebody's."""
NAME_WORDS: Final = (
    *("name", "nom", "key", "cle", "code", "label", "libelle", "intitule"),
    *("title", "titre", "type", "identifier", "identifiant"),
)
VALUE_WORDS: Final = ("value", "valeur", "granted", "accepted", "accord", "accorde", "accepte")
"""What the two parts of a pair are called, loosely spelt."""
KINDS: Final = frozenset(
    {"null", "boolean", "integer", "decimal", "empty", "text", "number in text", "UUID", "URL", "e-mail"}
    | {"epoch s", "epoch ms", "deeper", ""}
)
_DATE: Final = re.compile(r"date [^|]*0[^|]*")


class WrongDialectError(ValueError):
    """The dialect is not what `oplead-sync evidence` writes; the text is the dotted name of the field."""


@dataclass(frozen=True, slots=True, config=STRICT)
class StatusForm:
    """How a lead shows its status."""

    form: Literal["label", "code", "object"]
    values: list[str]


@dataclass(frozen=True, slots=True, config=STRICT)
class ConsentAnswers:
    """A field that holds an answer about consent."""

    path: str
    granted: list[str]
    refused: list[str]


@dataclass(frozen=True, slots=True, config=STRICT)
class RecordedDialect:
    """How one account answers."""

    settings: dict[str, Any]
    """What differs from the defaults, under `oplead:`."""
    fields: dict[str, str]
    """Where each field was found, by its name under `oplead.fields`."""
    list: Tree
    """The body of the list."""
    lead: Tree
    """A lead as the list shows it."""
    detail: Tree
    """A lead's own page, which may wrap the lead; None if nobody read one."""
    page_size: int | None
    status: StatusForm
    consent: Sequence[ConsentAnswers]
    amounts: Sequence[str]
    refusals: dict[str, Tree]
    """The bodies of refusals, by HTTP status."""


_LENIENT = ConfigDict(extra="ignore", strict=True)


@dataclass(frozen=True, slots=True, config=_LENIENT)
class KeyPlace:
    """How a request presents its key."""

    style: Literal["bearer", "header", "query", "none"]
    name: str | None
    prefix: str


@dataclass(frozen=True, slots=True, config=_LENIENT)
class PageStyle:
    """How the list is paged."""

    style: Literal["auto", "none", "page", "offset", "cursor", "last_id", "next_url", "link_header"]
    next: str | None
    page_param: str
    first_page: int
    size_param: str | None
    size: int | None
    offset_param: str
    cursor_param: str
    total: str | None
    total_header: str | None


@dataclass(frozen=True, slots=True, config=_LENIENT)
class ChangeFilter:
    """How the list is restricted to what has changed."""

    param: str
    format: str


@dataclass(frozen=True, slots=True, config=_LENIENT)
class RecordedManner:
    """How an account is asked: its settings, with the defaults where they say nothing."""

    path_prefix: str
    leads_path: str
    lead_path: str
    auth: KeyPlace
    pagination: PageStyle
    since_filter: ChangeFilter | None
    fields: dict[str, list[str]]
    """Where each field is read in a lead, as dotted paths tried in order."""


T = TypeVar("T")


def parse_dialect(document: object) -> RecordedDialect:
    """Read a dialect's JSON; raise WrongDialectError with the first field that is wrong."""
    dialect = _parsed(RecordedDialect, document, "dialect")
    trees = {"list": dialect.list, "lead": dialect.lead, "detail": dialect.detail or {}}
    trees |= {f"refusals.{status}": tree for status, tree in dialect.refusals.items()}
    for name, tree in trees.items():
        if wrong := next(_wrong_places(tree, f"dialect.{name}"), None):
            raise WrongDialectError(wrong)
    if not isinstance(dialect.lead, dict):
        raise WrongDialectError("dialect.lead")
    if not any(leaf == LEADS for _, leaf in leaves(dialect.list)):
        raise WrongDialectError("dialect.list")
    return dialect


def parse_manner(document: object) -> RecordedManner:
    """Read how an account is asked."""
    return _parsed(RecordedManner, document, "dialect.settings")


def _parsed(kind: type[T], document: object, name: str) -> T:
    try:
        return TypeAdapter(kind).validate_json(json.dumps(document))
    except ValidationError as error:
        raise WrongDialectError(".".join(map(str, (name, *error.errors()[0]["loc"])))) from None


def kinds_of(leaf: str) -> Sequence[str]:
    """Return the kinds of a value, commonest first."""
    return leaf.split(" | ")


def names_in(tree: Mapping[str, Tree]) -> dict[str, Tree]:
    """Return what an object holds by name, without what is said of it."""
    return {name: inner for name, inner in tree.items() if name not in (PAIRS, OTHER)}


def leaves(tree: Tree, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield every value of a tree with its path; the entries of a list have the list's own."""
    match tree:
        case dict():
            for name, inner in names_in(tree).items():
                yield from leaves(inner, (*path, name))
        case list():
            for inner in tree:
                yield from leaves(inner, path)
        case str():
            yield path, tree


def loosely(name: str) -> str:
    """Return a name without case, accents, `_` and `-`: readers take all of its spellings."""
    letters = unicodedata.normalize("NFKD", name.replace("_", "").replace("-", "").casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _wrong_places(tree: Tree, name: str) -> Iterator[str]:
    """Yield the dotted name of each part of a tree that is none."""
    match tree:
        case dict():
            pairs = tree.get(PAIRS, ["name", "value"])
            if not (isinstance(pairs, list) and len(pairs) == len(["name", "value"])):
                yield f"{name}.{PAIRS}"
            for key, inner in names_in(tree).items():
                yield from _wrong_places(inner, f"{name}.{key}")
        case []:
            return
        case [inner]:
            yield from _wrong_places(inner, name)
        case str() if tree == LEADS or all(kind in KINDS or _DATE.fullmatch(kind) for kind in kinds_of(tree)):
            return
        case _:
            yield name


def with_pairs(tree: Tree, paths: Iterable[str]) -> Tree:
    """Return a tree in which lists of names, values and more hold what these dotted paths say that they do."""
    for parent, _, name in (path.rpartition(".") for path in paths):
        place = find(tree, parent) if parent and not find(tree, f"{parent}.{name}") else None
        entries = at(tree, place) if place else None
        entry = entries[0] if isinstance(entries, list) and entries else entries
        if place and isinstance(entry, dict) and (keys := entry.get(PAIRS) or _pair_keys(entry)):
            value = entry[keys[1]] if PAIRS not in entry else "text"
            inside = entry if PAIRS in entry else {PAIRS: keys}
            tree = _replaced(tree, place, {**inside, name: value})
    return tree


def _pair_keys(entry: Mapping[str, Tree]) -> list[str] | None:
    found = [
        next((spelt for known in words for spelt in entry if loosely(spelt) == known), None)
        for words in (NAME_WORDS, VALUE_WORDS)
    ]
    return [key for key in found if key] if all(found) else None


def _replaced(tree: Tree, path: Path, by: Tree) -> Tree:
    if not path:
        return by
    if isinstance(tree, list):
        return [_replaced(tree[0], path, by)]
    return {**tree, path[0]: _replaced(tree[path[0]], path[1:], by)}


def find(tree: Tree, dotted: str) -> Path | None:
    """Return the path, as it is spelt there, that a dotted path leads to; names match as a reader matches them."""
    path: Path = ()
    for name in dotted.split("."):
        while isinstance(tree, list):
            tree = tree[0] if tree else {}
        if not isinstance(tree, dict):
            return None
        among = names_in(tree)
        spelt = name if name in among else next((each for each in among if loosely(each) == loosely(name)), None)
        if spelt is None:
            return None
        path, tree = (*path, spelt), among[spelt]
    return path


def at(tree: Tree, path: Path) -> Tree:
    """Return what is at a path that `find` returned."""
    for name in path:
        while isinstance(tree, list):
            tree = tree[0]
        tree = tree[name]
    return tree
