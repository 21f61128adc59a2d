"""Settings that change are taken over, and leads judged again when they or the rules do."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.records import ClickId, ClickIdKind, Moment, Outcome, OutcomeClass, StatusEntry
from jobs.ledger import outbox, queries, requeue
from jobs.ledger.schema import Delivery
from jobs.run_context import SyncMode
from tests.builders import CREATED, GOOGLE, START, TARGET, WON, changed, from_field, lead, route, rulebook
from tests.fakes import NIGHT, FakeSink

DAY = timedelta(days=1)


def other():
    """A conversion no lead of these tests reaches."""
    return route("quote", target=replace(TARGET, action="5"), labels=frozenset({"devis"}))


def test_a_lead_that_did_not_change_is_not_judged_again(account):
    """A night costs what changed."""
    account.put(lead("L-1"), lead("L-2"))
    first = account.prepare()
    account.put(changed(lead("L-2"), label="Perdu"))

    assert (2, 1, 0) == (first.leads, account.prepare().leads, account.prepare().leads)


def test_changed_rules_have_every_lead_judged_again(account):
    """Without reading it again, where nothing more need be known of it."""
    account.put(lead("L-1"), lead("L-2"))
    account.prepare()
    account.book = rulebook(route(fixed_value=Decimal(60)), rules_digest="r2")

    assert 2 == account.prepare().leads
    assert ["L-1", "L-2"] == account.source.read_whole


def test_a_changed_extraction_has_every_lead_read_again(account):
    """From the beginning, whatever the cursor says."""
    account.sync_window = replace(account.sync_window, style=SyncMode.SINCE)
    account.put(lead())
    account.prepare()
    account.book = rulebook(extraction_digest="e2")
    account.prepare()

    assert ["L-1", "L-1"] == account.source.read_whole
    assert [(None, None), (None, None)] == account.source.calls


def test_rules_that_may_need_contact_data_again_have_leads_read_again(account):
    """Hashes nothing waited for were erased."""
    account.book = rulebook(route(attach_contact=True))
    account.put(lead())
    account.prepare()
    account.book = rulebook(route(attach_contact=True, fixed_value=Decimal(1)), rules_digest="r2")
    account.prepare()

    assert ["L-1", "L-1"] == account.source.read_whole


def test_new_settings_in_a_half_read_source_start_over(account):
    """Its first pages were read by the old ones."""
    account.source.page = 1
    account.put(lead("L-1"), lead("L-2"))
    account.source.fails = {1: RuntimeError("the machine went down")}
    with pytest.raises(RuntimeError):
        account.prepare()
    account.book = rulebook(extraction_digest="e2")
    account.prepare()

    assert ["L-1", "L-1", "L-2"] == account.source.read_whole


def test_settings_that_no_longer_want_a_delivery_keep_it_back(account):
    """It may be a slip: back they come, and out it goes."""
    account.put(lead())
    account.prepare()
    account.book = rulebook(other(), rules_digest="r2")
    account.prepare()
    kept = (account.states, account.reasons)
    account.book = rulebook(rules_digest="r3")
    account.prepare()

    assert ({"L-1": "withheld"}, {"L-1": "not_configured"}) == kept
    assert {"L-1": "pending"} == account.states


def test_a_conversion_taken_out_of_the_settings_is_kept_back_until_its_window_closes(account):
    """Then it is expired."""
    account.put(lead())
    account.prepare()
    account.book = rulebook(other(), rules_digest="r2")
    account.prepare()
    before = account.reasons
    account.clock.time = CREATED + timedelta(days=90, seconds=1)
    account.prepare()

    assert ({"L-1": "not_configured"}, {"L-1": "expired"}) == (before, account.states)


@pytest.mark.parametrize(
    ("over", "reason"), [({"where": ({"channel": frozenset({"x"})},)}, "where_does_not_match"), ({}, "before_since")]
)
def test_a_condition_or_start_that_shuts_a_pending_delivery_out_keeps_it_back(account, over, reason):
    """Kept back, not forgotten."""
    account.put(lead())
    account.prepare()
    account.book = rulebook(route(**over), rules_digest="r2", since={"sale": START if over else NIGHT})
    account.prepare()

    assert ({"L-1": "withheld"}, {"L-1": reason}) == (account.states, account.reasons)


def test_a_start_moved_back_brings_skipped_conversions_to_life(account):
    """The settings say so."""
    account.book = rulebook(since={"sale": NIGHT})
    account.put(lead())
    account.prepare()
    before = account.states
    account.book = rulebook(rules_digest="r2")
    account.prepare()

    assert ({"L-1": "skipped"}, {"L-1": "pending"}) == (before, account.states)


def test_what_is_withheld_goes_out_once_its_cause_is_mended(account):
    """Released by itself."""
    bare = lead(click_ids=(), fields={"consent": ""})
    account.put(bare)
    reasons = []
    clicked = (ClickId(ClickIdKind.GCLID, "G", CREATED),)
    for mended in (bare, changed(bare, fields={"consent": "oui"}), lead(click_ids=clicked)):
        account.put(mended)
        account.prepare()
        reasons.append((account.states["L-1"], account.reasons["L-1"]))

    assert [("withheld", "consent_missing"), ("withheld", "no_click_id"), ("pending", "due")] == reasons


def clicked(*kinds):
    """A lead with a click id of each of these kinds, as old as itself."""
    return lead(click_ids=tuple(ClickId(kind, f"of {kind}", CREATED) for kind in kinds))


BY_ANOTHERS, BY_OURS = clicked(ClickIdKind.FBCLID), clicked(ClickIdKind.GCLID)


def test_a_lead_of_another_platforms_ad_has_no_delivery(account):
    """Until an id of this platform's comes up: then it goes out like any other."""
    account.put(BY_ANOTHERS)
    account.prepare()
    before = account.rows()
    account.put(BY_OURS)
    account.prepare()

    assert ([], {"L-1": "pending"}) == (before, account.states)


