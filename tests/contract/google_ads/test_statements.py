"""What Google says it received, over real sockets: golden requests, and every answer that has nothing to show."""

from datetime import UTC, datetime, timedelta
from functools import partial

import grpc
import pytest
from google.ads.googleads.v26.enums.types import (
    OfflineConversionDiagnosticStatusEnum,
    OfflineEventUploadClientEnum,
)
from google.ads.googleads.v26.services.types import GoogleAdsRow

from connectors.google_ads.statements import GoogleStatementReader
from connectors.records import CountedRowsFilter, PlatformStatement, SentRequest, StatementSubject, Target
from connectors.statement_messages import NO_ANSWER, NOT_STATED, NOTHING_YET, REFUSED, UNREADABLE
from tests.contract.google_ads.ads_api_server import upload_error

SENT_AT = datetime(2026, 11, 5, 4, 30, tzinfo=UTC)
SINCE, UNTIL = SENT_AT - timedelta(days=4), SENT_AT + timedelta(days=3)
_Client = OfflineEventUploadClientEnum.OfflineEventUploadClient
GOOD = OfflineConversionDiagnosticStatusEnum.OfflineConversionDiagnosticStatus.GOOD
BY_ACTION, IN_ALL = "offline_conversion_upload_conversion_action_summary", "offline_conversion_upload_client_summary"
NO_ACCESS = "the service account may not read this; it needs access to the account of the conversion actions"
NO_API = (
    "the service account may not read this; it needs access to the account, and its Cloud project the Google Ads API"
)
NO_SUMMARY = PlatformStatement(
    StatementSubject.UPLOAD_SUMMARY,
    "",
    "not available by the Data Manager API, which only tells about single requests",
    None,
)


def request(ticket, *, rows=3, minutes=0, action="987654321", transport="data_manager"):
    """A request of some minutes after the first."""
    target = Target(transport, "1234567890", action, "")
    return SentRequest(target, SENT_AT + timedelta(minutes=minutes), rows, ticket)


def read(platform, *sent):
    """Read the statements about these requests."""
    return GoogleStatementReader(platform.options).read_statements(SINCE, UNTIL, sent)


def nothing(subject, why):
    """The statement that there is nothing to show."""
    return PlatformStatement(subject, "", why, None)


# ── the Data Manager API ─────────────────────────────────────────────────────────────────────────


def status(word, *, counted=3, errors=(), warnings=()):
    """The status of a request, with a field that nobody knows."""
    part = {
        "requestStatus": word,
        "errorInfo": {"errorCounts": [{"reason": reason, "recordCount": count} for reason, count in errors]},
        "warningInfo": {"warningCounts": [{"reason": reason, "recordCount": count} for reason, count in warnings]},
        "eventsIngestionStatus": {"recordCount": str(counted)},
        "news": {},
    }
    return {"requestStatusPerDestination": [part]}


def test_asks_for_the_status_of_each_request_from_the_last_one_back(google):
    """Each by its ticket; what has none is not asked for."""
    google.api.say(status("SUCCESS"))
    read(google, request("first"), request(None), request("last", minutes=1))

    assert [("GET", "/v1/requestStatus:retrieve", ticket) for ticket in ("last", "first")] == [
        (call.method, call.path, *call.query["requestId"]) for call in google.api.calls
    ]
    assert {"Bearer ya29.invented"} == {call.headers["authorization"] for call in google.api.calls}


def test_says_how_many_records_were_taken_and_warned_of(google):
    """By conversion action; the span is that of the requests asked for."""
    errors, warnings = [("CLICK_NOT_FOUND", 1)], [("PROCESSING_WARNING_REASON_INTERNAL_ERROR", "2")]
    google.api.say(status("PARTIAL_SUCCESS", errors=errors, warnings=warnings))
    sent = [request("a"), request("b", minutes=5), request("c", minutes=9, action="5")]
    span = partial(CountedRowsFilter, "data_manager", "1234567890", corrections=True)
    tick = timedelta(microseconds=1)

    assert [
        NO_SUMMARY,
        PlatformStatement(
            StatementSubject.EVENT_COUNT,
            "5",
            2,
            None,
            span("5", SENT_AT + timedelta(minutes=9), SENT_AT + timedelta(minutes=9) + tick),
        ),
        PlatformStatement(
            StatementSubject.EVENT_COUNT,
            "987654321",
            4,
            None,
            span("987654321", SENT_AT, SENT_AT + timedelta(minutes=5) + tick),
        ),
        PlatformStatement(StatementSubject.REQUEST_WARNINGS, "PROCESSING_WARNING_REASON_INTERNAL_ERROR", "6", None),
    ] == read(google, *sent)


