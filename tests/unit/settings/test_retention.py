"""How long things are kept: how that is written, and never less than sending and reports need."""

from datetime import timedelta

import pytest

from connectors.google_ads import platform as google_ads
from connectors.meta import encode as meta
from jobs.reporting.page.facts import TIMING_DAYS, TREND_NIGHTS
from jobs.settings import ValidSettings
from jobs.settings.lint import LONGEST_WINDOWS, MEASURED
from jobs.settings.schema import RetentionSettings

META = "{ dataset_id: 1, access_token: '${META_ACCESS_TOKEN}' }"
BOTH = "[{ id: sale, stage: won, google_ads: { conversion_action: 12 }, meta: { event: Lead }%s }]"
ONCE = "[{ id: sale, stage: won, count_once_per: click, within: 200 d, google_ads: { conversion_action: 12 } }]"
SENDING = "until then a lead's conversion may still be sent, or another is compared with it"
LOOKING = "the report and the alerts look back as far"
WRITTEN = "write a length of time as 14 months, 2 y or 400 d"


def test_the_defaults_act_by_themselves(loaded):
    """Nobody has to think of it."""
    kept = loaded().settings.retention

    assert RetentionSettings() == kept
    assert (426, 730, 730) == (kept.leads.days, kept.runs.days, kept.history.days)


@pytest.mark.parametrize(
    ("text", "days"), [("14 months", 426), ("12 months", 365), ("2 y", 730), ("400 d", 400), ("400d", 400), ("1y", 365)]
)
def test_an_age_is_days_months_or_years(loaded, text, days):
    """Twelve months are a year."""
    answer = loaded(retention=f"{{ leads: {text} }}")

    assert isinstance(answer, ValidSettings), answer
    assert timedelta(days=days) == answer.settings.retention.leads


@pytest.mark.parametrize("text", ["14 m", "400", "4 h", "two years", "1.5 y", "-1 y"])
def test_anything_else_is_refused(complaints, text):
    """An `m` alone could be minutes."""
    assert [f"retention.leads: {WRITTEN}"] == complaints(retention=f"{{ leads: {text} }}")


def test_click_ids_go_with_their_window(complaints):
    """Nothing else can be chosen."""
    assert ["retention.click_ids: write one of window"] == complaints(retention="{ click_ids: 2 y }")


@pytest.mark.parametrize(
    ("changes", "age", "problem"),
    [
        ({}, "179 d", f"write 180 d or more: {LOOKING}"),
        ({}, "180 d", None),
        ({"meta": META, "conversions": BOTH % ""}, "364 d", f"write 365 d or more: {SENDING}"),
        ({"meta": META, "conversions": BOTH % ""}, "12 months", None),
        ({"conversions": ONCE}, "289 d", f"write 290 d or more: {SENDING}"),
        ({"conversions": ONCE}, "290 d", None),
    ],
)
def test_leads_are_kept_as_long_as_they_may_be_sent(complaints, changes, age, problem):
    """A lead that left could not be sent any more, nor keep another from counting the same click."""
    found = complaints(retention=f"{{ leads: {age} }}", **changes)

    assert ([] if problem is None else [f"retention.leads: {problem}"]) == found


@pytest.mark.parametrize("key", ["runs", "history"])
def test_history_is_kept_as_long_as_it_is_compared_with(complaints, key):
    """The report and the alerts would otherwise say something else."""
    assert [f"retention.{key}: write 180 d or more: {LOOKING}"] == complaints(retention=f"{{ {key}: 5 months }}")


def test_the_longest_windows_are_those_of_the_connectors():
    """The settings name no connector, so they repeat what these say."""
    google = [limits.click_window for limits in google_ads.LIMITS.values()]
    longest = {
        "google_ads": max(google + [limits.contact_window for limits in google_ads.LIMITS.values()]),
        "meta": max(meta.META.click_window, meta.META.contact_window),
    }

    assert longest == LONGEST_WINDOWS
    assert MEASURED >= timedelta(days=max(TIMING_DAYS, TREND_NIGHTS))
