"""What `probe` discovers about platforms of many kinds, over a real socket."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import httpx
import pytest

from connectors.errors import Misconfigured, Transient
from connectors.oplead.client import OpleadClient
from connectors.oplead.options import ApiAuthScheme, FieldPaths, OpleadOptions, PaginationOptions, SinceQueryParameters
from connectors.oplead.probe import OpleadProbe
from connectors.oplead.probe.probe import MAX_REQUESTS
from connectors.rate_limit import Pacer
from tests import suite

TOKEN = "tok-0123456789"
FIRST = datetime(2026, 3, 1, 8, tzinfo=UTC)
LABELS = ("Nouveau", "En cours", "Gagné")
PEOPLE = ("Jeanne Dufour-Legrand", "jeanne.dufour@example.org", "06 39 98 12 34")
LATE = timedelta(days=40)

strictly = pytest.mark.parametrize(
    "strict", [pytest.param(False, id="lenient", marks=pytest.mark.exhaustive), pytest.param(True, id="strict")]
)
in_an_order = pytest.mark.parametrize(
    ("strict", "newest_first"),
    [
        pytest.param(False, True, marks=pytest.mark.exhaustive),
        (True, False),
        pytest.param(True, True, marks=pytest.mark.exhaustive),
    ],
)


def lead(number, **more):
    """Build a lead created five hours after the previous one; every third changed long after its creation."""
    created = FIRST + timedelta(hours=5 * number)
    updated = created + (LATE if number % 3 == 0 else timedelta(hours=1))
    return {
        "id": f"L-{number}",
        "createdAt": created.isoformat(),
        "updatedAt": updated.isoformat(),
        "status": LABELS[number % 3],
        "leadData": {"externalID": f"gclid=Cj0KCQjwZq{number:04d}AbCdEfGhIjKlMnOpQrStUvWxYz", "consent": "oui"},
        "contact": {"lastname": PEOPLE[0], "email": PEOPLE[1], "phone": PEOPLE[2]},
        "utm_source": "google",
        **more,
    }


def leads(count, **more):
    """Build that many leads, oldest first."""
    return [lead(number, **more) for number in range(count)]


@dataclass
class List:
    """A platform's list in one of its variants."""

    leads: list
    size: int = 20
    style: str = "page"
    param: str = "page"
    first: int = 1
    size_param: str | None = None
    strict: bool = False
    key: str | None = "data"
    told: dict = field(default_factory=dict)
    auth: tuple = ("Authorization", f"Bearer {TOKEN}")
    prefix: str = "/v1"
    filter: tuple | None = None
    """The filter's parameter, the field it compares, and its parser of times."""
    shown: tuple | None = None
    """The keys of a lead that the list shows; `None` shows all."""
    own_path: str = "/leads/"
    refused: tuple = ()
    """The leads whose own pages this key may not read."""
    past_end: str = "empty"
    filter_end: str | None = None
    """The parameter for the end of the period, if the filter requires both ends."""
    total_header: str | None = None
    """A header with the number of leads, wrong by `total_wrong`."""
    total_wrong: int = 0
    unknown: int = 400
    """The status for an unknown parameter when `strict`."""
    statuses: tuple = ()
    """What the platform's settings list at `statuses_path`."""
    statuses_path: str = ""

    def reply(self, platform, make, target):
        """Answer one request."""
        platform.asked.append(target)
        address = urlsplit(target)
        query = dict(parse_qsl(address.query))
        name, value = self.auth
        given = query.pop(name, None) if name.startswith("?") is False and name in query else None
        if given != value and platform.headers[-1].get(name) != value:
            return make({"error": "who is there"}, 401)
        if address.path.startswith(self.prefix + self.own_path):
            if address.path.rpartition("/")[2] in self.refused:
                return make({"error": "not for you"}, 403)
            own = next((one for one in self.leads if address.path.endswith(f"/{next(iter(one.values()))}")), None)
            return make({"data": own}) if own else make({"error": "no lead"}, 404)
        if address.path == f"{self.prefix}{self.statuses_path}":
            return make({"data": self.statuses})
        if address.path != f"{self.prefix}/leads":
            return make({"error": "no page"}, 404)
        known = {self.param, self.size_param, self.filter[0] if self.filter else None, self.filter_end}
        if self.strict and (unknown := set(query) - known):
            return make({"error": f"unknown parameter {min(unknown)}"}, self.unknown)
        if self.filter_end and (self.filter_end in query) != (self.filter[0] in query):
            if self.strict:
                return make({"error": "give both ends of the time"}, 400)
            query.pop(self.filter[0], None)
        return self._page(platform, make, query)

    def _page(self, platform, make, query):
        wanted = list(self.leads)
        if self.filter and self.filter[0] in query:
            _, compared, read = self.filter
            try:
                since = read(query[self.filter[0]])
            except ValueError:
                return make({"error": "what time is that"}, 400)
            wanted = [one for one in wanted if datetime.fromisoformat(one[compared]) >= since]
        size = int(query.get(self.size_param, self.size)) if self.size_param else self.size
        start = self._start(query, size)
        if start and start >= len(wanted) and self.past_end != "empty":
            if self.past_end == "missing":
                return make({"error": "no such page"}, 404)
            start = (len(wanted) - 1) // size * size
        page = wanted[start : start + size] if self.style != "none" else wanted
        shown = [one if self.shown is None else {name: one[name] for name in self.shown} for one in page]
        body = {self.key: shown, **self.told} if self.key else shown
        headers = {self.total_header: str(len(wanted) + self.total_wrong)} if self.total_header else {}
        following = start + size if start + size < len(wanted) else None
        match self.style:
            case "next_url":
                body["next"] = f"{platform.url}{self.prefix}/leads?{self.param}={following}" if following else None
            case "next_elsewhere":
                page_number = (following or 0) // size + 1
                body["next"] = f"http://inside.example/leads?{self.param}={page_number}" if following else None
            case "cursor":
                body["nextCursor"] = f"c{following}" if following else None
            case "link":
                link = f'<{self.prefix}/leads?{self.param}={following}>; rel="next"'
                headers |= {"Link": link} if following else {}
        return make(body, headers=headers)

    def _start(self, query, size):
        number = query.get(self.param, "")
        match self.style:
            case "page" | "next_elsewhere":
                return (int(number) - self.first) * size if number else 0
            case "none":
                return 0
            case "elsewhere":
                return size if number else 0
            case "after_id":
                ids = [one["id"] for one in self.leads]
                return ids.index(number) + 1 if number in ids else 0
            case "pages_skipped":
                return int(number or 0) * size
        return int(number.lstrip("c")) if number.lstrip("c").isdecimal() else 0


