"""The website and its visitors, for every test here."""

from tests.website import browser, site, visitor

__all__ = ["browser", "site", "visitor"]
