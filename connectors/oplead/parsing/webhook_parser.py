"""Parse the body of a webhook into events; the name of an event decides what it means, or else its content.

Oplead's guide documents three kinds of event and neither their names nor their bodies, so every place and name comes
from the options. What is not understood keeps its structure, with every value masked.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from connectors.crm import CrmEventKind, ReceivedEvent, WebhookEvent
from connectors.language import Language, using_language
from connectors.oplead.options import CANDIDATES, OCCURRED_AT, OpleadOptions, WebhookFieldPaths
from connectors.oplead.parsing.dates import in_meant_pass, read_moment_or_none
from connectors.oplead.parsing.field_tree import Tree, common_lead_field_paths, normalise, summarise_lead_paths
from connectors.oplead.parsing.fields import (
    first_value_at_paths,
    loosely_normalised_name,
    raw_values_at_path,
    read_json,
    shape,
    strict_pairs,
    text_of,
    values_at_path,
)
from connectors.oplead.parsing.lead_parser import (
    ENTRY_BEFORE,
    ENTRY_TIME,
    STATUS_WORDS,
    LeadParser,
    UnreadableLeadError,
    as_lead_id,
    digest_of,
)
from connectors.oplead.parsing.synonyms import with_french
from connectors.records import LeadId, Moment

MOST_EVENTS = 100
"""In one body."""
_MOST_VALUES = 10_000  # in one body: a hundred events with a hundred fields each
_LISTS = with_french("events", "data", "items", "payload", "leads", "notifications")
"""Names under which a body may list its events."""
_WRAPPERS = frozenset(map(normalise, with_french("events", "data", "items", "payload", "notifications")))
"""Of these, the names of what need not be the lead itself."""
_OF_A_LEAD = (
    "devis quotes documents factures invoices taches tasks notes appels calls rdv rendezvous appointments contacts "
    "commentaires comments fichiers files produits products users agences agencies"
)
"""Names of lists whose objects have ids and statuses of their own and belong to a lead."""
_LONGEST_STRUCTURE = 2_000
_LONGEST_NAME = 100
_WORD = re.compile(r"[A-ZÀ-Þ]?[a-zß-ÿ]+|[A-ZÀ-Þ]+(?![a-zß-ÿ])")
_WORDS = {
    CrmEventKind.APPOINTMENT: ("appointment", "rdv", "rendezvous", "meeting"),
    CrmEventKind.STATUS_CHANGE: ("status", "statut"),
}
"""Parts of an event's name, normalised, that say its kind."""
_NEW = frozenset(["new", "created", "create", "added", "assigned", "nouveau", "nouveaux", "nouvelle", "cree"])
"""Words of an event's name, one of which says that a lead is new, if all others are among the next ones."""
_LEAD = frozenset(["lead", "leads", "prospect", "event", "webhook", "attribue", "attribues", "affecte"])
_LEAD_ID = ("leadId", "leadIdentifier", "idLead", "identifiantLead", "lead")
"""Where a lead's id may be beside an `id` of the event's own."""
_VAGUE_TIME = frozenset(with_french("createdAt", "updatedAt", "timestamp"))
"""Times of a history's entry that may be a lead's, or that of sending, where the lead itself stands."""
_OLD_OR_NEW = with_french(
    *("old", "new", "oldStatus", "fromStatus", "previousStatus", "newStatus", "toStatus", "status.new", "status.to")
)
"""Statuses that no lead has by itself, only a change."""
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_DIGIT = re.compile(r"[0-9]")
_EVENT_NAME = re.compile(r"[A-Za-z]+(?:[._:/-][A-Za-z]+){0,5}")
_SHOWN = (
    "contact contacts client customer note notes document documents file task call email sms message campaign "
    "tag owner user agency form rendez vous appel tache fichier de du la le set of on is "
    "update updated updates delete deleted remove removed change changed changes merge merged convert converted "
    "archive archived restore restored import imported close closed open opened won lost cancel cancelled canceled "
    "renew renewed unassigned reassigned sent received ping test hook hooks crm maj modifie modification "
    "modified changement suppr supprime suppression ajout ajoute fusion annule gagne perdu"
)
_KNOWN = _NEW | _LEAD | frozenset(word for words in _WORDS.values() for word in words) | frozenset(_SHOWN.split())
"""The only words that a name may consist of to be shown: any other may be a person's name."""

