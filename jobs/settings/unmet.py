"""What a settings file names and no lead has: field paths and status labels, each with what may have been meant."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path as FilePath

from jobs.rules.labels import normalise_label
from jobs.settings.document import Document, Tree, read_document
from jobs.settings.load import file_text, placed
from jobs.settings.places import find, leaves, texts, value_at
from jobs.settings.problems import Finding, Path, Problem
from jobs.settings.semantics import PLATFORMS

_FIELDS = ("consent.ad_user_data.field", "consent.ad_personalization.field", "conversions.*.value.field")
_CONDITIONS = ("conversions.*.where", *(f"{platform}.*.where" for platform in PLATFORMS), "exclude.fields")


@dataclass(frozen=True, slots=True)
class Seen:
    """What the leads looked at have."""

    leads: int
    paths: Sequence[str]
    """Every dotted path they show."""
    labels: Sequence[str]
    """Every status label, past ones among them."""
    filled: Callable[[str], int]
    """On how many of them something stands at a path, by the reader's own comparison."""


@dataclass(frozen=True, slots=True)
class Unmet:
    """One thing that is named and was not met."""

    problem: Problem
    stops: bool
    """Whether nothing goes out because of it; else it may only be rare."""


def paths_named_in(file: FilePath) -> frozenset[str]:
    """Every path of a lead that a file names; none where it cannot be read."""
    try:
        return frozenset(path for _, path in _named(read_document(file_text(file)).tree))
    except ValueError:
        return frozenset()


def _named(tree: Tree) -> list[tuple[Path, str]]:
    """The same, each with where it stands."""
    named = [(at, path) for pattern in _FIELDS for place in find(tree, pattern) for at, path in texts(place)]
    conditions = [place for pattern in _CONDITIONS for place in find(tree, pattern)]
    named += [((*at, path), path) for at, value in conditions if isinstance(value, dict) for path in value]
    named += [(("oplead", "fields", *at), path) for at, path in leaves(value_at(tree, ("oplead", "fields")))]
    return list(dict.fromkeys(named))


def unmet(file: FilePath, seen: Seen) -> list[Unmet]:
    """Everything that the file names and that none of the leads has, in the file's order.

    Nothing where the file cannot be read, or there are no leads.
    """
    try:
        document = read_document(file_text(file))
    except ValueError:
        return []
    if not seen.leads:
        return []
    found = [*_paths(document, seen), *_labels(document.tree, seen)]
    made = [Unmet(placed([finding], document, str(file))[0], stops) for finding, stops in found]
    return sorted(made, key=lambda one: one.problem)


def _paths(document: Document, seen: Seen) -> Iterator[tuple[Finding, bool]]:
    for at, path in _named(document.tree):
        if seen.filled(path):
            continue
        meant = _meant(path, seen.paths)
        hint = f'; did you mean "{meant}"?' if meant else ""
        said = f'"{path}" is in none of {seen.leads} leads{hint}'
        # What rests on a lead's answer, or on a condition, does not go out where no lead has any.
        yield Finding(at, said), at[0] == "consent" or "where" in at


def _labels(tree: Tree, seen: Seen) -> Iterator[tuple[Finding, bool]]:
    there = {normalise_label(label): label for label in seen.labels}
    stages = value_at(tree, ("stages",))
    named = [one for stage in (stages if isinstance(stages, dict) else ()) for one in find(tree, f"stages.{stage}.*")]
    named += list(find(tree, "ignored_statuses.*"))
    written = {normalise_label(label) for _, label in named if isinstance(label, str)}
    free = {normal: label for normal, label in there.items() if normal not in written}
    for at, label in named:
        if not isinstance(label, str) or normalise_label(label) in there:
            continue
        close = get_close_matches(normalise_label(label), free, n=1)
        if not close and at[0] == "ignored_statuses":
            continue  # It means nothing, and so few leads may well lack it.
        hint = f'; did you mean "{free[close[0]]}"?' if close else ""
        yield Finding(at, f'no lead has the status "{label}" ({seen.leads} looked at){hint}'), False


def _meant(path: str, paths: Iterable[str]) -> str | None:
    """The path that somebody may have meant: the same but for one part, or close in spelling."""
    known = {loose_path(one): one for one in sorted(paths, key=len, reverse=True)}
    known.pop(loose_path(path), None)
    name = loose_path(path).rpartition(".")[2]
    alike = [one for one in known if one.rpartition(".")[2] == name]
    close = alike[-1:] or get_close_matches(loose_path(path)[:100], known, n=1)
    return known[close[0]] if close else None


def loose_path(path: str) -> str:
    """A path as the reader compares it: without regard to case, `_` and `-`."""
    return path.replace("_", "").replace("-", "").casefold()
