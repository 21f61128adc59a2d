"""Click conversions, checked and taken in, with the rows they are looked up by."""

import math
import re
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from connectors.sandbox.book import GoogleAcceptance
from connectors.sandbox.google.accounts import (
    CONTACT_LIFE,
    GoogleAccount,
    GoogleClick,
    GoogleConversionAction,
    GooglePlatform,
    Timing,
    timing,
)
from connectors.sandbox.google.ads_api import rules
from connectors.sandbox.google.ads_api.memory import AdsApiRuling, planted
from connectors.sandbox.google.ads_api.refusals import RowError
from connectors.sandbox.google.ads_api.wire import HASHED, ConversionRow, Upload

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

Fault = tuple[rules.AdsApiRule, str]
"""A broken rule and the row's field that breaks it; the field is empty for the row itself."""


def upload_fault(upload: Upload) -> tuple[rules.AdsApiRule, str] | None:
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


def row_problems(row: ConversionRow, index: int, now: datetime) -> list[RowError]:
    """Everything that is wrong with a row by itself."""
    return [row_problem(rule, index, field) for rule, field in _faults(row, now)] + [
        RowError.of(rule, ("conversions", index), ("user_identifiers", position))
        for rule, position in _identifier_faults(row.identifiers)
    ]


def row_problem(rule: rules.AdsApiRule, index: int, field: str) -> RowError:
    """The breach of a rule by a field of a row, or by the row itself where the field is empty."""
    return RowError.of(rule, ("conversions", index), *([field] if field else []))


def action_id(name: str) -> str:
    """The number in an action's resource name; empty where it is none."""
    found = _ACTION.fullmatch(name)
    return found[1] if found else ""


def happened(row: ConversionRow) -> datetime | None:
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


def _faults(row: ConversionRow, now: datetime) -> Iterator[Fault]:
    yield from _click_faults(row)
    if not row.action:
        yield rules.ACTION_SENT, "conversion_action"
    elif not action_id(row.action):
        yield rules.ACTION_NAME, "conversion_action"
    yield from _time_faults(row, now)
    yield from _money_faults(row)
    yield from _order_id_faults(row.order_id)
    yield from _unwanted(row)


def _money_faults(row: ConversionRow) -> Iterator[Fault]:
    if row.value is not None and not (math.isfinite(row.value) and row.value >= 0):
        yield rules.VALUE_SHAPE, "conversion_value"
    if row.currency and not is_currency(row.currency):
        yield rules.CURRENCY, "currency_code"


def _order_id_faults(order_id: str) -> Iterator[Fault]:
    if len(order_id) > MAX_ORDER_ID:
        yield rules.ORDER_ID_LENGTH, "order_id"
    if is_personal(order_id):
        yield rules.ORDER_ID_PERSONAL, "order_id"


def _unwanted(row: ConversionRow) -> Iterator[Fault]:
    for name in row.foreign_enums:
        yield rules.KNOWN_ENUMS, name
    for name in row.allowlisted:
        yield rules.NO_ADDRESS, name
    if row.attributed:
        yield rules.NO_ATTRIBUTION, "external_attribution_data"
    if row.variables:
        yield rules.NO_VARIABLES, "custom_variables"


def _click_faults(row: ConversionRow) -> Iterator[Fault]:
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


def _time_faults(row: ConversionRow, now: datetime) -> Iterator[Fault]:
    at = happened(row)
    if not row.time:
        yield rules.TIME_SENT, "conversion_date_time"
    elif not is_time(row.time):
        yield rules.TIME_FORMAT, "conversion_date_time"
    elif at is None:
        yield rules.TIME_EXISTS, "conversion_date_time"
    elif at > now + AHEAD:
        yield rules.NOT_IN_FUTURE, "conversion_date_time"


def _identifier_faults(identifiers: Sequence[tuple[str, str]]) -> Iterator[tuple[rules.AdsApiRule, int]]:
    for position, (kind, value) in enumerate(identifiers):
        if kind not in HASHED:
            yield rules.IDENTIFIER_KIND, position
        elif not _HASH.fullmatch(value):
            yield rules.IDENTIFIER_HASH, position


ACTION_SETTLES = timedelta(hours=6)
"""How long an action takes nothing after its creation."""

