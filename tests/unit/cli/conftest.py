"""A person, or nobody, at `init`."""

from contextlib import contextmanager

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from jobs.cli.app import app
from jobs.cli.init import command


class Looked:
    """A platform that shows a survey, or refuses."""

    def __init__(self, survey):
        """Keep it."""
        self.found = survey

    def survey(self, *, leads):
        """What was found."""
        assert leads
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.fixture
def type_in(tmp_path, monkeypatch):
    """Runs `init` with a platform behind it; gives the result and what the settings file says."""

    def run(*arguments, survey=None, typed=None):
        if survey is not None:
            monkeypatch.setenv("OPLEAD_TOKEN", "sk-1")

        @contextmanager
        def survey_of(*_):
            yield Looked(survey)

        monkeypatch.setattr(command, "survey_of", survey_of)
        monkeypatch.setattr(command, "is_interactive", lambda: typed is not None)
        result = CliRunner().invoke(app, ["init", "--dir", str(tmp_path), *arguments], input=typed)
        file = tmp_path / "pipeline.yaml"
        return result, YAML(typ="safe", pure=True).load(file.read_text()) if file.exists() else None

    return run
