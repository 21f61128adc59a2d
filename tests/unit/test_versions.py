"""The API versions in use, and when they end."""

from datetime import date, timedelta

import pytest
from google.ads.googleads.client import _VALID_API_VERSIONS

from connectors.google_ads import platform as google
from connectors.google_ads.ads_api.client import VERSION
from connectors.meta import encode as meta
from connectors.meta.sink import MetaOptions, MetaSink
from jobs.settings.schema import MetaSettings, NotificationThresholds


def test_each_version_end_belongs_to_the_version_in_use():
    """After an upgrade the old version's end would otherwise be reported."""
    graph = MetaOptions.__dataclass_fields__["version"].default

    assert f"Google Ads API {VERSION}" == google.ADS_API.version.name
    assert f"Graph API {graph}" == meta.META.version.name
    assert google.DATA_MANAGER.version is None


def test_every_version_in_the_library_has_an_end_date():
    """Any of them may be configured next."""
    assert set(_VALID_API_VERSIONS) == google.ADS_API_VERSIONS.keys()


@pytest.mark.parametrize(
    ("version", "month"), [("v23", (2027, 2)), ("v24", (2027, 5)), ("v25", (2027, 8)), ("v26", (2027, 11))]
)
def test_an_end_known_by_month_is_its_first_day(version, month):
    """The months are those of https://developers.google.com/google-ads/api/docs/sunset-dates."""
    assert date(*month, 1) == google.ADS_API_VERSIONS[version].ends_on


def test_default_of_metas_version_setting_is_the_tested_version():
    """It alone is played through by the tests."""
    assert MetaSettings.model_fields["api_version"].default == meta.VERSION


@pytest.mark.parametrize(
    ("version", "ends_on"), [("v25.0", date(2027, 2, 23)), ("v26.0", date(2027, 8, 3)), ("v99.0", None)]
)
def test_end_that_is_told_is_that_of_the_version_in_the_settings(version, ends_on):
    """Nothing is said of a version whose end nobody knows."""
    found = MetaSink(MetaOptions("1", "token", version=version)).limits.version

    assert ends_on == (found and found.ends_on)


def test_an_end_is_told_120_days_ahead():
    """Long enough to plan an upgrade."""
    assert timedelta(days=120) == NotificationThresholds().ends_within


def test_an_unannounced_end_is_marked_as_an_estimate():
    """Meta announces it with the next version."""
    assert meta.GRAPH_API_VERSIONS[meta.VERSION].is_estimate


def test_metas_version_ends_on_the_marketing_api_schedule():
    """About a year after its release on 2026-07-29; Graph's own two years do not hold for conversions."""
    assert timedelta(days=365) < meta.GRAPH_API_VERSIONS[meta.VERSION].ends_on - date(2026, 7, 29) < timedelta(days=400)
