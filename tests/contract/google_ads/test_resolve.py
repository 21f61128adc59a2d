"""`fetch_request_outcomes` over real sockets: the outcome of a request, as far as the answer proves it."""

from datetime import timedelta

import pytest

from connectors.errors import Misconfigured, Transient
from connectors.google_ads.quota import ProjectQuota
from connectors.google_ads.statements import GoogleStatementReader
from connectors.rate_limit import Pacer
from connectors.records import (
    AnswerLost,
    ForgottenRequest,
    Outcome,
    OutcomeClass,
    PartlyRefused,
    RequestNotSent,
    RowCountMismatch,
    RowOutcomes,
    SentRequest,
    StillPending,
)
from tests.fakes import NIGHT, FakeClock

DONE = Outcome(OutcomeClass.DONE, "SUCCESS")
NO_CLICK = "PROCESSING_ERROR_REASON_CLICK_NOT_FOUND"
BAD_GCLID = "PROCESSING_ERROR_REASON_INVALID_GCLID"
DUPLICATE = "PROCESSING_ERROR_REASON_DUPLICATE_TRANSACTION_ID"
NO_CONSENT = "PROCESSING_ERROR_REASON_NO_CONSENT"


def test_resolve_sends_one_authorised_get(google):
    """The ticket is in the query, and no event data goes out."""
    google.api.say(_status("SUCCESS"))
    google.resolve()
    (call,) = google.api.calls

    assert ("GET", "/v1/requestStatus:retrieve") == (call.method, call.path)
    assert {"requestId": ["req-1"]} == call.query
    assert "Bearer ya29.invented" == call.headers["authorization"]
    assert b"" == call.body


def test_each_question_takes_its_turn_from_the_projects_quota(google):
    """Also where a night asks what was received; while there is none left, nothing is asked."""
    google.api.say(_status("SUCCESS"))
    clock = FakeClock()
    google.use(read_quota=ProjectQuota("shop", Pacer(clock, 9, per_day=2), clock))
    google.resolve()
    sent = SentRequest(google.target, NIGHT, 1, "req-1")
    for _ in range(2):
        GoogleStatementReader(google.options).read_statements(NIGHT, NIGHT + timedelta(days=1), [sent])
    with pytest.raises(Transient, match="shop"):
        google.resolve()

    assert 2 == len(google.api.calls)


def test_what_was_received_is_not_waited_for(google):
    """A minute that is full now would take all the time there is, and no answer would be said to have come."""
    clock = FakeClock()
    quota = ProjectQuota("shop", Pacer(clock, 1), clock)
    google.use(read_quota=quota)
    with quota.wait_for_quota():
        pass
    sent = SentRequest(google.target, NIGHT, 1, "req-1")
    said = GoogleStatementReader(google.options).read_statements(NIGHT, NIGHT + timedelta(days=1), [sent])

    assert "the shared quota of requests had no room left" == said[-1].value
    assert not clock.slept
    assert not google.api.calls


def test_success_accepts_every_row(google):
    """The record count may be absent."""
    told = []
    for counted in (None, 3, "3"):
        google.api.say(_status("SUCCESS", counted=counted))
        told.append(google.resolve(rows=3))

    assert [RowOutcomes((DONE, DONE, DONE))] * 3 == told


@pytest.mark.parametrize("missing", ["eventsIngestionStatus", "errorInfo"])
def test_null_means_not_given(google, missing):
    """ProtoJSON allows null for every field."""
    (destination,) = _status("SUCCESS")["requestStatusPerDestination"]
    google.api.say({"requestStatusPerDestination": [destination | {missing: None}]})

    assert RowOutcomes((DONE, DONE)) == google.resolve(rows=2)


@pytest.mark.parametrize("counted", [0, "0", "2", 4, "4"])
@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("SUCCESS", []),
        ("PARTIAL_SUCCESS", [(NO_CLICK, 1, [0])]),
    ],
)
def test_wrong_record_count_is_miscounted(google, status, counts, counted):
    """Google counts every row it received; with another number the outcomes cannot be assigned."""
    google.api.say(_status(status, *counts, counted=counted))

    assert RowCountMismatch(int(counted), 3) == google.resolve(rows=3)


