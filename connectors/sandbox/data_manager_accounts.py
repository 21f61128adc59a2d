"""The Google Ads accounts the sandbox's Data Manager knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Action:
    """A conversion action; `kind` is the Google Ads API's type, `created_at` None for long ago."""

    kind: str = "UPLOAD_CLICKS"
    click_window_days: int = 90
    one_per_click: bool = False
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A customer with its actions by id; the caller gets in through the `managers` and no other way."""

    managers: frozenset[str]
    actions: Mapping[str, Action]
    enhanced_conversions: bool = True


DEFAULT_ACCOUNTS: Mapping[str, Account] = {
    "1234567890": Account(
        managers=frozenset({"1112223333"}),
        actions={
            "987654321": Action(),
            "987654322": Action(),
            "987654323": Action(),
            "987654399": Action(kind="WEBPAGE"),
        },
    ),
}
"""One customer with its appointment, sale and quote actions, and one action of the wrong type."""
