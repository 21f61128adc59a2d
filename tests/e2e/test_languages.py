"""A night, its status, its explanations and its notices speak the language of the settings, whole."""

import gettext
import json
import re
from datetime import timedelta

import pytest

from connectors import language
from tests.e2e.support.receiver import receiving
from tests.e2e.support.typed import type_in

BEFORE = timedelta(hours=20)
DATE = re.compile(r"\w+\.? \d{1,2}(?:er)? \w+\.? \d{4}")
COMMAND = re.compile(r"`oplead-sync [^`]*`")
KEY = re.compile(r"[0-9a-f]{8}[0-9a-f-]{28,}")
VALUES = {
    *("maison", "test", "Europe", "Paris"),  # the account
    *("sale", "appointment", "google_ads", "meta", "consent_unknown", "no_click_id", "withheld"),
    *("Gagné", "Rendez", "vous", "Perdu", "Nouveau", "Inconnu"),
    *("gclid", "fbclid", "by", "data_manager", "amount", "L"),
    *("leadData", "consent", "oui"),  # where an answer was read, and what it was
}
"""Words that are names, ids and codes; whatever else is outside the brackets was not translated."""


class _Pseudo(gettext.NullTranslations):
    """Puts each message between brackets."""

    def gettext(self, message):
        return f"⟦{message}⟧"

    def ngettext(self, one, several, count):
        return f"⟦{one if count == 1 else several}⟧"


def outside_brackets(text):
    """What is left of a text without what was translated."""
    while (less := re.sub(r"⟦[^⟦⟧]*⟧", "", text)) != text:
        text = less
    return text


def untranslated(text):
    """Words outside the brackets that are no values."""
    left = KEY.sub("", COMMAND.sub("", DATE.sub("", outside_brackets(text))))
    return {word for word in re.findall(r"[^\W\d]\w+", left) if word not in VALUES and not word.isupper()}


@pytest.fixture
def pseudo(monkeypatch):
    """French for a moment is English in brackets."""
    catalogue = language._catalogue
    monkeypatch.setattr(
        language,
        "_catalogue",
        lambda chosen: _Pseudo() if chosen is language.Language.FRENCH else catalogue(chosen),
    )


