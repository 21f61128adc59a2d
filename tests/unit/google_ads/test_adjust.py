"""Corrections as Google's two APIs read them, compared with golden files.

https://developers.google.com/google-ads/api/reference/rpc/v26/ConversionAdjustment
"""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from google.ads.googleads.v26.services.types import ConversionAdjustment
from google.protobuf.json_format import ParseDict

from connectors.google_ads import platform
from connectors.google_ads.ads_api import sink as ads_api
from connectors.google_ads.ads_api.sink import adjustments_request, encode_correction, reclassify_correction_codes
from connectors.google_ads.data_manager import sink as data_manager
from connectors.meta import encode as meta
from connectors.records import (
    Adjustment,
    AdjustmentKind,
    AnswerLost,
    ClickId,
    ClickIdKind,
    Consent,
    ConsentSignalValue,
    ContactIdentifierKind,
    ConversionEvent,
    DeliveryKey,
    EncodedEvent,
    Identifier,
    Money,
    Outcome,
    OutcomeClass,
    Refused,
    RowOutcomes,
    Target,
)

GOLDEN = Path(__file__).parent
AT = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
TARGET = Target("google_ads_api", "1234567890", "987654322", "WEB")
EUROS = Money(Decimal("1100.40"), "EUR")
RESTATED = Adjustment(
    key=DeliveryKey("sale-1"),
    target=TARGET,
    kind=AdjustmentKind.RESTATEMENT,
    at=AT + timedelta(days=3),
    value=EUROS,
    event=None,
)
RETRACTED = replace(RESTATED, kind=AdjustmentKind.RETRACTION, value=None)
EVENT = ConversionEvent(
    key=DeliveryKey("sale-1"),
    target=replace(TARGET, transport="data_manager"),
    at=AT,
    click_id=ClickId(ClickIdKind.GCLID, "Cj0KCQ-Invented_Click"),
    identifiers=(),
    value=Money(Decimal("1250.50"), "EUR"),
    consent=Consent(ConsentSignalValue.GRANTED, ConsentSignalValue.DENIED),
)
RESENT = replace(RESTATED, target=EVENT.target, event=EVENT)
ADJUSTMENTS = {
    "retraction": RETRACTED,
    "restatement": RESTATED,
    "restatement_to_zero": replace(RESTATED, value=Money(Decimal(0), "EUR")),
}


def frozen(*adjustments: Adjustment) -> list[EncodedEvent]:
    """Corrections as they are stored and sent."""
    return [EncodedEvent(each.key, encode_correction(each)) for each in adjustments]


# ── through the Google Ads API ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ADJUSTMENTS)
def test_each_correction_encodes_to_its_golden_file(name):
    """Every field matches to the byte."""
    golden = json.loads((GOLDEN / "golden_adjustments" / f"{name}.json").read_text())
    message = ParseDict(golden, ConversionAdjustment.pb(ConversionAdjustment()))

    assert message.SerializeToString(deterministic=True) == encode_correction(ADJUSTMENTS[name])


def test_every_golden_file_is_used():
    """None is left over from a removed case."""
    assert set(ADJUSTMENTS) == {path.stem for path in (GOLDEN / "golden_adjustments").iterdir()}


def test_a_retraction_has_the_expected_bytes():
    """The field numbers are: type 5, action 8, time 9, order id 13."""
    action = b"customers/1234567890/conversionActions/987654322"
    expected = (
        b"\x28\x02\x42" + bytes([len(action)]) + action + b"\x4a\x19" + b"2026-10-28 00:30:00+00:00" + b"\x6a\x06sale-1"
    )

    assert expected == encode_correction(RETRACTED)


def test_times_are_encoded_in_utc_as_whole_seconds():
    """The API knows no finer ones, and the same instant has the same bytes in any zone."""
    other = replace(RESTATED, at=(RESTATED.at + timedelta(microseconds=9)).astimezone(timezone(timedelta(hours=2))))

    assert encode_correction(RESTATED) == encode_correction(other)


@pytest.mark.parametrize(
    "adjustment",
    [
        replace(RESTATED, value=None),
        replace(RETRACTED, value=EUROS),
        RESENT,
        replace(RETRACTED, target=EVENT.target),
    ],
    ids=["restated without a value", "retracted with one", "for the other API", "retracted by the other API"],
)
def test_a_correction_the_google_ads_api_cannot_carry_is_refused(adjustment):
    """It is refused before anything is stored or sent."""
    with pytest.raises(ValueError, match=r"value|correction for"):
        encode_correction(adjustment)


def test_a_request_uses_partial_failure_and_the_action_owner():
    """Frozen corrections keep their order."""
    other = replace(RETRACTED, key=DeliveryKey("sale-2"))
    request = adjustments_request(TARGET, frozen(RESTATED, other), validate_only=False)

    assert ("1234567890", True, False) == (request.customer_id, request.partial_failure, request.validate_only)
    assert ["sale-1", "sale-2"] == [each.order_id for each in request.conversion_adjustments]
    assert adjustments_request(TARGET, frozen(RESTATED), validate_only=True).validate_only


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xff",
        b"",
        b'{"transactionId":"sale-1"}',
        ads_api.encode_event(replace(EVENT, target=TARGET)),
        encode_correction(replace(RETRACTED, key=DeliveryKey("sale-2"))),
        ConversionAdjustment.serialize(ConversionAdjustment(order_id="sale-1", adjustment_type=4)),
    ],
    ids=["no message", "nothing", "the other API's", "a conversion", "another's", "an enhancement"],
)
def test_bytes_that_are_no_matching_correction_are_refused(body):
    """The ledger holds bytes of several kinds."""
    with pytest.raises(ValueError, match="bytes"):
        adjustments_request(TARGET, [EncodedEvent(DeliveryKey("sale-1"), body)], validate_only=False)


