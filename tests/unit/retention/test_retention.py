"""Leads to which nothing has happened for long leave; what they came to stays, and they never count twice."""

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from types import SimpleNamespace

import pytest
from sqlalchemy import update

from connectors.errors import Transient
from connectors.language import format_time
from connectors.records import Moment, StatusEntry, UnreadableLead, Utm
from jobs.account import night as commands
from jobs.alerts.incidents import NightFacts, detect_incidents, is_incident_over
from jobs.cancellation import StoppedBySignal
from jobs.cli.night.approved_send import Backfill
from jobs.exit_codes import Exit, UsageError
from jobs.ledger.outbox.backfill_and_retry import BackfillRequest
from jobs.ledger.retention import retention
from jobs.ledger.schema import (
    Attempt,
    Delivery,
    ExcludedTestLead,
    ExpectedValue,
    IncidentRow,
    LeadRow,
    MonthlyCampaign,
    MonthlySales,
    PlatformStatementRow,
    Request,
    RetentionMark,
    Run,
    StatusChange,
    Transition,
    UnreadableLeadRow,
)
from jobs.plan.expected_values import all_leads_known_since
from jobs.privacy import retention as erasing
from jobs.privacy.forget import forget_leads
from jobs.reporting.page.leads import archive
from jobs.reporting.sentences import incident_notice, message_in_words
from jobs.rules.incident import IncidentId, IncidentKind
from jobs.rules.reasons import MessageKind
from jobs.run_context import RunReadingScope, SyncMode
from jobs.run_summary import RunSummary
from jobs.settings.schema import NotificationThresholds
from jobs.wiring.account import compile_rules_only
from tests.builders import ACCOUNT, PARIS, attention, changed, lead
from tests.fakes import NIGHT, Crash

DAY = timedelta(days=1)
LONG = timedelta(days=430)
"""A little longer than leads are kept."""
NOT_ERASED = IncidentId(IncidentKind.NOT_ERASED)


def sold(name, created=NIGHT, *, amount=Decimal(1000), **over):
    """A lead that is won five days after its creation."""
    won = created + 5 * DAY
    history = (StatusEntry("Nouveau", Moment(created)), StatusEntry("Gagné", Moment(won)))
    plain = {"created_at": created, "updated_at": won, "history": history, "utm": Utm("google", "cpc", "spring")}
    return lead(name, **plain | {"fields": {"consent": "oui", "amount": amount}} | over)


def later(account, span):
    """Let time pass; after a long pause, nothing is erased before the second night."""
    if span > erasing.LONGEST_PAUSE:
        account.clock.time += span - DAY
        account.night()
        span = DAY
    account.clock.time += span
    return account.clock.time


def sent_and_gone(account):
    """Have a lead sold, sent and accepted, and then leave."""
    account.night()
    later(account, 6 * DAY)
    account.put(sold("L-1"))
    account.night()
    later(account, DAY)
    account.night()
    assert {"L-1": "accepted"} == account.states
    later(account, LONG)
    return account.night()


def test_a_lead_leaves_once_nothing_has_happened_to_it_for_long(account):
    """With it goes all that is known of it; how many left is on record."""
    summary = sent_and_gone(account)

    assert 1 == summary.erased.leads
    assert [] == [row for table in (LeadRow, Delivery, StatusChange, Transition) for row in account.rows(table)]
    (mark,) = account.rows(RetentionMark)
    assert (1, account.clock.now() - timedelta(days=426)) == (mark.leads, mark.before)


def test_a_lead_that_left_and_then_changes_is_not_sent_again(account):
    """The ledger no longer knows its key, so it must not take the lead for new, however it is read."""
    sent_and_gone(account)
    again = changed(sold("L-1"), updated_at=account.clock.now(), fields={"consent": "oui", "amount": Decimal(7000)})
    account.put(again)
    later(account, DAY)
    summary = account.night()
    later(account, DAY)
    account.night()

    assert (1, 0) == (summary.pulled.too_old, len(account.rows(LeadRow)))
    assert 1 == len(account.sink.calls)


