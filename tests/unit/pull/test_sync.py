"""Leads are read a page at a time, resumed after an interruption, and read in full once a week."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors import language
from connectors.errors import Misconfigured, Transient
from connectors.records import ClickId, ClickIdKind, Contact, Moment, StatusEntry, UnreadableLead
from jobs.ledger.schema import ClickIdRow, Cursor, LeadRow, StatusChange, UnreadableLeadRow
from jobs.run_context import SyncMode
from tests.builders import ACCOUNT, CREATED, REACH, attention, changed, lead, read, route, rulebook
from tests.fakes import NIGHT, Crash

DAY = timedelta(days=1)


def pull(account):
    """Pull in a separate run and return what was read."""
    with account.hold() as ledger:
        return read(account.run(ledger))


def place(account):
    """Return the account's cursor."""
    return account.rows(Cursor)[0]


def five(account, *, page=2):
    """Serve five leads in pages of two."""
    account.source.page = page
    account.put(*(lead(f"L-{number}") for number in range(1, 6)))


def test_every_page_is_stored_and_counted(account):
    """The result counts pages, seen leads and changed leads."""
    five(account)
    done = pull(account)

    assert (3, 5, 5, True) == (done.pages, done.seen, done.changed, done.complete)
    assert 5 == len(account.rows(LeadRow))


@pytest.mark.parametrize("tells", [True, False])
def test_source_without_a_clock_is_recorded_as_undated(account, tells):
    """The clocks could not be compared, which is recorded once for all pages."""
    five(account)
    account.source.clock = account.clock if tells else None
    done = pull(account)

    assert tells != done.undated
    assert not any("clock" in sentence for sentence in attention(done))


def test_repeated_page_is_not_counted_twice(account, monkeypatch):
    """Some platforms repeat their last page; entries without an id count on all other pages."""
    five(account)
    page = account.source.fetch_changes
    spoilt = (UnreadableLead("L-9", "no date"), UnreadableLead(None, "no id"))

    def repeated(since, *, resume, find_known):
        first, second, third = page(since, resume=resume, find_known=find_known)
        yield replace(first, unreadable=spoilt)
        yield replace(second, unreadable=spoilt[1:])
        yield replace(third, resume="4", unreadable=spoilt)
        yield replace(third, leads=(), unchanged=tuple(lead.id for lead in third.leads), unreadable=spoilt)

    monkeypatch.setattr(account.source, "fetch_changes", repeated)
    done = pull(account)

    assert (4, 5) == (done.pages, done.seen)
    assert ["L-9", None, None, "L-9", None] == [one.id for one in done.unreadable]


@pytest.mark.parametrize("error", [Transient("503"), Crash()])
def test_interrupted_pull_resumes_at_its_page(account, error):
    """Each page is stored in its own transaction, and none is read twice."""
    five(account)
    account.source.fails = {1: error}
    with pytest.raises(type(error)):
        pull(account)
    kept = len(account.rows(LeadRow))
    account.clock.time += DAY
    done = pull(account)

    assert (2, 2, True) == (kept, done.pages, done.complete)
    assert [(None, None), (None, "1")] == account.source.calls
    assert [f"L-{number}" for number in range(1, 6)] == account.source.read_whole


def test_pull_refused_by_the_source_starts_over(account):
    """The resume token may be what the source refuses."""
    five(account)
    account.source.fails = {1: Misconfigured("400: page")}
    with pytest.raises(Misconfigured):
        pull(account)
    pull(account)

    assert [(None, None), (None, None)] == account.source.calls


def test_next_pull_overlaps_the_start_of_this_one(account):
    """The overlap is on the source's clock; it does not count from the end, as leads change during a pull."""
    account.sync_window = replace(REACH, style=SyncMode.SINCE)
    account.source.filters = True
    five(account)
    pull(account)
    account.clock.time += DAY
    pull(account)

    assert [(None, None), (NIGHT - timedelta(days=3), None)] == account.source.calls