# An event without an id is recognised by its whole content, except what the sender adds to each delivery (assumed).
# Recognising it by what is understood would be unsafe: the lead may have changed otherwise, and must be read again. A
# name too many here loses a change; one too few makes a redelivery look like news. So `timestamp` stays: it may be the
# event's own. So does whatever the settings name as the event's time.
_OF_THE_DELIVERY = frozenset(
    ["sentat", "deliveredat", "deliveryattempt", "attempt", "attemptnumber", "retry", "retrycount"]
)

Content = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Event:
    """One event and where to look in it."""

    content: Content
    scopes: tuple[Content, ...]
    """The objects in which to look: the lead first, then what surrounds it, the whole event last."""
    name: str | None
    """What the event calls itself."""
    kind: CrmEventKind | None
    """What its name says that it is or, if it has none, its fields alone."""

    @property
    def lead_content(self) -> Content:
        """The lead, which may be the event itself."""
        return self.scopes[0]

    @property
    def is_bare_lead(self) -> bool:
        """Whether it is a lead and nothing else, as the API shows it: then its ids and times are the lead's."""
        return self.lead_content is self.content and self.name is None and self.kind is None

    def first(self, paths: Sequence[str]) -> object:
        """Return the first value at any of the paths."""
        return next((value for scope in self.scopes if (value := first_value_at_paths(scope, paths)) is not None), None)

    def has(self, paths: Sequence[str]) -> bool:
        """Whether any of the paths is there, even with an empty value."""
        return any(raw_values_at_path(scope, path) for scope in self.scopes for path in paths)


