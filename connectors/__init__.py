"""Adapters to the outside world, one package per platform, behind the Protocols in `ports`; no decisions here."""
