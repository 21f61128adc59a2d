"""The strict simulation of Oplead, through hand-written requests: at least one test for each of its rules."""

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
        """The current time."""
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
    """A clock set to START."""
    return Clock()


@pytest.fixture
def oplead(clock):
    """An Oplead with 250 leads."""
    population = {f"L-{number}": lead(number) for number in range(250)}
    return OpleadPlatform(clock.now, lambda _: population)


@pytest.fixture
def url(oplead, clock):
    """The address of that Oplead."""
    with Server("oplead", oplead.handle, Faults(), clock.now) as server:
        yield server.url


@pytest.fixture
def get(ask, url):
    """Read one page with the admin's key."""
    return lambda path: ask(url, f"GET {path}", headers=KEY)


def ids(answer):
    """Return the ids on a page."""
    return [lead["id"] for lead in answer.json()["data"]]


def numbered(first, last):
    """Return the ids of the leads from first up to last."""
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
def test_request_without_a_valid_bearer_key_is_401(ask, url, headers):
    """The key is missing, wrong, or sent in another way."""
    assert ask(url, "GET /v1/leads", headers=headers).status == 401


def test_supplier_key_is_403(ask, url):
    """A supplier's key may send leads but not read them."""
    assert ask(url, "GET /v1/leads", headers={"Authorization": f"Bearer {SUPPLIER_KEY}"}).status == 403


@pytest.mark.parametrize("path", ["/leads", "/v2/leads", "/v1", "/v1/leadsx", "/v1/leads/", "/v1/leads/L-1/history"])
def test_unknown_path_is_404(get, path):
    """Nothing exists but the documented pages and those they name."""
    assert get(path).status == 404


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("DELETE /v1/leads", "GET, POST"),
        ("DELETE /v1/leads/L-1", "GET, PUT"),
        ("GET /v1/leads/L-1/status", "PUT"),
        ("PUT /v1/leads/L-1/document/add", "POST"),
        ("PUT /v1/subscriptions", "GET, POST"),
        ("GET /v1/subscriptions/S-1", "DELETE"),
        ("POST /v1/settings/custom-fields", "GET"),
    ],
)
def test_method_that_a_page_lacks_is_405(ask, url, line, allowed):
    """The answer names those it has."""
    answer = ask(url, line, {}, KEY)

    assert (answer.status, answer.headers["allow"]) == (405, allowed)


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
def test_unsupported_parameter_is_400(get, query):
    """Parameters of another pagination style, disabled filters and cursors never issued are refused."""
    assert get(f"/v1/leads?{query}").status == 400


def test_repeated_parameter_is_400(get, oplead):
    """The request would be ambiguous."""
    oplead.set_switch("pagination", "page")

    assert get("/v1/leads?page=1&page=2").status == 400


def test_lead_detail_accepts_no_parameter(get):
    """Parameters belong to the list."""
    assert get("/v1/leads/L-1?fields=all").status == 400


def test_detail_returns_the_lead_itself(get):
    """There is no envelope around it."""
    assert lead(7) == get("/v1/leads/L-7").json()


def test_lead_id_is_percent_decoded(get, oplead):
    """An id may contain any character."""
    oplead.put("a/b é", lead(1, id="a/b é"))

    assert get("/v1/leads/a%2Fb%20%C3%A9").json()["id"] == "a/b é"


def test_unknown_lead_is_404(get):
    """The id has never existed."""
    assert get("/v1/leads/L-999").status == 404


def test_deleted_lead_is_410_and_leaves_the_list(get, oplead):
    """Only an id that never existed is 404."""
    oplead.delete_lead("L-0")

    assert get("/v1/leads/L-0").status == 410
    assert numbered(1, 101) == ids(get("/v1/leads"))


def test_put_lead_is_served_unchanged(get, oplead):
    """Its fields are arbitrary, and it keeps the place of the lead it replaces."""
    odd = {"id": "L-0", "createdAt": "01/07/2026", "anything": [1, {"else": None}]}
    oplead.put("L-0", odd)

    assert odd == get("/v1/leads/L-0").json()
    assert odd == get("/v1/leads").json()["data"][0]


