"""`oplead-sync oplead …` against the sandbox: what reaches Oplead, what is said, and the exit codes."""

import csv
import io
import json
import re
import signal
import socket
import stat
import zipfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from connectors.crm import CrmEventKind, CrmListEntries, WriteAccepted
from connectors.errors import KeyRefused, Misconfigured
from connectors.oplead.source import OpleadSource
from connectors.records import AnswerLost
from connectors.sandbox.oplead.form import FORM_TOKEN
from connectors.sandbox.oplead.gate import ADMIN_KEY, SUPPLIER_KEY, USER_KEY, CallerRole
from connectors.sandbox.oplead.shape import ApiShape, shape_from_axis_positions
from connectors.sandbox.platform import FaultKind, PlannedFault
from connectors.sandbox.population.company import InventedLeads
from connectors.sandbox.sandbox import Sandbox
from jobs.cancellation import StoppedBySignal, never_cancelled
from jobs.cli.app import app
from jobs.cli.night import approval
from jobs.cli.night.approval import ApprovalOptions
from jobs.cli.oplead.commands import app as oplead_app
from jobs.cli.progress import open_clock_showing_waits
from jobs.exit_codes import Exit, UsageError
from jobs.oplead_commands import documents, lead_reads, lead_writes, show_settings, statuses, subscriptions
from jobs.oplead_commands.context import OpleadContext
from jobs.oplead_commands.creation.lead_values import lead_from_options
from jobs.settings.load import PartialSettings, load_partial
from tests import quick, suite
from tests.e2e.support.typed import _as_it_was, documented

SECRET = "a-secret-of-the-receiver-0123"
JEANNE = {"email": "jeanne.exemple@example.com", "last_name": "L'Exemple", "gclid": "Cj0KCQjwAbC-dEf_123456"}
FIELDS = """
      email: contact.email
      phone: contact.phone
      first_name: contact.firstname
      last_name: contact.lastname
      postcode: address.postcode
      city: address.city
      country: address.country
"""


class Oplead:
    """A sandbox's Oplead, and commands on it."""

    def __init__(self, sandbox, folder):
        self.sandbox = sandbox
        self.folder = folder
        self.file = folder / "maison.yaml"
        self.file.write_text(
            f"""
account: maison-durand
clock: {sandbox.sandbox_server_urls["clock"]}
oplead:
  token: ${{KEY}}
  base_url: {sandbox.sandbox_server_urls["oplead"]}
  write:
    fields:{FIELDS}
webhooks: {{ secret: "${{HOOK}}", public_url: "http://127.0.0.1:8391" }}
"""
        )

    @contextmanager
    def context(self, key=ADMIN_KEY, *, yes=True, dry_run=False, json=False):
        """What a command works with."""
        known = load_partial(
            self.file, {"KEY": key, "HOOK": SECRET, "FORM": FORM_TOKEN}, needed=("account", "webhooks")
        )
        assert isinstance(known, PartialSettings), known
        with open_clock_showing_waits(known.settings) as clock:
            yield OpleadContext(known, clock, ApprovalOptions(yes, dry_run, json), never_cancelled)

    def run(self, command, *arguments, key=ADMIN_KEY, dry_run=False, json=False, **options):
        """Run a command and return its exit code."""
        with self.context(key, dry_run=dry_run, json=json) as context:
            return command(context, *arguments, **options)

    def create(self, capsys, **values):
        """Create a lead and return its id."""
        with self.context(json=True) as context:
            lead = lead_from_options({**JEANNE, **values}, [], context.known.settings.zone)
            assert Exit.DONE == lead_writes.create(context, lead, again=True)
        return documented(capsys.readouterr().out)["id"]

    def fail(self, path, kind=FaultKind.STATUS, **more):
        """Plant a fault on the next request to a path."""
        self.sandbox.faults.plant(PlannedFault("oplead", kind, path=path, **more))

    @property
    def log(self):
        """Each request so far, as verb and path."""
        entries = self.sandbox.servers["oplead"].log.dump()["log"]
        return [f"{entry['method']} {entry['path']}" for entry in entries]

    def lead(self, lead_id):
        """A lead as it is on record."""
        return self.sandbox.oplead.leads()[lead_id]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One sandbox for all tests."""
    folder = tmp_path_factory.mktemp("sandbox")
    with Sandbox(quick.with_key(folder), InventedLeads.generate(7, 40)) as sandbox:
        yield sandbox


@pytest.fixture
def oplead(running, tmp_path):
    """Its Oplead, without faults and subscriptions, a minute later: each test may make all requests of one."""
    running.clock.advance(running.clock.now() + timedelta(minutes=1))
    yield Oplead(running, tmp_path)
    running.faults.clear()
    running.oplead.subscriptions.all.clear()
    for name, position in {"errors_quote": False, "form_external_id": "ignored"}.items():
        running.oplead.set_switch(name, position)


def quote(folder, name="devis.pdf", content=b"%PDF-1.7\n1 0 obj\n%%EOF\n"):
    """A file to add."""
    (folder / name).write_bytes(content)
    return folder / name


def office(folder, name, inside):
    """A zipped file with one member."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(inside, "<x/>")
    return quote(folder, name, packed.getvalue())


# ── leads ────────────────────────────────────────────────────────────────────────────────────────


def test_a_lead_is_created_and_read_back_with_its_click_id(oplead, capsys):
    """Every value stands where the night reads it, the click id in its labelled form."""
    new = oplead.create(capsys, clicked_at="2026-08-20T10:00:00+02:00", utm_source="google", provider_name="Site web")

    data = oplead.lead(new)
    assert "gclid=Cj0KCQjwAbC-dEf_123456&gclid_ts=2026-08-20T08:00:00Z" == data["leadData"]["externalID"]
    assert ("jeanne.exemple@example.com", "Site web") == (data["contact"]["email"], data["provider"]["name"])
    assert Exit.DONE == oplead.run(lead_reads.show_lead, new, contact=False)
    shown = capsys.readouterr().out
    assert re.search(r"kinds of click ids +gclid", shown)
    assert "jeanne" not in shown.casefold()


def test_contact_data_is_shown_only_where_it_is_asked_for(oplead, capsys):
    """By `get` and `list` alike, as text and as JSON; not even where a website wrote it into a UTM field."""
    new = oplead.create(capsys, utm_source="jeanne.exemple@example.com")

    for contact in (False, True):
        for json_wanted in (False, True):
            oplead.run(lead_reads.show_lead, new, contact=contact, json=json_wanted)
            oplead.run(lead_reads.show, since=None, limit=5, contact=contact, json=json_wanted)
            out = capsys.readouterr().out
            assert contact == ("jeanne.exemple@example.com" in out)
            assert "Cj0KCQjwAbC" not in out


