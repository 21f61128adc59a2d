"""Every adjustment rule of the sandbox's Google Ads API, broken by hand-written messages over a raw channel."""

import copy
import json
import math
from datetime import UTC, datetime, timedelta

import pytest
from google.ads.googleads.v26.errors.types import errors
from google.ads.googleads.v26.services.types import conversion_adjustment_upload_service as service

from connectors.sandbox.google.ads_api.server import GoogleAdsServer, SandboxGoogleAdsApi
from connectors.sandbox.google.platform import (
    AcceptedGoogleEvent,
    GoogleAccount,
    GoogleConversionAction,
    SandboxGoogleState,
)
from connectors.sandbox.platform import FaultKind, Faults, PlannedFault
from connectors.sandbox.rules import adjustment_rules, ads_api_rules

NOON = datetime(2026, 7, 20, 12, tzinfo=UTC)
PATH = "/google.ads.googleads.v26.services.ConversionAdjustmentUploadService/UploadConversionAdjustments"
ADWORDS = "https://www.googleapis.com/auth/adwords"
CUSTOMER, MANAGER, OTHER = "1234567890", "1112223333", "2223334444"
SALE, YOUNG, PAUSED, FIXED, WEB, CALLS = "11", "12", "13", "14", "15", "16"
ACCOUNTS = {
    CUSTOMER: GoogleAccount(
        managers=frozenset({MANAGER}),
        actions={
            SALE: GoogleConversionAction(),
            YOUNG: GoogleConversionAction(created_at=NOON - timedelta(hours=5, minutes=59)),
            PAUSED: GoogleConversionAction(status="HIDDEN"),
            FIXED: GoogleConversionAction(always_default_value=True),
            WEB: GoogleConversionAction(kind="WEBPAGE"),
            CALLS: GoogleConversionAction(kind="UPLOAD_CALLS"),
        },
    ),
    OTHER: GoogleAccount(managers=frozenset({MANAGER}), actions={"21": GoogleConversionAction()}),
}
METADATA = {"authorization": "Bearer good", "login-customer-id": MANAGER}
UNSPECIFIED, UNKNOWN, RETRACTION, RESTATEMENT, ENHANCEMENT = 0, 1, 2, 3, 4
SHA = "a" * 64
PAIR = {"gclid": "click-9", "conversion_date_time": "2026-07-10 11:00:00+02:00"}
RETRACTED = {
    "order_id": "sale-0",
    "conversion_action": f"customers/{CUSTOMER}/conversionActions/{SALE}",
    "adjustment_date_time": "2026-07-15 10:00:00+02:00",
    "adjustment_type": RETRACTION,
}
RESTATED = RETRACTED | {
    "order_id": "sale-1",
    "adjustment_type": RESTATEMENT,
    "restatement_value": {"adjusted_value": 750.5, "currency_code": "EUR"},
}
GOOD = {"customer_id": CUSTOMER, "partial_failure": True, "conversion_adjustments": [RETRACTED, RESTATED]}


def counted(name, **change):
    """A conversion of the 10th of July that the book holds."""
    fields = {
        "customer": CUSTOMER,
        "action": SALE,
        "transaction_id": name,
        "event_time": "2026-07-10T09:00:00+00:00",
        "value": 900.0,
        "currency": "EUR",
        "click_kind": "gclid",
        "matched": True,
        "digest": "",
        "request": "first",
        "at": "2026-07-10T10:00:00+00:00",
        "api": "google_ads",
    }
    return AcceptedGoogleEvent(**{**fields, **change})


BOOK = (
    counted("sale-0"),
    counted("sale-1"),
    counted("by-gbraid", click_kind="gbraid"),
    counted("by-wbraid", click_kind="wbraid"),
    counted("by-contact", click_kind="contact"),
    counted("of-53-days", event_time="2026-05-27T12:00:00+00:00"),
    counted("of-54-days", event_time="2026-05-27T11:59:59+00:00"),
    counted("by-data-manager", api="data_manager"),
    counted("", key="click-9 2026-07-10T09:00:00+00:00", click="click-9"),
    counted("", click_kind="gbraid", key="click-8 2026-07-10T09:00:00+00:00", click="click-8"),
    counted("of-default", action=FIXED),
)


