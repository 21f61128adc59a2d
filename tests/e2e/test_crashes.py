"""The process is killed at every critical point of a run: nothing is lost or counted twice, and every state is right.

Only Meta may get an event twice where it does not deduplicate; the ledger then flags it.
"""

import signal
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

ON_POSTGRESQL = {
    "test_replays_the_same_bytes_after_a_kill_while_sending",
    "test_meta_replay_after_a_kill_is_flagged_as_possible_duplicate",
    "test_unsaved_outcome_is_requested_again_after_a_kill",
}
"""What `make test` repeats on PostgreSQL; `make test-all` repeats everything but what concerns a file."""
YESTERDAY = timedelta(days=1)
KILLED = -signal.SIGKILL
BOTH = ("appointment", "sale")


def pytest_generate_tests(metafunc):
    """Kill each run on both databases."""
    name = metafunc.function.__name__
    marks = () if name in ON_POSTGRESQL else (pytest.mark.exhaustive,)
    if name != "test_state_creation_is_atomic_when_killed":
        metafunc.parametrize("state_in", ["file", pytest.param("database", marks=marks)])


def sold(company, number, amount="12 500,00 €"):
    """A lead won yesterday and known to every platform: an appointment and a sale to send."""
    return company.lead(number, ("Gagné", company.START - YESTERDAY), amount=amount, clicks=company.both(number))


def everything_counted_once(company, numbers, destination="google_ads"):
    """Assert that the ledger accepted and the platform counted both conversions of each lead, once."""
    names = {(f"L-{number}", conversion) for number in numbers for conversion in BOTH}
    assert dict.fromkeys(names, "accepted") == company.states(destination)
    assert sorted(names) == sorted(company.taken(destination))
    assert [] == company.disagreements()


@pytest.mark.parametrize(
    ("where", "in_doubt", "uploads", "sale"),
    [
        # which upload: the first carries three appointments, the second three sales
        pytest.param(("in the intent's commit", 1), 0, 2, 12_600, id="in the intent's commit"),
        pytest.param(("intent committed", 1), 3, 2, 12_600, id="before the call"),
        pytest.param(("accepted, answer unread", 2), 3, 3, 12_500, id="before the answer is read"),
        pytest.param(
            ("answer read", 2), 3, 3, 12_500, id="before the receipt is committed", marks=pytest.mark.exhaustive
        ),
        pytest.param(("in the receipt's commit", 2), 3, 3, 12_500, id="in the receipt's commit"),
        pytest.param(("receipt committed", 1), 0, 2, 12_600, id="after the receipt", marks=pytest.mark.exhaustive),
    ],
)
def test_replays_the_same_bytes_after_a_kill_while_sending(company, where, in_doubt, uploads, sale):
    """What may have been sent keeps its old value although the lead has changed; the rest is sent as it is now."""
    company.serve(*(sold(company, number) for number in range(3)))

    assert KILLED == company.killed(*where)

    company.serve(*(sold(company, number, amount="12 600,00 €") for number in range(3)))
    summary = company.night()

    assert in_doubt == summary.recovered
    assert 0 == summary.exit_code

    company.later()

    everything_counted_once(company, range(3))
    assert uploads == len(company.ingests)
    assert {60.0, float(sale)} == {line["value"] for line in company.platform.conversions_json()}


def test_event_counts_once_when_killed_again_during_replay(company):
    """An answer lost twice in a row is requested a third time the next night."""
    company.serve(sold(company, 1))
    assert KILLED == company.killed("accepted, answer unread")
    assert KILLED == company.killed("accepted, answer unread")

    assert 1 == company.night().in_doubt

    company.later(timedelta(hours=24))
    company.later()

    everything_counted_once(company, [1])
    assert {"appointment": 3, "sale": 1} == {
        row.conversion: len(company.sent()[row.key]) for row in company.deliveries().values()
    }


@pytest.mark.parametrize(
    ("where", "in_doubt", "uploads", "sale"),
    [
        pytest.param(
            ("google_ads_api: intent committed", 1), 3, 2, 12_600, id="before the call", marks=pytest.mark.exhaustive
        ),
        pytest.param(("google_ads_api: accepted, answer unread", 2), 3, 3, 12_500, id="before the answer is read"),
        pytest.param(
            ("google_ads_api: answer read", 2),
            3,
            3,
            12_500,
            id="before the receipt is committed",
            marks=pytest.mark.exhaustive,
        ),
        pytest.param(
            ("in the receipt's commit", 2), 3, 3, 12_500, id="in the receipt's commit", marks=pytest.mark.exhaustive
        ),
        pytest.param(("receipt committed", 1), 0, 2, 12_600, id="after the receipt", marks=pytest.mark.exhaustive),
    ],
)
def test_google_ads_api_recognises_a_replay_after_a_kill(company, where, in_doubt, uploads, sale):
    """The API answers that the order id is in use, so the rows are accepted and count once."""
    company.use_ads_api()
    company.serve(*(sold(company, number) for number in range(3)))

    assert KILLED == company.killed(*where)

    company.serve(*(sold(company, number, amount="12 600,00 €") for number in range(3)))
    summary = company.night()

    assert in_doubt == summary.recovered
    assert 0 == summary.exit_code
    everything_counted_once(company, range(3))
    assert uploads == len(company.calls)
    assert {60.0, float(sale)} == {line.value for line in company.counted()}
    replayed = {row.conversion for row in company.deliveries().values() if row.code == "ORDER_ID_ALREADY_IN_USE"}
    assert ({"sale"} if uploads == 3 else set()) == replayed


