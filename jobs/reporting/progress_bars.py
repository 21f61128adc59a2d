"""Progress at a terminal: how much is done, how fast, and how long the rest takes where the whole is known."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from math import ceil
from typing import Any

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.progress_bar import ProgressBar
from rich.text import Text

from connectors.language import Plural, _, _n, format_duration, format_integer

_SETTLED_AFTER = 3.0
"""Seconds after which a rate means something."""
_BAR = 8
"""Columns of a bar; with the longest step's name and large numbers, a line fits a terminal of 80."""


def work_in_words(done: int, unit: Plural | None, total: int | None, seconds: float) -> str:
    """Return how much is done, how fast, and how long the rest takes, or how long it has taken.

    Args:
        done: how many are done.
        unit: what they are, where the total is not known; None for a step that counts nothing.
        total: how many there are to do in all, if that is known.
        seconds: how long it has taken so far.
    """
    parts = []
    if unit is not None:
        of_all = _("{done} of {total}", done=format_integer(done), total=format_integer(max(total or 0, done)))
        parts.append(_n(*unit, done) if total is None else of_all)
    if done and seconds >= _SETTLED_AFTER:
        parts.append(_("{count}/min", count=format_integer(round(done * 60 / seconds))))
        if total is not None:
            left = timedelta(seconds=ceil(max(total - done, 0) * seconds / done))
            return " · ".join([*parts, _("{time} left", time=format_duration(left))])
    return " · ".join([*parts, format_duration(timedelta(seconds=int(seconds)))])


class _Bar(ProgressColumn):
    """A bar where the total is known."""

    def render(self, task: Task) -> ProgressBar | Text:
        whole = _whole(task)
        return ProgressBar(total=whole, completed=min(_done(task), whole), width=_BAR) if whole else Text()


class _Work(ProgressColumn):
    """What `work_in_words` says."""

    def render(self, task: Task) -> Text:
        return Text(work_in_words(_done(task), task.fields["unit"], _whole(task), task.elapsed or 0.0))


def _done(task: Task) -> int:
    count: Callable[[], int] = task.fields["count"]
    return count()


def _whole(task: Task) -> int | None:
    whole: Callable[[], int | None] = task.fields["whole"]
    return whole()


class WorkProgress(Progress):
    """Shows work on stderr, and nothing of it afterwards."""

    def __init__(self, console: Console | None = None, **options: Any) -> None:
        """Show work on a console; options are those of rich's `Progress`."""
        columns: Sequence[ProgressColumn] = (
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}"),
            _Bar(),
            _Work(),
        )
        super().__init__(*columns, console=console or Console(stderr=True), transient=True, **options)

    def begin_step(
        self, name: str, count: Callable[[], int], unit: Plural | None, total: Callable[[], int | None]
    ) -> Callable[[], None]:
        """Show a step that has done `count()` of `total()` so far, and return what ends it.

        The total may be known only after a while, or never.
        """
        task = self.add_task(name, total=None, count=count, unit=unit, whole=total)

        def end() -> None:
            self.update(task, total=1, completed=1)

        return end