@pytest.fixture
def probe(platform, clock, reply):
    """Probe a list: `probe(List(…), **options)`."""

    def look(listed, *, count=300, rate=90, **options):
        platform.reply = lambda target: listed.reply(platform, reply, target)
        given = {"token": TOKEN, "zone": ZoneInfo("Europe/Paris"), "base_url": platform.url, **options}
        look.made = OpleadProbe(
            OpleadClient(
                OpleadOptions(**given),
                clock=clock,
                pacer=Pacer(clock, rate),
                timeout=httpx.Timeout(5.0),
                jitter=lambda: 1.0,
            ),
            per_minute=rate,
            readable=lambda written: str(written) != "sur devis",
            fold=str.casefold,
        )
        return look.made.survey(leads=count)

    return look


def iso(text):
    """Parse a time with its zone."""
    return datetime.fromisoformat(text)


def day(text):
    """Parse a bare day."""
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)


def seconds(text):
    """Parse seconds since 1970."""
    return datetime.fromtimestamp(int(text), UTC)


# ── statuses ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/settings/statuses", "/settings/lead-statuses", "/settings/statuts"])
def test_a_code_has_the_words_of_the_platforms_settings(probe, platform, path):
    """Leads show only numbers; the settings say what they mean, under any of the usual names."""
    coded = [{**one, "status": number % 2 + 14} for number, one in enumerate(leads(30))]
    listed = ({"identifier": 14, "name": "Rendez-vous"}, {"cle": "15", "titre": "Gagné"}, {"id": 16})
    found = probe(List(coded, statuses=listed, statuses_path=path)).labels

    assert {"14": "Rendez-vous", "15": "Gagné"} == {one.label: one.words for one in found}
    assert len([asked for asked in platform.asked if "/settings/" in asked]) <= 4


def test_labels_need_no_settings_and_codes_without_any_have_an_example(probe, platform):
    """Nothing is asked where leads say what they are."""
    assert {""} == {one.words for one in probe(List(leads(30))).labels}
    assert [] == [asked for asked in platform.asked if "/settings/" in asked]

    coded = [{**one, "status": 14} for one in leads(30)]
    assert [("", True)] == [(one.words, one.example.startswith("L-")) for one in probe(List(coded)).labels]


