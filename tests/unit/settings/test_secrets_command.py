"""A secret that is in no variable may come from a command of the operator's."""

import json
import os
import shlex
import sys

import pytest

from jobs.settings import ValidSettings, load, secrets_command
from jobs.settings.references import EnvFile, ReferenceResolver
from jobs.settings.secrets_command import VARIABLE

PATH = {"PATH": os.defpath}


def command(*words):
    """An environment that names a command."""
    return PATH | {VARIABLE: shlex.join(map(str, words))}


def python(code):
    """An environment whose command runs this code; the reference's name is its last argument."""
    return command(sys.executable, "-c", f"import os, sys, time\n{code}")


def secret(environ, folder, **more):
    """What a reference to the secret TOKEN comes to."""
    return ReferenceResolver(environ, folder, **more).secret("${TOKEN}")


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


def test_env_file_names_no_command(tmp_path):
    """Who may edit settings may not for that reason run programs."""
    env_file = EnvFile(tmp_path / ".env", command("echo", "tok"))

    with pytest.raises(ValueError, match="TOKEN is not set"):
        secret(PATH, tmp_path, env_file=env_file)


def test_each_name_is_asked_for_once(tmp_path):
    """A vault is not asked again for each place that refers to it."""
    references = ReferenceResolver(python(f"open({str(tmp_path / 'log')!r}, 'a').write('x'); print('tok')"), tmp_path)

    assert ["tok"] * 3 == [references.secret("${TOKEN}") for _ in range(3)]
    assert "x" == (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (python("print('tok'); sys.stderr.write('tok'); sys.exit(7)"), "asked for TOKEN, the command ended with 7"),
        (python("print('tok-' * 50_000)"), "asked for TOKEN, the command said too much"),
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
