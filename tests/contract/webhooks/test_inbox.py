"""What the inbox stores, and how long it keeps it."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.crm import EventKind, ReceivedEvent, WebhookEvent
from connectors.oplead import OpleadOptions, WebhookOptions, WebhookParser
from connectors.records import LeadId
from jobs.webhooks.inbox import KEPT, Inbox

NOW = datetime(2026, 7, 20, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
SECURITY = Path(__file__).parents[3] / "SECURITY.md"


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
    return inbox.leads_with_events(after=0, to=inbox.latest_event_id())


def test_an_event_is_deleted_once_no_platform_would_accept_it(inbox):
    """Not a second earlier, and only as another arrives."""
    inbox.append([won(1, NOW), won(2, NOW + SECOND)])
    inbox.append([won(3, NOW + KEPT - DAY)])
    inbox.append([won(4, NOW + KEPT)])

    assert ["L-1", "L-2", "L-3", "L-4"] == stored(inbox)
    assert 1 == inbox.append([won(5, NOW + KEPT + SECOND)])
    assert ["L-2", "L-3", "L-4", "L-5"] == stored(inbox)


def test_a_clock_that_jumps_ahead_deletes_nothing_for_a_day(inbox):
    """A night has read everything by then, or the clock is right again."""
    later = NOW + 2 * KEPT
    inbox.append([won(1, NOW - DAY), won(2, NOW)])
    inbox.append([won(3, later)])
    inbox.append([won(4, later + DAY - SECOND)])

    assert ["L-1", "L-2", "L-3", "L-4"] == stored(inbox)
    inbox.append([won(5, later + DAY)])
    assert ["L-3", "L-4", "L-5"] == stored(inbox)


def test_an_event_is_kept_longer_than_any_click_counts(inbox):
    """Whatever a run has not read yet may still be sent."""
    del inbox

    assert timedelta(days=365) < KEPT


def test_old_events_are_deleted_in_small_steps(inbox):
    """No sender waits until a year's events are gone."""
    later = NOW + 2 * KEPT
    inbox.append([won(number, NOW) for number in range(1_000)])
    inbox.append([won(1_000, later)])
    inbox.append([won(1_001, later + DAY)])

    assert 902 == len(stored(inbox))
    for number in range(1_002, 1_011):
        inbox.append([won(number, later + DAY)])
    assert [f"L-{number}" for number in range(1_000, 1_011)] == stored(inbox)


def test_a_readers_place_outlives_what_it_has_read(inbox):
    """An id is never given twice, and the latest stays."""
    later = NOW + 2 * KEPT
    inbox.append([won(0, later - DAY), won(1, NOW), won(2, NOW)])
    read_to = inbox.latest_event_id()
    inbox.append([won(2, later)])  # a redelivery, which stores nothing
    after = inbox.latest_event_id()
    inbox.append([won(3, later)])

    assert read_to == after
    assert ["L-3"] == inbox.leads_with_events(after=read_to, to=inbox.latest_event_id())


def test_a_lead_without_news_costs_no_query_of_its_own(inbox):
    """A night asks for the events of whole pages of leads."""
    inbox.append([won(1, NOW)])
    asked = []
    inbox._connection.set_trace_callback(asked.append)
    inbox.events_of([LeadId(f"L-{number}") for number in range(2, 1_002)])

    assert 1 == len(asked)


def test_a_digest_is_salted_so_that_nobody_can_test_a_guess_of_a_body_elsewhere(tmp_path):
    """The same body has another digest in every inbox, and none is what the parser made of it."""
    parser = WebhookParser(OpleadOptions(token="t", zone=ZoneInfo("Europe/Paris")), WebhookOptions({}))
    body = json.dumps({"id": "L-1", "status": "Gagné", "email": "jeanne@martin.fr"}).encode()
    parsed = parser.parse(body, NOW)
    digests = [parsed[0].digest]
    for name in ("one.db", "other.db"):
        with closing(Inbox.open_for_writing(tmp_path / name)) as inbox:
            assert [1, 0] == [inbox.append(parsed), inbox.append(parsed)]
            ((kept,),) = inbox.events_of([LeadId("L-1")]).values()
            digests.append(kept.digest)

    assert 3 == len(set(digests))
