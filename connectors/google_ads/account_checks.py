"""What an account must be like for conversions to count, read by GAQL, and which transport its project may use."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from google.ads.googleads.v26.enums.types import ConversionTrackingStatusEnum, EnhancedConversionsConfigEnum
from google.ads.googleads.v26.resources.types import Customer
from google.ads.googleads.v26.services.types import GoogleAdsRow

from connectors.google_ads.ads_api.client import AdsClient, CallFailedError, NotConnectedError
from connectors.google_ads.ads_api.outcomes import codes_of
from connectors.google_ads.auth import ADS_API, ServiceAccount, TokenRefusedError, TokenUnavailableError
from connectors.ports import ConversionSink
from connectors.records import (
    Answered,
    CheckFinding,
    CheckVerdict,
    ClickId,
    ClickIdKind,
    Consent,
    DeliveryKey,
    EncodedEvent,
    Event,
    Expectation,
    Lost,
    NotSent,
    Outcome,
    OutcomeClass,
    Receipt,
    Received,
    Refused,
    Target,
)

NAMES = {"data_manager": "Data Manager API", "google_ads_api": "Google Ads API"}
"""The transports, as a human knows them."""

_ENDPOINTS = {"data_manager": "google_ads.endpoint", "google_ads_api": "google_ads.ads_api_endpoint"}
"""The setting that holds each one's address."""

OF_ACCESS = frozenset({"PERMISSION_DENIED", "USER_PERMISSION_DENIED", "CUSTOMER_NOT_FOUND"})
"""What Google answers about an account that it does not know, or that this service account may not use."""
ACCESS = (
    "see that google_ads.customer_id is the account that owns the conversion actions, that login_customer_id beside it "
    "is the manager by which the service account has access (left out where it has access itself), and that the "
    "service account's e-mail is a user there"
)

_KEY = DeliveryKey("oplead-sync-check")
_CLOSED = {"CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE", "NOT_ALLOWLISTED"}
_OF_THE_ROW = {
    OutcomeClass.DONE,
    OutcomeClass.DUPLICATE,
    OutcomeClass.DEFER,
    OutcomeClass.EXPIRED,
    OutcomeClass.FIX_DATA,
    OutcomeClass.DROP,
    OutcomeClass.DROP_EXPECTED,
}
"""What may be said of an invented conversion by an API that takes real ones."""


def try_transport(sink: ConversionSink, target: Target, *, in_use: bool) -> Iterator[CheckFinding]:
    """Validate one invented conversion by a sink that only validates.

    What an API says of a transport that is not `in_use` never fails.
    """
    # Only an action of the account can be named; nothing else of the conversion exists.
    event = Event(
        key=_KEY,
        target=replace(target, source="WEB"),
        at=datetime.now(UTC) - timedelta(days=1),
        click_id=ClickId(ClickIdKind.GCLID, "oplead-sync-check"),
        identifiers=(),
        value=None,
        consent=Consent(None, None),
    )
    receipt = sink.submit(event.target, [EncodedEvent(_KEY, sink.encode(event))])
    yield from transport_findings(receipt, target.transport, in_use=in_use)


def transport_findings(receipt: Receipt, transport: str, *, in_use: bool) -> Iterator[CheckFinding]:
    """What the answer says of the transport, and of what else would keep conversions out."""
    subject = f"transport {transport}"
    match receipt:
        case NotSent(unreachable=address) if address and in_use:
            said = f"no connection to {address}, the address of the {NAMES[transport]}"
            advice = f"see {_ENDPOINTS[transport]}, and that this machine may reach it"
            yield CheckFinding(subject, CheckVerdict.FAILED, said, advice)
        case NotSent(reason) | Lost(reason):
            yield CheckFinding(subject, CheckVerdict.UNREADABLE, f"the {NAMES[transport]} gives no answer: {reason}")
        case Received():
            yield _open(subject, transport)
        case Answered((outcome,)) | Refused(outcome):
            yield from _judged(outcome, subject, transport, in_use=in_use)
        case Answered():
            yield CheckFinding(
                subject, CheckVerdict.UNREADABLE, "the answer is not about the one conversion that was sent"
            )


