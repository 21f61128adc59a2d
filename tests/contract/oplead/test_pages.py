"""How the source follows the paginated list, over a real socket."""

from datetime import UTC, datetime
from itertools import islice
from urllib.parse import quote

import pytest

from connectors.errors import Misconfigured
from connectors.oplead.options import ApiAuthScheme, PaginationOptions, SinceQueryParameters


def nothing_known(_listed):
    """Treat every lead as new."""
    return ()


def pull(source, since=None, resume=None, find_known=nothing_known):
    """Read every page from a position on."""
    return list(source.fetch_changes(since, resume=resume, find_known=find_known))


def ids(pages):
    """The lead ids, page by page."""
    return [[lead.id for lead in page.leads] for page in pages]


def test_auto_follows_a_next_url_on_the_same_host(platform, open_source, lead):
    """The last page has no resume token."""
    platform.serve("/v1/leads", {"data": [lead(1)], "next": f"{platform.url}/v1/leads?cursor=b"})
    platform.serve("/v1/leads?cursor=b", {"data": [lead(2)], "next": None})

    pages = pull(open_source())

    assert [["L-1"], ["L-2"]] == ids(pages)
    assert ["target:/v1/leads?cursor=b", None] == [page.resume for page in pages]
    assert {"GET"} == platform.methods


def test_resume_token_starts_at_the_next_page(platform, open_source, lead):
    """Nothing before that page is requested."""
    platform.serve("/v1/leads", {"data": [lead(1)], "next": "/v1/leads?cursor=b"})
    platform.serve("/v1/leads?cursor=b", {"data": [lead(2)]})
    first_page = next(open_source().fetch_changes(None, resume=None, find_known=nothing_known))
    platform.asked.clear()

    assert [["L-2"]] == ids(pull(open_source(), resume=first_page.resume))
    assert ["/v1/leads?cursor=b"] == platform.asked


@pytest.mark.parametrize("token", ["page:3", "nonsense", "cursor", "offset:x"])
def test_resume_token_of_another_pagination_style_starts_over(platform, open_source, lead, token):
    """The token cannot be parsed, so the list is read from its start."""
    platform.serve("/v1/leads", {"data": [lead(1)]})

    assert [["L-1"]] == ids(pull(open_source(), resume=token))


def test_rejects_a_resume_token_that_points_to_another_host(platform, open_source):
    """It must not carry the bearer token there."""
    with pytest.raises(Misconfigured, match="another host"):
        pull(open_source(), resume="target://evil.example/v1/leads")

    assert [] == platform.asked


def test_stale_cursor_starts_over(platform, open_source, lead):
    """A cursor the platform no longer accepts costs a second reading, not the leads."""
    platform.serve("/v1/leads", {"data": [lead(1)]})

    assert [["L-1"]] == ids(pull(open_source(), resume="cursor:gone"))
    assert ["/v1/leads?cursor=gone", "/v1/leads"] == platform.asked


def test_rejects_a_next_url_on_another_host(platform, open_source, lead):
    """Following it would hand the token to a stranger."""
    platform.serve("/v1/leads", {"data": [lead(1)], "next": "http://evil.example/v1/leads?cursor=b"})

    with pytest.raises(Misconfigured, match="another host"):
        pull(open_source())


@pytest.mark.parametrize("style", ["auto", "link_header"])
def test_follows_a_link_header(platform, open_source, lead, reply, style):
    """A `Link` with `rel=next` is a self-describing next page."""
    link = {"Link": '</v1/leads?page=2>; rel="next"'}
    platform.serve("/v1/leads", reply([lead(1)], headers=link))
    platform.serve("/v1/leads?page=2", [lead(2)])

    assert [["L-1"], ["L-2"]] == ids(pull(open_source(pagination=PaginationOptions(style=style))))


@pytest.mark.parametrize(
    ("options", "path"),
    [
        (PaginationOptions(), "nextCursor"),
        (PaginationOptions(style="cursor"), "nextCursor"),
        (PaginationOptions(style="cursor", next="page_info", cursor_param="after"), "page_info"),
    ],
)
def test_follows_a_cursor(platform, open_source, lead, options, path):
    """The cursor goes back in its parameter, percent-encoded."""
    platform.serve("/v1/leads", {"items": [lead(1)], path: "a b/="})
    platform.serve(f"/v1/leads?{options.cursor_param}=a%20b%2F%3D", {"items": [lead(2)], path: ""})

    pages = pull(open_source(pagination=options))

    assert [["L-1"], ["L-2"]] == ids(pages)
    assert "cursor:a b/=" == pages[0].resume


