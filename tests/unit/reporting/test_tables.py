"""Tables fit their terminal, and JSON holds the same facts exactly."""

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from connectors.records import UnreadableLead
from jobs.backfill_and_retry import AgeGroupOutcomeCounts
from jobs.cli.demo.play import headings, night_row
from jobs.exit_codes import Exit
from jobs.forecast import LabelUsage
from jobs.ledger.report.queries import AwaitedOutcomes, DeliveryStanding, StateCount
from jobs.pull.ingest import PullResult
from jobs.reporting import presentation
from jobs.reporting.backfill_report import BackfillPreview, print_preview
from jobs.reporting.check_findings import print_labels
from jobs.reporting.console import day_and_time, duration, money
from jobs.reporting.lead_report import print_explanation
from jobs.reporting.page.brief import Brief
from jobs.reporting.page.facts import ActionItem, Level, ResponsibleParty
from jobs.reporting.presentation import AccountPresentation
from jobs.reporting.run_report import (
    Mode,
    Night,
    NightResult,
    answers_line,
    night_json,
    print_accounts,
    print_night,
    report_lines,
)
from jobs.reporting.standings import Explanation, LastRun, LeadConversionStanding, MatchingDeliveries, StatusReport
from jobs.reporting.status_report import print_delivery_list, print_states, print_status
from jobs.reporting.wording.reasons import REASONS
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.incident import Incident, IncidentId, IncidentKind, OpenIncident
from jobs.rules.reasons import DestinationScope, Reason, StopCause, StopKind
from jobs.run_findings import LabelCount
from jobs.run_summary import RunSummary

NOW = datetime(2026, 9, 1, 3, 30, tzinfo=UTC)
ACCOUNT = AccountPresentation(
    "maison-test",
    ZoneInfo("Europe/Paris"),
    "EUR",
    {"sale": "Vente signée", "funnel:sale": "won"},
    Path("clients/durand.yaml"),
)
TALLIES = (
    StateCount("sale", "google_ads", DeliveryState.WITHHELD, Reason.NO_CLICK_ID, 34, Decimal(0)),
    StateCount(
        "sale", "google_ads", DeliveryState.PENDING, Reason.VALUE_AWAITED, 3, Decimal(0), NOW + timedelta(days=2)
    ),
    StateCount("sale", "google_ads", DeliveryState.SUBMITTED, "", 1200, Decimal("1234567.50")),
    StateCount(
        "sale", "google_ads", DeliveryState.REJECTED, "PROCESSING_ERROR_REASON_CLICK_NOT_FOUND", 2, Decimal(120)
    ),
    StateCount("visit", "google_ads", DeliveryState.ACCEPTED, "", 1, Decimal(0)),
)


def _printed(width, show):
    text = StringIO()
    show(Console(file=text, width=width, highlight=False))
    return text.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_state_table_fits_the_terminal_width(width):
    """No line is wider than the terminal, and nothing is cut off."""
    text = _printed(width, lambda console: print_states(console, ACCOUNT, TALLIES))

    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    for shown in ("1,200", "€1,234,567.50", "no usable click id", "click not found", "visit"):
        assert shown in text


def test_conversion_name_appears_on_its_first_row_only():
    """This shows where a conversion begins."""
    text = _printed(120, lambda console: print_states(console, ACCOUNT, TALLIES))

    assert 1 == text.count("Vente signée")


def test_codes_with_the_same_words_share_a_row():
    """Two rows with the same words would look like a mistake, so their counts and values are added up."""
    codes = ("UNPARSEABLE_GCLID", "UNPARSEABLE_GBRAID")
    twice = [StateCount("sale", "google_ads", DeliveryState.REJECTED, code, 2, Decimal(120)) for code in codes]
    text = _printed(120, lambda console: print_states(console, ACCOUNT, twice))
    row = next(line for line in text.splitlines() if "€240.00" in line)

    assert ["rejected", "4", "€240.00", "click", "id", "not", "readable"] == row.split()[2:]