def test_put_refuses_a_lead_with_another_id(oplead):
    """The id in the path must equal the id in the lead."""
    with pytest.raises(ValueError, match="id"):
        oplead.put("L-1", lead(2))


def test_list_is_paginated_by_next_url_by_default(get, url):
    """Pages hold 100 leads, next addresses stay on the host, and the last one is null."""
    pages, path = [], "/v1/leads"
    while path:
        answer = get(path)
        pages.append(ids(answer))
        following = answer.json()["next"]
        assert following is None or urlsplit(following).netloc == urlsplit(url).netloc
        path = following and following.removeprefix(url)

    assert [numbered(0, 100), numbered(100, 200), numbered(200, 250)] == pages


def test_cursor_pagination_by_switch(get, oplead):
    """`nextCursor` stands beside the data, and `cursor` is the parameter."""
    oplead.set_switch("pagination", "cursor")
    first = get("/v1/leads")
    second = get(f"/v1/leads?cursor={first.json()['nextCursor']}")
    last = get(f"/v1/leads?cursor={second.json()['nextCursor']}")

    assert numbered(100, 200) == ids(second)
    assert first.json().keys() == {"data", "nextCursor"}
    assert last.json()["nextCursor"] is None


def test_cursor_does_not_drift_after_deletions(get, oplead):
    """A deleted lead on an earlier page, or at the cursor itself, shifts nothing."""
    oplead.set_switch("pagination", "cursor")
    cursor = get("/v1/leads").json()["nextCursor"]
    oplead.delete_lead("L-3")
    oplead.delete_lead("L-99")

    assert numbered(100, 200) == ids(get(f"/v1/leads?cursor={cursor}"))


def test_numbered_pagination_by_switch_drifts_after_deletions(get, oplead):
    """Page numbers carry no position, so a deletion shifts later pages."""
    oplead.set_switch("pagination", "page")
    first = get("/v1/leads")

    assert first.json().keys() == {"data"}
    assert numbered(0, 100) == ids(first)
    assert numbered(200, 250) == ids(get("/v1/leads?page=3"))
    assert numbered(20, 40) == ids(get("/v1/leads?page=2&size=20"))
    assert ids(get("/v1/leads?page=9")) == []
    oplead.delete_lead("L-3")
    assert numbered(101, 201) == ids(get("/v1/leads?page=2"))


def test_numbered_pages_include_the_total_by_switch(get, oplead):
    """The total stands beside the data."""
    oplead.set_switch("pagination", "page")
    oplead.set_switch("page_total", True)

    assert get("/v1/leads").json()["total"] == 250


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "size=0", "size=101"])
def test_page_or_size_out_of_range_is_400(get, oplead, query):
    """Pages count from 1 and hold at most 100 leads."""
    oplead.set_switch("pagination", "page")

    assert get(f"/v1/leads?{query}").status == 400


def test_updated_since_filters_by_switch(get, oplead):
    """The bound is inclusive, and a time without a zone is French wall-clock time."""
    oplead.set_switch("filters", True)

    assert numbered(200, 250) == ids(get("/v1/leads?updated_since=2026-07-20T17:03:20"))
    assert numbered(200, 250) == ids(get("/v1/leads?updated_since=2026-07-20T15:03:20Z"))
    assert get("/v1/leads?updated_since=yesterday").status == 400


def test_filter_persists_across_pages(get, oplead, url):
    """The next address repeats it."""
    oplead.set_switch("filters", True)
    oplead.put("L-200", lead(200, updatedAt="2026-07-20 16:59:59"))
    first = get("/v1/leads?updated_since=2026-07-20T15:01:00%2B00:00")
    second = get(first.json()["next"].removeprefix(url))

    assert numbered(60, 160) == ids(first)
    assert numbered(160, 200) + numbered(201, 250) == ids(second)


