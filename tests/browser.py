"""Pages as a browser shows them; a test that needs one is skipped where there is none, but not in CI."""

import os
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from connectors import sandbox
from connectors.sandbox.platform import Faults
from connectors.sandbox.server import Server, WireResponse, json_response

PAGE = Path(sandbox.__file__).with_name("page.html")
VOID = frozenset({"meta", "link", "br"})


class Outline(HTMLParser):
    """What a page shows, what it refers to and how it is built; unbalanced tags are a failure."""

    def __init__(self, html):
        super().__init__()
        self.html = html
        self.text: list[str] = []
        """What can be read, piece by piece."""
        self.rows: list[list[str]] = []
        """The pieces of each table row."""
        self.links: list[str] = []
        self.tags: list[str] = []
        self.figures: dict[str, str] = {}
        self.open: list[str] = []
        self.feed(html)
        self.close()

        assert [] == self.open

    def handle_starttag(self, tag, attrs):
        """Note the tag and its links."""
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src", "action")]
        if tag == "tr":
            self.rows.append([])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Close what is open."""
        assert tag == self.open.pop()

    def handle_data(self, data):
        """Keep the text."""
        if self.open[-1:] in (["script"], ["style"]):
            return
        if self.open[-1:] == ["dt"]:
            self.figures[data] = self.text[-1]
        self.text.append(data.strip())
        if "tr" in self.open:
            self.rows[-1].append(data.strip())


def chromium_or_skip() -> str:
    """Where Chromium is; a test that needs it is skipped without it, or fails in CI."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("Chromium is not installed, and shows the page")
    return chromium


def shown(url) -> Outline:
    """What a browser shows at an address, once the page's script has run."""
    chromium = chromium_or_skip()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        command = [chromium, *options, "--virtual-time-budget=3000", "--dump-dom", url]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return Outline(answer.stdout)


def shown_for(state, query="") -> Outline:
    """What a browser shows where `page.json` is this state."""

    def handle(request):
        if request.path == "/page.json":
            return json_response(200, state)
        return WireResponse(200, PAGE.read_bytes(), {"Content-Type": "text/html; charset=UTF-8"})

    with Server("page", handle, Faults(), lambda: datetime.now(UTC)) as server:
        return shown(f"{server.url}/{query}")
