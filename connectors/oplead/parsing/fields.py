"""Lossless JSON, and values at dotted paths in a lead."""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, DecimalException
from functools import lru_cache
from typing import Any

from connectors.language import _, _n
from connectors.oplead.options import LIST, Paths
from connectors.oplead.parsing.synonyms import with_french

_LONGEST_NUMBER = 100  # characters; no amount or id is longer
_MOST_VALUES = 2_000_000  # a page of 1,000 leads with 500 fields each has a quarter of that
_FLOAT_DIGITS = 14  # an exponent-form number this long has lost digits to floating point
_ESCAPE = re.compile(
    r"\\u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}"  # a surrogate pair
    r"|(?P<unfit>\\u(?:[Dd][89A-Fa-f][0-9A-Fa-f]{2}|0000))"
    r"|\\.",  # any other escape, both characters: a backslash may itself be escaped
)
_DIGIT = re.compile(r"\d")
_HALF = re.compile(r"[\ud800-\udfff]")


def read_json(content: bytes | str, *, most_values: int = _MOST_VALUES) -> object:
    """Parse a JSON text, with numbers as Decimal.

    A number in exponent form that is long enough to be an id (`1.2345678901235E+16`, as spreadsheets write it) stays
    text so that it is not mistaken for one. A lone surrogate (half of a truncated emoji) and a NUL become U+FFFD:
    the one can be neither hashed nor stored, the other is refused by PostgreSQL.

    Raises:
        ValueError: the text is not JSON, is truncated, has too many values or is nested too deeply.
    """
    text = content if isinstance(content, str) else content.decode(json.detect_encoding(content), "surrogatepass")
    if sum(map(text.count, ",[{")) > most_values:  # checked before parsing: values take far more memory than text
        raise ValueError("more values than are taken at once")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = _HALF.sub("\ufffd", text)
    if "\\u" in text:
        text = _ESCAPE.sub(lambda match: "\\ufffd" if match["unfit"] else match[0], text)
    try:
        return json.loads(text, parse_int=_number, parse_float=_number, parse_constant=str)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def lists_in(body: object) -> list[list[Any]]:
    """Return the lists that an answer is or holds, within its `data` if it has one."""
    inside = body.get("data", body) if isinstance(body, Mapping) else body
    around = inside.values() if isinstance(inside, Mapping) else [inside]
    return [value for value in around if isinstance(value, list)]


def _number(literal: str) -> Decimal | str:
    if len(literal) > _LONGEST_NUMBER:
        return literal
    try:
        number = Decimal(literal)
    except DecimalException:  # the exponent is out of range
        return literal
    return literal if "e" in literal.casefold() and number.adjusted() >= _FLOAT_DIGITS else number


NAME_KEYS = with_french("name", "key", "code", "label")
VALUE_KEYS = with_french("value")
_ANSWER_KEYS = ("granted", "accepted", "accord", "accorde", "accepte")
LOOSE_NAME_KEYS = (*NAME_KEYS, *with_french("title"), "identifier", "identifiant", "type")
LOOSE_VALUE_KEYS = (*VALUE_KEYS, *_ANSWER_KEYS)
"""What may name and hold a value, but also part of a thing of its own: a list of such pairs is read both ways."""
_TEXT_KEYS = with_french("label", "name", "value", "title", "code", "id")
STATUS_KEYS = (*_TEXT_KEYS, "identifier", "identifiant")
_LONG_NUMBER = 40
_NONE = object()