class Answer:
    """A parsed answer: `failed` are (row or None, family, code, fields) for each error."""

    def __init__(self, reply):
        self.code = reply.code
        self.raw = reply.messages[0] if reply.messages else b""
        self.response = service.UploadConversionAdjustmentsResponse.pb().FromString(self.raw)
        failure = reply.failure
        for packed in self.response.partial_failure_error.details:
            failure = packed.value
        self.failed = [_parsed_error(each) for each in errors.GoogleAdsFailure.pb().FromString(failure or b"").errors]

    @property
    def done(self):
        """The rows that have a result."""
        return [index for index, each in enumerate(self.response.results) if each.conversion_action]


def _parsed_error(error):
    family = error.error_code.WhichOneof("error_code")
    number = getattr(error.error_code, family)
    known = error.error_code.DESCRIPTOR.fields_by_name[family].enum_type.values_by_number.get(number)
    path = error.location.field_path_elements
    is_row = path and path[0].field_name == "conversion_adjustments" and path[0].HasField("index")
    fields = ".".join(each.field_name for each in (path[1:] if is_row else path))
    return path[0].index if is_row else None, family, known.name if known else number, fields


class Wire:
    """A fresh platform that has counted some conversions, behind a channel, with a clock of its own."""

    def __init__(self, call, server):
        self.call = call
        self.now = NOON
        self.faults = server.faults
        self._server = server
        self.start_anew()
        for event in BOOK:
            self.google.book.accept(event)
        self.before = self.book()

    def start_anew(self):
        """Put a platform that has counted nothing behind the channel."""
        self.google = SandboxGoogleState(ACCOUNTS)
        self.platform = SandboxGoogleAdsApi(lambda: self.now, lambda _: frozenset({ADWORDS}), self.google)
        self._server.handler = self.platform.handle

    def adjust(self, body, metadata=METADATA):
        """Send one request."""
        kind = service.UploadConversionAdjustmentsRequest.pb()
        raw = body if isinstance(body, bytes) else kind(**body).SerializeToString()
        return Answer(self.call(PATH, raw, metadata.items()))

    def reply(self, body):
        """Send one request, and return its response with undecoded details."""
        raw = service.UploadConversionAdjustmentsRequest.pb()(**body).SerializeToString()
        reply = self.call(PATH, raw, METADATA.items())
        return service.UploadConversionAdjustmentsResponse.pb().FromString(reply.messages[0])

    def only(self, row):
        """Send one row, and return its errors as (code, field), empty where it was accepted."""
        return [(code, field) for _, _, code, field in self.adjust(request(row)).failed]

    def book(self):
        """Count, value, currency and restatements of each conversion, by key."""
        return {
            line["transaction_id"]: (line["count"], line["value"], line["currency"], line["restatements"])
            for line in self.platform.conversions_json()
            if line["transaction_id"]
        }


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


def request(*rows):
    """A request of these rows."""
    return {**GOOD, "conversion_adjustments": list(rows)}


def changed(row, **change):
    """A row with some fields changed; None takes one away."""
    row = copy.deepcopy(row) | change
    return {name: value for name, value in row.items() if value is not None}


def retract(**change):
    """The good retraction, changed."""
    return changed(RETRACTED, **change)


def restate(value=750.5, **change):
    """The good restatement, changed."""
    return changed(RESTATED, **({"restatement_value": {"adjusted_value": value}} | change))


def action(number):
    """An action's resource name."""
    return f"customers/{CUSTOMER}/conversionActions/{number}"


def named(each):
    """Use a rule's sentence as its parametrize id."""
    return getattr(each, "rule", "")


# ── calls that fail as a whole ────────────────────────────────────────────────────────────────────

REFUSED = {
    ads_api_rules.TOKEN_SENT: [({"metadata": {"login-customer-id": MANAGER}}, GOOD)],
    ads_api_rules.ACCESS: [({"metadata": METADATA | {"login-customer-id": "9990001111"}}, GOOD)],
    ads_api_rules.READABLE: [({}, b"\xff"), ({}, b"\xa0\x06\x01")],
    adjustment_rules.PARTIAL_FAILURE: [({}, {**GOOD, "partial_failure": False})],
    adjustment_rules.SOME_ROWS: [({}, request())],
    adjustment_rules.MAX_ROWS: [({}, request(*[RETRACTED] * 2001))],
    adjustment_rules.JOB_ID: [({}, {**GOOD, "job_id": 0}), ({}, {**GOOD, "job_id": -1})],
}


