"""The rows of exported files: encodings and delimiters that are certain are read, all others refused."""

import io
import zipfile
from datetime import date, datetime
from decimal import Decimal

import pytest
from openpyxl import Workbook

from connectors.errors import Misconfigured
from connectors.oplead.files.csv_table import CsvTable
from connectors.oplead.files.xlsx_table import XlsxTable

MB = 1024 * 1024
TEXT = 'ID;Statut;Montant\r\nL-1;Gagné;12 500,00 €\r\n00123;"Devis;\nà relancer";"dit ""oui"""\r\n'
ROWS = [("L-1", "Gagné", "12 500,00 €"), ("00123", "Devis;\nà relancer", 'dit "oui"')]


@pytest.fixture
def written(tmp_path):
    """Writes a file and returns its path."""

    def write(content, name="leads.csv"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def cells(table):
    """The rows' cells."""
    return [row.cells for row in table.rows()]


def refusal(make):
    """Why a file is refused."""
    with pytest.raises(Misconfigured) as refused:
        list(make().rows())
    return str(refused.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("ends", ["\r\n", "\n"])
def test_reads_every_encoding_that_shows_itself(written, encoding, ends):
    """A byte order mark says so; without one, UTF-8 and Western Windows text can be told apart."""
    table = CsvTable(written(TEXT.replace("\r\n", ends).encode(encoding)))

    assert ("ID", "Statut", "Montant") == table.titles
    assert [("L-1", "Gagné", "12 500,00 €"), ("00123", "Devis;\nà relancer", 'dit "oui"')] == cells(table)
    assert [2, 3] == [row.number for row in table.rows()]
    assert table.ends_line


@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
def test_finds_the_delimiter(written, delimiter):
    """It splits the titles and every row alike; a decimal comma in each row does not mislead it."""
    lines = ["ID{0}Statut{0}Montant, TTC", 'L-1{0}Gagné{0}"12,5"', 'L-2{0}Perdu{0}"1,25"']
    text = "\n".join(line.format(delimiter) for line in lines).replace("Montant, TTC", '"Montant, TTC"')

    assert [("L-1", "Gagné", "12,5"), ("L-2", "Perdu", "1,25")] == cells(CsvTable(written(text.encode())))


def test_ambiguous_delimiter_is_refused_until_it_is_named(written):
    """Both split every line into as many columns."""
    path = written(b"ID;Statut,Montant;Date\nL-1;a,b;c\n")

    assert "write which under source, as delimiter" in refusal(lambda: CsvTable(path))
    assert [("L-1", "a,b", "c")] == cells(CsvTable(path, delimiter=";"))
    assert [("L-1;a", "b;c")] == cells(CsvTable(path, delimiter=","))


def test_line_that_names_the_delimiter_is_no_row(written):
    """Excel writes `sep=;` before the titles, and then counts its lines."""
    table = CsvTable(written(b"sep=;\r\nID;A,B\r\nL-1;x,y\r\n"))

    assert ("ID", "A,B") == table.titles
    assert [(3, ("L-1", "x,y"))] == [(row.number, row.cells) for row in table.rows()]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param("ID;Ville\nL-1;Orléans\n".encode("mac_roman"), "cannot be told", id="old Mac"),
        pytest.param("ID;Ville\nL-1;Orléans\n".encode("cp850"), "cannot be told", id="DOS"),
        pytest.param("ID;Ville\nL-1;Orléans\nL-2;M\xe2con\n".encode() + b"L-3;\xe9\n", "cannot be told", id="mixed"),
        pytest.param("ID;Ville\nL-1;Orléans".encode()[:-1].replace(b"ans", b"")[:16] + b"\xc3", "is cut", id="half é"),
        pytest.param("ID;Ville\nL-1;Orléans\n".encode("utf-16-le"), "no plain text", id="UTF-16 unmarked"),
        pytest.param("ID;Ville\nL-1;Orléans\n".encode("utf-16")[:-1], "not utf-16 throughout", id="half a unit"),
        pytest.param(b"ID;Ville\nL-1;Nantes\nL-2;", None, id="an empty last field"),
        pytest.param(b"ID;Ville\nL-1;Nantes\nL-2", "last row, line 3", id="cut row"),
        pytest.param(b"ID;Ville\nL-1\nL-2;Nantes\n", "line 2 has 1 columns", id="short row"),
        pytest.param(b"ID;Ville\nL-1;Nantes;44000\n", "line 2 has 3 columns", id="long row"),
        pytest.param(b'ID;Ville\nL-1;"Nantes\nL-2;Rennes\n', "never closed", id="open quote"),
        pytest.param(b'ID;Ville\nL-1;"Nantes"44\n', "after a closing quote", id="text after a quote"),
        pytest.param(b"ID\nL-1\n", "one column only", id="one column"),
        pytest.param(b"\n", "its first line is empty", id="no titles"),
        pytest.param(b"", "its first line is empty", id="nothing"),
        pytest.param(b"ID;Ville\n" + b"x" * 2 * MB, "so it is no CSV", id="endless line"),
        pytest.param(b"ID;Ville\nL-1;a\0b\n", "no plain text", id="NUL"),
    ],
)
def test_damage_and_doubt_are_refused(written, content, why):
    """The message says what to do, and quotes nothing of the file."""
    path = written(content)
    if why is None:
        assert [("L-1", "Nantes"), ("L-2", "")] == cells(CsvTable(path))
        return
    told = refusal(lambda: CsvTable(path))

    assert why in told
    assert "Nantes" not in told.replace(str(path), "")


