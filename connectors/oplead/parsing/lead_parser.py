"""Parse one lead's JSON into a record, or reject it with a reason."""

import dataclasses
import hashlib
import json
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import Any

from connectors.language import _, _n, format_integer
from connectors.oplead.options import CANDIDATES, OpleadOptions
from connectors.oplead.parsing.click_ids import read_click_ids
from connectors.oplead.parsing.dates import earliest_instant_of, in_meant_pass, read_moment, read_moment_or_none
from connectors.oplead.parsing.field_tree import normalise
from connectors.oplead.parsing.fields import (
    PathReader,
    PathValues,
    first_value_at_paths,
    is_empty,
    names_of_status,
    raw_values_at_path,
    shape,
    text_of,
)
from connectors.oplead.parsing.synonyms import with_french
from connectors.records import ClickId, Contact, Lead, LeadId, Moment, StatusEntry, Utm
from connectors.text import holds_contact, is_contact, strip_control_characters

_ENTRY_STATUS = with_french("status", "newStatus", "toStatus", "statusLabel")
_ENTRY_LABEL = (*_ENTRY_STATUS, *with_french("label", "name", "to", "state", "new", "stage"))
ENTRY_BEFORE = with_french("from", "old", "oldStatus", "fromStatus", "previousStatus")
_ENTRY_AFTER = with_french("to", "new", "newStatus", "toStatus")
_ENTRY_KIND = ("type", "kind", "event", "action", "field")
_PERSONS = frozenset(["contact", "client", "customer", "owner", "user", "author", "agent", "assignee", "seller"]) | {
    *("proprietaire", "utilisateur", "auteur", "commercial", "vendeur", "responsable")
}
"""Who a lead may hold, with an id of their own."""
STATUS_WORDS = ("statu", "stage", "etape", "etat", "state")
"""What the kind of an entry of a general history holds, normalised, if it is about a status."""
ENTRY_TIME = with_french("date", "at", "since", "createdAt", "changedAt", "updatedAt", "timestamp")
_CONTACT_TEXT = with_french("value", "email", "number", "phone", "address", "label")
_COUNTRY_TEXT = with_french("code", "iso", "value", "name", "label")
_LONGEST_ID = 200
_LONGEST_LABEL = 200
_LONGEST_UTM = 200  # characters; the three of them are a key, of which PostgreSQL takes 2,700 bytes
_LONGEST_HISTORY = 1_000  # status changes; each is processed for every stage of every conversion
_LARGEST_LEAD = 1024 * 1024  # characters of JSON
_DEEPEST = 100  # levels; Python itself fails at a few hundred
_CONTAINERS = (dict, list)
_CANONICAL = json.JSONEncoder(
    default=str, ensure_ascii=False, separators=(",", ":"), sort_keys=True, check_circular=False
)


class UnreadableLeadError(Exception):
    """The lead cannot be read; the message gives shapes and the setting to fix, never a value."""


def digest_of(item: Mapping[str, object]) -> str:
    """Return the SHA-256 (lower-case hex) of a lead's canonical JSON, independent of key order.

    Raises:
        UnreadableLeadError: it is nested too deeply or too large.
    """
    try:
        canonical = _CANONICAL.encode(item)
    except RecursionError:
        raise UnreadableLeadError(_("it is nested too deeply")) from None
    if canonical.count("{") + canonical.count("[") >= _DEEPEST:
        _check_depth(item)
    if len(canonical) > _LARGEST_LEAD:
        raise UnreadableLeadError(
            _n(
                "its JSON has {count} character, more than any lead's",
                "its JSON has {count} characters, more than any lead's",
                len(canonical),
            )
        )
    return hashlib.sha256(canonical.encode()).hexdigest()


