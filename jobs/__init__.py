"""Decides and runs: the nightly processing of leads, and the ledger that records it."""
