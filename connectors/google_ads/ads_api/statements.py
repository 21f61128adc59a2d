"""What Google Ads says about the conversions uploaded by its API: those recorded by action and day, status and alerts.

https://developers.google.com/google-ads/api/docs/conversions/upload-summaries
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from google.ads.googleads.v26.enums.types import OfflineEventUploadClientEnum
from google.ads.googleads.v26.resources.types import OfflineConversionAlert, OfflineConversionError
from google.ads.googleads.v26.services.types import GoogleAdsRow

from connectors.errors import Misconfigured, Transient
from connectors.google_ads.ads_api.client import AdsClient, CallFailedError, ConnectionFailedError
from connectors.google_ads.ads_api.outcomes import api_error_name
from connectors.google_ads.auth import ADS_API_SCOPE, ServiceAccount, TokenRefusedError
from connectors.google_ads.options import GoogleOptions
from connectors.language import N_
from connectors.records import CountedRowsFilter, PlatformStatement, SentRequest, StatementSubject
from connectors.statement_messages import NO_ANSWER, NOT_STATED, NOTHING_YET, REFUSED, UNREADABLE

_MAY_NOT = N_(
    "the service account may not read this; it needs access to the account, and its Cloud project the Google Ads API"
)
_SUMMARY = StatementSubject.UPLOAD_SUMMARY
_OURS = OfflineEventUploadClientEnum.OfflineEventUploadClient.GOOGLE_ADS_API
_BY_ACTION = "offline_conversion_upload_conversion_action_summary"
_IN_ALL = "offline_conversion_upload_client_summary"
_QUERIES = {
    _BY_ACTION: f"SELECT customer.time_zone, {_BY_ACTION}.client, {_BY_ACTION}.conversion_action_id,"  # noqa: S608 - GAQL of constants
    f" {_BY_ACTION}.conversion_action_name, {_BY_ACTION}.daily_summaries FROM {_BY_ACTION}",
    _IN_ALL: f"SELECT customer.time_zone, {_IN_ALL}.client, {_IN_ALL}.status, {_IN_ALL}.last_upload_date_time,"  # noqa: S608
    f" {_IN_ALL}.alerts FROM {_IN_ALL}",
}
_LONGEST_NAME = 80
_MOST_ALERTS = 20


def read_upload_summaries(
    options: GoogleOptions, since: datetime, until: datetime, sent: Sequence[SentRequest]
) -> list[PlatformStatement]:
    """Return Google's counts of whole days from `since` to `until`, for the actions of `sent`, and its status."""
    try:
        client = AdsClient(options)
        token = ServiceAccount(options, ADS_API_SCOPE).token().get_secret_value()
        by_action = client.search(options.customer_id, _QUERIES[_BY_ACTION], token)
        in_all = client.search(options.customer_id, _QUERIES[_IN_ALL], token)
    except CallFailedError as error:
        if error.status in _NOT_ALLOWED:
            return [_nothing(_MAY_NOT)]
        return [_nothing(NOT_STATED if error.errors else NO_ANSWER)]
    except (TokenRefusedError, Misconfigured):
        return [_nothing(REFUSED)]
    except (ConnectionFailedError, Transient):
        return [_nothing(NO_ANSWER)]
    try:
        return [*_counts(by_action, since, until, sent), *_status(in_all)]
    except (ValueError, KeyError):  # a date or time zone that is none
        return [_nothing(UNREADABLE)]


_NOT_ALLOWED = ("PERMISSION_DENIED", "UNAUTHENTICATED", "UNIMPLEMENTED")
"""Given by the API, and by Google's front end where a project has not enabled it."""


def _nothing(why: str) -> PlatformStatement:
    return PlatformStatement(_SUMMARY, "", why, None)


def _counts(
    rows: Sequence[GoogleAdsRow], since: datetime, until: datetime, sent: Sequence[SentRequest]
) -> Iterator[PlatformStatement]:
    """Yield the conversions recorded of each day's uploads to each action of ours; none of a day is a 0, too."""
    ours = [each for each in sent if each.target.transport == "google_ads_api"]
    for row in rows:
        summary = row.offline_conversion_upload_conversion_action_summary
        action = str(summary.conversion_action_id)
        to_it = [each for each in ours if each.target.action == action]
        if summary.client != _OURS or not to_it:
            continue
        zone = ZoneInfo(row.customer.time_zone)
        summaries = {date.fromisoformat(each.upload_date): each for each in summary.daily_summaries}
        for day in sorted({*summaries, *(each.sent_at.astimezone(zone).date() for each in to_it)}):
            start, end = _midnight(day, zone), _midnight(day + timedelta(days=1), zone)
            if since <= start and end <= until:
                undecided = summaries[day].pending_count if day in summaries else 0
                span = CountedRowsFilter("google_ads_api", to_it[0].target.owner, action, start, end, undecided)
                name = summary.conversion_action_name[:_LONGEST_NAME]
                recorded = summaries[day].successful_count if day in summaries else 0
                yield PlatformStatement(_SUMMARY, name if name.isprintable() else "", recorded, None, span)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _status(rows: Sequence[GoogleAdsRow]) -> Iterator[PlatformStatement]:
    """Yield the status of the latest day with uploads, and the share of its rows that failed for each reason."""
    summaries = [row for row in rows if row.offline_conversion_upload_client_summary.client == _OURS]
    if not summaries:
        yield _nothing(NOTHING_YET)
    for row in summaries[:1]:
        summary = row.offline_conversion_upload_client_summary
        as_of = None
        if summary.last_upload_date_time:
            at = datetime.fromisoformat(summary.last_upload_date_time)
            as_of = at.replace(tzinfo=ZoneInfo(row.customer.time_zone)).astimezone(UTC)
        status = getattr(summary.status, "name", str(summary.status))
        yield PlatformStatement(_SUMMARY, "status", status, as_of)
        for code, share in sorted(_alerts(summary.alerts).items()):
            yield PlatformStatement(_SUMMARY, code, f"{share:.0%}", as_of)


def _alerts(alerts: Sequence[OfflineConversionAlert]) -> Mapping[str, float]:
    found = {}
    for alert in islice(alerts, _MOST_ALERTS):
        error = OfflineConversionError.pb(alert.error)
        family = error.WhichOneof("error_code")
        found[api_error_name(error, family) if family else "UNKNOWN"] = alert.error_percentage
    return found
