"""JSON as Oplead sends it, with every number kept exact."""

import json
import re
from decimal import Decimal, DecimalException

_LONGEST_NUMBER = 100  # characters; one with more is nobody's amount or id, and costs more than it tells
_MOST_VALUES = 2_000_000  # a page of 1,000 leads with 500 fields each has a quarter of it
_FLOAT_DIGITS = 14  # a number this long in exponent form has been through floating point and lost digits
_ESCAPE = re.compile(
    r"\\u[Dd][89ABab][0-9A-Fa-f]{2}\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}"  # both halves of a character
    r"|(?P<half>\\u[Dd][89A-Fa-f][0-9A-Fa-f]{2})"
    r"|\\.",  # any other, its second character with it: a backslash may itself be escaped
)
_HALF = re.compile(r"[\ud800-\udfff]")


def read_json(content: bytes | str) -> object:
    """The value JSON tells, numbers as Decimal.

    A number in exponent form that is long enough to be an id (`1.2345678901235E+16`, as spreadsheets write
    it) stays text, so that nobody takes it for one. Half a character (an emoji cut in two) becomes U+FFFD:
    it can be neither hashed nor stored.

    Raises:
        ValueError: it is no JSON, cut short, or without end.
    """
    if _values(content) > _MOST_VALUES:
        raise ValueError("more values than any page of leads has")
    try:
        return json.loads(_whole(content), parse_int=_number, parse_float=_number, parse_constant=str)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _values(content: bytes | str) -> int:
    """How many values a text holds at most, counted before any is made: each takes far more memory than its text."""
    if isinstance(content, str):
        return sum(map(content.count, ",[{"))
    return sum(map(content.count, (b",", b"[", b"{")))


def _whole(content: bytes | str) -> str:
    """The text without surrogates that have lost their other half, escaped or not."""
    text = content if isinstance(content, str) else content.decode(json.detect_encoding(content), "surrogatepass")
    text = _HALF.sub("\ufffd", text)
    return _ESCAPE.sub(lambda one: "\\ufffd" if one["half"] else one[0], text)


def _number(literal: str) -> Decimal | str:
    if len(literal) > _LONGEST_NUMBER:
        return literal
    try:
        number = Decimal(literal)
    except DecimalException:  # an exponent beyond any number
        return literal
    return literal if "e" in literal.casefold() and number.adjusted() >= _FLOAT_DIGITS else number
