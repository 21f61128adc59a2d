"""Sends what is due and records the receipts."""
