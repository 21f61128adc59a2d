"""Which filters a list obeys, found by asking for what must change the answer."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import cached_property
from typing import Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from connectors.errors import Misconfigured
from connectors.oplead.fields import write_moment
from connectors.oplead.options import SinceOptions
from connectors.oplead.probe.access import Asker, DeclinedQuestion, ListedPage, ListReader, QuestionLimitReached

_NOBODYS = "oplead_sync_probe"
"""A parameter that no platform has."""
_MOSTLY, _HARDLY = 0.8, 0.2
_NOT_FOUND = 404
_DIGITS = re.compile(rb"\d+")


class Effect(Enum):
    """What a parameter did to the first page."""

    SAME = auto()
    """The first page again: it is not read, or changes nothing."""
    OTHER = auto()
    """Other leads."""
    FEWER = auto()
    """Some of the same leads."""
    EMPTY = auto()
    """No lead at all."""
    PAST = auto()
    """Not found (404), where an unknown parameter would not be answered so."""
    WRONG = auto()
    """The parameter is read, but not with this value."""
    UNKNOWN = auto()
    """Refused as any unknown parameter is."""


@dataclass(frozen=True, slots=True)
class FilterTrial:
    """One parameter and value, and what came of it."""

    name: str
    value: str
    effect: Effect
    page: ListedPage | None


class FilterTrials:
    """Tries parameters on one list, each against the same first page."""

    def __init__(self, asker: Asker, reader: ListReader, first: ListedPage) -> None:
        """Try nothing yet."""
        self._asker = asker
        self._reader = reader
        self.first = first

    @cached_property
    def refusal(self) -> DeclinedQuestion | None:
        """How an unknown parameter is refused; None where it is passed over."""
        answer = self._ask({_NOBODYS: "1"})
        return answer if isinstance(answer, DeclinedQuestion) else None

    def each(self, pairs: Sequence[tuple[str, str]]) -> Iterator[FilterTrial]:
        """Try names and values until the caller has seen enough.

        A platform that passes over what it does not know is asked with many of them at once, then with halves of
        those that made a difference; only what made one by itself is told.
        """
        if self.refusal is not None:
            yield from (self.one(name, value) for name, value in pairs)
        elif len(pairs) == 1:
            trial = self.one(*pairs[0])
            if trial.effect is not Effect.SAME:
                yield trial
        elif pairs:
            together = self._ask(dict(pairs))
            if isinstance(together, DeclinedQuestion) or effect_of(self.first, together) is not Effect.SAME:
                middle = len(pairs) // 2
                yield from self.each(pairs[:middle])
                yield from self.each(pairs[middle:])

    def one(self, name: str, value: str) -> FilterTrial:
        """Try one parameter."""
        answer = self._ask({name: value})
        if isinstance(answer, ListedPage):
            return FilterTrial(name, value, effect_of(self.first, answer), answer)
        return FilterTrial(name, value, self._refused(answer, name, value), None)

    def together(self, query: Mapping[str, str]) -> FilterTrial:
        """Try several parameters in one question."""
        if len(query) == 1:
            return self.one(*next(iter(query.items())))
        answer = self._ask(query)
        name, value = "&".join(query), ""
        if isinstance(answer, ListedPage):
            return FilterTrial(name, value, effect_of(self.first, answer), answer)
        return FilterTrial(name, value, Effect.WRONG, None)

    def _refused(self, answer: DeclinedQuestion, name: str, value: str) -> Effect:
        known = self.refusal
        if known is None:
            return Effect.PAST if answer.status == _NOT_FOUND else Effect.WRONG
        if answer.status == _NOT_FOUND and known.status != _NOT_FOUND:
            return Effect.PAST
        alike = answer.status == known.status and _words(answer, name, value) == _words(known, _NOBODYS, "1")
        return Effect.UNKNOWN if alike or answer.status is None else Effect.WRONG

    def _ask(self, query: Mapping[str, str]) -> ListedPage | DeclinedQuestion:
        answer = self._asker.list(query)
        if isinstance(answer, DeclinedQuestion):
            return answer
        try:
            return self._reader.listed(answer)
        except Misconfigured:  # an answer that is no list refuses too
            return DeclinedQuestion(200)


def effect_of(first: ListedPage, page: ListedPage) -> Effect:
    """How a page differs from the first one; a lead that comes or goes meanwhile makes no difference."""
    if not page.marks:
        return Effect.EMPTY if first.marks else Effect.SAME
    shared = len({*page.marks} & {*first.marks})
    if shared <= _HARDLY * len(page.marks):
        return Effect.OTHER
    if shared >= _MOSTLY * len(first.marks):
        return Effect.SAME
    return Effect.FEWER


def is_shifted(first: ListedPage, page: ListedPage) -> bool:
    """Whether a page begins with the second lead of the first one."""
    return len(first.marks) > 1 and page.marks[: len(first.marks) - 1] == first.marks[1 : len(page.marks) + 1]


def pairs_of(names: Iterable[str], value: str) -> list[tuple[str, str]]:
    """Each name with the same value."""
    return [(name, value) for name in names]


def _words(answer: DeclinedQuestion, name: str, value: str) -> bytes:
    """A refusal without what it repeats of the question, by which refusals are compared."""
    said = answer.said
    for text in {name, value, quote(name, safe=""), quote(value, safe="")}:
        said = said.replace(text.encode(), b"")
    return _DIGITS.sub(b"", said)


_NAMES = (
    *("updated_since", "updatedSince", "updated_after", "updatedAfter", "modified_since", "modifiedSince"),
    *("updated_from", "updatedFrom", "modified_after", "modifiedAfter", "updatedAt[gte]", "updated_at[gte]"),
    *("since", "updated_at_min", "updatedAt_gte", "changed_since", "from", "date_from", "dateFrom", "startDate"),
    *("modifie_depuis", "depuis", "created_since", "createdSince", "created_after", "createdAfter"),
)
_ENDS = {
    "updated_from": "updated_to",
    "updatedFrom": "updatedTo",
    "updatedAt[gte]": "updatedAt[lte]",
    "updated_after": "updated_before",
    "updatedAfter": "updatedBefore",
    "updated_at[gte]": "updated_at[lte]",
    "modified_after": "modified_before",
    "modifiedAfter": "modifiedBefore",
    "updated_at_min": "updated_at_max",
    "updated_since": "updated_until",
    "updatedSince": "updatedUntil",
    "updatedAt_gte": "updatedAt_lte",
    "modified_since": "modified_until",
    "modifiedSince": "modifiedUntil",
    "since": "until",
    "from": "to",
    "date_from": "date_to",
    "dateFrom": "dateTo",
    "startDate": "endDate",
    "depuis": "jusque",
}
"""What the end of the time is called beside the name of its beginning, where a platform wants both."""
Format = Literal["iso", "date", "epoch_s", "epoch_ms"]
_FORMATS: tuple[Format, ...] = ("iso", "date", "epoch_s", "epoch_ms")
_AHEAD = timedelta(days=300)
_FEW = 0.2
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LeadDates:
    """When a lead was created and last changed."""

    created: datetime | None
    updated: datetime | None


@dataclass(frozen=True, slots=True)
class Filtering:
    """The filter found, if any, and what is to be said."""

    since_filter: SinceOptions | None
    split: datetime | None = None
    """The moment by which it was made sure."""
    how: tuple[str, ...] = ()


DatesOf = Callable[[ListedPage], Sequence[LeadDates]]
"""When the leads of a page were created and last changed, as far as that is known."""


class FilterSearch:
    """Tries the usual names and formats, first with a moment to come, then with one that parts the leads seen."""

    def __init__(self, trials: FilterTrials, dates_of: DatesOf, *, zone: ZoneInfo, now: datetime) -> None:
        """Ask nothing yet; `now` is the platform's."""
        self._trials = trials
        self._dates_of = dates_of
        self._zone = zone
        self._ahead = now + _AHEAD
        self._read_alone: list[str] = []
        """The names that are read, and refused in every format."""

    def find(self, seen: Sequence[LeadDates], page_size: int, configured: SinceOptions | None) -> Filtering:
        """The filter by changes; one that cannot be told from a filter by creation is not suggested."""
        if configured is not None:
            note = f"Changes: `{configured.param}` lists only what changed since a time, as the settings say."
            return Filtering(configured, self._ahead, (note,))
        notes: list[str] = []
        split = _split(seen, page_size)
        try:
            for trial, form in self._honoured():
                found = SinceOptions(trial.name, form)
                meaning = self._meaning(found, split, seen)
                if meaning == "changes":
                    note = f"Changes: `{trial.name}` lists only what changed since a time ({_said(form)})."
                    return Filtering(found, split, (*notes, note))
                notes.append(_passed_over(trial.name, meaning))
            if (both := self._with_both_ends(split, seen)) is not None:
                said = f"`{both.param}` and `{both.until_param}` list only what changed between two times"
                return Filtering(both, split, (*notes, f"Changes: {said} ({_said(both.format)})."))
        except QuestionLimitReached:
            notes.append("Changes: not every usual filter could be tried within the bound on questions.")
        none = "Changes: no usual filter by time is read, so a night reads the whole list and finds changes itself."
        return Filtering(None, None, tuple(notes or [none]))

    def _honoured(self) -> Iterator[tuple[FilterTrial, Format]]:
        """The parameters that leave out what is there, each with its format."""
        left = list(_NAMES)
        for form in _FORMATS:
            wrong: list[str] = []
            for trial in self._trials.each([(name, self._ahead_as(form)) for name in left]):
                if self._leaves_out(trial):
                    left.remove(trial.name)
                    yield trial, form
                elif trial.effect is Effect.WRONG:
                    wrong.append(trial.name)
            self._read_alone = wrong
            if self._trials.refusal is not None:  # whoever refuses unknown names has told which are known
                left = wrong

    def _with_both_ends(self, split: datetime | None, seen: Sequence[LeadDates]) -> SinceOptions | None:
        """The filter by changes that wants both ends of the time: its beginning alone is refused, or passed over."""
        refused = [name for name in self._read_alone if name in _ENDS]
        for name in refused or self._read_in_pairs():
            for form in _FORMATS:
                found = SinceOptions(name, form, _ENDS[name])
                trial = self._trials.together(self._query(found, self._ahead))
                if self._leaves_out(trial):
                    if self._meaning(found, split, seen) == "changes":
                        return found
                    break
        return None

    def _read_in_pairs(self) -> list[str]:
        """The names that make a difference beside their ends, in one format or another; none, mostly."""
        if self._trials.refusal is not None:
            return []
        found: list[str] = []
        for form in _FORMATS:
            every = [SinceOptions(name, form, end) for name, end in _ENDS.items()]
            asked = {key: value for one in every for key, value in self._query(one, self._ahead).items()}
            if self._trials.together(asked).effect is Effect.SAME:
                continue
            found += [
                one.param
                for one in every
                if one.param not in found
                and self._trials.together(self._query(one, self._ahead)).effect is not Effect.SAME
            ]
        return found

    def _query(self, found: SinceOptions, since: datetime) -> dict[str, str]:
        """What is asked for with a filter: everything since a moment, where both ends are wanted long enough."""
        query = {found.param: write_moment(since, found.format, self._zone)}
        if found.until_param is not None:
            query[found.until_param] = write_moment(self._ahead + _DAY, found.format, self._zone)
        return query

    def _leaves_out(self, trial: FilterTrial) -> bool:
        """Whether next to nothing is left: a platform may serve leads without a readable date all the same."""
        if trial.effect is Effect.EMPTY:
            return True
        shown = len(trial.page.marks) if trial.page else 0
        return shown > 0 and shown <= _FEW * len(self._trials.first.marks)

    def _ahead_as(self, form: Format) -> str:
        return write_moment(self._ahead, form, self._zone)

    def _meaning(
        self, found: SinceOptions, split: datetime | None, seen: Sequence[LeadDates]
    ) -> Literal["changes", "creation", "unclear"]:
        if split is None:
            return "unclear"
        page = self._trials.together(self._query(found, split)).page
        if page is None:
            return "unclear"
        told = self._dates_of(page)
        start = split - _DAY  # a day, or a clock without its zone, may let in a little more
        if any(one.updated is not None and one.updated < start for one in told):
            return "unclear"
        if any(_is_old(one, start) and _is_after(one, split) for one in told):
            return "changes"
        there_are = any(_is_old(one, start) and _is_after(one, split) for one in seen)
        return "creation" if there_are else "unclear"


