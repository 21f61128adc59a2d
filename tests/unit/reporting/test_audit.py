"""The audit compares a platform's book with the ledger row by row and overlooks no difference."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from jobs.cli.demo.audit import AuditFinding, audited_conversions_from_book, compare, has_no_differences
from jobs.ledger.schema import Delivery
from jobs.rules.delivery_state import DeliveryState

LINE = {
    "accepted": 1,
    "transaction_id": "k1",
    "customer": "1234567890",
    "action": "987",
    "event_time": "2026-09-01T12:00:00+00:00",
    "value": 60.0,
    "currency": "EUR",
    "click_kind": "gclid",
    "digest": "d1",
}


def _compare(lines, rows, *corrections):
    """Compare Google's book with the ledger."""
    return compare(audited_conversions_from_book(lines), rows, corrections)


def _delivery(state=DeliveryState.ACCEPTED, **changed):
    fields = {
        "account": "a",
        "lead": "L-1",
        "conversion": "sale",
        "destination": "google_ads",
        "occurrence": 1,
        "key": "k1",
        "state": state,
        "owner": "1234567890",
        "action": "987",
        "at": datetime(2026, 9, 1, 12, tzinfo=UTC),
        "value": "60.00",
        "currency": "EUR",
        "click_id_kind": "gclid",
        "event_sha256": "d1",
    }
    return Delivery(**{**fields, **changed})


def test_equal_books_agree():
    """The same conversion on both sides is alike."""
    found = _compare([LINE], [_delivery()])

    assert has_no_differences(found)
    assert 1 == found[AuditFinding.ALIKE, ""]


@dataclass(frozen=True, slots=True)
class _Change:
    name: str
    value: object


@pytest.mark.parametrize(
    "change",
    [
        _Change("owner", "9"),
        _Change("action", "9"),
        _Change("at", datetime(2026, 9, 1, 12, 0, 1, tzinfo=UTC)),
        _Change("value", "60.01"),
        _Change("value", None),
        _Change("currency", "CHF"),
        _Change("click_id_kind", None),
        _Change("event_sha256", "d2"),
    ],
    ids=lambda change: change.name,
)
def test_a_difference_in_any_column_is_found(change):
    """Each compared column alone makes the books differ."""
    found = _compare([LINE], [_delivery(**{change.name: change.value})])

    assert not has_no_differences(found)
    assert 1 == found[AuditFinding.DIFFERS, ""]


def test_finds_what_only_one_side_has():
    """A claim without a counted conversion, a counted one without a claim, and one counted twice all differ."""
    assert 1 == _compare([], [_delivery()])[AuditFinding.MISSING_THERE, ""]
    assert 1 == _compare([LINE], [])[AuditFinding.MISSING_HERE, ""]
    assert 1 == _compare([LINE], [_delivery(DeliveryState.REJECTED)])[AuditFinding.MISSING_HERE, ""]
    assert 1 == _compare([LINE, LINE], [_delivery()])[AuditFinding.TWICE, ""]


def test_an_unconfirmed_delivery_claims_nothing():
    """Counted or not, `unconfirmed` is true, and the finding keeps the reason."""
    row = _delivery(DeliveryState.UNCONFIRMED, reason="partly_refused")
    counted = _compare([LINE], [row])

    assert {(AuditFinding.UNDECIDED, "partly_refused"): 1} == +counted
    assert not +_compare([], [row])


def test_an_unconfirmed_delivery_without_a_reason_excuses_nothing():
    """A delivery that is given up must say why."""
    found = _compare([LINE], [_delivery(DeliveryState.UNCONFIRMED)])

    assert {(AuditFinding.MISSING_HERE, ""): 1} == +found


META_LINE = {
    "accepted": 1,
    "event_id": "k1",
    "dataset": "1234567890",
    "event_name": "987",
    "event_time": "2026-09-01T12:00:00+00:00",
    "value": 60,
    "currency": "EUR",
    "click_kind": "fbc",
    "digest": "d1",
}


def test_meta_book_is_read_like_googles():
    """An fbclid travels as an fbc, and times are kept to the second."""
    row = _delivery(click_id_kind="fbclid", at=datetime(2026, 9, 1, 12, 0, 0, 500_000, tzinfo=UTC))

    assert has_no_differences(compare(audited_conversions_from_book([META_LINE]), [row], []))