class PathReader:
    """Paths compiled into a tree of names: one walk of an object finds what is at all of them.

    A name matches exactly, or else ignoring case, accents, `_` and `-` (`externalID` = `external_id`). A list along
    the path is read as name/value pairs if it holds any (`[{"name": "externalID", "value": …}]`), otherwise element by
    element; loose pairs (`[{"type": "ads", "granted": …}]`) are read as both. A path that ends in `[]`, at which a list
    is written, is read there too.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        """Compile dotted paths."""
        self._root = _Name("")
        for path in paths:
            self._root.add(path, path.removesuffix(LIST).split("."))

    def read(self, container: object) -> "PathValues":
        """Return what an object, or a list of name/value pairs or objects, holds at the paths."""
        found: dict[str, list[object]] = {}
        self._root.collect_values(container, found)
        return PathValues(found)


@dataclass(slots=True, eq=False)
class _Name:
    """A name in the tree of paths."""

    written: str
    path: str | None = None
    """The path that ends here."""
    following: dict[str, list["_Name"]] = field(default_factory=dict)
    """The names that may follow, by loosely normalised name."""

    def add(self, path: str, names: Sequence[str]) -> None:
        """Add a path, whose remaining names are `names`."""
        if not names:
            self.path = path
            return
        alike = self.following.setdefault(loosely_normalised_name(names[0]), [])
        name = next((one for one in alike if one.written == names[0]), None)
        if name is None:
            alike.append(name := _Name(names[0]))
        name.add(path, names[1:])

    def collect_values(self, container: object, found: dict[str, list[object]]) -> None:
        """Add the values of every path that goes on from here into a container."""
        if isinstance(container, dict):
            self._find_in_object(container, found)
        elif isinstance(container, list):
            for key, value in name_value_pairs(container):
                for name in self.following.get(loosely_normalised_name(key), ()):
                    name.collect_value(value, found)
            for one in () if strict_pairs(container) else container:
                self.collect_values(one, found)

    def _find_in_object(self, container: Mapping[str, object], found: dict[str, list[object]]) -> None:
        keys = tuple(container)
        names_among = _names_among if sum(map(len, keys)) <= _USUAL_KEYS else _names_among.__wrapped__
        for key, name in names_among(self, keys):
            name.collect_value(container[key], found)

    def collect_value(self, value: object, found: dict[str, list[object]]) -> None:
        """Add a value of this name, and what is inside it."""
        if self.path is not None:
            found.setdefault(self.path, []).append(value)
        if self.following:
            self.collect_values(value, found)


_USUAL_KEYS = 1_000  # characters in all keys of an object; what was found among more is not kept


@lru_cache(1_024)
def _names_among(before: _Name, keys: tuple[str, ...]) -> list[tuple[str, _Name]]:
    """Return the keys of an object that are names following another, with these: most leads have the same keys."""
    written = set(keys)
    return [
        (key, name)
        for key in keys
        for name in before.following.get(loosely_normalised_name(key), ())
        if name.written == key or name.written not in written
    ]


@dataclass(frozen=True, slots=True)
class PathValues:
    """What one object holds at the paths of a `PathReader`."""

    found: Mapping[str, Sequence[object]]
    """The values at each path that leads somewhere, unchanged: lists whole, empty values included."""

    def at(self, *paths: str) -> Iterator[object]:
        """Yield every non-empty value at the paths, in order, with lists flattened."""
        for path in paths:
            if path in self.found:  # most lead nowhere
                yield from _flat(self.found[path])

    def first(self, paths: Sequence[str]) -> object:
        """Return the first non-empty value at the first path that has one, else None."""
        for path in paths:
            if path in self.found:
                for value in self.found[path]:
                    if isinstance(value, list):
                        for inner in _flat(value):
                            return inner
                    elif not is_empty(value):
                        return value
        return None

    def texts(self, paths: Sequence[str], keys: Sequence[str] = _TEXT_KEYS) -> tuple[str, ...]:
        """Return every distinct text at any of the paths, in order."""
        read = [text_of(value, keys) for path in paths if path in self.found for value in _flat(self.found[path])]
        return tuple(dict.fromkeys([text for text in read if text is not None]))

    def first_text(self, paths: Sequence[str]) -> str | None:
        """Return the first text at any of the paths, else None."""
        for value in self.at(*paths):
            if (text := text_of(value)) is not None:
                return text
        return None


_reader = lru_cache(1_024)(PathReader)
"""The paths of settings are asked for again and again."""


def values_at_path(container: object, path: str) -> tuple[object, ...]:
    """Return every non-empty value at a dotted path, in order, with lists flattened; names match as for PathReader."""
    return tuple(_reader((path,)).read(container).at(path))


def raw_values_at_path(container: object, path: str) -> tuple[object, ...]:
    """Return every value at a dotted path unchanged: lists whole, empty values included."""
    return tuple(_reader((path,)).read(container).found.get(path, ()))


def first_value_at_paths(container: object, paths: Sequence[str]) -> object:
    """Return the first non-empty value at the first path that has one, else None."""
    return _reader(tuple(paths)).read(container).first(paths)


def text_of(value: object, keys: Sequence[str] = _TEXT_KEYS) -> str | None:
    """Return a value as text: itself, a number's digits, `true` or `false`, or an object's label; else None."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, Mapping):
        found = _reader(tuple(keys)).read(value).found
        inner = (text_of(one, keys) for key in keys for one in found.get(key, ()))
        return next((text for text in inner if text is not None), None)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        # Never expand 1E+999999 into digits; no number we handle is longer than _LONG_NUMBER.
        return format(value, "f") if value.is_finite() and abs(value.adjusted()) < _LONG_NUMBER else str(value)
    return None


