"""A night has one budget of time and one of requests for all its readings, and loses nothing when they run out."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.records import ClickId, ClickIdKind, Moment, StatusEntry
from jobs.ledger.schema import LabelMove, StatusLabel
from jobs.pull import ingest
from jobs.run_context import SyncMode
from tests import suite
from tests.builders import GOOGLE, REACH, WON, changed, lead, route, rulebook
from tests.unit.conftest import Account

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def under(label, count=6, *, when=WON):
    """Return leads under this label, without dates."""
    return [lead(f"L-{number}", label=label, history=(), updated_at=when) for number in range(count)]


def begin(account, style, *, count=6, page=2):
    """Read the leads of an account once, then rename the status of all of them."""
    account.book = rulebook(route(labels=frozenset({"gagne", "signe"})), known_labels=frozenset({"gagne", "signe"}))
    account.sync_window = replace(REACH, style=style)
    account.source.page, account.source.filters = page, True
    account.put(*under("Devis", count))
    account.night()
    account.clock.time += DAY
    account.put(*under("Signé", count, when=account.clock.now() - MINUTE))


@pytest.mark.parametrize(("allowed", "readings"), [(6, 2), (5, 2), (4, 2), (3, 1)])
def test_second_reading_uses_the_remaining_requests(account, allowed, readings):
    """A filtered reading of three pages finds a new label; if no request is left, the next night reads all."""
    begin(account, SyncMode.SINCE)
    account.source.allowed = allowed
    account.source.calls.clear()
    first = account.night()
    made = account.source.made
    account.clock.time += DAY
    second = account.night()

    assert readings == sum(since is None for since, _ in account.source.calls[:readings]) + 1
    assert min(allowed, 6) == made
    assert (allowed == 6) == bool(first.review.renames)
    assert {} == account.states
    assert allowed == 6 or len(second.review.renames) == 1
    assert [] == account.rows(LabelMove)


@pytest.mark.parametrize("minutes", [10, 25, 45, 100])
def test_second_reading_uses_the_remaining_time(account, minutes):
    """At ten minutes a page, the night ends at most one page after its time is up."""
    begin(account, SyncMode.SINCE)
    account.sync_window = replace(account.sync_window, budget=minutes * MINUTE)
    real = account.source.fetch_changes

    def slowly(*args, **kwargs):
        for page in real(*args, **kwargs):
            account.clock.time += 10 * MINUTE
            yield page

    account.source.fetch_changes = slowly
    began = account.clock.now()
    account.night()

    assert account.clock.now() - began <= minutes * MINUTE + 10 * MINUTE


def test_label_appearing_during_a_list_reading_repeats_it_at_once(account):
    """The leads are read again before the label is judged, which costs only pages."""
    begin(account, SyncMode.LIST)
    account.source.calls.clear()
    account.put(*under("Devis"))
    real = account.source.fetch_changes

    def renamed_amid(*args, **kwargs):
        for page in real(*args, **kwargs):
            yield page
            account.clock.time += MINUTE
            account.put(*under("Signé"))

    account.source.fetch_changes = renamed_amid
    account.night()

    assert 2 == len(account.source.calls)
    assert [] == [row.label for row in account.rows(StatusLabel) if not row.settled]


def test_label_appearing_during_a_detail_fetch_does_not_repeat_it(account, monkeypatch):
    """Leads that took the new label wait for the next night, which decides."""
    monkeypatch.setattr(ingest, "AT_ONCE", 3)
    begin(account, SyncMode.DETAILS)
    account.put(*under("Devis", 6))
    account.source.asked.clear()
    account.source.calls.clear()
    real = account.source.fetch_each

    def renamed_amid(ids):
        yield from real(ids)
        account.clock.time += MINUTE
        account.put(*under("Signé"))

    account.source.fetch_each = renamed_amid
    account.night()
    once, waiting = list(account.source.asked), account.states
    account.source.fetch_each = real
    account.clock.time += DAY
    account.night()

    assert ([f"L-{number}" for number in range(6)], 2) == (once, len(account.source.calls))
    assert {} == waiting
    assert [] == [row.label for row in account.rows(StatusLabel) if not row.settled]


LABELS = st.sampled_from(["Devis", "Signé", "Gagné", "Perdu", "Nouveau", "Visite"])


@settings(deadline=None, max_examples=suite.examples(1, 8))
@given(
    style=st.sampled_from(SyncMode),
    allowed=st.integers(6, 12),
    nights=st.lists(st.lists(st.tuples(st.integers(0, 9), LABELS), max_size=10), min_size=1, max_size=4),
)
def test_nights_respect_their_budget_and_read_every_lead_eventually(reused_state, style, allowed, nights):
    """Quiet nights catch up, whatever changed on the others."""
    reused_state.clear()
    account = Account(reused_state)
    account.sync_window = replace(REACH, style=style)
    account.source.page, account.source.filters, account.source.allowed = 4, True, allowed
    account.put(*(lead(f"L-{number}", label="Nouveau", history=()) for number in range(10)))
    spent = []
    for changes in [*nights, *[[]] * 9]:
        for number, label in changes:
            old, when = account.source.leads[f"L-{number}"], account.clock.now() - MINUTE
            click = ClickId(ClickIdKind.GCLID, f"gclid-of-L-{number}")
            history = (*old.history, StatusEntry(label, Moment(when)))
            account.put(changed(old, label=label, updated_at=when, history=history, click_ids=(click,)))
        account.night()
        spent.append(account.source.made)
        account.clock.time += DAY
    won = {name for name, one in account.source.leads.items() if any(step.label == "Gagné" for step in one.history)}

    assert max(spent) <= allowed
    assert won == set(account.states)


def read_in_thirds(account):
    """Have the budget last for a third of 150 leads a night, read by their own pages; return their names."""
    account.sync_window = replace(REACH, style=SyncMode.DETAILS)
    account.source.page = 200
    account.book = rulebook(max_per_run={GOOGLE: 500}, known_labels=frozenset({"gagne"}))
    names = [f"L-{number:03}" for number in range(150)]
    account.put(lead(label="Gagné", history=()))
    account.put(*(lead(name, label="Nouveau", history=(), updated_at=None) for name in names))
    account.night()
    account.source.allowed = 51
    return names


def test_leads_that_really_moved_together_wait_only_until_others_are_read_later(account):
    """The budget never reaches all leads; those read after the moves still show the label, so it was not merged."""
    names = read_in_thirds(account)
    waiting, nights, renames = [], [names[:90:2], *(names[91 + 8 * number :][:8:2] for number in range(7)), [], []], []
    for moved in nights:
        account.clock.time += DAY
        account.put(*(changed(account.source.leads[name], label="Gagné") for name in moved))
        renames += account.night().review.renames
        waiting.append(sum(row.waits for row in account.rows(LabelMove)))

    # A night reads a third: on the second, some that moved later are read with the rest of those that moved first.
    assert (len(nights[0] + nights[1]), {0}, []) == (max(waiting), {*waiting[4:]}, renames)
    assert {name for night in nights for name in night} == {
        row.lead for row in account.rows() if row.key in account.sink.counted and row.lead in names
    }


def test_a_merged_status_floods_nothing_though_no_night_reads_all_leads(account):
    """Four leads that were won the night before are sent; those that only show the other status are not."""
    names = read_in_thirds(account)
    renames = []
    for moved in (names[:4], names, *[[]] * 6):
        account.clock.time += DAY
        account.put(*(changed(account.source.leads[name], label="Gagné") for name in moved))
        renames += account.night().review.renames

    assert 1 == len(renames)
    assert {*names[:4]} == {row.lead for row in account.rows() if row.lead in names}
    assert [] == account.rows(LabelMove)
