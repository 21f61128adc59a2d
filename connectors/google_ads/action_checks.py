"""What each conversion action must be like: taken in, counted as meant, used for bidding, and healthy of late."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from google.ads.googleads.v26.enums.types import (
    ConversionActionCategoryEnum,
    ConversionActionCountingTypeEnum,
    ConversionActionStatusEnum,
    ConversionActionTypeEnum,
    OfflineConversionDiagnosticStatusEnum,
)
from google.ads.googleads.v26.resources.types import (
    ConversionAction,
    CustomerConversionGoal,
    OfflineConversionAlert,
    OfflineConversionError,
    OfflineConversionUploadClientSummary,
    OfflineConversionUploadConversionActionSummary,
)
from google.ads.googleads.v26.services.types import GoogleAdsRow

from connectors.records import CheckFinding, CheckVerdict, Expectation
from connectors.text import counted


def member_name(member: object) -> str:
    """A member's name; a value newer than the library is a bare number, and stays one."""
    return str(getattr(member, "name", member))


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
) -> Iterator[CheckFinding]:
    """Whether one action is as these conversions need it; None where the account shows no such action."""
    subject = f"conversion action {action}"
    if found is None:
        advice = "see its number in its address in Google Ads (ctId), and whether customer_id owns it"
        yield CheckFinding(subject, CheckVerdict.FAILED, f"account {customer_id} has no such conversion action", advice)
        return
    yield from _readiness(found, subject, expected[0].target.owner)
    yield from _counting(found, subject, expected)
    if any(each.sends_value for each in expected):
        yield _value(found, subject)
    for window in dict.fromkeys(each.click_window for each in expected):
        yield _window(found, subject, window)


def _readiness(found: ConversionAction, subject: str, owner: str) -> Iterator[CheckFinding]:
    owned_by = found.owner_customer.rpartition("/")[2]
    wrong = [*_wrong_kind(found, subject), *_wrong_owner(subject, owned_by, owner)]
    if not wrong:
        yield CheckFinding(subject, CheckVerdict.VERIFIED, "it is enabled, and takes imported clicks")
    yield from wrong


def _wrong_kind(found: ConversionAction, subject: str) -> Iterator[CheckFinding]:
    if found.type_ in (_Type.UNSPECIFIED, _Type.UNKNOWN):
        yield CheckFinding(subject, CheckVerdict.UNREADABLE, "Google Ads does not say of which type it is")
    elif found.type_ != _Type.UPLOAD_CLICKS:
        said = f"it is of type {member_name(found.type_)}, which takes no imported clicks"
        yield CheckFinding(
            subject, CheckVerdict.FAILED, said, "create one of the kind: import, from clicks, and write its id"
        )
    if found.status in (_Status.UNSPECIFIED, _Status.UNKNOWN):
        yield CheckFinding(subject, CheckVerdict.UNREADABLE, "Google Ads does not say whether it is enabled")
    elif found.status != _Status.ENABLED:
        said = f"it is {member_name(found.status).lower()}"
        yield CheckFinding(subject, CheckVerdict.FAILED, said, "enable it in Google Ads, or write the id of another")


def _wrong_owner(subject: str, owned_by: str, owner: str) -> Iterator[CheckFinding]:
    if owned_by and owned_by != owner:
        yield CheckFinding(
            subject, CheckVerdict.FAILED, f"it belongs to account {owned_by}", f"write customer_id: {owned_by}"
        )


def _counting(found: ConversionAction, subject: str, expected: Sequence[Expectation]) -> Iterator[CheckFinding]:
    if found.counting_type == _Counting.MANY_PER_CLICK:
        yield CheckFinding(subject, CheckVerdict.VERIFIED, "it counts every conversion of a click")
    elif found.counting_type == _Counting.ONE_PER_CLICK:
        sharing = {each.conversion for each in expected}
        also = f", and only the first of {', '.join(sorted(sharing))} for each click" if len(sharing) > 1 else ""
        said = f"it counts one conversion per click: it takes none with gbraid or wbraid (iPhones){also}"
        yield CheckFinding(
            subject, CheckVerdict.VERIFIED, said, "have it count every conversion, if those matter to you"
        )
    else:
        yield CheckFinding(subject, CheckVerdict.UNREADABLE, "Google Ads does not say how it counts")


def _value(found: ConversionAction, subject: str) -> CheckFinding:
    if "always_use_default_value" not in found.value_settings:
        return CheckFinding(subject, CheckVerdict.UNREADABLE, "Google Ads does not say which value it counts")
    if not found.value_settings.always_use_default_value:
        return CheckFinding(subject, CheckVerdict.VERIFIED, "it counts the value that is sent")
    advice = "have it use different values for each conversion"
    return CheckFinding(
        subject, CheckVerdict.FAILED, "it always counts its own default value, not the one that is sent", advice
    )


