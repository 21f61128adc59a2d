"""Interpret Google Ads API errors: the class of each code and the row it refers to."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from google.ads.googleads.v26.errors.types.errors import ErrorCode, GoogleAdsFailure
from google.ads.googleads.v26.services.types.conversion_adjustment_upload_service import (
    UploadConversionAdjustmentsResponse,
)
from google.ads.googleads.v26.services.types.conversion_upload_service import UploadClickConversionsResponse
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from connectors.google_ads.platform import SHORTEST_DEFERRAL
from connectors.language import N_, _
from connectors.records import Outcome, OutcomeClass


class ErrorFamily:
    """One family of errors (a field of `ErrorCode`) that an upload may return."""

    def __init__(self, default: OutcomeClass, **listed: tuple[str, ...]) -> None:
        """List members by class; every other known to the library, except UNKNOWN and UNSPECIFIED, has the default."""
        self.default = default
        self.listed = {OutcomeClass(kind): names for kind, names in listed.items()}


FAMILIES: Mapping[str, ErrorFamily] = {
    # https://developers.google.com/google-ads/api/reference/rpc/v26/ConversionUploadErrorEnum.ConversionUploadError
    "conversion_upload_error": ErrorFamily(
        OutcomeClass.BUG,  # such as calls, custom variables and shared credit, which are never sent
        duplicate=(
            "CLICK_CONVERSION_ALREADY_EXISTS",  # the same click and second
            "ORDER_ID_ALREADY_IN_USE",
        ),
        defer=("TOO_RECENT_CONVERSION_ACTION", "TOO_RECENT_EVENT"),
        expired=("EXPIRED_EVENT",),
        fix_data=(
            "CONVERSION_PRECEDES_EVENT",
            "DUPLICATE_CLICK_CONVERSION_IN_REQUEST",  # two of our rows share click and second; neither is processed
            "INVALID_USER_IDENTIFIER",
            "UNPARSEABLE_GBRAID",
            "UNPARSEABLE_GCLID",
            "UNPARSEABLE_WBRAID",
        ),
        drop=(
            "CONVERSION_NOT_COMPLIANT_WITH_ATT_POLICY",
            "CONVERSION_TRACKING_NOT_ENABLED_AT_IMPRESSION_TIME",
            "EVENT_NOT_FOUND",
            # One lead clicked another account's ad, which must not stop the whole destination.
            "INVALID_CUSTOMER_FOR_CLICK",
            "UNAUTHORIZED_CUSTOMER",
        ),
        # "you can safely ignore this warning"
        drop_expected=("CLICK_NOT_FOUND",),
        fix_config=(
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
    ),
    "conversion_adjustment_upload_error": ErrorFamily(
        OutcomeClass.BUG,  # such as enhancements, never sent, or two adjustments of one conversion in one second
        duplicate=(
            "CONVERSION_ALREADY_RETRACTED",
            "RESTATEMENT_ALREADY_EXISTS",  # same adjustment time: a replay of this correction
        ),
        defer=(
            "CONVERSION_NOT_FOUND",  # final after a day, see FINAL_AFTER
            "TOO_RECENT_CONVERSION",
            "TOO_RECENT_CONVERSION_ACTION",
        ),
        expired=("CONVERSION_EXPIRED",),
        fix_data=("ADJUSTMENT_PRECEDES_CONVERSION",),
        drop=("MORE_RECENT_RESTATEMENT_FOUND", "TOO_MANY_ADJUSTMENTS"),
        fix_config=(
            "CANNOT_RESTATE_CONVERSION_ACTION_THAT_ALWAYS_USES_DEFAULT_CONVERSION_VALUE",
            "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS",
            "INVALID_CONVERSION_ACTION_TYPE",
            "NO_CONVERSION_ACTION_FOUND",
        ),
    ),
    "not_allowlisted_error": ErrorFamily(OutcomeClass.FIX_CONFIG),
    "authentication_error": ErrorFamily(OutcomeClass.FIX_CONFIG),
    "authorization_error": ErrorFamily(OutcomeClass.FIX_CONFIG, bug=("METRIC_ACCESS_DENIED",)),
    "header_error": ErrorFamily(OutcomeClass.FIX_CONFIG, bug=("INVALID_LINKED_CUSTOMER_ID",)),
    "request_error": ErrorFamily(
        OutcomeClass.BUG,
        fix_config=(
            "BAD_RESOURCE_ID",  # a request refers only to the accounts and the action
            "CANNOT_BE_EXECUTED_BY_MANAGER_ACCOUNT",
            "CLOUD_PROJECT_NOT_FOUND",
            "DEVELOPER_TOKEN_PARAMETER_MISSING",
            "INVALID_CUSTOMER_ID",
            "LOGIN_CUSTOMER_ID_PARAMETER_MISSING",
            "RESOURCE_NOT_FOUND",
            "UNSUPPORTED_VERSION",
        ),
    ),
    "partial_failure_error": ErrorFamily(OutcomeClass.BUG),
    "quota_error": ErrorFamily(
        OutcomeClass.RETRY,
        fix_config=("ACCESS_PROHIBITED",),
        bug=("PAYMENTS_PROFILE_ACTIVATION_RATE_LIMIT_EXCEEDED",),
    ),
    "internal_error": ErrorFamily(
        OutcomeClass.UNKNOWN,  # after DEADLINE_EXCEEDED, rows may have been recorded
        retry=("INTERNAL_ERROR", "TRANSIENT_ERROR"),
    ),
    "database_error": ErrorFamily(
        OutcomeClass.RETRY,  # documented as "usually … replaced with a more specific error if the request is retried"
        bug=("REQUEST_TOO_LARGE",),
    ),
    "mutate_error": ErrorFamily(
        OutcomeClass.BUG,
        fix_config=(
            "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED",
            "MUTATE_NOT_ALLOWED",
            "RESOURCE_NOT_FOUND",
            "RESOURCE_NOT_IN_GOOGLE_ADS",
        ),
    ),
    "date_error": ErrorFamily(
        OutcomeClass.BUG,
        fix_data=(
            "EARLIER_THAN_MINIMUM_DATE",
            "INVALID_FIELD_VALUES_IN_DATE",
            "INVALID_FIELD_VALUES_IN_DATE_TIME",
            "INVALID_STRING_DATE_TIME_SECONDS_WITH_OFFSET",
            "LATER_THAN_MAXIMUM_DATE",
        ),
    ),
    "field_error": ErrorFamily(
        OutcomeClass.BUG, fix_data=("BLOCKED_VALUE", "INVALID_VALUE", "REQUIRED", "VALUE_MUST_BE_UNSET")
    ),
    "string_format_error": ErrorFamily(OutcomeClass.FIX_DATA),
    "string_length_error": ErrorFamily(OutcomeClass.FIX_DATA),
    "collection_size_error": ErrorFamily(OutcomeClass.BUG),
    "currency_code_error": ErrorFamily(OutcomeClass.FIX_CONFIG),  # currencies come only from the settings
}
"""Families an upload may return; a member newer than the library is UNKNOWN."""

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
"""Codes that fault the conversion action, so that the account's other actions can continue."""

