"""Every reason the jobs can give has words, and no words are left without a reason."""

import ast
from datetime import timedelta
from pathlib import Path

import pytest

import jobs
from connectors.language import Language, in_english, using_language
from connectors.records import BARE_CLICK_ID
from jobs.reporting.details import WITHOUT_SHAPE
from jobs.reporting.sentences import explain_state, message_in_words, stop_lines, stop_sentence
from jobs.reporting.wording.incidents import INCIDENTS
from jobs.reporting.wording.messages import MESSAGES, STOPS
from jobs.reporting.wording.reasons import REASONS, STATES
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.incident import IncidentKind
from jobs.rules.reasons import AnomalyKind, DestinationScope, Message, MessageKind, Reason, StopCause, StopKind

ROOT = Path(jobs.__file__).parent


def test_every_reason_has_words():
    """The table is complete."""
    assert set(Reason) == set(REASONS)


@pytest.mark.parametrize("values", [Reason, MessageKind, StopKind, AnomalyKind])
def test_every_enum_value_is_used(values):
    """No enum holds a dead value."""
    worded = {"reasons.py", "sentences.py"}
    sources = [path for path in ROOT.rglob("*.py") if path.name not in worded and path.parent.name != "wording"]
    given = {
        node.attr
        for source in sources
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == values.__name__
    }

    assert set(values.__members__) == given


@pytest.mark.parametrize("state", list(DeliveryState))
def test_every_state_has_words(state):
    """No state is shown by its code."""
    assert STATES[state].short
    assert STATES[state].means


@pytest.mark.parametrize("words", [*REASONS.values(), *STATES.values()], ids=lambda words: words.short)
def test_words_are_readable_sentences(words):
    """A meaning is a full sentence, and a short form fits a table cell."""
    assert words.means.endswith(".")
    assert len(words.short) <= 26
    assert "_" not in words.short


def test_a_click_id_without_a_label_is_named_in_the_catalogue():
    """It is on record as text, by which it is judged, too."""
    assert BARE_CLICK_ID in WITHOUT_SHAPE


def test_detail_follows_the_words_of_its_reason():
    """Here it is what was found instead of a click id."""
    words = explain_state(DeliveryState.WITHHELD, Reason.NO_CLICK_ID, "a UUID")

    assert REASONS["no_click_id"].short == words.short
    assert words.means.endswith("Found: a UUID.")


def test_detail_is_told_in_the_readers_language():
    """The ids that a lead has are names; the word before them is not."""
    with using_language(Language.FRENCH):
        words = explain_state(DeliveryState.SKIPPED, Reason.ANOTHER_PLATFORM, "only gclid, wbraid")

    assert words.means.endswith("Trouvé\xa0: gclid, wbraid seulement.")


def test_unconfirmed_delivery_says_why():
    """Whatever its reason means elsewhere, the delivery was sent."""
    words = explain_state(DeliveryState.UNCONFIRMED, Reason.CONSENT_WITHDRAWN)

    assert words.means.startswith(STATES[DeliveryState.UNCONFIRMED].means)
    assert words.means.endswith("Why: consent withdrawn.")
    assert "not sent again" in words.todo


def test_known_platform_code_has_words():
    """Google's code for an unknown click is not shown as it stands."""
    assert explain_state(DeliveryState.REJECTED, "PROCESSING_ERROR_REASON_CLICK_NOT_FOUND").short == "click not found"


@pytest.mark.parametrize(
    "codes",
    [
        ("EVENT_NOT_FOUND", "CLICK_NOT_FOUND"),
        ("ORDER_ID_ALREADY_IN_USE", "CLICK_CONVERSION_ALREADY_EXISTS"),
    ],
)
def test_codes_of_one_interface_have_distinct_words(codes):
    """Rows with the same words under one conversion would look like a mistake."""
    assert 2 == len({explain_state(DeliveryState.REJECTED, code).short for code in codes})


@pytest.mark.parametrize(
    ("code", "platform", "setting"),
    [
        ("PROCESSING_ERROR_REASON_EVENT_TOO_OLD", "Google", "`click_window_days`"),
        ("EXPIRED_EVENT", "Google", "`click_window_days`"),
        ("100/2804003", "Meta", "the date that Oplead gives"),
    ],
)
def test_too_old_for_the_platform_differs_from_expired_by_settings(code, platform, setting):
    """It was sent in time as far as anybody here knew, so a setting may be wrong."""
    words = explain_state(DeliveryState.EXPIRED, code)

    assert f"too old for {platform}" == words.short
    assert words.means.startswith(f"{platform} answered that it is too old, though it was in time by your settings")
    assert setting in words.todo


