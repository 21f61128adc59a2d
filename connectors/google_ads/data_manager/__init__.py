"""Google's Data Manager API: conversions are handed in, and what became of them is asked later."""
