"""What a file must be to be read: recent, later than the last one, and no part of it; else Misconfigured is raised."""

from datetime import datetime, timedelta

from connectors.errors import Misconfigured
from connectors.oplead.files.table import StampedFile
from connectors.records import Export
from connectors.text import format_number, plural

AHEAD = timedelta(minutes=5)
"""How far a file's time may be ahead of our clock: another machine may have written it."""
_FEWER, _FEWEST = 0.2, 5
"""A file that lacks so large a share of the last one's rows, and at least so many, is taken for a part of one."""
_ACCEPT = "if that is right, run `oplead-sync run --accept-file` once"


def expect_recent(file: StampedFile, max_age: timedelta, now: datetime) -> None:
    """Check that a file was written lately, and not after now."""
    if file.modified_at > now + AHEAD:
        raise Misconfigured(
            f"{file.path}: it was written at {file.modified_at:%Y-%m-%d %H:%M} UTC, and now it is "
            f"{now:%Y-%m-%d %H:%M} UTC; see that the clocks of both machines are right, and export it again"
        )
    if now - file.modified_at > max_age:
        raise Misconfigured(
            f"{file.path}: this is the newest file, and written at {file.modified_at:%Y-%m-%d %H:%M} UTC, longer "
            "ago than source.max_age; put a new export there, or raise that if exports come less often"
        )


def check_export_not_older(file: StampedFile, export: Export, last: Export | None, read_until: datetime | None) -> None:
    """Check that a file is no older than what was read before: leads would seem to go back to former statuses."""
    times = (read_until, None if last is None else last.exported_at)
    before = max((at for at in times if at is not None), default=None)
    if before is not None and export.exported_at < before:
        raise Misconfigured(
            f"{file.path}: it was written at {export.exported_at:%Y-%m-%d %H:%M} UTC, and leads were read as of "
            f"{before:%Y-%m-%d %H:%M} UTC already; export them again"
        )


def check_export_not_smaller(file: StampedFile, export: Export, last: Export) -> None:
    """Check that a file has the columns of the last one, about as many rows, and leads as new."""
    lost = [title for title in last.titles if title and title not in export.titles]
    if lost:
        names = ", ".join(f'"{title}"' for title in lost)
        raise Misconfigured(
            f"{file.path}: it lacks {names}, which the last file had; export {'it' if len(lost) == 1 else 'them'} too; "
            f"{_ACCEPT}"
        )
    fewer = last.rows - export.rows
    if fewer >= _FEWEST and fewer > _FEWER * last.rows:
        raise Misconfigured(
            f"{file.path}: it has {plural(export.rows, 'lead')} and the last file had {format_number(last.rows)}, so "
            f"it may be a part only; export all of them; {_ACCEPT}"
        )
    if last.ends_line and not export.ends_line:
        raise Misconfigured(
            f"{file.path}: its last line does not end as the last file's did, so it may be cut; export it again; "
            f"{_ACCEPT}"
        )
    if last.newest is not None and (export.newest is None or export.newest < last.newest):
        raise Misconfigured(
            f"{file.path}: its newest lead is older than the last file's, so it is an older export that was copied "
            f"again; export the leads again; {_ACCEPT}"
        )
