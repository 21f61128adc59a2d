"""The sandbox's Google Ads API as a whole: its doors, planted faults and rulings, and the book it shares."""

import hashlib
import json
import socket
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from google.ads.googleads.v26.errors.types import errors
from google.ads.googleads.v26.services.types import conversion_upload_service as service

from connectors.sandbox.google.ads_api.server import GoogleAdsApi
from connectors.sandbox.platform import FaultKind, PlannedFault
from connectors.sandbox.sandbox import Sandbox
from tests import quick

START = datetime(2026, 9, 1, 3, 30, tzinfo=UTC)
PATH = "/google.ads.googleads.v26.services.ConversionUploadService/UploadClickConversions"
ADWORDS = "https://www.googleapis.com/auth/adwords"
DATA_MANAGER = "https://www.googleapis.com/auth/datamanager"
TOKEN = "ya29.invented"
METADATA = (("authorization", f"Bearer {TOKEN}"), ("login-customer-id", "1112223333"))
CLICKS = {
    name: {"clicked_at": "2026-08-20T08:00:00Z", "customer": "1234567890"} for name in ("click-0", "click-1", "click-2")
}
Request = service.UploadClickConversionsRequest.pb()
Response = service.UploadClickConversionsResponse.pb()
Failure = errors.GoogleAdsFailure.pb()


def row(number, **change):
    """One conversion."""
    return {
        "gclid": f"click-{number}",
        "order_id": f"sale-{number}",
        "conversion_action": "customers/1234567890/conversionActions/987654322",
        "conversion_date_time": "2026-08-21 10:00:00+02:00",
        "conversion_value": 900,
        "currency_code": "EUR",
        **change,
    }


def message(*rows):
    """An upload of these rows, or of three good ones."""
    conversions = rows or (row(0), row(1), row(2))
    return Request(customer_id="1234567890", partial_failure=True, conversions=conversions).SerializeToString()


def let_in(sandbox):
    """Make TOKEN good for both of Google's APIs."""
    key = hashlib.sha256(TOKEN.encode()).hexdigest()
    sandbox.oauth.load({"tokens": {key: [f"{ADWORDS} {DATA_MANAGER}", time.time() + 600]}, "refuse_tokens": False})


@pytest.fixture
def sandbox(tmp_path):
    """A whole sandbox with three clicks."""
    with Sandbox(quick.with_key(tmp_path)) as sandbox:
        let_in(sandbox)
        sandbox.data_manager.register_clicks(CLICKS)
        yield sandbox


@pytest.fixture
def upload(sandbox, dialled):
    """Send one upload by the plain port: `upload(row(0))`."""
    with dialled(sandbox.addresses["google_ads"]) as call:
        yield lambda *rows, **how: call(PATH, message(*rows), METADATA, **how)


def failed(reply):
    """(row or None, family, number or name) of each error in a partial failure."""
    response = Response.FromString(reply.messages[0])
    found = []
    for packed in response.partial_failure_error.details:
        for each in Failure.FromString(packed.value).errors:
            family = each.error_code.WhichOneof("error_code")
            number = getattr(each.error_code, family)
            known = each.error_code.DESCRIPTOR.fields_by_name[family].enum_type.values_by_number.get(number)
            path = each.location.field_path_elements
            found.append((path[0].index if path else None, family, known.name if known else number))
    return found


def booked(sandbox):
    """(api, transaction id) of each line."""
    return [(line["api"], line["transaction_id"]) for line in sandbox.google_ads.book()]


def counted(*names):
    """The book after the Google Ads API took these."""
    return [("google_ads", name) for name in names]


# ── the door ──────────────────────────────────────────────────────────────────────────────────────


def test_both_ports_lead_to_the_same_platform(sandbox, dialled):
    """Uploads over TLS, trusted by the certificate file, are counted with those in plain text."""
    with dialled(sandbox.addresses["google_ads"]) as call:
        plain = call(PATH, message(row(0)), METADATA)
    with dialled(sandbox.addresses["google_ads_tls"], sandbox.certificate.read_bytes()) as call:
        secure = call(PATH, message(row(1)), METADATA)

    assert ("OK", "OK") == (plain.code, secure.code)
    assert counted("sale-0", "sale-1") == booked(sandbox)


