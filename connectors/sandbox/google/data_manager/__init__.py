"""The Data Manager API as the sandbox plays it."""
