"""What the answer to one invented conversion says about a transport."""

import pytest

from connectors.google_ads.preflight import transport_finding
from connectors.records import (
    AnswerLost,
    CheckVerdict,
    Outcome,
    OutcomeClass,
    ReceivedForProcessing,
    Refused,
    RequestNotSent,
    RowOutcomes,
)

ADS, DATA = "google_ads_api", "data_manager"


def _answer(kind: OutcomeClass, code: str = "A_CODE", words: str = "") -> RowOutcomes:
    return RowOutcomes((Outcome(kind, code, words),))


def _finding(receipt, transport=ADS, *, in_use=True):
    return transport_finding(receipt, transport, in_use=in_use)


@pytest.mark.parametrize(
    "receipt",
    [
        _answer(OutcomeClass.DONE, "VALIDATED"),
        _answer(OutcomeClass.FIX_DATA, "UNPARSEABLE_GCLID"),
        _answer(OutcomeClass.DROP, "EVENT_NOT_FOUND"),
        _answer(OutcomeClass.DEFER, "TOO_RECENT_CONVERSION_ACTION"),
        Refused(Outcome(OutcomeClass.FIX_DATA, "INVALID_FORMAT"), (0,)),
        ReceivedForProcessing("req-1"),
    ],
)
def test_a_judged_conversion_means_the_transport_is_open(receipt):
    """Whatever the API decides on the row, it would accept others."""
    finding = _finding(receipt)

    assert CheckVerdict.VERIFIED is finding.verdict
    assert finding.found.startswith("open")


@pytest.mark.parametrize(
    ("transport", "code", "other"),
    [(ADS, "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE", DATA), (DATA, "NOT_ALLOWLISTED", ADS)],
)
@pytest.mark.parametrize("receipt", [Refused, lambda outcome: RowOutcomes((outcome,))])
def test_a_closed_transport_in_use_fails_with_advice(transport, code, other, receipt):
    """The refusal may be of the whole request or of the row."""
    finding = _finding(receipt(Outcome(OutcomeClass.FIX_CONFIG, code)), transport)

    assert (CheckVerdict.FAILED, f"write transport: {other}") == (finding.verdict, finding.advice)
    assert finding.found.startswith("closed")


def test_a_closed_transport_not_in_use_does_not_fail():
    """Most Cloud projects are too recent for the older API."""
    closed = Refused(Outcome(OutcomeClass.FIX_CONFIG, "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE"))

    assert CheckVerdict.VERIFIED is _finding(closed, in_use=False).verdict


@pytest.mark.parametrize(("in_use", "verdict"), [(True, CheckVerdict.FAILED), (False, CheckVerdict.UNREADABLE)])
def test_another_configuration_fault_fails_only_the_transport_in_use(in_use, verdict):
    """It would refuse every conversion."""
    finding = _finding(_answer(OutcomeClass.FIX_CONFIG, "USER_PERMISSION_DENIED", "no access"), in_use=in_use)

    assert verdict is finding.verdict
    assert "USER_PERMISSION_DENIED (no access)" in finding.found
    assert in_use is ("customer_id" in finding.advice and "login_customer_id" in finding.advice)


@pytest.mark.parametrize(("in_use", "verdict"), [(True, CheckVerdict.FAILED), (False, CheckVerdict.UNREADABLE)])
def test_an_unreachable_address_fails_only_the_transport_in_use(in_use, verdict):
    """The finding names the address and its setting, since waiting alone does not help."""
    finding = _finding(RequestNotSent("no connection: ConnectionError", "http://127.0.0.1:9"), in_use=in_use)

    assert verdict is finding.verdict
    assert in_use is ("http://127.0.0.1:9" in finding.found and "endpoint" in finding.advice)


@pytest.mark.parametrize(
    "receipt",
    [
        RequestNotSent("no connection"),
        AnswerLost("DEADLINE_EXCEEDED"),
        RowOutcomes(()),
        _answer(OutcomeClass.UNKNOWN),
        _answer(OutcomeClass.RETRY),
        _answer(OutcomeClass.BUG),
    ],
)
def test_an_unclear_answer_is_unreadable_not_failed(receipt):
    """The next answer may be clear."""
    assert CheckVerdict.UNREADABLE is _finding(receipt).verdict
