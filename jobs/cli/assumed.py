"""What a run takes for granted because the settings do not say it."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from connectors.records import Finding
from jobs.reporting.terminal import day_and_time
from jobs.settings import Settings


def assumptions(
    settings: Settings, found: Iterable[Finding], begun: Mapping[tuple[str, str], datetime]
) -> Iterator[str]:
    """What a run takes for granted because the settings do not say it, a sentence each.

    Args:
        settings: the account's.
        found: what Google was asked, which settles some of it.
        begun: since when each conversion counts at each destination, where a run has settled it.
    """
    read = {finding.subject for finding in found if finding.settles == "click_window_days"}
    for conversion in settings.conversions:
        google = conversion.google_ads
        if google is None or not settings.google_ads or google.conversion_action.click_window_days is not None:
            pass
        elif f"conversion action {google.conversion_action.id}" not in read:
            # https://support.google.com/google-ads/answer/3123169: 1 to 90 days, chosen per conversion action
            yield (
                f"{conversion.id}: the click window of conversion action {google.conversion_action.id} is taken as "
                "90 days; if Google Ads shows another, write it as click_window_days"
            )
        if conversion.since is None:
            times = {at: destination for (name, destination), at in begun.items() if name == conversion.id}
            start = _start(times, settings.zone)
            yield f"{conversion.id}: counts from {start}; older changes are not sent (see `since`)"
        if conversion.value is None:
            yield f"{conversion.id}: is sent without a value"
    if settings.consent.missing == "assume_granted":
        yield f"a lead without a consent answer is taken as consenting, because: {settings.consent.because}"


def _start(times: Mapping[datetime, str], zone: ZoneInfo) -> str:
    """From when a conversion counts, by the times that runs have settled and where each was."""
    if not times:
        return "the first run that sees it"
    if len(times) == 1:
        return f"{day_and_time(min(times), zone)}, when a run first saw it"
    return ", ".join(f"{day_and_time(at, zone)} ({times[at]})" for at in sorted(times)) + ", when runs first saw it"
