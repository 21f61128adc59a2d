"""Decides and runs: what a night does with the leads, and the ledger that remembers it."""
