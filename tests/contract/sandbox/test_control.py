"""The sandbox as a whole through its control API: the platforms do whatever is planted there."""

import json
import re
import shlex
import stat
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from google.auth.transport.requests import Request as GoogleRequest
from google.oauth2 import service_account

from connectors.sandbox.meta.wire import TOKENS
from connectors.sandbox.oplead.server import ADMIN_KEY, OpleadPlatform
from connectors.sandbox.oplead.shape import AXES, ApiShape
from connectors.sandbox.population.company import InventedLeads
from connectors.sandbox.rules import RULES
from connectors.sandbox.sandbox import Sandbox
from jobs.cli.demo.sandbox import SERVERS
from tests import quick
from tests.builders import leads_at_time

START = datetime(2026, 9, 1, 3, 30, tzinfo=UTC)
KEY = {"Authorization": f"Bearer {ADMIN_KEY}"}
LEAD = {"id": "L-1", "createdAt": "2026-07-01 09:12:44", "status": "Gagné"}
EVENT = {
    "destinations": [
        {
            "operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": "1234567890"},
            "loginAccount": {"accountType": "GOOGLE_ADS", "accountId": "1112223333"},
            "productDestinationId": "987654322",
        }
    ],
    "events": [
        {
            "transactionId": "k-1",
            "eventTimestamp": "2026-08-31T10:00:00Z",
            "eventSource": "WEB",
            "conversionValue": 900,
            "currency": "EUR",
            "adIdentifiers": {"gclid": "Cj0KCQjw-1"},
            "consent": {"adUserData": "CONSENT_GRANTED"},
        }
    ],
    "encoding": "HEX",
}


@pytest.fixture(scope="module")
def population():
    """A small generated company."""
    return InventedLeads.generate(7, leads=30)


@pytest.fixture
def sandbox(tmp_path):
    """A sandbox without leads."""
    with Sandbox(quick.with_key(tmp_path)) as sandbox:
        yield sandbox


@pytest.fixture
def control(sandbox, ask):
    """Send a request to the control server: `control("GET /state.json")`."""
    return lambda line, body=None: ask(sandbox.sandbox_server_urls["control"], line, body)


@pytest.fixture
def oplead(sandbox, ask):
    """Read from Oplead."""
    return lambda path: ask(sandbox.sandbox_server_urls["oplead"], f"GET {path}", headers=KEY)


def token(sandbox):
    """Obtain a token with the key file on disk."""
    credentials = service_account.Credentials.from_service_account_file(
        sandbox.key_file, scopes=["https://www.googleapis.com/auth/datamanager"]
    )
    transport = GoogleRequest()
    credentials.refresh(transport)
    transport.session.close()
    return {"Authorization": f"Bearer {credentials.token}", "Content-Type": "application/json"}


def ingest(sandbox, ask, headers):
    """Upload EVENT."""
    return ask(sandbox.sandbox_server_urls["data_manager"], "POST /v1/events:ingest", EVENT, headers)


def test_every_server_has_its_own_address(sandbox):
    """Nine servers, each told in words, listen on nine loopback ports; the TLS one goes by its certificate's name."""
    addresses = sandbox.sandbox_server_urls

    assert SERVERS.keys() == addresses.keys()
    assert addresses["google_ads_tls"].startswith("https://localhost:")
    assert {"127.0.0.1", "localhost"} == {urlsplit(url).hostname for url in addresses.values()}
    assert 9 == len({urlsplit(url).port for url in addresses.values()})


def test_clock_starts_on_the_first_morning(sandbox, ask):
    """That is 05:30 in Paris on 1 September 2026."""
    assert ask(sandbox.sandbox_server_urls["clock"], "GET /now").json() == {"now": "2026-09-01T03:30:00+00:00"}


def test_control_puts_and_deletes_leads(control, oplead):
    """A lead put by hand is served until it is deleted, and answers 410 afterwards."""
    assert control("PUT /leads/L-1", LEAD).status == 204
    assert oplead("/v1/leads/L-1").json() == LEAD
    assert control("DELETE /leads/L-1").status == 204
    assert oplead("/v1/leads/L-1").status == 410


def test_lead_id_in_path_is_percent_decoded(control, oplead):
    """An id may contain any character."""
    assert control("PUT /leads/a%2Fb", {**LEAD, "id": "a/b"}).status == 204
    assert oplead("/v1/leads/a%2Fb").status == 200


def test_switches_reach_their_platforms(control, oplead):
    """One request may set switches of several platforms."""
    turned = {
        "pagination": "page",
        "record_indices": False,
        "refuse_tokens": True,
        "ads_api_allowlisted": False,
        "meta_deduplication": False,
    }
    answer = control("POST /switches", turned)
    switches = control("GET /state.json").json()["switches"]

    assert answer.status == 204
    assert oplead("/v1/leads?page=1").status == 200
    assert turned == {name: switches[name] for name in turned}


