"""Every rule of the sandbox's Google Ads API, broken by messages written by hand and sent over a raw channel."""

import copy
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from google.ads.googleads.v26.errors.types import errors
from google.ads.googleads.v26.services.types import conversion_upload_service as uploads
from google.ads.googleads.v26.services.types import google_ads_service as questions

from connectors.sandbox.google.ads_api.server import GoogleAdsServer, SandboxGoogleAdsApi
from connectors.sandbox.google.platform import GoogleAccount, GoogleClick, GoogleConversionAction, SandboxGoogleState
from connectors.sandbox.platform import FaultKind, Faults, PlannedFault, from_json
from connectors.sandbox.rules import ads_api_rules as rules

NOON = datetime(2026, 7, 20, 12, tzinfo=UTC)
SERVICES = "/google.ads.googleads.v26.services"
UPLOAD = f"{SERVICES}.ConversionUploadService/UploadClickConversions"
SEARCH = f"{SERVICES}.GoogleAdsService/SearchStream"
ADWORDS = "https://www.googleapis.com/auth/adwords"
CUSTOMER, MANAGER, SHUT, WITHOUT = "1234567890", "1112223333", "5556667777", "2223334444"
SHA, OLD_SHA = "a" * 64, "b" * 64
SALE, ONCE, YOUNG, PAUSED = "987654322", "987654323", "987654324", "987654325"
ACCOUNTS = {
    CUSTOMER: GoogleAccount(
        managers=frozenset({MANAGER}),
        actions={
            SALE: GoogleConversionAction(name="Vente signée"),
            ONCE: GoogleConversionAction(click_window_days=30, one_per_click=True),
            YOUNG: GoogleConversionAction(created_at=NOON - timedelta(hours=5)),
            PAUSED: GoogleConversionAction(status="HIDDEN"),
            "987654399": GoogleConversionAction(kind="WEBPAGE"),
        },
    ),
    WITHOUT: GoogleAccount(
        managers=frozenset({MANAGER}), actions={"5": GoogleConversionAction()}, enhanced_conversions=False
    ),
    SHUT: GoogleAccount(managers=frozenset({MANAGER}), actions={}, enabled=False),
}
CLICKS = {
    "click-0": ("2026-07-18T08:00:00Z", CUSTOMER),
    "click-1": ("2026-07-18T08:00:00Z", CUSTOMER),
    "click-old": ("2026-06-01T08:00:00Z", CUSTOMER),
    "click-ancient": ("2026-04-20T08:00:00Z", CUSTOMER),
    "click-new": ("2026-07-20T08:00:00Z", CUSTOMER),
    "click-later": ("2026-07-20T09:00:01Z", CUSTOMER),
    "click-of-another": ("2026-07-18T08:00:00Z", WITHOUT),
    "click-of-a-stranger": ("2026-07-18T08:00:00Z", "9998887777"),
    SHA: ("2026-07-18T08:00:00Z", CUSTOMER),
    OLD_SHA: ("2026-05-10T08:00:00Z", CUSTOMER),
}
METADATA = {"authorization": "Bearer good", "login-customer-id": MANAGER}
GOOD = {
    "customer_id": CUSTOMER,
    "partial_failure": True,
    "conversions": [
        {
            "gclid": "click-0",
            "order_id": "good-0",
            "conversion_action": f"customers/{CUSTOMER}/conversionActions/{SALE}",
            "conversion_date_time": "2026-07-20 11:00:00+02:00",
            "conversion_value": 900.5,
            "currency_code": "EUR",
            "consent": {"ad_user_data": 2, "ad_personalization": 3},
        },
        {
            "order_id": "good-1",
            "conversion_action": f"customers/{CUSTOMER}/conversionActions/{SALE}",
            "conversion_date_time": "2026-07-20 09:30:00+00:00",
            "user_identifiers": [{"hashed_email": SHA}, {"hashed_phone_number": SHA}],
        },
    ],
}


