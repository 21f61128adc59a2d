"""`submit` over real sockets: every kind of answer and the one receipt it makes."""

import gzip
import json
import logging
import socket
import time
from datetime import timedelta

import pytest

from connectors.records import (
    Answered,
    DeliveryKey,
    EncodedEvent,
    Lost,
    NotSent,
    Outcome,
    OutcomeClass,
    Received,
    Refused,
    Target,
)


def test_a_request_is_one_destination_and_the_frozen_events(google):
    """The wire carries the destination once, the events as frozen, and says how hashes are encoded."""
    receipt = google.submit(rows=2)

    assert Received("req-1") == receipt

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


def test_the_target_names_the_account_and_no_manager_is_sent_where_none_is_set(google):
    """A delivery goes where it was first meant to go, whatever customer is configured today."""
    google.use(login_customer_id=None)
    event = google.event()
    batch = [EncodedEvent(event.key, google.sink.encode(event))]
    google.sink.submit(Target("data_manager", "5550001111", "42", "WEB"), batch)
    destination = {
        "operatingAccount": {"accountId": "5550001111", "accountType": 1},
        "productDestinationId": "42",
    }

    assert [destination] == json.loads(google.api.calls[0].body)["destinations"]


def test_a_token_is_asked_for_with_the_api_scope_and_kept(google):
    """One token serves two calls."""
    google.submit()
    google.submit()

    assert 1 == len(google.tokens.calls)
    assert "https://www.googleapis.com/auth/datamanager" == google.claims()["scope"]
    assert "sync@invented.iam.gserviceaccount.com" == google.claims()["iss"]


def test_warnings_come_back_by_reason_only(google):
    """Field warnings quote values; only their reasons are kept, known to the library or not."""
    warning = {"reason": 6, "description": "jean@example.fr", "field": "events[0]"}
    google.api.say({"requestId": "req-1", "fieldWarnings": [warning, warning, {**warning, "reason": 99}]})
    expected = Received("req-1", ("WARNING_REASON_GENERIC", "WarningReason_99"))

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
def test_a_blamed_row_is_found_in_any_style_of_path(google, path):
    """How a path names a row is not documented, so every likely way is read."""
    google.refuse(400, "INVALID_ARGUMENT", google.violations((path, "INVALID_SHA256_FORMAT")))
    outcome = Outcome(OutcomeClass.FIX_DATA, "INVALID_SHA256_FORMAT", f"HTTP 400 INVALID_ARGUMENT, {path}")

    assert Refused(outcome, rows=(3,)) == google.submit(rows=5)


def test_only_rows_that_share_the_code_are_blamed(google):
    """A refusal has one outcome, so a row refused for something else waits for its own."""
    blamed = google.violations(
        ("events[4]", "INVALID_FORMAT"),
        ("events[1]", "INVALID_FORMAT"),
        ("events[2]", "INVALID_CURRENCY_CODE"),
    )
    google.refuse(400, "INVALID_ARGUMENT", blamed, reason="INVALID_ARGUMENT")
    receipt = google.submit(rows=5)

    assert (OutcomeClass.FIX_DATA, "INVALID_FORMAT", (1, 4)) == (*_what(receipt), receipt.rows)


def test_a_row_that_was_not_sent_is_not_blamed(google):
    """An index beyond the request is no index of ours."""
    google.refuse(400, "INVALID_ARGUMENT", google.violations(("events[7]", "INVALID_FORMAT")))

    assert () == google.submit(rows=5).rows


def test_a_row_blamed_without_a_reason_is_its_own_fault(google):
    """The generic reason beside a row says that the row is bad, though not why."""
    google.refuse(400, "INVALID_ARGUMENT", google.violations(("events[0]", None)), reason="INVALID_ARGUMENT")
    receipt = google.submit(rows=2)

    assert (OutcomeClass.FIX_DATA, "INVALID_ARGUMENT", (0,)) == (*_what(receipt), receipt.rows)


