"""`oplead leads import` against the sandbox: each lead of a file once, whatever crashes and whatever is lost."""

import csv
import os
import re
import signal
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import cycle, islice

import pytest

from connectors.crm import WriteAccepted
from connectors.errors import Misconfigured, WrongClock
from connectors.oplead.client import OpleadClient
from connectors.oplead.source import OpleadSource
from connectors.oplead.writing.writer import OpleadWriter
from connectors.sandbox.oplead.form import FORM, FORM_TOKEN
from connectors.sandbox.oplead.gate import ADMIN_KEY, SUPPLIER_KEY
from connectors.sandbox.platform import FaultKind, PlannedFault
from connectors.sandbox.population.company import InventedLeads
from connectors.sandbox.sandbox import Sandbox
from jobs.cancellation import StoppedBySignal
from jobs.cli.night.approval import ApprovalOptions
from jobs.exit_codes import Exit, UsageError
from jobs.ledger.storage.lock import LeaseHeldError
from jobs.oplead_commands import lead_writes
from jobs.oplead_commands.creation.creating import Verdict
from jobs.oplead_commands.creation.lead_values import lead_from_options
from jobs.oplead_commands.creation.outbox import (
    LeadCreationState,
    lead_creation_outbox_path,
    lock_lead_creation_outbox,
    open_outbox,
)
from jobs.oplead_commands.importing.import_leads import ImportOptions, import_file_into_oplead
from tests import quick
from tests.e2e.support.company import ended
from tests.e2e.support.forked import Forked
from tests.e2e.support.killed_import import POINTS
from tests.e2e.support.typed import documented
from tests.e2e.test_oplead_commands import JEANNE, SECRET, Oplead, typed

TITLES = ("Référence", "Nom", "Courriel", "Téléphone", "gclid", "leadData.budget")
PLAIN = ImportOptions()


@pytest.fixture
def oplead(tmp_path):
    """An Oplead of its own, with some leads of before."""
    with Sandbox(quick.with_key(tmp_path / "sandbox"), InventedLeads.generate(7, 40)) as sandbox:
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
    created = {each["id"] for each in oplead.sandbox.oplead.book.created_lead_records()}
    return Counter(
        lead["contact"]["email"] for lead_id, lead in oplead.sandbox.oplead.leads().items() if lead_id in created
    )


def outbox_of(oplead):
    """Each lead on record."""
    with open_outbox(lead_creation_outbox_path(oplead.folder, "maison-durand")) as outbox:
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
    for more, code in (((), Exit.ATTENTION), (("--create-again",), Exit.DONE)):
        with ended(Forked([*arguments, *more], environ=environ, cwd=oplead.folder)) as process:
            said = process.communicate(500)
            assert code == process.returncode, said
        later(oplead, 31)


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
    assert {LeadCreationState.CREATED} == {one.state for one in on_record}
    assert count == len({one.lead for one in on_record})


# ── what is in doubt ─────────────────────────────────────────────────────────────────────────────


def later(oplead, minutes):
    """Let time pass."""
    oplead.sandbox.clock.advance(oplead.sandbox.clock.now() + timedelta(minutes=minutes))


def states(said):
    """How many were created, created before, and in doubt."""
    return said["created"], said["created_before"], said["in_doubt"]


def test_a_lead_that_oplead_finishes_late_is_never_sent_again(oplead, capsys):
    """The connection is cut, later leads show at once, and Oplead finishes after five minutes."""
    file = leads_file(oplead.folder, [row(number) for number in range(4)])
    oplead.fail("/v1/leads", FaultKind.FINISHED_LATE, after=1, seconds=300)

    said = result(oplead, capsys, file)

    assert (3, 0, 1) == states(said)
    assert Exit.ATTENTION == said["exit_code"]
    later(oplead, 4)
    assert (0, 3, 1) == states(result(oplead, capsys, file))
    later(oplead, 2)
    assert (1, 3, 0) == states(result(oplead, capsys, file))
    assert {1} == set(emails(oplead).values())


