"""Only the sandbox's own page and clients that are no browser may control it."""

import pytest

from connectors.sandbox.sandbox import Sandbox
from tests import quick


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    """A sandbox without leads."""
    with Sandbox(quick.with_key(tmp_path_factory.mktemp("sandbox"))) as sandbox:
        yield sandbox


def host(sandbox, server):
    """Where a server answers, as a browser writes it."""
    return sandbox.addresses[server].removeprefix("http://")


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
def test_another_sites_page_is_refused(sandbox, ask, call, headers):
    """Neither by a form, nor by a script, nor by a name that was bound to this machine anew."""
    server, line, body = call
    before = sandbox.clock.now(), sandbox.control.state()["switches"]
    answer = ask(sandbox.addresses[server], line, body, headers)

    assert 403 == answer.status
    assert before == (sandbox.clock.now(), sandbox.control.state()["switches"])


@pytest.mark.parametrize("browser", [False, True])
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_its_own_page_and_other_clients_are_answered(sandbox, ask, name, browser):
    """As `curl`, or the page over it, by either name of this machine."""
    own = host(sandbox, "control").replace("127.0.0.1", name)
    headers = {"Host": own}
    if browser:
        headers |= {"Origin": f"http://{own}", "Sec-Fetch-Site": "same-origin"}

    assert 204 == ask(sandbox.addresses["control"], "POST /switches", '{"record_indices": true}', headers).status
    assert 200 == ask(sandbox.addresses["control"], "GET /", None, headers).status
