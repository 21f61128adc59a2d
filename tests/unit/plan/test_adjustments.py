"""Corrections of accepted conversions, night after night: each once, in order, and told truly."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlmodel import select

from connectors.records import Moment, OutcomeClass, StatusEntry
from jobs.ledger import outbox, requests
from jobs.ledger.schema import Adjustment, Delivery, LeadRow
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.model import Undo
from jobs.rules.reasons import Reason
from tests import fakes, suite
from tests.builders import CREATED, TARGET, WON, changed, from_field, lead, route, rulebook, stops
from tests.fakes import LIMITS, NIGHT, Crash

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
LOST_ON = NIGHT + DAY / 2
"""The day after the first night."""
BY_ADS_API = replace(TARGET, transport="google_ads_api")
TOO_SOON = fakes.Outcome(OutcomeClass.DEFER, "TOO_RECENT_CONVERSION")
NOT_FOUND = fakes.Outcome(OutcomeClass.DEFER, "CONVERSION_NOT_FOUND", final_after=DAY)
UNDO = Undo(frozenset({"perdu"}), 3 * DAY)


def sale(**over):
    """A sale with the lead's amount, undone by `perdu`."""
    return route(**({"field_value": from_field(), "undo": UNDO, "target": BY_ADS_API} | over))


@pytest.fixture
def sold(account):
    """An account whose sale of 1,000 € was accepted in its first night by the Google Ads API."""

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
    """The lead's way after it was won; its present status is the last step's."""
    history = (StatusEntry("Nouveau", Moment(CREATED)), StatusEntry("Gagné", Moment(WON)))
    later = tuple(StatusEntry(label, Moment(at)) for label, at in steps)
    label = later[-1].label if later else "Gagné"
    account.put(changed(lead(), history=(*history, *later), label=label, **over))


def nights(account, count=1):
    """So many further nights."""
    for _ in range(count):
        account.clock.time += DAY
        account.night()


def corrections(account):
    """Kind, value, cause, state and reason of every correction, in order."""
    return [(row.kind, row.value, row.cause, row.state, row.reason) for row in account.rows(Adjustment)]


