"""The sandbox's page: it shows the whole state, loads nothing from elsewhere and escapes everything."""

import hashlib
import re

import pytest

from connectors.sandbox.platform import FaultKind
from connectors.sandbox.sandbox import lead_by_conversion_id
from tests.browser import PAGE, Outline, shown_for

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
    "oplead": {
        "leads": 1200,
        "created": [{"id": "L-1000001", "by": "supplier", "at": "2026-07-20 14:25:00"}],
        "documents": [{"lead": "L-1000001", "name": "devis <1>.pdf", "size": 517, "sha256": "ccbe4b8f"}],
        "subscriptions": [{"id": "S-1", "event": "lead.created", "url": "http://127.0.0.1:9/hook", "by": "admin"}],
        "webhooks": {"delivered": 4, "waiting": 3},
    },
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


@pytest.fixture(scope="module")
def page():
    """STATE as a browser shows it."""
    return shown_for(STATE)


def test_page_shows_the_whole_state(page):
    """Clock, figures, book, refusals, servers, faults and switches appear in readable words."""
    text = " ".join(page.text)

    for expected in (
        "2026-07-20 12:30:05",
        "1200 leads in Oplead",
        "4 webhooks delivered",
        "3 webhooks waiting",
        "L-1000001",
        "supplier",
        "devis <1>.pdf",
        "http://127.0.0.1:9/hook",
        "7 uploads to Google",
        "3 uploads to Meta",
        "2 events at Meta",
        "2 requests refused",
        "Google Ads API",
        "Too recent event",
        "Error 100 / 2804003",
        "meta-1",
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
        "record_indices true",
    ):
        assert expected in text


def test_equal_refusals_share_a_row(page):
    """The row names the latest three."""
    assert 1 == page.text.count("Click not found")
    assert ["lost-2", "lost-3", "lost-4"] == [each for each in page.text if each.startswith("lost-")]


def test_adjusted_conversions_show_their_first_value():
    """A retracted conversion no longer counts."""
    book = [{**LINE, "retracted": True}, LINE]
    page = shown_for({"data_manager": {"book": book}, "google_ads": {"requests": {"adjustments": 2}}})
    worth = "was 12\N{NARROW NO-BREAK SPACE}500.50\N{NO-BREAK SPACE}"

    assert ["750\N{NO-BREAK SPACE}EUR", worth.strip()] == page.rows[1][4:6]
    assert ["retracted", f"{worth}EUR"] == page.rows[2][4:6]
    assert "1" == page.figures["conversions at Google"]
    assert "2" == page.figures["adjustments at Google"]


def test_page_loads_nothing_from_elsewhere():
    """Its only addresses are an empty icon, itself and its JSON."""
    outline = Outline(PAGE.read_text())

    assert ["data:,", "", "?every=5", "page.json"] == outline.links
    assert set() == {"img", "iframe", "form"} & set(outline.tags)
    assert "default-src 'none'" in outline.html
    assert "url(" not in outline.html
    assert "@import" not in outline.html


def test_page_never_writes_markup():
    """Everything from the state becomes a text node."""
    assert [] == re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", PAGE.read_text())


def test_page_lists_every_fault_kind():
    """A person who plants a fault finds its kinds on the page."""
    text = " ".join(Outline(PAGE.read_text()).text)

    assert f"a kind: {', '.join(FaultKind)};" in " ".join(text.split())


def test_row_leads_with_lead_and_conversion_name(page):
    """An unknown lead is shown as a dash."""
    state = STATE | {"leads": {"sale-1": "L-7", "meta-1": "L-<8>"}, "names": {"987654322": "Vente signée"}}
    rows = [row[:3] for row in shown_for(state).rows]

    assert ["L-7", "Vente signée", "987654322"] in rows
    assert ["L-<8>", "Schedule", "crm"] in rows
    assert ["–", "987654322", "Google Ads API"] in [row[:3] for row in page.rows]


@pytest.mark.parametrize(
    ("every", "does"),
    [
        ("5", True),
        ("0", False),
        pytest.param("x", False, marks=pytest.mark.exhaustive),
        pytest.param("99999", False, marks=pytest.mark.exhaustive),
    ],
)
def test_page_reloads_itself_on_request(every, does):
    """The interval must be a sensible number of seconds, and a link stops the reloading."""
    page = shown_for(STATE, f"?every={every}")

    assert ["stop" in page.text, "./" in page.links] == [does, does]


def test_lead_is_found_by_click_id_lead_id_or_email():
    """A click id may stand alone or within Meta's fbc; e-mails are hashed."""
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

    assert {"a": "L-1", "b": "L-2", "c": "L-3", "d": "L-2"} == lead_by_conversion_id(known_by, leads)


def test_external_values_are_escaped():
    """Markup is shown as text, and control and bidirectional characters are removed."""
    ids = {"transaction_id": "<script>x</script>", "action": "\N{RIGHT-TO-LEFT OVERRIDE}1\x1b[2J", "currency": "<b>"}
    page = shown_for({**STATE, "data_manager": {"book": [{**LINE, **ids}]}, "switches": {"<i>": "<img src=x>"}})

    assert "<script>x</script>" in page.text
    assert "1[2J" in page.text
    assert ["<i>", "<img src=x>"] in page.rows
    assert 1 == page.tags.count("script")
    assert set() == {"img", "b", "i"} & set(page.tags)


def test_empty_sandbox_has_a_page():
    """Before the first request its tables have no rows."""
    text = " ".join(shown_for({}).text)

    assert "Google has accepted nothing yet." in text
    assert "Meta has accepted nothing yet." in text
    assert "Nothing has been refused." in text


def test_long_book_shows_only_the_latest_lines():
    """The page says how many there are."""
    book = [{**LINE, "transaction_id": f"sale-{index}"} for index in range(55)]
    text = shown_for({"data_manager": {"book": book}}).text

    assert "sale-54" in text
    assert "sale-4" not in text
    assert "The latest 50 of 55." in text
