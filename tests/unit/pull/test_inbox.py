"""What webhooks have reported: every lead with news is read, before the inbox counts as taken."""

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest
from sqlalchemy.event import listen

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.errors import KeyRefused, Misconfigured, Transient
from connectors.records import LeadId, Moment, UnreadableLead
from jobs.alerts.notify import update_incidents
from jobs.cancellation import StoppedBySignal
from jobs.ledger.leads.reported_leads import mark_missing_leads_told
from jobs.ledger.runs import INBOX, NIGHTLY, finish_run
from jobs.ledger.schema import Cursor, Delivery, InboxPlace, LabelMove, LeadRow, ReportedLeadRow, Request, StatusChange
from jobs.nightly import run_night
from jobs.privacy.webhook_events import erase_events_without_lead
from jobs.pull.inbox import UNKNOWN_A_NIGHT, NewEvents, has_work
from jobs.pull.ingest import PullResult
from jobs.reporting.page.brief import verdict
from jobs.reporting.page.gather import gather_brief
from jobs.rules.model import StatusTimeOrigin
from jobs.run_context import NightStep, RunReadingScope, SyncMode, no_progress_display
from jobs.settings.schema import NotificationThresholds
from jobs.webhooks.file_inbox import WebhookInboxFile
from jobs.webhooks.inbox_reader import InboxReader
from tests.builders import GOOGLE, REACH, attention, changed, lead, route
from tests.fakes import NIGHT, Crash, refuse_pages

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
WON = NIGHT + 5 * HOUR
"""When a lead is won, between two nights."""


@pytest.fixture
def account(account, tmp_path):
    """An account with an inbox, after a first night with three leads that Oplead dates nothing of."""
    account.inbox = tmp_path / "inbox.db"
    account.put(*(undated(f"L-{number}") for number in range(3)))
    account.night()
    account.source.asked.clear()
    account.clock.time += DAY
    return account


def undated(name="L-1", label="Nouveau"):
    """A lead whose status Oplead does not date."""
    return lead(name, label=label, history=(), updated_at=None)


def received(name, label, at=WON, *, kind=CrmEventKind.STATUS_CHANGE, structure=""):
    """A webhook as it was received, at once."""
    appointment = Moment(at + DAY) if kind is CrmEventKind.APPOINTMENT else None
    told = WebhookEvent(kind, LeadId(name) if name else None, label, Moment(at), appointment, structure)
    return ReceivedEvent(told, at, sha256(repr(told).encode()).hexdigest(), is_unique=True)


def deliver(account, *events):
    """Have the receiver take these events."""
    inbox = WebhookInboxFile(account.inbox).open_inbox_for_writing()
    inbox.append_events(events)
    inbox.close()


def not_understood(account, structure, *, times=1):
    """Have the receiver take events that it does not understand."""
    deliver(account, *(received(None, str(n) + structure, kind=None, structure=structure) for n in range(times)))


def win(account, *names):
    """Have leads won in Oplead, and webhooks tell."""
    for name in names:
        account.put(changed(account.source.leads[name], label="Gagné"))
    deliver(account, *(received(name, "Gagné") for name in names))


def between_nights(account, command=INBOX):
    """Take up the inbox, and return what was done."""
    with account.hold(command) as ledger:
        return run_night(account.run(ledger), reading=RunReadingScope.WEBHOOKS)


def place(account):
    """How far the inbox was taken."""
    return [row.event for row in account.rows(InboxPlace)]


def changes(account, name="L-1"):
    """A lead's changes on record: label, time and origin."""
    return [(row.label, row.at, row.origin) for row in account.rows(StatusChange) if row.lead == name]


def test_a_night_takes_a_change_at_its_webhooks_time(account):
    """It is sent with that time."""
    win(account, "L-1")
    account.night()

    assert ("gagne", WON, StatusTimeOrigin.WEBHOOK) == changes(account)[-1]
    assert {"L-1": WON} == {row.lead: row.at for row in account.rows(Delivery)}
    assert [1] == place(account)


def test_the_next_night_adds_nothing_and_sends_nothing(account):
    """By both, as by webhook."""
    win(account, "L-1")
    account.night()
    on_record, sent = changes(account), len(account.sink.calls)
    account.clock.time += DAY
    account.night()

    assert (on_record, sent) == (changes(account), len(account.sink.calls))


@pytest.mark.parametrize("number", [None, 2])
def test_a_webhook_that_comes_again_after_the_night_sends_nothing_again(account, number):
    """As a redelivery, or with an id of its own as by a second subscription."""
    win(account, "L-1")
    account.night()
    on_record, sent = changes(account), len(account.sink.calls)
    again = received("L-1", "Gagné")
    deliver(account, replace(again, received_at=WON + DAY, digest=f"{number}" if number else again.digest))
    between_nights(account)
    account.night()

    assert (on_record, sent) == (changes(account), len(account.sink.calls))


