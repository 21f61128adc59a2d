"""The transaction right before a wire call, which commits the intent."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from connectors.language import _
from connectors.ports import ConversionSink
from connectors.records import DestinationId, LeadId, Target
from jobs.deliver.transactions import DEFER, Transaction
from jobs.faults import ContainedFault
from jobs.ledger import bulk
from jobs.ledger.leads import leads
from jobs.ledger.outbox import consents, outbox, requests
from jobs.ledger.outbox.outbox import DeliveryMove
from jobs.ledger.outbox.requests import Intent
from jobs.ledger.schema import Delivery, DeliveryRecord
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.model import ConsentAnswer, ConsentSignalName, ConversionRoute, LeadFacts
from jobs.rules.reasons import Reason


def is_stored_event_damaged(row: DeliveryRecord) -> bool:
    """Return whether the stored bytes fail their hash; SQLite may hold text where bytes were."""
    return not isinstance(row.event, bytes) or hashlib.sha256(row.event).hexdigest() != row.event_sha256


@dataclass(frozen=True, slots=True)
class PreCallTransaction(Transaction, ABC):
    """One transaction, right before a wire call; conversions and corrections differ in what is checked and frozen."""

    sink: ConversionSink
    destination: DestinationId
    routes: Mapping[str, ConversionRoute]
    """The destination's routes by conversion."""
    target: Target

    def prepare(self, batch: tuple[int, ...]) -> Intent | None:
        """Decide each row of a batch again and record the request to make; return None if nothing is to be sent."""
        with bulk.editable_records(self.session, Delivery, DeliveryRecord, batch) as rows:
            facts = leads.load_lead_facts(self.session, self.ledger.account, {LeadId(row.lead) for row in rows})
            moves = [move for move in self.decide_again(rows, facts) if move is not None]
            self._refer_to_consent([move.row for move in moves if move_freezes_delivery_bytes(move)], facts)
            outbox.change_delivery_states(self.session, self.ledger, moves, now=self.now)
        ready = []
        for move in moves:
            if move.to is DeliveryState.IN_FLIGHT:
                ready.append(move.row)
            else:
                self.done.count_new_state(move.row, move.cause)
        if not ready:
            return None
        return requests.record_request_intent(
            self.session, self.ledger, self.target, self.destination, ready, now=self.now
        )

    def _refer_to_consent(self, rows: Sequence[DeliveryRecord], facts: Mapping[LeadId, LeadFacts]) -> None:
        """Note in each row the consent answers in force now that its bytes are frozen, which replays repeat.

        By their ids, not by the time: several may be read within a second, and Oplead's clock isn't ours.
        """
        answers = consents.latest_consent_answer_ids(self.session, self.ledger.account, {row.lead for row in rows})
        assumptions: dict[str | None, int] = {}
        for row in rows:
            row.user_data_answer = answers.get((row.lead, ConsentSignalName.AD_USER_DATA))
            row.personalization_answer = answers.get((row.lead, ConsentSignalName.AD_PERSONALIZATION))
            row.assumed_consent = None
            route, lead = self.routes[row.conversion], facts[LeadId(row.lead)]
            if route.assume_consent and ConsentAnswer.MISSING in (lead.ad_user_data, lead.ad_personalization):
                because = route.assumed_because
                if because not in assumptions:
                    assumptions[because] = consents.record_consent_assumption(
                        self.session, self.ledger.account, because, now=self.now
                    )
                row.assumed_consent = assumptions[because]

    def freeze(self, row: DeliveryRecord, encode: Callable[[], bytes]) -> DeliveryMove:
        """Store the bytes to send for a row, and their hash; one that cannot be encoded waits alone for a later run."""
        with ContainedFault(self.done.faults, _("an event could not be encoded"), delivery=row.id):
            event = encode()
            row.event, row.event_sha256 = event, hashlib.sha256(event).hexdigest()
            row.deferred_until = row.code = row.outcome = None
            return move_into_flight(row)
        row.deferred_until = self.now + DEFER
        return DeliveryMove(row, DeliveryState.PENDING, Reason.NOT_ENCODED)

    @abstractmethod
    def decide_again(
        self, rows: Sequence[DeliveryRecord], facts: Mapping[LeadId, LeadFacts]
    ) -> Iterator[DeliveryMove | None]:
        """Yield each row's move: into flight if it is to be sent now, its bytes frozen; None leaves the row alone."""


def move_freezes_delivery_bytes(move: DeliveryMove) -> bool:
    """Return whether a move freezes its row's bytes, rather than replay what was frozen before."""
    return move.to is DeliveryState.IN_FLIGHT and move.row.state != DeliveryState.IN_DOUBT


def move_into_flight(row: DeliveryRecord) -> DeliveryMove:
    """Return the move of a row whose bytes are frozen and sent now."""
    return DeliveryMove(row, DeliveryState.IN_FLIGHT, Reason.MAY_COUNT_TWICE if row.may_count_twice else Reason.SENDING)