def scopes(authorization):
    """Return the scopes of the tests' tokens."""
    known = {"good": {ADWORDS}, "narrow": {"https://www.googleapis.com/auth/datamanager"}}.get(authorization[7:])
    return frozenset(known) if known else None


class Answer:
    """A parsed answer: `failed` are (row or None, family, code, fields) for each error."""

    def __init__(self, reply):
        self.code = reply.code
        self.failure = errors.GoogleAdsFailure.pb().FromString(reply.failure) if reply.failure else None
        self.request_id = reply.metadata.get("request-id")
        self.response = None
        if reply.messages:
            self.response = uploads.UploadClickConversionsResponse.pb().FromString(reply.messages[0])
            for packed in self.response.partial_failure_error.details:
                assert packed.type_url == "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure"
                self.failure = errors.GoogleAdsFailure.pb().FromString(packed.value)
        self.failed = [_parsed_error(each) for each in (self.failure.errors if self.failure else ())]

    @property
    def accepted(self):
        """The rows that have a result."""
        return [index for index, each in enumerate(self.response.results) if each.conversion_action]


def _parsed_error(error):
    family = error.error_code.WhichOneof("error_code")
    number = getattr(error.error_code, family)
    known = error.error_code.DESCRIPTOR.fields_by_name[family].enum_type.values_by_number.get(number)
    path = error.location.field_path_elements
    row = next((each.index for each in path if each.field_name == "conversions" and each.HasField("index")), None)
    return row, family, known.name if known else number, [each.field_name for each in path]


class Wire:
    """A fresh platform behind a channel, with a clock of its own."""

    def __init__(self, call, server):
        self.call = call
        self.now = NOON
        self.google = SandboxGoogleState(ACCOUNTS)
        self.platform = SandboxGoogleAdsApi(lambda: self.now, scopes, self.google)
        clicks = {key: {"clicked_at": at, "customer": customer} for key, (at, customer) in CLICKS.items()}
        self.google.clicks.update(from_json(dict[str, GoogleClick], clicks))
        self.faults = server.faults
        server.handler = self.platform.handle

    def upload(self, body, metadata=METADATA, path=UPLOAD, **extra):
        """Send one upload."""
        message = body if isinstance(body, bytes) else uploads.UploadClickConversionsRequest.pb()(**body, **extra)
        raw = message if isinstance(message, bytes) else message.SerializeToString()
        return Answer(self.call(path, raw, metadata.items()))

    def ask(self, query, customer=CUSTOMER):
        """Send a GAQL query, and return its code, errors and rows."""
        request = questions.SearchGoogleAdsStreamRequest.pb()(customer_id=customer, query=query)
        reply = self.call(SEARCH, request.SerializeToString(), METADATA.items())
        kind = questions.SearchGoogleAdsStreamResponse.pb()
        rows = [row for each in reply.messages for row in kind.FromString(each).results]
        failure = errors.GoogleAdsFailure.pb().FromString(reply.failure) if reply.failure else None
        return reply.code, [_parsed_error(each)[1:3] for each in (failure.errors if failure else ())], rows


@pytest.fixture(scope="module")
def server():
    """One server shared by the module."""
    with GoogleAdsServer(lambda _: b"", Faults(), lambda: NOON) as serving:
        yield serving


@pytest.fixture
def wire(server, dialled):
    """A fresh platform behind the shared server."""
    server.faults.clear()
    with dialled(server.url) as call:
        yield Wire(call, server)


def good(**change):
    """A good upload with its first row changed; None takes a field away."""
    body = copy.deepcopy(GOOD)
    change_row(body["conversions"][0], change)
    return body


def contact(**change):
    """A good upload with its second row changed, which is identified by contact data alone."""
    body = copy.deepcopy(GOOD)
    change_row(body["conversions"][1], change)
    return body


