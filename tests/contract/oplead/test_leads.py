"""What the source reads from each lead, over a real socket."""

from contextlib import nullcontext
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from connectors.errors import KeyRefused, Misconfigured, Transient
from connectors.oplead.options import FieldPaths, OpleadOptions, PaginationOptions
from connectors.records import ClickIdKind, LeadId, SubstituteLead
from tests.fakes import finder_of


def pull(source, find_known=lambda _: ()):
    """Read every page of the full list."""
    return list(source.fetch_changes(None, resume=None, find_known=find_known))


def one(source, lead_id):
    """Return the result of one lead's detail fetch."""
    ((_, read),) = source.fetch_each([LeadId(lead_id)])
    return read


def test_reads_every_part_of_a_lead_in_the_usual_shape(platform, open_source, reply):
    """Numbers stay exact."""
    body = b"""{"data": [{"id": 10482, "createdAt": "2026-07-01 09:12:44", "updatedAt": "2026-07-20T17:05:01+02:00",
      "status": {"label": "Gagn\\u00e9", "code": 7}, "statusDate": "20/07/2026 17:05",
      "leadData": {"externalID": "gclid=Cj0KCQjw-Abc", "utm_source": "google", "consent": true},
      "contact": {"firstname": "Jeanne", "lastname": "Martin", "email": "jeanne@example.org",
                  "phone": "06 12 34 56 78", "mobile": "07 12 34 56 78"},
      "address": {"postcode": "69003", "city": "Lyon", "country": {"code": "FR", "name": "France"}},
      "amount": 12500.10, "channel": "Site web"}]}"""
    platform.serve("/v1/leads", reply(body))
    wanted = frozenset({"amount", "channel", "leadData.consent", "absent"})

    read = pull(open_source(wanted=wanted))[0].leads[0]

    assert "10482" == read.id
    assert datetime(2026, 7, 1, 7, 12, 44, tzinfo=UTC) == read.created_at
    assert datetime(2026, 7, 20, 15, 5, 1, tzinfo=UTC) == read.updated_at
    assert "Gagné" == read.label
    assert [("Gagné", datetime(2026, 7, 20, 15, 5, tzinfo=UTC))] == [(e.label, e.at.at) for e in read.history]
    assert [(ClickIdKind.GCLID, "Cj0KCQjw-Abc")] == [(one.kind, one.value) for one in read.click_ids]
    assert ("06 12 34 56 78", "07 12 34 56 78") == read.contact.phones
    assert ("jeanne@example.org",) == read.contact.emails
    assert ("69003", "Lyon", "FR") == (read.contact.postcode, read.contact.city, read.contact.country)
    assert {"amount": Decimal("12500.10"), "channel": "Site web", "leadData.consent": "true"} == read.fields
    assert "jeanne" not in repr(read).lower()


def test_unreadable_leads_do_not_stop_their_page(platform, open_source, lead):
    """Each gets a reason that shows the value's shape and the setting to fix; the other leads are read."""
    platform.serve(
        "/v1/leads",
        {
            "data": [
                lead(1, createdAt="yesterday at jane's"),
                lead(2, createdAt=None),
                lead(3),
                "text",
                {"createdAt": "2026-07-01"},
            ]
        },
    )

    page = pull(open_source())[0]

    assert ["L-3"] == [one.id for one in page.leads]
    assert ["L-1", "L-2", None, None] == [one.id for one in page.unreadable]
    reasons = [one.reason for one in page.unreadable]
    assert "oplead.fields.created_at" in reasons[0]
    assert "no creation time: see oplead.fields.created_at" == reasons[1]
    assert "an entry of the list is no object (text, 4 characters)" == reasons[2]
    assert "oplead.fields.id" in reasons[3]
    assert "jane" not in " ".join(reasons)


def test_replaces_a_lone_surrogate_from_a_truncated_emoji(platform, open_source, lead):
    """A label or comment cut in the middle of a character would otherwise fail when stored and stop the night."""
    platform.serve("/v1/leads", [lead(1, status="Gagn\u00e9 \ud83d", comment="\ude00 merci"), lead(2)])

    page = pull(open_source(wanted=frozenset({"comment"})))[0]

    assert () == page.unreadable
    assert ["L-1", "L-2"] == [one.id for one in page.leads]
    assert ("Gagné \ufffd", "\ufffd merci") == (page.leads[0].label, page.leads[0].fields["comment"])