def test_a_write_of_another_kind_looks_when_that_is_due(oplead, capsys):
    """Whoever writes next finds it."""
    file = leads_file(oplead.folder, [row(0)])
    run(oplead, leads_file(oplead.folder, [row(9)], "first.csv"))
    lead_id = outbox_of(oplead)[0].lead
    oplead.fail("/v1/leads", FaultKind.FINISHED_LATE, seconds=300)
    result(oplead, capsys, file)
    later(oplead, 16)

    _, _, said = typed(oplead, "status", "set", lead_id, "En cours", "--yes")

    assert "1 lead whose answer had been lost is in Oplead." in said
    assert (0, 1, 0) == states(result(oplead, capsys, file))


@pytest.mark.parametrize("key", [ADMIN_KEY, SUPPLIER_KEY])
@pytest.mark.parametrize(
    ("verdict", "then"),
    [(Verdict.CREATE_AGAIN, (1, 2, 0)), (Verdict.NOT_CREATED, (0, 2, 0)), (Verdict.CREATED, (1, 2, 0))],
)
def test_what_was_not_found_after_half_an_hour_is_for_a_human(oplead, capsys, key, verdict, then):
    """Earlier, nobody can call it missing: Oplead may still be at work."""
    file = leads_file(oplead.folder, [row(number) for number in range(3)])
    oplead.fail("/v1/leads", FaultKind.CUT_BEFORE, after=1)
    assert (2, 0, 1) == states(result(oplead, capsys, file, key=key))
    if verdict is not Verdict.CREATED:
        assert (0, 2, 1) == states(result(oplead, capsys, file, ImportOptions(verdict=verdict), key=key))
    later(oplead, 31)
    sent = posts(oplead)

    assert (0, 2, 1) == states(result(oplead, capsys, file, key=key))
    assert then == states(result(oplead, capsys, file, ImportOptions(verdict=verdict), key=key))

    assert sent + (verdict is Verdict.CREATE_AGAIN) == posts(oplead)


def test_a_lead_that_cannot_be_looked_for_within_a_day_is_for_a_human(oplead, capsys):
    """A short outage settles nothing, and nobody waits for one that lasts."""
    file = leads_file(oplead.folder, [row(0)])
    oplead.fail("/v1/leads", FaultKind.CUT_BEFORE)
    result(oplead, capsys, file)
    oplead.fail("/v1/leads", status=503, count=99)
    later(oplead, 60)
    result(oplead, capsys, file)
    (early,) = outbox_of(oplead)
    later(oplead, 24 * 60)
    assert (0, 0, 1) == states(result(oplead, capsys, file))
    (late,) = outbox_of(oplead)

    assert (False, True) == (early.is_for_humans, late.is_for_humans)


@pytest.mark.parametrize("body", ['{"erreur":"x"}', '{"succes":false}', '{"statut":"erreur"}', '{"code":422}', "{}"])
def test_a_refusal_in_any_words_is_never_told_as_created(oplead, capsys, body):
    """Two of five leads: none is lost in silence, and none is sent again."""
    file = leads_file(oplead.folder, [row(number) for number in range(5)])
    oplead.fail("/v1/leads", status=200, body=body, after=1, count=2)

    said = result(oplead, capsys, file)

    assert ((3, 0, 2), Exit.ATTENTION) == (states(said), said["exit_code"])
    assert 3 == emails(oplead).total()
    assert (0, 3, 2) == states(result(oplead, capsys, file))


@pytest.mark.parametrize("status", [409, 429, 500, 501, 503])
def test_a_status_that_may_follow_a_creation_leaves_the_lead_in_doubt(oplead, capsys, status):
    """Oplead made it, and answers as if it had not."""
    oplead.fail("/v1/leads", FaultKind.FAILED_AFTER, status=status)

    assert 2 == result(oplead, capsys, leads_file(oplead.folder, [row(0), row(1)]))["created"]
    assert {1} == set(emails(oplead).values())


def test_a_pace_refused_twice_in_a_row_leaves_two_leads_in_doubt(oplead, capsys):
    """A minute lies between the two, and nothing else is sent: ten would be in doubt before anybody looked."""
    file = leads_file(oplead.folder, [row(number) for number in range(30)])
    oplead.fail("/v1/leads", FaultKind.STATUS, after=2, count=12, status=429)
    began = oplead.sandbox.clock.now()
    said = result(oplead, capsys, file)

    assert (2, 2) == (said["created"], said["in_doubt"])
    assert oplead.sandbox.clock.now() - began >= timedelta(minutes=1)


