"""The Google Ads API: conversions are uploaded, and its answer tells what became of each."""
