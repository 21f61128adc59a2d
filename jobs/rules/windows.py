"""From when and until when a conversion may be sent."""

from dataclasses import dataclass
from datetime import datetime

from jobs.rules.facts import KnownClickId, LeadFacts, Route


@dataclass(frozen=True, slots=True)
class Window:
    """The time in which a platform takes a conversion, counted at the instant of sending."""

    opens_at: datetime
    closes_at: datetime


def window(route: Route, lead: LeadFacts, click: KnownClickId | None, *, by_contact: bool) -> Window:
    """When a conversion may go out: counted from its click, or from the lead's creation where there is none."""
    limits = route.limits
    if click is not None:
        return Window(click.clicked_at + limits.opens_after_click, click.clicked_at + route.click_window)
    remembered = limits.contact_window if by_contact else limits.click_window
    return Window(lead.created_at, lead.created_at + remembered)
