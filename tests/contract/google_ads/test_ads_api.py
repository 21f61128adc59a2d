"""How the sink interprets the answers of the Google Ads API, on a loopback server."""

import logging
import socket
import time
from datetime import timedelta

import grpc
import pytest
from google.ads.googleads.v26.services.types import ClickConversion
from google.protobuf import any_pb2
from google.rpc import status_pb2

from connectors.errors import Misconfigured
from connectors.google_ads.platform import DONE, VALIDATED
from connectors.records import (
    AnswerLost,
    EncodedEvent,
    Outcome,
    OutcomeClass,
    Refused,
    RequestNotSent,
    RowOutcomes,
)
from tests.contract.google_ads.ads_api_server import FAILURE_KEY, error, upload_error

NOT_ALLOWLISTED = (
    "this Cloud project may not upload by the Google Ads API: write transport: data_manager, request req-1"
)
EXPIRED = Outcome(OutcomeClass.EXPIRED, "EXPIRED_EVENT")
NO_CLICK = Outcome(OutcomeClass.DROP_EXPECTED, "CLICK_NOT_FOUND")
ALREADY = Outcome(OutcomeClass.DUPLICATE, "ORDER_ID_ALREADY_IN_USE")


# ── the request ──────────────────────────────────────────────────────────────────────────────────


def test_request_goes_to_the_action_owner_in_partial_failure_mode(ads):
    """The manager's id and the token are in its headers."""
    ads.submit(rows=2)
    (call,) = ads.api.calls

    assert ("1234567890", True, False) == (
        call.request.customer_id,
        call.request.partial_failure,
        call.request.validate_only,
    )
    assert ["key-0", "key-1"] == [each.order_id for each in call.request.conversions]
    assert ("1112223333", "Bearer ya29.invented") == (call.headers["login-customer-id"], call.headers["authorization"])


def test_sends_exactly_the_frozen_bytes(ads):
    """A replay is byte-identical to the first attempt."""
    ads.submit()
    sent = ClickConversion.pb(ads.api.calls[0].request.conversions[0]).SerializeToString(deterministic=True)

    assert ads.sink.encode(ads.event()) == sent


@pytest.mark.parametrize("body", [b"\xff\xff", b'{"transactionId":"key-0"}', b""])
def test_does_not_send_bytes_frozen_for_another_api(ads, body):
    """A ledger may hold events frozen for the other transport."""
    receipt = ads.sink.submit(ads.target, [EncodedEvent(ads.event().key, body)])

    assert (OutcomeClass.BUG, "EVENT_CANNOT_BE_READ") == (receipt.outcome.kind, receipt.outcome.code)
    assert [] == ads.api.calls


# ── answers ──────────────────────────────────────────────────────────────────────────────────────


def test_rows_without_an_error_are_done(ads):
    """Both rows of a request without errors succeed."""
    assert RowOutcomes((DONE, DONE)) == ads.submit(rows=2)


@pytest.mark.parametrize("echo", [False, True])
def test_each_row_has_its_own_outcome(ads, echo):
    """Five rows of one click fail for different reasons; results that echo refused rows change nothing."""
    ads.api.refuse_rows(
        upload_error(43, row=1), upload_error(15, row=3), upload_error(33, row=4), upload_error(25, row=0), echo=echo
    )
    twice = Outcome(OutcomeClass.FIX_DATA, "DUPLICATE_CLICK_CONVERSION_IN_REQUEST")

    assert RowOutcomes((twice, EXPIRED, DONE, ALREADY, NO_CLICK)) == ads.submit(rows=5)


def test_distinguishes_rows_of_one_click_by_their_index(ads):
    """The results name only the click, which both rows share."""
    ads.api.refuse_rows(upload_error(43, row=1), echo=True)

    assert RowOutcomes((DONE, EXPIRED)) == ads.submit(rows=2)


def test_row_with_several_errors_gets_the_most_severe(ads):
    """The order of the errors does not matter."""
    ads.api.refuse_rows(upload_error(33, row=0), upload_error(33, row=1), upload_error(43, row=0))

    assert RowOutcomes((EXPIRED, NO_CLICK)) == ads.submit(rows=2)


def test_reads_the_row_index_only_from_the_conversions_element(ads):
    """Other path elements lack an index, which protobuf then reads as 0."""
    ads.api.refuse_rows(error("date_error", 12, row=1, path=["conversion_date_time"]))
    bad_date = Outcome(OutcomeClass.FIX_DATA, "INVALID_STRING_DATE_TIME_SECONDS_WITH_OFFSET")

    assert RowOutcomes((DONE, bad_date)) == ads.submit(rows=2)


@pytest.mark.parametrize(
    "nameless", [upload_error(53), upload_error(53, row=7), error("conversion_upload_error", 53, path=["conversions"])]
)
def test_error_without_a_row_refuses_the_whole_request(ads, nameless):
    """Nothing was processed, even if other errors name rows."""
    ads.api.refuse_rows(upload_error(43, row=0), nameless)
    receipt = ads.submit(rows=2)

    assert ("NO_CONVERSION_ACTION_FOUND", OutcomeClass.FIX_CONFIG, True, ()) == (
        receipt.outcome.code,
        receipt.outcome.kind,
        receipt.outcome.of_target,
        receipt.rows,
    )


