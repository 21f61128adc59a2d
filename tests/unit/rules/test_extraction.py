"""What is kept of a lead, and what is not."""

from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.records import ClickId, ClickIdKind
from jobs.rules.extraction import ConsentField, Extraction, amounts, answer, erased, new_click_ids, where_facts
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
def test_what_a_consent_field_says(value, expected):
    """Only the listed values mean anything."""
    assert expected == answer(CONSENT, lead(fields={"consent": value}))


def test_an_absent_field_is_a_missing_answer():
    """It is no refusal, and no consent."""
    assert ConsentAnswer.MISSING == answer(CONSENT, lead(fields={}))


def test_a_signal_that_is_not_configured_is_not_asked():
    """It withholds nothing."""
    assert ConsentAnswer.NOT_ASKED == answer(None, lead())


def test_a_value_on_both_lists_is_a_refusal():
    """Where the settings contradict themselves the person wins."""
    both = ConsentField("consent", frozenset({"oui"}), frozenset({"oui"}))

    assert ConsentAnswer.REFUSED == answer(both, lead(fields={"consent": "oui"}))


def test_a_value_the_settings_do_not_list_is_kept_by_its_shape():
    """It may be a name."""
    wanted = {"channel": frozenset({"site web"}), "city": frozenset({"lyon"}), "absent": frozenset({"x"})}
    kept = where_facts(wanted, lead(fields={"channel": "Site  Web", "city": "Mme Durand"}))

    assert {"channel": "site web", "city": "<text, 10 characters>"} == kept


def test_only_amounts_that_say_something_are_kept():
    """Absent and zero are left out, unreadable ones kept by their shape."""
    wanted = dict.fromkeys(("good", "zero", "absent", "odd"), frozenset({"included"}))
    found = amounts(wanted, lead(fields={"good": "1 200,50 €", "zero": Decimal(0), "odd": "voir Luc"}))

    assert {"good": Decimal("1200.50"), "odd": UnreadableAmount("text, 8 characters")} == found


@pytest.mark.parametrize(
    ("tax", "amount"), [("included", UnreadableAmount("text, 8 characters")), ("excluded", Decimal(900))]
)
def test_an_amount_that_contradicts_the_declared_tax_cannot_be_read(tax, amount):
    """900 without tax is no 900 with it: the field's own word is not passed over."""
    found = amounts({"amount": frozenset({tax})}, lead(fields={"amount": "900 € HT"}))

    assert {"amount": amount} == found


def test_every_path_of_the_settings_is_asked_for():
    """Consent, conditions and amounts, each once."""
    wanted = Extraction(
        CONSENT, ConsentField("perso", frozenset(), frozenset()), {"channel": frozenset()}, {"amount": frozenset()}
    )

    assert {"consent", "perso", "channel", "amount"} == wanted.paths


def test_a_click_id_present_at_first_sight_counts_from_the_creation():
    """Estimated: the click itself came before."""
    found = new_click_ids([], lead(click_ids=(ClickId(GCLID, "G"),)), previously=None)

    assert [click("G", CREATED)] == found


def test_a_later_click_id_counts_from_the_pull_before_it_appeared():
    """It cannot have been clicked later than that by much, nor is it known any better."""
    before = NIGHT - timedelta(days=1)
    found = new_click_ids([click("old")], lead(click_ids=(ClickId(GCLID, "new"),)), previously=before)

    assert [click("new", before)] == found


def test_a_captured_click_time_is_taken():
    """It is no estimate."""
    clicked = CREATED - timedelta(hours=1)
    found = new_click_ids([], lead(click_ids=(ClickId(GCLID, "G", clicked),)), previously=NIGHT)

    assert [click("G", clicked, estimated=False)] == found


@pytest.mark.parametrize("known", ["G", erased("G")])
def test_a_click_id_is_added_once(known):
    """Also where it was erased meanwhile, and where a lead lists it twice."""
    again = lead(click_ids=(ClickId(GCLID, "G"), ClickId(GCLID, "G")))

    assert [] == new_click_ids([click(known)], again, previously=NIGHT)
    assert 1 == len(new_click_ids([], again, previously=None))


def test_the_case_of_a_click_id_tells_two_apart():
    """Google's are case-sensitive."""
    assert 1 == len(new_click_ids([click("abc")], lead(click_ids=(ClickId(GCLID, "ABC"),)), previously=NIGHT))


def test_an_erased_click_id_does_not_tell_what_it_was():
    """Only that it was that one."""
    assert "gclid-1" not in erased("gclid-1")