@pytest.mark.parametrize(
    ("detail", "listed", "asked"),
    [
        ("auto", {"leadData": {}}, False),
        ("auto", {}, True),
        ("auto", {"leadData": None}, True),
        ("always", {"leadData": {}}, True),
        ("never", {}, False),
    ],
)
def test_detail_setting_decides_when_to_fetch_lead_details(platform, open_source, lead, *, detail, listed, asked):
    """`auto` fetches them only when the list leaves out the click ids' container."""
    bare = {name: value for name, value in lead(1).items() if name != "leadData"}
    platform.serve("/v1/leads", [{**bare, **listed}])
    platform.serve("/v1/leads/L-1", {"data": lead(1)})

    read = pull(open_source(detail=detail))[0].leads[0]

    assert asked == ("/v1/leads/L-1" in platform.asked)
    assert asked == bool(read.click_ids)


def test_skips_the_detail_fetch_of_a_known_lead(platform, open_source, lead):
    """`find_known` receives the digest returned earlier and saves the request."""
    bare = [{"id": "L-1", "createdAt": "2026-07-01"}, {"id": "L-2", "createdAt": "2026-07-01"}]
    platform.serve("/v1/leads", bare)
    platform.serve("/v1/leads/L-1", lead(1))
    platform.serve("/v1/leads/L-2", lead(2))
    known = {one.id: one.digest for one in pull(open_source())[0].leads}
    platform.asked.clear()
    bare[1]["status"] = "Gagné"
    platform.serve("/v1/leads", bare)

    page = pull(open_source(), finder_of(known.items()))[0]

    assert ("L-1",) == page.unchanged
    assert ["L-2"] == [one.id for one in page.leads]
    assert ["/v1/leads", "/v1/leads/L-2"] == platform.asked


def test_listed_lead_without_a_detail_page_is_unreadable(platform, open_source, lead):
    """The lead is counted with its time in the list, and the others are read."""
    platform.serve("/v1/leads", [lead(1), lead(2)])
    platform.serve("/v1/leads/L-2", lead(2))

    page = pull(open_source(detail="always"))[0]

    assert [("L-1", datetime(2026, 7, 1, 7, 12, 44, tzinfo=UTC))] == [
        (one.id, one.created_at) for one in page.unreadable
    ]
    assert ["L-2"] == [one.id for one in page.leads]


def test_one_detail_page_that_keeps_failing_costs_one_lead(platform, open_source, lead, reply):
    """A single lead that makes the platform fail must not stop every night."""
    platform.serve("/v1/leads", [lead(1), lead(2)])
    platform.serve("/v1/leads/L-1", reply(status=500))
    platform.serve("/v1/leads/L-2", lead(2))

    page = pull(open_source(detail="always"))[0]

    assert ["L-1"] == [one.id for one in page.unreadable]
    assert ["L-2"] == [one.id for one in page.leads]


def test_two_failing_detail_pages_in_a_row_stop_the_pull(platform, open_source, lead, reply):
    """The fault is then the platform's, and the page is read again later."""
    platform.serve("/v1/leads", [lead(1), lead(2)])
    platform.serve("/v1/leads/L-1", reply(status=500))
    platform.serve("/v1/leads/L-2", reply(status=500))

    with pytest.raises(Transient):
        pull(open_source(detail="always"))


@pytest.mark.parametrize(
    "odd", [{"status": 400}, {"status": 403}, {"status": 422}, {"body": {}}, {"body": []}, {"body": {"error": "x"}}]
)
def test_one_malformed_or_rejected_detail_page_costs_one_lead(platform, open_source, lead, reply, odd):
    """An answer about a single lead must not stop the pull at its page, night after night."""
    platform.serve("/v1/leads", [lead(1), lead(2), lead(3)])
    platform.serve("/v1/leads/L-1", reply(**odd))
    platform.serve("/v1/leads/L-2", lead(2))
    platform.serve("/v1/leads/L-3", reply(**odd))

    page = pull(open_source(detail="always"))[0]

    assert ["L-1", "L-3"] == [one.id for one in page.unreadable]
    assert ["L-2"] == [one.id for one in page.leads]


