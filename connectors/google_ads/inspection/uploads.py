"""What Google Ads itself reports of recent uploads: a health check of the day before, not of single conversions.

https://developers.google.com/google-ads/api/docs/conversions/upload-summaries
"""

from collections.abc import Callable
from dataclasses import dataclass

from google.ads.googleads.v26.enums.types import OfflineConversionDiagnosticStatusEnum
from google.ads.googleads.v26.resources.types import (
    OfflineConversionAlert,
    OfflineConversionError,
    OfflineConversionUploadClientSummary,
    OfflineConversionUploadConversionActionSummary,
)
from google.ads.googleads.v26.services.types import GoogleAdsRow

from connectors.google_ads.inspection.enums import member_name
from connectors.records import Finding, Verdict

_Status = OfflineConversionDiagnosticStatusEnum.OfflineConversionDiagnosticStatus
_VERDICTS = {
    _Status.EXCELLENT: Verdict.VERIFIED,
    _Status.GOOD: Verdict.VERIFIED,
    _Status.NEEDS_ATTENTION: Verdict.FAILED,
    _Status.NO_RECENT_UPLOAD: Verdict.VERIFIED,
}
_WORDS = {
    _Status.EXCELLENT: "excellent",
    _Status.GOOD: "good",
    _Status.NEEDS_ATTENTION: "needs attention",
    _Status.NO_RECENT_UPLOAD: "nothing uploaded for 28 days",
}
_FIELDS = (
    "client",
    "status",
    "total_event_count",
    "successful_event_count",
    "pending_event_count",
    "last_upload_date_time",
    "alerts",
)


@dataclass(frozen=True, slots=True)
class Summary:
    """One of the two summaries: how to ask for it, and what a row of it says."""

    subject: str
    query: str
    finding: Callable[[GoogleAdsRow], Finding]


def _of_client(row: GoogleAdsRow) -> Finding:
    summary = row.offline_conversion_upload_client_summary
    return _finding(f"uploads by {member_name(summary.client)}", summary)


def _of_action(row: GoogleAdsRow) -> Finding:
    summary = row.offline_conversion_upload_conversion_action_summary
    subject = f"uploads to conversion action {summary.conversion_action_id} by {member_name(summary.client)}"
    return _finding(subject, summary)


def _finding(
    subject: str, summary: OfflineConversionUploadClientSummary | OfflineConversionUploadConversionActionSummary
) -> Finding:
    said = (
        f"{_WORDS.get(summary.status, member_name(summary.status))}: {summary.successful_event_count} of"
        f" {summary.total_event_count} recorded, {summary.pending_event_count} not yet decided, last upload"
        f" {summary.last_upload_date_time or 'unknown'} (the account's time)"
    )
    alerts = ", ".join(_alert(alert) for alert in summary.alerts)
    verdict = _VERDICTS.get(summary.status, Verdict.UNREADABLE)
    return Finding(subject, verdict, said, f"see why some were refused: {alerts}" if alerts else "")


def _alert(alert: OfflineConversionAlert) -> str:
    """An error's code and its share of the last day with uploads."""
    error = OfflineConversionError.pb(alert.error)
    family = error.WhichOneof("error_code")
    if family is None:
        return f"an error this release does not know {alert.error_percentage:.0%}"
    number = getattr(error, family)
    member = error.DESCRIPTOR.fields_by_name[family].enum_type.values_by_number.get(number)
    return f"{member.name if member else f'{family.upper()}_{number}'} {alert.error_percentage:.0%}"


def _query(resource: str, *more: str) -> str:
    fields = ", ".join(f"{resource}.{field}" for field in (*more, *_FIELDS))
    return f"SELECT {fields} FROM {resource}"  # noqa: S608 - no SQL, and all of it is written in this file


CLIENT = Summary("uploads", _query("offline_conversion_upload_client_summary"), _of_client)
"""Of all uploads, by kind of client."""

ACTION = Summary(
    "uploads by conversion action",
    _query("offline_conversion_upload_conversion_action_summary", "conversion_action_id"),
    _of_action,
)
"""Of the uploads to each conversion action, by kind of client."""
