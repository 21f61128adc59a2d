"""Keys that are understood but not acted on yet. To make one act, delete its row.

A key that does no harm by not acting is noted, and the run goes on. A guard that would hold something back, or a
choice of what is read or sent, must act as soon as there is a key for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from jobs.settings.document import Tree
from jobs.settings.places import find
from jobs.settings.problems import Finding


@dataclass(frozen=True, slots=True)
class NotYet:
    """A key not acted on yet, and what to do meanwhile."""

    pattern: str
    meanwhile: str


NOTED = (
    NotYet("report", "each run prints its numbers"),
    NotYet("retention", "nothing is erased by age"),
)


def pending_notes(tree: Tree) -> Iterator[Finding]:
    """The keys of the file that do nothing yet, and do no harm by it."""
    for row in NOTED:
        for path, value in find(tree, row.pattern):
            if value is not None:
                yield Finding(path, f"not acted on yet: {row.meanwhile}")
