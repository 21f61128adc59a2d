"""What was erased is in no page of a file or its journal, even while another program has it open."""

import sqlite3
from contextlib import closing

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.records import LeadId, Moment
from jobs.privacy.compaction import compact
from jobs.webhooks.file_inbox import WebhookInboxFile
from tests.fakes import NIGHT

LABEL = "a label that nobody else has"


def received(lead, number, label=LABEL):
    """Return an event as it was received."""
    told = WebhookEvent(CrmEventKind.STATUS_CHANGE, LeadId(lead), label, Moment(NIGHT), None, "")
    return ReceivedEvent(told, NIGHT, f"{lead} {number}", is_unique=True)


def filled(path, *leads):
    """Return an inbox with an event of each of these leads, in order."""
    inbox = WebhookInboxFile(path).open_inbox_for_writing()
    inbox.append_events([received(lead, number) for number, lead in enumerate(leads)])
    return inbox


def on_disk(path):
    """Return the bytes of a file and of its side files."""
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))


def test_erased_events_leave_no_bytes_while_the_receiver_goes_on(tmp_path):
    """Its journal still had them, since it keeps the file open."""
    path = tmp_path / "inbox.db"
    with closing(filled(path, "L-1", "L-1")) as receiver:
        inbox = WebhookInboxFile(path).open_inbox_for_writing()
        erased = inbox.erase(["L-1"])
        inbox.close()
        left_in_journal = LABEL.encode() in on_disk(path)

        assert compact(path)
        assert (2, True, False) == (erased, left_in_journal, LABEL.encode() in on_disk(path))
        assert 0 == path.with_name("inbox.db-wal").stat().st_size

        receiver.append_events([received("L-2", 1)])

        assert ["L-2"] == list(receiver.leads_with_events(after=0, to=99))


def test_journal_that_somebody_reads_is_not_emptied(tmp_path):
    """The command says so, instead of claiming that nothing is left."""
    path = tmp_path / "inbox.db"
    with closing(filled(path, "L-1")), closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM event").fetchall()

        assert not compact(path, patience=0.05)


def test_latest_event_stays_as_a_place_without_saying_whose_it_is(tmp_path):
    """Readers go on from its id, and an event of the same lead is a new one."""
    path = tmp_path / "inbox.db"
    with closing(filled(path, "L-1", "L-2", "L-1")) as inbox:
        inbox.erase(["L-1", "L-3"])

        assert 3 == inbox.latest_event_id()
        assert {"L-2"} == inbox.webhook_events_of(["L-1", "L-2"]).keys()
        assert ["L-2"] == list(inbox.leads_with_events(after=0, to=3))
        assert {} == inbox.count_unknown_event_structures(after=0, to=3)
        assert 1 == inbox.append_events([received("L-1", 2)])