def test_missing_record_count_in_ingestion_status_means_zero(google):
    """JSON omits zeros: nothing was ingested, so success applies to no row."""
    status = _status("SUCCESS")
    status["requestStatusPerDestination"][0]["eventsIngestionStatus"] = {}
    google.api.say(status)

    assert RowCountMismatch(0, 3) == google.resolve(rows=3)


def test_failed_request_ignores_a_wrong_record_count(google):
    """No row was ingested; one that waits for a setting goes on waiting."""
    google.api.say(_status("FAILED", (NO_CLICK, 3, [0, 1, 2]), counted=2))

    assert [NO_CLICK] * 3 == [each.code for each in google.resolve(rows=3).outcomes]


def test_status_failure_means_failed(google):
    """The diagnostics page writes FAILURE for what the enum calls FAILED."""
    google.api.say(_status("FAILURE", (BAD_GCLID, 2, None)))

    assert RowOutcomes((Outcome(OutcomeClass.FIX_DATA, BAD_GCLID),) * 2) == google.resolve(rows=2)


@pytest.mark.parametrize("status", ["FAILED", "PARTIAL_SUCCESS"])
def test_missing_advertiser_consent_is_a_configuration_error(google, status):
    """It concerns the account, not the lead: rows wait, and none is refused for good."""
    google.api.say(_status(status, (NO_CONSENT, 1, [0])))
    outcome, *_ = google.resolve(rows=1 if status == "FAILED" else 2).outcomes

    assert (OutcomeClass.FIX_CONFIG, NO_CONSENT) == (outcome.kind, outcome.code)


@pytest.mark.parametrize("status", ["PROCESSING", 2, "REQUEST_STATUS_UNKNOWN", None, "A_STATUS_OF_NEXT_YEAR"])
def test_unfinished_or_unknown_status_is_pending(google, status):
    """An unknown status never counts as success."""
    google.api.say(_status(status))

    assert StillPending() == google.resolve()


def test_record_indices_give_each_row_its_outcome(google):
    """The indices must agree with the counts."""
    google.api.say(_status("PARTIAL_SUCCESS", (NO_CLICK, 2, [0, "3"]), (BAD_GCLID, 1, [2])))
    dropped = Outcome(OutcomeClass.DROP_EXPECTED, NO_CLICK)
    to_mend = Outcome(OutcomeClass.FIX_DATA, BAD_GCLID)

    assert RowOutcomes((dropped, DONE, to_mend, dropped)) == google.resolve(rows=4)


def test_reads_statuses_and_reasons_as_enum_numbers(google):
    """Google sends enums as numbers when a client requests them so."""
    google.api.say(_status(3, (43, 1, [0])))

    assert RowOutcomes((Outcome(OutcomeClass.DROP_EXPECTED, NO_CLICK),)) == google.resolve()


def test_record_indices_may_cover_every_row_of_a_failed_request(google):
    """Each row then has its own reason."""
    google.api.say(_status("FAILED", (DUPLICATE, 1, [1]), (BAD_GCLID, 1, [0])))
    resolution = google.resolve(rows=2)

    assert [OutcomeClass.FIX_DATA, OutcomeClass.DUPLICATE] == [each.kind for each in resolution.outcomes]


@pytest.mark.parametrize(
    ("status", "counts", "refused"),
    [
        ("PARTIAL_SUCCESS", [(NO_CLICK, 2, None)], 2),
        ("PARTIAL_SUCCESS", [(NO_CLICK, 9, None)], 4),
        ("PARTIAL_SUCCESS", [], 1),
        ("PARTIAL_SUCCESS", [(NO_CLICK, 2, [0])], 2),
        ("PARTIAL_SUCCESS", [(NO_CLICK, 2, [0, 0])], 2),
        ("PARTIAL_SUCCESS", [(NO_CLICK, 1, [4])], 1),
        ("PARTIAL_SUCCESS", [(NO_CLICK, 1, [-1])], 1),
        ("PARTIAL_SUCCESS", [(NO_CLICK, 4, [0, 1, 2, 3])], 4),
        ("FAILED", [(NO_CLICK, 2, [0, 1])], 2),
        ("FAILED", [(NO_CLICK, 4, [0, 1, 2, 2])], 4),
        ("FAILED", [(NO_CLICK, 2, None)], 2),
        ("SUCCESS", [(NO_CLICK, 1, [0])], 1),
    ],
)
def test_missing_or_contradictory_indices_yield_only_a_refused_count(google, status, counts, refused):
    """Without proof for each row, all that is known is "k of n refused"."""
    google.api.say(_status(status, *counts))
    codes = tuple(reason for reason, _, _ in counts)

    assert PartlyRefused(refused, 4, codes) == google.resolve(rows=4)


