"""A company's leads and their histories, generated from a seed."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Self

from connectors.sandbox.population.lives import (
    LATE,
    PARIS,
    REPEATED,
    SHARES,
    Dice,
    SimulatedLeadChange,
    draw_creation_time,
    draw_sale,
    draw_status_changes,
    hourly_arrival_weights,
    office_time,
)
from connectors.sandbox.population.visitors import (
    GOOGLE_KINDS,
    META_KINDS,
    Person,
    VisitTrace,
    draw_click_trace,
    invent_person,
)

CHANNELS: Final = ("Site web", "Téléphone", "Salon", "Meta")
AGENCIES: Final = ("Nantes", "Rennes", "Lyon")
ODD_CONSENTS: Final = ("à confirmer", "OK tél", "peut-être", "voir commentaire", "1", "?")
WON: Final = "Gagné"
_SECOND: Final = timedelta(seconds=1)
_DAY: Final = timedelta(days=1)
_NOTICE: Final = 2 * _DAY
"""The quiet period before a record is deleted, so that a nightly run sees its last change."""


@dataclass(frozen=True, slots=True)
class SimulatedLead:
    """One lead over its whole life: what the CRM shows, and the ground truth whatever it shows."""

    id: str
    channel: str
    agency: str
    """The first agency it is assigned to."""
    person: Person
    trace: VisitTrace
    lead_data: Mapping[str, str | None]
    kinds: Mapping[str, str]
    """Its kind for each property in `SHARES`."""
    created: datetime
    changes: tuple[SimulatedLeadChange, ...]
    """Every change, including future ones, oldest first; none after its deletion."""
    amount: Decimal | None
    """The sale's amount in euros, if the CRM ever shows it readably."""
    repeats: str | None = None
    """The id of the same person's earlier lead, from the same click: both are one sale."""
    deleted: datetime | None = None

    @property
    def knows_google_click(self) -> bool:
        """Whether a correct parser finds an id that is known to Google."""
        return self.kinds["click"] in GOOGLE_KINDS


@dataclass(frozen=True, slots=True)
class _Arrival:
    """One visit that creates a lead, the visitor's first or second."""

    visitor: int
    """The same number for the same person from the same click."""
    created: datetime
    channel: str
    kinds: Mapping[str, str]


def simulate_leads(dice: Dice, leads: int, begin: datetime, days: int) -> list[SimulatedLead]:
    """Generate the leads of this many days, in order of creation."""
    totals = {channel: hourly_arrival_weights(channel, begin, 24 * days) for channel in CHANNELS}
    again = leads * REPEATED // 1000
    arrived = []
    hands = {row: dice.deal_by_shares(shares, leads - again) for row, shares in SHARES.items()}
    for visitor in range(leads - again):
        kinds = {row: hand[visitor] for row, hand in hands.items()}
        channel = _channel(dice, kinds["click"])
        arrived.append(_Arrival(visitor, draw_creation_time(dice, begin, totals[channel]), channel, kinds))
    arrived += _pick_returning_visitors(dice, arrived, again, begin + days * _DAY)
    firsts: dict[int, SimulatedLead] = {}
    lives = []
    for number, arrival in enumerate(sorted(arrived, key=lambda arrival: arrival.created)):
        first = firsts.get(arrival.visitor)
        lives.append(
            _simulate_second_lead(dice, number, arrival, first) if first else _simulate_lead(dice, number, arrival)
        )
        firsts.setdefault(arrival.visitor, lives[-1])
    return lives


def _channel(dice: Dice, click: str) -> str:
    """Pick the channel of a lead with this kind of click id."""
    if click in META_KINDS:
        return "Meta"
    if click == "empty":
        return dice.pick(("Téléphone", "Téléphone", "Salon", "Site web"))
    if click in ("supplier_uuid", "supplier_reference"):
        return dice.pick(("Salon", "Site web"))
    return "Téléphone" if dice.random_below(20) == 0 else "Site web"


