"""Both READMEs name every command, key, reason and state, so that nobody meets a word they do not explain."""

import re
from pathlib import Path

import pytest
import typer

from jobs.cli.app import app
from jobs.reporting.wording import REASONS
from jobs.rules.delivery_state import DeliveryState
from jobs.settings.load import _models
from jobs.settings.schema import Settings

ROOT = Path(__file__).parents[2]
LANGUAGES = ["README.md", "README.fr.md"]


@pytest.fixture(params=LANGUAGES)
def text(request):
    """One of the two."""
    return (ROOT / request.param).read_text(encoding="utf-8")


def keys():
    """Every key of the settings, however deep."""
    waiting, seen = [Settings], set()
    while waiting:
        model = waiting.pop()
        for name, field in model.model_fields.items():
            seen.add(name)
            waiting += [below for below in _models(field.annotation) if below is not model]
    return seen


def test_every_key_stands_there(text):
    """With an example or in a list, as code."""
    named = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`[^`]+`|```.*?```", text, re.DOTALL))))

    assert set() == keys() - named


def test_every_reason_stands_there(text):
    """As `--json` and `explain` write it."""
    assert [] == [reason for reason in REASONS if f"`{reason}`" not in text]


def test_every_fate_stands_there(text):
    """But for the one that lasts as long as a request."""
    assert [] == [
        state.value
        for state in DeliveryState
        if state is not DeliveryState.IN_FLIGHT and f"`{state.value}`" not in text
    ]


def test_every_command_stands_there(text):
    """As it is typed."""
    commands = typer.main.get_command(app).commands

    assert [] == [name for name in commands if not re.search(rf"oplead-sync {name}\b", text)]


def test_secrets_have_one_place(text):
    """What one step fills in is what the nights load."""
    assert {"config/"} == set(re.findall(r"(?:config/|[\s`/])(?=\.env\b)", text))


def test_every_link_within_leads_somewhere(text):
    """To a heading of the same page."""
    headings = {
        re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }

    assert set() == set(re.findall(r"\]\(#([^)]+)\)", text)) - headings


def rows(text, code):
    """The rows of tables that are about a key or a reason."""
    return [line for line in text.splitlines() if line.startswith("| ") and f"`{code}`" in line.split(" | ")[0]]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("value.otherwise", "`value_unreadable`"),
        ("value_unreadable", "`otherwise`"),
        ("no_identifier", "Meta"),
        ("no_identifier", "postcode|code postal"),
        ("another_platform", "only gclid"),
        ("window_closed", "`status --reason consent_refused`"),
    ],
)
def test_what_is_easily_taken_amiss_is_said(text, code, said):
    """An amount that cannot be read is no missing one; and a name with a postcode is enough for Meta."""
    (row,) = rows(text, code)

    assert re.search(said, row)
