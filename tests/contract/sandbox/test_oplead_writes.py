"""Writing to Oplead through hand-written requests: leads, statuses, keys, and what faults leave behind."""

import http.client
import json
from datetime import UTC, datetime, timedelta

import pytest

from connectors.sandbox.oplead.gate import ADMIN_KEY, SUPPLIER_KEY, USER_KEY
from connectors.sandbox.oplead.server import OpleadPlatform
from connectors.sandbox.oplead.shape import ApiShape
from connectors.sandbox.platform import FaultKind, Faults, PlannedFault
from connectors.sandbox.population.company import InventedLeads
from connectors.sandbox.server import Server

START = datetime(2026, 9, 1, 3, 30, tzinfo=UTC)
NOW_IN_PARIS = "2026-09-01 05:30:00"
JSON = {"Content-Type": "application/json"}
REACHABLE = {"contact": {"email": "maelle@example.org"}}
WHOLE = {
    "contact": {
        "firstname": "Maëlle",
        "lastname": "Orvalais",
        "email": "maelle@example.org",
        "phone": "01 99 00 12 34",
    },
    "address": {"postcode": "44000", "city": "Nantes", "country": "FR"},
    "leadData": {"externalID": "gclid=AbC-1&fbclid=IwAR_2", "projet": "Véranda", "utm_medium": "cpc"},
    "utm_source": "google",
    "utm_campaign": "été",
    "provider": {"name": "Habitat Ouest", "url": "http://127.0.0.1:9/retour"},
    "channel": "Site web",
    "amount": 1200.5,
}
OLD = {
    "id": "L-7",
    "createdAt": "2026-07-01 09:12:44",
    "updatedAt": "2026-07-20 17:05:01",
    "status": "En cours",
    "statusDate": "2026-07-20 17:05:01",
    "statusHistory": [
        {"status": "Nouveau", "date": "2026-07-01 09:12:44"},
        {"status": "En cours", "date": "2026-07-20 17:05:01"},
    ],
    "leadData": {"externalID": "gclid=old", "utm_source": "google"},
    "contact": {"lastname": "Ferrand", "email": "ferrand@example.org"},
    "agency": "Rennes",
}


class Clock:
    """The sandbox clock, moved by hand."""

    def __init__(self):
        self.time = START

    def now(self):
        """The current time."""
        return self.time


@pytest.fixture
def clock():
    """A clock set to START."""
    return Clock()


@pytest.fixture
def oplead(clock):
    """An Oplead with one old lead of the agency in Rennes and one of the agency in Nantes."""
    population = {"L-7": OLD, "L-8": {**OLD, "id": "L-8", "agency": "Nantes"}, "L-9": "Fiche archivée"}
    return OpleadPlatform(clock.now, lambda _: population)


@pytest.fixture
def faults():
    """The faults planted on that Oplead."""
    return Faults()


@pytest.fixture
def url(oplead, clock, faults):
    """The address of that Oplead."""
    with Server("oplead", oplead.handle, faults, clock.now) as server:
        yield server.url


@pytest.fixture
def send(ask, url):
    """Send one request with a key, a JSON body as application/json."""

    def send(line, body=None, key=ADMIN_KEY, headers=None):
        shown = {"Authorization": f"Bearer {key}", **(JSON if body is not None else {}), **(headers or {})}
        return ask(url, line, body, shown)

    return send


# ── creating ─────────────────────────────────────────────────────────────────────────────────────


def test_created_lead_is_answered_201_and_served_from_then_on(send):
    """It begins as Nouveau at the sandbox's time, and its UTM fields join the click ids in leadData."""
    answer = send("POST /v1/leads", WHOLE)
    created = answer.json()
    expected = {
        "createdAt": NOW_IN_PARIS,
        "updatedAt": NOW_IN_PARIS,
        "status": "Nouveau",
        "statusDate": NOW_IN_PARIS,
        "statusHistory": [{"status": "Nouveau", "date": NOW_IN_PARIS}],
        **{name: WHOLE[name] for name in ("contact", "address", "provider", "channel", "amount")},
        "leadData": {**WHOLE["leadData"], "utm_source": "google", "utm_campaign": "été"},
    }

    assert answer.status == 201
    assert {"id": created["id"], **expected} == created
    assert created == send(f"GET /v1/leads/{created['id']}").json()
    assert created == send("GET /v1/leads").json()["data"][-1]


