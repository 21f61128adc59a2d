"""The documentation page of the sandbox, and the specification it loads."""
