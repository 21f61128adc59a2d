"""How leads move through the funnel, and how often each kind occurs."""

import random
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

Item = TypeVar("Item")


class Dice:
    """Rolls the same sequence for the same seed, on any Python and platform.

    Only `random()` keeps its sequence across Python versions, so everything here is made from it:
    https://docs.python.org/3/library/random.html#notes-on-reproducibility
    """

    __slots__ = ("_random",)

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random  # noqa: S311 - it must be repeatable, not secret

    def below(self, bound: int) -> int:
        """An integer from 0 up to, not including, `bound`."""
        return int(self._random() * bound)

    def between(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def pick(self, options: Sequence[Item]) -> Item:
        """One of the options, each as likely as the next."""
        return options[self.below(len(options))]

    def text(self, alphabet: str, length: int) -> str:
        """`length` characters of the alphabet."""
        return "".join(self.pick(alphabet) for _ in range(length))

    def weighted(self, cumulative: Sequence[int]) -> int:
        """An index, as likely as its part of the running totals (`itertools.accumulate`)."""
        return bisect_right(cumulative, self.below(cumulative[-1]))

    def shuffled(self, items: Iterable[Item]) -> list[Item]:
        """The items in a random order."""
        deck = list(items)
        for last in range(len(deck) - 1, 0, -1):
            other = self.below(last + 1)
            deck[last], deck[other] = deck[other], deck[last]
        return deck

    def deal(self, shares: Mapping[str, int], count: int) -> list[str]:
        """`count` names in a random order, each as often as its share says, to within one."""
        return self.shuffled(name for name, times in apportion(shares, count).items() for _ in range(times))


def apportion(shares: Mapping[str, int], count: int) -> dict[str, int]:
    """How many of `count` each share gets, adding up to `count`: the largest remainders round up."""
    total = sum(shares.values())
    seats = {name: share * count // total for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: -(shares[name] * count % total))
    for name in by_remainder[: count - sum(seats.values())]:
        seats[name] += 1
    return seats


PARIS: Final = ZoneInfo("Europe/Paris")
HOUR: Final = timedelta(hours=1)
SATURDAY: Final = 5


@dataclass(frozen=True, slots=True)
class LeadChange:
    """One dated change of a lead; what is None stays as it was."""

    at: datetime
    status: str | None = None
    amount: str | int | None = field(default=None, repr=False)
    consent: str | None = None
    agency: str | None = None


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """One move in the funnel: the labels in use for it, and how many weekdays after the last one."""

    labels: tuple[str, ...]
    soonest: int
    latest: int


CALL: Final = FunnelStep(("En cours",), 0, 2)
MEET: Final = FunnelStep(("Rendez-vous", "RDV pris"), 1, 6)
QUOTE: Final = FunnelStep(("Devis à relancer",), 2, 10)
SIGN: Final = FunnelStep(("Gagné",), 3, 15)
LOSE: Final = FunnelStep(("Perdu",), 3, 18)
DROP: Final = FunnelStep(("Sans suite",), 2, 15)
NURSE: Final = FunnelStep(("Nurserie",), 1, 10)
STRAY: Final = FunnelStep(("À requalifier",), 1, 10)

JOURNEYS: Final[Mapping[str, tuple[FunnelStep, ...]]] = {
    "new": (),
    "working": (CALL,),
    "appointment": (CALL, MEET),
    "quote": (CALL, MEET, QUOTE),
    "won": (CALL, MEET, QUOTE, SIGN),
    "won_directly": (SIGN,),
    "lost": (CALL, MEET, QUOTE, LOSE),
    "no_follow_up": (CALL, DROP),
    "nursery": (CALL, NURSE),
    "regressed": (CALL, MEET, QUOTE, CALL, QUOTE, SIGN),
    "reopened": (CALL, LOSE, CALL, MEET, QUOTE, SIGN),
    "won_then_lost": (CALL, MEET, QUOTE, SIGN, LOSE),
    "won_again": (CALL, MEET, QUOTE, SIGN, LOSE, SIGN),
    "unknown_label": (CALL, STRAY),
}
"""The steps after Nouveau, which every lead starts with."""

_WEB_HOURS: Final = (2, 1, 1, 1, 1, 2, 4, 8, 12, 16, 16, 14, 16, 15, 12, 12, 12, 13, 16, 18, 20, 18, 12, 6)
"""How busy each hour of the day is for a web form, in Paris."""


_OFFICE_HOURS: Final = ((time(9), 210), (time(14), 270))
"""When people change a status: opening time and minutes."""


def arrivals(channel: str, start: datetime, hours: int) -> list[int]:
    """Running totals of how likely a lead of the channel arrives in each hour after `start`."""
    busyness = [_busy(channel, (start + hour * HOUR).astimezone(PARIS)) for hour in range(hours)]
    return list(accumulate(busyness if any(busyness) else [1] * hours))


def _busy(channel: str, local: datetime) -> int:
    if channel == "Téléphone":
        return int(local.weekday() < SATURDAY and local.hour in range(9, 18) and local.hour not in (12, 13))
    if channel == "Salon":
        return int(local.weekday() >= SATURDAY - 1 and local.hour in range(10, 18))
    return _WEB_HOURS[local.hour] * (2 if local.weekday() >= SATURDAY else 3)


def arrive(dice: Dice, start: datetime, totals: Sequence[int]) -> datetime:
    """A creation time, to the second, by the running totals of `arrivals`."""
    return start + dice.weighted(totals) * HOUR + timedelta(seconds=dice.below(3600))


def walk(dice: Dice, created: datetime, journey: str) -> list[LeadChange]:
    """The lead's status changes, oldest first, all in office hours but the first."""
    changes = [LeadChange(created, status="Nouveau")]
    for step in JOURNEYS[journey]:
        at = office_time(dice, changes[-1].at, dice.between(step.soonest, step.latest))
        changes.append(LeadChange(at, status=dice.pick(step.labels)))
    return changes


def office_time(dice: Dice, after: datetime, days: int) -> datetime:
    """A moment on a weekday, 9:00-12:30 or 14:00-18:30 in Paris, that many weekdays later."""
    day = _weekdays_later(after.astimezone(PARIS).date(), days)
    while True:
        opens, minutes = dice.pick(_OFFICE_HOURS)
        opening = datetime.combine(day, opens, PARIS)
        moment = (opening + timedelta(seconds=dice.below(minutes * 60))).astimezone(UTC)
        if moment > after:
            return moment
        day = _weekdays_later(day, 1)


def _weekdays_later(day: date, days: int) -> date:
    while days > 0 or day.weekday() >= SATURDAY:
        day += timedelta(days=1)
        days -= day.weekday() < SATURDAY
    return day


LATE: Final = timedelta(days=2)
"""How long after its sale a late amount is typed."""


def sale(dice: Dice, kind: str, won: datetime) -> tuple[LeadChange | None, Decimal | None]:
    """How and when the amount of a sale is typed into the CRM, and the euros it means."""
    if kind == "absent":
        return None, None
    euros = Decimal(dice.between(40, 600) * 50)
    thousands = f"{euros:,}".replace(",", " ")
    amounts: Mapping[str, tuple[str | int, Decimal | None]] = {
        "euros": (f"{thousands},00 €", euros),
        "late": (f"{thousands},00 €", euros),
        "typeset": (f"{thousands},00\u00a0€".replace(" ", "\u202f"), euros),
        "plain": (f"{euros}", euros),
        "cents": (f"{euros},50", euros + Decimal("0.50")),
        "number": (int(euros), euros),
        "ambiguous": (thousands.replace(" ", "."), None),
        "on_quote": ("sur devis", None),
    }
    typed, meant = amounts[kind]
    return LeadChange(won + LATE if kind == "late" else won, amount=typed), meant


REPEATED: Final = 10
"""Of 1000 leads, how many are a person who is there already, once more: same click id, another id, days later."""

SHARES: Final[Mapping[str, Mapping[str, int]]] = {
    # how contact.phone is written
    "phone": {
        "spaced": 295,  # 01 99 00 12 34
        "compact": 220,  # 0199001234
        "dotted": 100,  # 01.99.00.12.34
        "dashed": 40,  # 01-99-00-12-34
        "e164": 100,  # +33199001234
        "international": 60,  # +33 1 99 00 12 34
        "trunk_zero": 40,  # +33 (0)1 99 00 12 34
        "double_zero": 30,  # 0033199001234
        "no_zero": 20,  # 199001234, as a spreadsheet leaves it
        "two": 20,  # two numbers in the one field
        "foreign": 20,  # +32 …, 0041 …, +34…: a Belgian, Swiss or Spanish number, and the address too
        "foreign_national": 5,  # the same as it is written at home, which may look French
        "overseas": 20,  # a number of the territory its postcode names, national or international
        "absent": 30,
    },
    # contact.mobile
    "mobile": {
        "absent": 650,
        "twice": 240,  # the number of contact.phone once more
        "fiction": 10,  # a mobile number that phonenumbers does not take for a valid one
        "landline": 100,  # the landline, and nothing in contact.phone
    },
    # contact.email
    "email": {
        "plain": 530,
        "capitals": 110,
        "gmail_dots": 150,
        "gmail_tag": 30,  # …+devis@gmail.com
        "accents": 40,  # hélène.…@
        "spaces": 30,  # around it
        "unusable": 30,  # no address in it
        "absent": 80,
    },
    # how accented letters of names and towns are made: one character each, or a letter and its accent
    "letters": {"nfc": 940, "nfd": 60},
    # leadData.consent
    "consent": {
        "granted": 770,  # "oui"
        "refused": 80,  # "non"
        "absent": 90,  # no such key, or nothing in it
        "odd": 50,  # neither word: "à confirmer", "OK tél", "1", "?"
        "withdrawn": 10,  # "oui", and some days later "non"
    },
    # leadData.adPersonalization: like consent, or refused on its own
    "personalization": {"same": 960, "refused": 40},
    # what leadData.externalID holds; the first eight, 600 of 1000, are ids Google knows, the next four ids Meta knows
    "click": {
        "gclid_bare": 260,  # the id alone, utm_source says google
        "gclid_label": 140,  # "gclid=…", "gclid: …"
        "gclid_query": 60,  # a query string or the whole landing page address
        "gclid_fragment": 20,  # the whole address, with "#…" behind the id
        "gclid_json": 30,  # {"gclid": "…"} as text
        "gclid_and_fbclid": 20,  # "gclid=…;fbclid=…"
        "gbraid_label": 40,
        "wbraid_label": 30,
        "fbclid_bare": 90,  # the id alone, utm_source says facebook
        "fbclid_label": 25,  # "fbclid=…"
        "fbc": 50,  # fb.1.<ms>.<fbclid>
        "lead_id": 85,  # "lead_id=…": the form in the ad itself was filled in, with or without "l:"
        "supplier_uuid": 15,  # a supplier's own reference, no click
        "supplier_reference": 15,  # "PLM-48213", "CNL_…"
        "empty": 55,  # organic, telephone, trade fair
        "bare_ambiguous": 30,  # a true gclid, but nothing says it is one
        "gclid_truncated": 20,  # a true gclid, cut by a column that was too short
        "gclid_lower": 15,  # a true gclid with its label, in lower case, as some form tools leave it
    },
    # how long before the lead its click was
    "lag": {"minutes": 880, "hours": 60, "days": 40, "months": 20},
    # the way through the funnel; a lead near the end of the period has not walked all of it yet
    "journey": {
        "new": 120,
        "working": 150,
        "appointment": 120,
        "quote": 130,
        "won": 170,
        "won_directly": 20,  # Nouveau, then Gagné
        "lost": 115,
        "no_follow_up": 80,
        "nursery": 40,
        "regressed": 20,  # back from the quote to En cours, then won
        "reopened": 15,  # lost, then worked again and won
        "won_then_lost": 8,
        "won_again": 4,  # won, lost, won
        "unknown_label": 8,  # a label nobody has mapped
    },
    # the amount of a lead that is won
    "amount": {
        "euros": 370,  # 12 500,00 €
        "typeset": 120,  # the same with no-break spaces
        "plain": 200,  # 8900
        "cents": 60,  # 8900,50
        "number": 40,  # a JSON number
        "ambiguous": 30,  # 1.250: a thousand and more, or hardly one
        "on_quote": 40,  # "sur devis"
        "absent": 60,
        "late": 80,  # as euros, two days after the sale
    },
    # what becomes of the record, whatever becomes of the person
    "record": {
        "kept": 980,
        "deleted": 10,  # gone some days after it came, the changes after that never made
        "moved": 10,  # to another agency: its `agency` changes
    },
    # what the lead as a whole is
    "shape": {"sound": 994, "no_id": 2, "created_nonsense": 2, "not_an_object": 2},
}
