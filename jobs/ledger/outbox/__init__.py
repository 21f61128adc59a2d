"""Deliveries on their way: their states, requests, receipts, corrections and the consent they rest on."""
