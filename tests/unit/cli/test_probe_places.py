"""What has no place in a file is told without one."""

import pytest
from typer.testing import CliRunner

from jobs.cli.app import app


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("probe",), "probe: OPLEAD_TOKEN: the environment variable OPLEAD_TOKEN is not set"),
        (("probe", "--config", "nope.yaml"), "nope.yaml: the file does not exist"),
        (("check", "--config", "nope.yaml"), "nope.yaml: the file does not exist"),
    ],
)
def test_no_line_is_named_where_there_is_none(monkeypatch, tmp_path, capfd, arguments, said):
    """`1:1` would send somebody to look at the first line of nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPLEAD_TOKEN", raising=False)
    result = CliRunner().invoke(app, list(arguments))
    told = result.output + "".join(capfd.readouterr())

    assert 2 == result.exit_code
    assert said in told
    assert "1:1" not in told
