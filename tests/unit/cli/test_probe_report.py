"""The probe report is readable at any width and puts what needs a person first."""

import json
from dataclasses import replace
from io import StringIO

from rich.console import Console

from connectors.language import Language, using_language
from connectors.survey import (
    AmountPath,
    FieldMatch,
    PathWithFewValues,
    Survey,
    SurveyedLabel,
    SurveyedPath,
    UtmSourceClickIdCounts,
)
from jobs.cli.setup.probe import ProbeReport, print_probe_report
from jobs.reporting import presentation

SURVEY = Survey(
    leads=300,
    total=3450,
    requests=46,
    paths=(SurveyedPath("leadData.externalID", 270, ("text, 23 to 269 characters",)),),
    fields=(FieldMatch("status", "statut", 300), FieldMatch("history", None, 0)),
    labels=(SurveyedLabel("Gagné", 60, 54), SurveyedLabel("À requalifier", 7, 5)),
    few_values=(PathWithFewValues("leadData.consent", {"oui": 200, "": 90, "<text, 9 characters>": 10}, consent=True),),
    amounts=(AmountPath("montant", 60, 2, 238),),
    sources=(UtmSourceClickIdCounts("google", 122, {"gclid": 110}, 3),),
    how=("Pages: `page` numbers the pages.",),
    suspicions=("Click ids look cut short.",),
    undecided=("oplead.pagination.style: nothing tells.",),
    minutes_first=38.2,
    minutes_nightly=0.4,
    suggestion={"pull": "list"},
)


def report(**more):
    """A report with the survey's findings and what the settings make of them."""
    given = {
        "address": "https://api.example.org",
        "survey": SURVEY,
        "stages": {"Gagné": "won"},
        "unknown_consents": {"leadData.consent": 10},
        "per_minute": 90,
        "settings": "oplead:\n  token: x",
    }
    return ProbeReport(**{**given, **more})


def printed(what, width=80):
    """The text as printed."""
    text = StringIO()
    print_probe_report(Console(file=text, width=width, highlight=False), what)
    return text.getvalue()


def test_the_report_fits_eighty_columns_in_a_fixed_order():
    """Nothing is truncated, and undecided points come before the findings."""
    text = printed(report())

    assert max(map(len, text.splitlines())) <= 80
    told = ["300 of 3,450 leads", "oplead.pagination.style", "look cut short", "`page` numbers", "38 min 0 s", "Gagné"]
    told += ["gclid 110", '"oui" ×200', "no answer ×90", "montant", "statut", "leadData.externalID", "token: x"]
    places = [text.index(one) for one in told]
    assert sorted(places) == places


def test_unmapped_statuses_are_listed():
    """Without stages in the settings, all labels are listed as the words to write."""
    assert ("À requalifier",) == report().unmapped_labels
    assert "ignored_statuses: À requalifier" in " ".join(printed(report()).split())
    assert () == report(stages=None).unmapped_labels
    assert "the words to write under stages" in printed(report(stages=None))


def test_a_masked_status_is_not_listed_as_unmapped():
    """Copied into the settings, a mask would be a label that no lead has."""
    seen = (*SURVEY.labels, SurveyedLabel("<text, 27 characters>", 3, 1, masked=True))
    one = report(survey=replace(SURVEY, labels=seen))
    text = " ".join(printed(one, 120).split())

    assert ("À requalifier",) == one.unmapped_labels
    assert "ignored_statuses: À requalifier Not shown" in text
    assert "3 leads whose status may be personal data" in text


def test_counts_of_one_use_the_singular():
    """The counts are of leads and requests."""
    text = printed(report(survey=replace(SURVEY, leads=1, total=1, requests=1)), 120)

    assert "1 of 1 lead looked at, with 1 request;" in text


def test_several_forms_of_a_value_stand_apart_as_the_language_writes_it():
    """French has a space before a semicolon; and what cannot be read is called so in each table."""
    paths = (SurveyedPath("createdAt", 245, ("date", "texte, 16 caractères")),)
    with using_language(Language.FRENCH):
        text = printed(report(survey=replace(SURVEY, paths=paths)), width=120)

    assert "date\u202f; texte, 16 caractères" in text
    assert "Incertains" in text
    assert "Illisibles" in text


def test_says_when_status_changes_will_be_dated_by_observation():
    """It does not when a history gives the dates."""
    undated = replace(SURVEY, fields=(FieldMatch("status_at", None, 0), FieldMatch("history", None, 0)))
    dated = replace(SURVEY, fields=(FieldMatch("status_at", None, 0), FieldMatch("history", "histo", 9)))

    assert "changes will be dated by observation" in " ".join(printed(report(survey=undated), 120).split())
    assert "dated by observation" not in printed(report(survey=dated), 120)


def test_unmatched_settings_come_before_suspicions():
    """Each has its place in the file."""
    text = printed(report(unmatched=('a.yaml:7:3: consent: "x" is in none of 30 leads',)), 120)

    assert text.index("a.yaml:7:3") < text.index("Looks wrong")


def test_consent_answers_in_neither_list_are_counted():
    """A lead with such an answer is withheld each night."""
    assert "10 leads with an answer that consent lists neither as granted" in " ".join(printed(report()).split())


def test_the_json_report_holds_all_findings():
    """It holds the survey, unmapped statuses, and the lines to paste."""
    told = json.loads(presentation.json_line(report().for_json))

    assert (["À requalifier"], False, "oplead:\n  token: x") == (told["unmapped"], told["usable"], told["settings"])
    assert {
        "label": "Gagné",
        "leads": 60,
        "with_click_id": 54,
        "masked": False,
        "words": "",
        "example": "",
        "also_called": [],
        "past_code": "",
    } == told["survey"]["labels"][0]
