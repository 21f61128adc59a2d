"""Click ids in every form that `leadData.externalID` may hold."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.oplead.options import UnlabelledClickIdRules
from connectors.oplead.parsing.click_ids import read_click_ids

PARIS = ZoneInfo("Europe/Paris")
GCLID = "Cj0KCQjwAbC-dEf_123456"
FBCLID = "IwAR0aBcDeFgHiJkLmNoP-qRs_7890"
FBC = f"fb.1.1784559901000.{FBCLID}"
OTHER = "0AAAAADxyzGHIJ-klmnop_q2"
CLICKED = datetime(2026, 7, 20, 15, 5, 1, tzinfo=UTC)
EARLIER = datetime(2026, 7, 1, 8, tzinfo=UTC)


def read(value, *, utm_source=None, bare="by_utm", bare_digits="reject", label=None):
    """Return the ids as (kind, value) pairs, and the problem."""
    rules = UnlabelledClickIdRules(bare=bare, bare_digits=bare_digits)
    ids, problem = read_click_ids(value, utm_source=utm_source, rules=rules, zone=PARIS, label=label)
    return [(one.kind.value, one.value) for one in ids], problem


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"gclid={GCLID}", [("gclid", GCLID)]),
        (f"gclid: {GCLID}", [("gclid", GCLID)]),
        (f"GCLID={GCLID}", [("gclid", GCLID)]),
        (f' "gclid" : "{GCLID}" ', [("gclid", GCLID)]),
        (f"gbraid={GCLID}", [("gbraid", GCLID)]),
        (f"wbraid:{GCLID}", [("wbraid", GCLID)]),
        (f"fbclid={FBCLID}", [("fbclid", FBCLID)]),
        ("msclkid=0123456789abcdef0123456789abcdef", [("msclkid", "0123456789abcdef0123456789abcdef")]),
        ("ttclid=E.C.P.CpcBgBkM_1", [("ttclid", "E.C.P.CpcBgBkM_1")]),
        (
            "li_fat_id=0c1c7f2e-6a8b-4f7e-9f0a-1234567890ab",
            [("li_fat_id", "0c1c7f2e-6a8b-4f7e-9f0a-1234567890ab")],
        ),
        (f"fbc={FBC}", [("fbc", FBC)]),
        (f"_fbc={FBC}", [("fbc", FBC)]),
        (f"fbclid={FBC}", [("fbc", FBC)]),
        ("_fbp=fb.1.1784559901000.1098115397", [("fbp", "fb.1.1784559901000.1098115397")]),
        ("lead_id=123456789012345", [("lead_id", "123456789012345")]),
        ("leadgen_id: l:12345678901234567", [("lead_id", "12345678901234567")]),
        (f"gclid={GCLID}&fbclid={FBCLID}", [("gclid", GCLID), ("fbclid", FBCLID)]),
        (f"gclid={GCLID};fbclid={FBCLID}", [("gclid", GCLID), ("fbclid", FBCLID)]),
        (f"gclid={GCLID} | fbclid={FBCLID}", [("gclid", GCLID), ("fbclid", FBCLID)]),
        (f"GCL.1755000000.{GCLID}|{FBC}", [("gclid", GCLID), ("fbc", FBC)]),
        (f"gclid={GCLID}, fbclid={FBCLID}", [("gclid", GCLID), ("fbclid", FBCLID)]),
        (f"gclid={GCLID}\nfbclid={FBCLID}", [("gclid", GCLID), ("fbclid", FBCLID)]),
        (f"gclid={GCLID}&gclid={GCLID}", [("gclid", GCLID)]),
        (f"?utm_source=google&gclid={GCLID}", [("gclid", GCLID)]),
        (f"https://www.example.fr/devis?a=1&gclid={GCLID}#top", [("gclid", GCLID)]),
        (f"https://www.example.fr/#/devis?gclid={GCLID}", [("gclid", GCLID)]),
        (quote(f"https://www.example.fr/?gclid={GCLID}", safe=""), [("gclid", GCLID)]),
        (f"https://a.fr/?to={quote(f'https://b.fr/?gclid={GCLID}', safe='')}", [("gclid", GCLID)]),
        ("gclid=Cj0KCQjw%2DAbC%5FdEf", [("gclid", "Cj0KCQjw-AbC_dEf")]),
        (json.dumps({"gclid": GCLID, "fbclid": ""}), [("gclid", GCLID)]),
        ({"gclid": GCLID, "FBCLID": FBCLID}, [("gclid", GCLID), ("fbclid", FBCLID)]),
        ({"type": "gclid", "value": GCLID}, [("gclid", GCLID)]),
        ([{"identifier": "gclid", "value": GCLID}], [("gclid", GCLID)]),
        ([{"titre": "gclid", "valeur": GCLID}], [("gclid", GCLID)]),
        ({"identifier": "CLK_1", "type": "gclid", "value": GCLID}, [("gclid", GCLID)]),
        ({"title": "Google", "type": "gclid", "value": GCLID}, [("gclid", GCLID)]),
        ([{"titre": "Google", "name": "Clic", "type": "gclid", "value": GCLID}], [("gclid", GCLID)]),
        ({"titre": "fbclid", "type": "gclid", "value": GCLID}, [("gclid", GCLID)]),
        ([{"name": "gclid", "value": GCLID}, {"name": "ref", "value": "12"}], [("gclid", GCLID)]),
        ({"leadgen_id": Decimal(123456789012345)}, [("lead_id", "123456789012345")]),
        ([f"gclid={GCLID}", f"fbclid={FBCLID}"], [("gclid", GCLID), ("fbclid", FBCLID)]),
        (f"Google click ID : {GCLID}", [("gclid", GCLID)]),
        (f"Google click ID\N{NO-BREAK SPACE}: {GCLID}", [("gclid", GCLID)]),
        (f"Google Click ID\N{NARROW NO-BREAK SPACE}:\N{NO-BREAK SPACE}{GCLID}", [("gclid", GCLID)]),
        ({"Google click ID": GCLID}, [("gclid", GCLID)]),
        (f"Google click ID : {GCLID} ; Facebook click ID : {FBCLID}", [("gclid", GCLID), ("fbclid", FBCLID)]),
    ],
)
def test_reads_a_labelled_click_id_as_the_kind_it_states(value, expected):
    """Labels, URLs, objects and pairs decide by themselves, whatever the settings for bare values."""
    assert (expected, None) == read(value, bare="reject")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (FBC, ("fbc", FBC)),
        ("fb.1.1784559901000.1098115397", ("fbp", "fb.1.1784559901000.1098115397")),
        ("l:123456789012345", ("lead_id", "123456789012345")),
    ],
)
def test_recognises_meta_ids_without_a_label(value, expected):
    """Their form identifies the kind."""
    assert ([expected], None) == read(value, bare="reject")


@pytest.mark.parametrize(
    ("bare", "utm_source", "kind"),
    [
        ("gclid", None, "gclid"),
        ("fbclid", "google", "fbclid"),
        ("by_utm", "google", "gclid"),
        ("by_utm", "Google Ads", "gclid"),
        ("by_utm", "adwords", "gclid"),
        ("by_utm", "facebook.com", "fbclid"),
        ("by_utm", "IG", "fbclid"),
        ("by_utm", "fb_ads", "fbclid"),
        ("by_utm", "bing", None),
        ("by_utm", "google-facebook", None),
        ("by_utm", None, None),
        ("reject", "google", None),
    ],
)
def test_bare_value_kind_follows_the_settings(bare, utm_source, kind):
    """The UTM source or a fixed kind decides, or nothing; a rejection names the setting."""
    ids, problem = read(GCLID, bare=bare, utm_source=utm_source)

    assert ([(kind, GCLID)] if kind else []) == ids
    assert (kind is None) == ("click_ids.bare" in (problem or ""))


@pytest.mark.parametrize(
    "value",
    [
        "0c1c7f2e-6a8b-4f7e-9f0a-1234567890ab",
        "jeanne.martin@example.org",
        "12345",
        "06 12 34 56 78",
        "2026-07-20",
        "CNL_0123456789abcdef",
        "REF-2026-1",
        "formulaire-contact-site-web",
        "appelé le 12, rappeler 2026",
        "https://www.example.fr/devis?utm_source=google",
        "ref=Cj0KCQjwAbC-dEf_123456",
        "gclid=undefined",
        {"fbclid": "fbclid"},
        "gclid=gclid_ts",
        "gclid=0c1c7f2e-6a8b-4f7e-9f0a-1234567890ab",
        "gclid=12345678",
        "gclid=CNL_42aaaa",
        "lead_id=1.23456789012345E+16",
        "1.234567890123456E16",
        "lead_id=1234",
        "fbc=IwAR0aBcDeFgHiJkLmNoP",
        "fb.1.0000000000000.IwAR0aBcDeF",
        f"gclid={FBC}",
        "123456789012345",
        Decimal(123456789012345),
        "x" * 9000,
        {"ref": GCLID},
        "fb.1.178455990100",
        "fb.1.1784559901.IwAR0aBcDeFgHiJkLmNoP",
        "fb.9.1784559901000.IwAR0aBcDeFgHiJkLmNoP",
        "fbclid=fb.1.17845599",
        '{"gclid": "Cj0KCQjwAbC-dEf',
        "gclid=Cj0KCQjwAbC...",
        "gclid=jeanne'martin@example.org",
        "gclid=jeanne'@example.org",
        f"GCL.{GCLID}",
        f"gclid=GCL.17845599.{GCLID}",
        f"_gcl_aw=GCL.0000000001.{GCLID}",
        f"fbclid=GCL.1784559901.{GCLID}",
        "GCL.1784559901.12345678",
        [[[[[f"gclid={GCLID}"]]]]],
        True,
    ],
)
def test_leaves_out_anything_else_with_a_reason(value):
    """Suppliers keep their own references there; the reason shows the shape, never the value."""
    ids, problem = read(value, bare="by_utm", utm_source="google")

    assert [] == ids
    assert problem
    assert not any(part in problem for part in ("jeanne", "0c1c", "1234567", "IwAR", "Cj0", "REF", "appel"))


@pytest.mark.parametrize("value", [None, "", "  ", [], {}, [""], "{}", {"gclid": None}])
def test_empty_value_is_not_a_problem(value):
    """An empty field needs no message."""
    assert ([], None) == read(value)


def test_bare_digits_are_a_lead_id_only_when_configured():
    """A long number may just as well be anyone's reference."""
    assert [("lead_id", "123456789012345")] == read("123456789012345", bare_digits="lead_id")[0]


