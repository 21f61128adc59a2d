"""The contract of every `LeadSource`, checked on the fake, on exported files, and on Oplead over the wire."""

import inspect
import os
import traceback
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from connectors.errors import Misconfigured, Transient
from connectors.oplead.client import OpleadClient
from connectors.oplead.files import ExportFileOptions, FileSource
from connectors.oplead.options import OpleadOptions, PaginationOptions, SinceQueryParameters
from connectors.oplead.source import OpleadSource
from connectors.ports import LeadSource
from connectors.rate_limit import Pacer
from connectors.records import Export, UnreadableLead
from connectors.sandbox.oplead.server import ADMIN_KEY, OpleadPlatform
from connectors.sandbox.platform import FaultKind, Faults, PlannedFault
from connectors.sandbox.server import Server
from tests import builders
from tests.fakes import FakeClock, FakeSource, finder_of

NOW = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)
PAGE = 100
LIST, OWN_PAGE = "/v1/leads", "/v1/leads/"
OPLEAD = {
    "oplead by next_url": ({"pagination": "next_url"}, PaginationOptions()),
    "oplead by cursor": ({"pagination": "cursor"}, PaginationOptions()),
    "oplead by page": ({"pagination": "page"}, PaginationOptions(style="page")),
}
"""How the sandbox's Oplead paginates, and the matching options of its reader."""


def wall_clock(moment):
    """A time in Oplead's format."""
    return moment.astimezone(ZoneInfo("Europe/Paris")).strftime("%Y-%m-%d %H:%M:%S")


class Real:
    """A simulated Oplead on a socket, and its source."""

    can_filter = may_be_empty = True
    fails_with = (Misconfigured, Transient)

    def __init__(self, switches, pagination):
        self._clock = FakeClock(NOW)
        self._faults = Faults()
        self._platform = OpleadPlatform(self._clock.now)
        for name, position in {**switches, "list_has_details": False}.items():
            self._platform.set_switch(name, position)
        self.server = Server("oplead", self._platform.handle, self._faults, self._clock.now)
        self._pagination = pagination
        self.open()

    def open(self, **more):
        """Switch to a new source."""
        self.options = OpleadOptions(
            **{
                "token": ADMIN_KEY,
                "zone": ZoneInfo("Europe/Paris"),
                "base_url": self.server.url,
                "pagination": self._pagination,
                **more,
            }
        )
        self.close()
        client = OpleadClient(
            self.options,
            clock=self._clock,
            pacer=Pacer(self._clock, 90),
            timeout=httpx.Timeout(5.0),
            jitter=lambda: 1.0,
        )
        self.source = OpleadSource(client)

    def close(self):
        """Close its connections."""
        if hasattr(self, "source"):
            self.source.close()

    def put(self, name, *, created_at=NOW - timedelta(days=30), updated_at=NOW - timedelta(days=2)):
        """Serve a lead from now on."""
        lead = {
            "id": name,
            "createdAt": wall_clock(created_at),
            "updatedAt": wall_clock(updated_at),
            "status": "Nouveau",
            "leadData": {"externalID": f"gclid=Cj0KCQjw-{name}"},
        }
        self._platform.put(name, lead)

    def spoil(self, name):
        """Serve an entry under this id that is not a lead."""
        self._platform.put(name, {"id": name, "createdAt": "yesterday, invented@example.com"})

    def delete(self, name):
        """Delete a lead."""
        self._platform.delete_lead(name)

    def filter_changes(self):
        """Apply the filter by change from now on."""
        self._platform.set_switch("filters", True)
        self.open(since_filter=SinceQueryParameters("updated_since"))

    def fail(self, error, *, after):
        """Make the list fail after `after` pages, until `mend`."""
        status = 401 if error is Misconfigured else 503
        self._faults.plant(PlannedFault("oplead", FaultKind.STATUS, count=99, after=after, path=LIST, status=status))

    def mend(self):
        """Make everything work again."""
        self._faults.clear()

    @property
    def read_whole(self):
        """The leads with a detail fetch."""
        asked = [entry["path"] for entry in self.server.log.dump()["log"]]
        return [path.removeprefix(OWN_PAGE) for path in asked if path.startswith(OWN_PAGE)]

    @property
    def methods(self):
        """The HTTP methods used so far."""
        return {entry["method"] for entry in self.server.log.dump()["log"]}