def change_row(row, change):
    """Change some fields; None takes one away."""
    row.update(change)
    for name, value in change.items():
        if value is None:
            del row[name]


def named(each):
    """Use a rule's sentence as its parametrize id."""
    return getattr(each, "rule", "")


def action(number):
    """An action's resource name."""
    return f"customers/{CUSTOMER}/conversionActions/{number}"


# ── calls that fail as a whole ────────────────────────────────────────────────────────────────────

REFUSED = {
    rules.METHOD: [({"path": f"{SERVICES}.ConversionUploadService/UploadCallConversions"}, GOOD)],
    rules.TOKEN_SENT: [
        ({"metadata": {"login-customer-id": MANAGER}}, GOOD),
        ({"metadata": METADATA | {"authorization": "Basic good"}}, GOOD),
    ],
    rules.TOKEN_LIVES: [({"metadata": METADATA | {"authorization": "Bearer revoked"}}, GOOD)],
    rules.SCOPE: [({"metadata": METADATA | {"authorization": "Bearer narrow"}}, GOOD)],
    rules.LOGIN_NUMBER: [({"metadata": METADATA | {"login-customer-id": "111-222-3333"}}, GOOD)],
    rules.CUSTOMER_NUMBER: [({}, {**GOOD, "customer_id": "123-456-7890"}), ({}, {**GOOD, "customer_id": ""})],
    rules.CUSTOMER_KNOWN: [({}, {**GOOD, "customer_id": "1234567899"})],
    rules.LOGIN_IS_MANAGER: [({"metadata": METADATA | {"login-customer-id": WITHOUT}}, GOOD)],
    rules.ACCESS: [
        ({"metadata": {"authorization": "Bearer good"}}, GOOD),
        ({"metadata": METADATA | {"login-customer-id": "9990001111"}}, GOOD),
    ],
    rules.CUSTOMER_ENABLED: [({}, {**GOOD, "customer_id": SHUT})],
    rules.READABLE: [({}, b"\xff"), ({}, b"\xa0\x06\x01")],
    rules.PARTIAL_FAILURE: [({}, {**GOOD, "partial_failure": False})],
    rules.SOME_ROWS: [({}, {**GOOD, "conversions": []})],
    rules.MAX_ROWS: [({}, {**GOOD, "conversions": GOOD["conversions"][:1] * 2001})],
    rules.JOB_ID: [({}, {**GOOD, "job_id": 0}), ({}, {**GOOD, "job_id": -1})],
}


@pytest.mark.parametrize(
    ("rule", "call", "body"), [(rule, *each) for rule in REFUSED for each in REFUSED[rule]], ids=named
)
def test_broken_rule_refuses_the_call(wire, rule, call, body):
    """The answer has the rule's status and error and a request id, and nothing is counted."""
    answer = wire.upload(body, **call)
    expected = [(rule.family, rule.answer)] if rule.family else []

    assert rule.status == answer.code
    assert expected == [each[1:3] for each in answer.failed]
    assert answer.request_id
    assert [] == wire.platform.conversions_json()


# ── rows that fail ────────────────────────────────────────────────────────────────────────────────

