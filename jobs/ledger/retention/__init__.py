"""How leads leave the ledger, and the monthly sums that stay."""