def test_named_encoding_settles_the_doubt(written):
    """A name such as Škoda looks like damage in a file that Excel saved."""
    path = written("ID;Nom\nL-1;Škoda\n".encode("cp1252"))

    assert "source.encoding: cp1252" in refusal(lambda: CsvTable(path))
    assert [("L-1", "Škoda")] == cells(CsvTable(path, encoding="cp1252"))


def test_empty_cells_after_the_titles_and_blank_lines_are_left_out(written):
    """Some exports end every line with a delimiter, and the file with blank lines."""
    table = CsvTable(written(b"ID;Ville;\nL-1;Nantes;\n;;\n\nL-2;Rennes\n"))

    assert [("L-1", "Nantes"), ("L-2", "Rennes")] == cells(table)


def workbook(*rows, formats=None, title="Leads"):
    """A workbook with these rows, as bytes."""
    book = Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    for place, form in (formats or {}).items():
        book.active[place].number_format = form
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def test_reads_a_workbook_as_json_would_show_it(written):
    """Numbers keep every digit, times are wall-clock text to the second, and a day is a day."""
    path = written(
        workbook(
            ["ID", "Montant", "Créé", "Jour", "Oui", "Reste"],
            [],
            ["00123", 12500.5, datetime(2026, 7, 20, 17, 5, 1), date(2026, 7, 21), True, None],  # noqa: DTZ001
            [123, 3780, datetime(2026, 7, 20, 0, 0, 0), None, False, "x"],  # noqa: DTZ001
        ),
        "leads.xlsx",
    )
    table = XlsxTable(path, sheet=None, largest=MB)

    assert ("ID", "Montant", "Créé", "Jour", "Oui", "Reste") == table.titles
    assert [
        (3, ("00123", Decimal("12500.5"), "2026-07-20 17:05:01", "2026-07-21", True, None)),
        (4, (Decimal(123), Decimal(3780), "2026-07-20 00:00:00", None, False, "x")),
    ] == [(row.number, row.cells) for row in table.rows()]


def test_sheet_is_chosen_by_name(written):
    """The first is taken otherwise."""
    path = written(workbook(["ID", "Statut"], ["L-1", "Gagné"]), "leads.xlsx")

    assert "source.sheet" in refusal(lambda: XlsxTable(path, sheet="Autre", largest=MB))
    assert 1 == len(cells(XlsxTable(path, sheet="Leads", largest=MB)))


def test_values_beyond_the_titles_are_refused(written):
    """They belong to a column that nobody named."""
    path = written(workbook(["ID", "Statut"], ["L-1", "Gagné", "x"]), "leads.xlsx")

    assert "beyond the last title" in refusal(lambda: XlsxTable(path, sheet=None, largest=MB))


def bomb():
    """A small archive that unpacks to far more."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 4 * MB)
    return content.getvalue()


def with_doctype():
    """A workbook whose sheet declares entities."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook(["ID", "Statut"]))) as good,
        zipfile.ZipFile(content, "w") as bad,
    ):
        for name in good.namelist():
            part = good.read(name)
            if name.endswith("sheet1.xml"):
                part = b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + part
            bad.writestr(name, part)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        pytest.param(workbook(["ID", "Statut"], ["L-1", "Gagné"])[:-200], "cut or damaged", id="cut"),
        pytest.param(b"ID;Statut\nL-1;x\n", "cut or damaged", id="a CSV file"),
        pytest.param(bomb(), "unpacks to more than", id="bomb"),
        pytest.param(with_doctype(), "cut or damaged", id="entities"),
    ],
)
def test_damaged_or_hostile_workbook_is_refused(written, content, why):
    """Before anything is unpacked."""
    path = written(content, "leads.xlsx")

    assert why in refusal(lambda: XlsxTable(path, sheet=None, largest=MB))


def test_rows_of_a_flipped_byte_are_not_read(written):
    """Every part of the archive has a checksum."""
    content = bytearray(workbook(["ID", "Statut"], *(["L-1", "Gagné"] for _ in range(300))))
    content[content.index(b"sheet1.xml") + 400] ^= 0xFF
    path = written(bytes(content), "leads.xlsx")

    assert "cut or damaged" in refusal(lambda: XlsxTable(path, sheet=None, largest=MB))
