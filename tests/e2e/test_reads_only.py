"""Everything but `oplead …` only reads from Oplead."""

import ast
import time
from datetime import timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from connectors.sandbox.oplead.server import ADMIN_KEY
from connectors.sandbox_clock import SandboxClock
from jobs.cli.app import app
from tests.e2e.support import typed
from tests.e2e.support.typed import type_in

PATIENCE = 60
ROOT = Path(__file__).parents[2]
WITHOUT_OPLEAD = {
    *("status", "explain", "report", "values", "notify", "sandbox", "demo"),
    *("forget", "export-person", "state"),
}
"""Commands that only read, move or erase what is ours, or play against a sandbox of their own by the same code."""
AS_ONE_ACCOUNT = {"fleet"}
"""Commands that connect to Oplead only by having another one, `run` or `backfill`, do it for each account."""
WRITES = {"oplead"}


def methods(company):
    """The HTTP methods with which Oplead was asked."""
    return {entry["method"] for entry in company.sandbox.servers["oplead"].log.dump()["log"]}


def init(company):
    """Write first settings from what Oplead answers."""
    addresses = company.sandbox.sandbox_server_urls
    options = ("--base-url", addresses["oplead"], "--clock", addresses["clock"], "--yes")
    with typed._as_it_was():
        environ = {**company.environ, "OPLEAD_TOKEN": ADMIN_KEY}
        CliRunner().invoke(app, ["init", "--dir", str(company.directory / "new"), *options], env=environ)


def schedule(company):
    """Run the service for a day: a night, and its outcomes."""
    clock = SandboxClock(company.sandbox.sandbox_server_urls["clock"])
    start = clock.now()
    process = company.start_command("schedule")
    until = time.monotonic() + PATIENCE
    while len(company.clock._callers) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    try:
        clock.sleep_until(start + timedelta(days=1, hours=8))
    finally:
        process.send_signal(15)
        process.communicate(timeout=PATIENCE)
        clock.close()


COMMANDS = {
    "check": lambda company: type_in(company, "check", "--live"),
    "probe": lambda company: type_in(company, "probe"),
    "evidence": lambda company: type_in(company, "evidence", "--out", str(company.directory / "evidence")),
    "init": init,
    "run": lambda company: [
        type_in(company, "run", *options)
        for options in (("--dry-run",), ("--validate-only",), ("--wait", "1h"), ("--accept-volume",))
    ],
    "backfill": lambda company: type_in(
        company, "backfill", "--from", "2026-08-01", "--to", "2026-09-09", "--assume-time", "updated_at", "--yes"
    ),
    "retry": lambda company: type_in(company, "retry", "--yes"),
    "schedule": schedule,
}
"""How each command that connects to Oplead is used."""


def test_every_command_is_known_to_read_or_to_write():
    """A new command is listed here before it is merged."""
    assert set(typer.main.get_command(app).commands) == {*COMMANDS, *WITHOUT_OPLEAD, *AS_ONE_ACCOUNT, *WRITES}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_outside_oplead_sends_oplead_nothing_but_get(company, command):
    """Whatever it finds there: leads to send, to send again and to read anew."""
    company.settings["schedule"] = {"daily": "05:30"}
    company.serve(company.lead(1, ("Gagné", company.START - timedelta(hours=20))))
    unknown = company.lead(2, ("Gagné", company.CREATED))
    company.sandbox.oplead.put("L-2", unknown)  # Google does not know its click, and rejects it
    if command in {"retry", "backfill"}:
        company.night()
        company.later()
    before = len(company.asked("oplead"))

    COMMANDS[command](company)

    assert {"GET"} == methods(company)
    assert before < len(company.asked("oplead"))


def _calls(tree):
    return {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }


def _names(tree):
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }


def _modules():
    for folder in ("connectors", "jobs"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            text = file.read_text(encoding="utf-8")
            if "attempt" in text or "oplead_writer" in text:
                yield file.relative_to(ROOT).as_posix(), ast.parse(text)


def test_only_the_writer_makes_a_request_that_writes():
    """One module calls the client's one method for writes, and only what asks before each write opens a writer."""
    modules = dict(_modules())

    assert {"connectors/oplead/writing/writer.py"} == {
        name for name, tree in modules.items() if name.startswith("connectors/oplead") and "attempt" in _calls(tree)
    }
    opens = {name for name, tree in modules.items() if "oplead_writer" in _names(tree)}
    assert {"jobs/oplead_commands/context.py", "jobs/evidence/own_lead.py"} == opens, opens