HASHES = [{"hashed_email": SHA}]
BARE = good(order_id=None)["conversions"][0]
ROWS = {
    rules.ONE_BRAID: [(0, good(gclid=None, gbraid="click-0", wbraid="click-1"), "gbraid")],
    rules.GCLID_ALONE: [(0, good(gbraid="click-1"), "gbraid"), (0, good(wbraid="click-1"), "wbraid")],
    rules.BRAID_WITHOUT_CONTACT: [(0, good(gclid=None, gbraid="click-0", user_identifiers=HASHES), "user_identifiers")],
    rules.SOME_IDENTIFIER: [(0, good(gclid=None), "gclid"), (0, good(gclid=""), "gclid")],
    rules.ACTION_SENT: [(0, good(conversion_action=None), "conversion_action")],
    rules.ACTION_NAME: [
        (0, good(conversion_action=SALE), "conversion_action"),
        (0, good(conversion_action=f"customers/123-456-7890/conversionActions/{SALE}"), "conversion_action"),
    ],
    rules.TIME_SENT: [(0, good(conversion_date_time=None), "conversion_date_time")],
    rules.TIME_FORMAT: [
        (0, good(conversion_date_time=text), "conversion_date_time")
        for text in (
            "2026-07-20 11:00:00",
            "2026-07-20T11:00:00+02:00",
            "2026-07-20 11:00:00Z",
            "2026-07-20 11:00:00.000+02:00",
            "2026-07-20 11:00:00+0200",
        )
    ],
    rules.TIME_EXISTS: [(0, good(conversion_date_time="2026-02-30 11:00:00+02:00"), "conversion_date_time")],
    rules.NOT_IN_FUTURE: [(0, good(conversion_date_time="2026-07-20 12:05:01+00:00"), "conversion_date_time")],
    rules.VALUE_SHAPE: [
        (0, good(conversion_value=-1), "conversion_value"),
        (0, good(conversion_value=math.nan), "conversion_value"),
    ],
    rules.CURRENCY: [(0, good(currency_code="eur"), "currency_code"), (0, good(currency_code="€"), "currency_code")],
    rules.ORDER_ID_LENGTH: [(0, good(order_id="x" * 65), "order_id")],
    rules.ORDER_ID_PERSONAL: [
        (0, good(order_id="jean@example.org"), "order_id"),
        (0, good(order_id="+33199001234"), "order_id"),
        (0, good(order_id="01 99 00 12 34"), "order_id"),
    ],
    rules.MAX_IDENTIFIERS: [(0, good(user_identifiers=HASHES * 6), "user_identifiers")],
    rules.IDENTIFIER_KIND: [
        (0, good(user_identifiers=[{"mobile_id": "an-id"}]), "user_identifiers"),
        (0, good(user_identifiers=[{}]), "user_identifiers"),
        (1, contact(user_identifiers=[{"address_info": {"country_code": "FR"}}]), "user_identifiers"),
    ],
    rules.IDENTIFIER_HASH: [
        (0, good(user_identifiers=[{"hashed_email": "jean@example.org"}]), "user_identifiers"),
        (1, contact(user_identifiers=[{"hashed_phone_number": "a" * 63}]), "user_identifiers"),
    ],
    rules.KNOWN_ENUMS: [
        (0, good(consent={"ad_user_data": 1}), "ad_user_data"),
        (0, good(consent={"ad_personalization": 4}), "ad_personalization"),
        (0, good(conversion_environment=9), "conversion_environment"),
        (0, good(customer_type=1), "customer_type"),
    ],
    rules.NO_ADDRESS: [
        (0, good(user_ip_address="192.0.2.1"), "user_ip_address"),
        (0, good(session_attributes_encoded=b"e30="), "session_attributes_encoded"),
    ],
    rules.NO_ATTRIBUTION: [
        (
            0,
            good(external_attribution_data={"external_attribution_model": "own"}),
            "external_attribution_data",
        )
    ],
    rules.NO_VARIABLES: [
        (0, good(custom_variables=[{"conversion_custom_variable": "x", "value": "y"}]), "custom_variables")
    ],
    rules.ORDER_ID_ONCE: [(1, contact(order_id="good-0"), "order_id")],
    rules.CLICK_ONCE: [(2, {**GOOD, "conversions": [BARE, GOOD["conversions"][1], BARE]}, "conversion_date_time")],
    rules.ACTION_KNOWN: [
        (0, good(conversion_action=action("1")), "conversion_action"),
        (0, good(conversion_action=action("5")), "conversion_action"),
        (0, good(conversion_action=action(PAUSED)), "conversion_action"),
    ],
    rules.ACTION_TYPE: [(0, good(conversion_action=action("987654399")), "conversion_action")],
    rules.ACTION_AGE: [(0, good(conversion_action=action(YOUNG)), "conversion_action")],
    rules.EVERY_WITH_BRAID: [
        (0, good(gclid=None, gbraid="click-0", conversion_action=action(ONCE)), "gbraid"),
        (0, good(gclid=None, wbraid="click-0", conversion_action=action(ONCE)), "wbraid"),
    ],
    rules.GCLID_READABLE: [(0, good(gclid="cut off…"), "gclid")],
    rules.GBRAID_READABLE: [(0, good(gclid=None, gbraid="a%20b"), "gbraid")],
    rules.WBRAID_READABLE: [(0, good(gclid=None, wbraid="a b"), "wbraid")],
    rules.CLICK_KNOWN: [(0, good(gclid="CLICK-0"), "gclid"), (0, good(gclid=None, wbraid="nowhere"), "wbraid")],
    rules.CLICK_REACHED: [(0, good(gclid="click-of-a-stranger"), "gclid")],
    rules.CLICK_OF_ACCOUNT: [(0, good(gclid="click-of-another"), "gclid")],
    rules.CONTACT_KNOWN: [(1, contact(user_identifiers=[{"hashed_email": "c" * 64}]), "user_identifiers")],
    rules.AFTER_CLICK: [
        (0, good(gclid="click-later"), "conversion_date_time"),
        (1, contact(conversion_date_time="2026-07-18 07:59:59+00:00"), "conversion_date_time"),
    ],
    rules.CLICK_SETTLED: [(0, good(gclid="click-new"), "conversion_date_time")],
    rules.CLICK_WINDOW: [
        (0, good(gclid="click-old", conversion_action=action(ONCE)), "conversion_date_time"),
        (0, good(gclid="click-ancient"), "conversion_date_time"),
    ],
    rules.CONTACT_WINDOW: [(1, contact(user_identifiers=[{"hashed_email": OLD_SHA}]), "user_identifiers")],
}


