"""Oplead in every shape, through hand-written requests: each position of each axis, as it appears on the wire."""

import pytest

from connectors.sandbox.oplead.server import ADMIN_KEY, SUPPLIER_KEY, OpleadPlatform
from connectors.sandbox.oplead.shape import AXES, ApiShape
from connectors.sandbox.platform import Faults
from connectors.sandbox.server import Server
from tests.contract.sandbox.test_oplead import START

KEY = {"Authorization": f"Bearer {ADMIN_KEY}"}
LEAD = {
    "id": "L-7",
    "createdAt": "2026-07-01 09:12:44",
    "updatedAt": "2026-07-20 17:05:01",
    "status": "Gagné",
    "statusDate": "2026-07-20 17:05:01",
    "statusHistory": [
        {"status": "Nouveau", "date": "2026-07-01 09:12:44"},
        {"status": "Gagné", "date": "2026-07-20 17:05:01"},
    ],
    "leadData": {"externalID": "gclid=Abc", "consent": "oui", "utm_source": "google"},
    "contact": {"firstname": "Maëlle", "lastname": "Orvalais", "email": "m@example.org", "phone": "0199001234"},
    "address": {"postcode": "75011", "city": "Paris", "country": "FR"},
    "amount": "12 500,00 €",
    "channel": "Site web",
}
LIST = {
    "auth": {
        "bearer": ("GET /v1/leads", {"Authorization": "Bearer KEY"}),
        "authorization": ("GET /v1/leads", {"Authorization": "KEY"}),
        "x_api_key": ("GET /v1/leads", {"X-API-KEY": "KEY"}),
        "token_header": ("GET /v1/leads", {"X-Oplead-Auth": "Token KEY"}),
        "query_token": ("GET /v1/leads?token=KEY", {}),
        "query_api_key": ("GET /v1/leads?api_key=KEY", {}),
    },
    "path_prefix": {"/v1": "/v1/leads", "": "/leads", "/api/v1": "/api/v1/leads"},
    "lead_path": {"/leads": "/v1/leads/L-7", "/lead": "/v1/lead/L-7"},
    "envelope": {
        "data": lambda body: body["data"],
        "array": lambda body: body,
        "items": lambda body: body["items"],
        "results": lambda body: body["results"],
        "leads": lambda body: body["leads"],
        "data.items": lambda body: body["data"]["items"],
        "fiches": lambda body: body["fiches"],
        "included": lambda body: body["leads"],
    },
    "pagination": {
        "next_url": lambda answer: answer.json()["next"],
        "next_path": lambda answer: answer.json()["next"],
        "links_next": lambda answer: answer.json()["links"]["next"],
        "cursor": lambda answer: answer.json()["nextCursor"] and f"/v1/leads?cursor={answer.json()['nextCursor']}",
        "link_header": lambda answer: answer.headers["link"].partition('rel="first"')[2].strip(', <>rel="nxt;'),
        "page": ("/v1/leads", "/v1/leads?page=2", "/v1/leads?page=3"),
        "page_from_0": ("/v1/leads?page=0", "/v1/leads?page=1", "/v1/leads?page=2"),
        "offset": ("/v1/leads", "/v1/leads?offset=100", "/v1/leads?offset=200"),
        "none": ("/v1/leads",),
        "after_id": ("/v1/leads", "/v1/leads?after_id=L-99", "/v1/leads?after_id=L-199"),
    },
    "page_parameter": {name: f"/v1/leads?{name}=3" for name in ("page", "p", "pageNumber")},
    "offset_parameter": {name: f"/v1/leads?{name}=200" for name in ("offset", "skip")},
    "size_parameter": {name: f"/v1/leads?{name}=7" for name in ("size", "limit", "per_page")},
    "size_is": {"honoured": 7, "ignored": 100},
    "page_size": {100: 100, 20: 20, 25: 25, 50: 50},
    "page_total": {False: (None, None), True: (250, None), "header": (None, "250")},
    "past_end": {"empty": (200, []), "not_found": (404, None), "last_again": (200, list(range(200, 250)))},
    "unknown_parameters": {"refused": (400, 400), "ignored": (200, 200)},
    "filters": {
        True: ("updated_since=2026-07-20T17:03:20", [3, *range(200, 250)]),
        "updatedAfter": ("updatedAfter=2026-07-21", [3]),
        "modified_since": ("modified_since=1784559800", [3, *range(200, 250)]),
        "created_since": ("created_since=2026-07-01T09:04:00", [3, *range(240, 250)]),
        "date_from": ("date_from=2026-07-20T17:03:20&date_to=2026-07-20T17:03:31", range(200, 212)),
        False: ("", range(250)),
    },
    "order": {"oldest_first": list(range(250)), "newest_first": list(range(249, -1, -1))},
    "list_has_details": {True: LEAD, False: {**LEAD, "leadData": None}, "ids": {"id": "L-7"}},
}
"""How the list is requested and answered."""
WRITTEN = {
    "names": {
        "camel": ("createdAt", "statusHistory", "leadData", "externalID", "utm_source", "firstname", "postcode"),
        "snake": ("created_at", "status_history", "lead_data", "externalID", "utm_source", "first_name", "post_code"),
        "run_together": ("createdat", "statushistory", "leaddata", "externalID", "utmsource", "firstname", "postcode"),
        "french": ("dateCreation", "historique", "leadData", "externalID", "utm_source", "prenom", "codePostal"),
    },
    "ids": {"prefixed": "L-7", "int": 7, "uuid": "91084c30-fd06-5bd6-b788-885084267694"},
    "lead_data": {
        "object": LEAD["leadData"],
        "name_value": [
            {"name": "externalID", "value": "gclid=Abc"},
            {"name": "consent", "value": "oui"},
            {"name": "utm_source", "value": "google"},
        ],
        "key_value": [
            {"key": "externalID", "value": "gclid=Abc"},
            {"key": "consent", "value": "oui"},
            {"key": "utm_source", "value": "google"},
        ],
    },
    "external_id": {
        "externalID": ({"externalID": "gclid=Abc", "consent": "oui", "utm_source": "google"}, None),
        "externalId": ({"externalId": "gclid=Abc", "consent": "oui", "utm_source": "google"}, None),
        "external_id": ({"external_id": "gclid=Abc", "consent": "oui", "utm_source": "google"}, None),
        "tracking": ({"consent": "oui"}, {"externalID": "gclid=Abc", "utm_source": "google"}),
    },
    "status": {
        "label": ("Gagné", "Nouveau"),
        "code": ("WON", "NEW"),
        "label_code": ({"label": "Gagné", "code": "WON"}, {"label": "Nouveau", "code": "NEW"}),
        "id_name": ({"id": 6, "name": "Gagné"}, {"id": 1, "name": "Nouveau"}),
    },
    "status_dates": {
        "history": {"statusDate", "statusHistory"},
        "status_date": {"statusDate"},
        "none": set(),
    },
    "history_order": {"oldest": ["Nouveau", "Gagné"], "newest": ["Gagné", "Nouveau"]},
    "dates": {
        "naive": "2026-07-20 17:05:01",
        "iso": "2026-07-20T17:05:01+02:00",
        "french": "20/07/2026 17:05",
        "epoch_s": 1784559901,
        "epoch_ms": 1784559901000,
        "php": {"date": "2026-07-20 17:05:01.000000", "timezone_type": 3, "timezone": "Europe/Paris"},
    },
    "status_day": {"timed": "2026-07-20 17:05:01", "day": "2026-07-20"},
    "amounts": {"typed": "12 500,00 €", "number": 12500},
    "contact": {
        "nested": (LEAD["contact"], LEAD["address"], None, None),
        "flat": (None, None, None, "75011"),
        "customer": (None, None, {**LEAD["contact"], "address": LEAD["address"]}, None),
    },
}
"""What one lead looks like."""


