"""No part of a night grows faster than its work, counted in SQLite steps because seconds depend on the machine."""

import gc
import sqlite3
import tracemalloc
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest

from connectors.records import ClickId, ClickIdKind, Outcome, OutcomeClass, Refused
from connectors.sandbox.sandbox import KEY_FILE
from jobs.alerts.notify import update_incidents
from jobs.alerts.review import current_anomalies, unknown_labels
from jobs.backfill_and_retry import find_rejected, plan_requested_backfill
from jobs.cli.lead.explain import explain_lead
from jobs.cli.reporting.status import show_leads_in_state, show_status
from jobs.cli.setup.check import check_settings_files
from jobs.deliver.agenda import SendingOptions
from jobs.deliver.resolve import settle_received_requests
from jobs.deliver.sender import deliver, send_corrections
from jobs.ledger import reading_progress, schema
from jobs.ledger.leads import leads as leads_on_record
from jobs.ledger.outbox.backfill_and_retry import BackfillRequest, RejectionFilter
from jobs.ledger.report import queries
from jobs.metrics import run_metrics
from jobs.nightly import _conclude, _pull, begin_run, run_night
from jobs.plan import adjustments as correcting
from jobs.plan import planner as planning
from jobs.plan.adjustments import plan_adjustments
from jobs.plan.new_settings import apply_settings_to_ledger
from jobs.plan.planner import erase_unusable_personal_data, plan, with_missing_value_guard
from jobs.plan.volume_guard import hold_excess_volume
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.model import DedupRule, DedupScope
from jobs.run_context import SyncMode
from jobs.run_summary import RunSummary
from jobs.settings.schema import NotificationThresholds
from tests import quick, suite
from tests.builders import ACCOUNT, REACH, TARGET, changed, from_field, hold, lead, route, rulebook
from tests.fakes import DONE, LIMITS, NIGHT
from tests.large_ledger import PUT_OFF, Past, Some
from tests.steps import counted_steps

FEW = 40
"""Leads of each kind; batches are scaled down too, so that there are as many as on large nights."""
AT_ONCE = 10
BAD = Outcome(OutcomeClass.FIX_DATA, "BAD")
NIGHTS = 100
STEPS_TO_COUNT = 22
"""Per delivery, to count them all by state: they are read from one index, in its order."""


@pytest.fixture
def account(account, monkeypatch):
    """Return an account in which a night does everything it can do."""
    monkeypatch.setattr(planning, "LEADS_AT_ONCE", AT_ONCE)
    monkeypatch.setattr(correcting, "LEADS_AT_ONCE", AT_ONCE)
    account.sink.limits = replace(LIMITS, batch=AT_ONCE)
    limits, once = account.sink.limits, DedupRule(DedupScope.CLICK, timedelta(days=30))
    account.book = rulebook(
        route(field_value=from_field(), attach_contact=True, limits=limits),
        route("quote", target=replace(TARGET, action="quote"), limits=limits, once=once),
    )
    account.sync_window = replace(REACH, style=SyncMode.SINCE)
    account.source.filters = True
    # Open the ledger as a command does.
    account.hold = lambda: hold(account.path, account.clock)
    account.sink.verdict = lambda event: Outcome(OutcomeClass.DEFER, PUT_OFF) if b"of-put" in event.body else DONE
    return account


@pytest.mark.parametrize("analyzed", suite.mostly_exhaustive(["never", "while it was empty", "lately"], "never"))
def test_steps_grow_linearly_with_the_leads(account, analyzed):
    """This covers each part of a night, its report and `status`, whatever statistics SQLite has."""
    few, many = (_nights(account, leads, analyzed) for leads in (FEW, 2 * FEW))

    assert few.keys() == many.keys()
    assert {step: (few[step], many[step]) for step in few if many[step] > 2.2 * few[step]} == {}


def test_steps_do_not_depend_on_past_conversions(account):
    """Only the counts by state may grow with years of accepted conversions."""
    small, large = (_nights(account, AT_ONCE, "never", behind=leads) for leads in (500, 1_500))
    counted = {"where everything stands", "status", "the whole night"}
    more = {step: (small[step], large[step]) for step in small.keys() - counted if large[step] > 1.1 * small[step]}

    assert more == {}
    assert {
        step: large[step] - small[step] for step in counted if large[step] - small[step] > STEPS_TO_COUNT * 1_000
    } == {}


