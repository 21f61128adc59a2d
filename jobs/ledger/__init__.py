"""An account's state in SQLite: the leads read, the conversions sent, and their delivery states."""
