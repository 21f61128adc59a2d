"""Parsing the body of a webhook into events without contact data."""

import json
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from connectors.crm import CrmEventKind, WebhookEvent
from connectors.oplead.options import FieldPaths, OpleadOptions, WebhookFieldPaths
from connectors.oplead.parsing.webhook_parser import WebhookParser
from connectors.records import LeadId, Moment

PARIS = ZoneInfo("Europe/Paris")
ARRIVED = datetime(2026, 7, 20, 12, tzinfo=UTC)
NAMES = {
    CrmEventKind.NEW_LEAD: "lead.created",
    CrmEventKind.STATUS_CHANGE: "lead.status_changed",
    CrmEventKind.APPOINTMENT: "lead.appointment_updated",
}
TEN = Moment(datetime(2026, 7, 20, 10, tzinfo=UTC))
ELEVEN = Moment(datetime(2026, 7, 20, 11, tzinfo=UTC))


def received(content, fields=None, names=NAMES, **places):
    """What a platform's parser makes of a body, given as it would be before it is written as JSON."""
    options = OpleadOptions(token="t", zone=PARIS, fields=fields or FieldPaths())
    return WebhookParser(options, WebhookFieldPaths(names, **places)).parse(json.dumps(content).encode(), ARRIVED)


def event(content, **more):
    """The only event of a body."""
    (one,) = received(content, **more)
    return one.event


def digest(content, **more):
    """The digest of a body's only event."""
    (one,) = received(content, **more)
    return one.digest


# ── what each shape means ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "content",
    [
        {"event": "lead.status_changed", "lead": {"id": "L-1", "status": "Gagné"}},
        {"type": "lead.status_changed", "data": {"id": "L-1", "status": {"label": "Gagné"}}},
        {"event": "lead.status_changed", "data": {"lead": {"id": "L-1"}, "oldStatus": "RDV", "newStatus": "Gagné"}},
        {"eventType": "lead.status_changed", "payload": {"lead": {"id": "L-1", "leadData": {"status": "Gagné"}}}},
        {"event": "lead.status_changed", "leadId": "L-1", "status": {"old": "RDV", "new": "Gagné"}},
        {"id": "evt-9", "event": "lead.status_changed", "leadId": "L-1", "status": "Gagné"},
        {"event": "lead.status_changed", "lead": "L-1", "status": "Gagné"},
        {"event": "lead.status_changed", "lead": "Jeanne Martin", "id": "L-1", "status": "Gagné"},
        {"event": "lead.status_changed", "lead": "jeanne@martin.fr", "leadId": "L-1", "status": "Gagné"},
        {"event": "lead.status_changed", "lead": {"id": "L-1"}, "status": "Gagné"},
        {"id": "L-1", "status": "Gagné", "statusDate": "2026-07-19"},
        {"id": "L-1", "newStatus": "Gagné"},
        {"leadIdentifier": "L-1", "statusHistory": [{"status": "Gagné", "date": "2026-07-19"}], "name": "x"},
        {"evenement": "changement_statut", "leadId": "L-1", "statut": {"id": 14, "libelle": "Gagné"}},
        {"evenement": "changement_statut", "identifiantLead": "L-1", "statut": "Gagné"},
        {"type": "statut", "idLead": "L-1", "ancienStatut": "RDV", "nouveauStatut": "Gagné"},
        {"type": "statut", "data": {"id": "L-1", "ancien": None, "nouveau": "Gagné"}},
        {"evenement": "statut", "donnees": {"lead": {"id": "L-1"}, "statut": {"ancien": "RDV", "nouveau": "Gagné"}}},
    ],
)
def test_a_status_change_is_read_from_many_shapes(content):
    """The lead may be nested, flat, named by its id only, or the whole body, as in a call to `provider.url`."""
    read = event(content)

    assert (CrmEventKind.STATUS_CHANGE, "L-1", "Gagné") == (read.kind, read.lead, read.label)
    assert read.structure == ""


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("lead.created", CrmEventKind.NEW_LEAD),
        ("LEAD_CREATED", CrmEventKind.NEW_LEAD),
        ("newLead", CrmEventKind.NEW_LEAD),
        ("nouveau lead attribué", CrmEventKind.NEW_LEAD),
        ("lead.status_changed", CrmEventKind.STATUS_CHANGE),
        ("statusUpdate", CrmEventKind.STATUS_CHANGE),
        ("changement de statut", CrmEventKind.STATUS_CHANGE),
        ("new_status", CrmEventKind.STATUS_CHANGE),
        ("appointment.created", CrmEventKind.APPOINTMENT),
        ("MAJ RDV", CrmEventKind.APPOINTMENT),
        ("Rendez-vous modifié", CrmEventKind.APPOINTMENT),
        ("status_set_to_rdv", None),
        ("lead.renewed", None),
        ("ping", None),
    ],
)
def test_a_kind_is_known_by_its_name(name, kind):
    """The configured name decides, else the plain words for a status, an appointment and what is new."""
    read = event({"event": name, "lead": {"id": "L-1", "status": "Gagné", "appointmentAt": "2026-08-01 14:00"}})

    assert kind == read.kind


