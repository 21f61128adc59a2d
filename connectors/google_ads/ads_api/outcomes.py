"""What every error the Google Ads API can give for an upload means for a delivery and its destination."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from connectors.google_ads.ads_api.adjustment_errors import (
    ADJUSTMENTS_OF_THE_ACTION,
    CONVERSION_ADJUSTMENT_UPLOAD_ERRORS,
    FINAL_AFTER,
    TOO_FRESH,
)
from connectors.google_ads.ads_api.families import FAMILIES, FAMILY_DEFAULTS, Members
from connectors.records import Outcome, OutcomeClass

DEFERRAL = timedelta(hours=6)
"""How long Google wants to be left alone by a click or an action that is too young: TOO_RECENT_EVENT's text."""

# https://developers.google.com/google-ads/api/reference/rpc/v26/ConversionUploadErrorEnum.ConversionUploadError
CONVERSION_UPLOAD_ERRORS: Members = {
    OutcomeClass.DUPLICATE: (
        "CLICK_CONVERSION_ALREADY_EXISTS",  # the same click and second
        "ORDER_ID_ALREADY_IN_USE",
    ),
    OutcomeClass.DEFER: (
        "TOO_RECENT_CONVERSION_ACTION",
        "TOO_RECENT_EVENT",
    ),
    OutcomeClass.EXPIRED: ("EXPIRED_EVENT",),
    OutcomeClass.FIX_DATA: (
        "CONVERSION_PRECEDES_EVENT",
        "DUPLICATE_CLICK_CONVERSION_IN_REQUEST",  # two of ours share click and second: none was processed
        "INVALID_USER_IDENTIFIER",
        "UNPARSEABLE_GBRAID",
        "UNPARSEABLE_GCLID",
        "UNPARSEABLE_WBRAID",
    ),
    OutcomeClass.DROP: (
        "CONVERSION_NOT_COMPLIANT_WITH_ATT_POLICY",
        "CONVERSION_TRACKING_NOT_ENABLED_AT_IMPRESSION_TIME",
        "EVENT_NOT_FOUND",
        # One lead's click was on another account's ad: no reason to stop the whole destination for it.
        "INVALID_CUSTOMER_FOR_CLICK",
        "UNAUTHORIZED_CUSTOMER",
    ),
    # "you can safely ignore this warning"
    OutcomeClass.DROP_EXPECTED: ("CLICK_NOT_FOUND",),
    OutcomeClass.FIX_CONFIG: (
        "CUSTOMER_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS",
        "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS",
        "CUSTOMER_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS",
        "EXTERNALLY_ATTRIBUTED_CONVERSION_ACTION_NOT_PERMITTED_WITH_USER_IDENTIFIER",
        "EXTERNAL_ATTRIBUTION_DATA_NOT_SET_FOR_EXTERNALLY_ATTRIBUTED_CONVERSION_ACTION",
        "INVALID_CONVERSION_ACTION_TYPE",
        "NO_CONVERSION_ACTION_FOUND",
        "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID",
        "ORDER_ID_NOT_PERMITTED_FOR_EXTERNALLY_ATTRIBUTED_CONVERSION_ACTION",
    ),
    OutcomeClass.UNKNOWN: ("UNKNOWN", "UNSPECIFIED"),
    OutcomeClass.BUG: (
        "DUPLICATE_ORDER_ID",  # twice in one request, and not processed
        "GBRAID_WBRAID_BOTH_SET",
        "INVALID_JOB_ID",
        "ORDER_ID_CONTAINS_PII",
        "TOO_MANY_CONVERSIONS_IN_REQUEST",
        "UNSUPPORTED_USER_IDENTIFIER",
        # custom variables
        "CUSTOM_VARIABLE_NOT_ENABLED",
        "CUSTOM_VARIABLE_VALUE_CONTAINS_PII",
        # credit shared out by another attribution model
        "EXTERNAL_ATTRIBUTION_DATA_SET_FOR_NON_EXTERNALLY_ATTRIBUTED_CONVERSION_ACTION",
        # calls
        "CALL_CONVERSION_ALREADY_EXISTS",
        "CALL_NOT_FOUND",
        "CONVERSION_PRECEDES_CALL",
        "CONVERSION_TRACKING_NOT_ENABLED_AT_CALL_TIME",
        "DUPLICATE_CALL_CONVERSION_IN_REQUEST",
        "EXPIRED_CALL",
        "INVALID_CUSTOMER_FOR_CALL",
        "TOO_RECENT_CALL",
        "UNPARSEABLE_CALLERS_PHONE_NUMBER",
    ),
}
"""Why a conversion was refused."""

