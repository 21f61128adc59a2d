"""What a walk through the assumptions keeps of a platform's answers: structure alone. No I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from connectors.survey import Suggestion, Survey

ENOUGH_LEADS = 20
"""How many leads it takes, each with its own page, before something that none of them has counts as absent."""
Tree = Mapping[str, "Tree"] | tuple["Tree", ...] | str
"""The structure of a JSON value: names of fields, and kinds in place of values."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What may be shown of a platform beside the closed lists: names that most leads have, and parts of known paths."""

    names: frozenset[str] = frozenset()
    """Normalised."""
    parts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, redacted."""

    platform: str
    method: str
    path: str
    """Without a query; `{id}` in place of an id."""
    query: tuple[str, ...] = ()
    """The names of the parameters."""
    status: int | None = None
    """None if there was no answer."""
    headers: tuple[str, ...] = ()
    """The names of the answer's headers, as far as they are known ones."""
    asked: Tree | None = None
    answered: Tree | None = None


@dataclass(slots=True)
class ExchangeRecorder:
    """Keeps exchanges in order until they are written."""

    _entries: list[Exchange | Callable[[Shown], Exchange]] = field(default_factory=list)

    def add(self, exchange: Exchange | Callable[[Shown], Exchange]) -> None:
        """Keep one, redacted or still to be, once it is known which names leads share."""
        self._entries.append(exchange)

    def taken(self, shown: Shown) -> tuple[Exchange, ...]:
        """Return what came since the last call, redacted."""
        entries, self._entries = self._entries, []
        return tuple(entry if isinstance(entry, Exchange) else entry(shown) for entry in entries)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one Oplead answers, as far as a stand-in needs it to answer likewise; no value of a lead in it."""

    settings: Suggestion
    """What to write under `oplead`, without token and address; empty if the defaults do."""
    fields: Mapping[str, str]
    """The path at which each field was found, by its name under `oplead.fields`."""
    list: Tree
    """The body of a list page, `‹leads›` in place of its leads."""
    lead: Tree
    """A lead in the list."""
    detail: Tree | None
    """The body of a lead's own page, if one was read: the lead, or what wraps it under `data` or `lead`."""
    page_size: int | None
    """The leads on a full page; None if the list has one page."""
    status: Mapping[str, "str | tuple[str, ...]"]
    """The form (label, code or object), and the labels that may be shown."""
    consent: tuple[Mapping[str, "str | tuple[str, ...]"], ...]
    """Each field that seems to hold a consent: its path, and the answers that mean yes and no."""
    amounts: tuple[str, ...]
    refusals: Mapping[str, Tree]
    """What an error's body looks like, by status."""


@dataclass(frozen=True, slots=True)
class ListAnswer:
    """How one of Oplead's other lists was answered."""

    status: int
    """Of the last request; 0 if nobody answered."""
    entries: int | None
    """None if it could not be read to its end."""
    on_first_page: int


@dataclass(frozen=True, slots=True)
class OpleadLook:
    """What was seen of one Oplead by reading alone."""

    survey: Survey
    is_usual_host: bool
    """Whether the address is the one that the guide names."""
    usual_way: int | None
    """What the guide's way in was answered (the key as Bearer, `/v1/leads`): the status, None if nobody answered."""
    usual_way_shows_leads: bool
    without_key: int | None
    """What the same was answered without any key."""
    pages: int
    """How many pages of the list showed leads that no page before had shown."""
    documentation: int | None
    """What the documentation page was answered; None if nobody asked."""
    is_specified: bool
    """Whether a specification was found there, and understood."""
    exact_names: Mapping[str, int]
    """On how many leads certain names stand exactly so: `leadData`, `statusDate`, `statusHistory`."""
    leads: int
    """How many leads that was looked for on."""
    own_pages: int
    """How many pages of single leads were read."""
    unread_pages: int
    """How many pages of single leads were asked for, and never shown."""
    status_places: frozenset[str]
    """The names under which the dates of statuses, or the histories, were found."""
    are_status_dates_zoned: bool | None
    """Whether their times say their zone; None if there are none."""
    lists: Mapping[str, ListAnswer]
    dialect: Dialect | None
    ran_out: bool = False
    """Whether the requests of the survey were used up before it had tried everything."""
    shown: Shown = Shown()
    contact: frozenset[str] = field(default=frozenset(), repr=False)
    """The contact data of the leads that were read, which nothing that is kept may hold."""
