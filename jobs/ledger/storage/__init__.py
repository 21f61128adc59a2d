"""Where an account's ledger lies: its file, its migrations and its copies."""
