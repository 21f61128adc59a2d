"""What the Google Ads API's errors mean: each code's class, and which row it is about."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from google.ads.googleads.v26.errors.types import ErrorCode, GoogleAdsError, GoogleAdsFailure
from google.ads.googleads.v26.services.types import UploadClickConversionsResponse, UploadConversionAdjustmentsResponse
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from connectors.google_ads.limits import SHORTEST_DEFERRAL
from connectors.records import Outcome, OutcomeClass


@dataclass(frozen=True, slots=True)
class Family:
    """One family of errors (a field of `ErrorCode`) that an upload may meet."""

    default: OutcomeClass
    """The class of every member of the library's that is not listed, save the unspecified ones."""
    listed: Mapping[OutcomeClass, tuple[str, ...]] = field(default_factory=dict)


FAMILIES: Mapping[str, Family] = {
    # https://developers.google.com/google-ads/api/reference/rpc/v26/ConversionUploadErrorEnum.ConversionUploadError
    "conversion_upload_error": Family(
        OutcomeClass.BUG,  # such as calls, custom variables and shared credit, which are never sent
        {
            OutcomeClass.DUPLICATE: (
                "CLICK_CONVERSION_ALREADY_EXISTS",  # the same click and second
                "ORDER_ID_ALREADY_IN_USE",
            ),
            OutcomeClass.DEFER: ("TOO_RECENT_CONVERSION_ACTION", "TOO_RECENT_EVENT"),
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
        },
    ),
    "conversion_adjustment_upload_error": Family(
        OutcomeClass.BUG,  # such as enhancements, which are never sent, and two of one conversion and second
        {
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
            OutcomeClass.DROP: ("MORE_RECENT_RESTATEMENT_FOUND", "TOO_MANY_ADJUSTMENTS"),
            OutcomeClass.FIX_CONFIG: (
                "CANNOT_RESTATE_CONVERSION_ACTION_THAT_ALWAYS_USES_DEFAULT_CONVERSION_VALUE",
                "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS",
                "INVALID_CONVERSION_ACTION_TYPE",
                "NO_CONVERSION_ACTION_FOUND",
            ),
        },
    ),
    "not_allowlisted_error": Family(OutcomeClass.FIX_CONFIG),
    "authentication_error": Family(OutcomeClass.FIX_CONFIG),
    "authorization_error": Family(OutcomeClass.FIX_CONFIG, {OutcomeClass.BUG: ("METRIC_ACCESS_DENIED",)}),
    "header_error": Family(OutcomeClass.FIX_CONFIG, {OutcomeClass.BUG: ("INVALID_LINKED_CUSTOMER_ID",)}),
    "request_error": Family(
        OutcomeClass.BUG,
        {
            OutcomeClass.FIX_CONFIG: (
                "BAD_RESOURCE_ID",  # all we name in a request are the accounts and the action
                "CANNOT_BE_EXECUTED_BY_MANAGER_ACCOUNT",
                "CLOUD_PROJECT_NOT_FOUND",
                "DEVELOPER_TOKEN_PARAMETER_MISSING",
                "INVALID_CUSTOMER_ID",
                "LOGIN_CUSTOMER_ID_PARAMETER_MISSING",
                "RESOURCE_NOT_FOUND",
                "UNSUPPORTED_VERSION",
            )
        },
    ),
    "partial_failure_error": Family(OutcomeClass.BUG),
    "quota_error": Family(
        OutcomeClass.RETRY,
        {
            OutcomeClass.FIX_CONFIG: ("ACCESS_PROHIBITED",),
            OutcomeClass.BUG: ("PAYMENTS_PROFILE_ACTIVATION_RATE_LIMIT_EXCEEDED",),
        },
    ),
    "internal_error": Family(
        OutcomeClass.UNKNOWN,  # DEADLINE_EXCEEDED does not say that nothing was recorded before
        {OutcomeClass.RETRY: ("INTERNAL_ERROR", "TRANSIENT_ERROR")},
    ),
    "database_error": Family(
        OutcomeClass.RETRY,  # of any: "usually … replaced with a more specific error if the request is retried"
        {OutcomeClass.BUG: ("REQUEST_TOO_LARGE",)},
    ),
    "mutate_error": Family(
        OutcomeClass.BUG,
        {
            OutcomeClass.FIX_CONFIG: (
                "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED",
                "MUTATE_NOT_ALLOWED",
                "RESOURCE_NOT_FOUND",
                "RESOURCE_NOT_IN_GOOGLE_ADS",
            )
        },
    ),
    "date_error": Family(
        OutcomeClass.BUG,
        {
            OutcomeClass.FIX_DATA: (
                "EARLIER_THAN_MINIMUM_DATE",
                "INVALID_FIELD_VALUES_IN_DATE",
                "INVALID_FIELD_VALUES_IN_DATE_TIME",
                "INVALID_STRING_DATE_TIME_SECONDS_WITH_OFFSET",
                "LATER_THAN_MAXIMUM_DATE",
            )
        },
    ),
    "field_error": Family(
        OutcomeClass.BUG, {OutcomeClass.FIX_DATA: ("BLOCKED_VALUE", "INVALID_VALUE", "REQUIRED", "VALUE_MUST_BE_UNSET")}
    ),
    "string_format_error": Family(OutcomeClass.FIX_DATA),
    "string_length_error": Family(OutcomeClass.FIX_DATA),
    "collection_size_error": Family(OutcomeClass.BUG),
    "currency_code_error": Family(OutcomeClass.FIX_CONFIG),  # a currency only ever comes from the settings
}
"""What an upload may meet; of these a member newer than the library is UNKNOWN."""