class LeadParser:
    """Parser for the leads of one platform."""

    def __init__(self, options: OpleadOptions, wanted: frozenset[str] = frozenset()) -> None:
        """Use the options' paths and rules; `wanted` are the paths copied into `Lead.fields`."""
        self.paths = paths = options.fields
        self._named = frozenset(map(normalise, options.labels))
        self._rules = options.click_ids
        self._zone = options.zone
        self._wanted = sorted(wanted)
        self._id = PathReader(paths.id)
        self._id_name = paths.id[0] if "." not in paths.id[0] else None
        self._entry_time = paths.history_at or ENTRY_TIME
        self._entry = PathReader(
            (*paths.history_status, *_ENTRY_LABEL, *ENTRY_BEFORE, *_ENTRY_AFTER, *_ENTRY_KIND, *self._entry_time)
        )
        self._reader = PathReader(chain(*(getattr(paths, one.name) for one in dataclasses.fields(paths)), wanted))

    def read_id(self, item: Mapping[str, object]) -> LeadId:
        """Return the lead's id, as opaque text.

        Raises:
            UnreadableLeadError: the id is missing or unusable.
        """
        # Nearly every lead has a text at the first path, and each is asked, changed or not.
        value = item.get(self._id_name) if self._id_name else None
        if not isinstance(value, str) or is_empty(value):
            value = self._first_id(item)
        lead_id = as_lead_id(value)
        if lead_id is None:
            raise UnreadableLeadError(_("no id that can be used ({shape}): see oplead.fields.id", shape=shape(value)))
        return lead_id

    def _first_id(self, item: Mapping[str, object]) -> object:
        try:
            return self._id.read(item).first(self.paths.id)
        except RecursionError:
            raise UnreadableLeadError(_("it is nested too deeply")) from None

    def current_status(self, item: Mapping[str, object]) -> tuple[str | None, Moment | None]:
        """Return a lead's label, and when it got it if its own dates say so; an unreadable date counts as none."""
        found = self._reader.read(item)
        label, _names = self.read_label(found.first(self.paths.status))
        at = read_moment_or_none(found.first(self.paths.status_at), self._zone)
        try:
            latest = max(self._status_changes(found), key=self._start, default=None)
        except UnreadableLeadError:
            latest = None
        if latest is None or (label is not None and label != latest.label):
            return label, at
        return latest.label, at or latest.at

    def read_label(self, status: object) -> tuple[str | None, tuple[str, ...]]:
        """Return a status's label and its other names; where it has a code and a text, settings may name either."""
        names = [name for text in names_of_status(status) if (name := clean_label(text)) is not None]
        if len(names) < 2:  # noqa: PLR2004 - nearly every status
            return next(iter(names), None), ()
        label = next((name for name in names if normalise(name) in self._named), names[0])
        return label, tuple(name for name in names if name != label)

    def lacks_click_ids(self, item: Mapping[str, object]) -> bool:
        """Whether the object that holds click ids is absent, so that the detail page must be fetched."""
        return not any(_has_container(item, path) for path in self.paths.click_id)

    def parse(self, item: Mapping[str, object], id: LeadId, digest: str) -> Lead:  # noqa: A002 the record's word
        """Parse a lead from JSON whose numbers are Decimals.

        Raises:
            UnreadableLeadError: no creation time, an unreadable time, or too many levels or status changes.
        """
        _check_depth(item)
        found = self._reader.read(item)
        created_at = self._moment(found, self.paths.created_at, "created_at")
        if created_at is None:
            raise UnreadableLeadError(_("no creation time: see oplead.fields.created_at"))
        updated_at = self._moment(found, self.paths.updated_at, "updated_at")
        label, also_called = self.read_label(found.first(self.paths.status))
        utm_paths = (self.paths.utm_source, self.paths.utm_medium, self.paths.utm_campaign)
        utm = Utm(*[_shortened(found.first_text(paths), _LONGEST_UTM) for paths in utm_paths])
        ids, problem = self._click_ids(found, utm.source)
        created = earliest_instant_of(created_at, self._zone)
        return Lead(
            id=id,
            created_at=created,
            # A bare day is no useful bound: the pull that sees the change gives a tighter one.
            updated_at=updated_at.at if updated_at and isinstance(updated_at.at, datetime) else None,
            label=label,
            also_called=also_called,
            history=self._history(found, label, created),
            click_ids=ids,
            click_id_problem=problem,
            utm=utm,
            contact=self._contact(found),
            fields={path: value for path in self._wanted if (value := _wanted_value(found, path)) is not None},
            digest=digest,
            has_appointment=self._moment(found, self.paths.appointment_at, "appointment_at") is not None,
        )

    def status_changes(self, item: Mapping[str, object]) -> list[StatusEntry]:
        """Return the dated entries of a lead's history, in their original order.

        Raises:
            UnreadableLeadError: a time cannot be read, or there are too many entries.
        """
        return self._status_changes(self._reader.read(item))

    def _status_changes(self, found: PathValues) -> list[StatusEntry]:
        histories = self.paths.history
        path = next((path for path in histories if found.first((path,)) is not None), None)
        if path is None:
            return []
        is_general = path == "history" and histories == CANDIDATES.history
        changes = (self._entry.read(entry) for entry in found.at(path) if isinstance(entry, Mapping))
        read = (
            (*self.read_label(status), self._moment(entry, self._entry_time, "history"))
            for entry in changes
            if (status := self._entry_status(entry, is_general=is_general)) is not None
        )
        entries = [StatusEntry(label, at, also_called) for label, also_called, at in read if label and at]
        if len(entries) > _LONGEST_HISTORY:
            raise UnreadableLeadError(
                _n(
                    "{path} has {count} status change, more than {most}",
                    "{path} has {count} status changes, more than {most}",
                    len(entries),
                    path=path,
                    most=format_integer(_LONGEST_HISTORY),
                )
            )
        return entries

    def _entry_status(self, entry: PathValues, *, is_general: bool) -> object:
        """Return the status that an entry of a history tells of.

        A general `history` also covers documents and calls: there an entry must name a status, or be of such a kind.
        """
        if self.paths.history_status:
            return entry.first(self.paths.history_status)
        kind = normalise(text_of(entry.first(_ENTRY_KIND)) or "")
        is_of_status = any(word in kind for word in STATUS_WORDS)
        is_move = entry.first(ENTRY_BEFORE) is not None
        if is_general and not is_of_status and (kind or not is_move):
            return entry.first(_ENTRY_STATUS)
        after = _ENTRY_AFTER if is_move else ()
        return entry.first((*after, *_ENTRY_LABEL, *(() if is_of_status else ("type",))))

    def _history(self, found: PathValues, label: str | None, created: datetime) -> tuple[StatusEntry, ...]:
        """Return the dated changes, oldest first, plus the current status at its date if they end on another label."""
        entries = [replace(one, at=in_meant_pass(one.at, since=created)) for one in self._status_changes(found)]
        if entries and self._start(entries[0]) > self._start(entries[-1]):
            entries.reverse()  # it was newest first; the stable sort below keeps the order within a day
        entries.sort(key=self._start)
        at = self._moment(found, self.paths.status_at, "status_at")
        if label and at and (not entries or entries[-1].label != label):
            insort(entries, StatusEntry(label, in_meant_pass(at, since=created)), key=self._start)
        return tuple(entries)

    def _start(self, entry: StatusEntry) -> datetime:
        return earliest_instant_of(entry.at, self._zone)

    def _moment(self, found: PathValues, paths: tuple[str, ...], setting: str) -> Moment | None:
        try:
            return read_moment(found.first(paths), self._zone)
        except ValueError as error:
            raise UnreadableLeadError(_("{error}: see oplead.fields.{setting}", error=error, setting=setting)) from None

    def _click_ids(self, lead: PathValues, utm_source: str | None) -> tuple[tuple[ClickId, ...], str | None]:
        """Return every click id at the paths; a field named after one kind (`leadData.gclid`) acts as a label."""
        captured = self._moment(lead, self.paths.click_id_at, "click_id_at")
        captured_at = captured.at if captured and isinstance(captured.at, datetime) else None
        read = partial(read_click_ids, utm_source=utm_source, rules=self._rules, zone=self._zone)
        ids: list[ClickId] = []
        problems: list[str] = []
        for path in self.paths.click_id:
            label = path.rpartition(".")[2]
            for value in lead.found.get(path, ()):
                found, problem = read(value, label=label)
                ids.extend(
                    one if one.clicked_at or not captured_at else replace(one, clicked_at=captured_at) for one in found
                )
                problems.extend([problem] if problem else [])
        return tuple(dict.fromkeys(ids)), problems[0] if problems and not ids else None

    def _contact(self, found: PathValues) -> Contact:
        paths = self.paths
        return Contact(
            emails=found.texts(paths.email, _CONTACT_TEXT),
            phones=found.texts(paths.phone, _CONTACT_TEXT),
            first_name=found.first_text(paths.first_name),
            last_name=found.first_text(paths.last_name),
            postcode=found.first_text(paths.postcode),
            city=found.first_text(paths.city),
            country=_country(found, paths.country),
        )


