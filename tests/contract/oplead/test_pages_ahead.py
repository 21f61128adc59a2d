"""List pages requested ahead, over real sockets: in order, within bounds, and only where they have numbers."""

import threading
import time
from contextlib import closing
from datetime import timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from connectors.errors import Misconfigured, Transient
from connectors.oplead.client import OpleadClient
from connectors.oplead.options import OpleadOptions, PaginationOptions
from connectors.oplead.source import OpleadSource
from connectors.rate_limit import Pacer
from connectors.records import LeadId
from connectors.sandbox.clock import VirtualClock
from connectors.sandbox.platform import Faults
from connectors.sandbox.server import Server, json_response
from connectors.sandbox_clock import SandboxClock
from tests.contract.oplead.test_at_once import START, threads, worst

BY_PAGE = PaginationOptions(style="page")
BEYOND = 3
"""Requests in vain that a list may cost at its end: one less than the four in flight."""


class Overlap:
    """Holds back every request but the first, for a moment or until so many are in flight, and records the peak."""

    def __init__(self, expected):
        self.expected, self.inside, self.most, self.is_first = expected, 0, 0, True
        self.changed = threading.Condition()

    def hold(self):
        """Hold one request."""
        with self.changed:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.changed.notify_all()
            if not self.is_first:
                seconds = 0.15 if self.expected > 1 else 0.03
                self.changed.wait_for(lambda: self.most >= self.expected > 1, timeout=seconds)
            self.is_first = False
            self.inside -= 1


@pytest.fixture
def overlap(platform):
    """Watch how many requests are in flight."""

    def make(expected=1):
        watched, reply = Overlap(expected), platform.reply

        def held(target):
            watched.hold()
            return reply(target)

        platform.reply = held
        return watched

    return make


@pytest.fixture
def listed(platform, lead, overlap):
    """Serve pages of two leads each, then empty ones."""

    def make(pages, *, total=None, expected=1, past=40):
        watched = overlap(expected)
        around = {} if total is None else {"total": total}
        for page in range(1, pages + past):
            leads = [lead(2 * page), lead(2 * page + 1)] if page <= pages else []
            platform.serve(f"/v1/leads?page={page}", {"data": leads, **around})
        return watched

    return make


def address(*pages):
    """The addresses of pages by their numbers."""
    return [f"/v1/leads?page={page}" for page in pages]


def reading(source, resume=None):
    """Read the list page by page."""
    return source.fetch_changes(None, resume=resume, find_known=lambda _listed: ())


def ids(pages):
    """The ids of the leads on each page."""
    return [[lead.id for lead in page.leads] for page in pages]


def numbered(*pages):
    """The ids on pages of two leads."""
    return [[f"L-{2 * page}", f"L-{2 * page + 1}"] for page in pages]


@pytest.mark.parametrize("in_flight", [1, 2, 4])
def test_pages_are_requested_ahead_up_to_the_limit_and_handed_on_in_order(platform, open_source, listed, in_flight):
    """Every page is requested once."""
    watched = listed(12, total=24, expected=in_flight)
    pages = list(reading(open_source(in_flight=in_flight, pagination=BY_PAGE)))

    assert [*numbered(*range(1, 13)), []] == ids(pages)
    assert [*(f"page:{page}" for page in range(2, 14)), None] == [page.resume for page in pages]
    assert in_flight == watched.most
    assert sorted(address(*range(1, 14))) == sorted(platform.asked)
    assert [] == threads()


@pytest.mark.parametrize("pages", [1, 2, 4, 5, 9])
def test_stated_total_leaves_no_request_in_vain(platform, open_source, listed, pages):
    """Only the page after the last is requested, as a total may count fewer leads than the list holds."""
    listed(pages, total=2 * pages)

    assert [*numbered(*range(1, pages + 1)), []] == ids(reading(open_source(pagination=BY_PAGE)))
    assert sorted(address(*range(1, pages + 2))) == sorted(platform.asked)