def test_a_pace_refused_once_stops_nothing(oplead, capsys):
    """The next lead goes out a minute later."""
    file = leads_file(oplead.folder, [row(number) for number in range(5)])
    oplead.fail("/v1/leads", FaultKind.STATUS, after=2, count=1, status=429)
    said = result(oplead, capsys, file)

    assert (4, 1) == (said["created"], said["in_doubt"])


def test_leads_created_since_a_restored_backup_are_looked_for_before_they_are_sent(oplead, capsys):
    """Those that are there are known again; those that are not are sent."""
    path = lead_creation_outbox_path(oplead.folder, "maison-durand")
    result(oplead, capsys, leads_file(oplead.folder, [row(0), row(1)]))
    backup = path.read_bytes()
    later(oplead, 10)
    result(oplead, capsys, leads_file(oplead.folder, [row(number) for number in range(4)]))
    for left in oplead.folder.glob("*.oplead.db*"):
        left.unlink()
    path.write_bytes(backup)
    later(oplead, 10)
    with lock_lead_creation_outbox(path, now=oplead.sandbox.clock.now) as outbox:
        outbox.declare_restored()
    said = result(oplead, capsys, leads_file(oplead.folder, [row(number) for number in range(6)]))

    assert Exit.DONE == said["exit_code"]
    assert Counter({f"personne{number}@example.com": 1 for number in range(6)}) == emails(oplead)
    assert {LeadCreationState.CREATED} == {one.state for one in outbox_of(oplead)}


# ── what is lost, refused, changed or new ────────────────────────────────────────────────────────


def run(oplead, file, options=PLAIN, **how):
    """Import a file and return the exit code."""
    return oplead.run(import_file_into_oplead, file, options, **how)


def result(oplead, capsys, file, options=PLAIN, **how):
    """Import a file and return what is printed as JSON."""
    capsys.readouterr()
    run(oplead, file, options, json=True, **how)
    return documented(capsys.readouterr().out)


def test_a_lead_that_oplead_shows_in_another_form_is_not_sent_again(oplead, capsys, monkeypatch):
    """A form of address before the name: nobody but a human knows that it is the same one."""
    fetch = OpleadSource.fetch_changes

    def politely(lead):
        if lead.contact.last_name != "Exemple 0":
            return lead
        return replace(lead, contact=replace(lead.contact, last_name="Mme Exemple 0"))

    def with_titles(source, *given, **how):
        for page in fetch(source, *given, **how):
            yield replace(page, leads=tuple(map(politely, page.leads)))

    monkeypatch.setattr(OpleadSource, "fetch_changes", with_titles)
    oplead.fail("/v1/leads", FaultKind.CUT_AFTER)

    said = result(oplead, capsys, leads_file(oplead.folder, [row(0), row(1)]))

    assert [{"line": 2, "state": "in_doubt", "lead": None, "reason": "ambiguous"}] == said["lines"]
    assert {1} == set(emails(oplead).values())


def test_what_was_not_looked_up_when_a_command_ended_is_looked_up_by_the_next(oplead, capsys):
    """Oplead's list fails while it is looked up: nothing is sent again, until it can be read."""
    file = leads_file(oplead.folder, [row(number) for number in range(3)])
    oplead.fail("/v1/leads", FaultKind.CUT_AFTER, after=1)
    oplead.fail("/v1/leads", FaultKind.STATUS, after=2, count=50, status=403)

    said = result(oplead, capsys, file)

    assert (2, 1, Exit.ATTENTION) == (said["created"], said["in_doubt"], said["exit_code"])
    assert [{"line": 3, "state": "in_doubt", "lead": None, "reason": "not_looked_up"}] == said["lines"]
    oplead.sandbox.faults.clear()
    said = result(oplead, capsys, file)
    assert (1, 2, Exit.DONE) == (said["created"], said["created_before"], said["exit_code"])
    assert {1} == set(emails(oplead).values())


