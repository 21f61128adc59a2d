"""What the Data Manager's answers and request statuses mean, row by row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from google.ads.datamanager_v1 import ProcessingErrorReason, RequestStatusPerDestination

from connectors.records import Answered, Miscounted, Outcome, OutcomeClass, PartlyRefused, StillPending

DEFERRAL = timedelta(hours=6)
"""How long Google wants to be left alone by a click or an action that is too young."""

# https://developers.google.com/data-manager/api/reference/rest/v1/ErrorReason
ERROR_REASONS: Mapping[OutcomeClass, tuple[str, ...]] = {
    OutcomeClass.FIX_CONFIG: (
        "DESTINATION_ACCOUNT_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS",
        "DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED",
        "DESTINATION_ACCOUNT_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS",
        "DESTINATION_ACCOUNT_TYPE_MISMATCH",
        "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED",
        "EVENT_SOURCE_AND_DESTINATION_MISMATCH",
        "INVALID_CONVERSION_ACTION_ID",
        "INVALID_CONVERSION_ACTION_TYPE",
        "INVALID_DESTINATION",
        "NOT_ALLOWLISTED",
        "NOT_FOUND",  # all we name in a request are the accounts and the action
        "OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH",
        "PERMISSION_DENIED",
        "TERMS_AND_CONDITIONS_NOT_SIGNED",
    ),
    OutcomeClass.RETRY: ("RESOURCE_EXHAUSTED",),
    OutcomeClass.DEFER: ("CONVERSION_ACTION_TOO_RECENTLY_CREATED",),
    OutcomeClass.FIX_DATA: (
        "EVENT_TIME_INVALID",  # too old or in the future: it does not say which
        "FIELD_VALUE_TOO_LONG",
        "FIELD_VALUE_TOO_SHORT",
        "INVALID_AD_IDENTIFIER_FOR_ACCOUNT",
        "INVALID_CURRENCY_CODE",
        "INVALID_EVENT",
        "INVALID_FORMAT",
        "INVALID_HEX_ENCODING",
        "INVALID_NUMBER_FORMAT",
        "INVALID_SHA256_FORMAT",
        "NO_IDENTIFIERS_PROVIDED",
        "REQUIRED_FIELD_MISSING",
        "TOO_MANY_USER_IDENTIFIERS",
    ),
    OutcomeClass.UNKNOWN: (
        "DEADLINE_EXCEEDED",
        "ERROR_REASON_UNSPECIFIED",
        "INTERNAL_ERROR",
        "INVALID_ARGUMENT",  # the generic one, beside which a field violation may say more
    ),
    OutcomeClass.BUG: (
        "DUPLICATE_DESTINATION_REFERENCE",
        "INVALID_ENUM_VALUE",
        "TOO_FEW_ELEMENTS",
        "TOO_MANY_DESTINATIONS",
        "TOO_MANY_ELEMENTS",
        "TOO_MANY_EVENTS",
        # asking for a request's status
        "INVALID_REQUEST_ID",
        "REQUEST_TOO_OLD",
        # addresses, mobile ids, base64, custom variables, carts
        "CUSTOM_VARIABLE_NOT_ENABLED",
        "CUSTOM_VARIABLE_NOT_FOUND",
        "CUSTOM_VARIABLE_VALUE_CONTAINS_PII",
        "INVALID_BASE64_ENCODING",
        "INVALID_COUNTRY_CODE",
        "INVALID_COUPON_CODE",
        "INVALID_CUSTOM_VARIABLE_VALUE",
        "INVALID_MERCHANT_FEED_LANGUAGE_CODE",
        "INVALID_MERCHANT_ID",
        "INVALID_MOBILE_ID_FORMAT",
        "INVALID_POSTAL_CODE",
        "INVALID_REGION_CODE",
        # Analytics
        "BOTH_CLIENT_ID_AND_APP_INSTANCE_ID_NOT_ALLOWED",
        "GOOGLE_ANALYTICS_SUBPROPERTY_OR_ROLLUP_PROPERTY_NOT_ALLOWED",
        "INVALID_CONTINENT_CODE",
        "INVALID_DEVICE_CATEGORY",
        "INVALID_EVENT_NAME",
        "INVALID_PROPERTY_TYPE",
        "INVALID_STREAM_TYPE",
        "INVALID_SUBCONTINENT_CODE",
        "INVALID_SUBDIVISION_CODE",
        "MULTIPLE_DESTINATIONS_FOR_GOOGLE_ANALYTICS_EVENT",
        "REQUIRED_PREREQUISITE_LINK_MISSING",
        "RESERVED_NAME_USED",
        # audiences and their lists
        "DISPLAY_NAME_ALREADY_USED",
        "INVALID_AUDIENCE_MEMBER",
        "INVALID_DESCRIPTION",
        "INVALID_DISPLAY_NAME",
        "INVALID_REMOVE_AS_OF_TIME",
        "INVALID_USER_LIST_ID",
        "INVALID_USER_LIST_TYPE",
        "MEMBERSHIP_DURATION_TOO_LONG",
        "OWNERSHIP_REQUIRED_FOR_UPDATE",
        "SENSITIVE_USER_LIST_IMMUTABLE",
        "TOO_MANY_AUDIENCE_MEMBERS",
        "TOO_MANY_USERS",
        "UNSUPPORTED_ACCOUNT_TYPES_FOR_USER_LIST_TYPE",
        "UNSUPPORTED_INGESTED_USER_LIST_INFO_CONFIG",
        "UNSUPPORTED_USER_LIST_UPLOAD_KEY_TYPES",
        "USER_LIST_MUTATION_NOT_SUPPORTED",
        "USER_LIST_NAME_RESERVED",
        "USER_LIST_TYPE_NOT_SUPPORTED_FOR_ACCOUNT",
        # resources that are created and listed
        "ALREADY_EXISTS",
        "IMMUTABLE_FIELD_FOR_UPDATE",
        "INVALID_FILTER",
        "INVALID_PAGE_TOKEN",
        "INVALID_RESOURCE_NAME",
        "INVALID_UPDATE_MASK",
        # partners
        "ADVERTISER_NOT_ALLOWLISTED_FOR_THIRD_PARTY_PARTNER_DATA",
        "ADVERTISER_NOT_ALLOWLISTED_FOR_UPLOADED_DATA",
        "ADVERTISER_TOS_NOT_ACCEPTED",
        "COMMERCE_PARTNER_NOT_ALLOWED",
        "CUSTOMER_NOT_ALLOWLISTED_FOR_COMMERCE_AUDIENCE",
        "DATA_PARTNER_NOT_ALLOWLISTED_FOR_THIRD_PARTY_PARTNER_DATA",
        "DATA_PARTNER_USER_LIST_MUTATE_NOT_ALLOWED",
        "DIFFERENT_LOGIN_ACCOUNTS_NOT_ALLOWED_FOR_DATA_PARTNER",
        "INVALID_COMMERCE_PARTNER",
        "LINKED_ACCOUNT_ONLY_ALLOWED_WITH_DATA_PARTNER_LOGIN_ACCOUNT",
        "MULTIPLE_DATA_TYPES_NOT_ALLOWED",
        "PARTNER_MATCH_FOR_MANAGER_ACCOUNT_DISALLOWED",
        "THIRD_PARTY_USER_DATA_NOT_ALLOWED",
        "UNSUPPORTED_ACCOUNT_TYPE_FOR_PARTNER_LINK",
        "UNSUPPORTED_LINKED_ACCOUNT_FOR_DATA_PARTNER",
        "UNSUPPORTED_OPERATING_ACCOUNT_FOR_DATA_PARTNER",
        "UNSUPPORTED_PARTNER_AUDIENCE_INFO",
        "UNSUPPORTED_PARTNER_AUDIENCE_SOURCE",
        # licences
        "BILLABLE_RECORD_COUNT_IMMUTABLE",
        "CANNOT_CREATE_LICENSE_FOR_SENSITIVE_USERLIST",
        "CANNOT_DISABLE_LICENSE",
        "CANNOT_LICENSE_LOGICAL_LIST_WITH_LICENSED_OR_SHARED_SEGMENT",
        "CANNOT_UPDATE_DISABLED_LICENSE",
        "COMMERCE_AUDIENCE_CAN_ONLY_BE_DIRECTLY_LICENSED",
        "CUSTOMER_NOT_ALLOWED_TO_CREATE_LICENSE",
        "INSUFFICIENT_COST",
        "INVALID_CLIENT_ACCOUNT_ID",
        "INVALID_COST_TYPE",
        "INVALID_MEDIA_SHARE_COST",
        "INVALID_PRICING_END_DATE",
        "MAX_COST_NOT_ALLOWED",
        "MEDIA_SHARE_COST_NOT_ALLOWED_FOR_CLIENT_CUSTOMER",
        "MEDIA_SHARE_COST_NOT_ALLOWED_FOR_LICENSE_TYPE",
        "MEDIA_SHARE_COST_NOT_ALLOWED_FOR_NON_COMMERCE_USER_LIST",
        "MISMATCHED_ACCOUNT_TYPE",
        "PRICE_TOO_HIGH",
        "PRICING_ONLY_ZERO_COST_ALLOWED",
        # store sales and insights
        "ACCOUNT_INELIGIBLE_FOR_STORE_SALES",
        "BASELINE_LOCATION_AUTO_DETECTION_FAILED",
        "INSIGHTS_MISSING_FOR_DIMENSION",
    ),
}
"""Why a request was refused whole."""

# https://developers.google.com/data-manager/api/reference/rest/v1/requestStatus/retrieve
PROCESSING_REASONS: Mapping[OutcomeClass, tuple[str, ...]] = {
    OutcomeClass.DUPLICATE: (
        "PROCESSING_ERROR_REASON_DUPLICATE_GCLID",
        "PROCESSING_ERROR_REASON_DUPLICATE_TRANSACTION_ID",
    ),
    OutcomeClass.RETRY: ("PROCESSING_ERROR_REASON_INTERNAL_ERROR",),
    OutcomeClass.DEFER: ("PROCESSING_ERROR_REASON_TOO_RECENT_CLICK",),
    OutcomeClass.EXPIRED: ("PROCESSING_ERROR_REASON_EVENT_TOO_OLD",),
    OutcomeClass.DROP_EXPECTED: (
        "PROCESSING_ERROR_REASON_CLICK_NOT_FOUND",
        "PROCESSING_ERROR_REASON_MATCH_ID_NOT_FOUND",
        "PROCESSING_ERROR_REASON_USER_ID_NOT_FOUND",
        "PROCESSING_ERROR_REASON_USER_ID_NOT_FOUND_FOR_DCLID",
        "PROCESSING_ERROR_REASON_USER_ID_NOT_FOUND_FOR_GCLID",
        "PROCESSING_ERROR_REASON_USER_ID_NOT_FOUND_FOR_IMPRESSION_ID",
        "PROCESSING_ERROR_REASON_USER_ID_NOT_FOUND_FOR_MATCH_ID",
    ),
    OutcomeClass.DROP: (
        "PROCESSING_ERROR_REASON_DENIED_CONSENT",
        "PROCESSING_ERROR_REASON_INVALID_CLICK",
        "PROCESSING_ERROR_REASON_UNKNOWN_CONSENT",
    ),
    OutcomeClass.FIX_DATA: (
        "PROCESSING_ERROR_REASON_CONVERSION_PRECEDES_CLICK",
        "PROCESSING_ERROR_REASON_INVALID_AD_IDENTIFIERS",
        "PROCESSING_ERROR_REASON_INVALID_EVENT",
        "PROCESSING_ERROR_REASON_INVALID_FORMAT",
        "PROCESSING_ERROR_REASON_INVALID_GBRAID",
        "PROCESSING_ERROR_REASON_INVALID_GCLID",
        "PROCESSING_ERROR_REASON_INVALID_WBRAID",
        # One lead's click was on another account's ad: no reason to stop the whole destination for it.
        "PROCESSING_ERROR_REASON_INVALID_OPERATING_ACCOUNT_FOR_CLICK",
        "PROCESSING_ERROR_OPERATING_ACCOUNT_MISMATCH_FOR_AD_IDENTIFIER",
    ),
    OutcomeClass.FIX_CONFIG: (
        "PROCESSING_ERROR_REASON_DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED",
        "PROCESSING_ERROR_REASON_EXTERNAL_ATTRIBUTION_DATA_MISSING",
        # The advertiser has not consented to Google's core platform services: an account setting, no row's.
        "PROCESSING_ERROR_REASON_NO_CONSENT",
        "PROCESSING_ERROR_REASON_ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID",
    ),
    OutcomeClass.UNKNOWN: ("PROCESSING_ERROR_REASON_UNSPECIFIED",),
    OutcomeClass.BUG: (
        "PROCESSING_ERROR_REASON_CUSTOM_VARIABLE_NOT_ENABLED",
        "PROCESSING_ERROR_REASON_INVALID_CUSTOM_VARIABLE",
        "PROCESSING_ERROR_REASON_INVALID_MERCHANT_ID",
        "PROCESSING_ERROR_REASON_INVALID_MOBILE_ID_FORMAT",
        # store sales
        "PROCESSING_ERROR_REASON_INSUFFICIENT_MATCHED_TRANSACTIONS",
        "PROCESSING_ERROR_REASON_INSUFFICIENT_TRANSACTIONS",
        # tag conversions and Campaign Manager
        "PROCESSING_ERROR_REASON_EVENT_ID_DECODE_ERROR",
        "PROCESSING_ERROR_REASON_ORIGINAL_CONVERSIONS_NOT_FOUND",
        # encryption
        "PROCESSING_ERROR_REASON_AWS_AUTH_FAILED",
        "PROCESSING_ERROR_REASON_DECRYPTION_ERROR",
        "PROCESSING_ERROR_REASON_DEK_DECRYPTION_ERROR",
        "PROCESSING_ERROR_REASON_INVALID_KEK",
        "PROCESSING_ERROR_REASON_INVALID_WIP",
        "PROCESSING_ERROR_REASON_KEK_PERMISSION_DENIED",
        "PROCESSING_ERROR_REASON_USER_IDENTIFIER_DECRYPTION_ERROR",
        "PROCESSING_ERROR_REASON_WIP_AUTH_FAILED",
    ),
}
"""Why a row was refused after its request was taken in."""

OF_THE_ACTION = frozenset(
    {
        "CONVERSION_ACTION_TOO_RECENTLY_CREATED",
        "INVALID_CONVERSION_ACTION_ID",
        "INVALID_CONVERSION_ACTION_TYPE",
        "PROCESSING_ERROR_REASON_EXTERNAL_ATTRIBUTION_DATA_MISSING",
        "PROCESSING_ERROR_REASON_ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID",
    }
)
"""Reasons that blame the conversion action: others of the same account may go on."""

WORDS: Mapping[str, str] = {
    "PROCESSING_ERROR_REASON_NO_CONSENT": "the advertiser has not consented to Google's core platform services: "
    "whoever manages the Google Ads account gives that consent in its settings",
}
"""What to say of a code to a human; the API's own sentences may quote what was sent."""
TROUBLES = frozenset({"DEADLINE_EXCEEDED", "INTERNAL_ERROR"})
"""Reasons after which nobody can tell whether the request was processed."""

