"""`sandbox`, and the stage that `demo` plays on: the same invented leads each time its folder is opened."""

import json
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.markup import escape
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from connectors.sandbox.oplead.shape import Shape, drawn_shape, shape_of
from connectors.sandbox.population.company import FIRST_NIGHT, Population
from connectors.sandbox.sandbox import RULES, STATE_FILE, Sandbox
from jobs.cancellation import StoppedBySignal
from jobs.cli.exits import Exit, UsageError
from jobs.ledger.runs import LeaseHeldError, exclusive
from jobs.reporting.console import results, table

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
        UsageError: the folder holds files of somebody else that it would write over.
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
        raise UsageError(f"{settings} is no sandbox's and would be written over: name another folder")


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


NAME = "oplead-sync"


def serve(folder: Path, cast: Cast, google_transport: str) -> int:
    """Serve the sandbox in a folder until Ctrl-C or SIGTERM, then save it."""
    with staged(folder, cast, google_transport) as stage:
        print_addresses(stage)
        try:
            while True:
                signal.pause()
        except StoppedBySignal:
            results().print("saved; the same command goes on from here")
    return Exit.DONE


def cast_of(seed: int, leads: int, shape: str | None) -> Cast:
    """Which leads play, and how Oplead speaks: by a number, or as a YAML file writes it.

    Raises:
        ValueError: it is neither; the message says what is wrong.
    """
    if shape is None or shape.isdecimal():
        return Cast(seed, leads, None if shape is None else int(shape))
    try:
        written = YAML(typ="safe", pure=True).load(Path(shape))
    except OSError:
        raise ValueError(f"write a number, or the path of a YAML file: there is none at {shape}") from None
    except YAMLError:
        raise ValueError(f"{shape} is no YAML") from None
    match written:
        case dict():
            shape_of(written)
            return Cast(seed, leads, positions=written)
    raise ValueError(f"{shape}: write one axis a line, as  pagination: page  (`sandbox --rules` names them)")


def print_addresses(stage: Stage) -> None:
    """Print where everything is, and what to type next."""
    console = results()
    addresses = stage.sandbox.addresses
    console.print("The sandbox is open, on this machine only. Everything in it is invented.")
    for name in sorted(addresses):
        console.print(f"  {name:<13} {addresses[name]}")
    console.print(f"Watch it and plant faults at {addresses['control']}/")
    if not stage.sandbox.oplead.tells_shape:
        console.print("How its Oplead speaks is not told: the settings' oplead section is yours to find out.")
    console.print("In another terminal:")
    # The settings written for it are those of its own way to speak.
    is_own = stage.sandbox.oplead.tells_shape and stage.sandbox.oplead.shape == Shape()
    first = "probe"
    if is_own:
        # A folder that was played in has its account's state.
        first = "run" if any(stage.settings.parent.glob("*.db")) else "run --first-run"
    console.print(f"  {next_command(stage.settings, first)}", markup=False, soft_wrap=True)
    console.print("Or with settings of your own:")
    console.print(f"  {_first_settings(stage)}", markup=False, soft_wrap=True)
    console.print("Its clock stands still between runs. A day later:")
    a_day = f"""curl -X POST {addresses["clock"]}/advance -d '{{"by": 86400}}'"""
    console.print(f"  {a_day}", markup=False, soft_wrap=True)
    console.print("Ctrl-C ends it and saves.")


def next_command(settings: Path, command: str) -> str:
    """A command line that runs on the sandbox's settings."""
    environment = shlex.quote(str(settings.with_name(ENVIRONMENT_FILE)))
    return f"set -a; . {environment}; {typed()} {command} --config {shlex.quote(str(settings))}"


def _first_settings(stage: Stage) -> str:
    """The command line that writes a first settings file for this sandbox."""
    addresses = stage.sandbox.addresses
    options = {
        "base-url": addresses["oplead"],
        "clock": addresses["clock"],
        "endpoint": addresses["data_manager"],
        "ads-api-endpoint": addresses["google_ads"],
        "graph-url": addresses["meta"],
    }
    environment = shlex.quote(str(stage.settings.with_name(ENVIRONMENT_FILE)))
    told = " ".join(f"--{name} {address}" for name, address in options.items())
    return f"set -a; . {environment}; {typed()} init --dir mine {told}"


def typed() -> str:
    """How this command is typed here: by its name where the shell finds it, else by its path."""
    path = Path(sys.argv[0])
    is_elsewhere = path.name == NAME and shutil.which(NAME) != str(path)
    return shlex.quote(str(path)) if is_elsewhere else NAME


def print_rules() -> int:
    """Print every rule the sandbox holds its callers to, and how it is known."""
    made = table("Server", "Rule", "How it is known", "Source")
    for rule in RULES:
        source = rule.source if rule.source != rule.evidence else ""
        made.add_row(rule.server, escape(rule.rule), rule.evidence, escape(source))
    results().print(made)
    return Exit.DONE
