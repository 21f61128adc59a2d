"""Reading leads: a page at a time, on from where it stopped, and whole once a week."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.errors import Misconfigured, Transient
from connectors.records import ClickId, ClickIdKind, Contact, Moment, StatusEntry, UnreadableLead
from jobs.ledger.schema import ClickIdRow, Cursor, LeadRow, StatusChange, UnreadableLeadRow
from jobs.run_context import SyncMode
from tests.builders import ACCOUNT, CREATED, REACH, attention, changed, lead, read, route, rulebook
from tests.fakes import NIGHT, Crash

DAY = timedelta(days=1)


def pull(account):
    """Pull in a run of its own; what was read."""
    with account.hold() as ledger:
        return read(account.run(ledger))


def place(account):
    """The account's cursor."""
    return account.rows(Cursor)[0]


def five(account, *, page=2):
    """Five leads in pages of two."""
    account.source.page = page
    account.put(*(lead(f"L-{number}") for number in range(1, 6)))


def test_every_page_is_kept_and_counted(account):
    """Read, changed, complete."""
    five(account)
    done = pull(account)

    assert (3, 5, 5, True) == (done.pages, done.seen, done.changed, done.complete)
    assert 5 == len(account.rows(LeadRow))


@pytest.mark.parametrize("tells", [True, False])
def test_a_source_that_tells_no_time_is_noted(account, tells):
    """Nothing compared the clocks then; however many pages there are, it is one thing."""
    five(account)
    account.source.clock = account.clock if tells else None
    done = pull(account)

    assert tells != done.undated
    assert not any("clock" in sentence for sentence in attention(done))


def test_what_a_page_shows_again_is_not_counted_again(account, monkeypatch):
    """Some platforms answer with their last page for every later one; entries without an id on other pages count."""
    five(account)
    page = account.source.fetch_changes
    spoilt = (UnreadableLead("L-9", "no date"), UnreadableLead(None, "no id"))

    def repeated(since, *, resume, is_known):
        first, second, third = page(since, resume=resume, is_known=is_known)
        yield replace(first, unreadable=spoilt)
        yield replace(second, unreadable=spoilt[1:])
        yield replace(third, resume="4", unreadable=spoilt)
        yield replace(third, leads=(), unchanged=tuple(lead.id for lead in third.leads), unreadable=spoilt)

    monkeypatch.setattr(account.source, "fetch_changes", repeated)
    done = pull(account)

    assert (4, 5) == (done.pages, done.seen)
    assert ["L-9", None, None, "L-9", None] == [one.id for one in done.unreadable]


@pytest.mark.parametrize("error", [Transient("503"), Crash()])
def test_an_interrupted_pull_goes_on_at_its_page(account, error):
    """What was read until then is kept, a transaction a page; no page is read twice."""
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


def test_a_source_that_refuses_us_has_the_next_pull_start_over(account):
    """The place it was at may be the very thing it refuses."""
    five(account)
    account.source.fails = {1: Misconfigured("400: page")}
    with pytest.raises(Misconfigured):
        pull(account)
    pull(account)

    assert [(None, None), (None, None)] == account.source.calls


def test_the_next_pull_starts_before_the_start_of_this_one(account):
    """On the source's clock, by the overlap; not at its end, in which leads changed too."""
    account.sync_window = replace(REACH, style=SyncMode.SINCE)
    account.source.filters = True
    five(account)
    pull(account)
    account.clock.time += DAY
    pull(account)

    assert [(None, None), (NIGHT - timedelta(days=3), None)] == account.source.calls


def test_the_sources_own_clock_counts(account):
    """Ours may be wrong."""
    account.source.clock = type(account.clock)(NIGHT - timedelta(hours=2))
    five(account)
    pull(account)

    assert NIGHT - timedelta(hours=2) - REACH.overlap == place(account).since
    assert {NIGHT - timedelta(hours=2)} == {row.seen_at for row in account.rows(LeadRow)}


def test_a_source_that_tells_no_time_is_read_by_ours(account):
    """The start of the pull."""
    account.source.clock = None
    five(account)
    pull(account)

    assert NIGHT - REACH.overlap == place(account).since


def test_a_pull_resumed_later_keeps_its_own_start(account):
    """What changed while it was interrupted lies after its start, and is read by the next."""
    five(account)
    account.source.fails = {1: Transient("503")}
    with pytest.raises(Transient):
        pull(account)
    account.clock.time += DAY
    pull(account)

    assert NIGHT - REACH.overlap == place(account).since


def test_a_source_that_filters_is_read_whole_once_a_week(account):
    """What a filter misses is found then."""
    account.sync_window = replace(REACH, style=SyncMode.SINCE)
    account.source.filters = True
    account.put(lead())
    for _ in range(17):
        pull(account)
        account.clock.time += DAY
    whole = [night for night, (since, _) in enumerate(account.source.calls) if since is None]

    assert [0, 8, 16] == whole


