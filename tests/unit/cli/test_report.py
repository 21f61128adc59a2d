"""`report` writes a page for each account from its ledger alone; a night writes it too, and never fails over it."""

import json
import sqlite3
import stat
import sys
import webbrowser
from contextlib import closing
from datetime import date
from types import ModuleType, SimpleNamespace

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from connectors.language import current_language
from jobs.account import after_a_night
from jobs.cli.app import app
from jobs.cli.night import run
from jobs.ledger.storage.database import open_engine
from jobs.ledger.storage.lock import hold_lock
from jobs.reporting.page.period import choose_period
from jobs.reporting.run_report import Night
from jobs.run_summary import RunSummary
from tests import quick
from tests.reported import WrittenLedger, on, settings_from

TODAY = date(2026, 11, 28)


@pytest.fixture(autouse=True)
def page(monkeypatch):
    """Plain pages and tables, whatever the real ones show; each says what it was given."""

    def write_csv(facts, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sales.csv").write_text(facts.account)
        return [folder / "sales.csv"]

    render = ModuleType("jobs.reporting.page.render")
    render.render = lambda facts: f"{facts.account} {facts.period.first} {facts.period.last} é"
    render.index_row = lambda facts, page: (facts.account, page)
    render.render_index = lambda rows: repr(sorted(rows))
    tables = ModuleType("jobs.reporting.page.tables")
    tables.write_csv, tables.as_json = write_csv, lambda facts: {"account": facts.account}
    for module in (render, tables):
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(f"jobs.reporting.page.{module.__name__.rpartition('.')[2]}", module, raising=False)
    return render


def make(folder, name="maison-durand", report="{}"):
    """An account's settings file, with a ledger of one lead."""
    folder.mkdir(exist_ok=True)
    settings, _ = settings_from(folder, report=report)
    made = WrittenLedger(folder / f"{name}.db")
    made.run(1, on("11-10"))
    made.lead("L-1", "11-02", ("gagne", "11-05"), clicks=["gclid"], amount="100")
    made.write()
    file = folder / "pipeline.yaml"
    if name != settings.account:
        file.write_text(file.read_text().replace("maison-durand", name))
        with closing(sqlite3.connect(folder / f"{name}.db")) as connection, connection:
            for table in ("lead", "run", "status_change", "click_id"):
                connection.execute(f"UPDATE {table} SET account = ?", (name,))  # noqa: S608
    return file


def type_in(*arguments):
    """Run the command."""
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_the_page_goes_where_it_is_told_and_the_command_says_where(tmp_path, monkeypatch):
    """To --out, made where missing; else to the settings' folder; else here."""
    monkeypatch.chdir(tmp_path)
    file = make(tmp_path / "config", report="{ folder: ../pages }")
    done = type_in("--config", file, "--out", tmp_path / "a" / "b")

    assert 0 == done.exit_code, done.output
    assert str(tmp_path / "a" / "b" / "maison-durand-report.html") in done.output.replace("\n", "")
    assert 0 == type_in("--config", file).exit_code
    assert (tmp_path / "pages" / "maison-durand-report.html").exists()
    file = make(tmp_path / "other")
    assert 0 == type_in("--config", file).exit_code
    assert (tmp_path / "maison-durand-report.html").exists()


def test_the_ledger_stays_as_it_was(tmp_path):
    """Not a byte changes, and no lock or lease is left."""
    file = make(tmp_path / "config")
    before = {path.name: path.read_bytes() for path in (tmp_path / "config").iterdir()}
    type_in("--config", file, "--out", tmp_path / "out", "--csv", tmp_path / "csv")

    after = {path.name: path.read_bytes() for path in (tmp_path / "config").iterdir()}
    assert before == {name: data for name, data in after.items() if not name.endswith(("-wal", "-shm"))}


def test_a_run_that_holds_the_account_does_not_keep_the_report_waiting(tmp_path):
    """It reads beside a writer."""
    file = make(tmp_path / "config")
    path = tmp_path / "config" / "maison-durand.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as writer, hold_lock(path, now=on("11-28")):
        writer.execute("BEGIN IMMEDIATE")
        assert 0 == type_in("--config", file, "--out", tmp_path / "out").exit_code


def test_several_accounts_have_an_index_and_their_own_tables(tmp_path):
    """One that fails leaves the others their pages, and the exit code says so."""
    one, other = make(tmp_path / "one"), make(tmp_path / "other", "volets-martin")
    chosen = ("--config", one, "--config", other, "--out", tmp_path / "out", "--csv", tmp_path / "csv")

    assert 0 == type_in(*chosen).exit_code
    names = ["maison-durand-report.html", "volets-martin-report.html"]
    assert ["index.html", *names] == sorted(path.name for path in (tmp_path / "out").iterdir())
    assert all(name in (tmp_path / "out" / "index.html").read_text() for name in names)
    assert "volets-martin" == (tmp_path / "csv" / "volets-martin" / "sales.csv").read_text()
    (tmp_path / "other" / "volets-martin.db").unlink()
    (tmp_path / "out" / names[0]).unlink()

    assert 2 == type_in(*chosen).exit_code
    assert (tmp_path / "out" / names[0]).exists()


def test_json_prints_the_numbers_alone(tmp_path, monkeypatch):
    """A script gets one object a line; a page is written only to a folder that is named."""
    monkeypatch.chdir(tmp_path)
    file = make(tmp_path / "config")
    done = type_in("--config", file, "--json")

    assert {"account": "maison-durand"} == json.loads(done.stdout)
    assert [] == list(tmp_path.glob("*.html"))
    assert {"account": "maison-durand"} == json.loads(type_in("--config", file, "--json", "--out", tmp_path).stdout)
    assert (tmp_path / "maison-durand-report.html").exists()


def test_the_page_speaks_the_settings_language_and_json_english(tmp_path, monkeypatch, page):
    """Whatever the terminal speaks."""
    monkeypatch.setenv("LC_ALL", "C")
    page.render = lambda _: current_language()
    page.render_index = lambda _: current_language()
    monkeypatch.setattr(
        sys.modules["jobs.reporting.page.tables"], "as_json", lambda _: {"language": current_language()}
    )
    files = [make(tmp_path / "one"), make(tmp_path / "other", "volets-martin")]
    for file in files:
        file.write_text(f"{file.read_text()}language: fr\n")
    done = type_in("--config", files[0], "--config", files[1], "--out", tmp_path / "out", "--json")

    assert [{"language": "en"}] * 2 == [json.loads(line) for line in done.stdout.splitlines()]
    assert ["fr"] * 3 == [path.read_text() for path in (tmp_path / "out").iterdir()]
    assert "le rapport est dans" in " ".join(type_in("--config", files[0], "--out", tmp_path).output.split())


def test_open_shows_the_page_in_a_browser(tmp_path, monkeypatch):
    """Its address works from anywhere."""
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    type_in("--config", make(tmp_path / "config"), "--out", tmp_path, "--open")

    assert [(tmp_path / "maison-durand-report.html").as_uri()] == opened


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (None, None, ("2026-10-29", "2026-11-27")),
        ("2026-11-01", None, ("2026-11-01", "2026-11-27")),
        ("2026-11-28", None, ("2026-11-28", "2026-11-28")),
        (None, "2026-11-28", ("2026-10-30", "2026-11-28")),
        ("2025-01-01", "2025-12-31", ("2025-01-01", "2025-12-31")),
        (None, "2000-01-02", ("2000-01-01", "2000-01-02")),
    ],
)
def test_the_period(first, last, expected):
    """By default the last thirty whole days; today at most."""
    first, last = (day and date.fromisoformat(day) for day in (first, last))
    found = choose_period(first, last, today=TODAY)

    assert tuple(map(date.fromisoformat, expected)) == (found.first, found.last)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "2026-11-05", "--to", "2026-11-04"), "--from is after --to"),
        (("--from", "05/11/2026"), "05/11/2026 may be 2026-11-05 or 2026-05-11"),
        (("--to", "9999-12-31"), "the last day is still to come"),
        (("--from", "9999-12-31"), "the first day is still to come"),
        (("--from", "0001-01-01"), "the first day is before 2000-01-01"),
        (("--to", "1999-12-31"), "the first day is after the last one"),
        (("--json", "--open"), "--json writes no page to open"),
    ],
)
def test_a_wrong_period_is_an_error_and_writes_nothing(tmp_path, arguments, message):
    """It is said which day is wrong, with exit code 2."""
    out = tmp_path / "out"
    options = () if "--open" in arguments else ("--out", out)
    with capture_logs() as logs:
        done = type_in("--config", make(tmp_path / "config"), *options, *arguments)

    assert 2 == done.exit_code
    assert message in " ".join([*done.output.split(), *(str(each["event"]) for each in logs)])
    assert not out.exists()


