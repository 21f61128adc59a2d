"""Files of leads to create: read and validated whole, created, reported."""
