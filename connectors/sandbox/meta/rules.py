"""Every strict rule of the sandbox's Meta: what it says, what it answers, and what it rests on.

`sandbox --rules` prints `RULES`, and a refusal quotes the rule that caused it. Meta lists no 2804xxx subcode on
any page: a rule that answers with one is at most *observed*, in answers that others published, though the rule
itself may stand on the page named. Evidence words: *documented* on that page, *observed*, *read in the library*
`facebook-business`, *inferred* from a neighbouring promise, *assumed* because the sandbox has to answer something.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from connectors.sandbox.rules import Evidence, Rule

_CAPI = "https://developers.facebook.com/documentation/ads-commerce/conversions-api"
_USING = f"{_CAPI}/using-the-api"
_SERVER_EVENT = f"{_CAPI}/parameters/server-event"
_CUSTOMER = f"{_CAPI}/parameters/customer-information-parameters"
_FBC = f"{_CAPI}/parameters/fbp-and-fbc"
_OFFLINE = f"{_CAPI}/offline-events"
_LEADS = f"{_CAPI}/conversion-leads-integration/payload-specification"
_DEDUPLICATION = f"{_CAPI}/deduplicate-pixel-and-server-events"
_ENDPOINT = "https://developers.facebook.com/docs/marketing-api/reference/ads-pixel/events/"
_DATASET = "https://developers.facebook.com/docs/marketing-api/reference/ads-pixel"
_GRAPH_ERRORS = "https://developers.facebook.com/docs/graph-api/guides/error-handling"
_VERSIONS = "https://developers.facebook.com/docs/marketing-api"
_RATES = "https://developers.facebook.com/documentation/ads-commerce/marketing-api/overview/rate-limiting"
_DEBUG_TOKEN = "https://developers.facebook.com/docs/graph-api/reference/debug_token"  # noqa: S105 - an address
_SHAPE_SEEN = "https://github.com/facebookincubator/ConversionsAPI-Tag-for-GoogleTagManager/issues/20"
_CLICK_SEEN = (
    "https://github.com/Adsmurai-Google-Tag-Manager-Templates/adsmurai-facebook-conversions-api-client/issues/6"
)
_PURCHASE_SEEN = (
    "https://github.com/Adsmurai-Google-Tag-Manager-Templates/adsmurai-facebook-conversions-api-client/issues/7"
)
_UNHASHED_SEEN = "https://github.com/facebook/facebook-java-business-sdk/issues/421"
_PROOF_SEEN = "https://github.com/facebook/facebook-python-business-sdk/issues/528"
NOWHERE = "assumed"

INVALID = 100
GRAPH = "GraphMethodException"


@dataclass(frozen=True, slots=True)
class MetaRule(Rule):
    """A rule of Meta's, with what its refusal goes by; `code` is 0 for a rule that refuses nothing."""

    code: int = 0
    subcode: int = 0
    """0 where the answer has none, or none is known."""
    title: str = ""
    """The refusal's title, for an error that Meta words for people."""
    french: str = ""
    """The same title in French."""
    kind: str = "OAuthException"
    status: int = 400


def _promise(rule: str, evidence: Evidence, source: str) -> MetaRule:
    return MetaRule("meta", rule, evidence, source)


def _request(rule: str, evidence: Evidence, source: str, code: int, subcode: int = 0) -> MetaRule:
    """A rule about the request, refused in words for developers."""
    return MetaRule("meta", rule, evidence, source, code, subcode)


def _row(rule: str, evidence: Evidence, source: str, title: str, french: str, *, subcode: int = 0) -> MetaRule:
    """A rule about one event, refused in words for people."""
    return MetaRule("meta", rule, evidence, source, INVALID, subcode, title, french)