def many(account, count):
    """So many further leads, sold in two nights."""
    others = [lead(f"L-{number}") for number in range(2, count + 2)]
    for group in (others[: count // 2], others[count // 2 :]):
        account.put(*group)
        nights(account)
    assert {"accepted"} == set(account.states.values())
    return others


def key(account, occurrence=1):
    """The key of an occurrence of the sale."""
    return next(row.key for row in account.rows() if row.occurrence == occurrence)


def test_a_lost_sale_is_taken_back_once_it_has_been_lost_for_three_days(sold):
    """It waits where everybody can see it, and goes out once."""
    account = sold()
    goes(account, ("Perdu", LOST_ON))
    nights(account)

    assert [("retraction", None, "undone", "pending", "may_come_back")] == corrections(account)

    nights(account, 5)

    assert [("retraction", None, "undone", "accepted", None)] == corrections(account)
    assert {key(account)} == account.sink.retracted
    assert 1 == len(account.sink.corrections)


def test_a_sale_that_comes_back_in_time_is_left_alone(sold):
    """What waited is called off."""
    account = sold()
    goes(account, ("Perdu", LOST_ON))
    nights(account)
    goes(account, ("Perdu", LOST_ON), ("Gagné", LOST_ON + DAY))
    nights(account, 5)

    assert [("retraction", None, "undone", "cancelled", "stands_again")] == corrections(account)
    assert [] == account.sink.corrections


def test_a_correction_is_later_than_what_it_corrects(sold):
    """Lost in the very second it was won, it is told a second later: a platform refuses a correction that is not."""
    account = sold()
    goes(account, ("Perdu", WON + timedelta(milliseconds=1)))
    nights(account, 6)

    assert [WON + timedelta(seconds=1)] == [row.at for row in account.rows(Adjustment)]


def test_won_again_after_it_was_taken_back_it_is_a_second_conversion(sold):
    """With a key and a time of its own; lost again, it is taken back for itself."""
    account = sold()
    goes(account, ("Perdu", LOST_ON))
    nights(account, 5)
    again = LOST_ON + 5 * DAY
    goes(account, ("Perdu", LOST_ON), ("Gagné", again))
    nights(account, 2)

    first, second = account.rows()
    assert [(1, "accepted", WON), (2, "accepted", again)] == [
        (row.occurrence, row.state, row.at) for row in (first, second)
    ]
    assert {first.key: 0, second.key: 1} == dict(account.sink.counted)

    goes(account, ("Perdu", LOST_ON), ("Gagné", again), ("Perdu", again + DAY))
    nights(account, 6)

    assert {first.key, second.key} == account.sink.retracted
    assert [1, 1] == [row.number for row in account.rows(Adjustment)]


def test_without_retractions_its_value_goes_and_comes_back(sold):
    """By the Data Manager: the same key with 0, and later with its amount."""
    account = sold(target=TARGET)
    goes(account, ("Perdu", LOST_ON))
    nights(account, 6)

    assert {key(account): "0"} == account.sink.values

    goes(account, ("Perdu", LOST_ON), ("Gagné", LOST_ON + 6 * DAY))
    nights(account, 2)

    assert [
        ("restatement", "0.00", "undone", "accepted", None),
        ("restatement", "1000.00", "won_again", "accepted", None),
    ] == (corrections(account))
    assert {key(account): "1000.00"} == account.sink.values
    assert {key(account): 1} == dict(account.sink.counted)


def test_another_way_takes_it_back(sold):
    """`undo_via`, for what the Data Manager carried."""
    account = sold(target=TARGET, undo=replace(UNDO, via="google_ads_api"))
    goes(account, ("Perdu", LOST_ON))
    nights(account, 6)

    assert ["google_ads_api"] == [call.target.transport for call in account.sink.corrections]
    assert {key(account)} == account.sink.retracted


@pytest.mark.parametrize("target", [TARGET, BY_ADS_API], ids=lambda target: target.transport)
def test_an_amount_that_moves_is_told_again_by_the_nights_last(sold, target):
    """From 1,000 to 1,200, to 1,210 (too little), to 1,400."""
    account = sold(target=target)
    for amount in (1200, 1210, 1400):
        goes(account, fields={"consent": "oui", "amount": Decimal(amount)})
        nights(account, 2)

    assert ["1200.00", "1400.00"] == [row.value for row in account.rows(Adjustment)]
    assert {"accepted"} == {row.state for row in account.rows(Adjustment)}
    assert {key(account): "1400.00"} == account.sink.values


def test_a_platform_that_corrects_nothing_says_so(sold):
    """On record, once, and no call is made."""
    account = sold(limits=replace(LIMITS, corrects={}))
    account.sink.limits = replace(LIMITS, corrects={})
    goes(account, ("Perdu", LOST_ON))
    nights(account, 6)

    assert [("retraction", None, "undone", "skipped", "not_undoable")] == corrections(account)


def test_a_way_that_the_settings_find_later_takes_it_back(sold):
    """What could not be taken back can be now."""
    account = sold(limits=replace(LIMITS, corrects={}))
    goes(account, ("Perdu", LOST_ON))
    nights(account, 6)
    account.book = rulebook(sale(), rules_digest="r2")
    nights(account)

    assert [("retraction", None, "undone", "accepted", None)] == corrections(account)


def test_what_is_too_old_is_not_corrected(sold):
    """54 days after the conversion, not the click."""
    account = sold()
    account.clock.time = WON + 55 * DAY
    goes(account, ("Perdu", WON + 50 * DAY))
    nights(account)

    assert [("retraction", None, "undone", "expired", "too_late_to_correct")] == corrections(account)


def test_only_what_was_accepted_is_corrected(account):
    """A sale that was refused is not taken back."""
    account.book = rulebook(sale())
    account.sink.asynchronous = False
    account.sink.verdict = lambda _: fakes.Outcome(OutcomeClass.DROP, "NO")
    account.put(lead(), lead("L-2"))
    account.night()
    goes(account, ("Perdu", LOST_ON))
    nights(account, 6)

    assert [] == corrections(account)


def test_a_sale_that_is_lost_before_it_could_be_sent_is_called_off(account):
    """It waited for its amount meanwhile; won again, it goes out once, for the later entry."""
    account.book = rulebook(sale(field_value=from_field(otherwise=Decimal(900), wait=10 * DAY)))
    account.sink.asynchronous = False
    account.put(changed(lead(), fields={"consent": "oui", "amount": ""}))
    account.night()

    assert [("pending", "value_awaited")] == [(row.state, row.reason) for row in account.rows()]

    goes(account, ("Perdu", LOST_ON), fields={"consent": "oui", "amount": ""})
    nights(account)

    assert [("pending", "may_come_back")] == [(row.state, row.reason) for row in account.rows()]

    nights(account, 4)

    assert [("cancelled", "undone")] == [(row.state, row.reason) for row in account.rows()]

    nights(account, 10)

    assert [] == account.sink.calls

    again = LOST_ON + 14 * DAY
    goes(account, ("Perdu", LOST_ON), ("Gagné", again))
    nights(account, 2)

    assert [("accepted", again)] == [(row.state, row.at) for row in account.rows()]
    assert [1] == list(account.sink.counted.values())


def test_a_sale_that_was_lost_before_anybody_looked_is_on_record(account):
    """As called off, never sent."""
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
def test_a_run_that_dies_while_correcting_corrects_once(sold, target, death):
    """The next one sends the same bytes again, whatever the amount is by then."""
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

    nights(account, 3)

    assert ["1200.00", "2000.00"] == [row.value for row in account.rows(Adjustment)]
    assert {"accepted"} == {row.state for row in account.rows(Adjustment)}
    assert {key(account): "2000.00"} == account.sink.values
    assert {key(account): 1} == dict(account.sink.counted)


def test_an_answer_that_is_lost_three_times_more_is_given_up(sold):
    """Nobody will know; nothing is told anew on top of it, and the sale is no second one either."""
    account = sold()
    goes(account, ("Perdu", LOST_ON))
    account.sink.adjust_script.extend([fakes.lost_before] * 40)
    nights(account, 10)

    assert ["unconfirmed"] == [row.state for row in account.rows(Adjustment)]

    goes(account, ("Perdu", LOST_ON), ("Gagné", LOST_ON + 11 * DAY))
    nights(account, 3)

    assert 1 == len(account.rows())


def test_replays_of_a_correction_are_a_night_apart(sold):
    """But for the first: a night that breaks and is tried again must not use them up."""
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
    assert ["in_doubt"] == [row.state for row in account.rows(Adjustment)]


def test_a_sale_that_somebody_else_took_back_is_taken_back(sold):
    """By hand in Google Ads: that is as it should be, and won again it is a second conversion."""
    account = sold()
    goes(account, ("Perdu", LOST_ON))
    nights(account, 3)
    account.sink.retracted.add(key(account))
    account.sink.counted[key(account)] = 0
    nights(account)
    assert ["accepted"] == [row.state for row in account.rows(Adjustment)]

    goes(account, ("Perdu", LOST_ON), ("Gagné", LOST_ON + 4 * DAY))
    nights(account, 2)

    assert ["accepted", "accepted"] == [row.state for row in account.rows()]


def test_a_stop_of_corrections_stops_no_conversions(sold):
    """An interface that takes no corrections may take conversions, and a human is told."""
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
    assert ["pending"] == [row.state for row in account.rows(Adjustment)]


def test_a_transport_that_takes_no_corrections_is_asked_once_a_night_for_all_its_actions(sold):
    """What goes by another one is corrected all the same."""
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


def test_far_more_corrections_than_usual_wait_for_a_human(sold):
    """Somebody marked everything lost: bidding must not unlearn the year in a night."""
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
    assert {("pending", "excess_volume")} == {(row.state, row.reason) for row in account.rows(Adjustment)}


def test_hashes_stay_while_a_correction_needs_them_and_no_longer(sold):
    """A sale known by contact data alone is told anew by them."""
    account = sold(target=TARGET, contact_only=True, attach_contact=True)
    goes(account, click_ids=(), contact=replace(lead().contact), fields={"consent": "oui", "amount": Decimal(3000)})
    account.clock.time += DAY
    account.sink.adjust_script.append(fakes.lost_before)
    account.night()
    nights(account, 3)

    assert {key(account): "3000.00"} == account.sink.values
    assert set() == account.hashed


def test_without_consent_nothing_of_the_person_goes_out_again(sold):
    """The Data Manager's correction carries the click once more; it is held, and goes out once the answer is yes."""
    account = sold(target=TARGET)
    goes(account, fields={"consent": "non", "amount": Decimal(3000)})
    nights(account)

    assert [("restatement", "3000.00", "value_changed", "withheld", "consent_refused")] == corrections(account)

    goes(account, fields={"consent": "oui", "amount": Decimal(3000)})
    nights(account, 2)

    assert {key(account): "3000.00"} == account.sink.values


def test_a_lead_is_looked_at_only_where_something_happened(sold):
    """A night without news leaves nothing to look at."""
    account = sold()
    nights(account, 2)

    assert [False] == [row.to_correct for row in account.rows(LeadRow)]


def test_the_story_of_a_renamed_conversion_stays_one(sold):
    """Its corrections carry its new name."""
    account = sold()
    goes(account, ("Perdu", LOST_ON))
    nights(account, 2)
    account.book = rulebook(sale(conversion="vente"), was={"vente": "sale"}, since={}, rules_digest="r2")
    nights(account, 4)

    assert {"vente"} == {row.conversion for row in (*account.rows(Adjustment), *account.rows(Delivery))}
    assert ["accepted"] == [row.state for row in account.rows(Adjustment)]


def test_consent_taken_back_ends_a_correction_in_doubt_that_carries_the_person(sold):
    """The Data Manager's is the whole conversion once more: after a no it is not sent again, and nobody will know."""
    account = sold(target=TARGET)
    goes(account, fields={"consent": "oui", "amount": Decimal(3000)})
    account.sink.adjust_script.extend([fakes.lost_before] * 5)
    nights(account)
    sent = len(account.sink.corrections)
    goes(account, fields={"consent": "non", "amount": Decimal(3000)})
    nights(account, 2)

    assert sent == len(account.sink.corrections)
    (row,) = account.rows(Adjustment)
    assert ("unconfirmed", "consent_withdrawn", None) == (row.state, row.reason, row.event)


def test_a_correction_that_names_the_key_alone_is_asked_for_again_whatever_the_lead_says(sold):
    """Taking a sale back tells nothing of the person."""
    account = sold()
    goes(account, ("Perdu", LOST_ON))
    nights(account, 3)
    account.sink.adjust_script.extend([fakes.lost_after] * 5)
    nights(account)
    goes(account, ("Perdu", LOST_ON), fields={"consent": "non", "amount": Decimal(1000)})
    nights(account, 2)

    assert ["accepted"] == [row.state for row in account.rows(Adjustment)]


def test_corrections_that_are_refused_every_night_hold_no_conversion_up(sold):
    """They pile up at an interface that is closed to them; a new sale goes out as ever."""
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
    assert 70 == sum(row.state == "pending" for row in account.rows(Adjustment))


def test_a_conversion_that_is_not_found_yet_is_corrected_later(sold):
    """Within a day of its sending a platform may not know it; after that it never will."""
    account = sold()
    goes(account, fields={"consent": "oui", "amount": Decimal(3000)})
    account.clock.time += timedelta(hours=6)
    account.sink.adjust_script.append(fakes.answer(NOT_FOUND))
    account.night()

    assert ["pending"] == [row.state for row in account.rows(Adjustment)]

    nights(account)

    assert ["accepted"] == [row.state for row in account.rows(Adjustment)]

    goes(account, fields={"consent": "oui", "amount": Decimal(9000)})
    account.sink.adjust_script.append(fakes.answer(NOT_FOUND))
    nights(account)

    assert ["accepted", "rejected"] == [row.state for row in account.rows(Adjustment)]


@pytest.mark.exhaustive
def test_what_was_tried_before_goes_out_beside_a_surge(sold):
    """Those held are the new ones, which say so."""
    account = sold()
    others = many(account, 80)
    richer = {"consent": "oui", "amount": Decimal(5000)}
    account.put(changed(lead(), fields=richer))
    account.sink.adjust_script.append(fakes.refuse(OutcomeClass.FIX_CONFIG, "CLOSED"))
    nights(account)
    account.put(*(changed(one, fields=richer) for one in others))
    nights(account)

    assert {("L-1", "accepted", None)} == {
        (row.lead, row.state, row.reason) for row in account.rows(Adjustment) if row.lead == "L-1"
    }
    assert {("pending", "excess_volume")} == {
        (row.state, row.reason) for row in account.rows(Adjustment) if row.lead != "L-1"
    }


@pytest.mark.exhaustive
def test_what_is_put_off_night_by_night_was_sent_once(sold):
    """Asking again and again does not make a surge of later ones seem usual."""
    account = sold()
    others = many(account, 70)
    richer = {"consent": "oui", "amount": Decimal(5000)}
    account.put(*(changed(one, fields=richer) for one in others[:20]))
    account.sink.verdict = lambda event: TOO_SOON if b'"adjusts"' in event.body else fakes.DONE
    nights(account, 3)

    with account.hold() as ledger, ledger.reading() as session:
        sends = requests.first_sends(session, Adjustment, ledger.account, "google_ads", since=CREATED)
    assert [20] == [count for _, count in sends]


def test_the_clicks_window_ends_at_the_conversion(sold):
    """What is said of it later has its own 54 days, also by an interface that is told the whole conversion again."""
    account = sold(target=TARGET, click_window=WON - CREATED + 3 * DAY)
    goes(account, ("Perdu", LOST_ON))
    nights(account, 8)

    assert [("restatement", "0.00", "undone", "accepted", None)] == corrections(account)


def test_that_day_begins_when_the_conversion_reached_its_platform(account):
    """Nights in which the platform was out of reach do not use it up."""
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

    assert ["pending"] == [row.state for row in account.rows(Adjustment)]


def test_where_nothing_is_found_the_settings_are_in_question(sold):
    """A wrong account, or another interface than the one that counted: they stop, and go out once that is mended."""
    account = sold()
    others = many(account, 12)
    for one in [lead(), *others]:
        lost = StatusEntry("Perdu", Moment(account.clock.now()))
        account.put(changed(one, history=(*one.history, lost), label="Perdu"))
    account.sink.verdict = lambda event: NOT_FOUND if b'"adjusts"' in event.body else fakes.DONE
    nights(account, 5)

    assert {"pending"} == {row.state for row in account.rows(Adjustment)}

    account.clock.time += DAY
    stopped = stops(account.night())

    assert {"google_ads corrections/987654321"} == set(stopped)

    account.sink.verdict = lambda _: fakes.DONE
    nights(account, 2)

    assert {"accepted"} == {row.state for row in account.rows(Adjustment)}


def test_nothing_of_a_lead_that_is_gone_goes_out_again(sold):
    """What waits is called off, where it carries the person; and its hashes go."""
    account = sold(target=TARGET, attach_contact=True)
    goes(account, ("Perdu", LOST_ON))
    account.put(lead("L-2"))
    nights(account)
    account.source.delete("L-1")
    nights(account, 6)

    assert ["cancelled"] == [row.state for row in account.rows(Adjustment)]
    assert [] == account.sink.corrections
    assert "L-1" not in account.hashed


def test_what_was_there_already_stays_so_however_often_it_is_sent(account):
    """The first answer that it is there already says that it was not us; so does the second."""
    account.sink.asynchronous = False
    account.sink.verdict = lambda _: fakes.Outcome(OutcomeClass.DUPLICATE, "ALREADY_THERE")
    account.put(lead(), lead("L-2"))
    account.night()
    assert {"rejected"} == set(account.states.values())

    with account.hold() as ledger, ledger.writing() as session:
        for row in session.exec(select(Delivery)):
            outbox.move(session, ledger, row, DeliveryState.PENDING, Reason.RETRY, now=account.clock.now())
    account.deliver()

    assert {"rejected"} == set(account.states.values())


def lost_and_sold(account):
    """A correction that is due on the night on which another lead's sale is."""
    goes(account, ("Perdu", LOST_ON))
    nights(account, 3)
    account.put(lead("L-2"))


def test_a_conversion_that_gets_no_answer_holds_up_no_correction(sold):
    """One row that never gets one says nothing of corrections."""
    account = sold()
    lost_and_sold(account)
    account.sink.script.extend([fakes.lost_before] * 40)
    account.clock.time += DAY
    summary = account.night()

    assert ["google_ads"] == list(stops(summary))
    assert [DeliveryState.ACCEPTED] == [row.state for row in account.rows(Adjustment)]


def test_a_platform_that_answers_no_conversion_is_asked_for_one_correction(sold):
    """Where that gets no answer either, no more go out."""
    account = sold()
    lost_and_sold(account)
    account.sink.script.extend([fakes.lost_before] * 40)
    account.sink.adjust_script.extend([fakes.lost_before] * 40)
    account.clock.time += DAY
    summary = account.night()

    assert ["google_ads", "google_ads corrections"] == list(stops(summary))
    assert 1 == len(account.sink.corrections)
