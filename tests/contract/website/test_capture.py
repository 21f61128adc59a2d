"""From the visitor's click to the form's hidden fields, on real pages in a real browser; consent was given at once."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import pytest

from connectors.oplead.options import UnlabelledClickIdRules
from connectors.oplead.parsing.click_ids import read_click_ids
from tests.suite import mostly_exhaustive
from tests.website import FBCLID, FORM, GCLID, MSCLKID, OTHER, SCRIPTS, SOON, page

pytestmark = pytest.mark.xdist_group("a browser")
AGREED = "<script>opleadCapture.consent(true)</script>"
UTC_ZONE = ZoneInfo("UTC")


def read(external_id):
    """What the nightly job reads in the field: click ids and their times."""
    rules = UnlabelledClickIdRules(bare="reject")
    ids, _ = read_click_ids(external_id, utm_source=None, rules=rules, zone=UTC_ZONE)
    return {one.kind.value: (one.value, one.clicked_at) for one in ids}


def ids_in(external_id):
    """The click ids alone."""
    return {kind: value for kind, (value, _) in read(external_id).items()}


@pytest.fixture(autouse=True)
def agreed(site):
    """A site whose visitors have agreed on every page."""
    site.pages["/"] = page(AGREED + FORM)


# ── through a visit ──────────────────────────────────────────────────────────────────────────────


def test_click_reaches_a_form_two_pages_later(site, visitor):
    """The job reads the same id, with the time of the landing."""
    site.pages["/devis"] = page(AGREED + FORM)
    before = datetime.now(UTC)

    visitor.goes_to(f"/?gclid={GCLID}&utm_source=google&utm_medium=cpc&utm_campaign=Pompe+%C3%A0+chaleur")
    landed = datetime.now(UTC)
    visitor.goes_to("/devis")
    visitor.tab.reload()
    fields = visitor.fields()

    (value, clicked_at), *others = read(fields["externalID"]).values()
    assert (GCLID, []) == (value, others)
    assert before - timedelta(seconds=1) <= clicked_at <= landed
    assert ("google", "cpc", "Pompe à chaleur") == tuple(
        fields[f"utm_{name}"] for name in ("source", "medium", "campaign")
    )


def test_every_kind_is_kept_with_its_time(visitor):
    """Google's and Microsoft's ids, Meta's id and its two cookies."""
    now = int(datetime.now(UTC).timestamp() * 1000)
    fbc, fbp = f"fb.1.{now}.{FBCLID}", f"fb.1.{now}.1098115397"
    cookies = [
        {"name": name, "value": value, "url": visitor.site.url} for name, value in (("_fbc", fbc), ("_fbp", fbp))
    ]
    visitor.context.add_cookies(cookies)

    visitor.goes_to(f"/?gclid={GCLID}&gbraid={OTHER}&wbraid={OTHER}2&fbclid={FBCLID}&msclkid={MSCLKID}")
    found = read(visitor.sees())

    assert {
        "gclid": GCLID,
        "gbraid": OTHER,
        "wbraid": OTHER + "2",
        "fbclid": FBCLID,
        "fbc": fbc,
        "msclkid": MSCLKID,
        "fbp": fbp,
    } == {kind: value for kind, (value, _) in found.items()}
    assert {"fbp"} == {kind for kind, (_, clicked_at) in found.items() if clicked_at is None}


def test_last_click_of_each_kind_wins(visitor):
    """Each with its own time; the tags are those of the last tagged landing, as a whole."""
    visitor.goes_to(f"/?gclid={GCLID}&utm_source=google&utm_medium=cpc")
    visitor.tab.wait_for_timeout(20)
    visitor.goes_to(f"/?gbraid={OTHER}&utm_source=newsletter")
    visitor.tab.wait_for_timeout(20)
    visitor.goes_to(f"/?gbraid={OTHER}9")
    found = read(visitor.sees())

    assert {"gclid": GCLID, "gbraid": OTHER + "9"} == {kind: value for kind, (value, _) in found.items()}
    assert found["gclid"][1] < found["gbraid"][1]
    fields = visitor.fields()
    assert ("newsletter", "", "") == tuple(fields[f"utm_{name}"] for name in ("source", "medium", "campaign"))