def test_a_lead_that_may_be_either_of_two_is_left_to_a_human(oplead, capsys):
    """Somebody created the same person while the answer was lost."""
    file = leads_file(oplead.folder, [row(0), row(1)])
    with oplead.context() as context:
        lead_writes.create(context, lead_from_options(_values(row(1)), [], context.known.settings.zone))
        lead_writes.create(
            context, lead_from_options({**_values(row(1)), "city": "Lyon"}, [], context.known.settings.zone)
        )
    lead_creation_outbox_path(oplead.folder, "maison-durand").unlink()
    oplead.fail("/v1/leads", FaultKind.CUT_BEFORE, after=1)

    said = result(oplead, capsys, file)

    assert [{"line": 3, "state": "in_doubt", "lead": None, "reason": "ambiguous"}] == said["lines"]
    assert Exit.ATTENTION == said["exit_code"]


def _values(cells):
    return dict(zip(("last_name", "email", "phone", "gclid"), list(cells.values())[1:5], strict=True))


def killed_after_arrival(monkeypatch, command):
    """Let a command end right after Oplead took its lead, with nothing of that on record."""
    create = OpleadWriter.create

    def dies(writer, lead, leaving):
        create(writer, lead, leaving=leaving)
        raise StoppedBySignal(signal.SIGKILL)

    with monkeypatch.context() as patched:
        patched.setattr(OpleadWriter, "create", dies)
        with pytest.raises(StoppedBySignal):
            command()


def test_a_refused_lead_is_told_by_its_line_and_may_be_tried_again(oplead, capsys):
    """With what Oplead says, in the output and in the report, and without what was sent."""
    file = leads_file(oplead.folder, [row(0), row(1, **{"leadData.inconnu": "Valeur secrète"}), row(2)])
    report = oplead.folder / "report.csv"

    assert Exit.ATTENTION == run(oplead, file, ImportOptions(report=report))

    said = capsys.readouterr().out
    assert "Created: 2." in said
    assert "line 3: the body has a name that does not belong there (400)" in said
    lines = list(csv.DictReader(report.read_text(encoding="utf-8").splitlines()))
    assert [("2", "created"), ("3", "refused"), ("4", "created")] == [(each["line"], each["state"]) for each in lines]
    assert not {"secrète", "personne1"} & set(report.read_text(encoding="utf-8").replace(",", " ").split())
    oplead.sandbox.oplead.set_switch("unknown_fields", "ignored")
    said = result(oplead, capsys, file)
    assert (1, 2) == (said["created"], said["created_before"])


def test_a_grown_file_creates_only_what_is_new_and_tells_what_has_changed(oplead, capsys):
    """A row is known by its reference, or by its content if it has none."""
    plain = {**row(7), "Référence": ""}
    run(oplead, leads_file(oplead.folder, [row(0), row(1), plain]))
    grown = leads_file(oplead.folder, [row(0), row(1, Nom="Nouveau Nom"), plain, row(3)])

    said = result(oplead, capsys, grown)

    assert (1, 2, 1) == (said["created"], said["created_before"], said["changed"])
    assert [3] == [each["line"] for each in said["lines"]]
    assert Exit.ATTENTION == said["exit_code"]
    assert 4 == emails(oplead).total()
    run(oplead, grown)
    said = " ".join(capsys.readouterr().out.split())
    assert "Imported before with other content: 1, at line 3." in said
    assert "leads update LEAD --config" in said


def test_what_will_be_written_is_shown_masked_and_asked_for(oplead, capsys, monkeypatch):
    """Neither a dry run nor a no writes anything, and neither shows anybody's data."""
    file = leads_file(oplead.folder, [row(number) for number in range(200)])
    before = posts(oplead)

    assert Exit.DONE == run(oplead, file, dry_run=True)

    said = capsys.readouterr().out
    assert "200 leads in the file; created before: 0; to create: 200." in said
    assert "About 3 minutes" in said
    assert "contact.email" in said
    assert "personne0" not in said
    assert not list(oplead.folder.glob("*.oplead.db"))
    monkeypatch.setattr(ApprovalOptions, "ask_approval", lambda *_: False)
    assert Exit.DONE == run(oplead, file)
    assert "Nothing was written." in capsys.readouterr().out
    assert before == posts(oplead)
    assert 200 == result(oplead, capsys, file, dry_run=True)["to_create"]


