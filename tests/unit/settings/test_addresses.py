"""Addresses that an account may reach, where its ledger may lie, and when a sandbox's clock is allowed."""

from pathlib import Path

import pytest

from jobs.database_address import split_database_address
from jobs.settings.load import load, read_state_address
from jobs.settings.references import HOW_TO_REFER

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
    """Plain text never leaves this machine, and no address carries a secret."""
    oplead = f"{{ token: '${{OPLEAD_TOKEN}}', base_url: '{address}' }}"

    assert [f"oplead.base_url: {message}"] == complaints(oplead=oplead)


@pytest.mark.parametrize(
    "address", ["https://api.oplead.com", "http://127.0.0.9:80", "http://[::1]:8", "http://localhost"]
)
def test_https_and_loopback_http_are_accepted(complaints, address):
    """HTTPS may go anywhere, plain HTTP only to the loopback interface."""
    assert [] == complaints(oplead=f"{{ token: '${{OPLEAD_TOKEN}}', base_url: '{address}' }}")


def test_a_sandbox_clock_is_accepted_when_every_address_is_local(complaints, key_file):
    """This is the rehearsal; the token address in the key file counts too."""
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
def test_a_sandbox_clock_is_refused_beside_a_real_platform(complaints, key_file, change, named):
    """One remote address is enough, whether written or by default, and the problem names it."""
    key_file(token_uri=TOKENS)

    assert [f"{NOT_LOCAL}: {named}"] == complaints(**(LOCAL | change))


@pytest.mark.parametrize("version", ["26", "'26.0'", "v26", "v26.1", "latest", "v26.0/me"])
def test_a_version_of_metas_api_has_the_form_of_one(complaints, version):
    """It becomes a part of every address."""
    (said,) = complaints(meta=f"{{ dataset_id: 1, access_token: '${{META_ACCESS_TOKEN}}', api_version: {version} }}")

    assert said.startswith("meta.api_version: ")


def test_a_remote_token_address_rules_out_a_sandbox_clock(complaints):
    """The key file holds it; Google's own token endpoint would receive false times too."""
    assert [f"{NOT_LOCAL}: token_uri in the key file of google_ads.credentials"] == complaints(**LOCAL)


WRITE_AN_ADDRESS = (
    "write sqlite:/// and the path of a file, as sqlite:///state/account.db; of a PostgreSQL database, the variable "
    "that holds its address, as ${OPLEAD_SYNC_DATABASE}"
)


@pytest.mark.parametrize("name", ["pipeline.yaml", ".env"])
def test_a_state_on_the_settings_themselves_is_refused(complaints, tmp_path, name):
    """It would be written over them."""
    told = f"state: {tmp_path.resolve() / name} holds settings, not a state: write the path of a file of its own"

    assert [told] == complaints(state=f"sqlite:///{name}")


@pytest.mark.parametrize("secrets", [True, False])
def test_no_state_lies_by_default_where_none_may_be_named(secrets):
    """Beside settings that lie with the system's files; what to write is said."""
    text = "account: maison\ncurrency: EUR\nconversions: []\n"
    (found,) = [
        each.message
        for each in load(Path("/etc/oplead/maison.yaml"), {}, secrets=secrets, text=text).problems
        if "/etc" in each.message
    ]

    assert "none can be at /etc/oplead/maison.db; write  state: sqlite:///PATH" in found


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("ledger.db", WRITE_AN_ADDRESS),
        ("sqlite:///", WRITE_AN_ADDRESS),
        ("sqlite:///state/", WRITE_AN_ADDRESS),
        ("'sqlite:///:memory:'", "the ledger is a plain file: take :memory:, ?, # and % out of its path"),
        (
            "postgresql://fleet:s3cret@db/fleet",
            f"a password must not be written out here: {HOW_TO_REFER}",
        ),
        ("'${OPLEAD_TOKEN}'", "this is no address of a PostgreSQL database; it begins with postgresql://"),
        ("sqlite:////dev/null", "no state can be at /dev/null: write the path of a file of its own"),
        ("sqlite:////etc/oplead.db", "no state can be at /etc/oplead.db: write the path of a file of its own"),
        ("sqlite:///a.db?mode=ro", "the ledger is a plain file: take :memory:, ?, # and % out of its path"),
    ],
)
def test_an_address_that_names_no_state_is_refused(complaints, state, message):
    """The message says what to write."""
    assert [f"state: {message}"] == complaints(state=state)


HIDDEN = [
    "postgresql://fleet@db/fleet?password=s3cret",
    "postgresql://fleet@db/fleet?sslmode=require&SSLPASSWORD=s3cret",
    "postgresql://fleet:s3@cret@db/fleet",
    "postgresql://fleet:s3/cret@db/fleet",
    "postgresql://fleet:s3?cret@db/fleet",
    "postgresql://fleet:s3#cret@db/fleet",
    "postgresql://fleet:s3[cret@db/fleet",
    "postgresql://fleet:s3\u2100cret@db/fleet",
]
"""Addresses of which one reader or another takes a part of the password for something else, and shows it."""


@pytest.mark.parametrize("address", HIDDEN)
def test_a_password_that_not_everybody_sees_is_refused(address):
    """Without showing any of it."""
    with pytest.raises(
        ValueError, match=r"^its (password must stand before the host|user or password holds)"
    ) as caught:
        split_database_address(address)

    assert [] == [part for part in ("s3", "cret", "fleet:") if part in str(caught.value)]


def test_a_hidden_password_is_refused_where_the_address_is_found(tmp_path):
    """In the environment as in the settings."""
    with pytest.raises(ValueError, match="user or password holds `@`"):
        read_state_address("${DATABASE}", tmp_path / "a.yaml", "a", {"DATABASE": HIDDEN[2]})


def test_a_password_is_redacted_as_it_is_written_and_as_it_is_meant(tmp_path):
    """An address has to escape what a driver then quotes as it is."""
    url = "postgresql://fleet:s3%40cret@db/fleet"
    address = read_state_address("${DATABASE}", tmp_path / "a.yaml", "a", {"DATABASE": url})

    assert {url, "s3%40cret", "s3@cret"} == set(address.secrets)
