"""Find the filter that lists changed leads, and tell it from one by creation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Literal, Self

from connectors.language import N_, _
from connectors.oplead.options import OpleadOptions, PaginationOptions, SinceQueryParameters
from connectors.oplead.pagination import ListedPage
from connectors.oplead.parsing.dates import first_instant_at_paths, since_query, write_moment
from connectors.oplead.probe.asking import RequestLimitReached
from connectors.oplead.probe.trials import ParameterEffect, ParameterTester, ParameterTrial

_BEGINNINGS = (
    *("updated_since", "updatedSince", "updated_after", "updatedAfter", "modified_since", "modifiedSince"),
    *("updated_from", "updatedFrom", "modified_after", "updatedAt[gte]", "updated_at[gte]", "since"),
    *("updated_at_min", "updatedAt_gte", "from", "date_from", "dateFrom", "startDate", "depuis"),
)
_NAMES = (
    *_BEGINNINGS,
    *("modifiedAfter", "changed_since", "modifie_depuis"),
    *("created_since", "createdSince", "created_after", "createdAfter"),
)
_OPPOSITES = (
    *(("since", "until"), ("Since", "Until"), ("after", "before"), ("After", "Before"), ("from", "to")),
    *(("From", "To"), ("gte", "lte"), ("min", "max"), ("start", "end"), ("depuis", "jusque")),
)
_ENDS = {name: name.replace(begin, end) for name in _BEGINNINGS for begin, end in _OPPOSITES if begin in name}
"""The parameter for the end of a period, by the parameter for its start, if a platform requires both."""
_FORMATS = {"iso": "ISO 8601", "date": N_("a day"), "epoch_s": N_("seconds"), "epoch_ms": N_("milliseconds")}
_FEW = 0.2
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class LeadDates:
    """When a lead was created and last changed."""

    created: datetime | None
    updated: datetime | None

    @classmethod
    def read_lead_dates(cls, lead: object, options: OpleadOptions) -> Self:
        """Read the dates in a lead's JSON."""
        paths = (options.fields.created_at, options.fields.updated_at)
        return cls(*(first_instant_at_paths(lead, one, options.zone) for one in paths))

    def is_old_but_changed_after(self, moment: datetime) -> bool:
        """Whether the lead was created more than a day before `moment` and changed after it."""
        created, updated = self.created, self.updated
        return created is not None and created < moment - _DAY and updated is not None and updated > moment


@dataclass(frozen=True, slots=True)
class FilterSearchResult:
    """The filter found, if any, with notes for the report."""

    since_filter: SinceQueryParameters | None
    split: datetime | None
    """The moment used to verify the filter."""
    how: tuple[str, ...]


