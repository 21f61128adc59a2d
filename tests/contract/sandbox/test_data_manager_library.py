"""The sandbox's Data Manager as the vendor's own REST client sees it, over a real socket."""

import hashlib
import json
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from google.ads import datamanager_v1 as vendor
from google.ads.datamanager_v1.services.ingestion_service.transports import IngestionServiceRestTransport
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.protobuf.json_format import MessageToDict

from connectors.sandbox.google.data_manager.server import SandboxDataManager
from connectors.sandbox.platform import Faults
from connectors.sandbox.server import Server

NOON = datetime(2026, 7, 20, 12, tzinfo=UTC)
ADS = vendor.ProductAccount.AccountType.GOOGLE_ADS


class Night:
    """A clock that tests move by hand."""

    now = NOON


@pytest.fixture
def night() -> Night:
    """The clock of the platform."""
    return Night()


@pytest.fixture
def platform(night: Night) -> SandboxDataManager:
    """A platform that knows one click."""
    platform = SandboxDataManager(lambda: night.now, lambda _: True)
    click = {"clicked_at": "2026-07-18T08:00:00Z", "customer": "1234567890"}
    platform.register_clicks({"click-1": click})
    return platform


@pytest.fixture
def client(platform: SandboxDataManager, night: Night) -> Iterator[vendor.IngestionServiceClient]:
    """The vendor's client, pointed at the platform."""
    with Server("data_manager", platform.handle, Faults(), lambda: night.now) as server:
        with warnings.catch_warnings():
            # The library itself warns about Pythons that Google will stop supporting.
            warnings.simplefilter("ignore", FutureWarning)
            transport = IngestionServiceRestTransport(
                host=server.url.removeprefix("http://"),
                url_scheme="http",
                credentials=AnonymousCredentials(),
            )
        try:
            yield vendor.IngestionServiceClient(transport=transport)
        finally:
            transport.close()


def request(**change: object) -> vendor.IngestEventsRequest:
    """One sale behind a click, as the library builds it."""
    sale = {
        "transaction_id": "sale-1",
        "event_timestamp": datetime(2026, 7, 19, 9, tzinfo=UTC),
        "event_source": vendor.EventSource.WEB,
        "ad_identifiers": vendor.AdIdentifiers(gclid="click-1"),
        "consent": vendor.Consent(ad_user_data=vendor.ConsentStatus.CONSENT_GRANTED),
        "conversion_value": 12500.5,
        "currency": "EUR",
        "user_data": vendor.UserData(user_identifiers=[vendor.UserIdentifier(email_address="a" * 64)]),
    }
    return vendor.IngestEventsRequest(
        destinations=[
            vendor.Destination(
                operating_account=vendor.ProductAccount(account_type=ADS, account_id="1234567890"),
                login_account=vendor.ProductAccount(account_type=ADS, account_id="1112223333"),
                product_destination_id="987654322",
            )
        ],
        events=[vendor.Event(**{**sale, **change})],
        encoding=vendor.Encoding.HEX,
    )


def test_library_ingests_and_reads_success(client, night):
    """The status is PROCESSING first and SUCCESS twenty minutes later."""
    request_id = client.ingest_events(request(), retry=None).request_id
    statuses = []
    for _ in range(2):
        answer = client.retrieve_request_status(vendor.RetrieveRequestStatusRequest(request_id=request_id), retry=None)
        [destination] = answer.request_status_per_destination
        statuses.append(destination.request_status.name)
        night.now += timedelta(minutes=20)

    assert ["PROCESSING", "SUCCESS"] == statuses
    assert "987654322" == destination.destination.product_destination_id
    assert 1 == destination.events_ingestion_status.record_count


def test_library_reads_failure_reasons_without_row_indices(client, night):
    """Record indices are newer than the library, which drops them."""
    lost = request(ad_identifiers=vendor.AdIdentifiers(gclid="unheard-of"))
    request_id = client.ingest_events(lost, retry=None).request_id
    night.now += timedelta(minutes=20)

    answer = client.retrieve_request_status(vendor.RetrieveRequestStatusRequest(request_id=request_id), retry=None)

    [destination] = answer.request_status_per_destination
    [count] = destination.error_info.error_counts
    assert "FAILED" == destination.request_status.name
    assert ("PROCESSING_ERROR_REASON_CLICK_NOT_FOUND", 1) == (count.reason.name, count.record_count)
    assert "record_indices" not in type(count).meta.fields


def test_library_raises_bad_request_with_details(client):
    """Over REST the library leaves Google's details as JSON."""
    with pytest.raises(exceptions.BadRequest) as refused:
        client.ingest_events(request(event_source=0), retry=None)

    [violation] = refused.value.details[2]["fieldViolations"]
    assert ("INVALID_ARGUMENT", "datamanager.googleapis.com") == (refused.value.reason, refused.value.domain)
    assert ("events.events[0].event_source", "REQUIRED_FIELD_MISSING") == (
        violation["field"],
        violation["reason"],
    )


def test_library_raises_forbidden_without_login_account(client):
    """The destination lacks its manager account."""
    alone = request()
    alone.destinations[0].login_account = None

    with pytest.raises(exceptions.Forbidden):
        client.ingest_events(alone, retry=None)


def test_validate_only_returns_no_request_id(client):
    """A request that only validates gets an empty answer."""
    checked = request()
    checked.validate_only = True

    assert "" == client.ingest_events(checked, retry=None).request_id


def test_book_digest_matches_the_library_message(client, platform, night):
    """The digest is the SHA-256 of the message's sorted, compact JSON."""
    sent = request()
    client.ingest_events(sent, retry=None)
    night.now += timedelta(minutes=20)
    plain = MessageToDict(vendor.Event.pb(sent.events[0]), use_integers_for_enums=True)
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    [line] = platform.conversions_json()

    assert hashlib.sha256(text.encode()).hexdigest() == line["digest"]