def test_denied_consent_points_to_the_account_default():
    """A reader who looks only at the lead's answer would find nothing."""
    words = explain_state(DeliveryState.REJECTED, "PROCESSING_ERROR_REASON_DENIED_CONSENT")

    assert "default" in words.means
    assert "consent defaults of the Google Ads account" in words.todo


def test_missing_advertiser_consent_is_not_blamed_on_the_lead():
    """The delivery waits, and the words name who has not consented."""
    words = explain_state(DeliveryState.PENDING, "PROCESSING_ERROR_REASON_NO_CONSENT")

    assert "advertiser has not consented" in words.means
    assert "goes out by itself" in words.todo


def test_unknown_platform_code_is_shown_in_full():
    """A code without words can still be looked up."""
    words = explain_state(DeliveryState.REJECTED, "PROCESSING_ERROR_REASON_SOMETHING_NEW")

    assert "SOMETHING_NEW" == words.short
    assert "PROCESSING_ERROR_REASON_SOMETHING_NEW" in words.means


def test_platform_code_is_not_mistaken_for_a_reason():
    """`time` given by a platform is the platform's own word."""
    assert REASONS["time"] != explain_state(DeliveryState.REJECTED, "time")


def test_closed_access_does_not_promise_a_retry():
    """No later attempt would get through."""
    words = explain_state(DeliveryState.PENDING, "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE")

    assert "retried" not in words.short
    assert "transport: data_manager" in words.todo


def test_failed_attempt_says_it_will_be_retried():
    """The words explain why a delivery is still pending after a failed attempt."""
    words = explain_state(DeliveryState.PENDING, "RESOURCE_EXHAUSTED")

    assert "will be retried" == words.short
    assert "RESOURCE_EXHAUSTED" in words.means


# ── messages ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("values", "table"),
    [(MessageKind, MESSAGES), (StopKind, STOPS), (IncidentKind, INCIDENTS)],
)
def test_every_message_stop_and_incident_has_words(values, table):
    """The tables are complete."""
    assert set(values) == set(table)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Message(MessageKind.UNREADABLE, {"count": 1}), "1 lead could not be read: `status` lists it"),
        (Message(MessageKind.UNREADABLE, {"count": 1269}), "1,269 leads could not be read: `status` lists them"),
        (Message(MessageKind.REJECTED, {"count": 2, "leads": ()}), "2 rejected: `explain` says why"),
        (
            Message(MessageKind.REJECTED, {"count": 9, "leads": tuple("ABCDEFG")}),
            "9 rejected (lead A, B, C, D, E, …): `explain` says why",
        ),
        (
            Message(
                MessageKind.UNRESOLVED_REQUEST,
                {"destination": "google_ads", "ticket": "r1", "cause": Reason.NO_OUTCOME, "detail": "45 days"},
            ),
            "request r1 at google_ads, no outcome (45 days)",
        ),
    ],
)
def test_message_is_worded_with_its_values(message, expected):
    """Numbers agree with their nouns, long lists are cut, and empty parts are left out."""
    assert expected == message_in_words(message)


def test_what_stopped_a_night_is_told_in_the_readers_language():
    """Also where the night ran in another language, so that its answers are on record in English."""
    stop = StopCause(StopKind.REFUSED, ("Oplead answered 404 on /leads: see oplead.base_url", "NOT_OURS: verbatim"))
    with using_language(Language.FRENCH):
        said = stop_sentence(stop)

    assert said.startswith("Oplead a répondu 404 sur /leads")
    assert said.endswith("NOT_OURS: verbatim")
    assert in_english(said).startswith("Oplead answered 404 on /leads: see oplead.base_url; NOT_OURS")


def test_stop_lines_name_the_stopped_action():
    """A stop of the source comes first, which is no destination."""
    refused = StopCause(StopKind.REFUSED, ("NO_ACCESS: not yours",))
    waits = StopCause(StopKind.ASKED_TO_WAIT, ("QUOTA",), timedelta(hours=1))
    stopped = {
        DestinationScope("google_ads", corrections=True, action="5"): refused,
        DestinationScope("meta", former=("7", "x")): waits,
        DestinationScope("shared"): StopCause(StopKind.QUOTA_FULL, ("QUOTA",), timedelta(hours=1)),
    }

    assert [
        "reading stopped: NO_ACCESS: not yours",
        "google_ads corrections/5 stopped: NO_ACCESS: not yours",
        "meta (before: 7 by x) stopped: QUOTA; it asks for 1 h 0 min",
        "shared stopped: QUOTA; there is room again in 1 h 0 min",
    ] == stop_lines(refused, stopped)
