"""Reads what changed in Oplead into the ledger."""
