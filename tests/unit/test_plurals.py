"""No message reads `1 leads`: a number and its noun come from `_n`."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOUNS = (
    *("leads", "requests", "days", "rows", "events", "statuses", "conversions", "characters", "nights", "names"),
    *("arrays", "accounts", "answers", "corrections", "deliveries", "changes", "pages", "values", "times", "things"),
)
NEVER_ONE = {
    "connectors/oplead/source.py: pages": "how many are looked through is a constant",
    "jobs/deliver/resolve.py: days": "how long an outcome is waited for is a constant",
    "jobs/pull/list_reading.py: leads": "only many at once are told",
    "jobs/reporting/wording/messages.py: characters": "the length of a click id",
    "jobs/reporting/wording/messages.py: conversions": "an alarm wants several",
    "jobs/reporting/wording/messages.py: days": "how long lately is, is a constant",
    "jobs/reporting/wording/messages.py: nights": "how many are looked back at is a constant",
    "jobs/reporting/wording/messages.py: times": "how often an upload is tried is a constant",
    "jobs/reporting/wording/messages.py: corrections": "an excess is never one",
    "jobs/reporting/wording/incidents.py: conversions": "silence is noticed where there were several",
    "jobs/reporting/wording/incidents.py: nights": "how many are looked back at is a constant",
    "jobs/reporting/lead_report.py: leads": "an estimate takes many",
    "jobs/reporting/values_report.py: leads": "an estimate takes many",
    "jobs/reporting/values_report.py: days": "a horizon is a month or more",
    "jobs/reporting/page/brief.py: days": "the spans of a page are constants",
    "jobs/cli/lead/explain.py: characters": "the length of a click id",
    "jobs/settings/document.py: characters": "the length of a secret",
    "connectors/oplead/files/table.py: rows": "a file's limit is thousands of them",
    "connectors/oplead/files/xlsx_bounds.py: times": "a part's limit is a constant",
    "connectors/oplead/pagination.py: leads": "one lead less than there are is told by nobody",
    "connectors/oplead/pagination.py: pages": "a list of thousands",
    "connectors/oplead/survey/click_ids.py: values": "a suspicion wants several",
    "connectors/oplead/survey/click_ids.py: characters": "the length of a click id",
    "connectors/oplead/parsing/items.py: arrays": "one array is what is looked for",
    "connectors/oplead/pagination.py: characters": "more than a request may have",
    "connectors/oplead/parsing/webhook_parser.py: events": "more than a webhook may hold",
    "jobs/evidence/oplead_writes.py: characters": "our own click id is longer than one",
    "jobs/oplead_commands/creation/lead_values.py: characters": "more than a value may have",
    "jobs/settings/load.py: characters": "the greatest length of a text",
    "jobs/settings/oplead_schema.py: characters": "the least length of a secret",
}


TEMPLATE = re.compile(r"\{(?!\w*name|destination)\w+(?::g)?\} (\w+)")
"""A value in a message's text that `_n` did not format, and the word after it."""


def plain_numbers(file):
    """The plural nouns after a value that `_n` does not format."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("_", "N_") and len(node.args) == 1:
            texts = [each.value for each in ast.walk(node.args[0]) if isinstance(each, ast.Constant)]
            yield from (noun for text in texts for noun in TEMPLATE.findall(str(text)) if noun in NOUNS)
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, text in zip(node.values, node.values[1:], strict=False):
            if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant):
                noun = next((noun for noun in NOUNS if text.value.startswith(f" {noun}")), None)
                if noun and not _is_name(value):
                    yield noun


def _is_name(value):
    """Whether the value is a text and no number, as in `the API answers` or `sale corrections`."""
    return "NAMES" in ast.dump(value) or ast.unparse(value.value).endswith(("destination", "name"))


def test_counted_nouns_are_formatted_by_n():
    """A place where the number is never one gives its reason in the list."""
    folders = (ROOT / "jobs", *(ROOT / "connectors" / name for name in ("oplead", "google_ads", "meta")))
    files = [file for folder in folders for file in folder.rglob("*.py")]
    found = {f"{file.relative_to(ROOT)}: {noun}" for file in files for noun in plain_numbers(file)}

    assert NEVER_ONE.keys() == found
