"""GAQL queries for an account, its conversion actions and uploads, and the findings drawn from the results."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from google.ads.googleads.v26.enums import types as enums
from google.ads.googleads.v26.resources import types as resources

from connectors.google_ads.ads_api.outcomes import api_error_name
from connectors.language import N_, _, _n, join_with_semicolons
from connectors.records import CheckFinding, CheckVerdict, TargetAssumptions
from connectors.stage_words import contradicts, stage_in_words

_Tracking = enums.ConversionTrackingStatusEnum.ConversionTrackingStatus
_Enhanced = enums.EnhancedConversionsConfigEnum.EnhancedConversionsConfig
_Status = enums.ConversionActionStatusEnum.ConversionActionStatus
_Type = enums.ConversionActionTypeEnum.ConversionActionType
_Counting = enums.ConversionActionCountingTypeEnum.ConversionActionCountingType
_Category = enums.ConversionActionCategoryEnum.ConversionActionCategory
_Uploads = enums.OfflineConversionDiagnosticStatusEnum.OfflineConversionDiagnosticStatus


def gaql_query(resource: str, *fields: str) -> str:
    """Return the GAQL for fields of a resource."""
    listed = ", ".join(f"{resource}.{field}" for field in fields)
    return f"SELECT {listed} FROM {resource}"  # noqa: S608 - GAQL, built only from constants in this file


def _finding_for_fact(
    subject: str,
    is_right: bool | None,  # noqa: FBT001 - Google's answer
    *,
    right: str,
    wrong: str,
    advice: str,
    unknown: str,
) -> CheckFinding:
    """Return the finding for a fact; `is_right` is None if Google Ads doesn't report it."""
    if is_right is None:
        return CheckFinding(subject, CheckVerdict.UNREADABLE, unknown)
    if is_right:
        return CheckFinding(subject, CheckVerdict.VERIFIED, right)
    return CheckFinding(subject, CheckVerdict.FAILED, wrong, advice)


def _member_name(member: object) -> str:
    """Return an enum member's name; a value newer than the library is a bare number and stays one."""
    return str(getattr(member, "name", member))


# ── the account ──────────────────────────────────────────────────────────────────────────────────

ACCOUNT_QUERY = gaql_query(
    "customer",
    *("id", "manager", "currency_code", "auto_tagging_enabled"),
    "conversion_tracking_setting.google_ads_conversion_customer",
    "conversion_tracking_setting.conversion_tracking_status",
    "conversion_tracking_setting.accepted_customer_data_terms",
    "conversion_tracking_setting.effective_enablement_setting",
)
"""https://developers.google.com/google-ads/api/fields/v26/customer"""

_TRACKED = {
    _Tracking.NOT_CONVERSION_TRACKED: "",
    _Tracking.CONVERSION_TRACKING_MANAGED_BY_SELF: N_("on, in this account"),
    _Tracking.CONVERSION_TRACKING_MANAGED_BY_THIS_MANAGER: N_("on, by the manager account"),
    _Tracking.CONVERSION_TRACKING_MANAGED_BY_ANOTHER_MANAGER: N_("on, by another manager account"),
}