_CLASSES = {
    reason: kind
    for table in (ERROR_REASONS, PROCESSING_REASONS)  # they share no name
    for kind, reasons in table.items()
    for reason in reasons
}


def class_of(code: str) -> OutcomeClass | None:
    """The class of a reason by its name; None for one this library does not know."""
    return _CLASSES.get(code)


def outcome_of(code: str, message: str = "", *, retry_after: timedelta | None = None) -> Outcome:
    """The outcome of a reason by its name, unknown where the API is newer than this library."""
    kind = class_of(code) or OutcomeClass.UNKNOWN
    if kind is OutcomeClass.DEFER:
        retry_after = max(DEFERRAL, retry_after or DEFERRAL)
    return Outcome(kind, code, message or WORDS.get(code, ""), retry_after, of_target=code in OF_THE_ACTION)


def code_name(value: object, codes: type[IntEnum]) -> str | None:
    """A code's name, which an answer may give as its number instead; None for what is neither."""
    if isinstance(value, int):
        return next((code.name for code in codes if code == value), f"{codes.__name__}_{value}")
    return value if isinstance(value, str) and value.isidentifier() and len(value) <= 120 else None  # noqa: PLR2004 - longer than any


DONE = Outcome(OutcomeClass.DONE, "SUCCESS")

