"""A website with the capture script, and visitors who walk through it in a headless Chromium."""

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from playwright.sync_api import sync_playwright

from connectors.sandbox.platform import Faults
from connectors.sandbox.server import Server, WireResponse
from tests.browser import chromium_or_skip
from tests.suite import mostly_exhaustive

SCRIPTS = Path(__file__).parents[1] / "connectors" / "website"
BOTH = mostly_exhaustive(["capture.min.js", "capture.js"], "capture.min.js")
"""What is served, and what is read or pasted into Tag Manager."""
FIELDS = ("externalID", "utm_source", "utm_medium", "utm_campaign")
FORM = "<form method=post action=/sent>{}<input name=email><button>OK</button></form>".format(
    "".join(f"<input type=hidden name={name}>" for name in FIELDS)
)
GCLID = "Cj0KCQjwAbC-dEf_123456"
OTHER = "EAIaIQobChMI_xyz-789"
FBCLID = "IwAR0aBcDeFgHiJkLmNoP-qRs_7890"
MSCLKID = "0123456789abcdef0123456789abcdef"
SOON = 5_000
"""Milliseconds within which what must happen happens."""
A_WHILE = 300
"""Milliseconds after which what has not happened will not: three times the script's own delay."""

_READ = """names => Object.fromEntries(names.map(name => {
    const field = document.querySelector(`[name="${name}"]`);
    return [name, field && field.value];
}))"""


def page(body="", *, before="", attributes="", script=True):
    """A page whose head loads the script, after what comes before it."""
    tag = f"<script src=/capture.js {attributes}></script>" if script else ""
    return f"<!doctype html><meta charset=utf-8><title>Maison Durand</title>{before}{tag}{body}"


class Site:
    """Pages by path on a loopback server; `/capture.js`, by either name, is one form of it, `/sent` takes forms."""

    def __init__(self, script):
        self.pages = {"/": page(FORM)}
        self.sent = []
        self.script = (SCRIPTS / script).read_bytes()
        self.server = Server("website", self._handle, Faults(), lambda: datetime.now(UTC))
        self.url = self.server.url

    def _handle(self, request):
        if request.path in ("/capture.js", "/capture.min.js"):
            return WireResponse(200, self.script, {"Content-Type": "text/javascript"})
        if request.method == "POST":
            self.sent.append(dict(parse_qsl(request.body.decode(), keep_blank_values=True)))
            return self.answer(self.sent[-1])
        html = self.pages.get(request.path)
        return WireResponse(200 if html else 404, (html or "").encode(), {"Content-Type": "text/html; charset=UTF-8"})

    def answer(self, form):
        """What a form is answered with."""
        del form
        return WireResponse(200, b"<!doctype html>Merci", {"Content-Type": "text/html"})


class Visitor:
    """One person's browser: its tabs share storage and cookies."""

    def __init__(self, site, context):
        self.site = site
        self.context = context
        self.requests = []
        context.on("request", lambda request: self.requests.append(request.url.removeprefix(site.url)))
        self.errors = []
        context.on("weberror", lambda error: self.errors.append(str(error.error)))
        self.tab = context.new_page()

    def goes_to(self, path, tab=None):
        """Open an address."""
        (tab or self.tab).goto(self.site.url + path)

    def says(self, granted, tab=None):
        """Consent or refuse, by the documented function."""
        (tab or self.tab).evaluate(f"opleadCapture.consent({json.dumps(granted)})")

    def fields(self, frame=None):
        """What the hidden fields hold; None where there is no such field."""
        return (frame or self.tab).evaluate(_READ, FIELDS)

    def external_id(self, frame=None):
        """What the click id's field holds."""
        return self.fields(frame)["externalID"]

    def sees(self, name="externalID", frame=None, *, holding=""):
        """Wait until a hidden field holds something, or this, and return it."""
        (frame or self.tab).wait_for_function(
            "([name, text]) => document.querySelector(`[name=\"${name}\"]`)?.value.includes(text || '=')",
            arg=[name, holding],
            timeout=SOON,
        )
        return self.fields(frame)[name]

    def waits(self):
        """Let a while pass."""
        self.tab.wait_for_timeout(A_WHILE)

    def stored(self, tab=None):
        """Everything a browser keeps for a site, but for cookies."""
        both = "JSON.stringify([{...localStorage}, {...sessionStorage}])"
        local, session = json.loads((tab or self.tab).evaluate(both))
        assert {} == session
        return {name: json.loads(text) for name, text in local.items()}


@contextmanager
def browsing():
    """A headless Chromium."""
    chromium = chromium_or_skip()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def browser():
    """One Chromium for the tests of a file."""
    with browsing() as chromium:
        yield chromium


@pytest.fixture(params=BOTH)
def site(request):
    """A website with either form of the script."""
    built = Site(request.param)
    with built.server:
        yield built


@pytest.fixture
def visitor(site, browser):
    """Somebody new to the site, whose pages had no errors in the end."""
    context = browser.new_context()
    somebody = Visitor(site, context)
    yield somebody
    context.close()
    assert [] == somebody.errors
