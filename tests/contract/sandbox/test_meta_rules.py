"""Every rule of the sandbox's Meta, broken by requests written by hand and sent over a socket."""

import copy
import hashlib
import hmac
import http.client
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode, urlsplit

import pytest

from connectors.sandbox.meta import wire as meta_wire
from connectors.sandbox.meta.server import SandboxMetaApi
from connectors.sandbox.meta.wire import APP_SECRETS, TOKENS
from connectors.sandbox.platform import FaultKind, Faults, PlannedFault
from connectors.sandbox.rules import MetaRule
from connectors.sandbox.rules import meta_rules as rules
from connectors.sandbox.server import Server, WireResponse

NOON = datetime(2026, 9, 15, 12, tzinfo=UTC)
SECONDS = int(NOON.timestamp())
DAY = 86_400
DATASET, OTHER = TOKENS
TOKEN = TOKENS[DATASET]
SHA = "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f"
FBC = "fb.1.1789000000123.IwAR3xAmPle_-Click"
LEAD = {
    "event_name": "appointment_set",
    "event_time": SECONDS - 3600,
    "action_source": "system_generated",
    "event_id": "oplead-1",
    "user_data": {"lead_id": 1234567890123456},
    "custom_data": {"event_source": "crm", "lead_event_source": "Oplead"},
}
SALE = {
    "event_name": "Purchase",
    "event_time": SECONDS - 7200,
    "action_source": "system_generated",
    "event_id": "oplead-2",
    "user_data": {"fbc": FBC, "em": [SHA], "ph": SHA},
    "custom_data": {"value": 12500.5, "currency": "EUR", "order_id": "oplead-2"},
}


