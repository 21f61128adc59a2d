"""Settings tried on leads that were already read: which suggestion reads them, and what it costs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from itertools import islice
from math import ceil
from typing import Literal

from connectors.errors import Misconfigured
from connectors.oplead.field_tree import AMOUNT_PARTS, CONSENT_PARTS, plain, tree_of
from connectors.oplead.lead_parser import lacks_click_ids, with_candidates
from connectors.oplead.options import AuthOptions, FieldPaths, OpleadOptions, PaginationOptions, SinceOptions
from connectors.oplead.probe.access import ListedPage
from connectors.oplead.probe.field_places import Places, find_places
from connectors.oplead.probe.filters import Filtering
from connectors.oplead.probe.pagination import Paging
from connectors.oplead.probe.sampling import FIRST_OWN_PAGES, LeadSample
from connectors.oplead.source import OpleadSource
from connectors.records import Lead, LeadId, LeadPage, OtherLead, UnreadableLead
from connectors.survey import Suggestion

_MOSTLY = 0.8
_PAGES = 2
_BROKEN = 2
"""Entries of a page that are no leads at all."""


def objection_to_pages(source: OpleadSource, walked: Sequence[ListedPage]) -> str | None:
    """Why the list is not read as it was seen; None where it is, as far as two pages tell."""
    try:
        pages = list(islice(source.fetch_changes(None, resume=None, is_known=lambda _id, _digest: True), _PAGES))
    except Misconfigured as error:
        return str(error)
    for expected, page in zip(walked, pages, strict=False):
        if not _are_alike(expected, page):
            return "oplead.pagination: a second reading of the list gave other leads than the first"
    if len(pages) < min(_PAGES, len(walked)):
        return "oplead.pagination: the list ended sooner when read a second time"
    return None


def objection_to_detail_pages(source: OpleadSource, ids: Sequence[str]) -> str | None:
    """Why leads cannot be read by their own pages; None where one can."""
    said = "no lead was asked for"
    try:
        for lead_id, lead in source.fetch_each([LeadId(one) for one in ids]):
            match lead:
                case Lead():
                    return None
                case UnreadableLead():
                    said = lead.reason
                case OtherLead():
                    said = "its own page is another lead's, see oplead.fields.id"
                case None:
                    said = f"lead {lead_id} is gone"
    except Misconfigured as error:
        said = str(error)
    return f"oplead.lead_path: leads are not read by their own pages ({said})"


def objection_to_filter(source: OpleadSource, since: datetime, first: ListedPage) -> str | None:
    """Why the filter does not filter; None where it does."""
    try:
        page = next(source.fetch_changes(since, resume=None, is_known=lambda _id, _digest: True), None)
    except Misconfigured as error:
        return str(error)
    return "the filter made no difference" if page is None or _are_alike(first, page) else None


def _are_alike(expected: ListedPage, page: LeadPage) -> bool:
    ids = {*page.unchanged, *(lead.id for lead in page.leads), *(lead.id for lead in page.unreadable if lead.id)}
    told = {*expected.marks}
    return len(ids & told) >= _MOSTLY * len(ids) and len(ids) >= _MOSTLY * len(told) - _BROKEN


_PLAIN = ("path_prefix", "leads_path", "lead_path")
Pull = Literal["since", "list", "details"]
Written = str | int | bool | list[str] | Suggestion


def suggestion_of(options: OpleadOptions, pull: Pull) -> Suggestion:
    """The settings that differ from the defaults; the token, the address and the pace are left to the caller."""
    default = {one.name: one.default for one in fields(OpleadOptions)}
    written: dict[str, Written] = {
        name: getattr(options, name) for name in _PLAIN if getattr(options, name) != default[name]
    }
    written |= {name: dict(told) for name in ("extra_headers", "extra_query") if (told := getattr(options, name))}
    sections = {
        "auth": _different(options.auth, AuthOptions()),
        "pagination": _different(options.pagination, PaginationOptions()),
    }
    written |= {name: section for name, section in sections.items() if section}
    if pull != ("list" if options.since_filter is None else "since"):
        written["pull"] = pull
    if options.since_filter is not None:
        param = options.since_filter.param
        written["since_filter"] = {"param": param, **_different(options.since_filter, SinceOptions(param))}
    if options.detail != "auto":
        written["detail"] = options.detail
    if places := _different(options.fields, FieldPaths()):
        written["fields"] = places
    return written


def _different(
    told: AuthOptions | PaginationOptions | SinceOptions | FieldPaths, default: object
) -> dict[str, Written]:
    """The parts that differ from the default, paths as they are written: one plainly, several as a list."""
    parts = {one.name: getattr(told, one.name) for one in fields(told)}
    return {
        name: _one_or_list(value)
        for name, value in parts.items()
        if value is not None and value != getattr(default, name)
    }


def _one_or_list(value: str | int | tuple[str, ...] | Mapping[str, str]) -> Written:
    if isinstance(value, tuple):
        return value[0] if len(value) == 1 else list(value)
    return dict(value) if isinstance(value, Mapping) else value


OpenSource = Callable[[OpleadOptions], OpleadSource]
_Detail = Literal["auto", "always", "never"]


@dataclass(slots=True)
class Notes:
    """What is to be said, as it is found."""

    how: list[str] = field(default_factory=list)
    suspicions: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ProbeFindings:
    """Everything that was found."""

    paging: Paging
    sample: LeadSample
    places: Places
    filtering: Filtering


def settle(
    options: OpleadOptions, found: ProbeFindings, notes: Notes, open_source: OpenSource
) -> tuple[OpleadOptions, Pull]:
    """The options to suggest, and how to pull; what does not hold when read with is left out and said."""
    options = replace(
        options,
        pagination=found.paging.options,
        fields=found.places.fields,
        since_filter=None,
        lead_path=found.sample.own.lead_path or options.lead_path,
    )
    options = replace(options, detail=_detail(options, found, notes))
    options = _pages_hold(options, found, notes, open_source)
    _detail_pages_hold(options, found, notes, open_source)
    if found.sample.detail_pages_add and not _list_tells_changes(options, found.sample):
        notes.how.append(
            "Changes: the list tells neither a status nor a time of change, so each night reads the own pages of the "
            "leads that may still be sent."
        )
        return options, "details"
    notes.how.extend(found.filtering.how)
    filtered = _filter_holds(options, found, notes, open_source)
    return (options, "list") if filtered is None else (filtered, "since")


def reads_detail_pages(options: OpleadOptions, sample: LeadSample) -> bool:
    """Whether a lead that is new or changed takes a request of its own."""
    match options.detail:
        case "never":
            return False
        case "always":
            return True
        case "auto":
            return _mostly_lack_click_ids(options, sample)


def _detail(options: OpleadOptions, found: ProbeFindings, notes: Notes) -> _Detail:
    """Whether leads' own pages must be read: where they tell something that counts and the list does not."""
    sample = found.sample
    lacking = _mostly_lack_click_ids(options, sample)
    if sample.own.lead_path is None:
        if lacking:
            notes.undecided.append(
                "oplead.lead_path: the list leaves out what holds click ids, and no lead's own page was found"
            )
        return options.detail
    if not sample.detail_pages_add:
        notes.how.append("Details: a lead's own page tells no more than the list, so none needs to be read.")
        return "never" if lacking else "auto"
    if lacking:
        notes.how.append("Details: the list leaves out what holds click ids, so a changed lead's own page is read.")
        return "auto"
    if missing := list(_missing_in_list(options, found)):
        notes.how.append(f"Details: only a lead's own page tells {', '.join(missing[:6])}, so a changed one is read.")
        return "always"
    notes.how.append("Details: a lead's own page tells more, but nothing that is needed.")
    return "auto"