def test_a_page_is_replaced_at_once(tmp_path, page):
    """If it cannot be made, the old one stays, with its permissions, and nothing is left behind."""
    file = make(tmp_path / "config")
    type_in("--config", file, "--out", tmp_path / "out")
    path = tmp_path / "out" / "maison-durand-report.html"
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    path.chmod(0o640)
    type_in("--config", file, "--out", tmp_path / "out", "--from", "2026-01-01")

    assert 0o640 == stat.S_IMODE(path.stat().st_mode)
    written = path.read_text()
    assert "maison-durand 2026-01-01" in written
    page.render = lambda _: "\ud800"  # no encoding has this
    assert 70 == type_in("--config", file, "--out", tmp_path / "out").exit_code
    assert written == path.read_text()
    assert [path] == list((tmp_path / "out").iterdir())


# ── after a night ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def night(tmp_path):
    """A night that is over: its ledger, rules and settings, with a folder for reports."""
    folder = tmp_path / "config"
    make(folder, report="{ folder: ../pages }")
    settings, book = settings_from(folder, report="{ folder: ../pages }")
    engine = open_engine(quick.with_state(folder / "maison-durand.db"), for_writing=False)
    ledger = WrittenLedger(folder / "maison-durand.db")
    yield SimpleNamespace(ledger=SimpleNamespace(read_transaction=ledger.read), book=book, settings=settings)
    engine.dispose()


