"""`init` writes what it was told or what Oplead shows, and asks where nobody said."""

import os
import re
import shutil
import stat
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from connectors.errors import KeyRefused, Misconfigured
from connectors.survey import AmountSeen, FewValues, KeyPath, Survey, SurveyedLabel

ROOT = Path(__file__).parents[3]
ENOUGH = (
    *("--account", "maison-test", "--stage", "won=Gagné,Vendu", "--stage", "appointment=RDV pris"),
    *("--google-customer-id", "123-456-7890", "--action", "won=11", "--action", "appointment=12"),
)
META = ("--meta-dataset-id", "77")
SURVEY = Survey(
    leads=300,
    total=None,
    requests=12,
    paths=(KeyPath("rgpd.pub", 300, ("text",)), KeyPath("montant", 40, ("number",)), KeyPath("ville", 299, ("text",))),
    labels=(SurveyedLabel("Gagné", 40, 20), SurveyedLabel("Nouveau", 200, 90), SurveyedLabel("RDV pris", 60, 30)),
    few_values=(FewValues("rgpd.pub", {"oui": 250, "non": 50}, consent=True, granted=("oui",), refused=("non",)),),
    amounts=(AmountSeen("montant", 38, 2, 260),),
    suspicions=("12 click ids have no capital letters",),
    suggestion={"auth": {"style": "header", "name": "X-API-KEY"}},
)


APART = FewValues("rgpd.personnalisation", {"oui": 200, "non": 100}, consent=True, granted=("oui",), refused=("non",))
APART_TOO = replace(
    SURVEY,
    few_values=(*SURVEY.few_values, APART),
    paths=(*SURVEY.paths, KeyPath("rgpd.personnalisation", 300, ("text",))),
)


def test_options_alone_are_enough(type_in):
    """Nobody is asked, and the file says what the options say."""
    result, told = type_in(*ENOUGH, "--imported-until", "2026-10-31")

    assert 0 == result.exit_code, result.output
    assert {"appointment": ["RDV pris"], "won": ["Gagné", "Vendu"]} == told["stages"]
    assert ["12", "11"] == [str(each["google_ads"]["conversion_action"]) for each in told["conversions"]]
    assert {date(2026, 11, 1)} == {each["since"] for each in told["conversions"]}
    assert "meta" not in told
    assert "OPLEAD_TOKEN is not set" in result.output


def test_what_oplead_shows_is_proposed(type_in):
    """Labels find their stages, the others are ignored; consent, amount and access are as they were found."""
    result, told = type_in("--account", "maison-test", "--yes", *META, survey=SURVEY)

    assert 0 == result.exit_code, result.output
    assert {"appointment": ["RDV pris"], "won": ["Gagné"]} == told["stages"]
    assert ["Nouveau"] == told["ignored_statuses"]
    assert {"field": "rgpd.pub", "granted": ["oui"], "refused": ["non"]} == told["consent"]["ad_user_data"]
    assert {"field": "montant", "tax": "included"} == told["conversions"][1]["value"]
    assert {"style": "header", "name": "X-API-KEY"} == told["oplead"]["auth"]
    assert "no capital letters" in result.output


def test_what_becomes_of_the_other_statuses_is_said(type_in, tmp_path):
    """On the screen and in the file: nobody was asked about them, and few leads were looked at."""
    result, _ = type_in("--account", "maison-test", "--yes", *META, survey=SURVEY)

    assert "ignored_statuses: Nouveau. No stage has them, and they were seen on 300 leads only: look" in result.output
    assert "are what 300 leads showed beside the stages" in (tmp_path / "pipeline.yaml").read_text()


@pytest.mark.parametrize("survey", [SURVEY, None])
def test_what_comes_next_is_every_step_of_the_guide(type_in, survey):
    """Whatever was found already: probe also tells what looks wrong."""
    result, _ = type_in(*ENOUGH, survey=survey)
    steps = re.findall(r"^  \d\. .*?\b(copy|probe|check|run)\b", result.output, re.MULTILINE)

    assert ["copy", "probe", "check", "check", "run", "run"] == steps


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_only_its_owner_reads_what_is_written(type_in, tmp_path, umask):
    """Whatever the umask: keys are typed beside it."""
    before = os.umask(umask)
    try:
        type_in(*ENOUGH)
    finally:
        os.umask(before)

    assert {0o600} == {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("pipeline.yaml", ".env.example")}


def test_where_every_status_has_a_stage_nothing_is_said(type_in, tmp_path):
    """Nor where nothing was looked at."""
    result, _ = type_in(*ENOUGH)

    assert "ignored_statuses" not in result.output
    assert "Nobody has chosen" not in (tmp_path / "pipeline.yaml").read_text()


def test_a_person_answers_at_a_terminal(type_in):
    """Wrong answers are asked again, a status in two stages too; an empty one takes the proposal."""
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


def test_a_platform_that_refuses_is_told_of_and_the_file_written(type_in):
    """The rest can be answered without it."""
    result, told = type_in(*ENOUGH, survey=Misconfigured("Oplead refuses the token (401 on /v1/leads)"))

    assert 0 == result.exit_code
    assert "refuses the token" in result.output
    assert {"token": "${OPLEAD_TOKEN}"} == told["oplead"]