_DECODABLE = re.compile(r"[A-Za-z0-9_-]+")
_READABLE = {
    "gclid": rules.GCLID_READABLE,
    "gbraid": rules.GBRAID_READABLE,
    "wbraid": rules.WBRAID_READABLE,
}
_UNTIMELY: Mapping[Timing, rules.AdsApiRule] = {
    Timing.BEFORE_CLICK: rules.AFTER_CLICK,
    Timing.CLICK_TOO_FRESH: rules.CLICK_SETTLED,
    Timing.CLICK_TOO_OLD: rules.CLICK_WINDOW,
}
_ENHANCED = {
    "off": rules.ENHANCED_ON,
    "terms_not_accepted": rules.TERMS_ACCEPTED,
    "prohibited": rules.POLICY,
}


@dataclass(frozen=True, slots=True)
class UploadContext:
    """The circumstances that a row is judged in."""

    customer: str
    """Who uploads: the owner of the action, or its manager."""
    at: datetime
    request: str
    enhanced: str
    """The switch ads_api_enhanced."""
    click_dedup: str
    """The switch ads_api_click_dedup."""


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """The action that a row goes to."""

    owner: str
    account: GoogleAccount
    id: str
    action: GoogleConversionAction


def target(name: str, customer: str, accounts: Mapping[str, GoogleAccount]) -> UploadTarget | None:
    """The enabled action of this resource name, where the customer owns it or manages its owner."""
    number = action_id(name)
    for owner, account in accounts.items():
        action = account.actions.get(number)
        if action and action.status == "ENABLED" and (owner == customer or customer in account.managers):
            return UploadTarget(owner, account, number, action)
    return None


def acceptance(row: ConversionRow, index: int, aim: UploadTarget, arrival: UploadContext) -> GoogleAcceptance:
    """The row as the book would count it; a row without order id or click is like no other."""
    kind, click = next(iter(row.clicks.items()), ("contact", ""))
    at = happened(row)
    time = at.astimezone(UTC).isoformat() if at else ""
    return GoogleAcceptance(
        customer=aim.owner,
        action=aim.id,
        transaction_id=row.order_id,
        event_time=time,
        value=row.value,
        currency=row.currency or aim.account.currency,
        click_kind=kind,
        matched=True,
        digest=row.digest,
        request=arrival.request,
        at=arrival.at.isoformat(),
        api="google_ads",
        key="" if row.order_id else f"{click} {time}" if click else f"{arrival.request} {index}",
        click=click,
        known_by=(*row.clicks.values(), *(value for _, value in row.identifiers)),
    )


def broken_rule(
    row: ConversionRow, event: GoogleAcceptance, aim: UploadTarget, arrival: UploadContext, google: GooglePlatform
) -> Fault | None:
    """The first rule that the row breaks once everything is known, with the field that breaks it."""
    return (
        _by_action(row, aim, arrival)
        or _by_book(row, event, arrival, google)
        or _by_click(row, aim, arrival, google)
        or _by_contact(row, aim, arrival, google)
    )


def _by_action(row: ConversionRow, aim: UploadTarget, arrival: UploadContext) -> Fault | None:
    if aim.action.kind != "UPLOAD_CLICKS":
        return rules.ACTION_TYPE, "conversion_action"
    created = aim.action.created_at
    if created and arrival.at - created < ACTION_SETTLES:
        return rules.ACTION_AGE, "conversion_action"
    if aim.action.one_per_click and "gclid" not in row.clicks and row.clicks:
        return rules.EVERY_WITH_BRAID, next(iter(row.clicks))
    setting = arrival.enhanced if aim.account.enhanced_conversions else "off"
    if row.identifiers and setting in _ENHANCED:
        return _ENHANCED[setting], "user_identifiers"
    return None


def _by_book(
    row: ConversionRow, event: GoogleAcceptance, arrival: UploadContext, google: GooglePlatform
) -> Fault | None:
    if row.order_id and google.book.find(event, across=google.across_apis):
        return rules.ORDER_ID_NEW, "order_id"
    if not row.order_id or arrival.click_dedup == "always":
        return (rules.CLICK_NEW, "conversion_date_time") if google.book.holds_moment(event) else None
    return None


def _by_click(row: ConversionRow, aim: UploadTarget, arrival: UploadContext, google: GooglePlatform) -> Fault | None:
    for kind, value in row.clicks.items():
        click = google.clicks.get(value)
        if not _DECODABLE.fullmatch(value):
            return _READABLE[kind], kind
        if click is None:
            return rules.CLICK_KNOWN, kind
        if click.customer not in google.accounts:
            return rules.CLICK_REACHED, kind
        if click.customer != aim.owner:
            return rules.CLICK_OF_ACCOUNT, kind
        return _by_time(row, click, aim, arrival)
    return None