def test_a_token_of_the_token_endpoint_opens_the_door(sandbox, ask, dialled):
    """The whole way of a service account: key file, signed assertion, token, call."""
    from google.auth.transport.requests import Request as Transport  # noqa: PLC0415 - only here
    from google.oauth2 import service_account  # noqa: PLC0415 - only here

    credentials = service_account.Credentials.from_service_account_file(sandbox.key_file, scopes=[ADWORDS])
    transport = Transport()
    credentials.refresh(transport)
    transport.session.close()
    metadata = (("authorization", f"Bearer {credentials.token}"), METADATA[1])
    with dialled(sandbox.addresses["google_ads"]) as call:
        taken = call(PATH, message(), metadata)
        ask(sandbox.addresses["control"], "POST /switches", {"revoke_tokens": True})
        revoked = call(PATH, message(), metadata)

    assert ("OK", "UNAUTHENTICATED") == (taken.code, revoked.code)


def test_the_digest_is_of_the_deterministic_message(sandbox, upload):
    """A caller can compute it from what it sent."""
    upload(row(0))
    sent = service.ClickConversion.pb()(**row(0)).SerializeToString(deterministic=True)

    assert hashlib.sha256(sent).hexdigest() == sandbox.google_ads.book()[0]["digest"]


def test_a_taken_port_is_not_shared(tmp_path):
    """By itself gRPC would let two servers share a port; the second sandbox goes elsewhere."""
    with Sandbox(tmp_path) as first:
        first.save()
        with Sandbox(tmp_path) as second:
            names = ("google_ads", "google_ads_tls")

            assert {first.addresses[name] for name in names}.isdisjoint(second.addresses[name] for name in names)


def test_stopping_frees_the_port(tmp_path):
    """Nothing listens there afterwards."""
    with Sandbox(tmp_path) as sandbox:
        port = int(sandbox.addresses["google_ads"].rpartition(":")[2])

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


# ── faults ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": FaultKind.STATUS}, "UNAVAILABLE"),
        ({"kind": FaultKind.STATUS, "status": 400}, "INVALID_ARGUMENT"),
        ({"kind": FaultKind.STATUS, "status": 401}, "UNAUTHENTICATED"),
        ({"kind": FaultKind.STATUS, "status": 403}, "PERMISSION_DENIED"),
        ({"kind": FaultKind.STATUS, "status": 500}, "INTERNAL"),
        ({"kind": FaultKind.STATUS, "status": 502}, "UNAVAILABLE"),
        ({"kind": FaultKind.STATUS, "status": 504}, "DEADLINE_EXCEEDED"),
        ({"kind": FaultKind.STATUS, "status": 418}, "UNKNOWN"),
        ({"kind": FaultKind.HTML}, "UNKNOWN"),
        ({"kind": FaultKind.CUT_BEFORE}, "UNAVAILABLE"),
        ({"kind": FaultKind.HANG, "seconds": 0.05}, "UNAVAILABLE"),
    ],
    ids=str,
)
def test_a_fault_in_front_keeps_the_call_from_the_platform(sandbox, upload, fault, code):
    """The status has the number's sense, no GoogleAdsFailure comes with it, and nothing is counted."""
    sandbox.faults.plant(PlannedFault("google_ads", **fault))
    reply = upload()

    assert (code, None) == (reply.code, reply.failure)
    assert [] == booked(sandbox)


@pytest.mark.parametrize(("kind", "code"), [(FaultKind.CUT_AFTER, "UNAVAILABLE"), (FaultKind.TRUNCATED, "INTERNAL")])
def test_a_fault_behind_loses_only_the_answer(sandbox, upload, kind, code):
    """The platform has counted what the caller does not know of, as a replay shows."""
    sandbox.faults.plant(PlannedFault("google_ads", kind))
    lost = upload(row(0))

    assert (code, None) == (lost.code, lost.failure)
    assert counted("sale-0") == booked(sandbox)
    assert [(0, "conversion_upload_error", "ORDER_ID_ALREADY_IN_USE")] == failed(upload(row(0)))


