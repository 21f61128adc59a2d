"""What the Google Ads API's answers become, asked of a server of its own on loopback."""

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
from connectors.ports import ConversionSink
from connectors.records import Answered, ClickIdKind, EncodedEvent, Lost, NotSent, Outcome, OutcomeClass, Refused
from tests.contract.google_ads.ads_api_server import FAILURE_KEY, error, upload_error

NOT_ALLOWLISTED = (
    "this Cloud project may not upload by the Google Ads API: write transport: data_manager, request req-1"
)
EXPIRED = Outcome(OutcomeClass.EXPIRED, "EXPIRED_EVENT")
NO_CLICK = Outcome(OutcomeClass.DROP_EXPECTED, "CLICK_NOT_FOUND")
ALREADY = Outcome(OutcomeClass.DUPLICATE, "ORDER_ID_ALREADY_IN_USE")


def test_the_sink_keeps_to_its_port(ads):
    """Type-checked here, so that a change of the port is noticed."""
    sink: ConversionSink = ads.sink

    assert frozenset({ClickIdKind.GCLID}) == sink.limits.contact_with


# ── the request ──────────────────────────────────────────────────────────────────────────────────


def test_conversions_go_to_the_account_that_owns_the_action(ads):
    """In one request, in partial failure mode, with the manager's id and the token in its headers."""
    ads.submit(rows=2)
    (call,) = ads.api.calls

    assert ("1234567890", True, False) == (
        call.request.customer_id,
        call.request.partial_failure,
        call.request.validate_only,
    )
    assert ["key-0", "key-1"] == [each.order_id for each in call.request.conversions]
    assert ("1112223333", "Bearer ya29.invented") == (call.headers["login-customer-id"], call.headers["authorization"])


def test_the_frozen_bytes_are_what_is_sent(ads):
    """A replay sends what the first attempt sent, to the byte."""
    ads.submit()
    sent = ClickConversion.pb(ads.api.calls[0].request.conversions[0]).SerializeToString(deterministic=True)

    assert ads.sink.encode(ads.event()) == sent


@pytest.mark.parametrize("body", [b"\xff\xff", b'{"transactionId":"key-0"}', b""])
def test_bytes_of_another_api_are_not_sent(ads, body):
    """A ledger may hold events frozen for the other transport."""
    receipt = ads.sink.submit(ads.target, [EncodedEvent(ads.event().key, body)])

    assert (OutcomeClass.BUG, "EVENT_CANNOT_BE_READ") == (receipt.outcome.kind, receipt.outcome.code)
    assert [] == ads.api.calls


# ── answers ──────────────────────────────────────────────────────────────────────────────────────


def test_rows_without_an_error_are_done(ads):
    """The plain case."""
    assert Answered((DONE, DONE)) == ads.submit(rows=2)


@pytest.mark.parametrize("echo", [False, True])
def test_each_row_has_its_own_fate(ads, echo):
    """Five rows of one click, refused for different reasons; results that echo refused rows change nothing."""
    ads.api.refuse_rows(
        upload_error(43, row=1), upload_error(15, row=3), upload_error(33, row=4), upload_error(25, row=0), echo=echo
    )
    twice = Outcome(OutcomeClass.FIX_DATA, "DUPLICATE_CLICK_CONVERSION_IN_REQUEST")

    assert Answered((twice, EXPIRED, DONE, ALREADY, NO_CLICK)) == ads.submit(rows=5)


def test_two_rows_of_one_click_are_told_apart_by_their_index(ads):
    """Nothing else tells them apart: the results name only the click."""
    ads.api.refuse_rows(upload_error(43, row=1), echo=True)

    assert Answered((DONE, EXPIRED)) == ads.submit(rows=2)


def test_a_row_with_several_errors_has_the_gravest(ads):
    """In whatever order they come, and beside rows that have one."""
    ads.api.refuse_rows(upload_error(33, row=0), upload_error(33, row=1), upload_error(43, row=0))

    assert Answered((EXPIRED, NO_CLICK)) == ads.submit(rows=2)


def test_the_row_is_read_beside_the_conversions_only(ads):
    """Further steps of the path have no index, which then reads as 0."""
    ads.api.refuse_rows(error("date_error", 12, row=1, path=["conversion_date_time"]))
    bad_date = Outcome(OutcomeClass.FIX_DATA, "INVALID_STRING_DATE_TIME_SECONDS_WITH_OFFSET")

    assert Answered((DONE, bad_date)) == ads.submit(rows=2)


