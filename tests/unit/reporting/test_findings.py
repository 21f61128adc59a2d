"""What platforms know is told item by item, what needs a human first, at any width."""

from io import StringIO

import pytest
from rich.console import Console

from connectors.records import Finding, Verdict
from jobs.reporting.findings import print_findings

NOTHING_AGAINST = "What this access cannot read says nothing against sending."
FOUND = (
    Finding("service account key", Verdict.VERIFIED, "Google takes the key"),
    Finding("uploads", Verdict.UNREADABLE, "Google Ads shows no uploads yet"),
    Finding("currency", Verdict.FAILED, "amounts are sent in USD", "write currency: EUR"),
    Finding("auto-tagging", Verdict.VERIFIED, "auto-tagging is on"),
    Finding("conversion action 12", Verdict.FAILED, "there is no such action", "see its number"),
)


def _printed(findings, *, width=80, destination="google_ads"):
    text = StringIO()
    print_findings(Console(file=text, width=width, highlight=False), destination, findings)
    return text.getvalue()


def test_what_needs_a_human_stands_first():
    """Failed, then what cannot be read, then what is well, each in the order it was found."""
    text = _printed(FOUND)
    subjects = ["currency", "conversion action 12", "uploads", "service account key", "auto-tagging"]

    assert sorted(map(text.index, subjects)) == [text.index(subject) for subject in subjects]


def test_a_heading_counts_the_verdicts():
    """The destination's name and how many there are of each; none is named that there is none of."""
    assert "google_ads, as the platform has it: 2 failed, 1 not readable, 2 verified" in _printed(FOUND)
    assert "as the platform has it: 2 verified\n" in _printed([FOUND[0], FOUND[3]])
    assert "as the platform has it: nothing to look up" in _printed([])


def test_every_finding_has_its_verdict_and_what_to_do_below_it():
    """Advice stands on a line of its own, and only where there is any."""
    lines = [line.rstrip() for line in _printed(FOUND).splitlines()]
    at = lines.index("  failed        currency: amounts are sent in USD")

    assert lines[at + 1].strip() == "→ write currency: EUR"
    assert "  verified      service account key: Google takes the key" in lines
    assert 2 == sum("→" in line for line in lines)


@pytest.mark.parametrize(
    ("findings", "said"), [(FOUND, True), (FOUND[:1], False), (FOUND[2:3], False), ([], False)], ids=str
)
def test_what_cannot_be_read_is_said_to_mean_nothing(findings, said):
    """Only where there is any."""
    assert said == (NOTHING_AGAINST in _printed(findings))


@pytest.mark.parametrize("width", [40, 80, 120])
def test_findings_fit_their_terminal(width):
    """No line is wider, and nothing is cut off."""
    long = Finding("conversion action 987654321", Verdict.FAILED, "it is of type WEBPAGE " * 6, "create another " * 6)
    text = _printed([*FOUND, long], width=width)

    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert 6 == " ".join(text.split()).count("WEBPAGE")


def test_what_a_platform_says_is_never_taken_for_markup():
    """A name in brackets is shown as it is, in every place."""
    odd = Finding("dataset [red]5", Verdict.FAILED, "called [bold]Maison[/bold] [/]", "open [link]it")
    text = _printed([odd], destination="meta[1]")

    for shown in ("meta[1]", "dataset [red]5", "called [bold]Maison[/bold] [/]", "open [link]it"):
        assert shown in text
