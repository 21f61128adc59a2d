"""Holds a destination whose new conversions look like those of leads that vanished, until a person says who is who."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from sqlmodel import Session

from connectors.records import DestinationId
from jobs.ledger.leads import leads
from jobs.ledger.outbox import outbox, twins
from jobs.ledger.outbox.outbox import DueFilter
from jobs.ledger.outbox.twins import Twin
from jobs.ledger.schema import stored_row_id
from jobs.plan.planner import plan
from jobs.rules.reasons import DestinationScope, Message, MessageKind, Reason
from jobs.rules.twins import MOST_REUSED, have_ids_changed
from jobs.run_context import RunContext, TwinAnswer

NAMED = 10
"""How many pairs a message names."""


@dataclass(frozen=True, slots=True)
class ReusedIds:
    """So many leads under the ids of others that every destination is held."""

    leads: int

    @property
    def message(self) -> Message:
        """The message for people."""
        return Message(MessageKind.REUSED_HELD, {"count": self.leads})


@dataclass(frozen=True, slots=True)
class ChangedIds:
    """So many conversions of leads under other ids that a whole destination is held."""

    twins: int
    pairs: tuple[Twin, ...]
    """The first pairs of leads."""

    @property
    def message(self) -> Message:
        """The message for people."""
        return twins_message(MessageKind.IDS_CHANGED, self.twins, self.pairs)


def twins_message(kind: MessageKind, count: int, pairs: tuple[Twin, ...]) -> Message:
    """Return a message about twins that names pairs of leads, each with the one that vanished."""
    return Message(kind, {"count": count, "pairs": tuple(f"{lead} ({original})" for lead, original in pairs[:NAMED])})


@dataclass(frozen=True, slots=True)
class DoubtfulIds:
    """Leads that may be others than their ids say: what is held for it, and what people are told beside that."""

    held: Mapping[DestinationScope, ChangedIds | ReusedIds] = field(default_factory=dict)
    told: tuple[Message, ...] = ()


def apply_twin_answer(run: RunContext) -> None:
    """Do with all that is held as possible twins what a person said in this run, if they did.

    The same leads: what was sent under the vanished ids is settled as already sent, and what only waits there is sent
    under the new ones instead. Others: they are planned again, and from now on nobody's twins.
    """
    match run.deps.twins:
        case None:
            return
        case TwinAnswer.SAME:
            _settle_twins(run)
        case TwinAnswer.OTHER:
            pass
        case _:
            assert_never(run.deps.twins)
    with run.ledger.write_transaction() as session:
        if run.deps.twins is TwinAnswer.SAME:
            waiting = twins.originals_that_wait(session, run.ledger.account)
            leads.mark_replaced(session, run.ledger.account, waiting, now=run.now())
        leads.accept_reused(session, run.ledger.account)
        twins.tell_twins_apart(session, run.ledger)
    plan(run, shown_since=None)


def _settle_twins(run: RunContext) -> None:
    last, now = 0, run.now()
    while True:
        with run.ledger.write_transaction() as session:
            found = twins.twins_of_sent(session, run.ledger.account, after=last)
            if not found:
                return
            last = stored_row_id(found[-1])
            for row in found:
                outbox.mark_sent_elsewhere(session, run.ledger, row, now=now)


def hold_changed_ids(run: RunContext, *, now: datetime) -> DoubtfulIds:
    """Hold what is due at each destination where twins or reused ids show that ids changed, and say what is in doubt.

    Once they have, conversions that nothing gives away as twins may be some too. What is in doubt is told for as long
    as it is, whichever run found it.
    """
    held: dict[DestinationScope, ChangedIds | ReusedIds] = {}
    with run.ledger.write_transaction() as session:
        reused = leads.count_reused(session, run.ledger.account)
        most = max(reused.values(), default=0)
        twins_of = twins.count_twins(session, run.ledger.account)
        for destination in run.deps.sinks:
            due = _due_at(run, destination, now)
            why = ReusedIds(most) if most > MOST_REUSED else _find_changed_ids(session, due, twins_of)
            if why is not None:
                held[DestinationScope(destination)] = why
                outbox.hold_volume_guarded(session, due, Reason.IDS_CHANGED)
        changed = {scope.destination for scope, why in held.items() if isinstance(why, ChangedIds)}
        few = {one: count for one, count in twins_of.items() if one not in changed}
        told = []
        if few:
            pairs = tuple(twins.twins_at(session, run.ledger.account, few, limit=NAMED))
            told.append(twins_message(MessageKind.POSSIBLE_TWINS, sum(few.values()), pairs))
        if reused and most <= MOST_REUSED:
            named = tuple(leads.first_reused(session, run.ledger.account, limit=NAMED))
            told.append(Message(MessageKind.REUSED_IDS, {"count": sum(reused.values()), "leads": named}))
    return DoubtfulIds(held, tuple(told))


def _find_changed_ids(session: Session, due: DueFilter, twins_of: Mapping[str, int]) -> ChangedIds | None:
    count = twins_of.get(due.destination, 0)
    if not count:
        return None
    # Twins of many nights are merges; what one night found stays what it was, however much is held since.
    found = twins.most_twins_of_a_run(session, due.account, due.destination)
    if not have_ids_changed(found.twins, found.others):
        return None
    return ChangedIds(count, tuple(twins.twins_at(session, due.account, [due.destination], limit=NAMED)))


def _due_at(run: RunContext, destination: DestinationId, now: datetime) -> DueFilter:
    conversions = {route.conversion for route in run.book.routes_to_destination(destination)}
    return DueFilter(account=run.ledger.account, destination=destination, now=now, conversions=conversions)
