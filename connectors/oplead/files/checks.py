"""What a file must be to be read: recent, later than the last one, and no part of it; else Misconfigured is raised."""

from datetime import datetime, timedelta

from connectors.errors import Misconfigured
from connectors.language import N_, _, _n, format_integer
from connectors.oplead.files.table import StampedFile
from connectors.records import Export

AHEAD = timedelta(minutes=5)
"""How far a file's time may be ahead of our clock: another machine may have written it."""
_FEWER, _FEWEST = 0.2, 5
"""A file that lacks so large a share of the last one's rows, and at least so many, is taken for a part of one."""
_ACCEPT = N_("if that is right, run `oplead-sync run --accept-file` once")


def expect_recent(file: StampedFile, max_age: timedelta, now: datetime) -> None:
    """Check that a file was written lately, and not after now."""
    if file.modified_at > now + AHEAD:
        raise Misconfigured(
            _(
                "{path}: it was written at {modified_at:%Y-%m-%d %H:%M} UTC, and now it is {now:%Y-%m-%d "
                "%H:%M} UTC; see that the clocks of both machines are right, and export it again",
                path=file.path,
                modified_at=file.modified_at,
                now=now,
            )
        )
    if now - file.modified_at > max_age:
        raise Misconfigured(
            _(
                "{path}: this is the newest file, and written at {modified_at:%Y-%m-%d %H:%M} UTC, longer "
                "ago than source.max_age; put a new export there, or raise that if exports come less often",
                path=file.path,
                modified_at=file.modified_at,
            )
        )


def check_export_not_older(file: StampedFile, export: Export, last: Export | None, read_until: datetime | None) -> None:
    """Check that a file is no older than what was read before: leads would seem to go back to former statuses."""
    times = (read_until, None if last is None else last.exported_at)
    before = max((at for at in times if at is not None), default=None)
    if before is not None and export.exported_at < before:
        raise Misconfigured(
            _(
                "{path}: it was written at {exported_at:%Y-%m-%d %H:%M} UTC, and leads were read as of "
                "{before:%Y-%m-%d %H:%M} UTC already; export them again",
                path=file.path,
                exported_at=export.exported_at,
                before=before,
            )
        )


def check_export_not_smaller(file: StampedFile, export: Export, last: Export) -> None:
    """Check that a file has the columns of the last one, about as many rows, and leads as new."""
    lost = [title for title in last.titles if title and title not in export.titles]
    if lost:
        names = ", ".join(f'"{title}"' for title in lost)
        raise Misconfigured(
            _(
                "{path}: it lacks {names}, which the last file had; export that too; {accept}",
                path=file.path,
                names=names,
                accept=_(_ACCEPT),
            )
        )
    fewer = last.rows - export.rows
    if fewer >= _FEWEST and fewer > _FEWER * last.rows:
        raise Misconfigured(
            _(
                "{path}: it has {leads} and the last file had {before}, so it may be a part only; export all "
                "of them; {accept}",
                path=file.path,
                leads=_n("{count} lead", "{count} leads", export.rows),
                before=format_integer(last.rows),
                accept=_(_ACCEPT),
            )
        )
    if last.ends_line and not export.ends_line:
        raise Misconfigured(
            _(
                "{path}: its last line does not end as the last file's did, so it may be cut; export it "
                "again; {accept}",
                path=file.path,
                accept=_(_ACCEPT),
            )
        )
    if last.newest is not None and (export.newest is None or export.newest < last.newest):
        raise Misconfigured(
            _(
                "{path}: its newest lead is older than the last file's, so it is an older export that was "
                "copied again; export the leads again; {accept}",
                path=file.path,
                accept=_(_ACCEPT),
            )
        )
