"""Lead ids that change: what was sent under the old ones is not counted again until a person says who is who."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests.e2e.support.typed import type_in

on_both = pytest.mark.parametrize("state_in", ["file", pytest.param("database", marks=pytest.mark.exhaustive)])
DAY = timedelta(days=1)
LEADS = range(1, 9)


def sold(company, number, **more):
    """A lead with an appointment and a sale to send, and an id of another kind in a field of its own."""
    one = company.lead(number, ("Gagné", company.START - DAY), **more)
    return one | {"uuid": f"u{number}-4b7f"}


def renumber(company, numbers):
    """Have Oplead show these leads, as they were, under new ids."""
    for number in numbers:
        company.sandbox.oplead.delete_lead(f"L-{number}")
        company.serve(sold(company, number) | {"id": f"N-{number}"})


def first_night(company):
    """Send eight leads' conversions and learn what became of them."""
    company.serve(*(sold(company, number) for number in LEADS))
    company.night()
    company.later()
    assert both(f"L-{number}" for number in LEADS) == sorted(company.taken())


def both(leads):
    """An appointment and a sale of each of these leads."""
    return sorted((lead, conversion) for lead in leads for conversion in ("appointment", "sale"))


def spoken(out):
    """What was printed, on one line."""
    return " ".join(out.split())


@pytest.fixture
def dated(company):
    """A company whose first night is over."""
    first_night(company)
    company.clock.advance(company.clock.now() + timedelta(hours=6))
    return company


# ── another field ────────────────────────────────────────────────────────────────────────────────


def test_another_id_field_is_refused_until_a_person_says_what_it_means(dated):
    """Nothing is read or sent, and the message names the old field and both answers."""
    dated.settings["oplead"] = {"fields": {"id": "uuid"}}
    asked = len(dated.arrivals)

    code, _, complaint = dated.command("run")

    assert 2 == code
    assert all(word in complaint for word in ("oplead.fields.id", "--same-leads", "--other-leads"))
    assert [] == [server for server, _, _ in dated.arrivals[asked:] if server != "clock"]


@on_both
def test_same_leads_takes_another_id_field_without_sending_anything_again(dated):
    """All are settled as already sent, in the run that is told, and later nights need no word."""
    dated.settings["oplead"] = {"fields": {"id": "uuid"}}

    code, _, _ = dated.command("run", "--same-leads")
    dated.later(DAY)

    assert 0 == code
    assert both(f"L-{number}" for number in LEADS) == sorted(dated.taken())
    assert {"already_sent"} == {row.reason for row in dated.deliveries().values() if row.lead.startswith("u")}


# ── another number ───────────────────────────────────────────────────────────────────────────────


@on_both
def test_renumbered_leads_are_held_and_named(dated):
    """Exit code 1, with their number and pairs; new leads of that destination wait too, and nothing counts twice."""
    renumber(dated, LEADS)
    dated.serve(sold(dated, 20))

    dated.later(DAY)
    code, out, _ = dated.command("run")

    assert 1 == code
    assert "N-1 (L-1)" in spoken(out)
    assert both(f"L-{number}" for number in LEADS) == sorted(dated.taken())
    assert {"possible_twin"} == {row.reason for row in dated.deliveries().values() if row.lead.startswith("N")}
    assert {("pending", "ids_changed")} == {
        (row.state, row.reason) for row in dated.deliveries().values() if row.lead == "L-20"
    }
    _code, told, _ = dated.command("status")
    assert "nothing is waiting to go out" not in spoken(told)
    assert "are held, as lead ids or creation dates seem to have changed in Oplead" in spoken(told)


def test_half_of_the_leads_renumbered_are_held_as_all_are(dated):
    """The others stand as they were."""
    renumber(dated, range(1, 6))

    code = dated.later(DAY).exit_code

    assert 1 == code
    assert both(f"L-{number}" for number in LEADS) == sorted(dated.taken())
    assert both(f"N-{number}" for number in range(1, 6)) == sorted(
        name for name, row in dated.deliveries().items() if row.reason == "possible_twin"
    )


def test_same_leads_settles_renumbered_ones_and_lets_the_others_go(dated):
    """One answer is enough: later nights are silent and send what is new."""
    renumber(dated, LEADS)
    dated.serve(sold(dated, 20))
    dated.later(DAY)

    code, _, _ = dated.command("run", "--same-leads")
    after = dated.later(DAY)

    assert (0, 0) == (code, after.exit_code)
    assert both([*(f"L-{number}" for number in LEADS), "L-20"]) == sorted(dated.taken())


def test_other_leads_sends_them(dated):
    """A person knows that these are other leads; `explain` told why they waited."""
    renumber(dated, LEADS)
    dated.later(DAY)
    _, explained, _ = dated.command("explain", "N-1")

    dated.command("run", "--other-leads")
    dated.later()

    assert "L-1" in spoken(explained)
    assert both(f"{kind}-{number}" for kind in "LN" for number in LEADS) == sorted(dated.taken())


