"""A destination for which far more is due than usual gets nothing new until a human agrees."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.records import Outcome, OutcomeClass
from jobs.nightly import rehearse, run_night
from jobs.rules.reasons import Scope
from tests import fakes
from tests.builders import GOOGLE, WON, lead, route, rulebook
from tests.fakes import FakeSink

DAY = timedelta(days=1)


def many(count, prefix="L"):
    """So many leads that were won, each on its own."""
    return [lead(f"{prefix}-{number}") for number in range(count)]


def night(account, **more):
    """One night; its summary."""
    with account.hold() as ledger:
        return run_night(account.run(ledger, **more))


@pytest.mark.parametrize(("due", "sent"), [(50, 50), (51, 0)])
def test_a_first_night_may_send_fifty(account, due, sent):
    """It has no history, so more waits for a human."""
    account.put(*many(due))
    summary = night(account)

    assert (sent, int(sent == 0)) == (sum(account.sink.counted.values()), summary.exit_code)


def test_what_is_held_stays_pending_and_says_so(account):
    """Nothing of it is lost, and `explain` tells why it waits."""
    account.put(*many(51))
    night(account)

    assert ({"pending"}, {"excess_volume"}) == (set(account.states.values()), set(account.reasons.values()))


def test_an_agreement_releases_it_for_one_run(account):
    """The same deliveries go out, once, and the reason is gone."""
    account.put(*many(51))
    night(account)
    summary = night(account, accept_volume=True)

    assert (0, {}) == (summary.exit_code, summary.held)
    assert (51, {None}) == (sum(account.sink.counted.values()), set(account.reasons.values()))


def test_an_agreement_does_not_reach_into_the_next_run(account):
    """What surges on the same day is held again."""
    account.put(*many(51))
    night(account, accept_volume=True)
    account.put(*many(51, "M"))
    summary = night(account)

    assert ([GOOGLE], 51) == (list(map(str, summary.held)), summary.held[Scope(GOOGLE)].due)


def test_a_usual_number_grows_with_the_nights(account):
    """Five times the largest night goes without asking."""
    account.put(*many(20))
    night(account)
    account.clock.time += DAY
    account.put(*many(100, "M"))
    night(account)
    account.clock.time += DAY
    account.put(*many(501, "N"))
    summary = night(account)

    assert (120, 501, 500) == (
        sum(account.sink.counted.values()),
        summary.held[Scope(GOOGLE)].due,
        summary.held[Scope(GOOGLE)].allowed,
    )


def test_a_replay_goes_out_though_its_destination_is_held(account):
    """A lost answer is no new conversion, and its time is short."""
    account.put(lead("L-0"))
    account.sink.script.extend([fakes.lost_before] * 5)
    night(account)
    account.clock.time += DAY
    account.put(*many(52))
    summary = night(account)

    assert (51, {"L-0": "submitted"}) == (
        summary.held[Scope(GOOGLE)].due,
        {name: state for name, state in account.states.items() if state != "pending"},
    )


def test_what_a_platform_put_off_goes_out_though_its_destination_is_held(account):
    """It was let through once already."""
    account.put(lead("L-0"))
    account.sink.script.append(fakes.answer(Outcome(OutcomeClass.DEFER, "TOO_RECENT")))
    night(account)
    account.clock.time += DAY
    account.put(*many(52))
    summary = night(account)

    assert (51, [["L-0"]]) == (
        summary.held[Scope(GOOGLE)].due,
        [[row.lead for row in account.rows() if row.key in call.keys] for call in account.sink.calls[1:]],
    )


def test_what_never_arrived_or_was_refused_whole_did_not_go_out(account):
    """An outage opens no way round the guard, and raises no limit."""
    account.put(lead("L-0"))
    account.sink.script.append(fakes.refuse(OutcomeClass.FIX_CONFIG))
    night(account)
    account.clock.time += DAY
    account.put(*many(52))
    summary = night(account)

    assert (52, []) == (summary.held[Scope(GOOGLE)].due, account.sink.calls[1:])


def test_other_destinations_go_on(account):
    """The surge of one is no fault of another."""
    account.sinks["meta"] = other = FakeSink()
    account.book = rulebook(route(), route("lead", labels=frozenset({"nouveau"}), destination="meta"))
    account.put(*many(51))
    account.book = replace(account.book, max_per_run={"meta": 60})
    summary = night(account)

    assert ([GOOGLE], 51, 0) == (
        list(map(str, summary.held)),
        sum(other.counted.values()),
        sum(account.sink.counted.values()),
    )


def test_the_settings_may_allow_more_or_less(account):
    """`max_per_run` wins over what is usual."""
    account.book = replace(account.book, max_per_run={GOOGLE: 3})
    account.put(*many(4))
    summary = night(account)

    assert (1, 3, 4) == (summary.exit_code, summary.held[Scope(GOOGLE)].allowed, summary.held[Scope(GOOGLE)].due)


def test_what_waits_for_its_time_is_not_due(account):
    """A click too recent is no part of tonight's surge."""
    account.put(*[lead(f"L-{number}", created_at=WON) for number in range(51)])
    account.clock.time = WON + timedelta(hours=1)
    summary = night(account)

    assert ({}, {"click_too_recent"}) == (summary.held, set(account.reasons.values()))


