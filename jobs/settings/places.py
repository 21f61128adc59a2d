"""Finding values in the tree of a configuration file, whose sections may hold one thing or a list of them."""

from collections.abc import Iterator

from jobs.settings.document import Tree
from jobs.settings.problems import Path

Place = tuple[Path, Tree]


def find(tree: Tree, pattern: str) -> Iterator[Place]:
    """Every value at a dotted pattern: `conversions.*.stage`, `google_ads.*.id`.

    `*` stands for each item of a list, or for the thing itself where there is no list.
    """
    yield from _find((), tree, pattern.split("."))


def _find(path: Path, tree: Tree, steps: list[str]) -> Iterator[Place]:
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


def texts(place: Place) -> Iterator[tuple[Path, str]]:
    """The items that are texts."""
    yield from ((path, value) for path, value in items(place) if isinstance(value, str))


def text_at(tree: Tree, pattern: str) -> str | None:
    """The text at a pattern, None where there is none."""
    return next((value for _, value in find(tree, pattern) if isinstance(value, str)), None)


def value_at(tree: Tree, path: Path) -> Tree:
    """The value at an exact path; None where there is none."""
    for part in path:
        if isinstance(tree, dict) and isinstance(part, str):
            tree = tree.get(part)
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return None
    return tree


def leaves(tree: Tree, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every text of the tree."""
    if isinstance(tree, str):
        yield path, tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    else:
        for index, item in enumerate(tree or ()):
            yield from leaves(item, (*path, index))
