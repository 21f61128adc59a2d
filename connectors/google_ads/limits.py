"""What both of Google's interfaces take, correct and answer alike, as data; loads no library of Google's."""

import re
from dataclasses import replace
from datetime import date, timedelta

from connectors.records import AdjustmentKind, ApiVersion, ClickIdKind, Correction, Limits, Outcome, OutcomeClass

SHORTEST_DEFERRAL = timedelta(hours=6)
"""How long Google wants to be left alone by a click or an action that is too young.

"less than 6 hours ago. Retry after 6 hours": the Google Ads API's text of TOO_RECENT_EVENT
"""

_CLICK_IDS = (ClickIdKind.GCLID, ClickIdKind.GBRAID, ClickIdKind.WBRAID)

_ADJUSTABLE = timedelta(days=54)
"""CONVERSION_EXPIRED's text: "more than 54 days ago"; the Data Manager API names no end of its own."""

CORRECTIONS = {
    # It has no retraction: https://developers.google.com/data-manager/api/devguides/events/google-ads/offline/upgrade
    "data_manager": Correction(
        kinds=frozenset({AdjustmentKind.RESTATEMENT}),
        within=_ADJUSTABLE,
        batch=2000,
        by_resending=True,
    ),
    # "work with GCLIDs and GBRAIDs, but don't work with WBRAIDs":
    # https://developers.google.com/google-ads/api/docs/conversions/upload-adjustments
    "google_ads_api": Correction(
        kinds=frozenset(AdjustmentKind),
        within=_ADJUSTABLE,
        batch=2000,
        by_resending=False,
        except_by=frozenset({ClickIdKind.WBRAID}),
    ),
}
"""What can be corrected at a customer, by either interface and whichever is the present one."""

DATA_MANAGER = Limits(
    # https://developers.google.com/data-manager/api/devguides/limits
    batch=2000,
    click_ids=_CLICK_IDS,
    contact_with=frozenset(_CLICK_IDS),
    opens_after_click=SHORTEST_DEFERRAL,
    # https://support.google.com/google-ads/answer/10029210: 90 days by click id, 63 by contact data
    click_window=timedelta(days=90),
    contact_window=timedelta(days=63),
    needs_personalization=False,
    # https://developers.google.com/data-manager/api/devguides/diagnostics
    resolve_after=timedelta(minutes=30),
    corrects=CORRECTIONS,
)
"""The Data Manager API's; no end of its v1 is announced."""

_SUNSETS = "https://developers.google.com/google-ads/api/docs/sunset-dates"

ADS_API_VERSIONS = {
    # The page names a month; a version may be refused from its first day on.
    "v23": ApiVersion("Google Ads API v23", date(2027, 2, 1), _SUNSETS),
    "v24": ApiVersion("Google Ads API v24", date(2027, 5, 1), _SUNSETS),
    "v25": ApiVersion("Google Ads API v25", date(2027, 8, 1), _SUNSETS),
    "v26": ApiVersion("Google Ads API v26", date(2027, 11, 1), _SUNSETS),
}
"""The versions in the pinned library."""

ADS_API = replace(
    DATA_MANAGER,
    # Integrators saw gbraid and wbraid refused beside contact data:
    # https://github.com/segmentio/action-destinations/pull/2365
    contact_with=frozenset({ClickIdKind.GCLID}),
    resolve_after=timedelta(0),
    version=ADS_API_VERSIONS["v26"],
)
"""The Google Ads API's `UploadClickConversions`: 2,000 conversions a request, and its answer has every outcome.

https://developers.google.com/google-ads/api/docs/conversions/upload-offline
"""

DONE = Outcome(OutcomeClass.DONE, "SUCCESS")
VALIDATED = Outcome(OutcomeClass.DONE, "VALIDATED")
"""What would have been taken in, had it not been for validation only."""

REQUEST_ID = re.compile(r"[\w.:/=+-]{1,200}", re.ASCII)
"""What an id of theirs may be, so that it can be kept and shown."""

INCONCLUSIVE_STATUSES = frozenset({"CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""Statuses of a server that failed, perhaps after it had recorded everything, whatever else it says.

https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
"""
