"""Subscriptions through hand-written requests, and the webhooks that reach a receiver."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from connectors.sandbox.oplead.gate import ADMIN_KEY, SUPPLIER_KEY, USER_KEY, CallerRole
from connectors.sandbox.oplead.leads.accidents import LeadAccidentKind, SimulatedLeadAccident
from connectors.sandbox.oplead.server import OpleadPlatform
from connectors.sandbox.oplead.shape import ApiShape
from connectors.sandbox.platform import Faults
from connectors.sandbox.population.company import InventedLeads
from connectors.sandbox.sandbox import Sandbox
from connectors.sandbox.server import Server, WireResponse

START = datetime(2026, 9, 1, 3, 30, tzinfo=UTC)
NOW_IN_PARIS = "2026-09-01 05:30:00"
EVENTS = ("lead.created", "lead.status_changed", "lead.appointment_updated")
REACHABLE = {"contact": {"email": "maelle@example.org"}}
OLD = {
    "id": "L-7",
    "createdAt": "2026-07-01 09:12:44",
    "updatedAt": "2026-07-01 09:12:44",
    "status": "Nouveau",
    "statusDate": "2026-07-01 09:12:44",
    "statusHistory": [{"status": "Nouveau", "date": "2026-07-01 09:12:44"}],
    "agency": "Rennes",
}


class World:
    """An Oplead with a clock moved by hand, and a receiver of its webhooks."""

    def __init__(self):
        self.time = START
        self.population = {"L-7": OLD}
        self.oplead = OpleadPlatform(lambda: self.time, lambda _: self.population)
        self.taken = []
        """Each webhook's request, in order."""
        self.statuses = []
        """What the receiver answers next; 200 when empty."""
        self.receiver = Server("receiver", self.receive, Faults(), lambda: self.time)

    def receive(self, request):
        """Take one webhook."""
        self.taken.append(request)
        return WireResponse(self.statuses.pop(0) if self.statuses else 200)

    @property
    def told(self):
        """The body of each webhook."""
        return [json.loads(request.body) for request in self.taken]

    @property
    def named(self):
        """Event, lead and status of each webhook."""
        return [(each["event"], each["lead"]["id"], each["lead"]["status"]) for each in self.told]

    def pass_(self, **span):
        """Let this much time pass."""
        self.time += timedelta(**span)

    def write(self, lead_id, **changes):
        """Change a lead as a request does."""
        self.oplead.book.edit_lead(lead_id, **changes)


@pytest.fixture
def world():
    """A world whose receiver listens."""
    made = World()
    with made.receiver:
        yield made


@pytest.fixture
def send(ask, world):
    """Send one request to Oplead with a key, a body as JSON."""
    with Server("oplead", world.oplead.handle, Faults(), lambda: world.time) as server:

        def send(line, body=None, key=ADMIN_KEY):
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            return ask(server.url, line, body, headers)

        yield send


@pytest.fixture
def subscribe(send, world):
    """Subscribe the receiver to these events, or to all."""

    def subscribe(*events, key=ADMIN_KEY, path="/hook"):
        bodies = ({"event": event, "url": world.receiver.url + path} for event in events or EVENTS)
        return [send("POST /v1/subscriptions", body, key).json()["id"] for body in bodies]

    return subscribe


# ── subscriptions ────────────────────────────────────────────────────────────────────────────────


