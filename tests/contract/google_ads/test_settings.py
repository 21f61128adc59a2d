"""Settings that a sink rejects when it is created."""

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.errors import Misconfigured
from connectors.google_ads.data_manager.sink import DataManagerSink
from connectors.google_ads.options import GoogleOptions
from connectors.records import OutcomeClass


def test_missing_key_file_is_named(google, tmp_path):
    """Operators see which file is missing."""
    with pytest.raises(Misconfigured, match=r"nowhere\.json cannot be read: No such file"):
        google.use(key_file=tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        "{}",
        '{"type": "authorized_user"}',
        '{"client_email": "a", "private_key": "PEM-SECRET"}',
    ],
)
def test_rejects_an_invalid_key_file_without_quoting_it(google, tmp_path, text):
    """Even a malformed key file may hold a secret."""
    path = tmp_path / "odd.json"
    path.write_text(text)

    with pytest.raises(Misconfigured, match=r"odd\.json is not the JSON key file") as raised:
        google.use(key_file=path)

    assert "SECRET" not in str(raised.value)


def test_rejects_a_broken_private_key(google):
    """The error comes at startup instead of during the night."""
    with pytest.raises(Misconfigured, match="is not the JSON key file"):
        google.use(key_file=google.key_file("https://oauth2.example/token", private_key="-----BEGIN nothing"))


FORM = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def test_a_key_with_damaged_numbers_is_refused_before_anything_is_sent(google):
    """Checking the numbers is slow, so it waits until the key is to sign: a night that sends nothing does without."""
    sound = rsa.generate_private_key(public_exponent=65537, key_size=1024).private_numbers()  # noqa: S505 - guards nothing
    numbers = rsa.RSAPrivateNumbers(
        sound.p, sound.q, sound.d - 2, sound.dmp1, sound.dmq1, sound.iqmp, sound.public_numbers
    )
    damaged = numbers.private_key(unsafe_skip_rsa_key_validation=True)
    google.use(
        key_file=google.key_file("https://oauth2.example/token", private_key=damaged.private_bytes(*FORM).decode())
    )

    outcome = google.submit().outcome
    assert (OutcomeClass.FIX_CONFIG, "invalid_private_key") == (outcome.kind, outcome.code)
    assert [] == google.api.calls


def test_the_numbers_of_a_key_are_checked_once(google, monkeypatch):
    """A process that works on many accounts of an agency uses its key for all of them; each other key is checked."""
    loaded = []

    def load(written, password, *, unsafe_skip_rsa_key_validation):
        loaded.append((written, unsafe_skip_rsa_key_validation))
        return serialization.load_pem_private_key(written, password)

    monkeypatch.setattr("connectors.google_ads.auth.load_pem_private_key", load)
    one, other = (
        rsa.generate_private_key(public_exponent=65537, key_size=1024).private_bytes(*FORM)  # noqa: S505 - guards nothing
        for _ in range(2)
    )
    for written in (one, one, other, one):
        google.use(key_file=google.key_file("https://oauth2.example/token", private_key=written.decode()))
        assert google.sink._account._credentials.signer is not None

    assert [(one, False), (one, True), (other, False), (one, True)] == loaded


@pytest.mark.parametrize("token_uri", ["http://tokens.example/token", "tokens.example", "", 5])
def test_rejects_a_plain_text_token_server(google, token_uri):
    """A signed assertion never leaves this machine unencrypted."""
    with pytest.raises(Misconfigured, match=r"key\.json: token_uri must be an https address"):
        google.use(key_file=google.key_file(token_uri))


@pytest.mark.parametrize("endpoint", ["http://datamanager.example", "http://127.0.0.1.example", "ftp://127.0.0.1", ""])
def test_rejects_a_plain_text_endpoint(google, endpoint):
    """Plain HTTP is allowed for this machine only."""
    with pytest.raises(Misconfigured, match="the Data Manager endpoint must be an https address"):
        google.use(data_manager_endpoint=endpoint)


@pytest.mark.parametrize("endpoint", ["https://datamanager.example/", "http://localhost:8080", "http://[::1]:8080"])
def test_accepts_https_and_loopback_endpoints(google, endpoint):
    """A trailing slash is harmless."""
    google.use(data_manager_endpoint=endpoint)


def test_reprs_show_no_key_or_token(google):
    """The options, sink and account are covered."""
    google.submit()
    account = google.sink._account
    shown = repr((google.options, google.sink, account, account.token()))

    assert "ya29" not in shown
    assert json.loads(google.options.key_file.read_text())["private_key"][40:80] not in shown


def test_endpoint_defaults_to_google(tmp_path):
    """Only a rehearsal sets another endpoint."""
    options = GoogleOptions("1234567890", None, tmp_path / "key.json")

    assert ("https://datamanager.googleapis.com", 120.0) == (options.data_manager_endpoint, options.timeout)
    with pytest.raises(Misconfigured):
        DataManagerSink(options)
