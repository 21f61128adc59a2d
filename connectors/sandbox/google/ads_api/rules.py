"""Every strict rule of the sandbox's Google Ads API: what it says, what it answers, and what it rests on.

`sandbox --rules` prints `RULES`. A refusal quotes the rule that caused it. Evidence words: *documented* on the
vendor page named, *observed* in answers that others published, *read in the library* `google-ads`, *inferred*
from a neighbouring rule, *assumed* because the sandbox has to answer something.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from connectors.sandbox.rules import Evidence, Rule

_DOCS = "https://developers.google.com/google-ads/api/docs"
_UPLOAD = f"{_DOCS}/conversions/upload-offline"
_ADOPTERS = "https://developers.google.com/ads/blog/posts/2026/05/changes-to-offline-click-conversion"
_ADDRESSES = "https://developers.google.com/ads/blog/posts/2026/01/changes-to-ip-address-and-session"
_AUTH = f"{_DOCS}/concepts/call-structure"
_OAUTH = f"{_DOCS}/oauth/service-accounts"
_TOKEN = f"{_DOCS}/api-policy/developer-token"
_PARTIAL = f"{_DOCS}/best-practices/partial-failures"
_QUOTAS = f"{_DOCS}/best-practices/quotas"
_ERRORS = f"{_DOCS}/common-errors"
_REFERENCE = "https://developers.google.com/google-ads/api/reference/rpc/v26"
_UPLOAD_ERRORS = f"{_REFERENCE}/ConversionUploadErrorEnum.ConversionUploadError"
_REQUEST = f"{_REFERENCE}/UploadClickConversionsRequest"
_CONVERSION = f"{_REFERENCE}/ClickConversion"
_GAQL = f"{_DOCS}/query/grammar"
_SUMMARIES = f"{_DOCS}/conversions/upload-summaries"
_V25 = "https://developers.google.com/google-ads/api/diff-tool/v26/versus-v25/diffs/resources/customer"
_ADS_WINDOW = "https://support.google.com/google-ads/answer/3123169"
_ADS_IMPORT = "https://support.google.com/google-ads/answer/10029210"
_EXCLUSIVE = "https://github.com/segmentio/action-destinations/pull/2365"
_ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class AdsApiRule(Rule):
    """A rule of the Google Ads API, with the error its breach is told by.

    `family` is the field of `ErrorCode`, `answer` the name in it; both empty for a rule that refuses nothing.
    `status` is the gRPC code of a call that fails as a whole, empty where only a row fails. A rule with a
    status and no family fails without a GoogleAdsFailure.
    """

    family: str = ""
    answer: str = ""
    status: str = ""


def _promise(rule: str, evidence: Evidence, source: str) -> AdsApiRule:
    return AdsApiRule("google_ads", rule, evidence, source)


def _call(rule: str, evidence: Evidence, source: str, answer: str, status: str = "INVALID_ARGUMENT") -> AdsApiRule:
    """A rule whose breach refuses the whole call; `answer` is `family.NAME`, or empty."""
    family, _, name = answer.partition(".")
    return AdsApiRule("google_ads", rule, evidence, source, family, name, status)


def _row(rule: str, evidence: Evidence, source: str, answer: str) -> AdsApiRule:
    """A rule whose breach refuses one row, by an upload error or by `family.NAME`."""
    family, _, name = answer.rpartition(".")
    return AdsApiRule("google_ads", rule, evidence, source, family or "conversion_upload_error", name)


# Who may call.
METHOD = _call(
    "Only UploadClickConversions, UploadConversionAdjustments, Search and SearchStream of v26 are answered.",
    "read in the library",
    _REFERENCE,
    "",
    "UNIMPLEMENTED",
)
TOKEN_SENT = _call(
    "Each call carries a bearer token in the metadata `authorization`, in plain text too.",
    "documented",
    _AUTH,
    "",
    "UNAUTHENTICATED",
)
TOKEN_LIVES = _call(
    "The token was given out by Google and has neither expired nor been revoked.",
    "documented",
    _ERRORS,
    "authentication_error.OAUTH_TOKEN_INVALID",
    "UNAUTHENTICATED",
)
SCOPE = _call(
    "The token was asked for with the scope adwords.",
    "documented",
    _OAUTH,
    "",
    "PERMISSION_DENIED",
)
NO_DEVELOPER_TOKEN = _promise("A developer token is neither asked for nor read.", "documented", _TOKEN)
LOGIN_NUMBER = _call(
    "login-customer-id is ten digits, without dashes.",
    "documented",
    _AUTH,
    "header_error.INVALID_LOGIN_CUSTOMER_ID",
)
CUSTOMER_NUMBER = _call(
    "customer_id is ten digits, without dashes.",
    "documented",
    _AUTH,
    "request_error.INVALID_CUSTOMER_ID",
)
CUSTOMER_KNOWN = _call(
    "customer_id is a customer that exists.",
    "documented",
    _ERRORS,
    "authentication_error.CUSTOMER_NOT_FOUND",
    "UNAUTHENTICATED",
)
LOGIN_IS_MANAGER = _call(
    "login-customer-id is a manager, or the customer itself.",
    "inferred",
    f"{_REFERENCE}/AuthorizationErrorEnum.AuthorizationError",
    "authorization_error.INVALID_LOGIN_CUSTOMER_ID_SERVING_CUSTOMER_ID_COMBINATION",
    "PERMISSION_DENIED",
)
ACCESS = _call(
    "The caller gets at a customer through login-customer-id, a manager that it may log in to and that manages it.",
    "documented",
    _AUTH,
    "authorization_error.USER_PERMISSION_DENIED",
    "PERMISSION_DENIED",
)
CUSTOMER_ENABLED = _call(
    "The customer is enabled.",
    "documented",
    _ERRORS,
    "authorization_error.CUSTOMER_NOT_ENABLED",
    "PERMISSION_DENIED",
)
ALLOWLISTED = _call(
    "Uploads are open only to callers that uploaded before June 2026, also when they only validate "
    "(switch ads_api_allowlisted).",
    "documented",
    _ADOPTERS,
    "not_allowlisted_error.CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE",
    "PERMISSION_DENIED",
)
QUOTA_DETAILS = _promise(
    "A quota's refusal (planted: status 429) tells its retry_delay in the GoogleAdsFailure of the trailing metadata.",
    "documented",
    _QUOTAS,
)
FAILING = _call(
    "A server that fails says so in a GoogleAdsFailure, and may have recorded rows before (fault failed_after).",
    "inferred",
    _ERRORS,
    "internal_error.INTERNAL_ERROR",
    "INTERNAL",
)
REQUEST_ID = _promise("Every answer names a request id in its trailing metadata.", "read in the library", _PARTIAL)

# The upload as a whole.
READABLE = _call(
    "The message is the method's own: unknown fields are refused.",
    "assumed",
    _ASSUMED,
    "",
)
PARTIAL_FAILURE = _call(
    "partial_failure is true.",
    "read in the library",
    _REQUEST,
    "partial_failure_error.PARTIAL_FAILURE_MODE_REQUIRED",
)
SOME_CONVERSIONS = _call(
    "An upload has at least one conversion.",
    "read in the library",
    _REQUEST,
    "request_error.REQUIRED_FIELD_MISSING",
)
MAX_CONVERSIONS = _call(
    "An upload has at most 2,000 conversions.",
    "read in the library",
    _UPLOAD_ERRORS,
    "conversion_upload_error.TOO_MANY_CONVERSIONS_IN_REQUEST",
)
JOB_ID = _call(
    "A job id that is sent lies in [1, 2^31).",
    "read in the library",
    _UPLOAD_ERRORS,
    "conversion_upload_error.INVALID_JOB_ID",
)
JOB_ID_GIVEN = _promise("An upload without a job id is given one from 2^31 on.", "read in the library", _REQUEST)
VALIDATE_ONLY = _promise(
    "An upload that only validates is checked like any other, has no results and leaves no trace.",
    "read in the library",
    _REQUEST,
)
ROW_BY_ROW = _promise(
    "A bad row fails alone: its result is empty (switch ads_api_echo: its identifiers), and one "
    "GoogleAdsFailure lists every row's errors by index.",
    "documented",
    _PARTIAL,
)

# One row, by itself.
ONE_BRAID = _row(
    "A row has a gbraid or a wbraid, not both.", "read in the library", _UPLOAD_ERRORS, "GBRAID_WBRAID_BOTH_SET"
)
GCLID_ALONE = _row(
    "A row with a gclid has no gbraid and no wbraid.",
    "observed",
    _EXCLUSIVE,
    "field_error.VALUE_MUST_BE_UNSET",
)
BRAID_WITHOUT_CONTACT = _row(
    "A row with a gbraid or wbraid has no user identifiers.",
    "observed",
    _EXCLUSIVE,
    "field_error.VALUE_MUST_BE_UNSET",
)
SOME_IDENTIFIER = _row("A row has a click id or user identifiers.", "inferred", _UPLOAD, "field_error.REQUIRED")
ACTION_SENT = _row("A row names its conversion action.", "read in the library", _CONVERSION, "field_error.REQUIRED")
ACTION_NAME = _row(
    "A conversion action is named customers/{customer}/conversionActions/{number}.",
    "read in the library",
    _CONVERSION,
    "request_error.RESOURCE_NAME_MALFORMED",
)
TIME_SENT = _row("A row has conversion_date_time.", "read in the library", _CONVERSION, "field_error.REQUIRED")
TIME_FORMAT = _row(
    "conversion_date_time is yyyy-mm-dd hh:mm:ss+hh:mm: seconds, a space, and its offset.",
    "read in the library",
    _CONVERSION,
    "date_error.INVALID_STRING_DATE_TIME_SECONDS_WITH_OFFSET",
)
TIME_EXISTS = _row(
    "conversion_date_time is on the calendar and the clock.",
    "inferred",
    f"{_REFERENCE}/DateErrorEnum.DateError",
    "date_error.INVALID_FIELD_VALUES_IN_DATE_TIME",
)
NOT_IN_FUTURE = _row(
    "A conversion is not more than 5 minutes ahead of the platform's clock.",
    "assumed",
    _ASSUMED,
    "date_error.LATER_THAN_MAXIMUM_DATE",
)
VALUE_SHAPE = _row(
    "A conversion value is a finite number, not negative.",
    "assumed",
    _ASSUMED,
    "field_error.INVALID_VALUE",
)
CURRENCY = _row(
    "A currency is three capital letters.",
    "read in the library",
    _CONVERSION,
    "currency_code_error.UNSUPPORTED",
)
ORDER_ID_LENGTH = _row(
    "An order id has at most 64 characters.",
    "observed",
    _UPLOAD,
    "string_length_error.TOO_LONG",
)
ORDER_ID_PERSONAL = _row(
    "An order id is no e-mail address and no phone number.",
    "read in the library",
    _UPLOAD_ERRORS,
    "ORDER_ID_CONTAINS_PII",
)
MAX_IDENTIFIERS = _row(
    "A row has at most 5 user identifiers.",
    "read in the library",
    _CONVERSION,
    "collection_size_error.TOO_MANY",
)
IDENTIFIER_KIND = _row(
    "A user identifier is a hashed e-mail address or a hashed phone number.",
    "read in the library",
    _CONVERSION,
    "UNSUPPORTED_USER_IDENTIFIER",
)
IDENTIFIER_HASH = _row(
    "A hash is SHA-256 in hexadecimal.",
    "read in the library",
    _UPLOAD_ERRORS,
    "INVALID_USER_IDENTIFIER",
)
KNOWN_ENUMS = _row(
    "Consent, environment and customer type are values the API knows, and not its UNKNOWN.",
    "inferred",
    f"{_REFERENCE}/RequestErrorEnum.RequestError",
    "request_error.INVALID_ENUM_VALUE",
)
NO_ADDRESS = _row(
    "IP addresses and session attributes are open only to allowlisted callers, and the sandbox's are not.",
    "documented",
    _ADDRESSES,
    "not_allowlisted_error.CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE",
)
NO_ATTRIBUTION = _row(
    "External attribution data goes only to externally attributed actions, of which the sandbox has none.",
    "read in the library",
    _UPLOAD_ERRORS,
    "EXTERNAL_ATTRIBUTION_DATA_SET_FOR_NON_EXTERNALLY_ATTRIBUTED_CONVERSION_ACTION",
)
NO_VARIABLES = _row(
    "A custom variable is enabled first, and the sandbox's accounts have none.",
    "read in the library",
    _UPLOAD_ERRORS,
    "CUSTOM_VARIABLE_NOT_ENABLED",
)

# One row beside the others of its upload.
ORDER_ID_ONCE = _row(
    "No two rows of an upload have the same order id on the same action "
    "(switch ads_api_duplicates: the later ones are refused, or all).",
    "read in the library",
    _UPLOAD_ERRORS,
    "DUPLICATE_ORDER_ID",
)
CLICK_ONCE = _row(
    "No two rows of an upload without order ids have the same click and time on the same action "
    "(switch ads_api_duplicates).",
    "read in the library",
    _UPLOAD_ERRORS,
    "DUPLICATE_CLICK_CONVERSION_IN_REQUEST",
)

# One row, once it is looked up: the first breach only.
ACTION_KNOWN = _row(
    "The action is enabled and belongs to the uploading customer, or to one that it manages; "
    "the customer in its name is not read.",
    "read in the library",
    _UPLOAD_ERRORS,
    "NO_CONVERSION_ACTION_FOUND",
)
ACTION_TYPE = _row(
    "The action's type is UPLOAD_CLICKS.",
    "read in the library",
    _UPLOAD_ERRORS,
    "INVALID_CONVERSION_ACTION_TYPE",
)
ACTION_AGE = _row(
    "An action takes uploads 6 hours after its creation.",
    "read in the library",
    _UPLOAD_ERRORS,
    "TOO_RECENT_CONVERSION_ACTION",
)
EVERY_WITH_BRAID = _row(
    "A gbraid or wbraid goes to an action that counts every conversion.",
    "read in the library",
    _UPLOAD_ERRORS,
    "ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID",
)
ENHANCED_ON = _row(
    "User identifiers go to accounts with enhanced conversions for leads on (switch ads_api_enhanced).",
    "read in the library",
    _UPLOAD_ERRORS,
    "CUSTOMER_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS",
)
TERMS_ACCEPTED = _row(
    "User identifiers go to accounts that accepted the customer data terms (switch ads_api_enhanced).",
    "read in the library",
    _UPLOAD_ERRORS,
    "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS",
)
POLICY = _row(
    "User identifiers go to accounts whose data policy allows them (switch ads_api_enhanced).",
    "read in the library",
    _UPLOAD_ERRORS,
    "CUSTOMER_DATA_POLICY_PROHIBITS_ENHANCED_CONVERSIONS",
)
ORDER_ID_NEW = _row(
    "An order id is used once for each action; whether an id that the Data Manager counted is used "
    "is not documented (switch ads_api_cross_dedup).",
    "read in the library",
    _UPLOAD_ERRORS,
    "ORDER_ID_ALREADY_IN_USE",
)
CLICK_NEW = _row(
    "A row without an order id is not one that was counted by the same click and time; whether that holds "
    "with an order id is not documented (switch ads_api_click_dedup).",
    "read in the library",
    _UPLOAD_ERRORS,
    "CLICK_CONVERSION_ALREADY_EXISTS",
)
GCLID_READABLE = _row(
    "A gclid can be decoded: letters, digits, dash and underscore.",
    "inferred",
    _UPLOAD_ERRORS,
    "UNPARSEABLE_GCLID",
)
GBRAID_READABLE = _row(
    "A gbraid can be decoded: letters, digits, dash and underscore.",
    "inferred",
    _UPLOAD_ERRORS,
    "UNPARSEABLE_GBRAID",
)
WBRAID_READABLE = _row(
    "A wbraid can be decoded: letters, digits, dash and underscore.",
    "inferred",
    _UPLOAD_ERRORS,
    "UNPARSEABLE_WBRAID",
)
CLICK_KNOWN = _row(
    "The click id belongs to a click that was registered with the sandbox, case included.",
    "read in the library",
    _UPLOAD_ERRORS,
    "EVENT_NOT_FOUND",
)
CLICK_REACHED = _row(
    "The click belongs to an account that the caller has access to.",
    "read in the library",
    _UPLOAD_ERRORS,
    "UNAUTHORIZED_CUSTOMER",
)
CLICK_OF_ACCOUNT = _row(
    "The click belongs to the account of the action.",
    "read in the library",
    _UPLOAD_ERRORS,
    "INVALID_CUSTOMER_FOR_CLICK",
)
CONTACT_KNOWN = _row(
    "Without a click id, one of the hashes matches a click of the account that was registered with the sandbox.",
    "read in the library",
    _UPLOAD_ERRORS,
    "CLICK_NOT_FOUND",
)
AFTER_CLICK = _row(
    "A conversion is not earlier than its click.",
    "read in the library",
    _UPLOAD_ERRORS,
    "CONVERSION_PRECEDES_EVENT",
)
CLICK_SETTLED = _row(
    "A click is at least 6 hours old when its conversion arrives.",
    "read in the library",
    _UPLOAD_ERRORS,
    "TOO_RECENT_EVENT",
)
CLICK_WINDOW = _row(
    "A conversion lies within the action's click window after its click, and arrives within 90 days of it.",
    "documented",
    _ADS_WINDOW,
    "EXPIRED_EVENT",
)
CONTACT_WINDOW = _row(
    "Contact data matches a click for 63 days.",
    "observed",
    _ADS_IMPORT,
    "EXPIRED_EVENT",
)
CONSENT_UNJUDGED = _promise(
    "A row is taken whatever its consent says, or without any: no error of the API speaks of it.",
    "read in the library",
    _UPLOAD_ERRORS,
)

# Questions in GAQL.
GAQL_SELECT = _call("A query begins with SELECT and its fields.", "documented", _GAQL, "query_error.EXPECTED_SELECT")
GAQL_FROM = _call("A query has FROM and its resource.", "documented", _GAQL, "query_error.EXPECTED_FROM")
GAQL_RESOURCE = _call(
    "The resource is one the sandbox has: customer, conversion_action, customer_conversion_goal, or an upload summary.",
    "documented",
    _GAQL,
    "query_error.BAD_RESOURCE_TYPE_IN_FROM_CLAUSE",
)
GAQL_FIELD = _call(
    "Every field is one that v26 knows: customer.conversion_tracking_setting lost "
    "enhanced_conversions_for_leads_enabled with it.",
    "documented",
    _V25,
    "query_error.UNRECOGNIZED_FIELD",
)
GAQL_LEAF = _call(
    "A field that is selected or compared is no message of its own, unless it is a list.",
    "inferred",
    _GAQL,
    "query_error.PROHIBITED_FIELD_IN_SELECT_CLAUSE",
)
GAQL_RELATED = _call(
    "Fields are those of the resource or of its customer.",
    "documented",
    _GAQL,
    "query_error.PROHIBITED_RESOURCE_TYPE_IN_SELECT_CLAUSE",
)
GAQL_WHERE = _call(
    "WHERE compares fields by = or IN, joined by AND: other operators are more than the sandbox reads.",
    "documented",
    _GAQL,
    "query_error.BAD_OPERATOR",
)
GAQL_VALUE = _call(
    "A value is a number, or stands in quotes; an enum's is one of its names.",
    "documented",
    _GAQL,
    "query_error.BAD_VALUE",
)
GAQL_END = _call(
    "Nothing follows the conditions: ORDER BY, LIMIT and PARAMETERS are more than the sandbox reads.",
    "assumed",
    _ASSUMED,
    "query_error.UNEXPECTED_INPUT",
)
GAQL_PAGE_SIZE = _call(
    "Search takes no page_size.",
    "read in the library",
    f"{_REFERENCE}/SearchGoogleAdsRequest",
    "request_error.PAGE_SIZE_NOT_SUPPORTED",
)
GAQL_SELECTED = _promise(
    "A row has the fields that were selected and its resource_name.",
    "documented",
    f"{_DOCS}/query/overview",
)
GOALS = _promise(
    "There is a customer conversion goal for each category and origin that an action has; it is biddable unless the "
    "account takes it out of its defaults, and include_in_conversions_metric follows it and primary_for_goal.",
    "documented",
    f"{_DOCS}/conversions/goals/customer-goals",
)
SUMMARIES = _promise(
    "Upload summaries count this API's uploads only, at once: seven days and seven jobs; alerts and status are "
    "those of the latest day with uploads, in the account's time zone.",
    "inferred",
    _SUMMARIES,
)


def _declared() -> Iterator[AdsApiRule]:
    return (value for value in list(globals().values()) if isinstance(value, AdsApiRule))


RULES: tuple[AdsApiRule, ...] = tuple(_declared())
"""All of them, in the order above."""
