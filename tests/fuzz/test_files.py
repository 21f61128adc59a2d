"""Exported files: whatever the bytes, they are read or refused with a sentence; damage never changes another lead."""

import io
import os
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openpyxl import Workbook

from connectors.errors import Misconfigured
from connectors.oplead.files import ExportFileOptions, FileSource, survey_file
from connectors.oplead.options import OpleadOptions
from tests.fakes import FakeClock
from tests.fuzz.corpus import cases
from tests.fuzz.effort import FUZZ, SLOW, in_time

NOW = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)
TITLES = "ID;Date de création;Statut;Identifiant externe;Commentaire\r\n"
CELLS = ["L-1", "2026-08-01", "Gagné", "gclid=Cj0KCQjw-abcdefghijklmnop", "rappeler; demain"]
WHOLE = (TITLES + "".join(f'L-{number};2026-08-01;"Gagné";;"a ""b""\r\nc"\r\n' for number in range(1, 9))).encode()
TYPED = st.one_of(
    st.sampled_from(['"', ";", ",", "\t", "\r\n", "\0", "é", "\ufeff", "1,23E+11", "=1+1", " ", "’"]),
    st.sampled_from([typed for name in ("amounts", "dates", "click_ids") for typed, _ in cases(name)]).map(str),
    st.text(max_size=12),
)


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Reads bytes as an exported file: the leads and what could not be read, or why the file is refused."""
    folder = tmp_path_factory.mktemp("exports")

    def read(content, kind="csv"):
        path = folder / f"leads.{kind}"
        path.write_bytes(content)
        os.utime(path, (NOW.timestamp(), NOW.timestamp()))
        options, files = OpleadOptions(token="", zone=ZoneInfo("Europe/Paris")), ExportFileOptions(kind, str(path))
        source = FileSource(options, files, FakeClock(NOW))
        try:
            with in_time():
                source.open_newest_export(None, read_until=None, accept=False)
                pages = list(source.fetch_changes(None, resume=None, find_known=lambda _: ()))
                list(source.fetch_each(["L-1", "nobody"]))
                source.fetch_latest(3)
                survey_file(options, files, leads=9, named=frozenset(), readable=bool, fold=str.casefold)
        except Misconfigured as refusal:
            return str(refusal)
        finally:
            source.close()
        return pages

    return read


def is_told(read):
    """Whether reading ended in leads or in a sentence."""
    return isinstance(read, list) or (read.isprintable() and len(read) < 6000)


@FUZZ
@given(st.binary(max_size=400))
@example(b"")
@example(b"\xff\xfe")
@example(TITLES.encode())
def test_any_bytes_are_read_or_refused(read, content):
    """As CSV and as a workbook."""
    assert is_told(read(content))
    assert is_told(read(content, "xlsx"))


@FUZZ
@given(st.lists(st.lists(TYPED, min_size=1, max_size=6), max_size=6), st.sampled_from(["utf-8", "utf-16", "cp1252"]))
def test_any_text_below_good_titles_is_read_or_refused(read, rows, encoding):
    """Whatever people type into cells, quoted or not."""
    text = TITLES + "".join(";".join(row) + "\r\n" for row in rows)

    assert is_told(read(text.encode(encoding, errors="replace")))


@FUZZ
@given(st.integers(0, len(WHOLE) - 1), st.binary(max_size=3))
def test_damage_in_one_place_is_noticed_or_stays_there(read, place, junk):
    """At most the leads of the damaged line and its neighbours differ."""
    told = read(WHOLE[:place] + junk + WHOLE[place + len(junk) :])

    assert is_told(told)
    if isinstance(told, list):
        leads = [lead for page in told for lead in page.leads]
        assert len(leads) >= 6
        assert sum(lead.label == "Gagné" for lead in leads) >= 6


@FUZZ
@given(st.integers(len(TITLES) + 60, len(WHOLE) - 3))
def test_file_cut_within_its_rows_is_refused_or_ends_a_row(read, length):
    """Nothing but a whole row can be its last."""
    told = read(WHOLE[:length])

    if isinstance(told, list):
        assert all(lead.label == "Gagné" for page in told for lead in page.leads)


def book():
    """A small workbook, as bytes."""
    made = Workbook()
    made.active.append(TITLES.strip().split(";"))
    for number in range(30):
        made.active.append([f"L-{number}", *CELLS[1:]])
    content = io.BytesIO()
    made.save(content)
    return content.getvalue()


BOOK = book()


@SLOW
@given(st.integers(0, len(BOOK) - 1), st.binary(min_size=1, max_size=20))
def test_damaged_workbook_is_refused_or_read_as_it_was(read, place, junk):
    """Its parts have checksums; what has none does not change a lead."""
    told = read(BOOK[:place] + junk + BOOK[place + len(junk) :], "xlsx")

    assert is_told(told)
    if isinstance(told, list):
        assert {"Gagné"} == {lead.label for page in told for lead in page.leads}