@pytest.mark.parametrize("read", [pull, lambda source: source.fetch_latest(10)], ids=["a night", "a check"])
def test_a_page_that_the_key_may_not_read_is_told_apart_from_a_refused_key(platform, open_source, lead, reply, read):
    """A key that reads the list may not read one of its leads; the others are read, and an unknown key ends all."""
    platform.serve("/v1/leads", [lead(1), lead(2)])
    platform.serve("/v1/leads/L-1", reply(status=403))
    platform.serve("/v1/leads/L-2", lead(2))
    source = open_source(detail="always")
    found = read(source)

    whole = str(found)
    assert (1, 1) == (whole.count("the key may not read this lead's own page"), whole.count("Lead(id='L-2'"))

    platform.serve("/v1/leads/L-1", reply(status=401))

    with pytest.raises(Misconfigured, match="token"):
        read(open_source(detail="always"))


def own_pages(platform, lead, reply, *, shown=(), refused=()):
    """Serve leads' own pages, and refuse others' to the key."""
    for number in shown:
        platform.serve(f"/v1/leads/L-{number}", lead(number))
    for number in refused:
        platform.serve(f"/v1/leads/L-{number}", reply(status=403))


@pytest.mark.parametrize("refused", [range(1), range(2), range(2, 4), range(10)])
def test_leads_that_the_key_may_not_read_end_no_night(platform, open_source, lead, reply, refused):
    """However many there are side by side, the others are read, and each of them is unreadable."""
    platform.serve("/v1/leads", [lead(number) for number in range(11)])
    own_pages(platform, lead, reply, shown=range(11), refused=refused)

    page = pull(open_source(detail="always"))[0]

    assert page.shows_own_pages
    assert [f"L-{number}" for number in refused] == [one.id for one in page.unreadable]
    assert [f"L-{number}" for number in range(11) if number not in refused] == [one.id for one in page.leads]


@pytest.mark.parametrize(("leads", "is_told"), [(4, False), (5, True), (12, True)])
def test_key_that_may_read_none_of_the_newest_leads_is_told(platform, open_source, lead, reply, *, leads, is_told):
    """Of a night's leads it is only told which were refused: the ledger knows others to ask for."""
    platform.serve("/v1/leads", [lead(number) for number in range(leads)])
    own_pages(platform, lead, reply, refused=range(leads))
    (page,) = pull(open_source(detail="always"))

    assert [(True, True)] * leads == [(one.is_refused, one.is_there) for one in page.unreadable]
    assert not page.shows_own_pages
    with pytest.raises(KeyRefused, match="403 on /v1/leads/L-") if is_told else nullcontext():
        assert leads == len(open_source(detail="always").fetch_latest(20))


@pytest.mark.parametrize(("status", "is_there"), [(400, False), (500, False), (200, True)])
def test_lead_that_only_its_own_page_might_show_is_there_if_it_does(platform, open_source, reply, status, is_there):
    """A failing page says nothing of a lead that no list shows."""
    platform.serve("/v1/leads/L-1", reply({"id": "L-1"}, status=status))
    ((_, found),) = open_source().fetch_each(["L-1"])

    assert is_there == found.is_there


def test_a_refused_lead_between_two_failing_ones_hides_no_failing_platform(platform, open_source, lead, reply):
    """It says nothing of them."""
    platform.serve("/v1/leads", [lead(number) for number in range(3)])
    for number, status in enumerate((400, 403, 400)):
        platform.serve(f"/v1/leads/L-{number}", reply(status=status))

    with pytest.raises(Misconfigured, match="400 on /v1/leads/L-2"):
        pull(open_source(detail="always"))


