"""`init` writes what options say or Oplead shows, and asks for the rest."""

import os
import re
import shlex
import shutil
import stat
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from connectors.errors import KeyRefused, Misconfigured
from connectors.survey import AmountPath, PathWithFewValues, Survey, SurveyedLabel, SurveyedPath
from jobs.cli.setup.init import command

ROOT = Path(__file__).parents[3]
ENOUGH = (
    *("--account", "maison-test", "--stage", "won=Gagné,Vendu", "--stage", "appointment=RDV pris"),
    *("--google-customer-id", "123-456-7890", "--action", "won=11", "--action", "appointment=12"),
)
META = ("--meta-dataset-id", "77")
ALSO_HERE = "; OPLEAD_TOKEN: set in this terminal; write the value there too, for the nights"
SURVEY = Survey(
    leads=300,
    total=None,
    requests=12,
    paths=(
        SurveyedPath("rgpd.pub", 300, ("text",)),
        SurveyedPath("montant", 40, ("number",)),
        SurveyedPath("ville", 299, ("text",)),
    ),
    labels=(SurveyedLabel("Gagné", 40, 20), SurveyedLabel("Nouveau", 200, 90), SurveyedLabel("RDV pris", 60, 30)),
    few_values=(
        PathWithFewValues("rgpd.pub", {"oui": 250, "non": 50}, consent=True, granted=("oui",), refused=("non",)),
    ),
    amounts=(AmountPath("montant", 38, 2, 260),),
    suspicions=("12 click ids have no capital letters",),
    suggestion={"auth": {"style": "header", "name": "X-API-KEY"}},
)


APART = PathWithFewValues(
    "rgpd.personnalisation", {"oui": 200, "non": 100}, consent=True, granted=("oui",), refused=("non",)
)
APART_TOO = replace(
    SURVEY,
    few_values=(*SURVEY.few_values, APART),
    paths=(*SURVEY.paths, SurveyedPath("rgpd.personnalisation", 300, ("text",))),
)


def test_writes_the_settings_from_options_alone(type_in):
    """No question is asked."""
    result, told = type_in(*ENOUGH, "--imported-until", "2026-10-31")

    assert 0 == result.exit_code, result.output
    assert {"appointment": ["RDV pris"], "won": ["Gagné", "Vendu"]} == told["stages"]
    assert ["12", "11"] == [str(each["google_ads"]["conversion_action"]) for each in told["conversions"]]
    assert {date(2026, 11, 1)} == {each["since"] for each in told["conversions"]}
    assert "meta" not in told
    assert "OPLEAD_TOKEN is not set" in result.output


def test_proposes_what_the_survey_found(type_in):
    """Labels match stages and the others are ignored; consent, amount and authentication are taken as found."""
    result, told = type_in("--account", "maison-test", "--yes", *META, survey=SURVEY)

    assert 0 == result.exit_code, result.output
    assert {"appointment": ["RDV pris"], "won": ["Gagné"]} == told["stages"]
    assert ["Nouveau"] == told["ignored_statuses"]
    assert {"field": "rgpd.pub", "granted": ["oui"], "refused": ["non"]} == told["consent"]["ad_user_data"]
    assert {"field": "montant", "tax": "included"} == told["conversions"][1]["value"]
    assert {"style": "header", "name": "X-API-KEY"} == told["oplead"]["auth"]
    assert "no capital letters" in result.output


def test_says_of_its_own_file_what_check_would_note(type_in):
    """Whoever chose it sees it at once, although ids are still to be filled in, and it is no mistake."""
    options = ("--account", "maison-test", "--stage", "won=Perdu", "--stage", "appointment=RDV pris")
    result, _ = type_in(*options, *META)

    assert 0 == result.exit_code, result.output
    assert "note: " in result.output
    assert "“Perdu” reads as another stage than “won”" in result.output


def test_says_which_statuses_are_ignored(type_in, tmp_path):
    """The screen and the file both say so, since no answer confirmed them and only a few leads were read."""
    result, _ = type_in("--account", "maison-test", "--yes", *META, survey=SURVEY)

    assert "ignored_statuses: Nouveau. No stage has them, and they were seen on 300 leads only: look" in result.output
    assert "are what 300 leads showed beside the stages" in (tmp_path / "pipeline.yaml").read_text()


