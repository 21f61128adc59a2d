"""Oplead played strictly, by hand-written requests: one test or more for each of its rules."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from connectors.sandbox.oplead.server import ADMIN_KEY, SUPPLIER_KEY, SWITCHES, OpleadPlatform
from connectors.sandbox.platform import Faults
from connectors.sandbox.rules import oplead_rules
from connectors.sandbox.server import Server

START = datetime(2026, 9, 1, 3, 30, tzinfo=UTC)
KEY = {"Authorization": f"Bearer {ADMIN_KEY}"}


class Clock:
    """The sandbox clock, moved by hand."""

    def __init__(self):
        self.time = START

    def now(self):
        """The present."""
        return self.time

    def pass_(self, **span):
        """Let this much time pass."""
        self.time += timedelta(**span)


def lead(number, **fields):
    """A lead as Oplead serves it."""
    return {
        "id": f"L-{number}",
        "createdAt": f"2026-07-01 09:{number // 60:02}:{number % 60:02}",
        "updatedAt": f"2026-07-20 17:{number // 60:02}:{number % 60:02}",
        "status": "Gagné",
        "statusDate": "2026-07-20 17:05:01",
        "statusHistory": [{"status": "Nouveau", "date": "2026-07-01 09:12:44"}],
        "leadData": {"externalID": "gclid=abc"},
        **fields,
    }


@pytest.fixture
def clock():
    """A clock standing at START."""
    return Clock()


@pytest.fixture
def oplead(clock):
    """An Oplead with 250 leads."""
    population = {f"L-{number}": lead(number) for number in range(250)}
    return OpleadPlatform(clock.now, lambda _: population)


@pytest.fixture
def url(oplead, clock):
    """Its address."""
    with Server("oplead", oplead.handle, Faults(), clock.now) as server:
        yield server.url


@pytest.fixture
def get(ask, url):
    """Read one page with the admin's key."""
    return lambda path: ask(url, f"GET {path}", headers=KEY)


def ids(answer):
    """The ids on a page."""
    return [lead["id"] for lead in answer.json()["data"]]


def numbered(first, last):
    """The ids of these leads."""
    return [f"L-{number}" for number in range(first, last)]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ADMIN_KEY},
        {"Authorization": f"bearer {ADMIN_KEY}"},
        {"Authorization": f"Basic {ADMIN_KEY}"},
        {"Authorization": f"Bearer {ADMIN_KEY}x"},
        {"Authorization": "Bearer "},
        {"X-Api-Key": ADMIN_KEY},
    ],
)
def test_without_the_key_as_bearer_it_is_401(ask, url, headers):
    """No key, a wrong one, or one shown in another way."""
    assert ask(url, "GET /v1/leads", headers=headers).status == 401


def test_a_suppliers_key_is_403(ask, url):
    """A narrow key may send leads, not read them."""
    assert ask(url, "GET /v1/leads", headers={"Authorization": f"Bearer {SUPPLIER_KEY}"}).status == 403


@pytest.mark.parametrize("path", ["/leads", "/v2/leads", "/v1", "/v1/leadsx", "/v1/leads/", "/v1/leads/L-1/status"])
def test_other_paths_are_404(get, path):
    """Only the list and one lead are there."""
    assert get(path).status == 404


