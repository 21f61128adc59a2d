"""`forgotten:` is warned of where a backup of the state would bring it back too."""

import pytest
from pydantic import SecretStr

from jobs.settings.apart import notes_on_forgotten_place
from jobs.settings.types import StateDatabaseAddress, StateFile


@pytest.fixture
def notes(loaded, tmp_path):
    """Return the notes on a place in a folder of its own, for a state that lies elsewhere."""
    settings = loaded().settings.model_copy(update={"forgotten": tmp_path / "place" / "account.forgotten"})
    return lambda state: notes_on_forgotten_place(
        tmp_path / "pipeline.yaml", settings.model_copy(update={"state": state})
    )


@pytest.mark.parametrize("server", ["localhost", "127.0.0.1", "[::1]", "", "?host=/var/run/postgresql"])
def test_place_on_the_server_of_the_state_is_noted(notes, tmp_path, server):
    """A database on this machine, by whatever address, lies with every file on it."""
    address, _, query = server.partition("?")
    url = f"postgresql://fleet@{address}/fleet{'?' * bool(query)}{query}"
    (note,) = notes(StateDatabaseAddress(SecretStr(url), tmp_path))

    assert "lies with the state" in note.message


def test_place_apart_from_a_database_elsewhere_is_right(notes, tmp_path):
    """Nothing else can be known of another machine."""
    assert () == notes(StateDatabaseAddress(SecretStr("postgresql://fleet@db.example.com/fleet"), tmp_path))


@pytest.mark.parametrize("folder", ["place", "elsewhere"])
def test_place_beside_a_state_or_on_its_disk_is_noted(notes, tmp_path, folder):
    """Another folder of the same disk is in the same backup of a machine."""
    for name in ("place", "elsewhere"):
        (tmp_path / name).mkdir()

    assert 1 == len(notes(StateFile(tmp_path / folder / "account.db")))