@pytest.mark.parametrize("content", [{}, [{}], [{"id": "L-1", "status": "Gagné"}, {}]])
def test_an_empty_object_is_no_event(content):
    """Its sender is told so."""
    with pytest.raises(ValueError, match="not an event"):
        received(content)


def test_an_object_without_names_has_a_structure():
    """A report can name it."""
    assert "an object without names" == event({"": 1}).structure


def test_a_name_is_read_to_a_hundred_characters():
    """No event has a longer one, and matching takes its time."""
    named = {"event": "lead." * 50_000 + "status", "lead": {"id": "L-1", "status": "Gagné"}}

    assert (None, "L-1") == (event(named).kind, event(named).lead)


def test_a_configured_name_comes_first():
    """A platform that calls its status changes updates says so in the settings."""
    names = {**NAMES, CrmEventKind.STATUS_CHANGE: "LEAD_UPDATED"}

    assert (
        CrmEventKind.STATUS_CHANGE == event({"event": "lead.updated", "id": "L-1", "status": "Gagné"}, names=names).kind
    )


def test_a_new_lead_has_the_time_of_its_creation():
    """Its own date comes before that of the event."""
    read = event(
        {"event": "lead.created", "date": "2026-07-20T13:00:00", "lead": {"id": 7, "createdAt": "2026-07-20T10:00:00Z"}}
    )

    assert WebhookEvent(CrmEventKind.NEW_LEAD, LeadId("7"), None, TEN) == read


def test_an_appointment_has_its_date():
    """It is read by the settings of a lead, else where an event may have it; the event's time is when it was set."""
    told = {"event": "lead.appointment_updated", "occurredAt": "2026-07-20T10:00:00Z"}
    usual = event({**told, "lead": {"id": "L-1"}, "appointment": {"date": "2026-07-20T13:00:00+02:00"}})
    own = event({**told, "lead": {"id": "L-1", "rdv": "20/07/2026 13:00"}}, fields=FieldPaths(appointment_at=("rdv",)))

    assert WebhookEvent(CrmEventKind.APPOINTMENT, LeadId("L-1"), None, TEN, ELEVEN) == usual == own


def test_an_appointment_that_was_called_off_has_no_date():
    """Its place is there and empty; without its place nothing is known of it."""
    gone = event({"event": "rdv", "lead": {"id": "L-1", "appointmentAt": None}})
    unknown = event({"event": "rdv", "lead": {"id": "L-1", "debut": "2026-08-01"}})

    assert (CrmEventKind.APPOINTMENT, None) == (gone.kind, gone.appointment_at)
    assert (None, "L-1") == (unknown.kind, unknown.lead)


# ── when it happened ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("more", "at"),
    [
        ({"lead": {"statusDate": "2026-07-20T11:00:00Z"}}, ELEVEN),
        ({"lead": {"statusDate": "2026-07-20"}}, TEN),
        ({"lead": {"statusHistory": [{"status": "Gagné", "date": "2026-07-20T11:00:00Z"}]}}, ELEVEN),
        ({"lead": {"statusHistory": [{"status": "RDV", "date": "2026-07-20T11:00:00Z"}]}}, TEN),
        ({"lead": {"status": "RDV", "statusDate": "2026-07-20T11:00:00Z"}, "newStatus": "Gagné"}, TEN),
        ({"lead": {}}, TEN),
        ({"lead": {}, "occurredAt": None}, None),
        ({"lead": {}, "occurredAt": "bientôt"}, None),
        ({"lead": {}, "occurredAt": "2026-07-20"}, Moment(date(2026, 7, 20))),
    ],
)
def test_a_status_has_its_own_date_or_else_the_events(more, at):
    """The lead's date counts if it is that of this status; of a day and an instant, the instant counts."""
    lead = {"id": "L-1", "status": "Gagné", **more.pop("lead")}
    read = event({"event": "lead.status_changed", "occurredAt": "2026-07-20T10:00:00Z", "lead": lead, **more})

    assert ("Gagné", at) == (read.label, read.at)