def test_subscription_is_listed_until_it_is_ended(send, world):
    """It is answered 201 with its id, and ending it 204."""
    body = {"event": "lead.created", "url": f"{world.receiver.url}/hook"}
    added = send("POST /v1/subscriptions", body)
    listed = send("GET /v1/subscriptions").json()["data"]
    ended = send(f"DELETE /v1/subscriptions/{added.json()['id']}")

    assert (201, {"id": added.json()["id"], **body}) == (added.status, added.json())
    assert [added.json()] == listed
    assert (204, b"") == (ended.status, ended.body)
    assert [] == send("GET /v1/subscriptions").json()["data"]
    assert 404 == send(f"DELETE /v1/subscriptions/{added.json()['id']}").status


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"event": "lead.deleted"}, 422),
        ({"event": None}, 422),
        ({"event": ["lead.created"]}, 422),
        ({"url": "http://hooks.example.org/x"}, 422),
        ({"url": "hooks.example.org"}, 422),
        ({"url": "file:///etc/passwd"}, 422),
        ({"url": 7}, 422),
        ({"url": "https://"}, 422),
        ({"secret": "x"}, 400),
        ({"url": "https://hooks.example.org/x"}, 201),
        ({"url": "http://localhost:1/x"}, 201),
        ({"url": "http://[::1]:1/x"}, 201),
    ],
)
def test_subscription_needs_a_known_event_and_a_callable_address(send, changed, status):
    """Only https leaves the machine, and no other name belongs in the body."""
    body = {"event": "lead.created", "url": "https://hooks.example.org/x", **changed}

    assert status == send("POST /v1/subscriptions", body).status


def test_key_lists_and_ends_only_its_own_subscriptions(send, subscribe):
    """The admin's does so with all."""
    (supplier,), (user,) = subscribe("lead.created", key=SUPPLIER_KEY), subscribe("lead.created", key=USER_KEY)

    def listed(key):
        return [each["id"] for each in send("GET /v1/subscriptions", key=key).json()["data"]]

    assert [[supplier, user], [supplier], [user]] == [listed(key) for key in (ADMIN_KEY, SUPPLIER_KEY, USER_KEY)]
    assert 404 == send(f"DELETE /v1/subscriptions/{user}", key=SUPPLIER_KEY).status
    assert 204 == send(f"DELETE /v1/subscriptions/{user}").status


# ── events ───────────────────────────────────────────────────────────────────────────────────────


def test_new_lead_status_and_appointment_are_reported_once_each(send, world, subscribe):
    """Each webhook has the lead as it was when the event happened, and nothing is reported before it is told to."""
    subscribe()
    lead_id = send("POST /v1/leads", REACHABLE).json()["id"]
    world.pass_(minutes=10)
    send(f"PUT /v1/leads/{lead_id}/status", {"status": "En cours"})
    world.pass_(minutes=10)
    send(f"PUT /v1/leads/{lead_id}", {"appointment": {"date": "2026-09-08 10:00:00"}})
    before = len(world.taken)
    counts, again = world.oplead.deliver_webhooks(), world.oplead.deliver_webhooks()
    created, changed, met = world.told

    assert 0 == before
    assert {"delivered": 3, "failed": 0, "given_up": 0, "outside": 0, "waiting": 0} == counts
    assert {"delivered": 0, "failed": 0, "given_up": 0, "outside": 0, "waiting": 0} == again
    assert list(EVENTS) == [each["event"] for each in world.told]
    assert ["Nouveau", "En cours", "En cours"] == [each["lead"]["status"] for each in world.told]
    assert [1, 2, 2] == [len(each["lead"]["statusHistory"]) for each in world.told]
    assert ["2026-09-01 05:30:00", "2026-09-01 05:40:00", "2026-09-01 05:50:00"] == [
        each["occurredAt"] for each in world.told
    ]
    assert "appointment" not in created["lead"] | changed["lead"]
    assert "2026-09-08 10:00:00" == met["lead"]["appointment"]["date"]
    assert send(f"GET /v1/leads/{lead_id}").json() == met["lead"]
    assert {("POST", "/hook", "application/json; charset=UTF-8")} == {
        (each.method, each.path, each.headers["content-type"]) for each in world.taken
    }


