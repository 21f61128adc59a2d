"""One Google Ads customer with two transports: a delivery begun by one is finished by it."""

import json
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.errors import Misconfigured
from connectors.google_ads import platform
from connectors.google_ads.ads_api import sink as ads_api
from connectors.google_ads.data_manager import sink as data_manager
from connectors.google_ads.options import GoogleOptions
from connectors.google_ads.sink import GoogleSink
from connectors.ports import SharesQuota
from connectors.records import (
    Adjustment,
    AdjustmentKind,
    AnswerLost,
    ClickId,
    ClickIdKind,
    Consent,
    Contact,
    ConversionEvent,
    DeliveryKey,
    EncodedEvent,
    Outcome,
    OutcomeClass,
    ReceivedForProcessing,
    RequestNotSent,
    RowOutcomes,
    StillPending,
    Target,
)

ROOT = Path(__file__).parents[3]
EVENT = ConversionEvent(
    key=DeliveryKey("sale-1"),
    target=Target("data_manager", "1234567890", "987654322", "WEB"),
    at=datetime(2026, 9, 10, 3, 30, tzinfo=UTC),
    click_id=ClickId(ClickIdKind.GCLID, "Cj0KCQ-Invented_Click"),
    identifiers=(),
    value=None,
    consent=Consent(None, None),
)
BODY = EncodedEvent(EVENT.key, b"{}")
BOTH = ("data_manager", "google_ads_api")


class Carrier:
    """A fake transport that records what it is given."""

    def __init__(self, name):
        self.name = name
        self.submitted = []
        self.adjusted = []
        self.asked = []

    def submit(self, target, batch):
        """Record a batch of events."""
        self.submitted.append((target.transport, len(batch)))
        return RowOutcomes((Outcome(OutcomeClass.DONE, self.name),) * len(batch))

    def encode(self, event):
        """Encode an event as its key."""
        return event.key.encode()

    def encode_adjustment(self, adjustment):
        """Encode a correction as this transport's name and the key."""
        return f"{self.name} {adjustment.key}".encode()

    def adjust(self, target, batch):
        """Record a batch of corrections."""
        self.adjusted.append((target.transport, len(batch)))
        return RowOutcomes((Outcome(OutcomeClass.DONE, self.name),) * len(batch))

    def fetch_request_outcomes(self, ticket, *, rows):
        """Record the question; nothing is finished yet."""
        self.asked.append((ticket, rows))
        return StillPending()


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    """A service account's key file with a token address that nothing listens on."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    path = tmp_path_factory.mktemp("key") / "key.json"
    told = {"type": "service_account", "client_email": "job@project.example", "private_key": pem}
    path.write_text(json.dumps(told | {"token_uri": "http://127.0.0.1:9/token"}))
    return path


@pytest.fixture
def options(key_file):
    """How the customer is reached by a given transport."""

    def by(transport, **more):
        return GoogleOptions("1234567890", "1112223333", key_file, transport, **more)

    return by


@pytest.fixture
def carriers(monkeypatch):
    """Fake transports by name, each with the options it was created with."""
    made = {}

    def make(transport, options):
        assert transport not in made, "made twice"
        made[transport] = (Carrier(transport), options)
        return made[transport][0]

    monkeypatch.setattr(ads_api, "AdsApiSink", partial(make, "google_ads_api"))
    monkeypatch.setattr(data_manager, "DataManagerSink", partial(make, "data_manager"))
    return made


@pytest.mark.parametrize("present", BOTH)
def test_only_the_configured_transport_is_created_and_for_its_first_event(options, carriers, present):
    """Its library is heavy, and many a night has nothing to send; the other's most accounts never need."""
    sink = GoogleSink(options(present))
    sink.hash_contact(Contact())

    assert [] == list(carriers)

    sink.encode(EVENT)

    assert [present] == list(carriers)


@pytest.mark.parametrize("frozen_for", BOTH)
@pytest.mark.parametrize("present", BOTH)
def test_frozen_events_use_the_transport_they_were_encoded_for(options, carriers, present, frozen_for):
    """This holds for a replay after the transport was changed: the other one cannot read its bytes."""
    sink = GoogleSink(options(present))
    target = Target(frozen_for, "1234567890", "987654322", "WEB")
    receipt = sink.submit(target, [BODY, BODY])

    assert RowOutcomes((Outcome(OutcomeClass.DONE, frozen_for),) * 2) == receipt
    assert [(frozen_for, 2)] == carriers[frozen_for][0].submitted
    assert {frozen_for} == carriers.keys()


@pytest.mark.parametrize("present", BOTH)
def test_only_the_data_manager_api_has_a_quota_of_the_project(options, present):
    """A replay takes its turn by the transport that carries it."""
    turns = []
    quota = SimpleNamespace(wait_for_quota=lambda **_: nullcontext(turns.append(1)))
    sink = GoogleSink(options(present, write_quota=quota))
    for transport in BOTH:
        with sink.wait_for_quota(replace(EVENT.target, transport=transport)):
            pass
    with GoogleSink(options(present)).wait_for_quota(EVENT.target):
        pass

    assert isinstance(sink, SharesQuota)
    assert 1 == len(turns)


