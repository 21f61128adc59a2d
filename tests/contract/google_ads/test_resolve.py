"""`resolve` over real sockets: what became of a request, as far as the answer proves it."""

import pytest

from connectors.errors import Misconfigured, Transient
from connectors.records import (
    Answered,
    Forgotten,
    Lost,
    Miscounted,
    NotSent,
    Outcome,
    OutcomeClass,
    PartlyRefused,
    StillPending,
)

DONE = Outcome(OutcomeClass.DONE, "SUCCESS")
NO_CLICK = "PROCESSING_ERROR_REASON_CLICK_NOT_FOUND"
BAD_GCLID = "PROCESSING_ERROR_REASON_INVALID_GCLID"
DUPLICATE = "PROCESSING_ERROR_REASON_DUPLICATE_TRANSACTION_ID"
NO_CONSENT = "PROCESSING_ERROR_REASON_NO_CONSENT"


def test_the_question_is_one_authorised_get(google):
    """One call, with the ticket in the query and nothing of an event."""
    google.api.say(_status("SUCCESS"))
    google.resolve()
    (call,) = google.api.calls

    assert ("GET", "/v1/requestStatus:retrieve") == (call.method, call.path)
    assert {"requestId": ["req-1"]} == call.query
    assert "Bearer ya29.invented" == call.headers["authorization"]
    assert b"" == call.body


def test_success_accepts_every_row(google):
    """All records were processed without an error, whether or not their number is told."""
    told = []
    for counted in (None, 3, "3"):
        google.api.say(_status("SUCCESS", counted=counted))
        told.append(google.resolve(rows=3))

    assert [Answered((DONE, DONE, DONE))] * 3 == told


@pytest.mark.parametrize("counted", [0, "0", "2", 4, "4"])
@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("SUCCESS", []),
        ("PARTIAL_SUCCESS", [(NO_CLICK, 1, [0])]),
    ],
)
def test_another_number_of_events_speaks_for_none(google, status, counts, counted):
    """It counts all it was sent, however each fared: with another number nobody knows whose outcome is told."""
    google.api.say(_status(status, *counts, counted=counted))

    assert Miscounted(int(counted), 3) == google.resolve(rows=3)


def test_a_count_of_none_is_left_out_as_json_leaves_it_out(google):
    """Nothing was taken, then: success of nothing is nobody's."""
    status = _status("SUCCESS")
    status["requestStatusPerDestination"][0]["eventsIngestionStatus"] = {}
    google.api.say(status)

    assert Miscounted(0, 3) == google.resolve(rows=3)


def test_what_failed_failed_whatever_number_is_told(google):
    """Nothing was taken of any; what waits for a setting goes on waiting."""
    google.api.say(_status("FAILED", (NO_CLICK, 3, [0, 1, 2]), counted=2))

    assert [NO_CLICK] * 3 == [each.code for each in google.resolve(rows=3).outcomes]


def test_failure_is_failed(google):
    """The diagnostics page writes FAILURE for what the enum calls FAILED."""
    google.api.say(_status("FAILURE", (BAD_GCLID, 2, None)))

    assert Answered((Outcome(OutcomeClass.FIX_DATA, BAD_GCLID),) * 2) == google.resolve(rows=2)


@pytest.mark.parametrize("status", ["FAILED", "PARTIAL_SUCCESS"])
def test_an_advertiser_who_gave_google_no_consent_has_a_setting_to_mend(google, status):
    """It is about the account, not the lead: rows wait, and none is refused for good."""
    google.api.say(_status(status, (NO_CONSENT, 1, [0])))
    outcome, *_ = google.resolve(rows=1 if status == "FAILED" else 2).outcomes

    assert (OutcomeClass.FIX_CONFIG, NO_CONSENT) == (outcome.kind, outcome.code)


@pytest.mark.parametrize("status", ["PROCESSING", 2, "REQUEST_STATUS_UNKNOWN", None, "A_STATUS_OF_NEXT_YEAR"])
def test_a_request_not_settled_is_pending(google, status):
    """Unknown is never success."""
    google.api.say(_status(status))

    assert StillPending() == google.resolve()


def test_record_indices_tell_each_rows_outcome(google):
    """With indices that agree with the counts, every row has its own state."""
    google.api.say(_status("PARTIAL_SUCCESS", (NO_CLICK, 2, [0, "3"]), (BAD_GCLID, 1, [2])))
    dropped = Outcome(OutcomeClass.DROP_EXPECTED, NO_CLICK)
    to_mend = Outcome(OutcomeClass.FIX_DATA, BAD_GCLID)

    assert Answered((dropped, DONE, to_mend, dropped)) == google.resolve(rows=4)


def test_reasons_may_come_as_numbers(google):
    """Enums are numbers in an answer that was asked for them so."""
    google.api.say(_status(3, (43, 1, [0])))

    assert Answered((Outcome(OutcomeClass.DROP_EXPECTED, NO_CLICK),)) == google.resolve()


def test_indices_may_cover_a_request_that_failed_whole(google):
    """FAILED with every row named."""
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
def test_without_proof_nobody_is_accepted_or_refused(google, status, counts, refused):
    """Indices that are missing, or contradict the count or the status, leave only "k of n refused"."""
    google.api.say(_status(status, *counts))
    codes = tuple(reason for reason, _, _ in counts)

    assert PartlyRefused(refused, 4, codes) == google.resolve(rows=4)