def test_names_the_destination_even_if_there_is_only_one():
    """A table that is passed on says by itself which platform it is about."""
    group = AgeGroupOutcomeCounts("sale", "google_ads", "0-7", sent=3, waits=0, withheld=0, expired=0, left=0)
    stand = DeliveryStanding("L-1", "sale", "google_ads", DeliveryState.ACCEPTED, "", NOW, is_correction=False)
    tables = (
        _printed(120, lambda console: print_states(console, ACCOUNT, TALLIES)),
        _printed(120, lambda console: print_preview(console, ACCOUNT, BackfillPreview((group,)))),
        _printed(
            120,
            lambda console: print_delivery_list(
                console, ACCOUNT, MatchingDeliveries("maison-test", NOW, "accepted", (stand,))
            ),
        ),
    )

    assert all("google_ads" in text for text in tables)


@pytest.mark.parametrize("width", [40, 120])
def test_commands_can_be_pasted(width):
    """They name the account's file, quoted for a shell, and no terminal is too narrow for them."""
    account = replace(ACCOUNT, file=Path("clients/maison durand.yaml"))
    stand = DeliveryStanding("L-1", "sale", "google_ads", DeliveryState.ACCEPTED, "", NOW, is_correction=False)
    states = _printed(width, lambda console: print_states(console, account, TALLIES))
    leads = _printed(
        width,
        lambda console: print_delivery_list(
            console, account, MatchingDeliveries("maison-test", NOW, "accepted", (stand,))
        ),
    )

    assert "`oplead-sync status --reason CODE --config 'clients/maison durand.yaml'`\n" in states
    assert "`oplead-sync explain LEAD --config 'clients/maison durand.yaml'`" in leads


@pytest.mark.parametrize("width", [40, 80, 120])
def test_lead_id_is_never_broken(width):
    """It is there to be copied and searched for, however narrow the terminal."""
    lead = "0b8f5c1e-93ab-4f0e-8a55-3d2c1b0a9f8e"
    stand = DeliveryStanding(
        lead,
        "sale",
        "google_ads",
        DeliveryState.EXPIRED,
        Reason.WINDOW_CLOSED,
        NOW,
        is_correction=True,
        held_for=Reason.CONSENT_UNKNOWN,
    )
    seen = LabelUsage("won", "Devis à relancer par le commercial", 120, 1200, lead)
    listed = _printed(
        width,
        lambda console: print_delivery_list(console, ACCOUNT, MatchingDeliveries("maison-test", NOW, "x", (stand,))),
    )
    found = _printed(width, lambda console: print_labels(console, SimpleNamespace(conversions=()), (seen,), leads=200))

    assert lead in listed
    assert lead in found


def test_each_reason_is_explained_once():
    """Two conversions held back for one reason share its explanation."""
    twice = (*TALLIES, replace(TALLIES[0], conversion="visit"))
    text = _printed(120, lambda console: print_states(console, ACCOUNT, twice))

    assert 1 == text.count("so the ad cannot be found")


def test_preview_counts_held_back_conversions_per_reason():
    """Counts span all conversions, and those neither sent nor held back are explained too."""
    group = AgeGroupOutcomeCounts("sale", "google_ads", "0-7", sent=0, waits=0, withheld=41, expired=0, left=2)
    held = (TALLIES[0], StateCount("visit", "google_ads", DeliveryState.WITHHELD, Reason.NO_CLICK_ID, 3, Decimal(0)))
    held += (StateCount("sale", "google_ads", DeliveryState.WITHHELD, Reason.CONSENT_MISSING, 4, Decimal(0)),)
    text = _printed(120, lambda console: print_preview(console, ACCOUNT, BackfillPreview((group,), held)))
    rows = [line.split() for line in text.splitlines()]

    assert ["no", "usable", "click", "id", "37"] in [row[:5] for row in rows]
    assert ["consent", "not", "asked", "4"] in [row[:4] for row in rows]
    assert "2 conversions left as is: they cannot be decided yet" in text


