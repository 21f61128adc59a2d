"""Two books are compared row by row, and no difference is passed over."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from jobs.cli.demo.books import compare, google_book, meta_book
from jobs.ledger.fates import Fate
from jobs.ledger.tables import Delivery

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


def _compare(lines, rows):
    """Google's book against the ledger."""
    return compare(google_book(lines), rows)


def _delivery(fate=Fate.ACCEPTED, **changed):
    fields = {
        "account": "a",
        "lead": "L-1",
        "conversion": "sale",
        "destination": "google_ads",
        "occurrence": 1,
        "key": "k1",
        "fate": fate,
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

    assert found.agree
    assert 1 == found.alike


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

    assert not found.agree
    assert ("k1",) == found.differing


def test_what_only_one_side_has_is_found():
    """A claim without a counted conversion, a counted one without a claim, and one counted twice all differ."""
    assert ("k1",) == _compare([], [_delivery()]).missing_there
    assert ("k1",) == _compare([LINE], []).missing_here
    assert ("k1",) == _compare([LINE], [_delivery(Fate.REJECTED)]).missing_here
    assert 1 == _compare([LINE, LINE], [_delivery()]).twice


def test_an_unconfirmed_delivery_claims_nothing():
    """Counted or not, `unconfirmed` is true, and the reason is told."""
    row = _delivery(Fate.UNCONFIRMED, code="1 of 2 refused: BAD")
    counted = _compare([LINE], [row])

    assert counted.agree
    assert {"1 of 2 refused: BAD": 1} == counted.undecided
    assert (True, {}) == ((found := _compare([], [row])).agree, found.undecided)


def test_an_unconfirmed_delivery_without_a_reason_excuses_nothing():
    """Whoever gives up says why."""
    found = _compare([LINE], [_delivery(Fate.UNCONFIRMED)])

    assert (("k1",), {}) == (found.missing_here, found.undecided)


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


def test_metas_book_is_read_as_googles():
    """An fbclid travels as an fbc, and times are kept to the second."""
    row = _delivery(click_id_kind="fbclid", at=datetime(2026, 9, 1, 12, 0, 0, 500_000, tzinfo=UTC))

    assert compare(meta_book([META_LINE]), [row]).agree


@pytest.mark.parametrize(("flagged", "agree"), [(True, True), (False, False)])
def test_what_counts_twice_must_be_flagged(flagged, agree):
    """The ledger may say that a replay counts twice; it may not be ignorant of one."""
    twice = META_LINE | {"accepted": 2}
    found = compare(meta_book([twice]), [_delivery(click_id_kind="fbclid", may_count_twice=flagged)])

    assert agree == found.agree
    assert (int(flagged), int(not flagged)) == (found.flagged, found.twice)
