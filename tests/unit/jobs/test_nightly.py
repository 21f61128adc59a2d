"""A night, from its first page to its exit code."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select

from connectors.errors import Misconfigured, Transient, Unreachable, WrongClock
from connectors.records import ClickId, ClickIdKind, Outcome, OutcomeClass, PartlyRefused, UnreadableLead
from jobs.ledger.schema import Run, Start
from jobs.nightly import rehearse, run_night
from jobs.plan.new_settings import RenamedIdError
from jobs.reporting.sentences import message_in_words
from jobs.rules.model import DedupRule, DedupScope
from jobs.run_context import RunReadingScope, SyncMode
from tests import fakes
from tests.builders import CREATED, GOOGLE, REACH, attention, changed, from_field, lead, route, rulebook
from tests.fakes import DONE, NIGHT, Crash, FakeSink

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def answering(account, *outcomes):
    """Answer at once, with the same outcome for every row."""
    account.sink.asynchronous = False
    account.sink.verdict = lambda _event: outcomes[0]


def test_quiet_night_exits_with_0(account):
    """Everything that could be done was done."""
    account.put(lead())

    assert 0 == account.night().exit_code


def test_second_night_resolves_what_the_first_one_sent(account):
    """It sends nothing again."""
    account.put(lead())
    account.night()
    account.clock.time += DAY
    summary = account.night()

    assert ({"L-1": "accepted"}, 1, 0) == (account.states, len(account.sink.calls), summary.exit_code)


def test_withheld_deliveries_alone_exit_with_0(account):
    """Marketing reads the reasons; no alarm is raised."""
    account.put(lead(click_ids=()), lead("L-2", fields={}))
    summary = account.night()

    assert ({"withheld"}, 0) == (set(account.states.values()), summary.exit_code)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (OutcomeClass.DONE, 0),
        (OutcomeClass.DEFER, 0),
        (OutcomeClass.EXPIRED, 0),
        (OutcomeClass.DROP_EXPECTED, 0),
        (OutcomeClass.DROP, 0),
        (OutcomeClass.FIX_DATA, 1),
        (OutcomeClass.DUPLICATE, 1),
        (OutcomeClass.UNKNOWN, 1),
        (OutcomeClass.RETRY, 3),
        (OutcomeClass.FIX_CONFIG, 3),
        (OutcomeClass.BUG, 3),
    ],
)
def test_outcome_class_determines_the_exit_code(account, kind, code):
    """1 means that a human is needed, 3 that something stopped."""
    answering(account, Outcome(kind, "CODE"))
    account.put(lead())

    assert code == account.night().exit_code


def test_answer_lost_in_every_attempt_exits_with_3_in_doubt(account):
    """The stopped destination outweighs the delivery in doubt."""
    account.put(lead())
    account.sink.script.extend([fakes.lost_after] * 5)
    summary = account.night()

    assert (3, 1) == (summary.exit_code, summary.in_doubt)


def test_partly_refused_outcomes_exit_with_1(account):
    """Someone has to look up which rows were refused."""
    account.put(lead("L-1"), lead("L-2"))
    account.night()
    account.clock.time += DAY
    account.sink.status.append(PartlyRefused(1, 2, ("BAD",)))
    summary = account.night()

    assert 1 == summary.exit_code
    assert "partly refused (1 of 2: BAD)" in attention(summary)[0]


def test_rejection_raises_an_alarm_only_on_its_own_night(account):
    """The next night has nothing new to report."""
    answering(account, Outcome(OutcomeClass.FIX_DATA, "X"))
    account.put(lead())

    assert [1, 0] == [account.night().exit_code, account.night().exit_code]


def test_unreadable_leads_exit_with_1(account):
    """They are counted, and the others are processed."""
    account.put(lead())
    account.source.unreadable = (UnreadableLead("L-9", "no createdAt"),)
    summary = account.night()

    assert (1, {"L-1": "submitted"}) == (summary.exit_code, account.states)


@pytest.mark.parametrize(("clicked", "code"), [(True, 1), (False, 0)])
def test_unknown_status_of_leads_with_click_ids_raises_an_alarm(account, clicked, code):
    """It may hide a sale; without a click id nothing could be sent anyway."""
    strange = lead(label="Vendu !", history=(), **({} if clicked else {"click_ids": ()}))
    account.put(strange)
    summary = account.night()

    assert (code, [("Vendu !", 1, int(clicked))]) == (summary.exit_code, summary.unknown_labels)


def test_unreadable_lead_raises_an_alarm_once_and_then_stands(account):
    """Only what is new raises an alarm, and another lead is new again."""
    codes = []
    for names in (["L-8"], ["L-8"], ["L-8", "L-9"], ["L-8", "L-9"]):
        account.source.unreadable = tuple(UnreadableLead(name, "no createdAt") for name in names)
        summary = account.night()
        codes.append((summary.exit_code, summary.review.unreadable, summary.review.unreadable_before))

    assert [(1, 1, 0), (0, 0, 1), (1, 1, 1), (0, 0, 2)] == codes
    assert ["2 leads still cannot be read: `status` lists them"] == list(
        map(message_in_words, summary.review.still_valid_messages)
    )


@pytest.mark.parametrize(("style", "left"), [(SyncMode.LIST, 0), (SyncMode.DETAILS, 1)])
def test_unreadable_lead_is_gone_once_a_reading_that_shows_all_does_not_show_it(account, style, left):
    """In details mode, its own page need not have been looked at."""
    account.sync_window = replace(REACH, style=style)
    account.source.unreadable = (UnreadableLead("L-9", "no createdAt"),)
    account.put(lead())
    account.night()
    account.source.unreadable = ()
    account.clock.time += DAY

    assert left == account.night().review.unreadable_before


def test_lead_that_becomes_unreadable_again_raises_a_new_alarm(account):
    """The night without it was its recovery."""
    codes = []
    for broken in (True, False, True):
        account.source.unreadable = (UnreadableLead("L-1", "no createdAt"),) if broken else ()
        if not broken:
            account.put(lead())
        codes.append(account.night().exit_code)

    assert [1, 0, 1] == codes


def test_unknown_status_of_more_leads_raises_a_new_alarm(account):
    """A known condition raises no alarm by itself."""
    codes = []
    for count in (1, 1, 2, 2):
        account.put(*[lead(f"L-{number}", label="Vendu !", history=()) for number in range(count)])
        summary = account.night()
        codes.append(summary.exit_code)

    assert [1, 0, 1, 0] == codes
    assert ["still in neither `stages` nor `ignored_statuses`: 'Vendu !'"] == list(
        map(message_in_words, summary.review.still_valid_messages)
    )


def test_waiting_for_outcomes_keeps_an_alarm_new(account):
    """A run reports an alarm as new however often it resolves."""
    account.put(lead())
    account.source.unreadable = (UnreadableLead("L-9", "no createdAt"),)
    with account.hold() as ledger:
        summary = run_night(account.run(ledger), wait=timedelta(hours=1))

    assert 1 == summary.exit_code


@pytest.mark.parametrize("error", [Misconfigured("401"), Transient("503")])
def test_failed_source_does_not_block_due_deliveries(account, error):
    """Leads read before the failure are planned and sent; the exit code is 3."""
    account.source.page = 1
    account.put(lead("L-1"), lead("L-2"))
    account.source.fails = {1: error}
    summary = account.night()

    assert (3, (str(error),), {"L-1": "submitted"}) == (
        summary.exit_code,
        summary.source_stopped.answers,
        account.states,
    )


def test_stopped_destination_outweighs_an_alarm(account):
    """3 takes precedence over 1."""
    account.put(lead())
    account.source.unreadable = (UnreadableLead("L-9", "no createdAt"),)
    account.sink.script.append(fakes.refuse(OutcomeClass.FIX_CONFIG))

    assert 3 == account.night().exit_code


def test_a_refused_outcome_holds_up_no_conversion(account):
    """Only the request that it concerns waits, and is asked about again."""
    account.put(lead())
    account.night()
    account.clock.time += DAY
    account.put(lead("L-2"))
    account.sink.status.append(Misconfigured("token refused"))
    summary = account.night()

    assert (0, 2) == (summary.exit_code, len(account.sink.calls))


def test_outcomes_are_resolved_before_leads_are_planned(account):
    """A delivery rejected for its data and corrected since is sent on the same night."""
    account.book = rulebook(route(field_value=from_field()))
    account.put(lead())
    account.sink.verdict = lambda _event: Outcome(OutcomeClass.FIX_DATA, "BAD")
    account.night()
    account.clock.time += DAY
    account.sink.verdict = lambda _event: DONE
    account.put(changed(lead(), fields={"consent": "oui", "amount": "1 200,50 €"}))
    account.night()

    assert ["submitted", "rejected", "pending", "in_flight", "submitted"] == [
        state for state, _ in account.causes("L-1")
    ][2:]


def test_renamed_conversion_stops_the_night_before_reading_or_sending(account):
    """Otherwise every sale would be sent twice."""
    account.put(lead())
    account.night()
    account.book = rulebook(route("vente"))
    with pytest.raises(RenamedIdError):
        account.night()

    assert (1, 1) == (len(account.sink.calls), len(account.source.calls))


def test_crashed_night_is_recovered_by_the_next(account):
    """Deliveries in flight are replayed once."""
    account.put(lead())
    account.sink.script.append(fakes.crash_after)
    with pytest.raises(Crash):
        account.night()
    summary = account.night()

    assert (1, {"L-1": "submitted"}) == (summary.recovered, account.states)
    assert [1] == list(account.sink.counted.values())
    assert ["lost", "received"] == account.requests


def test_rehearsal_resolves_and_sends_nothing(account):
    """It plans all the same."""
    account.put(lead())
    with account.hold() as ledger:
        summary = rehearse(account.run(ledger))

    assert ({"L-1": "pending"}, [], [], 0) == (
        account.states,
        account.sink.calls,
        account.sink.asked,
        summary.exit_code,
    )


@pytest.mark.parametrize(("minutes", "state"), [(29, "submitted"), (30, "accepted"), (45, "accepted")])
def test_wait_ends_with_the_outcomes_or_the_time_limit(account, minutes, state):
    """No run waits longer than it was asked to."""
    account.put(lead())
    with account.hold() as ledger:
        run_night(account.run(ledger), wait=timedelta(minutes=minutes))

    assert ({"L-1": state}, True) == (account.states, account.clock.now() <= NIGHT + timedelta(minutes=minutes))


def test_every_night_is_a_separate_run(account):
    """Each has its own number and lease epoch."""
    account.night()
    account.night()

    assert [1, 2] == [row.epoch for row in account.rows(Run)][:2]


@pytest.mark.parametrize("how", ["replays", "consent", "time"])
def test_unconfirmed_delivery_exits_with_1(account, how):
    """Someone has to look them up, whichever step gave them up."""
    account.put(lead())
    account.sink.script.extend([fakes.lost_after] * 5)
    account.night()
    if how == "replays":
        for _ in range(3):
            account.sink.script.extend([fakes.lost_after] * 5)
            account.clock.time += DAY
            account.night()
    elif how == "consent":
        account.put(changed(lead(), fields={"consent": "non"}))
    else:
        account.sinks.clear()
        account.book = rulebook(route("quote", labels=frozenset({"devis"}), destination="x"), was={"quote": None})
        account.sinks["x"] = FakeSink()
        account.clock.time += 46 * DAY
    summary = account.night()

    assert {"unconfirmed"} == {row.state for row in account.rows()}
    assert 1 == summary.exit_code


def test_summary_counts_deliveries_by_state_and_reason(account):
    """The counts are per conversion and destination."""
    account.put(lead("L-1"), lead("L-2", click_ids=()), lead("L-3", created_at=CREATED, history=(), label="Nouveau"))
    summary = account.night()

    assert {("sale", GOOGLE, "submitted", ""): 1, ("sale", GOOGLE, "withheld", "no_click_id"): 1} == summary.standing


@pytest.mark.parametrize(
    ("kind", "nights"), [(OutcomeClass.RETRY, [0, 0, 1, 1]), (OutcomeClass.DEFER, [0, 0, 0, 1])], ids=["retry", "defer"]
)
def test_repeated_deferral_is_reported(account, kind, nights):
    """A retryable row is sent again on the night that resolves it, a too recent one on the next."""
    account.put(lead("L-1"), lead("L-2"))
    account.sink.verdict = lambda event: Outcome(kind, "LATER") if b"gclid-of-L-1" in event.body else DONE
    told = []
    for _ in range(4):
        told.append([sentence for sentence in attention(account.night()) if "put off" in sentence])
        account.clock.time += 8 * HOUR
    account.sink.verdict = lambda _event: DONE
    account.clock.time += DAY
    account.night()
    account.clock.time += DAY

    assert nights == list(map(len, told))
    assert "1 put off by the platform again (lead L-1)" in told[3][0]
    assert 0 == account.night().exit_code


# ── wrong clocks ─────────────────────────────────────────────────────────────────────────────────

YEAR = 365 * DAY
WRONG = "Oplead's clock says otherwise"


@pytest.fixture
def waiting(account):
    """Return an account with a withheld conversion, one in doubt and one that was submitted."""
    account.put(lead("L-1", click_ids=()), lead("L-2"))
    account.night()
    account.clock.time += DAY
    account.put(lead("L-3"))
    account.sink.script.extend([fakes.lost_after] * 5)
    account.night()
    account.clock.time += DAY
    assert {"L-1": "withheld", "L-2": "accepted", "L-3": "in_doubt"} == account.states
    return account


@pytest.mark.parametrize("wrong", [YEAR, -YEAR])
@pytest.mark.parametrize(
    "reading", [RunReadingScope.EVERYTHING, RunReadingScope.NOTHING], ids=["a night", "asking for outcomes"]
)
@pytest.mark.parametrize(
    "error",
    [WrongClock(WRONG), Unreachable("no route"), Misconfigured("an answer too large to be read")],
    ids=["told by Oplead", "not told", "refused unread"],
)
def test_clock_a_year_off_stops_the_night_unchanged(waiting, wrong, reading, error):
    """Nothing is sent; earlier readings reveal the error if Oplead cannot."""
    states, calls, right = waiting.states, len(waiting.sink.calls), waiting.clock.time
    waiting.clock.time += wrong
    waiting.source.fails = {0: error}

    with pytest.raises(WrongClock):
        waiting.night(reading=reading)

    assert (states, calls) == (waiting.states, len(waiting.sink.calls))
    waiting.clock.time, waiting.source.fails = right, {}
    waiting.night()
    assert {"L-1": "withheld", "L-2": "accepted", "L-3": "submitted"} == waiting.states


def test_first_run_with_a_wrong_clock_records_no_start(account):
    """Otherwise everything would lie before the start for a year."""
    account.book = replace(account.book, routes=tuple(replace(each, since=None) for each in account.book.routes))
    account.clock.time = NIGHT + YEAR
    account.source.fails = {0: WrongClock(WRONG)}
    with pytest.raises(WrongClock):
        account.night()

    account.clock.time = NIGHT
    account.night()

    with account.hold() as ledger, ledger.read_transaction() as session:
        assert {NIGHT} == {each.since for each in session.exec(select(Start))}


def test_unreachable_source_does_not_block_sending_for_a_few_days(waiting):
    """The clock is trusted in the meantime."""
    waiting.clock.time += 2 * DAY
    waiting.source.fails = {0: Unreachable("no route")}

    assert 3 == waiting.night().exit_code
    assert "submitted" == waiting.states["L-3"]


@pytest.mark.parametrize("once_per_click", [False, True])
@pytest.mark.parametrize("first_answer", [DONE, Outcome(OutcomeClass.DEFER, "LATER")])
def test_a_conversion_is_not_sent_again_by_a_click_chosen_later(account, once_per_click, first_answer):
    """A later click, seen after the first night, still came before the change; the key names lead and conversion."""
    once = DedupRule(DedupScope.CLICK, 30 * DAY) if once_per_click else None
    account.rules = rulebook(route(once=once))
    first, later = (
        ClickId(ClickIdKind.GCLID, name, at) for name, at in (("first", CREATED), ("later", CREATED + HOUR))
    )
    known = lead(click_ids=(first,))
    account.put(known)
    answering(account, first_answer)
    account.night()
    account.put(changed(known, click_ids=(later, first)))
    for _night in range(3):
        account.clock.time += DAY
        account.night()

    sent = [event for call in account.sink.calls for event in call.events]
    assert {sent[0].key} == {event.key for event in sent}
    assert 1 == len(account.rows())
    assert (first_answer is DONE) == (len(sent) == 1)
