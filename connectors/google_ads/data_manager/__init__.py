"""Google's Data Manager API: ingest conversions, then poll for their outcomes."""