class FilterSearch:
    """Tries the usual names and formats, first with a future moment, then with one that splits the sampled leads."""

    def __init__(
        self,
        trials: ParameterTester,
        dates: Mapping[str, LeadDates],
        options: OpleadOptions,
        ahead: datetime,
        *,
        is_specified: bool = False,
    ) -> None:
        """Send nothing yet; `dates` has the sampled leads' by mark, `ahead` is a future moment by the platform's clock.

        `options` say where dates are in a lead, and may name a filter; `is_specified` if a
        specification named it.
        """
        self._is_specified = is_specified
        self._trials = trials
        self._dates = dates
        self._options = options
        self._ahead = ahead
        self._split = _split([*dates.values()], len(trials.first.items))
        self._always_wrong: list[str] = []
        """The names that are known but refused in every format."""

    def find(self) -> FilterSearchResult:
        """Return the filter by change; never suggest one that may filter by creation."""
        if (configured := self._options.since_filter) is not None:
            param = configured.param
            note = (
                _("Changes: `{param}` lists only what changed since a time, as the specification says.", param=param)
                if self._is_specified
                else _("Changes: `{param}` lists only what changed since a time, as the settings say.", param=param)
            )
            return FilterSearchResult(configured, self._ahead, (note,))
        notes: list[str] = []
        try:
            for found in chain(self._filters(), self._filters_with_both_ends()):
                meaning = self._classify_filter_meaning(found)
                if meaning == "changes":
                    return FilterSearchResult(found, self._split, (*notes, _describe_found_filter(found)))
                if found.until_param is None:
                    notes.append(_describe_rejected_filter(found.param, meaning))
        except RequestLimitReached:
            notes.append(_("Changes: not every usual filter could be tried within the request limit."))
        none = _("Changes: no usual filter by time is read, so a night reads the whole list and finds changes itself.")
        return FilterSearchResult(None, None, tuple(notes or [none]))

    def check(self, found: SinceQueryParameters, paging: PaginationOptions) -> FilterSearchResult:
        """Return the filter that a specification names, unless it does something else; one request."""
        sized = {paging.size_param: str(paging.size)} if paging.size_param and paging.size else {}
        moment = self._split or self._ahead
        trial = self._trials.try_parameters({**sized, **self._query(found, moment)})
        if trial.page is None or trial.effect in {ParameterEffect.SAME, ParameterEffect.WRONG}:
            refused = N_(
                "Changes: `{param}` is specified to list only what changed since a time, but Oplead refuses it."
            )
            ignored = N_(
                "Changes: `{param}` is specified to list only what changed since a time, but Oplead ignores it."
            )
            note = _(refused if trial.page is None else ignored, param=found.param)
            return FilterSearchResult(None, None, (note,))
        dates = self._dates_on(trial.page)
        if self._split and (self._is_by_creation(dates) or self._has_older(dates)):
            note = _(
                "Changes: `{param}` is specified to filter by change, but Oplead lists other leads with it.",
                param=found.param,
            )
            return FilterSearchResult(None, None, (note,))
        return FilterSearchResult(found, moment, (_describe_found_filter(found),))

    def _filters(self) -> Iterator[SinceQueryParameters]:
        """Yield the parameters that filter out existing leads, each with its format."""
        left = list(_NAMES)
        for form in _FORMATS:
            wrong: list[str] = []
            for trial in self._trials.try_each_parameter(
                tuple(left), write_moment(self._ahead, form, self._options.zone)
            ):
                if self._leaves_out(trial):
                    left.remove(trial.name)
                    yield SinceQueryParameters(trial.name, form)
                elif trial.effect is ParameterEffect.WRONG:
                    wrong.append(trial.name)
            self._always_wrong = wrong
            if (
                self._trials.unknown_parameter_refusal is not None
            ):  # unknown names were refused as such: retry only those whose value was
                left = wrong

    def _filters_with_both_ends(self) -> Iterator[SinceQueryParameters]:
        """Yield the filters that need both ends of the period: their start alone is refused or ignored."""
        for name in [name for name in self._always_wrong if name in _ENDS] or self._names_effective_with_end():
            found = (SinceQueryParameters(name, form, _ENDS[name]) for form in _FORMATS)
            yield from islice((one for one in found if self._leaves_out(self._ask(one, self._ahead))), 1)

    def _names_effective_with_end(self) -> list[str]:
        """Return the names that have an effect in some format when sent with their end; usually none."""
        if self._trials.unknown_parameter_refusal is not None:
            return []
        found: dict[str, None] = {}
        for form in _FORMATS:
            every = [SinceQueryParameters(name, form, end) for name, end in _ENDS.items()]
            together = dict(pair for one in every for pair in self._query(one, self._ahead).items())
            if self._trials.try_parameters(together).effect is ParameterEffect.SAME:
                continue
            for one in every:
                if one.param not in found and self._ask(one, self._ahead).effect is not ParameterEffect.SAME:
                    found[one.param] = None
        return list(found)

    def _ask(self, found: SinceQueryParameters, since: datetime) -> ParameterTrial:
        return self._trials.try_parameters(self._query(found, since))

    def _query(self, found: SinceQueryParameters, since: datetime) -> dict[str, str]:
        """Return the query for everything since a moment; an end, if required, lies a day beyond `ahead`."""
        return since_query(found, since, self._ahead + _DAY, self._options.zone)

    def _leaves_out(self, trial: ParameterTrial) -> bool:
        """Whether almost nothing is left; a platform may still list leads without a readable date."""
        shown = len(trial.page.marks) if trial.page else 0
        return trial.effect is ParameterEffect.EMPTY or 0 < shown <= _FEW * len(self._trials.first.marks)

    def _classify_filter_meaning(self, found: SinceQueryParameters) -> Literal["changes", "creation", "unclear"]:
        split = self._split
        page = None if split is None else self._ask(found, split).page
        if split is None or page is None:
            return "unclear"
        dates = self._dates_on(page)
        if self._has_older(dates):
            return "unclear"
        if any(one.is_old_but_changed_after(split) for one in dates):
            return "changes"
        return "creation" if self._is_by_creation(dates) else "unclear"

    def _dates_on(self, page: ListedPage) -> list[LeadDates]:
        entries = zip(page.marks, page.items, strict=True)
        return [self._dates.get(mark) or LeadDates.read_lead_dates(item, self._options) for mark, item in entries]

    def _has_older(self, dates: Sequence[LeadDates]) -> bool:
        """Whether some leads changed before the split; day precision, or a time in another zone, may let in a few."""
        split = self._split
        return split is not None and any(one.updated is not None and one.updated < split - _DAY for one in dates)

    def _is_by_creation(self, dates: Sequence[LeadDates]) -> bool:
        """Whether the leads that changed after the split, but are older, are left out."""
        split = self._split
        return (
            split is not None
            and not any(one.is_old_but_changed_after(split) for one in dates)
            and any(one.is_old_but_changed_after(split) for one in self._dates.values())
        )


def _split(seen: Sequence[LeadDates], page_size: int) -> datetime | None:
    """Return a moment that splits the leads seen, or None if their dates do not allow it.

    Few leads changed after it, so that they should fit on a page; at least one of them was created over a day before.
    """
    updates = sorted((one.updated for one in seen if one.updated), reverse=True)
    for count in (max(2, page_size // 2), max(2, page_size // 4), page_size, len(updates) // 2):
        if not 0 < count < len(updates):
            continue
        split = updates[count] + timedelta(seconds=1)
        if updates[-1] < split - _DAY and any(one.is_old_but_changed_after(split) for one in seen):
            return split
    return None


def _describe_found_filter(one: SinceQueryParameters) -> str:
    form = _(_FORMATS[one.format])
    if one.until_param is None:
        return _("Changes: `{param}` lists only what changed since a time ({form}).", param=one.param, form=form)
    return _(
        "Changes: `{param}` and `{until}` list only what changed between two times ({form}).",
        param=one.param,
        until=one.until_param,
        form=form,
    )


def _describe_rejected_filter(name: str, meaning: str) -> str:
    if meaning == "creation":
        return _(
            "Changes: `{name}` filters by creation, not by change, so it is of no use: old leads change too.", name=name
        )
    return _(
        "Changes: `{name}` filters the list, but these leads do not show whether by change or by creation; "
        "if Oplead says by change, write it as oplead.since_filter",
        name=name,
    )