def _split(seen: Sequence[LeadDates], page_size: int) -> datetime | None:
    """A moment that few of the leads seen changed after, some of them created long before, so that they fit a page.

    None where their times part nothing.
    """
    updates = sorted((one.updated for one in seen if one.updated), reverse=True)
    for count in (max(2, page_size // 2), max(2, page_size // 4), page_size, len(updates) // 2):
        if not 0 < count < len(updates):
            continue
        split = updates[count] + timedelta(seconds=1)
        older = any(_is_old(one, split - _DAY) and _is_after(one, split) for one in seen)
        if older and updates[-1] < split - _DAY:
            return split
    return None


def _is_after(one: LeadDates, split: datetime) -> bool:
    return one.updated is not None and one.updated > split


def _is_old(one: LeadDates, start: datetime) -> bool:
    return one.created is not None and one.created < start


def _said(form: str) -> str:
    return {"iso": "ISO 8601", "date": "a day", "epoch_s": "seconds", "epoch_ms": "milliseconds"}[form]


def _passed_over(name: str, meaning: str) -> str:
    if meaning == "creation":
        return f"Changes: `{name}` filters by creation, not by change, so it is of no use: old leads change too."
    return (
        f"Changes: `{name}` filters the list, but whether by change or by creation cannot be told from these leads; "
        "if Oplead says by change, write it as oplead.since_filter"
    )