@pytest.mark.parametrize(
    ("rule", "row", "body", "field"), [(rule, *each) for rule in ROWS for each in ROWS[rule]], ids=named
)
def test_broken_rule_fails_only_its_row(wire, rule, row, body, field):
    """The error names index and field, the row's result is empty, and all other rows count."""
    answer = wire.upload(body)
    others = [index for index in range(len(body["conversions"])) if index != row]

    assert "OK" == answer.code
    assert {(row, rule.family, rule.answer)} == {each[:3] for each in answer.failed}
    assert all(["conversions", field] == each[3] for each in answer.failed)
    assert others == answer.accepted
    assert len(others) == len(wire.platform.conversions_json())


# ── queries ───────────────────────────────────────────────────────────────────────────────────────

QUESTIONS = {
    rules.GAQL_SELECT: ["", "FROM customer", "SELECT FROM customer", "SELECT customer.id, FROM customer"],
    rules.GAQL_FROM: ["SELECT customer.id", "SELECT customer.id customer", "SELECT customer.id FROM"],
    rules.GAQL_RESOURCE: ["SELECT customer.id FROM campaign", "SELECT customer.id FROM nothing"],
    rules.GAQL_FIELD: [
        "SELECT customer.conversion_tracking_setting.enhanced_conversions_for_leads_enabled FROM customer",
        "SELECT customer.nothing FROM customer",
        "SELECT customer.id.more FROM customer",
    ],
    rules.GAQL_LEAF: ["SELECT customer.conversion_tracking_setting FROM customer"],
    rules.GAQL_RELATED: [
        "SELECT conversion_action.id FROM customer",
        "SELECT metrics.clicks FROM conversion_action",
    ],
    rules.GAQL_END: [
        "SELECT customer.id FROM customer WHERE customer.id = 1",
        "SELECT customer.id FROM customer LIMIT 1",
        "SELECT customer.id FROM customer;",
    ],
}