def test_every_created_lead_is_new(send):
    """The same body twice makes two leads: nothing recognises a repeated request."""
    first, second = (send("POST /v1/leads", REACHABLE).json()["id"] for _ in range(2))

    assert first != second


@pytest.mark.parametrize(
    "contact", [{"email": "maelle@example.org"}, {"phone": "01 99 00 12 34"}, {"mobile": "06 39 98 12 34"}]
)
def test_email_or_telephone_number_is_enough(send, contact):
    """Nothing else is mandatory."""
    assert send("POST /v1/leads", {"contact": contact}).status == 201


@pytest.mark.parametrize(
    "body", [{}, {"contact": {"lastname": "Orvalais"}}, {"contact": {"email": " ", "phone": None}}]
)
def test_unreachable_lead_is_422(send, body):
    """Without an address or a number nobody could call back."""
    assert send("POST /v1/leads", body).status == 422
    assert 3 == len(send("GET /v1/leads").json()["data"])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"[" * 100_000, b"\xff"])
def test_body_that_is_no_json_object_is_400(send, body):
    """Nothing is created of it."""
    assert send("POST /v1/leads", body).status == 400


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_body_of_another_media_type_is_415(send, kind):
    """The lead is written as JSON."""
    body = json.dumps(REACHABLE).encode()

    assert send("POST /v1/leads", body, headers={"Content-Type": kind}).status == 415
    assert send("POST /v1/leads", body, headers={"Content-Type": "application/json; charset=utf-8"}).status == 201


@pytest.mark.parametrize(
    "extra",
    [
        {"email": "maelle@example.org"},
        {"status": "En cours"},
        {"id": "L-1"},
        {"createdAt": "2026-01-01"},
        {"gclid": "abc"},
        {"leadData": {"gclid": "abc"}},
        {"leadData": {"externalId": "abc"}},
        {"provider": {"mail": "x"}},
        {"contact": {"email": "maelle@example.org", "firstName": "Maëlle"}},
    ],
)
def test_unknown_name_is_400_or_ignored_by_switch(send, oplead, extra):
    """It holds at every depth; the status is set at its own address, ids and times by Oplead alone."""
    body = {**REACHABLE, **extra}

    assert send("POST /v1/leads", body).status == 400
    oplead.set_switch("unknown_fields", "ignored")
    answer = send("POST /v1/leads", body)
    assert (201, "Nouveau") == (answer.status, answer.json()["status"])
    assert "maelle@example.org" == answer.json()["contact"]["email"]


@pytest.mark.parametrize(
    "extra",
    [
        {"contact": "maelle@example.org"},
        {"contact": {"email": "maelle"}},
        {"contact": {"email": "maelle@example.org", "phone": 199001234}},
        {"leadData": {"externalID": ["abc"]}},
        {"leadData": {"externalID": "x" * 2_001}},
        {"leadData": [{"name": "externalID", "value": "abc"}]},
        {"amount": True},
        {"amount": {"value": 1}},
        {"provider": {"url": "ftp://example.org"}},
        {"provider": {"url": "http://hooks.example.org"}},
        {"provider": {"url": "https://[broken"}},
        {"appointment": {"date": "demain"}},
        {"appointment": "2026-09-05"},
    ],
)
def test_value_that_does_not_fit_is_422(send, extra):
    """An object stands where an object belongs, a text elsewhere, and an address can be called."""
    assert send("POST /v1/leads", {**REACHABLE, **extra}).status == 422


def test_longest_text_is_kept_whole(send):
    """Click ids are long, and their case matters."""
    long = "gclid=" + "Ab" * 997

    answer = send("POST /v1/leads", {**REACHABLE, "leadData": {"externalID": long}})
    assert (201, long) == (answer.status, answer.json()["leadData"]["externalID"])


def test_write_takes_no_query_parameter(send, oplead):
    """`test=true` is documented for users only: where it is ignored, the lead is created all the same."""
    assert send("POST /v1/leads?test=true", REACHABLE).status == 400
    oplead.set_switch("unknown_parameters", "ignored")
    assert send("POST /v1/leads?test=true", REACHABLE).status == 201


