"""Write pages to files, each at once: whoever opens one sees all of the old page or all of the new one."""

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from jobs.reporting.page.facts import ReportFacts


def page_name(account: str) -> str:
    """Return the file name of an account's page."""
    return f"{account}-report.html"


def write_page(facts: ReportFacts, folder: Path) -> Path:
    """Write an account's page to a folder, made where missing, and return its path.

    Raises:
        OSError: it cannot be written.
    """
    from jobs.reporting.page.render import render  # noqa: PLC0415 - templates are slow to load, and not every night has one

    return write_text_at_once(render(facts), folder / page_name(facts.account))


def write_text_at_once(text: str, path: Path) -> Path:
    """Replace a file, keeping its permissions, or make one that only its owner can read, and return its path.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            with suppress(FileNotFoundError):
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return path
