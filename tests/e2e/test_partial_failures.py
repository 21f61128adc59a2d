"""Uploads to the Google Ads API of which parts fail: the state of every row is what was said of it, and no other's."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import count

import pytest

from jobs.rules.model import delivery_key
from tests.builders import attention, stops
from tests.e2e.support.traffic import UPLOAD

FOREVER = 1_000
TRIES = 5
BACKOFF = timedelta(seconds=0.75)
"""The first wait, with the jitter these nights have; each next one is twice as long."""
SIX_HOURS = timedelta(hours=6)
FIRST = "987654321"

INTERNAL = {"family": "internal_error", "reason": "TRANSIENT_ERROR"}
LATER_DATE = {"family": "date_error", "reason": "LATER_THAN_MAXIMUM_DATE"}
NEWER = {"number": 9_999}


@dataclass(frozen=True)
class Row:
    """What is decreed of one row, and where that leaves it: its state, and the code it goes by."""

    ruling: object
    state: str
    code: str


GOOD = Row(None, "accepted", "SUCCESS")
SCRIPT = (
    GOOD,
    Row({"reason": "EVENT_NOT_FOUND"}, "rejected", "EVENT_NOT_FOUND"),
    Row({"reason": ["EVENT_NOT_FOUND", "UNPARSEABLE_GCLID"]}, "rejected", "UNPARSEABLE_GCLID"),
    GOOD,
    Row([LATER_DATE, {"reason": "CLICK_NOT_FOUND"}], "rejected", "LATER_THAN_MAXIMUM_DATE"),
    Row({"reason": "CLICK_NOT_FOUND"}, "rejected", "CLICK_NOT_FOUND"),
    Row({"reason": "EXPIRED_EVENT"}, "expired", "EXPIRED_EVENT"),
    Row({"reason": "TOO_RECENT_EVENT"}, "pending", "TOO_RECENT_EVENT"),
    Row({"reason": ["EXPIRED_EVENT", "TOO_RECENT_EVENT"]}, "pending", "TOO_RECENT_EVENT"),
    Row(NEWER, "in_doubt", "CONVERSION_UPLOAD_ERROR_9999"),
    Row([{"reason": "EVENT_NOT_FOUND"}, NEWER], "in_doubt", "CONVERSION_UPLOAD_ERROR_9999"),
    # Already there, and this ledger holds no attempt of ours that could have brought it there.
    Row({"reason": "ORDER_ID_ALREADY_IN_USE"}, "rejected", "ORDER_ID_ALREADY_IN_USE"),
    Row({"reason": "CLICK_CONVERSION_ALREADY_EXISTS"}, "rejected", "CLICK_CONVERSION_ALREADY_EXISTS"),
    # It is there, whatever else is said of sending it once more.
    Row({"reason": ["INVALID_CUSTOMER_FOR_CLICK", "ORDER_ID_ALREADY_IN_USE"]}, "rejected", "ORDER_ID_ALREADY_IN_USE"),
    GOOD,
)
EXPECTED_REJECTIONS = {"CLICK_NOT_FOUND"}
"""Nobody is alarmed by them."""

both_echoes = pytest.mark.parametrize("echo", [False, True], ids=["results empty", "identifiers echoed"])
"""Whether a refused row's result repeats its identifiers: seen, not documented."""


@pytest.fixture
def selling(company):
    """A company whose appointments and sales go by the Google Ads API."""
    company.use_ads_api()
    return company


@pytest.fixture
def booking(selling):
    """A company whose appointments do, and nothing else."""
    selling.settings["conversions"] = [selling.conversion("appointment")]
    return selling


def lead(company, number, *, clicked=None, seconds=None):
    """A lead whose appointment was made the day before: by default each a second after the one before it."""
    made = company.START - timedelta(days=1) + timedelta(seconds=number if seconds is None else seconds)
    click = company.gclid(number if clicked is None else clicked)
    return company.lead(number, ("RDV pris", made), clicks=f"gclid={click}")


def serve(company, script):
    """Have a lead for each row, and decree what becomes of it."""
    company.serve(*(lead(company, number) for number in range(len(script))))
    company.sandbox.google_ads.plant_rulings(
        {company.gclid(number): row.ruling for number, row in enumerate(script) if row.ruling is not None}
    )


def key(company, name, conversion):
    """The order id of a lead's conversion."""
    return delivery_key(company.settings["account"], name, conversion, "google_ads", 1)


def lift_rulings(company):
    """Take every decree back."""
    company.sandbox.google_ads.rulings.clear()


def told(company):
    """State and code of every appointment, in the order of the script."""
    rows = company.deliveries()
    return [
        (rows[f"L-{number}", "appointment"].state, rows[f"L-{number}", "appointment"].code)
        for number in range(len(rows))
    ]


