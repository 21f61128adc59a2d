"""Leads read by their own pages: new ones whole, known ones while something could still be sent, oldest read first."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.errors import Misconfigured, Transient
from connectors.records import ClickId, ClickIdKind, Contact, Moment, StatusEntry, UnreadableLead
from jobs.ledger.schema import Cursor, LeadRow, UnreadableLeadRow
from jobs.pull.ingest import AT_ONCE
from jobs.rules.extraction import Exclusion
from jobs.run_context import SyncMode
from tests.builders import REACH, attention, changed, lead, read
from tests.fakes import NIGHT

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def account(account):
    """An account whose leads are read one by one."""
    account.sync_window = replace(REACH, style=SyncMode.DETAILS)
    return account


def pull(account):
    """Pull in a run of its own; what was read, and who was asked for."""
    account.source.asked.clear()
    with account.hold() as ledger:
        done = read(account.run(ledger))
    return done, list(account.source.asked)


def test_the_list_only_tells_which_leads_there_are(account):
    """Each new one is read by its own page, once."""
    account.source.page = 2
    account.put(*(lead(f"L-{number}") for number in range(5)))
    done, asked = pull(account)

    assert [] == account.source.read_whole
    assert [f"L-{number}" for number in range(5)] == asked
    assert (5, 5, 5, True) == (done.seen, done.detail_pages, done.changed, done.complete)


def test_a_change_is_seen_on_a_leads_own_page(account):
    """Whatever the list says; an unchanged one is only noted as seen."""
    account.put(lead("L-1", label="Nouveau", history=()), lead("L-2"))
    account.night()
    account.clock.time += DAY
    account.put(changed(account.source.leads["L-1"], label="Gagné", updated_at=account.clock.now() - HOUR))
    summary = account.night()

    assert (2, 1) == (summary.pulled.detail_pages, summary.pulled.changed)
    assert {"L-1": "submitted", "L-2": "accepted"} == account.states
    assert {NIGHT + DAY} == {row.seen_at for row in account.rows(LeadRow)}


def test_to_be_listed_is_not_to_be_observed(account):
    """An undated change lies after the last time its own page was read."""
    account.put(lead("L-1", label="Nouveau", history=()))
    pull(account)
    account.clock.time += DAY
    account.source.fails = {"L-1": Transient("503")}
    with pytest.raises(Transient):
        pull(account)

    assert [NIGHT] == [row.seen_at for row in account.rows(LeadRow)]


def test_only_leads_that_could_still_be_sent_are_read_again(account):
    """Created or clicked within the longest window, or with something open."""
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


def test_the_longest_unread_come_first(account):
    """So that a night that is too short reads the others."""
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


def test_time_that_is_up_leaves_the_rest_for_the_next_night(account):
    """Nothing is read twice before everything is read once."""
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


def test_time_that_is_up_amid_new_leads_has_the_page_read_again(account):
    """Those on record are not asked for twice."""
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


def test_a_source_that_gives_no_more_tonight_ends_the_pull(account):
    """A budget of requests is spent within it."""
    names = [f"L-{number:03}" for number in range(AT_ONCE + 5)]
    account.put(*(lead(name) for name in names))
    pull(account)
    account.clock.time += DAY
    real = account.source.fetch_each
    account.source.fetch_each = lambda ids: real(list(ids)[:3])
    done, asked = pull(account)

    assert (names[:3], False) == (asked, done.complete)
    assert [] == attention(done)


def test_a_list_that_leaves_nothing_for_own_pages_is_told(account):
    """Else no change would ever be seen, in silence."""
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
def test_what_was_read_before_a_failure_is_kept(account, error):
    """Also where it comes amid the leads of one transaction."""
    account.put(lead("L-1"), lead("L-2"), lead("L-3"))
    account.source.fails = {"L-2": error}
    with pytest.raises(type(error)):
        pull(account)
    kept = [row.id for row in account.rows(LeadRow)]
    _, asked = pull(account)

    assert (["L-1"], ["L-2", "L-3"]) == (kept, asked)


def test_a_new_lead_that_cannot_be_read_is_remembered(account):
    """And one that is gone before it was read is none."""
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


def test_a_lead_gone_on_two_nights_is_called_off_and_asked_for_no_more(account):
    """Until the list shows it again."""
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


def test_a_narrower_key_calls_nothing_off(account):
    """Here too."""
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


def test_test_leads_are_left_out_here_too(account):
    """They are known by their own pages."""
    exclude = Exclusion(email_domains=frozenset({"maison-durand.fr"}))
    account.book = replace(account.book, extraction=replace(account.book.extraction, exclude=exclude))
    account.put(lead("L-1", contact=Contact(emails=("claire@maison-durand.fr",))), lead("L-2"))
    done, _ = pull(account)

    assert (1, ["L-2"]) == (done.excluded, [row.id for row in account.rows(LeadRow)])


def test_the_sources_own_clock_tells_when_a_lead_was_read(account):
    """Ours may be wrong."""
    account.source.clock = type(account.clock)(NIGHT - 2 * HOUR)
    account.put(lead("L-1"))
    pull(account)
    account.clock.time += DAY
    account.source.clock.time += DAY
    _, asked = pull(account)

    assert ["L-1"] == asked
    assert [NIGHT - 2 * HOUR + DAY] == [row.seen_at for row in account.rows(LeadRow)]


@pytest.mark.parametrize("style", list(SyncMode))
def test_every_lead_is_found_once_a_week_whatever_the_style(account, style):
    """A lead that the filter misses, or that a drifting page left out."""
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


def test_leads_whose_own_pages_fail_do_not_stand_first_every_night(account):
    """They were asked for, in vain: the others come first then."""
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


def test_leads_whose_own_pages_fail_are_asked_for_in_their_turn(account):
    """Two requests a night beside the list: each of six leads is asked for every third night, failing or not."""
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


def test_a_wrong_way_to_own_pages_is_told_and_not_taken_for_an_empty_platform(account):
    """Listed leads without a page of their own are no leads that are gone."""
    account.put(*(lead(f"L-{number}") for number in range(6)))
    account.source.fetch_each = lambda ids: ((lead_id, None) for lead_id in ids)

    with pytest.raises(Misconfigured, match=r"oplead\.lead_path"):
        pull(account)
