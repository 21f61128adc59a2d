"""Reading what is written to Oplead: JSON and form bodies, and the parts of a lead in the shape's own names."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from connectors.sandbox.oplead.leads.rendering import PAIRS, ZONE, Fields, instant, wire_name
from connectors.sandbox.oplead.options import Options
from connectors.sandbox.oplead.settings import CUSTOM_FIELDS
from connectors.sandbox.oplead.shape import Shape
from connectors.sandbox.server import WireRequest

LONGEST_TEXT: Final = 2_000


class RefusedError(Exception):
    """The request is refused with this status; the text says why."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = headers or {}


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


def multipart(request: WireRequest) -> list[Part]:
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


def form_fields(request: WireRequest) -> dict[str, str]:
    """Parse a flat form: JSON, urlencoded or multipart; of a repeated variable the last value counts."""
    match media_type(request):
        case "application/json":
            return {name: value for name, value in json_object(request).items() if isinstance(value, str)}
        case "application/x-www-form-urlencoded":
            return dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        case "multipart/form-data":
            parts = (part for part in multipart(request) if part.filename is None)
            return {part.name: part.content.decode("utf-8", "replace") for part in parts}
    raise RefusedError(415, "the body is JSON, urlencoded or multipart/form-data")


def only(body: Fields, names: Iterable[str], options: Options) -> Fields:
    """Return the body; raise RefusedError if it has other names than these, unless they are ignored."""
    allowed = frozenset(names)
    known = {name: value for name, value in body.items() if name in allowed}
    if len(known) != len(body) and options.unknown_fields == "refused":
        raise RefusedError(400, "the body has a name that does not belong there")
    return known


# ── a lead's parts ───────────────────────────────────────────────────────────────────────────────

CONTACT: Final = ("civility", "firstname", "lastname", "email", "phone", "mobile")
ADDRESS: Final = ("street", "postcode", "city", "country")
UTM: Final = ("utm_source", "utm_medium", "utm_campaign")

Places = Mapping[str, object]
"""What may be written: by wire name, the path of a value in an untranslated lead, or the places within an object."""


def lead_parts(body: Fields, shape: Shape, options: Options) -> dict[str, object]:
    """Return the parts of an untranslated lead that a body in the shape's names writes."""
    container = wire_name("leadData", shape)
    if shape.lead_data != "object" and container in body:
        body = {**body, container: _from_pairs(body[container], PAIRS[shape.lead_data])}
    parts: dict[str, object] = {}
    for path, value in _read(body, _places(shape), options):
        target = parts
        for folder in path[:-1]:
            target = target.setdefault(folder, {})  # type: ignore[assignment]  # folders are dicts by construction
        target[path[-1]] = _checked(path, value)
    return parts


def require_reachable(lead: Fields) -> None:
    """Raise RefusedError unless the lead has an e-mail address or a telephone number."""
    contact = lead.get("contact")
    known = contact if isinstance(contact, Mapping) else {}
    if not any(str(known.get(name) or "").strip() for name in ("email", "phone", "mobile")):
        raise RefusedError(422, "a lead needs an e-mail address or a telephone number")


def only_writable(lead: object, shape: Shape) -> object:
    """Return the parts of a lead on the wire that may be written."""
    return _within(lead, _places(shape))


def _within(value: object, places: object) -> object:
    if not isinstance(places, Mapping) or not isinstance(value, Mapping):
        return value
    return {name: _within(one, places[name]) for name, one in value.items() if name in places}


def _places(shape: Shape) -> Places:
    def named(names: Iterable[str], *folder: str) -> dict[str, object]:
        return {wire_name(name, shape): (*folder, name) for name in names}

    click_id = "externalID" if shape.external_id == "tracking" else shape.external_id
    contact, address = named(CONTACT, "contact"), named(ADDRESS, "address")
    utm, data = named(UTM, "leadData"), named(CUSTOM_FIELDS, "leadData")
    tracking = {click_id: ("leadData", "externalID"), **utm}
    people: Mapping[str, dict[str, object]] = {
        "nested": {"contact": contact, "address": address},
        "flat": contact | address,
        "customer": {"customer": {**contact, "address": address}},
    }
    objects: dict[str, object] = {
        "leadData": data if shape.external_id == "tracking" else data | tracking,
        "provider": named(("name", "url"), "provider"),
        "appointment": named(("date",), "appointment"),
        **({"tracking": tracking} if shape.external_id == "tracking" else {}),
        **people[shape.contact],
    }
    top = named(("channel", "agency", "amount"))
    return utm | top | {wire_name(name, shape): _renamed_places(each, shape) for name, each in objects.items()}


def _renamed_places(places: object, shape: Shape) -> object:
    """Give the objects within an object their names in the shape."""
    if not isinstance(places, Mapping):
        return places
    return {
        wire_name(name, shape) if isinstance(each, Mapping) else name: _renamed_places(each, shape)
        for name, each in places.items()
    }


def _read(body: Fields, places: Places, options: Options) -> Iterable[tuple[tuple[str, ...], object]]:
    """Yield each value of a body with its path in an untranslated lead."""
    for name, value in only(body, places, options).items():
        place = places[name]
        if isinstance(place, tuple):
            yield place, value
        elif isinstance(place, Mapping) and isinstance(value, Mapping):
            yield from _read(value, place, options)
        elif value is None and isinstance(place, Mapping):
            yield from ((path, None) for path in place.values() if isinstance(path, tuple))
        else:
            raise RefusedError(422, f"{name} is an object")


def _from_pairs(value: object, name: str) -> object:
    pairs = {}
    for entry in value if isinstance(value, list) else [None]:
        if not isinstance(entry, dict) or entry.keys() != {name, "value"}:
            raise RefusedError(422, f"leadData is a list of objects of {name} and value")
        pairs[str(entry[name])] = entry["value"]
    return pairs


def _checked(path: tuple[str, ...], value: object) -> object:
    """Return a value that its place may hold."""
    if value is None:
        return None
    if path == ("amount",) and isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise RefusedError(422, f"{path[-1]} is a text of at most {LONGEST_TEXT} characters")
    if path[-1] == "email" and value.strip() and "@" not in value:
        raise RefusedError(422, "email is an e-mail address")
    if path == ("provider", "url"):
        require_callable(value)
    if path == ("appointment", "date"):
        moment = instant(value)
        if moment is None:
            raise RefusedError(422, "an appointment's date is a time in ISO 8601")
        return moment.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S")
    return value


def require_callable(url: object) -> None:
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