def uploaded(company):
    """How many rows each upload had that the platform handled."""
    return [len(call.rows) for call in company.calls]


# ── row by row ───────────────────────────────────────────────────────────────────────────────────


@both_echoes
def test_the_fate_of_every_row_is_what_was_said_of_it(booking, echo):
    """One upload, every kind of answer in it; afterwards only what may still mend is sent again."""
    booking.sandbox.google_ads.switch("ads_api_echo", echo)
    serve(booking, SCRIPT)

    summary = booking.night()

    assert [len(SCRIPT)] == uploaded(booking)
    assert [(row.state, row.code) for row in SCRIPT] == told(booking)
    assert 1 == summary.exit_code
    assert 2 == summary.in_doubt
    rejected = [row.code for row in SCRIPT if row.state == "rejected"]
    assert len([code for code in rejected if code not in EXPECTED_REJECTIONS]) == summary.delivered.unexpected
    assert [] == booking.disagreements()

    lift_rulings(booking)
    booking.later(SIX_HOURS)

    assert [len(SCRIPT), 2, 2] == uploaded(booking)  # the doubtful ones again, then those that were too early
    mended = [
        ("accepted", "SUCCESS") if row.state in ("pending", "in_doubt") else (row.state, row.code) for row in SCRIPT
    ]
    assert mended == told(booking)
    assert [] == booking.disagreements()

    assert 0 == booking.later(SIX_HOURS).exit_code
    assert 3 == len(booking.calls)


def test_what_an_answer_that_was_lost_had_said(booking):
    """The upload again: rows that are there by now are ours, and accepted; the others are told as they were then."""
    script = (GOOD, Row({"reason": "EVENT_NOT_FOUND"}, "rejected", "EVENT_NOT_FOUND"), GOOD)
    serve(booking, script)
    booking.fail("google_ads", "cut_after", path=UPLOAD)

    booking.night()

    assert [3, 3] == uploaded(booking)
    already = ("accepted", "ORDER_ID_ALREADY_IN_USE")
    assert [already, ("rejected", "EVENT_NOT_FOUND"), already] == told(booking)
    assert [] == booking.disagreements()


@pytest.mark.exhaustive
def test_a_row_that_is_unknown_for_ever(booking):
    """An answer that nobody can read, in three more runs: unconfirmed, told, and never called accepted."""
    serve(booking, (GOOD, Row(NEWER, "unconfirmed", "")))

    codes = [booking.later(timedelta(days=1)).exit_code for _ in range(5)]

    assert [1, 1, 1, 1, 1] == codes
    assert ["accepted", "unconfirmed"] == [state for state, _ in told(booking)]
    assert [2, 1, 1, 1] == uploaded(booking)
    assert 0 == booking.later(timedelta(days=1)).exit_code
    assert [] == booking.disagreements()


@pytest.mark.exhaustive
def test_an_error_that_names_no_row(booking):
    """The whole upload is refused for it, so it is halved until the one row is found; all others are accepted."""
    bad = Row({"reason": "UNPARSEABLE_GCLID", "index": False}, "rejected", "UNPARSEABLE_GCLID")
    script = (*[GOOD] * 5, bad, *[GOOD] * 3)
    serve(booking, script)

    summary = booking.night()

    assert [(row.state, row.code) for row in script] == told(booking)
    assert len(booking.calls) <= 2 * 4 + 1
    assert 1 == summary.exit_code
    assert [] == booking.disagreements()


@pytest.mark.exhaustive
def test_an_unknown_error_that_names_no_row(booking):
    """Nobody knows what became of any row: all are in doubt, it stops for a human, and the next run asks again."""
    script = (GOOD, Row({"number": 9_999, "index": False}, "", ""), GOOD)
    serve(booking, script)

    summary = booking.night()

    assert 3 == summary.exit_code
    assert {("in_doubt", "CONVERSION_UPLOAD_ERROR_9999")} == set(told(booking))
    assert [3] == uploaded(booking)

    lift_rulings(booking)

    assert 0 == booking.later().exit_code
    assert {("accepted", "SUCCESS")} == set(told(booking))
    assert [] == booking.disagreements()


@pytest.mark.parametrize(
    ("switches", "second", "states", "uploads"),
    [
        pytest.param({}, 0, ("accepted", "accepted"), [1, 1], id="told apart by order id"),
        pytest.param({"ads_api_click_dedup": "always"}, 1, ("accepted", "accepted"), [2], id="another second"),
        pytest.param(
            {"ads_api_click_dedup": "always", "ads_api_duplicates": "later"},
            0,
            ("accepted", "rejected"),
            [1, 1],
            id="the later one of an upload would be refused",
        ),
        pytest.param(
            {"ads_api_click_dedup": "always", "ads_api_duplicates": "all"},
            0,
            ("accepted", "rejected"),
            [1, 1],
            id="both of an upload would be refused",
        ),
    ],
)
def test_two_rows_with_one_click_and_second(booking, switches, second, states, uploads):
    """They never meet in an upload, where both could be refused for it: one is taken, whatever is said of the other."""
    for name, position in switches.items():
        booking.sandbox.google_ads.switch(name, position)
    booking.serve(lead(booking, 0, seconds=0), lead(booking, 1, clicked=0, seconds=second))

    summary = booking.night()

    codes = {"accepted": "SUCCESS", "rejected": "CLICK_CONVERSION_ALREADY_EXISTS"}
    assert [(state, codes[state]) for state in states] == told(booking)
    assert ("rejected" in states) == summary.exit_code
    assert uploads == uploaded(booking)
    assert [] == booking.disagreements()


