"""A click or a person counts once: the first conversion is sent, and the others are withheld behind it."""

import tracemalloc
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy

from connectors.records import ClickId, ClickIdKind, Contact, Moment, Outcome, OutcomeClass, StatusEntry
from jobs.ledger.outbox.deduplication import DedupCandidates
from jobs.ledger.outbox.outbox import DeliveriesOfLeads
from jobs.ledger.schema import DedupKey
from jobs.plan.planner import LEADS_AT_ONCE, _Planner
from jobs.rules.model import DedupRule, DedupScope, UndoRule
from tests.builders import CREATED, TARGET, WON, changed, click, facts, lead, route, rulebook, starts
from tests.fakes import DONE, NIGHT

DAY = timedelta(days=1)
MONTH = 30 * DAY
BY_ADS_API = replace(TARGET, transport="google_ads_api")
SHARED = (ClickId(ClickIdKind.GCLID, "gclid-shared"),)
REFUSED = Outcome(OutcomeClass.DROP, "NO")
LATER = Outcome(OutcomeClass.UNKNOWN, "NEW_CODE")


def won(name, when=WON, **more):
    """Return a lead won at this time, with a click id that it shares with others."""
    history = (replace(lead().history[1], at=replace(lead().history[1].at, at=when)),)
    return lead(name, **{"history": history, "updated_at": when, "click_ids": SHARED} | more)


@pytest.fixture
def once(account):
    """Return an account that counts sales once per click."""
    account.book = rulebook(route(once=DedupRule(DedupScope.CLICK, MONTH)))
    return account


def test_first_conversion_of_a_shared_click_is_sent(once):
    """The withheld ones name the lead that counts."""
    once.put(won("L-1"), won("L-2", WON - DAY), won("L-3", WON + timedelta(hours=1)), lead("L-4"))
    once.night()

    assert {"L-1": "withheld", "L-2": "submitted", "L-3": "withheld", "L-4": "submitted"} == once.states
    assert {"L-1": "counted_already", "L-2": None, "L-3": "counted_already", "L-4": None} == once.reasons
    assert ["L-2", "L-2"] == [row.detail for row in once.rows() if row.reason == "counted_already"]


def test_shared_click_is_only_reported_by_default(account):
    """It is reported on the night it is first planned, and on no later one."""
    account.put(won("L-1"), won("L-2"), lead("L-3"))
    first, second = account.night(), account.night()

    assert {"submitted"} == set(account.states.values())
    assert (Counter({"sale": 2}), Counter()) == (first.planned.same_click, second.planned.same_click)
    assert [] == account.rows(DedupKey)


def test_click_of_a_sale_taken_back_is_not_reported_as_shared(account):
    """Only one of them counts."""
    account.book = rulebook(route(undo=UndoRule(frozenset({"perdu"}), DAY), target=BY_ADS_API))
    account.sink.asynchronous = False
    account.put(won("L-1"))
    nights(account, 1)
    lose(account, won("L-1"))
    nights(account, 3)
    account.put(won("L-2"))

    assert Counter() == account.night().planned.same_click
    assert {"L-1": "accepted", "L-2": "accepted"} == account.states


def test_counting_lead_does_not_depend_on_planning_order(once):
    """Leads are planned in parts by id, and the earliest conversion may be in the last part."""
    once.put(*(won(f"L-{number:03}", WON - number * timedelta(minutes=1)) for number in range(LEADS_AT_ONCE + 5)))
    once.night()
    sent = [name for name, state in once.states.items() if state == "submitted"]

    assert [f"L-{LEADS_AT_ONCE + 4:03}"] == sent


def test_sent_conversion_counts_against_all_later_ones(once):
    """This holds for later plans with earlier conversions, and before and after the outcome is known."""
    once.put(won("L-2"))
    once.night()
    once.clock.time += DAY
    once.put(won("L-1", WON - DAY))
    once.night()
    once.clock.time += DAY
    once.put(won("L-3"))
    once.night()

    assert {"L-1": "withheld", "L-2": "accepted", "L-3": "withheld"} == once.states


def test_sales_further_apart_than_within_both_count(once):
    """The limit is `within`."""
    once.put(won("L-1", CREATED + DAY), won("L-2", CREATED + 2 * DAY + MONTH))
    once.clock.time = NIGHT + 3 * DAY
    once.night()

    assert {"L-1": "submitted", "L-2": "submitted"} == once.states


