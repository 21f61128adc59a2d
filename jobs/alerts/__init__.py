"""Finds what needs a human, and tells one."""