# Reaching the platform.
VERSION = _request(
    "Versions v23.0 to v26.0 answer; an older one has ended.",
    "inferred",
    f"{_VERSIONS}/marketing-api-changelog/versions",
    2635,
)
VERSION_ENDS = _promise(
    "By switch (meta_version_ends), every answer carries X-Ad-Api-Version-Warning, as near a version's end.",
    "documented",
    f"{_VERSIONS}/overview/versioning",
)
KNOWN_PATH = _request(
    "POST /{dataset}/events, GET /{dataset}, GET /{dataset}/stats and GET /debug_token answer, behind a version.",
    "assumed",
    NOWHERE,
    2500,
)
TOKEN_PLACE = _promise(
    "The access token goes in the query, the form, the JSON body or the Authorization header.", "documented", _ENDPOINT
)
TOKEN_NAMED = _request("A request carries one access token.", "assumed", NOWHERE, 104)
TOKEN_KNOWN = MetaRule(
    "meta", "The access token is one that Meta gave and that still holds.", "observed", _GRAPH_ERRORS, 190, status=401
)
PROOF = MetaRule(
    "meta",
    "An appsecret_proof is the HMAC-SHA256 of the token under its app's secret.",
    "observed",
    _PROOF_SEEN,
    INVALID,
    kind=GRAPH,
)
OWN_DATASET = MetaRule(
    "meta",
    "The token opens its own dataset only; a foreign and an unknown one are answered alike.",
    "documented",
    _GRAPH_ERRORS,
    INVALID,
    33,
    kind=GRAPH,
)
KNOWN_PARAMETERS = _request(
    "A request has the parameters of its endpoint and no others, each once, all but data texts.",
    "assumed",
    NOWHERE,
    INVALID,
)
THROTTLED = _request(
    "Too many calls: the header X-Business-Use-Case-Usage tells in how many minutes to come back.",
    "documented",
    _RATES,
    80004,
)
FAILING = MetaRule(
    "meta",
    "A server that fails says so in Meta's own form, and may have counted the events before (fault failed_after).",
    "inferred",
    _GRAPH_ERRORS,
    2,
    title="An unexpected error has occurred. Please retry your request later.",
    status=500,
)

# The upload as a whole.
BODY = _request("The body is a form or a JSON object, strictly read.", "documented", _ENDPOINT, INVALID)
DATA = _request(
    "data is a list of objects, a list of JSON texts, or one JSON text of such a list; NaN is no JSON.",
    "documented",
    _ENDPOINT,
    INVALID,
)
SOME_EVENTS = _request("data holds at least one event.", "assumed", NOWHERE, INVALID)
MAX_EVENTS = _request("data holds at most 1,000 events (its code is not known).", "documented", _USING, INVALID)
ALL_OR_NOTHING = _promise("One bad event refuses the whole request: nothing of it is counted.", "documented", _USING)
ROW_NAMED = _promise(
    "Only 2804019 names the row it means, as $['data'][i]; by switch every refusal of an event does.",
    "observed",
    _SHAPE_SEEN,
)
LANGUAGE = _promise(
    "Titles and messages for people come in the token owner's language, by switch; codes do not.",
    "observed",
    _GRAPH_ERRORS,
)
RECEIVED = _promise("200 tells events_received, messages and fbtrace_id.", "documented", _USING)
RECEIVED_NONE = _promise(
    "By switch, one upload is answered 200 with events_received 0, and nothing of it is counted.", "assumed", NOWHERE
)
TEST_EVENTS = _promise("Events sent with test_event_code count like any other.", "documented", _USING)

# One event: its shape.
SHAPE = _row(
    "An event has known keys, each of its own type; custom_data may hold more of one's own.",
    "observed",
    _SHAPE_SEEN,
    "Server Side Api Parameter Error",
    "Erreur de paramètre de l’API côté serveur",
    subcode=2804019,
)
REQUIRED = _row(
    "An event has event_name, event_time, action_source and user_data (the code is not known).",
    "documented",
    _SERVER_EVENT,
    "Missing Parameter",
    "Paramètre manquant",
)
ASCII_NAME = _row(
    "By switch, an event_name has ASCII characters only.",
    "assumed",
    NOWHERE,
    "Invalid Event Name",
    "Nom d’évènement non valide",
)
ACTION_SOURCE = _row(
    "action_source is one of Meta's list (the code is not known).",
    "documented",
    _SERVER_EVENT,
    "Invalid Action Source",
    "Source de l’action non valide",
)
NOT_PLAYED = _row(
    "The sandbox plays neither app nor business_messaging events.",
    "assumed",
    NOWHERE,
    "Action Source Not Played",
    "Source de l’action non simulée",
)
WEBSITE = _row(
    "A website event has event_source_url and client_user_agent (the code is not known).",
    "documented",
    _SERVER_EVENT,
    "Missing Website Parameter",
    "Paramètre de site web manquant",
)

# One event: its time.
TOO_OLD = _row(
    "An event is at most 7 days old; one that is older refuses the request.",
    "observed",
    _SERVER_EVENT,
    "Event Timestamp Too Old",
    "Timestamp de l’évènement trop ancien",
    subcode=2804003,
)
STORE_TOO_OLD = _row(
    "An event in a physical_store is at most 62 days old.",
    "observed",
    _OFFLINE,
    "Event Timestamp Too Old",
    "Timestamp de l’évènement trop ancien",
    subcode=2804003,
)
FUTURE = _row(
    "event_time is in seconds and not in the future; how far ahead is still borne is a switch.",
    "observed",
    _SERVER_EVENT,
    "Invalid Event Timestamp",
    "Timestamp de l’évènement non valide",
    subcode=2804004,
)