@pytest.mark.parametrize("survey", [SURVEY, None])
def test_lists_every_next_step_of_the_guide(type_in, survey):
    """The list is the same after a survey, since `probe` also reports what looks wrong."""
    result, _ = type_in(*ENOUGH, survey=survey)
    steps = re.findall(r"^  \d\. .*?\b(cp|probe|check|run)\b", result.output, re.MULTILINE)

    assert ["cp", "probe", "check", "check", "run", "run"] == steps


def test_commands_to_type_next_can_be_pasted_whatever_the_folder_is_called(type_in, tmp_path):
    """The shell takes each path with a space for one."""
    folder = tmp_path / "mes réglages"
    result, _ = type_in(*ENOUGH, "--dir", str(folder))
    commands = [line.partition(". ")[2] for line in result.output.splitlines() if re.match(r"  \d\. ", line)]

    copied, *others = map(shlex.split, commands)
    assert ["cp", f"{folder}/.env.example", f"{folder}/.env", "&&", "chmod", "600", f"{folder}/.env"] == copied
    assert [["--config", f"{folder}/pipeline.yaml"]] * 5 == [each[-2:] for each in others]


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        (
            (),
            (
                "  1. cp {0}/.env.example {0}/.env && chmod 600 {0}/.env",
                "     then fill in OPLEAD_TOKEN, GOOGLE_ADS_KEY_FILE in {0}/.env",
            ),
        ),
        (
            ("OPLEAD_TOKEN",),
            (
                "  1. cp {0}/.env.example {0}/.env && chmod 600 {0}/.env",
                f"     then fill in GOOGLE_ADS_KEY_FILE in {{0}}/.env{ALSO_HERE}",
            ),
        ),
        (
            ("OPLEAD_TOKEN", "GOOGLE_ADS_KEY_FILE"),
            (
                "  1. oplead-sync probe --config {0}/pipeline.yaml",
                "     what Oplead answers, what looks wrong, what to write",
            ),
        ),
    ],
)
def test_asks_to_fill_in_only_the_variables_that_are_not_set(type_in, tmp_path, monkeypatch, variables, first):
    """With every key in the environment there is nothing to fill in."""
    monkeypatch.setattr(command, "command_name", lambda: "oplead-sync")
    for name in variables:
        monkeypatch.setenv(name, "x")
    result, _ = type_in(*ENOUGH, survey=SURVEY if variables else None)
    after = result.output.partition("Next:\n")[2].splitlines()
    steps = [line for line in after if re.match(r"  \d\. ", line)]

    assert [each.format(tmp_path) for each in first] == after[:2]
    assert [f"  {number}." for number in range(1, len(steps) + 1)] == [step[:4] for step in steps]