def test_failed_request_with_one_reason_refuses_every_row(google):
    """The record count equals the number of rows we sent."""
    google.api.say(_status("FAILED", (BAD_GCLID, "3", None)))

    assert RowOutcomes((Outcome(OutcomeClass.FIX_DATA, BAD_GCLID),) * 3) == google.resolve(rows=3)


@pytest.mark.parametrize(
    ("reasons", "kind"),
    [
        ((NO_CLICK, BAD_GCLID), OutcomeClass.FIX_DATA),
        ((NO_CLICK, NO_CONSENT), OutcomeClass.FIX_CONFIG),
        ((NO_CONSENT, DUPLICATE), OutcomeClass.UNKNOWN),
        ((NO_CLICK, DUPLICATE), OutcomeClass.UNKNOWN),
        (("A_REASON_OF_NEXT_YEAR", NO_CLICK), OutcomeClass.UNKNOWN),
    ],
)
def test_failed_request_with_several_reasons_rejects_only_if_all_do(google, reasons, kind):
    """Reasons cannot be assigned to rows, so a mix of rejecting and other reasons is unknown."""
    google.api.say(_status("FAILED", *((reason, 1, None) for reason in reasons)))

    assert RowOutcomes((Outcome(kind, " + ".join(reasons)),) * 2) == google.resolve(rows=2)


def test_failed_request_without_a_reason_is_unknown(google):
    """Google may omit error counts, which does not make the rows accepted."""
    google.api.say(_status("FAILED"))

    assert RowOutcomes((Outcome(OutcomeClass.UNKNOWN, "FAILED"),)) == google.resolve()


def test_too_recent_click_is_deferred_six_hours(google):
    """The row may be accepted later."""
    google.api.say(_status("FAILED", ("PROCESSING_ERROR_REASON_TOO_RECENT_CLICK", 1, [0])))
    (outcome,) = google.resolve().outcomes

    assert (OutcomeClass.DEFER, 6 * 3600) == (outcome.kind, outcome.retry_after.total_seconds())


@pytest.mark.parametrize(
    ("http", "status", "reason"),
    [
        (400, "FAILED_PRECONDITION", "REQUEST_TOO_OLD"),
        (400, "INVALID_ARGUMENT", "INVALID_REQUEST_ID"),
        (404, "NOT_FOUND", "REQUEST_TOO_OLD"),
    ],
)
@pytest.mark.parametrize("in_violation", [False, True])
def test_request_not_found_is_forgotten(google, http, status, *, reason, in_violation):
    """Its outcome is lost for good, whether the error or one of its field violations gives the reason."""
    if in_violation:
        google.refuse(http, status, google.violations(("request_id", reason)), reason="INVALID_ARGUMENT")
    else:
        google.refuse(http, status, reason=reason)

    assert ForgottenRequest(reason) == google.resolve()


@pytest.mark.parametrize("reason", ["REQUEST_TOO_OLD", "INVALID_REQUEST_ID", "PERMISSION_DENIED", "INTERNAL_ERROR"])
def test_server_failure_is_transient_whatever_reason_it_gives(google, reason):
    """The outcome can still be requested later."""
    google.refuse(503, "UNAVAILABLE", reason=reason)

    with pytest.raises(Transient):
        google.resolve()


def test_plain_404_is_misconfigured_rather_than_forgotten(google):
    """The endpoint may be wrong, and the outcome still available at the right one."""
    google.refuse(404, "NOT_FOUND")

    with pytest.raises(Misconfigured, match="request's status: NOT_FOUND"):
        google.resolve()