def test_a_key_that_may_not_create_leads_stops_at_the_first(oplead, capsys):
    """It would befall every other one, and none of them is in doubt."""
    file = leads_file(oplead.folder, [row(number) for number in range(3)])
    oplead.fail("/v1/leads", FaultKind.STATUS, status=403)

    said = result(oplead, capsys, file)

    assert (3, 0, Exit.CONFIGURATION) == (said["left"], said["in_doubt"], said["exit_code"])
    assert 3 == result(oplead, capsys, file)["created"]


def test_an_import_that_is_asked_to_stop_ends_between_two_leads(oplead, capsys):
    """What was created is on record, nothing is in doubt, and the same command goes on."""
    file = leads_file(oplead.folder, [row(number) for number in range(5)])

    def stop():
        if emails(oplead).total() == 2:
            raise StoppedBySignal(signal.SIGTERM)

    with oplead.context() as context, pytest.raises(StoppedBySignal):
        import_file_into_oplead(replace(context, cancel_token=stop), file, PLAIN)

    assert "The same command goes on from here" in capsys.readouterr().out
    assert {LeadCreationState.CREATED: 2} == Counter(one.state for one in outbox_of(oplead))
    assert 3 == result(oplead, capsys, file)["created"]
    assert {1} == set(emails(oplead).values())


@pytest.mark.parametrize("stop", [StoppedBySignal(signal.SIGTERM), WrongClock("set the one that is wrong")])
def test_what_ends_while_a_lead_waits_for_its_turn_leaves_nothing_in_doubt(oplead, monkeypatch, stop):
    """Nothing was sent, so nothing is in doubt, and the same command creates it."""
    file = leads_file(oplead.folder, [row(0)])

    def ends(*_):
        raise stop

    with monkeypatch.context() as patched:
        patched.setattr(OpleadClient, "_take_slot", ends)
        with pytest.raises(type(stop)):
            run(oplead, file)

    assert [] == outbox_of(oplead)
    assert Exit.DONE == run(oplead, file)


def test_an_address_with_which_no_request_can_be_made_leaves_nothing_in_doubt(oplead, monkeypatch):
    """It is found only as the request is about to leave."""
    file = leads_file(oplead.folder, [row(0)])

    def fails(*_):
        raise Misconfigured("no address")

    with monkeypatch.context() as patched:
        patched.setattr(OpleadClient, "_write", fails)
        with pytest.raises(Misconfigured):
            run(oplead, file)

    assert [] == outbox_of(oplead)


def test_a_custom_field_with_the_reference_is_what_leads_are_looked_up_by(oplead, capsys):
    """Where the settings name one: even two of one person are told apart."""
    text = oplead.file.read_text(encoding="utf-8")
    oplead.file.write_text(
        text.replace("    fields:", "    fields:\n      reference: leadData.projet"), encoding="utf-8"
    )
    file = leads_file(oplead.folder, [row(0), {**row(0), "Référence": "R-0 bis", "leadData.budget": "9000"}, row(1)])
    oplead.fail("/v1/leads", FaultKind.CUT_AFTER, count=2)

    assert 3 == result(oplead, capsys, file)["created"]

    references = {each["leadData"]["projet"] for each in map(oplead.lead, (one.lead for one in outbox_of(oplead)))}
    assert {"R-0", "R-0 bis", "R-1"} == references


def test_what_is_shown_of_one_lead_holds_its_reference(oplead, capsys):
    """Whoever agrees sees everything that is written."""
    text = oplead.file.read_text(encoding="utf-8")
    oplead.file.write_text(
        text.replace("    fields:", "    fields:\n      reference: leadData.projet"), encoding="utf-8"
    )

    with oplead.context(dry_run=True) as context:
        lead_writes.create(context, lead_from_options(JEANNE, [], context.known.settings.zone), reference="R-77")

    assert re.search(r"leadData.projet +R-77", capsys.readouterr().out)