@pytest.mark.parametrize(
    "nameless", [upload_error(53), upload_error(53, row=7), error("conversion_upload_error", 53, path=["conversions"])]
)
def test_an_error_that_names_no_row_refuses_the_request(ads, nameless):
    """Even beside errors of rows: nothing of it was processed."""
    ads.api.refuse_rows(upload_error(43, row=0), nameless)
    receipt = ads.submit(rows=2)

    assert ("NO_CONVERSION_ACTION_FOUND", OutcomeClass.FIX_CONFIG, True, ()) == (
        receipt.outcome.code,
        receipt.outcome.kind,
        receipt.outcome.of_target,
        receipt.rows,
    )


def test_an_error_newer_than_the_library_is_unknown(ads):
    """It keeps its number, and is neither success nor refusal."""
    ads.api.refuse_rows(upload_error(1234, row=0))

    assert Answered((Outcome(OutcomeClass.UNKNOWN, "CONVERSION_UPLOAD_ERROR_1234"), DONE)) == ads.submit(rows=2)


@pytest.mark.parametrize(
    "status",
    [
        status_pb2.Status(code=3, message="no details"),
        status_pb2.Status(code=3, details=[any_pb2.Any(type_url="x/y.GoogleAdsFailure", value=b"\xff")]),
        status_pb2.Status(code=3, details=[any_pb2.Any(type_url="x/y.GoogleAdsFailure", value=b"")]),
    ],
)
def test_a_partial_failure_that_cannot_be_read_tells_nothing(ads, status):
    """Some row was refused, and nobody knows which."""
    ads.api.partly_fail(status)

    assert Lost("a partial failure that cannot be read") == ads.submit(rows=2)


def test_an_answer_without_results_proves_nothing(ads):
    """An empty message is what any server may say."""
    ads.api.say_nothing_of_rows()

    assert Lost("an answer without a result for each row") == ads.submit()


def test_a_validation_counts_nothing_and_says_so(ads):
    """Its results are always empty, and only errors speak."""
    ads.use(validate_only=True)
    ads.api.refuse_rows(upload_error(43, row=1))

    assert Answered((VALIDATED, EXPIRED)) == ads.submit(rows=2)
    assert ads.api.calls[0].request.validate_only


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────


def test_a_project_that_came_too_late_is_told_the_other_transport(ads):
    """The one refusal nobody can mend by access rights."""
    ads.api.fail(grpc.StatusCode.PERMISSION_DENIED, error("not_allowlisted_error", 2))
    refused = Outcome(OutcomeClass.FIX_CONFIG, "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE", NOT_ALLOWLISTED)

    assert Refused(refused) == ads.submit()


def test_a_refusal_blames_the_rows_that_share_its_code(ads):
    """The others may be sent again without them."""
    invalid = [error("field_error", 4, row=row) for row in (0, 2)]
    ads.api.fail(grpc.StatusCode.INVALID_ARGUMENT, upload_error(33, row=1), *invalid)
    receipt = ads.submit(rows=3)

    assert ("INVALID_VALUE", OutcomeClass.FIX_DATA, (0, 2)) == (
        receipt.outcome.code,
        receipt.outcome.kind,
        receipt.rows,
    )


@pytest.mark.parametrize("delay", [timedelta(seconds=30, milliseconds=500), None])
def test_a_quota_is_waited_for_as_long_as_it_says(ads, delay):
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
def test_trouble_inside_google_is_a_lost_answer(ads, status, number, reason):
    """It may have been recorded: only asking again tells, whichever way the library hands the trouble on."""
    ads.api.fail(status, error("internal_error", number))

    assert Lost(reason) == ads.submit()


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
def test_a_failing_server_says_nothing_whatever_error_it_words(ads, status, family, number):
    """It may have recorded everything before it failed: neither a refusal, nor a setting to mend."""
    ads.api.fail(status, error(family, number))

    assert isinstance(ads.submit(), Lost)


def test_words_of_the_vendor_are_not_repeated(ads):
    """They may quote what was sent."""
    ads.api.fail(grpc.StatusCode.INVALID_ARGUMENT, error("field_error", 4, row=0), request_id="jean@example.fr")
    refused = ads.submit()
    ads.api.refuse_rows(upload_error(3, row=0))

    assert "jean" not in repr((refused, ads.submit()))


@pytest.mark.parametrize("status", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNIMPLEMENTED])
def test_a_refusal_before_the_api_is_the_configurations_fault(ads, status):
    """A project without the API enabled; a server of another version. The API has seen nothing."""
    ads.api.fail(status)
    outcome = ads.submit().outcome

    assert (OutcomeClass.FIX_CONFIG, status.name) == (outcome.kind, outcome.code)


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────


