"""What became of a request that was taken in, row by row as far as the answer proves it.

Read from the JSON itself: the library's messages drop the record indices.
https://developers.google.com/data-manager/api/reference/rest/v1/requestStatus/retrieve
"""

from collections.abc import Sequence
from dataclasses import dataclass

from google.ads.datamanager_v1 import ProcessingErrorReason, RequestStatusPerDestination

from connectors.google_ads.data_manager.outcomes import code_name, outcome_of
from connectors.records import Answered, Miscounted, Outcome, OutcomeClass, PartlyRefused, StillPending

DONE = Outcome(OutcomeClass.DONE, "SUCCESS")

_UNSPECIFIED = "PROCESSING_ERROR_REASON_UNSPECIFIED"
_STATUSES = {"SUCCESS": "SUCCESS", "PARTIAL_SUCCESS": "PARTIAL_SUCCESS", "FAILED": "FAILED", "FAILURE": "FAILED"}
"""The final statuses: FAILED by the enum, FAILURE by https://developers.google.com/data-manager/api/devguides/diagnostics."""
_REJECTED = (OutcomeClass.FIX_DATA, OutcomeClass.DROP, OutcomeClass.DROP_EXPECTED)
"""The classes that refuse a row, first the one a human should hear of."""


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """How many records were refused for one reason, and which, where the answer says."""

    reason: str
    count: int
    indices: tuple[int, ...] | None

    def is_sound(self, rows: int) -> bool:
        """Whether the indices, where given, agree with the count and the request."""
        if self.indices is None:
            return True
        in_range = all(0 <= index < rows for index in self.indices)
        return in_range and len(set(self.indices)) == len(self.indices) == self.count


def read_status(payload: object, rows: int) -> Answered | StillPending | PartlyRefused | Miscounted:
    """The outcome of a request of `rows` events to one destination.

    It counts every event it was sent, however each fared; where it counts others than we sent, it speaks of none.
    Raises ValueError for an answer of another shape.
    """
    match payload:
        case {"requestStatusPerDestination": [dict() as destination]}:
            pass
        case _:
            raise ValueError("not the status of a request to one destination")
    said = code_name(destination.get("requestStatus"), RequestStatusPerDestination.RequestStatus)
    status = _STATUSES.get(said or "")
    counts = [count for count in _error_counts(destination) if count.count]
    if status is None:
        return StillPending()
    counted = _counted(destination)
    if status != "FAILED" and counted is not None and counted != rows:
        return Miscounted(counted, rows)
    if status == "SUCCESS" and not counts:
        return Answered((DONE,) * rows)
    return _by_row(status, counts, rows) or _as_a_whole(status, counts, rows)


def _by_row(status: str, counts: Sequence[ErrorCount], rows: int) -> Answered | None:
    """Each row's outcome by the record indices; None where they are missing or contradict the rest."""
    if not all(count.indices is not None and count.is_sound(rows) for count in counts):
        return None
    # A row refused for several reasons keeps the first.
    codes = {index: count.reason for count in reversed(counts) for index in count.indices or ()}
    is_proven = {"FAILED": len(codes) == rows, "PARTIAL_SUCCESS": 0 < len(codes) < rows}
    if not is_proven.get(status):
        return None
    return Answered(tuple(outcome_of(codes[row]) if row in codes else DONE for row in range(rows)))


def _as_a_whole(status: str, counts: Sequence[ErrorCount], rows: int) -> Answered | PartlyRefused:
    """All refused where the answer says so and nothing in it says otherwise; else nobody knows which."""
    refused = sum(count.count for count in counts)
    agrees = refused >= rows or not counts  # counts "may not be populated in all cases"
    if status == "FAILED" and agrees and all(count.is_sound(rows) for count in counts):
        return Answered((_shared(counts),) * rows)
    reasons = tuple(dict.fromkeys(count.reason for count in counts))
    return PartlyRefused(min(max(refused, 1), rows), rows, reasons)


def _shared(counts: Sequence[ErrorCount]) -> Outcome:
    """One outcome for rows all refused, when several reasons are given and not whose."""
    outcomes = [outcome_of(code) for code in dict.fromkeys(count.reason for count in counts)]
    if len(outcomes) == 1:
        return outcomes[0]
    kinds = {outcome.kind for outcome in outcomes}
    # None was taken, so all may wait for a setting that is wrong for some.
    known = (OutcomeClass.FIX_CONFIG, *_REJECTED)
    kind = next((kind for kind in known if kind in kinds and kinds <= set(known)), OutcomeClass.UNKNOWN)
    return Outcome(kind, " + ".join(outcome.code for outcome in outcomes) or "FAILED")


def _counted(destination: dict[str, object]) -> int | None:
    """How many events the platform says it was sent; None where it does not say."""
    match destination.get("eventsIngestionStatus"):
        case dict() as told:
            return _whole(told.get("recordCount", 0))  # JSON leaves a count of none out
        case _:
            return None


def _error_counts(destination: dict[str, object]) -> list[ErrorCount]:
    match destination.get("errorInfo"):
        case {"errorCounts": list() as listed}:
            return [_error_count(each) for each in listed]
        case _:
            return []


def _error_count(fields: object) -> ErrorCount:
    if not isinstance(fields, dict):
        raise ValueError("an error count of another shape")  # noqa: TRY004 - it is the answer that is wrong, not a type of ours
    indices = fields.get("recordIndices")
    return ErrorCount(
        reason=code_name(fields.get("reason"), ProcessingErrorReason) or _UNSPECIFIED,
        count=_whole(fields.get("recordCount", 0)),
        indices=tuple(map(_whole, indices)) if isinstance(indices, list) and indices else None,
    )


def _whole(value: object) -> int:
    """An int64, which JSON writes as text."""
    if isinstance(value, int | str):
        return int(value)
    raise ValueError("a count that is no number")