def test_several_changes_within_a_second_are_several_events(world, subscribe):
    """Each has its own status, in order."""
    subscribe("lead.status_changed")
    for label in ("En cours", "Rendez-vous", "Devis à relancer"):
        world.write("L-7", status=label)
    world.oplead.deliver_webhooks()

    assert ["En cours", "Rendez-vous", "Devis à relancer"] == [each["lead"]["status"] for each in world.told]
    assert 3 == len({each["eventId"] for each in world.told})


def test_population_reports_its_changes_as_the_clock_moves(world):
    """Every new lead and every status that the leads' histories have since then, and no other."""
    population = InventedLeads.generate(3, 60, START, past_days=20, future_days=10)
    world.oplead = OpleadPlatform(lambda: world.time, population.leads_including_deleted)
    world.oplead.subscriptions.start_watching_leads(world.oplead.leads)
    for event in ("lead.created", "lead.status_changed"):
        world.oplead.subscriptions.add(event, f"{world.receiver.url}/hook", CallerRole.ADMIN)
    world.pass_(days=7)
    world.oplead.deliver_webhooks()
    expected = [
        ("lead.created" if number == 0 else "lead.status_changed", change.status, change.at)
        for life in population.ground_truth().values()
        if life.kinds["shape"] != "not_an_object" and not (life.deleted and life.deleted <= world.time)
        for number, change in enumerate(each for each in life.changes if each.status)
        if START < change.at <= world.time
    ]
    heard = [
        (each["event"], each["lead"]["status"], datetime.fromisoformat(f"{each['occurredAt']}+02:00"))
        for each in world.told
    ]

    assert sorted(expected) == sorted(heard)
    assert [at for *_, at in heard] == sorted(at for *_, at in heard)
    assert len(expected) > 20


def test_appointments_of_the_population_are_reported_by_switch(world, subscribe):
    """Switching them on reports none of the past."""
    subscribe("lead.appointment_updated")
    world.write("L-7", status="Rendez-vous")
    old = {**OLD, "id": "L-8", "status": "RDV pris", "statusHistory": [{"status": "RDV pris", "date": NOW_IN_PARIS}]}
    world.population = {"L-7": OLD, "L-8": old}
    world.oplead.set_switch("appointments", True)
    silent = world.oplead.deliver_webhooks()
    met = {"status": "Rendez-vous", "date": "2026-09-01 05:31:00"}
    world.population = {"L-7": {**OLD, "statusHistory": [*OLD["statusHistory"], met]}, "L-8": old}
    world.pass_(minutes=1)
    world.oplead.deliver_webhooks()

    assert (0, 0) == (silent["delivered"], silent["waiting"])
    assert [("L-7", "2026-09-01 05:31:00")] == [(each["lead"]["id"], each["occurredAt"]) for each in world.told]


def test_lead_put_by_hand_with_another_status_is_reported(world, subscribe):
    """A label without a history is an event too."""
    subscribe("lead.status_changed")
    world.oplead.put("L-7", {"id": "L-7", "status": "Gagné"})
    world.oplead.deliver_webhooks()

    assert [("lead.status_changed", "L-7", "Gagné")] == world.named


def test_renamed_label_is_no_event(world, subscribe):
    """It calls nobody, but changes what later webhooks say."""
    subscribe()
    accident = SimulatedLeadAccident(kind=LeadAccidentKind.RELABEL, since=START, old="Nouveau", new="À traiter")
    world.oplead.accidents.append(accident)
    silent = world.oplead.deliver_webhooks()
    world.write("L-7", status="En cours")
    world.oplead.deliver_webhooks()

    assert 0 == silent["delivered"]
    assert ["À traiter", "En cours"] == [each["status"] for each in world.told[0]["lead"]["statusHistory"]]


def test_subscription_reports_nothing_from_before_it(world, subscribe):
    """A later one does not hear of what an earlier one is still waiting for."""
    world.write("L-7", status="En cours")
    subscribe("lead.status_changed", path="/first")
    world.write("L-7", status="Rendez-vous")
    subscribe("lead.status_changed", path="/second")
    world.write("L-7", status="Gagné")
    world.oplead.deliver_webhooks()

    assert [("/first", "Rendez-vous"), ("/first", "Gagné"), ("/second", "Gagné")] == [
        (request.path, json.loads(request.body)["lead"]["status"]) for request in world.taken
    ]