def test_refusal_quotes_the_body_by_switch(send, oplead):
    """By default it quotes nothing that was sent."""
    body = {"contact": {"email": "maelle-at-example.org"}}
    default = send("POST /v1/leads", body).body
    oplead.set_switch("errors_quote", True)

    assert b"maelle" not in default
    assert b"maelle-at-example.org" in send("POST /v1/leads", body).body


@pytest.mark.parametrize(
    ("position", "body"),
    [
        (
            {"names": "snake"},
            {"lead_data": {"externalID": "g"}, "contact": {"email": "a@example.org", "first_name": "M"}},
        ),
        ({"names": "run_together"}, {"leaddata": {"externalID": "g"}, "contact": {"email": "a@example.org"}}),
        ({"names": "french"}, {"leadData": {"externalID": "g"}, "contact": {"email": "a@example.org", "prenom": "M"}}),
        ({"external_id": "externalId"}, {"leadData": {"externalId": "g"}, **REACHABLE}),
        ({"external_id": "external_id"}, {"leadData": {"external_id": "g"}, **REACHABLE}),
        ({"external_id": "tracking"}, {"tracking": {"externalID": "g", "utm_source": "google"}, **REACHABLE}),
        ({"lead_data": "name_value"}, {"leadData": [{"name": "externalID", "value": "g"}], **REACHABLE}),
        ({"lead_data": "key_value"}, {"leadData": [{"key": "externalID", "value": "g"}], **REACHABLE}),
        ({"contact": "flat"}, {"leadData": {"externalID": "g"}, "email": "a@example.org", "postcode": "44000"}),
        (
            {"contact": "customer"},
            {"leadData": {"externalID": "g"}, "customer": {"phone": "1", "address": {"city": "Nantes"}}},
        ),
        (
            {"contact": "customer", "names": "french"},
            {"leadData": {"externalID": "g"}, "client": {"telephone": "1", "adresse": {"ville": "Nantes"}}},
        ),
        ({"ids": "int"}, {"leadData": {"externalID": "g"}, **REACHABLE}),
        ({"ids": "uuid"}, {"leadData": {"externalID": "g"}, **REACHABLE}),
    ],
)
def test_lead_is_written_where_it_is_shown(send, oplead, position, body):
    """Each thing goes in under the name and in the place under which it comes out, and nowhere else."""
    refused = send("POST /v1/leads", body).status if "ids" not in position else 400
    oplead.shape = ApiShape(**position)
    answer = send("POST /v1/leads", body)
    shown = send(f"GET /v1/leads/{answer.json()['id']}").json()

    assert (True, 201) == (refused in (400, 422), answer.status)
    assert body == {name: shown[name] for name in body}


def test_created_lead_keeps_its_place_in_the_list(clock):
    """It stands between the leads that were there before it and those that came later."""
    population = InventedLeads.generate(1, 40, START, past_days=1, future_days=3)
    oplead = OpleadPlatform(clock.now, population.leads_including_deleted)
    before = len(oplead.leads())
    lead_id = str(oplead.create(REACHABLE, "admin")["id"])
    clock.time += timedelta(days=2)
    order = list(oplead.leads())

    assert before == order.index(lead_id)
    assert before < len(order) - 1


# ── changing ─────────────────────────────────────────────────────────────────────────────────────


def test_change_leaves_what_it_does_not_name(send, clock):
    """Null removes a value, and `updatedAt` follows."""
    clock.time += timedelta(minutes=1)
    answer = send("PUT /v1/leads/L-7", {"contact": {"phone": "01 99 00 12 34", "lastname": None}, "amount": "900"})
    changed = {
        **OLD,
        "updatedAt": "2026-09-01 05:31:00",
        "contact": {"email": "ferrand@example.org", "phone": "01 99 00 12 34"},
        "amount": "900",
    }

    assert (200, changed) == (answer.status, answer.json())
    assert changed == send("GET /v1/leads/L-7").json()


