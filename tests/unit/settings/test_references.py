"""Secrets and key files are referred to, never written into the settings, and never shown."""

import json
import re

import pytest

from jobs.settings import InvalidSettings, ValidSettings, load
from jobs.settings.references import SecretReferenceResolver

GOOGLE = "{ customer_id: 1234567890, credentials: '%s' }"


@pytest.fixture
def references(tmp_path):
    """References relative to a folder with a few files in it."""
    (tmp_path / "token").write_text("tok-file\n", encoding="utf-8")
    (tmp_path / "empty").write_text(" \n", encoding="utf-8")
    (tmp_path / "long").write_bytes(b"x" * 70_000)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    return SecretReferenceResolver({"TOKEN": "tok-variable ", "EMPTY": "", "ODD": "tok é"}, tmp_path)


@pytest.mark.parametrize(
    ("written", "secret"),
    [("${TOKEN}", "tok-variable"), (" ${TOKEN} ", "tok-variable"), ("file:token", "tok-file")],
)
def test_a_reference_resolves_to_its_secret(references, written, secret):
    """It names a variable or a file, and surrounding white space is stripped."""
    assert secret == references.secret(written)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("tok-literal", "a secret must not stand in this file"),
        ("Bearer ${TOKEN}", "a secret must not stand in this file"),
        ("${MISSING}", "the environment variable MISSING is not set"),
        ("${EMPTY}", "the environment variable EMPTY is empty"),
        ("${ODD}", "the environment variable ODD holds spaces, line breaks or accents"),
        ("file:absent", "the file named here does not exist"),
        ("file:.", "the file named here is not a plain file"),
        ("file:empty", "the file named here is empty"),
        ("file:long", "the file named here is too long"),
        ("file:binary", "the file named here holds spaces, line breaks or accents"),
        ("file:" + "x" * 5_000, "the file named here cannot be read (File name too long)"),
        ("file:a\0b", "the file named here does not exist"),
    ],
)
def test_an_unusable_reference_is_refused_without_showing_it(references, written, message):
    """The message says what to do and repeats nothing of a literal or of the value found."""
    with pytest.raises(ValueError, match=re.escape(message)) as refusal:
        references.secret(written)

    assert "tok" not in str(refusal.value)


@pytest.mark.parametrize("secrets", [True, False])
@pytest.mark.parametrize("place", ["oplead", "notify", "webhooks", "google_ads", "meta"])
def test_the_programs_own_variables_are_for_state_alone(complaints, place, secrets):
    """With a `base_url` of one's own, a token would send the database's address to a stranger."""
    own = "'${OPLEAD_SYNC_DATABASE}'"
    written = {
        "oplead": f"{{ base_url: https://stranger.example, token: {own} }}",
        "notify": f"[{own}]",
        "webhooks": f"{{ secret: {own} }}",
        "google_ads": f"{{ customer_id: 1234567890, credentials: {own} }}",
        "meta": f"{{ dataset_id: '123', access_token: {own} }}",
    }[place]

    assert any("only `state` may refer" in line for line in complaints(secrets=secrets, **{place: written}))


def test_settings_and_references_never_show_a_secret(loaded, references):
    """Neither printing nor dumping the settings shows a token."""
    answer = loaded(notify="['${NOTIFY_URL}']", ping="'${PING_URL}'")

    assert isinstance(answer, ValidSettings)
    assert "tok-5a1d" == answer.settings.oplead.token.get_secret_value()
    for shown in (repr(answer), str(answer.settings), answer.settings.model_dump_json(), repr(references)):
        assert "tok-" not in shown


def test_the_key_file_path_may_be_relative_or_a_variable(loaded, key_file, tmp_path):
    """A relative path starts at the settings file's folder."""
    assert tmp_path / "key.json" == loaded(google_ads=GOOGLE % "key.json").settings.google_ads[0].credentials

    text = (tmp_path / "pipeline.yaml").read_text(encoding="utf-8").replace("key.json", "${KEY}")
    (tmp_path / "pipeline.yaml").write_text(text, encoding="utf-8")
    answer = load(tmp_path / "pipeline.yaml", {"OPLEAD_TOKEN": "t", "KEY": str(key_file())})

    assert tmp_path / "key.json" == answer.settings.google_ads[0].credentials


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"type": "authorized_user"}, 'the key file is not a service account\'s: its "type" must be "service_account"'),
        ({"private_key": ""}, 'the key file has no "private_key"; download a new key of the service account'),
        ({"client_email": None}, 'the key file has no "client_email"; download a new key of the service account'),
        (
            {"token_uri": "http://tokens.example/token"},
            'the key file\'s "token_uri" must be an https address (http only on this machine)',
        ),
    ],
)
def test_an_unusable_key_file_is_refused_when_settings_load(complaints, key_file, fields, message):
    """Otherwise Google's library would only fail at night."""
    key_file(**fields)

    assert [f"google_ads.credentials: {message}"] == complaints()


def test_a_local_token_address_is_accepted(complaints, key_file):
    """A local server may stand in for Google's token endpoint."""
    key_file(token_uri="http://127.0.0.1:9/token")

    assert [] == complaints()


@pytest.mark.parametrize("content", ["", "[]", "not json", "[" * 60_000, '"text"'])
def test_a_file_that_is_no_key_file_is_refused(complaints, key_file, content):
    """The answer is the same whatever the file holds."""
    key_file().write_text(content, encoding="utf-8")

    assert ["google_ads.credentials: the key file is not the JSON file that Google gives for a service account"] == (
        complaints()
    )


def test_a_key_file_that_is_too_long_is_refused(complaints, key_file):
    """It is never read whole."""
    key_file().write_text(" " * 70_000, encoding="utf-8")

    assert ["google_ads.credentials: the key file is too long"] == complaints()


def test_a_key_given_instead_of_its_path_is_not_shown(tmp_path, loaded):
    """A variable that holds the key itself is a common mistake."""
    loaded(google_ads=GOOGLE % "${KEY}")
    key = json.dumps({"private_key": "-----BEGIN PRIVATE KEY-----abc"})

    answer = load(tmp_path / "pipeline.yaml", {"OPLEAD_TOKEN": "t", "KEY": key})

    assert isinstance(answer, InvalidSettings)
    assert [
        "the environment variable KEY must be the path of the key file, not what the file holds",
    ] == [problem.message for problem in answer.problems]
