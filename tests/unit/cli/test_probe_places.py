"""Problems without a place in a file are reported without one."""

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
def test_a_problem_without_a_place_names_no_line(monkeypatch, tmp_path, capfd, arguments, said):
    """`1:1` would point to the first line of a file that does not exist."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPLEAD_TOKEN", raising=False)
    result = CliRunner().invoke(app, list(arguments))
    told = result.output + "".join(capfd.readouterr())

    assert 2 == result.exit_code
    assert said in told
    assert "1:1" not in told