def test_reading_time_comes_from_the_source_clock(account):
    """The local clock may be wrong."""
    account.source.clock = type(account.clock)(NIGHT - timedelta(hours=2))
    five(account)
    pull(account)

    assert NIGHT - timedelta(hours=2) == place(account).since
    assert {NIGHT - timedelta(hours=2)} == {row.seen_at for row in account.rows(LeadRow)}


def test_source_without_a_clock_uses_the_local_clock(account):
    """The cursor is set from the start of the pull."""
    account.source.clock = None
    five(account)
    pull(account)

    assert NIGHT == place(account).since


def test_resumed_pull_keeps_its_original_start(account):
    """Changes made during the interruption come after that start, and are read by the next pull."""
    five(account)
    account.source.fails = {1: Transient("503")}
    with pytest.raises(Transient):
        pull(account)
    account.clock.time += DAY
    pull(account)

    assert NIGHT == place(account).since


def test_filtering_source_is_read_in_full_once_a_week(account):
    """A full reading finds what a filter misses."""
    account.sync_window = replace(REACH, style=SyncMode.SINCE)
    account.source.filters = True
    account.put(lead())
    for _ in range(17):
        pull(account)
        account.clock.time += DAY
    whole = [night for night, (since, _) in enumerate(account.source.calls) if since is None]

    assert [0, 8, 16] == whole


def test_source_without_a_filter_is_always_read_in_full(account):
    """Digests show which leads have changed."""
    account.put(lead())
    for _ in range(3):
        pull(account)

    assert [(None, None)] * 3 == account.source.calls
    assert ["L-1"] == account.source.read_whole


def test_unchanged_leads_are_marked_as_seen(account):
    """The next undated change then happened after tonight."""
    account.put(lead())
    pull(account)
    account.clock.time += DAY
    done = pull(account)

    assert (1, 0) == (done.seen, done.changed)
    assert NIGHT + DAY == account.rows(LeadRow)[0].seen_at


def test_unreadable_lead_is_recorded_until_it_can_be_read(account):
    """The page goes on without it, and an entry without an id stays on record."""
    account.put(lead("L-1"), lead("L-2"))
    account.source.unreadable = (UnreadableLead("L-3", "createdAt is no date"), UnreadableLead(None, "no id"))
    done = pull(account)
    before = {row.id for row in account.rows(UnreadableLeadRow)}
    account.source.unreadable = ()
    account.put(lead("L-3"))
    pull(account)

    assert (2, 2) == (done.seen, len(done.unreadable))
    assert {"L-3", "without id 1: no id"} == before
    assert {"without id 1: no id"} == {row.id for row in account.rows(UnreadableLeadRow)}


def test_entry_without_an_id_is_recorded_once_whatever_the_language(account):
    """A night is told in the terminal's language, which cron may not set; the count of them would grow."""
    for each in language.Language:
        with language.using_language(each):
            problem = language._("row {number}: {problem}", number=7, problem="no id")
            account.source.unreadable = (UnreadableLead(None, problem),)
            pull(account)

    assert ["without id 1: row 7: no id"] == [row.id for row in account.rows(UnreadableLeadRow)]


def test_time_budget_ends_a_pull_after_a_page(account):
    """The next pull resumes there."""
    five(account)
    account.sync_window = replace(REACH, budget=timedelta(0))
    real = account.source.fetch_changes

    def slowly(*args, **kwargs):
        for page in real(*args, **kwargs):
            account.clock.time += timedelta(hours=1)
            yield page

    account.source.fetch_changes = slowly
    first, second, third = pull(account), pull(account), pull(account)

    assert [(1, False), (1, False), (1, True)] == [(done.pages, done.complete) for done in (first, second, third)]
    assert [None, "1", "2"] == [resume for _, resume in account.source.calls]


