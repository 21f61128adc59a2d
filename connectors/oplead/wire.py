"""JSON as Oplead sends it, with every number kept exact."""

import json
from decimal import Decimal, DecimalException

_FLOAT_DIGITS = 14  # a number this long in exponent form has been through floating point and lost digits


def read_json(content: bytes | str) -> object:
    """The value JSON tells, numbers as Decimal.

    A number in exponent form that is long enough to be an id (`1.2345678901235E+16`, as spreadsheets write
    it) stays text, so that nobody takes it for one.

    Raises:
        ValueError: it is no JSON, or cut short.
    """
    try:
        return json.loads(content, parse_int=_number, parse_float=_number, parse_constant=str)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _number(literal: str) -> Decimal | str:
    try:
        number = Decimal(literal)
    except DecimalException:  # an exponent beyond any number
        return literal
    return literal if "e" in literal.casefold() and number.adjusted() >= _FLOAT_DIGITS else number
