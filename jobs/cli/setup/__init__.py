"""Commands for settings: `init`, `probe` and `check`."""
