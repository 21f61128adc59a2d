"""The API's answers as receipts: what became of each row, or why nothing was processed."""

from collections.abc import Sequence
from dataclasses import replace

from connectors.google_ads.ads_api.client import CallFailedError
from connectors.google_ads.ads_api.outcomes import AdsApiError, UploadAnswer, faults_in, gravest
from connectors.google_ads.auth import REQUEST_ID, SAYING_NOTHING
from connectors.records import Answered, Lost, Outcome, OutcomeClass, Receipt, Refused

DONE = Outcome(OutcomeClass.DONE, "SUCCESS")
VALIDATED = Outcome(OutcomeClass.DONE, "VALIDATED")
"""What would have been taken in, had it not been for validation only."""

_AT_THE_DOOR = {
    "PERMISSION_DENIED": "Google refuses this Cloud project: is the Google Ads API enabled in it?",
    "UNAUTHENTICATED": "Google refuses the token",
    "UNIMPLEMENTED": "no Google Ads API of this version answers there",
}
"""Refusals by what stands before the API, which therefore has seen nothing."""
_INSIDE = {"INTERNAL_ERROR", "TRANSIENT_ERROR", "DEADLINE_EXCEEDED", "CONCURRENT_MODIFICATION"}
"""Troubles in Google's own works, after which nobody knows what was recorded: asked again, they say so."""


def read_answer(answer: UploadAnswer, sent: int, *, validate_only: bool) -> Receipt:
    """The outcome of each of `sent` rows, by the partial failure alone: results may echo refused rows too.

    An error that names no row of ours refuses the whole request.
    https://developers.google.com/google-ads/api/docs/best-practices/partial-failures
    """
    is_partial = answer.partial_failure_error.code != 0  # the message itself is always true, set or not
    faults = faults_in(answer) if is_partial else ()
    if is_partial and not faults:
        return Lost("a partial failure that cannot be read")
    if any(fault.row is None or fault.row >= sent for fault in faults):
        return _refusal(faults, sent)
    outcomes = _by_row(faults, sent, VALIDATED if validate_only else DONE)
    if DONE in outcomes and len(answer.results) != sent:
        return Lost("an answer without a result for each row")
    return Answered(outcomes)


def read_failure(error: CallFailedError, sent: int) -> Receipt:
    """Why nothing was processed, where the API or what stands before it says so; else nobody knows what was.

    Only an error the API itself explains, by a status that refuses, returns rows to where they were: a status alone
    may come from anywhere on the way, after the request was processed.
    """
    if error.faults:
        refusal = _refusal(error.faults, sent)
        if refusal.outcome.code in _INSIDE or error.status in SAYING_NOTHING:
            return Lost(refusal.outcome.code)
        return replace(refusal, outcome=_with_id(refusal.outcome, error.request_id))
    if words := _AT_THE_DOOR.get(error.status):
        return Refused(Outcome(OutcomeClass.FIX_CONFIG, error.status, words))
    return Lost(error.status)


def _by_row(faults: Sequence[AdsApiError], sent: int, otherwise: Outcome) -> tuple[Outcome, ...]:
    said: dict[int, list[Outcome]] = {}
    for fault in faults:
        if fault.row is not None:
            said.setdefault(fault.row, []).append(fault.outcome)
    return tuple(gravest(said[row]) if row in said else otherwise for row in range(sent))


def _refusal(faults: Sequence[AdsApiError], sent: int) -> Refused:
    """The gravest error of the request, or of its rows where no error concerns the request; and the rows it blames."""
    of_request = [fault for fault in faults if fault.row is None or fault.row >= sent]
    outcome = gravest(fault.outcome for fault in of_request or faults)
    rows = {fault.row for fault in faults if fault.row is not None and fault.outcome.code == outcome.code}
    return Refused(outcome, () if of_request else tuple(sorted(rows)))


def _with_id(outcome: Outcome, request_id: str | None) -> Outcome:
    """The outcome with the request's id, by which Google's support finds it."""
    if request_id is None or not REQUEST_ID.fullmatch(request_id):
        return outcome
    return replace(outcome, message=", ".join(filter(None, (outcome.message, f"request {request_id}"))))
