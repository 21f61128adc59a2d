"""What a request came to, and how `requestStatus:retrieve` tells it.

https://developers.google.com/data-manager/api/devguides/diagnostics
"""

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.sandbox.data_manager_wire import (
    ACCOUNT_TYPES,
    PROCESSING_REASONS,
    STATUSES,
    Destination,
    ProductAccount,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one destination's rows came to: how many there were, and which failed by which reason."""

    records: int
    failed: Mapping[str, tuple[int, ...]]
    """Row indices in the request, by `ProcessingErrorReason`."""

    @property
    def status(self) -> str:
        """The destination's status, by name."""
        failures = sum(map(len, self.failed.values()))
        if not failures:
            return "SUCCESS"
        return "FAILED" if failures == self.records else "PARTIAL_SUCCESS"


def told(
    destination: Destination,
    outcome: Outcome | None,
    *,
    indices: object,
    numeric: bool,
    failed_word: object = "FAILED",
    missing: int = 0,
) -> dict[str, object]:
    """One entry of the answer; `outcome` None while the request is processing.

    Args:
        destination: echoed as it was sent.
        outcome: what its rows came to.
        indices: the switch: `recordIndices` left out, as numbers, or as "strings", JSON's form of int64.
        numeric: enums as numbers.
        failed_word: the switch: what FAILED is called, where enums are words.
        missing: how many records fewer are counted than there were.
    """
    status = outcome.status if outcome else "PROCESSING"
    entry: dict[str, object] = {
        "destination": _destination(destination, numeric=numeric),
        "requestStatus": STATUSES[status] if numeric else (failed_word if status == "FAILED" else status),
    }
    if outcome is None:
        return entry
    if outcome.failed:
        counts = [_count(reason, rows, indices=indices, numeric=numeric) for reason, rows in outcome.failed.items()]
        entry["errorInfo"] = {"errorCounts": counts}
    return {**entry, "eventsIngestionStatus": {"recordCount": str(outcome.records - missing)}}


def _count(reason: str, rows: tuple[int, ...], *, indices: object, numeric: bool) -> dict[str, object]:
    count: dict[str, object] = {
        "recordCount": str(len(rows)),  # int64: a string in JSON
        "reason": PROCESSING_REASONS[reason] if numeric else reason,
    }
    if indices:
        count["recordIndices"] = [str(row) for row in rows] if indices == "strings" else list(rows)
    return count


def _destination(destination: Destination, *, numeric: bool) -> dict[str, object]:
    parts: dict[str, object] = {
        "reference": destination.reference,
        "loginAccount": _account(destination.login, numeric=numeric),
        "operatingAccount": _account(destination.operating, numeric=numeric),
        "productDestinationId": destination.action,
    }
    return {name: part for name, part in parts.items() if part}


def _account(account: ProductAccount, *, numeric: bool) -> dict[str, object]:
    if account == ProductAccount(0, ""):
        return {}
    kind = account.type if numeric else ACCOUNT_TYPES[account.type]
    return {"accountType": kind, "accountId": account.id}
