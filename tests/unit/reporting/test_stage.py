"""One folder holds one open sandbox."""

from dataclasses import replace

import pytest
from ruamel.yaml import YAML

from connectors.sandbox.oplead_shape import drawn_shape
from jobs.cli.demo.stage import Cast, staged
from jobs.ledger.lease import LeaseHeldError

FEW = Cast(leads=5)


def test_a_second_sandbox_in_one_folder_is_refused(tmp_path):
    """It would rewrite the settings of the first and lose its state."""
    with staged(tmp_path, FEW), pytest.raises(LeaseHeldError, match="open here already"), staged(tmp_path, FEW):
        pass

    with staged(tmp_path, FEW) as stage:
        assert stage.settings.exists()


def test_a_shape_is_drawn_once_and_not_told(tmp_path):
    """The settings say nothing of it, and whatever was switched since is kept."""
    cast = Cast(leads=5, shape=3)
    with staged(tmp_path, cast) as stage:
        drawn = stage.sandbox.oplead.shape
        stage.sandbox.oplead.switch("page_size", 50)

    with staged(tmp_path, FEW) as stage:
        resumed = stage.sandbox.oplead
        told = YAML(typ="safe").load(stage.settings)["oplead"]

    assert drawn_shape(3) == drawn
    assert replace(drawn, page_size=50) == resumed.shape
    assert not resumed.tells_shape
    assert {"token", "base_url"} == set(told)
