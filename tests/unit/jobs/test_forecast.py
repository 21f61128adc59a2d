"""What the settings would make of the latest leads, by the very steps of a night."""

from dataclasses import replace
from datetime import timedelta

from connectors.records import CheckVerdict, UnreadableLead
from jobs.forecast import forecast
from jobs.reporting.check_report import forecast_findings
from jobs.run_context import Deps
from tests.builders import CREATED, lead, route, rulebook
from tests.fakes import NIGHT, Crash


def found(account, *leads, **book):
    """The forecast for these leads."""
    return forecast(
        replace(account.book, **book),
        Deps(account.source, account.sinks, account.clock, lambda: 0.5, account.sync_window),
        leads,
    )


def stands(made):
    """How many stand where, and why."""
    return {(tally.state.value, tally.reason): tally.count for tally in made.tallies}


def test_all_of_their_past_counts(account):
    """A start that is still to come holds nothing back, for it is the settings that are tried, not the date."""
    later = rulebook(route(since=NIGHT + timedelta(days=9)))

    made = found(account, lead(), lead("L-2", fields={}), lead("L-3", click_ids=()), routes=later.routes)

    assert {("pending", "due"): 1, ("withheld", "consent_missing"): 1, ("withheld", "no_click_id"): 1} == stands(made)


def test_it_leaves_nothing_behind_and_sends_nothing(account):
    """Neither in the account's own state nor with a platform."""
    account.sink.script.append(Crash)
    before = account.states

    found(account, lead())

    assert (before, []) == (account.states, account.sink.calls)


def test_a_lead_older_than_its_click_window_is_too_old(account):
    """The present decides, as on a first night."""
    old = CREATED - timedelta(days=200)

    assert {("expired", "window_closed"): 1} == stands(found(account, lead(created_at=old, history=(), label="Gagné")))


def test_what_a_human_should_mend_is_told(account):
    """Leads that cannot be read, labels nobody named, and nothing that could go out."""
    made = found(
        account,
        lead(fields={}),
        lead("L-2", label="Chaud", history=()),
        UnreadableLead("L-3", "no creation time: see oplead.fields.created_at"),
    )

    told = {finding.subject: (finding.verdict, finding.found) for finding in forecast_findings(made)}

    assert (CheckVerdict.VERIFIED, "the latest 2 leads can be read") == told["leads"]
    assert (CheckVerdict.DOUBTFUL, "1 cannot be read: no creation time: see oplead.fields.created_at (L-3)") == told[
        "unreadable leads"
    ]
    assert CheckVerdict.FAILED is told["statuses"][0]
    assert "Chaud (1)" in told["statuses"][1]
    assert CheckVerdict.FAILED is told["conversions"][0]


def test_few_leads_that_cannot_be_read_are_named_and_fail_nothing(account):
    """A night goes on without them; from half of them on, the settings are likely to be wrong."""
    bad = [UnreadableLead(f"L-{number}", "no creation time") for number in range(4)]
    bad.append(UnreadableLead(None, "an entry of the list is no object (text, 14 characters)"))
    good = [lead(f"G-{number}") for number in range(6)]

    def told(*leads):
        made = forecast_findings(found(account, *leads))
        return next((one.verdict, one.found) for one in made if one.subject == "unreadable leads")

    assert (
        CheckVerdict.DOUBTFUL,
        (
            "5 cannot be read: no creation time (L-0, L-1, L-2, …); "
            "an entry of the list is no object (text, 14 characters) (without an id)"
        ),
    ) == told(*good, *bad)
    assert CheckVerdict.FAILED is told(*good[:5], *bad)[0]


def test_no_lead_at_all_points_at_the_key(account):
    """A narrow key sees nothing, and nothing else says so."""
    (finding,) = forecast_findings(found(account))

    assert (CheckVerdict.FAILED, True) == (finding.verdict, "client admin" in finding.advice)


def test_a_whole_past_is_no_surge(account):
    """The forecast is no night: what a night would hold for being many is not held here."""
    made = found(account, *(lead(f"L-{number}") for number in range(120)))

    assert {("pending", "due"): 120} == stands(made)