def test_preview_reasons_add_up_to_its_numbers():
    """An expired conversion is counted once, with what it was held for, and not as held back."""
    group = AgeGroupOutcomeCounts("sale", "google_ads", "61-90", sent=5, waits=3, withheld=34, expired=13, left=0)
    late = StateCount(
        "sale", "google_ads", DeliveryState.EXPIRED, Reason.WINDOW_CLOSED, 6, Decimal(0), held_for=Reason.NO_CLICK_ID
    )
    due = StateCount("sale", "google_ads", DeliveryState.PENDING, Reason.DUE, 5, Decimal(0))
    tallies = (*TALLIES[:2], due, late, replace(late, count=7, held_for=None))
    text = _printed(160, lambda console: print_preview(console, ACCOUNT, BackfillPreview((group,), tallies)))
    _, _, reasons = text.partition("What it means")
    counts = {why: int(count) for why, count in re.findall(r"^(\w[^\d\n]*?) +(\d+)  ", reasons, flags=re.MULTILINE)}

    assert {
        "no usable click id": 34,
        "waiting for its amount": 3,
        "too late, held for: no usable click id": 6,
        "too late": 7,
    } == counts
    assert group.waits + group.withheld + group.expired == sum(counts.values())


def test_night_report_says_what_needs_a_human():
    """What stopped stands below the table."""
    summary = RunSummary(
        "maison-test", 3, NOW, source_stopped=StopCause(StopKind.REFUSED, ("[oplead] refuses the token",))
    )
    night = Night(summary, NOW + timedelta(minutes=3), TALLIES)
    text = _printed(80, lambda console: print_night(console, ACCOUNT, night))

    assert "A human is needed" in text
    assert "sent before and heard of now" in text
    assert "[oplead] refuses the token" in text
    assert "took 3 min 0 s" in text


def _task(level, title, *, days):
    return ActionItem(level, ResponsibleParty.MARKETING, title, f"About {title}.", NOW - timedelta(days=days))


@pytest.mark.parametrize(
    ("exit_code", "heading"), [(Exit.ATTENTION, "A human is needed"), (Exit.DONE, "What needs doing")]
)
def test_night_report_names_each_thing_to_do_once(exit_code, heading):
    """Those of the page, new or since when; what was told as a sentence or a notice is not told again."""
    summary = RunSummary("maison-test", 3, NOW)
    found = Incident(IncidentId(IncidentKind.SOURCE), {"why": "no answer"})
    summary.opened = (found,) if exit_code else ()
    summary.review.unreadable_before = 2
    tasks = (_task(Level.RED, "Oplead cannot be read", days=0), _task(Level.AMBER, "Leads [unread]", days=2))
    night = Night(summary, NOW, (), notices=(OpenIncident(found, NOW, is_new=True),), brief=Brief(tasks, (), "EUR"))
    lines = [line.rstrip() for line in _printed(120, lambda console: print_night(console, ACCOUNT, night)).splitlines()]
    start = lines.index(heading)

    assert [
        "  new                    Urgent · Marketing · Oplead cannot be read",
        "                         About Oplead cannot be read.",
        "  since Sun 30 Aug 2026  Soon · Marketing · Leads [unread]",
        "                         About Leads [unread].",
        "",
    ] == lines[start + 1 : start + 6]
    assert 1 == len([line for line in lines if line.endswith("· Oplead cannot be read")])
    assert not [line for line in lines if "could not be read" in line]


def test_night_report_without_the_tasks_of_an_alarm_still_says_why():
    """Where they could not be read, or none tells of it."""
    summary = RunSummary("maison-test", 3, NOW, unconfirmed=2)
    for brief in (None, Brief((), (), "EUR")):
        night = Night(summary, NOW, (), brief=brief)

        assert "2 unconfirmed" in _printed(120, lambda console, night=night: print_night(console, ACCOUNT, night))


