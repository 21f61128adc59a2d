"""What befalls a whole CRM from one moment on: pure, (moment, lead JSON) → lead JSON.

A website that forgets click ids hurts the leads it makes, a CRM that renames a label hurts all of them: an accident
says which, by `only_new`. Nothing but the lead's JSON changes; its `updatedAt` tells nothing of it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, Field
from pydantic.dataclasses import dataclass

from connectors.sandbox.faults import STRICT
from connectors.sandbox.oplead.leads import instant

Lead = Mapping[str, object]


class AccidentKind(StrEnum):
    """What happens to the leads."""

    RELABEL = "relabel"
    """The label `old` reads `new`, in the status and in the history."""
    DROP_UTM = "drop_utm"
    """The UTM fields are gone."""
    BARE_IDS = "bare_ids"
    """A click id with a label stands without it, and the UTM fields are gone."""
    DROP_CLICK_IDS = "drop_click_ids"
    """The click id field is empty."""
    LOWER_CASE = "lower_case"
    """The click id field is in lower case."""
    TRUNCATE = "truncate"
    """The click id field is cut after `length` characters."""
    MOVE_FIELD = "move_field"
    """What stood at the dotted path `old` stands at `new`."""


@dataclass(frozen=True, slots=True, config=STRICT)
class Accident:
    """One accident: what happens, from when until when, and to which leads."""

    kind: AccidentKind
    since: AwareDatetime
    until: AwareDatetime | None = None
    """When it was mended; the leads made meanwhile stay as they are."""
    only_new: bool = False
    """Whether it hurts only the leads made while it lasts, and those for good."""
    old: str = ""
    new: str = ""
    length: int = Field(default=50, ge=1)

    def __post_init__(self) -> None:
        """Refuse what could not be carried out."""
        if self.until is not None and self.until <= self.since:
            raise ValueError("until lies after since")
        if self.kind in (AccidentKind.RELABEL, AccidentKind.MOVE_FIELD) and not (self.old and self.new):
            raise ValueError(f"{self.kind} needs old and new")

    def befalls(self, lead: Lead, now: datetime) -> bool:
        """Whether it hurts this lead as it is served now."""
        moment = instant(lead.get("createdAt")) if self.only_new else now
        return moment is not None and self.since <= moment and (self.until is None or moment < self.until)


def as_document(accident: Accident) -> dict[str, object]:
    """The JSON form that `faults.parsed` reads."""
    fields = {name: value for name, value in asdict(accident).items() if value is not None}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}


def after(accidents: Iterable[Accident], lead: object, now: datetime) -> object:
    """The lead as it is served now, each accident having befallen it in turn; what is no object is left alone."""
    for accident in accidents:
        if isinstance(lead, Mapping) and accident.befalls(lead, now):
            lead = _CONSEQUENCES[accident.kind](lead, accident)
    return lead


def _relabelled(lead: Lead, accident: Accident) -> Lead:
    def read(value: object) -> object:
        return accident.new if value == accident.old else value

    hurt = {name: read(value) if name == "status" else value for name, value in lead.items()}
    history = lead.get("statusHistory")
    if isinstance(history, list):
        hurt["statusHistory"] = [
            entry | {"status": read(entry.get("status"))} if isinstance(entry, dict) else entry for entry in history
        ]
    return hurt


def _without_utm(lead: Lead, _: Accident) -> Lead:
    data = lead.get("leadData")
    if not isinstance(data, Mapping):
        return lead
    return {**lead, "leadData": {name: value for name, value in data.items() if not name.startswith("utm_")}}


def _without_labels(lead: Lead, accident: Accident) -> Lead:
    return _without_utm(_on_click_id(lead, lambda text: text.rpartition("=")[2].rpartition(": ")[2]), accident)


def _on_click_id(lead: Lead, hurt: Callable[[str], str]) -> Lead:
    data = lead.get("leadData")
    text = data.get("externalID") if isinstance(data, Mapping) else None
    if not isinstance(data, Mapping) or not isinstance(text, str):
        return lead
    return {**lead, "leadData": {**data, "externalID": hurt(text)}}


def _moved(lead: Lead, accident: Accident) -> Lead:
    """The lead with a value at another path; a lead that has none there is left alone."""
    taken, rest = _taken(lead, accident.old.split("."))
    return _put(rest, accident.new.split("."), taken) if taken is not _NOTHING else lead


_NOTHING: Final = object()


def _taken(fields: Lead, path: list[str]) -> tuple[object, Lead]:
    name, *deeper = path
    if name not in fields:
        return _NOTHING, fields
    if not deeper:
        return fields[name], {each: value for each, value in fields.items() if each != name}
    inner = fields[name]
    if not isinstance(inner, Mapping):
        return _NOTHING, fields
    taken, rest = _taken(inner, deeper)
    return taken, {**fields, name: rest}


def _put(fields: Lead, path: list[str], value: object) -> Lead:
    name, *deeper = path
    inner = fields.get(name)
    return {**fields, name: _put(inner if isinstance(inner, Mapping) else {}, deeper, value) if deeper else value}


_CONSEQUENCES: Final[Mapping[AccidentKind, Callable[[Lead, Accident], Lead]]] = {
    AccidentKind.RELABEL: _relabelled,
    AccidentKind.DROP_UTM: _without_utm,
    AccidentKind.BARE_IDS: _without_labels,
    AccidentKind.DROP_CLICK_IDS: lambda lead, _: _on_click_id(lead, lambda _: ""),
    AccidentKind.LOWER_CASE: lambda lead, _: _on_click_id(lead, str.lower),
    AccidentKind.TRUNCATE: lambda lead, accident: _on_click_id(lead, lambda text: text[: accident.length]),
    AccidentKind.MOVE_FIELD: _moved,
}