SETTINGS = """
account: maison-test
timezone: Europe/Paris
currency: EUR
state: sqlite:///{state}
oplead: {{ token: "${{OPLEAD_TOKEN}}", base_url: "https://oplead.example" }}
stages: {{ won: [Gagné] }}
ignored_statuses: [Nouveau]
consent: {{ ad_user_data: {{ field: consent, granted: [oui], refused: [non] }}, missing: withhold }}
google_ads: {{ customer_id: 123-456-7890, contact_data: attach, credentials: "${{GOOGLE_ADS_KEY_FILE}}" }}
conversions:
- id: sale
  stage: won
  value: {{ field: {field}, tax: included, otherwise: 900 }}
  google_ads: {{ conversion_action: 987654321 }}
"""


@pytest.mark.parametrize("field", ["amount", "montant"])
def test_steps_of_commands_do_not_depend_on_past_conversions(account, tmp_path, monkeypatch, field):
    """Nor if no lead has an amount where the settings say it is; only the counts by state grow, as every night."""
    monkeypatch.setenv("OPLEAD_TOKEN", "unused")
    monkeypatch.setenv("GOOGLE_ADS_KEY_FILE", str(quick.with_key(tmp_path) / KEY_FILE))
    file = tmp_path / "pipeline.yaml"
    file.write_text(SETTINGS.format(state=account.path, field=field))
    small, large = (_commands(account, file, leads) for leads in (500, 1_500))
    counted = {"status", "status --reason"}
    more = {step: (small[step], large[step]) for step in small.keys() - counted if large[step] > 1.1 * small[step]}

    assert more == {}
    assert {
        step: large[step] - small[step] for step in counted if large[step] - small[step] > STEPS_TO_COUNT * 1_000
    } == {}


def _commands(account, file, leads):
    """Return the steps of each command that reads a ledger with so many accepted conversions."""
    _begin(
        account,
        "never",
        Some(leads, ago=range(40, NIGHTS)),
        Some(AT_ONCE, DeliveryState.WITHHELD, named="withheld", ago=range(1, 30), reason="no_click_id"),
    )
    commands = {
        "status": partial(show_status, file, json_wanted=True),
        "status --reason": partial(show_leads_in_state, file, "no_click_id", json_wanted=True),
        "explain": partial(explain_lead, "old-0000007", file, json_wanted=True),
        "check": partial(check_settings_files, [file], live=False, json_wanted=True, verbose=False),
    }
    steps = {}
    for name, command in commands.items():
        with counted_steps() as made:
            assert command() == 0
        steps[name] = made.count
    with counted_steps() as made, account.hold() as ledger:
        assert find_rejected(account.run(ledger), RejectionFilter()).rows == ()
        with ledger.read_transaction() as session:
            assert queries.count_by_state_and_reason(session, ACCOUNT, now=NIGHT, approved_in=ledger.run) == ()
    steps["retry"] = made.count
    return steps


def test_steps_of_choosing_leads_to_read_do_not_depend_on_past_conversions(account):
    """Where leads are read one by one, only those that are new or open are looked at."""
    small, large = (_choosing(account, leads) for leads in (500, 1_500))

    assert large <= 1.1 * small


def _choosing(account, leads):
    _begin(
        account,
        "never",
        Some(leads, ago=range(40, NIGHTS)),
        Some(AT_ONCE, DeliveryState.PENDING, named="pending", ago=range(1, 30)),
    )
    since = NIGHT - timedelta(days=35)
    with counted_steps() as made, account.hold() as ledger, ledger.read_transaction() as session:
        leads_on_record.oldest_reading_time(session, ACCOUNT, since=since)
        found = leads_on_record.leads_worth_reading(session, ACCOUNT, since=since, before=NIGHT)
        assert reading_progress.last_read(session, ACCOUNT) is not None
    assert len(found) == AT_ONCE
    return made.count


def test_looking_for_reused_ids_costs_the_same_however_many_leads_there_are(account):
    """Each run asks, also those by day."""
    few, many = (_look_for_reused_ids(account, leads) for leads in (FEW, 10 * FEW))

    assert few == many


def _look_for_reused_ids(account, leads):
    _begin(account, "never", Some(leads, ago=range(40, NIGHTS)))
    with counted_steps() as made, account.hold() as ledger, ledger.write_transaction() as session:
        leads_on_record.count_reused(session, ACCOUNT)
        leads_on_record.accept_reused(session, ACCOUNT)
    return made.count