@pytest.mark.parametrize(
    ("rule", "query"), [(rule, query) for rule in QUESTIONS for query in QUESTIONS[rule]], ids=named
)
def test_broken_rule_refuses_the_query(wire, rule, query):
    """The answer names the rule and has no rows."""
    assert ("INVALID_ARGUMENT", [(rule.family, rule.answer)], []) == wire.ask(query)


# ── scenarios: rules that refuse nothing, or need several calls ───────────────────────────────────

SCENARIOS = {}


def scenario(*tested):
    """Register a test for these rules."""

    def register(test):
        SCENARIOS.update(dict.fromkeys(tested, test))
        return test

    return register


@scenario(rules.FAILING)
def failing(wire):
    """The row counts although the call fails, so a replay finds its order id in use."""
    wire.faults.plant(PlannedFault("google_ads", FaultKind.FAILED_AFTER))
    wire.faults.plant(PlannedFault("google_ads", FaultKind.FAILED_AFTER, status=503))
    first, second, again = (wire.upload(good()) for _ in range(3))

    assert [("INTERNAL", "INTERNAL_ERROR"), ("UNAVAILABLE", "INTERNAL_ERROR")] == [
        (each.code, each.failed[0][2]) for each in (first, second)
    ]
    assert "ORDER_ID_ALREADY_IN_USE" in {code for _, _, code, _ in again.failed}
    assert 1 == sum(line["transaction_id"] == "good-0" for line in wire.platform.conversions_json())


@scenario(rules.NO_DEVELOPER_TOKEN, rules.REQUEST_ID, rules.JOB_ID_GIVEN, rules.CONSENT_UNJUDGED)
def taken(wire):
    """A good upload needs no developer token, and its answer has a request id and a job id."""
    answer = wire.upload(contact(consent={"ad_user_data": 3}))

    assert "OK" == answer.code
    assert [0, 1] == answer.accepted
    assert answer.request_id
    assert answer.response.job_id >= 2**31
    assert 7 == wire.upload(good(order_id="good-7"), job_id=7).response.job_id


@scenario(rules.ALLOWLISTED)
def closed(wire):
    """Without allowlisting no row is judged, validating or not."""
    wire.platform.set_switch("ads_api_allowlisted", value=False)
    answers = [wire.upload({**GOOD, "validate_only": validate}) for validate in (True, False)]

    for answer in answers:
        assert "PERMISSION_DENIED" == answer.code
        assert [(None, rules.ALLOWLISTED.family, rules.ALLOWLISTED.answer, [])] == answer.failed
    assert [] == wire.platform.conversions_json()


@scenario(rules.QUOTA_DETAILS)
def exhausted(wire):
    """A planted 429 carries the retry delay in its quota error details."""
    wire.faults.plant(PlannedFault("google_ads", FaultKind.STATUS, status=429, retry_after=90))
    answer = wire.upload(GOOD)

    assert "RESOURCE_EXHAUSTED" == answer.code
    assert ("quota_error", "RESOURCE_TEMPORARILY_EXHAUSTED") == answer.failed[0][1:3]
    assert 90 == answer.failure.errors[0].details.quota_error_details.retry_delay.seconds


@scenario(rules.VALIDATE_ONLY)
def validated(wire):
    """Errors come back by row, but no results, and the call leaves no traces."""
    answer = wire.upload({**good(gclid="nowhere"), "validate_only": True})

    assert [0] == [each[0] for each in answer.failed]
    assert [] == list(answer.response.results)
    assert [] == wire.platform.conversions_json()
    assert [] == wire.platform.state()["refused"]


@scenario(rules.ROW_BY_ROW)
def row_by_row(wire):
    """A failed row's result is empty, or echoes its identifiers by switch."""
    empty = wire.upload(good(gclid="nowhere", user_identifiers=HASHES)).response.results[0]
    wire.platform.set_switch("ads_api_echo", value=True)
    echoed = wire.upload(good(gclid="nowhere", user_identifiers=HASHES)).response.results[0]

    assert 0 == empty.ByteSize()
    assert ("nowhere", SHA, "") == (echoed.gclid, echoed.user_identifiers[0].hashed_email, echoed.conversion_action)


