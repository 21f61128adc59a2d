"""`.env` beside the settings is read where the environment says nothing, and never shown."""

import os

import pytest

from jobs.settings import Invalid, Valid, load
from jobs.settings.references import read_env_file


@pytest.fixture
def env_file(tmp_path):
    """Write the file, for its owner alone unless told otherwise."""

    def write(text, mode=0o600):
        path = tmp_path / ".env"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    return write


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("TOKEN=tok-1", "tok-1"),
        ("export TOKEN=tok-1", "tok-1"),
        ("  TOKEN = tok-1  ", "tok-1"),
        ("TOKEN=tok-1 # the client admin's", "tok-1"),
        ("TOKEN=tok#1", "tok#1"),
        ("TOKEN='tok $1 #x'  # said", "tok $1 #x"),
        ('TOKEN="tok \\"1\\" \\$x \\\\ #"', 'tok "1" $x \\ #'),
        ("TOKEN=", ""),
        ("TOKEN= # nothing", ""),
        ("TOKEN=a=b?c&d", "a=b?c&d"),
        ("TOKEN=${OTHER}", "${OTHER}"),
        ("\ufeffTOKEN=tok-1\r\n", "tok-1"),
        ("TOKEN=first\nTOKEN=second", "second"),
    ],
)
def test_a_line_gives_its_value(env_file, tmp_path, line, value):
    """As a shell reads it, but that nothing is expanded; a later line counts."""
    env_file(f"# a comment\n\n{line}\n" if not line.startswith("\ufeff") else line)
    found = read_env_file(tmp_path)

    assert {"TOKEN": value} == found.values
    assert () == found.unclear_lines
    assert "tok" not in repr(found)


@pytest.mark.parametrize(
    "line", ["tok-1", "TOKEN", 'TOKEN="tok-1', "TOKEN='tok-1' tok-2", "1TOKEN=tok", "TO-KEN=tok-1"]
)
def test_an_unclear_line_is_named_and_not_shown(env_file, tmp_path, line):
    """By its number: what stands there may be half a secret."""
    path = env_file(f"# a comment\n{line}\nOTHER=x\n")
    found = read_env_file(tmp_path)

    assert {"OTHER": "x"} == found.values
    (warning,) = found.warnings
    assert f"{path}:2: this line is not read" in warning
    assert "tok" not in warning.replace(str(path), "")


@pytest.mark.parametrize(("mode", "is_shared"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_file_that_others_may_read_is_told(env_file, tmp_path, mode, is_shared):
    """With what to type."""
    path = env_file("TOKEN=tok-1\n", mode)
    warnings = list(read_env_file(tmp_path).warnings)

    assert is_shared == bool(warnings)
    assert all(f"chmod 600 {path}" in warning for warning in warnings)


def test_the_settings_take_a_variable_from_it(loaded, env_file):
    """Only those that they name and the environment lacks are told, by name."""
    env_file("TOKEN_BESIDE=tok-filed\nUNUSED=tok-unused\nMETA_ACCESS_TOKEN=tok-filed-too\n")
    answer = loaded(oplead="{ token: '${TOKEN_BESIDE}' }", notify="['${NOTIFY_URL}']")

    assert isinstance(answer, Valid)
    assert "tok-filed" == answer.settings.oplead.token.get_secret_value()
    assert ("TOKEN_BESIDE",) == answer.env_file.taken
    assert "tok-" not in repr(answer)


def test_the_environment_wins(loaded, env_file):
    """Whoever exports a variable means it."""
    env_file("OPLEAD_TOKEN=tok-filed\n")
    answer = loaded()

    assert "tok-5a1d" == answer.settings.oplead.token.get_secret_value()
    assert () == answer.env_file.taken


def message(answer):
    """What is said of the one thing that is wrong."""
    assert isinstance(answer, Invalid)
    (problem,) = answer.problems
    return problem.message


def test_a_missing_variable_comes_with_the_line_to_type(loaded, env_file, tmp_path):
    """Where it goes, and how it is written; what stands in the file decides which."""
    path = tmp_path / ".env"
    missing = {"oplead": "{ token: '${TOKEN_BESIDE}' }"}
    assert (
        "the environment variable TOKEN_BESIDE is not set: write the line  TOKEN_BESIDE=…  into "
        f"{path}, or type  export TOKEN_BESIDE=…"
    ) == message(loaded(**missing))

    env_file("OTHER=tok-1\n")
    assert message(loaded(**missing)).endswith(f"neither is it in {path}; add the line  TOKEN_BESIDE=…")

    env_file("TOKEN_BESIDE=\n")
    assert f"TOKEN_BESIDE in {path} is empty; put the secret there" == message(loaded(**missing))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 300_000])
def test_a_file_that_cannot_be_read_is_told_only_where_it_is_missed(loaded, env_file, content):
    """A service gets its environment from systemd, and may not read the file itself."""
    env_file(content)

    assert isinstance(loaded(), Valid)
    assert "; fix that, or type  export TOKEN_BESIDE=…" in message(loaded(oplead="{ token: '${TOKEN_BESIDE}' }"))


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_plain_file_is_not_waited_for(loaded, tmp_path, make):
    """Virtual environments are called so, too, and password managers put a pipe there."""
    make(tmp_path / ".env")

    assert isinstance(loaded(), Valid)
    assert ".env is not a plain file" in message(loaded(oplead="{ token: '${TOKEN_BESIDE}' }"))


def test_settings_that_are_not_there_are_told_as_before(tmp_path):
    """Whatever folder they should be in."""
    assert "the file does not exist" == message(load(tmp_path / "nowhere" / "pipeline.yaml", {}))