@pytest.mark.parametrize("style", SyncMode)
@pytest.mark.parametrize("dates_entries", [True, False])
def test_no_way_of_reading_brings_a_lead_back(account, style, dates_entries):
    """Nor is it read in full where the list says when it was created."""
    sent_and_gone(account)
    account.sync_window = account.sync_window.__class__(style, timedelta(days=3), timedelta(hours=4))
    account.source.dates_entries = dates_entries
    account.source.read_whole.clear()
    account.put(changed(sold("L-1"), updated_at=account.clock.now()))
    for _ in range(3):
        later(account, DAY)
        account.night()

    assert ([], 1) == (account.rows(LeadRow), len(account.sink.calls))
    read = len(account.source.read_whole) + len(account.source.asked)
    assert read == 0 if dates_entries else read <= 1


def test_a_lead_on_record_is_read_however_old_it_is(account):
    """It was kept because something happened to it; whatever happens next counts."""
    old = sold("L-0", label="Nouveau", history=(StatusEntry("Nouveau", Moment(NIGHT)),), updated_at=NIGHT)
    account.put(old)
    account.night()
    later(account, timedelta(days=400))
    account.put(changed(old, updated_at=account.clock.now()))
    account.put(sold("L-1"))
    account.night()
    later(account, timedelta(days=40))
    account.night()
    assert ["L-0"] == [row.id for row in account.rows(LeadRow)]
    account.put(changed(old, updated_at=account.clock.now(), label="Gagné"))
    account.night()

    assert "gagne" in {row.label for row in account.rows(StatusChange)}


def old_leads(account, **columns):
    """The leads that would leave, if every delivery had these columns."""
    with account.hold() as ledger, ledger.write_transaction() as session:
        session.exec(update(Delivery).values(**columns))
        now = account.clock.now()
        old = retention.old_leads(session, ledger.account, before=now - LONG / 2, now=now, after=None, limit=9)
    return [name for _, name in old]


def test_what_is_still_to_be_sent_or_answered_keeps_its_lead(account):
    """It may still need what is known of it; so does what is held, until its window closes."""
    account.put(sold("L-1"))
    later(account, 6 * DAY)
    account.night()
    later(account, LONG)
    now = account.clock.now()

    for state in ("pending", "in_flight", "submitted", "in_doubt"):
        assert [] == old_leads(account, state=state)
    assert [] == old_leads(account, state="withheld", expires_at=now + DAY)
    for state in ("accepted", "rejected", "expired", "cancelled", "unconfirmed", "skipped"):
        assert ["L-1"] == old_leads(account, state=state)
    assert ["L-1"] == old_leads(account, state="withheld", expires_at=now - DAY)
    assert [] == old_leads(account, at=now - DAY)


def test_nothing_leaves_after_a_night_that_did_not_read_everything(account):
    """What changed in Oplead may not have been read yet."""
    account.put(sold("L-1"))
    account.night()
    later(account, LONG + 6 * DAY)
    account.source.page = 1
    account.put(sold("L-2", account.clock.now()))
    account.source.fails[1] = Transient("no answer")
    summary = account.night()

    assert (0, 1) == (summary.erased.leads, len(account.rows(LeadRow)))
    later(account, DAY)
    assert 1 == account.night().erased.leads


def test_the_mark_never_moves_back(account, keeping):
    """Whoever keeps leads for longer from now on does not get back those that left: they would be sent again."""
    sent_and_gone(account)
    keeping(account, "retention: { leads: 3 y }")
    (before,) = account.rows(RetentionMark)
    with account.hold() as ledger, ledger.write_transaction() as session:
        now = account.clock.now()
        retention.advance_retention_mark(session, ledger.account, now - timedelta(days=3 * 365), now=now)
    account.put(changed(sold("L-1"), updated_at=account.clock.now()))
    later(account, DAY)
    account.night()
    (after,) = account.rows(RetentionMark)

    assert (before.before, []) == (after.before, account.rows(LeadRow))
    assert 1 == len(account.sink.calls)


def test_the_windows_of_platforms_come_before_the_settings(account):
    """A lead stays as long as it or another one whose click counts once with its may be sent."""
    (sale,) = account.settings.conversions
    once = sale.model_copy(update={"count_once_per": "click", "within": 400 * DAY})
    book = compile_rules_only(account.settings.model_copy(update={"conversions": (once,)}))

    assert [90 * DAY, 490 * DAY] == [erasing.retention_needed_for_sending(each) for each in (account.book, book)]
    account.book = book
    assert 0 == sent_and_gone(account).erased.leads
    later(account, timedelta(days=490) - LONG)
    assert 1 == account.night().erased.leads


