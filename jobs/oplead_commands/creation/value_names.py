"""The names of the values with which a lead is created or changed."""

from collections.abc import Mapping

from connectors.records import ClickIdKind

META_LEAD_ID = "meta_lead_id"
CLICK_IDS: Mapping[str, ClickIdKind] = {
    META_LEAD_ID if kind is ClickIdKind.LEAD_ID else kind.value: kind for kind in ClickIdKind
}
"""The name of each kind of click id among the values; Meta's lead id is not confused with a lead's."""
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
    **{name: f"Click id: {kind}" for name, kind in CLICK_IDS.items()},
    "clicked_at": "When the click was, as 2026-09-01T14:05:00+02:00",
    "external_id": "Text for leadData.externalID, in place of click ids",
}
"""Every value by name, with what it is."""
