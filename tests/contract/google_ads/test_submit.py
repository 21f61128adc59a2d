"""`submit` over real sockets: every kind of answer and the receipt it yields."""

import gzip
import json
import logging
import socket
import time
from datetime import timedelta

import pytest

from connectors.language import Language, using_language
from connectors.records import (
    AnswerLost,
    DeliveryKey,
    EncodedEvent,
    Outcome,
    OutcomeClass,
    ReceivedForProcessing,
    Refused,
    RequestNotSent,
    RowOutcomes,
    Target,
)


def test_request_has_one_destination_and_the_frozen_events(google):
    """It also states how hashes are encoded; the events are the frozen bytes themselves."""
    receipt = google.submit(rows=2)

    assert ReceivedForProcessing("req-1") == receipt

    (call,) = google.api.calls

    assert ("POST", "/v1/events:ingest") == (call.method, call.path)
    assert "Bearer ya29.invented" == call.headers["authorization"]
    assert json.loads(call.body) == {
        "destinations": [
            {
                "loginAccount": {"accountId": "1112223333", "accountType": 1},
                "operatingAccount": {"accountId": "1234567890", "accountType": 1},
                "productDestinationId": "987654321",
            }
        ],
        "encoding": 1,
        "events": [json.loads(google.sink.encode(google.event(key))) for key in ("key-0", "key-1")],
    }
    assert all(google.sink.encode(google.event(key)) in call.body for key in ("key-0", "key-1"))


def test_account_comes_from_the_target_and_manager_is_optional(google):
    """A delivery goes to its original account, whatever customer is configured today."""
    google.use(login_customer_id=None)
    event = google.event()
    batch = [EncodedEvent(event.key, google.sink.encode(event))]
    google.sink.submit(Target("data_manager", "5550001111", "42", "WEB"), batch)
    destination = {
        "operatingAccount": {"accountId": "5550001111", "accountType": 1},
        "productDestinationId": "42",
    }

    assert [destination] == json.loads(google.api.calls[0].body)["destinations"]


def test_requests_a_token_with_the_api_scope_and_caches_it(google):
    """One token serves two calls."""
    google.submit()
    google.submit()

    assert 1 == len(google.tokens.calls)
    assert "https://www.googleapis.com/auth/datamanager" == google.claims()["scope"]
    assert "sync@invented.iam.gserviceaccount.com" == google.claims()["iss"]


def test_receipt_keeps_only_the_reasons_of_field_warnings(google):
    """Their text quotes values; reasons are kept whether or not the library knows them."""
    warning = {"reason": 6, "description": "jean@example.fr", "field": "events[0]"}
    google.api.say({"requestId": "req-1", "fieldWarnings": [warning, warning, {**warning, "reason": 99}]})
    expected = ReceivedForProcessing("req-1", ("WARNING_REASON_GENERIC", "WarningReason_99"))

    assert expected == google.submit()


@pytest.mark.parametrize(
    "path",
    [
        "events[3]",
        "events[3].user_data.user_identifiers[0]",
        "events.3",
        "events.events[3].consent",
        "events/3",
    ],
)
def test_finds_the_blamed_row_in_any_style_of_path(google, path):
    """How a path names a row is undocumented, so every likely style is read."""
    google.refuse(400, "INVALID_ARGUMENT", google.violations((path, "INVALID_SHA256_FORMAT")))
    outcome = Outcome(OutcomeClass.FIX_DATA, "INVALID_SHA256_FORMAT", f"HTTP 400 INVALID_ARGUMENT, {path}")

    assert Refused(outcome, rows=(3,)) == google.submit(rows=5)


def test_blames_only_rows_that_share_the_code(google):
    """A refusal has one outcome, so rows with another error wait for their own."""
    blamed = google.violations(
        ("events[4]", "INVALID_FORMAT"),
        ("events[1]", "INVALID_FORMAT"),
        ("events[2]", "INVALID_CURRENCY_CODE"),
    )
    google.refuse(400, "INVALID_ARGUMENT", blamed, reason="INVALID_ARGUMENT")
    receipt = google.submit(rows=5)

    assert (OutcomeClass.FIX_DATA, "INVALID_FORMAT", (1, 4)) == (*_what(receipt), receipt.rows)


def test_ignores_a_blamed_row_beyond_the_batch(google):
    """Such an index is not one of ours."""
    google.refuse(400, "INVALID_ARGUMENT", google.violations(("events[7]", "INVALID_FORMAT")))

    assert () == google.submit(rows=5).rows


