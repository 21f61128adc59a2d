"""A conversion that counted under an id that has vanished is held back, however leads are read."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.errors import KeyRefused, Transient
from connectors.records import ClickId, ClickIdKind, Contact, Moment, StatusEntry
from jobs.ledger.schema import LeadRow
from jobs.ledger.storage.forgotten_place import ForgottenPlace
from jobs.nightly import run_night
from jobs.plan.new_settings import RenamedIdError
from jobs.rules.extraction import erased_click_id_hash
from jobs.rules.model import UndoRule
from jobs.rules.reasons import DestinationScope
from jobs.rules.twins import click_marks, have_ids_changed
from jobs.run_context import RunReadingScope, SyncMode, TwinAnswer
from tests.builders import (
    ACCOUNT,
    CREATED,
    GOOGLE,
    REACH,
    TARGET,
    attention,
    changed,
    click,
    from_field,
    lead,
    route,
    rulebook,
)
from tests.fakes import LIMITS, NIGHT, Crash, crash_before

DAY = timedelta(days=1)
SHARED = (ClickId(ClickIdKind.GCLID, "gclid-shared"),)
HELD = ("withheld", "possible_twin")


def night(account, **more):
    """Run one night a day later, and return its summary."""
    account.clock.time += DAY
    with account.hold() as ledger:
        return run_night(account.run(ledger, **more))


def updated(name, account, **more):
    """Return a won lead that Oplead calls changed just now, with a click that others have too."""
    return lead(name, click_ids=SHARED, **{"updated_at": account.clock.now() + DAY - timedelta(hours=1)} | more)


def stands(account, name):
    """Return the state and the reason of a lead's conversion."""
    return account.states[name], account.reasons[name]


# ── the rule ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("twins", "due", "changed"),
    [(0, 0, False), (4, 0, False), (5, 0, True), (5, 20, True), (5, 21, False), (50, 200, True), (50, 201, False)],
)
def test_ids_have_changed_when_five_twins_are_a_fifth(twins, due, changed):
    """Fewer may be chance."""
    assert changed is have_ids_changed(twins, due)


def test_browsers_are_no_clicks():
    """One browser may send any number of people."""
    assert frozenset() == click_marks([click("fb.1.1.2", kind=ClickIdKind.FBP)])


# ── ways of reading ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=list(SyncMode))
def reading(account, request):
    """An account whose first lead was sent, read in any of the ways."""
    account.sync_window = replace(REACH, style=request.param)
    account.source.filters = request.param is SyncMode.SINCE
    account.put(lead("L-1", click_ids=SHARED))
    night(account)
    assert "submitted" == account.states["L-1"]
    return account


def test_lead_under_a_new_id_is_held(reading):
    """Each night names both ids until somebody says which they are."""
    reading.source.delete("L-1")
    reading.put(updated("N-1", reading))
    first, second = night(reading), night(reading)

    assert HELD == stands(reading, "N-1")
    assert (1, 1) == (first.exit_code, second.exit_code)
    assert "N-1 (L-1)" in attention(second)[0]
    assert 1 == sum(reading.sink.counted.values())


def test_second_lead_of_a_click_counts_while_the_first_exists(reading):
    """Where the list does not show it, as one of changes only does not after a while, its own page tells."""
    reading.clock.time += 5 * DAY
    night(reading)
    reading.put(updated("L-2", reading))
    summary = night(reading)

    assert (0, "submitted") == (summary.exit_code, reading.states["L-2"])


def test_lead_whose_sale_was_taken_back_holds_no_other_when_it_vanishes(account):
    """The platform no longer counts it."""
    undo, ads_api = UndoRule(frozenset({"perdu"}), DAY), replace(TARGET, transport="google_ads_api")
    account.book = rulebook(route(undo=undo, target=ads_api))
    account.sink.asynchronous = False
    first = lead("L-1", click_ids=SHARED)
    account.put(first)
    night(account)
    lost = StatusEntry("Perdu", Moment(account.clock.now()))
    account.put(changed(first, history=(*first.history, lost), label="Perdu"))
    for _ in range(3):
        night(account)
    account.source.delete("L-1")
    account.put(updated("N-1", account))
    summary = night(account)

    assert 1 == len(account.sink.retracted)
    assert ("accepted", 0) == (account.states["N-1"], summary.exit_code)


