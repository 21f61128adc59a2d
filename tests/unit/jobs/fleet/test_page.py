"""What the fleet's page says, and that it stays small."""

import re
from dataclasses import replace

import pytest

from connectors.language import Language, using_language
from jobs.fleet.page import render_fleet
from jobs.fleet.status import FleetStatus
from tests.fleet_facts import NOW, fine_fleet, fleet

MOST_BYTES = 1_000_000
"""Of the page of 2,000 accounts: it opens at once from a slow disk, and fits into a mail."""


def text_of(page):
    """The words on a page, without its marks and styles."""
    body = page[page.index("<body>") :]
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_a_cause_is_said_once_with_all_its_accounts():
    """And in the table each of them once more."""
    page = render_fleet(*fleet(2000))

    assert 1 == page.count("Nothing goes there.")
    assert "800 accounts" in text_of(page)
    assert 2 == page.count("maison-durand-0799<")
    assert len(page.encode()) < MOST_BYTES


def test_every_state_is_counted():
    """Also those that no account is in."""
    said = text_of(render_fleet(*fleet()))
    counts = "Needs a human 8 Late 1 At work 1 Waiting 1 Paused 1 Never ran 1 Fine 7 Nights late 2"

    assert f"{counts} Longest wait for a worker 42 minutes Workers alive 3" in said
    assert "1 account is late, by 30 hours." in said
    assert "Who can do it: Marketing · since Sat 28 Nov 2026 06:00" in said


@pytest.mark.parametrize(
    ("level", "status"),
    [
        ("green", fine_fleet()[0]),
        ("red", replace(fine_fleet()[0], workers=0)),
        ("red", fleet()[0]),
        ("green", FleetStatus(NOW, 1, fine_fleet()[0].queue_age, [])),
    ],
)
def test_verdict(level, status):
    """Nothing runs without a worker."""
    assert f'class="verdict {level}"' in render_fleet(status, [])


def test_page_speaks_french():
    """All of it, apart from what accounts say themselves."""
    with using_language(Language.FRENCH):
        page = render_fleet(*fleet())

    assert 'lang="fr"' in page
    for english in ("account", "needs a human", "since", "never ran", "Late"):
        assert f">{english}" not in page


def test_nothing_in_a_name_becomes_markup():
    """Whatever somebody called an account."""
    status, (cause, _) = fleet()
    page = render_fleet(status, [replace(cause, title="<b>", text="<script>", accounts=["<i>"])])

    assert not re.search(r"<(b|script|i)>", page)