def _pick_returning_visitors(dice: Dice, arrived: Sequence[_Arrival], count: int, end: datetime) -> list[_Arrival]:
    """Pick visitors who clicked and whose record is kept, to return one to ten days later but before the end."""
    likely = [
        first
        for first in arrived
        if first.kinds["click"] in GOOGLE_KINDS | META_KINDS
        and (first.kinds["record"], first.kinds["shape"]) == ("kept", "sound")
        and first.created + _DAY < end
    ]
    chosen = dice.shuffled(likely)[:count]
    latest = [min(first.created + 10 * _DAY, end - _SECOND) - first.created for first in chosen]
    return [
        replace(first, created=first.created + timedelta(seconds=dice.random_between(_DAY // _SECOND, span // _SECOND)))
        for first, span in zip(chosen, latest, strict=True)
    ]


def _simulate_lead(dice: Dice, number: int, arrival: _Arrival) -> SimulatedLead:
    created, kinds = arrival.created, arrival.kinds
    person = invent_person(dice, number, kinds)
    trace = draw_click_trace(dice, kinds["click"], kinds["lag"], created)
    lead_data = _lead_data(dice, kinds, trace)
    changes, amount = draw_status_changes(dice, created, kinds["journey"]), None
    won = _won(changes)
    if won:
        priced, amount = draw_sale(dice, kinds["amount"], won)
        changes += [priced] if priced else []
    changes += _withdraw(dice, arrival)
    agency, other, *_ = dice.shuffled(AGENCIES)
    if kinds["record"] == "moved":
        changes.append(SimulatedLeadChange(office_time(dice, created, dice.random_between(1, 20)), agency=other))
    deleted = None
    if kinds["record"] == "deleted":
        deleted = office_time(dice, created, dice.random_between(3, 20))
        changes = [changes[0], *(change for change in changes[1:] if change.at + _NOTICE < deleted)]
        amount = amount if any(change.amount is not None for change in changes) else None
    return SimulatedLead(
        f"L-{10_000 + number}",
        arrival.channel,
        agency,
        person,
        trace,
        lead_data,
        kinds,
        created,
        changes=_in_order(changes),
        amount=amount,
        deleted=deleted,
    )


def _simulate_second_lead(dice: Dice, number: int, arrival: _Arrival, first: SimulatedLead) -> SimulatedLead:
    """Create the same person's second lead: its own way through the funnel, but the same sale at the end."""
    changes = draw_status_changes(dice, arrival.created, arrival.kinds["journey"])
    won, typed = _won(changes), [change.amount for change in first.changes if change.amount is not None]
    if won and typed:
        changes.append(SimulatedLeadChange(won + LATE if arrival.kinds["amount"] == "late" else won, amount=typed[0]))
    changes += _withdraw(dice, arrival)
    return replace(
        first, id=f"L-{10_000 + number}", created=arrival.created, changes=_in_order(changes), repeats=first.id
    )


def _in_order(changes: Iterable[SimulatedLeadChange]) -> tuple[SimulatedLeadChange, ...]:
    return tuple(sorted(changes, key=lambda change: change.at))


def _won(changes: Sequence[SimulatedLeadChange]) -> datetime | None:
    return next((change.at for change in changes if change.status == WON), None)


def _withdraw(dice: Dice, arrival: _Arrival) -> list[SimulatedLeadChange]:
    if arrival.kinds["consent"] != "withdrawn":
        return []
    return [SimulatedLeadChange(office_time(dice, arrival.created, dice.random_between(5, 30)), consent="non")]


def _lead_data(dice: Dice, kinds: Mapping[str, str], trace: VisitTrace) -> dict[str, str | None]:
    """Return the lead's initial `leadData`."""
    if kinds["consent"] == "absent":
        return {**trace.lead_data, **dice.pick(({}, {"consent": ""}, {"consent": None}))}
    consent = {"refused": "non", "odd": dice.pick(ODD_CONSENTS)}.get(kinds["consent"], "oui")
    personal = "non" if kinds["personalization"] == "refused" else consent
    return {**trace.lead_data, "consent": consent, "adPersonalization": personal}


FIRST_NIGHT: Final = datetime(2026, 9, 1, 3, 30, tzinfo=UTC)
"""05:30 in Paris on the demo's first morning."""

CUSTOMER: Final = "1234567890"
"""The Google Ads customer that owns every click."""


class InventedLeads:
    """An invented company's leads at any moment."""

    def __init__(self, lives: Sequence[SimulatedLead]) -> None:
        self._lives = lives
        self._moments = {life.id: [change.at for change in life.changes] for life in lives}
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
        """Generate leads created from `past_days` before `start` (aware) to `future_days` after it.

        Their statuses keep changing for some weeks after that.
        """
        if start.tzinfo is None:
            raise ValueError("start needs a time zone")
        dice = Dice(seed)
        begin = start.astimezone(UTC) - timedelta(days=past_days)
        return cls(simulate_leads(dice, leads, begin, past_days + future_days))

    def leads_including_deleted(self, now: datetime) -> Mapping[str, object]:
        """Return every lead created by `now` (aware), by id, oldest first, as Oplead serves it then; None if deleted.

        Times are Europe/Paris wall clock without an offset. A lead is a JSON object, except for a few broken ones.
        The objects are cached and shared; don't modify them.
        """
        reached = ((life, bisect_right(self._moments[life.id], now)) for life in self._lives)
        return {
            life.id: None if life.deleted and life.deleted <= now else self._serve(life, changes)
            for life, changes in reached
            if changes
        }

    def google_ad_clicks(self) -> dict[str, dict[str, str]]:
        """Return every Google ad click, past and future: click id → `clicked_at` (ISO 8601, UTC) and `customer`."""
        clicks = (life.trace.click for life in self._lives)
        return {
            click.value: {"clicked_at": click.at.isoformat(), "customer": CUSTOMER}
            for click in clicks
            if click and click.kind in ("gclid", "gbraid", "wbraid")
        }

    def ground_truth(self) -> Mapping[str, SimulatedLead]:
        """Return the ground truth about each lead, by id."""
        return {life.id: life for life in self._lives}

    def _serve(self, life: SimulatedLead, changes: int) -> object:
        known = self._served.get(life.id)
        if known is None or known[0] != changes:
            known = (changes, _damage_lead(life.kinds["shape"], _simulated_lead_json(life, life.changes[:changes])))
            self._served[life.id] = known
        return known[1]


def _simulated_lead_json(life: SimulatedLead, changes: Sequence[SimulatedLeadChange]) -> dict[str, object]:
    """Return the lead's JSON after these changes."""
    history = [{"status": change.status, "date": paris_wall_time(change.at)} for change in changes if change.status]
    amounts = [change.amount for change in changes if change.amount is not None]
    consents = [change.consent for change in changes if change.consent]
    agencies = [change.agency for change in changes if change.agency]
    lead_data = {**life.lead_data, "consent": consents[-1]} if consents else life.lead_data
    return {
        "id": life.id,
        "createdAt": paris_wall_time(life.created),
        "updatedAt": paris_wall_time(changes[-1].at),
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


def paris_wall_time(at: datetime) -> str:
    """Return the Paris wall-clock time: "2026-07-20 17:05:01"."""
    return at.astimezone(PARIS).strftime("%Y-%m-%d %H:%M:%S")


def _damage_lead(shape: str, lead: dict[str, object]) -> object:
    """Return the lead, damaged according to its `shape` kind."""
    match shape:
        case "no_id":
            return {name: value for name, value in lead.items() if name != "id"}
        case "created_nonsense":
            return lead | {"createdAt": "31/02/2026 25:61"}
        case "not_an_object":
            return "Fiche archivée"
        case _:
            return lead
