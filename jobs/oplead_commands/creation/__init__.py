"""Leads that we create: what one is, the outbox that remembers it, and how each is created once."""