def test_lead_read_again_keeps_its_history_and_click_ids(account):
    """Status changes and click ids only accumulate, and none is written twice."""
    old = lead()
    account.put(old)
    pull(account)
    account.clock.time += DAY
    account.put(changed(old, history=(), label="Perdu", click_ids=(), updated_at=None))
    pull(account)

    assert ["nouveau", "gagne", "perdu"] == [row.label for row in account.rows(StatusChange)]
    assert ["gclid-of-L-1"] == [row.value for row in account.rows(ClickIdRow)]


def test_contact_data_is_never_stored_in_clear(account):
    """It is kept only for a route that uses it, and only as hashes."""
    account.book = rulebook(route(attach_contact=True))
    account.put(lead(contact=Contact(emails=("jeanne@example.org",), phones=("0612345678",), last_name="Durand-Test")))
    pull(account)
    stored = b"".join(path.read_bytes() for path in account.path.parent.iterdir())

    assert {"L-1"} == account.hashed
    assert not any(text in stored for text in (b"jeanne", b"0612345678", b"Durand-Test"))


@pytest.mark.parametrize("consent", ["non", "", "bof"])
def test_contact_hashes_are_never_stored_without_consent(account, consent):
    """Withdrawn consent erases the existing ones."""
    account.book = rulebook(route(attach_contact=True))
    account.put(lead())
    pull(account)
    before = account.hashed
    account.put(changed(lead(), fields={"consent": consent}))
    pull(account)

    assert ({"L-1"}, set()) == (before, account.hashed)


def test_route_without_contact_data_stores_none(account):
    """The setting is `contact_data: none`."""
    account.put(lead())
    pull(account)

    assert set() == account.hashed


@pytest.mark.parametrize("found", [(), (ClickId(ClickIdKind.FBCLID, "F", CREATED),)])
def test_hashes_are_not_stored_until_a_click_id_appears(account, found):
    """No delivery could use them; the changed lead is read in full, and sent with its e-mail."""
    account.book = rulebook(route(attach_contact=True))
    account.put(lead(click_ids=found))
    pull(account)
    before = account.hashed
    account.put(lead(click_ids=(*found, ClickId(ClickIdKind.GCLID, "G", CREATED))))
    pull(account)
    after = account.hashed
    account.night()
    ((body,),) = account.sink.bodies.values()

    assert (set(), {"L-1"}) == (before, after)
    assert b'"identifiers": [["email"' in body


def test_contact_hashes_are_kept_after_oplead_loses_the_click_id(account):
    """Click ids accumulate, so the delivery still needs the hashes."""
    account.book = rulebook(route(attach_contact=True))
    for clicks in (lead().click_ids, ()):
        account.put(changed(lead(), click_ids=clicks))
        pull(account)

    assert {"L-1"} == account.hashed


def test_change_during_an_interruption_keeps_its_reported_time(account):
    """That time lies before the reading."""
    account.source.page = 1
    account.put(lead("L-1"), lead("L-2", label="Nouveau", history=()))
    account.source.fails = {1: Transient("503")}
    account.night()
    account.clock.time += DAY
    won = account.clock.now() - timedelta(hours=12)
    account.put(changed(account.source.leads["L-2"], label="Gagné", history=(StatusEntry("Gagné", Moment(won)),)))
    account.night()

    assert "submitted" == account.states["L-2"]


def test_every_row_carries_its_account(account):
    """Accounts that share a state file do not touch each other."""
    account.put(lead())
    pull(account)

    assert {ACCOUNT} == {row.account for row in account.rows(LeadRow)}


def test_change_during_a_long_pull_keeps_its_reported_time(account):
    """A page read ten minutes after the start may hold changes made since then."""
    account.source.page = 1
    account.put(lead("L-1"))
    won = account.clock.now() + timedelta(minutes=7)
    account.put(lead("L-2", history=(StatusEntry("Gagné", Moment(won)),), updated_at=None))
    served = account.source.fetch_changes

    def slowly(*args, **kwargs):
        for page in served(*args, **kwargs):
            yield page
            account.clock.time += timedelta(minutes=10)

    account.source.fetch_changes = slowly
    account.night()

    assert "submitted" == account.states["L-2"]
