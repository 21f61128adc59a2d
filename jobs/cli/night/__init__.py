"""Commands that send: `run`, `schedule`, and what a person approves."""