def test_waiting_conversion_is_sent_if_the_first_is_rejected(once):
    """The platform does not have the first, so the sale would otherwise be lost."""
    once.sink.verdict = lambda _: REFUSED
    once.put(won("L-1"), won("L-2", WON + timedelta(hours=1)))
    once.night()
    once.clock.time += DAY
    once.sink.verdict = lambda _: DONE
    once.night()

    assert {"L-1": "rejected", "L-2": "submitted"} == once.states


def test_rejected_conversion_is_not_sent_beside_its_replacement(once):
    """Corrected in Oplead, the sale still counts through the other lead."""
    once.sink.verdict = lambda _: Outcome(OutcomeClass.FIX_DATA, "BAD")
    once.put(won("L-1"), won("L-2", WON + timedelta(hours=1)))
    once.night()
    once.clock.time += DAY
    once.sink.verdict = lambda _: DONE
    once.night()
    once.clock.time += DAY
    once.put(won("L-1", WON - DAY))
    once.night()

    assert {"L-1": "rejected", "L-2": "accepted"} == once.states


@pytest.mark.parametrize(
    ("change", "state"),
    [({"fields": {"consent": "non"}}, "cancelled"), ({"fields": {"consent": "bof"}}, "withheld")],
)
def test_waiting_conversion_is_sent_the_night_the_first_drops_out(once, change, state):
    """If the first comes back later, it gives way."""
    young = {"created_at": NIGHT - timedelta(hours=2)}
    first = won("L-1", NIGHT - timedelta(hours=1), **young)
    once.put(first, won("L-2", NIGHT - timedelta(minutes=30), **young))
    once.night()
    before = once.states
    once.clock.time += DAY
    once.put(changed(first, **change))
    once.night()
    after = once.states
    once.clock.time += DAY
    once.put(first)
    once.night()

    assert {"L-1": "pending", "L-2": "withheld"} == before
    assert {"L-1": state, "L-2": "submitted"} == after
    assert {"L-1": state, "L-2": "accepted"} == once.states


@pytest.fixture
def taken_back(account):
    """Return a function that sells L-1 by this transport, puts other leads of its click, and has L-1 lost for good."""

    def sell(*others, target=BY_ADS_API):
        undo = UndoRule(frozenset({"perdu"}), DAY)
        account.book = rulebook(route(once=DedupRule(DedupScope.CLICK, MONTH), undo=undo, target=target))
        account.sink.asynchronous = target is TARGET
        account.put(won("L-1"))
        nights(account, 2)
        account.put(*others)
        first = lose(account, won("L-1"))
        nights(account, 4)
        return first

    return sell


def lose(account, of):
    """Put a lead that is lost as of now, and return it."""
    lost = changed(of, history=(*of.history, StatusEntry("Perdu", Moment(account.clock.time))), label="Perdu")
    account.put(lost)
    return lost


def nights(account, count):
    """Run this many nights."""
    for _ in range(count):
        account.night()
        account.clock.time += DAY


def fates(account):
    """Return the occurrence, state and reason of each lead's conversions."""
    return {(row.lead, row.occurrence): (row.state, row.reason) for row in account.rows()}


def test_duplicate_is_sent_once_the_sale_before_it_is_taken_back(account, taken_back):
    """Whether it has waited behind the first or comes later, one sale counts: the first no longer does."""
    taken_back(won("L-2", WON + timedelta(hours=1)))
    account.put(won("L-3", WON + timedelta(hours=2)))
    nights(account, 2)

    assert {
        ("L-1", 1): ("accepted", None),
        ("L-2", 1): ("accepted", None),
        ("L-3", 1): ("withheld", "counted_already"),
    } == fates(account)
    assert 1 == sum(account.sink.counted.values())


def test_duplicate_of_a_sale_taken_back_is_sent(account, taken_back):
    """Nothing else holds it."""
    taken_back()
    account.put(won("L-2", WON + timedelta(hours=1)))
    nights(account, 2)

    assert ("accepted", None) == fates(account)["L-2", 1]
    assert {"L-2"} == {row.lead for row in account.rows(DedupKey)}


def test_sale_won_again_after_its_retraction_waits_behind_the_one_that_counts_now(account, taken_back):
    """The platform has the other one."""
    lost = taken_back(won("L-2", WON + timedelta(hours=1)))
    again = StatusEntry("Gagné", Moment(account.clock.time - timedelta(hours=1)))
    account.put(changed(lost, history=(*lost.history, again), label="Gagné"))
    nights(account, 3)

    assert {
        ("L-1", 1): ("accepted", None),
        ("L-1", 2): ("withheld", "counted_already"),
        ("L-2", 1): ("accepted", None),
    } == fates(account)


