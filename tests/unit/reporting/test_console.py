"""Names from platforms are shown in a terminal and do nothing else to it."""

import io
import json
import logging

import structlog

from jobs.cli.output import start_logging
from jobs.reporting import console
from jobs.reporting.console import facts_grid, results_console, table

HOSTILE = "Gagn\u00e9\x1b]0;owned\x07\x1b[2J\x9b1m\x7f\u202e\u200b"


def is_harmless(text):
    """Whether only printable characters and line ends are left."""
    return "Gagn\u00e9]0;owned[2J1m" in text and text.replace("\n", "").isprintable()


def test_results_hold_no_control_characters(capsys):
    """This covers a table, a list of facts and text with markup."""
    made = table("label")
    made.add_row(HOSTILE)
    for each in (made, facts_grid([("label", HOSTILE)]), f"[bold]{HOSTILE}[/bold]"):
        results_console().print(each)

        assert is_harmless(capsys.readouterr().out)


def test_json_holds_no_control_characters():
    """Escaped ones do nothing."""
    line = console.json_line({HOSTILE: [HOSTILE]})

    assert line.isprintable()
    assert 1 == len(json.loads(line))


def test_log_lines_hold_no_control_characters(monkeypatch):
    """This covers lines for people and for machines, of our own and of a library."""
    root = logging.getLogger()
    before, level = root.handlers, root.level
    try:
        for as_machine in (False, True):
            monkeypatch.setattr("sys.stderr", said := io.StringIO())
            start_logging(as_json=as_machine)
            structlog.stdlib.get_logger("jobs.cli.run").warning(f"a label: {HOSTILE}", labels=[HOSTILE])
            logging.getLogger("a.library").warning("a label: %s", HOSTILE)

            assert is_harmless(said.getvalue())
    finally:
        root.handlers, _ = before, root.setLevel(level)
