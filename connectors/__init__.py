"""Knows the outside world, decides nothing: one folder a platform, behind the Protocols of `ports`."""
