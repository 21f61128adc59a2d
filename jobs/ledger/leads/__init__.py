"""What the ledger knows of leads: their facts, labels and histories, and since when they count."""
