"""The Google Ads API: upload conversions, with every row's outcome in the answer."""