@pytest.mark.parametrize("is_refused", [False, True])
@pytest.mark.parametrize("pages", [1, 4, 9])
def test_list_without_a_total_costs_few_requests_beyond_its_end(platform, open_source, listed, pages, is_refused):
    """Whether the platform answers with empty pages there or refuses them."""
    listed(pages, past=1 if is_refused else 40)

    assert [*numbered(*range(1, pages + 1)), []] == ids(reading(open_source(pagination=BY_PAGE)))
    assert {*address(*range(1, pages + 2))} <= {*platform.asked} <= {*address(*range(1, pages + 2 + BEYOND))}
    assert len({*platform.asked}) == len(platform.asked)


@pytest.mark.parametrize("stated", [2, 3])
def test_total_that_states_less_than_was_listed_counts_as_none(open_source, listed, stated):
    """Some platforms state the size of the page; they are read ahead all the same."""
    watched = listed(9, total=stated, expected=4)

    assert [*numbered(*range(1, 10)), []] == ids(reading(open_source(pagination=BY_PAGE)))
    assert 4 == watched.most


@pytest.mark.parametrize(("size", "expected"), [(None, 4), (2, 4), (50, 1)])
def test_short_first_page_without_a_total_is_taken_for_the_last(
    platform, open_source, lead, overlap, *, size, expected
):
    """An account with few leads costs no request in vain."""
    watched = overlap(expected)
    sized = f"limit={size}&" if size else ""
    platform.serve(f"/v1/leads?{sized}page=1", [lead(1), lead(2)])
    for page in range(2, 6):
        platform.serve(f"/v1/leads?{sized}page={page}", [])
    options = PaginationOptions(style="page", size_param="limit", size=size)

    assert [["L-1", "L-2"], []] == ids(reading(open_source(pagination=options)))
    assert expected == watched.most
    assert (2 if expected == 1 else 5) == len(platform.asked)


def test_pages_capped_below_the_size_asked_for_are_read_ahead(platform, open_source, lead, overlap):
    """Two equally long pages show that a page that is shorter than asked for is not the last."""
    watched = overlap(4)
    for page in range(1, 20):
        platform.serve(f"/v1/leads?limit=50&page={page}", [lead(page)] if page < 9 else [])

    pages = reading(open_source(pagination=PaginationOptions(style="page", size_param="limit", size=50)))
    assert [*([f"L-{page}"] for page in range(1, 9)), []] == ids(pages)
    assert 4 == watched.most


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"status": 502}, Transient),
        ({"status": 503, "headers": {"Retry-After": "900"}}, Transient),
        ({"status": 400}, Misconfigured),
        ({"status": 401}, Misconfigured),
        ({"body": {"data": "none"}}, Misconfigured),
    ],
)
def test_failure_of_a_page_keeps_the_pages_before_it(platform, open_source, listed, lead, *, reply, answer, error):
    """They are handed on although the failure came first, and the next reading goes on at the failed page."""
    listed(9, total=18)
    platform.serve("/v1/leads?page=3", reply({"data": [lead(6)], "total": 18}, seconds=0.1))
    platform.serve("/v1/leads?page=4", reply(**answer))
    pages = []
    with pytest.raises(error):
        pages.extend(reading(open_source(pagination=BY_PAGE)))

    assert [*numbered(1, 2), ["L-6"]] == ids(pages)
    assert "page:4" == pages[-1].resume
    assert [] == threads()
    assert {*platform.asked} <= {*address(*range(1, 8))}

    platform.serve("/v1/leads?page=4", {"data": [lead(8)], "total": 18})

    assert [["L-8"], *numbered(*range(5, 10)), []] == ids(reading(open_source(pagination=BY_PAGE), "page:4"))


def test_page_that_fails_once_is_requested_again(platform, open_source, listed, reply, *, lead, clock):
    """So are pages requested before the retry, and no others."""
    listed(9, total=18)
    platform.serve("/v1/leads?page=4", reply(status=502), {"data": [lead(8), lead(9)], "total": 18})

    assert [*numbered(*range(1, 10)), []] == ids(reading(open_source(pagination=BY_PAGE)))
    twice = [target for target in platform.asked if platform.asked.count(target) > 1]
    assert set(address(4)) <= set(twice) <= set(address(4, 5, 6, 7))
    assert sorted([*address(*range(1, 11)), *set(twice)]) == sorted(platform.asked)
    assert [1.0] == clock.slept