def test_a_dry_run_and_a_no_write_nothing(oplead, capsys, monkeypatch):
    """Both show what would be written."""
    before = oplead.log.count("POST /v1/leads")
    with oplead.context(dry_run=True) as context:
        assert Exit.DONE == lead_writes.create(context, lead_from_options(JEANNE, [], context.known.settings.zone))
    shown = capsys.readouterr().out
    assert "POST /v1/leads" in shown
    assert "jeanne.exemple@example.com" in shown
    monkeypatch.setattr(ApprovalOptions, "ask_approval", lambda *_: False)
    with oplead.context(yes=False) as context:
        assert Exit.DONE == lead_writes.create(context, lead_from_options(JEANNE, [], context.known.settings.zone))

    assert "Nothing was written." in capsys.readouterr().out
    assert before == oplead.log.count("POST /v1/leads")


def test_a_lead_whose_creation_was_not_answered_needs_a_human(oplead, capsys):
    """It may be there, where another one is like it: exit code 1, when it is looked for, and no second request."""
    folder = oplead.folder / "elsewhere"
    folder.mkdir()
    Oplead(oplead.sandbox, folder).create(capsys)
    oplead.fail("/v1/leads", FaultKind.CUT_AFTER)
    before = oplead.log.count("POST /v1/leads")

    with oplead.context() as context:
        code = lead_writes.create(context, lead_from_options(JEANNE, [], context.known.settings.zone))

    said = capsys.readouterr().out
    assert Exit.ATTENTION == code
    assert "Nobody knows whether it was written" in said
    assert re.search(r"The next look is on \w+ \d", said)
    oplead.sandbox.clock.advance(oplead.sandbox.clock.now() + timedelta(minutes=31))
    with oplead.context() as context:
        lead_writes.create(context, lead_from_options(JEANNE, [], context.known.settings.zone))
    said = capsys.readouterr().out
    assert "leads list --since 2026-09-01" in said
    assert "--not-created" in said
    assert before + 1 == oplead.log.count("POST /v1/leads")


def test_a_refused_lead_says_why_without_what_was_sent(oplead, capsys):
    """Even by an Oplead that quotes the whole request in its errors."""
    oplead.sandbox.oplead.set_switch("errors_quote", value=True)
    with oplead.context() as context:
        code = lead_writes.create(
            context, lead_from_options({**JEANNE, "email": "jeanne.exemple"}, [], context.known.settings.zone)
        )

    said = capsys.readouterr().out.partition("Refused")[2]
    assert Exit.ATTENTION == code
    assert "(422)" in said
    assert not re.search("(?i)jeanne|exemple|Cj0KCQ", said), said


def test_an_update_changes_what_is_given_and_leaves_the_rest(oplead, capsys):
    """The night still reads the click id."""
    new = oplead.create(capsys)

    with oplead.context() as context:
        code = lead_writes.update(context, new, lead_from_options({"city": "Lyon"}, ["leadData.budget=12000"], None))

    data = oplead.lead(new)
    assert Exit.DONE == code
    assert ("Lyon", "12000", "L'Exemple") == (
        data["address"]["city"],
        data["leadData"]["budget"],
        data["contact"]["lastname"],
    )
    assert data["leadData"]["externalID"].startswith("gclid=")


@pytest.mark.parametrize(
    ("values", "fields", "said"),
    [
        ({}, [], "at least one value"),
        ({"email": " "}, [], "--email: write a value"),
        ({"first_name": "a\nb"}, [], "--first-name: write one line"),
        (
            {"email": "a@example.com", "clicked_at": "hier"},
            [],
            "--clicked-at: write a day as 2026-08-31 or 31/08/2026, and a time behind it as 14:05",
        ),
        ({"email": "a@example.com", "clicked_at": "2026-09-01T10:00:00"}, [], "--clicked-at: write the gclid"),
        ({"provider_url": "fournisseur"}, [], "--provider-url: write an address"),
        ({}, ["budget"], "--field: write PATH=VALUE"),
        ({}, ["lead..data=1"], "--field: write the field's place"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_opened(values, fields, said):
    """The message names the option, never the value."""
    with pytest.raises(UsageError, match=re.escape(said)):
        lead_from_options(values, fields, None)


def test_a_lead_that_does_not_exist_is_said(oplead, capsys):
    """Exit code 1, a sentence, no traceback."""
    assert Exit.ATTENTION == oplead.run(lead_reads.show_lead, "L-none", contact=False)
    assert "Oplead has no lead L-none" in capsys.readouterr().out


def test_the_list_is_newest_first_and_bounded(oplead, capsys):
    """`--since` counts from the start of that day, in the account's zone."""
    oplead.run(lead_reads.show, since=None, limit=3, contact=False, json=True)
    newest = [documented(line) for line in capsys.readouterr().out.splitlines()]
    day = newest[2]["created_at"][:10]
    oplead.run(lead_reads.show, since=date.fromisoformat(day), limit=100, contact=False, json=True)
    since = [documented(line) for line in capsys.readouterr().out.splitlines()]

    assert 3 == len(newest)
    assert [lead["created_at"] for lead in newest] == [lead["created_at"] for lead in since[:3]]
    assert all(lead["created_at"][:10] >= day for lead in since)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_holds_every_lead_for_its_owner_only(oplead, capsys, form):
    """In columns that an import reads; the file appears whole."""
    new = oplead.create(capsys)
    file = oplead.folder / f"leads.{form}"

    code = oplead.run(lead_reads.export_leads_to_file, file, since=None, fields=["leadData.projet"], form=None)

    text = file.read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text))) if form == "csv" else list(map(json.loads, text.splitlines()))
    row = next(row for row in rows if row["id"] == new)
    assert Exit.DONE == code
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert len([lead for lead in oplead.sandbox.oplead.leads().values() if lead]) == len(rows)
    assert ("jeanne.exemple@example.com", "gclid=Cj0KCQjwAbC-dEf_123456") == (row["email"], row["click_id"])
    assert [] == [path.name for path in oplead.folder.glob(".*part")]