def test_what_is_held_goes_by_itself_once_it_is_usual(account):
    """A higher `max_per_run` is an agreement too."""
    account.put(*many(51))
    night(account)
    account.book = replace(account.book, max_per_run={GOOGLE: 51})
    summary = night(account)

    assert (0, 51) == (summary.exit_code, sum(account.sink.counted.values()))


def test_a_rehearsal_tells_what_would_be_held(account):
    """Nobody has to find out at night."""
    account.put(*many(51))
    with account.hold() as ledger:
        summary = rehearse(account.run(ledger))

    assert (1, ["google_ads"]) == (
        summary.exit_code,
        [str(message.values["scope"]) for message in summary.excess_volumes],
    )


def an_hour_passes(account):
    """A platform that takes everything in, an hour later."""

    def step(sink, batch):
        account.clock.time += timedelta(hours=1)
        return fakes.take(sink, batch)

    return step


@pytest.mark.parametrize("accepted", [False, True])
def test_what_comes_due_while_a_run_sends_waits_for_the_next(account, accepted):
    """Nobody has counted it, so it is no part of what was found usual, nor of what a human agreed to."""
    account.put(lead("L-0"), *[lead(f"M-{number}", created_at=WON) for number in range(51)])
    account.clock.time = WON + timedelta(hours=5, minutes=30)
    account.sink.script.append(an_hour_passes(account))
    night(account, accept_volume=accepted)
    sent = [len(call.keys) for call in account.sink.calls]
    summary = night(account)

    assert ([1], 51) == (sent, summary.held[Scope(GOOGLE)].due)


def test_what_comes_due_while_a_run_sends_goes_out_in_the_next(account):
    """It is late by a run, and lost by none."""
    account.put(lead("L-0"), lead("M-0", created_at=WON))
    account.clock.time = WON + timedelta(hours=5, minutes=30)
    account.sink.script.append(an_hour_passes(account))
    night(account)
    night(account)

    assert [1, 1] == [len(call.keys) for call in account.sink.calls]


def test_waiting_for_outcomes_sends_nothing_that_comes_due_meanwhile(account):
    """Whoever waits only asks; what is due then is counted and sent by the next run."""
    account.put(lead("L-0"), lead("M-0", created_at=WON))
    account.clock.time = WON + timedelta(hours=5, minutes=30)
    with account.hold() as ledger:
        run_night(account.run(ledger), wait=timedelta(hours=2))

    assert ({"L-0": "accepted", "M-0": "pending"}, 1) == (account.states, len(account.sink.calls))
