"""Runs `init` with or without a person at the terminal."""

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from jobs.cli.app import app
from jobs.cli.setup.init import command


@pytest.fixture
def type_in(tmp_path, monkeypatch):
    """Run `init` against a fake survey; return the result and the settings file, parsed."""

    def run(*arguments, survey=None, typed=None):
        if survey is not None:
            monkeypatch.setenv("OPLEAD_TOKEN", "sk-1")

        def survey_oplead(*_, leads, specification):
            assert leads
            assert specification is None
            if isinstance(survey, Exception):
                raise survey
            return survey

        monkeypatch.setattr(command, "survey_oplead", survey_oplead)
        monkeypatch.setattr(command, "is_interactive", lambda: typed is not None)
        # The Enter at the end writes the settings, once the answers were shown again.
        typed = typed and f"{typed}\n"
        result = CliRunner().invoke(app, ["init", "--dir", str(tmp_path), *arguments], input=typed)
        file = tmp_path / "pipeline.yaml"
        return result, YAML(typ="safe", pure=True).load(file.read_text()) if file.exists() else None

    return run
