"""Commands that report: `report`, `values` and `notify`."""
