"""One click or person counts once: the first goes out, the others wait behind it."""

import tracemalloc
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.records import ClickId, ClickIdKind, Contact, Outcome, OutcomeClass
from jobs.ledger.deduplication import DedupCandidates
from jobs.ledger.schema import DedupKey
from jobs.plan.planner import LEADS_AT_ONCE, _Planner
from jobs.rules.model import DedupRule, DedupScope
from tests.builders import CREATED, WON, changed, click, facts, lead, route, rulebook, starts
from tests.fakes import DONE, NIGHT

DAY = timedelta(days=1)
MONTH = 30 * DAY
SHARED = (ClickId(ClickIdKind.GCLID, "gclid-shared"),)
REFUSED = Outcome(OutcomeClass.DROP, "NO")


def won(name, when=WON, **more):
    """A lead won at a time, by a click it shares with others."""
    history = (replace(lead().history[1], at=replace(lead().history[1].at, at=when)),)
    return lead(name, **{"history": history, "updated_at": when, "click_ids": SHARED} | more)


@pytest.fixture
def once(account):
    """An account whose sales count once per click."""
    account.book = rulebook(route(once=DedupRule(DedupScope.CLICK, MONTH)))
    return account


def test_of_leads_of_one_click_the_first_conversion_goes_out(once):
    """The others say by whom it counts."""
    once.put(won("L-1"), won("L-2", WON - DAY), won("L-3", WON + timedelta(hours=1)), lead("L-4"))
    once.night()

    assert {"L-1": "withheld", "L-2": "submitted", "L-3": "withheld", "L-4": "submitted"} == once.states
    assert {"L-1": "counted_already", "L-2": None, "L-3": "counted_already", "L-4": None} == once.reasons
    assert ["L-2", "L-2"] == [row.detail for row in once.rows() if row.reason == "counted_already"]


def test_by_default_every_lead_counts_and_a_shared_click_is_told(account):
    """Told, not stopped; on the night it is taken up, and no later one."""
    account.put(won("L-1"), won("L-2"), lead("L-3"))
    first, second = account.night(), account.night()

    assert {"submitted"} == set(account.states.values())
    assert (Counter({"sale": 2}), Counter()) == (first.planned.same_click, second.planned.same_click)
    assert [] == account.rows(DedupKey)


def test_who_counts_does_not_hang_on_the_order_of_planning(once):
    """Leads are planned some at a time, by id; the earliest conversion may stand in the last part."""
    once.put(*(won(f"L-{number:03}", WON - number * timedelta(minutes=1)) for number in range(LEADS_AT_ONCE + 5)))
    once.night()
    sent = [name for name, state in once.states.items() if state == "submitted"]

    assert [f"L-{LEADS_AT_ONCE + 4:03}"] == sent


def test_what_was_sent_counts_against_all_that_come_later(once):
    """Even where their conversion lies before it; the night after as well as when it is settled."""
    once.put(won("L-2"))
    once.night()
    once.clock.time += DAY
    once.put(won("L-1", WON - DAY))
    once.night()
    once.clock.time += DAY
    once.put(won("L-3"))
    once.night()

    assert {"L-1": "withheld", "L-2": "accepted", "L-3": "withheld"} == once.states


def test_two_sales_further_apart_than_that_count_both(once):
    """`within`."""
    once.put(won("L-1", CREATED + DAY), won("L-2", CREATED + 2 * DAY + MONTH))
    once.clock.time = NIGHT + 3 * DAY
    once.night()

    assert {"L-1": "submitted", "L-2": "submitted"} == once.states


def test_who_waited_goes_out_once_the_first_is_refused(once):
    """The platform does not have it, so the sale would be lost."""
    once.sink.verdict = lambda _: REFUSED
    once.put(won("L-1"), won("L-2", WON + timedelta(hours=1)))
    once.night()
    once.clock.time += DAY
    once.sink.verdict = lambda _: DONE
    once.night()

    assert {"L-1": "rejected", "L-2": "submitted"} == once.states


