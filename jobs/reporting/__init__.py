"""Renders results for people, as sentences and tables, and as JSON."""
