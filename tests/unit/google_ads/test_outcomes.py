"""Every error reason in the vendor's library has a class."""

from datetime import timedelta
from pathlib import Path

import pytest
from google.ads.datamanager_v1 import ErrorReason, ProcessingErrorReason

from connectors.google_ads.data_manager.outcomes import ACTION_REASONS, CLASSES, REASONS, code_name, outcome_of_error
from connectors.records import Outcome, OutcomeClass

GOLDEN = Path(__file__).parent / "golden_classes" / "data_manager.txt"
VENDOR = [reason.name for reason in (*ErrorReason, *ProcessingErrorReason)]


def test_every_reason_has_its_golden_class():
    """A library upgrade that adds or drops a reason fails here by name until its class is written down."""
    written = dict(line.split() for line in GOLDEN.read_text().splitlines())

    assert written == CLASSES
    assert set(VENDOR) == CLASSES.keys()


def test_every_listed_reason_exists_and_is_listed_once():
    """A misspelt name would leave the real reason classed as a bug."""
    listed = [name for names in REASONS.values() for name in names]

    assert len(listed) == len(set(listed))
    assert set(VENDOR) >= {*listed, *ACTION_REASONS}


def test_the_two_reason_enums_share_no_name():
    """A name alone then determines the class."""
    assert not {reason.name for reason in ErrorReason} & {reason.name for reason in ProcessingErrorReason}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("PERMISSION_DENIED", OutcomeClass.FIX_CONFIG),
        ("INVALID_USER_LIST_ID", OutcomeClass.BUG),
        ("ACCOUNT_INELIGIBLE_FOR_STORE_SALES", OutcomeClass.BUG),
        ("ERROR_REASON_UNSPECIFIED", OutcomeClass.UNKNOWN),
        ("PROCESSING_ERROR_REASON_UNSPECIFIED", OutcomeClass.UNKNOWN),
        ("PROCESSING_ERROR_REASON_EVENT_TOO_OLD", OutcomeClass.EXPIRED),
        ("PROCESSING_ERROR_REASON_DUPLICATE_GCLID", OutcomeClass.DUPLICATE),
        ("PROCESSING_ERROR_REASON_CLICK_NOT_FOUND", OutcomeClass.DROP_EXPECTED),
        ("PROCESSING_ERROR_REASON_DECRYPTION_ERROR", OutcomeClass.BUG),
    ],
)
def test_selected_reasons_have_the_expected_class(code, kind):
    """These are the rules easiest to confuse when writing the table."""
    assert kind is CLASSES[code]


def test_a_reason_from_a_newer_api_is_unknown():
    """It is never read as success, nor as a refusal."""
    assert Outcome(OutcomeClass.UNKNOWN, "NEW_IN_2027") == outcome_of_error("NEW_IN_2027")


@pytest.mark.parametrize(("asked", "kept"), [(None, 6), (1, 6), (24, 24)])
def test_a_deferral_lasts_at_least_six_hours(asked, kept):
    """Google asks for six; a longer delay in its answer is kept."""
    delay = None if asked is None else timedelta(hours=asked)
    outcome = outcome_of_error("PROCESSING_ERROR_REASON_TOO_RECENT_CLICK", retry_after=delay)

    assert timedelta(hours=kept) == outcome.retry_after


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (5, "PERMISSION_DENIED"),
        ("PERMISSION_DENIED", "PERMISSION_DENIED"),
        (999, "ErrorReason_999"),
        ("a b", None),
        (None, None),
    ],
)
def test_a_reason_code_is_named_from_its_number_or_name(value, name):
    """A number the library does not know keeps its number."""
    assert name == code_name(value, ErrorReason)