def _window(found: ConversionAction, subject: str, expected: timedelta | None) -> CheckFinding:
    """The window the settings give, against the action's own.

    https://support.google.com/google-ads/answer/3123169
    """
    days = found.click_through_lookback_window_days
    if not days:
        return CheckFinding(subject, CheckVerdict.UNREADABLE, "Google Ads does not say its click window")
    said, advice = f"its click window is {counted(days, 'day')}", f"write click_window_days: {days}"
    if expected is None:
        if days == _TAKEN:
            return CheckFinding(
                subject, CheckVerdict.VERIFIED, f"{said}, as is taken where the settings do not say", settles=_KEY
            )
        return CheckFinding(subject, CheckVerdict.DOUBTFUL, f"{said}, and {_TAKEN} are taken", advice, _KEY)
    if expected == timedelta(days=days):
        return CheckFinding(subject, CheckVerdict.VERIFIED, f"{said}, as in the settings")
    return CheckFinding(subject, CheckVerdict.FAILED, f"{said}, and {expected.days} in the settings", advice)


GOALS_QUERY = (
    "SELECT customer_conversion_goal.category, customer_conversion_goal.origin, customer_conversion_goal.biddable"
    " FROM customer_conversion_goal"
)
"""https://developers.google.com/google-ads/api/docs/conversions/goals/customer-goals"""

Goals = Mapping[tuple[int, int], bool]
"""Whether the goal of a category and an origin is one of the account's defaults."""
_Category = ConversionActionCategoryEnum.ConversionActionCategory
_OF_LEADS = frozenset(
    {
        _Category.SIGNUP,
        _Category.PHONE_CALL_LEAD,
        _Category.IMPORTED_LEAD,
        _Category.SUBMIT_LEAD_FORM,
        _Category.BOOK_APPOINTMENT,
        _Category.REQUEST_QUOTE,
        _Category.CONTACT,
        _Category.QUALIFIED_LEAD,
        _Category.CONVERTED_LEAD,
        _Category.MESSAGE_LEAD,
    }
)
"""What a lead's own way consists of: an action of these counts the lead that ours count again."""
_COUNTS = {
    _Counting.MANY_PER_CLICK: "counts every conversion of a click",
    _Counting.ONE_PER_CLICK: "counts one conversion per click",
}
_ONE = (
    "Let bidding learn from the one that matters most and make the others secondary in Google Ads (Goals, the "
    "action's settings), or see that each value is only what its step adds."
)
_LONGEST_NAME = 80


def goals_of(found: Iterable[CustomerConversionGoal]) -> Goals:
    """The account's goals by category and origin."""
    return {(goal.category, goal.origin): goal.biddable for goal in found}


def standing(action: ConversionAction, conversions: Sequence[str], goals: Goals | None) -> CheckFinding:
    """What an action is to Google: primary or not, bid on or not, how it counts, of which category and window."""
    days = action.click_through_lookback_window_days
    said = [
        _bidding(action, goals),
        _COUNTS.get(action.counting_type, "how it counts is not shown"),
        f"clicks count for {counted(days, 'day')}" if days else "its click window is not shown",
    ]
    named = f"{_name(action)}, for {', '.join(conversions)}: {'; '.join(said)}"
    verdict = CheckVerdict.UNREADABLE if _is_bid_on(action, goals) is None else CheckVerdict.VERIFIED
    return CheckFinding(f"conversion action {action.id}", verdict, named, is_notable=True)


def bidding_findings(
    actions: Iterable[ConversionAction], ours: Mapping[str, Sequence[Expectation]], goals: Goals | None
) -> Iterator[CheckFinding]:
    """Where bidding learns from several actions of one lead, or from none of ours.

    Args:
        actions: every action of the account.
        ours: what the settings send, by the action's id.
        goals: the account's; None where they cannot be read.
    """
    enabled = [one for one in actions if one.status == ConversionActionStatusEnum.ConversionActionStatus.ENABLED]
    own = [one for one in enabled if str(one.id) in ours]
    steering = [one for one in own if _is_bid_on(one, goals)]
    others = [one for one in enabled if one not in own and one.category in _OF_LEADS and _is_bid_on(one, goals)]
    if own and not steering and all(_is_bid_on(one, goals) is False for one in own):
        advice = "Make the one that it should learn from primary in Google Ads (Goals, the action's settings)."
        yield CheckFinding("bidding", CheckVerdict.DOUBTFUL, "it learns from none of these conversions", advice)
    elif steering and len(steering) + len(others) > 1:
        named = [f"{_names(ours[str(one.id)])} {_name(one)}" for one in steering]
        named += [f"{_name(one)}, which is not sent from here" for one in others]
        said = f"it learns from several actions in which one lead can count: {'; '.join(named)}"
        yield CheckFinding("bidding", CheckVerdict.DOUBTFUL, said, _ONE)


