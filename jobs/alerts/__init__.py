"""Finds what needs a human, and sends notices about it."""
