"""Write pages to files, each at once: whoever opens one sees all of the old page or all of the new one."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

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
    """Replace a file as `replacing` does, and return its path."""
    with replacing(path) as file:
        file.write(text)
    return path


@contextmanager
def replacing(path: Path, *, encoding: str = "utf-8", newline: str | None = None) -> Iterator[TextIO]:
    """Yield a file that takes the place of another once it is whole.

    It keeps the other's permissions; if there is none, only its owner can read it. If the block raises, all stays as
    it was.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding=encoding, newline=newline) as file:
            yield file
            with suppress(FileNotFoundError):
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
