"""The leads of an invented French home-improvement company, and how they fare over time.

Pure and seeded: the same arguments give the same leads to the byte, on any Python and any machine.
What kinds of lead there are, and how many of each, is in `population_shares`. Nothing in a lead's JSON says
its kind; `Population.truth` does.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from connectors.sandbox.population_dice import Dice
from connectors.sandbox.population_funnel import PARIS, Change
from connectors.sandbox.population_lives import Life, Truth, live

FIRST_NIGHT: Final = datetime(2026, 9, 1, 3, 30, tzinfo=UTC)
"""05:30 in Paris on the first morning that a demonstration plays."""

CUSTOMER: Final = "1234567890"
"""The Google Ads customer that owns every click."""


class Population:
    """The invented company's leads at any moment."""

    def __init__(self, lives: Sequence[Life]) -> None:
        self._lives = lives
        self._moments = {life.id: [change.at for change in life.truth.changes] for life in lives}
        self._served: dict[str, tuple[int, object]] = {}

    @classmethod
    def generate(
        cls,
        seed: int,
        leads: int = 1500,
        start: datetime = FIRST_NIGHT,
        past_days: int = 76,
        future_days: int = 14,
    ) -> Self:
        """Leads created from `past_days` before `start` (aware) until `future_days` after it.

        Their statuses go on changing for some weeks after that.
        """
        if start.tzinfo is None:
            raise ValueError("start needs a time zone")
        dice = Dice(seed)
        begin = start.astimezone(UTC) - timedelta(days=past_days)
        return cls(live(dice, leads, begin, past_days + future_days))

    def leads_at(self, now: datetime) -> Mapping[str, object]:
        """Every lead that exists at `now` (aware), by its id, oldest first, as Oplead serves it then.

        Times are Europe/Paris wall clock without a zone. A lead is a JSON object, but for a few broken ones.
        The objects are kept and served again: not to be written to.
        """
        return {lead_id: lead for lead_id, lead in self.records_at(now).items() if lead is not None}

    def records_at(self, now: datetime) -> Mapping[str, object]:
        """The same, with None in the place of every lead that was deleted."""
        reached = ((life, bisect_right(self._moments[life.id], now)) for life in self._lives)
        return {
            life.id: None if life.truth.deleted and life.truth.deleted <= now else self._serve(life, changes)
            for life, changes in reached
            if changes
        }

    def clicks(self) -> dict[str, dict[str, str]]:
        """Every click on a Google ad, past and to come: click id → `clicked_at` (ISO, UTC) and `customer`."""
        clicks = (life.truth.click for life in self._lives)
        return {
            click.value: {"clicked_at": click.at.isoformat(), "customer": CUSTOMER}
            for click in clicks
            if click and click.kind in ("gclid", "gbraid", "wbraid")
        }

    def truth(self) -> Mapping[str, Truth]:
        """What is meant by each lead, by its id."""
        return {life.id: life.truth for life in self._lives}

    def _serve(self, life: Life, changes: int) -> object:
        known = self._served.get(life.id)
        if known is None or known[0] != changes:
            known = (changes, _broken(life.truth.kinds["shape"], _wire(life, life.truth.changes[:changes])))
            self._served[life.id] = known
        return known[1]


def _wire(life: Life, changes: Sequence[Change]) -> dict[str, object]:
    """The lead's JSON after these changes."""
    history = [{"status": change.status, "date": wall_clock(change.at)} for change in changes if change.status]
    amounts = [change.amount for change in changes if change.amount is not None]
    consents = [change.consent for change in changes if change.consent]
    agencies = [change.agency for change in changes if change.agency]
    lead_data = {**life.lead_data, "consent": consents[-1]} if consents else life.lead_data
    return {
        "id": life.id,
        "createdAt": wall_clock(life.truth.created),
        "updatedAt": wall_clock(changes[-1].at),
        "status": history[-1]["status"],
        "statusDate": history[-1]["date"],
        "statusHistory": history,
        "leadData": lead_data,
        "contact": life.person.contact,
        "address": life.person.address,
        **({"amount": amounts[-1]} if amounts else {}),
        "channel": life.channel,
        "agency": agencies[-1] if agencies else life.agency,
    }


def wall_clock(at: datetime) -> str:
    """The time as a clock in Paris shows it: "2026-07-20 17:05:01"."""
    return at.astimezone(PARIS).strftime("%Y-%m-%d %H:%M:%S")


def _broken(shape: str, lead: dict[str, object]) -> object:
    """The lead, damaged the way its shape says."""
    match shape:
        case "no_id":
            return {name: value for name, value in lead.items() if name != "id"}
        case "created_nonsense":
            return lead | {"createdAt": "31/02/2026 25:61"}
        case "not_an_object":
            return "Fiche archivée"
        case _:
            return lead