class Files:
    """A folder with one exported file, and its source."""

    methods = frozenset({"GET"})  # it sends no requests
    can_filter = may_be_empty = False
    fails_with = (Misconfigured,)

    def __init__(self, folder):
        self._file = folder / "leads.csv"
        self._rows = {}
        self._read = []
        self.open()

    def open(self):
        """Switch to a new source."""
        self.close()
        self.options = OpleadOptions(token=ADMIN_KEY, zone=ZoneInfo("Europe/Paris"))
        files = ExportFileOptions("csv", str(self._file), whole=True)
        self.source = FileSource(self.options, files, FakeClock(NOW))
        parse = self.source._parser.parse
        self.source._parser.parse = lambda item, name, digest: self._read.append(name) or parse(item, name, digest)

    def close(self):
        """Forget what it has read."""
        if hasattr(self, "source"):
            self.source.close()

    def put(self, name, *, created_at=NOW - timedelta(days=30), updated_at=NOW - timedelta(days=2)):
        """Export a lead from now on."""
        self._rows[name] = (wall_clock(created_at), wall_clock(updated_at), f"gclid=Cj0KCQjw-{name}")
        self._write()

    def spoil(self, name):
        """Export a row under this id that is not a lead."""
        self._rows[name] = ("yesterday, invented@example.com", "", "")
        self._write()

    def delete(self, name):
        """Export a lead no longer, after a file that had no more leads."""
        del self._rows[name]
        self._write()
        last = Export(NOW - timedelta(days=1), "", len(self._rows), (), None, ends_line=True)
        self.source.open_newest_export(last, read_until=None, accept=False)

    def _write(self):
        lines = [
            f'{name};"{created}";{updated};Nouveau;{click}' for name, (created, updated, click) in self._rows.items()
        ]
        self._file.write_text("\n".join(["id;createdAt;updatedAt;status;leadData.externalID", *lines, ""]))
        self._stamp()
        self.open()

    def _stamp(self, second=0):
        os.utime(self._file, (NOW.timestamp() - second, NOW.timestamp() - second))

    def fail(self, error, *, after):  # noqa: ARG002 - the only one there is
        """Have somebody write to the file once `after` pages were read, until `mend`."""
        fetch = self.source.fetch_changes

        def fetched(*args, **more):
            for number, one in enumerate(fetch(*args, **more), start=1):
                if number == after:
                    self._stamp(second=1)
                yield one

        self.source.fetch_changes = fetched

    def mend(self):
        """Have the file be as it was."""
        self._stamp()
        self.open()

    @property
    def read_whole(self):
        """The leads whose rows were read as leads."""
        return self._read


class Fake:
    """The source that the tests of the jobs use."""

    methods = frozenset({"GET"})  # it sends no requests
    options = None
    can_filter = may_be_empty = True
    fails_with = (Misconfigured, Transient)

    def __init__(self):
        self.source = FakeSource(page=PAGE, clock=FakeClock(NOW))

    def put(self, name, *, created_at=NOW - timedelta(days=30), updated_at=NOW - timedelta(days=2)):
        """Serve a lead from now on."""
        self.source.put(builders.lead(name, created_at=created_at, updated_at=updated_at))

    def spoil(self, name):
        """Serve an entry under this id that is not a lead."""
        self.source.unreadable = (UnreadableLead(name, "its creation time cannot be read"),)

    def delete(self, name):
        """Delete a lead."""
        del self.source.leads[name]

    def filter_changes(self):
        """Apply the filter by change from now on."""
        self.source.filters = True

    def fail(self, error, *, after):
        """Make the list fail after `after` pages."""
        self.source.fails[after] = error("invented")

    def mend(self):
        """Make everything work again."""
        self.source.fails.clear()

    @property
    def read_whole(self):
        """The leads with a detail fetch."""
        return self.source.read_whole


@pytest.fixture(params=[*OPLEAD, "files", "fake"])
def played(request, tmp_path, monkeypatch):
    """One source and the platform it reads from."""
    if request.param == "files":
        monkeypatch.setattr("connectors.oplead.files.source.PAGE", PAGE)
        with closing(Files(tmp_path)) as played:
            yield played
        return
    if request.param == "fake":
        yield Fake()
        return
    played = Real(*OPLEAD[request.param])
    with played.server:
        yield played
        played.close()


def pages(played, since=None, *, resume=None, known=()):
    """Read every page, treating leads with these (id, digest) pairs as known."""
    return list(played.source.fetch_changes(since, resume=resume, find_known=finder_of(known)))


def ids(read):
    """The lead ids of the pages, in order."""
    return [lead.id for page in read for lead in page.leads]


def fill(played, count):
    """Serve that many leads and return their ids in order."""
    names = [f"L-{number:04d}" for number in range(count)]
    for name in names:
        played.put(name)
    return names


@pytest.mark.parametrize("method", ["fetch_changes", "fetch_each"])
def test_signatures_match_the_port(played, method):
    """Parameters have the same names, kinds and order."""
    promised = inspect.signature(getattr(LeadSource, method)).parameters.values()
    given = inspect.signature(getattr(type(played.source), method)).parameters.values()

    assert [(each.name, each.kind) for each in promised] == [(each.name, each.kind) for each in given]


@pytest.mark.parametrize("count", [0, 1, PAGE, 2 * PAGE, 2 * PAGE + 1])
def test_returns_every_lead_once_and_in_order(played, count):
    """Only the last page lacks a resume token; each states when it was served."""
    if count == 0 and not played.may_be_empty:
        pytest.skip("a file without leads is refused, as damaged")
    names = fill(played, count)
    read = pages(played)

    assert names == ids(read)
    assert [False] * (len(read) - 1) + [True] == [page.resume is None for page in read]
    assert all(page.served_at and page.served_at.tzinfo for page in read if page.leads)