@pytest.mark.parametrize("renumbered", [1, 2])
def test_few_renumbered_leads_hold_themselves_only(dated, renumbered):
    """Fewer than five: they are told of until somebody answers, and what else is due goes out."""
    renumber(dated, range(1, renumbered + 1))
    dated.serve(sold(dated, 20))

    dated.later(DAY)
    first, _, _ = dated.command("run", "--dry-run")
    dated.later()

    assert 1 == first
    assert both([*(f"L-{number}" for number in LEADS), "L-20"]) == sorted(dated.taken())


@pytest.mark.parametrize("count", [2, 8])
def test_forgotten_lead_is_named_in_no_incident(dated, count):
    """Neither it nor the pair that gives it away; the others stay, and so does their number."""
    renumber(dated, range(1, count + 1))
    dated.clock.advance(dated.clock.now() + DAY)
    dated.command("run")
    pairs = [f"N-{number} (L-{number})".encode() for number in range(1, count + 1)]
    state = dated.contents
    assert all(any(pair in data for data in state().values()) for pair in pairs)

    for lead in ("L-1", "N-2"):
        code, _, _ = dated.command("forget", "--lead", lead)
        assert 0 == code
    left = [pair for pair in pairs if any(pair in data for data in state().values())]

    assert pairs[2:] == left


# ── neither click nor creation ───────────────────────────────────────────────────────────────────


@pytest.fixture
def by_contact(company):
    """A company whose leads have no click, and go out by their contact data; a second place is named."""
    elsewhere = company.directory / "elsewhere"
    elsewhere.mkdir()
    company.settings["forgotten"] = str(elsewhere / "maison-test.forgotten")
    company.settings["google_ads"] |= {"audience": "all", "contact_data": "attach"}
    return company


def without_click(company, number, **more):
    """A lead with an appointment and a sale to send by contact data."""
    return sold(company, number, **more) | {"leadData": {"externalID": "", "consent": "oui"}}


def created(company, number, hours):
    """The same lead as its CRM shows it after a move: under another id, created when it was moved."""
    moved = without_click(company, number, created=company.CREATED + timedelta(hours=hours))
    return moved | {"id": f"N-{number}"}


def test_leads_whose_ids_and_creations_changed_are_held_by_their_contact_data(by_contact):
    """The key lies outside the state; of the moment in which the first of them were created, somebody else is new."""
    by_contact.serve(*(without_click(by_contact, number) for number in LEADS))
    by_contact.night()
    by_contact.later()
    assert both(f"L-{number}" for number in LEADS) == sorted(by_contact.taken())
    for number in LEADS:
        by_contact.sandbox.oplead.delete_lead(f"L-{number}")
        by_contact.serve(created(by_contact, number, hours=2))
    by_contact.serve(without_click(by_contact, 20))

    code = by_contact.later(DAY).exit_code
    told, _, _ = by_contact.command("run", "--same-leads")
    by_contact.later(DAY)

    salt = json.loads(Path(by_contact.settings["forgotten"]).read_text())["salt"]
    assert not any(salt.encode() in data for data in by_contact.contents().values())
    assert (1, 0) == (code, told)
    assert both([*(f"L-{number}" for number in LEADS), "L-20"]) == sorted(by_contact.taken())


# ── two leads of one click ───────────────────────────────────────────────────────────────────────


def test_second_lead_of_a_couple_counts_while_the_first_is_there(dated):
    """They share a click, and Oplead shows both."""
    dated.serve(sold(dated, 20, clicks=f"gclid={dated.gclid(1)}"))

    code = dated.later(DAY).exit_code
    dated.later()

    assert 0 == code
    assert both([*(f"L-{number}" for number in LEADS), "L-20"]) == sorted(dated.taken())


def test_a_reused_id_is_named_by_status_and_explain_until_somebody_answers(company):
    """With what to type; what was sent on the former lead's record is explained with it."""
    at = company.clock.now()
    company.serve(company.lead(1, ("Gagné", at - timedelta(hours=1)), created=at - timedelta(days=2)))
    company.night()
    company.later()
    company.clock.advance(company.clock.now() + timedelta(days=1))
    other = company.lead(1, ("Nouveau", at), created=at - timedelta(days=60), clicks=company.gclid(7))
    company.serve(other)
    company.night()
    status, explained = type_in(company, "status"), type_in(company, "explain", "L-1")
    as_json = [type_in(company, *words, "--json").objects[0]["reused"] for words in (("status",), ("explain", "L-1"))]

    for told in (status, explained):
        for words in ("run --same-leads", "run --other-leads", "L-1"):
            assert words in told.lines
    assert [["L-1"], True] == as_json

    type_in(company, "run", "--other-leads")

    assert "run --other-leads" not in type_in(company, "status").lines + type_in(company, "explain", "L-1").lines
    assert [] == type_in(company, "status", "--json").objects[0]["reused"]
