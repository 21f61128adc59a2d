"""Turns what was found into options to suggest, and reads with them once more before they are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from connectors.oplead.candidates import with_candidates
from connectors.oplead.options import OpleadOptions, PaginationOptions
from connectors.oplead.parse import lacks_click_ids
from connectors.oplead.probe.checking import objection_to_filter, objection_to_own_pages, objection_to_pages
from connectors.oplead.probe.filters import Filtering
from connectors.oplead.probe.names import AMOUNT_PARTS, CONSENT_PARTS, plain
from connectors.oplead.probe.pagination import Paging
from connectors.oplead.probe.places import Places, find_places
from connectors.oplead.probe.sampling import FIRST_OWN_PAGES, Sample
from connectors.oplead.probe.suggestion import Pull
from connectors.oplead.probe.tree import tree_of
from connectors.oplead.source import OpleadSource

OpenSource = Callable[[OpleadOptions], OpleadSource]
_Detail = Literal["auto", "always", "never"]


@dataclass(slots=True)
class Notes:
    """What is to be said, as it is found."""

    how: list[str] = field(default_factory=list)
    suspicions: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that was found."""

    paging: Paging
    sample: Sample
    places: Places
    filtering: Filtering


def settle(options: OpleadOptions, found: Found, notes: Notes, open_source: OpenSource) -> tuple[OpleadOptions, Pull]:
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
    _own_pages_hold(options, found, notes, open_source)
    if found.sample.own_pages_add and not _list_tells_changes(options, found.sample):
        notes.how.append(
            "Changes: the list tells neither a status nor a time of change, so each night reads the own pages of the "
            "leads that may still be sent."
        )
        return options, "details"
    notes.how.extend(found.filtering.how)
    filtered = _filter_holds(options, found, notes, open_source)
    return (options, "list") if filtered is None else (filtered, "since")


def reads_own_pages(options: OpleadOptions, sample: Sample) -> bool:
    """Whether a lead that is new or changed takes a request of its own."""
    match options.detail:
        case "never":
            return False
        case "always":
            return True
        case "auto":
            return _mostly_lack_click_ids(options, sample)


def _detail(options: OpleadOptions, found: Found, notes: Notes) -> _Detail:
    """Whether leads' own pages must be read: where they tell something that counts and the list does not."""
    sample = found.sample
    lacking = _mostly_lack_click_ids(options, sample)
    if sample.own.lead_path is None:
        if lacking:
            notes.undecided.append(
                "oplead.lead_path: the list leaves out what holds click ids, and no lead's own page was found"
            )
        return options.detail
    if not sample.own_pages_add:
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


def _pages_hold(options: OpleadOptions, found: Found, notes: Notes, open_source: OpenSource) -> OpleadOptions:
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


def _own_pages_hold(options: OpleadOptions, found: Found, notes: Notes, open_source: OpenSource) -> None:
    sample = found.sample
    if options.detail == "never" or not sample.own_pages_add:
        return
    with open_source(options) as source:
        objection = objection_to_own_pages(source, list(sample.own.leads)[:FIRST_OWN_PAGES])
    if objection is not None:
        notes.undecided.append(objection)


def _filter_holds(options: OpleadOptions, found: Found, notes: Notes, open_source: OpenSource) -> OpleadOptions | None:
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


def _mostly_lack_click_ids(options: OpleadOptions, sample: Sample) -> bool:
    paths = with_candidates(options.fields)
    objects = [item for item in sample.items.values() if isinstance(item, Mapping)]
    return sum(lacks_click_ids(item, paths) for item in objects) > len(objects) / 2


def _list_tells_changes(options: OpleadOptions, sample: Sample) -> bool:
    """Whether an entry of the list differs once its lead's status does."""
    places = _places_in_list(options, sample)
    return any(match.path for match in places.matches if match.field in {"status", "status_at", "updated_at"})


def _missing_in_list(options: OpleadOptions, found: Found) -> Iterator[str]:
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


def _places_in_list(options: OpleadOptions, sample: Sample) -> Places:
    listed: Sequence[object] = sample.listed(list(sample.own.leads))
    return find_places(listed, tree_of(listed), options.fields, zone=options.zone, rules=options.click_ids)