def test_night_report_says_that_its_clock_was_not_checked():
    """This happens where no page from Oplead has a time."""
    night = Night(RunSummary("maison-test", 1, NOW, pulled=PullResult(pages=1, undated=True)), NOW, ())
    checked = replace(night, summary=replace(night.summary, pulled=PullResult(pages=1)))

    said, other = (dict(report_lines(ACCOUNT, each))["read"] for each in (night, checked))

    assert "Oplead tells no time" in said
    assert "Oplead tells no time" not in other


def test_rehearsal_names_each_unreadable_lead_once():
    """The list may repeat it; nothing shows that of those without an id, which count together."""
    summary = RunSummary("maison-test", 3, NOW)
    summary.review.unreadable = 2
    summary.pulled.unreadable = [UnreadableLead("L-9", "no date"), UnreadableLead(None, "no id")] * 2
    night = Night(summary, NOW, (), Mode.REHEARSAL)
    text = _printed(120, lambda console: print_night(console, ACCOUNT, night))

    assert 1 == text.count("lead L-9 could not be read: no date")
    assert 1 == text.count("2 leads without an id could not be read: no id")


def test_unreadable_leads_of_many_reasons_are_counted_after_the_first_ten():
    """A refusal names the lead's own address, so that no two are alike."""
    summary = RunSummary("maison-test", 3, NOW)
    summary.review.unreadable = 400
    summary.pulled.unreadable = [
        UnreadableLead(f"L-{n}", f"Oplead answered 400 on /v1/leads/L-{n}") for n in range(400)
    ]
    night = Night(summary, NOW, (), Mode.REHEARSAL)
    text = _printed(120, lambda console: print_night(console, ACCOUNT, night))

    assert 10 == text.count("could not be read: Oplead answered 400")
    assert "and 390 leads more" in text


def test_expected_rejections_are_reported_separately():
    """They do not end a night with exit code 1, and the line says why."""
    summary = RunSummary("maison-test", 3, NOW)
    summary.resolved.moved["sale", "google_ads", DeliveryState.REJECTED, "CLICK_NOT_FOUND"] = 3

    assert "3 rejected (to be expected: no such click)" == answers_line(summary)
    assert 0 == summary.exit_code

    summary.resolved.moved["sale", "google_ads", DeliveryState.REJECTED, "INVALID_GCLID"] = 1
    summary.resolved.unexpected = 1
    summary.to_correct = {DestinationScope("google_ads"): ["L-1"]}

    assert "4 rejected (3 of them to be expected: no such click)" == answers_line(summary)
    assert 1 == summary.exit_code


def test_in_doubt_settled_within_the_run_is_not_reported_as_open():
    """Such a night ends with 0, and its report must not read otherwise."""
    settled = RunSummary("maison-test", 3, NOW)
    settled.delivered.moved["sale", "meta", DeliveryState.IN_DOUBT, "503"] = 2
    settled.delivered.moved["sale", "meta", DeliveryState.ACCEPTED, ""] = 2
    left = replace(settled, in_doubt=1)

    assert "2 accepted, some in doubt for a while, all settled since" == answers_line(settled)
    assert "2 accepted, 1 still in doubt" == answers_line(left)


def test_accounts_table_counts_expired_conversions():
    """Everything sent is accounted for, including refusals as too old."""
    summary = RunSummary("maison-test", 3, NOW)
    summary.delivered.sent = 27
    summary.resolved.moved["sale", "google_ads", DeliveryState.ACCEPTED, ""] = 25
    summary.resolved.moved["sale", "google_ads", DeliveryState.REJECTED, "INVALID_GCLID"] = 1
    summary.resolved.moved["sale", "google_ads", DeliveryState.EXPIRED, "EXPIRED_EVENT"] = 1
    ended = NightResult("maison-test", 0, Night(summary, NOW, ()), ACCOUNT)
    text = _printed(120, lambda console: print_accounts(console, [ended]))

    assert ["Sent", "Accepted", "Rejected", "Expired"] == text.splitlines()[2].split()[4:8]
    assert ["27", "25", "1", "1"] == text.splitlines()[4].split()[4:8]
    assert "25 accepted, 1 rejected (to be expected: no such click), 1 expired" == answers_line(summary)


