"""`sandbox`, and the stage for `demo`; reopening a folder gives the same invented leads."""

import json
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.markup import escape
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from connectors.language import N_, _
from connectors.sandbox.oplead.shape import ApiShape, drawn_shape, shape_from_axis_positions
from connectors.sandbox.population.company import FIRST_NIGHT, InventedLeads
from connectors.sandbox.rules import RULES
from connectors.sandbox.sandbox import STATE_FILE, Sandbox
from jobs.cancellation import StoppedBySignal
from jobs.cli.demo.evidence import read_dialect, recorded_oplead
from jobs.exit_codes import Exit, UsageError
from jobs.ledger.storage.lock import LeaseHeldError, hold_lock
from jobs.reporting.console import console_table, results_console, say

LEADS_FILE, ENVIRONMENT_FILE, SETTINGS_FILE = "leads.json", "sandbox.env", "pipeline.yaml"
NAME = "oplead-sync"
SERVERS = {
    "oplead": "Oplead",
    "oplead_form": N_("Oplead's form import"),
    "data_manager": N_("Google's Data Manager API"),
    "google_ads": N_("Google Ads API"),
    "google_ads_tls": N_("Google Ads API over TLS"),
    "oauth": N_("Google's access tokens"),
    "meta": N_("Meta's Graph API"),
    "clock": N_("the clock"),
    "control": N_("the control page"),
}
"""What the sandbox's servers are, in the order in which they are told."""


@dataclass(frozen=True, slots=True)
class InventedLeadsSpec:
    """Determines the invented leads: equal values give equal leads on any machine."""

    seed: int = 7
    leads: int = 1500
    shape: int | Mapping[str, str | int | bool] | None = None
    """How Oplead answers: the seed of a random, secret shape, or a shape by axis; None means the usual one."""
    dialect: Mapping[str, Any] | None = None
    """How an account was seen to answer, in place of a shape."""


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A running sandbox with its settings."""

    sandbox: Sandbox
    population: InventedLeads
    settings: Path
    environ: Mapping[str, str]
    """The environment variables that the settings refer to."""


@contextmanager
def serve_sandbox_for_block(
    folder: Path, cast: InventedLeadsSpec, google_transport: str = "data_manager"
) -> Iterator[RunningSandbox]:
    """Serve a sandbox in `folder` while the block runs, and save it at the end.

    A folder used before resumes with its own leads, clock, book and settings; the arguments are ignored.

    Raises:
        LeaseHeldError: a sandbox is already open in that folder.
        UsageError: the folder holds settings that are not a sandbox's and would be overwritten.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(hold_lock(folder / STATE_FILE, now=datetime.now(UTC)))
        except LeaseHeldError:
            said = _("{folder}: a sandbox is open here already; close it, or name another folder", folder=folder)
            raise LeaseHeldError(said) from None
        is_new = not (folder / STATE_FILE).exists()
        cast = _load_or_store_spec(folder, cast, is_new=is_new)
        population = InventedLeads.generate(cast.seed, cast.leads, FIRST_NIGHT)
        sandbox = stack.enter_context(Sandbox(folder, population, FIRST_NIGHT))
        sandbox.oplead.shows_shape = not isinstance(cast.shape, int)
        if cast.shape is not None and is_new:
            shape = drawn_shape(cast.shape) if isinstance(cast.shape, int) else shape_from_axis_positions(cast.shape)
            sandbox.oplead.shape = shape
        if cast.dialect is not None:
            sandbox.oplead.play(recorded_oplead(cast.dialect, folder / LEADS_FILE))
        settings = _settings(sandbox, google_transport)
        lines = (folder / ENVIRONMENT_FILE).read_text().splitlines()
        yield RunningSandbox(sandbox, population, settings, dict(line.split("=", 1) for line in lines if "=" in line))


def _load_or_store_spec(folder: Path, cast: InventedLeadsSpec, *, is_new: bool) -> InventedLeadsSpec:
    """Return the cast stored in the folder, or store the given one in a new folder.

    A sandbox killed before its first save leaves leads, perhaps with settings; settings alone are somebody else's.
    """
    file, settings = folder / LEADS_FILE, folder / SETTINGS_FILE
    if is_new and settings.exists() and not file.exists():
        raise UsageError(_("{file} is no sandbox's and would be written over: name another folder", file=settings))
    if not is_new and file.exists():
        return InventedLeadsSpec(**json.loads(file.read_text()))
    file.write_text(json.dumps(asdict(cast)) + "\n")
    return cast


def _settings(sandbox: Sandbox, google_transport: str) -> Path:
    """Return the sandbox's settings file, rewriting it only if it has other addresses: people may edit it."""
    file = sandbox.directory / SETTINGS_FILE
    used = (sandbox.sandbox_server_urls[name] for name in ("clock", "oplead", "data_manager", "google_ads", "meta"))
    if file.exists() and all(address in file.read_text() for address in used):
        return file
    return sandbox.write_settings(google_transport=google_transport)