_ERROR_CODES = ErrorCode.pb(ErrorCode()).DESCRIPTOR.fields_by_name
_OTHER_FAMILIES = {
    "id_error": OutcomeClass.FIX_CONFIG,  # a request refers only to the accounts and the action
    "operation_access_denied_error": OutcomeClass.FIX_CONFIG,
    "resource_access_denied_error": OutcomeClass.FIX_CONFIG,
    "range_error": OutcomeClass.FIX_DATA,
}
DEFAULTS = dict.fromkeys(_ERROR_CODES.keys() - FAMILIES.keys(), OutcomeClass.BUG) | _OTHER_FAMILIES
"""Class of each other family: most belong to methods we never call, so receiving one is our bug."""
_GENERIC = {"UNKNOWN", "UNSPECIFIED"}

TOO_FRESH: Mapping[str, timedelta] = {"TOO_RECENT_CONVERSION": timedelta(hours=24)}
"""Minimum retry delays longer than SHORTEST_DEFERRAL."""

FINAL_AFTER: Mapping[str, timedelta] = {"CONVERSION_NOT_FOUND": timedelta(hours=24)}
"""How long after its upload a conversion may still be found; Google resolves early adjustments within a day.

https://ads-developers.googleblog.com/2024/08/improvements-to-conversion-adjustment.html
"""

