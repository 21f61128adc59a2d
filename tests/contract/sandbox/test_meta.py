"""The sandbox's Meta across requests: switches, rulings, the book, and what survives a restart."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from connectors.sandbox.meta.server import SWITCHES, MetaPlatform
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
        self.meta = MetaPlatform(lambda: self.now)
        self.faults = Faults()
        self.server = Server("meta", self.handle, self.faults, lambda: self.now)

    def handle(self, request: WireRequest) -> WireResponse:
        """Answer by whichever platform there is now."""
        return self.meta.handle(request)

    def send(self, *events: dict, dataset: str = DATASET):
        """The answer to one upload."""
        headers = {"Authorization": f"Bearer {TOKENS[dataset]}", "Content-Type": "application/json"}
        return self.ask(self.server.url, f"POST /v26.0/{dataset}/events", {"data": list(events)}, headers)

    def restarted(self) -> MetaPlatform:
        """Another platform that was given this one's state by way of JSON."""
        other = MetaPlatform(lambda: self.now)
        other.load(json.loads(json.dumps(self.meta.dump())))
        return other


@pytest.fixture
def platform(ask) -> Iterator[Platform]:
    """A fresh one, serving."""
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
    """The digest the book is to show."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_book_shows_the_whole_event(platform):
    """One line: what was counted, how often, what was dropped, and the digests of the first and the last."""
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
    ] == platform.meta.book()


def test_the_order_of_keys_and_the_form_of_the_request_leave_the_digest_alone(platform):
    """An event sent again as text, its keys in another order, is the same event."""
    platform.send(event())
    platform.send(json.dumps(dict(reversed(event().items())), indent=1))
    [line] = platform.meta.book()

    assert (1, line["first_digest"]) == (line["replays"], line["digest"])


def test_each_dataset_name_and_id_has_its_line(platform):
    """The same id under another name or in another dataset is another event; order is that of acceptance."""
    platform.send(event("b"), event("a"))
    platform.send(event("b", event_name="sale"))
    platform.send(event("b"), dataset=OTHER)

    assert [
        (DATASET, "Schedule", "b"),
        (DATASET, "Schedule", "a"),
        (DATASET, "sale", "b"),
        (OTHER, "Schedule", "b"),
    ] == [(line["dataset"], line["event_name"], line["event_id"]) for line in platform.meta.book()]


def test_every_event_counts_where_nothing_is_deduplicated(platform):
    """With the switch off, twins count as often as they come."""
    platform.meta.switch("meta_deduplication", False)
    platform.send(event(), event())
    platform.send(event())

    assert [(3, 0)] == [(line["accepted"], line["replays"]) for line in platform.meta.book()]


def test_events_without_an_id_have_no_twins(platform):
    """They cannot be deduplicated, so each counts."""
    nameless = {name: value for name, value in event().items() if name != "event_id"}
    platform.send(nameless, nameless)

    assert [("", 2, 0)] == [(line["event_id"], line["accepted"], line["replays"]) for line in platform.meta.book()]


def test_click_kinds(platform):
    """An event goes by its lead id, else its click, else its customer."""
    contact = {"em": "a" * 64}
    platform.send(
        event("a", user_data={"lead_id": 123456789012345, "fbc": FBC}),
        event("b", user_data={"fbc": FBC, **contact}),
        event("c", user_data=contact),
    )

    assert ["lead_id", "fbc", "contact"] == [line["click_kind"] for line in platform.meta.book()]


def test_an_answer_cut_off_leaves_the_events_counted(platform):
    """The duplicate case: Meta has taken what its caller never hears of, and counts it once when it comes again."""
    platform.faults.plant(PlannedFault("meta", FaultKind.CUT_AFTER))
    with pytest.raises(ConnectionError):
        platform.send(event())
    after_cut = platform.meta.book()[0]["accepted"]
    platform.send(event())

    assert (1, 1, 1) == (after_cut, *(platform.meta.book()[0][name] for name in ("accepted", "replays")))


def test_malformed_click_ids_are_taken_by_switch(platform):
    """Meta's pages say that a malformed fbc is not refused; answers that others published show that it is."""
    broken = event(user_data={"fbc": "IwAR3xAmPle"})
    refused = platform.send(broken).status
    platform.meta.switch("meta_malformed_click_id", "accept")

    assert (400, 200) == (refused, platform.send(broken).status)