def customer_account_findings(
    customer: resources.Customer, customer_id: str, expected: Sequence[TargetAssumptions]
) -> Iterator[CheckFinding]:
    """Check owner, tracking, auto-tagging and currency, and if contact data is sent, its terms and settings."""
    setting = customer.conversion_tracking_setting
    owner = setting.google_ads_conversion_customer.rpartition("/")[2]
    yield _finding_for_fact(
        _("owner of the conversion actions of {customer_id}", customer_id=customer_id),
        owner == customer_id if owner else None,
        right=_("this account owns its conversion actions"),
        wrong=_("its conversion actions belong to account {owner}", owner=owner),
        advice=_(
            "write customer_id: {owner}, and as login_customer_id the account that gives the service account access",
            owner=owner,
        ),
        unknown=_("Google Ads does not say which account it is"),
    )
    tracked = _TRACKED.get(setting.conversion_tracking_status)
    yield _finding_for_fact(
        _("conversion tracking"),
        None if tracked is None else bool(tracked),
        right=_(tracked) if tracked else "",
        wrong=_("conversion tracking is off"),
        advice=_("create a conversion action for imports of clicks in Google Ads"),
        unknown=_("Google Ads does not say whether it is on"),
    )
    yield _auto_tagging(customer)
    currency = customer.currency_code
    for sent in sorted({each.currency for each in expected if each.sends_value}):
        yield _finding_for_fact(
            _("currency"),
            sent == currency if currency else None,
            right=_("the account is in {sent}, as amounts are", sent=sent),
            wrong=_("amounts are sent in {sent} and the account is in {currency}", sent=sent, currency=currency),
            advice=_(
                "see that amounts in Oplead are in {sent}; if not, write currency: {currency}",
                sent=sent,
                currency=currency,
            ),
            unknown=_("Google Ads does not say the account's currency"),
        )
    if any(each.sends_contact for each in expected):
        yield _finding_for_fact(
            _("customer data terms"),
            setting.accepted_customer_data_terms if "conversion_tracking_setting" in customer else None,
            right=_("the customer data terms are accepted"),
            wrong=_("the customer data terms are not accepted"),
            advice=_("accept them in the conversion settings of Google Ads, or write contact_data: none"),
            unknown=_("Google Ads does not say whether they are accepted"),
        )
        yield _finding_for_fact(
            _("enhanced conversions for leads"),
            {_Enhanced.ON: True, _Enhanced.OFF: False}.get(setting.effective_enablement_setting),
            right=_("on"),
            wrong=_("enhanced conversions for leads are off"),
            advice=_("turn them on in the conversion settings of Google Ads, or write contact_data: none"),
            unknown=_("Google Ads does not say whether they are on"),
        )


def _auto_tagging(customer: resources.Customer) -> CheckFinding:
    if customer.manager:
        message = _("this is a manager account: auto-tagging is set in each account below it")
        return CheckFinding(_("auto-tagging"), CheckVerdict.UNREADABLE, message, _("see that it is on in each of them"))
    return _finding_for_fact(
        _("auto-tagging"),
        customer.auto_tagging_enabled if "auto_tagging_enabled" in customer else None,
        right=_("on"),
        wrong=_("auto-tagging is off, so that ads' links carry no gclid"),
        advice=_("turn on auto-tagging in the account settings of Google Ads"),
        unknown=_("Google Ads does not say whether it is on"),
    )


# ── conversion actions ───────────────────────────────────────────────────────────────────────────

ACTIONS_QUERY = gaql_query(
    "conversion_action",
    *("id", "name", "type", "status", "category", "origin", "primary_for_goal", "counting_type", "owner_customer"),
    "click_through_lookback_window_days",
    "value_settings.always_use_default_value",
)
"""Selects every action, since actions we don't use may count the same leads.

https://developers.google.com/google-ads/api/fields/v26/conversion_action
"""

_ASSUMED_WINDOW = 90
"""Click window in days assumed if the settings don't give one; the longest Google offers."""
_WINDOW_KEY = "click_window_days"


def action_findings(
    found: resources.ConversionAction | None, action: str, customer_id: str, expected: Sequence[TargetAssumptions]
) -> Iterator[CheckFinding]:
    """Check that one action suits these conversions; `found` is None if the account has no such action."""
    subject = _("conversion action {action}", action=action)
    if found is None:
        advice = _("see its number in its address in Google Ads (ctId), and whether customer_id owns it")
        message = _("account {customer_id} has no such conversion action", customer_id=customer_id)
        yield CheckFinding(subject, CheckVerdict.FAILED, message, advice)
        return
    readiness = _readiness(found, subject, expected[0].target.owner)
    problems = [each for each in readiness if each.verdict is not CheckVerdict.VERIFIED]
    yield from problems or [CheckFinding(subject, CheckVerdict.VERIFIED, _("it is enabled, and takes imported clicks"))]
    for stage in sorted({each.stage for each in expected}):
        if any(contradicts(stage, text) for text in (found.name, _member_name(found.category))):
            message = _(
                "{action} reads as another stage than “{stage}”", action=_name(found), stage=stage_in_words(stage)
            )
            advice = _("see that it is the action meant for this conversion")
            yield CheckFinding(subject, CheckVerdict.DOUBTFUL, message, advice)
    yield _check_counting_type(found, subject, sorted({each.conversion for each in expected}))
    if any(each.sends_value for each in expected):
        values = found.value_settings
        yield _finding_for_fact(
            subject,
            not values.always_use_default_value if "always_use_default_value" in values else None,
            right=_("it counts the value that is sent"),
            wrong=_("it always counts its own default value, not the one that is sent"),
            advice=_("have it use different values for each conversion"),
            unknown=_("Google Ads does not say which value it counts"),
        )
    for window in dict.fromkeys(each.click_window for each in expected):
        yield _check_click_window(found, subject, window)