@pytest.mark.parametrize(
    ("answer", "accepted", "undecided"),
    [
        (status("SUCCESS"), 3, 0),
        (status("SUCCESS", counted=2), 2, 0),
        (status("FAILED", errors=[("CLICK_NOT_FOUND", 3)]), 0, 0),
        (status("FAILURE"), 0, 0),
        (status("PROCESSING"), 0, 3),
        (status("PARTIAL_SUCCESS"), 0, 3),
        ({"requestStatusPerDestination": [{"requestStatus": "SUCCESS"}]}, 3, 0),
    ],
)
def test_only_what_is_certain_was_taken(google, answer, accepted, undecided):
    """What is being processed, or partly refused without a count, is undecided."""
    google.api.say(answer)
    _, count, warnings = read(google, request("a"))

    assert (accepted, undecided) == (count.value, count.counts.undecided)
    assert nothing(StatementSubject.REQUEST_WARNINGS, NOTHING_YET) == warnings


def test_forgotten_request_is_undecided(google):
    """Google keeps statuses for some weeks."""
    google.refuse(404, "NOT_FOUND", reason="REQUEST_TOO_OLD")
    _, count, _ = read(google, request("a"))

    assert (0, 3) == (count.value, count.counts.undecided)


def test_long_row_of_requests_is_asked_for_in_part(google):
    """The last twenty, and the span begins with the first of them."""
    google.api.say(status("SUCCESS"))
    _, count, _ = read(google, *(request(str(minute), minutes=minute) for minute in range(25)))

    assert (60, SENT_AT + timedelta(minutes=5)) == (count.value, count.counts.since)


@pytest.mark.parametrize(
    ("http", "word", "why"),
    [(403, "PERMISSION_DENIED", NO_ACCESS), (401, "UNAUTHENTICATED", REFUSED), (500, "INTERNAL", NOT_STATED)],
)
def test_refused_status_says_why(google, http, word, why):
    """What the service account needs, and nothing of what Google wrote."""
    google.refuse(http, word)

    assert [NO_SUMMARY, nothing(StatementSubject.EVENT_COUNT, why)] == read(google, request("a"), request("b"))
    assert 1 == len(google.api.calls)


@pytest.mark.parametrize("body", [b"<html>Sorry</html>", b"", b"[]", b"{}", b'{"requestStatusPerDestination": []}'])
def test_unreadable_status_is_said_to_be(google, body):
    """HTML, nothing, and JSON of another shape."""
    google.api.say_bytes(body)

    assert [NO_SUMMARY, nothing(StatementSubject.EVENT_COUNT, UNREADABLE)] == read(google, request("a"))


@pytest.mark.parametrize("trouble", ["stay_silent", "shut_down_socket"])
def test_unanswered_status_ends_the_reading(google, trouble):
    """Nothing is raised."""
    getattr(google.api, trouble)()
    google.use(timeout=0.5)

    assert [NO_SUMMARY, nothing(StatementSubject.EVENT_COUNT, NO_ANSWER)] == read(google, request("a"), request("b"))
    assert 1 == len(google.api.calls)


def test_key_that_google_refuses_is_said_to_be(google):
    """No request is made with it."""
    google.tokens.say({"error": "invalid_grant"}, 400)

    assert [NO_SUMMARY, nothing(StatementSubject.EVENT_COUNT, REFUSED)] == read(google, request("a"))
    assert [] == google.api.calls


# ── the Google Ads API ───────────────────────────────────────────────────────────────────────────


def by_action(*days, client=_Client.GOOGLE_ADS_API, action=987654321, zone="Europe/Paris"):
    """An action's summary of these days: date, and counts of successes, failures and pending ones."""
    listed = [
        {"upload_date": day, "successful_count": good, "failed_count": bad, "pending_count": pending}
        for day, good, bad, pending in days
    ]
    summary = {
        "client": client,
        "conversion_action_id": action,
        "conversion_action_name": "Vente signée",
        "daily_summaries": listed,
    }
    return GoogleAdsRow(**{BY_ACTION: summary, "customer": {"time_zone": zone}})


def in_all(**more):
    """The summary of all uploads by the API."""
    alert = {"error": {"conversion_upload_error": 43}, "error_percentage": 0.25}
    plain = {
        "client": _Client.GOOGLE_ADS_API,
        "status": GOOD,
        "last_upload_date_time": "2026-11-05 05:30:00",
        "alerts": [alert],
    }
    return GoogleAdsRow(**{IN_ALL: plain | more, "customer": {"time_zone": "Europe/Paris"}})


@pytest.fixture
def uploads():
    """Requests by the Google Ads API."""
    return request(None, transport="google_ads_api"), request(None, transport="google_ads_api", minutes=5)