def test_an_event_of_another_name_does_not_date_a_status():
    """A note that is added today to a lead won long ago says nothing about when it was won."""
    note = {"event": "lead.note_added", "occurredAt": "2026-07-20T10:00:00Z", "lead": {"id": "L-1", "status": "Gagné"}}
    dated = {**note, "lead": {**note["lead"], "statusDate": "2026-07-20T11:00:00Z"}}

    assert (None, "L-1") == (event(note).kind, event(note).lead)
    assert WebhookEvent(CrmEventKind.STATUS_CHANGE, LeadId("L-1"), "Gagné", ELEVEN) == event(dated)


@pytest.mark.parametrize(
    "content",
    [
        {"id": "L-1", "status": "Gagné", "createdAt": "2026-07-01", "updatedAt": "2026-07-20T10:00:00Z"},
        {"data": {"id": "L-1", "status": "Gagné"}, "occurredAt": "2026-07-20T10:00:00Z"},
        {"id": "L-1", "status": "Gagné", "appointmentAt": "2026-08-01"},
    ],
)
def test_a_lead_that_is_merely_shown_does_not_date_its_status(content):
    """One that was won last year and edited today was not won today; it is known and read, as a new lead is."""
    read = event(content)

    assert (CrmEventKind.NEW_LEAD, "L-1", "Gagné", None) == (read.kind, read.lead, read.label, read.at)


@pytest.mark.parametrize(
    "more",
    [
        {"id": "L-1"},
        {"leadId": "L-1", "city": "Nantes"},
        {"leadId": "L-1", "createdAt": "2026-07-01T10:00:00Z"},
        {"leadId": "L-1", "contact": {"firstname": "Zoé"}},
    ],
)
def test_dates_of_a_bare_lead_are_not_those_of_an_event(more):
    """The `date` of a lead that is sent as it is may be that of its creation."""
    read = event({**more, "status": "Gagné", "date": "2026-07-01T10:00:00Z"})

    assert (CrmEventKind.NEW_LEAD, None) == (read.kind, read.at)


@pytest.mark.parametrize("name", ["createdAt", "creeLe", "updatedAt", "timestamp", "sentAt"])
def test_a_time_that_may_be_of_creation_editing_or_sending_makes_no_change_of_a_lead(name):
    """A lead that was won last year and edited today was not won today."""
    read = event({"leadId": "L-1", "status": "Gagné", name: "2026-07-20T10:00:00Z"})

    assert (CrmEventKind.NEW_LEAD, None) == (read.kind, read.at)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("lead", ["leadId", "leadIdentifier", "idLead"])
@pytest.mark.parametrize("time", ["date", "le", "depuis", "occurredAt", "changedAt"])
def test_what_names_a_lead_a_status_and_a_time_and_no_more_is_a_change(lead, time, wrapped):
    """No lead as Oplead shows it says so little, and it has no need to say of which lead it is."""
    told = {lead: "L-1", "statusIdentifier": 7, time: "2026-07-20T10:00:00Z"}
    read = event({"items": [told]} if wrapped else told, fields=FieldPaths(id=(lead,), status=("statusIdentifier",)))

    assert WebhookEvent(CrmEventKind.STATUS_CHANGE, LeadId("L-1"), "7", TEN) == read


def test_what_surrounds_a_lead_a_status_and_a_time_may_say_otherwise():
    """Such as that it is about a note, under a name that nobody has told us."""
    told = {"leadId": "L-1", "status": "Gagné", "date": "2026-07-20T10:00:00Z"}

    assert CrmEventKind.NEW_LEAD == event({"topic": "note", "data": told}).kind


@pytest.mark.parametrize("name", ["new", "nouveau", "newStatus"])
@pytest.mark.parametrize("more", [{}, {"event": "lead.status_changed"}])
def test_a_yes_is_no_status(name, more):
    """It may say that the lead is new."""
    read = event({**more, "leadId": 5, name: True, "at": "2026-07-20T10:00:00Z"})

    assert (None, None) == (read.kind, read.label)


# ── whose it is ──────────────────────────────────────────────────────────────────────────────────