def numbered(number):
    """Return one of 250 leads in order of change, except that number 3 is created and changed last."""
    minute, second = divmod(number, 60)
    made = f"2026-07-01 09:{minute:02}:{second:02}" if number != 3 else "2026-07-21 00:00:00"
    changed = f"2026-07-20 17:{minute:02}:{second:02}" if number != 3 else made
    return {**LEAD, "id": f"L-{number}", "createdAt": made, "updatedAt": changed}


@pytest.fixture
def oplead():
    """An Oplead with 250 leads."""
    population = {f"L-{number}": numbered(number) for number in range(250)}
    return OpleadPlatform(lambda: START, lambda _: population)


@pytest.fixture
def url(oplead):
    """The address of that Oplead."""
    with Server("oplead", oplead.handle, Faults(), lambda: START) as server:
        yield server.url


@pytest.fixture
def get(ask, url):
    """Read one page, by its path or whole address, with the admin's key as bearer."""
    return lambda path: ask(url, f"GET {path.removeprefix(url)}", headers=KEY)


def numbers(leads):
    """Return the ids of these leads as numbers, without their prefix."""
    return [int(lead["id"].removeprefix("L-")) for lead in leads]


def positions(axis, table=LIST):
    """Parametrize over each position of an axis, with its expectation from the table."""
    return pytest.mark.parametrize(("position", "expected"), list(table[axis].items()))


