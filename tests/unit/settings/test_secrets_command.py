"""A secret that is in no variable may come from a command of the operator's."""

import json
import os
import shlex
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from jobs.account.files import load_account
from jobs.cli.setup.check import check_settings_files
from jobs.exit_codes import Exit, UsageError
from jobs.settings import InvalidSettings, ValidSettings, load, secrets_command
from jobs.settings.load import load_partial
from jobs.settings.references import EnvFile, SecretReferenceResolver
from jobs.settings.secrets_command import VARIABLE, SecretsCommandFailedError

PATH = {"PATH": os.defpath}


def command(*words):
    """An environment that names a command."""
    return PATH | {VARIABLE: shlex.join(map(str, words))}


def python(code):
    """An environment whose command runs this code; the reference's name is its last argument."""
    return command(sys.executable, "-c", f"import os, sys, time\n{code}")


def secret(environ, folder, **more):
    """What a reference to the secret TOKEN comes to."""
    return SecretReferenceResolver(environ, folder, **more).secret("${TOKEN}")


def test_command_is_asked_for_a_name_and_its_last_line_break_is_left_out(tmp_path):
    """The name is one argument, after those that are written."""
    environ = python("print(f'tok-{sys.argv[1:]}'.replace(' ', ''))")
    environ[VARIABLE] += " 'of prod'"

    assert "tok-['ofprod','TOKEN']" == secret(environ, tmp_path)


def test_no_shell_is_between(tmp_path):
    """Nothing in the command or the name is expanded."""
    assert "$HOME;TOKEN" == secret(command("printf", "%s;%s", "$HOME"), tmp_path)


def test_environment_and_env_file_come_first(tmp_path):
    """The command is for what is nowhere else."""
    environ = command("false")

    assert "tok-1" == secret(environ | {"TOKEN": "tok-1"}, tmp_path)
    assert "tok-2" == secret(environ, tmp_path, env_file=EnvFile(tmp_path / ".env", {"TOKEN": "tok-2"}))


def test_an_empty_variable_is_nowhere(tmp_path):
    """As in a copied `.env.example` that nobody filled in."""
    empty = EnvFile(tmp_path / ".env", {"TOKEN": ""})

    assert "tok-3" == secret(python("print('tok-3')") | {"TOKEN": ""}, tmp_path, env_file=empty)


def test_env_file_names_no_command(tmp_path):
    """Who may edit settings may not for that reason run programs."""
    env_file = EnvFile(tmp_path / ".env", command("echo", "tok"))

    with pytest.raises(ValueError, match="TOKEN is not set"):
        secret(PATH, tmp_path, env_file=env_file)


def test_each_name_is_asked_for_once(tmp_path):
    """A vault is not asked again for each place that refers to it."""
    references = SecretReferenceResolver(
        python(f"open({str(tmp_path / 'log')!r}, 'a').write('x'); print('tok')"), tmp_path
    )

    assert ["tok"] * 3 == [references.secret("${TOKEN}") for _ in range(3)]
    assert "x" == (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (python("print('tok'); sys.stderr.write('tok'); sys.exit(7)"), "asked for TOKEN, the command ended with 7"),
        (python("print('tok-' * 50_000)"), "asked for TOKEN, the command printed too much"),
        (python("print('tok', flush=True); time.sleep(60)"), "asked for TOKEN, the command did not end within 0"),
        (python("os.close(1); time.sleep(60)"), "asked for TOKEN, the command did not end within 0"),
        (python("print()"), f"what {VARIABLE} says for TOKEN is empty"),
        (python("print('tok en')"), f"what {VARIABLE} says for TOKEN holds spaces"),
        (command("/no/such/tok"), "the command cannot be run (No such file or directory)"),
        (PATH | {VARIABLE: "'tok"}, "close every quote in it"),
    ],
)
def test_what_goes_wrong_is_said_without_what_the_command_said(tmp_path, monkeypatch, capfd, environ, message):
    """Nor is it written anywhere."""
    if "did not end" in message:
        monkeypatch.setattr(secrets_command, "SECONDS", 0.3)
    with pytest.raises(ValueError, match=r".") as refused:
        secret(environ, tmp_path)

    assert message in str(refused.value)
    assert "tok" not in str(refused.value)
    assert ("", "") == capfd.readouterr()


def test_settings_take_their_secrets_from_it_and_do_not_show_them(tmp_path, loaded):
    """Wherever they refer to one."""
    loaded(oplead="{ token: '${NOWHERE}' }")
    answer = load(tmp_path / "pipeline.yaml", python("print('tok-' + sys.argv[-1])"))

    assert isinstance(answer, ValidSettings), answer
    assert "tok-NOWHERE" == answer.settings.oplead.token.get_secret_value()
    assert "tok-NOWHERE" not in json.dumps(answer.settings.model_dump(mode="json"))