@scenario(rules.ENHANCED_ON, rules.TERMS_ACCEPTED, rules.POLICY)
def enhanced(wire):
    """Contact data require the account's enhanced conversions settings; click ids do not."""
    for position, rule in (
        ("off", rules.ENHANCED_ON),
        ("terms_not_accepted", rules.TERMS_ACCEPTED),
        ("prohibited", rules.POLICY),
    ):
        wire.platform.set_switch("ads_api_enhanced", position)
        answer = wire.upload({**GOOD, "validate_only": True})

        assert [(1, rule.family, rule.answer, ["conversions", "user_identifiers"])] == answer.failed


@scenario(rules.ORDER_ID_NEW)
def repeated(wire):
    """An order id stays in use, whatever else changes, but only for its action."""
    wire.upload(GOOD)
    answer = wire.upload(good(gclid="click-1", conversion_value=1))
    elsewhere = wire.upload(good(conversion_action=action(ONCE)))

    assert {(0, "ORDER_ID_ALREADY_IN_USE"), (1, "ORDER_ID_ALREADY_IN_USE")} == {
        (row, code) for row, _, code, _ in answer.failed
    }
    assert [0] == elsewhere.accepted


@scenario(rules.CLICK_NEW)
def again(wire):
    """Click and second deduplicate without an order id; with one, only by switch."""
    bare, named = good(order_id=None), good(order_id="good-9")
    wire.upload(bare)

    assert [(0, "CLICK_CONVERSION_ALREADY_EXISTS")] == [each[:3:2] for each in wire.upload(bare).failed[:1]]
    assert [0] == wire.upload(named).accepted
    wire.platform.set_switch("ads_api_click_dedup", "always")
    named["conversions"][0]["order_id"] = "good-10"
    assert [(0, "CLICK_CONVERSION_ALREADY_EXISTS")] == [each[:3:2] for each in wire.upload(named).failed[:1]]


@scenario(rules.GAQL_SELECTED)
def selected(wire):
    """Rows hold only the selected fields."""
    text = """
        select conversion_action.id, conversion_action.type, conversion_action.status, customer.currency_code
        from conversion_action
    """
    _, _, rows = wire.ask(text)
    row = next(each for each in rows if each.conversion_action.id == 987654399)
    found = row.conversion_action

    assert len(ACCOUNTS[CUSTOMER].actions) == len(rows)
    assert ("EUR", "") == (row.customer.currency_code, found.name)
    assert action("987654399") == found.resource_name
    assert "WEBPAGE" == found.DESCRIPTOR.fields_by_name["type_"].enum_type.values_by_number[found.type_].name


@scenario(rules.GOALS)
def goals(wire):
    """Each category has one goal, biddable unless the account changes it, and the actions' metric follows."""

    def biddable_goals():
        _, _, rows = wire.ask(
            """
            SELECT customer_conversion_goal.category, customer_conversion_goal.origin, customer_conversion_goal.biddable
            FROM customer_conversion_goal
            """
        )
        found = [row.customer_conversion_goal for row in rows]
        named = {each.resource_name.rpartition("/")[2]: each.biddable for each in found}
        assert len(named) == len(found)
        assert {2} == {each.origin for each in found}
        return named

    def counted():
        _, _, rows = wire.ask(
            """
            SELECT conversion_action.primary_for_goal, conversion_action.include_in_conversions_metric
            FROM conversion_action
            """
        )
        (one,) = (row.conversion_action for row in rows if row.conversion_action.resource_name == action(SALE))
        return one.primary_for_goal, one.include_in_conversions_metric

    assert biddable_goals()["QUALIFIED_LEAD~WEBSITE"]
    assert (True, True) == counted()

    shy = replace(ACCOUNTS[CUSTOMER], no_default_goals=frozenset({"QUALIFIED_LEAD"}))
    wire.google.accounts = {**ACCOUNTS, CUSTOMER: shy}

    assert not biddable_goals()["QUALIFIED_LEAD~WEBSITE"]
    assert (True, False) == counted()