def _by_contact(row: ConversionRow, aim: UploadTarget, arrival: UploadContext, google: GooglePlatform) -> Fault | None:
    if row.clicks:
        return None
    known = (google.clicks.get(value.lower()) for _, value in row.identifiers)
    click = next((each for each in known if each and each.customer == aim.owner), None)
    if click is None:
        return rules.CONTACT_KNOWN, "user_identifiers"
    if arrival.at - click.clicked_at > CONTACT_LIFE:
        return rules.CONTACT_WINDOW, "user_identifiers"
    return _by_time(row, click, aim, arrival)


def _by_time(row: ConversionRow, click: GoogleClick, aim: UploadTarget, arrival: UploadContext) -> Fault | None:
    at = happened(row)
    standing = timing(click, at, arrival.at, aim.action.click_window_days) if at else Timing.RIGHT
    return (_UNTIMELY[standing], "conversion_date_time") if standing in _UNTIMELY else None


@dataclass(frozen=True, slots=True)
class UploadVerdict:
    """What became of each row: its errors, or the event to be counted."""

    problems: Mapping[int, Sequence[RowError]]
    accepted: Sequence[GoogleAcceptance]


def judge(
    upload: Upload,
    arrival: UploadContext,
    google: GooglePlatform,
    rulings: Mapping[str, tuple[AdsApiRuling, ...]],
    duplicates: str,
) -> UploadVerdict:
    """Judge every row, and change nothing.

    An error that names no row (planted only) is about the whole upload: then every row fails with it.

    Args:
        upload: what was sent.
        arrival: by whom, when, and under which switches.
        google: what is known.
        rulings: planted errors, by order id or click id.
        duplicates: the switch ads_api_duplicates.
    """
    repeated = _repeated(upload.conversions, arrival.click_dedup, duplicates)
    problems: dict[int, Sequence[RowError]] = {}
    accepted: list[GoogleAcceptance] = []
    for index, row in enumerate(upload.conversions):
        found = planted(rulings, (row.order_id, *row.clicks.values()), "submit")
        problems[index] = [each.problem(index) for each in found] or row_problems(row, index, arrival.at)
        if not problems[index]:
            verdict = repeated.get(index) or _looked_up(row, index, arrival, google)
            if isinstance(verdict, GoogleAcceptance):
                accepted.append(verdict)
            else:
                problems[index] = [row_problem(verdict[0], index, verdict[1])]
    unplaced = [each for row in problems.values() for each in row if not each.place]
    if unplaced:
        return UploadVerdict({index: own or unplaced for index, own in problems.items()}, ())
    return UploadVerdict({index: own for index, own in problems.items() if own}, accepted)


def _looked_up(
    row: ConversionRow, index: int, arrival: UploadContext, google: GooglePlatform
) -> GoogleAcceptance | Fault:
    aim = target(row.action, arrival.customer, google.accounts)
    if aim is None:
        return rules.ACTION_KNOWN, "conversion_action"
    event = acceptance(row, index, aim, arrival)
    return broken_rule(row, event, aim, arrival, google) or event


def _repeated(rows: Sequence[ConversionRow], click_dedup: str, duplicates: str) -> dict[int, Fault]:
    """Rows that repeat others of their upload, or are repeated where all such are refused."""
    keys = [list(_keys(row, click_dedup)) for row in rows]
    times = Counter(key for each in keys for key, _ in each)
    seen: set[Hashable] = set()
    found: dict[int, Fault] = {}
    for index, each in enumerate(keys):
        for key, fault in each:
            if times[key] > 1 and (duplicates == "all" or key in seen):
                found.setdefault(index, fault)
            seen.add(key)
    return found


def _keys(row: ConversionRow, click_dedup: str) -> Iterator[tuple[Hashable, Fault]]:
    action = action_id(row.action)
    if row.order_id:
        yield (action, row.order_id), (rules.ORDER_ID_ONCE, "order_id")
    if row.clicks and (click_dedup == "always" or not row.order_id):
        yield (action, *row.clicks.values(), row.time), (rules.CLICK_ONCE, "conversion_date_time")
