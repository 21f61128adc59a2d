"""The names of the values with which a lead is created or changed."""

from collections.abc import Mapping

CLICK_ID_KINDS: Mapping[str, str] = {
    "gclid": "gclid",
    "gbraid": "gbraid",
    "wbraid": "wbraid",
    "fbclid": "fbclid",
    "fbc": "fbc",
    "fbp": "fbp",
    "meta_lead_id": "lead_id",
    "msclkid": "msclkid",
    "ttclid": "ttclid",
    "li_fat_id": "li_fat_id",
}
"""Each kind of click id by its name among the values; Meta's lead id is not confused with a lead's.

Written out, because `--help` lists them and need not load the records.
"""
VALUES: Mapping[str, str] = {
    "email": "E-mail address",
    "phone": "Phone number",
    "first_name": "First name",
    "last_name": "Last name",
    "postcode": "Postcode",
    "city": "City",
    "country": "Country, as FR",
    "utm_source": "UTM source",
    "utm_medium": "UTM medium",
    "utm_campaign": "UTM campaign",
    "provider_name": "The supplier's name (provider.name)",
    "provider_url": "Where Oplead reports what becomes of this lead (provider.url)",
    **{name: f"Click id: {kind}" for name, kind in CLICK_ID_KINDS.items()},
    "clicked_at": "When the click was, as 2026-11-30T14:05:00+01:00 or 30/11/2026 14:05",
    "external_id": "Text for leadData.externalID, in place of click ids",
}
"""Every value by name, with what it is."""