def test_rejects_a_repeated_cursor(platform, open_source, lead):
    """A server that ignores our cursor parameter would be read forever."""
    platform.serve("/v1/leads", {"items": [lead(1)], "nextCursor": "b"})
    platform.serve("/v1/leads?cursor=b", {"items": [lead(2)], "nextCursor": "b"})

    with pytest.raises(Misconfigured, match="repeat"):
        pull(open_source())


@pytest.mark.parametrize("following", ["#", "?", "/v1/leads#page-2", "{url}/v1/leads"])
@pytest.mark.parametrize("style", ["auto", "link_header", "next_url"])
def test_rejects_a_next_page_that_was_already_requested(platform, open_source, reply, style, following):
    """An address that resolves to a page already read is refused without a second request, even if it has no lead."""
    address = following.format(url=platform.url)
    if style == "next_url":
        platform.serve("/v1/leads", {"data": [], "next": address})
    else:
        platform.serve("/v1/leads", reply({"data": []}, headers={"Link": f'<{address}>; rel="next"'}))

    with pytest.raises(Misconfigured, match="repeat"):
        pull(open_source(pagination=PaginationOptions(style=style)))

    assert ["/v1/leads"] == platform.asked


def test_short_page_does_not_end_a_numbered_list(platform, open_source, lead):
    """A platform that drops leads from a page after cutting it can serve full pages after a short one."""
    options = PaginationOptions(style="page", size_param="limit", size=2)
    platform.serve("/v1/leads?limit=2&page=1", [lead(1), lead(2)])
    platform.serve("/v1/leads?limit=2&page=2", [lead(3)])
    platform.serve("/v1/leads?limit=2&page=3", [lead(4), lead(5)])
    platform.serve("/v1/leads?limit=2&page=4", [])

    pages = pull(open_source(pagination=options))

    assert [["L-1", "L-2"], ["L-3"], ["L-4", "L-5"], []] == ids(pages)
    assert ["page:2", "page:3", "page:4", None] == [page.resume for page in pages]


@pytest.mark.parametrize("end", [[], "missing"])
def test_numbered_list_ends_with_an_empty_page_or_a_404(platform, open_source, lead, end):
    """A short page proves nothing: the platform may serve fewer leads than requested."""
    options = PaginationOptions(style="page", size_param="limit", size=100)
    platform.serve("/v1/leads?limit=100&page=1", [lead(1)])
    if end != "missing":
        platform.serve("/v1/leads?limit=100&page=2", end)

    pages = pull(open_source(pagination=options))

    assert [["L-1"], []] == ids(pages)
    assert ["page:2", None] == [page.resume for page in pages]


def test_rejects_a_server_that_ignores_the_page_number(platform, open_source, lead):
    """Serving the same page twice means that the parameter has another name."""
    platform.serve("/v1/leads?page=1", [lead(1)])
    platform.serve("/v1/leads?page=2", [lead(1)])

    with pytest.raises(Misconfigured, match=r"oplead\.pagination"):
        pull(open_source(pagination=PaginationOptions(style="page")))


def test_repeated_last_page_ends_the_list(platform, open_source, lead):
    """Once the page number has proved to work, the last page served again marks the end."""
    platform.serve("/v1/leads?page=1", [lead(1)])
    platform.serve("/v1/leads?page=2", [lead(2)])
    platform.serve("/v1/leads?page=3", [lead(2)])

    pages = pull(open_source(pagination=PaginationOptions(style="page")))

    assert [["L-1"], ["L-2"], ["L-2"]] == ids(pages)
    assert pages[-1].resume is None


def test_offset_advances_by_the_number_of_leads_served(platform, open_source, lead):
    """The page size requested does not count."""
    platform.serve("/v1/leads?offset=0", [lead(1), lead(2)])
    platform.serve("/v1/leads?offset=2", [lead(3)])

    assert [["L-1", "L-2"], ["L-3"], []] == ids(pull(open_source(pagination=PaginationOptions(style="offset"))))
    assert "/v1/leads?offset=3" == platform.asked[-1]


