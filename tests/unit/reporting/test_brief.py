"""The page in a few lines says what the page says, in the reader's language."""

import io
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from connectors.language import Language, using_language
from docs.demo_report import demo_facts
from jobs.reporting.page.brief import MOST_TASKS, brief_of_report, numbers_in_brief, print_brief, verdict, weekly_notice
from jobs.reporting.page.facts import ConversionOutcome, OutcomeCount
from jobs.reporting.page.render import render
from jobs.reporting.presentation import AccountPresentation
from jobs.rules.reasons import PlatformCode
from tests.report_facts import empty_facts


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("facts", [demo_facts, empty_facts])
def test_the_summary_has_the_numbers_of_the_page(facts, language):
    """Each stands on the page in the same form."""
    with using_language(language):
        page, numbers = render(facts()), dict(numbers_in_brief(brief_of_report(facts(), Path("page.html"))))

    parts = [part for number in numbers.values() for part in re.split(r" · | \(.*", number) if part]
    assert 3 == len(numbers)
    assert [] == [part for part in parts[:-1] if part not in page]


def test_the_summary_is_a_few_plain_sentences():
    """Somebody who reads nothing else knows what to do."""
    with using_language(Language.ENGLISH):
        notice = weekly_notice(demo_facts())

    assert "the week to Fri 27 Nov 2026" == notice.title
    assert [
        "Something is wrong. 3 things to do.",
        "",
        "From Thu 29 Oct 2026 to Fri 27 Nov 2026:",
        (
            "Signed sales from ads: 60 (€701,650) in 30 days · "
            "▲ 15% more than before (52 sales); value ▲ 16% (from €605,300)"
        ),
        "Counted by the platforms: 88% · 49 accepted of 56 to be sent",
        "Can still be saved: €81,920 · 11 conversions expire within seven days",
        "",
        "What needs doing:",
        "- Urgent · Oplead users · Conversions expire soon",
        "- Soon · Marketing · A status that the settings do not know",
        "- Soon · Whoever runs the website · Conversions may be missing",
    ] == notice.text.split("\n")


def test_the_summary_names_the_worst_tasks_and_counts_the_others():
    """A page has room for all."""
    facts = demo_facts()
    with using_language(Language.ENGLISH):
        text = weekly_notice(replace(facts, tasks=facts.tasks[:1] * (MOST_TASKS + 2))).text

    assert MOST_TASKS == text.count("Conversions expire soon")
    assert text.endswith("… and 2 more")


def test_all_is_well_without_tasks():
    """It is the page's first line."""
    with using_language(Language.FRENCH):
        assert "Tout va bien. Il n’y a rien à faire." == verdict(())


def shown(brief, language):
    """What a terminal of 80 columns shows."""
    account = AccountPresentation("maison-durand", demo_facts().zone, "EUR", {}, Path("config/pipeline.yaml"))
    console = Console(file=io.StringIO(), width=80)
    with using_language(language):
        print_brief(console, account, brief)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("language", Language)
def test_a_terminal_of_80_columns_shows_the_verdict_and_three_numbers(language):
    """No line is longer, and the path stays whole."""
    lines = shown(brief_of_report(demo_facts(), Path("/srv/pages/maison-durand-report.html")), language)

    assert [] == [line for line in lines if len(line.rstrip()) > 80 and "/srv/" not in line]
    assert 8 >= len(lines)
    assert lines[-1].endswith("/srv/pages/maison-durand-report.html")


def test_without_a_page_only_what_is_cheap_is_shown(tmp_path):
    """Sales take a look at every change of status; the command that counts them is named."""
    lines = shown(replace(brief_of_report(demo_facts(), tmp_path), sold=None, page=None), Language.ENGLISH)

    assert [
        "Something is wrong. 3 things to do.",
        "  Can still be saved  €81,920 · 11 conversions expire within seven days",
        "Sales, campaigns and what needs doing: `oplead-sync report --config config/pipeline.yaml`",
    ] == [line.rstrip() for line in lines]


@pytest.mark.parametrize(
    ("sent", "shown_as"), [(19, "19 sales await the platforms' answers."), (20, "0% · 0 accepted of 56 to be sent")]
)
def test_sales_that_await_an_answer_sound_no_alarm(sent, shown_as):
    """A first night has sent and heard nothing yet: a share of none accepted would look like a failure.

    Once a platform has answered for one, and not taken it, it is one.
    """
    facts = demo_facts()
    one, *others = (replace(each, accepted=0, sent=0) for each in facts.headline.counted)
    counted = (replace(one, sent=sent), *others)
    awaited = OutcomeCount(facts.sale, "google_ads", ConversionOutcome.RECEIVED, PlatformCode(""), 19, Decimal(0))
    night = replace(facts.last_night, standing=(awaited,))
    with using_language(Language.ENGLISH):
        brief = brief_of_report(replace(facts, headline=replace(facts.headline, counted=counted), last_night=night))
        said = dict(numbers_in_brief(brief))["Counted by the platforms"]

    assert shown_as == said