def test_reloading_an_old_landing_is_no_new_click(visitor):
    """The id that came later stays, and an id keeps the time of its click."""
    visitor.goes_to(f"/?gclid={GCLID}")
    first = visitor.sees()
    later = visitor.context.new_page()
    visitor.goes_to(f"/?gclid={OTHER}", later)
    visitor.tab.reload()

    assert {"gclid": OTHER} == ids_in(visitor.sees())

    visitor.tab.evaluate("localStorage.clear()")
    visitor.tab.wait_for_timeout(20)
    visitor.goes_to(f"/?gclid={GCLID}")
    again = visitor.sees()
    visitor.goes_to(f"/?gclid={GCLID}")

    assert first != again == visitor.sees()


def clicked_days_ago(site, visitor, days):
    """Make the browser remember a click of then; the page in it has no script that could write the time anew."""
    visitor.goes_to(f"/?gclid={GCLID}")
    visitor.sees()
    site.pages["/plain"] = page(script=False)
    visitor.goes_to("/plain")
    visitor.tab.evaluate(
        """days => {
            const kept = JSON.parse(localStorage.oplead_capture);
            kept.gclid[1] -= days * 86400000;
            localStorage.oplead_capture = JSON.stringify(kept);
        }""",
        days,
    )


def test_newest_click_wins_though_the_clock_was_set_back(site, visitor):
    """A click of tomorrow was dated by a wrong clock."""
    clicked_days_ago(site, visitor, -1)
    visitor.goes_to(f"/?gclid={OTHER}")

    value, clicked_at = read(visitor.sees())["gclid"]
    assert OTHER == value
    assert clicked_at <= datetime.now(UTC)


def test_click_is_kept_though_the_clock_is_set_back(visitor):
    """In two tabs, neither of which writes over the other again and again."""
    visitor.goes_to(f"/?gclid={GCLID}")
    second = visitor.context.new_page()
    visitor.goes_to(f"/?gclid={OTHER}", second)
    for tab in (visitor.tab, second):
        tab.evaluate(
            """() => {
                const now = Date.now, write = Storage.prototype.setItem;
                Date.now = () => now() - 3600000;
                window.writes = 0;
                Storage.prototype.setItem = function () { writes++; write.apply(this, arguments); };
                document.body.append('changed');
            }"""
        )
    visitor.waits()

    assert {"gclid": OTHER} == ids_in(visitor.external_id()) == ids_in(visitor.external_id(second))
    assert max(tab.evaluate("writes") for tab in (visitor.tab, second)) < 10


@pytest.mark.parametrize(("days", "is_kept"), [(89, True), (91, False)])
def test_click_is_kept_for_ninety_days(site, visitor, days, is_kept):
    """Then it is neither written nor stored any more."""
    clicked_days_ago(site, visitor, days)
    visitor.goes_to(f"/?fbclid={FBCLID}")

    assert is_kept == ("gclid" in ids_in(visitor.sees(holding="fbclid")))
    assert is_kept == ("gclid" in visitor.stored()["oplead_capture"])


def test_cookie_of_an_earlier_click_is_left_out(visitor):
    """Where Meta's pixel has not noticed the new click, its cookie would credit the old ad."""
    yesterday = int((datetime.now(UTC) - timedelta(days=1)).timestamp() * 1000)
    cookie = {"name": "_fbc", "value": f"fb.1.{yesterday}.IwAR9older", "url": visitor.site.url}
    visitor.context.add_cookies([cookie])

    visitor.goes_to(f"/?fbclid={FBCLID}")

    assert {"fbclid": FBCLID} == ids_in(visitor.sees())


def test_cookie_set_after_the_page_loaded_is_sent(site, visitor):
    """Meta's pixel may come late: the fields are written again as the form is sent."""
    visitor.goes_to(f"/?fbclid={FBCLID}")
    visitor.sees()
    fbc = f"fb.1.{int(datetime.now(UTC).timestamp() * 1000)}.{FBCLID}"
    visitor.tab.evaluate(f"document.cookie = '_fbc={fbc}'; document.forms[0].requestSubmit()")
    visitor.tab.wait_for_url("**/sent")

    assert {"fbclid": FBCLID, "fbc": fbc} == ids_in(site.sent[0]["externalID"])


def test_damaged_storage_is_replaced(visitor):
    """What somebody else wrote there breaks nothing and is not believed."""
    visitor.goes_to("/")
    for text in ('{"gclid"', '{"gclid": null}', '{"gclid": ["<b>", 1]}', "[]", "null", '"x"', '{"utm": [1, 2]}'):
        visitor.tab.evaluate("text => { localStorage.oplead_capture = text; }", text)
        visitor.goes_to(f"/?gclid={GCLID}")

        assert {"gclid": GCLID} == ids_in(visitor.sees())