def test_two_different_ids_are_refused():
    """`id` beside `leadId` in one object may be either's; the settings can say which it is."""
    content = {"event": "lead.status_changed", "data": {"id": "N-9", "leadId": "L-1", "status": "Gagné"}}

    assert (None, None) == (event(content).kind, event(content).lead)
    assert "L-1" == event(content, lead_id=("leadId",)).lead


def test_a_lead_that_is_a_text_does_not_outvote_an_id():
    """It may be anything, so that neither counts until the settings say which it is."""
    content = {"event": "lead.status_changed", "lead": "75011-R2", "id": "L-1", "status": "Gagné"}

    assert (None, None) == (event(content).kind, event(content).lead)
    assert "75011-R2" == event(content, lead_id=("lead",)).lead


@pytest.mark.parametrize("text", ["jeanne@martin.fr", "Jeanne Martin", "Martin", "Jeanne2 Martin", "1 rue X", "é1"])
@pytest.mark.parametrize("place", ["lead", "leadId", "id"])
def test_a_text_that_looks_like_no_id_is_stored_nowhere(place, text):
    """Neither as the lead, nor in the structure."""
    read = event({"event": "lead.status_changed", place: text, "status": "Gagné"})

    assert (None, None) == (read.kind, read.lead)
    assert text not in repr(read)


def test_an_id_without_digits_counts_where_the_settings_say_so():
    """There it is no guess; yet no text with a space or an @ is one even there."""
    content = {"event": "lead.status_changed", "ref": "abc", "status": "Gagné"}

    assert "abc" == event(content, lead_id=("ref",)).lead == event(content, fields=FieldPaths(id=("ref",))).lead
    assert None is event({**content, "ref": "a@b.fr"}, lead_id=("ref",)).lead


@pytest.mark.parametrize("lead_id", ["", None, {"x": 1}, "1" * 65, "a\u0000b", ".."])
def test_an_event_without_a_usable_id_is_not_understood(lead_id):
    """What cannot be a lead's id is none."""
    read = event({"event": "lead.status_changed", "lead": {"id": lead_id, "status": "Gagné"}})

    assert (None, None) == (read.kind, read.lead)


@pytest.mark.parametrize("status", [{"etape": "Gagné"}, {"statut": {"nouveau": "Gagné"}}])
def test_the_settings_lead_to_an_id_in_a_body_without_a_known_name(status):
    """As the line does that is offered for such a body."""
    path = "prospect.etape" if "etape" in status else "prospect.statut.nouveau"
    body = {"kind": "maj", "prospect": {"numero": "L-1", **status}}
    read = event(body, lead_id=("prospect.numero",), status=(path,))

    assert WebhookEvent(CrmEventKind.STATUS_CHANGE, LeadId("L-1"), "Gagné") == read


# ── redeliveries ─────────────────────────────────────────────────────────────────────────────────


def test_a_redelivery_has_the_digest_of_its_event():
    """The order of keys does not matter, nor does the time of sending where the event has an id."""
    told = {"event": "lead.status_changed", "lead": {"id": "L-1", "status": "Gagné"}}
    first = {**told, "eventId": 12, "sentAt": "2026-07-20T10:00:00Z"}

    assert digest(told) == digest(dict(reversed(told.items())))
    assert digest(first) == digest({**first, "sentAt": "2026-07-20T11:00:00Z"})


@pytest.mark.parametrize("name", ["sentAt", "sent_at", "deliveredAt", "attempt", "attempt_number", "retryCount"])
def test_what_tells_one_delivery_from_another_tells_no_events_apart(name):
    """Without an id, too, an event that is delivered again is the same one."""
    told = {"event": "lead.status_changed", "lead": {"id": "L-1", "status": "Gagné"}}

    assert digest(told) == digest({**told, name: 1}) == digest({**told, name: 2})


@pytest.mark.parametrize("named", ["sentAt", "sent_at", "sentAt.date"])
def test_a_time_of_sending_tells_events_apart_where_the_settings_name_it(named):
    """A lead that returns to a status would otherwise look like a redelivery, and its return would be lost."""
    told = {"event": "lead.status_changed", "lead": {"id": "L-1", "status": "Gagné"}}
    times = ["2026-07-20T10:00:00Z", "2026-07-20T11:00:00Z"]
    (first,), (back,) = (
        received({**told, "sentAt": {"date": time} if "." in named else time}, at=(named,)) for time in times
    )

    assert (TEN, ELEVEN) == (first.event.at, back.event.at)
    assert first.digest != back.digest