OF_THE_ACTION = frozenset(
    {
        "EXTERNALLY_ATTRIBUTED_CONVERSION_ACTION_NOT_PERMITTED_WITH_USER_IDENTIFIER",
        "EXTERNAL_ATTRIBUTION_DATA_NOT_SET_FOR_EXTERNALLY_ATTRIBUTED_CONVERSION_ACTION",
        "INVALID_CONVERSION_ACTION_TYPE",
        "NO_CONVERSION_ACTION_FOUND",
        "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID",
        "ORDER_ID_NOT_PERMITTED_FOR_EXTERNALLY_ATTRIBUTED_CONVERSION_ACTION",
        "TOO_RECENT_CONVERSION_ACTION",
    }
)
"""Codes of `ConversionUploadError` that blame the conversion action: others of the same account may go on."""

GRAVITY = (
    OutcomeClass.FIX_CONFIG,  # nothing else will pass either
    OutcomeClass.BUG,
    OutcomeClass.UNKNOWN,  # nobody knows what became of it
    OutcomeClass.DUPLICATE,  # it is there, whatever else is said of sending it once more
    OutcomeClass.DEFER,  # a later attempt settles what else is said of it; the longer wait covers the shorter
    OutcomeClass.RETRY,
    OutcomeClass.EXPIRED,  # this conversion will not pass as it is
    OutcomeClass.FIX_DATA,
    OutcomeClass.DROP,
    OutcomeClass.DROP_EXPECTED,
)
"""The classes an error can have, gravest first: a row with several errors has the gravest one's class and code."""

WORDS: Mapping[str, str] = {
    "CANNOT_RESTATE_CONVERSION_ACTION_THAT_ALWAYS_USES_DEFAULT_CONVERSION_VALUE": "the conversion action always uses "
    "its own value: in Google Ads let it use a different value for each conversion",
    "ACCESS_PROHIBITED": "this Cloud project may not use the Google Ads API",
    "ACTION_NOT_PERMITTED_FOR_SUSPENDED_ACCOUNT": "the Google Ads account is suspended",
    "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION": "this Cloud project may only use test accounts",
    "CUSTOMER_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS": "this account may not send contact data: "
    "write contact_data: none",
    "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS": "accept the customer data terms in Google Ads",
    "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE": "this Cloud project may not upload by the Google Ads API: "
    "write transport: data_manager",
    "CUSTOMER_NOT_ENABLED": "the Google Ads account is not active",
    "CUSTOMER_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS": "turn on enhanced conversions for leads in Google Ads",
    "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED": "declare in Google Ads whether the campaigns are political",
    "INVALID_CONVERSION_ACTION_TYPE": "the conversion action is not one for imports of clicks",
    "INVALID_CUSTOMER_ID": "customer_id is no Google Ads account",
    "INVALID_LOGIN_CUSTOMER_ID": "login_customer_id is no Google Ads account",
    "NO_CONVERSION_ACTION_FOUND": "there is no such conversion action in this account",
    "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID": "have the conversion action count every conversion: "
    "one per click does not go with gbraid and wbraid",
    "UNSUPPORTED": "Google Ads does not know this currency",
    "UNSUPPORTED_VERSION": "this release speaks a version of the Google Ads API that has ended: install a newer one",
    "USER_PERMISSION_DENIED": "the service account has no access to this Google Ads account",
}
"""What to say of a code to a human; the API's own sentences may quote what was sent."""

_TABLES = {
    "conversion_upload_error": CONVERSION_UPLOAD_ERRORS,
    "conversion_adjustment_upload_error": CONVERSION_ADJUSTMENT_UPLOAD_ERRORS,
    **FAMILIES,
}
_BLAMES = {
    "conversion_upload_error": OF_THE_ACTION,
    "conversion_adjustment_upload_error": ADJUSTMENTS_OF_THE_ACTION,
}
_CLASSES = {
    (family, name): kind for family, members in _TABLES.items() for kind, names in members.items() for name in names
}
_DEFAULTS = {family: kind for kind, families in FAMILY_DEFAULTS.items() for family in families}
_GENERIC = {"UNKNOWN", "UNSPECIFIED"}


def class_of(family: str, name: str) -> OutcomeClass:
    """The class of an error by its family (the name in `ErrorCode`) and its own name; unknown ones are UNKNOWN."""
    if family in _TABLES:
        return _CLASSES.get((family, name), OutcomeClass.UNKNOWN)
    return OutcomeClass.UNKNOWN if name in _GENERIC else _DEFAULTS.get(family, OutcomeClass.UNKNOWN)


def outcome_of(family: str, name: str, *, retry_after: timedelta | None = None) -> Outcome:
    """The outcome of an error; of a classed family, unknown where the API is newer than this library."""
    kind = class_of(family, name)
    if kind is OutcomeClass.DEFER:
        least = TOO_FRESH.get(name, DEFERRAL)
        retry_after = max(least, retry_after or least)
    of_target = name in _BLAMES.get(family, ())
    final_after = FINAL_AFTER.get(name)
    return Outcome(kind, name, WORDS.get(name, ""), retry_after, of_target=of_target, final_after=final_after)


def gravest(outcomes: Iterable[Outcome]) -> Outcome:
    """The one that decides; of equals the one that concerns the whole destination, then the first."""
    return min(outcomes, key=lambda outcome: (GRAVITY.index(outcome.kind), outcome.of_target))