def test_an_export_never_writes_over_a_file_and_leaves_no_half(oplead):
    """Neither where it is there already nor where reading fails."""
    there = quote(oplead.folder, "there.csv", b"kept")
    with pytest.raises(UsageError, match="exists already"):
        oplead.run(lead_reads.export_leads_to_file, there, since=None, fields=[], form=None)
    with pytest.raises(UsageError, match=r"\.csv or \.jsonl"):
        oplead.run(lead_reads.export_leads_to_file, oplead.folder / "leads.txt", since=None, fields=[], form=None)
    with pytest.raises(KeyRefused):
        oplead.run(
            lead_reads.export_leads_to_file,
            oplead.folder / "new.csv",
            since=None,
            fields=[],
            form=None,
            key=SUPPLIER_KEY,
        )

    assert b"kept" == there.read_bytes()
    assert {"maison.yaml", "there.csv"} == {path.name for path in oplead.folder.iterdir() if path.suffix != ".pace"}


def cut_short(monkeypatch, **gap):
    """Have every page say that leads are missing."""
    fetch = OpleadSource.fetch_changes
    monkeypatch.setattr(
        OpleadSource, "fetch_changes", lambda *args, **more: (replace(one, **gap) for one in fetch(*args, **more))
    )


GAPS = [({"resume": "next"}, "oplead.max_requests"), ({"moved": True}, "start again"), ({"missing": 2}, "2 more leads")]


@pytest.mark.parametrize(("gap", "said"), GAPS)
def test_a_list_that_was_not_read_whole_is_no_export(oplead, capsys, monkeypatch, gap, said):
    """Nobody takes half of the leads for all of them."""
    oplead.create(capsys)
    cut_short(monkeypatch, **gap)

    codes = (
        oplead.run(lead_reads.export_leads_to_file, oplead.folder / "leads.csv", since=None, fields=[], form=None),
        oplead.run(lead_reads.export_leads_to_file, Path("-"), since=None, fields=[], form="csv"),
        oplead.run(lead_reads.show, since=date(2020, 1, 1), limit=5, contact=False),
    )

    assert (Exit.ATTENTION,) * 3 == codes
    assert 3 == capsys.readouterr().err.count("not every lead was read")
    assert [] == [path.name for path in oplead.folder.iterdir() if "leads.csv" in path.name]
    oplead.run(lead_reads.show, since=date(2020, 1, 1), limit=5, contact=False)
    assert said in capsys.readouterr().err


def test_of_two_exports_to_one_name_the_first_is_kept(oplead, monkeypatch):
    """A file that appears meanwhile is not written over."""
    file = oplead.folder / "leads.csv"
    fetch = OpleadSource.fetch_changes

    def fetched(*args, **more):
        if not file.exists():
            assert Exit.DONE == oplead.run(lead_reads.export_leads_to_file, file, since=None, fields=[], form=None)
            file.write_bytes(b"the first")
        return fetch(*args, **more)

    def once(*args, **more):
        monkeypatch.setattr(OpleadSource, "fetch_changes", fetch)
        return fetched(*args, **more)

    monkeypatch.setattr(OpleadSource, "fetch_changes", once)
    with pytest.raises(UsageError, match="exists already"):
        oplead.run(lead_reads.export_leads_to_file, file, since=None, fields=[], form=None)

    assert b"the first" == file.read_bytes()
    assert [] == [path.name for path in oplead.folder.glob(".*part")]


FORM = """
    via: form
    form: {{ token: "${{FORM}}", form: site-web, url: "{url}/addlead/"{click_id} }}
    fields:"""


def by_form(oplead, click_id=""):
    """Have leads created by the form import."""
    form = FORM.format(url=oplead.sandbox.sandbox_server_urls["oplead_form"], click_id=click_id)
    oplead.file.write_text(oplead.file.read_text().replace("\n    fields:", form))


def test_a_lead_is_created_by_the_form_import(oplead, capsys):
    """Another service, another token; the lead is the same platform's."""
    by_form(oplead)
    values = {**JEANNE, "gclid": None, "postcode": "69003", "country": "FR"}

    with oplead.context(SUPPLIER_KEY, json=True) as context:
        assert Exit.DONE == lead_writes.create(context, lead_from_options(values, [], None))

    new = documented(capsys.readouterr().out)["id"]
    assert "jeanne.exemple@example.com" == oplead.lead(new)["contact"]["email"]


def test_the_form_import_refuses_click_ids_until_their_variable_is_known(oplead, capsys):
    """Which one it is nobody documents; once written, the night reads them."""
    oplead.sandbox.oplead.set_switch("form_external_id", "external_id")
    values = {**JEANNE, "postcode": "69003", "country": "FR"}
    by_form(oplead)
    with (
        oplead.context() as context,
        pytest.raises(UsageError, match=r"write oplead\.write\.form\.click_id"),
    ):
        lead_writes.create(context, lead_from_options(values, [], None))
    oplead.file.write_text(oplead.file.read_text().replace('/addlead/"', '/addlead/", click_id: external_id'))

    with oplead.context(json=True) as context:
        assert Exit.DONE == lead_writes.create(context, lead_from_options(values, [], None))

    new = documented(capsys.readouterr().out)["id"]
    assert "gclid=Cj0KCQjwAbC-dEf_123456" == oplead.lead(new)["leadData"]["externalID"]


def test_the_form_import_that_is_not_set_up_is_said(oplead):
    """Before anything is sent."""
    oplead.file.write_text(oplead.file.read_text().replace("\n    fields:", "\n    via: form\n    fields:"))

    with oplead.context() as context, pytest.raises(Misconfigured, match=r"oplead\.write\.form is missing"):
        lead_writes.create(context, lead_from_options(JEANNE, [], None))


# ── documents ────────────────────────────────────────────────────────────────────────────────────


def test_documents_are_added_with_their_bytes(oplead, capsys):
    """Each type is sniffed; Oplead has the same SHA-256."""
    new = oplead.create(capsys)
    files = [quote(oplead.folder), office(oplead.folder, "Devis.DOCX", "word/document.xml")]

    assert Exit.DONE == oplead.run(documents.send_lead_documents, new, files)

    added = oplead.sandbox.oplead.book.documents()
    assert {"devis.pdf", "Devis.DOCX"} <= set(re.findall(r"[\w.]+\.(?:pdf|DOCX)", json.dumps(added)))