def test_a_source_without_a_filter_is_always_read_whole(account):
    """The digests tell what changed."""
    account.put(lead())
    for _ in range(3):
        pull(account)

    assert [(None, None)] * 3 == account.source.calls
    assert ["L-1"] == account.source.read_whole


def test_unchanged_leads_are_noted_as_seen(account):
    """The next undated change is then bounded by tonight."""
    account.put(lead())
    pull(account)
    account.clock.time += DAY
    done = pull(account)

    assert (1, 0) == (done.seen, done.changed)
    assert NIGHT + DAY == account.rows(LeadRow)[0].seen_at


def test_a_lead_that_cannot_be_read_is_remembered_until_it_can(account):
    """The page goes on without it, and what is known of it stays."""
    account.put(lead("L-1"), lead("L-2"))
    account.source.unreadable = (UnreadableLead("L-3", "createdAt is no date"), UnreadableLead(None, "no id"))
    done = pull(account)
    before = {row.id for row in account.rows(UnreadableLeadRow)}
    account.source.unreadable = ()
    account.put(lead("L-3"))
    pull(account)

    assert (2, 2) == (done.seen, len(done.unreadable))
    assert {"L-3", "without id: no id"} == before
    assert {"without id: no id"} == {row.id for row in account.rows(UnreadableLeadRow)}


def test_a_time_budget_ends_a_pull_at_a_pages_end(account):
    """The next one goes on there."""
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


def test_a_lead_read_again_keeps_what_it_was(account):
    """Status changes and click ids only accumulate; nothing is written twice."""
    old = lead()
    account.put(old)
    pull(account)
    account.clock.time += DAY
    account.put(changed(old, history=(), label="Perdu", click_ids=(), updated_at=None))
    pull(account)

    assert ["nouveau", "gagne", "perdu"] == [row.label for row in account.rows(StatusChange)]
    assert ["gclid-of-L-1"] == [row.value for row in account.rows(ClickIdRow)]


def test_no_contact_data_is_stored_in_clear(account):
    """Only a route that uses it has it kept, and then as hashes."""
    account.book = rulebook(route(attach_contact=True))
    account.put(lead(contact=Contact(emails=("jeanne@example.org",), phones=("0612345678",), last_name="Durand-Test")))
    pull(account)
    stored = b"".join(path.read_bytes() for path in account.path.parent.iterdir())

    assert {"L-1"} == account.hashed
    assert not any(text in stored for text in (b"jeanne", b"0612345678", b"Durand-Test"))


@pytest.mark.parametrize("consent", ["non", "", "bof"])
def test_without_consent_no_hash_touches_the_disk(account, consent):
    """And one that is taken back erases what was there."""
    account.book = rulebook(route(attach_contact=True))
    account.put(lead())
    pull(account)
    before = account.hashed
    account.put(changed(lead(), fields={"consent": consent}))
    pull(account)

    assert ({"L-1"}, set()) == (before, account.hashed)


def test_a_route_without_contact_data_has_none_kept(account):
    """`contact_data: none`."""
    account.put(lead())
    pull(account)

    assert set() == account.hashed


@pytest.mark.parametrize("found", [(), (ClickId(ClickIdKind.FBCLID, "F", CREATED),)])
def test_a_lead_without_a_click_id_has_no_hash_until_one_comes_up(account, found):
    """No delivery could use it; the lead that gains one has changed, is read whole, and goes out with its e-mail."""
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


def test_a_click_id_that_oplead_has_no_more_still_has_its_hash_kept(account):
    """Ids accumulate, and what goes out beside one does too."""
    account.book = rulebook(route(attach_contact=True))
    for clicks in (lead().click_ids, ()):
        account.put(changed(lead(), click_ids=clicks))
        pull(account)

    assert {"L-1"} == account.hashed


def test_a_change_reported_while_a_pull_was_interrupted_is_believed(account):
    """It lies before the moment it was read."""
    account.source.page = 1
    account.put(lead("L-1"), lead("L-2", label="Nouveau", history=()))
    account.source.fails = {1: Transient("503")}
    account.night()
    account.clock.time += DAY
    won = account.clock.now() - timedelta(hours=12)
    account.put(changed(account.source.leads["L-2"], label="Gagné", history=(StatusEntry("Gagné", Moment(won)),)))
    account.night()

    assert "submitted" == account.states["L-2"]


def test_another_account_in_the_same_state_is_not_touched(account):
    """Every row carries its account."""
    account.put(lead())
    pull(account)

    assert {ACCOUNT} == {row.account for row in account.rows(LeadRow)}


def test_what_happens_while_a_long_pull_runs_is_believed(account):
    """A page read ten minutes after the start tells of changes that the start could not know."""
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
