"""Uploads to the Google Ads API that fail in part: each row gets the state of its own answer."""

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
"""The first wait, with the jitter of these runs; each later one is twice as long."""
SIX_HOURS = timedelta(hours=6)
FIRST = "987654321"

INTERNAL = {"family": "internal_error", "reason": "TRANSIENT_ERROR"}
LATER_DATE = {"family": "date_error", "reason": "LATER_THAN_MAXIMUM_DATE"}
NEWER = {"number": 9_999}


@dataclass(frozen=True)
class Row:
    """The ruling planted for a row, and the state and code it leads to."""

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
    # A duplicate, and this ledger holds no earlier attempt that could have sent it.
    Row({"reason": "ORDER_ID_ALREADY_IN_USE"}, "rejected", "ORDER_ID_ALREADY_IN_USE"),
    Row({"reason": "CLICK_CONVERSION_ALREADY_EXISTS"}, "rejected", "CLICK_CONVERSION_ALREADY_EXISTS"),
    # The platform has it already, whatever else the answer says about sending it again.
    Row({"reason": ["INVALID_CUSTOMER_FOR_CLICK", "ORDER_ID_ALREADY_IN_USE"]}, "rejected", "ORDER_ID_ALREADY_IN_USE"),
    GOOD,
)
EXPECTED_REJECTIONS = {"CLICK_NOT_FOUND"}
"""Rejections that raise no notice."""

both_echoes = pytest.mark.parametrize("echo", [False, True], ids=["results empty", "identifiers echoed"])
"""Whether a refused row's result repeats its identifiers: observed, not documented."""


@pytest.fixture
def selling(company):
    """A company that sends appointments and sales over the Google Ads API."""
    company.use_ads_api()
    return company


@pytest.fixture
def booking(selling):
    """A company that sends only appointments, over the Google Ads API."""
    selling.settings["conversions"] = [selling.conversion("appointment")]
    return selling


def lead(company, number, *, clicked=None, seconds=None):
    """A lead whose appointment was made the day before, by default each one a second after the previous."""
    made = company.START - timedelta(days=1) + timedelta(seconds=number if seconds is None else seconds)
    click = company.gclid(number if clicked is None else clicked)
    return company.lead(number, ("RDV pris", made), clicks=f"gclid={click}")


def serve(company, script):
    """Serve a lead for each row, and plant the row's ruling."""
    company.serve(*(lead(company, number) for number in range(len(script))))
    company.sandbox.google_ads.plant_event_rulings(
        {company.gclid(number): row.ruling for number, row in enumerate(script) if row.ruling is not None}
    )


def key(company, name, conversion):
    """The order id of a lead's conversion."""
    return delivery_key(company.settings["account"], name, conversion, "google_ads", 1)


def lift_rulings(company):
    """Remove every planted ruling."""
    company.sandbox.google_ads.rulings.clear()


def told(company):
    """State and code of every appointment, in the order of the script."""
    rows = company.deliveries()
    return [
        (rows[f"L-{number}", "appointment"].state, rows[f"L-{number}", "appointment"].code)
        for number in range(len(rows))
    ]


def uploaded(company):
    """How many rows the platform handled in each upload."""
    return [len(call.rows) for call in company.calls]


# ── row by row ───────────────────────────────────────────────────────────────────────────────────


@both_echoes
def test_each_row_takes_the_state_of_its_own_answer(booking, echo):
    """One upload gets every kind of answer; afterwards only rows that may still succeed are sent again."""
    booking.sandbox.google_ads.set_switch("ads_api_echo", echo)
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

    assert [len(SCRIPT), 2, 2] == uploaded(booking)  # the rows in doubt again, then those that were too early
    mended = [
        ("accepted", "SUCCESS") if row.state in ("pending", "in_doubt") else (row.state, row.code) for row in SCRIPT
    ]
    assert mended == told(booking)
    assert [] == booking.disagreements()

    assert 0 == booking.later(SIX_HOURS).exit_code
    assert 3 == len(booking.calls)


def test_replay_after_a_lost_answer_settles_each_row(booking):
    """Duplicates are our own and so accepted; the other rows get the same answer as the first time."""
    script = (GOOD, Row({"reason": "EVENT_NOT_FOUND"}, "rejected", "EVENT_NOT_FOUND"), GOOD)
    serve(booking, script)
    booking.fail("google_ads", "cut_after", path=UPLOAD)

    booking.night()

    assert [3, 3] == uploaded(booking)
    already = ("accepted", "ORDER_ID_ALREADY_IN_USE")
    assert [already, ("rejected", "EVENT_NOT_FOUND"), already] == told(booking)
    assert [] == booking.disagreements()