def serve(folder: Path, cast: InventedLeadsSpec, google_transport: str) -> int:
    """Serve the sandbox in a folder until a stop signal, then save it."""
    with (
        serve_sandbox_for_block(folder, cast, google_transport) as stage,
        stage.sandbox.deliver_webhooks_periodically(),
    ):
        _print_addresses(stage)
        try:
            while True:
                signal.pause()
        except StoppedBySignal:
            say(_("saved; the same command goes on from here"))
    return Exit.DONE


def read_invented_leads_spec(seed: int, leads: int, shape: str | None) -> InventedLeadsSpec:
    """Build a cast whose shape is a number, or the path of a YAML file.

    Raises:
        ValueError: `shape` is neither; the message says what is wrong.
    """
    if shape is None or shape.isdecimal():
        return InventedLeadsSpec(seed, leads, None if shape is None else int(shape))
    try:
        written = YAML(typ="safe", pure=True).load(Path(shape))
    except OSError:
        raise ValueError(_("write a number, or the path of a YAML file: there is none at {path}", path=shape)) from None
    except YAMLError:
        raise ValueError(_("{path} is not valid YAML", path=shape)) from None
    match written:
        case dict():
            shape_from_axis_positions(written)
            return InventedLeadsSpec(seed, leads, written)
    raise ValueError(
        _("{path}: write one axis a line, as `pagination: page` (`sandbox --rules` names them)", path=shape)
    )


def as_in_evidence(cast: InventedLeadsSpec, evidence: Path, folder: Path) -> InventedLeadsSpec:
    """Return a cast whose Oplead answers as the account of an evidence folder did; a used folder has its own.

    Raises:
        UsageError: there is no evidence that can be used.
    """
    return cast if (folder / STATE_FILE).exists() else replace(cast, dialect=read_dialect(evidence))


def _print_addresses(stage: RunningSandbox) -> None:
    """Print the sandbox's addresses and the next commands."""
    sandbox, addresses = stage.sandbox, stage.sandbox.sandbox_server_urls
    first = "probe"
    if sandbox.oplead.recorded or (sandbox.oplead.shows_shape and sandbox.oplead.shape == ApiShape()):
        # The sandbox's own settings fit; a folder used before already has the account's state.
        first = "run" if any(stage.settings.parent.glob("*.db")) else "run --first-run"
    say(_("The sandbox is open, on this machine only. Everything in it is invented."))
    named = {_(words): addresses[name] for name, words in SERVERS.items()}
    say(*(f"  {words:<{max(map(len, named))}}  {address}" for words, address in named.items()))
    page = f"{addresses['control']}/"
    say(_("Watch it and plant faults at {address}", address=page))
    if not sandbox.oplead.shows_shape:
        say(_("How its Oplead answers is kept secret: the settings' oplead section is yours to find out."))
    if sandbox.oplead.recorded:
        say(_("Its Oplead answers as the account of the evidence did; its leads are invented."))
    say(
        _("In another terminal:"),
        f"  {next_command(stage.settings, first)}",
        _("Or with settings of your own:"),
        f"  {_first_settings(stage)}",
        _("Its clock stands still between runs. A day later:"),
        f"""  curl -X POST {addresses["clock"]}/advance -d '{{"by": 86400}}'""",
        _("Ctrl-C ends it and saves."),
    )


def next_command(settings: Path, command: str) -> str:
    """Return a command line that uses the sandbox's settings."""
    return f"{_with_environment(settings)} {command} --config {shlex.quote(str(settings))}"


def _first_settings(stage: RunningSandbox) -> str:
    """Return the command line that writes a first settings file for this sandbox."""
    servers = ("oplead", "clock", "data_manager", "google_ads", "meta")
    options = zip(("base-url", "clock", "endpoint", "ads-api-endpoint", "graph-url"), servers, strict=True)
    written = " ".join(f"--{option} {stage.sandbox.sandbox_server_urls[server]}" for option, server in options)
    return f"{_with_environment(stage.settings)} init --dir mine {written}"


def _with_environment(settings: Path) -> str:
    return f"set -a; . {shlex.quote(str(settings.with_name(ENVIRONMENT_FILE)))}; {command_name()}"


def command_name() -> str:
    """Return how to type this command here: its path if the PATH finds another or none, else its name."""
    path = Path(sys.argv[0])
    is_elsewhere = path.name == NAME and shutil.which(NAME) != str(path)
    return shlex.quote(str(path)) if is_elsewhere else NAME


def print_sandbox_rules() -> int:
    """Print every rule that the sandbox enforces, and how it is known."""
    made = console_table(_("Server"), _("Rule"), _("How it is known"), _("Source"), _("Claim"))
    for rule in RULES:
        source = rule.source if rule.source != rule.evidence else ""
        made.add_row(rule.server, escape(rule.rule), rule.evidence, escape(source), rule.claim)
    results_console().print(made)
    return Exit.DONE
