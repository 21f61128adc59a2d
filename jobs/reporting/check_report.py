"""What a check concludes, and what will be corrected."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from connectors.language import N_, _, _n, format_list
from connectors.records import AdjustmentKind
from connectors.stage_words import stage_in_words
from jobs.exit_codes import Exit
from jobs.rules.model import ConversionRoute
from jobs.settings import Settings
from jobs.settings.compile import Rulebook

_WORDS = {
    Exit.DONE: N_("may run"),
    Exit.ATTENTION: N_("needs a human first"),
    Exit.HELD: N_("could not be checked"),
    Exit.CONFIGURATION: N_("must not run"),
    Exit.BUG: N_("could not be checked"),
}
"""The meaning of `check`'s exit codes for a file."""


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """The result of checking one file."""

    file: Path
    exit_code: Exit
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
        return _(_WORDS[self.exit_code])

    @property
    def conclusion_reason(self) -> str:
        """Return the reason for the conclusion."""
        if self.exit_code == Exit.CONFIGURATION:
            return _n("{count} problem, named above", "{count} problems, named above", self.failed)
        if self.exit_code == Exit.HELD:
            return _("the secrets command failed, as said above; check again later")
        if self.exit_code == Exit.BUG:
            return _("a look-up failed for a reason that nobody foresaw; please report it with the lines above")
        if self.exit_code == Exit.ATTENTION:
            return _n(
                "{count} failed: fix what is named above, then check again",
                "{count} failed: fix what is named above, then check again",
                self.failed,
            )
        if self.unconfirmed:  # a wrong account number passes if no platform could confirm it
            return _("nothing failed; nobody could confirm {accounts}", accounts=", ".join(self.unconfirmed))
        return _("nothing failed") if self.is_live else _("no mistakes in the file")

    @property
    def checked_items_text(self) -> str:
        """Return what was checked, and what was not."""
        text = _("looked at: {names}", names=", ".join(self.checked))
        if not self.unchecked:
            return text
        names = ", ".join(self.unchecked)
        if self.is_live:
            return _("{seen}; not looked at: {names} (not readable)", seen=text, names=names)
        return _("{seen}; not looked at: {names} (--live asks them)", seen=text, names=names)


def print_checked_files(console: Console, concluded: Sequence[CheckedFile]) -> None:
    """Print each file's conclusion, and the totals if there are several."""
    lines = [""]
    for one in concluded:
        lines += [_("{name}: {text}", name=one.file, text=one.checked_items_text)] if one.checked else []
        ended = _("{word} ({reason})", word=one.conclusion_word, reason=one.conclusion_reason)
        lines.append(_("{name}: {text}", name=one.file, text=ended))
    if len(concluded) > 1:
        ends = Counter(one.exit_code for one in concluded)
        shown = ", ".join(f"{ends[code]} {_(word)}" for code, word in reversed(_WORDS.items()) if ends[code])
        lines.append(_("{count} files: {conclusions}", count=len(concluded), conclusions=shown))
    console.print("\n".join(lines), markup=False, soft_wrap=not console.is_terminal)


def correction_sentences(settings: Settings, book: Rulebook) -> Iterator[str]:
    """Yield what is corrected for each accepted conversion, one sentence per destination."""
    untouched = []
    for conversion in settings.conversions:
        routes = [route for route in book.routes if route.conversion == conversion.id]
        corrected = [(one, [*_amount(one), *_undoing(one, conversion.undo_when)]) for one in routes]
        shown = [
            _(
                "{conversion} → {destination}: {text}",
                conversion=conversion.id,
                destination=one.destination,
                text=" · ".join(texts),
            )
            for one, texts in corrected
            if texts
        ]
        yield from shown
        if not shown:
            untouched.append(conversion.id)
    if untouched:
        yield _("{conversions}: nothing (no value.field, no undo_when)", conversions=", ".join(untouched))


def _amount(route: ConversionRoute) -> Iterator[str]:
    """Yield what happens to a value that was read from the lead."""
    field = route.field_value
    if field is None:
        return
    if AdjustmentKind.RESTATEMENT not in _kinds(route, route.target.transport):
        yield _("a new amount cannot be sent there")
    elif field.restate_above is None:
        yield _("no new amount is sent (restate_above: off)")
    else:
        share = f"{field.restate_above * 100:.0f}"
        yield _("a new amount is sent once it differs by more than {share} % (restate_above)", share=share)


def _undoing(route: ConversionRoute, stages: Sequence[str]) -> Iterator[str]:
    """Yield what happens to a conversion whose lead is lost again."""
    if route.undo is None:
        return
    kinds = _kinds(route, route.undo.via or route.target.transport)
    hours = route.undo.after / timedelta(hours=1)
    count = f"{hours:g}" if hours % 24 else f"{hours / 24:.0f}"
    span = _("{hours} h", hours=count) if hours % 24 else _("{days} d", days=count)
    stage = format_list([*map(stage_in_words, stages)], either=True)
    if AdjustmentKind.RETRACTION in kinds and route.undo.via:
        taken_back = _("it is taken back once its lead has been in {stage} for {span}, by {via}")
        yield taken_back.format(via=route.undo.via, stage=stage, span=span)
    elif AdjustmentKind.RETRACTION in kinds:
        yield _("it is taken back once its lead has been in {stage} for {span}", stage=stage, span=span)
    elif AdjustmentKind.RESTATEMENT in kinds:
        zeroed = _("its value becomes 0 once its lead has been in {stage} for {span}, and its count stays")
        yield zeroed.format(stage=stage, span=span)
    else:
        yield _("it cannot be taken back there (undo_when)")


def _kinds(route: ConversionRoute, transport: str) -> Collection[AdjustmentKind]:
    correction = route.limits.corrects.get(transport)
    return correction.kinds if correction else ()