@pytest.mark.parametrize(
    ("rule", "call", "body"), [(rule, *each) for rule in REFUSED for each in REFUSED[rule]], ids=named
)
def test_broken_rule_refuses_the_call(wire, rule, call, body):
    """The answer has the rule's status and error, and nothing is adjusted."""
    answer = wire.adjust(body, **call)

    assert rule.status == answer.code
    assert ([(rule.family, rule.answer)] if rule.family else []) == [each[1:3] for each in answer.failed]
    assert wire.before == wire.book()


# ── rows that fail ────────────────────────────────────────────────────────────────────────────────

KEY, TIME, VALUE = "order_id", "adjustment_date_time", "restatement_value"
ROWS = {
    adjustment_rules.TYPE_SENT: [(retract(adjustment_type=UNSPECIFIED), "adjustment_type")],
    adjustment_rules.TYPE_KNOWN: [
        (retract(adjustment_type=UNKNOWN), "adjustment_type"),
        (retract(adjustment_type=9), "adjustment_type"),
    ],
    adjustment_rules.ONE_KEY: [
        (retract(gclid_date_time_pair=PAIR), KEY),
        (restate(gclid_date_time_pair=PAIR), KEY),
    ],
    adjustment_rules.SOME_KEY: [(retract(order_id=None), KEY), (retract(order_id=""), KEY)],
    adjustment_rules.PAIR_WHOLE: [
        (
            retract(order_id=None, gclid_date_time_pair={"gclid": "click-9"}),
            "gclid_date_time_pair.conversion_date_time",
        ),
        (
            retract(order_id=None, gclid_date_time_pair={"conversion_date_time": PAIR["conversion_date_time"]}),
            "gclid_date_time_pair.gclid",
        ),
    ],
    adjustment_rules.PAIR_TIME: [
        (
            retract(order_id=None, gclid_date_time_pair=PAIR | {"conversion_date_time": "2026-07-10T09:00:00Z"}),
            "gclid_date_time_pair.conversion_date_time",
        )
    ],
    adjustment_rules.ORDER_ID_LENGTH: [(retract(order_id="x" * 65), KEY)],
    adjustment_rules.ORDER_ID_PERSONAL: [
        (retract(order_id="jean@example.org"), KEY),
        (retract(order_id="+33199001234"), KEY),
    ],
    adjustment_rules.ACTION_SENT: [(retract(conversion_action=None), "conversion_action")],
    adjustment_rules.ACTION_NAME: [(retract(conversion_action=SALE), "conversion_action")],
    adjustment_rules.TIME_SENT: [(retract(adjustment_date_time=None), TIME)],
    adjustment_rules.TIME_FORMAT: [
        (retract(adjustment_date_time=text), TIME)
        for text in ("2026-07-15 10:00:00", "2026-07-15T10:00:00+02:00", "2026-07-15 10:00:00.5+02:00", "yesterday")
    ],
    adjustment_rules.TIME_EXISTS: [
        (retract(adjustment_date_time="2026-06-31 10:00:00+02:00"), TIME),
        (
            retract(order_id=None, gclid_date_time_pair=PAIR | {"conversion_date_time": "2026-02-30 11:00:00+02:00"}),
            "gclid_date_time_pair.conversion_date_time",
        ),
    ],
    adjustment_rules.NOT_IN_FUTURE: [(retract(adjustment_date_time="2026-07-20 12:05:01+00:00"), TIME)],
    adjustment_rules.VALUE_SENT: [
        (restate(restatement_value=None), VALUE),
        (restate(restatement_value={"currency_code": "EUR"}), f"{VALUE}.adjusted_value"),
    ],
    adjustment_rules.NO_VALUE: [
        (retract(restatement_value={"adjusted_value": 0}), VALUE),
        (retract(restatement_value={}), VALUE),
    ],
    adjustment_rules.VALUE_SHAPE: [
        (restate(-1), f"{VALUE}.adjusted_value"),
        (restate(math.nan), f"{VALUE}.adjusted_value"),
    ],
    adjustment_rules.CURRENCY: [
        (restate(restatement_value={"adjusted_value": 1, "currency_code": "eur"}), f"{VALUE}.currency_code")
    ],
    adjustment_rules.NO_CONTACT: [
        (restate(user_identifiers=[{"hashed_email": SHA}]), "user_identifiers"),
        (retract(user_agent="Mozilla/5.0"), "user_agent"),
    ],
    adjustment_rules.MAX_IDENTIFIERS: [
        (
            retract(adjustment_type=ENHANCEMENT, user_identifiers=[{"hashed_email": SHA}] * 6),
            "user_identifiers",
        )
    ],
    adjustment_rules.ACTION_KNOWN: [
        (retract(conversion_action=action("99")), "conversion_action"),
        (retract(conversion_action=action("21")), "conversion_action"),
        (retract(conversion_action=action(PAUSED)), "conversion_action"),
    ],
    adjustment_rules.ACTION_TYPE: [
        (retract(conversion_action=action(CALLS)), "conversion_action"),
        (retract(adjustment_type=ENHANCEMENT), "conversion_action"),
        (retract(adjustment_type=ENHANCEMENT, gclid_date_time_pair=PAIR), "conversion_action"),
        (retract(adjustment_type=ENHANCEMENT, adjustment_date_time=None), "conversion_action"),
    ],
    adjustment_rules.ACTION_AGE: [(retract(conversion_action=action(YOUNG)), "conversion_action")],
    adjustment_rules.OWN_VALUE: [
        (restate(order_id="of-default", conversion_action=action(FIXED)), "conversion_action")
    ],
    adjustment_rules.WEBPAGE_ORDER_ID: [
        (retract(conversion_action=action(WEB), order_id=None, gclid_date_time_pair=PAIR), "order_id")
    ],
    adjustment_rules.CONVERSION_KNOWN: [
        (retract(order_id="unheard-of"), KEY),
        (retract(order_id="of-default"), KEY),
        (retract(order_id="click-9 2026-07-10T09:00:00+00:00"), KEY),
        (retract(conversion_action=action(WEB)), KEY),
        (retract(order_id=None, gclid_date_time_pair=PAIR | {"gclid": "CLICK-9"}), "gclid_date_time_pair"),
        (retract(order_id=None, gclid_date_time_pair=PAIR | {"gclid": "click-8"}), "gclid_date_time_pair"),
        (
            retract(order_id=None, gclid_date_time_pair=PAIR | {"conversion_date_time": "2026-07-10 11:00:01+02:00"}),
            "gclid_date_time_pair",
        ),
    ],
    adjustment_rules.NO_WBRAID: [(retract(order_id="by-wbraid"), KEY), (restate(order_id="by-wbraid"), KEY)],
    adjustment_rules.NOT_EXPIRED: [
        (retract(order_id="of-54-days"), KEY),
        (restate(order_id="of-54-days"), KEY),
    ],
    adjustment_rules.AFTER_CONVERSION: [
        (retract(adjustment_date_time="2026-07-10 08:59:59+00:00"), TIME),
        (restate(adjustment_date_time="2026-07-10 11:00:00+02:00"), TIME),
    ],
}