def test_a_webhook_that_comes_after_the_night_changes_nothing_sent(account):
    """The night found the change and fixed its time; the webhook brings the real one too late."""
    account.put(changed(account.source.leads["L-1"], label="Gagné"))
    account.night()
    on_record, sent = changes(account), len(account.sink.calls)
    deliver(account, received("L-1", "Gagné"))
    between_nights(account)
    account.night()

    assert ("gagne", account.clock.now(), StatusTimeOrigin.BOUNDED) == on_record[-1]
    assert (on_record, sent) == (changes(account), len(account.sink.calls))


def test_a_lead_that_looks_unchanged_is_read_all_the_same(account):
    """Its list entry may show nothing of a status. The event's time lies before a reading that did not show it."""
    account.source.entry = lambda _: "always the same"
    account.night()
    account.source.read_whole.clear()
    win(account, "L-1")
    account.night()

    label, _, origin = changes(account)[-1]
    assert ["L-1"] == account.source.read_whole
    assert ("gagne", StatusTimeOrigin.BOUNDED) == (label, origin)


def test_a_lead_that_the_list_leaves_out_is_read_by_its_own_page(account):
    """A filter or a narrow list does not hide what a webhook reports."""
    account.source.unlisted = {"L-1"}
    win(account, "L-1", "L-2")
    account.night()

    assert ["L-1"] == account.source.asked
    assert [("gagne", WON, StatusTimeOrigin.WEBHOOK)] * 2 == [changes(account, name)[-1] for name in ("L-1", "L-2")]


def test_where_leads_are_read_one_by_one_the_reported_ones_come_first(account):
    """A night that runs out of time once it has the list has read them."""
    account.sync_window = replace(REACH, style=SyncMode.DETAILS)
    win(account, "L-2")
    account.source.allowed = 2
    account.night()

    assert ["L-2"] == account.source.asked
    assert ("gagne", WON, StatusTimeOrigin.WEBHOOK) == changes(account, "L-2")[-1]


@pytest.mark.parametrize("what", ["gone", "unreadable", "another's"])
def test_a_lead_that_cannot_be_read_holds_nothing_up(account, what):
    """It was asked for: the inbox counts as taken."""
    win(account, "L-1", "L-2")
    account.source.unlisted = {"L-1"}
    if what == "gone":
        account.source.delete("L-1")
    elif what == "unreadable":
        account.source.leads["L-1"] = UnreadableLead("L-1", "no creation time")
        account.source.unlisted = set()
        account.source.fetch_changes = lambda *_args, **_more: (page for page in ())
    else:
        account.source.merged = {"L-1": LeadId("L-9")}
    between_nights(account)

    assert [2] == place(account)
    assert ("gagne", WON, StatusTimeOrigin.WEBHOOK) == changes(account, "L-2")[-1]


@pytest.mark.parametrize("error", [Transient("it keeps failing"), Misconfigured("the key is refused")])
def test_while_oplead_is_unreachable_nothing_moves(account, error):
    """The next night takes it."""
    win(account, "L-1")
    account.source.fails = {0: error}
    account.night()

    assert [] == place(account)
    account.clock.time += DAY
    account.source.fails = {}
    account.night()
    assert [1] == place(account)
    assert ("gagne", WON, StatusTimeOrigin.WEBHOOK) == changes(account)[-1]


@pytest.mark.parametrize("style", [SyncMode.SINCE, SyncMode.DETAILS])
def test_ids_that_oplead_refuses_hold_up_neither_the_inbox_nor_the_night(account, style):
    """Whoever reaches the receiver may report any id: a human is told, and the rest is read."""
    account.sync_window = replace(REACH, style=style)
    win(account, "L-1")
    deliver(account, received("bogus-1", "Gagné"), received("bogus-2", "Gagné"))
    win(account, "L-2")
    account.source.unlisted = {"L-2"}
    account.source.fails = {name: Misconfigured("Oplead answered 400") for name in ("bogus-1", "bogus-2")}
    summary = account.night()

    assert (None, True, 1) == (summary.source_stopped, summary.pulled.complete, summary.exit_code)
    assert [4] == place(account)
    assert "2 leads" in attention(summary)[0]
    assert {("gagne", WON, StatusTimeOrigin.WEBHOOK)} == {changes(account, name)[-1] for name in ("L-1", "L-2")}


def test_ids_that_oplead_refuses_are_passed_between_nights(account):
    """The next run does not meet them again."""
    deliver(account, received("bogus-1", "Gagné"), received("bogus-2", "Gagné"))
    win(account, "L-1")
    account.source.fails = {name: Misconfigured("Oplead answered 400") for name in ("bogus-1", "bogus-2")}
    summary = between_nights(account)

    assert (None, [3]) == (summary.source_stopped, place(account))
    assert ("gagne", WON, StatusTimeOrigin.WEBHOOK) == changes(account)[-1]


def test_an_id_whose_lead_the_key_may_not_read_stops_no_run_between_nights(account):
    """The key reads another lead on record, which is asked for once however many it may not read."""
    refused = KeyRefused("not this one")
    refused.is_known = True
    account.source.fails = {f"X-{number}": refused for number in range(3)}
    deliver(account, *(received(name, "Gagné") for name in account.source.fails))
    summary = between_nights(account)

    assert (None, [3]) == (summary.source_stopped, place(account))
    assert 3 + 1 == len(account.source.asked)
    account.put(undated("N-1"))
    account.source.fails = {"X-9": refused}
    deliver(account, received("X-9", "Gagné"), received("N-1", "Nouveau"))
    assert None is between_nights(account).source_stopped
    assert "N-1" in {row.id for row in account.rows(LeadRow)}


