"""A small file never takes much memory, whatever it claims to hold: its bounds hold while it is read."""

import base64
import io
import random
import subprocess
import sys
import zipfile

import pytest
from openpyxl import Workbook

from connectors.oplead.files.table import MB

MOST_MB = 60
"""What a refusal may take beyond the program itself."""
READER = """
import sys
from pathlib import Path
from connectors.errors import Misconfigured
from connectors.oplead.files.csv_table import CsvTable
from connectors.oplead.files.xlsx_table import XlsxTable

def taken():
    # Not what `getrusage` says, which a process inherits from who started it.
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024

path, before = Path(sys.argv[1]), taken()
try:
    table = CsvTable(path) if path.suffix == ".csv" else XlsxTable(path, sheet=None, largest=512 * 1024 * 1024)
    print(sum(1 for _ in table.rows()), "rows")
except Misconfigured as refused:
    print(refused)
print(taken() - before)
"""
SPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
SHEET, TEXTS, STYLES = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/styles.xml"
TEXTS_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
MANY = 900_000


@pytest.fixture
def read(tmp_path):
    """Reads a file in a process of its own; returns what it said, and how many MB that took."""

    def read(content, name):
        path = tmp_path / name
        path.write_bytes(content)
        done = subprocess.run(
            [sys.executable, "-c", READER, path], capture_output=True, text=True, check=True, timeout=120
        )
        said, taken = done.stdout.splitlines()
        return said, int(taken)

    return read


def workbook(name, part):
    """A workbook of which one part is this text."""
    content = io.BytesIO()
    book = Workbook()
    book.active.append(["ID", "Statut"])
    book.save(content)
    made = io.BytesIO()
    with zipfile.ZipFile(content) as good, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as bad:
        parts = {each: good.read(each).decode() for each in good.namelist()} | {name: part}
        kind = f'<Override PartName="/{TEXTS}" ContentType="{TEXTS_TYPE}"/></Types>'
        parts.setdefault(TEXTS, f"<sst {SPACE}/>")
        parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace("</Types>", kind)
        for each in sorted(parts):
            bad.writestr(each, parts[each])
    return made.getvalue()


def sheet(rows):
    """A sheet's XML, titles first."""
    titles = "".join(f'<c t="inlineStr"><is><t>{title}</t></is></c>' for title in ("ID", "Statut"))
    return f"<worksheet {SPACE}><sheetData><row>{titles}</row>{rows}</sheetData></worksheet>"


def texts(each):
    """The shared texts' XML."""
    return f"<sst {SPACE}>{each}</sst>"