def test_demo_night_row_counts_expired_within_80_columns():
    """The demonstration accounts for everything sent as well."""
    summary = RunSummary("maison-test", 3, NOW)
    summary.resolved.moved["sale", "google_ads", DeliveryState.EXPIRED, "EXPIRED_EVENT"] = 7
    row, heading = night_row(Night(summary, NOW, ()), ACCOUNT.zone), headings()

    assert len(row) == len(heading) <= 80
    assert row[: heading.index("expired") + len("expired")].endswith(" 7")


def test_night_json_holds_its_numbers_and_exit_code():
    """The exit code is for a scheduler, and counts by place become objects with named fields."""
    summary = RunSummary("maison-test", 3, NOW, unknown_labels=[LabelCount("nouveau lead", 2, 1)])
    summary.review.labels = summary.unknown_labels
    summary.delivered.moved["sale", "google_ads", DeliveryState.SUBMITTED, "received"] = 4
    told = json.loads(presentation.json_line(night_json(Night(summary, NOW, TALLIES), "EUR")))

    assert 1 == told["exit_code"]
    assert [{"label": "nouveau lead", "leads": 2, "with_click_id": 1}] == told["unknown_labels"]
    assert [
        {"conversion": "sale", "destination": "google_ads", "state": "submitted", "reason": "received", "count": 4}
    ] == told["delivered"]["moved"]
    assert "1234567.50" == told["deliveries"][2]["value"]


def test_status_says_what_comes_next():
    """Waiting and awaited deliveries have their times in the account's zone."""
    status = StatusReport(
        account="maison-test",
        now=NOW,
        run=LastRun(3, "run", NOW, NOW, 143),
        tallies=TALLIES,
        awaited=AwaitedOutcomes(2, 1200, NOW + timedelta(minutes=30)),
        unreadable={"L-1": "no time that can be read", "without id: no id": "no id"},
        unknown_labels=[LabelCount("nouveau lead", 2, 1)],
    )
    text = " ".join(_printed(80, lambda console: print_status(console, ACCOUNT, status)).split())

    assert "stopped by signal 15" in text
    assert "3 wait, the first until Thu 3 Sep 2026 05:30" in text
    assert "the outcome of 1,200 conversions in 2 requests, to be asked for from Tue 1 Sep 2026 06:00 on" in text
    assert "L-1 no time that can be read" in text
    assert "nouveau lead: 2 leads, 1 of them with a click id" in text


def test_status_names_up_to_fifty_unreadable_leads():
    """Each may be a sale that waits for a date to be fixed; only beyond that are some left to JSON."""
    unreadable = {f"L-{number}": "no time that can be read" for number in range(60)}
    status = StatusReport("maison-test", NOW, None, (), AwaitedOutcomes(0, 0, None), unreadable, ())
    text = _printed(80, lambda console: print_status(console, ACCOUNT, status))

    assert [f"L-{number}" for number in range(50)] == [
        line.split()[0] for line in text.splitlines() if line.startswith("  L-")
    ]
    assert "… and 10 more (see --json)" in text


def test_json_keeps_amounts_and_times_exact():
    """Amounts are text, times are ISO 8601, and spans are seconds."""
    value = {"amount": Decimal("10.50"), "at": NOW, "span": timedelta(minutes=2), "what": Counter({"b": 1, "a": 2})}

    assert {
        "amount": "10.50",
        "at": "2026-09-01T03:30:00+00:00",
        "span": 120.0,
        "what": [{"what": "a", "count": 2}, {"what": "b", "count": 1}],
    } == presentation.as_json_value(value)