def test_the_folder_that_it_makes_is_its_owners_alone(type_in, tmp_path):
    """Keys will be in it."""
    made = tmp_path / "made"
    type_in(*ENOUGH, "--dir", str(made))

    assert 0o700 == stat.S_IMODE(made.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_written_files_are_readable_by_their_owner_only(type_in, tmp_path, umask):
    """The umask does not matter; keys are typed into the file beside the settings."""
    before = os.umask(umask)
    try:
        type_in(*ENOUGH)
    finally:
        os.umask(before)

    assert {0o600} == {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("pipeline.yaml", ".env.example")}


def test_no_status_is_ignored_without_a_survey(type_in, tmp_path):
    """No status was seen that could be ignored."""
    result, _ = type_in(*ENOUGH)

    assert "ignored_statuses" not in result.output
    assert "Nobody has chosen" not in (tmp_path / "pipeline.yaml").read_text()


def test_amount_that_mostly_sales_have_is_proposed_before_a_budget(type_in):
    """A budget is there from the first day; the sales are those that the person has named."""
    budget = AmountPath("budget", 300, 0, 0, {"Nouveau": 200, "RDV pris": 60, "Gagné": 40})
    sale = AmountPath("montant", 40, 0, 260, {"GAGNE": 38, "RDV pris": 2})

    _, told = type_in(*ENOUGH, survey=replace(SURVEY, amounts=(budget, sale)))

    assert "montant" == told["conversions"][1]["value"]["field"]


def test_asks_at_a_terminal_and_repeats_rejected_answers(type_in):
    """A status given to two stages is rejected too; an empty answer takes the proposal."""
    statuses = ["c", "-", "c", "a", "", ""]
    consent = ["", "", "", "", "-"]
    amount = ["", "excluded", "3 780,00 €"]
    typed = [*statuses, "Maison X", "maison-x", *consent, *amount, "12", "1234567890", "-", "11", "12", "-", "", ""]

    result, told = type_in(survey=SURVEY, typed="\n".join(typed) + "\n")

    assert 0 == result.exit_code, result.output
    assert {"appointment": ["RDV pris"], "won": ["Gagné"]} == told["stages"]
    assert "maison-x" == told["account"]
    assert {"field": "montant", "tax": "excluded", "otherwise": 3780} == told["conversions"][1]["value"]
    assert ["11", "12"] == [str(each["google_ads"]["conversion_action"]) for each in told["conversions"]]


@pytest.mark.parametrize(
    ("terminal", "yes", "no"), [("fr_FR.UTF-8", "o", "n"), ("C", "y", "n"), ("fr_FR.UTF-8", "Oui", "non")]
)
def test_every_question_takes_a_typed_yes_or_no(type_in, monkeypatch, terminal, yes, no):
    """Also in a language whose defaults are translated: statuses are asked for again, and a wrong path too."""
    monkeypatch.setenv("LC_ALL", terminal)
    wrong = ["c", "-", "c", "a", "", no]
    statuses = ["c", "-", "c", "a", "", "peut-être", yes]
    consent = ["rgpd", no, "", "", "", no, "", "", yes, "-"]
    typed = [*wrong, *statuses, "Maison X", "maison-x", *consent, "", "excluded", "3 780,00 €", "12", "1234567890", "-"]
    result, told = type_in(survey=SURVEY, typed="\n".join([*typed, "11", "12", "-", "", ""]) + "\n")

    assert 0 == result.exit_code, result.output
    assert "_Translated" not in result.output
    assert {"appointment": ["RDV pris"], "won": ["Gagné"]} == told["stages"]
    assert {"field": "montant", "tax": "excluded", "otherwise": 3780} == told["conversions"][1]["value"]


def test_writes_the_file_although_oplead_refuses_the_token(type_in):
    """The other questions can be answered without a survey."""
    result, told = type_in(*ENOUGH, survey=Misconfigured("Oplead refuses the token (401 on /v1/leads)"))

    assert 0 == result.exit_code
    assert "refuses the token" in result.output
    assert {"token": "${OPLEAD_TOKEN}"} == told["oplead"]


def test_a_refused_key_ends_init_naming_its_own_options(type_in):
    """No settings file exists yet, so the message cannot name its keys."""
    result, told = type_in(*ENOUGH, survey=KeyRefused("write the client admin's API key as oplead.token"))

    assert (2, None) == (result.exit_code, told)
    assert "OPLEAD_TOKEN" in result.output
    assert "--auth-name" in result.output
    assert "oplead.token" not in result.output


def test_proposes_a_separate_personalization_consent_field(type_in):
    """Its answers default to those of the first field."""
    _, told = type_in("--account", "maison-test", "--yes", *META, survey=APART_TOO)

    expected = {"field": "rgpd.personnalisation", "granted": ["oui"], "refused": ["non"]}
    assert expected == told["consent"]["ad_personalization"]


def test_personalization_consent_can_be_given_by_options(type_in):
    """Its options mirror those of the first consent signal."""
    apart = ("--personalization-field", "rgpd.perso", "--personalization-granted", "O", "--personalization-refused")
    result, told = type_in(*ENOUGH, *apart, "N,?")

    assert 0 == result.exit_code, result.output
    assert {"field": "rgpd.perso", "granted": ["O"], "refused": ["N", "?"]} == told["consent"]["ad_personalization"]


def test_a_dash_declines_a_proposal(type_in):
    """Each question that allows none says so; Enter would take the proposal."""
    # Four stages and their confirmation; the account; consent, its two answers and their confirmation.
    told_first = ["", "", "", "", "", "maison-x", "", "", "", ""]
    # No second signal, no amount, no Google; a dataset, no contact data, no day.
    typed = [*told_first, "-", "-", "-", "77", "", "-"]

    result, told = type_in(survey=APART_TOO, typed="\n".join(typed) + "\n")

    assert 0 == result.exit_code, result.output
    assert "ad_personalization" not in told["consent"]
    assert [{"id", "name", "stage", "meta"}] * 2 == [set(each) for each in told["conversions"]]
    assert ["no", "none", "none of them", "not asked separately", "not known yet"] == sorted(
        {line.strip(" -").partition(":")[0] for line in result.output.splitlines() if line.startswith("    -  ")}
    )


def test_an_empty_option_means_none(type_in):
    """It overrides what the survey found, at a terminal too."""
    options = ("--personalization-field", "--amount-field", "--google-customer-id", "--imported-until")
    none = [part for option in options for part in (option, "")]

    for asking in ({"typed": "\n" * 10}, {}):
        result, told = type_in("--account", "maison-x", *META, *none, "--force", survey=APART_TOO, **asking)

        assert 0 == result.exit_code, result.output
        assert "ad_personalization" not in told["consent"]
        assert [{"id", "name", "stage", "meta"}] * 2 == [set(each) for each in told["conversions"]]


def test_without_a_survey_a_dash_means_no_label_for_a_stage(type_in):
    """The labels are typed in."""
    typed = ["RDV pris", "-", "Gagné", "-", "", "", "", "-", "-", "-", "77", "", "-"]
    result, told = type_in("--account", "maison-x", typed="\n".join(typed) + "\n")

    assert 0 == result.exit_code, result.output
    assert {"appointment": ["RDV pris"], "won": ["Gagné"]} == told["stages"]


def test_the_authentication_style_can_be_given_by_options(type_in):
    """It is written even without a survey, and a name alone means a header."""
    _, told = type_in(*ENOUGH, "--auth-name", "X-Oplead-Auth", "--auth-prefix", "Token ")

    assert {"style": "header", "name": "X-Oplead-Auth", "prefix": "Token "} == told["oplead"]["auth"]


def test_writes_the_clock_and_addresses_of_a_sandbox(type_in):
    """Each address that the sandbox serves has an option."""
    local = ("--base-url", "http://127.0.0.1:1", "--clock", "http://127.0.0.1:2", "--meta-dataset-id", "77")
    played = ("--endpoint", "http://127.0.0.1:3", "--ads-api-endpoint", "http://127.0.0.1:4")
    result, told = type_in(*ENOUGH, *local, *played, "--graph-url", "http://127.0.0.1:5")

    assert 0 == result.exit_code, result.output
    assert ("http://127.0.0.1:1", "http://127.0.0.1:2") == (told["oplead"]["base_url"], told["clock"])
    google, meta = told["google_ads"], told["meta"]
    assert ["http://127.0.0.1:3", "http://127.0.0.1:4"] == [google["endpoint"], google["ads_api_endpoint"]]
    assert "http://127.0.0.1:5" == meta["graph_url"]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--clock", "http://127.0.0.1:2"),
        ("--base-url", "http://127.0.0.1:1", "--clock", "http://clock.example"),
        ("--auth", "query"),
    ],
)
def test_unusable_access_options_are_refused_before_any_question(type_in, wrong, capfd):
    """A sandbox's clock never applies to the real Oplead; a header or parameter needs a name."""
    result, told = type_in(*ENOUGH, *wrong)

    assert (2, None) == (result.exit_code, told)
    assert wrong[-2].removeprefix("--") in capfd.readouterr().err + result.output