def _readiness(found: resources.ConversionAction, subject: str, owner: str) -> Iterator[CheckFinding]:
    """Check the type, status and owner that an action needs to accept conversions."""
    yield _finding_for_fact(
        subject,
        {_Type.UPLOAD_CLICKS: True, _Type.UNSPECIFIED: None, _Type.UNKNOWN: None}.get(found.type_, False),
        right=_("it takes imported clicks"),
        wrong=_("it is of type {type}, which takes no imported clicks", type=_member_name(found.type_)),
        advice=_("create one of the kind: import, from clicks, and write its id"),
        unknown=_("Google Ads does not say of which type it is"),
    )
    yield _finding_for_fact(
        subject,
        {_Status.ENABLED: True, _Status.UNSPECIFIED: None, _Status.UNKNOWN: None}.get(found.status, False),
        right=_("it is enabled"),
        wrong=_("it is {status}", status=_member_name(found.status).lower()),
        advice=_("enable it in Google Ads, or write the id of another"),
        unknown=_("Google Ads does not say whether it is enabled"),
    )
    owned_by = found.owner_customer.rpartition("/")[2]
    if owned_by not in ("", owner):
        message = _("it belongs to account {owned_by}", owned_by=owned_by)
        yield CheckFinding(subject, CheckVerdict.FAILED, message, _("write customer_id: {owned_by}", owned_by=owned_by))


def _check_counting_type(found: resources.ConversionAction, subject: str, conversions: Sequence[str]) -> CheckFinding:
    if found.counting_type == _Counting.MANY_PER_CLICK:
        return CheckFinding(subject, CheckVerdict.VERIFIED, _("it counts every conversion of a click"))
    if found.counting_type == _Counting.ONE_PER_CLICK:
        message = _("it counts one conversion per click: it takes none with gbraid or wbraid (iPhones)")
        if len(conversions) > 1:
            first = _("for each click, only the first of {conversions} counts", conversions=", ".join(conversions))
            message = join_with_semicolons((message, first))
        advice = _("have it count every conversion, if those matter to you")
        return CheckFinding(subject, CheckVerdict.VERIFIED, message, advice)
    return CheckFinding(subject, CheckVerdict.UNREADABLE, _("Google Ads does not say how it counts"))


def _check_click_window(found: resources.ConversionAction, subject: str, expected: timedelta | None) -> CheckFinding:
    """Compare the click window in the settings with the action's own.

    https://support.google.com/google-ads/answer/3123169
    """
    days = found.click_through_lookback_window_days
    if not days:
        return CheckFinding(subject, CheckVerdict.UNREADABLE, _("Google Ads does not say its click window"))
    setting = f"{_WINDOW_KEY}: {days}"
    advice = _("write {setting}", setting=setting)
    if expected is None and days == _ASSUMED_WINDOW:
        message = _n(
            "its click window is {count} day, as is taken where the settings do not say",
            "its click window is {count} days, as is taken where the settings do not say",
            days,
        )
        return CheckFinding(subject, CheckVerdict.VERIFIED, message, settles=_WINDOW_KEY)
    if expected is None:
        message = _n(
            "its click window is {count} day, and {assumed} are taken",
            "its click window is {count} days, and {assumed} are taken",
            days,
            assumed=_ASSUMED_WINDOW,
        )
        return CheckFinding(subject, CheckVerdict.DOUBTFUL, message, advice, _WINDOW_KEY)
    if expected == timedelta(days=days):
        message = _n(
            "its click window is {count} day, as in the settings",
            "its click window is {count} days, as in the settings",
            days,
        )
        return CheckFinding(subject, CheckVerdict.VERIFIED, message)
    message = _n(
        "its click window is {count} day, and {expected} in the settings",
        "its click window is {count} days, and {expected} in the settings",
        days,
        expected=expected.days,
    )
    return CheckFinding(subject, CheckVerdict.FAILED, message, advice)


