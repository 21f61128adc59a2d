"""How a pull ends: with the list, with its budget, or with a list that moved meanwhile."""

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
    """A source that may say that its list moved or is short."""

    moved = False
    missing = 0

    def fetch_changes(self, since, *, resume, is_known):
        """Serve pages, and say so."""
        for page in super().fetch_changes(since, resume=resume, is_known=is_known):
            yield replace(page, moved=self.moved, missing=0 if page.resume else self.missing)


def pull(account):
    """Pull in a run of its own; what was read."""
    with account.hold() as ledger:
        return read(account.run(ledger))


def serve(account, **more):
    """Five leads in pages of two, from a source like this."""
    account.source = Source(*(lead(f"L-{number}") for number in range(1, 6)), page=2, clock=account.clock)
    for name, value in more.items():
        setattr(account.source, name, value)


def test_a_pull_whose_requests_are_used_up_goes_on_at_its_page(account):
    """As one whose time is up: it is not complete, and the next one begins where it stopped."""
    serve(account, allowed=2)
    first = pull(account)
    account.source.made = 0
    second = pull(account)

    assert (2, 4, False) == (first.pages, first.seen, first.complete)
    assert (1, 1, True) == (second.pages, second.seen, second.complete)
    assert [(None, None), (None, "2")] == account.source.calls


def test_a_list_that_moved_is_read_whole_again_the_next_night(account):
    """What it passed over is not left until next week; a list that stood still is."""
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
def test_a_list_that_moved_on_either_side_of_an_interruption_is_read_whole_again(account, moved_before, moved_after):
    """The night that goes on did not see it move, and still does not take it for a full reading."""
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


def test_a_pull_that_starts_over_forgets_that_the_list_moved_before(account):
    """It reads from the first page: what moved under the one that was refused is all read now."""
    account.sync_window = replace(REACH, style=SyncMode.SINCE)
    serve(account, moved=True)
    account.source.fails = {1: Misconfigured("400")}
    with pytest.raises(Misconfigured):
        pull(account)
    account.source.moved = False
    pull(account)

    assert NIGHT == account.rows(Cursor)[0].full_read_at


def test_the_weekly_full_read_is_counted_from_the_start_of_the_pull_that_was_interrupted(account):
    """What changed after its first page was served may not be on that page: the week runs from there."""
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


def test_a_filtered_pull_that_was_interrupted_is_no_full_read_when_it_goes_on(account):
    """Whatever it read; its place keeps the filter it began with."""
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


def test_leads_that_were_not_listed_are_told(account):
    """As the last page says."""
    serve(account, missing=3)

    assert 3 == pull(account).missing
