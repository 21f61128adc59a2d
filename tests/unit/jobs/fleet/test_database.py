"""Where the fleet's database is, and that its password is shown nowhere."""

import pytest

from jobs.exit_codes import UsageError
from jobs.fleet.database import FleetDatabaseError, find_database
from tests.postgresql import server

URL = "postgresql://fleet:s3cret-word@db.example/fleet"


@pytest.mark.parametrize(
    ("written", "environ"),
    [
        (None, {"OPLEAD_SYNC_DATABASE": URL}),
        (None, {"OPLEAD_SYNC_DATABASE_FILE": "database"}),
        ("file:database", {"OPLEAD_SYNC_DATABASE": "postgresql://other/"}),
        ("${FLEET}", {"FLEET": URL}),
    ],
)
def test_address_is_found_as_secrets_are(tmp_path, written, environ):
    """In the environment, or in a file; what is typed comes first."""
    (tmp_path / "database").write_text(f"{URL}\n")

    assert find_database(written, environ, tmp_path).url == URL


def test_address_may_stand_in_env_file(tmp_path):
    """As the secrets of settings may."""
    (tmp_path / ".env").write_text(f"OPLEAD_SYNC_DATABASE={URL}\n")

    assert find_database(None, {}, tmp_path).url == URL


def test_address_without_a_password_may_be_typed(tmp_path):
    """It holds no secret."""
    assert find_database("postgresql://db/fleet", {}, tmp_path).url == "postgresql://db/fleet"


@pytest.mark.parametrize(
    ("written", "environ", "why"),
    [
        (URL, {}, "everyone on this machine can read a password that is typed"),
        (None, {}, "OPLEAD_SYNC_DATABASE is not set"),
        (None, {"OPLEAD_SYNC_DATABASE": "postgresql//fleet:s3cret-word@db"}, "this is no address of a database"),
        (
            None,
            {"OPLEAD_SYNC_DATABASE": "postgresql://db/fleet?password=s3cret-word"},
            "its password must stand before",
        ),
        ("s3cret-word", {}, "a secret must not stand in this file"),
    ],
)
def test_address_that_cannot_be_used_is_refused_without_showing_it(tmp_path, written, environ, why):
    """The message says what to write."""
    with pytest.raises(UsageError) as refused:
        find_database(written, environ, tmp_path)

    assert why in str(refused.value)
    assert "s3cret-word" not in str(refused.value)


def test_password_is_neither_in_errors_nor_in_representations(tmp_path):
    """Even where the server refuses."""
    with server().database() as url:
        database = find_database("${D}", {"D": url.replace("/test_", "/no_such_")}, tmp_path)
        with pytest.raises(FleetDatabaseError) as refused, database.connect():
            pass

    assert "does not exist" in str(refused.value)
    assert "s3cret-word" not in f"{refused.value} {database!r}"
    assert "s3cret-word" in list(database.secrets)
