"""The volume guard holds all new conversions of a destination that has far more due than usual, until approved."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.records import Outcome, OutcomeClass
from jobs.nightly import rehearse, run_night
from jobs.plan.volume_guard import excess_volume, first_sends_by_night
from jobs.reporting.sentences import message_in_words
from jobs.rules.reasons import DestinationScope
from tests import fakes
from tests.builders import GOOGLE, PARIS, WON, at, lead, route, rulebook
from tests.fakes import FakeSink

NOW = at("2026-09-10T03:30")
DAY = timedelta(days=1)


# ── the limit ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("due", "nights", "max_per_run", "allowed"),
    [
        (50, (), None, None),
        (51, (), None, 50),
        (50, (0, 3), None, None),
        (51, (10, 2), None, 50),
        (55, (11, 2), None, None),
        (56, (11, 2), None, 55),
        (500, (100, 90), None, None),
        (501, (100, 90), None, 500),
        (51, (), 60, None),
        (61, (), 60, 60),
        (9, (100,), 8, 8),
        (0, (), None, None),
    ],
)
def test_limit_is_fifty_or_five_times_the_largest_night(due, nights, max_per_run, allowed):
    """`max_per_run` replaces it, and anything above waits for approval."""
    found = excess_volume(due, nights, max_per_run=max_per_run)

    assert allowed == (found and found.allowed)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 10_000)), st.none() | st.integers(1, 10_000))
def test_allowed_volume_never_exceeds_the_limit(due, nights, max_per_run):
    """The numbers of an excess are consistent too."""
    found = excess_volume(due, nights, max_per_run=max_per_run)

    if found is None:
        assert due <= (max_per_run or max(50, 5 * max(nights, default=0)))
    else:
        assert found.due == due > found.allowed


def test_message_gives_the_volume_the_limit_and_the_command():
    """That is all it takes to decide."""
    found = excess_volume(620, (4, 7), max_per_run=None)

    assert message_in_words(found.message) == (
        "620 conversions are due and one night may send 50 (the largest of the last 28 nights sent 7): "
        "they are held until someone approves them with `oplead-sync run --accept-volume`"
    )


@pytest.mark.parametrize(
    ("sends", "expected"),
    [
        ([], []),
        ([(NOW - DAY, 3), (NOW - DAY + timedelta(hours=6), 4)], [7]),
        ([(NOW - 2 * DAY, 3), (NOW - DAY, 4)], [3, 4]),
        ([(NOW - timedelta(minutes=5), 40)], []),
        ([(NOW - 28 * DAY, 5)], [5]),
        ([(NOW - 29 * DAY, 5)], []),
        ([(at("2026-09-08T21:59"), 1), (at("2026-09-08T22:01"), 2)], [1, 2]),
    ],
)
def test_nights_before_counts_recent_local_dates_before_today(sends, expected):
    """Midnight is local to the account, and today's sends do not raise the limit."""
    assert expected == list(first_sends_by_night(sends, PARIS, now=NOW))


def test_night_is_counted_by_local_date_in_any_time_zone():
    """Two requests around midnight UTC are one night if it is noon locally."""
    sends = [(at("2026-09-08T23:00"), 3), (at("2026-09-09T01:00"), 4)]

    assert [7] == list(first_sends_by_night(sends, ZoneInfo("Pacific/Noumea"), now=NOW + DAY))


# ── the guard in a run ───────────────────────────────────────────────────────────────────────────


def many(count, prefix="L"):
    """Return this many won leads, each with its own click id."""
    return [lead(f"{prefix}-{number}") for number in range(count)]


def night(account, **more):
    """Run one night and return its summary."""
    with account.hold() as ledger:
        return run_night(account.run(ledger, **more))


@pytest.mark.parametrize(("due", "sent"), [(50, 50), (51, 0)])
def test_first_night_may_send_fifty(account, due, sent):
    """There is no history yet, so anything above waits for approval."""
    account.put(*many(due))
    summary = night(account)

    assert (sent, int(sent == 0)) == (sum(account.sink.counted.values()), summary.exit_code)


def test_held_deliveries_stay_pending_with_a_reason(account):
    """Nothing is lost, and `explain` shows why it waits."""
    account.put(*many(51))
    night(account)

    assert ({"pending"}, {"excess_volume"}) == (set(account.states.values()), set(account.reasons.values()))


def test_approval_releases_held_deliveries_for_one_run(account):
    """They are sent once, and the reason is cleared."""
    account.put(*many(51))
    night(account)
    summary = night(account, accept_volume=True)

    assert (0, {}) == (summary.exit_code, summary.held)
    assert (51, {None}) == (sum(account.sink.counted.values()), set(account.reasons.values()))


def test_approval_does_not_extend_to_the_next_run(account):
    """A second surge on the same day is held again."""
    account.put(*many(51))
    night(account, accept_volume=True)
    account.put(*many(51, "M"))
    summary = night(account)

    assert ([GOOGLE], 51) == (list(map(str, summary.held)), summary.held[DestinationScope(GOOGLE)].due)


