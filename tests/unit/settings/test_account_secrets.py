"""In a fleet, an account's settings reach its own secrets, and those that the owner lists for all."""

import json

import pytest

from jobs.settings import InvalidSettings, load
from jobs.settings.account_secrets import secrets_prefix

SETTINGS = """
account: acme
currency: EUR
oplead: { token: "%s" }
stages: { won: Gagné, lost: Perdu }
consent: { ad_user_data: { field: leadData.consent, granted: oui, refused: non } }
google_ads: { customer_id: 123-456-7890, credentials: "%s" }
conversions: [{ id: sale, stage: won, google_ads: { conversion_action: 12 } }]
"""
KEY = {"type": "service_account", "client_email": "x", "private_key": "x", "token_uri": "https://oauth2.example/token"}
ELSEWHERE = {"OPLEAD_SYNC_SECRETS_FOLDER": "elsewhere"}
OWN = ("${ACME__TOKEN}", "acme/key.json")
SECRETS = {
    "ACME__TOKEN": "tok-own",
    "ACME_LYON__TOKEN": "tok-other",
    "TOKEN": "tok-of-all",
    "OPLEAD_SYNC_SHARED_SECRETS": "TOKEN, OPLEAD_SYNC_DATABASE",
    "OPLEAD_SYNC_DATABASE": "tok-database",
}


@pytest.fixture
def refused(tmp_path):
    """Loads settings with a token and a key file that they name; the problems, without their place."""
    for folder in ("acme", "acme-lyon", "shared"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "key.json").write_text(json.dumps(KEY), encoding="utf-8")
        (tmp_path / folder / "token").write_text("tok-file", encoding="utf-8")

    def refuse(token=OWN[0], key=OWN[1], environ=None, **options):
        known = {name: value for name, value in (SECRETS | (environ or {})).items() if value is not None}
        found = load(tmp_path / "acme.yaml", known, text=SETTINGS % (token, key), in_fleet=True, **options)
        return [each.message for each in found.problems] if isinstance(found, InvalidSettings) else []

    return refuse


@pytest.mark.parametrize("secrets", [True, False], ids=["at work", "when added"])
@pytest.mark.parametrize(
    "named",
    [
        pytest.param({"token": "${ACME_LYON__TOKEN}"}, id="a variable of another"),
        pytest.param({"token": "${PATH}"}, id="a variable of nobody"),
        pytest.param({"token": "file:acme-lyon/token"}, id="a file of another"),
        pytest.param({"token": "file:acme/../acme-lyon/token"}, id="a file of another by way of its own folder"),
        pytest.param({"token": "file:/etc/hostname"}, id="a file of the machine"),
        pytest.param({"key": "acme-lyon/key.json"}, id="a key of another"),
        pytest.param({"key": "file:acme-lyon/key.json"}, id="a key of another as a file"),
        pytest.param({"key": "${ACME_LYON__KEY}"}, id="a variable with a key of another"),
    ],
)
def test_secret_of_another_account_is_refused(refused, named, secrets):
    """With a `base_url` of one's own, it would go to a stranger; the message says what to write."""
    (message,) = refused(**named, secrets=secrets)

    assert "this account may name variables that begin with ACME__ and files in" in message
    assert "list it in OPLEAD_SYNC_SHARED_SECRETS" in message
    assert "tok-" not in message


def test_own_secrets_and_shared_ones_are_found(refused, tmp_path):
    """Those that the owner lists for all, by name or path; a variable of the account's may name any key file."""
    shared = str(tmp_path / "shared" / "token")

    assert [] == refused()
    assert [] == refused("${TOKEN}")
    assert [] == refused(environ={"OPLEAD_SYNC_SECRETS_FOLDER": f"{tmp_path}/shared/.."})
    assert [] == refused("file:acme/token", "${ACME__KEY}", {"ACME__KEY": "shared/key.json"})
    assert [] == refused(f"file:{shared}", environ={"OPLEAD_SYNC_SHARED_SECRETS": shared})
    assert [] == refused(f"file:{shared}", environ={"OPLEAD_SYNC_SHARED_SECRETS": f"X,{shared}"}, secrets=False)
    assert [] == refused("file:elsewhere/acme/token", "elsewhere/acme/k.json", ELSEWHERE, secrets=False)
    assert 1 == len(refused(environ=ELSEWHERE))


def test_what_is_shared_may_stand_beside_the_settings(refused, tmp_path):
    """Where a worker's other secrets stand, too; the environment wins."""
    (tmp_path / ".env").write_text("OPLEAD_SYNC_SHARED_SECRETS=BESIDE\nBESIDE=tok-beside\n", encoding="utf-8")

    assert [] == refused("${BESIDE}", environ={"OPLEAD_SYNC_SHARED_SECRETS": None})
    assert 1 == len(refused("${BESIDE}"))


def test_program_s_own_variables_are_shared_with_no_account(refused):
    """Whatever the owner lists."""
    (message,) = refused("${OPLEAD_SYNC_DATABASE}")

    assert "only `state` may refer" in message


@pytest.mark.parametrize(
    ("account", "prefix"),
    [
        ("acme", "ACME__"),
        ("acme-lyon", "ACME_LYON__"),
        ("acme--lyon_", "ACME_LYON__"),
        ("7eme-ciel", "_7EME_CIEL__"),
    ],
)
def test_prefix_follows_from_the_name(account, prefix):
    """A shell can set what begins with it."""
    assert prefix == secrets_prefix(account)


def test_no_prefix_is_the_beginning_of_another_s():
    """Whatever signs are in the names."""
    parts = ("a", "a-a", "a_a", "a--a", "a-", "a__", "aa", "1", "1-a", "a-1")
    prefixes = {secrets_prefix(each) for each in parts}

    assert not [(one, other) for one in prefixes for other in prefixes - {one} if f"{other}X".startswith(one)]
