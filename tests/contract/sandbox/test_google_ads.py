"""The sandbox's Google Ads API as a whole: its ports, planted faults and rulings, and the book it shares."""

import hashlib
import json
import socket
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from google.ads.googleads.v26.errors.types import errors
from google.ads.googleads.v26.services.types import conversion_upload_service as service

from connectors.sandbox.google.ads_api.server import SandboxGoogleAdsApi
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
    """Return one conversion."""
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
    """A whole sandbox that knows three clicks and accepts TOKEN."""
    with Sandbox(quick.with_key(tmp_path)) as sandbox:
        let_in(sandbox)
        sandbox.data_manager.register_clicks(CLICKS)
        yield sandbox


@pytest.fixture
def upload(sandbox, dialled):
    """Send one upload to the plain-text port: `upload(row(0))`."""
    with dialled(sandbox.sandbox_server_urls["google_ads"]) as call:
        yield lambda *rows, **how: call(PATH, message(*rows), METADATA, **how)


def failed(reply):
    """Return (row or None, family, name or number) of each error in a partial failure."""
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
    """Return (api, transaction id) of each line of the book."""
    return [(line["api"], line["transaction_id"]) for line in sandbox.google_ads.conversions_json()]


def counted(*names):
    """Return what `booked` gives after the Google Ads API accepted these."""
    return [("google_ads", name) for name in names]


# ── ports and tokens ──────────────────────────────────────────────────────────────────────────────


def test_plain_and_tls_ports_share_one_platform(sandbox, dialled):
    """The TLS port is trusted through the certificate file."""
    with dialled(sandbox.sandbox_server_urls["google_ads"]) as call:
        plain = call(PATH, message(row(0)), METADATA)
    with dialled(sandbox.sandbox_server_urls["google_ads_tls"], sandbox.certificate.read_bytes()) as call:
        secure = call(PATH, message(row(1)), METADATA)

    assert ("OK", "OK") == (plain.code, secure.code)
    assert counted("sale-0", "sale-1") == booked(sandbox)


def test_token_from_the_token_endpoint_is_accepted(sandbox, ask, dialled):
    """The test follows a service account from key file over signed assertion and token to a call."""
    from google.auth.transport.requests import Request as Transport  # noqa: PLC0415 - only here
    from google.oauth2 import service_account  # noqa: PLC0415 - only here

    credentials = service_account.Credentials.from_service_account_file(sandbox.key_file, scopes=[ADWORDS])
    transport = Transport()
    credentials.refresh(transport)
    transport.session.close()
    metadata = (("authorization", f"Bearer {credentials.token}"), METADATA[1])
    with dialled(sandbox.sandbox_server_urls["google_ads"]) as call:
        taken = call(PATH, message(), metadata)
        ask(sandbox.sandbox_server_urls["control"], "POST /switches", {"revoke_tokens": True})
        revoked = call(PATH, message(), metadata)

    assert ("OK", "UNAUTHENTICATED") == (taken.code, revoked.code)


def test_book_digest_matches_the_deterministic_message(sandbox, upload):
    """A caller can compute the digest from the message it sent."""
    upload(row(0))
    sent = service.ClickConversion.pb()(**row(0)).SerializeToString(deterministic=True)

    assert hashlib.sha256(sent).hexdigest() == sandbox.google_ads.conversions_json()[0]["digest"]


def test_second_sandbox_does_not_share_a_taken_port(tmp_path):
    """By default gRPC lets two servers share a port."""
    with Sandbox(tmp_path) as first:
        first.save_state()
        with Sandbox(tmp_path) as second:
            names = ("google_ads", "google_ads_tls")

            assert {first.sandbox_server_urls[name] for name in names}.isdisjoint(
                second.sandbox_server_urls[name] for name in names
            )


def test_stopping_frees_the_grpc_port(tmp_path):
    """Nothing listens there afterwards."""
    with Sandbox(tmp_path) as sandbox:
        port = int(sandbox.sandbox_server_urls["google_ads"].rpartition(":")[2])

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
def test_fault_before_the_platform_counts_nothing(sandbox, upload, fault, code):
    """The gRPC code corresponds to the HTTP status, and no GoogleAdsFailure comes with it."""
    sandbox.faults.plant(PlannedFault("google_ads", **fault))
    reply = upload()

    assert (code, None) == (reply.code, reply.failure)
    assert [] == booked(sandbox)


