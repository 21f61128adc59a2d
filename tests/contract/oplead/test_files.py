"""A source of exported files: the newest one, sound as a whole, page by page."""

import os
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from connectors.errors import Misconfigured
from connectors.oplead.files import ExportFileOptions, FileSource
from connectors.oplead.options import OpleadOptions
from connectors.ports import ExposesLatestLeads, LeadSource, ReadsExports
from connectors.records import Export, Lead, NotInExport, UnreadableLead
from tests.fakes import FakeClock, finder_of

NOW = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)
TITLES = "ID;Date de création;Dernière modification;Statut;Identifiant externe"


class Folder:
    """A folder of exports, and a source that reads it."""

    def __init__(self, path):
        self.path = path
        self.clock = FakeClock(NOW)
        self.sources = ExitStack()

    def put(self, *rows, name="leads.csv", at=NOW - timedelta(hours=6), titles=TITLES, end="\n"):
        """Export rows."""
        file = self.path / name
        file.write_text("\n".join([titles, *rows]) + end, encoding="utf-8")
        os.utime(file, (at.timestamp(), at.timestamp()))
        return file

    def source(self, **files):
        """A new source."""
        options = ExportFileOptions("csv", f"{self.path}/*.csv", **files)
        source = FileSource(OpleadOptions(token="", zone=ZoneInfo("Europe/Paris")), options, self.clock)
        return self.sources.enter_context(closing(source))


def row(number, status="Nouveau", day=1):
    """A lead's row."""
    return f"L-{number};2026-08-01 09:00:00;2026-09-{day:02} 09:00:00;{status};gclid=Cj0KCQjw-{number}"


@pytest.fixture
def folder(tmp_path):
    """An empty folder."""
    made = Folder(tmp_path)
    with made.sources:
        yield made


def pages(source, resume=None, known=()):
    """Every page of a source."""
    return list(source.fetch_changes(None, resume=resume, find_known=finder_of(known)))


def opened(folder, last=None, *, read_until=None, accept=False, **files):
    """What is read now, compared with the last file."""
    return folder.source(**files).open_newest_export(last, read_until=read_until, accept=accept)


def refusal(folder, *args, **more):
    """Why the newest file is refused."""
    with pytest.raises(Misconfigured) as refused:
        opened(folder, *args, **more)
    return str(refused.value)


def test_keeps_every_promise_of_its_ports(folder):
    """A night reads leads, opens a file, and `check --live` looks at the latest."""
    source: LeadSource = folder.source()

    assert isinstance(source, ReadsExports)
    assert isinstance(source, ExposesLatestLeads)


def test_newest_file_of_the_folder_is_read(folder):
    """By the time it was written, whatever its name; a spreadsheet's lock file is none."""
    folder.put(row(1), name="z.csv", at=NOW - timedelta(days=2))
    folder.put(row(2), row(3), name="a.csv", at=NOW - timedelta(hours=5))
    folder.put(row(4), name="~$a.csv", at=NOW)
    export = opened(folder)

    assert (2, NOW - timedelta(hours=5)) == (export.rows, export.exported_at)
    assert datetime(2026, 9, 1, 7, tzinfo=UTC) == export.newest


@pytest.fixture
def small_pages(monkeypatch):
    """Pages of fifty rows."""
    monkeypatch.setattr("connectors.oplead.files.source.PAGE", 50)


@pytest.mark.usefixtures("small_pages")
def test_pages_tell_the_time_of_the_export(folder):
    """What a file says was so when it was written, not when it is read."""
    folder.put(*(row(number) for number in range(120)))
    read = pages(folder.source())

    assert [50, 50, 20] == [len(page.leads) for page in read]
    assert {NOW - timedelta(hours=6)} == {page.served_at for page in read}
    assert [False, False, True] == [page.resume is None for page in read]


@pytest.mark.usefixtures("small_pages")
def test_another_file_starts_an_interrupted_reading_over(folder):
    """Its rows are other ones."""
    folder.put(*(row(number) for number in range(60)))
    first, _ = pages(folder.source())
    folder.put(*(row(number, "Gagné") for number in range(60)), name="new.csv", at=NOW)

    assert 60 == sum(len(page.leads) for page in pages(folder.source(), first.resume))


def test_repeated_row_counts_once(folder):
    """It says the same of the same lead."""
    folder.put(row(1), row(2), row(1))
    source = folder.source()
    [page] = pages(source)

    assert ["L-1", "L-2"] == [lead.id for lead in page.leads]
    assert 2 == source.open_newest_export(None, read_until=None, accept=False).rows


