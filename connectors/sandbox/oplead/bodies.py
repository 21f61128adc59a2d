"""Reading what is written to Oplead: JSON and form bodies, and addresses."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from connectors.sandbox.oplead.gate import RefusedError
from connectors.sandbox.oplead.leads.rendering import Fields
from connectors.sandbox.oplead.options import UndocumentedBehaviour
from connectors.sandbox.server import WireRequest


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body."""

    name: str
    filename: str | None
    content: bytes = field(repr=False)


def media_type(request: WireRequest) -> str:
    """Return the media type of a body, in lower case and without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def json_object(request: WireRequest) -> Fields:
    """Parse a JSON body."""
    if media_type(request) != "application/json":
        raise RefusedError(415, "the body is application/json")
    try:
        body = request.json()
    except (ValueError, RecursionError):
        raise RefusedError(400, "the body is not valid JSON") from None
    if not isinstance(body, dict):
        raise RefusedError(400, "the body is a JSON object")
    return body


def parse_multipart(request: WireRequest) -> list[Part]:
    """Parse a multipart/form-data body (RFC 7578)."""
    if media_type(request) != "multipart/form-data":
        raise RefusedError(415, "the body is multipart/form-data")
    boundary = _headers(b"Content-Type: " + request.headers["content-type"].encode()).get_boundary("")
    pieces = (b"\r\n" + request.body).split(b"\r\n--" + boundary.encode())
    parts = pieces[1:-1]
    is_framed = pieces[0] == b"" and pieces[-1].rstrip(b"\r\n") == b"--"
    if not (boundary and parts and is_framed and all(part.startswith(b"\r\n") for part in parts)):
        raise RefusedError(400, "the multipart body is malformed")
    return [_part(part.removeprefix(b"\r\n")) for part in parts]


def _part(text: bytes) -> Part:
    head, _, content = text.partition(b"\r\n\r\n")
    headers = _headers(head)
    name = headers.get_param("name", header="content-disposition")
    if headers.get_content_disposition() != "form-data" or not isinstance(name, str):
        raise RefusedError(400, "each part is form-data with a name")
    return Part(name, headers.get_filename(), content)


def _headers(text: bytes) -> Message:
    return BytesParser(policy=HTTP).parsebytes(text + b"\r\n\r\n", headersonly=True)


def parse_flat_form(request: WireRequest) -> dict[str, str]:
    """Parse a flat form: JSON, urlencoded or multipart; of a repeated variable the last value counts."""
    match media_type(request):
        case "application/json":
            return {name: value for name, value in json_object(request).items() if isinstance(value, str)}
        case "application/x-www-form-urlencoded":
            return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        case "multipart/form-data":
            parts = (part for part in parse_multipart(request) if part.filename is None)
            return {part.name: part.content.decode("utf-8", "replace") for part in parts}
    raise RefusedError(415, "the body is JSON, urlencoded or multipart/form-data")


def reject_unknown_fields(body: Fields, names: Iterable[str], options: UndocumentedBehaviour) -> Fields:
    """Return the body; raise RefusedError if it has other names than these, unless they are ignored."""
    allowed = frozenset(names)
    known = {name: value for name, value in body.items() if name in allowed}
    if len(known) != len(body) and options.unknown_fields == "refused":
        raise RefusedError(400, "the body has a name that does not belong there")
    return known


def require_valid_webhook_address(url: object) -> None:
    """Raise RefusedError unless webhooks can go to this address: https, or http on this machine."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        host = parts.hostname
    except ValueError:
        host = None
    is_here = host in LOOPBACK
    if not host or parts.scheme not in ("https", "http") or (parts.scheme == "http" and not is_here):
        raise RefusedError(422, "url is an https address, or an http address on this machine")


LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
