"""The page in a few lines says what the page says, in the reader's language."""

import re
from dataclasses import replace

import pytest

from connectors.language import Language, speaking
from docs.demo_report import demo_facts
from jobs.reporting.page.brief import MOST_TASKS, three_numbers, verdict, weekly_notice
from jobs.reporting.page.render import render
from tests.report_facts import empty_facts


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("facts", [demo_facts, empty_facts])
def test_the_summary_has_the_numbers_of_the_page(facts, language):
    """Each stands on the page in the same form."""
    with speaking(language):
        page, numbers = render(facts()), dict(three_numbers(facts()))

    parts = [part for number in numbers.values() for part in re.split(r" · | \(.*\)", number) if part]
    assert 3 == len(numbers)
    assert [] == [part for part in parts[:-1] if part not in page]


def test_the_summary_is_a_few_plain_sentences():
    """Somebody who reads nothing else knows what to do."""
    with speaking(Language.ENGLISH):
        notice = weekly_notice(demo_facts())

    assert "the week to Fri 27 Nov 2026" == notice.title
    assert [
        "Something is wrong. 2 things to do.",
        "",
        "From Thu 29 Oct 2026 to Fri 27 Nov 2026:",
        "Signed sales from ads: 60 (€701,650) · ▲ 15% more than before (52 sales, €605,300)",
        "Counted by the platforms: 84% · 49 of 58 accepted",
        "Can still be saved: €81,920 · 11 conversions expire within seven days",
        "",
        "What needs doing:",
        "- Urgent · Oplead users · Conversions expire soon",
        "- Soon · Marketing · A status that the settings do not know",
    ] == notice.text.split("\n")


def test_the_summary_names_the_worst_tasks_and_counts_the_others():
    """A page has room for all."""
    facts = demo_facts()
    with speaking(Language.ENGLISH):
        text = weekly_notice(replace(facts, tasks=facts.tasks[:1] * (MOST_TASKS + 2))).text

    assert MOST_TASKS == text.count("Conversions expire soon")
    assert text.endswith("… and 2 more")


def test_all_is_well_without_tasks():
    """It is the page's first line."""
    with speaking(Language.FRENCH):
        assert "Tout va bien. Il n’y a rien à faire." == verdict(())