@pytest.mark.parametrize("flagged", [True, False])
def test_double_count_must_be_flagged(flagged):
    """The ledger may record that a replay counts twice, but may not miss one."""
    twice = META_LINE | {"accepted": 2}
    found = compare(
        audited_conversions_from_book([twice]), [_delivery(click_id_kind="fbclid", may_count_twice=flagged)], []
    )

    assert flagged == has_no_differences(found)
    assert (int(flagged), int(not flagged)) == (found[AuditFinding.FLAGGED, ""], found[AuditFinding.TWICE, ""])


# ── corrections ──────────────────────────────────────────────────────────────────────────────────

RESTATED = LINE | {"value": 80.0, "digest": "d2", "restatements": 1}
RETRACTED = LINE | {"value": 0.0, "retracted": True}


def _correction(number=1, value="80.00", state=DeliveryState.ACCEPTED, **changed):
    """A correction through the Data Manager, which resends the whole event."""
    fields = {
        "account": "a",
        "original": 1,
        "number": number,
        "lead": "L-1",
        "conversion": "sale",
        "destination": "google_ads",
        "key": "k1",
        "kind": "restatement",
        "cause": "value_changed",
        "at": datetime(2026, 9, 2, tzinfo=UTC),
        "value": value,
        "currency": "EUR",
        "transport": "data_manager",
        "event_sha256": f"d{number + 1}",
        "state": state,
    }
    return Delivery(**{**fields, **changed})


def _taken_back(state=DeliveryState.ACCEPTED, **changed):
    """A retraction through the Google Ads API."""
    told = {"kind": "retraction", "cause": "undone", "transport": "google_ads_api", "value": None, "currency": None}
    return _correction(state=state, **told, **changed)


@pytest.mark.parametrize(
    ("line", "correction"),
    [
        (RESTATED, _correction()),
        (RESTATED | {"digest": "d1"}, _correction(transport="google_ads_api")),
        (RETRACTED, _taken_back()),
    ],
    ids=["sent anew", "another value", "taken back"],
)
def test_correction_on_both_sides_is_alike(line, correction):
    """A resent event leaves its own digest; any other correction keeps the first one's."""
    found = _compare([line], [_delivery()], correction)

    assert {(AuditFinding.ALIKE, ""): 1, (AuditFinding.CORRECTED, ""): 1} == +found


def test_last_of_several_corrections_stands():
    """The order in which they come does not matter."""
    line = RESTATED | {"value": 75.0, "digest": "d3"}
    rows = [_correction(2, "75.00"), _correction()]

    assert has_no_differences(_compare([line], [_delivery()], *rows))
    assert not has_no_differences(_compare([RESTATED], [_delivery()], *rows))


@pytest.mark.parametrize(
    ("line", "corrections"),
    [
        (LINE, [_correction()]),
        (LINE, [_taken_back()]),
        (RESTATED, []),
        (RETRACTED, []),
        (RESTATED, [_correction(state=DeliveryState.REJECTED)]),
        (RETRACTED, [_taken_back(DeliveryState.PENDING)]),
        (RETRACTED | {"retracted": False}, [_taken_back()]),
        (RESTATED, [_correction(key="k2")]),
    ],
)
def test_finds_a_correction_on_one_side_only(line, corrections):
    """It is claimed but not there, there but not claimed, or belongs to another key."""
    found = _compare([line], [_delivery()], *corrections)

    assert {(AuditFinding.DIFFERS, ""): 1} == +found


@pytest.mark.parametrize("line", [LINE, RETRACTED], ids=["not there", "there"])
def test_an_unconfirmed_correction_claims_nothing(line):
    """Whether it was taken is unknown, but anything else that differs is still found."""
    unknown = _taken_back(DeliveryState.UNCONFIRMED, reason="no_answer")
    found = _compare([line], [_delivery()], unknown)
    other = _compare([line | {"currency": "CHF"}], [_delivery()], unknown)

    assert has_no_differences(found)
    assert (line is RETRACTED) == found[AuditFinding.UNDECIDED, "no_answer"]
    assert 1 == other[AuditFinding.DIFFERS, ""]


def test_value_google_keeps_at_zero_is_a_separate_finding():
    """Google's help calls a restatement to zero final, so a sale won again stays there; it excuses nothing else."""
    deleted = _correction(1, "0.00", cause="undone")
    back = _correction(2, "60.00", cause="won_again")
    line = LINE | {"value": 0.0, "digest": "d2", "restatements": 1}
    found = _compare([line], [_delivery()], deleted, back)

    assert {(AuditFinding.AT_ZERO, ""): 1} == +found
    assert not has_no_differences(_compare([line], [_delivery()], deleted, _correction(2, "60.00")))
    assert not has_no_differences(_compare([line | {"action": "9"}], [_delivery()], deleted, back))