BAD_FILES = {
    "a program": ("devis.pdf", b"MZ" + bytes(400), "its content does not"),
    "a text": ("devis.pdf", b"hello", "its content does not"),
    "an archive that is no document": ("devis.docx", None, "its content does not"),
    "another type": ("devis.txt", b"hello", "Oplead takes pdf"),
    "nothing in it": ("devis.pdf", b"", "it is empty"),
    "too large": ("devis.pdf", b"%PDF-1.7\n" + bytes(20_000_001), "more than 20 MB"),
}


@pytest.mark.parametrize("bad", BAD_FILES)
def test_one_bad_file_keeps_every_file_from_being_sent(oplead, bad):
    """All are checked before the first is sent."""
    name, content, why = BAD_FILES[bad]
    folder = oplead.folder / "bad"
    folder.mkdir()
    file = office(folder, name, "xl/workbook.xml") if content is None else quote(folder, name, content)
    before = len(oplead.log)

    with pytest.raises(UsageError, match=re.escape(why)):
        oplead.run(documents.send_lead_documents, "L-1", [quote(oplead.folder), file])

    assert before == len(oplead.log)


def test_a_document_whose_answer_was_lost_is_not_sent_again(oplead, capsys):
    """A second copy would stay: exit code 1, look in Oplead first, and the files after it wait."""
    new = oplead.create(capsys)
    path = f"/v1/leads/{new}/document/add"
    oplead.fail(path, FaultKind.CUT_AFTER)

    code = oplead.run(documents.send_lead_documents, new, [quote(oplead.folder), quote(oplead.folder, "facture.pdf")])

    said, err = capsys.readouterr()
    assert Exit.ATTENTION == code
    assert f"Look at lead {new} in Oplead before you send it again" in said
    assert "1 document after it not sent" in err
    assert 1 == oplead.log.count(f"POST {path}")


def test_a_document_is_not_sent_twice_to_a_platform_that_is_busy(oplead, capsys):
    """A 429 may come after it was added: a human looks."""
    new = oplead.create(capsys)
    oplead.fail(f"/v1/leads/{new}/document/add", status=429)

    assert Exit.ATTENTION == oplead.run(documents.send_lead_documents, new, [quote(oplead.folder)])
    assert "a second copy would stay" in capsys.readouterr().out


# ── statuses ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("en cours", "En cours"),
        ("NURSERIE", "Nurserie"),
        ("Devis à relancer", "Devis à relancer"),
        ("Devis Relancer", "devis relancer"),
        ("devis relancé", "devis relancer"),
        ("devis a relancer", "Devis à relancer"),
    ],
)
def test_the_guides_statuses_are_set_in_its_spelling(typed, sent):
    """Whatever case and accents they are typed with; both spellings of the quote."""
    assert sent == statuses.official_status_spelling(typed, force=False)


def test_another_status_takes_force(oplead, capsys):
    """The guide names three."""
    new = oplead.create(capsys)
    with pytest.raises(UsageError, match="write --force"):
        oplead.run(statuses.set_lead_status, new, "Gagné", force=False)

    assert Exit.DONE == oplead.run(statuses.set_lead_status, new, "Gagné", force=True)
    assert "Gagné" == oplead.lead(new)["status"]


@pytest.mark.parametrize(
    ("kind", "again"),
    [
        (FaultKind.CUT_BEFORE, True),
        (FaultKind.STATUS, True),
        (FaultKind.CUT_AFTER, False),
        (FaultKind.FAILED_AFTER, False),
    ],
)
def test_after_a_lost_answer_the_lead_is_read_and_set_again_only_if_it_differs(oplead, capsys, kind, again):
    """The lead itself, read before and after, is the answer."""
    new = oplead.create(capsys)
    path = f"/v1/leads/{new}/status"
    oplead.fail(path, kind)

    assert Exit.DONE == oplead.run(statuses.set_lead_status, new, "Nurserie", force=False)
    get = f"GET /v1/leads/{new}"
    assert [get, f"PUT {path}", get, *([f"PUT {path}", get] if again else [])] == [
        entry for entry in oplead.log if new in entry
    ]
    assert "Nurserie" == oplead.lead(new)["status"]


def test_a_lost_status_that_cannot_be_looked_up_needs_a_human(oplead, capsys):
    """Where reading fails too, nothing is repeated blindly."""
    new = oplead.create(capsys)
    oplead.fail(f"/v1/leads/{new}/status", FaultKind.CUT_AFTER)
    oplead.fail(f"/v1/leads/{new}", status=403, count=2)

    assert Exit.ATTENTION == oplead.run(statuses.set_lead_status, new, "Nurserie", force=False)
    assert "Nobody knows whether it was written" in capsys.readouterr().out


def test_a_file_of_statuses_is_set_row_by_row(oplead, capsys):
    """Refused rows are named; the others are set."""
    one, two = oplead.create(capsys), oplead.create(capsys)
    file = quote(oplead.folder, "s.csv", f"ID;Statut\n{one};en cours\nL-none;Nurserie\n{two};Nurserie\n".encode())

    code = oplead.run(statuses.set_statuses_from_file, file, force=False)

    said = capsys.readouterr().out
    assert Exit.ATTENTION == code
    assert ("En cours", "Nurserie") == (oplead.lead(one)["status"], oplead.lead(two)["status"])
    assert "L-none: Oplead has no such lead" in said
    assert "2 statuses set of 3" in said


def test_a_status_that_somebody_has_set_meanwhile_stays(oplead, monkeypatch):
    """An answer that was lost is no reason to undo what a human did after."""
    labels = iter(["Nouveau", "Gagné"])
    monkeypatch.setattr(statuses, "_label_now", lambda *_: next(labels))
    writes = []

    class Writer:
        def set_status(self, lead_id, label):
            writes.append((lead_id, label))
            return AnswerLost("no answer")

    with oplead.context() as context:
        receipt = statuses.set_and_confirm_status(context, Writer(), None, "L-1", "Nurserie")

    assert AnswerLost("no answer") == receipt
    assert [("L-1", "Nurserie")] == writes


def test_a_file_of_statuses_stops_after_ten_lost_answers_and_names_what_is_left(oplead, capsys, monkeypatch):
    """Those that are set are not named: running them again might undo what was done since."""
    lines = "".join(f"L-{number},Nurserie\n" for number in range(13))
    receipts = iter([WriteAccepted(), *[AnswerLost("no answer")] * 12])
    monkeypatch.setattr(statuses, "set_and_confirm_status", lambda *_, **__: next(receipts))

    code = oplead.run(
        statuses.set_statuses_from_file, quote(oplead.folder, "s.csv", f"id,status\n{lines}".encode()), force=False
    )

    said = " ".join(capsys.readouterr().out.split())
    assert Exit.ATTENTION == code
    assert 2 == len(list(receipts))
    assert f"Left: {', '.join(f'L-{number}' for number in range(1, 13))}. Run a file with only these lines" in said


