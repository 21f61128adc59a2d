"""How a lead is written: the API's JSON and the form import's variables, byte for byte, and what is refused."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.crm import LeadToWrite
from connectors.oplead.options import FieldPaths, FormImportServiceOptions
from connectors.oplead.writing.encode import (
    UnwritableLead,
    form_import_body,
    json_body,
    json_bytes,
    lead_body,
    values_by_path,
)
from connectors.records import ClickId, ClickIdKind, Contact, Utm

GOLDEN = Path(__file__).with_name("golden_writes")
CLICKED = datetime(2026, 7, 20, 15, 5, 1, tzinfo=UTC)
GCLID = ClickId(ClickIdKind.GCLID, "Cj0KCQjwAbC-dEf_123456", CLICKED)
FBCLID = ClickId(ClickIdKind.FBCLID, "IwAR0aBcDeFgHiJkLmNoP-qRs_7890")
JEANNE = Contact(("jeanne.exemple@example.com",), ("06 12 34 56 78",), "Jeanne", "L'Exemple", "69003", "Lyon", "FR")
WHOLE = LeadToWrite(
    contact=JEANNE,
    click_ids=(GCLID, FBCLID),
    utm=Utm("google", "cpc", "Fenêtres été"),
    provider_name="Site web",
    provider_url="https://fournisseur.example/oplead",
    fields={"leadData.projet": "Véranda", "leadData.budget": "12000"},
)
READ_FROM = FieldPaths(
    email=("contact.email", "email"),
    phone=("contact.mobile", "contact.phone"),
    first_name=("contact.firstname",),
    last_name=("contact.lastname",),
    postcode=("address.postcode",),
    city=("address.city",),
    country=("address.country",),
)
PROVIDER = {"provider_name": "provider.name", "provider_url": "provider.url"}
FORM = FormImportServiceOptions("form-token", "site-web", "https://leadimport.example/addlead/", click_id="external_id")


def write(lead, paths=None, read_from=READ_FROM, types=None):
    """Return the API's body."""
    return lead_body(lead, PROVIDER | (paths or {}), read_from, types or {})


def test_a_whole_lead_is_written_where_it_is_read():
    """Every value goes to the first path it is read from; names and values keep case and accents."""
    assert (GOLDEN / "lead.json").read_bytes().rstrip(b"\n") == json_bytes(write(WHOLE))


def test_a_whole_lead_is_written_as_a_form():
    """The form import takes flat variables, its own token and the form's name."""
    lead = LeadToWrite(JEANNE, WHOLE.click_ids, utm=WHOLE.utm, fields={"projet": "Véranda"})

    assert (GOLDEN / "form.json").read_bytes().rstrip(b"\n") == json_bytes(form_import_body(lead, FORM, {}))


def test_a_written_path_wins_over_the_one_that_is_read():
    """`oplead.write.fields` names another place."""
    paths = {"email": "customer.mail", "click_id": "tracking.id", "provider_name": "source"}

    body = write(LeadToWrite(JEANNE, provider_name="Salon", external_id="REF 12"), paths)

    assert ("jeanne.exemple@example.com", "REF 12", "Salon") == (
        body["customer"]["mail"],
        body["tracking"]["id"],
        body["source"],
    )


def test_only_what_is_given_is_written():
    """Whatever is None or empty is left out, so that an update changes nothing else."""
    lead = LeadToWrite(Contact(city="Lyon", first_name=""), provider_name="")

    assert {"address": {"city": "Lyon"}} == write(lead)


def test_nothing_to_write_is_refused():
    """An empty body would create an empty lead."""
    with pytest.raises(UnwritableLead, match="nothing to write"):
        write(LeadToWrite())


@pytest.mark.parametrize(
    "fields",
    [{"address.city": "Paris"}, {"address": "1 rue de l'Exemple"}, {"address.city.name": "Paris"}],
    ids=["the same place", "a place around it", "a place inside it"],
)
def test_two_values_for_one_place_are_refused(fields):
    """One would overwrite the other."""
    with pytest.raises(UnwritableLead, match="two values go to address"):
        write(LeadToWrite(JEANNE, fields=fields))


def test_a_place_that_ends_in_brackets_takes_a_list():
    """Of the one value, or of all that are given."""
    lead = LeadToWrite(
        Contact(phones=("06 12 34 56 78",)), fields={"leadData.products[]": "Véranda", "rooms[]": ("salon", "cuisine")}
    )

    assert {
        "contact": {"phones": ["06 12 34 56 78"]},
        "leadData": {"products": ["Véranda"]},
        "rooms": ["salon", "cuisine"],
    } == write(lead, {"phone": "contact.phones[]"})


@pytest.mark.parametrize("fields", [{"rooms": "salon", "rooms[]": "cuisine"}, {"rooms[]": "salon", "rooms.first": "x"}])
def test_a_list_and_something_else_in_its_place_are_refused(fields):
    """One would overwrite the other."""
    with pytest.raises(UnwritableLead, match="two values go to rooms"):
        write(LeadToWrite(fields=fields))


def test_the_values_of_lists_are_found_one_by_one():
    """What is shown before a write, and what no answer may repeat; numbers and answers as JSON has them."""
    body = {"a": {"rooms": ["salon", {"name": "cuisine"}]}, "budget": 12000.5, "owner": True, "city": "Lyon"}

    assert {
        "a.rooms[0]": "salon",
        "a.rooms[1].name": "cuisine",
        "budget": "12000.5",
        "owner": "true",
        "city": "Lyon",
    } == values_by_path(body)


