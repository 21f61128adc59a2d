"""The Google Ads API's families of errors, and what each of their codes means here."""

from collections.abc import Mapping

from connectors.records import OutcomeClass

Members = Mapping[OutcomeClass, tuple[str, ...]]
"""The members of one family's enum, by class."""

_GENERIC = ("UNKNOWN", "UNSPECIFIED")

FAMILIES: Mapping[str, Members] = {
    "not_allowlisted_error": {
        OutcomeClass.FIX_CONFIG: ("CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE",),
        OutcomeClass.UNKNOWN: _GENERIC,
    },
    "authentication_error": {
        OutcomeClass.FIX_CONFIG: (
            "ADVANCED_PROTECTION_NOT_ENROLLED",
            "AUTHENTICATION_ERROR",
            "CLIENT_CUSTOMER_ID_INVALID",
            "CUSTOMER_NOT_FOUND",
            "DEVELOPER_TOKEN_INVALID",
            "GOOGLE_ACCOUNT_AUTHENTICATION_FAILED",
            "GOOGLE_ACCOUNT_COOKIE_INVALID",
            "GOOGLE_ACCOUNT_DELETED",
            "GOOGLE_ACCOUNT_USER_AND_ADS_USER_MISMATCH",
            "INVALID_EMAIL_ADDRESS",
            "LOGIN_COOKIE_INVALID",
            "LOGIN_COOKIE_REQUIRED",
            "NOT_ADS_USER",
            "OAUTH_TOKEN_DISABLED",
            "OAUTH_TOKEN_EXPIRED",
            "OAUTH_TOKEN_HEADER_INVALID",
            "OAUTH_TOKEN_INVALID",
            "OAUTH_TOKEN_REVOKED",
            "ORGANIZATION_NOT_APPROVED",
            "ORGANIZATION_NOT_ASSOCIATED_WITH_DEVELOPER_TOKEN",
            "ORGANIZATION_NOT_RECOGNIZED",
            "TWO_STEP_VERIFICATION_NOT_ENROLLED",
            "USER_ID_INVALID",
        ),
        OutcomeClass.UNKNOWN: _GENERIC,
    },
    "authorization_error": {
        OutcomeClass.FIX_CONFIG: (
            "ACCESS_DENIED_FOR_ACCOUNT_TYPE",
            "ACTION_NOT_PERMITTED",
            "ACTION_NOT_PERMITTED_FOR_SUSPENDED_ACCOUNT",
            "AUTHORIZATION_ERROR",
            "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION",
            "CLOUD_PROJECT_NOT_UNDER_ORGANIZATION",
            "CUSTOMER_NOT_ENABLED",
            "DEVELOPER_TOKEN_NOT_APPROVED",
            "DEVELOPER_TOKEN_NOT_ON_ALLOWLIST",
            "DEVELOPER_TOKEN_PROHIBITED",
            "INCOMPLETE_SIGNUP",
            "INVALID_LOGIN_CUSTOMER_ID_SERVING_CUSTOMER_ID_COMBINATION",
            "MISSING_TOS",
            "PROJECT_DISABLED",
            "SERVICE_ACCESS_DENIED",
            "USER_PERMISSION_DENIED",
        ),
        OutcomeClass.UNKNOWN: _GENERIC,
        OutcomeClass.BUG: ("METRIC_ACCESS_DENIED",),
    },
    "header_error": {
        OutcomeClass.FIX_CONFIG: ("INVALID_LOGIN_CUSTOMER_ID",),
        OutcomeClass.UNKNOWN: _GENERIC,
        OutcomeClass.BUG: ("INVALID_LINKED_CUSTOMER_ID",),
    },
    "request_error": {
        OutcomeClass.FIX_CONFIG: (
            "BAD_RESOURCE_ID",  # all we name in a request are the accounts and the action
            "CANNOT_BE_EXECUTED_BY_MANAGER_ACCOUNT",
            "CLOUD_PROJECT_NOT_FOUND",
            "DEVELOPER_TOKEN_PARAMETER_MISSING",
            "INVALID_CUSTOMER_ID",
            "LOGIN_CUSTOMER_ID_PARAMETER_MISSING",
            "RESOURCE_NOT_FOUND",
            "UNSUPPORTED_VERSION",
        ),
        OutcomeClass.UNKNOWN: _GENERIC,
        OutcomeClass.BUG: (
            "CANNOT_MODIFY_FOREIGN_FIELD",
            "CANNOT_RETURN_SUMMARY_ROW_FOR_REQUEST_WITHOUT_METRICS",
            "CANNOT_RETURN_SUMMARY_ROW_FOR_VALIDATE_ONLY_REQUESTS",
            "EXPIRED_PAGE_TOKEN",
            "IMMUTABLE_FIELD",
            "INCONSISTENT_RETURN_SUMMARY_ROW_VALUE",
            "INVALID_ENUM_VALUE",
            "INVALID_PAGE_SIZE",
            "INVALID_PAGE_TOKEN",
            "OPERATION_REQUIRED",
            "PAGE_SIZE_NOT_SUPPORTED",
            "REQUIRED_FIELD_MISSING",
            "RESOURCE_NAME_MALFORMED",
            "RESOURCE_NAME_MISSING",
            "RPC_DEADLINE_TOO_SHORT",
            "TOO_MANY_ACTION_OPERATIONS",
            "TOO_MANY_MUTATE_OPERATIONS",
            "TOTAL_RESULTS_COUNT_NOT_ORIGINALLY_REQUESTED",
            "VALIDATE_ONLY_REQUEST_HAS_PAGE_TOKEN",
        ),
    },
    "partial_failure_error": {
        OutcomeClass.UNKNOWN: _GENERIC,
        OutcomeClass.BUG: ("PARTIAL_FAILURE_MODE_REQUIRED",),
    },
    "quota_error": {
        OutcomeClass.RETRY: (
            "EXCESSIVE_LONG_TERM_QUERY_RESOURCE_CONSUMPTION",
            "EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION",
            "RESOURCE_EXHAUSTED",
            "RESOURCE_TEMPORARILY_EXHAUSTED",
        ),
        OutcomeClass.FIX_CONFIG: ("ACCESS_PROHIBITED",),
        OutcomeClass.UNKNOWN: _GENERIC,
        OutcomeClass.BUG: ("PAYMENTS_PROFILE_ACTIVATION_RATE_LIMIT_EXCEEDED",),
    },
    "internal_error": {
        OutcomeClass.RETRY: ("INTERNAL_ERROR", "TRANSIENT_ERROR"),
        OutcomeClass.UNKNOWN: (
            *_GENERIC,
            "DEADLINE_EXCEEDED",  # it does not say that nothing was recorded before
            "ERROR_CODE_NOT_PUBLISHED",
        ),
    },
    "database_error": {
        OutcomeClass.RETRY: (
            "CONCURRENT_MODIFICATION",
            "DATA_CONSTRAINT_VIOLATION",  # "usually … replaced with a more specific error if the request is retried"
        ),
        OutcomeClass.UNKNOWN: _GENERIC,
        OutcomeClass.BUG: ("REQUEST_TOO_LARGE",),
    },
    "mutate_error": {
        OutcomeClass.FIX_CONFIG: (
            "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED",
            "MUTATE_NOT_ALLOWED",
            "RESOURCE_NOT_FOUND",
            "RESOURCE_NOT_IN_GOOGLE_ADS",
        ),
        OutcomeClass.UNKNOWN: _GENERIC,
        OutcomeClass.BUG: (
            "ID_EXISTS_IN_MULTIPLE_MUTATES",
            "INCONSISTENT_FIELD_VALUES",
            "OPERATION_DOES_NOT_SUPPORT_PARTIAL_FAILURE",
            "RESOURCE_ALREADY_EXISTS",
            "RESOURCE_DOES_NOT_SUPPORT_VALIDATE_ONLY",
            "RESOURCE_READ_ONLY",
        ),
    },
    "date_error": {
        OutcomeClass.FIX_DATA: (
            "EARLIER_THAN_MINIMUM_DATE",
            "INVALID_FIELD_VALUES_IN_DATE",
            "INVALID_FIELD_VALUES_IN_DATE_TIME",
            "INVALID_STRING_DATE_TIME_SECONDS_WITH_OFFSET",
            "LATER_THAN_MAXIMUM_DATE",
        ),
        OutcomeClass.UNKNOWN: _GENERIC,
        OutcomeClass.BUG: (
            "DATE_RANGE_ERROR_END_TIME_MUST_BE_THE_END_OF_A_DAY",
            "DATE_RANGE_ERROR_START_TIME_MUST_BE_THE_START_OF_A_DAY",
            "DATE_RANGE_MINIMUM_AND_MAXIMUM_DATES_BOTH_NULL",
            "DATE_RANGE_MINIMUM_DATE_LATER_THAN_MAXIMUM_DATE",
            "INVALID_STRING_DATE",
            "INVALID_STRING_DATE_TIME_MICROS",
            "INVALID_STRING_DATE_TIME_SECONDS",
        ),
    },
    "field_error": {
        OutcomeClass.FIX_DATA: ("BLOCKED_VALUE", "INVALID_VALUE", "REQUIRED", "VALUE_MUST_BE_UNSET"),
        OutcomeClass.UNKNOWN: _GENERIC,
        OutcomeClass.BUG: (
            "FIELD_CANNOT_BE_CLEARED",
            "FIELD_CAN_ONLY_BE_CLEARED",
            "IMMUTABLE_FIELD",
            "REQUIRED_NONEMPTY_LIST",
        ),
    },
    "string_format_error": {
        OutcomeClass.FIX_DATA: ("ILLEGAL_CHARS", "INVALID_FORMAT"),
        OutcomeClass.UNKNOWN: _GENERIC,
    },
    "string_length_error": {
        OutcomeClass.FIX_DATA: ("EMPTY", "TOO_LONG", "TOO_SHORT"),
        OutcomeClass.UNKNOWN: _GENERIC,
    },
    "collection_size_error": {
        OutcomeClass.UNKNOWN: _GENERIC,
        OutcomeClass.BUG: ("TOO_FEW", "TOO_MANY"),
    },
    "currency_code_error": {
        OutcomeClass.FIX_CONFIG: ("UNSUPPORTED",),  # a currency only ever comes from the settings
        OutcomeClass.UNKNOWN: _GENERIC,
    },
}
"""Member by member, what an upload may meet."""

FAMILY_DEFAULTS: Members = {
    OutcomeClass.FIX_CONFIG: (
        "id_error",  # all we name in a request are the accounts and the action
        "operation_access_denied_error",
        "resource_access_denied_error",
    ),
    OutcomeClass.FIX_DATA: ("range_error",),
}
"""The families that have one class for all their members, save the unspecified ones.

All others of the library's are errors of methods that are never called here: to meet one is a bug of ours.
"""
