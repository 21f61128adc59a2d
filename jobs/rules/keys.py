"""The key a platform deduplicates a delivery by."""

import hashlib

from connectors.records import DeliveryKey, DestinationId, LeadId


def delivery_key(
    account: str, lead: LeadId, conversion: str, destination: DestinationId, occurrence: int
) -> DeliveryKey:
    """The same key for the same delivery, on every run and machine: 40 hexadecimal digits, no personal data.

    It is Google's `order_id` and `transaction_id` (at most 64 characters) and Meta's `event_id`.
    """
    parts = (account, lead, conversion, destination, str(occurrence))
    # Lengths first, so that no two lists of parts read alike.
    identity = "".join(f"{len(part)}:{part}" for part in parts)
    return DeliveryKey(hashlib.sha256(identity.encode()).hexdigest()[:40])