@pytest.mark.parametrize("place", ["attempts", "status_date", "note"])
def test_whatever_a_lead_holds_tells_events_apart(place):
    """A lead may count attempts of its own; a change that looks like a redelivery would be lost."""
    told = [{"event": "lead.updated", "lead": {"id": "L-1", "status": "Gagné", place: value}} for value in (1, 2)]
    bare = [event["lead"] for event in told]

    assert 4 == len({digest(one) for one in (*told, *bare)})


@pytest.mark.parametrize("name", ["timestamp", "date"])
def test_a_time_that_may_be_that_of_sending_makes_no_event_unique(name):
    """It may be the change's day alone; then a lead that returns to its status has the same body."""
    told = {"event": "lead.status_changed", "lead": {"id": "L-1", "status": "Gagné"}, name: "2026-07-20T10:00:00Z"}
    (one,) = received(told)

    assert not one.is_unique


@pytest.mark.parametrize("name", ["sentAt", "deliveredAt"])
def test_the_time_of_sending_is_no_time_of_an_event(name):
    """Each redelivery would have another, date the change anew and count as an event of its own."""
    told = {"event": "lead.status_changed", "lead": {"id": "L-1", "status": "Gagné"}, name: "2026-07-20T10:00:00Z"}
    (one,) = received(told)

    assert (None, False) == (one.event.at, one.is_unique)


@pytest.mark.parametrize(
    "other",
    [
        {"eventId": "e-2"},
        {"lead": {"id": "L-2", "status": "Gagné"}},
        {"lead": {"id": "L-1", "status": "Perdu"}},
        {"event": "lead.created"},
    ],
)
def test_different_events_have_different_digests(other):
    """An id that the platform gives to several events does not make them one."""
    told = {"event": "lead.status_changed", "eventId": "e-1", "lead": {"id": "L-1", "status": "Gagné"}}

    assert digest(told) != digest({**told, **other})


@pytest.mark.parametrize(
    ("more", "is_unique"),
    [
        ({"eventId": "e-1"}, True),
        ({"occurredAt": "2026-07-20T10:00:00Z"}, True),
        ({"lead": {"statusDate": "2026-07-20T10:00:00Z"}}, True),
        ({"lead": {"statusDate": "2026-07-20"}}, False),
        ({"occurredAt": "2026-07-20"}, False),
        ({"lead": {"createdAt": "2026-07-01T10:00:00Z"}}, False),
        ({}, False),
    ],
)
def test_only_an_id_or_an_instant_makes_an_event_unique(more, is_unique):
    """A lead may return to a status on the same day, and then the same body is news."""
    lead = {"id": "L-1", "status": "Gagné", **more.pop("lead", {})}
    (one,) = received({"event": "lead.status_changed", "lead": lead, **more})

    assert is_unique is one.is_unique


def test_the_date_of_a_status_does_not_make_an_appointment_unique():
    """It may be moved to a day and back while the status stays."""
    lead = {"id": "L-1", "statusDate": "2026-07-20T10:00:00Z", "status": "RDV", "appointmentAt": "2026-08-01 14:00"}
    (one,) = received({"event": "rdv", "lead": lead})

    assert not one.is_unique


# ── bodies ───────────────────────────────────────────────────────────────────────────────────────


def test_a_body_may_hold_a_list():
    """Each entry is an event of its own; a hundred are taken."""
    events = received([{"id": f"L-{number}", "status": "Gagné"} for number in range(100)])

    assert [f"L-{number}" for number in range(100)] == [one.event.lead for one in events]
    assert {ARRIVED} == {one.received_at for one in events}


@pytest.mark.parametrize(
    "name", ["events", "data", "items", "payload", "evenements", "notifications", "leads", "fiches"]
)
@pytest.mark.parametrize("form", ["event", "event around lead", "lead", "lead inside"])
def test_events_in_a_wrapped_list_are_each_read(name, form):
    """The list may hold events, or leads whose event is named beside it; each counts, not only the first."""
    kind = {"event": "lead.status_changed"}
    leads = [{"id": f"L-{number}", "status": "Gagné"} for number in range(3)]
    content = {
        "event": {name: [{**kind, "leadId": one["id"], "status": "Gagné"} for one in leads], "sentAt": "now"},
        "event around lead": {name: [{**kind, "lead": one} for one in leads]},
        "lead": {**kind, "eventId": "evt-1", name: leads},
        "lead inside": {**kind, "eventId": "evt-1", name: [{"lead": one} for one in leads]},
    }[form]

    events = received(content)

    told = [(one.event.kind, one.event.lead, one.event.label) for one in events]
    assert [(CrmEventKind.STATUS_CHANGE, one["id"], "Gagné") for one in leads] == told
    assert 3 == len({one.digest for one in events})


