"""Every error of the vendor's library has a class, and the gravest of several decides."""

from datetime import timedelta
from pathlib import Path

import pytest
from google.ads.googleads.v26.errors.types import ErrorCode

from connectors.google_ads.ads_api.outcomes import (
    ACTION_CODES,
    DEFAULTS,
    FAMILIES,
    GRAVITY,
    WORDS,
    classify_error,
    most_severe_outcome,
    outcome_of_error,
)
from connectors.records import Outcome, OutcomeClass

VENDOR = {
    field.name: [value.name for value in field.enum_type.values]
    for field in ErrorCode.pb(ErrorCode()).DESCRIPTOR.fields
}
GOLDEN = Path(__file__).parent / "golden_classes" / "ads_api.txt"


def test_every_upload_error_has_its_golden_class():
    """A library upgrade that adds or drops an error fails here by name until its class is written down."""
    written = dict(line.split() for line in GOLDEN.read_text().splitlines())

    assert written == {
        f"{family}.{name}": classify_error(family, name) for family in FAMILIES for name in VENDOR[family]
    }


def test_every_other_error_family_has_a_default_class():
    """A library upgrade with another family fails `test_vendor_upgrades` until its class is written down."""
    assert VENDOR.keys() - FAMILIES.keys() == DEFAULTS.keys()


@pytest.mark.parametrize("name", FAMILIES)
def test_every_listed_error_exists_and_is_listed_once(name):
    """A misspelt name would leave the real error to the family's default."""
    listed = [code for codes in FAMILIES[name].listed.values() for code in codes]

    assert len(listed) == len(set(listed))
    assert set(VENDOR[name]) >= set(listed)


def test_counts_of_conversion_errors_match_the_reference():
    """The numbers are those in the reference of v26."""
    assert 46 == len(VENDOR["conversion_upload_error"])
    assert 27 == len(VENDOR["conversion_adjustment_upload_error"])


@pytest.mark.parametrize(
    ("family", "name", "kind"),
    [
        ("conversion_upload_error", "ORDER_ID_ALREADY_IN_USE", OutcomeClass.DUPLICATE),
        ("conversion_upload_error", "CLICK_CONVERSION_ALREADY_EXISTS", OutcomeClass.DUPLICATE),
        ("conversion_upload_error", "DUPLICATE_ORDER_ID", OutcomeClass.BUG),
        ("conversion_upload_error", "DUPLICATE_CLICK_CONVERSION_IN_REQUEST", OutcomeClass.FIX_DATA),
        ("conversion_upload_error", "CALL_CONVERSION_ALREADY_EXISTS", OutcomeClass.BUG),
        ("conversion_upload_error", "CLICK_NOT_FOUND", OutcomeClass.DROP_EXPECTED),
        ("conversion_upload_error", "EVENT_NOT_FOUND", OutcomeClass.DROP),
        ("conversion_upload_error", "UNAUTHORIZED_CUSTOMER", OutcomeClass.DROP),
        ("conversion_upload_error", "EXPIRED_EVENT", OutcomeClass.EXPIRED),
        ("conversion_upload_error", "UNSPECIFIED", OutcomeClass.UNKNOWN),
        ("not_allowlisted_error", "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE", OutcomeClass.FIX_CONFIG),
        ("partial_failure_error", "PARTIAL_FAILURE_MODE_REQUIRED", OutcomeClass.BUG),
        ("quota_error", "RESOURCE_EXHAUSTED", OutcomeClass.RETRY),
        ("internal_error", "TRANSIENT_ERROR", OutcomeClass.RETRY),
        ("database_error", "CONCURRENT_MODIFICATION", OutcomeClass.RETRY),
        ("currency_code_error", "UNSUPPORTED", OutcomeClass.FIX_CONFIG),
        ("user_list_error", "NAME_ALREADY_USED", OutcomeClass.BUG),
        ("user_list_error", "UNSPECIFIED", OutcomeClass.UNKNOWN),
        ("range_error", "TOO_HIGH", OutcomeClass.FIX_DATA),
        ("conversion_adjustment_upload_error", "CONVERSION_ALREADY_RETRACTED", OutcomeClass.DUPLICATE),
        ("conversion_adjustment_upload_error", "RESTATEMENT_ALREADY_EXISTS", OutcomeClass.DUPLICATE),
        ("conversion_adjustment_upload_error", "MORE_RECENT_RESTATEMENT_FOUND", OutcomeClass.DROP),
        ("conversion_adjustment_upload_error", "CONVERSION_NOT_FOUND", OutcomeClass.DEFER),
        ("conversion_adjustment_upload_error", "TOO_MANY_ADJUSTMENTS", OutcomeClass.DROP),
        ("conversion_adjustment_upload_error", "CONVERSION_EXPIRED", OutcomeClass.EXPIRED),
        ("conversion_adjustment_upload_error", "ADJUSTMENT_PRECEDES_CONVERSION", OutcomeClass.FIX_DATA),
        ("conversion_adjustment_upload_error", "CONVERSION_ALREADY_ENHANCED", OutcomeClass.BUG),
        ("conversion_adjustment_upload_error", "DUPLICATE_ADJUSTMENT_IN_REQUEST", OutcomeClass.BUG),
        ("conversion_adjustment_upload_error", "NO_CONVERSION_ACTION_FOUND", OutcomeClass.FIX_CONFIG),
        ("conversion_adjustment_upload_error", "UNKNOWN", OutcomeClass.UNKNOWN),
        ("conversion_upload_error", "CONVERSION_UPLOAD_ERROR_1234", OutcomeClass.UNKNOWN),
        ("family_of_next_year_error", "ANYTHING", OutcomeClass.UNKNOWN),
    ],
)
def test_selected_errors_have_the_expected_class(family, name, kind):
    """These are the rules easiest to confuse when writing the table."""
    assert kind is classify_error(family, name)


