"""`sandbox`: Oplead, Google and Meta, played on this machine."""

import shlex
import shutil
import signal
import sys
from pathlib import Path

from rich.markup import escape
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from connectors.sandbox.oplead_shape import Shape, shape_of
from connectors.sandbox.sandbox import RULES
from jobs.cli.demo.stage import ENVIRONMENT_FILE, Cast, Stage, staged
from jobs.cli.exits import Exit
from jobs.reporting.terminal import results, table
from jobs.stopping import StoppedBySignal

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
