"""Reads from what was heard of an Oplead how it answers. Pure."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote

from connectors.errors import Misconfigured
from connectors.evidence import Dialect, Shown, Tree
from connectors.oplead.answers import HeardExchange
from connectors.oplead.evidence.redaction import LEADS, is_shown_name, kind_of, shown_names, shown_settings, tree_of
from connectors.oplead.options import OpleadOptions, OpleadWriteOptions
from connectors.oplead.parsing.field_tree import (
    NAMES,
    common_lead_field_paths,
    is_readable_time,
    last_path_part,
    normalise,
)
from connectors.oplead.parsing.fields import first_value_at_paths, lists_in, raw_values_at_path, read_json, text_of
from connectors.oplead.parsing.items import find_lead_array
from connectors.oplead.parsing.lead_parser import find_lead_by_id, leads_on_own_page
from connectors.oplead.probe.specification.documentation import PAGE
from connectors.survey import Survey

_OK = 200
_CONTACT = frozenset(name for field in ("email", "phone", "first_name", "last_name") for name in NAMES[field])
_REFUSALS = (400, 401, 403, 404, 409, 415, 422, 429)
_ZONED = re.compile(r"(?:Z|[+-]00:?00)$")
_ENTRY_STATUSES = (
    "statut",
    "status",
    "to",
    "new",
    "nouveau",
    "label",
    "libelle",
    "name",
    "nom",
    "value",
    "valeur",
    "type",
)


@dataclass(frozen=True, slots=True)
class HeardLeads:
    """The leads in what was heard."""

    bodies: Sequence[object]
    """Of list pages."""
    pages: Sequence[object]
    """The bodies of leads' own pages."""
    listed: Sequence[Mapping[str, object]]
    details: Sequence[Mapping[str, object]]
    """From leads' own pages."""

    ids: Sequence[str]
    """Of the listed leads, each once."""
    list_pages: int
    """How many list pages showed leads that no page before had shown."""
    opened: frozenset[str]
    """The ids of the listed leads whose own pages were read."""
    unread: int
    """How many listed leads' own pages were asked for, and never shown."""

    @property
    def all(self) -> Sequence[Mapping[str, object]]:
        """Every lead, wherever it stood."""
        return (*self.listed, *self.details)


def heard_leads(heard: Collection[HeardExchange], options: OpleadOptions) -> HeardLeads:
    """Return the leads that were read with these options."""
    list_path = options.path_prefix + options.leads_path
    before, _, after = (options.path_prefix + options.lead_path).partition("{id}")
    bodies, listed, list_pages = [], list[Mapping[str, object]](), 0
    ids, asked, opened = dict[str | None, None](), set[str](), list[tuple[object, str]]()
    for one in heard:
        path = one.target.partition("?")[0]
        is_own = before in path and path.endswith(after) and not path.endswith(list_path)
        if one.method != "GET":
            continue
        own_id = unquote(path.rpartition(before)[2].removesuffix(after)) if is_own else ""
        if is_own:
            asked.add(own_id)
        if one.status != _OK:
            continue
        with suppress(ValueError, Misconfigured):
            body = read_json(one.answered)
            if is_own:
                opened.append((body, own_id))
            elif path.endswith(list_path):
                found = [lead for lead in find_lead_array(body, options.pagination.items) if isinstance(lead, Mapping)]
                new = dict.fromkeys(_id_of(lead, options) for lead in found)
                list_pages += not ids.keys() >= new.keys()
                ids |= new
                bodies.append(body)
                listed += found
    ids.pop(None, None)
    # Anything may be answered to a lead that is not there.
    own = [
        (page, lead)
        for page, wanted in opened
        if wanted in ids
        if (lead := find_lead_by_id(leads_on_own_page(page, wanted, options.fields.id), wanted, options.fields.id))
    ]
    read = frozenset(one for one in (_id_of(lead, options) for _page, lead in own) if one)
    return HeardLeads(
        bodies,
        [page for page, _lead in own],
        listed,
        [lead for _page, lead in own],
        [one for one in ids if one],
        list_pages,
        read,
        len(asked & ids.keys() - read),
    )


def _id_of(lead: Mapping[str, object], options: OpleadOptions) -> str | None:
    return text_of(first_value_at_paths(lead, options.fields.id))


def shown_of(leads: HeardLeads, survey: Survey, options: OpleadOptions, write: OpleadWriteOptions) -> Shown:
    """Return what may be shown of this platform."""
    paging = options.pagination
    parameters = (paging.page_param, paging.size_param, paging.offset_param, paging.cursor_param)
    since = options.since_filter
    known = [
        *(match.path for match in survey.fields if match.path),
        *(few.path for few in survey.few_values if few.consent),
        *(amount.path for amount in survey.amounts),
        *filter(None, (paging.items, paging.next, paging.total, *parameters)),
        *((since.param, *filter(None, [since.until_param])) if since else ()),
    ]
    endpoints = (write.create, write.update, write.status, write.document)
    paths = [
        *(options.path_prefix, options.leads_path, options.lead_path, PAGE),
        *(write.channels, write.custom_fields, write.subscriptions.path, *(one.path for one in endpoints)),
    ]
    return shown_names(leads.all, known, paths)


