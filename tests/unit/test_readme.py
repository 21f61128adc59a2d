"""Each language's pages name every command, key, reason and state, so that readers find every word explained."""

import json
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
import typer
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from jobs.cli.app import app
from jobs.reporting.wording.reasons import REASONS
from jobs.rules.delivery_state import DeliveryState
from jobs.settings.load import models_in
from jobs.settings.schema import Settings
from tests.e2e.support.typed import documented

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {
    "English": [ROOT / "README.md", *sorted(DOCS.glob("*.md"))],
    "French": [ROOT / "README.fr.md", *sorted(DOCS.glob("fr/*.md"))],
}
EVERY_PAGE = [*chain.from_iterable(PAGES.values()), *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md"))]
LONGEST_README = 900


@pytest.fixture(params=PAGES)
def text(request):
    """All pages of one language, joined."""
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES[request.param])


def keys():
    """Every key of the settings, at any depth."""
    waiting, seen = [Settings], set()
    while waiting:
        model = waiting.pop()
        for name, field in model.model_fields.items():
            seen.add(name)
            waiting += [below for below in models_in(field.annotation) if below is not model]
    return seen


def as_code(text):
    """Every word that a text formats as code."""
    return set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`[^`]+`|```.*?```", text, re.DOTALL))))


def test_every_settings_key_is_documented(text):
    """It stands as code, in an example or a list."""
    assert set() == keys() - as_code(text)


def test_every_reason_is_documented(text):
    """It is spelled as `--json` and `explain` write it."""
    assert [] == [reason for reason in REASONS if f"`{reason}`" not in text]


def test_every_delivery_state_is_documented(text):
    """`in_flight`, which lasts only as long as a request, is left out."""
    assert [] == [
        state.value
        for state in DeliveryState
        if state is not DeliveryState.IN_FLIGHT and f"`{state.value}`" not in text
    ]


def test_every_command_is_documented(text):
    """It stands as it is typed."""
    commands = typer.main.get_command(app).commands

    assert [] == [name for name in commands if not re.search(rf"oplead-sync {name}\b", text)]


def test_the_docs_put_secrets_in_one_place(text):
    """The file that a setup step fills in is the one that nights load."""
    assert {"config/"} == set(re.findall(r"(?:config/|[\s`/])(?=\.env\b)", text))


def anchors(page):
    """The anchors of a page, as GitHub makes them from its headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", EVERY_PAGE, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_internal_link_has_a_target(page):
    """The file exists and has the heading."""
    broken = []
    for link in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert [] == broken


def test_the_readme_is_short_and_links_every_page():
    """Everything else has a page of its own."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert len(text.split()) <= LONGEST_README
    assert [] == [page.name for page in DOCS.glob("*.md") if page.stem != "index" and f"](docs/{page.name}" not in text]


def test_generated_pages_are_current():
    """It fails if `make docs` was not run after a change of settings or wording, or if a key lacks an example."""
    written = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"],
        check=False,
        cwd=ROOT,
        timeout=60,
        capture_output=True,
        text=True,
    )

    assert (0, "") == (written.returncode, written.stderr)


def test_every_settings_example_is_valid_yaml():
    """An unquoted `${…}` would end a mapping in braces."""
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|.*\| `([^`]+)` \|$", text, re.MULTILINE)
    written = "\n".join(f"- {key}: {example}" for key, example in rows)

    assert len(rows) == len(YAML(typ="safe").load(written))


def test_every_json_record_is_documented():
    """The output has one schema, and its page a table for each record; tests of commands check output by it."""
    schema = json.loads((DOCS / "output.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    records = {name for name, record in schema["$defs"].items() if "properties" in record}

    assert records == set(re.findall(r"generated: output (\w+)", (DOCS / "json.md").read_text(encoding="utf-8")))


@pytest.mark.parametrize("line", ['{"account": "a"}', '{"config": "a.yaml", "error": "e", "exit_code": 2, "more": 1}'])
def test_json_output_with_a_missing_or_extra_key_is_refused(line):
    """The schema lists exactly the keys of each record."""
    with pytest.raises(AssertionError):
        documented(line)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("value.otherwise", "`value_unreadable`"),
        ("value_unreadable", "`otherwise`"),
        ("no_identifier", "Meta"),
        ("no_identifier", "postcode|code postal"),
        ("another_platform", "only gclid|gclid seulement"),
        ("window_closed", "`status --reason consent_refused`"),
    ],
)
def test_the_docs_explain_what_is_easily_misread(text, code, said):
    """An unreadable amount is not a missing one, and for Meta a name with a postcode is enough."""
    lines = [line for line in text.splitlines() if f"`{code}`" in line.split(" | ")[0]]

    assert any(re.search(said, line) for line in lines)