def test_rejects_more_pages_than_max_pages(platform, open_source, lead):
    """The limit bounds a list that never ends."""
    options = PaginationOptions(max_pages=1)
    platform.serve("/v1/leads", {"data": [lead(1)], "next": "/v1/leads?cursor=b"})

    with pytest.raises(Misconfigured, match="max_pages"):
        pull(open_source(pagination=options))


@pytest.mark.parametrize("count", [20, 25, 50, 100])
@pytest.mark.parametrize("wrap", [list, lambda leads: {"data": leads}], ids=["bare", "wrapped"])
def test_rejects_a_page_of_round_length_without_a_next_page(platform, open_source, lead, count, wrap):
    """Such a list may be cut; the error names the setting before any lead is read."""
    platform.serve("/v1/leads", wrap([lead(number) for number in range(count)]))

    with pytest.raises(Misconfigured, match=r"oplead\.pagination\.style"):
        next(open_source().fetch_changes(None, resume=None, find_known=nothing_known))


@pytest.mark.parametrize(("envelope", "style"), [({"next": None}, "auto"), ({"total": 20}, "auto"), ({}, "none")])
def test_accepts_a_page_of_round_length_known_to_be_complete(platform, open_source, lead, envelope, style):
    """An empty `next`, a total or `style: none` confirms that the page is the whole list."""
    platform.serve("/v1/leads", {"data": [lead(number) for number in range(20)], **envelope})

    assert 20 == len(ids(pull(open_source(pagination=PaginationOptions(style=style))))[0])


@pytest.mark.parametrize("told", [{"hasMore": True}, {"total": 9}, {"next": 2}, {"next": {"page": 2}}])
def test_auto_rejects_a_next_page_it_cannot_address(platform, open_source, lead, told):
    """It never guesses how to send back a number or a flag."""
    platform.serve("/v1/leads", {"data": [lead(1)], **told})

    with pytest.raises(Misconfigured, match=r"oplead\.pagination\.style"):
        pull(open_source())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("iso", "2026-07-20T22:30:00+00:00"),
        ("date", "2026-07-21"),
        ("epoch_s", "1784586600"),
        ("epoch_ms", "1784586600000"),
        ("%d/%m/%Y %H:%M", "21/07/2026 00:30"),
    ],
)
def test_sends_the_since_filter_on_every_page(platform, open_source, lead, written, expected):
    """The settings choose its format; a bare date is a day in the account's time zone."""
    since = datetime(2026, 7, 20, 22, 30, 0, 900_000, tzinfo=UTC)
    asked = f"updated_from={quote(expected, safe='')}"
    platform.serve(f"/v1/leads?{asked}&page=1", [lead(1)])
    platform.serve(f"/v1/leads?{asked}&page=2", [])
    source = open_source(
        since_filter=SinceQueryParameters("updated_from", written), pagination=PaginationOptions(style="page")
    )

    assert [["L-1"], []] == ids(pull(source, since))


@pytest.mark.parametrize(
    ("form", "from_", "until"),
    [("iso", "2026-07-20T22:30:00+00:00", "2026-07-21T03:30:00+00:00"), ("%d/%m/%Y", "21/07/2026", "21/07/2026")],
)
def test_sends_the_end_of_the_period_if_configured(platform, open_source, lead, *, form, from_, until):
    """It is the current time, formatted like the start; a full read sends neither."""
    asked = f"from={quote(from_, safe='')}&to={quote(until, safe='')}"
    platform.serve(f"/v1/leads?{asked}", {"data": [lead(1)]})
    platform.serve("/v1/leads", {"data": [lead(2)]})
    source = open_source(since_filter=SinceQueryParameters("from", form, "to"))

    assert [["L-1"]] == ids(pull(source, datetime(2026, 7, 20, 22, 30, tzinfo=UTC)))
    assert [["L-2"]] == ids(pull(source))