def test_what_was_held_for_want_of_a_click_id_counts_no_more_once_another_platforms_comes_up(account):
    """It is on record, and in no number of those that could have gone out; with an id of its own it is back."""
    stood = []
    for found in (clicked(), BY_ANOTHERS, BY_OURS):
        account.put(found)
        account.prepare()
        stood.append((account.states["L-1"], account.reasons["L-1"]))
    with account.hold() as ledger, ledger.reading() as session:
        begun = list(queries.begun_before(session, ledger.account, run=ledger.run, since=START))

    assert [("withheld", "no_click_id"), ("skipped", "another_platform"), ("pending", "due")] == stood
    assert 1 == len(begun)


def test_what_turned_out_to_be_another_platforms_is_in_no_alarm(account):
    """Neither among what was stopped nor among what qualified; nor does a backfill take it up."""
    for found in (clicked(), BY_ANOTHERS):
        account.put(found)
        account.prepare()
    asked = requeue.BackfillRequest(START, NIGHT)
    with account.hold() as ledger, ledger.reading() as session:
        begun = list(queries.begun_before(session, ledger.account, run=ledger.run, since=START))
        skipped = requeue.skipped(session, ledger.account, asked, after=None, limit=9)

    assert ([], []) == (begun, skipped)


def test_a_destination_that_takes_everybody_from_now_on_has_another_platforms_leads_too(account):
    """`audience: all`; and a destination that ceases to takes them for another's again."""
    account.put(BY_ANOTHERS)
    states = []
    for digest, everybody in (("r1", False), ("r2", True), ("r3", False)):
        account.book = rulebook(route(contact_only=everybody), rules_digest=digest)
        account.prepare()
        states.append(account.states)

    assert [{}, {"L-1": "pending"}, {"L-1": "skipped"}] == states


def test_a_withheld_conversion_expires_when_its_window_closes(account):
    """Though nothing of its lead has changed."""
    account.put(lead(fields={"consent": ""}))
    account.prepare()
    account.clock.time = CREATED + timedelta(days=90)
    account.prepare()
    before = account.states
    account.clock.time += timedelta(seconds=1)
    account.prepare()

    assert ({"L-1": "withheld"}, {"L-1": "expired"}) == (before, account.states)


def test_what_expires_keeps_what_held_it_until_then(account):
    """Though its cause was mended once it was too late."""
    account.put(lead(fields={"consent": ""}))
    account.prepare()
    account.clock.time = CREATED + timedelta(days=91)
    account.put(changed(lead(), fields={"consent": "oui"}))
    account.prepare()
    (row,) = account.rows()

    assert ("expired", "window_closed", "consent_missing") == (row.state, row.reason, row.held_for)


def test_what_is_first_judged_too_late_keeps_what_would_have_held_it(account):
    """Beside one that nothing but its lateness stopped."""
    account.clock.time = CREATED + timedelta(days=91)
    account.put(lead("L-1", fields={"consent": "non"}), lead("L-2"))
    account.prepare()

    assert {"L-1": "consent_refused", "L-2": None} == {row.lead: row.held_for for row in account.rows()}


def test_what_was_to_go_out_and_expires_was_held_by_nothing(account):
    """No night was there to send it."""
    account.put(lead())
    account.prepare()
    account.clock.time = CREATED + timedelta(days=91)
    account.prepare()
    (row,) = account.rows()

    assert ("expired", "window_closed", None) == (row.state, row.reason, row.held_for)


@pytest.mark.parametrize("between", [0, 1])
def test_what_the_settings_no_longer_have_expires_as_too_late_like_any_other(account, between):
    """What held it is told beside that."""
    account.put(lead())
    account.prepare()
    account.book = rulebook(other(), rules_digest="r2")
    for _ in range(between):
        account.prepare()
    account.clock.time = CREATED + timedelta(days=91)
    account.prepare()
    (row,) = account.rows()

    assert ("expired", "window_closed", "not_configured") == (row.state, row.reason, row.held_for)


