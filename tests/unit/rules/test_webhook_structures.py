"""What is shown of webhooks that are not understood, and what to paste for them."""

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
import yaml

from connectors.crm import CrmEventKind
from connectors.oplead.options import OpleadOptions, WebhookFieldPaths
from connectors.oplead.parsing.webhook_parser import WebhookParser
from connectors.records import Moment
from jobs.rules.webhook_structures import has_leads_out_of_reach, settings_line, shown_fields
from jobs.settings.oplead_schema import WebhookFields


@pytest.mark.parametrize(
    ("structure", "expected"),
    [
        (
            "evenement: text, 8 characters; prospect: object; prospect.numero: number; prospect.nouveau.statut: text",
            {"event": "evenement", "lead_id": "prospect.numero", "status": "prospect.nouveau.statut"},
        ),
        (
            "httpStatus: number; statusDate: date; lead.paid: true or false; lead.contact.id: number",
            {"lead_id": "NAME", "status": "NAME"},
        ),
        ("an object without names", {"lead_id": "NAME", "status": "NAME"}),
    ],
)
def test_the_line_to_paste_names_what_looks_right_and_is_taken(structure, expected):
    """What nothing looks like is left for a person to name."""
    fields = yaml.safe_load(settings_line([structure]))["fields"]

    assert expected == fields
    assert WebhookFields.model_validate(fields)


def test_few_names_are_shown_and_never_a_value():
    """Of forty fields, the first; a path that merely holds others says nothing, and a long one is left out."""
    long = "a" * 70
    many = "; ".join(
        ["lead: object", f"{long}: text", *(f"lead.f{number}: text, 6 characters" for number in range(40))]
    )

    shown = shown_fields([many, many])

    assert [*(f"lead.f{number}" for number in range(8)), "…"] == list(shown)
    assert ("an object without names",) == shown_fields(["an object without names"])


AT = "2026-07-20T10:00:00Z"


def received(body, **named):
    """What is read of a body where the settings name these fields."""
    parser = WebhookParser(OpleadOptions(token="t", zone=ZoneInfo("Europe/Paris")), WebhookFieldPaths({}, **named))
    return [one.event for one in parser.parse(json.dumps(body).encode(), datetime(2026, 7, 20, 12, tzinfo=UTC))]


def pasted(line):
    """The fields that the settings name with a line pasted."""
    fields = WebhookFields.model_validate(yaml.safe_load(line)["fields"])
    return {name: getattr(fields, name) for name in fields.model_fields_set}


@pytest.mark.parametrize(
    "body",
    [
        {"event": "status", "leadIdentifier": "L-1", "statusIdentifier": "Gagné", "date": AT},
        {"type": "maj", "idLead": "L-1", "statut": "Gagné", "date": AT},
        {"type": "maj", "identifiantLead": "L-1", "nouveau": "Gagné", "le": AT},
        {"type": "maj", "idProspect": "L-1", "ancien_statut": "RDV", "statut_id": "Gagné", "le": AT},
        {"type": "maj", "fiche": {"numeroLead": 0, "leadRef": "L-1", "nouveau": "Gagné", "le": AT}},
        {"typeEvenement": "statut", "id_prospect": "L-1", "idStatut": "Gagné", "le": AT},
        {"notifications": [{"type": "maj", "idProspect": "L-1", "statut": "Gagné", "le": AT}]},
        {"evenements": [{"type": "maj", "idLead": "L-1", "nouveau": "Gagné", "le": AT}]},
        {"id": "evt-1", "leads": [{"idProspect": "L-1", "idStatut": "Gagné", "le": AT}]},
        {"id": "evt-1", "type": "maj", "fiches": [{"idProspect": "L-1", "idStatut": "Gagné", "le": AT}]},
        {"type": "maj", "fiches": [{"leadId": "L-1", "nouveau": "Gagné", "le": AT}]},
        {"etat": "ok", "fiches": [{"idProspect": "L-1", "nouveau": "Gagné", "le": AT}]},
    ],
)
def test_an_event_is_understood_once_its_line_is_pasted(body):
    """Each event of a list, too, with its lead, its status and its time."""
    (name,) = [name for name, value in body.items() if isinstance(value, list)] or [None]
    others = {name: [*body[name], {**body[name][0], "note": 1}]} if name else {}
    before = received({**body, **others})
    line = settings_line([one.structure for one in before])

    after = received({**body, **others}, **pasted(line))

    assert {None} == {one.kind for one in before}
    assert "NAME" not in line
    assert [(CrmEventKind.STATUS_CHANGE, "L-1", "Gagné", Moment(datetime(2026, 7, 20, 10, tzinfo=UTC)))] * (
        2 if name else 1
    ) == [(one.kind, one.lead, one.label, one.at) for one in after]