@pytest.mark.parametrize(("kind", "code"), [(FaultKind.CUT_AFTER, "UNAVAILABLE"), (FaultKind.TRUNCATED, "INTERNAL")])
def test_fault_after_the_platform_loses_only_the_answer(sandbox, upload, kind, code):
    """A replay shows that the conversion was counted."""
    sandbox.faults.plant(PlannedFault("google_ads", kind))
    lost = upload(row(0))

    assert (code, None) == (lost.code, lost.failure)
    assert counted("sale-0") == booked(sandbox)
    assert [(0, "conversion_upload_error", "ORDER_ID_ALREADY_IN_USE")] == failed(upload(row(0)))


def test_hanging_call_ends_at_the_caller_deadline(sandbox, upload):
    """Stopping the sandbox does not wait for the rest of the hang."""
    sandbox.faults.plant(PlannedFault("google_ads", FaultKind.HANG, seconds=60))
    begun = time.monotonic()

    assert "DEADLINE_EXCEEDED" == upload(timeout=0.2).code
    sandbox.stop()
    assert time.monotonic() - begun < 10
    assert [] == booked(sandbox)


def test_latency_fault_changes_no_result(sandbox, upload):
    """The upload succeeds, only later."""
    sandbox.faults.plant(PlannedFault("google_ads", FaultKind.LATENCY, seconds=0.05))

    assert "OK" == upload().code
    assert 3 == len(booked(sandbox))


def test_fault_path_applies_to_both_ports(sandbox, dialled):
    """A fault for uploads leaves searches alone."""
    sandbox.faults.plant(PlannedFault("google_ads", FaultKind.CUT_BEFORE, path=PATH))
    with dialled(sandbox.sandbox_server_urls["google_ads_tls"], sandbox.certificate.read_bytes()) as call:
        search = call("/google.ads.googleads.v26.services.GoogleAdsService/SearchStream", b"", METADATA)
        reply = call(PATH, message(), METADATA)

    assert ("INVALID_ARGUMENT", "UNAVAILABLE") == (search.code, reply.code)


def test_calls_are_logged_with_status_and_fault(sandbox, upload):
    """The status is None where the platform did not see the call."""
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
def test_ruling_fails_the_row_it_names(sandbox, upload, key, ruling, expected):
    """It names an order id or a click id, and errors of any family, known to the library or not."""
    sandbox.google_ads.plant_event_rulings({key: ruling})

    assert expected == failed(upload())
    assert counted("sale-0", "sale-2") == booked(sandbox)


def test_ruling_without_index_fails_the_whole_upload(sandbox, upload):
    """The error comes once without a row, and nothing is counted."""
    sandbox.google_ads.plant_event_rulings({"sale-1": {"reason": "UNKNOWN", "index": False}})
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
def test_invalid_ruling_plants_nothing(document):
    """One invalid ruling raises ValueError for all of them."""
    platform = SandboxGoogleAdsApi(lambda: START, lambda _: None)

    with pytest.raises(ValueError, match="sale-1"):
        platform.plant_event_rulings({"fine": {"number": 5}, "sale-1": document})
    assert {} == platform.dump()["rulings"]


# ── duplicates and the other API ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("position", "refused", "kept"), [("later", [2], ["sale-0", "sale-1"]), ("all", [0, 2], ["sale-1"])]
)
def test_duplicate_order_ids_in_one_upload_are_refused(sandbox, upload, position, refused, kept):
    """A switch decides whether all duplicates are refused or only the later ones."""
    sandbox.google_ads.set_switch("ads_api_duplicates", position)
    reply = upload(row(0), row(1), row(0, gclid="click-2"))

    assert [(index, "conversion_upload_error", "DUPLICATE_ORDER_ID") for index in refused] == failed(reply)
    assert counted(*kept) == booked(sandbox)


def test_same_click_and_second_deduplicate_only_by_switch(sandbox, upload):
    """Both conversions have order ids of their own."""
    pair = (row(0), row(0, order_id="other"))
    sandbox.google_ads.set_switch("ads_api_click_dedup", "always")

    assert [(1, "conversion_upload_error", "DUPLICATE_CLICK_CONVERSION_IN_REQUEST")] == failed(upload(*pair))
    sandbox.google_ads.set_switch("ads_api_click_dedup", "without_order_id")
    assert [(0, "conversion_upload_error", "ORDER_ID_ALREADY_IN_USE")] == failed(upload(*pair))
    assert counted("sale-0", "other") == booked(sandbox)


def test_contact_conversion_without_order_id_counts_each_time(sandbox, upload):
    """No deduplication key is documented for it."""
    sandbox.data_manager.register_clicks({"a" * 64: CLICKS["click-0"]})
    person = row(0, gclid="", order_id="", user_identifiers=[{"hashed_email": "a" * 64}])
    upload(person, person)
    upload(person)

    assert counted("", "", "") == booked(sandbox)