@pytest.mark.parametrize("detail", ["never", "always"])
def test_every_request_carries_the_extra_query_and_headers(platform, open_source, lead, detail):
    """Covers the list, detail pages, and next URLs, which may set the parameter themselves."""
    platform.serve("/v1/leads?archived=1", {"data": [lead(1)], "next": "/v1/leads?cursor=b"})
    platform.serve("/v1/leads?cursor=b&archived=1", {"data": [lead(2)], "next": "/v1/leads?archived=0&cursor=c"})
    platform.serve("/v1/leads?archived=0&cursor=c", {"data": []})
    platform.serve("/v1/leads/L-1?archived=1", lead(1))
    platform.serve("/v1/leads/L-2?archived=1", lead(2))
    more = {"X-Tenant": "durand", "accept": "application/vnd.api+json"}

    pages = pull(open_source(detail=detail, extra_query={"archived": "1"}, extra_headers=more))

    assert [["L-1"], ["L-2"], []] == ids(pages)
    sent = [{name.lower(): value for name, value in headers.items()} for headers in platform.headers]
    assert {("durand", "application/vnd.api+json", "Bearer tok-0123456789")} == {
        (one["x-tenant"], one["accept"], one["authorization"]) for one in sent
    }


@pytest.mark.parametrize("name", ["authorization", "x-key"])
def test_rejects_an_extra_header_that_would_replace_the_key(open_source, name):
    """The key has exactly one place in a request."""
    with pytest.raises(Misconfigured, match=r"oplead\.auth"):
        open_source(extra_headers={name: "abc"}, auth=ApiAuthScheme("header", "X-Key"))


def test_list_and_lead_paths_follow_the_settings(platform, open_source, lead):
    """The id is percent-encoded where the path has `{id}`."""
    platform.serve("/v1/crm/all", [{"id": "A/1", "createdAt": "2026-07-01"}])
    platform.serve("/v1/one-A%2F1/full", {**lead(1), "id": "A/1"})

    page = pull(open_source(leads_path="/crm/all", lead_path="/one-{id}/full"))[0]

    assert ["A/1"] == [one.id for one in page.leads]
    assert 1 == len(page.leads[0].click_ids)


@pytest.mark.parametrize("path", ["/leads", "/leads/{id}/{id}"])
def test_rejects_a_lead_path_without_exactly_one_id_placeholder(open_source, path):
    """The error names the setting."""
    with pytest.raises(Misconfigured, match=r"oplead\.lead_path"):
        open_source(lead_path=path)


@pytest.mark.parametrize(
    ("auth", "header", "query"),
    [
        (ApiAuthScheme(), ("Authorization", "Bearer tok-0123456789"), ""),
        (ApiAuthScheme("header", "X-API-KEY", "Key "), ("X-Api-Key", "Key tok-0123456789"), ""),
        (ApiAuthScheme("query", "token"), None, "?token=tok-0123456789"),
        (ApiAuthScheme("none"), None, ""),
    ],
)
def test_auth_settings_decide_where_the_token_goes(platform, open_source, lead, *, auth, header, query):
    """The key travels in a header, in the query, or not at all."""
    platform.serve(f"/v1/leads{query}", [lead(1)])

    pull(open_source(auth=auth))

    sent = {name.lower(): value for name, value in platform.headers[0].items()}
    assert header is None or header[1] == sent[header[0].lower()]
    assert (header is not None and header[0] == "Authorization") == ("authorization" in sent)


def test_strips_the_key_from_an_echoed_next_url(platform, open_source, lead, caplog):
    """Neither the resume token nor the log ever holds the key."""
    caplog.set_level("DEBUG")
    echoed = f"{platform.url}/v1/leads?token=tok-0123456789&cursor=b"
    platform.serve("/v1/leads?token=tok-0123456789", {"data": [lead(1)], "next": echoed})
    platform.serve("/v1/leads?cursor=b&token=tok-0123456789", {"data": [lead(2)]})

    pages = pull(open_source(auth=ApiAuthScheme("query", "token")))

    assert [["L-1"], ["L-2"]] == ids(pages)
    assert "target:/v1/leads?cursor=b" == pages[0].resume
    assert "tok-0123456789" not in caplog.text


def test_base_path_and_path_prefix_precede_the_list_path(platform, open_source, lead):
    """A gateway path and an empty prefix both work."""
    platform.serve("/gate/leads", [lead(1)])

    assert [["L-1"]] == ids(pull(open_source(base_url=platform.url + "/gate/", path_prefix="")))


def test_page_served_at_is_the_date_header(platform, open_source, lead):
    """`served_at` is the platform's own time."""
    platform.serve("/v1/leads", [lead(1)])

    assert datetime(2026, 7, 21, 3, 30, tzinfo=UTC) == pull(open_source())[0].served_at


# ── lists that shift, end too soon or state a total ──────────────────────────────────────────────