# ── access ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("auth", "written"),
    [
        (("Authorization", f"Bearer {TOKEN}"), None),
        (("X-API-KEY", TOKEN), {"style": "header", "name": "X-API-KEY"}),
        (("Authorization", TOKEN), {"style": "header", "name": "Authorization"}),
        (("Authorization", f"Token {TOKEN}"), {"style": "header", "name": "Authorization", "prefix": "Token "}),
        (("apikey", TOKEN), {"style": "header", "name": "apikey"}),
        (("X-Auth-Token", TOKEN), {"style": "header", "name": "X-Auth-Token"}),
        (("token", TOKEN), {"style": "header", "name": "token"}),
        (("access_token", TOKEN), {"style": "query", "name": "access_token"}),
    ],
)
def test_finds_how_the_platform_expects_the_token(probe, auth, written):
    """Every usual header and query parameter is tried; the suggestion omits the default."""
    survey = probe(List(leads(30), auth=auth))

    assert written == survey.suggestion.get("auth")
    assert survey.are_leads_readable


def test_tries_the_token_in_the_url_only_last(probe, platform):
    """Servers and proxies log URLs."""
    probe(List(leads(30), auth=("token", TOKEN)))

    assert not any(TOKEN in target for target in platform.asked)


def test_token_refused_everywhere_names_the_settings_to_check(probe, platform):
    """Nothing is guessed: the operator reads the header's name in Oplead's own documentation."""
    with pytest.raises(Misconfigured, match=r"oplead\.token.*oplead\.auth"):
        probe(List(leads(3), auth=("X-Nobody-Knows", TOKEN)))

    assert 10 == len(platform.asked)


def test_reports_a_key_without_permission_to_read_leads(probe, platform, reply):
    """A 403 for one way of sending the token means that Oplead recognises it there."""
    listed = List(leads(3))

    def answer(*_):
        shown = platform.headers[-1].get("Authorization") == f"Bearer {TOKEN}"
        return reply({"error": "no"}, 403 if shown else 401)

    listed.reply = answer

    with pytest.raises(Misconfigured, match=r"lets it read no leads \(403, sent as Authorization: Bearer TOKEN\)"):
        probe(listed)


@pytest.mark.parametrize("prefix", ["/crm/api/v1", "/crm/v1", "/crm"])
def test_finds_the_path_prefix_below_the_configured_one(probe, prefix):
    """The address given may lack its last part."""
    assert prefix == probe(List(leads(30), prefix=prefix), path_prefix="/crm").suggestion["path_prefix"]


@pytest.mark.parametrize("prefix", ["", "/api", "/api/v1"])
def test_finds_the_path_prefix(probe, prefix):
    """A 404 means another prefix, even when the token goes elsewhere than configured."""
    survey = probe(List(leads(30), prefix=prefix, auth=("X-API-KEY", TOKEN)))

    assert prefix == survey.suggestion["path_prefix"]
    assert "X-API-KEY" == survey.suggestion["auth"]["name"]


def test_does_not_follow_a_redirect(probe, platform, reply):
    """The token would go along; the message says which setting to change."""
    listed = List(leads(3))
    listed.reply = lambda *_: reply({}, 301, headers={"Location": "http://evil.example/v1/leads"})

    with pytest.raises(Misconfigured, match=r"redirects are not followed.*oplead\.base_url"):
        probe(listed)

    assert {"GET"} == platform.methods


def test_failing_platform_raises_transient_instead_of_blaming_settings(probe, reply):
    """The probe gives up while the platform is down."""
    listed = List(leads(3))
    listed.reply = lambda *_: reply({}, 503)

    with pytest.raises(Transient):
        probe(listed)


def test_tries_the_configured_settings_first(probe, platform):
    """If they work, they stay in the suggestion and no alternative is tried."""
    survey = probe(
        List(leads(45), auth=("X-Own", f"Key {TOKEN}")), auth=ApiAuthScheme(style="header", name="X-Own", prefix="Key ")
    )

    assert {"style": "header", "name": "X-Own", "prefix": "Key "} == survey.suggestion["auth"]
    assert not any("token=" in target for target in platform.asked)


# ── the sandbox clock ────────────────────────────────────────────────────────────────────────────


