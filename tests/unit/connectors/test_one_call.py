"""Which failures happen before anything is sent, and how a call is ended."""

import gc
import socket
import ssl
import threading
import weakref

import pytest
import requests
from requests.exceptions import ChunkedEncodingError, ConnectTimeout, ProxyError, ReadTimeout, SSLError
from requests.exceptions import ConnectionError as RequestsConnectionError
from urllib3.exceptions import MaxRetryError, NameResolutionError, NewConnectionError, ProtocolError
from urllib3.exceptions import SSLError as TransportSSLError

from connectors.http import run_with_timeout, shut_down_socket
from connectors.one_call import never_connected, restrict_http_session, run_call


def _openssl(kind: type[ssl.SSLError], reason: str) -> ssl.SSLError:
    error = kind(1, f"[SSL: {reason}] invented")
    error.reason = reason
    return error


def _tls(error: ssl.SSLError) -> SSLError:
    """Wrap a TLS error as requests and urllib3 do."""
    return SSLError(MaxRetryError(None, "/", TransportSSLError(error)))


@pytest.mark.parametrize(
    "error",
    [
        RequestsConnectionError(MaxRetryError(None, "/", NewConnectionError(None, "refused"))),
        RequestsConnectionError(
            MaxRetryError(None, "/", NameResolutionError("nowhere.example", None, OSError("no name")))
        ),
        ConnectTimeout(),
        ProxyError(),
        _tls(_openssl(ssl.SSLCertVerificationError, "CERTIFICATE_VERIFY_FAILED")),
        _tls(_openssl(ssl.SSLError, "WRONG_VERSION_NUMBER")),
    ],
)
def test_a_failure_to_connect_sent_nothing(error):
    """The name, the connection or the TLS handshake failed."""
    assert never_connected(error)


@pytest.mark.parametrize(
    "error",
    [
        ReadTimeout(),
        ChunkedEncodingError(),
        RequestsConnectionError(ProtocolError("Connection aborted.", ConnectionResetError(104, "reset"))),
        _tls(_openssl(ssl.SSLEOFError, "UNEXPECTED_EOF_WHILE_READING")),
        _tls(_openssl(ssl.SSLError, "DECRYPTION_FAILED_OR_BAD_RECORD_MAC")),
    ],
)
def test_any_other_failure_may_have_sent_everything(error):
    """A TLS connection can also break after the request."""
    assert not never_connected(error)


def test_a_cancellation_during_the_tls_handshake_has_sent_nothing():
    """The server accepts the connection and never answers the handshake."""

    class Stopped(Exception):
        """The cancel token was set."""

    def stop():
        raise Stopped

    with socket.create_server(("127.0.0.1", 0)) as silent, requests.Session() as session:
        address = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        restrict_http_session(session, address)
        with pytest.raises((ConnectTimeout, Stopped)) as ended:
            run_call(session, lambda: session.post(address, data=b"x", timeout=20), 20.0, cancel_token=stop)

    assert not isinstance(ended.value, ReadTimeout)


def test_shutting_down_a_connection_keeps_its_tls_keys():
    """Otherwise data that another thread is sending would go out unencrypted."""
    ours, theirs = socket.socketpair()
    with theirs:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        line = context.wrap_socket(ours, do_handshake_on_connect=False, server_hostname="nowhere.example")
        with line:
            shut_down_socket(line)

            assert line._sslobj is not None
            assert theirs.recv(1) == b""


@pytest.mark.parametrize("is_torn", [False, True])
def test_a_result_after_the_deadline_is_a_timeout(is_torn):
    """Cutting the connection gives an error or a torn answer, and neither is a result of its own."""
    ended, threads = threading.Event(), []

    def call():
        threads.append(threading.current_thread())
        ended.wait(10)
        if is_torn:
            return "half a head"
        raise ConnectionError

    def abort():
        ended.set()
        threads[0].join(10)

    with pytest.raises(TimeoutError):
        run_with_timeout(call, 0.1, abort=abort)


class _Request:
    """Something large, which a weak reference shows to be gone."""


@pytest.fixture
def _no_search_for_cycles():
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_search_for_cycles")
def test_what_was_sent_is_gone_once_its_error_was_dealt_with():
    """Meta's answers come as errors: each would keep its request, of megabytes, until Python looks for cycles."""
    seen, before = [], threading.enumerate()

    def submit():
        request = _Request()
        seen.append(weakref.ref(request))

        def call():
            raise ValueError(request)

        try:
            run_with_timeout(call, 5)
        except ValueError:
            return "answered"

    assert "answered" == submit()
    for thread in threading.enumerate():
        if thread not in before:
            thread.join(5)
    assert seen[0]() is None