def test_a_fault_of_the_destination_outweighs_the_rows(google):
    """Where the configuration is at fault too, mending rows would not help."""
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
def test_a_refusal_of_the_whole_request_has_the_class_of_its_reason(google, http, status, reason, kind):
    """The reason decides, or the status where the reason is nobody's we know."""
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
        # a status of failing servers with a number of something else
        (400, "INTERNAL", None),
        (400, "INVALID_ARGUMENT", "INTERNAL_ERROR"),
        (400, "INVALID_ARGUMENT", "DEADLINE_EXCEEDED"),
    ],
)
def test_a_failing_server_says_nothing_whatever_error_it_words(google, http, status, reason):
    """It may have taken every event before it failed: neither a refusal, nor a setting to mend."""
    google.refuse(http, status, google.violations(("events[0]", reason)), reason=reason)
    receipt = google.submit(rows=2)

    assert isinstance(receipt, Lost)
    assert f"HTTP {http}" in receipt.reason


@pytest.mark.parametrize("reason", [None, "INVALID_ARGUMENT", "ERROR_REASON_UNSPECIFIED"])
def test_a_bad_argument_nobody_names_is_some_rows(google, reason):
    """Nothing of a refused request is processed: smaller batches find the row, and none stays in doubt."""
    google.refuse(400, "INVALID_ARGUMENT", reason=reason)
    receipt = google.submit(rows=3)

    assert (OutcomeClass.FIX_DATA, reason or "INVALID_ARGUMENT", ()) == (*_what(receipt), receipt.rows)


def test_a_reason_of_next_year_beside_a_row_is_the_rows(google):
    """What we cannot read is at least about that row."""
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
def test_a_fault_beside_the_events_is_the_configurations(google, paths, *, of_target, reason):
    """Neither mending rows nor sending fewer would help; the action alone stops where only it is meant."""
    google.refuse(400, "INVALID_ARGUMENT", google.violations(*((path, reason) for path in paths)))
    receipt = google.submit(rows=3)

    assert (OutcomeClass.FIX_CONFIG, reason or "INVALID_ARGUMENT", ()) == (*_what(receipt), receipt.rows)
    assert of_target is receipt.outcome.of_target


@pytest.mark.parametrize("paths", [["events.events.consent"], ["destinations[0]", "events.events.consent"]])
def test_a_fault_among_the_events_that_names_no_row_is_the_datas(google, paths):
    """Which row it is, smaller batches find out."""
    google.refuse(400, "INVALID_ARGUMENT", google.violations(*((path, "INVALID_FORMAT") for path in paths)))
    receipt = google.submit(rows=3)

    assert (OutcomeClass.FIX_DATA, "INVALID_FORMAT", ()) == (*_what(receipt), receipt.rows)


def test_a_refusal_is_one_call(google):
    """Neither the library nor we ask again: the caller decides when."""
    google.refuse(503, "UNAVAILABLE")
    google.submit()

    assert 1 == len(google.api.calls)


def test_the_delay_is_the_platforms_own(google):
    """RetryInfo says how long."""
    google.refuse(429, "RESOURCE_EXHAUSTED", google.retry_info("12.5s"), reason="RESOURCE_EXHAUSTED")

    assert timedelta(seconds=12.5) == google.submit().outcome.retry_after


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "30"},
        {"Retry-After": "Sun, 01 Nov 2026 10:00:30 GMT", "Date": "Sun, 01 Nov 2026 10:00:00 GMT"},
    ],
)
def test_the_delay_may_stand_in_a_header(google, headers):
    """Retry-After in seconds or as a date, read against the answer's own clock."""
    google.refuse(429, "RESOURCE_EXHAUSTED", headers=headers)

    assert timedelta(seconds=30) == google.submit().outcome.retry_after


def test_a_lost_answer_keeps_the_delay_it_names(google):
    """A server in trouble that says when to come back is left alone until then."""
    google.refuse(503, "UNAVAILABLE", headers={"Retry-After": "30"})

    assert Lost("HTTP 503 UNAVAILABLE", timedelta(seconds=30)) == google.submit()


