"""Read YAML with the position of every value, and write it."""

import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from jobs.settings.problems import KeyPath, SettingsFinding, SettingsProblem, SourceMark, dotted, one_line, read_limited

Tree = str | dict[str, "Tree"] | list["Tree"] | None

MAX_FILE_BYTES = 1_000_000
MAX_VALUES, MAX_DEPTH = 20_000, 50
_STANDARD = "tag:yaml.org,2002:"
_START = SourceMark(1, 1)
_SENTENCES = {
    "mapping values": "a colon is not expected here: put the text in quotes, or check the line's indentation",
    "found character '\\t'": "indent with spaces, not tabs",
    "cannot start any token": "a text that begins with this sign must stand in quotes",
    "undefined alias": "a text that begins with * must stand in quotes",
    "another document": "one file holds one account: take the line --- and what follows out",
    "end of stream": "what begins here is never closed: check quotes and brackets",
    "<stream end>": "what begins here is never closed: check quotes and brackets",
}
_OTHERWISE = "this is not valid YAML: check quotes, brackets and indentation just before"


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file, with a position for every key and list item."""

    tree: Tree = field(repr=False)
    marks: Mapping[KeyPath, SourceMark] = field(repr=False)
    findings: tuple[SettingsFinding, ...]
    """Problems with the file or its YAML; a file that cannot be parsed has no tree."""

    def problems(self, findings: Iterable[SettingsFinding], file: Path) -> tuple[SettingsProblem, ...]:
        """Turn findings into problems with positions, without duplicates and in file order."""
        found = set()
        for finding in findings:
            mark = finding.at or self._nearest_mark(finding.path)
            place, message = one_line(dotted(finding.path)), one_line(finding.message)
            found.add(SettingsProblem(str(file), mark.line, mark.column, place, message))
        return tuple(sorted(found))

    def _nearest_mark(self, path: KeyPath) -> SourceMark:
        """Return the mark of the path, or of its nearest ancestor that has one."""
        marks = (self.marks.get(path[:length]) for length in range(len(path), -1, -1))
        return next((mark for mark in marks if mark), _START)


def read_file(path: Path) -> Document:
    """Read a configuration file; never raises, whatever the file holds."""
    try:
        return read_document(read_limited(path, MAX_FILE_BYTES, "the file").decode("utf-8-sig"))
    except UnicodeDecodeError:
        message = "the file is not UTF-8 text; save it as UTF-8"
    except ValueError as error:
        message = str(error)
    return Document(None, {}, (SettingsFinding((), message, SourceMark(0, 0)),))


def read_document(text: str) -> Document:
    """Read YAML 1.2, including anchors and merge keys; never raises, whatever `text` holds."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)
            node = YAML(typ="safe", pure=True).compose(text)
    except (YAMLError, ArithmeticError, LookupError, RecursionError, ValueError) as error:
        return Document(None, {}, (_syntax_finding(error),))
    if node is None:
        return Document(None, {(): _START}, (SettingsFinding((), "the file is empty"),))
    reader = _Reader()
    tree = reader.read(node, (), _mark(node))
    return Document(tree, reader.marks, tuple(reader.findings))


@dataclass(slots=True)
class _Reader:
    """Builds a tree from YAML nodes, collecting marks and findings."""

    marks: dict[KeyPath, SourceMark] = field(default_factory=dict)
    findings: dict[SettingsFinding, None] = field(default_factory=dict)
    """An ordered set: an anchor would repeat its problems wherever it is used."""

    def read(self, node: Node, path: KeyPath, mark: SourceMark) -> Tree:
        # Anchors can multiply values exponentially, or contain themselves.
        if len(self.marks) >= MAX_VALUES or len(path) > MAX_DEPTH:
            self._report((), "the file repeats or nests its values far too often: check its anchors", _START)
            return None
        self.marks[path] = mark
        if not (node.tag or "").startswith(_STANDARD) or node.tag == f"{_STANDARD}binary":
            self._report(path, "a value that begins with ! must stand in quotes", mark)
        if isinstance(node, MappingNode):
            return {key: self.read(value, (*path, key), at) for key, value, at in self._pairs(node, path)}
        if isinstance(node, SequenceNode):
            return [self.read(item, (*path, index), _mark(item)) for index, item in enumerate(node.value)]
        return None if node.tag == f"{_STANDARD}null" else str(node.value)

    def _pairs(self, node: MappingNode, path: KeyPath) -> Iterator[tuple[str, Node, SourceMark]]:
        """Yield a mapping's own keys, then those that `<<` adds."""
        seen: dict[str, SourceMark] = {}
        merged: list[Node] = []
        for key, value in node.value:
            mark = _mark(key)
            if key.tag == f"{_STANDARD}merge":
                merged += value.value if isinstance(value, SequenceNode) else [value]
            elif not isinstance(key, ScalarNode):
                self._report(path, "a key must be a plain word", mark)
            elif (name := str(key.value)) in seen:
                self._report((*path, name), f"this key stands here twice, first on line {seen[name].line}", mark)
            else:
                seen[name] = mark
                yield name, value, mark
        for source in merged:
            if not isinstance(source, MappingNode):
                self._report(path, "<< takes the name of an anchored group of keys, as <<: *name", _mark(node))
                continue
            for key, value in source.value:
                if isinstance(key, ScalarNode) and key.value not in seen:
                    seen[str(key.value)] = _mark(key)
                    yield str(key.value), value, _mark(key)

    def _report(self, path: KeyPath, message: str, mark: SourceMark) -> None:
        self.findings[SettingsFinding(path, message, mark)] = None