@pytest.mark.parametrize(
    "line", ["POST /v1/leads", "PUT /v1/leads/L-1", "DELETE /v1/leads/L-1", "POST /v1/leads?test=true"]
)
def test_writing_is_405(ask, url, line):
    """Nothing is written here, not even as a test."""
    answer = ask(url, line, {}, KEY)

    assert (answer.status, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(
    "query",
    [
        "limit=10",
        "test=true",
        "page=1",
        "size=10",
        "updated_since=2026-07-01",
        "cursor=",
        "cursor=%25",
        "cursor=TC05OTk=",
    ],
)
def test_an_unknown_parameter_is_400(get, query):
    """Parameters of another style, filters that are off, and cursors it never gave."""
    assert get(f"/v1/leads?{query}").status == 400


def test_a_repeated_parameter_is_400(get, oplead):
    """Two values for one parameter are one too many."""
    oplead.switch("pagination", "page")

    assert get("/v1/leads?page=1&page=2").status == 400


def test_a_detail_takes_no_parameter(get):
    """One lead is read plainly."""
    assert get("/v1/leads/L-1?fields=all").status == 400


def test_one_lead(get):
    """The detail is the lead itself."""
    assert lead(7) == get("/v1/leads/L-7").json()


def test_an_id_is_percent_decoded(get, oplead):
    """Whatever an id is made of, its encoded form finds it."""
    oplead.put("a/b é", lead(1, id="a/b é"))

    assert get("/v1/leads/a%2Fb%20%C3%A9").json()["id"] == "a/b é"


def test_an_unknown_lead_is_404(get):
    """An id that never was."""
    assert get("/v1/leads/L-999").status == 404


def test_a_deleted_lead_is_410_and_leaves_the_list(get, oplead):
    """A lead that was, is no more."""
    oplead.delete("L-0")

    assert get("/v1/leads/L-0").status == 410
    assert numbered(1, 101) == ids(get("/v1/leads"))


def test_a_put_lead_is_served_as_it_was_put(get, oplead):
    """Whatever its fields, and in the place of the one it replaces."""
    odd = {"id": "L-0", "createdAt": "01/07/2026", "anything": [1, {"else": None}]}
    oplead.put("L-0", odd)

    assert odd == get("/v1/leads/L-0").json()
    assert odd == get("/v1/leads").json()["data"][0]


def test_a_put_lead_must_bear_its_own_id(oplead):
    """The id in the path is the id in the lead."""
    with pytest.raises(ValueError, match="id"):
        oplead.put("L-1", lead(2))


def test_the_list_follows_next_urls_by_default(get, url):
    """100, 100 and 50 leads, the next address on the same host, null at the end."""
    pages, path = [], "/v1/leads"
    while path:
        answer = get(path)
        pages.append(ids(answer))
        following = answer.json()["next"]
        assert following is None or urlsplit(following).netloc == urlsplit(url).netloc
        path = following and following.removeprefix(url)

    assert [numbered(0, 100), numbered(100, 200), numbered(200, 250)] == pages


def test_the_list_follows_cursors_by_switch(get, oplead):
    """The cursor stands next to the data, and the parameter has its name."""
    oplead.switch("pagination", "cursor")
    first = get("/v1/leads")
    second = get(f"/v1/leads?cursor={first.json()['nextCursor']}")
    last = get(f"/v1/leads?cursor={second.json()['nextCursor']}")

    assert numbered(100, 200) == ids(second)
    assert first.json().keys() == {"data", "nextCursor"}
    assert last.json()["nextCursor"] is None


def test_a_cursor_does_not_drift(get, oplead):
    """A lead deleted on an earlier page, or under the cursor itself, moves nothing."""
    oplead.switch("pagination", "cursor")
    cursor = get("/v1/leads").json()["nextCursor"]
    oplead.delete("L-3")
    oplead.delete("L-99")

    assert numbered(100, 200) == ids(get(f"/v1/leads?cursor={cursor}"))


def test_the_list_is_numbered_by_switch(get, oplead):
    """Pages by number and size carry no position, and drift when a lead is deleted."""
    oplead.switch("pagination", "page")
    first = get("/v1/leads")

    assert first.json().keys() == {"data"}
    assert numbered(0, 100) == ids(first)
    assert numbered(200, 250) == ids(get("/v1/leads?page=3"))
    assert numbered(20, 40) == ids(get("/v1/leads?page=2&size=20"))
    assert ids(get("/v1/leads?page=9")) == []
    oplead.delete("L-3")
    assert numbered(101, 201) == ids(get("/v1/leads?page=2"))


def test_numbered_pages_have_the_total_by_switch(get, oplead):
    """The number of leads stands next to the data."""
    oplead.switch("pagination", "page")
    oplead.switch("page_total", True)

    assert get("/v1/leads").json()["total"] == 250


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "size=0", "size=101"])
def test_a_page_out_of_range_is_400(get, oplead, query):
    """Pages count from 1 and hold at most 100."""
    oplead.switch("pagination", "page")

    assert get(f"/v1/leads?{query}").status == 400


def test_updated_since_filters_by_switch(get, oplead):
    """Leads changed at that instant or later, by the French wall clock where no zone is named."""
    oplead.switch("filters", True)

    assert numbered(200, 250) == ids(get("/v1/leads?updated_since=2026-07-20T17:03:20"))
    assert numbered(200, 250) == ids(get("/v1/leads?updated_since=2026-07-20T15:03:20Z"))
    assert get("/v1/leads?updated_since=yesterday").status == 400


def test_a_filter_lasts_over_pages(get, oplead, url):
    """The next address carries the filter on."""
    oplead.switch("filters", True)
    oplead.put("L-200", lead(200, updatedAt="2026-07-20 16:59:59"))
    first = get("/v1/leads?updated_since=2026-07-20T15:01:00%2B00:00")
    second = get(first.json()["next"].removeprefix(url))

    assert numbered(60, 160) == ids(first)
    assert numbered(160, 200) + numbered(201, 250) == ids(second)


def test_a_filter_hides_no_lead_whose_dates_read_badly(get, oplead):
    """A lead with an odd date is listed, since its date cannot be compared."""
    oplead.switch("filters", True)
    oplead.put("L-0", lead(0, updatedAt="le 20 juillet"))

    assert ids(get("/v1/leads?updated_since=2026-08-01")) == ["L-0"]


