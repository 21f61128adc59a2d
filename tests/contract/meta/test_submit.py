"""What becomes of a batch, for every kind of answer Meta or a gateway before it can give."""

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.meta.encode import META
from connectors.meta.sink import MetaSink
from connectors.records import Answered, Forgotten, Lost, NotSent, Outcome, OutcomeClass, Refused


def test_received_is_done(meta):
    """Every row, with what Meta's support finds the call by."""
    meta.say({"events_received": 3, "messages": [], "fbtrace_id": "AbC-1_x"})

    assert Answered((Outcome(OutcomeClass.DONE, "received", "fbtrace_id AbC-1_x"),) * 3) == meta.submit(rows=3)


def test_a_remark_is_told_in_our_words(meta):
    """Meta's may quote what was sent."""
    meta.say({"events_received": 1, "messages": ["jean@example.fr looks odd"]})
    words = "received with a remark of Meta's: see Diagnostics in Events Manager"

    assert Answered((Outcome(OutcomeClass.DONE, "received", words),)) == meta.submit()


def test_a_warning_of_the_versions_end_is_told_in_words(meta):
    """With what to do; the header's own words are not repeated, and the events are done all the same."""
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
        (Answered, 200, {"events_received": 4}),
    ],
)
def test_a_refusal_may_warn_of_the_versions_end_too(meta, kind, status, body):
    """One that a version near its end gives is the last chance to hear of it."""
    meta.say(body, status=status, headers={"X-Ad-Api-Version-Warning": "v26.0 will be deprecated"})
    warned = meta.submit()
    meta.say(body, status=status)
    silent = meta.submit()

    assert (kind, kind) == (type(warned), type(silent))
    assert [True] == ["install a newer oplead-sync" in warning for warning in warned.warnings]
    assert () == silent.warnings


@pytest.mark.parametrize("received", [0, 1, 4])
def test_another_count_is_known_of_no_row(meta, received):
    """The library returns a count of 0 as success."""
    meta.say({"events_received": received, "fbtrace_id": "not a trace"})
    outcome = Outcome(OutcomeClass.UNKNOWN, "EVENTS_RECEIVED_MISMATCH", f"{received} of 3 received")

    assert Answered((outcome,) * 3) == meta.submit(rows=3)


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
def test_an_answer_that_is_not_metas_is_lost(meta, status, body):
    """The library takes some of these for success and stumbles over others."""
    meta.say_bytes(body, status)
    receipt = meta.submit()

    assert isinstance(receipt, Lost)
    assert str(status) in receipt.reason


def test_a_connection_ended_without_a_word_is_lost(meta):
    """Meta may have taken everything."""
    meta.shut_down_socket()

    assert Lost("ConnectionError") == meta.submit()


def test_a_cut_answer_is_lost(meta):
    """Even where what came reads as a whole one."""
    meta.cut(b'{"events_received": 1}')

    assert Lost("ChunkedEncodingError") == meta.submit()


def test_a_bad_row_that_is_named_is_blamed(meta):
    """2804019 names its row in a path, wherever Meta puts it."""
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
def test_a_row_is_found_wherever_it_is_named(meta, where):
    """`error_data` as a plain text makes the library lose the whole error."""
    meta.refuse(100, 2804004, **where)

    assert (2,) == meta.submit(rows=3).rows


def test_a_row_that_was_not_sent_is_not_blamed(meta):
    """An index beyond the batch is none of ours."""
    meta.refuse(100, 2804019, message="$['data'][3]['x']")

    assert () == meta.submit(rows=3).rows


def test_rows_are_blamed_only_for_what_rows_can_do(meta):
    """An expired token is nobody's row."""
    meta.refuse(190, 463, message="$['data'][0]")

    assert () == meta.submit().rows


def test_a_dataset_that_is_not_there_says_what_to_compare(meta):
    """A night that stops for it tells a human what to do."""
    meta.refuse(100, 33)
    receipt = meta.submit()

    assert receipt.outcome.kind is OutcomeClass.FIX_CONFIG
    assert "compare meta.dataset_id with Events Manager" in receipt.outcome.message


def test_an_event_too_old_is_expired(meta):
    """Without a name of its row: whoever sent the batch halves it."""
    meta.refuse(100, 2804003, error_user_title="Timestamp de l’évènement trop ancien")
    words = "an event is older than 7 days, fbtrace_id AbC-1_x"

    assert Refused(Outcome(OutcomeClass.EXPIRED, "100/2804003", words)) == meta.submit(rows=2)


@pytest.mark.parametrize("error_data", ["not json", "", 0, None, [], {"blame_field_specs": [["x"]]}])
def test_any_error_data_leaves_the_error_readable(meta, error_data):
    """The library parses it as JSON and loses the error."""
    meta.refuse(190, 467, error_data=error_data)

    assert "190/467" == meta.submit().outcome.code


@pytest.mark.parametrize("http", [200, 400, 403, 499])
def test_metas_own_error_is_read_whatever_the_status_below_500(meta, http):
    """A refusal that can be read processed nothing."""
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
def test_a_failing_server_says_nothing_whatever_error_it_words(meta, http, code, subcode):
    """It may have taken every event before it failed: neither a refusal, nor a setting to mend."""
    meta.refuse(code, subcode, http=http)
    shown = code if subcode is None else f"{code}/{subcode}"

    assert Lost(f"HTTP {http} with Meta's error {shown}") == meta.submit()


