"""Forgetting in the ledger: what is under way ends for good, and nothing is sent twice for it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.records import Contact, Moment, StatusEntry
from jobs.ledger.schema import Attempt, Delivery, ForgottenLead, LeadRow, Transition
from jobs.privacy.forget import data_held_on_leads, forget_leads
from jobs.rules.model import DedupRule, DedupScope, UndoRule
from tests import fakes
from tests.builders import ACCOUNT, TARGET, changed, lead, route, rulebook
from tests.fakes import NIGHT

DAY = timedelta(days=1)
HALF_HOUR = timedelta(minutes=30)
SAME = Contact(emails=("jeanne@example.org",))


def forget(account, *names):
    """Forget leads; return what was held on each."""
    with account.hold("forget") as ledger:
        return forget_leads(
            ledger, names, now=account.clock.now(), today=account.clock.now().date(), count_by_month=lambda *_: ()
        )


def counting_once(per):
    """Return rules by which a sale counts once per click or person."""
    return rulebook(route(attach_contact=True, once=DedupRule(per, timedelta(days=30))))


def test_lead_whose_outcome_is_awaited_is_forgotten(account):
    """Nobody asks about a request that has no other row, and nothing of it waits."""
    account.put(lead("L-1"))
    account.night()
    (held,) = forget(account, "L-1")
    account.clock.time += HALF_HOUR
    done = account.resolve()

    assert ["submitted"] == [each.state for each in held.sent]
    assert (0, ["unresolved"]) == (done.asked, account.requests)
    assert [] == [*account.rows(Delivery), *account.rows(Attempt), *account.rows(Transition), *account.rows(LeadRow)]
    assert [("L-1", NIGHT.date())] == [(row.id, row.forgotten_on) for row in account.rows(ForgottenLead)]


def test_lost_answer_of_a_forgotten_lead_is_not_replayed(account):
    """What may have arrived is left as it is; the other row of the same request goes out again as before."""
    account.put(lead("L-1"), lead("L-2"))
    account.sink.script.extend([fakes.lost_before] * 10)
    account.night()
    keys = {row.lead: row.key for row in account.rows(Delivery)}
    (held,) = forget(account, "L-1")
    account.sink.script.clear()
    account.sink.calls.clear()
    account.clock.time += DAY
    account.night()

    assert ["in_doubt"] == [each.state for each in held.sent]
    assert [[keys["L-2"]]] == [call.keys for call in account.sink.calls]
    assert {keys["L-2"]: 1} == account.sink.counted


def test_row_that_a_dead_run_left_in_flight_is_not_replayed(account):
    """Its request is found open by the next run, without it."""

    def die(*_):
        raise fakes.Crash

    account.put(lead("L-1"), lead("L-2"))
    account.sink.script.append(die)
    with pytest.raises(fakes.Crash):
        account.night()
    keys = {row.lead: row.key for row in account.rows(Delivery)}
    (held,) = forget(account, "L-1")
    account.sink.calls.clear()
    account.clock.time += DAY
    account.night()

    assert ["in_flight"] == [each.state for each in held.sent]
    assert [[keys["L-2"]]] == [call.keys for call in account.sink.calls]


def test_forgotten_lead_never_goes_out(account):
    """Although Oplead still shows it night after night."""
    account.put(lead("L-1", fields={"consent": ""}), lead("L-2"))
    account.night()
    (held,) = forget(account, "L-1")
    account.put(lead("L-1"))
    account.clock.time += DAY
    account.night()

    assert (["withheld"], ()) == ([each.state for each in held.cancelled], held.sent)
    assert 1 == len(account.sink.counted)


@pytest.mark.parametrize("per", [DedupScope.CLICK, DedupScope.PERSON])
def test_duplicate_of_a_forgotten_lead_is_not_sent_in_its_place(account, per):
    """The platform has the sale already, although nothing on record says so any more."""
    account.book = counting_once(per)
    clicks = lead("L-1").click_ids
    account.put(lead("L-1", contact=SAME), lead("L-2", contact=SAME, click_ids=clicks))
    account.night()
    before = account.reasons
    forget(account, "L-1")
    for _ in range(2):
        account.clock.time += DAY
        account.night()

    assert {"L-1": None, "L-2": "counted_already"} == before
    assert {"L-2": "already_sent"} == account.reasons
    assert {None} == {row.detail for row in [*account.rows(Delivery), *account.rows(Transition)]}
    assert 1 == len(account.sink.counted)


def test_duplicate_of_a_forgotten_lead_that_was_never_sent_goes_out(account):
    """Forgetting one lead costs no other lead its conversion."""
    account.book = counting_once(DedupScope.PERSON)
    account.put(lead("L-1", contact=SAME), lead("L-2", contact=SAME))
    account.prepare()
    first = {name for name, state in account.states.items() if state == "pending"}
    forget(account, *first)
    account.clock.time += DAY
    account.night()

    assert 1 == len(first)
    assert {"submitted"} == set(account.states.values())
    assert 1 == len(account.sink.counted)


def test_duplicate_of_a_forgotten_lead_whose_sale_was_taken_back_goes_out(account):
    """The platform no longer counts the first."""
    undo, ads_api = UndoRule(frozenset({"perdu"}), DAY), replace(TARGET, transport="google_ads_api")
    per_click = DedupRule(DedupScope.CLICK, timedelta(days=30))
    account.book = rulebook(route(once=per_click, undo=undo, target=ads_api))
    account.sink.asynchronous = False
    first = lead("L-1")
    account.put(first)
    account.night()
    account.put(lead("L-2", click_ids=first.click_ids))
    lost = StatusEntry("Perdu", Moment(account.clock.now()))
    account.put(changed(first, history=(*first.history, lost), label="Perdu"))
    while not account.sink.retracted:
        account.clock.time += DAY
        account.night()
    before = account.reasons
    forget(account, "L-1")
    account.clock.time += DAY
    account.night()

    assert {"L-1": None, "L-2": "counted_already"} == before
    assert {"L-2": "accepted"} == account.states


def test_forgetting_twice_keeps_the_first_day(account):
    """And says when it was."""
    account.put(lead("L-1"))
    account.night()
    forget(account, "L-1")
    account.clock.time += DAY
    (again,) = forget(account, "L-1")

    assert (NIGHT.date(), False, (), ()) == (again.forgotten_on, again.is_known, again.sent, again.cancelled)
    assert [NIGHT.date()] == [row.forgotten_on for row in account.rows(ForgottenLead)]


def test_lead_never_read_is_not_read_later(account):
    """Somebody may be forgotten before the first night."""
    (held,) = forget(account, "L-1")
    account.put(lead("L-1"))
    summary = account.night()

    assert (False, None, 1) == (held.is_known, held.forgotten_on, summary.pulled.forgotten)
    assert [] == account.rows(LeadRow)


def test_looking_changes_nothing(account):
    """A rehearsal reads the same as forgetting reports."""
    account.put(lead("L-1"))
    account.night()
    with account.hold() as ledger, ledger.read_transaction() as session:
        looked = data_held_on_leads(session, ACCOUNT, ["L-1"])

    assert looked == forget(account, "L-1")