def test_lead_that_is_shown_again_releases_the_other(account):
    """A list that was too short for a night holds nothing for long."""
    account.put(lead("L-1", click_ids=SHARED))
    night(account)
    first = account.source.leads.pop("L-1")
    account.put(lead("L-2", click_ids=SHARED))
    night(account)
    assert HELD == stands(account, "L-2")
    account.put(first)
    night(account)

    assert "submitted" == account.states["L-2"]


def test_interrupted_reading_concludes_nothing(account):
    """The list broke off before the page of the first lead, which only waits for the next night then."""
    account.source.page = 1
    account.put(lead("L-1", click_ids=SHARED))
    night(account)
    account.source.leads = {"L-2": updated("L-2", account)} | account.source.leads
    account.source.fails[1] = Transient("cut")
    summary = night(account)

    assert (3, False) == (summary.exit_code, "L-2" in account.states)
    night(account)
    assert "submitted" == account.states["L-2"]


def test_click_that_was_erased_is_recognised(account):
    """Its hash stays for as long as its lead does."""
    account.put(lead("L-1", click_ids=SHARED))
    night(account)
    with account.hold() as ledger, ledger.write_transaction() as session:
        erased = erased_click_id_hash("gclid-shared")
        session.connection().exec_driver_sql(f"UPDATE click_id SET value = '{erased}'")  # noqa: S608
    account.source.delete("L-1")
    account.put(lead("N-1", click_ids=SHARED))
    night(account)

    assert HELD == stands(account, "N-1")


# ── without a click ──────────────────────────────────────────────────────────────────────────────


def by_contact(name, **more):
    """Return a won lead without a click id, whom contact data may identify."""
    return lead(name, **{"click_ids": (), "contact": Contact(emails=("maelle@example.org",))} | more)


@pytest.fixture(params=list(SyncMode))
def known_by_contact(account, request):
    """An account whose first lead was sent by contact data alone, read in any of the ways."""
    account.sync_window = replace(REACH, style=request.param)
    account.source.filters = request.param is SyncMode.SINCE
    account.book = rulebook(route(contact_only=True, attach_contact=True))
    account.put(by_contact("L-1"))
    night(account)
    assert "submitted" == account.states["L-1"]
    return account


def test_lead_without_a_click_is_known_by_its_creation(known_by_contact):
    """Its status history gives away nothing, nor does anything that is kept of its contact data."""
    known_by_contact.source.delete("L-1")
    known_by_contact.put(by_contact("N-1", updated_at=known_by_contact.clock.now() + DAY - timedelta(hours=1)))
    night(known_by_contact)

    assert HELD == stands(known_by_contact, "N-1")
    assert {"L-1", "N-1"} >= known_by_contact.hashed


def test_leads_created_together_count_while_both_exist(known_by_contact):
    """An import creates many in one second."""
    known_by_contact.put(by_contact("L-2", updated_at=known_by_contact.clock.now() + DAY - timedelta(hours=1)))
    night(known_by_contact)

    assert "submitted" == known_by_contact.states["L-2"]


def test_lead_that_was_there_before_the_other_vanished_is_no_twin_by_creation(account):
    """One of an import was deleted; another one is won much later."""
    account.book = rulebook(route(contact_only=True, attach_contact=True))
    account.put(by_contact("L-1"), by_contact("L-2", label="Nouveau", history=()))
    night(account)
    account.source.delete("L-1")
    account.put(by_contact("L-2"))
    night(account)

    assert "submitted" == account.states["L-2"]


@pytest.fixture
def keyed(account, tmp_path):
    """An account by contact data alone, for which a key lies outside the state, whose first lead was sent."""
    account.book = rulebook(route(contact_only=True, attach_contact=True))
    account.place = ForgottenPlace(tmp_path / "place", ACCOUNT, "salt", is_rehearsal=True)
    account.put(by_contact("L-1"))
    night(account)
    assert "submitted" == account.states["L-1"]
    return account


def marks(account):
    """The leads that would be known again by their contact data."""
    return {row.id for row in account.rows(LeadRow) if row.contact_mark is not None}


PIERRE = Contact(emails=("pierre@example.org",))


@pytest.mark.parametrize(
    "contact",
    [Contact(emails=("maelle@example.org",)), Contact(emails=(" Maelle@Example.org ",), phones=("06 12 34 56 78",))],
)
def test_lead_whose_creation_changed_with_its_id_is_known_by_its_contact_data(keyed, contact):
    """However they are typed."""
    keyed.source.delete("L-1")
    keyed.put(by_contact("N-1", created_at=CREATED + timedelta(hours=5), contact=contact))
    night(keyed)

    assert HELD == stands(keyed, "N-1")