def test_reports_a_frozen_clock_before_waiting_for_it(probe, platform, clock):
    """The clock is far from now and the same over several answers and seconds, so no minute would ever pass."""
    clock.time += timedelta(days=60)

    with pytest.raises(Misconfigured, match=r"stands still at 2026-07-21 03:30:00 UTC.*--clock URL"):
        probe(List(leads(65)))

    assert 3 == len(platform.asked)
    assert 10 > sum(clock.slept)


def test_wrong_but_running_clock_does_not_stop_the_probe(probe, platform, clock):
    """A Date that advances does not belong to a sandbox."""
    clock.time += timedelta(days=60)
    listed = List(leads(30))
    answer = listed.reply

    def ticking(*given):
        made = answer(*given)
        made.headers = {"Date": f"Tue, 21 Jul 2026 03:30:{len(platform.asked) % 60:02d} GMT", **made.headers}
        return made

    listed.reply = ticking

    assert 30 == probe(listed).leads


# ── the list ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("strict", "past_end"),
    [
        pytest.param(False, "empty", marks=pytest.mark.exhaustive),
        (True, "missing"),
        pytest.param(True, "last", marks=pytest.mark.exhaustive),
    ],
)
@pytest.mark.parametrize(
    ("style", "param", "first", "written"),
    [
        ("page", "page", 1, {"style": "page"}),
        pytest.param("page", "page", 0, {"style": "page", "first_page": 0}, marks=pytest.mark.exhaustive),
        ("page", "pageNumber", 0, {"style": "page", "page_param": "pageNumber", "first_page": 0}),
        pytest.param("page", "p", 1, {"style": "page", "page_param": "p"}, marks=pytest.mark.exhaustive),
        pytest.param("offset", "offset", 0, {"style": "offset"}, marks=pytest.mark.exhaustive),
        ("offset", "skip", 0, {"style": "offset", "offset_param": "skip"}),
        pytest.param("offset", "start", 0, {"style": "offset", "offset_param": "start"}, marks=pytest.mark.exhaustive),
    ],
)
def test_finds_numbered_pages(  # noqa: PLR0917 - pytest hands them over by name
    probe, strict, past_end, style, param, first, written
):
    """The probe requests a second page under the usual names, then the first one by its number."""
    survey = probe(List(leads(65), style=style, param=param, first=first, strict=strict, past_end=past_end))

    assert (written, True) == (survey.suggestion["pagination"], survey.are_leads_readable)
    assert (65, 65) == (survey.leads, survey.total)


@strictly
@pytest.mark.parametrize("param", suite.mostly_exhaustive(["after_id", "last_id", "starting_after"], "last_id"))
def test_finds_pagination_by_last_id(probe, strict, param):
    """Accepted once a second id leads to the leads after it, with none skipped to the end."""
    survey = probe(List(leads(65), style="after_id", param=param, strict=strict))

    assert ({"style": "last_id", "cursor_param": param}, True) == (
        survey.suggestion["pagination"],
        survey.are_leads_readable,
    )
    assert (65, 65) == (survey.leads, survey.total)


def test_last_id_pagination_skips_entries_without_an_id(probe, platform):
    """The placeholder for a missing id leads nowhere."""
    listed = [lead(number, id=None) if number == 19 else lead(number) for number in range(65)]
    survey = probe(List(listed, style="after_id", param="after_id"))

    assert {"style": "last_id", "cursor_param": "after_id"} == survey.suggestion["pagination"]
    assert "/v1/leads?after_id=L-18" in platform.asked
    assert not any("%00" in target for target in platform.asked)


def test_rejects_a_last_id_parameter_that_ignores_the_id(probe):
    """The same leads come for any id, so no night could read the whole list with it."""
    survey = probe(List(leads(130), style="elsewhere", param="after_id"))

    assert not survey.are_leads_readable
    assert "oplead.pagination.style" in survey.undecided[0]


@pytest.mark.parametrize("style", suite.mostly_exhaustive(["page", "next_url", "link", "after_id"], "page", "after_id"))
@pytest.mark.parametrize("header", suite.mostly_exhaustive(["X-Total-Count", "X-Total"], "X-Total-Count"))
def test_accepts_a_total_header_once_verified(probe, style, header):
    """The last page or the end of the list confirms it; with it in the settings a night detects a cut list."""
    param = "after_id" if style == "after_id" else "page" if style == "page" else "cursor"
    survey = probe(List(leads(130), style=style, param=param, total_header=header), count=60)

    assert (130, header) == (survey.total, survey.suggestion["pagination"]["total_header"])


