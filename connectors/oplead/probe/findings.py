"""What a look at a platform found, before settings are made of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from connectors.oplead.options import OpleadOptions
from connectors.oplead.parsing.field_tree import AMOUNT_PARTS, CONSENT_PARTS, common_lead_field_paths, last_path_part
from connectors.oplead.parsing.lead_parser import LeadParser
from connectors.oplead.probe.change_filter import FilterSearchResult, LeadDates
from connectors.oplead.probe.pagination import PaginationSearchResult
from connectors.oplead.probe.sampling import LeadSample
from connectors.oplead.survey.places import FieldLocations, locate_configured_fields


@dataclass(frozen=True, slots=True)
class Notes:
    """Notes for the report, collected along the way."""

    how: list[str] = field(default_factory=list)
    suspicions: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ProbeFindings:
    """Everything found."""

    options: OpleadOptions
    """The options that gave access, with the array of leads and their fields as found."""
    now: datetime
    """The time by the later of the platform's clock and ours."""
    paging: PaginationSearchResult
    sample: LeadSample
    places: FieldLocations
    filtering: FilterSearchResult
    dates: tuple[LeadDates, ...]
    is_verified: bool = False
    """Whether it was read just as a night would, so that nothing needs to be read a second time."""

    @property
    def lacks_click_ids(self) -> bool:
        """Whether most list entries lack the object that holds click ids."""
        lacks_click_ids = LeadParser(self.options).lacks_click_ids
        lacking = [lacks_click_ids(item) for item in self.sample.items.values() if isinstance(item, Mapping)]
        return sum(lacking) > len(lacking) / 2

    @property
    def fields_in_list(self) -> set[str]:
        """The fields that list entries hold."""
        return {
            match.field
            for match in locate_configured_fields(self.sample.list_entries_with_detail_page, self.options).matches
            if match.path
        }

    @property
    def changes_need_detail_pages(self) -> bool:
        """Whether only leads' own pages show that they have changed."""
        return self.sample.detail_pages_add and self.fields_in_list.isdisjoint({"status", "status_at", "updated_at"})

    def fields_missing_in_list(self) -> Iterator[str]:
        """Yield the fields, amounts and consents that only detail pages hold."""
        in_list = self.fields_in_list
        yield from (match.field for match in self.places.matches if match.path and match.field not in in_list)
        listed = {
            path
            for path, node in common_lead_field_paths(self.sample.list_entries_with_detail_page).items()
            if node.filled_count
        }
        for path, node in common_lead_field_paths(list(self.sample.detail_pages.values())).items():
            is_needed = any(part in last_path_part(path) for part in (*AMOUNT_PARTS, *CONSENT_PARTS))
            if node.filled_count and path not in listed and is_needed:
                yield path