def test_row_blamed_without_a_reason_is_a_data_error(google):
    """The generic reason shows that the row is bad, though not why."""
    google.refuse(400, "INVALID_ARGUMENT", google.violations(("events[0]", None)), reason="INVALID_ARGUMENT")
    receipt = google.submit(rows=2)

    assert (OutcomeClass.FIX_DATA, "INVALID_ARGUMENT", (0,)) == (*_what(receipt), receipt.rows)


def test_destination_error_outweighs_row_errors(google):
    """Fixing rows does not help while the configuration is wrong."""
    blamed = google.violations(("events[1]", "INVALID_FORMAT"), ("destinations[0]", "INVALID_CONVERSION_ACTION_ID"))
    google.refuse(400, "INVALID_ARGUMENT", blamed)
    receipt = google.submit(rows=2)

    assert (OutcomeClass.FIX_CONFIG, "INVALID_CONVERSION_ACTION_ID", ()) == (*_what(receipt), receipt.rows)


@pytest.mark.parametrize(
    ("http", "status", "reason", "kind"),
    [
        (403, "PERMISSION_DENIED", "PERMISSION_DENIED", OutcomeClass.FIX_CONFIG),
        (403, "PERMISSION_DENIED", "SERVICE_DISABLED", OutcomeClass.FIX_CONFIG),
        (403, "PERMISSION_DENIED", None, OutcomeClass.FIX_CONFIG),
        (400, "INVALID_ARGUMENT", "TOO_MANY_EVENTS", OutcomeClass.BUG),
        (400, "INVALID_ARGUMENT", "A_REASON_OF_NEXT_YEAR", OutcomeClass.FIX_CONFIG),
        (400, "FAILED_PRECONDITION", None, OutcomeClass.FIX_CONFIG),
        (409, "ABORTED", "ERROR_REASON_UNSPECIFIED", OutcomeClass.RETRY),
        (409, "ABORTED", None, OutcomeClass.RETRY),
        (429, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED", OutcomeClass.RETRY),
    ],
)
def test_refusal_of_the_whole_request_is_classified_by_its_reason(google, http, status, reason, kind):
    """The status decides where the reason is absent or unknown."""
    google.refuse(http, status, reason=reason)

    assert (kind, reason or status) == _what(google.submit())


@pytest.mark.parametrize(
    ("http", "status", "reason"),
    [
        (500, "INTERNAL", "INTERNAL_ERROR"),
        (500, "INTERNAL", None),
        (500, "INTERNAL", "ERROR_REASON_UNSPECIFIED"),
        (500, "INTERNAL", "PERMISSION_DENIED"),
        (500, "UNKNOWN", None),
        (500, "DATA_LOSS", "A_REASON_OF_NEXT_YEAR"),
        (501, "UNIMPLEMENTED", None),
        (502, "INVALID_ARGUMENT", "INVALID_FORMAT"),
        (503, "UNAVAILABLE", None),
        (503, "UNAVAILABLE", "RATE_LIMIT_EXCEEDED"),
        (504, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
        (499, "CANCELLED", None),
        (499, "CANCELLED", "ERROR_REASON_UNSPECIFIED"),
        # a server failure's status with an unrelated HTTP code
        (400, "INTERNAL", None),
        (400, "INVALID_ARGUMENT", "INTERNAL_ERROR"),
        (400, "INVALID_ARGUMENT", "DEADLINE_EXCEEDED"),
    ],
)
def test_server_failure_is_lost_whatever_error_it_reports(google, http, status, reason):
    """It may have accepted every event before it failed: this is neither a refusal nor a misconfiguration."""
    google.refuse(http, status, google.violations(("events[0]", reason)), reason=reason)
    receipt = google.submit(rows=2)

    assert isinstance(receipt, AnswerLost)
    assert f"HTTP {http}" in receipt.reason


@pytest.mark.parametrize("reason", [None, "INVALID_ARGUMENT", "ERROR_REASON_UNSPECIFIED"])
def test_unlocated_bad_argument_is_a_data_error_without_rows(google, reason):
    """A refused request is not processed at all: bisecting finds the row, and no row stays `in_doubt`."""
    google.refuse(400, "INVALID_ARGUMENT", reason=reason)
    receipt = google.submit(rows=3)

    assert (OutcomeClass.FIX_DATA, reason or "INVALID_ARGUMENT", ()) == (*_what(receipt), receipt.rows)


def test_unknown_reason_on_a_row_is_its_data_error(google):
    """We cannot interpret the reason, but it concerns that row."""
    google.refuse(400, "INVALID_ARGUMENT", google.violations(("events[1].consent", "A_REASON_OF_NEXT_YEAR")))
    receipt = google.submit(rows=3)

    assert (OutcomeClass.FIX_DATA, "A_REASON_OF_NEXT_YEAR", (1,)) == (*_what(receipt), receipt.rows)


@pytest.mark.parametrize(
    ("paths", "of_target"),
    [
        (["destinations[0].product_destination_id"], True),
        (["destinations[0].productDestinationId"], True),
        (["destinations[0].operating_account.account_id"], False),
        (["destinations[0].product_destination_id", "destinations[0].login_account"], False),
        (["encoding"], False),
        (["consent.ad_user_data"], False),
    ],
)
@pytest.mark.parametrize("reason", ["INVALID_FORMAT", "REQUIRED_FIELD_MISSING", "INVALID_ARGUMENT", None])
def test_error_outside_the_events_is_a_configuration_error(google, paths, *, of_target, reason):
    """Neither fixing nor removing rows helps; only the action stops if only it is blamed."""
    google.refuse(400, "INVALID_ARGUMENT", google.violations(*((path, reason) for path in paths)))
    receipt = google.submit(rows=3)

    assert (OutcomeClass.FIX_CONFIG, reason or "INVALID_ARGUMENT", ()) == (*_what(receipt), receipt.rows)
    assert of_target is receipt.outcome.of_target


@pytest.mark.parametrize("paths", [["events.events.consent"], ["destinations[0]", "events.events.consent"]])
def test_error_among_events_without_a_row_is_a_data_error(google, paths):
    """Bisecting the batch finds the row."""
    google.refuse(400, "INVALID_ARGUMENT", google.violations(*((path, "INVALID_FORMAT") for path in paths)))
    receipt = google.submit(rows=3)

    assert (OutcomeClass.FIX_DATA, "INVALID_FORMAT", ()) == (*_what(receipt), receipt.rows)


def test_submit_makes_one_call_even_when_refused(google):
    """Neither the library nor the sink retries: the caller decides when."""
    google.refuse(503, "UNAVAILABLE")
    google.submit()

    assert 1 == len(google.api.calls)


def test_retry_delay_comes_from_retry_info(google):
    """The platform's own delay applies."""
    google.refuse(429, "RESOURCE_EXHAUSTED", google.retry_info("12.5s"), reason="RESOURCE_EXHAUSTED")

    assert timedelta(seconds=12.5) == google.submit().outcome.retry_after


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "30"},
        {"Retry-After": "Sun, 01 Nov 2026 10:00:30 GMT", "Date": "Sun, 01 Nov 2026 10:00:00 GMT"},
    ],
)
def test_retry_delay_may_come_from_a_header(google, headers):
    """`Retry-After` holds seconds, or a date relative to the answer's own clock."""
    google.refuse(429, "RESOURCE_EXHAUSTED", headers=headers)

    assert timedelta(seconds=30) == google.submit().outcome.retry_after


