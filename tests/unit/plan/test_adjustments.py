"""Corrections of accepted conversions, night after night: each is sent once, in order, with the right content."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlmodel import select

from connectors.records import Moment, OutcomeClass, StatusEntry
from jobs.ledger.outbox import outbox, requests
from jobs.ledger.schema import Delivery, LeadRow
from jobs.plan.planner import plan
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.model import UndoRule
from jobs.rules.reasons import Reason
from tests import fakes, suite
from tests.builders import CREATED, TARGET, WON, changed, from_field, lead, read, route, rulebook, stops
from tests.fakes import LIMITS, NIGHT, Crash

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
LOST_ON = NIGHT + DAY / 2
"""Half a day after the first night."""
BY_ADS_API = replace(TARGET, transport="google_ads_api")
TOO_SOON = fakes.Outcome(OutcomeClass.DEFER, "TOO_RECENT_CONVERSION")
NOT_FOUND = fakes.Outcome(OutcomeClass.DEFER, "CONVERSION_NOT_FOUND", final_after=DAY)
UNDO = UndoRule(frozenset({"perdu"}), 3 * DAY)


def sale(**over):
    """Return a sale with the lead's amount, undone by `perdu`."""
    return route(**({"field_value": from_field(), "undo": UNDO, "target": BY_ADS_API} | over))


@pytest.fixture
def sold(account):
    """Return a function that sells for 1,000 €, accepted on the first night by the Google Ads API."""

    def sell(**over):
        account.book = rulebook(sale(**over))
        account.sink.asynchronous = over.get("target", BY_ADS_API).transport == "data_manager"
        account.put(lead())
        account.night()
        account.clock.time += timedelta(hours=1)
        account.night()
        assert {"L-1": "accepted"} == account.states
        return account

    return sell


def goes(account, *steps, **over):
    """Move the lead through these steps after it was won; the last step is its current status."""
    history = (StatusEntry("Nouveau", Moment(CREATED)), StatusEntry("Gagné", Moment(WON)))
    later = tuple(StatusEntry(label, Moment(at)) for label, at in steps)
    label = later[-1].label if later else "Gagné"
    account.put(changed(lead(), history=(*history, *later), label=label, **over))


def nights(account, count=1):
    """Run this many further nights."""
    for _ in range(count):
        account.clock.time += DAY
        account.night()


def corrections(account):
    """Return kind, value, cause, state and reason of every correction, in order."""
    return [(row.kind, row.value, row.cause, row.state, row.reason) for row in account.corrections()]


