"""Where an account may reach, where its ledger lies, and whose clock it may obey."""

import pytest

LOCAL = {
    "clock": "http://127.0.0.1:8001",
    "oplead": "{ token: '${OPLEAD_TOKEN}', base_url: 'http://127.0.0.1:8002' }",
    "google_ads": "{ customer_id: 1234567890, credentials: key.json, endpoint: 'http://localhost:8003', "
    "ads_api_endpoint: 'http://localhost:8005' }",
}
NOT_LOCAL = "clock: a sandbox's clock is for local servers only, and these are not on this machine"
TOKENS = "http://127.0.0.1:8004/token"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://api.oplead.com", "plain http is for this machine only (127.0.0.1, localhost); write https://"),
        ("http://localhost.evil.example", "plain http is for this machine only (127.0.0.1, localhost); write https://"),
        ("http://127.0.0.1@evil.example", "plain http is for this machine only (127.0.0.1, localhost); write https://"),
        ("http://0.0.0.0", "plain http is for this machine only (127.0.0.1, localhost); write https://"),
        ("https://user:tok-5a1d@api.oplead.com", "an address carries no user name or password; take them out"),
        ("https://api.oplead.com?key=1", "an address ends before any ? or #; take out what follows"),
        ("ftp://api.oplead.com", "write an address as https://host"),
        ("api.oplead.com", "write an address as https://host"),
        ("file:///etc/passwd", "write an address as https://host"),
    ],
)
def test_an_address_that_would_leak_is_refused(complaints, address, message):
    """Plain text leaves this machine nowhere, and no address carries a secret."""
    oplead = f"{{ token: '${{OPLEAD_TOKEN}}', base_url: '{address}' }}"

    assert [f"oplead.base_url: {message}"] == complaints(oplead=oplead)


@pytest.mark.parametrize(
    "address", ["https://api.oplead.com", "http://127.0.0.9:80", "http://[::1]:8", "http://localhost"]
)
def test_https_and_this_machine_are_accepted(complaints, address):
    """Anything by https, plain http on loopback."""
    assert [] == complaints(oplead=f"{{ token: '${{OPLEAD_TOKEN}}', base_url: '{address}' }}")


def test_a_sandboxs_clock_rules_where_every_remote_is_local(complaints, key_file):
    """The rehearsal: every address, the key file's token address among them, is on this machine."""
    key_file(token_uri=TOKENS)

    assert [] == complaints(**LOCAL)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"clock": "https://clock.example"}, "clock"),
        ({"oplead": "{ token: '${OPLEAD_TOKEN}' }"}, "oplead.base_url"),
        ({"google_ads": LOCAL["google_ads"].replace("endpoint: 'http://localhost:8003', ", "")}, "google_ads.endpoint"),
        ({"google_ads": "[" + LOCAL["google_ads"].partition(", ads_api")[0] + " }]"}, "google_ads.0.ads_api_endpoint"),
        ({"meta": "{ dataset_id: 1, access_token: '${META_ACCESS_TOKEN}' }"}, "meta.graph_url"),
    ],
)
def test_a_sandboxs_clock_never_reaches_a_real_platform(complaints, key_file, change, named):
    """One remote of the real world, by default or as written, and the clock is refused by its name."""
    key_file(token_uri=TOKENS)

    assert [f"{NOT_LOCAL}: {named}"] == complaints(**(LOCAL | change))


def test_the_token_address_in_the_key_file_counts_as_a_remote(complaints):
    """Google's own token endpoint would see false times too."""
    assert [f"{NOT_LOCAL}: token_uri in the key file of google_ads.credentials"] == complaints(**LOCAL)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("postgresql://db/ledger", "PostgreSQL is not available yet; write sqlite:///path/to/file.db"),
        ("ledger.db", "write sqlite:/// and the path of a file, as sqlite:///state/account.db"),
        ("sqlite:///", "write sqlite:/// and the path of a file, as sqlite:///state/account.db"),
        ("sqlite:///state/", "write sqlite:/// and the path of a file, as sqlite:///state/account.db"),
        ("'sqlite:///:memory:'", "the ledger is a plain file: take :memory:, ?, # and % out of its path"),
        ("sqlite:///a.db?mode=ro", "the ledger is a plain file: take :memory:, ?, # and % out of its path"),
    ],
)
def test_the_ledger_is_a_file_of_this_machine(complaints, state, message):
    """Anything else is refused with what to write."""
    assert [f"state: {message}"] == complaints(state=state)
