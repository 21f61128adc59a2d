"""YAML with the place of every value, read and written."""

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
    """What a file says, and where: every key and list item has a mark."""

    tree: Tree = field(repr=False)
    marks: Mapping[KeyPath, SourceMark] = field(repr=False)
    findings: tuple[SettingsFinding, ...]
    """What is wrong with the file or its YAML; where it cannot be read there is no tree."""

    def problems(self, findings: Iterable[SettingsFinding], file: Path) -> tuple[SettingsProblem, ...]:
        """Findings, each once and at its place in the file, in the order of the file."""
        found = set()
        for finding in findings:
            mark = finding.at or self._nearest_mark(finding.path)
            place, message = one_line(dotted(finding.path)), one_line(finding.message)
            found.add(SettingsProblem(str(file), mark.line, mark.column, place, message))
        return tuple(sorted(found))

    def _nearest_mark(self, path: KeyPath) -> SourceMark:
        """The mark of the path, or of what stands around it."""
        marks = (self.marks.get(path[:length]) for length in range(len(path), -1, -1))
        return next((mark for mark in marks if mark), _START)


def read_file(path: Path) -> Document:
    """Read a configuration file; whatever it holds, nothing is raised."""
    try:
        return read_document(read_limited(path, MAX_FILE_BYTES, "the file").decode("utf-8-sig"))
    except UnicodeDecodeError:
        message = "the file is not UTF-8 text; save it as UTF-8"
    except ValueError as error:
        message = str(error)
    return Document(None, {}, (SettingsFinding((), message, SourceMark(0, 0)),))


def read_document(text: str) -> Document:
    """Read YAML 1.2, anchors and merge keys included; nothing in `text` makes it raise."""
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
    """Turns YAML's nodes into a tree, keeping marks and findings as it goes."""

    marks: dict[KeyPath, SourceMark] = field(default_factory=dict)
    findings: dict[SettingsFinding, None] = field(default_factory=dict)
    """Each once, in order: an anchor repeats what is wrong with it wherever it is named."""

    def read(self, node: Node, path: KeyPath, mark: SourceMark) -> Tree:
        # Anchors can repeat a value without end, or hold themselves.
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
        """A mapping's own keys, then what `<<` adds to them."""
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
    """The parser's own words are not shown: they quote the file, and the line may hold a secret."""
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
    """Every value at a dotted pattern: `conversions.*.stage`, `google_ads.*.id`.

    `*` stands for each item of a list, or for the thing itself where there is no list.
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
    """The items of a list, or the one thing that stands there instead; nothing for an empty value."""
    path, value = place
    if isinstance(value, list):
        yield from (((*path, index), item) for index, item in enumerate(value))
    elif value is not None:
        yield path, value


def texts(place: Place) -> Iterator[tuple[KeyPath, str]]:
    """The items that are texts."""
    yield from ((path, value) for path, value in items(place) if isinstance(value, str))


def texts_at(tree: Tree, *patterns: str) -> Iterator[tuple[KeyPath, str]]:
    """The texts at patterns, alone or in lists."""
    return (found for pattern in patterns for place in find(tree, pattern) for found in texts(place))


def text_at(tree: Tree, pattern: str) -> str | None:
    """The text at a pattern, None where there is none."""
    return next((value for _, value in find(tree, pattern) if isinstance(value, str)), None)


def value_at(tree: Tree, path: KeyPath) -> Tree:
    """The value at an exact path; None where there is none."""
    for part in path:
        if isinstance(tree, dict) and isinstance(part, str):
            tree = tree.get(part)
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return None
    return tree


def leaves(tree: Tree, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Every text of the tree."""
    if isinstance(tree, str):
        yield path, tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    else:
        for index, item in enumerate(tree or ()):
            yield from leaves(item, (*path, index))


_PLAIN = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ_][\wÀ-ÖØ-öø-ÿ]*(?:[ ./’'-]+[\wÀ-ÖØ-öø-ÿ]+)*")
"""A text that YAML takes as it stands, in a line and between brackets."""
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""Plain, these might be read as something else than text."""
INDENT = "  "

Written = str | int | bool | Sequence[str] | Mapping[str, "Written"]


def scalar(value: str | int) -> str:
    """One value: a text in quotes wherever YAML might read it otherwise."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (_PLAIN.fullmatch(value) and value.casefold() not in _WORDS):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def listed(values: Sequence[str]) -> str:
    """Several values in one line: `[Gagné, "n° 2"]`."""
    return f"[{', '.join(scalar(value) for value in values)}]"


def block(section: Mapping[str, Written], depth: int = 0) -> Iterator[str]:
    """A section's lines, nested as deep as it is."""
    for key, value in section.items():
        start = f"{INDENT * depth}{scalar(key)}:"
        if isinstance(value, Mapping):
            yield start
            yield from block(value, depth + 1)
        elif isinstance(value, str | int):
            yield f"{start} {scalar(value)}"
        else:
            yield f"{start} {listed(value)}"