def test_list_that_grows_before_a_page_is_retried_hides_no_lead(platform, open_source, lead, reply):
    """A new lead moves the others down: pages requested before it came would lack the lead that moved onto them."""

    def shown(target):
        platform.asked.append(target)
        page, tries = int(target.rpartition("=")[2]), platform.asked.count("/v1/leads?page=3")
        if page == 3 and tries == 1:
            return reply(status=502, seconds=0.15)
        leads = [lead(number) for number in range(0 if tries > 1 else 1, 13)]
        return reply({"data": leads[2 * page - 2 : 2 * page], "total": len(leads)})

    platform.reply = shown
    pages = list(reading(open_source(pagination=BY_PAGE)))

    assert [["L-1", "L-2"], ["L-3", "L-4"], ["L-4", "L-5"], ["L-6", "L-7"]] == ids(pages)[:4]
    assert {f"L-{number}" for number in range(1, 13)} == {lead_id for page in ids(pages) for lead_id in page}
    assert 2 == platform.asked.count("/v1/leads?page=4")


@pytest.mark.parametrize(
    "options",
    [
        {"pagination": PaginationOptions(style="offset")},
        {"pagination": PaginationOptions(style="cursor")},
        {"pagination": PaginationOptions(style="auto")},
        {"pagination": PaginationOptions(style="last_id")},
        {"pagination": BY_PAGE, "max_requests": 50},
    ],
    ids=["offset", "cursor", "next", "last_id", "limited"],
)
def test_pages_without_numbers_or_with_a_limit_of_requests_come_one_at_a_time(
    platform, open_source, lead, overlap, options
):
    """The next address is only known from the page before it, or must not be asked for in vain."""
    watched = overlap()
    ends = {"data": [], "next": None, "nextCursor": None}
    first = {"data": [lead(1), lead(2)], "total": 4}
    second = {"data": [lead(3), lead(4)], "total": 4, "nextCursor": None}
    platform.serve("/v1/leads", first | {"nextCursor": "b"})
    platform.serve("/v1/leads?cursor=b", second)
    for query in ("cursor=L-2", "offset=2", "page=2"):
        platform.serve(f"/v1/leads?{query}", second)
    for query in ("offset=0", "page=1"):
        platform.serve(f"/v1/leads?{query}", first)
    for query in ("cursor=L-4", "offset=4", "page=3"):
        platform.serve(f"/v1/leads?{query}", ends)

    read = [lead_id for page in ids(reading(open_source(**options))) for lead_id in page]
    assert ["L-1", "L-2", "L-3", "L-4"] == read
    assert 1 == watched.most


@pytest.mark.parametrize("are_read_by_caller", [False, True])
def test_pages_do_not_grow_old_behind_many_details(platform, open_source, lead, are_read_by_caller):
    """Once more of a page's leads are read by their own pages than at once, the next page is requested after them."""
    for page in range(1, 6):
        bare = [{"id": f"L-{10 * page + n}", "createdAt": "2026-07-01"} for n in range(6)] if page < 5 else []
        platform.serve(f"/v1/leads?page={page}", {"data": bare, "total": 24})
        for one in bare:
            platform.serve(f"/v1/leads/{one['id']}", lead(int(one["id"][2:])))
    source, pages = open_source(pagination=BY_PAGE), []
    for page in source.fetch_changes(None, resume=None, find_known=lambda listed: listed if are_read_by_caller else ()):
        pages.append(page)
        assert list(page.unchanged) == [lead_id for lead_id, _ in source.fetch_each(page.unchanged)]

    assert [6, 6, 6, 6, 0] == [len(page.leads or page.unchanged) for page in pages]
    assert [0] * 5 == [page.ahead for page in pages]
    assert [0, 7, 14, 21, 28] == [at for at, target in enumerate(platform.asked) if "?" in target]


def test_page_tells_how_many_pages_were_missing_when_it_was_requested(open_source, listed):
    """A caller can then tell what it knew at that time; the number is never too low."""
    listed(9, total=18, expected=4)
    ahead = [page.ahead for page in reading(open_source(pagination=BY_PAGE))]

    assert [0, 0] == ahead[:2]
    assert 3 <= max(ahead) <= 4
    assert 0 == ahead[-1]