def test_five_minutes_ahead_are_borne_by_switch(platform):
    """How far ahead of its own clock Meta takes an event is not known."""
    platform.meta.switch("meta_ahead_seconds", 300)
    statuses = [platform.send(event(event_time=SECONDS + ahead)).status for ahead in (300, 301)]

    assert [200, 400] == statuses


def test_the_week_runs_on_the_sandbox_clock(platform):
    """An event that is refused today was taken before, and only the clock has moved."""
    young = platform.send(event()).status
    platform.now += timedelta(days=7)

    assert (200, 400) == (young, platform.send(event("b")).status)


def test_throttling_by_switch_takes_one_upload(platform):
    """The switch is the hand's way to throttle; reads go on, and it falls back by itself."""
    platform.meta.switch("meta_throttle_minutes", 5)
    headers = {"Authorization": f"Bearer {TOKENS[DATASET]}"}
    read = platform.ask(platform.server.url, f"GET /v26.0/{DATASET}", None, headers).status
    answers = [platform.send(event()) for _ in range(2)]

    assert (200, [400, 200]) == (read, [answer.status for answer in answers])
    assert '"estimated_time_to_regain_access": 5' in answers[0].headers["x-business-use-case-usage"]


def test_a_throttle_can_be_taken_back(platform):
    """No minutes, no throttle."""
    platform.meta.switch("meta_throttle_minutes", 5)
    platform.meta.switch("meta_throttle_minutes", 0)

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
def test_a_switch_has_its_positions_and_no_others(platform, name, value):
    """Anything else is an error, and changes nothing."""
    with pytest.raises(ValueError, match=name):
        platform.meta.switch(name, value)

    assert {name: positions[0] for name, positions in SWITCHES.items()} == platform.meta.switches


@pytest.mark.parametrize(
    "ruling",
    [7, {}, {"subcode": "2804003"}, {"subcode": True}, {"subcode": 2804003, "code": 0}, {"subcode": 1, "when": "now"}],
)
def test_a_ruling_of_another_shape_plants_none(platform, ruling):
    """All of them or none."""
    with pytest.raises(ValueError, match="b: "):
        platform.meta.plant_rulings({"a": {"subcode": 2804003}, "b": ruling})

    assert 200 == platform.send(event("a")).status


def test_a_planted_shape_error_names_its_row(platform):
    """2804019 names the row, as it does when a rule is broken."""
    platform.meta.plant_rulings({"b": {"subcode": 2804019}})
    error = platform.send(event("a"), event("b")).json()["error"]

    assert (100, 2804019, "$['data'][1]") == (error["code"], error["error_subcode"], error["error_user_msg"])


def test_refusals_are_remembered_without_values(platform):
    """State has the time, the code and the field; never what was sent."""
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


def test_a_restart_forgets_nothing(platform):
    """Book, deduplication, rulings, switches, throttle, counts and refusals survive as JSON."""
    platform.send(event())
    platform.send(event(event_time=0))
    platform.meta.plant_rulings({"b": {"subcode": 2804007}})
    platform.meta.switch("meta_language", "fr")
    platform.meta.switch("meta_throttle_minutes", 45)
    platform.meta = platform.restarted()
    state = platform.meta.state()
    statuses = [platform.send(each).status for each in (event(), event(), event("b"))]

    assert [400, 200, 400] == statuses
    assert ("fr", 1, 3) == (platform.meta.switches["meta_language"], len(state["refused"]), len(state["requests"]) - 1)
    assert [(1, 1)] == [(line["accepted"], line["replays"]) for line in platform.meta.book()]


def test_many_uploads_at_once_are_counted_each_once(platform):
    """The platform answers from several threads."""
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda number: platform.send(event(str(number % 10))).status, range(40)))

    assert [200] * 40 == statuses
    assert [(1, 3)] * 10 == [(line["accepted"], line["replays"]) for line in platform.meta.book()]