def test_steps_of_a_backfill_grow_linearly(account):
    """Conversions before the start are scanned once, however many pages that takes."""
    few, many = (_backfill(account, leads) for leads in (FEW, 2 * FEW))

    assert many <= 2.2 * few


def _backfill(account, leads):
    _begin(account, "never", Some(leads, DeliveryState.SKIPPED, ago=range(1, 30), reason="before_since"))
    with counted_steps() as made, account.hold() as ledger:
        asked = BackfillRequest(NIGHT - timedelta(days=60), NIGHT, conversion="sale")
        plan_requested_backfill(account.run(ledger), asked)
        with ledger.read_transaction() as session:
            assert (
                sum(
                    tally.count
                    for tally in queries.count_by_state_and_reason(session, ACCOUNT, now=NIGHT, approved_in=ledger.run)
                )
                == leads
            )
    return made.count


def test_steps_for_refused_rows_grow_linearly(account):
    """Rows blamed by a refusal are settled together once another row has passed."""
    few, many = (_refusal(account, leads) for leads in (FEW, 2 * FEW))

    assert many <= 2.2 * few


def _refusal(account, leads):
    _begin(account, "never", Some(leads, DeliveryState.PENDING, ago=range(1, 30)))
    account.sink.limits = LIMITS
    account.sink.script.append(lambda _, batch: Refused(BAD, tuple(range(0, len(batch), 2))))
    with counted_steps() as made, account.hold() as ledger:
        done = deliver(SendingOptions(account.run(ledger), NIGHT))
    assert done.unexpected == leads / 2
    return made.count


def test_memory_does_not_grow_with_the_leads(account, monkeypatch):
    """Rows are counted, erased and reported in small chunks."""
    monkeypatch.setitem(schema.STREAMED, "yield_per", AT_ONCE)
    monkeypatch.setattr(leads_on_record, "_ERASED_AT_ONCE", AT_ONCE)
    _peak(account, FEW)
    few, many = (_peak(account, leads) for leads in (FEW, 64 * FEW))

    assert many < 1.1 * few


def _peak(account, leads):
    """Return the peak memory of reporting on a ledger, in bytes."""
    _begin(
        account,
        "never",
        Some(leads, DeliveryState.PENDING, ago=range(1, 30), hashed=True),
        Some(leads, DeliveryState.WITHHELD, named="withheld", ago=range(1, 30), reason="no_click_id", hashed=True),
        Some(leads, named="forgotten", ago=range(80, 85)),
    )
    account.clock.time = NIGHT + timedelta(days=20)
    with account.hold() as ledger, _garbage_collected_at_once():
        tracemalloc.start()
        try:
            erase_unusable_personal_data(account.run(ledger))
            run_metrics(ledger, (), exit_code=0, now=account.clock.now())
            _conclude(account.run(ledger), RunSummary(ACCOUNT, ledger.run, account.clock.now()))
            _status(ledger, account.book, account.clock)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


@contextmanager
def _garbage_collected_at_once():
    """Have the collector look often, and only at what is made meanwhile: what waits for it says nothing of leads."""
    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(200, 2, 2)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _begin(account, analyzed, *past):
    """Create a ledger with a past and known settings, as new settings are compared with everything once."""
    account.state.clear()
    account.clock.time = NIGHT
    nights_before = Past(account.state.engine, nights=NIGHTS)
    if analyzed == "while it was empty":
        _analyze(account)
    for some in past:
        nights_before.add(some)
    if analyzed == "lately":
        _analyze(account)
    account.state.engine.dispose()
    with account.hold() as ledger, ledger.write_transaction() as session:
        apply_settings_to_ledger(session, account.book, now=NIGHT)


def _nights(account, leads, analyzed, *, behind=0):
    """Return the number of steps of each part of a night, and of the whole following night."""
    _begin(
        account,
        analyzed,
        Some(behind or leads, ago=range(40, NIGHTS)),
        Some(leads, named="lately", ago=range(1, 30)),
        Some(leads, conversion="quote", named="quoted", ago=range(1, 30), marked=True),
        Some(leads, DeliveryState.PENDING, named="pending", ago=range(1, 30), hashed=True),
        Some(leads, DeliveryState.PENDING, named="put", ago=range(5, 30), put_off=(3, 2), hashed=True),
        Some(leads, DeliveryState.WITHHELD, named="withheld", ago=range(1, 30), reason="no_click_id", hashed=True),
        Some(leads, DeliveryState.SKIPPED, named="skipped", ago=range(1, 30), reason="before_since"),
    )
    account.put(*(_new(number) for number in range(leads)))
    steps = _parts(account)
    account.clock.time = NIGHT + timedelta(days=1)
    account.put(*(_corrected(account, number) for number in range(0, leads, 2)))
    with counted_steps() as made:
        _night(account)
    account.source.leads.clear()
    return steps | {"the whole night": made.count}