@pytest.mark.parametrize(("most", "is_found"), [(1, False), (2, False), (3, True), (None, True)])
def test_newest_leads_beyond_so_many_pages_are_not_looked_for(platform, open_source, lead, most, is_found):
    """Older ones are never returned in their place."""
    pages = [[lead(one, createdAt=f"2026-07-0{one} 09:00:00") for one in page] for page in ((1, 2), (3, 4), (5, 6))]
    for number, entries in enumerate(pages):
        more = {"next": f"/v1/leads?page={number + 1}"} if number < len(pages) - 1 else {"next": None}
        platform.serve(f"/v1/leads?page={number}" if number else "/v1/leads", {"data": entries, **more})

    with nullcontext() if is_found else pytest.raises(Misconfigured, match="newest"):
        assert ["L-6"] == [one.id for one in open_source(newest_within=most).fetch_latest(1)]
    assert (most or 3) == len(platform.asked)


@pytest.mark.parametrize("odd", [{"status": 400}, {"body": {}}])
def test_two_malformed_detail_pages_in_a_row_are_misconfiguration(platform, open_source, lead, reply, odd):
    """The fault is then not in the lead, and the message names a setting."""
    platform.serve("/v1/leads", [lead(1), lead(2)])
    platform.serve("/v1/leads/L-1", reply(**odd))
    platform.serve("/v1/leads/L-2", reply(**odd))

    with pytest.raises(Misconfigured, match=r"L-2.*see oplead\."):
        pull(open_source(detail="always"))


def test_two_different_failures_in_a_row_cost_only_two_leads(platform, open_source, lead, reply):
    """Only the same failure twice in a row is blamed on the platform."""
    platform.serve("/v1/leads", [lead(1), lead(2)])
    platform.serve("/v1/leads/L-1", reply(status=400))
    platform.serve("/v1/leads/L-2", reply(status=500))

    assert ["L-1", "L-2"] == [one.id for one in pull(open_source(detail="always"))[0].unreadable]


def test_detail_page_of_another_lead_is_never_merged(platform, open_source, lead):
    """Its click ids belong to someone else; the lead is reported and the others are read."""
    platform.serve("/v1/leads", [lead(1), lead(2)])
    platform.serve("/v1/leads/L-1", {"data": lead(9)})
    platform.serve("/v1/leads/L-2", lead(2))

    page = pull(open_source(detail="always"))[0]

    assert SubstituteLead(LeadId("L-9")) == one(open_source(), "L-1")
    assert [("L-1", "its own page is another lead's, see oplead.fields.id")] == [
        (one.id, one.reason) for one in page.unreadable
    ]
    assert ["L-2"] == [one.id for one in page.leads]


@pytest.mark.parametrize("wrap", ["data", "lead"])
def test_does_not_mistake_a_wrapper_for_the_lead(platform, open_source, lead, wrap):
    """A wrapper may have an id of its own; the lead is the object with the requested id."""
    bare = {"id": "L-1", "createdAt": "2026-07-01"}
    platform.serve("/v1/leads", [bare])
    platform.serve("/v1/leads/L-1", {"id": "answer-77", wrap: lead(1)})
    source = open_source()

    assert 1 == len(pull(source)[0].leads[0].click_ids)
    assert 1 == len(one(source, "L-1").click_ids)


OTHER = {"id": "L-1", "createdAt": "2026-07-01", "status": "Archivé"}


@pytest.mark.parametrize("around", [{}, {"success": True}, {"succes": True, "auteur": {"id": "U-1"}}])
@pytest.mark.parametrize("wrap", ["result", "donnees"])
def test_a_lead_is_found_in_what_wraps_it_by_its_id(platform, open_source, lead, wrap, around):
    """Whatever an API calls it."""
    platform.serve("/v1/leads", [{"id": "L-1", "createdAt": "2026-07-01"}])
    platform.serve("/v1/leads/L-1", {**around, wrap: lead(1)})
    source = open_source()

    assert 1 == len(pull(source)[0].leads[0].click_ids)
    assert 1 == len(one(source, "L-1").click_ids)


@pytest.mark.parametrize(
    "body",
    [
        {"result": OTHER, "archive": OTHER},
        {"result": {**OTHER, "id": "L-9"}},
        {"id": "L-9", "avant": OTHER},
        {"createdAt": "2026-07-01", "status": "Gagné", "ville": "Lyon", "commercial": OTHER},
        {"status": "Gagné", "amount": 100, "contact": {**OTHER, "firstname": "Zoé", "lastname": "X"}},
        {"data": {"status": "Gagné"}, "owner": {**OTHER, "name": "Paul", "team": "Lyon"}},
    ],
    ids=["two alike", "another's", "inside another's", "somebody in it", "its contact", "its owner"],
)
def test_what_may_be_another_than_the_lead_asked_for_is_not_read(platform, open_source, lead, body):
    """Its contact data would be somebody else's."""
    platform.serve("/v1/leads", [lead(1)])
    platform.serve("/v1/leads/L-1", body)

    page = pull(open_source(detail="always"))[0]

    assert ["L-1"] == [one.id for one in page.unreadable]
    assert not page.leads


