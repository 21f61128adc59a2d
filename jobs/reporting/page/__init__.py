"""The page that marketing reads: its facts, read from the ledger, and how they are shown."""