def test_json_refuses_unknown_types():
    """Nothing is written as its repr, which may hold anything."""
    with pytest.raises(TypeError):
        presentation.as_json_value(object())


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (200, "3 min 20 s"), (3900, "1 h 5 min"), (45_900, "13 h")],
)
def test_duration_shows_seconds_only_when_short(seconds, said):
    """From an hour on, hours and minutes are enough."""
    assert said == duration(timedelta(seconds=seconds))


def test_times_use_the_account_zone_and_amounts_their_currency():
    """Nobody has to know UTC, and a zero amount is left blank."""
    assert "Tue 1 Sep 2026 05:30" == day_and_time(NOW, ACCOUNT.zone)
    assert "€12,500.00" == money(Decimal(12500), "EUR")
    assert "" == money(Decimal(0), "EUR")


def test_destination_appears_below_the_conversion():
    """One column for both leaves room for the reasons, also where a conversion has a single row."""
    several = (*TALLIES[:2], replace(TALLIES[0], destination="meta"))
    lines = [line.split() for line in _printed(80, lambda console: print_states(console, ACCOUNT, several)).split("\n")]
    first = next(index for index, line in enumerate(lines) if line[:2] == ["Vente", "signée"])
    second = next(index for index, line in enumerate(lines) if index > first and line[:2] == ["Vente", "signée"])

    assert ["→", "google_ads"] == lines[first + 1][:2]
    assert ["→", "meta"] == lines[second + 1]


@pytest.mark.parametrize(
    ("conversion", "told"),
    [
        ("sale", "Vente signée"),
        ("deleted", "deleted"),
        ("funnel:sale", "won (Meta's forms)"),
        ("funnel:lead_in", "lead_in (Meta's forms)"),
    ],
)
def test_conversion_is_shown_by_its_name(conversion, told):
    """That is marketing's own, else the id; a stage for leads of Meta's forms has its own, else Meta's name for it."""
    assert told == ACCOUNT.conversion(conversion)


def _verdict(conversion, destination, reason, state=None):
    return LeadConversionStanding(
        conversion=conversion,
        destination=destination,
        state=state,
        stands="nothing to send",
        reason=reason,
        words=REASONS[reason],
    )


def test_unsent_conversions_with_one_reason_share_an_explanation():
    """A lead reaches few of what may be many conversions, so deliveries come first and stand alone."""
    told = Explanation(
        account="maison-test",
        lead="L-1",
        now=NOW,
        created_at=NOW,
        label=None,
        seen_at=NOW,
        missing_since=None,
        deleted_at=None,
        merged_into=None,
        reused=False,
        ad_user_data="granted",
        ad_personalization="granted",
        consent_fields=("leadData.consent", ""),
        consent_answers=(),
        click_ids=(),
        click_id_problem=None,
        where={},
        amounts={},
        hashes={"meta": ("email", "first_name")},
        changes=(),
        verdicts=(
            _verdict("sale", "google_ads", Reason.STAGE_NOT_REACHED),
            _verdict("visit", "google_ads", Reason.NO_CLICK_ID, "withheld"),
            _verdict("funnel:sale", "meta", Reason.ANOTHER_WAY),
            _verdict("quote", "meta", Reason.STAGE_NOT_REACHED),
        ),
    )
    text = _printed(120, lambda console: print_explanation(console, ACCOUNT, told))

    assert 1 == text.count(REASONS["stage_not_reached"].means)
    assert "Vente signée → google_ads, quote → meta: nothing to send" in text
    assert "won (Meta's forms) → meta: nothing to send" in text
    assert text.index("visit → google_ads") < text.index("Vente signée → google_ads")
    assert "e-mail, first name kept for meta" in text
