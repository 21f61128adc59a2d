"""Every reason the jobs can give has words, and no words are left without a reason."""

import ast
from pathlib import Path

import pytest

import jobs
from jobs.ledger.outbox import HELD, MAY_COUNT_TWICE, SENT_ELSEWHERE
from jobs.reporting.wording import REASONS, STATES, words_for
from jobs.rules.adjustment import MAY_COME_BACK, NOT_UNDOABLE, STANDS_AGAIN, TOO_LATE, UNDONE
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.eligibility import ANOTHER_PLATFORM
from jobs.rules.model import LEAD_DELETED

ROOT = Path(jobs.__file__).parent
SOURCES = (*sorted((ROOT / "rules").glob("*.py")), ROOT / "plan" / "planner.py")
GIVEN_FIRST = {"NotConcerned", "Withheld", "withhold", "Withhold", "Expire", "Wait", "NoValue"}
"""Calls whose first argument is a reason."""
GIVEN_BACK = {"_before_start", "_unrecognised"}
"""Functions that return reasons."""
ALSO = {"due", "sent_elsewhere", "consent withdrawn", "not_configured", "to_be_read_again"}
"""Causes that `jobs/plan/planner.py` makes up itself."""


def _given() -> set[str]:
    found: set[str] = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in GIVEN_FIRST:
                found |= _texts(node.args[0])
            if isinstance(node, ast.FunctionDef) and node.name in GIVEN_BACK:
                for part in ast.walk(node):
                    if isinstance(part, ast.Return) and part.value is not None:
                        found |= _texts(part.value)
    return found


def _texts(node: ast.expr) -> set[str]:
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}


def test_every_reason_has_words_and_every_word_a_reason():
    """The table is complete and holds nothing dead."""
    undone = {MAY_COME_BACK, UNDONE}
    of_corrections = {NOT_UNDOABLE, STANDS_AGAIN, TOO_LATE}

    of_deliveries = {HELD, LEAD_DELETED, SENT_ELSEWHERE, MAY_COUNT_TWICE, ANOTHER_PLATFORM}

    assert _given() | ALSO | of_deliveries | undone | of_corrections == set(REASONS)


def test_reasons_made_up_by_the_plan_are_still_there():
    """A cause listed here by hand is really written in the plan."""
    texts = _texts(ast.parse((ROOT / "plan" / "planner.py").read_text()))

    assert set() == ALSO - texts


@pytest.mark.parametrize("state", list(DeliveryState))
def test_every_fate_has_words(state):
    """No state is shown by its code."""
    assert STATES[state].short
    assert STATES[state].means


@pytest.mark.parametrize("words", [*REASONS.values(), *STATES.values()], ids=lambda words: words.short)
def test_words_are_sentences_for_people(words):
    """A meaning is a sentence, and a short form fits a table's cell."""
    assert words.means.endswith(".")
    assert len(words.short) <= 26
    assert "_" not in words.short


def test_a_detail_is_told_with_its_reason():
    """What was found instead of a click id stands behind the reason's own words."""
    words = words_for(DeliveryState.WITHHELD, "no_click_id: a UUID")

    assert REASONS["no_click_id"].short == words.short
    assert words.means.endswith("Found: a UUID.")


def test_a_platforms_known_code_is_put_in_words():
    """Google's word for an unknown click is not shown as it stands."""
    assert words_for(DeliveryState.REJECTED, "PROCESSING_ERROR_REASON_CLICK_NOT_FOUND").short == "click not found"


@pytest.mark.parametrize(
    "codes",
    [
        ("EVENT_NOT_FOUND", "CLICK_NOT_FOUND"),
        ("ORDER_ID_ALREADY_IN_USE", "CLICK_CONVERSION_ALREADY_EXISTS"),
    ],
)
def test_two_things_that_one_interface_says_are_told_apart(codes):
    """Rows with the same words under one conversion would look like a mistake."""
    assert 2 == len({words_for(DeliveryState.REJECTED, code).short for code in codes})


@pytest.mark.parametrize(
    ("code", "platform", "setting"),
    [
        ("PROCESSING_ERROR_REASON_EVENT_TOO_OLD", "Google", "`click_window_days`"),
        ("EXPIRED_EVENT", "Google", "`click_window_days`"),
        ("100/2804003", "Meta", "the date that Oplead gives"),
    ],
)
def test_too_old_by_a_platforms_word_is_told_from_too_late_by_the_settings(code, platform, setting):
    """What went out was in time as far as anybody here knew, so something here may be set wrong."""
    words = words_for(DeliveryState.EXPIRED, code)

    assert f"too old for {platform}" == words.short
    assert words.means.startswith(f"{platform} answered that it is too old, though it was in time by your settings")
    assert setting in words.todo


def test_a_consent_that_google_denies_may_be_the_accounts_default():
    """Whoever reads only the lead's answer would look in vain."""
    words = words_for(DeliveryState.REJECTED, "PROCESSING_ERROR_REASON_DENIED_CONSENT")

    assert "default" in words.means
    assert "consent defaults of the Google Ads account" in words.todo


def test_a_consent_the_advertiser_owes_is_no_leads():
    """It waits, and the words name whose it is."""
    words = words_for(DeliveryState.PENDING, "PROCESSING_ERROR_REASON_NO_CONSENT")

    assert "advertiser has not consented" in words.means
    assert "goes out by itself" in words.todo


def test_a_platforms_unknown_code_is_shown_whole():
    """A code nobody has put in words can still be looked up."""
    words = words_for(DeliveryState.REJECTED, "PROCESSING_ERROR_REASON_SOMETHING_NEW")

    assert "SOMETHING_NEW" == words.short
    assert "PROCESSING_ERROR_REASON_SOMETHING_NEW" in words.means


def test_a_rules_reason_is_not_mistaken_for_a_platforms_code():
    """`time` given by a platform is the platform's own word."""
    assert REASONS["time"] != words_for(DeliveryState.REJECTED, "time")


def test_what_is_closed_is_not_said_to_be_tried_again():
    """No later attempt would get through."""
    words = words_for(DeliveryState.PENDING, "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE")

    assert "tried again" not in words.short
    assert "transport: data_manager" in words.todo


def test_a_failed_attempt_says_that_it_is_tried_again():
    """A pending delivery whose last attempt failed is no mystery."""
    words = words_for(DeliveryState.PENDING, "RESOURCE_EXHAUSTED")

    assert "to be tried again" == words.short
    assert "RESOURCE_EXHAUSTED" in words.means