def test_asks_for_both_upload_summaries(ads, uploads):
    """As GAQL, in the account's own name."""
    ads.api.rows = {BY_ACTION: [], IN_ALL: []}
    read(ads, *uploads)

    assert [
        (
            "SELECT customer.time_zone, offline_conversion_upload_conversion_action_summary.client,"
            " offline_conversion_upload_conversion_action_summary.conversion_action_id,"
            " offline_conversion_upload_conversion_action_summary.conversion_action_name,"
            " offline_conversion_upload_conversion_action_summary.daily_summaries"
            " FROM offline_conversion_upload_conversion_action_summary"
        ),
        (
            "SELECT customer.time_zone, offline_conversion_upload_client_summary.client,"
            " offline_conversion_upload_client_summary.status,"
            " offline_conversion_upload_client_summary.last_upload_date_time,"
            " offline_conversion_upload_client_summary.alerts FROM offline_conversion_upload_client_summary"
        ),
    ] == [call.request.query for call in ads.api.calls]
    assert {"1234567890"} == {call.request.customer_id for call in ads.api.calls}


def test_says_what_google_recorded_by_action_and_day(ads, uploads):
    """Whole days of the account's, of our actions and our client; a day of ours without uploads is a 0."""
    other = by_action(("2026-11-05", 70, 0, 0), client=_Client.GOOGLE_ADS_WEB_CLIENT)
    foreign = by_action(("2026-11-05", 80, 0, 0), action=5)
    ours = by_action(("2026-11-01", 9, 0, 0), ("2026-11-04", 4, 1, 2), ("2026-11-08", 9, 0, 0))
    ads.api.rows = {BY_ACTION: [other, foreign, ours], IN_ALL: [in_all()]}
    midnight = datetime(2026, 11, 3, 23, tzinfo=UTC)
    day = timedelta(days=1)
    span = partial(CountedRowsFilter, "google_ads_api", "1234567890", "987654321")
    uploaded = datetime(2026, 11, 5, 4, 30, tzinfo=UTC)

    assert [
        PlatformStatement(
            StatementSubject.UPLOAD_SUMMARY, "Vente signée", 4, None, span(midnight, midnight + day, undecided=2)
        ),
        PlatformStatement(
            StatementSubject.UPLOAD_SUMMARY, "Vente signée", 0, None, span(midnight + day, midnight + 2 * day)
        ),
        PlatformStatement(StatementSubject.UPLOAD_SUMMARY, "status", "GOOD", uploaded),
        PlatformStatement(StatementSubject.UPLOAD_SUMMARY, "EXPIRED_EVENT", "25%", uploaded),
    ] == read(ads, *uploads)


def test_day_of_the_change_of_clocks_has_its_own_length(ads):
    """It has 25 hours."""
    sent_at = datetime(2026, 10, 25, 4, 30, tzinfo=UTC)
    ads.api.rows = {BY_ACTION: [by_action(("2026-10-25", 1, 0, 0))], IN_ALL: []}
    sent = SentRequest(Target("google_ads_api", "1234567890", "987654321", ""), sent_at, 1, None)
    count, *_ = GoogleStatementReader(ads.options).read_statements(
        sent_at - timedelta(days=3), sent_at + timedelta(days=3), [sent]
    )

    assert timedelta(hours=25) == count.counts.until - count.counts.since


def test_no_summaries_are_nothing_yet(ads, uploads):
    """As before the first upload."""
    ads.api.rows = {BY_ACTION: [], IN_ALL: []}

    assert [nothing(StatementSubject.UPLOAD_SUMMARY, NOTHING_YET)] == read(ads, *uploads)


@pytest.mark.parametrize(
    "row", [by_action(("soon", 1, 0, 0)), by_action(("2026-11-05", 1, 0, 0), zone="Europe/Nowhere")]
)
def test_summary_of_another_shape_is_unreadable(ads, uploads, row):
    """Nothing is raised for a day or zone that is none."""
    ads.api.rows = {BY_ACTION: [row], IN_ALL: []}

    assert [nothing(StatementSubject.UPLOAD_SUMMARY, UNREADABLE)] == read(ads, *uploads)


@pytest.mark.parametrize(
    ("code", "errors", "why"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, (upload_error(2),), NO_API),
        (grpc.StatusCode.PERMISSION_DENIED, (), NO_API),
        (grpc.StatusCode.INVALID_ARGUMENT, (upload_error(2),), NOT_STATED),
        (grpc.StatusCode.UNAVAILABLE, (), NO_ANSWER),
    ],
)
def test_refused_query_says_why(ads, uploads, code, errors, why):
    """A service account that only sends needs no access to this API; the second query is not made."""
    ads.api.fail(code, *errors)

    assert [nothing(StatementSubject.UPLOAD_SUMMARY, why)] == read(ads, *uploads)
    assert 1 == len(ads.api.calls)


def test_unanswered_query_is_said_to_be(ads, uploads):
    """Nothing is raised."""
    ads.api.stay_silent()
    ads.use(timeout=0.2)

    assert [nothing(StatementSubject.UPLOAD_SUMMARY, NO_ANSWER)] == read(ads, *uploads)


def test_google_that_was_sent_nothing_is_not_asked(google):
    """Neither API."""
    assert [] == read(google)
    assert [] == google.api.calls
