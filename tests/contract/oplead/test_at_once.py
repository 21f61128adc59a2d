"""Several leads' own pages asked for at once, over real sockets."""

import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from connectors.clock import SandboxClock
from connectors.errors import Misconfigured, Transient
from connectors.oplead import OpleadClient, OpleadOptions, OpleadSource, PaginationOptions
from connectors.rate_limit import Pacer, SharedPace
from connectors.records import LeadId, UnreadableLead
from connectors.sandbox.clock import VirtualClock
from connectors.sandbox.platform import Faults
from connectors.sandbox.server import Server, json_response

START = datetime(2026, 7, 21, 3, 30, tzinfo=UTC)


class Crowd:
    """Answers own pages only when as many as expected are asked for at once, and counts how many were."""

    def __init__(self, expected):
        self.expected = expected
        self.inside = 0
        self.most = 0
        self.asked = []
        self.changed = threading.Condition()

    def reply(self, target):
        """Hold the request until the others are here too, a second at most."""
        with self.changed:
            self.asked.append(target)
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.most >= self.expected, timeout=1)
            self.inside -= 1


@pytest.fixture
def crowd(platform, lead):
    """Have own pages answered by a crowd of this size; the list has as many bare leads as asked for."""

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
    """The ids of so many leads."""
    return [LeadId(f"L-{number}") for number in range(count)]


def pull(source, is_known=lambda _id, _digest: False):
    """Every page of the whole list."""
    return list(source.fetch_changes(None, resume=None, is_known=is_known))


def threads():
    """The threads of ours that are at work."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("oplead")]


@pytest.mark.parametrize("in_flight", [1, 4])
@pytest.mark.parametrize("way", ["changes", "each"])
def test_as_many_as_allowed_are_asked_for_at_once_and_come_in_order(open_source, crowd, in_flight, way):
    """Of a page of the list, and one by one; no thread is left when it is over."""
    gathered = crowd(in_flight)
    source = open_source(in_flight=in_flight)
    if way == "changes":
        read = [lead.id for page in pull(source) for lead in page.leads]
    else:
        read = [lead.id for _, lead in source.fetch_each(names(10))]

    assert names(10) == read
    assert in_flight == gathered.most
    assert [] == threads()


def test_a_slow_page_keeps_its_place(platform, open_source, lead, reply):
    """What came before it waits for it."""
    platform.serve("/v1/leads/L-0", reply(lead(0), seconds=0.2))
    for number in range(1, 9):
        platform.serve(f"/v1/leads/L-{number}", lead(number))

    assert names(9) == [lead_id for lead_id, _ in open_source().fetch_each(names(9))]


def test_whether_a_lead_is_known_is_asked_by_the_caller_only(open_source, crowd):
    """The ledger is asked on the thread that holds it, before any own page is."""
    gathered = crowd(4)
    asked = []

    def is_known(lead, _digest):
        asked.append((threading.current_thread(), lead, len(gathered.asked)))
        return lead == "L-3"

    page = pull(open_source(), is_known)[0]

    assert [(threading.current_thread(), lead, 0) for lead in names(10)] == asked
    assert (("L-3",), 9) == (page.unchanged, len(page.leads))
    assert 9 == len(gathered.asked)


def test_two_failures_in_a_row_are_judged_in_the_leads_order(platform, open_source, crowd, reply):
    """Leads 2 and 4 fail, which are not one after the other, whichever answer came first."""
    crowd(4)
    for number in (2, 4):
        platform.serve(f"/v1/leads/L-{number}", reply(status=400))

    assert ["L-2", "L-4"] == [one.id for one in pull(open_source())[0].unreadable]
    assert ["L-2", "L-4"] == [
        lead_id for lead_id, read in open_source().fetch_each(names(10)) if isinstance(read, UnreadableLead)
    ]


def test_two_failures_in_a_row_stop_the_pull_one_by_one_too(platform, open_source, crowd, reply):
    """Then it is the platform's failure, and nothing more is asked for."""
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
def test_what_concerns_every_page_stops_at_once(platform, open_source, crowd, reply, *, answer, error):
    """A refused key, or a platform that wants to be left alone: what had not begun is not asked for."""
    gathered = crowd(1, leads=40)
    platform.serve("/v1/leads/L-0", reply(status=404, seconds=0.25))
    platform.serve("/v1/leads/L-3", reply(**answer))
    with pytest.raises(error):
        pull(open_source())

    assert len(gathered.asked) <= 16  # four times as many as are under way
    assert [] == threads()


