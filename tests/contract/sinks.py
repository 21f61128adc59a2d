"""Every `ConversionSink`, real or fake, behind one interface: how to build it, and what can happen to its platform.

The real ones talk to the sandbox over sockets; the fakes are those used in the tests of the jobs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import count

from connectors.google_ads.options import GoogleOptions
from connectors.google_ads.sink import GoogleSink
from connectors.meta.sink import MetaOptions, MetaSink
from connectors.records import (
    ClickId,
    ClickIdKind,
    Consent,
    ConsentSignalValue,
    Contact,
    ConversionEvent,
    DeliveryKey,
    EncodedEvent,
    Money,
    Outcome,
    OutcomeClass,
    ReceivedForProcessing,
    StillPending,
    Target,
)
from connectors.sandbox.meta.wire import APP_SECRETS, TOKENS
from connectors.sandbox.platform import FaultKind, PlannedFault
from tests import fakes

CUSTOMER, MANAGER, DATASET = "1234567890", "1112223333", "1234567890"
CONTACT = Contact(
    emails=("Camille.Invente@example.com",),
    phones=("06 12 34 56 78",),
    first_name="Camille",
    last_name="Invente",
    postcode="69003",
    city="Lyon",
    country="FR",
)
WHOLE, WHOLE_UNNAMED = "whole, naming the row", "whole, naming none"
BY_ROW, BY_NUMBER = "row by row", "by their number alone"
"""How a platform may report that it refuses one row of several."""

_numbers = count(1)


def click_id(kind, number, clicked_at):
    """An invented click id of a kind, in its platform's format."""
    name = sha256(f"{kind}-{number}".encode()).hexdigest()
    milliseconds = int(clicked_at.timestamp() * 1000)
    forms = {
        ClickIdKind.LEAD_ID: str(10**15 + number),
        ClickIdKind.FBC: f"fb.1.{milliseconds}.IwAR{name}",
        ClickIdKind.FBCLID: f"IwAR{name}",
    }
    return ClickId(kind, forms.get(kind, f"Cj0KCQjw{name}EALw_wcB"), clicked_at)


@dataclass(frozen=True, slots=True)
class Adapter:
    """The properties of one adapter."""

    target: Target
    other_source: str
    """Another `Target.source` that it accepts."""
    unsaid: frozenset[str] = frozenset()
    """Properties missing from its events: the request carries them, or the platform has no field for them."""
    ways: Mapping[str, tuple[Mapping[str, object], object]] = field(default_factory=dict)
    """How its platform can refuse one row of several: the sandbox switches to set, and the ruling on the row."""
    answers_later: bool = False
    fake: Callable[[], fakes.FakeSink] | None = None
    """Builds the fake."""
    sink: type | None = None
    options: Callable[..., object] | None = None
    """Builds the real adapter's options from the sandbox's addresses, a key file and a timeout in seconds."""
    server: str = ""
    """The sandbox's name for its platform."""
    switches: Mapping[str, object] = field(default_factory=dict)
    """The platform's worst behaviour within its vendor's documentation."""


class _Sink:
    """Operations common to all sinks."""

    adapter: Adapter

    def event(self, **over):
        """A conversion of its own click, one day old, unique within this process."""
        number = next(_numbers)
        clicked_at = self.now - timedelta(days=2)
        kind = over.pop("kind", self.sink.limits.click_ids[0])
        plain = ConversionEvent(
            key=DeliveryKey(f"contract-{number}"),
            target=self.adapter.target,
            at=self.now - timedelta(days=1),
            click_id=click_id(kind, number, clicked_at),
            identifiers=self.sink.hash_contact(CONTACT),
            value=Money(Decimal("1250.50"), "EUR"),
            consent=Consent(ConsentSignalValue.GRANTED, ConsentSignalValue.GRANTED),
        )
        event = replace(plain, **over)
        self.make_known(event.click_id)
        return event

    def freeze(self, *events):
        """Encode events as they are stored and sent."""
        return [EncodedEvent(event.key, self.sink.encode(event)) for event in events]

    def submit(self, batch):
        """Send frozen events."""
        return self.sink.submit(self.adapter.target, batch)

    def settle(self, receipt, rows):
        """Resolve a receipt once its outcome is due; a receipt that already holds the outcome is returned as is."""
        self.wait(self.sink.limits.resolve_after)
        return (
            self.sink.fetch_request_outcomes(receipt.ticket, rows=rows)
            if isinstance(receipt, ReceivedForProcessing)
            else receipt
        )


