"""The sandbox's Meta Conversions API."""