def test_every_position_has_a_case():
    """No position of an axis goes untested."""
    tables = {**LIST, **WRITTEN}

    assert {axis: set(known) for axis, known in AXES.items()} == {axis: set(tables[axis]) for axis in tables}


# ── keys and paths ───────────────────────────────────────────────────────────────────────────────


@positions("auth")
def test_key_is_accepted_only_where_it_belongs(ask, url, oplead, position, expected):
    """The admin's key reads, a supplier's is 403, and any other key or place is 401."""
    oplead.shape = ApiShape(auth=position)
    line, headers = expected

    def answered(key):
        shown = {name: value.replace("KEY", key) for name, value in headers.items()}
        return ask(url, line.replace("KEY", key), headers=shown).status

    others = [way for other, way in LIST["auth"].items() if other != position]
    strays = [
        ask(url, line.replace("KEY", ADMIN_KEY), headers={k: v.replace("KEY", ADMIN_KEY) for k, v in headers.items()})
        for line, headers in others
    ]

    assert (200, 403, 401) == (answered(ADMIN_KEY), answered(SUPPLIER_KEY), answered("another"))
    assert {401} == {answer.status for answer in strays}


def test_key_repeated_in_the_query_is_401(ask, url, oplead):
    """It would be ambiguous."""
    oplead.shape = ApiShape(auth="query_token")

    assert ask(url, f"GET /v1/leads?token={ADMIN_KEY}&token={ADMIN_KEY}").status == 401


def test_next_address_never_contains_the_key(ask, url, oplead):
    """Whoever follows it must send the key again."""
    oplead.shape = ApiShape(auth="query_token")

    answer = ask(url, f"GET /v1/leads?token={ADMIN_KEY}")

    assert ADMIN_KEY not in answer.json()["next"]


@positions("path_prefix")
def test_only_the_configured_prefix_is_served(get, oplead, position, expected):
    """This holds for the list and for leads."""
    oplead.shape = ApiShape(path_prefix=position)

    for path in LIST["path_prefix"].values():
        status = 200 if path == expected else 404
        assert (status, status) == (get(path).status, get(f"{path}/L-7").status)


@positions("lead_path")
def test_only_the_configured_lead_path_is_served(get, oplead, position, expected):
    """The other path is 404."""
    oplead.shape = ApiShape(lead_path=position)

    assert {path: 200 if path == expected else 404 for path in LIST["lead_path"].values()} == {
        path: get(path).status for path in LIST["lead_path"].values()
    }


# ── the list ─────────────────────────────────────────────────────────────────────────────────────


@positions("envelope")
def test_list_is_wrapped_in_its_envelope(get, oplead, position, expected):
    """Whatever the envelope, a page has a hundred leads."""
    oplead.shape = ApiShape(envelope=position, pagination="page")
    body = get("/v1/leads").json()

    assert list(range(100)) == numbers(expected(body))
    assert isinstance(body, list) == (position == "array")
    assert ("included" in body) == (position == "included")


def test_data_items_envelope_nests_total_and_next(get, oplead):
    """Both stand in `data`, beside `items`."""
    oplead.shape = ApiShape(envelope="data.items", page_total=True)

    assert {"items", "total", "next"} == set(get("/v1/leads").json()["data"])


@positions("pagination")
def test_each_pagination_lists_every_lead_once(get, url, oplead, position, expected):
    """Pages follow from the previous answer or by counting, in order."""
    oplead.shape = ApiShape(pagination=position)
    pages, path = [], "/v1/leads"
    if isinstance(expected, tuple):
        pages = [numbers(get(path).json()["data"]) for path in expected]
    else:
        while path:
            answer = get(path)
            pages.append(numbers(answer.json()["data"]))
            path = expected(answer)
            assert not path or path.startswith("/v1/leads?" if position in ("next_path", "cursor") else url)

    assert list(range(250)) == [number for page in pages for number in page]
    assert len(pages) == (1 if position == "none" else 3)


@positions("page_parameter")
def test_only_the_configured_page_parameter_works(get, oplead, position, expected):
    """The others are unknown."""
    oplead.shape = ApiShape(pagination="page", page_parameter=position)

    assert list(range(200, 250)) == numbers(get(expected).json()["data"])
    assert [400, 400] == [get(path).status for path in LIST["page_parameter"].values() if path != expected]


