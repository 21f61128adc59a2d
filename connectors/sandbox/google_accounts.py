"""The Google Ads accounts that the sandbox's Google knows, whichever of its APIs is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Action:
    """A conversion action, in the words of the Google Ads API; `created_at` is None for long ago."""

    kind: str = "UPLOAD_CLICKS"
    name: str = "Conversion"
    category: str = "QUALIFIED_LEAD"
    origin: str = "WEBSITE"
    primary: bool = True
    status: str = "ENABLED"
    click_window_days: int = 90
    one_per_click: bool = False
    always_default_value: bool = False
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A customer with its actions by id; the caller gets in through the `managers` and no other way."""

    managers: frozenset[str]
    actions: Mapping[str, Action]
    enhanced_conversions: bool = True
    enabled: bool = True
    currency: str = "EUR"
    time_zone: str = "Europe/Paris"
    no_default_goals: frozenset[str] = frozenset()
    """The categories whose goal is none of the account's defaults."""


DEFAULT_ACCOUNTS: Mapping[str, Account] = {
    "1234567890": Account(
        managers=frozenset({"1112223333"}),
        actions={
            "987654321": Action(name="Rendez-vous pris"),
            "987654322": Action(name="Vente signée", category="CONVERTED_LEAD"),
            "987654323": Action(name="Devis envoyé"),
            "987654399": Action(name="Formulaire", kind="WEBPAGE", category="SUBMIT_LEAD_FORM"),
        },
    ),
}
"""One customer with its appointment, sale and quote actions, and one action of the wrong type."""
