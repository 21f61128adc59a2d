"""Preflight and diagnosis with Google, on both simulated APIs."""

from dataclasses import replace
from datetime import timedelta

import grpc
import pytest
from google.ads.googleads.v26.enums.types import (
    ConversionActionCategoryEnum,
    ConversionActionCountingTypeEnum,
    ConversionActionStatusEnum,
    ConversionActionTypeEnum,
    ConversionOriginEnum,
    ConversionTrackingStatusEnum,
    EnhancedConversionsConfigEnum,
    OfflineConversionDiagnosticStatusEnum,
    OfflineEventUploadClientEnum,
)
from google.ads.googleads.v26.services.types import GoogleAdsRow

from connectors.google_ads.options import GoogleOptions
from connectors.google_ads.preflight import GoogleInspector
from connectors.ports import PlatformInspector
from connectors.records import CheckVerdict, Target, TargetAssumptions
from tests.contract.google_ads.ads_api_server import error, upload_error

CUSTOMER = GoogleAdsRow(
    customer={
        "currency_code": "EUR",
        "auto_tagging_enabled": True,
        "conversion_tracking_setting": {
            "google_ads_conversion_customer": "customers/1234567890",
            "conversion_tracking_status": (
                ConversionTrackingStatusEnum.ConversionTrackingStatus.CONVERSION_TRACKING_MANAGED_BY_SELF
            ),
            "accepted_customer_data_terms": True,
            "effective_enablement_setting": EnhancedConversionsConfigEnum.EnhancedConversionsConfig.ON,
        },
    }
)
_Category = ConversionActionCategoryEnum.ConversionActionCategory
_WEBSITE = ConversionOriginEnum.ConversionOrigin.WEBSITE
ACTION = GoogleAdsRow(
    conversion_action={
        "id": 987654321,
        "name": "Vente signée",
        "category": _Category.CONVERTED_LEAD,
        "origin": _WEBSITE,
        "primary_for_goal": True,
        "type_": ConversionActionTypeEnum.ConversionActionType.UPLOAD_CLICKS,
        "status": ConversionActionStatusEnum.ConversionActionStatus.ENABLED,
        "counting_type": ConversionActionCountingTypeEnum.ConversionActionCountingType.MANY_PER_CLICK,
        "owner_customer": "customers/1234567890",
        "click_through_lookback_window_days": 90,
        "value_settings": {"always_use_default_value": False},
    }
)
GOALS = [
    GoogleAdsRow(customer_conversion_goal={"category": category, "origin": _WEBSITE, "biddable": biddable})
    for category, biddable in ((_Category.CONVERTED_LEAD, True), (_Category.CONTACT, False))
]
SUMMARY = {
    "client": OfflineEventUploadClientEnum.OfflineEventUploadClient.GOOGLE_ADS_API,
    "status": OfflineConversionDiagnosticStatusEnum.OfflineConversionDiagnosticStatus.NEEDS_ATTENTION,
    "total_event_count": 100,
    "successful_event_count": 80,
    "pending_event_count": 5,
    "last_upload_date_time": "2026-11-01 04:10:00",
    "alerts": [{"error": {"conversion_upload_error": 43}, "error_percentage": 0.15}],
}


def _expected(action: str = "987654321") -> TargetAssumptions:
    target = Target("google_ads_api", "1234567890", action, "WEB")
    return TargetAssumptions("sale", target, "EUR", True, True, timedelta(days=90))


@pytest.fixture
def inspector(ads, google):
    """Build an inspector of both APIs, which answer successfully unless a test changes them."""
    google.api.say({})
    ads.api.rows = {"customer": [CUSTOMER], "conversion_action": [ACTION], "customer_conversion_goal": GOALS}

    def made(**changed: object) -> PlatformInspector:
        plain = {
            "customer_id": "1234567890",
            "login_customer_id": "1112223333",
            "key_file": ads.options.key_file,
            "transport": "google_ads_api",
            "ads_api_endpoint": ads.api.url,
            "data_manager_endpoint": google.api.url,
            "timeout": 5.0,
        }
        return GoogleInspector(GoogleOptions(**(plain | changed)))

    return made


def _verdicts(findings):
    return {(each.subject, each.verdict) for each in findings}


def test_verifies_every_part_of_a_good_account(inspector):
    """The key, account, action and both transports are checked."""
    findings = inspector().preflight([_expected()])

    assert {CheckVerdict.VERIFIED} == {each.verdict for each in findings}
    assert {
        "service account key",
        "Google Ads account 1234567890",
        "conversion action 987654321",
        "transport data_manager",
        "transport google_ads_api",
    } <= {each.subject for each in findings}


def test_preflight_changes_nothing(inspector, ads, google):
    """Its two invented conversions are validated only, and everything else is a query."""
    inspector().preflight([_expected()])
    uploads = [call.request.validate_only for call in ads.api.calls if call.method == "upload"]

    assert [True] == uploads
    assert [True] == [b'"validateOnly": true' in call.body for call in google.api.calls]
    assert {("1112223333", "Bearer ya29.invented")} == {
        (call.headers["login-customer-id"], call.headers["authorization"]) for call in ads.api.calls
    }


