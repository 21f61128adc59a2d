"""Commands about one lead: `explain`, `forget` and `export-person`."""
