"""The receipt of a batch for every kind of answer that Meta, or a gateway in front of it, can give."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.meta.encode import META
from connectors.meta.sink import MetaSink
from connectors.records import AnswerLost, ForgottenRequest, Outcome, OutcomeClass, Refused, RequestNotSent, RowOutcomes


def test_received_events_are_done(meta):
    """Every row keeps the trace id by which Meta's support finds the call."""
    meta.say({"events_received": 3, "messages": [], "fbtrace_id": "AbC-1_x"})

    assert RowOutcomes((Outcome(OutcomeClass.DONE, "received", "fbtrace_id AbC-1_x"),) * 3) == meta.submit(rows=3)


def test_remark_from_meta_is_replaced_by_our_wording(meta):
    """Meta's own text may quote what was sent."""
    meta.say({"events_received": 1, "messages": ["jean@example.fr looks odd"]})
    words = "received with a remark of Meta's: see Diagnostics in Events Manager"

    assert RowOutcomes((Outcome(OutcomeClass.DONE, "received", words),)) == meta.submit()


def test_deprecation_header_becomes_a_warning_with_advice(meta):
    """The events are done all the same, and the header's own text is not repeated."""
    warning = "The call has been auto-upgraded to v27.0 as v26.0 will be deprecated"
    meta.say({"events_received": 1}, headers={"X-Ad-Api-Version-Warning": warning})
    receipt = meta.submit()

    assert ["received"] == [outcome.code for outcome in receipt.outcomes]
    assert 1 == len(receipt.warnings)
    assert "install a newer oplead-sync" in receipt.warnings[0]
    assert "auto-upgraded" not in receipt.warnings[0]


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        (Refused, 400, {"error": {"code": 2635}}),
        (Refused, 400, {"error": {"code": 100, "error_subcode": 2804003}}),
        (Refused, 429, {"error": {"code": 4}}),
        (RowOutcomes, 200, {"events_received": 4}),
    ],
)
def test_deprecation_header_is_reported_whatever_the_receipt(meta, kind, status, body):
    """A refusal by a version near its end may be the last chance to report it."""
    meta.say(body, status=status, headers={"X-Ad-Api-Version-Warning": "v26.0 will be deprecated"})
    warned = meta.submit()
    meta.say(body, status=status)
    silent = meta.submit()

    assert (kind, kind) == (type(warned), type(silent))
    assert [True] == ["install a newer oplead-sync" in warning for warning in warned.warnings]
    assert () == silent.warnings


@pytest.mark.parametrize("received", [0, 1, 4])
def test_received_count_mismatch_leaves_every_row_unknown(meta, received):
    """The library returns a count of 0 as success."""
    meta.say({"events_received": received, "fbtrace_id": "not a trace"})
    outcome = Outcome(OutcomeClass.UNKNOWN, "EVENTS_RECEIVED_MISMATCH", f"{received} of 3 received")

    assert RowOutcomes((outcome,) * 3) == meta.submit(rows=3)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"{}"),
        (200, b"[]"),
        (200, b"null"),
        (200, b"1"),
        (200, b'{"events_received": "1"}'),
        (200, b'{"events_received": true}'),
        (200, b'{"events_received": 1'),
        (200, b"<html>We will be back</html>"),
        (200, b"\xff\xfe\x00"),
        (200, b"[" * 100_000),
        (200, b'{"success": true}'),
        (400, b'{"error": "no object"}'),
        (400, b'{"error": {"message": "no code"}}'),
        (400, b'{"error": {"code": "100"}}'),
        (400, b'{"events_received": 1}'),
        (404, b""),
        (429, b"Too many"),
        (500, b""),
        (500, b'{"oops": 1}'),
        (500, b'{"events_received": 1}'),
        (502, b"<html>Bad gateway</html>"),
        (503, b"Service Unavailable"),
    ],
)
def test_foreign_answer_is_lost(meta, status, body):
    """The library takes some of these answers for success and fails to parse others."""
    meta.say_bytes(body, status)
    receipt = meta.submit()

    assert isinstance(receipt, AnswerLost)
    assert str(status) in receipt.reason


def test_connection_closed_without_an_answer_is_lost(meta):
    """Meta may have accepted everything."""
    meta.shut_down_socket()

    assert AnswerLost("ConnectionError") == meta.submit()


def test_truncated_answer_is_lost(meta):
    """It is lost even if the part received is valid JSON."""
    meta.cut(b'{"events_received": 1}')

    assert AnswerLost("ChunkedEncodingError") == meta.submit()


def test_rows_named_in_a_refusal_are_blamed(meta):
    """Error 2804019 names its rows in a path, wherever Meta puts it."""
    meta.refuse(100, 2804019, error_user_msg="$['data'][2]['user_data']['xx'] et $['data'][0]['yy']")
    words = "a field is unknown or has the wrong shape, fbtrace_id AbC-1_x"

    assert Refused(Outcome(OutcomeClass.FIX_DATA, "100/2804019", words), rows=(0, 2)) == meta.submit(rows=3)