@pytest.mark.parametrize("style", ["page", "next_url"])
def test_rejects_and_reports_a_total_header_that_is_wrong(probe, style):
    """It claims more leads than exist."""
    listed = List(leads(65), style=style, param="page", total_header="X-Total-Count", total_wrong=400)
    survey = probe(listed)

    assert (65, True) == (survey.total, survey.are_leads_readable)
    assert "total_header" not in survey.suggestion.get("pagination", {})
    assert any("X-Total-Count says 465" in said for said in survey.how)


def test_total_header_reveals_a_cut_list(probe):
    """No known parameter leads on, and there are more leads than the first page holds."""
    survey = probe(List(leads(130), style="page", param="feuille", size=17, total_header="X-Total-Count"))

    assert "there are 130 leads, the first page holds 17" in survey.undecided[0]


@strictly
@pytest.mark.parametrize("style", ["next_url", "cursor", "link"])
def test_self_describing_list_needs_no_setting(probe, strict, style):
    """A next URL, a cursor in its usual parameter and a Link header are followed by default."""
    survey = probe(List(leads(65), style=style, param="cursor", strict=strict))

    assert {} == survey.suggestion
    assert 65 == survey.total


def test_finds_a_cursor_parameter_of_another_name(probe):
    """The parameter is one of the usual names; the cursor's path is suggested only if necessary."""
    survey = probe(List(leads(65), style="cursor", param="page_token"))

    assert {"style": "cursor", "cursor_param": "page_token"} == survey.suggestion["pagination"]


def test_learns_the_page_parameter_from_a_next_url_elsewhere(probe):
    """The token stays here: the parameter is tried on our own host."""
    survey = probe(List(leads(65), style="next_elsewhere", param="feuille"))

    assert {"style": "page", "page_param": "feuille"} == survey.suggestion["pagination"]


@pytest.mark.parametrize("key", [None, "items", "results"])
def test_usual_envelopes_need_no_setting(probe, key):
    """The probe finds the array by itself."""
    assert "items" not in probe(List(leads(45), key=key)).suggestion.get("pagination", {})


def test_suggests_the_items_path_of_an_unusual_envelope(probe):
    """Only one of its two arrays has entries that resemble leads."""
    told = {"agences": [{"type": "agency", "nom": "Nantes"}]}

    assert "fiches" == probe(List(leads(45), key="fiches", told=told)).suggestion["pagination"]["items"]


def test_suggests_a_larger_page_size_that_the_platform_honours(probe):
    """Reading then costs fewer requests."""
    survey = probe(List(leads(250), size=20, size_param="per_page"))

    assert {"style": "page", "size_param": "per_page", "size": 100} == survey.suggestion["pagination"]
    assert 250 == survey.total


@pytest.mark.parametrize("count", suite.mostly_exhaustive([250, 105, 110], 105))
@pytest.mark.parametrize("param", ["cursor", "page_token"])
def test_suggests_a_larger_page_size_for_cursor_lists(probe, param, count):
    """The size goes along with every cursor, however few leads the second long page has left."""
    survey = probe(List(leads(count), size=20, style="cursor", param=param, size_param="limit"))

    assert ("limit", 100) == tuple(survey.suggestion["pagination"].get(key) for key in ("size_param", "size"))
    assert count == survey.total


@pytest.mark.parametrize("count", suite.mostly_exhaustive([20, 50, 100, 25], 20, 25))
def test_list_that_may_be_cut_is_undecided(probe, count):
    """Its length is a usual page size and nothing points to another page; the setting to write is named."""
    survey = probe(List(leads(count), style="none"))

    assert not survey.are_leads_readable
    assert "oplead.pagination.style" in survey.undecided[0]
    assert "style: none" in survey.undecided[0]


@pytest.mark.parametrize(("count", "told"), [(37, {}), (50, {"total": 50}), (37, {"hasMore": False})])
def test_recognises_a_complete_list(probe, count, told):
    """An odd length, a total or a flag proves that these are all the leads."""
    survey = probe(List(leads(count), style="none", told=told))

    assert (True, count, {}) == (survey.are_leads_readable, survey.total, survey.suggestion)


def test_unreachable_total_is_undecided(probe):
    """There are more leads than the page holds, and no usual parameter leads to them."""
    survey = probe(List(leads(130), param="feuille", told={"total": 130}))

    assert ["oplead.pagination.style: there are 130 leads, the first page holds 20"] == [
        one.split(",")[0] + "," + one.split(",")[1] for one in survey.undecided
    ]


