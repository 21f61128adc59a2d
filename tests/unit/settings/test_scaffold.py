"""A first settings file is one that `check` takes, whatever a platform calls things."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from jobs.settings import Invalid, Valid, load
from jobs.settings.scaffold import (
    TO_BE_FILLED_IN,
    AmountDraft,
    ConsentDraft,
    Draft,
    GoogleDraft,
    environment_text,
    settings_text,
)
from jobs.settings.yaml_source import block, scalar

ENVIRON = {"OPLEAD_TOKEN": "sk-1", "META_ACCESS_TOKEN": "EAAB"}


def a_draft(**changes):
    """A draft with everything in it."""
    told = {
        "account": "maison-test",
        "timezone": "Europe/Paris",
        "currency": "EUR",
        "base_url": "https://crm.example",
        "oplead": {"auth": {"style": "header", "name": "X-API-KEY"}, "pagination": {"style": "page", "first_page": 0}},
        "stages": {
            "appointment": ["RDV pris"],
            "quote_sent": ["Devis à relancer"],
            "won": ["Gagné"],
            "lost": ["Perdu"],
        },
        "ignored": ["Nouveau", "n° 2: à voir"],
        "consent": ConsentDraft("leadData.consent", ["oui"], ["non"]),
        "amount": AmountDraft("amount", "included", Decimal(900)),
        "google": GoogleDraft("1234567890", "1112223333", {"appointment": "11", "quote_sent": "12", "won": "13"}),
        "dataset_id": "99887766",
        "imported_until": date(2026, 10, 31),
    }
    return Draft(**told | changes)


@pytest.fixture
def written(tmp_path, key_file):
    """Writes a draft and reads it as a run would."""

    def write(draft):
        path = tmp_path / "pipeline.yaml"
        path.write_text(settings_text(draft), encoding="utf-8")
        return load(path, ENVIRON | {"GOOGLE_ADS_KEY_FILE": str(key_file())})

    return write


def test_the_file_may_run(written):
    """Every part reads back as it was answered."""
    loaded = written(a_draft())

    assert isinstance(loaded, Valid), loaded.problems
    settings = loaded.settings
    assert ("header", "X-API-KEY") == (settings.oplead.auth.style, settings.oplead.auth.name)
    assert ("page", 0) == (settings.oplead.pagination.style, settings.oplead.pagination.first_page)
    assert ["appointment", "quote", "sale"] == [conversion.id for conversion in settings.conversions]
    assert ["11", "12", "13"] == [each.google_ads.conversion_action.id for each in settings.conversions]
    assert ["Schedule", "SubmitApplication", "Purchase"] == [each.meta.event for each in settings.conversions]
    assert {"2026-10-31"} == {each.since.date().isoformat() for each in settings.conversions}


def test_the_least_that_can_be_answered_may_run_too(written):
    """One platform, one stage, no amount."""
    least = {"amount": None, "google": None, "imported_until": None, "stages": {"won": ["Gagné"]}, "oplead": {}}

    loaded = written(a_draft(**least))

    assert isinstance(loaded, Valid), loaded.problems
    assert ["Sale"] == [conversion.meta.event for conversion in loaded.settings.conversions]


def test_an_action_that_is_not_known_yet_is_named_by_check(written):
    """Nothing is sent to a made-up action."""
    loaded = written(a_draft(google=GoogleDraft("1234567890")))

    assert isinstance(loaded, Invalid)
    assert 3 == sum("conversion_action" in problem.path for problem in loaded.problems)
    assert TO_BE_FILLED_IN in settings_text(a_draft(google=GoogleDraft("1234567890")))


def test_the_example_of_the_environment_names_what_the_file_refers_to():
    """No more, no less, and no value."""
    both = environment_text(a_draft())

    assert ["OPLEAD_TOKEN=", "GOOGLE_ADS_KEY_FILE=", "META_ACCESS_TOKEN="] == [
        line for line in both.splitlines() if "=" in line
    ]
    assert "GOOGLE" not in environment_text(a_draft(google=None))


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1))
def test_a_text_reads_back_as_it_was(text):
    """Alone, in a list, and as a key."""
    read = YAML(typ="safe", pure=True).load("\n".join(block({"a": text, "b": [text, "x"], text: {"c": 1}})) + "\n")

    assert (text, [text, "x"]) == (read["a"], read["b"]) or text in {"a", "b"}


@pytest.mark.parametrize("word", ["yes", "No", "null", "true", "12", "1e5", "0x1", "- a", "a: b", "a #b", "~", "=", ""])
def test_a_text_that_yaml_might_read_otherwise_stands_in_quotes(word):
    """Whoever reads it later."""
    assert '"' == scalar(word)[0]
