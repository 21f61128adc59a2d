"""Receives Oplead's webhooks into an inbox of their own, which the next run reads."""
