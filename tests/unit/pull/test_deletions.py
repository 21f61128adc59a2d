"""Leads that Oplead has no more: asked for, believed on the second night, and never when too many are gone at once."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.errors import Transient
from connectors.records import LeadId, Moment, StatusEntry, UnreadableLead
from jobs.ledger.schema import LeadRow, UnreadableLeadRow
from jobs.pull import sync as pull_module
from jobs.run_context import SyncMode
from tests.builders import REACH, attention, changed, from_field, lead, route, rulebook
from tests.fakes import NIGHT

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def waiting(name):
    """A lead whose sale waits for its amount."""
    return lead(name, fields={"consent": "oui"}, updated_at=NIGHT - HOUR, history=(StatusEntry("Gagné", SOLD),))


SOLD = Moment(NIGHT - HOUR)


@pytest.fixture
def account(account):
    """An account whose sales wait three days for their amount, with contact data."""
    account.book = rulebook(route(field_value=from_field(), attach_contact=True))
    account.sink.script.append(lambda *_: (_ for _ in ()).throw(AssertionError("nothing is due yet")))
    return account


def nights(account, *pauses):
    """A night after each pause; their summaries."""
    told = []
    for pause in pauses:
        account.clock.time += pause
        told.append(account.night())
    return told


def test_a_lead_gone_on_two_nights_has_its_open_deliveries_cancelled(account):
    """With its contact hashes erased; the first time it is only noted."""
    account.put(waiting("L-1"), waiting("L-2"))
    nights(account, 0 * DAY)
    account.source.delete("L-1")
    (noted,) = nights(account, DAY)
    between = account.states
    (believed,) = nights(account, 12 * HOUR)

    assert {"L-1": "pending", "L-2": "pending"} == between
    assert {"L-1": "cancelled", "L-2": "pending"} == account.states
    assert [("pending", "value_awaited"), ("cancelled", "lead_deleted")] == account.causes("L-1")
    assert (0, 1, 0) == (noted.pulled.deleted, believed.pulled.deleted, believed.exit_code)
    assert {"L-2"} == account.hashed


def test_two_runs_of_one_evening_believe_nothing(account):
    """A platform at work on itself may not find anything for an hour."""
    account.put(waiting("L-1"))
    nights(account, 0 * DAY)
    account.source.delete("L-1")
    nights(account, DAY, 11 * HOUR)

    assert {"L-1": "pending"} == account.states


def test_a_lead_seen_again_is_not_gone(account):
    """It begins anew: gone once more it must be found so twice again."""
    account.put(waiting("L-1"))
    nights(account, 0 * DAY)
    account.source.delete("L-1")
    nights(account, 12 * HOUR)
    account.put(waiting("L-1"))
    nights(account, 12 * HOUR)
    account.source.delete("L-1")
    nights(account, 12 * HOUR)

    assert {"L-1": "pending"} == account.states


@pytest.mark.parametrize("style", list(SyncMode))
def test_a_lead_that_is_only_not_listed_is_read_by_its_own_page(account, style):
    """Pages drift; it is kept as it is now, and may go out."""
    account.sync_window = replace(REACH, style=style)
    account.put(waiting("L-1"))
    nights(account, 0 * DAY)
    account.source.unlisted = {"L-1"}
    account.source.put(changed(waiting("L-1"), fields={"consent": "non"}))
    nights(account, 8 * DAY)

    assert ["L-1"] == account.source.asked[-1:]
    assert ("cancelled", "consent_withdrawn") == account.causes("L-1")[-1]
    assert ["refused"] == [row.ad_user_data for row in account.rows(LeadRow)]


def test_only_leads_with_open_deliveries_are_asked_for_the_longest_unseen_first(account, monkeypatch):
    """And no more of them than a night allows."""
    monkeypatch.setattr(pull_module, "ASKED_A_NIGHT", 2)
    account.put(waiting("L-1"), lead("L-9", label="Nouveau", history=()))
    nights(account, 0 * DAY)
    account.source.unlisted = {"L-1"}
    account.put(waiting("L-2"), waiting("L-3"))
    nights(account, HOUR)
    account.source.unlisted = {"L-1", "L-2", "L-3", "L-9"}
    account.source.asked.clear()
    nights(account, HOUR, HOUR)

    assert ["L-1", "L-2", "L-3", "L-1"] == account.source.asked


def test_a_filtered_pull_asks_only_for_those_already_missing(account):
    """What a filter does not list has not changed; the weekly full read finds who is gone."""
    account.sync_window = replace(REACH, style=SyncMode.SINCE)
    account.source.filters = True
    account.put(changed(waiting("L-1"), fields={"consent": "bof"}))
    nights(account, 0 * DAY)
    account.source.delete("L-1")
    nights(account, DAY)
    unfiltered = list(account.source.asked)
    nights(account, 7 * DAY)
    weekly = list(account.source.asked)
    nights(account, DAY)

    assert ([], ["L-1"], ["L-1", "L-1"]) == (unfiltered, weekly, account.source.asked)
    assert {"L-1": "cancelled"} == account.states


def test_an_unfinished_pull_asks_for_nobody(account):
    """What it has not listed may stand on the pages it has not read."""
    account.source.page = 1
    account.put(waiting("L-1"), waiting("L-2"))
    nights(account, 0 * DAY)
    account.source.delete("L-2")
    account.put(waiting("L-3"))
    account.source.fails = {1: Transient("503")}
    nights(account, DAY)

    assert [] == account.source.asked


def test_what_a_pull_listed_before_it_was_interrupted_is_not_asked_for(account):
    """It began then."""
    account.source.page = 1
    account.put(waiting("L-1"), waiting("L-2"))
    nights(account, 0 * DAY)
    account.source.fails = {1: Transient("503")}
    nights(account, DAY, HOUR)

    assert [] == account.source.asked


def test_a_lead_that_is_listed_unreadably_is_there(account):
    """It is not asked for."""
    account.put(waiting("L-1"))
    nights(account, 0 * DAY)
    account.source.unlisted = {"L-1"}
    account.source.unreadable = (UnreadableLead("L-1", "createdAt is no date"),)
    nights(account, DAY)

    assert [] == account.source.asked


@pytest.mark.parametrize(("deleted", "of", "believed"), [(4, 4, True), (5, 24, False), (5, 25, True), (25, 25, False)])
def test_when_many_are_gone_at_once_something_else_is_wrong(account, deleted, of, believed):
    """Five or more, and more than a fifth: nothing is cancelled on any night, and a human is told on each."""
    names = [f"L-{number:02}" for number in range(of)]
    account.put(*(waiting(name) for name in names))
    nights(account, 0 * DAY)
    account.source.delete(*names[:deleted])
    told = nights(account, 12 * HOUR, 12 * HOUR)
    cancelled = sum(state == "cancelled" for state in account.states.values())
    sentence = f"{deleted} leads are no longer there: does the key still see every lead?"

    assert deleted * believed == cancelled
    assert [not believed] * 2 == [sentence in attention(summary) for summary in told]
    assert believed or [1, 1] == [summary.exit_code for summary in told]


def test_those_not_asked_tonight_are_taken_to_be_like_those_that_were(account, monkeypatch):
    """Else a bound on the asking would keep the guard from ever seeing that most are gone."""
    monkeypatch.setattr(pull_module, "ASKED_A_NIGHT", 4)
    names = [f"L-{number:02}" for number in range(30)]
    account.put(*(waiting(name) for name in names))
    nights(account, 0 * DAY)
    account.source.delete(*names[:20])
    nights(account, 12 * HOUR, 12 * HOUR)

    assert {"pending"} == set(account.states.values())


def test_a_key_that_sees_all_again_has_nothing_gone(account):
    """Every lead is seen again."""
    leads = [waiting(f"L-{number}") for number in range(6)]
    account.put(*leads)
    nights(account, 0 * DAY)
    account.source.delete(*(one.id for one in leads))
    nights(account, 12 * HOUR)
    account.put(*leads)
    nights(account, 12 * HOUR)

    assert {"pending"} == set(account.states.values())
    assert {None} == {row.missing_since for row in account.rows(LeadRow)}


def test_who_comes_back_unchanged_goes_on(account):
    """What was called off waits again, with the contact hashes it needs, and goes out once."""
    account.put(waiting("L-1"))
    nights(account, 0 * DAY)
    account.source.delete("L-1")
    nights(account, 12 * HOUR, 12 * HOUR)
    away = account.states, account.hashed
    account.put(waiting("L-1"))
    (back,) = nights(account, 12 * HOUR)
    waits = account.states, account.hashed
    account.sink.script.clear()
    account.put(changed(waiting("L-1"), fields={"consent": "oui", "amount": Decimal(900)}))
    nights(account, 12 * HOUR, 12 * HOUR)

    assert (({"L-1": "cancelled"}, set()), ({"L-1": "pending"}, {"L-1"})) == (away, waits)
    assert ("pending", "value_awaited") == account.causes("L-1")[2]
    assert (1, {"L-1": "accepted"}, [1]) == (back.pulled.back, account.states, list(account.sink.counted.values()))


def test_who_comes_back_too_late_stays_called_off(account):
    """Its window closed meanwhile."""
    account.put(waiting("L-1"))
    nights(account, 0 * DAY)
    account.source.delete("L-1")
    nights(account, 12 * HOUR, 12 * HOUR)
    account.put(waiting("L-1"))
    nights(account, 90 * DAY)

    assert ({"L-1": "cancelled"}, {"L-1": "lead_deleted"}) == (account.states, account.reasons)


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_who_took_consent_back_stays_called_off_wherever_it_was(account, when):
    """Given again alone, consent brings nothing back; also where it was withdrawn while the lead was away."""
    refusing = changed(waiting("L-1"), fields={"consent": "non"})
    account.put(waiting("L-1"))
    nights(account, 0 * DAY)
    if when == "before":
        account.put(refusing)
        nights(account, HOUR)
    account.source.delete("L-1")
    nights(account, 12 * HOUR, 12 * HOUR)
    account.put(refusing)
    nights(account, 12 * HOUR)
    refused = account.states, account.reasons
    account.put(changed(refusing, fields={"consent": "oui"}))
    nights(account, 12 * HOUR)

    assert ({"L-1": "cancelled"}, {"L-1": "consent_withdrawn"}) == refused == (account.states, account.reasons)


def test_who_comes_back_mended_goes_out_for_the_entry_it_was_called_off_at(account):
    """And for no other: a stage entered again later is the same sale."""
    account.book = rulebook(route())
    old = lead("L-1", fields={"consent": "bof"})
    account.put(old)
    nights(account, 0 * DAY)
    account.source.delete("L-1")
    nights(account, DAY, DAY)
    account.sink.script.clear()
    account.put(changed(old, fields={"consent": "oui"}))
    nights(account, DAY)
    back = account.states
    again = StatusEntry("Gagné", Moment(account.clock.now() + HOUR))
    lost = StatusEntry("Perdu", Moment(account.clock.now()))
    account.put(changed(account.source.leads["L-1"], history=(*old.history, lost, again)))
    nights(account, DAY)

    assert ({"L-1": "submitted"}, {"L-1": "accepted"}) == (back, account.states)
    assert [1] == list(account.sink.counted.values())


def test_nothing_is_begun_for_a_lead_that_is_gone(account):
    """Not by new rules either; and what the settings no longer have is called off with the rest."""
    account.put(waiting("L-1"))
    nights(account, 0 * DAY)
    account.source.delete("L-1")
    nights(account, DAY)
    account.book = replace(
        rulebook(route("quote", labels=frozenset({"gagne"}))), rules_digest="r2", was={"quote": None}
    )
    nights(account, DAY)

    assert [("sale", "cancelled", "lead_deleted")] == [
        (row.conversion, row.state, row.reason) for row in account.rows()
    ]


@pytest.mark.parametrize("style", [SyncMode.LIST, SyncMode.DETAILS])
def test_a_lead_on_whose_page_another_one_stands_is_gone_by_the_same_rule(account, style):
    """Oplead made the two one; the other is read as itself, and who looks is told which."""
    account.sync_window = replace(REACH, style=style)
    account.put(waiting("L-1"), waiting("L-2"), waiting("L-3"))
    nights(account, 0 * DAY)
    account.source.unlisted, account.source.merged = {"L-1"}, {"L-1": LeadId("L-2")}
    (noted,) = nights(account, 12 * HOUR)
    between = account.states
    (believed,) = nights(account, 12 * HOUR)
    into = {row.id: row.merged_into for row in account.rows(LeadRow)}

    assert ("pending", "pending") == (between["L-1"], between["L-2"])
    assert {"L-1": "cancelled", "L-2": "pending", "L-3": "pending"} == account.states
    assert {"L-1": "L-2", "L-2": None, "L-3": None} == into
    assert (0, 1, []) == (noted.pulled.deleted, believed.pulled.deleted, account.rows(UnreadableLeadRow))


@pytest.mark.parametrize("style", [SyncMode.LIST, SyncMode.DETAILS])
def test_a_lead_that_was_made_one_with_another_and_is_itself_again_goes_on(account, style):
    """Nothing of the other one is kept with it."""
    account.sync_window = replace(REACH, style=style)
    account.put(waiting("L-1"), waiting("L-2"), waiting("L-3"))
    nights(account, 0 * DAY)
    account.source.unlisted, account.source.merged = {"L-1"}, {"L-1": LeadId("L-2")}
    nights(account, 12 * HOUR, 12 * HOUR)
    account.source.unlisted, account.source.merged = set(), {}
    nights(account, 12 * HOUR)

    assert {"pending"} == set(account.states.values())
    assert {None} == {row.merged_into for row in account.rows(LeadRow)}


@pytest.mark.parametrize("style", [SyncMode.LIST, SyncMode.DETAILS])
def test_a_page_that_is_a_lead_nobody_knows_calls_nothing_off(account, style):
    """Every lead that is listed is known: something else stands there for the id, and a human is told."""
    account.sync_window = replace(REACH, style=style)
    account.put(waiting("L-1"), waiting("L-2"))
    nights(account, 0 * DAY)
    account.source.unlisted, account.source.merged = {"L-1"}, {"L-1": LeadId("provider-7")}
    nights(account, 12 * HOUR, 12 * HOUR)

    assert {"pending"} == set(account.states.values())
    assert [("L-1", "its own page is another lead's, see oplead.fields.id")] == [
        (row.id, row.reason) for row in account.rows(UnreadableLeadRow)
    ]


@pytest.mark.parametrize("style", [SyncMode.LIST, SyncMode.DETAILS])
def test_where_every_page_is_another_leads_nothing_is_concluded(account, style):
    """Ids are read wrongly, as far as pages go; a human is told each night."""
    account.sync_window = replace(REACH, style=style)
    account.put(waiting("L-1"), waiting("L-2"), waiting("L-3"))
    nights(account, 0 * DAY)
    account.source.unlisted = {"L-1"}
    account.source.merged = {"L-1": LeadId("L-2"), "L-2": LeadId("L-3"), "L-3": LeadId("L-2")}
    told = nights(account, 12 * HOUR, 12 * HOUR)

    assert {"pending"} == set(account.states.values())
    assert [True, True] == [summary.pulled.no_detail_pages for summary in told]


def test_those_that_fail_keep_no_others_from_being_asked_for(account, monkeypatch):
    """Asked for in vain is asked for: each has its turn, those that fail among them."""
    monkeypatch.setattr(pull_module, "ASKED_A_NIGHT", 2)
    names = [f"L-{number}" for number in range(5)]
    account.put(*(waiting(name) for name in names), lead("L-9", history=(), label="Nouveau"))
    nights(account, 0 * DAY)
    account.source.unlisted = set(names)
    real = account.source.fetch_each
    account.source.fetch_each = lambda ids: (
        (name, UnreadableLead(name, "500") if name in ("L-0", "L-1", "L-2") else one) for name, one in real(ids)
    )
    nights(account, *[HOUR] * 6)
    asked = Counter(account.source.asked)

    assert names == account.source.asked[:5]
    assert (set(names), 2) == (set(asked), min(asked.values()))


def test_a_listed_lead_is_asked_for_before_anything_is_believed_gone(account):
    """One that the list showed tonight, and only where something is not there."""
    account.put(*(waiting(f"L-{number}") for number in range(4)))
    nights(account, 0 * DAY)
    quiet = list(account.source.asked)
    account.source.delete("L-2")
    nights(account, 12 * HOUR)
    noted = list(account.source.asked)
    nights(account, 12 * HOUR)

    assert ([], ["L-2", "L-0"], ["L-2", "L-0"] * 2) == (quiet, noted, account.source.asked)


def test_where_listed_leads_have_no_page_either_nothing_is_concluded(account):
    """The way to own pages is wrong: what is not listed may be there all the same, and a human is told."""
    account.put(*(waiting(f"L-{number}") for number in range(9)))
    nights(account, 0 * DAY)
    account.source.delete("L-0")
    account.source.fetch_each = lambda ids: ((lead_id, None) for lead_id in ids)
    told = nights(account, 12 * HOUR, 12 * HOUR)

    assert "cancelled" not in account.states.values()
    assert all("oplead.lead_path" in " ".join(attention(summary)) for summary in told)