BAD_STATUS_FILES = {
    "id,status\nL-1,Vendu\n": "s.csv:2: an integration may set",
    "id,status\nL-1,En cours\nL-1,Nurserie\n": "s.csv:3: lead L-1 has two statuses",
    "id,status\n,En cours\n": "s.csv:2: the lead's id is missing",
    "lead;label\nL-1;En cours\n": "must name the columns id and status",
    "id,status\n": "it names no lead",
    "": "must name the columns id and status",
    'id,status\nL-1,"En cours\n': "s.csv:2:",
}


@pytest.mark.parametrize("text", BAD_STATUS_FILES)
def test_a_file_with_a_mistake_sets_nothing(oplead, text):
    """It is validated whole before the first request."""
    before = len(oplead.log)

    with pytest.raises(UsageError, match=re.escape(BAD_STATUS_FILES[text])):
        oplead.run(statuses.set_statuses_from_file, quote(oplead.folder, "s.csv", text.encode()), force=False)

    assert before == len(oplead.log)


# ── settings and keys ────────────────────────────────────────────────────────────────────────────


def test_settings_show_channels_and_custom_fields_to_a_supplier(oplead, capsys):
    """As the guide says a supplier's key may."""
    assert Exit.DONE == oplead.run(show_settings.show, key=SUPPLIER_KEY)

    said = capsys.readouterr().out
    assert "CNL_SITE" in said
    assert "Budget" in said


def test_a_list_that_the_key_may_not_read_is_said_plainly(oplead, capsys):
    """One sentence, and the other list all the same."""
    oplead.fail("/v1/settings/custom-fields", status=403)

    assert Exit.ATTENTION == oplead.run(show_settings.show)

    said = capsys.readouterr().out
    assert "Oplead refuses this key for the custom fields" in said
    assert "CNL_SITE" in said


@pytest.mark.parametrize("key", [ADMIN_KEY, USER_KEY, SUPPLIER_KEY])
def test_each_kind_of_key_does_what_the_guide_says(oplead, capsys, key):
    """All create; a supplier's may not set a status, and is told in one sentence which key may."""
    with oplead.context(key, json=True) as context:
        assert Exit.DONE == lead_writes.create(context, lead_from_options(JEANNE, [], None))
    new = documented(capsys.readouterr().out)["id"]

    code = oplead.run(statuses.set_lead_status, new, "Nurserie", force=False, key=key)

    said = capsys.readouterr().out
    assert (Exit.CONFIGURATION if key == SUPPLIER_KEY else Exit.DONE) == code
    assert (key == SUPPLIER_KEY) == ("It takes the client admin's key, or a user's" in said)


# ── webhooks ─────────────────────────────────────────────────────────────────────────────────────

SUBSCRIBE = partial(subscriptions.subscribe, kinds=list(CrmEventKind), force=False)


def test_subscribing_twice_subscribes_once(oplead, capsys):
    """The second time it is recognised; the secret is in Oplead's copy alone."""
    assert Exit.DONE == oplead.run(SUBSCRIBE)
    assert Exit.DONE == oplead.run(SUBSCRIBE)

    on_record = oplead.sandbox.oplead.subscriptions.all.values()
    assert 3 == len(on_record)
    assert {f"http://127.0.0.1:8391/hooks/{SECRET}"} == {each.url for each in on_record}
    oplead.run(subscriptions.show)
    oplead.run(subscriptions.show, json=True)
    said = capsys.readouterr().out
    assert 3 == said.count("subscribed already")
    assert SECRET not in said


def test_a_subscription_whose_answer_was_lost_is_looked_up(oplead):
    """It is there: no second one is made."""
    oplead.fail("/v1/subscriptions", FaultKind.CUT_AFTER, after=1)

    assert Exit.DONE == oplead.run(SUBSCRIBE)
    assert 3 == len(oplead.sandbox.oplead.subscriptions.all)


@pytest.mark.parametrize(("status", "times"), [(403, 1), (500, 5)])
def test_a_list_that_fails_after_a_lost_answer_leaves_it_lost_and_the_others_subscribed(oplead, capsys, status, times):
    """What may have arrived is told, and the other events are tried."""
    oplead.fail("/v1/subscriptions", FaultKind.CUT_AFTER, after=1)
    oplead.fail("/v1/subscriptions", status=status, after=1, count=times)

    assert Exit.ATTENTION == oplead.run(SUBSCRIBE)
    said = capsys.readouterr().out
    assert 1 == said.count("Nobody knows whether it was written")
    assert 2 == said.count(": subscribed")


def test_removing_ends_ours_and_no_others(oplead):
    """`--all` goes by the address."""
    oplead.run(SUBSCRIBE)
    with oplead.context() as context, context.writer() as writer:
        writer.subscribe(CrmEventKind.NEW_LEAD, "https://somebody-else.example/hook")

    assert Exit.DONE == oplead.run(subscriptions.remove, [], all_ours=True)
    assert ["https://somebody-else.example/hook"] == [
        each.url for each in oplead.sandbox.oplead.subscriptions.all.values()
    ]


@pytest.mark.parametrize("rest", ["/another-secret-012345", "?secret=another-secret-012345", ""])
def test_after_a_new_secret_old_subscriptions_are_told_and_ended(oplead, capsys, rest):
    """`list` marks them, `subscribe` names them, `remove --all` ends them; an address that only begins alike stays."""
    on_record = oplead.sandbox.oplead.subscriptions
    old = on_record.add("lead.created", f"http://127.0.0.1:8391/hooks{rest}", CallerRole.ADMIN).id
    on_record.add("lead.created", "http://127.0.0.1:8391/hooks-of-others/x", CallerRole.ADMIN)

    assert Exit.DONE == oplead.run(SUBSCRIBE)
    assert f"With an old secret: {old}. " in capsys.readouterr().err
    assert Exit.DONE == oplead.run(subscriptions.show, json=True)
    shown = [documented(line) for line in capsys.readouterr().out.splitlines()]
    assert {(True, True): 1, (True, False): 3, (False, False): 1} == Counter(
        (one["ours"], one["old_secret"]) for one in shown
    )
    assert Exit.DONE == oplead.run(subscriptions.show)
    assert 1 == capsys.readouterr().out.count("old secret")
    assert Exit.DONE == oplead.run(subscriptions.remove, [], all_ours=True)

    assert ["http://127.0.0.1:8391/hooks-of-others/x"] == [each.url for each in on_record.all.values()]