def test_a_key_that_may_read_no_lead_stops_a_run_between_nights(account):
    """It may not read the one on record either, so nothing counts as taken."""
    refused = KeyRefused("no lead at all")
    refused.is_known = True
    account.source.fails = dict.fromkeys(["X-1", *account.source.leads], refused)
    deliver(account, received("X-1", "Gagné"))

    assert (3, []) == (between_nights(account).exit_code, place(account))


@pytest.mark.parametrize("reading", [between_nights, lambda account: account.night()])
def test_a_refused_key_stops_the_reading_of_reported_leads(account, reading):
    """Nothing counts as taken."""
    win(account, "L-1")
    account.source.unlisted = {"L-1"}
    account.source.fails = {"L-1": KeyRefused("the key is refused")}

    assert 3 == reading(account).exit_code
    assert [] == place(account)


def test_a_reported_lead_that_keeps_failing_waits_and_the_night_goes_on(account):
    """The list was read to its end, so the next one starts after it."""
    before = account.rows(Cursor)[0].since
    win(account, "L-1")
    account.source.unlisted = {"L-1"}
    account.source.fails = {"L-1": Transient("Oplead keeps answering 500")}
    summary = account.night()

    assert (None, True, 1) == (summary.source_stopped, summary.pulled.complete, summary.exit_code)
    assert "Oplead keeps answering 500" in attention(summary)[0]
    assert [] == place(account)
    assert before < account.rows(Cursor)[0].since
    account.night()
    assert [1] == place(account)


def test_requests_that_run_out_leave_the_rest_for_the_next_run(account):
    """What was read is kept, and nothing counts as taken."""
    win(account, "L-1", "L-2")
    account.source.made, account.source.allowed = 0, 1
    summary = between_nights(account)

    assert (2, 1) == (summary.pulled.webhooks.leads, summary.pulled.webhooks.left)
    assert [] == place(account)
    account.source.made = 0
    account.source.allowed = None
    assert 0 == between_nights(account).pulled.webhooks.left
    assert [2] == place(account)


@pytest.mark.parametrize("step", [NightStep.PLAN, NightStep.DELIVER])
def test_a_run_that_ends_before_it_reports_takes_nothing(account, step):
    """The next one meets the same events, and adds nothing twice."""
    win(account, "L-1")
    not_understood(account, "{a: text}")

    def watch(at, _summary, **_more):
        if at is step:
            raise Crash
        return no_progress_display(at, _summary)

    with pytest.raises(Crash), account.hold() as ledger:
        run_night(account.run(ledger, watch=watch))

    assert [] == place(account)
    summary = account.night()
    assert 1 == summary.exit_code
    assert 1 == len([label for label, *_ in changes(account) if label == "gagne"])


def test_a_stop_between_two_requests_takes_nothing(account):
    """What was read is kept."""
    win(account, "L-1")

    def stopped():
        raise StoppedBySignal(15)

    with pytest.raises(StoppedBySignal), account.hold() as ledger:
        run_night(account.run(ledger, cancel_token=stopped), reading=RunReadingScope.WEBHOOKS)

    assert [] == place(account)


def test_an_event_that_arrives_while_its_lead_is_read_waits_for_the_next_reading(account):
    """The page may have been answered before the change that the event reports."""
    win(account, "L-1")
    served, lost = account.source.fetch_each, account.clock.now() + MINUTE

    def and_then(ids):
        for found in served(ids):
            yield found
            deliver(account, received("L-1", "Perdu", lost))

    account.source.fetch_each = and_then
    between_nights(account)

    assert [("nouveau", "gagne"), 1] == [tuple(label for label, *_ in changes(account)), *place(account)]
    account.source.fetch_each = served
    account.put(changed(account.source.leads["L-1"], label="Perdu"))
    account.clock.time += HOUR
    between_nights(account)
    assert ("perdu", lost, StatusTimeOrigin.WEBHOOK) == changes(account)[-1]


def test_an_event_that_arrives_after_its_page_was_requested_waits_for_the_next_reading(account):
    """A page requested ahead is older than the page before it, whose leads are stored in between."""
    account.source.page = 1
    account.put(changed(account.source.leads["L-2"], label="Gagné"))
    served, lost = account.source.fetch_changes, account.clock.now() + MINUTE

    def requested_ahead(*args, **options):
        for number, page in enumerate(served(*args, **options)):
            if number == 1:
                deliver(account, received("L-2", "Perdu", lost))
            yield replace(page, ahead=min(number, 1))

    account.source.fetch_changes = requested_ahead
    account.night()

    assert ["nouveau", "gagne"] == [label for label, *_ in changes(account, "L-2")]
    account.source.fetch_changes = served
    account.put(changed(account.source.leads["L-2"], label="Perdu"))
    account.clock.time += DAY
    account.night()
    assert ("perdu", lost, StatusTimeOrigin.WEBHOOK) == changes(account, "L-2")[-1]