@pytest.mark.parametrize("name", ["TOO_RECENT_EVENT", "TOO_RECENT_CONVERSION_ACTION"])
def test_a_too_recent_event_or_action_is_deferred_six_hours(name):
    """Google asks for that; if the action is too recent, the account's other actions go on."""
    outcome = outcome_of_error("conversion_upload_error", name)

    assert (OutcomeClass.DEFER, timedelta(hours=6)) == (outcome.kind, outcome.retry_after)
    assert (name == "TOO_RECENT_CONVERSION_ACTION") == outcome.of_target


@pytest.mark.parametrize(("name", "hours"), [("TOO_RECENT_CONVERSION", 24), ("TOO_RECENT_CONVERSION_ACTION", 6)])
def test_a_premature_correction_is_deferred(name, hours):
    """It waits a day after the conversion, six hours after the action's creation."""
    outcome = outcome_of_error("conversion_adjustment_upload_error", name)

    assert (OutcomeClass.DEFER, timedelta(hours=hours)) == (outcome.kind, outcome.retry_after)
    assert (name == "TOO_RECENT_CONVERSION_ACTION") == outcome.of_target


def test_conversion_not_found_is_final_after_a_day():
    """Google may not have processed its upload yet."""
    assert (
        timedelta(days=1) == outcome_of_error("conversion_adjustment_upload_error", "CONVERSION_NOT_FOUND").final_after
    )


def test_action_codes_occur_only_in_upload_error_families():
    """A misspelt code would stop the whole destination; the same code in another family would mean something else."""
    families = {family for family, names in VENDOR.items() if ACTION_CODES & set(names)}

    assert {"conversion_upload_error", "conversion_adjustment_upload_error"} == families
    assert {name for family in families for name in VENDOR[family]} >= ACTION_CODES


def test_every_code_with_advice_exists():
    """None is left over from an older version."""
    assert {name for family in FAMILIES for name in VENDOR[family]} >= WORDS.keys()


def test_gravity_ranks_every_error_class():
    """Only success is not ranked."""
    assert set(OutcomeClass) - {OutcomeClass.DONE} == set(GRAVITY)


@pytest.mark.parametrize(
    "kinds",
    [
        (OutcomeClass.BUG, OutcomeClass.UNKNOWN),
        (OutcomeClass.FIX_CONFIG, OutcomeClass.DUPLICATE),
        (OutcomeClass.UNKNOWN, OutcomeClass.RETRY),
        (OutcomeClass.DEFER, OutcomeClass.EXPIRED),
        (OutcomeClass.RETRY, OutcomeClass.FIX_DATA),
        (OutcomeClass.DUPLICATE, OutcomeClass.EXPIRED),
    ],
)
def test_the_gravest_outcome_wins_in_either_order(kinds):
    """What stops a destination outweighs all; a duplicate stays one whatever else is reported for the row."""
    grave, slight = (Outcome(kind, kind.name) for kind in kinds)

    assert (grave, grave) == (most_severe_outcome([grave, slight]), most_severe_outcome([slight, grave]))


def test_a_fault_of_the_destination_outweighs_one_of_the_action():
    """Otherwise the account's other actions would be tried in vain."""
    of_action = Outcome(OutcomeClass.FIX_CONFIG, "NO_CONVERSION_ACTION_FOUND", of_target=True)
    of_account = Outcome(OutcomeClass.FIX_CONFIG, "CUSTOMER_NOT_ENABLED")

    assert of_account == most_severe_outcome([of_action, of_account])