def test_missing_google_ads_access_does_not_fail_data_manager(inspector, ads):
    """The Data Manager API needs no such access."""
    ads.api.rows = {}
    ads.api.fail(grpc.StatusCode.PERMISSION_DENIED, error("authorization_error", 32))
    findings = inspector(transport="data_manager").preflight([_expected()])

    assert not [each for each in findings if each.verdict is CheckVerdict.FAILED]
    assert {
        ("Google Ads account 1234567890", CheckVerdict.UNREADABLE),
        ("conversion actions", CheckVerdict.UNREADABLE),
        ("transport google_ads_api", CheckVerdict.UNREADABLE),
        ("transport data_manager", CheckVerdict.VERIFIED),
    } <= _verdicts(findings)
    assert "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION" in findings[1].found


@pytest.mark.parametrize(
    ("transport", "verdict"), [("google_ads_api", CheckVerdict.FAILED), ("data_manager", CheckVerdict.VERIFIED)]
)
def test_advises_a_switch_to_data_manager_if_not_allowlisted(inspector, ads, transport, verdict):
    """Not being allowlisted fails only the transport in use."""
    ads.api.fail(grpc.StatusCode.PERMISSION_DENIED, error("not_allowlisted_error", 2))
    (told,) = [
        each
        for each in inspector(transport=transport).preflight([_expected()])
        if each.subject == "transport google_ads_api"
    ]

    assert verdict is told.verdict
    assert ("write transport: data_manager" if verdict is CheckVerdict.FAILED else "") == told.advice


def test_refused_row_verifies_the_transport(inspector, ads):
    """Google cannot know the invented click."""
    ads.api.refuse_rows(upload_error(3, row=0))

    assert ("transport google_ads_api", CheckVerdict.VERIFIED) in _verdicts(inspector().preflight([_expected()]))


@pytest.mark.parametrize("action", ["987654322", "1 OR 1"])
def test_unknown_action_is_failed(inspector, action):
    """Text from the settings never reaches a query unchecked."""
    findings = inspector().preflight([_expected(action)])

    assert (f"conversion action {action}", CheckVerdict.FAILED) in _verdicts(findings)


def test_refused_key_is_the_only_finding(inspector, ads):
    """No other check can run without it."""
    ads.tokens.say({"error": "invalid_grant"}, 400)
    (told,) = inspector().preflight([_expected()])

    assert ("service account key", CheckVerdict.FAILED) == (told.subject, told.verdict)
    assert "invalid_grant" in told.found


def test_unreachable_servers_yield_only_unreadable_findings(inspector, ads, google):
    """No answer is no verdict."""
    ads.api.close()
    google.api.close()
    ads.tokens.say("", 503)
    findings = inspector(timeout=1.0).preflight([_expected()])

    assert {CheckVerdict.UNREADABLE} == {each.verdict for each in findings}


def test_missing_key_file_is_a_finding(inspector, tmp_path):
    """Neither `preflight` nor `check_recent_uploads` raises."""
    inspects = inspector(key_file=tmp_path / "nowhere.json")
    findings = [*inspects.preflight([_expected()]), *inspects.check_recent_uploads()]

    assert [CheckVerdict.FAILED, CheckVerdict.UNREADABLE] == [each.verdict for each in findings]
    assert all("nowhere.json cannot be read" in each.found for each in findings)


def action(number, **changed):
    """A copy of the first action with changes."""
    row = GoogleAdsRow.deserialize(GoogleAdsRow.serialize(ACTION))
    for name, value in {"id": number, "name": f"Action {number}", **changed}.items():
        setattr(row.conversion_action, name, value)
    return row


STANDING = {
    "bid on": ({}, "primary, and bidding learns from it", CheckVerdict.VERIFIED),
    "secondary": (
        {"primary_for_goal": False},
        "secondary, so bidding does not learn from it",
        CheckVerdict.VERIFIED,
    ),
    "of no default goal": (
        {"category": _Category.CONTACT},
        "primary, but its goal is no account default: only campaigns that choose it learn from it",
        CheckVerdict.VERIFIED,
    ),
    "of a goal nobody shows": (
        {"category": _Category.SIGNUP},
        "primary; whether its goal is an account default is not shown",
        CheckVerdict.VERIFIED,
    ),
}


@pytest.mark.parametrize("case", STANDING)
def test_describes_how_bidding_uses_an_action(inspector, ads, case):
    """The finding is always shown, with the counting, category and click window."""
    changed, words, verdict = STANDING[case]
    ads.api.rows["conversion_action"] = [action(987654321, **changed)]
    category = changed.get("category", _Category.CONVERTED_LEAD).name.lower().replace("_", " ")
    (told,) = [each for each in inspector().preflight([_expected()]) if each.is_notable]

    assert ("conversion action 987654321", verdict) == (told.subject, told.verdict)
    counted = "counts every conversion of a click; clicks count for 90 days"
    assert f"“Action 987654321” ({category}), for sale: {words}; {counted}" == told.found


