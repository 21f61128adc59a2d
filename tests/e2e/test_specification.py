"""`probe` and `init` before an Oplead that documents itself: rightly, wrongly, or behind a login."""

import json

import pytest
from ruamel.yaml import YAML

from connectors.sandbox.oplead.documentation.page import build_specification
from connectors.sandbox.oplead.options import UndocumentedBehaviour
from connectors.sandbox.oplead.shape import shape_from_axis_positions
from connectors.sandbox.population.company import FIRST_NIGHT, InventedLeads
from connectors.sandbox.sandbox import Sandbox
from tests import quick
from tests.e2e.support.shapes import shapes
from tests.e2e.test_probe import Account
from tests.e2e.test_shapes import LEADS, Newcomer, reads_every_lead_right

DOCUMENTATION = "/documentation/"


@pytest.fixture(scope="module")
def population():
    """The generated leads."""
    return InventedLeads.generate(7, 60)


@pytest.fixture
def account(tmp_path, population):
    """A fresh account."""
    with Sandbox(quick.with_key(tmp_path / "sandbox"), population) as sandbox:
        yield Account(sandbox)


def probed(account, *options, config=False):
    """What `probe --json` finds."""
    place = ("--config", str(account.file)) if config else account.where
    code, out, err = account.type("probe", *place, *options, "--json", OPLEAD_TOKEN="sandbox-admin-key")

    assert code in (0, 1), err
    return json.loads(out.splitlines()[-1])


def asked(account):
    """The requests to the documentation, and those to the API."""
    paths = [one["path"] for one in account.sandbox.servers["oplead"].log.dump()["log"]]
    documentation = [path for path in paths if path.startswith(DOCUMENTATION)]
    return len(documentation), len(paths) - len(documentation)


@pytest.mark.parametrize(
    ("number", "form"),
    [
        pytest.param(1, "openapi3_yaml", marks=pytest.mark.exhaustive),
        (9, "openapi3_json"),
        pytest.param(22, "swagger2_json", marks=pytest.mark.exhaustive),
    ],
)
def test_a_few_shapes_are_settled_by_their_specification(companies, number, form):
    """With three requests and five; all the shapes are left to the exhaustive tests. The second is refused without."""
    population = InventedLeads.generate(seed=5, leads=LEADS, past_days=58, future_days=0)
    company = companies(start=FIRST_NIGHT, population=population)
    company.sandbox.oplead.shape = shapes()[number]
    company.sandbox.oplead.set_switch("documentation", form)

    reads_every_lead_right(Newcomer(company), population, shapes()[number], most=(3, 5))


@pytest.mark.parametrize(
    ("position", "why"),
    [
        pytest.param("login", "login page", marks=pytest.mark.exhaustive),
        ("external_ref", "another document"),
        pytest.param("bare_page", "no specification is named", marks=pytest.mark.exhaustive),
        pytest.param("elsewhere", "another host", marks=pytest.mark.exhaustive),
        pytest.param("none", "nothing at", marks=pytest.mark.exhaustive),
    ],
)
def test_without_a_usable_specification_all_is_found_by_trying(account, position, why):
    """The suggestion is the same as without, and one sentence says why."""
    account.sandbox.oplead.set_switch("documentation", position)

    told = probed(account)

    assert why in told["survey"]["how"][0]
    assert told["usable"]
    assert {"trials"} == {*told["survey"]["rests_on"].values()}
    assert "oplead.write.status" in told["assumed"]
    assert "webhooks.subscriptions.new_lead" in told["assumed"]


def test_the_key_opens_a_documentation_that_wants_it(account):
    """After a 401; then the specification is used as any."""
    account.sandbox.oplead.set_switch("documentation", "with_key")

    told = probed(account)

    assert {"auth": "specification", "pagination": "specification"}.items() <= told["survey"]["rests_on"].items()
    assert (3, True) == (asked(account)[0], asked(account)[1] <= 5)


def test_what_the_platform_contradicts_is_reported_and_found_by_trying(account, tmp_path):
    """A specification of another version: another header, another prefix, other pages, other names."""
    other = shape_from_axis_positions(
        {"auth": "x_api_key", "path_prefix": "/api/v1", "pagination": "page", "names": "french"}
    )
    file = tmp_path / "old.json"
    file.write_text(json.dumps(build_specification(other, UndocumentedBehaviour(documentation="openapi3_json"))))
    account.sandbox.oplead.shape = shape_from_axis_positions({"pagination": "offset", "page_size": 20})

    told = probed(account, "--spec", str(file))

    how = " ".join(told["survey"]["how"])
    assert told["usable"], told["survey"]["undecided"]
    assert 0 == asked(account)[0]
    assert "The specification does not hold, so the rest was found by trying" in how
    for name in ("auth", "path_prefix", "pagination", "fields.status", "fields.created_at"):
        assert "trials" == told["survey"]["rests_on"][name]
        assert f"oplead.{name}: the specification says" in how
    assert "offset" == YAML(typ="safe").load(told["settings"])["oplead"]["pagination"]["style"]


def test_each_server_of_a_specification_is_tried(account, tmp_path):
    """The first leads nowhere; nothing is found by trying, and what is used is said."""
    told = build_specification(shape_from_axis_positions({}), UndocumentedBehaviour(documentation="openapi3_json"))
    (server,) = told["servers"]
    told["servers"] = [{"url": "/elsewhere"}, server]
    file = tmp_path / "two.json"
    file.write_text(json.dumps(told))

    found = probed(account, "--spec", str(file))

    how = " ".join(found["survey"]["how"])
    assert "specification" == found["survey"]["rests_on"]["path_prefix"]
    assert "does not hold under /elsewhere" in how
    assert "found by trying" not in how


