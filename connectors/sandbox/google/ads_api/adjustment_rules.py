"""Every rule about adjustments of conversions of the sandbox's Google Ads API, in the form of `google_ads_rules`."""

from collections.abc import Iterator

from connectors.sandbox.google.ads_api.rules import AdsApiRule
from connectors.sandbox.rules import Evidence

_GUIDE = "https://developers.google.com/google-ads/api/docs/conversions/upload-adjustments"
_NO_WAIT = "https://ads-developers.googleblog.com/2024/08/improvements-to-conversion-adjustment.html"
_ADOPTERS = "https://developers.google.com/ads/blog/posts/2026/05/changes-to-offline-click-conversion"
_HELP = "https://support.google.com/google-ads/answer/7686447"
_REFERENCE = "https://developers.google.com/google-ads/api/reference/rpc/v26"
_ADJUSTMENT_ERRORS = f"{_REFERENCE}/ConversionAdjustmentUploadErrorEnum.ConversionAdjustmentUploadError"
_REQUEST = f"{_REFERENCE}/UploadConversionAdjustmentsRequest"
_ADJUSTMENT = f"{_REFERENCE}/ConversionAdjustment"
_PAIR = f"{_REFERENCE}/GclidDateTimePair"
_RESTATED = f"{_REFERENCE}/RestatementValue"
_ACROSS = "https://developers.google.com/data-manager/api/devguides/events/google-ads/offline/upgrade"
_ASSUMED = "assumed"
_FAMILY = "conversion_adjustment_upload_error"


def _promise(rule: str, evidence: Evidence, source: str) -> AdsApiRule:
    return AdsApiRule("google_ads", rule, evidence, source)


def _call(rule: str, evidence: Evidence, source: str, answer: str, status: str = "INVALID_ARGUMENT") -> AdsApiRule:
    """A rule whose breach refuses the whole call, by an adjustment error or by `family.NAME`."""
    family, _, name = answer.rpartition(".")
    return AdsApiRule("google_ads", rule, evidence, source, family or _FAMILY, name, status)


def _row(rule: str, evidence: Evidence, source: str, answer: str) -> AdsApiRule:
    """A rule whose breach refuses one row, by an adjustment error or by `family.NAME`."""
    family, _, name = answer.rpartition(".")
    return AdsApiRule("google_ads", rule, evidence, source, family or _FAMILY, name)


# The request as a whole.
ALLOWLISTED = _call(
    "Whether adjustments are open to projects that may not upload conversions is not documented "
    "(switch adjustments_allowlisted).",
    "inferred",
    _ADOPTERS,
    "not_allowlisted_error.CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE",
    "PERMISSION_DENIED",
)
PARTIAL_FAILURE = _call(
    "partial_failure is true for adjustments too.",
    "documented",
    _GUIDE,
    "partial_failure_error.PARTIAL_FAILURE_MODE_REQUIRED",
)
SOME_ADJUSTMENTS = _call(
    "A request has at least one adjustment.",
    "read in the library",
    _REQUEST,
    "request_error.REQUIRED_FIELD_MISSING",
)
MAX_ADJUSTMENTS = _call(
    "A request has at most 2,000 adjustments.",
    "read in the library",
    _ADJUSTMENT_ERRORS,
    "TOO_MANY_ADJUSTMENTS_IN_REQUEST",
)
JOB_ID = _call(
    "A job id that is sent with adjustments lies in [1, 2^31).",
    "read in the library",
    _ADJUSTMENT_ERRORS,
    "INVALID_JOB_ID",
)
VALIDATE_ONLY = _promise(
    "Adjustments that are only validated are checked like any other, have no results and change nothing.",
    "read in the library",
    _REQUEST,
)
ROW_BY_ROW = _promise(
    "A bad adjustment fails alone: its result is empty, and one GoogleAdsFailure lists every row's errors by "
    "their index in conversion_adjustments.",
    "read in the library",
    f"{_REFERENCE}/UploadConversionAdjustmentsResponse",
)
ANSWER_LOST = _promise(
    "An answer may be an INTERNAL error or a partial failure that cannot be read although every adjustment was "
    "taken (switch adjustments_unknown).",
    "assumed",
    _ASSUMED,
)