@pytest.mark.parametrize(
    "where",
    [
        {"message": "$['data'][2]['event_time']"},
        {"error_data": "$['data'][2]"},
        {"error_data": '{"blame": "$[\\"data\\"][2]"}'},
        {"error_data": {"blame": ["$['data'][2]"]}},
    ],
)
def test_row_path_is_found_in_any_error_field(meta, where):
    """A plain text in `error_data` makes the library lose the whole error."""
    meta.refuse(100, 2804004, **where)

    assert (2,) == meta.submit(rows=3).rows


def test_row_index_beyond_the_batch_is_ignored(meta):
    """The refusal then blames no row."""
    meta.refuse(100, 2804019, message="$['data'][3]['x']")

    assert () == meta.submit(rows=3).rows


def test_token_error_blames_no_row(meta):
    """An expired token is no row's fault, even if the message contains a row path."""
    meta.refuse(190, 463, message="$['data'][0]")

    assert () == meta.submit().rows


def test_missing_dataset_is_a_config_error_with_advice(meta):
    """The message tells an operator which setting to compare."""
    meta.refuse(100, 33)
    receipt = meta.submit()

    assert receipt.outcome.kind is OutcomeClass.FIX_CONFIG
    assert "compare meta.dataset_id with Events Manager" in receipt.outcome.message


def test_event_too_old_is_expired(meta):
    """Meta does not name the row, so the sender bisects the batch."""
    meta.refuse(100, 2804003, error_user_title="Timestamp de l’évènement trop ancien")
    words = "an event is older than 7 days, fbtrace_id AbC-1_x"

    assert Refused(Outcome(OutcomeClass.EXPIRED, "100/2804003", words)) == meta.submit(rows=2)


@pytest.mark.parametrize("error_data", ["not json", "", 0, None, [], {"blame_field_specs": [["x"]]}])
def test_any_error_data_leaves_the_error_readable(meta, error_data):
    """The library parses `error_data` as JSON and then loses the error."""
    meta.refuse(190, 467, error_data=error_data)

    assert "190/467" == meta.submit().outcome.code


@pytest.mark.parametrize("http", [200, 400, 403, 499])
def test_meta_error_is_read_at_any_status_below_500(meta, http):
    """A readable refusal means that Meta processed nothing."""
    meta.refuse(803, http=http)

    assert OutcomeClass.FIX_CONFIG is meta.submit().outcome.kind


@pytest.mark.parametrize("http", [500, 501, 502, 503, 504, 529, 599])
@pytest.mark.parametrize(
    ("code", "subcode"),
    [
        (1, None),
        (2, None),
        (4, None),
        (100, 33),
        (100, 2804019),
        (190, 463),
        (803, None),
        (21009, None),
        (999999, None),
    ],
)
def test_server_error_is_lost_whatever_error_code_it_carries(meta, http, code, subcode):
    """A failing server may have accepted every event first, so its error is no refusal."""
    meta.refuse(code, subcode, http=http)
    shown = code if subcode is None else f"{code}/{subcode}"

    assert AnswerLost(f"HTTP {http} with Meta's error {shown}") == meta.submit()


@pytest.mark.parametrize("http", [200, 400, 403, 429, 500, 503])
@pytest.mark.parametrize("code", [1, 2, 5000])
@pytest.mark.parametrize("transient", [True, False])
def test_unspecific_meta_error_is_lost_at_any_status(meta, http, code, transient):
    """Nothing reveals what was accepted, whether or not Meta calls the error transient."""
    meta.refuse(code, http=http, is_transient=transient)

    assert AnswerLost(f"HTTP {http} with Meta's error {code}") == meta.submit()


def test_lost_answer_keeps_the_requested_delay(meta):
    """A failing server that names a delay is left alone until it has passed."""
    usage = '{"1": [{"estimated_time_to_regain_access": 7}]}'
    meta.refuse(2, http=500, headers={"X-Business-Use-Case-Usage": usage})

    assert timedelta(minutes=7) == meta.submit().retry_after


def test_not_ready_error_is_retried(meta):
    """The refusal is temporary, and no setting is wrong."""
    meta.refuse(21009)

    assert OutcomeClass.RETRY is meta.submit().outcome.kind