@positions("offset_parameter")
def test_only_the_configured_offset_parameter_works(get, oplead, position, expected):
    """The other is unknown, and the offset counts leads, not pages."""
    oplead.shape = ApiShape(pagination="offset", offset_parameter=position)

    assert list(range(200, 250)) == numbers(get(expected).json()["data"])
    assert [7, 8, 9] == numbers(get(expected.replace("200", "7") + "&size=3").json()["data"])
    assert [400] == [get(path).status for path in LIST["offset_parameter"].values() if path != expected]


@positions("size_parameter")
def test_only_the_configured_size_parameter_works(get, oplead, position, expected):
    """The others are unknown."""
    oplead.shape = ApiShape(pagination="page", size_parameter=position)

    assert list(range(7)) == numbers(get(expected).json()["data"])
    assert [400, 400] == [get(path).status for path in LIST["size_parameter"].values() if path != expected]


@positions("size_is")
def test_size_is_honoured_or_ignored(get, oplead, position, expected):
    """Where it is ignored, even an excessive size is accepted."""
    oplead.shape = ApiShape(pagination="page", size_is=position)

    assert expected == len(get("/v1/leads?size=7").json()["data"])
    assert (400 if position == "honoured" else 200) == get("/v1/leads?size=1000").status


@positions("page_size")
def test_page_size_is_configurable(get, oplead, position, expected):
    """It holds for numbered pages and for next addresses."""
    for pagination in ("page", "next_url"):
        oplead.shape = ApiShape(page_size=position, pagination=pagination)

        assert expected == len(get("/v1/leads").json()["data"])


@positions("page_total")
def test_total_appears_in_body_header_or_nowhere(get, oplead, position, expected):
    """It counts the whole list after filtering."""
    oplead.shape = ApiShape(page_total=position, filters=True)

    whole, filtered = get("/v1/leads"), get("/v1/leads?updated_since=2026-07-21")

    assert expected == (whole.json().get("total"), whole.headers.get("x-total-count"))
    assert expected == tuple(
        found and type(found)(int(found) + 249)
        for found in (filtered.json().get("total"), filtered.headers.get("x-total-count"))
    )


def test_after_id_refuses_an_unknown_id(get, oplead):
    """The id of a lead deleted meanwhile still works, in the form served."""
    oplead.shape = ApiShape(pagination="after_id", ids="int")
    oplead.delete_lead("L-7")

    assert 400 == get("/v1/leads?after_id=99999").status
    assert 8 == get("/v1/leads?after_id=7").json()["data"][0]["id"]
    assert [] == get("/v1/leads?after_id=249").json()["data"]


def test_date_from_and_date_to_must_be_given_together(get, oplead):
    """One alone is refused, even where unknown parameters are ignored."""
    for unknown in ("refused", "ignored"):
        oplead.shape = ApiShape(filters="date_from", unknown_parameters=unknown)

        assert [400, 400] == [get(f"/v1/leads?{name}=2026-07-20T17:03:20").status for name in ("date_from", "date_to")]
        assert 400 == get("/v1/leads?date_from=2026-07-20&date_to=demain").status


@positions("past_end")
def test_page_past_the_end_is_empty_missing_or_the_last(get, oplead, position, expected):
    """The rule holds for pages counted from 0 or 1, and for offsets."""
    status, leads = expected
    for pagination, query in (("page", "page=4"), ("page_from_0", "page=3"), ("offset", "offset=250")):
        oplead.shape = ApiShape(past_end=position, pagination=pagination)
        answer = get(f"/v1/leads?{query}")

        assert (status, leads) == (answer.status, numbers(answer.json()["data"]) if status == 200 else None)


@pytest.mark.parametrize("past_end", AXES["past_end"])
def test_first_page_of_an_empty_list_is_empty(get, oplead, past_end):
    """It does not lie past the end."""
    oplead.shape = ApiShape(past_end=past_end, pagination="page", filters=True)

    assert [] == get("/v1/leads?updated_since=2026-08-01").json()["data"]


@positions("unknown_parameters")
def test_unknown_parameters_are_refused_or_ignored(get, oplead, position, expected):
    """Where they are ignored, the last value of a repeated parameter counts."""
    oplead.shape = ApiShape(unknown_parameters=position, pagination="page")
    repeated = get("/v1/leads?page=1&page=3")

    assert expected == (get("/v1/leads?colour=red").status, get("/v1/leads/L-7?colour=red").status)
    assert expected[0] == repeated.status
    if repeated.status == 200:
        assert list(range(200, 250)) == numbers(repeated.json()["data"])