def test_refused_account_is_misconfigured(google):
    """The message has the code, and none of Google's wording."""
    google.refuse(403, "PERMISSION_DENIED", reason="PERMISSION_DENIED")

    with pytest.raises(Misconfigured, match="request's status: PERMISSION_DENIED") as raised:
        google.resolve()

    assert "invented words" not in str(raised.value)


def test_rate_limit_is_transient_with_the_platforms_delay(google):
    """The request is not retried here."""
    google.refuse(429, "RESOURCE_EXHAUSTED", google.retry_info("7s"))

    with pytest.raises(Transient) as raised:
        google.resolve()

    assert 7 == raised.value.retry_after.total_seconds()
    assert 1 == len(google.api.calls)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<html>", 200),
        (b"", 200),
        (b"[]", 200),
        (b"{}", 200),
        (b'{"requestStatusPerDestination": []}', 200),
        (b'{"requestStatusPerDestination": [{}, {}]}', 200),
        (b'{"requestStatusPerDestination": [{"errorInfo": {"errorCounts": [1]}}]}', 200),
        (b'{"requestStatusPerDestination": [{"errorInfo": {"errorCounts": [{"recordCount": null}]}}]}', 200),
        (b"<html>Not found</html>", 404),
        (b"<html>Bad gateway</html>", 502),
        (b'{"error": {}}', 500),
    ],
)
def test_unreadable_answer_is_transient(google, body, status):
    """A proxy's error page reveals nothing about the request, not even that it is forgotten."""
    google.api.say_bytes(body, status)

    with pytest.raises(Transient):
        google.resolve()


def test_cut_connection_is_transient(google):
    """Resolving twice is harmless."""
    google.api.shut_down_socket()

    with pytest.raises(Transient):
        google.resolve()


def test_does_not_follow_a_redirect(google):
    """The token goes only to the configured address."""
    google.api.say_bytes(b"", 302, {"Location": f"{google.tokens.url}/elsewhere"})

    with pytest.raises(Transient):
        google.resolve()

    assert ["/token"] == [call.path for call in google.tokens.calls]


def test_401_is_transient_only_for_a_cached_token(google):
    """A cached token may have expired; for a new one the 401 is a misconfiguration."""
    google.api.say(_status("PROCESSING"))
    google.resolve()
    google.refuse(401, "UNAUTHENTICATED")

    with pytest.raises(Transient):
        google.resolve()
    with pytest.raises(Misconfigured, match="UNAUTHENTICATED"):
        google.resolve()


def test_refused_key_is_misconfigured(google):
    """The message has the token server's reason."""
    google.tokens.say({"error": "invalid_grant"}, 400)

    with pytest.raises(Misconfigured, match="customer 1234567890: invalid_grant"):
        google.resolve()


def test_unreachable_token_server_is_transient(google):
    """The state of the request stays unknown."""
    google.tokens.shut_down_socket()

    with pytest.raises(Transient):
        google.resolve()


def _status(status: object, *counts: tuple[object, object, object], counted: object = None) -> dict[str, object]:
    """An answer about one destination, omitting defaults as JSON does."""
    listed = [
        {"reason": reason, "recordCount": count} | ({} if indices is None else {"recordIndices": indices})
        for reason, count, indices in counts
    ]
    destination = {} if counted is None else {"eventsIngestionStatus": {"recordCount": counted}}
    destination |= {} if status is None else {"requestStatus": status}
    destination |= {"errorInfo": {"errorCounts": listed}} if listed else {}
    return {"requestStatusPerDestination": [destination]}


def test_endlessly_nested_json_status_is_transient(google):
    """A later answer may be valid."""
    google.api.say_bytes(b"[" * 100_000)

    with pytest.raises(Transient):
        google.resolve()


def test_endlessly_nested_json_token_is_not_sent(google):
    """No upload goes out without a token."""
    google.tokens.say_bytes(b"[" * 100_000)

    assert isinstance(google.submit(), RequestNotSent)
    assert [] == google.api.calls


@pytest.mark.parametrize("status", [200, 400, 500])
def test_endlessly_nested_json_answer_to_an_upload_is_lost(google, status):
    """The HTTP status does not matter."""
    google.api.say_bytes(b"[" * 100_000, status)

    assert isinstance(google.submit(), AnswerLost)