def test_a_page_that_fails_once_is_asked_again_in_its_turn(platform, open_source, crowd, reply, *, lead, clock):
    """The others keep, and no more is begun until then than is ever asked for ahead."""
    gathered = crowd(1, leads=40)
    platform.serve("/v1/leads/L-0", reply(lead(0), seconds=0.25))
    platform.serve("/v1/leads/L-2", reply(status=502), lead(2))

    assert names(40) == [one.id for one in pull(open_source())[0].leads]
    assert [1.0] == clock.slept
    assert [at for at, target in enumerate(gathered.asked) if target == "/v1/leads/L-2"][1] <= 16


def test_no_more_than_a_few_are_asked_for_ahead(platform, open_source, crowd, reply, lead):
    """What has come waits for a slow one before it, and is bounded."""
    gathered = crowd(1, leads=90)
    platform.serve("/v1/leads/L-0", reply(lead(0), seconds=0.25))
    read = open_source().fetch_each(names(90))
    next(read)

    assert 16 == len(gathered.asked)

    read.close()


def test_a_reader_that_stops_leaves_no_thread(open_source, crowd):
    """What was under way comes to its end, and nothing more is asked for."""
    gathered = crowd(4, leads=90)
    read = open_source().fetch_each(names(90))
    next(read)
    read.close()

    assert len(gathered.asked) <= 8
    assert [] == threads()


@pytest.mark.parametrize(("allowed", "expected"), [(1, 1), (14, 14), (None, 40)])
def test_one_by_one_ends_where_the_pulls_requests_are_spent(open_source, crowd, allowed, expected):
    """Not a request more goes out."""
    gathered = crowd(1, leads=40)
    read = list(open_source(max_requests=allowed).fetch_each(names(40)))

    assert names(expected) == [lead_id for lead_id, _ in read]
    assert expected == len(gathered.asked)


def test_what_is_asked_again_is_spent_too(platform, open_source, lead, reply):
    """A page that fails twice costs three requests."""
    for number in range(9):
        platform.serve(f"/v1/leads/L-{number}", lead(number))
    platform.serve("/v1/leads/L-0", reply(status=502), reply(status=502), lead(0))
    read = list(open_source(max_requests=6, in_flight=1).fetch_each(names(9)))

    assert names(len(read)) == [lead_id for lead_id, _ in read]
    assert len(platform.asked) <= 6 + 1


def test_a_pull_stops_at_a_pages_end_where_its_requests_are_spent(platform, open_source, lead):
    """Pages and own pages count together; the next night's source goes on there, with a budget of its own."""
    options = PaginationOptions(style="page")
    for page in range(1, 5):
        platform.serve(f"/v1/leads?page={page}", [{"id": f"L-{page}", "createdAt": "2026-07-01"}])
        platform.serve(f"/v1/leads/L-{page}", lead(page))
    platform.serve("/v1/leads?page=5", [])
    source, next_nights = (open_source(pagination=options, max_requests=3) for _ in range(2))
    first = pull(source)
    each = list(source.fetch_each([LeadId("L-1")]))
    second = list(next_nights.fetch_changes(None, resume=first[-1].resume, is_known=lambda *_: False))

    assert [["L-1"], ["L-2"]] == [[lead.id for lead in page.leads] for page in first]
    assert "page:3" == first[-1].resume
    assert [["L-3"], ["L-4"]] == [[lead.id for lead in page.leads] for page in second]
    assert ([], True) == (each, source.is_spent)