@pytest.mark.parametrize("carried_by", BOTH)
@pytest.mark.parametrize("present", BOTH)
def test_a_correction_uses_the_transport_of_its_target(options, carriers, present, carried_by):
    """The transport now used for conversions does not matter."""
    sink = GoogleSink(options(present))
    target = Target(carried_by, "1234567890", "987654322", "WEB")
    correction = Adjustment(EVENT.key, target, AdjustmentKind.RETRACTION, EVENT.at, None, None)
    body = sink.encode_adjustment(correction)
    receipt = sink.adjust(target, [EncodedEvent(EVENT.key, body)])

    assert f"{carried_by} sale-1".encode() == body
    assert RowOutcomes((Outcome(OutcomeClass.DONE, carried_by),)) == receipt
    assert [(carried_by, 1)] == carriers[carried_by][0].adjusted
    assert [] == carriers[carried_by][0].submitted


@pytest.mark.parametrize("present", BOTH)
def test_tickets_are_resolved_by_the_data_manager(options, carriers, present):
    """The Google Ads API gives none, so the configured transport does not matter."""
    sink = GoogleSink(options(present))
    resolution = sink.fetch_request_outcomes("t-1", rows=3)

    assert StillPending() == resolution
    assert [("t-1", 3)] == carriers["data_manager"][0].asked


def test_each_transport_is_created_once(options, carriers):
    """It keeps its token from call to call."""
    sink = GoogleSink(options("data_manager"))
    for transport in (*BOTH, *BOTH):
        sink.submit(Target(transport, "1234567890", "987654322", "WEB"), [BODY])

    assert [2, 2] == [len(carrier.submitted) for carrier, _ in carriers.values()]


@pytest.mark.parametrize(
    ("present", "limit", "encode"),
    [
        ("data_manager", platform.DATA_MANAGER, data_manager.encode_event),
        ("google_ads_api", platform.ADS_API, ads_api.encode_event),
    ],
)
def test_new_events_use_the_configured_transport(options, present, limit, encode):
    """Limits and encoding are its own."""
    sink = GoogleSink(options(present))

    assert limit == sink.limits
    assert encode(EVENT) == sink.encode(EVENT)


def test_identifiers_are_the_same_for_both_transports(options):
    """A change of transport therefore needs no lead read again."""
    contact = Contact(emails=("jeanne@maison.example",), phones=("01 99 00 47 11",))
    found = [GoogleSink(options(transport)).hash_contact(contact) for transport in BOTH]

    assert found[0] == found[1]
    assert 2 == len(found[0])


@pytest.mark.parametrize("present", BOTH)
@pytest.mark.parametrize("frozen_for", BOTH)
def test_both_transports_use_the_accounts_key_and_endpoint(options, present, frozen_for):
    """A transport created for a replay asks the account's own token server; nothing listens, so nothing is sent."""
    addresses = {"data_manager_endpoint": "http://127.0.0.1:9", "ads_api_endpoint": "http://127.0.0.1:9"}
    sink = GoogleSink(options(present, **addresses))
    target = Target(frozen_for, "1234567890", "987654322", "WEB")
    encode = data_manager.encode_event if frozen_for == "data_manager" else ads_api.encode_event
    receipt = sink.submit(target, [EncodedEvent(EVENT.key, encode(EVENT))])

    assert isinstance(receipt, RequestNotSent)
    assert not isinstance(receipt, AnswerLost | ReceivedForProcessing)


@pytest.mark.parametrize("present", BOTH)
def test_an_unusable_key_file_is_refused_on_creation(tmp_path, present):
    """It fails before anything is read from Oplead."""
    (tmp_path / "key.json").write_text("{}")
    options = GoogleOptions("1234567890", None, tmp_path / "key.json", present)

    with pytest.raises(Misconfigured, match="key file"):
        GoogleSink(options)


@pytest.mark.parametrize(
    ("present", "loaded", "not_loaded"),
    [
        ("data_manager", "google.ads.datamanager_v1", "google.ads.googleads"),
        ("google_ads_api", "google.ads.googleads", "google.ads.datamanager_v1"),
    ],
)
def test_the_other_transports_library_is_loaded_only_when_needed(key_file, present, loaded, not_loaded):
    """Creation, limits and hashes load neither; encoding loads the configured one, a replay of its events the other."""
    script = f"""
import sys
from pathlib import Path
from connectors.google_ads.options import GoogleOptions
from connectors.google_ads.sink import GoogleSink
from connectors.records import *
from datetime import UTC, datetime
from functools import partial

sink = GoogleSink(GoogleOptions("1234567890", None, Path({str(key_file)!r}), {present!r}))
sink.limits, sink.hash_contact(Contact(emails=("jeanne@maison.example",)))
print({loaded!r} in sys.modules, {not_loaded!r} in sys.modules)
target = Target({present!r}, "1234567890", "987654322", "WEB")
click = ClickId(ClickIdKind.GCLID, "Cj0KCQ-Invented_Click")
at = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)
body = sink.encode(ConversionEvent(DeliveryKey("sale-1"), target, at, click, (), None, Consent(None, None)))
sink.submit(target, [EncodedEvent(DeliveryKey("sale-1"), body)])
print({loaded!r} in sys.modules, {not_loaded!r} in sys.modules, "facebook_business" in sys.modules)
other = "data_manager" if {present!r} == "google_ads_api" else "google_ads_api"
sink.submit(Target(other, "1234567890", "987654322", "WEB"), [EncodedEvent(DeliveryKey("sale-1"), b"?")])
print({not_loaded!r} in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )

    assert "" == done.stderr
    assert ["False False", "True False False", "True"] == done.stdout.splitlines()
