"""A pull ends with the list or with its budget; a list that moved meanwhile is read again in full."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.errors import Misconfigured, Transient
from jobs.ledger.schema import Cursor
from jobs.run_context import SyncMode
from tests.builders import REACH, lead, read
from tests.fakes import NIGHT, FakeSource

DAY = timedelta(days=1)


class Source(FakeSource):
    """A source that can report that its list moved, or that entries are missing."""

    moved = False
    missing = 0

    def fetch_changes(self, since, *, resume, find_known):
        """Serve pages with these reports."""
        for page in super().fetch_changes(since, resume=resume, find_known=find_known):
            yield replace(page, moved=self.moved, missing=0 if page.resume else self.missing)


def pull(account):
    """Pull in a separate run and return what was read."""
    with account.hold() as ledger:
        return read(account.run(ledger))


def serve(account, **more):
    """Serve five leads in pages of two, from a source with these attributes."""
    account.source = Source(*(lead(f"L-{number}") for number in range(1, 6)), page=2, clock=account.clock)
    for name, value in more.items():
        setattr(account.source, name, value)


def test_pull_without_requests_left_resumes_at_its_page(account):
    """Like a pull without time left, it is incomplete, and the next one starts where it stopped."""
    serve(account, allowed=2)
    first = pull(account)
    account.source.made = 0
    second = pull(account)

    assert (2, 4, False) == (first.pages, first.seen, first.complete)
    assert (1, 1, True) == (second.pages, second.seen, second.complete)
    assert [(None, None), (None, "2")] == account.source.calls


def test_list_reading_is_closed_when_a_page_cannot_be_stored(account, monkeypatch):
    """Pages requested ahead would otherwise stay in flight until the garbage is collected."""
    serve(account)
    served, closed = account.source.fetch_changes, []

    def watched(*args, **options):
        try:
            yield from served(*args, **options)
        finally:
            closed.append(True)

    def failing(*_args):
        raise ValueError("spoilt")

    account.source.fetch_changes = watched
    monkeypatch.setattr("jobs.pull.list_reading.store_lead_page", failing)
    with pytest.raises(ValueError, match="spoilt") as _held:
        pull(account)

    assert [True] == closed


def test_moved_list_is_reread_in_full_the_next_night(account):
    """Leads it passed over must not wait until next week; a list that did not move can."""
    account.sync_window = replace(REACH, style=SyncMode.SINCE)
    serve(account, moved=True)
    moved = pull(account)
    account.clock.time += DAY
    account.source.moved = False
    still = pull(account)
    account.clock.time += DAY
    pull(account)

    assert [(True, True), (False, True)] == [(done.moved, done.complete) for done in (moved, still)]
    assert [None, None, NIGHT + DAY - REACH.overlap] == [since for since, _ in account.source.calls]
    assert NIGHT + DAY == account.rows(Cursor)[0].full_read_at


@pytest.mark.parametrize(("moved_before", "moved_after"), [(True, False), (False, True)])
def test_list_moving_around_an_interruption_is_reread_in_full(account, moved_before, moved_after):
    """The resuming night may not have seen it move, but must not record a full reading."""
    account.sync_window = replace(REACH, style=SyncMode.SINCE)
    serve(account, moved=moved_before)
    account.source.fails = {1: Transient("503")}
    with pytest.raises(Transient):
        pull(account)
    account.clock.time += DAY
    account.source.moved = moved_after
    pull(account)
    after = account.rows(Cursor)[0].full_read_at
    account.clock.time += DAY
    account.source.moved = False
    pull(account)

    assert [(None, None), (None, "1"), (None, None)] == account.source.calls
    assert (None, NIGHT + 2 * DAY) == (after, account.rows(Cursor)[0].full_read_at)


def test_restarted_pull_forgets_that_the_list_moved(account):
    """It reads from the first page, so it covers whatever moved during the refused pull."""
    account.sync_window = replace(REACH, style=SyncMode.SINCE)
    serve(account, moved=True)
    account.source.fails = {1: Misconfigured("400")}
    with pytest.raises(Misconfigured):
        pull(account)
    account.source.moved = False
    pull(account)

    assert NIGHT == account.rows(Cursor)[0].full_read_at


def test_weekly_full_reading_counts_from_the_start_of_a_pull(account):
    """Changes made after a page was served may be missing from it."""
    account.sync_window = replace(REACH, style=SyncMode.SINCE)
    serve(account)
    account.source.filters = True
    account.source.fails = {1: Transient("503")}
    with pytest.raises(Transient):
        pull(account)
    for _ in range(9):
        account.clock.time += DAY
        pull(account)
    whole = [resume for since, resume in account.source.calls if since is None]
    began = [number for number, (since, resume) in enumerate(account.source.calls) if since is resume is None]

    assert [None, "1", None] == whole
    assert [0, 8] == began
    assert NIGHT + 8 * DAY == account.rows(Cursor)[0].full_read_at


def test_resumed_filtered_pull_is_no_full_reading(account):
    """Its resume token keeps the filter it started with."""
    account.sync_window = replace(REACH, style=SyncMode.SINCE)
    serve(account)
    pull(account)
    account.clock.time += DAY
    account.source.fails = {1: Transient("503")}
    with pytest.raises(Transient):
        pull(account)
    account.clock.time += DAY
    pull(account)
    since = NIGHT - REACH.overlap

    assert [(None, None), (since, None), (since, "1")] == account.source.calls
    assert NIGHT == account.rows(Cursor)[0].full_read_at


def test_missing_list_entries_are_reported(account):
    """The last page gives their number."""
    serve(account, missing=3)

    assert 3 == pull(account).missing
