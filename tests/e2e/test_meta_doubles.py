"""Lost answers of Meta, which may not deduplicate: nothing is lost, and every possible duplicate is flagged."""

from collections import Counter
from datetime import timedelta

import pytest

from tests import suite
from tests.builders import attention, stops
from tests.e2e.support.company import DATASET

A_DAY = timedelta(days=1)
FOREVER = 1_000
EVENTS = f"/v26.0/{DATASET}/events"
CUT_AFTER = {"kind": "cut_after"}
TRUNCATED = {"kind": "truncated"}
PAGE = {"kind": "html"}
AWAY = {"kind": "status", "status": 503}
HANG = {"kind": "hang", "seconds": 0.1}
LOSSES = {
    "cut after it was counted": CUT_AFTER,
    "half an answer": TRUNCATED,
    "a page with 200": PAGE,
    "503 not Meta's": AWAY,
    "no answer": HANG,
}
COUNTED = (CUT_AFTER, TRUNCATED)
"""Losses after which Meta has counted the events."""
IN_VAIN = 3
"""Uploads before an unresponsive platform is left alone: each of other events, since each copy may count."""
STRIKES = (1, 2, 2, IN_VAIN, 1)
"""How many uploads fail on each of five nights: one, two, or all of the night."""

each_loss = pytest.mark.parametrize(
    "loss",
    [
        pytest.param(loss, id=name, marks=() if loss in (CUT_AFTER, PAGE) else pytest.mark.exhaustive)
        for name, loss in LOSSES.items()
    ],
)
both_positions = pytest.mark.parametrize("knows_again", [True, False], ids=["deduplication", "no deduplication"])


@pytest.fixture
def company(company):
    """A company that sends to Meta alone."""
    company.use_meta_alone()
    return company


def sold(company, *numbers):
    """Serve leads won the day before, each with a Schedule and a Purchase to send."""
    yesterday = company.clock.now() - A_DAY
    for number in numbers:
        clicks = f"fbclid={company.fbclid(number)}"
        created = yesterday - timedelta(days=2)
        company.serve(company.lead(number, ("Gagné", yesterday), created=created, clicks=clicks))


def times_counted(company):
    """How often each conversion of each lead counts at Meta."""
    return Counter(company.taken("meta"))


def flagged(company):
    """The conversions that the ledger flags as possible duplicates."""
    return {name for name, row in company.deliveries("meta").items() if row.may_count_twice}


def nothing_is_lost(company):
    """Assert that everything is accepted on both sides and that every duplicate is flagged."""
    times = times_counted(company)
    assert {"accepted"} == set(company.states("meta").values())
    assert set(company.states("meta")) == set(times)
    assert {name for name, count in times.items() if count > 1} <= flagged(company)
    assert [] == company.disagreements()


@both_positions
@each_loss
def test_lost_answer_is_replayed_and_flagged(company, loss, knows_again):
    """Only what Meta had counted and does not deduplicate counts twice."""
    company.sandbox.meta.set_switch("meta_deduplication", knows_again)
    sold(company, 1, 2)
    company.fail("meta", **loss)

    summary = company.night()

    assert 0 == summary.exit_code
    nothing_is_lost(company)
    first_upload = {("L-1", "appointment"), ("L-2", "appointment")}
    assert first_upload == flagged(company)
    assert 2 == summary.standing["appointment", "meta", "accepted", "may_count_twice"]
    doubles = {name for name, count in times_counted(company).items() if count == 2}
    assert (first_upload if loss in COUNTED and not knows_again else set()) == doubles


@both_positions
def test_answer_counting_no_events_is_not_an_acceptance(company, knows_again):
    """The events become `in_doubt`, and go again once another upload has been answered."""
    company.sandbox.meta.set_switch("meta_deduplication", knows_again)
    sold(company, 1, 2)
    company.sandbox.meta.set_switch("meta_received", "none")

    summary = company.night()

    assert 0 == summary.exit_code
    nothing_is_lost(company)
    assert {("L-1", "appointment"), ("L-2", "appointment")} == flagged(company)
    assert {1} == set(times_counted(company).values())


