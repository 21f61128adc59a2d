"""The sandbox's Meta across requests: switches, rulings, the book, and what survives a restart."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from connectors.sandbox.meta.server import SWITCHES, SandboxMetaApi
from connectors.sandbox.meta.wire import TOKENS
from connectors.sandbox.platform import FaultKind, Faults, PlannedFault
from connectors.sandbox.server import Server, WireRequest, WireResponse

NOON = datetime(2026, 9, 15, 12, tzinfo=UTC)
SECONDS = int(NOON.timestamp())
DATASET, OTHER = TOKENS
FBC = "fb.1.1789000000123.IwAR3xAmPle"


class Platform:
    """The platform behind a socket, its clock, its faults, and uploads to it."""

    def __init__(self, ask) -> None:
        self.ask = ask
        self.now = NOON
        self.meta = SandboxMetaApi(lambda: self.now)
        self.faults = Faults()
        self.server = Server("meta", self.handle, self.faults, lambda: self.now)

    def handle(self, request: WireRequest) -> WireResponse:
        """Answer by whichever platform there is now."""
        return self.meta.handle(request)

    def send(self, *events: dict, dataset: str = DATASET):
        """The answer to one upload."""
        headers = {"Authorization": f"Bearer {TOKENS[dataset]}", "Content-Type": "application/json"}
        return self.ask(self.server.url, f"POST /v26.0/{dataset}/events", {"data": list(events)}, headers)

    def restarted(self) -> SandboxMetaApi:
        """Return another platform loaded from this one's state through JSON."""
        other = SandboxMetaApi(lambda: self.now)
        other.load(json.loads(json.dumps(self.meta.dump())))
        return other


@pytest.fixture
def platform(ask) -> Iterator[Platform]:
    """A fresh platform that is serving."""
    made = Platform(ask)
    with made.server:
        yield made


def event(name: str = "a", **change: object) -> dict:
    """An event that breaks no rule."""
    return {
        "event_name": "Schedule",
        "event_time": SECONDS - 3600,
        "action_source": "system_generated",
        "event_id": name,
        "user_data": {"fbc": FBC},
        "custom_data": {"value": 60, "currency": "EUR"},
        **change,
    }


def sha256(document: dict) -> str:
    """Return the digest that the book must show."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def test_book_line_describes_the_whole_event(platform):
    """A line has what was counted, how often, the replays, and the digests of the first and the last event."""
    first, last = event(), event(custom_data={"value": 75.5, "currency": "EUR", "order_id": "é"})
    platform.send(first)
    platform.now += timedelta(hours=1)
    platform.send(last)

    assert [
        {
            "dataset": DATASET,
            "event_name": "Schedule",
            "event_id": "a",
            "accepted": 1,
            "replays": 1,
            "event_time": "2026-09-15T11:00:00+00:00",
            "action_source": "system_generated",
            "value": 60,
            "currency": "EUR",
            "click_kind": "fbc",
            "digest": sha256(last),
            "first_digest": sha256(first),
            "accepted_at": "2026-09-15T12:00:00+00:00",
            "profile": "server",
        }
    ] == platform.meta.conversions_json()


def test_digest_ignores_key_order_and_encoding(platform):
    """A replay sent as text, with its keys in another order, is the same event."""
    platform.send(event())
    platform.send(json.dumps(dict(reversed(event().items())), indent=1))
    [line] = platform.meta.conversions_json()

    assert (1, line["first_digest"]) == (line["replays"], line["digest"])


def test_book_has_one_line_per_dataset_name_and_id(platform):
    """The lines are in order of acceptance."""
    platform.send(event("b"), event("a"))
    platform.send(event("b", event_name="sale"))
    platform.send(event("b"), dataset=OTHER)

    assert [
        (DATASET, "Schedule", "b"),
        (DATASET, "Schedule", "a"),
        (DATASET, "sale", "b"),
        (OTHER, "Schedule", "b"),
    ] == [(line["dataset"], line["event_name"], line["event_id"]) for line in platform.meta.conversions_json()]


def test_every_event_counts_without_deduplication(platform):
    """With the switch off, duplicates count as often as they arrive."""
    platform.meta.set_switch("meta_deduplication", False)
    platform.send(event(), event())
    platform.send(event())

    assert [(3, 0)] == [(line["accepted"], line["replays"]) for line in platform.meta.conversions_json()]


def test_events_without_an_id_are_never_deduplicated(platform):
    """Each of them counts."""
    nameless = {name: value for name, value in event().items() if name != "event_id"}
    platform.send(nameless, nameless)

    assert [("", 2, 0)] == [
        (line["event_id"], line["accepted"], line["replays"]) for line in platform.meta.conversions_json()
    ]


def test_click_kind_prefers_lead_id_then_fbc_then_contact(platform):
    """An event is matched by the first of these that it carries."""
    contact = {"em": "a" * 64}
    platform.send(
        event("a", user_data={"lead_id": 123456789012345, "fbc": FBC}),
        event("b", user_data={"fbc": FBC, **contact}),
        event("c", user_data=contact),
    )

    assert ["lead_id", "fbc", "contact"] == [line["click_kind"] for line in platform.meta.conversions_json()]


def test_events_count_although_the_answer_is_cut(platform):
    """A replay after the lost answer is deduplicated and counts nothing."""
    platform.faults.plant(PlannedFault("meta", FaultKind.CUT_AFTER))
    with pytest.raises(ConnectionError):
        platform.send(event())
    after_cut = platform.meta.conversions_json()[0]["accepted"]
    platform.send(event())

    assert (1, 1, 1) == (
        after_cut,
        *(platform.meta.conversions_json()[0][name] for name in ("accepted", "replays")),
    )


def test_malformed_fbc_is_accepted_only_by_switch(platform):
    """Meta's pages say that a malformed fbc is not refused; answers published by others show that it is."""
    broken = event(user_data={"fbc": "IwAR3xAmPle"})
    refused = platform.send(broken).status
    platform.meta.set_switch("meta_malformed_click_id", "accept")

    assert (400, 200) == (refused, platform.send(broken).status)


