"""Leads from exported files: the same deliveries as by the API, and a file that is not sound changes nothing."""

from datetime import timedelta

import pytest

from connectors.errors import WrongClock
from connectors.oplead.files.columns import LeadColumns
from connectors.sandbox.population.company import FIRST_NIGHT, InventedLeads
from jobs.ledger import schema
from jobs.ledger.runs import open_locked_ledger
from jobs.ledger.storage.sqlite_state import SqliteState
from jobs.pull.exported_file import open_newest_export
from jobs.pull.ingest import DetailFetcher, PullResult
from jobs.run_context import RunContext
from jobs.wiring.account import open_clock
from jobs.wiring.night import open_connectors
from tests.e2e.support import exports
from tests.e2e.support.traffic import GRAPH, INGEST
from tests.e2e.support.typed import type_in
from tests.suite import mostly_exhaustive

DAY = timedelta(days=1)
NIGHTS = tuple(FIRST_NIGHT + number * DAY for number in (0, 3))


def use_files(company, kind="csv", **more):
    """Have a company's leads come from files from now on."""
    columns = {title: place for title, place in exports.COLUMNS.items() if place != "agency"}  # nothing needs that
    company.settings["source"] = {kind: f"exports/*.{kind}", "columns": columns, **more}


def export(company, content=None, *, at=None, name=None, kind="csv", **dialect):
    """Export what a company's Oplead has, now or as of a time that the clock is moved to."""
    if at is not None:
        company.clock.advance(at)
    at = company.clock.now()
    if content is None:
        leads = exports.leads_of(company)
        content = exports.csv_bytes(leads, **dialect) if kind == "csv" else exports.xlsx_bytes(leads)
    return exports.put(company.directory / "run" / "exports" / (name or f"{at:%Y%m%dT%H%M%S}.{kind}"), content, at)


def uploads(company):
    """The body of every upload to a platform from now on, in order."""
    bodies = []
    for server, path in (("data_manager", INGEST), ("meta", GRAPH)):
        company.before(server, path, lambda request: bodies.append(request.body) if request.method == "POST" else None)
    return bodies


def company_of(companies):
    """A company with a small population, which sends to both platforms; and the uploads it makes."""
    company = companies(start=FIRST_NIGHT, population=InventedLeads.generate(seed=5, leads=50))
    company.use_meta()
    return company, uploads(company)


@pytest.fixture(scope="module")
def by_api(companies):
    """Two nights by an API that shows what an export shows: the status and its date, without a history."""
    company, sent = company_of(companies)
    company.sandbox.oplead.set_switch("status_dates", "status_date")
    for night in NIGHTS:
        company.night(night)
    return company, sent


@pytest.mark.parametrize("dialect", mostly_exhaustive([*exports.DIALECTS, "Excel"], "French Excel", "Excel"))
def test_files_give_the_same_deliveries_as_the_api(companies, by_api, dialect):
    """Byte for byte: keys, times, values, click ids and hashes."""
    company, sent = company_of(companies)
    kind = "xlsx" if dialect == "Excel" else "csv"
    use_files(company, kind)
    for night in NIGHTS:
        export(company, at=night, kind=kind, **exports.DIALECTS.get(dialect, {}))
        summary = company.night()

        assert summary.source_stopped is None
    reference, expected = by_api

    assert reference.states() == company.states()
    assert reference.states("meta") == company.states("meta")
    assert expected
    assert expected == sent


# ── a file that must not be read ─────────────────────────────────────────────────────────────────


@pytest.fixture
def company(company):
    """A company whose leads come from files: ten sales, accepted the first night, and one withheld for its consent."""
    use_files(company)
    sold_at = company.START - timedelta(hours=20)
    company.serve(*(company.lead(number, ("Gagné", sold_at)) for number in range(1, 11)))
    unsure = {"externalID": f"gclid={company.gclid(11)}", "consent": "?"}
    company.serve(company.lead(11, ("Gagné", sold_at), leadData=unsure))
    export(company, at=company.START)
    for summary in (company.night(), company.later()):
        assert summary.source_stopped is None
    return company