def test_an_unreadable_lead_that_may_have_left_is_not_reported(account):
    """Nobody can do anything about it, and it would be there every night."""
    sent_and_gone(account)
    account.source.unreadable = (
        UnreadableLead("L-1", "no status", NIGHT),
        UnreadableLead("L-2", "no status", account.clock.now()),
    )
    account.night()

    assert ["L-2"] == [row.id for row in account.rows(UnreadableLeadRow)]


def test_estimates_look_back_no_further_than_all_leads_are_on_record(account):
    """Of those that entered a stage before, only those that got on are left: the share won would seem higher."""
    sent_and_gone(account)
    now = account.clock.now()
    with account.hold() as ledger, ledger.read_transaction() as session:
        found = [all_leads_known_since(session, ledger.account, now - age * DAY) for age in (730, 100)]

    assert [now - 426 * DAY, now - 100 * DAY] == found


def test_a_backfill_that_reaches_back_to_leads_that_left_is_refused(account):
    """What was sent of them is no longer known."""
    sent_and_gone(account)
    before = account.clock.now() - 426 * DAY
    first = (before + DAY).date()

    def asked(start):
        return SimpleNamespace(request=BackfillRequest(start, start + DAY), settings=account.settings)

    with account.hold() as ledger:
        Backfill._expect_leads_on_record(asked(before + DAY), ledger)
        with pytest.raises(UsageError, match=f"--from must be {first} or later: leads to which nothing had happened"):
            Backfill._expect_leads_on_record(asked(before - DAY), ledger)


def test_a_night_stands_even_if_nothing_can_be_erased(account, monkeypatch):
    """It says so, and the next one tries again."""
    account.put(sold("L-1"))
    monkeypatch.setattr(commands, "erase_by_age", lambda *_: 1 / 0)
    summary = account.night(erases=False)
    with account.hold() as ledger:
        commands.erase_old(account.run(ledger), account.settings, summary)

    assert (MessageKind.NOT_ERASED, Exit.BUG) == (summary.erased.problem.id, summary.exit_code)
    assert any("could not be erased" in text for text in attention(summary))


# ── nights that erase nothing ────────────────────────────────────────────────────────────────────


def problem(summary):
    """Why a night did not erase what has grown old, as a person reads it."""
    return None if summary.erased.problem is None else message_in_words(summary.erased.problem)


def test_a_clock_far_ahead_erases_nothing_and_a_human_is_told(account):
    """Every lead would seem old; nor does it help to run again at once, or to set the clock right."""
    account.put(sold("L-1"))
    account.night()
    right = later(account, DAY)
    account.night()
    later_on = account.clock.time = right + 730 * DAY
    ahead = account.night()
    account.clock.time += timedelta(minutes=5)
    again = account.night()
    account.clock.time = right + DAY
    back = account.night()
    account.clock.time += DAY
    well = account.night()

    assert (["L-1"], []) == ([row.id for row in account.rows(LeadRow)], account.rows(RetentionMark))
    assert {1} == {ahead.exit_code, again.exit_code, back.exit_code}
    assert f"clock says {when(later_on)}, and the night before this one began {when(right)}" in problem(ahead)
    assert f"the night before this one began {when(right)}" in problem(again)
    assert f"the night before this one began {when(later_on + timedelta(minutes=5))}" in problem(back)
    assert None is problem(well)


def when(at):
    """A time as a message has it."""
    return format_time(at.astimezone(PARIS))


def test_a_job_that_paused_for_long_erases_from_its_second_night_on(account):
    """The first cannot tell the pause from a wrong clock."""
    account.put(sold("L-1"))
    account.night()
    account.clock.time += LONG + 6 * DAY
    first = account.night()
    account.clock.time += DAY
    second = account.night()

    assert (0, True) == (first.erased.leads, "if it is, the next night erases" in problem(first))
    assert (1, None) == (second.erased.leads, problem(second))


def test_a_job_that_runs_once_a_month_erases_every_night(account):
    """Its nights are up to 31 days apart, and some begin late."""
    account.put(sold("L-1"))
    account.night()
    for _ in range(15):
        account.clock.time += timedelta(days=31, hours=5)

        assert None is problem(account.night())

    assert [] == account.rows(LeadRow)


def test_a_first_night_erases_nothing_and_says_nothing(account):
    """It has no night to compare its clock with; the second one erases."""
    account.put(sold("L-1", NIGHT - LONG - 9 * DAY))
    first = account.night()
    account.clock.time += DAY
    second = account.night()

    assert (0, None) == (first.erased.leads, problem(first))
    assert 1 == second.erased.leads