class Real(_Sink):
    """A real adapter and its sandbox platform."""

    def __init__(self, adapter, sandbox, closed_door):
        self.made_of = (adapter, sandbox, closed_door)
        self.adapter, self._sandbox, self._closed_door = adapter, sandbox, closed_door
        self._platform = getattr(sandbox, adapter.server)
        self.addresses = dict(sandbox.sandbox_server_urls)
        self._switch(adapter.switches)
        self.open()

    def open(self, *, key_file=None, addresses=None, timeout=10.0, **more):
        """Switch to a new sink."""
        key_file, addresses = key_file or self._sandbox.key_file, addresses or self.addresses
        self.options = self.adapter.options(addresses, key_file, timeout, **more)
        self.sink = self.adapter.sink(self.options)

    @property
    def now(self):
        """The platform's current time."""
        return self._sandbox.clock.now()

    @property
    def calls(self):
        """How many wire calls its platform has received; token requests go elsewhere."""
        return self._sandbox.arrivals[self.adapter.server]

    @property
    def secrets(self):
        """Texts from the credentials."""
        key = self._sandbox.key_file.read_text()
        return ["ya29.", "PRIVATE KEY", key[len(key) // 2 :][:40], TOKENS[DATASET], APP_SECRETS[DATASET]]

    @property
    def has_timeout(self):
        """Whether its timeout is configurable."""
        return hasattr(self.options, "timeout")

    def key_file_naming(self, address):
        """The text of a key file with another token address."""
        return self._sandbox.oauth.key_file_json(f"{address}/token")

    def lines(self, key):
        """The lines with this key in the platform's book."""
        return [
            line for line in self._platform.conversions_json()
            if line.get("api", self.adapter.server) == self.adapter.server
            and key in (line.get("transaction_id"), line.get("event_id"))
        ]  # fmt: skip

    def counted(self, key):
        """How often a key counts once everything is processed."""
        self.wait(timedelta(hours=1))
        return sum(line["accepted"] for line in self.lines(key))

    def worth(self, key):
        """How often a key counts after all corrections, and its value, once everything is processed."""
        self.wait(timedelta(hours=1))
        return [(line["count"], line["value"]) for line in self.lines(key)]

    def make_known(self, click):
        """Register a click with the platform; Meta requires none."""
        if click is not None and click.clicked_at is not None:
            known = {"clicked_at": click.clicked_at.isoformat(), "customer": CUSTOMER}
            self._sandbox.data_manager.register_clicks({click.value: known})

    def wait(self, span):
        """Advance the clock."""
        self._sandbox.clock.advance(self.now + span)

    def refuse(self, key, way):
        """Make the platform refuse a row."""
        switches, ruling = self.adapter.ways[way]
        self._switch(switches)
        self._platform.plant_event_rulings({key: ruling})

    def stay_busy(self):
        """Make the next status request find the upload unfinished, as it does anyway."""

    def suffer(self, failure):
        """Make the next call fail."""
        match failure:
            case "nothing listens":
                self.open(addresses=dict.fromkeys(self.addresses, self._closed_door))
            case "key refused":
                self._sandbox.oauth.set_switch("refuse_tokens", True)
                self.open(**({"access_token": "EAAnotours"} if self.adapter.server == "meta" else {}))
            case "hang":
                self.open(timeout=0.3)
                self._plant(FaultKind.HANG, seconds=0.6)
            case "HTML":
                self._plant(FaultKind.HTML)
            case "502 that looks good":
                self._plant(FaultKind.STATUS, status=502, body='{"events_received": 1, "requestId": "request-1"}')
            case "cut before" | "cut after" | "truncated":
                self._plant(FaultKind(failure.replace(" ", "_")))
            case _:
                self._plant(FaultKind.STATUS, status=int(failure), retry_after=60)

    def mend(self):
        """Make everything work again."""
        self._sandbox.faults.clear()
        self._sandbox.oauth.set_switch("refuse_tokens", False)
        self.open()

    def _plant(self, kind, **more):
        self._sandbox.faults.plant(PlannedFault(self.adapter.server, kind, **more))

    def _switch(self, switches):
        for name, position in switches.items():
            self._platform.set_switch(name, position)


class Fake(_Sink):
    """A fake and its in-memory platform."""

    now = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)
    options = None
    secrets = ()

    def __init__(self, adapter):
        self.made_of = (adapter,)
        self.adapter = adapter
        self.sink = adapter.fake()

    @property
    def calls(self):
        """How many wire calls its platform has received."""
        return len(self.sink.calls) + len(self.sink.corrections)

    def lines(self, key):
        """The lines with this key in the platform's book."""
        targets = [call.target for call in self.sink.calls if key in call.keys]
        return [{"customer": each.owner, "action": each.action} for each in targets[: self.sink.counted[key]]]

    def counted(self, key):
        """How often a key counts."""
        return self.sink.counted[key]

    def worth(self, key):
        """How often a key counts after all corrections, and its corrected value."""
        return [(self.sink.counted[key], float(self.sink.values[key]))]

    def make_known(self, click):
        """A fake requires no click."""

    def wait(self, span):
        """A fake has no clock."""

    def refuse(self, key, way):
        """Make the platform refuse a row."""
        bad = Outcome(OutcomeClass.FIX_DATA, "BAD")
        self.sink.verdict = lambda event: bad if event.key == key else fakes.DONE
        self.sink.names_rows = way != BY_NUMBER
        if way in (WHOLE, WHOLE_UNNAMED):
            self.sink.script.append(fakes.refuse_bad(named=way == WHOLE))

    def stay_busy(self):
        """Make the next status request find the upload unfinished."""
        self.sink.status.append(StillPending())

    def suffer(self, failure):
        """Make the next call fail."""
        steps = {
            "nothing listens": fakes.not_sent,
            "key refused": fakes.refuse(OutcomeClass.FIX_CONFIG),
            "401": fakes.refuse(OutcomeClass.FIX_CONFIG),
            "429": fakes.refuse(OutcomeClass.RETRY),
            "cut after": fakes.lost_after,
            "truncated": fakes.lost_after,
        }
        for script in (self.sink.script, self.sink.adjust_script):
            script.append(steps.get(failure, fakes.lost_before))

    def mend(self):
        """Make everything work again."""
        self.sink.script.clear()
        self.sink.adjust_script.clear()


def _google_options(transport):
    def options(addresses, key_file, timeout, **more):
        endpoints = (addresses["data_manager"], addresses["google_ads"])
        return GoogleOptions(CUSTOMER, MANAGER, key_file, transport, *endpoints, timeout, **more)

    return options


def _meta_options(addresses, _key_file, timeout, **more):
    plain = {"access_token": TOKENS[DATASET], "app_secret": APP_SECRETS[DATASET]}
    if "access_token" in more:
        plain["app_secret"] = None
    return MetaOptions(DATASET, graph_url=addresses["meta"], timeout=(timeout, timeout), **(plain | more))


_AT_THE_DOOR = {"when": "submit", "reason": "INVALID_HEX_ENCODING"}
_INSIDE = {"when": "processing", "reason": "CLICK_NOT_FOUND"}
_DATA_MANAGER = Adapter(
    target=Target("data_manager", CUSTOMER, "987654321", "WEB"),
    other_source="PHONE",
    unsaid=frozenset({"owner", "action"}),
    answers_later=True,
    sink=GoogleSink,
    options=_google_options("data_manager"),
    server="data_manager",
    ways={
        WHOLE: ({}, _AT_THE_DOOR),
        WHOLE_UNNAMED: ({"violation_index": False}, _AT_THE_DOOR),
        BY_ROW: ({}, _INSIDE),
        BY_NUMBER: ({"record_indices": False}, _INSIDE),
    },
)
_ADS_API = Adapter(
    target=Target("google_ads_api", CUSTOMER, "987654321", "WEB"),
    other_source="APP",
    sink=GoogleSink,
    options=_google_options("google_ads_api"),
    server="google_ads",
    ways={BY_ROW: ({}, {"reason": "CLICK_NOT_FOUND"})},
)
_META = Adapter(
    target=Target("conversions_api", DATASET, "Purchase", "system_generated"),
    other_source="phone_call",
    unsaid=frozenset({"owner", "ad_user_data", "ad_personalization"}),
    sink=MetaSink,
    options=_meta_options,
    server="meta",
    switches={"meta_deduplication": False},
    ways={
        WHOLE: ({"meta_error_index": True}, {"subcode": 2804050}),
        WHOLE_UNNAMED: ({}, {"subcode": 2804050}),
    },
)
_FAKE = Adapter(
    target=Target("data_manager", CUSTOMER, "987654321", "WEB"),
    other_source="PHONE",
    unsaid=frozenset({"owner"}),
    answers_later=True,
    fake=fakes.FakeSink,
    ways={way: ({}, None) for way in (WHOLE, WHOLE_UNNAMED, BY_ROW, BY_NUMBER)},
)
_AT_ONCE = replace(_FAKE, answers_later=False, ways={way: ({}, None) for way in (WHOLE, WHOLE_UNNAMED, BY_ROW)})
_FORGETFUL = replace(fakes.LIMITS, replay_within=timedelta(hours=48))

REAL = {
    "google by data_manager": _DATA_MANAGER,
    "google by ads_api": _ADS_API,
    "meta": _META,
}
FAKE = {
    "fake": _FAKE,
    "fake at once": replace(_AT_ONCE, fake=lambda: fakes.FakeSink(asynchronous=False)),
    "fake that counts twice": replace(
        _AT_ONCE, fake=lambda: fakes.FakeSink(limits=_FORGETFUL, asynchronous=False, idempotent=False)
    ),
}
EVERY = {**REAL, **FAKE}
