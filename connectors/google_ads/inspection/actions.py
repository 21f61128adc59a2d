"""What each conversion action must be like for conversions to be taken in and counted as meant."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from google.ads.googleads.v26.enums.types import (
    ConversionActionCountingTypeEnum,
    ConversionActionStatusEnum,
    ConversionActionTypeEnum,
)
from google.ads.googleads.v26.resources.types import ConversionAction

from connectors.google_ads.inspection.enums import member_name
from connectors.plurals import counted
from connectors.records import Expectation, Finding, Verdict

_TAKEN = 90
"""Days of a click window where neither the settings nor Google say; the longest that Google offers."""
_KEY = "click_window_days"
_Status = ConversionActionStatusEnum.ConversionActionStatus
_Type = ConversionActionTypeEnum.ConversionActionType
_Counting = ConversionActionCountingTypeEnum.ConversionActionCountingType


QUERY = (
    "SELECT conversion_action.id, conversion_action.name, conversion_action.type, conversion_action.status,"
    " conversion_action.category, conversion_action.origin, conversion_action.primary_for_goal,"
    " conversion_action.counting_type, conversion_action.owner_customer,"
    " conversion_action.click_through_lookback_window_days,"
    " conversion_action.value_settings.always_use_default_value"
    " FROM conversion_action"
)
"""Of every action, for others may count the same leads.

https://developers.google.com/google-ads/api/fields/v26/conversion_action
"""


def action_findings(
    found: ConversionAction | None, action: str, customer_id: str, expected: Sequence[Expectation]
) -> Iterator[Finding]:
    """Whether one action is as these conversions need it; None where the account shows no such action."""
    subject = f"conversion action {action}"
    if found is None:
        advice = "see its number in its address in Google Ads (ctId), and whether customer_id owns it"
        yield Finding(subject, Verdict.FAILED, f"account {customer_id} has no such conversion action", advice)
        return
    yield from _readiness(found, subject, expected[0].target.owner)
    yield from _counting(found, subject, expected)
    if any(each.sends_value for each in expected):
        yield _value(found, subject)
    for window in dict.fromkeys(each.click_window for each in expected):
        yield _window(found, subject, window)


def _readiness(found: ConversionAction, subject: str, owner: str) -> Iterator[Finding]:
    owned_by = found.owner_customer.rpartition("/")[2]
    wrong = [*_wrong_kind(found, subject), *_wrong_owner(subject, owned_by, owner)]
    if not wrong:
        yield Finding(subject, Verdict.VERIFIED, "it is enabled, and takes imported clicks")
    yield from wrong


def _wrong_kind(found: ConversionAction, subject: str) -> Iterator[Finding]:
    if found.type_ in (_Type.UNSPECIFIED, _Type.UNKNOWN):
        yield Finding(subject, Verdict.UNREADABLE, "Google Ads does not say of which type it is")
    elif found.type_ != _Type.UPLOAD_CLICKS:
        said = f"it is of type {member_name(found.type_)}, which takes no imported clicks"
        yield Finding(subject, Verdict.FAILED, said, "create one of the kind: import, from clicks, and write its id")
    if found.status in (_Status.UNSPECIFIED, _Status.UNKNOWN):
        yield Finding(subject, Verdict.UNREADABLE, "Google Ads does not say whether it is enabled")
    elif found.status != _Status.ENABLED:
        said = f"it is {member_name(found.status).lower()}"
        yield Finding(subject, Verdict.FAILED, said, "enable it in Google Ads, or write the id of another")


def _wrong_owner(subject: str, owned_by: str, owner: str) -> Iterator[Finding]:
    if owned_by and owned_by != owner:
        yield Finding(subject, Verdict.FAILED, f"it belongs to account {owned_by}", f"write customer_id: {owned_by}")


def _counting(found: ConversionAction, subject: str, expected: Sequence[Expectation]) -> Iterator[Finding]:
    if found.counting_type == _Counting.MANY_PER_CLICK:
        yield Finding(subject, Verdict.VERIFIED, "it counts every conversion of a click")
    elif found.counting_type == _Counting.ONE_PER_CLICK:
        sharing = {each.conversion for each in expected}
        also = f", and only the first of {', '.join(sorted(sharing))} for each click" if len(sharing) > 1 else ""
        said = f"it counts one conversion per click: it takes none with gbraid or wbraid (iPhones){also}"
        yield Finding(subject, Verdict.VERIFIED, said, "have it count every conversion, if those matter to you")
    else:
        yield Finding(subject, Verdict.UNREADABLE, "Google Ads does not say how it counts")


def _value(found: ConversionAction, subject: str) -> Finding:
    if "always_use_default_value" not in found.value_settings:
        return Finding(subject, Verdict.UNREADABLE, "Google Ads does not say which value it counts")
    if not found.value_settings.always_use_default_value:
        return Finding(subject, Verdict.VERIFIED, "it counts the value that is sent")
    advice = "have it use different values for each conversion"
    return Finding(subject, Verdict.FAILED, "it always counts its own default value, not the one that is sent", advice)


def _window(found: ConversionAction, subject: str, expected: timedelta | None) -> Finding:
    """The window the settings give, against the action's own.

    https://support.google.com/google-ads/answer/3123169
    """
    days = found.click_through_lookback_window_days
    if not days:
        return Finding(subject, Verdict.UNREADABLE, "Google Ads does not say its click window")
    said, advice = f"its click window is {counted(days, 'day')}", f"write click_window_days: {days}"
    if expected is None:
        if days == _TAKEN:
            return Finding(
                subject, Verdict.VERIFIED, f"{said}, as is taken where the settings do not say", settles=_KEY
            )
        return Finding(subject, Verdict.DOUBTFUL, f"{said}, and {_TAKEN} are taken", advice, _KEY)
    if expected == timedelta(days=days):
        return Finding(subject, Verdict.VERIFIED, f"{said}, as in the settings")
    return Finding(subject, Verdict.FAILED, f"{said}, and {expected.days} in the settings", advice)