class Wire:
    """The platform behind a socket, with a clock of its own."""

    def __init__(self, server: Server) -> None:
        self.now = NOON
        self.platform = SandboxMetaApi(lambda: self.now)
        self.faults = server.faults
        server.handler = self.platform.handle
        self.address = urlsplit(server.url).netloc

    def raw(self, line: str, body: object = None, headers: dict | None = None) -> tuple[int, dict, dict]:
        """Status, JSON and headers of one raw call: a dict goes as JSON, text as a form."""
        method, path = line.split(" ", 1)
        kind = "application/x-www-form-urlencoded" if isinstance(body, str) else "application/json"
        text = body if isinstance(body, str) else None if body is None else json.dumps(body)
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            connection.request(method, path, text, {"Content-Type": kind, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), dict(answer.getheaders())
        finally:
            connection.close()

    def call(self, line: str, body: object = None) -> tuple[int, dict]:
        """Status and JSON of one call with the right token."""
        return self.raw(line, body, {"Authorization": f"Bearer {TOKEN}"})[:2]

    def send(self, *events: object, **parameters: object) -> tuple[int, dict]:
        """Status and JSON of one upload of these events."""
        return self.call(f"POST /v26.0/{DATASET}/events", {"data": list(events), **parameters})

    def switch(self, **positions: object) -> None:
        """Set these switches."""
        for name, position in positions.items():
            self.platform.set_switch(name, position)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One server shared by the module."""
    failed = meta_wire.failed_response
    with Server("meta", lambda _: WireResponse(500), Faults(), lambda: NOON, failed=failed) as serving:
        yield serving


@pytest.fixture
def wire(server: Server) -> Wire:
    """A fresh platform behind the shared server."""
    return Wire(server)


def sale(**change: object) -> dict:
    """A good sale with other fields; None takes one away."""
    event = copy.deepcopy({**SALE, **change})
    return {name: value for name, value in event.items() if value is not None}


def user(**data: object) -> dict:
    """Return a sale by this customer."""
    return sale(user_data=data)


def custom(**data: object) -> dict:
    """A sale of this kind; None takes a field away."""
    merged = {**SALE["custom_data"], **data}
    return sale(custom_data={name: value for name, value in merged.items() if value is not None})


def state(answer: tuple[int, dict]) -> tuple[int, int, int]:
    """Status, code and subcode; 0 where there is none."""
    status, body = answer
    error = body.get("error", {})
    return status, error.get("code", 0), error.get("error_subcode", 0)


def field(wire: Wire) -> str:
    """The field of the latest refusal, as the sandbox's state has it."""
    return wire.platform.state()["refused"][-1]["field"]


STORE = {"action_source": "physical_store"}
REFUSED: dict[MetaRule, list[tuple[dict, str]]] = {
    rules.SHAPE: [
        (sale(evnt_id="x"), ""),
        (user(fbc=FBC, email=SHA), "['user_data']"),
        (sale(user_data=[]), "['user_data']"),
        (sale(event_time="1789000000"), "['event_time']"),
        (sale(event_time=1789000000.0), "['event_time']"),
        (sale(event_time=True), "['event_time']"),
        (sale(event_id=7), "['event_id']"),
        (user(fbc=FBC, em=[None]), "['user_data']['em']"),
        (user(fbc=FBC, em=[]), "['user_data']['em']"),
        (custom(value="12 500,00"), "['custom_data']['value']"),
        (custom(lead_event_source=["Oplead"]), "['custom_data']['lead_event_source']"),
        (custom(own_property={"a": 1}), "['custom_data']['own_property']"),
        (custom(contents="sofa"), "['custom_data']['contents']"),
        (custom(contents=["sofa"]), "['custom_data']['contents'][0]"),
        (custom(contents=[{"id": "sofa", "name": "Sofa"}]), "['custom_data']['contents'][0]"),
    ],
    rules.REQUIRED: [
        (sale(**{name: None}), f"['{name}']") for name in ("event_name", "event_time", "action_source", "user_data")
    ]
    + [(sale(event_name=""), "['event_name']")],
    rules.ACTION_SOURCE: [(sale(action_source="crm"), "['action_source']")],
    rules.NOT_PLAYED: [
        (sale(action_source="app"), "['action_source']"),
        (sale(action_source="business_messaging"), "['action_source']"),
    ],
    rules.WEBSITE: [
        (sale(action_source="website"), "['event_source_url']"),
        (
            sale(action_source="website", event_source_url="https://www.example.org/"),
            "['user_data']['client_user_agent']",
        ),
    ],
    rules.TOO_OLD: [
        (sale(event_time=SECONDS - 7 * DAY - 1), "['event_time']"),
        (sale(event_time=0), "['event_time']"),
        (sale(event_time=-1), "['event_time']"),
    ],
    rules.STORE_TOO_OLD: [(sale(event_time=SECONDS - 62 * DAY - 1, **STORE), "['event_time']")],
    rules.FUTURE: [
        (sale(event_time=SECONDS + 1), "['event_time']"),
        (sale(event_time=(SECONDS - 60) * 1000), "['event_time']"),
        (sale(event_time=SECONDS + 1, **STORE), "['event_time']"),
    ],
    rules.LEAD_ID: [
        (user(lead_id=value), "['user_data']['lead_id']")
        for value in ("1234567890123456", "l:1234567890123456", 1.2345678901234568e16, 0, True, 10**14 - 1, 10**17)
    ],
    rules.CLICK_ID: [
        (user(fbc=value), "['user_data']['fbc']")
        for value in (
            "IwAR3xAmPle",
            "fb.1.1789000000.IwAR3xAmPle",
            "fb.3.1789000000123.IwAR3xAmPle",
            "FB.1.1789000000123.IwAR3xAmPle",
            "fb.1.1789000000123.",
            "fb.1.1789000000123.IwAR3 xAmPle",
            "",
            7,
        )
    ],
    rules.BROWSER_ID: [(user(fbc=FBC, fbp="fb.1.1789000000.12"), "['user_data']['fbp']")],
    rules.HASHED: [
        (user(fbc=FBC, em="jeanne@example.org"), "['user_data']['em']"),
        (user(fbc=FBC, ph=[SHA, "33612345678"]), "['user_data']['ph']"),
        (user(fbc=FBC, fn=SHA.upper()), "['user_data']['fn']"),
        (user(fbc=FBC, country="fr"), "['user_data']['country']"),
        (user(fbc=FBC, zp=""), "['user_data']['zp']"),
        (user(fbc=FBC, ln=hashlib.md5(b"durand", usedforsecurity=False).hexdigest()), "['user_data']['ln']"),
    ],
    rules.NOT_HASH_OF_NOTHING: [(user(fbc=FBC, em=[hashlib.sha256(b"").hexdigest()]), "['user_data']['em']")],
    rules.ENOUGH: [
        (user(), "['user_data']"),
        (user(ct=SHA, country=SHA, st=SHA, zp=SHA, ge=SHA, client_user_agent="invented"), "['user_data']"),
        (user(db=SHA, client_user_agent="invented"), "['user_data']"),
        (user(fn=SHA, ge=SHA), "['user_data']"),
        (user(ln=SHA), "['user_data']"),
    ],
    rules.PURCHASE_VALUE: [
        (custom(value=None), "['custom_data']['value']"),
        (sale(custom_data=None), "['custom_data']['value']"),
    ],
    rules.PURCHASE_CURRENCY: [(custom(currency=None), "['custom_data']['currency']")],
    rules.CURRENCY: [(custom(currency=value), "['custom_data']['currency']") for value in ("€", "EURO", "ZZZ", "")],
    rules.VALUE_CURRENCY: [(sale(event_name="Schedule", custom_data={"value": 60}), "['custom_data']['currency']")],
    rules.VALUE: [(custom(value=-1), "['custom_data']['value']")],
    rules.CONTENT_ID: [(custom(contents=[{"quantity": 1}]), "['custom_data']['contents'][0]")],
}


@pytest.mark.parametrize(
    ("rule", "event", "place"),
    [(rule, *case) for rule, cases in REFUSED.items() for case in cases],
    ids=lambda each: each.rule if isinstance(each, MetaRule) else "",
)
def test_broken_event_refuses_the_whole_request(wire, rule, event, place):
    """The answer has code, subcode and field in Meta's envelope, and the valid event does not count either."""
    status, body = wire.send(LEAD, event)

    assert (rule.status, 100, rule.subcode) == state((status, body))
    assert f"$['data'][1]{place}" == field(wire)
    assert "Invalid parameter" == body["error"]["message"]
    assert rule.title == body["error"]["error_user_title"]
    assert {"OAuthException", False} == {body["error"]["type"], body["error"]["is_transient"]}
    assert body["error"]["fbtrace_id"]
    assert ("$['data'][1]" in body["error"]["error_user_msg"]) is (rule.subcode == 2804019)
    assert [] == wire.platform.conversions_json()


GOOD = [
    LEAD,
    SALE,
    sale(event_time=SECONDS),
    sale(event_time=SECONDS - 7 * DAY),
    sale(event_time=SECONDS - 62 * DAY, **STORE),
    sale(event_id=None),
    sale(event_name="Vente signée"),
    user(lead_id=10**14),
    user(lead_id=10**17 - 1),
    user(fbc="fb.0.1789000000123.IwAR3xAmPle.AQIBAQ", fbp="fb.1.1789000000123.1234567890"),
    user(external_id="customer-1"),
    user(fn=SHA, ln=SHA, zp=SHA),
    user(db=SHA, fn=SHA),
    custom(currency="eur", value=0),
    custom(own_property="anything", contents=[{"id": "sofa", "quantity": 1, "item_price": 30}]),
    sale(data_processing_options=["LDU"], data_processing_options_country=0, data_processing_options_state=0),
    sale(
        action_source="website",
        event_source_url="https://www.example.org/",
        user_data={"em": SHA, "client_user_agent": "invented"},
    ),
    *[sale(action_source=source) for source in ("email", "phone_call", "chat", "other")],
]


@pytest.mark.parametrize("event", GOOD)
def test_valid_event_is_counted(wire, event):
    """The events lie at the edges of each rule."""
    status, body = wire.send(event)

    assert (200, 1) == (status, body.get("events_received"))
    assert [1] == [line["accepted"] for line in wire.platform.conversions_json()]


def versions(wire: Wire) -> None:
    """rules.VERSION."""
    answers = [wire.call(f"GET /{version}/{DATASET}") for version in ("v23.0", "v27.0", "v22.0", "v9.0")]

    assert [200, 200] == [status for status, _ in answers[:2]]
    assert [(400, 2635, 0)] * 2 == [state(each) for each in answers[2:]]


def paths(wire: Wire) -> None:
    """rules.KNOWN_PATH."""
    lines = (
        f"GET /{DATASET}",
        f"GET /v28.0/{DATASET}",
        f"GET /v26.1/{DATASET}",
        f"GET /v26.0/{DATASET}/events",
        f"POST /v26.0/{DATASET}",
        f"DELETE /v26.0/{DATASET}/events",
        f"POST /v26.0/{DATASET}/events//",
        f"GET /v26.0/{DATASET}/activities",
    )

    assert {(400, 2500, 0)} == {state(wire.call(line)) for line in lines}
    assert 200 == wire.call(f"GET /v26.0/{DATASET}/")[0]


def token_places(wire: Wire) -> None:
    """rules.TOKEN_PLACE."""
    path = f"POST /v26.0/{DATASET}/events"
    data = json.dumps([LEAD])
    answers = [
        wire.raw(f"{path}?access_token={TOKEN}", {"data": [LEAD]}),
        wire.raw(path, urlencode({"data": data, "access_token": TOKEN})),
        wire.raw(path, {"data": [LEAD], "access_token": TOKEN}),
        wire.raw(path, {"data": [LEAD]}, {"Authorization": f"Bearer {TOKEN}"}),
        wire.raw(f"{path}?access_token={TOKEN}", urlencode({"data": data}), {"Authorization": f"OAuth {TOKEN}"}),
    ]

    assert [200] * 5 == [status for status, *_ in answers]


def no_token(wire: Wire) -> None:
    """rules.TOKEN_NAMED."""
    path = f"POST /v26.0/{DATASET}/events"
    other = TOKENS[OTHER]
    answers = [
        wire.raw(path, {"data": [LEAD]}),
        wire.raw(path, {"data": [LEAD], "access_token": 7}),
        wire.raw(f"{path}?access_token={other}", {"data": [LEAD], "access_token": TOKEN}),
        wire.raw(path, {"data": [LEAD]}, {"Authorization": "Basic aW52ZW50ZWQ="}),
    ]

    assert {(400, 104, 0)} == {state(each[:2]) for each in answers}


def unknown_token(wire: Wire) -> None:
    """rules.TOKEN_KNOWN."""
    status, body, _ = wire.raw(f"POST /v26.0/{DATASET}/events?access_token=EAAinvented", {"data": [LEAD]})

    assert (401, 190, 0) == state((status, body))
    assert "OAuthException" == body["error"]["type"]
    assert "EAAinvented" not in json.dumps(body)


def proofs(wire: Wire) -> None:
    """rules.PROOF."""
    proof, wrong = (
        hmac.new(APP_SECRETS[each].encode(), TOKEN.encode(), "sha256").hexdigest() for each in (DATASET, OTHER)
    )
    path = f"POST /v26.0/{DATASET}/events"
    good = [wire.call(f"{path}?appsecret_proof={proof}", {"data": [LEAD]}), wire.send(LEAD, appsecret_proof=proof)]
    status, body = wire.call(f"{path}?appsecret_proof={wrong}", {"data": [LEAD]})

    assert [200, 200] == [status for status, _ in good]
    assert (400, 100, 0) == state((status, body))
    assert "GraphMethodException" == body["error"]["type"]
    assert body["error"]["message"].startswith("Invalid appsecret_proof")


def foreign_dataset(wire: Wire) -> None:
    """rules.OWN_DATASET."""
    foreign = wire.call(f"POST /v26.0/{OTHER}/events", {"data": [LEAD]})
    unknown = wire.call("POST /v26.0/999/events", {"data": [LEAD]})
    own = wire.raw(f"POST /v26.0/{OTHER}/events?access_token={TOKENS[OTHER]}", {"data": [LEAD]})

    assert [(400, 100, 33)] * 2 == [state(foreign), state(unknown)]
    assert (200, [OTHER]) == (own[0], [line["dataset"] for line in wire.platform.conversions_json()])


def parameters(wire: Wire) -> None:
    """rules.KNOWN_PARAMETERS."""
    path = f"POST /v26.0/{DATASET}/events"
    repeated = urlencode([("data", json.dumps([LEAD])), ("data", json.dumps([SALE]))])
    answers = [
        wire.send(LEAD, partner="x"),
        wire.send(LEAD, partner_agent=7),
        wire.call(f"{path}?validate_only=1", {"data": [LEAD]}),
        wire.call(f"{path}?partner_agent=a", {"data": [LEAD], "partner_agent": "b"}),
        wire.call(path, repeated),
        wire.call(f"GET /v26.0/{DATASET}?limit=1"),
    ]

    assert {(400, 100, 0)} == {state(each) for each in answers}
    assert all(rules.KNOWN_PARAMETERS.rule in body["error"]["message"] for _, body in answers)
    assert 200 == wire.send(LEAD, partner_agent="a", upload_tag="b", upload_id="c", upload_source="d")[0]


def throttled(wire: Wire) -> None:
    """rules.THROTTLED."""
    wire.platform.set_switch("meta_throttle_minutes", 45)
    answers = [wire.raw(f"POST /v26.0/{DATASET}/events?access_token={TOKEN}", {"data": [LEAD]}) for _ in range(2)]
    usage = json.loads(answers[0][2]["X-Business-Use-Case-Usage"])
    [[row]] = usage.values()

    assert [400, 200] == [status for status, *_ in answers]
    assert (80004, "OAuthException") == (answers[0][1]["error"]["code"], answers[0][1]["error"]["type"])
    assert 45 == row["estimated_time_to_regain_access"]
    assert 0 == wire.platform.switches["meta_throttle_minutes"]


def bodies(wire: Wire) -> None:
    """rules.BODY."""
    path = f"POST /v26.0/{DATASET}/events?access_token={TOKEN}"
    answers = [
        wire.raw(path, "{", {"Content-Type": "application/json"}),
        wire.raw(path, "[]", {"Content-Type": "application/json"}),
        wire.raw(path, '{"data": [], "data": []}', {"Content-Type": "application/json"}),
        wire.raw(path, "data=%FF", {"Content-Type": "application/x-www-form-urlencoded"}),
        wire.raw(path, "<data/>", {"Content-Type": "application/xml"}),
    ]

    assert {(400, 100, 0)} == {state(each[:2]) for each in answers}
    assert all(rules.BODY.rule in body["error"]["message"] for _, body, _ in answers)


def data_forms(wire: Wire) -> None:
    """rules.DATA."""
    path = f"POST /v26.0/{DATASET}/events"
    rows = [LEAD, SALE]
    texts = [json.dumps(each) for each in rows]
    good = [
        wire.call(path, {"data": rows}),
        wire.call(path, {"data": texts}),
        wire.call(path, {"data": json.dumps(rows)}),
        wire.call(path, {"data": json.dumps(texts)}),
        wire.call(path, urlencode({"data": json.dumps(rows)})),
        wire.call(path, urlencode({"data": json.dumps(texts)})),
    ]
    bad = [
        wire.call(path, {"data": LEAD}),
        wire.call(path, {"data": json.dumps(LEAD)}),
        wire.call(path, {}),
        wire.call(path, {"data": ["{"]}),
        wire.call(path, {"data": [json.dumps(custom(value=float("nan")))]}),
        wire.call(path, {"data": [json.dumps(LEAD).replace("{", '{"event_id": "x", ', 1)]}),
        wire.call(path, {"data": ['{"event_name": "\\ud800"}']}),
    ]

    assert [(200, 2)] * 6 == [(status, body.get("events_received")) for status, body in good]
    assert {(400, 100, 0)} == {state(each) for each in bad}
    assert all(rules.DATA.rule in body["error"]["message"] for _, body in bad)
    assert (400, 100, 2804019) == state(wire.call(path, {"data": [LEAD, 7]}))


def no_events(wire: Wire) -> None:
    """rules.SOME_EVENTS."""
    assert (400, 100, 0) == state(wire.send())


def too_many(wire: Wire) -> None:
    """rules.MAX_EVENTS."""
    rows = [{**LEAD, "event_id": f"oplead-{number}"} for number in range(1_001)]

    assert (400, 100, 0) == state(wire.send(*rows))
    assert (200, 1_000) == (wire.send(*rows[1:])[0], len(wire.platform.conversions_json()))


def one_bad_event(wire: Wire) -> None:
    """rules.ALL_OR_NOTHING."""
    old = sale(event_time=SECONDS - 8 * DAY)

    assert 400 == wire.send(LEAD, old, SALE)[0]
    assert [] == wire.platform.conversions_json()


def named_rows(wire: Wire) -> None:
    """rules.ROW_NAMED."""
    old, unknown = sale(event_time=0), sale(evnt_id="x")
    silent = [wire.send(LEAD, each)[1]["error"]["error_user_msg"] for each in (old, unknown)]
    wire.switch(meta_error_index=True)
    named = wire.send(LEAD, old)[1]["error"]["error_user_msg"]

    assert "$" not in silent[0]
    assert 'Unexpected key "evnt_id" on param "$[\'data\'][1]".' == silent[1]
    assert "$['data'][1]['event_time']" in named


def french(wire: Wire) -> None:
    """rules.LANGUAGE."""
    wire.switch(meta_language="fr")
    _, old = wire.send(sale(event_time=0))
    _, shape = wire.send(sale(evnt_id="x"))

    assert "Timestamp de l’évènement trop ancien" == old["error"]["error_user_title"]
    assert ("Invalid parameter", 2804003) == (old["error"]["message"], old["error"]["error_subcode"])
    assert "too" not in old["error"]["error_user_msg"]
    assert "$['data'][0]" in shape["error"]["error_user_msg"]


def received(wire: Wire) -> None:
    """rules.RECEIVED."""
    status, body = wire.send(LEAD, SALE)
    _, again = wire.send(LEAD)

    assert (200, {"events_received", "messages", "fbtrace_id"}) == (status, set(body))
    assert (2, []) == (body["events_received"], body["messages"])
    assert body["fbtrace_id"] != again["fbtrace_id"]


def received_none(wire: Wire) -> None:
    """rules.RECEIVED_NONE."""
    wire.switch(meta_received="none")
    first, book, second = wire.send(LEAD), wire.platform.conversions_json(), wire.send(LEAD)

    assert [(200, 0), (200, 1)] == [(status, body["events_received"]) for status, body in (first, second)]
    assert ([], 1) == (book, len(wire.platform.conversions_json()))


def failing(wire: Wire) -> None:
    """rules.FAILING."""
    wire.faults.plant(PlannedFault("meta", FaultKind.FAILED_AFTER, count=2))
    wire.faults.plant(PlannedFault("meta", FaultKind.FAILED_AFTER, status=503, body='{"error": {"code": 1}}'))
    answers = [wire.send(SALE), wire.send(LEAD), wire.send(LEAD)]

    assert [(500, 2), (500, 2), (503, 1)] == [(status, body["error"]["code"]) for status, body in answers]
    assert [(1, 0), (1, 1)] == [(line["accepted"], line["replays"]) for line in wire.platform.conversions_json()]


def near_its_end(wire: Wire) -> None:
    """rules.VERSION_ENDS."""
    wire.switch(meta_version_ends=True)
    line, right = f"POST /v26.0/{DATASET}/events", {"Authorization": f"Bearer {TOKEN}"}
    answers = [wire.raw(line, {"data": rows}, right) for rows in ([SALE], [])]

    assert [200, 400] == [status for status, _, _ in answers]
    assert all("v26.0 will be deprecated" in headers["X-Ad-Api-Version-Warning"] for _, _, headers in answers)


def with_test_code(wire: Wire) -> None:
    """rules.TEST_EVENTS."""
    wire.send(LEAD, test_event_code="TEST12345")

    assert 1 == len(wire.platform.conversions_json())


def ascii_names(wire: Wire) -> None:
    """rules.ASCII_NAME."""
    wire.switch(meta_ascii_names=True)

    assert (400, 100, 0) == state(wire.send(sale(event_name="Vente signée")))
    assert "$['data'][0]['event_name']" == field(wire)
    assert 200 == wire.send(SALE)[0]


def planted(wire: Wire) -> None:
    """rules.PLANTED."""
    names = ("oplead-2", FBC, "IwAR3xAmPle_-Click")
    for number, name in enumerate(names):
        wire.platform.plant_event_rulings({name: {"subcode": 2804007 + number}})
    wire.platform.plant_event_rulings({"1234567890123456": {"code": 368, "subcode": 1}})
    answers = [
        wire.send(SALE),
        wire.send(sale(event_id="other")),
        wire.send(sale(event_id="other", user_data={"fbc": "fb.2.1789000000999.IwAR3xAmPle_-Click"})),
        wire.send(LEAD),
        wire.send(sale(event_id="other", user_data={"em": SHA})),
    ]

    assert [(400, 100, 2804007), (400, 100, 2804008), (400, 100, 2804009), (400, 368, 1), (200, 0, 0)] == [
        state(each) for each in answers
    ]


def twice(wire: Wire) -> None:
    """rules.DEDUPLICATED."""
    wire.send(LEAD, LEAD)
    wire.now += timedelta(hours=48)
    wire.send({**LEAD, "user_data": {"lead_id": 1234567890123457}}, {**LEAD, "event_name": "sale"})
    counted = [(line["event_name"], line["accepted"], line["replays"]) for line in wire.platform.conversions_json()]
    wire.now += timedelta(seconds=1)
    wire.send(LEAD)

    assert [("appointment_set", 1, 2), ("sale", 1, 0)] == counted
    assert (2, 2) == (
        wire.platform.conversions_json()[0]["accepted"],
        wire.platform.conversions_json()[0]["replays"],
    )


def store_orders(wire: Wire) -> None:
    """rules.STORE_DEDUPLICATED."""
    wire.switch(meta_deduplication=False)
    wire.send(sale(**STORE))
    wire.now += timedelta(days=6)
    wire.send(sale(**STORE), sale(event_id="other", **STORE))
    wire.now += timedelta(days=2)
    wire.send(sale(**STORE))

    assert [("oplead-2", 2, 1), ("other", 0, 1)] == [
        (line["event_id"], line["accepted"], line["replays"]) for line in wire.platform.conversions_json()
    ]


def crm_profile(wire: Wire) -> None:
    """rules.CRM_PROFILE."""
    wire.send(
        LEAD,
        {**LEAD, "event_id": "b", "custom_data": {"event_source": "crm"}},
        {**LEAD, "event_id": "c", "custom_data": {"lead_event_source": "Oplead"}},
        {**LEAD, "event_id": "d", "action_source": "other"},
        SALE,
    )

    assert ["crm", "server", "server", "server", "server"] == [
        line["profile"] for line in wire.platform.conversions_json()
    ]


def unreadable(wire: Wire) -> None:
    """rules.READABLE."""
    wire.switch(meta_readable=False)
    lines = (
        f"GET /v26.0/{DATASET}?fields=id",
        f"GET /v26.0/{DATASET}/stats?aggregation=event",
        f"GET /v26.0/debug_token?input_token={TOKEN}",
    )

    assert {(400, 200, 0)} == {state(wire.call(line)) for line in lines}
    assert 200 == wire.send(LEAD)[0]


def dataset_fields(wire: Wire) -> None:
    """rules.FIELDS."""
    fields = "id,name,is_crm,is_consolidated_container,is_unavailable,last_fired_time,owner_business,data_use_setting"
    before = wire.call(f"GET /v26.0/{DATASET}?fields={fields}")[1]
    wire.send(LEAD)
    after = wire.call(f"GET /v26.0/{DATASET}?fields={fields}")[1]

    assert {"last_fired_time"} == after.keys() - before.keys()
    assert set(fields.split(",")) == set(after)
    assert {"id": DATASET} == wire.call(f"GET /v26.0/{DATASET}")[1]
    assert (400, 100, 0) == state(wire.call(f"GET /v26.0/{DATASET}?fields=id,colour"))


def aggregations(wire: Wire) -> None:
    """rules.AGGREGATION."""
    wire.send(LEAD, {**LEAD, "event_id": "b"}, SALE)
    path = f"GET /v26.0/{DATASET}/stats?aggregation="

    def counts(question: str) -> dict:
        _, body = wire.call(f"{path}{question}")
        return {each["value"]: each["count"] for row in body["data"] for each in row["data"]}

    assert {"appointment_set": 2, "Purchase": 1} == counts("event")
    assert {"total": 3} == counts("event_total_counts")
    assert {"lead_id": 2, "fbc": 1, "em": 1, "ph": 1} == counts("match_keys")
    assert {"false": 3} == counts("had_pii")
    assert {"success": 3} == counts("event_processing_results")
    assert {"SERVER": 3} == counts("event_source")
    assert {} == counts("host")
    assert {"total": 1} == counts("event_total_counts&event=Purchase&summary=true")
    assert {} == counts("event_total_counts&end_time=2026-09-15T11:59:59Z")
    assert {"total": 3} == counts(f"event_total_counts&start_time={SECONDS}&end_time={SECONDS + 1}")
    assert {} == counts(f"event_total_counts&start_time={SECONDS + 1}")
    assert {(400, 100, 0)} == {
        state(wire.call(path + each))
        for each in ("", "colour", "event&start_time=noon", "event&end_time=2026-09-15T12:00:00")
    }


QUALITY = f"GET /v26.0/dataset_quality?dataset_id={DATASET}&fields="


def no_quality(wire: Wire) -> None:
    """rules.QUALITY_READABLE."""
    wire.switch(meta_quality_readable=False)

    assert (400, 10, 0) == state(wire.call(f"{QUALITY}web{{event_name,event_match_quality}}"))
    assert 200 == wire.call(f"GET /v26.0/{DATASET}/stats?aggregation=event")[0]


def quality(wire: Wire) -> None:
    """rules.QUALITY."""
    website = {
        **SALE,
        "event_id": "w",
        "action_source": "website",
        "event_source_url": "https://example.fr/",
        "user_data": {"fbc": FBC, "em": [SHA], "ph": SHA, "client_user_agent": "Mozilla/5.0"},
    }
    wire.send(LEAD, SALE, website)

    assert (200, {"web": [{"event_name": "Purchase", "event_match_quality": {"composite_score": 8.0}}]}) == (
        wire.call(f"{QUALITY}web{{event_name,event_match_quality{{composite_score}}}}")
    )
    assert (400, 100, 0) == state(wire.call(f"{QUALITY}web{{colour}}"))
    assert (400, 100, 33) == state(wire.call(f"GET /v26.0/dataset_quality?dataset_id={OTHER}&fields=web"))


def by_arrival(wire: Wire) -> None:
    """rules.STATS_BY_ARRIVAL."""
    wire.send(SALE)
    path = f"GET /v26.0/{DATASET}/stats?aggregation=event"
    of_event = f"&start_time={SALE['event_time']}&end_time={SALE['event_time'] + 1}"

    assert {"data": []} == wire.call(path + of_event)[1]
    assert 1 == len(wire.call(f"{path}&start_time={SECONDS}&end_time={SECONDS + 1}")[1]["data"])


def lost_events(wire: Wire) -> None:
    """rules.LOST."""
    wire.switch(meta_lost=1)
    _, answer = wire.send(SALE, LEAD)
    wire.send({**SALE, "event_id": "later"})

    assert 2 == answer["events_received"]
    assert ["oplead-1", "later"] == [line["event_id"] for line in wire.platform.conversions_json()]


def tokens(wire: Wire) -> None:
    """rules.DEBUG_TOKEN."""
    known = wire.call(f"GET /v26.0/debug_token?input_token={TOKEN}")[1]["data"]
    unknown = wire.call("GET /v26.0/debug_token?input_token=EAAinvented")[1]["data"]

    assert (True, [DATASET]) == (known["is_valid"], known["granular_scopes"][0]["target_ids"])
    assert (False, 190) == (unknown["is_valid"], unknown["error"]["code"])


STORIES: dict[MetaRule, Callable[[Wire], None]] = {
    rules.VERSION: versions,
    rules.KNOWN_PATH: paths,
    rules.TOKEN_PLACE: token_places,
    rules.TOKEN_NAMED: no_token,
    rules.TOKEN_KNOWN: unknown_token,
    rules.PROOF: proofs,
    rules.OWN_DATASET: foreign_dataset,
    rules.KNOWN_PARAMETERS: parameters,
    rules.THROTTLED: throttled,
    rules.BODY: bodies,
    rules.DATA: data_forms,
    rules.SOME_EVENTS: no_events,
    rules.MAX_EVENTS: too_many,
    rules.ALL_OR_NOTHING: one_bad_event,
    rules.ROW_NAMED: named_rows,
    rules.LANGUAGE: french,
    rules.RECEIVED: received,
    rules.RECEIVED_NONE: received_none,
    rules.FAILING: failing,
    rules.VERSION_ENDS: near_its_end,
    rules.TEST_EVENTS: with_test_code,
    rules.ASCII_NAME: ascii_names,
    rules.PLANTED: planted,
    rules.DEDUPLICATED: twice,
    rules.STORE_DEDUPLICATED: store_orders,
    rules.CRM_PROFILE: crm_profile,
    rules.READABLE: unreadable,
    rules.FIELDS: dataset_fields,
    rules.AGGREGATION: aggregations,
    rules.QUALITY_READABLE: no_quality,
    rules.QUALITY: quality,
    rules.STATS_BY_ARRIVAL: by_arrival,
    rules.LOST: lost_events,
    rules.DEBUG_TOKEN: tokens,
}


@pytest.mark.parametrize("rule", STORIES, ids=lambda each: each.rule)
def test_rule_scenario(wire, rule):
    """These rules need more than one broken field to show."""
    STORIES[rule](wire)


def test_every_rule_is_tested_once():
    """Every rule has a request that tests it, and every request a rule."""
    tested = [*REFUSED, *STORIES]

    assert set(rules) == set(tested)
    assert len(list(rules)) == len(tested)


def test_every_rule_cites_a_source_or_is_assumed():
    """The source is Meta's page, or the thread where an answer was published."""
    known = ("https://developers.facebook.com/", "https://github.com/")
    adrift = [rule for rule in rules if not (rule.source.startswith(known) or rule.source == rule.evidence)]

    assert [] == adrift