def test_two_people_of_one_moment_are_two_leads(keyed):
    """Their contact data tell them apart, where both are known."""
    keyed.source.delete("L-1")
    keyed.put(by_contact("N-1", contact=PIERRE))
    night(keyed)

    assert "submitted" == keyed.states["N-1"]


def test_person_who_asks_again_counts_while_the_first_lead_exists(keyed):
    """Only an id that has vanished makes a twin."""
    keyed.put(by_contact("L-2", created_at=CREATED + DAY))
    night(keyed)

    assert "submitted" == keyed.states["L-2"]


def test_marks_under_two_keys_tell_nobody_apart(keyed):
    """The place was lost, and begun anew: the creation tells, as without one."""
    keyed.source.delete("L-1")
    keyed.place = ForgottenPlace(keyed.place.path, ACCOUNT, "another salt", is_rehearsal=True)
    keyed.put(by_contact("N-1", contact=PIERRE))
    with keyed.hold(restored=True):
        pass
    night(keyed)

    assert HELD == stands(keyed, "N-1")


def test_only_leads_without_a_click_are_marked(keyed):
    """A click tells; and nothing is kept of whoever may not be sent by contact data."""
    no = {"fields": {"consent": "non"}}
    keyed.put(by_contact("L-2", click_ids=SHARED), by_contact("L-3", contact=Contact()), by_contact("L-4", **no))
    night(keyed)

    assert {"L-1"} == marks(keyed)


def test_nobody_is_marked_where_no_key_lies_outside_the_state(known_by_contact):
    """A hash whose key lies beside it would say who its person is."""
    assert set() == marks(known_by_contact)


def test_mark_goes_with_consent(keyed):
    """As all that is kept of contact data."""
    keyed.put(by_contact("L-1", fields={"consent": "non"}))
    night(keyed)

    assert set() == marks(keyed)


@pytest.mark.parametrize("has_place", [True, False])
def test_mark_goes_when_the_click_window_has_closed(keyed, has_place):
    """Also where the settings name no place any more."""
    keyed.clock.time = CREATED + LIMITS.click_window - timedelta(hours=1) - DAY
    night(keyed)
    assert {"L-1"} == marks(keyed)
    keyed.place = keyed.place if has_place else None
    night(keyed)

    assert set() == marks(keyed)


def test_mark_says_nothing_without_its_key(keyed):
    """Neither the state nor any hash that anybody could reckon from an address has it."""
    (mark,) = (row.contact_mark for row in keyed.rows(LeadRow))

    assert hashlib.sha256(b"maelle@example.org").digest()[:8] not in mark
    assert ForgottenPlace(keyed.place.path, ACCOUNT, "guessed").mark_contact("maelle@example.org") != mark
    assert ForgottenPlace(keyed.place.path, "another", "salt").mark_contact("maelle@example.org") != mark
    assert keyed.place.mark_contact("maelle@example.org") == mark


# ── what a person says ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def renumbered(account):
    """An account of which six leads were sent, all of which have new ids, beside a new lead."""
    for number in range(6):
        account.put(lead(f"L-{number}"))
    night(account)
    for number in range(6):
        account.source.delete(f"L-{number}")
        account.put(replace(lead(f"L-{number}"), id=f"N-{number}"))
    account.put(lead("X-1"))
    return account


def test_whole_destination_is_held(renumbered):
    """What is no twin by its click may be one all the same."""
    summary = night(renumbered)

    assert (1, [DestinationScope(GOOGLE)]) == (summary.exit_code, list(summary.held))
    assert ("pending", "ids_changed") == stands(renumbered, "X-1")
    assert "6 new conversions are held" in attention(summary)[0]
    assert 6 == sum(renumbered.sink.counted.values())


def test_five_old_twins_hold_nothing_else(account):
    """One lead a night is merged into another with its click: each is held, and what is new beside them goes out."""
    clicks = {number: (ClickId(ClickIdKind.GCLID, f"gclid-{number}"),) for number in range(5)}
    account.put(*(lead(f"L-{number}", click_ids=one) for number, one in clicks.items()))
    night(account)
    for number, one in clicks.items():
        account.source.delete(f"L-{number}")
        account.put(lead(f"N-{number}", click_ids=one), *(lead(f"X-{number}-{other}") for other in range(3)))
        night(account)
    account.put(lead("X-last"))
    last = night(account)

    assert [HELD] * 5 == [stands(account, f"N-{number}") for number in clicks]
    assert "submitted" == account.states["X-last"]
    assert "5 new conversions are held" in attention(last)[0]