def _judged(outcome: Outcome, subject: str, transport: str, *, in_use: bool) -> Iterator[CheckFinding]:
    told = f"{outcome.code} ({outcome.message})" if outcome.message else outcome.code
    if outcome.code in _CLOSED:
        yield _closed(subject, transport, in_use=in_use)
    elif outcome.kind in _OF_THE_ROW or outcome.of_target:
        yield _open(subject, transport)
    elif outcome.kind is OutcomeClass.FIX_CONFIG and in_use:
        said = f"the {NAMES[transport]} would refuse every conversion: {told}"
        advice = ACCESS if outcome.code in OF_ACCESS else "mend what it names, then check again"
        yield CheckFinding(subject, CheckVerdict.FAILED, said, advice)
    else:
        yield CheckFinding(subject, CheckVerdict.UNREADABLE, f"the {NAMES[transport]} answers {told}")


def _open(subject: str, transport: str) -> CheckFinding:
    return CheckFinding(subject, CheckVerdict.VERIFIED, f"open: this Cloud project may send by the {NAMES[transport]}")


def _closed(subject: str, transport: str, *, in_use: bool) -> CheckFinding:
    said = f"closed: this Cloud project may not send by the {NAMES[transport]}"
    if not in_use:
        return CheckFinding(subject, CheckVerdict.VERIFIED, f"{said}, and does not")
    other = next(name for name in NAMES if name != transport)
    return CheckFinding(subject, CheckVerdict.FAILED, said, f"write transport: {other}")


class NotReadableError(Exception):
    """Nothing can be read with this access; why, in codes, and what to do about it."""

    def __init__(self, said: str, advice: str = "") -> None:
        """Keep both sentences."""
        super().__init__(said)
        self.said = said
        self.advice = advice

    @property
    def concerns_access(self) -> bool:
        """Whether nothing of the account can be read, whatever is asked."""
        return self.advice == ACCESS


class GaqlReader:
    """Reads one customer's rows."""

    def __init__(
        self, customer_id: str, login_customer_id: str | None, key_file: Path, *, endpoint: str, timeout: float
    ) -> None:
        """Read the key file; `timeout` bounds each wait, in seconds.

        Raises Misconfigured where it or the endpoint cannot be used.
        """
        self._customer_id = customer_id
        self._client = AdsClient(endpoint, login_customer_id, timeout=timeout)
        self._account = ServiceAccount(key_file, ADS_API, timeout=timeout)

    def rows(self, query: str) -> list[GoogleAdsRow]:
        """The rows a query finds.

        Raises NotReadableError where this access gives none; that says nothing of sending.
        """
        try:
            return self._client.search(self._customer_id, query, self._account.token().value)
        except CallFailedError as error:
            if not OF_ACCESS.isdisjoint(codes_of(error.faults)):
                raise NotReadableError(f"Google Ads answers {error}", ACCESS) from None
            advice = next((fault.outcome.message for fault in error.faults if fault.outcome.message), "")
            raise NotReadableError(f"Google Ads answers {error}", advice) from None
        except TokenRefusedError as error:
            raise NotReadableError(f"Google gives no token for the Google Ads API: {error}") from None
        except (NotConnectedError, TokenUnavailableError) as error:
            raise NotReadableError(str(error)) from None


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


def account_findings(customer: Customer, customer_id: str, expected: Sequence[Expectation]) -> Iterator[CheckFinding]:
    """Owner, tracking, auto-tagging and currency; terms and settings for contact data only where any is sent."""
    yield _owner(customer, customer_id)
    yield _tracking(customer)
    yield _auto_tagging(customer)
    yield from _currency(customer, expected)
    if any(each.sends_contact for each in expected):
        yield _terms(customer)
        yield _enhanced(customer)


