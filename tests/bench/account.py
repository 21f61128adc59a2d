"""Accounts to measure: their settings, and what they have in common."""

import json
import sqlite3
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

SETTINGS = """\
account: {name}
timezone: Europe/Paris
currency: EUR
state: sqlite:///{state}
oplead:
  token: ${{{token}}}
  base_url: {oplead}
  rate: {rate}
  pagination: {{ style: page, size_param: limit, size: {page} }}
  {pull}
stages: {{ appointment: [Rendez-vous], quote: [Devis], won: [Gagné], lost: [Perdu] }}
ignored_statuses: [Nouveau]
consent:
  ad_user_data: {{ field: leadData.consent, granted: [oui], refused: [non] }}
  ad_personalization: {{ field: leadData.adPersonalization, granted: [oui], refused: [non] }}
  missing: withhold
"""
SINCE = "since_filter: { param: since }"
LIST = "pull: list"
GOOGLE = """\
google_ads:
  customer_id: 123-456-7890
  transport: {transport}
  credentials: ${{KEY}}
  endpoint: {http}
  ads_api_endpoint: {grpc}
"""
META = """\
meta:
  dataset_id: "1234567890"
  access_token: ${{META}}
  graph_url: {http}
"""
CONVERSIONS = (
    ("appointment", "appointment", "60", "987654322", "Schedule"),
    ("quote", "quote", "150", "987654323", "SubmitApplication"),
    ("sale", "won", "{ field: amount, tax: included, otherwise: 900 }", "987654321", "Purchase"),
)
RATE = 90
"""Requests a minute."""
PAGE = 100


@dataclass(frozen=True)
class Platforms:
    """The stand-ins, as a benchmark sees them."""

    addresses: dict
    key: Path

    def get(self, path):
        """What they answer."""
        with urllib.request.urlopen(f"{self.addresses['http']}{path}", timeout=60) as answer:  # noqa: S310 - on this machine
            return json.load(answer)


@dataclass(frozen=True)
class Account:
    """One account's files in a folder."""

    folder: Path
    platforms: Platforms
    name: str = "maison-test"

    @property
    def settings(self):
        """The settings file."""
        return self.folder / f"{self.name}.yaml"

    @property
    def state(self):
        """The ledger's file."""
        return self.folder / f"{self.name}.db"

    @property
    def environ(self):
        """The secrets; each account has a token, and so a pace, of its own."""
        return {self._token: f"token-of-{self.name}", "KEY": str(self.platforms.key), "META": "EAAbench"}

    @property
    def _token(self):
        return f"TOKEN_{self.name.replace('-', '_').upper()}"

    def write(
        self, oplead, *, google="data_manager", meta=False, conversions=("sale",), pull=LIST, page=PAGE, **sending
    ):
        """Write the settings: where its leads are, where each of its conversions goes, and keys of each destination."""
        addresses = self.platforms.addresses
        parts = [
            SETTINGS.format(
                name=self.name,
                token=self._token,
                state=self.state,
                oplead=f"{addresses['http']}/{oplead}",
                rate=RATE,
                page=page,
                pull=pull,
            )
        ]
        more = "".join(f"  {key}: {value}\n" for key, value in sending.items())
        if google:
            parts += [GOOGLE.format(transport=google, **addresses), more]
        if meta:
            parts += [META.format(**addresses), more]
        parts.append("conversions:\n")
        for conversion, stage, value, action, event in CONVERSIONS:
            if conversion in conversions:
                parts.append(f"  - {{ id: {conversion}, stage: {stage}, since: 2020-01-01, value: {value}")
                parts.append(f", google_ads: {{ conversion_action: {action} }}" if google else "")
                parts.append(f", meta: {{ event: {event} }}" if meta else "")
                parts.append(" }\n")
        self.settings.write_text("".join(parts), encoding="utf-8")
        return self

    def copy_of(self, other):
        """Take over another account's ledger, under this one's name."""
        copy_state(other.state, self.state)
        with closing(sqlite3.connect(self.state)) as ledger, ledger:
            tables = [name for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                columns = {row[1] for row in ledger.execute(f'PRAGMA table_info("{table}")')}
                if "account" in columns:
                    ledger.execute(f'UPDATE "{table}" SET account = ?', (self.name,))  # noqa: S608 - our own tables
        return self


def copy_state(source, target):
    """Copy a ledger."""
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
