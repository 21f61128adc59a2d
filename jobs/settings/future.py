"""Starts that lie in the future: nothing is sent until then, which a mistyped year does not mean."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path as FilePath

from jobs.settings.document import read_document
from jobs.settings.load import file_text, placed
from jobs.settings.model import Settings
from jobs.settings.problems import Finding, Path, Problem


def starts_in(settings: Settings) -> list[tuple[Path, datetime]]:
    """Every start that the file names, with where it stands."""
    told: list[tuple[Path, datetime | None]] = [
        (("conversions", at, "since"), one.since) for at, one in enumerate(settings.conversions)
    ]
    for at, meta in enumerate(settings.meta):
        path: Path = ("meta", "funnel_since") if len(settings.meta) == 1 else ("meta", at, "funnel_since")
        told.append((path, meta.funnel_since))
    return [(path, since) for path, since in told if since is not None]


def future_notes(file: FilePath, settings: Settings, now: datetime) -> tuple[Problem, ...]:
    """A note at each start that is still to come; none where the file cannot be read any more."""
    try:
        document = read_document(file_text(file))
    except ValueError:
        return ()
    return placed(list(_findings(settings, now)), document, str(file))


def _findings(settings: Settings, now: datetime) -> Iterator[Finding]:
    for path, since in starts_in(settings):
        if since > now:
            day = f"{since.astimezone(settings.zone):%Y-%m-%d}"
            yield Finding(
                path,
                f"{day} lies in the future: until then nothing is sent, and what happens before it never is; "
                "write a day that has come, or take it out",
            )