def test_the_list_leaves_out_details_by_switch(get, oplead):
    """Then only the lead's own page has leadData."""
    oplead.switch("list_has_details", False)

    assert "leadData" not in get("/v1/leads").json()["data"][0]
    assert "leadData" in get("/v1/leads/L-0").json()


@pytest.mark.parametrize(
    ("position", "served"),
    [("history", {"statusDate", "statusHistory"}), ("status_date", {"statusDate"}), ("none", set())],
)
def test_status_dates_are_served_by_switch(get, oplead, position, served):
    """History and date, the date alone, or neither, in the list and in the detail."""
    oplead.switch("status_dates", position)

    for found in (get("/v1/leads").json()["data"][0], get("/v1/leads/L-0").json()):
        assert served == found.keys() & {"statusDate", "statusHistory"}


def test_a_lead_that_is_no_object_is_served(ask, clock):
    """What a population breaks on purpose passes every switch."""
    oplead = OpleadPlatform(clock.now, lambda _: {"L-0": "Fiche archivée", "L-1": {"status": "Gagné"}})
    oplead.switch("filters", True)
    with Server("oplead", oplead.handle, Faults(), clock.now) as server:
        answer = ask(server.url, "GET /v1/leads?updated_since=2026-01-01", headers=KEY)

    assert answer.json()["data"] == ["Fiche archivée", {"status": "Gagné"}]


def test_leads_are_those_of_the_moment(ask, clock):
    """The population is asked at the sandbox's time."""
    oplead = OpleadPlatform(clock.now, lambda now: {"L-1": lead(1)} if now > START else {})
    with Server("oplead", oplead.handle, Faults(), clock.now) as server:
        before = ask(server.url, "GET /v1/leads/L-1", headers=KEY).status
        clock.pass_(seconds=1)
        after = ask(server.url, "GET /v1/leads/L-1", headers=KEY).status

    assert (before, after) == (404, 200)


def test_the_101st_request_in_a_minute_is_429(get, clock):
    """100 in any 60 seconds of the sandbox clock; Retry-After is when a slot is free."""
    for _ in range(50):
        assert get("/v1/leads/L-1").status == 200
    clock.pass_(seconds=30)
    for _ in range(50):
        assert get("/v1/leads/L-1").status == 200
    refused = get("/v1/leads/L-1")

    assert (refused.status, refused.headers["retry-after"]) == (429, "30")
    clock.pass_(seconds=29, milliseconds=999)
    refused = get("/v1/leads/L-1")
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    clock.pass_(milliseconds=1)
    assert [get("/v1/leads/L-1").status for _ in range(51)] == [200] * 50 + [429]


def test_retry_after_is_left_out_by_switch(get, oplead):
    """Then a 429 comes without a word on when."""
    oplead.switch("retry_after", False)
    statuses = [get("/v1/leads/L-999").status for _ in range(100)]
    refused = get("/v1/leads/L-1")

    assert {404} == set(statuses)
    assert (refused.status, refused.headers.get("retry-after")) == (429, None)


def test_date_is_the_sandbox_clock(get):
    """A source's own time is what a cursor is built on."""
    assert get("/v1/leads/L-1").headers["date"] == "Tue, 01 Sep 2026 03:30:00 GMT"


@pytest.mark.parametrize(("name", "value"), [("filters", 1), ("pagination", "letters"), ("unknown", True)])
def test_a_switch_has_only_its_positions(oplead, name, value):
    """Anything else is refused."""
    with pytest.raises(ValueError, match=name):
        oplead.switch(name, value)


def test_every_switch_takes_each_of_its_positions(oplead):
    """The first is where it stands at the start."""
    for name, positions in SWITCHES.items():
        assert oplead.switches[name] is positions[0]
        for position in positions:
            oplead.switch(name, position)
            assert oplead.switches[name] is position


def test_it_goes_on_where_it_was_saved(ask, oplead, clock):
    """Put and deleted leads, switches and the minute's requests survive a restart."""
    oplead.put("L-500", lead(500))
    oplead.delete("L-0")
    oplead.switch("pagination", "page")
    resumed = OpleadPlatform(clock.now)
    with Server("oplead", oplead.handle, Faults(), clock.now) as server:
        for _ in range(99):
            ask(server.url, "GET /v1/leads/L-1", headers=KEY)
    resumed.load(json.loads(json.dumps(oplead.dump())))
    with Server("oplead", resumed.handle, Faults(), clock.now) as server:
        lines = ["GET /v1/leads?page=1", "GET /v1/leads/L-0"]
        first, second = (ask(server.url, line, headers=KEY) for line in lines)

    assert ids(first) == ["L-500"]
    assert second.status == 429


def test_every_rule_rests_on_something():
    """A rule names a page of Oplead's, or is assumed."""
    assumed = [rule for rule in oplead_rules if rule.evidence == "assumed"]
    rested = [rule for rule in oplead_rules if rule.source.startswith("https://")]

    assert len(list(oplead_rules)) == len(assumed) + len(rested)