def test_the_form_import_creates_each_lead_once_too(oplead, capsys):
    """It is another service, and leads are looked up in the API."""
    text = oplead.file.read_text(encoding="utf-8")
    form = (
        f"    via: form\n    form: {{ token: file:form-token, form: {FORM}, click_id: external_id, "
        f"url: {oplead.sandbox.sandbox_server_urls['oplead_form']}/addlead/ }}\n    fields:"
    )
    oplead.file.write_text(text.replace("    fields:", form), encoding="utf-8")
    (oplead.folder / "form-token").write_text(FORM_TOKEN)
    oplead.sandbox.oplead.set_switch("form_external_id", "external_id")
    rows = [{**row(number), "Code postal": "69003", "Pays": "FR"} for number in range(4)]
    for each in rows:
        del each["leadData.budget"]
    oplead.sandbox.faults.plant(PlannedFault("oplead_form", FaultKind.CUT_AFTER, after=1))
    oplead.sandbox.faults.plant(PlannedFault("oplead_form", FaultKind.CUT_BEFORE, after=3))

    assert 4 == result(oplead, capsys, leads_file(oplead.folder, rows))["created"]
    assert {1} == set(emails(oplead).values())


def test_a_lost_lead_is_not_taken_for_one_whose_answer_named_no_id(oplead, capsys, monkeypatch):
    """One person twice: the first is in Oplead, the second is not, and nobody calls it created."""
    create = OpleadWriter.create

    def nameless(writer, lead, leaving):
        receipt = create(writer, lead, leaving=leaving)
        return WriteAccepted(None) if isinstance(receipt, WriteAccepted) else receipt

    monkeypatch.setattr(OpleadWriter, "create", nameless)
    assert "written" == typed_lead(oplead, capsys)["outcome"]
    oplead.fail("/v1/leads", FaultKind.CUT_BEFORE)

    said = typed_lead(oplead, capsys, again=True)

    assert ("lost", Exit.ATTENTION) == (said["outcome"], said["exit_code"])
    assert 1 == emails(oplead).total()


def test_a_lead_typed_twice_is_created_once(oplead, capsys):
    """By its content, or by its reference; a second one must be asked for."""
    outcomes = []
    for again in (False, False, True):
        with oplead.context(json=True) as context:
            lead_writes.create(context, lead_from_options(JEANNE, [], context.known.settings.zone), again=again)
        outcomes.append(documented(capsys.readouterr().out)["outcome"])

    assert ["written", "created_before", "written"] == outcomes
    assert 2 == emails(oplead).total()


def typed_lead(oplead, capsys, *, key=ADMIN_KEY, reference=None, again=False, **values):
    """Create a lead and return what is printed as JSON."""
    capsys.readouterr()
    with oplead.context(key, json=True) as context:
        lead = lead_from_options({**JEANNE, **values}, [], context.known.settings.zone)
        lead_writes.create(context, lead, reference=reference, again=again)
    return documented(capsys.readouterr().out)


def test_an_empty_reference_is_refused(oplead, capsys):
    """Every lead of a website that forgets its own would be one."""
    with pytest.raises(UsageError, match="--reference: write a value"):
        typed_lead(oplead, capsys, reference=" ")
    assert "written" == typed_lead(oplead, capsys, reference="F-1 ")["outcome"]
    assert "created_before" == typed_lead(oplead, capsys, reference="F-1")["outcome"]


def test_a_lead_whose_data_changed_after_its_answer_was_lost_is_told_as_it_was_created(oplead, capsys):
    """What is in Oplead is the earlier data; those of now were not sent, and `update` sends them."""
    oplead.fail("/v1/leads", FaultKind.CUT_AFTER)
    before = posts(oplead)
    assert "lost" == typed_lead(oplead, capsys, key=SUPPLIER_KEY, reference="R-1")["outcome"]
    lost = typed_lead(oplead, capsys, key=SUPPLIER_KEY, reference="R-1", city="Lyon")
    assert "had other data: those of now were not sent" in lost["reason"]

    said = typed_lead(oplead, capsys, reference="R-1", city="Lyon")

    assert ("created_before", Exit.ATTENTION) == (said["outcome"], said["exit_code"])
    assert f"oplead leads update {said['id']}" in said["look"]
    assert "city" not in oplead.lead(said["id"]).get("address", {})
    assert before + 1 == posts(oplead)
    with oplead.context() as context:
        lead = lead_from_options({**JEANNE, "city": "Lyon"}, [], context.known.settings.zone)
        assert Exit.ATTENTION == lead_writes.create(context, lead, reference="R-1")
    said = capsys.readouterr().out
    assert "it has other data, and those of now were not sent" in said


