"""Nothing is stored, read back or written into a form before consent, nor after it is refused or withdrawn."""

import json

import pytest

from tests.suite import mostly_exhaustive
from tests.website import FBCLID, FORM, GCLID, OTHER, page

pytestmark = pytest.mark.xdist_group("a browser")
EMPTY = {"externalID": "", "utm_source": "", "utm_medium": "", "utm_campaign": ""}


def kept(visitor):
    """The click id that is stored, if any."""
    return visitor.stored().get("oplead_capture", {}).get("gclid", [None])[0]


def is_empty_again(visitor):
    """Wait until the fields are empty."""
    visitor.tab.wait_for_function("document.querySelector('[name=externalID]').value == ''", timeout=5000)
    return visitor.fields() == EMPTY


# ── the documented function ──────────────────────────────────────────────────────────────────────


def test_nothing_is_stored_or_sent_before_consent(visitor):
    """No cookie, no storage, no field, and no request but for the page and the script themselves."""
    visitor.goes_to(f"/?gclid={GCLID}&utm_source=google")
    visitor.tab.evaluate("history.pushState(0, '', '/?fbclid=" + FBCLID + "')")
    visitor.waits()

    assert EMPTY == visitor.fields() == visitor.tab.evaluate("opleadCapture.values()")
    assert {} == visitor.stored()
    assert [] == visitor.context.cookies()
    assert [f"/?gclid={GCLID}&utm_source=google", "/capture.js"] == visitor.requests


def test_storage_and_cookies_are_not_even_read_before_consent(visitor):
    """Reading what a device holds needs consent as well."""
    visitor.context.add_init_script(
        """window.touched = [];
        const touch = () => { touched.push('touched'); return ''; };
        for (const name of ['getItem', 'setItem', 'removeItem']) Storage.prototype[name] = touch;
        Object.defineProperty(Document.prototype, 'cookie', {get: touch, set: touch});
        """
    )
    visitor.goes_to(f"/?gclid={GCLID}")
    visitor.waits()

    assert [] == visitor.tab.evaluate("touched")


def test_consent_given_late_finds_the_click_of_this_page(visitor):
    """Until then it was in the page's memory only; no request follows, and no cookie."""
    visitor.goes_to(f"/?gclid={GCLID}&utm_source=google")
    visitor.waits()
    visitor.says(True)

    assert "google" == visitor.fields()["utm_source"]
    assert visitor.external_id().startswith(f"gclid={GCLID}&gclid_ts=20")
    assert GCLID == kept(visitor)
    assert [] == visitor.context.cookies()
    assert 2 == len(visitor.requests)


def test_consent_on_a_later_page_does_not_find_what_was_never_stored(site, visitor):
    """The click of a page left without an answer is lost, as the law has it."""
    site.pages["/devis"] = page(FORM)
    visitor.goes_to(f"/?gclid={GCLID}")
    visitor.goes_to("/devis")
    visitor.says(True)
    visitor.waits()

    assert EMPTY == visitor.fields()
    assert {"oplead_capture": {}} == visitor.stored()


def test_each_page_waits_for_its_own_signal(visitor):
    """What an earlier page stored is read only once consent is signalled here."""
    visitor.goes_to(f"/?gclid={GCLID}")
    visitor.says(True)
    visitor.goes_to("/")
    visitor.waits()

    assert EMPTY == visitor.fields()

    visitor.says(True)

    assert GCLID in visitor.external_id()


def test_refusal_stores_nothing_and_erases_an_earlier_visit(visitor):
    """Nor does a later change of the page fill anything."""
    visitor.goes_to(f"/?gclid={GCLID}")
    visitor.says(True)
    visitor.goes_to(f"/?gclid={OTHER}")
    visitor.says(False)
    visitor.tab.evaluate("form => { document.body.innerHTML = form }", FORM)
    visitor.waits()

    assert EMPTY == visitor.fields()
    assert {} == visitor.stored()


def test_withdrawal_erases_and_empties_what_was_filled(site, visitor):
    """But not what the site or somebody else has put into a field since."""
    site.pages["/"] = page(FORM + "<input type=hidden name=externalID id=second>")
    visitor.goes_to(f"/?gclid={GCLID}&utm_source=google")
    visitor.says(True)
    visitor.tab.evaluate("document.querySelector('#second').value = 'REF-12'")
    visitor.says(False)

    assert EMPTY == visitor.fields()
    assert "REF-12" == visitor.tab.evaluate("document.querySelector('#second').value")
    assert {} == visitor.stored()