def state_of(company):
    """Everything the ledger knows of leads, and what is to be sent."""
    return {table: company.rows_of(table) for table in ("lead", "status_change", "delivery", "click_id", "read_export")}


def lines_of(company):
    """The file that would be exported now, by lines."""
    return exports.csv_bytes(exports.leads_of(company)).splitlines(keepends=True)


def half(company):
    """The first half of a file, cut within a line."""
    whole = b"".join(lines_of(company))
    return whole[: len(whole) // 2]


def half_the_rows(company):
    """A file that ends after half of its rows."""
    return b"".join(lines_of(company)[:6])


def without(*places):
    """An export that lacks these columns."""
    titles = {place: title for place, title in exports.TITLES.items() if place not in places}
    return lambda company: exports.csv_bytes(exports.leads_of(company), titles=titles)


def open_quote(company):
    """A file whose last field begins with a quote that nothing closes."""
    *rest, last = lines_of(company)
    return b"".join(rest) + last.replace(b";Site web;", b';"Site web;')


def two_for_one(company):
    """A file with two rows that say different things of one lead."""
    lines = lines_of(company)
    return b"".join([*lines, lines[2].replace("Gagné".encode(), b"Perdu")])


def twice_a_title(company):
    """A file with two columns of the same title."""
    return exports.csv_bytes(exports.leads_of(company), titles={**exports.TITLES, "custom": "Statut"})


UNSOUND = {
    "cut within a row": (half, "is cut"),
    "cut between rows": (half_the_rows, "the last file had 11"),
    "a lost column": (without("agency"), '"Agence", which the last file had'),
    "a lost column that is needed": (without("leadData.consent"), '"Consentement pub"'),
    "an open quote": (open_quote, "never closed"),
    "two rows for a lead": (two_for_one, "have the same id and differ"),
    "a title twice": (twice_a_title, "have the same title as another"),
    "no row": (lambda company: lines_of(company)[0], "no lead"),
    "nothing at all": (lambda _: b"", "it is empty"),
    "no CSV": (lambda _: bytes(range(256)) * 20, "no plain text"),
}


@pytest.mark.parametrize("how", mostly_exhaustive(UNSOUND, "cut within a row", "a lost column"))
def test_unsound_file_changes_nothing(company, how):
    """The source stops and says why; nothing is cancelled, deleted or learnt, and the next sound file goes on."""
    content, why = UNSOUND[how]
    at = company.START + DAY
    company.serve(company.lead(1, ("Perdu", at - timedelta(hours=3))))
    before = state_of(company)
    company.clock.advance(at)
    bad = export(company, content(company), name="bad.csv")
    summary = company.night()

    assert why in str(summary.source_stopped)
    assert before == state_of(company)
    bad.unlink()
    export(company)
    assert company.night().source_stopped is None
    assert state_of(company) != before


def test_due_deliveries_go_out_although_the_file_is_unsound(company):
    """What is known stays known: a delivery that a platform had put off is sent."""
    sold_at = company.START + timedelta(hours=12)
    company.serve(company.lead(12, ("Gagné", sold_at), amount=None))  # waits for its value
    export(company, at=company.START + DAY)
    company.night()
    waiting = company.states()["L-12", "sale"]
    export(company, half(company), at=company.START + 5 * DAY)
    summary = company.night()

    assert "pending" == waiting
    assert summary.source_stopped is not None
    assert "submitted" == company.states()["L-12", "sale"]


@pytest.mark.exhaustive
def test_older_file_is_refused(company):
    """Leads would seem to return to former statuses, whichever file is newest in the folder."""
    for old in (company.directory / "run" / "exports").iterdir():
        old.unlink()
    content = exports.csv_bytes(exports.leads_of(company))
    exports.put(company.directory / "run" / "exports" / "late.csv", content, company.START - DAY)
    before = state_of(company)
    summary = company.later()

    assert "as of 2026-09-10 03:30 UTC already" in str(summary.source_stopped)
    assert before == state_of(company)


@pytest.mark.exhaustive
def test_older_export_copied_again_is_refused(company):
    """Its time is new, but its newest lead is older than the last file's."""
    old = exports.csv_bytes(exports.leads_of(company))
    company.serve(company.lead(12, ("Gagné", company.START + timedelta(hours=5))))
    export(company, at=company.START + DAY)
    company.night()
    export(company, old, at=company.START + 2 * DAY)
    summary = company.night()

    assert "older export that was copied again" in str(summary.source_stopped)


def test_file_that_grows_while_it_is_read_is_refused(company, monkeypatch):
    """It may be only half written."""
    path = export(company, at=company.START + DAY)
    before = state_of(company)
    lead = LeadColumns.lead_from_row

    def growing(self, cells):
        with path.open("ab") as more:
            more.write(b"L-99;")
        return lead(self, cells)

    monkeypatch.setattr(LeadColumns, "lead_from_row", growing)
    summary = company.night()

    assert summary.source_stopped is not None
    assert before == state_of(company)


def test_late_file_is_told_and_changes_nothing(company):
    """The same file is read again for three days; then a human is told that no new one has come."""
    before = state_of(company)["delivery"]
    for days in (1, 3):
        summary = company.night(company.START + days * DAY)
        assert summary.source_stopped is None
        assert before == state_of(company)["delivery"]
    summary = company.night(company.START + 4 * DAY)

    assert "longer ago than source.max_age" in str(summary.source_stopped)


@pytest.mark.exhaustive
def test_empty_folder_is_told(company):
    """The message says where a file is expected."""
    for old in (company.directory / "run" / "exports").iterdir():
        old.unlink()

    assert "no file matches" in str(company.later().source_stopped)


@pytest.mark.parametrize("content", mostly_exhaustive([half_the_rows, without("agency")], half_the_rows))
def test_human_may_accept_a_smaller_file(company, content):
    """`run --accept-file` reads it once; from then on it is what the next file is compared with."""
    export(company, content(company), at=company.START + DAY)
    refused = type_in(company, "run")
    accepted = type_in(company, "run", "--accept-file")
    export(company, content(company), at=company.START + 2 * DAY)
    again = type_in(company, "run")

    assert (3, True) == (refused.code, "run --accept-file" in refused.out + refused.err)
    assert 3 not in (accepted.code, again.code)


def test_clock_that_jumped_ahead_is_noticed(company):
    """Nothing confirms it: the last reading is long ago, and so is everything in the file."""
    export(company, at=company.START + 40 * DAY)

    with pytest.raises(WrongClock):
        company.night()


def test_pause_of_weeks_is_no_wrong_clock(company):
    """A lead in the new file was created or changed since, by Oplead's own clock."""
    at = company.START + 40 * DAY
    company.serve(company.lead(12, created=at - DAY))
    export(company, at=at)

    assert company.night().source_stopped is None


# ── leads that a file lacks ──────────────────────────────────────────────────────────────────────


def nights_without(company, lead_id, *days, instead=None):
    """Read files that lack a lead, exported this many days after the first night; `instead` has its row otherwise."""
    for day in days:
        company.clock.advance(company.START + day * DAY)
        every = exports.leads_of(company)
        leads = [one for one in every if one["id"] != lead_id]
        leads += [{**one, "id": instead} for one in every if instead and one["id"] == lead_id]
        export(company, exports.csv_bytes(leads))
        assert company.night().source_stopped is None


def test_lead_missing_from_later_files_is_not_deleted(company):
    """An export may cover a period only, so what is open stays open."""
    nights_without(company, "L-11", 1, 2, 3)

    assert "withheld" == company.states()["L-11", "sale"]
    assert [None] == [row.deleted_at for row in company.rows(schema.LeadRow) if row.id == "L-11"]


def test_lead_missing_from_two_whole_files_is_deleted(company):
    """With `source.whole`, as a lead whose page is gone on two nights; the same file twice shows nothing more."""
    company.settings["source"]["whole"] = True
    nights_without(company, "L-11", 1, instead="L-11b")
    once = company.states()["L-11", "sale"]
    company.night(company.START + 1.8 * DAY)
    same_file = company.states()["L-11", "sale"]
    nights_without(company, "L-11", 2, instead="L-11b")

    assert ("withheld", "withheld", "cancelled") == (once, same_file, company.states()["L-11", "sale"])


# ── between the API and files ────────────────────────────────────────────────────────────────────


def test_changing_between_api_and_files_sends_nothing_again(company):
    """The same leads, whichever way they come: file, API, file, API."""
    sent = len(company.sent())
    source = company.settings.pop("source")
    for night, way in enumerate(("api", "file", "api"), start=1):
        company.clock.advance(company.START + night * DAY)
        if way == "file":
            company.settings["source"] = source
            export(company)
        else:
            company.settings.pop("source", None)
        assert company.night().source_stopped is None
    keys = company.sent()

    assert sent == len(keys)
    assert {1} == {len(events) for events in keys.values()}


@pytest.mark.exhaustive
def test_file_from_before_the_last_reading_by_the_api_is_refused(company):
    """The API has shown the leads as they were later."""
    source = company.settings.pop("source")
    company.night(company.START + DAY)
    company.settings["source"] = source
    content = exports.csv_bytes(exports.leads_of(company))
    exports.put(company.directory / "run" / "exports" / "z.csv", content, company.START + DAY - timedelta(hours=1))

    assert "export them again" in str(company.later().source_stopped)


def test_status_without_a_date_is_bounded_by_the_files(company):
    """It lies between the file that did not show it and the one that does, never at an invented time."""
    titles = {place: title for place, title in exports.TITLES.items() if place not in ("statusDate", "updatedAt")}
    company.settings["source"]["columns"] = {title: place for place, title in titles.items()}
    company.serve(company.lead(12))
    for day in (1, 2):
        company.clock.advance(company.START + day * DAY)
        if day == 2:
            company.serve(company.lead(12, ("Gagné", company.START + 1.5 * DAY)))
        export(company, exports.csv_bytes(exports.leads_of(company), titles=titles))
        company.clock.advance(company.clock.now() + timedelta(hours=2))  # the night begins later
        type_in(company, "run", "--accept-file")
    [change] = [row for row in company.rows(schema.StatusChange) if (row.lead, row.label) == ("L-12", "gagne")]

    assert ("bounded", company.START + 1 * DAY, company.START + 2 * DAY) == (change.origin, change.after, change.at)


def test_single_lead_counts_as_seen_when_the_file_was_written(company):
    """`retry` reads leads one by one; a file exported before it, but after the last one, is no older file then."""
    company.clock.advance(company.START + DAY)
    settings = company.read_settings()
    with (
        open_clock(settings) as clock,
        open_connectors(settings, clock) as (book, deps),
        open_locked_ledger(SqliteState(company.state), settings.account, "retry", now=clock.now()) as ledger,
    ):
        run = RunContext(ledger, book, deps)
        open_newest_export(run)
        DetailFetcher(run, PullResult(), until=clock.now() + DAY, started=clock.now(), afresh=True).read(["L-1"])

    assert {company.START} == {row.seen_at for row in company.rows(schema.LeadRow)}


# ── commands ─────────────────────────────────────────────────────────────────────────────────────


def test_other_commands_read_files_too(company):
    """`check --live`, `run --dry-run`, `probe` and `backfill` need no token and no API."""
    del company.environ["OPLEAD_TOKEN"]
    asked = len(company.asked("oplead"))
    checked = type_in(company, "check", "--live")
    rehearsed = type_in(company, "run", "--dry-run")
    surveyed = type_in(company, "probe", "--json")
    filled = type_in(company, "backfill", "--from", "2026-08-01", "--to", "2026-08-20", "--dry-run")
    (found,) = surveyed.objects

    assert (0, 0, 0) == (rehearsed.code, surveyed.code, filled.code)
    assert "Statuses found in the latest 11 leads" in checked.lines
    assert "not looked at" not in checked.lines
    assert "Gagné" in [label["label"] for label in found["survey"]["labels"]]
    assert "source:" in found["settings"]
    assert asked == len(company.asked("oplead"))
