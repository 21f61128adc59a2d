"""Leads missing in Oplead are looked up, considered deleted on the second night, and never if too many are missing."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.errors import KeyRefused, Transient
from connectors.records import ClickId, ClickIdKind, LeadId, Moment, StatusEntry, UnreadableLead
from jobs.ledger.schema import LeadRow, UnreadableLeadRow
from jobs.pull import absences
from jobs.pull.ingest import PullResult
from jobs.pull.sync import pull
from jobs.run_context import SyncMode
from tests.builders import REACH, attention, changed, from_field, lead, route, rulebook
from tests.fakes import NIGHT, refuse_pages

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def waiting(name):
    """Return a won lead that waits for its amount."""
    return lead(name, fields={"consent": "oui"}, updated_at=NIGHT - HOUR, history=(StatusEntry("Gagné", SOLD),))


SOLD = Moment(NIGHT - HOUR)


@pytest.fixture
def account(account):
    """Return an account with contact data, in which sales wait three days for their amount."""
    account.book = rulebook(route(field_value=from_field(), attach_contact=True))
    account.sink.script.append(lambda *_: (_ for _ in ()).throw(AssertionError("nothing is due yet")))
    return account


def nights(account, *pauses):
    """Run a night after each pause and return the summaries."""
    told = []
    for pause in pauses:
        account.clock.time += pause
        told.append(account.night())
    return told


def test_lead_missing_on_two_nights_has_its_open_deliveries_cancelled(account):
    """Its contact hashes are erased; the first night only records that it is missing."""
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


def test_two_runs_within_an_evening_delete_nothing(account):
    """A platform under maintenance may find nothing for an hour."""
    account.put(waiting("L-1"))
    nights(account, 0 * DAY)
    account.source.delete("L-1")
    nights(account, DAY, 11 * HOUR)

    assert {"L-1": "pending"} == account.states


def test_lead_seen_again_is_no_longer_missing(account):
    """The count starts again: it must then be missing on two more nights."""
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
def test_unlisted_lead_is_read_by_its_detail_page(account, style):
    """Pages shift; its current data are stored, and it may be sent."""
    account.sync_window = replace(REACH, style=style)
    account.put(waiting("L-1"))
    nights(account, 0 * DAY)
    account.source.unlisted = {"L-1"}
    account.source.put(changed(waiting("L-1"), fields={"consent": "non"}))
    nights(account, 8 * DAY)

    assert ["L-1"] == account.source.asked[-1:]
    assert ("cancelled", "consent_withdrawn") == account.causes("L-1")[-1]
    assert ["refused"] == [row.ad_user_data for row in account.rows(LeadRow)]


def test_only_unlisted_leads_with_open_deliveries_are_looked_up(account, monkeypatch):
    """The longest unseen come first, up to the limit of a night."""
    monkeypatch.setattr(absences, "ASKED_A_NIGHT", 2)
    account.put(waiting("L-1"), lead("L-9", label="Nouveau", history=()))
    nights(account, 0 * DAY)
    account.source.unlisted = {"L-1"}
    account.put(waiting("L-2"), waiting("L-3"))
    nights(account, HOUR)
    account.source.unlisted = {"L-1", "L-2", "L-3", "L-9"}
    account.source.asked.clear()
    nights(account, HOUR, HOUR)

    assert ["L-1", "L-2", "L-3", "L-1"] == account.source.asked


def test_filtered_pull_looks_up_only_leads_already_missing(account):
    """A filter hides unchanged leads; the weekly full reading finds the deleted ones."""
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


def test_incomplete_pull_looks_up_no_lead(account):
    """Unlisted leads may be on the pages that were not read."""
    account.source.page = 1
    account.put(waiting("L-1"), waiting("L-2"))
    nights(account, 0 * DAY)
    account.source.delete("L-2")
    account.put(waiting("L-3"))
    account.source.fails = {1: Transient("503")}
    nights(account, DAY)

    assert [] == account.source.asked


def test_leads_listed_before_an_interruption_are_not_looked_up(account):
    """The resumed pull counts from its original start."""
    account.source.page = 1
    account.put(waiting("L-1"), waiting("L-2"))
    nights(account, 0 * DAY)
    account.source.fails = {1: Transient("503")}
    nights(account, DAY, HOUR)

    assert [] == account.source.asked


def test_unreadable_listed_lead_is_not_missing(account):
    """It is not looked up."""
    account.put(waiting("L-1"))
    nights(account, 0 * DAY)
    account.source.unlisted = {"L-1"}
    account.source.unreadable = (UnreadableLead("L-1", "createdAt is no date"),)
    nights(account, DAY)

    assert [] == account.source.asked


@pytest.mark.parametrize(("deleted", "of", "believed"), [(4, 4, True), (5, 24, False), (5, 25, True), (25, 25, False)])
def test_mass_deletion_is_reported_and_cancels_nothing(account, deleted, of, believed):
    """This means five leads or more, and more than a fifth, on any night."""
    names = [f"L-{number:02}" for number in range(of)]
    account.put(*(waiting(name) for name in names))
    nights(account, 0 * DAY)
    account.source.delete(*names[:deleted])
    told = nights(account, 12 * HOUR, 12 * HOUR)
    cancelled = sum(state == "cancelled" for state in account.states.values())
    sentence = f"{deleted} leads are no longer shown" if deleted < of else "Oplead lists 0 leads; the last"

    assert deleted * believed == cancelled
    assert [not believed] * 2 == [sentence in " ".join(attention(summary)) for summary in told]
    assert believed or [1, 1] == [summary.exit_code for summary in told]


def test_second_reading_of_a_night_clears_the_suspicion_of_the_first(account):
    """Leads that are all listed again need no human."""
    names = [f"L-{number}" for number in range(8)]
    account.put(*map(waiting, names))
    nights(account, 0 * DAY)
    account.source.delete(*names)
    account.clock.time += DAY
    done = PullResult()
    with account.hold() as ledger:
        pull(account.run(ledger), until=account.clock.now() + DAY, done=done)
        told = done.missing_leads
        account.put(*map(waiting, names))
        pull(account.run(ledger), until=account.clock.now() + DAY, done=done)

    assert told is not None
    assert [] == done.attention


def test_leads_not_looked_up_are_extrapolated_from_those_that_were(account, monkeypatch):
    """Otherwise the limit on look-ups would hide a mass deletion."""
    monkeypatch.setattr(absences, "ASKED_A_NIGHT", 4)
    names = [f"L-{number:02}" for number in range(30)]
    account.put(*(waiting(name) for name in names))
    nights(account, 0 * DAY)
    account.source.delete(*names[:20])
    nights(account, 12 * HOUR, 12 * HOUR)

    assert {"pending"} == set(account.states.values())


def test_restored_api_key_clears_missing_leads(account):
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


def test_lead_that_returns_unchanged_is_sent(account):
    """Its cancelled delivery waits again, with the contact hashes it needs, and is sent once."""
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


def test_lead_that_returns_too_late_stays_cancelled(account):
    """Its window has closed in the meantime."""
    account.put(waiting("L-1"))
    nights(account, 0 * DAY)
    account.source.delete("L-1")
    nights(account, 12 * HOUR, 12 * HOUR)
    account.put(waiting("L-1"))
    nights(account, 90 * DAY)

    assert ({"L-1": "cancelled"}, {"L-1": "lead_deleted"}) == (account.states, account.reasons)


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_lead_that_returns_without_consent_stays_cancelled(account, when):
    """Consent given again revives nothing, even if it was withdrawn during the absence."""
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


def test_returning_lead_with_consent_is_sent_for_its_original_entry(account):
    """Entering the stage again later is still the same sale."""
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


def test_deleted_lead_gets_no_new_delivery(account):
    """New rules make none either, and deliveries removed from the settings are cancelled with the rest."""
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
def test_lead_merged_into_another_is_deleted_by_the_same_rule(account, style):
    """The other lead is read as usual, and the record shows which one it is."""
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
def test_lead_separated_from_a_merge_is_active_again(account, style):
    """Nothing of the other lead is kept with it."""
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
def test_detail_page_of_an_unknown_lead_cancels_nothing(account, style):
    """Every listed lead is known, so the page belongs to something else, and is reported."""
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
def test_detail_pages_of_wrong_leads_delete_nothing(account, style):
    """Ids are probably read from the wrong field, which is reported each night."""
    account.sync_window = replace(REACH, style=style)
    account.put(waiting("L-1"), waiting("L-2"), waiting("L-3"))
    nights(account, 0 * DAY)
    account.source.unlisted = {"L-1"}
    account.source.merged = {"L-1": LeadId("L-2"), "L-2": LeadId("L-3"), "L-3": LeadId("L-2")}
    told = nights(account, 12 * HOUR, 12 * HOUR)

    assert {"pending"} == set(account.states.values())
    assert [True, True] == [summary.pulled.no_detail_pages for summary in told]


def test_failing_lookups_do_not_starve_others(account, monkeypatch):
    """A failed look-up counts as an attempt, so that each lead has its turn."""
    monkeypatch.setattr(absences, "ASKED_A_NIGHT", 2)
    names = [f"L-{number}" for number in range(5)]
    quiet = (lead(f"Q-{number}", history=(), label="Nouveau") for number in range(5))
    account.put(*(waiting(name) for name in names), *quiet)
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


def test_listed_lead_is_fetched_before_any_is_considered_missing(account):
    """This check costs one fetch, and only if a lead is missing."""
    account.put(*(waiting(f"L-{number}") for number in range(4)))
    nights(account, 0 * DAY)
    quiet = list(account.source.asked)
    account.source.delete("L-2")
    nights(account, 12 * HOUR)
    noted = list(account.source.asked)
    nights(account, 12 * HOUR)

    assert ([], ["L-2", "L-0"], ["L-2", "L-0"] * 2) == (quiet, noted, account.source.asked)


def test_missing_detail_pages_of_listed_leads_delete_nothing(account):
    """The path to detail pages is wrong, which is reported; unlisted leads may still exist."""
    account.put(*(waiting(f"L-{number}") for number in range(9)))
    nights(account, 0 * DAY)
    account.source.delete("L-0")
    account.source.fetch_each = lambda ids: ((lead_id, None) for lead_id in ids)
    told = nights(account, 12 * HOUR, 12 * HOUR)

    assert "cancelled" not in account.states.values()
    assert all("oplead.lead_path" in " ".join(attention(summary)) for summary in told)


# ── leads that the key may not read ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("style", list(SyncMode))
@pytest.mark.parametrize("count", [1, 2])
def test_unlisted_lead_that_the_key_may_not_read_is_not_known(account, style, count):
    """It is never deleted, its deliveries wait, it is told as unreadable, and the night goes on to the others."""
    account.sync_window = replace(REACH, style=style)
    account.put(*(waiting(f"L-{number}") for number in range(6)))
    nights(account, 0 * DAY)
    before = account.rows(LeadRow)
    refused = [f"L-{number}" for number in range(count)]
    account.source.unlisted = {*refused, "L-5"}
    refuse_pages(account.source, *refused)
    account.source.put(changed(waiting("L-5"), fields={"consent": "non"}))
    told = nights(account, 8 * DAY, 8 * DAY)

    assert [(None, True, 0, count)] * 2 == [
        (one.source_stopped, one.pulled.complete, one.pulled.deleted, len(one.pulled.unreadable)) for one in told
    ]
    assert ({"value_missing"}, "consent_withdrawn") == (
        {account.reasons[name] for name in refused},
        account.reasons["L-5"],
    )
    assert [(row.digest, row.seen_at, None, None) for row in before if row.id in refused] == [
        (row.digest, row.seen_at, row.missing_since, row.deleted_at)
        for row in account.rows(LeadRow)
        if row.id in refused
    ]
    assert [(name, "the key may not read this lead's own page", False) for name in refused] == [
        (row.id, row.reason, row.there) for row in account.rows(UnreadableLeadRow)
    ]


@pytest.mark.parametrize("style", [SyncMode.LIST, SyncMode.DETAILS])
def test_lead_that_is_refused_to_the_key_is_not_taken_for_there_either(account, style):
    """Some Opleads refuse what is gone: who may be the same person under another id is held."""
    account.book = rulebook(route(field_value=from_field()))
    account.sync_window = replace(REACH, style=style)
    shared = (ClickId(ClickIdKind.GCLID, "Cj0KCQjw-shared"),)
    account.put(replace(waiting("L-1"), click_ids=shared), waiting("L-2"))
    nights(account, 0 * DAY)
    account.source.delete("L-1")
    refuse_pages(account.source, "L-1")
    account.put(replace(waiting("N-1"), click_ids=shared))
    nights(account, DAY)

    assert {"L-1": "pending", "L-2": "pending", "N-1": "withheld"} == account.states
    assert "possible_twin" == account.reasons["N-1"]


def test_unlisted_leads_of_a_refused_key_end_the_night(account):
    """A key that is not known reads nobody."""
    account.put(waiting("L-1"), waiting("L-2"))
    nights(account, 0 * DAY)
    account.source.unlisted, account.source.fails = {"L-1"}, {"L-1": KeyRefused("who is this?")}
    (told,) = nights(account, DAY)

    assert 3 == told.exit_code
    assert {"pending"} == set(account.states.values())