@pytest.fixture
def crowded(oplead):
    """A platform with a page of somebody else's subscriptions before ours."""
    platform = oplead.sandbox.oplead
    platform.shape = shape_from_axis_positions({"page_size": 20})
    for _ in range(20):
        platform.subscriptions.add("lead.created", "https://somebody-else.example/hook", CallerRole.ADMIN)
    yield oplead
    platform.shape = ApiShape()


def test_subscriptions_on_the_second_page_count_too(crowded, capsys):
    """What is there is not subscribed to again, all are listed, and all of ours are ended."""
    assert Exit.DONE == crowded.run(SUBSCRIBE)
    assert Exit.DONE == crowded.run(SUBSCRIBE)
    assert Exit.DONE == crowded.run(subscriptions.show)
    assert Exit.DONE == crowded.run(subscriptions.remove, [], all_ours=True)

    assert 20 == len(crowded.sandbox.oplead.subscriptions.all)
    said = capsys.readouterr().out
    assert 3 == said.count("subscribed already")
    assert "23 subscriptions" in said


def test_a_list_of_subscriptions_that_may_go_on_is_not_taken_for_whole(crowded, capsys):
    """`subscribe` refuses without `--force`, `list` and `remove --all` exit with 1, each with the reason."""
    crowded.sandbox.oplead.shape = shape_from_axis_positions({"page_size": 20, "pagination": "page"})

    with pytest.raises(Misconfigured, match=r"may be more subscriptions .* may be cut.*--force"):
        crowded.run(SUBSCRIBE)
    assert Exit.DONE == crowded.run(SUBSCRIBE, force=True)
    assert Exit.ATTENTION == crowded.run(subscriptions.show, json=True)
    assert Exit.ATTENTION == crowded.run(subscriptions.remove, [], all_ours=True)

    assert 2 == capsys.readouterr().err.count("there may be more subscriptions than were read: the list may be cut")


def test_subscribing_needs_a_public_address(oplead):
    """The message names the setting."""
    oplead.file.write_text(oplead.file.read_text().replace(', public_url: "http://127.0.0.1:8391"', ""))

    with pytest.raises(UsageError, match=r"webhooks\.public_url is missing"):
        oplead.run(SUBSCRIBE)


# ── the command line ─────────────────────────────────────────────────────────────────────────────


def typed(oplead, *arguments, **environ):
    """Type a command and return its exit code, stdout and stderr."""
    keys = {"KEY": ADMIN_KEY, "HOOK": SECRET, "FORM": FORM_TOKEN} | environ
    with _as_it_was():
        done = CliRunner().invoke(app, ["oplead", *arguments, "--config", str(oplead.file)], env=keys)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_commands_are_typed_with_an_unfinished_file(oplead):
    """Without conversions: account, oplead and webhooks are enough."""
    code, out, err = typed(
        oplead, "leads", "create", "--email", "a@example.com", "--gclid", "Cj0KCQjwAbC-dEf_1", "--yes", "--json"
    )
    new = documented(out)["id"]

    assert (0, "") == (code, err)
    assert (
        0 == typed(oplead, "leads", "update", new, "--city", "Lyon", "--field", "leadData.projet=Pergola", "--yes")[0]
    )
    assert 0 == typed(oplead, "leads", "list", "--limit", "2")[0]
    assert 0 == typed(oplead, "status", "set", new, "En cours", "--yes")[0]
    assert 0 == typed(oplead, "document", "add", new, str(quote(oplead.folder)), "--yes")[0]
    assert 0 == typed(oplead, "leads", "feedback")[0]
    assert 0 == typed(oplead, "settings", "show", "--json")[0]
    assert 0 == typed(oplead, "webhooks", "subscribe", "--event", "status_change", "--yes")[0]
    assert 0 == typed(oplead, "webhooks", "list")[0]
    assert 0 == typed(oplead, "webhooks", "remove", "--all", "--yes")[0]
    assert 0 == typed(oplead, "leads", "export", str(oplead.folder / "new.csv"), "--field", "leadData.projet")[0]
    assert "Pergola" in (oplead.folder / "new.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("leads", "create", "--email", "a@example.com"), "write --yes to agree, or --dry-run"),
        (("leads", "create", "--email", "a@example.com", "--json"), "--json asks nobody"),
        (("leads", "create", "--yes"), "at least one value"),
        (("leads", "import", "none.csv", "--yes"), "there is no such file"),
        (("leads", "import", "none.csv"), "write --yes to agree, or --dry-run"),
        (("status", "set", "L-1", "--yes"), "write LEAD and STATUS, or --csv FILE"),
        (("status", "set", "--csv", "none.csv", "--yes"), "none.csv: there is no such file"),
        (("leads", "import", "none.csv", "--columns", "none.yaml", "--yes"), "none.yaml: there is no such file"),
        (("leads", "export", "nodir/x.csv"), "nodir/x.csv: its folder does not exist"),
        (("webhooks", "subscribe", "--event", "foo", "--yes"), "Invalid value for '--event': 'foo' is not one of"),
        (("leads", "import", "x.csv", "--created", "--not-created"), "write one of --created, --create-again and"),
        (("document", "add", "L-1", "none.pdf", "--yes"), "there is no such file"),
    ],
)
def test_wrong_usage_exits_with_2_and_one_sentence(oplead, arguments, said):
    """Nothing is sent, and no traceback is shown."""
    before = len(oplead.log)
    code, out, err = typed(oplead, *arguments)

    assert 2 == code
    assert said in out + err
    assert before == len(oplead.log)
    assert "Traceback" not in out + err


CREATE = ("leads", "create", "--email", "nouvelle@example.com", "--first-name", "Zoé", "--last-name", "Exemple")
CREATE += ("--phone", "0612345678", "--postcode", "44000", "--city", "Nantes", "--country", "FR", "--yes", "--json")