def test_a_hanging_call_ends_with_its_caller(sandbox, upload):
    """The caller's deadline passes; the server lets go soon, and stopping does not wait for the hang."""
    sandbox.faults.plant(PlannedFault("google_ads", FaultKind.HANG, seconds=60))
    begun = time.monotonic()

    assert "DEADLINE_EXCEEDED" == upload(timeout=0.2).code
    sandbox.stop()
    assert time.monotonic() - begun < 10
    assert [] == booked(sandbox)


def test_a_slow_answer_is_an_answer(sandbox, upload):
    """Latency alone changes nothing."""
    sandbox.faults.plant(PlannedFault("google_ads", FaultKind.LATENCY, seconds=0.05))

    assert "OK" == upload().code
    assert 3 == len(booked(sandbox))


def test_faults_meet_the_path_they_name_by_either_port(sandbox, dialled):
    """A fault for uploads takes no search, and is the same fault by TLS."""
    sandbox.faults.plant(PlannedFault("google_ads", FaultKind.CUT_BEFORE, path=PATH))
    with dialled(sandbox.addresses["google_ads_tls"], sandbox.certificate.read_bytes()) as call:
        search = call("/google.ads.googleads.v26.services.GoogleAdsService/Search", b"", METADATA)
        reply = call(PATH, message(), METADATA)

    assert ("INVALID_ARGUMENT", "UNAVAILABLE") == (search.code, reply.code)


def test_calls_are_logged_by_status(sandbox, upload):
    """What the platform answered, whether or not a fault let it through; None where it saw nothing."""
    for kind in (FaultKind.CUT_BEFORE, FaultKind.CUT_AFTER):
        sandbox.faults.plant(PlannedFault("google_ads", kind))
        upload(row(0))
    upload()
    log = sandbox.servers["google_ads"].log.dump()

    assert 3 == log["count"]
    assert [(PATH, None, "cut_before"), (PATH, 200, "cut_after"), (PATH, 200, None)] == [
        (entry["path"], entry["status"], entry["fault"]) for entry in log["log"]
    ]


# ── rulings ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("ruling", "expected"),
    [
        ({"when": "submit", "reason": "CLICK_NOT_FOUND"}, [(1, "conversion_upload_error", "CLICK_NOT_FOUND")]),
        (
            {"family": "date_error", "reason": "EARLIER_THAN_MINIMUM_DATE"},
            [(1, "date_error", "EARLIER_THAN_MINIMUM_DATE")],
        ),
        ({"number": 1234}, [(1, "conversion_upload_error", 1234)]),
        (
            {"reason": ["EXPIRED_EVENT", "TOO_RECENT_EVENT"]},
            [(1, "conversion_upload_error", "EXPIRED_EVENT"), (1, "conversion_upload_error", "TOO_RECENT_EVENT")],
        ),
        (
            [{"reason": "EXPIRED_EVENT"}, {"family": "field_error", "number": 99}],
            [(1, "conversion_upload_error", "EXPIRED_EVENT"), (1, "field_error", 99)],
        ),
    ],
)
@pytest.mark.parametrize("key", ["sale-1", "click-1"])
def test_a_ruling_fails_the_row_it_names(sandbox, upload, key, ruling, expected):
    """By order id or click id, with errors of any family, known to the library or not."""
    sandbox.google_ads.plant_rulings({key: ruling})

    assert expected == failed(upload())
    assert counted("sale-0", "sale-2") == booked(sandbox)


def test_an_error_without_a_row_fails_the_whole_upload(sandbox, upload):
    """It comes once and names no row, and nothing is counted."""
    sandbox.google_ads.plant_rulings({"sale-1": {"reason": "UNKNOWN", "index": False}})
    reply = upload()

    assert [(None, "conversion_upload_error", "UNKNOWN")] == failed(reply)
    assert [0, 0, 0] == [each.ByteSize() for each in Response.FromString(reply.messages[0]).results]
    assert [] == booked(sandbox)