def test_field_name_labels_a_bare_value():
    """A value in `leadData.gbraid` is a gbraid."""
    assert [("gbraid", GCLID)] == read(GCLID, bare="reject", label="gbraid")[0]


@pytest.mark.parametrize(
    "value",
    [
        FBC,
        f"gclid={GCLID}&gclid_ts=1784559901",
        f"gclid={GCLID}&gclid_ts=1784559901000",
        f"gclid={GCLID}&gclid_ts=2026-07-20T15%3A05%3A01Z",
        f"gclid={GCLID}; gclid_ts: 2026-07-20 17:05:01",
        f"gbraid={GCLID}&gclid_ts=1784559901",
        f"fbclid={FBCLID}&fbclid_ts=1784559901",
        {"gclid": GCLID, "gclidTs": Decimal(1784559901)},
    ],
)
def test_keeps_a_click_time_captured_with_the_id(value):
    """It is the time inside an fbc, or the one beside the id."""
    ids, _ = read_click_ids(value, utm_source=None, rules=UnlabelledClickIdRules(bare="reject"), zone=PARIS)

    assert [CLICKED] == [one.clicked_at for one in ids]


@pytest.mark.parametrize(
    "value",
    [
        f"gclid={GCLID}&gclid_ts=2026-07-01T08:00:00Z&gbraid={OTHER}&gbraid_ts=1784559901",
        f"gbraid={OTHER}&gbraid_ts=1784559901&gclid={GCLID}&gclid_ts=2026-07-01T08:00:00Z",
        {"gbraidTs": Decimal(1784559901), "wbraid": OTHER, "gclid_ts": "2026-07-20T15:05:01Z"},
        f"msclkid={OTHER}&msclkid_ts=1784559901",
    ],
)
def test_time_of_one_kind_wins_over_the_time_for_all_of_googles(value):
    """Two clicks of one person have two times, in whatever order they are written."""
    ids, _ = read_click_ids(value, utm_source=None, rules=UnlabelledClickIdRules(bare="reject"), zone=PARIS)

    times = {one.value: one.clicked_at for one in ids}
    assert CLICKED == times[OTHER]
    assert EARLIER == times.get(GCLID, EARLIER)