@pytest.mark.parametrize("contact", suite.mostly_exhaustive(["nested", "flat", "customer"], "nested"))
def test_a_lead_can_be_created_with_the_settings_that_init_writes(oplead, contact):
    """Its values go where the leads that `init` looked at have theirs."""
    mine, addresses = oplead.folder / "mine", oplead.sandbox.sandbox_server_urls
    oplead.sandbox.oplead.set_switch("contact", contact)
    options = {"--clock": addresses["clock"], "--base-url": addresses["oplead"], "--dir": str(mine)}
    options |= {"--account": "maison-durand", "--meta-dataset-id": "1234567890", "--stage": "won=Gagné"}
    with _as_it_was():
        words = ["init", "--yes", *(word for option in options.items() for word in option)]
        done = CliRunner().invoke(app, words, env={"OPLEAD_TOKEN": ADMIN_KEY})
    assert (mine / "pipeline.yaml").exists(), done.output

    oplead.file = mine / "pipeline.yaml"
    code, out, err = typed(oplead, *CREATE, OPLEAD_TOKEN=ADMIN_KEY)

    oplead.sandbox.oplead.set_switch("contact", "nested")
    assert 0 == code, out + err
    assert "nouvelle@example.com" == oplead.lead(documented(out)["id"])["contact"]["email"]


def test_a_lead_can_be_created_with_the_settings_of_the_demo(oplead):
    """Without editing them."""
    oplead.file = oplead.sandbox.write_settings(oplead.folder / "demo")
    code, out, err = typed(oplead, *CREATE, OPLEAD_TOKEN=ADMIN_KEY)

    assert 0 == code, out + err
    assert "Zoé" == oplead.lead(documented(out)["id"])["contact"]["firstname"]


def commands_of(group, name=()):
    """The words of every command under a group."""
    if not hasattr(group, "commands"):
        return {name}
    return {words for each, inside in group.commands.items() for words in commands_of(inside, (*name, each))}


@pytest.mark.parametrize("agreed", ["--yes", "--dry-run"])
def test_with_json_nothing_else_is_on_stdout(oplead, agreed):
    """Every command under `oplead` that takes `--json`: each line is an object that the schema describes."""
    folder = oplead.folder
    (folder / "import.csv").write_text("email;last_name\nb@example.com;Exemple\n", encoding="utf-8")
    new = documented(typed(oplead, "leads", "create", "--email", "a@example.com", "--yes", "--json")[1])["id"]
    (folder / "status.csv").write_text(f"id;status\n{new};Nurserie\n", encoding="utf-8")
    from_supplier = ("--provider-name", "Exemple", "--provider-url", "https://supplier.example/hook")
    usages = [
        ("leads create --email c@example.com", *from_supplier),
        (f"leads update {new} --city Lyon",),
        (f"leads get {new}",),
        ("leads get L-none",),
        ("leads list --contact",),
        ("leads import", str(folder / "import.csv")),
        ("leads feedback",),
        ("leads feedback --csv", str(folder / "feedback.csv")),
        (f"document add {new}", str(quote(folder)), str(quote(folder, "facture.pdf"))),
        ("document add L-none", str(quote(folder)), str(quote(folder, "facture.pdf"))),
        (f"status set {new} Nurserie",),
        ("status set --csv", str(folder / "status.csv")),
        ("settings show",),
        ("webhooks remove --all",),
        ("webhooks subscribe",),
        ("webhooks list",),
        ("webhooks remove",),
        ("webhooks remove S-none",),
        ("webhooks remove --all",),
    ]
    reading = ("get", "list", "feedback", "show")
    for usage, *values in usages:
        words = [*usage.split(), *values]
        out = typed(oplead, *words, *([] if words[1] in reading else [agreed]), "--json")[1]

        for line in out.splitlines():
            assert documented(line), words
    elsewhere = {("leads", "export"), ("webhooks", "serve")}  # takes no --json, and goes on until it is stopped
    assert {tuple(usage.split()[:2]) for usage, *_ in usages} | elsewhere == commands_of(get_command(oplead_app))


@pytest.mark.parametrize("lead", suite.mostly_exhaustive(["", " ", ".", "..", "L\n1", "L" * 201], "", ".."))
@pytest.mark.parametrize(
    "arguments",
    [
        ("leads", "get", "LEAD"),
        ("leads", "update", "LEAD", "--city", "Lyon", "--yes"),
        ("document", "add", "LEAD", "devis.pdf", "--yes"),
        ("status", "set", "LEAD", "Nurserie", "--yes"),
    ],
)
def test_a_lead_that_no_path_can_name_is_wrong_usage(oplead, arguments, lead):
    """Without an id, or with dots for one, the request would be about something else."""
    file = str(quote(oplead.folder))
    named = {"LEAD": lead, "devis.pdf": file}
    before = len(oplead.log)
    code, out, err = typed(oplead, *(named.get(one, one) for one in arguments))

    assert 2 == code
    assert "LEAD: write the lead's id" in out + err
    assert before == len(oplead.log)


def test_a_key_that_may_not_read_exits_with_2_and_one_sentence(oplead):
    """It says which key it takes, and never what the key is."""
    code, out, err = typed(oplead, "leads", "list", KEY=SUPPLIER_KEY)

    assert 2 == code
    assert "client admin" in err
    assert SUPPLIER_KEY not in out + err


@pytest.mark.parametrize(
    "arguments",
    [
        ("leads", "get", "L-1"),
        ("leads", "list"),
        ("leads", "list", "--since", "2026-08-01"),
        ("leads", "export", "FOLDER/new.csv"),
        ("leads", "create", "--email", "a@example.com", "--yes"),
        ("leads", "import", "FOLDER/import.csv", "--yes"),
        ("leads", "update", "L-1", "--city", "Lyon", "--yes"),
        ("document", "add", "L-1", "FOLDER/devis.pdf", "--yes"),
        ("status", "set", "L-1", "Nurserie", "--yes"),
        ("settings", "show"),
        ("webhooks", "subscribe", "--yes"),
        ("webhooks", "subscribe", "--event", "new_lead", "--force", "--yes"),
        ("webhooks", "list"),
        ("webhooks", "remove", "S-1", "--yes"),
        ("webhooks", "remove", "--all", "--yes"),
    ],
)
def test_an_oplead_that_nobody_answers_for_exits_with_3(oplead, arguments):
    """Whatever was asked for: it may be there again tomorrow."""
    quote(oplead.folder)
    quote(oplead.folder, "import.csv", b"email;last_name\nb@example.com;Exemple\n")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    oplead.file.write_text(oplead.file.read_text().replace(oplead.sandbox.sandbox_server_urls["oplead"], address))
    code, out, err = typed(oplead, *(each.replace("FOLDER", str(oplead.folder)) for each in arguments))

    assert 3 == code, out + err
    assert 1 == (out + err).count(f"nobody answers at {address}")
    assert "cannot be read" not in out + err