@pytest.mark.parametrize("http", [200, 400, 403, 429, 500, 503])
@pytest.mark.parametrize("code", [1, 2, 5000])
@pytest.mark.parametrize("transient", [True, False])
def test_an_unknown_trouble_of_metas_is_a_lost_answer(meta, http, code, transient):
    """Whatever the status, and whether or not it is called transient: nobody knows what was taken."""
    meta.refuse(code, http=http, is_transient=transient)

    assert Lost(f"HTTP {http} with Meta's error {code}") == meta.submit()


def test_a_lost_answer_keeps_the_delay_it_names(meta):
    """A server in trouble that says when to come back is left alone until then."""
    usage = '{"1": [{"estimated_time_to_regain_access": 7}]}'
    meta.refuse(2, http=500, headers={"X-Business-Use-Case-Usage": usage})

    assert timedelta(minutes=7) == meta.submit().retry_after


def test_what_is_not_ready_yet_is_tried_again(meta):
    """It is refused for now; no setting is wrong."""
    meta.refuse(21009)

    assert OutcomeClass.RETRY is meta.submit().outcome.kind


def test_nothing_of_metas_words_is_kept(meta):
    """They are localised and may quote a person's data."""
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
def test_throttling_waits_as_long_as_meta_asks(meta, headers, wait):
    """Its header counts in minutes; the longest of several businesses is waited for."""
    meta.refuse(80004, 2446079, headers=headers)
    words = "Meta asks for fewer calls, fbtrace_id AbC-1_x"

    assert Refused(Outcome(OutcomeClass.RETRY, "80004/2446079", words, wait)) == meta.submit()


def test_what_is_local_is_refused_before_any_call(meta):
    """Every row with the first fault, and none of them is sent."""
    good = _fields()
    bad = good | {"custom_data": {"order_id": "key-1"}}
    words = "a Purchase needs a value and a currency"

    assert Refused(
        Outcome(OutcomeClass.FIX_DATA, "LOCAL_PURCHASE", words), rows=(1, 3), unasked=True
    ) == meta.submit_fields(good, bad, good, bad)
    assert [] == meta.calls


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_what_is_no_number_never_leaves(meta, number):
    """JSON has none of them; the library would send them."""
    (event,) = meta.batch(1)
    body = event.body.replace(b"1250.5", number.encode())
    receipt = MetaSink(meta.options).submit(meta.target, [replace(event, body=body)])

    assert "LOCAL_VALUE" == receipt.outcome.code
    assert [] == meta.calls


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[]", b"null"])
def test_bytes_that_are_no_event_are_a_bug(meta, body):
    """Frozen by another version, or damaged."""
    (event,) = meta.batch(1)
    receipt = MetaSink(meta.options).submit(meta.target, [replace(event, body=body)])

    assert OutcomeClass.BUG is receipt.outcome.kind
    assert [] == meta.calls


@pytest.mark.parametrize("rows", [0, 1001])
def test_a_batch_of_the_wrong_size_is_a_bug(meta, rows):
    """A thousand at most; the library would send it."""
    batch = meta.batch(1) * rows
    receipt = MetaSink(meta.options).submit(meta.target, batch)

    assert (OutcomeClass.BUG, "LOCAL_BATCH") == (receipt.outcome.kind, receipt.outcome.code)
    assert [] == meta.calls


def test_a_full_batch_goes_out_at_once(meta):
    """A thousand events, in order, in one request."""
    meta.say({"events_received": 1000})
    receipt = meta.submit(rows=META.batch)
    (call,) = meta.calls

    assert {"received"} == {outcome.code for outcome in receipt.outcomes}
    assert [event.body.decode() for event in meta.batch(1000)] == call.texts


def test_a_validating_sink_sends_nothing(meta):
    """Meta counts what it is shown as a test, so this machine alone looks."""
    meta.use(validate_only=True)
    words = "Meta has no validation mode; checked on this machine only"

    assert Answered((Outcome(OutcomeClass.DONE, "CHECKED_LOCALLY", words),) * 2) == meta.submit(rows=2)
    assert "LOCAL_FIELDS" == meta.submit_fields({}).outcome.code
    assert [] == meta.calls


def test_the_dataset_of_the_delivery_is_the_one_it_goes_to(meta):
    """A replay goes where the original went, though the settings name another dataset by now."""
    MetaSink(meta.options).submit(replace(meta.target, owner="42"), meta.batch(1))

    assert "/v26.0/42/events" == meta.calls[0].path


def test_nothing_is_left_to_be_asked_later(meta):
    """Meta gives no tickets."""
    assert Forgotten("META_GIVES_NO_TICKETS") == MetaSink(meta.options).resolve("any", rows=1)


def test_no_connection_says_only_its_kind(meta):
    """The exception itself carries the address and the events."""
    meta.use(graph_url="http://127.0.0.1:9")

    assert NotSent("no connection: ConnectionError", "meta.graph_url") == meta.submit()


def _fields() -> dict[str, object]:
    return {
        "event_name": "Purchase",
        "event_time": 1_795_559_501,
        "event_id": "key-0",
        "action_source": "system_generated",
        "user_data": {"lead_id": 123456789012345},
        "custom_data": {"order_id": "key-0", "value": 10.0, "currency": "EUR"},
    }