def _mark(node: Node) -> SourceMark:
    return SourceMark(node.start_mark.line + 1, node.start_mark.column + 1)


def _syntax_finding(error: Exception) -> SettingsFinding:
    """Describe a syntax error without the parser's message, which quotes the file and so might show a secret."""
    if isinstance(error, RecursionError):
        return SettingsFinding((), "the file nests its values far too deep", _START)
    if not isinstance(error, MarkedYAMLError):
        return SettingsFinding((), "the file holds characters that YAML does not allow", _START)
    words = str(error.problem)
    message = next((sentence for part, sentence in _SENTENCES.items() if part in words), _OTHERWISE)
    unclosed = "stream" in words and error.context_mark is not None
    mark = error.context_mark if unclosed else error.problem_mark
    return SettingsFinding((), message, SourceMark(mark.line + 1, mark.column + 1) if mark else _START)


Place = tuple[KeyPath, Tree]


def find(tree: Tree, pattern: str) -> Iterator[Place]:
    """Yield every value at a dotted pattern such as `conversions.*.stage`.

    `*` matches each item of a list, or the value itself if it is not a list.
    """
    yield from _find((), tree, pattern.split("."))


def _find(path: KeyPath, tree: Tree, steps: list[str]) -> Iterator[Place]:
    if not steps:
        yield path, tree
    elif steps[0] == "*":
        for at, value in items((path, tree)):
            yield from _find(at, value, steps[1:])
    elif isinstance(tree, dict) and steps[0] in tree:
        yield from _find((*path, steps[0]), tree[steps[0]], steps[1:])


def items(place: Place) -> Iterator[Place]:
    """Yield the items of a list, or a single value as the only item; nothing for an empty value."""
    path, value = place
    if isinstance(value, list):
        yield from (((*path, index), item) for index, item in enumerate(value))
    elif value is not None:
        yield path, value


def texts(place: Place) -> Iterator[tuple[KeyPath, str]]:
    """Yield the items that are text."""
    yield from ((path, value) for path, value in items(place) if isinstance(value, str))


def texts_at(tree: Tree, *patterns: str) -> Iterator[tuple[KeyPath, str]]:
    """Yield the texts at the patterns, single or in lists."""
    return (found for pattern in patterns for place in find(tree, pattern) for found in texts(place))


def text_at(tree: Tree, pattern: str) -> str | None:
    """Return the first text at a pattern, or None."""
    return next((value for _, value in find(tree, pattern) if isinstance(value, str)), None)


def value_at(tree: Tree, path: KeyPath) -> Tree:
    """Return the value at an exact path, or None."""
    for part in path:
        if isinstance(tree, dict) and isinstance(part, str):
            tree = tree.get(part)
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return None
    return tree


def leaves(tree: Tree, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Yield every text in the tree with its path."""
    if isinstance(tree, str):
        yield path, tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    else:
        for index, item in enumerate(tree or ()):
            yield from leaves(item, (*path, index))


_PLAIN = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ_][\wÀ-ÖØ-öø-ÿ]*(?:[ ./’'-]+[\wÀ-ÖØ-öø-ÿ]+)*")
"""Text that needs no quotes in YAML, either on a line or in a flow list."""
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""Words that, without quotes, some parsers would not read as text."""
INDENT = "  "

Written = str | int | bool | Sequence[str] | Mapping[str, "Written"]


def scalar(value: str | int) -> str:
    """Write one value, quoting text that YAML might not read as that text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (_PLAIN.fullmatch(value) and value.casefold() not in _WORDS):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def listed(values: Sequence[str]) -> str:
    """Write a flow list, such as `[Gagné, "n° 2"]`."""
    return f"[{', '.join(scalar(value) for value in values)}]"


def block(section: Mapping[str, Written], depth: int = 0) -> Iterator[str]:
    """Yield a section's lines, indented from `depth` on."""
    for key, value in section.items():
        start = f"{INDENT * depth}{scalar(key)}:"
        if isinstance(value, Mapping):
            yield start
            yield from block(value, depth + 1)
        elif isinstance(value, str | int):
            yield f"{start} {scalar(value)}"
        else:
            yield f"{start} {listed(value)}"