# ── what is written ──────────────────────────────────────────────────────────────────────────────

# As a browser decodes the address, and whether it is a click id.
ADDRESS_VALUES = [
    (GCLID, True),
    ("Ab3-_.x", True),
    ("a" * 400, True),
    ("A1b2C3", True),
    ("A1b2C", False),
    ("fbclid-like-Id", True),
    ("E.C.P.CpcBgBkM_1", True),
    ("", False),
    (" ", False),
    ("123456789012", False),
    ("1.2345678901235E16", False),
    ("jean.dupont@exemple.fr", False),
    ("0c1c7f2e-6a8b-4f7e-9f0a-1234567890ab", False),
    ("CNL_ab12cd34", False),
    ("undefined", False),
    ("unknown", False),
    ("not_set", False),
    ("{gclid}", False),
    ("Cj0KCQ&gbraid=AAAAAbbbb", False),
    ("Cj0KCQ=&abc", False),
    ("Cj0KCQ;abc|def", False),
    ("Cj0KCQ abc", False),
    ("Cj0KCQ%41bc", False),
    ("Cj0KCQé", False),
    ("Cj0KCQ\n12", False),
    ("Cj0KCQ12.", False),
    ("<script>alert(1)</script>", False),
    ("fb.1.1784559901000.IwAR0abc", False),
    ("Cj0KCQ\u0000", False),
    ("😀😀😀", False),
]


def test_job_reads_exactly_the_click_id_of_the_address(visitor):
    """Whatever an address holds, the field holds that click id, character for character, or nothing."""
    visitor.goes_to("/")
    written = visitor.tab.evaluate(
        """queries => queries.map(query => {
            history.replaceState(null, '', '/');
            opleadCapture.consent(false);
            history.replaceState(null, '', '/?' + query);
            opleadCapture.consent(true);
            return opleadCapture.values().externalID;
        })""",
        [f"x=1&gclid={quote(value, safe='')}&y" for value, _ in ADDRESS_VALUES],
    )

    expected = [({"gclid": value} if is_id else {}) for value, is_id in ADDRESS_VALUES]
    assert expected == [ids_in(text) for text in written]
    assert [not is_id for _, is_id in ADDRESS_VALUES] == [text == "" for text in written]


def test_address_that_was_put_together_badly(visitor):
    """A name in capitals, an empty first value, a second question mark, a fragment."""
    for query, expected in [
        (f"?GCLID={GCLID}", {"gclid": GCLID}),
        (f"?gclid=&gclid={GCLID}", {"gclid": GCLID}),
        (f"?gclid={OTHER}&gclid={GCLID}", {"gclid": GCLID}),
        (f"?utm_source=google?gclid={GCLID}", {"gclid": GCLID}),
        (f"?gclid={GCLID}#gclid={OTHER}", {"gclid": GCLID}),
        (f"?x#gclid={OTHER}", {}),
    ]:
        visitor.goes_to(f"/{query}")

        assert expected == ids_in(visitor.external_id())
        visitor.tab.evaluate("localStorage.clear()")


def test_value_is_bounded_by_leaving_out_the_least_valuable_ids(visitor):
    """No id is cut."""
    now = int(datetime.now(UTC).timestamp() * 1000)
    long = "IwAR0" + "x" * 190
    cookie = {"name": "_fbc", "value": f"fb.1.{now}.{long}", "url": visitor.site.url}
    visitor.context.add_cookies([cookie])

    visitor.goes_to(f"/?gclid={GCLID}&fbclid={long}&msclkid={MSCLKID}")
    text = visitor.sees()

    assert len(text) <= 500
    assert {"gclid": GCLID, "fbclid": long, "msclkid": MSCLKID} == ids_in(text)


@pytest.mark.parametrize("length", mostly_exhaustive([80, 30], 30))
def test_site_may_ask_for_a_shorter_value(site, visitor, length):
    """An id that does not fit with its time is left out."""
    site.pages["/"] = page(AGREED + FORM, attributes=f"data-max-length={length}")

    visitor.goes_to(f"/?gclid={GCLID}&fbclid={FBCLID}")

    assert ({"gclid": GCLID} if length == 80 else {}) == ids_in(visitor.external_id())


