"""What happens to leads on their way; pure functions of leads as JSON.

An accident damages a whole CRM's leads from some moment on and leaves `updatedAt` unchanged. A website that drops
click ids damages only the leads it creates, a CRM that renames a label changes all of them; hence `only_new`.
"""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, Field
from pydantic.dataclasses import dataclass

from connectors.sandbox.oplead.leads.rendering import Fields, parse_lead_time
from connectors.sandbox.platform import STRICT


class LeadAccidentKind(StrEnum):
    """How an accident changes a lead."""

    RELABEL = "relabel"
    """Rename the label `old` to `new`, in the status and in the history."""
    DROP_UTM = "drop_utm"
    """Remove the UTM fields."""
    BARE_IDS = "bare_ids"
    """Strip the label from the click id and remove the UTM fields."""
    DROP_CLICK_IDS = "drop_click_ids"
    """Empty the click id field."""
    LOWER_CASE = "lower_case"
    """Lower-case the click id field."""
    TRUNCATE = "truncate"
    """Cut the click id field to `length` characters."""
    MOVE_FIELD = "move_field"
    """Move the value at the dotted path `old` to `new`."""


@dataclass(frozen=True, slots=True, config=STRICT)
class SimulatedLeadAccident:
    """One accident: what happens, when, and to which leads."""

    kind: LeadAccidentKind
    since: AwareDatetime
    until: AwareDatetime | None = None
    """When it is fixed."""
    only_new: bool = False
    """Whether it affects only the leads created while it lasts, but those permanently."""
    old: str = ""
    new: str = ""
    length: int = Field(default=50, ge=1)

    def __post_init__(self) -> None:
        """Raise ValueError for an impossible period or missing labels or paths."""
        if self.until is not None and self.until <= self.since:
            raise ValueError("until lies after since")
        if self.kind in (LeadAccidentKind.RELABEL, LeadAccidentKind.MOVE_FIELD) and not (self.old and self.new):
            raise ValueError(f"{self.kind} needs old and new")

    def affects_lead(self, lead: Fields, now: datetime) -> bool:
        """Return whether it changes this lead when served now."""
        moment = parse_lead_time(lead.get("createdAt")) if self.only_new else now
        return moment is not None and self.since <= moment and (self.until is None or moment < self.until)


def accident_json(accident: SimulatedLeadAccident) -> dict[str, object]:
    """Return the JSON form that `platform.from_json` reads."""
    fields = {name: value for name, value in asdict(accident).items() if value is not None}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}


def apply_accidents(accidents: Iterable[SimulatedLeadAccident], lead: object, now: datetime) -> object:
    """Apply each accident in turn to a lead served now; a lead that isn't an object stays unchanged."""
    for accident in accidents:
        if isinstance(lead, Mapping) and accident.affects_lead(lead, now):
            lead = _EFFECTS[accident.kind](lead, accident)
    return lead


def _relabelled(lead: Fields, accident: SimulatedLeadAccident) -> Fields:
    def relabel(fields: Fields) -> Fields:
        is_old = fields.get("status") == accident.old
        return {**fields, "status": accident.new} if is_old else fields

    history = lead.get("statusHistory")
    if isinstance(history, list):
        lead = {**lead, "statusHistory": [relabel(entry) if isinstance(entry, dict) else entry for entry in history]}
    return relabel(lead)


def _without_utm(lead: Fields, _: SimulatedLeadAccident) -> Fields:
    data = lead.get("leadData")
    if not isinstance(data, Mapping):
        return lead
    return {**lead, "leadData": {name: data[name] for name in data if not name.startswith("utm_")}}


def _without_labels(lead: Fields, accident: SimulatedLeadAccident) -> Fields:
    return _without_utm(_edit_click_id(lead, lambda text: text.rpartition("=")[2].rpartition(": ")[2]), accident)


def _edit_click_id(lead: Fields, edit: Callable[[str], str]) -> Fields:
    data = lead.get("leadData")
    if isinstance(data, Mapping) and isinstance(text := data.get("externalID"), str):
        return {**lead, "leadData": {**data, "externalID": edit(text)}}
    return lead


def _move_lead_field(lead: Fields, accident: SimulatedLeadAccident) -> Fields:
    """Move a value to another path; a lead without it stays unchanged."""
    changed = deepcopy(dict(lead))
    *folders, name = accident.old.split(".")
    source: object = changed
    for folder in folders:
        source = source.get(folder) if isinstance(source, dict) else None
    if not isinstance(source, dict) or name not in source:
        return lead
    value = source.pop(name)
    *folders, name = accident.new.split(".")
    target = changed
    for folder in folders:
        inner = target.get(folder)
        deeper = inner if isinstance(inner, dict) else {}
        target[folder] = deeper
        target = deeper
    target[name] = value
    return changed


_EFFECTS: Final[Mapping[LeadAccidentKind, Callable[[Fields, SimulatedLeadAccident], Fields]]] = {
    LeadAccidentKind.RELABEL: _relabelled,
    LeadAccidentKind.DROP_UTM: _without_utm,
    LeadAccidentKind.BARE_IDS: _without_labels,
    LeadAccidentKind.DROP_CLICK_IDS: lambda lead, _: _edit_click_id(lead, lambda _: ""),
    LeadAccidentKind.LOWER_CASE: lambda lead, _: _edit_click_id(lead, str.lower),
    LeadAccidentKind.TRUNCATE: lambda lead, accident: _edit_click_id(lead, lambda text: text[: accident.length]),
    LeadAccidentKind.MOVE_FIELD: _move_lead_field,
}
