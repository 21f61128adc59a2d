"""The state of one account in SQLite: what was read, what was sent, and where everything stands."""
