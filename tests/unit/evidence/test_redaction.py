"""Of what Oplead answers only the structure is kept: names of a closed list or of most leads, and kinds of values."""

import json
from decimal import Decimal

import pytest

from connectors.evidence import Shown
from connectors.oplead.answers import HeardExchange
from connectors.oplead.evidence.redaction import redacted_exchange, shown_names, shown_settings, tree_of

NOTHING_MORE = Shown()


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (True, "boolean"),
        (Decimal(12), "integer"),
        (Decimal("12.5"), "decimal"),
        (Decimal(1_780_000_000), "epoch s"),
        (Decimal(1_780_000_000_000), "epoch ms"),
        ("", "empty"),
        ("  ", "empty"),
        ("2026-11-30T08:05:00Z", "date 0000-00-00T00:00:00Z"),
        ("30/11/2026 08:05", "date 00/00/0000 00:00"),
        ("2026-11-30", "date 0000-00-00"),
        ("12 500,00 € TTC", "number in text"),
        ("06 12 34 56 78", "number in text"),
        ("anne.durand@maison.example", "e-mail"),
        ("https://maison.example/leads/7?key=abc", "URL"),
        ("0f8fad5b-d9cb-469f-a165-70867728950e", "UUID"),
        ("Anne Durand", "text"),
        ("Appeler Anne le 30/11/2026 à 8h", "text"),
    ],
)
def test_a_value_is_a_kind(value, kind):
    """Nothing of it is left but what every such value shares."""
    assert kind == tree_of([value], NOTHING_MORE)


def test_names_that_few_leads_have_are_hidden():
    """An object may be keyed by people's names."""
    leads = [
        {"id": number, "visite": {"Anne Durand" if number == 3 else "le": "x"}, "projet": "x"} for number in range(9)
    ]
    shown = shown_names(leads, (), ())

    assert {"id": "integer", "visite": {"le": "text", "‹other›": "text"}, "projet": "text"} == tree_of(
        [{**lead, "id": Decimal(lead["id"])} for lead in leads], shown
    )


@pytest.mark.parametrize("name", ["anne.durand@maison.example", "lead 0612345678", "Durand"])
def test_a_name_in_no_closed_list_is_hidden(name):
    """Whatever it looks like."""
    assert {"‹other›": "text"} == tree_of([{name: "x"}], NOTHING_MORE)


def test_an_exchange_keeps_no_value():
    """Neither of its path, its query, its headers nor its bodies."""
    heard = HeardExchange(
        "GET",
        "/v1/leads/L-4711?page=2&email=anne%40maison.example&secret=hush",
        json.dumps({"email": "anne@maison.example"}).encode(),
        404,
        ("Content-Type", "X-Anne-Durand", "x-total-count"),
        json.dumps({"error": "no lead of Anne Durand", "Durand": 1}).encode(),
    )
    kept = redacted_exchange(heard, shown_names((), (), ("/v1", "/leads/{id}")))

    assert ("/v1/leads/{id}", ("page", "email", "‹other›")) == (kept.path, kept.query)
    assert ("content-type", "‹other›", "x-total-count") == kept.headers
    assert {"email": "e-mail"} == kept.asked
    assert {"error": "text", "‹other›": "integer"} == kept.answered


def test_pairs_of_name_and_value_are_told_as_such():
    """With the names of their two fields, which a stand-in needs."""
    pairs = [{"nom": "externalID", "valeur": "x"}, {"nom": "Anne Durand", "valeur": None}]

    assert {"‹pairs›": ("nom", "valeur"), "externalID": "text", "‹other›": "null"} == tree_of([pairs], NOTHING_MORE)


def test_pairs_of_two_kinds_are_told_as_a_list():
    """The names in the one kind are not those in the other."""
    pairs = [{"nom": "externalID", "valeur": "x"}, {"type": "consentement", "granted": True}]

    assert isinstance(tree_of([pairs], NOTHING_MORE), tuple)


def test_settings_keep_nothing_of_the_account_but_how_it_answers():
    """Headers and parameters of its own, parts of its addresses, and a scheme of its own before the key."""
    settings = {
        "path_prefix": "/concessions/durand-75012345/v1",
        "leads_path": "/leads",
        "extra_headers": {"X-Client": "durand"},
        "extra_query": {"agence": "durand"},
        "auth": {"style": "header", "name": "X-Key", "prefix": "Durand "},
        "fields": {"status": "statut"},
    }

    assert {
        "path_prefix": "/other/other/v1",
        "leads_path": "/leads",
        "auth": {"style": "header", "name": "X-Key", "prefix": "other "},
        "fields": {"status": "statut"},
    } == shown_settings(settings)


def test_an_unusual_part_of_a_known_path_is_hidden():
    """It may be the account's own."""
    shown = shown_names((), (), ("/durand-75012345/v1/leads",))
    heard = HeardExchange("GET", "/durand-75012345/v1/leads", None, 200, (), b"")

    assert "/{id}/v1/leads" == redacted_exchange(heard, shown).path