def test_several_leads_all_gone_leave_the_decision_to_the_night(account):
    """Their pages are probably elsewhere; the night reads the list, where they are."""
    names = [f"G-{number}" for number in range(5)]
    account.put(*(undated(name) for name in names))
    account.night()
    before, won = place(account), account.clock.now() + HOUR
    account.put(*(undated(name, "Gagné") for name in names))
    deliver(account, *(received(name, "Gagné", won) for name in names))
    account.clock.time += DAY
    served, account.source.fetch_each = account.source.fetch_each, lambda ids: ((lead, None) for lead in ids)
    summary = between_nights(account)

    assert (before, 5) == (place(account), summary.pulled.webhooks.left)
    assert ["leads that are listed have no page of their own: see oplead.lead_path"] == attention(summary)
    account.source.fetch_each = served
    account.night()
    assert {("gagne", won, StatusTimeOrigin.WEBHOOK)} == {changes(account, name)[-1] for name in names}


def test_leads_that_are_refused_to_the_key_do_not_tell_a_wrong_path(account):
    """Their pages are where they should be; the one that was not asked for shows that the key reads others."""
    names = [f"G-{number}" for number in range(5)]
    account.put(*(undated(name) for name in names), undated("N-1"))
    account.night()
    account.clock.time += DAY
    deliver(account, *(received(name, "Gagné") for name in names))
    refuse_pages(account.source, *names)
    summary = between_nights(account)

    assert (None, [5]) == (summary.source_stopped, place(account))
    assert ["5 leads could not be read: `status` lists them"] == attention(summary)


def test_an_inbox_made_anew_is_known_by_more_than_its_size(account):
    """It may hold more events than the old one by the time it is read."""
    win(account, "L-1")
    account.night()
    account.inbox.unlink()
    win(account, "L-2", "L-0")
    between_nights(account)

    assert (["L-2", "L-0"], [2]) == (account.source.asked, place(account))


def test_an_inbox_made_anew_is_taken_from_its_beginning(account):
    """Its ids start again, and what is on record is not added again."""
    win(account, "L-1", "L-2")
    account.night()
    on_record = changes(account)
    account.inbox.unlink()
    deliver(account, received("L-1", "Gagné"))
    between_nights(account)

    assert (["L-1"], [1]) == (account.source.asked, place(account))
    assert on_record == changes(account)


def test_a_change_of_what_is_read_does_not_take_the_inbox_anew(account):
    """Every lead is read again in full; those with old events are not asked for one by one."""
    win(account, "L-1")
    account.night()
    account.book = replace(account.book, extraction_digest="another")
    account.clock.time += DAY
    account.night()

    assert ([1], 0) == (place(account), between_nights(account).pulled.webhooks.leads)


def test_a_damaged_inbox_is_done_without(account):
    """The night finds the change by itself, and a human is told."""
    win(account, "L-1")
    account.inbox.write_bytes(b"no database" * 1000)
    summary = account.night()

    assert (StatusTimeOrigin.BOUNDED, 1) == (changes(account)[-1][2], summary.exit_code)
    assert "inbox cannot be read" in attention(summary)[0]
    assert [] == place(account)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE event SET received_at = 'soon' WHERE lead = 'L-1'",
        "UPDATE event SET received_at = x'ff' WHERE lead = 'L-1'",
        "UPDATE event SET kind = 'gossip' WHERE lead = 'L-1'",
        "UPDATE event SET at = 'T' WHERE lead = 'L-1'",
    ],
)
def test_a_damaged_event_does_not_cost_the_others(account, damage):
    """It is left out and counted; the rest of the inbox is taken as ever."""
    win(account, "L-1", "L-2")
    with closing(sqlite3.connect(account.inbox)) as file, file:
        file.execute(damage)
    summary = account.night()

    assert ("gagne", WON, StatusTimeOrigin.WEBHOOK) == changes(account, "L-2")[-1]
    assert StatusTimeOrigin.BOUNDED == changes(account, "L-1")[-1][2]
    assert (1, [2]) == (summary.exit_code, place(account))
    assert "1 event in the webhooks' inbox is damaged" in attention(summary)[0]


def test_a_damaged_inbox_leaves_the_place_where_it_was(account):
    """Once it is restored, the next run goes on there."""
    win(account, "L-1")
    account.night()
    whole = account.inbox.read_bytes()
    account.inbox.write_bytes(b"no database" * 1000)
    between_nights(account)
    account.inbox.write_bytes(whole)

    assert [1] == place(account)
    assert 0 == between_nights(account).pulled.webhooks.leads


def test_a_row_that_holds_no_time_is_a_damaged_inbox(account):
    """It is not guessed at."""
    win(account, "L-1")
    writing = WebhookInboxFile(account.inbox).open_inbox_for_writing()
    writing._connection.execute("UPDATE event SET received_at = 'yesterday'")
    writing.close()

    assert 1 == account.night().exit_code