def test_ended_subscription_hears_of_what_happened_before_its_end(send, world, subscribe):
    """And of nothing after it."""
    (ended,) = subscribe("lead.status_changed")
    world.write("L-7", status="En cours")
    send(f"DELETE /v1/subscriptions/{ended}")
    world.write("L-7", status="Gagné")
    world.oplead.deliver_webhooks()

    assert ["En cours"] == [each["lead"]["status"] for each in world.told]


def test_same_subscription_made_twice_reports_twice(world, subscribe):
    """Both webhooks have the same event id."""
    subscribe("lead.status_changed", "lead.status_changed")
    world.write("L-7", status="En cours")
    world.oplead.deliver_webhooks()

    assert 2 == len(world.told)
    assert 1 == len({each["eventId"] for each in world.told})


def test_key_hears_only_of_leads_that_it_may_see(send, world, subscribe):
    """A supplier hears of its own, a user of the agency's, the admin of all."""
    for key, path in ((ADMIN_KEY, "/admin"), (SUPPLIER_KEY, "/supplier"), (USER_KEY, "/user")):
        subscribe("lead.created", key=key, path=path)
        send("POST /v1/leads", {**REACHABLE, "leadData": {"projet": path}}, key)
    world.oplead.deliver_webhooks()
    heard = [(request.path, json.loads(request.body)["lead"]["leadData"]["projet"]) for request in world.taken]

    assert {
        ("/admin", "/admin"),
        ("/admin", "/supplier"),
        ("/admin", "/user"),
        ("/supplier", "/supplier"),
        ("/user", "/user"),
    } == set(heard)
    assert 5 == len(heard)


def test_supplier_hears_of_its_lead_at_provider_url(send, world):
    """It gets every status of that lead without a subscription, and nothing else."""
    provider = {"provider": {"name": "Habitat Ouest", "url": f"{world.receiver.url}/retour?id=7"}}
    lead_id = send("POST /v1/leads", {**REACHABLE, **provider}, SUPPLIER_KEY).json()["id"]
    world.oplead.deliver_webhooks()
    before = len(world.taken)
    for label in ("En cours", "Gagné"):
        send(f"PUT /v1/leads/{lead_id}/status", {"status": label})
    world.write("L-7", status="En cours")
    world.oplead.deliver_webhooks()

    assert 0 == before
    assert [("lead.status_changed", lead_id, "En cours"), ("lead.status_changed", lead_id, "Gagné")] == world.named
    assert {"/retour"} == {request.path for request in world.taken}
    assert {"id": ("7",)} == world.taken[0].query


# ── what a webhook is like ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("switches", "names"),
    [
        ({}, {"event", "eventId", "occurredAt", "lead"}),
        ({"webhook_event_id": False}, {"event", "occurredAt", "lead"}),
        ({"webhook_occurred_at": False}, {"event", "eventId", "lead"}),
        ({"webhook_event_id": False, "webhook_occurred_at": False}, {"event", "lead"}),
    ],
)
def test_id_and_time_of_an_event_are_switches(world, subscribe, switches, names):
    """Without both, two equal events are told apart by nothing but the lead."""
    subscribe("lead.status_changed")
    for name, value in switches.items():
        world.oplead.set_switch(name, value)
    world.write("L-7", status="En cours")
    world.oplead.deliver_webhooks()

    assert names == world.told[0].keys()


def test_body_is_the_bare_lead_by_switch(send, world, subscribe):
    """It is the lead as its own page shows it."""
    subscribe("lead.status_changed")
    world.oplead.set_switch("webhook_body", "lead")
    world.write("L-7", status="En cours")
    world.oplead.deliver_webhooks()

    assert [send("GET /v1/leads/L-7").json()] == world.told