def test_an_action_too_young_is_left_alone_for_six_hours(google):
    """A shorter delay of the answer does not shorten it."""
    google.refuse(400, "FAILED_PRECONDITION", google.retry_info("1s"), reason="CONVERSION_ACTION_TOO_RECENTLY_CREATED")
    outcome = google.submit().outcome

    assert (OutcomeClass.DEFER, timedelta(hours=6)) == (outcome.kind, outcome.retry_after)


def test_nothing_of_the_platforms_sentences_is_repeated(google):
    """They may quote what we sent: only codes, paths and ids are kept."""
    blamed = google.violations(("events[0].user_data", "INVALID_FORMAT"), ("jean@example.fr", "INVALID_FORMAT"))
    google.refuse(400, "INVALID_ARGUMENT", blamed, google.request_info("trace-9"))
    receipt = google.submit()

    assert "HTTP 400 INVALID_ARGUMENT, events[0].user_data, request trace-9" == receipt.outcome.message
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
def test_an_answer_that_is_not_the_apis_own_is_lost(google, body, status):
    """Without an error of the API's, or a request id, nobody knows whether the events were taken."""
    google.api.say_bytes(body, status)

    assert isinstance(google.submit(), Lost)


def test_a_redirect_is_not_followed(google):
    """Events go to the configured address and no other."""
    google.api.say_bytes(b"", 307, {"Location": f"{google.tokens.url}/elsewhere"})

    assert isinstance(google.submit(), Lost)
    assert ["/token"] == [call.path for call in google.tokens.calls]


def test_a_cut_connection_is_lost(google):
    """The request went out; what became of it is not known."""
    google.api.shut_down_socket()

    assert isinstance(google.submit(), Lost)
    assert 1 == len(google.api.calls)


def test_a_body_cut_short_is_lost(google):
    """Half an answer is none."""
    google.api.say_bytes(b'{"requestId"', 200, {"Content-Length": "500"})

    assert isinstance(google.submit(), Lost)


def test_silence_is_lost_after_the_timeout(google):
    """Every wait is bounded."""
    google.use(timeout=0.2)
    google.api.stay_silent()

    assert Lost("ReadTimeout") == google.submit()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_an_answer_that_drips_is_lost(google, framing):
    """Each part comes in time and the whole never does: the wait is bounded all the same."""
    google.use(timeout=0.2)
    google.api.drip(chunked=framing == "chunked")
    started = time.monotonic()

    assert Lost("ReadTimeout") == google.submit()
    assert 4 > time.monotonic() - started


def test_a_compressed_answer_is_read(google):
    """Google compresses what it can."""
    google.api.say_bytes(gzip.compress(b'{"requestId": "req-1"}'), 200, {"Content-Encoding": "gzip"})

    assert Received("req-1") == google.submit()


def test_a_refused_connection_sent_nothing(google):
    """Nobody listens there."""
    address = f"http://127.0.0.1:{_free_port()}"
    google.use(data_manager_endpoint=address)

    assert NotSent("no connection: ConnectionError", address) == google.submit()


def test_a_server_without_tls_is_sent_nothing(google):
    """TLS fails before the request."""
    google.use(data_manager_endpoint=google.api.url.replace("http:", "https:"))
    receipt = google.submit()

    assert NotSent("no connection: SSLError") == receipt
    assert [] == google.api.calls


def test_a_401_to_a_kept_token_is_retried_with_a_new_one(google):
    """Google took the token back early; nothing is wrong with the account."""
    google.submit()
    google.refuse(401, "UNAUTHENTICATED")
    receipt = google.submit()
    google.api.say({"requestId": "req-2"})

    assert (OutcomeClass.RETRY, "UNAUTHENTICATED") == _what(receipt)
    assert Received("req-2") == google.submit()
    assert (3, 2) == (len(google.api.calls), len(google.tokens.calls))


