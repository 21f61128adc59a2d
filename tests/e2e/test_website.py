"""The whole loop: an ad click, a form, a lead in Oplead, a sale, and the platforms learn which click it was."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from connectors.sandbox.server import WireResponse
from tests.website import FIELDS, FORM, Site, Visitor, browsing, page

pytestmark = pytest.mark.xdist_group("a browser")
ASKED = '<input type=checkbox name=agreed value=oui onchange="opleadCapture.consent(this.checked)">'
OPTIONS = dict(zip(FIELDS, ("--external-id", "--utm-source", "--utm-medium", "--utm-campaign"), strict=True))


@pytest.fixture
def site(company):
    """A website whose backend writes each form to Oplead, as its documentation shows."""
    company.use_meta()
    company.settings["oplead"] = {"write": {"fields": {"email": "contact.email"}}}
    built = Site("capture.min.js")
    built.pages = {"/": page(ASKED), "/devis": page(FORM.replace("<button>", ASKED + "<button>"))}
    built.commands = []

    def create_lead(form):
        hidden = [f"{OPTIONS[name]}={form[name]}" for name in FIELDS if form[name]]
        consent = ["--field", f"leadData.consent={form.get('agreed', 'non')}"]
        typed = ["oplead", "leads", "create", "--yes", "--json", "--email", form["email"], *hidden, *consent]
        built.commands.append(company.command(*typed))
        return WireResponse(200, b"<!doctype html>Merci", {"Content-Type": "text/html"})

    built.answer = create_lead
    with built.server:
        yield built


@pytest.fixture
def visitor(site, company):
    """Somebody whose browser shows the sandbox's time."""
    with browsing() as chromium:
        yield newcomer(chromium, site, company)


def newcomer(browser, site, company):
    """Somebody new to the site; nothing of it is in their browser."""
    context = browser.new_context()
    context.clock.install(time=company.clock.now())
    return Visitor(site, context)


def fills_in(visitor, email):
    """Agree, and send the form."""
    visitor.goes_to("/devis")
    visitor.tab.check("[name=agreed]")
    visitor.tab.fill("[name=email]", email)
    visitor.tab.click("button")
    visitor.tab.wait_for_url("**/sent", timeout=60_000)


def test_click_on_an_ad_comes_back_as_a_sale(company, site, visitor):
    """Each platform gets the id of its own ad's last click, character for character, once, with Meta's click time."""
    clicked_at = company.clock.now()
    gclid, fbclid = company.gclid(1), company.fbclid(1)
    company.platform.register_clicks({gclid: {"clicked_at": clicked_at.isoformat(), "customer": company.CUSTOMER}})

    visitor.goes_to(f"/?gclid={gclid}&utm_source=google&utm_medium=cpc&utm_campaign=Pompe+%C3%A0+chaleur")
    visitor.tab.check("[name=agreed]")
    visitor.goes_to(f"/?fbclid={fbclid}")
    visitor.tab.check("[name=agreed]")
    fills_in(visitor, "claire.martin@example.com")

    another = newcomer(visitor.context.browser, site, company)
    pixels = f"fb.1.{int(clicked_at.timestamp() * 1000) - 5_000}.{company.fbclid(2)}"
    another.context.add_cookies([{"name": "_fbc", "value": pixels, "url": site.url}])
    hostile = {"gclid": "Cj0KCQ;fbclid=abcDEF", "utm_source": "-fb", "utm_campaign": '"><script>;gclid=Ab3&c'}
    another.goes_to("/?" + urlencode(hostile | {"fbclid": company.fbclid(2)}))
    another.tab.check("[name=agreed]")
    fills_in(another, "paul.petit@example.com")

    assert [(0, "")] * 2 == [(code, err) for code, _, err in site.commands], site.commands
    lead, other = company.sandbox.oplead.book.leads().values()
    assert other["leadData"]["externalID"].startswith(f"fbclid={company.fbclid(2)}&fbclid_ts=")
    assert other["leadData"]["externalID"].endswith(f"Z&fbc={pixels}")
    assert ("-fb", hostile["utm_campaign"]) == (other["leadData"]["utm_source"], other["leadData"]["utm_campaign"])
    kept = lead["leadData"]
    assert "oui" == kept["consent"]
    assert kept["externalID"].startswith(f"gclid={gclid}&gclid_ts={clicked_at:%Y-%m-%dT%H:%M}:")
    assert ("google", "cpc", "Pompe à chaleur") == (kept["utm_source"], kept["utm_medium"], kept["utm_campaign"])

    company.night()
    company.clock.advance(company.clock.now() + timedelta(hours=20))
    for won in (lead, other):
        company.sandbox.oplead.book.edit_lead(won["id"], {"amount": "12 500,00 €"}, status="Gagné")
    company.later(timedelta(hours=4))
    company.later()

    assert "accepted" == company.states("google_ads")[lead["id"], "sale"]
    assert ["accepted"] * 2 == [state for (_, name), state in company.states("meta").items() if name == "sale"]
    ids = [event["adIdentifiers"]["gclid"] for (event,) in company.sent().values() if "adIdentifiers" in event]
    assert gclid in ids
    assert {gclid} == set(ids)
    sales = [one for (one,) in company.sent("meta").values() if one["event_name"] == "Purchase"]
    (fbc,) = {one["user_data"]["fbc"] for one in sales} - {pixels}
    assert 2 == len(sales)
    kind, index, at, value = fbc.split(".", 3)
    assert ("fb", "1", fbclid) == (kind, index, value)
    assert timedelta(0) <= datetime.fromtimestamp(int(at) / 1000, UTC) - clicked_at < timedelta(minutes=1)


@pytest.mark.exhaustive
def test_visitor_who_refused_leaves_no_click_id(company, site, visitor):
    """The lead reaches Oplead without one."""
    visitor.goes_to(f"/?gclid={company.gclid(1)}&utm_source=google")
    visitor.goes_to("/devis")
    visitor.says(False)
    visitor.tab.fill("[name=email]", "claire.martin@example.com")
    visitor.tab.click("button")
    visitor.tab.wait_for_url("**/sent", timeout=60_000)

    ((code, _, err),) = site.commands
    assert (0, "") == (code, err)
    (lead,) = company.sandbox.oplead.book.leads().values()
    assert "non" == lead["leadData"]["consent"]
    assert "gclid" not in json.dumps(lead)
