"""What the inbox stores, and how long it keeps it."""

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.oplead.options import OpleadOptions, WebhookFieldPaths
from connectors.oplead.parsing.webhook_parser import WebhookParser
from connectors.records import LeadId, Moment
from jobs.webhooks.file_inbox import WebhookInboxFile
from jobs.webhooks.inbox import INBOX_ERRORS, KEPT

NOW = datetime(2026, 7, 20, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
SECURITY = Path(__file__).parents[3] / "SECURITY.md"


def won(number, at):
    """An event of its own lead, received at a time."""
    event = WebhookEvent(CrmEventKind.STATUS_CHANGE, LeadId(f"L-{number}"), "Gagné")
    return ReceivedEvent(event, at, str(number), is_unique=True)


@pytest.fixture
def inbox(location):
    """An empty inbox."""
    with closing(location.open_inbox_for_writing()) as opened:
        yield opened


def stored(inbox):
    """The leads of the events in an inbox."""
    return list(inbox.leads_with_events(after=0, to=inbox.latest_event_id()))


def test_an_event_is_deleted_once_no_platform_would_accept_it(inbox):
    """Not a second earlier, and only as another arrives."""
    inbox.append_events([won(1, NOW), won(2, NOW + SECOND)])
    inbox.append_events([won(3, NOW + KEPT - DAY)])
    inbox.append_events([won(4, NOW + KEPT)])

    assert ["L-1", "L-2", "L-3", "L-4"] == stored(inbox)
    assert 1 == inbox.append_events([won(5, NOW + KEPT + SECOND)])
    assert ["L-2", "L-3", "L-4", "L-5"] == stored(inbox)


def test_a_clock_that_jumps_ahead_deletes_nothing_for_a_day(inbox):
    """A night has read everything by then, or the clock is right again."""
    later = NOW + 2 * KEPT
    inbox.append_events([won(1, NOW - DAY), won(2, NOW)])
    inbox.append_events([won(3, later)])
    inbox.append_events([won(4, later + DAY - SECOND)])

    assert ["L-1", "L-2", "L-3", "L-4"] == stored(inbox)
    inbox.append_events([won(5, later + DAY)])
    assert ["L-3", "L-4", "L-5"] == stored(inbox)


def test_an_event_is_kept_longer_than_any_click_counts(inbox):
    """Whatever a run has not read yet may still be sent."""
    del inbox

    assert timedelta(days=365) < KEPT


def test_old_events_are_deleted_in_small_steps(inbox):
    """No sender waits until a year's events are gone."""
    later = NOW + 2 * KEPT
    inbox.append_events([won(number, NOW) for number in range(1_000)])
    inbox.append_events([won(1_000, later)])
    inbox.append_events([won(1_001, later + DAY)])

    assert 902 == len(stored(inbox))
    for number in range(1_002, 1_011):
        inbox.append_events([won(number, later + DAY)])
    assert [f"L-{number}" for number in range(1_000, 1_011)] == stored(inbox)


def test_a_readers_place_outlives_what_it_has_read(inbox):
    """An id is never given twice, and the latest stays."""
    later = NOW + 2 * KEPT
    inbox.append_events([won(0, later - DAY), won(1, NOW), won(2, NOW)])
    read_to = inbox.latest_event_id()
    inbox.append_events([won(2, later)])  # a redelivery, which stores nothing
    after = inbox.latest_event_id()
    inbox.append_events([won(3, later)])

    assert read_to == after
    assert ["L-3"] == list(inbox.leads_with_events(after=read_to, to=inbox.latest_event_id()))


def test_a_lead_without_news_costs_no_query_of_its_own(tmp_path):
    """A night asks for the events of whole pages of leads."""
    with closing(WebhookInboxFile(tmp_path / "inbox.db").open_inbox_for_writing()) as inbox:
        inbox.append_events([won(1, NOW)])
        asked = []
        inbox._connection.set_trace_callback(asked.append)
        inbox.webhook_events_of([LeadId(f"L-{number}") for number in range(2, 1_002)])

    assert 1 == len(asked)


def test_a_digest_is_salted_so_that_nobody_can_test_a_guess_of_a_body_elsewhere(location_of):
    """The same body has another digest in every inbox, and none is what the parser made of it."""
    parser = WebhookParser(OpleadOptions(token="t", zone=ZoneInfo("Europe/Paris")), WebhookFieldPaths({}))
    body = json.dumps({"id": "L-1", "status": "Gagné", "email": "jeanne@martin.fr"}).encode()
    parsed = parser.parse(body, NOW)
    digests = [parsed[0].digest]
    for name in ("one", "other"):
        with closing(location_of(name).open_inbox_for_writing()) as inbox:
            assert [1, 0] == [inbox.append_events(parsed), inbox.append_events(parsed)]
            ((kept,),) = inbox.webhook_events_of([LeadId("L-1")]).values()
            digests.append(kept.digest)

    assert 3 == len(set(digests))


def test_an_event_is_read_as_it_was_received(inbox):
    """With the date or the time that it had; a digest apart, which is salted."""
    appointment = Moment(datetime(2026, 8, 1, 10, tzinfo=UTC))
    dated = WebhookEvent(CrmEventKind.APPOINTMENT, LeadId("L-1"), "RDV pris", Moment(date(2026, 7, 19)), appointment)
    strange = WebhookEvent(None, LeadId("L-1"), structure="event: text")
    inbox.append_events(
        [ReceivedEvent(dated, NOW, "a", is_unique=True), ReceivedEvent(strange, NOW, "b", is_unique=False)]
    )
    ((first, second),) = inbox.webhook_events_of([LeadId("L-1"), LeadId("L-2")]).values()

    assert (dated, NOW, True) == (first.event, first.received_at, first.is_unique)
    assert (strange, NOW, False) == (second.event, second.received_at, second.is_unique)
    assert {"event: text": 1} == inbox.count_unknown_event_structures(after=0, to=2)
    assert {} == inbox.count_unknown_event_structures(after=2, to=2)
    assert [1, NOW] == [inbox.count_waiting_events(after=1).count, inbox.count_waiting_events(after=2).received_at]
    assert {LeadId("L-1"): [first]} == inbox.webhook_events_of([LeadId("L-1")], to=1)


def test_a_body_without_a_time_is_news_unless_its_lead_told_the_same_last(inbox):
    """A lead may return to a status; what tells of no lead is compared with the last of those."""

    def told(lead, label):
        event = WebhookEvent(CrmEventKind.STATUS_CHANGE, lead and LeadId(lead), label)
        return ReceivedEvent(event, NOW, f"{lead} {label}", is_unique=False)

    assert 1 == inbox.append_events([told("L-1", "Gagné"), told("L-1", "Gagné")])
    assert 1 == inbox.append_events([told(None, "Perdu"), told("L-1", "Gagné"), told(None, "Perdu")])
    assert 2 == inbox.append_events([told("L-1", "Perdu"), told("L-1", "Gagné"), told(None, "Perdu")])


def test_erased_events_leave_a_readers_place(inbox):
    """The latest stays without saying whose it was, and the next has a higher id."""
    inbox.append_events([won(1, NOW), won(2, NOW), won(3, NOW), won(1, NOW + SECOND)])
    inbox.append_events([replace(won(1, NOW), digest="later")])
    latest = inbox.latest_event_id()

    assert 2 == inbox.erase([LeadId("L-1"), LeadId("L-4")])
    assert latest == inbox.latest_event_id()
    assert ["L-2", "L-3"] == stored(inbox)
    assert {} == inbox.webhook_events_of([LeadId("L-1")])
    assert 1 == inbox.append_events([won(1, NOW)])
    assert ["L-1"] == list(inbox.leads_with_events(after=latest, to=inbox.latest_event_id()))


def test_an_inbox_is_made_by_its_receiver_and_keeps_its_identity(location):
    """A reader opens nothing that no receiver has made."""
    assert (False, None) == (location.exists(), location.open_inbox_for_reading())
    identities = []
    for _ in range(2):
        with closing(location.open_inbox_for_writing()) as inbox:
            identities.append(inbox.identity())
            inbox.append_events([won(1, NOW)])
    with closing(location.open_inbox_for_reading()) as inbox:
        identities.append(inbox.identity())

        assert ["L-1"] == stored(inbox)
    assert location.exists()
    assert 1 == len(set(identities)) == len(set(filter(None, identities)))


def test_readers_write_nothing(location):
    """Whatever they are made to."""
    with closing(location.open_inbox_for_writing()) as inbox:
        inbox.append_events([won(1, NOW)])
    with closing(location.open_inbox_for_reading()) as inbox, pytest.raises(INBOX_ERRORS):
        inbox.erase([LeadId("L-1")])
