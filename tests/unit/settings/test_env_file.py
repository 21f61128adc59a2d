"""Variables are read from the `.env` beside the settings when the environment lacks them, and are never shown."""

import os

import pytest

from jobs.settings import InvalidSettings, ValidSettings, load
from jobs.settings.references import SecretReferenceResolver, read_env_file


@pytest.fixture
def env_file(tmp_path):
    """Write the file, readable by its owner only unless a mode is given."""

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
def test_parses_a_line_as_a_shell_would(env_file, tmp_path, line, value):
    """Nothing is expanded, and a later line overrides an earlier one."""
    env_file(f"# a comment\n\n{line}\n" if not line.startswith("\ufeff") else line)
    found = read_env_file(tmp_path)

    assert {"TOKEN": value} == found.values
    assert () == found.unclear_lines
    assert "tok" not in repr(found)


@pytest.mark.parametrize(
    "line", ["tok-1", "TOKEN", 'TOKEN="tok-1', "TOKEN='tok-1' tok-2", "1TOKEN=tok", "TO-KEN=tok-1"]
)
def test_an_unclear_line_is_reported_by_number_only(env_file, tmp_path, line):
    """The line may hold half a secret, so its text is never shown."""
    path = env_file(f"# a comment\n{line}\nOTHER=x\n")
    found = read_env_file(tmp_path)

    assert {"OTHER": "x"} == found.values
    (warning,) = found.warnings
    assert f"{path}:2: this line is not read" in warning
    assert "tok" not in warning.replace(str(path), "")


@pytest.mark.parametrize(("mode", "is_shared"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_warns_when_others_may_read_the_file(env_file, tmp_path, mode, is_shared):
    """The warning gives the `chmod` command to type."""
    path = env_file("TOKEN=tok-1\n", mode)
    warnings = list(read_env_file(tmp_path).warnings)

    assert is_shared == bool(warnings)
    assert all(f"chmod 600 {path}" in warning for warning in warnings)
    spaced = tmp_path / "mes réglages"
    spaced.mkdir()
    path.rename(spaced / path.name)
    assert all(each.endswith(f"chmod 600 '{spaced / path.name}'") for each in read_env_file(spaced).warnings)


def test_settings_take_missing_variables_from_the_env_file(loaded, env_file):
    """Only the variables that the settings name and the environment lacks are reported, by name."""
    env_file("TOKEN_BESIDE=tok-filed\nUNUSED=tok-unused\nMETA_ACCESS_TOKEN=tok-filed-too\n")
    answer = loaded(oplead="{ token: '${TOKEN_BESIDE}' }", notify="['${NOTIFY_URL}']")

    assert isinstance(answer, ValidSettings)
    assert "tok-filed" == answer.settings.oplead.token.get_secret_value()
    assert ("TOKEN_BESIDE",) == answer.env_file.taken
    assert "tok-" not in repr(answer)


def test_the_environment_overrides_the_env_file(loaded, env_file):
    """An exported variable is a deliberate choice."""
    env_file("OPLEAD_TOKEN=tok-filed\n")
    answer = loaded()

    assert "tok-5a1d" == answer.settings.oplead.token.get_secret_value()
    assert () == answer.env_file.taken


@pytest.mark.parametrize(("exported", "filed"), [("tok-1", ""), ("", "tok-1"), (" ", "tok-1")])
def test_an_empty_line_hides_no_value(env_file, tmp_path, exported, filed):
    """`.env.example` is copied with its lines empty, and a shell may export a name without a value."""
    env_file(f"TOKEN={filed}\n")
    references = SecretReferenceResolver({"TOKEN": exported}, tmp_path, read_env_file(tmp_path))

    assert "tok-1" == references.secret("${TOKEN}")
    assert (("TOKEN",) if filed else ()) == references.used_env_file(["${TOKEN}"]).taken


def message(answer):
    """The message of the only problem found."""
    assert isinstance(answer, InvalidSettings)
    (problem,) = answer.problems
    return problem.message


def test_a_missing_variable_comes_with_the_line_to_add(loaded, env_file, tmp_path):
    """The advice depends on whether the file exists and what it holds."""
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
def test_an_unreadable_env_file_matters_only_if_needed(loaded, env_file, content):
    """A service gets its environment from systemd and may not be able to read the file itself."""
    env_file(content)

    assert isinstance(loaded(), ValidSettings)
    assert "; fix that, or type  export TOKEN_BESIDE=…" in message(loaded(oplead="{ token: '${TOKEN_BESIDE}' }"))


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_does_not_wait_for_an_env_path_that_is_no_file(loaded, tmp_path, make):
    """Virtual environments are often named `.env`, and password managers put a pipe there."""
    make(tmp_path / ".env")

    assert isinstance(loaded(), ValidSettings)
    assert ".env is not a plain file" in message(loaded(oplead="{ token: '${TOKEN_BESIDE}' }"))


def test_missing_settings_are_reported_even_in_a_missing_folder(tmp_path):
    """Looking for a `.env` there does not hide the message."""
    assert "the file does not exist" in message(load(tmp_path / "nowhere" / "pipeline.yaml", {}))


def test_a_variable_without_a_value_is_not_said_to_be_read(tmp_path):
    """Whoever reads its name would take it for set."""
    (tmp_path / ".env").write_text("FULL=secret\nEMPTY=\n")
    resolver = SecretReferenceResolver({}, tmp_path, read_env_file(tmp_path))

    assert ("FULL",) == resolver.used_env_file(["${FULL}", "${EMPTY}"]).taken
