"""The sandbox's Data Manager across requests: switches, rulings, the book, and what survives a restart."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from connectors.sandbox.google.data_manager.server import SandboxDataManager
from connectors.sandbox.server import WireRequest

NOON = datetime(2026, 7, 20, 12, tzinfo=UTC)
CLICK = {"clicked_at": "2026-07-18T08:00:00Z", "customer": "1234567890"}


class Sandbox:
    """A platform, its clock, and raw requests to it."""

    def __init__(self) -> None:
        self.now = NOON
        self.platform = SandboxDataManager(lambda: self.now, lambda _: True)
        self.platform.register_clicks({"click": CLICK})

    def ingest(self, *events: dict) -> tuple[int, dict]:
        """Status and JSON of one upload of these events."""
        account = {"accountType": "GOOGLE_ADS", "accountId": "1234567890"}
        manager = {"accountType": "GOOGLE_ADS", "accountId": "1112223333"}
        place = {"operatingAccount": account, "loginAccount": manager, "productDestinationId": "987654321"}
        return self.call("POST", "/v1/events:ingest", {"destinations": [place], "events": events})

    def status(self, request_id: str) -> dict:
        """The destination's status."""
        query = {"requestId": (request_id,)}
        _, answer = self.call("GET", "/v1/requestStatus:retrieve", query=query)
        return answer["requestStatusPerDestination"][0]

    def call(self, method: str, path: str, body: object = None, query: dict | None = None) -> tuple[int, dict]:
        """Status and JSON of one raw call."""
        raw = b"" if body is None else json.dumps(body).encode()
        answer = self.platform.handle(WireRequest(method, path, query or {}, {}, raw))
        return answer.status, json.loads(answer.body)


@pytest.fixture
def sandbox() -> Sandbox:
    """A fresh sandbox."""
    return Sandbox()


def event(name: str, **change: object) -> dict:
    """An event that breaks no rule."""
    return {
        "transactionId": name,
        "eventTimestamp": "2026-07-20T09:00:00Z",
        "eventSource": "WEB",
        "adIdentifiers": {"gclid": "click"},
        "consent": {"adUserData": "CONSENT_GRANTED"},
        **change,
    }


def violations(answer: dict) -> list[tuple[str, str]]:
    """Field and reason of each violation."""
    [bad] = [each for each in answer["error"]["details"] if each["@type"].endswith("BadRequest")]
    return [(each["field"], each["reason"]) for each in bad["fieldViolations"]]


BAD = {"eventSource": 0, "transactionId": ""}


def test_refusal_names_only_the_first_bad_row_by_default(sandbox):
    """It names everything wrong with that row."""
    _, answer = sandbox.ingest(event("a"), event("b", **BAD), event("c", **BAD))

    assert {"events.events[1].event_source", "events.events[1].transaction_id"} == {
        field for field, _ in violations(answer)
    }


def test_violations_named_switch_names_every_bad_row(sandbox):
    """The switch stands on "all"."""
    sandbox.platform.set_switch("violations_named", "all")
    _, answer = sandbox.ingest(event("a"), event("b", eventSource=0), event("c", eventSource=0))

    assert ["events.events[1].event_source", "events.events[2].event_source"] == [
        field for field, _ in violations(answer)
    ]


def test_violation_index_switch_hides_row_numbers(sandbox):
    """Paths still name the field, for late and for early checks."""
    sandbox.platform.set_switch("violation_index", value=False)
    _, late = sandbox.ingest(event("a"), event("b", eventSource=0))
    _, early = sandbox.ingest(event("a"), event("b", unheardOf=1))

    assert [("events.events.event_source", "REQUIRED_FIELD_MISSING")] == violations(late)
    assert "[1]" not in json.dumps(early)


def test_submit_ruling_refuses_the_request_and_names_the_row(sandbox):
    """One planted ErrorReason refuses the good rows as well."""
    sandbox.platform.plant_event_rulings({"b": {"when": "submit", "reason": "INVALID_AD_IDENTIFIER_FOR_ACCOUNT"}})

    status, answer = sandbox.ingest(event("a"), event("b"))

    assert 400 == status
    assert [("events.events[1]", "INVALID_AD_IDENTIFIER_FOR_ACCOUNT")] == violations(answer)


def test_submit_ruling_for_the_whole_request_has_its_own_status(sandbox):
    """A reason that is not about a row comes with its own HTTP status."""
    sandbox.platform.plant_event_rulings({"a": {"when": "submit", "reason": "INTERNAL_ERROR"}})

    status, answer = sandbox.ingest(event("a"))

    assert (500, "INTERNAL") == (status, answer["error"]["status"])


@pytest.mark.parametrize("reason", ["DUPLICATE_GCLID", "PROCESSING_ERROR_REASON_DUPLICATE_GCLID"])
def test_processing_ruling_fails_its_row_later(sandbox, reason):
    """The ruling may name a click id, and its reason may omit the prefix."""
    sandbox.platform.plant_event_rulings({"click": {"when": "processing", "reason": reason}})
    _, taken = sandbox.ingest(event("a"))
    sandbox.now += timedelta(minutes=20)

    status = sandbox.status(taken["requestId"])

    assert "FAILED" == status["requestStatus"]
    assert "PROCESSING_ERROR_REASON_DUPLICATE_GCLID" == status["errorInfo"]["errorCounts"][0]["reason"]
    assert [] == sandbox.platform.conversions_json()


@pytest.mark.parametrize(
    "ruling",
    [
        {"when": "submit", "reason": "CLICK_NOT_FOUND"},
        {"when": "processing", "reason": "INVALID_ARGUMENT"},
        {"when": "never", "reason": "INTERNAL_ERROR"},
        {"reason": "INTERNAL_ERROR"},
        "INTERNAL_ERROR",
    ],
)
def test_invalid_ruling_raises_value_error(sandbox, ruling):
    """The reason belongs to the other enum, or the ruling has the wrong shape."""
    with pytest.raises(ValueError, match="a: "):
        sandbox.platform.plant_event_rulings({"a": ruling})