def due_lead(account):
    """Have a lead that leaves with the next night that has read everything."""
    account.put(sold("L-1"))
    account.night()
    account.clock.time += LONG + 5 * DAY
    account.night()
    account.clock.time += DAY


def test_a_lead_that_a_shifting_list_passed_over_does_not_leave(account):
    """It was won meanwhile; once it had left, the night that lists it again would not read it."""
    due_lead(account)
    won = account.clock.time
    account.source.moves = True
    account.source.unlisted.add("L-1")
    summary = account.night()
    assert (0, True) == (summary.erased.leads, summary.pulled.complete)
    account.source.moves = False
    account.source.unlisted.clear()
    account.put(changed(account.source.leads["L-1"], updated_at=won, label="Perdu"))
    account.clock.time += DAY
    account.night()

    assert ["perdu"] == [row.label for row in account.rows(LeadRow)]


def test_a_list_that_shifted_on_the_first_night_of_a_pull_counts_on_its_last(account):
    """Each night of a pull sees only its own pages."""
    account.put(sold("L-1"))
    account.night()
    account.clock.time += LONG + 5 * DAY
    account.night()
    account.put(sold("L-2", account.clock.time))
    account.source.page, account.source.moves = 1, True
    account.source.fails[1] = Transient("no answer")
    account.clock.time += DAY
    account.night()
    account.source.moves = False
    account.source.fails.clear()
    account.clock.time += DAY
    summary = account.night()

    assert (True, True, 0) == (summary.pulled.complete, summary.pulled.moved, summary.erased.leads)


def test_a_human_is_told_once_leads_are_a_week_late(account):
    """Nights that never read everything never erase: a promise is broken, and nobody would know."""
    due_lead(account)
    account.put(sold("L-2", account.clock.time))
    account.source.page = 1
    nights = []
    for _ in range(10):
        account.source.fails[1] = Transient("no answer")
        nights.append(problem(late := account.night()))
        account.clock.time += DAY
    account.source.fails.clear()
    (told,) = [
        each
        for each in detect_incidents(NightFacts(NIGHT, PARIS, late), NotificationThresholds())
        if each.id == NOT_ERASED
    ]
    assert "should have left more than a week ago" in incident_notice(told).text
    well = account.night()

    assert None is nights[0]
    assert "should have left more than a week ago" in nights[-1]
    assert (1, None) == (well.erased.leads, problem(well))
    assert [True, False] == [is_over(each) for each in ("everything", "nothing")]


def is_over(reading):
    """Whether a quiet run ends the incident."""
    summary = RunSummary(ACCOUNT, 1, NIGHT, reading=RunReadingScope(reading))
    facts = NightFacts(NIGHT, PARIS, summary)
    return is_incident_over(NOT_ERASED, facts, NotificationThresholds())


def test_a_new_account_has_a_week_to_read_everything(account):
    """Leads that are old when they are first read are not late before that."""
    account.put(sold("L-1", NIGHT - 2 * LONG), sold("L-2"))
    account.source.page = 1
    account.source.fails[1] = Transient("no answer")
    nights = [account.night()]
    for _ in range(8):
        account.clock.time += DAY
        account.source.fails[1] = Transient("no answer")
        nights.append(account.night())

    assert [True] * 8 + [False] == [problem(each) is None for each in nights]


# ── killed, stopped, out of time ─────────────────────────────────────────────────────────────────


def old_account(account, monkeypatch):
    """Have seven leads that are about to leave, two at a time."""
    monkeypatch.setattr(erasing, "AT_ONCE", 2)
    account.night()
    account.put(*(sold(f"L-{number}") for number in range(7)))
    later(account, 6 * DAY)
    account.night()
    later(account, DAY)
    account.night()
    later(account, LONG)
    return account.night(erases=False)


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("step", ["count", "erase_leads"])
def test_a_sweep_that_dies_in_the_middle_ends_the_same_when_repeated(account, monkeypatch, at, step):
    """Each batch is counted and erased in one transaction, so that no lead is counted twice or lost."""
    summary = old_account(account, monkeypatch)
    owner = account if step == "count" else erasing
    original, calls = getattr(owner, step), count()

    def dying(*args):
        result = original(*args)
        result = None if result is None else list(result)
        if next(calls) == at:
            raise Crash
        return result

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, dying)
        with pytest.raises(Crash):
            account.sweep(summary)
    left = 7 - len(account.rows(LeadRow))
    account.sweep(summary)

    assert 2 * at == left
    (campaign,) = account.rows(MonthlyCampaign)
    assert (7, 7, Decimal(7000), {"won": 7}) == (
        campaign.leads,
        campaign.won,
        Decimal(campaign.value),
        json.loads(campaign.reached),
    )
    (sales,) = account.rows(MonthlySales)
    assert ("google", 7, 7, 7, 7) == (sales.platform, sales.count, sales.sent, sales.received, sales.accepted)
    (mark,) = account.rows(RetentionMark)
    assert ([], 7, 7) == (account.rows(LeadRow), mark.leads, mark.conversions)