def test_limit_grows_with_previous_nights(account):
    """Five times the largest night needs no approval."""
    account.put(*many(11))
    night(account)
    account.clock.time += DAY
    account.put(*many(56, "M"))
    summary = night(account)

    assert (11, 56, 55) == (
        sum(account.sink.counted.values()),
        summary.held[DestinationScope(GOOGLE)].due,
        summary.held[DestinationScope(GOOGLE)].allowed,
    )


def test_replay_is_sent_even_if_its_destination_is_held(account):
    """A lost answer is no new conversion, and its time is short."""
    account.put(lead("L-0"))
    account.sink.script.extend([fakes.lost_before] * 5)
    night(account)
    account.clock.time += DAY
    account.put(*many(52))
    summary = night(account)

    assert (51, {"L-0": "submitted"}) == (
        summary.held[DestinationScope(GOOGLE)].due,
        {name: state for name, state in account.states.items() if state != "pending"},
    )


def test_deferred_delivery_is_sent_even_if_its_destination_is_held(account):
    """The guard has already let it through once."""
    account.put(lead("L-0"))
    account.sink.script.append(fakes.answer(Outcome(OutcomeClass.DEFER, "TOO_RECENT")))
    night(account)
    account.clock.time += DAY
    account.put(*many(52))
    summary = night(account)

    assert (51, [["L-0"]]) == (
        summary.held[DestinationScope(GOOGLE)].due,
        [[row.lead for row in account.rows() if row.key in call.keys] for call in account.sink.calls[1:]],
    )


def test_refused_request_does_not_count_as_sent(account):
    """An outage does not bypass the guard, and does not raise the limit."""
    account.put(lead("L-0"))
    account.sink.script.append(fakes.refuse(OutcomeClass.FIX_CONFIG))
    night(account)
    account.clock.time += DAY
    account.put(*many(52))
    summary = night(account)

    assert (52, []) == (summary.held[DestinationScope(GOOGLE)].due, account.sink.calls[1:])


def test_held_destination_does_not_affect_others(account):
    """Each destination has its own volume."""
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


def test_max_per_run_overrides_the_usual_limit(account):
    """`max_per_run` may be lower as well as higher."""
    account.book = replace(account.book, max_per_run={GOOGLE: 3})
    account.put(*many(4))
    summary = night(account)

    assert (1, 3, 4) == (
        summary.exit_code,
        summary.held[DestinationScope(GOOGLE)].allowed,
        summary.held[DestinationScope(GOOGLE)].due,
    )


def test_deliveries_not_due_yet_do_not_count(account):
    """A click that is too recent is not due tonight."""
    account.put(*[lead(f"L-{number}", created_at=WON) for number in range(51)])
    account.clock.time = WON + timedelta(hours=1)
    summary = night(account)

    assert ({}, {"click_too_recent"}) == (summary.held, set(account.reasons.values()))


def test_raised_max_per_run_releases_held_deliveries(account):
    """A higher `max_per_run` is an approval too."""
    account.put(*many(51))
    night(account)
    account.book = replace(account.book, max_per_run={GOOGLE: 51})
    summary = night(account)

    assert (0, 51) == (summary.exit_code, sum(account.sink.counted.values()))


def test_rehearsal_reports_what_would_be_held(account):
    """The excess is known before the night."""
    account.put(*many(51))
    with account.hold() as ledger:
        summary = rehearse(account.run(ledger))

    assert (1, ["google_ads"]) == (
        summary.exit_code,
        [str(message.values["scope"]) for message in summary.excess_volumes],
    )


def an_hour_passes(account):
    """Return a step that accepts everything and takes an hour."""

    def step(sink, batch):
        account.clock.time += timedelta(hours=1)
        return fakes.take(sink, batch)

    return step


@pytest.mark.parametrize("accepted", [False, True])
def test_delivery_becoming_due_during_a_run_waits(account, accepted):
    """The guard has not counted it, and no approval covered it."""
    account.put(lead("L-0"), *[lead(f"M-{number}", created_at=WON) for number in range(51)])
    account.clock.time = WON + timedelta(hours=5, minutes=30)
    account.sink.script.append(an_hour_passes(account))
    night(account, accept_volume=accepted)
    sent = [len(call.keys) for call in account.sink.calls]
    summary = night(account)

    assert ([1], 51) == (sent, summary.held[DestinationScope(GOOGLE)].due)


def test_delivery_becoming_due_during_a_run_is_sent_next(account):
    """It is a run late, but not lost."""
    account.put(lead("L-0"), lead("M-0", created_at=WON))
    account.clock.time = WON + timedelta(hours=5, minutes=30)
    account.sink.script.append(an_hour_passes(account))
    night(account)
    night(account)

    assert [1, 1] == [len(call.keys) for call in account.sink.calls]


def test_waiting_for_outcomes_sends_nothing_new(account):
    """A delivery that becomes due meanwhile is counted and sent by the next run."""
    account.put(lead("L-0"), lead("M-0", created_at=WON))
    account.clock.time = WON + timedelta(hours=5, minutes=30)
    with account.hold() as ledger:
        run_night(account.run(ledger), wait=timedelta(hours=2))

    assert ({"L-0": "accepted", "M-0": "pending"}, 1) == (account.states, len(account.sink.calls))