@pytest.mark.parametrize(("rule", "row", "field"), [(rule, *each) for rule in ROWS for each in ROWS[rule]], ids=named)
def test_broken_rule_fails_only_its_row(wire, rule, row, field):
    """The error names index and field, the row's result is empty, and the other row is adjusted."""
    answer = wire.adjust(request(row, restate(700, order_id="by-contact")))

    assert "OK" == answer.code
    assert [(0, rule.family, rule.answer, field)] == answer.failed
    assert [1] == answer.done
    assert wire.before | {"by-contact": (1, 700.0, "EUR", 1)} == wire.book()


# ── scenarios: rules that refuse nothing, or need several calls ───────────────────────────────────

SCENARIOS = {}


def scenario(*tested):
    """Register a test for these rules."""

    def register(test):
        SCENARIOS.update(dict.fromkeys(tested, test))
        return test

    return register


@scenario(adjustment_rules.ROW_BY_ROW)
def taken(wire):
    """A retraction removes count and value, a restatement changes only the value, and results name both."""
    answer = wire.adjust({**GOOD, "job_id": 7})

    assert ("OK", [], [0, 1], 7) == (answer.code, answer.failed, answer.done, answer.response.job_id)
    assert wire.before | {"sale-0": (0, 0.0, "EUR", 0), "sale-1": (1, 750.5, "EUR", 1)} == wire.book()
    assert [("sale-0", RETRACTION), ("sale-1", RESTATEMENT)] == [
        (each.order_id, each.adjustment_type) for each in answer.response.results
    ]
    assert {"adjust": 1, "adjustments": 2} == wire.platform.state()["requests"]