class WebhookParser:
    """Parser for the webhooks of one platform, including its calls to the `provider.url` of a lead."""

    def __init__(self, options: OpleadOptions, webhooks: WebhookFieldPaths) -> None:
        """Read leads by `options`, and what surrounds them by `webhooks`."""
        self._leads = LeadParser(options)
        self._paths = webhooks
        self._event = with_french(*webhooks.event)
        self._lead = with_french(*webhooks.lead)
        self._ids = webhooks.lead_id or _LEAD_ID
        self._new_status = with_french(*webhooks.status)
        self._any_status = (*with_french(*options.fields.status), *with_french("new"))
        self._change_time = tuple(name for name in ENTRY_TIME if name not in _VAGUE_TIME)
        self._wrapped = tuple(path for path in self._lead if normalise(path.rpartition(".")[2]) in _WRAPPERS)
        # A lead may hold its present status, too, and then a time beside it is the lead's.
        parents = (path.rpartition(".")[0] for path in self._new_status if "." in path and _is_of_change(path))
        self._beside_status = tuple(f"{parent}.{name}" for parent in parents for name in self._change_time)
        self._appointment = (*options.fields.appointment_at, *webhooks.appointment_at)
        self._zone = options.zone
        self._kinds = {normalise(name): kind for kind, name in webhooks.names.items()}
        self._of_the_delivery = _OF_THE_DELIVERY - _first_names(webhooks.at)
        times, statuses = (*webhooks.at, *self._change_time), (*self._new_status, *self._any_status, *ENTRY_BEFORE)
        self._of_an_event = (
            _first_names((*self._event, *webhooks.event_id, *webhooks.at, *ENTRY_TIME)) | _OF_THE_DELIVERY
        )
        self._of_a_change = _first_names((*self._ids, *webhooks.event_id, *times, *statuses))

    def parse(self, body: bytes, received_at: datetime) -> list[ReceivedEvent]:
        """Return the events in a body: one, or those in a list, which may be wrapped.

        Raises:
            ValueError: it is not JSON, is nested too deeply, or holds no event or too many events or values; never
                quotes the body.
        """
        content = read_json(body, most_values=_MOST_VALUES)
        events = content if isinstance(content, list) else self._unwrap(content)
        if not 0 < len(events) <= MOST_EVENTS:
            raise ValueError(f"a list of {len(events)} events; one body holds 1 to {MOST_EVENTS}")
        # Errors answer Oplead, and structures are compared: neither is for people.
        with using_language(Language.ENGLISH):
            return [self._received(event, received_at) for event in events]

    def _unwrap(self, content: object) -> Sequence[object]:
        """Return the events that a body wraps in a list, each with what surrounds it; else the body itself.

        A list beside a status or a lead is the lead's own, such as the lines of its quote. Beside an `id` that may be
        the event's, it is so unless each of its objects tells what only an event or a lead has. Under a name that says
        nothing, each must name its lead.
        """
        if not isinstance(content, Mapping):
            return [content]
        lists = [name for name, value in content.items() if _is_list_of_objects(value)]
        known = [name for name in _LISTS if name in lists]
        wrappers = known or [name for name in lists if self._names_leads(name, content)]
        if len(wrappers) != 1:
            return [content]
        around = {name: value for name, value in content.items() if name != wrappers[0]}
        place, entries = self._place(wrappers[0]), content[wrappers[0]]
        is_about_lead = self._tells_lead(around) or len(_objects_to_search(around, self._lead)) > 1
        has_id = first_value_at_paths(around, self._leads.paths.id) is not None
        if is_about_lead or (has_id and not all(self._is_event_or_lead({place: one}) for one in entries)):
            return [content]
        # An event that says its own kind says all else; any other is read as if it had come in its list's place.
        return [
            one if first_value_at_paths(one, self._event) is not None else {**around, place: one} for one in entries
        ]

    def _place(self, wrapper: str) -> str:
        """Return the name under which an object of a list is read."""
        return wrapper if any(path.partition(".")[0] == wrapper for path in self._lead) else "data"

    def _names_leads(self, name: str, content: Content) -> bool:
        """Whether each object of a list says which lead it is about, and so is none of that lead's own.

        An `id` beside a status says so only where nothing around the list may name a lead: past statuses and quotes
        have both.
        """
        has_id = first_value_at_paths({**content, name: None}, self._leads.paths.id) is not None
        # The settings may say that its objects name leads; else a lead's own list may do so too.
        if has_id and self._is_shown_lead(content) and self._paths.lead_id is None:
            return False
        around = frozenset(map(loosely_normalised_name, content.keys() - {name}))
        is_wrapped = around <= self._of_an_event and normalise(name) not in _OF_A_LEAD.split()
        entries = content[name]
        return isinstance(entries, list) and all(
            any(first_value_at_paths(one, self._ids) is not None for one in objects)
            or (is_wrapped and first_value_at_paths(objects[0], self._leads.paths.id) and self._tells_lead(objects[0]))
            for objects in (_objects_to_search({self._place(name): one}, self._lead) for one in entries)
        )

    def _is_shown_lead(self, content: Content) -> bool:
        """Whether an object is a lead as the API shows it: each has a time of creation."""
        return first_value_at_paths(content, self._leads.paths.created_at) is not None

    def _tells_lead(self, content: Content) -> bool:
        """Whether an object has a status, or an id that can only be a lead's."""
        paths = (*self._new_status, *self._leads.paths.status, *self._ids)
        return first_value_at_paths(content, paths) is not None

    def _is_event_or_lead(self, content: Content) -> bool:
        objects = _objects_to_search(content, self._lead)
        names = (first_value_at_paths(one, self._event) for one in objects)
        is_event = any(isinstance(name, str) and self._kind_by_name(name) is not None for name in names)
        return is_event or any(map(self._tells_lead, objects))

    def _received(self, content: object, received_at: datetime) -> ReceivedEvent:
        if not isinstance(content, Mapping) or not content:
            raise ValueError(f"not an event ({shape(content)})")
        try:
            # It also refuses what is nested too deeply.
            canonical = digest_of(
                {key: content[key] for key in content if loosely_normalised_name(key) not in self._of_the_delivery}
            )
        except UnreadableLeadError as error:
            raise ValueError(str(error)) from None
        scopes = _objects_to_search(content, self._lead)
        found = first_value_at_paths(content, self._event)
        name = found[:_LONGEST_NAME] if isinstance(found, str) else None
        event = _Event(content, scopes, name, self._kind_by_name(name) if name else self._kind_by_fields(scopes))
        own_at = (
            None
            if event.is_bare_lead
            else read_moment_or_none(first_value_at_paths(content, self._paths.at), self._zone)
        )
        own_id = None if event.is_bare_lead else text_of(first_value_at_paths(content, self._paths.event_id))
        read = self._read(event, own_at)
        digest = canonical if own_id is None else _digest(own_id, read)
        is_unique = own_id is not None or _is_dated(read, own_at)
        if read.at is None:
            read = replace(read, at=self._time_beside_lead(event, read))
        if read.at is not None:
            read = replace(read, at=in_meant_pass(read.at, by=received_at))
        return ReceivedEvent(read, received_at, digest, is_unique=is_unique)

    def _time_beside_lead(self, event: _Event, read: WebhookEvent) -> Moment | None:
        """Return the time under a name that it may have in a status history; at worst, it is that of sending.

        That lies nearer to the change than the arrival, but tells no two events apart. In a lead, it may be the lead's,
        unless an old or a new status says that it tells the change; beside an appointment, the appointment's.
        """
        if read.kind is not CrmEventKind.STATUS_CHANGE or self._paths.at != OCCURRED_AT:
            return None
        beside = event.content if event.lead_content is not event.content else {}
        change = {} if self._is_shown_lead(event.lead_content) or self._is_mere_lead(event) else event.lead_content
        own = (*self._paths.at, *self._change_time)
        times = (
            event.first(self._beside_status),
            first_value_at_paths(beside, ENTRY_TIME),
            first_value_at_paths(change, own),
        )
        return next((at for time in times if (at := read_moment_or_none(time, self._zone))), None)

    def _is_mere_lead(self, event: _Event) -> bool:
        """Whether the event has its lead in an object of its own that tells no change."""
        lead = event.lead_content
        is_event = lead is event.content or any(
            lead is value for path in self._wrapped for value in raw_values_at_path(event.content, path)
        )
        return not is_event and _no_flag(first_value_at_paths(lead, _OLD_OR_NEW)) is None

    def _read(self, event: _Event, own_at: Moment | None) -> WebhookEvent:
        named, lead = event.kind, self._lead_id(event)
        label, label_at = self._status(event, named)
        has_status = _no_flag(event.first(self._new_status)) is not None
        appointment_at = read_moment_or_none(event.first(self._appointment), self._zone)
        kind = named or _kind_by_content(event.name, label, appointment_at, is_dated=has_status or label_at is not None)
        if lead is None or kind is None or not self._is_complete(event, kind, label):
            return WebhookEvent(None, lead, structure=self._structure(event))
        # An event that does not name its kind may be about something else in the lead, and then so is its time.
        about_it = own_at if named else None
        is_shown = named is None and kind is CrmEventKind.NEW_LEAD  # when, nothing says but its arrival
        at = None if is_shown else _more_exact(self._lead_time(event, kind, label_at), about_it)
        return WebhookEvent(kind, lead, label, at, appointment_at)

    # ── what kind ──

    def _kind_by_fields(self, scopes: Sequence[Content]) -> CrmEventKind | None:
        """Return what a body without a name is: one that names a lead, a status and a time, and no more, is a change.

        A lead as the API shows it says more, and its `id` may be its own.
        """
        content, surrounding = scopes[0], scopes[1:]
        if any(len(one) > 1 for one in surrounding) or not _first_names(content) <= self._of_a_change:
            return None
        told = (self._ids, (*self._new_status, *self._any_status), (*self._paths.at, *self._change_time))
        is_change = all(_no_flag(first_value_at_paths(content, paths)) is not None for paths in told)
        return CrmEventKind.STATUS_CHANGE if is_change and not self._is_shown_lead(content) else None

    def _kind_by_name(self, name: str) -> CrmEventKind | None:
        normal = normalise(name)
        if normal in self._kinds:
            return self._kinds[normal]
        kinds = [kind for kind, words in _WORDS.items() if any(word in normal for word in words)]
        if kinds:
            return kinds[0] if len(kinds) == 1 else None
        words = {normalise(word) for word in _WORD.findall(name)}
        return CrmEventKind.NEW_LEAD if words & _NEW and words <= _NEW | _LEAD else None

    def _is_complete(self, event: _Event, kind: CrmEventKind, label: str | None) -> bool:
        """Whether an event has what its kind is about; an appointment may be empty: it was called off."""
        match kind:
            case CrmEventKind.NEW_LEAD:
                return True
            case CrmEventKind.STATUS_CHANGE:
                return label is not None
            case CrmEventKind.APPOINTMENT:
                return event.has(self._appointment)
        assert_never(kind)

    # ── which lead ──

    def _lead_id(self, event: _Event) -> LeadId | None:
        """Return the lead's id; None if there is none, or if two differ and nothing says which is the lead's."""
        own_paths = self._leads.paths.id
        own = _id_in(first_value_at_paths(event.lead_content, own_paths), is_certain=own_paths != CANDIDATES.id)
        if event.is_bare_lead and self._paths.lead_id is None:
            return own
        places = (
            (path, value) for scope in event.scopes for path in self._ids for value in values_at_path(scope, path)
        )
        ids = ((path, _id_in(value, is_certain=self._paths.lead_id is not None)) for path, value in places)
        path, named = next(((path, one) for path, one in ids if one), (None, None))
        if named is None or own is None or named == own or self._paths.lead_id:
            return named or own
        # Beside a lead's id, the event's own `id` is the event's; but a `lead` that is a text may be anything.
        return named if event.lead_content is event.content and path != "lead" else None

    # ── which status, and since when ──

    def _status(self, event: _Event, named: CrmEventKind | None) -> tuple[str | None, Moment | None]:
        """Return the status that the event tells, and when the lead got it if the lead's own dates say so."""
        own, own_at = self._leads.current_status(event.lead_content)
        status = _no_flag(event.first(self._new_status))
        if status is None and own is None and named is CrmEventKind.STATUS_CHANGE:
            status = _no_flag(event.first(self._any_status))
        label = self._leads.read_label(status)[0] or own
        return label, own_at if own in {label, None} else None

    def _lead_time(self, event: _Event, kind: CrmEventKind, label_at: Moment | None) -> Moment | None:
        match kind:
            case CrmEventKind.NEW_LEAD:
                return read_moment_or_none(
                    first_value_at_paths(event.lead_content, self._leads.paths.created_at), self._zone
                )
            case CrmEventKind.STATUS_CHANGE:
                return label_at
            case CrmEventKind.APPOINTMENT:
                return None
        assert_never(kind)

    # ── what is not understood ──

    def _structure(self, event: _Event) -> str:
        """Return every path with the shape of its values, and the event's name if it can be no personal data."""
        name = [f"event {event.name}"] if event.name and _names_an_event(event.name) else []
        tree = common_lead_field_paths([event.content])
        paths = (
            f"{_marked(one.path, tree)}: {' or '.join(one.shapes)}" for one in summarise_lead_paths(tree, self._zone)
        )
        return "; ".join([*name, *paths])[:_LONGEST_STRUCTURE] or "an object without names"


