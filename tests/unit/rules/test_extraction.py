"""Which data of a lead are kept, and in which form."""

from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.records import ClickId, ClickIdKind
from jobs.rules.extraction import (
    ConsentField,
    RequiredLeadData,
    amounts,
    consent_answer,
    erased_click_id_hash,
    newly_seen_click_ids,
    where_condition_values,
)
from jobs.rules.model import ConsentAnswer, UnreadableAmount
from tests.builders import CREATED, click, lead
from tests.fakes import NIGHT

CONSENT = ConsentField("consent", frozenset({"oui", "true"}), frozenset({"non", "false"}))
GCLID = ClickIdKind.GCLID


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("oui", ConsentAnswer.GRANTED),
        ("OUI ", ConsentAnswer.GRANTED),
        ("true", ConsentAnswer.GRANTED),
        ("Non", ConsentAnswer.REFUSED),
        ("", ConsentAnswer.MISSING),
        ("  ", ConsentAnswer.MISSING),
        ("peut-être", ConsentAnswer.UNKNOWN),
        ("oui mais", ConsentAnswer.UNKNOWN),
        (Decimal(1), ConsentAnswer.UNKNOWN),
    ],
)
def test_reads_a_consent_field_by_its_listed_values(value, expected):
    """Any other value is unknown, and an empty one is missing."""
    assert expected == consent_answer(CONSENT, lead(fields={"consent": value}))


def test_absent_consent_field_is_a_missing_answer():
    """It is neither a refusal nor consent."""
    assert ConsentAnswer.MISSING == consent_answer(CONSENT, lead(fields={}))


def test_unconfigured_consent_signal_is_not_asked():
    """It withholds nothing."""
    assert ConsentAnswer.NOT_ASKED == consent_answer(None, lead())


def test_consent_value_on_both_lists_is_a_refusal():
    """Where the settings contradict themselves, the person wins."""
    both = ConsentField("consent", frozenset({"oui"}), frozenset({"oui"}))

    assert ConsentAnswer.REFUSED == consent_answer(both, lead(fields={"consent": "oui"}))


def test_unlisted_where_value_is_kept_only_by_its_shape():
    """It may be a person's name."""
    wanted = {"channel": frozenset({"site web"}), "city": frozenset({"lyon"}), "absent": frozenset({"x"})}
    kept = where_condition_values(wanted, lead(fields={"channel": "Site  Web", "city": "Mme Durand"}))

    assert {"channel": "site web", "city": "<text, 10 characters>"} == kept


def test_keeps_only_meaningful_amounts():
    """Absent and zero amounts are left out, and unreadable ones are kept by their shape."""
    wanted = dict.fromkeys(("good", "zero", "absent", "odd"), frozenset({"included"}))
    found = amounts(wanted, lead(fields={"good": "1 200,50 €", "zero": Decimal(0), "odd": "voir Luc"}))

    assert {"good": Decimal("1200.50"), "odd": UnreadableAmount("text, 8 characters")} == found


@pytest.mark.parametrize(
    ("tax", "amount"), [("included", UnreadableAmount("text, 8 characters")), ("excluded", Decimal(900))]
)
def test_amount_contradicting_the_declared_tax_is_unreadable(tax, amount):
    """900 without tax is not 900 with tax, so the field's own wording counts."""
    found = amounts({"amount": frozenset({tax})}, lead(fields={"amount": "900 € HT"}))

    assert {"amount": amount} == found


def test_paths_lists_every_configured_field():
    """These are the fields for consent, conditions and amounts."""
    wanted = RequiredLeadData(
        CONSENT, ConsentField("perso", frozenset(), frozenset()), {"channel": frozenset()}, {"amount": frozenset()}
    )

    assert {"consent", "perso", "channel", "amount"} == wanted.paths


def test_click_id_at_first_sight_dates_from_the_lead_creation():
    """The time is an estimate, because the click itself came earlier."""
    found = newly_seen_click_ids([], lead(click_ids=(ClickId(GCLID, "G"),)), previously=None)

    assert [click("G", CREATED)] == found


def test_later_click_id_dates_from_the_previous_pull():
    """The click cannot be much later than that, and no better time is known."""
    before = NIGHT - timedelta(days=1)
    found = newly_seen_click_ids([click("old")], lead(click_ids=(ClickId(GCLID, "new"),)), previously=before)

    assert [click("new", before)] == found


def test_captured_click_time_is_used():
    """It is not an estimate."""
    clicked = CREATED - timedelta(hours=1)
    found = newly_seen_click_ids([], lead(click_ids=(ClickId(GCLID, "G", clicked),)), previously=NIGHT)

    assert [click("G", clicked, estimated=False)] == found


@pytest.mark.parametrize("known", ["G", erased_click_id_hash("G")])
def test_click_id_is_added_only_once(known):
    """This also holds where it was erased meanwhile, or where a lead lists it twice."""
    again = lead(click_ids=(ClickId(GCLID, "G"), ClickId(GCLID, "G")))

    assert [] == newly_seen_click_ids([click(known)], again, previously=NIGHT)
    assert 1 == len(newly_seen_click_ids([], again, previously=None))


def test_click_ids_are_case_sensitive():
    """Google's ids may differ by case alone."""
    assert 1 == len(newly_seen_click_ids([click("abc")], lead(click_ids=(ClickId(GCLID, "ABC"),)), previously=NIGHT))


def test_erased_click_id_does_not_reveal_its_value():
    """It can only be recognised, not read."""
    assert "gclid-1" not in erased_click_id_hash("gclid-1")