@pytest.mark.parametrize("made", [False, True])
def test_before_any_webhook_there_is_nothing_to_take(account, made):
    """The receiver may not have been started yet, or have just begun to make its file."""
    if made:
        account.inbox.touch()
    summary = account.night()

    assert (0, None, []) == (summary.exit_code, summary.pulled.webhooks.problem, place(account))


def test_without_webhooks_no_inbox_is_opened():
    """Nothing is asked of the disk."""
    inbox = InboxReader()

    assert (None, {}, {}) == (
        inbox.latest_event_id(),
        inbox.leads_with_events(after=0, to=9),
        inbox.webhook_events_of([LeadId("L-1")], to=9),
    )
    assert inbox.problem is None


def test_a_receiver_that_was_down_costs_the_time_and_not_the_change(account):
    """The night finds it, between its bounds."""
    deliver(account, received("L-1", "Nouveau"))
    account.put(changed(account.source.leads["L-2"], label="Gagné"))
    account.night()

    assert ("gagne", account.clock.now(), StatusTimeOrigin.BOUNDED) == changes(account, "L-2")[-1]


def test_what_is_not_understood_is_reported_once_with_its_structure(account):
    """The same structure again is counted, and wakes nobody."""
    not_understood(account, "a: text, 3 letters", times=2)
    first = account.night()
    not_understood(account, "b: text, 3 letters", times=1)
    again = received(None, "again", kind=None, structure="a: text, 3 letters")
    deliver(account, again)
    second = account.night()

    assert (1, 1) == (first.exit_code, second.exit_code)
    assert ["2 webhooks not understood", "1 webhook not understood"] == [
        text.split(",")[0] for summary in (first, second) for text in attention(summary)
    ]
    assert "they hold: a." in attention(first)[0]
    assert "paste this below `webhooks:`" in attention(first)[0]
    assert 1 == second.pulled.webhooks.known_unknown
    assert 0 == account.night().exit_code


def test_a_lead_that_no_setting_can_reach_is_told_without_a_line_to_paste(account):
    """A line that does not help costs a person's time."""
    not_understood(account, "data: object; data.result: object; data.result.leads[].leadId: text, 3 letters", times=1)
    (told,) = attention(account.night())

    assert "paste" not in told
    assert "No setting can read a lead in a list within another object" in told


def test_never_is_everything_all_right_while_webhooks_are_not_understood(account):
    """Neither on a quiet night, nor when they come again; once all that comes is understood, it is."""

    def is_told():
        summary = account.night()
        now = account.clock.now()
        with account.hold() as ledger:
            update_incidents(ledger, account.book, account.sinks, summary, NotificationThresholds(), now=now)
            with ledger.read_transaction() as session:
                tasks = gather_brief(session, account.book, currency="EUR", now=now).tasks
        told = {"Webhooks that are not understood"} & {each.title for each in tasks}
        assert not (told and "all right" in verdict(tasks))
        return bool(told)

    healthy = is_told()
    not_understood(account, "a: text, 3 letters")
    first, quiet = is_told(), is_told()
    deliver(account, received("L-1", "Nouveau"))
    mended = is_told()
    deliver(account, received(None, "again", kind=None, structure="a: text, 3 letters"))
    again = is_told()

    assert [False, True, True, False, True] == [healthy, first, quiet, mended, again]


# ── between nights ───────────────────────────────────────────────────────────────────────────────


def test_between_nights_only_the_reported_leads_are_read(account):
    """No page of the list is asked for."""
    calls = len(account.source.calls)
    win(account, "L-1")
    account.put(changed(account.source.leads["L-2"], label="Gagné"))
    summary = between_nights(account)

    assert (["L-1"], calls) == (account.source.asked, len(account.source.calls))
    assert {"L-1"} == {row.lead for row in account.rows(Delivery)}
    assert RunReadingScope.WEBHOOKS is summary.reading


def test_without_news_nothing_is_read(account):
    """What has come due is sent all the same."""
    deliver(account)
    between_nights(account)

    assert [] == account.source.asked


def has_more(account):
    """Whether a run between nights would find anything to do, and how many statements it takes to tell."""
    with (
        account.hold() as ledger,
        closing(InboxReader(WebhookInboxFile(account.inbox))) as inbox,
        ledger.read_transaction() as session,
    ):
        statements = []
        listen(session.connection(), "before_cursor_execute", lambda *more: statements.append(more[2]))
        return has_work(session, ledger.account, inbox, now=account.clock.now()), len(statements)


def test_without_anything_new_or_due_a_run_between_nights_is_left_out(account):
    """Three statements tell; nothing is connected, asked or recorded."""
    account.resolve()

    assert (False, 3) == has_more(account)
    win(account, "L-1")
    assert has_more(account)[0]
    between_nights(account)
    assert not has_more(account)[0]


def test_outcomes_that_can_be_known_are_something_to_do(account):
    """As soon as the platform may tell them."""
    win(account, "L-1")
    between_nights(account)
    waits = [row.resolve_after for row in account.rows(Request) if row.state == "received"]
    account.clock.time = max(waits)

    assert has_more(account)[0]
    account.resolve()
    assert not has_more(account)[0]


