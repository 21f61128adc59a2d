"""`oplead leads feedback`: where each lead created with a `provider.url` stands, and since when."""

import csv
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.records import LeadId, Moment, StatusEntry
from connectors.sandbox.population.company import InventedLeads
from connectors.sandbox.sandbox import Sandbox
from jobs.exit_codes import Exit, UsageError
from jobs.ledger.runs import open_locked_ledger
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.nightly import run_night
from jobs.oplead_commands.feedback import show_lead_feedback
from jobs.oplead_commands.importing.import_leads import ImportOptions, import_file_into_oplead
from jobs.oplead_commands.statuses import set_lead_status
from jobs.run_context import Deps, RunContext
from jobs.webhooks.file_inbox import WebhookInboxFile
from tests import quick
from tests.builders import GOOGLE, REACH, lead, rulebook
from tests.e2e.support.typed import documented
from tests.e2e.support.webhook_receiver import SECRET as RECEIVERS_SECRET
from tests.e2e.support.webhook_receiver import ReceiverProcess
from tests.e2e.test_import import leads_file, outbox_of, row
from tests.e2e.test_oplead_commands import Oplead
from tests.fakes import FakeClock, FakeSink, FakeSource

HOOK = {"provider_url": "https://fournisseur.example/hooks/x", "provider_name": "Fournisseur"}
RECEIVED = datetime(2026, 9, 2, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One sandbox for all tests."""
    with Sandbox(quick.with_key(tmp_path_factory.mktemp("sandbox")), InventedLeads.generate(7, 40)) as sandbox:
        yield sandbox


@pytest.fixture
def oplead(running, tmp_path):
    """An account that has imported three leads with a provider.url, and one without."""
    oplead = Oplead(running, tmp_path)
    rows = [*(row(number, **HOOK) for number in range(3)), row(3)]
    assert Exit.DONE == oplead.run(import_file_into_oplead, leads_file(tmp_path, rows), ImportOptions())
    return oplead


def created(oplead):
    """The ids of the leads that report, in the order of their creation."""
    return [one.lead for one in sorted(outbox_of(oplead), key=lambda one: one.lead) if one.has_provider_url]


def hear(oplead, lead_id, label, at=None, received_at=RECEIVED):
    """Have the receiver take a webhook."""
    inbox = WebhookInboxFile(oplead.folder / "maison-durand.inbox.db").open_inbox_for_writing()
    event = WebhookEvent(CrmEventKind.STATUS_CHANGE, LeadId(lead_id), label, Moment(at) if at else None)
    inbox.append_events([ReceivedEvent(event, received_at, f"{lead_id} {label} {at}", is_unique=True)])
    inbox.close()


def read_at_night(oplead, labels, *, at):
    """Have a night read these leads with these statuses, an hour old."""
    clock = FakeClock()
    clock.time = at
    entries = {each: (StatusEntry(label, Moment(at - timedelta(hours=1))),) for each, label in labels.items()}
    found = [lead(each, label=label, history=entries[each]) for each, label in labels.items()]
    state = quick.with_state(oplead.folder / "maison-durand.db")
    with open_locked_ledger(SqliteState(state), "maison-durand", "test", now=at) as ledger:
        deps = Deps(FakeSource(*found, clock=clock), {GOOGLE: FakeSink()}, clock, lambda: 0.5, REACH)
        run_night(RunContext(ledger, rulebook(account="maison-durand"), deps))


def told(oplead, capsys):
    """What is printed as JSON, by lead."""
    capsys.readouterr()
    assert Exit.DONE == oplead.run(show_lead_feedback, None, json=True)
    return {each["lead"]: each for each in map(documented, capsys.readouterr().out.splitlines())}


def test_each_lead_with_a_provider_url_is_shown_with_what_was_heard_last(oplead, capsys, monkeypatch):
    """By the time it happened, or else by that it arrived; the others say truly that nothing was heard."""
    monkeypatch.setenv("COLUMNS", "200")
    first, second, third = created(oplead)
    hear(oplead, first, "Signé", RECEIVED - timedelta(hours=1))
    hear(oplead, first, "En cours", RECEIVED - timedelta(hours=3))
    hear(oplead, second, "Nurserie")

    said = told(oplead, capsys)

    assert [first, second, third] == sorted(said)
    assert ("Signé", "2026-09-02T08:00:00+00:00", "webhook") == tuple(list(said[first].values())[2:])
    assert ("Nurserie", "2026-09-02T09:00:00+00:00") == (said[second]["status"], said[second]["since"])
    assert (None, None, None) == tuple(list(said[third].values())[2:])
    oplead.run(show_lead_feedback, None)
    shown = capsys.readouterr().out
    assert "3 leads created with provider.url; nothing heard yet of 1." in shown
    assert "Wed 2 Sep 2026 10:00" in shown


def test_a_status_set_in_oplead_comes_back_through_the_receiver(running, tmp_path, capsys):
    """The whole loop: imported with the receiver's address, treated in Oplead, reported there, and shown."""
    oplead = Oplead(running, tmp_path)
    receiver = ReceiverProcess(tmp_path, account="maison-durand")
    address = f"http://127.0.0.1:{receiver.port}/hooks/{RECEIVERS_SECRET}"
    file = leads_file(tmp_path, [row(number, provider_url=address) for number in range(2)])
    with receiver:
        assert Exit.DONE == oplead.run(import_file_into_oplead, file, ImportOptions())
        treated, silent = created(oplead)
        assert Exit.DONE == oplead.run(set_lead_status, treated, "En cours", force=False)
        assert 1 == running.oplead.deliver_webhooks()["delivered"]
        said = told(oplead, capsys)

    assert ("En cours", "webhook") == (said[treated]["status"], said[treated]["heard_by"])
    assert said[silent]["status"] is None


def test_nothing_is_asked_of_oplead(oplead, capsys):
    """What is known is on this machine."""
    before = len(oplead.log)

    told(oplead, capsys)
    oplead.run(show_lead_feedback, None)

    assert before == len(oplead.log)
    assert "No receiver has run here" in capsys.readouterr().out


def test_what_the_nightly_job_knows_counts_where_it_is_newer(oplead, capsys):
    """A change whose webhook never came is still found at night."""
    first, second, _ = created(oplead)
    hear(oplead, first, "En cours", RECEIVED - timedelta(days=1))
    hear(oplead, second, "Signé", RECEIVED + timedelta(days=9))
    read_at_night(oplead, {first: "Devis envoyé", second: "Nouveau"}, at=RECEIVED + timedelta(days=1))

    said = told(oplead, capsys)

    assert ("Devis envoyé", "night") == (said[first]["status"], said[first]["heard_by"])
    assert ("Signé", "webhook") == (said[second]["status"], said[second]["heard_by"])


def test_a_csv_file_has_every_lead_and_nobodys_data(oplead):
    """It is new, and only its owner may read it."""
    first, *_ = created(oplead)
    hear(oplead, first, "Signé", RECEIVED)
    file = oplead.folder / "feedback.csv"

    assert Exit.DONE == oplead.run(show_lead_feedback, file)

    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert {first: "Signé"} == {each["lead"]: each["status"] for each in rows if each["status"]}
    assert 3 == len(rows)
    assert "personne" not in file.read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="it exists already"):
        oplead.run(show_lead_feedback, file)


def test_nothing_imported_is_told_too(running, tmp_path, capsys):
    """No file is made by looking."""
    assert {} == told(Oplead(running, tmp_path), capsys)
    assert not list(tmp_path.glob("*.db"))


def test_what_was_heard_and_not_understood_is_told(oplead, capsys):
    """Silence and a language that we do not know call for different cures."""
    first = created(oplead)[0]
    with closing(WebhookInboxFile(oplead.folder / "maison-durand.inbox.db").open_inbox_for_writing()) as inbox:
        for number, lead_id in enumerate((LeadId(first), None)):
            event = WebhookEvent(None, lead_id, structure="libelle: text, 6 characters")
            inbox.append_events([ReceivedEvent(event, RECEIVED, f"{number}", is_unique=True)])

    capsys.readouterr()
    oplead.run(show_lead_feedback, None)

    assert "2 webhooks were heard and not understood" in " ".join("".join(capsys.readouterr()).split())