def names_of_status(value: object) -> tuple[str, ...]:
    """Return what a status may be called, its text before its code: `{"id": 14, "libelle": "Gagné"}` has two names."""
    if not isinstance(value, Mapping):
        return () if (text := text_of(value)) is None else (text,)
    texts = (text for key in STATUS_KEYS if (text := text_of(value, (key,))) is not None)
    return tuple(sorted(dict.fromkeys(texts), key=str.isdecimal))


def is_empty(value: object) -> bool:
    """Whether a value is null, blank text, or an empty list or object; 0 and false are not empty."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (not value and isinstance(value, dict | list))


def shape(value: object) -> str:
    """Describe a value without revealing it: `text, 18 characters`."""
    if isinstance(value, str):
        return _n("text, {count} character", "text, {count} characters", len(value))
    if isinstance(value, Mapping):
        return _n("an object with {count} name", "an object with {count} names", len(value))
    if isinstance(value, list):
        return _n("a list of {count}", "a list of {count}", len(value))
    if isinstance(value, bool) or value is None:
        return _("nothing") if value is None else _("true or false")
    return _n("a number, {count} character", "a number, {count} characters", len(str(value)))


def name_value_pairs(entries: Sequence[object]) -> list[tuple[str, object]]:
    """Return the names and values of the entries that are name/value pairs; loose ones add names to strict ones.

    A loose pair is named by what holds no digit, if anything: an identifier may be the entry's own. Its answer counts
    before a `value`, which may be the date of it.
    """
    strict = strict_pairs(entries)
    if len(strict) == len(entries):
        return strict
    others = [one for one in entries if not strict_pairs([one])] if strict else entries
    loose = _pairs(others, LOOSE_NAME_KEYS, (*_ANSWER_KEYS, *VALUE_KEYS))
    named = ((next((name for name in names if not _DIGIT.search(name)), names[0]), value) for names, value in loose)
    known = {loosely_normalised_name(name) for name, _value in strict}
    return [*strict, *(pair for pair in named if loosely_normalised_name(pair[0]) not in known)]


def strict_pairs(entries: Sequence[object]) -> list[tuple[str, object]]:
    """Return the names and values of the entries that are nothing but name/value pairs."""
    return [(names[0], value) for names, value in _pairs(entries, NAME_KEYS, VALUE_KEYS)]


def _pairs(entries: Sequence[object], names: Paths, values: Paths) -> Iterator[tuple[list[str], object]]:
    """Yield all texts that may name an entry, and its value, of the entries that have both."""
    found = (_reader((*names, *values)).read(entry).found for entry in entries if isinstance(entry, Mapping))
    for one in found:
        named = [name for key in names for name in one.get(key, ()) if isinstance(name, str)]
        value = next((one[key][0] for key in values if key in one), _NONE)
        if named and value is not _NONE:
            yield named, value


def _flat(values: Iterable[object]) -> Iterator[object]:
    for value in values:
        if isinstance(value, list):
            yield from _flat(value)
        elif not is_empty(value):
            yield value


def loosely_normalised_name(name: str) -> str:
    """Return a name without case, accents, `_` and `-`, for comparison."""
    plain = name.replace("_", "").replace("-", "").casefold()
    if plain.isascii():
        return plain
    return "".join(letter for letter in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(letter))