def test_error_code_unknown_to_the_library_is_unknown(ads):
    """It keeps its number, and is neither success nor refusal."""
    ads.api.refuse_rows(upload_error(1234, row=0))

    assert RowOutcomes((Outcome(OutcomeClass.UNKNOWN, "CONVERSION_UPLOAD_ERROR_1234"), DONE)) == ads.submit(rows=2)


@pytest.mark.parametrize(
    "status",
    [
        status_pb2.Status(code=3, message="no details"),
        status_pb2.Status(code=3, details=[any_pb2.Any(type_url="x/y.GoogleAdsFailure", value=b"\xff")]),
        status_pb2.Status(code=3, details=[any_pb2.Any(type_url="x/y.GoogleAdsFailure", value=b"")]),
    ],
)
def test_unreadable_partial_failure_is_lost(ads, status):
    """Some row was refused, and nothing shows which."""
    ads.api.partly_fail(status)

    assert AnswerLost("a partial failure that cannot be read") == ads.submit(rows=2)


def test_answer_without_results_is_lost(ads):
    """Any server may return an empty message."""
    ads.api.say_nothing_of_rows()

    assert AnswerLost("an answer without a result for each row") == ads.submit()


def test_validation_reports_valid_and_rejected_rows(ads):
    """Its results are always empty, so only errors carry information."""
    ads.use(validate_only=True)
    ads.api.refuse_rows(upload_error(43, row=1))

    assert RowOutcomes((VALIDATED, EXPIRED)) == ads.submit(rows=2)
    assert ads.api.calls[0].request.validate_only


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────


def test_project_not_allowlisted_is_advised_to_switch_transport(ads):
    """No access rights can fix this refusal."""
    ads.api.fail(grpc.StatusCode.PERMISSION_DENIED, error("not_allowlisted_error", 2))
    refused = Outcome(OutcomeClass.FIX_CONFIG, "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE", NOT_ALLOWLISTED)

    assert Refused(refused) == ads.submit()


def test_refusal_blames_only_the_rows_that_share_its_code(ads):
    """The others may be resent without them."""
    invalid = [error("field_error", 4, row=row) for row in (0, 2)]
    ads.api.fail(grpc.StatusCode.INVALID_ARGUMENT, upload_error(33, row=1), *invalid)
    receipt = ads.submit(rows=3)

    assert ("INVALID_VALUE", OutcomeClass.FIX_DATA, (0, 2)) == (
        receipt.outcome.code,
        receipt.outcome.kind,
        receipt.rows,
    )


@pytest.mark.parametrize("delay", [timedelta(seconds=30, milliseconds=500), None])
def test_quota_error_carries_its_retry_delay(ads, delay):
    """The library leaves the delay in the trailing metadata."""
    ads.api.fail(grpc.StatusCode.RESOURCE_EXHAUSTED, error("quota_error", 4, delay=delay))

    assert (
        Refused(Outcome(OutcomeClass.RETRY, "RESOURCE_TEMPORARILY_EXHAUSTED", "request req-1", delay)) == ads.submit()
    )


@pytest.mark.parametrize(
    ("status", "number", "reason"),
    [
        (grpc.StatusCode.INTERNAL, 2, "INTERNAL_ERROR"),
        (grpc.StatusCode.UNAVAILABLE, 4, "TRANSIENT_ERROR"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 5, "DEADLINE_EXCEEDED"),
    ],
)
def test_internal_google_error_is_a_lost_answer(ads, status, number, reason):
    """The upload may have been recorded, so only a replay settles it, however the library raises the error."""
    ads.api.fail(status, error("internal_error", number))

    assert AnswerLost(reason) == ads.submit()


@pytest.mark.parametrize(
    "status",
    [
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    ],
)
@pytest.mark.parametrize(("family", "number"), [("quota_error", 4), ("authorization_error", 2), ("database_error", 3)])
def test_server_failure_is_lost_whatever_error_it_reports(ads, status, family, number):
    """It may have recorded everything before it failed: this is neither a refusal nor a misconfiguration."""
    ads.api.fail(status, error(family, number))

    assert isinstance(ads.submit(), AnswerLost)


def test_outcome_does_not_repeat_vendor_messages(ads):
    """They may quote the data we sent."""
    ads.api.fail(grpc.StatusCode.INVALID_ARGUMENT, error("field_error", 4, row=0), request_id="jean@example.fr")
    refused = ads.submit()
    ads.api.refuse_rows(upload_error(3, row=0))

    assert "jean" not in repr((refused, ads.submit()))


@pytest.mark.parametrize("status", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNIMPLEMENTED])
def test_refusal_in_front_of_the_api_is_a_configuration_error(ads, status):
    """The project lacks the API or the server has another version; the API has seen nothing."""
    ads.api.fail(status)
    outcome = ads.submit().outcome

    assert (OutcomeClass.FIX_CONFIG, status.name) == (outcome.kind, outcome.code)


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────