def test_lead_with_a_damaged_id_is_unreadable(folder):
    """The message names its row, not the id, and the others are read."""
    folder.put(row(1), "1,23E+11;2026-08-01;;Gagné;", ";2026-08-01;;Gagné;")
    [page] = pages(folder.source())
    damaged, missing = page.unreadable

    assert ["L-1"] == [lead.id for lead in page.leads]
    assert damaged.reason.startswith("row 3: its id was rounded")
    assert missing.reason.startswith("row 4: no id")


def test_last_value_of_a_first_file_without_a_line_end_may_be_cut(folder):
    """`…;125` may be the beginning of 12500; what is read of it later counts once another file bears it out."""
    folder.put(row(1), row(2), end="", at=NOW - timedelta(hours=7))
    source = folder.source(whole=True)
    first = source.open_newest_export(None, read_until=None, accept=False)
    [page] = pages(source)
    again = source.open_newest_export(first, read_until=first.exported_at, accept=False)
    [reread] = pages(source)
    alone = list(source.fetch_each(["L-1", "L-2"]))
    folder.put(row(1), row(2), end="", name="new.csv")
    source.open_newest_export(again, read_until=again.exported_at, accept=False)
    [second] = pages(source)

    assert ["L-1"] == [lead.id for lead in page.leads] == [lead.id for lead in reread.leads]
    assert [None] == [one.id for one in page.unreadable]
    assert page.unreadable[0].reason.startswith("row 3: it is the last one, and the file ends without a line end")
    assert [("L-1", page.leads[0]), ("L-2", NotInExport())] == alone
    assert ["L-1", "L-2"] == [lead.id for lead in second.leads]


def test_last_value_of_a_smaller_file_without_a_line_end_may_be_cut(folder):
    """As few as one lead less: an export that stopped early looks like this."""
    folder.put(*map(row, range(4)), end="", at=NOW - timedelta(hours=7))
    last = opened(folder)
    folder.put(*map(row, range(3)), end="", name="new.csv")
    source = folder.source()
    source.open_newest_export(last, read_until=last.exported_at, accept=False)
    [page] = pages(source)

    assert ["L-0", "L-1"] == [lead.id for lead in page.leads]
    assert 1 == len(page.unreadable)


def test_row_that_was_read_whole_before_is_not_doubted_when_its_file_is_read_again(folder):
    """Every export of some tools ends so."""
    folder.put(row(1), row(2), end="")
    source = folder.source()
    before = Export(NOW - timedelta(days=1), "0", 2, tuple(TITLES.split(";")), None, ends_line=False)
    source.open_newest_export(before, read_until=None, accept=False)
    [page] = pages(source)
    known = [(lead.id, lead.digest) for lead in page.leads]
    export = source.open_newest_export(None, read_until=None, accept=False)
    source.open_newest_export(export, read_until=None, accept=False)
    [again] = pages(source, known=known)

    assert ("L-1", "L-2") == again.unchanged
    assert () == again.unreadable


def test_single_leads_come_in_the_order_asked_for(folder):
    """Each equals the one in the list, and what the file lacks is not called deleted."""
    folder.put(*(row(number) for number in range(5)))
    source = folder.source()
    listed = {lead.id: lead for page in pages(source) for lead in page.leads}
    found = list(source.fetch_each(["L-4", "L-99", "L-0"]))

    assert [("L-4", listed["L-4"]), ("L-99", NotInExport()), ("L-0", listed["L-0"])] == found


def test_only_a_new_whole_file_shows_that_a_lead_is_gone(folder):
    """Neither the first file, which nothing vouches for, nor the last one when it is read again."""
    folder.put(row(1), at=NOW - timedelta(hours=7))
    source = folder.source(whole=True)
    first = source.open_newest_export(None, read_until=None, accept=False)
    by_first = list(source.fetch_each(["L-99"]))
    folder.put(row(2), name="new.csv")
    second = source.open_newest_export(first, read_until=first.exported_at, accept=False)
    by_second = list(source.fetch_each(["L-99"]))
    source.open_newest_export(second, read_until=second.exported_at, accept=False)

    assert [("L-99", NotInExport())] == by_first
    assert [("L-99", None)] == by_second
    assert [("L-99", NotInExport())] == list(source.fetch_each(["L-99"]))


@pytest.mark.parametrize("accept", [False, True])
def test_file_with_fewer_leads_shows_no_deletion(folder, accept):
    """It may be a part of one, even if a human lets it be read."""
    folder.put(row(1), row(2), at=NOW - timedelta(hours=7))
    source = folder.source(whole=True)
    last = source.open_newest_export(None, read_until=None, accept=False)
    folder.put(row(2), name="new.csv")
    source.open_newest_export(last, read_until=last.exported_at, accept=accept)

    assert [("L-1", NotInExport())] == list(source.fetch_each(["L-1"]))