def ingest(sandbox, ask):
    """Send sale-0 through the Data Manager, and wait until it is processed."""
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
    answer = ask(sandbox.sandbox_server_urls["data_manager"], "POST /v1/events:ingest", body, METADATA[:1])

    assert 200 == answer.status
    sandbox.clock.advance(sandbox.clock.now() + timedelta(minutes=20))


def test_conversion_sent_to_both_apis_counts_twice(sandbox, ask, upload):
    """Deduplication across the APIs is not documented, so by default there is none."""
    ingest(sandbox, ask)

    assert [] == failed(upload(row(0)))
    assert [("data_manager", "sale-0"), ("google_ads", "sale-0")] == booked(sandbox)
    assert sandbox.data_manager.conversions_json() == sandbox.google_ads.conversions_json()


def test_cross_dedup_refuses_an_id_known_to_the_data_manager(sandbox, ask, upload):
    """The Data Manager's transaction id then counts as the action's order id."""
    sandbox.google_ads.set_switch("ads_api_cross_dedup", value=True)
    ingest(sandbox, ask)

    assert [(0, "conversion_upload_error", "ORDER_ID_ALREADY_IN_USE")] == failed(upload(row(0)))
    assert [("data_manager", "sale-0")] == booked(sandbox)


def test_cross_dedup_lets_the_data_manager_restate_an_upload(sandbox, ask, upload):
    """Both APIs then share one line in the book."""
    sandbox.google_ads.set_switch("ads_api_cross_dedup", value=True)
    upload(row(0))
    ingest(sandbox, ask)
    lines = sandbox.google_ads.conversions_json()

    assert [("google_ads", "sale-0", 950, 1)] == [
        (line["api"], line["transaction_id"], line["value"], line["restatements"]) for line in lines
    ]


def test_book_is_in_order_of_acceptance(sandbox, ask, upload):
    """An upload first settles what is still due at the Data Manager."""
    ingest(sandbox, ask)
    upload(row(1))

    assert [("data_manager", "sale-0"), ("google_ads", "sale-1")] == booked(sandbox)


# ── state ─────────────────────────────────────────────────────────────────────────────────────────


def test_google_ads_state_survives_a_restart(tmp_path, dialled):
    """Book, requests, refusals, switches, rulings and ports are saved."""
    with Sandbox(tmp_path) as first:
        let_in(first)
        first.data_manager.register_clicks(CLICKS)
        first.google_ads.plant_event_rulings({"sale-1": {"number": 77}})
        first.google_ads.set_switch("ads_api_cross_dedup", value=True)
        with dialled(first.sandbox_server_urls["google_ads"]) as call:
            call(PATH, message(), METADATA)
        before, addresses = first.google_ads.state(), first.sandbox_server_urls
    with Sandbox(tmp_path) as second:
        after = second.google_ads.state()
        with dialled(second.sandbox_server_urls["google_ads"]) as call:
            failures = failed(call(PATH, message(), METADATA))

        assert addresses == second.sandbox_server_urls
        assert before == after
        assert second.google_ads.switches["ads_api_cross_dedup"]
        assert [(0, "ORDER_ID_ALREADY_IN_USE"), (1, 77), (2, "ORDER_ID_ALREADY_IN_USE")] == [
            (index, code) for index, _, code in failures
        ]


@contextmanager
def older_state(tmp_path, ask):
    """Open a sandbox on the state of one that had neither this API nor Meta."""
    with Sandbox(tmp_path) as first:
        let_in(first)
        first.data_manager.register_clicks(CLICKS)
        ingest(first, ask)
        first.data_manager.conversions_json()
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


def test_state_without_google_ads_or_meta_still_loads(tmp_path, ask):
    """The book then holds only the Data Manager's conversions, and newer platforms begin empty."""
    with older_state(tmp_path, ask) as sandbox:
        assert [("data_manager", "sale-0")] == booked(sandbox)
        assert {
            "book": sandbox.data_manager.conversions_json(),
            "requests": {},
            "refused": [],
        } == sandbox.google_ads.state()


@pytest.mark.parametrize(("name", "value"), [("ads_api_echo", "yes"), ("ads_api_enhanced", True), ("nothing", 1)])
def test_invalid_switch_raises_value_error(name, value):
    """Either the switch or the position does not exist."""
    with pytest.raises(ValueError, match="is one of"):
        SandboxGoogleAdsApi(lambda: START, lambda _: None).set_switch(name, value)
