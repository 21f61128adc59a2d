"""Summarise a sample of leads without a personal value, as a probe and a survey of a file both report it. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from zoneinfo import ZoneInfo

from connectors.contact import summarise_unusable_phones
from connectors.language import _, _n, format_integer, join_with_semicolons
from connectors.oplead.options import CANDIDATES, FieldPaths, OpleadOptions, Paths
from connectors.oplead.parsing.field_tree import (
    CONTACT,
    common_lead_field_paths,
    normalise,
    normalise_field_path,
    summarise_lead_paths,
)
from connectors.oplead.parsing.fields import first_value_at_paths, text_of, values_at_path
from connectors.oplead.parsing.lead_parser import LeadParser, UnreadableLeadError, digest_of, require_object_entry
from connectors.oplead.survey.click_ids import click_id_damage_signs, click_id_kinds_by_source
from connectors.oplead.survey.places import FieldLocations
from connectors.oplead.survey.values import (
    Fold,
    Readable,
    fields_with_few_values,
    labels_only_in_histories,
    may_be_shown_as_label,
    possible_amount_fields,
    shown_statuses,
    shown_unclear_codes,
    surveyed_labels,
    with_codes,
)
from connectors.past_statuses import codes_of_histories, unexplained_labels
from connectors.records import Lead
from connectors.survey import Survey, UnreadPlace

_MOST_LABELS, _MOST_NAMED = 20, 3
ENOUGH_TO_SAY_EMPTY = 10
"""Leads among which a field that settings name must be filled once."""


@dataclass(frozen=True, slots=True)
class ReadLeads:
    """Leads, read as a night would read them."""

    leads: Sequence[object]
    records: Sequence[Lead]
    unreadable: Sequence[tuple[str, str]]
    """The id of each other lead, empty if that cannot be read either, and why the lead cannot."""
    past: Sequence[Sequence[str]]
    """The labels that each history tells, as it has them."""

    @classmethod
    def parse_surveyed_leads(cls, leads: Sequence[object], options: OpleadOptions) -> "ReadLeads":
        """Parse the leads."""
        parser, records, unreadable = LeadParser(options), [], []
        past = []
        for lead in leads:
            lead_id = ""
            try:
                item = require_object_entry(lead)
                lead_id = parser.read_id(item)
                records.append(parser.parse(item, lead_id, digest_of(item)))
                past.append([entry.label for entry in parser.status_changes(item)])
            except UnreadableLeadError as error:
                unreadable.append((lead_id, str(error)))
        return cls(leads, records, unreadable, past)

    @property
    def problem(self) -> str | None:
        """How many leads cannot be read, why, and which."""
        if not self.unreadable:
            return None
        ids: defaultdict[str, list[str]] = defaultdict(list)
        for lead_id, why in self.unreadable:
            ids[why].append(lead_id)
        reasons = sorted(ids, key=lambda why: (-len(ids[why]), why))[:_MOST_NAMED]
        whys = join_with_semicolons(_why_of_leads(why, [each for each in ids[why] if each]) for why in reasons)
        if not any(isinstance(lead, Mapping) for lead in self.leads):
            whys = _("{problem}: see oplead.pagination.items", problem=whys)
        return _n(
            "{unreadable} of {count} lead cannot be read: {whys}",
            "{unreadable} of {count} leads cannot be read: {whys}",
            len(self.leads),
            unreadable=format_integer(len(self.unreadable)),
            whys=whys,
        )

    def unexplained_past(self, options: OpleadOptions) -> Iterator[str]:
        """Yield that most past statuses are none that is known, if so, and what to write."""
        for place in find_unexplained_past(self.records, options):
            labels = ", ".join(place.labels)
            yield _(
                "stages: {found}; write each under a stage or under ignored_statuses: {labels}",
                found=place.found,
                labels=labels,
            )

    def suspicions(self, places: FieldLocations, configured: FieldPaths) -> Iterator[str]:
        """Yield a sentence for each sign that values are damaged, or are not where settings say."""
        for place in find_unread_places(self.leads, places, configured):
            if place.is_named:
                yield _("oplead.fields.{name}: {found}.", name=place.field, found=place.found)
            else:
                yield _(
                    "{found}, so it is proposed as oplead.fields.history: without it, a change may have the time of "
                    "the night that sees it.",
                    found=place.found,
                )
        yield from click_id_damage_signs(self.records, self.leads, places.fields.click_id)
        if lost := summarise_unusable_phones([record.contact for record in self.records]):
            yield f"{lost}."


def find_unread_places(
    leads: Sequence[object], places: FieldLocations, configured: FieldPaths
) -> Iterator[UnreadPlace]:
    """Yield each field that settings name where nothing is read on any lead, and a list of statuses that they do not.

    Where leads are few, a field may well be empty.
    """
    read_at = {match.field: normalise_field_path(match.path or "") for match in places.matches}
    for one in fields(FieldPaths) if len(leads) >= ENOUGH_TO_SAY_EMPTY else ():
        paths: Paths = getattr(configured, one.name)
        is_named = one.name in read_at and paths != getattr(CANDIDATES, one.name)
        if is_named and read_at[one.name] not in map(normalise_field_path, paths):
            nothing = _n(
                "nothing is read at {path} on {count} lead",
                "nothing is read at {path} on any of {count} leads",
                len(leads),
                path=", ".join(paths),
            )
            yield UnreadPlace(one.name, nothing, is_named=True)
    if path := places.guessed_history:
        looks = _("{path} looks like a list of past statuses with their times", path=path)
        yield UnreadPlace("history", looks, is_named=False)


def find_unexplained_past(records: Sequence[Lead], options: OpleadOptions) -> Iterator[UnreadPlace]:
    """Yield the past statuses of leads, if most are in no stage, not ignored, and not any lead's present one."""
    known = {normalise(label) for label in (*options.labels, *(one.label for one in records)) if label}
    histories = [[entry.label for entry in record.history] for record in records]
    labels = [label for label in unexplained_labels(histories, known, normalise) if may_be_shown_as_label(label)]
    if labels:
        found = _(
            "most past statuses of leads are in no stage, are not ignored, and are no lead's present status, so a "
            "conversion may have the time of the night that sees it"
        )
        yield UnreadPlace("history", found, is_named=True, labels=tuple(labels[:_MOST_LABELS]))