def test_tags_hold_no_address_and_are_bounded(visitor):
    """A mailing tool may write the recipient into a tag: that is personal data."""
    visitor.goes_to(f"/?utm_source=jean%40exemple.fr&utm_medium=%20email%20&utm_campaign={'x' * 400}")

    assert ("", "email", "x" * 150) == tuple(
        visitor.fields()[f"utm_{name}"] for name in ("source", "medium", "campaign")
    )


def test_tags_hold_no_telephone_number(visitor):
    """However it is written; a campaign's number is none."""
    visitor.goes_to("/?utm_source=%2B33+6+12+34+56+78&utm_medium=sms+0612345678&utm_campaign=21345678901")

    assert ("", "", "21345678901") == tuple(
        visitor.fields()[f"utm_{name}"] for name in ("source", "medium", "campaign")
    )


def test_tags_reach_the_form_character_for_character(visitor):
    """Markup, separators and letters of any alphabet are text; a space of any kind and a line's end are a space."""
    told = ('"><script>document.title=1</script>', "a;b&c=d?e", "Été\xa0100\u202f% –\n夏")
    visitor.goes_to("/?" + urlencode(dict(zip(("utm_source", "utm_medium", "utm_campaign"), told, strict=True))))

    assert told[0] == visitor.sees("utm_source", holding=told[0])
    written = tuple(visitor.fields()[f"utm_{name}"] for name in ("source", "medium", "campaign"))
    assert (*told[:2], "Été 100 % – 夏") == written
    assert "Maison Durand" == visitor.tab.title()


# ── forms ────────────────────────────────────────────────────────────────────────────────────────


def test_form_that_appears_later_is_filled(visitor):
    """In a window that opens, for instance, and several of them."""
    visitor.goes_to(f"/?gclid={GCLID}")
    visitor.tab.evaluate("form => { document.body.innerHTML = '' }", FORM)
    visitor.tab.evaluate("form => setTimeout(() => { document.body.innerHTML = form }, 150)", FORM)

    assert {"gclid": GCLID} == ids_in(visitor.sees())


def test_many_changes_of_a_page_cost_few_passes(visitor):
    """A page that changes 300 times in a third of a second is looked through a few times."""
    visitor.goes_to(f"/?gclid={GCLID}")
    passes = visitor.tab.evaluate(
        """async () => {
            let passes = 0;
            const find = document.querySelectorAll;
            document.querySelectorAll = function (what) {
                passes += what == 'iframe';
                return find.call(document, what);
            };
            for (let i = 0; i < 300; i++) {
                document.body.append(document.createElement('p'));
                await new Promise(later => setTimeout(later, 1));
            }
            await new Promise(later => setTimeout(later, 150));
            return [passes, performance.now()];
        }"""
    )

    assert 1 <= passes[0] <= 3 + passes[1] / 100


def test_field_that_a_form_empties_after_sending_is_filled_again(visitor):
    """A form plugin that sends without leaving the page may empty all fields; a second request counts, too."""
    visitor.goes_to(f"/?gclid={GCLID}")
    sent = visitor.tab.evaluate(
        """() => {
            const form = document.querySelector('form');
            const sent = [];
            form.addEventListener('submit', event => {
                event.preventDefault();
                sent.push(form.externalID.value);
                for (const field of form.querySelectorAll('input')) field.value = '';
            });
            form.requestSubmit();
            form.requestSubmit();
            return sent;
        }"""
    )

    assert 2 == len(sent)
    assert {"gclid": GCLID} == ids_in(sent[0]) == ids_in(sent[1])


def test_what_a_field_holds_already_is_kept(site, visitor):
    """A value of the site's own and fields a visitor sees stay as they are."""
    site.pages["/"] = page(
        AGREED + "<form><input type=hidden name=externalID value=REF-12><input name=utm_source value=''>"
        "<input type=text name=externalID id=seen><input type=hidden name=other></form>"
    )
    visitor.goes_to(f"/?gclid={GCLID}&utm_source=google")
    visitor.waits()

    assert {"externalID": "REF-12", "utm_source": "", "utm_medium": None, "utm_campaign": None} == visitor.fields()
    assert (
        "" == visitor.tab.input_value("#seen") == visitor.tab.evaluate("document.querySelector('[name=other]').value")
    )


