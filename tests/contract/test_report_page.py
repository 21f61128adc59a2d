"""The report's page in a browser: on a desk and a phone, light and dark, in each language, and on paper."""

import re
from dataclasses import replace
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import sync_playwright

from connectors.language import Language, using_language
from docs.demo_report import demo_facts
from jobs.fleet.page import render_fleet
from jobs.reporting.page.render import index_row, render, render_index
from tests.browser import chromium_or_skip
from tests.fleet_facts import fine_fleet, fleet
from tests.report_facts import ALL, empty_facts

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
DESK, PHONE = 1280, 360
PRINTED = 695
"""A4 without its margins, in CSS pixels."""
TOO_WIDE = """() => [...document.querySelectorAll("main *, header, footer")]
    .filter(each => !each.closest(".scroll, .unseen, svg, caption, thead, details:not([open]) > :not(summary)"))
    .filter(each => each.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
    .map(each => each.outerHTML.slice(0, 100))"""
CUT_OFF = """() => [...document.querySelectorAll(".scroll")]
    .filter(each => each.scrollWidth > each.clientWidth + 1)
    .map(each => `${each.ariaLabel} ${each.scrollWidth} ${each.clientWidth}`)"""

BROKEN_WORDS = """() => [...document.querySelectorAll("main table:not(details *) :is(tbody th, td)")].flatMap(cell => {
    const texts = [...cell.childNodes].filter(each => each.nodeType === Node.TEXT_NODE)
    return texts.flatMap(text => [...text.data.matchAll(/[\\p{L}_]{2,14}/gu)].filter(word => {
        const range = document.createRange()
        range.setStart(text, word.index)
        range.setEnd(text, word.index + word[0].length)
        return new Set([...range.getClientRects()].map(each => each.top)).size > 1
    }).map(word => word[0]))
})"""
NEVER_CUT = """() => [...document.querySelectorAll("tr, figure, .tasks li, .tiles")]
    .every(each => getComputedStyle(each).breakInside === "avoid")"""
MAY_BREAK = """() => [...document.querySelectorAll(".card:has(> .scroll > .long), .card:has(> .scroll .note)")]
    .every(each => getComputedStyle(each).breakInside === "auto")
    && [...document.querySelectorAll("section > :last-child")]
    .every(each => getComputedStyle(each).breakAfter === "auto")"""