ACTION_CODES = frozenset(
    {
        "CANNOT_RESTATE_CONVERSION_ACTION_THAT_ALWAYS_USES_DEFAULT_CONVERSION_VALUE",
        "EXTERNALLY_ATTRIBUTED_CONVERSION_ACTION_NOT_PERMITTED_WITH_USER_IDENTIFIER",
        "EXTERNAL_ATTRIBUTION_DATA_NOT_SET_FOR_EXTERNALLY_ATTRIBUTED_CONVERSION_ACTION",
        "INVALID_CONVERSION_ACTION_TYPE",
        "NO_CONVERSION_ACTION_FOUND",
        "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID",
        "ORDER_ID_NOT_PERMITTED_FOR_EXTERNALLY_ATTRIBUTED_CONVERSION_ACTION",
        "TOO_RECENT_CONVERSION_ACTION",
    }
)
"""Codes that blame the conversion action: others of the same account may go on."""

_ERROR_CODES = ErrorCode.pb(ErrorCode()).DESCRIPTOR.fields_by_name
_OTHER_FAMILIES = {
    "id_error": OutcomeClass.FIX_CONFIG,  # all we name in a request are the accounts and the action
    "operation_access_denied_error": OutcomeClass.FIX_CONFIG,
    "resource_access_denied_error": OutcomeClass.FIX_CONFIG,
    "range_error": OutcomeClass.FIX_DATA,
}
DEFAULTS = dict.fromkeys(_ERROR_CODES.keys() - FAMILIES.keys(), OutcomeClass.BUG) | _OTHER_FAMILIES
"""The one class of each other family: most are errors of methods that are never called here, and so bugs of ours."""
_GENERIC = {"UNKNOWN", "UNSPECIFIED"}

TOO_FRESH: Mapping[str, timedelta] = {"TOO_RECENT_CONVERSION": timedelta(hours=24)}
"""How long Google wants to be left alone, where that is longer than by a young click or action."""

