"""Only the sandbox's own page and clients other than browsers may control it."""

import pytest

from connectors.sandbox.sandbox import Sandbox
from tests import quick


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    """A sandbox without leads."""
    with Sandbox(quick.with_key(tmp_path_factory.mktemp("sandbox"))) as sandbox:
        yield sandbox


def host(sandbox, server):
    """Return a server's host and port, as a browser writes them."""
    return sandbox.sandbox_server_urls[server].removeprefix("http://")


@pytest.mark.parametrize(
    "call",
    [
        ("control", "POST /switches", '{"record_indices": false}'),
        ("control", "DELETE /faults", ""),
        ("control", "GET /state.json", ""),
        ("clock", "POST /advance", '{"by": 86400}'),
    ],
)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "evil.example:8080", "Origin": "http://evil.example:8080", "Sec-Fetch-Site": "same-origin"},
        {"Host": "127.0.0.1.evil.example"},
    ],
)
def test_requests_from_other_sites_are_refused(sandbox, ask, call, headers):
    """They may come from a form, a script or a DNS name rebound to this machine."""
    server, line, body = call
    before = sandbox.clock.now(), sandbox.control.state()["switches"]
    answer = ask(sandbox.sandbox_server_urls[server], line, body, headers)

    assert 403 == answer.status
    assert before == (sandbox.clock.now(), sandbox.control.state()["switches"])


@pytest.mark.parametrize("browser", [False, True])
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_own_page_and_plain_clients_are_accepted(sandbox, ask, name, browser):
    """Both may use either loopback name."""
    own = host(sandbox, "control").replace("127.0.0.1", name)
    headers = {"Host": own}
    if browser:
        headers |= {"Origin": f"http://{own}", "Sec-Fetch-Site": "same-origin"}

    control = sandbox.sandbox_server_urls["control"]
    assert 204 == ask(control, "POST /switches", '{"record_indices": true}', headers).status
    assert 200 == ask(control, "GET /", None, headers).status
