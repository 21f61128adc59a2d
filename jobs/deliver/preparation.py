"""The transaction right before a wire call, which commits the intent."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.ports import ConversionSink
from connectors.records import DestinationId, LeadId, Target
from jobs.deliver.transactions import Transaction
from jobs.ledger import leads, outbox, requests
from jobs.ledger.requests import Intent
from jobs.ledger.schema import Delivery
from jobs.rules.delivery_state import DeliveryState
from jobs.rules.model import ConversionRoute, LeadFacts
from jobs.rules.reasons import Cause, Reason


def store_bytes_to_send(row: Delivery, event: bytes) -> None:
    """Store the bytes to send for a row, and their hash."""
    row.event, row.event_sha256 = event, hashlib.sha256(event).hexdigest()
    row.deferred_until = row.code = row.outcome = None


def is_damaged(row: Delivery) -> bool:
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
        rows = [row for number in batch if (row := self.session.get(Delivery, number)) is not None]
        facts = leads.load_lead_facts(self.session, self.ledger.account, {LeadId(row.lead) for row in rows})
        ready = self.freeze_ready_rows(rows, facts)
        if not ready:
            return None
        for row in ready:
            cause = Reason.MAY_COUNT_TWICE if row.may_count_twice else Reason.SENDING
            outbox.move(self.session, self.ledger, row, DeliveryState.IN_FLIGHT, cause, now=self.now)
        return requests.record_intent(self.session, self.ledger, self.target, self.destination, ready, now=self.now)

    @abstractmethod
    def freeze_ready_rows(self, rows: Sequence[Delivery], facts: Mapping[LeadId, LeadFacts]) -> Sequence[Delivery]:
        """Freeze and return the rows to send now; move every other row to its proper state."""

    def move_unsent_row(self, row: Delivery, to: DeliveryState, cause: Cause) -> bool:
        """Move a row that isn't sent, and return False: it isn't ready."""
        self.move(row, to, cause)
        return False