# One row, by itself.
TYPE_SENT = _row("An adjustment has a type.", "read in the library", _ADJUSTMENT, "field_error.REQUIRED")
TYPE_KNOWN = _row(
    "An adjustment's type is one the API knows, and not its UNKNOWN.",
    "inferred",
    f"{_REFERENCE}/RequestErrorEnum.RequestError",
    "request_error.INVALID_ENUM_VALUE",
)
ONE_KEY = _row(
    "An adjustment other than an enhancement names its conversion by order_id or by gclid_date_time_pair, not both.",
    "read in the library",
    _ADJUSTMENT_ERRORS,
    "GCLID_DATE_TIME_PAIR_AND_ORDER_ID_BOTH_SET",
)
SOME_KEY = _row("An adjustment names its conversion.", "inferred", _ADJUSTMENT, "field_error.REQUIRED")
PAIR_WHOLE = _row(
    "A gclid_date_time_pair has a gclid and a conversion_date_time.",
    "read in the library",
    _PAIR,
    "field_error.REQUIRED",
)
PAIR_TIME = _row(
    "The conversion_date_time of a pair is yyyy-mm-dd hh:mm:ss+hh:mm.",
    "read in the library",
    _PAIR,
    "date_error.INVALID_STRING_DATE_TIME_SECONDS_WITH_OFFSET",
)
ORDER_ID_LENGTH = _row(
    "The order id of an adjustment has at most 64 characters, as no conversion has a longer one.",
    "inferred",
    _ADJUSTMENT,
    "string_length_error.TOO_LONG",
)
ORDER_ID_PERSONAL = _row(
    "The order id of an adjustment is no e-mail address and no phone number.",
    "read in the library",
    _ADJUSTMENT_ERRORS,
    "ORDER_ID_CONTAINS_PII",
)
ACTION_SENT = _row("An adjustment names its conversion action.", "inferred", _ADJUSTMENT, "field_error.REQUIRED")
ACTION_NAME = _row(
    "An adjustment's conversion action is named customers/{customer}/conversionActions/{number}.",
    "read in the library",
    _ADJUSTMENT,
    "request_error.RESOURCE_NAME_MALFORMED",
)
TIME_SENT = _row(
    "An adjustment other than an enhancement has adjustment_date_time.",
    "inferred",
    _ADJUSTMENT,
    "field_error.REQUIRED",
)
TIME_FORMAT = _row(
    "adjustment_date_time is yyyy-mm-dd hh:mm:ss+hh:mm: seconds, a space, and its offset.",
    "read in the library",
    _ADJUSTMENT,
    "date_error.INVALID_STRING_DATE_TIME_SECONDS_WITH_OFFSET",
)
TIME_EXISTS = _row(
    "The times of an adjustment are on the calendar and the clock.",
    "inferred",
    f"{_REFERENCE}/DateErrorEnum.DateError",
    "date_error.INVALID_FIELD_VALUES_IN_DATE_TIME",
)
NOT_IN_FUTURE = _row(
    "An adjustment is not more than 5 minutes ahead of the platform's clock.",
    "assumed",
    _ASSUMED,
    "date_error.LATER_THAN_MAXIMUM_DATE",
)
VALUE_SENT = _row(
    "A restatement has a restatement_value with its adjusted_value, which is the new total.",
    "read in the library",
    _ADJUSTMENT,
    "field_error.REQUIRED",
)
NO_VALUE = _row(
    "A retraction has no restatement_value.",
    "read in the library",
    _ADJUSTMENT,
    "field_error.VALUE_MUST_BE_UNSET",
)
VALUE_SHAPE = _row(
    "An adjusted value is a finite number, not negative.",
    "assumed",
    _ASSUMED,
    "field_error.INVALID_VALUE",
)
CURRENCY = _row(
    "The currency of an adjusted value is three capital letters.",
    "read in the library",
    _RESTATED,
    "currency_code_error.UNSUPPORTED",
)
NO_CONTACT = _row(
    "Only enhancements have user identifiers or a user agent.",
    "read in the library",
    _ADJUSTMENT,
    "field_error.VALUE_MUST_BE_UNSET",
)
MAX_IDENTIFIERS = _row(
    "An enhancement has at most 5 user identifiers.",
    "read in the library",
    _ADJUSTMENT,
    "collection_size_error.TOO_MANY",
)