@pytest.mark.parametrize(
    "document",
    [
        "CLICK_NOT_FOUND",
        [],
        {},
        {"reason": "NO_SUCH_REASON"},
        {"reason": 7},
        {"reason": []},
        {"number": 0},
        {"number": True},
        {"number": 5, "reason": "UNKNOWN"},
        {"family": "no_such_error", "reason": "UNKNOWN"},
        {"family": "no_such_error", "number": 5},
        {"when": "processing", "reason": "CLICK_NOT_FOUND"},
        {"reason": "CLICK_NOT_FOUND", "index": 0},
        {"reason": "CLICK_NOT_FOUND", "why": "because"},
    ],
    ids=json.dumps,
)
def test_another_shape_is_no_ruling(document):
    """ValueError, and nothing is planted."""
    platform = GoogleAdsApi(lambda: START, lambda _: None)

    with pytest.raises(ValueError, match="sale-1"):
        platform.plant_rulings({"fine": {"number": 5}, "sale-1": document})
    assert {} == platform.dump()["rulings"]


# ── duplicates and the other API ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("position", "refused", "kept"), [("later", [2], ["sale-0", "sale-1"]), ("all", [0, 2], ["sale-1"])]
)
def test_duplicates_in_one_upload_are_refused(sandbox, upload, position, refused, kept):
    """Which of them, is a switch."""
    sandbox.google_ads.switch("ads_api_duplicates", position)
    reply = upload(row(0), row(1), row(0, gclid="click-2"))

    assert [(index, "conversion_upload_error", "DUPLICATE_ORDER_ID") for index in refused] == failed(reply)
    assert counted(*kept) == booked(sandbox)


def test_two_conversions_share_a_click_and_a_second_unless_the_switch_says_otherwise(sandbox, upload):
    """With order ids of their own."""
    pair = (row(0), row(0, order_id="other"))
    sandbox.google_ads.switch("ads_api_click_dedup", "always")

    assert [(1, "conversion_upload_error", "DUPLICATE_CLICK_CONVERSION_IN_REQUEST")] == failed(upload(*pair))
    sandbox.google_ads.switch("ads_api_click_dedup", "without_order_id")
    assert [(0, "conversion_upload_error", "ORDER_ID_ALREADY_IN_USE")] == failed(upload(*pair))
    assert counted("sale-0", "other") == booked(sandbox)


def test_a_contact_without_an_order_id_counts_each_time(sandbox, upload):
    """No deduplication key is documented for it."""
    sandbox.data_manager.register_clicks({"a" * 64: CLICKS["click-0"]})
    person = row(0, gclid="", order_id="", user_identifiers=[{"hashed_email": "a" * 64}])
    upload(person, person)
    upload(person)

    assert counted("", "", "") == booked(sandbox)


def ingest(sandbox, ask):
    """Send sale-0 by the Data Manager, and let it be processed."""
    account = {"accountType": "GOOGLE_ADS"}
    body = {
        "destinations": [
            {
                "operatingAccount": account | {"accountId": "1234567890"},
                "loginAccount": account | {"accountId": "1112223333"},
                "productDestinationId": "987654322",
            }
        ],
        "events": [
            {
                "transactionId": "sale-0",
                "eventTimestamp": "2026-08-21T08:00:00Z",
                "eventSource": "WEB",
                "adIdentifiers": {"gclid": "click-0"},
                "consent": {"adUserData": "CONSENT_GRANTED"},
                "conversionValue": 950,
                "currency": "EUR",
            }
        ],
    }
    answer = ask(sandbox.addresses["data_manager"], "POST /v1/events:ingest", body, METADATA[:1])

    assert 200 == answer.status
    sandbox.clock.advance(sandbox.clock.now() + timedelta(minutes=20))


def test_what_both_apis_took_counts_twice(sandbox, ask, upload):
    """Cross-API deduplication is not documented, so by default there is none, and the book has two lines."""
    ingest(sandbox, ask)

    assert [] == failed(upload(row(0)))
    assert [("data_manager", "sale-0"), ("google_ads", "sale-0")] == booked(sandbox)
    assert sandbox.data_manager.book() == sandbox.google_ads.book()