@pytest.mark.parametrize("unusable", ["", "1,23E+11"])
def test_row_without_a_usable_id_may_be_any_lead(folder, unusable):
    """So no lead is gone, although files have every lead."""
    folder.put(row(1), row(2), at=NOW - timedelta(hours=7))
    source = folder.source(whole=True)
    last = source.open_newest_export(None, read_until=None, accept=False)
    folder.put(row(2), f"{unusable};2026-08-01;;Gagné;", name="new.csv")
    source.open_newest_export(last, read_until=last.exported_at, accept=False)

    assert [("L-1", NotInExport())] == list(source.fetch_each(["L-1"]))


def test_latest_leads_are_those_created_last(folder):
    """In a file of any order."""
    days = [3, 28, 7, 15]
    folder.put(*(f"L-{day};2026-08-{day:02};;Nouveau;" for day in days), "L-x;yesterday;;Nouveau;")
    source = folder.source()
    latest = source.fetch_latest(2)

    assert ["L-28", "L-15"] == [lead.id for lead in latest if isinstance(lead, Lead)]
    assert not any(isinstance(lead, UnreadableLead) for lead in latest)
    assert ("Nouveau", 2) == (source.seen.labels[0], source.seen.leads)


@pytest.mark.usefixtures("small_pages")
def test_file_that_changes_after_it_was_checked_is_not_read_on(folder):
    """Neither its pages nor single leads."""
    file = folder.put(*(row(number) for number in range(60)))
    source = folder.source()
    reading = source.fetch_changes(None, resume=None, find_known=lambda _: ())
    next(reading)
    with file.open("a", encoding="utf-8") as more:
        more.write(row(61))

    with pytest.raises(Misconfigured, match="changed while it was read"):
        next(reading)
    with pytest.raises(Misconfigured, match="changed while it was read"):
        list(source.fetch_each(["L-1"]))


def test_same_file_may_be_read_again(folder):
    """A night that was broken off, or one before the next export."""
    folder.put(*(row(number) for number in range(10)))
    export = opened(folder)

    assert export == opened(folder, export, read_until=export.exported_at)


COMPARED = {
    "fewer rows": ({"count": 5}, "has 5 leads and the last file had 10"),
    "a lost column": ({"titles": TITLES.replace("Dernière modification", "Autre")}, '"Dernière modification", which'),
    "no last line end": ({"end": ""}, "its last line does not end"),
    "older leads": ({"day": 1}, "an older export that was copied again"),
}


@pytest.mark.parametrize("how", [*COMPARED])
def test_smaller_file_than_the_last_needs_a_human(folder, how):
    """What it lacks is named, and a human may accept it."""
    more, why = COMPARED[how]
    folder.put(*(row(number, day=2) for number in range(10)))
    last = opened(folder)
    rows = [row(number, day=more.get("day", 2)) for number in range(more.get("count", 10))]
    folder.put(*rows, name="new.csv", at=NOW, **{key: more[key] for key in ("titles", "end") if key in more})
    told = refusal(folder, last)

    assert why in told
    assert "--accept-file" in told
    assert NOW == opened(folder, last, accept=True).exported_at


def test_few_leads_less_are_no_part_of_a_file(folder):
    """Leads are deleted and merged; a small export may well have four fewer."""
    folder.put(*(row(number) for number in range(10)))
    last = opened(folder)
    folder.put(*(row(number) for number in range(6)), name="new.csv", at=NOW)

    assert 6 == opened(folder, last).rows


@pytest.mark.parametrize("before", [{"last": True}, {"read_until": NOW - timedelta(hours=6)}])
def test_older_file_is_refused_even_if_accepted(folder, before):
    """Whether leads were read from a file or by the API before."""
    folder.put(row(1))
    last = opened(folder) if "last" in before else None
    for file in folder.path.iterdir():
        file.unlink()
    folder.put(row(1), row(2), name="old.csv", at=NOW - timedelta(hours=7))

    assert "export them again" in refusal(folder, last, read_until=before.get("read_until"), accept=True)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (NOW - timedelta(days=3, hours=1), "longer ago than source.max_age"),
        (NOW + timedelta(minutes=6), "the clocks of both machines"),
    ],
)
def test_file_of_an_impossible_age_is_refused(folder, written, why):
    """Late ones bring no news, and one from the future would hide every later one."""
    folder.put(row(1), at=written)

    assert why in refusal(folder)


def test_file_written_a_moment_ahead_counts_as_of_now(folder):
    """Another machine's clock may be a little fast."""
    folder.put(row(1), at=NOW + timedelta(minutes=4))

    assert NOW == opened(folder).exported_at


def test_folder_without_a_file_is_refused(folder):
    """The message says where one is expected."""
    assert "no file matches" in refusal(folder)


def test_too_large_a_file_is_refused_unread(folder):
    """The message names the setting."""
    folder.put(*(row(number) for number in range(30_000)))

    assert "source.largest_mb" in refusal(folder, largest_mb=1)