def summarise_leads(
    read: ReadLeads,
    listed: ReadLeads,
    places: FieldLocations,
    *,
    zone: ZoneInfo,
    named: frozenset[str],
    readable: Readable,
    fold: Fold,
) -> Survey:
    """Return what leads hold; `listed` are all that were seen, even those whose own page was not read."""
    leads, tree = read.leads, common_lead_field_paths(read.leads)
    contact = [path for one in CONTACT for path in getattr(places.fields, one)]
    matched = [match.path for match in places.matches if match.path]
    known = frozenset(map(normalise_field_path, (*contact, *matched)))
    codes = codes_of_histories(
        [(record.label, record.also_called) for record in listed.records if record.label], listed.past, fold
    )
    labels = with_codes(surveyed_labels(read.records, listed.records, fold), listed.records, codes, fold)
    statuses = [text_of(first_value_at_paths(lead, places.fields.status)) for lead in leads]
    return Survey(
        leads=len(leads),
        paths=summarise_lead_paths(tree, zone),
        fields=places.matches,
        labels=labels,
        past_labels=labels_only_in_histories(listed.records, fold),
        unclear_codes=shown_unclear_codes(codes, labels, fold),
        named={path: sum(bool(values_at_path(lead, path)) for lead in leads) for path in sorted(named)},
        few_values=fields_with_few_values(tree, leads, known, fold),
        amounts=possible_amount_fields(tree, leads, readable, known, shown_statuses(statuses, labels, fold)),
        sources=click_id_kinds_by_source(read.records),
    )


def _why_of_leads(why: str, ids: Sequence[str]) -> str:
    """Return why some leads cannot be read, with the ids of a few."""
    if not ids:
        return why
    named = ", ".join(ids[:_MOST_NAMED]) + (", …" if len(ids) > _MOST_NAMED else "")
    return _n("{why} (lead {ids})", "{why} (leads {ids})", len(ids), why=why, ids=named)
