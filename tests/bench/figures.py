"""What is measured, what each figure should be, and what several measurements of one say."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Spread:
    """Several measurements of one figure."""

    median: float
    least: float
    most: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]):
        """Sum up at least one measurement."""
        return cls(median(values), min(values), max(values), len(values))


@dataclass(frozen=True)
class Figure:
    """One figure, and what it should be; none that has a target is without a name in French."""

    what: str
    quoi: str
    unit: str
    target: float | None = None
    more_is_better: bool = False
    digits: int = 0
    """Decimals to print."""

    def is_met(self, spread: Spread) -> bool | None:
        """Whether the median reaches the target; None without one."""
        if self.target is None:
            return None
        return spread.median >= self.target if self.more_is_better else spread.median <= self.target

    def gain(self, base: Spread, here: Spread) -> float | None:
        """How many times better the second is than the first; None where that has no meaning."""
        worse, better = (base, here) if self.more_is_better else (here, base)
        return better.median / worse.median if worse.median > 0 else None


PLANNED = 20_000
"""The changed leads whose planning has a target, in seconds; measured on fewer, it is scaled to these."""
ACCOUNTS = 50
"""The accounts whose night has a target; the same."""

FIGURES = {
    "first pull": Figure(
        "first pull: parsed, hashed, recorded",
        "première lecture : lue, hachée, enregistrée",
        "leads/s",
        2_500,
        more_is_better=True,
    ),
    "same again": Figure(
        "the same leads again, unchanged", "les mêmes leads, inchangés", "leads/s", 12_000, more_is_better=True
    ),
    "plan": Figure(
        f"plan {PLANNED:,} changed leads, 3 conversions, 2 destinations",
        "planifier 20 000 leads modifiés, 3 conversions, 2 destinations",
        "s",
        15,
        digits=1,
    ),
    "google_ads_api": Figure(
        "deliver and settle: Google Ads API",
        "envoyer et solder : Google Ads API",
        "conversions/s",
        8_000,
        more_is_better=True,
    ),
    "data_manager": Figure(
        "deliver and settle: Data Manager",
        "envoyer et solder : Data Manager",
        "conversions/s",
        8_000,
        more_is_better=True,
    ),
    "meta": Figure("deliver and settle: Meta", "envoyer et solder : Meta", "conversions/s", 6_000, more_is_better=True),
    "requests": Figure(
        "upload requests against the fewest possible", "requêtes d'envoi, par rapport au minimum", "×", 1.0, digits=2
    ),
    "idle": Figure("idle night, largest ledger", "nuit sans changement, plus grand registre", "s", 2, digits=2),
    "status": Figure("`status` on it", "`status` sur ce registre", "s", 1, digits=2),
    "explain": Figure("`explain` on it", "`explain` sur ce registre", "s", 0.5, digits=2),
    "report": Figure(
        "`report` on a ledger, 30 % of whose leads have a delivery",
        "`report` sur un registre dont 30 % des leads ont un envoi",
        "s",
        10,
        digits=1,
    ),
    "report memory": Figure("memory of the whole command", "mémoire de la commande entière", "MB", 300),
    "values": Figure("`values suggest` on it", "`values suggest` sur ce registre", "s", digits=1),
    "values memory": Figure("memory of the whole command", "mémoire de la commande entière", "MB"),
    "pace": Figure(
        "list read at 1.5 s an answer: share of the rate",
        "liste lue à 1,5 s la réponse : part du débit",
        "%",
        97,
        more_is_better=True,
    ),
    "check": Figure("`check`", "`check`", "s", 0.5, digits=2),
    "help": Figure("`--help`", "`--help`", "s", 0.1, digits=2),
    "accounts": Figure(
        f"next night of {ACCOUNTS} accounts with 500 leads each",
        f"nuit suivante de {ACCOUNTS} comptes de 500 leads",
        "s",
        15,
        digits=1,
    ),
    "cores": Figure("cores that it uses", "cœurs qu'elle occupe", "cores", 1.5, more_is_better=True, digits=2),
    "memory": Figure("memory above imports, the largest of all", "mémoire au-delà des imports, au plus", "MB", 60),
    "night": Figure(
        "the next night, all of it, by the clock", "la nuit suivante, en entier, à l'horloge", "s", digits=1
    ),
    "webhooks": Figure("webhooks taken", "webhooks reçus", "a second", 1_000, more_is_better=True),
    "webhooks p99": Figure("99 % of them answered within", "99 % d'entre eux en", "ms", 50, digits=1),
    "webhook CPU": Figure("CPU for each", "CPU pour chacun", "µs"),
}
"""Every figure, by its key; seconds and rates are of the job's own CPU time, unless they say otherwise."""

BY_LEDGER = {
    "idle": "s",
    "status": "s",
    "explain": "s",
    "idle memory": "MB",
    "status memory": "MB",
    "explain memory": "MB",
}
"""What is measured on ledgers of several sizes, and in which unit: (key, leads)."""