def _marked(path: str, tree: Tree) -> str:
    """Return a path with `[]` behind the list in which it lies, if any."""
    outside = path
    while outside and tree[outside].is_listed:
        outside = outside.rpartition(".")[0]
    return path if outside == path else f"{outside}[]{path[len(outside) :]}"


def _id_in(value: object, *, is_certain: bool) -> LeadId | None:
    """Return a value that looks like an id; a text without a digit only if the settings say that an id is there.

    Anything else may be a name or an e-mail address, which must not be stored.
    """
    found = as_lead_id(value)
    return found if found and _ID.fullmatch(found) and (is_certain or _DIGIT.search(found)) else None


def _is_of_change(path: str) -> bool:
    """Whether a status at this path can only be a change's: it is called so, or stands in an object that is."""
    above, _, name = path.rpartition(".")
    return name in _OLD_OR_NEW or any(word in normalise(above.rpartition(".")[2]) for word in STATUS_WORDS)


def _no_flag(value: object) -> object:
    """Return a value unless it is a yes or no, which is no status: `new` may say that the lead is new."""
    return None if isinstance(value, bool) else value


def _objects_to_search(content: Content, paths: Sequence[str]) -> tuple[Content, ...]:
    inside = (value for path in paths for value in raw_values_at_path(content, path) if isinstance(value, Mapping))
    return (*inside, content)


