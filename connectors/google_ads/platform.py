"""What Google accepts and how it answers, whichever transport carries it; imports no Google library."""

import re
from dataclasses import replace
from datetime import date, timedelta

from connectors.records import (
    AdjustmentKind,
    ApiVersion,
    ClickIdKind,
    Contact,
    ContactIdentifierKind,
    CorrectionSupport,
    Identifier,
    Outcome,
    OutcomeClass,
    SinkLimits,
)

SHORTEST_DEFERRAL = timedelta(hours=6)
"""Minimum wait before retrying a click or action that is too recent.

The Google Ads API documents TOO_RECENT_EVENT as "less than 6 hours ago. Retry after 6 hours".
"""

_CLICK_IDS = (ClickIdKind.GCLID, ClickIdKind.GBRAID, ClickIdKind.WBRAID)

_ADJUSTABLE = timedelta(days=54)
"""CONVERSION_EXPIRED is documented as "more than 54 days ago"; the Data Manager API documents no limit."""

CORRECTIONS = {
    # No retractions: https://developers.google.com/data-manager/api/devguides/events/google-ads/offline/upgrade
    "data_manager": CorrectionSupport(
        kinds=frozenset({AdjustmentKind.RESTATEMENT}),
        within=_ADJUSTABLE,
        batch=2000,
        by_resending=True,
    ),
    # "work with GCLIDs and GBRAIDs, but don't work with WBRAIDs":
    # https://developers.google.com/google-ads/api/docs/conversions/upload-adjustments
    "google_ads_api": CorrectionSupport(
        kinds=frozenset(AdjustmentKind),
        within=_ADJUSTABLE,
        batch=2000,
        by_resending=False,
        except_by=frozenset({ClickIdKind.WBRAID}),
    ),
}
"""Corrections by transport; each is available whichever transport is configured for conversions."""

DATA_MANAGER = SinkLimits(
    # https://developers.google.com/data-manager/api/devguides/limits
    batch=2000,
    click_ids=_CLICK_IDS,
    contact_with=frozenset(_CLICK_IDS),
    opens_after_click=SHORTEST_DEFERRAL,
    # https://support.google.com/google-ads/answer/10029210: 90 days by click id, 63 by contact data
    click_window=timedelta(days=90),
    contact_window=timedelta(days=63),
    needs_personalization=False,
    # https://developers.google.com/data-manager/api/devguides/diagnostics
    resolve_after=timedelta(minutes=30),
    corrects=CORRECTIONS,
)
"""Data Manager API; no sunset of its v1 is announced."""

_SUNSETS = "https://developers.google.com/google-ads/api/docs/sunset-dates"

ADS_API_VERSIONS = {
    # The page gives a month; assume the version is refused from its first day.
    "v23": ApiVersion("Google Ads API v23", date(2027, 2, 1), _SUNSETS),
    "v24": ApiVersion("Google Ads API v24", date(2027, 5, 1), _SUNSETS),
    "v25": ApiVersion("Google Ads API v25", date(2027, 8, 1), _SUNSETS),
    "v26": ApiVersion("Google Ads API v26", date(2027, 11, 1), _SUNSETS),
}
"""Versions included in the pinned library."""

ADS_API = replace(
    DATA_MANAGER,
    # Integrators report gbraid and wbraid being refused alongside contact data:
    # https://github.com/segmentio/action-destinations/pull/2365
    contact_with=frozenset({ClickIdKind.GCLID}),
    resolve_after=timedelta(0),
    version=ADS_API_VERSIONS["v26"],
)
"""Google Ads API `UploadClickConversions`: 2,000 conversions per request, answered with every outcome.

https://developers.google.com/google-ads/api/docs/conversions/upload-offline
"""

DONE = Outcome(OutcomeClass.DONE, "SUCCESS")
VALIDATED = Outcome(OutcomeClass.DONE, "VALIDATED")
"""Outcome of rows that passed a validate-only request."""

REQUEST_ID = re.compile(r"[\w.:/=+-]{1,200}", re.ASCII)
"""Request ids that are safe to store and display."""

INCONCLUSIVE_STATUSES = frozenset({"CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""Statuses of a server failure, possibly after everything was recorded, whatever details the error carries.

https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
"""

LIMITS = {"data_manager": DATA_MANAGER, "google_ads_api": ADS_API}
"""What each transport takes."""
MOST_IDENTIFIERS = {"data_manager": 10, "google_ads_api": 5}
"""Maximum per event: https://developers.google.com/data-manager/api/devguides/limits, and in
`ClickConversion.user_identifiers`."""

# Addresses (names, postcode, country) are deliberately not sent. The Data Manager API accepts them, and its guide shows
# one: https://developers.google.com/data-manager/api/devguides/events/send-events. But no page says that click
# conversions match on them, the Google Ads API refuses them there, and postcode and country go unhashed: they would be
# readable in the ledger and in frozen bytes, which otherwise hold only hashes of contact data. Revisit if Google
# documents that offline conversions match on addresses and the owner accepts readable postcodes on disk.
_DOTLESS = {"gmail.com", "googlemail.com"}


def hash_contact(contact: Contact) -> tuple[Identifier, ...]:
    """Return up to ten distinct identifiers: e-mail addresses, then phone numbers, normalised for Google.

    https://developers.google.com/data-manager/api/devguides/concepts/formatting
    """
    from connectors.contact import clean_emails, clean_phones  # noqa: PLC0415 - the numbering plans of the world are slow to load

    emails = dict.fromkeys(normalize_email(address) for address in clean_emails(contact.emails))
    phones = clean_phones(contact.phones, country=contact.country)
    found = [Identifier.hash_normalized_value(ContactIdentifierKind.EMAIL, address) for address in emails if address]
    found += [Identifier.hash_normalized_value(ContactIdentifierKind.PHONE, number) for number in phones]
    return tuple(found[: MOST_IDENTIFIERS["data_manager"]])


def normalize_email(address: str) -> str | None:
    """Lower-case an address and strip spaces, and for Gmail also dots and `+suffix`, which Gmail ignores.

    Returns None if the local part ends up empty.
    """
    local, _, domain = "".join(address.lower().split()).rpartition("@")
    if domain in _DOTLESS:
        local = local.partition("+")[0].replace(".", "")
    return f"{local}@{domain}" if local else None