def test_what_a_surge_held_until_it_was_too_late_says_so(account):
    """Nobody let it go."""
    account.put(lead())
    account.prepare()
    with account.hold() as ledger, ledger.writing() as session:
        outbox.hold(session, Delivery, ledger.account, GOOGLE, {"sale"}, now=account.clock.now())
    account.clock.time = CREATED + timedelta(days=91)
    account.prepare()
    (row,) = account.rows()

    assert ("expired", "window_closed", "excess_volume") == (row.state, row.reason, row.held_for)


def test_consent_withdrawn_cancels_what_is_pending(account):
    """And says why."""
    account.put(lead())
    account.prepare()
    account.put(changed(lead(), fields={"consent": "non"}))
    account.prepare()

    assert [("pending", "due"), ("cancelled", "consent_withdrawn")] == account.causes("L-1")


def test_a_cancelled_conversion_returns_only_when_its_stage_is_entered_again(account):
    """Consent given again alone does not bring it back."""
    account.put(lead())
    account.prepare()
    for consent in ("non", "oui"):
        account.put(changed(lead(), fields={"consent": consent}, updated_at=NIGHT))
        account.prepare()
    before = account.states
    again = (*lead().history, StatusEntry("Perdu", Moment(WON + DAY)), StatusEntry("Gagné", Moment(NIGHT)))
    account.put(changed(lead(), history=again))
    account.prepare()

    assert ({"L-1": "cancelled"}, {"L-1": "pending"}) == (before, account.states)
    assert [NIGHT] == [row.at for row in account.rows()]


def test_won_lost_won_is_one_conversion(account):
    """At the first time."""
    again = (*lead().history, StatusEntry("Perdu", Moment(WON + DAY)), StatusEntry("Gagné", Moment(NIGHT)))
    account.put(lead(history=again))
    account.prepare()

    assert [WON] == [row.at for row in account.rows()]


def rejected(account, kind=OutcomeClass.FIX_DATA, some=None):
    """A sale the platform refused."""
    account.sink.asynchronous = False
    account.sink.verdict = lambda _event: Outcome(kind, "BAD")
    account.put(some or lead())
    account.night()


def test_a_rejected_delivery_is_sent_again_only_with_other_data(account):
    """Under the same key; a change that does not reach the event changes nothing."""
    account.book = rulebook(route(field_value=from_field()))
    rejected(account)
    account.put(changed(lead(), updated_at=NIGHT))
    account.night()
    same = len(account.sink.calls)
    account.put(changed(lead(), fields={"consent": "oui", "amount": Decimal(1200)}))
    account.night()
    keys = [call.keys for call in account.sink.calls]

    assert (1, 2) == (same, len(keys))
    assert keys[0] == keys[1]


def test_a_dropped_delivery_is_never_sent_again(account):
    """Whatever changes."""
    account.book = rulebook(route(field_value=from_field()))
    rejected(account, OutcomeClass.DROP)
    account.put(changed(lead(), fields={"consent": "oui", "amount": Decimal(1200)}))
    account.night()

    assert 1 == len(account.sink.calls)


def test_contact_hashes_stay_only_for_what_is_still_to_be_sent(account):
    """Accepted, expired, cancelled: erased with the next plan. What is submitted may still come back."""
    account.book = rulebook(route(attach_contact=True))
    misdated = (StatusEntry("Gagné", Moment(CREATED - DAY)),)
    account.put(lead("L-1"), lead("L-2", label="Nouveau", history=()), lead("L-3", history=misdated))
    account.prepare()
    before = account.hashed
    account.deliver()
    account.prepare()
    submitted = account.hashed
    account.clock.time += timedelta(hours=1)
    account.resolve()
    account.prepare()

    assert ({"L-1", "L-3"}, {"L-1", "L-3"}, {"L-3"}) == (before, submitted, account.hashed)


def test_a_click_id_is_erased_when_its_window_has_closed(account):
    """And does not come back as a new one."""
    account.put(lead())
    account.prepare()
    account.clock.time = CREATED + timedelta(days=90, seconds=1)
    account.put(changed(lead(), updated_at=account.clock.now()))
    account.prepare()
    account.prepare()

    assert b"gclid-of-L-1" not in account.path.read_bytes()
    assert {"L-1": "expired"} == account.states


def two_destinations(account):
    """The sale goes to two destinations, each with contact data; the second has no click window left to speak of."""
    account.sinks["second"] = FakeSink(asynchronous=False)
    account.book = rulebook(
        route(attach_contact=True),
        route(attach_contact=True, destination="second", click_window=timedelta(days=40), field_value=from_field()),
    )


def test_erasing_hashes_does_not_send_a_rejected_delivery_again(account):
    """The same lead is judged again for another destination's sake; nothing of its data has changed."""
    two_destinations(account)
    rejected(account, some=lead(fields={"consent": "oui"}))
    account.clock.time += DAY
    account.night()
    sent = len(account.sink.calls)
    account.clock.time = CREATED + timedelta(days=41)
    account.night()

    assert sent == len(account.sink.calls)


def test_each_destination_has_its_own_delivery_and_key(account):
    """One conversion, two places."""
    two_destinations(account)
    account.put(lead())
    account.prepare()
    rows = account.rows()

    assert [GOOGLE, "second"] == [row.destination for row in rows]
    assert 2 == len({row.key for row in rows})