def test_resuming_after_any_page_returns_the_rest_once(played):
    """An interrupted pull continues where it stopped."""
    fill(played, 2 * PAGE + 1)
    read = pages(played)
    resumes = [page.resume for page in read[:-1]]

    assert len(resumes) >= 2
    assert [ids(read[place:]) for place in range(1, len(read))] == [
        ids(pages(played, resume=resume)) for resume in resumes
    ]


def test_skips_the_detail_fetch_of_known_leads(played):
    """They are listed as unchanged; a lead that changed is read again."""
    fill(played, 4)
    [page] = [page for page in pages(played) if page.leads]
    known = {(lead.id, lead.digest) for lead in page.leads[:3]}
    played.put("L-0001", updated_at=NOW - timedelta(days=1))
    before = len(played.read_whole)
    [again] = [page for page in pages(played, known=known) if page.leads or page.unchanged]

    assert ("L-0000", "L-0002") == again.unchanged
    assert ["L-0001", "L-0003"] == ids([again]) == sorted(played.read_whole[before:])


def test_digest_changes_only_when_the_lead_changes(played):
    """The caller can detect a change before any detail fetch."""
    fill(played, 2)
    before = {lead.id: lead.digest for page in pages(played) for lead in page.leads}
    played.put("L-0001", updated_at=NOW - timedelta(days=1))
    after = {lead.id: lead.digest for page in pages(played) for lead in page.leads}

    assert before["L-0000"] == after["L-0000"]
    assert before["L-0001"] != after["L-0001"]


def test_unreadable_lead_is_reported_without_stopping_the_pull(played):
    """It has its id and a reason that quotes none of its data."""
    names = fill(played, 3)
    played.spoil("L-0001x")
    read = pages(played)
    [told] = [each for page in read for each in page.unreadable]

    assert names == ids(read)
    assert "L-0001x" == told.id
    assert told.reason
    assert "invented@example.com" not in told.reason


def test_since_omits_no_changed_lead(played):
    """More leads may come, never fewer."""
    for filtered in (False, True) if played.can_filter else (False,):
        if filtered:
            played.filter_changes()
        played.put("L-old", updated_at=NOW - timedelta(days=20))
        played.put("L-at", updated_at=NOW - timedelta(days=3))
        played.put("L-new", updated_at=NOW - timedelta(days=1))
        read = ids(pages(played, NOW - timedelta(days=3)))

        assert {"L-at", "L-new"} <= set(read)
        assert filtered is ("L-old" not in read)


def test_fetches_one_lead_by_its_id(played):
    """It equals the lead in the list."""
    fill(played, 2)
    listed = {lead.id: lead for page in pages(played) for lead in page.leads}
    ((_, alone),) = played.source.fetch_each(["L-0001"])

    assert replace(listed["L-0001"], digest="") == replace(alone, digest="")


def test_missing_or_deleted_lead_is_none(played):
    """The platform answers 404 for the first and 410 for the second."""
    fill(played, 2)
    played.delete("L-0001")

    assert [("L-9999", None), ("L-0001", None)] == list(played.source.fetch_each(["L-9999", "L-0001"]))
    assert ["L-0000"] == ids(pages(played))


@pytest.mark.parametrize("error", [Misconfigured, Transient])
def test_failed_pull_can_be_resumed(played, error):
    """Pages come until the failure, then our own error, and the rest on resuming."""
    if error not in played.fails_with:
        pytest.skip("a file that cannot be read needs a human")
    names = fill(played, 2 * PAGE + 1)
    known = {(lead.id, lead.digest) for page in pages(played) for lead in page.leads}
    played.fail(error, after=1)
    walk = played.source.fetch_changes(None, resume=None, find_known=finder_of(known))
    first = next(walk)
    with pytest.raises(error) as failed:
        next(walk)
    played.mend()
    rest = pages(played, resume=first.resume, known=known)

    assert names == [name for page in (first, *rest) for name in page.unchanged]
    assert ADMIN_KEY not in "".join(traceback.format_exception(failed.value))


def test_repr_hides_the_token(played):
    """Neither the source nor its options show it."""
    assert ADMIN_KEY not in repr((played.source, played.options))


def test_sends_only_get_requests(played):
    """A source never changes the platform."""
    fill(played, 2)
    pages(played)
    list(played.source.fetch_each(["L-0001"]))

    assert {"GET"} == played.methods


def test_fetch_latest_returns_as_many_leads_as_requested(played):
    """They are the most recently created, newest first; there are fewer where the list has no more."""
    days = {"L-b": 5, "L-e": 1, "L-a": 3, "L-d": 4, "L-c": 2}
    for name, age in days.items():
        played.put(name, created_at=NOW - timedelta(days=age))

    assert ["L-e", "L-c", "L-a"] == [lead.id for lead in played.source.fetch_latest(3)]
    assert sorted(days, key=days.get) == [lead.id for lead in played.source.fetch_latest(99)]
