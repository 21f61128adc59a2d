"""Photographs the report for the documentation: `make picture`.

The picture shows `demo_facts`; the digest of its HTML lies beside it, so that a test can tell when it is out of date.
Which pixels it has depends on the fonts of the machine, so nothing checks those. Run from the project's root.
"""

import shutil
import tempfile
from hashlib import sha256
from pathlib import Path

from playwright.sync_api import sync_playwright

from connectors.language import Language, using_language
from docs.demo_report import demo_facts
from jobs.reporting.page.render import render

PICTURE = Path("docs/report.png")
DIGEST = Path("docs/report.sha256")
WIDTH, HEIGHT = 1280, 2120


def page() -> str:
    """Return the page that the picture shows."""
    with using_language(Language.ENGLISH):
        return render(demo_facts())


def digest(html: str) -> str:
    """Return what stands in the digest's file for a page."""
    return f"{sha256(html.encode()).hexdigest()}\n"


def take(html: str) -> None:
    """Write the picture of a page's beginning."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "page.html"
        file.write_text(html, encoding="utf-8")
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        shown.goto(file.as_uri())
        shown.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    html = page()
    take(html)
    DIGEST.write_text(digest(html), encoding="ascii")
