"""Keys that are understood but not acted on yet. To make one act, delete its row.

A key that does no harm by not acting is noted, and the run goes on. A guard that would hold something back,
or a choice of what is read or sent, is refused: to go on without it would do what the file forbids.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from jobs.settings.document import Tree
from jobs.settings.places import find
from jobs.settings.problems import Finding


@dataclass(frozen=True, slots=True)
class NotYet:
    """A key not acted on yet, and what to do meanwhile; values in `acts` are honoured already."""

    pattern: str
    meanwhile: str
    acts: tuple[str, ...] = ()


NOTED = (
    NotYet("schedule", "start `oplead-sync run` from cron or systemd"),
    NotYet("notify", "watch the command's exit code"),
    NotYet("report", "each run prints its numbers"),
    NotYet("retention", "nothing is erased by age"),
    NotYet("oplead.in_flight", "one request at a time goes out"),
    NotYet("conversions.*.value.restate_above", "values sent are not corrected"),
    NotYet("conversions.*.undo_when", "what was sent is not taken back"),
    NotYet("conversions.*.undo_after", "what was sent is not taken back"),
    NotYet("conversions.*.undo_via", "what was sent is not taken back"),
    NotYet("conversions.*.within", "a lead counts once per conversion, whenever"),
)

REFUSED = (
    NotYet("exclude", "take it out, and keep test leads out of Oplead"),
    NotYet("conversions.*.count_once_per", "write lead, or take it out", acts=("lead",)),
    NotYet("oplead.pull", "write list", acts=("since", "list")),
)


def pending_notes(tree: Tree) -> Iterator[Finding]:
    """The keys of the file that do nothing yet, and do no harm by it."""
    return _findings(tree, NOTED, "not acted on yet")


def pending_refusals(tree: Tree) -> Iterator[Finding]:
    """The keys of the file that must not be passed over, and cannot be honoured yet."""
    return _findings(tree, REFUSED, "this cannot be honoured yet, so it is refused")


def _findings(tree: Tree, rows: tuple[NotYet, ...], opening: str) -> Iterator[Finding]:
    for row in rows:
        for path, value in find(tree, row.pattern):
            if value is not None and value not in row.acts:
                yield Finding(path, f"{opening}: {row.meanwhile}")