def test_twin_that_was_withheld_before_for_another_reason_is_held(account):
    """Its reason alone changes, which is no transition."""
    account.put(lead("L-1", click_ids=SHARED), lead("N-1", click_ids=SHARED, fields={"consent": "bof"}))
    night(account)
    assert "withheld" == account.states["N-1"]
    account.source.delete("L-1")
    account.put(changed(lead("N-1", click_ids=SHARED), updated_at=account.clock.now() + DAY - timedelta(hours=1)))
    summary = night(account)

    assert (HELD, 1) == (stands(account, "N-1"), summary.exit_code)


def test_destination_stays_held_however_much_waits_there(renumbered):
    """What one night found is not diluted by what is held since."""
    night(renumbered)
    renumbered.put(*(lead(f"X-{number}") for number in range(2, 60)))
    summary = night(renumbered)

    assert (1, {"pending"}) == (summary.exit_code, {renumbered.states[f"X-{number}"] for number in range(2, 60)})


def test_twin_that_a_crash_left_untold_is_told(account):
    """It was held before the run that found it died."""
    account.put(lead("L-1", click_ids=SHARED))
    night(account)
    account.source.delete("L-1")
    account.put(lead("N-1", click_ids=SHARED), lead("X-1"))
    account.sink.script.append(crash_before)
    with pytest.raises(Crash):
        night(account)
    summary = night(account)

    assert HELD == stands(account, "N-1")
    assert (1, True) == (summary.exit_code, "N-1 (L-1)" in attention(summary)[0])


@pytest.mark.parametrize("style", list(SyncMode))
@pytest.mark.parametrize("is_down", [False, True])
def test_run_that_reads_no_list_takes_nobody_for_gone(account, style, is_down):
    """A conversion that falls due then waits for a night, which sends it: both leads exist."""
    account.sync_window = replace(REACH, style=style)
    account.source.filters = style is SyncMode.SINCE
    account.put(lead("L-1", click_ids=SHARED))
    night(account)
    ahead = account.clock.now() + DAY + timedelta(hours=3)
    account.put(updated("L-2", account, history=(StatusEntry("Gagné", Moment(ahead)),)))
    night(account)
    account.clock.time += timedelta(hours=6)
    account.source.fails = dict.fromkeys(range(9), Transient("cut")) if is_down else {}
    with account.hold() as ledger:
        reading = RunReadingScope.EVERYTHING if is_down else RunReadingScope.NOTHING
        summary = run_night(account.run(ledger), reading=reading)
    account.source.fails = {}

    assert [] == [said for said in attention(summary) if "vanished" in said]
    assert "possible_twin" != account.reasons.get("L-2")
    night(account)
    assert "submitted" == account.states["L-2"]


def test_volume_accepted_says_nothing_of_twins(renumbered):
    """Each question has its own answer."""
    summary = night(renumbered, accept_volume=True)

    assert (1, 6) == (summary.exit_code, sum(renumbered.sink.counted.values()))


@pytest.mark.parametrize(("answer", "counted"), [(TwinAnswer.SAME, 7), (TwinAnswer.OTHER, 13)])
def test_answer_holds_for_good(renumbered, answer, counted):
    """Later nights are silent, also when leads or rules change."""
    night(renumbered)
    told = night(renumbered, twins=answer)
    for number in range(6):
        renumbered.put(replace(lead(f"L-{number}", label="Gagné "), id=f"N-{number}"))
    renumbered.book = replace(renumbered.book, rules_digest="r2")
    after = night(renumbered)

    assert (0, 0) == (told.exit_code, after.exit_code)
    assert counted == sum(renumbered.sink.counted.values())


@pytest.mark.parametrize(("answer", "counted"), [(TwinAnswer.SAME, 6), (TwinAnswer.OTHER, 12)])
def test_answer_is_about_all_leads_where_oplead_shows_only_changed_ones(account, answer, counted):
    """A move changes no lead, so that a filtered list shows none of it: the run that is told reads all there is."""
    account.sync_window = replace(REACH, style=SyncMode.SINCE)
    account.source.filters = True
    account.put(*(lead(f"L-{number}", updated_at=CREATED) for number in range(6)))
    night(account)
    for number in range(6):
        account.source.delete(f"L-{number}")
        account.put(replace(lead(f"L-{number}", updated_at=CREATED), id=f"N-{number}"))
    account.put(replace(account.source.leads["N-0"], updated_at=account.clock.now()))
    night(account)
    assert ["N-0"] == [name for name, reason in account.reasons.items() if reason == "possible_twin"]

    told = night(account, twins=answer)
    for _ in range(8):
        account.clock.time += DAY
        after = account.night()

    assert [] == attention(told)
    assert (0, 0) == (told.exit_code, after.exit_code)
    assert counted == sum(account.sink.counted.values())