def many(account, count):
    """Sell this many further leads over two nights."""
    others = [lead(f"L-{number}") for number in range(2, count + 2)]
    for group in (others[: count // 2], others[count // 2 :]):
        account.put(*group)
        nights(account)
    assert {"accepted"} == set(account.states.values())
    return others


def key(account, occurrence=1):
    """Return the key of an occurrence of the sale."""
    return next(row.key for row in account.rows() if row.occurrence == occurrence)


def test_lost_sale_is_retracted_after_three_days(sold):
    """Until then the retraction waits as a pending row, and it is sent once."""
    account = sold()
    goes(account, ("Perdu", LOST_ON))
    nights(account)

    assert [("retraction", None, "undone", "pending", "may_come_back")] == corrections(account)

    nights(account, 4)

    assert [("retraction", None, "undone", "accepted", None)] == corrections(account)
    assert {key(account)} == account.sink.retracted
    assert 1 == len(account.sink.corrections)


def test_retraction_is_cancelled_if_the_sale_is_won_again(sold):
    """Nothing is sent."""
    account = sold()
    goes(account, ("Perdu", LOST_ON))
    nights(account)
    goes(account, ("Perdu", LOST_ON), ("Gagné", LOST_ON + DAY))
    nights(account, 3)

    assert [("retraction", None, "undone", "cancelled", "stands_again")] == corrections(account)
    assert [] == account.sink.corrections


def test_correction_is_dated_at_least_a_second_after_its_conversion(sold):
    """A platform refuses a correction that is not later, even for a sale lost in the second it was won."""
    account = sold()
    goes(account, ("Perdu", WON + timedelta(milliseconds=1)))
    nights(account, 2)

    assert [WON + timedelta(seconds=1)] == [row.at for row in account.corrections()]


def test_sale_won_again_after_its_retraction_is_a_second_conversion(sold):
    """It has its own key and time, and is retracted by itself when lost again."""
    account = sold()
    goes(account, ("Perdu", LOST_ON))
    nights(account, 4)
    again = LOST_ON + 4 * DAY
    goes(account, ("Perdu", LOST_ON), ("Gagné", again))
    nights(account, 2)

    first, second = account.rows()
    assert [(1, "accepted", WON), (2, "accepted", again)] == [
        (row.occurrence, row.state, row.at) for row in (first, second)
    ]
    assert {first.key: 0, second.key: 1} == dict(account.sink.counted)

    goes(account, ("Perdu", LOST_ON), ("Gagné", again), ("Perdu", again + DAY))
    nights(account, 4)

    assert {first.key, second.key} == account.sink.retracted
    assert [1, 1] == [row.number for row in account.corrections()]


def test_value_is_restated_to_zero_and_back_without_retractions(sold):
    """The Data Manager receives the same key with 0, and later with the amount."""
    account = sold(target=TARGET)
    goes(account, ("Perdu", LOST_ON))
    nights(account, 5)

    assert {key(account): "0"} == account.sink.values

    goes(account, ("Perdu", LOST_ON), ("Gagné", LOST_ON + 5 * DAY))
    nights(account, 2)

    assert [
        ("restatement", "0.00", "undone", "accepted", None),
        ("restatement", "1000.00", "won_again", "accepted", None),
    ] == (corrections(account))
    assert {key(account): "1000.00"} == account.sink.values
    assert {key(account): 1} == dict(account.sink.counted)


def test_undo_via_retracts_by_another_transport(sold):
    """`undo_via` corrects what the Data Manager sent."""
    account = sold(target=TARGET, undo=replace(UNDO, via="google_ads_api"))
    goes(account, ("Perdu", LOST_ON))
    nights(account, 4)

    assert ["google_ads_api"] == [call.target.transport for call in account.sink.corrections]
    assert {key(account)} == account.sink.retracted


@pytest.mark.parametrize("target", [TARGET, BY_ADS_API], ids=lambda target: target.transport)
def test_changed_amount_is_restated(sold, target):
    """The value goes from 1,000 to 1,200, to 1,210 (too small a change) and to 1,400."""
    account = sold(target=target)
    for amount in (1200, 1210, 1400):
        goes(account, fields={"consent": "oui", "amount": Decimal(amount)})
        nights(account, 2)

    assert ["1200.00", "1400.00"] == [row.value for row in account.corrections()]
    assert {"accepted"} == {row.state for row in account.corrections()}
    assert {key(account): "1400.00"} == account.sink.values


def test_correction_is_skipped_if_the_platform_supports_none(sold):
    """It is recorded once, and no call is made."""
    account = sold(limits=replace(LIMITS, corrects={}))
    account.sink.limits = replace(LIMITS, corrects={})
    goes(account, ("Perdu", LOST_ON))
    nights(account, 5)

    assert [("retraction", None, "undone", "skipped", "not_undoable")] == corrections(account)


def test_skipped_retraction_is_sent_once_the_settings_allow_it(sold):
    """A new rules digest has it planned again."""
    account = sold(limits=replace(LIMITS, corrects={}))
    goes(account, ("Perdu", LOST_ON))
    nights(account, 4)
    account.book = rulebook(sale(), rules_digest="r2")
    nights(account)

    assert [("retraction", None, "undone", "accepted", None)] == corrections(account)


def test_correction_expires_after_54_days(sold):
    """The time counts from the conversion, not from the click."""
    account = sold()
    account.clock.time = WON + 55 * DAY
    goes(account, ("Perdu", WON + 50 * DAY))
    nights(account)

    assert [("retraction", None, "undone", "expired", "too_late_to_correct")] == corrections(account)


def test_rejected_conversion_is_not_corrected(account):
    """There is nothing to retract."""
    account.book = rulebook(sale())
    account.sink.asynchronous = False
    account.sink.verdict = lambda _: fakes.Outcome(OutcomeClass.DROP, "NO")
    account.put(lead(), lead("L-2"))
    account.night()
    goes(account, ("Perdu", LOST_ON))
    nights(account, 4)

    assert [] == corrections(account)


def test_sale_lost_before_sending_is_cancelled(account):
    """It was still waiting for its amount; won again, it is sent once for the later entry."""
    account.book = rulebook(sale(field_value=from_field(otherwise=Decimal(900), wait=7 * DAY)))
    account.sink.asynchronous = False
    account.put(changed(lead(), fields={"consent": "oui", "amount": ""}))
    account.night()

    assert [("pending", "value_awaited")] == [(row.state, row.reason) for row in account.rows()]

    goes(account, ("Perdu", LOST_ON), fields={"consent": "oui", "amount": ""})
    nights(account)

    assert [("pending", "may_come_back")] == [(row.state, row.reason) for row in account.rows()]

    nights(account, 3)

    assert [("cancelled", "undone")] == [(row.state, row.reason) for row in account.rows()]

    account.clock.time += DAY
    nights(account)

    assert [] == account.sink.calls

    again = LOST_ON + 6 * DAY
    goes(account, ("Perdu", LOST_ON), ("Gagné", again))
    nights(account, 2)

    assert [("accepted", again)] == [(row.state, row.at) for row in account.rows()]
    assert [1] == list(account.sink.counted.values())


def test_sale_already_lost_when_first_read_is_recorded_as_cancelled(account):
    """It is never sent."""
    account.book = rulebook(sale())
    goes(account, ("Perdu", WON + timedelta(hours=1)))
    account.clock.time = WON + 5 * DAY
    account.night()

    assert [("cancelled", "undone")] == [(row.state, row.reason) for row in account.rows()]
    assert [] == account.sink.calls


DEATHS = {"before the call": fakes.crash_before, "after the platform took it": fakes.crash_after}


@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS)
@pytest.mark.parametrize(
    "target", suite.mostly_exhaustive([TARGET, BY_ADS_API], BY_ADS_API), ids=lambda target: target.transport
)
def test_crash_while_correcting_sends_one_correction(sold, target, death):
    """The next run replays the same bytes, whatever the amount is by then."""
    account = sold(target=target)
    goes(account, fields={"consent": "oui", "amount": Decimal(1200)})
    account.sink.adjust_script.append(death)
    account.clock.time += DAY
    with pytest.raises(Crash):
        account.night()
    goes(account, fields={"consent": "oui", "amount": Decimal(2000)})
    nights(account)

    first, second = account.sink.corrections[:2]
    assert first.events == second.events

    nights(account, 2)

    assert ["1200.00", "2000.00"] == [row.value for row in account.corrections()]
    assert {"accepted"} == {row.state for row in account.corrections()}
    assert {key(account): "2000.00"} == account.sink.values
    assert {key(account): 1} == dict(account.sink.counted)


def test_correction_is_unconfirmed_after_three_lost_replays(sold):
    """No new correction follows it, and winning the sale again makes no second conversion."""
    account = sold()
    goes(account, ("Perdu", LOST_ON))
    account.sink.adjust_script.extend([fakes.lost_before] * 40)
    nights(account, 8)

    assert ["unconfirmed"] == [row.state for row in account.corrections()]

    goes(account, ("Perdu", LOST_ON), ("Gagné", LOST_ON + 9 * DAY))
    nights(account, 2)

    assert 1 == len(account.rows())


def test_correction_replays_after_the_first_are_a_night_apart(sold):
    """A failing night that is retried must not use them up."""
    account = sold()
    goes(account, ("Perdu", LOST_ON))
    nights(account, 3)
    account.sink.adjust_script.extend([fakes.lost_before] * 40)
    sent = []
    for wait in (DAY, 5 * MINUTE, 10 * MINUTE, 20 * MINUTE, DAY):
        account.clock.time += wait
        account.night()
        sent.append(len(account.sink.corrections))

    assert [5, 10, 10, 10, 15] == sent
    assert ["in_doubt"] == [row.state for row in account.corrections()]


def test_retraction_already_made_by_hand_is_accepted(sold):
    """It was made in Google Ads; a sale won again afterwards is a second conversion."""
    account = sold()
    goes(account, ("Perdu", LOST_ON))
    nights(account, 3)
    account.sink.retracted.add(key(account))
    account.sink.counted[key(account)] = 0
    nights(account)
    assert ["accepted"] == [row.state for row in account.corrections()]

    goes(account, ("Perdu", LOST_ON), ("Gagné", LOST_ON + 4 * DAY))
    nights(account, 2)

    assert ["accepted", "accepted"] == [row.state for row in account.rows()]


def test_stopped_corrections_do_not_stop_conversions(sold):
    """An interface that refuses corrections may accept conversions; the stop is reported."""
    account = sold()
    goes(account, ("Perdu", LOST_ON))
    account.sink.adjust_script.append(fakes.refuse(OutcomeClass.FIX_CONFIG, "NOT_ALLOWED"))
    account.put(lead("L-2"))
    nights(account, 3)
    account.clock.time += DAY
    account.put(lead("L-3"))
    summary = account.night()

    assert (3, {"google_ads corrections": "NOT_ALLOWED"}) == (summary.exit_code, stops(summary))
    assert {"L-1": "accepted", "L-2": "accepted", "L-3": "accepted"} == account.states
    assert ["pending"] == [row.state for row in account.corrections()]


def test_refused_corrections_are_tried_once_per_transport_and_night(sold):
    """One refusal covers all actions of that transport, and other transports still correct."""
    account = sold(undo=None)
    account.book = rulebook(
        sale(),
        sale(conversion="visit", target=replace(TARGET, action="111")),
        sale(conversion="call", target=replace(TARGET, action="222")),
        rules_digest="r2",
    )
    nights(account, 2)
    assert {"accepted"} == {row.state for row in account.rows()}
    assert 3 == len(account.rows())
    goes(account, ("Perdu", LOST_ON + 2 * DAY))
    account.sink.adjust_script.append(fakes.refuse(OutcomeClass.FIX_CONFIG, "NOT_ALLOWED"))
    nights(account, 3)
    account.clock.time += DAY
    summary = account.night()

    assert {"google_ads corrections": "NOT_ALLOWED"} == stops(summary)
    assert ["data_manager", "google_ads_api"] == [call.target.transport for call in account.sink.corrections]


def test_volume_guard_holds_an_excess_of_corrections(sold):
    """If every lead is marked as lost, bidding must not unlearn a year in one night."""
    account = sold()
    others = many(account, 55)
    for one in [lead(), *others]:
        history = (*one.history, StatusEntry("Perdu", Moment(LOST_ON)))
        account.put(changed(one, history=history, label="Perdu"))
    nights(account, 4)
    account.clock.time += DAY
    summary = account.night()

    assert {"google_ads corrections"} == set(map(str, summary.held))
    assert [] == account.sink.corrections
    assert {("pending", "excess_volume")} == {(row.state, row.reason) for row in account.corrections()}


def test_contact_hashes_are_kept_only_while_a_correction_needs_them(sold):
    """A sale matched by contact data alone is restated with the same hashes."""
    account = sold(target=TARGET, contact_only=True, attach_contact=True)
    goes(account, click_ids=(), contact=replace(lead().contact), fields={"consent": "oui", "amount": Decimal(3000)})
    account.clock.time += DAY
    account.sink.adjust_script.append(fakes.lost_before)
    account.night()
    nights(account, 3)

    assert {key(account): "3000.00"} == account.sink.values
    assert set() == account.hashed


def test_refused_consent_withholds_a_restatement(sold):
    """The Data Manager's restatement repeats the click id, so it waits until consent is given."""
    account = sold(target=TARGET)
    goes(account, fields={"consent": "non", "amount": Decimal(3000)})
    nights(account)

    assert [("restatement", "3000.00", "value_changed", "withheld", "consent_refused")] == corrections(account)

    goes(account, fields={"consent": "oui", "amount": Decimal(3000)})
    nights(account, 2)

    assert {key(account): "3000.00"} == account.sink.values


def test_unchanged_lead_is_not_marked_for_correction(sold):
    """A night without news leaves nothing to correct."""
    account = sold()
    nights(account, 2)

    assert [False] == [row.to_correct for row in account.rows(LeadRow)]


def test_planned_leads_are_checked_only_if_a_conversion_was_accepted(sold):
    """The facts and deliveries of all others, most leads of a first night, need not be loaded for it."""
    account = sold()
    account.put(lead("L-2"), changed(lead(), updated_at=account.clock.now()))
    with account.hold() as ledger:
        run = account.run(ledger)
        read(run)
        plan(run, shown_since=run.now())

    assert {"L-1": True, "L-2": False} == {row.id: row.to_correct for row in account.rows(LeadRow)}


def test_renamed_conversion_keeps_its_corrections(sold):
    """They carry the new name."""
    account = sold()
    goes(account, ("Perdu", LOST_ON))
    nights(account, 2)
    account.book = rulebook(sale(conversion="vente"), was={"vente": "sale"}, since={}, rules_digest="r2")
    nights(account, 2)

    assert {"vente"} == {row.conversion for row in (*account.corrections(), *account.rows(Delivery))}
    assert ["accepted"] == [row.state for row in account.corrections()]


def test_withdrawn_consent_stops_replays_of_a_restatement(sold):
    """The Data Manager's restatement repeats the whole conversion, so it becomes unconfirmed instead."""
    account = sold(target=TARGET)
    goes(account, fields={"consent": "oui", "amount": Decimal(3000)})
    account.sink.adjust_script.extend([fakes.lost_before] * 5)
    nights(account)
    sent = len(account.sink.corrections)
    goes(account, fields={"consent": "non", "amount": Decimal(3000)})
    nights(account, 2)

    assert sent == len(account.sink.corrections)
    (row,) = account.corrections()
    assert ("unconfirmed", "consent_withdrawn", None) == (row.state, row.reason, row.event)


def test_retraction_is_replayed_without_consent(sold):
    """It carries only the key, and no personal data."""
    account = sold()
    goes(account, ("Perdu", LOST_ON))
    nights(account, 3)
    account.sink.adjust_script.extend([fakes.lost_after] * 5)
    nights(account)
    goes(account, ("Perdu", LOST_ON), fields={"consent": "non", "amount": Decimal(1000)})
    nights(account, 2)

    assert ["accepted"] == [row.state for row in account.corrections()]


def test_refused_corrections_do_not_block_new_conversions(sold):
    """Corrections pile up at an interface that refuses them, while a new sale goes out as usual."""
    account = sold()
    others = many(account, 70)
    for group in (others[:35], others[35:]):
        for one in group:
            account.put(changed(one, fields={"consent": "oui", "amount": Decimal(5000)}))
        account.sink.adjust_script.append(fakes.refuse(OutcomeClass.FIX_CONFIG, "CLOSED"))
        nights(account)
    account.put(lead("L-new"))
    account.sink.adjust_script.append(fakes.refuse(OutcomeClass.FIX_CONFIG, "CLOSED"))
    account.clock.time += DAY
    summary = account.night()

    assert {} == summary.held
    assert "accepted" == account.states["L-new"]
    assert 70 == sum(row.state == "pending" for row in account.corrections())


def test_conversion_not_found_yet_is_corrected_later(sold):
    """A platform may not know a conversion within a day of sending; after that it never will."""
    account = sold()
    goes(account, fields={"consent": "oui", "amount": Decimal(3000)})
    account.clock.time += timedelta(hours=6)
    account.sink.adjust_script.append(fakes.answer(NOT_FOUND))
    account.night()

    assert ["pending"] == [row.state for row in account.corrections()]

    nights(account)

    assert ["accepted"] == [row.state for row in account.corrections()]

    goes(account, fields={"consent": "oui", "amount": Decimal(9000)})
    account.sink.adjust_script.append(fakes.answer(NOT_FOUND))
    nights(account)

    assert ["accepted", "rejected"] == [row.state for row in account.corrections()]


@pytest.mark.exhaustive
def test_correction_attempted_before_is_sent_during_a_surge(sold):
    """The volume guard holds only the new corrections."""
    account = sold()
    others = many(account, 80)
    richer = {"consent": "oui", "amount": Decimal(5000)}
    account.put(changed(lead(), fields=richer))
    account.sink.adjust_script.append(fakes.refuse(OutcomeClass.FIX_CONFIG, "CLOSED"))
    nights(account)
    account.put(*(changed(one, fields=richer) for one in others))
    nights(account)

    assert {("L-1", "accepted", None)} == {
        (row.lead, row.state, row.reason) for row in account.corrections() if row.lead == "L-1"
    }
    assert {("pending", "excess_volume")} == {
        (row.state, row.reason) for row in account.corrections() if row.lead != "L-1"
    }


@pytest.mark.exhaustive
def test_deferred_corrections_count_as_one_first_send(sold):
    """Repeated attempts must not make a later surge look usual."""
    account = sold()
    others = many(account, 70)
    richer = {"consent": "oui", "amount": Decimal(5000)}
    account.put(*(changed(one, fields=richer) for one in others[:20]))
    account.sink.verdict = lambda event: TOO_SOON if b'"adjusts"' in event.body else fakes.DONE
    nights(account, 3)

    with account.hold() as ledger, ledger.read_transaction() as session:
        sends = requests.first_sends_by_request(session, ledger.account, "google_ads", corrections=True, since=CREATED)
    assert [20] == [count for _, count in sends]


def test_click_window_does_not_limit_corrections(sold):
    """A correction has its own 54 days, even if the interface receives the whole conversion again."""
    account = sold(target=TARGET, click_window=WON - CREATED + 3 * DAY)
    goes(account, ("Perdu", LOST_ON))
    nights(account, 5)

    assert [("restatement", "0.00", "undone", "accepted", None)] == corrections(account)


def test_not_found_grace_day_starts_when_the_conversion_arrives(account):
    """Nights in which the platform is unreachable do not count towards it."""
    account.book = rulebook(sale())
    account.sink.asynchronous = False
    account.put(lead())
    for _ in range(3):
        account.sink.script.extend([fakes.not_sent] * 5)
        account.night()
        account.clock.time += DAY
    account.night()

    assert {"L-1": "accepted"} == account.states

    goes(account, fields={"consent": "oui", "amount": Decimal(3000)})
    account.clock.time += timedelta(hours=6)
    account.sink.adjust_script.append(fakes.answer(NOT_FOUND))
    account.night()

    assert ["pending"] == [row.state for row in account.corrections()]


def test_corrections_stop_if_no_conversion_is_found(sold):
    """Account or interface is probably wrong; everything is sent once that is fixed."""
    account = sold()
    others = many(account, 12)
    for one in [lead(), *others]:
        lost = StatusEntry("Perdu", Moment(account.clock.now()))
        account.put(changed(one, history=(*one.history, lost), label="Perdu"))
    account.sink.verdict = lambda event: NOT_FOUND if b'"adjusts"' in event.body else fakes.DONE
    nights(account, 5)

    assert {"pending"} == {row.state for row in account.corrections()}

    account.clock.time += DAY
    stopped = stops(account.night())

    assert {"google_ads corrections/987654321"} == set(stopped)

    account.sink.verdict = lambda _: fakes.DONE
    nights(account, 2)

    assert {"accepted"} == {row.state for row in account.corrections()}


def test_corrections_of_a_deleted_lead_are_cancelled(sold):
    """They would carry personal data; the contact hashes are erased too."""
    account = sold(target=TARGET, attach_contact=True)
    goes(account, ("Perdu", LOST_ON))
    account.put(lead("L-2"))
    nights(account)
    account.source.delete("L-1")
    nights(account, 4)

    assert ["cancelled"] == [row.state for row in account.corrections()]
    assert [] == account.sink.corrections
    assert "L-1" not in account.hashed


def test_repeated_duplicate_answer_stays_rejected(account):
    """The first duplicate shows that the conversion was not ours, and so does the second."""
    account.sink.asynchronous = False
    account.sink.verdict = lambda _: fakes.Outcome(OutcomeClass.DUPLICATE, "ALREADY_THERE")
    account.put(lead(), lead("L-2"))
    account.night()
    assert {"rejected"} == set(account.states.values())

    with account.hold() as ledger, ledger.write_transaction() as session:
        again = [
            outbox.DeliveryMove(row, DeliveryState.PENDING, Reason.RETRY) for row in session.exec(select(Delivery))
        ]
        outbox.change_delivery_states(session, ledger, again, now=account.clock.now())
    account.deliver()

    assert {"rejected"} == set(account.states.values())


def lost_and_sold(account):
    """Make a correction due on the same night as another lead's sale."""
    goes(account, ("Perdu", LOST_ON))
    nights(account, 3)
    account.put(lead("L-2"))


def test_unanswered_conversion_does_not_block_corrections(sold):
    """One unanswered row proves nothing about corrections."""
    account = sold()
    lost_and_sold(account)
    account.sink.script.extend([fakes.lost_before] * 40)
    account.clock.time += DAY
    summary = account.night()

    assert ["google_ads"] == list(stops(summary))
    assert [DeliveryState.ACCEPTED] == [row.state for row in account.corrections()]


def test_silent_platform_gets_only_one_correction(sold):
    """If that one gets no answer either, no more are sent."""
    account = sold()
    lost_and_sold(account)
    account.sink.script.extend([fakes.lost_before] * 40)
    account.sink.adjust_script.extend([fakes.lost_before] * 40)
    account.clock.time += DAY
    summary = account.night()

    assert ["google_ads", "google_ads corrections"] == list(stops(summary))
    assert 1 == len(account.sink.corrections)
