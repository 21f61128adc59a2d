"""Commands about one lead: `explain`, `inspect`, `forget` and `export-person`."""