def test_change_of_nothing_changes_nothing(send):
    """An empty object is no change."""
    assert (200, OLD) == ((answer := send("PUT /v1/leads/L-7", {})).status, answer.json())


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("PUT /v1/leads/L-99", 404),
        ("PUT /v1/leads/L-99/status", 404),
        ("PUT /v1/leads/L-5", 410),
        ("PUT /v1/leads/L-5/status", 410),
        ("PUT /v1/leads/L-9", 409),
        ("PUT /v1/leads/L-9/status", 409),
    ],
)
def test_only_a_lead_can_be_changed(send, oplead, line, status):
    """An id never seen, a deleted lead and one that is no object are refused."""
    oplead.delete_lead("L-5")

    assert send(line, {"status": "En cours"} if line.endswith("status") else {}).status == status


@pytest.mark.parametrize("verb", ["PUT", "PATCH"])
def test_verb_of_a_change_is_a_switch(send, oplead, verb):
    """The other is answered 405, with the right one."""
    oplead.set_switch("update_verb", verb)
    statuses = {each: send(f"{each} /v1/leads/L-7", {}) for each in ("PUT", "PATCH", "POST")}

    assert {verb} == {each for each, answer in statuses.items() if answer.status == 200}
    assert {f"GET, {verb}"} == {answer.headers["allow"] for answer in statuses.values() if answer.status == 405}


def test_appointment_is_written_with_its_time(send):
    """It is shown in the format of the other times, with the time at which it was written; null removes it."""
    moved = send("PUT /v1/leads/L-7", {"appointment": {"date": "2026-09-08T08:00:00Z"}}).json()
    removed = send("PUT /v1/leads/L-7", {"appointment": {"date": None}}).json()

    assert {"date": "2026-09-08 10:00:00", "updatedAt": NOW_IN_PARIS} == moved["appointment"]
    assert "date" not in removed["appointment"]


def test_appointment_follows_the_format_of_times(send, oplead):
    """A time without a zone is of Paris."""
    oplead.shape = ApiShape(dates="epoch_s")
    moved = send("PUT /v1/leads/L-7", {"appointment": {"date": "2026-09-08 10:00:00"}}).json()

    assert 1788854400 == moved["appointment"]["date"]


def test_population_has_appointments_by_switch(clock):
    """Those whose status ever was one have a date some days later, by day and for good."""
    population = InventedLeads.generate(7, 60, START)
    oplead = OpleadPlatform(clock.now, population.leads_including_deleted)
    without = oplead.leads()
    oplead.set_switch("appointments", True)
    leads = {lead_id: lead for lead_id, lead in oplead.leads().items() if isinstance(lead, dict)}
    met = {
        lead_id: min(each["date"] for each in lead["statusHistory"] if each["status"] in ("Rendez-vous", "RDV pris"))
        for lead_id, lead in leads.items()
        if any(each["status"] in ("Rendez-vous", "RDV pris") for each in lead["statusHistory"])
    }

    assert met == {
        lead_id: lead["appointment"]["updatedAt"] for lead_id, lead in leads.items() if "appointment" in lead
    }
    assert all(leads[lead_id]["appointment"]["date"] > at for lead_id, at in met.items())
    assert not any("appointment" in lead for lead in without.values() if isinstance(lead, dict))
    assert met


# ── statuses ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("Nurserie", "Nurserie"),
        ("Devis à relancer", "Devis à relancer"),
        ("devis à relancer", "Devis à relancer"),
        ("devis relancer", "Devis à relancer"),
        ("Gagné", "Gagné"),
        ("À requalifier", "À requalifier"),
    ],
)
def test_status_that_is_set_enters_the_history(send, written, label):
    """Both of the guide's spellings name one status, and other statuses of the platform may be set too."""
    answer = send("PUT /v1/leads/L-7/status", {"status": written})
    entered = {"status": label, "date": NOW_IN_PARIS}
    changed = {"updatedAt": NOW_IN_PARIS, "status": label, "statusDate": NOW_IN_PARIS}

    assert answer.status == 200
    assert {**OLD, **changed, "statusHistory": [*OLD["statusHistory"], entered]} == answer.json()
    assert answer.json() == send("GET /v1/leads/L-7").json()


