"""The sandbox's Google: the token endpoint, the Data Manager API and the Google Ads API."""