# ── what may pass ────────────────────────────────────────────────────────────────────────────────

FAILS = python("sys.exit(7)")


def state_of_settings(file, environ):
    """The exit code of what cannot read these settings."""
    with pytest.raises(UsageError) as refused:
        assert load_account(file, environ).settings
    return refused.value.exit_code


@pytest.mark.parametrize("code", ["sys.exit(7)", "time.sleep(60)"])
def test_a_vault_that_is_away_may_be_asked_again(tmp_path, monkeypatch, loaded, code):
    """Nobody has to mend the settings for it."""
    monkeypatch.setattr(secrets_command, "SECONDS", 0.3)
    loaded(oplead="{ token: '${NOWHERE}' }")

    assert Exit.HELD == state_of_settings(tmp_path / "pipeline.yaml", python(code))


def test_check_says_that_a_vault_is_away(tmp_path, monkeypatch, loaded, capsys):
    """With the exit code of what may pass."""
    loaded(oplead="{ token: '${NOWHERE}' }")
    for name, value in FAILS.items():
        monkeypatch.setenv(name, value)

    assert Exit.HELD == check_settings_files([tmp_path / "pipeline.yaml"], live=False, json_wanted=False, verbose=False)
    told = capsys.readouterr().out
    assert "asked for NOWHERE, the command ended with 7" in told
    assert "could not be checked (the secrets command failed, as said above; check again later)" in told


@pytest.mark.parametrize(
    "environ", [PATH, command("/no/such/tok"), python("print()"), python("print('tok-' * 50_000)")]
)
def test_a_command_that_somebody_must_mend_is_a_mistake(tmp_path, loaded, environ):
    """As a variable is that nobody set."""
    loaded(oplead="{ token: '${NOWHERE}' }")

    assert Exit.CONFIGURATION == state_of_settings(tmp_path / "pipeline.yaml", environ)


def test_another_mistake_counts_more_than_a_vault_that_is_away(tmp_path, loaded):
    """It would still be there."""
    loaded(oplead="{ token: '${NOWHERE}', rate: fast }")

    assert Exit.CONFIGURATION == state_of_settings(tmp_path / "pipeline.yaml", FAILS)


@pytest.mark.parametrize("secrets", [True, False])
def test_an_address_of_a_state_that_a_vault_holds_may_be_asked_for_again(tmp_path, loaded, secrets):
    """Also by a command that needs nothing but the state, or not even that."""
    loaded(state="'${NOWHERE}'")
    file = tmp_path / "pipeline.yaml"
    environ = FAILS | {"OPLEAD_TOKEN": "tok"}
    for answer in (load(file, environ, secrets=secrets), load_partial(file, environ)):
        assert isinstance(answer, InvalidSettings)
        assert answer.may_pass
        assert f"{VARIABLE}: asked for NOWHERE, the command ended with 7" in "\n".join(map(str, answer.problems))


def test_a_vault_that_hangs_is_waited_for_once(tmp_path, monkeypatch):
    """Not once for each secret."""
    monkeypatch.setattr(secrets_command, "SECONDS", 0.5)
    log = tmp_path / "log"
    references = SecretReferenceResolver(python(f"open({str(log)!r}, 'a').write('x'); time.sleep(60)"), tmp_path)
    for name in ("ONE", "OTHER", "ONE"):
        with pytest.raises(SecretsCommandFailedError, match="asked for ONE, the command did not end"):
            references.secret(f"${{{name}}}")

    assert "x" == log.read_text()


def test_what_failed_for_one_name_may_work_for_another(tmp_path):
    """A command that ends says so at once."""
    references = SecretReferenceResolver(python("print('tok'); sys.exit(sys.argv[1] == 'ONE')"), tmp_path)
    for _ in range(2):
        with pytest.raises(SecretsCommandFailedError, match="asked for ONE, the command ended with 1"):
            references.secret("${ONE}")

    assert "tok" == references.secret("${OTHER}")


def test_what_the_command_leaves_behind_holds_nobody_up_and_ends(tmp_path):
    """What it said counts once it has ended itself, though its child holds the output open."""
    child = tmp_path / "child"
    began = time.monotonic()
    told = secret(command("sh", "-c", f"sleep 60 & echo $! > {shlex.quote(str(child))}; echo tok"), tmp_path)

    assert "tok" == told
    assert time.monotonic() - began < secrets_command.SECONDS / 2
    number = int(child.read_text())
    try:
        assert has_ended(number)
    finally:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def has_ended(number):
    """Whether a process that was killed is gone, or is about to be taken off the list."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            os.kill(number, 0)
            if Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
    return False
