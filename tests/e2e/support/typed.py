"""The command line typed in this process: the command itself, without the startup time of a separate process."""

import json
import logging
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from typer.testing import CliRunner

from jobs.cli.app import app

DOCS = Path(__file__).parents[3] / "docs"
SCHEMA = Draft202012Validator(json.loads((DOCS / "output.schema.json").read_text(encoding="utf-8")))
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Typed:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self):
        """The output with each run of whitespace as one space, so that the terminal's width breaks no line."""
        return " ".join(self.out.split())

    @property
    def objects(self):
        """The JSON output, one object per line, checked against its schema."""
        return [documented(line) for line in self.out.splitlines()]


def documented(line):
    """Parse a line of JSON output; fail if the published schema does not describe it."""
    document = json.loads(line)
    best = best_match(SCHEMA.iter_errors(document))
    assert best is None, f"{best.json_path}: {best.message}"
    return document


def type_in(company, *arguments, file=None, width=120):
    """Run `oplead-sync` with these arguments on a company's settings, or on another file if one is given."""
    config = str(file or company.config)
    environ = company.environ | {"COLUMNS": str(width)}
    with _as_it_was():
        done = CliRunner().invoke(app, [*arguments, "--config", config], env=environ, prog_name="oplead-sync")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Typed(done.exit_code, done.stdout, done.stderr)


@contextmanager
def _as_it_was():
    """Undo what a command does to its process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logging.Logger.manager.loggerDict}
    signals = {each: signal.getsignal(each) for each in SIGNALS}
    try:
        yield
    finally:
        root.handlers, root.level = handlers, level
        for name, each in levels.items():
            logging.getLogger(name).setLevel(each)
        for number, handler in signals.items():
            signal.signal(number, handler)
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
