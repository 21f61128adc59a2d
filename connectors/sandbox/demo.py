"""The settings of the demonstration: one invented company, pointed at a sandbox."""

from collections.abc import Mapping
from pathlib import Path
from string import Template

DATASET = "1234567890"
"""The Meta dataset that the settings send to."""
_SETTINGS = Template("""\
# Written by the sandbox. Everything here is invented and stays on this machine.
account: maison-demo
timezone: Europe/Paris
currency: EUR
schedule: { daily: "05:30" }
# state: maison-demo.db, beside this file
clock: $clock

oplead:
  token: $${OPLEAD_TOKEN}
  base_url: $oplead

stages:
  appointment: [Rendez-vous, RDV pris]
  quote_sent: [Devis à relancer]
  won: [Gagné]
  lost: [Perdu, Sans suite]
ignored_statuses: [Nouveau, En cours, Nurserie]

click_ids: { bare: by_utm }
consent:
  ad_user_data: { field: leadData.consent, granted: [oui], refused: [non] }
  ad_personalization: { field: leadData.adPersonalization, granted: [oui], refused: [non] }
  missing: withhold

google_ads:
  customer_id: 123-456-7890
  login_customer_id: 111-222-3333
  transport: $google_transport
  credentials: $${GOOGLE_ADS_KEY_FILE}
  endpoint: $data_manager
  ads_api_endpoint: $google_ads
  audience: attributed
  contact_data: attach

meta:
  dataset_id: "$dataset"
  access_token: $${META_ACCESS_TOKEN}
  graph_url: $meta
  contact_data: attach
  funnel: { created: lead_received, appointment: appointment_set, won: sale }

conversions:
  - id: appointment
    name: Rendez-vous pris
    stage: appointment
    implied_by: [won]
    value: 60
    google_ads: { conversion_action: 987654321 }
    meta: { event: Schedule }
  - id: quote
    name: Devis envoyé
    stage: quote_sent
    value: 150
    google_ads: { conversion_action: 987654323 }
    meta: { event: SubmitApplication }
  - id: sale
    name: Vente signée
    stage: won
    value: { field: amount, tax: included, otherwise: 900 }
    google_ads: { conversion_action: { id: 987654322, click_window_days: 90 } }
    meta: { event: Purchase }
    undo_when: [lost]
""")


def settings(addresses: Mapping[str, str], google_transport: str = "data_manager") -> str:
    """The text of `pipeline.yaml`, with every server of the sandbox by its address.

    Args:
        addresses: the sandbox's.
        google_transport: by which of its APIs Google is told: data_manager or google_ads_api.
    """
    return _SETTINGS.substitute(addresses, dataset=DATASET, google_transport=google_transport)


def environment(oplead_token: str, key_file: Path, meta_token: str) -> str:
    """The text of `sandbox.env`: the variables that the settings refer to."""
    return f"OPLEAD_TOKEN={oplead_token}\nGOOGLE_ADS_KEY_FILE={key_file}\nMETA_ACCESS_TOKEN={meta_token}\n"
