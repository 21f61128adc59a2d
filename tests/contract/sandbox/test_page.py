"""The sandbox's page: everything on it, nothing from elsewhere, nothing unescaped."""

import hashlib
from html.parser import HTMLParser

from connectors.sandbox.page import SHOWN, leads_behind, render

LINE = {
    "api": "google_ads",
    "transaction_id": "sale-1",
    "action": "987654322",
    "event_time": "2026-07-20T09:00:00+00:00",
    "value": 750.0,
    "first_value": 12500.5,
    "currency": "EUR",
    "click_kind": "contact",
    "matched": False,
    "replays": 2,
    "changed_replays": 0,
    "restatements": 1,
    "accepted_at": "2026-07-20T12:20:00+00:00",
}
LOST = {
    "at": "2026-07-20T12:20:00+00:00",
    "when": "processing",
    "reason": "PROCESSING_ERROR_REASON_CLICK_NOT_FOUND",
    "action": "987654322",
}
SEEN = {
    "dataset": "1234567890",
    "event_name": "Schedule",
    "event_id": "meta-1",
    "accepted": 2,
    "replays": 1,
    "event_time": "2026-07-20T09:00:00+00:00",
    "value": 60,
    "currency": "EUR",
    "click_kind": "lead_id",
    "accepted_at": "2026-07-20T12:20:00+00:00",
    "profile": "crm",
}
STATE = {
    "now": "2026-07-20T12:30:05+00:00",
    "addresses": {"oplead": "http://127.0.0.1:4001", "control": "http://127.0.0.1:4009"},
    "requests": {"oplead": 31},
    "oplead": {"leads": 1200},
    "faults": [{"server": "oplead", "kind": "status", "status": 429, "count": 2, "after": 3, "path": "/v1"}],
    "switches": {"record_indices": True},
    "data_manager": {
        "book": [LINE],
        "requests": {"ingest": 5},
        "processing": 1,
        "refused": [{**LOST, "transaction_id": name} for name in ("lost-1", "lost-2", "lost-3", "lost-4")],
    },
    "google_ads": {
        "book": [LINE],
        "requests": {"upload": 2, "refused": 1},
        "refused": [{**LOST, "when": "submit", "reason": "TOO_RECENT_EVENT", "transaction_id": "fresh-1"}],
    },
    "meta": {
        "book": [SEEN],
        "requests": {"uploads": 3, "refused": 1},
        "refused": [
            {"at": "2026-07-20T12:25:00+00:00", "code": 100, "subcode": 2804003, "field": "data[0].event_time"}
        ],
    },
}


class Outline(HTMLParser):
    """The text of a page, and whatever it refers to; unbalanced tags are a failure."""

    VOID = frozenset({"meta", "link", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        """Note the tag and its links."""
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Close what is open."""
        assert tag == self.open.pop()

    def handle_data(self, data):
        """Keep the text."""
        self.text.append(data.strip())


def read(state: dict) -> Outline:
    """The outline of its page."""
    outline = Outline()
    outline.feed(render(state))
    outline.close()

    assert [] == outline.open

    return outline


def test_the_page_tells_the_state():
    """The clock, figures, book, refusals, servers, faults and switches are all there, in people's words."""
    text = " ".join(read(STATE).text)

    for expected in (
        "2026-07-20 12:30:05",
        "1200 leads in Oplead",
        "7 uploads to Google",
        "3 uploads to Meta",
        "2 events at Meta",
        "2 requests refused",
        "Google Ads API",
        "Too recent event",
        "Error 100 / 2804003",
        "meta-1",
        "curl -X POST http://127.0.0.1:4009/faults",
        '{"server": "meta", "kind": "status", "status": 503, "count": 2}',
        "sale-1",
        "750\N{NO-BREAK SPACE}EUR",
        "was 12\N{NARROW NO-BREAK SPACE}500.50",
        "2 × replayed",
        "1 × restated",
        "no click known",
        "Click not found",
        "in processing",
        "status 429",
        "http://127.0.0.1:4001",
        "record_indices",
    ):
        assert expected in text


def test_like_refusals_share_a_row():
    """Four rows lost for one reason are told once, with the latest three by name."""
    text = read(STATE).text

    assert 1 == text.count("Click not found")
    assert ["lost-2", "lost-3", "lost-4"] == [each for each in text if each.startswith("lost-")]


def test_the_page_needs_nothing_else():
    """No script, no image, no address but an empty icon and its own."""
    outline = read(STATE)

    assert ["data:,", "", "?every=5"] == outline.links
    assert set() == {"script", "img", "iframe", "form"} & set(outline.tags)
    assert "url(" not in render(STATE)
    assert "@import" not in render(STATE)


def test_whose_conversion_it_is_and_what_it_is_called():
    """A line leads with what a person looks for; where it is not known it says so."""
    state = STATE | {"behind": {"sale-1": "L-7", "meta-1": "L-<8>"}, "names": {"987654322": "Vente signée"}}
    text = " ".join(read(state).text)

    for expected in ("L-7", "L-<8>", "Vente signée", "987654322"):
        assert expected in text
    assert "L-7" not in " ".join(read(STATE).text)


def test_the_page_can_load_itself_again():
    """Only where asked; a link stops it."""
    assert 'http-equiv="refresh"' not in render(STATE)
    assert '<meta http-equiv="refresh" content="5">' in render(STATE | {"every": 5})
    assert ["data:,", "", "./"] == read(STATE | {"every": 5}).links


def test_the_lead_behind_a_conversion_is_found_by_what_it_was_sent_with():
    """By click id, alone or within Meta's fbc, by lead id or by a hashed e-mail."""
    leads = {
        "L-1": {"leadData": {"externalID": "gclid=Cj0-abc_1&fbclid=IwAR.x"}},
        "L-2": {"leadData": {"externalID": "lead_id: l:123456789012345"}, "contact": {"email": " Jean@Example.com"}},
        "L-3": {"leadData": {"externalID": ["fbclid", "IwAR-y"]}},
        "L-4": None,
    }
    hashed = hashlib.sha256(b"jean@example.com").hexdigest()
    known_by = {
        "a": ("Cj0-abc_1",),
        "b": (hashed,),
        "c": ("fb.1.1769000000000.IwAR-y", hashed),
        "d": ("123456789012345",),
        "e": ("cj0-abc_1",),
        "f": (),
    }

    assert {"a": "L-1", "b": "L-2", "c": "L-3", "d": "L-2"} == leads_behind(known_by, leads)


def test_what_came_from_outside_is_escaped():
    """An id with markup in it shows as text."""
    state = {**STATE, "data_manager": {"book": [{**LINE, "transaction_id": "<script>x</script>"}]}}

    assert "<script>x</script>" in read(state).text
    assert "<script>" not in render(state)


def test_an_empty_sandbox_has_a_page():
    """Before the first request there is a page, and it says so."""
    text = " ".join(read({}).text)

    assert "Google has accepted nothing yet." in text
    assert "Meta has accepted nothing yet." in text
    assert "Nothing has been refused." in text


def test_a_long_book_is_cut():
    """Only the latest lines are shown, and the page tells of how many."""
    book = [{**LINE, "transaction_id": f"sale-{index}"} for index in range(SHOWN + 5)]
    text = read({"data_manager": {"book": book}}).text

    assert f"sale-{SHOWN + 4}" in text
    assert "sale-4" not in text
    assert f"The latest {SHOWN} of {SHOWN + 5}." in text