def _first_names(paths: Iterable[str]) -> frozenset[str]:
    return frozenset(loosely_normalised_name(path.partition(".")[0]) for path in paths)


def _is_list_of_objects(value: object) -> bool:
    """Whether a value is a list of objects that are not name/value pairs, which are one object.

    Only objects that can be nothing else are pairs: an event, too, has a `type` and may hold a `value`.
    """
    is_list = isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)
    return is_list and isinstance(value, list) and not strict_pairs(value)


def _kind_by_content(
    name: str | None, label: str | None, appointment_at: Moment | None, *, is_dated: bool
) -> CrmEventKind | None:
    """Return what an event must be about: a dated or new status or, if it has no name, whatever it holds.

    A status that is merely shown may be one that the lead has had for long: an event without a name only shows the
    lead, as a new one does, and under an unknown name nothing is known.
    """
    if label is not None and is_dated:
        return CrmEventKind.STATUS_CHANGE
    if name is not None:
        return None
    if label is not None:
        return CrmEventKind.NEW_LEAD
    return CrmEventKind.APPOINTMENT if appointment_at else None


def _more_exact(one: Moment | None, other: Moment | None) -> Moment | None:
    """Return the first of two times that is an instant, else the first that is a day."""
    known = [moment for moment in (one, other) if moment]
    return next((moment for moment in known if not moment.date_only), known[0] if known else None)


def _digest(event_id: str, read: WebhookEvent) -> str:
    """Return a digest of an event's id and content, not of when it was sent, which differs between deliveries."""
    appointment = read.appointment_at and read.appointment_at.at.isoformat()
    content = json.dumps([event_id, read.lead, read.kind, read.label, appointment])
    return hashlib.sha256(content.encode()).hexdigest()


def _is_dated(read: WebhookEvent, own_at: Moment | None) -> bool:
    """Whether an event holds an instant of its own; a day does not tell two changes apart, nor another field's time."""
    about_status = read.at if read.kind in {CrmEventKind.STATUS_CHANGE, CrmEventKind.NEW_LEAD} else None
    return any(moment and not moment.date_only for moment in (own_at, about_status))


def _names_an_event(name: str) -> bool:
    return bool(_EVENT_NAME.fullmatch(name)) and all(normalise(word) in _KNOWN for word in _WORD.findall(name))