def test_a_delivery_that_has_come_due_is_something_to_do(account):
    """It was too early when it was planned."""
    account.put(changed(account.source.leads["L-1"], created_at=account.clock.now() - HOUR, id=LeadId("L-9")))
    deliver(account, received("L-9", "Nouveau", account.clock.now()))
    account.put(changed(account.source.leads["L-9"], label="Gagné"))
    deliver(account, received("L-9", "Gagné", account.clock.now()))
    between_nights(account)

    assert {"L-9": "pending"} == account.states
    assert not has_more(account)[0]
    account.clock.time = account.rows(Delivery)[0].not_before
    assert has_more(account)[0]


def test_what_the_volume_guard_holds_is_nothing_to_do(account):
    """Until a human accepts it: no run between nights comes for it."""
    account.book = replace(account.book, max_per_run={GOOGLE: 0})
    account.resolve()
    win(account, "L-1", "L-2")
    held = between_nights(account).held

    assert (1, {"L-1": "pending", "L-2": "pending"}) == (len(held), account.states)
    assert not has_more(account)[0]


@pytest.mark.parametrize("how", ["anew", "damaged", "restored"])
def test_an_inbox_in_which_something_is_wrong_is_not_left_out(account, how):
    """A run takes it from its beginning, or tells a human."""
    win(account, "L-1")
    before = account.inbox.read_bytes()
    win(account, "L-2")
    between_nights(account)
    if how == "anew":
        account.inbox.unlink()
        deliver(account, received("L-0", "Gagné"), received("L-2", "Gagné"))
    else:
        account.inbox.write_bytes(before if how == "restored" else b"no database" * 1000)

    assert has_more(account)[0]


def test_a_lead_that_is_still_unknown_is_read_when_a_webhook_reports_it(account):
    """It was created since the last night."""
    account.put(replace(undated("L-9", "Gagné"), created_at=WON - HOUR))
    deliver(account, received("L-9", "Gagné"))
    between_nights(account)

    assert {"L-9": WON} == {row.lead: row.at for row in account.rows(Delivery)}


def test_the_night_after_sends_nothing_again(account):
    """It reads the same leads, and knows their changes."""
    win(account, "L-1")
    between_nights(account)
    sent = len(account.sink.calls)
    account.clock.time += DAY
    account.night()

    assert sent == len(account.sink.calls)
    assert 1 == len(account.rows(Delivery))


def test_all_runs_up_to_a_night_and_the_night_itself_send_no_more_than_one_night(account):
    """The volume guard counts them together; the night after may send what is left."""
    names = [f"N-{number}" for number in range(60)]
    for half in (names[:30], names[30:]):
        for name in half:
            account.put(replace(undated(name), created_at=NIGHT))
        win(account, *half)
        summary = between_nights(account)

    assert [60] == [excess.due for excess in summary.held.values()]
    assert 30 == sum(len(call.events) for call in account.sink.calls)
    with account.hold(NIGHTLY) as ledger:
        assert [60] == [excess.due for excess in run_night(account.run(ledger)).held.values()]
        finish_run(ledger, 0, now=account.clock.now())
    account.clock.time += DAY
    assert {} == account.night().held


def test_a_new_status_that_a_webhook_reports_waits_for_no_night(account):
    """A rename moves no lead, so this one moved."""
    account.put(changed(account.source.leads["L-1"], label="Signé"))
    deliver(account, received("L-1", "Signé"))
    between_nights(account)

    assert [False] == [row.waits for row in account.rows(LabelMove)]


def test_a_new_status_that_no_webhook_reports_waits_for_the_night(account):
    """Only a reading of every lead tells whether it was renamed."""
    account.put(changed(account.source.leads["L-1"], label="Signé"))
    deliver(account, received("L-1", None, kind=CrmEventKind.APPOINTMENT))
    between_nights(account)

    assert [True] == [row.waits for row in account.rows(LabelMove)]


def awaiting_signature(account, count):
    """Leads with a label that nobody else has, and one that is won, after a night; return the names of the former."""
    names = [f"M-{number}" for number in range(count)]
    account.put(*(undated(name, "Signé") for name in names), undated("L-9", "Gagné"))
    account.clock.time += DAY
    account.night()
    return names


def relabelled(account, names, label="Gagné"):
    """Have these leads show another label an hour later, as by a rename, and webhooks tell something else of them."""
    account.clock.time += HOUR
    now = account.clock.now()
    account.put(*(replace(changed(account.source.leads[name], label=label), updated_at=now) for name in names))
    deliver(account, *(received(name, None, now, kind=CrmEventKind.APPOINTMENT) for name in names))


def sold(account):
    """The leads whose sale the platform counted, but for the one that was won before."""
    return {row.lead for row in account.rows() if row.key in account.sink.counted} - {"L-9"}


def taken_one_by_one(account, *parts):
    """Have a run take up each part of the relabelled leads."""
    for part in parts:
        relabelled(account, part)
        between_nights(account)