def test_the_refused_one_does_not_come_back_beside_who_took_its_place(once):
    """Mended in Oplead, it still counts by the other."""
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
def test_who_waited_goes_out_the_night_the_first_falls_away(once, change, state):
    """And the first, back later, gives way."""
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


def test_what_counts_on_one_route_does_not_on_another(once):
    """Each conversion for itself."""
    per_click = DedupRule(DedupScope.CLICK, MONTH)
    once.book = rulebook(route(once=per_click), route("lost", labels=frozenset({"perdu"}), once=per_click))
    once.put(won("L-1"), won("L-2", label="Perdu", history=()))
    once.night()

    assert {("L-1", "sale", "submitted"), ("L-2", "lost", "submitted")} == {
        (row.lead, row.conversion, row.state) for row in once.rows()
    }


def test_a_person_counts_once_by_e_mail(account):
    """Known again when the hashes of what was sent are long erased."""
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


def test_a_person_whose_address_changes_is_known_by_both(account):
    """What was sent was told of the old one."""
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


def test_asked_for_later_it_knows_what_was_sent_before(account):
    """New rules have every lead judged again."""
    account.put(won("L-1"))
    account.night()
    account.clock.time += DAY
    account.night()
    account.book = replace(rulebook(route(once=DedupRule(DedupScope.CLICK, MONTH))), rules_digest="r2")
    account.put(won("L-2", WON - DAY))
    account.night()

    assert {"L-1": "accepted", "L-2": "withheld"} == account.states


def test_two_that_wait_when_it_is_asked_for_become_one(account):
    """The earlier one goes on waiting."""
    young = {"created_at": NIGHT - timedelta(hours=2)}
    account.put(won("L-1", NIGHT - timedelta(minutes=30), **young), won("L-2", NIGHT - timedelta(hours=1), **young))
    account.night()
    account.book = replace(rulebook(route(once=DedupRule(DedupScope.CLICK, MONTH))), rules_digest="r2")
    account.night()

    assert {"L-1": "withheld", "L-2": "pending"} == account.states


def test_marks_go_when_they_are_of_no_more_use(once):
    """Once no sale to come could be the same, or nobody asks any more."""
    once.put(won("L-1"))
    once.night()
    kept = {row.lead for row in once.rows(DedupKey)}
    once.clock.time = WON + MONTH + 91 * DAY
    once.night()

    assert ({"L-1"}, []) == (kept, once.rows(DedupKey))


def test_marks_go_with_the_setting(once):
    """Personal data is held to the minimum."""
    once.put(won("L-1"))
    once.night()
    once.book = replace(rulebook(), rules_digest="r2")
    once.night()

    assert [] == once.rows(DedupKey)


def test_a_renamed_conversion_keeps_its_marks(once):
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
    """How much memory it takes at most to find who gives way, where every second lead does."""
    per_click = route(once=DedupRule(DedupScope.CLICK, MONTH))
    leads = ((facts(id=f"L-{number:06}", click_ids=(click(f"gclid-{number // 2}"),)), []) for number in range(count))

    class Planner(_Planner):
        """One that is given these leads to plan."""

        def _to_plan(self, _session):
            yield from leads

    account.book = rulebook(per_click)
    with (
        account.hold() as ledger,
        ledger.reading() as session,
        closing(DedupCandidates()) as duplicates,
    ):
        since = {per_click.place: starts()}
        planner = Planner(account.run(ledger), since, NIGHT, {per_click.place: duplicates})
        tracemalloc.start()
        planner.find_duplicates(session)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

        assert [None, "L-000000"] == [duplicates.counting_for(name) for name in ("L-000000", "L-000001")]
        assert f"L-{count - 2:06}" == duplicates.counting_for(f"L-{count - 1:06}")
    return most


@pytest.mark.exhaustive
def test_finding_who_gives_way_keeps_no_lead_in_memory(account):
    """After a change of the rules every lead is judged anew; four times as many take hardly more."""
    held_at_most(account, 10)
    few, many = held_at_most(account, 1_500), held_at_most(account, 6_000)

    assert many < 1.5 * few
