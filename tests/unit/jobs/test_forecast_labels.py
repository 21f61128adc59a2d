"""The labels of the latest leads, checked against the settings, reveal a wrongly mapped status before sending."""

from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from connectors.records import CheckVerdict, Moment, StatusEntry
from jobs.forecast import LabelUsage, label_usages
from jobs.reporting.check_findings import amounts_elsewhere_findings, consent_spelling_findings, print_labels
from tests.builders import CREATED, WON, from_field, lead, route, rulebook

SETTINGS = SimpleNamespace(
    stages={"appointment": ("4",), "won": ("Gagné", "7"), "lost": ("Perdu",)},
    ignored_statuses=("Nouveau",),
    conversions=(
        SimpleNamespace(id="sale", name="Signed sale", stage="won"),
        SimpleNamespace(id="meeting", name=None, stage="appointment"),
    ),
)


def was(*labels):
    """Return a history of these labels."""
    return tuple(StatusEntry(label, Moment(CREATED)) for label in labels)


LEADS = [
    lead("L-3", label="4", history=was("nouveau", "4")),
    lead("L-2", label="GAGNE", history=was("Nouveau", "4", "GAGNE")),
    lead("L-1", label="Chaud", history=(*was("Nouveau"), StatusEntry("Chaud", Moment(WON)))),
]


def test_labels_are_counted_for_each_stage():
    """Current and past leads count, the latest is the example, and unused labels appear as written."""
    assert (
        LabelUsage("appointment", "4", 1, 2, "L-3"),
        LabelUsage("won", "GAGNE", 1, 1, "L-2"),
        LabelUsage("won", "7"),
        LabelUsage("lost", "Perdu"),
        LabelUsage("", "nouveau", 0, 3, "L-3"),
        LabelUsage(None, "Chaud", 1, 1, "L-1"),
    ) == label_usages(SETTINGS, LEADS)


def test_label_entered_twice_counts_one_lead():
    """Leads are counted, not entries."""
    seen = label_usages(SETTINGS, [lead(label="4", history=was("4", "Nouveau", "4"))])

    assert (1, 1) == (seen[0].now, seen[0].ever)


def test_table_shows_the_conversion_of_each_status():
    """A status under the wrong stage appears beside its conversion and a lead to look up."""
    text = StringIO()
    print_labels(Console(file=text, width=100), SETTINGS, label_usages(SETTINGS, LEADS), leads=3)
    rows = [line.split() for line in text.getvalue().splitlines()]

    assert ["appointment", "meeting", "4", "1", "2", "L-3"] in rows
    assert ["won", "Signed", "sale", "GAGNE", "1", "1", "L-2"] in rows
    assert ["7", "0", "0", "-"] in rows
    assert ["ignored", "nouveau", "0", "3", "L-3"] in rows
    assert ["in", "no", "stage", "Chaud", "1", "1", "L-1"] in rows


def answering(*answers):
    """Return leads with these answers; None stands for no answer."""
    return [lead(f"L-{at}", fields={} if each is None else {"consent": each}) for at, each in enumerate(answers)]


def test_unlisted_consent_answers_are_counted_by_shape():
    """An answer may hold anything, so its text is not shown; missing answers are not counted."""
    (found,) = consent_spelling_findings(rulebook(), answering("oui", "NON", "peut-être", "Jean Martin", "", None))

    assert (CheckVerdict.DOUBTFUL, "consent at consent") == (found.verdict, found.subject)
    assert "2 of 4 answers are in neither list: <text, 9 characters> 1, <text, 11 characters> 1" == found.found


@pytest.mark.parametrize(("unlisted", "is_found"), [(0, False), (20, False), (21, True), (100, True)])
def test_more_than_a_fifth_of_unlisted_answers_is_a_finding(unlisted, is_found):
    """One in five may be slips of the form; more means that the settings lack a spelling."""
    found = list(
        consent_spelling_findings(rulebook(), answering(*["peut-être"] * unlisted, *["oui"] * (100 - unlisted)))
    )

    assert is_found == bool(found)
    for each in found:
        assert f"{unlisted} of 100 answers are in neither list: <text, 9 characters> {unlisted}" == each.found


def test_missing_answers_are_not_unlisted_answers():
    """Another finding covers an empty field."""
    assert [] == list(consent_spelling_findings(rulebook(), answering(None, "")))


@pytest.mark.parametrize(
    ("won", "others", "is_told"),
    [
        ([None] * 5, ["900"] * 5, True),
        ([None] * 4 + ["900"], ["900"] * 5, False),
        ([None] * 4, ["900"] * 5, False),
        ([None] * 5, ["900"] * 4 + [None], False),
    ],
)
def test_sales_without_amounts_while_other_leads_have_them_are_to_look_at(won, others, is_told):
    """Won and lost exchanged: every amount would be reported missing, and lost leads as sales."""
    leads = [
        lead(f"L-{label}-{at}", label=label, fields={} if amount is None else {"amount": amount})
        for label, amounts in (("Gagné", won), ("Perdu", others))
        for at, amount in enumerate(amounts)
    ]
    found = list(amounts_elsewhere_findings(rulebook(route(field_value=from_field(), stage="won")), leads))

    assert [CheckVerdict.DOUBTFUL] * is_told == [each.verdict for each in found]
    assert all("has an amount at amount" in each.found for each in found)