def test_withdrawal_in_one_tab_reaches_the_others(visitor):
    """An open form is emptied, and nothing is stored again when it is sent."""
    visitor.goes_to(f"/?gclid={GCLID}")
    visitor.says(True)
    second = visitor.context.new_page()
    visitor.goes_to("/", second)
    visitor.says(True, second)
    visitor.says(False, second)

    assert is_empty_again(visitor)
    visitor.tab.evaluate("document.forms[0].requestSubmit()")
    visitor.tab.wait_for_url("**/sent")
    assert "" == visitor.site.sent[0]["externalID"]
    assert {} == visitor.stored()


def test_withdrawal_reaches_a_tab_that_had_nothing_to_keep_yet(visitor):
    """A click that comes to it later is neither kept nor written."""
    visitor.goes_to("/")
    visitor.says(True)
    second = visitor.context.new_page()
    visitor.goes_to("/", second)
    visitor.says(True, second)
    visitor.says(False, second)
    visitor.waits()
    visitor.tab.evaluate(f"history.pushState(0, '', '/?gclid={GCLID}')")
    visitor.waits()
    # A busy machine's browser may tell the first tab late.
    visitor.tab.wait_for_function("opleadCapture.values().externalID === ''")

    assert EMPTY == visitor.fields() == visitor.tab.evaluate("opleadCapture.values()")
    assert {} == visitor.stored()


def test_withdrawal_empties_copies_of_a_filled_form(visitor):
    """Page builders show a copy of a form in a window of its own."""
    visitor.goes_to(f"/?gclid={GCLID}")
    visitor.says(True)
    visitor.tab.evaluate("document.body.append(document.forms[0].cloneNode(true)); document.forms[0].remove()")
    assert GCLID in visitor.external_id()

    visitor.says(False)
    assert EMPTY == visitor.fields()


def test_change_of_mind_on_one_page(visitor):
    """Refused, then given: the click of this page counts."""
    visitor.goes_to(f"/?gclid={GCLID}")
    visitor.says(False)
    visitor.says(True)

    assert GCLID in visitor.external_id()


def test_only_true_is_consent(visitor):
    """A call that means something else is a refusal."""
    visitor.goes_to(f"/?gclid={GCLID}")
    for said in ("'yes'", "1", "null", "undefined", "{}"):
        visitor.tab.evaluate(f"opleadCapture.consent({said})")

        assert EMPTY == visitor.fields()
        assert {} == visitor.stored()


def test_page_may_signal_before_the_script_is_there(site, visitor):
    """The documented line keeps the answer for it."""
    stub = "<script>window.opleadCapture = window.opleadCapture || {consent: function (yes) { this.said = yes }};"
    site.pages["/"] = page(FORM, before=stub + "opleadCapture.consent(true)</script>")
    visitor.goes_to(f"/?gclid={GCLID}")

    assert GCLID in visitor.external_id()


NO = "{get: () => { throw Error('no') }}"
BLOCKED = [
    f"Object.defineProperty(window, 'localStorage', {NO})",
    f"Object.defineProperty(Document.prototype, 'cookie', {NO})",
    "Storage.prototype.setItem = () => { throw Error('full') }",
]


@pytest.mark.parametrize("blocked", mostly_exhaustive(BLOCKED, BLOCKED[0]))
def test_blocked_storage_still_fills_this_page(visitor, blocked):
    """Some browsers forbid storage or cookies: the click lasts as long as the page."""
    visitor.context.add_init_script(blocked)
    visitor.goes_to(f"/?gclid={GCLID}")
    visitor.says(True)

    assert GCLID in visitor.external_id()


def test_form_that_the_browser_restores_is_empty_until_consent(site, visitor):
    """Going back, a browser may put into a form what it held."""
    site.pages["/devis"] = page(FORM)
    visitor.goes_to(f"/?gclid={GCLID}")
    visitor.says(True)
    visitor.goes_to("/devis")
    visitor.tab.go_back()
    visitor.waits()

    assert EMPTY == visitor.fields()


# ── consent platforms ────────────────────────────────────────────────────────────────────────────
# Each stub keeps its visitor's answer in `say(…)`: true, false, or a mixed answer where there is one.