@pytest.fixture
def receiver():
    """The address that gets this company's notices."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def french(company, receiver):
    """A company that speaks French, with a lead for each of several states."""
    company.environ |= {"NOTIFY_URL": f"json://{receiver.address}/hook"}
    company.settings |= {"language": "fr", "notify": ["${NOTIFY_URL}"]}
    company.conversion("appointment").pop("implied_by")
    at = company.START - BEFORE
    company.serve(
        *(company.lead(number, ("Gagné", at)) for number in range(1, 4)),
        company.lead(4, ("Gagné", at), leadData={"consent": "oui"}),
        company.lead(5, ("Gagné", at), leadData={"consent": "OK tél", "externalID": "gclid=x5"}),
        company.lead(6, ("Rendez-vous", at), ("Perdu", at + timedelta(hours=1))),
        company.lead(7, ("Inconnu", at)),
    )
    return company


@pytest.mark.usefixtures("pseudo")
def test_a_night_says_nothing_outside_the_catalogue(french):
    """Only names, ids, numbers and times stand outside the brackets."""
    said = {
        words: type_in(french, *words, width=1000).out
        for words in (
            ("run",),
            ("status",),
            ("status", "--reason", "withheld"),
            *(("explain", f"L-{number}") for number in range(1, 8)),
            ("run", "--dry-run"),
            ("forget", "--lead", "L-1", "--dry-run"),
            ("forget", "--lead", "L-5"),
            ("explain", "L-5"),
            ("forget", "--lead", "L-99", "--not-on-record"),
            ("forget", "--email", "nobody@example.org"),
        )
    }

    assert {words: set() for words in said} == {words: untranslated(text) for words, text in said.items()}
    assert all("⟦" in text for text in said.values())


@pytest.mark.usefixtures("pseudo")
def test_what_stops_is_told_in_the_language_of_the_settings(french, receiver):
    """A notice is, even if the run that finds its cause answers a program, in English."""
    french.environ["OPLEAD_TOKEN"] = "revoked"
    told = type_in(french, "run", "--json")
    titles = [title for title, _ in receiver.taken]

    assert 3 == told.code
    assert ["maison-test: ⟦Oplead cannot be read⟧"] == titles
    assert ["Oplead cannot be read"] == [each["title"] for each in json.loads(told.out)["notices"]]
    assert "⟦" not in told.out + told.err
    assert "⟦Oplead cannot be read⟧" in type_in(french, "run", width=1000).out


@pytest.mark.usefixtures("pseudo")
def test_json_and_logs_stay_english(french):
    """A program must not care what people speak; not even a text stored by an earlier night is for it."""
    ran = type_in(french, "run", "--json")
    stood, told = type_in(french, "status", "--json"), type_in(french, "explain", "L-5", "--json")
    failed = type_in(french, "run", "--first-run")

    assert 1 == ran.code
    assert "⟦" not in ran.out + stood.out + told.out
    assert "⟦" not in ran.err + failed.err
    assert "this account has its state already" in failed.err
    assert "consent unclear" in told.out
    assert "a human is needed" in ran.err


JSON_COMMANDS = [
    ("check",),
    ("check", "--live"),
    ("probe",),
    ("values", "suggest"),
    ("report",),
    ("status",),
    ("explain", "L-5"),
    ("run", "--dry-run"),
    ("forget", "--lead", "L-5", "--dry-run"),
    ("oplead", "leads", "list"),
    ("oplead", "leads", "get", "L-5"),
    ("oplead", "leads", "create", "--last-name", "Petit", "--email", "petit@example.fr", "--dry-run"),
    ("oplead", "status", "set", "L-5", "En cours", "--dry-run"),
    ("oplead", "settings", "show"),
    ("oplead", "webhooks", "list"),
]


@pytest.mark.usefixtures("pseudo")
def test_every_command_answers_programs_in_english(french):
    """Neither the terminal's locale, nor the settings, nor what a French night has stored, changes that."""
    french.environ["LC_ALL"] = "fr_FR.UTF-8"
    type_in(french, "run")
    said = {words: type_in(french, *words, "--json").out for words in JSON_COMMANDS}

    assert {words: [] for words in said} == {words: re.findall("⟦[^⟧]*⟧", text) for words, text in said.items()}
    assert [] == [words for words, text in said.items() if not text.strip() and words[0] != "oplead"]


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize("words", [("check",), ("probe",), ("oplead", "leads", "list"), ("oplead", "settings", "show")])
def test_programs_are_told_in_english_what_is_wrong_with_a_file(french, words):
    """What is wrong is said before anything else is, and people read it in their language."""
    french.environ["LC_ALL"] = "fr_FR.UTF-8"
    french.settings["timezone"] = "Europe/Pari"
    for_programs, for_people = type_in(french, *words, "--json"), type_in(french, *words, width=1000)

    assert (2, 2) == (for_programs.code, for_people.code)
    assert "⟦" not in for_programs.out + for_programs.err
    assert "⟦" in for_people.out + for_people.err


@pytest.mark.usefixtures("pseudo")
def test_whoever_asks_what_is_held_is_refused_in_their_language(french):
    """What is written is for programs, and in English; that nothing is held is said to a person."""
    french.environ["LC_ALL"] = "fr_FR.UTF-8"
    type_in(french, "run")
    refused = type_in(french, "export-person", "--lead", "L-999", width=1000)

    assert 2 == refused.code
    assert "⟦" in refused.err


@pytest.mark.usefixtures("pseudo")
@pytest.mark.parametrize("words", [("probe",), ("values", "suggest")])
def test_other_commands_speak_the_language_of_the_settings(french, words):
    """As a night does, whatever the terminal's locale is."""
    type_in(french, "run")

    assert "⟦" in type_in(french, *words, width=1000).out


@pytest.mark.usefixtures("pseudo")
def test_the_page_is_in_the_language_of_the_settings(french, tmp_path):
    """Even where its numbers go to a program, in English."""
    type_in(french, "run")
    told = type_in(french, "report", "--json", "--out", str(tmp_path))

    assert "⟦" not in told.out
    assert "⟦" in (tmp_path / "maison-test-report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [("run",), ("status",), ("explain", "L-5"), ("explain", "L-1")])
def test_french_fits_a_narrow_terminal(french, words):
    """No line is wider than 80 columns but commands, which are never broken."""
    ran = type_in(french, "run", width=80)
    text = ran.out if words == ("run",) else type_in(french, *words, width=80).out
    lines = [line for line in text.splitlines() if "oplead-sync" not in line]

    assert [] == [line for line in lines if len(line) > 80]
    assert "é" in text


def test_a_settings_file_says_what_is_wrong_with_it(french):
    """Its language is known before it is valid, and a language that is none is refused."""
    french.settings["language"] = "de"
    told = type_in(french, "status")

    assert 2 == told.code
    assert "language: write en or fr" in told.err
