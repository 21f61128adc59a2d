"""Documents sent to Oplead as hand-written multipart bodies."""

import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime

import pytest

from connectors.sandbox.oplead.gate import ADMIN_KEY
from connectors.sandbox.oplead.server import OpleadPlatform
from connectors.sandbox.platform import Faults
from connectors.sandbox.server import Server

START = datetime(2026, 9, 1, 3, 30, tzinfo=UTC)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 64
EVERY_BYTE = bytes(range(256)) + b"\r\n\r\n--\r\n-- \r\r\n\n"


def archive(*names):
    """A zip archive of empty files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as written:
        for name in names:
            written.writestr(name, "")
    return made.getvalue()


FILES = {
    "devis.pdf": b"%PDF-1.7\n" + EVERY_BYTE,
    "PLAN.PDF": b"%PDF-1.4\n",
    "photo.jpg": b"\xff\xd8\xff\xe0" + EVERY_BYTE,
    "logo.gif": b"GIF89a" + EVERY_BYTE,
    "plan.png": b"\x89PNG\r\n\x1a\n" + EVERY_BYTE,
    "tout.zip": archive("a.txt"),
    "rien.zip": archive(),
    "devis.xlsx": archive("[Content_Types].xml", "xl/workbook.xml"),
    "offre.pptx": archive("[Content_Types].xml", "ppt/presentation.xml"),
    "contrat.docx": archive("[Content_Types].xml", "word/document.xml"),
    "devis.xls": OLE,
    "offre.ppt": OLE,
    "contrat.doc": OLE,
}


@pytest.fixture
def oplead():
    """An Oplead with one lead."""
    return OpleadPlatform(lambda: START, lambda _: {"L-7": {"id": "L-7", "status": "Gagné"}})


@pytest.fixture
def url(oplead):
    """The address of that Oplead."""
    with Server("oplead", oplead.handle, Faults(), lambda: START) as server:
        yield server.url


def part(content, head='form-data; name="file"; filename="devis.pdf"'):
    """One part of a multipart body with the boundary `x`."""
    return b"--x\r\nContent-Disposition: " + head.encode() + b"\r\n\r\n" + content + b"\r\n"


@pytest.fixture
def attach(ask, url):
    """Send one multipart body to a lead's page."""

    def attach(*parts, path="/v1/leads/L-7/document/add", kind="multipart/form-data; boundary=x", end=b"--x--\r\n"):
        headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": kind}
        return ask(url, f"POST {path}", b"".join(parts) + end, headers)

    return attach


@pytest.mark.parametrize("name", FILES)
def test_document_of_every_type_is_taken_whole(attach, oplead, name):
    """Name, type, size and SHA-256 are kept, the content is not."""
    content = FILES[name]
    answer = attach(part(content, f'form-data; name="file"; filename="{name}"'))
    kept = {
        "id": "L-7-D1",
        "name": name,
        "type": name.rpartition(".")[2].lower(),
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }

    kept["addedAt"] = "2026-09-01 05:30:00"
    assert (201, kept) == (answer.status, answer.json())
    assert [{"lead": "L-7", **kept}] == oplead.book.documents()


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ('form-data; name="file"; filename="devis été.pdf"', "devis été.pdf"),
        ("form-data; name=\"file\"; filename*=UTF-8''devis%20%C3%A9t%C3%A9.pdf", "devis été.pdf"),
        ('form-data; name="file"; filename="../../etc/devis.pdf"', "devis.pdf"),
    ],
)
def test_name_of_a_document_is_kept_without_its_folders(attach, head, name):
    """It may have accents, in either way of writing them."""
    assert name == attach(part(b"%PDF-1.7", head)).json()["name"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("devis.pdf", b"\x89PNG\r\n\x1a\n"),
        ("devis.pdf", b"<html>"),
        ("devis.exe", b"MZ"),
        ("devis", b"%PDF-1.7"),
        ("devis.pdf.exe", b"%PDF-1.7"),
        ("devis.xlsx", archive("word/document.xml")),
        ("devis.docx", b"PK\x03\x04 cut off"),
        ("devis.txt", b"%PDF-1.7"),
    ],
)
def test_document_that_is_not_what_its_name_says_is_415(attach, oplead, name, content):
    """So is one of a type that the help page does not list."""
    assert 415 == attach(part(content, f'form-data; name="file"; filename="{name}"')).status
    assert [] == oplead.book.documents()


@pytest.mark.parametrize(
    ("parts", "kind", "status"),
    [
        ([part(b"%PDF-1.7", 'form-data; name="document"; filename="devis.pdf"')], None, 400),
        ([part(b"%PDF-1.7", 'form-data; name="file"')], None, 400),
        ([part(b"%PDF-1.7", 'form-data; filename="devis.pdf"')], None, 400),
        ([part(b"%PDF-1.7", 'attachment; name="file"; filename="devis.pdf"')], None, 400),
        ([part(b"%PDF-1.7")] * 2, None, 400),
        ([part(b"%PDF-1.7"), part(b"x", 'form-data; name="comment"')], None, 400),
        ([], None, 400),
        ([part(b"%PDF-1.7")], "multipart/form-data; boundary=y", 400),
        ([part(b"%PDF-1.7")], "multipart/form-data", 400),
        ([part(b"")], None, 422),
        ([b"%PDF-1.7"], "application/pdf", 415),
        ([b"%PDF-1.7"], "application/json", 415),
    ],
)
def test_anything_but_one_file_is_refused(attach, oplead, parts, kind, status):
    """The body holds one part called file, with a name and content."""
    assert status == attach(*parts, **({"kind": kind} if kind else {})).status
    assert [] == oplead.book.documents()


def test_multipart_body_that_is_cut_off_is_400(attach):
    """The last boundary is missing."""
    assert 400 == attach(part(b"%PDF-1.7"), end=b"").status


@pytest.mark.parametrize(
    ("position", "statuses"),
    [("both", (201, 201)), ("document/add", (201, 404)), ("attachments", (404, 201))],
)
def test_path_of_a_document_is_a_switch(attach, oplead, position, statuses):
    """The guide names two."""
    oplead.set_switch("document_path", position)
    paths = ("/v1/leads/L-7/document/add", "/v1/leads/L-7/attachments")

    assert statuses == tuple(attach(part(b"%PDF-1.7"), path=path).status for path in paths)


@pytest.mark.parametrize("megabytes", [1, pytest.param(10, marks=pytest.mark.exhaustive), 20])
def test_document_over_the_limit_is_413(attach, oplead, megabytes):
    """One of exactly that size is taken."""
    oplead.set_switch("document_mb", megabytes)
    largest = b"%PDF-".ljust(megabytes * 1_000_000, b"\0")

    assert [201, 413] == [attach(part(content)).status for content in (largest, largest + b"\0")]


def test_document_of_an_unknown_lead_is_404(attach):
    """A document belongs to a lead."""
    assert 404 == attach(part(b"%PDF-1.7"), path="/v1/leads/L-99/document/add").status


def test_documents_survive_a_restart(attach, oplead):
    """What is kept of them is saved."""
    attach(part(b"%PDF-1.7"))
    resumed = OpleadPlatform(lambda: START)
    resumed.load(json.loads(json.dumps(oplead.dump())))

    assert 1 == len(oplead.book.documents())
    assert oplead.book.documents() == resumed.book.documents()
