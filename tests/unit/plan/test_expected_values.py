"""Expected values: when they are estimated, which estimate a delivery is sent with, and what becomes of it later."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.records import Moment, StatusEntry
from jobs.ledger.leads.stage_histories import lead_histories_since_stages
from jobs.ledger.schema import ExpectedValue
from jobs.plan.expected_values import update_estimates
from jobs.rules.model import Cohort, ExpectedValueRule, SaleTerms, UndoRule
from jobs.run_context import RunReadingScope
from tests.builders import TARGET, changed, from_field, lead, route, rulebook
from tests.fakes import NIGHT
from tests.steps import counted_steps

DAY = timedelta(days=1)
VISIT = Cohort(frozenset({"rdv"}))
SALE = SaleTerms(frozenset({"gagne"}), path="amount")
LABELS = frozenset({"nouveau", "rdv", "gagne", "perdu"})


def visits(otherwise=None, *, cohort=VISIT, **over):
    """Rules of visits worth what they come to, and of sales worth their amount."""
    visit = route(
        "visit",
        labels=frozenset({"rdv"}),
        target=replace(TARGET, action="111"),
        expected_value=ExpectedValueRule(cohort, SALE, otherwise),
        **over,
    )
    return rulebook(visit, route(field_value=from_field(wait=0 * DAY)), known_labels=LABELS)


def visited(name, days, won_after=None, *, amount=1200, now=NIGHT):
    """A lead that was visited so many days ago, perhaps won later."""
    at = now - days * DAY
    history = [StatusEntry("Nouveau", Moment(at - DAY)), StatusEntry("RDV", Moment(at))]
    fields = {"consent": "oui"}
    if won_after is not None:
        history.append(StatusEntry("Gagné", Moment(at + won_after * DAY)))
        fields["amount"] = Decimal(amount)
    label = history[-1].label
    return lead(name, created_at=at - DAY, updated_at=None, label=label, history=tuple(history), fields=fields)


def past(*, amount=1200, count=160):
    """Leads visited over ten months, until two months ago: a quarter of them is won, after a week."""
    return [
        visited(f"P-{number}", 62 + number * 240 / count, 7 if number % 4 == 0 else None, amount=amount)
        for number in range(count)
    ]


@pytest.fixture
def experienced(account):
    """An account with a past, and one visit that is to be sent."""
    account.book = visits()
    account.put(*past(), visited("L-1", 2))
    return account


def visit_of(account, name="L-1"):
    """The lead's visit, as a delivery."""
    return next(row for row in account.rows() if (row.lead, row.conversion) == (name, "visit"))


def estimates(account):
    """Every estimate on record."""
    return account.rows(ExpectedValue)


def test_a_night_sends_what_earlier_leads_came_to(experienced):
    """A quarter of 1200: the estimate is on record with what it rests on, and the delivery says where it is from."""
    experienced.night()

    [estimate] = estimates(experienced)
    visit = visit_of(experienced)
    assert ("submitted", "expected", estimate.id) == (visit.state, visit.value_from, visit.estimate)
    assert visit.value == estimate.value
    assert 300 == pytest.approx(float(estimate.value), rel=0.02)
    assert float(estimate.low) < float(estimate.value) < float(estimate.high)
    assert ("visit", "1200.00", 161, 40, NIGHT) == (
        estimate.conversion,
        estimate.mean,
        estimate.leads,
        estimate.won,
        estimate.computed_at,
    )


def test_without_an_estimate_it_is_held_until_there_is_one(account):
    """Nothing is guessed; it goes out by itself once the account has a past."""
    account.book = visits()
    account.put(visited("L-1", 2))

    account.night()
    held = visit_of(account)
    account.put(*past())
    account.clock.time += DAY
    account.night()

    assert ("withheld", "value_not_estimated") == (held.state, held.reason)
    assert ("submitted", "expected") == (visit_of(account).state, visit_of(account).value_from)


def test_otherwise_stands_in_for_an_estimate(account):
    """It is sent at once, and says so."""
    account.book = visits(Decimal(60))
    account.put(visited("L-1", 2))

    account.night()

    visit = visit_of(account)
    assert ("submitted", "60.00", "otherwise", None) == (visit.state, visit.value, visit.value_from, visit.estimate)


@pytest.mark.parametrize(
    ("after", "days", "count"), [(7 * DAY, 6, 1), (7 * DAY, 7, 2), (30 * DAY, 29, 1), (None, 400, 1)]
)
def test_estimates_are_made_anew_when_due(experienced, after, days, count):
    """A night that begins some minutes earlier than the one a week before still counts as a week later."""
    experienced.book = replace(experienced.book, recompute_after=after)
    experienced.night()

    experienced.clock.time += days * DAY - timedelta(minutes=20)
    experienced.night()

    assert count == len(estimates(experienced))


def test_no_history_is_read_before_enough_leads_were_sold(account, monkeypatch):
    """Every night of an account with few sales would read every lead, and refuse."""
    read = []

    def histories(*arguments, **more):
        read.append(arguments)
        return lead_histories_since_stages(*arguments, **more)

    monkeypatch.setattr("jobs.plan.expected_values.lead_histories_since_stages", histories)
    account.book = visits()
    account.put(*past(count=4 * 29))
    account.night()
    assert [] == read
    account.put(*past(count=4 * 30))
    account.clock.time += DAY
    account.night()

    assert 1 == len(read)


def test_only_whole_nights_estimate(experienced):
    """Between nights, not every lead is read."""
    experienced.prepare()

    experienced.night(reading=RunReadingScope.NOTHING)

    assert [] == estimates(experienced)