@pytest.mark.parametrize("value", [f"gclid={GCLID}&gclid_ts=soon", f"gclid={GCLID}&fbclid_ts=1784559901"])
def test_ignores_a_time_that_does_not_belong_to_the_id(value):
    """It is unreadable, or labelled for another kind."""
    ids, _ = read_click_ids(value, utm_source=None, rules=UnlabelledClickIdRules(bare="reject"), zone=PARIS)

    assert [None] == [one.clicked_at for one in ids]


@pytest.mark.parametrize(
    "value",
    [
        f"GCL.1784559901.{GCLID}",
        f"GCL.1784559901000.{GCLID}",
        f"_gcl_aw=GCL.1784559901.{GCLID}",
        f"gclid=GCL.1784559901.{GCLID}",
        f"Google click ID : GCL.1784559901.{GCLID}",
        {"_gcl_aw": f"GCL.1784559901.{GCLID}"},
        f"_ga=GA1.2.3; _gcl_aw=GCL.1784559901.{GCLID}; x=y",
        f"gclid={GCLID}&_gcl_aw=GCL.1784559901.{GCLID}",
        f"_gcl_aw=GCL.1784559901.{GCLID}&gclid={GCLID}",
        f"_gcl_aw=GCL.1784559901.{GCLID}&gclid={GCLID}&gclid_ts=2026-07-01T08:00:00Z",
    ],
)
def test_googles_cookie_is_read_as_the_click_and_its_time(value):
    """What Google knows is the id inside; the cookie's own time is the click's, beside whatever else is written."""
    ids, problem = read_click_ids(value, utm_source=None, rules=UnlabelledClickIdRules(bare="reject"), zone=PARIS)

    assert [("gclid", GCLID, CLICKED)] == [(one.kind.value, one.value, one.clicked_at) for one in ids]
    assert problem is None