def _pages_hold(options: OpleadOptions, found: ProbeFindings, notes: Notes, open_source: OpenSource) -> OpleadOptions:
    if found.paging.undecided:
        return options
    objection = found.sample.objection
    if objection is None:
        with open_source(options) as source:
            objection = objection_to_pages(source, found.sample.pages)
    if objection is None:
        return options
    notes.undecided.append(objection)
    return replace(options, pagination=PaginationOptions(items=options.pagination.items))


def _detail_pages_hold(options: OpleadOptions, found: ProbeFindings, notes: Notes, open_source: OpenSource) -> None:
    sample = found.sample
    if options.detail == "never" or not sample.detail_pages_add:
        return
    with open_source(options) as source:
        objection = objection_to_detail_pages(source, list(sample.own.leads)[:FIRST_OWN_PAGES])
    if objection is not None:
        notes.undecided.append(objection)


def _filter_holds(
    options: OpleadOptions, found: ProbeFindings, notes: Notes, open_source: OpenSource
) -> OpleadOptions | None:
    filtering = found.filtering
    if filtering.since_filter is None or filtering.split is None:
        return None
    filtered = replace(options, since_filter=filtering.since_filter)
    with open_source(filtered) as source:
        objection = objection_to_filter(source, filtering.split, found.sample.pages[0])
    if objection is not None:
        notes.how.append(f"Changes: the filter did not hold when tried once more ({objection}), so it is left out.")
        return None
    return filtered