def _owner(customer: Customer, customer_id: str) -> CheckFinding:
    subject = f"owner of the conversion actions of {customer_id}"
    owner = customer.conversion_tracking_setting.google_ads_conversion_customer.rpartition("/")[2]
    if not owner:
        return CheckFinding(subject, CheckVerdict.UNREADABLE, "Google Ads names none")
    if owner == customer_id:
        return CheckFinding(subject, CheckVerdict.VERIFIED, "this account owns its conversion actions")
    advice = f"write customer_id: {owner}, and as login_customer_id the account that gives the service account access"
    return CheckFinding(subject, CheckVerdict.FAILED, f"its conversion actions belong to account {owner}", advice)


def _tracking(customer: Customer) -> CheckFinding:
    status = customer.conversion_tracking_setting.conversion_tracking_status
    if words := _TRACKED.get(status):
        return CheckFinding("conversion tracking", CheckVerdict.VERIFIED, words)
    if status == _Tracking.NOT_CONVERSION_TRACKED:
        advice = "create a conversion action for imports of clicks in Google Ads"
        return CheckFinding("conversion tracking", CheckVerdict.FAILED, "conversion tracking is off", advice)
    return CheckFinding("conversion tracking", CheckVerdict.UNREADABLE, "Google Ads does not say whether it is on")


def _auto_tagging(customer: Customer) -> CheckFinding:
    if customer.manager:
        said = "this is a manager account: auto-tagging is set in each account below it"
        return CheckFinding("auto-tagging", CheckVerdict.UNREADABLE, said, "see that it is on in each of them")
    if "auto_tagging_enabled" not in customer:
        return CheckFinding("auto-tagging", CheckVerdict.UNREADABLE, "Google Ads does not say whether it is on")
    if customer.auto_tagging_enabled:
        return CheckFinding("auto-tagging", CheckVerdict.VERIFIED, "on")
    advice = "turn on auto-tagging in the account settings of Google Ads"
    return CheckFinding(
        "auto-tagging", CheckVerdict.FAILED, "auto-tagging is off, so that ads' links carry no gclid", advice
    )


def _currency(customer: Customer, expected: Sequence[Expectation]) -> Iterator[CheckFinding]:
    for currency in sorted({each.currency for each in expected if each.sends_value}):
        if not customer.currency_code:
            yield CheckFinding("currency", CheckVerdict.UNREADABLE, "Google Ads does not say the account's currency")
        elif currency == customer.currency_code:
            yield CheckFinding("currency", CheckVerdict.VERIFIED, f"the account is in {currency}, as amounts are")
        else:
            said = f"amounts are sent in {currency} and the account is in {customer.currency_code}"
            advice = f"see that amounts in Oplead are in {currency}; if not, write currency: {customer.currency_code}"
            yield CheckFinding("currency", CheckVerdict.FAILED, said, advice)


def _terms(customer: Customer) -> CheckFinding:
    if "conversion_tracking_setting" not in customer:
        return CheckFinding(
            "customer data terms", CheckVerdict.UNREADABLE, "Google Ads does not say whether they are accepted"
        )
    if customer.conversion_tracking_setting.accepted_customer_data_terms:
        return CheckFinding("customer data terms", CheckVerdict.VERIFIED, "the customer data terms are accepted")
    advice = "accept them in the conversion settings of Google Ads, or write contact_data: none"
    return CheckFinding("customer data terms", CheckVerdict.FAILED, "the customer data terms are not accepted", advice)


def _enhanced(customer: Customer) -> CheckFinding:
    subject = "enhanced conversions for leads"
    setting = customer.conversion_tracking_setting.effective_enablement_setting
    if setting == _Enhanced.ON:
        return CheckFinding(subject, CheckVerdict.VERIFIED, "on")
    if setting == _Enhanced.OFF:
        advice = "turn them on in the conversion settings of Google Ads, or write contact_data: none"
        return CheckFinding(subject, CheckVerdict.FAILED, "enhanced conversions for leads are off", advice)
    return CheckFinding(subject, CheckVerdict.UNREADABLE, "Google Ads does not say whether they are on")
