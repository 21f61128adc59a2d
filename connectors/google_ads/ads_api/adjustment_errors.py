"""The errors of the Google Ads API that are about a correction alone.

https://developers.google.com/google-ads/api/reference/rpc/v26/ConversionAdjustmentUploadErrorEnum.ConversionAdjustmentUploadError
"""

from collections.abc import Mapping
from datetime import timedelta

from connectors.google_ads.ads_api.families import Members
from connectors.records import OutcomeClass

CONVERSION_ADJUSTMENT_UPLOAD_ERRORS: Members = {
    OutcomeClass.DUPLICATE: (
        "CONVERSION_ALREADY_RETRACTED",
        "RESTATEMENT_ALREADY_EXISTS",  # of the same time: a correction's own replay
    ),
    OutcomeClass.DEFER: (
        "CONVERSION_NOT_FOUND",  # for a day
        "TOO_RECENT_CONVERSION",
        "TOO_RECENT_CONVERSION_ACTION",
    ),
    OutcomeClass.EXPIRED: ("CONVERSION_EXPIRED",),
    OutcomeClass.FIX_DATA: ("ADJUSTMENT_PRECEDES_CONVERSION",),
    OutcomeClass.DROP: (
        "MORE_RECENT_RESTATEMENT_FOUND",
        "TOO_MANY_ADJUSTMENTS",
    ),
    OutcomeClass.FIX_CONFIG: (
        "CANNOT_RESTATE_CONVERSION_ACTION_THAT_ALWAYS_USES_DEFAULT_CONVERSION_VALUE",
        "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS",
        "INVALID_CONVERSION_ACTION_TYPE",
        "NO_CONVERSION_ACTION_FOUND",
    ),
    OutcomeClass.UNKNOWN: ("UNKNOWN", "UNSPECIFIED"),
    OutcomeClass.BUG: (
        "DUPLICATE_ADJUSTMENT_IN_REQUEST",  # two of one conversion and second in one request
        "GCLID_DATE_TIME_PAIR_AND_ORDER_ID_BOTH_SET",
        "INVALID_JOB_ID",
        "MISSING_ORDER_ID_FOR_WEBPAGE",
        "ORDER_ID_CONTAINS_PII",
        "TOO_MANY_ADJUSTMENTS_IN_REQUEST",
        # enhancements
        "CONVERSION_ACTION_NOT_ELIGIBLE_FOR_ENHANCEMENT",
        "CONVERSION_ALREADY_ENHANCED",
        "CUSTOMER_DATA_POLICY_PROHIBITS_ENHANCEMENT",
        "DUPLICATE_ENHANCEMENT_IN_REQUEST",
        "INVALID_USER_IDENTIFIER",
        "UNSUPPORTED_USER_IDENTIFIER",
    ),
}
"""Why a correction was refused."""

ADJUSTMENTS_OF_THE_ACTION = frozenset(
    {
        "CANNOT_RESTATE_CONVERSION_ACTION_THAT_ALWAYS_USES_DEFAULT_CONVERSION_VALUE",
        "INVALID_CONVERSION_ACTION_TYPE",
        "NO_CONVERSION_ACTION_FOUND",
        "TOO_RECENT_CONVERSION_ACTION",
    }
)
"""Those that blame the conversion action: corrections of others may go on."""

TOO_FRESH: Mapping[str, timedelta] = {"TOO_RECENT_CONVERSION": timedelta(hours=24)}
"""How long Google wants to be left alone, where that is longer than by a young click or action."""

FINAL_AFTER: Mapping[str, timedelta] = {"CONVERSION_NOT_FOUND": timedelta(hours=24)}
"""How long after a conversion was sent it may yet be found; Google resolves early adjustments within a day.

https://ads-developers.googleblog.com/2024/08/improvements-to-conversion-adjustment.html
"""
