"""Who vouches for the other end of a connection."""

import ssl

import pytest

from connectors.http import authorities


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "HTTP://localhost"])
def test_plain_text_trusts_nobody(url):
    """No certificate is shown; should one be after all, nobody has vouched for it."""
    found = authorities(url)

    assert (0, ssl.CERT_REQUIRED, True) == (
        found.cert_store_stats()["x509_ca"],
        found.verify_mode,
        found.check_hostname,
    )


@pytest.mark.parametrize("url", ["https://api.oplead.com", "https://localhost:8443", "HTTPS://api.oplead.com"])
def test_anything_else_trusts_the_usual_authorities(url):
    """As the library does where it is told nothing (https://www.python-httpx.org/advanced/ssl/)."""
    assert authorities(url) is True
