"""What the platforms say beside our own numbers, and where the two should agree and do not."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

from sqlmodel import Session

from connectors.language import _, format_count, format_day
from connectors.records import CountedRows, PlatformStatement, StatementSubject
from jobs.ledger.statements import OwnCount, Stated, count_rows, statements_since
from jobs.reporting.page.facts import PlatformFigure

SHOWN_FOR = timedelta(days=7)
"""How long a reading is shown: an older one says nothing of what was sent lately."""
_A_DAY_AT_MOST = timedelta(hours=25)


def platform_figures(session: Session, account: str, now: datetime, zone: ZoneInfo) -> tuple[PlatformFigure, ...]:
    """Return what the platforms said when they were last asked, by destination, beside what the ledger holds."""
    return tuple(_figures(session, account, now, zone))


def _figures(session: Session, account: str, now: datetime, zone: ZoneInfo) -> Iterator[PlatformFigure]:
    for stated in statements_since(session, account, now - SHOWN_FOR):
        counts = stated.statement.counts
        own = None if counts is None else count_rows(session, account, stated.destination, counts)
        yield figure(stated, own, zone)


def figure(stated: Stated, own: OwnCount | None, zone: ZoneInfo) -> PlatformFigure:
    """Return a statement as a figure; `own` is our count of what it counts, None if it counts nothing of ours."""
    said = stated.statement
    name = _name(said, zone)
    if own is None or said.counts is None or not isinstance(said.value, int):
        return PlatformFigure(stated.destination, name, _(str(said.value)), None, differs=False, read_at=stated.read_at)
    return PlatformFigure(
        stated.destination,
        name,
        theirs=_count(said.value, said.counts.undecided),
        ours=_count(own.accepted, own.undecided),
        differs=differ(said.value, own, said.counts),
        read_at=stated.read_at,
    )


def differ(theirs: int, own: OwnCount, counts: CountedRows) -> bool:
    """Return whether the two cannot become equal, whatever becomes of what is not decided yet.

    Where others send to the same place, the platform may well count more, but never less.
    """
    if theirs + counts.undecided < own.accepted:
        return True
    return not counts.is_shared and own.accepted + own.undecided < theirs


def _count(decided: int, undecided: int) -> str:
    if not undecided:
        return format_count(decided)
    return _("{decided} and {undecided} undecided", decided=format_count(decided), undecided=format_count(undecided))


def _name(said: PlatformStatement, zone: ZoneInfo) -> str:
    if said.counts is not None:
        return _counted_name(said, said.counts, zone)
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
            return _("events with the match key {key}", key=said.name) if said.name else _("match keys")
        case _:
            assert_never(said.subject)


def _counted_name(said: PlatformStatement, counts: CountedRows, zone: ZoneInfo) -> str:
    action = said.name if said.name in ("", counts.action) else f"{said.name} ({counts.action})"
    action = action or counts.action
    first, last = _days(counts, zone)
    if first == last:
        return _("{action}: sent on {day} and counted", action=action, day=format_day(first))
    return _(
        "{action}: sent from {first} to {last} and counted",
        action=action,
        first=format_day(first),
        last=format_day(last),
    )


def _days(counts: CountedRows, zone: ZoneInfo) -> tuple[date, date]:
    """Return the first and last day; a platform's day, which may begin elsewhere, is the one that has most of it."""
    length = counts.until - counts.since
    if length <= _A_DAY_AT_MOST:
        day = (counts.since + length / 2).astimezone(zone).date()
        return day, day
    return counts.since.astimezone(zone).date(), (counts.until - timedelta(microseconds=1)).astimezone(zone).date()