def test_a_row_to_be_sent_again(booking):
    """It alone goes again, after a wait; the others of its upload are settled."""
    serve(booking, (GOOD, Row(INTERNAL, "accepted", "SUCCESS"), GOOD))
    uploads = count(1)
    booking.before("google_ads", UPLOAD, lambda _: next(uploads) > 1 and lift_rulings(booking))

    summary = booking.night()

    assert 0 == summary.exit_code
    assert [3, 1] == uploaded(booking)
    first, second = booking.times("google_ads", UPLOAD)
    assert BACKOFF == second - first
    assert {("accepted", "SUCCESS")} == set(told(booking))
    assert [] == booking.disagreements()


@pytest.mark.exhaustive
def test_a_row_that_is_always_to_be_sent_again(booking):
    """Five tries a night; it waits and stops nothing, and what was accepted beside it stays accepted."""
    serve(booking, (GOOD, Row(INTERNAL, "pending", "TRANSIENT_ERROR"), GOOD))

    summary = booking.night()

    assert 0 == summary.exit_code
    assert [3, *[1] * (TRIES - 1)] == uploaded(booking)
    assert ["accepted", "pending", "accepted"] == [state for state, _ in told(booking)]

    lift_rulings(booking)

    assert 0 == booking.later(SIX_HOURS).exit_code
    assert {("accepted", "SUCCESS")} == set(told(booking))
    assert [] == booking.disagreements()


@pytest.mark.exhaustive
def test_a_row_that_is_put_off_night_after_night(booking):
    """Once is the platform's affair; from the second night on a human is told, and no more once it got through."""
    nights = []
    for number in range(3):
        serve(
            booking, (GOOD, Row(INTERNAL, "pending", "TRANSIENT_ERROR"), *[GOOD] * number)
        )  # one more goes out beside it each night
        nights.append(booking.later(timedelta(days=1)))

    assert [0, 1, 1] == [night.exit_code for night in nights]
    assert "1 put off by the platform again (lead L-1)" in attention(nights[1])[0]

    lift_rulings(booking)

    assert 0 == booking.later(timedelta(hours=1)).exit_code  # it is not due yet
    assert 0 == booking.later(timedelta(days=1)).exit_code
    assert {("accepted", "SUCCESS")} == set(told(booking))
    assert [] == booking.disagreements()


@pytest.mark.parametrize(
    ("code", "stopped", "sale"),
    [
        pytest.param("NO_CONVERSION_ACTION_FOUND", f"google_ads/{FIRST}", "accepted", id="the action"),
        pytest.param(
            "CUSTOMER_NOT_ACCEPTED_CUSTOMER_DATA_TERMS",
            "google_ads",
            "pending",
            id="the account",
            marks=pytest.mark.exhaustive,
        ),
        pytest.param("ORDER_ID_CONTAINS_PII", "google_ads", "pending", id="this program", marks=pytest.mark.exhaustive),
    ],
)
def test_a_row_that_blames_what_is_no_row(selling, code, stopped, sale):
    """Rows beside it keep what was said of them; it waits for a human, and what it blames stops."""
    made = selling.START - timedelta(days=1)
    selling.serve(*(selling.lead(number, ("RDV pris", made), ("Gagné", made)) for number in range(3)))
    selling.sandbox.google_ads.plant_rulings({key(selling, "L-1", "appointment"): {"reason": code}})

    summary = selling.night()

    assert 3 == summary.exit_code
    assert [stopped] == list(stops(summary))
    assert code in stops(summary)[stopped]
    assert ["accepted", "pending", "accepted"] == [selling.states()[f"L-{one}", "appointment"] for one in range(3)]
    assert {sale} == {selling.states()[f"L-{one}", "sale"] for one in range(3)}
    assert [] == selling.disagreements()

    lift_rulings(selling)

    assert 0 == selling.later().exit_code
    assert {"accepted"} == set(selling.states().values())
    assert [] == selling.disagreements()


