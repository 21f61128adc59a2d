"""Concurrent fetches of lead details, over real sockets."""

import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from connectors.errors import Misconfigured, Transient
from connectors.oplead.client import OpleadClient
from connectors.oplead.options import OpleadOptions, PaginationOptions
from connectors.oplead.source import OpleadSource
from connectors.rate_limit import Pacer, SharedRequestHistory
from connectors.records import LeadId, UnreadableLead
from connectors.sandbox.clock import VirtualClock
from connectors.sandbox.platform import Faults
from connectors.sandbox.server import Server, json_response
from connectors.sandbox_clock import SandboxClock

START = datetime(2026, 7, 21, 3, 30, tzinfo=UTC)


class Crowd:
    """Holds back detail requests until the expected number are in flight at once, and records the peak."""

    def __init__(self, expected):
        self.expected = expected
        self.inside = 0
        self.most = 0
        self.asked = []
        self.changed = threading.Condition()

    def reply(self, target):
        """Hold the request until the others have arrived, for one second at most."""
        with self.changed:
            self.asked.append(target)
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.most >= self.expected, timeout=1)
            self.inside -= 1


@pytest.fixture
def crowd(platform, lead):
    """Serve lead details through a crowd of the given size; the list holds `leads` bare leads."""

    def make(expected, leads=10):
        gathered, reply = Crowd(expected), platform.reply

        def held(target):
            if target != "/v1/leads":
                gathered.reply(target)
            return reply(target)

        platform.reply = held
        bare = [{"id": f"L-{number}", "createdAt": "2026-07-01"} for number in range(leads)]
        platform.serve("/v1/leads", {"data": bare, "next": None})
        for number in range(leads):
            platform.serve(f"/v1/leads/L-{number}", lead(number))
        return gathered

    return make


def names(count):
    """The ids of the first `count` leads."""
    return [LeadId(f"L-{number}") for number in range(count)]


def pull(source, find_known=lambda _: ()):
    """Read every page of the full list."""
    return list(source.fetch_changes(None, resume=None, find_known=find_known))


def threads():
    """The names of our live worker threads."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("oplead")]


@pytest.mark.parametrize("in_flight", [1, 4])
@pytest.mark.parametrize("way", ["changes", "each"])
def test_fetches_details_concurrently_up_to_the_limit_and_in_order(open_source, crowd, in_flight, way):
    """Holds for a page of the list and for single leads; no thread outlives the fetch."""
    gathered = crowd(in_flight)
    source = open_source(in_flight=in_flight)
    if way == "changes":
        read = [lead.id for page in pull(source) for lead in page.leads]
    else:
        read = [lead.id for _, lead in source.fetch_each(names(10))]

    assert names(10) == read
    assert in_flight == gathered.most
    assert [] == threads()


def test_slow_detail_page_keeps_its_place_in_the_order(platform, open_source, lead, reply):
    """Answers that arrive earlier wait for the slow one."""
    platform.serve("/v1/leads/L-0", reply(lead(0), seconds=0.2))
    for number in range(1, 9):
        platform.serve(f"/v1/leads/L-{number}", lead(number))

    assert names(9) == [lead_id for lead_id, _ in open_source().fetch_each(names(9))]


def test_asks_once_what_is_known_on_the_callers_thread_before_details(open_source, crowd):
    """The ledger belongs to that thread, so no worker may query it; one call precedes the first detail fetch."""
    gathered = crowd(4)
    asked = []

    def find_known(listed):
        asked.append((threading.current_thread(), [one.id for one in listed], len(gathered.asked)))
        return [one for one in listed if one.id == "L-3"]

    page = pull(open_source(), find_known)[0]

    assert [(threading.current_thread(), names(10), 0)] == asked
    assert (("L-3",), 9) == (page.unchanged, len(page.leads))
    assert 9 == len(gathered.asked)


def test_judges_consecutive_failures_by_lead_order_not_arrival_order(platform, open_source, crowd, reply):
    """Leads 2 and 4 fail, which are not consecutive whichever answer arrives first."""
    crowd(4)
    for number in (2, 4):
        platform.serve(f"/v1/leads/L-{number}", reply(status=400))

    assert ["L-2", "L-4"] == [one.id for one in pull(open_source())[0].unreadable]
    assert ["L-2", "L-4"] == [
        lead_id for lead_id, read in open_source().fetch_each(names(10)) if isinstance(read, UnreadableLead)
    ]


def test_two_consecutive_failures_stop_fetch_each(platform, open_source, crowd, reply):
    """The fault is then the platform's, so no further request goes out."""
    gathered = crowd(1, leads=40)
    for number in (2, 3):
        platform.serve(f"/v1/leads/L-{number}", reply(status=400))
    read = open_source(in_flight=2).fetch_each(names(40))
    with pytest.raises(Misconfigured, match="400"):
        list(read)

    assert len(gathered.asked) <= 4 + 2 * 4
    assert [] == threads()