def test_future_events_are_accepted_up_to_the_switch_limit(platform):
    """How far ahead of its own clock Meta accepts an event is not known."""
    platform.meta.set_switch("meta_ahead_seconds", 300)
    statuses = [platform.send(event(event_time=SECONDS + ahead)).status for ahead in (300, 301)]

    assert [200, 400] == statuses


def test_seven_day_limit_follows_the_sandbox_clock(platform):
    """An event accepted today is refused a week later, with only the clock moved."""
    young = platform.send(event()).status
    platform.now += timedelta(days=7)

    assert (200, 400) == (young, platform.send(event("b")).status)


def test_throttle_switch_refuses_exactly_one_upload(platform):
    """Reads are not throttled, and the switch resets itself."""
    platform.meta.set_switch("meta_throttle_minutes", 5)
    headers = {"Authorization": f"Bearer {TOKENS[DATASET]}"}
    read = platform.ask(platform.server.url, f"GET /v26.0/{DATASET}", None, headers).status
    answers = [platform.send(event()) for _ in range(2)]

    assert (200, [400, 200]) == (read, [answer.status for answer in answers])
    assert '"estimated_time_to_regain_access": 5' in answers[0].headers["x-business-use-case-usage"]


def test_throttle_switch_can_be_reset(platform):
    """Zero minutes means no throttle."""
    platform.meta.set_switch("meta_throttle_minutes", 5)
    platform.meta.set_switch("meta_throttle_minutes", 0)

    assert 200 == platform.send(event()).status


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("meta_deduplication", 1),
        ("meta_language", "de"),
        ("meta_ahead_seconds", False),
        ("meta_throttle_minutes", True),
        ("meta_throttle_minutes", -1),
        ("colour", "blue"),
    ],
)
def test_invalid_switch_raises_value_error_and_changes_nothing(platform, name, value):
    """Either the switch or the position does not exist."""
    with pytest.raises(ValueError, match=name):
        platform.meta.set_switch(name, value)

    assert {name: positions[0] for name, positions in SWITCHES.items()} == platform.meta.switches


@pytest.mark.parametrize(
    "ruling",
    [7, {}, {"subcode": "2804003"}, {"subcode": True}, {"subcode": 2804003, "code": 0}, {"subcode": 1, "when": "now"}],
)
def test_invalid_ruling_plants_nothing(platform, ruling):
    """One invalid ruling raises ValueError for all of them."""
    with pytest.raises(ValueError, match="b: "):
        platform.meta.plant_event_rulings({"a": {"subcode": 2804003}, "b": ruling})

    assert 200 == platform.send(event("a")).status


def test_planted_2804019_names_its_row(platform):
    """It names the row just as when a rule is broken."""
    platform.meta.plant_event_rulings({"b": {"subcode": 2804019}})
    error = platform.send(event("a"), event("b")).json()["error"]

    assert (100, 2804019, "$['data'][1]") == (error["code"], error["error_subcode"], error["error_user_msg"])


def test_state_keeps_refusals_without_values(platform):
    """It keeps time, code and field, but never what was sent."""
    platform.send(event(user_data={"em": "jeanne@example.org"}))
    state = platform.meta.state()

    assert [
        {
            "at": "2026-09-15T12:00:00+00:00",
            "code": 100,
            "subcode": 2804016,
            "field": "$['data'][0]['user_data']['em']",
        }
    ] == state["refused"]
    assert {"requests": 1, "uploads": 1, "refused": 1} == state["requests"]
    assert "jeanne" not in json.dumps(state)


def test_meta_state_survives_a_restart(platform):
    """Book, deduplication, rulings, switches, throttle and refusals are saved as JSON."""
    platform.send(event())
    platform.send(event(event_time=0))
    platform.meta.plant_event_rulings({"b": {"subcode": 2804007}})
    platform.meta.set_switch("meta_language", "fr")
    platform.meta.set_switch("meta_throttle_minutes", 45)
    platform.meta = platform.restarted()
    state = platform.meta.state()
    statuses = [platform.send(each).status for each in (event(), event(), event("b"))]

    assert [400, 200, 400] == statuses
    assert ("fr", 1, 3) == (platform.meta.switches["meta_language"], len(state["refused"]), len(state["requests"]) - 1)
    assert [(1, 1)] == [(line["accepted"], line["replays"]) for line in platform.meta.conversions_json()]


def test_concurrent_uploads_are_each_counted_once(platform):
    """The platform answers from several threads."""
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda number: platform.send(event(str(number % 10))).status, range(40)))

    assert [200] * 40 == statuses
    assert [(1, 3)] * 10 == [(line["accepted"], line["replays"]) for line in platform.meta.conversions_json()]