@pytest.mark.parametrize(
    "knows_again",
    [
        pytest.param(True, id="deduplication", marks=pytest.mark.exhaustive),
        pytest.param(False, id="no deduplication"),
    ],
)
def test_five_failing_nights_lose_nothing(company, knows_again):
    """Duplicates appear only where Meta does not deduplicate."""
    company.sandbox.meta.set_switch("meta_deduplication", knows_again)
    codes = []
    for night, (loss, strikes) in enumerate(zip(LOSSES.values(), STRIKES, strict=True)):
        sold(company, 2 * night, 2 * night + 1)
        company.fail("meta", count=strikes, **loss)
        codes.append(company.night(company.START + night * A_DAY).exit_code)
        codes.append(company.later().exit_code)
    company.heal()
    company.later()

    assert {0, 3} == set(codes)
    nothing_is_lost(company)
    assert 20 == len(times_counted(company))
    assert knows_again == (max(times_counted(company).values()) == 1)
    assert {name for name in company.states("meta") if name not in flagged(company)}


@pytest.mark.parametrize("loss", suite.mostly_exhaustive(LOSSES, "cut after it was counted", "a page with 200"))
def test_in_doubt_ask_sends_nothing_again(company, loss):
    """Without a human's decision there are no duplicates, and every run reports the events `in_doubt`."""
    company.settings["meta"]["in_doubt"] = "ask"
    company.sandbox.meta.set_switch("meta_deduplication", False)
    sold(company, 1, 2)
    company.fail("meta", **LOSSES[loss])

    summaries = [company.night(), company.later(), company.later(A_DAY)]

    for summary in summaries:
        assert 1 == summary.exit_code
        assert 2 == summary.in_doubt == summary.waiting_for_a_human
        assert any("`in_doubt: ask`" in sentence for sentence in attention(summary))
        assert {} == stops(summary)
    doubtful = {("L-1", "appointment"), ("L-2", "appointment")}
    assert doubtful == {name for name, state in company.states("meta").items() if state == "in_doubt"}
    assert 3 == len(company.times("meta", EVENTS))  # after the lost one, one sale alone shows that Meta answers
    assert {1} == set(times_counted(company).values())
    assert set() == flagged(company)
    assert [] == company.disagreements(unanswered=("in_doubt",))


@both_positions
@pytest.mark.parametrize("loss", [CUT_AFTER, PAGE], ids=["counted before", "not counted before"])
def test_resend_within_48_hours_replays_flagged_events(company, loss, knows_again):
    """The same events go out again."""
    company.settings["meta"]["in_doubt"] = "ask"
    company.sandbox.meta.set_switch("meta_deduplication", knows_again)
    sold(company, 1)
    company.fail("meta", **loss)
    company.night()

    company.settings["meta"]["in_doubt"] = "resend"
    summary = company.later(timedelta(hours=47))

    assert 0 == summary.exit_code
    assert {("L-1", "appointment")} == flagged(company)
    nothing_is_lost(company)
    expected = 2 if loss in COUNTED and not knows_again else 1
    assert {("L-1", "appointment"): expected, ("L-1", "sale"): 1} == times_counted(company)


@pytest.mark.parametrize("says", ["ask", "resend"])
def test_events_in_doubt_become_unconfirmed_after_48_hours(company, says):
    """A later copy would count twice: the run reports them once and never sends them again."""
    company.settings["meta"]["in_doubt"] = "ask"
    company.sandbox.meta.set_switch("meta_deduplication", False)
    sold(company, 1)
    company.fail("meta", **CUT_AFTER)
    company.night()

    company.settings["meta"]["in_doubt"] = says
    summary = company.later(timedelta(hours=48, minutes=1))

    assert 1 == summary.exit_code == summary.unconfirmed
    assert {("L-1", "appointment"): "unconfirmed", ("L-1", "sale"): "accepted"} == company.states("meta")
    assert 0 == company.later(A_DAY).exit_code
    assert 2 == len(company.posts)
    assert {1} == set(times_counted(company).values())
    assert [] == company.disagreements(unanswered=("unconfirmed",))


@both_positions
def test_replays_stop_after_48_hours(company, knows_again):
    """Even Meta's deduplication would end then."""
    company.sandbox.meta.set_switch("meta_deduplication", knows_again)
    sold(company, 1)
    company.fail("meta", count=FOREVER, **CUT_AFTER)

    codes = [company.night().exit_code, company.later(A_DAY).exit_code, company.later(A_DAY).exit_code]
    company.heal()
    company.later(A_DAY)

    assert [3, 1, 1] == codes  # the third night sends nothing more and reports it
    assert {"unconfirmed"} == set(company.states("meta").values())
    times = {name: len(company.sent("meta")[row.key]) for name, row in company.deliveries("meta").items()}
    assert {("L-1", "appointment"): 3, ("L-1", "sale"): 3} == times
    assert [] == company.disagreements(unanswered=("unconfirmed",))
    assert {("L-1", "appointment"), ("L-1", "sale")} == flagged(company)
