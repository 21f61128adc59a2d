"""What is known of a wire call, and whether it may have left something with its platform."""

from enum import StrEnum

from sqlalchemy import ColumnElement
from sqlmodel import col

from jobs.ledger.tables import Request


class RequestState(StrEnum):
    """What is known of one wire call."""

    OPEN = "open"
    """The intent is committed; no receipt yet."""
    RECEIVED = "received"
    """Taken in by the platform; its outcome is to be asked for."""
    SETTLED = "settled"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    LOST = "lost"
    UNRESOLVED = "unresolved"
    """The platform never told."""


NOTHING_WENT_OUT = (RequestState.NOT_SENT, RequestState.REFUSED)
"""It never arrived, or was refused whole."""


def went_out() -> ColumnElement[bool]:
    """Whether a request may have left something with its platform."""
    return col(Request.state).not_in(NOTHING_WENT_OUT)
