"""Which authorities vouch for the other end of a connection."""

import ssl

import pytest

from connectors.http import certificate_authorities


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "HTTP://localhost"])
def test_plain_http_trusts_no_authority(url):
    """No certificate is expected, and one shown anyway would not be accepted."""
    found = certificate_authorities(url)

    assert (0, ssl.CERT_REQUIRED, True) == (
        found.cert_store_stats()["x509_ca"],
        found.verify_mode,
        found.check_hostname,
    )


@pytest.mark.parametrize("url", ["https://api.oplead.com", "https://localhost:8443", "HTTPS://api.oplead.com"])
def test_https_trusts_the_default_authorities(url):
    """This is the library's own default (https://www.python-httpx.org/advanced/ssl/)."""
    assert certificate_authorities(url) is True
