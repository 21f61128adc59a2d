"""Where the parser finds values in leads: every known path, in every spelling and container."""

from dataclasses import fields
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from connectors.oplead.options import CANDIDATES, FieldPaths, OpleadOptions
from connectors.oplead.parsing.lead_parser import LeadParser
from connectors.records import LeadId

PARIS = ZoneInfo("Europe/Paris")
PATHS = [
    (one.name, path)
    for one in fields(FieldPaths)
    for path in getattr(CANDIDATES, one.name)
    if path != "status.date"  # shares its object with the label: see below
]
VALUES = {
    "id": "L-1",
    "created_at": "2026-07-02 10:00",
    "updated_at": "2026-07-03 10:00",
    "status": "Gagné",
    "status_at": "2026-07-04",
    "history": [{"status": "Gagné", "date": "2026-07-04"}],
    "click_id": "gclid=Cj0KCQjw-Abc",
    "email": "jeanne@example.org",
    "phone": "06 12 34 56 78",
    "first_name": "Jeanne",
    "last_name": "Martin",
    "postcode": "01000",
    "city": "Bourg",
    "country": "FR",
}


def nested(path, value, *, spell=str, hold=lambda name, value: {name: value}):
    """A lead with a value at a path, in the given spelling and containers; the outermost is an object."""
    *parents, last = path.split(".")
    if not parents:
        return {spell(last): value}
    inner = hold(spell(last), value)
    for name in reversed(parents[1:]):
        inner = hold(spell(name), inner)
    return {spell(parents[0]): inner}


def read(name, item):
    """Parse one named value from a lead."""
    parser = LeadParser(OpleadOptions(token="t", zone=PARIS))
    if name == "id":
        return parser.read_id(item)
    about = {"created_at": "2026-07-01", "status": "Gagné"}
    about.pop(name, None)
    lead = parser.parse({**about, **item}, LeadId("L-1"), "d")
    found = {
        "created_at": lambda: lead.created_at,
        "updated_at": lambda: lead.updated_at,
        "status": lambda: lead.label,
        "status_at": lambda: [(entry.label, entry.at.at) for entry in lead.history],
        "history": lambda: [(entry.label, entry.at.at) for entry in lead.history],
        "click_id": lambda: [one.value for one in lead.click_ids],
        "utm_source": lambda: lead.utm.source,
        "utm_medium": lambda: lead.utm.medium,
        "utm_campaign": lambda: lead.utm.campaign,
        "email": lambda: lead.contact.emails,
        "phone": lambda: lead.contact.phones,
    }
    return found[name]() if name in found else getattr(lead.contact, name)


EXPECTED = {
    "created_at": datetime(2026, 7, 2, 8, tzinfo=UTC),
    "updated_at": datetime(2026, 7, 3, 8, tzinfo=UTC),
    "status_at": [("Gagné", date(2026, 7, 4))],
    "history": [("Gagné", date(2026, 7, 4))],
    "click_id": ["Cj0KCQjw-Abc"],
    "email": ("jeanne@example.org",),
    "phone": ("06 12 34 56 78",),
}
SPELLINGS = {
    "as it is": str,
    "in capitals": str.upper,
    "with underscores": lambda name: "".join(f"_{one.lower()}" if one.isupper() else one for one in name),
    "with hyphens": lambda name: "-".join([name[:2], name[2:]]),
}
CONTAINERS = {
    "objects": lambda name, value: {name: value},
    **{
        f"pairs by {key}": lambda name, value, key=key: [{key: "other", "value": "x"}, {key: name, "value": value}]
        for key in ("name", "key", "code", "label")
    },
    "pairs in capitals": lambda name, value: [{"Name": name, "Value": value}],
}


@pytest.mark.parametrize(
    ("spelling", "containers"),
    [*((spelling, "objects") for spelling in SPELLINGS), *(("as it is", built) for built in CONTAINERS)],
)
@pytest.mark.parametrize(("name", "path"), PATHS)
def test_finds_every_known_path(name, path, spelling, containers):
    """Case, underscores and hyphens do not matter, nor does nesting in objects or name/value pairs."""
    item = nested(path, VALUES.get(name, "google"), spell=SPELLINGS[spelling], hold=CONTAINERS[containers])

    assert EXPECTED.get(name, VALUES.get(name, "google")) == read(name, item)


@pytest.mark.parametrize("key", ["label", "name", "code", "id"])
def test_reads_a_status_object_by_its_label_or_code(key):
    """Any one of the keys is enough."""
    assert "gagne" == read("status", {"status": {key: "gagne", "colour": "green"}})


def test_reads_a_status_date_inside_the_status_object():
    """The object holds both the label and its date."""
    assert EXPECTED["status_at"] == read("status_at", {"status": {"label": "Gagné", "date": "2026-07-04"}})


def test_first_path_with_a_value_wins():
    """Empty values are skipped."""
    assert "Perdu" == read("status", {"status": "", "leadStatus": None, "state": "Perdu"})
    assert "Gagné" == read("status", {"status": "Gagné", "state": "Perdu"})
