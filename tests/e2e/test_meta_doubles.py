"""Lost answers of Meta, which does not promise to know an event again: nothing is lost, and every double is told."""

from collections import Counter
from datetime import timedelta

import pytest

from tests import suite
from tests.builders import attention, stops

A_DAY = timedelta(days=1)
FOREVER = 1_000
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
"""Where Meta has counted what nobody heard of."""
IN_VAIN = 3
"""Uploads until a platform that answers none is left alone: each by something else, for each copy may count."""
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
    """Have leads that were won the day before, each with a Schedule and a Purchase to be told."""
    yesterday = company.clock.now() - A_DAY
    for number in numbers:
        clicks = f"fbclid={company.fbclid(number)}"
        created = yesterday - timedelta(days=2)
        company.serve(company.lead(number, ("Gagné", yesterday), created=created, clicks=clicks))


def times_counted(company):
    """How often each conversion of each lead counts at Meta."""
    return Counter(company.taken("meta"))


def flagged(company):
    """The conversions that the ledger says may count twice."""
    return {name for name, row in company.deliveries("meta").items() if row.may_count_twice}


def nothing_is_lost(company):
    """Everything is accepted on both sides, and whatever counts twice is told."""
    times = times_counted(company)
    assert {"accepted"} == set(company.states("meta").values())
    assert set(company.states("meta")) == set(times)
    assert {name for name, count in times.items() if count > 1} <= flagged(company)
    assert [] == company.disagreements()


@both_positions
@each_loss
def test_an_answer_that_is_lost_once(company, loss, knows_again):
    """The same bytes go again at once, flagged; only what Meta had counted, and does not know again, counts twice."""
    company.sandbox.meta.switch("meta_deduplication", knows_again)
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
def test_an_answer_that_counts_none_of_the_events(company, knows_again):
    """It is no acceptance: the events are in doubt, and go again once something else has been answered."""
    company.sandbox.meta.switch("meta_deduplication", knows_again)
    sold(company, 1, 2)
    company.sandbox.meta.switch("meta_received", "none")

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
def test_bad_nights(company, knows_again):
    """After five bad nights nothing is lost, and only where Meta does not know an event again are there doubles."""
    company.sandbox.meta.switch("meta_deduplication", knows_again)
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
def test_bad_nights_where_a_human_is_asked(company, loss):
    """Without a human's word no event is sent again: there are no doubles, and what is in doubt is told every night."""
    company.settings["meta"]["in_doubt"] = "ask"
    company.sandbox.meta.switch("meta_deduplication", False)
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
    assert 3 == len(company.times("meta"))  # after the lost one, one sale alone shows that Meta answers
    assert {1} == set(times_counted(company).values())
    assert set() == flagged(company)
    assert [] == company.disagreements(unanswered=("in_doubt",))


@both_positions
@pytest.mark.parametrize("loss", [CUT_AFTER, PAGE], ids=["counted before", "not counted before"])
def test_a_human_who_says_resend_in_time(company, loss, knows_again):
    """Within 48 hours the same bytes go out again, flagged."""
    company.settings["meta"]["in_doubt"] = "ask"
    company.sandbox.meta.switch("meta_deduplication", knows_again)
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
def test_a_human_who_says_nothing_in_time(company, says):
    """After 48 hours it would count twice: it is unconfirmed, told once, and never sent again."""
    company.settings["meta"]["in_doubt"] = "ask"
    company.sandbox.meta.switch("meta_deduplication", False)
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
def test_answers_lost_for_more_than_two_days(company, knows_again):
    """What is sent again night after night is sent no more after 48 hours, when even deduplication would end."""
    company.sandbox.meta.switch("meta_deduplication", knows_again)
    sold(company, 1)
    company.fail("meta", count=FOREVER, **CUT_AFTER)

    codes = [company.night().exit_code, company.later(A_DAY).exit_code, company.later(A_DAY).exit_code]
    company.heal()
    company.later(A_DAY)

    assert [3, 1, 1] == codes  # on the third night nothing goes out any more, and a human is told
    assert {"unconfirmed"} == set(company.states("meta").values())
    times = {name: len(company.sent("meta")[row.key]) for name, row in company.deliveries("meta").items()}
    assert {("L-1", "appointment"): 3, ("L-1", "sale"): 2} == times
    assert [] == company.disagreements(unanswered=("unconfirmed",))
    assert {("L-1", "appointment"), ("L-1", "sale")} == flagged(company)
