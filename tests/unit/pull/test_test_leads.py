"""Excluded test leads are read once, and again only when they or the settings may have changed."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import inspect

from connectors.records import Contact, UnreadableLead
from jobs.ledger.schema import ExcludedTestLead, LeadRow
from jobs.rules.extraction import ExclusionCriteria
from jobs.run_context import SyncMode
from tests.builders import REACH, changed, lead, rulebook
from tests.fakes import NIGHT

DAY = timedelta(days=1)
OURS = Contact(emails=("claire.essai@maison-durand.fr",))
STYLES = [SyncMode.LIST, SyncMode.DETAILS]


def leaving_out(*domains, digest):
    """Return rules that exclude test leads by these email domains."""
    book = rulebook(extraction_digest=digest)
    return replace(
        book, extraction=replace(book.extraction, exclude=ExclusionCriteria(email_domains=frozenset(domains)))
    )


@pytest.fixture
def account(account):
    """Return an account with a real lead and a test lead, and list entries that show only labels."""
    account.book = leaving_out("maison-durand.fr", digest="ours")
    account.source.entry = lambda one: f"entry under {one.label}"
    account.put(lead("L-1"), lead("L-2", contact=OURS))
    return account


def next_night(account, style=SyncMode.DETAILS):
    """Run the following night; return its summary and the test leads it read."""
    account.sync_window = replace(REACH, style=style)
    account.source.asked.clear()
    account.source.read_whole.clear()
    account.clock.time += DAY
    summary = account.night()
    return summary, sorted({"L-2"} & {*account.source.asked, *account.source.read_whole})


@pytest.mark.parametrize("style", STYLES)
def test_unchanged_test_lead_is_read_once_and_counted_every_night(account, style):
    """Nothing of the lead is stored, and no delivery is planned for it."""
    nights = [next_night(account, style) for _ in range(4)]

    assert [["L-2"], [], [], []] == [read for _, read in nights]
    assert [1, 1, 1, 1] == [summary.pulled.excluded for summary, _ in nights]
    assert (["L-1"], {"L-1"}) == ([row.id for row in account.rows(LeadRow)], set(account.states))


@pytest.mark.parametrize("style", STYLES)
def test_excluded_lead_is_read_again_when_its_list_entry_changes(account, style):
    """Someone may have entered the customer's address, which makes it a real lead."""
    next_night(account, style)
    account.put(changed(account.source.leads["L-2"], label="Perdu"))
    _, still = next_night(account, style)
    account.put(changed(lead("L-2"), label="Gagné"))
    summary, real = next_night(account, style)

    assert (["L-2"], ["L-2"], 0) == (still, real, summary.pulled.excluded)
    assert ([], {"L-1", "L-2"}) == (account.rows(ExcludedTestLead), set(account.states))


def test_excluded_lead_is_reread_weekly_in_detail_mode(account):
    """Its list entry stays the same even if its address changes."""
    next_night(account)
    account.put(lead("L-2"))
    read = [next_night(account)[1] for _ in range(8)]

    assert [[]] * 6 + [["L-2"]] == read[:7]
    assert {"L-1", "L-2"} == set(account.states)


@pytest.mark.parametrize("style", STYLES)
def test_changed_settings_have_test_leads_judged_again(account, style):
    """The change takes effect on the same night."""
    next_night(account, style)
    account.book = leaving_out("agence-test.fr", digest="theirs")
    summary, read = next_night(account, style)

    assert (["L-2"], 0) == (read, summary.pulled.excluded)
    assert ([], {"L-1", "L-2"}) == (account.rows(ExcludedTestLead), set(account.states))


def test_changed_test_lead_that_could_not_be_read_is_retried(account):
    """Its new list entry must not pass for one that was read."""
    next_night(account)
    account.put(changed(lead("L-2"), label="Perdu"))
    real = account.source.fetch_each
    account.source.fetch_each = lambda ids: (
        (name, UnreadableLead(name, "500") if name == "L-2" else one) for name, one in real(ids)
    )
    next_night(account)
    account.source.fetch_each = real
    _, read = next_night(account)

    assert ["L-2"] == read


def test_no_personal_data_of_a_test_lead_is_stored(account):
    """Only account, id, digest and time are kept, and whether it was left out for its age instead."""
    next_night(account)
    stored = b"".join(path.read_bytes() for path in account.path.parent.iterdir())

    assert {"account", "id", "digest", "read_at", "too_old"} == set(inspect(ExcludedTestLead).columns.keys())
    assert [NIGHT + DAY] == [row.read_at for row in account.rows(ExcludedTestLead)]
    assert b"maison-durand" not in stored
