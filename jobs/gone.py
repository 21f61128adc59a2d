"""Leads that Oplead has no more: believed when found gone twice, never when too many are gone at once."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from connectors.records import LeadId
from jobs.ledger import whereabouts
from jobs.own_pages import Asked

ASKED_A_NIGHT = 200
"""How many leads that the list did not show are asked for by their own pages."""
BELIEVED_AFTER = timedelta(hours=12)
"""From the first time a lead is found gone to the time that is believed: two nights, not two runs of one."""
MANY = 5
SHARE = 0.2
"""So many leads, and such a part of those with open deliveries, are not deleted in one night: the key sees less."""


@dataclass(frozen=True, slots=True)
class Gone:
    """What was concluded of leads that are not there."""

    believed: int = 0
    """Their open deliveries are cancelled."""
    suspicious: int = 0
    """So many that something else must be wrong; nothing is cancelled."""


def conclude(session: Session, account: str, asked: Asked, candidates: Collection[LeadId], *, now: datetime) -> Gone:
    """Note which leads are gone; those found gone a second time are planned, which cancels what is open.

    Args:
        session: an open transaction.
        account: whose.
        asked: who was asked for, and who was not there.
        candidates: who could have been asked for; those that were not are taken to be like those that were.
        now: the present.
    """
    if not asked.gone:
        return Gone()
    whereabouts.note_merged(session, account, asked.gone, asked.merged)
    with_open = whereabouts.with_open_deliveries(session, account)
    missing = len(with_open.intersection(asked.gone))
    likely = missing * len(with_open.intersection(candidates)) / max(1, len(with_open.intersection(asked.ids)))
    if likely >= MANY and likely > SHARE * len(with_open):
        whereabouts.note_missing(session, account, asked.gone, now=now)
        return Gone(suspicious=missing)
    believed = whereabouts.believe_gone(session, account, asked.gone, missing_before=now - BELIEVED_AFTER, now=now)
    whereabouts.note_missing(session, account, asked.gone, now=now)
    return Gone(believed=believed)