def test_many_rows_that_are_all_refused_alike(booking):
    """Five rows with one and the same error point at the settings: none is rejected, and the action stops."""
    serve(booking, [Row({"reason": "EVENT_NOT_FOUND"}, "pending", "EVENT_NOT_FOUND")] * 5)

    summary = booking.night()

    assert 3 == summary.exit_code
    assert [f"google_ads/{FIRST}"] == list(stops(summary))
    assert {"pending"} == set(booking.states().values())

    lift_rulings(booking)

    assert 0 == booking.later().exit_code
    assert {("accepted", "SUCCESS")} == set(told(booking))
    assert [] == booking.disagreements()


# ── whole requests ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fault", "wait", "again"),
    [
        pytest.param({"kind": "status", "status": 429, "retry_after": 90}, timedelta(seconds=90), (), id="a quota"),
        pytest.param(
            {"kind": "status", "status": 429}, BACKOFF, (), id="a quota without a delay", marks=pytest.mark.exhaustive
        ),
        pytest.param({"kind": "status", "status": 500}, BACKOFF, (), id="500", marks=pytest.mark.exhaustive),
        pytest.param({"kind": "status", "status": 503}, BACKOFF, (), id="503", marks=pytest.mark.exhaustive),
        pytest.param({"kind": "html"}, BACKOFF, (), id="a page", marks=pytest.mark.exhaustive),
        pytest.param({"kind": "hang", "seconds": 0.1}, BACKOFF, (), id="no answer", marks=pytest.mark.exhaustive),
        pytest.param({"kind": "cut_before"}, BACKOFF, (), id="cut before", marks=pytest.mark.exhaustive),
        pytest.param({"kind": "cut_after"}, BACKOFF, (0, 2), id="cut after it was counted"),
        pytest.param({"kind": "truncated"}, BACKOFF, (0, 2), id="half an answer", marks=pytest.mark.exhaustive),
        pytest.param({"kind": "latency", "seconds": 0.1}, None, (), id="a slow answer"),
    ],
)
def test_an_upload_that_fails_once(booking, fault, wait, again):
    """The same rows again in the same night, after the wait that was asked for; each keeps its own state."""
    script = (GOOD, Row({"reason": "EVENT_NOT_FOUND"}, "rejected", "EVENT_NOT_FOUND"), GOOD)
    serve(booking, script)
    booking.fail("google_ads", path=UPLOAD, **fault)

    summary = booking.night()

    assert 1 == summary.exit_code
    assert {} == stops(summary)
    expected = [(row.state, "ORDER_ID_ALREADY_IN_USE" if at in again else row.code) for at, row in enumerate(script)]
    assert expected == told(booking)
    first, *later = booking.times("google_ads", UPLOAD)
    assert ([] if wait is None else [wait]) == [at - first for at in later]
    assert [] == booking.disagreements()


@pytest.mark.parametrize(
    ("fault", "tries", "state"),
    [
        pytest.param({"status": 429, "retry_after": 90}, TRIES, "pending", id="a quota", marks=pytest.mark.exhaustive),
        pytest.param({"status": 429, "retry_after": 3_600}, 1, "pending", id="a quota for an hour"),
        pytest.param({"status": 401}, 1, "pending", id="401", marks=pytest.mark.exhaustive),
        pytest.param({"status": 403}, 1, "pending", id="403"),
        pytest.param({"status": 503}, TRIES + 2, "in_doubt", id="503"),
    ],
)
def test_an_upload_that_keeps_failing(booking, fault, tries, state):
    """The destination stops for this night, nothing is called accepted, and the next night heals."""
    serve(booking, (GOOD, GOOD))
    booking.fail("google_ads", "status", path=UPLOAD, count=FOREVER, **fault)

    summary = booking.night()

    assert 3 == summary.exit_code
    assert ["google_ads"] == list(stops(summary))
    assert tries == len(booking.times("google_ads", UPLOAD))
    assert {state} == set(booking.states().values())

    booking.heal()
    booking.later(timedelta(minutes=50))

    early = fault.get("retry_after") == 3_600
    assert ({state} if early else {"accepted"}) == set(booking.states().values())
    assert 0 == booking.later().exit_code
    assert {("accepted", "SUCCESS")} == set(told(booking))
    assert [] == booking.disagreements()


def test_a_token_revoked_in_the_middle_of_a_night(selling):
    """A refused old token is exchanged for a new one, and the night goes on."""
    made = selling.START - timedelta(days=1)
    selling.serve(selling.lead(1, ("Gagné", made)))
    uploads = count(1)
    revoke = selling.sandbox.oauth.switch
    selling.before("google_ads", UPLOAD, lambda _: next(uploads) == 2 and revoke("revoke_tokens", True))

    summary = selling.night()

    assert 0 == summary.exit_code
    assert [True, True] == [call.is_answered for call in selling.calls if call.is_answered]
    assert 3 == len(selling.calls)
    assert {"accepted"} == set(selling.states().values())
    assert [] == selling.disagreements()
