"""A platform that may count one key twice: each replay is flagged, or left to a human."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.records import OutcomeClass
from jobs.deliver.resolve import mark_interrupted_in_doubt
from tests import fakes
from tests.builders import GOOGLE, changed, lead, route, rulebook, stops

HOUR = timedelta(hours=1)


def forgetful(account, *, ask=False, count=1, **over):
    """Plan sales for a platform that does not guarantee deduplication."""
    limits = replace(account.sink.limits, replay_within=48 * HOUR, event_window=timedelta(days=6))
    account.sink.limits, account.sink.asynchronous, account.sink.idempotent = limits, False, False
    asking = frozenset({GOOGLE}) if ask else frozenset()
    account.book = rulebook(route(limits=limits, event_window=limits.event_window, **over), ask_when_lost=asking)
    account.put(*(lead(f"L-{number}") for number in range(count)))
    account.prepare()


def lose(account, times=5):
    """Lose every request of a run before it reaches the platform."""
    account.sink.script.extend([fakes.lost_before] * times)
    account.deliver()
    account.sink.script.clear()


def test_replayed_deliveries_are_flagged_as_possible_duplicates(account):
    """Each counts twice here, and the ledger records that it may."""
    forgetful(account, count=2)
    account.sink.script.append(fakes.lost_after)
    account.deliver()

    assert [("accepted", True)] * 2 == [(row.state, row.may_count_twice) for row in account.rows()]
    assert {2} == set(account.sink.counted.values())
    assert ("in_flight", "may_count_twice") in account.causes("L-1")


def test_delivery_sent_once_is_not_flagged(account):
    """Only a replay can count twice."""
    forgetful(account)
    account.deliver()

    assert [("accepted", False)] == [(row.state, row.may_count_twice) for row in account.rows()]


def test_replay_to_a_deduplicating_platform_is_not_flagged(account):
    """There a key counts only once, however often it is sent."""
    account.put(lead())
    account.prepare()
    account.sink.script.append(fakes.lost_after)
    account.deliver()

    assert [False] == [row.may_count_twice for row in account.rows()]


def test_ask_when_lost_prevents_any_replay(account):
    """The answer is lost, the target is left alone, and no later run sends it again."""
    forgetful(account, ask=True)
    account.sink.script.append(fakes.lost_after)
    account.deliver()
    account.clock.time += 24 * HOUR
    account.deliver()

    assert (1, {"L-0": "in_doubt"}) == (len(account.sink.calls), account.states)
    assert {1} == set(account.sink.counted.values())


def test_operator_can_allow_the_replay_with_resend(account):
    """Within 48 hours the same bytes are sent again, and the delivery is flagged."""
    forgetful(account, ask=True)
    account.sink.script.append(fakes.lost_before)
    account.deliver()
    account.clock.time += 24 * HOUR
    account.book = replace(account.book, ask_when_lost=frozenset())
    account.deliver()
    first, again = account.sink.calls

    assert first.events == again.events
    assert [("accepted", True)] == [(row.state, row.may_count_twice) for row in account.rows()]


@pytest.mark.parametrize("ask", [True, False])
@pytest.mark.parametrize(("later", "state"), [(48 * HOUR, None), (48 * HOUR + timedelta(seconds=1), "unconfirmed")])
def test_delivery_in_doubt_is_unconfirmed_after_48_hours(account, ask, later, state):
    """By then the platform cannot tell a replay from a new event, so none is sent."""
    forgetful(account, ask=ask)
    lose(account, 1 if ask else 5)
    since = account.rows()[0].in_doubt_since
    account.clock.time = since + later
    account.deliver()

    assert state or ("in_doubt" if ask else "accepted") == account.states["L-0"]
    assert state is None or account.states["L-0"] == state


def test_replay_is_not_sent_after_the_event_window_closes(account):
    """A refusal now would reveal nothing about the first attempt."""
    forgetful(account)
    lose(account)
    calls = len(account.sink.calls)
    account.clock.time = account.rows()[0].expires_at + timedelta(seconds=1)
    limits = replace(account.sink.limits, replay_within=timedelta(days=30))
    account.sink.limits = limits
    account.deliver()

    assert (calls, {"L-0": "unconfirmed"}) == (len(account.sink.calls), account.states)


def test_replay_uses_the_same_bytes_after_an_edit(account):
    """The bytes are frozen while the delivery is in doubt."""
    forgetful(account)
    lose(account)
    account.put(changed(account.source.leads["L-0"], fields={"consent": "oui", "amount": 7}))
    account.prepare()
    account.deliver()

    assert 1 == len({call.events for call in account.sink.calls})


def test_ask_when_lost_does_not_stop_other_actions(account):
    """Only the target with the lost answer is left alone."""
    forgetful(account, ask=True)
    other = replace(account.book.routes[0].target, action="5")
    account.book = replace(
        account.book,
        routes=(*account.book.routes, replace(account.book.routes[0], conversion="other", target=other)),
        rules_digest="r2",
    )
    account.prepare()
    account.sink.script.append(fakes.lost_after)
    account.deliver()

    assert ["accepted", "in_doubt"] == sorted(row.state for row in account.rows())


def test_the_48_hours_start_when_the_request_is_sent(account):
    """They do not start when a later run notices that the answer never came."""
    forgetful(account)
    account.sink.script.append(fakes.crash_after)
    with pytest.raises(fakes.Crash):
        account.deliver()
    account.clock.time += 72 * HOUR
    with account.hold() as ledger, ledger.write_transaction() as session:
        mark_interrupted_in_doubt(session, ledger, now=account.clock.now())
    account.deliver()

    assert (1, {"L-0": "unconfirmed"}) == (len(account.sink.calls), account.states)


def test_replay_refused_by_the_old_transport_does_not_block_the_new(account):
    """The old interface refuses the replay every night, while new deliveries go out by the new one."""
    account.put(lead("L-0"))
    account.prepare()
    account.sink.script.append(fakes.lost_before)
    account.sink.script.extend([fakes.lost_before] * 4)
    account.deliver()
    target = replace(account.book.routes[0].target, transport="google_ads_api")
    account.book = replace(
        account.book, routes=(replace(account.book.routes[0], target=target),), rules_digest="another"
    )
    account.put(lead("L-1"))
    account.prepare()
    account.sink.script.append(fakes.refuse(OutcomeClass.FIX_CONFIG, "CLOSED"))
    done = account.deliver()

    assert {"L-0": "in_doubt", "L-1": "submitted"} == account.states
    assert ["google_ads (before: 1234567890 by data_manager)"] == list(stops(done))