@pytest.mark.exhaustive
def test_row_with_unknown_error_ends_unconfirmed(booking):
    """After three more runs without a readable answer, the run reports it and never calls it accepted."""
    serve(booking, (GOOD, Row(NEWER, "unconfirmed", "")))

    codes = [booking.later(timedelta(days=1)).exit_code for _ in range(5)]

    assert [1, 1, 1, 1, 1] == codes
    assert ["accepted", "unconfirmed"] == [state for state, _ in told(booking)]
    assert [2, 1, 1, 1] == uploaded(booking)
    assert 0 == booking.later(timedelta(days=1)).exit_code
    assert [] == booking.disagreements()


@pytest.mark.exhaustive
def test_error_naming_no_row_is_bisected(booking):
    """The error refuses the whole upload, which is halved until the bad row is found; all others are accepted."""
    bad = Row({"reason": "UNPARSEABLE_GCLID", "index": False}, "rejected", "UNPARSEABLE_GCLID")
    script = (*[GOOD] * 5, bad, *[GOOD] * 3)
    serve(booking, script)

    summary = booking.night()

    assert [(row.state, row.code) for row in script] == told(booking)
    assert len(booking.calls) <= 2 * 4 + 1
    assert 1 == summary.exit_code
    assert [] == booking.disagreements()


@pytest.mark.exhaustive
def test_unknown_error_naming_no_row_leaves_all_in_doubt(booking):
    """The destination stops for a human, and the next run sends all rows again."""
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
def test_rows_with_same_click_and_second_are_sent_apart(booking, switches, second, states, uploads):
    """In one upload both could be refused; apart, one is always accepted."""
    for name, position in switches.items():
        booking.sandbox.google_ads.set_switch(name, position)
    booking.serve(lead(booking, 0, seconds=0), lead(booking, 1, clicked=0, seconds=second))

    summary = booking.night()

    codes = {"accepted": "SUCCESS", "rejected": "CLICK_CONVERSION_ALREADY_EXISTS"}
    assert [(state, codes[state]) for state in states] == told(booking)
    assert ("rejected" in states) == summary.exit_code
    assert uploads == uploaded(booking)
    assert [] == booking.disagreements()


def test_transient_row_error_resends_only_that_row(booking):
    """It goes again after a wait, and the other rows of its upload are settled."""
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
def test_persistent_transient_row_stops_after_five_tries(booking):
    """It stays `pending` and stops nothing, and rows accepted beside it stay accepted."""
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
def test_row_deferred_on_a_second_night_is_reported(booking):
    """One night's delay is left to the platform, and reports end once the row gets through."""
    nights = []
    for number in range(3):
        serve(
            booking, (GOOD, Row(INTERNAL, "pending", "TRANSIENT_ERROR"), *[GOOD] * number)
        )  # one more row goes out beside it each night
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
def test_row_error_about_settings_stops_what_it_names(selling, code, stopped, sale):
    """The row waits for a human, and the rows beside it keep their own answers."""
    made = selling.START - timedelta(days=1)
    selling.serve(*(selling.lead(number, ("RDV pris", made), ("Gagné", made)) for number in range(3)))
    selling.sandbox.google_ads.plant_event_rulings({key(selling, "L-1", "appointment"): {"reason": code}})

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


def test_five_identical_refusals_stop_the_action(booking):
    """They point at the settings, so no row is rejected."""
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
def test_failed_upload_is_retried_the_same_night(booking, fault, wait, again):
    """The same rows go again after the wait the platform asked for, and each keeps its own state."""
    script = (GOOD, Row({"reason": "EVENT_NOT_FOUND"}, "rejected", "EVENT_NOT_FOUND"), GOOD)
    serve(booking, script)
    booking.fail("google_ads", path=UPLOAD, **fault)

    summary = booking.night()

    assert 0 == summary.exit_code
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
def test_persistent_upload_failure_stops_the_destination(booking, fault, tries, state):
    """No row is called accepted, and the next night recovers."""
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


def test_revoked_token_is_exchanged_during_the_run(selling):
    """The refused upload is repeated with a new token, and the run continues."""
    made = selling.START - timedelta(days=1)
    selling.serve(selling.lead(1, ("Gagné", made)))
    uploads = count(1)
    revoke = selling.sandbox.oauth.set_switch
    selling.before("google_ads", UPLOAD, lambda _: next(uploads) == 2 and revoke("revoke_tokens", True))

    summary = selling.night()

    assert 0 == summary.exit_code
    assert [True, False, True] == [call.is_answered for call in selling.calls]
    _, refused, repeated = selling.calls
    assert refused.rows == repeated.rows
    assert 2 == selling.sandbox.servers["oauth"].log.count
    assert {"accepted"} == set(selling.states().values())
    assert [] == selling.disagreements()