def test_status_that_a_lead_already_has_is_not_set_again(send):
    """A repeated request leaves no second entry."""
    answer = send("PUT /v1/leads/L-7/status", {"status": "en cours"})

    assert (200, OLD) == (answer.status, answer.json())


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"status": "Vendu"}, 422),
        ({"status": ""}, 422),
        ({"status": None}, 422),
        ({"status": {"label": "En cours"}}, 422),
        ({}, 422),
        ({"status": "Nurserie", "comment": "x"}, 400),
        ({"label": "Nurserie"}, 400),
        (["Nurserie"], 400),
    ],
)
def test_anything_but_a_known_status_is_refused(send, body, status):
    """The lead stays as it was."""
    assert send("PUT /v1/leads/L-7/status", body).status == status
    assert OLD == send("GET /v1/leads/L-7").json()


@pytest.mark.parametrize("verb", ["PUT", "POST", "PATCH"])
def test_verb_of_a_status_is_a_switch(send, oplead, verb):
    """The others are answered 405."""
    oplead.set_switch("status_verb", verb)
    answers = {each: send(f"{each} /v1/leads/L-7/status", {"status": "Nurserie"}) for each in ("PUT", "POST", "PATCH")}

    assert {verb} == {each for each, answer in answers.items() if answer.status == 200}
    assert {verb} == {answer.headers["allow"] for answer in answers.values() if answer.status == 405}


def test_only_documented_statuses_may_be_set_by_switch(send, oplead):
    """The guide names three."""
    oplead.set_switch("settable_statuses", "documented")
    statuses = {
        label: send("PUT /v1/leads/L-8/status", {"status": label}).status
        for label in ("Gagné", "Perdu", "Nouveau", "En cours", "Nurserie", "devis relancer")
    }

    assert [422, 422, 422, 200, 200, 200] == list(statuses.values())


def test_later_life_of_a_lead_goes_on_after_a_written_status(clock):
    """The population's later statuses follow the written one in the history."""
    signed = {"status": "Gagné", "date": "2026-09-03 10:00:00"}
    late = {**OLD, "status": "Gagné", "statusDate": signed["date"], "updatedAt": signed["date"]}
    late["statusHistory"] = [*OLD["statusHistory"], signed]
    oplead = OpleadPlatform(clock.now, lambda now: {"L-7": late if now > START else OLD})
    oplead.book.edit_lead("L-7", status="Nurserie")
    early = oplead.leads()["L-7"]
    clock.time += timedelta(days=3)
    later = oplead.leads()["L-7"]

    assert ("Nurserie", "Gagné") == (early["status"], later["status"])
    assert ["Nouveau", "En cours", "Nurserie", "Gagné"] == [each["status"] for each in later["statusHistory"]]
    assert signed["date"] == later["updatedAt"] == later["statusDate"]


# ── keys and settings ────────────────────────────────────────────────────────────────────────────


def test_supplier_sends_leads_but_reads_and_changes_none(send):
    """Even its own lead is closed to it, by default."""
    lead_id = send("POST /v1/leads", REACHABLE, SUPPLIER_KEY).json()["id"]
    lines = ["GET /v1/leads", f"GET /v1/leads/{lead_id}", f"PUT /v1/leads/{lead_id}", f"PUT /v1/leads/{lead_id}/status"]
    lines.append(f"POST /v1/leads/{lead_id}/attachments")

    assert [403] * 5 == [send(line, None if line.startswith("GET") else {}, SUPPLIER_KEY).status for line in lines]
    assert send(f"GET /v1/leads/{lead_id}").status == 200


def test_supplier_reads_its_own_leads_by_switch(send, oplead):
    """All others do not exist for it, and it still changes none."""
    oplead.set_switch("supplier_reads", "own")
    lead_id = send("POST /v1/leads", REACHABLE, SUPPLIER_KEY).json()["id"]
    send("POST /v1/leads", REACHABLE)

    assert [lead_id] == [each["id"] for each in send("GET /v1/leads", key=SUPPLIER_KEY).json()["data"]]
    assert 200 == send(f"GET /v1/leads/{lead_id}", key=SUPPLIER_KEY).status
    assert 404 == send("GET /v1/leads/L-7", key=SUPPLIER_KEY).status
    assert 403 == send(f"PUT /v1/leads/{lead_id}", {}, SUPPLIER_KEY).status


