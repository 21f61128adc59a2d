"""Check findings are listed one by one at any width, with those that need a human first."""

from io import StringIO

import pytest
from rich.console import Console

from connectors.language import Language, using_language
from connectors.records import CheckFinding, CheckVerdict
from jobs.reporting.check_findings import print_findings

NOTHING_AGAINST = "What this access cannot read says nothing against sending."
FOUND = (
    CheckFinding("service account key", CheckVerdict.VERIFIED, "Google takes the key"),
    CheckFinding("uploads", CheckVerdict.UNREADABLE, "Google Ads shows no uploads yet"),
    CheckFinding("currency", CheckVerdict.FAILED, "amounts are sent in USD", "write currency: EUR"),
    CheckFinding("auto-tagging", CheckVerdict.VERIFIED, "auto-tagging is on"),
    CheckFinding("click window", CheckVerdict.DOUBTFUL, "it is 30 days, and 90 are taken", "write 30"),
    CheckFinding("counting", CheckVerdict.VERIFIED, "it counts one of a click", "see that this is meant"),
    CheckFinding("conversion action 12", CheckVerdict.FAILED, "there is no such action", "see its number"),
)


def _printed(findings, *, width=80, destination="google_ads", verbose=True, **more):
    text = StringIO()
    found = {destination: findings, **more}
    print_findings(Console(file=text, width=width, highlight=False), found, verbose=verbose)
    return text.getvalue()


def test_findings_that_need_a_human_come_first():
    """Failed ones lead wherever found, then those to look at, the unreadable and the verified, each in found order."""
    text = _printed(FOUND, meta=[CheckFinding("token", CheckVerdict.FAILED, "Meta refuses it", "write another")])
    subjects = ["currency", "conversion action 12", "meta: token", "click window", "uploads", "service account key"]

    assert sorted(map(text.index, subjects)) == [text.index(subject) for subject in subjects]


def test_heading_counts_the_verdicts():
    """A verdict without findings is not named."""
    assert "As the platforms have it: 2 failed, 1 to look at, 1 not readable, 3 verified" in " ".join(
        _printed(FOUND).split()
    )
    assert "As the platforms have it: 2 verified\n" in _printed([FOUND[0], FOUND[3]])
    assert "As the platforms have it: nothing to look up" in _printed([])


def test_counts_agree_with_their_words_in_french():
    """One is *vérifié*, two are *vérifiés*."""
    with using_language(Language.FRENCH):
        one, all_found = _printed([FOUND[0]]), " ".join(_printed(FOUND).split())

    assert "1 vérifié\n" in one
    assert "2 échecs, 1 à voir, 1 illisible, 3 vérifiés" in all_found


def test_verified_findings_fold_into_one_line():
    """They are counted by destination; one with advice is listed all the same."""
    text = _printed(FOUND, verbose=False, meta=[FOUND[0]])
    lines = [line.rstrip() for line in text.splitlines()]

    assert "  verified      google_ads 2, meta 1 (--verbose lists them)" in lines
    assert "auto-tagging" not in text
    assert "  verified      google_ads: counting: it counts one of a click" in lines


def test_notable_finding_is_listed_though_verified():
    """It is not folded, nor counted among those that are."""
    notable = CheckFinding("conversion action 12", CheckVerdict.VERIFIED, "primary", is_notable=True)
    lines = [line.rstrip() for line in _printed([FOUND[0], notable], verbose=False).splitlines()]

    assert "  verified  google_ads: conversion action 12: primary" in lines
    assert "  verified  google_ads 1 (--verbose lists them)" in lines


def test_finding_shows_its_verdict_with_advice_below():
    """Advice stands on a line of its own, and only where there is any."""
    lines = [line.rstrip() for line in _printed(FOUND).splitlines()]
    at = lines.index("  failed        google_ads: currency: amounts are sent in USD")

    assert lines[at + 1].strip() == "→ write currency: EUR"
    assert "  verified      google_ads: service account key: Google takes the key" in lines
    assert 4 == sum("→" in line for line in lines)


@pytest.mark.parametrize(
    ("findings", "said"), [(FOUND, True), (FOUND[:1], False), (FOUND[2:3], False), ([], False)], ids=str
)
def test_unreadable_findings_are_explained_as_harmless(findings, said):
    """The explanation appears only where something is unreadable."""
    assert said == (NOTHING_AGAINST in _printed(findings))


@pytest.mark.parametrize("width", [40, 80, 120])
def test_findings_fit_the_terminal_width(width):
    """No line is wider, and nothing is cut off."""
    long = CheckFinding(
        "conversion action 987654321", CheckVerdict.FAILED, "it is of type WEBPAGE " * 6, "create another " * 6
    )
    text = _printed([*FOUND, long], width=width)

    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert 6 == " ".join(text.split()).count("WEBPAGE")


def test_platform_text_is_never_taken_for_markup():
    """A name in brackets is shown as it is, in every place."""
    odd = CheckFinding("dataset [red]5", CheckVerdict.FAILED, "called [bold]Maison[/bold] [/]", "open [link]it")
    text = _printed([odd], destination="meta[1]")

    for shown in ("meta[1]", "dataset [red]5", "called [bold]Maison[/bold] [/]", "open [link]it"):
        assert shown in text
