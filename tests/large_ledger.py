"""A ledger with many nights behind it, written straight into its tables: fast enough for hundreds of thousands."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import insert
from sqlmodel import Session, func, select

from connectors.records import OutcomeClass
from jobs.ledger.schema import (
    Attempt,
    ClickIdRow,
    ContactHash,
    Cursor,
    DedupKey,
    Delivery,
    LeadRow,
    Request,
    Run,
    StatusChange,
    StatusLabel,
    Transition,
)
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.extraction import erased_click_id_hash
from jobs.rules.model import delivery_key
from tests.builders import ACCOUNT, GOOGLE, TARGET
from tests.fakes import NIGHT, sha

AT_ONCE = 5_000
"""Leads of one statement."""
PUT_OFF = "TOO_RECENT"
"""What a platform said that put something off."""
_DAY = timedelta(days=1)
_MOVES = {
    DeliveryState.ACCEPTED: (
        DeliveryState.PENDING,
        DeliveryState.IN_FLIGHT,
        DeliveryState.SUBMITTED,
        DeliveryState.ACCEPTED,
    ),
    DeliveryState.PENDING: (DeliveryState.PENDING,),
    DeliveryState.WITHHELD: (DeliveryState.WITHHELD,),
    DeliveryState.SKIPPED: (DeliveryState.SKIPPED,),
}
"""The way a delivery came to where it stands."""


@dataclass(frozen=True)
class Some:
    """Leads whose conversion stands alike; each night of some has its share of them."""

    leads: int
    state: DeliveryState | None = DeliveryState.ACCEPTED
    """None for leads without a delivery."""
    conversion: str = "sale"
    named: str = "old"
    """What their ids begin with."""
    ago: range = range(1, 400)
    """How many nights ago they were judged, and sent where they were."""
    reason: str | None = None
    put_off: tuple[int, ...] = ()
    """How many nights ago the platform put them off."""
    marked: bool = False
    """Whether each is known again by its click."""
    hashed: bool = False
    """Whether contact data is kept of each."""


class Past:
    """Nights that are over, at the same hour each; what they left is added by the kind."""

    def __init__(self, engine, *, nights=400, now=NIGHT):
        self._engine, self._now = engine, now
        with Session(engine) as session, session.begin():
            first = now - nights * _DAY
            runs = [
                Run(account=ACCOUNT, command="run", epoch=0, started_at=at, ended_at=at, exit_code=0, night=at.date())
                for at in (first + night * _DAY for night in range(nights))
            ]
            labels = [
                StatusLabel(account=ACCOUNT, label=label, written=label, seen_at=first, settled=True)
                for label in ("nouveau", "gagne")
            ]
            session.add_all((*runs, *labels, Cursor(account=ACCOUNT, since=now - _DAY, full_read_at=now - _DAY)))
            session.flush()
            self._runs = [run.id for run in runs]

    def add(self, some):
        """Have leads on record."""
        with Session(self._engine) as session, session.begin():
            writing = _Writing(some, self._now, self._runs, self._requests(session, some), _next(session))
            for start in range(0, some.leads, AT_ONCE):
                rows = defaultdict(list)
                for number in range(start, min(some.leads, start + AT_ONCE)):
                    writing.lead(number, rows)
                for table, its_rows in rows.items():
                    session.connection().execute(insert(table), its_rows)

    def _requests(self, session, some):
        """A request for each night that sent some: its number, by how many nights ago that was."""
        sent = (*some.put_off, *(some.ago if some.state is DeliveryState.ACCEPTED else ()))
        made = {
            ago: Request(
                account=ACCOUNT,
                run=self._runs[-ago],
                destination=GOOGLE,
                transport=TARGET.transport,
                owner=TARGET.owner,
                action=TARGET.action,
                sent_at=self._now - ago * _DAY,
                rows=some.leads,
                state="settled",
            )
            for ago in sent
        }
        session.add_all(made.values())
        session.flush()
        return {ago: request.id for ago, request in made.items()}


def _next(session):
    return 1 + (session.exec(select(func.max(Delivery.id))).one() or 0)


@dataclass(frozen=True)
class _Writing:
    """The rows of some leads."""

    some: Some
    now: datetime
    runs: list
    requests: dict
    first: int
    """The number of their first delivery."""

    def lead(self, number, rows):
        """Add the rows of one, by their tables."""
        some = self.some
        ago = some.ago[number % len(some.ago)]
        sent_at = self.now - ago * _DAY
        created, won = sent_at - 3 * _DAY, sent_at - _DAY
        lead, delivery = f"{some.named}-{number:07}", self.first + number
        gclid, mine = f"gclid-of-{lead}", {"account": ACCOUNT, "lead": lead}
        rows[LeadRow].append(_lead(lead, created, won, seen_at=self.now - _DAY))
        rows[StatusChange] += [
            mine | {"label": label, "at": at, "date_only": False, "origin": "reported", "seen_at": sent_at}
            for label, at in (("nouveau", created), ("gagne", won))
        ]
        value = erased_click_id_hash(gclid) if created < self.now - 90 * _DAY else gclid
        rows[ClickIdRow].append(mine | {"kind": "gclid", "value": value, "clicked_at": created, "estimated": True})
        if some.hashed:
            email = {"destination": GOOGLE, "kind": "email", "sha256": sha(f"{lead}@example.org")}
            rows[ContactHash].append(mine | email)
        if some.marked:
            mark = {"conversion": some.conversion, "destination": GOOGLE, "dedup_key": sha(f"gclid:{gclid}"), "at": won}
            rows[DedupKey].append(mine | mark)
        if some.state is None:
            return
        rows[Delivery].append(_delivery(delivery, lead, some, created, won))
        self._moves(delivery, ago, rows)
        if some.state is DeliveryState.ACCEPTED:
            rows[Attempt].append(_attempt(self.requests[ago], number, delivery, OutcomeClass.DONE, "OK"))
        for night in some.put_off:
            rows[Attempt].append(_attempt(self.requests[night], number, delivery, OutcomeClass.DEFER, PUT_OFF))

    def _moves(self, delivery, ago, rows):
        way = [(ago, to, self.some.reason or "due") for to in _MOVES[self.some.state]]
        for night in self.some.put_off:
            way += [(night, DeliveryState.IN_FLIGHT, "sending"), (night, DeliveryState.PENDING, PUT_OFF)]
        before = None
        for night, to, cause in way:
            move = {"account": ACCOUNT, "delivery": delivery, "run": self.runs[-night], "from_state": before}
            why = {"reason": None, "code": cause} if cause == PUT_OFF else {"reason": cause, "code": None}
            rows[Transition].append(move | why | {"to_state": to, "at": self.now - night * _DAY})
            before = to


def _lead(lead, created, won, *, seen_at):
    return {
        "account": ACCOUNT,
        "id": lead,
        "created_at": created,
        "updated_at": won,
        "label": "gagne",
        "digest": sha(lead),
        "seen_at": seen_at,
        "ad_user_data": "granted",
        "ad_personalization": "not_asked",
        "facts": '{"amounts": {"amount": "1000"}, "where": {}}',
        "amount_paths": '["amount"]',
        "fresh": False,
        "to_plan": False,
        "to_correct": False,
        "excluded": False,
    }


def _delivery(number, lead, some, created, won):
    return {
        "id": number,
        "account": ACCOUNT,
        "lead": lead,
        "conversion": some.conversion,
        "destination": GOOGLE,
        "occurrence": 1,
        "kind": "conversion",
        "number": 0,
        "key": delivery_key(ACCOUNT, lead, some.conversion, GOOGLE, 1),
        "state": some.state,
        "reason": some.reason,
        "at": won,
        "origin": "reported",
        "label": "gagne",
        "expires_at": created + 90 * _DAY,
        "transport": TARGET.transport,
        "owner": TARGET.owner,
        "action": TARGET.action,
        "source": TARGET.source,
        "value": "1000.00",
        "currency": "EUR",
        "click_id_kind": "gclid",
        "event_sha256": sha(lead) if some.state is DeliveryState.ACCEPTED else None,
        "may_count_twice": False,
        "code": "OK" if some.state is DeliveryState.ACCEPTED else None,
    }


def _attempt(request, position, delivery, outcome, code):
    return {"request": request, "position": position, "delivery": delivery, "outcome": outcome, "code": code}