def test_a_sweep_out_of_time_goes_on_in_the_next_night(account, monkeypatch):
    """Each night has little time for it."""
    summary = old_account(account, monkeypatch)
    monkeypatch.setattr(erasing, "BUDGET", timedelta(minutes=1))
    original = erasing.erase_leads

    def slowly(*args):
        later(account, timedelta(minutes=1))
        original(*args)

    monkeypatch.setattr(erasing, "erase_leads", slowly)
    nights = [account.sweep(summary) for _ in range(3)]

    assert [(4, False), (3, False), (0, True)] == [(done.leads, done.is_whole) for done in nights]


def test_a_request_to_stop_ends_a_sweep_between_two_transactions(account, monkeypatch):
    """The night is over and stands."""
    summary = old_account(account, monkeypatch)
    asked = count()

    def stop():
        if next(asked) == 2:
            raise StoppedBySignal(15)

    run = account.run
    account.run = lambda ledger: run(ledger, cancel_token=stop)

    assert (4, False) == ((done := account.sweep(summary)).leads, done.is_whole)


# ── everything else that grows old ───────────────────────────────────────────────────────────────


def test_runs_and_requests_go_once_nothing_refers_to_them(account):
    """The first run stays, since which changes were told; and the last request, by which a copy is recognised."""
    sent_and_gone(account)
    later(account, timedelta(days=800))
    account.night()
    assert 1 == len(account.rows(Request))
    account.put(sold("L-2", account.clock.now() - 6 * DAY))
    account.night()
    numbers = [row.id for row in account.rows(Run)]
    later(account, timedelta(days=1))
    account.night()

    assert [1] == [number for number in numbers if number < 5]
    (request,) = account.rows(Request)
    assert account.clock.now() - request.sent_at <= timedelta(days=1)


def test_a_request_that_a_kept_delivery_was_in_stays(account):
    """`explain` shows it."""
    account.night()
    later(account, 6 * DAY)
    account.put(sold("L-1"))
    account.night()
    for _ in range(3):
        later(account, timedelta(days=400))
        now = account.clock.now()
        account.put(changed(sold("L-1"), updated_at=now), sold(f"L-{now:%Y%m%d}", now - 6 * DAY))
        account.night()

    assert 3 == len(account.rows(Request))
    (first,) = [row for row in account.rows(Delivery) if row.lead == "L-1"]
    assert {1} == {row.request for row in account.rows(Attempt) if row.delivery == first.id}


def test_what_is_over_goes_and_what_still_holds_stays(account):
    """Problems that were solved, estimates that others replaced, what platforms said long ago."""
    account.put(sold("L-1"))
    account.night()
    now = account.clock.now()
    old, fresh = now - timedelta(days=800), now - timedelta(days=10)

    def estimate(number, at):
        figures = {"value": "1", "low": "1", "high": "1", "rate": 0.5, "mean": "2", "leads": 9, "won": 3}
        times = {"horizon_days": 9, "first": at, "until": at, "computed_at": at}
        return ExpectedValue(id=number, account=ACCOUNT, conversion="sale", basis="b", **figures | times)

    def problem(cause, cleared):
        return IncidentRow(account=ACCOUNT, cause=cause, details="", first_seen_at=old, cleared_at=cleared)

    def said(position, at):
        return PlatformStatementRow(
            account=ACCOUNT, destination="google_ads", position=position, subject="s", name="", value="", read_at=at
        )

    with account.hold() as ledger, ledger.write_transaction() as session:
        session.add_all([estimate(1, old), estimate(2, old), estimate(3, old), estimate(4, fresh)])
        session.add_all([problem("solved", old), problem("open", None), problem("lately", fresh)])
        session.add_all([said(0, old), said(1, fresh)])
        session.add(ExcludedTestLead(account=ACCOUNT, id="T-1", digest="d", read_at=old))
        session.exec(update(Delivery).values(estimate=2))
    later(account, DAY)
    account.night()

    assert [2, 4] == [row.id for row in account.rows(ExpectedValue)]
    assert ["lately", "open"] == [row.cause for row in account.rows(IncidentRow)]
    assert [1] == [row.position for row in account.rows(PlatformStatementRow)]
    assert [] == account.rows(ExcludedTestLead)


