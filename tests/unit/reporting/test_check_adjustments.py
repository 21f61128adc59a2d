"""`check` lists which corrections are on, so that none comes as a surprise."""

import json

import pytest

from jobs.reporting.check_report import correction_sentences
from jobs.settings import ValidSettings, load
from jobs.wiring.account import compile_rules_only

SALE = {"id": "sale", "stage": "won", "google_ads": {"conversion_action": 12}, "meta": {"event": "Purchase"}}
FORM = {"id": "form", "stage": "created", "value": 60, "google_ads": {"conversion_action": 13}}
FIELD = {"field": "amount", "tax": "included"}


@pytest.fixture
def on(tmp_path):
    """The corrections that are on for a sale with these keys, sent by this transport."""

    def told(transport="data_manager", **sale):
        key = {"type": "service_account", "client_email": "job@project.example", "private_key": "-----BEGIN"}
        (tmp_path / "key.json").write_text(json.dumps(key | {"token_uri": "https://oauth2.googleapis.com/token"}))
        settings = {
            "account": "maison",
            "currency": "EUR",
            "oplead": {"token": "${TOKEN}"},
            "stages": {"won": ["Gagné"], "lost": ["Perdu"], "gone": ["Sans suite"]},
            "consent": {"ad_user_data": {"field": "c", "granted": "oui", "refused": "non"}},
            "google_ads": {"customer_id": "1234567890", "credentials": "key.json", "transport": transport},
            "meta": {"dataset_id": "1", "access_token": "${TOKEN}"},
            "conversions": [SALE | sale, FORM],
        }
        (tmp_path / "pipeline.yaml").write_text(json.dumps(settings))
        loaded = load(tmp_path / "pipeline.yaml", {"TOKEN": "tok"})
        assert isinstance(loaded, ValidSettings), loaded
        return list(correction_sentences(loaded.settings, compile_rules_only(loaded.settings)))

    return told


NOTHING = "form: nothing (no value.field, no undo_when)"


def test_lists_default_corrections_with_their_setting(on):
    """An amount is corrected unless the setting is `off`."""
    assert [
        "sale → google_ads: a new amount is sent once it differs by more than 5 % (restate_above)",
        "sale → meta: a new amount cannot be sent there",
        NOTHING,
    ] == on(value=FIELD)
    assert (
        "sale → google_ads: no new amount is sent (restate_above: off)" == on(value=FIELD | {"restate_above": "off"})[0]
    )


@pytest.mark.parametrize(
    ("transport", "more", "said"),
    [
        ("google_ads_api", {}, "it is taken back once its lead has been in lost or gone for 3 d"),
        ("data_manager", {}, "its value becomes 0 once its lead has been in lost or gone for 3 d, and its count stays"),
        (
            "data_manager",
            {"undo_via": "google_ads_api", "undo_after": "36 h"},
            "it is taken back once its lead has been in lost or gone for 36 h, by google_ads_api",
        ),
    ],
)
def test_says_how_a_lost_sale_is_undone(on, transport, more, said):
    """It depends on what each platform can do."""
    google, meta, nothing = on(transport, value=900, undo_when=["lost", "gone"], **more)

    assert f"sale → google_ads: {said}" == google
    assert "sale → meta: it cannot be taken back there (undo_when)" == meta
    assert NOTHING == nothing


def test_conversions_without_corrections_share_one_line(on):
    """Neither of them has a `value.field` or an `undo_when`."""
    assert ["sale, form: nothing (no value.field, no undo_when)"] == on(value=900)