def test_leads_that_lose_a_label_silently_wait_however_many_runs_they_are_spread_over(account):
    """A night that read them at once would hold them, too."""
    names = awaiting_signature(account, 20)
    taken_one_by_one(account, names[:10], names[10:])

    assert dict.fromkeys(names, True) == {row.lead: row.waits for row in account.rows(LabelMove)}


@pytest.mark.parametrize("style", SyncMode)
def test_leads_that_leave_a_label_one_by_one_wait_for_no_night_while_most_have_it(account, style):
    """Oplead dates no move, and the others were read last night; that night reads the list once."""
    names = awaiting_signature(account, 60)
    account.source.filters = style is SyncMode.SINCE
    account.sync_window = replace(REACH, style=style)
    taken_one_by_one(account, *(names[at : at + 5] for at in range(0, 25, 5)))
    by_day, calls = sold(account), len(account.source.calls)
    account.clock.time += DAY / 2
    summary = account.night()

    assert (set(names[:25]), []) == (by_day, summary.review.renames)
    assert calls + 1 == len(account.source.calls)


@pytest.mark.parametrize("style", SyncMode)
def test_the_night_judges_a_merged_status_by_all_leads_that_moved_since_the_last_night(account, style):
    """It floods nothing, though runs between nights have read every lead that moved."""
    names = awaiting_signature(account, 25)
    account.source.filters = style is SyncMode.SINCE
    account.sync_window = replace(REACH, style=style)
    taken_one_by_one(account, names[:20], names[20:])
    account.clock.time += DAY / 2
    summary = account.night()

    assert (1, []) == (len(summary.review.renames), account.rows(LabelMove))
    assert {StatusTimeOrigin.RELABEL} == {
        how for name in names for label, _, how in changes(account, name) if label == "gagne"
    }
    assert set() == sold(account)


def test_leads_that_moved_by_day_count_with_those_that_the_night_finds(account):
    """Each part alone is too small to tell; what was sent by day stays sent."""
    names = awaiting_signature(account, 24)
    taken_one_by_one(account, names[:12])
    relabelled(account, names[12:])
    account.clock.time += DAY / 2
    summary = account.night()

    assert 1 == len(summary.review.renames)
    assert set(names[:12]) == sold(account)


def test_what_one_night_has_judged_counts_no_more_in_the_next(account):
    """Leads that empty a status over two days have moved, by day or by night."""
    names = awaiting_signature(account, 30)
    account.source.filters = True
    account.sync_window = replace(REACH, style=SyncMode.SINCE)
    for part in (names[:15], names[15:]):
        relabelled(account, part)
        account.clock.time += DAY - HOUR
        summary = account.night()

    assert (set(names), []) == (sold(account), summary.review.renames)


@pytest.mark.parametrize("error", [Transient("503"), Misconfigured("no such page")])
def test_a_night_that_breaks_off_after_the_list_judges_no_move(account, error):
    """It releases no lead, and does not forget since when they have moved."""
    account.put(changed(lead("U-1"), fields={}))
    names = awaiting_signature(account, 24)
    taken_one_by_one(account, names[:12])
    relabelled(account, names[12:])
    account.clock.time += DAY / 2
    account.source.unlisted, account.source.fails = {"U-1"}, {"U-1": error}
    broken = account.night()
    account.source.unlisted, account.source.fails = set(), {}
    account.clock.time += DAY
    whole = account.night()

    assert (3, 1) == (broken.exit_code, len(whole.review.renames))
    assert set(names[:12]) == sold(account)


