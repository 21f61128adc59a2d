"""The sandbox's Data Manager API."""