def test_switch_names_are_unique_across_platforms(sandbox):
    """The name alone identifies the platform."""
    parts = (sandbox.oplead, sandbox.oauth, sandbox.data_manager, sandbox.google_ads, sandbox.meta)
    names = [name for part in parts for name in part.switches]

    assert len(set(names)) == len(names)


def test_control_plants_and_clears_faults(control, oplead):
    """A fault applies until its count is used up or it is cleared."""
    fault = {"server": "oplead", "kind": "status", "status": 502, "count": 2}

    assert control("POST /faults", fault).status == 204
    assert oplead("/v1/leads").status == 502
    assert control("GET /state.json").json()["faults"][0]["count"] == 1
    assert control("DELETE /faults").status == 204
    assert oplead("/v1/leads").status == 200


@pytest.mark.parametrize("server", ["oplead", "oauth", "data_manager", "meta"])
def test_fault_reaches_the_server_it_names(control, sandbox, ask, server):
    """Each platform's server has its own faults."""
    control("POST /faults", {"server": server, "kind": "html", "status": 503})

    assert ask(sandbox.sandbox_server_urls[server], "GET /").headers["content-type"] == "text/html"


@pytest.mark.parametrize("server", ["google_ads", "google_ads_tls"])
def test_fault_reaches_both_google_ads_ports(control, sandbox, dialled, server):
    """Both ports go by the name `google_ads`."""
    control("POST /faults", {"server": "google_ads", "kind": "status", "status": 504})
    certificate = sandbox.certificate.read_bytes() if server == "google_ads_tls" else None
    with dialled(sandbox.sandbox_server_urls[server], certificate) as call:
        assert "DEADLINE_EXCEEDED" == call("/any/Method", b"").code


@pytest.mark.parametrize(
    ("line", "body", "status"),
    [
        ("POST /faults", {"server": "clock", "kind": "hang"}, 400),
        ("POST /faults", {"server": "nobody", "kind": "hang"}, 400),
        ("POST /faults", [], 400),
        ("POST /faults", b"{", 400),
        ("POST /switches", {"unknown": True}, 400),
        ("POST /switches", {"pagination": "letters"}, 400),
        ("POST /clicks", {"abc": {"clicked_at": "yesterday", "customer": "1234567890"}}, 400),
        ("POST /rulings", {"k-1": {"when": "never", "reason": "INTERNAL_ERROR"}}, 400),
        ("POST /faults", {"server": "google_ads_tls", "kind": "hang"}, 400),
        ("POST /switches", {"ads_api_enhanced": "perhaps"}, 400),
        ("POST /rulings", {"google_ads": {"k-1": {"reason": "NO_SUCH_REASON"}}}, 400),
        ("POST /rulings", {"google_ads": []}, 400),
        ("POST /rulings", {"meta": {"k-1": {"reason": "CLICK_NOT_FOUND"}}}, 400),
        ("PUT /leads/L-2", LEAD, 400),
        ("PUT /leads/L-1", [], 400),
        ("PUT /leads", LEAD, 400),
        ("DELETE /leads/", None, 400),
        ("POST /accidents", {"kind": "flood"}, 400),
        ("PUT /faults", {}, 405),
        ("POST /state.json", None, 405),
        ("GET /elsewhere", None, 404),
    ],
)
def test_control_refuses_invalid_requests(control, line, body, status):
    """The control API is as strict as the platforms."""
    assert control(line, body).status == status


def test_data_manager_refuses_revoked_tokens(control, sandbox, ask):
    """A token works until it is revoked, and a new one works again."""
    old = token(sandbox)

    assert ingest(sandbox, ask, old).status == 200
    control("POST /switches", {"revoke_tokens": True})
    assert ingest(sandbox, ask, old).status == 401
    assert ingest(sandbox, ask, token(sandbox)).status == 200


def test_event_counts_although_its_answer_is_cut(control, sandbox, ask):
    """After `cut_after` the platform has the event, although the caller got no answer."""
    headers = token(sandbox)
    control("POST /clicks", {"Cj0KCQjw-1": {"clicked_at": "2026-08-20T08:00:00Z", "customer": "1234567890"}})
    control("POST /faults", {"server": "data_manager", "kind": "cut_after"})
    with pytest.raises(ConnectionError):
        ingest(sandbox, ask, headers)
    sandbox.clock.advance(START + timedelta(hours=1))
    book = control("GET /state.json").json()["data_manager"]["book"]

    assert [line["transaction_id"] for line in book] == ["k-1"]


def test_planted_ruling_refuses_an_event(control, sandbox, ask):
    """Rulings stand for refusals that local checks cannot foresee."""
    control("POST /rulings", {"k-1": {"when": "submit", "reason": "INVALID_FORMAT"}})

    assert ingest(sandbox, ask, token(sandbox)).status == 400