# ── what bidding learns from ─────────────────────────────────────────────────────────────────────

GOALS_QUERY = gaql_query("customer_conversion_goal", "category", "origin", "biddable")
"""https://developers.google.com/google-ads/api/docs/conversions/goals/customer-goals"""

Goals = Mapping[tuple[int, int], bool]
"""Whether a goal is an account default, by category and origin."""
_LEAD_CATEGORIES = {
    _Category.SIGNUP: N_("signup"),
    _Category.PHONE_CALL_LEAD: N_("phone call lead"),
    _Category.IMPORTED_LEAD: N_("imported lead"),
    _Category.SUBMIT_LEAD_FORM: N_("submit lead form"),
    _Category.BOOK_APPOINTMENT: N_("book appointment"),
    _Category.REQUEST_QUOTE: N_("request quote"),
    _Category.CONTACT: N_("contact"),
    _Category.QUALIFIED_LEAD: N_("qualified lead"),
    _Category.CONVERTED_LEAD: N_("converted lead"),
    _Category.MESSAGE_LEAD: N_("message lead"),
}
"""Categories of a lead's journey: another action in one of these counts the same lead as ours."""
_OTHER_CATEGORIES = {_Category.DEFAULT: N_("default"), _Category.PURCHASE: N_("purchase")}
_COUNTS = {
    _Counting.MANY_PER_CLICK: N_("counts every conversion of a click"),
    _Counting.ONE_PER_CLICK: N_("counts one conversion per click"),
}
_COUNTING_UNKNOWN = N_("how it counts is not shown")
_CHOOSE_ONE = N_(
    "Let bidding learn from the one that matters most and make the others secondary in Google Ads (Goals, the action's "
    "settings), or see that each value is only what its step adds."
)
_LONGEST_NAME = 80


def describe_conversion_action(
    action: resources.ConversionAction, conversions: Sequence[str], goals: Goals | None
) -> CheckFinding:
    """Summarise an action: primary or secondary, used for bidding or not, counting, category and click window."""
    days = action.click_through_lookback_window_days
    facts = [
        _bidding_use_of_action(action, goals)[1],
        _(_COUNTS.get(action.counting_type, _COUNTING_UNKNOWN)),
        _n("clicks count for {count} day", "clicks count for {count} days", days)
        if days
        else _("its click window is not shown"),
    ]
    message = _(
        "{action}, for {conversions}: {facts}",
        action=_name(action),
        conversions=", ".join(conversions),
        facts=join_with_semicolons(facts),
    )
    return CheckFinding(_("conversion action {id}", id=action.id), CheckVerdict.VERIFIED, message, is_notable=True)


def bidding_findings(
    actions: Iterable[resources.ConversionAction], ours: Mapping[str, Sequence[TargetAssumptions]], goals: Goals | None
) -> Iterator[CheckFinding]:
    """Warn if bidding learns from several actions that count one lead, or from none of ours.

    Args:
        actions: every action of the account.
        ours: configured targets by action id.
        goals: the account's goals; None if they can't be read.
    """
    enabled = [(one, _bidding_use_of_action(one, goals)[0]) for one in actions if one.status == _Status.ENABLED]
    own = [(one, is_bid_on) for one, is_bid_on in enabled if str(one.id) in ours]
    steering = [one for one, is_bid_on in own if is_bid_on]
    others = [one for one, is_bid_on in enabled if is_bid_on and str(one.id) not in ours]
    others = [one for one in others if one.category in _LEAD_CATEGORIES]
    if own and all(is_bid_on is False for _action, is_bid_on in own):
        advice = _("Make the one that it should learn from primary in Google Ads (Goals, the action's settings).")
        yield CheckFinding(_("bidding"), CheckVerdict.DOUBTFUL, _("it learns from none of these conversions"), advice)
    elif steering and len(steering) + len(others) > 1:
        sent = {one.id: ", ".join(dict.fromkeys(each.conversion for each in ours[str(one.id)])) for one in steering}
        named = [f"{sent[one.id]} {_name(one)}" for one in steering]
        named += [_("{one}, which is not sent from here", one=_name(one)) for one in others]
        message = _(
            "it learns from several actions in which one lead can count: {named}", named=join_with_semicolons(named)
        )
        yield CheckFinding(_("bidding"), CheckVerdict.DOUBTFUL, message, _(_CHOOSE_ONE))