_UNSPECIFIED = "PROCESSING_ERROR_REASON_UNSPECIFIED"
_STATUSES = {"SUCCESS": "SUCCESS", "PARTIAL_SUCCESS": "PARTIAL_SUCCESS", "FAILED": "FAILED", "FAILURE": "FAILED"}
"""The final statuses: FAILED by the enum, FAILURE by https://developers.google.com/data-manager/api/devguides/diagnostics."""
_REJECTED = (OutcomeClass.FIX_DATA, OutcomeClass.DROP, OutcomeClass.DROP_EXPECTED)
"""The classes that refuse a row, first the one a human should hear of."""


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """How many records were refused for one reason, and which, where the answer says."""

    reason: str
    count: int
    indices: tuple[int, ...] | None

    def is_sound(self, rows: int) -> bool:
        """Whether the indices, where given, agree with the count and the request."""
        if self.indices is None:
            return True
        in_range = all(0 <= index < rows for index in self.indices)
        return in_range and len(set(self.indices)) == len(self.indices) == self.count


def read_status(payload: object, rows: int) -> Answered | StillPending | PartlyRefused | Miscounted:
    """The outcome of a request of `rows` events to one destination.

    It counts every event it was sent, however each fared; where it counts others than we sent, it speaks of none.
    Raises ValueError for an answer of another shape.
    """
    match payload:
        case {"requestStatusPerDestination": [dict() as destination]}:
            pass
        case _:
            raise ValueError("not the status of a request to one destination")
    said = code_name(destination.get("requestStatus"), RequestStatusPerDestination.RequestStatus)
    status = _STATUSES.get(said or "")
    counts = [count for count in _error_counts(destination) if count.count]
    if status is None:
        return StillPending()
    counted = _counted(destination)
    if status != "FAILED" and counted is not None and counted != rows:
        return Miscounted(counted, rows)
    if status == "SUCCESS" and not counts:
        return Answered((DONE,) * rows)
    return _by_row(status, counts, rows) or _as_a_whole(status, counts, rows)


