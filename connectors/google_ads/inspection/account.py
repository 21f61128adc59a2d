"""What the account must be like for conversions to count."""

from collections.abc import Iterator, Sequence

from google.ads.googleads.v26.enums.types import ConversionTrackingStatusEnum, EnhancedConversionsConfigEnum
from google.ads.googleads.v26.resources.types import Customer

from connectors.records import Expectation, Finding, Verdict

QUERY = (
    "SELECT customer.id, customer.manager, customer.currency_code, customer.auto_tagging_enabled,"
    " customer.conversion_tracking_setting.google_ads_conversion_customer,"
    " customer.conversion_tracking_setting.conversion_tracking_status,"
    " customer.conversion_tracking_setting.accepted_customer_data_terms,"
    " customer.conversion_tracking_setting.effective_enablement_setting"
    " FROM customer"
)
"""https://developers.google.com/google-ads/api/fields/v26/customer"""

_Tracking = ConversionTrackingStatusEnum.ConversionTrackingStatus
_Enhanced = EnhancedConversionsConfigEnum.EnhancedConversionsConfig
_TRACKED = {
    _Tracking.CONVERSION_TRACKING_MANAGED_BY_SELF: "on, in this account",
    _Tracking.CONVERSION_TRACKING_MANAGED_BY_THIS_MANAGER: "on, by the manager account",
    _Tracking.CONVERSION_TRACKING_MANAGED_BY_ANOTHER_MANAGER: "on, by another manager account",
}


def account_findings(customer: Customer, customer_id: str, expected: Sequence[Expectation]) -> Iterator[Finding]:
    """Owner, tracking, auto-tagging and currency; terms and settings for contact data only where any is sent."""
    yield _owner(customer, customer_id)
    yield _tracking(customer)
    yield _auto_tagging(customer)
    yield from _currency(customer, expected)
    if any(each.sends_contact for each in expected):
        yield _terms(customer)
        yield _enhanced(customer)


def _owner(customer: Customer, customer_id: str) -> Finding:
    subject = f"owner of the conversion actions of {customer_id}"
    owner = customer.conversion_tracking_setting.google_ads_conversion_customer.rpartition("/")[2]
    if not owner:
        return Finding(subject, Verdict.UNREADABLE, "Google Ads names none")
    if owner == customer_id:
        return Finding(subject, Verdict.VERIFIED, "this account owns its conversion actions")
    advice = f"write customer_id: {owner}, and as login_customer_id the account that gives the service account access"
    return Finding(subject, Verdict.FAILED, f"its conversion actions belong to account {owner}", advice)


def _tracking(customer: Customer) -> Finding:
    status = customer.conversion_tracking_setting.conversion_tracking_status
    if words := _TRACKED.get(status):
        return Finding("conversion tracking", Verdict.VERIFIED, words)
    if status == _Tracking.NOT_CONVERSION_TRACKED:
        advice = "create a conversion action for imports of clicks in Google Ads"
        return Finding("conversion tracking", Verdict.FAILED, "conversion tracking is off", advice)
    return Finding("conversion tracking", Verdict.UNREADABLE, "Google Ads does not say whether it is on")


def _auto_tagging(customer: Customer) -> Finding:
    if customer.manager:
        said = "this is a manager account: auto-tagging is set in each account below it"
        return Finding("auto-tagging", Verdict.UNREADABLE, said, "see that it is on in each of them")
    if "auto_tagging_enabled" not in customer:
        return Finding("auto-tagging", Verdict.UNREADABLE, "Google Ads does not say whether it is on")
    if customer.auto_tagging_enabled:
        return Finding("auto-tagging", Verdict.VERIFIED, "on")
    advice = "turn on auto-tagging in the account settings of Google Ads"
    return Finding("auto-tagging", Verdict.FAILED, "auto-tagging is off, so that ads' links carry no gclid", advice)


def _currency(customer: Customer, expected: Sequence[Expectation]) -> Iterator[Finding]:
    for currency in sorted({each.currency for each in expected if each.sends_value}):
        if not customer.currency_code:
            yield Finding("currency", Verdict.UNREADABLE, "Google Ads does not say the account's currency")
        elif currency == customer.currency_code:
            yield Finding("currency", Verdict.VERIFIED, f"the account is in {currency}, as amounts are")
        else:
            said = f"amounts are sent in {currency} and the account is in {customer.currency_code}"
            advice = f"see that amounts in Oplead are in {currency}; if not, write currency: {customer.currency_code}"
            yield Finding("currency", Verdict.FAILED, said, advice)


def _terms(customer: Customer) -> Finding:
    if "conversion_tracking_setting" not in customer:
        return Finding("customer data terms", Verdict.UNREADABLE, "Google Ads does not say whether they are accepted")
    if customer.conversion_tracking_setting.accepted_customer_data_terms:
        return Finding("customer data terms", Verdict.VERIFIED, "the customer data terms are accepted")
    advice = "accept them in the conversion settings of Google Ads, or write contact_data: none"
    return Finding("customer data terms", Verdict.FAILED, "the customer data terms are not accepted", advice)


def _enhanced(customer: Customer) -> Finding:
    subject = "enhanced conversions for leads"
    setting = customer.conversion_tracking_setting.effective_enablement_setting
    if setting == _Enhanced.ON:
        return Finding(subject, Verdict.VERIFIED, "on")
    if setting == _Enhanced.OFF:
        advice = "turn them on in the conversion settings of Google Ads, or write contact_data: none"
        return Finding(subject, Verdict.FAILED, "enhanced conversions for leads are off", advice)
    return Finding(subject, Verdict.UNREADABLE, "Google Ads does not say whether they are on")
