"""The settings file: its values with their positions, what is wrong with it and where, and how to write YAML."""

import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.tokens import ScalarToken

from connectors.language import N_, _
from connectors.text import one_line

Tree = str | dict[str, "Tree"] | list["Tree"] | None

KeyPath = tuple[str | int, ...]
"""A value's place in the file, such as `("conversions", 1, "stage")`; () is the whole file."""

MAX_FILE_BYTES = 1_000_000
SUFFIXES = frozenset({".yaml", ".yml"})
"""What names of settings files end in."""
MAX_VALUES, MAX_DEPTH = 20_000, 50
_STANDARD = "tag:yaml.org,2002:"
_LIKE_A_SECRET = re.compile(r"(?=\D*\d)\S{16,}")
_SENTENCES = {
    "mapping values": N_("a colon is not expected here: put the text in quotes, or check the line's indentation"),
    "found character '\\t'": N_("indent with spaces, not tabs"),
    "cannot start any token": N_("a text that begins with this sign must stand in quotes"),
    "undefined alias": N_("a text that begins with * must stand in quotes"),
    "another document": N_("one file holds one account: take the line --- and what follows out"),
    "end of stream": N_("what begins here is never closed: check quotes and brackets"),
    "<stream end>": N_("what begins here is never closed: check quotes and brackets"),
}
_COMMENT = re.compile(r"[ \t]*#.*")
_OTHERWISE = N_("this is not valid YAML: check quotes, brackets and indentation just before")


@dataclass(frozen=True, slots=True)
class FilePosition:
    """A position in the file; lines and columns count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class SettingsFinding:
    """Something wrong at a path in the file; `at` overrides the path's own position."""

    path: KeyPath
    message: str
    at: FilePosition | None = None


@dataclass(frozen=True, slots=True, order=True)
class SettingsProblem:
    """One thing to fix in the file; sorts by position and never holds a secret.

    Line and column are 0 if the file cannot be read.
    """

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


_START = FilePosition(1, 1)


@dataclass(frozen=True, slots=True)
class ParsedSettingsFile:
    """A parsed file, with a position for every key and list item."""

    tree: Tree = field(repr=False)
    marks: Mapping[KeyPath, FilePosition] = field(repr=False)
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

    def _nearest_mark(self, path: KeyPath) -> FilePosition:
        """Return the mark of the path, or of its nearest ancestor that has one."""
        marks = (self.marks.get(path[:length]) for length in range(len(path), -1, -1))
        return next((mark for mark in marks if mark), _START)


def read_file(path: Path) -> ParsedSettingsFile:
    """Read a configuration file; never raises, whatever the file holds."""
    if problem := _why_no_file(path):
        return _unreadable_settings_file(problem)
    try:
        return read_document(read_file_with_limit(path, MAX_FILE_BYTES, _("the file")).decode("utf-8-sig"))
    except UnicodeDecodeError:
        message = _("the file is not UTF-8 text; save it as UTF-8")
    except ValueError as error:
        message = str(error)
    return _unreadable_settings_file(message)


def _unreadable_settings_file(message: str) -> ParsedSettingsFile:
    return ParsedSettingsFile(None, {}, (SettingsFinding((), message, FilePosition(0, 0)),))


def _why_no_file(path: Path) -> str | None:
    """Return what stands at a path instead of a file, with what to do; None if something that may be read does."""
    try:
        if path.is_dir():
            return _("this is a folder, and here one account's file is wanted; name one of the files in it")
        if path.exists():
            return None
    except (OSError, ValueError):
        return None  # reading it says why
    if path.suffix in SUFFIXES:
        return _("the file does not exist; check the path, or write a first file with `oplead-sync init`")
    return _(
        "there is neither a file nor a folder of this name; check the path, or write a first file with "
        "`oplead-sync init`"
    )