def test_few_leads_that_were_looked_at_are_said(account):
    """What three leads show may mislead; nothing is said where as many were looked at as ever."""
    account.sandbox.oplead.set_switch("documentation", "openapi3_json")
    account.sandbox.oplead.set_switch("list_has_details", False)
    few, many = probed(account), probed(account, "--leads", str(LEADS))

    assert few["survey"]["leads"] < LEADS
    assert any("`oplead-sync probe --leads 300` looks at more" in one for one in few["survey"]["how"])
    assert not any("looks at more" in one for one in many["survey"]["how"])


def test_settings_for_writing_and_webhooks_are_proposed(account):
    """What differs from the defaults is in the lines to paste; what the file says otherwise is told, and kept."""
    account.sandbox.oplead.set_switch("documentation", "swagger2_yaml")
    account.sandbox.oplead.set_switch("status_verb", "POST")
    account.sandbox.oplead.set_switch("update_verb", "PATCH")
    text = account.file.read_text()
    account.file.write_text(text.replace("  write:\n", "  write:\n    update: POST /leads/{id}\n", 1))

    told = probed(account, config=True)

    proposed = YAML(typ="safe").load(told["settings"])["oplead"]["write"]
    assert "POST /leads/{id}/status" == proposed["status"]
    assert "POST /leads/{id}" == proposed["update"]
    assert [
        "oplead.write.update: your settings say POST /leads/{id}, the specification says PATCH /leads/{id}"
    ] == told["differences"]
    assert "lead.status_changed" == told["survey"]["subscriptions"]["status_change"]
    assert "oplead.write.status_field" not in told["assumed"]
    assert "oplead.write.largest_document_mb" in told["assumed"]
    account.paste(told["settings"])
    assert [] == probed(account, config=True)["survey"]["undecided"]


def test_a_creation_that_is_described_without_an_id_is_proposed_as_a_setting(account, tmp_path):
    """Where all that can be made is described so; the lines to paste are taken."""
    written = build_specification(shape_from_axis_positions({}), UndocumentedBehaviour(documentation="openapi3_json"))
    for operations in written["paths"].values():
        if "post" in operations:
            operations["post"]["responses"] = {"204": {"description": "Done."}}
    file = tmp_path / "api.json"
    file.write_text(json.dumps(written))

    told = probed(account, "--spec", str(file), config=True)

    assert YAML(typ="safe").load(told["settings"])["oplead"]["write"]["created_without_id"] is True
    account.paste(told["settings"])
    assert [] == probed(account, "--spec", str(file), config=True)["differences"]


def test_the_report_says_what_settings_rest_on(account):
    """In words, for a person: the specification, trials, or nothing yet."""
    account.sandbox.oplead.set_switch("documentation", "openapi3_yaml")

    code, out, _ = account.type("probe", "--config", str(account.file))
    text = " ".join(out.split())

    assert 0 == code
    assert "Specification: read from /documentation/openapi.yaml." in text
    assert "On Oplead's specification: auth," in text
    assert "On nothing yet, for they are assumed:" in text


def test_init_proposes_what_the_specification_says(account, tmp_path):
    """In the file it writes, which `check` takes."""
    account.sandbox.oplead.set_switch("documentation", "openapi3_json")
    account.sandbox.oplead.set_switch("status_verb", "PATCH")
    options = ("--dir", str(tmp_path / "new"), "--account", "new", "--yes", "--consent-field", "leadData.consent")
    stages = ("--stage", "won=Gagné", "--meta-dataset-id", "1234567890123456", "--contact-data", "none")

    _, out, err = account.type("init", *options, *account.where, *stages, OPLEAD_TOKEN="sandbox-admin-key")

    written = tmp_path / "new" / "pipeline.yaml"
    assert written.exists(), out + err
    settings = YAML(typ="safe").load(written.read_text())
    assert "PATCH /leads/{id}/status" == settings["oplead"]["write"]["status"]


@pytest.mark.parametrize(
    "text",
    [
        "<html></html>",
        pytest.param("", marks=pytest.mark.exhaustive),
        pytest.param("nothing", marks=pytest.mark.exhaustive),
        pytest.param('{"openapi": "3.0.3", "paths": {}}', marks=pytest.mark.exhaustive),
    ],
)
def test_a_file_that_is_no_specification_of_oplead_is_told(account, tmp_path, text):
    """A file without one is wrong usage; another product's is not used."""
    file = tmp_path / "spec.txt"
    file.write_text(text)

    code, out, err = account.type("probe", *account.where, "--spec", str(file), OPLEAD_TOKEN="sandbox-admin-key")

    if text.startswith("{"):
        assert "describes no list of leads" in " ".join(out.split())
        return
    assert (2, True) == (code, "--spec" in err)
    again = account.type(
        "init",
        "--dir",
        str(tmp_path / "new"),
        "--yes",
        *account.where,
        "--spec",
        str(file),
        OPLEAD_TOKEN="sandbox-admin-key",
    )
    assert (2, True, False) == (again[0], "--spec" in again[2], (tmp_path / "new").exists())