@pytest.mark.parametrize("click", [{"clicked_at": "2026-07-18T08:00:00", "customer": "1"}, {}, 5])
def test_invalid_click_raises_value_error(sandbox, click):
    """The click has no zone, or the wrong shape."""
    with pytest.raises(ValueError, match="click: "):
        sandbox.platform.register_clicks({"click": click})


@pytest.mark.parametrize(
    ("name", "value"),
    [("record_indices", 1), ("violations_named", "last"), ("processing_minutes", -1), ("speed", 9)],
)
def test_invalid_switch_raises_value_error_and_changes_nothing(sandbox, name, value):
    """Either the switch or the position does not exist."""
    before = dict(sandbox.platform.switches)
    with pytest.raises(ValueError, match=name):
        sandbox.platform.set_switch(name, value)

    assert before == sandbox.platform.switches


def test_book_describes_each_conversion(sandbox):
    """A line has customer, action, times, value and how the conversion was matched."""
    _, taken = sandbox.ingest(event("a", conversionValue=60, currency="EUR"))
    sandbox.now += timedelta(minutes=20)

    [line] = sandbox.platform.conversions_json()

    expected = {
        "customer": "1234567890",
        "action": "987654321",
        "transaction_id": "a",
        "accepted": 1,
        "event_time": "2026-07-20T09:00:00+00:00",
        "value": 60.0,
        "currency": "EUR",
        "click_kind": "gclid",
        "matched": True,
        "first_request": taken["requestId"],
        "accepted_at": "2026-07-20T12:20:00+00:00",
    }
    assert expected == {name: line[name] for name in expected}


def test_book_counts_a_replay_with_changed_bytes(sandbox):
    """The same value with another event time is a changed replay and counts nothing."""
    sandbox.ingest(event("a"))
    sandbox.ingest(event("a", eventTimestamp="2026-07-20T09:00:01Z"))
    sandbox.now += timedelta(minutes=20)

    [line] = sandbox.platform.conversions_json()

    assert (1, 1, 1) == (line["accepted"], line["replays"], line["changed_replays"])
    assert "2026-07-20T09:00:00+00:00" == line["event_time"]


def test_processing_uses_what_was_known_when_due(sandbox):
    """A click registered later does not save a request, however late the status is retrieved."""
    _, early = sandbox.ingest(event("a", adIdentifiers={"gclid": "late-click"}))
    sandbox.now += timedelta(minutes=10)
    _, late = sandbox.ingest(event("b", adIdentifiers={"gclid": "late-click"}))
    sandbox.now += timedelta(minutes=10)
    sandbox.platform.register_clicks({"late-click": CLICK})
    sandbox.now += timedelta(days=1)

    statuses = [sandbox.status(each["requestId"])["requestStatus"] for each in (early, late)]

    assert ["FAILED", "SUCCESS"] == statuses


def test_processing_minutes_apply_from_the_next_request(sandbox):
    """Requests already in processing keep their time."""
    _, slow = sandbox.ingest(event("a"))
    sandbox.platform.set_switch("processing_minutes", 0)
    _, fast = sandbox.ingest(event("b"))

    statuses = [sandbox.status(each["requestId"])["requestStatus"] for each in (slow, fast)]

    assert ["PROCESSING", "SUCCESS"] == statuses


def test_saved_state_resumes_unchanged(sandbox):
    """The state goes through JSON, and both platforms then answer alike."""
    sandbox.platform.plant_event_rulings({"c": {"when": "processing", "reason": "DENIED_CONSENT"}})
    sandbox.platform.set_switch("record_indices", value=False)
    _, settled = sandbox.ingest(event("a"), event("c"))
    sandbox.now += timedelta(minutes=20)
    _, waiting = sandbox.ingest(event("a"), event("b"), event("c"))
    again = Sandbox()
    again.platform.load(json.loads(json.dumps(sandbox.platform.dump())))

    for each in (sandbox, again):
        each.now = NOON + timedelta(hours=1)

    for each in (settled, waiting):
        assert sandbox.status(each["requestId"]) == again.status(each["requestId"])
    assert sandbox.platform.state() == again.platform.state()
    assert ["a", "b"] == [line["transaction_id"] for line in again.platform.conversions_json()]
    assert sandbox.ingest(event("d")) == again.ingest(event("d"))


def test_state_counts_uploads_and_refusals(sandbox):
    """It also counts what is still processing."""
    sandbox.ingest(event("a"))
    sandbox.ingest(event("b", eventSource=0))

    state = sandbox.platform.state()

    assert {"ingest": 2, "events": 2, "taken": 1, "refused": 1} == state["requests"]
    assert 1 == state["processing"]
    assert ["REQUIRED_FIELD_MISSING"] == [each["reason"] for each in state["refused"]]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/events:ingest"), ("POST", "/v1/audienceMembers:ingest"), ("POST", "/v2/events:ingest")],
)
def test_unknown_methods_are_not_found(sandbox, method, path):
    """The sandbox never answers success for a method it does not simulate."""
    status, answer = sandbox.call(method, path, {})

    assert (404, "NOT_FOUND") == (status, answer["error"]["status"])


def test_full_upload_counts_every_row(sandbox):
    """A request holds at most 2,000 rows."""
    status, _ = sandbox.ingest(*[event(f"row-{index}") for index in range(2000)])
    sandbox.now += timedelta(minutes=20)

    assert 200 == status
    assert 2000 == len(sandbox.platform.conversions_json())
