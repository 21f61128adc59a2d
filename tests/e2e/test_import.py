"""`oplead leads import` against the sandbox: each lead of a file once, whatever crashes and whatever is lost."""

import csv
import json
import os
import signal
from collections import Counter
from itertools import cycle, islice

import pytest

from connectors.sandbox.oplead.form import FORM, FORM_TOKEN
from connectors.sandbox.oplead.gate import ADMIN_KEY, SUPPLIER_KEY
from connectors.sandbox.platform import FaultKind
from connectors.sandbox.population.company import Population
from connectors.sandbox.sandbox import Sandbox
from jobs.cli.approval import Approval
from jobs.exit_codes import Exit, UsageError
from jobs.ledger.runs import LeaseHeldError
from jobs.oplead_commands import leads
from jobs.oplead_commands.import_leads import ImportOptions, import_file
from jobs.oplead_commands.lead_values import lead_of
from jobs.oplead_commands.outbox import CreationState, hold_outbox, open_outbox, outbox_path
from tests import quick
from tests.e2e.support.company import ended
from tests.e2e.support.forked import Forked
from tests.e2e.support.killed_import import POINTS
from tests.e2e.test_oplead_commands import JEANNE, SECRET, Oplead

TITLES = ("Référence", "Nom", "Courriel", "Téléphone", "gclid", "leadData.budget")
PLAIN = ImportOptions()


@pytest.fixture
def oplead(tmp_path):
    """An Oplead of its own, with some leads of before."""
    with Sandbox(quick.with_key(tmp_path / "sandbox"), Population.generate(7, 40)) as sandbox:
        yield Oplead(sandbox, tmp_path)


def row(number, **other):
    """One invented person's cells, by title."""
    cells = (
        f"R-{number}",
        f"Exemple {number}",
        f"personne{number}@example.com",
        f"06 12 34 {number // 100 % 100:02} {number % 100:02}",
        f"Cj0KCQjwAbC-dEf_{number:06}",
        "12000",
    )
    return {**dict(zip(TITLES, cells, strict=True)), **other}


def leads_file(folder, rows, name="leads.csv"):
    """A file of leads as a French spreadsheet writes it."""
    file = folder / name
    with file.open("w", encoding="cp1252", newline="") as out:
        writer = csv.DictWriter(out, list(dict.fromkeys(title for each in rows for title in each)), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    return file


def emails(oplead):
    """How often each address is among the created leads."""
    created = {each["id"] for each in oplead.sandbox.oplead.book.created()}
    return Counter(
        lead["contact"]["email"] for lead_id, lead in oplead.sandbox.oplead.leads().items() if lead_id in created
    )


def outbox_of(oplead):
    """Each lead on record."""
    with open_outbox(outbox_path(oplead.folder, "maison-durand")) as outbox:
        return outbox._select("ORDER BY key", ())


def posts(oplead):
    """How many leads Oplead was asked to create."""
    return oplead.log.count("POST /v1/leads")


# ── once each ────────────────────────────────────────────────────────────────────────────────────


def killed_and_run_again(oplead, file, kills, nth):
    """Kill an import again and again, each time somewhere else, then let it end; return the last exit code."""
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")}
    environ = {**inherited, "KEY": ADMIN_KEY, "HOOK": SECRET}
    arguments = ["oplead", "leads", "import", file, "--config", oplead.file, "--yes"]
    for point in islice(cycle(reversed(POINTS)), kills):
        oplead.fail("/v1/leads", FaultKind.CUT_AFTER, after=nth // 3, count=2)
        oplead.fail("/v1/leads", FaultKind.CUT_BEFORE, after=nth // 2)
        prelude = f"import killed_import; killed_import.kill_at({point!r}, {nth})"
        with ended(Forked(arguments, environ=environ, cwd=oplead.folder, prelude=prelude)) as process:
            process.wait(500)
            assert -signal.SIGKILL == process.returncode, process.communicate()
    with ended(Forked(arguments, environ=environ, cwd=oplead.folder)) as process:
        said = process.communicate(500)
        assert Exit.DONE == process.returncode, said


@pytest.mark.parametrize(
    ("count", "kills", "nth"),
    [(150, 3, 30), pytest.param(5_000, 10, 400, marks=[pytest.mark.exhaustive, pytest.mark.timeout(3_000)])],
)
def test_each_lead_is_created_once_though_imports_are_killed_and_answers_cut(oplead, count, kills, nth):
    """Killed before, while and after a request, with answers lost before and after Oplead took a lead."""
    file = leads_file(oplead.folder, [row(number) for number in range(count)])

    killed_and_run_again(oplead, file, kills, nth)

    assert Counter({f"personne{number}@example.com": 1 for number in range(count)}) == emails(oplead)
    on_record = outbox_of(oplead)
    assert {CreationState.CREATED} == {one.state for one in on_record}
    assert count == len({one.lead for one in on_record})