def numbered(platform, *pages, style="page"):
    """Serve these pages by number, followed by an empty one."""
    for number, page in enumerate((*pages, {"data": []}), start=1):
        platform.serve(f"/v1/leads?page={number}", page)
    return PaginationOptions(style=style)


def test_repeated_entry_marks_the_list_as_moved(platform, open_source, lead):
    """A lead added earlier pushed it on to the next page, so other leads may have been skipped elsewhere."""
    pages = ({"data": [lead(1), lead(2)]}, {"data": [lead(2), lead(3)]}, {"data": [lead(4), lead(5)]})

    read = pull(open_source(pagination=numbered(platform, *pages)))

    assert [["L-1", "L-2"], ["L-2", "L-3"], ["L-4", "L-5"], []] == ids(read)
    assert [False, True, True, True] == [page.moved for page in read]


def test_identical_entries_without_ids_do_not_mark_list_as_moved(platform, open_source, lead):
    """Nothing distinguishes them; each counts, so that none appears missing."""
    broken = "Fiche archivée"
    pages = ({"data": [lead(1), broken, broken], "total": 5}, {"data": [broken, lead(2)], "total": 5})

    read = pull(open_source(pagination=numbered(platform, *pages)))

    assert [(False, 0)] * 3 == [(page.moved, page.missing) for page in read]


@pytest.mark.parametrize(("others", "points_at_the_list"), [(0, True), (1, False)])
def test_suggests_another_items_path_if_no_entry_is_a_lead(platform, open_source, lead, *, others, points_at_the_list):
    """One bad entry among leads means that the list is the right one."""
    platform.serve("/v1/leads", {"data": ["Fiche archivée", *(lead(number + 1) for number in range(others))]})
    ((unreadable,),) = [page.unreadable for page in pull(open_source())]

    assert unreadable.reason.startswith("an entry of the list is no object (text, 14 characters)")
    assert points_at_the_list is ("oplead.pagination.items" in unreadable.reason)


@pytest.mark.parametrize(("totals", "moved"), [((4, 4), False), ((4, 5), True), ((5, 4), True)])
def test_changed_total_marks_the_list_as_moved(platform, open_source, lead, totals, moved):
    """A removed lead leaves no other trace, and shifts later ones past a page boundary."""
    first, second = totals
    pages = ({"data": [lead(1), lead(2)], "total": first}, {"data": [lead(3), lead(4)], "total": second})

    assert moved is pull(open_source(pagination=numbered(platform, *pages)))[-1].moved


def test_a_page_says_how_many_leads_there_are_in_all(platform, open_source, lead):
    """So that a reading can say how long the rest takes; one that begins in the middle cannot."""
    platform.serve("/v1/leads", {"data": [lead(1)], "total": 2, "next": "/v1/leads?cursor=b"})
    platform.serve("/v1/leads?cursor=b", {"data": [lead(2)], "total": 2})
    source = open_source()
    pages = pull(source)

    assert [2, 2] == [page.total for page in pages]
    assert [None] == [page.total for page in pull(open_source(), resume=pages[0].resume)]


def test_cursor_list_ignores_a_changed_total(platform, open_source, lead):
    """A cursor skips nothing when leads come and go, so the list neither moved nor lacks leads."""
    platform.serve("/v1/leads", {"data": [lead(1)], "total": 9, "nextCursor": "b"})
    platform.serve("/v1/leads?cursor=b", {"data": [lead(2)], "total": 8})

    assert [(False, 0), (False, 0)] == [(page.moved, page.missing) for page in pull(open_source())]


def test_page_count_named_total_is_not_the_total(platform, open_source, lead):
    """Some platforms give that name to the number of entries on the page."""
    pages = ({"data": [lead(1), lead(2)], "total": 2}, {"data": [lead(3)], "total": 1})

    read = pull(open_source(pagination=numbered(platform, *pages)))

    assert [(False, 0)] * 3 == [(page.moved, page.missing) for page in read]


ENDS_TOO_SOON = {
    "a next URL that is looked for where there is none": (
        PaginationOptions(style="next_url", next="paging.prev"),
        {"/v1/leads": {"paging": {"prev": None, "next": "/v1/leads?page=2"}}},
    ),
    "a list said to be one page": (PaginationOptions(style="none"), {"/v1/leads": {}}),
    "a first page that is the second": (
        PaginationOptions(style="page"),
        {"/v1/leads?page=1": {}, "/v1/leads?page=2": None},
    ),
    "an offset that is no offset": (
        PaginationOptions(style="offset", offset_param="page"),
        {"/v1/leads?page=0": {}, "/v1/leads?page=3": None},
    ),
}


