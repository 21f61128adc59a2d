"""The sandbox's Google Ads API."""