TCF = """<script>
    let listener, heard = {eventStatus: 'cmpuishown', gdprApplies: true, purpose: {consents: {}}};
    function start() {
        window.__tcfapi = (command, version, callback) => { listener = callback; callback(heard, true); };
    }
    function say(answer) {
        const consents = answer === 'mixed' ? {1: true, 2: true, 7: false} : {1: answer, 7: answer};
        heard = {eventStatus: 'useractioncomplete', gdprApplies: true, purpose: {consents}};
        if (listener) listener(heard, true);
    }
</script>"""
GOOGLE = """<script>
    function start() {
        window.dataLayer = window.dataLayer || [];
        window.gtag = function () { dataLayer.push(arguments); };
        gtag('js', new Date());
        gtag('consent', 'default', {ad_storage: 'granted', ad_user_data: 'granted', analytics_storage: 'granted'});
    }
    function say(answer) {
        gtag('consent', 'update', {analytics_storage: 'granted'});
        gtag('consent', 'update', {
            ad_storage: answer ? 'granted' : 'denied', ad_user_data: answer === true ? 'granted' : 'denied',
        });
    }
</script>"""
AXEPTIO = """<script>
    let listener;
    const sdk = {on: (event, callback) => { if (event == 'cookies:complete') listener = callback; }};
    function start() {
        const waiting = window._axcb || [];
        window._axcb = {push: callback => callback(sdk)};
        waiting.forEach(window._axcb.push);
    }
    function say(answer) {
        listener({google_analytics: true, google_ads: answer !== false, facebook_pixel: answer === true});
    }
</script>"""
DIDOMI = """<script>
    let listener, consent = {enabled: [], disabled: []};
    function start() {
        window.Didomi = {
            getUserStatus: () => ({purposes: {consent}}),
            on: (event, callback) => { if (event == 'consent.changed') listener = callback; },
        };
        const waiting = window.didomiOnReady || [];
        window.didomiOnReady = {push: callback => callback(Didomi)};
        waiting.forEach(window.didomiOnReady.push);
    }
    function say(answer) {
        const both = ['cookies', 'measure_ad_performance'];
        consent = answer === true ? {enabled: both, disabled: []} : answer === false ? {enabled: [], disabled: both}
            : {enabled: ['cookies'], disabled: ['measure_ad_performance']};
        listener();
    }
</script>"""
PLATFORMS = {"tcf": TCF, "google": GOOGLE, "axeptio": AXEPTIO, "didomi": DIDOMI}


@pytest.mark.parametrize("name", PLATFORMS)
@pytest.mark.parametrize("is_early", mostly_exhaustive([True, False], False))
def test_platform_is_heard_whenever_it_comes(site, visitor, name, is_early):
    """Before the script or after it: nothing until the visitor grants all that is asked, nothing after withdrawal."""
    start = "<script>start()</script>"
    site.pages["/"] = page(FORM, before=PLATFORMS[name] + (start if is_early else ""))
    visitor.goes_to(f"/?gclid={GCLID}")
    if not is_early:
        visitor.tab.evaluate("start(); document.body.append('banner')")
    visitor.waits()

    for answer in ("", "say('mixed')"):
        visitor.tab.evaluate(answer)
        assert EMPTY == visitor.fields()
        assert {} == visitor.stored()

    visitor.tab.evaluate("say(true)")
    assert GCLID in visitor.sees()
    assert GCLID == kept(visitor)

    visitor.tab.evaluate("say(false)")
    assert is_empty_again(visitor)
    assert {} == visitor.stored()


def test_platform_that_knows_the_answer_from_an_earlier_page(site, visitor):
    """TCF then says `tcloaded`; Consent Mode's update may lie in the data layer already."""
    loaded = "{eventStatus: 'tcloaded', gdprApplies: true, purpose: {consents: {1: true, 7: true}}}"
    site.pages["/"] = page(FORM, before=f"<script>__tcfapi = (a, b, c) => c({loaded}, true)</script>")
    site.pages["/google"] = page(FORM, before=GOOGLE + "<script>start(); say(true)</script>")

    for path in ("/", "/google"):
        visitor.goes_to(f"{path}?gclid={GCLID}")

        assert GCLID in visitor.external_id()