def _is_bid_on(action: ConversionAction, goals: Goals | None) -> bool | None:
    """Whether campaigns with the account's goals bid on it; None where Google does not say."""
    if "primary_for_goal" not in action:
        return None
    if not action.primary_for_goal:
        return False
    return None if goals is None else goals.get((action.category, action.origin))


def _bidding(action: ConversionAction, goals: Goals | None) -> str:
    if "primary_for_goal" not in action:
        return "Google Ads does not say whether it is primary"
    if not action.primary_for_goal:
        return "secondary, so bidding does not learn from it"
    match _is_bid_on(action, goals):
        case True:
            return "primary, and bidding learns from it"
        case False:
            return "primary, but its goal is no account default: only campaigns that choose it learn from it"
        case None:
            return "primary; whether its goal is an account default is not shown"


def _name(action: ConversionAction) -> str:
    """What people call it, with its category."""
    name = action.name[:_LONGEST_NAME]
    category = member_name(action.category).lower().replace("_", " ")
    return f"“{name}” ({category})" if name and name.isprintable() else f"{action.id} ({category})"


def _names(expected: Sequence[Expectation]) -> str:
    return ", ".join(dict.fromkeys(each.conversion for each in expected))


_UploadStatus = OfflineConversionDiagnosticStatusEnum.OfflineConversionDiagnosticStatus
_VERDICTS = {
    _UploadStatus.EXCELLENT: CheckVerdict.VERIFIED,
    _UploadStatus.GOOD: CheckVerdict.VERIFIED,
    _UploadStatus.NEEDS_ATTENTION: CheckVerdict.FAILED,
    _UploadStatus.NO_RECENT_UPLOAD: CheckVerdict.VERIFIED,
}
_WORDS = {
    _UploadStatus.EXCELLENT: "excellent",
    _UploadStatus.GOOD: "good",
    _UploadStatus.NEEDS_ATTENTION: "needs attention",
    _UploadStatus.NO_RECENT_UPLOAD: "nothing uploaded for 28 days",
}
_FIELDS = (
    "client",
    "status",
    "total_event_count",
    "successful_event_count",
    "pending_event_count",
    "last_upload_date_time",
    "alerts",
)


@dataclass(frozen=True, slots=True)
class UploadSummary:
    """One of the two summaries: how to ask for it, and what a row of it says."""

    subject: str
    query: str
    finding: Callable[[GoogleAdsRow], CheckFinding]


def _of_client(row: GoogleAdsRow) -> CheckFinding:
    summary = row.offline_conversion_upload_client_summary
    return _finding(f"uploads by {member_name(summary.client)}", summary)


def _of_action(row: GoogleAdsRow) -> CheckFinding:
    summary = row.offline_conversion_upload_conversion_action_summary
    subject = f"uploads to conversion action {summary.conversion_action_id} by {member_name(summary.client)}"
    return _finding(subject, summary)


def _finding(
    subject: str, summary: OfflineConversionUploadClientSummary | OfflineConversionUploadConversionActionSummary
) -> CheckFinding:
    said = (
        f"{_WORDS.get(summary.status, member_name(summary.status))}: {summary.successful_event_count} of"
        f" {summary.total_event_count} recorded, {summary.pending_event_count} not yet decided, last upload"
        f" {summary.last_upload_date_time or 'unknown'} (the account's time)"
    )
    alerts = ", ".join(_alert(alert) for alert in summary.alerts)
    verdict = _VERDICTS.get(summary.status, CheckVerdict.UNREADABLE)
    return CheckFinding(subject, verdict, said, f"see why some were refused: {alerts}" if alerts else "")


def _alert(alert: OfflineConversionAlert) -> str:
    """An error's code and its share of the last day with uploads."""
    error = OfflineConversionError.pb(alert.error)
    family = error.WhichOneof("error_code")
    if family is None:
        return f"an error this release does not know {alert.error_percentage:.0%}"
    number = getattr(error, family)
    member = error.DESCRIPTOR.fields_by_name[family].enum_type.values_by_number.get(number)
    return f"{member.name if member else f'{family.upper()}_{number}'} {alert.error_percentage:.0%}"


def _query(resource: str, *more: str) -> str:
    fields = ", ".join(f"{resource}.{field}" for field in (*more, *_FIELDS))
    return f"SELECT {fields} FROM {resource}"  # noqa: S608 - no SQL, and all of it is written in this file


CLIENT = UploadSummary("uploads", _query("offline_conversion_upload_client_summary"), _of_client)
"""Of all uploads, by kind of client."""

ACTION = UploadSummary(
    "uploads by conversion action",
    _query("offline_conversion_upload_conversion_action_summary", "conversion_action_id"),
    _of_action,
)
"""Of the uploads to each conversion action, by kind of client."""
