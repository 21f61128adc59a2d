"""Frozen results of surveying a CRM: how it answers, where its fields are, which settings to write. No I/O.

Never holds contact data. Text from leads is masked to its shape unless it is a status label, a known consent answer, a
number, a date, or reads as a source or channel.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Suggestion = Mapping[str, "str | int | bool | list[str] | Suggestion"]
"""Part of a settings file, nested as in the file."""
Basis = Literal["specification", "settings", "trials"]
"""What a setting rests on: what the platform's specification says, what the file says, or what was found by trying."""
_WORD = re.compile(r"[^\W\d_]{3}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)
_MESSAGES = re.compile("newsletter|lettre|mail|courriel|sms|phone", re.IGNORECASE)
_NAME_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_NET = re.compile(r"(?:montants?|prix|tarifs?|total|devis|ca)?ht|hors|sans|\w*excl\w*|ex|nets?|nettes?|untaxed|without")
_GROSS = re.compile(r"\w*ttc|\w*incl\w*|payer")
"""What says that tax is in an amount: in a net à payer it is."""
SUGGESTED = (
    *("path_prefix", "leads_path", "lead_path", "extra_headers", "extra_query", "auth", "pagination"),
    *("pull", "since_filter", "detail", "fields"),
)
"""The keys that a survey may suggest: it keeps the file's values unless they did not work."""


def leaves_tax_out(name: str) -> bool:
    """Whether the name of an amount says that it is without tax: HT, excl. tax, net."""
    words = [word.casefold() for word in _NAME_WORD.findall(name)]
    return any(map(_NET.fullmatch, words)) and not any(map(_GROSS.fullmatch, words))


@dataclass(frozen=True, slots=True)
class UnreadPlace:
    """Where leads hold something that is not read."""

    field: str
    """Name under `oplead.fields`."""
    found: str
    """What is there, in words."""
    is_named: bool
    """Whether settings name it; if not, it looks like a list of past statuses with their times."""
    labels: tuple[str, ...] = ()
    """Past statuses that are read, and that nothing explains, if that is what is there."""


@dataclass(frozen=True, slots=True)
class SeenInLeads:
    """The paths and labels found in the leads that were read."""

    leads: int
    paths: Sequence[str]
    """Every dotted path that those leads share."""
    labels: Sequence[str]
    """Every status label, including past ones."""
    filled: Callable[[str], int]
    """Counts the leads with a value at a path, matching paths as the reader does."""
    owners: int | None = None
    """How many users, agencies or the like those leads belong to; None if they do not say."""
    unread: tuple[UnreadPlace, ...] = ()
    """Where those leads hold something that is not read, but should be."""


@dataclass(frozen=True, slots=True)
class SurveyedPath:
    """One dotted path found in leads."""

    path: str
    filled: int
    """How many of the surveyed leads have a value there."""
    shapes: tuple[str, ...]
    """Masked values: `text, 18 characters`, `date`, `number`."""


@dataclass(frozen=True, slots=True)
class FieldMatch:
    """Where one sought field was found."""

    field: str
    """Name under `oplead.fields`."""
    path: str | None
    """The candidate path filled on most leads; None if none is."""
    filled: int


@dataclass(frozen=True, slots=True)
class SurveyedLabel:
    """A status label and how many leads have it."""

    label: str
    """The most common spelling; spellings that count as one label are merged."""
    leads: int
    with_click_id: int
    masked: bool = False
    """Whether `label` is a shape in angle brackets because it may be personal data; never write it to settings."""
    words: str = ""
    """What Oplead's own settings call it, if `label` is only a code."""
    example: str = ""
    """The id of a lead that has it, if `label` is only a code."""
    also_called: tuple[str, ...] = ()
    """What else leads call it, such as its code, by which settings may name it as well."""
    past_code: str = ""
    """What histories call it, if that is a code that is its own: settings must name both."""

    @property
    def is_code(self) -> bool:
        """Whether `label` has no word in it, so that nobody knows what it means."""
        return not self.masked and (bool(_UUID.fullmatch(self.label)) or not _WORD.search(self.label))


@dataclass(frozen=True, slots=True)
class PathWithFewValues:
    """A path with only a few distinct values, such as consent answers or channels."""

    path: str
    values: Mapping[str, int]
    """Leads by value, or by its shape in angle brackets; `""` counts leads without one."""
    consent: bool
    """Whether the name or values look like a consent field."""
    granted: tuple[str, ...] = ()
    """Consent values that usually mean yes, most common first."""
    refused: tuple[str, ...] = ()
    """Consent values that usually mean no."""

    @property
    def is_for_messages(self) -> bool:
        """Whether a consent is one to messages, such as a newsletter: it says nothing of advertising."""
        return bool(_MESSAGES.search(self.path))


@dataclass(frozen=True, slots=True)
class AmountPath:
    """A path that holds amounts of money."""

    path: str
    readable: int
    unreadable: int
    """Values that are ambiguous or not an amount."""
    absent: int
    statuses: Mapping[str, int] = field(default_factory=dict)
    """How many of the leads with a value have each status, commonest first."""


@dataclass(frozen=True, slots=True)
class UtmSourceClickIdCounts:
    """How leads of one `utm_source` carry click ids."""

    source: str
    """`""` for leads without one."""
    leads: int
    with_click_id: Mapping[str, int]
    """Leads by kind of click id."""
    undecided: int
    """Leads whose non-empty click-id field yields no id."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What the survey found, and the settings it suggests."""

    leads: int = 0
    total: int | None = None
    """Leads in the source, if its answers say so or all were read."""
    requests: int = 0
    paths: tuple[SurveyedPath, ...] = ()
    fields: tuple[FieldMatch, ...] = ()
    labels: tuple[SurveyedLabel, ...] = ()
    past_labels: tuple[str, ...] = ()
    """Labels found only in histories, which no surveyed lead has now."""
    unclear_codes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Codes by which histories tell statuses, if they are no single status's, with the labels they stand beside."""
    named: Mapping[str, int] = field(default_factory=dict)
    """Leads with a value at each requested path."""
    few_values: tuple[PathWithFewValues, ...] = ()
    amounts: tuple[AmountPath, ...] = ()
    sources: tuple[UtmSourceClickIdCounts, ...] = ()
    how: tuple[str, ...] = ()
    """Findings on access, pagination and filters, one sentence each."""
    suspicions: tuple[str, ...] = ()
    """Likely problems: truncated or lower-cased click ids, a field empty on every lead, a truncated list."""
    undecided: tuple[str, ...] = ()
    """What could not be determined; each entry names the setting to write."""
    unexplained_past: tuple[str, ...] = ()
    """That the settings' stages explain hardly any past status, if so, and what to write."""
    rests_on: Mapping[str, Basis] = field(default_factory=dict)
    """What each setting under `oplead` rests on."""
    write: Mapping[str, str | bool] = field(default_factory=dict)
    """What the specification says of `oplead.write`, by dotted name."""
    shown_at: Mapping[str, str] = field(default_factory=dict)
    """Where leads hold what a new one is written with, where that is not the place it is read from first, by dotted
    name under `oplead.write`; empty if the specification says how to create one."""
    subscriptions: Mapping[str, str] = field(default_factory=dict)
    """What the specification says of `webhooks.subscriptions`."""
    minutes_first: float | None = None
    """Estimated duration of the initial full read at the allowed rate."""
    minutes_nightly: float | None = None
    """Estimated duration of a typical nightly read."""
    suggestion: Suggestion = field(default_factory=dict)
    """Settings to write under `oplead:`, without token and address; empty if the defaults suffice."""

    columns: Mapping[str, str] | None = None
    """Settings to write under `source.columns`; None if leads were not read from a file."""

    @property
    def has_codes_in_histories(self) -> bool:
        """Whether histories call a status by a code that leads show beside its text."""
        return bool(self.unclear_codes) or any(one.past_code for one in self.labels)

    @property
    def are_leads_readable(self) -> bool:
        """Whether leads can be read in full with the suggested settings."""
        return not self.undecided and not self.unexplained_past