@pytest.mark.parametrize(
    ("answer", "error"),
    [({"status": 401}, Misconfigured), ({"status": 503, "headers": {"Retry-After": "900"}}, Transient)],
)
def test_error_affecting_every_page_stops_the_pull_at_once(platform, open_source, crowd, reply, *, answer, error):
    """A refused key or a long Retry-After cancels every request that has not started."""
    gathered = crowd(1, leads=40)
    platform.serve("/v1/leads/L-0", reply(status=404, seconds=0.25))
    platform.serve("/v1/leads/L-3", reply(**answer))
    with pytest.raises(error):
        pull(open_source())

    assert len(gathered.asked) <= 16  # four times the number in flight
    assert [] == threads()


def test_retries_a_failed_detail_page_without_exceeding_the_read_ahead(
    platform, open_source, crowd, reply, *, lead, clock
):
    """The other answers are kept, and the read-ahead limit holds until the retry succeeds."""
    gathered = crowd(1, leads=40)
    platform.serve("/v1/leads/L-0", reply(lead(0), seconds=0.25))
    platform.serve("/v1/leads/L-2", reply(status=502), lead(2))

    assert names(40) == [one.id for one in pull(open_source())[0].leads]
    assert [1.0] == clock.slept
    assert [at for at, target in enumerate(gathered.asked) if target == "/v1/leads/L-2"][1] <= 16


def test_read_ahead_is_bounded_behind_a_slow_page(platform, open_source, crowd, reply, lead):
    """Answers wait behind a slow one, so their number must be bounded."""
    gathered = crowd(1, leads=90)
    platform.serve("/v1/leads/L-0", reply(lead(0), seconds=0.25))
    read = open_source().fetch_each(names(90))
    next(read)

    assert 16 == len(gathered.asked)

    read.close()


def test_closing_the_reader_early_leaves_no_thread(open_source, crowd):
    """Requests in flight complete, and no new one starts."""
    gathered = crowd(4, leads=90)
    read = open_source().fetch_each(names(90))
    next(read)
    read.close()

    # Before it is closed, a busy machine may let one crowd more through than the first and the next.
    assert len(gathered.asked) <= 12
    assert [] == threads()


@pytest.mark.parametrize(("allowed", "expected"), [(1, 1), (14, 14), (None, 40)])
def test_fetch_each_stops_when_the_request_budget_is_spent(open_source, crowd, allowed, expected):
    """Not one request more goes out."""
    gathered = crowd(1, leads=40)
    read = list(open_source(max_requests=allowed).fetch_each(names(40)))

    assert names(expected) == [lead_id for lead_id, _ in read]
    assert expected == len(gathered.asked)


def test_retries_count_against_the_request_budget(platform, open_source, lead, reply):
    """A page that fails twice costs three requests."""
    for number in range(9):
        platform.serve(f"/v1/leads/L-{number}", lead(number))
    platform.serve("/v1/leads/L-0", reply(status=502), reply(status=502), lead(0))
    read = list(open_source(max_requests=6, in_flight=1).fetch_each(names(9)))

    assert names(len(read)) == [lead_id for lead_id, _ in read]
    assert len(platform.asked) <= 6 + 1


