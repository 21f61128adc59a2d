"""What the Google Ads API's answers mean, for a call, a row or an adjustment."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from google.ads.googleads.v26.errors.types import ErrorCode, GoogleAdsError, GoogleAdsFailure
from google.ads.googleads.v26.services.types import UploadClickConversionsResponse, UploadConversionAdjustmentsResponse
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from connectors.google_ads.ads_api.error_families import FAMILIES, FAMILY_DEFAULTS, Members
from connectors.records import Outcome, OutcomeClass

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
_FAMILIES = ErrorCode.pb(ErrorCode()).DESCRIPTOR.fields_by_name
DEFAULTS: Mapping[str, OutcomeClass] = {
    **dict.fromkeys(_FAMILIES.keys() - _TABLES.keys(), OutcomeClass.BUG),
    **{family: kind for kind, families in FAMILY_DEFAULTS.items() for family in families},
}
"""The class of each family that has one for all its members."""
_GENERIC = {"UNKNOWN", "UNSPECIFIED"}


def class_of(family: str, name: str) -> OutcomeClass:
    """The class of an error by its family (the name in `ErrorCode`) and its own name; unknown ones are UNKNOWN."""
    if family in _TABLES:
        return _CLASSES.get((family, name), OutcomeClass.UNKNOWN)
    return OutcomeClass.UNKNOWN if name in _GENERIC else DEFAULTS.get(family, OutcomeClass.UNKNOWN)


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


FAILURE_KEY = "google.ads.googleads.v26.errors.googleadsfailure-bin"
"""Where a refused call carries its failure."""

UploadAnswer = UploadClickConversionsResponse | UploadConversionAdjustmentsResponse
"""What answers row by row; both have the same fields for it."""

_ROWS = ("conversions", "conversion_adjustments")
"""What the lists of rows are called in a request."""


@dataclass(frozen=True, slots=True)
class AdsApiError:
    """One error of the API's, reduced to what it means: its sentence may quote what we sent."""

    outcome: Outcome
    row: int | None
    """The conversion or correction it is about, from 0; None where it concerns the request."""


def faults_of(failure: GoogleAdsFailure) -> tuple[AdsApiError, ...]:
    """Every error of a failure, in its order."""
    return tuple(AdsApiError(_outcome(error), _row(error)) for error in failure.errors)


def faults_in(answer: UploadAnswer) -> tuple[AdsApiError, ...]:
    """Every error of a partial failure; none where it holds no failure that can be read."""
    details = [each for each in answer.partial_failure_error.details if each.type_url.endswith(".GoogleAdsFailure")]
    failures = [_decoded(detail.value) for detail in details]
    return tuple(fault for failure in failures if failure for fault in faults_of(failure))


def faults_in_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[AdsApiError, ...]:
    """Every error of a call's trailing metadata, where the library itself leaves them for two statuses."""
    carried = (_decoded(value) for key, value in metadata if key == FAILURE_KEY and isinstance(value, bytes))
    return tuple(fault for failure in carried if failure for fault in faults_of(failure))


def codes_of(faults: Sequence[AdsApiError]) -> tuple[str, ...]:
    """The codes of errors, each once."""
    return tuple(dict.fromkeys(fault.outcome.code for fault in faults))


def _decoded(value: bytes) -> GoogleAdsFailure | None:
    try:
        failure: GoogleAdsFailure = GoogleAdsFailure.deserialize(value)
    except DecodeError:
        return None
    return failure if failure.errors else None


def _outcome(error: GoogleAdsError) -> Outcome:
    code = GoogleAdsError.pb(error).error_code
    family = code.WhichOneof("error_code")
    if family is None:
        return outcome_of("", "ERROR_OF_A_NEWER_API")
    number = getattr(code, family)
    member = _FAMILIES[family].enum_type.values_by_number.get(number)
    # The library's own enums give a number without a name where the API is newer than they are.
    name = member.name if member else f"{family.upper()}_{number}"
    return outcome_of(family, name, retry_after=_retry_delay(error))


def _row(error: GoogleAdsError) -> int | None:
    """The index beside the list of rows: it reads 0 where it is absent, and other fields have indices of their own."""
    return next(_indices(error), None)


def _indices(error: GoogleAdsError) -> Iterator[int]:
    for element in error.location.field_path_elements:
        if element.field_name in _ROWS and "index" in element:
            yield element.index


def _retry_delay(error: GoogleAdsError) -> timedelta | None:
    delay = GoogleAdsError.pb(error).details.quota_error_details.retry_delay
    seconds = timedelta(seconds=delay.seconds, microseconds=delay.nanos // 1000)
    return seconds if seconds > timedelta(0) else None