@pytest.mark.parametrize(
    ("where", "knows_again", "in_doubt", "times"),
    [
        pytest.param(("meta: intent committed", 1), False, 3, 1, id="before the call", marks=pytest.mark.exhaustive),
        pytest.param(
            ("meta: accepted, answer unread", 2),
            True,
            3,
            1,
            id="before the answer is read, known again",
            marks=pytest.mark.exhaustive,
        ),
        pytest.param(("meta: accepted, answer unread", 2), False, 3, 2, id="before the answer is read"),
        pytest.param(
            ("in the receipt's commit", 2), False, 3, 2, id="in the receipt's commit", marks=pytest.mark.exhaustive
        ),
        pytest.param(("receipt committed", 1), False, 0, 1, id="after the receipt", marks=pytest.mark.exhaustive),
    ],
)
def test_meta_replay_after_a_kill_is_flagged_as_possible_duplicate(company, where, knows_again, in_doubt, times):
    """The same events go again and count twice at most, where Meta does not deduplicate."""
    company.use_meta_alone()
    company.sandbox.meta.set_switch("meta_deduplication", knows_again)
    company.serve(*(sold(company, number) for number in range(3)))

    assert KILLED == company.killed(*where)

    company.serve(*(sold(company, number, amount="12 600,00 €") for number in range(3)))
    summary = company.night()

    assert in_doubt == summary.recovered
    assert 0 == summary.exit_code
    assert {"accepted"} == set(company.states("meta").values())
    flagged = {name for name, row in company.deliveries("meta").items() if row.may_count_twice}
    assert in_doubt == len(flagged)
    taken = company.taken("meta")
    assert 6 == len(set(taken))
    assert dict.fromkeys(flagged, times) == {name: taken.count(name) for name in flagged}
    assert [] == company.disagreements()


def test_in_doubt_ask_leaves_meta_events_until_a_human_decides(company):
    """What a killed run may have sent stays `in_doubt` and is reported every night."""
    company.use_meta_alone(in_doubt="ask")
    company.sandbox.meta.set_switch("meta_deduplication", False)
    company.serve(*(sold(company, number) for number in range(3)))

    assert KILLED == company.killed("meta: accepted, answer unread", 2)

    summaries = [company.night(), company.later()]

    assert [1, 1] == [summary.exit_code for summary in summaries]
    assert [3, 3] == [summary.waiting_for_a_human for summary in summaries]
    assert {("accepted", "appointment"), ("in_doubt", "sale")} == {
        (state, conversion) for (_, conversion), state in company.states("meta").items()
    }
    assert 6 == len(company.taken("meta"))
    assert 2 == len(company.posts)
    assert [] == company.disagreements(unanswered=("in_doubt",))


MANY = range(230)
"""Leads on three pages of the list, planned in two transactions; one in ten was sold."""


def serve_many(company):
    """Serve many leads, few of them sold."""
    company.serve(*(sold(company, n) if n % 10 == 0 else company.lead(n) for n in MANY))


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        pytest.param("page committed", 1, id="between pages", marks=pytest.mark.exhaustive),
        pytest.param("in a page's commit", 2, id="in a page's commit"),
    ],
)
def test_resumes_at_the_uncommitted_page_after_a_kill(company, point, nth):
    """No lead is missed."""
    serve_many(company)

    assert KILLED == company.killed(point, nth)

    before = len(company.asked("oplead"))
    company.night()

    after = [entry["query"] for entry in company.asked("oplead")[before:]]
    assert 2 == len(after)
    assert all("cursor" in query for query in after)

    company.later()

    everything_counted_once(company, MANY[::10])


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        pytest.param("a lead judged", 215, id="in the first transaction"),
        pytest.param("leads planned", 1, id="between commits", marks=pytest.mark.exhaustive),
    ],
)
def test_next_run_plans_leads_read_before_a_kill(company, point, nth):
    """They are planned although they have not changed since."""
    serve_many(company)

    assert KILLED == company.killed(point, nth)

    summary = company.night()

    assert 0 == summary.pulled.changed

    company.later()

    everything_counted_once(company, MANY[::10])


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        pytest.param("a table of the state made", 9, id="between tables"),
        pytest.param("state up to date, not committed", 2, id="before its commit", marks=pytest.mark.exhaustive),
    ],
)
def test_state_creation_is_atomic_when_killed(company, point, nth):
    """The next run creates the state from scratch."""
    company.serve(sold(company, 1))
    company.state.unlink()

    assert KILLED == company.killed(point, nth, ("run", "--first-run"))

    with closing(sqlite3.connect(company.state)) as connection:
        assert [] == connection.execute("SELECT name FROM sqlite_master").fetchall()

    assert 0 == company.command("run", "--first-run")[0]

    company.later()

    everything_counted_once(company, [1])


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        pytest.param("outcome read", 1, id="before its commit", marks=pytest.mark.exhaustive),
        pytest.param("in the outcome's commit", 2, id="inside"),
    ],
)
def test_unsaved_outcome_is_requested_again_after_a_kill(company, point, nth):
    """No conversion is sent again for it."""
    company.serve(sold(company, 1))
    company.night()
    company.clock.advance(company.clock.now() + company.OUTCOMES_AFTER)

    assert KILLED == company.killed(point, nth)

    known = [state for state in company.states().values() if state == "accepted"]
    assert nth - 1 == len(known)

    company.night()

    everything_counted_once(company, [1])
    assert 2 == len(company.ingests)
