"""`--help` speaks the language of the terminal."""

import re

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from connectors.language import Language, using_language
from jobs.cli.app import app
from jobs.cli.help import help_texts, translate_help


def _paths(command, path=()):
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from _paths(below, (*path, name))


PATHS = [*_paths(get_command(app))]


LISTS = [path for path in PATHS if any(path == below[:-1] for below in PATHS if below)]


def _helped(path, locale):
    done = CliRunner().invoke(app, [*path, "--help"], env={"LC_ALL": locale, "COLUMNS": "100000"})
    assert 0 == done.exit_code, done.output
    return re.sub(r"[ \n]+", " ", done.output)


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_is_french_where_the_terminal_is(path):
    """What commands and options say, what Typer adds, what stands for values, and the codes; names stay."""
    said = _helped(path, "fr_FR.UTF-8")

    assert said.startswith("Utilisation\xa0: ")
    assert "Afficher ce message et quitter." in said
    assert "Options\xa0: " in said
    assert not re.search(
        r"Usage: |Commands:|\w: --|Show this|\[default|required\]|Exit codes|\b(the|of|what|which)\b"
        r"|\b(COMMAND|FILE|DIR|FOLDER|DAY|ADDRESS|ANSWER)\b|<(int range|str|path)>|<=x|x>=|\w;",
        re.sub(r"<;", "<", said),  # what may be typed for --delimiter
    )


@pytest.mark.parametrize("columns", ["80", "100"])
@pytest.mark.parametrize("locale", ["C.UTF-8", "fr_FR.UTF-8"])
@pytest.mark.parametrize("path", LISTS, ids=" ".join)
def test_no_command_in_a_list_is_cut_short(path, locale, columns, monkeypatch, capsys):
    """Each has a whole sentence beside it, at a terminal of the usual widths."""
    monkeypatch.setenv("LC_ALL", locale)
    monkeypatch.setenv("COLUMNS", columns)
    get_command(app).main([*path, "--help"], prog_name="oplead-sync", standalone_mode=False)
    _heading, *listed = capsys.readouterr().out.strip().split("\n\n")[-1].splitlines()

    assert [] == [line for line in listed if not line.endswith(".") or line.endswith("...")]


def test_help_is_english_elsewhere_also_after_it_was_french():
    """Each command line is its own."""
    french, english = _helped(("run",), "fr_FR.UTF-8"), _helped(("run",), "C.UTF-8")

    assert "Read what changed, decide, send, and ask for outcomes." in english
    assert "Usage: " in english
    assert "[default: 0s]" in english
    assert "[par défaut\xa0: 0s]" in french


def test_every_text_of_every_command_is_translated():
    """None of them is the same in both languages, but what is only names."""
    whole, translated = get_command(app), get_command(app)
    with using_language(Language.FRENCH):
        translate_help(translated)
    same = {*help_texts(whole)} & {*help_texts(translated)}

    assert {"En cours, Nurserie or Devis à relancer."} >= {text for text in same if " or " in text or " the " in text}
    assert all(text.startswith("pdf, ") for text in same), same
