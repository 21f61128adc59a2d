"""The vendor's own client, unchanged and over TLS, works with the sandbox's Google Ads API."""

import json
import os
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from connectors.sandbox.sandbox import Sandbox

LONGEST_SECONDS = 60
CLIENT = """
import json
from google.ads.googleads.client import GoogleAdsClient
from google.ads.googleads.errors import GoogleAdsException
from google.api_core.exceptions import ResourceExhausted

client = GoogleAdsClient.load_from_env(version="v26")
upload = client.get_service("ConversionUploadService")
asking = client.get_service("GoogleAdsService")
conversions = []
for click in ("click-0", "click-1"):
    row = client.get_type("ClickConversion")
    row.gclid = click
    row.order_id = "sale-" + click
    row.conversion_action = "customers/1234567890/conversionActions/987654322"
    row.conversion_date_time = "2026-08-21 10:00:00+02:00"
    conversions.append(row)
request = client.get_type("UploadClickConversionsRequest")
request.customer_id, request.partial_failure, request.conversions = "1234567890", True, conversions
response = upload.upload_click_conversions(request=request, timeout=30)
failure = type(client.get_type("GoogleAdsFailure"))
errors = [e for any_ in response.partial_failure_error.details for e in failure.deserialize(any_.value).errors]
found = {
    "results": [row.gclid for row in response.results],
    "errors": [(e.location.field_path_elements[0].index, e.error_code.conversion_upload_error.name) for e in errors],
}
query = "SELECT customer.id, conversion_action.id, conversion_action.type FROM conversion_action"
batches = asking.search_stream(customer_id="1234567890", query=query, timeout=30)
found["actions"] = [row.conversion_action.type_.name for batch in batches for row in batch.results]
request.partial_failure = False
try:
    upload.upload_click_conversions(request=request, timeout=30)
except GoogleAdsException as refused:
    found["refused"] = refused.failure.errors[0].error_code.partial_failure_error.name, bool(refused.request_id)
try:
    upload.upload_click_conversions(request=request, timeout=30)
except ResourceExhausted as exhausted:
    trailing = dict(exhausted.response.trailing_metadata())
    raw = trailing["google.ads.googleads.v26.errors.googleadsfailure-bin"]
    found["wait"] = failure.deserialize(raw).errors[0].details.quota_error_details.retry_delay.total_seconds()
print(json.dumps(found))
"""


@pytest.fixture
def sandbox(tmp_path):
    """A sandbox that knows one click."""
    with Sandbox(tmp_path) as sandbox:
        sandbox.data_manager.register_clicks(
            {"click-0": {"clicked_at": "2026-08-20T08:00:00Z", "customer": "1234567890"}}
        )
        yield sandbox


def test_stock_google_ads_client_works_end_to_end(sandbox, ask):
    """It covers token, upload, partial failure, both searches, a refusal and an exhausted quota."""
    fault = {"server": "google_ads", "kind": "status", "status": 429, "retry_after": 90, "after": 2}
    path = "/google.ads.googleads.v26.services.ConversionUploadService"
    ask(sandbox.sandbox_server_urls["control"], "POST /faults", {**fault, "path": path})
    environment = {
        **os.environ,
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(sandbox.certificate),
        "GOOGLE_ADS_USE_PROTO_PLUS": "true",
        "GOOGLE_ADS_JSON_KEY_FILE_PATH": str(sandbox.key_file),
        "GOOGLE_ADS_ENDPOINT": urlsplit(sandbox.sandbox_server_urls["google_ads_tls"]).netloc,
        "GOOGLE_ADS_LOGIN_CUSTOMER_ID": "1112223333",
    }
    done = subprocess.run(
        [sys.executable, "-c", CLIENT], env=environment, capture_output=True, timeout=LONGEST_SECONDS, check=False
    )

    assert 0 == done.returncode, done.stderr.decode()
    assert {
        "results": ["click-0", ""],
        "errors": [[1, "EVENT_NOT_FOUND"]],
        "actions": ["UPLOAD_CLICKS", "UPLOAD_CLICKS", "UPLOAD_CLICKS", "WEBPAGE"],
        "refused": ["PARTIAL_FAILURE_MODE_REQUIRED", True],
        "wait": 90.0,
    } == json.loads(done.stdout)
