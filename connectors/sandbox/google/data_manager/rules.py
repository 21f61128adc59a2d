"""Every strict rule of the sandbox's Data Manager: what it says, what it answers, and what it rests on.

`sandbox --rules` prints `RULES`. A refusal quotes the rule that caused it, so that whoever reads the answer
also knows how sure the rule is. Evidence words: *documented* on the vendor page named, *observed* in answers
that others published, *read in the library* `google-ads-datamanager`, *inferred* from a neighbouring API,
*assumed* because the sandbox has to answer something.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from connectors.sandbox.rules import Evidence, Rule

_GUIDES = "https://developers.google.com/data-manager/api/devguides"
_REFERENCE = "https://developers.google.com/data-manager/api/reference/rest/v1"
_LIMITS = f"{_GUIDES}/limits"
_ERRORS = f"{_GUIDES}/concepts/understand-errors"
_FORMATTING = f"{_GUIDES}/concepts/formatting"
_DESTINATIONS = f"{_GUIDES}/concepts/destinations"
_DIAGNOSTICS = f"{_GUIDES}/diagnostics"
_SEND = f"{_GUIDES}/events/send-events"
_UPGRADE = f"{_GUIDES}/events/google-ads/offline/upgrade"
_INGEST = f"{_REFERENCE}/events/ingest"
_RETRIEVE = f"{_REFERENCE}/requestStatus/retrieve"
_REASONS = f"{_REFERENCE}/ErrorReason"
_ADS_WINDOW = "https://support.google.com/google-ads/answer/3123169"
_ADS_IMPORT = "https://support.google.com/google-ads/answer/10029210"
_ADJUSTMENTS_HELP = "https://support.google.com/google-ads/answer/7686447"


@dataclass(frozen=True, slots=True)
class DataManagerRule(Rule):
    """A rule of the Data Manager, with the name its refusal goes by.

    `answer` is an `ErrorReason` where the request is refused at once, a `ProcessingErrorReason` where a row
    fails later, and empty for a rule that refuses nothing.
    """

    answer: str


def _rule(rule: str, answer: str, evidence: Evidence, source: str) -> DataManagerRule:
    return DataManagerRule("data_manager", rule, evidence, source, answer)


# The request as a whole.
AUTHORISED = _rule(
    "Each request carries a bearer token that is valid now.",
    "UNAUTHENTICATED",
    "documented",
    f"{_GUIDES}/quickstart/set-up-access",
)
KNOWN_FIELDS = _rule(
    "The body is JSON of the request's own message: unknown, repeated and ill-typed fields are refused.",
    "INVALID_ARGUMENT",
    "inferred",
    _INGEST,
)
QUOTA = _rule(
    "At most 300 requests a minute and 100,000 a day, counted apart for writing and reading.",
    "RESOURCE_EXHAUSTED",
    "documented",
    _LIMITS,
)
LOGIN_ACCOUNT = _rule(
    "The login account has access to the operating account.",
    "PERMISSION_DENIED",
    "observed",
    _DESTINATIONS,
)
FAILING = _rule(
    "A server that fails says so as a google.rpc.Status, and may have taken the events before (fault failed_after).",
    "INTERNAL_ERROR",
    "inferred",
    _ERRORS,
)
FAST_FAIL = _rule(
    "One bad row refuses the whole request: nothing of it is processed.",
    "",
    "documented",
    f"{_ERRORS}#fast-fail",
)
VALIDATE_ONLY = _rule(
    "A request that only validates gets no request id and leaves no trace.",
    "",
    "documented",
    _INGEST,
)
NUMERIC_ENUMS = _rule(
    "Enums are read as names or numbers, and answered as numbers where the query asks for them.",
    "",
    "read in the library",
    _INGEST,
)
SOME_EVENTS = _rule("A request has at least one event.", "REQUIRED_FIELD_MISSING", "documented", _INGEST)
MAX_EVENTS = _rule("A request has at most 2,000 events.", "TOO_MANY_EVENTS", "documented", _LIMITS)
ENCODING = _rule(
    "Hashed contact data names its encoding.",
    "REQUIRED_FIELD_MISSING",
    "documented",
    _INGEST,
)
KNOWN_ENCODING = _rule(
    "The encoding is HEX or BASE64.",
    "INVALID_ENUM_VALUE",
    "read in the library",
    _INGEST,
)
NO_ENCRYPTION = _rule(
    "The sandbox holds no key: encrypted identifiers are refused.",
    "INVALID_ARGUMENT",
    "assumed",
    _INGEST,
)

# Destinations.
SOME_DESTINATIONS = _rule(
    "A request has at least one destination.",
    "REQUIRED_FIELD_MISSING",
    "documented",
    _INGEST,
)
MAX_DESTINATIONS = _rule(
    "A request has at most 10 destinations.",
    "TOO_MANY_DESTINATIONS",
    "documented",
    _LIMITS,
)
OPERATING_ACCOUNT = _rule(
    "A destination names its operating account.",
    "REQUIRED_FIELD_MISSING",
    "documented",
    _DESTINATIONS,
)
ACCOUNT_NUMBER = _rule(
    "An account id is digits only: no dashes.",
    "INVALID_NUMBER_FORMAT",
    "documented",
    f"{_ERRORS}#bad-request",
)
ACCOUNT_TYPE = _rule(
    "The accounts of an offline conversion are Google Ads accounts.",
    "DESTINATION_ACCOUNT_TYPE_MISMATCH",
    "inferred",
    _SEND,
)
NO_LINKED_ACCOUNT = _rule(
    "Only a data partner names a linked account.",
    "LINKED_ACCOUNT_ONLY_ALLOWED_WITH_DATA_PARTNER_LOGIN_ACCOUNT",
    "read in the library",
    _REASONS,
)
ACTION_NAMED = _rule(
    "A destination names its conversion action.",
    "REQUIRED_FIELD_MISSING",
    "documented",
    _DESTINATIONS,
)
ACTION_KNOWN = _rule(
    "The destination id is the number of a conversion action owned by the operating account, not its resource name.",
    "INVALID_CONVERSION_ACTION_ID",
    "inferred",
    _UPGRADE,
)
ACTION_TYPE = _rule(
    "An offline conversion goes to an action of type UPLOAD_CLICKS.",
    "INVALID_CONVERSION_ACTION_TYPE",
    "documented",
    _SEND,
)
ACTION_AGE = _rule(
    "A conversion action takes uploads 6 hours after its creation.",
    "CONVERSION_ACTION_TOO_RECENTLY_CREATED",
    "inferred",
    _REASONS,
)
REFERENCES_DIFFER = _rule(
    "No two destinations have the same reference.",
    "DUPLICATE_DESTINATION_REFERENCE",
    "read in the library",
    _REASONS,
)
REFERENCE_KNOWN = _rule(
    "An event refers to destinations of its own request.",
    "INVALID_DESTINATION",
    "inferred",
    _REASONS,
)
ENHANCED_CONVERSIONS = _rule(
    "Contact data goes to accounts with enhanced conversions for leads on.",
    "DESTINATION_ACCOUNT_NOT_ENABLED_ENHANCED_CONVERSIONS_FOR_LEADS",
    "read in the library",
    _REASONS,
)

# One event.
EVENT_TIME = _rule("An event has its time.", "REQUIRED_FIELD_MISSING", "documented", _INGEST)
NOT_IN_FUTURE = _rule(
    "An event is not more than 5 minutes ahead of the platform's clock.",
    "EVENT_TIME_INVALID",
    "assumed",
    _REASONS,
)
EVENT_SOURCE = _rule(
    "An offline conversion names its event source.",
    "REQUIRED_FIELD_MISSING",
    "documented",
    _UPGRADE,
)
KNOWN_SOURCE = _rule(
    "The event source is one the API knows.",
    "INVALID_ENUM_VALUE",
    "read in the library",
    _REASONS,
)
KNOWN_CONSENT = _rule(
    "A consent is one the API knows.",
    "INVALID_ENUM_VALUE",
    "read in the library",
    _REASONS,
)
TRANSACTION_ID = _rule(
    "An event has a transaction id.",
    "REQUIRED_FIELD_MISSING",
    "assumed",
    _SEND,
)
TRANSACTION_ID_LENGTH = _rule(
    "A transaction id has at most 64 characters.",
    "FIELD_VALUE_TOO_LONG",
    "inferred",
    _UPGRADE,
)
SOME_IDENTIFIER = _rule(
    "An event has an ad identifier or contact data.",
    "NO_IDENTIFIERS_PROVIDED",
    "read in the library",
    _REASONS,
)
ONE_CLICK_ID = _rule(
    "An event has one of gclid, gbraid and wbraid, never two together.",
    "INVALID_EVENT",
    "observed",
    _UPGRADE,
)
MAX_IDENTIFIERS = _rule(
    "An event has at most 10 user identifiers.",
    "TOO_MANY_USER_IDENTIFIERS",
    "documented",
    _LIMITS,
)
IDENTIFIER_SET = _rule(
    "User data has identifiers, and each of them a value.",
    "REQUIRED_FIELD_MISSING",
    "read in the library",
    _INGEST,
)
HEX_SHAPE = _rule(
    "With encoding HEX a hash is hexadecimal.",
    "INVALID_HEX_ENCODING",
    "documented",
    f"{_ERRORS}#bad-request",
)
BASE64_SHAPE = _rule(
    "With encoding BASE64 a hash is base64.",
    "INVALID_BASE64_ENCODING",
    "read in the library",
    _REASONS,
)
SHA256_SHAPE = _rule("A hash has 32 bytes.", "INVALID_SHA256_FORMAT", "documented", _FORMATTING)
NO_THIRD_PARTY_DATA = _rule(
    "Only a data partner sends third-party user data.",
    "THIRD_PARTY_USER_DATA_NOT_ALLOWED",
    "read in the library",
    _REASONS,
)
VALUE_SHAPE = _rule(
    "A conversion value is a finite number, not negative.",
    "INVALID_NUMBER_FORMAT",
    "assumed",
    _REASONS,
)
CURRENCY_SHAPE = _rule(
    "A currency is three capital letters.",
    "INVALID_CURRENCY_CODE",
    "inferred",
    _FORMATTING,
)
VALUE_CURRENCY = _rule(
    "A conversion value comes with its currency.",
    "REQUIRED_FIELD_MISSING",
    "assumed",
    _UPGRADE,
)

# What processing finds, row by row.
CONSENT_KNOWN = _rule(
    "The row or the request says whether the person agreed to the use of their data; "
    "the sandbox's accounts have no default.",
    "PROCESSING_ERROR_REASON_UNKNOWN_CONSENT",
    "inferred",
    _DIAGNOSTICS,
)
CONSENT_GRANTED = _rule(
    "The person did not refuse the use of their data; the row's word goes before the request's.",
    "PROCESSING_ERROR_REASON_DENIED_CONSENT",
    "read in the library",
    _DIAGNOSTICS,
)
CLICK_READABLE_GCLID = _rule(
    "A gclid can be decoded: letters, digits, dash and underscore.",
    "PROCESSING_ERROR_REASON_INVALID_GCLID",
    "assumed",
    _DIAGNOSTICS,
)
CLICK_READABLE_GBRAID = _rule(
    "A gbraid can be decoded: letters, digits, dash and underscore.",
    "PROCESSING_ERROR_REASON_INVALID_GBRAID",
    "assumed",
    _DIAGNOSTICS,
)
CLICK_READABLE_WBRAID = _rule(
    "A wbraid can be decoded: letters, digits, dash and underscore.",
    "PROCESSING_ERROR_REASON_INVALID_WBRAID",
    "assumed",
    _DIAGNOSTICS,
)
CLICK_KNOWN = _rule(
    "The click id belongs to a click that was registered with the sandbox, case included.",
    "PROCESSING_ERROR_REASON_CLICK_NOT_FOUND",
    "read in the library",
    _DIAGNOSTICS,
)
CLICK_OF_ACCOUNT = _rule(
    "The click belongs to the operating account.",
    "PROCESSING_ERROR_REASON_INVALID_OPERATING_ACCOUNT_FOR_CLICK",
    "read in the library",
    _DIAGNOSTICS,
)
EVERY_WITH_BRAID = _rule(
    "A braid goes to an action that counts every conversion.",
    "PROCESSING_ERROR_REASON_ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID",
    "read in the library",
    _DIAGNOSTICS,
)
AFTER_CLICK = _rule(
    "An event is not earlier than its click.",
    "PROCESSING_ERROR_REASON_CONVERSION_PRECEDES_CLICK",
    "read in the library",
    _DIAGNOSTICS,
)
CLICK_SETTLED = _rule(
    "A click is at least 6 hours old when its event arrives.",
    "PROCESSING_ERROR_REASON_TOO_RECENT_CLICK",
    "inferred",
    _DIAGNOSTICS,
)
CLICK_WINDOW = _rule(
    "An event lies within the action's click window after its click, and arrives within 90 days of it.",
    "PROCESSING_ERROR_REASON_EVENT_TOO_OLD",
    "inferred",
    _ADS_WINDOW,
)
CONTACT_WINDOW = _rule(
    "Contact data alone matches for 63 days: after its click where one was registered, else after the event.",
    "PROCESSING_ERROR_REASON_EVENT_TOO_OLD",
    "inferred",
    _ADS_IMPORT,
)
CONTACT_RECEIVED = _rule(
    "Contact data that matches no registered click is received as a success all the same.",
    "",
    "assumed",
    _DIAGNOSTICS,
)
SAME_TRANSACTION = _rule(
    "The same transaction id on the same action never counts twice: "
    "another value replaces the first, anything else is kept.",
    "",
    "documented",
    _UPGRADE,
)

ZERO_IS_FINAL = _rule(
    "A conversion that was restated to 0 is not restated any more: another value is taken in as a success and "
    "changes nothing (switch zero_is_final).",
    "",
    "inferred",
    _ADJUSTMENTS_HELP,
)
RETRACTED = _rule(
    "A transaction id whose conversion the Google Ads API retracted counts no more, whatever is sent again.",
    "",
    "inferred",
    _ADJUSTMENTS_HELP,
)

# What the status of a request tells.
PROCESSING_TIME = _rule(
    "A destination is PROCESSING for 20 minutes (switch processing_minutes), then settled for good.",
    "",
    "assumed",
    _DIAGNOSTICS,
)
DESTINATION_STATUS = _rule(
    "SUCCESS, PARTIAL_SUCCESS or FAILED for each destination, in the request's order, with a count for each reason.",
    "",
    "documented",
    _DIAGNOSTICS,
)
FAILURE_WORD = _rule(
    "FAILED is the enum's word; the guide's, FAILURE, comes by switch (failed_word).",
    "",
    "documented",
    _DIAGNOSTICS,
)
RECORDS_COUNTED = _rule(
    "recordCount tells how many events the request held, however each fared; by switch (records_counted) one less.",
    "",
    "read in the library",
    _RETRIEVE,
)
RECORD_INDICES = _rule(
    "Each reason names its rows, counted from 0 in the request (switch record_indices).",
    "",
    "inferred",
    _RETRIEVE,
)
REQUEST_NAMED = _rule("A status is asked for by request id.", "REQUIRED_FIELD_MISSING", "documented", _RETRIEVE)
REQUEST_KNOWN = _rule(
    "The request id was given by this platform.",
    "INVALID_REQUEST_ID",
    "read in the library",
    _REASONS,
)
REQUEST_AGE = _rule(
    "A status is kept for 50 days.",
    "REQUEST_TOO_OLD",
    "read in the library",
    _REASONS,
)


def _declared() -> Iterator[DataManagerRule]:
    return (value for value in list(globals().values()) if isinstance(value, DataManagerRule))


RULES: tuple[DataManagerRule, ...] = tuple(_declared())
"""All of them, in the order above."""
