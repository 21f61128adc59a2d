"""The report's files have every row, as spreadsheets in French read them, and start no formula."""

import csv
import json
import stat
from dataclasses import replace
from decimal import Decimal

import pytest

from connectors.language import Language, using_language
from docs.demo_report import demo_facts
from jobs.reporting.page.tables import TABLES, as_json, write_csv
from tests.e2e.support.typed import documented
from tests.report_facts import ALL, FORMULA, hostile_facts, many_leads


def read(path):
    """A file's rows, as Excel reads them."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, delimiter=";"))


def test_each_table_is_a_file_with_every_row(tmp_path):
    """The page shows 25, the file all."""
    files = write_csv(many_leads(), tmp_path / "new")

    assert [f"{table.name}.csv" for table in TABLES] == [file.name for file in files]
    assert 5001 == len(read(tmp_path / "new" / "campaigns.csv"))


def test_the_files_are_for_their_owner_and_each_is_replaced_at_once(tmp_path):
    """As the page is: they name leads and agencies. Permissions that somebody set stay."""
    first, *others = write_csv(demo_facts(), tmp_path)
    first.chmod(0o640)
    write_csv(demo_facts(), tmp_path)

    assert 0o640 == stat.S_IMODE(first.stat().st_mode)
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in others}
    assert {first, *others} == set(tmp_path.iterdir())


def test_excel_in_french_reads_letters_columns_and_numbers(tmp_path):
    """A byte order mark, semicolons, decimal commas, and lines that end as Windows has them."""
    with using_language(Language.ENGLISH):
        write_csv(demo_facts(), tmp_path)
    agencies = (tmp_path / "agencies.csv").read_bytes()

    assert agencies.startswith(b"\xef\xbb\xbfname;leads;untouched;days_until_read;missing_amounts;lost\r\n")
    assert ["Le Mans", "254", "97", "4,5", "5", "60050"] in read(tmp_path / "agencies.csv")
    assert [
        "source",
        "medium",
        "campaign",
        "leads",
        "reached: appointment",
        "reached: quote_sent",
        "reached: won",
        "won",
        "value",
    ] == read(tmp_path / "campaigns.csv")[0]
    assert ["appointment", "appointment", "google", "1301", "216,83", "57,6", "216,0", "2160,0", "1299", "fit"] in read(
        tmp_path / "timing.csv"
    )
    assert ["red", "oplead_users", "Conversions expire soon"] == read(tmp_path / "tasks.csv")[1][:3]
    assert "2026-11-25 04:00" == read(tmp_path / "tasks.csv")[1][4]


@pytest.mark.parametrize("text", [FORMULA, "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n@x", "＝1", "\u200b=1"])
def test_no_cell_starts_a_formula(text, tmp_path):
    """Wherever a text comes from, head lines included; what only looks like one inside stays."""
    files = write_csv(hostile_facts(text), tmp_path)
    cells = [cell for file in files for row in read(file) for cell in row]

    assert not [cell for cell in cells if cell.strip()[:1] in tuple("=+-@＝") and not cell.lstrip("-").isdigit()]
    assert f"'{text.replace(chr(9), ' ').replace(chr(13), ' ').replace(chr(10), ' ').replace(chr(0x200B), '')}" in cells


def test_a_campaign_of_several_sources_has_one_total(tmp_path):
    """A file of its own has it, so that no column adds anything up twice; both files come to the same."""
    write_csv(demo_facts(), tmp_path)
    totals, parts = (read(tmp_path / f"{name}.csv")[1:] for name in ("campaign_totals", "campaigns"))
    sold, sold_parts = (read(tmp_path / f"{name}.csv")[1:] for name in ("campaign_sales_totals", "campaign_sales"))

    assert ["Fenêtres – avant/après", "141", "49", "19", "5", "5", "58200"] in totals
    assert ["Fenêtres – avant/après", "5", "56200", "0"] in sold
    for whole, of_sources in ((totals, parts), (sold, sold_parts)):
        numbers = len(whole[0]) - 1
        sums = [
            [sum(map(int, column)) for column in zip(*rows, strict=True)]
            for rows in ([row[-numbers:] for row in whole], [row[-numbers:] for row in of_sources])
        ]
        assert sums[0] == sums[1]


def test_numbers_stay_numbers_below_zero(tmp_path):
    """Only texts are defused."""
    facts = demo_facts()
    write_csv(replace(facts, agencies=(replace(facts.agencies[0], lost=Decimal("-1.5")),)), tmp_path)

    assert "-1,5" == read(tmp_path / "agencies.csv")[1][-1]


@pytest.mark.parametrize("name", ALL)
def test_json_has_the_same_tables_in_stable_words(name):
    """Keys are those of the published schema in any language; everything is plain JSON."""
    facts = ALL[name]()
    with using_language(Language.FRENCH):
        written = documented(json.dumps(as_json(facts), allow_nan=False))

    for table in TABLES:
        for row in written[table.name]:
            assert [column.name for column in table.columns] == list(row)


def test_json_values_are_exact():
    """Amounts are text, times have their zone, ids stay ids."""
    written = as_json(demo_facts())

    assert ("maison-durand", "red", "2026-10-29") == (written["account"], written["level"], written["first_day"])
    assert written["sales"][0] == {
        "first_day": "2026-10-29",
        "last_day": "2026-11-27",
        "platform": "google",
        "count": 41,
        "value": "492300",
        "matured": 19,
        "matured_value": "228139.02",
    }
    assert "2026-09-29" == written["sales"][4]["first_day"]
    assert {"appointment": 231, "quote_sent": 118, "won": 25} == written["campaigns"][0]["reached"]
    assert "2026-11-30T10:00:00+01:00" == written["recoverable"][0]["first_expiry"]
    assert ("appointment", "appointment") == (written["timing"][0]["stage"], written["timing"][0]["stage_name"])
    assert None is written["last_night"][0]["matched"]
    assert "48213" == written["coverage"][0]["lead_ids"][0]
