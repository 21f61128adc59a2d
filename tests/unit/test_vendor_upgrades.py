"""A new release of a vendor's library fails here by name until its additions are handled."""

import hashlib

import pytest
from facebook_business.adobjects.serverside.action_source import ActionSource
from facebook_business.apiconfig import ads_api_config
from google.ads.googleads.v26.enums.types import (
    ConversionActionCountingTypeEnum,
    ConversionActionStatusEnum,
    ConversionActionTypeEnum,
    ConversionTrackingStatusEnum,
    EnhancedConversionsConfigEnum,
    OfflineConversionDiagnosticStatusEnum,
)
from google.ads.googleads.v26.errors.types import ErrorCode

from connectors.google_ads.ads_api.outcomes import DEFAULTS
from connectors.meta.sink import MetaOptions

EXPECTED_COUNT, EXPECTED_NAMES = 2336, "bee7fbd2101f61ef"
FAMILIES = ErrorCode.pb(ErrorCode()).DESCRIPTOR.fields


def members(enum):
    """The names of an enum's members, in order."""
    return " ".join(sorted(member.name for member in enum))


def fingerprint(names):
    """A short text that changes with any of the names."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]


def test_error_families_with_one_class_have_no_unread_members():
    """Read new ones in the release notes, move those that differ out of their class, then update the fingerprint."""
    names = [
        f"{field.name}.{value.name}" for field in FAMILIES if field.name in DEFAULTS for value in field.enum_type.values
    ]

    assert (EXPECTED_COUNT, EXPECTED_NAMES) == (len(names), fingerprint(names))


@pytest.mark.parametrize(
    ("enum", "expected"),
    [
        (ConversionActionCountingTypeEnum.ConversionActionCountingType, "MANY_PER_CLICK ONE_PER_CLICK"),
        (ConversionActionStatusEnum.ConversionActionStatus, "ENABLED HIDDEN REMOVED"),
        (
            ConversionTrackingStatusEnum.ConversionTrackingStatus,
            "NOT_CONVERSION_TRACKED "
            + " ".join(f"CONVERSION_TRACKING_MANAGED_BY_{who}" for who in ("SELF", "THIS_MANAGER", "ANOTHER_MANAGER")),
        ),
        (EnhancedConversionsConfigEnum.EnhancedConversionsConfig, "OFF ON"),
        (
            OfflineConversionDiagnosticStatusEnum.OfflineConversionDiagnosticStatus,
            "EXCELLENT GOOD NEEDS_ATTENTION NO_RECENT_UPLOAD",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_google_ads_enums_have_no_members_without_a_message(enum, expected):
    """`check --live` would show any other member by its bare name."""
    assert set(expected.split()) | {"UNKNOWN", "UNSPECIFIED"} == set(members(enum).split())


def test_the_upload_clicks_action_type_still_exists():
    """It alone takes imported clicks; any other type is reported as wrong, by name."""
    assert "UPLOAD_CLICKS" in members(ConversionActionTypeEnum.ConversionActionType).split()


def test_the_graph_api_version_matches_metas_library():
    """Meta ends versions; an upgrade of the library is the moment to follow."""
    assert MetaOptions("1", "token").version == ads_api_config["API_VERSION"]


def test_metas_action_sources_are_unchanged():
    """Any new one should be offered by the settings too."""
    assert {
        "app",
        "business_messaging",
        "chat",
        "email",
        "other",
        "phone_call",
        "physical_store",
        "system_generated",
        "website",
    } == {source.value for source in ActionSource}