def test_a_key_that_oplead_does_not_know_is_said(oplead):
    """Unlike one that it knows and that may not do it."""
    unknown = typed(oplead, "status", "set", "L-1", "Nurserie", "--yes", KEY="nobodys-key-0123456789")
    reading = typed(oplead, "leads", "list", KEY="nobodys-key-0123456789")
    narrow = typed(oplead, "leads", "list", KEY=SUPPLIER_KEY)

    assert (2, 2, 2) == (unknown[0], reading[0], narrow[0])
    assert "Oplead does not know this key (401)" in unknown[1]
    assert "may not do it" not in unknown[1]
    assert "Oplead refuses the token (401" in reading[2]
    assert "Oplead knows the key, and does not let it read this (403 on /v1/leads); it may be a supplier's" in narrow[2]


def test_what_is_not_there_is_named_once(oplead):
    """A subscription is no lead."""
    removed = typed(oplead, "webhooks", "remove", "S-none", "--yes")[1]
    changed = typed(oplead, "leads", "update", "L-none", "--city", "Lyon", "--yes")[1]

    assert "S-none: Oplead has no such subscription, or this key may not see it (404)." in removed
    assert "no such lead" not in removed
    assert 1 == changed.count("no such lead")


def test_a_command_to_type_next_names_the_settings(oplead):
    """It can be pasted as it is."""
    oplead.fail("/v1/leads/L-1/status", FaultKind.CUT_AFTER, count=20)
    with_config = f"--config {oplead.file}`"

    assert f"oplead leads get L-1 {with_config}" in typed(oplead, "status", "set", "L-1", "Nurserie", "--yes")[1]
    assert f"oplead webhooks list {with_config}" in typed(oplead, "webhooks", "remove", "--yes")[2]
    assert f"oplead webhooks serve {with_config}" in fed_back(oplead)


def fed_back(oplead, *options, leads=1):
    """What `leads feedback` says of new leads."""
    supplier = ("--provider-name", "E", "--provider-url", "https://supplier.example/hook/secret-0123")
    for number in range(leads):
        typed(oplead, "leads", "create", "--email", f"a{number}@example.com", *supplier, "--yes")
    return typed(oplead, "leads", "feedback", *options)[1]


def test_leads_fed_back_stand_in_the_order_of_their_creation(oplead):
    """Those of one second by id."""
    found = [documented(line) for line in fed_back(oplead, "--json", leads=6).splitlines()]

    assert 6 == len(found)
    assert found == sorted(found, key=lambda one: (one["created_at"][:19], one["lead"]))


def test_a_narrow_terminal_breaks_no_id_and_no_address(oplead):
    """What does not fit side by side stands one below the other."""
    email = "jeanne-marguerite.exemple@entreprise.example.com"
    words = ("--email", email, "--last-name", "Exemple", "--phone", "0612345678", "--yes", "--json")
    new = documented(typed(oplead, "leads", "create", *words)[1])["id"]
    typed(oplead, "webhooks", "subscribe", "--yes")
    shown = {
        width: typed(oplead, "leads", "list", "--contact", "--limit", "5", COLUMNS=width)[1] for width in ("80", "200")
    }
    subscriptions_shown = typed(oplead, "webhooks", "list", COLUMNS="60")[1]

    assert all(new in one and email in one for one in shown.values())
    assert 80 >= max(map(len, shown["80"].splitlines()))
    assert re.search(rf"^ +Lead +{new} *$", shown["80"], re.MULTILINE)
    assert re.search(rf"^{new} .*{email}", shown["200"], re.MULTILINE)
    assert all(one.id in subscriptions_shown for one in oplead.sandbox.oplead.subscriptions.all.values())
    assert 3 == subscriptions_shown.count("http://127.0.0.1:8391/…")


def test_a_preview_masks_the_secret_in_the_suppliers_address(oplead):
    """As `webhooks subscribe` does; Oplead gets it whole."""
    url = "https://supplier.example/hook/secret-0123"
    words = ("leads", "create", "--email", "masked@example.com", "--provider-name", "E", "--provider-url", url)
    said = "".join(typed(oplead, *words, *more)[1] for more in (("--dry-run",), ("--dry-run", "--json"), ("--yes",)))

    assert 3 == said.count("https://supplier.example/…")
    assert "secret-0123" not in said
    assert url in {(lead.get("provider") or {}).get("url") for lead in oplead.sandbox.oplead.leads().values() if lead}


def test_settings_show_says_yes_and_no(oplead, capsys, monkeypatch):
    """As a marketer does."""
    listed = CrmListEntries([{"code": "CNL_1", "active": True, "archived": False}])
    monkeypatch.setattr("connectors.oplead.writing.lists.OpleadLists.crm_marketing_channels", lambda _self: listed)
    oplead.run(show_settings.show)

    assert re.search(r"CNL_1 +yes +no", capsys.readouterr().out)


@pytest.mark.parametrize("yes", [True, False])
def test_a_stop_says_whether_anything_was_written(oplead, monkeypatch, yes):
    """At the question nothing was yet; once somebody has agreed, what was is shown."""
    monkeypatch.setattr(approval, "is_interactive", lambda: True)
    what = "jobs.oplead_commands.context.OpleadContext.retry_write_if_not_received" if yes else "select.select"

    def stop(*_):
        raise StoppedBySignal(signal.SIGINT)

    monkeypatch.setattr(what, stop)
    code, out, err = typed(oplead, "status", "set", "L-1", "Nurserie", *(["--yes"] if yes else []))

    assert 130 == code, out + err
    assert yes == ("what has been written is shown above" in err)
    assert yes != ("nothing was written" in err)


def test_secrets_never_reach_the_output(oplead):
    """Neither the key nor the receiver's secret, whatever is shown or fails."""
    oplead.fail("/v1/subscriptions", status=500, count=5)
    said = ""
    for arguments in (("webhooks", "subscribe", "--yes"), ("webhooks", "list", "--json"), ("settings", "show")):
        _, out, err = typed(oplead, *arguments)
        said += out + err

    assert not [secret for secret in (ADMIN_KEY, SECRET, FORM_TOKEN) if secret in said]