@pytest.mark.parametrize("more", [{"value": 1200}, {"identifier": "evt-1", "value": 1200}, {"accepted": True}])
def test_an_event_with_a_type_and_a_value_is_no_pair(more):
    """Its type is not the name of what it holds."""
    one = {"type": "lead.status_changed", "leadId": "L-5", "newStatus": "Gagné", "occurredAt": "2026-07-20T10:00:00Z"}

    told = event({"events": [one | more]})

    assert (CrmEventKind.STATUS_CHANGE, "L-5", "Gagné", TEN) == (told.kind, told.lead, told.label, told.at)


def test_a_wrapped_list_is_read_where_the_settings_say_that_leads_are():
    """`webhooks.fields.lead` names the list itself."""
    content = {"event": "lead.status_changed", "items": [{"id": "L-1", "status": "Gagné"}]}

    assert "L-1" == event(content, lead=("items",)).lead


@pytest.mark.parametrize("more", [{"status": "Gagné"}, {"lead": {"status": "Gagné"}}, {"newStatus": "Gagné"}])
@pytest.mark.parametrize(
    "list_of_its_own",
    [
        {"items": [{"id": 7, "product": "x"}] * 2},
        {"items": [{"id": 7, "status": "commandé"}]},
        {"data": [{"name": "ref", "value": "7"}]},
    ],
)
def test_a_list_that_is_a_leads_own_holds_no_events(more, list_of_its_own):
    """Such as the lines of a quote, or fields as pairs."""
    told = event({"event": "lead.status_changed", "leadId": "L-1", **more, **list_of_its_own})

    assert (CrmEventKind.STATUS_CHANGE, "L-1", "Gagné") == (told.kind, told.lead, told.label)


@pytest.mark.parametrize("own", [{"id": "L-1"}, {"leadId": "L-1"}, {"id": "evt-1", "leadId": "L-1"}])
@pytest.mark.parametrize("name", ["events", "data", "items", "payload"])
def test_products_of_a_lead_are_not_taken_for_leads(own, name):
    """A lead's id beside a list makes it the lead's own, even if the lead's status is not told."""
    products = [{"id": "P-7", "name": "Cuisine", "type": "meuble"}, {"id": "P-8", "name": "Plan de travail"}]

    told = [(one.event.kind, one.event.lead) for one in received({"event": "lead.created", **own, name: products})]

    assert [(CrmEventKind.NEW_LEAD, "L-1")] == told


@pytest.mark.parametrize(
    "one",
    [
        {"id": "L-1", "status": "Gagné"},
        {"event": "lead.status_changed", "leadId": "L-1", "newStatus": "Gagné"},
        {"lead": {"id": "L-1", "status": "Gagné"}},
    ],
)
@pytest.mark.parametrize("name", ["data", "leads"])
def test_an_id_beside_leads_is_the_events_own(one, name):
    """What tells a status or a lead of its own is no line of a quote."""
    (told,) = received({"event": "lead.status_changed", "id": "evt-1", name: [one]})

    assert (CrmEventKind.STATUS_CHANGE, "L-1", "Gagné") == (told.event.kind, told.event.lead, told.event.label)


@pytest.mark.parametrize(
    "own",
    [
        {"lignes": [{"id": "P-7", "name": "Cuisine"}]},
        {"id": "L-1", "lignes": [{"id": "P-7", "status": "commandé"}]},
        {"id": "L-1", "createdAt": "2026-07-01", "suivi": [{"id": 5, "leadId": "L-1", "status": "RDV"}]},
        {"leadId": "L-1", "suivi": [{"leadId": "L-2", "status": "RDV"}]},
        {"lead": {"id": "L-1"}, "suivi": [{"leadId": "L-2", "status": "RDV"}]},
        {"fiches": [{"leadId": "L-2", "status": "RDV"}], "autres": [{"leadId": "L-3", "status": "RDV"}]},
    ],
)
def test_a_list_under_another_name_holds_events_only_if_each_must_be_one(own):
    """Lines of a quote and past statuses have ids and statuses too."""
    (told,) = received({"event": "lead.created", **own})

    assert told.event.lead in {"L-1", None}


