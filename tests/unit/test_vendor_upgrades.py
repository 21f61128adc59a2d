"""What a new release of a vendor's library brings fails here by name, until somebody says what it means to us."""

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


def test_members_of_error_families_that_share_one_class_are_those_that_were_read():
    """Read the new ones in the release notes; move what differs out of its family's class; then write the new text."""
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
def test_what_google_may_answer_to_a_look_up_is_what_check_live_has_words_for(enum, expected):
    """A member nobody has words for would be shown by its name."""
    assert set(expected.split()) | {"UNKNOWN", "UNSPECIFIED"} == set(members(enum).split())


def test_the_one_type_of_action_that_takes_imported_clicks_is_still_there():
    """Any other is told of as wrong, by its name."""
    assert "UPLOAD_CLICKS" in members(ConversionActionTypeEnum.ConversionActionType).split()


def test_meta_is_spoken_to_in_the_version_its_library_is_made_for():
    """Meta ends versions; an upgrade of the library is the moment to follow."""
    assert MetaOptions("1", "token").version == ads_api_config["API_VERSION"]


def test_meta_knows_the_action_sources_that_the_settings_offer():
    """And no new one that they should."""
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
