"""Builds connectors from settings; the only package that names them."""