@pytest.mark.parametrize("parts", [1, 3])
def test_a_renamed_status_enters_no_lead_however_many_runs_it_is_spread_over(account, parts):
    """The new name is new to all; the night, which reads every lead, decides."""
    account.book = replace(account.book, routes=(route(labels=frozenset({"signe", "devis signe"})),))
    names = awaiting_signature(account, 6)
    relabel = "Devis signé"
    for start in range(0, 6, 6 // parts):
        relabelled(account, names[start : start + 6 // parts], relabel)
        between_nights(account)
    by_day = account.states
    account.clock.time += DAY / 2
    summary = account.night()

    assert (1, by_day, []) == (len(summary.review.renames), account.states, account.rows(LabelMove))


def test_a_second_reading_in_one_night_counts_no_lead_twice(account):
    """What was left of the first is met again."""
    win(account, "L-1")
    done = PullResult()
    with account.hold() as ledger:
        for _ in range(2):
            NewEvents.arrived_since_last_run(account.run(ledger), done)

    assert 1 == done.webhooks.leads


def test_an_appointment_becomes_a_change_beside_the_status(account):
    """The lead keeps its status, and no label is new to anyone."""
    account.put(replace(account.source.leads["L-1"], has_appointment=True))
    deliver(account, received("L-1", None, kind=CrmEventKind.APPOINTMENT))
    summary = between_nights(account)

    assert ("appointment_set", WON, StatusTimeOrigin.WEBHOOK) == changes(account)[-1]
    assert {"nouveau"} == {row.label for row in account.rows(LeadRow)}
    assert ([], []) == (account.rows(LabelMove), summary.unknown_labels)


def test_what_waits_in_the_inbox_can_be_told(account):
    """Until a run has taken it up."""
    inbox = InboxReader(WebhookInboxFile(account.inbox))

    assert inbox.count_waiting_events(after=0) is None
    win(account, "L-1", "L-2")
    assert (2, WON) == (inbox.count_waiting_events(after=0).count, inbox.count_waiting_events(after=0).received_at)
    assert 0 == inbox.count_waiting_events(after=2).count
    inbox.close()


# ── ids that nobody has ──────────────────────────────────────────────────────────────────────────


def flood(account, count, *, name="forged"):
    """Have the receiver take events about leads that do not exist."""
    deliver(account, *(received(f"{name}-{number}", "Gagné") for number in range(count)))


@pytest.mark.parametrize("style", [SyncMode.SINCE, SyncMode.DETAILS])
def test_a_flood_of_ids_that_do_not_exist_costs_a_night_a_few_requests(account, style):
    """Leads on record come first, and a human is told how many do not exist."""
    account.sync_window = replace(REACH, style=style)
    flood(account, 1_000)
    win(account, "L-1")
    account.source.unlisted = {"L-1"}
    summary = account.night()

    forged = [lead for lead in account.source.asked if lead.startswith("forged")]
    assert UNKNOWN_A_NIGHT == len(forged)
    assert account.source.asked.index("L-1") < account.source.asked.index(forged[0])
    assert ("gagne", WON, StatusTimeOrigin.WEBHOOK) == changes(account)[-1]
    assert (1, [1_001]) == (summary.exit_code, place(account))
    assert f"{UNKNOWN_A_NIGHT} leads that webhooks reported do not exist" in attention(summary)[0]


def tell(account):
    """Tell of what the last night found, as the command does after it."""
    with account.hold() as ledger, ledger.write_transaction() as session:
        mark_missing_leads_told(session, ledger.account)


def test_an_id_that_does_not_exist_is_asked_for_once(account):
    """However often it is reported; each night asks for a few of those that wait."""
    flood(account, UNKNOWN_A_NIGHT + 10)
    account.night()
    tell(account)
    between_nights(account)
    account.clock.time += DAY
    deliver(account, *(received(f"forged-{number}", "Perdu") for number in range(UNKNOWN_A_NIGHT)))
    summary = account.night()
    asked = [lead for lead in account.source.asked if lead.startswith("forged")]

    assert UNKNOWN_A_NIGHT + 10 == len(asked) == len(set(asked))
    assert "10 leads that webhooks reported do not exist" in attention(summary)[0]
    tell(account)
    account.clock.time += DAY
    assert 0 == account.night().exit_code


def test_runs_between_nights_share_the_budget_and_leave_the_telling_to_the_night(account):
    """A lead may show an instant after its webhook: the night's list decides."""
    flood(account, 50)
    deliver(account, received("L-new", "Nouveau"))
    assert 0 == between_nights(account).exit_code
    account.put(undated("L-new"))
    flood(account, UNKNOWN_A_NIGHT, name="more")
    between_nights(account)
    asked = len([lead for lead in account.source.asked if not lead.startswith("L-")])
    summary = account.night()

    assert asked < UNKNOWN_A_NIGHT
    assert asked == len(summary.pulled.webhooks.missing)
    assert "L-new" in {row.id for row in account.rows(LeadRow)}


def test_a_stopped_night_keeps_what_it_has_looked_up(account):
    """The next one goes on there, with known and unknown leads."""
    flood(account, 60)
    win(account, *(f"L-{number}" for number in range(3)))
    account.source.unlisted = {f"L-{number}" for number in range(3)}
    served, stops_at = account.source.fetch_each, 50

    def fetch_each(ids):
        for one in served(ids):
            if len(account.source.asked) > stops_at:
                raise StoppedBySignal(15)
            yield one

    account.source.fetch_each = fetch_each
    with pytest.raises(StoppedBySignal):
        account.night()
    account.source.fetch_each = served
    account.night()

    again = Counter(account.source.asked)
    assert 63 == len(again)
    assert 1 >= len([lead for lead, times in again.items() if times > 1])


def test_what_was_kept_of_ids_that_do_not_exist_goes_within_days(account):
    """Looked up or not, in the inbox and in the ledger; an event about a lead on record stays."""
    flood(account, UNKNOWN_A_NIGHT + 10)
    win(account, "L-1")
    account.night()
    inbox = WebhookInboxFile(account.inbox)
    for days, left in ((1, UNKNOWN_A_NIGHT + 11), (7, 2)):
        account.clock.time += days * DAY
        with account.hold() as ledger:
            erase_events_without_lead(ledger, inbox, now=account.clock.now())
        with closing(inbox.open_inbox_for_reading()) as reading:
            ((count,),) = reading._rows("SELECT count(*) FROM {table}")
        assert left >= count
    assert [] == account.rows(ReportedLeadRow)
    with closing(inbox.open_inbox_for_reading()) as reading:
        assert {"L-1"} == reading.webhook_events_of(["L-1"]).keys()


def test_more_ids_than_a_statement_takes_are_taken(account):
    """A flood may name any number."""
    flood(account, 40_000)

    assert 1 == account.night().exit_code
