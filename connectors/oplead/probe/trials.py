"""Tell what a parameter does by comparing pages with and without it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from urllib.parse import quote

from connectors.errors import Misconfigured
from connectors.oplead.answers import OpleadRefused
from connectors.oplead.pagination import ListedPage
from connectors.oplead.probe.asking import ProbedLeadList

_NOT_FOUND = 404
_UNKNOWN_NAME = "oplead_sync_probe"
_MOSTLY, _HARDLY = 0.8, 0.2
_DIGITS = re.compile(rb"\d+")


class ParameterEffect(Enum):
    """The effect of a parameter on the first page."""

    SAME = auto()  # the first page again: the parameter is ignored or changes nothing
    OTHER = auto()  # other leads
    FEWER = auto()  # some of the same leads
    EMPTY = auto()  # no leads
    PAST = auto()  # not found (404), unlike the response to an unknown parameter
    WRONG = auto()  # the parameter is known, but the value is rejected
    UNKNOWN = auto()  # refused like any unknown parameter


@dataclass(frozen=True, slots=True)
class ParameterTrial:
    """The result of a request with one or more parameters."""

    name: str
    effect: ParameterEffect
    page: ListedPage | None


@dataclass(frozen=True)
class ParameterTester:
    """Tries parameters on a list and compares each result with the same first page."""

    leads: ProbedLeadList
    first: ListedPage

    @cached_property
    def unknown_parameter_refusal(self) -> OpleadRefused | None:
        """How an unknown parameter is refused; None if it is ignored."""
        answer = self._page({_UNKNOWN_NAME: "1"})
        return answer if isinstance(answer, OpleadRefused) else None

    def try_each_parameter(self, names: Sequence[str], value: str) -> Iterator[ParameterTrial]:
        """Yield the trials of `names` with a value, lazily, so that the caller can stop early.

        If the platform ignores unknown parameters, bisect: try all names at once, then halve each group that has an
        effect, and yield only names that have one alone. Otherwise yield a trial for every name.
        """
        if self.unknown_parameter_refusal is not None:
            yield from (self.try_parameters({name: value}) for name in names)
        elif len(names) == 1:
            if (trial := self.try_parameters({names[0]: value})).effect is not ParameterEffect.SAME:
                yield trial
        elif names and self.try_parameters(dict.fromkeys(names, value)).effect is not ParameterEffect.SAME:
            middle = len(names) // 2
            yield from self.try_each_parameter(names[:middle], value)
            yield from self.try_each_parameter(names[middle:], value)

    def try_parameters(self, query: Mapping[str, str]) -> ParameterTrial:
        """Try one or more parameters in one request."""
        answer = self._page(query)
        if isinstance(answer, ListedPage):
            return ParameterTrial("&".join(query), filter_effect(self.first, answer), answer)
        return ParameterTrial(
            "&".join(query), ParameterEffect.WRONG if len(query) > 1 else self._refused(answer, query), None
        )

    def _refused(self, answer: OpleadRefused, query: Mapping[str, str]) -> ParameterEffect:
        known = self.unknown_parameter_refusal
        if answer.status == _NOT_FOUND and (known is None or known.status != _NOT_FOUND):
            return ParameterEffect.PAST
        if known is None:
            return ParameterEffect.WRONG
        is_alike = _comparable_refusal(answer, query) == _comparable_refusal(known, {_UNKNOWN_NAME: "1"})
        return ParameterEffect.UNKNOWN if is_alike or answer.status is None else ParameterEffect.WRONG

    def _page(self, query: Mapping[str, str]) -> ListedPage | OpleadRefused:
        try:
            answer = self.leads.asker.request_lead_list(query)
        except OpleadRefused as refusal:
            return refusal
        try:
            return self.leads.read(answer)
        except Misconfigured as error:  # a response without a list counts as a refusal
            return OpleadRefused(str(error), 200)


def filter_effect(first: ListedPage, page: ListedPage) -> ParameterEffect:
    """Classify how a page differs from the first one, tolerating a few leads added or removed meanwhile."""
    if not page.marks:
        return ParameterEffect.EMPTY if first.marks else ParameterEffect.SAME
    shared = len({*page.marks} & {*first.marks})
    if shared <= _HARDLY * len(page.marks):
        return ParameterEffect.OTHER
    if shared >= _MOSTLY * len(first.marks):
        return ParameterEffect.SAME
    return ParameterEffect.FEWER


def _comparable_refusal(answer: OpleadRefused, query: Mapping[str, str]) -> tuple[int | None, bytes]:
    """Return a refusal's status and body without digits and whatever echoes the request."""
    body = answer.body
    for text in {repeated for pair in query.items() for one in pair for repeated in (one, quote(one, safe=""))}:
        body = body.replace(text.encode(), b"")
    return answer.status, _DIGITS.sub(b"", body)