def test_filter_keeps_leads_with_unreadable_dates(get, oplead):
    """Such a date cannot be compared."""
    oplead.set_switch("filters", True)
    oplead.put("L-0", lead(0, updatedAt="le 20 juillet"))

    assert ids(get("/v1/leads?updated_since=2026-08-01")) == ["L-0"]


def test_list_omits_lead_data_by_switch(get, oplead):
    """The lead's own page still has it."""
    oplead.set_switch("list_has_details", False)

    assert "leadData" not in get("/v1/leads").json()["data"][0]
    assert "leadData" in get("/v1/leads/L-0").json()


@pytest.mark.parametrize(
    ("position", "served"),
    [("history", {"statusDate", "statusHistory"}), ("status_date", {"statusDate"}), ("none", set())],
)
def test_status_dates_switch_selects_the_fields(get, oplead, position, served):
    """The rule holds for the list and for the detail."""
    oplead.set_switch("status_dates", position)

    for found in (get("/v1/leads").json()["data"][0], get("/v1/leads/L-0").json()):
        assert served == found.keys() & {"statusDate", "statusHistory"}


def test_malformed_leads_are_served_unchanged(ask, clock):
    """Leads that a population breaks on purpose pass every switch."""
    oplead = OpleadPlatform(clock.now, lambda _: {"L-0": "Fiche archivée", "L-1": {"status": "Gagné"}})
    oplead.set_switch("filters", True)
    with Server("oplead", oplead.handle, Faults(), clock.now) as server:
        answer = ask(server.url, "GET /v1/leads?updated_since=2026-01-01", headers=KEY)

    assert answer.json()["data"] == ["Fiche archivée", {"status": "Gagné"}]


def test_leads_follow_the_sandbox_clock(ask, clock):
    """A lead is served from its creation on."""
    oplead = OpleadPlatform(clock.now, lambda now: {"L-1": lead(1)} if now > START else {})
    with Server("oplead", oplead.handle, Faults(), clock.now) as server:
        before = ask(server.url, "GET /v1/leads/L-1", headers=KEY).status
        clock.pass_(seconds=1)
        after = ask(server.url, "GET /v1/leads/L-1", headers=KEY).status

    assert (before, after) == (404, 200)


def test_101st_request_in_a_minute_is_429(get, clock):
    """The window is any 60 seconds of the sandbox clock, and Retry-After says when a slot is free."""
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


def test_retry_after_is_omitted_by_switch(get, oplead):
    """The 429 then gives no delay."""
    oplead.set_switch("retry_after", False)
    statuses = [get("/v1/leads/L-999").status for _ in range(100)]
    refused = get("/v1/leads/L-1")

    assert {404} == set(statuses)
    assert (refused.status, refused.headers.get("retry-after")) == (429, None)


def test_date_header_is_the_sandbox_time(get):
    """Cursors are built on the source's own time."""
    assert get("/v1/leads/L-1").headers["date"] == "Tue, 01 Sep 2026 03:30:00 GMT"


@pytest.mark.parametrize(("name", "value"), [("filters", 1), ("pagination", "letters"), ("unknown", True)])
def test_invalid_switch_raises_value_error(oplead, name, value):
    """Either the switch or the position does not exist."""
    with pytest.raises(ValueError, match=name):
        oplead.set_switch(name, value)


def test_every_switch_accepts_each_of_its_positions(oplead):
    """The first position is the default."""
    for name, positions in SWITCHES.items():
        assert oplead.switches[name] is positions[0]
        for position in positions:
            oplead.set_switch(name, position)
            assert oplead.switches[name] is position


def test_oplead_state_survives_a_restart(ask, oplead, clock):
    """Put and deleted leads, switches and the requests of the minute are saved."""
    oplead.put("L-500", lead(500))
    oplead.delete_lead("L-0")
    oplead.set_switch("pagination", "page")
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


def test_every_rule_cites_a_page_or_is_assumed():
    """The page is Oplead's."""
    assumed = [rule for rule in oplead_rules if rule.evidence == "assumed"]
    rested = [rule for rule in oplead_rules if rule.source.startswith("https://")]

    assert len(list(oplead_rules)) == len(assumed) + len(rested)
