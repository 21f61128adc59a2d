"""The oracle: sixty invented leads, and what a right first night makes of each, whatever an Oplead calls it.

Nothing here knows how a dialect writes a lead; nothing here is asked of the code under test.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from random import Random

NIGHT = datetime(2026, 9, 10, 3, 30, tzinfo=UTC)
COUNTS_FROM = datetime(2026, 8, 20, 22, 0, tzinfo=UTC)
"""The marketer says that conversions until 20 August were imported by other means; this is Paris's midnight."""
OTHERWISE = Decimal(900)
"""What the marketer sends for a sale without an amount, once it has been missing for three days."""
TAKEN_BY_META = timedelta(days=7) - timedelta(hours=4)
"""How long Meta takes an event, less what the documentation says is left as a margin."""
STAGES = {"rdv": "appointment", "devis": "quote_sent", "gagne": "won", "perdu": "lost"}
"""What each state means; every other is ignored."""
CONVERSIONS = {"appointment": "appointment", "quote_sent": "quote", "won": "sale"}
"""The conversion that `init` writes for each stage."""
_FIRST = (
    "Camille",
    "Léa",
    "Hugo",
    "Inès",
    "Jules",
    "Zoé",
    "Noël",
    "Anaïs",
    "Théo",
    "Maëlle",
    "Louis",
    "Chloé",
    "Rémi",
    "Élise",
)
_LAST = ("Lefèvre", "Moreau", "Garnier", "Rousseau", "Béranger", "Dupré", "N'Guyen", "Faure", "Le-Goff", "Perrin")
_TOWNS = [("44000", "Nantes"), ("35000", "Rennes"), ("69003", "Lyon"), ("31000", "Toulouse"), ("59000", "Lille")]
_PATHS = [
    (12, "encours rdv devis gagne"),
    (8, "encours rdv devis perdu"),
    (6, "encours rdv devis"),
    (6, "encours rdv"),
    (4, "encours nurserie"),
    (4, "encours perdu"),
    (3, "encours gagne"),
    (3, "encours rdv nurserie rdv devis"),
    (4, "encours"),
    (4, ""),
]


@dataclass(frozen=True)
class Life:
    """One lead: its person, its states with their times, its click, and what it agreed to."""

    number: int
    first: str
    last: str
    email: str
    phone: str
    postcode: str
    city: str
    created: datetime
    steps: tuple[tuple[str, datetime], ...]
    """Its states, "nouveau" at its creation first."""
    gclid: str | None
    fbclid: str | None
    utm: tuple[str, str, str]
    consent: bool | None
    quote: Decimal | None
    """The amount of its quote, tax included, once it had one."""
    order: Decimal | None
    """The amount that was signed, tax included; none if it did not sign, or nobody entered it."""
    meeting: datetime | None
    """When somebody visits: not when that was arranged."""
    edited: datetime
    """When anything of it was last changed, such as a comment: not since when it has its state."""

    @property
    def state(self):
        """Its state now."""
        return self.steps[-1][0]

    @property
    def state_at(self):
        """Since when it has that state."""
        return self.steps[-1][1]

    @property
    def clicked(self):
        """When its ad was clicked."""
        return self.created - timedelta(minutes=5)

    def first_reached(self):
        """When it first reached each stage."""
        reached = {}
        for state, at in self.steps:
            if state in STAGES:
                reached.setdefault(STAGES[state], at)
        return reached

    def sent(self):
        """What the first night must send: (destination, conversion) to (time, value)."""
        if not self.consent:
            return {}
        found = {}
        for stage, at in self.first_reached().items():
            value = (self.order or OTHERWISE) if stage == "won" else None
            is_waited_for = stage == "won" and self.order is None and NIGHT - at < timedelta(days=3)
            if stage not in CONVERSIONS or at < COUNTS_FROM or is_waited_for:
                continue
            if self.gclid:
                found["google_ads", CONVERSIONS[stage]] = at, value
            if self.fbclid and at > NIGHT - TAKEN_BY_META:
                found["meta", CONVERSIONS[stage]] = at, value
        return found


def _lengthened(start, name):
    digest = sha256(name.encode()).hexdigest()
    return start + digest[int(digest[:1], 16) :]


def _life(random, number, path, *, both):
    first, last = random.choice(_FIRST), random.choice(_LAST)
    at = created = datetime(2026, 8, 14, 6, tzinfo=UTC) + timedelta(seconds=random.randrange(23 * 86_400))
    steps = [("nouveau", created)]
    for state in path.split():
        at += timedelta(seconds=random.randrange(3_600, 4 * 86_400))
        if at < NIGHT - timedelta(hours=2):
            steps.append((state, at))
    states = {state for state, _ in steps}
    postcode, city = random.choice(_TOWNS)
    source = random.choices(["google", "facebook", "both", "direct"], [55, 25, 5 if both else 0, 15])[0]
    amount = Decimal(random.randrange(250_000, 2_900_000)) / 100
    quote = amount if {"devis", "gagne"} & states else None
    return Life(
        number=number,
        first=first,
        last=last,
        email=f"{first[0].lower()}.lead{number}@exemple-mail.fr",
        phone=f"06 {number % 90 + 10} 55 01 {random.randrange(10, 99)}",
        postcode=postcode,
        city=city,
        created=created,
        steps=tuple(steps),
        gclid=_lengthened("Cj0KCQjw", f"g{number}") + "EALw_wcB" if source in ("google", "both") else None,
        fbclid=_lengthened("IwAR2", f"f{number}") if source in ("facebook", "both") else None,
        utm={
            "google": ("google", "cpc", "fenetres-ouest"),
            "both": ("google", "cpc", "marque"),
            "facebook": ("facebook", "paid_social", "pompes-a-chaleur"),
            "direct": ("", "", ""),
        }[source],
        consent=random.choices([True, False, None], [80, 13, 7])[0],
        quote=quote,
        order=quote - 150 if "gagne" in states and random.random() < 0.85 else None,
        edited=steps[-1][1] + timedelta(seconds=random.choice([0, 0, random.randrange(60, 7_000)])),
        meeting=max(at, created) + timedelta(days=5, hours=3) if "rdv" in states else None,
    )


def population(seed, *, both=True):
    """Sixty leads, in order of their creation; some have clicks of both platforms where a field can hold two."""
    random = Random(seed)
    paths = [path for path, weight in ((path, n) for n, path in _PATHS) for _ in range(weight)]
    paths += random.choices(paths, k=60 - len(paths))
    lives = [_life(random, 1_000 + number, path, both=both) for number, path in enumerate(paths)]
    return sorted(lives, key=lambda life: life.created)