def test_a_label_in_two_stages_is_a_usage_error(type_in):
    """Accents and case do not distinguish labels."""
    result, _ = type_in(*ENOUGH, "--stage", "lost=gagne")

    assert 2 == result.exit_code
    assert "under won already" in result.output


def test_never_overwrites_settings_without_force(type_in, tmp_path):
    """A second `init` must not lose edited settings."""
    (tmp_path / "pipeline.yaml").write_text("account: mine\n")

    result, told = type_in(*ENOUGH)

    assert (2, {"account": "mine"}) == (result.exit_code, told)
    assert 0 == type_in(*ENOUGH, "--force")[0].exit_code


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone")
def test_a_clone_tracks_no_file_that_init_writes():
    """The first `init` in a clone is then not refused and changes no tracked file."""
    command = [shutil.which("git"), "-c", "safe.directory=*", "-C", ROOT / "config", "ls-files"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    # What ships to a server lies in a folder of its own, into which `init` writes nothing.
    tracked = {name for name in listed.split() if not name.startswith("deploy/")}
    assert {"pipeline.example.yaml", "pipeline.schema.json"} == tracked


def test_without_a_terminal_a_missing_answer_names_its_option(type_in, capfd):
    """A script never waits for a key."""
    result, told = type_in("--stage", "won=Gagné")

    assert (2, None) == (result.exit_code, told)
    assert "--account" in capfd.readouterr().err + result.output


@pytest.mark.parametrize(
    "option",
    [
        ("--stage", "won"),
        ("--stage", "wonn=Gagné"),
        ("--imported-until", "hier"),
        ("--google-customer-id", "12"),
        ("--otherwise", "beaucoup"),
    ],
)
def test_an_unreadable_option_is_a_usage_error(type_in, option):
    """The exit code is 2, before any question."""
    assert 2 == type_in(*ENOUGH, "--amount-field", "montant", *option)[0].exit_code


def test_leaving_in_the_middle_says_that_nothing_was_written(type_in, capfd):
    """Ctrl-C at a question is not a bug."""
    result, told = type_in(survey=SURVEY, typed="3\n")

    assert (130, None) == (result.exit_code, told)
    assert "nothing was written" in capfd.readouterr().err + result.output


EXPORT = "ID;Date de création;Statut;Identifiant externe;RGPD pub;Montant HT\n" + "".join(
    f"L-{number};2026-08-{number:02};{'Gagné' if number > 15 else 'Nouveau'};gclid=Cj0KCQjw-{number}abcDEF;"
    f"{'non' if number == 3 else 'oui'};{'1 200,00 €' if number > 15 else ''}\n"
    for number in range(1, 29)
)


def test_exported_file_gives_the_first_settings(type_in, tmp_path):
    """Its folder becomes the source, no key is asked for, and unusual titles are written as columns."""
    file = tmp_path / "exports" / "leads.csv"
    file.parent.mkdir()
    file.write_text(EXPORT, encoding="cp1252")
    google = ("--google-customer-id", "123-456-7890", "--action", "won=11")
    result, told = type_in("--account", "maison-test", "--yes", "--export", str(file), *google, "--tax", "excluded")

    assert 0 == result.exit_code, result.output
    assert {"csv": "exports/*.csv", "columns": {"RGPD pub": "leadData.consent", "Montant HT": "amount"}} == told[
        "source"
    ]
    assert "oplead" not in told
    assert ("leadData.consent", ["oui"]) == (
        told["consent"]["ad_user_data"]["field"],
        told["consent"]["ad_user_data"]["granted"],
    )
    assert "amount" == told["conversions"][0]["value"]["field"]
    assert "OPLEAD_TOKEN" not in (tmp_path / ".env.example").read_text()


@pytest.mark.parametrize(("name", "why"), [("leads.xls", ".csv or .xlsx"), ("none.csv", "no file matches")])
def test_export_that_cannot_be_read_is_a_usage_error(type_in, tmp_path, capfd, name, why):
    """Nothing is written."""
    result, told = type_in(*ENOUGH, "--export", str(tmp_path / name))

    assert (2, None) == (result.exit_code, told)
    assert why in capfd.readouterr().err + result.output
