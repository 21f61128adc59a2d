"""Endless and unlimited answers: each call ends in time, and no upload of unknown state is reported as unsent."""

import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import httpx
import pytest

from connectors import one_call
from connectors.errors import Misconfigured, Transient
from connectors.oplead.client import OpleadClient
from connectors.oplead.options import OpleadOptions
from connectors.oplead.source import OpleadSource
from connectors.rate_limit import Pacer
from connectors.records import AnswerLost, LeadId, RequestNotSent, UnreadableLead
from tests import suite
from tests.contract.endless import (
    ENDLESS,
    Endless,
    body_without_end,
    bomb,
    cut_after,
    dripping_body,
    dripping_head,
    endless,
    error_without_end,
)
from tests.contract.google_ads.conftest import AdsApi, Google, private_key
from tests.contract.meta.conftest import Meta
from tests.fakes import FakeClock

__all__ = ["private_key"]

BOUND = 30  # seconds after which a test fails instead of waiting longer
LONG = 60.0  # seconds; a timeout that no test reaches


class Stopped(BaseException):
    """Raised by a cancel token."""


@pytest.fixture
def google(tmp_path, private_key):
    """Google on loopback."""
    played = Google(tmp_path, private_key)
    yield played
    played.close()


@pytest.fixture
def meta():
    """Meta on loopback."""
    played = Meta()
    yield played
    played.close()


def oplead(url, *, timeout=0.2, cancel_token=None, **options):
    """Open a source on a server."""
    clock = FakeClock(datetime(2026, 7, 21, 3, 30, tzinfo=UTC))
    client = OpleadClient(
        OpleadOptions(token="tok", zone=ZoneInfo("Europe/Paris"), base_url=url, **options),
        clock=clock,
        pacer=Pacer(clock, 90),
        timeout=httpx.Timeout(timeout),
        jitter=lambda: 1.0,
        cancel_token=cancel_token,
    )
    return OpleadSource(client)


def pull(source):
    """Read every page, or raise what stops the pull."""
    with closing(source):
        return list(source.fetch_changes(None, resume=None, find_known=lambda _: ()))


def all_end(server: Endless) -> bool:
    """Whether our side closed every connection."""
    return all(server.ended.acquire(timeout=BOUND) for _ in range(server.asked)) and not server.waited_out


@pytest.mark.parametrize("way", suite.mostly_exhaustive(ENDLESS, "body"))
def test_an_endless_list_answer_ends_by_one_deadline_with_its_retries(way):
    """Nothing stays connected afterwards."""
    with endless(ENDLESS[way]) as server:
        with pytest.raises(Transient):
            pull(oplead(server.url, timeout=0.1))

        assert 1 == server.asked
        assert all_end(server)


@pytest.mark.parametrize("drip", [dripping_head, dripping_body])
def test_answers_that_drip_and_are_cut_share_one_deadline(drip):
    """No retry has the whole time again: of five attempts that last as long, two are begun, and one is ended."""
    with endless(cut_after(1.0, drip)) as server:
        began = time.monotonic()
        with pytest.raises(Transient):
            pull(oplead(server.url, timeout=0.4))

        assert 1.6 <= time.monotonic() - began < 3.0
        assert 2 == server.asked
        assert all_end(server)


@pytest.mark.parametrize("script", ENDLESS.values(), ids=ENDLESS)
def test_endless_answer_to_a_meta_upload_is_lost(meta, script):
    """The upload may have been accepted."""
    with endless(script) as server:
        meta.use(graph_url=server.url, timeout=(0.2, 0.2))

        assert AnswerLost("ReadTimeout") == meta.submit()
        assert all_end(server)


@pytest.mark.parametrize("way", suite.mostly_exhaustive(ENDLESS, "body"))
def test_endless_answer_to_a_google_upload_is_lost(google, way):
    """The upload may have been accepted."""
    with endless(ENDLESS[way]) as server:
        google.use(data_manager_endpoint=server.url, timeout=0.2)

        assert AnswerLost("ReadTimeout") == google.submit()
        assert all_end(server)


@pytest.mark.parametrize("way", suite.mostly_exhaustive(ENDLESS, "body"))
def test_endless_answer_to_a_status_request_is_transient(google, way):
    """Nothing is concluded from it."""
    with endless(ENDLESS[way]) as server:
        google.use(data_manager_endpoint=server.url, timeout=0.2)

        with pytest.raises(Transient):
            google.resolve()
        assert all_end(server)


@pytest.mark.parametrize("way", suite.mostly_exhaustive(ENDLESS, "body"))
def test_endless_answer_from_the_token_server_is_not_sent(google, way):
    """The upload itself never goes out."""
    with endless(ENDLESS[way]) as server:
        google.use(key_file=google.key_file(f"{server.url}/token"), timeout=0.2)

        assert isinstance(google.submit(), RequestNotSent)
        assert all_end(server)
        assert [] == google.api.calls


class Stop:
    """A cancel token that fires once the server has received a request."""

    def __init__(self, server: Endless) -> None:
        self._server = server

    def __call__(self) -> None:
        if self._server.asked:
            raise Stopped


def test_cancel_token_ends_a_list_request_in_flight():
    """It does so long before the timeout."""
    with endless(dripping_head) as server:
        with pytest.raises(Stopped):
            pull(oplead(server.url, timeout=LONG, cancel_token=Stop(server)))

        assert 1 == server.asked
        assert all_end(server)


