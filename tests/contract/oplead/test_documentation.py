"""How the specification is looked for at Oplead's documentation page: few requests, one host, the key only if asked."""

import gzip
import json
from dataclasses import asdict, dataclass, field
from time import process_time
from zoneinfo import ZoneInfo

import pytest

from connectors.errors import Misconfigured
from connectors.oplead.client import OpleadClient
from connectors.oplead.options import ApiAuthScheme, OpleadOptions
from connectors.oplead.probe import find_specification, parse_downloaded_specification
from connectors.oplead.probe.specification.documentation import MOST_REQUESTS, PAGE, specification_link
from connectors.oplead.probe.specification.loading import LARGEST, LARGEST_YAML
from connectors.rate_limit import Pacer

TOKEN = "tok-0123456789"
SPECIFICATION = {"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": {}}
INITIALISER = "/documentation/swagger-initializer.js"
YAML = b"openapi: 3.0.3\ninfo: { title: t, version: '1' }\npaths: {}\n"


@dataclass(frozen=True)
class Answer:
    """One answer of the platform."""

    body: object
    status: int = 200
    headers: dict = field(default_factory=dict)
    cut: bool = False


def page(text):
    """A page of HTML."""
    return Answer(f"<!DOCTYPE html><html><body>{text}</body></html>".encode())


@pytest.fixture
def serve(platform, reply):
    """Script the answers to a path and query, in order."""

    def script(target, *answers):
        given = (one if isinstance(one, Answer) else Answer(one) for one in answers)
        platform.serve(target, *(reply(**asdict(one)) for one in given))

    return script


@pytest.fixture
def pacer(clock):
    """The pace that every request is counted by."""
    return Pacer(clock, 90)


@pytest.fixture
def find(platform, clock, pacer):
    """Look for the specification."""

    def look(**options):
        given = {"token": TOKEN, "zone": ZoneInfo("Europe/Paris"), "base_url": platform.url, **options}
        return find_specification(OpleadClient(OpleadOptions(**given), clock=clock, pacer=pacer))

    return look


def keys_sent(platform):
    """For each request, whether it carried the key anywhere."""
    headers = [TOKEN in str(one) for one in platform.headers]
    return [in_header or TOKEN in target for in_header, target in zip(headers, platform.asked, strict=True)]


# ── finding it ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("html", "where"),
    [
        ('<script>SwaggerUIBundle({url: "openapi.json"})</script>', "/documentation/openapi.json"),
        ("<script>SwaggerUIBundle({urls: [{url: '/v1/api-docs', name: 'v1'}]})</script>", "/v1/api-docs"),
        (
            r"""<script>var c = JSON.parse('{"urls":[{"url":"v1\/swagger.json","name":"V1"}]}')</script>""",
            "/documentation/v1/swagger.json",
        ),
        ('<redoc spec-url="../spec.json?v=2&amp;x=1"></redoc>', "/spec.json?v=2&x=1"),
        ('<!-- url: "old.json" --><script>ui({"url" : "new.json"})</script>', "/documentation/new.json"),
    ],
)
def test_the_page_names_its_specification_in_many_ways(platform, serve, find, html, where):
    """Swagger UI, its list of definitions, Swashbuckle, Redoc; comments don't count. Two requests."""
    serve(PAGE, page(html))
    serve(where, SPECIFICATION)

    found = find()

    assert (SPECIFICATION, 2) == (found.specification, found.requests)
    assert [PAGE, where] == platform.asked


@pytest.mark.parametrize("content", [SPECIFICATION, YAML], ids=["json", "yaml"])
def test_the_initialiser_names_it_in_three_requests(platform, serve, find, content):
    """As Swagger UI has it since version 4, with a configuration or without."""
    serve(PAGE, page('<script src="./swagger-ui-bundle.js"></script><script src="./swagger-initializer.js">'))
    serve(INITIALISER, Answer(b'window.ui = SwaggerUIBundle({ url: "api.txt" })'))
    serve("/documentation/api.txt", content if isinstance(content, dict) else Answer(content))

    found = find()

    assert SPECIFICATION == found.specification
    assert 3 == MOST_REQUESTS == found.requests
    assert [False] * 3 == keys_sent(platform)