def test_pages_in_flight_are_handed_on_where_no_slot_can_be_taken(open_source, listed, monkeypatch, clock):
    """Another process may hold the pace file; only a reading with nothing in flight waits for it, and gives up."""
    listed(9, total=18)
    source, taken = open_source(pagination=BY_PAGE), []
    take = source._client.pacer.take_request_slot

    def held_after_four():
        if len(taken) == 4:
            raise Transient("another process holds the pace file")
        taken.append(take())
        return taken[-1]

    monkeypatch.setattr(source._client.pacer, "take_request_slot", held_after_four)
    pages = []
    with pytest.raises(Transient, match="pace file"):
        pages.extend(reading(source))

    assert numbered(1, 2, 3, 4) == ids(pages)
    assert [1.0, 2.0, 4.0, 8.0] == clock.slept
    assert [] == threads()


def test_no_page_beyond_max_pages_is_requested(platform, open_source, listed):
    """The limit bounds what is requested ahead, too."""
    listed(9)
    with pytest.raises(Misconfigured, match="max_pages"):
        list(reading(open_source(pagination=PaginationOptions(style="page", max_pages=4))))

    assert {*platform.asked} <= {*address(*range(1, 5))}


@pytest.mark.parametrize(("kilobytes", "expected"), [(250, 4), (260, 1)])
def test_large_pages_come_one_at_a_time(platform, open_source, lead, overlap, *, kilobytes, expected):
    """Those in flight must not fill more memory than one page may."""
    watched = overlap(expected)
    for page in range(1, 7):
        leads = [lead(page, note="x" * 1024 * kilobytes)] if page < 6 else []
        platform.serve(f"/v1/leads?page={page}", {"data": leads, "total": 5})

    pages = reading(open_source(pagination=BY_PAGE, largest_page_mb=1))
    assert [*([f"L-{page}"] for page in range(1, 6)), []] == ids(pages)
    assert expected == watched.most


def test_closing_the_reading_early_leaves_no_thread(platform, open_source, listed):
    """Requests in flight complete, and no new one starts."""
    listed(40, total=80)
    read = reading(open_source(pagination=BY_PAGE))
    pages = [next(read) for _ in range(3)]
    read.close()

    assert "page:4" == pages[-1].resume
    assert len(platform.asked) <= 3 + 4
    assert [] == threads()


def test_list_that_shifts_between_pages_requested_ahead_is_known_to_have_moved(platform, open_source, lead):
    """An entry that comes twice is noticed as if the pages had come one by one."""
    for page, numbers in enumerate([(1, 2), (3, 4), (4, 5), (6, 7), ()], start=1):
        platform.serve(f"/v1/leads?page={page}", {"data": list(map(lead, numbers)), "total": 8})
    pages = list(reading(open_source(pagination=BY_PAGE)))

    assert [False, False, True, True, True] == [page.moved for page in pages]


# ── on the sandbox clock ─────────────────────────────────────────────────────────────────────────


def test_pages_requested_ahead_use_the_full_pace_of_a_sandbox_clock():
    """Requests in flight are counted before time advances."""
    clock, times = VirtualClock(START), []

    def answer(request):
        times.append(clock.now())
        time.sleep(0.005)
        page = int(request.query["page"][0])
        leads = [{"id": str(page), "createdAt": "2026-07-01", "leadData": {"externalID": ""}}]
        return json_response(200, {"data": leads if page <= 60 else [], "total": 60})

    oplead = Server("oplead", answer, Faults(), clock.now)
    timer = Server("clock", clock.handle, Faults(), clock.now, closed=clock.unregister_client_connection)
    with oplead, timer, SandboxClock(timer.url, patience=20) as sandbox:
        options = OpleadOptions(token="tok", zone=ZoneInfo("Europe/Paris"), base_url=oplead.url, pagination=BY_PAGE)
        client = OpleadClient(options, clock=sandbox, pacer=Pacer(sandbox, 10), timeout=httpx.Timeout(5))
        with closing(OpleadSource(client)) as source:
            read = [lead_id for page in ids(reading(source)) for lead_id in page]

    assert [LeadId(str(page)) for page in range(1, 61)] == read
    assert 10 == worst(times)
    assert clock.now() - START < timedelta(minutes=7)