def as_lead_id(value: object) -> LeadId | None:
    """Return a value as a lead's id; None if it can be none."""
    text = text_of(value) if isinstance(value, str | Decimal) else None
    if text is None or len(text) > _LONGEST_ID or not text.isprintable() or text in {".", ".."}:
        return None
    if is_contact(text):  # an id is shown, logged and kept
        return None
    return LeadId(text)


def require_object_entry(entry: object, hint: str = "") -> Mapping[str, object]:
    """Return a list entry, or raise UnreadableLeadError if it is not an object."""
    if not isinstance(entry, Mapping):
        what = shape(entry)
        if not hint:  # a reason on record is told in another language by its message, in which no value is empty
            raise UnreadableLeadError(_("an entry of the list is no object ({shape})", shape=what))
        raise UnreadableLeadError(_("an entry of the list is no object ({shape}){hint}", shape=what, hint=hint))
    return entry


def candidate_lead_objects(body: object) -> list[Mapping[str, object]]:
    """Return the objects that may be the lead: the response body and what it wraps as `data` or `lead`."""
    inside = (body, *raw_values_at_path(body, "data"), *raw_values_at_path(body, "lead"))
    return [one for one in inside if isinstance(one, Mapping)]


def leads_on_own_page(body: object, lead_id: str, id_paths: Sequence[str]) -> list[Mapping[str, object]]:
    """Return the objects that may be the lead and have an id, on the page of the lead with this id.

    Where there is none, the body may wrap the lead under any name but a person's: it is the one object with this very
    id. What stands around it is smaller, since a lead without an id of its own may hold somebody with this number.
    """
    candidates = candidate_lead_objects(body)
    named = [one for one in candidates if first_value_at_paths(one, id_paths) is not None]
    if named or not isinstance(body, Mapping) or len(candidates) > 1:
        return named
    inside = (
        one
        for name, one in body.items()
        if isinstance(one, Mapping) and len(one) >= len(body) and normalise(name) not in _PERSONS
    )
    asked = [one for one in inside if find_lead_by_id([one], lead_id, id_paths)]
    return asked if len(asked) == 1 else []


