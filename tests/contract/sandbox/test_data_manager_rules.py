"""Every rule of the sandbox's Data Manager, broken by requests written by hand and sent over a socket."""

import copy
import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from connectors.sandbox.google.data_manager import wire as data_manager_wire
from connectors.sandbox.google.data_manager.server import SandboxDataManager
from connectors.sandbox.google.platform import GoogleAccount, GoogleConversionAction, SandboxGoogleState
from connectors.sandbox.platform import FaultKind, Faults, PlannedFault
from connectors.sandbox.rules import DataManagerRule
from connectors.sandbox.rules import data_manager_rules as rules
from connectors.sandbox.server import Server, WireResponse

NOON = datetime(2026, 7, 20, 12, tzinfo=UTC)
SHA = "a" * 64
GOOD = {
    "destinations": [
        {
            "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "1234567890"},
            "loginAccount": {"accountType": "GOOGLE_ADS", "accountId": "1112223333"},
            "productDestinationId": "987654322",
        }
    ],
    "events": [
        {
            "transactionId": "good-0",
            "eventTimestamp": "2026-07-20T09:00:00Z",
            "eventSource": "WEB",
            "conversionValue": 900,
            "currency": "EUR",
            "adIdentifiers": {"gclid": "click-0"},
            "consent": {"adUserData": "CONSENT_GRANTED"},
        },
        {
            "transactionId": "good-1",
            "eventTimestamp": "2026-07-20T09:30:00+02:00",
            "eventSource": "PHONE",
            "userData": {"userIdentifiers": [{"emailAddress": SHA}, {"phoneNumber": SHA}]},
            "consent": {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_DENIED"},
        },
    ],
    "encoding": "HEX",
}
ACCOUNTS = {
    "1234567890": GoogleAccount(
        managers=frozenset({"1112223333"}),
        actions={
            "987654322": GoogleConversionAction(),
            "987654323": GoogleConversionAction(click_window_days=30, one_per_click=True),
            "987654324": GoogleConversionAction(created_at=NOON - timedelta(hours=5)),
            "987654399": GoogleConversionAction(kind="WEBPAGE"),
        },
    ),
    "2223334444": GoogleAccount(
        managers=frozenset({"1112223333"}), actions={"5": GoogleConversionAction()}, enhanced_conversions=False
    ),
}
CLICKS = {
    "click-0": {"clicked_at": "2026-07-18T08:00:00Z", "customer": "1234567890"},
    "click-old": {"clicked_at": "2026-06-01T08:00:00Z", "customer": "1234567890"},
    "click-ancient": {"clicked_at": "2026-04-20T08:00:00Z", "customer": "1234567890"},
    "click-new": {"clicked_at": "2026-07-20T08:00:00Z", "customer": "1234567890"},
    "click-later": {"clicked_at": "2026-07-20T09:00:01Z", "customer": "1234567890"},
    "click-foreign": {"clicked_at": "2026-07-18T08:00:00Z", "customer": "2223334444"},
    "b" * 64: {"clicked_at": "2026-05-01T08:00:00Z", "customer": "1234567890"},
}


class Wire:
    """The platform behind a socket, with a clock of its own."""

    def __init__(self, server: Server) -> None:
        self.now = NOON
        self.valid = True
        self.google = SandboxGoogleState(ACCOUNTS)
        self.platform = SandboxDataManager(lambda: self.now, lambda _: self.valid, self.google)
        self.platform.register_clicks(CLICKS)
        self.faults = server.faults
        server.handler = self.platform.handle
        self.address = urlsplit(server.url).netloc

    def call(self, method: str, path: str, body: object = None) -> tuple[int, dict]:
        """Status and JSON of one raw call."""
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            text = body if isinstance(body, str) else json.dumps(body)
            connection.request(method, path, text, {"Authorization": "Bearer invented"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def ingest(self, body: object, query: str = "") -> tuple[int, dict]:
        """Status and JSON of one ingest."""
        return self.call("POST", f"/v1/events:ingest{query}", body)

    def status(self, request_id: str) -> dict:
        """The first destination's status."""
        _, answer = self.call("GET", f"/v1/requestStatus:retrieve?requestId={request_id}")
        return answer["requestStatusPerDestination"][0]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One server shared by the module."""
    failed = data_manager_wire.server_failure_response
    with Server("data_manager", lambda _: WireResponse(500), Faults(), lambda: NOON, failed=failed) as serving:
        yield serving


@pytest.fixture
def wire(server: Server) -> Wire:
    """A fresh platform behind the shared server."""
    return Wire(server)


def destination(body: dict, **change: object) -> None:
    """Change the first destination."""
    body["destinations"][0].update(change)


def event(body: dict, **change: object) -> None:
    """Change the second event; None takes a field away."""
    for name, value in change.items():
        body["events"][1].pop(name, None)
        if value is not None:
            body["events"][1][name] = value


def identifiers(*values: str, kind: str = "emailAddress") -> dict:
    """User data of these hashes."""
    return {"userIdentifiers": [{kind: each} for each in values]}


Break = Callable[[dict], None]
REFUSED: dict[DataManagerRule, list[tuple[Break, str]]] = {
    rules.SOME_EVENTS: [(lambda b: b.update(events=[]), "events")],
    rules.MAX_EVENTS: [(lambda b: b.update(events=b["events"][:1] * 2001), "events")],
    rules.ENCODING: [(lambda b: b.pop("encoding"), "encoding")],
    rules.KNOWN_ENCODING: [(lambda b: b.update(encoding=7), "encoding")],
    rules.NO_ENCRYPTION: [(lambda b: b.update(encryptionInfo={}), "encryption_info")],
    rules.SOME_DESTINATIONS: [(lambda b: b.update(destinations=[]), "destinations")],
    rules.MAX_DESTINATIONS: [
        (lambda b: b.update(destinations=b["destinations"] * 11), "destinations"),
    ],
    rules.OPERATING_ACCOUNT: [
        (lambda b: b["destinations"][0].pop("operatingAccount"), "destinations[0].operating_account"),
    ],
    rules.ACCOUNT_NUMBER: [
        (
            lambda b: destination(b, loginAccount={"accountType": 1, "accountId": "111-222-3333"}),
            "destinations[0].login_account.account_id",
        ),
    ],
    rules.ACCOUNT_TYPE: [
        (
            lambda b: destination(b, operatingAccount={"accountType": 5, "accountId": "1234567890"}),
            "destinations[0].operating_account.account_type",
        ),
        (
            lambda b: destination(b, operatingAccount={"accountType": 1, "product": 4, "accountId": "1234567890"}),
            "destinations[0].operating_account.account_type",
        ),
    ],
    rules.NO_LINKED_ACCOUNT: [
        (
            lambda b: destination(b, linkedAccount={"accountType": 1, "accountId": "1"}),
            "destinations[0].linked_account",
        ),
    ],
    rules.ACTION_NAMED: [
        (
            lambda b: destination(b, productDestinationId=""),
            "destinations[0].product_destination_id",
        ),
    ],
    rules.ACTION_KNOWN: [
        (
            lambda b: destination(b, productDestinationId="1"),
            "destinations[0].product_destination_id",
        ),
        (
            lambda b: destination(b, productDestinationId="customers/1234567890/conversionActions/987654322"),
            "destinations[0].product_destination_id",
        ),
    ],
    rules.ACTION_TYPE: [
        (
            lambda b: destination(b, productDestinationId="987654399"),
            "destinations[0].product_destination_id",
        ),
    ],
    rules.ACTION_AGE: [
        (
            lambda b: destination(b, productDestinationId="987654324"),
            "destinations[0].product_destination_id",
        ),
    ],
    rules.REFERENCES_DIFFER: [
        (
            lambda b: b.update(destinations=[{**b["destinations"][0], "reference": "r"}] * 2),
            "destinations[1].reference",
        ),
    ],
    rules.REFERENCE_KNOWN: [
        (
            lambda b: event(b, destinationReferences=["elsewhere"]),
            "events.events[1].destination_references",
        ),
    ],
    rules.ENHANCED_CONVERSIONS: [
        (
            lambda b: destination(
                b, operatingAccount={"accountType": 1, "accountId": "2223334444"}, productDestinationId="5"
            ),
            "destinations[0].operating_account",
        ),
    ],
    rules.EVENT_TIME: [(lambda b: event(b, eventTimestamp=None), "events.events[1].event_timestamp")],
    rules.NOT_IN_FUTURE: [
        (
            lambda b: event(b, eventTimestamp="2026-07-20T12:05:01Z"),
            "events.events[1].event_timestamp",
        ),
    ],
    rules.EVENT_SOURCE: [(lambda b: event(b, eventSource=None), "events.events[1].event_source")],
    rules.KNOWN_SOURCE: [(lambda b: event(b, eventSource=99), "events.events[1].event_source")],
    rules.KNOWN_CONSENT: [
        (
            lambda b: event(b, consent={"adUserData": 1, "adPersonalization": 3}),
            "events.events[1].consent.ad_personalization",
        ),
        (lambda b: b.update(consent={"adUserData": 3}), "consent.ad_user_data"),
    ],
    rules.TRANSACTION_ID: [(lambda b: event(b, transactionId=None), "events.events[1].transaction_id")],
    rules.TRANSACTION_ID_LENGTH: [
        (lambda b: event(b, transactionId="x" * 65), "events.events[1].transaction_id"),
    ],
    rules.SOME_IDENTIFIER: [(lambda b: event(b, userData=None), "events.events[1]")],
    rules.ONE_CLICK_ID: [
        (
            lambda b: event(b, adIdentifiers={"gclid": "click-0", "gbraid": "braid-0"}),
            "events.events[1].ad_identifiers",
        ),
        (
            lambda b: event(b, adIdentifiers={"gbraid": "braid-0", "wbraid": "braid-1"}),
            "events.events[1].ad_identifiers",
        ),
    ],
    rules.MAX_IDENTIFIERS: [
        (
            lambda b: event(b, userData=identifiers(*[SHA] * 11)),
            "events.events[1].user_data.user_identifiers",
        ),
    ],
    rules.IDENTIFIER_SET: [
        (lambda b: event(b, userData={}), "events.events[1].user_data.user_identifiers"),
        (
            lambda b: event(b, userData={"userIdentifiers": [{}]}),
            "events.events[1].user_data.user_identifiers",
        ),
    ],
    rules.HEX_SHAPE: [
        (
            lambda b: event(b, userData=identifiers(SHA, "+33612345678", kind="phoneNumber")),
            "events.events[1].user_data.user_identifiers[1]",
        ),
    ],
    rules.BASE64_SHAPE: [
        (
            lambda b: (
                b.update(encoding="BASE64"),
                event(b, userData=identifiers("jean@exemple.fr")),
            ),
            "events.events[1].user_data.user_identifiers[0]",
        ),
    ],
    rules.SHA256_SHAPE: [
        (
            lambda b: event(b, userData=identifiers("a" * 40)),
            "events.events[1].user_data.user_identifiers[0]",
        ),
        (
            lambda b: (
                b.update(encoding="BASE64"),
                event(b, userData=identifiers("YWJj")),
            ),
            "events.events[1].user_data.user_identifiers[0]",
        ),
    ],
    rules.NO_THIRD_PARTY_DATA: [
        (
            lambda b: event(b, thirdPartyUserData=identifiers(SHA)),
            "events.events[1].third_party_user_data",
        ),
    ],
    rules.VALUE_SHAPE: [
        (
            lambda b: event(b, conversionValue=-1, currency="EUR"),
            "events.events[1].conversion_value",
        ),
        (
            lambda b: event(b, conversionValue="NaN", currency="EUR"),
            "events.events[1].conversion_value",
        ),
    ],
    rules.CURRENCY_SHAPE: [
        (lambda b: event(b, conversionValue=1, currency="€"), "events.events[1].currency"),
        (lambda b: event(b, conversionValue=1, currency="eur"), "events.events[1].currency"),
    ],
    rules.VALUE_CURRENCY: [(lambda b: event(b, conversionValue=1), "events.events[1].currency")],
}
FAILED: dict[DataManagerRule, list[Break]] = {
    rules.CONSENT_KNOWN: [lambda b: event(b, consent=None)],
    rules.CONSENT_GRANTED: [
        lambda b: event(b, consent={"adUserData": "CONSENT_DENIED"}),
        lambda b: (b.update(consent={"adUserData": "CONSENT_DENIED"}), event(b, consent=None)),
    ],
    rules.GCLID_READABLE: [lambda b: event(b, adIdentifiers={"gclid": "click%2D0"})],
    rules.GBRAID_READABLE: [lambda b: event(b, adIdentifiers={"gbraid": "a b"})],
    rules.WBRAID_READABLE: [lambda b: event(b, adIdentifiers={"wbraid": "é"})],
    rules.CLICK_KNOWN: [
        lambda b: event(b, adIdentifiers={"gclid": "no-such-click"}),
        lambda b: event(b, adIdentifiers={"gclid": "CLICK-0"}),
    ],
    rules.CLICK_OF_ACCOUNT: [lambda b: event(b, adIdentifiers={"gclid": "click-foreign"})],
    rules.EVERY_WITH_BRAID: [
        lambda b: (
            destination(b, productDestinationId="987654323"),
            event(b, adIdentifiers={"wbraid": "click-0"}),
        ),
    ],
    rules.AFTER_CLICK: [lambda b: event(b, adIdentifiers={"gclid": "click-later"})],
    rules.CLICK_SETTLED: [
        lambda b: event(b, adIdentifiers={"gclid": "click-new"}, eventTimestamp="2026-07-20T09:00:00Z"),
    ],
    rules.CLICK_WINDOW: [
        lambda b: (
            destination(b, productDestinationId="987654323"),
            event(b, adIdentifiers={"gclid": "click-old"}),
        ),
        lambda b: event(b, adIdentifiers={"gclid": "click-ancient"}, eventTimestamp="2026-05-01T09:00:00Z"),
    ],
    rules.CONTACT_WINDOW: [
        lambda b: event(b, eventTimestamp="2026-05-18T11:59:59Z"),
        lambda b: event(b, userData=identifiers("b" * 64)),
    ],
}


@pytest.mark.parametrize(
    ("rule", "breaks", "field"),
    [(rule, breaks, field) for rule, cases in REFUSED.items() for breaks, field in cases],
    ids=lambda each: getattr(each, "rule", ""),
)
def test_broken_rule_refuses_the_whole_request(wire, rule, breaks, field):
    """The answer names the rule's reason and the field, and nothing is accepted."""
    body = copy.deepcopy(GOOD)
    breaks(body)

    status, answer = wire.ingest(body)

    info, request, bad = answer["error"]["details"]
    assert (400, "INVALID_ARGUMENT") == (status, answer["error"]["status"])
    assert ("INVALID_ARGUMENT", "datamanager.googleapis.com") == (info["reason"], info["domain"])
    assert info["metadata"]["requestId"] == request["requestId"]
    assert (rule.answer, field) in {(each["reason"], each["field"]) for each in bad["fieldViolations"]}
    assert rule.rule in {each["description"] for each in bad["fieldViolations"]}
    assert 0 == wire.platform.state()["processing"]


@pytest.mark.parametrize(
    ("rule", "breaks"),
    [(rule, breaks) for rule, cases in FAILED.items() for breaks in cases],
    ids=lambda each: getattr(each, "rule", ""),
)
def test_broken_rule_fails_its_row_in_processing(wire, rule, breaks):
    """The request is accepted, and its status later names reason, count and row."""
    body = copy.deepcopy(GOOD)
    body["events"][0]["adIdentifiers"] = {}
    body["events"][0]["userData"] = identifiers(SHA)
    breaks(body)
    _, taken = wire.ingest(body)
    wire.now += timedelta(minutes=20)

    result = wire.status(taken["requestId"])

    assert "PARTIAL_SUCCESS" == result["requestStatus"]
    assert [{"recordCount": "1", "reason": rule.answer, "recordIndices": [1]}] == result["errorInfo"]["errorCounts"]
    assert {"good-0"} == {line["transaction_id"] for line in wire.platform.conversions_json()}


def test_valid_request_succeeds(wire):
    """It gets an id, and every row succeeds."""
    status, taken = wire.ingest(GOOD)
    wire.now += timedelta(minutes=20)

    result = wire.status(taken["requestId"])

    assert (200, {"requestId"}) == (status, set(taken))
    assert ("SUCCESS", {"recordCount": "2"}) == (result["requestStatus"], result["eventsIngestionStatus"])
    assert "errorInfo" not in result


def unauthorised(wire: Wire) -> None:
    """rules.AUTHORISED."""
    wire.valid = False
    status, answer = wire.ingest(GOOD)

    assert (401, "UNAUTHENTICATED") == (status, answer["error"]["status"])


def unknown_fields(wire: Wire) -> None:
    """rules.KNOWN_FIELDS."""
    for change in (
        {"gclid": "x"},
        {"eventTimestamp": "2026-07-20 09:00:00"},
        {"eventSource": "CRM"},
        {"conversionValue": "douze"},
    ):
        body = copy.deepcopy(GOOD)
        event(body, **change)
        status, answer = wire.ingest(body)
        [bad] = answer["error"]["details"]
        assert (400, "INVALID_ARGUMENT") == (status, answer["error"]["status"])
        assert bad["fieldViolations"][0]["field"].startswith("events[1]")
        assert "douze" not in json.dumps(answer)
    twice = json.dumps(GOOD).replace('"encoding": "HEX"', '"encoding": "HEX", "encoding": 1')
    assert [400] * 3 == [wire.ingest(body)[0] for body in ("{", "\u00e9", twice)]
    assert 400 == wire.ingest(GOOD, "?pageSize=2")[0]


def over_quota(wire: Wire) -> None:
    """rules.QUOTA."""
    answers = [wire.call("GET", "/v1/requestStatus:retrieve")[0] for _ in range(301)]
    status, answer = wire.call("GET", "/v1/requestStatus:retrieve")
    write = wire.ingest(GOOD)[0]
    wire.now += timedelta(minutes=1)

    assert [400] * 300 + [429] == answers
    assert "RESOURCE_EXHAUSTED" == answer["error"]["status"]
    assert "RequestsPerMinutePerProject" == answer["error"]["details"][0]["metadata"]["quota_limit"]
    assert (429, 200) == (status, write)
    assert 400 == wire.call("GET", "/v1/requestStatus:retrieve")[0]


def no_login(wire: Wire) -> None:
    """rules.LOGIN_ACCOUNT."""
    wrong = {"accountType": "GOOGLE_ADS", "accountId": "9999999999"}
    for change in ({"loginAccount": {}}, {"loginAccount": wrong}, {"operatingAccount": wrong}):
        body = copy.deepcopy(GOOD)
        destination(body, **change)
        status, answer = wire.ingest(body)
        assert (403, "PERMISSION_DENIED") == (status, answer["error"]["status"])


def one_bad_row(wire: Wire) -> None:
    """rules.FAST_FAIL."""
    body = copy.deepcopy(GOOD)
    event(body, eventSource=None)
    wire.ingest(body)
    wire.now += timedelta(hours=1)

    assert [] == wire.platform.conversions_json()


def only_validated(wire: Wire) -> None:
    """rules.VALIDATE_ONLY."""
    bad = copy.deepcopy(GOOD)
    event(bad, eventSource=None)
    assert (200, {}) == wire.ingest({**GOOD, "validateOnly": True})
    assert 400 == wire.ingest({**bad, "validateOnly": True})[0]
    wire.now += timedelta(hours=1)

    assert [] == wire.platform.conversions_json()


def enums(wire: Wire) -> None:
    """rules.NUMERIC_ENUMS."""
    body = json.loads(json.dumps(GOOD).replace('"GOOGLE_ADS"', "1").replace('"CONSENT_GRANTED"', "1"))
    body["encoding"] = 1
    _, taken = wire.ingest(body, "?%24alt=json%3Benum-encoding%3Dint")
    names = wire.status(taken["requestId"])

    assert "PROCESSING" == names["requestStatus"]
    assert GOOD["destinations"][0] == names["destination"]


def contact_only(wire: Wire) -> None:
    """rules.CONTACT_RECEIVED."""
    wire.platform.register_clicks({"c" * 64: CLICKS["click-0"]})
    body = copy.deepcopy(GOOD)
    body["events"][0] |= {"adIdentifiers": {}, "userData": identifiers("c" * 64)}
    wire.ingest(body)
    wire.now += timedelta(hours=1)

    assert [("contact", True), ("contact", False)] == [
        (line["click_kind"], line["matched"]) for line in wire.platform.conversions_json()
    ]


def sent_again(wire: Wire) -> None:
    """rules.SAME_TRANSACTION."""
    for value in (900, 900, 750, 750):
        body = copy.deepcopy(GOOD)
        body["events"][0]["conversionValue"] = value
        wire.ingest({**body, "events": body["events"][:1]})
        wire.now += timedelta(hours=1)

    [line] = wire.platform.conversions_json()

    assert (1, 2, 1, 0) == (
        line["accepted"],
        line["replays"],
        line["restatements"],
        line["changed_replays"],
    )
    assert (750, 900) == (line["value"], line["first_value"])


def worth(wire: Wire, *values: float) -> list[dict]:
    """Send the first event with each value in turn, process it, and return the book's line after each."""
    books = []
    for value in values:
        body = copy.deepcopy(GOOD)
        body["events"][0]["conversionValue"] = value
        _, taken = wire.ingest({**body, "events": body["events"][:1]})
        wire.now += timedelta(hours=1)

        assert "SUCCESS" == wire.status(taken["requestId"])["requestStatus"]
        [line] = wire.platform.conversions_json()
        books.append(line)
    return books


def at_zero(wire: Wire) -> None:
    """rules.ZERO_IS_FINAL."""
    final = worth(wire, 900, 0, 750)
    wire.platform.set_switch("zero_is_final", value=False)
    back = worth(wire, 750)

    assert [(900, 1, 0), (0, 1, 0), (0, 1, 1)] == [(each["value"], each["count"], each["ignored"]) for each in final]
    assert [(750, 1, 2)] == [(each["value"], each["count"], each["restatements"]) for each in back]


def taken_back(wire: Wire) -> None:
    """rules.RETRACTED."""
    worth(wire, 900)
    line = wire.google.book.find_conversion_by_key("1234567890", "987654322", "good-0", ["data_manager"])
    assert line is not None
    wire.google.book.put(replace(line, value=0.0, retracted=True))
    wire.platform.set_switch("zero_is_final", value=False)

    assert [(0, 0), (0, 0)] == [(each["value"], each["count"]) for each in worth(wire, 900, 750)]


def not_yet(wire: Wire) -> None:
    """rules.PROCESSING_TIME."""
    _, taken = wire.ingest(GOOD)
    wire.now += timedelta(minutes=19, seconds=59)
    early = wire.status(taken["requestId"])
    wire.now += timedelta(seconds=1)

    assert {"destination", "requestStatus"} == set(early)
    assert ("PROCESSING", "SUCCESS") == (
        early["requestStatus"],
        wire.status(taken["requestId"])["requestStatus"],
    )


def per_destination(wire: Wire) -> None:
    """rules.DESTINATION_STATUS."""
    body = copy.deepcopy(GOOD)
    second = {**body["destinations"][0], "productDestinationId": "987654323"}
    body["destinations"] = [
        {**each, "reference": name} for name, each in (("a", body["destinations"][0]), ("b", second))
    ]
    body["events"][0] |= {"destinationReferences": ["b"], "adIdentifiers": {"gclid": "unheard-of"}}
    event(body, destinationReferences=["a"])
    _, taken = wire.ingest(body)
    wire.now += timedelta(hours=1)
    _, answer = wire.call("GET", f"/v1/requestStatus:retrieve?requestId={taken['requestId']}")

    assert [("a", "SUCCESS"), ("b", "FAILED")] == [
        (each["destination"]["reference"], each["requestStatus"]) for each in answer["requestStatusPerDestination"]
    ]


def failing(wire: Wire) -> None:
    """rules.FAILING."""
    wire.faults.plant(PlannedFault("data_manager", FaultKind.FAILED_AFTER))
    wire.faults.plant(PlannedFault("data_manager", FaultKind.FAILED_AFTER, status=504))
    answers = [wire.ingest(GOOD), wire.ingest(GOOD)]
    wire.now += timedelta(hours=1)

    assert [(500, "INTERNAL", rules.FAILING.answer), (504, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")] == [
        (status, body["error"]["status"], body["error"]["details"][0]["reason"]) for status, body in answers
    ]
    assert [(1, 1), (1, 1)] == [(line["accepted"], line["replays"]) for line in wire.platform.conversions_json()]


def failure_word(wire: Wire) -> None:
    """rules.FAILURE_WORD."""
    body = copy.deepcopy(GOOD)
    body["events"] = [{**body["events"][0], "adIdentifiers": {"gclid": "unheard-of"}}]
    _, taken = wire.ingest(body)
    wire.now += timedelta(hours=1)
    words = []
    for position in ("FAILED", "FAILURE"):
        wire.platform.set_switch("failed_word", position)
        words.append(wire.status(taken["requestId"])["requestStatus"])

    assert ["FAILED", "FAILURE"] == words


def records_counted(wire: Wire) -> None:
    """rules.RECORDS_COUNTED."""
    _, taken = wire.ingest(GOOD)
    wire.now += timedelta(hours=1)
    counts = []
    for position in ("all", "one less"):
        wire.platform.set_switch("records_counted", position)
        counts.append(wire.status(taken["requestId"])["eventsIngestionStatus"]["recordCount"])

    assert ["2", "1"] == counts


def warned(wire: Wire) -> None:
    """rules.WARNINGS."""
    _, taken = wire.ingest(GOOD)
    wire.now += timedelta(hours=1)

    assert "warningInfo" not in wire.status(taken["requestId"])

    wire.platform.set_switch("warned", value=True)

    assert {"warningCounts": [{"recordCount": "1", "reason": "PROCESSING_WARNING_REASON_INTERNAL_ERROR"}]} == (
        wire.status(taken["requestId"])["warningInfo"]
    )


def indices(wire: Wire) -> None:
    """rules.RECORD_INDICES."""
    body = copy.deepcopy(GOOD)
    event(body, consent=None)
    _, taken = wire.ingest(body)
    wire.now += timedelta(hours=1)
    indices = []
    for position in (True, "strings", False):
        wire.platform.set_switch("record_indices", position)
        [count] = wire.status(taken["requestId"])["errorInfo"]["errorCounts"]
        indices.append(count.get("recordIndices"))

    assert [[1], ["1"], None] == indices


def unnamed_request(wire: Wire) -> None:
    """rules.REQUEST_NAMED."""
    status, answer = wire.call("GET", "/v1/requestStatus:retrieve")

    assert (400, rules.REQUEST_NAMED.answer) == (status, reason(answer))


def unknown_request(wire: Wire) -> None:
    """rules.REQUEST_KNOWN."""
    status, answer = wire.call("GET", "/v1/requestStatus:retrieve?requestId=never-given")

    assert (400, rules.REQUEST_KNOWN.answer) == (status, reason(answer))


def forgotten_request(wire: Wire) -> None:
    """rules.REQUEST_AGE."""
    _, taken = wire.ingest(GOOD)
    wire.now += timedelta(days=50, seconds=1)
    status, answer = wire.call("GET", f"/v1/requestStatus:retrieve?requestId={taken['requestId']}")

    assert (404, "NOT_FOUND", rules.REQUEST_AGE.answer) == (
        status,
        answer["error"]["status"],
        answer["error"]["details"][0]["reason"],
    )


def reason(answer: dict) -> str:
    """The reason of the first violation."""
    return answer["error"]["details"][2]["fieldViolations"][0]["reason"]


SCENARIOS: dict[DataManagerRule, Callable[[Wire], None]] = {
    rules.AUTHORISED: unauthorised,
    rules.KNOWN_FIELDS: unknown_fields,
    rules.QUOTA: over_quota,
    rules.LOGIN_ACCOUNT: no_login,
    rules.FAST_FAIL: one_bad_row,
    rules.VALIDATE_ONLY: only_validated,
    rules.NUMERIC_ENUMS: enums,
    rules.CONTACT_RECEIVED: contact_only,
    rules.SAME_TRANSACTION: sent_again,
    rules.ZERO_IS_FINAL: at_zero,
    rules.RETRACTED: taken_back,
    rules.PROCESSING_TIME: not_yet,
    rules.DESTINATION_STATUS: per_destination,
    rules.RECORD_INDICES: indices,
    rules.WARNINGS: warned,
    rules.FAILING: failing,
    rules.FAILURE_WORD: failure_word,
    rules.RECORDS_COUNTED: records_counted,
    rules.REQUEST_NAMED: unnamed_request,
    rules.REQUEST_KNOWN: unknown_request,
    rules.REQUEST_AGE: forgotten_request,
}


@pytest.mark.parametrize("rule", SCENARIOS, ids=lambda each: each.rule)
def test_rule_scenario(wire, rule):
    """These rules need more than one broken field to show."""
    SCENARIOS[rule](wire)


def test_every_rule_is_tested_once():
    """Every rule has a request that tests it, and every request a rule."""
    tested = [*REFUSED, *FAILED, *SCENARIOS]

    assert set(rules) == set(tested)
    assert len(list(rules)) == len(tested)


def test_every_rule_cites_a_google_page():
    """Every source is an address at Google."""
    adrift = [rule for rule in rules if ".google.com/" not in rule.source]

    assert [] == adrift
