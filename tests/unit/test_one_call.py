"""Which failures happened before anything was sent."""

import ssl

import pytest
from requests.exceptions import (
    ChunkedEncodingError,
    ConnectTimeout,
    ProxyError,
    ReadTimeout,
    SSLError,
)
from requests.exceptions import ConnectionError as RequestsConnectionError
from urllib3.exceptions import MaxRetryError, NameResolutionError, NewConnectionError, ProtocolError
from urllib3.exceptions import SSLError as TransportSSLError

from connectors.one_call import never_connected


def _openssl(kind: type[ssl.SSLError], reason: str) -> ssl.SSLError:
    error = kind(1, f"[SSL: {reason}] invented")
    error.reason = reason
    return error


def _tls(error: ssl.SSLError) -> SSLError:
    """As requests and urllib3 wrap it."""
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
    """No address, no connection, no TLS."""
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
