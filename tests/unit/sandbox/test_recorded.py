"""An Oplead that answers as an account was seen to: its gate, its pages, its forms, and folders that are none."""

import copy
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.sandbox.oplead.gate import ADMIN_KEY
from connectors.sandbox.oplead.recorded.dialect import find, with_pairs
from connectors.sandbox.oplead.recorded.forms import like_pattern, written_date
from connectors.sandbox.oplead.server import OpleadPlatform
from connectors.sandbox.population.company import FIRST_NIGHT, InventedLeads
from connectors.sandbox.server import WireRequest
from jobs.cli.app import app
from jobs.cli.demo.evidence import read_dialect, recorded_oplead
from jobs.cli.demo.sandbox import InventedLeadsSpec, as_in_evidence, serve_sandbox_for_block
from jobs.evidence.folder import EVIDENCE_FILE
from jobs.exit_codes import UsageError

FOLDERS = Path(__file__).parents[2] / "evidence"
DIALECT = json.loads((FOLDERS / "echo" / EVIDENCE_FILE).read_text(encoding="utf-8"))["dialect"]
BEARER = {"authorization": f"Bearer {ADMIN_KEY}"}


@pytest.fixture(scope="module")
def population():
    """A hundred leads."""
    return InventedLeads.generate(7, 100)


def oplead(population, **changes):
    """An Oplead in Echo's dialect with these changes."""
    platform = OpleadPlatform(lambda: FIRST_NIGHT, population.leads_including_deleted)
    platform.play(recorded_oplead(copy.deepcopy(DIALECT) | changes, Path("evidence.json")))
    return platform


def ask(platform, path="/v1/leads", headers=BEARER, **query):
    """Ask for something; return its status, body and headers."""
    asked = {name: (str(value),) for name, value in query.items()}
    answer = platform.handle(WireRequest("GET", path, asked, {"host": "oplead.test", **headers}, b""))
    return answer.status, json.loads(answer.body), answer.headers


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("0000-00-00T00:00:00Z", "2026-09-01T07:05:03Z"),
        ("0000-00-00T00:00:00.000+00:00", "2026-09-01T09:05:03.000+02:00"),
        ("0000-00-00T00:00:00+0000", "2026-09-01T09:05:03+0200"),
        ("00/00/0000 00:00", "01/09/2026 09:05"),
        ("0000-00-00", "2026-09-01"),
    ],
)
def test_a_time_is_written_as_its_pattern_has_it(pattern, written):
    """In UTC where it ends on Z, else on the clock in Paris."""
    assert written == like_pattern(datetime(2026, 9, 1, 7, 5, 3, tzinfo=UTC), pattern)


def test_a_time_that_nobody_can_read_stays():
    """As a lead that is broken on purpose has it."""
    assert "31/02/2026 25:61" == written_date("31/02/2026 25:61", "epoch ms")


@pytest.mark.parametrize(
    ("auth", "headers", "query"),
    [
        ({"style": "bearer"}, BEARER, {}),
        ({"style": "header", "name": "X-Key", "prefix": "Token "}, {"x-key": f"Token {ADMIN_KEY}"}, {}),
        ({"style": "query", "name": "cle"}, {}, {"cle": ADMIN_KEY}),
    ],
)
def test_only_the_accounts_way_of_passing_the_key_is_taken(population, auth, headers, query):
    """Any other is refused with the body that the account had for it."""
    platform = oplead(population, settings=DIALECT["settings"] | {"auth": auth})
    ways = [(BEARER, {}), ({"x-key": f"Token {ADMIN_KEY}"}, {}), ({}, {"cle": ADMIN_KEY}), ({"x-key": ADMIN_KEY}, {})]
    answers = {str(way): ask(platform, headers=way[0], **way[1])[:2] for way in ways}

    assert 200 == answers.pop(str((headers, query)))[0]
    assert [(401, {"erreur": "unknown key"})] * 3 == [*answers.values()]


PAGES = {
    "page": {"style": "page", "page_param": "p", "first_page": 1, "size_param": "taille", "size": 50},
    "page from 0": {"style": "page", "first_page": 0},
    "offset": {"style": "offset", "offset_param": "debut"},
    "last id": {"style": "last_id", "cursor_param": "apres"},
    "cursor": {"style": "cursor", "next": "suivant", "cursor_param": "curseur"},
    "next url": {"style": "next_url", "next": "suivant"},
    "link header": {"style": "link_header"},
}


def following(style, count, page, body, headers):
    """The query of the page after this one; None at the end."""
    match style["style"]:
        case "page":
            return {style.get("page_param", "page"): style["first_page"] + page + 1} if body["resultats"] else None
        case "offset":
            return {style["offset_param"]: count} if body["resultats"] else None
        case "last_id":
            return {style["cursor_param"]: body["resultats"][-1]["id"]} if body["resultats"] else None
        case "cursor":
            return {style["cursor_param"]: body["suivant"]} if body["suivant"] else None
        case "next_url":
            address = body["suivant"]
        case _:
            address = next((one for one in headers["Link"].split(", ") if 'rel="next"' in one), None)
    return {"cursor": address.partition("cursor=")[2].partition(">")[0].replace("%3D", "=")} if address else None


