"""A first settings file is one that `check` accepts, whatever labels a platform uses."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from connectors.language import Language, using_language
from connectors.sandbox.sandbox import KEY_FILE
from jobs.cli.setup.init.questions import QUESTIONS
from jobs.cli.setup.init.written import TO_BE_FILLED_IN, env_example_text, settings_text
from jobs.settings import InvalidSettings, ValidSettings, load
from jobs.settings.document import to_inline_yaml, yaml_section_lines
from tests import quick

ENVIRON = {"OPLEAD_TOKEN": "sk-1", "META_ACCESS_TOKEN": "EAAB"}


def answers(**changes):
    """An answer to every question that matters."""
    given = {
        "account": "maison-test",
        "timezone": "Europe/Paris",
        "currency": "EUR",
        "base_url": "https://crm.example",
        "found": {"auth": {"style": "header", "name": "X-API-KEY"}, "pagination": {"style": "page", "first_page": 0}},
        "stage": {
            "appointment": ["RDV pris"],
            "quote_sent": ["Devis à relancer"],
            "won": ["Gagné"],
            "lost": ["Perdu"],
        },
        "ignored": ["Nouveau", "n° 2: à voir"],
        "looked_at": "300 leads",
        "left_out": [],
        "files": None,
        "read_from": None,
        "schema": None,
        "consent_field": "leadData.consent",
        "granted": ["oui"],
        "refused": ["non"],
        "amount_field": "amount",
        "tax": "included",
        "otherwise": Decimal(900),
        "google_customer_id": "1234567890",
        "google_login_customer_id": "1112223333",
        "action": {"appointment": "11", "quote_sent": "12", "won": "13"},
        "meta_dataset_id": "99887766",
        "contact_data": "none",
        "imported_until": date(2026, 10, 31),
    }
    return dict.fromkeys(question.name for question in QUESTIONS) | given | changes


NO_GOOGLE = {"google_customer_id": None, "action": None}


@pytest.fixture
def written(tmp_path):
    """Write answers to a file and load it as a run would."""

    def write(**changes):
        path = tmp_path / "pipeline.yaml"
        path.write_text(settings_text(answers(**changes)), encoding="utf-8")
        return load(path, ENVIRON | {"GOOGLE_ADS_KEY_FILE": str(quick.with_key(tmp_path) / KEY_FILE)})

    return write


@pytest.mark.parametrize("language", Language)
def test_the_written_file_loads_as_answered(written, language):
    """Every part reads back with its answer, whatever language the comments are in."""
    with using_language(language):
        loaded = written()

    assert isinstance(loaded, ValidSettings), loaded.problems
    settings = loaded.settings
    assert ("header", "X-API-KEY") == (settings.oplead.auth.style, settings.oplead.auth.name)
    assert ("page", 0) == (settings.oplead.pagination.style, settings.oplead.pagination.first_page)
    assert ["appointment", "quote", "sale"] == [conversion.id for conversion in settings.conversions]
    assert ["11", "12", "13"] == [each.google_ads.conversion_action.id for each in settings.conversions]
    assert ["Schedule", "SubmitApplication", "Purchase"] == [each.meta.event for each in settings.conversions]
    assert {"2026-10-31"} == {each.since.date().isoformat() for each in settings.conversions}


@pytest.mark.parametrize("language", Language)
def test_a_file_with_the_fewest_answers_is_valid(written, language):
    """It has one platform, one stage and no amount."""
    least = {"amount_field": None, "imported_until": None, "stage": {"won": ["Gagné"]}, "found": None}

    with using_language(language):
        loaded = written(**NO_GOOGLE, **least)

    assert isinstance(loaded, ValidSettings), loaded.problems
    assert ["Sale"] == [conversion.meta.event for conversion in loaded.settings.conversions]


@pytest.mark.parametrize(("language", "written_as"), [(Language.ENGLISH, None), (Language.FRENCH, Language.FRENCH)])
def test_who_answers_in_french_is_answered_in_french(written, language, written_as):
    """The file names the language; in English it leaves the choice to the terminal."""
    with using_language(language):
        loaded = written()

    assert written_as is loaded.settings.language
    assert ("language: fr" in settings_text_in(language)) is (written_as is not None)


def settings_text_in(language):
    """The file's text, written in this language."""
    with using_language(language):
        return settings_text(answers())


def test_an_unknown_conversion_action_is_left_for_check_to_report(written):
    """Nothing is sent to a made-up action."""
    loaded = written(action={})

    assert isinstance(loaded, InvalidSettings)
    assert 3 == sum("conversion_action" in problem.path for problem in loaded.problems)
    assert TO_BE_FILLED_IN in settings_text(answers(action={}))


def test_the_environment_example_lists_the_variables_referred_to():
    """It has no others and no values."""
    both = env_example_text(answers())

    assert ["OPLEAD_TOKEN=", "GOOGLE_ADS_KEY_FILE=", "META_ACCESS_TOKEN="] == [
        line for line in both.splitlines() if "=" in line
    ]
    assert "GOOGLE" not in env_example_text(answers(**NO_GOOGLE))


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1))
def test_any_text_reads_back_unchanged(text):
    """It may stand alone, in a list or as a key."""
    read = YAML(typ="safe", pure=True).load(
        "\n".join(yaml_section_lines({"a": text, "b": [text, "x"], text: {"c": 1}})) + "\n"
    )

    assert (text, [text, "x"]) == (read["a"], read["b"]) or text in {"a", "b"}


@pytest.mark.parametrize("word", ["yes", "No", "null", "true", "12", "1e5", "0x1", "- a", "a: b", "a #b", "~", "=", ""])
def test_text_that_yaml_could_misread_is_quoted(word):
    """Other YAML readers differ in what they take for a boolean or a number."""
    assert '"' == to_inline_yaml(word)[0]


@pytest.mark.parametrize("question", [each for each in QUESTIONS if not each.by_stage], ids=lambda each: each.name)
def test_every_answer_changes_the_settings(question):
    """A question without effect would be asked in vain."""
    unlike = {"imported_until": date(2031, 1, 1)}.get(question.name, "unlike-any")

    assert settings_text(answers()) != settings_text(answers(**{question.name: unlike}))