def test_makes_no_claim_about_missing_action_fields(inspector, ads):
    """The field may be absent from an old answer, and the goals unreadable with this access."""
    bare = GoogleAdsRow(conversion_action={"id": 987654321, "status": ACTION.conversion_action.status})
    ads.api.rows |= {"conversion_action": [bare]}
    del ads.api.rows["customer_conversion_goal"]
    ads.api.fail(grpc.StatusCode.PERMISSION_DENIED, error("authorization_error", 2))
    findings = inspector().preflight([_expected()])
    (told,) = [each for each in findings if each.is_notable]

    assert CheckVerdict.VERIFIED is told.verdict
    assert "Google Ads does not say whether it is primary; how it counts is not shown" in told.found
    assert "bidding" not in {each.subject for each in findings}


def bidding(inspector, ads, *others, **changed):
    """The findings about bidding as a whole when the settings send the first action."""
    ads.api.rows["conversion_action"] = [action(987654321, **changed), *others]
    return [each for each in inspector().preflight([_expected()]) if each.subject == "bidding"]


def test_flags_a_form_and_a_sale_that_both_steer_bidding(inspector, ads):
    """The form's action need not be ours; secondary, removed and unrelated actions do not count."""
    form = action(12, category=_Category.SUBMIT_LEAD_FORM)
    goal = GoogleAdsRow(
        customer_conversion_goal={"category": _Category.SUBMIT_LEAD_FORM, "origin": _WEBSITE, "biddable": True}
    )
    ads.api.rows["customer_conversion_goal"] = [*GOALS, goal]
    (told,) = bidding(inspector, ads, form)

    assert CheckVerdict.DOUBTFUL is told.verdict
    assert "sale “Action 987654321” (converted lead); “Action 12” (submit lead form), which is not sent" in told.found
    assert "secondary" in told.advice
    assert [] == bidding(inspector, ads, action(12, category=_Category.SUBMIT_LEAD_FORM, primary_for_goal=False))
    assert [] == bidding(inspector, ads, action(12, category=_Category.PAGE_VIEW))
    removed = ConversionActionStatusEnum.ConversionActionStatus.REMOVED
    assert [] == bidding(inspector, ads, action(12, category=_Category.SUBMIT_LEAD_FORM, status=removed))


def test_flags_two_of_our_actions_that_both_steer_bidding(inspector, ads):
    """An appointment and the subsequent sale count one lead twice."""
    ads.api.rows["conversion_action"] = [action(987654321), action(987654322)]
    expected = [_expected(), replace(_expected("987654322"), conversion="appointment")]
    (told,) = [each for each in inspector().preflight(expected) if each.subject == "bidding"]

    assert CheckVerdict.DOUBTFUL is told.verdict
    assert "sale “Action 987654321” (converted lead); appointment “Action 987654322” (converted lead)" in told.found


def test_flags_conversions_that_bidding_never_learns_from(inspector, ads):
    """Sending them would achieve nothing."""
    (told,) = bidding(inspector, ads, primary_for_goal=False)

    assert (CheckVerdict.DOUBTFUL, "it learns from none of these conversions") == (told.verdict, told.found)


def test_checks_the_account_even_without_conversions(inspector, ads):
    """Nothing is uploaded, as there is no action to use."""
    findings = inspector().preflight([])

    assert ("Google Ads account 1234567890", CheckVerdict.VERIFIED) in _verdicts(findings)
    assert ["search"] == [call.method for call in ads.api.calls]


def test_diagnose_reports_past_uploads_and_their_refusals(inspector, ads):
    """They are grouped by kind of client and by conversion action."""
    ads.api.rows |= {
        "offline_conversion_upload_client_summary": [GoogleAdsRow(offline_conversion_upload_client_summary=SUMMARY)],
        "offline_conversion_upload_conversion_action_summary": [
            GoogleAdsRow(
                offline_conversion_upload_conversion_action_summary=SUMMARY | {"conversion_action_id": 987654321}
            )
        ],
    }
    whole, by_action = inspector().check_recent_uploads()

    assert ("uploads by GOOGLE_ADS_API", CheckVerdict.FAILED) == (whole.subject, whole.verdict)
    assert "needs attention: 80 of 100 recorded, 5 not yet decided, last upload 2026-11-01 04:10:00" in whole.found
    assert "see why some were refused: EXPIRED_EVENT 15%" == whole.advice
    assert "uploads to conversion action 987654321 by GOOGLE_ADS_API" == by_action.subject


def test_diagnose_allows_for_summaries_without_data_manager_uploads(inspector, ads):
    """Google Ads summaries may not include them, so their absence is not a failure."""
    ads.api.rows = {"offline_conversion_upload_client_summary": []}
    ads.api.fail(grpc.StatusCode.PERMISSION_DENIED, error("authorization_error", 2))
    findings = inspector(transport="data_manager").check_recent_uploads()

    assert CheckVerdict.FAILED not in {each.verdict for each in findings}
    assert CheckVerdict.UNREADABLE is findings[-1].verdict
    assert "may not be among them" in findings[-1].found
    assert 3 == len(findings)
