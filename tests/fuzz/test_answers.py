"""Answers: any bytes are either a list of leads with pages on the same host, or refused with a message."""

import json
from decimal import Decimal
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.errors import Misconfigured
from connectors.oplead.answers import OpleadAnswer
from connectors.oplead.client import OpleadClient
from connectors.oplead.options import ApiAuthScheme, OpleadOptions, PaginationOptions
from connectors.oplead.pagination import PageWalk
from connectors.oplead.parsing.fields import read_json
from connectors.oplead.parsing.items import find_lead_array
from tests.fuzz.corpus import cases
from tests.fuzz.effort import FUZZ, in_time

ORIGIN = "https://api.exemple.fr"
SAMPLES = cases("answers")
STYLES = st.sampled_from(["auto", "none", "page", "offset", "cursor", "next_url", "link_header"])
NAMES = st.sampled_from(["data", "items", "next", "nextCursor", "links", "href", "meta", "total", "hasMore", "id", "x"])
ADDRESSES = st.one_of(
    st.sampled_from(
        ["/v1/leads?page=2", "?page=2&token=t0ken", "https://api.exemple.fr:443/x", "http://api.exemple.fr/"]
    ),
    st.sampled_from(
        ["//ailleurs.example/", "https://ailleurs.example/MARQUEUR", "http://[", "?%74oken=t0ken", "\\\\x\\y"]
    ),
    st.text(max_size=12).map("https://api.exemple.fr{}".format),
    st.text("/?#:@.\\[]%&=token0", max_size=20),
    st.text(max_size=8),
)
BODIES = st.recursive(
    st.none() | st.booleans() | st.decimals() | ADDRESSES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)


def texts(value):
    """Every text in a value."""
    if isinstance(value, dict):
        return [text for name, inner in value.items() for text in [name, *texts(inner)]]
    if isinstance(value, list):
        return [text for inner in value for text in texts(inner)]
    return [value] if isinstance(value, str) else []


def numbers(value):
    """Every number in a value."""
    if isinstance(value, dict | list):
        return [number for inner in (value.values() if isinstance(value, dict) else value) for number in numbers(inner)]
    return [] if isinstance(value, bool) or not isinstance(value, int | float | Decimal) else [value]


@FUZZ
@given(st.one_of(st.binary(), st.text(), st.sampled_from(SAMPLES), st.sampled_from(SAMPLES).map(str.encode)))
@example(b"\xff\xfe[\x00]\x00")
@example(b"\xef\xbb\xbf[]")
@example('"\\ud83d\\ude00\\ud83d"')
@example("[" * 100_000)
def test_bytes_are_parsed_or_refused(content):
    """Parsed values can be stored and hashed: no lone surrogates and no binary floats."""
    try:
        with in_time():
            value = read_json(content)
    except ValueError:
        return
    assert "".join(texts(value)).encode() is not None
    assert all(isinstance(number, Decimal) for number in numbers(value))


PLAIN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
"""What every database stores."""


@FUZZ
@given(
    st.recursive(
        st.none() | st.booleans() | st.decimals(-(10**13), 10**13) | PLAIN,
        lambda inner: st.lists(inner) | st.dictionaries(PLAIN, inner),
        max_leaves=8,
    )
)
def test_json_round_trips(value):
    """Every text keeps its characters and every number its digits."""
    assert value == read_json(written(value))


def written(value):
    """JSON with all digits of its numbers."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{written(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(value)


@FUZZ
@given(BODIES, st.none() | st.just("data") | st.just("data.items") | st.text(max_size=4))
def test_list_of_leads_is_found_or_refused(body, path):
    """A list belongs to the answer itself, and a message contains none of its text."""
    items = or_refused(lambda: find_lead_array(body, path))

    assert items is None or isinstance(items, list)


def or_refused(call):
    """What a call returns; None if it refuses with a message that names a setting and shows nothing received."""
    try:
        with in_time():
            return call()
    except Misconfigured as error:
        said = str(error)
    assert "oplead." in said
    assert "MARQUEUR" not in said
    return None


PAGES = st.tuples(BODIES, st.none() | ADDRESSES, st.lists(st.text(max_size=3), max_size=4))


@FUZZ
@given(STYLES, st.lists(PAGES, max_size=6))
@example("next_url", [({"next": "https://api.exemple.fr\\@ailleurs.example/"}, None, ["1"])])
@example("next_url", [({"next": "/leads\r\nX-Header: y"}, None, ["1"])])
@example("auto", [({"next": "https://api.exemple.fr:99999/"}, None, ["1"])])
@example("next_url", [({"next": "https://api.exemple.fr//ailleurs.example/"}, None, ["1"])])
@example("auto", [(None, "#", []), (None, None, [])])
def test_pagination_stays_on_its_host_without_loops(style, pages):
    """No page address contains the token, and a refusal shows nothing of the answer."""
    options = PaginationOptions(style=style, size_param="size", size=2)
    walk = fresh(options)
    place, asked = walk.first_page_position(), set()
    for body, link, marks in pages:
        address = walk.request_target(place)
        there = urlsplit(ORIGIN + address)
        assert (there.scheme, there.netloc) == ("https", "api.exemple.fr")
        assert "token" not in {unquote(pair.partition("=")[0]) for pair in there.query.split("&")}
        assert address not in asked
        asked.add(address)
        place = or_refused(lambda: walk.position_after(place, OpleadAnswer(body, ORIGIN + address, link, None), marks))  # noqa: B023
        if place is None:
            return
        assert walk.request_target(fresh(options).resume_position(place.resume_token)) == walk.request_target(place)


@FUZZ
@given(
    st.from_regex(r"(https?:)?//[a-z]{3,9}[.]example(:[0-9]{2,4})?(/[a-z]{0,5})?", fullmatch=True)
    | st.sampled_from(
        ["https://api.exemple.fr@ailleurs.example/", "http://api.exemple.fr.ailleurs.example/", "//[::1]/"]
    ),
    st.sampled_from(["auto", "next_url", "link_header"]),
)
def test_page_on_another_host_is_refused(address, style):
    """Its path is not requested on our host instead."""
    walk = fresh(PaginationOptions(style=style))
    told = {"data": [{"id": "1"}]} if style == "link_header" else {"data": [{"id": "1"}], "next": address}

    with pytest.raises(Misconfigured, match="another host"):
        walk.position_after(walk.first_page_position(), OpleadAnswer(told, f"{ORIGIN}/v1/leads", address, None), ["1"])


def fresh(options):
    """A page walk that has not begun."""
    auth = ApiAuthScheme(style="query", name="token")
    platform = OpleadOptions(token="t0ken", zone=ZoneInfo("Europe/Paris"), base_url=ORIGIN, auth=auth)
    return PageWalk(options, OpleadClient(platform, clock=None, pacer=None))


@pytest.mark.parametrize("content", SAMPLES)
def test_corpus_answers(content):
    """Each is a list of leads, or refused with a message that names a setting."""
    try:
        body = read_json(content)
    except ValueError:
        return
    for style in ("auto", "next_url", "cursor"):
        walk = fresh(PaginationOptions(style=style))
        items = or_refused(lambda: find_lead_array(body, None)) or []
        answer = OpleadAnswer(body, f"{ORIGIN}/v1/leads", None, None)
        place = or_refused(lambda: walk.position_after(walk.first_page_position(), answer, [str(one) for one in items]))  # noqa: B023
        assert place is None or urlsplit(ORIGIN + walk.request_target(place)).netloc == "api.exemple.fr"
