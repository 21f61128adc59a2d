"""What a check concludes, and what will be corrected."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from connectors.records import AdjustmentKind
from connectors.text import plural
from jobs.rules.model import ConversionRoute
from jobs.settings import Settings
from jobs.settings.compile import Rulebook

_WORDS = {0: "may run", 1: "needs a human first", 2: "must not run"}
"""The meaning of `check`'s exit codes for a file."""


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """The result of checking one file."""

    file: Path
    exit_code: int
    checked: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    failed: int = 0
    """Problems if the file must not run, else failed look-ups."""
    is_live: bool = False
    """Whether the platforms were queried."""
    unconfirmed: tuple[str, ...] = ()
    """Accounts and datasets that the queried platforms didn't confirm to exist."""

    @property
    def conclusion_word(self) -> str:
        """Return the conclusion, which agrees with the exit code."""
        return _WORDS[self.exit_code]

    @property
    def conclusion_reason(self) -> str:
        """Return the reason for the conclusion."""
        if self.conclusion_word == "must not run":
            return f"{plural(self.failed, 'problem')}, named above"
        if self.conclusion_word == "needs a human first":
            return f"{self.failed} failed: mend what is named above, then check again"
        if self.unconfirmed:  # a wrong account number passes if no platform could confirm it
            return f"nothing failed; nobody could confirm {', '.join(self.unconfirmed)}"
        return "nothing failed" if self.is_live else "no mistakes in the file"

    @property
    def checked_items_text(self) -> str:
        """Return what was checked, and what was not."""
        text = f"checked: {', '.join(self.checked)}"
        if not self.unchecked:
            return text
        why = "could not be reached" if self.is_live else "--live asks them"
        return f"{text}; not checked: {', '.join(self.unchecked)} ({why})"


def print_checked_files(console: Console, concluded: Sequence[CheckedFile]) -> None:
    """Print each file's conclusion, and the totals if there are several."""
    lines = [""]
    for one in concluded:
        lines += [f"{one.file}: {one.checked_items_text}"] if one.checked else []
        lines.append(f"{one.file}: {one.conclusion_word} ({one.conclusion_reason})")
    if len(concluded) > 1:
        words = Counter(one.conclusion_word for one in concluded)
        shown = ", ".join(f"{words[word]} {word}" for word in reversed(_WORDS.values()) if words[word])
        lines.append(f"{len(concluded)} files: {shown}")
    console.print("\n".join(lines), markup=False, soft_wrap=True)


def correction_sentences(settings: Settings, book: Rulebook) -> Iterator[str]:
    """Yield what is corrected for each accepted conversion, one sentence per destination."""
    untouched = []
    for conversion in settings.conversions:
        routes = [route for route in book.routes if route.conversion == conversion.id]
        corrected = [(one, [*_amount(one), *_undoing(one, conversion.undo_when)]) for one in routes]
        shown = [f"{conversion.id} → {one.destination}: {'; '.join(texts)}" for one, texts in corrected if texts]
        yield from shown
        if not shown:
            untouched.append(conversion.id)
    if untouched:
        yield f"{', '.join(untouched)}: nothing (no value.field, no undo_when)"


def _amount(route: ConversionRoute) -> Iterator[str]:
    """Yield what happens to a value that was read from the lead."""
    field = route.field_value
    if field is None:
        return
    if AdjustmentKind.RESTATEMENT not in _kinds(route, route.target.transport):
        yield "a new amount cannot be sent there"
    elif field.restate_above is None:
        yield "no new amount is sent (restate_above: off)"
    else:
        yield f"a new amount is sent once it differs by more than {field.restate_above * 100:.0f} % (restate_above)"


def _undoing(route: ConversionRoute, stages: Sequence[str]) -> Iterator[str]:
    """Yield what happens to a conversion whose lead is lost again."""
    if route.undo is None:
        return
    kinds = _kinds(route, route.undo.via or route.target.transport)
    hours = route.undo.after / timedelta(hours=1)
    span = f"{hours:g} h" if hours % 24 else f"{hours / 24:.0f} d"
    when = f"once its lead has been in {' or '.join(stages)} for {span}"
    if AdjustmentKind.RETRACTION in kinds:
        yield f"it is taken back {when}{f', by {route.undo.via}' if route.undo.via else ''}"
    elif AdjustmentKind.RESTATEMENT in kinds:
        yield f"its value becomes 0 {when}, and its count stays"
    else:
        yield "it cannot be taken back there (undo_when)"


def _kinds(route: ConversionRoute, transport: str) -> Collection[AdjustmentKind]:
    correction = route.limits.corrects.get(transport)
    return correction.kinds if correction else ()
