"""Oplead's form import, through hand-written forms."""

import http.client
import json
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest

from connectors.sandbox.oplead.form import FORM_TOKEN, SandboxFormImport
from connectors.sandbox.oplead.server import OpleadPlatform
from connectors.sandbox.oplead.shape import ApiShape
from connectors.sandbox.platform import FaultKind, Faults, PlannedFault
from connectors.sandbox.server import Server

START = datetime(2026, 9, 1, 3, 30, tzinfo=UTC)
FORM = {
    "form": "site-web",
    "token": FORM_TOKEN,
    "ctc_lastname": "Orvalais",
    "ctc_postcode": "44000",
    "ctc_country": "FR",
    "ctc_email": "maelle@example.org",
}


def multipart(form):
    """The form as a multipart body with the boundary `x`."""
    parts = (f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{form[name]}\r\n' for name in form)
    return "".join(parts).encode() + b"--x--\r\n"


WRITTEN = {
    "application/json": lambda form: json.dumps(form).encode(),
    "application/x-www-form-urlencoded": lambda form: urlencode(form).encode(),
    "multipart/form-data; boundary=x": multipart,
}


@pytest.fixture
def oplead():
    """An Oplead without leads."""
    return OpleadPlatform(lambda: START)


@pytest.fixture
def faults():
    """The faults planted on the form import."""
    return Faults()


@pytest.fixture
def fill(ask, oplead, faults):
    """Send one form."""
    with Server("oplead_form", SandboxFormImport(oplead).handle, faults, lambda: START) as server:

        def fill(form, kind="application/json", line="POST /addlead/"):
            return ask(server.url, line, WRITTEN[kind](form), {"Content-Type": kind})

        yield fill


@pytest.mark.parametrize("kind", WRITTEN)
def test_form_of_every_kind_creates_a_lead(fill, oplead, kind):
    """It is the same lead whether the form is JSON, urlencoded or multipart."""
    answer = fill({**FORM, "ctc_firstname": "Maëlle", "ctc_phone": "01 99 00 12 34", "utm_source": "google"}, kind)
    lead = oplead.leads()[answer.json()["id"]]

    assert 201 == answer.status
    assert {
        "firstname": "Maëlle",
        "lastname": "Orvalais",
        "email": "maelle@example.org",
        "phone": "01 99 00 12 34",
    } == lead["contact"]
    assert {"postcode": "44000", "country": "FR"} == lead["address"]
    assert {"utm_source": "google"} == lead["leadData"]
    assert ("Nouveau", "2026-09-01 05:30:00") == (lead["status"], lead["createdAt"])


@pytest.mark.parametrize("name", ["form", "ctc_lastname", "ctc_postcode", "ctc_country", "ctc_email"])
def test_missing_variable_is_422(fill, oplead, name):
    """So is an empty one; the answer names it."""
    for form in ({each: FORM[each] for each in FORM if each != name}, {**FORM, name: " "}):
        answer = fill(form)

        assert (422, f"{name} is missing") == (answer.status, answer.json()["error"])
    assert {} == oplead.leads()


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"token": "sandbox-admin-key"}, 401),
        ({"token": ""}, 401),
        ({"form": "autre"}, 422),
        ({"ctc_email": "maelle"}, 422),
    ],
)
def test_unknown_token_form_or_address_is_refused(fill, oplead, changed, status):
    """The token of the API is not the form's."""
    assert status == fill({**FORM, **changed}).status
    assert {} == oplead.leads()


def test_unknown_variable_is_dropped_in_silence(fill, oplead):
    """By default this happens to a click id under any name."""
    answer = fill({**FORM, "external_id": "gclid=abc", "externalID": "gclid=abc"})

    assert 201 == answer.status
    assert "leadData" not in oplead.leads()[answer.json()["id"]]


def test_variable_of_click_ids_is_a_switch(fill, oplead):
    """It then fills externalID, and only the variable of that name does."""
    oplead.set_switch("form_external_id", "external_id")
    answer = fill({**FORM, "external_id": "gclid=abc", "externalID": "gclid=other"})

    assert {"externalID": "gclid=abc"} == oplead.leads()[answer.json()["id"]]["leadData"]


@pytest.mark.parametrize(
    ("line", "status"), [("GET /addlead/", 405), ("PUT /addlead/", 405), ("POST /addlead", 404), ("POST /leads", 404)]
)
def test_form_has_one_address(fill, line, status):
    """It is /addlead/, with POST."""
    assert status == fill(FORM, line=line).status


def test_form_of_another_media_type_is_415(ask, oplead):
    """A form is no text."""
    with Server("oplead_form", SandboxFormImport(oplead).handle, Faults(), lambda: START) as server:
        assert 415 == ask(server.url, "POST /addlead/", b"x", {"Content-Type": "text/plain"}).status


def test_id_of_a_lead_is_told_as_the_api_tells_it(fill, oplead):
    """The form import and the API are one platform."""
    oplead.shape = ApiShape(ids="int")

    assert isinstance(fill(FORM).json()["id"], int)


def test_lead_exists_although_the_answer_to_its_form_was_cut(fill, oplead, faults):
    """Nobody was told its id."""
    faults.plant(PlannedFault("oplead_form", FaultKind.CUT_AFTER))
    with pytest.raises(http.client.RemoteDisconnected):
        fill(FORM)

    assert 1 == len(oplead.leads())