# One event: who.
LEAD_ID = _row(
    "A lead_id is an integer of 15 to 17 digits, not hashed.",
    "observed",
    _LEADS,
    "Invalid Lead ID",
    "ID de prospect non valide",
    subcode=2804036,
)
CLICK_ID = _row(
    "An fbc is fb.{0, 1 or 2}.{13 digits of milliseconds}.{click id}, refused otherwise; accepted by switch.",
    "observed",
    _CLICK_SEEN,
    "Invalid Click ID",
    "ID de clic non valide",
    subcode=2804001,
)
BROWSER_ID = _row(
    "An fbp is fb.{0, 1 or 2}.{13 digits of milliseconds}.{digits} (its code is not known).",
    "inferred",
    _FBC,
    "Invalid Browser ID",
    "ID de navigateur non valide",
)
HASHED = _row(
    "Contact data is SHA-256 in 64 small hex digits.",
    "observed",
    _UNHASHED_SEEN,
    "User Parameter Not Hashed",
    "Paramètre utilisateur non haché",
    subcode=2804016,
)
NOT_HASH_OF_NOTHING = _row(
    "No contact data is the hash of an empty text.",
    "assumed",
    NOWHERE,
    "User Parameter Not Hashed",
    "Paramètre utilisateur non haché",
    subcode=2804016,
)
ENOUGH = _row(
    "user_data has more than {ct, country, st, zp, ge, client_user_agent}, {db, client_user_agent}, {fn, ge} "
    "or {ln, ge}, or a part of one of these.",
    "observed",
    f"{_CAPI}/best-practices",
    "Insufficient Customer Information",
    "Informations client insuffisantes",
    subcode=2804050,
)

# One event: what.
PURCHASE_VALUE = _row(
    "A Purchase has a value.",
    "observed",
    _PURCHASE_SEEN,
    "Missing Purchase Value",
    "Valeur d’achat manquante",
    subcode=2804009,
)
PURCHASE_CURRENCY = _row(
    "A Purchase has a currency.",
    "observed",
    _PURCHASE_SEEN,
    "Missing Purchase Currency",
    "Devise d’achat manquante",
    subcode=2804010,
)
CURRENCY = _row(
    "A currency is an ISO 4217 code, in either case.",
    "observed",
    _PURCHASE_SEEN,
    "Invalid Currency",
    "Devise non valide",
    subcode=2804011,
)
VALUE_CURRENCY = _row(
    "A value has a currency.", "assumed", NOWHERE, "Missing Currency", "Devise manquante", subcode=2804023
)
VALUE = _row("A value is not negative.", "assumed", NOWHERE, "Invalid Value", "Valeur non valide")
CONTENT_ID = _row(
    "Each of contents has an id.", "assumed", NOWHERE, "Missing Content ID", "ID de contenu manquant", subcode=2804008
)
PLANTED = _row("No event may be one that was refused by hand.", "assumed", NOWHERE, "Planted", "Refus planté")

# What counts.
DEDUPLICATED = _promise(
    "The same event_name and event_id within 48 hours of the first count once, by switch: "
    "promised for browser and server, not for server and server.",
    "inferred",
    _DEDUPLICATION,
)
STORE_DEDUPLICATED = _promise(
    "physical_store events are told apart by order_id alone, for 7 days.", "documented", _OFFLINE
)
CRM_PROFILE = _promise(
    "An event counts for Conversion Leads where it is system_generated with event_source crm and a lead_event_source; "
    "without these it is taken as any other.",
    "documented",
    _LEADS,
)

# Reading.
READABLE = _request("A token from Events Manager may read nothing, by switch.", "assumed", NOWHERE, 200)
FIELDS = _request("A dataset is read by known fields.", "read in the library", _DATASET, INVALID)
AGGREGATION = _request(
    "Stats come by one aggregation of the vendor's enum, between two times; the book knows six of them.",
    "read in the library",
    f"{_DATASET}/stats/",
    INVALID,
)
DEBUG_TOKEN = _promise(
    "debug_token tells whether a token holds, its app and scopes; an unknown one is told as not valid.",
    "documented",
    _DEBUG_TOKEN,
)


def _declared() -> Iterator[MetaRule]:
    return (value for value in list(globals().values()) if isinstance(value, MetaRule))


RULES: tuple[MetaRule, ...] = tuple(_declared())
"""All of them, in the order above."""