def test_one_refusal_outweighs_consent_given_elsewhere(site, visitor):
    """Two platforms on one page, whatever the order: both must agree."""
    site.pages["/"] = page(FORM, before=GOOGLE)
    visitor.goes_to(f"/?gclid={GCLID}")
    visitor.tab.evaluate("start()")
    for google, own, is_filled in ((True, False, False), (True, True, True), (False, True, False), (True, True, True)):
        visitor.tab.evaluate(f"say({json.dumps(google)})")
        visitor.says(own)

        assert is_filled == (GCLID in visitor.external_id())
        assert is_filled == (kept(visitor) == GCLID)


GRANTED, DENIED = "granted", "denied"
UPDATES = [
    ("default", {"ad_storage": GRANTED, "ad_user_data": GRANTED}, False),
    ("update", {"ad_storage": GRANTED}, False),
    ("update", {"ad_user_data": GRANTED}, True),
    ("default", {"ad_storage": DENIED, "ad_user_data": DENIED, "region": ["FR"]}, True),
    ("update", {"analytics_storage": DENIED}, True),
    ("update", {"ad_user_data": DENIED}, False),
    ("update", {"ad_storage": GRANTED}, False),
    ("update", {"ad_user_data": GRANTED}, True),
    ("update", {"ad_storage": DENIED}, False),
    ("update", {"ad_storage": GRANTED, "ad_user_data": DENIED}, False),
    ("update", {"ad_storage": GRANTED, "ad_user_data": GRANTED}, True),
]


def test_google_must_be_granted_storage_and_use_of_the_data(site, visitor):
    """One that an update does not name stays as it was; a default, for any region, says nothing."""
    site.pages["/"] = page(FORM, before=GOOGLE + "<script>start()</script>")
    visitor.goes_to(f"/?gclid={GCLID}")

    for said in UPDATES:
        visitor.tab.evaluate("([command, answer]) => gtag('consent', command, answer)", said[:2])
        assert said == (*said[:2], GCLID in visitor.external_id())


def test_half_an_answer_to_google_erases_nothing(site, visitor):
    """Until the other half comes, nothing is written either, whatever the page says."""
    site.pages["/"] = page(FORM, before=GOOGLE + "<script>start()</script>")
    visitor.goes_to(f"/?gclid={GCLID}")
    visitor.tab.evaluate("say(true)")
    visitor.goes_to("/")
    visitor.tab.evaluate("gtag('consent', 'update', {ad_user_data: 'granted'})")
    visitor.says(True)
    assert EMPTY == visitor.fields()

    visitor.tab.evaluate("gtag('consent', 'update', {ad_storage: 'granted'})")
    assert GCLID in visitor.external_id()


ANSWERS = [
    ("axeptio", "data-axeptio=bing_ads", "listener({bing_ads: true, google_ads: false})", True),
    ("axeptio", "data-axeptio=bing_ads", "listener({google_ads: true})", False),
    ("axeptio", "", "listener({google_ads: true})", True),
    ("axeptio", "", "listener({google_ads: 'denied'})", False),
    ("didomi", "data-didomi=pub", "consent.enabled = ['pub'], listener()", True),
    ("didomi", "", "consent.enabled = ['cookies'], listener()", False),
    ("tcf", "", "listener({eventStatus: 'tcloaded', gdprApplies: false, purpose: {consents: {}}}, true)", False),
    ("tcf", "", "listener(null, false)", False),
]


@pytest.mark.parametrize("case", mostly_exhaustive(ANSWERS, ANSWERS[0], ANSWERS[5]))
def test_what_is_asked_of_a_platform_may_be_named(site, visitor, case):
    """Vendors and purposes have each site's own names; what the platform does not know is not granted."""
    name, attributes, answer, is_granted = case
    site.pages["/"] = page(FORM, before=PLATFORMS[name] + "<script>start()</script>", attributes=attributes)
    visitor.goes_to(f"/?gclid={GCLID}")
    visitor.tab.evaluate(f"void ({answer})")
    visitor.waits()

    assert is_granted == (GCLID in visitor.external_id())


def test_data_layer_works_as_before(site, visitor):
    """What the page pushes arrives, and push returns what it returned."""
    site.pages["/"] = page(FORM, before="<script>dataLayer = [null, 'x', {event: 'a'}]</script>")
    visitor.goes_to("/")

    assert 5 == visitor.tab.evaluate("dataLayer.push({event: 'b'}, undefined)")
    assert 6 == visitor.tab.evaluate("dataLayer.push(['consent', 'update'])")
    assert 6 == visitor.tab.evaluate("dataLayer.length")