def _mostly_lack_click_ids(options: OpleadOptions, sample: LeadSample) -> bool:
    paths = with_candidates(options.fields)
    objects = [item for item in sample.items.values() if isinstance(item, Mapping)]
    return sum(lacks_click_ids(item, paths) for item in objects) > len(objects) / 2


def _list_tells_changes(options: OpleadOptions, sample: LeadSample) -> bool:
    """Whether an entry of the list differs once its lead's status does."""
    places = _places_in_list(options, sample)
    return any(match.path for match in places.matches if match.field in {"status", "status_at", "updated_at"})


def _missing_in_list(options: OpleadOptions, found: ProbeFindings) -> Iterator[str]:
    """What only leads' own pages tell, of the fields we look for, of amounts and of consents."""
    sample = found.sample
    in_list = {match.field for match in _places_in_list(options, sample).matches if match.path}
    yield from (match.field for match in found.places.matches if match.path and match.field not in in_list)
    marks = list(sample.own.leads)
    listed = {path for path, node in tree_of(sample.listed(marks)).items() if node.filled}
    for path, node in tree_of(list(sample.own.leads.values())).items():
        name = plain(path.rpartition(".")[2])
        if node.filled and path not in listed and any(part in name for part in (*AMOUNT_PARTS, *CONSENT_PARTS)):
            yield path


def _places_in_list(options: OpleadOptions, sample: LeadSample) -> Places:
    listed: Sequence[object] = sample.listed(list(sample.own.leads))
    return find_places(listed, tree_of(listed), options.fields, zone=options.zone, rules=options.click_ids)


@dataclass(frozen=True, slots=True)
class TrialReading:
    """What has to be read, and how."""

    total: int
    page_size: int
    changed: float
    """The share of leads that a usual night's pull takes for changed, its overlap included."""
    recent: float
    """The share of leads young enough to be sent still."""
    detail_pages: bool
    """Whether each lead takes a request of its own."""
    pull: Pull
    per_minute: int

    @property
    def minutes_first(self) -> float:
        """Reading everything once."""
        return self._minutes(self._pages(self.total) + (self.total if self.detail_pages else 0))

    @property
    def minutes_nightly(self) -> float:
        """A usual night."""
        changed = ceil(self.total * self.changed)
        details = changed if self.detail_pages else 0
        match self.pull:
            case "since":
                return self._minutes(self._pages(changed) + details)
            case "list":
                return self._minutes(self._pages(self.total) + details)
            case "details":
                return self._minutes(self._pages(self.total) + ceil(self.total * self.recent))

    def _pages(self, leads: int) -> int:
        return max(1, ceil(leads / max(1, self.page_size)))

    def _minutes(self, requests: int) -> float:
        return round(requests / self.per_minute, 1)