def read_document(text: str) -> ParsedSettingsFile:
    """Read YAML 1.2, including anchors and merge keys; never raises, whatever `text` holds."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)
            node = YAML(typ="safe", pure=True).compose(text)
    except (YAMLError, ArithmeticError, LookupError, RecursionError, ValueError) as error:
        return ParsedSettingsFile(None, {}, (_syntax_finding(error),))
    if node is None:
        return ParsedSettingsFile(None, {(): _START}, (SettingsFinding((), _("the file is empty")),))
    reader = _Reader()
    tree = reader.read(node, (), _mark(node))
    return ParsedSettingsFile(tree, reader.marks, tuple(reader.findings))


def without_comments(text: str) -> str:
    """Return valid YAML without its comments, line by line as it was."""
    kept, end = [], 0
    for token in YAML(typ="safe", pure=True).scan(text):
        kept.append(_COMMENT.sub("", text[end : token.start_mark.index]))
        end = token.end_mark.index
        written = text[token.start_mark.index : end]
        if isinstance(token, ScalarToken) and token.style in ("|", ">"):  # a comment may follow this sign
            head, line_end, lines = written.partition("\n")
            written = _COMMENT.sub("", head) + line_end + lines
        kept.append(written)
    return "".join(kept)


@dataclass(slots=True)
class _Reader:
    """Builds a tree from YAML nodes, collecting marks and findings."""

    marks: dict[KeyPath, FilePosition] = field(default_factory=dict)
    findings: dict[SettingsFinding, None] = field(default_factory=dict)
    """An ordered set: an anchor would repeat its problems wherever it is used."""

    def read(self, node: Node, path: KeyPath, mark: FilePosition) -> Tree:
        # Anchors can multiply values exponentially, or contain themselves.
        if len(self.marks) >= MAX_VALUES or len(path) > MAX_DEPTH:
            self._report((), _("the file repeats or nests its values far too often: check its anchors"), _START)
            return None
        self.marks[path] = mark
        if not (node.tag or "").startswith(_STANDARD) or node.tag == f"{_STANDARD}binary":
            self._report(path, _("a value that begins with ! must stand in quotes"), mark)
        if isinstance(node, MappingNode):
            return {key: self.read(value, (*path, key), at) for key, value, at in self._pairs(node, path)}
        if isinstance(node, SequenceNode):
            return [self.read(item, (*path, index), _mark(item)) for index, item in enumerate(node.value)]
        return None if node.tag == f"{_STANDARD}null" else str(node.value)

    def _pairs(self, node: MappingNode, path: KeyPath) -> Iterator[tuple[str, Node, FilePosition]]:
        """Yield a mapping's own keys, then those that `<<` adds."""
        seen: dict[str, FilePosition] = {}
        merged: list[Node] = []
        for key, value in node.value:
            mark = _mark(key)
            if key.tag == f"{_STANDARD}merge":
                merged += value.value if isinstance(value, SequenceNode) else [value]
            elif not isinstance(key, ScalarNode):
                self._report(path, _("a key must be a plain word"), mark)
            elif (name := str(key.value)) in seen:
                self._report(
                    (*path, name), _("this key stands here twice, first on line {line}", line=seen[name].line), mark
                )
            else:
                seen[name] = mark
                yield name, value, mark
        for source in merged:
            if not isinstance(source, MappingNode):
                self._report(path, _("<< takes the name of an anchored group of keys, as <<: *name"), _mark(node))
                continue
            for key, value in source.value:
                if isinstance(key, ScalarNode) and key.value not in seen:
                    seen[str(key.value)] = _mark(key)
                    yield str(key.value), value, _mark(key)

    def _report(self, path: KeyPath, message: str, mark: FilePosition) -> None:
        self.findings[SettingsFinding(path, message, mark)] = None


def _mark(node: Node) -> FilePosition:
    return FilePosition(node.start_mark.line + 1, node.start_mark.column + 1)


def _syntax_finding(error: Exception) -> SettingsFinding:
    """Describe a syntax error without the parser's message, which quotes the file and so might show a secret."""
    if isinstance(error, RecursionError):
        return SettingsFinding((), _("the file nests its values far too deep"), _START)
    if not isinstance(error, MarkedYAMLError):
        return SettingsFinding((), _("the file holds characters that YAML does not allow"), _START)
    words = str(error.problem)
    message = next((sentence for part, sentence in _SENTENCES.items() if part in words), _OTHERWISE)
    unclosed = "stream" in words and error.context_mark is not None
    mark = error.context_mark if unclosed else error.problem_mark
    return SettingsFinding((), _(message), FilePosition(mark.line + 1, mark.column + 1) if mark else _START)