def test_cancel_token_ends_every_detail_fetch_in_flight():
    """Concurrent fetches all end."""
    with (
        endless(dripping_head) as server,
        closing(oplead(server.url, timeout=LONG, cancel_token=Stop(server))) as source,
    ):
        with pytest.raises(Stopped):
            list(source.fetch_each([LeadId(f"L-{number}") for number in range(20)]))

        assert 8 >= server.asked
        assert all_end(server)


def test_cancelled_upload_is_lost_after_a_grace_period(meta, google, monkeypatch):
    """Holds for both SDKs; the upload may have been accepted."""
    from connectors.google_ads.data_manager.sink import DataManagerSink  # noqa: PLC0415
    from connectors.meta.sink import MetaSink  # noqa: PLC0415

    for module in ("connectors.meta.sink", "connectors.google_ads.data_manager.sink"):
        monkeypatch.setattr(f"{module}.UPLOAD_GRACE", 0.1)
    for make, played, where in ((MetaSink, meta, "graph_url"), (DataManagerSink, google, "data_manager_endpoint")):
        with endless(dripping_head) as server:
            played.use(timeout=LONG, **{where: server.url})
            sink = make(replace(played.options, cancel_token=Stop(server)))
            batch = played.batch(1) if make is MetaSink else _frozen(google)

            assert AnswerLost("ReadTimeout") == sink.submit(played.target, batch)
            assert all_end(server)


def test_cancel_token_ends_a_grpc_call(tmp_path, private_key, monkeypatch):
    """The call's own deadline is a minute away."""
    from connectors.google_ads.ads_api.sink import AdsApiSink  # noqa: PLC0415
    from connectors.records import DeliveryKey, EncodedEvent  # noqa: PLC0415

    monkeypatch.setattr("connectors.google_ads.ads_api.client.UPLOAD_GRACE", 0.1)
    ads = AdsApi(tmp_path, private_key)
    ads.api.stay_silent()
    ads.use(timeout=LONG)

    def stopped() -> None:
        if ads.api.calls:
            raise Stopped

    batch = [EncodedEvent(DeliveryKey("key-0"), ads.sink.encode(ads.event()))]
    receipt = AdsApiSink(replace(ads.options, cancel_token=stopped)).submit(ads.target, batch)
    ads.close()

    assert AnswerLost("CANCELLED") == receipt


def test_keeps_the_receipt_of_an_upload_answered_after_cancellation(meta):
    """A stop discards no receipt."""
    from connectors.meta.sink import MetaSink  # noqa: PLC0415

    may_answer = threading.Event()

    def stopped() -> None:
        may_answer.set()
        raise Stopped

    def answers_then(line, _over) -> None:
        may_answer.wait(BOUND)
        body = b'{"events_received": 1}'
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    with endless(answers_then) as server:
        meta.use(graph_url=server.url, timeout=LONG)

        receipt = MetaSink(replace(meta.options, cancel_token=stopped)).submit(meta.target, meta.batch(1))

    assert ["received"] == [outcome.code for outcome in receipt.outcomes]


def _frozen(google):
    from connectors.records import DeliveryKey, EncodedEvent  # noqa: PLC0415

    return [EncodedEvent(DeliveryKey("key-0"), google.sink.encode(google.event()))]


# ── unlimited answers ────────────────────────────────────────────────────────────────────────────

TOO_LARGE = {"a body without end": body_without_end, "a gzip bomb": bomb(megabytes=80)}


@pytest.mark.parametrize("script", TOO_LARGE.values(), ids=TOO_LARGE)
def test_oversized_page_is_misconfigured_and_names_the_setting(script):
    """It is requested only once, as it would be no smaller the next time."""
    with endless(script) as server:
        with pytest.raises(Misconfigured, match=r"more than 1 MB.*largest_page_mb"):
            pull(oplead(server.url, timeout=LONG, largest_page_mb=1))

        assert 1 == server.asked


@pytest.mark.parametrize("script", TOO_LARGE.values(), ids=TOO_LARGE)
def test_oversized_detail_page_makes_its_lead_unreadable(script):
    """A single lead does not stop the pull."""
    with endless(script) as server, closing(oplead(server.url, timeout=LONG, largest_page_mb=1)) as source:
        found = dict(source.fetch_each([LeadId("L-1")]))

        assert isinstance(found[LeadId("L-1")], UnreadableLead)
        assert "0.0625 MB" in found[LeadId("L-1")].reason


def test_unlimited_error_body_is_reported_by_its_status():
    """Only a little of the body is read."""
    with endless(error_without_end) as server, pytest.raises(Misconfigured, match="404 on /v1/leads"):
        pull(oplead(server.url, timeout=LONG))


@pytest.mark.parametrize("script", TOO_LARGE.values(), ids=TOO_LARGE)
def test_oversized_answer_to_an_upload_is_lost(meta, google, script):
    """The beginning of its body does not count."""
    for played, where in ((meta, "graph_url"), (google, "data_manager_endpoint")):
        with endless(script) as server:
            played.use(timeout=LONG, **{where: server.url})

            assert AnswerLost("AnswerTooLarge") == played.submit()


def test_unlimited_token_answer_is_not_sent(google):
    """No upload goes out without a token."""
    with endless(body_without_end) as server:
        google.use(key_file=google.key_file(f"{server.url}/token"), timeout=LONG)

        assert isinstance(google.submit(), RequestNotSent)


def test_accepts_an_answer_exactly_at_the_size_limit(meta):
    """The bound is exact to the byte."""
    body = b'{"events_received": 1}'
    meta.say_bytes(body + b" " * (one_call.LARGEST_ANSWER - len(body)))

    assert ["received"] == [outcome.code for outcome in meta.submit().outcomes]