def test_all_refused_for_one_reason(google):
    """FAILED with as many records as we sent."""
    google.api.say(_status("FAILED", (BAD_GCLID, "3", None)))

    assert Answered((Outcome(OutcomeClass.FIX_DATA, BAD_GCLID),) * 3) == google.resolve(rows=3)


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
def test_all_refused_for_several_reasons(google, reasons, kind):
    """Which row has which is not known: rejected where every reason rejects, else unknown."""
    google.api.say(_status("FAILED", *((reason, 1, None) for reason in reasons)))

    assert Answered((Outcome(kind, " + ".join(reasons)),) * 2) == google.resolve(rows=2)


def test_all_refused_for_no_reason_given(google):
    """Error counts may be left out; the rows are not accepted for that."""
    google.api.say(_status("FAILED"))

    assert Answered((Outcome(OutcomeClass.UNKNOWN, "FAILED"),)) == google.resolve()


def test_a_click_too_young_is_deferred_six_hours(google):
    """The row may pass later."""
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
def test_a_request_that_is_not_found_is_forgotten(google, http, status, *, reason, in_violation):
    """Its outcome will never be told, whether the answer or one of its fields says why."""
    if in_violation:
        google.refuse(http, status, google.violations(("request_id", reason)), reason="INVALID_ARGUMENT")
    else:
        google.refuse(http, status, reason=reason)

    assert Forgotten(reason) == google.resolve()


@pytest.mark.parametrize("reason", ["REQUEST_TOO_OLD", "INVALID_REQUEST_ID", "PERMISSION_DENIED", "INTERNAL_ERROR"])
def test_a_failing_server_forgets_no_request_and_blames_no_setting(google, reason):
    """Its outcome can still be asked for."""
    google.refuse(503, "UNAVAILABLE", reason=reason)

    with pytest.raises(Transient):
        google.resolve()


def test_an_address_where_nothing_lives_forgets_no_request(google):
    """A plain 404 may be a wrong endpoint's: the request's outcome can still be asked for elsewhere."""
    google.refuse(404, "NOT_FOUND")

    with pytest.raises(Misconfigured, match="customer 1234567890: NOT_FOUND"):
        google.resolve()


def test_a_refused_account_is_misconfigured(google):
    """The message names customer and code, and no sentence of Google's."""
    google.refuse(403, "PERMISSION_DENIED", reason="PERMISSION_DENIED")

    with pytest.raises(Misconfigured, match="customer 1234567890: PERMISSION_DENIED") as raised:
        google.resolve()

    assert "invented words" not in str(raised.value)


def test_a_busy_platform_is_asked_later(google):
    """Its own delay is passed on; it is asked once."""
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
def test_an_answer_that_cannot_be_read_is_asked_for_again(google, body, status):
    """A page in the way tells nothing about the request, not even that it is forgotten."""
    google.api.say_bytes(body, status)

    with pytest.raises(Transient):
        google.resolve()


def test_a_cut_connection_is_asked_again(google):
    """Asking twice does no harm."""
    google.api.shut_down_socket()

    with pytest.raises(Transient):
        google.resolve()


def test_a_redirect_is_not_followed(google):
    """The token goes to the configured address and no other."""
    google.api.say_bytes(b"", 302, {"Location": f"{google.tokens.url}/elsewhere"})

    with pytest.raises(Transient):
        google.resolve()

    assert ["/token"] == [call.path for call in google.tokens.calls]


def test_a_401_to_a_kept_token_is_asked_again_and_to_a_new_one_is_misconfigured(google):
    """The first may be an old token's fault, the second is not."""
    google.api.say(_status("PROCESSING"))
    google.resolve()
    google.refuse(401, "UNAUTHENTICATED")

    with pytest.raises(Transient):
        google.resolve()
    with pytest.raises(Misconfigured, match="UNAUTHENTICATED"):
        google.resolve()


def test_a_refused_key_is_misconfigured(google):
    """The token server's reason is told."""
    google.tokens.say({"error": "invalid_grant"}, 400)

    with pytest.raises(Misconfigured, match="customer 1234567890: invalid_grant"):
        google.resolve()


def test_a_token_server_out_of_reach_is_asked_later(google):
    """Nothing is known of the request meanwhile."""
    google.tokens.shut_down_socket()

    with pytest.raises(Transient):
        google.resolve()


def _status(status: object, *counts: tuple[object, object, object], counted: object = None) -> dict[str, object]:
    """An answer about one destination; defaults are left out as JSON leaves them out."""
    listed = [
        {"reason": reason, "recordCount": count} | ({} if indices is None else {"recordIndices": indices})
        for reason, count, indices in counts
    ]
    destination = {} if counted is None else {"eventsIngestionStatus": {"recordCount": counted}}
    destination |= {} if status is None else {"requestStatus": status}
    destination |= {"errorInfo": {"errorCounts": listed}} if listed else {}
    return {"requestStatusPerDestination": [destination]}


def test_json_without_bottom_is_no_status(google):
    """It may be one later."""
    google.api.say_bytes(b"[" * 100_000)

    with pytest.raises(Transient):
        google.resolve()


def test_json_without_bottom_is_no_token(google):
    """And nothing is sent."""
    google.tokens.say_bytes(b"[" * 100_000)

    assert isinstance(google.submit(), NotSent)
    assert [] == google.api.calls


@pytest.mark.parametrize("status", [200, 400, 500])
def test_json_without_bottom_is_a_lost_answer(google, status):
    """To an upload."""
    google.api.say_bytes(b"[" * 100_000, status)

    assert isinstance(google.submit(), Lost)
