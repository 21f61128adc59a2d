"""Clicks on ads as Google remembers them, and how an event stands to its click in time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

CLICK_SETTLES = timedelta(hours=6)
CLICK_LIFE_DAYS = 90
CONTACT_LIFE = timedelta(days=63)
"""How long hashed contact data matches; a click id does for `CLICK_LIFE_DAYS`."""


@dataclass(frozen=True, slots=True)
class Click:
    """A click on an ad of `customer`, known by a click id or by the hash of the person's e-mail or phone."""

    clicked_at: datetime
    customer: str


class Timing(Enum):
    """How an event stands to its click."""

    RIGHT = auto()
    BEFORE_CLICK = auto()
    CLICK_TOO_FRESH = auto()
    """The click is not 6 hours old yet."""
    CLICK_TOO_OLD = auto()
    """The action's click window, or the click's life, is over."""


def timing(click: Click, happened: datetime, arrived: datetime, window_days: int) -> Timing:
    """How an event that happened and arrived then stands to its click; the gravest trouble goes first.

    https://support.google.com/google-ads/answer/3123169 https://support.google.com/google-ads/answer/10029210
    """
    window = timedelta(days=min(CLICK_LIFE_DAYS, window_days))
    if happened - click.clicked_at > window or arrived - click.clicked_at > timedelta(days=CLICK_LIFE_DAYS):
        return Timing.CLICK_TOO_OLD
    if happened < click.clicked_at:
        return Timing.BEFORE_CLICK
    if arrived - click.clicked_at < CLICK_SETTLES:
        return Timing.CLICK_TOO_FRESH
    return Timing.RIGHT


def read_click(document: object) -> Click:
    """A click from its JSON; ValueError where it is none or its time has no zone."""
    match document:
        case {"clicked_at": str(clicked_at), "customer": str(customer), **rest} if not rest:
            at = datetime.fromisoformat(clicked_at)
            if at.tzinfo is not None:
                return Click(at, customer)
    raise ValueError('a click is {"clicked_at": ISO 8601 with its zone, "customer": digits}')


def click_json(click: Click) -> dict[str, str]:
    """The JSON that `read_click` reads."""
    return {"clicked_at": click.clicked_at.isoformat(), "customer": click.customer}
