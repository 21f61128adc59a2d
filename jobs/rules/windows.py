"""From when and until when a conversion may be sent."""

from dataclasses import dataclass
from datetime import datetime

from jobs.rules.facts import KnownClickId, LeadFacts, Route


@dataclass(frozen=True, slots=True)
class Window:
    """The time in which a platform takes a conversion, counted at the instant of sending."""

    opens_at: datetime
    closes_at: datetime


def window(route: Route, lead: LeadFacts, at: datetime, click: KnownClickId | None, *, by_contact: bool) -> Window:
    """When a conversion that happened `at` may go out.

    Counted from its click, or from the lead's creation where there is none; never longer after it happened than the
    platform takes events.
    """
    limits = route.limits
    if click is not None:
        opens_at, closes_at = click.clicked_at + limits.opens_after_click, click.clicked_at + route.click_window
    else:
        opens_at = lead.created_at
        closes_at = lead.created_at + (limits.contact_window if by_contact else limits.click_window)
    if route.event_window is not None:
        closes_at = min(closes_at, at + route.event_window)
    return Window(opens_at, closes_at)