def test_rulings_go_to_the_platform_they_name(control, sandbox, ask):
    """Rulings without a platform name are for the Data Manager."""
    planted = {
        "google_ads": {"k-1": {"reason": "CLICK_NOT_FOUND"}},
        "meta": {"k-1": {"subcode": 2804003}},
        "data_manager": {"k-1": {"when": "submit", "reason": "INVALID_FORMAT"}},
        "k-2": {"when": "submit", "reason": "INVALID_FORMAT"},
    }

    assert control("POST /rulings", planted).status == 204
    assert ingest(sandbox, ask, token(sandbox)).status == 400
    assert ["CLICK_NOT_FOUND"] == [each["reason"] for each in sandbox.google_ads.dump()["rulings"]["k-1"]]
    assert planted["meta"]["k-1"]["subcode"] == sandbox.meta.dump()["rulings"]["k-1"]["subcode"]


def test_state_covers_every_platform(control):
    """It has the book, the request counts and the refusals of each."""
    state = control("GET /state.json").json()

    for name in ("data_manager", "google_ads", "meta"):
        assert {"book", "requests", "refused"} <= state[name].keys()


def test_requests_are_logged_per_server(control, oplead):
    """Each entry has the method, the path and the status."""
    oplead("/v1/leads")
    oplead("/v1/leads/L-9")
    logged = control("GET /requests.json").json()

    assert logged["oplead"]["count"] == 2
    assert [(entry["method"], entry["path"], entry["status"]) for entry in logged["oplead"]["log"]] == [
        ("GET", "/v1/leads", 200),
        ("GET", "/v1/leads/L-9", 404),
    ]
    assert logged["data_manager"] == {"count": 0, "log": []}


def test_control_root_serves_the_html_page(control):
    """A person can open the control address in a browser."""
    answer = control("GET /")

    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=UTF-8")
    assert b"Sandbox" in answer.body


def test_page_json_adds_leads_and_names_to_the_state(control):
    """Apart from the request counts, everything else equals `state.json`."""
    state, page = control("GET /state.json").json(), control("GET /page.json").json()

    assert {"leads", "names"} == page.keys() - state.keys()
    assert {**state, "requests": None} == {name: page[name] for name in state} | {"requests": None}


def test_curl_recipes_on_the_page_work(control, sandbox):
    """Every line can be copied from the page into a terminal."""
    page = re.sub(r"<[^>]*>", "", control("GET /").body.decode())
    page = page.replace("http://127.0.0.1:PORT", sandbox.sandbox_server_urls["control"])  # as the page's script does
    commands = [shlex.split(line) for line in page.splitlines() if line.startswith("curl ")]
    statuses = []
    for _, _, method, url, *data in commands:
        assert url.startswith(f"{sandbox.sandbox_server_urls['control']}/")

        statuses.append(control(f"{method} {urlsplit(url).path}", json.loads(data[1]) if data else None).status)

    assert [204, 204, 204, 200, 204] == statuses
    assert {"ORDER ID"} == sandbox.google_ads.dump()["rulings"].keys()
    assert [] == sandbox.faults.dump()


def test_hidden_shape_is_absent_from_state_and_page(sandbox, control):
    """Its switches can still be set."""
    sandbox.oplead.shows_shape = False
    sandbox.oplead.shape = ApiShape(envelope="fiches", dates="php")
    shown = control("GET /state.json").json()["switches"]

    assert not AXES.keys() & shown.keys()
    assert "retry_after" in shown
    assert b"fiches" not in control("GET /page.json").body
    assert control("POST /switches", {"dates": "iso"}).status == 204


def test_accident_changes_leads_from_its_start_until_deleted(control, oplead, sandbox):
    """The state shows a planted accident, and a saved state keeps it."""
    control("PUT /leads/L-1", LEAD)
    since = (START + timedelta(days=1)).isoformat()
    planted = {"kind": "relabel", "since": since, "old": "Gagné", "new": "Vendu"}
    assert control("POST /accidents", planted).status == 204
    labels = [oplead("/v1/leads/L-1").json()["status"]]
    sandbox.clock.advance(START + timedelta(days=1))
    labels += [oplead("/v1/leads/L-1").json()["status"], oplead("/v1/leads").json()["data"][0]["status"]]
    shown = control("GET /state.json").json()["oplead"]["accidents"]
    resumed = OpleadPlatform(sandbox.clock.now)
    resumed.load(json.loads(json.dumps(sandbox.oplead.dump())))
    assert control("DELETE /accidents").status == 204
    labels += [oplead("/v1/leads/L-1").json()["status"]]

    assert ["Gagné", "Vendu", "Vendu", "Gagné"] == labels
    assert planted.items() <= shown[0].items()
    assert "Vendu" == resumed.leads()["L-1"]["status"]


