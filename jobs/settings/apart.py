"""Whether what must survive the state lies apart from it."""

from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl

from connectors.http import is_loopback
from connectors.language import _
from jobs.database_address import split_database_address
from jobs.settings.document import SettingsFinding, SettingsProblem, read_file
from jobs.settings.schema import Settings
from jobs.settings.types import StateDatabaseAddress, StateFile


def notes_on_forgotten_place(file: Path, settings: Settings) -> tuple[SettingsProblem, ...]:
    """Return a note if whatever brings an old state back would bring the second place back with it."""
    if settings.forgotten is None or not _is_with_state(settings.forgotten, settings.state):
        return ()
    message = _(
        "this lies with the state, on the same disk or server: a backup that brings the state back brings this back "
        "too, and with it whoever was forgotten since; name a file on another machine's disk, or one that is backed up "
        "apart"
    )
    return read_file(file).problems([SettingsFinding(("forgotten",), message)], file)


def _is_with_state(place: Path, state: StateFile | StateDatabaseAddress | None) -> bool:
    match state:
        case StateFile(path):
            if place.resolve().is_relative_to(path.parent.resolve()):
                return True
            with suppress(OSError):
                return place.parent.stat().st_dev == path.parent.stat().st_dev
            return False
        case StateDatabaseAddress(url):
            with suppress(ValueError):
                parts = split_database_address(url.get_secret_value())
                host = parts.hostname or dict(parse_qsl(parts.query)).get("host", "")
                return not host or host.startswith("/") or is_loopback(host)
            return False
        case None:
            return False