def test_sale_won_again_after_its_retraction_is_held_against_later_ones(account, taken_back):
    """Its second occurrence counts."""
    lost = taken_back()
    again = StatusEntry("Gagné", Moment(account.clock.time - timedelta(hours=1)))
    account.put(changed(lost, history=(*lost.history, again), label="Gagné"))
    nights(account, 2)
    account.put(won("L-2", WON + timedelta(hours=1)))
    nights(account, 2)

    assert {("L-1", 1): "accepted", ("L-1", 2): "accepted", ("L-2", 1): "withheld"} == {
        place: state for place, (state, _) in fates(account).items()
    }


def test_sale_restated_to_zero_still_holds_its_duplicates(account, taken_back):
    """A platform that cannot take it back still has the conversion, and would count another beside it."""
    taken_back(won("L-2", WON + timedelta(hours=1)), target=TARGET)
    account.put(won("L-3", WON + timedelta(hours=2)))
    nights(account, 2)

    assert ["restatement"] == [row.kind for row in account.corrections()]
    assert {"L-1": "accepted", "L-2": "withheld", "L-3": "withheld"} == account.states


def test_retraction_without_a_confirmed_outcome_still_holds_duplicates(account, taken_back):
    """The platform may count the first still."""
    account.sink.verdict = lambda event: LATER if b'"adjusts"' in event.body else DONE
    taken_back(won("L-2", WON + timedelta(hours=1)))

    assert "accepted" not in {row.state for row in account.corrections()}
    assert {"L-1": "accepted", "L-2": "withheld"} == account.states


def test_duplicates_are_not_judged_again_while_the_first_counts(once):
    """They cost a night nothing; a change of the first has both judged."""
    once.put(won("L-1"), won("L-2", WON + timedelta(hours=1)))
    once.night()
    once.clock.time += DAY
    idle = once.night()
    once.put(changed(won("L-1"), fields={"consent": "oui", "note": "x"}))
    once.clock.time += DAY
    busy = once.night()

    assert (0, 2) == (idle.planned.leads, busy.planned.leads)
    assert {"L-1": "accepted", "L-2": "withheld"} == once.states


def test_duplicate_is_released_once_the_first_is_dated_out_of_reach(account):
    """The first still counts, but at another time."""
    account.book = rulebook(route(once=DedupRule(DedupScope.CLICK, DAY)))
    account.put(won("L-1", WON - timedelta(hours=1)), won("L-2"))
    account.prepare()
    before = account.states
    account.put(won("L-1", WON - 3 * DAY))
    account.prepare()

    assert {"L-1": "pending", "L-2": "withheld"} == before
    assert {"L-1": "pending", "L-2": "pending"} == account.states


def test_deduplication_is_separate_for_each_conversion(once):
    """A click shared across two routes counts on both."""
    per_click = DedupRule(DedupScope.CLICK, MONTH)
    once.book = rulebook(route(once=per_click), route("lost", labels=frozenset({"perdu"}), once=per_click))
    once.put(won("L-1"), won("L-2", label="Perdu", history=()))
    once.night()

    assert {("L-1", "sale", "submitted"), ("L-2", "lost", "submitted")} == {
        (row.lead, row.conversion, row.state) for row in once.rows()
    }


def test_person_is_deduplicated_by_email(account):
    """The deduplication key outlives the contact hashes, which are erased after sending."""
    account.book = rulebook(route(once=DedupRule(DedupScope.PERSON, MONTH), attach_contact=True))
    contact = Contact(emails=("jeanne@example.org",))
    account.put(lead("L-1", contact=contact))
    account.night()
    account.clock.time += DAY
    account.night()
    account.clock.time += DAY
    hashed = account.hashed
    account.put(lead("L-2", contact=contact), lead("L-3"))
    account.night()

    assert set() == hashed
    assert {"L-1": "accepted", "L-2": "withheld", "L-3": "submitted"} == account.states


def test_person_is_recognised_by_old_and_new_email(account):
    """The sent conversion carried the old address."""
    account.book = rulebook(route(once=DedupRule(DedupScope.PERSON, MONTH), attach_contact=True))
    old = lead("L-1", contact=Contact(emails=("jeanne@example.org",)))
    account.put(old)
    account.night()
    account.clock.time += DAY
    account.put(changed(old, contact=Contact(emails=("durand@example.org",))))
    account.put(lead("L-2", contact=Contact(emails=("jeanne@example.org",))))
    account.put(lead("L-3", contact=Contact(emails=("durand@example.org",))))
    account.night()

    assert {"L-1": "accepted", "L-2": "withheld", "L-3": "withheld"} == account.states