@pytest.mark.parametrize("told", [250, "250"])
@pytest.mark.parametrize("case", ENDS_TOO_SOON)
def test_rejects_a_list_far_shorter_than_its_total(platform, open_source, lead, case, told):
    """The error comes after every page is handed out, so nothing read is lost, and names the settings."""
    options, pages = ENDS_TOO_SOON[case]
    for target, more in pages.items():
        leads = [] if more is None else [lead(1), lead(2), lead(3)]
        platform.serve(target, {"data": leads, "meta": {"total": told}, **(more or {})})
    walk = open_source(pagination=options).fetch_changes(None, resume=None, find_known=nothing_known)
    read = list(islice(walk, len(pages)))

    assert [["L-1", "L-2", "L-3"], *([[]] * (len(pages) - 1))] == ids(read)
    assert 247 == read[-1].missing
    with pytest.raises(Misconfigured, match=r"250 leads, and lists 3: see oplead\.pagination"):
        next(walk)


def test_reports_a_small_shortfall_against_the_total(platform, open_source, lead):
    """Platforms count leads that they do not show: a shortfall of up to one in fifty stops nothing."""
    pages = [{"data": [lead(100 * page + number) for number in range(98)], "total": 99 * 2} for page in range(2)]

    read = pull(open_source(pagination=numbered(platform, *pages)))

    assert [0, 0, 2] == [page.missing for page in read]


@pytest.mark.parametrize("resume", [None, "page:2"])
@pytest.mark.parametrize("since", [None, datetime(2026, 7, 20, tzinfo=UTC)])
def test_partial_reads_are_not_compared_with_the_total(platform, open_source, lead, resume, since):
    """Only a read from start to end can fall short; a filtered or resumed one cannot."""
    asked = "" if since is None else "from=2026-07-20&"
    platform.serve(f"/v1/leads?{asked}page=1", {"data": [lead(1)], "total": 90})
    platform.serve(f"/v1/leads?{asked}page=2", {"data": [lead(2)], "total": 90})
    platform.serve(f"/v1/leads?{asked}page=3", {"data": [], "total": 90})
    source = open_source(pagination=PaginationOptions(style="page"), since_filter=SinceQueryParameters("from", "date"))

    if resume is None and since is None:
        with pytest.raises(Misconfigured, match="lists 2"):
            pull(source, since, resume)
    else:
        assert {0} == {page.missing for page in pull(source, since, resume)}


def test_pagination_total_sets_the_path_of_the_total(platform, open_source, lead):
    """For platforms where another number has a total's usual name."""
    pages = ({"data": [lead(1)], "total": 90, "meta": {"count": 1}},)
    options = numbered(platform, *pages)

    with pytest.raises(Misconfigured, match=r"oplead\.pagination"):
        pull(open_source(pagination=options))
    assert [["L-1"], []] == ids(pull(open_source(pagination=PaginationOptions(style="page", total="meta.count"))))


@pytest.mark.parametrize("style", ["next_url", "cursor", "link_header"])
@pytest.mark.parametrize(
    ("envelope", "count"), [({"hasMore": True}, 1), ({"total": 9}, 1), ({}, 20)], ids=["more", "total", "round"]
)
def test_every_style_rejects_a_list_that_may_be_cut(platform, open_source, lead, *, style, envelope, count):
    """The first page names no next page although there is reason to expect one."""
    platform.serve("/v1/leads", {"data": [lead(number) for number in range(count)], **envelope})

    with pytest.raises(Misconfigured, match=r"may be cut.*oplead\.pagination\.style"):
        pull(open_source(pagination=PaginationOptions(style=style)))


@pytest.mark.parametrize("style", ["next_url", "cursor", "link_header"])
def test_accepts_a_round_number_of_changes_from_a_filtered_list(platform, open_source, lead, style):
    """Exactly twenty leads may well have changed since yesterday."""
    platform.serve("/v1/leads?from=2026-07-20", {"data": [lead(number) for number in range(20)]})
    source = open_source(pagination=PaginationOptions(style=style), since_filter=SinceQueryParameters("from", "date"))

    assert 20 == len(ids(pull(source, datetime(2026, 7, 20, tzinfo=UTC)))[0])


