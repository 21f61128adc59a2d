"""Every rule about adjustments of conversions of the sandbox's Google Ads API, in the form of `rules`."""

from pathlib import Path

from connectors.sandbox.google.ads_api.rules import AdsApiRule
from connectors.sandbox.rules import named, read_rules

_TABLE = read_rules(Path(__file__).with_suffix(".csv"), AdsApiRule, "google_ads")
RULES: tuple[AdsApiRule, ...] = tuple(_TABLE.values())
"""All of them, in the order of the table."""


def __getattr__(name: str) -> AdsApiRule:
    """A rule by its name in the table."""
    return named(_TABLE, name)