NUMBERS = {
    "12000": "12000",
    " 12000 ": "12000",
    "12 500,50": "12500.5",
    "1\N{NARROW NO-BREAK SPACE}250\N{NO-BREAK SPACE}000": "1250000",
    "-3.5": "-3.5",
    "0,125": "0.125",
    "48.85661": "48.85661",
    "0": "0",
    "12345678901234567890": "12345678901234567890",
}


@pytest.mark.parametrize("typed", NUMBERS)
def test_a_value_whose_type_is_number_goes_out_as_one(typed):
    """Also as the French write it, and in a list."""
    lead = LeadToWrite(fields={"leadData.budget": typed, "amounts[]": (typed, "1")})

    body = json_bytes(write(lead, types={"leadData.budget": "number", "amounts": "number"})).decode()

    assert f'{{"leadData":{{"budget":{NUMBERS[typed]}}},"amounts":[{NUMBERS[typed]},1]}}' == body


@pytest.mark.parametrize(("typed", "sent"), [("oui", "true"), ("TRUE", "true"), ("vrai", "true"), ("Non", "false")])
def test_a_value_whose_type_is_boolean_goes_out_as_one(typed, sent):
    """In French or English."""
    body = write(LeadToWrite(fields={"leadData.consent": typed}), types={"leadData.consent": "boolean"})

    assert f'{{"leadData":{{"consent":{sent}}}}}'.encode() == json_bytes(body)


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        *(
            ("number", text)
            for text in ("environ 12000", "1.250", "1,250", "12 50", "069003", "1e5", "0612345678", "½")
        ),
        ("number", "0.1234567890123456789"),
        *(("boolean", text) for text in ("peut-être", "2", "ouais")),
    ],
)
def test_a_value_that_does_not_have_its_type_is_refused_with_its_place(kind, typed):
    """Also a number that can be read in two ways, or whose first zero would be lost; the value is not repeated."""
    with pytest.raises(UnwritableLead, match=r"^leadData\.budget: ") as caught:
        write(LeadToWrite(fields={"leadData.budget": typed}), types={"leadData.budget": kind})

    assert typed not in str(caught.value)


def test_each_body_knows_the_types():
    """A status by its number, and a variable of the form import."""
    form = form_import_body(LeadToWrite(JEANNE, fields={"budget": "12 000"}), FORM, {"budget": "number"})

    assert 12000 == form["budget"]
    assert {"status": 14} == json_body([("status", "14")], {"status": "number"})


def test_a_second_phone_number_is_refused_rather_than_dropped():
    """There is one place for it; another needs a path of its own."""
    with pytest.raises(UnwritableLead, match="one phone number can be written"):
        write(LeadToWrite(Contact(phones=("06 12 34 56 78", "04 72 00 00 00"))))


def test_click_ids_and_a_text_in_their_place_are_refused():
    """They have one field."""
    with pytest.raises(UnwritableLead, match="both click ids and a text"):
        write(LeadToWrite(click_ids=(GCLID,), external_id="REF 12"))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("gclid", "short"),
        ("gclid", "jeanne@example.com"),
        ("gclid", "Cj0KCQjw&fbclid=IwAR0aBcDeFg"),
        ("fbc", "IwAR0aBcDeFgHiJkLmNoP"),
        ("lead_id", "1.23457E+14"),
        ("wbraid", "undefined"),
    ],
)
def test_a_click_id_that_would_not_be_read_back_is_refused(kind, value):
    """The night could not use it; the message does not repeat it."""
    with pytest.raises(UnwritableLead, match=f"this is no {kind}") as caught:
        write(LeadToWrite(click_ids=(ClickId(ClickIdKind(kind), value),)))

    assert value not in str(caught.value)


def test_the_form_import_refuses_click_ids_without_a_variable_for_them():
    """Which one fills `leadData.externalID` is documented nowhere, and an id that is dropped is a sale not reported."""
    form = FormImportServiceOptions("form-token", "site-web", FORM.url)

    with pytest.raises(UnwritableLead, match=r"write oplead\.write\.form\.click_id"):
        form_import_body(LeadToWrite(JEANNE, (GCLID,)), form, {})


@pytest.mark.parametrize(
    ("contact", "missing"),
    [
        (Contact(("a@example.com",), (), "A", "B", "69003", None, None), "a country"),
        (Contact((), ("0612345678",), "A", None, "69003", None, "FR"), "a last name and an e-mail address"),
    ],
)
def test_the_form_import_refuses_a_lead_without_its_mandatory_variables(contact, missing):
    """Oplead's page names them: last name, postcode, country and e-mail address."""
    with pytest.raises(UnwritableLead, match=f"the form import needs {missing}"):
        form_import_body(LeadToWrite(contact), FORM, {})


def test_the_form_import_refuses_a_supplier_for_which_it_has_no_place():
    """The feedback that the lead's supplier waits for would never come."""
    with pytest.raises(UnwritableLead, match="no place for the supplier"):
        form_import_body(LeadToWrite(JEANNE, provider_url="https://fournisseur.example"), FORM, {})


def test_the_form_imports_own_variables_cannot_be_overwritten():
    """A custom variable called token would send the lead elsewhere."""
    with pytest.raises(UnwritableLead, match="two values go to token"):
        form_import_body(LeadToWrite(JEANNE, fields={"token": "another"}), FORM, {})


def test_golden_files_are_json_as_written_by_hand():
    """They are one object each."""
    assert all(isinstance(json.loads(file.read_text()), dict) for file in GOLDEN.iterdir())