def test_a_night_writes_the_page_of_the_usual_period(tmp_path, night):
    """It ends with the day before the night."""
    after_a_night.write_report(night.ledger, night.book, night.settings, now=on("11-28"), faults=[])

    assert "2026-10-29 2026-11-27" in (tmp_path / "pages" / "maison-durand-report.html").read_text()


def test_a_night_that_writes_the_page_says_what_it_says(tmp_path, night):
    """All three numbers, and where it is."""
    brief = after_a_night.write_report(night.ledger, night.book, night.settings, now=on("11-28"), faults=[])

    assert tmp_path / "pages" / "maison-durand-report.html" == brief.page.resolve()
    assert 30 == brief.sold.days


def test_status_begins_with_what_the_page_says(tmp_path, night):
    """It names the page that nights write, and has no sales without it."""
    typed = ["status", "--config", str(tmp_path / "config" / "pipeline.yaml")]
    without = CliRunner().invoke(app, typed, env={"LANG": "en_GB.UTF-8"}).stdout
    after_a_night.write_report(night.ledger, night.book, night.settings, now=on("11-28"), faults=[])
    named = CliRunner().invoke(app, typed, env={"LANG": "en_GB.UTF-8"}).stdout

    assert "Nothing needs doing" in without.splitlines()[1]
    assert "oplead-sync report --config" in without
    assert "maison-durand-report.html" in named
    assert "Signed sales" not in without + named


@pytest.mark.parametrize("fails", [False, True])
def test_a_run_without_a_page_still_says_what_needs_doing(night, monkeypatch, fails):
    """Where that fails, the night's result stands."""
    if fails:
        monkeypatch.setattr(run, "gather_brief", lambda *_, **__: 1 / 0)
    with capture_logs() as logs:
        told = run.with_brief(night.settings, Night(RunSummary("maison-durand", 1, on("11-28")), on("11-28"), ()))

    assert (told.brief is None, len(logs)) == (fails, int(fails))


def test_without_a_folder_a_night_writes_no_page(tmp_path, night):
    """Not even to the current one."""
    plain = night.settings.model_copy(update={"report": night.settings.report.model_copy(update={"folder": None})})
    after_a_night.write_report(None, night.book, plain, now=on("11-28"), faults=[])

    assert [] == list(tmp_path.rglob("*.html"))


@pytest.mark.parametrize("fault", ["folder", "page"])
def test_a_page_that_cannot_be_written_ends_nothing_else(tmp_path, night, page, fault):
    """A folder that is none is a warning; what nobody foresaw is noted, and shows in the exit code."""
    faults = []
    if fault == "folder":
        (tmp_path / "pages").write_text("a file")
    else:
        page.render = lambda _: 1 / 0
    with capture_logs() as logs:
        after_a_night.write_report(night.ledger, night.book, night.settings, now=on("11-28"), faults=faults)
    level = "warning" if fault == "folder" else "error"

    assert ["the report could not be written"] == [each["event"] for each in logs if each["log_level"] == level]
    assert ([] if fault == "folder" else ["ZeroDivisionError"]) == faults
