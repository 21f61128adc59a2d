"""What reached the platforms: every upload they handled, read back from the wire."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import parse_qs

INGEST = "/v1/events:ingest"
UPLOAD = "/google.ads.googleads.v26.services.ConversionUploadService/UploadClickConversions"
ADJUST = "/google.ads.googleads.v26.services.ConversionAdjustmentUploadService/UploadConversionAdjustments"
GRAPH = "/v26.0/"


@dataclass(frozen=True)
class Post:
    """One upload to Meta."""

    dataset: str
    tokens: frozenset
    """Every access token in the request, wherever it was."""
    events: tuple
    status: int
    raw: bytes = field(repr=False)
    """The whole request: address, headers, body."""


@dataclass(frozen=True)
class Call:
    """One upload to the Google Ads API."""

    rows: tuple
    """The vendor's `ClickConversion` messages."""
    is_answered: bool
    """Whether rows were judged; otherwise the call was refused."""


class Traffic:
    """The uploads over a sandbox's life; those that a fault kept from a platform are absent.

    Attributes:
        ingests: the (body, status) of every upload that Data Manager handled, in order.
        calls: those that the Google Ads API handled.
        posts: those that Meta handled.
        adjusted: every correction that the Google Ads API received, once for each upload.
    """

    def __init__(self):
        self.ingests = []
        self.calls = []
        self.posts = []
        self.adjusted = []

    def data_manager(self, request, handler):
        """Let Data Manager handle an upload, and record it."""
        answer = handler(request)
        self.ingests.append((json.loads(request.body), answer.status))
        return answer

    def google_ads(self, call, handler):
        """Let the Google Ads API handle an upload, and record it."""
        # The vendor's messages load slowly, and most sandboxes never need them.
        from google.ads.googleads.v26.services.types import conversion_upload_service as service  # noqa: PLC0415

        answer = handler(call)
        request = service.UploadClickConversionsRequest.pb().FromString(call.message)
        self.calls.append(Call(tuple(request.conversions), is_answered=isinstance(answer, bytes)))
        return answer

    def adjustments(self, call, handler):
        """Let the Google Ads API handle corrections, and record them."""
        from google.ads.googleads.v26.services.types import (  # noqa: PLC0415 - as above
            conversion_adjustment_upload_service as service,
        )

        request = service.UploadConversionAdjustmentsRequest.pb().FromString(call.message)
        self.adjusted += request.conversion_adjustments
        return handler(call)

    def meta(self, request, handler):
        """Let Meta handle a request, and record it if it is an upload."""
        answer = handler(request)
        if request.method == "POST":
            self.posts.append(_post(request, answer.status))
        return answer

    def sent(self, api="data_manager"):
        """Every event an API received, by key, once for each upload."""
        shown = {
            "data_manager": ((one["transactionId"], one) for body, _ in self.ingests for one in body["events"]),
            "google_ads": ((row.order_id, row) for call in self.calls for row in call.rows),
            "meta": ((one["event_id"], one) for post in self.posts for one in post.events),
        }
        events = defaultdict(list)
        for key, event in shown[api]:
            events[key].append(event)
        return events

    def changed(self, corrected):
        """Keys under which an API received different events, one sentence each.

        Args:
            corrected: how often the ledger sent Data Manager another value under a key, which is a correction.
        """
        return [
            f"{api} {key}: sent again with other contents"
            for api in ("data_manager", "google_ads", "meta")
            for key, events in self.sent(api).items()
            if sum(event != before for before, event in pairwise(events)) > corrected[key] * (api == "data_manager")
        ]


def _post(request, status):
    form = parse_qs(request.body.decode())
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    tokens = {*form.get("access_token", ()), *request.query.get("access_token", ()), bearer} - {""}
    (data,) = form["data"]
    events = tuple(json.loads(one) if isinstance(one, str) else one for one in json.loads(data))
    raw = f"{request.path} {request.query} {request.headers}".encode() + request.body
    return Post(request.path.split("/")[2], frozenset(tokens), events, status, raw)
