"""What the sandbox's Google Ads API remembers beside what all of Google knows."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.sandbox.google import Google
from connectors.sandbox.google_ads_errors import Problem, Refusal
from connectors.sandbox.google_ads_jobs import Job, read_job
from connectors.sandbox.google_ads_rulings import Ruling, read_rulings

SWITCHES: Mapping[str, tuple[object, ...]] = {
    "ads_api_allowlisted": (True, False),
    "ads_api_enhanced": ("on", "off", "terms_not_accepted", "prohibited"),
    "ads_api_cross_dedup": (False, True),
    "ads_api_click_dedup": ("without_order_id", "always"),
    "ads_api_duplicates": ("later", "all"),
    "ads_api_echo": (False, True),
    "adjustments_allowlisted": (True, False),
    "adjustments_unknown": ("never", "unreadable", "internal"),
    "cross_api_adjustments": (True, False),
}
"""Settings of the account, and what could change a fate and is not certain: the positions, default first."""
REFUSALS_KEPT = 1_000
_LISTS = ("conversions", "conversion_adjustments")


class Memory:
    """Switches, planted rulings, uploads and refusals. Not thread-safe: its owner holds Google's lock."""

    def __init__(self, google: Google) -> None:
        self.google = google
        self.switches: dict[str, object] = {name: positions[0] for name, positions in SWITCHES.items()}
        self.rulings: dict[str, tuple[Ruling, ...]] = {}
        self.jobs: list[Job] = []
        self.refused: deque[dict[str, str]] = deque(maxlen=REFUSALS_KEPT)
        self.counts: Counter[str] = Counter()
        self._documents: dict[str, object] = {}
        """The rulings as they were planted."""

    def switch(self, name: str, value: object) -> None:
        """Turn one switch; ValueError where it has no such position."""
        positions = SWITCHES.get(name, ())
        if not any(type(value) is type(each) and value == each for each in positions):
            raise ValueError(f"{name} is one of {', '.join(map(str, positions))}")
        self.switches[name] = value
        self.google.across_apis = bool(self.switches["ads_api_cross_dedup"])

    def setting(self, name: str) -> str:
        """Where a switch with named positions stands."""
        return str(self.switches[name])

    def plant(self, rulings: Mapping[str, object]) -> None:
        """Keep rulings; ValueError where one has another shape, and none is kept then."""
        self.rulings.update({key: read_rulings(each) for key, each in rulings.items()})
        self._documents.update(rulings)

    def refuse(self, refusal: Refusal, at: datetime) -> None:
        """Remember that a whole call was refused."""
        self.counts["refused"] += 1
        self.note(refusal.problems or (Problem("", refusal.status, refusal.message),), at)

    def note(self, problems: Sequence[Problem], at: datetime, **where: str) -> None:
        """Remember errors, for those who look at the page."""
        for each in problems:
            field = ".".join(name for name, _ in each.place if name not in _LISTS)
            self.refused.append(
                {"at": at.isoformat(), "when": "submit", "reason": str(each.code), "field": field, **where}
            )

    def dump(self) -> dict[str, Any]:
        """All of it, as JSON; clicks and book are with the Data Manager."""
        return {
            "switches": dict(self.switches),
            "rulings": dict(self._documents),
            "jobs": [job.json() for job in self.jobs],
            "refused": list(self.refused),
            "counts": dict(self.counts),
        }

    def load(self, dumped: Mapping[str, Any]) -> None:
        """Become what `dump` told of."""
        for name, value in dumped["switches"].items():
            self.switch(name, value)
        self.plant(dumped["rulings"])
        self.jobs = [read_job(each) for each in dumped["jobs"]]
        self.refused = deque(dumped["refused"], maxlen=REFUSALS_KEPT)
        self.counts = Counter(dumped["counts"])