@positions("filters")
def test_filter_reads_only_its_own_parameter(get, oplead, position, expected):
    """The others are unknown, and a time in another form is refused."""
    oplead.shape = ApiShape(filters=position, pagination="none")
    query, listed = expected
    others = [other for other, (query, _) in LIST["filters"].items() if other != position and query]

    assert sorted(listed) == sorted(numbers(get(f"/v1/leads?{query}").json()["data"]))
    assert {400} == {get(f"/v1/leads?{LIST['filters'][other][0]}").status for other in others}
    assert not query or get(f"/v1/leads?{query.partition('=')[0]}=hier").status == 400


@positions("order")
def test_list_is_ordered_oldest_or_newest_first(get, oplead, position, expected):
    """The order holds for next addresses and for numbered pages."""
    for pagination in ("next_url", "page"):
        oplead.shape = ApiShape(order=position, pagination=pagination)

        assert expected[:100] == numbers(get("/v1/leads").json()["data"])
    oplead.shape = ApiShape(order=position, pagination="next_url")
    assert expected[100:200] == numbers(get(get("/v1/leads").json()["next"]).json()["data"])


@positions("list_has_details")
def test_list_has_full_partial_or_id_only_leads(get, oplead, position, expected):
    """A lead's own page always has everything."""
    oplead.put("L-7", LEAD)
    oplead.shape = ApiShape(list_has_details=position)
    listed = get("/v1/leads").json()["data"][7]

    assert {name: value for name, value in expected.items() if value is not None} == listed
    assert LEAD == get("/v1/leads/L-7").json()


def test_list_without_details_omits_tracking(get, oplead):
    """The click id is a detail wherever it stands."""
    oplead.shape = ApiShape(list_has_details=False, external_id="tracking", names="snake")

    assert not {"lead_data", "tracking"} & set(get("/v1/leads").json()["data"][0])


# ── one lead ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def written(get, oplead):
    """Return a reader of LEAD in a given shape that requires list and detail to agree."""

    def read(path="L-7", **axes):
        oplead.put("L-7", LEAD)
        oplead.shape = ApiShape(pagination="none", **axes)
        lead = get(f"/v1/leads/{path}").json()
        assert lead == get("/v1/leads").json()["data"][7]
        return lead

    return read


@positions("names", WRITTEN)
def test_field_names_follow_one_convention(written, position, expected):
    """It applies at every depth, except to the spelling of the click id."""
    lead = written(names=position)
    created, history, data, click, utm, first, postcode = expected
    address = "adresse" if position == "french" else "address"

    assert LEAD["createdAt"] == lead[created]
    assert 2 == len(lead[history])
    assert ("gclid=Abc", "google") == (lead[data][click], lead[data][utm])
    assert "Maëlle" == lead["contact"][first]
    assert "75011" == lead[address][postcode]


def test_french_lead_has_french_names_throughout(written):
    """They are names that a French developer might have chosen."""
    lead = written(names="french", contact="flat")

    assert {
        "id",
        "dateCreation",
        "dateModification",
        "statut",
        "dateStatut",
        "historique",
        "leadData",
        "montant",
        "canal",
        "prenom",
        "nom",
        "email",
        "telephone",
        "codePostal",
        "ville",
        "pays",
    } == set(lead)
    assert {"statut": "Gagné", "date": "2026-07-20 17:05:01"} == lead["historique"][-1]
    assert {"externalID", "consentement", "utm_source"} == set(lead["leadData"])


@positions("ids", WRITTEN)
def test_lead_id_has_one_form(written, get, position, expected):
    """List, detail and path use the same form, and other forms are 404."""
    assert expected == written(path=expected, ids=position)["id"]
    assert [404, 404] == [get(f"/v1/leads/{other}").status for other in WRITTEN["ids"].values() if other != expected]


@positions("lead_data", WRITTEN)
def test_lead_data_is_an_object_or_pairs(written, position, expected):
    """A shape uses one form."""
    assert expected == written(lead_data=position)["leadData"]


def test_naming_convention_applies_to_pairs(written):
    """The name in a pair is translated like any other."""
    lead = written(lead_data="name_value", names="french")

    assert {"name": "consentement", "value": "oui"} in lead["leadData"]