def test_lost_answer_keeps_its_retry_delay(google):
    """A failing server may request a pause."""
    google.refuse(503, "UNAVAILABLE", headers={"Retry-After": "30"})

    assert AnswerLost("HTTP 503 UNAVAILABLE", timedelta(seconds=30)) == google.submit()


def test_too_recent_conversion_action_is_deferred_six_hours(google):
    """A shorter delay in the answer does not reduce it."""
    google.refuse(400, "FAILED_PRECONDITION", google.retry_info("1s"), reason="CONVERSION_ACTION_TOO_RECENTLY_CREATED")
    outcome = google.submit().outcome

    assert (OutcomeClass.DEFER, timedelta(hours=6)) == (outcome.kind, outcome.retry_after)


def test_outcome_does_not_repeat_the_platforms_messages(google):
    """They may quote the data we sent: only codes, paths and ids are kept."""
    blamed = google.violations(("events[0].user_data", "INVALID_FORMAT"), ("jean@example.fr", "INVALID_FORMAT"))
    google.refuse(400, "INVALID_ARGUMENT", blamed, google.request_info("trace-9"))
    receipt = google.submit()

    with using_language(Language.FRENCH):
        french = google.submit().outcome.message

    assert "HTTP 400 INVALID_ARGUMENT, events[0].user_data, request trace-9" == receipt.outcome.message
    assert "HTTP 400 INVALID_ARGUMENT, events[0].user_data, requête trace-9" == french
    assert "jean" not in repr(receipt)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<html>502 Bad Gateway</html>", 502),
        (b"", 503),
        (b"<html>Not found</html>", 404),
        (b'{"error": "invalid"}', 400),
        (b'"no"', 500),
        (b'{"error": {"code": 500}}', 500),
        (b"<html>welcome to this hotel</html>", 200),
        (b"", 200),
        (b"{}", 200),
        (b"[]", 200),
        (b"\xff\xfe", 200),
        (b'{"requestId": 7}', 200),
        (b'{"requestId": "req', 200),
    ],
)
def test_answer_without_an_api_error_or_request_id_is_lost(google, body, status):
    """Nothing else proves whether the events were accepted."""
    google.api.say_bytes(body, status)

    assert isinstance(google.submit(), AnswerLost)


