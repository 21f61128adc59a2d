"""The Google Ads API: conversions are uploaded, and its answer says what became of each."""