def test_what_only_waits_under_the_old_id_goes_out_under_the_new_one(account):
    """It has not been sent: settled, it would be lost; held on, it would ask for ever."""
    account.book = rulebook(route(field_value=from_field()))
    unpaid = {"fields": {"consent": "oui"}, "history": (StatusEntry("Gagné", Moment(NIGHT)),), "click_ids": SHARED}
    account.put(lead("L-1", **unpaid))
    night(account)
    assert "pending" == account.states["L-1"]
    account.source.delete("L-1")
    account.put(lead("N-1", click_ids=SHARED))
    told = night(account, twins=TwinAnswer.SAME)

    assert ("cancelled", "lead_deleted") == stands(account, "L-1")
    assert ("submitted", 0) == (account.states["N-1"], told.exit_code)
    assert (0, 1) == (night(account).exit_code, sum(account.sink.counted.values()))


@pytest.mark.parametrize("style", [SyncMode.LIST, SyncMode.DETAILS])
def test_reused_id_hides_no_twin(account, style):
    """Its former lead is gone, and so may be the one under the new id."""
    account.sync_window = replace(REACH, style=style)
    account.put(lead("L-1", click_ids=SHARED))
    night(account)
    another = (ClickId(ClickIdKind.GCLID, "gclid-another"),)
    account.put(lead("N-1", click_ids=SHARED), changed(lead("L-1"), created_at=CREATED - 31 * DAY, click_ids=another))
    night(account)
    night(account)

    assert HELD == stands(account, "N-1")


def test_original_whose_page_is_refused_is_not_taken_for_there(account):
    """Some Opleads refuse what is gone."""
    account.sync_window = replace(REACH, style=SyncMode.SINCE)
    account.source.filters = True
    account.put(lead("L-1", click_ids=SHARED), lead("L-9"))
    night(account)
    night(account)
    account.source.delete("L-1")
    refused = KeyRefused("403")
    refused.is_known = True
    account.source.fails["L-1"] = refused
    account.clock.time += 4 * DAY
    account.put(updated("N-1", account))
    night(account)

    assert HELD == stands(account, "N-1")


@pytest.mark.parametrize("style", [SyncMode.LIST, SyncMode.SINCE])
def test_night_that_runs_out_of_time_takes_nobody_for_gone(account, style):
    """Their turn in the list had not come; the next night sends what waited for it."""
    account.sync_window = replace(REACH, style=style)
    account.source.filters = style is SyncMode.SINCE
    account.source.page = 1
    account.put(lead("L-1", click_ids=SHARED))
    night(account)
    account.clock.time += 8 * DAY
    account.source.leads = {"N-1": updated("N-1", account)} | account.source.leads
    account.source.allowed, account.source.made = 1, 0
    summary = night(account)
    account.source.allowed, account.source.made = None, 0

    assert (False, []) == (summary.pulled.complete, attention(summary))
    night(account)
    assert "submitted" == account.states["N-1"]


def test_between_nights_nothing_unseen_is_repeated(renumbered):
    """A run that reads no lead decides nothing about who is who."""
    night(renumbered)
    with renumbered.hold() as ledger:
        run_night(renumbered.run(ledger), reading=RunReadingScope.NOTHING)

    assert 6 == sum(renumbered.sink.counted.values())


# ── another field ────────────────────────────────────────────────────────────────────────────────


def test_other_paths_of_the_id_are_refused_and_named(account):
    """Both are, and a person's answer takes the new ones."""
    account.book = rulebook(lead_id_paths="id")
    night(account)
    account.book = replace(account.book, lead_id_paths="uuid")

    with pytest.raises(RenamedIdError, match="was id and is uuid"):
        night(account)

    night(account, twins=TwinAnswer.SAME)
    night(account)


def test_ids_of_a_ledger_that_never_noted_their_paths_are_taken(account):
    """An older version did not."""
    night(account)
    with account.hold() as ledger, ledger.write_transaction() as session:
        session.connection().exec_driver_sql("DELETE FROM config_digest WHERE kind = 'lead_id'")
    account.book = replace(account.book, lead_id_paths="uuid")

    assert 0 == night(account).exit_code