NAMES = [
    ("", "externalID"),
    ("", "externalid"),
    ("", "form_fields[externalID]"),
    ("data-external-id=input_5", "input_5"),
    ("data-external-id=form_fields[f1]", "form_fields[f1]"),
]


@pytest.mark.parametrize("case", mostly_exhaustive(NAMES, NAMES[2], NAMES[4]))
def test_field_is_found_by_its_name(site, visitor, case):
    """Form builders change its case, wrap it or choose it themselves; a similar name is another field."""
    attributes, name = case
    others = "<input type=hidden name=xexternalID><input type=hidden name=externalID2><input type=hidden name='a[b]'>"
    site.pages["/"] = page(f"{AGREED}<form>{others}<input type=hidden name='{name}'></form>", attributes=attributes)

    visitor.goes_to(f"/?gclid={GCLID}")

    values = visitor.tab.evaluate("[...document.querySelectorAll('input')].map(field => field.value)")
    assert ["", "", "", True] == [value and value.startswith("gclid=") for value in values]


def test_tags_may_have_other_names(site, visitor):
    """Each has its own attribute."""
    attributes = "data-utm-source=src data-utm-medium=med data-utm-campaign=cmp"
    inputs = "".join(f"<input type=hidden name={name}>" for name in ("src", "med", "cmp"))
    site.pages["/"] = page(AGREED + inputs, attributes=attributes)

    visitor.goes_to("/?utm_source=a&utm_medium=b&utm_campaign=c")

    assert ["a", "b", "c"] == visitor.tab.evaluate("[...document.querySelectorAll('input')].map(field => field.value)")


# ── single page applications ─────────────────────────────────────────────────────────────────────


def test_landing_inside_a_single_page_application(visitor):
    """A route with a new id counts, a route without one changes nothing, whatever the framework returns or throws."""
    visitor.goes_to(f"/?gclid={GCLID}")
    visitor.tab.evaluate("history.pushState({}, '', '/devis')")

    assert {"gclid": GCLID} == ids_in(visitor.sees())

    visitor.tab.evaluate(f"history.pushState({{}}, '', '/offre?gclid={OTHER}'); history.replaceState({{}}, '', '/fin')")

    assert {"gclid": OTHER} == ids_in(visitor.sees(holding=OTHER))
    assert "/fin" == visitor.tab.evaluate("location.pathname")


def test_going_back_to_a_route_with_an_id(visitor):
    """A popstate with a query is read as well."""
    visitor.goes_to("/")
    visitor.tab.evaluate(
        f"history.pushState(0, '', '/a'); const go = History.prototype.pushState;"
        f"go.call(history, 0, '', '/b?fbclid={FBCLID}'); go.call(history, 0, '', '/c'); history.back()"
    )

    assert {"fbclid": FBCLID} == ids_in(visitor.sees())


def test_script_that_comes_after_the_router_cleaned_the_address(site, visitor):
    """The browser still knows the address the visitor came by, and when."""
    site.pages["/"] = page(FORM, script=False)
    visitor.goes_to(f"/?gclid={GCLID}")
    visitor.tab.evaluate("history.replaceState(0, '', '/accueil')")
    visitor.tab.wait_for_timeout(50)
    visitor.tab.add_script_tag(url="/capture.js")
    visitor.says(True)

    value, clicked_at = read(visitor.sees())["gclid"]
    landed = visitor.tab.evaluate("performance.timeOrigin")
    assert GCLID == value
    assert abs(landed - clicked_at.timestamp() * 1000) < 2


def test_script_loaded_twice_works_once(site, visitor):
    """A theme and Tag Manager may both bring it."""
    site.pages["/"] = page(f"<script src=/capture.js></script>{AGREED}{FORM}")

    visitor.goes_to(f"/?gclid={GCLID}")

    assert {"gclid": GCLID} == ids_in(visitor.external_id())


DOCS = SCRIPTS.parents[1] / "docs"