def test_a_name_that_a_person_writes_from_what_is_shown_is_read_too():
    """In a list, the names are shown as its objects have them."""
    body = {"id": "evt-1", "fiches": [{"dossier": "L-1", "avis": "Gagné"}, {"dossier": "L-2", "avis": "Perdu"}]}
    (one,) = received(body)

    assert ("dossier", "avis", "id") == shown_fields([one.structure])
    told = received(body, lead_id=("dossier",), status=("avis",))
    assert [("L-1", "Gagné"), ("L-2", "Perdu")] == [(each.lead, each.label) for each in told]


def test_events_of_two_structures_are_both_understood_once_their_line_is_pasted():
    """One line names the fields of both."""
    bodies = [
        {"type": "maj", "idProspect": "L-1", "statut": "Gagné"},
        {"type": "maj", "prospect": {"ref": "L-2", "nouveau": "RDV"}},
    ]
    fields = pasted(settings_line([one.structure for body in bodies for one in received(body)]))

    told = [(one.lead, one.label) for body in bodies for one in received(body, **fields)]

    assert [("L-1", "Gagné"), ("L-2", "RDV")] == told


@pytest.mark.parametrize(
    ("body", "is_out_of_reach"),
    [
        ({"id": "evt-1", "resultat": {"fiches": [{"leadId": "L-1", "status": "Gagné"}]}}, True),
        ({"resultat": {"fiches": [{"id": "L-1", "status": "Gagné"}, {"id": "L-2", "status": "Gagné"}]}}, True),
        ({"type": "maj", "fiche": {"numero": "L-1", "telephones": [{"numero": "0612345678"}]}}, False),
        ({"type": "maj", "fiche": {"code": "L-1", "statut": "Gagné", "produits": [{"id": 7}]}}, False),
        ({"type": "maj", "leadId": "L-1", "produits": [{"id": 7, "statut": "commandé"}]}, False),
    ],
)
def test_no_line_is_offered_where_none_helps(body, is_out_of_reach):
    """In a list within another object, a path would lead to its first lead alone."""
    structures = [one.structure for one in received(body)]

    assert is_out_of_reach is has_leads_out_of_reach(structures)
    assert is_out_of_reach is (settings_line(structures) == "")


def test_a_status_of_a_leads_own_list_is_not_offered_for_its_own():
    """Nor is the status that it had before."""
    (one,) = received(
        {"type": "maj", "leadId": "L-1", "ancienStatut": "RDV", "produits": [{"id": 7, "statut": "commandé"}]}
    )

    assert "fields: { lead_id: leadId, status: NAME }" == settings_line([one.structure])


@pytest.mark.parametrize(
    "other",
    [
        "newsletterStatus",
        "emailStatus",
        "payment.status",
        "mailing.etat",
        "oldStatus",
        "status.old.name",
        "lead_old_status",
        "leadOldStatus",
        "OLD_STATUS",
        "statut.precedent.statut",
    ],
)
def test_the_status_of_something_else_is_not_offered(other):
    """Nor one from before, in whatever way its name is put together."""
    line = settings_line([f"leadId: text; {other}: text; current.status: text"])

    assert "fields: { lead_id: leadId, status: current.status }" == line


@pytest.mark.parametrize("name", ["goldStatus", "threshold.status", "GOLD_STATUS", "household.etape"])
def test_a_status_whose_name_only_holds_such_letters_is_offered(name):
    """Gold is not old."""
    assert f"fields: {{ lead_id: leadId, status: {name} }}" == settings_line([f"leadId: text; {name}: text"])