# One row beside the others of its request.
ONCE = _row(
    "No two rows of a request adjust the same conversion at the same adjustment_date_time "
    "(switch ads_api_duplicates: the later ones are refused, or all).",
    "read in the library",
    _ADJUSTMENT_ERRORS,
    "DUPLICATE_ADJUSTMENT_IN_REQUEST",
)
IN_ORDER = _promise(
    "Rows of a request that adjust one conversion at different times are applied in their order.",
    "assumed",
    _ASSUMED,
)

# One row, once it is looked up: the first breach only.
ACTION_KNOWN = _row(
    "The action of an adjustment is enabled and belongs to the calling customer, or to one that it manages; "
    "the customer in its name is not read.",
    "read in the library",
    _ADJUSTMENT_ERRORS,
    "NO_CONVERSION_ACTION_FOUND",
)
ACTION_TYPE = _row(
    "Retractions and restatements go to actions of type UPLOAD_CLICKS, SALESFORCE or WEBPAGE; enhancements to "
    "WEBPAGE alone.",
    "read in the library",
    _ADJUSTMENT_ERRORS,
    "INVALID_CONVERSION_ACTION_TYPE",
)
ACTION_AGE = _row(
    "An action takes adjustments 6 hours after its creation.",
    "read in the library",
    _ADJUSTMENT_ERRORS,
    "TOO_RECENT_CONVERSION_ACTION",
)
OWN_VALUE = _row(
    "An action that always uses its default value takes no restatements.",
    "read in the library",
    _ADJUSTMENT_ERRORS,
    "CANNOT_RESTATE_CONVERSION_ACTION_THAT_ALWAYS_USES_DEFAULT_CONVERSION_VALUE",
)
WEBPAGE_ORDER_ID = _row(
    "An adjustment of a WEBPAGE action names its conversion by order_id.",
    "read in the library",
    _ADJUSTMENT_ERRORS,
    "MISSING_ORDER_ID_FOR_WEBPAGE",
)
CONVERSION_KNOWN = _row(
    "The conversion was counted on this action: by its order id where it was sent with one, by gclid and time "
    "only where it was not. The sandbox counts no conversions of websites, and none that the Data Manager has "
    "not processed yet.",
    "read in the library",
    _ADJUSTMENT_ERRORS,
    "CONVERSION_NOT_FOUND",
)
ACROSS_APIS = _row(
    "A conversion that the Data Manager counted is found by its transaction id; that it is, is told by an "
    "integrator and not documented (switch cross_api_adjustments).",
    "observed",
    _ACROSS,
    "CONVERSION_NOT_FOUND",
)
NO_WBRAID = _row(
    "Conversions of gclids and gbraids can be adjusted, those of wbraids cannot; by which error is not documented.",
    "documented",
    _GUIDE,
    "CONVERSION_NOT_FOUND",
)
NOT_RETRACTED = _row(
    "A retracted conversion is neither retracted again nor restated.",
    "read in the library",
    _ADJUSTMENT_ERRORS,
    "CONVERSION_ALREADY_RETRACTED",
)
NOT_EXPIRED = _row(
    "A conversion is adjusted within 54 days.",
    "read in the library",
    _ADJUSTMENT_ERRORS,
    "CONVERSION_EXPIRED",
)
AFTER_CONVERSION = _row(
    "adjustment_date_time is after the conversion's time.",
    "read in the library",
    _ADJUSTMENT,
    "ADJUSTMENT_PRECEDES_CONVERSION",
)
LATEST = _row(
    "adjustment_date_time is not before that of an earlier restatement of the conversion.",
    "read in the library",
    _ADJUSTMENT_ERRORS,
    "MORE_RECENT_RESTATEMENT_FOUND",
)
NEW_TIME = _row(
    "A second restatement has another adjustment_date_time than the first, whatever its value.",
    "read in the library",
    _ADJUSTMENT_ERRORS,
    "RESTATEMENT_ALREADY_EXISTS",
)
ZERO_IS_FINAL = _promise(
    "A conversion that was restated to 0 is not adjusted any more: later adjustments are answered as done and "
    "change nothing (switch zero_is_final).",
    "documented",
    _HELP,
)
NO_WAIT = _promise("A conversion can be adjusted as soon as it is counted.", "documented", _NO_WAIT)


def _declared() -> Iterator[AdsApiRule]:
    return (value for value in list(globals().values()) if isinstance(value, AdsApiRule))


RULES: tuple[AdsApiRule, ...] = tuple(_declared())
"""All of them, in the order above."""
