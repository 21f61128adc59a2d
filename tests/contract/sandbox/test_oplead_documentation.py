"""The sandbox's Oplead documents itself by switch, as Swagger pages do, with specifications that hold."""

import io
import json
import re
from datetime import UTC, datetime

import pytest
from openapi_spec_validator import validate
from ruamel.yaml import YAML

from connectors.sandbox.oplead.options import OPTIONS
from connectors.sandbox.oplead.server import ADMIN_KEY, OpleadPlatform
from connectors.sandbox.oplead.shape import shape_from_axis_positions
from connectors.sandbox.server import WireRequest
from tests.e2e.support.shapes import shapes

NOW = datetime(2026, 7, 21, 3, 30, tzinfo=UTC)
FORMS = ("openapi3_json", "openapi3_yaml", "swagger2_json", "swagger2_yaml")
KEPT = {(0, "openapi3_yaml"), (1, "swagger2_json")}
"""What is always validated."""
PAGE = "/documentation/index.html"


@pytest.fixture
def oplead():
    """One platform without leads."""
    return OpleadPlatform(lambda: NOW)


def ask(oplead, path, key=None):
    """Answer a GET for a path, with or without the key."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return oplead.handle(WireRequest("GET", path, {}, headers, b""))


def specification(oplead):
    """The specification that the documentation page loads, as a browser finds it."""
    page = ask(oplead, PAGE)
    script = re.search(r'src="\./(swagger-initializer\.js)"', page.body.decode())[1]
    name = re.search(r'url: "([^"]+)"', ask(oplead, f"/documentation/{script}").body.decode())[1]
    text = ask(oplead, f"/documentation/{name}").body.decode()
    return YAML(typ="safe", pure=True).load(io.StringIO(text)) if name.endswith("yaml") else json.loads(text)


@pytest.mark.parametrize(
    ("shape", "form"),
    [
        pytest.param(
            shape, form, id=f"{number:02d} {form}", marks=() if (number, form) in KEPT else pytest.mark.exhaustive
        )
        for number, shape in enumerate(shapes())
        for form in (FORMS if number < 4 else FORMS[number % 2 :: 2][:1])
    ],
)
def test_specification_of_every_shape_is_valid(oplead, shape, form):
    """By the validator of the OpenAPI community."""
    oplead.shape = shape
    oplead.set_switch("documentation", form)

    validate(specification(oplead))


def test_specification_follows_the_switches(oplead):
    """Verbs, paths and what may be set are those of the platform now."""
    oplead.set_switch("documentation", "openapi3_json")
    oplead.set_switch("update_verb", "PATCH")
    oplead.set_switch("status_verb", "POST")
    oplead.set_switch("document_path", "attachments")
    oplead.set_switch("settable_statuses", "documented")
    oplead.shape = shape_from_axis_positions({"lead_path": "/lead", "path_prefix": "/api/v1"})

    told = specification(oplead)

    verbs = {path: {*item} - {"parameters"} for path, item in told["paths"].items()}
    assert "/api/v1" == told["servers"][0]["url"]
    assert {"get", "patch"} == verbs["/lead/{leadIdentifier}"]
    assert {"post"} == verbs["/leads/{leadIdentifier}/status"] == verbs["/leads/{leadId}/attachments"]
    assert "/leads/{leadId}/document/add" not in verbs
    assert "Nurserie" in str(told["paths"]["/leads/{leadIdentifier}/status"])


def test_the_documentation_needs_no_key_but_counts_against_the_rate(oplead):
    """A hundred pages a minute, then 429."""
    oplead.set_switch("documentation", "openapi3_json")

    assert [200] * 100 + [429] == [ask(oplead, PAGE).status for _ in range(101)]


def test_by_switch_the_documentation_wants_the_key(oplead):
    """With it, the page names the specification itself."""
    oplead.set_switch("documentation", "with_key")

    assert 401 == ask(oplead, PAGE).status
    assert b"openapi.json" in ask(oplead, PAGE, ADMIN_KEY).body
    assert 200 == ask(oplead, "/documentation/openapi.json", ADMIN_KEY).status


@pytest.mark.parametrize("position", OPTIONS["documentation"])
def test_every_position_answers_the_page(oplead, position):
    """Without documentation it is 404; nothing of the API is answered without a key."""
    oplead.set_switch("documentation", position)

    expected = {"none": 404, "with_key": 401}.get(position, 200)

    assert expected == ask(oplead, PAGE).status
    assert 401 == ask(oplead, "/v1/leads").status


def test_a_specification_may_refer_to_another_document(oplead):
    """By switch, for readers that must not follow it."""
    oplead.set_switch("documentation", "external_ref")

    assert "contact.json#/Contact" in json.dumps(specification(oplead))
