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
from connectors.sandbox.rules import RULES
from connectors.sandbox.sandbox import STATE_FILE, Sandbox
from jobs.cancellation import StoppedBySignal
from jobs.cli.exits import Exit, UsageError
from jobs.cli.output import say
from jobs.ledger.runs import LeaseHeldError, exclusive
from jobs.reporting.console import results, table

LEADS_FILE, ENVIRONMENT_FILE, SETTINGS_FILE = "leads.json", "sandbox.env", "pipeline.yaml"
NAME = "oplead-sync"


@dataclass(frozen=True, slots=True)
class Cast:
    """Which invented leads play: the same numbers give the same leads on any machine."""

    seed: int = 7
    leads: int = 1500
    shape: int | None = None
    """The number by which Oplead's way of answering is drawn and kept secret; without one it is the usual, open one."""
    positions: Mapping[str, str | int | bool] | None = None
    """A way of answering as it is written, by axis."""


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

    A folder that was used before goes on with its own leads, clock, book and settings, whatever the arguments say.

    Raises:
        LeaseHeldError: a sandbox is open in that folder already.
        UsageError: the folder holds somebody's files that it would write over.
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
        cast = _cast(folder, cast, is_new=is_new)
        population = Population.generate(cast.seed, cast.leads, FIRST_NIGHT)
        sandbox = stack.enter_context(Sandbox(folder, population, FIRST_NIGHT))
        if cast.shape is not None:
            sandbox.oplead.shows_shape = False
            if is_new:
                sandbox.oplead.shape = drawn_shape(cast.shape)
        elif cast.positions is not None and is_new:
            sandbox.oplead.shape = shape_of(cast.positions)
        settings = _settings(sandbox, google_transport)
        lines = settings.with_name(ENVIRONMENT_FILE).read_text().splitlines()
        yield Stage(sandbox, population, settings, dict(line.split("=", 1) for line in lines if "=" in line))


def _cast(folder: Path, cast: Cast, *, is_new: bool) -> Cast:
    """The leads the folder was begun with, now or earlier.

    A sandbox that was killed before its first save has written its leads before its settings.
    """
    file, settings = folder / LEADS_FILE, folder / SETTINGS_FILE
    if is_new and settings.exists() and not file.exists():
        raise UsageError(f"{settings} is no sandbox's and would be written over: name another folder")
    if not is_new and file.exists():
        return Cast(**json.loads(file.read_text()))
    file.write_text(json.dumps(asdict(cast)) + "\n")
    return cast


def _settings(sandbox: Sandbox, google_transport: str) -> Path:
    """The settings in its folder, rewritten only where they do not lead to this sandbox: people may edit them."""
    file = sandbox.directory / SETTINGS_FILE
    used = (sandbox.addresses[name] for name in ("clock", "oplead", "data_manager", "google_ads", "meta"))
    if file.exists() and all(address in file.read_text() for address in used):
        return file
    return sandbox.write_settings(google_transport=google_transport)


def serve(folder: Path, cast: Cast, google_transport: str) -> int:
    """Serve the sandbox in a folder until Ctrl-C or SIGTERM, then save it."""
    with staged(folder, cast, google_transport) as stage:
        _print_addresses(stage)
        try:
            while True:
                signal.pause()
        except StoppedBySignal:
            say("saved; the same command goes on from here")
    return Exit.DONE


def cast_of(seed: int, leads: int, shape: str | None) -> Cast:
    """Which leads play, and how Oplead answers: by a number, or as a YAML file says.

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
        raise ValueError(f"{shape} is not valid YAML") from None
    match written:
        case dict():
            shape_of(written)
            return Cast(seed, leads, positions=written)
    raise ValueError(f"{shape}: write one axis a line, as  pagination: page  (`sandbox --rules` names them)")


def _print_addresses(stage: Stage) -> None:
    """Print where everything is, and what to type next."""
    sandbox, addresses = stage.sandbox, stage.sandbox.addresses
    first = "probe"
    if sandbox.oplead.shows_shape and sandbox.oplead.shape == Shape():
        # The settings written for the sandbox fit; a folder that was used before has its account's state.
        first = "run" if any(stage.settings.parent.glob("*.db")) else "run --first-run"
    say("The sandbox is open, on this machine only. Everything in it is invented.")
    say(*(f"  {name:<13} {addresses[name]}" for name in sorted(addresses)))
    say(f"Watch it and plant faults at {addresses['control']}/")
    if not sandbox.oplead.shows_shape:
        say("How its Oplead answers is kept secret: the settings' oplead section is yours to find out.")
    say(
        "In another terminal:",
        f"  {next_command(stage.settings, first)}",
        "Or with settings of your own:",
        f"  {_first_settings(stage)}",
        "Its clock stands still between runs. A day later:",
        f"""  curl -X POST {addresses["clock"]}/advance -d '{{"by": 86400}}'""",
        "Ctrl-C ends it and saves.",
    )


def next_command(settings: Path, command: str) -> str:
    """A command line that runs on the sandbox's settings."""
    return f"{_with_environment(settings)} {command} --config {shlex.quote(str(settings))}"


def _first_settings(stage: Stage) -> str:
    """The command line that writes a first settings file for this sandbox."""
    servers = {
        "base-url": "oplead",
        "clock": "clock",
        "endpoint": "data_manager",
        "ads-api-endpoint": "google_ads",
        "graph-url": "meta",
    }
    options = " ".join(f"--{option} {stage.sandbox.addresses[server]}" for option, server in servers.items())
    return f"{_with_environment(stage.settings)} init --dir mine {options}"


def _with_environment(settings: Path) -> str:
    return f"set -a; . {shlex.quote(str(settings.with_name(ENVIRONMENT_FILE)))}; {typed()}"


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