def test_the_settings_may_say_that_a_list_beside_an_id_and_a_creation_names_leads():
    """As the line does that is offered for it; by itself, it may be a lead with a list of its own."""
    body = {"id": "evt-1", "createdAt": "2026-07-20T10:00:00Z", "lot": [{"leadId": "L-1", "status": "Gagné"}]}

    assert "L-1" != event(body).lead
    assert "L-1" == event(body, lead_id=("leadId",), status=("status",)).lead


@pytest.mark.parametrize(
    "own",
    [
        {"devis": [{"id": 5, "status": "Envoyé"}]},
        {"statusHistory": [{"id": number, "status": "RDV", "date": "2026-07-20"} for number in (5, 6)]},
    ],
)
def test_the_id_of_a_quote_or_of_a_past_status_is_no_leads(own):
    """Even where what names the lead beside them is under a name that we do not know."""
    leads = [one.event.lead for one in received({"event": "lead.status_changed", "reference": "L-77", **own})]

    assert [None] == leads


@pytest.mark.parametrize("name", ["devis", "Documents", "tâches", "rendezVous"])
def test_the_id_of_what_belongs_to_a_lead_is_no_leads_even_alone(name):
    """Whose it is, the event does not tell."""
    (told,) = received({"event": "lead.status_changed", name: [{"id": 5, "status": "Envoyé"}]})

    assert told.event.lead is None


def test_each_object_of_a_list_under_another_name_must_name_its_lead():
    """Of two that do and one that does not, none is read by itself."""
    entries = [{"leadId": "L-1", "status": "Gagné"}, {"leadId": "L-2"}, {"note": "x"}]
    body = {"event": "lead.status_changed", "fiches": entries}

    assert (2, 1) == (len(received({**body, "fiches": entries[:2]})), len(received(body)))


def test_a_wrapped_list_is_bounded_too():
    """A hundred events, as in a bare list."""
    with pytest.raises(ValueError, match="101 events"):
        received({"events": [{"id": f"L-{number}"} for number in range(101)]})


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"nope", b"\xff\xfe\x00", b"a=1&b=2", b'"text"', b"12", b"null", b"[]", b'[{"id": 1}, 2]'),
        b"[" * 100_000,
        b'{"a":' * 500 + b"1" + b"}" * 500,
        json.dumps([{"id": "L-1"}] * 101).encode(),
        json.dumps({"id": "L-1", "status": "Gagné", "values": [1] * 10_001}).encode(),
    ],
    ids=lambda body: body[:12].decode(errors="replace"),
)
def test_what_is_no_event_is_refused(body):
    """Neither text, nor a number, nor too many events or levels; the message never quotes the body."""
    with pytest.raises(ValueError, match=r".") as refused:
        WebhookParser(OpleadOptions(token="t", zone=PARIS), WebhookFieldPaths(NAMES)).parse(body, ARRIVED)

    assert "nope" not in str(refused.value)


def test_what_is_not_understood_keeps_its_structure_only():
    """Paths and shapes, no values, and the event's name only where it can be nothing but one."""
    person = {"nom": "Martin", "email": "jeanne.martin@example.fr", "tel": "0612345678", "note": "à rappeler"}
    shown = event({"event": "contact.merged", "contact": person}).structure
    hidden = event({"event": "Jeanne Martin", "contact": person}).structure

    assert shown == (
        "event contact.merged; event: text, 14 characters; contact: object; contact.nom: text, 6 characters; "
        "contact.email: e-mail address; contact.tel: phone number or other digits; contact.note: text, 10 characters"
    )
    for value in (*person.values(), "Jeanne"):
        assert value not in hidden
    assert len(event({f"k{number}": number for number in range(2_000)}).structure) <= 2_000


@pytest.mark.parametrize(
    ("name", "is_shown"),
    [
        ("lead.merged", True),
        ("leadUpdated", True),
        ("LEAD_DELETED", True),
        ("lead.martin", False),
        ("Jeanne_Leadbetter", False),
        ("contact/martin", False),
        ("eventJeanne", False),
        ("lead.updated.Martin", False),
    ],
)
def test_an_events_name_is_shown_only_if_every_word_of_it_is_known(name, is_shown):
    """One known word does not make the others harmless."""
    structure = event({"event": name, "lead": {"x": 1}}).structure

    assert is_shown is (name in structure)


def test_what_is_not_understood_keeps_no_label():
    """What stands where a status should be may be anything."""
    read = event({"event": "lead.note_added", "lead": {"id": "L-1", "status": "Rappeler Mme Martin"}})

    assert (None, "L-1", None) == (read.kind, read.lead, read.label)
    assert "Martin" not in repr(read)


