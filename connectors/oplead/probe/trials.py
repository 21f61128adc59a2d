"""Tries query parameters on a list and tells by its answer whether a platform reads them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from urllib.parse import quote

from connectors.errors import Misconfigured
from connectors.oplead.probe.asking import Asker, Declined, Listed, Reader

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
class Trial:
    """One parameter and value, and what came of it."""

    name: str
    value: str
    effect: Effect
    page: Listed | None


class Trials:
    """Tries parameters on one list, each against the same first page."""

    def __init__(self, asker: Asker, reader: Reader, first: Listed) -> None:
        """Try nothing yet."""
        self._asker = asker
        self._reader = reader
        self.first = first

    @cached_property
    def refusal(self) -> Declined | None:
        """How an unknown parameter is refused; None where it is passed over."""
        answer = self._ask({_NOBODYS: "1"})
        return answer if isinstance(answer, Declined) else None

    def each(self, pairs: Sequence[tuple[str, str]]) -> Iterator[Trial]:
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
            if isinstance(together, Declined) or effect_of(self.first, together) is not Effect.SAME:
                middle = len(pairs) // 2
                yield from self.each(pairs[:middle])
                yield from self.each(pairs[middle:])

    def one(self, name: str, value: str) -> Trial:
        """Try one parameter."""
        answer = self._ask({name: value})
        if isinstance(answer, Listed):
            return Trial(name, value, effect_of(self.first, answer), answer)
        return Trial(name, value, self._refused(answer, name, value), None)

    def together(self, query: Mapping[str, str]) -> Trial:
        """Try several parameters in one question."""
        if len(query) == 1:
            return self.one(*next(iter(query.items())))
        answer = self._ask(query)
        name, value = "&".join(query), ""
        if isinstance(answer, Listed):
            return Trial(name, value, effect_of(self.first, answer), answer)
        return Trial(name, value, Effect.WRONG, None)

    def _refused(self, answer: Declined, name: str, value: str) -> Effect:
        known = self.refusal
        if known is None:
            return Effect.PAST if answer.status == _NOT_FOUND else Effect.WRONG
        if answer.status == _NOT_FOUND and known.status != _NOT_FOUND:
            return Effect.PAST
        alike = answer.status == known.status and _words(answer, name, value) == _words(known, _NOBODYS, "1")
        return Effect.UNKNOWN if alike or answer.status is None else Effect.WRONG

    def _ask(self, query: Mapping[str, str]) -> Listed | Declined:
        answer = self._asker.list(query)
        if isinstance(answer, Declined):
            return answer
        try:
            return self._reader.listed(answer)
        except Misconfigured:  # an answer that is no list refuses too
            return Declined(200)


def effect_of(first: Listed, page: Listed) -> Effect:
    """How a page differs from the first one; a lead that comes or goes meanwhile makes no difference."""
    if not page.marks:
        return Effect.EMPTY if first.marks else Effect.SAME
    shared = len({*page.marks} & {*first.marks})
    if shared <= _HARDLY * len(page.marks):
        return Effect.OTHER
    if shared >= _MOSTLY * len(first.marks):
        return Effect.SAME
    return Effect.FEWER


def is_shifted(first: Listed, page: Listed) -> bool:
    """Whether a page begins with the second lead of the first one."""
    return len(first.marks) > 1 and page.marks[: len(first.marks) - 1] == first.marks[1 : len(page.marks) + 1]


def pairs_of(names: Iterable[str], value: str) -> list[tuple[str, str]]:
    """Each name with the same value."""
    return [(name, value) for name in names]


def _words(answer: Declined, name: str, value: str) -> bytes:
    """A refusal without what it repeats of the question, by which refusals are compared."""
    said = answer.said
    for text in {name, value, quote(name, safe=""), quote(value, safe="")}:
        said = said.replace(text.encode(), b"")
    return _DIGITS.sub(b"", said)