@positions("external_id", WRITTEN)
def test_click_id_stands_in_lead_data_or_tracking(written, position, expected):
    """Within leadData its name has one of three spellings."""
    lead = written(external_id=position)

    assert expected == (lead["leadData"], lead.get("tracking"))


@positions("status", WRITTEN)
def test_status_has_one_form(written, position, expected):
    """The history uses it too."""
    lead = written(status=position)
    now, first = expected

    assert (now, first, now) == (lead["status"], *(entry["status"] for entry in lead["statusHistory"]))


def test_renamed_label_keeps_its_status_code(get, oplead):
    """A new label gets a code of its own: people see labels, software uses codes."""
    oplead.shape = ApiShape(status="label_code")
    found = {}
    for label in ("RDV pris", "Rendez-vous fixé", "À requalifier"):
        oplead.put("L-7", {**LEAD, "status": label})
        found[label] = get("/v1/leads/L-7").json()["status"]["code"]

    assert {"RDV pris": "MEETING_SET", "Rendez-vous fixé": "MEETING_SET", "À requalifier": "A_REQUALIFIER"} == found


@positions("status_dates", WRITTEN)
def test_status_dates_follow_the_shape(written, position, expected):
    """A lead has date and history, the date alone, or neither."""
    assert expected == {"statusDate", "statusHistory"} & set(written(status_dates=position))


@positions("history_order", WRITTEN)
def test_history_is_ordered_oldest_or_newest_first(written, position, expected):
    """Only the order differs."""
    assert expected == [entry["status"] for entry in written(history_order=position)["statusHistory"]]


@positions("dates", WRITTEN)
def test_times_have_one_format(written, position, expected):
    """It applies to every time of a lead."""
    lead = written(dates=position)

    assert [expected] * 3 == [lead["updatedAt"], lead["statusDate"], lead["statusHistory"][-1]["date"]]


@positions("status_day", WRITTEN)
def test_status_dates_have_a_time_or_only_a_day(written, position, expected):
    """The lead's own times keep their time of day."""
    lead = written(status_day=position)

    assert [expected, expected] == [lead["statusDate"], lead["statusHistory"][-1]["date"]]
    assert LEAD["updatedAt"] == lead["updatedAt"]


@pytest.mark.parametrize(("dates", "day"), [("iso", "2026-07-20"), ("french", "20/07/2026")])
def test_status_day_follows_the_date_format(written, dates, day):
    """Only the time of day is left out."""
    assert day == written(dates=dates, status_day="day")["statusDate"]


@pytest.mark.parametrize("dates", AXES["dates"])
def test_invalid_time_is_served_unchanged(get, oplead, dates):
    """It is invalid on purpose."""
    oplead.shape = ApiShape(dates=dates)
    oplead.put("L-7", {**LEAD, "createdAt": "31/02/2026 25:61"})

    assert "31/02/2026 25:61" == get("/v1/leads/L-7").json()["createdAt"]


@positions("amounts", WRITTEN)
def test_amount_is_text_or_a_number(written, position, expected):
    """Both mean the same euros."""
    assert expected == written(amounts=position)["amount"]


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("8900", 8900),
        ("8900,50", 8900.5),
        ("12\u202f500,00\u00a0€", 12500),
        (8900, 8900),
        ("sur devis", None),
        ("1.250", None),
    ],
)
def test_only_unambiguous_amounts_become_numbers(get, oplead, typed, number):
    """An ambiguous or missing amount is null."""
    oplead.shape = ApiShape(amounts="number")
    oplead.put("L-7", {**LEAD, "amount": typed})

    assert number == get("/v1/leads/L-7").json()["amount"]


@positions("contact", WRITTEN)
def test_contact_and_address_follow_the_shape(written, position, expected):
    """They are nested, flat, or together in `customer`."""
    lead = written(contact=position)

    assert expected == tuple(lead.get(name) for name in ("contact", "address", "customer", "postcode"))
    assert position != "flat" or LEAD["contact"].items() <= lead.items()


def test_malformed_leads_pass_every_axis(ask):
    """A lead that is not an object stays unchanged, even in a list of ids."""
    oplead = OpleadPlatform(lambda: START, lambda _: {"L-0": "Fiche archivée", "L-1": {"status": "Gagné"}})
    oplead.shape = ApiShape(names="french", ids="uuid", status="code", list_has_details="ids", contact="customer")
    with Server("oplead", oplead.handle, Faults(), lambda: START) as server:
        answer = ask(server.url, "GET /v1/leads", headers=KEY)

    assert ["Fiche archivée", {"id": None}] == answer.json()["data"]