def test_contact_data_is_in_no_event():
    """Of a lead as the API shows it, ids, labels and times are kept."""
    lead = {
        "id": "L-1",
        "status": "Gagné",
        "email": "jeanne.martin@example.fr",
        "phone": "0612345678",
        "lastname": "Martin",
    }
    (one,) = received({"event": "lead.status_changed", "lead": lead, "occurredAt": "2026-07-20T10:00:00Z"})

    assert WebhookEvent(CrmEventKind.STATUS_CHANGE, LeadId("L-1"), "Gagné", TEN) == one.event


@pytest.mark.parametrize("name", ["date", "at", "createdAt", "changedAt", "updatedAt", "timestamp"])
def test_the_time_of_a_status_change_has_any_name_that_it_has_in_a_history(name):
    """Taken for the arrival, a delivery that was tried again would date the change by days."""
    lead = {"id": "L-1", "status": "Gagné"}
    told = {"event": "lead.status_changed", "lead": lead, name: "2026-07-20T10:00:00Z"}

    assert Moment(datetime(2026, 7, 20, 10, tzinfo=UTC)) == event(told).at


@pytest.mark.parametrize("name", ["date", "at", "le", "depuis", "changedAt"])
@pytest.mark.parametrize("status", ["status", "newStatus", "nouveau"])
@pytest.mark.parametrize("place", [None, "data", "items"])
def test_the_time_beside_a_status_is_its_own(name, status, place):
    """Whether it stands beside what names the lead, or inside it: only what shows its creation is a lead."""
    told = {"id": "L-1", status: "Gagné", name: "2026-07-20T10:00:00Z", "user": "USR_5"}
    inside = {None: told, "data": {"data": told}, "items": {"items": [told]}}[place]

    read = event({"event": "lead.status_changed", **inside})

    assert (CrmEventKind.STATUS_CHANGE, "L-1", "Gagné", TEN) == (read.kind, read.lead, read.label, read.at)


@pytest.mark.parametrize(
    "lead",
    [
        {"newStatus": "Gagné"},
        {"status": "Gagné", "oldStatus": "RDV"},
        {"statut": {"ancien": "RDV", "nouveau": "Gagné"}},
    ],
)
def test_a_lead_that_tells_a_change_may_tell_when(lead):
    """No lead by itself says what its status was, or that one is new."""
    told = {"event": "lead.status_changed", "lead": {"id": "L-1", **lead, "date": "2026-07-20T10:00:00Z"}}

    assert ("Gagné", TEN) == (event(told).label, event(told).at)


@pytest.mark.parametrize(
    ("name", "places"), [("status", {}), ("etape", {"status": ("lead.etape",)}), ("etape", {"status": ("etape",)})]
)
def test_a_date_of_the_lead_is_no_date_of_its_status(name, places):
    """It may be that of its creation, wherever the settings say that the status is."""
    lead = {"id": "L-1", name: "Gagné", "date": "2026-01-01"}
    read = event({"event": "lead.status_changed", "lead": lead}, **places)

    assert (CrmEventKind.STATUS_CHANGE, "Gagné", None) == (read.kind, read.label, read.at)


@pytest.mark.parametrize("names", [("status", "old", "new"), ("statut", "ancien", "nouveau")])
def test_a_status_that_tells_old_and_new_may_tell_when(names):
    """Beside the new one."""
    status, old, new = names
    told = {"lead": {"id": "L-1"}, status: {old: "RDV", new: "Gagné", "date": "2026-07-20T10:00:00Z"}}

    assert ("Gagné", TEN) == (event(told).label, event(told).at)


@pytest.mark.parametrize(
    "told",
    [
        {"event": "lead.status_changed", "id": "L-1", "status": "Gagné", "createdAt": "2026-07-20T10:00:00Z"},
        {"event": "lead.status_changed", "id": "L-1", "status": "Gagné", "updatedAt": "2026-07-20T10:00:00Z"},
        {
            "event": "lead.status_changed",
            "lead": {"id": "L-1", "status": "Gagné", "createdAt": "2026-07-01", "date": "2026-07-20T10:00:00Z"},
        },
        {
            "event": "lead.appointment_updated",
            "lead": {"id": "L-1"},
            "appointmentAt": "",
            "date": "2026-07-20T10:00:00Z",
        },
    ],
)
def test_a_time_that_may_be_anothers_dates_no_event(told):
    """That of the lead's creation or editing, or of the appointment."""
    assert event(told).at is None