# ── what the report says of them ─────────────────────────────────────────────────────────────────


def sums(facts):
    """What a page adds up."""
    # Sales by campaign are those of leads still on record, as the page says.
    funnel = replace(facts.funnel, sales=())
    return facts.headline.sales, facts.headline.sales_before, facts.headline.counted, funnel


def test_a_page_says_the_same_before_and_after_its_leads_left(account):
    """Whole months are counted as they were, those of the period before as well."""
    spread = {
        "L-1": sold("L-1"),
        "L-2": sold("L-2", NIGHT + 20 * DAY, amount=Decimal("99.90")),
        "L-3": sold("L-3", NIGHT + 40 * DAY, utm=Utm()),
        "L-4": sold("L-4", NIGHT + 50 * DAY, label="Nouveau", history=()),
        "L-5": sold("L-5", NIGHT + 50 * DAY, click_ids=()),
    }
    for _ in range(12):
        account.put(*(one for one in spread.values() if one.updated_at <= account.clock.now() + DAY))
        account.night()
        later(account, 6 * DAY)
    first, last = date(2026, 10, 1), date(2026, 11, 30)
    before = sums(account.report(first, last))
    later(account, LONG)
    account.night()

    assert [] == account.rows(LeadRow)
    assert before == sums(account.report(first, last))
    assert sum(row.leads for row in before[3].campaigns) >= 3


def added_up(funnel):
    """Leads, those won and their value of all campaigns; leads and those with a click id of all weeks."""
    campaigns, weeks = funnel.campaigns, funnel.weeks
    return (
        *(sum(getattr(row, name) for row in campaigns) for name in ("leads", "won", "value")),
        *(sum(getattr(row, name) for row in weeks) for name in ("leads", "with_click_id")),
    )


def test_a_forgotten_lead_stays_in_the_sums(account):
    """Nobody can be told from them, not even by a campaign, and a report of the past still adds up."""
    account.night()
    later(account, 6 * DAY)
    account.put(sold("L-1"), sold("L-2", amount=Decimal(300)))
    account.night()
    later(account, DAY)
    account.night()
    before = sums(account.report(date(2026, 9, 1), date(2026, 9, 30)))
    now = account.clock.now()
    with account.hold("forget") as ledger:
        count_by_month = archive.monthly_lead_counter(account.settings, account.book, now)
        forget_leads(ledger, ["L-1"], now=now, today=now.date(), count_by_month=count_by_month)
        forget_leads(ledger, ["L-1"], now=now, today=now.date(), count_by_month=count_by_month)
    later(account, timedelta(days=20))

    assert ["L-2"] == [row.id for row in account.rows(LeadRow)]
    after = sums(account.report(date(2026, 9, 1), date(2026, 9, 30)))
    assert before[2] == after[2]
    assert [added_up(each[3]) for each in (before, after)] == [(2, 2, Decimal(1300), 2, 2)] * 2
    assert [("", "", ""), ("google", "cpc", "spring")] == [
        (each.source, each.medium, each.campaign) for each in after[3].campaigns
    ]


def test_a_page_names_the_day_before_which_only_whole_months_are_counted(account):
    """A month of which only a part is in the period is left out: of that part nothing is known."""
    sent_and_gone(account)
    whole = account.report(date(2026, 9, 1), date(2026, 9, 30))
    part = account.report(date(2026, 9, 2), date(2026, 9, 30))
    lately = account.report(account.clock.now().date() - 3 * DAY, account.clock.now().date())

    day = (account.clock.now() - timedelta(days=426)).date()
    assert (day, day, None) == (whole.whole_months_before, part.whole_months_before, lately.whole_months_before)
    assert ([1], []) == ([row.leads for row in whole.funnel.campaigns], [row.leads for row in part.funnel.campaigns])