def test_does_not_mistake_a_page_counter_for_an_offset(probe):
    """Nineteen pages in twenty would be skipped silently."""
    survey = probe(List(leads(600), style="pages_skipped", param="skip"))

    assert "pagination" not in survey.suggestion
    assert not survey.are_leads_readable


def test_keeps_a_verified_configured_pagination(probe):
    """No usual name would find this parameter."""
    survey = probe(List(leads(65), param="feuille"), pagination=PaginationOptions(style="page", page_param="feuille"))

    assert {"style": "page", "page_param": "feuille"} == survey.suggestion["pagination"]


def test_keeps_the_page_size_when_the_end_would_be_ambiguous(probe):
    """A repeated last page that holds every lead on one longer page would resemble a loop."""
    survey = probe(List(leads(45), size=20, size_param="limit", past_end="last"))

    assert ({"style": "page"}, True, 45) == (survey.suggestion["pagination"], survey.are_leads_readable, survey.total)


def test_finds_pagination_when_unknown_parameters_return_500(probe, platform):
    """A 500 on a query counts as an answer as long as the bare list is served."""
    survey = probe(List(leads(65), param="p", strict=True, unknown=500))

    assert {"style": "page", "page_param": "p"} == survey.suggestion["pagination"]
    assert len(platform.asked) <= MAX_REQUESTS + 60


def test_failing_detail_pages_do_not_end_the_probe(probe, reply):
    """The list is surveyed without them."""
    listed = List(leads(45))
    listed.reply = lambda platform, make, target: (
        reply({}, 500) if "/leads/" in target else List.reply(listed, platform, make, target)
    )

    assert (True, 45) == ((survey := probe(listed)).are_leads_readable, survey.leads)


def test_drops_a_suggestion_that_fails_verification(probe, platform):
    """A platform that serves other leads on a second read is left undecided."""
    listed = List(leads(400))
    page = listed._page

    def moody(_, make, query):
        if platform.asked.count("/v1/leads?page=1") > 2:  # tried, read, and read again
            listed.leads = leads(400)[200:]
        return page(platform, make, query)

    listed._page = moody
    survey = probe(listed, count=120)

    assert "pagination" not in survey.suggestion
    assert any("oplead.pagination" in one for one in survey.undecided)


def test_empty_list_is_undecided_and_blames_the_token(probe):
    """A key without access to leads looks like a platform without leads."""
    survey = probe(List([]))

    assert (0, False) == (survey.leads, survey.are_leads_readable)
    assert survey.undecided[0].startswith("oplead.token")


