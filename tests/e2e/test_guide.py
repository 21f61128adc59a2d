"""The page that goes through Oplead's guide: its commands as they are written there, typed against the sandbox."""

import re
import shlex

import pytest
from typer.testing import CliRunner

from connectors.sandbox.population.company import InventedLeads
from connectors.sandbox.sandbox import Sandbox
from jobs.cli.app import app
from tests import quick
from tests.e2e.support.typed import DOCS, _as_it_was, documented

ENGLISH, FRENCH = DOCS / "oplead-guide.md", DOCS / "fr" / "guide-oplead.md"
WRITING = ("create", "import", "update", "add", "set", "subscribe")
NOT_TYPED = {"oplead-sync oplead", "oplead-sync init", "oplead-sync oplead webhooks serve"}
"""No command, and two with tests of their own: one asks questions, the other goes on until it is stopped."""


def commands_on(page):
    """The commands of a page, in its order."""
    text = page.read_text(encoding="utf-8").replace("FICHIER", "FILE")
    return list(dict.fromkeys(re.findall(r"`(oplead-sync [^`]+)`", text)))


@pytest.fixture
def account(tmp_path, monkeypatch):
    """The demo's account with webhooks, and the folder in which its commands are typed."""
    monkeypatch.chdir(tmp_path)
    with Sandbox(quick.with_key(tmp_path / "sandbox"), InventedLeads.generate(7, 40)) as sandbox:
        file = sandbox.write_settings(tmp_path)
        webhooks = 'webhooks: { secret: "${HOOK}", public_url: "http://127.0.0.1:8391" }'
        file.write_text(f"{file.read_text()}\n{webhooks}\n")
        variables = dict(line.split("=", 1) for line in (tmp_path / "sandbox.env").read_text().splitlines())
        yield lambda *words: typed(
            *words, "--config", str(file), environ=variables | {"HOOK": "a-secret-0123456789abc"}
        )


def typed(*words, environ):
    """Type a command and return its exit code and output."""
    with _as_it_was():
        done = CliRunner().invoke(app, words, env=environ)
    return done.exit_code, done.stdout, done.stderr


def test_both_languages_show_the_same_commands():
    """In the same order."""
    assert commands_on(ENGLISH) == commands_on(FRENCH)


@pytest.mark.parametrize("page", [ENGLISH, FRENCH], ids=["en", "fr"])
def test_the_top_of_the_page_says_what_its_commands_leave_out(page):
    """Each takes the settings file, which the next test adds."""
    assert "`--config FILE`" in page.read_text(encoding="utf-8").split("\n## ")[0].replace("FICHIER", "FILE")


def test_every_command_of_the_page_works_as_written(account, tmp_path):
    """LEAD is a lead's id, FILE a file of the right kind; `--config` and `--yes` are all that is added."""
    (tmp_path / "devis.pdf").write_bytes(b"%PDF-1.7\n1 0 obj\n%%EOF\n")
    (tmp_path / "new.csv").write_text("email;last_name\nluc@example.com;Exemple\n", encoding="utf-8")
    assert 0 == account("run", "--first-run")[0]
    lead = documented(account("oplead", "leads", "create", "--email", "a@example.com", "--yes", "--json")[1])["id"]

    for command in commands_on(ENGLISH):
        if command in NOT_TYPED:
            continue
        named = {"LEAD": lead, "FILE": "new.csv" if " import " in command else "devis.pdf"}
        words = [named.get(word, word) for word in shlex.split(command)[1:]]
        agreed = ["--yes"] if len(words) > 2 and words[2] in WRITING else []
        code, out, err = account(*words, *agreed)

        assert 0 == code, (command, out, err)