def test_webhook_speaks_in_the_shape_of_the_leads(world, subscribe):
    """Names, statuses and times are those of the lead's own page, the time of the event included."""
    subscribe("lead.status_changed")
    world.oplead.shape = ApiShape(dates="iso", status="code", names="french")
    world.write("L-7", status="En cours")
    world.oplead.deliver_webhooks()

    assert "2026-09-01T05:30:00+02:00" == world.told[0]["occurredAt"]
    assert "IN_PROGRESS" == world.told[0]["lead"]["statut"]


@pytest.mark.parametrize(
    ("position", "written"),
    [
        ("none", lambda _: None),
        ("hex", lambda digest: digest.hex()),
        ("prefixed", lambda digest: f"sha256={digest.hex()}"),
        ("base64", lambda digest: base64.b64encode(digest).decode()),
    ],
)
def test_signature_is_the_hmac_of_the_body_by_switch(world, subscribe, position, written):
    """Its key is a switch too."""
    subscribe("lead.status_changed")
    world.oplead.set_switch("webhook_signature", position)
    world.oplead.set_switch("webhook_secret", "une clé à soi")
    world.write("L-7", status="En cours")
    world.oplead.deliver_webhooks()
    digest = hmac.new("une clé à soi".encode(), world.taken[0].body, hashlib.sha256).digest()

    assert written(digest) == world.taken[0].headers.get("x-oplead-signature")


# ── delivery ─────────────────────────────────────────────────────────────────────────────────────


def test_webhook_is_delivered_again_until_it_is_taken(world, subscribe):
    """The waits are 1, 2, 4 and 8 minutes of the sandbox clock, and every delivery is the same."""
    subscribe("lead.status_changed")
    world.write("L-7", status="En cours")
    world.statuses = [500, 302, 404]
    taken = []
    for minutes in (0, 0, 1, 1, 1, 4):
        world.pass_(minutes=minutes)
        taken.append(world.oplead.deliver_webhooks()["failed"])

    assert [1, 0, 1, 0, 1, 0] == taken
    assert 4 == len(world.taken)
    assert 1 == len({request.body for request in world.taken})
    assert 0 == world.oplead.deliver_webhooks()["waiting"]


def test_webhook_that_nobody_takes_is_given_up_after_five_attempts(world, subscribe):
    """A receiver that is down counts as one that refuses."""
    subscribe("lead.status_changed")
    world.receiver.stop()
    world.write("L-7", status="En cours")
    counts = []
    for _ in range(6):
        counts.append(world.oplead.deliver_webhooks())
        world.pass_(hours=1)

    assert [1, 1, 1, 1, 1, 0] == [each["failed"] for each in counts]
    assert [0, 0, 0, 0, 1, 0] == [each["given_up"] for each in counts]
    assert [1, 1, 1, 1, 0, 0] == [each["waiting"] for each in counts]


def test_webhook_is_delivered_once_whatever_the_answer_by_switch(world, subscribe):
    """What is refused is lost."""
    subscribe("lead.status_changed")
    world.oplead.set_switch("webhook_redelivery", "once")
    world.write("L-7", status="En cours")
    world.statuses = [503]
    first = world.oplead.deliver_webhooks()
    world.pass_(days=1)
    second = world.oplead.deliver_webhooks()

    assert (1, 0, 0) == (first["failed"], first["waiting"], second["delivered"])
    assert 1 == len(world.taken)


def test_webhook_is_delivered_twice_by_switch(world, subscribe):
    """Both deliveries are the same, byte for byte."""
    subscribe("lead.status_changed")
    world.oplead.set_switch("webhook_redelivery", "twice")
    world.write("L-7", status="En cours")

    assert 2 == world.oplead.deliver_webhooks()["delivered"]
    assert world.taken[0].body == world.taken[1].body


