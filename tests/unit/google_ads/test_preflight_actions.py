"""What a conversion action's settings mean for the conversions sent to it."""

from datetime import timedelta

import pytest
from google.ads.googleads.v26.enums.types import (
    ConversionActionCountingTypeEnum,
    ConversionActionStatusEnum,
    ConversionActionTypeEnum,
)
from google.ads.googleads.v26.resources.types import ConversionAction

from connectors.google_ads.checks import action_findings
from connectors.records import AssumedTarget, CheckVerdict, Target

STATUS = ConversionActionStatusEnum.ConversionActionStatus
TYPE = ConversionActionTypeEnum.ConversionActionType
COUNTING = ConversionActionCountingTypeEnum.ConversionActionCountingType
GOOD = {
    "id": 987654321,
    "type_": TYPE.UPLOAD_CLICKS,
    "status": STATUS.ENABLED,
    "counting_type": COUNTING.MANY_PER_CLICK,
    "owner_customer": "customers/1234567890",
    "click_through_lookback_window_days": 90,
    "value_settings": {"always_use_default_value": False},
}


def _expected(conversion: str = "sale", *, value: bool = True, days: int | None = 90) -> AssumedTarget:
    target = Target("data_manager", "1234567890", "987654321", "WEB")
    return AssumedTarget(conversion, target, "EUR", value, False, None if days is None else timedelta(days=days))


def _findings(*expected: AssumedTarget, **changed: object):
    action = ConversionAction({key: value for key, value in (GOOD | changed).items() if value is not None})
    return list(action_findings(action, "987654321", "1234567890", expected or [_expected()]))


def test_a_good_action_is_verified_in_every_point():
    """Kind, counting, value and window."""
    findings = _findings()

    assert [("conversion action 987654321", CheckVerdict.VERIFIED, "")] * 4 == [
        (each.subject, each.verdict, each.advice) for each in findings
    ]


def test_a_missing_action_is_failed_once():
    """There is nothing else to say of it."""
    (finding,) = action_findings(None, "987654321", "1234567890", [_expected()])

    assert CheckVerdict.FAILED is finding.verdict
    assert "ctId" in finding.advice


@pytest.mark.parametrize(
    ("changed", "said", "advice"),
    [
        ({"type_": TYPE.WEBPAGE}, "it is of type WEBPAGE", "import, from clicks"),
        ({"status": STATUS.HIDDEN}, "it is hidden", "enable it"),
        ({"owner_customer": "customers/5550001111"}, "it belongs to account 5550001111", "customer_id: 5550001111"),
        ({"value_settings": {"always_use_default_value": True}}, "its own default value", "different values"),
        ({"click_through_lookback_window_days": 30}, "30 days, and 90 in the settings", "click_window_days: 30"),
    ],
)
def test_what_is_wrong_fails_and_is_advised_upon(changed, said, advice):
    """In words that say what to write or where to click."""
    (failed,) = [each for each in _findings(**changed) if each.verdict is CheckVerdict.FAILED]

    assert said in failed.found
    assert advice in failed.advice


def test_a_window_the_settings_leave_out_is_told_and_does_not_fail():
    """Sending goes on with the assumed one, which is to be looked at where it is another."""
    window = _findings(_expected(days=None), click_through_lookback_window_days=30)[-1]
    alike = _findings(_expected(days=None), click_through_lookback_window_days=90)[-1]

    assert (CheckVerdict.DOUBTFUL, "write click_window_days: 30") == (window.verdict, window.advice)
    assert (CheckVerdict.VERIFIED, "") == (alike.verdict, alike.advice)
    assert {"click_window_days"} == {window.settles, alike.settles}


def test_one_per_click_is_warned_of_in_words():
    """It takes no braids, and of several conversions only the first of a click."""
    (counting,) = [
        each
        for each in _findings(_expected("visit"), _expected("sale"), counting_type=COUNTING.ONE_PER_CLICK)
        if "per click" in each.found
    ]

    assert CheckVerdict.VERIFIED is counting.verdict
    assert "gbraid or wbraid" in counting.found
    assert "sale, visit" in counting.found
    assert counting.advice


@pytest.mark.parametrize(
    "changed",
    [
        {"counting_type": None},
        {"value_settings": {}},
        {"click_through_lookback_window_days": None},
        {"type_": None},
        {"status": None},
    ],
)
def test_what_is_not_said_blocks_nothing(changed):
    """It is neither verified nor failed."""
    verdicts = [each.verdict for each in _findings(**changed)]

    assert (1, 0) == (verdicts.count(CheckVerdict.UNREADABLE), verdicts.count(CheckVerdict.FAILED))


def test_values_are_looked_at_only_where_they_are_sent():
    """An action may count its default where none is."""
    changed = {"value_settings": {"always_use_default_value": True}}

    assert not [each for each in _findings(_expected(value=False), **changed) if each.verdict is CheckVerdict.FAILED]