def test_restating_a_retracted_conversion_is_a_drop():
    """A retraction already made is a duplicate; a restatement has not happened, and will not."""
    request = adjustments_request(TARGET, frozen(RETRACTED, RESTATED), validate_only=False)
    already = Outcome(OutcomeClass.DUPLICATE, "CONVERSION_ALREADY_RETRACTED")
    there = Outcome(OutcomeClass.DUPLICATE, "RESTATEMENT_ALREADY_EXISTS")

    assert RowOutcomes((already, replace(already, kind=OutcomeClass.DROP))) == reclassify_correction_codes(
        RowOutcomes((already,) * 2), request
    )
    assert RowOutcomes((already, there)) == reclassify_correction_codes(RowOutcomes((already, there)), request)


@pytest.mark.parametrize("named", ["", ", request req-1"])
def test_a_project_not_allowed_to_correct_gets_its_own_advice(named):
    """The advice for uploads would not help; the request's id stays."""
    code = "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE"
    refused = Refused(Outcome(OutcomeClass.FIX_CONFIG, code, f"write transport: data_manager{named}"))
    told = reclassify_correction_codes(refused, adjustments_request(TARGET, frozen(RETRACTED), validate_only=False))

    assert (OutcomeClass.FIX_CONFIG, code) == (told.outcome.kind, told.outcome.code)
    assert "undo_via: google_ads_api" in told.outcome.message
    assert "transport" not in told.outcome.message
    assert told.outcome.message.endswith(named)


def test_other_answers_are_left_unchanged():
    """A lost answer stays lost."""
    assert AnswerLost("cut") == reclassify_correction_codes(
        AnswerLost("cut"), adjustments_request(TARGET, frozen(RETRACTED), validate_only=False)
    )


# ── through the Data Manager API ─────────────────────────────────────────────────────────────────


def test_a_restatement_resends_the_event_with_a_new_value():
    """All else is as first sent, to the byte, and as in the golden file of that event."""
    golden = json.loads((GOLDEN / "golden" / "gclid.json").read_text()) | {"conversionValue": 1100.4}
    canonical = json.dumps(golden, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    assert canonical == data_manager.encode_correction(RESENT)


def test_a_value_is_removed_by_restating_it_to_zero():
    """The bytes are those of the golden file for an event with a value of zero."""
    golden = json.loads((GOLDEN / "golden" / "value_removed.json").read_text())
    canonical = json.dumps(golden, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    assert canonical == data_manager.encode_correction(replace(RESENT, value=Money(Decimal(0), "EUR")))


def test_an_event_with_contact_data_only_can_be_restated():
    """A click id or contact data is required."""
    contact = replace(EVENT, click_id=None, identifiers=(Identifier(ContactIdentifierKind.EMAIL, "2" * 64),))
    body = data_manager.encode_correction(replace(RESENT, event=contact))

    assert 1100.4 == json.loads(body)["conversionValue"]


@pytest.mark.parametrize(
    "adjustment",
    [
        replace(RESENT, kind=AdjustmentKind.RETRACTION, value=None),
        replace(RESENT, value=None),
        replace(RESENT, event=None),
        replace(RESENT, event=replace(EVENT, click_id=None)),
        replace(RESENT, event=replace(EVENT, key=DeliveryKey("sale-2"))),
        replace(RESENT, event=replace(EVENT, target=replace(EVENT.target, action="987654321"))),
        replace(RESENT, target=TARGET, event=replace(EVENT, target=TARGET)),
    ],
    ids=["retracted", "no value", "no event", "nobody's", "another key", "another action", "the other API's"],
)
def test_a_correction_the_data_manager_cannot_carry_is_refused(adjustment):
    """A wrong transaction id would count as a new conversion."""
    with pytest.raises(ValueError, match=r"restates|event"):
        data_manager.encode_correction(adjustment)


# ── limits ───────────────────────────────────────────────────────────────────────────────────────


def test_limits_state_what_each_transport_can_correct():
    """54 days, 2,000 a request; no retraction by the Data Manager, nothing for wbraids by the Google Ads API."""
    by_data_manager, by_ads_api = (platform.DATA_MANAGER.corrects[name] for name in ("data_manager", "google_ads_api"))

    assert platform.DATA_MANAGER.corrects == platform.ADS_API.corrects
    assert {AdjustmentKind.RESTATEMENT} == by_data_manager.kinds
    assert {AdjustmentKind.RESTATEMENT, AdjustmentKind.RETRACTION} == by_ads_api.kinds
    assert (True, False) == (by_data_manager.by_resending, by_ads_api.by_resending)
    assert (frozenset(), {ClickIdKind.WBRAID}) == (by_data_manager.except_by, by_ads_api.except_by)
    assert {(timedelta(days=54), 2000)} == {(each.within, each.batch) for each in platform.ADS_API.corrects.values()}
    assert {} == meta.META.corrects
