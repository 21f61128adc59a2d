"""An accident changes the leads it affects while it lasts, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest

from connectors.sandbox.oplead.leads.accidents import (
    LeadAccidentKind,
    SimulatedLeadAccident,
    accident_json,
    apply_accidents,
)
from connectors.sandbox.platform import from_json

SINCE = datetime(2026, 9, 3, tzinfo=UTC)
BEFORE, LATER = SINCE - timedelta(seconds=1), SINCE + timedelta(days=1)
LEAD = {
    "id": "L-1",
    "createdAt": "2026-09-01 09:00:00",
    "status": "RDV pris",
    "statusHistory": [{"status": "Nouveau", "date": "x"}, {"status": "RDV pris", "date": "y"}],
    "leadData": {"externalID": "gclid=AbC-dEf", "consent": "oui", "utm_source": "google", "utm_medium": "cpc"},
}


def damaged(lead=LEAD, *, now=LATER, **accident):
    """Return the lead after one accident."""
    return apply_accidents([SimulatedLeadAccident(**{"since": SINCE} | accident)], lead, now)


def data(**fields):
    """LEAD with other leadData."""
    return {**LEAD, "leadData": {**LEAD["leadData"], **fields}}


def test_relabel_changes_status_and_history():
    """Other labels stay."""
    lead = damaged(kind=LeadAccidentKind.RELABEL, old="RDV pris", new="Rendez-vous fixé")

    assert "Rendez-vous fixé" == lead["status"]
    assert ["Nouveau", "Rendez-vous fixé"] == [entry["status"] for entry in lead["statusHistory"]]
    assert LEAD == damaged(kind=LeadAccidentKind.RELABEL, old="Gagné", new="Vendu")


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        ("drop_utm", {"externalID": "gclid=AbC-dEf", "consent": "oui"}),
        ("bare_ids", {"externalID": "AbC-dEf", "consent": "oui"}),
        ("drop_click_ids", LEAD["leadData"] | {"externalID": ""}),
        ("lower_case", LEAD["leadData"] | {"externalID": "gclid=abc-def"}),
        ("truncate", LEAD["leadData"] | {"externalID": "gclid=AbC"}),
    ],
)
def test_capture_accidents_change_only_lead_data(kind, left):
    """Each kind damages the captured ids in its own way."""
    assert {**LEAD, "leadData": left} == damaged(kind=LeadAccidentKind(kind), length=9)


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("leadData.gdpr", {"leadData": {**LEAD["leadData"], "gdpr": "oui"}}),
        ("optIn.ads", {"optIn": {"ads": "oui"}}),
        ("optIn", {"optIn": "oui"}),
    ],
)
def test_move_field_moves_the_value(path, there):
    """The field leaves its old place, and its new one is created if needed."""
    lead = damaged(kind=LeadAccidentKind.MOVE_FIELD, old="leadData.consent", new=path)
    expected = {**LEAD, **there}
    expected["leadData"] = {name: value for name, value in expected["leadData"].items() if name != "consent"}

    assert expected == lead


@pytest.mark.parametrize("lead", ["Fiche archivée", None, {"id": "L-1"}, {"id": "L-1", "leadData": []}])
@pytest.mark.parametrize("kind", LeadAccidentKind)
def test_accident_ignores_leads_without_the_field(kind, lead):
    """Malformed leads pass unchanged too."""
    assert lead == damaged(lead, kind=kind, old="leadData.consent", new="optIn")


def test_accident_lasts_from_since_to_until():
    """A lead is intact before and after."""
    until = SINCE + timedelta(days=7)
    moments = (BEFORE, SINCE, until - timedelta(seconds=1), until)

    assert [False, True, True, False] == [
        LEAD != damaged(now=now, kind=LeadAccidentKind.DROP_UTM, until=until) for now in moments
    ]


def test_only_new_damages_leads_created_meanwhile_for_good():
    """Older and younger leads stay intact, as do leads without a readable creation date."""
    until = SINCE + timedelta(days=7)
    made = {"2026-09-03 01:59:59": False, "2026-09-03 02:00:00": True, "2026-09-10 02:00:00": False}
    year_later = SINCE + timedelta(days=365)

    for created, is_damaged in made.items():
        lead = {**LEAD, "createdAt": created}
        assert is_damaged == (
            lead != damaged(lead, now=year_later, kind=LeadAccidentKind.DROP_UTM, until=until, only_new=True)
        )
    odd = {**LEAD, "createdAt": "hier"}
    assert odd == damaged(odd, kind=LeadAccidentKind.DROP_UTM, only_new=True)


def test_accidents_apply_in_order():
    """The second works on the result of the first."""
    accidents = [
        SimulatedLeadAccident(LeadAccidentKind.BARE_IDS, SINCE),
        SimulatedLeadAccident(LeadAccidentKind.LOWER_CASE, SINCE),
    ]

    assert "abc-def" == apply_accidents(accidents, LEAD, LATER)["leadData"]["externalID"]


def test_accident_round_trips_through_json():
    """The saved state and the control server write it in this form."""
    accident = SimulatedLeadAccident(
        LeadAccidentKind.TRUNCATE, SINCE, SINCE + timedelta(days=1), only_new=True, length=40
    )

    assert accident == from_json(SimulatedLeadAccident, accident_json(accident))
    assert {"until"} == accident_json(accident).keys() - accident_json(
        SimulatedLeadAccident(LeadAccidentKind.DROP_UTM, SINCE)
    ).keys()


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, "kind"),
        ({"kind": "flood"}, "kind"),
        ({"kind": "drop_utm"}, "since"),
        ({"kind": "drop_utm", "since": "2026-09-03"}, "since"),
        ({"kind": "drop_utm", "since": "2026-09-03T00:00"}, "zone"),
        ({"kind": "drop_utm", "since": "soon"}, "since"),
        ({"kind": "drop_utm", "since": 3}, "since"),
        ({"kind": "relabel", "since": "2026-09-03T00:00Z", "old": "RDV"}, "new"),
        ({"kind": "drop_utm", "since": "2026-09-03T00:00Z", "until": "2026-09-02T00:00Z"}, "until"),
        ({"kind": "truncate", "since": "2026-09-03T00:00Z", "length": 0}, "length"),
        ({"kind": "truncate", "since": "2026-09-03T00:00Z", "length": True}, "length"),
        ({"kind": "drop_utm", "since": "2026-09-03T00:00Z", "colour": "red"}, "colour"),
    ],
)
def test_invalid_accident_is_refused(document, expected):
    """The error names the wrong field."""
    with pytest.raises(ValueError, match=expected):
        from_json(SimulatedLeadAccident, document)