def test_deduplication_enabled_later_covers_earlier_conversions(account):
    """New rules have every lead planned again."""
    account.put(won("L-1"))
    account.night()
    account.clock.time += DAY
    account.night()
    account.book = replace(rulebook(route(once=DedupRule(DedupScope.CLICK, MONTH))), rules_digest="r2")
    account.put(won("L-2", WON - DAY))
    account.night()

    assert {"L-1": "accepted", "L-2": "withheld"} == account.states


def test_deduplication_enabled_later_withholds_pending_duplicates(account):
    """The earlier conversion stays pending."""
    young = {"created_at": NIGHT - timedelta(hours=2)}
    account.put(won("L-1", NIGHT - timedelta(minutes=30), **young), won("L-2", NIGHT - timedelta(hours=1), **young))
    account.night()
    account.book = replace(rulebook(route(once=DedupRule(DedupScope.CLICK, MONTH))), rules_digest="r2")
    account.night()

    assert {"L-1": "withheld", "L-2": "pending"} == account.states


def test_deduplication_keys_are_erased_after_their_window(once):
    """No later sale could be a duplicate by then."""
    once.put(won("L-1"))
    once.night()
    kept = {row.lead for row in once.rows(DedupKey)}
    once.clock.time = WON + MONTH + 91 * DAY
    once.night()

    assert ({"L-1"}, []) == (kept, once.rows(DedupKey))


def test_deduplication_keys_are_erased_with_the_setting(once):
    """Personal data is kept to a minimum."""
    once.put(won("L-1"))
    once.night()
    once.book = replace(rulebook(), rules_digest="r2")
    once.night()

    assert [] == once.rows(DedupKey)


def test_renamed_conversion_keeps_its_deduplication_keys(once):
    """Its sales are the same sales."""
    once.put(won("L-1"))
    once.night()
    once.clock.time += DAY
    once.book = replace(
        rulebook(route("vente", once=DedupRule(DedupScope.CLICK, MONTH))), was={"vente": "sale"}, rules_digest="r2"
    )
    once.put(won("L-2"))
    once.night()

    assert "withheld" == once.states["L-2"]


def held_at_most(account, count):
    """Return the peak memory of finding duplicates if every second lead is one."""
    per_click = route(once=DedupRule(DedupScope.CLICK, MONTH))
    leads = (
        (facts(id=f"L-{number:06}", click_ids=(click(f"gclid-{number // 2}"),)), DeliveriesOfLeads({}, {}), {})
        for number in range(count)
    )

    class Planner(_Planner):
        """A planner of these leads."""

        def _to_plan(self, _session):
            yield from leads

    account.book = rulebook(per_click)
    with (
        account.hold() as ledger,
        ledger.read_transaction() as session,
        closing(DedupCandidates()) as duplicates,
    ):
        since = {per_click.conversion_destination_pair: starts()}
        planner = Planner(account.run(ledger), since, NIGHT, {per_click.conversion_destination_pair: duplicates}, NIGHT)
        tracemalloc.start()
        planner.find_duplicates(session)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert [None, "L-000000"] == [duplicates.lead_counting_instead(name) for name in ("L-000000", "L-000001")]
        assert f"L-{count - 2:06}" == duplicates.lead_counting_instead(f"L-{count - 1:06}")
    return most


@pytest.mark.exhaustive
def test_finding_duplicates_keeps_no_leads_in_memory(account):
    """A rule change replans every lead, so four times as many leads must take hardly more memory."""
    held_at_most(account, 10)
    few, many = held_at_most(account, 1_500), held_at_most(account, 6_000)

    assert many < 1.5 * few


@pytest.mark.parametrize("database", ["sqlite"])
def test_candidates_are_found_by_their_keys_not_among_all_that_count(once):
    """However many sales an account has had."""
    once.put(won("L-1"))
    once.night()
    plans = []

    def note_plan(connection, _cursor, statement, values, _context, _many):
        if "JOIN delivery" in statement and statement.startswith("SELECT dedup_key"):
            plans.append([step[3] for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)])

    sqlalchemy.event.listen(once.state.engine, "before_cursor_execute", note_plan)
    once.put(won("L-2"))
    once.night()

    (plan,) = plans
    assert not any("ix_delivery_counts" in step for step in plan), plan
