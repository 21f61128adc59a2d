"""A page of leads as it was read, and what its leads hold."""

from collections.abc import Sequence

from connectors.oplead.parsing.field_tree import common_lead_field_paths
from connectors.oplead.parsing.fields import values_at_path
from connectors.records import Lead, LeadId, LeadPage, UnreadableLead
from connectors.survey import SeenInLeads


def collect_lead_page(read: Sequence[Lead | LeadId | UnreadableLead]) -> LeadPage:
    """Return a page of what was read of each lead: only its id if it is known already."""
    return LeadPage(
        leads=tuple(one for one in read if isinstance(one, Lead)),
        unchanged=tuple(LeadId(one) for one in read if isinstance(one, str)),
        unreadable=tuple(one for one in read if isinstance(one, UnreadableLead)),
        served_at=None,
        resume=None,
    )


def collect_seen_in_leads(items: Sequence[object], leads: Sequence[Lead]) -> SeenInLeads:
    """Return what leads hold, as they came and as they were read."""
    labels = [label for lead in leads for label in (lead.label, *(entry.label for entry in lead.history))]
    return SeenInLeads(
        leads=len(items),
        paths=list(common_lead_field_paths(items)),
        labels=list(filter(None, labels)),
        filled=lambda path: sum(bool(values_at_path(item, path)) for item in items),
    )