def _bidding_use_of_action(action: resources.ConversionAction, goals: Goals | None) -> tuple[bool | None, str]:
    """Return whether campaigns using the account's goals bid on an action (None if unknown), and a description."""
    if "primary_for_goal" not in action:
        return None, _("Google Ads does not say whether it is primary")
    if not action.primary_for_goal:
        return False, _("secondary, so bidding does not learn from it")
    match (goals or {}).get((action.category, action.origin)):
        case None:
            return None, _("primary; whether its goal is an account default is not shown")
        case False:
            return False, _("primary, but its goal is no account default: only campaigns that choose it learn from it")
        case True:
            return True, _("primary, and bidding learns from it")


def _name(action: resources.ConversionAction) -> str:
    """Return an action's name, or its id if unprintable, with its category."""
    name = action.name[:_LONGEST_NAME]
    named = _LEAD_CATEGORIES | _OTHER_CATEGORIES
    category = _(named.get(action.category) or _member_name(action.category).lower().replace("_", " "))
    if name and name.isprintable():
        return _("“{name}” ({category})", name=name, category=category)
    return f"{action.id} ({category})"


# ── recent uploads ───────────────────────────────────────────────────────────────────────────────

_UPLOAD_FIELDS = (
    *("client", "status", "total_event_count", "successful_event_count", "pending_event_count"),
    *("last_upload_date_time", "alerts"),
)
_BY_ACTION = "offline_conversion_upload_conversion_action_summary"
UPLOADS = {
    N_("uploads"): ("offline_conversion_upload_client_summary", _UPLOAD_FIELDS),
    N_("uploads by conversion action"): (_BY_ACTION, ("conversion_action_id", *_UPLOAD_FIELDS)),
}
"""Summary resources and their fields, both by client type: all uploads, and uploads per conversion action."""
_UPLOAD_STATUSES = {
    _Uploads.EXCELLENT: (CheckVerdict.VERIFIED, N_("excellent")),
    _Uploads.GOOD: (CheckVerdict.VERIFIED, N_("good")),
    _Uploads.NEEDS_ATTENTION: (CheckVerdict.FAILED, N_("needs attention")),
    _Uploads.NO_RECENT_UPLOAD: (CheckVerdict.VERIFIED, N_("nothing uploaded for 28 days")),
}


def upload_finding(
    summary: resources.OfflineConversionUploadClientSummary | resources.OfflineConversionUploadConversionActionSummary,
) -> CheckFinding:
    """Return the finding for one client type's upload summary."""
    client = _member_name(summary.client)
    subject = _("uploads by {client}", client=client)
    if isinstance(summary, resources.OfflineConversionUploadConversionActionSummary):
        subject = _("uploads to conversion action {id} by {client}", id=summary.conversion_action_id, client=client)
    unknown = (CheckVerdict.UNREADABLE, _member_name(summary.status))
    verdict, status = _UPLOAD_STATUSES.get(summary.status, unknown)
    message = _(
        "{status}: {recorded} of {total} recorded, {undecided} not yet decided, last upload {at} (the account's time)",
        status=_(status),
        recorded=summary.successful_event_count,
        total=summary.total_event_count,
        undecided=summary.pending_event_count,
        at=summary.last_upload_date_time or _("unknown"),
    )
    alerts = ", ".join(_alert(alert) for alert in summary.alerts)
    advice = _("see why some were refused: {alerts}", alerts=alerts) if alerts else ""
    return CheckFinding(subject, verdict, message, advice)


def _alert(alert: resources.OfflineConversionAlert) -> str:
    """Format an error code with its share of the last day that had uploads."""
    error = resources.OfflineConversionError.pb(alert.error)
    family = error.WhichOneof("error_code")
    code = api_error_name(error, family) if family else _("an error this release does not know")
    return f"{code} {alert.error_percentage:.0%}"
