"""What an account's settings in Google Ads mean for uploads."""

from datetime import timedelta

import pytest
from google.ads.googleads.v26.enums.types import ConversionTrackingStatusEnum, EnhancedConversionsConfigEnum
from google.ads.googleads.v26.resources.types import ConversionTrackingSetting, Customer

from connectors.google_ads.findings import customer_account_findings
from connectors.records import CheckVerdict, Target, TargetAssumptions

TRACKED = ConversionTrackingStatusEnum.ConversionTrackingStatus
ENHANCED = EnhancedConversionsConfigEnum.EnhancedConversionsConfig
GOOD = {
    "google_ads_conversion_customer": "customers/1234567890",
    "conversion_tracking_status": TRACKED.CONVERSION_TRACKING_MANAGED_BY_SELF,
    "accepted_customer_data_terms": True,
    "effective_enablement_setting": ENHANCED.ON,
}
EVERYTHING = [
    "owner of the conversion actions of 1234567890",
    "conversion tracking",
    "auto-tagging",
    "currency",
    "customer data terms",
    "enhanced conversions for leads",
]


def _customer(*, manager: bool = False, currency: str = "EUR", **changed: object) -> Customer:
    auto_tagging = changed.pop("auto_tagging", True)
    setting = ConversionTrackingSetting(GOOD | changed)
    fields = {"manager": manager, "currency_code": currency, "conversion_tracking_setting": setting}
    return Customer(fields if auto_tagging is None else fields | {"auto_tagging_enabled": auto_tagging})


def _expected(*, contact: bool = True, value: bool = True) -> TargetAssumptions:
    target = Target("data_manager", "1234567890", "987654321", "WEB")
    return TargetAssumptions("sale", target, "EUR", value, contact, timedelta(days=90))


def _findings(customer: Customer, **expected: bool):
    return {each.subject: each for each in customer_account_findings(customer, "1234567890", [_expected(**expected)])}


def test_every_check_of_a_good_account_is_verified():
    """No advice is given."""
    found = _findings(_customer()).values()

    assert EVERYTHING == [each.subject for each in found]
    assert {(CheckVerdict.VERIFIED, "")} == {(each.verdict, each.advice) for each in found}


@pytest.mark.parametrize(
    ("customer", "subject", "advice"),
    [
        (_customer(google_ads_conversion_customer="customers/5550001111"), EVERYTHING[0], "customer_id: 5550001111"),
        (_customer(conversion_tracking_status=TRACKED.NOT_CONVERSION_TRACKED), EVERYTHING[1], "create a conversion"),
        (_customer(auto_tagging=False), EVERYTHING[2], "turn on auto-tagging"),
        (_customer(currency="CHF"), EVERYTHING[3], "currency: CHF"),
        (_customer(accepted_customer_data_terms=False), EVERYTHING[4], "contact_data: none"),
        (_customer(effective_enablement_setting=ENHANCED.OFF), EVERYTHING[5], "contact_data: none"),
    ],
)
def test_each_wrong_setting_fails_alone_with_advice(customer, subject, advice):
    """The advice says what to write or where to click."""
    findings = _findings(customer)

    assert [subject] == [each.subject for each in findings.values() if each.verdict is CheckVerdict.FAILED]
    assert advice in findings[subject].advice


@pytest.mark.parametrize(
    ("customer", "subject"),
    [
        (_customer(google_ads_conversion_customer=""), EVERYTHING[0]),
        (_customer(conversion_tracking_status=TRACKED.UNKNOWN), EVERYTHING[1]),
        (_customer(auto_tagging=None), EVERYTHING[2]),
        (_customer(manager=True, auto_tagging=False), EVERYTHING[2]),
        (_customer(currency=""), EVERYTHING[3]),
        (_customer(effective_enablement_setting=ENHANCED.UNKNOWN), EVERYTHING[5]),
    ],
)
def test_an_absent_setting_is_unreadable_not_failed(customer, subject):
    """It does not block uploads."""
    findings = _findings(customer).values()

    assert [(subject, CheckVerdict.UNREADABLE)] == [
        (each.subject, each.verdict) for each in findings if each.verdict is not CheckVerdict.VERIFIED
    ]


def test_contact_data_and_currency_are_checked_only_if_sent():
    """An account that sends neither contact data nor values needs no terms and no currency."""
    assert EVERYTHING[:3] == list(_findings(_customer(), contact=False, value=False))
