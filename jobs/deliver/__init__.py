"""Sends what is due, and records what came back of it."""
