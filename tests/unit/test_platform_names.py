"""Which modules of `jobs` name a platform: the list in CONTRIBUTING.md for the author of a third one."""

import ast
import re
from pathlib import Path

JOBS = Path(__file__).parents[2] / "jobs"
NAMED = re.compile(r"google|(?<!ti)meta(?!data|var)|facebook", re.IGNORECASE)
ALLOWED = {
    "cli/app.py",
    "cli/setup/check.py",
    "cli/setup/state_restored.py",
    "cli/demo/audit.py",
    "cli/demo/play.py",
    "cli/demo/sandbox.py",
    "cli/setup/init/command.py",
    "cli/setup/init/interview.py",
    "cli/setup/init/questions.py",
    "cli/setup/init/recap.py",
    "cli/setup/init/written.py",
    "cli/options.py",
    "cli/output.py",
    "claims.py",
    "evidence/google.py",
    "evidence/meta.py",
    "evidence/walk.py",
    "cli/setup/evidence.py",
    "oplead_commands/importing/columns.py",
    "oplead_commands/creation/value_names.py",
    "reporting/page/attribution.py",
    "reporting/page/facts.py",
    "reporting/page/tables.py",
    "reporting/page/words.py",
    "reporting/wording/incidents.py",
    "reporting/wording/platform_codes.py",
    "reporting/wording/reasons.py",
    "settings/compile.py",
    "settings/lint.py",
    "settings/references.py",
    "settings/schema.py",
    "settings/types.py",
    "settings/unmatched.py",
    "wiring/account.py",
    "wiring/google_quota.py",
    "wiring/night.py",
    "wiring/trials.py",
}


def words(file):
    """A module's names and texts, except its docstrings and comments."""
    tree = ast.parse(file.read_text())
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.value
        elif isinstance(node, ast.Name | ast.Attribute | ast.arg | ast.alias):
            yield getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "arg", None) or node.name


def test_only_the_listed_modules_name_a_platform():
    """Rules, plan, ledger and delivery rely only on what a sink declares."""
    naming = {
        str(file.relative_to(JOBS))
        for file in JOBS.rglob("*.py")
        if "migrations" not in file.parts and any(NAMED.search(word) for word in words(file))
    }

    assert ALLOWED == naming