def test_a_401_to_a_new_token_is_the_configurations_fault(google):
    """A new token would not help."""
    google.refuse(401, "UNAUTHENTICATED")

    assert (OutcomeClass.FIX_CONFIG, "UNAUTHENTICATED") == _what(google.submit())
    assert 1 == len(google.api.calls)


def test_a_refused_account_sends_nothing(google):
    """The token server's own reason is reported, its words are not."""
    google.tokens.say({"error": "invalid_grant", "error_description": "sync@invented is gone"}, 400)
    receipt = google.submit()

    assert (OutcomeClass.FIX_CONFIG, "invalid_grant") == _what(receipt)
    assert [] == google.api.calls
    assert "deleted" not in repr(receipt)


def test_an_odd_refusal_of_the_account_is_still_one(google):
    """A refusal without an OAuth reason stops the destination all the same."""
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
def test_a_token_server_that_does_not_answer_as_one_is_asked_once_and_nothing_sent(google, body, status):
    """Later it may answer; google-auth's own retries are off."""
    google.tokens.say_bytes(body, status)
    receipt = google.submit()

    assert isinstance(receipt, NotSent)
    assert (1, []) == (len(google.tokens.calls), google.api.calls)


def test_a_token_server_that_cannot_be_reached_sends_nothing(google):
    """No token, no call."""
    google.use(key_file=google.key_file(f"http://127.0.0.1:{_free_port()}/token"))

    assert NotSent("the token server could not be reached") == google.submit()
    assert [] == google.api.calls


def test_a_silent_token_server_is_left_after_the_timeout(google):
    """That wait is bounded as well."""
    google.use(timeout=0.2)
    google.tokens.stay_silent()

    assert NotSent("the token server could not be reached") == google.submit()


def test_a_proxy_of_the_environment_is_not_used_towards_this_machine(google, monkeypatch):
    """A rehearsal never leaves the machine."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{_free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    assert Received("req-1") == google.submit()


def test_nobody_logs_what_is_sent(google, caplog):
    """The vendor's libraries log whole requests at DEBUG; they are kept from it."""
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
def test_bytes_that_are_no_event_are_never_sent(google, body):
    """A frozen event that a newer library does not take is a bug to tell of, not a night that ends."""
    receipt = google.sink.submit(google.target, [EncodedEvent(DeliveryKey("k"), body)])

    assert (OutcomeClass.BUG, "EVENT_CANNOT_BE_READ") == _what(receipt)
    assert ([], []) == (google.tokens.calls, google.api.calls)


def _what(receipt: Refused) -> tuple[OutcomeClass, str]:
    return receipt.outcome.kind, receipt.outcome.code


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_a_validation_takes_nothing_in(google):
    """Its answer is empty, and so there is nothing to ask about later."""
    google.use(validate_only=True)
    google.api.say({})

    assert Answered((Outcome(OutcomeClass.DONE, "VALIDATED"),) * 2) == google.submit(rows=2)
    assert json.loads(google.api.calls[0].body)["validateOnly"] is True


def test_a_validation_is_refused_like_a_request(google):
    """It is what it is for."""
    google.use(validate_only=True)
    google.refuse(400, "INVALID_ARGUMENT", google.violations(("events[1]", "INVALID_FORMAT")))
    receipt = google.submit(rows=2)

    assert (OutcomeClass.FIX_DATA, "INVALID_FORMAT", (1,)) == (*_what(receipt), receipt.rows)


def test_an_empty_answer_to_a_real_request_is_lost(google):
    """Only a validation is answered without an id."""
    google.api.say({})

    assert Lost("an answer without a request id") == google.submit()


@pytest.mark.parametrize("ticket", ["req\x1b]0;owned\x07", "req\u202e", "r" * 201, "req 1"])
def test_an_id_that_cannot_be_shown_or_asked_by_is_none(google, ticket):
    """What was taken in is asked again by the same bytes, which counts once."""
    google.api.say({"requestId": ticket})

    assert Lost("an answer whose request id is none") == google.submit()
