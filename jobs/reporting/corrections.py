"""Which corrections are on, conversion by conversion, for whoever wants one off or misses one."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from connectors.records import AdjustmentKind
from jobs.rulebook import Rulebook
from jobs.rules.facts import Route
from jobs.settings import Settings

_DAY = timedelta(days=1)


def corrections_on(settings: Settings, book: Rulebook) -> Iterator[str]:
    """What is corrected of each conversion once a platform has accepted it, a sentence a destination."""
    untouched = []
    for conversion in settings.conversions:
        routes = [route for route in book.routes if route.conversion == conversion.id]
        told = [
            (route, said) for route in routes if (said := [*_amount(route), *_undoing(route, conversion.undo_when)])
        ]
        yield from (f"{conversion.id} → {route.destination}: {'; '.join(said)}" for route, said in told)
        if not told:
            untouched.append(conversion.id)
    if untouched:
        yield f"{', '.join(untouched)}: nothing (no value.field, no undo_when)"


def _amount(route: Route) -> Iterator[str]:
    """What becomes of a value that was read from the lead."""
    field = route.field_value
    if field is None:
        return
    if not _can(route, route.target.transport, AdjustmentKind.RESTATEMENT):
        yield "a new amount cannot be sent there"
    elif field.restate_above is None:
        yield "no new amount is sent (restate_above: off)"
    else:
        yield f"a new amount is sent once it differs by more than {field.restate_above * 100:.0f} % (restate_above)"


def _undoing(route: Route, stages: Sequence[str]) -> Iterator[str]:
    """What becomes of a conversion whose lead is lost again."""
    if route.undo is None:
        return
    transport = route.undo.via or route.target.transport
    when = f"once its lead has been in {' or '.join(stages)} for {_span(route.undo.after)}"
    if _can(route, transport, AdjustmentKind.RETRACTION):
        yield f"it is taken back {when}{f', by {transport}' if route.undo.via else ''}"
    elif _can(route, transport, AdjustmentKind.RESTATEMENT):
        yield f"its value becomes 0 {when}, and its count stays"
    else:
        yield "it cannot be taken back there (undo_when)"


def _can(route: Route, transport: str, kind: AdjustmentKind) -> bool:
    correction = route.limits.corrects.get(transport)
    return correction is not None and kind in correction.kinds


def _span(span: timedelta) -> str:
    """As the settings write it: 3 d, 12 h."""
    days, rest = divmod(span, _DAY)
    return f"{span / timedelta(hours=1):g} h" if rest else f"{days} d"
