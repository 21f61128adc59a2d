"""What a conversion action's settings mean for the conversions sent to it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from google.ads.googleads.v26.enums.types import (
    ConversionActionCategoryEnum,
    ConversionActionCountingTypeEnum,
    ConversionActionStatusEnum,
    ConversionActionTypeEnum,
)
from google.ads.googleads.v26.resources.types import ConversionAction

from connectors.google_ads.findings import action_findings, describe_conversion_action
from connectors.records import CheckVerdict, Target, TargetAssumptions

CATEGORY = ConversionActionCategoryEnum.ConversionActionCategory
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


def _expected(conversion: str = "sale", *, value: bool = True, days: int | None = 90) -> TargetAssumptions:
    target = Target("data_manager", "1234567890", "987654321", "WEB")
    return TargetAssumptions(conversion, target, "EUR", value, False, None if days is None else timedelta(days=days))


def _findings(*expected: TargetAssumptions, **changed: object):
    action = ConversionAction({key: value for key, value in (GOOD | changed).items() if value is not None})
    return list(action_findings(action, "987654321", "1234567890", expected or [_expected()]))


def test_every_check_of_a_good_action_is_verified():
    """The checks are of its type, counting, value and window."""
    findings = _findings()

    assert [("conversion action 987654321", CheckVerdict.VERIFIED, "")] * 4 == [
        (each.subject, each.verdict, each.advice) for each in findings
    ]


def test_a_missing_action_gives_one_failed_finding():
    """No other check applies to it."""
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
def test_each_wrong_setting_fails_with_advice(changed, said, advice):
    """The advice says what to write or where to click."""
    (failed,) = [each for each in _findings(**changed) if each.verdict is CheckVerdict.FAILED]

    assert said in failed.found
    assert advice in failed.advice


def test_a_different_window_left_out_of_the_settings_is_doubtful():
    """Uploads go on with the assumed window, but the difference deserves a look."""
    window = _findings(_expected(days=None), click_through_lookback_window_days=30)[-1]
    alike = _findings(_expected(days=None), click_through_lookback_window_days=90)[-1]

    assert (CheckVerdict.DOUBTFUL, "write click_window_days: 30") == (window.verdict, window.advice)
    assert (CheckVerdict.VERIFIED, "") == (alike.verdict, alike.advice)
    assert {"click_window_days"} == {window.settles, alike.settles}


def test_counting_one_per_click_is_verified_with_a_warning():
    """Such an action takes no braids, and of several conversions counts only the first of a click."""
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
def test_an_absent_setting_is_unreadable_not_failed(changed):
    """It does not block uploads."""
    verdicts = [each.verdict for each in _findings(**changed)]

    assert (1, 0) == (verdicts.count(CheckVerdict.UNREADABLE), verdicts.count(CheckVerdict.FAILED))


def test_value_settings_are_checked_only_if_values_are_sent():
    """Without a value, the action may count its default."""
    changed = {"value_settings": {"always_use_default_value": True}}

    assert not [each for each in _findings(_expected(value=False), **changed) if each.verdict is CheckVerdict.FAILED]


@pytest.mark.parametrize(
    ("stage", "changed", "is_told"),
    [
        ("won", {"name": "RDV pris"}, True),
        ("gagné", {"category": CATEGORY.BOOK_APPOINTMENT}, True),
        ("won", {"name": "Devis signé", "category": CATEGORY.PURCHASE}, False),
        ("appointment", {"name": "Leads", "category": CATEGORY.DEFAULT}, False),
        ("chantier", {"name": "Ventes"}, False),
    ],
)
def test_an_action_whose_name_or_category_speaks_of_another_stage_is_to_look_at(stage, changed, is_told):
    """A wrong id among several is easily written, and sales would be counted as appointments."""
    told = [each for each in _findings(replace(_expected(), stage=stage), **changed) if "another stage" in each.found]

    assert [CheckVerdict.DOUBTFUL] * is_told == [each.verdict for each in told]


def test_an_action_that_was_read_is_not_under_unreadable():
    """What Google Ads does not say of its goal stands among its facts."""
    finding = describe_conversion_action(ConversionAction(GOOD), ["sale"], None)

    assert CheckVerdict.VERIFIED is finding.verdict
    assert "does not say whether it is primary" in finding.found
