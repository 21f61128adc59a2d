"""Ledger migrations, applied when a state is opened for writing."""