"""Long tables go on overleaf, and no section is tied to the one below it: either would leave half a page empty."""


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium_or_skip(), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Each page as a file, by its facts and language."""
    folder = tmp_path_factory.mktemp("pages")
    written = {}
    for language in Language:
        with using_language(language):
            for name, facts in ALL.items():
                written[name, language] = folder / f"{len(written)}.html"
                written[name, language].write_text(render(facts()), encoding="utf-8")
            for name, (status, causes) in {"fleet": fleet(), "fine fleet": fine_fleet()}.items():
                written[name, language] = folder / f"{name}-{language}.html"
                written[name, language].write_text(render_fleet(status, causes), encoding="utf-8")
            written["index", language] = folder / f"index-{language}.html"
            rows = [index_row(facts, "0.html") for facts in (demo_facts(), empty_facts())]
            written["index", language].write_text(render_index(rows), encoding="utf-8")
    return written


class Shown:
    """A page as a browser shows it; what it asks for and complains of is noted."""

    def __init__(self, browser, file, **options):
        self.noted = []
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.noted.append(message.text))
        self.page.on("pageerror", lambda error: self.noted.append(str(error)))
        self.page.on("dialog", lambda dialog: self.noted.append(dialog.message))
        self.page.on("request", lambda request: self.noted.append(request.url))
        self.page.goto(file.as_uri())
        self.noted.remove(file.as_uri())

    def __enter__(self):
        return self.page

    def __exit__(self, *_):
        self.context.close()


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("name", [*ALL, "index", "fleet", "fine fleet"])
def test_a_page_fits_every_screen_and_is_silent(name, language, browser, pages):
    """Nothing sticks out at the side, nothing is loaded, nothing is complained of; colours follow the system."""
    papers = set()
    for width in (DESK, PHONE):
        for scheme in ("light", "dark"):
            shown = Shown(browser, pages[name, language], viewport={"width": width, "height": 800}, color_scheme=scheme)
            with shown as page:
                papers.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
                wide, seen = page.evaluate("(e => [e.scrollWidth, e.clientWidth])(document.documentElement)")
                assert wide <= seen
                assert [] == page.evaluate(TOO_WIDE)
                page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
                assert wide == page.evaluate("document.documentElement.scrollWidth")
            assert [] == [noted for noted in shown.noted if noted != "data:,"]
    assert 2 == len(papers)


@pytest.mark.parametrize(
    ("name", "language", "width", "scheme"),
    [
        *(("demo", Language.FRENCH, width, scheme) for width in (DESK, PHONE) for scheme in ("light", "dark")),
        ("no lead", Language.ENGLISH, DESK, "light"),
        ("one lead", Language.FRENCH, PHONE, "dark"),
        ("index", Language.ENGLISH, PHONE, "light"),
        *(("fleet", Language.FRENCH, width, scheme) for width in (DESK, PHONE) for scheme in ("light", "dark")),
    ],
)
def test_axe_finds_nothing(name, language, width, scheme, browser, pages):  # noqa: PLR0917 - pytest names them
    """Contrast, names, order and structure, with all numbers opened: axe-core's rules, best practices included."""
    shown = Shown(browser, pages[name, language], viewport={"width": width, "height": 800}, color_scheme=scheme)
    with shown as page:
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        page.evaluate(AXE)
        found = page.evaluate("axe.run()")

    assert [] == [
        (each["impact"], each["id"], [node["html"][:150] for node in each["nodes"][:3]]) for each in found["violations"]
    ]


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("name", ["demo", "no lead", "100,000 leads", "fleet"])
def test_a_page_prints_on_a4(name, language, browser, pages):
    """Every table fits the paper, in dark ink on white whatever the screen; the PDF has A4 pages."""
    shown = Shown(browser, pages[name, language], viewport={"width": PRINTED, "height": 1000}, color_scheme="dark")
    with shown as page:
        page.emulate_media(media="print", color_scheme="dark")
        assert [] == page.evaluate(CUT_OFF)
        assert page.evaluate(NEVER_CUT)
        assert page.evaluate(MAY_BREAK)
        assert [] == page.evaluate(TOO_WIDE)
        assert "rgb(255, 255, 255)" == page.evaluate("getComputedStyle(document.body).backgroundColor")
        printed = page.pdf(prefer_css_page_size=True)

    sizes = set(re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", printed))
    assert {(595, 842)} == {(round(float(width)), round(float(height))) for width, height in sizes}


def test_long_names_of_stages_break_no_other_word_on_paper(browser, tmp_path):
    """The heads give way to campaigns and sources."""
    facts = demo_facts()
    names = ("Rendez-vous téléphonique confirmé par le conseiller", "Financement-refusé-administrativement", "Gagné")
    file = tmp_path / "long.html"
    with using_language(Language.FRENCH):
        page = render(replace(facts, funnel=replace(facts.funnel, stages=names)))
    file.write_text(page, encoding="utf-8")
    with Shown(browser, file, viewport={"width": PRINTED, "height": 1000}) as page:
        page.emulate_media(media="print")
        assert [] == page.evaluate(CUT_OFF)
        assert [] == page.evaluate(BROKEN_WORDS)


def test_a_page_can_be_walked_through_by_keyboard(browser, pages):
    """The skip link comes first and leads to the content; each table that scrolls can be reached."""
    with Shown(browser, pages["demo", Language.ENGLISH], viewport={"width": PHONE, "height": 800}) as page:
        page.keyboard.press("Tab")
        assert "Skip to the content" == page.evaluate("document.activeElement.textContent")
        assert 0 <= page.evaluate("document.activeElement.getBoundingClientRect().left")
        page.keyboard.press("Enter")
        assert "content" == page.evaluate("document.activeElement.id")
        assert page.evaluate("[...document.querySelectorAll('.scroll')].every(each => each.tabIndex === 0)")


def test_charts_are_seen_in_the_dark(browser, pages):
    """Their texts and bars take the colours of the scheme."""
    seen = []
    for scheme in ("light", "dark"):
        with Shown(browser, pages["demo", Language.ENGLISH], color_scheme=scheme) as page:
            colours = "each => getComputedStyle(each).fill"
            seen.append(
                {
                    page.eval_on_selector(f"figure svg {part}", colours)
                    for part in ("text", "path[fill='var(--strong)']")
                }
            )
    light, dark = seen

    assert not light & dark