def test_a_refused_key_is_told_by_what_init_knows_and_nothing_is_asked(type_in):
    """There is no settings file yet whose keys it could name."""
    result, told = type_in(*ENOUGH, survey=KeyRefused("write the client admin's API key as oplead.token"))

    assert (2, None) == (result.exit_code, told)
    assert "OPLEAD_TOKEN" in result.output
    assert "--auth-name" in result.output
    assert "oplead.token" not in result.output


def test_the_second_signal_is_found_where_it_is_asked_apart(type_in):
    """Its answers are the first one's, unless told."""
    _, told = type_in("--account", "maison-test", "--yes", *META, survey=APART_TOO)

    expected = {"field": "rgpd.personnalisation", "granted": ["oui"], "refused": ["non"]}
    assert expected == told["consent"]["ad_personalization"]


def test_the_second_signal_is_an_option(type_in):
    """As the first is."""
    apart = ("--personalization-field", "rgpd.perso", "--personalization-granted", "O", "--personalization-refused")
    result, told = type_in(*ENOUGH, *apart, "N,?")

    assert 0 == result.exit_code, result.output
    assert {"field": "rgpd.perso", "granted": ["O"], "refused": ["N", "?"]} == told["consent"]["ad_personalization"]


def test_a_proposal_can_be_answered_with_none(type_in):
    """By `-`, as each question that may be says; Enter would take what was found."""
    # Four stages and that they are right, the account, consent, its two answers and that they are right.
    told_first = ["", "", "", "", "", "maison-x", "", "", "", ""]
    # No second signal, no amount, no Google; a dataset, no contact data, no day.
    typed = [*told_first, "-", "-", "-", "77", "", "-"]

    result, told = type_in(survey=APART_TOO, typed="\n".join(typed) + "\n")

    assert 0 == result.exit_code, result.output
    assert "ad_personalization" not in told["consent"]
    assert [{"id", "name", "stage", "meta"}] * 2 == [set(each) for each in told["conversions"]]
    assert (5, 0) == (result.output.count("- for none)"), result.output.count("empty"))


def test_an_option_without_a_value_means_none(type_in):
    """Whatever was found, and though somebody could be asked."""
    options = ("--personalization-field", "--amount-field", "--google-customer-id", "--imported-until")
    none = [part for option in options for part in (option, "")]

    for asking in ({"typed": "\n" * 10}, {}):
        result, told = type_in("--account", "maison-x", *META, *none, "--force", survey=APART_TOO, **asking)

        assert 0 == result.exit_code, result.output
        assert "ad_personalization" not in told["consent"]
        assert [{"id", "name", "stage", "meta"}] * 2 == [set(each) for each in told["conversions"]]


def test_a_platform_that_was_not_looked_at_may_lack_a_stage(type_in):
    """Its labels are typed, and `-` says that there are none."""
    typed = ["RDV pris", "-", "Gagné", "-", "", "", "", "-", "-", "-", "77", "", "-"]
    result, told = type_in("--account", "maison-x", typed="\n".join(typed) + "\n")

    assert 0 == result.exit_code, result.output
    assert {"appointment": ["RDV pris"], "won": ["Gagné"]} == told["stages"]


def test_how_the_key_is_shown_is_an_option(type_in):
    """It is written where nothing was looked at, and a name alone means a header."""
    _, told = type_in(*ENOUGH, "--auth-name", "X-Oplead-Auth", "--auth-prefix", "Token ")

    assert {"style": "header", "name": "X-Oplead-Auth", "prefix": "Token "} == told["oplead"]["auth"]


def test_a_sandbox_is_looked_at_by_its_clock_and_written(type_in):
    """With the addresses of everything else it plays."""
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
def test_what_cannot_be_looked_at_is_refused_before_anything_is_asked(type_in, wrong, capfd):
    """A sandbox's clock never rules over the real Oplead; a header or parameter has a name."""
    result, told = type_in(*ENOUGH, *wrong)

    assert (2, None) == (result.exit_code, told)
    assert wrong[-2].removeprefix("--") in capfd.readouterr().err + result.output


def test_no_label_stands_in_two_stages(type_in):
    """An option that says so is usage."""
    result, _ = type_in(*ENOUGH, "--stage", "lost=gagne")

    assert 2 == result.exit_code
    assert "under won already" in result.output


def test_nothing_is_written_over(type_in, tmp_path):
    """Settings that somebody made are never lost by a second `init`."""
    (tmp_path / "pipeline.yaml").write_text("account: mine\n")

    result, told = type_in(*ENOUGH)

    assert (2, {"account": "mine"}) == (result.exit_code, told)
    assert 0 == type_in(*ENOUGH, "--force")[0].exit_code


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone")
def test_a_clone_has_nothing_where_it_writes():
    """Its first step is not refused, and changes no file that is tracked."""
    command = [shutil.which("git"), "-c", "safe.directory=*", "-C", ROOT / "config", "ls-files"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert {"pipeline.example.yaml", "pipeline.schema.json"} == set(listed.split())


def test_a_question_that_nobody_answers_names_its_option(type_in, capfd):
    """In a script nothing waits for a key."""
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
def test_an_option_that_cannot_be_read_is_usage(type_in, option):
    """Exit code 2, before anything is asked."""
    assert 2 == type_in(*ENOUGH, "--amount-field", "montant", *option)[0].exit_code


def test_who_leaves_in_the_middle_is_told_that_nothing_was_written(type_in, capfd):
    """Ctrl-C at a question is no bug."""
    result, told = type_in(survey=SURVEY, typed="3\n")

    assert (130, None) == (result.exit_code, told)
    assert "nothing was written" in capfd.readouterr().err + result.output
