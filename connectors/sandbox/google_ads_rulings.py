"""Verdicts planted by hand on rows of the Google Ads API that no check could know to be bad."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from connectors.sandbox.google_ads_errors import Problem

SHAPE = (
    'a ruling is {"when": "submit" or "adjust", "family": a field of ErrorCode (default conversion_upload_error, '
    "or conversion_adjustment_upload_error), "
    '"reason": a name or names in it, or "number": one it does not know yet, "index": false for an error '
    "that names no row}, or a list of such"
)

_FAMILIES = {"submit": "conversion_upload_error", "adjust": "conversion_adjustment_upload_error"}
_LISTS = {"submit": "conversions", "adjust": "conversion_adjustments"}


@dataclass(frozen=True, slots=True)
class Ruling:
    """One planted error, on uploads (submit) or adjustments (adjust)."""

    when: str
    family: str
    code: str | int
    indexed: bool

    def problem(self, row: int) -> Problem:
        """The error as the row's answer tells it."""
        place = ((_LISTS[self.when], row),) if self.indexed else ()
        return Problem(self.family, self.code, "Planted by hand.", place)


def read_rulings(document: object) -> tuple[Ruling, ...]:
    """The rulings on one row from their JSON, of the shape that `SHAPE` tells; ValueError where it is another."""
    documents = document if isinstance(document, list) else [document]
    rulings = tuple(ruling for each in documents for ruling in _read(each))
    if not rulings:
        raise ValueError(SHAPE)
    return rulings


def planted(rulings: Mapping[str, tuple[Ruling, ...]], names: Iterable[str], when: str) -> tuple[Ruling, ...]:
    """What was planted for a row of this kind by the first of its names: order id, then click ids."""
    meant = (tuple(each for each in rulings.get(name, ()) if each.when == when) for name in names)
    return next((each for each in meant if each), ())


def _read(document: object) -> Iterator[Ruling]:
    from connectors.sandbox.google_ads_wire import error_number  # noqa: PLC0415 - the vendor's messages load slowly

    match document:
        case dict() if not document.keys() - {"when", "family", "reason", "number", "index"}:
            when, indexed = document.get("when", "submit"), document.get("index", True)
        case _:
            raise ValueError(SHAPE)
    codes = _codes(document)
    if when not in _FAMILIES or not isinstance(indexed, bool):
        raise ValueError(SHAPE)
    family = document.get("family", _FAMILIES[when])
    if not isinstance(family, str):
        raise ValueError(SHAPE)  # noqa: TRY004 - one answer for every bad body
    for code in codes:
        error_number(family, code)
        yield Ruling(when, family, code, indexed)


def _codes(document: Mapping[object, object]) -> list[str | int]:
    match document.get("reason"), document.get("number"):
        case str(reason), None:
            return [reason]
        case [*reasons], None if all(isinstance(each, str) for each in reasons):
            return [str(each) for each in reasons]
        case None, int(number) if number > 0 and number is not True:
            return [number]
    raise ValueError(SHAPE)