def test_requests_a_token_with_the_api_scope_and_caches_it(ads):
    """One token serves two calls."""
    ads.submit()
    ads.submit()

    assert ("https://www.googleapis.com/auth/adwords", 1) == (ads.claims()["scope"], len(ads.tokens.calls))


@pytest.mark.parametrize("errors", [[], [error("authentication_error", 16)]])
def test_refused_token_is_replaced_once(ads, errors):
    """A cached token may have expired; if a new one is refused, the configuration is wrong."""
    ads.submit()
    ads.api.fail(grpc.StatusCode.UNAUTHENTICATED, *errors)
    kinds = [ads.submit().outcome.kind for _ in range(2)]

    assert ([OutcomeClass.RETRY, OutcomeClass.FIX_CONFIG], 2) == (kinds, len(ads.tokens.calls))


def test_refused_key_file_sends_nothing(ads):
    """The token server's reason becomes the code."""
    ads.tokens.say({"error": "invalid_grant", "error_description": "jean@example.fr"}, 400)
    outcome = ads.submit().outcome

    assert (OutcomeClass.FIX_CONFIG, "invalid_grant") == (outcome.kind, outcome.code)
    assert [] == ads.api.calls


def test_unavailable_token_server_sends_nothing(ads):
    """The token is requested once; the caller may retry immediately."""
    ads.tokens.say("", 503)

    assert RequestNotSent("the token server could not be reached") == ads.submit()
    assert ([], 1) == (ads.api.calls, len(ads.tokens.calls))


# ── connections ──────────────────────────────────────────────────────────────────────────────────


def test_closed_port_is_not_sent_and_fails_fast(ads):
    """The client does not wait for the whole timeout."""
    ads.api.close()
    begun = time.monotonic()

    assert RequestNotSent("no connection to the Google Ads API", ads.api.url) == ads.submit()
    assert time.monotonic() - begun < 4


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_server_that_never_completes_the_handshake_is_not_sent(ads, scheme):
    """A connection without a handshake carries no request."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        ads.use(ads_api_endpoint=f"{scheme}://127.0.0.1:{mute.getsockname()[1]}", timeout=0.3)

        assert RequestNotSent("no connection to the Google Ads API in 0.3 s") == ads.submit()


def test_http_1_server_is_not_sent(ads):
    """A gRPC call needs HTTP/2, so none can have begun."""
    ads.use(ads_api_endpoint=ads.tokens.url)

    assert RequestNotSent("no connection to the Google Ads API", ads.tokens.url) == ads.submit()


def test_no_answer_in_time_is_lost(ads):
    """The upload may have been processed, and it is attempted only once."""
    ads.use(timeout=0.5)
    ads.api.stay_silent()

    assert AnswerLost("DEADLINE_EXCEEDED") == ads.submit()
    assert 1 == len(ads.api.calls)


def test_connection_cut_after_processing_is_lost(ads):
    """Once connected, no status proves that nothing was recorded."""
    ads.api.shut_down_socket()

    assert isinstance(ads.submit(), AnswerLost)
    assert 1 == len(ads.api.calls)


@pytest.mark.parametrize(
    "status",
    [
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNKNOWN,
    ],
)
@pytest.mark.parametrize("metadata", [(), ((FAILURE_KEY, b"\xff"),), ((FAILURE_KEY, b""),)])
def test_status_without_a_readable_failure_is_lost(ads, status, metadata):
    """It may come from any hop on the way, and the upload is attempted only once."""
    ads.api.fail_with(status, metadata)

    assert AnswerLost(status.name) == ads.submit()
    assert 1 == len(ads.api.calls)


# ── confidentiality ──────────────────────────────────────────────────────────────────────────────


def test_logs_no_request_token_or_vendor_message(ads, caplog):
    """The library would log whole requests at DEBUG, and messages of refusals at WARNING."""
    with caplog.at_level(logging.DEBUG):
        ads.use()
        ads.submit()
        ads.api.fail(grpc.StatusCode.INVALID_ARGUMENT, error("field_error", 4))
        ads.submit()

    assert not {"ya29", "Invented_Click", "jean"} & {
        word for word in ("ya29", "Invented_Click", "jean") if word in caplog.text
    }


def test_reprs_show_no_token(ads):
    """The options, sink, client and account are covered."""
    ads.submit()

    assert "ya29" not in repr((ads.options, ads.sink, ads.sink._client, ads.sink._account, ads.sink._account.token()))


@pytest.mark.parametrize("endpoint", ["http://googleads.example", "ftp://127.0.0.1", ""])
def test_rejects_a_plain_text_endpoint(ads, endpoint):
    """Plain text is allowed for this machine only."""
    with pytest.raises(Misconfigured, match="the Google Ads API endpoint must be an https address"):
        ads.use(ads_api_endpoint=endpoint)