def test_oplead_serves_the_population(tmp_path, ask, population):
    """Oplead serves the leads that exist at the sandbox time, and the state counts them."""
    with Sandbox(tmp_path, population) as sandbox:
        served = ask(sandbox.sandbox_server_urls["oplead"], "GET /v1/leads", headers=KEY).json()["data"]
        state = ask(sandbox.sandbox_server_urls["control"], "GET /state.json").json()

    assert list(leads_at_time(population, START).values()) == served
    assert len(served) == state["oplead"]["leads"]


def test_sandbox_resumes_from_its_saved_state(tmp_path, ask, population):
    """Clock, leads, switches, tokens, key and ports survive a restart."""
    with Sandbox(tmp_path, population) as first:
        addresses, headers = first.sandbox_server_urls, token(first)
        first.clock.advance(START + timedelta(days=1))
        ask(addresses["control"], "PUT /leads/L-1", LEAD)
        turned = {"list_has_details": False, "ads_api_echo": True, "meta_deduplication": False}
        ask(addresses["control"], "POST /switches", turned)
        before = ask(addresses["control"], "GET /state.json").json()
    with Sandbox(tmp_path, population) as second:
        after = ask(second.sandbox_server_urls["control"], "GET /state.json").json()
        again = ingest(second, ask, headers)

    assert addresses == second.sandbox_server_urls
    assert {**before, "requests": None} == {**after, "requests": None}
    assert again.status == 200


def test_second_sandbox_uses_other_ports_when_taken(tmp_path, ask):
    """It starts while the first one still serves."""
    with Sandbox(tmp_path) as first:
        first.save_state()
        with Sandbox(tmp_path) as second:
            assert ask(second.sandbox_server_urls["clock"], "GET /now").status == 200
            assert set(first.sandbox_server_urls.values()).isdisjoint(second.sandbox_server_urls.values())


def test_saved_files_are_complete_and_owner_only(sandbox):
    """Saving leaves no draft behind."""
    sandbox.save_state()
    sandbox.save_state()
    names = {file.name for file in sandbox.directory.iterdir()}
    modes = {stat.S_IMODE(file.stat().st_mode) for file in sandbox.directory.iterdir()}

    assert names == {"sandbox.json", "service-account.json", "google-ads-certificate.pem"}
    assert modes == {0o600}
    assert json.loads((sandbox.directory / "sandbox.json").read_text())["clock"] == {"now": "2026-09-01T03:30:00+00:00"}


def test_written_settings_point_at_this_sandbox(sandbox, tmp_path):
    """`pipeline.yaml` has the addresses, `sandbox.env` the secrets, which the YAML only references."""
    written = sandbox.write_settings(tmp_path / "demo")
    text = written.read_text()
    environment = (tmp_path / "demo" / "sandbox.env").read_text().splitlines()

    assert written == tmp_path / "demo" / "pipeline.yaml"
    assert f"clock: {sandbox.sandbox_server_urls['clock']}\n" in text
    assert f"base_url: {sandbox.sandbox_server_urls['oplead']}\n" in text
    assert f"  endpoint: {sandbox.sandbox_server_urls['data_manager']}\n" in text
    assert f"  ads_api_endpoint: {sandbox.sandbox_server_urls['google_ads']}\n" in text
    assert f"  graph_url: {sandbox.sandbox_server_urls['meta']}\n" in text
    assert "transport: data_manager\n" in text
    assert "token: ${OPLEAD_TOKEN}\n" in text
    assert "credentials: ${GOOGLE_ADS_KEY_FILE}\n" in text
    assert "access_token: ${META_ACCESS_TOKEN}\n" in text
    assert ADMIN_KEY not in text
    assert TOKENS["1234567890"] not in text
    assert environment == [
        f"OPLEAD_TOKEN={ADMIN_KEY}",
        f"GOOGLE_ADS_KEY_FILE={sandbox.key_file}",
        f"META_ACCESS_TOKEN={TOKENS['1234567890']}",
    ]


def test_written_settings_use_the_requested_transport(sandbox, tmp_path):
    """Google's older API remains available."""
    text = sandbox.write_settings(tmp_path / "demo", google_transport="google_ads_api").read_text()

    assert "  transport: google_ads_api\n" in text


def test_key_file_names_the_sandbox_token_endpoint(sandbox):
    """Google's libraries take the token address from the key file."""
    key = json.loads(sandbox.key_file.read_text())

    assert f"{sandbox.sandbox_server_urls['oauth']}/token" == key["token_uri"]


def test_every_server_has_rules():
    """One registry holds the rules of all platforms."""
    assert {"oplead", "oauth", "data_manager", "google_ads", "meta"} == {rule.server for rule in RULES}
