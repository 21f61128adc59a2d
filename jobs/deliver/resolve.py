"""Fetches asynchronous outcomes, and recovers rows a dead run left in flight without asking any platform."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import assert_never

from sqlmodel import Session

from connectors.errors import Misconfigured, Transient
from connectors.language import _, in_english
from connectors.ports import ConversionSink
from connectors.records import (
    DestinationId,
    ForgottenRequest,
    Outcome,
    PartlyRefused,
    Resolution,
    RowCountMismatch,
    RowOutcomes,
    StillPending,
)
from jobs.deliver.transactions import STOPPING, DeliveryChanges, Transaction, counted_transaction, stop_cause_of_refusal
from jobs.faults import ContainedFault
from jobs.ledger.outbox import requests, settlements
from jobs.ledger.outbox.outbox import SentRow
from jobs.ledger.outbox.requests import RequestState
from jobs.ledger.outbox.settlements import Settlement
from jobs.ledger.runs import Ledger
from jobs.ledger.schema import Request, stored_row_id
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.reasons import Cause, DestinationScope, PlatformCode, Reason
from jobs.run_context import RunContext

GIVE_UP_AFTER = timedelta(days=45)
"""Google keeps a request's status for about 50 days; give up before that."""
OVERDUE_AFTER = timedelta(hours=36)
"""How long after it was due a status is told to be missing: on the second night, whatever the hour of either."""


@dataclass(frozen=True, slots=True)
class UnconfirmedRequest:
    """A request whose outcome the platform will never fully report."""

    destination: str
    ticket: str | None
    cause: Cause
    detail: str | None


@dataclass(frozen=True, slots=True)
class MissingStatus:
    """A request whose status the platform refuses to tell, or should have told by now."""

    scope: DestinationScope
    ticket: str
    due_at: datetime
    answer: str
    """What came back instead, the last time."""


@dataclass(slots=True)
class ResolvingResult(DeliveryChanges):
    """What resolving changed."""

    asked: int = 0
    pending: int = 0
    """Requests that may be answered if they are asked about again."""
    missing: list[MissingStatus] = field(default_factory=list)
    """Those of the last pass that a human should know of; they stay received, and stop nothing."""
    unconfirmed: list[UnconfirmedRequest] = field(default_factory=list)
    """Requests a human should look up with the platform."""

    def add(self, more: DeliveryChanges) -> None:
        """Add what another counted."""
        super(ResolvingResult, self).add(more)
        if isinstance(more, ResolvingResult):
            self.unconfirmed += more.unconfirmed


def settle_received_requests(run: RunContext, done: ResolvingResult) -> None:
    """Ask about every received request that is due, and settle the answers; `done` counts them."""
    done.pending, done.missing = 0, []
    with run.ledger.read_transaction() as session:
        waiting = requests.requests_in_state(session, run.ledger.account, RequestState.RECEIVED)
        is_any_long_in_doubt = bool(_rows_long_in_doubt(session, run.ledger.account, run.now()))
    asking = _Asking(run, done)
    for request in waiting:
        now = run.now()
        if request.resolve_after is not None and now < request.resolve_after:
            done.pending += 1
            continue
        run.deps.cancel_token()
        resolution = asking.ask(request)
        if isinstance(resolution, StillPending) and now - request.sent_at <= GIVE_UP_AFTER:
            continue
        with (
            ContainedFault(done.faults, _("an outcome could not be settled"), request=request.ticket),
            counted_transaction(run.ledger, done) as (session, changes),
        ):
            _Settling(session, run.ledger, now, changes).settle_request(stored_row_id(request), resolution)
    if not is_any_long_in_doubt:
        return
    with counted_transaction(run.ledger, done) as (session, changes):
        _Settling(session, run.ledger, run.now(), changes).mark_rows_long_in_doubt_unconfirmed()