def dotted(path: Iterable[str | int]) -> str:
    """Join a path as in `conversions.1.stage`, quoting keys that are empty or have surrounding white space.

    A key that looks like a secret is replaced by its length: a secret pasted onto its own line becomes a key.
    """
    names = (
        _("<text, {count} characters>", count=len(part)) if _LIKE_A_SECRET.fullmatch(part) else part
        for part in map(str, path)
    )
    return ".".join(name if name and name == name.strip() else repr(name) for name in names)


def read_file_with_limit(path: Path, limit: int, what: str) -> bytes:
    """Return the content of a regular file of at most `limit` bytes.

    Raises:
        ValueError: the file is missing, unreadable or too long; the message calls it `what`.
    """
    try:
        if not path.is_file():  # reading a pipe would block
            problem = (
                _("{what} is not a plain file", what=what) if path.exists() else _("{what} does not exist", what=what)
            )
            raise ValueError(problem)
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise ValueError(_("{what} cannot be read ({strerror})", what=what, strerror=error.strerror)) from None
    if len(content) > limit:
        raise ValueError(_("{what} is too long", what=what))
    return content


def did_you_mean(
    name: str, known: Iterable[str], *, loosely: Callable[[str], str] = str.casefold, cutoff: float = 0.6
) -> str:
    """Return `; did you mean "won"?` if a known name is close once both are taken `loosely`, else an empty string."""
    names = {loosely(candidate): candidate for candidate in sorted(known)}
    # Comparing costs the product of both lengths, and no known name is anywhere near 100 characters long.
    close = get_close_matches(loosely(name)[:100], names, n=1, cutoff=cutoff)
    return _('; did you mean "{name}"?', name=names[close[0]]) if close else ""


# ── finding values ───────────────────────────────────────────────────────────────────────────────

Place = tuple[KeyPath, Tree]


def find(tree: Tree, pattern: str, path: KeyPath = ()) -> Iterator[Place]:
    """Yield every value at a dotted pattern such as `conversions.*.stage`.

    `*` matches each item of a list, or the value itself if it is not a list.
    """
    step, _, rest = pattern.partition(".")
    if not pattern:
        yield path, tree
    elif step == "*":
        for at, value in items_or_single_value((path, tree)):
            yield from find(value, rest, at)
    elif isinstance(tree, dict) and step in tree:
        yield from find(tree[step], rest, (*path, step))


def items_or_single_value(place: Place) -> Iterator[Place]:
    """Yield the items of a list, or a single value as the only item; nothing for an empty value."""
    path, value = place
    if isinstance(value, list):
        yield from (((*path, index), item) for index, item in enumerate(value))
    elif value is not None:
        yield path, value


def texts_at(tree: Tree, *patterns: str) -> Iterator[tuple[KeyPath, str]]:
    """Yield the texts at the patterns, single or in lists."""
    for pattern in patterns:
        for place in find(tree, pattern):
            yield from ((path, value) for path, value in items_or_single_value(place) if isinstance(value, str))


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


def texts_with_paths(tree: Tree, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Yield every text in the tree with its path."""
    if isinstance(tree, str):
        yield path, tree
        return
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree or ()):
        yield from texts_with_paths(value, (*path, key))


# ── writing ──────────────────────────────────────────────────────────────────────────────────────

_PLAIN = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ_][\wÀ-ÖØ-öø-ÿ]*(?:[ ./’'-]+[\wÀ-ÖØ-öø-ÿ]+)*")
"""Text that needs no quotes in YAML, either on a line or in a flow list."""
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""Words that, without quotes, some parsers would not read as text."""
INDENT = "  "
TO_BE_FILLED_IN = "replace-me"
"""The start of what `init` writes in place of something unknown; `check` reports its line."""

Written = str | int | bool | Sequence[str] | Mapping[str, "Written"]


def to_inline_yaml(value: str | int | Sequence[str]) -> str:
    """Write a value or a list on one line, quoting text that YAML might not read as that text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int):
        return f"[{', '.join(map(to_inline_yaml, value))}]"
    if isinstance(value, int) or (_PLAIN.fullmatch(value) and value.casefold() not in _WORDS):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def yaml_section_lines(section: Mapping[str, Written], depth: int = 0) -> Iterator[str]:
    """Yield a section's lines, indented from `depth` on."""
    for key, value in section.items():
        start = f"{INDENT * depth}{to_inline_yaml(key)}:"
        if isinstance(value, Mapping):
            yield start
            yield from yaml_section_lines(value, depth + 1)
        else:
            yield f"{start} {to_inline_yaml(value)}"