@scenario(adjustment_rules.ALLOWLISTED)
def closed(wire):
    """Without allowlisting no row is judged; uploads of conversions have a switch of their own."""
    wire.platform.set_switch("ads_api_allowlisted", value=False)
    opened = wire.adjust({**GOOD, "validate_only": True})
    wire.platform.set_switch("adjustments_allowlisted", value=False)
    answer = wire.adjust({**GOOD, "validate_only": True})

    assert ("OK", []) == (opened.code, opened.failed)
    assert "PERMISSION_DENIED" == answer.code
    assert [(None, adjustment_rules.ALLOWLISTED.family, adjustment_rules.ALLOWLISTED.answer, "")] == answer.failed


@scenario(adjustment_rules.VALIDATE_ONLY)
def validated(wire):
    """Errors come back by row, but no results, and the call leaves no traces."""
    answer = wire.adjust({**request(RESTATED, retract(order_id="unheard-of")), "validate_only": True})

    assert [(1, "CONVERSION_NOT_FOUND")] == [each[:3:2] for each in answer.failed]
    assert [] == list(answer.response.results)
    assert wire.before == wire.book()
    assert [] == wire.platform.state()["refused"]


@scenario(adjustment_rules.ANSWER_LOST)
def unreadable(wire):
    """The conversions are adjusted although the answer is lost, as a replay shows."""
    wire.platform.set_switch("adjustments_unknown", "unreadable")
    failure = wire.reply(request(RETRACTED)).partial_failure_error
    wire.platform.set_switch("adjustments_unknown", "internal")
    lost = wire.adjust(request(RESTATED))
    wire.platform.set_switch("adjustments_unknown", "never")

    assert (13, b"\xff") == (failure.code, failure.details[0].value)
    assert ("INTERNAL", []) == (lost.code, lost.failed)
    assert wire.before | {"sale-0": (0, 0.0, "EUR", 0), "sale-1": (1, 750.5, "EUR", 1)} == wire.book()
    assert [(0, "CONVERSION_ALREADY_RETRACTED"), (1, "RESTATEMENT_ALREADY_EXISTS")] == [
        each[:3:2] for each in wire.adjust(GOOD).failed
    ]


@scenario(adjustment_rules.ONCE)
def doubled(wire):
    """The later of two equal adjustments is refused, or both; other conversions are not affected."""
    rows = (restate(700), restate(800), restate(700, order_id="sale-0"))
    later = wire.adjust({**request(*rows), "validate_only": True})
    wire.platform.set_switch("ads_api_duplicates", "all")
    both = wire.adjust(request(*rows))

    assert [(1, adjustment_rules.ONCE.family, adjustment_rules.ONCE.answer, TIME)] == later.failed
    assert [0, 1] == [each[0] for each in both.failed]
    assert wire.before | {"sale-0": (1, 700.0, "EUR", 1)} == wire.book()


@scenario(adjustment_rules.IN_ORDER)
def one_after_another(wire):
    """Each row is judged by the state that the rows before it have left."""
    later = {"adjustment_date_time": "2026-07-16 10:00:00+02:00"}
    answer = wire.adjust(
        request(restate(700), restate(800, **later), retract(**later), retract(adjustment_date_time=NOON_TEXT))
    )

    assert [(3, "CONVERSION_ALREADY_RETRACTED")] == [each[:3:2] for each in answer.failed]
    assert (1, 800.0, "EUR", 2) == wire.book()["sale-1"]


NOON_TEXT = "2026-07-20 12:00:00+00:00"


@scenario(adjustment_rules.NOT_RETRACTED)
def final(wire):
    """A retracted conversion is neither retracted nor restated again, at whatever time."""
    wire.adjust(request(RETRACTED))

    for row in (RETRACTED, retract(adjustment_date_time=NOON_TEXT), restate(order_id="sale-0")):
        assert [("CONVERSION_ALREADY_RETRACTED", KEY)] == wire.only(row)
    assert (0, 0.0, "EUR", 0) == wire.book()["sale-0"]