def test_pull_stops_at_a_page_boundary_once_budget_is_spent(platform, open_source, lead):
    """Pages and lead details share one budget; the next night's source resumes there with a fresh one."""
    options = PaginationOptions(style="page")
    for page in range(1, 5):
        platform.serve(f"/v1/leads?page={page}", [{"id": f"L-{page}", "createdAt": "2026-07-01"}])
        platform.serve(f"/v1/leads/L-{page}", lead(page))
    platform.serve("/v1/leads?page=5", [])
    source, next_nights = (open_source(pagination=options, max_requests=3) for _ in range(2))
    first = pull(source)
    each = list(source.fetch_each([LeadId("L-1")]))
    second = list(next_nights.fetch_changes(None, resume=first[-1].resume, find_known=lambda _: ()))

    assert [["L-1"], ["L-2"]] == [[lead.id for lead in page.leads] for page in first]
    assert "page:3" == first[-1].resume
    assert [["L-3"], ["L-4"]] == [[lead.id for lead in page.leads] for page in second]
    assert ([], True) == (each, source.is_budget_spent)


def test_second_reading_uses_what_remains_of_the_budget(platform, open_source, lead):
    """A night has one budget, however often it reads the list."""
    options = PaginationOptions(style="page")
    for page in range(1, 5):
        platform.serve(f"/v1/leads?page={page}", [lead(page)])
    platform.serve("/v1/leads?page=5", [])
    source = open_source(pagination=options, max_requests=7)
    first, second = pull(source), pull(source)

    assert (None, "page:3", True) == (first[-1].resume, second[-1].resume, source.is_budget_spent)
    assert 7 == len(platform.asked)


def test_five_missing_detail_pages_in_a_row_are_misconfiguration(platform, open_source, crowd, reply):
    """A few leads may have been deleted meanwhile; five in a row mean that `oplead.lead_path` is wrong."""
    crowd(1)
    for number in range(4):
        platform.serve(f"/v1/leads/L-{number}", reply(status=404))

    assert ["L-0", "L-1", "L-2", "L-3"] == [one.id for one in pull(open_source())[0].unreadable]

    platform.serve("/v1/leads/L-4", reply(status=404))
    with pytest.raises(Misconfigured, match=r"oplead\.lead_path"):
        pull(open_source())


# ── on the sandbox clock ─────────────────────────────────────────────────────────────────────────


class Played:
    """An Oplead server and a sandbox clock: any lead by its id, and the sandbox time of every request."""

    def __init__(self, latency=0.0):
        self.clock = VirtualClock(START)
        self.times = []
        self.oplead = Server("oplead", self.answer, Faults(), self.clock.now)
        self.time = Server(
            "clock", self.clock.handle, Faults(), self.clock.now, closed=self.clock.unregister_client_connection
        )
        self.latency = latency

    def answer(self, request):
        """Serve one lead."""
        self.times.append(self.clock.now())
        time.sleep(self.latency)
        return json_response(200, {"id": request.path.rpartition("/")[2], "createdAt": "2026-07-01"})

    def read(self, count, *, per_minute, pace=None):
        """Read `count` leads on this clock, four at a time."""
        with SandboxClock(self.time.url, patience=20) as clock:
            options = OpleadOptions(token="tok", zone=ZoneInfo("Europe/Paris"), base_url=self.oplead.url)
            pacer = Pacer(clock, per_minute, shared=pace)
            client = OpleadClient(options, clock=clock, pacer=pacer, timeout=httpx.Timeout(5))
            with closing(OpleadSource(client)) as source:
                return [lead_id for lead_id, _ in source.fetch_each(names(count))]


def worst(times):
    """The highest number of requests in any sandbox minute."""
    return max(sum(start <= at <= start + timedelta(seconds=60) for at in times) for start in times)


def test_threads_sharing_a_sandbox_clock_do_not_block_one_another():
    """Requests in flight are counted before time advances, so the full pace is used."""
    played = Played(latency=0.005)
    with played.oplead, played.time:
        read = played.read(60, per_minute=10)

    assert names(60) == read
    assert 10 == worst(played.times)
    assert played.clock.now() - START < timedelta(minutes=6)


def test_two_commands_sharing_a_sandbox_clock_and_pace_both_finish(tmp_path):
    """The clock waits for each caller, and neither holds what the other needs while it sleeps."""
    played = Played(latency=0.002)
    done = []
    with played.oplead, played.time:

        def work():
            done.append(played.read(30, per_minute=10, pace=SharedRequestHistory(tmp_path / "oplead.pace")))

        commands = [threading.Thread(target=work) for _ in range(2)]
        for one in commands:
            one.start()
        for one in commands:
            one.join(timeout=60)

    assert [names(30), names(30)] == done
    assert worst(played.times) <= 10