@pytest.mark.parametrize("name", mostly_exhaustive(["website.md", "fr/site-web.md"], "website.md"))
def test_documented_fields_and_tag_work_as_pasted(site, visitor, name):
    """Tag Manager runs the tag's script, then the second tag's, in a page that has the fields and nothing else."""
    fields, tag, own, _ = re.findall(r"```html\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)
    site.pages["/"] = page(fields, script=False)
    visitor.goes_to(f"/?gclid={GCLID}&utm_source=google")
    run = "tag => document.head.append(document.createRange().createContextualFragment(tag))"
    visitor.tab.evaluate(run, tag)
    visitor.tab.wait_for_function("window.opleadCapture?.values", timeout=SOON)
    visitor.tab.evaluate(run, own)

    assert {"gclid": GCLID} == ids_in(visitor.sees())
    assert "google" == visitor.fields()["utm_source"]


# ── frames ───────────────────────────────────────────────────────────────────────────────────────


def frame(visitor, path="/form"):
    """The frame that shows a path."""
    visitor.tab.wait_for_selector("iframe", state="attached")
    return next(one for one in visitor.tab.frames if one.url.endswith(path))


def test_form_in_a_frame_of_the_same_site_is_filled(site, visitor):
    """The page around it does so; also where the frame comes later or shows another form."""
    site.pages["/form"] = page(FORM, script=False)
    site.pages["/landing"] = page(AGREED + "<iframe src=/form></iframe>")
    visitor.goes_to(f"/landing?gclid={GCLID}")

    assert {"gclid": GCLID} == ids_in(visitor.sees(frame=frame(visitor)))

    frame(visitor).evaluate("form => { document.body.innerHTML = form }", FORM)
    assert {"gclid": GCLID} == ids_in(visitor.sees(frame=frame(visitor)))

    frame(visitor).goto(site.url + "/form?2")
    assert {"gclid": GCLID} == ids_in(visitor.sees(frame=frame(visitor, "/form?2")))


@pytest.mark.parametrize("is_around", [True, False])
def test_frame_that_loads_the_script_itself(site, visitor, is_around):
    """With or without the script in the page around it, whose address and consent count."""
    site.pages["/form"] = page(FORM)
    body = "<script>dataLayer = [['consent', 'update', {ad_storage: 'granted', ad_user_data: 'granted'}]]</script>"
    site.pages["/landing"] = page("<iframe src=/form></iframe>", before=body, script=is_around)
    visitor.goes_to(f"/landing?gclid={GCLID}")

    assert {"gclid": GCLID} == ids_in(visitor.sees(frame=frame(visitor)))

    visitor.tab.evaluate("dataLayer.push(['consent', 'update', {ad_storage: 'denied'}])")
    frame(visitor).wait_for_function("document.querySelector('[name=externalID]').value == ''", timeout=5000)
    assert {} == visitor.stored()


def test_script_in_a_frame_yields_to_the_page_that_loads_it_later(site, visitor):
    """There is one consent, and one that fills."""
    site.pages["/form"] = page(FORM)
    site.pages["/landing"] = page("<iframe src=/form></iframe>", script=False)
    visitor.goes_to(f"/landing?gclid={GCLID}")
    frame(visitor).evaluate("opleadCapture.consent(true)")
    visitor.sees(frame=frame(visitor))
    visitor.tab.add_script_tag(url="/capture.js")
    visitor.says(False)

    frame(visitor).wait_for_function("document.querySelector('[name=externalID]').value == ''", timeout=5000)
    visitor.says(True)
    visitor.sees(frame=frame(visitor))
    frame(visitor).evaluate("document.body.append('changed')")
    visitor.waits()
    assert {"gclid": GCLID} == ids_in(visitor.external_id(frame(visitor)))


def test_frame_of_another_site_is_left_alone(site, visitor):
    """Neither does the page look into it, nor does it look at the page."""
    site.pages["/form"] = page(FORM)
    site.pages["/landing"] = page(
        AGREED + f"<iframe src={site.url.replace('127.0.0.1', 'localhost')}/form></iframe>" + FORM
    )
    visitor.goes_to(f"/landing?gclid={GCLID}")
    visitor.waits()

    assert {"gclid": GCLID} == ids_in(visitor.external_id())
    frame(visitor).evaluate("opleadCapture.consent(true)")
    assert "" == visitor.external_id(frame(visitor))


def test_frame_without_an_origin_breaks_nothing(site, visitor):
    """Neither storage nor cookies may be asked for there."""
    site.pages["/form"] = page(FORM)
    site.pages["/landing"] = page("<iframe sandbox=allow-scripts src='/form?gclid=" + GCLID + "'></iframe>")
    visitor.goes_to("/landing")
    inside = frame(visitor, GCLID)
    inside.evaluate("opleadCapture.consent(true)")

    assert {"gclid": GCLID} == ids_in(visitor.sees(frame=inside))
