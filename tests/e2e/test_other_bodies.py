"""Writing to an Oplead that takes lists, numbers and booleans, and calls statuses and subscriptions its own way."""

import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace

import pytest

from tests.e2e.support.typed import type_in

TOKEN = "cle-admin-0123456789"
HOOKS = "https://hooks.maison-durand.example"
WRITE = """
    fields:
      phone: customer.phones[]
      email: customer.email
      last_name: customer.lastname
    types:
      leadData.budget: number
      leadData.owner: boolean
      surfaces[]: number
"""


@dataclass
class Dialect:
    """One Oplead on loopback, which takes exact bodies and quotes what it refuses."""

    statuses: tuple = ("En cours", "Nurserie", "devis relancer")
    """What it takes, letter by letter."""
    shown: dict = field(default_factory=dict)
    """Further answers, by path."""
    asked: list = field(default_factory=list)
    label: str = "Nouveau"
    codes: dict = field(default_factory=dict)
    """What leads show of some statuses."""
    subscriptions: list = field(default_factory=list)

    def answer(self, verb, path, body):
        """The status and body of an answer."""
        match verb, path.removeprefix("/v1").split("/")[1:]:
            case "POST", ["leads"]:
                wrong = [*map(str, body.get("surfaces", ())), *body.get("products", ())]
                return (422, {"message": f"unknown: {wrong}"}) if "products" in body else (201, {"id": "L-1"})
            case "GET", ["leads", "L-1"]:
                shown = self.codes.get(self.label, self.label)
                return 200, {"id": "L-1", "createdAt": "2026-11-01T10:00:00Z", "status": shown}
            case "PUT", ["leads", "L-1", "status"]:
                if body["status"] not in self.statuses:
                    return 422, {"message": "unknown status"}
                self.label = body["status"]
                return 200, {}
            case "GET", ["subscriptions"]:
                return 200, self.subscriptions
            case "POST", ["subscriptions"]:
                ref = f"S-{len(self.subscriptions) + 1}"
                self.subscriptions.append({"id": 12, "abonnement": {"ref": ref}, **body})
                return 201, {"id": 12, "abonnement": {"ref": ref}}
            case "DELETE", ["subscriptions", ref]:
                self.subscriptions = [one for one in self.subscriptions if one["abonnement"]["ref"] != ref]
                return 200, {}
        return self.shown.get((verb, path), (404, {}))

    def bodies(self, verb, path):
        """What was sent there."""
        return [body for one, there, body in self.asked if (one, there) == (verb, f"/v1{path}")]


@pytest.fixture
def serve(tmp_path):
    """Serve a dialect, and return a way to type commands about it."""
    servers = []

    def start(dialect, more=WRITE):
        class Handler(BaseHTTPRequestHandler):
            protocol_version, timeout = "HTTP/1.1", 10

            def _any(self):
                read = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.loads(read) if read else None
                dialect.asked.append((self.command, self.path.partition("?")[0], body))
                code, said = dialect.answer(self.command, self.path.partition("?")[0], body)
                data = json.dumps(said).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815 - the library's names

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        servers.append((server, thread))
        config = tmp_path / "maison.yaml"
        config.write_text(
            f"""
account: maison-durand
oplead:
  token: ${{OPLEAD_TOKEN}}
  base_url: http://127.0.0.1:{server.server_port}
  write:{more}
webhooks:
  secret: ${{HOOK}}
  public_url: {HOOKS}
  subscriptions: {{ event_field: "events[]", url_field: callback, id_field: abonnement.ref }}
""",
            encoding="utf-8",
        )
        environ = {"OPLEAD_TOKEN": TOKEN, "HOOK": "a-secret-of-the-receiver-0123"}
        company = SimpleNamespace(config=config, environ=environ)
        return lambda *arguments: type_in(company, "oplead", *arguments)

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join(10)


CREATE = ("leads", "create", "--yes", "--email", "jeanne@example.com", "--last-name", "L'Exemple")

# ── lists and types ──────────────────────────────────────────────────────────────────────────────