@pytest.mark.parametrize("turned", [False, True])
def test_each_of_two_cookies_keeps_its_own_time(turned):
    """So that of two clicks the latest before a change can be told."""
    cookies = [f"_gcl_aw=GCL.1784559901.{GCLID}", f"GCL.1782892800.{OTHER}"]
    value = cookies[::-1] if turned else cookies

    ids, _ = read_click_ids(value, utm_source=None, rules=UnlabelledClickIdRules(bare="reject"), zone=PARIS)

    assert {GCLID: CLICKED, OTHER: EARLIER} == {one.value: one.clicked_at for one in ids}


fragments = [
    "_gcl_aw=",
    "GCL.1784559901.",
    "gclid",
    "fbclid",
    "fbc",
    "fbp",
    "lead_id",
    "gclid_ts",
    "li_fat_id",
    "=",
    ":",
    "&",
    ";",
    "|",
    ",",
    "%",
    "%3D",
    "%26",
    "?",
    "#",
    "{",
    "[",
    "l:",
    "https://a.fr/",
]
parts = st.sampled_from([*fragments, " ", "\n", '"', "fb.1.1784559901000.", GCLID, FBCLID])
texts = st.lists(parts | st.text(max_size=6), max_size=12).map("".join)
values = st.recursive(
    st.none() | st.booleans() | st.decimals() | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["gclid", "fbc", "name", "value", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
utm_sources = st.none() | st.sampled_from(["google", "fb", "bing"]) | st.text(max_size=5)
ruling = st.builds(
    UnlabelledClickIdRules,
    bare=st.sampled_from(["by_utm", "gclid", "fbclid", "reject"]),
    bare_digits=st.sampled_from(["reject", "lead_id"]),
)


def leaves(value):
    """Every text in a value."""
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [str(value)]


def decoded(text):
    """A text as it is, then percent-decoded up to four times."""
    yield text
    for _ in range(4):
        text = unquote(text)
        yield text


@settings(deadline=None)
@given(values, utm_sources, ruling)
def test_reading_never_fails_or_invents_an_id(value, utm_source, rules):
    """Every id occurs in the input verbatim, so its case is preserved."""
    ids, problem = read_click_ids(value, utm_source=utm_source, rules=rules, zone=PARIS)

    sources = [form for leaf in leaves(value) for form in decoded(leaf)]
    assert all(any(one.value in source for source in sources) for one in ids)
    assert not (ids and problem)


ids_written = st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{18,90}[0-9]", fullmatch=True).filter(
    lambda text: not text.upper().startswith("CNL_")
)


@settings(deadline=None)
@given(ids_written, st.sampled_from(["gclid={}", "gclid:{}", "https://a.fr/?x=1&gclid={}&y=2#z", '{{"gclid":"{}"}}']))
def test_returns_a_labelled_id_verbatim(written, form):
    """The surrounding text does not matter."""
    assert ([("gclid", written)], None) == read(form.format(written))