def test_a_second_lead_whose_answer_was_lost_is_looked_for_without_again(oplead, capsys):
    """The same command without --again finds the one that was asked for last, and sends nothing."""
    first = typed_lead(oplead, capsys)["id"]
    oplead.fail("/v1/leads", FaultKind.CUT_AFTER)
    assert "lost" == typed_lead(oplead, capsys, key=SUPPLIER_KEY, again=True)["outcome"]
    before = posts(oplead)

    second = typed_lead(oplead, capsys)

    assert "written" == second["outcome"]
    assert first != second["id"]
    assert second["id"] == typed_lead(oplead, capsys)["id"]
    assert before == posts(oplead)


@pytest.mark.parametrize("name", ["create", "import"])
def test_the_help_of_what_creates_leads_names_each_exit_code(oplead, name):
    """That of an outbox which another command holds too."""
    _, said, _ = typed(oplead, "leads", name, "--help")

    assert re.search(r"75\s+another", said)


def test_a_refused_lead_leaves_nothing_in_the_outbox(oplead, capsys):
    """Nothing was written, so nothing needs to be known of it."""
    assert "refused" == typed_lead(oplead, capsys, email="jeanne.exemple")["outcome"]

    assert [] == outbox_of(oplead)


def test_the_outbox_holds_nobodys_data(oplead):
    """Whoever reads the file learns ids, states and times."""
    file = leads_file(oplead.folder, [row(number) for number in range(3)])
    oplead.fail("/v1/leads", FaultKind.CUT_AFTER)
    run(oplead, file, key=SUPPLIER_KEY)

    for kept in oplead.folder.glob("maison-durand*"):
        for secret in (b"personne", b"Exemple", b"06 12", b"R-1", b"Cj0K"):
            assert secret not in kept.read_bytes(), kept


def test_two_imports_at_once_are_refused(oplead):
    """The second ends at once and writes nothing: exit code 75."""
    file = leads_file(oplead.folder, [row(0)])
    with (
        oplead.context() as context,
        lock_lead_creation_outbox(lead_creation_outbox_path(oplead.folder, "maison-durand"), now=context.clock.now),
        pytest.raises(LeaseHeldError),
    ):
        run(oplead, file)
    assert 0 == emails(oplead).total()


def test_while_an_import_asks_others_may_create_leads(oplead, capsys, monkeypatch):
    """A website's lead does not wait for somebody at a keyboard; what it created is not created again."""
    file = leads_file(oplead.folder, [row(0), row(1)])
    first = leads_file(oplead.folder, [row(0)], "first.csv")

    def agrees(*_):
        monkeypatch.undo()
        assert Exit.DONE == run(oplead, first)
        return True

    monkeypatch.setattr(ApprovalOptions, "ask_approval", agrees)

    assert Exit.DONE == run(oplead, file)

    assert "Another command has created some of them meanwhile; to create: 1." in capsys.readouterr().out
    assert {1} == set(emails(oplead).values())


def test_a_report_never_overwrites_a_file(oplead):
    """It is refused before anything is written to Oplead."""
    file = leads_file(oplead.folder, [row(0)])

    with pytest.raises(UsageError, match="it exists already"):
        run(oplead, file, ImportOptions(report=file))
    assert 0 == emails(oplead).total()


def test_it_is_typed_with_a_mapping_file_and_a_report(oplead):
    """As a supplier does it, with settings that hold nothing else."""
    file = leads_file(oplead.folder, [{"Contact": "a@example.com", "Notes": "Rappeler"}])
    columns, report = oplead.folder / "columns.yaml", oplead.folder / "report.csv"
    columns.write_text("Contact: email\nNotes: ignore\n", encoding="utf-8")
    options = ["--columns", str(columns), "--report", str(report), "--delimiter", ";", "--yes", "--json"]

    code, out, _ = typed(oplead, "leads", "import", str(file), *options, KEY=SUPPLIER_KEY)

    assert (Exit.DONE, 1) == (code, documented(out)["created"])
    assert "2,created,L-" in report.read_text(encoding="utf-8")
