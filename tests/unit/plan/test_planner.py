"""Planning adopts changed settings, and judges leads again only if they or the rules have changed."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.records import ClickId, ClickIdKind, Moment, Outcome, OutcomeClass, StatusEntry
from jobs.ledger.outbox import backfill_and_retry, outbox
from jobs.ledger.report import queries
from jobs.rules.reasons import Reason
from jobs.run_context import SyncMode
from tests.builders import CREATED, GOOGLE, START, TARGET, WON, changed, from_field, lead, route, rulebook
from tests.fakes import NIGHT, FakeSink

DAY = timedelta(days=1)


def other():
    """Return a conversion that no lead of these tests reaches."""
    return route("quote", target=replace(TARGET, action="5"), labels=frozenset({"devis"}))


def test_unchanged_lead_is_not_planned_again(account):
    """The cost of a night depends only on what changed."""
    account.put(lead("L-1"), lead("L-2"))
    first = account.prepare()
    account.put(changed(lead("L-2"), label="Perdu"))

    assert (2, 1, 0) == (first.leads, account.prepare().leads, account.prepare().leads)


def test_changed_rules_have_every_lead_planned_again(account):
    """The leads are not read again if nothing more needs to be known of them."""
    account.put(lead("L-1"), lead("L-2"))
    account.prepare()
    account.book = rulebook(route(fixed_value=Decimal(60)), rules_digest="r2")

    assert 2 == account.prepare().leads
    assert ["L-1", "L-2"] == account.source.read_whole


def test_changed_extraction_has_every_lead_read_again(account):
    """Reading starts at the beginning, whatever the cursor is."""
    account.sync_window = replace(account.sync_window, style=SyncMode.SINCE)
    account.put(lead())
    account.prepare()
    account.book = rulebook(extraction_digest="e2")
    account.prepare()

    assert ["L-1", "L-1"] == account.source.read_whole
    assert [(None, None), (None, None)] == account.source.calls


def test_rules_that_may_need_contact_data_have_leads_read_again(account):
    """Unneeded contact hashes were erased."""
    account.book = rulebook(route(attach_contact=True))
    account.put(lead())
    account.prepare()
    account.book = rulebook(route(attach_contact=True, fixed_value=Decimal(1)), rules_digest="r2")
    account.prepare()

    assert ["L-1", "L-1"] == account.source.read_whole


def test_new_extraction_during_an_interrupted_reading_starts_over(account):
    """The first pages were read under the old settings."""
    account.source.page = 1
    account.put(lead("L-1"), lead("L-2"))
    account.source.fails = {1: RuntimeError("the machine went down")}
    with pytest.raises(RuntimeError):
        account.prepare()
    account.book = rulebook(extraction_digest="e2")
    account.prepare()

    assert ["L-1", "L-1", "L-2"] == account.source.read_whole


def test_delivery_removed_from_the_settings_is_withheld(account):
    """The removal may be a mistake, and restoring the settings makes it pending again."""
    account.put(lead())
    account.prepare()
    account.book = rulebook(other(), rules_digest="r2")
    account.prepare()
    kept = (account.states, account.reasons)
    account.book = rulebook(rules_digest="r3")
    account.prepare()

    assert ({"L-1": "withheld"}, {"L-1": "not_configured"}) == kept
    assert {"L-1": "pending"} == account.states


def test_delivery_removed_from_the_settings_expires_with_its_window(account):
    """Until then it is withheld."""
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
def test_pending_delivery_excluded_by_new_rules_is_withheld(account, over, reason):
    """A new condition or a later start keeps it on record."""
    account.put(lead())
    account.prepare()
    account.book = rulebook(route(**over), rules_digest="r2", since={"sale": START if over else NIGHT})
    account.prepare()

    assert ({"L-1": "withheld"}, {"L-1": reason}) == (account.states, account.reasons)


def test_earlier_start_revives_skipped_conversions(account):
    """A new rules digest has them planned again."""
    account.book = rulebook(since={"sale": NIGHT})
    account.put(lead())
    account.prepare()
    before = account.states
    account.book = rulebook(rules_digest="r2")
    account.prepare()

    assert ({"L-1": "skipped"}, {"L-1": "pending"}) == (before, account.states)


def test_withheld_delivery_is_released_once_its_cause_is_fixed(account):
    """No command is needed."""
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
    """Return a lead with a click id of each of these kinds, dated at its creation."""
    return lead(click_ids=tuple(ClickId(kind, f"of {kind}", CREATED) for kind in kinds))


BY_ANOTHERS, BY_OURS = clicked(ClickIdKind.FBCLID), clicked(ClickIdKind.GCLID)


def test_lead_with_another_platforms_click_id_has_no_delivery(account):
    """It is sent like any other once it has a click id of this platform."""
    account.put(BY_ANOTHERS)
    account.prepare()
    before = account.rows()
    account.put(BY_OURS)
    account.prepare()

    assert ([], {"L-1": "pending"}) == (before, account.states)


def test_delivery_without_click_id_is_skipped_if_another_platforms_appears(account):
    """It is no longer counted as a candidate, and a click id of this platform makes it pending."""
    stood = []
    for found in (clicked(), BY_ANOTHERS, BY_OURS):
        account.put(found)
        account.prepare()
        stood.append((account.states["L-1"], account.reasons["L-1"]))
    with account.hold() as ledger, ledger.read_transaction() as session:
        begun = list(queries.conversions_qualified_before_run(session, ledger.account, run=ledger.run, since=START))

    assert [("withheld", "no_click_id"), ("skipped", "another_platform"), ("pending", "due")] == stood
    assert 1 == len(begun)


def test_another_platforms_lead_raises_no_anomaly(account):
    """It counts neither as withheld nor as qualified, and a backfill does not pick it."""
    for found in (clicked(), BY_ANOTHERS):
        account.put(found)
        account.prepare()
    asked = backfill_and_retry.BackfillRequest(START, NIGHT)
    with account.hold() as ledger, ledger.read_transaction() as session:
        begun = list(queries.conversions_qualified_before_run(session, ledger.account, run=ledger.run, since=START))
        skipped = backfill_and_retry.skipped_before_start(session, ledger.account, asked, after=None, limit=9)

    assert ([], []) == (begun, skipped)


def test_audience_all_includes_another_platforms_leads(account):
    """Without `audience: all` the lead is skipped again."""
    account.put(BY_ANOTHERS)
    states = []
    for digest, everybody in (("r1", False), ("r2", True), ("r3", False)):
        account.book = rulebook(route(contact_only=everybody), rules_digest=digest)
        account.prepare()
        states.append(account.states)

    assert [{}, {"L-1": "pending"}, {"L-1": "skipped"}] == states


def test_withheld_delivery_expires_when_its_window_closes(account):
    """Its lead has not changed."""
    account.put(lead(fields={"consent": ""}))
    account.prepare()
    account.clock.time = CREATED + timedelta(days=90)
    account.prepare()
    before = account.states
    account.clock.time += timedelta(seconds=1)
    account.prepare()

    assert ({"L-1": "withheld"}, {"L-1": "expired"}) == (before, account.states)


def test_expired_delivery_keeps_why_it_was_withheld(account):
    """The reason stays even if its cause is fixed after the window has closed."""
    account.put(lead(fields={"consent": ""}))
    account.prepare()
    account.clock.time = CREATED + timedelta(days=91)
    account.put(changed(lead(), fields={"consent": "oui"}))
    account.prepare()
    (row,) = account.rows()

    assert ("expired", "window_closed", "consent_missing") == (row.state, row.reason, row.held_for)


def test_delivery_planned_too_late_records_what_would_have_withheld_it(account):
    """A delivery that was only late records no such reason."""
    account.clock.time = CREATED + timedelta(days=91)
    account.put(lead("L-1", fields={"consent": "non"}), lead("L-2"))
    account.prepare()

    assert {"L-1": "consent_refused", "L-2": None} == {row.lead: row.held_for for row in account.rows()}


def test_expired_pending_delivery_records_no_withheld_reason(account):
    """No night ran in time to send it."""
    account.put(lead())
    account.prepare()
    account.clock.time = CREATED + timedelta(days=91)
    account.prepare()
    (row,) = account.rows()

    assert ("expired", "window_closed", None) == (row.state, row.reason, row.held_for)


@pytest.mark.parametrize("between", [0, 1])
def test_delivery_removed_from_the_settings_expires_as_window_closed(account, between):
    """The removal is recorded as what withheld it."""
    account.put(lead())
    account.prepare()
    account.book = rulebook(other(), rules_digest="r2")
    for _ in range(between):
        account.prepare()
    account.clock.time = CREATED + timedelta(days=91)
    account.prepare()
    (row,) = account.rows()

    assert ("expired", "window_closed", "not_configured") == (row.state, row.reason, row.held_for)


def test_delivery_held_by_the_volume_guard_until_expiry_says_so(account):
    """Nobody approved it in time."""
    account.put(lead())
    account.prepare()
    with account.hold() as ledger, ledger.write_transaction() as session:
        new = outbox.DueFilter(
            account=ledger.account, destination=GOOGLE, now=account.clock.now(), conversions={"sale"}
        )
        outbox.hold_volume_guarded(session, new, Reason.EXCESS_VOLUME)
    account.clock.time = CREATED + timedelta(days=91)
    account.prepare()
    (row,) = account.rows()

    assert ("expired", "window_closed", "excess_volume") == (row.state, row.reason, row.held_for)


def test_withdrawn_consent_cancels_a_pending_delivery(account):
    """The reason is recorded."""
    account.put(lead())
    account.prepare()
    account.put(changed(lead(), fields={"consent": "non"}))
    account.prepare()

    assert [("pending", "due"), ("cancelled", "consent_withdrawn")] == account.causes("L-1")


def test_cancelled_conversion_returns_only_if_its_stage_is_entered_again(account):
    """Consent given again is not enough."""
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


def test_won_lost_and_won_again_is_one_conversion(account):
    """It keeps the time of the first entry."""
    again = (*lead().history, StatusEntry("Perdu", Moment(WON + DAY)), StatusEntry("Gagné", Moment(NIGHT)))
    account.put(lead(history=again))
    account.prepare()

    assert [WON] == [row.at for row in account.rows()]


def rejected(account, kind=OutcomeClass.FIX_DATA, some=None):
    """Run a night in which the platform refuses the sale."""
    account.sink.asynchronous = False
    account.sink.verdict = lambda _event: Outcome(kind, "BAD")
    account.put(some or lead())
    account.night()


def test_rejected_delivery_is_sent_again_only_with_changed_data(account):
    """It keeps its key, and a change that does not affect the event is ignored."""
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


def test_rejected_delivery_that_cannot_be_encoded_costs_the_other_platform_nothing(account, monkeypatch):
    """It stays as it is, the other platform is sent what is due, and the end is 70."""
    account.sinks["second"] = second = FakeSink()
    account.book = rulebook(route(), route(destination="second", target=replace(TARGET, owner="999")))
    rejected(account)
    account.put(changed(lead(), updated_at=NIGHT), lead("L-3"))
    before = len(second.calls)

    def fail(_event):
        raise KeyError("a value that must not be shown")

    monkeypatch.setattr(account.sink, "encode", fail)
    summary = account.night()
    rows = {(row.lead, row.destination): row.state for row in account.rows()}

    assert (70, before + 1) == (summary.exit_code, len(second.calls))
    assert ["KeyError"] == summary.planned.faults
    assert ("rejected", "submitted") == (rows["L-1", GOOGLE], rows["L-3", "second"])


def test_dropped_delivery_is_never_sent_again(account):
    """No change of its lead matters."""
    account.book = rulebook(route(field_value=from_field()))
    rejected(account, OutcomeClass.DROP)
    account.put(changed(lead(), fields={"consent": "oui", "amount": Decimal(1200)}))
    account.night()

    assert 1 == len(account.sink.calls)


def test_contact_hashes_are_kept_only_for_unsettled_deliveries(account):
    """The next plan erases those of settled ones; a submitted delivery may still become pending again."""
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


def test_contact_hashes_are_erased_in_the_night_that_settles_what_used_them(account):
    """Those of other leads, which nothing moved, are left to what still needs them."""
    account.sink = account.sinks[GOOGLE] = FakeSink(asynchronous=False)
    account.book = rulebook(route(attach_contact=True))
    account.put(lead("waits", history=(StatusEntry("Gagné", Moment(CREATED - DAY)),)))
    account.night()
    account.put(lead("goes"))
    account.night()

    assert {"goes": "accepted", "waits": "withheld"} == account.states
    assert {"waits"} == account.hashed


def test_click_id_is_erased_when_its_window_closes(account):
    """It does not return as a new one."""
    account.put(lead())
    account.prepare()
    account.clock.time = CREATED + timedelta(days=90, seconds=1)
    account.put(changed(lead(), updated_at=account.clock.now()))
    account.prepare()
    account.prepare()

    assert b"gclid-of-L-1" not in account.state.contents()
    assert {"L-1": "expired"} == account.states


def two_destinations(account):
    """Send sales to two destinations, each with contact data; the second has a short click window."""
    account.sinks["second"] = FakeSink(asynchronous=False)
    account.book = rulebook(
        route(attach_contact=True),
        route(attach_contact=True, destination="second", click_window=timedelta(days=40), field_value=from_field()),
    )


def test_erasing_contact_hashes_does_not_resend_a_rejected_delivery(account):
    """The lead is planned again for another destination, but its own data have not changed."""
    two_destinations(account)
    rejected(account, some=lead(fields={"consent": "oui"}))
    account.clock.time += DAY
    account.night()
    sent = len(account.sink.calls)
    account.clock.time = CREATED + timedelta(days=41)
    account.night()

    assert sent == len(account.sink.calls)


def test_each_destination_has_its_own_delivery_and_key(account):
    """A single conversion goes to both."""
    two_destinations(account)
    account.put(lead())
    account.prepare()
    rows = account.rows()

    assert [GOOGLE, "second"] == [row.destination for row in rows]
    assert 2 == len({row.key for row in rows})