def contact_values(leads: Sequence[object], survey: Survey, shown: Shown) -> frozenset[str]:
    """Return the texts that leads hold where names, addresses and numbers of people are.

    Those that are also the name of a field or of a status are left out: a Mme Contact would hide all of them.
    """
    ours = {normalise(part) for one in survey.labels for part in one.label.split()}
    return frozenset(
        text
        for path, node in common_lead_field_paths(leads).items()
        if last_path_part(path) in _CONTACT
        for value in node.all_lead_values()
        if (text := text_of(value)) and normalise(text) not in ours and not is_shown_name(text, shown)
    )


def entries_in(content: bytes) -> int:
    """Return how many entries the one list in an answer has."""
    try:
        return max(map(len, lists_in(read_json(content))), default=0)
    except ValueError:
        return 0


def exact_names(leads: Sequence[object], names: Collection[str]) -> Mapping[str, int]:
    """Count the leads in which each of these names stands exactly so, even with nothing in it."""
    found = [set(_names_in(lead)) for lead in leads]
    return {name: sum(name in one for one in found) for name in names}


def _names_in(value: object) -> Iterator[str]:
    match value:
        case Mapping():
            yield from value
            for inside in value.values():
                yield from _names_in(inside)
        case list():
            for one in value:
                yield from _names_in(one)


def status_places(survey: Survey) -> frozenset[str]:
    """Return the names under which the dates of statuses, or the histories, were found."""
    return frozenset(
        match.path.rpartition(".")[2]
        for match in survey.fields
        if match.path and match.field in {"status_at", "history"}
    )


def status_dates_say_zone(leads: Sequence[object], survey: Survey) -> bool | None:
    """Return whether the times of statuses all say their zone; None if there are none."""
    fields = {match.field: match.path for match in survey.fields if match.path}
    values = [value for lead in leads for value in _at(lead, fields.get("status_at"))]
    values += [
        value for lead in leads for entry in _entries_at(lead, fields.get("history")) for value in entry.values()
    ]
    kinds = {kind for value in values for kind in (kind_of(value),) if kind.startswith(("date ", "epoch "))}
    return all(kind.startswith("epoch") or _ZONED.search(kind) for kind in kinds) if kinds else None


# ── how to answer likewise ────────────────────────────────────────────────────────────────────────


def dialect_of(
    heard: Collection[HeardExchange], leads: HeardLeads, survey: Survey, options: OpleadOptions, shown: Shown
) -> Dialect:
    """Return how this platform answers, for a stand-in to answer likewise."""
    fields = {match.field: match.path for match in survey.fields if match.path}
    lead = tree_of(leads.listed, shown)
    detail = tree_of(leads.pages, shown) if leads.pages else None
    history = [entry for one in leads.all for entry in _entries_at(one, fields.get("history"))]
    return Dialect(
        settings=shown_settings(survey.suggestion),
        fields=fields | _entry_fields(history, options),
        list=tree_of([_without_leads(body, options.pagination.items) for body in leads.bodies], shown),
        lead=lead,
        detail=detail,
        page_size=_page_size(leads.bodies, options.pagination.items),
        status={
            "form": _status_form(leads.all, fields.get("status"), survey),
            # What a single lead has may be a text that somebody typed.
            "values": tuple(one.label for one in survey.labels if not one.masked and one.leads > 1),
        },
        consent=tuple(
            {"path": few.path, "granted": few.granted, "refused": few.refused}
            for few in survey.few_values
            if few.consent
        ),
        amounts=tuple(amount.path for amount in survey.amounts),
        refusals=_refusals(heard, shown),
    )


def _without_leads(body: object, items: str | None) -> object:
    array = find_lead_array(body, items)

    def replaced(value: object) -> object:
        if value is array:
            return LEADS
        return {name: replaced(one) for name, one in value.items()} if isinstance(value, Mapping) else value

    return replaced(body)


def _page_size(bodies: Sequence[object], items: str | None) -> int | None:
    sizes = [len(find_lead_array(body, items)) for body in bodies]
    return sizes[0] if len(sizes) > 1 else None


def _at(lead: object, path: str | None) -> Sequence[object]:
    return raw_values_at_path(lead, path) if path else ()


def _entries_at(lead: object, path: str | None) -> Iterator[Mapping[str, object]]:
    for value in _at(lead, path):
        yield from (entry for entry in (value if isinstance(value, list) else ()) if isinstance(entry, Mapping))


def _entry_fields(entries: Sequence[Mapping[str, object]], options: OpleadOptions) -> dict[str, str]:
    """Return where the entries of histories hold their status and their time."""
    names = dict.fromkeys(name for entry in entries for name in entry)
    times = [name for name in names if any(is_readable_time(entry.get(name), options.zone) for entry in entries)]
    statuses = [name for word in _ENTRY_STATUSES for name in names if word == normalise(name) and name not in times]
    found = {
        "history_status": (*options.fields.history_status, *statuses),
        "history_at": (*options.fields.history_at, *times),
    }
    return {field: places[0] for field, places in found.items() if places}


def _status_form(leads: Sequence[object], path: str | None, survey: Survey) -> str:
    values = [value for lead in leads for value in _at(lead, path)]
    if any(isinstance(value, Mapping) for value in values):
        return "object"
    return "code" if survey.labels and all(one.is_code for one in survey.labels) else "label"


def _refusals(heard: Collection[HeardExchange], shown: Shown) -> Mapping[str, Tree]:
    found: dict[str, list[object]] = {}
    for one in heard:
        if one.status in _REFUSALS and one.target.partition("?")[0] != PAGE and one.answered:
            try:
                found.setdefault(str(one.status), []).append(read_json(one.answered))
            except ValueError:
                continue
    return {status: tree_of(bodies, shown) for status, bodies in sorted(found.items())}
