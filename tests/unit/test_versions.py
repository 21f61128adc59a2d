"""The versions of platforms' interfaces that are spoken, and when those end."""

from datetime import date, timedelta

import pytest
from google.ads.googleads.client import _VALID_API_VERSIONS

from connectors.google_ads import platform as google
from connectors.google_ads.ads_api.client import VERSION
from connectors.meta import encode as meta
from connectors.meta.sink import MetaOptions


def test_the_end_told_is_that_of_the_version_spoken():
    """A new version without its end would be told by the old one's."""
    graph = MetaOptions.__dataclass_fields__["version"].default

    assert f"Google Ads API {VERSION}" == google.ADS_API.version.name
    assert f"Graph API {graph}" == meta.META.version.name
    assert google.DATA_MANAGER.version is None


def test_every_version_in_the_library_has_its_end():
    """Whichever is written next."""
    assert set(_VALID_API_VERSIONS) == google.ADS_API_VERSIONS.keys()


@pytest.mark.parametrize(
    ("version", "month"), [("v23", (2027, 2)), ("v24", (2027, 5)), ("v25", (2027, 8)), ("v26", (2027, 11))]
)
def test_an_end_of_which_the_month_is_known_is_its_first_day(version, month):
    """As https://developers.google.com/google-ads/api/docs/sunset-dates names it."""
    assert date(*month, 1) == google.ADS_API_VERSIONS[version].ends_on


def test_an_end_that_nobody_has_named_is_marked_as_an_estimate():
    """Meta names it when the next version is there."""
    assert meta.GRAPH_API.is_estimate


def test_metas_version_ends_by_the_marketing_apis_schedule():
    """About a year after it came out on 2026-07-29; Graph's own two years do not hold for conversions."""
    assert timedelta(days=365) < meta.GRAPH_API.ends_on - date(2026, 7, 29) < timedelta(days=400)
