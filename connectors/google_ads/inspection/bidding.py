"""Which conversion actions bidding learns from, and whether one lead would teach it twice.

An action is bid on where it is primary and its goal is one of the account's defaults; a campaign may choose otherwise:
https://developers.google.com/google-ads/api/docs/conversions/goals/overview
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from google.ads.googleads.v26.enums.types import (
    ConversionActionCategoryEnum,
    ConversionActionCountingTypeEnum,
    ConversionActionStatusEnum,
)
from google.ads.googleads.v26.resources.types import ConversionAction, CustomerConversionGoal

from connectors.google_ads.inspection.enums import member_name
from connectors.plurals import counted
from connectors.records import Expectation, Finding, Verdict

GOALS_QUERY = (
    "SELECT customer_conversion_goal.category, customer_conversion_goal.origin, customer_conversion_goal.biddable"
    " FROM customer_conversion_goal"
)
"""https://developers.google.com/google-ads/api/docs/conversions/goals/customer-goals"""

Goals = Mapping[tuple[int, int], bool]
"""Whether the goal of a category and an origin is one of the account's defaults."""
_Category = ConversionActionCategoryEnum.ConversionActionCategory
_Counting = ConversionActionCountingTypeEnum.ConversionActionCountingType
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


def standing(action: ConversionAction, conversions: Sequence[str], goals: Goals | None) -> Finding:
    """What an action is to Google: primary or not, bid on or not, how it counts, of which category and window."""
    days = action.click_through_lookback_window_days
    said = [
        _bidding(action, goals),
        _COUNTS.get(action.counting_type, "how it counts is not shown"),
        f"clicks count for {counted(days, 'day')}" if days else "its click window is not shown",
    ]
    named = f"{_name(action)}, for {', '.join(conversions)}: {'; '.join(said)}"
    verdict = Verdict.UNREADABLE if _is_bid_on(action, goals) is None else Verdict.VERIFIED
    return Finding(f"conversion action {action.id}", verdict, named, is_notable=True)


def bidding_findings(
    actions: Iterable[ConversionAction], ours: Mapping[str, Sequence[Expectation]], goals: Goals | None
) -> Iterator[Finding]:
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
        yield Finding("bidding", Verdict.DOUBTFUL, "it learns from none of these conversions", advice)
    elif steering and len(steering) + len(others) > 1:
        named = [f"{_names(ours[str(one.id)])} {_name(one)}" for one in steering]
        named += [f"{_name(one)}, which is not sent from here" for one in others]
        said = f"it learns from several actions in which one lead can count: {'; '.join(named)}"
        yield Finding("bidding", Verdict.DOUBTFUL, said, _ONE)


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