@scenario(rules.SUMMARIES)
def summarised(wire):
    """Uploads are summarised by day and by job, and today's errors appear as alerts."""
    wire.upload(GOOD, job_id=1)
    wire.now += timedelta(days=1)
    wire.upload(good(gclid="nowhere", order_id="lost"), job_id=2)
    _, _, rows = wire.ask(
        """
        SELECT offline_conversion_upload_client_summary.total_event_count,
          offline_conversion_upload_client_summary.success_rate,
          offline_conversion_upload_client_summary.status,
          offline_conversion_upload_client_summary.last_upload_date_time,
          offline_conversion_upload_client_summary.daily_summaries,
          offline_conversion_upload_client_summary.job_summaries,
          offline_conversion_upload_client_summary.alerts
        FROM offline_conversion_upload_client_summary
        """
    )
    summary = rows[0].offline_conversion_upload_client_summary
    _, _, rows = wire.ask(
        """
        SELECT offline_conversion_upload_conversion_action_summary.conversion_action_name,
          offline_conversion_upload_conversion_action_summary.successful_event_count
        FROM offline_conversion_upload_conversion_action_summary
        """
    )
    sale = rows[0].offline_conversion_upload_conversion_action_summary

    assert (4, 0.5, "2026-07-21 14:00:00") == (
        summary.total_event_count,
        summary.success_rate,
        summary.last_upload_date_time,
    )
    assert [("2026-07-20", 2, 0), ("2026-07-21", 0, 2)] == [
        (each.upload_date, each.successful_count, each.failed_count) for each in summary.daily_summaries
    ]
    assert [1, 2] == [each.job_id for each in summary.job_summaries]
    assert {45, 15} == {each.error.conversion_upload_error for each in summary.alerts}
    assert [("Vente signée", 2)] == [(sale.conversion_action_name, sale.successful_event_count)]
    assert (
        "NEEDS_ATTENTION" == summary.DESCRIPTOR.fields_by_name["status"].enum_type.values_by_number[summary.status].name
    )
    assert 1 == len(rows)


@scenario(rules.SUMMARY_LOST)
def lost_afterwards(wire):
    """One conversion is answered as taken, fails afterwards, and is in no book."""
    wire.platform.set_switch("ads_api_lost", value=1)
    wire.upload(GOOD)
    _, _, rows = wire.ask(
        """
        SELECT offline_conversion_upload_conversion_action_summary.daily_summaries
        FROM offline_conversion_upload_conversion_action_summary
        """
    )
    (day,) = rows[0].offline_conversion_upload_conversion_action_summary.daily_summaries

    assert (1, 1) == (day.successful_count, day.failed_count)
    assert 1 == len(wire.platform.state()["book"])


@pytest.mark.parametrize("rule", SCENARIOS, ids=named)
def test_rule_scenario(wire, rule):
    """These rules refuse nothing, or need more than one call."""
    SCENARIOS[rule](wire)


# ── the registry of rules ─────────────────────────────────────────────────────────────────────────


def test_every_rule_is_tested_once():
    """No rule is missing from the tables or in two of them."""
    tested = [*REFUSED, *ROWS, *QUESTIONS, *SCENARIOS]

    assert sorted(rule.rule for rule in rules) == sorted(rule.rule for rule in tested)


def test_every_rule_cites_a_page_or_is_assumed():
    """An assumed rule is marked so in both source and evidence."""
    for rule in rules:
        assert rule.source.startswith("https://") or (rule.source, rule.evidence) == ("assumed", "assumed")