@dataclass(frozen=True, slots=True)
class _Asking:
    """One pass in which platforms are asked about requests."""

    run: RunContext
    done: ResolvingResult
    left_alone: dict[DestinationScope, str] = field(default_factory=dict)
    """Where nothing more is asked in this pass, and what came back last."""

    def ask(self, request: Request) -> Resolution:
        """The platform's resolution of a request; still pending if there is none yet, which is told if it is late."""
        destination = DestinationId(request.destination)
        sink = self.run.deps.sinks.get(destination)
        if sink is None:
            return StillPending()
        way = self.run.book.scope_marked_if_former(destination, request.transport, request.owner)
        resolution, is_refused = self._ask(sink, way, request)
        if isinstance(resolution, StillPending):
            # What a human has to see to isn't worth waiting for.
            self.done.pending += not is_refused
            due_at, now = request.resolve_after or request.sent_at, self.run.now()
            if (is_refused or now - due_at > OVERDUE_AFTER) and now - request.sent_at <= GIVE_UP_AFTER:
                missing = MissingStatus(way, request.ticket or "", due_at, resolution.answer)
                self.done.missing.append(missing)
        return resolution

    def _ask(self, sink: ConversionSink, way: DestinationScope, request: Request) -> tuple[Resolution, bool]:
        """Make the call, unless it would be in vain; return also whether the platform refuses to answer."""
        if way in self.left_alone:
            return StillPending(self.left_alone[way]), False
        self.done.asked += 1
        with ContainedFault(self.done.faults, _("asking for an outcome failed"), request=request.ticket) as fault:
            try:
                return sink.fetch_request_outcomes(request.ticket or "", rows=request.rows), False
            except Misconfigured as error:
                # Of this request only: what becomes of others, and of uploads, they tell themselves.
                return StillPending(str(error)), True
            except Transient as error:
                if error.retry_after is not None:
                    # The next request would wait for its turn as long as this one has, and in vain.
                    self.left_alone[way] = str(error)
                return StillPending(str(error)), False
        self.left_alone[way] = fault.name
        return StillPending(fault.name), True


def _rows_long_in_doubt(session: Session, account: str, now: datetime) -> list[SentRow]:
    return settlements.rows_in_doubt_before(session, account, now - GIVE_UP_AFTER)


@dataclass(frozen=True, slots=True)
class _Settling(Transaction):
    """One transaction that turns outcomes into states."""

    done: ResolvingResult

    def settle_request(self, number: int, resolution: Resolution) -> None:
        """Move every row of a request according to its resolution; one that is still pending is given up."""
        request = self.session.get_one(Request, number)
        match resolution:
            case StillPending():
                self._unconfirmed(request, Reason.NO_OUTCOME, f"{GIVE_UP_AFTER.days} days")
            case RowOutcomes():
                self._settle_outcomes(request, resolution.outcomes)
            case PartlyRefused():
                found = f"{resolution.refused} of {resolution.total}: {', '.join(resolution.codes)}"
                self._unconfirmed(request, Reason.PARTLY_REFUSED, found)
            case RowCountMismatch():
                found = f"{resolution.counted} of {resolution.total}"
                self._unconfirmed(request, Reason.MISCOUNTED, found)
            case ForgottenRequest():
                self._unconfirmed(request, PlatformCode(resolution.code))
            case _:
                assert_never(resolution)

    def mark_rows_long_in_doubt_unconfirmed(self) -> None:
        """Mark rows in doubt for too long, e.g. of a removed destination, as unconfirmed."""
        old = _rows_long_in_doubt(self.session, self.ledger.account, self.now)
        self.settle_rows(old, Settlement(DeliveryState.UNCONFIRMED, Reason.NO_ANSWER, f"{GIVE_UP_AFTER.days} days"))

    def _settle_outcomes(self, request: Request, outcomes: Sequence[Outcome]) -> None:
        request.state = RequestState.SETTLED
        number = stored_row_id(request)
        rows = settlements.sent_rows(self.session, number)
        if len(rows) < request.rows:
            # The platform still answers for rows that were erased since.
            outcomes = [outcomes[place] for place in settlements.row_positions_in_request(self.session, number)]
        answers = self.finalise_overdue_outcomes(rows, outcomes)
        self.settle(request, answers, asynchronous=True)
        for row, outcome in answers:
            if outcome.kind in STOPPING:
                action = (outcome.of_target and row.action) or ""
                scope = DestinationScope(DestinationId(row.destination), action=action)
                self.done.stopped[scope] = stop_cause_of_refusal(outcome)

    def _unconfirmed(self, request: Request, cause: Cause, detail: str | None = None) -> None:
        """Mark a request's rows unconfirmed: nothing counts as accepted without evidence."""
        request.state, request.message = (
            RequestState.UNRESOLVED,
            ": ".join(filter(None, (cause, in_english(detail or "")))),
        )
        self.done.unconfirmed.append(UnconfirmedRequest(request.destination, request.ticket, cause, detail))
        rows = settlements.sent_rows(self.session, stored_row_id(request))
        self.settle_rows(rows, Settlement(DeliveryState.UNCONFIRMED, cause, detail))


def mark_interrupted_in_doubt(session: Session, ledger: Ledger, *, now: datetime) -> int:
    """Put rows that a dead run left in flight in doubt, and return their number.

    With an intent but no receipt they may or may not have been sent, so they are replayed before anything new.
    """
    left = 0
    in_doubt = Settlement(DeliveryState.IN_DOUBT, Reason.RUN_DIED)
    for request in requests.requests_in_state(session, ledger.account, RequestState.OPEN):
        request.state, request.message = RequestState.LOST, Reason.RUN_DIED
        rows = settlements.sent_rows(session, stored_row_id(request))
        settlements.settle_rows(session, ledger, rows, in_doubt, now=now, request=request)
        left += len(rows)
    return left