def test_what_the_data_manager_took_is_in_use_where_the_switch_says_so(sandbox, ask, upload):
    """Its transaction id is the action's order id then; not before it is processed."""
    sandbox.google_ads.switch("ads_api_cross_dedup", value=True)
    ingest(sandbox, ask)

    assert [(0, "conversion_upload_error", "ORDER_ID_ALREADY_IN_USE")] == failed(upload(row(0)))
    assert [("data_manager", "sale-0")] == booked(sandbox)


def test_the_data_manager_adjusts_what_this_api_took_where_the_switch_says_so(sandbox, ask, upload):
    """The other way round: one line, restated."""
    sandbox.google_ads.switch("ads_api_cross_dedup", value=True)
    upload(row(0))
    ingest(sandbox, ask)
    lines = sandbox.google_ads.book()

    assert [("google_ads", "sale-0", 950, 1)] == [
        (line["api"], line["transaction_id"], line["value"], line["restatements"]) for line in lines
    ]


def test_what_waits_at_the_data_manager_is_judged_first(sandbox, ask, upload):
    """The book is in the order of acceptance, whoever looks first."""
    ingest(sandbox, ask)
    upload(row(1))

    assert [("data_manager", "sale-0"), ("google_ads", "sale-1")] == booked(sandbox)


# ── state ─────────────────────────────────────────────────────────────────────────────────────────


def test_it_resumes_where_it_stopped(tmp_path, dialled):
    """Book, counts, refusals, switches, rulings, jobs and ports survive a restart."""
    with Sandbox(tmp_path) as first:
        let_in(first)
        first.data_manager.register_clicks(CLICKS)
        first.google_ads.plant_rulings({"sale-1": {"number": 77}})
        first.google_ads.switch("ads_api_cross_dedup", value=True)
        with dialled(first.addresses["google_ads"]) as call:
            call(PATH, message(), METADATA)
        before, addresses = first.google_ads.state(), first.addresses
    with Sandbox(tmp_path) as second:
        after = second.google_ads.state()
        with dialled(second.addresses["google_ads"]) as call:
            failures = failed(call(PATH, message(), METADATA))

        assert addresses == second.addresses
        assert before == after
        assert second.google_ads.switches["ads_api_cross_dedup"]
        assert [(0, "ORDER_ID_ALREADY_IN_USE"), (1, 77), (2, "ORDER_ID_ALREADY_IN_USE")] == [
            (index, code) for index, _, code in failures
        ]


@contextmanager
def older_state(tmp_path, ask):
    """A sandbox opened on the state of one that had neither this API nor Meta."""
    with Sandbox(tmp_path) as first:
        let_in(first)
        first.data_manager.register_clicks(CLICKS)
        ingest(first, ask)
        first.data_manager.book()
    file = tmp_path / "sandbox.json"
    state = json.loads(file.read_text())
    for name in ("google_ads", "meta"):
        del state[name], state["ports"][name]
    del state["ports"]["google_ads_tls"]
    for line in state["data_manager"]["book"]:
        for name in ("api", "key", "click"):
            del line["first"][name]
    file.write_text(json.dumps(state))
    with Sandbox(tmp_path) as second:
        yield second


def test_an_older_state_still_opens(tmp_path, ask):
    """Its book is the Data Manager's, and what came later begins empty."""
    with older_state(tmp_path, ask) as sandbox:
        assert [("data_manager", "sale-0")] == booked(sandbox)
        assert {"book": sandbox.data_manager.book(), "requests": {}, "refused": []} == sandbox.google_ads.state()


@pytest.mark.parametrize(("name", "value"), [("ads_api_echo", "yes"), ("ads_api_enhanced", True), ("nothing", 1)])
def test_a_switch_has_only_its_positions(name, value):
    """ValueError for all else."""
    with pytest.raises(ValueError, match="is one of"):
        GoogleAdsApi(lambda: START, lambda _: None).switch(name, value)
