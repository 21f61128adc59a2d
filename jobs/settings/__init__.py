"""What marketing's YAML says: its shape, how it is read, and what it means for a run."""