def test_does_not_follow_a_redirect(google):
    """Events go only to the configured address."""
    google.api.say_bytes(b"", 307, {"Location": f"{google.tokens.url}/elsewhere"})

    assert isinstance(google.submit(), AnswerLost)
    assert ["/token"] == [call.path for call in google.tokens.calls]


def test_cut_connection_is_lost(google):
    """The request went out, and its outcome is unknown."""
    google.api.shut_down_socket()

    assert isinstance(google.submit(), AnswerLost)
    assert 1 == len(google.api.calls)


def test_truncated_body_is_lost(google):
    """Half an answer proves nothing."""
    google.api.say_bytes(b'{"requestId"', 200, {"Content-Length": "500"})

    assert isinstance(google.submit(), AnswerLost)


def test_no_answer_is_lost_after_the_timeout(google):
    """Every wait is bounded."""
    google.use(timeout=0.2)
    google.api.stay_silent()

    assert AnswerLost("ReadTimeout") == google.submit()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_slow_trickling_answer_is_lost(google, framing):
    """Each part arrives in time but the whole never does, and the wait is still bounded."""
    google.use(timeout=0.2)
    google.api.drip(chunked=framing == "chunked")
    started = time.monotonic()

    assert AnswerLost("ReadTimeout") == google.submit()
    assert 4 > time.monotonic() - started


def test_reads_a_compressed_answer(google):
    """Google compresses answers where it can."""
    google.api.say_bytes(gzip.compress(b'{"requestId": "req-1"}'), 200, {"Content-Encoding": "gzip"})

    assert ReceivedForProcessing("req-1") == google.submit()


def test_refused_connection_is_not_sent(google):
    """Nothing listens at the address, which the receipt states."""
    address = f"http://127.0.0.1:{_free_port()}"
    google.use(data_manager_endpoint=address)

    assert RequestNotSent("no connection: ConnectionError", address) == google.submit()


def test_server_without_tls_is_not_sent(google):
    """TLS fails before the request."""
    google.use(data_manager_endpoint=google.api.url.replace("http:", "https:"))
    receipt = google.submit()

    assert RequestNotSent("no connection: SSLError") == receipt
    assert [] == google.api.calls


def test_401_for_a_cached_token_causes_a_new_token(google):
    """The first outcome is RETRY: Google revoked the token early, and nothing is wrong with the account."""
    google.submit()
    google.refuse(401, "UNAUTHENTICATED")
    receipt = google.submit()
    google.api.say({"requestId": "req-2"})

    assert (OutcomeClass.RETRY, "UNAUTHENTICATED") == _what(receipt)
    assert ReceivedForProcessing("req-2") == google.submit()
    assert (3, 2) == (len(google.api.calls), len(google.tokens.calls))


def test_401_for_a_new_token_is_a_configuration_error(google):
    """Another token would not help."""
    google.refuse(401, "UNAUTHENTICATED")

    assert (OutcomeClass.FIX_CONFIG, "UNAUTHENTICATED") == _what(google.submit())
    assert 1 == len(google.api.calls)


@pytest.mark.parametrize("body", ['{"error": "invalid_token"}', '{"error": null}', "[]", "<html>", ""])
def test_401_with_any_body_refuses_the_token(google, body):
    """A gateway may answer in a format of its own, which the library cannot parse."""
    google.api.say_bytes(body.encode(), 401)

    assert (OutcomeClass.FIX_CONFIG, "UNAUTHENTICATED") == _what(google.submit())


def test_refused_service_account_sends_nothing(google):
    """The token server's reason is reported without its wording."""
    google.tokens.say({"error": "invalid_grant", "error_description": "sync@invented is gone"}, 400)
    receipt = google.submit()

    assert (OutcomeClass.FIX_CONFIG, "invalid_grant") == _what(receipt)
    assert [] == google.api.calls
    assert "sync@invented" not in repr(receipt)
    assert "gone" not in repr(receipt)


