"""Whom a connection trusts to vouch for the other end."""

import ssl


def authorities(url: str) -> ssl.SSLContext | bool:
    """The usual ones; for plain text, which shows no certificate, nobody: reading their list outlasts a request."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.lower().startswith("http://") else True