def test_receipt_repeats_none_of_metas_own_text(meta):
    """Meta's texts are localised and may quote personal data."""
    meta.refuse(100, 1234, error_user_msg="jean@example.fr", fbtrace_id="jean@example.fr")

    assert "jean" not in repr(meta.submit())


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"X-Business-Use-Case-Usage": '{"1": [{"estimated_time_to_regain_access": 7}]}'}, timedelta(minutes=7)),
        ({"X-Business-Use-Case": '{"1": [{"estimated_time_to_regain_access": 7}]}'}, timedelta(minutes=7)),
        (
            {
                "X-Business-Use-Case-Usage": (
                    '{"1": [{"estimated_time_to_regain_access": 2}, {"type": "x"}],'
                    ' "2": [{"estimated_time_to_regain_access": 19}]}'
                )
            },
            timedelta(minutes=19),
        ),
        ({"X-Business-Use-Case-Usage": '{"1": [{"estimated_time_to_regain_access": 0}]}'}, None),
        ({"X-Business-Use-Case-Usage": '{"1": [{"estimated_time_to_regain_access": 1e300}]}'}, timedelta(days=7)),
        ({"X-Business-Use-Case-Usage": '{"1": [{"estimated_time_to_regain_access": "soon"}]}'}, None),
        ({"X-Business-Use-Case-Usage": '{"1": 1, "2": [1]}'}, None),
        ({"X-Business-Use-Case-Usage": "[]"}, None),
        ({"X-Business-Use-Case-Usage": "no json"}, None),
        ({"X-App-Usage": '{"call_count": 100}'}, None),
    ],
)
def test_throttling_waits_as_long_as_meta_requests(meta, headers, wait):
    """The header counts in minutes; with several businesses the longest wait applies."""
    meta.refuse(80004, 2446079, headers=headers)
    words = "Meta asks for fewer calls, fbtrace_id AbC-1_x"

    assert Refused(Outcome(OutcomeClass.RETRY, "80004/2446079", words, wait)) == meta.submit()


def test_local_faults_are_refused_before_any_call(meta):
    """All rows that share the first fault are blamed, and nothing is sent."""
    good = _fields()
    bad = good | {"custom_data": {"order_id": "key-1"}}
    words = "a Purchase needs a value and a currency"

    assert Refused(
        Outcome(OutcomeClass.FIX_DATA, "LOCAL_PURCHASE", words), rows=(1, 3), unasked=True
    ) == meta.submit_fields(good, bad, good, bad)
    assert [] == meta.calls


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_non_finite_number_is_refused_locally(meta, number):
    """JSON does not allow these values, yet the library would send them."""
    (event,) = meta.batch(1)
    body = event.body.replace(b"1250.5", number.encode())
    receipt = MetaSink(meta.options).submit(meta.target, [replace(event, body=body)])

    assert "LOCAL_VALUE" == receipt.outcome.code
    assert [] == meta.calls


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[]", b"null"])
def test_undecodable_frozen_event_is_a_bug(meta, body):
    """The bytes were damaged, or frozen by another version."""
    (event,) = meta.batch(1)
    receipt = MetaSink(meta.options).submit(meta.target, [replace(event, body=body)])

    assert OutcomeClass.BUG is receipt.outcome.kind
    assert [] == meta.calls


@pytest.mark.parametrize("rows", [0, 1001])
def test_batch_of_the_wrong_size_is_a_bug(meta, rows):
    """Meta takes at most 1,000 events; the library would send more."""
    batch = meta.batch(1) * rows
    receipt = MetaSink(meta.options).submit(meta.target, batch)

    assert (OutcomeClass.BUG, "LOCAL_BATCH") == (receipt.outcome.kind, receipt.outcome.code)
    assert [] == meta.calls


def test_full_batch_goes_out_in_one_request(meta):
    """It holds a thousand events, in order."""
    meta.say({"events_received": 1000})
    receipt = meta.submit(rows=META.batch)
    (call,) = meta.calls

    assert {"received"} == {outcome.code for outcome in receipt.outcomes}
    assert [event.body.decode() for event in meta.batch(1000)] == call.texts


def test_validate_only_sink_sends_nothing(meta):
    """Meta counts every event it receives, even as a test, so validation stays local."""
    meta.use(validate_only=True)
    words = "Meta has no validation mode; checked on this machine only"

    assert RowOutcomes((Outcome(OutcomeClass.DONE, "CHECKED_LOCALLY", words),) * 2) == meta.submit(rows=2)
    assert "LOCAL_FIELDS" == meta.submit_fields({}).outcome.code
    assert [] == meta.calls


def test_submit_uses_the_dataset_of_the_delivery(meta):
    """A replay goes where the original went, even if the settings have changed since."""
    MetaSink(meta.options).submit(replace(meta.target, owner="42"), meta.batch(1))

    assert "/v26.0/42/events" == meta.calls[0].path


def test_resolve_reports_that_meta_gives_no_tickets(meta):
    """Meta's answer is final, so there is no outcome to ask for later."""
    assert ForgottenRequest("META_GIVES_NO_TICKETS") == MetaSink(meta.options).fetch_request_outcomes("any", rows=1)


def test_connection_failure_reports_only_its_kind(meta):
    """The exception itself contains the address and the events."""
    meta.use(graph_url="http://127.0.0.1:9")

    assert RequestNotSent("no connection: ConnectionError", "meta.graph_url") == meta.submit()


def _fields() -> dict[str, object]:
    return {
        "event_name": "Purchase",
        "event_time": 1_795_559_501,
        "event_id": "key-0",
        "action_source": "system_generated",
        "user_data": {"lead_id": 123456789012345},
        "custom_data": {"order_id": "key-0", "value": 10.0, "currency": "EUR"},
    }
