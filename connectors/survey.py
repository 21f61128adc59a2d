"""What a look at a CRM found: how it answers, where things stand in its leads, what to write. Frozen, no I/O.

Contact data never stands here. A text of a lead is shown by its shape, unless it is a status label, one of the
answers that consent fields are known to have, a number, a date, or what reads as a source or channel.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Suggestion = Mapping[str, "str | int | bool | list[str] | Suggestion"]
"""A part of a settings file, nested as it is written there."""


@dataclass(frozen=True, slots=True)
class KeyPath:
    """One dotted path that leads have."""

    path: str
    filled: int
    """On how many of the leads looked at it holds something."""
    shapes: tuple[str, ...]
    """What stands there, masked: `text, 18 characters`, `date`, `number`."""


@dataclass(frozen=True, slots=True)
class FieldMatch:
    """Where one thing that is looked for stands."""

    field: str
    """Its name under `oplead.fields`."""
    path: str | None
    """The candidate that holds it on most leads; None where none does."""
    filled: int


@dataclass(frozen=True, slots=True)
class SurveyedLabel:
    """A status label, and how many leads have it."""

    label: str
    """As most leads spell it; spellings that count as one label are one."""
    leads: int
    with_click_id: int
    masked: bool = False
    """Whether `label` is only a shape in angle brackets, for it may be somebody's data: never to be written."""


@dataclass(frozen=True, slots=True)
class FewValues:
    """A path with only a few different values, as consent answers and channels have."""

    path: str
    values: Mapping[str, int]
    """Each value, or its shape in angle brackets, and how many leads have it; `""` counts those without."""
    consent: bool
    """Whether its name or its values are those of a consent."""
    granted: tuple[str, ...] = ()
    """Of a consent's values those that usually mean yes, commonest first."""
    refused: tuple[str, ...] = ()
    """And those that usually mean no."""


@dataclass(frozen=True, slots=True)
class AmountSeen:
    """A path that holds amounts of money."""

    path: str
    readable: int
    unreadable: int
    """Texts that may mean two amounts, or none."""
    absent: int


@dataclass(frozen=True, slots=True)
class SourceSeen:
    """How leads of one `utm_source` carry click ids."""

    source: str
    """`""` for leads without one."""
    leads: int
    with_click_id: Mapping[str, int]
    """Each kind of click id and how many leads have one."""
    undecided: int
    """Leads whose click-id field holds something that gives none."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found, and what to write."""

    leads: int = 0
    """How many leads were looked at."""
    total: int | None = None
    """How many there are, where the answers say so or all were read."""
    requests: int = 0
    """How many requests the look took."""
    paths: tuple[KeyPath, ...] = ()
    fields: tuple[FieldMatch, ...] = ()
    labels: tuple[SurveyedLabel, ...] = ()
    past_labels: tuple[str, ...] = ()
    """Labels that leads had once, by their histories, and none of them has now."""
    named: Mapping[str, int] = field(default_factory=dict)
    """On how many leads something stands at each path that was asked about."""
    few_values: tuple[FewValues, ...] = ()
    amounts: tuple[AmountSeen, ...] = ()
    sources: tuple[SourceSeen, ...] = ()
    how: tuple[str, ...] = ()
    """What was found of access, pages and filters, a sentence each."""
    suspicions: tuple[str, ...] = ()
    """What looks wrong: click ids cut short or lower-cased, a field empty on every lead, a list that may be cut."""
    undecided: tuple[str, ...] = ()
    """What could not be found out, each naming the setting to write."""
    minutes_first: float | None = None
    """How long reading everything once will take at the allowed rate."""
    minutes_nightly: float | None = None
    """How long a usual night's reading will take."""
    suggestion: Suggestion = field(default_factory=dict)
    """What to write under `oplead:`, the token and address aside; empty where the defaults do."""

    @property
    def usable(self) -> bool:
        """Whether leads can be read whole with what is suggested."""
        return not self.undecided
