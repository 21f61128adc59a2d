"""The leads of an invented French home-improvement company, and how they fare over time.

Pure and seeded: the same arguments give the same leads to the byte, on any Python and any machine.
What kinds of lead there are, and how many of each, is in `population_shares`. Nothing in a lead's JSON says
its kind; `Population.truth` does.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Self

from connectors.sandbox.population_clicks import GOOGLE_KINDS, META_KINDS, Click, Trace, leave_trace
from connectors.sandbox.population_dice import Dice
from connectors.sandbox.population_funnel import PARIS, Change, arrivals, arrive, office_time, sale, walk
from connectors.sandbox.population_people import Person, invent
from connectors.sandbox.population_shares import SHARES

FIRST_NIGHT: Final = datetime(2026, 9, 1, 3, 30, tzinfo=UTC)
"""05:30 in Paris on the first morning that a demonstration plays."""

CUSTOMER: Final = "1234567890"
"""The Google Ads customer that owns every click."""

_CHANNELS: Final = ("Site web", "Téléphone", "Salon", "Meta")
_ODD_CONSENTS: Final = ("à confirmer", "OK tél", "peut-être", "voir commentaire")


@dataclass(frozen=True, slots=True)
class Truth:
    """What is meant by one lead, whatever its JSON makes of it."""

    kinds: Mapping[str, str]
    """Its kind in each row of `SHARES`."""
    created: datetime
    changes: tuple[Change, ...]
    """Every dated change, oldest first, those still to come among them."""
    click: Click | None
    """The click that brought the visitor."""
    readable: tuple[tuple[str, str], ...]
    """The (kind, id) pairs a careful reader finds in `externalID`."""
    knows_google_click: bool
    """Whether one of those is an id that Google knows."""
    amount: Decimal | None
    """The euros of its sale, where the CRM ever tells them readably."""
    email: str | None = field(repr=False)
    """The address meant, in lower case."""
    phones: tuple[str, ...] = field(repr=False)
    """The valid numbers meant, as E.164."""


@dataclass(frozen=True, slots=True)
class _Life:
    """One lead over all its time."""

    id: str
    channel: str
    person: Person
    lead_data: Mapping[str, str | None]
    truth: Truth


class Population:
    """The invented company's leads at any moment."""

    def __init__(self, lives: Sequence[_Life]) -> None:
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
        hours = 24 * (past_days + future_days)
        totals = {channel: arrivals(channel, begin, hours) for channel in _CHANNELS}
        arrived = []
        for kinds in _deal(dice, leads):
            channel = _channel(dice, kinds["click"])
            arrived.append((arrive(dice, begin, totals[channel]), channel, kinds))
        arrived.sort(key=lambda lead: lead[0])
        return cls([_live(dice, number, *lead) for number, lead in enumerate(arrived)])

    def leads_at(self, now: datetime) -> Mapping[str, object]:
        """Every lead that exists at `now` (aware), by its id, oldest first, as Oplead serves it then.

        Times are Europe/Paris wall clock without a zone. A lead is a JSON object, but for a few broken ones.
        The objects are kept and served again: not to be written to.
        """
        reached = ((life, bisect_right(self._moments[life.id], now)) for life in self._lives)
        return {life.id: self._serve(life, changes) for life, changes in reached if changes}

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

    def _serve(self, life: _Life, changes: int) -> object:
        known = self._served.get(life.id)
        if known is None or known[0] != changes:
            known = (changes, _broken(life.truth.kinds["shape"], _wire(life, life.truth.changes[:changes])))
            self._served[life.id] = known
        return known[1]


def _deal(dice: Dice, leads: int) -> list[dict[str, str]]:
    """The kinds of each lead: one of every row of `SHARES`."""
    hands = {row: dice.deal(shares, leads) for row, shares in SHARES.items()}
    return [{row: hand[lead] for row, hand in hands.items()} for lead in range(leads)]


def _channel(dice: Dice, click: str) -> str:
    """Where a lead with such a click id comes from."""
    if click in META_KINDS:
        return "Meta"
    if click == "empty":
        return dice.pick(("Téléphone", "Téléphone", "Salon", "Site web"))
    if click == "supplier_uuid":
        return dice.pick(("Salon", "Site web"))
    return "Téléphone" if dice.below(20) == 0 else "Site web"


def _live(dice: Dice, number: int, created: datetime, channel: str, kinds: Mapping[str, str]) -> _Life:
    person = invent(dice, number, kinds)
    trace = leave_trace(dice, kinds["click"], kinds["lag"], created)
    changes = walk(dice, created, kinds["journey"])
    amount = None
    won = next((change.at for change in changes if change.status == "Gagné"), None)
    if won:
        priced, amount = sale(dice, kinds["amount"], won)
        changes += [priced] if priced else []
    if kinds["consent"] == "withdrawn":
        changes.append(Change(office_time(dice, created, dice.between(5, 30)), consent="non"))
    truth = Truth(
        kinds=kinds,
        created=created,
        changes=tuple(sorted(changes, key=lambda change: change.at)),
        click=trace.click,
        readable=trace.readable,
        knows_google_click=kinds["click"] in GOOGLE_KINDS,
        amount=amount,
        email=person.email,
        phones=person.phones,
    )
    return _Life(f"L-{10_000 + number}", channel, person, _lead_data(dice, kinds, trace), truth)


def _lead_data(dice: Dice, kinds: Mapping[str, str], trace: Trace) -> dict[str, str | None]:
    """`leadData` on the day the lead arrives."""
    if kinds["consent"] == "absent":
        return {**trace.lead_data, **dice.pick(({}, {"consent": ""}, {"consent": None}))}
    said = {"refused": "non", "odd": dice.pick(_ODD_CONSENTS)}.get(kinds["consent"], "oui")
    personal = "non" if kinds["personalization"] == "refused" else said
    return {**trace.lead_data, "consent": said, "adPersonalization": personal}


def _wire(life: _Life, changes: Sequence[Change]) -> dict[str, object]:
    """The lead's JSON after these changes."""
    history = [{"status": change.status, "date": wall_clock(change.at)} for change in changes if change.status]
    amounts = [change.amount for change in changes if change.amount is not None]
    consents = [change.consent for change in changes if change.consent]
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