@scenario(adjustment_rules.LATEST, adjustment_rules.NEW_TIME)
def ordered(wire):
    """An older correction is refused, one of the same time is a duplicate, and a newer one counts."""
    wire.adjust(request(RESTATED))

    assert [("RESTATEMENT_ALREADY_EXISTS", TIME)] == wire.only(restate(1))
    assert [("MORE_RECENT_RESTATEMENT_FOUND", TIME)] == wire.only(
        restate(1, adjustment_date_time="2026-07-15 07:59:59+00:00")
    )
    assert [("MORE_RECENT_RESTATEMENT_FOUND", TIME)] == wire.only(
        retract(order_id="sale-1", adjustment_date_time="2026-07-15 07:59:59+00:00")
    )
    assert (1, 750.5, "EUR", 1) == wire.book()["sale-1"]
    assert [] == wire.only(restate(1, adjustment_date_time="2026-07-15 08:00:01+00:00"))
    assert (1, 1.0, "EUR", 2) == wire.book()["sale-1"]
    assert [] == wire.only(retract(order_id="sale-1", adjustment_date_time="2026-07-15 08:00:01+00:00"))


@scenario(adjustment_rules.ACROSS_APIS)
def across(wire):
    """A switch decides whether conversions of the Data Manager are found by their transaction id."""
    wire.platform.set_switch("cross_api_adjustments", value=False)
    lost = wire.only(retract(order_id="by-data-manager"))
    wire.platform.set_switch("cross_api_adjustments", value=True)
    found = wire.only(retract(order_id="by-data-manager"))

    assert [("CONVERSION_NOT_FOUND", KEY)] == lost
    assert [] == found
    assert wire.before | {"by-data-manager": (0, 0.0, "EUR", 0)} == wire.book()


@scenario(adjustment_rules.ZERO_IS_FINAL)
def at_zero(wire):
    """Later adjustments are answered with success but ignored, unless the switch is off."""
    wire.adjust(request(restate(0)))
    later = {"order_id": "sale-1", "adjustment_date_time": "2026-07-16 10:00:00+02:00"}
    first = [wire.only(restate(900, **later)), wire.only(retract(**later)), wire.book()["sale-1"]]
    ignored = next(line["ignored"] for line in wire.platform.conversions_json() if line["transaction_id"] == "sale-1")
    wire.google.book.zero_is_final = False

    assert [[], [], (1, 0.0, "EUR", 1)] == first
    assert 2 == ignored
    assert [] == wire.only(restate(900, **later))
    assert (1, 900.0, "EUR", 2) == wire.book()["sale-1"]


@scenario(adjustment_rules.NO_WAIT)
def at_once(wire):
    """An adjustment is accepted one second after its conversion."""
    wire.now = datetime(2026, 7, 10, 9, 0, 1, tzinfo=UTC)

    assert [] == wire.only(restate(adjustment_date_time="2026-07-10 09:00:01+00:00"))


@pytest.mark.parametrize("rule", SCENARIOS, ids=named)
def test_rule_scenario(wire, rule):
    """These rules refuse nothing, or need more than one call."""
    SCENARIOS[rule](wire)


# ── accepted adjustments ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", ["sale-0", "by-gbraid", "by-contact", "of-53-days"])
def test_order_id_finds_a_conversion_however_it_was_matched(wire, key):
    """The conversion came by gclid, gbraid or contact data, and is at most 54 days old."""
    assert [] == wire.only(retract(order_id=key))
    assert (0, 0.0, "EUR", 0) == wire.book()[key]


def test_click_and_time_find_a_conversion_without_order_id(wire):
    """The time may be in another zone."""
    pair = PAIR | {"conversion_date_time": "2026-07-10 09:00:00+00:00"}

    assert [] == wire.only(retract(order_id=None, gclid_date_time_pair=pair))
    assert [True] == [line["retracted"] for line in wire.platform.conversions_json() if not line["count"]]


def test_action_with_default_values_accepts_retractions(wire):
    """Only its value cannot be restated."""
    assert [] == wire.only(retract(order_id="of-default", conversion_action=action(FIXED)))


def test_restatement_without_currency_uses_the_account_currency(wire):
    """The library documents this for accounts whose actions have no currency."""
    wire.only(restate(5, restatement_value={"adjusted_value": 5}))

    assert (1, 5.0, "EUR", 1) == wire.book()["sale-1"]