WORDS: Mapping[str, str] = {
    "CANNOT_RESTATE_CONVERSION_ACTION_THAT_ALWAYS_USES_DEFAULT_CONVERSION_VALUE": N_(
        "the conversion action always "
        "uses its own value: in Google Ads let it use a different value "
        "for each conversion"
    ),
    "ACCESS_PROHIBITED": N_("this Cloud project may not use the Google Ads API"),
    "ACTION_NOT_PERMITTED_FOR_SUSPENDED_ACCOUNT": N_("the Google Ads account is suspended"),
    "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION": N_("this Cloud project may only use test accounts"),
    "CUSTOMER_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS": N_(
        "this account may not send contact data: write contact_data: none"
    ),
    "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS": N_("accept the customer data terms in Google Ads"),
    "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE": N_(
        "this Cloud project may not upload by the Google Ads API: write transport: data_manager"
    ),
    "CUSTOMER_NOT_ENABLED": N_("the Google Ads account is not active"),
    "CUSTOMER_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS": N_("turn on enhanced conversions for leads in Google Ads"),
    "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED": N_("declare in Google Ads whether the campaigns are political"),
    "INVALID_CONVERSION_ACTION_TYPE": N_("the conversion action is not one for imports of clicks"),
    "INVALID_CUSTOMER_ID": N_("customer_id is no Google Ads account"),
    "INVALID_LOGIN_CUSTOMER_ID": N_("login_customer_id is no Google Ads account"),
    "NO_CONVERSION_ACTION_FOUND": N_("there is no such conversion action in this account"),
    "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID": N_(
        "have the conversion action count every conversion: one per click does not go with gbraid and wbraid"
    ),
    "UNSUPPORTED": N_("Google Ads does not know this currency"),
    "UNSUPPORTED_VERSION": N_(
        "this release speaks a version of the Google Ads API that has ended: install a newer one"
    ),
    "USER_PERMISSION_DENIED": N_("the service account has no access to this Google Ads account"),
}
"""Human-readable messages by code; the API's own may quote what was sent."""

GRAVITY = (
    OutcomeClass.FIX_CONFIG,  # nothing else will be accepted either
    OutcomeClass.BUG,
    OutcomeClass.UNKNOWN,  # may or may not be recorded
    OutcomeClass.DUPLICATE,  # already recorded, whatever the other errors
    OutcomeClass.DEFER,  # a later attempt settles the other errors; its longer wait covers RETRY's
    OutcomeClass.RETRY,
    OutcomeClass.EXPIRED,  # from here on, the conversion will never be accepted as it is
    OutcomeClass.FIX_DATA,
    OutcomeClass.DROP,
    OutcomeClass.DROP_EXPECTED,
)
"""Error classes, gravest first; a row with several errors takes the gravest one's class and code."""


def classify_error(family: str, name: str) -> OutcomeClass:
    """Return the class of an error by family (field name in `ErrorCode`) and member; UNKNOWN if unrecognised."""
    if name in _GENERIC:
        return OutcomeClass.UNKNOWN
    if family not in FAMILIES:
        return DEFAULTS.get(family, OutcomeClass.UNKNOWN)
    if name not in _ERROR_CODES[family].enum_type.values_by_name:
        return OutcomeClass.UNKNOWN
    of = FAMILIES[family]
    return next((kind for kind, names in of.listed.items() if name in names), of.default)


