"""The sandbox that `demo` and `sandbox` share: the same invented leads whenever its folder is opened again."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from connectors.sandbox.oplead_shape import drawn_shape, shape_of
from connectors.sandbox.population import FIRST_NIGHT, Population
from connectors.sandbox.sandbox import STATE_FILE, Sandbox
from jobs.cli.exits import WrongUsageError
from jobs.ledger.lease import LeaseHeldError, exclusive

LEADS_FILE = "leads.json"
ENVIRONMENT_FILE = "sandbox.env"
SETTINGS_FILE = "pipeline.yaml"


@dataclass(frozen=True, slots=True)
class Cast:
    """Which invented leads play: the same numbers give the same leads on any machine."""

    seed: int = 7
    leads: int = 1500
    shape: int | None = None
    """Which way of speaking is drawn for Oplead, and not told; the sandbox's own, open one where there is none."""
    positions: Mapping[str, str | int | bool] | None = None
    """A way of speaking as it is written, by axis."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A running sandbox with its settings."""

    sandbox: Sandbox
    population: Population
    settings: Path
    environ: Mapping[str, str]
    """What the settings refer to."""


@contextmanager
def staged(folder: Path, cast: Cast, google_transport: str = "data_manager") -> Iterator[Stage]:
    """Serve a sandbox in `folder` while the block runs, and save it at its end.

    A folder that was played in before goes on with its own leads, clock, book and settings, whatever is said here.

    Raises:
        LeaseHeldError: a sandbox is open in that folder already.
        WrongUsageError: the folder holds files of somebody else that it would write over.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(folder / STATE_FILE, now=datetime.now(UTC)))
        except LeaseHeldError:
            raise LeaseHeldError(
                f"{folder}: a sandbox is open here already; close it, or name another folder"
            ) from None
        is_new = not (folder / STATE_FILE).exists()
        if is_new:
            _expect_nothing_of_others(folder)
        cast = _cast(folder, cast)
        population = _population(cast)
        sandbox = stack.enter_context(Sandbox(folder, population, FIRST_NIGHT))
        if cast.shape is not None:
            sandbox.oplead.tells_shape = False
            if is_new:
                sandbox.oplead.shape = drawn_shape(cast.shape)
        elif cast.positions is not None and is_new:
            sandbox.oplead.shape = shape_of(cast.positions)
        settings = _settings(sandbox, google_transport)
        yield Stage(sandbox, population, settings, _environ(settings.with_name(ENVIRONMENT_FILE)))


def _expect_nothing_of_others(folder: Path) -> None:
    """A sandbox that was killed before it was ever saved has written its leads before its settings."""
    settings = folder / SETTINGS_FILE
    if settings.exists() and not (folder / LEADS_FILE).exists():
        raise WrongUsageError(f"{settings} is no sandbox's and would be written over: name another folder")


def _cast(folder: Path, cast: Cast) -> Cast:
    """The leads the folder was begun with."""
    file = folder / LEADS_FILE
    if (folder / STATE_FILE).exists() and file.exists():
        return Cast(**json.loads(file.read_text()))
    file.write_text(json.dumps(asdict(cast)) + "\n")
    return cast


def _population(cast: Cast) -> Population:
    return Population.generate(cast.seed, cast.leads, FIRST_NIGHT)


def _settings(sandbox: Sandbox, google_transport: str) -> Path:
    """The settings in its folder, written anew only where they do not lead to this sandbox: people may edit them."""
    file = sandbox.directory / SETTINGS_FILE
    used = (sandbox.addresses[name] for name in ("clock", "oplead", "data_manager", "google_ads", "meta"))
    if file.exists() and all(address in file.read_text() for address in used):
        return file
    return sandbox.write_settings(google_transport=google_transport)


def _environ(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
