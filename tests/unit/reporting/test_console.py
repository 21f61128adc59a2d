"""Names from platforms are shown in a terminal and do nothing else to it."""

import io
import json
import logging

import pytest
import structlog

from jobs.cli.output import start_logging
from jobs.reporting import presentation
from jobs.reporting.console import console_table, facts_grid, results_console, say_below, say_wrapped

HOSTILE = "Gagn\u00e9\x1b]0;owned\x07\x1b[2J\x9b1m\x7f\u202e\u200b"


def is_harmless(text):
    """Whether only printable characters and line ends are left."""
    return "Gagn\u00e9]0;owned[2J1m" in text and text.replace("\n", "").isprintable()


def test_results_hold_no_control_characters(capsys):
    """This covers a table, a list of facts and text with markup."""
    made = console_table("label")
    made.add_row(HOSTILE)
    for each in (made, facts_grid([("label", HOSTILE)]), f"[bold]{HOSTILE}[/bold]"):
        results_console().print(each)

        assert is_harmless(capsys.readouterr().out)


@pytest.mark.parametrize("space", ["\xa0", "\u202f"])
def test_no_line_breaks_at_a_no_break_space(monkeypatch, capsys, space):
    """Neither a number nor a word and its punctuation are torn apart, and the spaces stay what they are."""
    monkeypatch.setenv("COLUMNS", "20")
    glued = f"12{space}500,00{space}€"
    results_console().print(console_table("montant", rows=[[f"Saisissez donc {glued}"]]))
    results_console().print(f"Saisissez donc {glued}{space}; merci")
    lines = capsys.readouterr().out.splitlines()

    assert 2 == sum(glued in line for line in lines)
    assert [] == [line for line in lines if line.strip().startswith((";", "€", "500"))]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_sentences_below_a_heading_are_wrapped_at_a_terminal_only(monkeypatch, is_terminal):
    """Whoever searches a file finds each on one line; markup in one stays as it is."""
    sentence = "assumed: [sale] counts from its start, and older changes are not sent (see `since`)"
    out = io.StringIO()
    out.isatty = lambda: is_terminal
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setenv("TERM", "dumb")  # 80 columns, and no styles
    say_below(sentence)
    lines = out.getvalue().splitlines()

    assert sentence == " ".join(map(str.strip, lines))
    assert ([2, 4] if is_terminal else [2]) == [len(line) - len(line.lstrip()) for line in lines]
    assert not is_terminal or max(map(len, lines)) <= 80


def test_what_does_not_fit_goes_on_below_what_it_continues(monkeypatch):
    """In its column, or a little further in; a no-break space holds words together."""
    out = io.StringIO()
    out.isatty = lambda: True
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setenv("TERM", "dumb")
    say_wrapped("    a  " + "answer " * 15, "", column=7)
    say_wrapped("What is asked " * 7 + "here\u202f?", "[sale] fits")
    lines = out.getvalue().splitlines()

    assert [4, 7, 0, 0, 2, 0] == [len(line) - len(line.lstrip()) for line in lines]
    assert ("here\u202f?", "[sale] fits") == (lines[4][-6:], lines[5])
    assert max(map(len, lines)) <= 80


def test_json_holds_no_control_characters():
    """Escaped ones do nothing."""
    line = presentation.json_line({HOSTILE: [HOSTILE]})

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
            structlog.stdlib.get_logger("jobs.cli.night.run").warning(f"a label: {HOSTILE}", labels=[HOSTILE])
            logging.getLogger("a.library").warning("a label: %s", HOSTILE)

            assert is_harmless(said.getvalue())
    finally:
        root.handlers, _ = before, root.setLevel(level)