def test_a_lead_goes_out_with_lists_numbers_and_booleans(serve):
    """As the settings say of its fields, and the command of its others; so it is shown before."""
    dialect = Dialect()
    command = serve(dialect)
    values = ("--phone", "06 12 34 56 78", "--field", "leadData.budget=12 500,50", "--field", "leadData.owner=oui")
    lists = ("--field", "surfaces[]=40", "--field", "surfaces[]=12,5")

    shown = command(*CREATE, *values, *lists, "--dry-run")
    done = command(*CREATE, *values, *lists)

    assert (0, "Lead created: L-1.") == (done.code, done.out.strip().splitlines()[-1])
    assert [
        {
            "customer": {"phones": ["06 12 34 56 78"], "email": "jeanne@example.com", "lastname": "L'Exemple"},
            "leadData": {"budget": 12500.5, "owner": True},
            "surfaces": [40, 12.5],
        }
    ] == dialect.bodies("POST", "/leads")
    for place, value in {"surfaces[1]": "12.5", "leadData.owner": "true", "customer.phones[0]": "06 12"}.items():
        assert re.search(rf"{re.escape(place)} +{re.escape(value)}", shown.out), shown.out


def test_what_was_sent_in_a_list_is_in_no_reason(serve):
    """An Oplead that quotes it says nothing of anybody."""
    dialect = Dialect()

    refused = serve(dialect)(*CREATE, "--field", "products[]=veranda de jeanne", "--field", "surfaces[]=45678")

    assert [["veranda de jeanne"]] == [body["products"] for body in dialect.bodies("POST", "/leads")]
    assert "Refused (422): unknown" in refused.lines
    told = refused.out.partition("Refused")[2]
    assert not re.search(r"(?i)veranda|jeanne|45678", told), told


@pytest.mark.parametrize("field", ["leadData.budget=environ 12000", "leadData.owner=peut-être", "surfaces[]=1.250"])
def test_a_value_of_another_type_is_refused_before_anything_is_sent(serve, field):
    """With the place it would go to."""
    dialect = Dialect()

    refused = serve(dialect)(*CREATE, "--field", field)

    assert 2 == refused.code
    assert f"this lead cannot be written: {field.partition('=')[0]}: " in " ".join(refused.err.split())
    assert [] == dialect.asked


def test_a_file_with_a_value_of_another_type_creates_nothing_and_names_line_and_field(serve, tmp_path):
    """Each such line of it."""
    dialect = Dialect()
    file = tmp_path / "leads.csv"
    file.write_text(
        "email;last_name;leadData.budget;leadData.owner\n"
        "a@example.com;Exemple;12 000;oui\nb@example.com;Exemple;cher;oui\nc@example.com;Exemple;9000;x\n",
        encoding="utf-8",
    )

    refused = serve(dialect)("leads", "import", str(file), "--yes")

    said = " ".join(refused.err.split())
    assert 2 == refused.code
    assert "line 3: leadData.budget: this is no number" in said
    assert "line 4: leadData.owner: write yes or no" in said
    assert "line 2" not in said
    assert [] == dialect.asked


def test_two_values_for_one_field_are_refused_unless_it_takes_a_list(serve):
    """The first one is not dropped unsaid."""
    dialect = Dialect()

    refused = serve(dialect)(*CREATE, "--field", "leadData.projet=salon", "--field", "leadData.projet=cuisine")

    assert 2 == refused.code
    assert "two values go to leadData.projet" in " ".join(refused.err.split())
    assert [] == dialect.asked


# ── subscriptions ────────────────────────────────────────────────────────────────────────────────


def test_subscriptions_are_known_by_the_id_that_the_settings_name(serve):
    """Where `id` is somebody else's, the same for all; their events are in a list."""
    dialect = Dialect()
    command = serve(dialect)

    done = command("webhooks", "subscribe", "--event", "new_lead", "--event", "status_change", "--yes")
    again = command("webhooks", "subscribe", "--event", "new_lead", "--yes")
    listed = command("webhooks", "list")
    ended = command("webhooks", "remove", "S-2", "--yes")

    assert [["lead.created"], ["lead.status_changed"]] == [
        body["events"] for body in dialect.bodies("POST", "/subscriptions")
    ]
    assert "new_lead: subscribed: S-1." in done.lines
    assert "new_lead: subscribed already" in again.lines
    assert "2 subscriptions" in listed.lines
    assert ["S-1", "S-2"] == re.findall(r"S-\d", listed.out)
    assert 0 == ended.code
    assert ["S-1"] == [one["abonnement"]["ref"] for one in dialect.subscriptions]


# ── statuses ─────────────────────────────────────────────────────────────────────────────────────

NAMES = [
    {"identifier": 11, "libelle": "EN COURS"},
    {"identifier": 12, "libelle": "Nurserie "},
    {"identifier": 13, "libelle": "Devis à relancer"},
    {"identifier": 14, "libelle": "Gagné"},
]
CODES = ["EN_COURS", "NURSERIE", "DEVIS_A_RELANCER", "GAGNE"]