def _analyze(account):
    account.state.engine.dispose()
    with closing(sqlite3.connect(account.path)) as connection:
        connection.execute("ANALYZE")
    account.state.engine.dispose()


def _new(number):
    """Return a lead that is new tonight; each click id is shared by two."""
    click = ClickId(ClickIdKind.GCLID, f"gclid-of-new-{number // 2}")
    return lead(f"new-{number:04}", click_ids=(click,), updated_at=NIGHT - timedelta(hours=2))


def _corrected(account, number):
    """Return the same lead with another amount."""
    old = account.source.leads[f"new-{number:04}"]
    return changed(old, updated_at=account.clock.now(), fields={**old.fields, "amount": Decimal(2000)})


def _parts(account):
    """Run the first night part by part, and return the steps of each."""
    clock, sinks = account.clock, account.sinks
    found = {}
    with counted_steps() as made, account.hold() as ledger:

        def count(step, what):
            before = made.count
            result = what()
            found[step] = made.count - before
            return result

        start = account.run(ledger)
        summary = count("begin", lambda: begin_run(start))
        count("pull", lambda: _pull(start, summary))
        run = count("guard", lambda: with_missing_value_guard(start))
        book = run.book
        summary.planned = count("plan", lambda: plan(run, shown_since=summary.pulled.shown_since))
        count("correct", lambda: plan_adjustments(run))
        count("erase", lambda: erase_unusable_personal_data(run))
        count("hold", lambda: hold_excess_volume(run, now=clock.now()))
        sending = SendingOptions(run, clock.now())
        summary.delivered = count("deliver", lambda: deliver(sending))
        count("adjust", lambda: send_corrections(sending))
        clock.time += timedelta(hours=1)
        count("resolve", lambda: settle_received_requests(run, summary.resolved))
        count("where everything stands", lambda: _conclude(run, summary))
        count("what moved", lambda: _tallies(ledger, clock, run=ledger.run))
        count(
            "notices",
            lambda: update_incidents(ledger, book, sinks, summary, NotificationThresholds(), now=clock.now()),
        )
        count("metrics", lambda: run_metrics(ledger, (), exit_code=0, now=clock.now()))
        count("status", lambda: _status(ledger, book, clock))
    assert len(summary.put_off) == summary.planned.same_click["sale"] == len(account.source.leads)
    return found


def _tallies(ledger, clock, *, run=None):
    with ledger.read_transaction() as session:
        return queries.count_by_state_and_reason(session, ACCOUNT, now=clock.now(), run=run)


def _status(ledger, book, clock):
    """Read all that the `status` command reads."""
    _tallies(ledger, clock)
    with ledger.read_transaction() as session:
        queries.awaited_outcomes(session, ACCOUNT)
        unknown_labels(session, ACCOUNT, book.meanings)
        current_anomalies(session, book, run=ledger.run, now=clock.now())


def _night(account):
    with account.hold() as ledger:
        summary = run_night(account.run(ledger, accept_volume=True))
        update_incidents(
            ledger, account.book, account.sinks, summary, NotificationThresholds(), now=account.clock.now()
        )
        _tallies(ledger, account.clock, run=ledger.run)


def test_steps_do_not_depend_on_what_is_withheld_for_another_reason(account):
    """What may be released is found by its reason, and leads that are missing by their own index."""
    small, large = (_withheld(account, leads) for leads in (500, 1_500))

    assert large <= 1.1 * small


def _withheld(account, leads):
    """Return the steps of looking for what nobody has changed."""
    _begin(account, "never", Some(leads, DeliveryState.WITHHELD, ago=range(1, 30), reason="consent_missing"))
    routes = {route.conversion_destination_pair for route in account.book.routes}
    with counted_steps() as made, account.hold() as ledger, ledger.write_transaction() as session:
        leads_on_record.flag_released_for_planning(
            session, ACCOUNT, routes, with_value={"sale"}, now=account.clock.now(), shown_since=NIGHT
        )
        assert leads_on_record.unlisted_open_leads(session, ACCOUNT, since=None) == []
    return made.count
