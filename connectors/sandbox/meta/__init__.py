"""Meta's Conversions API as the sandbox plays it."""
