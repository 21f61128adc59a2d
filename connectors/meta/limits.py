"""What Meta's Conversions API takes, as data; whoever asks loads nothing of Meta's library."""

from datetime import date, timedelta

from connectors.records import ApiVersion, ClickIdKind, Limits

_MARGIN = timedelta(hours=4)
"""Less than Meta allows: one event that grows too old on its way takes its whole request with it."""


GRAPH_API = ApiVersion(
    "Graph API v26.0",
    # The Conversions API ends with the Marketing API's versions, about a year after each came out, and not with
    # Graph's two years. No day is named for v26.0 of 2026-07-29; the last three lived 370 days at least.
    date(2027, 8, 3),
    "https://developers.facebook.com/docs/marketing-api/marketing-api-changelog/versions",
    is_estimate=True,
)
"""The version spoken."""


META = Limits(
    # https://developers.facebook.com/documentation/ads-commerce/conversions-api/using-the-api
    batch=1000,
    click_ids=(ClickIdKind.LEAD_ID, ClickIdKind.FBC, ClickIdKind.FBCLID),
    interchangeable=frozenset({ClickIdKind.FBC, ClickIdKind.FBCLID}),
    contact_beside=frozenset({ClickIdKind.LEAD_ID, ClickIdKind.FBC, ClickIdKind.FBCLID}),
    opens_after_click=timedelta(0),
    # Meta names no age at which a click or a person is forgotten. The year is ours, so that ids do not stay for ever.
    click_window=timedelta(days=365),
    contact_window=timedelta(days=365),
    # It has no field for consent, so personalisation cannot be refused to it while the rest is granted.
    needs_personalization=True,
    resolve_after=timedelta(0),
    # "If any event_time in data is greater than 7 days in the past, we return an error for the entire request"
    # https://developers.facebook.com/documentation/ads-commerce/conversions-api/parameters/server-event
    event_window=timedelta(days=7) - _MARGIN,
    # https://developers.facebook.com/documentation/ads-commerce/conversions-api/offline-events
    source_windows={"physical_store": timedelta(days=62) - _MARGIN},
    # One event_id and event_name count once for 48 hours, promised for a browser's event and a server's only.
    # https://developers.facebook.com/documentation/ads-commerce/conversions-api/deduplicate-pixel-and-server-events
    replay_within=timedelta(hours=48),
    # "Do not attempt to backfill more than 7 days by modifying event_time"
    # https://developers.facebook.com/docs/marketing-api/conversions-api/conversion-leads-integration/payload-specification
    takes_assumed_times=False,
    version=GRAPH_API,
)
"""The Conversions API's."""