def test_a_token_is_asked_for_with_the_apis_scope_and_kept(ads):
    """One token serves two calls."""
    ads.submit()
    ads.submit()

    assert ("https://www.googleapis.com/auth/adwords", 1) == (ads.claims()["scope"], len(ads.tokens.calls))


@pytest.mark.parametrize("errors", [[], [error("authentication_error", 16)]])
def test_a_refused_token_is_replaced_once(ads, errors):
    """One kept from an earlier call may have ended; a new one is refused for a reason."""
    ads.submit()
    ads.api.fail(grpc.StatusCode.UNAUTHENTICATED, *errors)
    kinds = [ads.submit().outcome.kind for _ in range(2)]

    assert ([OutcomeClass.RETRY, OutcomeClass.FIX_CONFIG], 2) == (kinds, len(ads.tokens.calls))


def test_a_refused_key_file_sends_nothing(ads):
    """The token server's own reason is the code."""
    ads.tokens.say({"error": "invalid_grant", "error_description": "jean@example.fr"}, 400)
    outcome = ads.submit().outcome

    assert (OutcomeClass.FIX_CONFIG, "invalid_grant") == (outcome.kind, outcome.code)
    assert [] == ads.api.calls


def test_a_silent_token_server_sends_nothing(ads):
    """It may be asked again at once."""
    ads.tokens.say("", 503)

    assert NotSent("the token server could not be reached") == ads.submit()
    assert ([], 1) == (ads.api.calls, len(ads.tokens.calls))


# ── connections ──────────────────────────────────────────────────────────────────────────────────


def test_no_server_is_nothing_sent_and_told_at_once(ads):
    """The whole timeout is not waited for."""
    ads.api.close()
    begun = time.monotonic()

    assert NotSent("no connection to the Google Ads API", ads.api.url) == ads.submit()
    assert time.monotonic() - begun < 4


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_never_greets_is_nothing_sent(ads, scheme):
    """A connection without a handshake carries no request."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        ads.use(ads_api_endpoint=f"{scheme}://127.0.0.1:{mute.getsockname()[1]}", timeout=0.3)

        assert NotSent("no connection to the Google Ads API in 0.3 s") == ads.submit()


def test_a_server_of_another_kind_is_nothing_sent(ads):
    """It speaks HTTP/1.1, so no call can have begun."""
    ads.use(ads_api_endpoint=ads.tokens.url)

    assert NotSent("no connection to the Google Ads API", ads.tokens.url) == ads.submit()


def test_no_answer_in_time_is_in_doubt(ads):
    """It may have been processed, and it is asked once."""
    ads.use(timeout=0.5)
    ads.api.stay_silent()

    assert Lost("DEADLINE_EXCEEDED") == ads.submit()
    assert 1 == len(ads.api.calls)


def test_a_cut_after_processing_is_in_doubt(ads):
    """Once connected, no status proves that nothing was recorded."""
    ads.api.shut_down_socket()

    assert isinstance(ads.submit(), Lost)
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
def test_a_status_without_a_readable_failure_is_in_doubt(ads, status, metadata):
    """It may come from anywhere on the way, and it is asked once."""
    ads.api.fail_with(status, metadata)

    assert Lost(status.name) == ads.submit()
    assert 1 == len(ads.api.calls)


# ── what is kept quiet ───────────────────────────────────────────────────────────────────────────


def test_no_request_token_or_vendor_sentence_is_logged(ads, caplog):
    """The library would log whole requests at DEBUG, and sentences of refusals at WARNING."""
    with caplog.at_level(logging.DEBUG):
        ads.use()
        ads.submit()
        ads.api.fail(grpc.StatusCode.INVALID_ARGUMENT, error("field_error", 4))
        ads.submit()

    assert not {"ya29", "Invented_Click", "jean"} & {
        word for word in ("ya29", "Invented_Click", "jean") if word in caplog.text
    }


def test_no_secret_shows_in_a_repr(ads):
    """Neither the key nor a token."""
    ads.submit()

    assert "ya29" not in repr((ads.options, ads.sink, ads.sink._client, ads.sink._account, ads.sink._account.token()))


def test_there_is_nothing_to_resolve(ads):
    """An upload's own answer tells every outcome."""
    with pytest.raises(Misconfigured, match="gives no tickets"):
        ads.sink.resolve("req-9", rows=3)


@pytest.mark.parametrize("endpoint", ["http://googleads.example", "ftp://127.0.0.1", ""])
def test_an_endpoint_in_plain_text_is_refused(ads, endpoint):
    """Plain text is for this machine only."""
    with pytest.raises(Misconfigured, match="the Google Ads API endpoint must be an https address"):
        ads.use(ads_api_endpoint=endpoint)
