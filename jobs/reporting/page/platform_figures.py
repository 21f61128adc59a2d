"""What the platforms say beside our own numbers, and where the two should agree and do not."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import assert_never
from zoneinfo import ZoneInfo

from sqlmodel import Session

from connectors.language import N_, _, format_day, format_integer
from connectors.records import CountedRowsFilter, PlatformStatement, StatementSubject
from jobs.ledger.outbox.platform_statements import (
    OwnCount,
    RecordedStatement,
    count_own_accepted_rows,
    statements_since,
)
from jobs.reporting.page.facts import PlatformFigure

SHOWN_FOR = timedelta(days=7)
"""How long a reading is shown: an older one says nothing of what was sent lately."""
_MATCH_KEYS = {
    "em": N_("e-mail"),
    "ph": N_("phone"),
    "fn": N_("first name"),
    "ln": N_("last name"),
    "ct": N_("city"),
    "zp": N_("postcode"),
    "country": N_("country"),
}
"""What Meta's short names mean; fbc, fbp and lead_id are called so everywhere."""
_A_DAY_AT_MOST = timedelta(hours=25)


def platform_figures(
    session: Session, account: str, now: datetime, zone: ZoneInfo, names: Mapping[str, str]
) -> tuple[PlatformFigure, ...]:
    """Return what the platforms said when they were last asked, by destination, beside what the ledger holds.

    `names` are the names of the conversions, by the action or event that they are there.
    """
    return tuple(_figures(session, account, now, zone, names))


def _figures(
    session: Session, account: str, now: datetime, zone: ZoneInfo, names: Mapping[str, str]
) -> Iterator[PlatformFigure]:
    for stated in statements_since(session, account, now - SHOWN_FOR):
        counts = stated.statement.counts
        own = None if counts is None else count_own_accepted_rows(session, account, stated.destination, counts)
        yield figure(stated, own, zone, names)


def figure(
    stated: RecordedStatement, own: OwnCount | None, zone: ZoneInfo, names: Mapping[str, str] = MappingProxyType({})
) -> PlatformFigure:
    """Return a statement as a figure; `own` is our count of what it counts, None if it counts nothing of ours."""
    said = stated.statement
    name = _name(said, zone, names)
    if own is None or said.counts is None or not isinstance(said.value, int):
        return PlatformFigure(stated.destination, name, _(str(said.value)), None, differs=False, read_at=stated.read_at)
    return PlatformFigure(
        stated.destination,
        name,
        theirs=_count(said.value, said.counts.undecided),
        ours=_count(own.accepted, own.undecided),
        differs=counts_cannot_agree(said.value, own, said.counts),
        read_at=stated.read_at,
    )


def counts_cannot_agree(theirs: int, own: OwnCount, counts: CountedRowsFilter) -> bool:
    """Return whether the two cannot become equal, whatever becomes of what is not decided yet.

    Where others send to the same place, the platform may well count more, but never less.
    """
    if theirs + counts.undecided < own.accepted:
        return True
    return not counts.is_shared and own.accepted + own.undecided < theirs


def _count(decided: int, undecided: int) -> str:
    if not undecided:
        return format_integer(decided)
    return _(
        "{decided} and {undecided} undecided", decided=format_integer(decided), undecided=format_integer(undecided)
    )


def _name(said: PlatformStatement, zone: ZoneInfo, names: Mapping[str, str]) -> str:
    if said.counts is not None:
        return _counted_name(said, said.counts, zone, names)
    match said.subject:
        case StatementSubject.UPLOAD_SUMMARY:
            if said.name == "status":
                return _("state of the uploads")
            return _("uploads that failed with {code}", code=said.name) if said.name else _("upload summary")
        case StatementSubject.REQUEST_WARNINGS:
            return _("conversions with the warning {code}", code=said.name) if said.name else _("warnings")
        case StatementSubject.EVENT_COUNT:
            return _("what was received")
        case StatementSubject.EVENT_MATCH_QUALITY:
            return _("match quality of {event}, out of 10", event=said.name) if said.name else _("match quality")
        case StatementSubject.MATCH_KEYS:
            return _("events with the match key {key}", key=_match_key(said.name)) if said.name else _("match keys")
        case _:
            assert_never(said.subject)


def _counted_name(said: PlatformStatement, counts: CountedRowsFilter, zone: ZoneInfo, names: Mapping[str, str]) -> str:
    named = names.get(counts.action, "") if said.name in ("", counts.action) else said.name
    action = f"{named} ({counts.action})" if named else counts.action
    first, last = _days(counts, zone)
    if first == last:
        return _("{action}: sent on {day} and counted", action=action, day=format_day(first))
    return _(
        "{action}: sent from {first} to {last} and counted",
        action=action,
        first=format_day(first),
        last=format_day(last),
    )


def _days(counts: CountedRowsFilter, zone: ZoneInfo) -> tuple[date, date]:
    """Return the first and last day; a platform's day, which may begin elsewhere, is the one that has most of it."""
    length = counts.until - counts.since
    if length <= _A_DAY_AT_MOST:
        day = (counts.since + length / 2).astimezone(zone).date()
        return day, day
    return counts.since.astimezone(zone).date(), (counts.until - timedelta(microseconds=1)).astimezone(zone).date()


def _match_key(key: str) -> str:
    return _(_MATCH_KEYS[key]) if key in _MATCH_KEYS else key
