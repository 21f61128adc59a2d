"""The LEAD that a command names: an id that a request can carry, or a usage error."""

from connectors.records import LeadId
from jobs.exit_codes import UsageError
from jobs.wiring import lead_id_in


def named_lead(text: str) -> LeadId:
    """Return the lead that is named.

    Raises:
        UsageError: no lead can have such an id, and a path with it would be another one.
    """
    lead_id = lead_id_in(text)
    if lead_id is None:
        raise UsageError("LEAD: write the lead's id as Oplead shows it: at most 200 printable characters")
    return lead_id