def test_token_refusal_without_an_oauth_reason_is_a_configuration_error(google):
    """It stops the destination all the same."""
    google.tokens.say_bytes(b"<html>forbidden</html>", 403)

    assert (OutcomeClass.FIX_CONFIG, "token_refused") == _what(google.submit())


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{}", 503),
        (b"slow down", 429),
        (b"<html>portal</html>", 200),
        (b'{"access_token": "t", "expires_in": "x"}', 200),
    ],
)
def test_unusable_token_answer_is_not_sent_and_not_retried(google, body, status):
    """The server may recover later; google-auth's own retries are off."""
    google.tokens.say_bytes(body, status)
    receipt = google.submit()

    assert isinstance(receipt, RequestNotSent)
    assert (1, []) == (len(google.tokens.calls), google.api.calls)


def test_unreachable_token_server_sends_nothing(google):
    """No upload goes out without a token."""
    google.use(key_file=google.key_file(f"http://127.0.0.1:{_free_port()}/token"))

    assert RequestNotSent("the token server could not be reached") == google.submit()
    assert [] == google.api.calls


def test_silent_token_server_is_not_sent_after_the_timeout(google):
    """This wait is bounded as well."""
    google.use(timeout=0.2)
    google.tokens.stay_silent()

    assert RequestNotSent("the token server could not be reached") == google.submit()


def test_ignores_environment_proxies_for_loopback_addresses(google, monkeypatch):
    """A rehearsal never leaves the machine."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{_free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    assert ReceivedForProcessing("req-1") == google.submit()


def test_logs_no_event_data_or_token(google, caplog):
    """The vendor's libraries log whole requests at DEBUG unless prevented."""
    caplog.set_level(logging.DEBUG)
    for name in ("google", "google.auth.transport.requests"):
        logging.getLogger(name).addHandler(caplog.handler)
    google.submit()
    for name in ("google", "google.auth.transport.requests"):
        logging.getLogger(name).removeHandler(caplog.handler)
    logged = "".join(f"{record.__dict__}" for record in caplog.records)

    assert "Invented_Click" not in logged
    assert "ya29" not in logged


@pytest.mark.parametrize(
    "body",
    [
        b'{"notAField": 1}',
        b'{"eventSource": "NOT_A_SOURCE"}',
        b'{"eventTimestamp": 5}',
        b"not JSON",
        b"\xff",
        b"null",
        b"7",
        b'"text"',
    ],
)
def test_never_sends_bytes_it_cannot_decode(google, body):
    """A frozen event that a newer library rejects is a bug to report, not a reason to end the night."""
    receipt = google.sink.submit(google.target, [EncodedEvent(DeliveryKey("k"), body)])

    assert (OutcomeClass.BUG, "EVENT_CANNOT_BE_READ") == _what(receipt)
    assert ([], []) == (google.tokens.calls, google.api.calls)


def _what(receipt: Refused) -> tuple[OutcomeClass, str]:
    return receipt.outcome.kind, receipt.outcome.code


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_validation_yields_an_answer_without_a_ticket(google):
    """Its response is empty, so there is nothing to resolve later."""
    google.use(validate_only=True)
    google.api.say({})

    assert RowOutcomes((Outcome(OutcomeClass.DONE, "VALIDATED"),) * 2) == google.submit(rows=2)
    assert json.loads(google.api.calls[0].body)["validateOnly"] is True


def test_validation_is_refused_like_a_real_request(google):
    """Finding such errors is its purpose."""
    google.use(validate_only=True)
    google.refuse(400, "INVALID_ARGUMENT", google.violations(("events[1]", "INVALID_FORMAT")))
    receipt = google.submit(rows=2)

    assert (OutcomeClass.FIX_DATA, "INVALID_FORMAT", (1,)) == (*_what(receipt), receipt.rows)


def test_empty_answer_to_a_real_request_is_lost(google):
    """Only a validation is answered without a request id."""
    google.api.say({})

    assert AnswerLost("an answer without a request id") == google.submit()


@pytest.mark.parametrize("ticket", ["req\x1b]0;owned\x07", "req\u202e", "r" * 201, "req 1"])
def test_unusable_request_id_is_lost(google, ticket):
    """A replay of the same bytes settles an accepted request, and counts once."""
    google.api.say({"requestId": ticket})

    assert AnswerLost("an answer whose request id is none") == google.submit()