@pytest.mark.parametrize("seconds", [60, 3600])
def test_webhook_waits_for_its_lag_by_switch(world, subscribe, seconds):
    """Until then it counts as waiting, and then has the time of its event."""
    subscribe("lead.status_changed")
    world.oplead.set_switch("webhook_lag", seconds)
    world.write("L-7", status="En cours")
    world.pass_(seconds=seconds - 1)
    early = world.oplead.deliver_webhooks()
    world.pass_(seconds=1)
    late = world.oplead.deliver_webhooks()

    assert ((0, 1), (1, 0)) == tuple((each["delivered"], each["waiting"]) for each in (early, late))
    assert NOW_IN_PARIS == world.told[0]["occurredAt"]


def test_address_outside_this_machine_is_never_called(send, world):
    """The webhook is counted as outside, and not tried again."""
    send("POST /v1/subscriptions", {"event": "lead.status_changed", "url": "https://hooks.example.org/x"})
    world.write("L-7", status="En cours")

    assert {"delivered": 0, "failed": 0, "given_up": 0, "outside": 1, "waiting": 0} == world.oplead.deliver_webhooks()


def test_waiting_webhooks_survive_a_restart(world, subscribe):
    """Subscriptions, what waits and what was reported are saved; nothing is reported twice."""
    subscribe("lead.status_changed")
    world.statuses = [500]
    world.write("L-7", status="En cours")
    world.oplead.deliver_webhooks()
    world.write("L-7", status="Gagné")
    resumed = OpleadPlatform(lambda: world.time, lambda _: world.population)
    resumed.load(json.loads(json.dumps(world.oplead.dump())))
    world.pass_(minutes=1)
    resumed.deliver_webhooks()

    assert ["En cours", "En cours", "Gagné"] == [each["lead"]["status"] for each in world.told]
    assert world.told[0] == world.told[1]


def test_control_delivers_on_request_and_shows_what_is_there(tmp_path, ask, world):
    """Created leads, documents, subscriptions and counts are part of the state."""
    key = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"}
    with Sandbox(tmp_path) as sandbox:
        oplead, control = sandbox.sandbox_server_urls["oplead"], sandbox.sandbox_server_urls["control"]
        hook = f"{world.receiver.url}/hook"
        ask(oplead, "POST /v1/subscriptions", {"event": "lead.created", "url": hook}, key)
        lead_id = ask(oplead, "POST /v1/leads", REACHABLE, key).json()["id"]
        told = ask(control, "POST /webhooks/deliver").json()
        state = ask(control, "GET /state.json").json()["oplead"]
        refused = ask(control, "POST /webhooks").status

    assert {"delivered": 1, "failed": 0, "given_up": 0, "outside": 0, "waiting": 0} == told
    assert [lead_id] == [each["lead"]["id"] for each in world.told]
    assert [{"id": lead_id, "by": "admin", "at": NOW_IN_PARIS}] == state["created"]
    assert [("lead.created", hook, "admin")] == [
        (each["event"], each["url"], each["by"]) for each in state["subscriptions"]
    ]
    assert ([], told) == (state["documents"], state["webhooks"])
    assert 400 == refused


def test_served_sandbox_delivers_by_itself(tmp_path, ask, world):
    """While it serves people, nobody needs to ask."""
    key = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"}
    arrived = Event()
    world.receiver.handler = lambda _: (arrived.set(), WireResponse(200))[1]
    with Sandbox(tmp_path) as sandbox, sandbox.deliver_webhooks_periodically(every=0.01):
        body = {"event": "lead.created", "url": f"{world.receiver.url}/hook"}
        ask(sandbox.sandbox_server_urls["oplead"], "POST /v1/subscriptions", body, key)
        ask(sandbox.sandbox_server_urls["oplead"], "POST /v1/leads", REACHABLE, key)

        assert arrived.wait(20)