FINAL_AFTER: Mapping[str, timedelta] = {"CONVERSION_NOT_FOUND": timedelta(hours=24)}
"""How long after a conversion was sent it may yet be found; Google resolves early adjustments within a day.

https://ads-developers.googleblog.com/2024/08/improvements-to-conversion-adjustment.html
"""

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


def outcome_class(family: str, name: str) -> OutcomeClass:
    """The class of an error by its family (the name in `ErrorCode`) and its own name; unknown ones are UNKNOWN."""
    if name in _GENERIC:
        return OutcomeClass.UNKNOWN
    if family not in FAMILIES:
        return DEFAULTS.get(family, OutcomeClass.UNKNOWN)
    if name not in _ERROR_CODES[family].enum_type.values_by_name:
        return OutcomeClass.UNKNOWN
    of = FAMILIES[family]
    return next((kind for kind, names in of.listed.items() if name in names), of.default)


def outcome_of(family: str, name: str, *, retry_after: timedelta | None = None) -> Outcome:
    """The outcome of an error by its family and name."""
    kind = outcome_class(family, name)
    if kind is OutcomeClass.DEFER:
        least = TOO_FRESH.get(name, SHORTEST_DEFERRAL)
        retry_after = max(least, retry_after or least)
    words, of_target, final_after = WORDS.get(name, ""), name in ACTION_CODES, FINAL_AFTER.get(name)
    return Outcome(kind, name, words, retry_after, of_target=of_target, final_after=final_after)


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


def errors_of(failure: GoogleAdsFailure) -> tuple[AdsApiError, ...]:
    """Every error of a failure, in its order."""
    return tuple(AdsApiError(_outcome(error), _row(error)) for error in failure.errors)


def errors_in(answer: UploadAnswer) -> tuple[AdsApiError, ...]:
    """Every error of a partial failure; none where it holds no failure that can be read."""
    details = answer.partial_failure_error.details
    return _decoded(detail.value for detail in details if detail.type_url.endswith(".GoogleAdsFailure"))


def errors_in_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[AdsApiError, ...]:
    """Every error of a call's trailing metadata, where the library itself leaves them for two statuses."""
    return _decoded(value for key, value in metadata if key == FAILURE_KEY and isinstance(value, bytes))


def codes_of(errors: Sequence[AdsApiError]) -> tuple[str, ...]:
    """The codes of errors, each once."""
    return tuple(dict.fromkeys(error.outcome.code for error in errors))


def _decoded(failures: Iterable[bytes]) -> tuple[AdsApiError, ...]:
    return tuple(error for failure in failures for error in _errors(failure))


def _errors(serialised: bytes) -> tuple[AdsApiError, ...]:
    try:
        return errors_of(GoogleAdsFailure.deserialize(serialised))
    except DecodeError:
        return ()


def _outcome(error: GoogleAdsError) -> Outcome:
    code = GoogleAdsError.pb(error).error_code
    family = code.WhichOneof("error_code")
    if family is None:
        return outcome_of("", "ERROR_OF_A_NEWER_API")
    return outcome_of(family, member_of(code, family), retry_after=_retry_delay(error))


def member_of(code: Any, family: str) -> str:
    """The name of the error that is set in a message; where the API is newer than the library, its number."""
    number = getattr(code, family)
    member = code.DESCRIPTOR.fields_by_name[family].enum_type.values_by_number.get(number)
    return str(member.name) if member else f"{family.upper()}_{number}"


def _row(error: GoogleAdsError) -> int | None:
    """The index beside the list of rows: it reads 0 where it is absent, and other fields have indices of their own."""
    path = error.location.field_path_elements
    return next((each.index for each in path if each.field_name in _ROWS and "index" in each), None)


def _retry_delay(error: GoogleAdsError) -> timedelta | None:
    delay = GoogleAdsError.pb(error).details.quota_error_details.retry_delay
    seconds = timedelta(seconds=delay.seconds, microseconds=delay.nanos // 1000)
    return seconds if seconds > timedelta(0) else None