def outcome_of_error(family: str, name: str, *, retry_after: timedelta | None = None) -> Outcome:
    """Return the outcome of an error by family and member."""
    kind = classify_error(family, name)
    if kind is OutcomeClass.DEFER:
        least = TOO_FRESH.get(name, SHORTEST_DEFERRAL)
        retry_after = max(least, retry_after or least)
    words, of_target, final_after = _(WORDS.get(name, "")), name in ACTION_CODES, FINAL_AFTER.get(name)
    return Outcome(kind, name, words, retry_after, of_target=of_target, final_after=final_after)


def most_severe_outcome(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the gravest outcome; ties go to one that concerns the whole destination, then to the first."""
    return min(outcomes, key=lambda outcome: (GRAVITY.index(outcome.kind), outcome.of_target))


FAILURE_KEY = "google.ads.googleads.v26.errors.googleadsfailure-bin"
"""Trailing metadata key of a refused call's failure."""

UploadAnswer = UploadClickConversionsResponse | UploadConversionAdjustmentsResponse
"""Answers with a partial failure and results per row, in the same fields."""

_ROWS = ("conversions", "conversion_adjustments")
"""Names of the row lists in requests."""


@dataclass(frozen=True, slots=True)
class AdsApiError:
    """One API error, reduced to its outcome and row, since its message may quote what we sent."""

    outcome: Outcome
    row: int | None
    """Zero-based index of the conversion or correction; None if it concerns the request."""


def errors_of_failure(failure: GoogleAdsFailure) -> tuple[AdsApiError, ...]:
    """Return the errors of a failure, in order."""
    # The bare messages are read several times as fast as the classes around them.
    return tuple(AdsApiError(_outcome(error), _row(error)) for error in GoogleAdsFailure.pb(failure).errors)


def errors_in(answer: UploadAnswer) -> tuple[AdsApiError, ...]:
    """Return the errors of a partial failure; empty if it holds no readable failure."""
    details = answer.partial_failure_error.details
    return _decoded(detail.value for detail in details if detail.type_url.endswith(".GoogleAdsFailure"))


def errors_in_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> tuple[AdsApiError, ...]:
    """Return the errors in a call's trailing metadata, where the library leaves them for two statuses."""
    return _decoded(value for key, value in metadata if key == FAILURE_KEY and isinstance(value, bytes))


def codes_of(errors: Sequence[AdsApiError]) -> tuple[str, ...]:
    """Return the distinct codes of errors."""
    return tuple(dict.fromkeys(error.outcome.code for error in errors))


def _decoded(failures: Iterable[bytes]) -> tuple[AdsApiError, ...]:
    found: list[AdsApiError] = []
    for failure in failures:
        with suppress(DecodeError):
            found += errors_of_failure(GoogleAdsFailure.deserialize(failure))
    return tuple(found)


def _outcome(error: Any) -> Outcome:
    code = error.error_code
    family = code.WhichOneof("error_code")
    if family is None:
        return Outcome(OutcomeClass.UNKNOWN, "ERROR_OF_A_NEWER_API")
    return outcome_of_error(family, api_error_name(code, family), retry_after=_retry_delay(error))


def api_error_name(code: Any, family: str) -> str:
    """Return the name of the error set in a message, or its number if the API is newer than the library."""
    number = getattr(code, family)
    member = code.DESCRIPTOR.fields_by_name[family].enum_type.values_by_number.get(number)
    return str(member.name) if member else f"{family.upper()}_{number}"


def _row(error: Any) -> int | None:
    """Return the index of the row list's path element; an absent one reads as 0, and other fields have their own."""
    path = error.location.field_path_elements
    return next((each.index for each in path if each.field_name in _ROWS and each.HasField("index")), None)


def _retry_delay(error: Any) -> timedelta | None:
    delay = error.details.quota_error_details.retry_delay
    seconds = timedelta(seconds=delay.seconds, microseconds=delay.nanos // 1000)
    return seconds if seconds > timedelta(0) else None