def test_what_was_sent_keeps_its_value(experienced):
    """A later, higher estimate restates nothing; new leads get it."""
    experienced.night()
    experienced.resolve()
    before = visit_of(experienced)
    experienced.put(*past(amount=6000))
    experienced.clock.time += 8 * DAY
    experienced.put(visited("L-2", 1, now=experienced.clock.time))
    experienced.night()

    first, second = estimates(experienced)
    after, new = visit_of(experienced), visit_of(experienced, "L-2")
    assert 4 < float(second.value) / float(first.value) < 6
    assert (before.value, first.id) == (after.value, after.estimate)
    assert (second.value, second.id) == (new.value, new.estimate)
    assert [] == [row for row in experienced.corrections() if row.conversion == "visit"]


def test_a_waiting_delivery_follows_the_latest_estimate(experienced):
    """It is not planned anew: its value is decided when it is sent."""
    experienced.night()
    experienced.put(visited("L-2", 1))
    experienced.prepare()
    waiting = visit_of(experienced, "L-2")
    experienced.put(*past(amount=6000))
    experienced.clock.time += 8 * DAY
    experienced.night()

    first, second = estimates(experienced)
    visit = visit_of(experienced, "L-2")
    assert ("pending", first.value, first.id) == (waiting.state, waiting.value, waiting.estimate)
    assert ("submitted", second.value, second.id) == (visit.state, visit.value, visit.estimate)


def test_a_new_estimate_plans_no_lead_anew(experienced):
    """It costs the reading of histories, and no planning of every lead."""
    experienced.night()
    experienced.clock.time += 8 * DAY

    summary = experienced.night()

    assert (2, 0) == (len(estimates(experienced)), summary.planned.leads)


def test_an_estimate_of_other_leads_is_not_used(experienced):
    """With another stage, what was estimated before is the value of something else."""
    experienced.night()
    experienced.book = replace(visits(cohort=Cohort(frozenset({"perdu"}))), rules_digest="r2")
    experienced.clock.time += DAY
    experienced.put(visited("L-2", 1, now=experienced.clock.time))

    experienced.night()

    assert (1, "value_not_estimated") == (len(estimates(experienced)), visit_of(experienced, "L-2").reason)


def test_what_counts_again_gets_the_value_it_was_sent_with(experienced):
    """Taken back by a restatement to 0, and won back a month later: not at the estimate of that month."""
    undo = UndoRule(frozenset({"perdu"}), DAY)
    experienced.book = visits(undo=undo)
    experienced.night()
    experienced.resolve()
    sent = visit_of(experienced).value
    experienced.put(*past(amount=6000))
    one = visited("L-1", 2)
    for label, days in (("Perdu", 1), ("RDV", 9)):
        history = (*one.history, StatusEntry(label, Moment(NIGHT + days * DAY)))
        one = changed(one, label=label, history=history)
        experienced.put(one)
        experienced.clock.time = NIGHT + (days + 3) * DAY
        experienced.night()
        experienced.resolve()

    values = [(row.cause, row.value) for row in experienced.corrections() if row.conversion == "visit"]
    assert [("undone", "0.00"), ("won_again", sent)] == values


def test_test_leads_and_renamed_statuses_are_understood(experienced):
    """Test leads are no customers; a lead won under the status's old name was won."""
    from sqlmodel import update  # noqa: PLC0415

    from jobs.ledger.schema import LeadRow, StatusChange, StatusRename  # noqa: PLC0415

    experienced.prepare()
    with experienced.hold() as ledger, ledger.write_transaction() as session:
        session.exec(update(LeadRow).where(LeadRow.id == "L-1").values(excluded=True))
        session.exec(update(StatusChange).where(StatusChange.label == "gagne").values(label="vendu"))
        session.add(StatusRename(account=ledger.account, before="vendu", after="gagne", leads=9, run=ledger.run))

    experienced.night()

    [estimate] = estimates(experienced)
    assert (160, 40) == (estimate.leads, estimate.won)


def test_leads_that_nobody_watched_do_not_count(experienced):
    """First seen months after their creation, with a status that nothing dates: won or not, they tell nothing."""
    for number, label in enumerate(["RDV", "Gagné", "Perdu"] * 20):
        experienced.put(
            lead(f"U-{number}", created_at=NIGHT - 200 * DAY, updated_at=None, label=label, history=(), click_ids=())
        )

    experienced.night()

    [estimate] = estimates(experienced)
    assert (161, 40) == (estimate.leads, estimate.won)


def test_a_renamed_conversion_keeps_its_estimates(experienced):
    """No night estimates them anew because of its name."""
    experienced.night()
    book = experienced.book
    visit, sale = book.routes
    experienced.book = replace(book, routes=(replace(visit, conversion="rdv"), sale), was={"rdv": "visit"})
    experienced.clock.time += DAY
    experienced.night()

    assert ["rdv"] == [each.conversion for each in estimates(experienced)]


@pytest.mark.parametrize("database", ["sqlite"])
def test_steps_of_an_estimate_grow_linearly(experienced):
    """Twice the leads cost twice the steps of the database."""

    def steps():
        with counted_steps() as made, experienced.hold() as ledger:
            run = experienced.run(ledger)
            before = made.count
            update_estimates(run)
            return made.count - before

    experienced.prepare()
    once = steps()
    experienced.put(*(replace(each, id=f"X-{each.id}") for each in past()))
    experienced.prepare()
    experienced.clock.time += 8 * DAY

    assert 1.5 < steps() / once < 2.5
