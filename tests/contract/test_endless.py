"""Answers without an end and without a limit: each ends in time, and no upload of unknown state is called unsent."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import httpx
import pytest

from connectors import one_call
from connectors.errors import Misconfigured, Transient
from connectors.oplead import OpleadClient, OpleadOptions, OpleadSource
from connectors.rate_limit import Pacer
from connectors.records import LeadId, Lost, NotSent, UnreadableLead
from tests import suite
from tests.contract.endless import ENDLESS, Endless, body_without_end, bomb, dripping_head, endless, error_without_end
from tests.contract.google_ads.conftest import AdsApi, Google, private_key
from tests.contract.meta.conftest import Meta
from tests.fakes import FakeClock

__all__ = ["private_key"]

BOUND = 30  # seconds after which a test fails instead of waiting on
LONG = 60.0  # seconds; a timeout that no test reaches


class Stopped(BaseException):
    """Somebody asked to stop."""


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
    """A source on a server."""
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
    """Every page, or what stops the pull."""
    with source:
        return list(source.fetch_changes(None, resume=None, is_known=lambda _id, _digest: False))


def all_end(server: Endless) -> bool:
    """Whether every connection is let go of, by us."""
    return all(server.ended.acquire(timeout=BOUND) for _ in range(server.asked)) and not server.waited_out


@pytest.mark.parametrize("way", suite.mostly_exhaustive(ENDLESS, "body"))
def test_a_reading_without_end_is_given_up_like_any_other_fault(way):
    """Five attempts, none of which goes on afterwards."""
    with endless(ENDLESS[way]) as server:
        with pytest.raises(Transient):
            pull(oplead(server.url, timeout=0.1))

        assert 5 == server.asked
        assert all_end(server)


@pytest.mark.parametrize("script", ENDLESS.values(), ids=ENDLESS)
def test_an_upload_to_meta_without_end_is_a_lost_answer(meta, script):
    """It may have been taken."""
    with endless(script) as server:
        meta.use(graph_url=server.url, timeout=(0.2, 0.2))

        assert Lost("ReadTimeout") == meta.submit()
        assert all_end(server)


@pytest.mark.parametrize("way", suite.mostly_exhaustive(ENDLESS, "body"))
def test_an_upload_to_google_without_end_is_a_lost_answer(google, way):
    """It may have been taken."""
    with endless(ENDLESS[way]) as server:
        google.use(data_manager_endpoint=server.url, timeout=0.2)

        assert Lost("ReadTimeout") == google.submit()
        assert all_end(server)


@pytest.mark.parametrize("way", suite.mostly_exhaustive(ENDLESS, "body"))
def test_a_status_without_end_is_asked_again_later(google, way):
    """Nothing is concluded of it."""
    with endless(ENDLESS[way]) as server:
        google.use(data_manager_endpoint=server.url, timeout=0.2)

        with pytest.raises(Transient):
            google.resolve()
        assert all_end(server)


@pytest.mark.parametrize("way", suite.mostly_exhaustive(ENDLESS, "body"))
def test_a_token_server_without_end_has_sent_nothing(google, way):
    """The upload itself was never made."""
    with endless(ENDLESS[way]) as server:
        google.use(key_file=google.key_file(f"{server.url}/token"), timeout=0.2)

        assert isinstance(google.submit(), NotSent)
        assert all_end(server)
        assert [] == google.api.calls


class Stop:
    """A cancel token that is set as soon as a server was asked."""

    def __init__(self, server: Endless) -> None:
        self._server = server

    def __call__(self) -> None:
        if self._server.asked:
            raise Stopped


def test_a_stop_ends_a_reading_under_way():
    """Long before its deadline."""
    with endless(dripping_head) as server:
        with pytest.raises(Stopped):
            pull(oplead(server.url, timeout=LONG, cancel_token=Stop(server)))

        assert 1 == server.asked
        assert all_end(server)


def test_a_stop_ends_leads_own_pages_under_way():
    """All of those that are asked for at once."""
    with endless(dripping_head) as server, oplead(server.url, timeout=LONG, cancel_token=Stop(server)) as source:
        with pytest.raises(Stopped):
            list(source.fetch_each([LeadId(f"L-{number}") for number in range(20)]))

        assert 8 >= server.asked
        assert all_end(server)


def test_a_stop_gives_an_upload_a_little_longer_and_then_loses_its_answer(meta, google, monkeypatch):
    """Both SDKs; what was sent may have been taken."""
    from connectors.google_ads.data_manager.sink import DataManagerSink  # noqa: PLC0415
    from connectors.meta.sink import MetaSink  # noqa: PLC0415

    for module in ("connectors.meta.sink", "connectors.google_ads.data_manager.sink"):
        monkeypatch.setattr(f"{module}.UPLOAD_GRACE", 0.1)
    for make, played, where in ((MetaSink, meta, "graph_url"), (DataManagerSink, google, "data_manager_endpoint")):
        with endless(dripping_head) as server:
            played.use(timeout=LONG, **{where: server.url})
            sink = make(replace(played.options, cancel_token=Stop(server)))
            batch = played.batch(1) if make is MetaSink else _frozen(google)

            assert Lost("ReadTimeout") == sink.submit(played.target, batch)
            assert all_end(server)


def test_a_stop_ends_a_call_by_grpc_too(tmp_path, private_key, monkeypatch):
    """Its own deadline is minutes away."""
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

    assert Lost("CANCELLED") == receipt


def test_an_upload_that_is_answered_after_the_stop_is_what_its_answer_says(meta):
    """A stop throws no receipt away."""
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


# ── without limit ────────────────────────────────────────────────────────────────────────────────

TOO_LARGE = {"a body without end": body_without_end, "a gzip bomb": bomb(megabytes=80)}


@pytest.mark.parametrize("script", TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_page_without_limit_is_refused_and_its_setting_named(script):
    """Asked for once: it would be no smaller the next time."""
    with endless(script) as server:
        with pytest.raises(Misconfigured, match=r"more than 1 MB.*largest_page_mb"):
            pull(oplead(server.url, timeout=LONG, largest_page_mb=1))

        assert 1 == server.asked


@pytest.mark.parametrize("script", TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_leads_own_page_without_limit_is_that_leads_fault(script):
    """Until it is everyone's."""
    with endless(script) as server, oplead(server.url, timeout=LONG, largest_page_mb=1) as source:
        found = dict(source.fetch_each([LeadId("L-1")]))

        assert isinstance(found[LeadId("L-1")], UnreadableLead)
        assert "0.0625 MB" in found[LeadId("L-1")].reason


def test_an_error_without_limit_is_known_by_its_status():
    """Of its body only a little is read."""
    with endless(error_without_end) as server, pytest.raises(Misconfigured, match="404 on /v1/leads"):
        pull(oplead(server.url, timeout=LONG))


@pytest.mark.parametrize("script", TOO_LARGE.values(), ids=TOO_LARGE)
def test_an_uploads_answer_without_limit_is_lost(meta, google, script):
    """Whatever it says at its beginning."""
    for played, where in ((meta, "graph_url"), (google, "data_manager_endpoint")):
        with endless(script) as server:
            played.use(timeout=LONG, **{where: server.url})

            assert Lost("AnswerTooLarge") == played.submit()


def test_a_token_without_limit_is_none(google):
    """And nothing was sent."""
    with endless(body_without_end) as server:
        google.use(key_file=google.key_file(f"{server.url}/token"), timeout=LONG)

        assert isinstance(google.submit(), NotSent)


def test_an_sdks_answer_may_be_as_large_as_its_bound(meta):
    """Byte for byte."""
    body = b'{"events_received": 1}'
    meta.say_bytes(body + b" " * (one_call.LARGEST_ANSWER - len(body)))

    assert ["received"] == [outcome.code for outcome in meta.submit().outcomes]