def test_percent_encodes_an_opaque_lead_id_in_the_path(platform, open_source, lead):
    """The id is compared as text."""
    platform.serve("/v1/leads/A%2F0%201", {"lead": {**lead(1), "id": "A/0 1"}})

    assert "A/0 1" == one(open_source(), "A/0 1").id


@pytest.mark.parametrize("status", [404, 410])
def test_missing_lead_is_none(platform, open_source, reply, status):
    """Platforms answer 404 or 410 for a lead that does not exist."""
    platform.serve("/v1/leads/L-1", reply(status=status))

    assert one(open_source(), "L-1") is None


@pytest.mark.parametrize("body", [[], {"error": "x"}, {"id": {"of": "L-2"}, "createdAt": "2026-07-01"}, {"id": "L-1"}])
def test_detail_page_that_is_not_the_requested_lead_is_unreadable(platform, open_source, body):
    """Another lead's data must not be taken for this one's."""
    platform.serve("/v1/leads/L-1", body)

    unreadable = one(open_source(), "L-1")

    assert "L-1" == unreadable.id
    assert "oplead.fields" in unreadable.reason


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"leads": [1]}, None),
        ({"data": {"records": [1]}}, None),
        ({"answer": {"rows": [1]}}, "answer.rows"),
    ],
)
def test_finds_the_array_of_leads(platform, open_source, body, path):
    """It is at the root, one level below `data`, or where the settings point."""
    platform.serve("/v1/leads", body)

    pages = pull(open_source(pagination=PaginationOptions(items=path)))

    assert 1 == len(pages[0].unreadable)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"leads": {"17": {"id": "17"}, "18": {"id": "18"}}}, None),
        ({"data": {"L-17": {"id": "L-17"}}}, None),
        ({"data": {"items": {"17": {"id": "17"}}}}, None),
        ({"found": {"17": {"id": "17"}}}, "found"),
    ],
)
def test_rejects_leads_in_an_object_keyed_by_id(platform, open_source, body, path):
    """The message says that they are not an array, and names the setting."""
    platform.serve("/v1/leads", body)

    with pytest.raises(Misconfigured, match=r"keyed by their ids.*oplead\.pagination\.items"):
        pull(open_source(pagination=PaginationOptions(items=path)))


@pytest.mark.parametrize(
    "body",
    [
        *({"rows": []}, {"data": [], "items": []}, {"data": None}, "text", 7, {}),
        {"results": [], "data": {"leads": [{"id": "L-1"}]}},
    ],
)
def test_rejects_an_answer_with_no_array_or_several(platform, open_source, body):
    """The error names the setting."""
    platform.serve("/v1/leads", body)

    with pytest.raises(Misconfigured, match=r"oplead\.pagination\.items"):
        pull(open_source())


def test_custom_field_name_labels_the_click_id_it_holds(platform, open_source, lead):
    """Two custom fields for two kinds yield both ids, whatever the UTM source."""
    paths = FieldPaths(click_id=("leadData.gclid", "leadData.fbclid"))
    ids = [{"name": "gclid", "value": "Cj0KCQjw-Abc"}, {"name": "fbclid", "value": "IwAR0aBcDeF"}]
    platform.serve("/v1/leads", [lead(1, leadData=ids)])

    read = pull(open_source(fields=paths))[0].leads[0]

    assert [("gclid", "Cj0KCQjw-Abc"), ("fbclid", "IwAR0aBcDeF")] == [(i.kind, i.value) for i in read.click_ids]


def test_options_repr_hides_the_token(open_source):
    """A traceback may print the repr."""
    assert "tok-" not in repr(open_source()._options)
    assert "tok-" not in repr(OpleadOptions(token="tok-1", zone=None))