def test_a_second_reading_spends_what_the_first_one_left(platform, open_source, lead):
    """A night has one budget, however often it reads the list."""
    options = PaginationOptions(style="page")
    for page in range(1, 5):
        platform.serve(f"/v1/leads?page={page}", [lead(page)])
    platform.serve("/v1/leads?page=5", [])
    source = open_source(pagination=options, max_requests=7)
    first, second = pull(source), pull(source)

    assert (None, "page:3", True) == (first[-1].resume, second[-1].resume, source.is_spent)
    assert 7 == len(platform.asked)


def test_leads_that_are_listed_and_have_no_page_are_the_settings_fault(platform, open_source, crowd, reply):
    """A few may have been deleted meanwhile; five in a row mean that own pages stand elsewhere."""
    crowd(1)
    for number in range(4):
        platform.serve(f"/v1/leads/L-{number}", reply(status=404))

    assert ["L-0", "L-1", "L-2", "L-3"] == [one.id for one in pull(open_source())[0].unreadable]

    platform.serve("/v1/leads/L-4", reply(status=404))
    with pytest.raises(Misconfigured, match=r"oplead\.lead_path"):
        pull(open_source())


# ── with a sandbox's clock ───────────────────────────────────────────────────────────────────────


class Played:
    """Oplead and a clock of a sandbox: 40 leads, and the sandbox's time of every request."""

    def __init__(self, latency=0.0):
        self.clock = VirtualClock(START)
        self.times = []
        self.oplead = Server("oplead", self.answer, Faults(), self.clock.now)
        self.time = Server("clock", self.clock.handle, Faults(), self.clock.now, closed=self.clock.closed)
        self.latency = latency

    def answer(self, request):
        """One lead."""
        self.times.append(self.clock.now())
        time.sleep(self.latency)
        return json_response(200, {"id": request.path.rpartition("/")[2], "createdAt": "2026-07-01"})

    def read(self, count, *, per_minute, pace=None):
        """Read so many leads, four at once, on this clock."""
        with SandboxClock(self.time.url, patience=20) as clock:
            options = OpleadOptions(token="tok", zone=ZoneInfo("Europe/Paris"), base_url=self.oplead.url)
            pacer = Pacer(clock, per_minute, shared=pace)
            client = OpleadClient(options, clock=clock, pacer=pacer, timeout=httpx.Timeout(5))
            with closing(OpleadSource(client)) as source:
                return [lead_id for lead_id, _ in source.fetch_each(names(count))]


def worst(times):
    """The most requests in any minute of the sandbox's."""
    return max(sum(start <= at <= start + timedelta(seconds=60) for at in times) for start in times)


def test_threads_that_share_a_sandboxs_clock_do_not_block_one_another():
    """What is under way is counted before time is let go on, so that the whole pace is used."""
    played = Played(latency=0.005)
    with played.oplead, played.time:
        read = played.read(60, per_minute=10)

    assert names(60) == read
    assert 10 == worst(played.times)
    assert played.clock.now() - START < timedelta(minutes=6)


def test_two_commands_that_share_a_sandboxs_clock_and_a_pace_both_get_through(tmp_path):
    """Each is a caller that the clock waits for, and neither holds what the other needs while it sleeps."""
    played = Played(latency=0.002)
    done = []
    with played.oplead, played.time:

        def work():
            done.append(played.read(30, per_minute=10, pace=SharedPace(tmp_path / "oplead.pace")))

        commands = [threading.Thread(target=work) for _ in range(2)]
        for one in commands:
            one.start()
        for one in commands:
            one.join(timeout=60)

    assert [names(30), names(30)] == done
    assert worst(played.times) <= 10
