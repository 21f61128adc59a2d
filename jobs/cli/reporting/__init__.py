"""Commands that report: `status`, `report`, `values` and `notify`."""
