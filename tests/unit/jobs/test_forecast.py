"""The forecast runs the steps of a night on the latest leads, to show what the settings would make of them."""

from dataclasses import replace
from datetime import timedelta

from connectors.records import CheckVerdict, UnreadableLead
from jobs.forecast import rehearse_with_leads
from jobs.reporting.check_findings import latest_leads_findings
from jobs.run_context import Deps
from tests.builders import CREATED, lead, route, rulebook
from tests.fakes import NIGHT, Crash


def found(account, *leads, **book):
    """Return the forecast for these leads."""
    return rehearse_with_leads(
        replace(account.book, **book),
        Deps(account.source, account.sinks, account.clock, lambda: 0.5, account.sync_window),
        leads,
    )


def stands(made):
    """Return the number of deliveries by state and reason."""
    return {(tally.state.value, tally.reason): tally.count for tally in made.tallies}


def test_forecast_ignores_a_future_start(account):
    """It tries the settings, not the date."""
    later = rulebook(route(since=NIGHT + timedelta(days=9)))

    made = found(account, lead(), lead("L-2", fields={}), lead("L-3", click_ids=()), routes=later.routes)

    assert {("pending", "due"): 1, ("withheld", "consent_missing"): 1, ("withheld", "no_click_id"): 1} == stands(made)


def test_forecast_stores_and_sends_nothing(account):
    """Neither the account's state nor a platform is touched."""
    account.sink.script.append(Crash)
    before = account.states

    found(account, lead())

    assert (before, []) == (account.states, account.sink.calls)


def test_lead_older_than_its_click_window_is_expired(account):
    """The current time decides, as on a first night."""
    old = CREATED - timedelta(days=200)

    assert {("expired", "window_closed"): 1} == stands(found(account, lead(created_at=old, history=(), label="Gagné")))


def test_findings_cover_unreadable_leads_unknown_labels_and_empty_conversions(account):
    """These are what an operator has to fix."""
    made = found(
        account,
        lead(fields={}),
        lead("L-2", label="Chaud", history=()),
        UnreadableLead("L-3", "no creation time: see oplead.fields.created_at"),
    )

    told = {finding.subject: (finding.verdict, finding.found) for finding in latest_leads_findings(made)}

    assert (CheckVerdict.VERIFIED, "the latest 2 leads can be read") == told["leads"]
    assert (CheckVerdict.DOUBTFUL, "1 cannot be read: no creation time: see oplead.fields.created_at (L-3)") == told[
        "unreadable leads"
    ]
    assert CheckVerdict.FAILED is told["statuses"][0]
    assert "Chaud (1)" in told["statuses"][1]
    assert CheckVerdict.FAILED is told["conversions"][0]


def test_few_unreadable_leads_are_named_without_failing(account):
    """A night goes on without them; from half of the leads on, the settings are probably wrong."""
    bad = [UnreadableLead(f"L-{number}", "no creation time") for number in range(4)]
    bad.append(UnreadableLead(None, "an entry of the list is no object (text, 14 characters)"))
    good = [lead(f"G-{number}") for number in range(6)]

    def told(*leads):
        made = latest_leads_findings(found(account, *leads))
        return next((one.verdict, one.found) for one in made if one.subject == "unreadable leads")

    assert (
        CheckVerdict.DOUBTFUL,
        (
            "5 cannot be read: no creation time (L-0, L-1, L-2, …); "
            "an entry of the list is no object (text, 14 characters) (without an id)"
        ),
    ) == told(*good, *bad)
    assert CheckVerdict.FAILED is told(*good[:5], *bad)[0]


def test_empty_list_points_at_the_api_key(account):
    """A restricted key sees no leads, and nothing else reveals it."""
    (finding,) = latest_leads_findings(found(account))

    assert (CheckVerdict.FAILED, True) == (finding.verdict, "client admin" in finding.advice)


def test_forecast_ignores_the_volume_guard(account):
    """A night might hold that many deliveries, but a forecast covers the whole past."""
    made = found(account, *(lead(f"L-{number}") for number in range(120)))

    assert {("pending", "due"): 120} == stands(made)