def padding(megabytes):
    """What deflate cannot make smaller, in pieces with a tag between them."""
    piece = base64.b64encode(random.Random(7).randbytes(MB // 2)).decode()
    return f"<!--{piece}--><x/>" * (2 * megabytes)


REPEATED = "unpacks to more than 100 times"
BOMBS = {
    "rows": (SHEET, sheet("<row/>" * MANY), REPEATED),
    "cells": (SHEET, sheet("<row>" + "<c/>" * MANY + "</row>"), REPEATED),
    "texts": (TEXTS, texts("<si><t>x</t></si>" * MANY), REPEATED),
    "formats": (STYLES, f"<styleSheet {SPACE}><cellXfs>{'<xf/>' * MANY}</cellXfs></styleSheet>", REPEATED),
    "one text": (SHEET, sheet(f'<row><c t="str"><v>{"x" * 90 * MB}</v></c></row>'), REPEATED),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_workbook_of_a_few_kilobytes_takes_no_hundreds_of_megabytes(read, kind):
    """It is refused, and the limit is named."""
    name, part, why = BOMBS[kind]
    content = workbook(name, part)
    said, taken = read(content, "leads.xlsx")

    assert len(content) < 120_000
    assert why in said
    assert taken < MOST_MB


TOO_MUCH = "would take more than 160 MB of memory"
PADDED = {
    "rows": (SHEET, lambda: sheet(padding(1) + "<row/>" * 2 * MANY), TOO_MUCH),
    "cells": (SHEET, lambda: sheet(padding(1) + "<row>" + "<c/>" * MANY + "</row>"), TOO_MUCH),
    "texts": (TEXTS, lambda: texts(padding(1) + "<si/>" * 2 * MANY), TOO_MUCH),
    "formats": (
        STYLES,
        lambda: f"<styleSheet {SPACE}>{padding(1)}<cellXfs>{'<xf/>' * MANY}</cellXfs></styleSheet>",
        TOO_MUCH,
    ),
    "one text": (
        SHEET,
        lambda: sheet(padding(1) + f'<row><c t="str"><v>{"x" * 60 * MB}</v></c></row>'),
        "more than 1 MB in one cell",
    ),
    "texts of one row": (
        SHEET,
        lambda: sheet(padding(3) + "<row>" + f"<c><v>{'x' * 900_000}</v></c>" * 200 + "</row>"),
        TOO_MUCH,
    ),
    "attributes of one row": (
        SHEET,
        lambda: sheet(padding(3) + "<row>" + f'<c a="{"x" * 900_000}"/>' * 200 + "</row>"),
        TOO_MUCH,
    ),
    "wide texts": (
        TEXTS,
        lambda: texts(padding(2) + f"<si><r><t>\U0001f600</t></r><r><t>{'x' * 900_000}</t></r></si>" * 100),
        TOO_MUCH,
    ),
    "a part that is read whole": ("xl/theme/theme1.xml", lambda: f"no XML {padding(2)}{'x' * 170 * MB}", TOO_MUCH),
    "one tag": (SHEET, lambda: sheet(padding(1) + f'<row a="{"x" * 60 * MB}"/>'), "more than 1 MB in one cell"),
}


@pytest.mark.parametrize("kind", PADDED)
def test_workbook_that_hides_its_ratio_is_counted_before_it_is_built(read, kind):
    """What does not compress stands beside what does."""
    name, part, why = PADDED[kind]
    said, taken = read(workbook(name, part()), "leads.xlsx")

    assert why in said
    assert taken < MOST_MB


def test_directory_that_claims_larger_parts_is_not_believed(read):
    """What a part takes in the archive is only said there, and reading ends with the data."""
    content = bytearray(workbook(SHEET, sheet("<row/>" * MANY)))
    entry = content.index(SHEET.encode(), content.index(b"PK\1\2")) - 46
    content[entry + 20 : entry + 24] = (500 * MB).to_bytes(4, "little")
    said, taken = read(bytes(content), "leads.xlsx")

    assert REPEATED in said
    assert taken < MOST_MB


def test_document_type_in_another_encoding_is_refused(read):
    """Entities multiply what the part holds; their declaration need not be readable as ASCII."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook(SHEET, sheet("")))) as good,
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as bad,
    ):
        for name in good.namelist():
            part = good.read(name)
            if name == SHEET:
                part = f'<!DOCTYPE x [<!ENTITY a "aaaa">]>{sheet("<row><c><v>&a;</v></c></row>")}'.encode("utf-16")
            bad.writestr(name, part)
    said, _taken = read(content.getvalue(), "leads.xlsx")

    assert "cut or damaged" in said


CSV_BOMBS = {
    "one endless line": (b"ID;Statut\n" + b"x" * 32 * MB, "a line of more than 1 MB"),
    "one endless line of columns": (b";" * 32 * MB, "a line of more than 1 MB"),
    "many columns in each line": (b"ID" + (b";" * 900_000 + b"\n") * 30, "1,000 columns"),
    "one row over many lines": (b"ID;Statut\n" + b'"\n";' * 8 * MB, "row at line 2 has more than 1 MB"),
}


@pytest.mark.parametrize("kind", CSV_BOMBS)
def test_csv_file_takes_no_more_than_its_longest_possible_row(read, kind):
    """However large the file is."""
    content, why = CSV_BOMBS[kind]
    said, taken = read(content, "leads.csv")

    assert why in said
    assert taken < MOST_MB


def test_real_rows_stay_within_every_bound(read):
    """Long lists of leads that differ in their ids only."""
    book = Workbook(write_only=True)
    leads = book.create_sheet()
    leads.append(["ID", "Statut", *(f"Titre {number}" for number in range(8))])
    for number in range(12_000):
        leads.append([f"L-{number}", "Gagné", *("x" for _ in range(8))])
    content = io.BytesIO()
    book.save(content)

    assert "12000 rows" == read(content.getvalue(), "leads.xlsx")[0]


ORDINARY = {
    "xl/calcChain.xml": ("calcChain", "<c r='A1'/>"),
    "xl/pivotCache/pivotCacheRecords1.xml": ("pivotCacheRecords", "<r><x v='1'/></r>"),
    "xl/externalLinks/externalLink1.xml": ("externalLink", "<cell r='A1'/>"),
}


@pytest.mark.parametrize("part", ORDINARY)
def test_what_holds_no_cell_may_have_any_size(read, part):
    """An ordinary large workbook has an entry for each formula, or each row of a pivot table."""
    root, each = ORDINARY[part]
    text = f"<{root} {SPACE}>{padding(1)}{each * 300_000}</{root}>"
    said, taken = read(workbook(part, text), "leads.xlsx")

    assert "0 rows" == said
    assert taken < MOST_MB


@pytest.mark.parametrize("part", ORDINARY)
def test_what_is_not_counted_cannot_be_a_sheet(read, part):
    """Wherever a workbook says that its sheet is."""
    content, made = workbook(part, sheet(padding(1) + "<row/>" * 2 * MANY)), io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as good, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as bad:
        for each in good.namelist():
            bad.writestr(each, good.read(each).replace(f"/{SHEET}".encode(), f"/{part}".encode()))
    said, taken = read(made.getvalue(), "leads.xlsx")

    assert "it is cut or damaged" in said
    assert taken < MOST_MB


def test_texts_take_no_more_than_is_estimated(read):
    """So that the limit is one of memory: 160 MB beside the program, for 900,000 of these."""
    each = "".join(f"<si><t>{number:016}</t></si>" for number in random.Random(7).sample(range(10**9), 100_000))
    said, taken = read(workbook(TEXTS, texts(each)), "leads.xlsx")

    assert "0 rows" == said
    assert taken < 25
