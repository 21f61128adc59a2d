"""Test leads that are left out: read once, asked for again only when they may have changed, or the settings have."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import inspect

from connectors.records import Contact, UnreadableLead
from jobs.ledger.schema import ExcludedLead, LeadRow
from jobs.rules.extraction import Exclusion
from jobs.run_context import SyncMode
from tests.builders import REACH, changed, lead, rulebook
from tests.fakes import NIGHT

DAY = timedelta(days=1)
OURS = Contact(emails=("claire.essai@maison-durand.fr",))
STYLES = [SyncMode.LIST, SyncMode.DETAILS]


def leaving_out(*domains, digest):
    """The rules of an account whose test leads have addresses like these."""
    book = rulebook(extraction_digest=digest)
    return replace(book, extraction=replace(book.extraction, exclude=Exclusion(email_domains=frozenset(domains))))


@pytest.fixture
def account(account):
    """An account with a real lead and a test lead, which its list tells apart by nothing but their labels."""
    account.book = leaving_out("maison-durand.fr", digest="ours")
    account.source.entry = lambda one: f"entry under {one.label}"
    account.put(lead("L-1"), lead("L-2", contact=OURS))
    return account


def next_night(account, style=SyncMode.DETAILS):
    """The night after; its summary, and which test lead was read."""
    account.sync_window = replace(REACH, style=style)
    account.source.asked.clear()
    account.source.read_whole.clear()
    account.clock.time += DAY
    summary = account.night()
    return summary, sorted({"L-2"} & {*account.source.asked, *account.source.read_whole})


@pytest.mark.parametrize("style", STYLES)
def test_one_that_does_not_change_is_read_once_and_counted_every_night(account, style):
    """Nothing of the person is kept, nothing is decided of it."""
    nights = [next_night(account, style) for _ in range(4)]

    assert [["L-2"], [], [], []] == [read for _, read in nights]
    assert [1, 1, 1, 1] == [summary.pulled.excluded for summary, _ in nights]
    assert (["L-1"], {"L-1"}) == ([row.id for row in account.rows(LeadRow)], set(account.states))


@pytest.mark.parametrize("style", STYLES)
def test_one_whose_entry_changes_is_read_again_and_may_be_a_lead(account, style):
    """Somebody wrote the customer's address into it."""
    next_night(account, style)
    account.put(changed(account.source.leads["L-2"], label="Perdu"))
    _, still = next_night(account, style)
    account.put(changed(lead("L-2"), label="Gagné"))
    summary, real = next_night(account, style)

    assert (["L-2"], ["L-2"], 0) == (still, real, summary.pulled.excluded)
    assert ([], {"L-1", "L-2"}) == (account.rows(ExcludedLead), set(account.states))


def test_what_a_bare_list_does_not_show_is_looked_for_once_a_week(account):
    """The entry says the same whatever address the lead has now."""
    next_night(account)
    account.put(lead("L-2"))
    read = [next_night(account)[1] for _ in range(8)]

    assert [[]] * 6 + [["L-2"]] == read[:7]
    assert {"L-1", "L-2"} == set(account.states)


@pytest.mark.parametrize("style", STYLES)
def test_settings_that_change_have_it_judged_anew(account, style):
    """The same night, both ways."""
    next_night(account, style)
    account.book = leaving_out("agence-test.fr", digest="theirs")
    summary, read = next_night(account, style)

    assert (["L-2"], 0) == (read, summary.pulled.excluded)
    assert ([], {"L-1", "L-2"}) == (account.rows(ExcludedLead), set(account.states))


def test_one_that_changed_and_could_not_be_read_is_asked_for_again(account):
    """Its new entry is not taken for one that was read."""
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


def test_nothing_of_the_person_is_kept(account):
    """An id, a digest and a time."""
    next_night(account)
    stored = b"".join(path.read_bytes() for path in account.path.parent.iterdir())

    assert {"account", "id", "digest", "read_at"} == set(inspect(ExcludedLead).columns.keys())
    assert [NIGHT + DAY] == [row.read_at for row in account.rows(ExcludedLead)]
    assert b"maison-durand" not in stored