def test_requests_are_bounded_and_paced(probe, platform, clock):
    """The limits hold however little the platform reveals."""
    survey = probe(List(leads(100), style="none", strict=True, auth=("access_token", TOKEN), prefix="/api/v1"), rate=30)

    assert len(platform.asked) == survey.requests <= MAX_REQUESTS + 40
    assert sum(clock.slept) >= 60 * (survey.requests // 30 - 1)


# ── changes ──────────────────────────────────────────────────────────────────────────────────────


@in_an_order
@pytest.mark.parametrize(
    ("param", "read", "written"),
    [
        ("updated_since", iso, {"param": "updated_since"}),
        ("updatedAfter", day, {"param": "updatedAfter", "format": "date"}),
        ("modified_since", seconds, {"param": "modified_since", "format": "epoch_s"}),
        ("updatedAt[gte]", iso, {"param": "updatedAt[gte]"}),
    ],
)
def test_finds_a_filter_by_change(  # noqa: PLR0917 - pytest hands them over by name
    probe, strict, newest_first, param, read, written
):
    """A future time finds its name and format; a time that splits the leads finds its meaning."""
    order = -1 if newest_first else 1
    survey = probe(List(leads(65)[::order], strict=strict, filter=(param, "updatedAt", read)))

    assert written == survey.suggestion.get("since_filter")
    assert survey.are_leads_readable


@in_an_order
@pytest.mark.parametrize("param", ["since", "created_since"])
def test_does_not_mistake_a_creation_filter_for_a_change_filter(probe, strict, newest_first, param):
    """With it, the sale of an old lead would never be seen."""
    order = -1 if newest_first else 1
    survey = probe(List(leads(130)[::order], strict=strict, filter=(param, "createdAt", iso)))

    assert "since_filter" not in survey.suggestion
    assert any(f"`{param}` filters by creation" in one for one in survey.how)


def test_keeps_a_configured_filter_only_if_it_filters(probe):
    """No usual name would find this parameter."""
    listed = List(leads(65), filter=("depuis_le", "updatedAt", iso))

    assert {"param": "depuis_le"} == probe(listed, since_filter=SinceQueryParameters("depuis_le")).suggestion[
        "since_filter"
    ]
    assert "since_filter" not in probe(listed, since_filter=SinceQueryParameters("depuis_quand")).suggestion


@strictly
@pytest.mark.parametrize(
    ("param", "until", "read", "form"),
    [
        ("date_from", "date_to", iso, {}),
        ("updatedAfter", "updatedBefore", day, {"format": "date"}),
        ("from", "to", seconds, {"format": "epoch_s"}),
    ],
)
def test_finds_a_filter_that_requires_both_ends(probe, strict, param, until, read, form):  # noqa: PLR0917 - by name
    """One end alone is rejected or ignored; both together are tried, and filter by change."""
    listed = List(leads(65), filter=(param, "updatedAt", read), filter_end=until, strict=strict)
    survey = probe(listed)

    assert {"param": param, "until_param": until, **form} == survey.suggestion["since_filter"]


def test_rejects_a_two_ended_filter_by_creation(probe):
    """Old leads change too."""
    listed = List(leads(130), filter=("date_from", "createdAt", iso), filter_end="date_to", strict=True)

    assert "since_filter" not in probe(listed).suggestion


# ── the contents of leads ────────────────────────────────────────────────────────────────────────


def test_a_lead_whose_own_page_is_refused_hides_no_other(probe):
    """The key reads the list, so it is the right one; what it may not read is said, and the rest is found."""
    shown = ("id", "createdAt", "updatedAt", "status")
    survey = probe(List(leads(45), shown=shown, own_path="/lead/", refused=("L-0",)))

    assert "/lead/{id}" == survey.suggestion["lead_path"]
    assert "leadData.externalID" == {match.field: match.path for match in survey.fields}["click_id"]
    assert "Details: of the leads tried, 1 has a page of its own that this key may not read (403)." in survey.how


def test_finds_details_that_the_list_leaves_out(probe):
    """The click ids are only on detail pages, which the probe finds under their own path."""
    listed = List(leads(45), shown=("id", "createdAt", "updatedAt", "status"), own_path="/lead/")
    survey = probe(listed)

    assert {"style": "page"} == survey.suggestion["pagination"]
    assert "/lead/{id}" == survey.suggestion["lead_path"]
    assert "leadData.externalID" == {match.field: match.path for match in survey.fields}["click_id"]
    assert survey.minutes_first > 0.4


@pytest.mark.parametrize("forbidden", [("L-0",), ("L-22", "L-44")])
def test_passes_over_a_page_that_the_key_may_not_read(probe, forbidden):
    """Other leads' own pages show what the list leaves out."""
    listed = List(leads(45), shown=("id", "createdAt", "updatedAt", "status"), refused=forbidden)
    survey = probe(listed)

    assert "leadData.externalID" == {match.field: match.path for match in survey.fields}["click_id"]


@pytest.mark.parametrize(("most", "ran_out"), [(MAX_REQUESTS, False), (4, True)])
def test_knows_that_its_requests_ran_out(probe, monkeypatch, most, ran_out):
    """Whoever judges by what was not found must know that not all was tried."""
    monkeypatch.setattr("connectors.oplead.probe.probe.MAX_REQUESTS", most)
    probe(List(leads(45)))

    assert ran_out is probe.made.ran_out


def test_tells_that_no_page_of_a_lead_may_be_read(probe):
    """What the list shows is found all the same."""
    every = leads(45)
    shown = ("id", "createdAt", "updatedAt", "status")
    survey = probe(List(every, shown=shown, refused=tuple(one["id"] for one in every)))

    assert {"style": "page"} == survey.suggestion["pagination"]
    assert [one for one in survey.undecided if "may read" in one]


def test_samples_details_of_every_label_to_find_rare_fields(probe):
    """Labels alternate, so a field that only sold leads have is found; every count covers one sample."""
    sold = {7: "12 500 €", 141: "8900", 260: "4 300,50"}
    every = [
        lead(number, status="Gagné" if number in sold else LABELS[number % 2], montant=sold.get(number))
        for number in range(280)
    ]
    survey = probe(List(every, shown=("id", "createdAt", "updatedAt", "status")))

    assert [("montant", 3)] == [(one.path, one.readable) for one in survey.amounts]
    assert survey.leads == sum(one.leads for one in survey.labels) < 100
    assert ("Gagné", 3, 3) in [(one.label, one.leads, one.with_click_id) for one in survey.labels]


def test_suggests_detail_always_when_the_list_lacks_the_status(probe):
    """The list has click ids, but a changed lead's details are needed all the same."""
    survey = probe(List(leads(45), shown=("id", "createdAt", "updatedAt", "leadData")))

    assert "always" == survey.suggestion["detail"]


def test_suggests_pulling_by_details_for_a_list_of_ids(probe):
    """Nothing in such a list shows that a lead changed."""
    survey = probe(List(leads(45), shown=("id",)))

    assert "details" == survey.suggestion["pull"]


def test_finds_fields_with_other_names(probe):
    """French names and an unknown container are suggested where the known candidates find nothing."""
    french = [
        {
            "identifiant": one["id"],
            "dateCreation": one["createdAt"],
            "dateModification": one["updatedAt"],
            "statut": {"libelle": one["status"], "code": 7},
            "suivi": [{"name": "gclid", "value": one["leadData"]["externalID"].removeprefix("gclid=")}],
            "client": {"nom": PEOPLE[0], "courriel": PEOPLE[1], "portable": PEOPLE[2], "telephone": "04 00 00 00 00"},
            "commercial": {"nom": "Somebody Else"},
        }
        for one in leads(45)
    ]
    survey = probe(List(french, style="none"))

    assert {
        "id": "identifiant",
        "updated_at": "dateModification",
        "status": "statut",
        "click_id": "suivi.gclid",
        "email": "client.courriel",
        "phone": ["client.portable", "client.telephone"],
        "last_name": "client.nom",
    } == survey.suggestion["fields"]


def test_missing_required_fields_are_undecided(probe):
    """No field is guessed: the setting to write is named."""
    bare = [{"id": one["id"], "quand": one["createdAt"], "leadData": one["leadData"]} for one in leads(33)]
    survey = probe(List(bare, style="none"))

    assert ["oplead.fields.created_at", "oplead.fields.status"] == [
        re.match(r"[\w.]+", one)[0] for one in survey.undecided[:2]
    ]
    assert (
        "no field was found that holds the time when a lead was created (there are times at quand"
        in survey.undecided[0]
    )


def test_configured_fields_are_kept(probe):
    """A configured path is used where it holds a value."""
    moved = leads(33)
    for one in moved:
        one["suivi"] = {"cle": one["leadData"].pop("externalID")}
    survey = probe(List(moved, style="none"), fields=FieldPaths(click_id=("suivi.cle",)))

    assert {"click_id": "suivi.cle"} == survey.suggestion["fields"]
    assert 33 == sum(seen.with_click_id["gclid"] for seen in survey.sources)


def test_survey_contains_no_personal_data(probe):
    """Neither paths, values nor the reasons for unreadable leads reveal any."""
    given, mail, phone = PEOPLE
    told = leads(60)
    told[3] |= {"createdAt": mail, "status": f"Rappeler {mail}", given: {"note": phone}}
    told[4] |= {"utm_source": mail, "channel": given, "leadData": [{"name": given, "value": phone}]}
    told[5]["leadData"]["consent"] = f"{given}, le 3 mars"
    for number, one in enumerate(told):
        one["answers"] = [{"key": f"{given.split()[0]}{number}", "value": "oui"}]
        one["source"] = given if number == 7 else "Site web"
    survey = probe(List(told))

    assert survey.leads == 60
    for secret in (*PEOPLE, *given.split(), mail.partition("@")[0], TOKEN, phone.replace(" ", "")):
        assert secret not in repr(survey)


def test_counts_unreadable_phones_by_reason(probe):
    """One sentence gives the total and each cause."""
    people = [lead(number, country="France métropolitaine") for number in range(30)]
    for number, one in enumerate(people):
        one["country"] = "Syldavie" if number < 4 else one["country"]
        one["contact"] = {**one["contact"], "phone": "06 12 34 56" if number == 4 else "06 12 34 56 78"}

    (told,) = [said for said in probe(List(people)).suspicions if "phone" in said]

    assert told.startswith("5 of 30 leads have a phone that cannot be read: ")
    assert told.endswith("4: country 'Syldavie' unknown; 1: not a valid personal number.")