def test_empty_page_naming_a_next_page_continues_the_list(platform, open_source, lead):
    """A platform may drop leads from a page until none is left."""
    platform.serve("/v1/leads", {"data": [lead(1)], "nextCursor": "b"})
    platform.serve("/v1/leads?cursor=b", {"data": [], "nextCursor": "c"})
    platform.serve("/v1/leads?cursor=c", {"data": [lead(2)]})

    assert [["L-1"], [], ["L-2"]] == ids(pull(open_source()))


def test_three_empty_pages_end_a_list_naming_next_forever(platform, open_source, lead):
    """It would otherwise be followed up to `max_pages`."""
    platform.serve("/v1/leads", {"data": [lead(1)], "next": "/v1/leads?page=2"})
    for number in range(2, 9):
        platform.serve(f"/v1/leads?page={number}", {"data": [], "next": f"/v1/leads?page={number + 1}"})

    assert [["L-1"], [], [], []] == ids(pull(open_source()))


def test_repeated_single_page_is_the_whole_list_when_total_agrees(platform, open_source, lead):
    """A list of one page cannot show that the page number works."""
    platform.serve("/v1/leads?page=1", {"data": [lead(1)], "total": 1})
    platform.serve("/v1/leads?page=2", {"data": [lead(1)], "total": 1})

    assert [["L-1"], ["L-1"]] == ids(pull(open_source(pagination=PaginationOptions(style="page"))))


def test_last_page_padded_with_earlier_leads_ends_the_list(platform, open_source, lead):
    """An offset past the end may serve the last full page, whose leads have all been read."""
    platform.serve("/v1/leads?offset=0", [lead(1), lead(2)])
    platform.serve("/v1/leads?offset=2", [lead(3), lead(4)])
    platform.serve("/v1/leads?offset=4", [lead(5)])
    platform.serve("/v1/leads?offset=5", [lead(4), lead(5)])

    read = pull(open_source(pagination=PaginationOptions(style="offset")))

    assert [["L-1", "L-2"], ["L-3", "L-4"], ["L-5"], ["L-4", "L-5"]] == ids(read)
    assert not read[-1].moved


# ── lists paginated by the last id of a page ─────────────────────────────────────────────────────


AFTER = PaginationOptions(style="last_id", cursor_param="after")
NAMELESS = {"email": "jean.dupont@example.org", "phone": "0612345678"}


@pytest.mark.parametrize(
    "broken",
    [NAMELESS, {"id": None, **NAMELESS}, {"id": {"contact": NAMELESS}}, "jean.dupont@example.org", [{"id": "L-9"}]],
    ids=["no id", "null", "an object for an id", "text", "a list"],
)
def test_pagination_continues_after_the_last_entry_with_an_id(platform, open_source, lead, broken):
    """The rest of an entry is personal data: it is neither sent in a request nor kept."""
    platform.serve("/v1/leads", {"data": [lead(1), lead(2), broken]})
    platform.serve("/v1/leads?after=L-2", {"data": [broken, lead(3)]})
    platform.serve("/v1/leads?after=L-3", {"data": []})

    pages = pull(open_source(pagination=AFTER))

    assert [["L-1", "L-2"], ["L-3"], []] == ids(pages)
    assert ["cursor:L-2", "cursor:L-3", None] == [page.resume for page in pages]
    assert ["/v1/leads", "/v1/leads?after=L-2", "/v1/leads?after=L-3"] == platform.asked


def test_rejects_a_page_without_any_id_to_continue_from(platform, open_source, lead):
    """The message states only the page's length; earlier pages have been read."""
    platform.serve("/v1/leads", {"data": [lead(1)]})
    platform.serve("/v1/leads?after=L-1", {"data": [NAMELESS, {"id": {"contact": NAMELESS}}]})
    walk = open_source(pagination=AFTER).fetch_changes(None, resume=None, find_known=nothing_known)
    read = [next(walk)]

    with pytest.raises(Misconfigured, match=r"no id to go on after.* 2 leads: see oplead\.fields\.id") as refused:
        next(walk)
    assert [["L-1"]] == ids(read)
    assert "dupont" not in str(refused.value)
    assert ["/v1/leads", "/v1/leads?after=L-1"] == platform.asked