def find_lead_by_id(
    objects: Iterable[Mapping[str, object]], lead_id: str, id_paths: Sequence[str]
) -> Mapping[str, object] | None:
    """Return the object that has the lead's id, else None."""
    return next((one for one in objects if text_of(first_value_at_paths(one, id_paths)) == lead_id), None)


def _check_depth(item: Mapping[str, object]) -> None:
    level: list[Any] = [item]
    for _level in range(1, _DEEPEST):
        level = [
            value
            for one in level
            for value in (one.values() if isinstance(one, dict) else one)
            if isinstance(value, _CONTAINERS) and value
        ]
        if not level:
            return
    raise UnreadableLeadError(_("it is nested too deeply"))


def _has_container(item: Mapping[str, object], path: str) -> bool:
    container, _, _ = path.rpartition(".")
    return (
        any(value is not None for value in raw_values_at_path(item, container))
        if container
        else bool(raw_values_at_path(item, path))
    )


def clean_label(text: str | None) -> str | None:
    """Return a status fit to store and display: without control characters, truncated; contact data by its shape."""
    if text is None:
        return None
    if holds_contact(text):
        return f"<{shape(text)}>"
    return _shortened(strip_control_characters(text).strip(), _LONGEST_LABEL) or None


def _shortened(text: str | None, most: int) -> str | None:
    return text if text is None or len(text) <= most else f"{text[:most]}…"


def _country(found: PathValues, paths: tuple[str, ...]) -> str | None:
    """Return the first text that names a country, else the first: Oplead may put its own code beside the name."""
    from connectors.contact import is_blank_country, iso_country_code_of  # noqa: PLC0415 - a night without leads does without

    first, by_key = found.texts(paths, _COUNTRY_TEXT)[:1], (found.texts(paths, (key,)) for key in _COUNTRY_TEXT)
    spellings = chain(first, chain.from_iterable(by_key))
    names = (text for text in spellings if not is_blank_country(text) and iso_country_code_of(text) is not None)
    return next(names, next(iter(first), None))


def _wanted_value(found: PathValues, path: str) -> str | Decimal | None:
    """Return the value at a path; distinct values are joined by ` | ` so that none passes for the only one."""
    read = (value if isinstance(value, str | Decimal) else text_of(value) for value in found.at(path))
    values = dict.fromkeys(value for value in read if value is not None)
    if len(values) > 1:
        return " | ".join(map(str, values))
    return next(iter(values), None)