def specified(codes):
    """Where the documentation is, and what it says."""
    lead = {"type": "object", "properties": {"id": {"type": "string"}, "status": {"type": "string"}}}
    listed = {"200": {"description": "", "content": {"application/json": {"schema": {"type": "array", "items": lead}}}}}
    wanted = {"type": "object", "properties": {"status": {"type": "string", "enum": codes}, "comment": {}}}
    taken = {"content": {"application/json": {"schema": wanted}}}
    document = {
        "openapi": "3.0.3",
        "info": {"title": "Oplead", "version": "1"},
        "paths": {
            "/v1/leads": {"get": {"responses": listed}},
            "/v1/leads/{id}/status": {"put": {"requestBody": taken, "responses": {"200": {"description": ""}}}},
        },
    }
    return {("GET", "/documentation/index.html"): (200, document)}


SAYS = {
    "nothing": ({}, ("En cours", "Nurserie", "devis relancer", "Devis à relancer", "Gagné")),
    "its settings": (
        {("GET", "/v1/settings/statuses"): (200, {"data": NAMES})},
        ("EN COURS", "Nurserie", "Devis à relancer", "Gagné"),
    ),
    "its specification": (specified(CODES), tuple(CODES)),
}


@pytest.mark.parametrize(
    "typed",
    ["en cours", "nurserie", "devis relancé", "Devis à relancer", "DEVIS RELANCER", ("gagne", "--force")],
    ids=str,
)
@pytest.mark.parametrize("says", SAYS)
def test_a_status_goes_out_as_the_platform_spells_it_or_else_the_guide(serve, typed, says):
    """However it is typed; the question shows it as it goes out, after six requests at most."""
    if "gagne" in typed and says == "nothing":
        typed = ("Gagné", "--force")
    shown, statuses = SAYS[says]
    dialect = Dialect(statuses, shown)
    command = serve(dialect)
    typed = (typed,) if isinstance(typed, str) else typed

    rehearsed = command("status", "set", "L-1", *typed, "--dry-run")
    asked = len(dialect.asked)
    done = command("status", "set", "L-1", *typed, "--yes")

    assert 0 == done.code, done.out
    assert f"Lead L-1 is {dialect.label} now" in done.lines
    assert 1 == len(dialect.bodies("PUT", "/leads/L-1/status"))
    assert f"lead L-1: status {dialect.label}" in rehearsed.lines
    assert 1 <= asked <= 6


def test_a_status_of_a_platforms_own_is_not_taken_for_the_guides(serve):
    """Where *relancé* and *à relancer* are two statuses, the one that is typed is set."""
    both = [*NAMES, {"identifier": 15, "libelle": "Devis relancé"}]
    dialect = Dialect(("Devis relancé",), {("GET", "/v1/settings/statuses"): (200, both)})

    assert 0 == serve(dialect)("status", "set", "L-1", "devis relancé", "--yes").code
    assert "Devis relancé" == dialect.label


def test_a_status_that_leads_show_as_a_code_is_known_to_be_set(serve):
    """By what the platform's settings call that code: it is not set again."""
    dialect = Dialect(("EN COURS",), {("GET", "/v1/settings/statuses"): (200, NAMES)})
    dialect.codes = {"EN COURS": 11}

    done = serve(dialect)("status", "set", "L-1", "En cours", "--yes")

    assert (0, 1) == (done.code, len(dialect.bodies("PUT", "/leads/L-1/status")))


def test_a_file_of_statuses_is_checked_before_anything_is_asked(serve, tmp_path):
    """Then each goes out as the platform spells it, asked for once."""
    dialect = Dialect(*SAYS["its settings"][::-1])
    command, file = serve(dialect), tmp_path / "s.csv"

    file.write_text("id;status\nL-1;vendu\n", encoding="utf-8")
    refused = command("status", "set", "--csv", str(file), "--yes")
    assert (2, []) == (refused.code, dialect.asked)

    file.write_text("id;status\nL-1;devis relancé\nL-1;Devis relancer\n", encoding="utf-8")
    assert 0 == command("status", "set", "--csv", str(file), "--yes").code
    assert [{"status": "Devis à relancer"}] == dialect.bodies("PUT", "/leads/L-1/status")
    assert 1 == len([path for _, path, _ in dialect.asked if "settings" in path])