def test_user_sees_and_changes_only_leads_of_the_agency(send):
    """A lead that the user creates belongs to it."""
    lead_id = send("POST /v1/leads", REACHABLE, USER_KEY).json()["id"]

    assert ["L-8", lead_id] == [each["id"] for each in send("GET /v1/leads", key=USER_KEY).json()["data"]]
    assert 404 == send("GET /v1/leads/L-7", key=USER_KEY).status
    assert 404 == send("PUT /v1/leads/L-7/status", {"status": "Nurserie"}, USER_KEY).status
    assert 200 == send("PUT /v1/leads/L-8/status", {"status": "Nurserie"}, USER_KEY).status


@pytest.mark.parametrize("key", [ADMIN_KEY, SUPPLIER_KEY, USER_KEY])
def test_every_key_reads_the_settings(send, key):
    """Channels have a category, custom fields the names that leadData takes."""
    pages = ("marketing-channels", "custom-fields", "user-profiles")
    channels, fields, profiles = (send(f"GET /v1/settings/{page}", key=key).json()["data"] for page in pages)

    assert {"Active channel", "Passive channel", "Not specified"} == {each["category"] for each in channels}
    assert {"consent", "adPersonalization", "projet", "budget", "delai"} == {each["identifier"] for each in fields}
    assert profiles
    assert 404 == send("GET /v1/settings/secrets", key=key).status


def test_settings_are_listed_in_the_envelope_of_the_leads(send, oplead):
    """So are subscriptions."""
    oplead.shape = ApiShape(envelope="array", pagination="page")

    assert isinstance(send("GET /v1/settings/custom-fields").json(), list)
    assert [] == send("GET /v1/subscriptions").json()


def test_writes_count_toward_the_limit_of_all_keys(send):
    """The hundred and first request is answered 429 and creates nothing."""
    for _ in range(50):
        send("POST /v1/leads", REACHABLE)
        send("POST /v1/leads", {}, SUPPLIER_KEY)
    refused = send("POST /v1/leads", REACHABLE)

    assert (429, "60") == (refused.status, refused.headers["retry-after"])


# ── faults and state ─────────────────────────────────────────────────────────────────────────────


def test_lead_exists_although_its_answer_was_cut(send, faults):
    """After `cut_after` nobody was told its id."""
    faults.plant(PlannedFault("oplead", FaultKind.CUT_AFTER, path="/v1/leads"))
    with pytest.raises(http.client.RemoteDisconnected):
        send("POST /v1/leads", REACHABLE)

    assert "maelle@example.org" == send("GET /v1/leads").json()["data"][-1]["contact"]["email"]


@pytest.mark.parametrize(("kind", "leads"), [("failed_after", 4), ("status", 3), ("html", 3)])
def test_failed_answer_may_hide_a_created_lead(send, faults, kind, leads):
    """`failed_after` creates the lead and answers 500; the others keep the request from Oplead."""
    faults.plant(PlannedFault("oplead", FaultKind(kind), status=500))

    assert 500 == send("POST /v1/leads", REACHABLE).status
    assert leads == len(send("GET /v1/leads").json()["data"])


def test_written_leads_survive_a_restart(send, oplead, clock):
    """Created and changed leads, their creators and the positions of the switches are saved."""
    oplead.set_switch("supplier_reads", "own")
    lead_id = send("POST /v1/leads", WHOLE, SUPPLIER_KEY).json()["id"]
    send(f"PUT /v1/leads/{lead_id}/status", {"status": "Nurserie"})
    send("PUT /v1/leads/L-7", {"appointment": {"date": "2026-09-08 10:00:00"}})
    resumed = OpleadPlatform(clock.now, lambda _: {"L-7": OLD})
    resumed.load(json.loads(json.dumps(oplead.dump())))

    assert {name: oplead.leads()[name] for name in ("L-7", lead_id)} == resumed.leads()
    assert "supplier" == resumed.book.creator_of_lead(lead_id)
    assert oplead.dump() == resumed.dump()


def test_put_by_hand_replaces_what_was_written(send, oplead):
    """The lead is then served as it was put."""
    send("PUT /v1/leads/L-7/status", {"status": "Nurserie"})
    oplead.put("L-7", OLD)

    assert OLD == send("GET /v1/leads/L-7").json()