@pytest.mark.parametrize("style", PAGES.values(), ids=PAGES)
def test_the_list_is_whole_in_every_way_of_paging(population, style):
    """Every lead once, in order, as many on a page as were seen or are asked for."""
    tree = DIALECT["list"] | {"suivant": "text | null" if style["style"] == "cursor" else "URL | null"}
    settings = DIALECT["settings"] | {"pagination": {"items": "resultats", **style}}
    platform = oplead(population, settings=settings, list=tree)
    expected = [lead["id"] for lead in platform.leads().values() if isinstance(lead, dict) and "id" in lead]
    size = {style["size_param"]: 30} if "size_param" in style else {}
    found, sizes, query = [], [], {}
    for page in range(20):
        _, body, headers = ask(platform, **query, **size)
        sizes.append(len(body["resultats"]))
        found += [lead["id"] for lead in body["resultats"] if isinstance(lead, dict) and "id" in lead]
        query = following(style, sum(sizes), page, body, headers)
        if query is None:
            break

    assert [int(lead.removeprefix("L-")) for lead in expected] == found
    assert (30 if size else 20) == sizes[0]


def test_a_filter_by_change_is_taken_in_the_accounts_form(population):
    """Only what changed since; what cannot be read is refused."""
    settings = DIALECT["settings"] | {"since_filter": {"param": "depuis", "format": "%d/%m/%Y"}}
    platform = oplead(population, settings=settings)

    everything, some = (ask(platform, **query)[1]["total"] for query in ({}, {"depuis": "25/08/2026"}))
    assert 0 < some < everything
    assert 400 == ask(platform, depuis="hier")[0]


def test_a_path_that_the_account_lacks_leads_nowhere(population):
    """With the body that it had for that."""
    paths = {"path_prefix": "/api", "leads_path": "/fiches", "lead_path": "/fiche/{id}"}
    platform = oplead(population, settings=DIALECT["settings"] | paths)

    assert (200, 200) == (ask(platform, "/api/fiches")[0], ask(platform, "/api/fiche/10003")[0])
    for path in ("/v1/leads", "/api/leads", "/api/leads/10003"):
        status, body, _ = ask(platform, path)
        assert (404, ["erreur"]) == (status, [*body])


def test_names_and_values_with_more_beside_them_hold_what_is_read_from_them():
    """A field that a company made itself is found in a list, whatever else its entries have."""
    tree = {"champs": [{"identifier": "text", "name": "text", "value": "text | empty"}]}

    assert ("champs", "Accord pub") == find(with_pairs(tree, ["champs.Accord pub"]), "champs.Accord pub")


WRONG = {
    "version": lambda document: document.update(version=2),
    "dialect.page_size": lambda document: document["dialect"].update(page_size="20"),
    "dialect.status.form": lambda document: document["dialect"]["status"].update(form="words"),
    "dialect.lead.contact.nom": lambda document: document["dialect"]["lead"]["contact"].update(nom="Zimmermann"),
    "dialect.list": lambda document: document["dialect"].update(list={"total": "integer"}),
    "dialect.settings.auth.style": lambda document: document["dialect"]["settings"].update(auth={"style": "magic"}),
}


@pytest.mark.parametrize("field", WRONG)
def test_a_file_that_is_none_is_refused_by_the_name_of_the_field(tmp_path, field):
    """And by its own."""
    document = json.loads((FOLDERS / "echo" / EVIDENCE_FILE).read_text(encoding="utf-8"))
    WRONG[field](document)
    file = tmp_path / EVIDENCE_FILE
    file.write_text(json.dumps(document), encoding="utf-8")

    with pytest.raises(UsageError) as refused:
        read_dialect(tmp_path)
    assert f"{file}: {field} is not as `oplead-sync evidence` writes it" == str(refused.value)


@pytest.mark.parametrize("text", [None, "no JSON", '{"version": 1, "dialect": null}'])
def test_a_folder_without_evidence_is_refused(tmp_path, text):
    """Whatever is missing."""
    if text is not None:
        (tmp_path / EVIDENCE_FILE).write_text(text, encoding="utf-8")

    with pytest.raises(UsageError, match=r"evidence\.json"):
        read_dialect(tmp_path)


def test_evidence_and_a_shape_do_not_go_together(tmp_path):
    """Both say how Oplead answers."""
    typed = ["sandbox", "--out", str(tmp_path / "new"), "--shape", "4", "--evidence", str(FOLDERS / "echo")]
    done = CliRunner().invoke(app, typed, env={"COLUMNS": "200"})

    assert 2 == done.exit_code
    assert "leave out --shape" in done.output
    assert not (tmp_path / "new").exists()


def test_a_sandbox_opened_again_answers_as_before(tmp_path):
    """Though the evidence is gone, and is named again."""
    gone, out, cast = tmp_path / "evidence", tmp_path / "out", InventedLeadsSpec(leads=20)
    gone.mkdir()
    (gone / EVIDENCE_FILE).write_text((FOLDERS / "echo" / EVIDENCE_FILE).read_text(encoding="utf-8"), encoding="utf-8")
    with serve_sandbox_for_block(out, as_in_evidence(cast, gone, out)) as stage:
        before = ask(stage.sandbox.oplead)
        settings = stage.settings.read_text(encoding="utf-8")
    (gone / EVIDENCE_FILE).unlink()

    with serve_sandbox_for_block(out, as_in_evidence(cast, gone, out)) as stage:
        assert before == ask(stage.sandbox.oplead)
        assert settings == stage.settings.read_text(encoding="utf-8")
        assert "auth" not in stage.sandbox.oplead.switches
