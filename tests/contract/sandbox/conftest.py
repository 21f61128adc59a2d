"""Hand-written requests, sent with nothing but the standard library and a raw gRPC channel."""

import http.client
import json
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import grpc
import pytest


@dataclass(frozen=True)
class Answer:
    """One HTTP response."""

    status: int
    headers: dict
    body: bytes

    def json(self):
        """The body, which must be JSON."""
        return json.loads(self.body)


def _ask(url, line, body=None, headers=()):
    method, path = line.split(" ", 1)
    data = json.dumps(body).encode() if isinstance(body, dict | list) else body
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request(method, path, data, dict(headers))
        response = connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, named, response.read())
    finally:
        connection.close()


@dataclass(frozen=True)
class Reply:
    """The outcome of a gRPC call: its code, and either messages or a GoogleAdsFailure, all as bytes."""

    code: str
    details: str
    messages: tuple
    failure: bytes | None
    metadata: dict


@contextmanager
def _dialled(url, certificate=None):
    target = urlsplit(url).netloc
    channel = (
        grpc.insecure_channel(target)
        if certificate is None
        else grpc.secure_channel(target, grpc.ssl_channel_credentials(certificate))
    )
    with channel:
        yield lambda path, message, metadata=(), timeout=10: _call(channel, path, message, metadata, timeout)


def _call(channel, path, message, metadata, timeout):
    call = channel.unary_stream(path)(message, metadata=tuple(metadata), timeout=timeout)
    try:
        messages = tuple(call)
    except grpc.RpcError:
        messages = ()
    trailing = dict(call.trailing_metadata() or ())
    failure = trailing.pop("google.ads.googleads.v26.errors.googleadsfailure-bin", None)
    return Reply(call.code().name, call.details(), messages, failure, trailing)


@pytest.fixture
def dialled():
    """Open a raw channel: within `dialled(url)`, `call(path, message, metadata)` sends and returns bytes."""
    return _dialled


@pytest.fixture
def ask():
    """Send one request on its own connection: `ask(url, "GET /path", body, headers)`; dicts go as JSON."""
    return _ask