@pytest.mark.parametrize(
    "part", ["<!--", "<script ", "<script src='", '<script src="initinit', 'url:"a', "spec-url = ", "<!-- --", "\\/"]
)
def test_a_page_made_to_be_searched_slowly_is_not(part):
    """What comes from outside takes a time in proportion to its size, and of a large page only the beginning counts."""
    content = (part * (8 * 1024 * 1024 // len(part))).encode()
    start = process_time()
    found = specification_link(content)

    assert 1 > process_time() - start
    assert found is None or len(found) < len(content)


def test_a_specification_inside_the_page_needs_one_request(platform, serve, find):
    """As some frameworks pass it on."""
    serve(PAGE, page(f"<script>var options = {{ swaggerDoc: {json.dumps(SPECIFICATION)}, x: 1 }}</script>"))

    assert SPECIFICATION == find().specification
    assert [PAGE] == platform.asked


def test_every_request_counts_against_the_pace(serve, find, pacer, clock):
    """With one request left in this minute, the second waits."""
    serve(PAGE, page('<script>ui({url: "openapi.json"})</script>'))
    serve("/documentation/openapi.json", SPECIFICATION)
    for _ in range(89):
        pacer.take_request_slot()
        pacer.release_request_slot()

    find()

    assert clock.slept


# ── the key ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "auth", [ApiAuthScheme(), ApiAuthScheme(style="query", name="api_key")], ids=["header", "query"]
)
def test_the_key_is_sent_only_after_a_401(platform, serve, find, auth):
    """The first request has none; what follows on the same host has it."""
    shown = page('<script>ui({url: "openapi.json"})</script>')
    serve(PAGE, Answer(b"", 401), shown)
    target = "/documentation/openapi.json" + (f"?api_key={TOKEN}" if auth.name else "")
    if auth.name:
        serve(f"{PAGE}?api_key={TOKEN}", shown)
    serve(target, SPECIFICATION)

    found = find(auth=auth)

    assert SPECIFICATION == found.specification
    assert [False, True, True] == keys_sent(platform)


@pytest.mark.parametrize("status", [200, 302, 403, 404, 500, 503])
def test_no_other_status_has_the_key_sent(platform, serve, find, status):
    """Nor do extra headers and parameters go along, whatever they hold."""
    serve(PAGE, Answer(b"<html></html>", status, {"Location": "/login"} if status == 302 else {}))

    found = find(extra_headers={"X-Tenant": "t-77"}, extra_query={"archived": "t-77"})

    assert found.specification is None
    assert not any(keys_sent(platform))
    assert "t-77" not in str(platform.headers) + str(platform.asked)


@pytest.mark.parametrize("refused", [False, True], ids=["open", "after a 401"])
def test_nothing_is_asked_of_another_host(platform, serve, find, refused):
    """Not by a link, not by a redirect, not with another port or scheme; the key least of all."""
    port = int(platform.url.rpartition(":")[2])
    for there in (
        "https://evil.example/spec.json",
        "//evil.example/spec.json",
        f"http://127.0.0.1:{port + 1}/spec.json",
        f"https://127.0.0.1:{port}/spec.json",
        f"http://127.0.0.1:{port}@evil.example/spec.json",
        "file:///etc/passwd",
    ):
        for answer in (page(f'<script>ui({{url: "{there}"}})</script>'), Answer(b"", 302, {"Location": there})):
            platform.asked.clear()
            serve(PAGE, *([Answer(b"", 401)] if refused else []), answer)

            found = find()

            assert (None, [PAGE] * (1 + refused)) == (found.specification, platform.asked)
            assert "another host" in found.sentence


def test_a_redirect_on_the_same_host_is_followed_within_the_limit(serve, find):
    """It is one of the three requests; a circle ends."""
    serve(PAGE, Answer(b"", 301, {"Location": "/docs/"}))
    serve("/docs/", page('<script>ui({url: "spec.json"})</script>'))
    serve("/docs/spec.json", SPECIFICATION)

    assert SPECIFICATION == find().specification

    serve("/docs/", Answer(b"", 301, {"Location": PAGE}))

    assert "circle" in find().sentence


def test_there_are_never_more_than_three_requests(platform, serve, find):
    """A page that leads on and on is given up, with the way out."""
    serve(PAGE, page('<script>ui({configUrl: "/a"})</script>'))
    for number, name in enumerate("abcdefgh"):
        serve(f"/{name}", Answer(b'{"url": "/%s"}' % b"bcdefghi"[number : number + 1]))

    found = find()

    assert (None, 3, 3) == (found.specification, found.requests, len(platform.asked))
    assert "--spec" in found.sentence


# ── what is refused ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(b"", 404), "there is nothing at"),
        (Answer(b"", 403), "needs a login (403)"),
        (Answer(b"", 503), "is 503"),
        (Answer(b"", cut=True), "did not answer"),
        (page('<form><input name=u><input type="password"></form>'), "login page"),
        (page("<p>moved</p>"), "no specification is named"),
        (Answer(b"\x00\xff" * 100), "no specification is named"),
        (Answer(b'{"openapi": "3.0.3", "paths": '), "no valid JSON"),
        (Answer(b"openapi: 3.0.3\npaths: [\n"), "no valid YAML"),
        (Answer(b"[" * 100_000), "no specification is named"),
        (Answer(b'{"openapi": ' + b"[" * 100_000), "no valid JSON"),
        (Answer(b"openapi: 3.0.3\nx: " + b"[" * 1_500), "too deep"),
        (Answer({**SPECIFICATION, "x": {"$ref": "https://evil.example/a.json"}}), "another document"),
        (Answer({**SPECIFICATION, "x": [{"y": {"$ref": "common.yaml#/a"}}]}), "another document"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence(serve, find, answer, why):
    """Nothing is raised: the rest goes on as without a specification."""
    serve(PAGE, answer)

    found = find()

    assert found.specification is None
    assert why in found.sentence
    assert found.sentence.startswith("Specification: none is used")
    assert found.sentence.count(". ") == 0


def test_a_hundred_megabytes_are_not_read(serve, find):
    """Neither as they are nor unpacked from a few kilobytes."""
    large = b'{"openapi": "3.0.3", "x": "' + b"a" * (100 * 1024 * 1024) + b'"}'
    serve(PAGE, Answer(gzip.compress(large, 1), headers={"Content-Encoding": "gzip"}), Answer(large[: LARGEST + 2]))

    assert "more than 8 MB" in find().sentence
    assert "more than 8 MB" in find().sentence


BOMB = b"openapi: 3.0.3\na0: &a0 [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 12)
)
MERGES = b"openapi: 3.0.3\na0: &a0 { k: v }\n" + b"".join(
    b"a%d: &a%d { <<: [%s] }\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (BOMB, "too large"),
        (MERGES, "too large"),
        (b"openapi: 3.0.3\nx: &x [*x]\n", "holds itself"),
        (b"openapi: 3.0.3\nx: &x { y: { z: *x } }\n", "holds itself"),
        (b"openapi: 3.0.3\nx: !!python/object/apply:os.system [id]\n", "no valid YAML"),
        (b"openapi: 3.0.3\nx: " + b"a" * LARGEST_YAML, "more than 1 MB of YAML"),
    ],
    ids=["aliases", "merges", "circle", "far circle", "object", "long"],
)
def test_yaml_that_would_harm_is_refused(content, why):
    """Before anything is built of it."""
    with pytest.raises(Misconfigured, match=why):
        parse_downloaded_specification(content)


@pytest.mark.parametrize("content", [b"", b"hello", b"<html></html>", b'{"a": 1}', b"a: 1"])
def test_a_file_without_a_specification_is_a_mistake(content):
    """Whoever names a file wants it read."""
    with pytest.raises(Misconfigured, match="--spec"):
        parse_downloaded_specification(content)


@pytest.mark.parametrize("content", [json.dumps(SPECIFICATION).encode(), b"\xef\xbb\xbf" + YAML, YAML], ids=str)
def test_a_downloaded_copy_is_read_in_either_form(content):
    """Without any request."""
    assert (SPECIFICATION, 0) == (
        parse_downloaded_specification(content).specification,
        parse_downloaded_specification(content).requests,
    )
