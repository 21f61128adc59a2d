"""Leads read by detail fetch: new ones at once, known ones while they could still be sent, longest unread first."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.errors import Misconfigured, Transient
from connectors.records import ClickId, ClickIdKind, Contact, Moment, StatusEntry, UnreadableLead
from jobs.ledger.schema import Cursor, LeadRow, UnreadableLeadRow
from jobs.pull.ingest import AT_ONCE
from jobs.rules.extraction import ExclusionCriteria
from jobs.run_context import SyncMode
from tests.builders import REACH, attention, changed, lead, read
from tests.fakes import NIGHT, refuse_pages

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def account(account):
    """Return an account that reads its leads by detail fetch."""
    account.sync_window = replace(REACH, style=SyncMode.DETAILS)
    return account


def pull(account):
    """Pull in a separate run; return what was read, and the leads that were fetched."""
    account.source.asked.clear()
    with account.hold() as ledger:
        done = read(account.run(ledger))
    return done, list(account.source.asked)


def test_list_only_gives_the_lead_ids(account):
    """Each new lead is fetched once by its detail page."""
    account.source.page = 2
    account.put(*(lead(f"L-{number}") for number in range(5)))
    done, asked = pull(account)

    assert [] == account.source.read_whole
    assert [f"L-{number}" for number in range(5)] == asked
    assert (5, 5, 5, True) == (done.seen, done.detail_pages, done.changed, done.complete)


def test_change_is_detected_on_the_detail_page(account):
    """The list entry is irrelevant, and an unchanged lead is only marked as seen."""
    account.put(lead("L-1", label="Nouveau", history=()), lead("L-2"))
    account.night()
    account.clock.time += DAY
    account.put(changed(account.source.leads["L-1"], label="Gagné", updated_at=account.clock.now() - HOUR))
    summary = account.night()

    assert (2, 1) == (summary.pulled.detail_pages, summary.pulled.changed)
    assert {"L-1": "submitted", "L-2": "accepted"} == account.states
    assert {NIGHT + DAY} == {row.seen_at for row in account.rows(LeadRow)}


def test_listing_a_lead_does_not_mark_it_as_seen(account):
    """An undated change happened after the last detail fetch."""
    account.put(lead("L-1", label="Nouveau", history=()))
    pull(account)
    account.clock.time += DAY
    account.source.fails = {"L-1": Transient("503")}
    with pytest.raises(Transient):
        pull(account)

    assert [NIGHT] == [row.seen_at for row in account.rows(LeadRow)]


def test_only_leads_that_could_still_be_sent_are_fetched_again(account):
    """They were created or clicked within the longest window, or have an open delivery."""
    old = NIGHT - timedelta(days=200)
    waits = {"fields": {"consent": "bof"}}
    clicked = (ClickId(ClickIdKind.GCLID, "late", NIGHT - DAY),)
    account.put(
        lead("new"),
        lead("old", created_at=old, history=(), click_ids=()),
        lead("clicked", created_at=old, history=(), click_ids=clicked),
        lead("open", created_at=NIGHT - timedelta(days=89), **waits),
    )
    account.night()
    account.clock.time += 2 * DAY
    _, asked = pull(account)

    assert ["clicked", "new", "open"] == sorted(asked)


def test_longest_unread_leads_are_fetched_first(account):
    """A night that is too short then reads the others next time."""
    account.put(lead("L-1"))
    pull(account)
    account.clock.time += HOUR
    account.put(lead("L-0"))
    pull(account)
    account.clock.time += HOUR
    account.source.fails = {"L-0": Transient("503")}
    with pytest.raises(Transient):
        pull(account)
    account.clock.time += HOUR
    _, asked = pull(account)

    assert ["L-0", "L-1"] == asked


def test_exhausted_time_budget_leaves_the_rest_for_the_next_night(account):
    """No lead is read twice before every lead is read once."""
    names = [f"L-{number:03}" for number in range(2 * AT_ONCE + 10)]
    account.put(*(lead(name) for name in names))
    pull(account)
    account.clock.time += DAY
    account.sync_window = replace(account.sync_window, budget=timedelta(minutes=AT_ONCE - 1))
    real = account.source.fetch_each

    def slowly(ids):
        for one in real(ids):
            account.clock.time += timedelta(minutes=1)
            yield one

    account.source.fetch_each = slowly
    (first, one), (second, two), (third, three) = pull(account), pull(account), pull(account)

    assert [names[:AT_ONCE], names[AT_ONCE : 2 * AT_ONCE]] == [one, two]
    assert names[2 * AT_ONCE :] == three[:10]
    assert [False, False, False] == [done.complete for done in (first, second, third)]


def test_exhausted_time_budget_amid_new_leads_repeats_the_page(account):
    """Leads already stored are not fetched twice."""
    names = [f"L-{number:03}" for number in range(AT_ONCE + 10)]
    account.source.page = len(names)
    account.put(*(lead(name) for name in names), lead("L-999"))
    account.sync_window = replace(account.sync_window, budget=timedelta(minutes=AT_ONCE - 1))
    real = account.source.fetch_each

    def slowly(ids):
        for one in real(ids):
            account.clock.time += timedelta(minutes=1)
            yield one

    account.source.fetch_each = slowly
    (first, one), (_, two) = pull(account), pull(account)

    assert (names[:AT_ONCE], False) == (one, first.complete)
    assert [*names[AT_ONCE:], "L-999"] == two[:11]


def test_exhausted_request_budget_ends_the_pull(account):
    """The source itself counts its requests."""
    names = [f"L-{number:03}" for number in range(AT_ONCE + 5)]
    account.put(*(lead(name) for name in names))
    pull(account)
    account.clock.time += DAY
    real = account.source.fetch_each
    account.source.fetch_each = lambda ids: real(list(ids)[:3])
    done, asked = pull(account)

    assert (names[:3], False) == (asked, done.complete)
    assert [] == attention(done)


def test_list_that_uses_up_the_budget_is_reported(account):
    """Otherwise changes would go unnoticed in silence."""
    account.put(lead("L-1"), lead("L-2"))
    account.night()
    account.clock.time += DAY
    account.source.fetch_each = lambda _: iter(())
    summary = account.night()

    assert [
        "2 leads were not read: the list alone used up `oplead.budget` or `oplead.max_requests`, so no change was seen"
    ] == attention(summary)
    assert (False, 1) == (summary.pulled.complete, summary.exit_code)


@pytest.mark.parametrize("error", [Transient("503"), Misconfigured("401")])
def test_leads_read_before_a_failure_are_kept(account, error):
    """This holds even if it comes amid the leads of one transaction."""
    account.put(lead("L-1"), lead("L-2"), lead("L-3"))
    account.source.fails = {"L-2": error}
    with pytest.raises(type(error)):
        pull(account)
    kept = [row.id for row in account.rows(LeadRow)]
    _, asked = pull(account)

    assert (["L-1"], ["L-2", "L-3"]) == (kept, asked)


def test_unreadable_new_lead_is_recorded(account):
    """A lead that was deleted before it could be read is not."""
    account.put(lead("L-1"), lead("L-2"))
    account.source.leads["L-3"] = lead("L-3")
    real = account.source.fetch_each
    broken = {"L-1": UnreadableLead("L-1", "no date"), "L-3": None}
    account.source.fetch_each = lambda ids: ((name, broken.get(name, one)) for name, one in real(ids))
    done, _ = pull(account)

    assert (["L-2"], ["L-1"]) == (
        [row.id for row in account.rows(LeadRow)],
        [row.id for row in account.rows(UnreadableLeadRow)],
    )
    assert 1 == len(done.unreadable)


@pytest.mark.parametrize("refused", [1, 2, 7])
def test_new_leads_that_the_key_may_not_read_end_no_night(account, refused):
    """The others are read, on the first night and on one that shows no other new lead."""
    names = [f"L-{number}" for number in range(8)]
    account.put(*map(lead, names))
    refuse_pages(account.source, *names[:refused])
    told = []
    for _ in range(2):
        told.append(account.night())
        account.clock.time += DAY

    assert [(None, True, refused)] * 2 == [
        (one.source_stopped, one.pulled.complete, len(one.pulled.unreadable)) for one in told
    ]
    assert names[refused:] == [row.id for row in account.rows(LeadRow)]
    assert names[:refused] == [row.id for row in account.rows(UnreadableLeadRow)]


@pytest.mark.parametrize(("leads", "is_told"), [(4, False), (5, True)])
@pytest.mark.parametrize("on_record", [[], ["A-1"]])
def test_key_that_may_read_no_lead_ends_the_night(account, leads, is_told, on_record):
    """Neither a new one nor one on record; a few may all be out of its reach."""
    account.put(*map(lead, on_record))
    account.night()
    account.clock.time += DAY
    names = [f"L-{number}" for number in range(leads)]
    account.put(*map(lead, names))
    refuse_pages(account.source, *names, *on_record)

    assert is_told == (account.night().source_stopped is not None)


@pytest.mark.parametrize("readable", [True, False])
def test_a_few_leads_on_record_are_asked_for_before_a_key_is_taken_for_refused(account, readable):
    """The one seen last may be out of its reach as well."""
    on_record, names = ([f"{kind}-{number}" for number in range(5)] for kind in "AL")
    account.put(*map(lead, on_record))
    account.night()
    account.clock.time += DAY
    account.put(*map(lead, names))
    refuse_pages(account.source, *names, *(on_record[:-1] if readable else on_record))

    assert readable == (account.night().source_stopped is None)


def test_lead_missing_on_two_nights_is_no_longer_fetched(account):
    """Its deliveries are cancelled, and it is fetched again once the list shows it."""
    account.put(lead("L-1", fields={"consent": "bof"}), lead("L-2"))
    account.night()
    account.source.delete("L-1")
    for _ in range(2):
        account.clock.time += DAY
        account.night()
    account.clock.time += DAY
    _, asked = pull(account)
    account.put(lead("L-1", fields={"consent": "bof"}))
    account.clock.time += DAY
    _, again = pull(account)

    assert "cancelled" == account.states["L-1"]
    assert (["L-2"], ["L-1", "L-2"]) == (asked, again)
    assert [None, None] == [row.deleted_at for row in account.rows(LeadRow)]


def test_restricted_api_key_cancels_nothing(account):
    """Too many missing leads at once are reported as suspicious instead."""
    names = [f"L-{number}" for number in range(8)]
    account.put(*(lead(name, fields={"consent": "bof"}) for name in names))
    account.night()
    account.source.delete(*names[:6])
    told = []
    for _ in range(2):
        account.clock.time += DAY
        told.append(account.night().pulled.suspicious)

    assert [6, 6] == told
    assert {"withheld"} == set(account.states.values())


def test_excluded_test_leads_are_recognised_by_detail_fetch(account):
    """The list alone does not show that they are test leads."""
    exclude = ExclusionCriteria(email_domains=frozenset({"maison-durand.fr"}))
    account.book = replace(account.book, extraction=replace(account.book.extraction, exclude=exclude))
    account.put(lead("L-1", contact=Contact(emails=("claire@maison-durand.fr",))), lead("L-2"))
    done, _ = pull(account)

    assert (1, ["L-2"]) == (done.excluded, [row.id for row in account.rows(LeadRow)])


def test_reading_time_comes_from_the_source_clock(account):
    """The local clock may be wrong."""
    account.source.clock = type(account.clock)(NIGHT - 2 * HOUR)
    account.put(lead("L-1"))
    pull(account)
    account.clock.time += DAY
    account.source.clock.time += DAY
    _, asked = pull(account)

    assert ["L-1"] == asked
    assert [NIGHT - 2 * HOUR + DAY] == [row.seen_at for row in account.rows(LeadRow)]


@pytest.mark.parametrize("style", list(SyncMode))
def test_every_lead_is_found_within_a_week_in_any_mode(account, style):
    """A filter may miss a lead, and a shifting page may leave one out."""
    account.sync_window = replace(REACH, style=style)
    account.source.filters = True
    account.put(lead("L-1"))
    account.night()
    missed = lead("L-2", updated_at=NIGHT - 30 * DAY, history=(StatusEntry("Gagné", Moment(NIGHT - DAY)),))
    account.put(missed)
    for _ in range(8):
        account.clock.time += DAY
        account.night()

    assert {"L-1", "L-2"} == {row.id for row in account.rows(LeadRow)}
    assert account.clock.now() - account.rows(Cursor)[0].full_read_at <= 7 * DAY


def test_leads_that_fail_are_not_fetched_first_every_night(account):
    """A failed fetch counts as an attempt, so the other leads have their turn."""
    account.put(*(lead(f"L-{number}") for number in range(4)))
    pull(account)
    account.clock.time += DAY
    original = account.source.fetch_each
    account.source.fetch_each = lambda ids: (
        (lead_id, UnreadableLead(lead_id, "500") if lead_id == "L-1" else one) for lead_id, one in original(ids)
    )
    pull(account)
    account.clock.time += DAY
    _, asked = pull(account)

    assert ["L-0", "L-1", "L-2", "L-3"] == asked


def test_leads_that_fail_are_fetched_in_turn(account):
    """Two fetches a night reach each of six leads every third night, whether they fail or not."""
    names = [f"L-{number}" for number in range(6)]
    account.put(*(lead(name) for name in names))
    account.night()
    original = account.source.fetch_each
    account.source.allowed = 3
    account.source.fetch_each = lambda ids: (
        (name, UnreadableLead(name, "500") if name in ("L-0", "L-1", "L-2") else one) for name, one in original(ids)
    )
    turns = []
    for _ in range(9):
        account.clock.time += DAY
        account.source.asked.clear()
        account.night()
        turns.append(list(account.source.asked))

    assert [names[:2], names[2:4], names[4:]] * 3 == turns


def test_wrong_lead_path_does_not_look_like_deleted_leads(account):
    """Listed leads without a detail page have not been deleted."""
    account.put(*(lead(f"L-{number}") for number in range(6)))
    account.source.fetch_each = lambda ids: ((lead_id, None) for lead_id in ids)

    with pytest.raises(Misconfigured, match=r"oplead\.lead_path"):
        pull(account)