# ── faults, rulings, state ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "code", "is_taken"),
    [
        (FaultKind.CUT_AFTER, "UNAVAILABLE", True),
        (FaultKind.TRUNCATED, "INTERNAL", True),
        (FaultKind.CUT_BEFORE, "UNAVAILABLE", False),
        (FaultKind.HTML, "UNKNOWN", False),
        (FaultKind.HANG, "UNAVAILABLE", False),
    ],
)
def test_planted_faults_apply_to_adjustments(wire, kind, code, is_taken):
    """The adjustment is made where the fault only affects the answer."""
    wire.faults.plant(PlannedFault("google_ads", kind, path=PATH, seconds=0.05))
    answer = wire.adjust(request(RETRACTED))

    assert (code, []) == (answer.code, answer.failed)
    assert is_taken == (wire.before != wire.book())


def test_throttled_adjustment_gets_a_quota_error(wire):
    """A planted 429 carries a quota failure, and nothing is adjusted."""
    wire.faults.plant(PlannedFault("google_ads", FaultKind.STATUS, status=429, retry_after=90))
    answer = wire.adjust(GOOD)

    assert ("RESOURCE_EXHAUSTED", "RESOURCE_TEMPORARILY_EXHAUSTED") == (answer.code, answer.failed[0][2])
    assert wire.before == wire.book()


def test_adjustments_meet_only_rulings_planted_for_them(wire):
    """The planted errors may be of any family and number."""
    wire.platform.plant_event_rulings(
        {"sale-0": [{"when": "adjust", "reason": "TOO_MANY_ADJUSTMENTS"}, {"when": "submit", "reason": "UNKNOWN"}]}
    )
    wire.platform.plant_event_rulings({"sale-1": {"when": "adjust", "family": "date_error", "number": 99}})
    wire.platform.plant_event_rulings({"by-contact": {"reason": "CLICK_NOT_FOUND"}})
    answer = wire.adjust(request(RETRACTED, RESTATED, retract(order_id="by-contact")))

    assert [
        (0, "conversion_adjustment_upload_error", "TOO_MANY_ADJUSTMENTS", ""),
        (1, "date_error", 99, ""),
    ] == answer.failed
    assert [2] == answer.done


def test_ruling_without_index_fails_the_whole_request(wire):
    """The error names no row, and nothing is adjusted."""
    wire.platform.plant_event_rulings({"sale-1": {"when": "adjust", "reason": "UNKNOWN", "index": False}})
    answer = wire.adjust(GOOD)

    assert [(None, "conversion_adjustment_upload_error", "UNKNOWN", "")] == answer.failed
    assert wire.before == wire.book()


def test_state_lists_a_refusal_with_its_field(wire):
    """The sandbox's page shows it."""
    wire.adjust(request(restate(-1)))

    [refused] = wire.platform.state()["refused"]

    assert ("INVALID_VALUE", "restatement_value.adjusted_value", "sale-1") == (
        refused["reason"],
        refused["field"],
        refused["transaction_id"],
    )


def test_book_marks_retracted_and_restated_conversions(wire):
    """A retracted conversion no longer counts, but keeps its first value."""
    wire.adjust(GOOD)
    stand = [(line["retracted"], line["value"], line["first_value"]) for line in wire.platform.conversions_json()]

    assert (True, 0, 900) in [(retracted, value or 0, first) for retracted, value, first in stand]
    assert (False, 750.5, 900) in stand
    assert len(BOOK) - 1 == sum(not retracted for retracted, _, _ in stand)


def test_book_reloads_from_json_and_stays_adjustable(wire):
    """The state file keeps the book as JSON, including adjustments, for a sandbox that starts later."""
    wire.adjust(GOOD)
    before, saved = wire.platform.conversions_json(), json.dumps(wire.google.book.dump())
    wire.start_anew()
    assert [] == wire.platform.conversions_json()
    wire.google.book.load(json.loads(saved))

    assert before == wire.platform.conversions_json()
    assert [("CONVERSION_ALREADY_RETRACTED", KEY)] == wire.only(retract())
    assert [] == wire.only(retract(order_id="by-gbraid"))


# ── the registry of rules ─────────────────────────────────────────────────────────────────────────


def test_every_rule_is_tested_once():
    """No adjustment rule is missing from the tables or in two of them."""
    tested = [rule.rule for rule in (*REFUSED, *ROWS, *SCENARIOS) if rule not in set(ads_api_rules)]

    assert sorted(rule.rule for rule in adjustment_rules) == sorted(tested)


def test_every_rule_cites_a_page_or_is_assumed():
    """An assumed rule is marked so in both source and evidence."""
    for rule in adjustment_rules:
        assert rule.source.startswith("https://") or (rule.source, rule.evidence) == ("assumed", "assumed")