def _by_row(status: str, counts: Sequence[ErrorCount], rows: int) -> Answered | None:
    """Each row's outcome by the record indices; None where they are missing or contradict the rest."""
    if not all(count.indices is not None and count.is_sound(rows) for count in counts):
        return None
    # A row refused for several reasons keeps the first.
    codes = {index: count.reason for count in reversed(counts) for index in count.indices or ()}
    is_proven = {"FAILED": len(codes) == rows, "PARTIAL_SUCCESS": 0 < len(codes) < rows}
    if not is_proven.get(status):
        return None
    return Answered(tuple(outcome_of(codes[row]) if row in codes else DONE for row in range(rows)))


def _as_a_whole(status: str, counts: Sequence[ErrorCount], rows: int) -> Answered | PartlyRefused:
    """All refused where the answer says so and nothing in it says otherwise; else nobody knows which."""
    refused = sum(count.count for count in counts)
    agrees = refused >= rows or not counts  # counts "may not be populated in all cases"
    if status == "FAILED" and agrees and all(count.is_sound(rows) for count in counts):
        return Answered((_shared(counts),) * rows)
    reasons = tuple(dict.fromkeys(count.reason for count in counts))
    return PartlyRefused(min(max(refused, 1), rows), rows, reasons)


def _shared(counts: Sequence[ErrorCount]) -> Outcome:
    """One outcome for rows all refused, when several reasons are given and not whose."""
    outcomes = [outcome_of(code) for code in dict.fromkeys(count.reason for count in counts)]
    if len(outcomes) == 1:
        return outcomes[0]
    kinds = {outcome.kind for outcome in outcomes}
    # None was taken, so all may wait for a setting that is wrong for some.
    known = (OutcomeClass.FIX_CONFIG, *_REJECTED)
    kind = next((kind for kind in known if kind in kinds and kinds <= set(known)), OutcomeClass.UNKNOWN)
    return Outcome(kind, " + ".join(outcome.code for outcome in outcomes) or "FAILED")


def _counted(destination: dict[str, object]) -> int | None:
    """How many events the platform says it was sent; None where it does not say."""
    match destination.get("eventsIngestionStatus"):
        case dict() as told:
            return _whole(told.get("recordCount", 0))  # JSON leaves a count of none out
        case _:
            return None


def _error_counts(destination: dict[str, object]) -> list[ErrorCount]:
    match destination.get("errorInfo"):
        case {"errorCounts": list() as listed}:
            return [_error_count(each) for each in listed]
        case _:
            return []


def _error_count(fields: object) -> ErrorCount:
    if not isinstance(fields, dict):
        raise ValueError("an error count of another shape")  # noqa: TRY004 - it is the answer that is wrong, not a type of ours
    indices = fields.get("recordIndices")
    return ErrorCount(
        reason=code_name(fields.get("reason"), ProcessingErrorReason) or _UNSPECIFIED,
        count=_whole(fields.get("recordCount", 0)),
        indices=tuple(map(_whole, indices)) if isinstance(indices, list) and indices else None,
    )


def _whole(value: object) -> int:
    """An int64, which JSON writes as text."""
    if isinstance(value, int | str):
        return int(value)
    raise ValueError("a count that is no number")
