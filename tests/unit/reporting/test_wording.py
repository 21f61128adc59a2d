"""Every reason the jobs can give has words, and no words are left without a reason."""

import ast
from datetime import timedelta
from pathlib import Path

import pytest

import jobs
from jobs.ledger.incidents import IncidentKind
from jobs.reporting import wording
from jobs.reporting.sentences import sentence, stop_lines, words_for
from jobs.reporting.wording import REASONS, STATES
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import AnomalyKind, Message, MessageId, Reason, Scope, Stop, StopKind

ROOT = Path(jobs.__file__).parent


def test_every_reason_has_words():
    """The table is complete."""
    assert set(Reason) == set(REASONS)


@pytest.mark.parametrize("values", [Reason, MessageId, StopKind, AnomalyKind])
def test_every_value_is_given_somewhere(values):
    """No enum holds anything dead."""
    sources = [path for path in ROOT.rglob("*.py") if path.name not in ("reasons.py", "wording.py", "sentences.py")]
    given = {
        node.attr
        for source in sources
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == values.__name__
    }

    assert set(values.__members__) == given


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
    words = words_for(DeliveryState.WITHHELD, Reason.NO_CLICK_ID, "a UUID")

    assert REASONS["no_click_id"].short == words.short
    assert words.means.endswith("Found: a UUID.")


def test_what_nobody_will_know_says_why():
    """Whatever else the reason means elsewhere, the delivery went out."""
    words = words_for(DeliveryState.UNCONFIRMED, Reason.CONSENT_WITHDRAWN)

    assert words.means.startswith(STATES[DeliveryState.UNCONFIRMED].means)
    assert words.means.endswith("Why: consent withdrawn.")
    assert "not sent again" in words.todo


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

    assert "retried" not in words.short
    assert "transport: data_manager" in words.todo


def test_a_failed_attempt_says_that_it_is_tried_again():
    """A pending delivery whose last attempt failed is no mystery."""
    words = words_for(DeliveryState.PENDING, "RESOURCE_EXHAUSTED")

    assert "will be retried" == words.short
    assert "RESOURCE_EXHAUSTED" in words.means


# ── messages ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("values", "table"),
    [(MessageId, wording.MESSAGES), (StopKind, wording.STOPS), (IncidentKind, wording.INCIDENTS)],
)
def test_every_message_stop_and_incident_has_words(values, table):
    """The tables are complete."""
    assert set(values) == set(table)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Message(MessageId.UNREADABLE, {"count": 1}), "1 lead could not be read: `status` lists it"),
        (Message(MessageId.UNREADABLE, {"count": 1269}), "1,269 leads could not be read: `status` lists them"),
        (Message(MessageId.REJECTED, {"count": 2, "leads": ()}), "2 rejected: `explain` says why"),
        (
            Message(MessageId.REJECTED, {"count": 9, "leads": tuple("ABCDEFG")}),
            "9 rejected (lead A, B, C, D, E, …): `explain` says why",
        ),
        (
            Message(
                MessageId.UNRESOLVED_REQUEST,
                {"destination": "google_ads", "ticket": "r1", "cause": Reason.NO_OUTCOME, "detail": "45 days"},
            ),
            "request r1 at google_ads, no outcome (45 days)",
        ),
    ],
)
def test_a_message_is_worded_with_its_values(message, expected):
    """Numbers agree with their nouns, long lists are cut, and what there is none of is left out."""
    assert expected == sentence(message)


def test_a_stop_of_one_action_is_told_by_its_name():
    """After one of the source, which is no destination."""
    refused = Stop(StopKind.REFUSED, ("NO_ACCESS: not yours",))
    waits = Stop(StopKind.ASKED_TO_WAIT, ("QUOTA",), timedelta(hours=1))
    stopped = {Scope("google_ads", corrections=True, action="5"): refused, Scope("meta", former=("7", "x")): waits}

    assert [
        "reading stopped: NO_ACCESS: not yours",
        "google_ads corrections/5 stopped: NO_ACCESS: not yours",
        "meta (before: 7 by x) stopped: QUOTA; it asks for 1:00:00",
    ] == stop_lines(refused, stopped)
