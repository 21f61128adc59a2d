"""Leads of the list whose own pages are refused: they end no night, but a key that may read none does."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.records import UnreadableLead
from jobs.ledger.schema import Cursor, LeadRow, UnreadableLeadRow
from jobs.run_context import SyncMode
from tests.builders import REACH, lead
from tests.fakes import refuse_pages

DAY = timedelta(days=1)


def list_refused(account, *names):
    """Have the list show leads whose own pages the key may not read."""
    account.source.unreadable = tuple(UnreadableLead(name, "refused", is_refused=True) for name in names)
    refuse_pages(account.source, *names)


def names(kind, count):
    """Return so many leads' ids."""
    return [f"{kind}-{number}" for number in range(count)]


@pytest.mark.parametrize(("count", "is_told"), [(4, False), (5, True), (12, True)])
def test_key_that_may_read_no_lead_ends_the_night(account, count, is_told):
    """A few may all be out of its reach; nothing of the page is stored, and the next night lists it again."""
    list_refused(account, *names("L", count))
    told = account.night()

    assert is_told == (told.source_stopped is not None)
    assert ([] if is_told else names("L", count)) == [row.id for row in account.rows(UnreadableLeadRow)]
    assert is_told == (account.rows(Cursor)[0].since is None)


@pytest.mark.parametrize("style", [SyncMode.LIST, SyncMode.SINCE])
@pytest.mark.parametrize("readable", [True, False])
def test_list_page_of_refused_leads_alone_is_judged_by_leads_on_record(account, style, readable):
    """A quiet night shows only those that are refused every night, and must not be ended by them."""
    account.sync_window = replace(REACH, style=style)
    on_record = names("A", 5)
    account.put(*map(lead, on_record))
    account.night()
    account.clock.time += DAY
    account.source.unlisted = {*on_record}
    refuse_pages(account.source, *(on_record[:-1] if readable else on_record))
    list_refused(account, *names("L", 7))
    told = account.night()

    assert readable == (told.source_stopped is None)
    assert readable == ({*names("L", 7)} <= {row.id for row in account.rows(UnreadableLeadRow)})


@pytest.mark.parametrize("readable", [True, False])
def test_first_page_is_judged_by_the_leads_that_it_shows(account, readable):
    """Nothing is on record yet."""
    account.put(lead("L-9"))
    if not readable:
        refuse_pages(account.source, "L-9")
    list_refused(account, *names("L", 7))

    assert readable == (account.night().source_stopped is None)
    assert readable == bool(account.rows(LeadRow))


def test_key_that_was_shown_an_own_page_is_asked_for_no_other(account):
    """It is proven."""
    account.put(lead("L-9"))
    list_refused(account, *names("L", 7))
    real = account.source.fetch_changes
    account.source.fetch_changes = lambda *given, **more: (
        replace(page, shows_own_pages=True) for page in real(*given, **more)
    )

    assert account.night().source_stopped is None
    assert [] == account.source.asked


@pytest.mark.parametrize("size", [1, 3, 100])
def test_refusals_count_over_all_pages_of_a_list(account, size):
    """However few each page has."""
    account.sync_window, account.source.page = replace(REACH, style=SyncMode.DETAILS), size
    account.put(*map(lead, names("L", 6)))
    refuse_pages(account.source, *names("L", 6))

    assert account.night().source_stopped is not None


def test_another_lead_on_an_own_page_proves_no_key(account):
    """Where every page shows the same one, none is its lead's own."""
    account.put(lead("L-9"))
    account.source.merged = {"L-9": "L-8"}
    list_refused(account, *names("L", 7))

    assert account.night().source_stopped is not None
