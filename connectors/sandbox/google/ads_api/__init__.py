"""The Google Ads API as the sandbox plays it."""
