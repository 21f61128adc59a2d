"""How long the inbox keeps what it has stored."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from connectors.crm import EventKind, ReceivedEvent, WebhookEvent
from connectors.records import LeadId
from jobs.webhooks.inbox import KEPT, Inbox

NOW = datetime(2026, 7, 20, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def won(number, at):
    """An event of its own lead, received at a time."""
    event = WebhookEvent(EventKind.STATUS_CHANGE, LeadId(f"L-{number}"), "Gagné")
    return ReceivedEvent(event, at, str(number), is_unique=True)


@pytest.fixture
def inbox(tmp_path):
    """An empty inbox."""
    with closing(Inbox.open_for_writing(tmp_path / "inbox.db")) as opened:
        yield opened


def stored(inbox):
    """The leads of the events in an inbox."""
    return inbox.leads(after=0, to=inbox.latest())


def test_an_event_is_deleted_once_no_platform_would_accept_it(inbox):
    """Not a second earlier, and only as another arrives."""
    inbox.append([won(1, NOW), won(2, NOW + SECOND)])
    inbox.append([won(3, NOW + KEPT)])

    assert ["L-1", "L-2", "L-3"] == stored(inbox)
    assert 1 == inbox.append([won(4, NOW + KEPT + SECOND)])
    assert ["L-2", "L-3", "L-4"] == stored(inbox)


def test_an_event_is_kept_longer_than_any_click_counts(inbox):
    """Whatever a run has not read yet may still be sent."""
    del inbox

    assert timedelta(days=365) < KEPT


def test_old_events_are_deleted_in_small_steps(inbox):
    """No sender waits for a year's events, and a clock that was wrong for a moment costs a few."""
    inbox.append([won(number, NOW) for number in range(1_000)])
    later = NOW + 2 * KEPT
    inbox.append([won(1_000, later)])

    assert 901 == len(stored(inbox))
    for number in range(1_001, 1_010):
        inbox.append([won(number, later)])
    assert [f"L-{number}" for number in range(1_000, 1_010)] == stored(inbox)


def test_a_readers_place_outlives_what_it_has_read(inbox):
    """An id is never given twice, and the latest stays."""
    inbox.append([won(1, NOW), won(2, NOW)])
    read_to = inbox.latest()
    inbox.append([won(2, NOW + 2 * KEPT)])  # a redelivery, which stores nothing
    after = inbox.latest()
    inbox.append([won(3, NOW + 2 * KEPT)])

    assert read_to == after
    assert ["L-3"] == inbox.leads(after=read_to, to=inbox.latest())


def test_a_lead_without_news_costs_no_query_of_its_own(inbox):
    """A night asks for the events of whole pages of leads."""
    inbox.append([won(1, NOW)])
    asked = []
    inbox._connection.set_trace_callback(asked.append)
    inbox.events_of([LeadId(f"L-{number}") for number in range(2, 1_002)])

    assert 2 == len(asked)
