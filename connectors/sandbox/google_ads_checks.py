"""What the Google Ads API checks of an upload and of its rows before it looks anything up."""

import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from connectors.sandbox import google_ads_rules as rules
from connectors.sandbox.google_ads_errors import Problem
from connectors.sandbox.google_ads_wire import HASHED, Conversion, Upload

MAX_CONVERSIONS = 2_000
MAX_IDENTIFIERS = 5
MAX_ORDER_ID = 64
MAX_JOB_ID = 2**31 - 1
AHEAD = timedelta(minutes=5)
"""How far ahead of the platform's clock a conversion may lie."""

_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d", re.ASCII)
_ACTION = re.compile(r"customers/\d+/conversionActions/(\d+)", re.ASCII)
_HASH = re.compile(r"[0-9a-fA-F]{64}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_PERSONAL = re.compile(r"[^@\s]+@[^@\s]+\.\w+|(\+\d{1,3}|0)[\d .-]{8,13}")

Fault = tuple[rules.Answered, str]
"""A broken rule and the row's field that breaks it; the field is empty for the row itself."""


def upload_fault(upload: Upload) -> tuple[rules.Answered, str] | None:
    """What refuses the upload as a whole: the rule and the field."""
    if not upload.partial_failure:
        return rules.PARTIAL_FAILURE, "partial_failure"
    if not upload.conversions:
        return rules.SOME_CONVERSIONS, "conversions"
    if len(upload.conversions) > MAX_CONVERSIONS:
        return rules.MAX_CONVERSIONS, "conversions"
    if upload.job_id is not None and not 1 <= upload.job_id <= MAX_JOB_ID:
        return rules.JOB_ID, "job_id"
    return None


def row_problems(row: Conversion, index: int, now: datetime) -> list[Problem]:
    """Everything that is wrong with a row by itself."""
    return [row_problem(rule, index, field) for rule, field in _faults(row, now)] + [
        Problem.of(rule, ("conversions", index), ("user_identifiers", position))
        for rule, position in _identifier_faults(row.identifiers)
    ]


def row_problem(rule: rules.Answered, index: int, field: str) -> Problem:
    """The breach of a rule by a field of a row, or by the row itself where the field is empty."""
    return Problem.of(rule, ("conversions", index), *([field] if field else []))


def action_id(name: str) -> str:
    """The number in an action's resource name; empty where it is none."""
    found = _ACTION.fullmatch(name)
    return found[1] if found else ""


def happened(row: Conversion) -> datetime | None:
    """When the conversion occurred, aware; None where its text is no such time."""
    return instant(row.time)


def instant(text: str) -> datetime | None:
    """The time that the text tells in the API's form, aware; None where it is none, or not on the calendar."""
    if not is_time(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def is_time(text: str) -> bool:
    """Whether the text has the form of a time: seconds, a space, and its offset."""
    return _TIME.fullmatch(text) is not None


def is_currency(text: str) -> bool:
    """Whether the text has the form of a currency."""
    return _CURRENCY.fullmatch(text) is not None


def is_personal(text: str) -> bool:
    """Whether the text is an e-mail address or a phone number."""
    return _PERSONAL.fullmatch(text) is not None


def _faults(row: Conversion, now: datetime) -> Iterator[Fault]:
    yield from _click_faults(row)
    if not row.action:
        yield rules.ACTION_SENT, "conversion_action"
    elif not action_id(row.action):
        yield rules.ACTION_NAME, "conversion_action"
    yield from _time_faults(row, now)
    yield from _money_faults(row)
    yield from _order_id_faults(row.order_id)
    yield from _unwanted(row)


def _money_faults(row: Conversion) -> Iterator[Fault]:
    if row.value is not None and not (math.isfinite(row.value) and row.value >= 0):
        yield rules.VALUE_SHAPE, "conversion_value"
    if row.currency and not is_currency(row.currency):
        yield rules.CURRENCY, "currency_code"


def _order_id_faults(order_id: str) -> Iterator[Fault]:
    if len(order_id) > MAX_ORDER_ID:
        yield rules.ORDER_ID_LENGTH, "order_id"
    if is_personal(order_id):
        yield rules.ORDER_ID_PERSONAL, "order_id"


def _unwanted(row: Conversion) -> Iterator[Fault]:
    for name in row.foreign_enums:
        yield rules.KNOWN_ENUMS, name
    for name in row.allowlisted:
        yield rules.NO_ADDRESS, name
    if row.attributed:
        yield rules.NO_ATTRIBUTION, "external_attribution_data"
    if row.variables:
        yield rules.NO_VARIABLES, "custom_variables"


def _click_faults(row: Conversion) -> Iterator[Fault]:
    braids = row.clicks.keys() & {"gbraid", "wbraid"}
    if len(braids) > 1:
        yield rules.ONE_BRAID, "gbraid"
    if "gclid" in row.clicks:
        for kind in sorted(braids):
            yield rules.GCLID_ALONE, kind
    if braids and row.identifiers:
        yield rules.BRAID_WITHOUT_CONTACT, "user_identifiers"
    if not row.clicks and not row.identifiers:
        yield rules.SOME_IDENTIFIER, "gclid"
    if len(row.identifiers) > MAX_IDENTIFIERS:
        yield rules.MAX_IDENTIFIERS, "user_identifiers"


def _time_faults(row: Conversion, now: datetime) -> Iterator[Fault]:
    at = happened(row)
    if not row.time:
        yield rules.TIME_SENT, "conversion_date_time"
    elif not is_time(row.time):
        yield rules.TIME_FORMAT, "conversion_date_time"
    elif at is None:
        yield rules.TIME_EXISTS, "conversion_date_time"
    elif at > now + AHEAD:
        yield rules.NOT_IN_FUTURE, "conversion_date_time"


def _identifier_faults(identifiers: Sequence[tuple[str, str]]) -> Iterator[tuple[rules.Answered, int]]:
    for position, (kind, value) in enumerate(identifiers):
        if kind not in HASHED:
            yield rules.IDENTIFIER_KIND, position
        elif not _HASH.fullmatch(value):
            yield rules.IDENTIFIER_HASH, position
